"""The commit path of Pronto by hand, with everything left out that makes it safe: the least that one put can cost.

A lock between processes, a commit of LMDB without a flush, one append to a journal, and at ``full`` one flush. There
is no checksum, no recovery, no time-out, and the journal is a ring of zeros that never grows and is never read. What
Pronto takes beyond this is Pronto's; what this takes beyond a peer is the price of the design.
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX, LOCK_UN, flock
from threading import Lock
from typing import TYPE_CHECKING

from bench.adapters import Pair, Value, pack
from bench.adapters.raw import RawAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import lmdb

_SLOT = 512
_SLOTS = 2048


class BareAdapter(RawAdapter):
    """LMDB without flushes behind a lock, and at ``full`` and ``normal`` a journal beside it."""

    def open(self, directory: str, address: str) -> None:
        super().open(directory, address)
        path = os.path.join(directory, address)
        self._locked = os.open(os.path.join(path, "writers"), os.O_RDWR | os.O_CREAT, 0o600)
        self._journal = os.open(os.path.join(path, "journal"), os.O_RDWR | os.O_CREAT, 0o600)
        self._threads = Lock()
        if not os.fstat(self._journal).st_size:
            os.pwrite(self._journal, bytes(_SLOT * _SLOTS), 0)
            os.fsync(self._journal)

    @property
    def _is_synced(self) -> bool:
        return False

    def sibling(self) -> BareAdapter:
        return self

    def put(self, key: str, value: Value) -> None:
        packed = pack(value)
        self._commit(lambda txn: txn.put(key.encode(), packed), packed)

    def put_many(self, pairs: Sequence[Pair]) -> None:
        packed = [(key.encode(), pack(value)) for key, value in pairs]

        def put(txn: lmdb.Transaction[bytes]) -> None:
            txn.cursor().putmulti(packed)

        self._commit(put, b"".join(value for _, value in packed))

    def delete(self, key: str) -> None:
        self._commit(lambda txn: txn.delete(key.encode()), key.encode())

    def _commit(self, change: Callable[[lmdb.Transaction[bytes]], object], frame: bytes) -> None:
        with self._threads:  # a lock of the file is one of the whole process
            flock(self._locked, LOCK_EX)
            with self._environment.begin(write=True) as txn:
                change(txn)
                slot = txn.id() % _SLOTS
            if self.durability != "off":
                os.pwrite(self._journal, frame, slot * _SLOT)
            flock(self._locked, LOCK_UN)
        if self.durability == "full":
            os.fdatasync(self._journal)

    def close(self) -> None:
        super().close()
        os.close(self._journal)
        os.close(self._locked)
