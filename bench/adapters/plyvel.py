"""LevelDB through plyvel: ``full`` flushes the log at each write, ``normal`` does not."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

import plyvel

from bench.adapters import Pair, Value, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class PlyvelAdapter:
    """A database directory for each address."""

    def __init__(self, durability: str) -> None:
        self.durability = durability
        self._sync = durability == "full"

    def open(self, directory: str, address: str) -> None:
        os.makedirs(directory, exist_ok=True)
        self._db = plyvel.DB(os.path.join(directory, address), create_if_missing=True, bloom_filter_bits=10)

    def sibling(self) -> PlyvelAdapter:
        return self

    def put(self, key: str, value: Value) -> None:
        self._db.put(key.encode(), pack(value), sync=self._sync)

    def get(self, key: str) -> Value | None:
        packed = self._db.get(key.encode())
        return None if packed is None else unpack(packed)

    def put_many(self, pairs: Sequence[Pair]) -> None:
        with self._db.write_batch(transaction=True, sync=self._sync) as batch:
            for key, value in pairs:
                batch.put(key.encode(), pack(value))

    def get_many(self, keys: Sequence[str]) -> dict[str, Value]:
        found = ((key, self._db.get(key.encode())) for key in keys)
        return {key: unpack(packed) for key, packed in found if packed is not None}

    def delete(self, key: str) -> None:
        self._db.delete(key.encode(), sync=self._sync)

    def scan(self, start: str = "", limit: int | None = None) -> Iterable[Pair]:
        pairs = self._db.iterator(start=start.encode() or None)
        return ((key.decode(), unpack(packed)) for key, packed in islice(pairs, limit))

    def scan_keys(self) -> Iterable[str]:
        return (key.decode() for key in self._db.iterator(include_value=False))

    def last(self, count: int) -> Iterable[Pair]:
        return ((key.decode(), unpack(packed)) for key, packed in islice(self._db.iterator(reverse=True), count))

    def close(self) -> None:
        self._db.close()
