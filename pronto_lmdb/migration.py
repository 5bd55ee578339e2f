"""Taking over the data of ProntoDB, the program that kept everything in SQLite files.

>>> import pronto_lmdb
>>> with pronto_lmdb.open() as store:  # doctest: +SKIP
...     print(pronto_lmdb.migration.plan(None, store).as_dict())      # what would be done
...     report = pronto_lmdb.migration.migrate(None, store)           # do it

Sources are copied and never changed. Each address is made, or added to, in one transaction; afterwards every row of the
sources is looked up in the result. What was taken over is remembered in the address (``info(address).origin``), so that
a second run changes nothing. docs/migrating.md tells what becomes of what.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from hashlib import sha256

from msgpack import packb

from pronto_lmdb import changes, clock
from pronto_lmdb.address import Address
from pronto_lmdb.adoption import put_as_of
from pronto_lmdb.errors import AddressNotFoundError, InvalidValueError, MigrationError, ProntoError
from pronto_lmdb.identity import Identity
from pronto_lmdb.legacy_keys import Parts, decode_key
from pronto_lmdb.migration_plan import FAIL, KEEP, MERGED, NEW, NEWEST, REFUSED, AddressPlan, Options, Plan
from pronto_lmdb.migration_rows import Record, Share, Tally, records
from pronto_lmdb.migration_sources import Sources
from pronto_lmdb.migration_survey import (
    MICROSECONDS,
    ORIGIN,
    Survey,
    batches,
    is_conflict,
    is_same,
    stored,
)
from pronto_lmdb.record import NAMESPACE_TTL, encode_ttl, header_of
from pronto_lmdb.values import is_encodable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from pronto_lmdb.commit import Commit
    from pronto_lmdb.store import Store

    SourceArgument = str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None
    ProgressArgument = Callable[[str, int, int], None]

__all__ = [
    "AddressReport",
    "MigrationReport",
    "Parts",
    "Plan",
    "SourceRefusedError",
    "apply",
    "decode_key",
    "migrate",
    "plan",
]

_SHOWN = 100


@dataclass
class AddressReport:
    """What became of one address."""

    address: str
    state: str
    """As in the plan: ``new``, ``merged``, ``done``, ``nothing`` or ``refused``."""
    written: int = 0
    """Records that were stored."""
    kept: int = 0
    """Records that were not, because the address holds another value that counts."""
    same: int = 0
    """Records that were there already."""
    verified: int = 0
    """Records that were looked up afterwards, and are there."""
    missing: int = 0
    """Records that were looked up, and are not as they should be."""
    missing_keys: list[str] = field(default_factory=list)
    """The first of them."""
    checksum: str = ""
    """Of what was found; that of the plan where nothing is missing or was kept."""


@dataclass
class MigrationReport:
    """What a migration has done."""

    ok: bool
    """Whether nothing is missing and nothing was refused."""
    applied: bool
    """Whether it was done, and not only planned."""
    plan: Plan
    addresses: list[AddressReport] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """How many records are not as they should be."""
        return sum(address.missing for address in self.addresses)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold."""
        return {**asdict(self), "missing": self.missing}


class SourceRefusedError(MigrationError):
    """Some of the data was not taken over.

    Attributes:
        report: what was done with the rest.

    """

    def __init__(self, report: MigrationReport) -> None:
        first, *others = report.plan.refused
        more = f" {len(others)} more were refused." if others else ""
        super().__init__(f"{first['problem']}{more}", first["hint"])
        self.report = report


