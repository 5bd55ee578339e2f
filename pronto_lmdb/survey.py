"""What the registry would say if it were made from the keystores, and making it."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import chain

from pronto_lmdb import clock
from pronto_lmdb.address import Address
from pronto_lmdb.creation import build_registry
from pronto_lmdb.errors import CorruptStoreError, FormatVersionError
from pronto_lmdb.files import move, read_text, remove_tree
from pronto_lmdb.identity import DELETED, LIVE, Identity, State
from pronto_lmdb.pool import pool
from pronto_lmdb.registry import Placed, Registry, Trashed, legible_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pronto_lmdb.commit import Commit
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

    # -- the registry, made of them ----------------------------------------------------------------------------

    def ensure_registry(self) -> None:
        """Make the registry if there is none, from whatever keystores there are; replace a damaged one."""
        try:
            if not self._registry.exists():
                self._make_registry([])
        except CorruptStoreError:
            self.replace_registry()

    def replace_registry(self) -> None:
        """Set a damaged registry aside and make it anew, with the settings that can still be read."""
        settings = legible_settings(self._layout.registry)
        aside = os.path.join(self._layout.trash, f"{REGISTRY_ASIDE}{clock.now():016d}")
        with suppress(CorruptStoreError):  # no file that could be open
            pool.discard_at(self._layout.registry)
        move(self._layout.registry, aside)
        self._make_registry(settings)

    def _make_registry(self, settings: list[tuple[bytes, bytes]]) -> None:
        remove_tree(self._layout.registry)
        built = os.path.join(self._layout.pending, f"registry-{os.urandom(8).hex()}")
        # Published with its content: an empty registry would look like an empty store.
        build_registry(built, Identity(""), State(), chain(self.catalog(), settings))
        move(built, self._layout.registry)

    def rebuild_registry(self) -> int:
        """Catalog every keystore that can be found and forget those that cannot; return how many there are.

        Settings stay. The lock of the life cycle is held.
        """
        catalog = dict(self.catalog())

        def record(commit: Commit) -> None:
            self._registry.restore_in(commit, catalog)

        self._registry.change(record)
        return sum(1 for _ in self._registry.addresses())


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
