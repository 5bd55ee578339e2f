"""What the registry would say if it were made from the keystores."""

from __future__ import annotations

import os
from contextlib import suppress

from pronto_lmdb.address import Address
from pronto_lmdb.errors import CorruptStoreError, FormatVersionError
from pronto_lmdb.files import read_text
from pronto_lmdb.identity import DELETED, LIVE
from pronto_lmdb.pool import pool
from pronto_lmdb.registry import Placed, Registry, Trashed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pronto_lmdb.identity import State
    from pronto_lmdb.layout import Layout

# Between the old path of an address outside the root and its id in the trash: a rename cannot cross file systems.
TRASH_MARK = ".trash-"
# What the names of other things in the trash begin with: a damaged registry, and what a repair could not keep.
REGISTRY_ASIDE = "registry-"
ASIDE = "aside-"


class Survey:
    """Finds every keystore of a store, whatever the registry says.

    Args:
        layout: where things are in the store.
        registry: says how entries are stored.
        owner: the number that stands for the store in the pool.

    """

    def __init__(self, layout: Layout, registry: Registry, owner: int) -> None:
        self._layout = layout
        self._registry = registry
        self._owner = owner

    def catalog(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the registry's entries for all keystores that can be found, live and deleted."""
        floors: dict[str, int] = {}
        for placed, state in self._surveyed(self.live_directories()):
            if state.status == LIVE and self.is_at_home(placed):
                yield self._registry.address_entry(placed)
        for placed, state in self._surveyed(self.trashed_directories()):
            if state.status == DELETED:
                address = placed.identity.address
                floors[address] = max(state.revision, floors.get(address, 0))
                trash_id = os.path.basename(placed.path).rpartition(TRASH_MARK)[2]
                yield self._registry.trash_entry(Trashed(trash_id, placed.identity, placed.path))
        for address, revision in floors.items():
            yield self._registry.floor_entry(address, revision)

    def is_at_home(self, placed: Placed) -> bool:
        """Tell whether a directory is the one that its address would be looked for in, and no copy made by hand."""
        address = Address.parse(placed.identity.address)
        place = read_text(self._layout.place(address))
        homes = [self._layout.home(address), *([] if place is None else [self._layout.absolute(place)])]
        return placed.path in homes

    def live_directories(self) -> Iterator[str]:
        """Yield the directories in which addresses lie, or should lie."""
        yield from _subdirectories(self._layout.addresses)
        yield from map(self._layout.absolute, _contents(self._layout.places))

    def trashed_directories(self) -> Iterator[str]:
        """Yield the directories in which deleted addresses lie, or should lie."""
        for path in _subdirectories(self._layout.trash):
            if not os.path.basename(path).startswith((REGISTRY_ASIDE, ASIDE)):
                yield path
        yield from _contents(self._layout.trash)

    def _surveyed(self, directories: Iterator[str]) -> Iterator[tuple[Placed, State]]:
        for path in directories:
            # What cannot be read stays where it is, for `check` to report; it must not hide the others.
            with suppress(CorruptStoreError, FormatVersionError):
                described = pool.describe(path, self._owner)
                if described is not None and described[0].address:
                    yield Placed(described[0], path), described[1]


def _subdirectories(path: str) -> Iterator[str]:
    with suppress(FileNotFoundError), os.scandir(path) as entries:
        yield from (entry.path for entry in entries if entry.is_dir(follow_symlinks=False))


def links(path: str) -> Iterator[str]:
    """Yield the symbolic links in a directory."""
    with suppress(FileNotFoundError), os.scandir(path) as entries:
        yield from (entry.path for entry in entries if entry.is_symlink())


def _contents(path: str) -> Iterator[str]:
    """Yield what the small files in a directory say; unfinished ones say nothing."""
    with suppress(FileNotFoundError), os.scandir(path) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and not entry.name.endswith(".tmp"):
                text = read_text(entry.path)
                if text:
                    yield text
