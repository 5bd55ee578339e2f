"""What one LMDB transaction shows at one instant: the functions behind every read verb."""

from __future__ import annotations

from itertools import islice, takewhile

from pronto_lmdb.identity import State
from pronto_lmdb.record import EXPIRY, FIRST_USER_KEY, expired_key, expiry_bound, is_live

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    import lmdb

# Keys are shorter, so cutting a longer bound here moves no key to its other side; LMDB takes at most 511 bytes.
_LONGEST_BOUND = 511

_PAGE_ROWS = 512
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
            self._state = State.read(self.txn, "The data file", self.txn.id())
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

    __slots__ = ("_lower", "_reverse", "_upper", "done")

    def __init__(self, prefix: bytes, start: bytes | None, stop: bytes | None, *, reverse: bool) -> None:
        self._lower = max(prefix, start or b"", FIRST_USER_KEY)[:_LONGEST_BOUND]
        ends = [end for end in (_after_prefix(prefix), stop) if end is not None]
        self._upper = min(ends)[:_LONGEST_BOUND] if ends else None
        self._reverse = reverse
        self.done = self._upper is not None and self._upper <= self._lower

    def next_records(self, moment: Moment, most: float) -> list[tuple[bytes, bytes]]:
        """Return the next page of (key, record), expired ones included; sets ``done`` after the last.

        Args:
            moment: where to read.
            most: how many are wanted at all; a page may be smaller.

        """
        rows = int(min(most, _PAGE_ROWS))
        page: list[tuple[bytes, bytes]] = []
        room = _PAGE_BYTES
        for row in self._walk(moment, rows, values=True):
            page.append(row)
            room -= len(row[1])
            if room < 0:
                break
        self._move_behind(page[-1][0] if page else None, whole=room < 0 or len(page) == rows)
        return page if not self.done else [row for row in page if not self._outside(row[0])]

    def next_keys(self, moment: Moment, most: float) -> list[bytes]:
        """Return the next page of live keys; sets ``done`` after the last. Arguments as above."""
        expired = moment.expired_keys()  # before the range moves on: if this fails, the page is read again
        rows = _PAGE_ROWS if expired else int(min(most, _PAGE_ROWS))
        page: list[bytes] = list(self._walk(moment, rows, values=False))
        self._move_behind(page[-1] if page else None, whole=len(page) == rows)
        if self.done:
            page = [key for key in page if not self._outside(key)]
        return [key for key in page if key not in expired] if expired else page

    def _walk(self, moment: Moment, rows: int, *, values: bool) -> Iterator[Any]:
        cursor = moment.txn.cursor()
        if not self._position(cursor):
            return iter(())
        step: Callable[..., Iterator[Any]] = cursor.iterprev if self._reverse else cursor.iternext
        return islice(step(keys=True, values=values), rows)

    def _move_behind(self, last: bytes | None, *, whole: bool) -> None:
        """Continue behind the last key of a page; it is the last page if it is not whole, or leaves the range."""
        self.done = last is None or not whole or self._outside(last)
        if last is None or self.done:
            return
        if self._reverse:
            self._upper = last
        else:
            self._lower = last + b"\0"

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
