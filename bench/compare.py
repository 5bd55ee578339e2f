"""Two runs side by side: fails on a regression beyond the measured noise, never on an improvement."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from statistics import median
from typing import TYPE_CHECKING

from bench.measure import spread
from bench.report import CEILING, table
from bench.results import HIGHER_IS_BETTER, Result, Row, speeds

if TYPE_CHECKING:
    from collections.abc import Iterator

# Two runs of the same code differ by this much although each is steady in itself: other tenants of the machine,
# the state of the disk, where memory happens to lie.
LEAST_NOISE = 0.15
# The same where nothing in the run cancels the speed of the machine out.
LEAST_NOISE_ALONE = 0.5

REGRESSION, IMPROVEMENT, STEADY = "regression", "improvement", "within noise"


@dataclass(frozen=True)
class Verdict:
    """How one case of one contender changed.

    Attributes:
        row: the new figures.
        change: speed now by speed before; above 1 is faster.
        noise: relative change that means nothing.
        basis: the contender that both were divided by, so that another machine speed cancels out; empty if none.

    """

    row: Row
    change: float
    noise: float
    basis: str

    @property
    def kind(self) -> str:
        """Regression, improvement, or within noise."""
        if self.change * (1 + self.noise) < 1:
            return REGRESSION
        return IMPROVEMENT if self.change > 1 + self.noise else STEADY


def verdicts(old: Result, new: Result) -> Iterator[Verdict]:
    """Yield a verdict for every row of Pronto that both runs have."""
    for row in new.rows:
        if not row.contender.startswith("pronto"):
            continue
        before = old.find(row.workload, row.case, row.contender, **row.parameters)
        if before is None or before.parameters != row.parameters:
            continue
        basis = _basis(old, new, row)
        speed_before, speed_now = _speeds(old, before, basis), _speeds(new, row, basis)
        if speed_before and speed_now:
            noise = max(LEAST_NOISE if basis else LEAST_NOISE_ALONE, spread(speed_before) + spread(speed_now))
            yield Verdict(row, median(speed_now) / median(speed_before), noise, basis)


def _basis(old: Result, new: Result, row: Row) -> str:
    durability = new.contenders.get(row.contender, {}).get("durability", "full")
    for contender in (CEILING[durability], "python"):
        if all(run.find(row.workload, row.case, contender, **row.parameters) for run in (old, new)):
            return contender
    return ""


def _speeds(result: Result, row: Row, basis: str) -> list[float]:
    reference = result.find(row.workload, row.case, basis, **row.parameters) if basis else None
    if reference is not None:
        return speeds(row, reference)
    if row.unit in HIGHER_IS_BETTER:
        return [figure for figure in row.rounds if figure]
    return [1 / figure for figure in row.rounds if figure]


def compare(old: Result, new: Result) -> tuple[str, int]:
    """Return the comparison as text, and how many regressions there are."""
    found = sorted(verdicts(old, new), key=attrgetter("change"))
    rows = [_line(verdict) for verdict in found]
    regressions = sum(verdict.kind == REGRESSION for verdict in found)
    gone = [row for row in old.rows if row.contender.startswith("pronto") and not _still_there(row, new)]
    summary = f"{len(found)} cases, {regressions} regressions, {len(gone)} not measured any more.\n"
    return table(("case", "speed now / before", "noise", "against", ""), rows) + "\n" + summary, regressions


def _still_there(row: Row, new: Result) -> bool:
    return new.find(row.workload, row.case, row.contender, **row.parameters) is not None


def _line(verdict: Verdict) -> tuple[str, ...]:
    row = verdict.row
    given = "".join(f", {name.replace('_', ' ')} {value:,}" for name, value in row.parameters.items())
    kind = f"**{verdict.kind}**" if verdict.kind == REGRESSION else verdict.kind
    name = f"{row.workload}: {row.case}, {row.contender}{given}"
    return name, f"{verdict.change:.2f}", f"{verdict.noise:.0%}", verdict.basis or "itself", kind
