"""A private copy of a database of the old program, so that the original is read and never opened.

Opening it would change it: SQLite makes or changes files beside a database in WAL mode even for reading. So the file is
copied together with its write-ahead log, whose content counts, and everything else happens with the copy.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from time import monotonic, sleep

from pronto_lmdb.errors import MigrationError
from pronto_lmdb.legacy_schema import NothingThereError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    from fcntl import LOCK_NB, LOCK_SH, lockf
except ImportError:  # Windows: whether the file stays as it is shows afterwards
    lockf = None  # type: ignore[assignment]

MAGIC = b"SQLite format 3\0"
# What belongs to a database: its write-ahead log, and the journal of a transaction that was interrupted.
SIDE_FILES = ("-wal", "-journal")

_CHUNK = 1024 * 1024
_PAUSE = 0.05

# The bytes that SQLite locks: pending, reserved and shared in the database; the writer and the checkpoint in `-shm`.
_DATABASE_LOCK = (0x40000000, 512)
_LOG_LOCK = (120, 2)


def copy_database(source: str, target: str, timeout: float) -> str:
    """Copy a database and what belongs to it; return the checksum of all of it.

    Args:
        source: the database.
        target: the copy; what belongs to it gets the same endings.
        timeout: seconds to wait for a program that is writing.

    Raises:
        MigrationError: if it cannot be read, is no database, or is being written all the time.

    """
    try:
        _check_kind(source)
        with _kept_still(source, timeout):
            size = sum(os.path.getsize(path) for path, _ in _files(source))
            if size > shutil.disk_usage(os.path.dirname(target)).free:
                raise MigrationError(
                    f"{source} and its log take {size:,} bytes, for which {os.path.dirname(target)} has no room.",
                    "Set TMPDIR to a directory with more room.",
                )
            digest = sha256()
            for path, ending in _files(source):
                digest.update(ending.encode())
                with open(path, "rb") as original, open(target + ending, "wb") as copy:
                    while chunk := original.read(_CHUNK):
                        digest.update(chunk)
                        copy.write(chunk)
    except OSError as error:
        raise _unreadable(source, error) from error
    return digest.hexdigest()


def checksum(source: str) -> str:
    """Return the checksum of a database and what belongs to it, as :func:`copy_database` does.

    Raises:
        MigrationError: if it cannot be read.

    """
    digest = sha256()
    try:
        for path, ending in _files(source):
            digest.update(ending.encode())
            with open(path, "rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
    except OSError as error:
        raise _unreadable(source, error) from error
    return digest.hexdigest()


def _check_kind(source: str) -> None:
    with open(source, "rb") as file:
        begin = file.read(len(MAGIC))
    if not begin:
        raise NothingThereError(f"{source} is empty (0 bytes).", "There is nothing to take over.")
    if begin != MAGIC:
        raise NothingThereError(f"{source} is no SQLite database.", "Name a database, a data directory or a backup.")


def _files(source: str) -> list[tuple[str, str]]:
    """Return the files of a database, each with its ending; a side file that is empty says nothing."""
    found = [(source, "")]
    for ending in SIDE_FILES:
        path = source + ending
        if os.path.isfile(path) and os.path.getsize(path):
            found.append((path, ending))
    return found


@contextmanager
def _kept_still(source: str, timeout: float) -> Iterator[None]:
    """Share the locks of SQLite, so that nobody changes the files meanwhile; readers are not in the way."""
    with ExitStack() as stack:
        if lockf is not None:
            deadline = monotonic() + timeout
            for path, (start, length) in ((source, _DATABASE_LOCK), (f"{source}-shm", _LOG_LOCK)):
                if os.path.isfile(path):
                    file = stack.enter_context(open(path, "rb"))
                    _share(file.fileno(), start, length, source, deadline)
        yield


def _share(descriptor: int, start: int, length: int, source: str, deadline: float) -> None:
    while True:
        try:
            lockf(descriptor, LOCK_SH | LOCK_NB, length, start)
        except (BlockingIOError, PermissionError):
            if monotonic() >= deadline:
                raise MigrationError(
                    f"{source} is locked: another program is writing to it.", "End that program, then try again."
                ) from None
            sleep(_PAUSE)
        else:
            return


def _unreadable(source: str, error: OSError) -> MigrationError:
    return MigrationError(f"{source} cannot be read: {error.strerror}.", "Check its path, owner and permissions.")
