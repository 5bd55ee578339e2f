"""Finding the home of an address."""

from __future__ import annotations

import os
from time import monotonic, sleep

from pronto_lmdb.errors import AddressNotFoundError, CorruptStoreError, LockTimeoutError, ReadOnlyError
from pronto_lmdb.files import read_text
from pronto_lmdb.pool import ForeignHomeError, pool
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.address import Address
    from pronto_lmdb.home import Home
    from pronto_lmdb.layout import Layout


# What is in every note of a replacement.
_REPLACE = '"replace"'
_PAUSE = 1e-3
# How often an address is looked for, with nobody replacing it in between, before it is not there.
_LOOKS = 3
_PATIENCE = 10.0


class Lookup:
    """Opens addresses by name, through the pool; creates nothing.

    Args:
        layout: where things are in the store.
        owner: the number that stands for the store in the pool.

    """

    def __init__(self, layout: Layout, owner: int) -> None:
        self._layout = layout
        self._owner = owner

    def find(self, address: Address) -> Home | None:
        """Return the open home of an address, or ``None`` where it does not exist.

        It lies in its usual place, or where a small file says; the registry is not needed to find it. While it is being
        replaced, there is nothing in its place for an instant: that is waited for.
        """
        home, misses, deadline = self._found(address), 1, 0.0
        while home is None and misses < _LOOKS:
            if self._is_being_replaced(address):
                deadline = deadline or monotonic() + _PATIENCE
                if monotonic() >= deadline:
                    break
                sleep(_PAUSE)
                misses = 0
            # Once more in any case: the replacement may just have ended, and the next one have begun.
            home = self._found(address)
            misses += 1
        return home

    def _found(self, address: Address) -> Home | None:
        try:
            return self._open_placed(address)
        except ForeignHomeError:
            if self.is_pending():
                return None  # halfway through a rename
            return self._open_placed(address)  # a rename that ended between two looks

    def _open_placed(self, address: Address) -> Home | None:
        home = pool.open(self._layout.home(address), str(address), self._owner)
        if home is not None:
            return home
        place = read_text(self._layout.place(address))
        if place is None:
            return None
        path = self._layout.absolute(place)
        home = pool.open(path, str(address), self._owner)
        if home is None and not os.path.isdir(path) and not self.is_pending():
            if read_text(self._layout.place(address)) == place:
                raise CorruptStoreError(f"{address} lies in {path}, which is missing.", "Is that disk mounted?")
            return None  # deleted between two looks
        return home

    def _is_being_replaced(self, address: Address) -> bool:
        """Tell whether somebody who is alive is about to put another keystore into the place of an address."""
        if not self.is_pending():
            return False
        with os.scandir(self._layout.pending) as notes:
            paths = [note.path for note in notes if note.name.endswith(".json")]
        return any(self._replaces(path, address) for path in paths) and self._is_at_work()

    @staticmethod
    def _replaces(path: str, address: Address) -> bool:
        try:
            text = read_text(path)
            if text is None or _REPLACE not in text:
                return False
            from json import loads  # seldom needed: it would cost every command 5 ms

            note = loads(text)
            return bool(note["operation"] == "replace" and note["address"] == str(address))
        except (ValueError, KeyError, TypeError):
            return False  # damaged: a check reports it

    def _is_at_work(self) -> bool:
        try:
            with pool.passing(self._layout.lifecycle_lock) as lock:
                lock.acquire(0)
        except LockTimeoutError:
            return True
        except ReadOnlyError:
            return False
        return False

    def is_pending(self) -> bool:
        """Tell whether an operation has begun and not ended, here or in another process, alive or dead."""
        try:
            with os.scandir(self._layout.pending) as notes:
                return next(notes, None) is not None
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise translated(error, self._layout.root) from error


def address_not_found(address: Address) -> AddressNotFoundError:
    """Return the error for an address that does not exist."""
    return AddressNotFoundError(f"There is no address {address}.", "`pronto addresses` lists those that exist.")
