"""What the snapshots before say of the addresses that are taken, and another name for the data files that they have."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from pronto_lmdb.errors import FormatVersionError, SnapshotError
from pronto_lmdb.manifest import data_file
from pronto_lmdb.snapshots import read_manifest
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pronto_lmdb.address import Address

    Line = tuple[bytes, Any]

# An address that none of so many holds is taken as one that none holds.
_MOST = 16
# To find one line takes as long as to read so many, when all are read.
_LINES_A_FIND = 5


class Earlier:
    """The newest of the snapshots before.

    Args:
        paths: their directories, oldest first.
        built: that of the one to come.

    Attributes:
        known: by the text of an address, its line in the newest snapshot that holds it, and what that says. Nothing but
            the address has been looked at in it.

    """

    def __init__(self, paths: Sequence[str], built: str) -> None:
        self._paths = paths[-_MOST:]
        self._built = built
        self._links: list[Links] = []
        # Of the addresses that are known from an older one than the newest that was read.
        self._older: dict[str, Links] = {}
        self.known: dict[str, Line] = {}

    def find(self, addresses: Sequence[Address]) -> None:
        """Get to know addresses, and maybe others. A snapshot that cannot be read is passed over."""
        missing = addresses
        for path in reversed(self._paths):
            if any(os.path.lexists(os.path.join(path, data_file(address))) for address in missing):
                with suppress(SnapshotError, FormatVersionError):  # `backup list` tells of it
                    self._read(path, [str(address) for address in missing])
                missing = [address for address in missing if str(address) not in self.known]

    def _read(self, path: str, names: Sequence[str]) -> None:
        manifest = read_manifest(path)
        if len(names) * _LINES_A_FIND > len(manifest.lines):
            found = dict(zip(manifest.names(), zip(manifest.lines, manifest.fields(), strict=True), strict=True))
        else:
            found = {name: line for name in names if (line := manifest.find(name)) is not None}
        links = Links(path, self._built)
        if self._links:  # what a newer one says of an address counts
            self._older |= dict.fromkeys(found.keys() - self.known.keys(), links)
            found |= self.known
        self._links.append(links)
        self.known = found

    def link(self, address: str, name: str, size: int | None, new: str | None = None) -> bool:
        """Give the file of an address that is known another name; see :meth:`Links.link`."""
        return self._older.get(address, self._links[0]).link(name, size, new)

    def close(self) -> None:
        """Give back the descriptors; idempotent."""
        while self._links:
            self._links.pop().close()


class Links:
    """Gives data files of a snapshot a second name in the next one.

    Args:
        previous: the directory of the snapshot that has them.
        built: that of the one to come.

    Raises:
        ReadOnlyError, StoreFullError: where the system refuses.

    """

    def __init__(self, previous: str, built: str) -> None:
        self._descriptors: list[int] = []
        try:
            for path in (previous, built):
                self._descriptors.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            self.close()
            raise translated(error, path) from error

    def link(self, name: str, size: int | None, new: str | None = None) -> bool:
        """Give a file a name there, by default the same; tell whether that was possible, and it is of this size."""
        source, target = self._descriptors
        new = name if new is None else new
        try:
            os.link(name, new, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        except OSError:
            return False  # another file system, or one without links, or too many of them
        linked = os.stat(new, dir_fd=target, follow_symlinks=False)
        if linked.st_size == size and stat.S_ISREG(linked.st_mode):
            return True
        os.unlink(new, dir_fd=target)
        return False

    def close(self) -> None:
        """Give back the descriptors; idempotent."""
        while self._descriptors:
            os.close(self._descriptors.pop())
