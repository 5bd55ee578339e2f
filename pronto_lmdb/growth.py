"""The map of an environment: who keeps it where it is, how it grows, and what its quota leaves of it."""

from __future__ import annotations

from _thread import get_ident
from contextlib import suppress
from time import monotonic, sleep

import lmdb

from pronto_lmdb.errors import ConflictError, LockTimeoutError, ProntoError, StoreFullError
from pronto_lmdb.writer_lock import Claim, WriterLock

MIB = 1024 * 1024
# What an address at its quota may use beyond it, to record deletions.
QUOTA_SLACK = 1 * MIB

PAUSE = 1e-3
ATTEMPTS = 100


class GrowingMap:
    """The map of an open data file. What it belongs to makes it: see :class:`Environment`.

    Attributes:
        closed: whether the handle is.
        epoch: counts closings and resizings, so that a failed read can tell why.
        handle: LMDB's own.
        name: of the address, for messages.
        oversized: whether the map is larger than the quota, which was lowered meanwhile.
        quota: the most bytes that the data file may have, or ``None``.
        writer_lock: held by whoever writes.

    """

    __slots__ = ("_closing", "_map_size", "_pins", "closed", "epoch", "handle", "name", "oversized", "quota",
                 "writer_lock")  # fmt: skip

    _closing: bool
    _map_size: int
    _pins: list[int]
    closed: bool
    epoch: int
    handle: lmdb.Environment
    name: str
    oversized: bool
    quota: int | None
    writer_lock: WriterLock

    # -- who keeps it where it is ------------------------------------------------------------------------------

    def has_moved(self, epoch: int) -> bool:
        """Tell whether the handle was closed or resized since it had this epoch, or is just now."""
        return self._closing or self.closed or self.epoch != epoch

    def pin(self) -> bool:
        """Keep the handle open and its map unmoved until :meth:`unpin`; ``False`` if it is closed."""
        self._pins.append(get_ident())
        while self._closing:
            self._pins.remove(get_ident())
            if self.closed:
                return False
            sleep(PAUSE)
            self._pins.append(get_ident())
        return True

    def unpin(self, thread: int) -> None:
        """Undo one :meth:`pin` of a thread."""
        self._pins.remove(thread)

    # -- its size ----------------------------------------------------------------------------------------------

    def size(self) -> int:
        """Return the bytes of the data file that are in use."""
        return (self.handle.info()["last_pgno"] + 1) * self.handle.stat()["psize"]

    def limit_to(self, quota: int | None) -> None:
        """Adopt a quota that may have been changed by somebody else; the next writer makes the map fit it."""
        self.quota = quota
        self.oversized = quota is not None and self._map_size > quota

    def grow(self, timeout: float, *, only_deletes: bool) -> None:
        """Double the map; the caller holds the writer lock and has no transaction open.

        Args:
            timeout: how long to wait for views of other threads, in seconds.
            only_deletes: whether the transaction in need frees space; it may then pass the quota a little.

        Raises:
            StoreFullError: if the quota is used up.
            ConflictError: if this thread itself has a view open.
            LockTimeoutError: if other threads do not end their views in time.

        """
        target = self._map_size * 2
        quota = self.quota
        if quota is not None and self._map_size < quota:
            target = min(target, quota)
        elif quota is not None:
            target = max(quota, self.size()) + QUOTA_SLACK
            if not only_deletes or self._map_size >= target:
                raise StoreFullError(
                    f"{self.name} has used its quota of {quota:,} bytes.",
                    "Delete something, or raise the quota (`pronto address quota`, max_bytes).",
                )
        self.handle.reader_check()
        self._resize(target, timeout)

    def restore_quota(self) -> None:
        """Take back what :meth:`grow` gave to a deletion, if nobody is looking at it."""
        self.oversized = False
        if self._excess() and not self._pins:
            with suppress(ProntoError, lmdb.Error):  # next time, then: what was deleted is committed
                self._resize(self.quota or 0, 0)

    def _excess(self) -> bool:
        """Tell whether the map is larger than quota and content ask for. A file does not shrink."""
        quota = self.quota
        return quota is not None and self._map_size > quota and self._map_size > self.size()

    def _adopt_size(self) -> None:
        """Follow a file that another process let grow; other writers of this process are kept out."""
        self._resize(0, ATTEMPTS * PAUSE)
        if self._excess():  # room that the other one may have had for a deletion
            self._resize(self.quota or 0, ATTEMPTS * PAUSE)

    def _follow_growth(self) -> None:
        """Let a reader go on that found the file larger than the map."""
        claim = Claim(self.writer_lock)
        if self.writer_lock.enter(claim.ticket):
            try:
                self._adopt_size()
            finally:
                self.writer_lock.leave(claim.ticket)
        else:
            sleep(PAUSE)  # a writer of this process is inside: it follows, or has done so

    def _resize(self, size: int, timeout: float) -> None:
        deadline = monotonic() + timeout
        self._closing = True
        try:
            while self._pins:
                if get_ident() in self._pins:
                    raise ConflictError(
                        f"The file of {self.name} has to grow, and this thread has a view open on it.",
                        "End the view, then write.",
                    )
                if monotonic() >= deadline:
                    raise LockTimeoutError(
                        f"The file of {self.name} has to grow, and other threads have views open on it.",
                        "End the views, then write.",
                    )
                sleep(PAUSE)
            self._set_map(size)
        finally:
            # Before the mark goes: who failed in between finds either the mark or another epoch.
            self.epoch += 1
            self._closing = False

    def _set_map(self, size: int) -> None:
        self.handle.set_mapsize(size)
        self._map_size = self.handle.info()["map_size"]
