"""Pronto, through its own interface: its verbs are called as they are, without a wrapper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pronto_lmdb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bench.adapters import Pair, Value


class ProntoAdapter:
    """A keystore of its own for the address."""

    put: Callable[[str, Value], object]
    get: Callable[[str], Value | None]
    get_many: Callable[[Sequence[str]], dict[str, Value]]
    put_many: Callable[[Mapping[str, Value] | Iterable[Pair]], object]

    def __init__(self, durability: str) -> None:
        self.durability = durability

    def open(self, directory: str, address: str) -> None:
        self._store = pronto_lmdb.open(directory, durability=self.durability, timeout=60)
        self._keystore = self._store[address]
        self.put, self.get = self._keystore.put, self._keystore.get
        self.put_many, self.get_many = self._keystore.update, self._keystore.get_many

    def sibling(self) -> ProntoAdapter:
        return self

    def delete(self, key: str) -> None:
        self._keystore.delete_many([key])

    def scan(self, start: str = "", limit: int | None = None) -> Iterable[Pair]:
        return self._keystore.scan(start=start or None, limit=limit)

    def scan_keys(self) -> Iterable[str]:
        return self._keystore.scan_keys()

    def last(self, count: int) -> Iterable[Pair]:
        return self._keystore.scan(reverse=True, limit=count)

    def close(self) -> None:
        self._store.close()
