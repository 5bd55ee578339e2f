"""The workloads of LevelDB's db_bench, once for durable writes and once for writes that do not wait."""

from __future__ import annotations

from functools import partial
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING

from bench.adapters import at
from bench.measure import Timing, settle, timed
from bench.results import latency_row, rate_row
from bench.values import Values
from bench.workloads import turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.harness import Run
    from bench.stand import Stand
    from bench.workloads.turns import Count

    Cases = dict[str, Callable[[Stand, Random], Timing]]

NAME = "db_bench"
VALUE_BYTES = 100


def run(run: Run) -> None:
    """Run all eight; two of those that write also for writes that do not wait, for which a quick run has no time."""
    reading: Cases = {
        "readrandom": partial(turns.gets, run.reads),
        "readmissing": partial(turns.misses, run.reads),
        "scan": turns.scan,
    }
    writing: Cases = {
        "readwhilewriting": partial(_read_while_writing, run.reads),
        "fillseq": partial(_fill_sequential, run.writes),
        "fillrandom": partial(_fill_random, run.writes),
        "overwrite": partial(turns.puts, run.writes),
        "deleterandom": partial(_delete_random, run),
    }
    _measure(run, "durable", run.few(at("full")), {**reading, **writing})
    if run.scale.complete:
        relaxed = {case: writing[case] for case in ("readwhilewriting", "overwrite")}
        _measure(run, "relaxed", at("normal", "off"), relaxed)


def _measure(run: Run, level: str, names: Sequence[str], cases: Cases) -> None:
    parameters = {"records": run.scale.records, "value_bytes": VALUE_BYTES}
    with run.stands(names, Values(run.seed, VALUE_BYTES), run.scale.records) as stands:
        for case, turn in cases.items():
            # Readers beside a writer differ in how long they stand still, not in their median.
            make_row = rate_row if case == "readwhilewriting" else latency_row
            run.measure(NAME, f"{case}, {level}", stands, turn, parameters, make_row)


def _fill(stand: Stand, indexes: Sequence[int]) -> Timing:
    with stand.elsewhere() as empty:
        calls = [empty.put_call(index) for index in indexes]
        settle()
        timing, _ = timed(calls)
        empty.check_all()
    return timing


def _fill_sequential(count: Count, stand: Stand, _: Random) -> Timing:
    return _fill(stand, range(count(stand.contender)))


def _fill_random(count: Count, stand: Stand, random: Random) -> Timing:
    return _fill(stand, random.sample(range(10**6), count(stand.contender)))


def _delete_random(run: Run, stand: Stand, random: Random) -> Timing:
    # Each turn deletes other records, which must last for all turns.
    count = min(run.writes(stand.contender), run.scale.records // (2 * run.scale.rounds + 2))
    indexes = random.sample(sorted(stand.ledger), count)
    calls = [stand.delete_call(index) for index in indexes]
    settle()
    timing, _ = timed(calls)
    stand.check_written(indexes)
    return timing


def _read_while_writing(count: Count, stand: Stand, random: Random) -> Timing:
    """Read while one thread of the same process overwrites, flat out, what is read."""
    indexes = [random.randrange(len(stand.ledger)) for _ in range(count(stand.contender))]
    before = dict(stand.ledger)
    settle()
    with _Writer(stand, Random(random.random())):
        timing, results = timed([stand.get_call(index) for index in indexes])
    for index, result in zip(indexes, results, strict=True):
        versions = range(before[index], stand.ledger[index] + 1)
        if not any(result == stand.values.value(index, version) for version in versions):
            raise stand.wrong(index, result)
    return timing


class _Writer:
    """A thread that overwrites random records as long as the block lasts."""

    def __init__(self, stand: Stand, random: Random) -> None:
        self._stand = stand
        self._random = random
        self._begun = Event()
        self._stop = Event()
        self._thread = Thread(target=self._write)
        self._written: list[int] = []
        self._failure: Exception | None = None

    def __enter__(self) -> None:
        self._thread.start()
        self._begun.wait()

    def _write(self) -> None:
        stand, records = self._stand, len(self._stand.ledger)
        adapter = stand.adapter.sibling()
        try:
            while not self._stop.is_set():
                index = self._random.randrange(records)
                adapter.put(*stand.pair(index))
                self._written.append(index)
                self._begun.set()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            self._failure = error
        finally:
            self._begun.set()
            if adapter is not stand.adapter:
                adapter.close()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        self._stand.check_written(self._written)
