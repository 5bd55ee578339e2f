"""What an environment says of itself: the identity (rarely written) and the state (with every commit)."""

from __future__ import annotations

import os
from struct import Struct

from msgpack import packb, unpackb

from pronto_lmdb import clock
from pronto_lmdb.errors import CorruptStoreError, FormatVersionError
from pronto_lmdb.record import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import lmdb

FORMAT = 1

LIVE = 1
DELETED = 2

# The levels of durability, as the state and the journal store them.
LEVELS = {"full": 1, "normal": 2, "off": 3}
FULL, NORMAL, OFF = LEVELS.values()

# What an environment without a journal says, such as the registry and everything that early builds of 0.1 wrote.
_PLAIN = Struct(">BBHIQQI")
# With a journal: format, status, level, flags, generation, revision, expiring, namespaces; then the id of the journal,
# where its valid part ends, the checksum of its last frame, how long it may grow, and the LMDB transaction.
_JOURNALED = Struct(">BBBBIQQI16sQIQQ")
# During a checkpoint, behind that: the same of the journal before.
_PREVIOUS = Struct(">16sQI")
_JOURNALED_SIZES = (_JOURNALED.size, _JOURNALED.size + _PREVIOUS.size)
_JOURNALED_FORMAT = 2
_ANCHORED = 1

SMALLEST_LIMIT = 1024 * 1024
# How many times the size of the base. Each checkpoint writes the base anew: the longer the journal may grow, the less
# of that there is for each commit, and the more room and the longer a recovery takes.
_LIMIT_BASES = 3


def limit_beside(base: int) -> int:
    """Return how long a journal may grow beside a base of so many bytes."""
    return max(SMALLEST_LIMIT, _LIMIT_BASES * base)


class Identity:
    """Who owns an environment and how it is kept. The registry's copy of this can be rebuilt from it.

    Args:
        address: text of the address; empty for the registry itself.
        id: 32 hex digits, unique for ever.
        created_at: microseconds since 1970 UTC.
        durability: ``"full"``, ``"normal"`` or ``"off"``.
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
    """What every commit reads first and writes last: the counters, and the position in the journal.

    ``status`` is LIVE or DELETED; ``generation`` moves whenever the environment changes its name or status, so
    that a handle opened before can tell; ``revision`` counts the commits; ``expiring`` the records with an
    expiry; ``namespaces`` the namespaces with a default TTL.

    Attributes:
        level: FULL, NORMAL or OFF.
        anchored: whether the name of the directory is known to be on the disk.
        journal: id of the journal, 16 bytes; empty where there is none.
        end: where its valid part ends.
        checksum: of its last frame.
        limit: how long it may grow before a checkpoint.
        transaction: the number of LMDB's transaction at which ``revision`` holds. A state is not stored with every
            commit: where nothing but revision and position change, one is counted on, the other found in the journal.
        recorded: the revision that was stored last.
        located: whether ``end`` and ``checksum`` are those of ``revision``, and not of one before.
        previous: id, end and checksum of the journal before, while a checkpoint is under way.

    """

    __slots__ = (
        "anchored", "checksum", "end", "expiring", "generation", "journal", "level", "limit", "located", "namespaces",
        "previous", "recorded", "revision", "status", "transaction",
    )  # fmt: skip

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
        self.level = FULL
        self.anchored = False
        self.journal = b""
        self.end = 0
        self.checksum = 0
        self.limit = SMALLEST_LIMIT
        self.transaction = 0
        self.recorded = revision
        self.located = True
        self.previous: tuple[bytes, int, int] | None = None

    @property
    def internal_entries(self) -> int:
        """How many entries of the environment are not records: identity, state, index, namespace defaults."""
        return 2 + self.expiring + self.namespaces

    def encode(self) -> bytes:
        """Return the stored form: 28 bytes, 72 with a journal, 100 during a checkpoint."""
        counters = (self.generation, self.revision, self.expiring, self.namespaces)
        if not self.journal:
            return _PLAIN.pack(FORMAT, self.status, 0, *counters)
        stored = _JOURNALED.pack(
            _JOURNALED_FORMAT, self.status, self.level, self.anchored, *counters,
            self.journal, self.end, self.checksum, self.limit, self.transaction,
        )  # fmt: skip
        return stored if self.previous is None else stored + _PREVIOUS.pack(*self.previous)

    @classmethod
    def decode(cls, stored: bytes | None, place: str) -> State:
        """Read the stored form; ``place`` is the directory, for messages.

        Raises:
            FormatVersionError: if a newer release wrote it.
            CorruptStoreError: if it is absent or of another size.

        """
        if not stored:
            raise CorruptStoreError(f"{place} holds no valid state.", "Move it away, or restore it from a snapshot.")
        if stored[0] == _JOURNALED_FORMAT and len(stored) in _JOURNALED_SIZES:
            state = cls.__new__(cls)
            (
                _, state.status, state.level, flags, state.generation, state.revision, state.expiring,
                state.namespaces, state.journal, state.end, state.checksum, state.limit,
                state.transaction,
            ) = _JOURNALED.unpack_from(stored)  # fmt: skip
            state.anchored = flags == _ANCHORED
            state.recorded = state.revision
            state.located = True
            state.previous = None if len(stored) == _JOURNALED.size else _PREVIOUS.unpack_from(stored, _JOURNALED.size)
            return state
        return cls._decode_plain(stored, place)

    def point_to(self, position: tuple[bytes, int, int], previous: tuple[bytes, int, int] | None) -> None:
        """Name another position in another journal, and the one to go back to."""
        (self.journal, self.end, self.checksum), self.previous = position, previous

    @classmethod
    def read(cls, txn: lmdb.Transaction[bytes], place: str, transaction: int) -> State:
        """Return the state that a transaction shows.

        Args:
            txn: of the view.
            place: the directory, for messages.
            transaction: the number of the last commit that it shows: its own, or that before the one that writes.

        Raises:
            FormatVersionError, CorruptStoreError: as :meth:`decode`.

        """
        state = cls.decode(txn.get(STATE), place)
        if state.journal and state.transaction != transaction:
            state.revision += transaction - state.transaction
            if state.revision < 0:  # the file of another time, or of another keystore
                raise CorruptStoreError(f"{place} holds no valid state.", "Restore it from a snapshot.")
            state.transaction = transaction
            state.located = state.level == OFF
        return state

    @classmethod
    def _decode_plain(cls, stored: bytes, place: str) -> State:
        if stored[0] not in (FORMAT, _JOURNALED_FORMAT):
            raise FormatVersionError(
                f"{place} has the format version {stored[0]}; this release reads versions 1 and 2.",
                "Use the release that wrote it, or a newer one.",
            )
        if stored[0] != FORMAT or len(stored) != _PLAIN.size:
            raise CorruptStoreError(f"{place} holds no valid state.", "Move it away, or restore it from a snapshot.")
        _, status, _, *counters = _PLAIN.unpack(stored)
        return cls(status, *counters)
