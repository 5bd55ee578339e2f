"""The plan of a migration: which database becomes which address, and what that comes to. Nothing is written yet."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from hashlib import sha256

from pronto_lmdb.address import Address
from pronto_lmdb.errors import InvalidAddressError, InvalidValueError
from pronto_lmdb.legacy_places import MAIN
from pronto_lmdb.migration_rows import DUPLICATES, Choice, Tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FAIL, KEEP, OVERWRITE, NEWEST = ON_CONFLICT = ("fail", "keep", "overwrite", "newest")

# What becomes of an address.
NEW, MERGED, DONE, NOTHING, REFUSED = "new", "merged", "done", "nothing", "refused"

_LONGEST_NAME = 48


@dataclass(frozen=True)
class Options:
    """How a migration is to be done; see :func:`pronto_lmdb.migration.migrate`."""

    choice: Choice
    on_conflict: str
    mapping: dict[str, str]

    @classmethod
    def checked(
        cls, mapping: Mapping[str, str], duplicates: str, on_conflict: str, *, split_meta: bool, include_expired: bool
    ) -> Options:
        """Return options, once each is known to be possible.

        Raises:
            InvalidValueError: for an unknown way to deal with duplicates or conflicts.
            InvalidAddressError: for an address that is none.

        """
        for name, text, known in (("duplicates", duplicates, DUPLICATES), ("on_conflict", on_conflict, ON_CONFLICT)):
            if text not in known:
                raise InvalidValueError(f"{name} cannot be {text!r}.", f"Choose one of {', '.join(known)}.")
        addresses = {name: str(Address.of(address)) for name, address in mapping.items()}
        return cls(Choice(duplicates, include_expired, split_meta), on_conflict, addresses)


@dataclass
class DatabasePlan:
    """A database of the old program."""

    name: str
    place: str
    """The file, or the archive and the path inside."""
    address: str
    """What it becomes; further addresses where meta contexts are split off."""
    checksum: str
    """Of its content."""
    rows: int


@dataclass
class AddressPlan:
    """What becomes one address."""

    address: str
    state: str
    """``new``: it is made; ``merged``: it exists and is added to; ``done``: it has taken in this content before;
    ``nothing``: there is nothing to store; ``refused``: see the refusals."""
    places: list[str]
    """Where its databases are."""
    meta: str | None
    """The meta context that got this address of its own."""
    contexts: list[str]
    """The meta contexts that stay in the keys."""
    tally: Tally = field(default_factory=Tally)
    checksum: str = ""
    """Of everything that is to be stored."""
    namespaces: dict[str, int] = field(default_factory=dict)
    """Default TTLs, in seconds."""
    conflicts: int = 0
    """Keys that the address has with another value or expiry."""
    conflicting_keys: list[str] = field(default_factory=list)
    """The first of them."""
    dropped: list[str] = field(default_factory=list)
    """What is not taken over, and why."""


@dataclass
class Plan:
    """What a migration will do. It can be looked at, and then applied as it is."""

    sources: list[str] | None
    now: int
    """The instant that decides what has expired: microseconds since 1970 UTC."""
    options: Options
    databases: list[DatabasePlan] = field(default_factory=list)
    addresses: list[AddressPlan] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    cursors: list[dict[str, Any]] = field(default_factory=list)
    suggestions: list[str] = field(default_factory=list)
    """What to do next: for cursors and the default database of the old program, which are never taken over silently."""

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold."""
        return asdict(self)


def address_of(name: str, place: str, mapping: Mapping[str, str]) -> str:
    """Return the address that a database becomes: the one that was asked for, else one made of its name."""
    asked = mapping.get(place, mapping.get(name))
    return str(Address() if name == MAIN else Address("default", part(name))) if asked is None else asked


def part(name: str) -> str:
    """Return a name as a part of an address; one that cannot be is shortened, with a hash that keeps it unique."""
    try:
        Address(name)
    except InvalidAddressError:
        kept = "".join(letter if letter.isprintable() else "_" for letter in name)[:_LONGEST_NAME].strip()
        return f"{kept}-{sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
    return name
