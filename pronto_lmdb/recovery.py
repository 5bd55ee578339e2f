"""Recovery: the view made anew from base and journal, after a power loss, a reboot, a copy, or a killed recovery.

The old view is never opened, not even to look: LMDB aborts on a torn file. Nothing of the evidence is touched before
its replacement is on the disk, so a recovery that dies is simply done again.
"""

from __future__ import annotations

import mmap
import os
import shutil
from contextlib import suppress
from time import monotonic, sleep

import lmdb

from pronto_lmdb.base import BASE, NEW_BASE, cut_checksum, damage_of_base
from pronto_lmdb.checkpoint import NEXT, holds_truth, read_base_state, remove_other_journals
from pronto_lmdb.compaction import finish_swap
from pronto_lmdb.creation import open_private, store, store_state
from pronto_lmdb.data_files import DATA_FILE, LOCK_TABLE, is_sound
from pronto_lmdb.directory import Directory
from pronto_lmdb.environment import LOCK_FILE, MAX_READERS
from pronto_lmdb.errors import CorruptStoreError, LockTimeoutError, ReadOnlyError, StoreFullError
from pronto_lmdb.files import PRIVATE_DIRECTORY, PRIVATE_FILE, FileLock, flush_data, remove_tree
from pronto_lmdb.forks import gate
from pronto_lmdb.genesis import batches, genesis
from pronto_lmdb.growth import MIB
from pronto_lmdb.identity import OFF, Identity, State, limit_beside
from pronto_lmdb.journal import NEW_JOURNAL, PREFIX, journal_name
from pronto_lmdb.journal_format import FRAME_MAGIC, HEADER_SIZE, SPOILED_AT, Header, frames, head_of
from pronto_lmdb.marker import LOST, TRUSTED, is_of_this_boot, mark, trust
from pronto_lmdb.record import IDENTITY, STATE
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.journal_format import Change

REBUILD = "rebuild"
# What the name of a damaged file begins with that held more than could be saved.
TORN = "torn-"
_FRAME_BEGIN = FRAME_MAGIC.to_bytes(4, "big")
# A later frame than that is no frame, but bytes that look like one.
_MOST_FRAMES_LOST = 10_000_000
_PAUSE = 2e-3
# Changes of one transaction while the journal is replayed.
_BATCH = 10_000
_UPGRADE_PATIENCE = 10.0
_RESTORE = "`pronto check --repair` saves what is left; a snapshot has the rest."


def make_view(path: str, timeout: float) -> None:
    """Make sure that the keystore in a directory has a view that can be trusted.

    Args:
        path: the directory.
        timeout: seconds to wait for others who are inside, or at the same work.

    Raises:
        LockTimeoutError: if others still have it open then, who see another boot of the system.
        CorruptStoreError: if base or journal are missing or damaged; nothing is changed then.
        ReadOnlyError: if it must be recovered and may not be written here.

    """
    try:
        with Directory(path) as directory:
            if not _is_made_by_others(directory, timeout):
                _make(directory)
    except FileNotFoundError:
        if os.path.isdir(path):
            raise
        return  # moved away meanwhile: there is nothing to make
    except (lmdb.Error, OSError) as error:
        raise translated(error, path) from error


def _is_made_by_others(directory: Directory, timeout: float) -> bool:
    """Wait until there is a trusted view, or nobody else inside."""
    deadline = monotonic() + timeout
    while True:
        if directory.enter():
            finish_swap(directory)
            if trust(directory) == TRUSTED:
                return True
            directory.leave()
        if directory.seclude():
            return trust(directory) == TRUSTED
        if trust(directory) != LOST:
            sleep(_PAUSE)  # they may be looking, too
            return True  # doubtful, and good while others are inside
        if monotonic() >= deadline:
            raise LockTimeoutError(
                f"{directory.path} must be recovered, and {directory.insiders()} still has it open.",
                "Close it there, then try again.",
            )
        sleep(_PAUSE)


