"""Life and death of addresses: create, delete, undelete, rename, purge.

Each operation has several steps on the disk. It runs under one lock of the store; before the first step it
leaves a note in ``meta/pending``, after the last one it removes it. Steps are written so that they can be
repeated: whoever takes the lock next finishes what a killed process left.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic

from pronto_lmdb import clock
from pronto_lmdb.address import Address
from pronto_lmdb.creation import build
from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import (
    AddressExistsError,
    AddressNotFoundError,
    CorruptStoreError,
    FormatVersionError,
    LockTimeoutError,
    ProntoError,
    StoreFullError,
)
from pronto_lmdb.files import (
    make_directory,
    move,
    remove_tree,
    sync_directory,
    write_durably,
)
from pronto_lmdb.identity import DELETED, LEVELS, LIVE, OFF, Identity, State
from pronto_lmdb.journaled import JournaledEnvironment, is_journaled
from pronto_lmdb.journaled_commit import UNFORGOTTEN, JournaledCommit
from pronto_lmdb.notes import CREATE, REPLACE, UNMADE_MARK, read_note
from pronto_lmdb.places import Places, refuse_nested, refuse_occupied
from pronto_lmdb.pool import pool
from pronto_lmdb.purging import Purging, is_purged
from pronto_lmdb.registry import Placed, Registry, Trashed
from pronto_lmdb.reserve import Reserve
from pronto_lmdb.staged import is_staged, sweep_staged
from pronto_lmdb.steps import Steps, no_delay
from pronto_lmdb.survey import TRASH_MARK, Survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    from pronto_lmdb.commit import Commit
    from pronto_lmdb.layout import Layout
    from pronto_lmdb.lookup import Lookup

    Result = TypeVar("Result")


class Lifecycle(Steps):
    """The operations that change which addresses there are.

    Args:
        layout: where things are in the store.
        lookup: finds the addresses of the store.
        registry: the catalog of the store.
        owner: the number that stands for the store in the pool.
        timeout: seconds to wait for a lock.

    """

    def __init__(self, layout: Layout, lookup: Lookup, registry: Registry, owner: int, timeout: float) -> None:
        super().__init__(layout, lookup, registry, owner, timeout)
        self._places = Places(layout)
        self._purging = Purging(layout, registry, self._places)
        self._reserve = Reserve(layout.reserve)
        self._survey = Survey(layout, registry, owner)
        self._steps = {
            "delete": self._finish_delete,
            "undelete": self._finish_undelete,
            "rename": self._finish_rename,
            "level": self._tell_catalog,
            "quota": self._tell_catalog,
        }

    # -- the lock ----------------------------------------------------------------------------------------------

    @contextmanager
    def locked(self, timeout: float | None = None) -> Iterator[None]:
        """Hold the life-cycle lock of the store, with everything that was left undone finished first.

        Args:
            timeout: seconds to wait for it; by default those of the store.

        Raises:
            LockTimeoutError: if another process or thread holds it too long.

        """
        layout = self._layout
        for directory in (layout.addresses, layout.pending, layout.places, layout.trash):
            make_directory(directory)
        with pool.passing(self._layout.lifecycle_lock) as lock:
            lock.acquire(self._timeout if timeout is None else timeout)
            self._survey.ensure_registry()
            self._resume()
            try:
                yield
            finally:
                self._reserve.keep()

    def _despite_full_disk(self, step: Callable[[], Result]) -> Result:
        """Carry out what may be repeated; if the disk is full, once more with the room that was kept for this."""
        try:
            return step()
        except StoreFullError as refusal:
            if not self._reserve.give_up():
                raise
            try:
                return step()
            except StoreFullError:
                if UNFORGOTTEN in refusal.problem:
                    raise refusal from None  # whatever the second attempt says, the first may come back
                raise

    def _in_turn(self, address: Address, operation: Callable[[Address], Result]) -> Result:
        """Run an operation on an address under the lock; for a writer of the address it is waited without the lock.

        Otherwise all who create or delete other addresses would wait for that writer, too.
        """
        deadline = monotonic() + self._timeout
        while True:
            try:
                with self.locked(max(0.0, deadline - monotonic())):
                    return operation(address)
            except LockTimeoutError:
                left = deadline - monotonic()
                if left <= 0:
                    raise
            home = self._lookup.find(address)
            if home is not None and isinstance(home.environment, JournaledEnvironment):
                with suppress(StaleEnvironment):
                    JournaledCommit(home.environment, home, left, no_delay).abort()

    def finish_pending(self) -> None:
        """Finish or sweep what a killed process left; does nothing while another one is at work."""
        with suppress(ProntoError), self.locked(timeout=0):  # what is wrong shows when it matters
            return

    def _resume(self) -> None:
        with os.scandir(self._layout.pending) as notes:
            paths = [note.path for note in notes]
        # Notes first: what they name lies in the directories.
        for path in sorted(paths, key=os.path.isdir):
            if is_staged(path):
                sweep_staged(path)
            elif is_purged(path):
                with suppress(ProntoError):  # what the system keeps from being removed is in nobody's way
                    self._despite_full_disk(partial(self._purging.finish, path))
            elif os.path.isdir(path):
                self._finish_creation(path)
            else:
                # One without its final name was never finished: nothing had begun.
                if path.endswith(".json"):
                    try:
                        if not self._despite_full_disk(partial(self._finish, read_note(path))):
                            continue
                    except (CorruptStoreError, FormatVersionError):
                        continue  # one sick address must not keep the others from anything; a check reports it
                os.unlink(path)

    def _finish(self, note: dict[str, Any]) -> bool:
        """Finish an operation that has begun; tell whether its note has served."""
        if note["operation"] == CREATE:
            self._finish_creation(note["built"])
            if "address" in note and self._registry.find(Address.parse(note["address"])) is None:
                self._places.forget_unmade(note["address"])
        elif note["operation"] == REPLACE:
            if not self.is_begun(note):
                return not self.may_come_back({"source": note["home"], "target": note["home"]})
            self.finish_replacing(note)
        elif not any(os.path.isdir(note[place]) for place in ("source", "target")):
            self.rebuild_registry()  # somebody removed the directory itself: there is nothing left to finish
        elif self._has_begun(note):
            self._steps[note["operation"]](note)
        else:  # it never came to its first commit: it has not happened, and the address may have lived on
            return not self.may_come_back(note)
        return True

    # -- create ------------------------------------------------------------------------------------------------

    def create(self, identity: Identity, path: str | None) -> str:
        """Create an address and return its directory; the lock is held and the address does not exist.

        Args:
            identity: who it is and how it is kept.
            path: an absolute path, or ``None`` for the usual place.

        Raises:
            AddressExistsError: if the path is taken.

        """
        address = Address.parse(identity.address)
        home = self._layout.home(address)
        place = home if path is None else path
        refuse_occupied(place)
        state = State(revision=self._registry.floor(identity.address))
        if place == home:
            built = os.path.join(self._layout.pending, identity.id)
            build(built, identity, state)
            # The catalog must not name what a power loss takes away.
            sync_directory(self._layout.pending)
            self._publish(identity, built, home)
            return home
        refuse_nested(place)
        make_directory(os.path.dirname(place))
        built = f"{place}{UNMADE_MARK}{identity.id}"
        note = os.path.join(self._layout.pending, f"{identity.id}.json")
        write_durably(note, json.dumps({"operation": CREATE, "address": str(address), "built": built}))
        build(built, identity, state)
        sync_directory(os.path.dirname(place))
        write_durably(self._layout.place(address), self._layout.relative(place))
        self._publish(identity, built, place)
        os.unlink(note)
        return place

    def _publish(self, identity: Identity, built: str, path: str) -> None:
        # First the catalog, then the name: whatever a crash leaves between them can be told apart later.
        self._registry.change(lambda commit: self._registry.put_in(commit, Placed(identity, path)))
        move(built, path)

    def _finish_creation(self, built: str) -> None:
        """Move a half-made address to its place if the catalog has it; otherwise nobody was told of it."""
        if not os.path.isdir(built):
            return
        described = None
        with suppress(CorruptStoreError):  # killed before its journal was whole
            described = pool.describe(built, self._owner) if is_journaled(built) else None
        if described is not None:
            identity, _ = described
            placed = self._registry.find(Address.parse(identity.address)) if identity.address else None
            if placed is not None and placed.identity.id == identity.id:
                with suppress(AddressExistsError):  # something else took the place: nobody was told of this one
                    move(built, placed.path)
                    return
                self._registry.change(lambda commit: self._registry.remove_in(commit, identity.address))
        remove_tree(built)

    # -- delete and undelete -----------------------------------------------------------------------------------

    def delete(self, address: Address) -> str:
        """Move an address to the trash; return the id under which it lies there."""
        return self._in_turn(address, self._delete)

    def _delete(self, address: Address) -> str:
        placed = self._existing(address)
        trash_id, target = self._place_in_trash(placed)

        def delete() -> None:
            with self._noted(
                operation="delete", address=str(address), source=placed.path, target=target, trash_id=trash_id
            ) as note:
                self._finish_delete(note)

        self._despite_full_disk(delete)
        return trash_id

    def _place_in_trash(self, placed: Placed) -> tuple[str, str]:
        """Return the id and the directory that a keystore gets in the trash."""
        trash_id = f"{self._next_deletion():016d}-{placed.identity.id[:8]}"
        if self._layout.is_inside(placed.path):
            return trash_id, os.path.join(self._layout.trash, trash_id)
        return trash_id, f"{placed.path}{TRASH_MARK}{trash_id}"  # a rename cannot cross file systems

    def _next_deletion(self) -> int:
        """Return a number greater than those of all deletions before, even if the clock was set back."""
        numbers = [item.trash_id.partition("-")[0] for item in self._registry.trash()]
        return max(clock.now(), *(int(number) + 1 for number in numbers if number.isdecimal()), 0)

    def _finish_delete(self, note: dict[str, Any]) -> None:
        identity, state = self._describe(note)
        if state.status == LIVE:
            identity = identity.changed(deleted_at=clock.now())
            state = self._reinscribe(note, identity, status=DELETED)
        self._move(note)
        self._places.remember_deleted(note["trash_id"], note["target"])

        def record(commit: Commit) -> None:
            self._registry.remove_in(commit, note["address"])
            self._registry.raise_floor_in(commit, note["address"], state.revision)
            self._registry.put_trash_in(commit, Trashed(note["trash_id"], identity, note["target"]))

        self._registry.change(record)
        self._places.forget(note["address"])

    def undelete(self, address: Address, to: Address) -> None:
        """Bring the newest deletion of ``address`` back under the name ``to``."""
        with self.locked():
            candidates = [item for item in self._registry.trash() if item.identity.address == str(address)]
            if not candidates:
                raise AddressNotFoundError(
                    f"{address} is not in the trash.", "It was never deleted, or was purged since."
                )
            self._refuse_taken(to)
            newest = candidates[-1]
            target = self._layout.home(to)
            if not self._layout.is_inside(newest.path):
                target = newest.path.rpartition(TRASH_MARK)[0]
                if to != address and os.path.lexists(target):  # whatever has replaced it
                    target = f"{target}-{newest.identity.id[:8]}"
            refuse_occupied(target)
            with self._noted(
                operation="undelete",
                address=str(to),
                source=newest.path,
                target=target,
                trash_id=newest.trash_id,
            ) as note:
                self._finish_undelete(note)

    def _finish_undelete(self, note: dict[str, Any]) -> None:
        identity, state = self._describe(note)
        if state.status != LIVE or identity.address != note["address"]:
            identity = identity.changed(address=note["address"], deleted_at=None)
            self._reinscribe(note, identity, status=LIVE, floor=self._registry.floor(note["address"]))
        self._places.remember(note["address"], note["target"])
        self._move(note)

        def record(commit: Commit) -> None:
            self._registry.remove_trash_in(commit, note["trash_id"])
            self._registry.put_in(commit, Placed(identity, note["target"]))

        self._registry.change(record)
        self._places.forget_deleted(note["trash_id"])

    # -- replace -----------------------------------------------------------------------------------------------

    def is_begun(self, note: dict[str, Any]) -> bool:
        """Tell whether the first commit of a replacement has happened: before that, nothing has."""
        found = pool.describe(note["home"], self._owner)
        if found is None or found[0].id != note["replaced"]:
            return True
        generation: int = note["generation"]
        return found[1].generation > generation and found[1].status != LIVE

    def finish_replacing(self, note: dict[str, Any]) -> None:
        """Move a keystore to the trash, unless it lies there already, and a finished one to its place."""
        found = pool.describe(note["home"], self._owner)
        at_home = found is not None and found[0].id == note["replaced"]
        replaced = note["home"] if at_home else note["trash"]
        self._finish_delete({**note, "source": replaced, "target": note["trash"]})
        self._finish_undelete({**note, "source": note["built"], "target": note["home"], "trash_id": note["id"]})

    # -- rename ------------------------------------------------------------------------------------------------

    def rename(self, address: Address, to: Address) -> None:
        """Give an address another name."""
        self._in_turn(address, partial(self._rename, to=to))

    def _rename(self, address: Address, to: Address) -> None:
        placed = self._existing(address)
        if to == address:
            return
        self._refuse_taken(to)
        target = placed.path
        if self._layout.is_inside(target):
            target = self._layout.home(to)
            refuse_occupied(target)
        with self._noted(
            operation="rename", old=str(address), address=str(to), source=placed.path, target=target
        ) as note:
            self._finish_rename(note)

    def _finish_rename(self, note: dict[str, Any]) -> None:
        identity, state = self._describe(note)
        if identity.address != note["address"]:
            identity = identity.changed(address=note["address"])
            floor = self._registry.floor(note["address"])
            state = self._reinscribe(note, identity, status=LIVE, floor=floor)
        self._places.remember(note["address"], note["target"])
        self._move(note)

        def record(commit: Commit) -> None:
            self._registry.remove_in(commit, note["old"])
            self._registry.raise_floor_in(commit, note["old"], state.revision)
            self._registry.put_in(commit, Placed(identity, note["target"]))

        self._registry.change(record)
        self._places.forget(note["old"])

    # -- durability --------------------------------------------------------------------------------------------

    def set_durability(self, address: Address, level: str) -> None:
        """Change the level of an address, durably."""
        self._in_turn(address, partial(self._set_durability, level=level))

    def _set_durability(self, address: Address, level: str) -> None:
        placed = self._existing(address)
        place = {"source": placed.path, "target": placed.path}
        if placed.identity.durability == level:
            self._begin_soon(place).sync()
            return
        with self._noted(operation="level", address=str(address), **place) as note:
            self._set_level(note, level)
            self._tell_catalog(note)

    def _set_level(self, note: dict[str, Any], level: str) -> None:
        def prepare(commit: JournaledCommit) -> None:
            if commit.state.level == OFF:
                commit.checkpoint()  # from here on the journal continues what is there
            commit.state.level = LEVELS[level]

        self._change_identity(note, prepare, durability=level)

    def set_quota(self, address: Address, max_bytes: int | None) -> None:
        """Change how many bytes the data file of an address may take."""
        self._in_turn(address, partial(self._set_quota, max_bytes=max_bytes))

    def _set_quota(self, address: Address, max_bytes: int | None) -> None:
        placed = self._existing(address)
        if placed.identity.max_bytes != max_bytes:
            place = {"source": placed.path, "target": placed.path}
            with self._noted(operation="quota", address=str(address), **place) as note:
                self._change_identity(note, _unprepared, max_bytes=max_bytes)
                self._tell_catalog(note)

    # -- purge -------------------------------------------------------------------------------------------------

    def purge(self, before: int | None) -> int:
        """Remove for good what was deleted before an instant (microseconds), or all; return how many."""
        with self.locked():
            doomed = [
                item for item in self._registry.trash() if before is None or (item.identity.deleted_at or 0) < before
            ]
            for item in doomed:
                pool.discard_at(item.path)
            self._despite_full_disk(partial(self._purging.purge, doomed))
            return len(doomed)

    # -- the registry ------------------------------------------------------------------------------------------

    def rebuild_registry(self) -> int:
        """Catalog every keystore that can be found and forget those that cannot; return how many there are.

        Settings stay. The lock is held.
        """
        return self._survey.rebuild_registry()


def _unprepared(_: JournaledCommit) -> None:
    return
