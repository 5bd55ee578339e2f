"""A migration that is killed anywhere and run again ends as if it had not been killed."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import time

import pytest
from crash import killed_at
from old_program import OldDatabase, OldKey, named_file

import pronto_lmdb
from pronto_lmdb.migration import migrate

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def sources(data):
    with OldDatabase(named_file(data, "main")) as old:
        old.create_cache("sessions", "cache", 3600)
        old.now = int(time.time())
        for number in range(20):
            old.set(f"app.config.k{number}", "v")
            old.set(f"sessions.cache.k{number % 7}", "v")
        old.set("k", "v", meta="org")
        old.set("other", "v", meta="org")


def state(store):
    return {
        str(info.address): {
            key: (entry.value, entry.updated_at, entry.expires_at)
            for key in store[info.address]
            for entry in [store[info.address].entry(key)]
        }
        for info in store.addresses()
    }


def migrated(root, data):
    with pronto_lmdb.open(root) as store:
        migrate(data, store, split_meta=True, on_conflict="newest")


@pytest.fixture(autouse=True)
def _scratch(tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))


def test_killed_between_any_two_steps_and_run_again(root, tmp_path):
    data = tmp_path / "odx"
    sources(data)

    def prepare(path):
        with pronto_lmdb.open(path) as store:
            store["by.stander"]["kept"] = 1
            store["org.default"].update({"k": "mine", "more": "mine"})

    prepare(tmp_path / "whole")
    migrated(tmp_path / "whole", data)
    with pronto_lmdb.open(tmp_path / "whole") as store:
        wanted = state(store)
    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)
        prepare(root)
        died = killed_at(step, lambda: migrated(root, data))
        with pronto_lmdb.open(root) as store:
            half = state(store)
            for address, records in half.items():  # each address is as it was, or has all of it
                before = {key for key, (value, _, _) in wanted[address].items() if value in (1, "mine")}
                assert records.keys() in (wanted[address].keys(), before), (step, address)
            assert half.keys() >= {"by.stander", "org.default"}
        migrated(root, data)
        with pronto_lmdb.open(root) as store:
            found = state(store)
            assert {address: set(records) for address, records in found.items()} == {
                address: set(records) for address, records in wanted.items()
            }, step
            assert found["default.default"] == wanted["default.default"]
            assert store.check(deep=True).ok
            assert list((root / "meta" / "pending").iterdir()) == []
            assert list((root / "meta" / "adoption").iterdir()) == []
        if not died:
            assert step > 10, "nothing was killed"
            return


def test_killed_at_any_moment_and_run_again(root, tmp_path):
    data = tmp_path / "odx"
    with OldDatabase(named_file(data, "main")) as old:
        old.set_many((OldKey("p", "n", f"k{number}"), "v" * 50) for number in range(3_000))
    for delay in range(12):
        shutil.rmtree(root, ignore_errors=True)
        pid = os.fork()
        if pid == 0:
            try:
                migrated(root, data)
            finally:
                os._exit(0)
        time.sleep(delay * 0.02)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with pronto_lmdb.open(root) as store:
            assert len(store["default"]) in (0, 3_000)
        migrated(root, data)
        with pronto_lmdb.open(root) as store:
            assert len(store["default"]) == 3_000
            assert store.check(deep=True).ok
