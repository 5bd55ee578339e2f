"""Looking at a snapshot, and bringing back what it holds. Nothing is touched before everything is looked at."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory

from pronto_lmdb.address import Address
from pronto_lmdb.content import DataFile
from pronto_lmdb.creation import build, open_private
from pronto_lmdb.errors import (
    AddressNotFoundError,
    InvalidValueError,
    ProntoError,
    ReadOnlyError,
    SnapshotError,
    StoreFullError,
)
from pronto_lmdb.forks import gate
from pronto_lmdb.growth import MIB
from pronto_lmdb.identity import Identity
from pronto_lmdb.inspection import deep_problems
from pronto_lmdb.results import Problem, Report
from pronto_lmdb.snapshots import read_manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pronto_lmdb.installation import Built, Installation, Stage
    from pronto_lmdb.manifest import Entry, Manifest

    Progress = Callable[[int, int], None]


# -- verify ----------------------------------------------------------------------------------------------------------


def verify(place: str, progress: Progress | None, *, deep: bool) -> Report:
    """Compare a snapshot with its checksums, and read it from end to end.

    Args:
        place: its directory.
        progress: told how many addresses are done, of how many.
        deep: read every value, too, as restoring it would.

    Raises:
        DamagedSnapshotError: if the manifest is damaged.
        SnapshotError: if there is no manifest to compare with.

    """
    manifest = read_manifest(place)
    problems = []
    names = manifest.names()
    for number, name in enumerate(names, 1):
        problems += [Problem(_named(name), text) for text in _problems(manifest, name, place, deep=deep)]
        if progress is not None:
            progress(number, len(names))
    return Report(ok=not problems, problems=problems)


def _named(name: str) -> Address | None:
    try:
        return Address.parse(name)
    except ProntoError:
        return None


def _problems(manifest: Manifest, name: str, place: str, *, deep: bool) -> list[str]:
    try:
        (entry,) = manifest.entries([name])
        with DataFile(place, entry) as file:
            file.check()
            file.state()
            for _ in file.entries():
                continue
            return _deep_problems(file, entry) if deep else []
    except (SnapshotError, AddressNotFoundError) as error:
        return [error.problem]


def _deep_problems(file: DataFile, entry: Entry) -> list[str]:
    """Return what is wrong with the entries, once they are a keystore."""
    with TemporaryDirectory(prefix="pronto-verify-") as scratch:
        path = os.path.join(scratch, "copy")
        try:
            _built_from(file, entry, path)
        except SnapshotError as error:
            return [error.problem]
        with gate.passed():
            handle = open_private(path, MIB)
            try:
                with handle.begin() as txn:
                    return [f"{file.path}: {text}" for text in deep_problems(txn, path)]
            finally:
                handle.close()


def _built_from(file: DataFile, entry: Entry, path: str) -> None:
    try:
        build(path, Identity(entry.address), file.state(), file.entries())
    except (StoreFullError, ReadOnlyError, SnapshotError):
        raise
    except ProntoError as error:  # such as a key that no keystore can hold
        raise SnapshotError(f"{file.path} does not hold what a snapshot holds.", "Use another snapshot.") from error


# -- restore ---------------------------------------------------------------------------------------------------------


class Restore:
    """A restore that is planned, then built beside, then put into place.

    Args:
        manifest: of the snapshot.
        place: its directory.
        addresses: what to restore, by default all.
        to: another name, for exactly one address.

    Raises:
        AddressNotFoundError: if the snapshot does not hold one of them.
        InvalidValueError: if ``to`` is given for another number of addresses than one.
        SnapshotError: if what the manifest says cannot be.

    """

    def __init__(self, manifest: Manifest, place: str, addresses: Sequence[Address] | None, to: Address | None) -> None:
        names = None if addresses is None else [str(address) for address in addresses]
        self.entries = manifest.entries(names)
        missing = sorted(set(names or ()) - {entry.address for entry in self.entries})
        if missing:
            raise AddressNotFoundError(
                f"The snapshot {manifest.id!a} holds no address {missing[0]}.",
                "`pronto backup show` lists those that it holds.",
            )
        if to is not None and len(self.entries) != 1:
            raise InvalidValueError(
                f"One new name cannot be that of {len(self.entries)} addresses.", "Name one address to restore."
            )
        self._place = place
        self._id = manifest.id
        self.targets = [to or Address.parse(entry.address) for entry in self.entries]

    def run(self, installation: Installation, progress: Progress | None, *, overwrite: bool, dry_run: bool) -> None:
        """Look at everything, build it, and put it into place.

        Args:
            installation: puts things into place.
            progress: told how many addresses are built, of how many.
            overwrite: whether what is there may go to the trash.
            dry_run: whether to end when everything is built.

        Raises:
            AddressExistsError: if an address exists and must not be overwritten; nothing is changed then.
            SnapshotError: if anything is not as it was written; nothing is changed then.

        """
        if not overwrite:
            installation.refuse_taken(self.targets)
        with installation.staging() as stage:
            finished = []
            for built in self._build(installation, stage):
                finished.append(built)
                if progress is not None:
                    progress(len(finished), len(self.entries))
            if not dry_run:
                installation.install(finished, overwrite=overwrite)

    def _build(self, installation: Installation, stage: Stage) -> Iterator[Built]:
        for entry, target in zip(self.entries, self.targets, strict=True):
            with DataFile(self._place, entry) as file:
                file.check()
                yield self._built(installation, stage, entry, target, file)

    def _built(self, installation: Installation, stage: Stage, entry: Entry, target: Address, file: DataFile) -> Built:
        identity = Identity(
            str(target),
            durability=entry.durability,
            max_bytes=entry.max_bytes,
            labels=entry.labels,
            origin={"restored_from": self._id, "address": entry.address, "revision": entry.revision},
        )
        try:
            built = stage.build(target, identity, file.state(), file.entries())
            problems = installation.problems(built.path)
        except (StoreFullError, ReadOnlyError, SnapshotError):
            raise
        except ProntoError as error:  # such as a key that no keystore can hold
            raise SnapshotError(f"{file.path}: {error.problem}", "Use another snapshot.") from error
        if problems:
            raise SnapshotError(f"{file.path}: {problems[0]}.", "Use another snapshot.")
        return built
