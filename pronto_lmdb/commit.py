"""The commit path: every change of an environment goes through here, one transaction at a time."""

from __future__ import annotations

from _thread import get_ident
from _weakref import ref

import lmdb

from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import ConflictError, ProntoError
from pronto_lmdb.identity import State
from pronto_lmdb.pool import pool
from pronto_lmdb.record import IDENTITY, STATE
from pronto_lmdb.translation import translated
from pronto_lmdb.writer_lock import SPENT, Claim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.environment import Environment
    from pronto_lmdb.home import Home


# Entries that exist from the beginning: writing them anew takes no room.
_KEPT_BY_ALL = (IDENTITY, STATE)


class Commit(Claim):
    """A write transaction: from taking the writer lock to giving it back.

    It keeps the exact puts and deletes in order. When the map is full, LMDB can only abort: the transaction is
    then begun anew in a larger map and the record of it applied again, which is exact because the writer lock
    is held all along, and no caller's code runs twice.

    Args:
        environment: where to write.
        home: must still hold then; ``None`` accepts any owner and status, as the life-cycle operations must.
        timeout: seconds to wait for the writer lock, and for other threads' views if the file must grow.

    Raises:
        StaleEnvironment: if the address must be looked up again.
        ReadOnlyError: if the directory cannot be written.
        LockTimeoutError, ConflictError: see :meth:`WriterLock.acquire`.

    """

    __slots__ = ("_environment", "_failure", "_home", "_log", "_number", "_open", "_timeout", "state", "txn")

    _open: lmdb.Transaction[bytes] | None

    txn: lmdb.Transaction[bytes]
    state: State

    def __init__(self, environment: Environment, home: Home | None, timeout: float) -> None:
        self.thread = get_ident()
        self.ticket = ref(self, environment.writer_lock.leave)
        self._environment = environment
        self._home = home
        self._timeout = timeout
        self._log: list[tuple[bytes, bytes | None]] = []
        self._failure: ProntoError | None = None
        if environment.readonly or not environment.writer_lock.acquire(self.ticket, environment.name, timeout):
            raise environment.refusal()
        try:
            self._begin()
        except lmdb.Error as error:
            self._leave()
            raise translated(error, environment.path) from error
        except BaseException:
            self._leave()
            raise

    def _begin(self) -> None:
        """Begin the transaction and look whether this is still the right place."""
        environment, home = self._environment, self._home
        self.txn = self._open = txn = environment.begin_write()
        try:
            self._number = number = txn.id()
            state = environment.cached_state
            # It is changed from here on, so nobody else may take it for what is stored.
            environment.cached_state = None
            if state is None or state.transaction != number - 1:
                state = State.read(txn, environment.path, number - 1)
            self.state = state
            if home is not None and state.generation != home.generation and not home.owns(txn):
                raise StaleEnvironment
        except BaseException:
            self._drop()
            raise
        if environment.oversized:  # somebody has lowered the quota
            self._drop()
            environment.restore_quota()
            Commit._begin(self)

    def _drop(self) -> None:
        """End LMDB's transaction without its changes; does nothing where there is none."""
        txn, self._open = self._open, None
        if txn is not None:
            self._environment.end_write(txn, empty=not self._log)

    def _leave(self) -> None:
        environment = self._environment
        environment.writer_lock.leave(self.ticket)
        self.ticket = SPENT  # the other one would have a last look at the end of this object
        if not environment.owners:
            pool.close_unowned(environment)

    # -- changes -----------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """Return an entry as this transaction sees it."""
        return self.txn.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Write an entry."""
        self._log.append((key, value))
        try:
            self.txn.put(key, value)
        except lmdb.MapFullError:
            self._regrow()
        except lmdb.Error as error:
            raise self.failed(error) from error

    def put_many(self, entries: list[tuple[bytes, bytes]]) -> None:
        """Write many entries, in half the time that so many calls of :meth:`put` take."""
        self._log.extend(entries)
        try:
            self.txn.cursor().putmulti(entries)
        except lmdb.MapFullError:
            self._regrow()
        except lmdb.Error as error:
            raise self.failed(error) from error

    def delete(self, key: bytes) -> bool:
        """Remove an entry; tell whether it was there."""
        try:
            found = self.txn.delete(key)
        except lmdb.MapFullError:
            self._log.append((key, None))
            self._regrow()
            return True
        except lmdb.Error as error:
            raise self.failed(error) from error
        if found:
            self._log.append((key, None))
        return found

    def raise_revision(self, least: int) -> None:
        """Give this commit a higher revision than it would have: records that bring theirs along must not exceed it."""
        self.state.revision = max(self.state.revision, least - 1)

    def failed(self, error: lmdb.Error) -> ProntoError:
        """Return what is wrong: after a failure LMDB only says that the transaction is over."""
        return self._failure or translated(error, self._environment.path)

    def _regrow(self) -> None:
        """Begin anew in a larger map and repeat what was done so far."""
        while True:
            self._drop()
            only_deletes = all(value is None for key, value in self._log if key not in _KEPT_BY_ALL)
            try:
                self._environment.grow(self._timeout, only_deletes=only_deletes)
            except ProntoError as error:
                self._failure = error
                raise
            self.txn = self._open = self._environment.begin_write()
            try:
                self._replay()
            except lmdb.MapFullError:
                continue
            return

    def _replay(self) -> None:
        for key, value in self._log:
            if value is None:
                self.txn.delete(key)
            else:
                self.txn.put(key, value)

    # -- the end -----------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Make the changes durable, visible, and let the next writer in.

        Raises:
            StoreFullError: if there is no room; nothing is changed then.

        """
        environment = self._environment
        if environment.abandoned:
            raise ConflictError(
                "This process was forked inside a transaction, which belongs to the parent.", "Begin a new one here."
            )
        if not self._log:
            self.abort()
            return
        try:
            self.state.revision += 1
            self._publish()
            if environment.quota is not None:
                environment.restore_quota()
        except lmdb.Error as error:
            self._drop()
            raise self.failed(error) from error
        except BaseException:
            self._drop()
            raise
        finally:
            self._leave()

    def _publish(self) -> None:
        """Make the changes visible."""
        self._record_state()
        self._commit()

    def _record_state(self) -> None:
        state = self.state
        state.transaction = self._number
        state.recorded = state.revision
        self.put(STATE, state.encode())

    def _commit(self) -> None:
        while True:
            try:
                self.txn.commit()
            except lmdb.MapFullError:
                self._regrow()
            else:
                self._open = None
                break
        state, home = self.state, self._home
        self._environment.cached_state = state
        if home is not None and state.generation == home.generation:
            home.seen = state.transaction

    def abort(self) -> None:
        """Drop the changes and let the next writer in."""
        if self._environment.abandoned:
            return  # a fork's copy: the transaction, and the lock, are the parent's
        try:
            self._drop()
        finally:
            self._leave()
