"""sqlitedict, storing bytes: it turns ``synchronous`` off itself, so that is its only durability."""

from __future__ import annotations

import os
import sqlite3
from itertools import islice
from typing import TYPE_CHECKING

from sqlitedict import SqliteDict

from bench.adapters import Pair, Value, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class SqlitedictAdapter:
    """A file for each address; a write returns when its commit is done."""

    def __init__(self, durability: str) -> None:
        self.durability = durability

    def open(self, directory: str, address: str) -> None:
        os.makedirs(directory, exist_ok=True)
        self._dict = SqliteDict(
            os.path.join(directory, f"{address}.sqlite"), journal_mode="WAL", encode=sqlite3.Binary, decode=bytes
        )

    def sibling(self) -> SqlitedictAdapter:
        return self

    def put(self, key: str, value: Value) -> None:
        self._dict[key] = pack(value)
        self._dict.commit()

    def get(self, key: str) -> Value | None:
        packed = self._dict.get(key)
        return None if packed is None else unpack(packed)

    def put_many(self, pairs: Sequence[Pair]) -> None:
        self._dict.update((key, pack(value)) for key, value in pairs)
        self._dict.commit()

    def get_many(self, keys: Sequence[str]) -> dict[str, Value]:
        found = ((key, self._dict.get(key)) for key in keys)
        return {key: unpack(packed) for key, packed in found if packed is not None}

    def delete(self, key: str) -> None:
        self._dict.pop(key, None)
        self._dict.commit()

    def scan(self, start: str = "", limit: int | None = None) -> Iterable[Pair]:
        pairs = ((key, packed) for key, packed in self._dict.items() if key >= start)
        return ((key, unpack(packed)) for key, packed in islice(pairs, limit))

    def scan_keys(self) -> Iterable[str]:
        keys: Iterable[str] = self._dict.keys()
        return keys

    def last(self, count: int) -> Iterable[Pair]:
        return sorted(self.scan(), reverse=True)[:count]

    def close(self) -> None:
        self._dict.close()
