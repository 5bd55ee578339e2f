"""How fast the disk itself flushes: the physical limit of a durable write."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.measure import Timing, settle, timed
from bench.results import latency_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.harness import Run

NAME = "disk"
_BLOCK = bytes(512)
_PREPARED = 4 * 1024 * 1024


def run(run: Run) -> None:
    """Measure a flush after appending, and one after overwriting what is allocated already."""
    writes = run.scale.durable_writes
    with run.scratch(NAME) as directory, _opened(directory, "append") as growing, _opened(directory, "over") as fixed:
        os.write(fixed, bytes(_PREPARED))
        timings: dict[str, list[Timing]] = {"append and flush": [], "overwrite and flush": []}
        for number in range(run.scale.rounds):
            settle()
            timings["append and flush"].append(timed([(_append, (growing,))] * writes)[0])
            settle()
            places = [(number * writes + turn) * len(_BLOCK) % _PREPARED for turn in range(writes)]
            timings["overwrite and flush"].append(timed([(_overwrite, (fixed, place)) for place in places])[0])
    for case, found in timings.items():
        run.record(latency_row(NAME, case, "disk", found, {"bytes": len(_BLOCK)}))


@contextmanager
def _opened(directory: str, name: str) -> Iterator[int]:
    descriptor = os.open(os.path.join(directory, name), os.O_CREAT | os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _append(descriptor: int) -> None:
    os.write(descriptor, _BLOCK)
    os.fdatasync(descriptor)


def _overwrite(descriptor: int, place: int) -> None:
    os.pwrite(descriptor, _BLOCK, place)
    os.fdatasync(descriptor)
