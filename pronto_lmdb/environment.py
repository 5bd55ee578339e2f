"""One LMDB environment: its handle, its locks, who reads and writes.

What holds here (measured, see docs/design.md):

* A point read takes no lock. If the handle is closed or resized under it, LMDB reports that safely, the reader
  notices and repeats the read.
* A view *pins* the handle: while there is a pin, nothing closes or resizes it.
* A writer holds the :class:`WriterLock`, between threads first and then between processes, both with a time-out.
  LMDB's own writer mutex, which waits for ever, is taken inside it and therefore never contended.
* The map is a reservation of address space, not of disk or memory. It is large from the start, and doubles when
  it is full; never with ``writemap``, which corrupts files that several processes let grow.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from contextlib import suppress
from errno import EROFS
from time import monotonic, sleep

import lmdb

from pronto_lmdb.allocator import note_opening
from pronto_lmdb.data_files import (
    DATA_FILE,
    FIRST_READERS,
    LOCK_TABLE,
    damage_at_rest,
    identify,
    is_on_readonly_file_system,
    reserve_lock_file,
    reserve_readers,
)
from pronto_lmdb.errors import CorruptStoreError, LockTimeoutError, ReadOnlyError
from pronto_lmdb.files import PRIVATE_FILE
from pronto_lmdb.growth import ATTEMPTS, MIB, PAUSE, GrowingMap
from pronto_lmdb.identity import Identity, State
from pronto_lmdb.record import IDENTITY
from pronto_lmdb.translation import translated
from pronto_lmdb.writer_lock import Claim, WriterLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from pronto_lmdb.home import Home

    Result = TypeVar("Result")

# 2,000 environments of this size fit the 47 bits of a process; Windows reserves page-file space as well.
INITIAL_MAP = 256 * MIB if sys.platform == "win32" else 16 * 1024 * MIB
SMALLEST_MAP = 1 * MIB
MAX_READERS = 2048
LOCK_FILE = "lock"

# Readers of other threads and processes that may come between two looks at their number.
_READERS_AHEAD = 32
# Looking takes a third of the time of beginning a view, so not each one looks.
_LOOK_EACH = 8


class StaleEnvironment(Exception):  # noqa: N818 - never leaves the library: the caller opens again
    """The environment was closed, or no longer belongs to the address, when the writer's turn came."""


