"""Where addresses lie that are not in their usual place, so that they are found without the registry."""

from __future__ import annotations

import os
from contextlib import suppress

from pronto_lmdb.address import Address
from pronto_lmdb.data_files import DATA_FILE
from pronto_lmdb.errors import AddressExistsError
from pronto_lmdb.files import read_text, sync_directory, write_durably

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.layout import Layout


class Places:
    """The small files that name directories outside the root: of live addresses, and of deleted ones.

    Args:
        layout: where things are in the store.

    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def remember(self, address: str, path: str) -> None:
        """Note where an address lies, if that is outside the root."""
        if not self._layout.is_inside(path):
            write_durably(self._layout.place(Address.parse(address)), path)

    def forget(self, address: str) -> None:
        """Remove the note of an address, durably: one that stays behind says that a directory is missing."""
        _remove(self._layout.place(Address.parse(address)))

    def forget_unmade(self, address: str) -> None:
        """Remove the note of an address that was never made: there is nothing where it says."""
        place = read_text(self._layout.place(Address.parse(address)))
        if place is not None and not os.path.isdir(self._layout.absolute(place)):
            self.forget(address)

    def remember_deleted(self, trash_id: str, path: str) -> None:
        """Note where a deleted address lies, if that is outside the root."""
        if not self._layout.is_inside(path):
            write_durably(os.path.join(self._layout.trash, trash_id), path)

    def forget_deleted(self, trash_id: str) -> None:
        """Remove the note of a deleted address, durably."""
        _remove(os.path.join(self._layout.trash, trash_id))


def _remove(path: str) -> None:
    with suppress(FileNotFoundError, IsADirectoryError):
        os.unlink(path)
        sync_directory(os.path.dirname(path))


def refuse_occupied(path: str) -> None:
    """Refuse a place where something is already."""
    if os.path.lexists(path) and not (os.path.isdir(path) and not os.listdir(path)):
        raise AddressExistsError(f"{path} exists and is not an empty directory.", "Move it away.")


def refuse_nested(path: str) -> None:
    """Refuse a place inside another environment."""
    parent = os.path.dirname(path)
    while parent != os.path.dirname(parent):
        if os.path.exists(os.path.join(parent, DATA_FILE)):
            raise AddressExistsError(f"{path} lies inside another environment, {parent}.", "Choose another path.")
        parent = os.path.dirname(parent)
