"""`addresses`, `address ...`, `config`: addresses and settings of a store."""

from __future__ import annotations

import json

import pytest

# -- listing and information -----------------------------------------------------------------------------------------


def test_addresses_prints_one_a_line(store, ok):
    for address in ("bob.main", "alice.research", "alice"):
        store.create(address)
    assert ok("addresses").lines == ["alice.default", "alice.research", "bob.main"]


def test_addresses_of_one_user(store, ok):
    for address in ("alice.a", "alice.b", "alicia.a", "bob.a"):
        store.create(address)
    assert ok("addresses", "-u", "alice").lines == ["alice.a", "alice.b"]


def test_addresses_as_json_prints_what_info_prints(store, ok):
    store.create("alice.research", labels={"team": "search"}, max_bytes=1 << 20)
    (line,) = ok("addresses", "--json").lines
    assert json.loads(line) == ok("address", "info", "alice.research", "--json").json


def test_info_as_json(clock, store, ok):
    created = store.create("alice.research", labels={"team": "search"}, durability="off", max_bytes=1 << 20)
    assert ok("address", "info", "alice.research", "--json").json == {
        "address": "alice.research",
        "id": created.id,
        "path": str(created.path),
        "created_at": "2025-06-15T15:06:40Z",
        "durability": "off",
        "max_bytes": 1 << 20,
        "labels": {"team": "search"},
        "origin": {},
    }


def test_info_prints_a_name_and_a_value_a_line(store, ok):
    store.create("alice.research")
    facts = dict(line.split("=", 1) for line in ok("address", "info", "alice.research").lines)
    assert (facts["address"], facts["durability"], facts["max_bytes"]) == ("alice.research", "full", "null")


def test_info_is_about_the_current_address_by_default(store, ok):
    store.create("alice.research")
    assert ok("address", "info", "-a", "alice.research", "--json").json["address"] == "alice.research"


def test_info_of_an_absent_address_is_a_silent_miss(store, pronto):
    store.create("alice.research")
    assert pronto("address", "info", "alice.reserch") == (2, b"", "")
    error = pronto("address", "info", "alice.reserch", "--json").error
    assert (error["code"], error["exit"]) == ("address_not_found", 2)
    assert "alice.research" in error["hint"]


def test_create_says_what_exists_already(pronto):
    assert pronto("address", "create", "a.b", "--exist-ok").err == "Created a.b.\n"
    assert pronto("address", "create", "a.b", "--exist-ok").err == "a.b exists already.\n"


@pytest.mark.parametrize("words", [["address", "delete", "a.b"], ["cursor", "delete", "b", "-u", "a"]])
def test_deleting_needs_no_yes_and_takes_it(store, pronto, words):
    store.create("a.b")
    assert pronto(*words, "--yes").code == 0
    assert not store.exists("a.b")


# -- life cycle ------------------------------------------------------------------------------------------------------


def test_create_makes_an_address_as_told(tmp_path, store, pronto):
    place = tmp_path / "elsewhere"
    words = ["--path", place, "--durability", "off", "--max-bytes", "1000000", "--label", "a=1", "--label", "b=x=y"]
    done = pronto("address", "create", "alice.research", *words)
    assert (done.code, done.out, done.err) == (0, b"", "Created alice.research.\n")
    info = store.info("alice.research")
    assert (info.path, info.durability, info.max_bytes) == (place, "off", 1_000_000)
    assert info.labels == {"a": "1", "b": "x=y"}


def test_create_with_json_prints_the_new_address(ok):
    assert ok("address", "create", "alice", "--json").json["address"] == "alice.default"


def test_create_twice_is_a_conflict(store, ok, pronto):
    pronto("address", "create", "alice.research")
    done = pronto("address", "create", "alice.research")
    assert (done.code, done.out) == (3, b"")
    assert "--exist-ok" in done.err
    assert pronto("address", "create", "alice.research", "--exist-ok").code == 0


def test_create_at_a_path_that_is_taken_is_a_conflict(tmp_path, pronto):
    (tmp_path / "taken").write_text("here")
    assert pronto("address", "create", "alice", "--path", tmp_path / "taken").code == 3


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--durability", "perhaps"], 1),
        (["--max-bytes", "5"], 1),
        (["--max-bytes", "much"], 64),
        (["--label", "nameless"], 64),
        (["--label", "=x"], 64),
    ],
)
def test_create_refuses_what_cannot_be(root, pronto, words, code):
    assert pronto("address", "create", "alice", *words).code == code
    assert not root.exists()


def test_delete_and_undelete(store, pronto):
    store["alice.research"]["plan"] = 1
    done = pronto("address", "delete", "alice.research")
    assert (done.code, done.out) == (0, b"")
    assert "undelete" in done.err
    assert not store.exists("alice.research")
    assert pronto("address", "undelete", "alice.research").code == 0
    assert store["alice.research"]["plan"] == 1


def test_delete_dry_run_prints_the_address_and_changes_nothing(store, ok):
    store.create("alice.research")
    assert ok("address", "delete", "alice.research", "--dry-run").lines == ["alice.research"]
    assert store.exists("alice.research")


def test_undelete_under_another_name(store, ok):
    store["alice.research"]["plan"] = 1
    store.delete("alice.research")
    done = ok("address", "undelete", "alice.research", "--to", "alice.again", "--json")
    assert done.json["address"] == "alice.again"
    assert store["alice.again"]["plan"] == 1


def test_undelete_where_the_name_is_taken_is_a_conflict(store, pronto):
    store["alice"]["plan"] = 1
    store.delete("alice")
    store.create("alice")
    assert pronto("address", "undelete", "alice").code == 3


