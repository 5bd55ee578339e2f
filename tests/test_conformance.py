"""The conformance suite, pointed at dict as the oracle and at everything that reads or writes an address."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from blocking import Blocking
from conformance import MappingReads, MappingWrites
from verb_conformance import VerbReads, VerbWrites

import pronto_lmdb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@pytest.fixture
def async_store(loop: asyncio.AbstractEventLoop, root: Path) -> Iterator[pronto_lmdb.aio.Store]:
    store = loop.run_until_complete(pronto_lmdb.aio.open(root).__aenter__())
    yield store
    loop.run_until_complete(store.close())


class TestAsyncKeystore(MappingReads, MappingWrites, VerbReads, VerbWrites):
    @pytest.fixture
    def make(
        self, loop: asyncio.AbstractEventLoop, async_store: pronto_lmdb.aio.Store
    ) -> Callable[[dict[str, Any]], Blocking]:
        def make(items: dict[str, Any]) -> Blocking:
            keystore = async_store["alice.research"]
            loop.run_until_complete(keystore.update(items))
            return Blocking(keystore, loop)

        return make


class TestAsyncTransaction(MappingReads, MappingWrites, VerbReads, VerbWrites):
    @pytest.fixture
    def make(
        self, loop: asyncio.AbstractEventLoop, async_store: pronto_lmdb.aio.Store
    ) -> Iterator[Callable[[dict[str, Any]], Blocking]]:
        opened: list[pronto_lmdb.aio.Transaction] = []

        def make(items: dict[str, Any]) -> Blocking:
            transaction = async_store["alice.research"].transaction()
            opened.append(loop.run_until_complete(transaction.__aenter__()))
            loop.run_until_complete(transaction.update(items))
            return Blocking(transaction, loop)

        yield make
        for transaction in opened:
            loop.run_until_complete(transaction.__aexit__(None, None, None))


class TestAsyncView(MappingReads, VerbReads):
    @pytest.fixture
    def make(
        self, loop: asyncio.AbstractEventLoop, async_store: pronto_lmdb.aio.Store
    ) -> Iterator[Callable[[dict[str, Any]], Blocking]]:
        opened: list[pronto_lmdb.aio.View] = []

        async def begin(items: dict[str, Any]) -> pronto_lmdb.aio.View:
            keystore = async_store["alice.research"]
            await keystore.update(items)
            view = await keystore.view().__aenter__()
            await keystore.clear()
            await keystore.update({"later": 1, "fig": 2})
            opened.append(view)
            return view

        yield lambda items: Blocking(loop.run_until_complete(begin(items)), loop)
        for view in opened:
            loop.run_until_complete(view.__aexit__(None, None, None))
