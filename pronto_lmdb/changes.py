"""What the writing verbs do inside a transaction: records, the expiry index and the counters, always in step."""

from __future__ import annotations

from itertools import islice

from pronto_lmdb import clock
from pronto_lmdb.errors import InvalidKeyError
from pronto_lmdb.key import Key
from pronto_lmdb.moment import Moment
from pronto_lmdb.record import (
    NAMESPACE_TTL,
    PLAIN,
    decode_ttl,
    encode_record,
    expired_key,
    expiry_entry,
    expiry_of,
    is_live,
    plain_header,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.commit import Commit

SWEEP_BATCH = 10_000


def live_record(commit: Commit, key: bytes) -> bytes | None:
    """Return the record of a key unless it has expired."""
    record = commit.get(key)
    return record if record is not None and is_live(record, clock.now()) else None


def put(commit: Commit, key: bytes, packed: bytes, lifetime: int | None) -> None:
    """Write a value anew: with its own lifetime in microseconds, or that of its namespace, or none."""
    state = commit.state
    if lifetime is None and not state.namespaces and not state.expiring:
        commit.put(key, plain_header(PLAIN, state.revision + 1, clock.now()) + packed)
        return
    if lifetime is None and state.namespaces:
        lifetime = default_lifetime(commit, key)
    # Only where some record has an expiry can the one being replaced have an index entry.
    old = commit.get(key) if state.expiring else None
    store(commit, key, packed, None if lifetime is None else deadline(lifetime), old)


def put_all(commit: Commit, keys: list[bytes], values: list[bytes]) -> None:
    """Write many packed values anew."""
    state = commit.state
    if state.namespaces or state.expiring:
        for key, packed in zip(keys, values, strict=True):
            put(commit, key, packed, None)
    else:
        header = plain_header(PLAIN, state.revision + 1, clock.now())
        commit.put_many([(key, header + packed) for key, packed in zip(keys, values, strict=True)])


def store(
    commit: Commit, key: bytes, packed: bytes, expires_at: int | None, old: bytes | None, revision: int | None = None
) -> None:
    """Write a record, with the revision of the commit unless it has one, and keep the expiry index in step with it."""
    state = commit.state
    if old is not None:
        _unindex(commit, key, old)
    if expires_at is not None:
        commit.put(expiry_entry(expires_at, key), b"")
        state.expiring += 1
    number = state.revision + 1 if revision is None else revision
    commit.put(key, encode_record(packed, number, clock.now(), expires_at))


def delete(commit: Commit, key: bytes) -> bool:
    """Remove a record; an expired one goes too, but does not count."""
    if not commit.state.expiring:
        return commit.delete(key)
    record = commit.get(key)
    if record is None:
        return False
    _unindex(commit, key, record)
    commit.delete(key)
    return is_live(record, clock.now())


def _unindex(commit: Commit, key: bytes, record: bytes) -> None:
    expires_at = expiry_of(record)
    if expires_at is not None and commit.delete(expiry_entry(expires_at, key)):
        commit.state.expiring -= 1


def sweep_batch(commit: Commit) -> int:
    """Remove some of what has expired, oldest first; return how many, SWEEP_BATCH if there may be more."""
    moment = Moment(commit.txn, clock.now(), commit.state)
    entries = list(islice(moment.expired_entries(), SWEEP_BATCH))
    for entry in entries:
        commit.delete(expired_key(entry))
        commit.delete(entry)
        commit.state.expiring -= 1
    return len(entries)


def default_lifetime(commit: Commit, key: bytes) -> int | None:
    """Return the lifetime that the namespace of a key gives it, in microseconds."""
    try:
        parsed = Key.parse(key.decode())
    except InvalidKeyError:
        return None
    stored = commit.get(NAMESPACE_TTL + f"{parsed.project}.{parsed.namespace}".encode())
    return None if stored is None else decode_ttl(stored)


def set_default(commit: Commit, name: bytes, ttl: bytes) -> None:
    """Write the default TTL of a namespace under the name of its entry."""
    if commit.get(name) is None:
        commit.state.namespaces += 1
    commit.put(name, ttl)


def drop_default(commit: Commit, name: bytes) -> None:
    """Remove the default TTL of a namespace."""
    if commit.delete(name):
        commit.state.namespaces -= 1


def deadline(lifetime: int) -> int:
    """Return the instant at which a lifetime that begins now ends, in microseconds."""
    return min(clock.now() + lifetime, clock.LAST_INSTANT)
