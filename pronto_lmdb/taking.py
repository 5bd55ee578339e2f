"""Taking a snapshot: each address as of one moment, while everybody goes on reading and writing.

No lock of an address is taken. What has not changed since the snapshot before is not even read: its data file gets
another name.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pronto_lmdb.content import write_content
from pronto_lmdb.earlier import Earlier
from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import SnapshotError
from pronto_lmdb.files import PRIVATE_DIRECTORY, PRIVATE_FILE, sync_directory
from pronto_lmdb.fingerprint import fingerprint, is_same, is_untouched
from pronto_lmdb.glimpse import Glimpse, glimpse
from pronto_lmdb.lookup import address_not_found
from pronto_lmdb.manifest import NAME, Entry, Manifest, data_file
from pronto_lmdb.record import STATE
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Self

    import lmdb

    from pronto_lmdb.address import Address
    from pronto_lmdb.earlier import Line
    from pronto_lmdb.environment import Environment
    from pronto_lmdb.layout import Layout
    from pronto_lmdb.lookup import Lookup

    Progress = Callable[[int, int], None]

WORKERS = 4
_FLUSHERS = 8
# How many addresses a worker takes at once, and after how many of those that are not even read progress is told.
_AT_ONCE = 16
_TOLD_EACH = 1024
# Behind the name of a data file: a second name for that of the snapshot before, on its way.
_AGAIN = ".again"


class Taker:
    """Takes one snapshot. Use it in a ``with`` block.

    Args:
        lookup: finds the addresses of the store.
        layout: where things are in the store.
        built: the directory to fill; it does not exist.
        earlier: the directories of the snapshots before, oldest first.
        workers: how many threads read.
        progress: told how many addresses are done, of how many.

    Raises:
        ReadOnlyError, StoreFullError: where the system refuses.

    """

    def __init__(
        self,
        lookup: Lookup,
        layout: Layout,
        built: str,
        earlier: Sequence[str],
        workers: int = WORKERS,
        progress: Progress | None = None,
    ) -> None:
        self._lookup = lookup
        self._layout = layout
        self._built = built
        self._workers = workers
        self._progress = progress
        self._new: list[str] = []
        try:
            os.mkdir(built, PRIVATE_DIRECTORY)
        except OSError as error:
            raise translated(error, built) from error
        self._earlier = Earlier(earlier, built)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._earlier.close()

    def take(self, addresses: Sequence[Address], *, named: bool) -> list[Line]:
        """Write the data files, and return the lines of the manifest.

        Args:
            addresses: sorted.
            named: whether somebody asked for just these: one that does not exist is an error then.

        Raises:
            AddressNotFoundError: if one is asked for that does not exist.
            StoreFullError: if there is no room.

        """
        self._earlier.find(addresses)
        lines = self._all_untouched(addresses)
        rest = [number for number, line in enumerate(lines) if line is None]
        groups = [rest[at : at + _AT_ONCE] for at in range(0, len(rest), _AT_ONCE)]
        done = len(addresses) - len(rest)

        def take_group(group: list[int]) -> list[tuple[int, Line | None]]:
            return [(number, self._taken(addresses[number], named=named)) for number in group]

        with ThreadPoolExecutor(self._workers) as workers:
            try:
                for taken in workers.map(take_group, groups):
                    for number, line in taken:
                        lines[number] = line
                    done += len(taken)
                    self._tell(done, len(addresses))
            except BaseException:
                workers.shutdown(cancel_futures=True)
                raise
        return [line for line in lines if line is not None]

    def _all_untouched(self, addresses: Sequence[Address]) -> list[Line | None]:
        """Give another name to the data file of each address that is as it was; return ``None`` for the others.

        That takes three short calls of the system each. Handing them to several threads would cost more than that.
        """
        lines: list[Line | None] = [None] * len(addresses)
        try:
            homes = os.open(self._layout.addresses, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return lines  # all are elsewhere
        known, done = self._earlier.known, 0
        try:
            for number, address in enumerate(addresses):
                line = known.get(str(address))
                if line is not None:
                    lines[number] = line = self._untouched(address, line, homes)
                done += line is not None
                if line is not None and (done % _TOLD_EACH == 0 or done == len(addresses)):
                    self._tell(done, len(addresses))
        finally:
            os.close(homes)
        return lines

    def _tell(self, done: int, of: int) -> None:
        if self._progress is not None:
            self._progress(done, of)

    # -- one address -------------------------------------------------------------------------------------------

    def _untouched(self, address: Address, line: Line, homes: int) -> Line | None:
        said, directory = line[1], address.directory
        view = said.get("view")
        if type(view) is not str:
            return None  # what else a line says is looked at when it is needed
        if is_untouched(view, directory, homes):
            linked = self._earlier.link(str(address), data_file(address, directory), said.get("bytes"))
            return line if linked else None
        mark = fingerprint(self._layout.home(address))
        return self._linked(address, mark) if is_same(view, mark) else None

    def _taken(self, address: Address, *, named: bool) -> Line | None:
        line = self._copied(address)
        if line is None and named:
            raise address_not_found(address)
        return line

    def _copied(self, address: Address) -> Line | None:
        """Write the data file of an address, shared where it has the same bytes; ``None`` where there is none."""
        path = self._layout.home(address)
        mark = fingerprint(path)  # before anything is read: a commit meanwhile only makes the next snapshot read again
        found = glimpse(path, str(address))
        if found is not None:
            return self._settled(address, found, mark)
        while True:
            home = self._lookup.find(address)
            if home is None:
                return None
            environment = home.environment
            try:
                mark = fingerprint(environment.path)
                return environment.read(partial(self._read, address, environment, mark))
            except StaleEnvironment:
                continue  # closed in between, to make room for others

    def _linked(self, address: Address, mark: str) -> Line | None:
        """Give another name to the data file of the snapshot before, if that can be; return the line for it.

        Args:
            address: whose: nothing was committed to it since.
            mark: the present fingerprint of its view.

        """
        text = str(address)
        line = self._earlier.known.get(text)
        if line is None:
            return None
        try:
            entry = Entry.decode(line[1], NAME)
        except SnapshotError:
            return None
        if not self._earlier.link(text, data_file(address), entry.bytes):
            return None
        entry.view = mark
        return _line(entry)

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
        return _line(entry)

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
        text, name = str(address), data_file(address)
        _, said = self._earlier.known.get(text, (b"", {}))
        if (size, checksum) != (said.get("bytes"), said.get("checksum")):
            return False
        if not self._earlier.link(text, name, size, name + _AGAIN):
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
            self._new.append(path)
            # Together, so that the file system has more to do at once.
            with ThreadPoolExecutor(_FLUSHERS) as flushers:
                for _ in flushers.map(_flush, (self._new[at::_FLUSHERS] for at in range(_FLUSHERS))):
                    continue
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


def _line(entry: Entry) -> Line:
    return entry.encode(), {"address": entry.address, "records": entry.records, "bytes": entry.bytes}
