"""`cursor ...`: the addresses of one user, by their second part."""

from __future__ import annotations

import json

import pytest


def test_set_places_an_address_of_the_user_at_a_path(tmp_path, store, pronto):
    done = pronto("cursor", "set", "scratch", tmp_path / "there", "-u", "alice")
    assert (done.code, done.out, done.err) == (0, b"", "Created alice.scratch.\n")
    assert store.info("alice.scratch").path == tmp_path / "there"


def test_set_with_json_prints_the_new_address(tmp_path, ok):
    assert ok("cursor", "set", "scratch", tmp_path / "there", "--json").json["address"] == "default.scratch"


def test_a_relative_path_means_where_the_command_runs(tmp_path, monkeypatch, store, pronto):
    monkeypatch.chdir(tmp_path)
    assert pronto("cursor", "set", "scratch", "there").code == 0
    assert store.info("default.scratch").path == tmp_path / "there"


def test_set_twice_is_fine_at_the_same_path_and_a_conflict_elsewhere(tmp_path, store, pronto, ok):
    pronto("cursor", "set", "scratch", tmp_path / "there")
    store["default.scratch"]["plan"] = 1
    ok("cursor", "set", "scratch", tmp_path / "there")
    assert pronto("cursor", "set", "scratch", tmp_path / "elsewhere").code == 3
    assert store["default.scratch"]["plan"] == 1


def test_set_chooses_nothing(tmp_path, pronto, ok):
    pronto("cursor", "set", "scratch", tmp_path / "there")
    assert ok("use").text == "default.default\n"


def test_set_needs_a_path(root, pronto):
    assert pronto("cursor", "set", "scratch").code == 64
    assert not root.exists()


def test_a_cursor_that_was_set_is_used_by_its_name(tmp_path, store, pronto, ok):
    pronto("cursor", "set", "scratch", tmp_path / "there")
    ok("-c", "scratch", "set", "plan", "here")
    assert ok("-c", "scratch", "get", "plan").text == "here\n"
    assert pronto("get", "plan").code == 2


def test_list_prints_those_of_one_user(store, ok):
    for address in ("alice.research", "alice.drafts", "bob.main"):
        store.create(address)
    assert ok("cursor", "list", "-u", "alice").lines == ["drafts", "research"]
    assert ok("cursor", "list", "-a", "bob").lines == ["main"]
    assert ok("cursor", "list").lines == []


def test_list_as_json_says_where_each_is_and_which_applies(store, ok):
    store.create("alice.research")
    store.create("alice.drafts")
    rows = [json.loads(line) for line in ok("cursor", "list", "-a", "alice.drafts", "--json").lines]
    assert [(row["cursor"], row["active"]) for row in rows] == [("drafts", True), ("research", False)]
    assert rows[0]["path"] == str(store.info("alice.drafts").path)


def test_active_prints_the_cursor_that_applies(store, ok):
    assert ok("cursor", "active").text == "default\n"
    store.config["address"] = "alice.research"
    assert ok("cursor", "active").text == "research\n"
    assert ok("cursor", "active", "-c", "now", "--json").json == "now"


def test_delete_moves_the_address_to_the_trash(store, pronto, ok):
    store["alice.research"]["plan"] = 1
    assert ok("cursor", "delete", "research", "-u", "alice", "--dry-run").lines == ["alice.research"]
    done = pronto("cursor", "delete", "research", "-u", "alice")
    assert (done.code, done.out) == (0, b"")
    assert "undelete alice.research" in done.err
    assert [str(item.address) for item in store.trash()] == ["alice.research"]


def test_delete_of_an_absent_one_is_an_error_with_a_suggestion(store, pronto):
    store.create("alice.research")
    done = pronto("cursor", "delete", "reserch", "-u", "alice")
    assert (done.code, done.out) == (1, b"")
    assert "Did you mean alice.research?" in done.err


def test_clear_forgets_the_choice_and_no_data(store, ok):
    store["alice.research"]["plan"] = 1
    store.config["address"] = "alice.research"
    ok("cursor", "clear")
    assert ok("use").text == "default.default\n"
    assert store["alice.research"]["plan"] == 1
    ok("cursor", "clear")


def test_clear_where_there_is_no_store_makes_none(root, ok):
    ok("cursor", "clear")
    assert not root.exists()


@pytest.mark.parametrize("words", [["set", "", "p"], ["set", "\u202e", "p"], ["delete", ""]])
def test_a_bad_name_is_refused(root, pronto, words):
    assert pronto("--json", "cursor", *words).error["code"] == "invalid_address"
    assert not root.exists()


def test_a_name_may_hold_what_an_address_has_to_encode(tmp_path, store, pronto, ok):
    pronto("cursor", "set", "a.b c", tmp_path / "there")
    assert ok("cursor", "list").lines == ["a.b c"]
    assert ok("addresses").lines == ["default.a%2Eb%20c"]
