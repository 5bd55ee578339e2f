"""Many addresses: creating them, touching one for the first time, listing them, and the memory that takes."""

from __future__ import annotations

import os
import sqlite3
from array import array
from contextlib import ExitStack, closing
from dataclasses import dataclass
from random import Random
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, Any, Protocol

import pronto_lmdb
from bench.adapters import CONTENDERS
from bench.adapters.legacy import FILE
from bench.agents import Agents, Outcome
from bench.harness import Run, rotated
from bench.machine import memory_mb
from bench.measure import Call, Timing, settle, timed
from bench.results import figure_row, latency_row
from bench.stand import WrongAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

NAME = "addresses"
SIZES = (1_000, 10_000, 100_000)
BLOCKS = 10
TOUCHES = 10_000
# More than any store keeps open: from here on memory must stay as it is.
_WARM = 1_000
# Up to which size everything is checked, too.
_CHECKED = 10_000
_KEY = "agent.profile.name"
# Up to which size each one goes: more of the others takes long to make and says nothing new.
CASES = {"pronto-full": SIZES[-1], "legacy-full": SIZES[1], "raw-full": SIZES[0], "sqlite-full": SIZES[0]}


class Estate(Protocol):
    """All addresses of one contender."""

    def create(self, address: str) -> None:
        """Make an address, empty."""
        ...

    def write(self, address: str) -> None:
        """Write the first record of an address, which need not exist; durable."""
        ...

    def read(self, address: str) -> Any:
        """Return the record of an address."""
        ...

    def names(self) -> Iterable[str]:
        """Return all addresses that hold something."""
        ...

    def close(self) -> None:
        """Close everything."""
        ...


class ProntoEstate:
    """One store, as a program would use it."""

    def __init__(self, _contender: str, directory: str) -> None:
        self._store = pronto_lmdb.open(directory, durability="full")

    def create(self, address: str) -> None:
        self._store.create(address)

    def write(self, address: str) -> None:
        self._store[address][_KEY] = address

    def read(self, address: str) -> Any:
        return self._store[address].get(_KEY)

    def names(self) -> Iterable[str]:
        return (str(info.address) for info in self._store.addresses())

    def close(self) -> None:
        self._store.close()


class AdapterEstate:
    """An adapter opened and closed for each use, as one must where nothing keeps open addresses within bounds."""

    def __init__(self, contender: str, directory: str) -> None:
        self._contender = CONTENDERS[contender]
        self._directory = directory

    def create(self, address: str) -> None:
        self._opened(address).close()

    def write(self, address: str) -> None:
        adapter = self._opened(address)
        adapter.put(_KEY, address)
        adapter.close()

    def read(self, address: str) -> Any:
        adapter = self._opened(address)
        value = adapter.get(_KEY)
        adapter.close()
        return value

    def _opened(self, address: str) -> Any:
        adapter = self._contender.make()
        adapter.open(self._directory, address)
        return adapter

    def names(self) -> Iterable[str]:
        return sorted(entry.name.removesuffix(".sqlite3") for entry in os.scandir(self._directory))

    def close(self) -> None:
        pass


class LegacyEstate(AdapterEstate):
    """The shared file: an address exists as soon as a row names it."""

    def names(self) -> Iterator[str]:
        with closing(sqlite3.connect(os.path.join(self._directory, FILE))) as connection:
            for project, namespace in connection.execute("SELECT DISTINCT project, namespace FROM kv ORDER BY 1, 2"):
                yield f"{project}.{namespace}"


ESTATES: dict[str, Callable[[str, str], Estate]] = {"pronto-full": ProntoEstate, "legacy-full": LegacyEstate}


def estate(contender: str, directory: str) -> Estate:
    """Return all addresses of a contender."""
    os.makedirs(directory, exist_ok=True)
    make = ESTATES.get(contender, AdapterEstate)
    return make(contender, directory)


@dataclass
class Visitor:
    """An agent that touches addresses it has not opened before, each once."""

    contender: str
    directory: str
    addresses: Sequence[str]

    def prepare(self) -> None:
        """Open the store, not the addresses."""
        self._estate = estate(self.contender, self.directory)

    def run(self, _: float) -> Outcome:
        """Read the record of every address; memory is compared with that after the first ones."""
        latencies, begun, warm = array("q"), monotonic(), 0.0
        settled = min(_WARM, len(self.addresses) - 1)
        for number, address in enumerate(self.addresses):
            before = perf_counter_ns()
            found = self._estate.read(address)
            latencies.append(perf_counter_ns() - before)
            if found != address:
                raise WrongAnswer(f"{self.contender}: {address} holds {found!r:.100} instead of its own record.")
            if number == settled:
                warm = memory_mb()
        figures = {"grown": memory_mb() - warm, "total": memory_mb()}
        return Outcome(latencies, monotonic() - begun, figures=figures)

    def finish(self) -> None:
        """Close the store."""
        self._estate.close()


