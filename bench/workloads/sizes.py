"""How speed changes with the size of a value, 16 bytes to 64 KiB, and with the number of records in an address."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.adapters import at
from bench.values import Blobs, Values
from bench.workloads import turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.harness import Run
    from bench.stand import Stand

NAME = "sizes"
VALUE_SIZES = (16, 64, 256, 1024, 4096, 16_384, 65_536)
RECORDS_EACH = 500
STORE_SIZES = (1_000, 10_000, 100_000, 1_000_000)
VALUE_BYTES = 250
# Those whose curves differ: the old design follows SQLite, and LevelDB follows RocksDB.
CURVES = ("pronto-full", "raw-full", "sqlite-full", "rocksdict-full")


def run(run: Run) -> None:
    """Measure both; the quick run takes fewer points."""
    for size in VALUE_SIZES if run.scale.complete else VALUE_SIZES[::3]:
        _values_of(run, size)
    for records in STORE_SIZES if run.scale.complete else STORE_SIZES[:2]:
        _records_of(run, records)


def _values_of(run: Run, size: int) -> None:
    parameters = {"records": RECORDS_EACH, "value_bytes": size}
    with run.stands(run.few(at("full")), Blobs(run.seed, size), RECORDS_EACH) as stands:
        _measure(run, "by value size", stands, parameters)


def _records_of(run: Run, records: int) -> None:
    parameters = {"records": records, "value_bytes": VALUE_BYTES}
    with run.stands(run.few(CURVES), Values(run.seed, VALUE_BYTES), records) as stands:
        _measure(run, "by store size", stands, parameters)


def _measure(run: Run, axis: str, stands: Sequence[Stand], parameters: dict[str, int]) -> None:
    """Measure one point: with fewer operations than elsewhere, as there are many points."""
    run.measure(NAME, f"get {axis}", stands, partial(turns.gets, lambda each: run.reads(each) // 4), parameters)
    run.measure(
        NAME, f"durable put {axis}", stands, partial(turns.puts, lambda each: run.writes(each) // 2), parameters
    )
