"""The record: header and value of one key, byte by byte (docs/format.md), and the names of internal entries."""

from __future__ import annotations

from struct import Struct
from struct import error as BadSizeError  # noqa: N812 - it says more

from pronto_lmdb.errors import CorruptStoreError, FormatVersionError
from pronto_lmdb.values import unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# Byte 0 of a record: the format version in the high half, flags in the low half.
PLAIN = 0x10
EXPIRING = 0x11

_PLAIN_HEADER = Struct(">BQQ")
# Packs what a record without an expiry begins with: PLAIN, its revision, the time of its update.
plain_header = _PLAIN_HEADER.pack
_EXPIRING_HEADER = Struct(">BQQQ")
PLAIN_SIZE = _PLAIN_HEADER.size
EXPIRING_SIZE = _EXPIRING_HEADER.size
_INSTANT = Struct(">Q")

# User keys never begin with NUL, so these sort before and apart from all of them.
IDENTITY = b"\0identity"
STATE = b"\0state"
NAMESPACE_TTL = b"\0ttl:"
EXPIRY = b"\0x"
FIRST_USER_KEY = b"\1"
_EXPIRY_PREFIX_SIZE = len(EXPIRY) + _INSTANT.size


def encode_record(packed: bytes, revision: int, updated_at: int, expires_at: int | None) -> bytes:
    """Return the bytes of a record. Instants are microseconds since 1970 UTC; no expiry is ``None``."""
    if expires_at is None:
        return _PLAIN_HEADER.pack(PLAIN, revision, updated_at) + packed
    return _EXPIRING_HEADER.pack(EXPIRING, revision, updated_at, expires_at) + packed


def is_live(record: bytes, now: int) -> bool:
    """Tell whether a record has no expiry, or one after ``now`` (microseconds)."""
    expires_at = expiry_of(record)
    return expires_at is None or expires_at > now


def expiry_of(record: bytes) -> int | None:
    """Return when a record expires, in microseconds, or ``None``."""
    kind = record[0] if record else 0
    if kind == PLAIN:
        return None
    if kind != EXPIRING or len(record) <= EXPIRING_SIZE:
        _refuse(record)
    return int.from_bytes(record[PLAIN_SIZE:EXPIRING_SIZE], "big")


def packed_value(record: bytes) -> bytes:
    """Return the msgpack bytes of a record, its header left unread but for the first byte."""
    kind = record[0] if record else 0
    if kind == PLAIN:
        return record[PLAIN_SIZE:]
    if kind != EXPIRING:
        _refuse(record)
    return record[EXPIRING_SIZE:]


def header_of(record: bytes) -> tuple[int, int, int | None]:
    """Return revision, update time and expiry of a record, times in microseconds.

    Raises:
        FormatVersionError: if a newer release wrote it.
        CorruptStoreError: if it is no record.

    """
    expires_at = expiry_of(record)
    if len(record) <= PLAIN_SIZE:
        _refuse(record)
    _, revision, updated_at = _PLAIN_HEADER.unpack_from(record)
    return revision, updated_at, expires_at


def readable_header(key: bytes, record: bytes, *, deep: bool) -> tuple[int, int, int | None] | None:
    """Return what :func:`header_of` does, or ``None`` if key or record cannot be read.

    Args:
        key: under which the record is stored.
        record: the bytes.
        deep: read the value, too.

    Raises:
        FormatVersionError: if a newer release wrote it.

    """
    try:
        key.decode()
        if deep:
            unpack(packed_value(record))
        return header_of(record)
    except (CorruptStoreError, UnicodeDecodeError):
        return None


def expiry_entry(expires_at: int, key: bytes) -> bytes:
    """Return the name of the index entry that says when a key expires; these sort by time."""
    return EXPIRY + _INSTANT.pack(expires_at) + key


def expired_key(entry: bytes) -> bytes:
    """Return the key in the name of an expiry index entry."""
    return entry[_EXPIRY_PREFIX_SIZE:]


def expiry_bound(now: int) -> bytes:
    """Return the first possible name of an index entry that has not expired at ``now``."""
    return EXPIRY + _INSTANT.pack(now + 1)


def encode_ttl(microseconds: int) -> bytes:
    """Return the stored form of a namespace's default TTL."""
    return _INSTANT.pack(microseconds)


def decode_ttl(stored: bytes) -> int:
    """Return a namespace's default TTL in microseconds."""
    return int(_INSTANT.unpack(stored)[0])


def is_readable_default(entry: bytes, stored: bytes) -> bool:
    """Tell whether name and content of an entry for the default TTL of a namespace can be read."""
    try:
        entry.decode()
        decode_ttl(stored)
    except (BadSizeError, UnicodeDecodeError):
        return False
    return True


def _refuse(record: bytes) -> NoReturn:
    if record and record[0] >> 4 > PLAIN >> 4:
        raise FormatVersionError(
            f"A record has the format version {record[0] >> 4}; this release reads version {PLAIN >> 4}.",
            "Use the release that wrote it, or a newer one.",
        )
    raise CorruptStoreError(
        f"A record begins with {record[:4].hex() or 'nothing'}, which is no record header.",
        "Check the store; restore the key from a snapshot.",
    )