@dataclass
class Auditor:
    """An agent that checks a whole store."""

    directory: str

    def prepare(self) -> None:
        """Open the store, not the addresses."""
        self._store = pronto_lmdb.open(self.directory)

    def run(self, _: float) -> Outcome:
        """Check everything."""
        begun = monotonic()
        report = self._store.check()
        if not report.ok:
            raise WrongAnswer(f"A check finds {report.problems[0]}.")
        return Outcome(array("q"), monotonic() - begun, figures={"total": memory_mb()})

    def finish(self) -> None:
        """Close the store."""
        self._store.close()


def run(run: Run) -> None:
    """Let every contender grow to a size, measure it, go on to the next size."""
    sizes, names = (SIZES, [*CASES]) if run.scale.complete else (SIZES[:1], ["pronto-full", "legacy-full"])
    with run.scratch(NAME) as directory, ExitStack() as stack:
        estates: dict[str, Estate] = {}
        for contender in run.contenders(names):
            estates[contender.name] = estate(contender.name, os.path.join(directory, contender.name))
            stack.callback(estates[contender.name].close)
        for smaller, size in zip((0, *sizes), sizes, strict=False):
            growing = [name for name in estates if size <= CASES[name]]
            _create(run, {name: estates[name] for name in growing}, range(smaller, size))
            for name in growing:
                _list(run, name, estates[name], size)
                _touch(run, name, os.path.join(directory, name), size)
            if "pronto-full" in estates and size <= _CHECKED:
                _check(run, os.path.join(directory, "pronto-full"), size)


def address(number: int) -> str:
    """Return the name of an address; names sort as their numbers do."""
    return f"agent{number:06d}.main"


def _create(run: Run, estates: dict[str, Estate], numbers: range) -> None:
    """Create addresses in blocks: every other one explicitly, and all by writing to them."""
    made: dict[str, list[Timing]] = {name: [] for name in estates}
    written: dict[str, list[Timing]] = {name: [] for name in estates}
    blocks = [
        numbers[first : first + len(numbers) // BLOCKS] for first in range(0, len(numbers), len(numbers) // BLOCKS)
    ]
    for turn, block in enumerate(blocks):
        for name in rotated(list(estates), turn):
            settle()
            creating: list[Call] = [(estates[name].create, (address(number),)) for number in block[::2]]
            writing: list[Call] = [(estates[name].write, (address(number),)) for number in block[1::2]]
            made[name].append(timed(creating)[0])
            written[name].append(timed(writing)[0])
            timed([(estates[name].write, (address(number),)) for number in block[::2]])
    parameters = {"addresses": numbers.stop}
    for name in estates:
        run.record(latency_row(NAME, "create", name, made[name], parameters))
        run.record(latency_row(NAME, "create by a first durable write", name, written[name], parameters))


def _check(run: Run, directory: str, size: int) -> None:
    """Check all addresses, in a process that has opened none of them; nothing else does this."""
    with Agents() as agents:
        outcome = agents.run([Auditor(directory)], 0)[0]
    parameters = {"addresses": size}
    run.record(figure_row(NAME, "check all", "pronto-full", "s", [outcome.elapsed], parameters))
    run.record(figure_row(NAME, "memory after a check", "pronto-full", "MB", [outcome.figures["total"]], parameters))


def _list(run: Run, name: str, addresses: Estate, size: int) -> None:
    expected = [address(number) for number in range(size)]
    seconds = []
    for _ in range(run.scale.rounds):
        timing, results = timed([(lambda: list(addresses.names()), ())])
        if results[0] != expected:
            raise WrongAnswer(f"{name} lists {len(results[0])} addresses where {size} were created.")
        seconds.append(timing.elapsed)
    run.record(figure_row(NAME, "list all", name, "s", seconds, {"addresses": size}))


def _touch(run: Run, name: str, directory: str, size: int) -> None:
    """Touch addresses in a process that has opened none of them: the median of ten parts, and its memory.

    Then another process touches the same ones, whose files the system has read a moment ago.
    """
    chosen = Random(run.seed).sample(range(size), min(size, TOUCHES))
    parameters = {"addresses": size}
    for case in ("first touch", "first touch, once more"):
        visitor = Visitor(name, directory, [address(number) for number in chosen])
        # A process that nobody used before: what others left in its memory would count.
        with Agents() as agents:
            outcome = agents.run([visitor], 0)[0]
        part = len(chosen) // BLOCKS
        timings = []
        for first in range(0, len(chosen), part):
            latencies = outcome.latencies[first : first + part]
            timings.append(Timing(latencies, sum(latencies) / 1e9, len(latencies)))
        run.record(latency_row(NAME, case, name, timings, parameters))
    for figure, case in {"total": "memory after touching", "grown": f"memory growth after {_WARM} touches"}.items():
        note = f"{len(chosen):,} addresses touched"
        run.record(figure_row(NAME, case, name, "MB", [outcome.figures[figure]], parameters, note=note))
