"""The store: one data root with all its addresses."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import count

from pronto_lmdb.address import Address
from pronto_lmdb.arguments import checked_timeout
from pronto_lmdb.config import SETTINGS, Config, checked, default_root
from pronto_lmdb.errors import (
    InvalidAddressError,
    InvalidValueError,
    ProntoError,
    StoreClosedError,
)
from pronto_lmdb.identity import Identity
from pronto_lmdb.keystore import Keystore
from pronto_lmdb.layout import Layout
from pronto_lmdb.lookup import Lookup
from pronto_lmdb.pool import pool
from pronto_lmdb.registry import Registry
from pronto_lmdb.snapshot_verbs import SnapshotVerbs
from pronto_lmdb.values import is_encodable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any, Self

    from pronto_lmdb.checking import Checker
    from pronto_lmdb.home import Home
    from pronto_lmdb.results import Report

_owners = count(1)


def open(  # noqa: A001 - the name of the contract, as in dbm and shelve
    path: str | os.PathLike[str] | None = None,
    *,
    create: bool = True,
    readonly: bool = False,
    durability: str | None = None,
    timeout: float = 10.0,
) -> Store:
    """Open a store. Nothing is created on disk until the first write.

    Args:
        path: the root directory; by default ``PRONTO_ROOT``, else the user data directory for ``prontodb``.
        create: whether writing to an address that does not exist creates it.
        readonly: refuse every write.
        durability: level of the addresses that this store creates: ``"full"``, ``"normal"`` or ``"off"``; by
            default the setting of the store.
        timeout: seconds to wait for any lock.

    Returns:
        A :class:`Store`; close it with ``close()`` or a ``with`` block.

    Raises:
        InvalidValueError: for an unknown durability or an impossible timeout.

    """
    return Store(path, create=create, readonly=readonly, durability=durability, timeout=timeout)


class Store(SnapshotVerbs):
    """All addresses below one root. Made by :func:`open`; threads may share it.

    ``store["alice.research"]`` is the keystore of an address. Addresses share nothing: there is no transaction
    across two of them.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        create: bool = True,
        readonly: bool = False,
        durability: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        if durability is not None:
            checked("durability", durability)
        self.path = os.path.realpath(default_root() if path is None else os.fsdecode(path))
        if not is_encodable(self.path) or "\0" in self.path:
            raise InvalidValueError(f"The path {self.path!a} cannot be used.", "Use UTF-8 without NUL.")
        self.creates = create
        self.readonly = readonly
        self.timeout = checked_timeout(timeout)
        self.closed = False
        self._durability = durability
        self._owner = next(_owners)
        self._layout = Layout(self.path)
        self._registry = Registry(self._layout, self._owner, self.timeout)
        self._lookup = Lookup(self._layout, self._owner)
        self.known_value_limit: int | None = None
        self._flush_interval: float | None = None
        self._view_warning: float | None = None
        self.config = Config(self._setting, self._set_setting)
        if not readonly and self._lookup.is_pending():
            self._lifecycle.finish_pending()

    # -- keystores ---------------------------------------------------------------------------------------------

    def __getitem__(self, address: Address | str) -> Keystore:
        return self.keystore(address)

    def keystore(self, address: Address | str) -> Keystore:
        """Return the keystore of an address, which need not exist."""
        self.check_open()
        return Keystore(self, Address.of(address))

    def __contains__(self, address: object) -> bool:
        """Tell whether an address exists; what cannot be one does not."""
        if not isinstance(address, (Address, str)):
            return False
        try:
            return self.exists(address)
        except InvalidAddressError:
            return False

    def __iter__(self) -> Iterator[Address]:
        """Yield the addresses that exist, sorted by the bytes of their text."""
        return (info.address for info in self.addresses())

    # -- care --------------------------------------------------------------------------------------------------

    def check(
        self,
        repair: bool = False,
        deep: bool = False,
        *,
        addresses: Iterable[Address | str] | None = None,
        rebuild: bool = False,
        progress: Callable[[int, int], object] | None = None,
    ) -> Report:
        """Look for damage and disagreement in all addresses, live and deleted, and in the catalog; repair it, if asked.

        What a killed process left undone is finished first, as when the store is opened. Writers go on meanwhile: each
        address is read like a :class:`View`. Only what is being repaired must not be in use.

        A repair takes what is whole, base and journal or the data file, and makes the rest anew from it. Where neither
        is whole it saves what can be read. What it cannot keep goes to the trash, with a note that says why.

        Args:
            repair: repair what is found, then look again.
            deep: read every value, too, and compare each address with what its base and its journal would restore after
                a power loss. Needs room for a copy of one address after the other in the system's temporary directory.
            addresses: look at these alone, and not at the trash.
            rebuild: make the data files anew, whatever they look like; with this everything is repaired, too.
            progress: called now and then with two numbers: how many directories were looked at, and how many there are.

        Returns:
            All problems that were found; what could not be looked at is one. After a repair: those that are left, what
            was lost, and what was done.

        Raises:
            AddressNotFoundError: if one of ``addresses`` does not exist.
            ReadOnlyError: if a repair is asked of a store that was opened read-only.

        """
        self.check_open()
        only = None if addresses is None else [Address.of(address) for address in addresses]
        if repair or rebuild:
            self._check_writable()
        if not self.readonly and self._lookup.is_pending():
            self._lifecycle.finish_pending()
        try:
            found, report = self._looked(deep, only, progress or _unseen)
            if rebuild or (repair and report.problems):
                report = self._repaired(
                    found, report, rebuild, lambda: self._looked(deep, only, progress or _unseen)[1]
                )
            return report
        finally:
            if self.closed:
                pool.release(self._owner)

    def _looked(
        self, deep: bool, only: list[Address] | None, progress: Callable[[int, int], object]
    ) -> tuple[Checker, Report]:
        from pronto_lmdb.checking import Checker

        checker = Checker(
            self._layout, self._registry, self._owner, self.timeout, deep=deep, only=only, progress=progress
        )
        return checker, checker.report()

    def _repaired(self, found: Checker, report: Report, rebuild: bool, look: Callable[[], Report]) -> Report:
        """Repair what was found, look again, and tell of both."""
        from pronto_lmdb.repairing import Repairing

        if not os.path.isdir(self._layout.addresses):
            return report
        repairing = Repairing(self._layout, self._lifecycle, self._registry, self._owner, self.timeout, found)
        repairing.run(rebuild=rebuild)
        problems = [*look().problems, *repairing.left]
        return report._replace(ok=not problems, problems=problems, repairs=tuple(repairing.done))

    # -- settings ----------------------------------------------------------------------------------------------

    @property
    def durability(self) -> str:
        """The level of addresses that this store creates."""
        return self._durability or str(self.config.effective("durability"))

    @property
    def value_limit(self) -> int:
        """The greatest size of a packed value, in bytes: the setting, read when first needed, unless set here."""
        if self.known_value_limit is None:
            self.known_value_limit = int(str(self.config.effective("value_limit")))
        return self.known_value_limit

    @value_limit.setter
    def value_limit(self, size: int) -> None:
        self.known_value_limit = int(str(checked("value_limit", str(size))))

    def flush_interval(self) -> float:
        """Return the seconds in which a write at the level ``normal`` is on the disk; read when first needed."""
        if self._flush_interval is None:
            self._flush_interval = float(str(self.config.effective("flush_interval")))
        return self._flush_interval

    def view_warning(self) -> float:
        """Return the seconds after which an open view is reported; read when first needed."""
        if self._view_warning is None:
            self._view_warning = float(str(SETTINGS["view_warning"].default))
            with suppress(ProntoError):  # a damaged registry keeps nobody from reading
                self._view_warning = float(str(self.config.effective("view_warning")))
        return self._view_warning

    def _setting(self, name: str) -> str | None:
        self.check_open()
        self._ensure_catalog()
        return self._registry.setting(name)

    def _set_setting(self, name: str, text: str | None) -> None:
        self._check_writable()
        with self._lifecycle.locked():
            self._registry.change(lambda commit: self._registry.set_setting_in(commit, name, text))
        self.known_value_limit = self._flush_interval = self._view_warning = None

    # -- the end -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the store and all its keystores; what they hold open is closed unless another store uses it."""
        if not self.closed:
            self.closed = True
            pool.release(self._owner)

    def __enter__(self) -> Self:
        self.check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Store {self.path}{' (closed)' if self.closed else ''}>"

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self.path, self.creates, self.readonly, self._durability, self.timeout)
        return _reopened, arguments

    # -- for keystores -----------------------------------------------------------------------------------------

    def check_open(self) -> None:
        """Raise StoreClosedError after :meth:`close`."""
        if self.closed:
            raise StoreClosedError("The store is closed.", "Open it again with pronto_lmdb.open().")

    def find(self, address: Address) -> Home | None:
        """Return the open home of an address, or ``None`` where it does not exist."""
        home = self._lookup.find(address)
        if self.closed:
            pool.release(self._owner)
            self.check_open()
        return home

    def create_missing(self, address: Address) -> None:
        """Create an address because it is being written to.

        Raises:
            AddressNotFoundError: if the store was opened with ``create=False``.

        """
        if not self.creates:
            raise self._not_found(address)
        with self._lifecycle.locked():
            if self._lookup.find(address) is None:
                self._lifecycle.create(Identity(str(address), durability=self.durability), None)


def _unseen(_: int, __: int) -> None:
    return


def _reopened(path: str, create: bool, readonly: bool, durability: str | None, timeout: float) -> Store:
    return Store(path, create=create, readonly=readonly, durability=durability, timeout=timeout)
