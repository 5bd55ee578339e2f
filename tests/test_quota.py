"""Quotas: an address that uses up its share gets an error, and nobody else notices."""

from __future__ import annotations

import itertools
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest
from crash import killed_at

import pronto_lmdb
from pronto_lmdb import AddressNotFoundError, InvalidValueError, StoreFullError
from pronto_lmdb import journal as journal_module
from pronto_lmdb.environment import Environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


# -- changed later ---------------------------------------------------------------------------------------------------

KIB = 1024


def test_a_raised_quota_lets_a_full_address_go_on(store: Store) -> None:
    store.create("a", max_bytes=256 * KIB)
    count = fill(store, "a")
    store.set_quota("a", 512 * KIB)
    assert (store.info("a").max_bytes, store["a"].stats().max_bytes) == (512 * KIB, 512 * KIB)
    assert fill_up(store, "a", count) > 1.5 * count


def fill_up(store: Store, address: str, first: int) -> int:
    """Go on writing behind the first so many records until the quota says stop; return how many there are."""
    with pytest.raises(StoreFullError, match="quota"):  # noqa: PT012 - which write it is depends on LMDB
        for number in range(first, 10_000):
            store[address][f"k{number:05}"] = "x" * 1000
    return len(store[address])


def test_a_quota_that_is_removed_stops_nobody(store: Store) -> None:
    store.create("a", max_bytes=256 * KIB)
    fill(store, "a")
    store.set_quota("a", None)
    assert store.info("a").max_bytes is None
    store["a"].update({f"more{number}": "x" * 1000 for number in range(1000)})
    assert store["a"].stats().bytes_used > 1000 * KIB


def test_an_address_above_its_new_quota_keeps_everything_and_takes_deletions_alone(store: Store) -> None:
    store["a"].update({f"k{number:05}": "x" * 1000 for number in range(500)})
    store.set_quota("a", 128 * KIB)
    with pytest.raises(StoreFullError, match="quota"):
        store["a"].update({f"more{number}": "x" * 1000 for number in range(500)})
    assert len(store["a"]) == 500
    for number in range(500):
        del store["a"][f"k{number:05}"]
    store["a"]["k"] = "x" * 1000
    assert list(store["a"]) == ["k"]


def test_a_quota_is_in_the_catalog_and_in_the_address(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        store.set_quota("a", 128 * KIB)
        assert [info.max_bytes for info in store.addresses()] == [128 * KIB]
    shutil.rmtree(root / "meta" / "registry")
    with pronto_lmdb.open(root) as store:
        assert [info.max_bytes for info in store.addresses()] == [128 * KIB]
        assert store.check(deep=True).problems == []


def test_a_quota_survives_a_power_loss(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        store.set_quota("a", 128 * KIB)
    (root / "addresses" / "a.default" / "marker").unlink()
    with pronto_lmdb.open(root) as store:
        assert store.info("a").max_bytes == 128 * KIB


@pytest.mark.parametrize("quota", [0, -1, 1000, True, 1.5, "many"])
def test_an_impossible_quota_is_refused_and_changes_nothing(store: Store, quota: Any) -> None:
    store.create("a", max_bytes=128 * KIB)
    with pytest.raises(InvalidValueError):
        store.set_quota("a", quota)
    assert store.info("a").max_bytes == 128 * KIB


def test_the_quota_of_an_address_that_does_not_exist_makes_nothing(store: Store, root: Path) -> None:
    with pytest.raises(AddressNotFoundError):
        store.set_quota("a", 128 * KIB)
    assert not root.exists()


def test_a_process_that_has_the_address_open_obeys_the_new_quota_with_its_next_write(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        elsewhere(root, "set_quota", "a", 256 * KIB)
        with pytest.raises(StoreFullError, match="quota"):
            store["a"].update({str(number): "x" * 1000 for number in range(1000)})
        elsewhere(root, "set_quota", "a", None)
        store["a"].update({str(number): "x" * 1000 for number in range(1000)})
        assert len(store["a"]) == 1001


def elsewhere(root: Path, verb: str, *arguments: object) -> None:
    """Call a verb of the store in another process."""

    def call() -> None:
        with pronto_lmdb.open(root) as store:
            getattr(store, verb)(*arguments)

    process = get_context("fork").Process(target=call)
    process.start()
    process.join()
    code = process.exitcode
    process.close()
    assert code == 0


def _churn(root: Path, name: str) -> None:
    with pronto_lmdb.open(root) as store:
        for number in range(300):
            with suppress(StoreFullError):
                store["a"][f"{name}{number:05}"] = "x" * 1000
            if number % 3 == 2:
                store["a"].pop(f"{name}{number - 1:05}", None)  # a deletion is never refused


def test_processes_that_write_and_delete_at_the_quota_stay_within_it(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        path = store.create("a", max_bytes=256 * KIB).path
    processes = [get_context("fork").Process(target=_churn, args=(root, name)) for name in "bcd"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.close()
    assert codes == [0, 0, 0]
    # What deletions needed, and no more: far from the 1 MiB that one alone may take.
    assert (path / "data.mdb").stat().st_size <= 256 * KIB + 128 * KIB
    with pronto_lmdb.open(root) as store:
        assert store["a"].delete_many(list(store["a"])) > 50
        assert len(store["a"]) == 0


def test_a_change_of_the_quota_that_is_killed_anywhere_has_happened_or_not(root: Path) -> None:
    found = []
    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)
        with pronto_lmdb.open(root) as store:
            store["a"]["k"] = 1

        def change() -> None:
            with pronto_lmdb.open(root) as store:
                store.set_quota("a", 128 * KIB)

        died = killed_at(step, change)
        with pronto_lmdb.open(root) as store:
            quota = store.info("a").max_bytes
            assert [info.max_bytes for info in store.addresses()] == [quota]
            assert store["a"].increment("k") == 2
            assert store.check(deep=True).problems == []
        found.append(quota)
        if not died:
            break
    assert (found[0], found[-1]) == (None, 128 * KIB)
