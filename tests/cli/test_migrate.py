"""`migrate`: from the files of the old program to the same commands with the values that users wrote last."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from old_program import OldDatabase, OldKey, cursor_file, named_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "odx" / "prontodb"


@pytest.fixture
def old(data):
    """The main database of the old program."""
    with OldDatabase(named_file(data, "main"), now=4_000_000_000) as database:
        yield database


def test_the_documented_commands_of_the_old_program_give_the_values_written_last(old, data, pronto, ok):
    # What the tour of the old program set, in its order and with its defect.
    old.create_cache("sessions", "cache", 3600)
    old.set("myapp.config.theme", "light")
    old.set("myapp.config.theme", "dark")
    old.set("myapp.config.debug", "true")
    old.set("myapp.config.database__prod", "db.example.com")
    old.set("myapp.config.database__dev", "localhost")
    old.set("sessions.cache.token", "abc123")
    old.set("user.name", "Alice")
    old.set("greeting", "hello")
    old.set(OldKey("kb", "recipes", "soup"), "leek")
    old.set("temporary.data.x", "y")
    old.delete("temporary.data.x")
    with OldDatabase(named_file(data, "staging")) as staging:
        staging.set("myapp.config.theme", "grey")

    done = pronto("migrate", data)
    assert (done.code, done.out) == (0, b"")
    assert "default.default: 8 records written, 8 looked up" in done.err
    assert ok("get", "myapp.config.theme").text == "dark\n"
    assert ok("get", "myapp.config.database__prod").text == "db.example.com\n"
    assert ok("get", "myapp.config.database__dev").text == "localhost\n"
    assert ok("get", "user.name").text == "Alice\n"
    assert ok("get", "greeting").text == "hello\n"
    assert ok("get", "-p", "kb", "-n", "recipes", "soup").text == "leek\n"
    assert ok("get", "--ns-delim", "|", "kb|recipes|soup").text == "leek\n"
    assert ok("get", "sessions.cache.token").text == "abc123\n"
    assert float(ok("ttl", "sessions.cache.token").text) > 3600
    assert pronto("get", "temporary.data.x").code == 2
    assert ok("scan", "-p", "myapp", "-n", "config").lines == [
        "myapp.config.database__dev=localhost",
        "myapp.config.database__prod=db.example.com",
        "myapp.config.debug=true",
        "myapp.config.theme=dark",
    ]
    assert ok("-c", "staging", "get", "myapp.config.theme").text == "grey\n"
    ok("set", "sessions.cache.next", "x")
    assert 0 < float(ok("ttl", "sessions.cache.next").text) <= 3600


def test_a_dry_run_prints_the_plan_and_changes_nothing(old, data, ok, root):
    old.set("k", "v0")
    old.set("k", "v1")
    done = ok("migrate", data, "--dry-run")
    assert done.lines == [
        f"{old.path}: database main, 2 rows, becomes default.default",
        "default.default: will be made: 1 records",
        "  1 overwritten rows that the old program never removed",
    ]
    assert not root.exists()


def test_the_report_as_json(old, data, ok):
    old.set("k", "v")
    old.set("gone", "v", ttl=-4_000_000_000)
    report = ok("migrate", data, "--json").json
    assert (report["ok"], report["applied"], report["missing"]) == (True, True, 0)
    assert report["plan"]["databases"][0]["name"] == "main"
    assert report["plan"]["addresses"][0]["tally"]["expired"] == 1
    (address,) = report["addresses"]
    assert (address["address"], address["written"], address["verified"]) == ("default.default", 1, 1)
    assert address["checksum"] == report["plan"]["addresses"][0]["checksum"]


def test_a_plan_as_json(old, data, ok, root):
    old.set("k", "v")
    report = ok("migrate", data, "--dry-run", "--json").json
    assert (report["applied"], report["addresses"]) == (False, [])
    assert report["plan"]["addresses"][0]["state"] == "new"
    assert not root.exists()


def test_a_second_run_says_that_there_is_nothing_to_do(old, data, pronto):
    old.set("k", "v")
    pronto("migrate", data)
    done = pronto("migrate", data)
    assert done.code == 0
    assert done.err.splitlines() == ["default.default: has all of this already"]


def test_a_database_goes_where_it_is_mapped_to(old, data, pronto, ok):
    old.set("k", "v")
    assert pronto("migrate", data, "--map", "main=alice.work").code == 0
    assert ok("addresses").lines == ["alice.work"]


@pytest.mark.parametrize("words", [["--map", "main"], ["--map", "=a"]])
def test_a_mapping_that_cannot_be_understood(words, data, pronto):
    assert pronto("migrate", data, *words).code == 64


@pytest.mark.parametrize("words", [["--duplicates", "all"], ["--on-conflict", "ask"], ["--map", "main=a.b.c"]])
def test_an_impossible_choice(words, old, data, pronto):
    done = pronto("migrate", data, *words)
    assert (done.code, done.out) == (1, b"")


def test_meta_contexts_and_older_values_and_expired_ones(old, data, pronto, ok):
    old.set("k", "v0")
    old.set("k", "v1")
    old.set("cache.k", "x", ttl=-4_000_000_000)
    old.set("app.config.k", "theirs", meta="org")
    assert pronto("migrate", data, "--split-meta", "--duplicates", "both", "--include-expired").code == 0
    assert ok("scan").lines == ["cache.k=x", "k=v1", "k__older-1=v0"]
    assert ok("-u", "org", "scan").lines == ["app.config.k=theirs"]


def test_a_conflict_is_3_until_it_is_said_who_wins(old, data, pronto, ok):
    old.set("k", "theirs")
    ok("set", "k", "mine")
    done = pronto("migrate", data)
    assert done.code == 3
    assert "--on-conflict" in done.err
    assert ok("get", "k").text == "mine\n"
    assert pronto("migrate", data, "--on-conflict", "overwrite").code == 0
    assert ok("get", "k").text == "theirs\n"


def test_a_source_that_is_refused_is_1_and_the_others_are_taken_over(old, data, pronto, ok, tmp_path):
    old.set("k", "v")
    done = pronto("migrate", tmp_path / "absent.db", data)
    assert done.code == 1
    assert "absent.db cannot be read" in done.err
    assert ok("get", "k").text == "v\n"


def test_an_error_as_json(pronto, tmp_path):
    done = pronto("migrate", tmp_path / "absent.db", "--json")
    assert done.code == 1
    assert done.error["code"] == "migration"
    assert json.loads(done.out)["plan"]["refused"][0]["place"] == str(tmp_path / "absent.db")


def test_a_record_that_is_not_there_afterwards_is_4(old, data, pronto, monkeypatch):
    old.set("k", "v")
    monkeypatch.setattr("pronto_lmdb.migration.stored", lambda store, address, keys: [None] * len(keys))
    done = pronto("migrate", data)
    assert done.code == 4
    assert "not found: k" in done.err


def test_cursors_and_the_old_default_are_suggestions(old, data, pronto, ok, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    selection = tmp_path / "home/.local/etc/prontodb/cursor"
    selection.parent.mkdir(parents=True)
    selection.write_text("staging")
    with OldDatabase(named_file(data, "staging")) as staging:
        staging.set("k", "v")
    cursor_file(data / "main/cursors/dev.alice.cursor", str(named_file(data, "staging")), "alice", "org")
    done = pronto("migrate", data)
    assert "Cursor dev of alice used" in done.err
    assert "`pronto use default.staging`" in done.err
    assert ok("use").text == "default.default\n"


def test_on_a_terminal_the_plan_is_shown_and_asked_about(old, data, pronto, ok, root):
    old.set("k", "v")
    done = pronto("migrate", data, typed="n\n")
    assert done.code == 1
    assert "becomes default.default" in done.err
    assert not root.exists()
    assert pronto("migrate", data, typed="y\n").code == 0
    assert ok("get", "k").text == "v\n"


def test_with_yes_nobody_is_asked(old, data, pronto):
    old.set("k", "v")
    assert pronto("migrate", data, "--yes", typed="").code == 0


def test_without_anything_to_take_over_nothing_happens(pronto, monkeypatch, tmp_path, root):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    done = pronto("migrate")
    assert (done.code, done.err) == (0, "No data of ProntoDB was found.\n")
    assert not root.exists()


def test_a_path_that_cannot_be_one_is_refused(pronto):
    done = pronto("migrate", "\ud800")
    assert (done.code, done.out) == (1, b"")
    assert "cannot be used" in done.err
