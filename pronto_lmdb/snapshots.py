"""Where snapshots lie: listing them, finding one, and changing which there are, one process at a time.

A snapshot is a directory with a manifest and a data file for each address. It gets its name when it is whole and on the
disk. What begins with a dot is none: half-made, or half removed, and swept by whoever comes next.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from pronto_lmdb.address import Address
from pronto_lmdb.content import UNTRUSTED
from pronto_lmdb.errors import FormatVersionError, ProntoError, SnapshotError
from pronto_lmdb.files import DirectoryLock, make_directory, read_text, remove_tree, sync_directory, write_durably
from pronto_lmdb.manifest import LARGEST, NAME, DamagedSnapshotError, Manifest
from pronto_lmdb.pool import pool
from pronto_lmdb.results import Snapshot, UnreadableSnapshot, instant
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pronto_lmdb.layout import Layout

    Unreadable = Callable[[UnreadableSnapshot], object]

NEW = ".new-"
GONE = ".gone-"
_ID = "%Y%m%d-%H%M%S-%f"
_ID_SIZE = len("20260131-235959-123456")
_RANDOM_DIGITS = 4
_UNKNOWN = "`pronto backup list` shows those that there are."


def make_id(microseconds: int) -> str:
    """Return a new id for a snapshot of this instant; ids sort by time."""
    return f"{instant(microseconds).strftime(_ID)}-{os.urandom(_RANDOM_DIGITS // 2).hex()}"


def is_id(name: str) -> bool:
    """Tell whether this can be the id of a snapshot."""
    if len(name) != _ID_SIZE + 1 + _RANDOM_DIGITS or not name.isascii() or name[_ID_SIZE] != "-":
        return False
    with suppress(ValueError):
        return bool(_instant_of(name)) and set(name[_ID_SIZE + 1 :]) <= set("0123456789abcdef")
    return False


def _instant_of(name: str) -> datetime:
    moment = datetime.strptime(name[:_ID_SIZE], _ID).replace(tzinfo=UTC)
    if moment.strftime(_ID) != name[:_ID_SIZE]:
        raise ValueError
    return moment


class Snapshots:
    """The snapshots in one directory.

    Args:
        place: the directory, which need not exist.
        timeout: seconds to wait for others who change which snapshots there are.

    """

    def __init__(self, place: str, timeout: float) -> None:
        self.place = place
        self._timeout = timeout

    # -- reading -----------------------------------------------------------------------------------------------

    def ids(self) -> list[str]:
        """Return the ids of all snapshots, oldest first."""
        try:
            with os.scandir(self.place) as entries:
                return sorted(item.name for item in entries if is_id(item.name) and item.is_dir(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise translated(error, self.place) from error

    def listed(self, unreadable: Unreadable | None = None) -> list[Snapshot]:
        """Return all snapshots with a manifest that can be read, oldest first.

        Args:
            unreadable: called with each of the others: one must not hide the rest, nor be passed over in silence.

        """
        found = []
        for name in self.ids():
            path = self.path(name)
            try:
                found.append(described(read_manifest(path), path))
            except (SnapshotError, FormatVersionError) as error:
                if unreadable is not None and os.path.isdir(path):  # somebody may have removed it just now
                    unreadable(_unreadable(name, path, error))
        return found

    def path(self, name: str) -> str:
        """Return the directory of a snapshot."""
        return os.path.join(self.place, name)

    # -- changing ----------------------------------------------------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who changes which snapshots there are, with the leftovers of killed processes removed.

        Raises:
            LockTimeoutError: if another process goes on with that for too long.

        """
        make_directory(self.place)
        with pool.passing(self.place, DirectoryLock) as lock:
            lock.acquire(self._timeout)
            for name in os.listdir(self.place):
                if name.startswith((NEW, GONE)) and is_id(name.removeprefix(NEW).removeprefix(GONE)):
                    remove_tree(os.path.join(self.place, name))
            yield

    def next_id(self, now: int) -> str:
        """Return an id that sorts behind all others, even if the clock was set back; the lock is held."""
        known = self.ids()
        if known:
            newest = _instant_of(known[-1])
            if newest >= instant(now):
                now = int(newest.timestamp()) * 1_000_000 + newest.microsecond + 1
        return make_id(now)

    def publish(self, built: str, name: str) -> str:
        """Give a finished snapshot its name, durably; return its directory. The lock is held."""
        path = self.path(name)
        try:
            os.rename(built, path)
        except OSError as error:
            raise translated(error, built) from error
        sync_directory(self.place)
        return path

    def remove(self, name: str) -> None:
        """Remove a snapshot: first its name, so that no part of it is ever taken for the whole. The lock is held."""
        doomed = os.path.join(self.place, GONE + name)
        try:
            os.rename(self.path(name), doomed)
        except OSError as error:
            raise translated(error, self.path(name)) from error
        sync_directory(self.place)
        remove_tree(doomed)


