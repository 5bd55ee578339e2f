"""The writer lock of an environment: one writer among all threads of all processes, with a time-out."""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from _weakref import ref
from contextlib import suppress
from time import monotonic

from pronto_lmdb.errors import ConflictError, LockTimeoutError
from pronto_lmdb.files import FileLock, try_lock, unlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weakref import ReferenceType

    Ticket = ReferenceType["Claim"]

_WRITER = "writer"
_LONGEST_WAIT = 0.05


class Claim:
    """A claim to write, of the thread that makes it. It ends with :meth:`WriterLock.leave`, or with this object.

    Ctrl-C may strike between taking the lock and storing whatever would give it back. The claim is lost then, and that
    is what gives the lock back: the lock itself holds on to the ticket only, a weak reference.

    Args:
        lock: what is claimed.

    """

    __slots__ = ("__weakref__", "thread", "ticket")

    def __init__(self, lock: WriterLock) -> None:
        self.thread = get_ident()
        self.ticket: Ticket = ref(self, lock.leave)


# A ticket that never was anybody's.
SPENT: Ticket = ref(Claim)  # type: ignore[arg-type]


class WriterLock:
    """A slot for the threads of this process, then a file lock between processes.

    The slot is a dict, because ``setdefault`` takes it and says who has it in one indivisible step: whenever Ctrl-C
    strikes, the lock knows its holder, and whoever cleans up can give back what that one holds and nothing else.

    Args:
        path: the lock file.

    """

    __slots__ = ("_freed", "_process_lock", "_slot", "_waiting", "closed")

    def __init__(self, path: str) -> None:
        self._process_lock = FileLock(path)
        self._slot: dict[str, Ticket] = {}
        self._waiting = 0
        self.closed = False
        self._freed = allocate_lock()
        self._freed.acquire()

    def open(self) -> None:
        """Open the lock file, so that a later change of its path does not matter."""
        self._process_lock.open()

    def close(self) -> None:
        """Close the lock file for good."""
        self.closed = True
        self._process_lock.close()

    def enter(self, ticket: Ticket) -> bool:
        """Keep the other threads of this process out, if none is inside."""
        return self._slot.setdefault(_WRITER, ticket) is ticket

    def acquire(self, ticket: Ticket, name: str, timeout: float) -> bool:
        """Become the only writer; ``False`` if the lock was closed.

        Args:
            ticket: of the claim.
            name: of what is written to, for messages.
            timeout: seconds to wait.

        Raises:
            ConflictError: if this thread is the writer already.
            LockTimeoutError: if another one still is after ``timeout`` seconds.

        """
        if self._slot.setdefault(_WRITER, ticket) is not ticket:
            timeout = self._wait_for_threads(ticket, name, timeout)
        # Who closes the lock has it, so it stays open from here on; opened again, its path could mean another file.
        if self.closed:
            self.leave(ticket)
            return False
        try:
            try:
                try_lock(self._process_lock.descriptor)
            except (BlockingIOError, PermissionError):  # another process has it
                self._process_lock.acquire(timeout, name)
        except BaseException:
            self.leave(ticket)
            raise
        return True

    def refuse_holder(self, name: str) -> None:
        """Refuse a thread that is the writer already: it would wait for itself.

        Raises:
            ConflictError: if it is.

        """
        holder = self._slot.get(_WRITER)
        claim = None if holder is None else holder()
        if claim is not None and claim.thread == get_ident():
            raise ConflictError(
                f"This thread has a transaction open on {name}.", "Use the verbs of the transaction until it ends."
            )

    def _wait_for_threads(self, ticket: Ticket, name: str, timeout: float) -> float:
        self.refuse_holder(name)
        deadline = monotonic() + timeout
        self._waiting += 1
        try:
            while (left := deadline - monotonic()) > 0:
                self._freed.acquire(timeout=min(left, _LONGEST_WAIT))
                if self.enter(ticket):
                    return max(0.0, deadline - monotonic())
        finally:
            self._waiting -= 1
        from pronto_lmdb.holders import thread_name  # seldom needed

        claim = holder() if (holder := self._slot.get(_WRITER)) is not None else None
        who = "another thread" if claim is None else thread_name(claim.thread)
        raise LockTimeoutError(
            f"{name} was being written by {who} for {timeout:g} s.", "Try again, or allow a longer timeout."
        )

    def leave(self, ticket: Ticket) -> None:
        """Let the next writer in; does nothing for whoever is not the writer."""
        if self._slot.get(_WRITER) is ticket:
            descriptor = self._process_lock.descriptor
            if descriptor >= 0:  # in a fork's child it is closed
                unlock(descriptor)
            del self._slot[_WRITER]
            # A count that two threads change at once may be wrong: then a waiter looks a little later by itself.
            if self._waiting:
                with suppress(RuntimeError):  # somebody was told already
                    self._freed.release()
