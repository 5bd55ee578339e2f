"""What one LMDB transaction shows at one instant: the functions behind every read verb."""

from __future__ import annotations

from itertools import islice, takewhile

from pronto_lmdb.identity import State
from pronto_lmdb.record import EXPIRY, FIRST_USER_KEY, STATE, expired_key, expiry_bound, is_live

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    import lmdb

# Keys are shorter, so cutting a longer bound here moves no key to its other side; LMDB takes at most 511 bytes.
_LONGEST_BOUND = 511

_FIRST_PAGE_ROWS = 4
_LARGEST_PAGE_ROWS = 512
_PAGE_BYTES = 256 * 1024


class Moment:
    """A transaction, an instant, and the state of the address then.

    Args:
        txn: any LMDB transaction of the address.
        now: microseconds; what has expired by then is invisible.
        state: known already inside a write transaction, otherwise read when first needed.

    """

    __slots__ = ("_state", "now", "txn")

    def __init__(self, txn: lmdb.Transaction[bytes], now: int, state: State | None = None) -> None:
        self.txn = txn
        self.now = now
        self._state = state

    @property
    def state(self) -> State:
        """The counters of the address."""
        if self._state is None:
            self._state = State.decode(self.txn.get(STATE), "The data file")
        return self._state

    def record(self, key: bytes) -> bytes | None:
        """Return the live record of a key."""
        record = self.txn.get(key)
        return record if record is not None and is_live(record, self.now) else None

    def count(self) -> int:
        """Return the number of live records; costs a step for each that has expired and was not swept."""
        entries = self.txn.stat()["entries"] - self.state.internal_entries
        return entries - sum(1 for _ in self.expired_entries())

    def expired_entries(self) -> Iterator[bytes]:
        """Yield the index entries of what has expired, oldest first."""
        if not self.state.expiring:
            return iter(())
        cursor = self.txn.cursor()
        if not cursor.set_range(EXPIRY):
            return iter(())
        return takewhile(expiry_bound(self.now).__gt__, cursor.iternext(keys=True, values=False))

    def expired_keys(self) -> set[bytes]:
        """Return the keys that are still on disk but have expired."""
        return {expired_key(entry) for entry in self.expired_entries()}


class Range:
    """The keys of a scan: a half-open interval of bytes, walked in one direction, a page at a time.

    Args:
        prefix: what every key begins with.
        start: the first key, inclusive, or ``None``.
        stop: the end, exclusive, or ``None``.
        reverse: from the last key to the first.

    """

    __slots__ = ("_lower", "_reverse", "_rows", "_upper", "done")

    def __init__(self, prefix: bytes, start: bytes | None, stop: bytes | None, *, reverse: bool) -> None:
        self._lower = max(prefix, start or b"", FIRST_USER_KEY)[:_LONGEST_BOUND]
        ends = [end for end in (_after_prefix(prefix), stop) if end is not None]
        self._upper = min(ends)[:_LONGEST_BOUND] if ends else None
        self._reverse = reverse
        self._rows = _FIRST_PAGE_ROWS
        self.done = self._upper is not None and self._upper <= self._lower

    def next_records(self, moment: Moment) -> list[tuple[bytes, bytes]]:
        """Return the next page of (key, record), expired ones included; sets ``done`` after the last."""
        page = self._take(moment, self._rows, values=True)
        if page:
            mean = sum(len(record) for _, record in page) // len(page)
            self._rows = min(_LARGEST_PAGE_ROWS, max(1, _PAGE_BYTES // (mean + 1)))
        return page

    def next_keys(self, moment: Moment) -> list[bytes]:
        """Return the next page of live keys; sets ``done`` after the last."""
        expired = moment.expired_keys()  # before the range moves on: if this fails, the page is read again
        page = self._take(moment, _LARGEST_PAGE_ROWS, values=False)
        return [key for key in page if key not in expired] if expired else page

    def _take(self, moment: Moment, rows: int, *, values: bool) -> list[Any]:
        cursor = moment.txn.cursor()
        if not self._position(cursor):
            self.done = True
            return []
        step: Callable[..., Iterator[Any]] = cursor.iterprev if self._reverse else cursor.iternext
        page = list(islice(step(keys=True, values=values), rows))
        self.done = len(page) < rows
        last = page[-1][0] if values else page[-1]
        if self._outside(last):
            self.done = True
            return list(takewhile(lambda row: not self._outside(row[0] if values else row), page))
        if self._reverse:
            self._upper = last
        else:
            self._lower = last + b"\0"
        return page

    def _outside(self, key: bytes) -> bool:
        return key < self._lower if self._reverse else self._upper is not None and key >= self._upper

    def _position(self, cursor: lmdb.Cursor[bytes]) -> bool:
        if not self._reverse:
            return cursor.set_range(self._lower)
        if self._upper is not None and cursor.set_range(self._upper):
            return cursor.prev()
        return cursor.last()


def _after_prefix(prefix: bytes) -> bytes | None:
    """Return the first bytes that sort behind every key with a prefix; ``None`` if there are none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
