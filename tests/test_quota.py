"""Quotas: an address that uses up its share gets an error, and nobody else notices."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from pronto_lmdb import StoreFullError
from pronto_lmdb import journal as journal_module
from pronto_lmdb.environment import Environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from pronto_lmdb import Store


def fill(store: Store, address: str) -> int:
    """Write records of 1,000 bytes until the quota says stop; return how many there were."""
    with pytest.raises(StoreFullError, match="quota"):  # noqa: PT012 - which write it is depends on LMDB
        for number in range(10_000):
            store[address][f"k{number:05}"] = "x" * 1000
    return len(store[address])


def test_a_full_address_keeps_what_it_has_and_its_neighbours_go_on(store: Store) -> None:
    store.create("a", max_bytes=256 * 1024)
    store["b"]["k"] = 1
    count = fill(store, "a")
    revision = store["a"].revision
    assert 50 < count < 256
    assert store["a"].get(f"k{count - 1:05}") == "x" * 1000
    with pytest.raises(StoreFullError, match=r"a\.default"):
        store["a"]["more"] = "x" * 1000
    assert (len(store["a"]), store["a"].revision) == (count, revision)
    store["b"].update({str(number): "x" * 1000 for number in range(500)})
    assert len(store["b"]) == 501


def test_a_full_address_can_be_emptied_and_used_again(store: Store) -> None:
    store.create("a", max_bytes=256 * 1024)
    count = fill(store, "a")
    assert store["a"].delete_many([f"k{number:05}" for number in range(count)]) == count
    assert len(store["a"]) == 0
    store["a"]["k"] = "x" * 1000
    assert fill(store, "a") > 50


def test_single_records_can_be_deleted_at_the_quota(store: Store) -> None:
    store.create("a", max_bytes=256 * 1024)
    for number in range(fill(store, "a")):
        del store["a"][f"k{number:05}"]
    assert len(store["a"]) == 0


def test_a_transaction_beyond_the_quota_is_dropped_whole(store: Store) -> None:
    store.create("a", max_bytes=256 * 1024)
    store["a"]["kept"] = 1
    with pytest.raises(StoreFullError):
        store["a"].update({str(number): "x" * 1000 for number in range(1000)})
    assert dict(store["a"]) == {"kept": 1}


def test_the_data_file_stays_within_the_quota(store: Store) -> None:
    info = store.create("a", max_bytes=256 * 1024)
    fill(store, "a")
    assert (info.path / "data.mdb").stat().st_size <= 256 * 1024


def test_a_quota_holds_in_every_process(store: Store, in_another_process: Callable[..., Any]) -> None:
    store.create("a", max_bytes=256 * 1024)
    program = """
        import json, sys, pronto_lmdb
        with pronto_lmdb.open(sys.argv[1]) as store:
            try:
                store["a"].update({str(number): "x" * 1000 for number in range(1000)})
            except pronto_lmdb.StoreFullError as error:
                print(json.dumps(str(error)))
        """
    assert "quota" in in_another_process(program, store.path)


def test_a_deletion_at_the_quota_is_safe_although_the_quota_cannot_be_restored_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    quota = 256 * 1024
    store.create("a", max_bytes=quota)
    count = fill(store, "a")
    resize, raced = Environment._resize, list[int]()

    def resize_beside_a_reader(environment: Environment, size: int, timeout: float) -> None:
        if size != quota:
            resize(environment, size, timeout)
            return
        raced.append(size)
        with ThreadPoolExecutor(1) as reader:
            assert reader.submit(environment.pin).result()
            (thread,) = environment._pins
            try:
                resize(environment, size, timeout)
            finally:
                environment.unpin(thread)

    flushes: list[int] = []
    monkeypatch.setattr(Environment, "_resize", resize_beside_a_reader)
    monkeypatch.setattr(journal_module, "flush_data", flushes.append)
    for number in range(count):
        before = len(flushes)
        del store["a"][f"k{number:05}"]
        assert len(flushes) > before
        if raced:
            break
    assert raced
    assert f"k{number:05}" not in store["a"]
