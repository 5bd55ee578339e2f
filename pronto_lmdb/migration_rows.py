"""From the rows of an old database to the records of an address: which row counts, under which key, until when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from msgpack import Packer

from pronto_lmdb.errors import InvalidKeyError
from pronto_lmdb.key import encode_key
from pronto_lmdb.legacy_database import LAST_SECOND, understood
from pronto_lmdb.legacy_keys import Named, Parts, SimpleKeys, meta_context, named, names_key
from pronto_lmdb.values import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pronto_lmdb.legacy_database import Database, RawRow, Row

# LMDB's own limit: what was stored once is kept, whatever the setting for new values says.
_LARGEST_VALUE = 2**32 - 4096
_SHOWN = 100

LAST, FIRST, BOTH = DUPLICATES = ("last", "first", "both")


@dataclass(frozen=True)
class Choice:
    """What becomes of rows that are not simply one value of one key.

    Attributes:
        duplicates: which of several rows of a key counts: ``last``, the one written last, ``first``, the one that the
            old program showed, or ``both``: the last, and the older ones under contexts of their own.
        include_expired: whether what has expired is kept, without an expiry.
        split_meta: whether what was stored under a meta context goes to an address of its own.

    """

    duplicates: str = LAST
    include_expired: bool = False
    split_meta: bool = False


@dataclass(frozen=True)
class Share:
    """The part of a database that becomes one address.

    Attributes:
        database: where the rows are.
        meta: the meta context of them, where it gets an address of its own.
        contexts: the meta contexts that stay in the keys.

    """

    database: Database
    meta: str | None
    contexts: frozenset[str]

    def groups(self, *, split: bool) -> Iterator[list[RawRow]]:
        """Yield the rows of each key of this part; ``split`` says whether other parts have meta contexts."""
        found = self.database.groups(self.meta)
        if self.meta is None and split:
            return (group for group in found if not is_own(meta_context(str(group[0][0]))))
        return found


class Record(NamedTuple):
    """What is to be stored. Times are microseconds since 1970 UTC."""

    key: bytes
    packed: bytes
    updated_at: int
    expires_at: int | None


@dataclass
class Tally:
    """What the rows of an address came to."""

    rows: int = 0
    """All that there are."""
    records: int = 0
    """What is stored for them: an older value that is kept is one more, and so is the entry behind a hashed key."""
    superseded: int = 0
    """Rows that were overwritten, and stayed in the file by a defect of the old program."""
    older_kept: int = 0
    """Those of them that are stored all the same."""
    expired: int = 0
    """Rows whose time was over."""
    with_context: int = 0
    expiring: int = 0
    encoded: int = 0
    """Records whose keys did not fit."""
    encoded_keys: dict[str, str] = field(default_factory=dict)
    """The first of them: the key, and what it stands for."""


def is_own(context: str | None) -> bool:
    """Tell whether a meta context can be an address of its own: `default` is the user of those that have none."""
    return context is not None and context != "default"


def records(share: Share, choice: Choice, now: int, tally: Tally) -> Iterator[Record]:
    """Yield what is to be stored for the rows of an address.

    Args:
        share: the rows.
        choice: which of them count.
        now: the instant that decides what has expired.
        tally: is counted on.

    """
    simple_key = SimpleKeys(share.contexts).encoded
    pack_text = Packer().pack
    is_utf8 = share.database.is_utf8
    for group in share.groups(split=choice.split_meta):
        tally.rows += len(group)
        project, namespace, key, context, value, updated_at, expires_at = group[0]
        # Most rows are the only one of a plain key, and never expire: these must not take long.
        if len(group) == 1 and context is expires_at is None and type(value) is str and type(updated_at) is int:
            encoded = simple_key(project, namespace, key) if is_utf8 else None
            if encoded is not None and 0 <= updated_at < LAST_SECOND:
                tally.records += 1
                yield Record(encoded, pack_text(value), updated_at * 1_000_000, None)
                continue
        yield from _careful(group, share.contexts, choice, now, tally)


def _careful(group: list[RawRow], contexts: frozenset[str], choice: Choice, now: int, tally: Tally) -> Iterator[Record]:
    """Yield what is to be stored for the rows of one key."""
    told = [understood(row) for row in group]
    parts = told[0][0]
    tally.superseded += len(group) - 1
    for older, row in _counting([row for _, row in told], choice.duplicates):
        if row.expires_at is not None and row.expires_at <= now:
            tally.expired += 1
            if not choice.include_expired:
                continue
            row = row._replace(expires_at=None)
        name = named(parts, contexts, older=older, keeps_older=choice.duplicates == BOTH)
        _count(tally, name, parts, row, older)
        yield from _stored(name, row)


def _counting(rows: list[Row], duplicates: str) -> list[tuple[int, Row]]:
    """Return the rows that count, each with 0, or with its number if it is an older one."""
    if duplicates == FIRST:
        return [(0, rows[0])]
    if duplicates == BOTH:
        return [*enumerate(rows[:-1], 1), (0, rows[-1])]
    return [(0, rows[-1])]


def _count(tally: Tally, name: Named, parts: Parts, row: Row, older: int) -> None:
    tally.records += 1 + name.is_hashed
    tally.older_kept += older > 0
    tally.with_context += parts.context is not None
    tally.expiring += row.expires_at is not None
    if name.spelled_out is not None:
        tally.encoded += 1
        if len(tally.encoded_keys) < _SHOWN:
            tally.encoded_keys[name.key] = name.spelled_out


def _stored(name: Named, row: Row) -> Iterator[Record]:
    yield Record(encode_key(name.key), pack(row.value, _LARGEST_VALUE), row.updated_at, row.expires_at)
    if name.is_hashed:
        spelled = pack(name.spelled_out, _LARGEST_VALUE)
        yield Record(encode_key(names_key(name.key)), spelled, row.updated_at, row.expires_at)


def defaults(share: Share, *, split: bool) -> tuple[dict[str, int], list[str]]:
    """Return the default TTLs of the namespaces in an address, in seconds, and what cannot be kept of them.

    Args:
        share: the part of the database.
        split: whether other parts have meta contexts.

    """
    kept: dict[str, int] = {}
    dropped = []
    for project, namespace, ttl in share.database.namespaces():
        context = meta_context(project)
        if split and (context if is_own(context) else None) != share.meta:
            continue
        own = project.removeprefix(f"{context}.") if share.meta is not None else project
        name = f"{own}.{namespace}"
        if ttl is None:
            dropped.append(f"{name}: it has no default TTL that could be kept")
        elif not own or not namespace or name.count(".") != 1 or not _fits(name):
            dropped.append(f"{name}: no namespace can have this name; its records keep their own expiry")
        else:
            kept[name] = ttl
    return kept, dropped


def _fits(namespace: str) -> bool:
    try:
        encode_key(namespace)
    except InvalidKeyError:
        return False
    return True
