"""Group commit: whoever is in front of the line writes for those behind as well.

An operation that fails in a group is taken out of it and done again alone, by whoever asked for it. So an error arises
where it belongs, it is the same as without a group, and the others do not notice.
"""

from __future__ import annotations

import lmdb

from pronto_lmdb.errors import ProntoError
from pronto_lmdb.group_commit import ALONE, GroupCommit
from pronto_lmdb.journaled_commit import JournaledCommit
from pronto_lmdb.line import Turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from pronto_lmdb.commit import Commit
    from pronto_lmdb.home import Home
    from pronto_lmdb.journaled import JournaledEnvironment
    from pronto_lmdb.line import Line, Operation

    Result = TypeVar("Result")

# A group takes no further turn once it has so many operations: other processes wait for it as well.
_MOST = 500


class Failed:
    """The answer to all operations of a group that is visible, or may become so, and is not known to be durable.

    Args:
        error: why.

    """

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def again(self) -> BaseException:
        """Return the error for one of those whom it concerns: each has a traceback of its own."""
        error = self.error
        return type(error)(error.problem, error.hint) if isinstance(error, ProntoError) else error


def write(
    environment: JournaledEnvironment,
    home: Home,
    operation: Callable[[Commit], Result],
    timeout: float,
    interval: Callable[[], float],
) -> Result:
    """Run an operation in a commit of its own, or in that of a group; return its result when it is committed.

    Args:
        environment: where to write.
        home: must still hold then.
        operation: changes nothing but the commit, so that it can be done again.
        timeout: seconds to wait for others.
        interval: as for :class:`JournaledCommit`.

    Raises:
        StaleEnvironment: if the address must be looked up again; nothing was done then.
        ProntoError: what the operation, or a commit, raises.

    """
    line = environment.line
    turn = Turn(line, home, (operation,))
    try:
        left = _come_to_front(turn, line, timeout)
        if turn.answers is None:
            commit = GroupCommit(environment, home, left, interval)
            # Who came while this one waited for other processes goes with it.
            if not line or _is_main_thread():
                return run(commit, operation)
            _serve(turn, line, commit)
    finally:
        line.leave(turn.ticket)
    assert turn.answers is not None
    (answer,) = turn.answers
    if answer is ALONE:
        return run(JournaledCommit(environment, home, left, interval), operation)
    if isinstance(answer, Failed):
        raise answer.again() from answer.error
    return answer  # type: ignore[return-value]


def write_all(
    environment: JournaledEnvironment,
    home: Home,
    operations: Sequence[Operation],
    timeout: float,
    interval: Callable[[], float],
) -> list[object]:
    """Run operations that know nothing of each other; return the answer to each when they are committed.

    Not for the main thread, where Ctrl-C strikes. Arguments and errors as for :func:`write`.

    Returns:
        The result of each, or an instance of :class:`Failed`, or ``ALONE``: nothing was done, it must be done again by
        itself.

    """
    line = environment.line
    turn = Turn(line, home, operations)
    try:
        left = _come_to_front(turn, line, timeout)
        if turn.answers is None:
            _serve(turn, line, GroupCommit(environment, home, left, interval))
    finally:
        line.leave(turn.ticket)
    assert turn.answers is not None
    return turn.answers


def run(commit: JournaledCommit, operation: Callable[[Commit], Result]) -> Result:
    """Run one operation in a commit of its own, and commit."""
    try:
        result = operation(commit)
    except lmdb.Error as error:
        commit.abort()
        raise commit.failed(error) from error
    except BaseException:
        commit.abort()
        raise
    commit.commit()
    return result


def _come_to_front(turn: Turn, line: Line, timeout: float) -> float:
    """Wait until a turn is in front or was taken; return the seconds that are left."""
    if line.enter(turn.ticket):
        return timeout
    home = turn.home
    home.environment.writer_lock.refuse_holder(home.identity.address)
    return turn.wait(timeout)


def _is_main_thread() -> bool:
    """Tell whether Ctrl-C may strike here; then nobody else may depend on what is being done."""
    from threading import get_ident, main_thread  # with company there are threads, so it is imported already

    return main_thread().ident == get_ident()


def _serve(front: Turn, line: Line, commit: GroupCommit) -> None:
    """Write for the one in front and for those who wait, and give them their answers."""
    turns = [front]
    answers: list[list[object]] = []
    try:
        try:
            _gather(turns, line)
            answers.extend([commit.attempt(operation) for operation in turn.operations] for turn in turns)
        except BaseException:
            commit.abort()
            raise
        commit.commit()
    except Exception as error:  # noqa: BLE001 - each of them raises it, or does its own again and sees for itself
        failed = Failed(error) if commit.published else ALONE
        kept = answers if commit.published else [[ALONE] * len(turn.operations) for turn in turns]
        answers = [[answer if answer is ALONE else failed for answer in each] for each in kept]
    for turn, answer in zip(turns, answers, strict=True):
        turn.answers = answer
        if turn is not front:
            turn.call()


def _gather(turns: list[Turn], line: Line) -> None:
    """Take the turns of those who wait."""
    (front,) = turns
    count = len(front.operations)
    while count < _MOST and (turn := line.take()) is not None:
        if turn.home is front.home:
            turns.append(turn)
            count += len(turn.operations)
        else:  # another name for the same environment, before or after a rename
            turn.answers = [ALONE] * len(turn.operations)
            turn.call()