def migrate(
    source: SourceArgument,
    store: Store,
    *,
    mapping: Mapping[str, str] | None = None,
    split_meta: bool = False,
    duplicates: str = "last",
    include_expired: bool = False,
    on_conflict: str = "fail",
    dry_run: bool = False,
    approve: Callable[[Plan], bool] | None = None,
    progress: ProgressArgument | None = None,
) -> MigrationReport:
    """Take over the data of the old program.

    Args:
        source: a database, a data directory or a backup, or several of them; ``None`` searches all places where the old
            program kept data.
        store: where it goes. The database ``main`` becomes ``default.default``, another ``default.NAME``.
        mapping: other addresses, by the name of the database or its path.
        split_meta: whether each meta context becomes an address of its own, ``CONTEXT.default`` or ``CONTEXT.NAME``;
            otherwise it stays in front of the key.
        duplicates: which of several values that were written to one key counts: ``"last"``; ``"first"``, which the old
            program showed; ``"both"``: the last, the others under contexts ``older-1`` and so on.
        include_expired: whether what has expired is kept, without an expiry.
        on_conflict: what happens where an address holds another value: ``"fail"``: nothing of what would become this
            address is taken; ``"keep"`` that value; ``"overwrite"`` it; ``"newest"``: by the time of the writing.
        dry_run: plan, and do nothing.
        approve: called with the plan; what is false ends it there.
        progress: called with what is being done, how much of it is done, and how much there is.

    Returns:
        What was done; ``ok`` is false if a record is not there afterwards.

    Raises:
        SourceRefusedError: if a source was refused, or holds what is in conflict with the store. All others were taken
            over before; its attribute ``report`` tells.
        InvalidValueError, InvalidAddressError: for options that cannot be, before anything is read.

    """
    options = Options.checked(
        mapping or {}, duplicates, on_conflict, split_meta=split_meta, include_expired=include_expired
    )
    told = progress or _silent
    with Sources(store.timeout) as sources:
        made, survey = _planned(_paths(source), store, options, clock.now(), sources, told)
        if dry_run or (approve is not None and not approve(made)):
            report = MigrationReport(not made.refused, False, made)
        else:
            report = _Execution(store, made, survey, told).report(sources)
    if made.refused:
        raise SourceRefusedError(report)
    return report


def plan(
    source: SourceArgument,
    store: Store,
    *,
    mapping: Mapping[str, str] | None = None,
    split_meta: bool = False,
    duplicates: str = "last",
    include_expired: bool = False,
    on_conflict: str = "fail",
    progress: ProgressArgument | None = None,
) -> Plan:
    """Return what :func:`migrate` would do; arguments as there. Refused sources are listed in it."""
    options = Options.checked(
        mapping or {}, duplicates, on_conflict, split_meta=split_meta, include_expired=include_expired
    )
    with Sources(store.timeout) as sources:
        return _planned(_paths(source), store, options, clock.now(), sources, progress or _silent)[0]


def apply(planned: Plan, store: Store, *, progress: ProgressArgument | None = None) -> MigrationReport:
    """Do what a plan says.

    Raises:
        SourceRefusedError: as :func:`migrate`.
        MigrationError: if its sources have changed since, or do not become what the plan says.

    """
    told = progress or _silent
    with Sources(store.timeout) as sources:
        current, survey = _planned(planned.sources, store, planned.options, planned.now, sources, told)
        if current.as_dict() != planned.as_dict():
            raise MigrationError("The sources or the store have changed since the plan was made.", "Make it anew.")
        report = _Execution(store, current, survey, told).report(sources)
    if current.refused:
        raise SourceRefusedError(report)
    return report


def _planned(
    paths: list[str] | None,
    store: Store,
    options: Options,
    now: int,
    sources: Sources,
    progress: ProgressArgument,
) -> tuple[Plan, Survey]:
    made = Plan(paths, now, options)
    sources.take(paths, dict(os.environ), progress)
    survey = Survey(sources, store, made, progress)
    survey.fill()
    return made, survey


def _paths(source: SourceArgument) -> list[str] | None:
    if source is None:
        return None
    several = [source] if isinstance(source, str | os.PathLike) else source
    paths = [os.fsdecode(path) for path in several]
    for path in paths:
        if not is_encodable(path) or "\0" in path:
            raise InvalidValueError(f"The path {path!a} cannot be used.", "Use UTF-8 without NUL.")
    return paths


def _silent(_phase: str, _done: int, _total: int) -> None:
    return


