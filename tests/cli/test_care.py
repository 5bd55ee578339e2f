"""`check`, `compact` and `address durability`: looking after a store."""

from __future__ import annotations

import json

import pytest
from conftest import REPOSITORY

import pronto_lmdb
from pronto_lmdb.config import SETTINGS

# -- check -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def damaged(root):
    """A store with one address that is fine, one that is not, and a stranger's directory."""
    with pronto_lmdb.open(root) as store:
        store["alice.research"]["plan"] = 1
        store["bob"]["plan"] = 1
    (journal,) = (root / "addresses" / "bob.default").glob("journal-*")
    journal.unlink()
    (root / "addresses" / "stranger").mkdir()
    return journal


def table(done):
    """Return the rows of a table, by the headings above them."""
    headings, *lines = done.lines
    starts = [headings.index(name) for name in ("address", "what", "state", "advice")]
    ends = [*starts[1:], None]
    return [{headings[a:b].strip(): line[a:b].strip() for a, b in zip(starts, ends, strict=True)} for line in lines]


@pytest.mark.parametrize("words", [[], ["--deep"]])
def test_check_of_what_is_fine_prints_nothing_but_a_note(root, store, pronto, words):
    store["alice"]["plan"] = 1
    assert pronto("check", *words) == (0, b"", f"{root}: 1 address checked, no problems.\n")


@pytest.mark.parametrize("words", [["-q"], ["--json"]])
def test_check_of_what_is_fine_can_be_silent(store, ok, words):
    store["alice"]["plan"] = 1
    assert ok("check", *words).out == b""


def test_check_where_there_is_no_store_is_fine_and_makes_none(root, ok):
    assert ok("check", "-q").out == b""
    assert not root.exists()


@pytest.mark.parametrize("words", [[], ["--deep"]])
def test_check_prints_a_table_of_what_it_finds_and_fails(root, damaged, pronto, words):
    done = pronto("check", *words)
    assert (done.code, done.err) == (4, f"{root}: 3 addresses checked, 2 problems.\n")
    assert done.lines == [
        "address      what                                                      state    advice",
        "-            addresses/stranger holds no keystore                      problem  pronto check --repair",
        "bob.default  addresses/bob.default has no base, and no first journal.  problem  pronto check --repair",
    ]


def test_check_as_json_prints_an_object_a_line(root, damaged, pronto):
    done = pronto("check", "--json")
    assert (done.code, done.err) == (4, "")
    assert [json.loads(line) for line in done.lines] == [
        {"address": None, "problem": f"{root}/addresses/stranger holds no keystore"},
        {
            "address": "bob.default",
            "problem": f"{root}/addresses/bob.default has no base, and no first journal.",
        },
    ]


def test_a_problem_stays_on_its_line_whatever_the_name_of_a_file(root, store, pronto):
    store.create("alice")
    (root / "addresses" / "two\nlines").mkdir()
    assert [row["what"] for row in table(pronto("check"))] == ["addresses/two lines holds no keystore"]


def test_a_deep_check_finds_more(root, pronto):
    with pronto_lmdb.open(root) as store:
        store["alice"]["plan"] = 1
        (journal,) = (root / "addresses" / "alice.default").glob("journal-*")
    content = bytearray(journal.read_bytes())
    content[120] ^= 0xFF
    journal.write_bytes(content)
    assert pronto("check").code == 0
    done = pronto("check", "--deep")
    assert done.code == 4
    (row,) = table(done)
    assert row["address"] == "alice.default"
    assert row["what"].startswith(f"{journal.name} is damaged at byte 96")


def test_check_repairs_nothing_before_it_looks(root, pronto):
    with pronto_lmdb.open(root) as store:
        store["alice"]["plan"] = 1
    (root / "meta" / "registry" / "data.mdb").unlink()
    for _ in range(2):
        assert [row["what"] for row in table(pronto("check"))] == ["the registry: meta/registry is missing"]


# -- durability ------------------------------------------------------------------------------------------------------


def test_durability_prints_the_level(store, ok):
    store.create("alice.research", durability="normal")
    assert ok("address", "durability", "alice.research").text == "normal\n"
    assert ok("address", "durability", "alice.research", "--json").json == "normal"


@pytest.mark.parametrize("level", ["full", "normal", "off"])
def test_durability_changes_the_level(store, pronto, ok, level):
    store["alice.research"]["plan"] = 1
    done = pronto("address", "durability", "alice.research", level)
    assert (done.code, done.out, done.err) == (0, b"", f"alice.research has the level {level} now.\n")
    assert ok("address", "durability", "alice.research").text == f"{level}\n"
    assert store.info("alice.research").durability == level
    assert store["alice.research"]["plan"] == 1


