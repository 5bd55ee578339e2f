"""One keystore made whole again: from base and journal, from its data file, or from whatever can still be read.

The better of the two sources wins: base and journal, unless the data file is whole and newer. Only where both are
damaged their pages are read one by one. Whatever is replaced lies in the trash afterwards.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from tempfile import TemporaryDirectory

import lmdb

from pronto_lmdb.base import BASE, damage_of_base
from pronto_lmdb.creation import build
from pronto_lmdb.data_files import DATA_FILE, damage
from pronto_lmdb.directory import Directory
from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import CorruptStoreError, LockTimeoutError, StoreFullError
from pronto_lmdb.files import move
from pronto_lmdb.forks import gate
from pronto_lmdb.identity import DELETED, LIVE, OFF, Identity, State
from pronto_lmdb.inspection import deep_problems
from pronto_lmdb.journal import PREFIX, journal_name
from pronto_lmdb.journal_format import Header, frames
from pronto_lmdb.journaled import JournaledEnvironment
from pronto_lmdb.journaled_commit import JournaledCommit
from pronto_lmdb.marker import MARKER, TRUSTED, is_of_this_boot, mark, trust
from pronto_lmdb.notes import UNMADE_MARK
from pronto_lmdb.pool import pool
from pronto_lmdb.record import (
    EXPIRY,
    FIRST_USER_KEY,
    IDENTITY,
    NAMESPACE_TTL,
    expiry_entry,
    header_of,
    is_readable_default,
    readable_header,
)
from pronto_lmdb.recovery import REBUILD, TORN, content_of, header_behind, last_frame_behind, open_base, recover, replay
from pronto_lmdb.reindex import reindex
from pronto_lmdb.salvage import DamagedFile
from pronto_lmdb.steps import no_delay
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pronto_lmdb.attic import Attic
    from pronto_lmdb.layout import Layout

    Entries = dict[bytes, bytes]

_DAMAGED = "it is damaged"


class Mending:
    """The repair of one keystore; the life-cycle lock of the store is held.

    Args:
        path: its directory.
        layout: where things are in the store.
        owner: the number that stands for the store in the pool.
        timeout: seconds to wait for others who have it open.
        attic: takes what cannot be kept.

    Attributes:
        done: what was changed.
        lost: what could not be saved.

    """

    def __init__(self, path: str, layout: Layout, owner: int, timeout: float, attic: Attic) -> None:
        self._path = path
        self._layout = layout
        self._owner = owner
        self._timeout = timeout
        self._attic = attic
        self.done: list[str] = []
        self.lost: list[str] = []

    def mend(self, known: Identity | None) -> None:
        """Make the keystore whole, as far as anything is left of it.

        Args:
            known: what the catalog says of it, if anything.

        Raises:
            LockTimeoutError: if somebody has it open.
            FormatVersionError: if a newer release wrote it; nothing is changed then.
            StoreFullError: if the disk refuses.

        """
        try:
            with self._alone() as directory:
                self._put_obstacles_aside(directory)
                truth, view = self._truth(directory), _view(directory)
                if truth is None and view is None:
                    self._salvage(directory, known)
                    return
                if _is_better(directory, view, truth):
                    if truth is None and trust(directory) != TRUSTED:
                        self.lost.append("nothing vouches for the data file, and nothing else is left: it may be wrong")
                    self._trust_view(directory)
                    truth = None
                else:
                    self._make_view(directory, truth, view)
            if truth is None:
                self._save_view()
            self._set_entries_right()
        except (lmdb.Error, OSError) as error:
            raise translated(error, self._path) from error

    def make_anew(self) -> None:
        """Make a view anew that looks right. Raises what :meth:`mend` does, and CorruptStoreError for damage."""
        try:
            self._save_unjournaled()
            with self._alone() as directory:
                self._require_room(directory)
                recover(directory)
        except (lmdb.Error, OSError) as error:
            raise translated(error, self._path) from error
        self.done.append("the data file was made anew")

    def _require_room(self, directory: Directory) -> None:
        """Refuse to give up a view that can be read for one for which there may be no room."""
        if not hasattr(os, "statvfs"):
            return
        files = (os.path.join(self._path, name) for name in directory.names())
        needed = 2 * sum(os.path.getsize(file) for file in files)
        disk = os.statvfs(self._path)
        if disk.f_bavail * disk.f_frsize < needed:
            raise StoreFullError(
                f"{self._path}: there is no room to make the data file anew.",
                f"Free {needed:,} bytes, then try again.",
            )

    def _alone(self) -> Directory:
        pool.discard_at(self._path)
        directory = Directory(self._path)
        if not directory.seclude(self._timeout):
            directory.close()
            raise LockTimeoutError(f"{self._path} is in use.", "Close it in all processes, then repair it.")
        return directory

    def _put_obstacles_aside(self, directory: Directory) -> None:
        for name in directory.names():
            path = os.path.join(self._path, name)
            if os.path.islink(path) or (os.path.isdir(path) and name != REBUILD):
                self.done.append(f"{self._attic.take(path, 'it lay where a file belongs')} lay where a file belongs")
            elif name.startswith(TORN):
                place = self._attic.take(path, "it is damaged, and has what is lost")
                self.lost.append(f"what was written behind the damage of {name}, which is {place} now")

    # -- what there is -----------------------------------------------------------------------------------------

    def _truth(self, directory: Directory) -> State | None:
        """Return the state with which a recovery would end; ``None`` if base and journal are no good."""
        with TemporaryDirectory(prefix="pronto-check-") as scratch, suppress(CorruptStoreError, FileNotFoundError):
            handle, base = open_base(directory, os.path.join(scratch, "copy"))
            try:
                header = header_behind(directory, base)
                last, _ = replay(handle, content_of(directory, journal_name(header.journal)), header)
                with handle.begin() as txn:
                    Identity.decode(txn.get(IDENTITY), self._path)
                return last or base
            finally:
                handle.close()
        return None

    # -- one of the two is whole -------------------------------------------------------------------------------

    def _make_view(self, directory: Directory, truth: State | None, view: State | None) -> None:
        assert truth is not None
        if truth.level == OFF and view is None and directory.stat(DATA_FILE) is not None:
            place = self._attic.keep_copies(directory, [DATA_FILE], _DAMAGED)
            self.lost.append(f"what was written at the level off since the last sync(); the data file is in {place}")
        last = last_frame_behind(directory, truth)
        if last > truth.revision:
            place = self._attic.keep_copies(directory, _truth_files(directory), _DAMAGED)
            self.lost.append(f"revisions {truth.revision + 1} to {last}: the journal is damaged; it is in {place}")
        directory.unlink(MARKER)
        recover(directory)
        self.done.append(f"the data file was made anew from base and journal, up to revision {truth.revision}")

    def _trust_view(self, directory: Directory) -> None:
        names = _truth_files(directory)
        place = self._attic.keep_copies(directory, names, _DAMAGED)
        if BASE in names and damage_of_base(directory.place(BASE)) is not None:
            directory.unlink(BASE)
        mark(directory)
        self.done.append(f"base and journal were made anew from the data file; the old ones are in {place}")

    def _save_view(self) -> None:
        """Make a new base and a new journal, whatever the old ones are like."""
        commit = self._begin()
        try:
            commit.checkpoint()
        finally:
            commit.abort()

    def _save_unjournaled(self) -> None:
        commit = self._begin()
        if commit.state.level == OFF:
            commit.sync()
        else:
            commit.abort()

    def _set_entries_right(self) -> None:
        if not self._entry_problems():
            return
        changed = reindex(self._begin(), self._keep)
        self.done.append(f"index and counters were made anew, {changed} entries changed")

    def _entry_problems(self) -> list[str]:
        while True:
            with suppress(StaleEnvironment):
                return opened(self._path, self._owner).read(lambda txn: deep_problems(txn, self._path))

    def _keep(self, entries: list[tuple[bytes, bytes]]) -> None:
        text = "".join(json.dumps({"key": key.hex(), "record": record.hex()}) + "\n" for key, record in entries)
        place = self._attic.keep_text(self._path, text, "these entries cannot be read")
        self.lost.append(f"{len(entries)} entries that cannot be read; they are in {place}")

    def _begin(self) -> JournaledCommit:
        return begin(self._path, self._owner, self._timeout)

    # -- neither is --------------------------------------------------------------------------------------------

    def _salvage(self, directory: Directory, known: Identity | None) -> None:
        entries = _gathered(directory)
        identity = _identity_in(entries) or known
        records = {key: record for key, record in entries.items() if key >= FIRST_USER_KEY and _is_record(key, record)}
        if identity is None:
            place = self._attic.take(self._path, "nothing in it says whose it is")
            self.lost.append(f"nothing in it says whose it is; it lies in {place}")
            return
        defaults = {key: stored for key, stored in entries.items() if _is_default(key, stored)}
        built = self._built(identity, records, defaults)
        place = self._attic.take(self._path, _DAMAGED)
        move(built, self._path)
        self.done.append(f"{len(records)} records were read from what is left, and a new keystore was made of them")
        self.lost.append(f"base, journal and data file are damaged: records may be missing or old; they are in {place}")

    def _built(self, identity: Identity, records: Entries, defaults: Entries) -> str:
        headers = {key: header_of(record) for key, record in records.items()}
        index = {
            expiry_entry(expires_at, key): b"" for key, (_, _, expires_at) in headers.items() if expires_at is not None
        }
        newest = max((revision for revision, _, _ in headers.values()), default=0)
        state = State(LIVE, 1, newest + 1, len(index), len(defaults))
        if identity.deleted_at is not None:
            state.status = DELETED
        inside = self._layout.is_inside(self._path)
        built = os.path.join(self._layout.pending, identity.id) if inside else f"{self._path}{UNMADE_MARK}{identity.id}"
        build(built, identity, state, {**defaults, **index, **records}.items())
        return built


def opened(path: str, owner: int) -> JournaledEnvironment:
    """Return the open environment of a keystore, whoever it belongs to and whatever its status.

    Raises:
        CorruptStoreError: if there is none.

    """
    environment = pool.peek(path, owner)
    if not isinstance(environment, JournaledEnvironment):
        raise CorruptStoreError(f"{path} has gone.", "Was it moved?")
    return environment


def begin(path: str, owner: int, timeout: float) -> JournaledCommit:
    """Begin to write to a keystore, whoever it belongs to and whatever its status."""
    while True:
        with suppress(StaleEnvironment):
            return JournaledCommit(opened(path, owner), None, timeout, no_delay)


def _view(directory: Directory) -> State | None:
    """Return the state in a data file that is whole; ``None`` if it is not."""
    if directory.stat(DATA_FILE) is None or damage(directory.place(DATA_FILE)) is not None:
        return None
    with gate.passed():
        handle = lmdb.open(directory.place("."), readonly=True, lock=False, create=False)
        try:
            with handle.begin() as txn, suppress(CorruptStoreError):
                Identity.decode(txn.get(IDENTITY), directory.path)
                return State.read(txn, directory.path, txn.id())
            return None
        finally:
            handle.close()


def _is_better(directory: Directory, view: State | None, truth: State | None) -> bool:
    """Tell whether to go on from the data file, and not from base and journal."""
    if view is None or truth is None:
        return truth is None
    newer = view.revision > truth.revision
    return newer if is_of_this_boot(directory) else view.level == OFF and newer


def _truth_files(directory: Directory) -> list[str]:
    return [name for name in directory.names() if name == BASE or name.startswith(PREFIX)]


# -- reading what is left ----------------------------------------------------------------------------------------------


def _gathered(directory: Directory) -> Entries:
    """Return the newest readable form of every entry that any file still holds."""
    entries: Entries = {}
    if directory.stat(BASE) is not None:
        # A base has no free pages, so no page of it is out of date.
        _overlay(entries, DamagedFile(directory.place(BASE)).all_pages())
    journals = [name for name in directory.names() if name.startswith(PREFIX)]
    for _, changes in sorted(_replayed(directory, journals), key=lambda found: found[0]):
        for key, value in changes:
            if value is None:
                entries.pop(key, None)
            else:
                entries[key] = value
    if directory.stat(DATA_FILE) is not None:
        _overlay(entries, DamagedFile(directory.place(DATA_FILE)).reachable())
    return entries


def _replayed(directory: Directory, journals: list[str]) -> Iterator[tuple[int, list[tuple[bytes, bytes | None]]]]:
    """Yield revision and changes of each frame that can be read in any journal."""
    for name in journals:
        with suppress(CorruptStoreError, ValueError):  # an empty file cannot be mapped
            header = Header.decode(directory.read(name) or b"", name)
            for frame in frames(content_of(directory, name), header):
                yield frame.state.revision, list(frame.changes())


def _overlay(entries: Entries, found: Iterable[tuple[bytes, bytes]]) -> None:
    """Take what is readable and newer."""
    for key, value in found:
        if key == IDENTITY:
            with suppress(CorruptStoreError):
                Identity.decode(value, "")
                entries[key] = value
        elif key.startswith(NAMESPACE_TTL):
            entries.setdefault(key, value)
        elif key >= FIRST_USER_KEY and not key.startswith(EXPIRY) and _is_record(key, value):
            mine = entries.get(key)
            if mine is None or header_of(mine)[0] < header_of(value)[0]:
                entries[key] = value


def _is_record(key: bytes, record: bytes) -> bool:
    """Tell whether an entry is a record; in a damaged page one of another format is no record either."""
    with suppress(Exception):
        return 0 < len(key) <= 500 and readable_header(key, record, deep=True) is not None
    return False


def _is_default(key: bytes, stored: bytes) -> bool:
    return key.startswith(NAMESPACE_TTL) and is_readable_default(key, stored)


def _identity_in(entries: Entries) -> Identity | None:
    with suppress(CorruptStoreError):
        return Identity.decode(entries.get(IDENTITY), "")
    return None
