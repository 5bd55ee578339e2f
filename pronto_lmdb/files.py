"""Private directories, durable renames, and locks between processes."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic, sleep

from pronto_lmdb.errors import AddressExistsError, LockTimeoutError, ReadOnlyError
from pronto_lmdb.translation import translated

if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> None:
        """Lock an open file for this process alone; BlockingIOError or PermissionError if another has it."""
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def try_share(descriptor: int) -> None:
        """Windows has no shared lock of this kind; keystores are used by one process at a time there."""
        try_lock(descriptor)

    def unlock(descriptor: int) -> None:
        """Give a lock back."""
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock

    def try_lock(descriptor: int) -> None:
        """Lock an open file for this process alone; BlockingIOError or PermissionError if another has it."""
        flock(descriptor, LOCK_EX | LOCK_NB)

    def try_share(descriptor: int) -> None:
        """Lock an open file together with others who share it; errors as above."""
        flock(descriptor, LOCK_SH | LOCK_NB)

    def unlock(descriptor: int) -> None:
        """Give a lock back."""
        flock(descriptor, LOCK_UN)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedWriter

# macOS has no fdatasync.
flush_data = getattr(os, "fdatasync", os.fsync)

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600

# A writer is gone in less time than the shortest sleep takes: so a few looks in between other processes come first.
_GLANCES = 8
give_way = getattr(os, "sched_yield", partial(sleep, 0))
_FIRST_PAUSE = 50e-6
_LONGEST_PAUSE = 2e-3


# Directories whose names this process knows to be on the disk, by path and inode.
_durable: set[tuple[str, int]] = set()


def make_directory(path: str) -> None:
    """Create a directory that only its owner may enter, and its missing parents, and make their names durable.

    A directory that is there already may have been made by a process that was killed before it was flushed. So its
    name, and those of its parents, are flushed once by each process that relies on them.

    Raises:
        ReadOnlyError, StoreFullError: where the system refuses.

    """
    unsure = []
    while path and not is_durable(path):
        unsure.append(path)
        path = os.path.dirname(path)
    try:
        for directory in reversed(unsure):
            with suppress(FileExistsError):
                os.mkdir(directory, PRIVATE_DIRECTORY)
            with suppress(PermissionError):  # a parent that is none of ours was there long before
                sync_directory(os.path.dirname(directory))
            _durable.add((directory, os.stat(directory).st_ino))
    except OSError as error:
        raise translated(error, unsure[0]) from error


def is_durable(path: str) -> bool:
    """Tell whether the name of a directory is known to be on the disk, or is that of a file system."""
    try:
        return (path, os.stat(path).st_ino) in _durable or os.path.ismount(path)
    except OSError:
        return False


def sync_directory(path: str) -> None:
    """Make the names inside a directory survive a power loss.

    Raises:
        ReadOnlyError, StoreFullError: where the system refuses.

    """
    if sys.platform == "win32":  # has no such call, and needs none: NTFS journals names
        return
    try:
        descriptor = os.open(path or ".", os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise translated(error, path) from error


def move(source: str, target: str) -> None:
    """Rename a directory, unless that was done already, and make its new name durable; with it the old one goes.

    Raises:
        AddressExistsError: if ``target`` is a directory with content.
        ReadOnlyError, StoreFullError: where the system refuses.

    """
    try:
        if os.path.isdir(source) or not os.path.isdir(target):
            os.rename(source, target)
        sync_directory(os.path.dirname(target))
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise AddressExistsError(f"{target} exists and is not empty.", "Choose another path.") from error
        raise translated(error, source) from error


def allocated(stat: os.stat_result) -> int:
    """Return what a file takes on the disk, in bytes; where the system does not say, its size in whole blocks."""
    return getattr(stat, "st_blocks", -(-stat.st_size // 512)) * 512


def write_all(descriptor: int, content: bytes, position: int) -> None:
    """Write all of some bytes at a position: one call moves at most 2 GiB, and a full disk or a signal less."""
    written = os.pwrite(descriptor, content, position)
    while written < len(content):
        written += os.pwrite(descriptor, memoryview(content)[written:], position + written)


def remove_tree(path: str) -> None:
    """Remove a directory and what it contains; one that is gone already is fine."""
    import shutil  # only here: it costs a command 6 ms at start

    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise translated(error, path) from error


def read_text(path: str) -> str | None:
    """Return the content of a small file, or ``None`` where there is none.

    Whatever bytes a damaged one holds, it is text that can be a path: of nothing that there is.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().replace("\0", "\ufffd")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise translated(error, path) from error