def test_rename(store, pronto):
    store["alice.research"]["plan"] = 1
    assert pronto("address", "rename", "alice.research", "bob.research").err == "alice.research is bob.research now.\n"
    assert store["bob.research"]["plan"] == 1


def test_rename_to_a_name_that_is_taken_is_a_conflict(store, pronto):
    store.create("alice")
    store.create("bob")
    assert pronto("address", "rename", "alice", "bob").code == 3


@pytest.mark.parametrize("words", [["delete"], ["delete", "--dry-run"], ["rename", "new.name"]])
def test_an_unknown_address_gets_a_suggestion(store, pronto, words):
    store.create("alice.research")
    done = pronto("address", words[0], "alice.reserch", *words[1:])
    assert (done.code, done.out) == (1, b"")
    assert "Did you mean alice.research?" in done.err


def test_undelete_suggests_what_is_in_the_trash(store, pronto):
    store.create("alice.research")
    store.delete("alice.research")
    assert "Did you mean alice.research?" in pronto("address", "undelete", "alice.reserch").err


@pytest.mark.parametrize("words", [["delete", "a..b"], ["info", "a.b.c"], ["create", "x%"], ["rename", "a", "b/c."]])
def test_a_bad_address_is_refused(root, pronto, words):
    assert pronto("--json", "address", *words).error["code"] == "invalid_address"
    assert not root.exists()


@pytest.mark.parametrize("words", [[], ["-q"]])
def test_quiet_leaves_notes_out(pronto, words):
    assert bool(pronto(*words, "address", "create", "alice").err) == (not words)


# -- purge -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def trash(clock, store):
    """Two deleted addresses: one of yesterday, one of this moment."""
    store.create("alice.old")
    store.create("alice.new")
    store.delete("alice.old")
    clock.advance(86_400)
    store.delete("alice.new")
    clock.advance(1)


def test_purge_needs_yes_where_nobody_can_be_asked(store, trash, pronto):
    done = pronto("address", "purge")
    assert (done.code, done.out) == (64, b"")
    assert "--yes" in done.err
    assert len(store.trash()) == 2


def test_purge_with_yes_prints_how_many_went(store, trash, ok):
    assert ok("address", "purge", "--yes").text == "2\n"
    assert store.trash() == []


def test_purge_of_what_is_old_enough(store, trash, ok):
    assert ok("address", "purge", "--older-than", "3600", "--yes", "--json").json == 1
    assert [str(item.address) for item in store.trash()] == ["alice.new"]


@pytest.mark.parametrize(("words", "found"), [([], ["old", "new"]), (["--older-than", "3600"], ["old"])])
def test_purge_dry_run_prints_what_would_go(store, trash, ok, words, found):
    assert ok("address", "purge", "--dry-run", *words).lines == [f"alice.{name}" for name in found]
    rows = [json.loads(line) for line in ok("address", "purge", "--dry-run", "--json", *words).lines]
    assert [row["address"] for row in rows] == [f"alice.{name}" for name in found]
    assert rows[0]["deleted_at"] == "2025-06-15T15:06:40Z"
    assert len(store.trash()) == 2


@pytest.mark.parametrize("answer", ["y\n", "yes\n", "Y\n"])
def test_purge_asks_on_a_terminal(store, trash, pronto, answer):
    done = pronto("address", "purge", typed=answer)
    assert (done.code, done.text) == (0, "2\n")
    assert done.err == "Remove 2 deleted addresses for good? [y/N] "
    assert store.trash() == []


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "maybe\n"])
def test_purge_goes_no_further_without_a_yes(store, trash, pronto, answer):
    done = pronto("address", "purge", typed=answer)
    assert (done.code, done.out) == (1, b"")
    assert len(store.trash()) == 2


@pytest.mark.parametrize(("age", "code"), [("-1", 1), ("old", 64)])
def test_purge_refuses_an_impossible_age(trash, pronto, age, code):
    assert pronto("address", "purge", "--yes", "--older-than", age).code == code


# -- settings --------------------------------------------------------------------------------------------------------


def test_config_set_stores_what_config_get_prints(store, ok):
    assert ok("config", "set", "timeout", "2.5").out == b""
    assert ok("config", "get", "timeout").text == "2.5\n"
    assert store.config["timeout"] == "2.5"


def test_config_get_prints_the_default_where_nothing_is_set(root, ok):
    assert ok("config", "get", "timeout").text == "10\n"
    assert not root.exists()


def test_config_list_prints_every_setting(ok):
    assert ok("config", "list").lines == [
        "address=default.default",
        "durability=full",
        "flush_interval=1",
        "timeout=10",
        "value_limit=67108864",
        "view_warning=60",
    ]


def test_config_list_as_json_says_where_each_comes_from(monkeypatch, store, ok):
    store.config["timeout"] = "3"
    monkeypatch.setenv("PRONTO_DURABILITY", "off")
    rows = {row["name"]: row for row in map(json.loads, ok("config", "list", "--json").lines)}
    assert rows["timeout"] == {"name": "timeout", "value": "3", "source": "store"}
    assert (rows["durability"]["value"], rows["durability"]["source"]) == ("off", "environment")
    assert rows["address"]["source"] == "default"


@pytest.mark.parametrize(
    "words", [["get", "colour"], ["set", "colour", "red"], ["set", "timeout", "soon"], ["set", "durability", "?"]]
)
def test_config_refuses_what_is_no_setting(root, pronto, words):
    assert pronto("--json", "config", *words).error["code"] == "invalid_value"


def test_a_stored_durability_holds_for_new_addresses(store, ok):
    ok("config", "set", "durability", "off")
    ok("set", "plan", "draft", "-a", "alice")
    assert store.info("alice").durability == "off"
