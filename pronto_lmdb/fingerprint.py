"""The fingerprint of a view: while it is the same, nothing was committed.

It has two halves of 16 hex digits. The first one stands for what the system tells about the data file without opening
it; the second one for the file and its two meta pages, of which each commit changes one. To compare the first half
takes one call of the system. It is all that is needed where it counts, and it counts only where the file had been left
alone for a while when its fingerprint was taken: two commits at the same tick of the clock leave the same times.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from mmap import PAGESIZE
from time import time_ns

from pronto_lmdb.data_files import DATA_FILE
from pronto_lmdb.marker import boot_id, marker_content

# The times of files have a grain: 2 s at the worst, and a few milliseconds more while the system is busy.
_GRAIN = 3_000_000_000
# LMDB's two meta pages end before this.
_META = 256
_HALF = 16
_NOTHING = "0" * _HALF


def fingerprint(path: str) -> str:
    """Return the fingerprint of the view in a directory.

    Returns:
        32 hex digits, the first half zeros where it does not count; nothing where there is no view, or nothing that
        names the boot of the system.

    """
    boot = boot_id()
    # By the clock of the files, whatever time it is elsewhere; and before anything is looked at.
    now = time_ns()
    try:
        descriptor = os.open(f"{path}/{DATA_FILE}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        found = os.fstat(descriptor)
        pages = os.pread(descriptor, PAGESIZE + _META, 0)
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    if boot is None or len(pages) < PAGESIZE + _META:
        return ""
    # A view means nothing in another boot. And an inode may be used again, for a file of another time.
    seen = b"%b%d %b%b" % (marker_content(boot, found), found.st_mtime_ns, pages[:_META], pages[PAGESIZE:])
    at_rest = max(found.st_mtime_ns, found.st_ctime_ns) < now - _GRAIN
    return (_outside(boot, found) if at_rest else _NOTHING) + _hashed(seen)


def is_same(known: str, now: str) -> bool:
    """Tell whether two fingerprints are of the same view, with nothing committed in between."""
    return bool(known) and known[_HALF:] == now[_HALF:]


def is_untouched(known: str, name: str, directory: int) -> bool:
    """Tell, without opening it, whether a view is still as its fingerprint says; where in doubt, it is not.

    Args:
        known: its fingerprint.
        name: of its directory.
        directory: descriptor of the one that this is in.

    """
    boot, half = boot_id(), known[:_HALF]
    if boot is None or not half or half == _NOTHING:
        return False
    try:
        return _outside(boot, os.stat(f"{name}/{DATA_FILE}", dir_fd=directory)) == half
    except OSError:
        return False


def _outside(boot: str, file: os.stat_result) -> str:
    """Return what stands for all that tells of a write: no program can set the second time as it likes."""
    times = f"{boot} {file.st_dev} {file.st_ino} {file.st_size} {file.st_mtime_ns} {file.st_ctime_ns}"
    return _hashed(times.encode())


def _hashed(seen: bytes) -> str:
    return blake2b(seen, digest_size=_HALF // 2).hexdigest()
