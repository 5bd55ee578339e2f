"""Addresses that begin with content from elsewhere, and content that an address takes in, with a note of its origin."""

from __future__ import annotations

import os
from contextlib import contextmanager

from pronto_lmdb import changes
from pronto_lmdb.address import Address
from pronto_lmdb.creation import build
from pronto_lmdb.errors import ConflictError
from pronto_lmdb.files import make_directory, move, remove_tree
from pronto_lmdb.identity import Identity, State
from pronto_lmdb.lifecycle import Lifecycle
from pronto_lmdb.places import refuse_occupied
from pronto_lmdb.pool import pool
from pronto_lmdb.record import NAMESPACE_TTL, encode_record, encode_ttl, expiry_entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from pronto_lmdb.commit import Commit

    # Key, packed value, update and expiry in microseconds.
    Item = tuple[bytes, bytes, int, int | None]


class Adoption(Lifecycle):
    """Life-cycle operations that bring content along."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one who takes in content, with everything swept away that a killed one left.

        Raises:
            LockTimeoutError: if another one is at work too long.

        """
        make_directory(self._workshop)
        with self._only_one():
            for name in os.listdir(self._workshop):
                remove_tree(os.path.join(self._workshop, name))
            yield

    def create_with(self, identity: Identity, defaults: dict[str, int], items: Iterable[Item]) -> None:
        """Create an address with content, whole or not at all; in constant memory.

        Args:
            identity: who it is, how it is kept, and where it comes from.
            defaults: default TTLs of namespaces, in microseconds.
            items: the records, each key once.

        Raises:
            ConflictError: if the address came into being meanwhile.

        """
        address = Address.parse(identity.address)
        floor = self._registry.floor(identity.address)
        state = State(revision=floor + 1)
        built = os.path.join(self._workshop, identity.id)
        build(built, identity, state, _entries(state, floor + 1, defaults, items))
        with self.locked():
            home = self._layout.home(address)
            if self._lookup.find(address) is not None or self._registry.floor(identity.address) != floor:
                remove_tree(built)
                raise ConflictError(f"{address} was created meanwhile.", "Do it again.")
            refuse_occupied(home)
            pending = os.path.join(self._layout.pending, identity.id)
            move(built, pending)
            self._publish(identity, pending, home)

    def take_in(self, address: Address, origin: dict[str, Any], change: Callable[[Commit], None]) -> None:
        """Change an address and note where that comes from, in one transaction.

        Args:
            address: which.
            origin: what its origin says from then on.
            change: makes the changes; what it raises undoes all.

        """

        def take_in(address: Address) -> None:
            path = self._existing(address).path
            # The steps of a change of its level: one commit that alters the identity, then the catalog.
            with self._noted(operation="level", address=str(address), source=path, target=path) as note:
                self._change_identity(note, change, origin=origin)
                self._tell_catalog(note)

        self._in_turn(address, take_in)

    @property
    def _workshop(self) -> str:
        return os.path.join(self._layout.meta, "adoption")

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        with pool.passing(os.path.join(self._layout.meta, "adoption.lock")) as lock:
            lock.acquire(self._timeout)
            yield


def _entries(
    state: State, revision: int, defaults: dict[str, int], items: Iterable[Item]
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries of records, with those of the expiry index; the counters of the state follow."""
    for namespace, ttl in defaults.items():
        state.namespaces += 1
        yield NAMESPACE_TTL + namespace.encode(), encode_ttl(ttl)
    for key, packed, updated_at, expires_at in items:
        if expires_at is not None:
            state.expiring += 1
            yield expiry_entry(expires_at, key), b""
        yield key, encode_record(packed, revision, updated_at, expires_at)


def put_as_of(commit: Commit, key: bytes, packed: bytes, updated_at: int, expires_at: int | None) -> None:
    """Write a record as somebody else wrote it before."""
    changes.delete(commit, key)
    if expires_at is not None:
        commit.put(expiry_entry(expires_at, key), b"")
        commit.state.expiring += 1
    commit.put(key, encode_record(packed, commit.state.revision + 1, updated_at, expires_at))
