"""The checkpoint: a durable copy of the view, the *base*, and a new journal that continues it.

Everything happens under the writer lock. One commit names the new journal, says that a checkpoint is under way, and
keeps the old position: what the base will say, the mark, and the way back, in one record. Whoever finds the mark
later was left alone by a killed process and brings the checkpoint to an end, one way or the other.
"""

from __future__ import annotations

import os

import lmdb

from pronto_lmdb.base import BASE, NEW_BASE, damage_of_base, sign
from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import CorruptStoreError
from pronto_lmdb.files import flush_data, remove_tree
from pronto_lmdb.forks import gate
from pronto_lmdb.identity import State, limit_beside
from pronto_lmdb.journal import PREFIX, Journal, journal_name
from pronto_lmdb.journal_format import HEADER_SIZE, Header
from pronto_lmdb.record import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pronto_lmdb.directory import Directory
    from pronto_lmdb.journaled import JournaledEnvironment

    Finish = Callable[[JournaledEnvironment, State, int, float], None]

# The directory in which a compaction makes the next view.
NEXT = "next"


def checkpoint(
    environment: JournaledEnvironment, state: State, timeout: float, finish: Finish | None = None
) -> Journal:
    """Make everything that is committed durable without the present journal, and return the journal that continues.

    The writer lock is held and no transaction is open.

    Args:
        environment: whose.
        state: of the last commit; its position becomes the new one.
        timeout: seconds to wait for views, if the file must grow.
        finish: what to do once the base has its name; by default :func:`finish_checkpoint`, which a compaction, too,
            comes to if it fails.

    Raises:
        OSError, lmdb.Error: if the disk refuses. Everything is as it was, but that the limit has doubled.

    """
    directory = environment.directory
    try:
        environment.flush_view()
    except (lmdb.Error, OSError):
        state.limit = _longer(state)
        environment.commit_state(state, timeout)
        raise
    header = Header(os.urandom(16), environment.keystore_id, state.revision, genesis=False)
    state.point_to((header.journal, HEADER_SIZE, header.checksum()), (state.journal, state.end, state.checksum))
    try:
        environment.commit_state(state, timeout)
    except BaseException:
        _go_back(state)
        raise
    try:
        journal = Journal.create(directory, header)
    except BaseException:
        _undo(environment, state, timeout, longer=True)
        raise
    try:
        _continue(environment, state, timeout, finish or finish_checkpoint)
    except BaseException:
        journal.close()
        raise
    return journal


def _continue(environment: JournaledEnvironment, state: State, timeout: float, finish: Finish) -> None:
    """Write the base and publish it, now that there is a journal to follow it."""
    directory = environment.directory
    try:
        size = _write_base(environment, directory)
        directory.sync()
    except BaseException:
        # What made this one fail may not be over soon.
        _undo(environment, state, timeout, longer=True)
        raise
    # From here on the mark stays if anything fails: the next writer looks at what came of it.
    directory.rename(NEW_BASE, BASE)
    finish(environment, state, size, timeout)


def resolve(environment: JournaledEnvironment, state: State, timeout: float) -> None:
    """End a checkpoint whose process was killed; the writer lock is held and no transaction is open.

    Raises:
        StaleEnvironment: if it was a compaction, and the view has been replaced.

    """
    if not environment.is_in_place():
        raise StaleEnvironment
    remove_tree(environment.directory.place(NEXT))
    base = read_base_state(environment.directory)
    if base is not None and base.journal == state.journal:
        size = environment.directory.stat(BASE)
        finish_checkpoint(environment, state, 0 if size is None else size.st_size, timeout)
    else:
        _undo(environment, state, timeout, longer=False)


def _undo(environment: JournaledEnvironment, state: State, timeout: float, *, longer: bool) -> None:
    """Go on in the old journal, for longer than before if the checkpoint has failed."""
    abandoned = state.journal
    environment.directory.unlink(NEW_BASE)  # first: the commit may need its room
    _go_back(state)
    if longer:
        state.limit = _longer(state)
    environment.commit_state(state, timeout)
    if abandoned != state.journal:
        environment.directory.unlink(journal_name(abandoned))


def _go_back(state: State) -> None:
    assert state.previous is not None
    state.point_to(state.previous, None)


def _longer(state: State) -> int:
    """Return a limit that lets the journal grow to twice its present length."""
    return max(state.limit, 2 * state.end)


def _write_base(environment: JournaledEnvironment, directory: Directory) -> int:
    directory.unlink(NEW_BASE)  # a flush of it may have failed, and would not say so again
    descriptor = directory.open(NEW_BASE, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        copy_compact(environment.handle, descriptor)
        sign(descriptor)
        flush_data(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def copy_compact(handle: lmdb.Environment, descriptor: int) -> None:
    """Write a compact copy of what is committed to an open file."""
    handle.copyfd(descriptor, compact=True)


def finish_checkpoint(environment: JournaledEnvironment, state: State, size: int, timeout: float) -> None:
    """Declare the checkpoint done, now that the base has its name.

    Args:
        environment: whose.
        state: with the mark, which goes.
        size: of the base, in bytes.
        timeout: seconds to wait for views, if the file must grow.

    """
    directory = environment.directory
    directory.sync()
    state.previous = None
    state.limit = limit_beside(size)
    environment.commit_state(state, timeout)
    remove_other_journals(directory, state.journal)


def remove_other_journals(directory: Directory, kept: bytes) -> None:
    """Remove the journals that a newer base made superfluous."""
    for name in directory.names():
        if name.startswith(PREFIX) and name != journal_name(kept):
            directory.unlink(name)


def holds_truth(names: Iterable[str]) -> bool:
    """Tell whether there is a base or a journal among the names of files."""
    return any(name == BASE or name.startswith(PREFIX) for name in names)


def read_base_state(directory: Directory) -> State | None:
    """Return the state that the base holds: which journal continues it; ``None`` if there is no base.

    Raises:
        CorruptStoreError: if it is damaged.

    """
    if directory.stat(BASE) is None:
        return None
    found = damage_of_base(directory.place(BASE))
    if found is not None:  # LMDB might end the process
        raise CorruptStoreError(f"{directory.path}/{BASE} is damaged: {found}.", "Run `pronto check --repair`.")
    with gate.passed():
        handle = lmdb.open(directory.place(BASE), subdir=False, readonly=True, lock=False, create=False)
        try:
            with handle.begin() as txn:
                return State.decode(txn.get(STATE), directory.path)
        finally:
            handle.close()
