"""The paths whose speed is promised: one get, one put, one batch, one scan; 250-byte dict values."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.adapters import at
from bench.values import Values
from bench.workloads import turns

if TYPE_CHECKING:
    from bench.harness import Run

NAME = "micro"
VALUE_BYTES = 250
BATCH = 10_000


def run(run: Run) -> None:
    """Measure every path for the contenders that promise the same durability."""
    values, records = Values(run.seed, VALUE_BYTES), max(run.scale.records, BATCH)
    parameters = {"records": records, "value_bytes": VALUE_BYTES}
    with run.stands([*at("full"), "bare-full", "sqlitedict-off", "memory-none"], values, records) as stands:
        durable = [stand for stand in stands if stand.contender.durability == "full"]
        engines = [stand for stand in stands if not stand.contender.yardstick]
        run.measure(NAME, "get", engines, partial(turns.gets, run.reads), parameters)
        run.measure(NAME, "put, durable", durable, partial(turns.puts, run.writes), parameters)
        run.measure(NAME, "update of 10,000, durable", durable, partial(turns.update, BATCH), parameters)
        run.measure(NAME, "scan with values", engines, turns.scan, parameters)
        run.measure(NAME, "scan of keys", engines, turns.scan_keys, parameters)
    with run.stands([*at("normal", "off", "none"), "bare-normal", "bare-off"], values, records) as stands:
        run.measure(NAME, "put, not waiting for the disk", stands, partial(turns.puts, run.writes), parameters)
