"""Taking a snapshot: each address as of one moment, while everybody goes on reading and writing.

No lock of an address is taken. What has not changed since the snapshot before is not even read: its data file gets
another name.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pronto_lmdb.content import write_content
from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import AddressNotFoundError, FormatVersionError, SnapshotError
from pronto_lmdb.files import PRIVATE_DIRECTORY, PRIVATE_FILE, sync_directory
from pronto_lmdb.glimpse import Glimpse, glimpse, mark_of
from pronto_lmdb.manifest import NAME, Entry, Manifest, data_file
from pronto_lmdb.record import STATE
from pronto_lmdb.snapshots import read_manifest
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    import lmdb

    from pronto_lmdb.address import Address
    from pronto_lmdb.environment import Environment
    from pronto_lmdb.layout import Layout
    from pronto_lmdb.lookup import Lookup

    Line = tuple[str, Any]
    Progress = Callable[[int, int], None]

WORKERS = 4
_FLUSHERS = 8
# How many addresses a worker takes at once: handing over one by one would cost more than an unchanged one.
_AT_ONCE = 64
# Behind the name of a data file: a second name for that of the snapshot before, on its way.
_AGAIN = ".again"


class Taker:
    """Takes one snapshot.

    Args:
        lookup: finds the addresses of the store.
        layout: where things are in the store.
        built: the directory to fill; it does not exist.
        previous: the directory of the snapshot before, or ``None``.
        workers: how many threads read.
        progress: told how many addresses are done, of how many.

    """

    def __init__(
        self,
        lookup: Lookup,
        layout: Layout,
        built: str,
        previous: str | None,
        workers: int = WORKERS,
        progress: Progress | None = None,
    ) -> None:
        self._lookup = lookup
        self._layout = layout
        self._built = built
        self._workers = workers
        self._progress = progress
        self._previous = previous or ""
        self._known: dict[str, Line] = {}
        self._new: list[str] = []
        if previous is not None:
            try:
                manifest = read_manifest(previous)
                self._known = {line[1]["address"]: line for line in manifest.lines}
            except (SnapshotError, FormatVersionError):
                self._previous = ""  # it can still be taken without

    def take(self, addresses: Sequence[Address], *, named: bool) -> list[Line]:
        """Write the data files, and return the lines of the manifest.

        Args:
            addresses: sorted.
            named: whether somebody asked for just these: one that does not exist is an error then.

        Raises:
            AddressNotFoundError: if one is asked for that does not exist.
            StoreFullError: if there is no room.

        """
        try:
            os.mkdir(self._built, PRIVATE_DIRECTORY)
        except OSError as error:
            raise translated(error, self._built) from error
        lines: list[Line] = []
        groups = [addresses[at : at + _AT_ONCE] for at in range(0, len(addresses), _AT_ONCE)]
        with ThreadPoolExecutor(self._workers) as workers:
            try:
                for number, taken in enumerate(workers.map(partial(self._take_all, named=named), groups), 1):
                    lines += taken
                    if self._progress is not None:
                        self._progress(min(number * _AT_ONCE, len(addresses)), len(addresses))
            except BaseException:
                workers.shutdown(cancel_futures=True)
                raise
        return lines

    def _take_all(self, addresses: Iterable[Address], *, named: bool) -> list[Line]:
        lines = []
        for address in addresses:
            line = self._unchanged(address) or self._copied(address)
            if line is not None:
                lines.append(line)
            elif named:
                raise AddressNotFoundError(
                    f"There is no address {address}.", "`pronto addresses` lists those that exist."
                )
        return lines

    # -- one address -------------------------------------------------------------------------------------------

    def _unchanged(self, address: Address) -> Line | None:
        """Give the data file of the snapshot before another name, if nothing was committed since; tell whether."""
        line = self._known.get(str(address))
        if line is None or not line[1]["view"] or mark_of(self._layout.home(address)) != line[1]["view"]:
            return None
        return line if self._linked(address, line) else None

    def _linked(self, address: Address, line: Line, name: str = "") -> bool:
        target = f"{self._built}/{name or data_file(address)}"
        try:
            os.link(f"{self._previous}/{data_file(address)}", target, follow_symlinks=False)
        except OSError:
            return False  # another file system, or one without links, or too many of them
        if os.stat(target).st_size == line[1]["bytes"]:
            return True
        os.unlink(target)
        return False

    def _copied(self, address: Address) -> Line | None:
        """Write the data file of an address; ``None`` where there is no such address."""
        path = self._layout.home(address)
        mark = mark_of(path)  # before anything is read: a commit in between only makes the next snapshot read again
        found = glimpse(path, str(address))
        if found is not None:
            return self._settled(address, found, mark)
        while True:
            home = self._lookup.find(address)
            if home is None:
                return None
            environment = home.environment
            try:
                mark = mark_of(environment.path)
                return environment.read(partial(self._read, address, environment, mark))
            except StaleEnvironment:
                continue  # closed in between, to make room for others

    def _read(self, address: Address, environment: Environment, mark: str, txn: lmdb.Transaction[bytes]) -> Line:
        entries = (entry for entry in _entries(txn) if entry[0] != STATE)
        return self._settled(address, Glimpse(txn, environment.path, entries), mark)

    def _settled(self, address: Address, found: Glimpse, mark: str) -> Line:
        identity, state = found.identity, found.state
        revision = state.revision
        size, checksum = self._write(address, found)
        entry = Entry(
            address=str(address),
            id=identity.id,
            revision=revision,
            generation=state.generation,
            records=found.records,
            bytes=size,
            checksum=checksum,
            durability=identity.durability,
            max_bytes=identity.max_bytes,
            labels=identity.labels,
            view=mark,
        )
        return entry.encode(), {"address": entry.address, "records": entry.records, "bytes": size}

    def _write(self, address: Address, found: Glimpse) -> tuple[int, str]:
        name = os.path.join(self._built, data_file(address))
        try:
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
            try:
                written = write_content(descriptor, bytes.fromhex(found.identity.id), found.state, found.entries)
            finally:
                os.close(descriptor)
            if not self._replaced(address, *written):
                self._new.append(name)
        except OSError as error:
            raise translated(error, name) from error
        return written

    def _replaced(self, address: Address, size: int, checksum: str) -> bool:
        """Put the data file of the snapshot before in the place of one with the same bytes; tell whether.

        A revision does not tell: after a power cut an address may give one to another content once more.
        """
        known = self._known.get(str(address))
        if known is None or (size, checksum) != (known[1]["bytes"], known[1]["checksum"]):
            return False
        name = data_file(address)
        if not self._linked(address, known, name + _AGAIN):
            return False
        os.replace(f"{self._built}/{name}{_AGAIN}", f"{self._built}/{name}")
        return True

    # -- the end -----------------------------------------------------------------------------------------------

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, and flush everything that is new."""
        path = os.path.join(self._built, NAME)
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE), "wb") as file:
                file.write(manifest.encode())
            # Together, so that the file system has more to do at once.
            with ThreadPoolExecutor(_FLUSHERS) as flushers:
                for _ in flushers.map(_flush, (self._new[at::_FLUSHERS] for at in range(_FLUSHERS))):
                    continue
            _flush([path])
        except OSError as error:
            raise translated(error, self._built) from error
        sync_directory(self._built)


def _flush(paths: Iterable[str]) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _entries(txn: lmdb.Transaction[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return iter(txn.cursor())
