"""Many records from elsewhere in one commit: what is there already, which revisions they keep, and when they expire."""

from __future__ import annotations

from pronto_lmdb import changes, clock
from pronto_lmdb.errors import ConflictError, InvalidValueError
from pronto_lmdb.record import encode_record
from pronto_lmdb.rows import AS_PUT, Rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.commit import Commit

SKIP, OVERWRITE, FAIL = "skip", "overwrite", "fail"
CONFLICTS = (SKIP, OVERWRITE, FAIL)


class Loader:
    """Writes batches of rows into one address, each in a transaction of its own.

    A row keeps the revision that it brings along if its key is free and the address has never given that number to
    anybody: it was higher than all of its own when the loading began, and nobody else wrote since. So a revision
    still names one content of a key. Any other row gets the revision of the commit that writes it.

    Args:
        on_conflict: what becomes of a row whose key is there: ``skip`` it, ``overwrite`` what is there, or ``fail``.

    Raises:
        InvalidValueError: for another word.

    Attributes:
        written: how many rows were written.
        skipped: how many were left out because their keys were there.
        expired: how many were left out because they had expired already.

    """

    __slots__ = ("_last", "_on_conflict", "_taken", "expired", "skipped", "written")

    def __init__(self, on_conflict: str) -> None:
        if on_conflict not in CONFLICTS:
            raise InvalidValueError(f"{on_conflict!r} is no way to meet a conflict.", "Use skip, overwrite or fail.")
        self._on_conflict = on_conflict
        self._taken = self._last = -1
        self.written = self.skipped = self.expired = 0

    def load(self, commit: Commit, rows: Rows) -> None:
        """Write rows in a commit.

        Raises:
            ConflictError: if a key is there, or comes twice, and the way is ``fail``; nothing is written then.

        """
        if commit.state.revision != self._last:  # the first batch, or somebody else wrote
            self._taken = commit.state.revision
        rows = self._without_expired(rows)
        rows = self._without_repeated(rows)
        set_key = commit.txn.cursor().set_key
        there = {key for key in rows.keys if set_key(key)}
        rows = self._without_live(commit, rows, there)
        revisions = self._numbered(commit, rows, there)
        defaults = commit.state.namespaces and AS_PUT in rows.expiries
        if defaults or (there and commit.state.expiring) or any(rows.expiries):
            _write_each(commit, rows, revisions, there)
        elif rows.keys:
            _write_plain(commit, rows, revisions)
        self.written += len(rows)
        self._last = commit.state.revision + bool(rows.keys)

    def _without_expired(self, rows: Rows) -> Rows:
        now = clock.now()
        if not any(rows.expiries) or not any(at and at <= now for at in rows.expiries):
            return rows
        left = [place for place, at in enumerate(rows.expiries) if not at or at > now]
        self.expired += len(rows) - len(left)
        return rows.chosen(left)

    def _without_repeated(self, rows: Rows) -> Rows:
        """Leave one row for each key: the last one where it may overwrite, else the first."""
        if len(set(rows.keys)) == len(rows):
            return rows
        places = range(len(rows))
        overwrites = self._on_conflict == OVERWRITE
        found = {rows.keys[place]: place for place in (places if overwrites else reversed(places))}
        if self._on_conflict == FAIL:
            raise _conflict(rows, next(place for place in places if found[rows.keys[place]] != place))
        kept = sorted(found.values())
        if overwrites:
            self.written += len(rows) - len(kept)
        else:
            self.skipped += len(rows) - len(kept)
        return rows.chosen(kept)

    def _without_live(self, commit: Commit, rows: Rows, there: set[bytes]) -> Rows:
        if self._on_conflict == OVERWRITE or not there:
            return rows
        live = {key for key in there if changes.live_record(commit, key) is not None}
        if not live:
            return rows
        if self._on_conflict == FAIL:
            raise _conflict(rows, next(place for place, key in enumerate(rows.keys) if key in live))
        left = [place for place, key in enumerate(rows.keys) if key not in live]
        self.skipped += len(rows) - len(left)
        return rows.chosen(left)

    def _numbered(self, commit: Commit, rows: Rows, there: set[bytes]) -> list[int] | None:
        """Return the revision of each row, ``None`` if all have that of the commit; the commit follows them all."""
        greatest = max(rows.revisions, default=0)
        if greatest <= self._taken:
            return None
        commit.raise_revision(greatest)
        own, taken = commit.state.revision + 1, self._taken
        if not there and min(rows.revisions) > taken:
            return rows.revisions
        pairs = zip(rows.keys, rows.revisions, strict=True)
        return [number if number > taken and key not in there else own for key, number in pairs]


def _write_plain(commit: Commit, rows: Rows, revisions: list[int] | None) -> None:
    now = clock.now()
    pairs = zip(rows.keys, rows.values, strict=True)
    if revisions is None:
        header = encode_record(b"", commit.state.revision + 1, now, None)
        entries = [(key, header + packed) for key, packed in pairs]
    else:
        headers = {number: encode_record(b"", number, now, None) for number in set(revisions)}
        entries = [(key, headers[number] + packed) for (key, packed), number in zip(pairs, revisions, strict=True)]
    commit.put_many(entries)


def _write_each(commit: Commit, rows: Rows, revisions: list[int] | None, there: set[bytes]) -> None:
    own = commit.state.revision + 1
    for place, (key, packed, at) in enumerate(zip(rows.keys, rows.values, rows.expiries, strict=True)):
        old = commit.get(key) if key in there else None
        if at == AS_PUT:
            lifetime = changes.default_lifetime(commit, key) if commit.state.namespaces else None
            at = None if lifetime is None else changes.deadline(lifetime)
        changes.store(commit, key, packed, at, old, own if revisions is None else revisions[place])


def _conflict(rows: Rows, place: int) -> ConflictError:
    return ConflictError(
        f"Line {rows.numbers[place]}: the key {rows.keys[place].decode()!r} is there already.",
        "on_conflict says what to do instead: skip such a line, or overwrite what is there.",
    )