def _make(directory: Directory) -> None:
    if not os.access(directory.path, os.W_OK):
        raise ReadOnlyError(
            f"{directory.path} must be recovered before it can be read, and cannot be written.",
            "Open it once as a user who may write.",
        )
    if holds_truth(directory.names()):
        recover(directory)
    elif directory.stat(DATA_FILE) is not None:
        upgrade(directory)


# -- recovery --------------------------------------------------------------------------------------------------------


def recover(directory: Directory) -> None:
    """Make the view from base and journal; nobody else is inside."""
    for leftover in (NEW_BASE, NEW_JOURNAL):
        directory.unlink(leftover)
    for leftover in (REBUILD, NEXT):
        remove_tree(directory.place(leftover))
    with gate.passed():
        header, state, replayed = _rebuilt(directory)
    if is_of_this_boot(directory) and last_frame_behind(directory, state) > state.revision:
        # No power cut did that. What cannot be read is not thrown away: a repair moves it to the trash.
        with suppress(OSError):  # the directory may be full, and must open all the same
            directory.link(journal_name(header.journal), TORN + header.journal.hex())
    try:
        _settle_journal(directory, header, state)
    except OSError as error:
        if not isinstance(translated(error, directory.path), StoreFullError):
            raise
        _settle_in_place(directory, header)
    remove_other_journals(directory, header.journal)
    directory.unlink(LOCK_TABLE)
    if state.level != OFF or not _is_view_usable(directory, state):
        if state.level == OFF and is_of_this_boot(directory) and directory.stat(DATA_FILE) is not None:
            directory.rename(DATA_FILE, TORN + DATA_FILE)  # it has what was never saved
        directory.rename(f"{REBUILD}/{DATA_FILE}", DATA_FILE)
    remove_tree(directory.place(REBUILD))
    mark(directory)
    _log(directory, replayed)


def _rebuilt(directory: Directory) -> tuple[Header, State, int]:
    try:
        return _rebuild(directory)
    except (lmdb.Error, OSError) as error:
        remove_tree(directory.place(REBUILD))
        if not isinstance(translated(error, directory.path), StoreFullError) or not _drop_view(directory):
            raise
    except BaseException:
        remove_tree(directory.place(REBUILD))
        raise
    return _rebuild(directory)


def _drop_view(directory: Directory) -> bool:
    """Give the room of the old view back, unless it may be newer than base and journal; tell whether there was any."""
    state = read_base_state(directory)
    header = header_behind(directory, state)
    for frame in frames(content_of(directory, journal_name(header.journal)), header):
        state = frame.state
    if state is None or state.level == OFF or directory.stat(DATA_FILE) is None:
        return False
    directory.unlink(DATA_FILE)
    directory.unlink(LOCK_TABLE)
    return True


def _log(directory: Directory, replayed: int) -> None:
    from logging import getLogger  # here only: it would cost every command 5 ms at start

    getLogger("pronto_lmdb").info("%s was recovered: %d commits from its journal", directory.path, replayed)


def _rebuild(directory: Directory) -> tuple[Header, State, int]:
    """Replay the journal on a copy of the base, in a directory beside."""
    if directory.stat(BASE) is not None:
        _flush(directory, BASE)  # a copy made by hand is in memory only
    handle, state = open_base(directory, directory.place(REBUILD))
    try:
        header = header_behind(directory, state)
        last, replayed = replay(handle, content_of(directory, journal_name(header.journal)), header)
        state = last or state
        if state is None:
            raise CorruptStoreError(f"{directory.path} holds nothing that is whole.", _RESTORE)
        if last is None:
            state.journal, state.end, state.checksum = header.journal, HEADER_SIZE, header.checksum()
        state.anchored, state.previous = False, None
        base = directory.stat(BASE)
        state.limit = limit_beside(0 if base is None else base.st_size)
        store_state(handle, state)
        return header, state, replayed
    finally:
        handle.close()


