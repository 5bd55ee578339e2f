"""A copy of an address under another name: everything, or what begins with a prefix, as of one moment."""

from __future__ import annotations

from functools import partial
from itertools import takewhile

from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import AddressExistsError
from pronto_lmdb.identity import Identity, State
from pronto_lmdb.lookup import address_not_found
from pronto_lmdb.record import EXPIRY, FIRST_USER_KEY, IDENTITY, STATE, expired_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    import lmdb

    from pronto_lmdb.address import Address
    from pronto_lmdb.installation import Built, Installation, Stage
    from pronto_lmdb.lookup import Lookup


def copy_address(
    installation: Installation, lookup: Lookup, source: Address, target: Address, prefix: bytes, *, overwrite: bool
) -> None:
    """Copy an address.

    Args:
        installation: puts the copy into its place.
        lookup: finds the addresses of the store.
        source: what to copy.
        target: its new name.
        prefix: what the keys begin with that are copied.
        overwrite: whether what has the name may go to the trash.

    Raises:
        AddressNotFoundError: if there is nothing to copy.
        AddressExistsError: if the name is taken.

    """
    if lookup.find(source) is None:
        raise address_not_found(source)
    if source == target:
        raise AddressExistsError(f"{target} would be a copy of itself.", "Choose another name.")
    if not overwrite:
        installation.refuse_taken([target])
    with installation.staging() as stage:
        installation.install([_built(lookup, stage, source, target, prefix)], overwrite=overwrite)


def _built(lookup: Lookup, stage: Stage, source: Address, target: Address, prefix: bytes) -> Built:
    while True:
        home = lookup.find(source)
        if home is None:
            raise address_not_found(source)
        try:
            return home.environment.read(partial(_copied, stage, target, prefix))
        except StaleEnvironment:
            continue  # closed in between, to make room for others


def _copied(stage: Stage, target: Address, prefix: bytes, txn: lmdb.Transaction[bytes]) -> Built:
    place = str(target)
    original, state = Identity.decode(txn.get(IDENTITY), place), State.read(txn, place, txn.id())
    identity = Identity(
        str(target),
        durability=original.durability,
        max_bytes=original.max_bytes,
        labels=original.labels,
        origin={"copied_from": original.address, "id": original.id, "revision": state.revision},
    )
    if prefix and state.expiring:
        state.expiring = sum(1 for entry in _indexed(txn) if expired_key(entry).startswith(prefix))
    return stage.build(target, identity, state, _entries(txn, prefix))


def _indexed(txn: lmdb.Transaction[bytes]) -> Iterator[bytes]:
    """Yield the entries of the expiry index."""
    cursor = txn.cursor()
    found = cursor.iternext(keys=True, values=False) if cursor.set_range(EXPIRY) else iter(())
    return takewhile(lambda entry: entry.startswith(EXPIRY), found)


def _entries(txn: lmdb.Transaction[bytes], prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield what belongs to a copy: records with the prefix, their places in the expiry index, all default TTLs."""
    for entry in txn.cursor():
        key = entry[0]
        if key >= FIRST_USER_KEY:
            wanted = key.startswith(prefix)
        elif key.startswith(EXPIRY):
            wanted = expired_key(key).startswith(prefix)
        else:
            wanted = key not in (IDENTITY, STATE)
        if wanted:
            yield entry
