"""The verbs that read, the same on a keystore, a transaction and a view."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Mapping, ValuesView

from pronto_lmdb.errors import InvalidKeyError, InvalidValueError, KeyNotFoundError
from pronto_lmdb.key import encode_bound, encode_key
from pronto_lmdb.moment import Range
from pronto_lmdb.record import NAMESPACE_TTL, decode_ttl, header_of, packed_value
from pronto_lmdb.values import Value, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from pronto_lmdb.moment import Moment
    from pronto_lmdb.results import Entry

    Absent = TypeVar("Absent")
    Result = TypeVar("Result")

MICROSECONDS = 1_000_000


class ReadVerbs(Mapping[str, Value]):
    """A mapping of live records. Keys come in the order of their UTF-8 bytes.

    What has expired is invisible to every verb from that moment on, swept or not. Every verb that takes a key
    raises :class:`InvalidKeyError` for one that cannot exist.
    """

    __slots__ = ()

    def _read(self, operation: Callable[[Moment], Result], absent: Absent) -> Result | Absent:
        """Run an operation on one consistent moment; return ``absent`` where the address does not exist."""
        raise NotImplementedError

    # -- one key -----------------------------------------------------------------------------------------------

    def get(self, key: str, default: Value = None) -> Value:  # type: ignore[override]
        """Return the value of a key, or ``default`` where there is none."""
        encoded = encode_key(key)
        record = self._read(lambda moment: moment.record(encoded), None)
        return default if record is None else unpack(packed_value(record))

    def __getitem__(self, key: str) -> Value:
        value = self.get(key, _MISSING)
        if value is _MISSING:
            raise key_not_found(key)
        return value

    def __contains__(self, key: object) -> bool:
        encoded = encode_key(key)  # type: ignore[arg-type]
        return self._read(lambda moment: moment.record(encoded) is not None, absent=False)

    def entry(self, key: str) -> Entry:
        """Return the value of a key with its revision and times.

        Raises:
            KeyNotFoundError: if there is none.

        """
        from pronto_lmdb.results import Entry

        record = self._found(key)
        return Entry.from_header(key, unpack(packed_value(record)), *header_of(record))

    def ttl(self, key: str) -> float | None:
        """Return the seconds until a key expires; ``None`` if it never does.

        Raises:
            KeyNotFoundError: if there is no such key.

        """
        encoded = encode_key(key)

        def remaining(moment: Moment) -> tuple[bool, float | None]:
            record = moment.record(encoded)
            if record is None:
                return False, None
            expires_at = header_of(record)[2]
            return True, None if expires_at is None else (expires_at - moment.now) / MICROSECONDS

        found, seconds = self._read(remaining, (False, None))
        if not found:
            raise key_not_found(key)
        return seconds

    def _found(self, key: str) -> bytes:
        encoded = encode_key(key)
        record = self._read(lambda moment: moment.record(encoded), None)
        if record is None:
            raise key_not_found(key)
        return record

    # -- many keys ---------------------------------------------------------------------------------------------

    def get_many(self, keys: Iterable[str]) -> dict[str, Value]:
        """Return the values of those keys that exist, all of one moment."""
        if isinstance(keys, str):
            raise InvalidKeyError("get_many() takes several keys, not one text.", "Pass a list.")
        wanted = [(key, encode_key(key)) for key in keys]

        def records(moment: Moment) -> list[tuple[str, bytes | None]]:
            return [(key, moment.record(encoded)) for key, encoded in wanted]

        found = self._read(records, [])
        return {key: unpack(packed_value(record)) for key, record in found if record is not None}

    def scan(
        self,
        prefix: str = "",
        *,
        start: str | None = None,
        stop: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[str, Value]]:
        """Yield the (key, value) pairs of a range in byte order.

        Args:
            prefix: literal text that every key begins with.
            start: the first key, inclusive; within the prefix.
            stop: the end, exclusive; within the prefix.
            reverse: from the last to the first.
            limit: how many at most, counted in the direction of the scan.

        """
        return self._scan_records(_range(prefix, start, stop, reverse=reverse), _left(limit))

    def scan_keys(
        self,
        prefix: str = "",
        *,
        start: str | None = None,
        stop: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[str]:
        """Yield the keys of a range; arguments as for :meth:`scan`. Values are not read."""
        return self._scan_names(_range(prefix, start, stop, reverse=reverse), _left(limit))

    def _scan_records(self, keys: Range, left: float) -> Iterator[tuple[str, Value]]:
        while left > 0 and not keys.done:
            page = self._read(lambda moment: live_page(keys, moment, left), None)  # noqa: B023 - called at once
            if page is None:
                return
            for key, record in page:
                yield key.decode(), unpack(packed_value(record))
                left -= 1
                if left <= 0:
                    return

    def _scan_names(self, keys: Range, left: float) -> Iterator[str]:
        while left > 0 and not keys.done:
            page = self._read(lambda moment: keys.next_keys(moment, left), None)  # noqa: B023 - called at once
            if page is None:
                return
            for key in page:
                yield key.decode()
                left -= 1
                if left <= 0:
                    return

    # -- the mapping -------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._read(lambda moment: moment.count(), 0)

    def __iter__(self) -> Iterator[str]:
        return self.scan_keys()

    def __reversed__(self) -> Iterator[str]:
        return self.scan_keys(reverse=True)

    def items(self) -> ItemsView[str, Value]:
        """Return a set-like view of the (key, value) pairs, read with :meth:`scan`."""
        return _Items(self)

    def values(self) -> ValuesView[Value]:
        """Return a view of the values, read with :meth:`scan`."""
        return _Values(self)

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    # -- the address -------------------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """The number of the last commit; 0 where nothing was ever written. It never runs backwards."""
        return self._read(lambda moment: moment.state.revision, 0)

    def projects(self) -> list[str]:
        """Return the projects that have live keys, by the convention of :class:`Key`, in byte order."""
        from pronto_lmdb import discovery

        return self._read(discovery.projects, [])

    def namespaces(self, project: str | None = None) -> list[tuple[str, str]]:
        """Return the (project, namespace) pairs that have live keys, in byte order.

        Args:
            project: only those of this project.

        """
        from pronto_lmdb import discovery

        wanted = None if project is None else encode_bound(project).decode()
        return self._read(lambda moment: discovery.namespaces(moment, wanted), [])

    def namespace_ttls(self) -> dict[str, float]:
        """Return the default TTLs in seconds of the namespaces that have one."""

        def stored(moment: Moment) -> dict[str, float]:
            cursor = moment.txn.cursor()
            if not moment.state.namespaces or not cursor.set_range(NAMESPACE_TTL):
                return {}
            found = {}
            for name, ttl in cursor.iternext():
                if not name.startswith(NAMESPACE_TTL):
                    break
                found[name[len(NAMESPACE_TTL) :].decode()] = decode_ttl(ttl) / MICROSECONDS
            return found

        return self._read(stored, {})


class _Items(ItemsView[str, Value]):
    """Pairs read page by page instead of key by key."""

    _mapping: ReadVerbs

    def __iter__(self) -> Iterator[tuple[str, Value]]:
        return self._mapping.scan()


class _Values(ValuesView[Value]):
    """Values read page by page instead of key by key."""

    _mapping: ReadVerbs

    def __iter__(self) -> Iterator[Value]:
        return (value for _, value in self._mapping.scan())


_MISSING: Value = object()  # type: ignore[assignment]


def key_not_found(key: str) -> KeyNotFoundError:
    """Return the error for a key without a live record."""
    return KeyNotFoundError(f"There is no key {key!r}.", "It was never written, was deleted, or has expired.")


def nothing_to_pop() -> KeyNotFoundError:
    """Return the error where there is no record at all."""
    return KeyNotFoundError("There is no key: nothing is stored here.", "Put something first, or look with `len`.")


def live_page(keys: Range, moment: Moment, most: float) -> list[tuple[bytes, bytes]]:
    """Return the next page of a range, without what has expired."""
    expired = moment.expired_keys()  # before the range moves on: if this fails, the page is read again
    page = keys.next_records(moment, most)
    return [row for row in page if row[0] not in expired] if expired else page


def _range(prefix: str, start: str | None, stop: str | None, *, reverse: bool) -> Range:
    return Range(
        encode_bound(prefix),
        None if start is None else encode_bound(start),
        None if stop is None else encode_bound(stop),
        reverse=reverse,
    )


def _left(limit: int | None) -> float:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
        raise InvalidValueError(f"The limit {limit!r} is no whole number.", "Pass an int, or None for all.")
    return float("inf") if limit is None else limit
