"""Taking over a database of the old program, against only reading it; an operation is a row."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from time import perf_counter
from typing import TYPE_CHECKING

import pronto_lmdb
from bench.adapters.legacy import SCHEMA
from bench.results import figure_row
from bench.stand import WrongAnswer

if TYPE_CHECKING:
    from bench.harness import Run

NAME = "migration"
ROWS = 300_000
QUICK_ROWS = 25_000
VALUE_BYTES = 250
NAMESPACES = 100

_INSERT = "INSERT INTO kv VALUES (?, ?, ?, NULL, ?, ?, ?, NULL)"
_WRITTEN = 1_757_500_000


def run(run: Run) -> None:
    """Measure both in turns: planning, writing and looking everything up; and a loop over all rows."""
    rows = ROWS if run.scale.complete else QUICK_ROWS
    rounds = range(min(run.scale.rounds, 3))
    parameters = {"rows": rows, "value_bytes": VALUE_BYTES}
    with run.scratch(NAME) as directory:
        source = os.path.join(directory, "pronto.db")
        _fill(source, rows)
        read = [rows / _timed_reading(source, rows) for _ in rounds]
        taken = [rows / _timed_migration(source, os.path.join(directory, "store"), rows) for _ in rounds]
    run.record(figure_row(NAME, "reading the source", "sqlite", "ops/s", read, parameters))
    run.record(figure_row(NAME, "taking it over", "pronto", "ops/s", taken, parameters))


def _fill(path: str, rows: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
        values = (
            (f"project-{number % 10}", f"namespace-{number % NAMESPACES}", f"key-{number}", f"{number:0{VALUE_BYTES}}")
            for number in range(rows)
        )
        connection.executemany(_INSERT, ((*value, _WRITTEN, _WRITTEN) for value in values))
        connection.commit()


def _timed_reading(path: str, rows: int) -> float:
    started = perf_counter()
    with closing(sqlite3.connect(path)) as connection:
        count = sum(1 for _ in connection.execute("SELECT * FROM kv"))
    if count != rows:
        raise WrongAnswer(f"{count} rows instead of {rows}")
    return perf_counter() - started


def _timed_migration(path: str, root: str, rows: int) -> float:
    started = perf_counter()
    with pronto_lmdb.open(root) as store:
        report = pronto_lmdb.migration.migrate(path, store)
    taken = perf_counter() - started
    if not report.ok or sum(address.verified for address in report.addresses) != rows:
        raise WrongAnswer("not all rows were taken over")
    shutil.rmtree(root)
    return taken