def open_base(directory: Directory, place: str) -> tuple[lmdb.Environment, State | None]:
    """Copy the base into a new directory, and open it there.

    Args:
        directory: where the base lies.
        place: the new directory.

    Returns:
        The copy, empty where there is no base, and the state that the base holds.

    Raises:
        CorruptStoreError: if the base is damaged, or holds none.

    """
    os.mkdir(place, PRIVATE_DIRECTORY)
    base = directory.stat(BASE)
    if base is not None:
        copy = os.path.join(place, DATA_FILE)
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE))  # as private as all files here
        shutil.copyfile(directory.place(BASE), copy)
        found = damage_of_base(copy)
        if found is not None:  # LMDB would abort the process
            raise CorruptStoreError(f"{directory.path}/{BASE} is damaged: {found}.", _RESTORE)
        cut_checksum(copy)
    handle = open_private(place, 2 * (MIB if base is None else base.st_size + MIB))
    try:
        return handle, None if base is None else _stored_state(handle, directory)
    except BaseException:
        handle.close()
        raise


def replay(
    handle: lmdb.Environment, content: memoryview, header: Header, last: float = float("inf")
) -> tuple[State | None, int]:
    """Apply what a journal holds to what came before it.

    Args:
        handle: an environment that nobody else knows.
        content: the journal.
        header: its header.
        last: the revision with which to end.

    Returns:
        The last state, ``None`` if there was nothing to apply, and how many commits there were.

    """
    state, replayed = None, 0
    pending: list[Change] = []
    for frame in frames(content, header):
        if frame.state.revision > last:
            break
        state = frame.state
        replayed += 1
        pending.extend(frame.changes())
        if len(pending) >= _BATCH:
            store(handle, pending)
            pending = []
    store(handle, pending)
    return state, replayed


def _flush(directory: Directory, name: str) -> None:
    descriptor = directory.open(name, os.O_RDWR)
    try:
        flush_data(descriptor)
    finally:
        os.close(descriptor)


def _stored_state(handle: lmdb.Environment, directory: Directory) -> State:
    with handle.begin() as txn:
        return State.decode(txn.get(STATE), f"{directory.path}/{BASE}")


def header_behind(directory: Directory, base: State | None) -> Header:
    """Return the header of the journal that continues the base, or of the first one, where there is no base.

    Raises:
        CorruptStoreError: if it is missing or damaged.

    """
    return _genesis(directory) if base is None else _continued(directory, base)


def _continued(directory: Directory, state: State) -> Header:
    """Return the header of the journal that continues the base."""
    name = journal_name(state.journal)
    stored = directory.read(name)
    if stored is None:
        raise CorruptStoreError(f"{directory.path}/{name} is missing.", _RESTORE)
    header = Header.decode(stored, f"{directory.path}/{name}")
    if header.journal != state.journal or header.revision != state.revision:
        raise CorruptStoreError(f"{directory.path}/{name} does not continue the base.", _RESTORE)
    return header


def _genesis(directory: Directory) -> Header:
    """Return the header of the one journal that needs no base."""
    found = []
    for name in directory.names():
        if name.startswith(PREFIX):
            # One that was not the current one yet may be torn.
            with suppress(CorruptStoreError):
                header = Header.decode(directory.read(name) or b"", f"{directory.path}/{name}")
                if header.genesis and journal_name(header.journal) == name:
                    found.append(header)
    if len(found) != 1:
        which = f"{len(found)} first journals" if found else "no first journal"
        raise CorruptStoreError(f"{directory.path} has no base, and {which}.", _RESTORE)
    return found[0]


def last_frame_behind(directory: Directory, truth: State) -> int:
    """Return the last revision that a journal seems to hold behind its first damage."""
    name = PREFIX + truth.journal.hex()
    if directory.stat(name) is None:
        return truth.revision
    content = bytes(content_of(directory, name)[truth.end :])
    last, at = truth.revision, content.find(_FRAME_BEGIN)
    while at >= 0:
        head = head_of(content[at : at + 64])
        if head is not None and last < head[1] < truth.revision + _MOST_FRAMES_LOST and at + head[0] <= len(content):
            last = head[1]
        at = content.find(_FRAME_BEGIN, at + 1)
    return last