class Environment(GrowingMap):
    """An open LMDB environment, shared by all threads and stores of the process. The pool makes these.

    Args:
        path: the directory.
        place: the same by a name that stays right while it is moved.

    Attributes:
        path: the directory, as last seen.
        home: the address that lives here, as far as anybody asked; see :class:`Home`.
        owners: numbers of the stores that use it.
        begin: begins a read transaction; the bound method of LMDB.
        file: device and inode of the data file.
        is_keystore: whether it belongs to an address, and is not the registry.
        abandoned: whether it was inherited by a fork, in the middle of something.
        used: set by every use, cleared by the pool when it looks for what to close.
        views: when each open view will have been open for too long, by any number.
        cached_state: the last state that this process committed, which holds if nobody has committed since.

    """

    __slots__ = (
        "_found", "_kept", "_place", "_readers", "abandoned", "begin", "cached_state", "file", "home", "is_keystore",
        "owners", "path", "readonly", "used", "views",
    )  # fmt: skip

    begin: Callable[[], lmdb.Transaction[bytes]]

    # Whether LMDB flushes each commit; it fixes that at opening.
    _SYNCED = True

    def __init__(self, path: str, place: str | None = None) -> None:
        self.path = path
        self._place = path if place is None else place
        self.readonly = not os.access(self._place, os.W_OK)
        self.owners: set[int] = set()
        self.epoch = 0
        self.closed = False
        self.abandoned = False
        self.oversized = False
        self.used = True
        self.home: Home | None = None
        self._found: tuple[Identity, State] | None = None
        self.cached_state: State | None = None
        self._closing = False
        self.quota: int | None = None
        self._pins: list[int] = []
        self._kept: list[int] = []
        self.views: dict[int, float] = {}
        self.writer_lock = WriterLock(os.path.join(self._place, LOCK_FILE))
        self._open()

    # -- opening and closing -----------------------------------------------------------------------------------

    def _open(self) -> None:
        self._map_size = _first_map()
        self.handle = self._open_handle()
        self.begin = self.handle.begin
        try:
            if not self.readonly:
                self.writer_lock.open()
            self._refuse_truncated()
            self.handle.reader_check()
            self._readers = FIRST_READERS
            self._make_room_for_readers()
            self.file = identify(self._place)
            found = self._found = self.describe()
            self._remember(found[0])
            if self.quota is not None and not self.readonly:
                self._set_map(min(self.quota, self._map_size))
        except (lmdb.Error, OSError) as error:
            self._dispose()
            raise translated(error, self.path) from error
        except BaseException:
            self._dispose()
            raise

    def _remember(self, identity: Identity) -> None:
        """Keep what the life of the handle depends on."""
        self.is_keystore = bool(identity.address)
        self.name = identity.address or "the registry"
        self.quota = identity.max_bytes

    def _dispose(self) -> None:
        """Close everything."""
        self.closed = True
        self.handle.close()
        self._let_go()
        self.writer_lock.close()

    def _let_go(self) -> None:
        """Close what is kept open as long as LMDB's lock file is."""
        while self._kept:
            os.close(self._kept.pop())

    def _open_handle(self) -> lmdb.Environment:
        note_opening()
        lock = not self.readonly or self._is_lockable()
        if not self.readonly:
            reserve_lock_file(self._place)
        for _ in range(ATTEMPTS):
            try:
                return lmdb.open(
                    self._place,
                    map_size=self._map_size,
                    mode=PRIVATE_FILE,
                    create=False,
                    readonly=self.readonly,
                    lock=lock,
                    sync=self._SYNCED,
                    metasync=self._SYNCED,
                    max_readers=MAX_READERS,
                    max_spare_txns=1,
                )
            except lmdb.MapResizedError:
                self._map_size *= 2
            except lmdb.MemoryError as error:
                if self._map_size <= SMALLEST_MAP:
                    raise translated(error, self.path) from error
                self._map_size //= 2
            except (lmdb.Error, OSError) as error:
                if self.readonly or getattr(error, "code", None) != EROFS:
                    raise translated(error, self.path) from error
                # A file system that has met an error lets nobody write any more, whatever the permissions say.
                self.readonly = True
        raise LockTimeoutError(f"{self.path} grew faster than it could be opened.", "Try again.")

    def _is_lockable(self) -> bool:
        """Tell whether a reader can be seen by writers; it must be, unless nobody can write at all.

        Raises:
            ReadOnlyError: if somebody else may write, and this process cannot protect what it reads.

        """
        lock_file = os.path.join(self._place, LOCK_TABLE)
        if os.access(lock_file, os.W_OK):
            return True
        if os.path.exists(lock_file) and not is_on_readonly_file_system(self._place):
            raise ReadOnlyError(
                f"{self.path}/{LOCK_TABLE} cannot be written, as reading beside a writer needs.",
                "Check its owner and permissions.",
            )
        return False

    def _refuse_truncated(self) -> None:
        """Look at a file that ends too early before LMDB does: reading beyond its end would kill the process."""
        if self._is_truncated():
            raise CorruptStoreError(f"{self.path}/{DATA_FILE} is truncated.", "Restore it from a snapshot.")

    def _is_truncated(self) -> bool:
        # The size that is needed comes first: another process may let the file grow in between.
        file, needed = os.path.join(self._place, DATA_FILE), self.size()
        # Pages at the end that were never needed may rightly be missing, so only the verifier can tell.
        return os.path.getsize(file) < needed and damage_at_rest(file) is not None

    def describe(self) -> tuple[Identity, State]:
        """Return identity and state as they are on disk now, whoever the owner is."""

        def described(txn: lmdb.Transaction[bytes]) -> tuple[Identity, State]:
            # Whoever opened it asks who lives here next.
            found, self._found = self._found, None
            if found is not None and found[1].journal and found[1].transaction == txn.id():
                return found
            return Identity.decode(txn.get(IDENTITY), self.path), State.read(txn, self.path, txn.id())

        return self.read(described)

    def save(self) -> None:
        """Flush what is not; here nothing ever is."""

    def _is_saved(self) -> bool:
        """Tell, with nobody inside, whether nothing is left to flush; flush it if need be."""
        return True

    def try_close(self) -> bool:
        """Close the handle unless somebody pins it or writes; tell whether it is closed."""
        if self.closed:
            return True
        claim = Claim(self.writer_lock)
        if not self.writer_lock.enter(claim.ticket):
            return False
        try:
            # A reader that pins sets its mark first and then looks at ours, so one of the two always notices.
            self._closing = True
            if self._pins or (not self._is_saved() and self.owners):
                self._closing = False
                return False
            self.epoch += 1
            # While nobody else is inside: the numbers of its files may mean others a moment later.
            self._dispose()
            return True
        finally:
            self.writer_lock.leave(claim.ticket)

    def abandon(self) -> lmdb.Environment:
        """Give up a handle inherited by a fork: returned, so that it is kept and never closed."""
        self.epoch += 1
        self.closed = self.abandoned = True
        self.begin = _refuse_inherited
        self._let_go()
        self.writer_lock.close()
        return self.handle

    def is_in_place(self) -> bool:
        """Tell whether its data file is still the one in the directory; only that of a keystore is ever replaced."""
        return True

    # -- reading -----------------------------------------------------------------------------------------------

    def begin_read(self) -> lmdb.Transaction[bytes]:
        """Begin a read transaction, whatever the size to which other processes let the file grow.

        Raises:
            lmdb.Error: if the handle is closed, or anything else is wrong.

        """
        for _ in range(ATTEMPTS):
            try:
                return self._begin_checked()
            except lmdb.MapResizedError:
                self._follow_growth()
        return self.begin()

    def begin_pinned(self) -> lmdb.Transaction[bytes] | None:
        """Pin the handle and begin a read transaction; ``None``, and no pin, if it is closed.

        Raises:
            lmdb.Error: if anything is wrong; there is no pin then either.

        """
        while self.pin():
            try:
                if len(self._pins) % _LOOK_EACH == 0:
                    self._make_room_for_readers()
                return self._begin_checked()
            except lmdb.MapResizedError:
                self.unpin(get_ident())
                self._follow_growth()
            except BaseException:
                self.unpin(get_ident())
                raise
        return None

    def _make_room_for_readers(self) -> None:
        """See to it that LMDB's table of readers has real bytes: a map of a full disk kills the process.

        Raises:
            StoreFullError: if the disk refuses, and all that there are may be taken.

        """
        taken = self.handle.info()["num_readers"]
        if taken + _READERS_AHEAD <= self._readers or self.readonly:
            return
        wanted = min(taken + 2 * _READERS_AHEAD, MAX_READERS)
        try:
            reserve_readers(self._place, wanted, self._kept)
            self._readers = wanted
        except OSError as error:
            if taken + 2 * _LOOK_EACH >= self._readers:  # others may come before the next look
                raise translated(error, self.path) from error

    def _begin_checked(self) -> lmdb.Transaction[bytes]:
        try:
            return self.begin()
        except lmdb.ReadersFullError:
            self.handle.reader_check()  # killed processes keep their slots until somebody looks
            return self.begin()

    def read(self, operation: Callable[[lmdb.Transaction[bytes]], Result]) -> Result:
        """Run an operation on a read transaction, pinned.

        Raises:
            StaleEnvironment: if the handle is closed.

        """
        try:
            txn = self.begin_pinned()
            if txn is None:
                raise StaleEnvironment
            try:
                return operation(txn)
            finally:
                txn.abort()
                self.unpin(get_ident())
        except lmdb.Error as error:
            raise translated(error, self.path) from error

    def report_views(self) -> None:
        """Tell the log of views that have been open for too long, once of each."""
        now = monotonic()
        for view, deadline in list(self.views.items()):
            if deadline < now:
                from logging import getLogger  # seldom needed, and slow to import

                self.views[view] = float("inf")
                getLogger("pronto_lmdb").warning(
                    "A view of %s has been open for too long: its file may grow with every write. "
                    "End views soon, or raise the setting view_warning.", self.name,
                )  # fmt: skip

    # -- writing -----------------------------------------------------------------------------------------------

    def refusal(self) -> Exception:
        """Return why nobody can write here."""
        if self.readonly:
            return ReadOnlyError(f"{self.path} cannot be written.", "Check its owner and permissions.")
        return StaleEnvironment()

    def begin_write(self) -> lmdb.Transaction[bytes]:
        """Begin LMDB's write transaction; the caller holds the writer lock."""
        try:
            return self.handle.begin(write=True)
        except lmdb.MapResizedError:
            return self._begin_grown()

    def _begin_grown(self) -> lmdb.Transaction[bytes]:
        for _ in range(ATTEMPTS):
            self._adopt_size()
            with suppress(lmdb.MapResizedError):
                return self.handle.begin(write=True)
        return self.handle.begin(write=True)

    def end_write(self, txn: lmdb.Transaction[bytes], *, empty: bool) -> None:
        """Drop a write transaction.

        py-lmdb's ``abort()`` waits for an instant in which no other thread reads, and two threads that read all the
        time leave none (measured with 3.0.0). A commit does not wait, and is nothing where nothing was changed;
        otherwise readers are held up until it is done.

        Args:
            txn: the transaction.
            empty: whether nothing was changed in it.

        """
        if empty:
            with suppress(lmdb.BadTxnError):  # a damaged page ended it, which was told
                txn.commit()
            return
        begin = self.begin
        self.begin = self._begin_later
        try:
            txn.abort()
        finally:
            if not self.abandoned:
                self.begin = begin

    def _begin_later(self) -> lmdb.Transaction[bytes]:
        for _ in range(ATTEMPTS):
            sleep(PAUSE)
            if self.begin != self._begin_later:
                break
        return self.handle.begin()


def _refuse_inherited() -> lmdb.Transaction[bytes]:
    raise lmdb.Error("inherited by a fork")


def _first_map() -> int:
    """Return the size of a map at opening: a small part of the address space, where that is limited."""
    if sys.platform == "win32":
        return INITIAL_MAP
    from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit

    limit = getrlimit(RLIMIT_AS)[0]
    return INITIAL_MAP if limit == RLIM_INFINITY else max(SMALLEST_MAP, min(INITIAL_MAP, limit // 1024))
