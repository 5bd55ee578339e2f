"""The library for asyncio: the same verbs as coroutines, on the same files.

>>> import pronto_lmdb
>>> async def main():
...     async with pronto_lmdb.aio.open("data") as store:
...         await store["alice.research"].put("plan", {"step": 1})

Tasks that write to one address at the same time share commits and flushes. Nothing that may wait for a lock or a disk
is done in the event loop.
"""

from __future__ import annotations

from asyncio import get_running_loop, wrap_future
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from pronto_lmdb import keystore, store, transaction, view
from pronto_lmdb.address import Address
from pronto_lmdb.async_verbs import AsyncReads, AsyncWrites, paged
from pronto_lmdb.errors import ConflictError, StoreClosedError
from pronto_lmdb.workers import Courier, Workers

if TYPE_CHECKING:
    import concurrent.futures
    import os
    from asyncio import Future
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
    from types import TracebackType
    from typing import Self

    from pronto_lmdb.operations import Operation
    from pronto_lmdb.results import AddressInfo, Stats
    from pronto_lmdb.values import Value

Absent = TypeVar("Absent")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def open(  # noqa: A001 - the same name as that of the library
    path: str | os.PathLike[str] | None = None,
    *,
    create: bool = True,
    readonly: bool = False,
    durability: str | None = None,
    timeout: float = 10.0,
) -> Store:
    """Return a store for ``async with``, or to be closed by ``await store.close()``.

    Arguments and errors are those of :func:`pronto_lmdb.open`; the errors come when the store is entered. ``store =
    await open(...)`` opens it as well.
    """
    return Store(partial(store.open, path, create=create, readonly=readonly, durability=durability, timeout=timeout))


