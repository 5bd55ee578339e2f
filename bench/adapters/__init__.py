"""The contenders: one small protocol, one module for each engine behind it.

Every adapter stores the same msgpack bytes: those of :func:`pack`, or what Pronto makes of the same value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from msgpack import Packer, unpackb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Value = Any
Pair = tuple[str, Value]

# The packer is kept: making one for each value costs a third of packing a small one.
pack: Callable[[Value], bytes] = Packer().pack
unpack: Callable[[bytes], Value] = unpackb


class Busy(Exception):  # noqa: N818 - the name of the condition: try again
    """The engine refused a write because others were writing for too long."""


class Adapter(Protocol):
    """One address of one engine.

    ``durability`` declares what an acknowledged write survives: ``full``: power loss; ``normal``: a crash of
    the process, and after power loss the data is whole but may be older; ``off``: a crash of the process at
    most; ``none``: nothing.
    """

    durability: str

    def open(self, directory: str, address: str) -> None:
        """Open an address below a directory, making what is missing."""
        ...

    def sibling(self) -> Adapter:
        """Return an adapter on the same address for another thread."""
        ...

    @property
    def put(self) -> Callable[[str, Value], object]:
        """Write one value; returns once it is as durable as declared. Busy: it was not written."""
        ...

    @property
    def get(self) -> Callable[[str], Value | None]:
        """Return a value, or ``None``."""
        ...

    @property
    def put_many(self) -> Callable[[Sequence[Pair]], object]:
        """Write many values in one transaction."""
        ...

    @property
    def get_many(self) -> Callable[[Sequence[str]], dict[str, Value]]:
        """Return the values of those keys that exist."""
        ...

    def delete(self, key: str) -> object:
        """Remove a key, which may be absent."""
        ...

    def scan(self, start: str = "", limit: int | None = None) -> Iterable[Pair]:
        """Return pairs from a key on, in the order of keys where the engine has one."""
        ...

    def scan_keys(self) -> Iterable[str]:
        """Return all keys."""
        ...

    def last(self, count: int) -> Iterable[Pair]:
        """Return the last pairs, from the end."""
        ...

    def close(self) -> None:
        """Close what :meth:`open` or :meth:`sibling` opened."""
        ...


@dataclass(frozen=True)
class Contender:
    """An engine at one durability.

    Attributes:
        name: as tables show it.
        place: module and class of the adapter.
        durability: see :class:`Adapter`.
        package: the distribution it needs.
        ordered: whether scans come in the order of keys.
        seeks: whether a scan can begin at any key.
        distant: whether each read asks another thread or process.
        yardstick: whether it is no engine but a measure, which takes part only where it is asked for by name.
        available: module and function that says why it cannot take part although its package is installed.

    """

    name: str
    place: str
    durability: str
    package: str = ""
    ordered: bool = True
    seeks: bool = True
    distant: bool = False
    yardstick: bool = False
    available: str = field(default="", repr=False)

    def make(self) -> Adapter:
        """Return a new adapter, not yet open."""
        adapter: Adapter = self._resolve(self.place)(self.durability)
        return adapter

    def obstacle(self) -> str:
        """Say why it cannot be measured here: empty if it can."""
        if self.package and find_spec(self.package) is None:
            return "not installed"
        reason: str = self._resolve(self.available)() if self.available else ""
        return reason

    @property
    def version(self) -> str:
        """The version of its package."""
        return metadata.version(self.package) if self.package else ""

    def _resolve(self, place: str) -> Any:
        module, _, name = place.partition(":")
        return getattr(import_module(module), name)


def _both(family: str, place: str, package: str = "", relaxed: str = "normal", **traits: Any) -> list[Contender]:
    return [
        Contender(f"{family}-{level}", f"bench.adapters.{place}", level, package, **traits)
        for level in ("full", relaxed)
    ]


CONTENDERS: dict[str, Contender] = {
    contender.name: contender
    for contender in [
        *(
            Contender(f"pronto-{level}", "bench.adapters.pronto:ProntoAdapter", level)
            for level in ("full", "normal", "off")
        ),
        *_both("raw", "raw:RawAdapter", relaxed="off"),
        *(
            Contender(f"bare-{level}", "bench.adapters.bare:BareAdapter", level, yardstick=True)
            for level in ("full", "normal", "off")
        ),
        *_both("legacy", "legacy:LegacyAdapter"),
        *_both("sqlite", "sqlite:SqliteAdapter"),
        *_both("diskcache", "diskcache:DiskcacheAdapter", "diskcache", seeks=False),
        *_both("rocksdict", "rocksdict:RocksdictAdapter", "rocksdict"),
        *_both("plyvel", "plyvel:PlyvelAdapter", "plyvel"),
        Contender(
            "sqlitedict-off",
            "bench.adapters.sqlitedict:SqlitedictAdapter",
            "off",
            "sqlitedict",
            ordered=False,
            seeks=False,
            distant=True,
        ),
        *_both(
            "redis",
            "redis:RedisAdapter",
            "redis",
            ordered=False,
            seeks=False,
            distant=True,
            available="bench.adapters.redis:missing_server",
        ),
        Contender("memory-none", "bench.adapters.memory:MemoryAdapter", "none"),
    ]
}


def at(*durabilities: str) -> list[str]:
    """Return the names of the contenders at some durabilities, without the yardsticks."""
    return [
        name
        for name, contender in CONTENDERS.items()
        if contender.durability in durabilities and not contender.yardstick
    ]
