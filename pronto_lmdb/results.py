"""The plain tuples that verbs return."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pronto_lmdb.address import Address

if TYPE_CHECKING:
    from pronto_lmdb.identity import Identity
    from pronto_lmdb.values import Value

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(microseconds: int) -> datetime:
    """Return the aware UTC datetime of a stored instant."""
    return _EPOCH + timedelta(microseconds=microseconds)


class Entry(NamedTuple):
    """A record with what is known about it. Times are aware UTC datetimes."""

    key: str
    value: Value
    revision: int
    """Number of the commit that wrote it; never the same for two contents of a key."""
    updated_at: datetime
    expires_at: datetime | None
    """``None`` if it never expires."""

    @classmethod
    def from_header(cls, key: str, value: Value, revision: int, updated_at: int, expires_at: int | None) -> Entry:
        """Make an entry of a record's header, times in microseconds."""
        return cls(key, value, revision, instant(updated_at), None if expires_at is None else instant(expires_at))


class Stats(NamedTuple):
    """How much an address holds and uses."""

    records: int
    """Live records."""
    expired: int
    """Records that have expired and wait for a sweep."""
    revision: int
    """Number of the last commit."""
    bytes_used: int
    """Bytes of the data file in use, free pages inside it included."""
    bytes_on_disk: int
    """What the directory takes on disk, in allocated bytes."""
    max_bytes: int | None
    """The quota, or ``None``."""
    durability: str


class AddressInfo(NamedTuple):
    """What the registry knows about an address."""

    address: Address
    id: str
    """32 hex digits, unique for ever: a name created again gets another one."""
    path: Path
    """The directory of its environment."""
    created_at: datetime
    durability: str
    max_bytes: int | None
    labels: dict[str, str]
    origin: dict[str, Any]
    """Where the data came from; empty for a plain creation."""

    @classmethod
    def from_identity(cls, identity: Identity, path: str) -> AddressInfo:
        """Make the public form of an identity."""
        return cls(
            Address.parse(identity.address),
            identity.id,
            Path(path),
            instant(identity.created_at),
            identity.durability,
            identity.max_bytes,
            dict(identity.labels),
            dict(identity.origin),
        )


class Compaction(NamedTuple):
    """What a compaction has done to an address."""

    address: Address
    bytes_before: int
    """What its directory took on the disk, in allocated bytes."""
    bytes_after: int
    """The same afterwards. Processes that still have the old file open keep its room until they use the address."""


class DeletedAddress(NamedTuple):
    """An address in the trash."""

    trash_id: str
    address: Address
    deleted_at: datetime
    path: Path

    @classmethod
    def from_identity(cls, trash_id: str, identity: Identity, path: str) -> DeletedAddress:
        """Make the public form of a deleted address."""
        return cls(trash_id, Address.parse(identity.address), instant(identity.deleted_at or 0), Path(path))


class Problem(NamedTuple):
    """Something wrong that a check has found."""

    address: Address | None
    """Whose it is; ``None`` if it belongs to the store itself, or to nobody known."""
    text: str
    """What is wrong, in one line."""

    def __str__(self) -> str:
        return self.text if self.address is None else f"{self.address}: {self.text}"


class Report(NamedTuple):
    """What a check has found, and what a repair has done."""

    ok: bool
    """Whether there are no problems."""
    problems: list[Problem]
    """What is wrong; after a repair: what still is, and what was lost."""
    repairs: tuple[Problem, ...] = ()
    """What a repair has changed, and where it has put what it could not keep."""


class Imported(NamedTuple):
    """What became of the lines of an import."""

    lines: int
    """All lines, empty ones included."""
    written: int
    skipped: int
    """Left out because their keys were there already."""
    expired: int
    """Left out because they had expired."""
    bad: int
    """Refused: no JSON, or none that can be stored."""


class Snapshot(NamedTuple):
    """A copy of some addresses, each as of one moment."""

    id: str
    """Ids sort by time."""
    created_at: datetime
    label: str | None
    addresses: tuple[Address, ...]
    """Sorted by the bytes of their text."""
    records: int
    """In all of them, expired ones that were not swept included."""
    bytes: int
    """Of all data files; those that other snapshots have too are counted here as well."""
    path: Path
    """The directory, or the archive file."""
    tool: str
    """What wrote it."""


class UnreadableSnapshot(NamedTuple):
    """What has the name of a snapshot, and does not tell what it holds."""

    id: str
    path: Path
    """The directory."""
    problem: str
    """Why not, in one sentence."""
    hint: str
    """What to do about it."""


class SnapshotContent(NamedTuple):
    """What a snapshot holds of one address."""

    address: Address
    id: str
    """Of the keystore that was copied."""
    revision: int
    """Of the last commit that it holds."""
    records: int
    bytes: int
    checksum: str
    """SHA-256 of the data file."""
    durability: str
    max_bytes: int | None
    labels: dict[str, str]


class Pruning(NamedTuple):
    """What became of the snapshots in one place."""

    kept: list[tuple[Snapshot, list[str]]]
    """Each with the rules that keep it, oldest first."""
    removed: list[Snapshot]
    """Oldest first; with ``dry_run`` those that would be removed."""
