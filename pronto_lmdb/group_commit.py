"""A commit of many operations that know nothing of each other: in one transaction of LMDB, with one flush.

Each operation has a revision and a frame of its own, as if it had been committed alone: after a power loss there is the
state of one revision, whatever part of the group the disk has. The frames are written at once.
"""

from __future__ import annotations

import lmdb

from pronto_lmdb.errors import ProntoError, StoreFullError
from pronto_lmdb.journal_format import encode_frame
from pronto_lmdb.journaled_commit import JournaledCommit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pronto_lmdb.home import Home
    from pronto_lmdb.journaled import JournaledEnvironment
    from pronto_lmdb.line import Operation

# Frames of fewer bytes than this are written by one call.
_WRITTEN_AT_ONCE = 1024 * 1024


class Alone:
    """The answer to an operation that must be done again, by itself: it failed, or the whole group did."""


ALONE = Alone()


class GroupCommit(JournaledCommit):
    """A write transaction of a keystore for many.

    Args:
        environment, home, timeout, interval: as for :class:`JournaledCommit`.

    Attributes:
        published: whether the changes may be visible, now or one day: they must not be made once more.

    """

    __slots__ = ("_frames", "_since", "published")

    def __init__(
        self, environment: JournaledEnvironment, home: Home | None, timeout: float, interval: Callable[[], float]
    ) -> None:
        # The frames that are complete; what has changed since then, from this place in the log on, makes the next one.
        self._frames: list[list[bytes]] = []
        self._since = 0
        self.published = False
        super().__init__(environment, home, timeout, interval)

    def attempt(self, operation: Operation) -> object:
        """Return what an operation returns, or ``ALONE`` if it failed; then everything is as before it.

        Raises:
            lmdb.Error, ProntoError: if that is not possible; nothing of the group can be committed then.

        """
        state, done = self.state, len(self._log)
        before = (self._since, len(self._frames), state.revision, state.checksum, state.expiring, state.namespaces)
        if done > self._since:
            self._complete_frame()
        try:
            result = operation(self)
        except Exception:  # noqa: BLE001 - it is raised where it belongs, when the operation is done again alone
            self._return_to(before)
            if len(self._log) > done or self._open is None:
                self._forget_behind(done)
            return ALONE
        if len(self._log) == done:
            self._return_to(before)
        return result

    def _complete_frame(self) -> None:
        state = self.state
        state.revision += 1
        frame, state.checksum = encode_frame(state.checksum, state, self._log[self._since :])
        self._frames.append(frame)
        self._since = len(self._log)
        # The next commits count their revisions from a state with this one.
        self._must_record = True

    def _return_to(self, before: tuple[int, int, int, int, int, int]) -> None:
        state = self.state
        self._since, frames, state.revision, state.checksum, state.expiring, state.namespaces = before
        del self._frames[frames:]

    def _forget_behind(self, done: int) -> None:
        """Keep only so many changes: LMDB can but abort, and has the others applied anew."""
        self._drop()
        del self._log[done:]
        self._failure = None
        self.txn = self._open = self._environment.begin_write()
        self._replay()

    # -- the end -----------------------------------------------------------------------------------------------

    def _encode(self) -> tuple[list[bytes], int]:
        if not self._frames:
            return super()._encode()
        last, checksum = encode_frame(self.state.checksum, self.state, self._log[self._since :])
        pieces = [piece for frame in (*self._frames, last) for piece in frame]
        return ([b"".join(pieces)] if sum(map(len, pieces)) < _WRITTEN_AT_ONCE else pieces), checksum

    def _commit(self) -> None:
        self.published = True
        try:
            super()._commit()
        except (lmdb.Error, ProntoError):
            self.published = False
            raise

    def _take_back(self, *starts: int) -> None:
        """Take every frame back: one alone would be continued again by the next, if it were written once more."""
        (start,) = starts
        heads = [start]
        for frame in self._frames:
            start += sum(map(len, frame))
            heads.append(start)
        try:
            super()._take_back(*heads)
        except StoreFullError:
            self.published = True  # a recovery may find what the disk does not forget
            raise
