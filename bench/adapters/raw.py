"""py-lmdb and msgpack by hand, one environment for each address: the ceiling.

No header, no revision, no expiry, no growth of the map, no time-out, no protection against fork or a second
opening: what is left out is what Pronto adds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import lmdb

from bench.adapters import Pair, Value, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MAP_SIZE = 16 * 1024**3


class RawAdapter:
    """An LMDB environment: synced commits at ``full``, unsynced ones at ``off``."""

    def __init__(self, durability: str) -> None:
        self.durability = durability

    def open(self, directory: str, address: str) -> None:
        path = os.path.join(directory, address)
        os.makedirs(path, exist_ok=True)
        synced = self._is_synced
        self._environment = lmdb.open(
            path, map_size=_MAP_SIZE, sync=synced, metasync=synced, max_readers=2048, max_spare_txns=1
        )

    @property
    def _is_synced(self) -> bool:
        return self.durability == "full"

    def sibling(self) -> RawAdapter:
        return self

    def put(self, key: str, value: Value) -> None:
        packed = pack(value)
        with self._environment.begin(write=True) as txn:
            txn.put(key.encode(), packed)

    def get(self, key: str) -> Value | None:
        txn = self._environment.begin()
        packed = txn.get(key.encode())
        txn.abort()
        return None if packed is None else unpack(packed)

    def put_many(self, pairs: Sequence[Pair]) -> None:
        with self._environment.begin(write=True) as txn:
            put = txn.put
            for key, value in pairs:
                put(key.encode(), pack(value))

    def get_many(self, keys: Sequence[str]) -> dict[str, Value]:
        with self._environment.begin() as txn:
            found = [(key, txn.get(key.encode())) for key in keys]
        return {key: unpack(packed) for key, packed in found if packed is not None}

    def delete(self, key: str) -> None:
        with self._environment.begin(write=True) as txn:
            txn.delete(key.encode())

    def scan(self, start: str = "", limit: int | None = None) -> Iterable[Pair]:
        with self._environment.begin() as txn, txn.cursor() as cursor:
            if not cursor.set_range(start.encode()):
                return
            for count, (key, packed) in enumerate(cursor.iternext()):
                if count == limit:
                    return
                yield key.decode(), unpack(packed)

    def scan_keys(self) -> Iterable[str]:
        with self._environment.begin() as txn, txn.cursor() as cursor:
            for key in cursor.iternext(keys=True, values=False):
                yield key.decode()

    def last(self, count: int) -> Iterable[Pair]:
        with self._environment.begin() as txn, txn.cursor() as cursor:
            for taken, (key, packed) in enumerate(cursor.iterprev()):
                if taken == count:
                    return
                yield key.decode(), unpack(packed)

    def close(self) -> None:
        self._environment.close()
