"""Index and counters of a keystore made anew from its records, in one commit."""

from __future__ import annotations

from pronto_lmdb.combining import run
from pronto_lmdb.identity import LEVELS, Identity
from pronto_lmdb.record import (
    EXPIRY,
    FIRST_USER_KEY,
    IDENTITY,
    NAMESPACE_TTL,
    STATE,
    expired_key,
    expiry_entry,
    is_readable_default,
    readable_header,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pronto_lmdb.commit import Commit
    from pronto_lmdb.journaled_commit import JournaledCommit


class Reindexing:
    """What must change so that everything in a keystore fits together; it is applied by :meth:`apply`.

    Args:
        commit: a transaction in which nothing was changed yet.

    Attributes:
        unreadable: entries that nothing can be made of: names and contents.
        changes: how many entries are put or removed.

    """

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._puts: list[tuple[bytes, bytes]] = []
        self._removed: list[bytes] = []
        self._expiring = self._namespaces = 0
        self._newest = commit.state.revision
        self.unreadable: list[tuple[bytes, bytes]] = []
        for key, stored in commit.txn.cursor():
            if key >= FIRST_USER_KEY:
                self._look_at_record(key, stored)
            elif key.startswith(EXPIRY):
                self._look_at_index(key)
            elif key.startswith(NAMESPACE_TTL):
                self._look_at_default(key, stored)
            elif key not in (IDENTITY, STATE):
                self.unreadable.append((key, stored))
        self.changes = len(self._puts) + len(self._removed) + len(self.unreadable)

    def _look_at_record(self, key: bytes, record: bytes) -> None:
        header = readable_header(key, record, deep=True)
        if header is None:
            self.unreadable.append((key, record))
            return
        revision, _, expires_at = header
        self._newest = max(self._newest, revision)
        if expires_at is not None:
            self._expiring += 1
            entry = expiry_entry(expires_at, key)
            if self._commit.get(entry) is None:
                self._puts.append((entry, b""))

    def _look_at_index(self, entry: bytes) -> None:
        key = expired_key(entry)
        record = self._commit.get(key) if key else None
        header = None if record is None else readable_header(key, record, deep=True)
        expires_at = None if header is None else header[2]
        if expires_at is None or expiry_entry(expires_at, key) != entry:
            self._removed.append(entry)

    def _look_at_default(self, entry: bytes, stored: bytes) -> None:
        if is_readable_default(entry, stored):
            self._namespaces += 1
        else:
            self.unreadable.append((entry, stored))

    def apply(self) -> None:
        """Change all that in the transaction, which is still to be committed."""
        commit = self._commit
        for key, value in self._puts:
            commit.put(key, value)
        for key in (*self._removed, *(key for key, _ in self.unreadable)):
            commit.delete(key)
        state = commit.state
        state.expiring, state.namespaces, state.revision = self._expiring, self._namespaces, self._newest
        state.generation += 1  # so that the state is stored, whatever it said before
        identity = Identity.decode(commit.get(IDENTITY), "The keystore")
        level = next((name for name, number in LEVELS.items() if number == state.level), "full")
        state.level = LEVELS[level]
        commit.put(IDENTITY, identity.changed(durability=level).encode())


def reindex(commit: JournaledCommit, keep: Callable[[list[tuple[bytes, bytes]]], None]) -> int:
    """Make index and counters fit the records, and commit that.

    Args:
        commit: a transaction in which nothing was changed yet; it is ended.
        keep: gets the entries that nothing can be made of, before they are removed.

    Returns:
        How many entries were changed.

    Raises:
        FormatVersionError: if a newer release wrote a record; nothing is changed then.

    """

    def apply(commit: Commit) -> int:
        found = Reindexing(commit)
        if found.unreadable:
            keep(found.unreadable)
        found.apply()
        return found.changes

    return run(commit, apply)
