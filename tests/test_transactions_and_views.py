"""Transactions: all or nothing. Views: one moment."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from test_keystore import IDLE, KEPT, WRITES

import pronto_lmdb
from pronto_lmdb import ConflictError, InvalidValueError, KeyNotFoundError, StoreClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Clock

    from pronto_lmdb import Keystore, Store


@pytest.fixture
def keystore(store: Store) -> Keystore:
    store["a"].update(KEPT)
    return store["a"]


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


class StopError(Exception):
    """Raised in a transaction to end it."""


# -- transactions: all or nothing ----------------------------------------------------------------------------------


def test_a_transaction_commits_on_normal_exit(keystore: Keystore) -> None:
    with keystore.transaction() as transaction:
        transaction["a"] = 10
        del transaction["b"]
        transaction["new"] = [1]
    assert dict(keystore) == {"a": 10, "leased": 3, "new": [1]}


@pytest.mark.parametrize("error", [StopError, KeyNotFoundError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_transaction_is_dropped_on_any_exception(keystore: Keystore, error: type[BaseException]) -> None:
    revision = keystore.revision

    def fail() -> None:
        with keystore.transaction() as transaction:
            transaction["a"] = 10
            transaction.clear()
            raise error("stop")

    with pytest.raises(error, match="stop"):
        fail()
    assert (dict(keystore), keystore.revision) == (KEPT, revision)
    keystore["a"] = 11
    assert keystore["a"] == 11


def test_a_transaction_is_one_commit(keystore: Keystore) -> None:
    revision = keystore.revision
    with keystore.transaction() as transaction:
        for number in range(10):
            transaction[f"k{number}"] = number
        transaction.increment("a")
    assert keystore.revision == revision + 1
    assert {keystore.entry(key).revision for key in ("k0", "k9", "a")} == {revision + 1}


def test_a_transaction_without_writes_is_no_commit(keystore: Keystore) -> None:
    revision = keystore.revision
    with keystore.transaction() as transaction:
        assert dict(transaction) == KEPT
        for idle in IDLE.values():
            idle(transaction)
    assert keystore.revision == revision


def test_a_transaction_sees_its_own_writes_and_nobody_else_does(keystore: Keystore, thread: ThreadPoolExecutor) -> None:
    with keystore.transaction() as transaction:
        transaction["new"] = 1
        del transaction["a"]
        assert (list(transaction), len(transaction)) == (["b", "leased", "new"], 3)
        assert list(transaction.scan(start="l")) == [("leased", 3), ("new", 1)]
        assert dict(keystore) == KEPT
        assert thread.submit(dict, keystore).result() == KEPT
    assert thread.submit(list, keystore).result() == ["b", "leased", "new"]


def test_a_refused_write_inside_a_transaction_leaves_the_rest(keystore: Keystore) -> None:
    with keystore.transaction() as transaction:
        transaction["a"] = 10
        with pytest.raises(InvalidValueError):
            transaction["b"] = {1}
        with pytest.raises(KeyNotFoundError):
            del transaction["missing"]
        with pytest.raises(InvalidValueError):
            transaction.update({"b": 5, "c": object()})
    assert dict(keystore) == {**KEPT, "a": 10}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_every_verb_is_dropped_with_its_transaction(
    keystore: Keystore, clock: Clock, write: Callable[[Any], object]
) -> None:
    keystore.expire("leased", 3600)
    keystore.namespace_ttl("kept.n", 60)
    keystore.put("expired", 1, ttl=1)
    clock.advance(1)

    def fail() -> None:
        with keystore.transaction() as transaction:
            write(transaction)
            raise StopError

    with pytest.raises(StopError):
        fail()
    assert (dict(keystore), keystore.namespace_ttls()) == (KEPT, {"kept.n": 60})
    assert (keystore.ttl("leased"), keystore.sweep()) == (3599, 1)


# -- transactions: rules of use ------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_the_keystores_own_writing_verbs_are_refused_inside(keystore: Keystore, write: Callable[[Any], object]) -> None:
    with keystore.transaction() as transaction:
        transaction["new"] = 1
        with pytest.raises(ConflictError, match="transaction"):
            write(keystore)
    assert dict(keystore) == {**KEPT, "new": 1}


@pytest.mark.parametrize(
    "end", [lambda store: store.delete("a"), lambda store: store.rename("a", "b")], ids=["delete", "rename"]
)
def test_the_address_cannot_be_taken_away_inside(store: Store, keystore: Keystore, end: Callable[[Store], Any]) -> None:
    with keystore.transaction() as transaction:
        transaction["new"] = 1
        with pytest.raises(ConflictError):
            end(store)
    store.create("another")  # a later operation does not catch up on the refused one
    assert dict(keystore) == {**KEPT, "new": 1}
    assert [str(info.address) for info in store.addresses()] == ["a.default", "another.default"]


def test_a_second_transaction_of_the_same_thread_is_refused(keystore: Keystore) -> None:
    with keystore.transaction() as transaction:
        transaction["new"] = 1
        with pytest.raises(ConflictError), keystore.transaction():
            pytest.fail("two transactions at once")
    assert keystore["new"] == 1


def test_transactions_of_two_addresses_are_independent(store: Store) -> None:
    def fail() -> None:
        with store["a"].transaction() as one, store["b"].transaction() as other:
            one["k"] = 1
            other["k"] = 2
            raise StopError

    with store["a"].transaction() as one:
        one["k"] = 1
        with store["b"].transaction() as other:
            other["k"] = 2
        assert store["b"]["k"] == 2
    with pytest.raises(StopError):
        fail()
    assert (store["a"]["k"], store["b"]["k"]) == (1, 2)


def test_a_transaction_belongs_to_its_thread(keystore: Keystore, thread: ThreadPoolExecutor) -> None:
    with keystore.transaction() as transaction:
        for use in (lambda: transaction.get("a"), lambda: transaction.put("a", 2), lambda: list(transaction)):
            with pytest.raises(ConflictError, match="thread"):
                thread.submit(use).result()
    assert dict(keystore) == KEPT


def test_a_second_writer_waits_for_the_transaction(root: Path, thread: ThreadPoolExecutor) -> None:
    with pronto_lmdb.open(root, timeout=30) as store:
        store["a"]["n"] = 1
        with store["a"].transaction() as transaction:
            transaction["n"] = 10
            waiting = thread.submit(store["a"].increment, "n")
            transaction["n"] = 20
        assert waiting.result() == 21


def test_a_writer_in_another_process_is_waited_for_no_longer_than_the_timeout(
    store: Store, in_another_process: Callable[..., Any]
) -> None:
    store["a"]["k"] = 1
    with store["a"].transaction() as transaction:
        transaction["k"] = 2
        seen = in_another_process(
            """
            import json, sys, pronto_lmdb
            with pronto_lmdb.open(sys.argv[1], timeout=0.05) as store:
                try:
                    store["a"]["k"] = 3
                except pronto_lmdb.LockTimeoutError as error:
                    print(json.dumps([str(error), store["a"]["k"]]))
            """,
            store.path,
        )
    assert f"a.default was locked by process {os.getpid()} (" in seen[0]
    assert seen[1] == 1
    assert store["a"]["k"] == 2


def test_a_transaction_works_inside_its_block_only(keystore: Keystore) -> None:
    transaction = keystore.transaction()
    for use in (lambda: transaction.get("a"), lambda: transaction.put("a", 2), lambda: len(transaction)):
        with pytest.raises(StoreClosedError, match="with block"):
            use()
    with transaction:
        transaction["a"] = 5
        with pytest.raises(ConflictError), transaction:
            pytest.fail("entered twice")
    with pytest.raises(StoreClosedError, match="with block"):
        transaction["a"] = 6
    assert keystore["a"] == 5


def test_a_transaction_that_is_never_entered_locks_nothing(keystore: Keystore) -> None:
    transaction = keystore.transaction()
    keystore["a"] = 2
    del transaction
    assert keystore["a"] == 2


# -- transactions where nothing exists -----------------------------------------------------------------------------


def test_a_transaction_on_an_absent_address_reads_as_empty_and_creates_nothing(store: Store, root: Path) -> None:
    with store["absent"].transaction() as transaction:
        assert (dict(transaction), len(transaction), transaction.revision) == ({}, 0, 0)
        assert (transaction.get("k", 7), transaction.pop("k", 7), transaction.delete_many(["k"])) == (7, 7, 0)
        assert (transaction.expire("k", 5), transaction.sweep(), transaction.update({})) == (False, 0, None)
    assert not root.exists()


def test_the_first_write_of_a_transaction_creates_the_address(store: Store) -> None:
    with store["new"].transaction() as transaction:
        assert "k" not in transaction
        transaction["k"] = 1
        transaction.increment("k")
        assert dict(transaction) == {"k": 2}
        assert store["new"].get("k") is None
    assert (dict(store["new"]), store["new"].revision) == ({"k": 2}, 1)


def test_a_transaction_notices_that_somebody_else_created_the_address(store: Store, thread: ThreadPoolExecutor) -> None:
    with store["new"].transaction() as transaction:
        assert "k" not in transaction
        thread.submit(store["new"].put, "k", 1).result()
        with pytest.raises(ConflictError, match="created"):
            transaction.add("k", 2)
    assert dict(store["new"]) == {"k": 1}


# -- views ---------------------------------------------------------------------------------------------------------


def test_a_view_shows_one_moment_whatever_is_written_meanwhile(keystore: Keystore, thread: ThreadPoolExecutor) -> None:
    with keystore.view() as view:
        keystore["a"] = 10
        thread.submit(keystore.delete_many, ["b"]).result()
        keystore.update({f"k{number}": number for number in range(1000)})
        assert (dict(view), len(view), list(view.scan(reverse=True))) == (KEPT, 3, list(KEPT.items())[::-1])
        assert view.get("k1") is None
        assert keystore["a"] == 10
    with keystore.view() as view:
        assert (view["a"], len(view)) == (10, 1002)


def test_a_view_shows_what_another_process_had_not_yet_changed(
    store: Store, keystore: Keystore, in_another_process: Callable[..., Any]
) -> None:
    with keystore.view() as view:
        in_another_process(
            """
            import sys, pronto_lmdb
            with pronto_lmdb.open(sys.argv[1]) as store:
                store["a"].clear()
                store["a"].update({str(n): "x" * 1000 for n in range(2000)})
            """,
            store.path,
        )
        assert dict(view) == KEPT
    assert len(keystore) == 2000


def test_a_view_is_of_one_instant_of_the_clock(keystore: Keystore, clock: Clock) -> None:
    keystore.put("lease", 1, ttl=5)
    with keystore.view() as view:
        clock.advance(5)
        assert (view["lease"], len(view), view.ttl("lease")) == (1, 4, 5)
        assert "lease" not in keystore


def test_two_views_show_two_moments(keystore: Keystore) -> None:
    with keystore.view() as before:
        keystore["a"] = 10
        with keystore.view() as after:
            keystore["a"] = 20
            assert (before["a"], after["a"], keystore["a"]) == (1, 10, 20)


def test_a_view_has_a_revision_and_defaults_of_its_moment(keystore: Keystore) -> None:
    keystore.namespace_ttl("p.n", 60)
    revision = keystore.revision
    with keystore.view() as view:
        keystore.namespace_ttl("p.n", None)
        assert (view.revision, view.namespace_ttls()) == (revision, {"p.n": 60})


def test_a_view_cannot_write(keystore: Keystore) -> None:
    with keystore.view() as view:
        assert not any(hasattr(view, verb) for verb in ("put", "update", "pop", "__setitem__", "__delitem__", "sweep"))


def test_a_view_of_an_absent_address_stays_empty(store: Store, root: Path) -> None:
    with store["absent"].view() as view:
        assert (dict(view), len(view), view.revision, view.namespace_ttls()) == ({}, 0, 0, {})
        assert not root.exists()
        store["absent"]["k"] = 1
        assert dict(view) == {}


def test_a_view_works_inside_its_block_only(keystore: Keystore) -> None:
    view = keystore.view()
    with pytest.raises(StoreClosedError, match="with block"):
        view.get("a")
    with view, pytest.raises(StoreClosedError, match="already"), view:
        pytest.fail("entered twice")
    with pytest.raises(StoreClosedError, match="with block"):
        len(view)


def test_a_view_inside_a_transaction_shows_the_moment_before(keystore: Keystore) -> None:
    with keystore.transaction() as transaction:
        transaction["a"] = 10
        with keystore.view() as view:
            assert (view["a"], transaction["a"]) == (1, 10)


def test_many_threads_may_have_views(keystore: Keystore) -> None:
    def look(number: int) -> int:
        with keystore.view() as view:
            before = len(view)
            keystore[f"t{number}"] = number
            assert len(view) == before
            return view["a"]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(look, range(50))) == [1] * 50
    assert len(keystore) == 53


def test_a_view_outlives_the_deletion_of_its_address(store: Store, keystore: Keystore) -> None:
    with keystore.view() as view:
        store.delete("a")
        assert dict(view) == KEPT
        assert dict(keystore) == {}
        keystore["k"] = 1
        assert dict(view) == KEPT
        assert dict(keystore) == {"k": 1}


def test_a_view_outlives_the_renaming_of_its_address(store: Store, keystore: Keystore) -> None:
    with keystore.view() as view:
        store.rename("a", "b")
        assert dict(view) == KEPT
        assert dict(keystore) == {}
        assert dict(store["b"]) == KEPT
        store["b"]["new"] = 1
        assert dict(view) == KEPT


def test_a_view_does_not_hinder_an_undelete_under_another_name(store: Store, keystore: Keystore) -> None:
    with keystore.view() as view:
        store.delete("a")
        store.undelete("a", to="b")
        assert dict(view) == KEPT
        assert dict(store["b"]) == KEPT


# -- closing the store with something open -------------------------------------------------------------------------


def test_closing_the_store_inside_a_view_leaves_nothing_open(root: Path) -> None:
    store = pronto_lmdb.open(root)
    store["a"]["k"] = 1
    with store["a"].view():
        store.close()
    with pytest.raises(StoreClosedError):
        store["a"].get("k")


def test_closing_the_store_inside_a_transaction_leaves_nothing_open(root: Path) -> None:
    store = pronto_lmdb.open(root)
    store["a"]["k"] = 1

    def close_inside() -> None:
        with store["a"].transaction() as transaction:
            transaction["k"] = 2
            store.close()
            raise StopError

    with pytest.raises(StopError):
        close_inside()
    with pronto_lmdb.open(root) as store:
        assert store["a"]["k"] == 1


def test_closing_the_store_while_others_write_leaves_nothing_open(root: Path) -> None:
    store = pronto_lmdb.open(root)
    store["a"]["n"] = 0

    def count() -> int:
        done = 0
        while True:
            try:
                store["a"].increment("n")
            except StoreClosedError:
                return done
            done += 1

    with ThreadPoolExecutor(4) as threads:
        counting = [threads.submit(count) for _ in range(4)]
        while store["a"]["n"] < 20:
            continue
        store.close()
        acknowledged = sum(future.result() for future in counting)
    with pronto_lmdb.open(root) as store:
        assert store["a"]["n"] == acknowledged
