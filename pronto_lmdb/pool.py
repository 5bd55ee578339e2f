"""The environments that this process has open: one per data file, shared, bounded, gone after a fork."""

from __future__ import annotations

import os
import sys
from _thread import RLock
from contextlib import contextmanager, suppress

from pronto_lmdb.data_files import identify, look_before_opening
from pronto_lmdb.directory import abandon_all
from pronto_lmdb.environment import Environment, StaleEnvironment
from pronto_lmdb.errors import ConflictError, CorruptStoreError, LockTimeoutError, ProntoError, StoreFullError
from pronto_lmdb.files import FileLock
from pronto_lmdb.flusher import flusher
from pronto_lmdb.forks import gate
from pronto_lmdb.home import Home
from pronto_lmdb.identity import LIVE
from pronto_lmdb.journaled import JournaledEnvironment, ViewLostError, is_journaled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pronto_lmdb.identity import Identity, State

# What one environment keeps open: two or three files of LMDB, the writer lock, the directory, the journal.
DESCRIPTORS_EACH = 6
MOST_OPEN = 512
FEWEST_OPEN = 8

_ATTEMPTS = 100
_VAIN_ATTEMPTS = 2
# Seconds to wait while another process recovers an address, or still uses what must be recovered.
_PATIENCE = 10.0


