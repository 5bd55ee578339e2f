"""RocksDB through rocksdict, plain bytes: ``full`` flushes the log at each write, ``normal`` does not."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING, Any

import rocksdict

from bench.adapters import Pair, Value, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class RocksdictAdapter:
    """A database directory for each address."""

    def __init__(self, durability: str) -> None:
        self.durability = durability

    def open(self, directory: str, address: str) -> None:
        os.makedirs(directory, exist_ok=True)
        # Keys and values are bytes in raw mode; the types of the package cannot say so.
        self._db: Any = rocksdict.Rdict(os.path.join(directory, address), rocksdict.Options(raw_mode=True))
        self._options = rocksdict.WriteOptions()
        self._options.sync = self.durability == "full"
        self._db.set_write_options(self._options)

    def sibling(self) -> RocksdictAdapter:
        return self

    def put(self, key: str, value: Value) -> None:
        self._db.put(key.encode(), pack(value))

    def get(self, key: str) -> Value | None:
        packed = self._db.get(key.encode())
        return None if packed is None else unpack(packed)

    def put_many(self, pairs: Sequence[Pair]) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in pairs:
            batch.put(key.encode(), pack(value))
        self._db.write(batch, self._options)

    def get_many(self, keys: Sequence[str]) -> dict[str, Value]:
        found = self._db.get([key.encode() for key in keys])
        return {key: unpack(packed) for key, packed in zip(keys, found, strict=True) if packed is not None}

    def delete(self, key: str) -> None:
        self._db.delete(key.encode())

    def scan(self, start: str = "", limit: int | None = None) -> Iterable[Pair]:
        pairs = self._db.items(from_key=start.encode() or None)
        return ((key.decode(), unpack(packed)) for key, packed in islice(pairs, limit))

    def scan_keys(self) -> Iterable[str]:
        # Not a mapping: it has no __iter__.
        keys = self._db.keys()
        return (key.decode() for key in keys)

    def last(self, count: int) -> Iterable[Pair]:
        return ((key.decode(), unpack(packed)) for key, packed in islice(self._db.items(backwards=True), count))

    def close(self) -> None:
        self._db.close()
