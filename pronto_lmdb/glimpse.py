"""Reading an address for a moment only, without opening it for good.

Opening an address for use takes several times as long as reading a small one. Who reads thousands of them one after the
other, and none of them again, needs neither LMDB's tables for writing nor a place among those that are kept open.
"""

from __future__ import annotations

import os
from contextlib import suppress

import lmdb

from pronto_lmdb.data_files import DATA_FILE
from pronto_lmdb.directory import Directory
from pronto_lmdb.errors import CorruptStoreError, FormatVersionError
from pronto_lmdb.files import try_share
from pronto_lmdb.forks import gate
from pronto_lmdb.identity import LIVE, Identity, State
from pronto_lmdb.marker import TRUSTED, trust
from pronto_lmdb.pool import pool
from pronto_lmdb.record import IDENTITY, STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Item = tuple[bytes, bytes]

# Other threads that want to open something wait meanwhile.
_LARGEST = 1024 * 1024


class Glimpse:
    """What an address held at one moment.

    Attributes:
        identity, state: of the keystore.
        entries: all but the state.
        records: how many of them are records.

    """

    __slots__ = ("entries", "identity", "records", "state")

    def __init__(self, txn: lmdb.Transaction[bytes], place: str, entries: Iterable[Item]) -> None:
        self.identity = Identity.decode(txn.get(IDENTITY), place)
        self.state = State.read(txn, place, txn.id())
        self.records = txn.stat()["entries"] - self.state.internal_entries
        self.entries = entries


def glimpse(path: str, address: str) -> Glimpse | None:
    """Return what a small address holds, if it is not open in this process.

    Args:
        path: its directory.
        address: its text.

    Returns:
        ``None`` where the address must be opened to be read: it is open already, or large, or its view must be made
        anew, or it has moved, or anything else is odd.

    """
    with pool.keeping_closed(path) as is_closed:
        if not is_closed:
            return None
        with suppress(OSError, lmdb.Error, CorruptStoreError, FormatVersionError), Directory(path) as directory:
            if directory.enter() and directory.hold(DATA_FILE, try_share, 0) and trust(directory) == TRUSTED:
                return _read(directory, address)
    return None


def _read(directory: Directory, address: str) -> Glimpse | None:
    size = os.path.getsize(directory.place(DATA_FILE))
    if size > _LARGEST:
        return None
    # Not for writing, but in the table of readers: no page that is looked at is used again meanwhile.
    with gate.passed():
        handle = lmdb.open(directory.place("."), readonly=True, create=False, map_size=_LARGEST)
        directory.let_go()
        try:
            if size < (handle.info()["last_pgno"] + 1) * handle.stat()["psize"]:
                return None
            with handle.begin() as txn:
                found = Glimpse(txn, directory.path, [entry for entry in txn.cursor() if entry[0] != STATE])
                return found if found.identity.address == address and found.state.status == LIVE else None
        finally:
            handle.close()
