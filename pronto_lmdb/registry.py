"""The registry: which addresses there are, where they are, and the settings of the store.

It is a catalog, not the truth: each keystore carries its own identity, and a registry that is lost or damaged
is made anew from them.
"""

from __future__ import annotations

import os
from contextlib import suppress

from msgpack import packb, unpackb

from pronto_lmdb import clock
from pronto_lmdb.address import Address
from pronto_lmdb.commit import Commit
from pronto_lmdb.config import checked
from pronto_lmdb.data_files import DATA_FILE, write_seal
from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import CorruptStoreError, InvalidValueError
from pronto_lmdb.identity import Identity
from pronto_lmdb.moment import Moment, Range
from pronto_lmdb.pool import pool
from pronto_lmdb.record import FIRST_USER_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    from pronto_lmdb.home import Home
    from pronto_lmdb.layout import Layout

    Absent = TypeVar("Absent")
    Result = TypeVar("Result")

_SETTING = b"\0config:"
_FLOOR = b"\0floor:"
_TRASH = b"\0trash:"
_TRASH_END = b"\0trash;"
# What the name of no file has, or what stands for bytes that are no text.
_IN_NO_NAME = frozenset("\0/\ufffd")


class Placed:
    """An identity and the directory in which its environment lies."""

    __slots__ = ("identity", "path")

    def __init__(self, identity: Identity, path: str) -> None:
        self.identity = identity
        self.path = path


class Trashed:
    """What the registry knows about a deleted address: its identity, and the directory that was moved away."""

    __slots__ = ("identity", "path", "trash_id")

    def __init__(self, trash_id: str, identity: Identity, path: str) -> None:
        self.trash_id = trash_id
        self.identity = identity
        self.path = path


