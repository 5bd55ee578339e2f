"""The threads behind an event loop: what may wait for a lock or a disk is done there, and the loop goes on.

The writes of the tasks are collected for each address. One worker commits what came together as one group; meanwhile
the next one forms.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from pronto_lmdb.combining import Failed
from pronto_lmdb.errors import ConflictError, LockTimeoutError, StoreClosedError
from pronto_lmdb.group_commit import ALONE

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable

    from pronto_lmdb.keystore import Keystore
    from pronto_lmdb.operations import Operation

    Result = TypeVar("Result")

# How many threads wait for locks and disks at the same time, for one store.
_MOST_THREADS = 32
# How many operations are one group at most.
_MOST = 500

# What an operation returns where there is no address: nothing, because it creates the address.
CREATES = object()
_AGAIN = object()


class Workers:
    """The threads of one store, bound to the event loop that uses it first.

    Attributes:
        closed: whether nothing more is accepted.

    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="pronto")
        self._loop: AbstractEventLoop | None = None
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.closed = False

    def loop(self) -> AbstractEventLoop:
        """Return the running event loop.

        Raises:
            StoreClosedError: after :meth:`close`.
            ConflictError: if it is another one than before.

        """
        loop = asyncio.get_running_loop()
        if self.closed:
            raise StoreClosedError("The store is closed.", "Open it again with pronto_lmdb.aio.open().")
        if self._loop is not loop:
            if self._loop is not None:
                raise ConflictError("This store is used by another event loop.", "Open one store in each loop.")
            self._loop = loop
        return loop

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run a function in a worker; one that has begun runs to its end, even if nobody waits for it any more."""
        return await self.loop().run_in_executor(self._threads, function, *arguments)

    def start(self, function: Callable[..., None], *arguments: Any) -> None:
        """Run a function in a worker that tells by itself when it is done."""
        self._threads.submit(function, *arguments)

    def engage(self) -> None:
        """Note that a courier has something to do, for which :meth:`close` waits."""
        self._busy += 1
        self._idle.clear()

    def release(self) -> None:
        """Note that it has nothing left to do."""
        self._busy -= 1
        if not self._busy:
            self._idle.set()

    async def close(self, last: Callable[[], None]) -> None:
        """Accept nothing more, do what was accepted, then call ``last`` in a thread. Raises what that raises."""
        self.closed = True
        await self._idle.wait()
        await self.end(last)

    def end(self, last: Callable[[], None]) -> Future[None]:
        """Accept nothing more, and call ``last`` in a thread when the others have come to their end."""
        self.closed = True
        loop = asyncio.get_running_loop()
        ended: Future[None] = loop.create_future()

        def end() -> None:
            error = None
            self._threads.shutdown()
            try:
                last()
            except Exception as raised:  # noqa: BLE001 - raised again by whoever closes
                error = raised
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_resolve, ended, None, error)

        Thread(target=end, name="pronto-close").start()
        return ended


class _Errand:
    """One operation that a task waits for."""

    __slots__ = ("absent", "deadline", "future", "operation")

    def __init__(self, operation: Operation[Any], absent: object, deadline: float, future: Future[Any]) -> None:
        self.operation = operation
        self.absent = absent
        self.deadline = deadline
        self.future = future


class Courier:
    """Carries the writes of tasks to one address, a group at a time.

    All but :meth:`_commit` runs in the event loop. An operation whose task is cancelled before its group has left is
    not done; afterwards it is done or not, as a whole.

    Args:
        keystore: of the address.
        workers: who do it.

    """

    def __init__(self, keystore: Keystore, workers: Workers) -> None:
        self._keystore = keystore
        self._workers = workers
        self._timeout = keystore._store.timeout
        self._errands: deque[_Errand] = deque()
        self._busy = False

    def submit(self, operation: Operation[Result], absent: object = CREATES) -> Future[Result]:
        """Accept an operation; the future has its result when it is committed.

        Args:
            operation: as for :func:`pronto_lmdb.combining.write`.
            absent: the result where the address does not exist; by default it is created.

        """
        loop = self._workers.loop()
        future: Future[Result] = loop.create_future()
        self._errands.append(_Errand(operation, absent, monotonic() + self._timeout, future))
        if not self._busy:
            self._busy = True
            self._workers.engage()
            loop.call_soon(self._leave, loop)  # with whatever other tasks have to do at this moment
        return future

    def _leave(self, loop: AbstractEventLoop) -> None:
        """Let a group go."""
        group: list[_Errand] = []
        while self._errands and len(group) < _MOST:
            errand = self._errands.popleft()
            if not errand.future.done():
                group.append(errand)
        if group:
            self._workers.start(self._commit, group, loop)
        else:
            self._busy = False
            self._workers.release()

    def _commit(self, group: list[_Errand], loop: AbstractEventLoop) -> None:
        answers: list[object]
        try:
            answers = self._answers(group)
        except BaseException as error:  # noqa: BLE001 - nobody may wait for ever, whatever it is
            answers = [Failed(error)] * len(group)
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            loop.call_soon_threadsafe(self._return, group, answers, loop)

    def _return(self, group: list[_Errand], answers: list[object], loop: AbstractEventLoop) -> None:
        """Tell the tasks, then let the next group go: what these tasks do next goes with it."""
        again = []
        for errand, answer in zip(group, answers, strict=True):
            if answer is _AGAIN:
                again.append(errand)
            elif isinstance(answer, Failed):
                _resolve(errand.future, None, answer.again())
            else:
                _resolve(errand.future, answer, None)
        self._errands.extendleft(reversed(again))
        loop.call_soon(self._leave, loop)

    # -- in a worker -------------------------------------------------------------------------------------------

    def _answers(self, group: list[_Errand]) -> list[object]:
        answers: list[object]
        if len(group) == 1:
            answers = [ALONE]
        else:
            try:
                answers = self._together(group)
            except LockTimeoutError as error:
                # Those who came later have time left.
                now = monotonic()
                return [Failed(error) if errand.deadline <= now else _AGAIN for errand in group]
            except Exception:  # noqa: BLE001 - nothing was done: each is told what is wrong for it
                answers = [ALONE] * len(group)
        return [
            self._alone(errand) if answer is ALONE else answer for errand, answer in zip(group, answers, strict=True)
        ]

    def _together(self, group: list[_Errand]) -> list[object]:
        if all(errand.absent is not CREATES for errand in group) and self._keystore._is_absent():
            return [errand.absent for errand in group]
        left = max(0.0, min(errand.deadline for errand in group) - monotonic())
        return self._keystore._write_all([errand.operation for errand in group], left)

    def _alone(self, errand: _Errand) -> object:
        try:
            if errand.absent is CREATES:
                return self._keystore._write(errand.operation)
            return self._keystore._write_existing(errand.operation, errand.absent)
        except Exception as error:  # noqa: BLE001 - raised where the task waits
            return Failed(error)


def _resolve(future: Future[Any], result: object, error: BaseException | None) -> None:
    """Answer a future, unless its task was cancelled."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
