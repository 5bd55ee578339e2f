"""SQLite as a good engineer would use it: a file for each address, one table without rowid, WAL."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

from bench.adapters import Busy, Pair, Value, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SYNCHRONOUS = {"full": "FULL", "normal": "NORMAL"}

_MAPPED = 256 * 1024**2
_PUT = "INSERT INTO kv (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_GET = "SELECT value FROM kv WHERE key = ?"
_SCAN = "SELECT key, value FROM kv WHERE key >= ? ORDER BY key LIMIT ?"


def connect(path: str, durability: str, busy_timeout: float) -> sqlite3.Connection:
    """Return a connection in WAL mode that commits by itself; statements stay prepared in its cache.

    Args:
        path: of the database file.
        durability: ``full`` or ``normal``.
        busy_timeout: seconds to wait for other writers.

    """
    connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS[durability]}")
    return connection


def busy(error: sqlite3.OperationalError) -> Exception:
    """Return the error to raise for one of SQLite: ``Busy`` where trying again may help."""
    return Busy(str(error)) if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY else error


class SqliteAdapter:
    """A connection; another one for each thread."""

    def __init__(self, durability: str) -> None:
        self.durability = durability

    def open(self, directory: str, address: str) -> None:
        os.makedirs(directory, exist_ok=True)
        self._path = os.path.join(directory, f"{address}.sqlite3")
        self._connect()
        self._connection.execute("CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")

    def _connect(self) -> None:
        self._connection = connect(self._path, self.durability, busy_timeout=60)
        self._connection.execute(f"PRAGMA mmap_size = {_MAPPED}")
        self._execute = self._connection.execute

    def sibling(self) -> SqliteAdapter:
        other = SqliteAdapter(self.durability)
        other._path = self._path
        other._connect()
        return other

    def put(self, key: str, value: Value) -> None:
        try:
            self._execute(_PUT, (key, pack(value)))
        except sqlite3.OperationalError as error:
            raise busy(error) from error

    def get(self, key: str) -> Value | None:
        row = self._execute(_GET, (key,)).fetchone()
        return None if row is None else unpack(row[0])

    def put_many(self, pairs: Sequence[Pair]) -> None:
        rows = [(key, pack(value)) for key, value in pairs]
        self._execute("BEGIN IMMEDIATE")
        self._connection.executemany(_PUT, rows)
        self._execute("COMMIT")

    def get_many(self, keys: Sequence[str]) -> dict[str, Value]:
        found = ((key, self._execute(_GET, (key,)).fetchone()) for key in keys)
        return {key: unpack(row[0]) for key, row in found if row is not None}

    def delete(self, key: str) -> None:
        self._execute("DELETE FROM kv WHERE key = ?", (key,))

    def scan(self, start: str = "", limit: int | None = None) -> Iterable[Pair]:
        rows = self._execute(_SCAN, (start, -1 if limit is None else limit))
        return ((key, unpack(packed)) for key, packed in rows)

    def scan_keys(self) -> Iterable[str]:
        return (key for (key,) in self._execute("SELECT key FROM kv ORDER BY key"))

    def last(self, count: int) -> Iterable[Pair]:
        rows = self._execute("SELECT key, value FROM kv ORDER BY key DESC LIMIT ?", (count,))
        return ((key, unpack(packed)) for key, packed in rows)

    def close(self) -> None:
        self._connection.close()
