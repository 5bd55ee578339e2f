"""The coroutines: what tasks share, what a cancelled one leaves, and what does not hold up the event loop."""

from __future__ import annotations

import asyncio
import inspect
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest
from blocking import collect

import pronto_lmdb
from pronto_lmdb import aio, async_verbs, workers
from pronto_lmdb.commit import Commit
from pronto_lmdb.group_commit import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

MAIN = "MainThread"


def run(work: Callable[[aio.Store], Awaitable[Any]], root: Path, **options: Any) -> Any:
    """Open a store in an event loop, and do some work there."""

    async def main() -> Any:
        async with aio.open(root, **options) as store:
            return await work(store)

    return asyncio.run(main())


def threads_of(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[str]:
    """Note in which threads something is called."""
    threads: list[str] = []
    original = getattr(owner, name)

    def noted(*arguments: Any, **named: Any) -> Any:
        threads.append(threading.current_thread().name)
        return original(*arguments, **named)

    monkeypatch.setattr(owner, name, noted)
    return threads


# -- the same verbs --------------------------------------------------------------------------------------------------


def test_importing_the_library_alone_is_enough(in_another_process: Any) -> None:
    imported = in_another_process("""
        import json, sys, pronto_lmdb
        before = "asyncio" in sys.modules
        print(json.dumps([before, pronto_lmdb.aio.open.__name__, "asyncio" in sys.modules]))
    """)
    assert imported == [False, "open", True]


@pytest.mark.parametrize(
    ("ordinary", "asynchronous", "others"),
    [
        (pronto_lmdb.Keystore, aio.Keystore, {"contains", "count", "delete"}),
        (pronto_lmdb.Transaction, aio.Transaction, {"contains", "count", "delete", "is_open_on"}),
        (pronto_lmdb.View, aio.View, {"contains", "count"}),
        (pronto_lmdb.Store, aio.Store, {"call"}),
    ],
)
def test_nothing_is_missing(ordinary: type, asynchronous: type, others: set[str]) -> None:
    settings = {
        "config",
        "creates",
        "durability",
        "flush_interval",
        "known_value_limit",
        "readonly",
        "timeout",
        "value_limit",
        "view_warning",
    }
    inner = {"adoption", "check_open", "create_missing", "find", "is_busy", *settings}
    assert names(ordinary) - inner <= names(asynchronous) | {"address", "path", "closed"}
    assert names(asynchronous) - names(ordinary) - {"address", "path", "closed"} == others


def names(of: type) -> set[str]:
    return {name for name in dir(of) if not name.startswith("_")}


@pytest.mark.parametrize("name", sorted(names(pronto_lmdb.Keystore) - {"address", "revision"}))
def test_a_verb_takes_the_same_arguments(name: str) -> None:
    verb, coroutine = getattr(pronto_lmdb.Keystore, name), getattr(aio.Keystore, name)
    assert inspect.signature(coroutine).parameters.keys() == inspect.signature(verb).parameters.keys()
    iterates = name in {"scan", "scan_keys", "keys", "values", "items", "transaction", "view"}
    assert inspect.iscoroutinefunction(coroutine) or iterates


def test_the_verbs_of_the_store_are_coroutines(root: Path) -> None:
    async def work(store: aio.Store) -> None:
        info = await store.create("alice.main", labels={"team": "red"})
        assert info.labels == {"team": "red"}
        await store["bob"].put("key", 1)
        assert [str(info.address) async for info in store.addresses()] == ["alice.main", "bob.default"]
        assert await store.exists("alice.main")
        await store.rename("alice.main", "carol.main")
        await store.delete("carol.main")
        assert [str(item.address) for item in await store.trash()] == ["carol.main"]
        assert (await store.undelete("carol.main")).labels == {"team": "red"}
        await store.set_durability("bob", "normal")
        assert (await store.info("bob")).durability == "normal"
        assert (await store.check()).ok
        assert await store.call(lambda ordinary: ordinary.config.effective("durability")) == "full"
        with pytest.raises(pronto_lmdb.AddressNotFoundError):
            await store.info("nobody")

    run(work, root)


def test_snapshots_copies_and_compaction_are_coroutines(root: Path) -> None:
    async def work(store: aio.Store) -> None:
        keystore = store["alice"]
        await keystore.put("plan", 1)
        snapshot = await store.backup(label="first")
        assert [found.id for found in await store.snapshots()] == [snapshot.id]
        assert (await store.snapshot(snapshot.id)).label == "first"
        assert [str(item.address) for item in await store.contents(snapshot)] == ["alice.default"]
        assert (await store.verify(snapshot, deep=True)).ok
        await keystore.put("plan", 2)
        await store.copy("alice", "bob")
        assert [str(info.address) for info in await store.restore(snapshot, overwrite=True)] == ["alice.default"]
        assert [await keystore.get("plan"), await store["bob"].get("plan")] == [1, 2]
        assert (await store.prune(keep_last=1)).removed == []
        assert {str(done.address) for done in await store.compact()} == {"alice.default", "bob.default"}

    run(work, root)


def test_projects_and_namespaces_are_coroutines(root: Path) -> None:
    async def work(store: aio.Store) -> None:
        keystore = store["a"]
        assert (await keystore.projects(), await keystore.namespaces()) == ([], [])
        await keystore.update({"web.cache.page": 1, "kb.recipes.soup": 2})
        assert await keystore.projects() == ["kb", "web"]
        assert await keystore.namespaces() == [("kb", "recipes"), ("web", "cache")]
        async with keystore.view() as view:
            assert await view.namespaces("web") == [("web", "cache")]
        async with keystore.transaction() as txn:
            await txn.put("new.space.key", 3)
            assert await txn.projects() == ["kb", "new", "web"]

    run(work, root)


def test_a_missing_key_and_a_bad_value_are_errors_of_the_library(root: Path) -> None:
    async def work(store: aio.Store) -> None:
        keystore = store["a"]
        with pytest.raises(pronto_lmdb.KeyNotFoundError):
            await keystore["nothing"]
        with pytest.raises(pronto_lmdb.InvalidValueError):
            await keystore.put("key", {1, 2})  # type: ignore[arg-type]
        with pytest.raises(pronto_lmdb.InvalidKeyError):
            await keystore.put("", 1)
        assert not await store.exists("a")

    run(work, root)


def test_reading_and_removing_create_nothing(root: Path) -> None:
    async def work(store: aio.Store) -> None:
        keystore = store["a"]
        assert await keystore.get("key", 5) == 5
        assert await keystore.delete_many(["key"]) == 0
        assert await asyncio.gather(keystore.pop("x", 1), keystore.expire("x", 5), keystore.sweep()) == [1, False, 0]
        assert await collect(keystore.scan()) == []
        async with keystore.view() as view:
            assert await view.count() == 0
        with pytest.raises(pronto_lmdb.InvalidValueError):
            await keystore.increment("n", 2**70)

    run(work, root)
    assert not root.exists()


def test_a_store_that_must_not_create_says_so_to_those_who_would(root: Path) -> None:
    async def work(store: aio.Store) -> Any:
        keystore = store["a"]
        works = (keystore.put("key", 1), keystore.pop("key", "none"), keystore.delete_many(["key"]))
        return await asyncio.gather(*works, return_exceptions=True)

    error, *others = run(work, root, create=False)
    assert isinstance(error, pronto_lmdb.AddressNotFoundError)
    assert others == ["none", 0]


def test_a_value_is_taken_as_it_is_at_the_call(root: Path) -> None:
    async def work(store: aio.Store) -> None:
        value = [1]
        task = asyncio.create_task(store["a"].put("key", value))
        await store["a"].put("other", 1)
        value.append(2)
        await task
        assert await store["a"].get("key") == [1]

    run(work, root)


# -- groups ----------------------------------------------------------------------------------------------------------


def test_tasks_that_write_at_once_share_one_commit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = []

    async def work(store: aio.Store) -> None:
        keystore = store["a"]
        await keystore.put("begin", 0)
        before = await keystore.revision()
        monkeypatch.setattr(Commit, "_commit", counted(commits, Commit._commit))
        await asyncio.gather(*(keystore.put(f"k{number}", number) for number in range(100)))
        assert len(commits) == 1
        assert await keystore.revision() == before + 100
        assert await keystore.get_many(["k0", "k99"]) == {"k0": 0, "k99": 99}
        assert await asyncio.gather(*(keystore.increment("n") for _ in range(50))) == list(range(1, 51))

    run(work, root)


def counted(calls: list[Any], original: Callable[..., Any]) -> Callable[..., Any]:
    def count(*arguments: Any) -> Any:
        calls.append(arguments)
        return original(*arguments)

    return count


def test_a_task_that_fails_fails_alone(root: Path) -> None:
    async def work(store: aio.Store) -> Any:
        keystore = store["a"]
        await keystore.put("text", "x")
        works = [keystore.put("one", 1), keystore.increment("text"), keystore.pop("nothing"), keystore.add("one", 2)]
        return await asyncio.gather(*works, return_exceptions=True)

    written, refused, missing, added = run(work, root)
    assert isinstance(refused, pronto_lmdb.InvalidValueError)
    assert isinstance(missing, pronto_lmdb.KeyNotFoundError)
    assert (written, added) == (None, False)


def test_tasks_and_threads_write_to_one_address(root: Path) -> None:
    with pronto_lmdb.open(root) as ordinary:

        def count() -> None:
            for _ in range(50):
                ordinary["a"].increment("n")

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()

        async def work(store: aio.Store) -> None:
            await asyncio.gather(*(store["a"].increment("n") for _ in range(200)))

        run(work, root)
        for thread in threads:
            thread.join()
        assert ordinary["a"]["n"] == 400
        assert ordinary.check(deep=True).ok


def test_who_waits_too_long_is_told_and_who_came_later_is_not(root: Path) -> None:
    with pronto_lmdb.open(root) as ordinary:
        ordinary["a"]["key"] = 1

        async def work(store: aio.Store) -> None:
            keystore = store["a"]
            with ordinary["a"].transaction():
                first = [asyncio.create_task(keystore.put(f"early{number}", 1)) for number in range(3)]
                await asyncio.sleep(0.2)
                second = [asyncio.create_task(keystore.put(f"late{number}", 1)) for number in range(3)]
                outcomes = await asyncio.gather(*first, return_exceptions=True)
                assert [type(outcome) for outcome in outcomes] == [pronto_lmdb.LockTimeoutError] * 3
            assert await asyncio.gather(*second) == [None] * 3
            assert await collect(keystore.keys()) == ["key", "late0", "late1", "late2"]

        run(work, root, timeout=0.4)


# -- cancellation and the end ----------------------------------------------------------------------------------------


def test_a_write_cancelled_before_its_group_has_left_is_not_done(root: Path) -> None:
    async def work(store: aio.Store) -> None:
        keystore = store["a"]
        await keystore.put("begin", 1)
        tasks = [asyncio.create_task(keystore.put(f"k{number}", 1)) for number in range(4)]
        await asyncio.sleep(0)  # they have begun, and wait
        tasks[1].cancel()
        assert isinstance((await asyncio.gather(*tasks, return_exceptions=True))[1], asyncio.CancelledError)
        assert await collect(keystore.keys()) == ["begin", "k0", "k2", "k3"]

    run(work, root)


def test_a_write_cancelled_on_its_way_is_done_or_not(root: Path) -> None:
    with pronto_lmdb.open(root) as ordinary:
        ordinary["a"]["begin"] = 1

        async def work(store: aio.Store) -> None:
            keystore = store["a"]
            with ordinary["a"].transaction():
                tasks = [asyncio.create_task(keystore.put(f"k{number}", 1)) for number in range(3)]
                while not workers_wait():
                    await asyncio.sleep(0.001)
                tasks[1].cancel()
                with pytest.raises(asyncio.CancelledError):
                    await tasks[1]
            assert await asyncio.gather(tasks[0], tasks[2]) == [None, None]
            assert set(await collect(keystore.keys())) in ({"begin", "k0", "k2"}, {"begin", "k0", "k1", "k2"})
            await keystore.put("after", 1)

        run(work, root)


def workers_wait() -> bool:
    """Tell whether a worker is on its way with a group."""
    from pronto_lmdb.pool import pool

    return any(hasattr(environment, "line") and environment.line._front for environment in pool.environments())


@pytest.mark.parametrize("seed", range(5))
def test_a_storm_of_cancellations_loses_nothing_that_was_acknowledged(root: Path, seed: int) -> None:
    chance = random.Random(seed)
    acknowledged: set[str] = set()
    begun: set[str] = set()

    async def write(keystore: aio.Keystore, name: str) -> None:
        for number in range(20):
            key = f"{name}.{number}"
            begun.add(key)
            await keystore.put(key, number)
            acknowledged.add(key)

    async def work(store: aio.Store) -> None:
        tasks = [asyncio.create_task(write(store[f"a{number % 3}"], f"t{number}")) for number in range(30)]
        for task in chance.sample(tasks, 20):
            await asyncio.sleep(chance.random() * 0.003)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(store[f"a{number}"].put("after", 1) for number in range(3)))

    run(work, root)
    with pronto_lmdb.open(root) as store:
        found = {key for info in store.addresses() for key in store[info.address]}
        assert acknowledged <= found - {"after"} <= begun
        assert len(acknowledged) >= 200
        assert store.check(deep=True).ok


