"""Timing: one clock reading per operation, and what the readings say."""

from __future__ import annotations

import gc
import math
import os
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, quantiles
from time import perf_counter_ns
from typing import Any

Call = tuple[Callable[..., Any], tuple[Any, ...]]

NANOSECONDS = 1_000_000_000
PERCENTILES = {"p50": 0.50, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


@dataclass(frozen=True)
class Timing:
    """What one turn of one contender took.

    Attributes:
        latencies: nanoseconds of each operation.
        elapsed: seconds of the whole turn.
        operations: how many there were; more than latencies where one call covers many items.

    """

    latencies: array[int]
    elapsed: float
    operations: int

    @property
    def middle(self) -> float:
        """The median latency in microseconds, for one item where a call covers many."""
        return median(self.latencies) / 1000 * len(self.latencies) / self.operations

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.operations / self.elapsed


def timed(calls: Sequence[Call]) -> tuple[Timing, list[Any]]:
    """Run calls one after the other; return their timing and their results.

    The results are kept and looked at afterwards, so that checking costs no measured time. The garbage
    collector rests meanwhile: its pauses belong to whoever allocates most, not to who is measured.
    """
    clock = perf_counter_ns
    results: list[Any] = []
    stamps = array("q")
    keep, stamp = results.append, stamps.append
    collecting = gc.isenabled()
    gc.disable()
    try:
        stamp(clock())
        for function, arguments in calls:
            keep(function(*arguments))
            stamp(clock())
    finally:
        if collecting:
            gc.enable()
    latencies = array("q", [after - before for before, after in pairwise(stamps)])
    return Timing(latencies, (stamps[-1] - stamps[0]) / NANOSECONDS, len(latencies)), results


def timed_bulk(function: Callable[[], Any], items: int) -> tuple[Timing, Any]:
    """Run one call that handles many items; return its timing and its result."""
    timing, results = timed([(function, ())])
    return Timing(timing.latencies, timing.elapsed, items), results[0]


def settle() -> None:
    """Write back what earlier turns left unwritten, so that nobody's flush pays for somebody else's data."""
    os.sync()


def timer_cost() -> float:
    """Return the nanoseconds that measuring adds to each operation: those of a call that does nothing."""
    return median(timed([(_nothing, ())] * 20_000)[0].latencies)


def _nothing() -> None:
    pass


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """Return the smallest sample that at least ``fraction`` of the samples do not exceed (nearest rank).

    Args:
        ordered: samples, ascending, at least one.
        fraction: from 0 to 1.

    """
    rank = math.ceil(fraction * len(ordered))
    return ordered[max(rank, 1) - 1]


def percentiles(latencies: Sequence[int]) -> dict[str, float]:
    """Return p50, p99, p99.9, the maximum and the mean of latencies in nanoseconds, as microseconds.

    The mean counts what the median hides: an engine may put much of its work into a few slow operations.
    """
    ordered = sorted(latencies)
    found = {name: percentile(ordered, fraction) / 1000 for name, fraction in PERCENTILES.items()}
    return {**found, "mean": fmean(ordered) / 1000}


def spread(samples: Sequence[float]) -> float:
    """Return the interquartile range of samples, relative to their median: the measured noise."""
    middle = median(samples)
    if len(samples) < 2 or not middle:
        return 0.0
    low, _, high = quantiles(samples, n=4, method="inclusive")
    return (high - low) / middle
