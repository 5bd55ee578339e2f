"""Finding the home of an address."""

from __future__ import annotations

import os

from pronto_lmdb.errors import CorruptStoreError
from pronto_lmdb.files import read_text
from pronto_lmdb.pool import ForeignHomeError, pool
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.address import Address
    from pronto_lmdb.home import Home
    from pronto_lmdb.layout import Layout


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

        It lies in its usual place, or where a small file says; the registry is not needed to find it.
        """
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

    def is_pending(self) -> bool:
        """Tell whether an operation has begun and not ended, here or in another process, alive or dead."""
        try:
            with os.scandir(self._layout.pending) as notes:
                return next(notes, None) is not None
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise translated(error, self._layout.root) from error
