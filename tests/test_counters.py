"""Counters that several processes count up, while any of them is killed at any moment and started anew."""

from __future__ import annotations

import os
import random
import signal
import sys
import traceback
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest

import pronto_lmdb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pronto_lmdb import Keystore

pytestmark = [
    pytest.mark.disk,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]

PROCESSES = 4


def _increment(keystore: Keystore) -> None:
    keystore.increment("increment")


def _modify(keystore: Keystore) -> None:
    keystore.modify("modify", lambda value: value + 1, default=0)


def _transaction(keystore: Keystore) -> None:
    with keystore.transaction() as transaction:
        transaction["transaction"] = int(str(transaction.get("transaction", 0))) + 1


def _replace(keystore: Keystore) -> None:
    keystore.add("replace", 0)
    while True:
        entry = keystore.entry("replace")
        if keystore.replace("replace", int(str(entry.value)) + 1, revision=entry.revision):
            return


VERBS: list[Callable[[Keystore], None]] = [_increment, _modify, _transaction, _replace]
NAMES = [verb.__name__.removeprefix("_") for verb in VERBS]


def started(root: Path, told: int, seed: int) -> int:
    """Start a process that counts for ever, and says a byte for each count that was acknowledged: of which verb."""
    pid = os.fork()
    if pid == 0:
        try:
            chance = random.Random(seed)
            with pronto_lmdb.open(root, timeout=30) as store:
                keystore = store["counters"]
                while True:
                    number = chance.randrange(len(VERBS))
                    VERBS[number](keystore)
                    os.write(told, bytes([number]))
                    if chance.random() < 0.002:
                        store.compact("counters")
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        os._exit(1)
    return pid


def killed(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("level", ["full", "normal", "off"])
@pytest.mark.parametrize("seconds", [2, pytest.param(30, marks=[pytest.mark.soak, pytest.mark.timeout(300)])])
def test_no_acknowledged_count_is_lost(root: Path, level: str, seconds: int, tmp_path: Path) -> None:
    chance = random.Random(level)
    with pronto_lmdb.open(root) as store:
        store.create("counters", durability=level)
    with (tmp_path / "told").open("wb") as file:  # appended to by all: a write of one byte is whole or was not made
        told = os.open(file.name, os.O_WRONLY | os.O_APPEND)
        try:
            alive = [started(root, told, seed) for seed in range(PROCESSES)]
            kills, end = 0, monotonic() + seconds
            while monotonic() < end:
                sleep(chance.random() / 20)
                killed(alive.pop(chance.randrange(PROCESSES)))
                kills += 1
                alive.append(started(root, told, 1_000 + kills))
            for pid in alive:
                killed(pid)
        finally:
            os.close(told)
    acknowledged = (tmp_path / "told").read_bytes()
    with pronto_lmdb.open(root) as store:
        found = {name: int(str(store["counters"].get(name, 0))) for name in NAMES}
        assert store.check(deep=True).problems == []
    unsaid = sum(found.values()) - len(acknowledged)
    for number, name in enumerate(NAMES):
        assert found[name] >= acknowledged.count(number), name
    assert 0 <= unsaid <= kills + PROCESSES
    assert len(acknowledged) > 100
    assert kills > 10
