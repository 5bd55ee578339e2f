"""diskcache, without eviction: ``normal`` is how it comes, ``full`` has its SQLite wait for the disk."""

from __future__ import annotations

import os
from itertools import dropwhile, islice
from typing import TYPE_CHECKING

import diskcache

from bench.adapters import Pair, Value, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SYNCHRONOUS = {"full": 2, "normal": 1}


class DiskcacheAdapter:
    """A cache directory for each address."""

    def __init__(self, durability: str) -> None:
        self.durability = durability

    def open(self, directory: str, address: str) -> None:
        self._path = os.path.join(directory, address)
        self._open()

    def _open(self) -> None:
        self._cache = diskcache.Cache(
            self._path,
            eviction_policy="none",
            cull_limit=0,
            size_limit=1 << 40,
            sqlite_synchronous=_SYNCHRONOUS[self.durability],
        )

    def sibling(self) -> DiskcacheAdapter:
        other = DiskcacheAdapter(self.durability)
        other._path = self._path
        other._open()
        return other

    def put(self, key: str, value: Value) -> None:
        self._cache.set(key, pack(value))

    def get(self, key: str) -> Value | None:
        packed = self._cache.get(key)
        return None if packed is None else unpack(packed)

    def put_many(self, pairs: Sequence[Pair]) -> None:
        with self._cache.transact():
            for key, value in pairs:
                self._cache.set(key, pack(value))

    def get_many(self, keys: Sequence[str]) -> dict[str, Value]:
        found = ((key, self._cache.get(key)) for key in keys)
        return {key: unpack(packed) for key, packed in found if packed is not None}

    def delete(self, key: str) -> None:
        self._cache.delete(key)

    def scan(self, start: str = "", limit: int | None = None) -> Iterable[Pair]:
        keys = dropwhile(lambda key: key < start, self._cache.iterkeys())
        return ((key, unpack(self._cache.get(key))) for key in islice(keys, limit))

    def scan_keys(self) -> Iterable[str]:
        keys: Iterable[str] = self._cache.iterkeys()
        return keys

    def last(self, count: int) -> Iterable[Pair]:
        return ((key, unpack(self._cache.get(key))) for key in islice(self._cache.iterkeys(reverse=True), count))

    def close(self) -> None:
        self._cache.close()
