"""What a fork has to wait for: environments that only one thread knows, while they are being made.

A child inherits LMDB's belief that they are open, and could never open what becomes of them. Those that everybody knows
are closed before a fork, or known to be in use; these are open for a moment only, and outside the pool's lock.
"""

from __future__ import annotations

from _thread import allocate_lock
from contextlib import contextmanager
from time import monotonic, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PAUSE = 1e-3
# Seconds that a fork waits at most: such as for a recovery of many gigabytes. The child cannot open that address then.
_PATIENCE = 10.0


class Gate:
    """Lets threads through, unless a fork is about to happen; and the fork, when none of them is inside."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew, as the child of a fork must: none of the parent's threads is inside."""
        self._lock = allocate_lock()
        self._inside = 0
        self._closed = False

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Do something that no fork may interrupt; it must be short, and need neither the pool nor its lock."""
        self._enter()
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1

    def _enter(self) -> None:
        while True:
            with self._lock:
                if not self._closed:
                    self._inside += 1
                    return
            sleep(_PAUSE)

    def close(self) -> None:
        """Let nobody in any more, and wait until all have come out."""
        with self._lock:
            self._closed = True
        deadline = monotonic() + _PATIENCE
        while self._inside and monotonic() < deadline:
            sleep(_PAUSE)

    def open(self) -> None:
        """Let threads through again."""
        with self._lock:
            self._closed = False


gate = Gate()
