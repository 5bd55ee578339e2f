"""The old design: one SQLite file that all addresses share, with the schema and the statements of the old program.

Two of its habits are spared it here. It opened the file anew for each command; here the connection stays open.
And it wrote keys without a context as NULL, which SQLite never treats as equal, so an overwrite added a row and
a read went on returning the oldest one; here the context is the empty text, with which its statements replace.
Its batches, ranges and limits, which it did not have, are the same statements in one transaction or with a bound.
"""

from __future__ import annotations

import os
import sqlite3
from time import time
from typing import TYPE_CHECKING

from bench.adapters import Pair, Value, pack, unpack
from bench.adapters.sqlite import busy, connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FILE = os.path.join("main", "pronto.main.prdb")

SCHEMA = """
CREATE TABLE IF NOT EXISTS kv (
    project TEXT NOT NULL,
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    context TEXT,
    value TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (project, namespace, key, context)
);
CREATE TABLE IF NOT EXISTS sys_namespaces (
    project TEXT NOT NULL,
    namespace TEXT NOT NULL,
    is_ttl BOOLEAN NOT NULL DEFAULT 0,
    default_ttl INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (project, namespace)
);
CREATE INDEX IF NOT EXISTS idx_kv_expiry ON kv(expires_at) WHERE expires_at IS NOT NULL;
"""
_DEFAULT_TTL = "SELECT default_ttl FROM sys_namespaces WHERE project = ? AND namespace = ? AND is_ttl = 1"
_PUT = (
    "INSERT OR REPLACE INTO kv (project, namespace, key, context, value, created_at, updated_at, expires_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_WHERE_KEY = "WHERE project = ? AND namespace = ? AND key = ? AND context IS ?"
_GET = f"SELECT value, expires_at FROM kv {_WHERE_KEY}"
_DELETE = f"DELETE FROM kv {_WHERE_KEY}"
_LIVE = "project = ? AND namespace = ? AND (expires_at IS NULL OR expires_at > ?)"
_SCAN = f"SELECT key, value FROM kv WHERE {_LIVE} AND key >= ? ORDER BY key LIMIT ?"
_KEYS = f"SELECT key FROM kv WHERE {_LIVE} ORDER BY key"
_LAST = f"SELECT key, value FROM kv WHERE {_LIVE} ORDER BY key DESC LIMIT ?"
_CONTEXT = ""


class LegacyAdapter:
    """The rows of one project and namespace in the shared file."""

    def __init__(self, durability: str) -> None:
        self.durability = durability

    def open(self, directory: str, address: str) -> None:
        self._path = os.path.join(directory, FILE)
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        project, _, namespace = address.partition(".")
        self._scope = (project, namespace)
        self._connect()
        self._connection.executescript(SCHEMA)

    def _connect(self) -> None:
        # The old program waited five seconds for other writers, then gave up.
        self._connection = connect(self._path, self.durability, busy_timeout=5)
        self._execute = self._connection.execute

    def sibling(self) -> LegacyAdapter:
        other = LegacyAdapter(self.durability)
        other._path, other._scope = self._path, self._scope
        other._connect()
        return other

    def put(self, key: str, value: Value) -> None:
        try:
            self._execute(_PUT, self._row(key, value, self._expiry()))
        except sqlite3.OperationalError as error:
            raise busy(error) from error

    def _row(self, key: str, value: Value, expires_at: int | None) -> tuple[object, ...]:
        now = int(time())
        return (*self._scope, key, _CONTEXT, pack(value), now, now, expires_at)

    def _expiry(self) -> int | None:
        row = self._execute(_DEFAULT_TTL, self._scope).fetchone()
        return None if row is None else int(time()) + int(row[0])

    def get(self, key: str) -> Value | None:
        row = self._execute(_GET, (*self._scope, key, _CONTEXT)).fetchone()
        if row is None:
            return None
        packed, expires_at = row
        if expires_at is not None and expires_at <= time():
            self.delete(key)
            return None
        return unpack(packed)

    def put_many(self, pairs: Sequence[Pair]) -> None:
        expires_at = self._expiry()
        rows = [self._row(key, value, expires_at) for key, value in pairs]
        self._execute("BEGIN IMMEDIATE")
        self._connection.executemany(_PUT, rows)
        self._execute("COMMIT")

    def get_many(self, keys: Sequence[str]) -> dict[str, Value]:
        found = ((key, self.get(key)) for key in keys)
        return {key: value for key, value in found if value is not None}

    def delete(self, key: str) -> None:
        self._execute(_DELETE, (*self._scope, key, _CONTEXT))

    def scan(self, start: str = "", limit: int | None = None) -> Iterable[Pair]:
        rows = self._execute(_SCAN, (*self._scope, int(time()), start, -1 if limit is None else limit))
        return ((key, unpack(packed)) for key, packed in rows)

    def scan_keys(self) -> Iterable[str]:
        return (key for (key,) in self._execute(_KEYS, (*self._scope, int(time()))))

    def last(self, count: int) -> Iterable[Pair]:
        rows = self._execute(_LAST, (*self._scope, int(time()), count))
        return ((key, unpack(packed)) for key, packed in rows)

    def close(self) -> None:
        self._connection.close()
