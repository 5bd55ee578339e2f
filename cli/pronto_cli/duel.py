"""Pronto against SQLite on the user's own disk, with what the disk itself can do beside them."""

from __future__ import annotations

import os
import sqlite3
from statistics import median
from time import perf_counter

from msgpack import packb, unpackb

import pronto_lmdb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Self

RECORD = {
    "task": "summarise the paper",
    "step": 17,
    "owner": "alice.research",
    "score": 0.731,
    "tags": ["search", "read", "write"],
    "note": "x" * 120,
    "done": False,
    "parent": None,
}
LOADED = 10_000
SHORTEST_ROUND = 0.02


class Pronto:
    """An address at the level ``full``."""

    def __init__(self, directory: str) -> None:
        self._store = pronto_lmdb.open(os.path.join(directory, "pronto"), durability="full")
        self._keystore = self._store["bench"]

    def put(self, key: str) -> None:
        """Write one record, durably."""
        self._keystore[key] = RECORD

    def put_many(self, keys: list[str]) -> None:
        """Write many records in one durable transaction."""
        self._keystore.update(dict.fromkeys(keys, RECORD))

    def get(self, key: str) -> Any:
        """Read one record."""
        return self._keystore[key]

    def scan(self) -> int:
        """Read all records; return how many there are."""
        return sum(1 for _ in self._keystore.scan())

    def close(self) -> None:
        """Close the store."""
        self._store.close()


class Sqlite:
    """A table of its own in a file of its own: write-ahead log, flushed with every commit, the same msgpack bytes."""

    def __init__(self, directory: str) -> None:
        self._connection = sqlite3.connect(os.path.join(directory, "sqlite.db"), isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("CREATE TABLE record (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")

    def put(self, key: str) -> None:
        """Write one record, durably."""
        self._connection.execute("INSERT OR REPLACE INTO record VALUES (?, ?)", (key, packb(RECORD)))

    def put_many(self, keys: list[str]) -> None:
        """Write many records in one durable transaction."""
        self._connection.execute("BEGIN")
        rows = ((key, packb(RECORD)) for key in keys)
        self._connection.executemany("INSERT OR REPLACE INTO record VALUES (?, ?)", rows)
        self._connection.execute("COMMIT")

    def get(self, key: str) -> Any:
        """Read one record."""
        row = self._connection.execute("SELECT value FROM record WHERE key = ?", (key,)).fetchone()
        return unpackb(row[0])

    def scan(self) -> int:
        """Read all records; return how many there are."""
        rows = self._connection.execute("SELECT key, value FROM record ORDER BY key")
        return sum(1 for _, value in rows if unpackb(value))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class Disk:
    """A file that is written and flushed, 4 KiB at a time: no store can make lone durable writes faster."""

    def __init__(self, directory: str) -> None:
        self._descriptor = os.open(os.path.join(directory, "disk"), os.O_RDWR | os.O_CREAT, 0o600)
        self._page = b"x" * 4096

    def flush(self) -> None:
        """Write one page over itself and flush it."""
        os.pwrite(self._descriptor, self._page, 0)
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class Figure:
    """One line of the result: operations a second, medians of rounds that took turns."""

    __slots__ = ("name", "pronto", "sqlite")

    def __init__(self, name: str, pronto: float, sqlite: float) -> None:
        self.name = name
        self.pronto = pronto
        self.sqlite = sqlite

    @property
    def ratio(self) -> float:
        """How many times faster Pronto is."""
        return self.pronto / self.sqlite


class Duel:
    """Both stores in one directory, measured in turns.

    Args:
        directory: an empty directory on the disk in question.
        seconds: about how long all of it may take.

    """

    WORKLOADS = ("durable put", "put of 1,000 at once", "get", "scan")

    def __init__(self, directory: str, seconds: float) -> None:
        self._seconds = seconds / (len(self.WORKLOADS) + 1)
        self._stores = (Pronto(directory), Sqlite(directory))
        self._disk = Disk(directory)
        self._keys = [f"agent.memory.{number:06}" for number in range(LOADED)]

    def __enter__(self) -> Self:
        for store in self._stores:
            store.put_many(self._keys)
        return self

    def __exit__(self, *_: object) -> None:
        for one in (*self._stores, self._disk):
            one.close()

    def flushes(self) -> float:
        """Return how many pages the disk makes durable in a second."""
        end = perf_counter() + self._seconds
        rates = []
        while perf_counter() < end:
            rates.append(_rate(self._disk.flush, 1))
        return median(rates)

    def figures(self) -> Iterator[Figure]:
        """Yield a figure for each workload as soon as it is measured."""
        pronto, sqlite = self._stores
        for name in self.WORKLOADS:
            yield Figure(name, *self._compare(self._round(name, pronto), self._round(name, sqlite)))

    def _round(self, name: str, store: Pronto | Sqlite) -> Callable[[], float]:
        keys, some = self._keys, self._keys[:1_000]
        turns = iter(range(10**9))
        rounds = {
            "durable put": lambda: _rate(lambda: store.put(keys[next(turns) % LOADED]), 1),
            "put of 1,000 at once": lambda: _rate(lambda: store.put_many(some), len(some)),
            "get": lambda: _rate(lambda: store.get(keys[next(turns) * 7919 % LOADED]), 1),
            "scan": lambda: _rate(store.scan, LOADED),
        }
        return rounds[name]

    def _compare(self, *rounds: Callable[[], float]) -> list[float]:
        rates: list[list[float]] = [[] for _ in rounds]
        end = perf_counter() + self._seconds
        while perf_counter() < end:
            for measured, round_ in zip(rates, rounds, strict=True):
                measured.append(round_())
        return [median(measured) for measured in rates]


def _rate(operation: Callable[[], object], items: int) -> float:
    """Repeat an operation for a moment; return items a second."""
    done, started = 0, perf_counter()
    while (elapsed := perf_counter() - started) < SHORTEST_ROUND:
        operation()
        done += items
    return done / elapsed
