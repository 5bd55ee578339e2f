"""The charts of a report; these need matplotlib."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from bench.report import TAILS
from bench.results import HIGHER_IS_BETTER, Result, Row, speed

if TYPE_CHECKING:
    from collections.abc import Callable

mpl.use("Agg")

_COLUMNS = 3
_COLOURS = {
    "pronto": "#c0392b",
    "raw": "#2c3e50",
    "bare": "#95a5a6",
    "legacy": "#e67e22",
    "sqlite": "#2980b9",
    "diskcache": "#8e44ad",
    "rocksdict": "#27ae60",
    "plyvel": "#16a085",
    "sqlitedict": "#7f8c8d",
    "redis": "#f1a9a0",
    "memory": "#bdc3c7",
}
_BARS = ("get", "put, durable", "put, not waiting for the disk", "update of 10,000, durable", "scan with values")
_LATENCIES = ("get", "put, durable", "put, not waiting for the disk")
# File name, title, workload, cases, and the parameter along the axis.
_CURVES = (
    ("fleet.svg", "Fleets", "fleet", ("own address each, durable", "own address each, relaxed"), "processes"),
    ("threads.svg", "Threads on one address", "group commit", ("threads, durable",), "threads"),
    ("tasks.svg", "asyncio tasks on one address", "group commit", ("asyncio tasks, durable",), "tasks"),
    ("addresses.svg", "Many addresses", "addresses", ("create", "first touch", "list all"), "addresses"),
    ("stalls.svg", "Longest stall of a put", "checkpoints", tuple(sorted(TAILS)), "megabytes"),
    ("records.svg", "Store size", "sizes", ("get by store size", "durable put by store size"), "records"),
    ("values.svg", "Value size", "sizes", ("get by value size", "durable put by value size"), "value_bytes"),
)


def draw(result: Result, directory: str) -> list[str]:
    """Draw every chart for which there are figures; return the file names."""
    os.makedirs(directory, exist_ok=True)
    # Fixed ids keep the files of equal figures equal.
    mpl.rcParams["svg.hashsalt"] = "pronto"
    drawn = [
        _chart(result, directory, "speed.svg", "Throughput, and Pronto's speed against each", "micro", _BARS, _bars),
        _chart(result, directory, "latency.svg", "Latency", "micro", _LATENCIES, _latencies),
    ]
    for name, title, workload, cases, along in _CURVES:
        drawn.append(_chart(result, directory, name, title, workload, cases, _curves(along)))
    return [name for name in drawn if name]


def _chart(
    result: Result,
    directory: str,
    name: str,
    title: str,
    workload: str,
    cases: tuple[str, ...],
    fill: Callable[[Any, list[Row]], None],
) -> str:
    """Draw one picture with a panel for each case that was measured; return its name, empty if there is none."""
    found = {case: [row for row in result.rows if (row.workload, row.case) == (workload, case)] for case in cases}
    found = {case: rows for case, rows in found.items() if rows}
    if not found:
        return ""
    lines, columns = -(-len(found) // _COLUMNS), min(len(found), _COLUMNS)
    size = (5.5 * columns, 4.5 * lines)
    picture, panels = pyplot.subplots(lines, columns, figsize=size, squeeze=False, layout="constrained")
    picture.suptitle(title)
    for panel in panels.flat[len(found) :]:
        panel.remove()
    for panel, (case, rows) in zip(panels.flat, found.items(), strict=False):
        panel.set_title(case)
        fill(panel, rows)
    picture.savefig(os.path.join(directory, name), metadata={"Date": None})
    pyplot.close(picture)
    return name


def _bars(panel: Any, rows: list[Row]) -> None:
    rows = sorted(rows, key=_rate)
    ours = next((row for row in rows if row.contender.startswith("pronto")), None)
    bars = panel.barh(
        [row.contender for row in rows], [_rate(row) for row in rows], color=[_colour(row.contender) for row in rows]
    )
    if ours is not None:
        ratios = [speed(ours, row) for row in rows]
        panel.bar_label(bars, [f"{ratio:.2f} x" if ratio else "" for ratio in ratios], padding=3)
    panel.set_xlabel("operations or items per second")
    panel.xaxis.set_major_locator(MaxNLocator(4))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    panel.margins(x=0.2)


def _latencies(panel: Any, rows: list[Row]) -> None:
    rows = sorted((row for row in rows if row.percentiles), key=lambda row: -row.percentiles["p50"])
    for mark, name in zip("o|x", ("p50", "p99", "p99.9"), strict=True):
        panel.plot(
            [row.percentiles[name] for row in rows], [row.contender for row in rows], mark, label=name, color="k"
        )
    panel.set_xlabel("microseconds")
    _logarithmic(panel, "x")
    panel.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.15))


def _curves(along: str) -> Callable[[Any, list[Row]], None]:
    def fill(panel: Any, rows: list[Row]) -> None:
        for contender in dict.fromkeys(row.contender for row in rows):
            points = sorted((row.parameters[along], row.figure) for row in rows if row.contender == contender)
            across, up = zip(*points, strict=True)
            width = 2.5 if contender.startswith("pronto") else 1
            panel.plot(across, up, marker=".", label=contender, color=_colour(contender), linewidth=width)
        _logarithmic(panel, "x")
        panel.set_xticks(sorted({row.parameters[along] for row in rows}))
        panel.set_xlabel(along.replace("_", " "))
        panel.set_ylabel(rows[0].unit)
        if rows[0].unit in HIGHER_IS_BETTER:
            panel.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        else:
            _logarithmic(panel, "y")
        panel.legend(fontsize="small", ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.15))

    return fill


def _logarithmic(panel: Any, direction: str) -> None:
    getattr(panel, f"set_{direction}scale")("log")
    axis = getattr(panel, f"{direction}axis")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axis.set_minor_formatter(NullFormatter())


def _rate(row: Row) -> float:
    return row.rate or 0.0


def _colour(contender: str) -> str:
    return _COLOURS[contender.rpartition("-")[0]]