def write_durably(path: str, text: str) -> None:
    """Write a small file so that it is there with all of its content, or not at all, whatever happens.

    Raises:
        ReadOnlyError, StoreFullError: where the system refuses.

    """
    with durable_file(path) as file:
        file.write(text.encode(errors="surrogateescape"))


@contextmanager
def durable_file(path: str) -> Iterator[BufferedWriter]:
    """Yield a file to write to. At the end of the block it is at a path, with all of its content, and on the disk.

    What was there is replaced. Where the block or the system fails, it is still there, and nothing else is.

    Raises:
        ReadOnlyError, StoreFullError: where the system refuses.

    """
    temporary = f"{path}.tmp"
    try:
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE)
            with open(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        sync_directory(os.path.dirname(path))
    except OSError as error:
        raise translated(error, path) from error


def wait_for(lock: Callable[[int], None], descriptor: int, timeout: float) -> bool:
    """Try to get a lock for ``timeout`` seconds, at least once; tell whether it was got. Ctrl-C works while waiting."""
    deadline = monotonic() + timeout
    pause, glances = _FIRST_PAUSE, _GLANCES
    while True:
        with suppress(BlockingIOError, PermissionError):
            lock(descriptor)
            return True
        if monotonic() >= deadline:
            return False
        if glances > 0:
            glances -= 1
            give_way()
        else:
            sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


class FileLock:
    """An exclusive lock between processes, bound to one descriptor. Threads need a mutex in front of it.

    Args:
        path: the lock file; created empty when first locked, never removed.

    Attributes:
        descriptor: of the open file; negative while it is closed.

    """

    __slots__ = ("descriptor", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor = -1

    def acquire(self, timeout: float, name: str = "") -> None:
        """Take the lock within ``timeout`` seconds; Ctrl-C works while waiting.

        Args:
            timeout: seconds to wait.
            name: of what is locked, for messages; by default the path.

        Raises:
            LockTimeoutError: if another process still holds it then.
            ReadOnlyError: if the lock file cannot be opened for writing.

        """
        if self.descriptor < 0:
            self.open()
        try:
            try_lock(self.descriptor)
        except (BlockingIOError, PermissionError):
            if not wait_for(try_lock, self.descriptor, timeout):
                raise self._in_vain(timeout, name) from None

    def _in_vain(self, timeout: float, name: str) -> LockTimeoutError:
        from pronto_lmdb.holders import named  # seldom needed

        return LockTimeoutError(
            f"{name or self.path} was locked by {named(self.descriptor)} for {timeout:g} s.",
            "Try again, or allow a longer timeout.",
        )

    def release(self) -> None:
        """Give the lock back, for the copies of the descriptor that a fork made as well; idempotent."""
        if self.descriptor >= 0:
            unlock(self.descriptor)

    def close(self) -> None:
        """Close the descriptor; a lock held through it is gone with it."""
        # Given up first: other threads go on while it is being closed, and one of them may fork.
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def open(self) -> None:
        """Open the lock file.

        Raises:
            ReadOnlyError, StoreFullError: where the system refuses.

        """
        if self.descriptor >= 0:
            return
        try:
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        except OSError as error:
            problem = translated(error, os.path.realpath(self.path))
            if isinstance(error, PermissionError) and not isinstance(problem, ReadOnlyError):
                problem = ReadOnlyError(f"{self.path} cannot be written.", "Check its owner and permissions.")
            raise problem from error


class DirectoryLock(FileLock):
    """The same, on a directory itself.

    Args:
        path: the directory.

    """

    __slots__ = ()

    def open(self) -> None:
        """Open the directory.

        Raises:
            ReadOnlyError, StoreFullError: where the system refuses.

        """
        if self.descriptor < 0:
            try:
                self.descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                raise translated(error, self.path) from error
