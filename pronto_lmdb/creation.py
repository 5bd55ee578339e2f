"""Making the directory of an environment, whole before anybody can see it."""

from __future__ import annotations

import os
from itertools import islice

import lmdb

from pronto_lmdb.allocator import note_opening
from pronto_lmdb.data_files import reserve_lock_file
from pronto_lmdb.environment import LOCK_FILE, MAX_READERS, MIB
from pronto_lmdb.files import PRIVATE_DIRECTORY, PRIVATE_FILE, FileLock, remove_tree, sync_directory
from pronto_lmdb.record import IDENTITY, STATE
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pronto_lmdb.identity import Identity, State

_BATCH = 10_000


def build(path: str, identity: Identity, state: State, entries: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Make a new directory with an environment in it, flushed to the disk; its parent is not.

    Args:
        path: the directory; its parent exists.
        identity: whose it is.
        state: its first state.
        entries: further entries, already encoded.

    Raises:
        ReadOnlyError, StoreFullError: where the system refuses.

    """
    try:
        os.mkdir(path, PRIVATE_DIRECTORY)
        _build(path, [(IDENTITY, identity.encode()), (STATE, state.encode())], entries)
        sync_directory(path)
    except (lmdb.Error, OSError) as error:
        remove_tree(path)
        raise translated(error, path) from error
    except BaseException:
        remove_tree(path)
        raise


def _build(path: str, first: list[tuple[bytes, bytes]], entries: Iterable[tuple[bytes, bytes]]) -> None:
    # Nobody else can know the directory yet, so one flush at the end will do. The lock files are made here too: their
    # first page fault would wait for the disk if it came right behind that flush.
    reserve_lock_file(path)
    lock = FileLock(os.path.join(path, LOCK_FILE))
    lock.open()
    lock.close()
    note_opening()
    handle = lmdb.open(path, map_size=MIB, mode=PRIVATE_FILE, sync=False, metasync=False, max_readers=MAX_READERS)
    try:
        _fill(handle, first)
        rest = iter(entries)
        while batch := list(islice(rest, _BATCH)):
            _fill(handle, batch)
        handle.sync(True)
    finally:
        handle.close()


def _fill(handle: lmdb.Environment, entries: list[tuple[bytes, bytes]]) -> None:
    while True:
        try:
            with handle.begin(write=True) as txn:
                for key, value in entries:
                    txn.put(key, value)
        except lmdb.MapFullError:
            handle.set_mapsize(handle.info()["map_size"] * 2)
        else:
            return