def test_durability_with_json_prints_the_changed_address(store, ok):
    store.create("alice.research")
    done = ok("address", "durability", "alice.research", "normal", "--json")
    assert done.json == ok("address", "info", "alice.research", "--json").json
    assert done.json["durability"] == "normal"


def test_a_level_that_there_is_not_is_refused(store, pronto):
    store.create("alice.research")
    assert pronto("--json", "address", "durability", "alice.research", "perhaps").error["code"] == "invalid_value"
    assert store.info("alice.research").durability == "full"


def test_the_level_of_an_absent_address_is_a_silent_miss(store, pronto):
    store.create("alice.research")
    assert pronto("address", "durability", "alice.reserch") == (2, b"", "")
    error = pronto("address", "durability", "alice.reserch", "--json").error
    assert (error["code"], error["exit"]) == ("address_not_found", 2)
    assert "alice.research" in error["hint"]


def test_changing_an_absent_address_is_an_error_with_a_suggestion(root, store, pronto):
    assert pronto("address", "durability", "alice", "normal").code == 1
    assert not root.exists()
    store.create("alice.research")
    done = pronto("address", "durability", "alice.reserch", "normal")
    assert (done.code, done.out) == (1, b"")
    assert "Did you mean alice.research?" in done.err


def test_create_takes_every_level(store, ok, pronto):
    assert pronto("address", "create", "alice.research", "--durability", "normal").code == 0
    assert ok("address", "durability", "alice.research").text == "normal\n"


@pytest.mark.parametrize("words", [["address", "create"], ["address", "durability"]], ids=" ".join)
def test_help_names_every_level(ok, words):
    text = ok(*words, "--help").text
    assert [level for level in ("full", "normal", "off") if level not in text] == []


def test_help_names_every_setting(ok):
    text = ok("config", "set", "--help").text
    assert [name for name in SETTINGS if name not in text] == []


# -- compact ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def churned(root):
    with pronto_lmdb.open(root) as store:
        for address in ("alice.main", "alice.research", "bob"):
            store[address].update({f"key{number}": "x" * 1000 for number in range(500)})
            store[address].delete_many([f"key{number}" for number in range(499)])


def test_compact_prints_a_line_for_each_address(churned, ok):
    rows = [line.split() for line in ok("compact").lines]
    assert [row[0] for row in rows] == ["alice.main", "alice.research", "bob.default"]
    assert all(int(before) > int(after) > 0 for _, before, after in rows)
    assert ok("-a", "bob", "get", "key499").text == "x" * 1000 + "\n"


@pytest.mark.parametrize("words", [["compact", "bob"], ["compact", "-a", "bob"], ["-u", "bob", "compact"]])
def test_compact_takes_one_address_or_those_of_a_user(churned, ok, words):
    (row,) = [json.loads(line) for line in ok("--json", *words).lines]
    assert row.keys() == {"address", "bytes_before", "bytes_after"}
    assert row["address"] == "bob.default"


def test_compact_of_what_is_absent_is_an_error_with_a_suggestion(churned, pronto):
    done = pronto("compact", "alice.mian")
    assert (done.code, done.out) == (1, b"")
    assert "alice.main" in done.err


def test_compact_of_an_address_in_use_is_busy(churned, root, pronto, in_another_process):
    with pronto_lmdb.open(root) as store, store["bob"].transaction() as transaction:
        transaction["key"] = 1
        code = in_another_process(
            """
            import sys
            sys.path.insert(0, sys.argv[2])
            import pronto_cli
            print(pronto_cli.main(["--root", sys.argv[1], "--timeout", "0.05", "compact", "bob"]))
            """,
            root,
            REPOSITORY / "cli",
        )
    assert code == 5


# -- repair ----------------------------------------------------------------------------------------------------------


def test_check_repairs_if_asked_and_prints_what_it_did(root, damaged, pronto):
    done = pronto("check", "--repair")
    assert done.code == 0
    rows = table(done)
    assert {(row["state"], row["advice"]) for row in rows} == {("repaired", "")}
    assert any(row["address"] == "bob.default" and "base and journal were made anew" in row["what"] for row in rows)
    assert done.err == f"{root}: 2 addresses checked, no problems, {len(rows)} repairs.\n"
    assert pronto("check", "--deep") == (0, b"", f"{root}: 2 addresses checked, no problems.\n")
    with pronto_lmdb.open(root) as store:
        assert store["bob"]["plan"] == 1


