"""A view: the reading verbs over one consistent moment of an address."""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from _warnings import warn
from sys import is_finalizing
from time import monotonic

import lmdb

from pronto_lmdb import clock
from pronto_lmdb.errors import ConflictError, StoreClosedError
from pronto_lmdb.moment import Moment
from pronto_lmdb.pool import pool
from pronto_lmdb.reading import ReadVerbs
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self, TypeVar

    from pronto_lmdb.environment import Environment

    Absent = TypeVar("Absent")
    Result = TypeVar("Result")


class View(ReadVerbs):
    """What an address held when the view began, whatever is written meanwhile. Use it in a ``with`` block.

    A view keeps the pages it can see: as long as it is open, the file grows with every write. Threads
    that share it take turns.

    A view that is open for longer than the setting ``view_warning`` is reported to the log ``pronto_lmdb``, when it
    ends, or while others write. One that nobody ends and nobody knows any more ends with a ``ResourceWarning``.

    Args:
        enter: returns the environment, pinned, and a read transaction on it; ``None`` where the address does
            not exist.
        longest: seconds after which it has been open for too long.

    """

    __slots__ = ("_busy", "_enter", "_environment", "_longest", "_moment", "_open", "_thread")

    def __init__(
        self, enter: Callable[[], tuple[Environment, lmdb.Transaction[bytes]] | None], longest: float = float("inf")
    ) -> None:
        self._enter = enter
        self._longest = longest
        self._open = False
        self._busy = allocate_lock()
        self._environment: Environment | None = None
        self._moment: Moment | None = None

    def __enter__(self) -> Self:
        if self._open:
            raise StoreClosedError("This view is open already.", "Ask the keystore for another one.")
        entered = self._enter()
        self._thread = get_ident()
        if entered is not None:
            self._environment, txn = entered
            self._environment.views[id(self)] = monotonic() + self._longest
            self._moment = Moment(txn, clock.now())
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._busy:
            self._end()

    def __del__(self) -> None:
        if self._open and not is_finalizing():
            if self._environment is not None and not self._environment.abandoned:
                warn(f"a view of {self._environment.name} was never ended", ResourceWarning, source=self)
            self._end()

    def _end(self) -> None:
        self._open = False
        environment, moment = self._environment, self._moment
        self._environment = self._moment = None
        if environment is None or moment is None:
            return
        if environment.abandoned:
            pool.keep(moment.txn)  # a fork's copy: ending it would free the parent's reader slot
        else:
            moment.txn.abort()
            environment.unpin(self._thread)
            environment.report_views()
            environment.views.pop(id(self), None)
            pool.close_unowned(environment)

    def is_busy(self) -> bool:
        """Tell whether somebody reads through it just now, and the next one would have to wait."""
        return self._busy.locked()

    def _read(self, operation: Callable[[Moment], Result], absent: Absent) -> Result | Absent:
        # LMDB's objects bear one thread at a time; a second one may wait, but must not break the interpreter.
        with self._busy:
            return self._read_alone(operation, absent)

    def _read_alone(self, operation: Callable[[Moment], Result], absent: Absent) -> Result | Absent:
        if not self._open:
            raise StoreClosedError("This view is not open.", "Use it inside its with block.")
        if self._moment is None or self._environment is None:
            return absent
        if self._environment.abandoned:
            raise ConflictError("This process was forked inside a view, which belongs to the parent.", "Begin another.")
        try:
            return operation(self._moment)
        except lmdb.Error as error:
            raise translated(error, "The view") from error
