"""The paths whose speed is promised: one get, one put, one batch, one scan; 250-byte dict values."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.adapters import at
from bench.measure import Timing, timed, timed_bulk
from bench.values import Values

if TYPE_CHECKING:
    from random import Random

    from bench.harness import Run
    from bench.stand import Stand

NAME = "micro"
VALUE_BYTES = 250
BATCH = 10_000


def run(run: Run) -> None:
    """Measure every path for the contenders that promise the same durability."""
    values, records = Values(run.seed, VALUE_BYTES), max(run.scale.records, BATCH)
    parameters = {"records": records, "value_bytes": VALUE_BYTES}
    with run.stands([*at("full"), "sqlitedict-off", "memory-none"], values, records) as stands:
        durable = [stand for stand in stands if stand.contender.durability == "full"]
        run.measure(NAME, "get", stands, partial(_gets, run.scale.reads), parameters)
        run.measure(NAME, "put, durable", durable, partial(_puts, run.scale.durable_writes), parameters)
        run.measure(NAME, "update of 10,000, durable", durable, _update, parameters)
        run.measure(NAME, "scan with values", stands, _scan, parameters)
        run.measure(NAME, "scan of keys", stands, _scan_keys, parameters)
    with run.stands(at("normal", "off", "none"), values, records) as stands:
        run.measure(NAME, "put, not waiting for the disk", stands, partial(_puts, run.scale.relaxed_writes), parameters)


def _gets(count: int, stand: Stand, random: Random) -> Timing:
    indexes = [random.randrange(len(stand.ledger)) for _ in range(count)]
    timing, results = timed([stand.get_call(index) for index in indexes])
    stand.check(indexes, results)
    return timing


def _puts(count: int, stand: Stand, random: Random) -> Timing:
    indexes = [random.randrange(len(stand.ledger)) for _ in range(count)]
    timing, _ = timed([stand.put_call(index) for index in indexes])
    stand.check_written(indexes)
    return timing


def _update(stand: Stand, random: Random) -> Timing:
    indexes = random.sample(range(len(stand.ledger)), BATCH)
    pairs = [stand.pair(index) for index in indexes]
    timing, _ = timed_bulk(lambda: stand.adapter.put_many(pairs), BATCH)
    stand.check_written(indexes)
    return timing


def _scan(stand: Stand, _: Random) -> Timing:
    timing, pairs = timed_bulk(lambda: list(stand.adapter.scan()), len(stand.ledger))
    stand.check_pairs(sorted(stand.ledger), pairs)
    return timing


def _scan_keys(stand: Stand, _: Random) -> Timing:
    timing, keys = timed_bulk(lambda: list(stand.adapter.scan_keys()), len(stand.ledger))
    stand.check_keys(keys)
    return timing
