"""Making the plan: the rows of all sources are counted, and compared with what the store holds already."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from itertools import islice

from msgpack import packb

from pronto_lmdb.address import Address
from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import MigrationError
from pronto_lmdb.legacy_database import Database, staged
from pronto_lmdb.legacy_keys import meta_context
from pronto_lmdb.legacy_places import MAIN, database_name
from pronto_lmdb.migration_plan import (
    DONE,
    FAIL,
    MERGED,
    NEW,
    NOTHING,
    OVERWRITE,
    REFUSED,
    AddressPlan,
    DatabasePlan,
    Plan,
    address_of,
    part,
)
from pronto_lmdb.migration_rows import Record, Share, defaults, is_own, records
from pronto_lmdb.migration_sources import Refusal, Source, Sources
from pronto_lmdb.record import NAMESPACE_TTL, encode_ttl, expiry_of, is_live, packed_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pronto_lmdb.migration_sources import Progress
    from pronto_lmdb.store import Store

ORIGIN = "prontodb"
MICROSECONDS = 1_000_000

_BATCH = 1_000
_SHOWN = 100


class Survey:
    """Turns sources into a plan.

    Args:
        sources: what was found and copied.
        store: where it is to go.
        plan: empty as yet; is filled.
        progress: is told how far it has come.

    Attributes:
        shares: for each address the rows that it gets.
        origins: for each address what its origin will say.

    """

    def __init__(self, sources: Sources, store: Store, plan: Plan, progress: Progress) -> None:
        self.shares: dict[str, Share] = {}
        self.origins: dict[str, list[dict[str, object]]] = {}
        self._sources = sources
        self._store = store
        self._plan = plan
        self._progress = progress
        self._total = sum(source.rows for source in sources.taken)
        self._counted = 0
        self._staged: dict[tuple[str, ...], Database] = {}

    def fill(self) -> None:
        """Fill the plan."""
        plan, sources = self._plan, self._sources
        self._check_mapping()
        for address, group in self._groups().items():
            plan.databases += [
                DatabasePlan(source.name, source.place, address, source.checksum, source.rows) for source in group
            ]
            for share_address, meta, contexts in self._divided(address, group):
                self._add(share_address, meta, contexts, group)
        plan.refused = [asdict(refusal) for refusal in sources.refused]
        plan.skipped = [asdict(refusal) for refusal in sources.skipped]
        self._add_suggestions()

    # -- which rows become which address -----------------------------------------------------------------------

    def _check_mapping(self) -> None:
        found = self._sources.findings.databases
        known = {item.name for item in found} | {item.place for item in found}
        for name in self._plan.options.mapping.keys() - known:
            raise MigrationError(
                f"There is no database {name!r} among the sources.",
                f"There are: {', '.join(sorted({item.name for item in found})) or 'none'}.",
            )

    def _groups(self) -> dict[str, list[Source]]:
        """Return the databases that become each address: those of one name, or those that were mapped to it."""
        mapping = self._plan.options.mapping
        groups: dict[str, list[Source]] = {}
        for source in sorted(self._sources.taken, key=lambda source: source.name != MAIN):
            address = address_of(source.name, source.place, mapping)
            group = groups.setdefault(address, [])
            if group and group[0].name != source.name and not {source.name, source.place} & mapping.keys():
                self._sources.refused.append(
                    Refusal(
                        source.place,
                        f"{source.place} would become {address}, like the database {group[0].name}.",
                        f"Give it another address: --map {source.name}=USER.CURSOR.",
                        "conflict",
                    )
                )
            else:
                group.append(source)
        return groups

    def _divided(self, address: str, group: list[Source]) -> Iterator[tuple[str, str | None, frozenset[str]]]:
        """Yield each address that a group becomes, with its own meta context and those that stay in its keys."""
        projects = [project for source in group for project in source.database.projects()]
        contexts = frozenset(filter(None, map(meta_context, projects)))
        if not self._plan.options.choice.split_meta:
            yield address, None, contexts
            return
        own = frozenset(context for context in contexts if is_own(context))
        yield address, None, contexts - own
        for context in sorted(own):
            yield str(Address(part(context), Address.parse(address).cursor)), context, frozenset()

    def _add(self, address: str, meta: str | None, contexts: frozenset[str], group: list[Source]) -> None:
        if address in self.shares:
            place = ", ".join(source.place for source in group)
            self._sources.refused.append(
                Refusal(
                    place,
                    f"The meta context {meta} of {place} would become {address}, which another source becomes.",
                    "Give one of them another address with --map.",
                    "conflict",
                )
            )
            return
        taken = self._origin(address)
        fresh = [source for source in group if not self._is_done(taken, source, meta)]
        planned = AddressPlan(address, DONE, [source.place for source in group], meta, sorted(contexts))
        self._plan.addresses.append(planned)
        if fresh:
            share = Share(self._united(fresh), meta, contexts)
            self.shares[address] = share
            self._count(planned, share)
            self.origins[address] = [*taken, *(self._note_of_origin(source, planned) for source in fresh)]

    def _united(self, sources: list[Source]) -> Database:
        """Return one database with the rows of all."""
        if len(sources) == 1:
            return sources[0].database
        places = tuple(source.place for source in sources)
        if places not in self._staged:
            path = os.path.join(self._sources.scratch(), "united.db")
            self._staged[places] = staged([source.database for source in sources], path)
        return self._staged[places]

    # -- what it comes to --------------------------------------------------------------------------------------

    def _count(self, planned: AddressPlan, share: Share) -> None:
        """Count the rows of an address, and compare them with what it holds."""
        plan = self._plan
        choice = plan.options.choice
        summed = sha256()
        exists = self._store.exists(planned.address)
        wanted = self._watched(records(share, choice, plan.now, planned.tally))
        for batch in batches(wanted):
            summed.update(packb(batch))
            if exists:
                found = stored(self._store, planned.address, [record.key for record in batch])
                for record, old in zip(batch, found, strict=True):
                    if is_conflict(record, old, plan.now):
                        planned.conflicts += 1
                        if len(planned.conflicting_keys) < _SHOWN:
                            planned.conflicting_keys.append(record.key.decode())
        planned.checksum = summed.hexdigest()
        planned.namespaces, planned.dropped = defaults(share, split=choice.split_meta)
        self._compare_defaults(planned, exists=exists)
        self._decide(planned, exists=exists)

    def _compare_defaults(self, planned: AddressPlan, *, exists: bool) -> None:
        if not exists or self._plan.options.on_conflict == OVERWRITE:
            return
        for namespace, ttl in [*planned.namespaces.items()]:
            (old,) = stored(self._store, planned.address, [NAMESPACE_TTL + namespace.encode()])
            if old is not None and old != encode_ttl(ttl * MICROSECONDS):
                del planned.namespaces[namespace]
                planned.dropped.append(f"{namespace}: the address has another default TTL, which stays")

    def _decide(self, planned: AddressPlan, *, exists: bool) -> None:
        tally = planned.tally
        if tally.expired and not self._plan.options.choice.include_expired:
            planned.dropped.append(f"{tally.expired} rows whose time was over; --include-expired keeps them")
        if not tally.records and not planned.namespaces:
            planned.state = NOTHING
        elif planned.conflicts and self._plan.options.on_conflict == FAIL:
            planned.state = REFUSED
            self._sources.refused.append(
                Refusal(
                    ", ".join(planned.places),
                    f"{planned.address} holds other values under {planned.conflicts} of the keys, such as "
                    f"{planned.conflicting_keys[0]}.",
                    "Say which count: --on-conflict keep, overwrite or newest; or choose another address with --map.",
                    "conflict",
                )
            )
        else:
            planned.state = MERGED if exists else NEW

    def _watched(self, wanted: Iterable[Record]) -> Iterator[Record]:
        for record in wanted:
            self._counted += 1
            if self._counted % _BATCH == 0:
                self._progress("planning", min(self._counted, self._total), self._total)
            yield record

    # -- where an address comes from ---------------------------------------------------------------------------

    def _origin(self, address: str) -> list[dict[str, object]]:
        """Return what an address has taken in before."""
        if not self._store.exists(address):
            return []
        found = self._store.info(address).origin.get(ORIGIN, [])
        return found if isinstance(found, list) else []

    def _is_done(self, taken: list[dict[str, object]], source: Source, meta: str | None) -> bool:
        choice = asdict(self._plan.options.choice)
        return any(
            note.get("checksum") == source.checksum and note.get("meta") == meta and note.get("choice") == choice
            for note in taken
        )

    def _note_of_origin(self, source: Source, planned: AddressPlan) -> dict[str, object]:
        return {
            "database": source.name,
            "place": source.place,
            "checksum": source.checksum,
            "rows": source.rows,
            "records": planned.tally.records,
            "records_checksum": planned.checksum,
            "meta": planned.meta,
            "choice": asdict(self._plan.options.choice),
            "migrated_at": self._plan.now,
        }

    # -- what to do next ---------------------------------------------------------------------------------------

    def _add_suggestions(self) -> None:
        plan, found = self._plan, self._sources.findings
        addresses = {database.name: database.address for database in plan.databases}
        for cursor in found.cursors:
            name = database_name(cursor.database_path)
            address = addresses.get(name)
            plan.cursors.append({**asdict(cursor), "address": address})
            meta = f", meta context {cursor.meta_context}" if cursor.meta_context else ""
            what = f"Cursor {cursor.name} of {cursor.user} used {cursor.database_path}{meta}"
            if address is not None:
                plan.suggestions.append(f"{what}: `pronto -a {address} ...`, or --map {name}=USER.CURSOR.")
            else:
                plan.suggestions.append(f"{what}, which is not among the sources: name that file, too, if it exists.")
        for item in found.selections:
            if item.database in addresses:
                plan.suggestions.append(
                    f"The default database of {item.user} was {item.database}: `pronto use {addresses[item.database]}`."
                )
        for path in found.backups:
            plan.suggestions.append(f"{path} is a backup, and was left out: name it to take it over.")


def batches(items: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield records in lists."""
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def stored(store: Store, address: str, keys: list[bytes]) -> list[bytes | None]:
    """Return the stored entries of some keys, expired ones included."""
    while True:
        home = store.find(Address.parse(address))
        if home is None:
            return [None] * len(keys)
        with suppress(StaleEnvironment):  # closed in between, to make room for others: look again
            return home.environment.read(lambda txn: [txn.get(key) for key in keys])


def is_conflict(record: Record, old: bytes | None, now: int) -> bool:
    """Tell whether a key has another live value, or another expiry, than is to be stored."""
    return old is not None and is_live(old, now) and not is_same(record, old)


def is_same(record: Record, old: bytes) -> bool:
    """Tell whether a stored record has the value and the expiry that were to be stored."""
    return expiry_of(old) == record.expires_at and packed_value(old) == record.packed
