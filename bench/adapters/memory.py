"""A dict of packed values: what packing and the interpreter cost where there is no engine at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.adapters import Pair, Value, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_Shelf = dict[str, bytes]

# By directory and address, so that what was written is there again after closing.
_shelves: dict[tuple[str, str], _Shelf] = {}


class MemoryAdapter:
    """One dict for each address of this process."""

    def __init__(self, durability: str = "none") -> None:
        self.durability = durability

    def open(self, directory: str, address: str) -> None:
        self._shelf = _shelves.setdefault((directory, address), {})

    def sibling(self) -> MemoryAdapter:
        return self

    def put(self, key: str, value: Value) -> None:
        self._shelf[key] = pack(value)

    def get(self, key: str) -> Value | None:
        packed = self._shelf.get(key)
        return None if packed is None else unpack(packed)

    def put_many(self, pairs: Sequence[Pair]) -> None:
        self._shelf.update((key, pack(value)) for key, value in pairs)

    def get_many(self, keys: Sequence[str]) -> dict[str, Value]:
        return {key: unpack(self._shelf[key]) for key in keys if key in self._shelf}

    def delete(self, key: str) -> None:
        self._shelf.pop(key, None)

    def scan(self, start: str = "", limit: int | None = None) -> Iterable[Pair]:
        keys = [key for key in sorted(self._shelf) if key >= start]
        return [(key, unpack(self._shelf[key])) for key in keys[:limit]]

    def scan_keys(self) -> Iterable[str]:
        return sorted(self._shelf)

    def last(self, count: int) -> Iterable[Pair]:
        return [(key, unpack(self._shelf[key])) for key in sorted(self._shelf, reverse=True)[:count]]

    def close(self) -> None:
        self._shelf = {}