def capacity() -> int:
    """Return how many environments may be open: at most 512, and at most half of the process's descriptors."""
    if sys.platform == "win32":
        return MOST_OPEN
    from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit

    limit = getrlimit(RLIMIT_NOFILE)[0]
    if limit == RLIM_INFINITY:
        return MOST_OPEN
    return max(FEWEST_OPEN, min(MOST_OPEN, limit // 2 // DESCRIPTORS_EACH))


class ForeignHomeError(CorruptStoreError):
    """The directory of one address holds the environment of another."""


class Pool:
    """All open environments of a process, by the identity of their data files.

    A directory may be renamed or replaced while it is open here, so its path does not identify it, and LMDB
    breaks when one file is opened twice in a process.
    """

    def __init__(self) -> None:
        self._inherited: set[tuple[int, int]] = set()
        # Held for a moment by life-cycle operations; a fork in between must not keep a copy.
        self._passing_locks: set[FileLock] = set()
        self._reset()

    def _reset(self) -> None:
        self._lock = RLock()
        # In the order of opening; a used one moves to the end when the pool looks for one to close.
        self._open: dict[tuple[int, int], Environment] = {}

    def open(self, path: str, address: str, owner: int) -> Home | None:
        """Return the home of an address in a directory, opened if need be.

        Args:
            path: the directory.
            address: text of the address that is looked for, empty for the registry.
            owner: a number that stands for the store that uses it.

        Returns:
            ``None`` if the directory holds no environment, or one that was deleted.

        Raises:
            ForeignHomeError: if it belongs to another address.
            ProntoError: what :class:`Environment` raises.

        """
        while True:
            environment = self.peek(path, owner)
            if environment is None:
                return None
            with suppress(StaleEnvironment), self._lock:
                return self._home(environment, path, address)

    def _home(self, environment: Environment, path: str, address: str) -> Home | None:
        home = environment.home
        if home is not None and home.identity.address == address and home.is_current():
            return home
        identity, state = environment.describe()
        if identity.address != address:
            raise ForeignHomeError(
                f"{path} belongs to {identity.address or 'a registry'}, not to {address or 'the registry'}.",
                "Was it copied by hand? Move it away.",
            )
        if state.status != LIVE:
            self.discard(environment)
            return None
        environment.limit_to(identity.max_bytes)
        home = environment.home = Home(environment, identity, state)
        return home

    def peek(self, path: str, owner: int) -> Environment | None:
        """Return the environment in a directory, whoever it belongs to and whatever its status."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._peek(path, owner)
            except ViewLostError as lost:
                if attempt >= _VAIN_ATTEMPTS and isinstance(lost.__cause__, CorruptStoreError):
                    raise lost.__cause__ from None  # the view is not what is wrong
                from pronto_lmdb.recovery import make_view  # seldom needed: it would cost every command 6 ms

                # Not under the pool's lock: other addresses need not wait while this one is recovered.
                make_view(path, _PATIENCE)
        raise LockTimeoutError(f"{path} loses its view all the time.", "Look at the system log.")

    def _peek(self, path: str, owner: int) -> Environment | None:
        with self._lock:
            for _ in range(_ATTEMPTS):
                file = identify(path)
                if file is None:
                    if is_journaled(path):
                        raise ViewLostError(path)
                    return None
                environment = self._open.get(file)
                if environment is None:
                    environment = self._open_new(path, file)
                if environment is not None:
                    environment.path = path
                    environment.owners.add(owner)
                    environment.used = True
                    return environment
            raise LockTimeoutError(f"{path} changes its owner all the time.", "Try again.")

    def describe(self, path: str, owner: int) -> tuple[Identity, State] | None:
        """Return what the environment in a directory says of itself; ``None`` if there is none."""
        while True:
            environment = self.peek(path, owner)
            with suppress(StaleEnvironment):  # closed in between, to make room for others
                return None if environment is None else environment.describe()

    def _open_new(self, path: str, file: tuple[int, int]) -> Environment | None:
        """Open what was just seen in a directory; ``None`` if it has been replaced since."""
        if file in self._inherited:
            raise ConflictError(
                f"{path} was in use at the moment when this process was forked.",
                "Fork while no transaction or view is open, or start the process by spawn.",
            )
        self._shrink(capacity() - 1)
        try:
            environment = _opened(path)
        except StoreFullError:
            # Descriptors or address space: give back everything idle, then try once more.
            self._shrink(0)
            environment = _opened(path)
        except ProntoError:
            if identify(path) != file:
                return None
            raise
        if environment.file is None or environment.file in self._open or identify(path) != environment.file:
            environment.try_close()
            return None
        self._open[environment.file] = environment
        return environment

    def release(self, owner: int) -> None:
        """Forget a store; close what no other store uses.

        Raises:
            StoreFullError: if the disk refuses what was acknowledged at the level ``normal``; closed it is anyway.

        """
        refused = None
        with self._lock:
            for environment in self._open.values():
                environment.owners.discard(owner)
                try:
                    environment.save()
                except StoreFullError as error:
                    refused = error
            self._close_where(lambda environment: not environment.owners)
        if refused is not None:
            raise refused

    def discard(self, environment: Environment) -> None:
        """Close an environment that is no longer needed, at once or when nobody is inside any more."""
        with self._lock:
            self._close_where(lambda other: other is environment)
            if not environment.closed and not environment.is_in_place():
                environment.owners.clear()  # nobody can find this one again; the last one inside closes it

    def discard_at(self, path: str) -> None:
        """Close the environment in a directory, if it is open here; nothing is opened."""
        with self._lock:
            environment = self._open.get(identify(path) or (0, 0))
            if environment is not None:
                self.discard(environment)

    @contextmanager
    def keeping_closed(self, path: str) -> Iterator[bool]:
        """Let nobody in this process open anything for a moment; yield whether what is in a directory is closed."""
        with self._lock:
            file = identify(path)
            yield file is not None and file not in self._open and file not in self._inherited

    def close_unowned(self, environment: Environment) -> None:
        """Close an environment whose last store was closed while a view was still open on it."""
        if not environment.owners:
            self.discard(environment)

    def environments(self) -> list[Environment]:
        """Return what is open now."""
        with self._lock:
            return list(self._open.values())

    def _close_where(self, unwanted: Callable[[Environment], bool]) -> None:
        for file, environment in list(self._open.items()):
            if unwanted(environment) and environment.try_close():
                self._open.pop(file, None)  # the collector of garbage may have ended a view, and closed it, meanwhile

    def _shrink(self, size: int) -> None:
        """Close the environments used longest ago until at most ``size`` are open; those in use stay."""
        for _ in range(2 * len(self._open)):
            if len(self._open) <= size:
                return
            file, environment = next(iter(self._open.items()))
            if environment.closed or (not environment.used and environment.try_close()):
                self._open.pop(file, None)
            else:
                environment.used = False
                self._open[file] = self._open.pop(file, environment)

    @contextmanager
    def passing(self, path: str, kind: type[FileLock] = FileLock) -> Iterator[FileLock]:
        """Yield a lock, not held yet, that a fork's child will not keep; it is given back in the end."""
        lock = kind(path)
        self._passing_locks.add(lock)
        try:
            yield lock
        finally:
            lock.release()
            lock.close()
            self._passing_locks.discard(lock)

    # -- fork --------------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Close what is idle: LMDB's handles and reader slots must not be shared with a child."""
        self._lock.acquire()
        self._close_where(lambda _: True)
        gate.close()

    def after_fork_in_parent(self) -> None:
        """Go on; what was closed opens again at its next use."""
        gate.open()
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Begin empty. What was in use at the fork is left alone: closing it would harm the parent."""
        inherited, locks = self._open, self._passing_locks
        self._reset()
        self._passing_locks = set()
        gate.reset()
        flusher.reset()
        for lock in locks:
            lock.close()
        abandon_all()
        self._inherited.update(inherited)
        for environment in inherited.values():
            self.keep(environment.abandon())

    def keep(self, inherited: object) -> None:
        """Never let a fork's copy of an LMDB object be destroyed, not even at exit: its end would harm the parent."""
        from ctypes import py_object, pythonapi

        pythonapi.Py_IncRef(py_object(inherited))


def _opened(path: str) -> Environment:
    """Open what is in a directory: a keystore, or the registry, which keeps no journal."""
    if is_journaled(path):
        return JournaledEnvironment(path)
    look_before_opening(path)
    environment = Environment(path)
    if environment.is_keystore and not environment.readonly:
        # Release 0.1 wrote it: it gets a journal first.
        environment.try_close()
        raise ViewLostError(path)
    return environment


pool = Pool()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=pool.before_fork,
        after_in_parent=pool.after_fork_in_parent,
        after_in_child=pool.after_fork_in_child,
    )