class _Execution:
    """Applies a plan, address by address: what goes wrong with one does not keep the others from being taken over."""

    def __init__(self, store: Store, plan: Plan, survey: Survey, progress: ProgressArgument) -> None:
        self._store = store
        self._plan = plan
        self._survey = survey
        self._progress = progress
        self._total = sum(planned.tally.records for planned in plan.addresses)

    def report(self, sources: Sources) -> MigrationReport:
        """Do it, and return what was done."""
        report = MigrationReport(True, True, self._plan)
        wanted = [planned for planned in self._plan.addresses if planned.state in (NEW, MERGED)]
        if wanted:
            with self._store.adoption().alone():
                for planned in wanted:
                    report.addresses.append(self._applied(planned))
        report.addresses += [
            AddressReport(planned.address, planned.state) for planned in self._plan.addresses if planned not in wanted
        ]
        report.warnings = [
            f"{path} has changed since it was read: what was written to it later is not taken over. Run it again."
            for path in sources.changed()
        ]
        report.ok = not self._plan.refused and not report.missing
        return report

    def _applied(self, planned: AddressPlan) -> AddressReport:
        share = self._survey.shares[planned.address]
        report = AddressReport(planned.address, planned.state)
        try:
            if planned.state == NEW:
                self._create(planned, share, report)
            else:
                self._merge(planned, share, report)
            self._verify(planned, share, report)
        except ProntoError as error:
            report.state = REFUSED
            self._plan.refused.append(
                {"place": ", ".join(planned.places), "problem": error.problem, "hint": error.hint, "kind": "store"}
            )
        return report

    # -- writing -----------------------------------------------------------------------------------------------

    def _create(self, planned: AddressPlan, share: Share, report: AddressReport) -> None:
        if not self._store.creates:
            raise AddressNotFoundError(
                f"There is no address {planned.address}, and the store was opened with create=False.",
                "Create it, or open the store without that.",
            )
        identity = Identity(planned.address, durability=self._store.durability, origin=self._origin(planned, {}))
        defaults = {namespace: ttl * MICROSECONDS for namespace, ttl in planned.namespaces.items()}
        self._store.adoption().create_with(identity, defaults, self._records(share, report))

    def _records(self, share: Share, report: AddressReport) -> Iterator[Record]:
        for record in self._rows(share, "writing"):
            report.written += 1
            yield record

    def _merge(self, planned: AddressPlan, share: Share, report: AddressReport) -> None:
        address = Address.parse(planned.address)
        origin = self._origin(planned, self._store.info(address).origin)

        def change(commit: Commit) -> None:
            for record in self._rows(share, "writing"):
                self._merge_one(commit, record, report)
            for namespace, ttl in planned.namespaces.items():
                changes.set_default(commit, NAMESPACE_TTL + namespace.encode(), encode_ttl(ttl * MICROSECONDS))

        self._store.adoption().take_in(address, origin, change)

    def _merge_one(self, commit: Commit, record: Record, report: AddressReport) -> None:
        old = commit.get(record.key)
        if old is not None and is_conflict(record, old, clock.now()):
            self._refuse(record)
            newer = header_of(old)[1] >= record.updated_at
            if self._plan.options.on_conflict == KEEP or (self._plan.options.on_conflict == NEWEST and newer):
                report.kept += 1
                return
        elif old is not None and is_same(record, old):
            report.same += 1
            return
        report.written += 1
        put_as_of(commit, *record)

    def _refuse(self, record: Record) -> None:
        if self._plan.options.on_conflict == FAIL:  # written since the plan was made
            raise MigrationError(
                f"Somebody else has just written another value to {record.key.decode()!r}.",
                "Run it again with --on-conflict keep, overwrite or newest.",
            )

    def _origin(self, planned: AddressPlan, before: dict[str, Any]) -> dict[str, Any]:
        return {**before, ORIGIN: self._survey.origins[planned.address]}

    # -- looking -----------------------------------------------------------------------------------------------

    def _verify(self, planned: AddressPlan, share: Share, report: AddressReport) -> None:
        """Look every record of the sources up in the store."""
        summed = sha256()
        allowed = report.kept
        for batch in batches(self._rows(share, "checking")):
            found = stored(self._store, planned.address, [record.key for record in batch])
            if any(there is None or not is_same(record, there) for record, there in zip(batch, found, strict=True)):
                batch, allowed = self._looked_at(batch, found, report, allowed)
            report.verified += len(batch)
            summed.update(packb(batch))
        report.checksum = summed.hexdigest()

    def _looked_at(
        self, batch: list[Record], found: list[bytes | None], report: AddressReport, allowed: int
    ) -> tuple[list[Record], int]:
        """Return those of some records that are there, and how many others may still have another value."""
        good, now = [], clock.now()
        for record, there in zip(batch, found, strict=True):
            # What has expired since the plan was made may have been swept away.
            if (there is not None and is_same(record, there)) or (record.expires_at or now + 1) <= now:
                good.append(record)
            elif there is not None and allowed:
                allowed -= 1
            else:
                report.missing += 1
                if len(report.missing_keys) < _SHOWN:
                    report.missing_keys.append(record.key.decode())
        return good, allowed

    def _rows(self, share: Share, phase: str) -> Iterator[Record]:
        options = self._plan.options
        for number, record in enumerate(records(share, options.choice, self._plan.now, Tally())):
            if number % 10_000 == 0:
                self._progress(phase, number, self._total)
            yield record
