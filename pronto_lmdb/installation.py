"""Keystores that are built beside, while everybody goes on, and then take the places of their addresses.

A restore and a copy of an address are this: nothing is touched before everything is built and looked at. What was in
the place goes to the trash.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager

from pronto_lmdb.creation import build
from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import AddressExistsError, ConflictError, CorruptStoreError, StoreFullError
from pronto_lmdb.files import DirectoryLock, sync_directory, write_durably
from pronto_lmdb.identity import DELETED, Identity, State
from pronto_lmdb.inspection import deep_problems
from pronto_lmdb.lifecycle import Lifecycle
from pronto_lmdb.notes import REPLACE, UNMADE_MARK
from pronto_lmdb.places import refuse_occupied
from pronto_lmdb.pool import pool
from pronto_lmdb.staged import new_staged, note_elsewhere, remove_staged
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from pronto_lmdb.address import Address
    from pronto_lmdb.journaled_commit import JournaledCommit
    from pronto_lmdb.registry import Placed


class Built:
    """A finished keystore that waits for its place.

    Args:
        address: whose it will be.
        identity: which it has.
        path: where it lies.
        home: where it will lie.

    """

    __slots__ = ("address", "home", "identity", "path")

    def __init__(self, address: Address, identity: Identity, path: str, home: str) -> None:
        self.address = address
        self.identity = identity
        self.path = path
        self.home = home


class Installation(Lifecycle):
    """Builds keystores and puts them into their places. Made like :class:`Lifecycle`."""

    # -- beside ------------------------------------------------------------------------------------------------

    @contextmanager
    def staging(self) -> Iterator[Stage]:
        """Yield where to build; nobody sweeps it while this process lives, and in the end it goes."""
        path = new_staged(self._layout.pending)
        with pool.passing(path, DirectoryLock) as lock:
            with self.locked():  # until it is locked itself, it looks like a leftover
                try:
                    os.mkdir(path, 0o700)
                except OSError as error:
                    raise translated(error, path) from error
                lock.acquire(self._timeout)
            try:
                yield Stage(self, path)
            finally:
                self._clear(path)

    def _clear(self, path: str) -> None:
        for environment in pool.environments():
            if environment.path.startswith(path + os.sep):
                pool.discard(environment)
        remove_staged(path)

    def find(self, address: Address) -> Placed | None:
        """Return where an address lies, ``None`` if it does not exist."""
        return None if self._lookup.find(address) is None else self._existing(address)

    def refuse_taken(self, addresses: Iterable[Address]) -> None:
        """Refuse addresses that exist.

        Raises:
            AddressExistsError: for the first that does.

        """
        for address in addresses:
            if self._lookup.find(address) is not None:
                raise AddressExistsError(
                    f"{address} exists already.", "Choose another name, or overwrite it: it goes to the trash then."
                )

    def home_of(self, address: Address) -> str:
        """Return where an address lies, or will lie."""
        placed = self.find(address)
        return self._layout.home(address) if placed is None else placed.path

    def is_inside(self, path: str) -> bool:
        """Tell whether a path lies below the root."""
        return self._layout.is_inside(path)

    def problems(self, path: str) -> list[str]:
        """Return what is wrong with the entries of a keystore that was built."""
        while True:
            environment = pool.peek(path, self._owner)
            if environment is None:
                raise CorruptStoreError(f"{path} has gone.", "Begin again.")
            try:
                return environment.read(lambda txn: deep_problems(txn, path))
            except StaleEnvironment:
                continue  # closed in between, to make room for others
            finally:
                pool.discard(environment)

    # -- into their places -------------------------------------------------------------------------------------

    def install(self, finished: Sequence[Built], *, overwrite: bool) -> None:
        """Put finished keystores into their places, one after the other.

        Args:
            finished: which.
            overwrite: whether what is there may go to the trash.

        Raises:
            AddressExistsError: if one exists and must not be overwritten; nothing is changed then.
            ConflictError: if one has moved to another file system meanwhile; nothing is changed then, either.

        """
        with self.locked():
            if not overwrite:
                self.refuse_taken(item.address for item in finished)
            for item in finished:
                if self.home_of(item.address) != item.home:
                    raise ConflictError(f"{item.address} has moved meanwhile.", "Try again.")
            for item in finished:
                self._install(item)

    def _begin_soon(self, note: dict[str, Any]) -> JournaledCommit:
        """Wait for a writer with the lock held: all addresses change under one lock, or none."""
        return self._begin(note)

    def _install(self, item: Built) -> None:
        placed = self.find(item.address)
        name = str(item.address)
        if placed is None:
            refuse_occupied(item.home)
            with self._noted(
                operation="undelete", address=name, source=item.path, target=item.home, trash_id=item.identity.id
            ) as note:
                self._finish_undelete(note)
            return
        trash_id, trash = self._place_in_trash(placed)
        note = {
            "operation": REPLACE,
            "address": name,
            "home": item.home,
            "built": item.path,
            "id": item.identity.id,
            "replaced": placed.identity.id,
            "trash": trash,
            "trash_id": trash_id,
        }
        self._replace(note)

    def _replace(self, note: dict[str, object]) -> None:
        path = os.path.join(self._layout.pending, f"{os.urandom(8).hex()}.json")
        found = pool.describe(str(note["home"]), self._owner)
        note["generation"] = 0 if found is None else found[1].generation
        write_durably(path, json.dumps(note))
        try:
            self.finish_replacing(note)
        except BaseException as error:
            place = {"source": note["home"], "target": note["home"]}
            if not self.is_begun(note) and not (isinstance(error, StoreFullError) and self.may_come_back(place)):
                os.unlink(path)
            raise
        os.unlink(path)


class Stage:
    """Where keystores are built.

    Args:
        installation: that they are for.
        path: a directory that is ours.

    """

    def __init__(self, installation: Installation, path: str) -> None:
        self.path = path
        self._installation = installation
        self._elsewhere: list[str] = []

    def build(
        self, address: Address, identity: Identity, state: State, entries: Iterable[tuple[bytes, bytes]]
    ) -> Built:
        """Build a keystore that nobody takes for a living one, and flush it.

        Args:
            address: whose it will be.
            identity: of the keystore.
            state: its counters; its revision is the last that was used up.
            entries: all but identity and state.

        """
        home = self._installation.home_of(address)
        path = os.path.join(self.path, identity.id)
        if not self._installation.is_inside(home):
            path = f"{home}{UNMADE_MARK}{identity.id}"  # a rename cannot cross file systems
            self._elsewhere.append(path)
            note_elsewhere(self.path, self._elsewhere)
        first = State(DELETED, 1, state.revision, state.expiring, state.namespaces)
        build(path, identity, first, entries)
        sync_directory(os.path.dirname(path))
        return Built(address, identity, path, home)