class Registry:
    """The catalog of one store.

    Args:
        layout: where things are in the store.
        owner: the number that stands for the store in the pool.
        timeout: seconds to wait for a lock.

    """

    def __init__(self, layout: Layout, owner: int, timeout: float) -> None:
        self._layout = layout
        self._owner = owner
        self._timeout = timeout

    def exists(self) -> bool:
        """Tell whether there is a registry on disk."""
        return self._opened() is not None

    def is_usable(self) -> bool:
        """Tell whether there is a registry on disk that can be read."""
        try:
            return self.exists()
        except CorruptStoreError:
            return False

    # -- addresses ---------------------------------------------------------------------------------------------

    def find(self, address: Address) -> Placed | None:
        """Return what is known about an address."""
        stored = self._read(lambda moment: moment.txn.get(address_key(str(address))), None)
        return None if stored is None else self._decode(stored)

    def addresses(self, user: str | None = None, after: str | None = None) -> Iterator[Placed]:
        """Yield all addresses, or those of one user, sorted by the bytes of their text; a page at a time.

        Args:
            user: whose.
            after: the text of the address behind which to begin.

        Raises:
            CorruptStoreError: at an entry that cannot be read.

        """
        prefix = b"" if user is None else address_key(str(Address(user)).removesuffix("default"))
        for _, stored in self._rows(
            Range(prefix, None if after is None else address_key(after) + b"\0", None, reverse=False)
        ):
            yield self._decode(stored)

    def names(self) -> Iterator[str]:
        """Yield the texts of all addresses, sorted by their bytes; entries are read only where that is needed.

        Raises:
            CorruptStoreError: at an entry that cannot be read.

        """
        for key, stored in self._rows(Range(b"", None, None, reverse=False)):
            yield key.decode() if key.isascii() else self._decode(stored).identity.address

    def _rows(self, keys: Range) -> Iterator[tuple[bytes, bytes]]:
        while not keys.done:
            page = self._read(lambda moment: keys.next_records(moment, float("inf")), None)
            if page is None:
                return
            yield from page

    def put_in(self, commit: Commit, placed: Placed) -> None:
        """Catalog an address as part of a change."""
        commit.put(*self.address_entry(placed))

    def address_entry(self, placed: Placed) -> tuple[bytes, bytes]:
        """Return the stored form of an address."""
        return address_key(placed.identity.address), self._encode(placed)

    def restore_in(self, commit: Commit, catalog: dict[bytes, bytes]) -> None:
        """Replace all addresses, live and deleted, as part of a change; used-up revisions stay used up."""
        self._clear_addresses_in(commit)
        for key, value in catalog.items():
            if not key.startswith(_FLOOR) or value > (commit.get(key) or b""):
                commit.put(key, value)

    def _clear_addresses_in(self, commit: Commit) -> None:
        cursor = commit.txn.cursor()
        known = list(cursor.iternext(keys=True, values=False)) if cursor.set_range(_TRASH) else []
        for key in known:
            if key >= FIRST_USER_KEY or key < _TRASH_END:
                commit.delete(key)

    def remove_in(self, commit: Commit, address: str) -> None:
        """Strike an address from the catalog as part of a change."""
        commit.delete(address_key(address))

    def _encode(self, placed: Placed) -> bytes:
        fields = {**placed.identity.fields(), "path": self._layout.relative(placed.path)}
        return packb(fields)  # type: ignore[no-any-return]

    def _decode(self, stored: bytes) -> Placed:
        try:
            fields = unpackb(stored)
            path = self._layout.absolute(fields.pop("path"))
            if "\0" in path:
                raise self._damaged()
            return Placed(Identity(**fields), path)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise self._damaged() from None

    def _damaged(self) -> CorruptStoreError:
        return CorruptStoreError(f"{self._layout.registry} holds a damaged entry.", "Rebuild the registry.")

    # -- revisions that were used up ---------------------------------------------------------------------------

    def floor(self, address: str) -> int:
        """Return the last revision that a deleted or renamed address of this name had reached."""
        stored = self._read(lambda moment: moment.txn.get(_FLOOR + address_key(address)), None)
        return 0 if stored is None else int.from_bytes(stored, "big")

    def raise_floor_in(self, commit: Commit, address: str, revision: int) -> None:
        """Note, as part of a change, that the revisions of a name up to this one are used up."""
        key, floor = self.floor_entry(address, revision)
        if floor > (commit.get(key) or b""):
            commit.put(key, floor)

    def floor_entry(self, address: str, revision: int) -> tuple[bytes, bytes]:
        """Return the stored form of a name's used-up revisions."""
        return _FLOOR + address_key(address), revision.to_bytes(8, "big")

    # -- trash -------------------------------------------------------------------------------------------------

    def trash(self) -> list[Trashed]:
        """Return the deleted addresses, oldest first."""

        def stored(moment: Moment) -> list[tuple[bytes, bytes]]:
            cursor = moment.txn.cursor()
            found = []
            if cursor.set_range(_TRASH):
                for key, value in cursor.iternext():
                    if key >= _TRASH_END:
                        break
                    found.append((key, value))
            return found

        rows = self._read(stored, [])
        trashed = []
        for key, value in rows:
            placed, trash_id = self._decode(value), key[len(_TRASH) :].decode(errors="replace")
            if not _IN_NO_NAME.isdisjoint(trash_id):
                raise self._damaged()  # it would be no name of a file, or lead elsewhere
            trashed.append(Trashed(trash_id, placed.identity, placed.path))
        return trashed

    def put_trash_in(self, commit: Commit, trashed: Trashed) -> None:
        """Catalog a deleted address as part of a change."""
        commit.put(*self.trash_entry(trashed))

    def trash_entry(self, trashed: Trashed) -> tuple[bytes, bytes]:
        """Return the stored form of a deleted address."""
        return _TRASH + trashed.trash_id.encode(), self._encode(Placed(trashed.identity, trashed.path))

    def remove_trash_in(self, commit: Commit, trash_id: str) -> None:
        """Strike a deleted address from the catalog as part of a change."""
        commit.delete(_TRASH + trash_id.encode())

    # -- settings ----------------------------------------------------------------------------------------------

    def setting(self, name: str) -> str | None:
        """Return the stored text of a setting."""
        stored = self._read(lambda moment: moment.txn.get(_SETTING + name.encode()), None)
        return None if stored is None else stored.decode()

    def set_setting_in(self, commit: Commit, name: str, text: str | None) -> None:
        """Store the text of a setting, or remove it, as part of a change."""
        if text is None:
            commit.delete(_SETTING + name.encode())
        else:
            commit.put(_SETTING + name.encode(), text.encode())

    # -- transactions ------------------------------------------------------------------------------------------

    def change(self, operation: Callable[[Commit], Any]) -> None:
        """Run an operation in one durable transaction of the registry, which exists."""
        while True:
            home = self._opened()
            if home is None:
                raise CorruptStoreError(f"{self._layout.registry} has gone.", "Open the store again: it is rebuilt.")
            try:
                commit = Commit(home.environment, home, self._timeout)
            except StaleEnvironment:
                continue
            try:
                operation(commit)
            except BaseException:
                commit.abort()
                raise
            commit.commit()
            write_seal(home.environment.path)
            return

    def _read(self, operation: Callable[[Moment], Result], absent: Absent) -> Result | Absent:
        while True:
            home = self._opened()
            if home is None:
                return absent
            with suppress(StaleEnvironment):  # closed in between, to make room for others: look again
                return home.environment.read(lambda txn: operation(Moment(txn, clock.now())))

    def _opened(self) -> Home | None:
        # Looked up each time: the registry may be lost and made anew while it is open here.
        return pool.open(self._layout.registry, "", self._owner)


def address_key(text: str) -> bytes:
    """Return the registry's key for the text of an address: one byte per ASCII character, three per other.

    UTF-8 would need up to 513 bytes and LMDB allows 511. These sort exactly like the UTF-8 bytes of the text.
    """
    if text.isascii():
        return text.encode()
    return b"".join(
        character.encode() if character < "\x80" else (0x800000 | ord(character)).to_bytes(3, "big")
        for character in text
    )


def legible_settings(path: str) -> list[tuple[bytes, bytes]]:
    """Return the entries of all settings that can still be read in the directory of a damaged registry."""
    from pronto_lmdb.salvage import DamagedFile

    found = []
    with suppress(OSError):
        for key, text in DamagedFile(os.path.join(path, DATA_FILE)).reachable():
            if key.startswith(_SETTING):
                with suppress(InvalidValueError, UnicodeDecodeError):
                    checked(key.removeprefix(_SETTING).decode(), text.decode())
                    found.append((key, text))
    return found