def test_what_was_lost_is_a_problem_once(root, damaged, pronto):
    (root / "addresses" / "bob.default" / "data.mdb").unlink()
    done = pronto("check", "--repair", "--json")
    assert done.code == 4
    (lost,) = [json.loads(line) for line in done.lines if "problem" in json.loads(line)]
    assert lost["address"] == "bob.default"
    assert lost["problem"].startswith("lost: ")
    assert pronto("check").code == 0


def test_what_was_lost_or_not_repaired_is_told_apart(root, damaged, pronto):
    (root / "addresses" / "bob.default" / "data.mdb").unlink()
    with pronto_lmdb.open(root) as store:
        store["carol"]["plan"] = 1
        (journal,) = (root / "addresses" / "carol.default").glob("journal-*")
        with store["carol"].view():
            journal.write_bytes(b"")
            rows = table(pronto("check", "--repair", "--timeout", "0.05"))
    found = {(row["address"], row["state"]): row for row in rows}
    assert ("bob.default", "lost") in found
    assert "is in use" in found["carol.default", "not repaired"]["what"]
    assert {row["advice"] for row in rows if row["address"] == "carol.default"} == {
        "do that, then pronto check --repair",
        "pronto check --repair",
    }


def test_a_healthy_store_of_any_size_takes_one_line(root, store, pronto):
    for number in range(30):
        store.create(f"agent{number}")
    assert pronto("check") == (0, b"", f"{root}: 30 addresses checked, no problems.\n")


def test_repairs_as_json_are_an_object_a_line(root, damaged, pronto):
    lines = [json.loads(line) for line in pronto("check", "--repair", "--json").lines]
    assert {tuple(line) for line in lines} == {("address", "repair")}


def test_check_of_chosen_addresses(root, damaged, pronto):
    assert pronto("check", "alice.research").code == 0
    assert [row["address"] for row in table(pronto("check", "alice.research", "bob"))] == ["bob.default"]
    done = pronto("check", "nobody")
    assert (done.code, done.out) == (1, b"")


def test_rebuild_makes_data_files_anew(root, store, ok, pronto):
    store["alice"]["plan"] = 1
    store.close()
    data = root / "addresses" / "alice.default" / "data.mdb"
    before = data.stat().st_ino
    done = pronto("check", "--rebuild", "alice")
    assert done.code == 0
    assert table(done) == [
        {"address": "alice.default", "what": "the data file was made anew", "state": "repaired", "advice": ""}
    ]
    assert data.stat().st_ino != before


def test_a_terminal_sees_how_far_a_check_has_come(store, pronto, monkeypatch):
    monkeypatch.setattr("pronto_cli.progress._EVERY_SECONDS", 0)
    for name in "abcd":
        store[name]["key"] = 1
    done = pronto("check", typed="")
    assert done.code == 0
    assert "2/4" in done.err
    assert "2/4" not in pronto("check", "-q", typed="").err


# -- quotas ----------------------------------------------------------------------------------------------------------


def test_quota_prints_the_limit(store, ok):
    store.create("alice.research", max_bytes=100_000)
    assert ok("address", "quota", "alice.research").text == "100000\n"
    store.create("bob")
    assert ok("address", "quota", "bob").out == b""
    assert ok("address", "quota", "bob", "--json").json is None


def test_quota_changes_the_limit_and_removes_it(store, pronto, ok):
    store["alice"]["plan"] = 1
    done = pronto("address", "quota", "alice", "200000")
    assert (done.code, done.out, done.err) == (0, b"", "alice.default has a quota of 200,000 bytes now.\n")
    assert ok("address", "info", "alice", "--json").json["max_bytes"] == 200_000
    assert ok("stats", "-a", "alice", "--json").json["max_bytes"] == 200_000
    assert pronto("address", "quota", "alice", "none").err == "alice.default has no quota now.\n"
    assert store.info("alice").max_bytes is None


@pytest.mark.parametrize(("limit", "code"), [("1000", 1), ("much", 64), ("-5", 64)])
def test_an_impossible_quota_is_refused(store, pronto, limit, code):
    store.create("alice")
    assert pronto("address", "quota", "alice", limit).code == code
    assert store.info("alice").max_bytes is None


def test_the_quota_of_an_absent_address_is_a_silent_miss(store, pronto):
    store.create("alice")
    assert pronto("address", "quota", "alise") == (2, b"", "")
    assert pronto("address", "quota", "alise", "100000").code == 1
