"""The verbs that write, the same on a keystore and a transaction. Each is atomic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from itertools import chain

from pronto_lmdb import changes, clock
from pronto_lmdb.arguments import checked_ttl
from pronto_lmdb.errors import InvalidKeyError, InvalidValueError
from pronto_lmdb.key import encode_key
from pronto_lmdb.reading import ReadVerbs, key_not_found
from pronto_lmdb.record import (
    FIRST_USER_KEY,
    NAMESPACE_TTL,
    encode_ttl,
    expiry_of,
    header_of,
    is_live,
    packed_value,
)
from pronto_lmdb.values import Value, pack, same, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from pronto_lmdb.commit import Commit

    Absent = TypeVar("Absent")
    Result = TypeVar("Result")

_INTEGERS = range(-(2**63), 2**64)
_UNSET: Value = object()  # type: ignore[assignment]


class WriteVerbs(ReadVerbs, MutableMapping[str, Value]):
    """The writing half of a keystore.

    A value that cannot be stored raises :class:`InvalidValueError` before anything is locked or written. A TTL
    is in seconds, finite and positive. Writing a key without a TTL drops an earlier expiry; the default TTL of
    its namespace, where there is one, applies instead.
    """

    __slots__ = ()

    _value_limit: int

    def _is_absent(self) -> bool:
        """Tell whether the address does not exist yet."""
        raise NotImplementedError

    def _write(self, operation: Callable[[Commit], Result]) -> Result:
        """Run an operation in a transaction; the address is created if need be."""
        raise NotImplementedError

    def _write_existing(self, operation: Callable[[Commit], Result], absent: Absent) -> Result | Absent:
        """Run an operation in a transaction; where the address does not exist, return ``absent`` instead."""
        raise NotImplementedError

    # -- one key -----------------------------------------------------------------------------------------------

    def put(self, key: str, value: Value, *, ttl: float | None = None) -> None:
        """Write a value.

        Args:
            key: where.
            value: what; see :func:`pronto_lmdb.values.pack`.
            ttl: seconds until it expires.

        """
        encoded, packed, lifetime = encode_key(key), pack(value, self._value_limit), _lifetime(ttl)
        self._write(lambda commit: changes.put(commit, encoded, packed, lifetime))

    def __setitem__(self, key: str, value: Value) -> None:
        self.put(key, value)

    def add(self, key: str, value: Value, *, ttl: float | None = None) -> bool:
        """Write a value only where there is none; tell whether it was written."""
        encoded, packed, lifetime = encode_key(key), pack(value, self._value_limit), _lifetime(ttl)

        def add(commit: Commit) -> bool:
            if changes.live_record(commit, encoded) is not None:
                return False
            changes.put(commit, encoded, packed, lifetime)
            return True

        return self._write(add)

    def replace(self, key: str, value: Value, *, expected: Value = _UNSET, revision: int | None = None) -> bool:
        """Write a value only over a known one (compare and set); tell whether it was written.

        Args:
            key: where.
            value: the new value; the expiry stays as it is.
            expected: the value that must be there; types count, the order inside a dict does not.
            revision: the revision that the record must have.

        Raises:
            InvalidValueError: unless exactly one of ``expected`` and ``revision`` is given.

        """
        if (expected is _UNSET) == (revision is None):
            raise InvalidValueError(
                "replace() compares either a value or a revision.",
                "Pass exactly one of expected= and revision=.",
            )
        encoded, packed = encode_key(key), pack(value, self._value_limit)
        wanted = b"" if expected is _UNSET else pack(expected, self._value_limit)

        def replace(commit: Commit) -> bool:
            record = changes.live_record(commit, encoded)
            if record is None or not _matches(record, wanted, revision):
                return False
            changes.store(commit, encoded, packed, expiry_of(record), record)
            return True

        return self._write_existing(replace, absent=False)

    def increment(self, key: str, by: int = 1) -> int:
        """Add to an integer, starting at 0; return the new value. The expiry stays as it is.

        Raises:
            InvalidValueError: if the value, or ``by``, is no integer, or the result exceeds 64 bits.

        """
        if not isinstance(by, int) or isinstance(by, bool):
            raise InvalidValueError(f"increment() adds an integer, not {type(by).__name__}.", "Pass an int.")

        def added(value: Value) -> int:
            if not isinstance(value, int) or isinstance(value, bool):
                raise InvalidValueError(
                    f"The value of {key!r} is {type(value).__name__}, not an integer.",
                    "Put an integer first.",
                )
            if value + by not in _INTEGERS:
                raise InvalidValueError(f"{key!r} would leave the range of 64 bits.", "Store it as text.")
            return value + by

        total = self.modify(key, added, default=0)
        assert isinstance(total, int)
        return total

    def modify(self, key: str, function: Callable[[Value], Value], default: Value = None) -> Value:
        """Replace a value by ``function(value)`` while nobody else can write; return the new value.

        The expiry stays as it is. If the function raises, nothing changes. It must not use the writing verbs of
        this keystore.

        Args:
            key: where.
            function: called with the value, or with ``default`` where there is none; once, but for the rare case
                that somebody else creates the address at the same moment.
            default: see ``function``.

        """
        encoded = encode_key(key)

        def modified(value: Value) -> tuple[Value, bytes]:
            result = function(value)
            return result, pack(result, self._value_limit)

        # Where there is no address yet, a function that fails must not leave one.
        first = modified(default) if self._is_absent() else None

        def modify(commit: Commit) -> Value:
            record = changes.live_record(commit, encoded)
            if record is None:
                value, packed = modified(default) if first is None else first
                changes.put(commit, encoded, packed, None)
            else:
                value, packed = modified(unpack(packed_value(record)))
                changes.store(commit, encoded, packed, expiry_of(record), record)
            return value

        return self._write(modify)

    def setdefault(self, key: str, default: Value = None) -> Value:  # type: ignore[override]
        """Return the value of a key, which is ``default`` from now on where there was none."""
        encoded, packed = encode_key(key), pack(default, self._value_limit)

        def setdefault(commit: Commit) -> Value:
            record = changes.live_record(commit, encoded)
            if record is not None:
                return unpack(packed_value(record))
            changes.put(commit, encoded, packed, None)
            return default

        return self._write(setdefault)

    # -- removal -----------------------------------------------------------------------------------------------

    def __delitem__(self, key: str) -> None:
        if not self.delete_many([key]):
            raise key_not_found(key)

    def delete_many(self, keys: Iterable[str]) -> int:
        """Remove keys in one transaction; return how many of them existed."""
        if isinstance(keys, str):
            raise InvalidKeyError("delete_many() takes several keys, not one text.", "Pass a list.")
        encoded = [encode_key(key) for key in keys]
        return self._write_existing(lambda commit: sum(changes.delete(commit, key) for key in encoded), 0)

    def pop(self, key: str, default: Value = _UNSET) -> Value:  # type: ignore[override]
        """Remove a key and return its value, or ``default`` where there is none.

        Raises:
            KeyNotFoundError: if there is none and no default.

        """
        encoded = encode_key(key)

        def pop(commit: Commit) -> Value:
            record = changes.live_record(commit, encoded)
            if record is None:
                return _UNSET
            changes.delete(commit, encoded)
            return unpack(packed_value(record))

        value = self._write_existing(pop, _UNSET)
        if value is not _UNSET:
            return value
        if default is not _UNSET:
            return default
        raise key_not_found(key)

    def popitem(self) -> tuple[str, Value]:
        """Remove and return the first pair in byte order.

        Raises:
            KeyNotFoundError: if there is none.

        """

        def popitem(commit: Commit) -> tuple[str, Value] | None:
            cursor, now = commit.txn.cursor(), clock.now()
            for key, record in cursor.iternext() if cursor.set_range(FIRST_USER_KEY) else ():
                if is_live(record, now):
                    changes.delete(commit, key)
                    return key.decode(), unpack(packed_value(record))
            return None

        pair = self._write_existing(popitem, None)
        if pair is None:
            raise key_not_found("")
        return pair

    def clear(self) -> None:
        """Remove every record; default TTLs of namespaces stay."""

        def clear(commit: Commit) -> None:
            cursor = commit.txn.cursor()
            keys = list(cursor.iternext(keys=True, values=False)) if cursor.set_range(FIRST_USER_KEY) else []
            for key in keys:
                changes.delete(commit, key)

        self._write_existing(clear, None)

    # -- many keys ---------------------------------------------------------------------------------------------

    def update(self, other: Mapping[str, Value] | Iterable[tuple[str, Value]] = (), /, **values: Value) -> None:  # type: ignore[override]
        """Write many values in one transaction: all of them, or none.

        Args:
            other: a mapping, or pairs.
            values: further values, by key.

        """
        pairs = ((key, other[key]) for key in other) if isinstance(other, Mapping) else other
        limit = self._value_limit
        # Two lists of bytes instead of one of pairs: what holds no references does not burden garbage collection.
        keys: list[bytes] = []
        packed: list[bytes] = []
        for key, value in chain(pairs, values.items()):
            keys.append(encode_key(key))
            packed.append(pack(value, limit))
        if keys:
            self._write(lambda commit: changes.put_all(commit, keys, packed))

    # -- expiry ------------------------------------------------------------------------------------------------

    def expire(self, key: str, ttl: float) -> bool:
        """Let a key expire ``ttl`` seconds from now; ``False`` if there is no such key."""
        lifetime = checked_ttl(ttl)
        return self._set_expiry(key, lambda: changes.deadline(lifetime))

    def persist(self, key: str) -> bool:
        """Let a key never expire; ``False`` if there is no such key."""
        return self._set_expiry(key, lambda: None)

    def _set_expiry(self, key: str, expires_at: Callable[[], int | None]) -> bool:
        encoded = encode_key(key)

        def set_expiry(commit: Commit) -> bool:
            record = changes.live_record(commit, encoded)
            if record is None:
                return False
            changes.store(commit, encoded, packed_value(record), expires_at(), record)
            return True

        return self._write_existing(set_expiry, absent=False)

    def namespace_ttl(self, namespace: str, ttl: float | None) -> None:
        """Set the default TTL of a namespace, for keys written from now on; ``None`` removes it.

        Args:
            namespace: ``project.namespace``; keys belong to it by the convention of :class:`Key`.
            ttl: seconds.

        Raises:
            InvalidKeyError: if the namespace has not exactly two parts.

        """
        parts = namespace.split(".") if isinstance(namespace, str) else []
        if len(parts) != 2 or not all(parts):
            raise InvalidKeyError(f"{namespace!r} is no namespace.", "Write project.namespace.")
        name = NAMESPACE_TTL + encode_key(namespace)
        lifetime = _lifetime(ttl)
        if lifetime is None:
            self._write_existing(lambda commit: changes.drop_default(commit, name), None)
        else:
            self._write(lambda commit: changes.set_default(commit, name, encode_ttl(lifetime)))

    def sweep(self) -> int:
        """Remove what has expired from the disk; return how many records. Touches nothing else."""
        total = 0
        while True:
            swept = self._write_existing(changes.sweep_batch, 0)
            total += swept
            if swept < changes.SWEEP_BATCH:
                return total


def _matches(record: bytes, wanted: bytes, revision: int | None) -> bool:
    if revision is not None:
        return header_of(record)[0] == revision
    packed = packed_value(record)
    return packed == wanted or same(unpack(packed), unpack(wanted))


def _lifetime(ttl: float | None) -> int | None:
    """Return an optional TTL in microseconds."""
    return None if ttl is None else checked_ttl(ttl)
