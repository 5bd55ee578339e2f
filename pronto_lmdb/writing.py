"""The verbs that write, the same on a keystore and a transaction. Each is atomic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping

from pronto_lmdb import changes, operations
from pronto_lmdb.key import encode_key
from pronto_lmdb.operations import UNSET
from pronto_lmdb.reading import ReadVerbs, key_not_found, nothing_to_pop
from pronto_lmdb.record import expiry_of, packed_value
from pronto_lmdb.values import Value, pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from pronto_lmdb.commit import Commit

    Absent = TypeVar("Absent")
    Result = TypeVar("Result")


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

    def _write_alone(self, operation: Callable[[Commit], Result]) -> Result:
        """Run an operation that calls a function of the user: nobody else's may wait in its transaction."""
        return self._write(operation)

    # -- one key -----------------------------------------------------------------------------------------------

    def put(self, key: str, value: Value, *, ttl: float | None = None) -> None:
        """Write a value.

        Args:
            key: where.
            value: what; see :func:`pronto_lmdb.values.pack`.
            ttl: seconds until it expires.

        """
        self._write(operations.put(self._value_limit, key, value, ttl))

    def __setitem__(self, key: str, value: Value) -> None:
        self.put(key, value)

    def add(self, key: str, value: Value, *, ttl: float | None = None) -> bool:
        """Write a value only where there is none; tell whether it was written."""
        return self._write(operations.add(self._value_limit, key, value, ttl))

    def replace(self, key: str, value: Value, *, expected: Value = UNSET, revision: int | None = None) -> bool:
        """Write a value only over a known one (compare and set); tell whether it was written.

        Args:
            key: where.
            value: the new value; the expiry stays as it is.
            expected: the value that must be there; types count, the order inside a dict does not.
            revision: the revision that the record must have.

        Raises:
            InvalidValueError: unless exactly one of ``expected`` and ``revision`` is given.

        """
        operation = operations.replace(self._value_limit, key, value, expected, revision)
        return self._write_existing(operation, absent=False)

    def increment(self, key: str, by: int = 1) -> int:
        """Add to an integer, starting at 0; return the new value. The expiry stays as it is.

        Raises:
            InvalidValueError: if the value, or ``by``, is no integer, or the result exceeds 64 bits.

        """
        operation = operations.increment(self._value_limit, key, by, absent=self._is_absent())
        return self._write(operation)

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

        return self._write_alone(modify)

    def setdefault(self, key: str, default: Value = None) -> Value:  # type: ignore[override]
        """Return the value of a key, which is ``default`` from now on where there was none."""
        return self._write(operations.setdefault(self._value_limit, key, default))

    # -- removal -----------------------------------------------------------------------------------------------

    def __delitem__(self, key: str) -> None:
        if not self.delete_many([key]):
            raise key_not_found(key)

    def delete_many(self, keys: Iterable[str]) -> int:
        """Remove keys in one transaction; return how many of them existed."""
        return self._write_existing(operations.delete_many(keys), 0)

    def pop(self, key: str, default: Value = UNSET) -> Value:  # type: ignore[override]
        """Remove a key and return its value, or ``default`` where there is none.

        Raises:
            KeyNotFoundError: if there is none and no default.

        """
        value = self._write_existing(operations.pop(key), UNSET)
        if value is not UNSET:
            return value
        if default is not UNSET:
            return default
        raise key_not_found(key)

    def popitem(self) -> tuple[str, Value]:
        """Remove and return the first pair in byte order.

        Raises:
            KeyNotFoundError: if there is none.

        """
        pair = self._write_existing(operations.popitem, None)
        if pair is None:
            raise nothing_to_pop()
        return pair

    def clear(self) -> None:
        """Remove every record; default TTLs of namespaces stay."""
        self._write_existing(operations.clear, None)

    # -- many keys ---------------------------------------------------------------------------------------------

    def update(self, other: Mapping[str, Value] | Iterable[tuple[str, Value]] = (), /, **values: Value) -> None:  # type: ignore[override]
        """Write many values in one transaction: all of them, or none.

        Args:
            other: a mapping, or pairs.
            values: further values, by key.

        """
        operation = operations.update(self._value_limit, other, values)
        if operation is not None:
            self._write(operation)

    # -- expiry ------------------------------------------------------------------------------------------------

    def expire(self, key: str, ttl: float) -> bool:
        """Let a key expire ``ttl`` seconds from now; ``False`` if there is no such key."""
        return self._write_existing(operations.expire(key, ttl), absent=False)

    def persist(self, key: str) -> bool:
        """Let a key never expire; ``False`` if there is no such key."""
        return self._write_existing(operations.persist(key), absent=False)

    def namespace_ttl(self, namespace: str, ttl: float | None) -> None:
        """Set the default TTL of a namespace, for keys written from now on; ``None`` removes it.

        Args:
            namespace: ``project.namespace``; keys belong to it by the convention of :class:`Key`.
            ttl: seconds.

        Raises:
            InvalidKeyError: if the namespace has not exactly two parts.

        """
        operation = operations.namespace_ttl(namespace, ttl)
        if ttl is None:
            self._write_existing(operation, None)
        else:
            self._write(operation)

    def sweep(self) -> int:
        """Remove what has expired from the disk; return how many records. Touches nothing else."""
        total = 0
        while True:
            swept = self._write_existing(changes.sweep_batch, 0)
            total += swept
            if swept < changes.SWEEP_BATCH:
                return total
