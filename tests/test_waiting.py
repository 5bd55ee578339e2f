"""Whoever waits for a lock in vain is told who holds it."""

from __future__ import annotations

import fcntl
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

import pronto_lmdb
from pronto_lmdb import holders

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pronto_lmdb import Store

_WAIT = """
    import json, sys, pronto_lmdb
    with pronto_lmdb.open(sys.argv[1], timeout=0.05) as store:
        try:
            {statement}
        except pronto_lmdb.LockTimeoutError as error:
            print(json.dumps(str(error)))
    """


@pytest.mark.parametrize("statement", ["store['a'].put('key', 1)", "store.delete('a')", "store.compact('a')"])
def test_a_process_that_writes_is_named(
    store: Store, root: Path, in_another_process: Callable[..., Any], statement: str
) -> None:
    with store["a"].transaction() as transaction:
        transaction["key"] = 1
        said = in_another_process(_WAIT.format(statement=statement), root)
    assert said.startswith(f"a.default was locked by process {os.getpid()} (")


def test_a_process_that_changes_addresses_is_named(
    store: Store, root: Path, in_another_process: Callable[..., Any]
) -> None:
    store["a"]["key"] = 1
    with (root / "meta" / "lifecycle.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = in_another_process(_WAIT.format(statement="store.create('b')"), root)
    assert f"lifecycle.lock was locked by process {os.getpid()} (" in said


def test_a_thread_that_writes_is_named(root: Path) -> None:
    begun, done = threading.Event(), threading.Event()

    def write() -> None:
        with store["a"].transaction() as transaction:
            transaction["key"] = 1
            begun.set()
            done.wait()

    with pronto_lmdb.open(root, timeout=0.05) as store:
        thread = threading.Thread(target=write, name="slow writer")
        thread.start()
        begun.wait()
        with pytest.raises(pronto_lmdb.LockTimeoutError, match=r"a\.default .* by the thread 'slow writer' for 0.05 s"):
            store["a"]["other"] = 1
        done.set()
        thread.join()


def test_where_the_system_does_not_tell_it_is_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "LOCKS", str(tmp_path / "none"))
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert holders.named(lock.fileno()) == "another process"


def test_all_who_share_a_lock_are_named(tmp_path: Path, in_another_process: Callable[..., Any]) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        program = """
            import fcntl, json, os, sys
            from pronto_lmdb.holders import holders
            with open(sys.argv[1]) as lock:
                fcntl.flock(lock, fcntl.LOCK_SH)
                print(json.dumps([os.getpid(), holders(lock.fileno())]))
            """
        pid, found = in_another_process(program, tmp_path / "lock")
    assert found == sorted([pid, os.getpid()])


@pytest.mark.parametrize("verb", ["delete", "rename", "set_durability"])
def test_other_addresses_do_not_wait_behind_an_operation_that_waits_for_a_writer(root: Path, verb: str) -> None:
    arguments = {"delete": (), "rename": ("c",), "set_durability": ("off",)}[verb]
    with pronto_lmdb.open(root, timeout=60) as patient, pronto_lmdb.open(root, timeout=5) as store:
        with store["a"].transaction() as transaction:
            transaction["key"] = 1
            operation = threading.Thread(target=lambda: getattr(patient, verb)("a", *arguments))
            operation.start()
            for number in range(20):
                store.create(f"b{number}")
                store.delete(f"b{number}")
            assert operation.is_alive()
        operation.join()
        assert {"delete": lambda: not store.exists("a"), "rename": lambda: dict(store["c"]) == {"key": 1},
                "set_durability": lambda: store.info("a").durability == "off"}[verb]()  # fmt: skip


@pytest.mark.parametrize(
    "verb",
    [("compact", "a"), ("delete", "a"), ("rename", "a", "b"), ("set_durability", "a", "off")],
    ids=lambda v: v[0],
)
def test_who_would_wait_for_itself_is_told_at_once(store: Store, verb: tuple[str, ...]) -> None:
    with store["a"].transaction() as transaction:
        transaction["key"] = 1
        with pytest.raises(pronto_lmdb.ConflictError, match=r"transaction open on a\.default"):
            getattr(store, verb[0])(*verb[1:])
        with pytest.raises(pronto_lmdb.ConflictError, match=r"transaction open on a\.default"):
            store["a"]["key"] = 2
    assert dict(store["a"]) == {"key": 1}
    store.create("c")  # which would end an operation that had begun
    assert dict(store["a"]) == {"key": 1}
