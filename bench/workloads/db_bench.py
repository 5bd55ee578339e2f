"""The workloads of LevelDB's db_bench, once for durable writes and once for writes that do not wait."""

from __future__ import annotations

from functools import partial
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING

from bench.adapters import at
from bench.measure import Timing, timed, timed_bulk
from bench.values import Values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.harness import Run
    from bench.stand import Stand

NAME = "db_bench"
VALUE_BYTES = 100


def run(run: Run) -> None:
    """Run all eight, for each durability."""
    for level, names in {"durable": at("full"), "relaxed": at("normal", "off")}.items():
        _run_level(run, level, names)


def _run_level(run: Run, level: str, names: Sequence[str]) -> None:
    records, reads = run.scale.records, run.scale.reads
    writes = run.scale.durable_writes if level == "durable" else run.scale.relaxed_writes
    parameters = {"records": records, "value_bytes": VALUE_BYTES}
    reading: dict[str, Callable[[Stand, Random], Timing]] = {
        "readrandom": partial(_read_random, reads),
        "readmissing": partial(_read_missing, reads),
        "scan": _scan,
        "readwhilewriting": partial(_read_while_writing, reads),
    }
    writing: dict[str, Callable[[Stand, Random], Timing]] = {
        "fillseq": partial(_fill_sequential, writes),
        "fillrandom": partial(_fill_random, writes),
        "overwrite": partial(_overwrite, writes),
        # Each turn deletes other records, so they must last for all turns.
        "deleterandom": partial(_delete_random, min(writes, records // (2 * run.scale.rounds + 2))),
    }
    with run.stands(names, Values(run.seed, VALUE_BYTES), records) as stands:
        for case, turn in {**reading, **writing}.items():
            run.measure(NAME, f"{case}, {level}", stands, turn, parameters)


def _fill(stand: Stand, indexes: Sequence[int]) -> Timing:
    with stand.elsewhere() as empty:
        timing, _ = timed([empty.put_call(index) for index in indexes])
        empty.check_all()
    return timing


def _fill_sequential(count: int, stand: Stand, random: Random) -> Timing:
    return _fill(stand, range(random.randrange(10**6), 10**8)[:count])


def _fill_random(count: int, stand: Stand, random: Random) -> Timing:
    return _fill(stand, random.sample(range(10**6), count))


def _overwrite(count: int, stand: Stand, random: Random) -> Timing:
    indexes = [random.randrange(len(stand.ledger)) for _ in range(count)]
    timing, _ = timed([stand.put_call(index) for index in indexes])
    stand.check_written(indexes)
    return timing


def _read_random(count: int, stand: Stand, random: Random) -> Timing:
    indexes = [random.randrange(len(stand.ledger)) for _ in range(count)]
    timing, results = timed([stand.get_call(index) for index in indexes])
    stand.check(indexes, results)
    return timing


def _read_missing(count: int, stand: Stand, random: Random) -> Timing:
    indexes = [len(stand.ledger) + random.randrange(len(stand.ledger)) for _ in range(count)]
    timing, results = timed([stand.get_call(index) for index in indexes])
    stand.check(indexes, results)
    return timing


def _scan(stand: Stand, _: Random) -> Timing:
    timing, pairs = timed_bulk(lambda: list(stand.adapter.scan()), len(stand.ledger))
    stand.check_pairs(sorted(stand.ledger), pairs)
    return timing


def _delete_random(count: int, stand: Stand, random: Random) -> Timing:
    indexes = random.sample(sorted(stand.ledger), count)
    timing, _ = timed([stand.delete_call(index) for index in indexes])
    stand.check_written(indexes)
    return timing


def _read_while_writing(count: int, stand: Stand, random: Random) -> Timing:
    """Read while one thread of the same process overwrites, flat out, what is read."""
    indexes = [random.randrange(len(stand.ledger)) for _ in range(count)]
    before = dict(stand.ledger)
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
