"""A check of a whole store: every address that its directories or its catalog know, and whether they agree.

Between the steps of a create, a delete or a rename nothing agrees. So whatever seems to be in the wrong place is looked
at once more in the end, with all such operations kept out. Damage inside an environment is another matter: that is
found without keeping anybody out (see `inspection`).
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, nullcontext, suppress
from functools import partial

import lmdb

from pronto_lmdb.address import Address
from pronto_lmdb.data_files import identify
from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import (
    CorruptStoreError,
    InvalidAddressError,
    LockTimeoutError,
    ProntoError,
)
from pronto_lmdb.files import read_text
from pronto_lmdb.identity import DELETED, LIVE
from pronto_lmdb.inspection import damaged_files, inspect, torn_files
from pronto_lmdb.journaled import is_journaled
from pronto_lmdb.lookup import address_not_found
from pronto_lmdb.pool import pool
from pronto_lmdb.registry import Placed
from pronto_lmdb.results import Problem, Report
from pronto_lmdb.staged import is_in_use, is_staged
from pronto_lmdb.survey import Survey, links
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from pronto_lmdb.identity import Identity
    from pronto_lmdb.layout import Layout
    from pronto_lmdb.registry import Registry, Trashed

    Look = Callable[[], Iterator[Problem]]

_IN_TRASH = "in the trash, "


class Checker:
    """One check of one store.

    Args:
        layout: where things are in the store.
        registry: the catalog of the store.
        owner: the number that stands for the store in the pool.
        timeout: seconds to wait for the end of operations on addresses.
        deep: see :meth:`Store.check`.
        only: the addresses to look at; ``None`` for all, and the store itself.
        progress: called with the number of directories that were looked at, and of all.

    Attributes:
        sick: directories in which something is damaged, and whose they are.
        astray: whether anything is in the wrong place, or the catalog does not fit.
        exposed: what others may read or write.
        identities: what the catalog says of directories.
        looked_at: the directories of live addresses that were looked at.

    """

    def __init__(
        self,
        layout: Layout,
        registry: Registry,
        owner: int,
        timeout: float,
        *,
        deep: bool,
        only: list[Address] | None,
        progress: Callable[[int, int], object],
    ) -> None:
        self.sick: dict[str, Address | None] = {}
        self.astray = False
        self.exposed: list[str] = []
        self.identities: dict[str, Identity] = {}
        self.looked_at: list[str] = []
        self._only = only
        self._progress = progress
        self._layout = layout
        self._registry = registry
        self._survey = Survey(layout, registry, owner)
        self._owner = owner
        self._timeout = timeout
        self._deep = deep
        self._problems: list[Problem] = []
        # What seems to be in the wrong place.
        self._doubtful: list[Look] = []
        # What the catalog says, by directory.
        self._live: dict[str, Address] = {}
        self._trash: dict[str, Trashed] = {}
        self._has_catalog = False

    def report(self) -> Report:
        """Look at everything, and return what is wrong.

        Raises:
            AddressNotFoundError: if an address that is to be looked at is unknown.

        """
        if self._is_there():
            self._look_at_catalog()
            live = {*self._survey.live_directories(), *self._live}
            trash = {*self._survey.trashed_directories(), *self._trash}
            if self._only is not None:
                live, trash = self._chosen(live), set()
            self._look_at_all(sorted(live), sorted(trash))
            if self._only is None:
                self._doubt(self._unfinished)
                self._look_at_root()
            self._settle_doubts()
        elif self._only and not self._problems:
            raise address_not_found(self._only[0])
        problems = sorted(self._problems, key=lambda problem: (str(problem.address or ""), problem.text))
        return Report(ok=not problems, problems=problems)

    def _is_there(self) -> bool:
        """Tell whether there is a store; one that cannot be looked at is not taken for none."""
        try:
            os.scandir(self._layout.addresses).close()
        except FileNotFoundError:
            return False
        except OSError as error:
            self._complain(None, f"{self._layout.addresses} cannot be looked at: {error.strerror}")
            return False
        return True

    def owner_of(self, path: str) -> Address | None:
        """Return whose a directory is, as far as the catalog knows."""
        return self._live.get(path) or self._deleted(path)

    def _look_at_all(self, live: list[str], trash: list[str]) -> None:
        self.looked_at = live
        total = len(live) + len(trash)
        for number, path in enumerate(live):
            self._progress(number, total)
            self._look_at_live(path)
        for number, path in enumerate(trash, len(live)):
            self._progress(number, total)
            self._look_at_trashed(path)
        self._progress(total, total)

    def _chosen(self, live: set[str]) -> set[str]:
        chosen = set()
        for address in self._only or ():
            place = read_text(self._layout.place(address))
            paths = {path for path in live if self._live.get(path) == address}
            paths |= live & {self._layout.home(address), self._layout.absolute(place or "")}
            if not paths:
                raise address_not_found(address)
            chosen |= paths
        return chosen

    def _look_at_root(self) -> None:
        if os.path.isdir(self._layout.lifecycle_lock):
            self._complain(None, f"{self._layout.lifecycle_lock} is a directory")
        for path in links(self._layout.addresses):
            self._complain(None, f"{path} is a symbolic link, which is no address", astray=True)
        if os.name == "posix":
            if os.stat(self._layout.root).st_mode & stat.S_IWOTH:
                self._expose(self._layout.root, "anybody may write to it")
            self._look_at_modes(None, self._layout.registry)

    def _look_at_modes(self, address: Address | None, path: str) -> None:
        """Look for what others may read or write: everything here is private."""
        if os.name != "posix":
            return
        with suppress(OSError), os.scandir(path) as files:
            open_to_others = [file.path for file in files if _is_open(file.stat(follow_symlinks=False))]
            open_to_others += [path] if _is_open(os.stat(path, follow_symlinks=False)) else []
            for file in open_to_others:
                self._expose(file, "others may read or write it", address)

    def _expose(self, path: str, text: str, address: Address | None = None) -> None:
        self.exposed.append(path)
        self._complain(address, f"{path}: {text}")

    def _complain(self, address: Address | None, text: str, *, astray: bool = False) -> None:
        self._problems.append(Problem(address, text))
        self.astray |= astray

    # -- inside the directories --------------------------------------------------------------------------------

    def _look_at_catalog(self) -> None:
        path = self._layout.registry
        with suppress(CorruptStoreError):  # told below
            if identify(path) is None:
                self._doubt(self._no_catalog)
                return
        problems = self._damage(path)
        if not problems:
            try:
                for placed in self._registry.addresses():
                    self._live[placed.path] = Address.parse(placed.identity.address)
                    self.identities[placed.path] = placed.identity
                self._trash = self._listed_trash()
            except ProntoError as error:
                problems = [error.problem]
        self._has_catalog = not problems
        self.astray |= bool(problems)
        self._problems += [Problem(None, f"the registry: {text}") for text in problems]

    def _listed_trash(self) -> dict[str, Trashed]:
        trash = {item.path: item for item in self._registry.trash()}
        self.identities.update((path, item.identity) for path, item in trash.items())
        return trash

    def _look_at_live(self, path: str) -> None:
        problems = self._damage(path)
        address = self._live.get(path)
        self._problems += [Problem(address, text) for text in problems]
        if is_journaled(path):
            self._look_at_modes(address, path)
        if problems:
            self.sick[path] = address
        else:
            self._doubt(partial(self._live_problems, path))

    def _look_at_trashed(self, path: str) -> None:
        # A purge must not meet anybody who makes a view anew in what it is removing.
        problems = self._damage(path, self._undisturbed)
        if problems:
            with self._undisturbed():
                problems = self._damage(path)  # half of it may have been purged
        self._problems += [Problem(self._deleted(path), _IN_TRASH + text) for text in problems]
        if problems:
            self.sick[path] = self._deleted(path)
        else:
            look = partial(self._trash_problems, path)
            with self._undisturbed():
                if self._has_catalog and self._seen(look):
                    self._trash = self._listed_trash()  # what was read before may be out of date
                self._add(self._seen(look))

    def _damage(self, path: str, guard: Callable[[], AbstractContextManager[None]] = nullcontext) -> list[str]:
        """Return what is wrong inside a directory; nothing, if there is no environment.

        Args:
            path: the directory.
            guard: entered while the environment is opened.

        """
        before = _inode(path)
        try:
            problems = damaged_files(path) if os.path.isdir(path) else []
            problems = problems or self._inspected(path, guard)
            # What opening it has come upon.
            return problems or (torn_files(path) if os.path.isdir(path) else [])
        except Exception as error:  # noqa: BLE001 - whatever damage leads to, the other addresses are looked at
            # It may have been renamed or purged under our eyes, and another one made in its place.
            return [_explained(error, path)] if before is not None and _inode(path) == before else []

    def _inspected(self, path: str, guard: Callable[[], AbstractContextManager[None]]) -> list[str]:
        while True:
            with guard():
                environment = pool.peek(path, self._owner)
            if environment is None:
                return []
            with suppress(StaleEnvironment):  # closed in between, to make room for others
                found = inspect(environment, deep=self._deep)
                return found if os.path.isdir(path) else []

    # -- places ------------------------------------------------------------------------------------------------

    def _live_problems(self, path: str) -> Iterator[Problem]:
        described = pool.describe(path, self._owner)
        known = self._live.get(path)
        if described is None:
            placed = None if known is None else self._registry.find(known)
            if placed is not None and placed.path == path:
                yield Problem(known, f"the registry places it in {path}, which holds no keystore")
            elif path in self._survey.live_directories():
                yield Problem(None, f"{path} holds no keystore")
            return
        identity, state = described
        address = _address(identity)
        if address is None or state.status != LIVE or not self._survey.is_at_home(Placed(identity, path)):
            status = "a deleted keystore" if state.status == DELETED else "the keystore"
            yield Problem(known, f"{path} holds {status} of {identity.address!r}, which does not belong there")
        elif self._has_catalog:
            for text in self._disagreement(Placed(identity, path), self._registry.find(address)):
                yield Problem(address, text)
            floor = self._registry.floor(identity.address)
            if state.revision < floor:
                yield Problem(address, f"its revision is {state.revision}, but those up to {floor} were used up before")

    def _trash_problems(self, path: str) -> Iterator[Problem]:
        described = pool.describe(path, self._owner)
        item = self._trash.get(path)
        if described is None:
            if item is not None or path in self._survey.trashed_directories():
                yield Problem(self._deleted(path), f"{_IN_TRASH}{path} holds no keystore")
            return
        identity, state = described
        address = _address(identity)
        if address is None or state.status != DELETED:
            yield Problem(None, f"{path} holds the keystore of {identity.address!r}, which is not deleted")
        elif self._has_catalog:
            known = None if item is None else Placed(item.identity, item.path)
            for text in self._disagreement(Placed(identity, path), known):
                yield Problem(address, _IN_TRASH + text)
            floor = self._registry.floor(identity.address)
            if state.revision > floor:
                yield Problem(address, f"{_IN_TRASH}its revision is {state.revision}, the registry knows of {floor}")

    def _deleted(self, path: str) -> Address | None:
        """Return whose a directory in the trash is, as far as the catalog knows."""
        item = self._trash.get(path)
        return None if item is None else _address(item.identity)

    def _disagreement(self, found: Placed, known: Placed | None) -> Iterator[str]:
        """Yield what the catalog says otherwise about a keystore."""
        if known is None:
            yield f"the registry does not know {found.path}"
            return
        if known.path != found.path:
            yield f"the registry places it in {known.path}, but it lies in {found.path}"
        said, there = known.identity.fields(), found.identity.fields()
        names = [name for name in there if said[name] != there[name]]
        if names:
            yield f"the registry has another {', '.join(names)}"

    def _no_catalog(self) -> Iterator[Problem]:
        if identify(self._layout.registry) is None:
            yield Problem(None, f"the registry: {self._layout.registry} is missing")

    def _unfinished(self) -> Iterator[Problem]:
        # A note without its final name was never finished: nothing had begun.
        with suppress(FileNotFoundError):
            for name in os.listdir(self._layout.pending):
                path = os.path.join(self._layout.pending, name)
                if not name.endswith(".tmp") and not (is_staged(path) and is_in_use(path)):
                    yield Problem(None, f"{path}: an operation was not finished")

    # -- doubts ------------------------------------------------------------------------------------------------

    def _doubt(self, look: Look) -> None:
        """Remember to look again where something seems wrong."""
        if self._seen(look):
            self._doubtful.append(look)

    def _settle_doubts(self) -> None:
        if self._doubtful:
            with self._undisturbed():
                for look in self._doubtful:
                    self._add(self._seen(look))

    def _add(self, misplaced: list[Problem]) -> None:
        self._problems += misplaced
        self.astray |= bool(misplaced)

    def _seen(self, look: Look) -> list[Problem]:
        try:
            return list(look())
        except Exception as error:  # noqa: BLE001 - as above
            return [Problem(None, _explained(error, self._layout.root))]

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Keep other operations on addresses out, if that is possible for this user and within the time-out."""
        with pool.passing(self._layout.lifecycle_lock) as lock:
            if os.path.isfile(lock.path) and os.access(lock.path, os.W_OK):
                with suppress(LockTimeoutError):
                    lock.acquire(self._timeout)
            yield


def _is_open(status: os.stat_result) -> bool:
    return not stat.S_ISLNK(status.st_mode) and bool(status.st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _address(identity: Identity) -> Address | None:
    try:
        return Address.parse(identity.address)
    except InvalidAddressError:
        return None


def _inode(path: str) -> int | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino if stat.S_ISDIR(found.st_mode) else None


def _explained(error: Exception, path: str) -> str:
    if isinstance(error, ProntoError):
        return error.problem
    if isinstance(error, lmdb.Error | OSError):
        return translated(error, path).problem
    return f"{path}: {type(error).__name__}: {error}"
