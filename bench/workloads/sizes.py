"""How speed changes with the size of a value, 16 bytes to 64 KiB, and with the number of records in an address."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.adapters import at
from bench.measure import Timing, timed
from bench.values import Blobs, Values

if TYPE_CHECKING:
    from random import Random

    from bench.harness import Run
    from bench.stand import Stand

NAME = "sizes"
VALUE_SIZES = (16, 64, 256, 1024, 4096, 16_384, 65_536)
RECORDS_EACH = 500
STORE_SIZES = (1_000, 10_000, 100_000, 1_000_000)
VALUE_BYTES = 250
# Peers whose curve says something the others do not.
CURVES = ("pronto-full", "raw-full", "sqlite-full", "legacy-full", "rocksdict-full", "plyvel-full")


def run(run: Run) -> None:
    """Measure both; the quick run takes fewer points."""
    for size in VALUE_SIZES if run.scale.complete else VALUE_SIZES[::3]:
        _values_of(run, size)
    for records in STORE_SIZES if run.scale.complete else STORE_SIZES[:2]:
        _records_of(run, records)


def _values_of(run: Run, size: int) -> None:
    parameters = {"records": RECORDS_EACH, "value_bytes": size}
    reads, writes = run.scale.reads // 4, run.scale.durable_writes // 2
    with run.stands(at("full"), Blobs(run.seed, size), RECORDS_EACH) as stands:
        run.measure(NAME, "get by value size", stands, partial(_gets, reads), parameters)
        run.measure(NAME, "durable put by value size", stands, partial(_puts, writes), parameters)


def _records_of(run: Run, records: int) -> None:
    parameters = {"records": records, "value_bytes": VALUE_BYTES}
    reads, writes = run.scale.reads, run.scale.durable_writes // 2
    with run.stands(CURVES, Values(run.seed, VALUE_BYTES), records) as stands:
        run.measure(NAME, "get by store size", stands, partial(_gets, reads), parameters)
        run.measure(NAME, "durable put by store size", stands, partial(_puts, writes), parameters)


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
