"""What LMDB's own errors mean to a user: no ``lmdb.Error`` leaves this library."""

from __future__ import annotations

import errno

from pronto_lmdb.errors import (
    ConflictError,
    CorruptStoreError,
    FormatVersionError,
    InvalidKeyError,
    LockTimeoutError,
    ProntoError,
    ReadOnlyError,
    StoreClosedError,
    StoreFullError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import lmdb

_DAMAGED = "Check the store; what cannot be repaired comes back from a snapshot."
_REPORT = "This is a defect of the library: please report it with the steps that led here."
_FREE_SPACE = "Free some space, then try again: nothing was written, reading still works."

_INHERITED = "is already open in this process"

_MEANINGS: dict[str, tuple[type[ProntoError], str]] = {
    "BadChecksumError": (CorruptStoreError, _DAMAGED),
    "BadDbiError": (CorruptStoreError, _DAMAGED),
    "BadRslotError": (ConflictError, "A process was forked at a bad moment: open the store again."),
    "BadTxnError": (ConflictError, "The transaction failed before: begin a new one."),
    "BadValsizeError": (InvalidKeyError, "Keys have at most 500 bytes."),
    "CorruptedError": (CorruptStoreError, _DAMAGED),
    "CryptoFailError": (CorruptStoreError, "The file is encrypted by another program."),
    "CursorFullError": (CorruptStoreError, _DAMAGED),
    "DbsFullError": (CorruptStoreError, "Another program added named databases to this file."),
    "DiskError": (StoreFullError, _FREE_SPACE),
    "EnvEncryptionError": (CorruptStoreError, "The file is encrypted by another program."),
    "IncompatibleError": (FormatVersionError, "Use the release that wrote the file."),
    "InvalidError": (
        CorruptStoreError,
        "It is not an LMDB file: move it away, or restore it from a snapshot.",
    ),
    "InvalidParameterError": (
        StoreClosedError,
        "The environment was closed meanwhile: open the store again.",
    ),
    "KeyExistsError": (ConflictError, _REPORT),
    "LockError": (
        LockTimeoutError,
        "Processes in different containers with one process id cannot share a store.",
    ),
    "MapFullError": (StoreFullError, "The address is at its quota: delete something, or raise max_bytes."),
    "MapResizedError": (LockTimeoutError, "Other processes let the file grow all the time: try again."),
    "MemoryError": (StoreFullError, "The process has no memory or address space left."),
    "NotFoundError": (CorruptStoreError, _DAMAGED),
    "PageFullError": (CorruptStoreError, _DAMAGED),
    "PageNotFoundError": (CorruptStoreError, _DAMAGED),
    "PanicError": (CorruptStoreError, "Close the store in this process and open it again."),
    "ProblemError": (CorruptStoreError, _DAMAGED),
    "ReadersFullError": (LockTimeoutError, "Too many views are open at once: close some."),
    "ReadonlyError": (ReadOnlyError, "Check the owner and the permissions of the directory."),
    "TlsFullError": (StoreFullError, "The process has too many environments open."),
    "TxnFullError": (StoreFullError, "Split the transaction into smaller ones."),
    "VersionMismatchError": (
        FormatVersionError,
        "The file has another LMDB format: use the release that wrote it.",
    ),
}

_ERRNO_MEANINGS: dict[int, tuple[type[ProntoError], str]] = {
    errno.ENOSPC: (StoreFullError, _FREE_SPACE),
    errno.EDQUOT: (StoreFullError, _FREE_SPACE),
    # LMDB 0.9 reports a short write, which is what a full disk gives, as EIO.
    errno.EIO: (
        StoreFullError,
        "The disk is full or failing: free some space, look at the system log, try again.",
    ),
    errno.EMFILE: (StoreFullError, "The process has too many files open: close some, or raise `ulimit -n`."),
    errno.ENFILE: (StoreFullError, "The system has too many files open."),
    errno.ENOMEM: (StoreFullError, "The process has no memory or address space left."),
    errno.EACCES: (ReadOnlyError, "Check the owner and the permissions of the directory."),
    errno.EPERM: (ReadOnlyError, "Check the owner and the permissions of the directory."),
    errno.EROFS: (ReadOnlyError, "The file system is mounted read-only."),
    errno.EAGAIN: (LockTimeoutError, "Another process is in the way: try again."),
    errno.EBUSY: (LockTimeoutError, "Another process is in the way: try again."),
    errno.ENOTDIR: (CorruptStoreError, "A file or a symbolic link lies where a directory should be: move it away."),
    errno.ELOOP: (CorruptStoreError, "A symbolic link lies where a directory should be: move it away."),
    errno.ENOENT: (
        CorruptStoreError,
        "Something is missing: check the path, or the store.",
    ),
    errno.EINVAL: (CorruptStoreError, _DAMAGED),
}


def translated(error: lmdb.Error | OSError, place: str) -> ProntoError:
    """Return the error of ours that says what an LMDB or system error means for ``place``, a path or an address."""
    if isinstance(error, ProntoError):
        return error  # some of ours are system errors as well
    if _INHERITED in str(error):  # nothing of ours opens a file twice
        return ConflictError(
            f"{place} was in use at the moment when this process was forked.",
            "Use it in the parent, or start the process by spawn.",
        )
    meaning = _MEANINGS.get(type(error).__name__)
    if meaning is None:
        code = getattr(error, "errno", None) or getattr(error, "code", None)
        meaning = _ERRNO_MEANINGS.get(code or 0, (CorruptStoreError, _DAMAGED))
    kind, hint = meaning
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).rstrip(".")
    return kind(f"{reason}." if place in reason else f"{place}: {reason}.", hint)
