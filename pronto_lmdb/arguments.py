"""What may be asked of a store: arguments that are checked before anything is looked for or locked."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pronto_lmdb import clock
from pronto_lmdb.config import checked
from pronto_lmdb.errors import InvalidValueError
from pronto_lmdb.values import is_encodable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.layout import Layout

# What an address can hold at least: below this LMDB has no room to move.
SMALLEST_QUOTA = 64 * 1024
GREATEST_QUOTA = 2**46

# Longer ones overflow the waiting calls of the system.
_LONGEST_TIMEOUT = 1e6
_GREATEST_AGE = 1e12
_MICROSECONDS = 1_000_000


def checked_timeout(timeout: float) -> float:
    """Return a time-out in seconds.

    Raises:
        InvalidValueError: if it is none.

    """
    if not _is_number(timeout):
        raise InvalidValueError(f"The timeout {timeout!r} is no number.", "Give seconds, 0 or more.")
    checked("timeout", str(timeout))
    return min(timeout, _LONGEST_TIMEOUT)


def checked_ttl(seconds: float) -> int:
    """Return a time to live in microseconds, at least one.

    Raises:
        InvalidValueError: if it is not finite and positive, or ends after the year 9999.

    """
    if not _is_number(seconds) or not 0 < seconds < float("inf"):
        raise InvalidValueError(f"{seconds!r} is no time to live.", "Give a finite, positive number of seconds.")
    if seconds > (clock.LAST_INSTANT - clock.now()) / _MICROSECONDS:
        raise InvalidValueError(f"A TTL of {seconds} s ends after the year 9999.", "Leave it out: None never expires.")
    return max(1, round(seconds * _MICROSECONDS))


def checked_age(seconds: float) -> float:
    """Return an age in seconds.

    Raises:
        InvalidValueError: if it is none.

    """
    if not _is_number(seconds) or not 0 <= seconds < _GREATEST_AGE:
        raise InvalidValueError(f"{seconds!r} is no age.", "Give seconds, 0 or more.")
    return seconds


def checked_place(path: str | os.PathLike[str], layout: Layout) -> str:
    """Return the real path of a directory that is meant for an address.

    Raises:
        InvalidValueError: if it belongs to the store itself, or is no UTF-8.

    """
    place = os.path.realpath(os.fsdecode(path))
    if layout.is_reserved(place) or not is_encodable(place):
        raise InvalidValueError(f"{place!a} cannot be the place of an address.", "Choose another path.")
    return place


def checked_quota(max_bytes: int | None) -> int | None:
    """Return a quota in bytes, or ``None`` for none.

    Raises:
        InvalidValueError: if it is too small to work with, or not a number of bytes at all.

    """
    if max_bytes is None:
        return None
    if (
        isinstance(max_bytes, bool)
        or not isinstance(max_bytes, int)
        or not SMALLEST_QUOTA <= max_bytes <= GREATEST_QUOTA
    ):
        raise InvalidValueError(
            f"A quota of {max_bytes!r} is not possible.",
            f"Give a number of bytes, at least {SMALLEST_QUOTA:,}.",
        )
    return max_bytes


def checked_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of labels, text by name.

    Raises:
        InvalidValueError: if they are anything else.

    """
    if not isinstance(labels, Mapping):
        raise InvalidValueError(f"Labels are text by name, not {type(labels).__name__}.", "Pass a dict.")
    for name, text in labels.items():
        if not (isinstance(name, str) and isinstance(text, str) and is_encodable(name) and is_encodable(text)):
            raise InvalidValueError(f"The label {name!r}: {text!r} is not text.", "Labels are text by name.")
    return dict(labels)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