def content_of(directory: Directory, name: str) -> memoryview:
    """Return a file as memory; its pages are read when they are looked at."""
    descriptor = directory.open(name, os.O_RDONLY)
    try:
        return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
    finally:
        os.close(descriptor)


def _settle_journal(directory: Directory, header: Header, state: State) -> None:
    """Write the valid part of the journal to a file of its own: what the old one says may be in memory only."""
    name = journal_name(header.journal)
    descriptor = directory.open(NEW_JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(header.encode())
            file.write(content_of(directory, name)[HEADER_SIZE : state.end])
        flush_data(descriptor)
    finally:
        os.close(descriptor)
    directory.rename(NEW_JOURNAL, name)
    directory.sync()


def _settle_in_place(directory: Directory, header: Header) -> None:
    """Flush the journal as it is, where there is no room for a second one; what lies behind its end never chains.

    Raises:
        StoreFullError: if a flush of it has failed before: memory may show what is not on the disk then.

    """
    name = journal_name(header.journal)
    directory.unlink(NEW_JOURNAL)
    if content_of(directory, name)[SPOILED_AT]:
        raise StoreFullError(f"{directory.path}: there is no room to recover it.", "Free some space, then try again.")
    _flush(directory, name)
    directory.sync()


def _is_view_usable(directory: Directory, state: State) -> bool:
    """Tell whether the view of a keystore that writes no journal is whole, and continues what was recovered."""
    if directory.stat(DATA_FILE) is None or not is_sound(directory.place(".")):
        return False
    with gate.passed():
        handle = lmdb.open(directory.place("."), readonly=True, lock=False, create=False)
        try:
            with handle.begin() as txn:
                seen = State.read(txn, directory.path, txn.id())
        except (lmdb.Error, CorruptStoreError):
            return False
        finally:
            handle.close()
    journal = seen.journal if seen.previous is None else seen.previous[0]
    return seen.level == OFF and state.journal in (seen.journal, journal) and seen.revision >= state.revision


# -- keystores without a journal -------------------------------------------------------------------------------------


def upgrade(directory: Directory) -> None:
    """Give a journal to a keystore that an early build of 0.1 wrote: nobody who knows of journals is inside.

    Processes of that build may be, so its writer lock is taken, and its format given up before anything else. Until
    the journal has its name, the data file is the truth, and every commit to it is flushed.
    """
    lock = FileLock(os.path.join(directory.path, LOCK_FILE))
    lock.acquire(_UPGRADE_PATIENCE)
    try:
        with gate.passed():
            _upgrade(directory)
    finally:
        lock.release()
        lock.close()


def _upgrade(directory: Directory) -> None:
    path = directory.place(".")
    if not is_sound(path):  # at the level "off" it was never flushed
        raise CorruptStoreError(f"{directory.path}/{DATA_FILE} is damaged.", _RESTORE)
    size = os.path.getsize(os.path.join(path, DATA_FILE))
    handle = lmdb.open(path, map_size=size + 16 * MIB, create=False, max_readers=MAX_READERS)
    try:
        with handle.begin() as txn:
            identity = Identity.decode(txn.get(IDENTITY), directory.path)
            state = State.decode(txn.get(STATE), directory.path)
        if not identity.address:
            return  # the registry keeps no journal
        if state.end:
            raise CorruptStoreError(f"{directory.path} has lost its journal.", _RESTORE)
        state.journal = os.urandom(16)
        store(handle, [(STATE, state.encode())])
        with handle.begin() as txn:
            entries = (entry for entry in txn.cursor() if entry[0] not in (IDENTITY, STATE))
            with genesis(directory, NEW_JOURNAL, identity, state, batches(identity, entries)):
                pass  # nothing is made beside it
        directory.rename(NEW_JOURNAL, journal_name(state.journal))
        directory.sync()
        store_state(handle, state)
    finally:
        handle.close()
    mark(directory)
