"""The verbs of a store that change or tell which addresses there are."""

from __future__ import annotations

import os
from contextlib import suppress

from pronto_lmdb import clock
from pronto_lmdb.address import Address
from pronto_lmdb.arguments import checked_age, checked_labels, checked_place, checked_quota
from pronto_lmdb.config import checked
from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import AddressExistsError, AddressNotFoundError, CorruptStoreError, ReadOnlyError
from pronto_lmdb.identity import Identity
from pronto_lmdb.journaled import JournaledEnvironment
from pronto_lmdb.key import encode_bound
from pronto_lmdb.pool import pool
from pronto_lmdb.reading import MICROSECONDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pronto_lmdb.adoption import Adoption
    from pronto_lmdb.layout import Layout
    from pronto_lmdb.lifecycle import Lifecycle
    from pronto_lmdb.lookup import Lookup
    from pronto_lmdb.registry import Registry
    from pronto_lmdb.results import AddressInfo, Compaction, DeletedAddress


class AddressVerbs:
    """The addresses of a store: create, find, rename, delete them, and bring them back."""

    path: str
    readonly: bool
    timeout: float
    _layout: Layout
    _lookup: Lookup
    _owner: int
    _registry: Registry

    @property
    def durability(self) -> str:
        """The level of addresses that this store creates."""
        raise NotImplementedError

    def flush_interval(self) -> float:
        """Return the seconds in which a write at the level ``normal`` is on the disk."""
        raise NotImplementedError

    def check_open(self) -> None:
        """Raise StoreClosedError after ``close()``."""
        raise NotImplementedError

    def create(
        self,
        address: Address | str,
        *,
        path: str | os.PathLike[str] | None = None,
        durability: str | None = None,
        max_bytes: int | None = None,
        labels: Mapping[str, str] | None = None,
        exist_ok: bool = False,
    ) -> AddressInfo:
        """Create an address.

        Args:
            address: its name.
            path: a directory elsewhere, such as on another disk; it must not exist, or be empty.
            durability: ``"full"``: an acknowledged write survives power loss; ``"normal"``: the last second may
                be lost then; ``"off"``: everything may. All survive the crash of a process. By default that of the
                store.
            max_bytes: quota of the data file.
            labels: text by name, for whoever looks after the store.
            exist_ok: accept an address that exists, as it is.

        Raises:
            AddressExistsError: if it exists, or the path is taken.
            InvalidValueError: for an impossible level, quota or label.

        """
        from pronto_lmdb.results import AddressInfo

        address = Address.of(address)
        identity = Identity(
            str(address),
            durability=self.durability if durability is None else str(checked("durability", durability)),
            max_bytes=checked_quota(max_bytes),
            labels=checked_labels(labels or {}),
        )
        place = None if path is None else checked_place(path, self._layout)
        self._check_writable()
        with self._lifecycle.locked():
            home = self._lookup.find(address)
            if home is not None and not exist_ok:
                raise AddressExistsError(f"{address} exists already.", "Pass exist_ok=True to accept it as it is.")
            if home is not None:
                return AddressInfo.from_identity(home.identity, home.environment.path)
            return AddressInfo.from_identity(identity, self._lifecycle.create(identity, place))

    def exists(self, address: Address | str) -> bool:
        """Tell whether an address exists."""
        self.check_open()
        return self._lookup.find(Address.of(address)) is not None

    def info(self, address: Address | str) -> AddressInfo:
        """Return what is known about an address.

        Raises:
            AddressNotFoundError: if it does not exist.

        """
        from pronto_lmdb.results import AddressInfo

        self.check_open()
        address = Address.of(address)
        home = self._lookup.find(address)
        if home is None:
            raise self._not_found(address)
        return AddressInfo.from_identity(home.identity, home.environment.path)

    def addresses(self, user: str | None = None) -> Iterator[AddressInfo]:
        """Yield all addresses, or those of one user, sorted by the bytes of their text."""
        self.check_open()
        self._ensure_catalog()
        return self._listed(user)

    def _listed(self, user: str | None) -> Iterator[AddressInfo]:
        from pronto_lmdb.results import AddressInfo

        self.check_open()
        last = None
        while True:
            try:
                for placed in self._registry.addresses(user, after=last):
                    yield AddressInfo.from_identity(placed.identity, placed.path)
                    self.check_open()
                    last = placed.identity.address
            except CorruptStoreError:
                if self.readonly:
                    raise
                self.rebuild_registry()
            else:
                return

    def set_durability(self, address: Address | str, level: str) -> None:
        """Change the level of durability of an address, for all processes; on the disk when it returns.

        Args:
            address: which.
            level: ``"full"``, ``"normal"`` or ``"off"``; see :meth:`create`.

        Raises:
            AddressNotFoundError: if it does not exist.
            InvalidValueError: for another level.

        """
        self._check_writable()
        checked("durability", level)
        self._require_root(Address.of(address))
        self._lifecycle.set_durability(Address.of(address), level)

    def set_quota(self, address: Address | str, max_bytes: int | None) -> None:
        """Change how many bytes the data file of an address may take, for all processes; on the disk when it returns.

        An address that holds more than its new quota keeps everything. It takes no more than deletions then, until it
        fits again; its file does not shrink.

        Args:
            address: which.
            max_bytes: at least 65,536; ``None`` for no quota.

        Raises:
            AddressNotFoundError: if it does not exist.
            InvalidValueError: for an impossible quota.

        """
        self._check_writable()
        max_bytes = checked_quota(max_bytes)
        self._require_root(Address.of(address))
        self._lifecycle.set_quota(Address.of(address), max_bytes)

    def copy(
        self, src: Address | str, dst: Address | str, *, overwrite: bool = False, prefix: str | None = None
    ) -> AddressInfo:
        """Copy an address as of one moment, while both are in use: values, TTLs, and the TTLs of namespaces.

        Args:
            src: what to copy.
            dst: the name of the copy.
            overwrite: whether an address of that name may be replaced; it goes to the trash as a whole.
            prefix: only the keys that begin with this.

        Raises:
            AddressNotFoundError: if there is no address to copy.
            AddressExistsError: if the name is taken; nothing is changed then.

        """
        from pronto_lmdb.copying import copy_address
        from pronto_lmdb.installation import Installation

        source, target, start = Address.of(src), Address.of(dst), encode_bound(prefix or "")
        self._check_writable()
        self._require_root(source)
        installation = Installation(self._layout, self._lookup, self._registry, self._owner, self.timeout)
        copy_address(installation, self._lookup, source, target, start, overwrite=overwrite)
        return self.info(target)

    def rename(self, address: Address | str, to: Address | str) -> None:
        """Give an address another name.

        Raises:
            AddressNotFoundError: if there is no such address.
            AddressExistsError: if the new name is taken.

        """
        self._check_writable()
        self._require_root(Address.of(address))
        self._lifecycle.rename(Address.of(address), Address.of(to))

    def delete(self, address: Address | str) -> str:
        """Move an address to the trash, from which :meth:`undelete` brings it back until it is purged.

        Returns:
            The id under which it lies in the trash.

        Raises:
            AddressNotFoundError: if it does not exist.

        """
        self._check_writable()
        self._require_root(Address.of(address))
        return self._lifecycle.delete(Address.of(address))

    def undelete(self, address: Address | str, to: Address | str | None = None) -> AddressInfo:
        """Bring back the newest deletion of an address, under its own name or another.

        Raises:
            AddressNotFoundError: if it is not in the trash.
            AddressExistsError: if the name is taken.

        """
        self._check_writable()
        address = Address.of(address)
        target = address if to is None else Address.of(to)
        self._require_root(address)
        self._lifecycle.undelete(address, target)
        return self.info(target)

    def trash(self) -> list[DeletedAddress]:
        """Return the deleted addresses that can still be brought back, oldest first."""
        from pronto_lmdb.results import DeletedAddress

        self.check_open()
        self._ensure_catalog()
        try:
            deleted = self._registry.trash()
        except CorruptStoreError:
            self.rebuild_registry()
            deleted = self._registry.trash()
        return [DeletedAddress.from_identity(item.trash_id, item.identity, item.path) for item in deleted]

    def purge(self, older_than: float | None = None) -> int:
        """Remove deleted addresses for good.

        Args:
            older_than: only those deleted more than so many seconds ago; all by default.

        Returns:
            How many were removed.

        """
        self._check_writable()
        before = None if older_than is None else clock.now() - round(checked_age(older_than) * MICROSECONDS)
        if not os.path.isdir(self._layout.trash):
            return 0
        return self._lifecycle.purge(before)

    def compact(self, address: Address | str | None = None) -> list[Compaction]:
        """Give back the room that deleted and replaced records took, while other processes read and write.

        The data file is written anew, as small as it can be, and put in the place of the old one. Writers of the
        address wait meanwhile, some ms for each MB; readers do not, and nobody else does. What is acknowledged by
        then is on the disk afterwards, whatever the level, in a base of the same size.

        Args:
            address: which; by default all, one after the other.

        Returns:
            What was done, in the order in which it was done.

        Raises:
            AddressNotFoundError: if it does not exist.
            StoreFullError: if there is no room for a second copy; nothing is changed then.

        """
        self._check_writable()
        if address is not None:
            self._require_root(Address.of(address))
            return [self._compacted(Address.of(address))]
        done = []
        for info in self.addresses():
            with suppress(AddressNotFoundError):  # deleted meanwhile
                done.append(self._compacted(info.address))
        return done

    def _compacted(self, address: Address) -> Compaction:
        from pronto_lmdb.journaled_commit import JournaledCommit
        from pronto_lmdb.results import Compaction

        while True:
            self.check_open()
            home = self._lookup.find(address)
            if home is None:
                raise self._not_found(address)
            environment = home.environment
            if not isinstance(environment, JournaledEnvironment):
                raise ReadOnlyError(f"{address} cannot be written.", "Check its owner and permissions.")
            try:
                before, after = JournaledCommit(environment, home, self.timeout, self.flush_interval).compact()
            except StaleEnvironment:
                continue
            finally:
                pool.discard(environment)
            return Compaction(address, before, after)

    def rebuild_registry(self) -> int:
        """Catalog all addresses anew from what their directories say; return how many were found."""
        self._check_writable()
        with self._lifecycle.locked():
            return self._lifecycle.rebuild_registry()

    # -- what they share ---------------------------------------------------------------------------------------

    @property
    def _lifecycle(self) -> Lifecycle:
        """The life-cycle operations; imported when first needed, because most processes only read and write."""
        from pronto_lmdb.lifecycle import Lifecycle

        return Lifecycle(self._layout, self._lookup, self._registry, self._owner, self.timeout)

    def adoption(self) -> Adoption:
        """Return the operations that bring content from elsewhere.

        Raises:
            ReadOnlyError: if the store was opened read-only.

        """
        from pronto_lmdb.adoption import Adoption

        self._check_writable()
        return Adoption(self._layout, self._lookup, self._registry, self._owner, self.timeout)

    def _check_writable(self) -> None:
        self.check_open()
        if self.readonly:
            raise ReadOnlyError("The store was opened read-only.", "Open it without readonly=True.")

    def _require_root(self, address: Address) -> None:
        """Refuse to look for an address where there is no store, instead of making one."""
        if not os.path.isdir(self._layout.meta) and not os.path.isdir(self._layout.addresses):
            raise self._not_found(address)

    def _not_found(self, address: Address) -> AddressNotFoundError:
        return AddressNotFoundError(
            f"There is no address {address} in {self.path}.", "`pronto addresses` lists those that exist."
        )

    def _ensure_catalog(self) -> None:
        """Make a lost registry anew, where there is something to catalog and writing is allowed."""
        if not self.readonly and os.path.isdir(self._layout.addresses) and not self._registry.is_usable():
            with self._lifecycle.locked():
                return
