"""A process that is killed at any of its calls to the disk, beside another writer, leaves a store that is whole.

Power cuts are the business of test_powercut.py; here the system lives on, and memory with it.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

import pronto_lmdb
from pronto_lmdb import checkpoint, journal, recovery
from pronto_lmdb.commit import Commit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from pronto_lmdb import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

CALLS = ("pwrite", "fsync", "fdatasync", "replace", "rename", "unlink", "mkdir", "rmdir", "posix_fallocate")
LEVELS = ("full", "normal", "off")


def script(chance: random.Random) -> Iterator[tuple[str, Callable[[Store], object], dict[str, int | None]]]:
    """Yield operations: what they are called, how they are done, and what they leave in which keys."""
    for number in range(6):
        one, other = f"k{chance.randrange(8)}", f"k{chance.randrange(8)}"
        yield "put", lambda store, key=one, value=number: store["a"].put(key, value), {one: number}
        yield "delete", lambda store, key=other: store["a"].delete_many([key]), {other: None}
        both = {one: -number, "large": number}
        yield "update", lambda store, values=both: store["a"].update(values), both
        yield "sync", lambda store: store["a"].sync(), {}
        level = chance.choice(LEVELS)
        yield "level", lambda store, level=level: store.set_durability("a", level), {}


def count_calls(step: int) -> None:
    """Die right before call number ``step`` of this process."""
    left = itertools.count(step, -1)

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    for module in (journal, checkpoint, recovery):
        module.flush_data = os.fdatasync  # type: ignore[attr-defined]
    checkpoint.copy_compact = counted(checkpoint.copy_compact)
    Commit._commit = counted(Commit._commit)  # type: ignore[method-assign]


def killed(root: Path, seed: int, step: int, told: int) -> bool:
    """Run the script in a child that dies at a step and tells of each operation it has finished."""
    pid = os.fork()
    if pid == 0:
        try:
            with pronto_lmdb.open(root, timeout=5) as store:
                count_calls(step)
                for _, operation, _ in script(random.Random(seed)):
                    operation(store)
                    os.write(told, b".")
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed"
    return os.WIFSIGNALED(status)


def states(seed: int) -> list[dict[str, int]]:
    """Return what the address holds after each number of operations."""
    found: list[dict[str, int]] = [{}]
    for _, _, changes in script(random.Random(seed)):
        merged = {**found[-1], **changes}
        found.append({key: value for key, value in merged.items() if value is not None})
    return found


def kill_everywhere(root: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> int:
    # A checkpoint every few commits.
    monkeypatch.setattr("pronto_lmdb.identity.SMALLEST_LIMIT", 400)
    monkeypatch.setattr("pronto_lmdb.identity._LIMIT_BASES", 0)
    expected = states(seed)
    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)
        with pronto_lmdb.open(root, durability=LEVELS[seed % 3]) as store:
            store.create("a")
        told, tell = os.pipe()
        died = killed(root, seed, step, tell)
        os.close(tell)
        with os.fdopen(told, "rb") as reader:
            acknowledged = len(reader.read())
        with pronto_lmdb.open(root, timeout=5) as store:
            # The operation under way may have happened or not.
            assert dict(store["a"]) in expected[acknowledged : acknowledged + 2], (seed, step)
            store["a"]["after"] = step
            report = store.check(deep=True)
            assert report.ok, (seed, step, report.problems)
        if not died:
            assert acknowledged == len(expected) - 1
            return step
    raise AssertionError


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_and_nobody_waits_wherever_a_process_is_killed(
    root: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kill_everywhere(root, seed, monkeypatch) > 50


@pytest.mark.soak
def test_the_same_a_hundred_times(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(100):
        kill_everywhere(root, seed, monkeypatch)
