"""The verbs of a store that take snapshots, look at them, bring back what they hold, and remove them."""

from __future__ import annotations

import os
from contextlib import contextmanager

from pronto_lmdb import clock
from pronto_lmdb.address import Address
from pronto_lmdb.address_verbs import AddressVerbs
from pronto_lmdb.errors import CorruptStoreError, InvalidValueError, SnapshotError
from pronto_lmdb.values import is_encodable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pronto_lmdb.results import AddressInfo, Pruning, Report, Snapshot, SnapshotContent
    from pronto_lmdb.snapshots import Snapshots, Unreadable

    Progress = Callable[[int, int], None]
    Path = str | os.PathLike[str]

_LONGEST_LABEL = 1000
_MOST_WORKERS = 64


class SnapshotVerbs(AddressVerbs):
    """The snapshots of a store.

    A snapshot is named by its id, by the :class:`Snapshot` itself, or by the path of its directory or archive.
    """

    def backup(
        self,
        addresses: Iterable[Address | str] | Address | str | None = None,
        label: str | None = None,
        dest: Path | None = None,
        *,
        archive: Path | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> Snapshot:
        """Take a snapshot while everybody goes on: each address as of one moment, whole and on the disk at the end.

        An address in which nothing was committed since the snapshot before takes no room.

        Args:
            addresses: which; by default all.
            label: a text to know it by.
            dest: another directory for it, such as on another disk; by default the store's own.
            archive: a file to write it to instead, ``.tar.gz``, to carry away.
            workers: how many threads read.
            progress: called with the number of addresses done, and of all.

        Raises:
            AddressNotFoundError: if an address does not exist.
            SnapshotError: if there is nothing to take a snapshot of.
            LockTimeoutError: if another backup goes on for too long.
            StoreFullError: if there is no room; nothing is left of it then.

        """
        from pronto_lmdb.taking import WORKERS

        _check_backup(label, workers)
        if dest is not None and archive is not None:
            raise InvalidValueError("A snapshot goes to a directory or to an archive.", "Give dest or archive.")
        self.check_open()
        if dest is None and archive is None:
            self._check_writable()
        chosen, named = self._chosen(addresses)
        workers = workers or WORKERS
        if archive is not None:
            return self._pack(chosen, label, os.path.realpath(archive), workers, named=named, progress=progress)
        place = self._snapshots(dest)
        with place.locked():
            snapshot = self._taken(place, chosen, label, workers, named=named, progress=progress)
        if dest is not None and not self.readonly:
            from pronto_lmdb.snapshots import remember_elsewhere

            remember_elsewhere(self._layout, snapshot.id, str(snapshot.path))
        return snapshot

    def snapshots(self, dest: Path | None = None, *, unreadable: Unreadable | None = None) -> list[Snapshot]:
        """Return the snapshots with a manifest that can be read, oldest first.

        Args:
            dest: another directory with snapshots; by default those of the store.
            unreadable: called with each of the others, such as ``found.append``.

        """
        self.check_open()
        return self._snapshots(dest).listed(unreadable)

    def contents(self, snapshot: Snapshot | Path) -> list[SnapshotContent]:
        """Return what a snapshot holds, sorted by the bytes of the addresses' texts.

        Raises:
            SnapshotError: if there is no such snapshot, or what its manifest says cannot be.

        """
        from pronto_lmdb.results import SnapshotContent
        from pronto_lmdb.snapshots import read_manifest

        path = self._find(snapshot)
        if os.path.isfile(path):
            from pronto_lmdb.archive import read_packed_manifest

            manifest = read_packed_manifest(path)
        else:
            manifest = read_manifest(path)
        return [
            SnapshotContent(
                Address.parse(entry.address), entry.id, entry.revision, entry.records, entry.bytes, entry.checksum,
                entry.durability, entry.max_bytes, entry.labels,
            )
            for entry in manifest.entries()
        ]  # fmt: skip

    def snapshot(self, snapshot: Snapshot | Path) -> Snapshot:
        """Return what there is to know about one snapshot.

        Raises:
            SnapshotError: if there is no such snapshot, or its manifest cannot be read.

        """
        return _described(self._find(snapshot))

    def verify(self, snapshot: Snapshot | Path, *, deep: bool = False, progress: Progress | None = None) -> Report:
        """Compare a snapshot with its checksums, and read it from end to end; nothing is changed.

        Args:
            snapshot: which.
            deep: read every value as well.
            progress: called with the number of addresses done, and of all.

        Returns:
            What is wrong.

        Raises:
            SnapshotError: if there is no such snapshot, or no manifest to compare it with.

        """
        from pronto_lmdb.manifest import DamagedSnapshotError
        from pronto_lmdb.restoring import verify
        from pronto_lmdb.results import Problem, Report

        try:
            with self._unpacked(self._find(snapshot), None) as place:
                return verify(place, progress, deep=deep)
        except DamagedSnapshotError as error:
            return Report(ok=False, problems=[Problem(None, error.problem)])

    def restore(
        self,
        snapshot: Snapshot | Path,
        addresses: Iterable[Address | str] | Address | str | None = None,
        to: Address | str | None = None,
        overwrite: bool = False,
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> list[AddressInfo]:
        """Bring back addresses as a snapshot holds them, while everybody goes on.

        All of them are looked at and built beside before the first gets its place. A keystore that is replaced goes to
        the trash.

        Args:
            snapshot: which, of this store or of any other.
            addresses: what to restore; by default all that it holds.
            to: another name, for exactly one address.
            overwrite: whether addresses that exist may be replaced.
            dry_run: change nothing, but look at everything as if it were restored.
            progress: called with the number of addresses built, and of all.

        Returns:
            What was restored; with ``dry_run`` nothing.

        Raises:
            AddressExistsError: if an address exists, and may not be replaced. Nothing is changed then.
            AddressNotFoundError: if the snapshot does not hold an address.
            SnapshotError: if the snapshot is damaged, or none at all. Nothing is changed then.

        """
        from pronto_lmdb.installation import Installation
        from pronto_lmdb.restoring import Restore
        from pronto_lmdb.snapshots import read_manifest

        wanted = None if addresses is None else _listed(addresses)
        target = None if to is None else Address.of(to)
        path = self._find(snapshot)
        self._check_writable()
        with self._unpacked(path, wanted) as place:
            plan = Restore(read_manifest(place), place, wanted, target)
            installation = Installation(self._layout, self._lookup, self._registry, self._owner, self.timeout)
            plan.run(installation, progress, overwrite=overwrite, dry_run=dry_run)
        return [] if dry_run else [self.info(address) for address in plan.targets]

    def prune(
        self,
        *,
        keep_last: int | None = None,
        keep_hourly: int | None = None,
        keep_daily: int | None = None,
        keep_weekly: int | None = None,
        keep_monthly: int | None = None,
        keep_within: float | None = None,
        dry_run: bool = False,
        dest: Path | None = None,
        unreadable: Unreadable | None = None,
    ) -> Pruning:
        """Remove the snapshots that no rule keeps. The newest is always kept.

        What cannot be read stays as well, and counts for no rule: it is not the newest, nor one of so many.

        Args:
            keep_last: so many of the newest.
            keep_hourly: the newest of each of so many hours; all in UTC.
            keep_daily: the same for days.
            keep_weekly: for weeks, which begin on Monday.
            keep_monthly: for months.
            keep_within: all that are younger than so many seconds.
            dry_run: remove nothing, but tell what would be.
            dest: another directory with snapshots; by default those of the store.
            unreadable: called with each snapshot that cannot be read.

        Raises:
            InvalidValueError: if no rule is given, or one that cannot be meant.
            LockTimeoutError: if a backup goes on for too long.

        """
        from pronto_lmdb.results import Pruning, instant
        from pronto_lmdb.retention import Policy, kept
        from pronto_lmdb.snapshots import forget_elsewhere

        policy = Policy(keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_within).checked()
        self._check_writable()
        place = self._snapshots(dest)
        if not os.path.isdir(place.place):
            return Pruning([], [])
        with place.locked():
            found = place.listed(unreadable)
            reasons = kept({item.id: item.created_at for item in found}, policy, instant(clock.now()))
            removed = [item for item in found if item.id not in reasons]
            for item in [] if dry_run else removed:
                place.remove(item.path.name)
                if dest is not None:
                    forget_elsewhere(self._layout, item.path.name)
        return Pruning([(item, reasons[item.id]) for item in found if item.id in reasons], removed)

    # -- what they share ---------------------------------------------------------------------------------------

    def _snapshots(self, dest: Path | None) -> Snapshots:
        from pronto_lmdb.snapshots import Snapshots

        return Snapshots(self._layout.snapshots if dest is None else os.path.realpath(dest), self.timeout)

    def _find(self, snapshot: Snapshot | Path) -> str:
        from pronto_lmdb.results import Snapshot
        from pronto_lmdb.snapshots import find

        self.check_open()
        if isinstance(snapshot, Snapshot):
            return find(self._layout, str(snapshot.path))
        if not isinstance(snapshot, str | os.PathLike):
            raise SnapshotError(f"{snapshot!r} names no snapshot.", "Pass an id or a path.")
        return find(self._layout, os.fsdecode(snapshot))

    def _chosen(self, addresses: Iterable[Address | str] | Address | str | None) -> tuple[list[Address], bool]:
        """Return the addresses to take, and whether somebody named them."""
        named = addresses is not None
        if addresses is not None:
            found = _listed(addresses)
        else:
            self._ensure_catalog()
            try:
                names = list(self._registry.names())
            except CorruptStoreError:
                names = [str(info.address) for info in self.addresses()]  # which makes it anew
            found = [Address.parse(name) for name in names]
        if not found:
            raise SnapshotError(f"There is no address in {self.path} to take a snapshot of.", "Is that the right root?")
        return found, named

    def _taken(
        self,
        place: Snapshots,
        addresses: Sequence[Address],
        label: str | None,
        workers: int,
        *,
        named: bool,
        progress: Progress | None,
    ) -> Snapshot:
        """Take a snapshot and publish it; the lock of the place is held."""
        from pronto_lmdb.manifest import Manifest
        from pronto_lmdb.snapshots import NEW, described
        from pronto_lmdb.taking import Taker

        known = place.ids()
        now = clock.now()
        name = place.next_id(now)
        built = place.path(NEW + name)
        try:
            earlier = [place.path(each) for each in known]
            with Taker(self._lookup, self._layout, built, earlier, workers, progress) as taker:
                lines = taker.take(addresses, named=named)
                manifest = Manifest(name, now, label, _tool(), [line for line, _ in lines], [said for _, said in lines])
                taker.finish(manifest)
            return described(manifest, place.publish(built, name), addresses)
        except BaseException:
            from pronto_lmdb.files import remove_tree

            remove_tree(built)
            raise

    def _pack(
        self,
        addresses: Sequence[Address],
        label: str | None,
        file: str,
        workers: int,
        *,
        named: bool,
        progress: Progress | None,
    ) -> Snapshot:
        """Take a snapshot in a directory that goes afterwards, and write it to a file."""
        from tempfile import mkdtemp

        from pronto_lmdb.archive import pack
        from pronto_lmdb.files import make_directory, remove_tree
        from pronto_lmdb.snapshots import Snapshots, read_manifest
        from pronto_lmdb.translation import translated

        make_directory(os.path.dirname(file))
        try:
            scratch = mkdtemp(prefix=".pronto-archive-", dir=os.path.dirname(file))
        except OSError as error:
            raise translated(error, file) from error
        try:
            place = Snapshots(scratch, self.timeout)
            path = str(self._taken(place, addresses, label, workers, named=named, progress=progress).path)
            pack(path, read_manifest(path), file)
        finally:
            remove_tree(scratch)
        return _described(file)

    @contextmanager
    def _unpacked(self, path: str, wanted: Sequence[Address] | None) -> Iterator[str]:
        """Yield the directory of a snapshot, for as long as it is needed."""
        if not os.path.isfile(path):
            yield path
            return
        from tempfile import TemporaryDirectory

        from pronto_lmdb.archive import unpack

        with TemporaryDirectory(prefix="pronto-archive-") as place:
            unpack(path, place, None if wanted is None else [str(address) for address in wanted])
            yield place


def _described(path: str) -> Snapshot:
    from pronto_lmdb.snapshots import described, read_manifest

    if os.path.isfile(path):
        from pronto_lmdb.archive import read_packed_manifest

        return described(read_packed_manifest(path), path)
    return described(read_manifest(path), path)


def _check_backup(label: str | None, workers: int | None) -> None:
    if label is not None and not (isinstance(label, str) and len(label) <= _LONGEST_LABEL and is_encodable(label)):
        raise InvalidValueError(f"{label!a:.80} is no label.", f"Use a text of at most {_LONGEST_LABEL} characters.")
    if workers is not None and (type(workers) is not int or not 1 <= workers <= _MOST_WORKERS):
        raise InvalidValueError(f"{workers!r} is no number of workers.", f"Use 1 to {_MOST_WORKERS}.")


def _listed(addresses: Iterable[Address | str] | Address | str) -> list[Address]:
    """Return addresses sorted, each once; a single one is a list of one."""
    given = [addresses] if isinstance(addresses, str | Address) else addresses
    found = {str(address): address for address in map(Address.of, given)}
    return [found[text] for text in sorted(found, key=str.encode)]


def _tool() -> str:
    from pronto_lmdb.version import __version__

    return f"pronto-lmdb {__version__}"
