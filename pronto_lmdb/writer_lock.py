"""The writer lock of an environment: one writer among all threads of all processes, with a time-out."""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from _weakref import ref
from contextlib import suppress
from time import monotonic

from pronto_lmdb.errors import ConflictError, LockTimeoutError
from pronto_lmdb.files import FileLock

_WRITER = "writer"
_LONGEST_WAIT = 0.05


class Turn:
    """One claim to write, by an object in a thread. It ends with :meth:`WriterLock.leave`, or with the object.

    Ctrl-C may strike between taking the lock and storing whatever would give it back. The claimant is lost then, and
    that is what gives the lock back.

    Args:
        lock: what is claimed.
        claimant: lives at least as long as the claim is meant.

    """

    __slots__ = ("claimant", "lock", "thread")

    def __init__(self, lock: WriterLock, claimant: object) -> None:
        self.lock = lock
        self.thread = get_ident()
        self.claimant: ref[object] | None = ref(claimant, self._lost)

    def _lost(self, _: ref[object]) -> None:
        self.lock.leave(self)


class Claimant:
    """Somebody who claims the lock for the length of a function."""

    __slots__ = ("__weakref__",)


class WriterLock:
    """A slot for the threads of this process, then a file lock between processes.

    The slot is a dict, because ``setdefault`` takes it and says who has it in one indivisible step: whenever Ctrl-C
    strikes, the lock knows its holder, and whoever cleans up can give back what that one holds and nothing else.

    Args:
        path: the lock file.

    """

    __slots__ = ("_freed", "_process_lock", "_slot")

    def __init__(self, path: str) -> None:
        self._process_lock = FileLock(path)
        self._slot: dict[str, Turn] = {}
        self._freed = allocate_lock()
        self._freed.acquire()

    def open(self) -> None:
        """Open the lock file, so that a later change of its path does not matter."""
        self._process_lock.open()

    def close(self) -> None:
        """Close the lock file."""
        self._process_lock.close()

    def enter(self, turn: Turn) -> bool:
        """Keep the other threads of this process out, if none is inside."""
        return self._slot.setdefault(_WRITER, turn) is turn

    def wait_for_threads(self, turn: Turn, name: str, timeout: float) -> float:
        """Become the writer among the threads of this process; return what is left of the timeout.

        Raises:
            ConflictError: if this thread is the writer already.
            LockTimeoutError: if another one still is after ``timeout`` seconds.

        """
        if self.enter(turn):
            return timeout
        holder = self._slot.get(_WRITER)
        if holder is not None and holder.thread == turn.thread:
            raise ConflictError(
                f"This thread has a transaction open on {name}.", "Use the verbs of the transaction until it ends."
            )
        deadline = monotonic() + timeout
        while (left := deadline - monotonic()) > 0:
            self._freed.acquire(timeout=min(left, _LONGEST_WAIT))
            if self.enter(turn):
                return max(0.0, deadline - monotonic())
        raise LockTimeoutError(
            f"{name} was being written by another thread for {timeout:g} s.", "Try again, or allow a longer timeout."
        )

    def wait_for_processes(self, timeout: float) -> None:
        """Become the writer among the processes; the threads of this one are kept out already.

        Raises:
            LockTimeoutError: if another one still is after ``timeout`` seconds.

        """
        self._process_lock.acquire(timeout)

    def leave(self, turn: Turn) -> None:
        """Let the next writer in; does nothing for whoever is not the writer."""
        if self._slot.get(_WRITER) is turn:
            self._process_lock.release()
            del self._slot[_WRITER]
            with suppress(RuntimeError):  # somebody was told already
                self._freed.release()
        turn.claimant = None  # last: until here, an interrupted claimant still gives back what it has
