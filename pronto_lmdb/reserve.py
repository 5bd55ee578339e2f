"""Room that is kept on the disk of a store, so that an address can be deleted when there is no other left."""

from __future__ import annotations

import os
from contextlib import suppress

from pronto_lmdb.files import PRIVATE_FILE

# A note, a commit of the address, one of the registry, and a new piece of journal.
_SIZE = 256 * 1024


class Reserve:
    """A file that nobody reads.

    Args:
        path: where it lies.

    """

    def __init__(self, path: str) -> None:
        self._path = path

    def give_up(self) -> bool:
        """Give its room back to the disk; tell whether there was any."""
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            return False
        return True

    def keep(self) -> None:
        """Keep room from now on, if there is enough; it need not survive a power loss."""
        if os.path.exists(self._path):
            return
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
            try:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(descriptor, 0, _SIZE)
                else:
                    os.pwrite(descriptor, bytes(_SIZE), 0)
            except OSError:
                os.unlink(self._path)
                raise
            finally:
                os.close(descriptor)
