"""The commit path of a keystore: journal first, then the view, one flush, with nobody waiting behind it.

Under the writer lock a commit writes a frame into the journal, where the last commit ended, and commits to the view.
Then the next writer may go on, while this one flushes the journal, if the level of the keystore asks for it. So the
flushes of threads and processes overlap, and one may serve many.
"""

from __future__ import annotations

from _thread import get_ident
from contextlib import suppress

import lmdb

from pronto_lmdb.commit import Commit
from pronto_lmdb.errors import ProntoError, StoreFullError
from pronto_lmdb.flusher import flusher
from pronto_lmdb.identity import FULL, NORMAL, OFF
from pronto_lmdb.journal_format import encode_frame
from pronto_lmdb.pool import pool
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pronto_lmdb.home import Home
    from pronto_lmdb.journal import Journal
    from pronto_lmdb.journaled import JournaledEnvironment


# How many frames another process may have to step over to find the end of the journal.
_LONGEST_SEARCH = 64


class JournaledCommit(Commit):
    """A write transaction of a keystore.

    Args:
        environment: where to write.
        home: as for :class:`Commit`, which says what is raised, too.
        timeout: seconds to wait for a lock.
        interval: returns the seconds after which ``normal`` flushes; asked when there is something to flush.

    Attributes:
        stays: whether the directory keeps its name; cleared before a rename, whose new name is not on the disk yet.

    """

    __slots__ = (
        "_expiring", "_generation", "_interval", "_journal", "_level", "_must_flush", "_must_record", "_namespaces",
        "_pinned", "_position", "_seconds", "stays",
    )  # fmt: skip

    _environment: JournaledEnvironment
    _journal: Journal

    def __init__(
        self, environment: JournaledEnvironment, home: Home | None, timeout: float, interval: Callable[[], float]
    ) -> None:
        self._interval = interval
        self._must_flush = self._pinned = False
        self.stays = True
        super().__init__(environment, home, timeout)

    def _begin(self) -> None:
        cached = self._environment.cached_state
        super()._begin()
        environment, state = self._environment, self.state
        if not environment.is_settled(state):
            self._drop()
            environment.settle(state, self._timeout)
            super()._begin()
            state = self.state
        journal = environment.journal
        assert journal is not None
        self._journal = journal
        self._level = state.level
        if state.level == NORMAL:
            self._seconds = self._interval()  # what is wrong with it refuses the write before it happens
        self._position = state.end
        # Others wrote before, and will again: they need not search the journal for its end.
        self._must_record = state is not cached or state.revision - state.recorded >= _LONGEST_SEARCH
        self._expiring, self._namespaces, self._generation = state.expiring, state.namespaces, state.generation
        # While the writer lock is held, the view names exactly what is committed.
        journal.committed = state.end

    def checkpoint(self) -> None:
        """Make everything committed so far durable, whatever the level; nothing was changed yet.

        Raises:
            StoreFullError: if the disk refuses.

        """
        self._drop()
        self._environment.refuse_removed()
        try:
            self._environment.checkpoint(self.state, self._timeout)
        except (lmdb.Error, OSError) as error:
            raise translated(error, self._environment.path) from error
        self._begin()

    # -- the end -----------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Make the changes visible and let the next writer in; at the level ``full``, durable before it returns.

        Without changes, what the caller has seen is made durable all the same: "it is there already" must not be lost.

        Raises:
            StoreFullError: if there is no room; nothing is changed then, unless the message says that the changes are
                visible.

        """
        level, state = self._level, self.state
        written = bool(self._log)
        self._must_flush = level == FULL or (written and level != state.level)
        owes = written and state.level == NORMAL and not self._must_flush
        if self._must_flush:
            self._end(Commit.commit)
        else:
            super().commit()
        if owes:
            flusher.note(self._journal, self._seconds)

    def sync(self) -> None:
        """End the transaction, without changes, and make everything before it durable, whatever the level."""
        if self._level == OFF:
            try:
                self.checkpoint()
            except BaseException:
                self.abort()
                raise
        self._must_flush = True
        self._end(Commit.abort)

    def _end(self, end: Callable[[Commit], None]) -> None:
        """Let the next writer in, then flush, with the environment kept open until that is done."""
        try:
            end(self)
            if self._must_flush:
                self._environment.flush(self._journal, self._position)
        finally:
            if self._pinned:
                with suppress(ValueError):  # Ctrl-C came before the pin
                    self._environment.unpin(get_ident())
                pool.close_unowned(self._environment)

    def _leave(self) -> None:
        if self._must_flush:
            self._pinned = True
            self._environment.pin()
        super()._leave()

    def _publish(self) -> None:
        state = self.state
        if self._level == state.level == OFF:
            self._publish_view()
            return
        if not state.anchored:
            self._anchor()
        journal, start, number = self._journal, state.end, self.txn.id()
        frame, checksum = encode_frame(state.checksum, state, self._log)
        state.end = end = start + sum(map(len, frame))
        state.checksum = checksum
        try:
            journal.write(frame, start, end)
            self._publish_view()
        except OSError as error:
            self._take_back(start)
            raise translated(error, self._environment.path) from error
        except BaseException:
            if not self._is_committed(number):
                self._take_back(start)
            raise
        journal.committed = self._position = end
        if state.level == NORMAL:
            journal.owed = end
        if end > state.limit:
            self._checkpoint_after()

    def _publish_view(self) -> None:
        """Commit to the view. The state is stored with it only where more than revision and position has changed."""
        state = self.state
        if (
            self._must_record
            or not self.stays
            or state.level != self._level
            or state.expiring != self._expiring
            or state.namespaces != self._namespaces
            or state.generation != self._generation
        ):
            state.anchored = state.anchored and self.stays
            self._record_state()
        else:
            state.transaction = self.txn.id()
        self._commit()

    def _anchor(self) -> None:
        """Make sure, before the first frame, that the directory will be found after a power loss."""
        try:
            self._environment.directory.sync()
            self._environment.directory.sync_parent()
        except OSError as error:
            raise translated(error, self._environment.path) from error
        self.state.anchored = self._must_record = True

    def _is_committed(self, number: int) -> bool:
        """Tell whether LMDB committed a transaction: Ctrl-C may strike right behind that."""
        self._drop()
        txn = self._environment.begin_read()
        try:
            return txn.id() == number
        finally:
            txn.abort()

    def _take_back(self, start: int) -> None:
        """Make sure that a refused write does not come back with somebody else's flush."""
        try:
            self._journal.take_back(start)
        except OSError as error:
            raise StoreFullError(
                f"{self._environment.path}: the write failed, and the disk refuses to forget it: {error.strerror}.",
                "It is not visible, but may appear after a power loss. Look at the system log.",
            ) from error

    def _checkpoint_after(self) -> None:
        """Begin a new journal, as part of this write. If that fails, this write is flushed like any other."""
        with suppress(lmdb.Error, OSError, ProntoError):
            self._environment.checkpoint(self.state, self._timeout)
