"""Compaction: a checkpoint, then the view made anew from the base, and put in the place of the old one.

Others go on with the old view, and each notices before its next read or write: the mark of the checkpoint stays in it,
and whoever finds that mark looks whether the data file that it has open is still the one in the directory. The writer
lock is held all the time, so until the swap both views say the same, and behind it nobody writes to the old one.

The swap is three renames: the data file, LMDB's lock file, the marker. Whoever opens a view shares its data file
meanwhile, and the swap holds both data files alone, so nobody opens one file of a view beside another of the next. A
process that is killed between the renames leaves a marker that does not fit, and the one that does beside it: whoever
comes next puts the rest in place.
"""

from __future__ import annotations

import os
import shutil

from pronto_lmdb.base import BASE, cut_checksum
from pronto_lmdb.checkpoint import NEXT, checkpoint, finish_checkpoint, remove_other_journals
from pronto_lmdb.creation import open_private, store_state
from pronto_lmdb.data_files import DATA_FILE, LOCK_TABLE, reserve_lock_file
from pronto_lmdb.errors import LockTimeoutError
from pronto_lmdb.files import PRIVATE_DIRECTORY, PRIVATE_FILE, remove_tree, try_lock
from pronto_lmdb.forks import gate
from pronto_lmdb.growth import MIB
from pronto_lmdb.identity import limit_beside
from pronto_lmdb.marker import MARKER, fits, mark_next

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.directory import Directory
    from pronto_lmdb.identity import State
    from pronto_lmdb.journal import Journal
    from pronto_lmdb.journaled import JournaledEnvironment

# Seconds to wait for those who are opening one of the two views.
_PATIENCE = 10.0


def compact(environment: JournaledEnvironment, state: State, timeout: float) -> Journal:
    """Replace the view by one without free pages, and return the journal that continues it.

    The writer lock is held and no transaction is open. Afterwards the environment is none of the address any more.

    Args:
        environment: whose.
        state: of the last commit.
        timeout: seconds to wait for views, if the file must grow.

    Raises:
        OSError, lmdb.Error, ProntoError: if the disk refuses. The old view goes on then.

    """
    return checkpoint(environment, state, timeout, _replace_view)


def _replace_view(environment: JournaledEnvironment, state: State, size: int, timeout: float) -> None:
    directory, mark_of_checkpoint = environment.directory, state.previous
    try:
        directory.sync()
        state.previous, state.limit = None, limit_beside(size)
        _make_next(directory, state, size)
        _swap(directory)
    except BaseException:
        if environment.is_in_place():
            state.previous = mark_of_checkpoint
            remove_tree(directory.place(NEXT))
            finish_checkpoint(environment, state, size, timeout)
        raise
    remove_other_journals(directory, state.journal)


def _make_next(directory: Directory, state: State, size: int) -> None:
    """Make the next view, with all that belongs to it, in a directory beside."""
    place = directory.place(NEXT)
    remove_tree(place)
    os.mkdir(place, PRIVATE_DIRECTORY)
    reserve_lock_file(place)
    copy = os.path.join(place, DATA_FILE)
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE))  # as private as all files here
    shutil.copyfile(directory.place(BASE), copy)
    cut_checksum(copy)
    with gate.passed():
        handle = open_private(place, 2 * (size + MIB))
        try:
            store_state(handle, state)
        finally:
            handle.close()
    mark_next(directory, f"{NEXT}/")


def _swap(directory: Directory) -> None:
    next_data = f"{NEXT}/{DATA_FILE}"
    try:
        _hold_alone(directory, DATA_FILE)
        _hold_alone(directory, next_data)
        directory.rename(next_data, DATA_FILE)
        _finish_swap(directory)
    finally:
        directory.let_go()


def finish_swap(directory: Directory) -> None:
    """Put the rest of a view in place whose data file is there already; does nothing where all is well.

    Raises:
        LockTimeoutError: if the one who is at it, or others who open the view, take too long.

    """
    if not fits(directory, f"{NEXT}/{MARKER}"):
        return
    try:
        _hold_alone(directory, DATA_FILE)
        if fits(directory, f"{NEXT}/{MARKER}"):
            _finish_swap(directory)
    finally:
        directory.let_go()


def _hold_alone(directory: Directory, name: str) -> None:
    if not directory.hold(name, try_lock, _PATIENCE):
        raise LockTimeoutError(f"{directory.path} is being opened by other processes all the time.", "Try again.")


def _finish_swap(directory: Directory) -> None:
    if directory.has(f"{NEXT}/{LOCK_TABLE}"):
        directory.rename(f"{NEXT}/{LOCK_TABLE}", LOCK_TABLE)
    directory.rename(f"{NEXT}/{MARKER}", MARKER)
    remove_tree(directory.place(NEXT))