def _unreadable(name: str, path: str, error: ProntoError) -> UnreadableSnapshot:
    from pathlib import Path

    hint = "No command removes it: delete the directory yourself once another snapshot serves."
    if isinstance(error, FormatVersionError):
        hint = error.hint
    return UnreadableSnapshot(name, Path(path), error.problem, hint)


# -- finding one -----------------------------------------------------------------------------------------------------


def find(layout: Layout, given: str) -> str:
    """Return the directory of a snapshot, or its archive file.

    Args:
        layout: of the store.
        given: an id of a snapshot of this store, or the path of a snapshot or archive anywhere.

    Raises:
        SnapshotError: if there is none.

    """
    if is_id(given):
        path = os.path.join(layout.snapshots, given)
        if os.path.isdir(path) and not os.path.islink(path):
            return path
        elsewhere = read_text(path) if os.path.isfile(path) else None
        if elsewhere is not None and os.path.isdir(elsewhere):
            return elsewhere
        if not os.path.exists(given):
            where = f": is the disk of {elsewhere} mounted?" if elsewhere else "."
            raise SnapshotError(f"There is no snapshot {given} in {layout.snapshots}{where}", _UNKNOWN)
    if "\0" in given or (os.path.dirname(given) == "" and not os.path.exists(given)):
        raise SnapshotError(f"There is no snapshot {given!a}.", _UNKNOWN)
    path = os.path.realpath(given)
    if os.path.isfile(path) or os.path.isfile(os.path.join(path, NAME)):
        return path
    what = "is not there" if not os.path.exists(path) else "is neither a snapshot nor an archive of one"
    raise SnapshotError(f"{path} {what}.", "Name a snapshot by its id, its directory, or its archive file.")


def remember_elsewhere(layout: Layout, name: str, path: str) -> None:
    """Note where a snapshot of this store lies, so that its id alone finds it."""
    if os.path.dirname(path) == os.path.realpath(layout.snapshots):
        return  # not elsewhere
    make_directory(layout.snapshots)
    write_durably(os.path.join(layout.snapshots, name), path)


def forget_elsewhere(layout: Layout, name: str) -> None:
    """Remove the note of a snapshot that is gone."""
    with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        os.unlink(os.path.join(layout.snapshots, name))


def read_manifest(path: str) -> Manifest:
    """Return the manifest in the directory of a snapshot.

    Raises:
        DamagedSnapshotError: if it is damaged, or that of another snapshot.
        FormatVersionError: if a newer release wrote it.
        SnapshotError: if there is none, or something else.

    """
    name = os.path.join(path, NAME)
    try:
        descriptor = os.open(name, UNTRUSTED)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
                raise SnapshotError(f"{name} is no manifest.", "Use another snapshot.")
            with open(descriptor, "rb", closefd=False) as file:
                return _at_home(Manifest.decode(file.read(), name), path)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise SnapshotError(f"{path} is no snapshot: it has no manifest.", _UNKNOWN) from error
    except OSError as error:
        raise SnapshotError(f"{name} cannot be read: {error.strerror}.", "Use another snapshot.") from error


def _at_home(manifest: Manifest, path: str) -> Manifest:
    """Return a manifest, unless the directory has the id of another snapshot."""
    name = os.path.basename(path)
    if is_id(name) and manifest.id != name:
        raise DamagedSnapshotError(f"{path} has the manifest of {manifest.id!a}.", "Use another snapshot.")
    return manifest


def described(manifest: Manifest, path: str, known: Iterable[Address] = ()) -> Snapshot:
    """Return what a user is told about a snapshot.

    Args:
        manifest: of the snapshot.
        path: where it lies.
        known: addresses that need not be read from their texts again.

    """
    from pathlib import Path

    parsed = {str(address): address for address in known}
    try:
        return Snapshot(
            manifest.id,
            instant(manifest.created_at),
            manifest.label,
            tuple([parsed.get(name) or Address.parse(name) for name in manifest.names()]),
            sum([fields["records"] for fields in manifest.fields()]),
            sum([fields["bytes"] for fields in manifest.fields()]),
            Path(path),
            manifest.tool,
        )
    except (ValueError, TypeError, KeyError) as error:
        raise SnapshotError(f"{manifest.place} describes addresses that cannot be.", "Use another snapshot.") from error
