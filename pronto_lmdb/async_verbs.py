"""The verbs as coroutines: the same names, arguments and errors as those of a keystore."""

from __future__ import annotations

from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from pronto_lmdb import operations
from pronto_lmdb.key import encode_key
from pronto_lmdb.operations import UNSET
from pronto_lmdb.reading import key_not_found, nothing_to_pop
from pronto_lmdb.record import header_of, packed_value
from pronto_lmdb.values import Value, unpack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping

    from pronto_lmdb.moment import Moment
    from pronto_lmdb.operations import Operation
    from pronto_lmdb.reading import ReadVerbs
    from pronto_lmdb.results import Entry

Absent = TypeVar("Absent")
Result = TypeVar("Result")

# A larger record is decoded by a worker: it takes longer than the way there.
_LARGE = 64 * 1024
# More keys than this are looked up by a worker.
_MANY = 64
# A worker scans for so many seconds, or items, and then hands over what it has.
_SCAN_SECONDS = 0.002
_SCAN_ITEMS = 512


class AsyncReads:
    """The reading half of an asynchronous keystore. Keys come in the order of their UTF-8 bytes.

    Short reads are done at once, in the event loop: they take microseconds, less than the way to another thread. All
    that may take longer is done by a worker.
    """

    _sync: ReadVerbs

    async def _run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run what may take long, where it does not hold up the event loop."""
        raise NotImplementedError

    async def _quick(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run a short read, in the event loop if nothing has to be opened for it."""
        raise NotImplementedError

    def _read(self, operation: Callable[[Moment], Result], absent: Absent) -> Awaitable[Result | Absent]:
        return self._quick(self._sync._read, operation, absent)

    # -- one key -----------------------------------------------------------------------------------------------

    async def get(self, key: str, default: Value = None) -> Value:
        """Return the value of a key, or ``default`` where there is none."""
        encoded = encode_key(key)
        record = await self._read(lambda moment: moment.record(encoded), None)
        if record is None:
            return default
        if len(record) > _LARGE:
            return await self._run(_value, record)
        return unpack(packed_value(record))

    async def __getitem__(self, key: str) -> Value:
        """``await keystore["key"]``: the value, or KeyNotFoundError."""
        value = await self.get(key, UNSET)
        if value is UNSET:
            raise key_not_found(key)
        return value

    async def contains(self, key: str) -> bool:
        """Tell whether there is a key, as ``in`` does for a keystore."""
        encoded = encode_key(key)
        return await self._read(lambda moment: moment.record(encoded) is not None, absent=False)

    async def entry(self, key: str) -> Entry:
        """Return the value of a key with its revision and times.

        Raises:
            KeyNotFoundError: if there is none.

        """
        encoded = encode_key(key)
        record = await self._read(lambda moment: moment.record(encoded), None)
        if record is None:
            raise key_not_found(key)
        return await self._run(_entry, key, record) if len(record) > _LARGE else _entry(key, record)

    async def ttl(self, key: str) -> float | None:
        """Return the seconds until a key expires; ``None`` if it never does.

        Raises:
            KeyNotFoundError: if there is no such key.

        """
        return await self._quick(self._sync.ttl, key)

    # -- many keys ---------------------------------------------------------------------------------------------

    async def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        """Return the values of those keys that exist, all of one moment."""
        wanted = keys if isinstance(keys, str) else list(keys)
        return await (self._quick if len(wanted) <= _MANY else self._run)(self._sync.get_many, wanted)

    def scan(
        self,
        prefix: str = "",
        *,
        start: str | None = None,
        stop: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[tuple[str, Value]]:
        """Yield the (key, value) pairs of a range in byte order.

        Args:
            prefix: literal text that every key begins with.
            start: the first key, inclusive; within the prefix.
            stop: the end, exclusive; within the prefix.
            reverse: from the last to the first.
            limit: how many at most, counted in the direction of the scan.

        """
        return paged(self._run, self._sync.scan(prefix, start=start, stop=stop, reverse=reverse, limit=limit))

    def scan_keys(
        self,
        prefix: str = "",
        *,
        start: str | None = None,
        stop: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[str]:
        """Yield the keys of a range; arguments as for :meth:`scan`. Values are not read."""
        return paged(self._run, self._sync.scan_keys(prefix, start=start, stop=stop, reverse=reverse, limit=limit))

    def __aiter__(self) -> AsyncIterator[str]:
        return self.scan_keys()

    def keys(self) -> AsyncIterator[str]:
        """Yield all keys."""
        return self.scan_keys()

    async def values(self) -> AsyncIterator[Value]:
        """Yield all values, in the order of their keys."""
        async for _, value in self.scan():
            yield value

    def items(self) -> AsyncIterator[tuple[str, Value]]:
        """Yield all (key, value) pairs."""
        return self.scan()

    # -- the address -------------------------------------------------------------------------------------------

    async def count(self) -> int:
        """Return the number of keys, as ``len`` does for a keystore."""
        return await self._run(len, self._sync)

    async def revision(self) -> int:
        """Return the number of the last commit; 0 where nothing was ever written. It never runs backwards."""
        return await self._read(lambda moment: moment.state.revision, 0)

    async def projects(self) -> list[str]:
        """Return the projects that have live keys, by the convention of :class:`Key`, in byte order."""
        return await self._run(self._sync.projects)

    async def namespaces(self, project: str | None = None) -> list[tuple[str, str]]:
        """Return the (project, namespace) pairs that have live keys, or those of one project, in byte order."""
        return await self._run(self._sync.namespaces, project)

    async def namespace_ttls(self) -> dict[str, float]:
        """Return the default TTLs in seconds of the namespaces that have one."""
        return await self._run(self._sync.namespace_ttls)


class AsyncWrites(AsyncReads):
    """The writing half of an asynchronous keystore. Each verb is atomic.

    Values are packed when the verb is called, so what is done with them afterwards does not matter. One that cannot be
    stored raises :class:`InvalidValueError` before anything is locked or written.
    """

    async def _value_limit(self) -> int:
        """Return the greatest size of a packed value, in bytes."""
        raise NotImplementedError

    def _write(self, operation: Operation[Result]) -> Awaitable[Result]:
        """Run an operation in a transaction; the address is created if need be."""
        raise NotImplementedError

    def _write_existing(self, operation: Operation[Result], absent: Absent) -> Awaitable[Result | Absent]:
        """Run an operation in a transaction; where the address does not exist, return ``absent`` instead."""
        raise NotImplementedError

    # -- one key -----------------------------------------------------------------------------------------------

    async def put(self, key: str, value: Value, *, ttl: float | None = None) -> None:
        """Write a value; with ``ttl``, it expires after so many seconds."""
        await self._write(operations.put(await self._value_limit(), key, value, ttl))

    async def add(self, key: str, value: Value, *, ttl: float | None = None) -> bool:
        """Write a value only where there is none; tell whether it was written."""
        return await self._write(operations.add(await self._value_limit(), key, value, ttl))

    async def replace(self, key: str, value: Value, *, expected: Value = UNSET, revision: int | None = None) -> bool:
        """Write a value only over a known one (compare and set); tell whether it was written.

        Args:
            key: where.
            value: the new value; the expiry stays as it is.
            expected: the value that must be there; types count, the order inside a dict does not.
            revision: the revision that the record must have.

        Raises:
            InvalidValueError: unless exactly one of ``expected`` and ``revision`` is given.

        """
        operation = operations.replace(await self._value_limit(), key, value, expected, revision)
        return await self._write_existing(operation, absent=False)

    async def increment(self, key: str, by: int = 1) -> int:
        """Add to an integer, starting at 0; return the new value. The expiry stays as it is.

        Raises:
            InvalidValueError: if the value, or ``by``, is no integer, or the result exceeds 64 bits.

        """
        absent = await self._read(lambda _: False, absent=True)
        return await self._write(operations.increment(await self._value_limit(), key, by, absent=absent))

    async def setdefault(self, key: str, default: Value = None) -> Value:
        """Return the value of a key, which is ``default`` from now on where there was none."""
        return await self._write(operations.setdefault(await self._value_limit(), key, default))

    async def modify(self, key: str, function: Callable[[Value], Value], default: Value = None) -> Value:
        """Replace a value by ``function(value)`` while nobody else can write; return the new value.

        The function is an ordinary one, and is called in another thread. Everything else is as for
        :meth:`pronto_lmdb.Keystore.modify`.
        """
        raise NotImplementedError

    # -- removal -----------------------------------------------------------------------------------------------

    async def delete(self, key: str) -> None:
        """Remove a key, as ``del`` does for a keystore.

        Raises:
            KeyNotFoundError: if there is none.

        """
        if not await self.delete_many([key]):
            raise key_not_found(key)

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Remove keys in one transaction; return how many of them existed."""
        return await self._write_existing(operations.delete_many(keys), 0)

    async def pop(self, key: str, default: Value = UNSET) -> Value:
        """Remove a key and return its value, or ``default`` where there is none.

        Raises:
            KeyNotFoundError: if there is none and no default.

        """
        value = await self._write_existing(operations.pop(key), UNSET)
        if value is not UNSET:
            return value
        if default is not UNSET:
            return default
        raise key_not_found(key)

    async def popitem(self) -> tuple[str, Value]:
        """Remove and return the first pair in byte order.

        Raises:
            KeyNotFoundError: if there is none.

        """
        pair = await self._write_existing(operations.popitem, None)
        if pair is None:
            raise nothing_to_pop()
        return pair

    async def clear(self) -> None:
        """Remove every record; default TTLs of namespaces stay."""
        await self._write_existing(operations.clear, None)

    # -- many keys ---------------------------------------------------------------------------------------------

    async def update(self, other: Mapping[str, Value] | Iterable[tuple[str, Value]] = (), /, **values: Value) -> None:
        """Write many values in one transaction: all of them, or none.

        Args:
            other: a mapping, or pairs.
            values: further values, by key.

        """
        operation = operations.update(await self._value_limit(), other, values)
        if operation is not None:
            await self._write(operation)

    # -- expiry ------------------------------------------------------------------------------------------------

    async def expire(self, key: str, ttl: float) -> bool:
        """Let a key expire ``ttl`` seconds from now; ``False`` if there is no such key."""
        return await self._write_existing(operations.expire(key, ttl), absent=False)

    async def persist(self, key: str) -> bool:
        """Let a key never expire; ``False`` if there is no such key."""
        return await self._write_existing(operations.persist(key), absent=False)

    async def namespace_ttl(self, namespace: str, ttl: float | None) -> None:
        """Set the default TTL of a namespace, for keys written from now on; ``None`` removes it.

        Args:
            namespace: ``project.namespace``; keys belong to it by the convention of :class:`Key`.
            ttl: seconds.

        Raises:
            InvalidKeyError: if the namespace has not exactly two parts.

        """
        operation = operations.namespace_ttl(namespace, ttl)
        if ttl is None:
            await self._write_existing(operation, None)
        else:
            await self._write(operation)

    async def sweep(self) -> int:
        """Remove what has expired from the disk; return how many records. Touches nothing else."""
        raise NotImplementedError


def _value(record: bytes) -> Value:
    return unpack(packed_value(record))


def _entry(key: str, record: bytes) -> Entry:
    from pronto_lmdb.results import Entry

    return Entry.from_header(key, unpack(packed_value(record)), *header_of(record))


async def paged(run: Callable[..., Awaitable[list[Result]]], items: Iterator[Result]) -> AsyncIterator[Result]:
    """Yield what an iterator yields that may have to wait; ``run`` does so where that holds up nobody."""
    while page := await run(_page, items):
        for item in page:
            yield item


def _page(items: Iterator[Result]) -> list[Result]:
    """Return what comes within some time; empty at the end."""
    page = list(islice(items, 1))
    until = monotonic() + _SCAN_SECONDS
    for item in islice(items, _SCAN_ITEMS - 1) if page else ():
        page.append(item)
        if monotonic() > until:
            break
    return page
