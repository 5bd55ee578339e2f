"""What the writing verbs do, prepared: arguments are checked and packed, and what is left is a function of a commit.

Such a function changes nothing but the commit, and may be run again where a commit came to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, islice

from pronto_lmdb import changes, clock
from pronto_lmdb.arguments import checked_ttl
from pronto_lmdb.errors import InvalidKeyError, InvalidValueError
from pronto_lmdb.key import encode_key, encode_keys
from pronto_lmdb.record import (
    FIRST_USER_KEY,
    NAMESPACE_TTL,
    encode_ttl,
    expiry_of,
    header_of,
    is_live,
    packed_value,
)
from pronto_lmdb.values import Value, pack, pack_all, same, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from pronto_lmdb.commit import Commit

    Result = TypeVar("Result")
    Operation = Callable[[Commit], Result]

# In place of a value: that there is none.
UNSET: Value = object()  # type: ignore[assignment]

_INTEGERS = range(-(2**63), 2**64)
# Values of a batch that are held as they came, before they are packed.
_PACKED_AT_ONCE = 256


def put(limit: int, key: str, value: Value, ttl: float | None) -> Operation[None]:
    """Write a value; ``limit`` is the greatest size of a packed one, here and below."""
    encoded, packed = encode_key(key), pack(value, limit)
    lifetime = None if ttl is None else checked_ttl(ttl)
    return lambda commit: changes.put(commit, encoded, packed, lifetime)


def add(limit: int, key: str, value: Value, ttl: float | None) -> Operation[bool]:
    """Write a value only where there is none; tell whether it was written."""
    encoded, packed, lifetime = encode_key(key), pack(value, limit), _lifetime(ttl)

    def add(commit: Commit) -> bool:
        if changes.live_record(commit, encoded) is not None:
            return False
        changes.put(commit, encoded, packed, lifetime)
        return True

    return add


def replace(limit: int, key: str, value: Value, expected: Value, revision: int | None) -> Operation[bool]:
    """Write a value only over a known one; tell whether it was written.

    Raises:
        InvalidValueError: unless exactly one of ``expected`` (else ``UNSET``) and ``revision`` is given.

    """
    if (expected is UNSET) == (revision is None):
        raise InvalidValueError(
            "replace() compares either a value or a revision.",
            "Pass exactly one of expected= and revision=.",
        )
    encoded, packed = encode_key(key), pack(value, limit)
    wanted = b"" if expected is UNSET else pack(expected, limit)

    def replace(commit: Commit) -> bool:
        record = changes.live_record(commit, encoded)
        if record is None or not _matches(record, wanted, revision):
            return False
        changes.store(commit, encoded, packed, expiry_of(record), record)
        return True

    return replace


def increment(limit: int, key: str, by: int, *, absent: bool) -> Operation[int]:
    """Add to an integer, starting at 0; return the new value.

    Where the address is ``absent``, a sum that is refused is refused at once: it must not leave one.

    """
    if not isinstance(by, int) or isinstance(by, bool):
        raise InvalidValueError(f"increment() adds an integer, not {type(by).__name__}.", "Pass an int.")
    encoded = encode_key(key)

    def total(value: Value) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidValueError(
                f"The value of {key!r} is {type(value).__name__}, not an integer.",
                "Put an integer first.",
            )
        if value + by not in _INTEGERS:
            raise InvalidValueError(f"{key!r} would leave the range of 64 bits.", "Store it as text.")
        return value + by

    def increment(commit: Commit) -> int:
        record = changes.live_record(commit, encoded)
        if record is None:
            number = total(0)
            changes.put(commit, encoded, pack(number, limit), None)
        else:
            number = total(unpack(packed_value(record)))
            changes.store(commit, encoded, pack(number, limit), expiry_of(record), record)
        return number

    if absent:
        total(0)
    return increment


def setdefault(limit: int, key: str, default: Value) -> Operation[Value]:
    """Write a value only where there is none; return the one that is there then."""
    encoded, packed = encode_key(key), pack(default, limit)

    def setdefault(commit: Commit) -> Value:
        record = changes.live_record(commit, encoded)
        if record is not None:
            return unpack(packed_value(record))
        changes.put(commit, encoded, packed, None)
        return default

    return setdefault


def update(
    limit: int, other: Mapping[str, Value] | Iterable[tuple[str, Value]], values: Mapping[str, Value]
) -> Operation[None] | None:
    """Write many values; ``None`` if there are none."""
    pairs = ((key, other[key]) for key in other) if isinstance(other, Mapping) else other
    # Two lists of bytes instead of one of pairs: what holds no references does not burden garbage collection.
    keys: list[bytes] = []
    packed: list[bytes] = []
    rest = chain(pairs, values.items())
    while batch := list(islice(rest, _PACKED_AT_ONCE)):
        keys += encode_keys([key for key, _ in batch])
        packed += pack_all([value for _, value in batch], limit)
    return (lambda commit: changes.put_all(commit, keys, packed)) if keys else None


def delete_many(keys: Iterable[str]) -> Operation[int]:
    """Remove keys; return how many of them existed."""
    if isinstance(keys, str):
        raise InvalidKeyError("delete_many() takes several keys, not one text.", "Pass a list.")
    encoded = [encode_key(key) for key in keys]
    return lambda commit: sum(changes.delete(commit, key) for key in encoded)


def pop(key: str) -> Operation[Value]:
    """Remove a key and return its value; ``UNSET`` if there is none."""
    encoded = encode_key(key)

    def pop(commit: Commit) -> Value:
        record = changes.live_record(commit, encoded)
        if record is None:
            return UNSET
        changes.delete(commit, encoded)
        return unpack(packed_value(record))

    return pop


def popitem(commit: Commit) -> tuple[str, Value] | None:
    """Remove and return the first pair in byte order; ``None`` if there is none."""
    cursor, now = commit.txn.cursor(), clock.now()
    for key, record in cursor.iternext() if cursor.set_range(FIRST_USER_KEY) else ():
        if is_live(record, now):
            changes.delete(commit, key)
            return key.decode(), unpack(packed_value(record))
    return None


def clear(commit: Commit) -> None:
    """Remove every record."""
    cursor = commit.txn.cursor()
    keys = list(cursor.iternext(keys=True, values=False)) if cursor.set_range(FIRST_USER_KEY) else []
    for key in keys:
        changes.delete(commit, key)


def expire(key: str, ttl: float) -> Operation[bool]:
    """Let a key expire after a time; ``False`` if there is no such key."""
    lifetime = checked_ttl(ttl)
    return _expiry(key, lambda: changes.deadline(lifetime))


def persist(key: str) -> Operation[bool]:
    """Let a key never expire; ``False`` if there is no such key."""
    return _expiry(key, lambda: None)


def _expiry(key: str, expires_at: Callable[[], int | None]) -> Operation[bool]:
    encoded = encode_key(key)

    def set_expiry(commit: Commit) -> bool:
        record = changes.live_record(commit, encoded)
        if record is None:
            return False
        changes.store(commit, encoded, packed_value(record), expires_at(), record)
        return True

    return set_expiry


def namespace_ttl(namespace: str, ttl: float | None) -> Operation[None]:
    """Set the default TTL of a namespace; ``None`` removes it.

    Raises:
        InvalidKeyError: if the namespace has not exactly two parts.

    """
    parts = namespace.split(".") if isinstance(namespace, str) else []
    if len(parts) != 2 or not all(parts):
        raise InvalidKeyError(f"{namespace!r} is no namespace.", "Write project.namespace.")
    name = NAMESPACE_TTL + encode_key(namespace)
    lifetime = _lifetime(ttl)
    if lifetime is None:
        return lambda commit: changes.drop_default(commit, name)
    stored = encode_ttl(lifetime)
    return lambda commit: changes.set_default(commit, name, stored)


def _matches(record: bytes, wanted: bytes, revision: int | None) -> bool:
    if revision is not None:
        return header_of(record)[0] == revision
    packed = packed_value(record)
    return packed == wanted or same(unpack(packed), unpack(wanted))


def _lifetime(ttl: float | None) -> int | None:
    """Return an optional TTL in microseconds."""
    return None if ttl is None else checked_ttl(ttl)
