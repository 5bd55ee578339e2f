"""A disk that accepts writes and then cannot keep them: nothing is acknowledged behind the hole, by any process.

The disk is a file system on a loop device, in a file of a smaller file system: what does not fit there fails when it is
flushed. The system reports that once, and the next flush succeeds without having saved anything. The disk itself is
honest: it never reports as written what is not (`small_disk`).
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from children import in_children
from small_disk import MIB, fill, looped, mounted, remounted

import pronto_lmdb
from pronto_lmdb import ProntoError, StoreFullError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.disk


@pytest.fixture
def below(tmp_path: Path) -> Iterator[Path]:
    """The file system that gives the disk its room."""
    with mounted(tmp_path / "below", 24 * MIB) as place:
        yield place


def work(root: Path, level: str, name: str, told: Path) -> None:
    """Write until the disk refuses, then some more; note each write that was acknowledged, and was made durable."""
    with told.open("a") as notes, suppress(StoreFullError), pronto_lmdb.open(root, timeout=5) as store:
        refused = 0
        for number in range(2_000):
            try:
                store["a"][f"{name}{number}"] = os.urandom(2_000)
                if level == "normal":
                    store["a"].sync()
            except ProntoError as error:
                refused += 1
                if not error.hint or refused > 20:
                    break
            else:
                notes.write(f"{name}{number}\n")
                notes.flush()
        if notes.tell():
            assert store["a"]["first"] == 1  # for those who have it open, reading goes on


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("level", ["full", "normal"])
def test_nothing_is_acknowledged_behind_a_failed_flush(below: Path, tmp_path: Path, level: str, processes: int) -> None:
    told = [tmp_path / f"told{number}" for number in range(processes)]
    image, disk = below / "image", tmp_path / "disk"
    with looped(disk, image, 20 * MIB):
        with pronto_lmdb.open(disk / "store", durability=level) as store:
            store["a"]["first"] = 1
            store["a"].sync()
        os.sync()
        filler = fill(below, leave=MIB)

        def worker(number: int) -> Any:
            return lambda: work(disk / "store", level, f"w{number}.", told[number])

        assert in_children([worker(number) for number in range(processes)]) == [0] * processes
        # Who comes later may find a view that has lost pages, and no room to make it anew.
        with suppress(StoreFullError), pronto_lmdb.open(disk / "store") as store:
            assert store["a"]["first"] == 1
        filler.unlink()
    acknowledged = {name for file in told if file.exists() for name in file.read_text().split()}
    assert acknowledged
    found = after_a_power_loss(image, tmp_path / "again")
    assert acknowledged - found == set()


def after_a_power_loss(image: Path, place: Path) -> set[str]:
    """Mount the disk anew, with nothing in memory that it does not hold, and return the keys."""
    with remounted(place, image):
        (place / "store" / "addresses" / "a.default" / "marker").unlink(missing_ok=True)
        with pronto_lmdb.open(place / "store") as store:
            keys = set(store["a"])
            store["a"]["again"] = 1
            assert store.check(deep=True).problems == []
    return keys
