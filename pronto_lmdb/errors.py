"""Everything that can go wrong, as one tree.

::

    ProntoError
    ├── InvalidAddressError   (ValueError)             an address cannot be understood
    ├── InvalidKeyError       (ValueError)             a key cannot be stored
    ├── InvalidValueError     (TypeError, ValueError)  a value, TTL or setting is refused
    ├── KeyNotFoundError      (KeyError)               no live record under this key
    ├── AddressNotFoundError  (LookupError)            no such address in this store
    ├── AddressExistsError    (FileExistsError)        the name is taken
    ├── ConflictError                                  somebody else was first, or a rule of use was broken
    ├── LockTimeoutError      (TimeoutError)           a lock was not free in time
    ├── StoreClosedError                               used after ``close()`` or after its ``with`` block
    ├── ReadOnlyError         (PermissionError)        a write where only reading is possible
    ├── StoreFullError        (OSError)                no space: disk, quota or descriptors
    ├── CorruptStoreError                              the bytes on disk are not what was written
    ├── FormatVersionError                             written by a newer release
    ├── SnapshotError                                  a snapshot is unknown, unreadable or hostile
    └── MigrationError                                 old data cannot be taken over

Every message ends with what to do next; the same sentence alone is the attribute ``hint``.
"""

from __future__ import annotations

import errno

__all__ = [
    "AddressExistsError",
    "AddressNotFoundError",
    "ConflictError",
    "CorruptStoreError",
    "FormatVersionError",
    "InvalidAddressError",
    "InvalidKeyError",
    "InvalidValueError",
    "KeyNotFoundError",
    "LockTimeoutError",
    "MigrationError",
    "ProntoError",
    "ReadOnlyError",
    "SnapshotError",
    "StoreClosedError",
    "StoreFullError",
]


class ProntoError(Exception):
    """The base of every error that this library raises on purpose.

    Args:
        problem: what is wrong, one sentence, naming the thing it is about.
        hint: what to do about it, one sentence.

    """

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem, hint)
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.problem} {self.hint}".rstrip()


class _SystemError(ProntoError, OSError):
    """One that generic handlers of system errors understand: ``errno`` and ``strerror`` are set."""

    _code: int

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem, hint)
        self.errno, self.strerror = self._code, problem


class InvalidAddressError(ProntoError, ValueError):
    """An address, or one of its two parts, cannot be understood."""


class InvalidKeyError(ProntoError, ValueError):
    """A key is empty, too long, not text, or does not follow the convention where that is needed."""


class InvalidValueError(ProntoError, TypeError, ValueError):
    """A value, a TTL or a setting is of a kind or size that cannot be stored."""


class KeyNotFoundError(ProntoError, KeyError):
    """There is no live record under this key."""


class AddressNotFoundError(ProntoError, LookupError):
    """The store has no such address."""


class AddressExistsError(_SystemError, FileExistsError):
    """The address, or the directory meant for it, exists already."""

    _code = errno.EEXIST


class ConflictError(ProntoError):
    """Another writer was first, or an open transaction forbids what was asked."""


class LockTimeoutError(_SystemError, TimeoutError):
    """A lock was not free within the time-out."""

    _code = errno.ETIMEDOUT


class StoreClosedError(ProntoError):
    """The store, transaction or view was used after its end."""


class ReadOnlyError(_SystemError, PermissionError):
    """A write was asked of something that can only be read."""

    _code = errno.EACCES


class StoreFullError(_SystemError):
    """There is no room: the disk, the quota of the address, or the descriptors of the process."""

    _code = errno.ENOSPC


class CorruptStoreError(ProntoError):
    """The bytes on disk are not what was written there."""


class FormatVersionError(ProntoError):
    """The data was written in a format that this release does not know."""


class SnapshotError(ProntoError):
    """A snapshot is unknown, unreadable or not to be trusted."""


class MigrationError(ProntoError):
    """Data of the old program cannot be taken over."""
