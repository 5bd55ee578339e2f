"""A stand: one contender with its open adapter, and the memory of what it must hold."""

from __future__ import annotations

import os
from contextlib import contextmanager
from itertools import zip_longest
from operator import itemgetter
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.adapters import Adapter, Contender
    from bench.measure import Call
    from bench.values import Values

ADDRESS = "bench.main"
_LOAD_BATCH = 10_000


class WrongAnswer(Exception):  # noqa: N818 - what happened; the run ends with it
    """A contender lost a write, returned something stale or foreign, or broke the order of a scan."""


class Stand:
    """A contender at work on one address.

    Every write goes into the ledger before it goes to the adapter; everything read is compared with it.

    Args:
        contender: who.
        directory: where its files are; an empty directory, or one of an earlier stand.
        values: what its keys and values look like.
        address: which address.

    """

    def __init__(self, contender: Contender, directory: str, values: Values, address: str = ADDRESS) -> None:
        self.contender = contender
        self.directory = directory
        self.values = values
        self.address = address
        self.ledger: dict[int, int] = {}
        self.adapter: Adapter = contender.make()

    @property
    def name(self) -> str:
        """The name of the contender."""
        return self.contender.name

    def __enter__(self) -> Self:
        self.adapter.open(self.directory, self.address)
        return self

    def __exit__(self, *_: object) -> None:
        self.adapter.close()

    def reopen(self) -> None:
        """Close the adapter and open another one on the same files."""
        self.adapter.close()
        self.adapter = self.contender.make()
        self.adapter.open(self.directory, self.address)

    @contextmanager
    def elsewhere(self) -> Iterator[Stand]:
        """Open a stand of the same contender in a new directory, which goes at the end."""
        os.makedirs(self.directory, exist_ok=True)
        with (
            TemporaryDirectory(dir=self.directory) as directory,
            Stand(self.contender, directory, self.values, self.address) as other,
        ):
            yield other

    # -- writing -----------------------------------------------------------------------------------------------

    def pair(self, index: int) -> tuple[str, Any]:
        """Return a key and its next value, which the ledger expects from now on."""
        version = self.ledger[index] = self.ledger.get(index, 0) + 1
        return self.values.key(index), self.values.value(index, version)

    def put_call(self, index: int) -> Call:
        """Return the call that writes the next value of an index."""
        return self.adapter.put, self.pair(index)

    def get_call(self, index: int) -> Call:
        """Return the call that reads an index."""
        return self.adapter.get, (self.values.key(index),)

    def delete_call(self, index: int) -> Call:
        """Return the call that deletes an index, which the ledger does not expect from now on."""
        self.ledger.pop(index, None)
        return self.adapter.delete, (self.values.key(index),)

    def load(self, indexes: range) -> None:
        """Write the next values of many indexes."""
        for first in range(0, len(indexes), _LOAD_BATCH):
            self.adapter.put_many([self.pair(index) for index in indexes[first : first + _LOAD_BATCH]])

    # -- checking ----------------------------------------------------------------------------------------------

    def expected(self, index: int) -> Any:
        """Return the value that the ledger expects, ``None`` for none."""
        version = self.ledger.get(index)
        return None if version is None else self.values.value(index, version)

    def check(self, indexes: Iterable[int], results: Iterable[Any]) -> None:
        """Compare values read with the ledger.

        Raises:
            WrongAnswer: for the first that differs.

        """
        for index, result in zip(indexes, results, strict=True):
            if result != self.expected(index):
                raise self.wrong(index, result)

    def wrong(self, index: int, result: Any) -> WrongAnswer:
        """Return the error for a wrong value, which says what is wrong about it."""
        key, version = self.values.key(index), self.ledger.get(index)
        if version is None:
            return WrongAnswer(f"{self.name} returned a value for {key}, which was deleted or never written.")
        if result is None:
            return WrongAnswer(f"{self.name} lost a write: {key} is absent, version {version} was acknowledged.")
        for older in range(version):
            if result == self.values.value(index, older):
                return WrongAnswer(f"{self.name} returned stale version {older} of {key}, {version} was acknowledged.")
        return WrongAnswer(f"{self.name} returned a foreign value for {key}: {result!r:.200}")

    def check_written(self, indexes: Sequence[int]) -> None:
        """Read indexes and compare them with the ledger."""
        distinct = list(dict.fromkeys(indexes))
        found = self.adapter.get_many([self.values.key(index) for index in distinct])
        self.check(distinct, [found.get(self.values.key(index)) for index in distinct])

    def check_pairs(self, indexes: Iterable[int], pairs: Iterable[tuple[str, Any]]) -> None:
        """Compare the pairs of a scan with the indexes that it must show, in their order."""
        if not self.contender.ordered:
            indexes, pairs = sorted(indexes), sorted(pairs, key=itemgetter(0))
        for index, pair in zip_longest(indexes, pairs):
            if index is None:
                raise WrongAnswer(f"{self.name}: a scan shows {pair[0]}, which it must not show.")
            key, expected = self.values.key(index), self.expected(index)
            if pair is None or pair[0] != key:
                shown = "ends" if pair is None else f"shows {pair[0]}"
                raise WrongAnswer(f"{self.name}: a scan {shown} where {key} belongs: a lost write or a wrong order.")
            if pair[1] != expected:
                raise self.wrong(index, pair[1])

    def check_keys(self, keys: Iterable[str]) -> None:
        """Compare the keys of a whole scan with the ledger."""
        expected = [self.values.key(index) for index in sorted(self.ledger)]
        found = list(keys) if self.contender.ordered else sorted(keys)
        if found != expected:
            raise WrongAnswer(f"{self.name}: a scan of {len(expected)} keys shows {len(found)}, or in a wrong order.")

    def check_all(self) -> None:
        """Close and open the address, and compare everything in it with the ledger."""
        self.reopen()
        self.check_pairs(sorted(self.ledger), self.adapter.scan())
