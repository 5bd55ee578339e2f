"""Backup: a snapshot of many addresses against a copy of the same bytes, a second one, and writers beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from array import array
from random import Random
from time import monotonic, perf_counter, perf_counter_ns
from typing import TYPE_CHECKING

import pronto_lmdb
from bench.agents import Outcome, Task
from bench.measure import settle
from bench.results import figure_row, p99_row
from bench.stand import WrongAnswer
from bench.values import Values
from bench.workloads.fleet import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.harness import Run

NAME = "backup"
OURS = "pronto-full"
ADDRESSES = {"quick": 200, "complete": 10_000}
RECORDS = 40
VALUE_BYTES = 250
ROUNDS = 3
WRITERS = 8
_COPY = "copy"
# Of the addresses, before the second backup of a round.
CHANGED = 100


def run(run: Run) -> None:
    """Take turns with a plain copy; then let writers go on with and without backups."""
    if not run.contenders([OURS]):
        return
    count = ADDRESSES.get(run.scale.name, 20)
    with run.scratch(NAME) as directory:
        _fill(os.path.join(directory, "store"), count, Values(run.seed, VALUE_BYTES))
        _compare(run, directory, count)
    _beside(run)


def _fill(root: str, count: int, values: Values) -> None:
    content = {values.key(index): values.value(index, 0) for index in range(RECORDS)}
    with pronto_lmdb.open(root, durability="normal") as store:  # a snapshot costs the same at each level
        for number in range(count):
            store[f"agent{number:05}.main"].update(content)


def _compare(run: Run, directory: str, count: int) -> None:
    root = os.path.join(directory, "store")
    random = Random(run.seed)
    seconds: dict[tuple[str, str], list[float]] = {}

    def timed(case: str, contender: str, action: Callable[..., object], *arguments: object) -> None:
        settle()
        before = perf_counter()
        action(*arguments)
        seconds.setdefault((case, contender), []).append(perf_counter() - before)

    with pronto_lmdb.open(root) as store:
        for number in range(ROUNDS if count < ADDRESSES["complete"] else 2):
            elsewhere = os.path.join(directory, f"round{number}")
            timed("first backup", OURS, store.backup, None, None, elsewhere)
            (first,) = store.snapshots(elsewhere)
            for what, source in (("snapshot", str(first.path)), ("addresses", os.path.join(root, "addresses"))):
                timed(f"cp and sync of the {what}", "disk", _copy, source, elsewhere)
                shutil.rmtree(os.path.join(elsewhere, _COPY))
            changed = random.sample(range(count), max(1, count // CHANGED))
            for index in changed:
                store[f"agent{index:05}.main"]["changed"] = number
            timed("second backup, 1 % changed", OURS, store.backup, None, None, elsewhere)
            second = store.snapshots(elsewhere)[1]
            _check(store, second, changed, number)
            timed("restore of one address", OURS, _restore, store, second, changed[0])
            # What more it takes out of a snapshot of many is the price of a longer manifest.
            alone = store.backup(f"agent{changed[0]:05}.main", None, os.path.join(elsewhere, "alone"))
            timed("restore of one address, alone in its snapshot", OURS, _restore, store, alone, changed[0])
            shutil.rmtree(elsewhere)
    for (case, contender), rounds in seconds.items():
        parameters = {"addresses": count, "records": RECORDS, "value_bytes": VALUE_BYTES}
        run.record(figure_row(NAME, case, contender, "s", rounds, parameters))


def _copy(source: str, directory: str) -> None:
    subprocess.run(["cp", "-r", source, os.path.join(directory, _COPY)], check=True)
    os.sync()


def _restore(store: pronto_lmdb.Store, snapshot: pronto_lmdb.Snapshot, index: int) -> None:
    store.restore(snapshot, f"agent{index:05}.main", overwrite=True)


def _check(store: pronto_lmdb.Store, snapshot: pronto_lmdb.Snapshot, changed: Sequence[int], number: int) -> None:
    """Look into the second snapshot: what was changed is in it, and all of it is whole."""
    report = store.verify(snapshot)
    if not report.ok:
        raise WrongAnswer(f"{OURS}: {report.problems[0]}")
    address = f"agent{changed[-1]:05}.main"
    store.restore(snapshot, address, to="check.main", overwrite=True)
    if store["check.main"].get("changed") != number or len(store["check.main"]) != RECORDS + 1:
        raise WrongAnswer(f"{OURS}: the snapshot does not hold what {address} held")
    store.delete("check.main")
    store.purge()


# -- beside writers --------------------------------------------------------------------------------------------------


class Taker:
    """An agent that takes one snapshot after the other."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def prepare(self) -> None:
        """Open the store."""
        self._store = pronto_lmdb.open(self._directory)

    def run(self, until: float) -> Outcome:
        """Take snapshots."""
        latencies, start = array("q"), monotonic()
        while monotonic() < until:
            before = perf_counter_ns()
            self._store.backup()
            latencies.append(perf_counter_ns() - before)
            self._store.prune(keep_last=1)
        return Outcome(latencies, monotonic() - start)

    def finish(self) -> None:
        """Look at the last one, and close."""
        (snapshot,) = self._store.snapshots()
        report = self._store.verify(snapshot, deep=True)
        if not report.ok:
            raise WrongAnswer(f"{OURS}: {report.problems[0]}")
        self._store.close()


def _beside(run: Run) -> None:
    found: dict[int, list[array[int]]] = {0: [], 1: []}
    with run.scratch(NAME) as directory:
        home = os.path.join(directory, "beside")
        for number in range(ROUNDS):
            for backups in found:
                settle()
                tasks: list[Task] = [
                    Writer(OURS, home, f"agent{index}.main", run.seed + number + index) for index in range(WRITERS)
                ]
                tasks += [Taker(home) for _ in range(backups)]
                outcomes = run.agents.run(tasks, run.scale.seconds)[:WRITERS]
                latencies = array("q")
                for outcome in outcomes:
                    latencies.extend(outcome.latencies)
                found[backups].append(latencies)
    for backups, turns in found.items():
        parameters = {"backups": backups, "value_bytes": VALUE_BYTES}
        run.record(p99_row(NAME, "put of 8 writers, p99", OURS, turns, parameters))