def in_worker(
    function: Callable[Concatenate[store.Store, Arguments], Result],
) -> Callable[Concatenate[Store, Arguments], Coroutine[Any, Any, Result]]:
    """Make a coroutine of a verb of the store: the same arguments, the same result, in another thread."""

    async def coroutine(self: Store, /, *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        return await self.call(function, *arguments, **named)

    update_wrapper(coroutine, function)
    return coroutine


# The transactions that a task, or one that it was made by, has opened.
_opened: ContextVar[tuple[Transaction, ...]] = ContextVar("pronto_transactions", default=())


class Store:
    """All addresses below one root, for the tasks of one event loop. Made by :func:`open`.

    ``store["alice.research"]`` is the keystore of an address. The verbs of :class:`pronto_lmdb.Store` are coroutines
    here; whatever else is to be done with a store, :meth:`call` does.
    """

    def __init__(self, open_store: Callable[[], store.Store]) -> None:
        self._open_store = open_store
        self._store: store.Store | None = None
        self._workers = Workers()
        self._keystores: WeakValueDictionary[Address, Keystore] = WeakValueDictionary()

    # -- keystores ---------------------------------------------------------------------------------------------

    def __getitem__(self, address: Address | str) -> Keystore:
        return self.keystore(address)

    def keystore(self, address: Address | str) -> Keystore:
        """Return the keystore of an address, which need not exist."""
        address = Address.of(address)
        found = self._keystores.get(address)
        if found is None:
            found = self._keystores[address] = Keystore(self._sync.keystore(address), self._workers)
        return found

    # -- the verbs of the store --------------------------------------------------------------------------------

    create = in_worker(store.Store.create)
    exists = in_worker(store.Store.exists)
    info = in_worker(store.Store.info)
    set_durability = in_worker(store.Store.set_durability)
    set_quota = in_worker(store.Store.set_quota)
    rename = in_worker(store.Store.rename)
    delete = in_worker(store.Store.delete)
    undelete = in_worker(store.Store.undelete)
    trash = in_worker(store.Store.trash)
    purge = in_worker(store.Store.purge)
    rebuild_registry = in_worker(store.Store.rebuild_registry)
    check = in_worker(store.Store.check)
    compact = in_worker(store.Store.compact)
    copy = in_worker(store.Store.copy)
    backup = in_worker(store.Store.backup)
    snapshots = in_worker(store.Store.snapshots)
    snapshot = in_worker(store.Store.snapshot)
    contents = in_worker(store.Store.contents)
    verify = in_worker(store.Store.verify)
    restore = in_worker(store.Store.restore)
    prune = in_worker(store.Store.prune)

    async def addresses(self, user: str | None = None) -> AsyncIterator[AddressInfo]:
        """Yield all addresses, or those of one user, sorted by the bytes of their text."""
        async for info in paged(self._workers.run, self._sync.addresses(user)):
            yield info

    async def call(
        self,
        function: Callable[Concatenate[store.Store, Arguments], Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        """Call ``function(store, ...)`` in another thread, with the ordinary store; return what it returns.

        For what has no coroutine: ``await store.call(lambda store: store.config.effective("timeout"))``.
        """
        return await self._workers.run(partial(function, self._sync, *arguments, **named))

    # -- the beginning and the end -----------------------------------------------------------------------------

    @property
    def _sync(self) -> store.Store:
        if self._store is None or self._workers.closed:
            raise StoreClosedError("The store is not open.", "Use it inside `async with pronto_lmdb.aio.open(...)`.")
        return self._store

    @property
    def path(self) -> str:
        """The root."""
        return self._sync.path

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` has begun."""
        return self._workers.closed

    async def close(self) -> None:
        """Accept nothing more, wait for the writes that were accepted, then close the store. Idempotent.

        Raises:
            StoreFullError: if the disk refuses what was acknowledged at the level ``normal``; closed it is anyway.

        """
        await self._workers.close(self._close_store)

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        self._workers.loop()
        if self._store is None:
            try:
                await self._workers.run(self._enter)
            except BaseException:
                self._workers.end(self._close_store)  # if it was only this task that was cancelled
                raise
        return self

    def _enter(self) -> None:
        self._store = self._open_store()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<asynchronous {self._store}>" if self._store is not None else "<asynchronous Store, not open>"


class Keystore(AsyncWrites):
    """The data of one address, for tasks: each verb atomic and durable. Get one from a store."""

    _sync: keystore.Keystore

    def __init__(self, sync: keystore.Keystore, workers: Workers) -> None:
        self._sync = sync
        self._workers = workers
        self._courier = Courier(sync, workers)

    @property
    def address(self) -> Address:
        """Which one it is."""
        return self._sync.address

    async def _run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        return await self._workers.run(function, *arguments)

    async def _quick(self, function: Callable[..., Result], *arguments: Any) -> Result:
        self._workers.loop()
        if self._sync._is_open():
            return function(*arguments)
        return await self._workers.run(function, *arguments)

    async def _value_limit(self) -> int:
        # Kept by the store once it is known, and forgotten when the setting changes.
        limit = self._sync._store.known_value_limit
        return limit if limit is not None else await self._workers.run(getattr, self._sync, "_value_limit")

    def _write(self, operation: Operation[Result]) -> Future[Result]:
        self._refuse_inside()
        return self._courier.submit(operation)

    def _write_existing(self, operation: Operation[Result], absent: Absent) -> Future[Result | Absent]:
        self._refuse_inside()
        return self._courier.submit(operation, absent)

    def _refuse_inside(self) -> None:
        """Refuse a task that has a transaction open: it would wait for itself."""
        for other in _opened.get():
            if other.is_open_on(self._sync):
                raise ConflictError(
                    f"This task has a transaction open on {self.address}.",
                    "Use the verbs of the transaction until it ends.",
                )

    async def modify(self, key: str, function: Callable[[Value], Value], default: Value = None) -> Value:  # noqa: D102
        self._refuse_inside()
        return await self._workers.run(self._sync.modify, key, function, default)

    async def sweep(self) -> int:  # noqa: D102
        self._refuse_inside()
        return await self._workers.run(self._sync.sweep)

    async def stats(self) -> Stats:
        """Return how much the address holds and uses; all zero where it does not exist."""
        return await self._workers.run(self._sync.stats)

    async def sync(self) -> None:
        """Return when everything acknowledged before is on stable storage, whatever the level of the address."""
        self._refuse_inside()
        await self._workers.run(self._sync.sync)

    def transaction(self) -> Transaction:
        """Return a transaction: ``async with keystore.transaction() as txn`` commits on normal exit, else drops all.

        Nobody else writes to the address while it is open, neither another task nor another process. So do not wait in
        it for anything but its own verbs.
        """
        return Transaction(self._sync, self._workers)

    def view(self) -> View:
        """Return a view: ``async with keystore.view() as view`` reads one consistent moment."""
        return View(self._sync, self._workers)

    def __repr__(self) -> str:
        return f"<asynchronous {self._sync}>"


class Transaction(AsyncWrites):
    """Many reads and writes as one: committed on a normal exit of the ``async with`` block, else dropped.

    It has a thread of its own, because LMDB binds it to one; each verb goes there and back.
    """

    _sync: transaction.Transaction

    def __init__(self, of: keystore.Keystore, workers: Workers) -> None:
        self._sync = of.transaction()
        self._keystore = of
        self._workers = workers
        self._thread: ThreadPoolExecutor | None = None

    async def __aenter__(self) -> Self:
        loop = self._workers.loop()
        if self._thread is not None:
            raise ConflictError("This transaction is open already.", "Ask the keystore for another one.")
        others = [other for other in _opened.get() if other._thread is not None]
        if any(other.is_open_on(self._keystore) for other in others):
            raise ConflictError("This task has a transaction open on this address.", "Use that one until it ends.")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pronto-transaction")
        try:
            await loop.run_in_executor(self._thread, self._sync.__enter__)
        except BaseException as error:
            # Cancelled while it waits for another writer, it begins all the same, and is dropped then.
            self._end(type(error), error)
            raise
        _opened.set((*others, self))
        return self

    def is_open_on(self, keystore: keystore.Keystore) -> bool:
        """Tell whether it is open, on the address of a keystore."""
        mine = self._keystore
        return (
            self._thread is not None and mine.address == keystore.address and mine._store.path == keystore._store.path
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await wrap_future(self._end(kind, error))

    def _end(self, kind: type[BaseException] | None, error: BaseException | None) -> concurrent.futures.Future[None]:
        thread, self._thread = self._thread, None
        if thread is None:
            raise StoreClosedError("This transaction is not open.", "Use it inside its `async with` block.")
        ended = thread.submit(self._sync.__exit__, kind, error, None)
        thread.shutdown(wait=False)
        return ended

    async def _run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        if self._thread is None:
            raise StoreClosedError("This transaction is not open.", "Use it inside its `async with` block.")
        return await get_running_loop().run_in_executor(self._thread, function, *arguments)

    _quick = _run

    async def _value_limit(self) -> int:
        return self._sync._value_limit

    def _write(self, operation: Operation[Result]) -> Awaitable[Result]:
        return self._run(self._sync._write, operation)

    def _write_existing(self, operation: Operation[Result], absent: Absent) -> Awaitable[Result | Absent]:
        return self._run(self._sync._write_existing, operation, absent)

    async def modify(self, key: str, function: Callable[[Value], Value], default: Value = None) -> Value:  # noqa: D102
        return await self._run(self._sync.modify, key, function, default)

    async def sweep(self) -> int:  # noqa: D102
        return await self._run(self._sync.sweep)


class View(AsyncReads):
    """What an address held when the view began, whatever is written meanwhile. Use it in an ``async with`` block.

    A view keeps the pages it can see: as long as it is open, the file grows with every write.
    """

    _sync: view.View

    def __init__(self, of: keystore.Keystore, workers: Workers) -> None:
        self._sync = view.View(lambda: None)  # not open, and says so
        self._keystore = of
        self._workers = workers
        self._entered = False

    async def __aenter__(self) -> Self:
        if self._entered:
            raise StoreClosedError("This view was opened before.", "Ask the keystore for another one.")
        self._entered = True
        self._sync = await self._workers.run(self._prepared)
        # Here, and not in a worker: it keeps in mind which thread looks, and the workers write.
        self._sync.__enter__()
        return self

    def _prepared(self) -> view.View:
        """Open what the view needs, so that it begins without waiting."""
        self._keystore._opened()
        return self._keystore.view()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._sync.is_busy():
            await get_running_loop().run_in_executor(None, self._sync.__exit__, None, None, None)
        else:
            self._sync.__exit__(None, None, None)

    async def _run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        return await self._workers.run(function, *arguments)

    async def _quick(self, function: Callable[..., Result], *arguments: Any) -> Result:
        if self._sync.is_busy():  # a worker scans
            return await self._workers.run(function, *arguments)
        return function(*arguments)
