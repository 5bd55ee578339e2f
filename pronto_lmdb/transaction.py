"""A transaction: all verbs over one address, all or nothing."""

from __future__ import annotations

from _thread import get_ident

import lmdb

from pronto_lmdb import clock
from pronto_lmdb.errors import ConflictError, StoreClosedError
from pronto_lmdb.moment import Moment
from pronto_lmdb.writing import WriteVerbs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self, TypeVar

    from pronto_lmdb.commit import Commit

    Absent = TypeVar("Absent")
    Result = TypeVar("Result")


class Transaction(WriteVerbs):
    """Many reads and writes as one: committed on a normal exit of the ``with`` block, dropped on any exception.

    While it is open nobody else writes to the address; reading goes on and sees nothing of it. It belongs to
    the thread that began it. On an address that does not exist it reads nothing, and the first write creates
    the address.

    Args:
        begin: returns a write transaction; ``None`` where the address does not exist and is not to be created.
        value_limit: the greatest size of a packed value, in bytes.

    """

    __slots__ = ("_begin", "_commit", "_found_nothing", "_open", "_thread", "_value_limit")

    def __init__(self, begin: Callable[[bool], Commit | None], value_limit: int) -> None:
        self._begin = begin
        self._value_limit = value_limit
        self._commit: Commit | None = None
        self._open = False
        self._found_nothing = False
        self._thread = 0

    def __enter__(self) -> Self:
        if self._open:
            raise ConflictError("This transaction is open already.", "Ask the keystore for another one.")
        self._commit = self._begin(False)
        self._open, self._found_nothing, self._thread = True, False, get_ident()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._open and self._thread != get_ident():
            raise ConflictError(
                "A transaction belongs to the thread that began it, and goes on there.", "End it in that thread."
            )
        self._open = False
        commit, self._commit = self._commit, None
        if commit is None:
            return
        if kind is None:
            commit.commit()
        else:
            commit.abort()

    def _read(self, operation: Callable[[Moment], Result], absent: Absent) -> Result | Absent:
        self._check()
        if self._commit is None:
            self._found_nothing = True
            return absent
        try:
            return operation(Moment(self._commit.txn, clock.now(), self._commit.state))
        except lmdb.Error as error:
            raise self._commit.failed(error) from error

    def _is_absent(self) -> bool:
        self._check()
        return self._commit is None

    def _write(self, operation: Callable[[Commit], Result]) -> Result:
        self._check()
        if self._commit is None:
            self._commit = self._begin_created()
        return self._apply(self._commit, operation)

    def _write_existing(self, operation: Callable[[Commit], Result], absent: Absent) -> Result | Absent:
        self._check()
        if self._commit is None:
            self._found_nothing = True
            return absent
        return self._apply(self._commit, operation)

    def _apply(self, commit: Commit, operation: Callable[[Commit], Result]) -> Result:
        try:
            return operation(commit)
        except lmdb.Error as error:
            raise commit.failed(error) from error

    def _begin_created(self) -> Commit:
        commit = self._begin(True)
        assert commit is not None
        if self._found_nothing and Moment(commit.txn, clock.now(), commit.state).count():
            # What this transaction saw as empty is not empty any more.
            commit.abort()
            raise ConflictError("Somebody else created the address meanwhile.", "Run the transaction again.")
        return commit

    def _check(self) -> None:
        if not self._open:
            raise StoreClosedError("This transaction is not open.", "Use it inside its with block.")
        if self._thread != get_ident():
            raise ConflictError(
                "A transaction belongs to the thread that began it.", "Begin another one in this thread."
            )