def test_closing_waits_for_what_was_accepted(root: Path) -> None:
    async def main() -> None:
        store = await aio.open(root)
        await store["a0"].put("begin", 1)
        tasks = [asyncio.create_task(store[f"a{number % 3}"].put(f"k{number}", 1)) for number in range(60)]
        await asyncio.sleep(0)
        await store.close()
        assert await asyncio.gather(*tasks) == [None] * 60
        with pytest.raises(pronto_lmdb.StoreClosedError):
            await store["a0"].put("late", 1)
        await store.close()

    asyncio.run(main())
    with pronto_lmdb.open(root) as ordinary:
        assert sum(len(ordinary[info.address]) for info in ordinary.addresses()) == 61


def test_an_old_keystore_of_a_closed_store_is_refused(root: Path) -> None:
    async def main() -> None:
        async with aio.open(root) as store:
            keystore = store["a"]
            await keystore.put("key", 1)
        works = (keystore.put("key", 2), keystore.get("key"), keystore.sweep(), collect(keystore.scan()))
        outcomes = await asyncio.gather(*works, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {pronto_lmdb.StoreClosedError}

    asyncio.run(main())


def test_a_store_is_used_inside_its_block_only(root: Path) -> None:
    async def main() -> None:
        store = aio.open(root)
        with pytest.raises(pronto_lmdb.StoreClosedError, match="async with"):
            store["a"]
        async with store:
            await store["a"].put("key", 1)
        with pytest.raises(pronto_lmdb.StoreClosedError):
            await store.__aenter__()

    asyncio.run(main())


def test_a_store_that_cannot_be_opened_leaves_no_thread_behind(root: Path) -> None:
    async def main() -> None:
        with pytest.raises(pronto_lmdb.InvalidValueError):
            await aio.open(root, durability="perhaps")

    asyncio.run(main())


def test_a_store_belongs_to_one_event_loop(root: Path) -> None:
    with asyncio.Runner() as first, asyncio.Runner() as second:
        store = first.run(_opened(root))
        with pytest.raises(pronto_lmdb.ConflictError, match="loop"):
            second.run(store["a"].put("key", 1))
        first.run(store.close())


async def _opened(root: Path) -> aio.Store:
    return await aio.open(root)


# -- transactions and views ------------------------------------------------------------------------------------------


def test_a_transaction_commits_as_a_whole_or_not_at_all(root: Path) -> None:
    async def work(store: aio.Store) -> None:
        keystore = store["a"]
        async with keystore.transaction() as transaction:
            await transaction.put("one", 1)
            assert await transaction.increment("n") == 1
            assert await keystore.get("one") is None
        with pytest.raises(ZeroDivisionError):
            await _fail_inside(keystore)
        assert await collect(keystore.items()) == [("n", 1), ("one", 1)]
        with pytest.raises(pronto_lmdb.StoreClosedError):
            await transaction.put("three", 3)

    run(work, root)


async def _fail_inside(keystore: aio.Keystore) -> None:
    async with keystore.transaction() as transaction:
        await transaction.put("two", 2)
        raise ZeroDivisionError


def test_a_task_that_writes_inside_its_own_transaction_is_refused_at_once(root: Path) -> None:
    async def work(store: aio.Store) -> None:
        keystore = store["a"]
        await keystore.put("key", 1)
        async with keystore.transaction() as transaction:
            for verb in (keystore.put("key", 2), keystore.pop("key"), keystore.sync(), keystore.modify("key", abs)):
                with pytest.raises(pronto_lmdb.ConflictError, match="transaction open"):
                    await verb
            with pytest.raises(pronto_lmdb.ConflictError, match="transaction open"):
                await keystore.transaction().__aenter__()
            await store["b"].put("key", 1)
            await transaction.put("key", 3)
        await keystore.put("after", 1)
        assert await keystore.get("key") == 3

    run(work, root)


def test_a_transaction_cancelled_while_it_waits_gives_the_lock_back(root: Path) -> None:
    with pronto_lmdb.open(root) as ordinary:
        ordinary["a"]["key"] = 1

        async def work(store: aio.Store) -> None:
            keystore = store["a"]
            with ordinary["a"].transaction():
                task = asyncio.create_task(_count_up(keystore))
                await asyncio.sleep(0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await keystore.put("key", 2)

        run(work, root)
        assert dict(ordinary["a"]) == {"key": 2}


async def _count_up(keystore: aio.Keystore) -> None:
    async with keystore.transaction() as transaction:
        await transaction.increment("n")


def test_transactions_of_tasks_take_turns(root: Path) -> None:
    async def work(store: aio.Store) -> Any:
        await store.create("a")
        await asyncio.gather(*(_count_up(store["a"]) for _ in range(20)))
        return await store["a"].get("n")

    assert run(work, root) == 20


def test_a_view_shows_one_moment_to_several_tasks(root: Path) -> None:
    async def work(store: aio.Store) -> None:
        keystore = store["a"]
        await keystore.update({f"k{number}": 0 for number in range(2000)})
        async with keystore.view() as view:
            await keystore.update({f"k{number}": 1 for number in range(2000)})
            sums = await asyncio.gather(*(_sum(view) for _ in range(4)), *(view.get(f"k{n}") for n in range(20)))
        assert set(sums) == {0}
        assert await _sum(keystore) == 2000
        with pytest.raises(pronto_lmdb.StoreClosedError):
            await view.get("k1")

    run(work, root)


async def _sum(reads: aio.View | aio.Keystore) -> int:
    return sum([value async for _, value in reads.scan()])  # type: ignore[misc]


# -- the event loop --------------------------------------------------------------------------------------------------


def test_an_address_is_opened_and_written_by_workers_and_read_in_the_loop(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = threads_of(monkeypatch, pronto_lmdb.Store, "find")
    committing = threads_of(monkeypatch, Commit, "_commit")

    async def work(store: aio.Store) -> None:
        keystore = store["a"]
        assert await keystore.get("key") is None
        await keystore.put("key", "x" * 200_000)
        await asyncio.gather(keystore.put("one", 1), keystore.put("two", 2))
        reading = threads_of(monkeypatch, pronto_lmdb.Keystore, "_read")
        unpacking = threads_of(monkeypatch, async_verbs, "unpack")
        assert await keystore.get("one") == 1
        assert unpacking == reading == [MAIN]
        assert len(await keystore.get("key")) == 200_000  # type: ignore[arg-type]
        assert reading == [MAIN] * 2
        assert unpacking[1] != MAIN
        del reading[:]
        assert [key async for key in keystore] == ["key", "one", "two"]
        assert MAIN not in reading

    run(work, root)
    assert MAIN not in opening + committing
    assert opening


def test_the_loop_goes_on_while_writes_wait_for_another_writer(root: Path) -> None:
    with pronto_lmdb.open(root) as ordinary:
        ordinary["a"]["key"] = 1

        async def work(store: aio.Store) -> int:
            with ordinary["a"].transaction():
                waiting = asyncio.create_task(store["a"].put("key", 2))
                ticks = 0
                while ticks < 100:
                    await asyncio.sleep(0)
                    await store["b"].get("key")
                    assert await store["a"].get("key") == 1
                    ticks += 1
                assert not waiting.done()
            await waiting
            return ticks

        assert run(work, root) == 100


def test_an_abandoned_scan_holds_nothing(root: Path) -> None:
    async def work(store: aio.Store) -> None:
        keystore = store["a"]
        await keystore.update({f"k{number:05}": number for number in range(3000)})
        async for key, _ in keystore.scan(reverse=True):
            assert key == "k02999"
            break
        assert len(await collect(keystore.scan(limit=1500))) == 1500
        keys = await collect(keystore.scan_keys("k00"))
        assert keys == sorted(keys)
        assert len(keys) == 1000
        assert sum(await collect(keystore.values())) == sum(range(3000))

    run(work, root)


def test_an_error_that_nobody_expected_reaches_the_task(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    async def work(store: aio.Store) -> None:
        await store["a"].put("key", 1)
        with monkeypatch.context() as patch:
            patch.setattr(workers.Courier, "_together", fail)
            patch.setattr(GroupCommit, "_publish", fail)
            outcomes = await asyncio.gather(*(store["a"].put("key", 2) for _ in range(3)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [MemoryError] * 3
        assert await store["a"].get("key") == 1

    run(work, root)
