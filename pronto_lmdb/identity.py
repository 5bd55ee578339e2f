"""What an environment says of itself: the identity (rarely written) and the state (with every commit)."""

from __future__ import annotations

import os
from struct import Struct

from msgpack import packb, unpackb

from pronto_lmdb import clock
from pronto_lmdb.errors import CorruptStoreError, FormatVersionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = 1

LIVE = 1
DELETED = 2

_STATE = Struct(">BBHIQQI")


class Identity:
    """Who owns an environment and how it is kept. The registry's copy of this can be rebuilt from it.

    Args:
        address: text of the address; empty for the registry itself.
        id: 32 hex digits, unique for ever.
        created_at: microseconds since 1970 UTC.
        durability: ``"full"`` or ``"off"``.
        max_bytes: quota of the data file, or ``None``.
        labels: free text by name.
        origin: where the data came from, as JSON-like facts; empty for a plain creation.
        deleted_at: when it went to the trash, or ``None``.

    """

    __slots__ = ("address", "created_at", "deleted_at", "durability", "id", "labels", "max_bytes", "origin")

    def __init__(
        self,
        address: str,
        *,
        id: str = "",  # noqa: A002 - the name users see in AddressInfo
        created_at: int = 0,
        durability: str = "full",
        max_bytes: int | None = None,
        labels: dict[str, str] | None = None,
        origin: dict[str, Any] | None = None,
        deleted_at: int | None = None,
    ) -> None:
        self.address = address
        self.id = id or os.urandom(16).hex()
        self.created_at = created_at or clock.now()
        self.durability = durability
        self.max_bytes = max_bytes
        self.labels = labels or {}
        self.origin = origin or {}
        self.deleted_at = deleted_at

    def fields(self) -> dict[str, Any]:
        """Return all fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    def changed(self, **changes: Any) -> Identity:
        """Return a copy with some fields replaced."""
        return Identity(**{**self.fields(), **changes})

    def encode(self) -> bytes:
        """Return the stored form: a msgpack map with the format version first."""
        return packb({"format": FORMAT, **self.fields()})  # type: ignore[no-any-return]

    @classmethod
    def decode(cls, stored: bytes | None, place: str) -> Identity:
        """Read the stored form; ``place`` is the directory, for messages.

        Raises:
            FormatVersionError: if a newer release wrote it.
            CorruptStoreError: if it is absent or unreadable.

        """
        try:
            fields = unpackb(stored)
            version = fields.pop("format")
            if version == FORMAT:
                return cls(**fields)
        except (ValueError, TypeError, AttributeError, KeyError):
            raise CorruptStoreError(
                f"{place} does not say which address it belongs to.",
                "Move it away, or restore it from a snapshot.",
            ) from None
        raise FormatVersionError(
            f"{place} has the format version {version}; this release reads version {FORMAT}.",
            "Use the release that wrote it, or a newer one.",
        )


class State:
    """The counters that every commit reads first and writes last.

    ``status`` is LIVE or DELETED; ``generation`` moves whenever the environment changes its name or status, so
    that a handle opened before can tell; ``revision`` counts the commits; ``expiring`` the records with an
    expiry; ``namespaces`` the namespaces with a default TTL.
    """

    __slots__ = ("expiring", "generation", "namespaces", "revision", "status")

    def __init__(
        self,
        status: int = LIVE,
        generation: int = 1,
        revision: int = 0,
        expiring: int = 0,
        namespaces: int = 0,
    ) -> None:
        self.status = status
        self.generation = generation
        self.revision = revision
        self.expiring = expiring
        self.namespaces = namespaces

    @property
    def internal_entries(self) -> int:
        """How many entries of the environment are not records: identity, state, index, namespace defaults."""
        return 2 + self.expiring + self.namespaces

    def encode(self) -> bytes:
        """Return the stored form, 28 bytes."""
        return _STATE.pack(FORMAT, self.status, 0, self.generation, self.revision, self.expiring, self.namespaces)

    @classmethod
    def decode(cls, stored: bytes | None, place: str) -> State:
        """Read the stored form; ``place`` is the directory, for messages.

        Raises:
            FormatVersionError: if a newer release wrote it.
            CorruptStoreError: if it is absent or of another size.

        """
        if stored is None or len(stored) != _STATE.size:
            raise CorruptStoreError(f"{place} holds no valid state.", "Move it away, or restore it from a snapshot.")
        version, status, _, *counters = _STATE.unpack(stored)
        if version != FORMAT:
            raise FormatVersionError(
                f"{place} has the format version {version}; this release reads version {FORMAT}.",
                "Use the release that wrote it, or a newer one.",
            )
        return cls(status, *counters)
