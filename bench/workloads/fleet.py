"""Fleets: 1 to 32 agents that write flat out, each its own address, or eight of them the same one."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from time import monotonic, perf_counter_ns

from bench.adapters import CONTENDERS, Busy, Contender
from bench.agents import Outcome
from bench.harness import Run, rotated
from bench.measure import percentiles, settle
from bench.results import figure_row
from bench.stand import Stand
from bench.values import Values

NAME = "fleet"
VALUE_BYTES = 250
RECORDS = 500
PROCESSES = {"durable": (1, 4, 16, 32), "relaxed": (1, 4, 16)}
ON_ONE_ADDRESS = 8
SHARED_ADDRESS = "agents.all"
# An address of nobody, for the process that measures.
HOST = "host.main"
RELAXED = (
    "pronto-normal",
    "pronto-off",
    "raw-off",
    "bare-normal",
    "sqlite-normal",
    "legacy-normal",
    "redis-normal",
)
OWN = {
    "durable": (
        "pronto-full",
        "raw-full",
        "bare-full",
        "sqlite-full",
        "legacy-full",
        "plyvel-full",
        "rocksdict-full",
        "redis-full",
    ),
    "relaxed": RELAXED,
}
SHARED = {
    "durable": ("pronto-full", "raw-full", "bare-full", "sqlite-full", "legacy-full", "redis-full"),
    "relaxed": RELAXED,
}


@dataclass
class Writer:
    """An agent that overwrites its records flat out and reads all of them back at the end.

    Attributes:
        contender, directory, address: where it writes.
        seed: of its choices.
        first: index of the first of its records.

    """

    contender: str
    directory: str
    address: str
    seed: int
    first: int = 0

    def prepare(self) -> None:
        """Open the address and write every record once."""
        self._stand = Stand(CONTENDERS[self.contender], self.directory, Values(self.seed, VALUE_BYTES), self.address)
        self._stand.__enter__()
        self._stand.load(range(self.first, self.first + RECORDS))

    def run(self, until: float) -> Outcome:
        """Overwrite records; a refused write is tried again, and its waiting counts."""
        stand, random, clock = self._stand, Random(self.seed), perf_counter_ns
        latencies, refused, start = array("q"), 0, monotonic()
        while monotonic() < until:
            key, value = stand.pair(self.first + random.randrange(RECORDS))
            before = clock()
            while True:
                try:
                    stand.adapter.put(key, value)
                except Busy:
                    refused += 1
                else:
                    break
            latencies.append(clock() - before)
        return Outcome(latencies, monotonic() - start, refused)

    def finish(self) -> None:
        """Check that the address holds what was written and nothing else."""
        self._stand.check_all()
        self._stand.__exit__()


class SharingWriter(Writer):
    """A writer whose address others write as well, to records of their own."""

    def finish(self) -> None:
        """Check what this agent wrote."""
        self._stand.check_written(list(self._stand.ledger))
        self._stand.__exit__()


def run(run: Run) -> None:
    """Measure throughput over the number of processes."""
    for level, names in OWN.items():
        chosen = run.few(name for name in names if run.scale.complete or not name.endswith("-off"))
        for count in PROCESSES[level] if run.scale.complete else (16,):
            _measure(run, f"own address each, {level}", run.contenders(chosen), count, own_addresses, HOST)
    for level, names in SHARED.items():
        if run.scale.complete or level == "durable":
            _measure(
                run,
                f"one address, {level}",
                run.contenders(run.few(names)),
                ON_ONE_ADDRESS,
                one_address,
                SHARED_ADDRESS,
            )


def own_addresses(contender: str, directory: str, count: int, seed: int) -> list[Writer]:
    """Return writers with an address each."""
    return [Writer(contender, directory, f"agent{number}.main", seed + number) for number in range(count)]


def one_address(contender: str, directory: str, count: int, seed: int) -> list[Writer]:
    """Return writers on one address, with records of their own."""
    return [
        SharingWriter(contender, directory, SHARED_ADDRESS, seed + number, first=number * RECORDS)
        for number in range(count)
    ]


Crew = Callable[[str, str, int, int], list[Writer]]


def _measure(run: Run, case: str, contenders: Sequence[Contender], count: int, crew: Crew, host: str) -> None:
    outcomes: dict[str, list[list[Outcome]]] = {contender.name: [] for contender in contenders}
    with run.scratch(NAME) as directory:
        for number in range(rounds(run)):
            for contender in rotated(contenders, number):
                home = os.path.join(directory, contender.name)
                # A stand of our own keeps a server running until all are done, and has made what they share.
                with Stand(contender, home, Values(run.seed, VALUE_BYTES), host):
                    settle()
                    writers = crew(contender.name, home, count, run.seed + number)
                    outcomes[contender.name].append(run.agents.run(writers, run.scale.seconds))
    for name, found in outcomes.items():
        latencies = [latency for agents in found for outcome in agents for latency in outcome.latencies]
        refused = sum(outcome.refused for agents in found for outcome in agents)
        run.record(
            figure_row(
                NAME,
                case,
                name,
                "ops/s",
                [sum(outcome.rate for outcome in agents) for agents in found],
                {"processes": count, "value_bytes": VALUE_BYTES},
                operations=len(latencies),
                percentiles=percentiles(latencies),
                note=f"{refused} writes refused as busy and tried again" if refused else "",
            )
        )


def rounds(run: Run) -> int:
    """Return how many rounds there are: turns of several agents are long, so fewer will do."""
    return max(3, run.scale.rounds // 3)
