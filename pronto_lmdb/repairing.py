"""The repair of a whole store: what a check has found is mended, or put aside with a note. Nothing is thrown away."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from pronto_lmdb import clock
from pronto_lmdb.address import Address
from pronto_lmdb.attic import Attic
from pronto_lmdb.combining import run
from pronto_lmdb.data_files import is_sound
from pronto_lmdb.errors import CorruptStoreError, InvalidAddressError, ProntoError
from pronto_lmdb.files import move
from pronto_lmdb.identity import DELETED, LIVE, Identity
from pronto_lmdb.mending import Mending, begin
from pronto_lmdb.notes import read_note
from pronto_lmdb.pool import pool
from pronto_lmdb.record import IDENTITY
from pronto_lmdb.registry import Placed
from pronto_lmdb.results import Problem
from pronto_lmdb.survey import Survey, links
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pronto_lmdb.checking import Checker
    from pronto_lmdb.commit import Commit
    from pronto_lmdb.layout import Layout
    from pronto_lmdb.lifecycle import Lifecycle
    from pronto_lmdb.registry import Registry


class Repairing:
    """One repair of one store, after a check.

    Args:
        layout: where things are in the store.
        lifecycle: the operations on addresses; nobody else carries one out meanwhile.
        registry: the catalog of the store.
        owner: the number that stands for the store in the pool.
        timeout: seconds to wait for others.
        found: the check that was made.

    Attributes:
        done: what was changed.
        left: what was lost, and what could not be repaired and why.

    """

    def __init__(
        self, layout: Layout, lifecycle: Lifecycle, registry: Registry, owner: int, timeout: float, found: Checker
    ) -> None:
        self._layout = layout
        self._lifecycle = lifecycle
        self._registry = registry
        self._owner = owner
        self._timeout = timeout
        self._found = found
        self._survey = Survey(layout, registry, owner)
        self._attic = Attic(layout)
        self.done: list[Problem] = []
        self.left: list[Problem] = []

    def run(self, *, rebuild: bool) -> None:
        """Repair what was found; with ``rebuild`` make every data file anew that was looked at."""
        if os.path.isdir(self._layout.lifecycle_lock):
            self._take(None, self._layout.lifecycle_lock, "it lay where a file belongs")
        self._put_bad_notes_aside()
        with self._lifecycle.locked():  # a damaged registry is set aside, and made anew
            for path, address in self._found.sick.items():
                self._try(address, self._mend, path, address)
            if rebuild:
                for path in self._found.looked_at:
                    if path not in self._found.sick:
                        self._try(self._found.owner_of(path), self._make_anew, path, self._found.owner_of(path))
            for path in links(self._layout.addresses):
                self._take(None, path, "a symbolic link is no address")
            if self._found.astray or self._found.sick:
                self._put_right()
            for path in self._found.exposed:
                self._try(None, self._close_to_others, path)

    def _try(self, address: Address | None, step: Callable[..., None], *arguments: object) -> None:
        """Carry out a step; what keeps one address from being repaired is no matter of the others."""
        try:
            step(*arguments)
        except ProntoError as error:
            self.left.append(Problem(address, f"not repaired: {error}"))

    # -- inside ------------------------------------------------------------------------------------------------

    def _mend(self, path: str, address: Address | None) -> None:
        mending = Mending(path, self._layout, self._owner, self._timeout, self._attic)
        try:
            mending.mend(self._known(path))
        finally:
            self._tell(address, mending)

    def _make_anew(self, path: str, address: Address | None) -> None:
        mending = Mending(path, self._layout, self._owner, self._timeout, self._attic)
        if pool.describe(path, self._owner) is not None:
            mending.make_anew()
        self._tell(address, mending)

    def _tell(self, address: Address | None, mending: Mending) -> None:
        self.done += [Problem(address, text) for text in mending.done]
        self.left += [Problem(address, f"lost: {text}") for text in mending.lost]

    def _known(self, path: str) -> Identity | None:
        """Return what the catalog said of a directory before it was made anew, else what its name says."""
        known = self._found.identities.get(path)
        if known is not None:
            return known
        with suppress(InvalidAddressError):
            address = Address.parse(os.path.basename(path))
            if self._layout.home(address) == path:
                return Identity(str(address))
        return None

    # -- places ------------------------------------------------------------------------------------------------

    def _put_bad_notes_aside(self) -> None:
        with suppress(FileNotFoundError, NotADirectoryError), pool.passing(self._layout.lifecycle_lock) as lock:
            names = os.listdir(self._layout.pending)
            lock.acquire(self._timeout)
            for name in names:
                path = os.path.join(self._layout.pending, name)
                if name.endswith(".json") and os.path.isfile(path) and not _is_note(path):
                    self._take(None, path, "this note of an operation cannot be read")

    def _take(self, address: Address | None, path: str, why: str) -> None:
        def take() -> None:
            self.done.append(Problem(address, f"{path} was moved to {self._attic.take(path, why)}: {why}"))

        self._try(address, take)

    def _put_right(self) -> None:
        for path in list(self._survey.live_directories()):
            self._try(self._found.owner_of(path), self._settle_live, path)
        for path in list(self._survey.trashed_directories()):
            self._try(self._found.owner_of(path), self._settle_trashed, path)
        self._try(None, self._catalog)

    def _catalog(self) -> None:
        count = self._registry_anew()
        self.done.append(Problem(None, f"the registry was made anew: {count} addresses"))
        for placed in list(self._registry.addresses()):
            floor = self._registry.floor(placed.identity.address)
            described = pool.describe(placed.path, self._owner)
            if described is not None and described[1].revision < floor:
                self._inscribe(placed.path, described[0], LIVE, floor)
                text = f"its revisions go on behind {floor}"
                self.done.append(Problem(Address.parse(placed.identity.address), text))

    def _registry_anew(self) -> int:
        """Make the registry anew, in its file unless that is damaged; return how many addresses it has."""
        with suppress(CorruptStoreError):  # damage of a page that shows when something is added to it
            if is_sound(self._layout.registry):
                return self._lifecycle.rebuild_registry()
        self._survey.replace_registry()
        return self._lifecycle.rebuild_registry()

    def _settle_live(self, path: str) -> None:
        """Take away what does not belong where addresses lie."""
        if not os.path.isdir(path):
            return  # on a disk that is not mounted, perhaps
        try:
            described = pool.describe(path, self._owner)
        except CorruptStoreError:
            return  # it could not be mended, which was told
        if described is None:
            if os.path.dirname(path) == self._layout.addresses:
                self._take(None, path, "it holds no keystore")
            return
        identity, state = described
        if state.status == DELETED:
            pool.discard_at(path)
            target = os.path.join(self._layout.trash, f"{clock.now():016d}-{identity.id[:8]}")
            move(path, target)
            self.done.append(Problem(Address.parse(identity.address), f"it was deleted; it was moved to {target}"))
        elif not self._survey.is_at_home(Placed(identity, path)):
            pool.discard_at(path)
            self._take(None, path, f"the keystore of {identity.address} does not belong there")

    def _settle_trashed(self, path: str) -> None:
        """Declare deleted what somebody has put into the trash by hand."""
        described = pool.describe(path, self._owner) if os.path.isdir(path) else None
        if described is None:
            if os.path.isdir(path):
                self._take(None, path, "it holds no keystore")
        elif described[1].status != DELETED:
            identity = described[0].changed(deleted_at=clock.now())
            self._inscribe(path, identity, DELETED, 0)
            self.done.append(Problem(Address.parse(identity.address), f"{path} is a deleted address now"))

    def _inscribe(self, path: str, identity: Identity, status: int, revision: int) -> None:
        def inscribe(commit: Commit) -> None:
            commit.state.status = status
            commit.state.generation += 1
            commit.state.revision = max(commit.state.revision, revision)
            commit.put(IDENTITY, identity.encode())

        run(begin(path, self._owner, self._timeout), inscribe)

    # -- permissions -------------------------------------------------------------------------------------------

    def _close_to_others(self, path: str) -> None:
        try:
            mode = stat.S_IMODE(os.stat(path, follow_symlinks=False).st_mode)
            if path == self._layout.root:
                os.chmod(path, mode & ~stat.S_IWOTH)
            else:
                os.chmod(path, mode & stat.S_IRWXU)
        except FileNotFoundError:
            return
        except OSError as error:
            raise translated(error, path) from error
        self.done.append(Problem(None, f"{path}: closed to others"))


def _is_note(path: str) -> bool:
    try:
        read_note(path)
    except CorruptStoreError:
        return False
    return True
