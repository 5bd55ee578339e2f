"""Conversations: an agent appends a message, durably, and reads the last twenty before it answers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.adapters import CONTENDERS, at
from bench.measure import Timing, settle, timed
from bench.values import Values

if TYPE_CHECKING:
    from random import Random

    from bench.harness import Run
    from bench.stand import Stand
    from bench.workloads.turns import Count

NAME = "conversation"
VALUE_BYTES = 400
HISTORY = 20


def run(run: Run) -> None:
    """Measure appending and reading for every contender that can read from the end."""
    names = [name for name in run.few(at("full")) if CONTENDERS[name].ordered]
    parameters = {"records": run.scale.records // 10, "value_bytes": VALUE_BYTES}
    with run.stands(names, Values(run.seed, VALUE_BYTES), parameters["records"]) as stands:
        run.measure(NAME, "append a message, durable", stands, partial(_append, run.writes), parameters)
        run.measure(NAME, "read the last 20", stands, partial(_read, run), parameters)


def _append(writes: Count, stand: Stand, _: Random) -> Timing:
    first, count = len(stand.ledger), writes(stand.contender)
    calls = [stand.put_call(index) for index in range(first, first + count)]
    settle()
    timing, _written = timed(calls)
    stand.check_written(range(first, first + count))
    return timing


def _read(run: Run, stand: Stand, _: Random) -> Timing:
    def read() -> list[tuple[str, object]]:
        return list(stand.adapter.last(HISTORY))

    timing, results = timed([(read, ())] * (run.reads(stand.contender) // HISTORY))
    newest = len(stand.ledger) - 1
    stand.check_pairs(range(newest, newest - HISTORY, -1), results[0])
    stand.check_pairs(range(newest, newest - HISTORY, -1), results[-1])
    return timing
