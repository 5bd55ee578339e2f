"""The flush that ``normal`` promises: within an interval after a write, also when nothing follows."""

from __future__ import annotations

import atexit
from _thread import allocate_lock, start_new_thread
from contextlib import suppress
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.journal import Journal


class Flusher:
    """Flushes journals some time after they were written to. Its thread lives while there is something to flush.

    Attributes:
        due: the journals that it will flush, and when, in seconds of the monotonic clock.

    """

    def __init__(self) -> None:
        self._registered = False
        self.reset()

    def reset(self) -> None:
        """Begin anew, as the child of a fork must: it has none of the threads of its parent."""
        self._lock = allocate_lock()
        self.due: dict[Journal, float] = {}
        self._alive = False
        self._wake = allocate_lock()
        self._wake.acquire()

    def note(self, journal: Journal, interval: float) -> None:
        """See to it that what was committed to a journal is flushed within an interval, in seconds."""
        if journal in self.due or journal.closed:
            return
        with self._lock:
            self.due.setdefault(journal, monotonic() + interval)
            with suppress(RuntimeError):  # it is awake
                self._wake.release()  # it may be asleep for longer
            if not self._alive and not self._start():
                self.due.pop(journal, None)
            if not self._registered:
                self._registered = True
                atexit.register(self.flush_all)
        if journal not in self.due:
            self._flush([journal])

    def _start(self) -> bool:
        try:
            start_new_thread(self._run, ())
        except RuntimeError:  # the process may have no more threads: each write is flushed at once then
            return False
        self._alive = True
        return True

    def forget(self, journal: Journal) -> None:
        """Leave a journal alone: it is flushed, or about to be closed."""
        with self._lock:
            if self.due.pop(journal, None) is not None and not self.due:
                with suppress(RuntimeError):  # it is awake
                    self._wake.release()

    def flush_all(self) -> None:
        """Flush at once what is left."""
        self._flush(list(self.due))

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self.due:
                    self._alive = False
                    return
                pause = min(self.due.values()) - monotonic()
            if pause > 0:
                self._wake.acquire(timeout=pause)
            now = monotonic()
            self._flush([journal for journal, deadline in list(self.due.items()) if deadline <= now])

    def _flush(self, journals: list[Journal]) -> None:
        for journal in journals:
            # Before the flush: what is committed during it is due another time.
            self.due.pop(journal, None)
            # A failure has marked the journal: the next write heals it, or reports what is wrong.
            with suppress(OSError):
                journal.flush_later()


flusher = Flusher()
