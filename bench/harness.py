"""The run: who takes part, whose turn it is, and the rows that come of it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from bench.adapters import CONTENDERS, Contender
from bench.agents import Agents
from bench.measure import Timing
from bench.results import Parameters, Row, latency_row
from bench.stand import Stand

if TYPE_CHECKING:
    from bench.values import Values

Turn = Callable[[Stand, Random], Timing]
RowMaker = Callable[[str, str, str, Sequence[Timing], Parameters], Row]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        name: of the kind of run.
        rounds: turns of each contender in each case.
        records: how many an address holds, unless the case says otherwise.
        reads, durable_writes, relaxed_writes: operations in one turn.
        seconds: length of a turn that several agents share.
        complete: whether the cases that take long take part.

    """

    name: str
    rounds: int
    records: int
    reads: int
    durable_writes: int
    relaxed_writes: int
    seconds: float
    complete: bool


# Families of contenders: Pronto, the ceiling, its commit path by hand, SQLite, the old design, and no engine at all.
ESSENTIAL = frozenset(["pronto", "raw", "bare", "sqlite", "legacy", "memory"])
QUICK = Scale("quick", 4, 10_000, 4_000, 100, 1_000, 0.3, complete=False)
COMPLETE = Scale("complete", 7, 20_000, 8_000, 200, 1_000, 0.5, complete=True)


@dataclass
class Run:
    """One run of the workloads.

    Args:
        scale: how much.
        directory: an empty directory on the file system that is to be measured.
        seed: of every random choice.
        only: names of the contenders that take part; empty: all.

    """

    scale: Scale
    directory: str
    seed: int
    only: frozenset[str] = frozenset()
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _started: float = field(default_factory=monotonic)

    # -- contenders --------------------------------------------------------------------------------------------

    @cached_property
    def statuses(self) -> dict[str, str]:
        """For each contender ``measured``, or why it is not."""
        found = {}
        for name, contender in CONTENDERS.items():
            chosen = not self.only or name in self.only
            found[name] = (contender.obstacle() or "measured") if chosen else "not chosen"
        return found

    def contenders(self, names: Iterable[str]) -> list[Contender]:
        """Return those of some contenders that take part in this run."""
        return [CONTENDERS[name] for name in names if self.statuses[name] == "measured"]

    def few(self, names: Iterable[str]) -> list[str]:
        """Return those of some names for which there is time: all, or in a quick run the essential ones."""
        return [name for name in names if self.scale.complete or name.partition("-")[0] in ESSENTIAL]

    def reads(self, contender: Contender) -> int:
        """Return how many reads a turn of a contender has: fewer where each asks another thread or process."""
        return self.scale.reads // 10 if contender.distant else self.scale.reads

    def writes(self, contender: Contender) -> int:
        """Return how many writes a turn of a contender has: fewer where each waits for the disk."""
        return self.scale.durable_writes if contender.durability == "full" else self.scale.relaxed_writes

    # -- turns -------------------------------------------------------------------------------------------------

    @contextmanager
    def scratch(self, name: str) -> Iterator[str]:
        """Make a directory that goes at the end."""
        path = os.path.join(self.directory, name)
        os.makedirs(path)
        try:
            yield path
        finally:
            shutil.rmtree(path)

    @contextmanager
    def stands(self, names: Iterable[str], values: Values, records: int) -> Iterator[list[Stand]]:
        """Open the contenders side by side, each with the same records; at the end everything is checked."""
        with self.scratch("stands") as directory, ExitStack() as stack:
            stands = [
                stack.enter_context(Stand(contender, os.path.join(directory, contender.name), values))
                for contender in self.contenders(names)
            ]
            for stand in stands:
                stand.load(range(records))
            yield stands
            for stand in stands:
                stand.check_all()

    def interleave(self, case: str, stands: Sequence[Stand], turn: Turn) -> dict[str, list[Timing]]:
        """Let the contenders take turns, round by round, each round beginning with another one.

        All see the same random choices. A first round warms caches and is not counted.
        """
        timings: dict[str, list[Timing]] = {stand.name: [] for stand in stands}
        for number in range(self.scale.rounds + 1):
            for stand in rotated(stands, number):
                timing = turn(stand, Random(f"{self.seed}/{case}/{number}"))
                if number:
                    timings[stand.name].append(timing)
        return timings

    def measure(
        self,
        workload: str,
        case: str,
        stands: Sequence[Stand],
        turn: Turn,
        parameters: Parameters,
        make_row: RowMaker = latency_row,
    ) -> None:
        """Interleave a case and record a row for each contender."""
        for name, timings in self.interleave(f"{workload}/{case}", stands, turn).items():
            self.record(make_row(workload, case, name, timings, parameters))

    # -- results -----------------------------------------------------------------------------------------------

    def record(self, row: Row) -> None:
        """Keep a row and show it."""
        self.rows.append(row)
        given = " ".join(f"{name}={value}" for name, value in row.parameters.items())
        print(
            f"{monotonic() - self._started:6.0f} s  {row.workload:12} {row.case:34} {row.contender:16} "
            f"{row.figure:12,.2f} {row.unit:5} ±{row.noise:4.0%}  {given} {row.note}",
            file=sys.stderr,
            flush=True,
        )

    def note(self, workload: str, text: str) -> None:
        """Keep something that a reader must know about a whole workload, and show it."""
        self.notes.append(f"{workload}: {text}")
        print(f"{workload}: {text}", file=sys.stderr, flush=True)

    @cached_property
    def agents(self) -> Agents:
        """The processes that play agents, started at the first use."""
        return Agents()

    def close(self) -> None:
        """End the processes."""
        if "agents" in self.__dict__:
            self.agents.close()


def rotated(items: Sequence[Item], by: int) -> Sequence[Item]:
    """Return items in the same cyclic order, beginning with another one."""
    first = by % len(items) if items else 0
    return [*items[first:], *items[:first]]
