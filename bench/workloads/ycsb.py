"""YCSB A to F: records of one kilobyte in ten fields, a load phase and mixed operations; updates write all fields."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bench.adapters import at
from bench.distributions import Distribution, Latest, Scrambled, Uniform
from bench.measure import Call, Timing, settle, timed, timed_bulk
from bench.results import latency_row, rate_row
from bench.stand import Stand, WrongAnswer
from bench.values import Records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from bench.harness import Run

NAME = "ycsb"
FIELD_BYTES = Records.FIELDS * Records.FIELD_LENGTH
LONGEST_SCAN = 100
# For each workload the share of reads, updates, inserts, scans and read-modify-writes, and what they pick.
MIXES = {
    "A": ({"read": 0.50, "update": 0.50}, "zipfian"),
    "B": ({"read": 0.95, "update": 0.05}, "zipfian"),
    "C": ({"read": 1.00}, "zipfian"),
    "D": ({"read": 0.95, "insert": 0.05}, "latest"),
    "E": ({"scan": 0.95, "insert": 0.05}, "zipfian"),
    "F": ({"read": 0.50, "modify": 0.50}, "zipfian"),
}
_UNIFORM = ("A", "C")


def run(run: Run) -> None:
    """Load and run all six, A and C also with uniform picks; those that write also for writes that do not wait.

    The quick run has no time for uniform picks and writes that do not wait.
    """
    cases = [(name, pick) for name, (_, pick) in MIXES.items()]
    if not run.scale.complete:
        _measure(run, "durable", run.few(at("full")), cases)
        return
    _measure(run, "durable", at("full"), [*cases, *((name, "uniform") for name in _UNIFORM)])
    writing = [(name, pick) for name, pick in cases if _writes(MIXES[name][0])]
    _measure(run, "relaxed", at("normal", "off"), writing)


def _measure(run: Run, level: str, names: Sequence[str], cases: Sequence[tuple[str, str]]) -> None:
    records = run.scale.records
    picks: dict[str, Distribution] = {"zipfian": Scrambled(records), "latest": Latest(records), "uniform": Uniform()}
    parameters = {"records": records, "value_bytes": FIELD_BYTES}
    with run.stands(names, Records(run.seed), 0) as stands:
        _load(run, level, stands, records)
        for name, pick in cases:
            mix = MIXES[name][0]
            able = [stand for stand in stands if stand.contender.seeks or "scan" not in mix]
            turn = partial(_turn, run, mix, picks[pick])
            run.measure(NAME, f"{name}, {pick}, {level}", able, turn, parameters, rate_row)


def _writes(mix: dict[str, float]) -> bool:
    return not set(mix) <= {"read", "scan"}


def _load(run: Run, level: str, stands: list[Stand], records: int) -> None:
    """Insert the records in batches of a tenth, the contenders taking turns."""
    batch = records // 10
    timings: dict[str, list[Timing]] = {stand.name: [] for stand in stands}
    for first in range(0, records, batch):
        for stand in stands:
            pairs = [stand.pair(index) for index in range(first, first + batch)]
            settle()
            timings[stand.name].append(timed_bulk(partial(stand.adapter.put_many, pairs), batch)[0])
    for name, found in timings.items():
        parameters = {"batch": batch, "records": records, "value_bytes": FIELD_BYTES}
        run.record(latency_row(NAME, f"load, {level}", name, found, parameters))


def _turn(run: Run, mix: dict[str, float], distribution: Distribution, stand: Stand, random: Random) -> Timing:
    count = run.writes(stand.contender) if _writes(mix) else run.reads(stand.contender)
    if "scan" in mix:
        count = min(count, max(1, run.scale.reads // 40))
    plan = _Plan(stand, distribution, random)
    for kind in random.choices(list(mix), list(mix.values()), k=count):
        plan.add(kind)
    settle()
    timing, results = timed(plan.calls)
    plan.check(results)
    return timing


class _Plan:
    """The operations of one turn, and for each of them how to check its result."""

    def __init__(self, stand: Stand, distribution: Distribution, random: Random) -> None:
        self._stand = stand
        self._pick: Callable[[], int] = lambda: distribution.pick(random, len(stand.ledger) - 1)
        self._random = random
        self._expected: list[Any] = []
        self._written: list[int] = []
        self.calls: list[Call] = []

    def add(self, kind: str) -> None:
        """Add one operation; the ledger is then as it will be after it."""
        getattr(self, f"_{kind}")()

    def _read(self) -> None:
        index = self._pick()
        self._expected.append(self._stand.expected(index))
        self.calls.append(self._stand.get_call(index))

    def _update(self) -> None:
        self._write(self._pick())

    def _insert(self) -> None:
        self._write(len(self._stand.ledger))

    def _write(self, index: int) -> None:
        self.calls.append(self._stand.put_call(index))
        self._expected.append(None)
        self._written.append(index)

    def _modify(self) -> None:
        """Read a record, change one field, write it: the result is what was read."""
        index = self._pick()
        adapter, before = self._stand.adapter, self._stand.expected(index)
        key, after = self._stand.pair(index)

        def modify() -> Any:
            record: Any = adapter.get(key)
            adapter.put(key, {**record, **after})
            return record

        self.calls.append((modify, ()))
        self._expected.append(before)
        self._written.append(index)

    def _scan(self) -> None:
        first, limit = self._pick(), self._random.randint(1, LONGEST_SCAN)
        stand, last = self._stand, min(first + limit, len(self._stand.ledger))
        start = stand.values.key(first)
        self._expected.append([(stand.values.key(index), stand.expected(index)) for index in range(first, last)])
        self.calls.append((lambda: list(stand.adapter.scan(start, limit)), ()))

    def check(self, results: list[Any]) -> None:
        """Compare the results with what was expected, and what was written with what is there now."""
        for expected, result in zip(self._expected, results, strict=True):
            if expected is not None and result != expected:
                raise WrongAnswer(f"{self._stand.name} returned {result!r:.200}, acknowledged was {expected!r:.200}")
        self._stand.check_written(self._written)
