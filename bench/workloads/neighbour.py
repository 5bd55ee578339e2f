"""Neighbours: how long one agent's reads and writes take alone, and while eight others write flat out.

With a memory-only reader beside Pronto's writers the same is measured for no storage at all: what then remains
is the scheduler's.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass
from random import Random
from statistics import median
from time import monotonic, sleep

from bench.adapters import CONTENDERS
from bench.agents import Outcome, Task
from bench.harness import Run, rotated
from bench.measure import settle, timed
from bench.results import p99_row
from bench.stand import Stand
from bench.values import Values
from bench.workloads.fleet import VALUE_BYTES, Writer, rounds

NAME = "neighbour"
RECORDS = 5_000
NEIGHBOURS = 8
_BATCH = 200
# Between two batches: an agent thinks longer than it reads, and who never sleeps measures only the scheduler.
_PAUSE = 1e-3
# Who is measured, and whose writers are beside it.
PAIRS = {
    "pronto-full": "pronto-full",
    "raw-full": "raw-full",
    "sqlite-full": "sqlite-full",
    "legacy-full": "legacy-full",
    "memory-none": "pronto-full",
}
QUICK = ("pronto-full", "legacy-full", "memory-none")


@dataclass
class Reader:
    """An agent that reads its records, a batch and a pause after the other."""

    contender: str
    directory: str
    address: str
    seed: int

    def prepare(self) -> None:
        """Open the address and write every record once."""
        self._stand = Stand(CONTENDERS[self.contender], self.directory, Values(self.seed, VALUE_BYTES), self.address)
        self._stand.__enter__()
        self._stand.load(range(RECORDS))

    def run(self, until: float) -> Outcome:
        """Read, checking after each batch."""
        random, latencies, start = Random(self.seed), array("q"), monotonic()
        while monotonic() < until:
            indexes = [random.randrange(RECORDS) for _ in range(_BATCH)]
            timing, results = timed([self._stand.get_call(index) for index in indexes])
            self._stand.check(indexes, results)
            latencies.extend(timing.latencies)
            sleep(_PAUSE)
        return Outcome(latencies, monotonic() - start)

    def finish(self) -> None:
        """Close the address."""
        self._stand.__exit__()


def run(run: Run) -> None:
    """Measure gets and puts, alone and beside the writers."""
    chosen = PAIRS if run.scale.complete else {name: PAIRS[name] for name in QUICK}
    _measure(run, "get", Reader, chosen)
    if run.scale.complete:
        _measure(run, "put", Writer, {name: beside for name, beside in chosen.items() if name != "memory-none"})


def _measure(run: Run, verb: str, agent: type[Reader] | type[Writer], pairs: dict[str, str]) -> None:
    taking_part = {contender.name for contender in run.contenders([*pairs, *pairs.values()])}
    names = [name for name, beside in pairs.items() if {name, beside} <= taking_part]
    found: dict[tuple[str, int], list[array[int]]] = {(name, count): [] for name in names for count in (0, NEIGHBOURS)}
    with run.scratch(NAME) as directory:
        for number in range(rounds(run)):
            for name in rotated(names, number):
                home = os.path.join(directory, pairs[name])
                for count in (0, NEIGHBOURS):
                    settle()
                    tasks: list[Task] = [agent(name, home, "patient.main", run.seed + number)]
                    tasks += [
                        Writer(pairs[name], home, f"noisy{other}.main", run.seed + other) for other in range(count)
                    ]
                    found[name, count].append(run.agents.run(tasks, run.scale.seconds)[0].latencies)
    for (name, count), turns in found.items():
        parameters = {"neighbours": count, "value_bytes": VALUE_BYTES}
        rate = 1e9 / median(latency for turn in turns for latency in turn)
        note = "beside the writers of Pronto" if name == "memory-none" and count else ""
        run.record(p99_row(NAME, f"{verb}, p99", name, turns, parameters, rate=rate, note=note))
