"""LMDB's two files, looked at from outside."""

from __future__ import annotations

import os
from contextlib import suppress

from pronto_lmdb.errors import CorruptStoreError
from pronto_lmdb.files import PRIVATE_FILE
from pronto_lmdb.translation import translated

DATA_FILE = "data.mdb"
LOCK_TABLE = "lock.mdb"
# What vouches for the data file of an environment without a journal: the registry.
SEAL = "seal"

# The header and 126 readers; beyond that the file is sparse until more are seen.
_RESERVED_LOCK_BYTES = 8192
_READER_BYTES = 64
FIRST_READERS = _RESERVED_LOCK_BYTES // _READER_BYTES - 2


def identify(path: str) -> tuple[int, int] | None:
    """Return device and inode of the data file in a directory, ``None`` if there is none.

    Raises:
        ReadOnlyError, CorruptStoreError: where the system refuses to tell.

    """
    try:
        stat = os.stat(os.path.join(path, DATA_FILE))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise translated(error, path) from error
    return stat.st_dev, stat.st_ino


def seal_of(file: os.stat_result) -> bytes:
    """Return a line that says how long a file is and when it was written to last, in nanoseconds."""
    return f"sealed {file.st_size} {file.st_mtime_ns}\n".encode()


def write_seal(path: str) -> None:
    """Vouch for the data file in a directory as it is now. It is a hint: without it the file is looked at."""
    with suppress(OSError):
        seal = seal_of(os.stat(os.path.join(path, DATA_FILE)))
        _put(os.path.join(path, SEAL), seal)


def _put(name: str, content: bytes) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        os.pwrite(descriptor, content, 0)  # in place: that takes no room, and a torn one vouches for nothing
        os.ftruncate(descriptor, len(content))
    finally:
        os.close(descriptor)


def look_before_opening(path: str) -> None:
    """Make sure that LMDB survives the data file in a directory: it is sealed, or its pages are looked at.

    Raises:
        CorruptStoreError: if it is damaged.
        ReadOnlyError, StoreFullError: where the system refuses.

    """
    name = os.path.join(path, DATA_FILE)
    try:
        before = os.stat(name)
        if _content_of(os.path.join(path, SEAL)) == seal_of(before):
            return
        problem = damage_at_rest(name)
        after = os.stat(name)
    except OSError as error:
        raise translated(error, path) from error
    if problem is not None:
        raise CorruptStoreError(f"{name} is damaged: {problem}.", "Run `pronto check --repair`.")
    if seal_of(after) == seal_of(before) and os.path.exists(os.path.join(path, SEAL)):
        with suppress(OSError):  # somebody who may only read
            _put(os.path.join(path, SEAL), seal_of(before))


def _content_of(name: str) -> bytes | None:
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError:
        return None


def is_sound(path: str) -> bool:
    """Tell whether the environment in a directory is structurally whole, without giving it to LMDB.

    LMDB aborts the process on some torn files.
    """
    return damage(os.path.join(path, DATA_FILE)) is None


def damage(file: str) -> str | None:
    """Return what is structurally wrong with a data file, ``None`` if nothing is; LMDB is not asked."""
    from lmdb.verify import VerifyError, verify

    try:
        found = [str(problem) for problem in verify(file, subdir=False)]  # type: ignore[no-untyped-call]
    except (OSError, VerifyError) as error:
        return str(error)
    if any(map(_is_slack, found)):
        found = [problem for problem in found if not _follows_from_slack(problem)]
    return found[0] if found else None


def _is_slack(problem: str) -> bool:
    """Tell whether the verifier only means that LMDB wrote a shorter value over a longer one, in the same pages.

    LMDB does that within a transaction, and keeps the pages; the verifier of py-lmdb 3.0.0 takes them for lost.
    """
    _, found, rest = problem.partition("header mp_pages ")
    has, _, needs = rest.partition(" != ")
    needed = needs.rpartition("=")[2]
    return bool(found) and has.isdecimal() and needed.isdecimal() and int(has) > int(needed)


def _follows_from_slack(problem: str) -> bool:
    return _is_slack(problem) or "overflow pages, record says" in problem or "neither reachable nor in" in problem


def damage_at_rest(file: str) -> str | None:
    """Return the same for a data file that may be written to meanwhile: ``None``, too, if it was.

    What a reader can see lies where it is until the second commit after it, and each commit changes a meta page.
    """
    before = _meta_pages(file)
    found = damage(file)
    return found if _meta_pages(file) == before else None


def _meta_pages(file: str) -> bytes:
    from mmap import PAGESIZE  # a library of its own, which most commands do without

    with open(file, "rb") as content:
        return content.read(2 * PAGESIZE)


def reserve_lock_file(path: str) -> None:
    """Make LMDB's lock file with real bytes at its beginning, if there is none.

    LMDB writes it through a map, and a map cannot say that the disk is full, only kill the process.

    Raises:
        ReadOnlyError, StoreFullError: where the system refuses.

    """
    name = os.path.join(path, LOCK_TABLE)
    if os.path.exists(name):
        return
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            # Reserved, not written: another process may be using the file already.
            with suppress(AttributeError):  # macOS and Windows
                os.posix_fallocate(descriptor, 0, _RESERVED_LOCK_BYTES)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise translated(error, path) from error


def reserve_readers(path: str, readers: int, kept: list[int]) -> None:
    """Give LMDB's lock file, which is open in this process, real bytes for so many readers.

    Args:
        path: the directory.
        readers: how many.
        kept: descriptors of the lock file, which the caller closes when LMDB has closed it. If any of them is closed
            before, the system drops LMDB's locks: other processes take this one for dead, and its readers for gone.

    Raises:
        OSError: if the disk refuses.

    """
    if hasattr(os, "posix_fallocate"):
        if not kept:
            kept.append(os.open(os.path.join(path, LOCK_TABLE), os.O_RDWR | os.O_CLOEXEC))
        os.posix_fallocate(kept[0], 0, _READER_BYTES * (readers + 2))


def is_on_readonly_file_system(path: str) -> bool:
    """Tell whether nobody can write there through this mount."""
    return hasattr(os, "statvfs") and bool(os.statvfs(path).f_flag & os.ST_RDONLY)
