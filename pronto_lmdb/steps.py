"""What the operations of the life cycle are made of: a note that lasts, one commit, a move, a word to the catalog."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress

from pronto_lmdb.combining import run
from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import AddressExistsError, CorruptStoreError, ProntoError, StoreFullError
from pronto_lmdb.files import move, write_durably
from pronto_lmdb.identity import LIVE, OFF, Identity, State
from pronto_lmdb.journaled import JournaledEnvironment
from pronto_lmdb.journaled_commit import JournaledCommit
from pronto_lmdb.lookup import address_not_found
from pronto_lmdb.pool import pool
from pronto_lmdb.record import IDENTITY
from pronto_lmdb.registry import Placed, Registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from pronto_lmdb.address import Address
    from pronto_lmdb.commit import Commit
    from pronto_lmdb.layout import Layout
    from pronto_lmdb.lookup import Lookup

# Seconds to wait for the writer of one address while others wait for the lock of the life cycle.
_PATIENCE = 0.2


class Steps:
    """The steps of an operation on one address, each of which may be repeated. The lock of the life cycle is held.

    A note says which address it is: it may still be in its ``source``, or already in its ``target``.

    Args:
        layout: where things are in the store.
        lookup: finds the addresses of the store.
        registry: the catalog of the store.
        owner: the number that stands for the store in the pool.
        timeout: seconds to wait for a lock.

    """

    def __init__(self, layout: Layout, lookup: Lookup, registry: Registry, owner: int, timeout: float) -> None:
        self._layout = layout
        self._lookup = lookup
        self._registry = registry
        self._owner = owner
        self._timeout = timeout

    def _existing(self, address: Address) -> Placed:
        home = self._lookup.find(address)
        if home is None:
            raise address_not_found(address)
        return Placed(home.identity, home.environment.path)

    def _refuse_taken(self, address: Address) -> None:
        if self._lookup.find(address) is not None:
            raise AddressExistsError(f"{address} exists already.", "Choose another name, or delete it first.")

    # -- notes -------------------------------------------------------------------------------------------------

    @contextmanager
    def _noted(self, **note: Any) -> Iterator[dict[str, Any]]:
        """Leave a durable note for as long as an operation on an address lasts.

        What fails before its first commit, such as for a lock, has not happened and leaves no note; what fails
        later is finished by whoever comes next. So is a first commit that the disk refuses to forget, if it comes back.
        """
        path = os.path.join(self._layout.pending, f"{os.urandom(8).hex()}.json")
        note["generation"] = self._generation(note)
        write_durably(path, json.dumps(note))
        try:
            yield note
        except BaseException as error:
            if not self._has_begun(note) and not (isinstance(error, StoreFullError) and self.may_come_back(note)):
                os.unlink(path)
            raise
        os.unlink(path)

    def _has_begun(self, note: dict[str, Any]) -> bool:
        """Tell whether the first commit of an operation has happened.

        What was moved has: at the level "off" a power loss may have taken that commit back, and others before it.
        Otherwise the keystore says so: a note that could not be dropped at once may see later commits than its own.
        """
        if note["source"] != note["target"] and not os.path.isdir(note["source"]):
            return True
        identity, state = self._describe(note)
        says = {
            "delete": state.status != LIVE,
            "undelete": state.status == LIVE and identity.address == note["address"],
            "rename": identity.address == note["address"],
        }
        generation: int = note["generation"]
        return state.generation > generation and says.get(note["operation"], True)

    def may_come_back(self, note: dict[str, Any]) -> bool:
        """Tell whether a first commit that was refused may still appear after a power loss, if nothing keeps it."""
        try:
            self._begin_soon(note).forget_refused()
        except ProntoError:
            return True
        return False

    def _generation(self, note: dict[str, Any]) -> int:
        return self._describe(note)[1].generation

    # -- what a note is about ----------------------------------------------------------------------------------

    def _either(self, note: dict[str, Any]) -> JournaledEnvironment:
        """Return the environment of an operation, wherever its move has come to."""
        for path in (note["source"], note["target"]):
            environment = pool.peek(path, self._owner)
            if isinstance(environment, JournaledEnvironment):
                return environment
        raise CorruptStoreError(f"{note['source']} has gone.", "Restore it from a snapshot.")

    def _describe(self, note: dict[str, Any]) -> tuple[Identity, State]:
        while True:
            with suppress(StaleEnvironment):  # closed in between, to make room for others
                return self._either(note).describe()

    # -- one commit --------------------------------------------------------------------------------------------

    def _reinscribe(self, note: dict[str, Any], identity: Identity, *, status: int, floor: int = 0) -> State:
        """Write a new identity and status: whoever has the environment open notices before its next use."""

        def inscribe(_: Commit) -> State:
            state = commit.state
            state.status = status
            state.generation += 1
            state.revision = max(state.revision, floor)
            commit.stays = False
            commit.put(IDENTITY, identity.encode())
            return state

        commit = self._begin_soon(note)
        return run(commit, inscribe)

    def _change_identity(
        self, note: dict[str, Any], prepare: Callable[[JournaledCommit], None], **changes: Any
    ) -> None:
        """Change what an address says of how it is kept, in one commit; whoever has it open notices."""

        def change(_: Commit) -> None:
            prepare(commit)
            commit.state.generation += 1
            identity = Identity.decode(commit.get(IDENTITY), note["source"])
            commit.put(IDENTITY, identity.changed(**changes).encode())

        commit = self._begin_soon(note)
        run(commit, change)

    def _begin(self, note: dict[str, Any]) -> JournaledCommit:
        return self._begun(note, self._timeout)

    def _begin_soon(self, note: dict[str, Any]) -> JournaledCommit:
        """Begin the commit with which an operation happens; whoever is writing is waited for without the lock."""
        return self._begun(note, min(self._timeout, _PATIENCE))

    def _begun(self, note: dict[str, Any], timeout: float) -> JournaledCommit:
        while True:
            with suppress(StaleEnvironment):
                return JournaledCommit(self._either(note), None, timeout, no_delay)

    # -- afterwards --------------------------------------------------------------------------------------------

    def _move(self, note: dict[str, Any]) -> None:
        # What the directory says of itself must not be older than its name.
        try:
            self._begin(note).sync()
        except StoreFullError:
            # At "off" that would be a copy of everything. After a power loss a check finds what does not know that it
            # was deleted.
            if note["operation"] != "delete" or self._describe(note)[1].level != OFF:
                raise
        pool.discard(self._either(note))
        if note["source"] != note["target"]:
            move(note["source"], note["target"])

    def _tell_catalog(self, note: dict[str, Any]) -> None:
        """Tell the catalog what the address says of itself."""
        identity, _ = self._describe(note)
        self._registry.change(lambda commit: self._registry.put_in(commit, Placed(identity, note["target"])))


def no_delay() -> float:
    """Return how long to wait for others who want to share a commit: not at all."""
    return 0.0
