"""The line of those who want to write to one address from one process: one is in front, the others wait behind.

The one in front stays there until what it wrote is durable, and the next one writes for all who came meanwhile
(:mod:`combining`). So a group forms by itself while the disk is busy, and nobody waits for company that may not come.
"""

from __future__ import annotations

from _thread import allocate_lock
from _weakref import ref
from collections import deque
from time import monotonic

from pronto_lmdb.errors import ConflictError, LockTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from weakref import ReferenceType

    from pronto_lmdb.commit import Commit
    from pronto_lmdb.home import Home

    Operation = Callable[[Commit], object]

_FRONT = "front"
# Seconds after which somebody who waits looks whether the one in front was lost.
_LONGEST_WAIT = 1.0


class Turn:
    """What somebody in the line wants to have written, and what became of it.

    Args:
        line: where it stands.
        home: of the address.
        operations: each for itself: one that fails changes nothing, and nothing for the others.

    Attributes:
        answers: what became of each operation, if somebody else took the turn; see :mod:`combining`.
        gone: whether nobody waits for it any more.

    """

    __slots__ = ("__weakref__", "_called", "_line", "answers", "gone", "home", "operations", "ticket")

    def __init__(self, line: Line, home: Home, operations: Sequence[Operation]) -> None:
        self._line = line
        self.home = home
        self.operations = operations
        self.answers: list[object] | None = None
        self.gone = False
        # As with a claim to the writer lock: the end of this object, too, gives the place in front back.
        self.ticket: ReferenceType[Turn] = ref(self, line.leave)

    def wait(self, timeout: float) -> float:
        """Stand in the line until the answers are there or this turn is in front; return how many seconds are left.

        Raises:
            LockTimeoutError: if that did not come about within ``timeout`` seconds.
            ConflictError: in the child of a fork, which has none of those who were in front.

        """
        deadline = monotonic() + timeout
        self._called = allocate_lock()
        self._called.acquire()
        try:
            self._line.join(self)
            while not self._called.acquire(timeout=max(0.0, min(deadline - monotonic(), _LONGEST_WAIT))):
                self._line.revive()
                if self.home.environment.abandoned:
                    raise ConflictError("This process was forked while it was writing.", "Look what was written.")
                # Somebody who has taken the turn already is writing it: that must be waited for.
                if monotonic() >= deadline and self._line.quit(self):
                    raise LockTimeoutError(
                        f"{self.home.identity.address} was being written by other threads for {timeout:g} s.",
                        "Try again, or allow a longer timeout.",
                    )
        except BaseException:
            self.gone = True
            self._line.quit(self)
            raise
        return max(0.0, deadline - monotonic())

    def call(self) -> None:
        """Tell who waits to look; once."""
        self._called.release()


class Line:
    """Who is in front, and who waits. Nothing here is locked: each step is indivisible by itself."""

    __slots__ = ("_front", "_waiting")

    def __init__(self) -> None:
        self._front: dict[str, ReferenceType[Turn]] = {}
        self._waiting: deque[Turn] = deque()

    def __bool__(self) -> bool:
        """Tell whether somebody waits."""
        return bool(self._waiting)

    def enter(self, ticket: ReferenceType[Turn]) -> bool:
        """Be in front, if nobody is; tell whether that is so."""
        return self._front.setdefault(_FRONT, ticket) is ticket

    def join(self, turn: Turn) -> None:
        """Wait behind the others; whoever leaves, or takes the turn, calls it."""
        self._waiting.append(turn)
        self._call_first()  # perhaps the last one left a moment ago

    def quit(self, turn: Turn) -> bool:
        """Wait no longer; ``False`` if somebody has taken the turn already, or never saw it."""
        try:
            self._waiting.remove(turn)
        except ValueError:
            return False
        return True

    def take(self) -> Turn | None:
        """Take the turn of the first who waits; the one in front, who does this, must answer and call it."""
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def leave(self, ticket: ReferenceType[Turn]) -> None:
        """Let the next one be in front; does nothing for whoever is not."""
        while self._front.get(_FRONT) is ticket:
            turn = self.take()
            if turn is None:
                del self._front[_FRONT]
                self._call_first()  # who came at this very moment
                return
            self._front[_FRONT] = ticket = turn.ticket
            turn.call()
            # Who gives up says so first, and then leaves: one of the two always notices.
            if not turn.gone:
                return

    def _call_first(self) -> None:
        """Let the first who waits be in front, if nobody is."""
        while not self._front:
            turn = self.take()
            if turn is None:
                return
            if self.enter(turn.ticket):
                turn.call()
                if turn.gone:
                    self.leave(turn.ticket)
                return
            self._waiting.appendleft(turn)

    def revive(self) -> None:
        """Go on where the one in front was lost without leaving: Ctrl-C may strike anywhere, and twice."""
        ticket = self._front.get(_FRONT)
        if ticket is not None and ticket() is None:
            self.leave(ticket)
