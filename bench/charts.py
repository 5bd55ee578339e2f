"""The charts of a report; these need matplotlib."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib import pyplot

from bench.results import HIGHER_IS_BETTER, Result, Row, speed

if TYPE_CHECKING:
    from collections.abc import Callable

mpl.use("Agg")

_PRONTO, _OTHER = "#c0392b", "#95a5a6"
_BARS = ("get", "put, durable", "put, not waiting for the disk", "update of 10,000, durable", "scan with values")
_LATENCIES = ("get", "put, durable", "put, not waiting for the disk")
# File name, title, workload, cases, and the parameter along the axis.
_CURVES = (
    ("fleet.svg", "Fleets", "fleet", ("own address each, durable", "own address each, relaxed"), "processes"),
    ("threads.svg", "Threads on one address", "group commit", ("threads, durable",), "threads"),
    ("tasks.svg", "asyncio tasks on one address", "group commit", ("asyncio tasks, durable",), "tasks"),
    ("addresses.svg", "Many addresses", "addresses", ("create", "first touch", "list all"), "addresses"),
    ("records.svg", "Store size", "sizes", ("get by store size", "durable put by store size"), "records"),
    ("values.svg", "Value size", "sizes", ("get by value size", "durable put by value size"), "value_bytes"),
)


def draw(result: Result, directory: str) -> list[str]:
    """Draw every chart for which there are figures; return the file names."""
    os.makedirs(directory, exist_ok=True)
    # Fixed ids keep the files of equal figures equal.
    mpl.rcParams["svg.hashsalt"] = "pronto"
    drawn = [
        _save(directory, "speed.svg", "Throughput, and Pronto's speed against each", result, _BARS, _bars),
        _save(directory, "latency.svg", "Latency: p50, p99, p99.9", result, _LATENCIES, _latencies),
    ]
    drawn += [_curves(result, directory, *chart) for chart in _CURVES]
    return [name for name in drawn if name]


def _panels(count: int, title: str) -> tuple[Any, list[Any]]:
    chart, panels = pyplot.subplots(1, count, figsize=(5.5 * count, 4.5), squeeze=False, layout="constrained")
    chart.suptitle(title)
    return chart, list(panels[0])


def _write(chart: Any, directory: str, name: str) -> str:
    chart.savefig(os.path.join(directory, name), metadata={"Date": None})
    pyplot.close(chart)
    return name


def _save(
    directory: str,
    name: str,
    title: str,
    result: Result,
    cases: tuple[str, ...],
    panel: Callable[[Any, list[Row]], None],
) -> str:
    found = {case: [row for row in result.rows if (row.workload, row.case) == ("micro", case)] for case in cases}
    found = {case: rows for case, rows in found.items() if rows}
    if not found:
        return ""
    chart, panels = _panels(len(found), title)
    for axes, (case, rows) in zip(panels, found.items(), strict=True):
        axes.set_title(case)
        panel(axes, rows)
    return _write(chart, directory, name)


def _bars(axes: Any, rows: list[Row]) -> None:
    rows = sorted(rows, key=lambda row: row.rate or 0)
    ours = next((row for row in rows if row.contender.startswith("pronto")), None)
    rates = [row.rate or 0 for row in rows]
    bars = axes.barh([row.contender for row in rows], rates, color=[_colour(row.contender) for row in rows])
    if ours is not None:
        ratios = [speed(ours, row) for row in rows]
        axes.bar_label(bars, [f"{ratio:.2f} x" if ratio else "" for ratio in ratios], padding=3)
    axes.set_xlabel("operations or items per second")
    axes.margins(x=0.2)


def _latencies(axes: Any, rows: list[Row]) -> None:
    rows = sorted((row for row in rows if row.percentiles), key=lambda row: -row.percentiles["p50"])
    for mark, name in zip("o|x", ("p50", "p99", "p99.9"), strict=True):
        values = [row.percentiles[name] for row in rows]
        axes.plot(values, [row.contender for row in rows], mark, label=name, color="black")
    axes.set_xscale("log")
    axes.set_xlabel("microseconds")
    axes.legend()


def _curves(
    result: Result, directory: str, name: str, title: str, workload: str, cases: tuple[str, ...], along: str
) -> str:
    found = {case: [row for row in result.rows if (row.workload, row.case) == (workload, case)] for case in cases}
    found = {case: rows for case, rows in found.items() if rows}
    if not found:
        return ""
    chart, panels = _panels(len(found), title)
    for axes, (case, rows) in zip(panels, found.items(), strict=True):
        _curve(axes, case, rows, along)
    return _write(chart, directory, name)


def _curve(axes: Any, case: str, rows: list[Row], along: str) -> None:
    axes.set_title(case)
    for contender in dict.fromkeys(row.contender for row in rows):
        points = sorted((row.parameters[along], row.figure) for row in rows if row.contender == contender)
        style = {"linewidth": 2.5} if contender.startswith("pronto") else {"linewidth": 1}
        axes.plot([point for point, _ in points], [value for _, value in points], marker=".", label=contender, **style)
    axes.set_xscale("log", base=2 if along in {"processes", "threads", "tasks", "value_bytes"} else 10)
    if rows[0].unit not in HIGHER_IS_BETTER:
        axes.set_yscale("log")
    axes.set_xlabel(along.replace("_", " "))
    axes.set_ylabel(rows[0].unit)
    axes.legend(fontsize="small")


def _colour(contender: str) -> str:
    return _PRONTO if contender.startswith("pronto") else _OTHER
