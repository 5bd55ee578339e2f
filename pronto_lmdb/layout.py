"""Where everything lies below the root of a store."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.address import Address


class Layout:
    """The names below one root; nothing is created here.

    Args:
        root: the store's directory.

    """

    __slots__ = (
        "addresses",
        "lifecycle_lock",
        "meta",
        "pending",
        "places",
        "registry",
        "reserve",
        "root",
        "snapshots",
        "trash",
    )

    def __init__(self, root: str) -> None:
        self.root = root
        self.addresses = os.path.join(root, "addresses")
        self.trash = os.path.join(root, "trash")
        self.snapshots = os.path.join(root, "snapshots")
        self.meta = os.path.join(root, "meta")
        self.registry = os.path.join(self.meta, "registry")
        # One entry for each life-cycle operation that has begun and not ended.
        self.pending = os.path.join(self.meta, "pending")
        # For each address outside the root a file with its path, so that a lost registry can be rebuilt.
        self.places = os.path.join(self.meta, "places")
        self.reserve = os.path.join(self.meta, "reserve")
        self.lifecycle_lock = os.path.join(self.meta, "lifecycle.lock")

    def home(self, address: Address) -> str:
        """Return the directory of an address that was not placed elsewhere."""
        return os.path.join(self.addresses, address.directory)

    def place(self, address: Address) -> str:
        """Return the file that names the directory of an address placed elsewhere, relative where possible."""
        return os.path.join(self.places, address.directory)

    def is_inside(self, path: str) -> bool:
        """Tell whether a path lies below the root."""
        return path.startswith(self.root + os.sep)

    def is_reserved(self, path: str) -> bool:
        """Tell whether a path belongs to the store itself."""
        kept = (self.addresses, self.meta, self.snapshots, self.trash)
        return path == self.root or any(path == directory or path.startswith(directory + os.sep) for directory in kept)

    def relative(self, path: str) -> str:
        """Return a path relative to the root where it lies inside, so that the store can be moved."""
        return os.path.relpath(path, self.root) if self.is_inside(path) else path

    def absolute(self, path: str) -> str:
        """Undo :meth:`relative`."""
        return os.path.normpath(os.path.join(self.root, path))
