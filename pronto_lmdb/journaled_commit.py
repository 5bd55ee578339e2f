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
from pronto_lmdb.writer_lock import SPENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pronto_lmdb.home import Home
    from pronto_lmdb.identity import State
    from pronto_lmdb.journal import Journal
    from pronto_lmdb.journaled import JournaledEnvironment


# How many frames another process may have to step over to find the end of the journal.
_LONGEST_SEARCH = 64

# After how many commits somebody looks for readers that were killed: until then the pages that they saw are not used
# again, and each commit lets the file grow by a few.
_READER_CHECKS = 16
# What the error says of a write that was refused and may come back all the same.
UNFORGOTTEN = "the disk refuses to forget it"


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
        Commit.__init__(self, environment, home, timeout)

    def _begin(self) -> None:
        environment = self._environment
        cached, journal = environment.cached_state, environment.journal
        Commit._begin(self)
        state = self.state
        # Behind a commit of this process nothing needs to be settled, unless a flush has failed since. At the level
        # `full` it looks all the same: what is acknowledged must not lie in a journal that a hand has removed.
        if state is not cached or journal is None or journal.spoiled or state.level == FULL:
            state, journal = self._settled(state)
        self._journal = journal
        self._level = level = state.level
        if level == NORMAL:
            self._seconds = self._interval()  # what is wrong with it refuses the write before it happens
        # While the writer lock is held, the view names exactly what is committed.
        self._position = journal.committed = state.end
        # Others wrote before, and will again: they need not search the journal for its end.
        self._must_record = state is not cached or state.revision - state.recorded >= _LONGEST_SEARCH
        self._expiring, self._namespaces, self._generation = state.expiring, state.namespaces, state.generation
        if not state.revision % _READER_CHECKS:
            environment.handle.reader_check()

    def _settled(self, state: State) -> tuple[State, Journal]:
        """Return the state to go on from, and the journal behind it; the transaction may be another one afterwards."""
        environment = self._environment
        if not environment.is_settled(state):
            self._drop()
            environment.settle(state, self._timeout)
            Commit._begin(self)
        assert environment.journal is not None
        return self.state, environment.journal

    def raise_revision(self, least: int) -> None:
        """Give this commit a higher revision; it is stored, because nobody can count up to it."""
        super().raise_revision(least)
        self._must_record = True

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
        found, level = self._level, self.state.level
        self._must_flush = found == FULL or (found != level and bool(self._log))
        if self._must_flush:
            self._end(Commit.commit)
            return
        Commit.commit(self)
        if level == NORMAL and self._log and self._journal not in flusher.due:
            flusher.note(self._journal, self._seconds)

    def compact(self) -> tuple[int, int]:
        """End the transaction, without changes, and make the view anew, without free pages.

        Returns:
            What the directory took on the disk before and afterwards, in bytes.

        Raises:
            StoreFullError: if the disk refuses; everything goes on as it was.

        """
        self._drop()
        environment = self._environment
        try:
            before = environment.directory.allocated()
            environment.compact(self.state, self._timeout)
            return before, environment.directory.allocated()
        except (lmdb.Error, OSError) as error:
            raise translated(error, environment.path) from error
        finally:
            self._leave()

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

    def forget_refused(self) -> None:
        """End the transaction, without changes; no write that was refused comes back afterwards.

        Raises:
            StoreFullError: if the disk refuses.

        """
        try:
            if self._level != OFF and self._journal.reaches(self._position + 1):
                self._take_back(self._position)
        finally:
            self.abort()

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
        environment = self._environment
        if self._must_flush:
            self._pinned = True
            environment.pin()
        environment.writer_lock.leave(self.ticket)
        self.ticket = SPENT
        if not environment.owners:
            pool.close_unowned(environment)

    def _publish(self) -> None:
        state = self.state
        if self._level == state.level == OFF:
            self._publish_view()
            return
        if not state.anchored:
            self._anchor()
        journal, start = self._journal, state.end
        frame, state.checksum = self._encode()
        state.end = end = start + (len(frame[0]) if len(frame) == 1 else sum(map(len, frame)))
        try:
            journal.write(frame, start, end)
            self._publish_view()
        except OSError as error:
            self._take_back(start)
            raise translated(error, self._environment.path) from error
        except BaseException:
            if not self._is_committed():
                self._take_back(start)
            raise
        journal.committed = self._position = end
        if state.level == NORMAL:
            journal.owed = end
        if end > state.limit:
            self._checkpoint_after()

    def _encode(self) -> tuple[list[bytes], int]:
        """Return what is written into the journal, in pieces, and the checksum at its end."""
        return encode_frame(self.state.checksum, self.state, self._log)

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
            state.transaction = self._number
        self._commit()

    def _anchor(self) -> None:
        """Make sure, before the first frame, that the directory will be found after a power loss."""
        try:
            self._environment.directory.sync()
            self._environment.directory.sync_parent()
        except OSError as error:
            raise translated(error, self._environment.path) from error
        self.state.anchored = self._must_record = True

    def _is_committed(self) -> bool:
        """Tell whether LMDB committed the transaction: Ctrl-C may strike right behind that."""
        self._drop()
        txn = self._environment.begin_read()
        try:
            return txn.id() == self._number
        finally:
            txn.abort()

    def _take_back(self, *starts: int) -> None:
        """Make sure that a refused write, whose frames start there, does not come back with somebody else's flush."""
        try:
            self._journal.take_back(*starts)
        except OSError as error:
            raise StoreFullError(
                f"{self._environment.path}: the write failed, and {UNFORGOTTEN}: {error.strerror}.",
                "It is not visible, but may appear after a crash or a power loss. Look at the system log.",
            ) from error

    def _checkpoint_after(self) -> None:
        """Begin a new journal, as part of this write. If that fails, this write is flushed like any other."""
        with suppress(lmdb.Error, OSError, ProntoError):
            self._environment.checkpoint(self.state, self._timeout)
