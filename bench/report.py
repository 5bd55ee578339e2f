"""The report: tables in Markdown, and links to the charts where they were drawn."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from bench.results import HIGHER_IS_BETTER, Result, Row, speed
from bench.targets import MISSED, TARGETS, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Percentiles of a row, and the heads of their columns.
MARKS = {"p50": "p50 us", "mean": "mean us", "p99": "p99 us", "p99.9": "p99.9 us", "max": "max us"}
# Cases with several points whose slowest operations are what matters: a table with percentiles for each point.
TAILS = frozenset(["put while checkpoints happen", "put while checkpoints happen, relaxed"])
# What the others are compared with, by durability.
CEILING = {"full": "raw-full", "normal": "raw-off", "off": "raw-off", "none": "raw-full"}
CLASSIC = {"full": "sqlite-full", "normal": "sqlite-normal", "off": "sqlite-normal", "none": "sqlite-full"}


def markdown(result: Result, charts: Sequence[str] = ()) -> str:
    """Return the whole report.

    Args:
        result: a run.
        charts: file names of pictures beside the report.

    """
    parts = [
        f"# Benchmark, {result.facts['kind']} run of {result.facts['date']}\n",
        _facts(result),
        "## Contenders\n",
        _contenders(result),
        "## Targets\n",
        _targets(result),
    ]
    if charts:
        parts += ["## Charts\n", "\n".join(f"![{name}]({name})\n" for name in charts)]
    parts.append(_reading_help())
    for workload in dict.fromkeys(row.workload for row in result.rows):
        parts.append(f"## {workload}\n")
        for case in dict.fromkeys(row.case for row in result.rows if row.workload == workload):
            parts.append(f"### {workload}: {case}\n")
            parts.append(_case(result, [row for row in result.rows if (row.workload, row.case) == (workload, case)]))
    return "\n".join(parts)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is text, the others are figures."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def figure(value: float, unit: str) -> str:
    """Return a figure with its unit."""
    return f"{short(value)} {unit}"


def short(value: float) -> str:
    """Return a number with three digits, or without a fraction where it has more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _facts(result: Result) -> str:
    facts = result.facts
    machine = facts["machine"]
    disk = facts["file_system"]
    lines = {
        "machine": f"{machine['processor']} ({machine['architecture']}), {machine['cores']} cores, "
        f"{machine['memory_gb']:g} GB",
        "kernel": facts["kernel"],
        "file system": f"{disk['type']} ({disk['options']})",
        "commit": facts["commit"] or "unknown",
        "seed": str(facts["seed"]),
        "took": f"{facts['seconds']:,.0f} s",
        "timer": f"{facts['timer_ns']:.0f} ns of each operation are the measuring itself",
        "versions": ", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
        **{f"note {number}": note for number, note in enumerate(facts["notes"], 1)},
    }
    return table(("", ""), lines.items())


def _contenders(result: Result) -> str:
    rows = [(name, each["durability"], each["status"], each["version"]) for name, each in result.contenders.items()]
    return table(("contender", "durability", "status", "version"), rows)


def _targets(result: Result) -> str:
    rows = []
    for target in TARGETS:
        measured = target.measured(result)
        if measured is None:
            rows.append((target.path, target.demand, "", "not measured"))
        else:
            found = verdict(target, measured)
            shown = f"**{found}**" if found == MISSED else found
            rows.append((target.path, target.demand, target.shown(measured), shown))
    return table(("path", "target", "measured", ""), rows)


def _reading_help() -> str:
    return (
        "Contenders of one table were interleaved round by round. The figure is the median over the rounds; latency "
        "rounds are medians themselves, and percentiles and the mean are those of all operations: where the mean is "
        "far above p50, a few slow ones do the work of many. Noise is the interquartile range of the rounds. `x raw` "
        "and `x SQLite` say how many times as fast, or as small, a contender is as LMDB by hand and as SQLite at its "
        "durability.\n"
    )


def _case(result: Result, rows: list[Row]) -> str:
    varying = _varying(rows)
    if not varying:
        return _details(result, rows)
    if rows[0].case not in TAILS:
        return _matrix(rows, varying)
    points = sorted({row.parameters[varying] for row in rows})
    return "\n".join(_details(result, [row for row in rows if row.parameters[varying] == point]) for point in points)


def _varying(rows: list[Row]) -> str:
    """Return the parameter that makes several points of one case; empty if there is one point."""
    for name in rows[0].parameters:
        if len({row.parameters.get(name) for row in rows}) > 1:
            return name
    return ""


def _details(result: Result, rows: list[Row]) -> str:
    given = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in rows[0].parameters.items())
    header = ("contender", "figure", *MARKS.values(), "ops/s", "x raw", "x SQLite", "noise")
    lines = [_detail(result, rows, row) for row in _by_speed(rows)]
    used = [place for place in range(len(header)) if any(line[place] for line in lines)]
    shown, *cells = ([line[place] for place in used] for line in (header, *lines))
    remarks = "".join(f"\n{row.contender}: {row.note}.\n" for row in rows if row.note)
    rounds = _rounds(rows) + (f"; {given}" if given else "")
    return f"{rounds}\n\n{table(shown, cells)}{remarks}"


def _detail(result: Result, rows: list[Row], row: Row) -> tuple[str, ...]:
    durability = result.contenders.get(row.contender, {}).get("durability", "full")
    marks = [short(row.percentiles[name]) if name in row.percentiles else "" for name in MARKS]
    return (
        f"**{row.contender}**" if row.contender.startswith("pronto") else row.contender,
        figure(row.figure, row.unit),
        *marks,
        "" if row.rate is None else f"{row.rate:,.0f}",
        _ratio(row, rows, CEILING[durability]),
        _ratio(row, rows, CLASSIC[durability]),
        f"{row.noise:.0%}",
    )


def _ratio(row: Row, rows: list[Row], contender: str) -> str:
    for other in rows:
        if other.contender == contender:
            ratio = speed(row, other)
            return "" if ratio is None else f"{ratio:.2f}"
    return ""


def _by_speed(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=attrgetter("figure"), reverse=rows[0].unit in HIGHER_IS_BETTER)


def _matrix(rows: list[Row], varying: str) -> str:
    points = sorted({row.parameters[varying] for row in rows})
    names = dict.fromkeys(row.contender for row in rows)
    found: dict[tuple[str, Any], Row] = {(row.contender, row.parameters[varying]): row for row in rows}
    header = (f"{rows[0].unit}; {varying.replace('_', ' ')}:", *(f"{point:,}" for point in points))
    lines = []
    for name in names:
        cells = (found.get((name, point)) for point in points)
        shown = ["" if row is None else short(row.figure) for row in cells]
        lines.append((f"**{name}**" if name.startswith("pronto") else name, *shown))
    remarks = "".join(
        f"\n{row.contender}, {varying.replace('_', ' ')} {row.parameters[varying]:,}: {row.note}.\n"
        for row in rows
        if row.note
    )
    return f"{_rounds(rows)}\n\n{table(header, lines)}{remarks}"


def _rounds(rows: list[Row]) -> str:
    count = len(rows[0].rounds)
    return "1 round" if count == 1 else f"{count} rounds"
