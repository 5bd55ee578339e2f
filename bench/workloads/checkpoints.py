"""Puts while checkpoints happen: one agent overwrites random records until its journal was replaced several times.

The longest stall is the point. Pronto copies the whole store when its journal has outgrown it, SQLite moves pages from
its log into its file every thousand pages, LMDB by hand never does such a thing.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import TYPE_CHECKING

from bench.harness import Run, rotated
from bench.measure import Timing, percentiles, settle, timed
from bench.results import figure_row
from bench.values import Values
from bench.workloads.fleet import rounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.stand import Stand

NAME = "checkpoints"
CASE = "put while checkpoints happen"
MEGABYTE = 10**6


@dataclass(frozen=True)
class Size:
    """How much a store holds; the values of a large one are large, so that its journal fills within seconds."""

    megabytes: int
    value_bytes: int

    @property
    def records(self) -> int:
        """How many records that are."""
        return self.megabytes * MEGABYTE // self.value_bytes

    @property
    def puts(self) -> int:
        """How many puts of a turn fill the journal some times over."""
        return int(max(self.megabytes * MEGABYTE, SMALLEST_LIMIT) / self.value_bytes * FILLS)


# For each case who takes part, and the sizes; a quick run has time for the first one.
CASES = {
    CASE: (("pronto-full", "raw-full", "sqlite-full"), (Size(1, 4_000), Size(10, 4_000), Size(100, 16_000))),
    f"{CASE}, relaxed": (("pronto-normal", "raw-off", "sqlite-normal"), (Size(1, 250), Size(10, 250))),
}
# A journal may grow to the size of the store, and to this at least.
SMALLEST_LIMIT = 1024 * 1024
FILLS = 2.5
# A turn ends early after as many times the seconds that several agents share one.
_LONGEST = 10
_LOAD = 500
# Puts between two looks at the journal: fewer than fill the smallest one.
_GLANCE = 20


def run(run: Run) -> None:
    """Measure every case at every size."""
    for case, (names, sizes) in CASES.items():
        for size in sizes if run.scale.complete else sizes[:1]:
            _measure(run, case, names, size)


def _measure(run: Run, case: str, names: Sequence[str], size: Size) -> None:
    with run.stands(names, Values(run.seed, size.value_bytes), 0) as stands:
        writers = [Writer(stand, size) for stand in stands]
        for number in range(rounds(run)):
            for writer in rotated(writers, number):
                settle()
                writer.turn(Random(f"{run.seed}/{case}/{number}"), run.scale.seconds * _LONGEST)
    for writer in writers:
        _record(run, case, writer)


class Writer:
    """An agent that overwrites the records of a stand, keeping an eye on the journal.

    Args:
        stand: empty.
        size: how much to fill it with.

    Attributes:
        timings: one for each turn.
        checkpoints: how many were seen during the turns.

    """

    def __init__(self, stand: Stand, size: Size) -> None:
        self.stand = stand
        self.size = size
        self.timings: list[Timing] = []
        self.checkpoints = 0
        for first in range(0, size.records, _LOAD):
            stand.load(range(first, min(first + _LOAD, size.records)))
        self._journal = journal(stand)

    def turn(self, random: Random, seconds: float) -> None:
        """Fill the journal some times over, or for some seconds."""
        latencies, elapsed = array("q"), 0.0
        while len(latencies) < self.size.puts and elapsed < seconds:
            indexes = [random.randrange(self.size.records) for _ in range(_GLANCE)]
            timing, _ = timed([self.stand.put_call(index) for index in indexes])
            latencies.extend(timing.latencies)
            elapsed += timing.elapsed
            self.stand.check_written(indexes)
            self._look()
        self.timings.append(Timing(latencies, elapsed, len(latencies)))

    def _look(self) -> None:
        before, self._journal = self._journal, journal(self.stand)
        self.checkpoints += self._journal != before


def journal(stand: Stand) -> str:
    """Return the file name of Pronto's journal, which a checkpoint changes; empty for the others."""
    try:
        names = os.listdir(os.path.join(stand.directory, "addresses", stand.address))
    except FileNotFoundError:
        return ""
    return next((name for name in names if name.startswith("journal-")), "")


def _record(run: Run, case: str, writer: Writer) -> None:
    """Record the longest stall of a turn, and what all the puts took."""
    latencies = [latency for timing in writer.timings for latency in timing.latencies]
    note = f"{len(latencies):,} puts"
    if writer.stand.name.startswith("pronto"):
        note += f", {writer.checkpoints} checkpoints"
    run.record(
        figure_row(
            NAME,
            case,
            writer.stand.name,
            "ms",
            [max(timing.latencies) / 1e6 for timing in writer.timings],
            {"megabytes": writer.size.megabytes, "value_bytes": writer.size.value_bytes},
            operations=len(latencies),
            percentiles=percentiles(latencies),
            rate=median(timing.rate for timing in writer.timings),
            note=note,
        )
    )
