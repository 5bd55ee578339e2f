"""The directory of a keystore, held open: its files by name, whatever it is called now, and who is inside."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from pronto_lmdb.files import PRIVATE_FILE, allocated, try_lock, try_share, unlock, wait_for, write_all

_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_HAS_DESCRIPTOR_PATHS = sys.platform == "linux"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

# All that are open, so that the child of a fork can close its copies: what they lock is its parent's.
_all_open: set[Directory] = set()


def abandon_all() -> None:
    """Close the descriptors of all directories, as a fork's child must."""
    for directory in list(_all_open):
        directory.abandon()


class Directory:
    """A directory held open, with a lock that says who is inside.

    Everybody who uses the view of the keystore shares the lock. Whoever replaces the view holds it alone, so
    nobody ever sees one file of a view beside another of the next.

    Args:
        path: where it is now.

    Raises:
        FileNotFoundError, NotADirectoryError: if it is not there, or is a symbolic link: that could lead into the
            directory of another address.

    """

    __slots__ = ("_descriptor", "_held", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._held: list[int] = []
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _NO_LINKS | os.O_CLOEXEC)
        _all_open.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the lock, for the copies that a fork made as well, and the descriptor; idempotent."""
        self.let_go()
        if self._descriptor >= 0:
            unlock(self._descriptor)
        self.abandon()

    def abandon(self) -> None:
        """Close the descriptors only, as a fork's child must: the locks are its parent's."""
        _all_open.discard(self)
        while self._held:
            os.close(self._held.pop())
        # Given up first: other threads go on while it is being closed, and one of them may fork.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    # -- who is inside -----------------------------------------------------------------------------------------

    def enter(self) -> bool:
        """Share the directory with everybody who uses the keystore, unless somebody is replacing the view."""
        return wait_for(try_share, self._descriptor, 0)

    def leave(self) -> None:
        """Give the lock back. It is never raised: that would let others in between unseen."""
        unlock(self._descriptor)

    def seclude(self, timeout: float = 0) -> bool:
        """Be the only one inside, if nobody else is, or all others leave within so many seconds."""
        return wait_for(try_lock, self._descriptor, timeout)

    def insiders(self) -> str:
        """Return who is inside, in words."""
        from pronto_lmdb.holders import named  # seldom needed

        return named(self._descriptor)

    def hold(self, name: str, lock: Callable[[int], None], timeout: float) -> bool:
        """Lock a file inside, whichever has the name by then, until :meth:`let_go`; tell whether that came about.

        Whoever opens a view shares its data file meanwhile, and whoever puts another in its place holds both alone.

        Args:
            name: of the file.
            lock: how, such as :func:`try_share`.
            timeout: seconds to wait for others.

        Raises:
            FileNotFoundError: if there is none.

        """
        while True:
            descriptor = self.open(name, os.O_RDONLY)
            self._held.append(descriptor)
            if not wait_for(lock, descriptor, timeout):
                return False
            if os.path.samestat(os.fstat(descriptor), os.stat(name, dir_fd=self._descriptor)):
                return True
            self._held.remove(descriptor)
            os.close(descriptor)

    def let_go(self) -> None:
        """Give back what :meth:`hold` locked, for the copies that a fork made as well; idempotent."""
        while self._held:
            descriptor = self._held.pop()
            unlock(descriptor)
            os.close(descriptor)

    # -- files inside ------------------------------------------------------------------------------------------

    def open(self, name: str, flags: int) -> int:
        """Open a file inside and return its descriptor."""
        return os.open(name, flags | os.O_CLOEXEC, PRIVATE_FILE, dir_fd=self._descriptor)

    def place(self, name: str) -> str:
        """Return a path for those who want one; on Linux it stays right while the directory is moved."""
        if _HAS_DESCRIPTOR_PATHS:
            return f"/proc/self/fd/{self._descriptor}/{name}"
        return os.path.join(self.path, name)

    def stat(self, name: str) -> os.stat_result | None:
        """Return what the system knows about a file inside; ``None`` if there is none."""
        try:
            return os.stat(name, dir_fd=self._descriptor)
        except FileNotFoundError:
            return None

    def has(self, name: str) -> bool:
        """Tell whether there is a file of a name inside, without a look at the file itself."""
        return os.access(name, os.F_OK, dir_fd=self._descriptor)

    def allocated(self) -> int:
        """Return what the files inside take on the disk, in bytes."""
        with os.scandir(self._descriptor) as files:
            return sum(allocated(file.stat()) for file in files)

    def names(self) -> list[str]:
        """Return the names of all files inside."""
        return os.listdir(self._descriptor)

    def rename(self, source: str, target: str) -> None:
        """Give a file inside another name, and replace what has that one."""
        os.replace(source, target, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def link(self, name: str, other: str) -> None:
        """Give a file inside another name besides, if it has not got it yet."""
        with suppress(FileExistsError):
            os.link(name, other, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def unlink(self, name: str) -> None:
        """Remove a file inside; one that is gone already is fine."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file inside; ``None`` if there is none."""
        try:
            descriptor = self.open(name, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            return os.read(descriptor, 65536)
        finally:
            os.close(descriptor)

    def write(self, name: str, content: bytes) -> None:
        """Write a small file inside, replacing it as a whole; it is not flushed."""
        temporary = f"{name}.tmp"
        descriptor = self.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            write_all(descriptor, content, 0)
        finally:
            os.close(descriptor)
        self.rename(temporary, name)

    def sync(self) -> None:
        """Make the names inside survive a power loss."""
        os.fsync(self._descriptor)

    def sync_parent(self) -> None:
        """Make the name of the directory itself survive a power loss, wherever it is now."""
        parent = os.open("..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._descriptor)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
