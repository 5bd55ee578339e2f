"""Keeping LMDB's tables out of the heap, in processes that open many environments."""

from __future__ import annotations

from itertools import count

# LMDB asks for 2 MiB of zeros with each environment. As a mapping of its own that costs nothing until it is used.
# But once such a mapping has been freed, glibc serves the next one from the heap and clears it by hand, which takes
# several times as long as all the rest of opening. A fixed threshold keeps large blocks in mappings.
_THRESHOLD = 1024 * 1024
_M_MMAP_THRESHOLD = -3

# A short command opens two or three; the import of ctypes would cost it more than it gains.
_MANY = 8

_openings = count(1)


def note_opening() -> None:
    """Count an opening; when there have been many, let the allocator map large blocks from now on."""
    if next(_openings) == _MANY:
        _fix_threshold()


def _fix_threshold() -> None:
    from ctypes import CDLL

    try:
        CDLL(None).mallopt(_M_MMAP_THRESHOLD, _THRESHOLD)
    except (OSError, AttributeError, TypeError):
        return  # another C library, which has no such habit
