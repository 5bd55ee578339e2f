"""The conformance suite, pointed at dict as the oracle and at everything that reads or writes an address."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from conformance import MappingReads, MappingWrites
from verb_conformance import VerbReads, VerbWrites

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pronto_lmdb import Keystore, Store, Transaction, View


class TestDict(MappingReads, MappingWrites):
    @pytest.fixture
    def make(self) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return dict


class TestKeystore(MappingReads, MappingWrites, VerbReads, VerbWrites):
    @pytest.fixture
    def make(self, store: Store) -> Callable[[dict[str, Any]], Keystore]:
        def make(items: dict[str, Any]) -> Keystore:
            store["alice.research"].update(items)
            return store["alice.research"]

        return make


class TestTransaction(MappingReads, MappingWrites, VerbReads, VerbWrites):
    """A transaction over an address that held the items before."""

    @pytest.fixture
    def make(self, store: Store) -> Iterator[Callable[[dict[str, Any]], Transaction]]:
        with ExitStack() as stack:

            def make(items: dict[str, Any]) -> Transaction:
                store["alice.research"].update(items)
                return stack.enter_context(store["alice.research"].transaction())

            yield make


class TestTransactionOfItsOwnWrites(MappingReads, MappingWrites, VerbReads, VerbWrites):
    """A transaction that wrote the items itself, on an address that did not exist."""

    @pytest.fixture
    def make(self, store: Store) -> Iterator[Callable[[dict[str, Any]], Transaction]]:
        with ExitStack() as stack:

            def make(items: dict[str, Any]) -> Transaction:
                transaction = stack.enter_context(store["alice.research"].transaction())
                transaction.update(items)
                return transaction

            yield make


class TestView(MappingReads, VerbReads):
    """A view, with the address changed beyond recognition after it began."""

    @pytest.fixture
    def make(self, store: Store) -> Iterator[Callable[[dict[str, Any]], View]]:
        with ExitStack() as stack:

            def make(items: dict[str, Any]) -> View:
                keystore = store["alice.research"]
                keystore.update(items)
                view = stack.enter_context(keystore.view())
                keystore.clear()
                keystore.update({"later": 1, "fig": 2})
                return view

            yield make
