"""An embedded key-value store for fleets of agents: every address owns its own LMDB environment.

>>> import pronto_lmdb
>>> with pronto_lmdb.open("data") as store:  # doctest: +SKIP
...     store["alice.research"]["plan"] = {"step": 1}

:func:`open` returns a :class:`Store`; ``store[address]`` is a :class:`Keystore`, a mutable mapping whose every
verb is atomic and durable. ``with keystore.transaction()`` makes many writes one, ``with keystore.view()``
reads one consistent moment. All errors derive from :class:`ProntoError`.
"""

from __future__ import annotations

from pronto_lmdb.address import Address
from pronto_lmdb.config import Config
from pronto_lmdb.errors import (
    AddressExistsError,
    AddressNotFoundError,
    ConflictError,
    CorruptStoreError,
    FormatVersionError,
    InvalidAddressError,
    InvalidKeyError,
    InvalidValueError,
    KeyNotFoundError,
    LockTimeoutError,
    MigrationError,
    ProntoError,
    ReadOnlyError,
    SnapshotError,
    StoreClosedError,
    StoreFullError,
)
from pronto_lmdb.key import Key
from pronto_lmdb.keystore import Keystore
from pronto_lmdb.store import Store, open  # noqa: A004 - the name of the contract, as in dbm and shelve
from pronto_lmdb.transaction import Transaction
from pronto_lmdb.values import Value
from pronto_lmdb.version import __version__
from pronto_lmdb.view import View

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb import aio, migration
    from pronto_lmdb.results import (
        AddressInfo,
        Compaction,
        DeletedAddress,
        Entry,
        Problem,
        Pruning,
        Report,
        Snapshot,
        SnapshotContent,
        Stats,
        UnreadableSnapshot,
    )

__all__ = [
    "Address",
    "AddressExistsError",
    "AddressInfo",
    "AddressNotFoundError",
    "Compaction",
    "Config",
    "ConflictError",
    "CorruptStoreError",
    "DeletedAddress",
    "Entry",
    "FormatVersionError",
    "InvalidAddressError",
    "InvalidKeyError",
    "InvalidValueError",
    "Key",
    "KeyNotFoundError",
    "Keystore",
    "LockTimeoutError",
    "MigrationError",
    "Problem",
    "ProntoError",
    "Pruning",
    "ReadOnlyError",
    "Report",
    "Snapshot",
    "SnapshotContent",
    "SnapshotError",
    "Stats",
    "Store",
    "StoreClosedError",
    "StoreFullError",
    "Transaction",
    "UnreadableSnapshot",
    "Value",
    "View",
    "__version__",
    "aio",
    "migration",
    "open",
]

# Imported when somebody asks for them: asyncio alone takes as long as everything else together.
_MODULES = frozenset(["aio", "migration"])
_RESULTS = frozenset(
    [
        "AddressInfo",
        "Compaction",
        "DeletedAddress",
        "Entry",
        "Problem",
        "Pruning",
        "Report",
        "Snapshot",
        "SnapshotContent",
        "Stats",
        "UnreadableSnapshot",
    ]
)


def __getattr__(name: str) -> object:
    if name in _RESULTS:  # their module needs typing and pathlib, which a quick command does without
        from pronto_lmdb import results

        return getattr(results, name)
    if name in _MODULES:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
