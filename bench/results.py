"""Rows of figures, their JSON file, and how two of them compare."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from bench.measure import Timing, percentile, percentiles, spread

FORMAT = 1
# The unit of a row says which direction is good.
HIGHER_IS_BETTER = frozenset(["ops/s"])

Parameters = Mapping[str, int]


@dataclass(frozen=True)
class Row:
    """What one contender did in one case.

    Attributes:
        workload, case, contender, parameters: what was measured.
        unit: of ``figure`` and ``rounds``; ``us`` (for one operation or item), ``ms``, ``s``, ``B``, ``MB``, ``ops/s``.
        figure: the median of the rounds.
        rounds: one figure for each round, in order; contenders of a case were interleaved round by round.
        operations: how many were measured in all rounds.
        percentiles: of all latencies of all rounds, and their mean, in microseconds.
        rate: median over the rounds of operations per second, where that says more than the figure.
        note: what a reader must know.

    """

    workload: str
    case: str
    contender: str
    unit: str
    figure: float
    rounds: list[float]
    operations: int
    parameters: dict[str, int] = field(default_factory=dict)
    percentiles: dict[str, float] = field(default_factory=dict)
    rate: float | None = None
    note: str = ""

    @property
    def noise(self) -> float:
        """Interquartile range of the rounds, relative to the figure."""
        return spread(self.rounds)


def latency_row(workload: str, case: str, contender: str, timings: Sequence[Timing], parameters: Parameters) -> Row:
    """Return the row of turns whose figure is the median latency of one operation or item."""
    rounds = [timing.middle for timing in timings]
    return figure_row(workload, case, contender, "us", rounds, parameters, **_totals(timings))


def rate_row(workload: str, case: str, contender: str, timings: Sequence[Timing], parameters: Parameters) -> Row:
    """Return the row of turns whose operations differ so much that only their rate says something."""
    rounds = [timing.rate for timing in timings]
    return figure_row(workload, case, contender, "ops/s", rounds, parameters, **_totals(timings))


def p99_row(
    workload: str, case: str, contender: str, turns: Sequence[Sequence[int]], parameters: Parameters, **extra: Any
) -> Row:
    """Return the row of turns, latencies in nanoseconds, whose figure is what a hundredth of each exceeds."""
    pooled = [latency for turn in turns for latency in turn]
    rounds = [percentile(sorted(turn), 0.99) / 1000 for turn in turns]
    extra |= {"operations": len(pooled), "percentiles": percentiles(pooled)}
    return figure_row(workload, case, contender, "us", rounds, parameters, **extra)


def _totals(timings: Sequence[Timing]) -> dict[str, Any]:
    single = all(timing.operations == len(timing.latencies) for timing in timings)
    return {
        "operations": sum(timing.operations for timing in timings),
        "percentiles": percentiles([each for timing in timings for each in timing.latencies]) if single else {},
        "rate": median(timing.rate for timing in timings),
    }


def figure_row(
    workload: str, case: str, contender: str, unit: str, rounds: Sequence[float], parameters: Parameters, **extra: Any
) -> Row:
    """Return the row of rounds that gave one figure each; ``extra`` fills further fields of the row."""
    extra.setdefault("operations", len(rounds))
    return Row(workload, case, contender, unit, median(rounds), list(rounds), parameters=dict(parameters), **extra)


def speeds(ours: Row, theirs: Row) -> list[float]:
    """Return how many times as fast (or as small) ours is as theirs, round by round where they were interleaved."""
    pairs: Iterable[tuple[float, float]] = [(ours.figure, theirs.figure)]
    if len(ours.rounds) == len(theirs.rounds):
        pairs = zip(ours.rounds, theirs.rounds, strict=True)
    if ours.unit in HIGHER_IS_BETTER:
        return [mine / other for mine, other in pairs if mine and other]
    return [other / mine for mine, other in pairs if mine and other]


def speed(ours: Row, theirs: Row) -> float | None:
    """Return the median of :func:`speeds`; ``None`` where a figure is zero."""
    found = speeds(ours, theirs)
    return median(found) if found else None


@dataclass(frozen=True)
class Result:
    """A whole run.

    Attributes:
        facts: machine, kernel, file system, versions, commit, seed, kind of run, seconds it took.
        contenders: for each of them its durability and its status, ``measured`` or why not.
        rows: the figures.

    """

    facts: dict[str, Any]
    contenders: dict[str, dict[str, str]]
    rows: list[Row]

    def find(self, workload: str, case: str, contender: str, **parameters: int) -> Row | None:
        """Return the row of a contender, for the parameters given; ``None`` if there is none."""
        for row in self.rows:
            if (row.workload, row.case, row.contender) != (workload, case, contender):
                continue
            if all(row.parameters.get(name) == value for name, value in parameters.items()):
                return row
        return None

    def save(self, path: str) -> None:
        """Write the run as JSON, making the directory if need be."""
        document = {
            "format": FORMAT,
            "facts": self.facts,
            "contenders": self.contenders,
            "rows": [_written(row) for row in self.rows],
        }
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")


def load(path: str) -> Result:
    """Read a run.

    Raises:
        ValueError: if the file is no result, or one of another format.

    """
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"{path} is no result of format {FORMAT}.")
    rows = [Row(**{name: value for name, value in row.items() if name != "noise"}) for row in document["rows"]]
    return Result(document["facts"], document["contenders"], rows)


def _written(row: Row) -> dict[str, Any]:
    """Return a row for JSON: four significant digits are more than any run can reproduce."""
    document = asdict(row)
    document["noise"] = _short(row.noise)
    document["figure"] = _short(row.figure)
    document["rate"] = None if row.rate is None else _short(row.rate)
    document["rounds"] = [_short(value) for value in row.rounds]
    document["percentiles"] = {name: _short(value) for name, value in row.percentiles.items()}
    return document


def _short(value: float) -> float:
    return float(f"{value:.4g}")
