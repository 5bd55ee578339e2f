"""The sources of a migration: found, copied aside, looked at; and what of them cannot be used, with the reason."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from glob import glob
from tempfile import gettempdir, mkdtemp
from time import time

from pronto_lmdb.errors import MigrationError
from pronto_lmdb.files import PRIVATE_FILE, try_lock
from pronto_lmdb.legacy_archive import is_archive, unpack_archive
from pronto_lmdb.legacy_copy import checksum, copy_database
from pronto_lmdb.legacy_database import Database
from pronto_lmdb.legacy_places import Findings, Found, database_name, in_directory, in_usual_places, selections
from pronto_lmdb.legacy_schema import NothingThereError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_PREFIX = "pronto-migrate-"
_LOCK = "lock"
# Seconds in which a new directory gets its lock.
_STARTING = 60

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Source:
    """A database that can be taken over.

    Attributes:
        name: as the old program called it.
        place: what people know it by.
        database: the private copy.
        checksum: of the content, whatever file it is in.
        rows: how many there are.

    """

    name: str
    place: str
    database: Database
    checksum: str
    rows: int


@dataclass(frozen=True)
class Refusal:
    """Something that is not taken over."""

    place: str
    problem: str
    hint: str
    kind: str = "source"
    """``source``: it cannot be read, or is no data of the old program; ``conflict``: the store holds other values."""


class Sources:
    """All that a migration reads. Use it in a ``with`` block: the copies go at its end.

    Args:
        timeout: seconds to wait for a program that is writing to a source.

    Attributes:
        taken: the databases that can be used.
        refused: what was named, or has data, and cannot be used.
        skipped: files beside that are none of the old program's.
        findings: cursors, selections and backups that were found.

    """

    def __init__(self, timeout: float) -> None:
        self.taken: list[Source] = []
        self.refused: list[Refusal] = []
        self.skipped: list[Refusal] = []
        self.findings = Findings()
        self._timeout = timeout
        _sweep()
        self._scratch = mkdtemp(prefix=_PREFIX)
        self._lock = os.open(os.path.join(self._scratch, _LOCK), os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        try_lock(self._lock)  # says that somebody needs it
        self._checksums: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._lock)
        with suppress(OSError):
            shutil.rmtree(self._scratch)

    def scratch(self) -> str:
        """Return a new private directory."""
        return mkdtemp(dir=self._scratch)

    def take(self, paths: Iterable[str] | None, environment: dict[str, str], progress: Progress) -> None:
        """Look at sources and copy what is in them.

        Args:
            paths: databases, data directories and backups; ``None`` for all places where the old program kept data.
            environment: variables that say where those are.
            progress: is told what is looked at.

        """
        if paths is None:
            self.findings = in_usual_places(environment)
        else:
            for path in paths:
                self._find(path)
            self.findings.selections = selections(environment)
        for number, found in enumerate(self.findings.databases):
            progress("reading", number, len(self.findings.databases))
            self._copy(found)

    def changed(self) -> list[str]:
        """Return the sources that are not what they were when they were copied."""
        return [path for path, before in self._checksums.items() if _checksum_or_none(path) != before]

    def _find(self, path: str) -> None:
        try:
            if os.path.isdir(path):
                found = in_directory(path)
            elif is_archive(path):
                self._checksums[path] = checksum(path)
                target = self.scratch()
                unpack_archive(path, target)
                found = in_directory(target, label=path)
            else:
                self.findings.add(Findings([Found(database_name(os.path.abspath(path)), path, path, named=True)]))
                return
            if not found.databases:
                raise MigrationError(
                    f"{path} holds no database of ProntoDB.", "Name a data directory, a database or a backup of it."
                )
        except MigrationError as error:
            self.refused.append(Refusal(path, error.problem, error.hint))
        except OSError as error:
            self.refused.append(
                Refusal(path, f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions.")
            )
        else:
            self.findings.add(found)

    def _copy(self, found: Found) -> None:
        target = os.path.join(self.scratch(), "copy.db")
        try:
            before = copy_database(found.path, target, self._timeout)
            database = Database(target, found.place)
            content, rows = database.digest()
        except MigrationError as error:
            beside = isinstance(error, NothingThereError) and not found.named
            (self.skipped if beside else self.refused).append(Refusal(found.place, error.problem, error.hint))
            return
        if found.place == found.path:  # of those in archives, the archive is what must not change
            self._checksums[found.path] = before
        self.taken.append(Source(found.name, found.place, database, content, rows))


def _sweep() -> None:
    """Remove the copies that killed migrations left."""
    for path in glob(os.path.join(gettempdir(), f"{_PREFIX}*")):
        with suppress(OSError):  # of somebody else, or in use
            if time() - os.stat(path).st_mtime > _STARTING:
                descriptor = os.open(os.path.join(path, _LOCK), os.O_RDWR)
                try:
                    try_lock(descriptor)
                finally:
                    os.close(descriptor)
                shutil.rmtree(path)


def _checksum_or_none(path: str) -> str | None:
    try:
        return checksum(path)
    except MigrationError:
        return None
