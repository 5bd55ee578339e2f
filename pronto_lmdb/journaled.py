"""The environment of a keystore: a view that is never flushed, beside the journal that is."""

from __future__ import annotations

import os
from contextlib import suppress
from errno import EIO, ENAMETOOLONG

import lmdb

from pronto_lmdb.checkpoint import checkpoint, holds_truth, resolve
from pronto_lmdb.data_files import DATA_FILE, identify
from pronto_lmdb.directory import Directory
from pronto_lmdb.environment import Environment, StaleEnvironment
from pronto_lmdb.errors import CorruptStoreError, LockTimeoutError, StoreFullError
from pronto_lmdb.files import try_share
from pronto_lmdb.flusher import flusher
from pronto_lmdb.identity import FULL, State
from pronto_lmdb.journal import Journal
from pronto_lmdb.line import Line
from pronto_lmdb.marker import DOUBTFUL, LOST, MARKER, TRUSTED, boot_id, condemn, doubt, seal, trust, unseal
from pronto_lmdb.record import STATE
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.identity import Identity

# Seconds to wait, with the pool locked, for a compaction to put the next view in place.
_PATIENCE = 0.1


def is_journaled(path: str) -> bool:
    """Tell whether a directory holds a keystore with a journal, which need not have a view."""
    if os.path.exists(os.path.join(path, MARKER)):
        return True
    try:
        return holds_truth(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno == ENAMETOOLONG:  # such as what a damaged note of a place says
            return False
        raise


def _condemned(path: str, file: tuple[int, int] | None) -> bool:
    """Unmark the view in a directory, unless it is another one by now."""
    try:
        with Directory(path) as directory:
            if identify(path) != file:
                return False
            condemn(directory)
            return True
    except FileNotFoundError:
        return False


class ViewLostError(Exception):
    """The view of a keystore cannot be trusted, or is not there: it must be made anew before it is opened."""


class JournaledEnvironment(Environment):
    """A keystore that is open: all that :class:`Environment` is, and its directory and journal.

    Args:
        path: the directory.

    Raises:
        ViewLostError: if the view must be made anew first.

    Attributes:
        directory: held open and shared, so that nobody replaces the view.
        journal: where commits go, once this process has written.
        keystore_id: the unique id of the keystore, 16 bytes.

    """

    __slots__ = ("_unsealed", "directory", "journal", "keystore_id", "line")

    _SYNCED = False

    def __init__(self, path: str) -> None:
        self.journal: Journal | None = None
        self.line = Line()
        self._unsealed = False
        file = identify(path)
        try:
            self.directory = Directory(path)
        except OSError as error:
            raise translated(error, path) from error
        try:
            if boot_id() is None:
                self._stay_alone()
            elif not self._is_joined():
                raise ViewLostError(path)
            super().__init__(path, self.directory.place("."))
            self.directory.let_go()
        except CorruptStoreError as error:
            # Whatever is wrong with a view: base and journal know better.
            self.directory.close()
            if self.readonly or not _condemned(path, file):
                raise
            raise ViewLostError(path) from error
        except (lmdb.Error, OSError) as error:  # such as of a recovery on a full disk
            self.directory.close()
            raise translated(error, path) from error
        except BaseException:
            self.directory.close()
            raise

    def _is_joined(self) -> bool:
        """Share the directory with others who use the view; tell whether it can be used."""
        directory = self.directory
        if not directory.enter() or not self._holds_view():
            return False
        found = trust(directory)
        if found != DOUBTFUL:
            return found == TRUSTED
        directory.let_go()
        directory.leave()
        if directory.seclude():
            self._recover()
            directory.leave()
        return directory.enter() and self._holds_view() and trust(directory) != LOST

    def _holds_view(self) -> bool:
        """See to it that nobody puts another view in the place of this one while it is being opened."""
        with suppress(FileNotFoundError):
            return self.directory.hold(DATA_FILE, try_share, _PATIENCE)
        return False

    def _stay_alone(self) -> None:
        """Where nothing names the boot of the system, trust no view that was closed, and share none."""
        if not self.directory.seclude():
            raise LockTimeoutError(
                f"{self.directory.path} is open in another process.",
                "This system does not tell its boots apart: one process at a time can use an address.",
            )
        self._recover()

    def _recover(self) -> None:
        from pronto_lmdb.recovery import recover  # seldom needed, and heavy

        try:
            recover(self.directory)
        except (lmdb.Error, OSError) as error:
            raise translated(error, self.directory.path) from error

    def _remember(self, identity: Identity) -> None:
        super()._remember(identity)
        try:
            self.keystore_id = bytes.fromhex(identity.id)
        except ValueError as error:
            raise CorruptStoreError(f"{self.path} has no valid id.", "Restore it from a snapshot.") from error

    def _refuse_truncated(self) -> None:
        if self._is_truncated():
            condemn(self.directory)
            raise ViewLostError(self.path)

    def is_in_place(self) -> bool:
        """Tell whether its data file is still the one in the directory, which a compaction replaces."""
        with suppress(OSError):  # closed by another thread: then it must be looked for in any case
            stat = self.directory.stat(DATA_FILE)
            return stat is not None and (stat.st_dev, stat.st_ino) == self.file
        return False

    def save(self) -> None:
        """Flush what was acknowledged before it was flushed.

        Raises:
            StoreFullError: if the disk refuses.

        """
        journal = self.journal
        if journal is not None and not self.closed:
            self.flush(journal, journal.owed)

    def _is_saved(self) -> bool:
        journal = self.journal
        try:
            if journal is not None:
                journal.flush(journal.owed)
        except OSError:
            return False
        return True

    def _dispose(self) -> None:
        super()._dispose()
        if self.journal is not None:
            flusher.forget(self.journal)
            self.journal.close()
        if self._unsealed:
            self._seal()
        self.directory.close()

    def _seal(self) -> None:
        """Vouch for the view that this process has written to, unless somebody else is inside, who will."""
        self.directory.leave()
        with suppress(OSError):  # without a seal the view is trusted like one that is in use
            if self.directory.seclude():
                seal(self.directory)

    def abandon(self) -> lmdb.Environment:
        """Give up what a fork inherited: the child's descriptors, so that the parent's locks are only its own."""
        if self.journal is not None:
            self.journal.abandon()
        self.directory.abandon()
        return super().abandon()

    # -- with the writer lock held -----------------------------------------------------------------------------

    def is_settled(self, state: State) -> bool:
        """Tell whether a frame may be written behind the last commit.

        The mark of a spoiled journal is looked at even where this process has had it open all along: another one may
        have tried to replace it, and need not have found where the last commit ends.
        """
        journal = self.journal
        return (
            state.located
            and journal is not None
            and journal.id == state.journal
            and state.previous is None
            and not journal.is_spoiled()
            and (state.level != FULL or self._is_in_place(journal, state.end))
        )

    def _is_in_place(self, journal: Journal, end: int) -> bool:
        """Tell whether nobody has removed or cut the journal by hand."""
        return self.directory.has(journal.name) and journal.reaches(end)

    def settle(self, state: State, timeout: float) -> None:
        """End what a killed process left, open the journal, replace an unusable one; no transaction is open.

        Args:
            state: of the last commit; afterwards it is the one to go on from.
            timeout: seconds to wait for other processes.

        Raises:
            StoreFullError: if the disk refuses; reading goes on.
            StaleEnvironment: if somebody has removed the directory, or the data file in it.

        """
        self.cached_state = None
        self.refuse_removed()
        try:
            if not self._unsealed:
                unseal(self.directory)
                self._unsealed = True
            if state.previous is not None:
                resolve(self, state, timeout)
            journal = self.journal
            if journal is None or journal.id != state.journal or not self._is_in_place(journal, state.end):
                opened = Journal.open(self.directory, state.journal, state.end, timeout)
                if opened is not None:
                    self._take(opened)
            journal = self.journal
            if not state.located and journal is not None and journal.id == state.journal:
                journal.locate(state)
            if not self.is_settled(state):
                self.checkpoint(state, timeout)
            self.cached_state = state
        except (lmdb.Error, OSError) as error:
            raise translated(error, self.path) from error

    def refuse_removed(self) -> None:
        """Raise StaleEnvironment if somebody has removed the directory, or the data file in it, by hand.

        The address is looked up again then, as after a deletion: whatever is written belongs to what is found.
        """
        if not self.directory.has(DATA_FILE):
            raise StaleEnvironment

    def checkpoint(self, state: State, timeout: float) -> None:
        """Make everything durable in a new base, and begin a new journal; no transaction is open.

        Raises:
            OSError, lmdb.Error: if the disk refuses; the old journal goes on then.

        """
        self.report_views()
        # On the way the state says what is not so yet, and whoever is interrupted may leave it like that.
        self.cached_state = None
        self._take(checkpoint(self, state, timeout))
        self.cached_state = state

    def compact(self, state: State, timeout: float) -> None:
        """Make a checkpoint, and the view anew, without free pages; no transaction is open.

        Afterwards this environment is that of an old view, which no commit can be made to.

        Raises:
            OSError, lmdb.Error, ProntoError: if the disk refuses; the old view and the old journal go on then.

        """
        from pronto_lmdb.compaction import compact  # seldom needed

        if boot_id() is None:  # the view is made anew at each opening
            self.checkpoint(state, timeout)
            return
        self.cached_state = None
        self._take(compact(self, state, timeout))

    def _take(self, journal: Journal) -> None:
        replaced, self.journal = self.journal, journal
        if replaced is not None:
            flusher.forget(replaced)
            replaced.close()

    def commit_state(self, state: State, timeout: float) -> None:
        """Commit a state by itself, without a frame."""
        while True:
            txn = self.begin_write()
            state.transaction = txn.id()
            try:
                txn.put(STATE, state.encode())
                state.recorded = state.revision
                txn.commit()
            except lmdb.MapFullError:
                self.end_write(txn, empty=False)
                self.grow(timeout, only_deletes=True)
            except BaseException:
                self.end_write(txn, empty=False)
                raise
            else:
                return

    def flush_view(self) -> None:
        """Flush the data file: if that fails, it may have lost what was written, and nothing is copied from it.

        Raises:
            OSError, lmdb.Error: if the disk refuses, or has refused another process before.

        """
        if boot_id() is not None and trust(self.directory) != TRUSTED:
            raise OSError(EIO, "what was written to the view may be lost")
        try:
            self.handle.sync(True)
        except lmdb.Error:
            doubt(self.directory)
            raise

    # -- without the writer lock -------------------------------------------------------------------------------

    def flush(self, journal: Journal, end: int) -> None:
        """Return when the frames up to ``end`` are durable.

        Raises:
            StoreFullError: if the disk refuses: the writes are visible, and lost if the power fails now.

        """
        try:
            journal.flush(end)
        except OSError as error:
            if not self._is_superseded(journal):
                raise StoreFullError(
                    f"{self.path}: what was written is visible, but the disk refuses to keep it: {error.strerror}.",
                    "Look at the system log; the next write tries to save everything anew.",
                ) from error

    def _is_superseded(self, journal: Journal) -> bool:
        """Tell whether a checkpoint has made durable what a journal could not."""
        # A disk that loses frames may lose pages of the view as well; then nobody knows of a checkpoint.
        with suppress(StaleEnvironment, CorruptStoreError):
            state = self.read(lambda txn: State.read(txn, self.path, txn.id()))
            previous = None if state.previous is None or not self.is_in_place() else state.previous[0]
            return journal.id not in (state.journal, previous)
        return False
