"""The keystore: one address, seen as a mapping."""

from __future__ import annotations

import os
from _thread import get_ident
from contextlib import suppress
from time import sleep

import lmdb

from pronto_lmdb import clock, combining
from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import ReadOnlyError
from pronto_lmdb.files import allocated
from pronto_lmdb.journaled import JournaledEnvironment
from pronto_lmdb.journaled_commit import JournaledCommit
from pronto_lmdb.key import encode_key
from pronto_lmdb.moment import Moment
from pronto_lmdb.pool import pool
from pronto_lmdb.record import PLAIN, PLAIN_SIZE, packed_value
from pronto_lmdb.transaction import Transaction
from pronto_lmdb.translation import translated
from pronto_lmdb.values import Value, unpack
from pronto_lmdb.view import View
from pronto_lmdb.writing import WriteVerbs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from pronto_lmdb.address import Address
    from pronto_lmdb.commit import Commit
    from pronto_lmdb.environment import Environment
    from pronto_lmdb.home import Home
    from pronto_lmdb.line import Operation
    from pronto_lmdb.results import Stats
    from pronto_lmdb.store import Store

    Absent = TypeVar("Absent")
    Result = TypeVar("Result")

_PAUSE = 1e-4


class Keystore(WriteVerbs):
    """The data of one address: a mutable mapping of text keys to values, each verb atomic and durable.

    Bound to the name of the address, not to a directory: after a rename or delete of the address it reads as
    empty, and the next write creates the address anew. Threads may share it. Get one from a store:
    ``store["alice.research"]``.
    """

    __slots__ = ("_home", "_store", "address")

    def __init__(self, store: Store, address: Address) -> None:
        self._store = store
        self.address = address
        self._home: Home | None = None

    # -- reading -----------------------------------------------------------------------------------------------

    def get(self, key: str, default: Value = None) -> Value:  # type: ignore[override]
        """Return the value of a key, or ``default`` where there is none."""
        encoded = encode_key(key)
        home = self._home
        # The hot path: no lock, no pin. Anything unexpected is looked at again, calmly, by _read().
        try:
            environment = home.environment  # type: ignore[union-attr]
            txn = environment.begin()
            record = txn.get(encoded)
            known = txn.id() == home.seen  # type: ignore[union-attr]
            txn.abort()
            if known and not self._store.closed:
                environment.used = True
                if record is None:
                    return default
                if record[0] == PLAIN:
                    return unpack(record[PLAIN_SIZE:])
        except (lmdb.Error, AttributeError, IndexError):
            self._store.check_open()
        record = self._read(lambda moment: moment.record(encoded), None)
        return default if record is None else unpack(packed_value(record))

    def _read(self, operation: Callable[[Moment], Result], absent: Absent) -> Result | Absent:
        while True:
            home = self._opened()
            if home is None:
                return absent
            environment = home.environment
            epoch = environment.epoch
            try:
                txn = environment.begin_read()
                try:
                    if home.holds(txn):
                        return operation(Moment(txn, clock.now()))
                finally:
                    txn.abort()
                self._forget(home)
            except lmdb.Error as error:
                if not environment.has_moved(epoch):
                    raise translated(error, str(self.address)) from error
                # Closed or resized by another thread in the middle: a read may simply be repeated.
                sleep(_PAUSE)

    def view(self) -> View:
        """Return a view: ``with keystore.view() as view`` reads one consistent moment; empty where nothing exists."""
        self._store.check_open()
        return View(self._enter_view, self._store.view_warning())

    def _enter_view(self) -> tuple[Environment, lmdb.Transaction[bytes]] | None:
        while True:
            home = self._opened()
            if home is None:
                return None
            environment = home.environment
            try:
                txn = environment.begin_pinned()
            except lmdb.Error as error:
                raise translated(error, str(self.address)) from error
            if txn is not None:
                mine = False
                try:
                    mine = home.holds(txn)
                finally:
                    if not mine:
                        txn.abort()
                        environment.unpin(get_ident())
                if mine:
                    return environment, txn
            self._forget(home)

    def stats(self) -> Stats:
        """Return how much the address holds and uses; all zero where it does not exist."""
        from pronto_lmdb.results import Stats

        while True:
            home = self._store.find(self.address)  # not from memory: the path must be of today
            if home is None:
                return Stats(0, 0, 0, 0, 0, None, self._store.durability)
            environment = home.environment
            with suppress(StaleEnvironment):
                records, expired, revision, bytes_used = environment.read(_measured(environment))
                break
        try:
            with os.scandir(environment.path) as files:
                on_disk = sum(allocated(file.stat()) for file in files)
        except OSError as error:
            raise translated(error, str(self.address)) from error
        identity = home.identity
        return Stats(records, expired, revision, bytes_used, on_disk, identity.max_bytes, identity.durability)

    # -- writing -----------------------------------------------------------------------------------------------

    @property
    def _value_limit(self) -> int:  # type: ignore[override]
        limit = self._store.known_value_limit
        return self._store.value_limit if limit is None else limit

    def transaction(self) -> Transaction:
        """Return a transaction: ``with keystore.transaction() as txn`` commits on normal exit, else drops all."""
        self._store.check_open()
        return Transaction(self._begin_commit, self._value_limit)

    def sync(self) -> None:
        """Return when everything acknowledged before is on stable storage, whatever the level of the address."""
        while True:
            home = self._opened()
            if home is None or home.environment.readonly:
                return
            environment, store = home.environment, self._store
            with suppress(StaleEnvironment):
                JournaledCommit(environment, home, store.timeout, store.flush_interval).sync()  # type: ignore[arg-type]
                return
            self._forget(home)

    def _is_absent(self) -> bool:
        return self._opened() is None

    def _write_existing(self, operation: Callable[[Commit], Result], absent: Absent) -> Result | Absent:
        return self._write(operation, absent, create=False)

    def _write(self, operation: Callable[[Commit], Result], absent: Any = None, *, create: bool = True) -> Result:
        store = self._store
        while (home := self._home_to_write(create)) is not None:
            try:
                # Only where a writer waits for the disk there is time to wait for company.
                if home.identity.durability == "full":
                    return combining.write(_journaled(home), home, operation, store.timeout, store.flush_interval)
                commit = self._commit_to(home)
            except StaleEnvironment:
                self._forget(home)
            else:
                return combining.run(commit, operation)
        return absent  # type: ignore[no-any-return]

    def _write_alone(self, operation: Callable[[Commit], Result]) -> Result:
        commit = self._begin_commit(True)
        assert commit is not None
        return combining.run(commit, operation)

    def _write_all(self, operations: Sequence[Operation], timeout: float) -> list[object]:
        """Run operations that know nothing of each other as a group; see :func:`combining.write_all`."""
        while True:
            home = self._home_to_write(True)
            assert home is not None
            try:
                return combining.write_all(_journaled(home), home, operations, timeout, self._store.flush_interval)
            except StaleEnvironment:
                self._forget(home)

    def _begin_commit(self, create: bool) -> JournaledCommit | None:
        while (home := self._home_to_write(create)) is not None:
            try:
                return self._commit_to(home)
            except StaleEnvironment:
                self._forget(home)
        return None

    def _home_to_write(self, create: bool) -> Home | None:
        store = self._store
        if store.readonly:
            raise ReadOnlyError("The store was opened read-only.", "Open it without readonly=True.")
        while True:
            home = self._home
            if home is None or home.environment.closed or store.closed:
                home = self._opened()
            if home is not None:
                home.environment.used = True
                return home
            if not create:
                return None
            store.create_missing(self.address)

    def _commit_to(self, home: Home) -> JournaledCommit:
        store = self._store
        return JournaledCommit(_journaled(home), home, store.timeout, store.flush_interval)

    # -- the environment behind the name ------------------------------------------------------------------------

    def _opened(self) -> Home | None:
        """Return the open home of the address, or ``None`` where it does not exist."""
        self._store.check_open()
        home = self._home
        if home is None or home.environment.closed:
            home = self._home = self._store.find(self.address)
        if home is not None:
            home.environment.used = True
        return home

    def _is_open(self) -> bool:
        """Tell whether the next short read takes microseconds, because nothing has to be opened for it."""
        home = self._home
        return home is not None and not home.environment.closed

    def _forget(self, home: Home) -> None:
        """Look the address up again at the next use; nobody needs the environment of a deleted one."""
        if self._home is home:
            self._home = None
        pool.discard(home.environment)

    def __repr__(self) -> str:
        return f"<Keystore {self.address} in {self._store.path}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._store, self.address)


def _journaled(home: Home) -> JournaledEnvironment:
    environment = home.environment
    if not isinstance(environment, JournaledEnvironment):
        # Release 0.1 wrote it, and nobody gave it a journal, because it cannot be written.
        raise ReadOnlyError(f"{home.identity.address} cannot be written.", "Check its owner and permissions.")
    return environment


def _measured(environment: Environment) -> Callable[[lmdb.Transaction[bytes]], tuple[int, int, int, int]]:
    def measured(txn: lmdb.Transaction[bytes]) -> tuple[int, int, int, int]:
        moment = Moment(txn, clock.now())
        return moment.count(), len(moment.expired_keys()), moment.state.revision, environment.size()

    return measured
