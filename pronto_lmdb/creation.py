"""Making the directory of an environment, whole before anybody can see it."""

from __future__ import annotations

import os

import lmdb

from pronto_lmdb.allocator import note_opening
from pronto_lmdb.data_files import reserve_lock_file, write_seal
from pronto_lmdb.directory import Directory
from pronto_lmdb.environment import LOCK_FILE
from pronto_lmdb.files import PRIVATE_DIRECTORY, PRIVATE_FILE, FileLock, remove_tree, sync_directory
from pronto_lmdb.forks import gate
from pronto_lmdb.genesis import batches, genesis
from pronto_lmdb.growth import MIB
from pronto_lmdb.journal import journal_name
from pronto_lmdb.marker import mark
from pronto_lmdb.record import STATE
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pronto_lmdb.genesis import Entry
    from pronto_lmdb.identity import Identity, State


def build(path: str, identity: Identity, state: State, entries: Iterable[Entry] = ()) -> None:
    """Make a new directory with a keystore in it, its journal flushed to the disk; its name in the parent is not.

    Args:
        path: the directory; its parent exists.
        identity: whose it is.
        state: its first state.
        entries: further entries, already encoded.

    Raises:
        ReadOnlyError, StoreFullError: where the system refuses.

    """
    state.journal = os.urandom(16)
    # Whoever moves it to its place has left a durable note, or a name that is looked at after a power loss.
    state.anchored = True

    def fill(handle: lmdb.Environment) -> None:
        with Directory(path) as directory:
            content = _stored(handle, batches(identity, entries))
            with genesis(directory, journal_name(state.journal), identity, state, content):
                store_state(handle, state)
                mark(directory)
            directory.sync()

    _make(path, fill)


def build_registry(path: str, identity: Identity, state: State, entries: Iterable[Entry]) -> None:
    """Make a new directory with a registry in it, plain LMDB, flushed to the disk. Arguments as for :func:`build`."""

    def fill(handle: lmdb.Environment) -> None:
        for batch in batches(identity, entries):
            store(handle, batch)
        store_state(handle, state)
        handle.sync(True)
        write_seal(path)
        sync_directory(path)

    _make(path, fill)


def _make(path: str, fill: Callable[[lmdb.Environment], None]) -> None:
    try:
        os.mkdir(path, PRIVATE_DIRECTORY)
        # Made now: their first page fault would wait for the disk if it came right behind a flush.
        reserve_lock_file(path)
        lock = FileLock(os.path.join(path, LOCK_FILE))
        lock.open()
        lock.close()
        with gate.passed():
            handle = open_private(path, MIB)
            try:
                fill(handle)
            finally:
                handle.close()
    except (lmdb.Error, OSError) as error:
        remove_tree(path)
        raise translated(error, path) from error
    except BaseException:
        remove_tree(path)
        raise


def open_private(path: str, map_size: int) -> lmdb.Environment:
    """Open an environment that nobody else knows yet; nothing of it is flushed."""
    note_opening()
    return lmdb.open(path, map_size=map_size, mode=PRIVATE_FILE, lock=False, sync=False, metasync=False)


def store(handle: lmdb.Environment, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
    """Apply changes in one transaction, in a larger map if need be."""
    while True:
        try:
            with handle.begin(write=True) as txn:
                for key, value in changes:
                    if value is None:
                        txn.delete(key)
                    else:
                        txn.put(key, value)
        except lmdb.MapFullError:
            handle.set_mapsize(handle.info()["map_size"] * 2)
        else:
            return


def store_state(handle: lmdb.Environment, state: State) -> None:
    """Write the state of a view that holds everything else."""
    state.transaction = handle.info()["last_txnid"] + 1
    store(handle, [(STATE, state.encode())])


def _stored(handle: lmdb.Environment, content: Iterable[list[Entry]]) -> Iterator[list[Entry]]:
    for batch in content:
        store(handle, batch)
        yield batch
