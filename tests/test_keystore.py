"""The keystore: one address as a mapping whose every verb is one commit, between threads and stores alike."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier, Event
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import alike, keys, values

import pronto_lmdb
from pronto_lmdb import (
    Address,
    ConflictError,
    InvalidValueError,
    KeyNotFoundError,
    LockTimeoutError,
    ReadOnlyError,
    StoreClosedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Clock

    from pronto_lmdb import Keystore, Store

WORKERS = 8

# Every verb that writes, each in a form that changes something where KEPT is.
KEPT = {"a": 1, "b": 2, "leased": 3}
WRITES: dict[str, Callable[[Any], object]] = {
    "put": lambda writer: writer.put("n", 1),
    "put with ttl": lambda writer: writer.put("n", 1, ttl=5),
    "assignment": lambda writer: writer.__setitem__("n", 1),
    "add": lambda writer: writer.add("n", 1),
    "replace": lambda writer: writer.replace("a", 2, expected=1),
    "increment": lambda writer: writer.increment("a"),
    "modify": lambda writer: writer.modify("a", lambda value: value + 1),
    "setdefault": lambda writer: writer.setdefault("n", 1),
    "update": lambda writer: writer.update({"a": 5, "x": 6, "y": 7}),
    "del": lambda writer: writer.__delitem__("a"),
    "delete_many": lambda writer: writer.delete_many(["a", "b"]),
    "pop": lambda writer: writer.pop("a"),
    "popitem": lambda writer: writer.popitem(),
    "clear": lambda writer: writer.clear(),
    "expire": lambda writer: writer.expire("a", 5),
    "persist": lambda writer: writer.persist("leased"),
    "namespace_ttl": lambda writer: writer.namespace_ttl("p.n", 60),
    "namespace_ttl None": lambda writer: writer.namespace_ttl("kept.n", None),
    "sweep": lambda writer: writer.sweep(),
}
# Verbs that find nothing to do.
IDLE: dict[str, Callable[[Any], object]] = {
    "update with nothing": lambda writer: writer.update({}),
    "add over": lambda writer: writer.add("a", 1),
    "replace of another value": lambda writer: writer.replace("a", 2, expected=2),
    "replace of another revision": lambda writer: writer.replace("a", 2, revision=1_000),
    "replace of nothing": lambda writer: writer.replace("n", 2, expected=2),
    "setdefault over": lambda writer: writer.setdefault("a", 5),
    "delete_many of nothing": lambda writer: writer.delete_many(["n", "m"]),
    "pop of nothing": lambda writer: writer.pop("n", None),
    "expire of nothing": lambda writer: writer.expire("n", 5),
    "persist of nothing": lambda writer: writer.persist("n"),
    "namespace_ttl of none": lambda writer: writer.namespace_ttl("p.n", None),
}


@pytest.fixture
def keystore(store: Store) -> Keystore:
    return store["alice.research"]


def filled(keystore: Keystore, clock: Clock) -> Keystore:
    """Write KEPT, one record that has expired, and one default of a namespace."""
    keystore.update(KEPT)
    keystore.expire("leased", 3600)
    keystore.put("expired", 0, ttl=1)
    keystore.namespace_ttl("kept.n", 60)
    clock.advance(1)
    return keystore


# -- one verb, one commit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_writing_verb_is_one_commit(keystore: Keystore, clock: Clock, write: Callable[[Any], object]) -> None:
    revision = filled(keystore, clock).revision
    write(keystore)
    assert keystore.revision == revision + 1


@pytest.mark.parametrize("idle", IDLE.values(), ids=IDLE)
def test_a_verb_without_effect_is_no_commit(keystore: Keystore, clock: Clock, idle: Callable[[Any], object]) -> None:
    revision = filled(keystore, clock).revision
    idle(keystore)
    assert keystore.revision == revision


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_readonly_store_refuses_every_writing_verb(root: Path, clock: Clock, write: Callable[[Any], object]) -> None:
    with pronto_lmdb.open(root) as store:
        filled(store["a"], clock)
    with pronto_lmdb.open(root, readonly=True) as store:
        with pytest.raises(ReadOnlyError):
            write(store["a"])
        assert dict(store["a"]) == KEPT


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_closed_store_refuses_every_writing_verb(
    keystore: Keystore, store: Store, clock: Clock, write: Callable[[Any], object]
) -> None:
    filled(keystore, clock)
    store.close()
    with pytest.raises(StoreClosedError):
        write(keystore)


@pytest.mark.parametrize(
    "read",
    [
        lambda keystore: keystore.get("a"),
        lambda keystore: keystore["a"],
        lambda keystore: "a" in keystore,
        len,
        list,
        dict,
        lambda keystore: keystore.get_many(["a"]),
        lambda keystore: keystore.entry("a"),
        lambda keystore: keystore.ttl("a"),
        lambda keystore: keystore.revision,
        lambda keystore: keystore.stats(),
        lambda keystore: keystore.namespace_ttls(),
        lambda keystore: keystore.view(),
        lambda keystore: keystore.transaction(),
        lambda keystore: keystore.sync(),
        lambda keystore: list(keystore.scan()),
    ],
)
def test_a_closed_store_refuses_every_reading_verb(
    keystore: Keystore, store: Store, read: Callable[[Keystore], object]
) -> None:
    keystore["a"] = 1
    assert keystore.get("a") == 1
    store.close()
    with pytest.raises(StoreClosedError):
        read(keystore)


def test_a_record_has_the_revision_of_its_commit(keystore: Keystore) -> None:
    keystore.update({"a": 1, "b": 1})
    assert keystore.entry("a").revision == keystore.entry("b").revision == keystore.revision == 1
    keystore["b"] = 2
    assert (keystore.entry("a").revision, keystore.entry("b").revision, keystore.revision) == (1, 2, 2)


def test_a_record_has_the_time_of_its_commit(keystore: Keystore, clock: Clock) -> None:
    keystore["a"] = 1
    clock.advance(90)
    keystore["b"] = 1
    keystore.increment("a")
    assert keystore.entry("a").updated_at == datetime.fromtimestamp(clock.now() / 1_000_000, UTC)
    assert keystore.entry("a").updated_at == keystore.entry("b").updated_at


def test_writing_the_same_value_again_is_a_new_revision(keystore: Keystore) -> None:
    keystore["a"] = 1
    keystore["a"] = 1
    assert keystore.entry("a").revision == 2


def test_a_compare_and_set_loop_notices_a_value_that_came_back(keystore: Keystore) -> None:
    keystore["a"] = 1
    revision = keystore.entry("a").revision
    keystore["a"] = 2
    keystore["a"] = 1
    assert keystore.replace("a", 3, revision=revision) is False
    assert keystore.replace("a", 3, expected=1) is True


# -- values through the disk ---------------------------------------------------------------------------------------


@given(st.dictionaries(keys, values, min_size=1, max_size=6))
@settings(max_examples=50)
def test_every_way_to_read_gives_what_was_written(keystore: Keystore, items: dict[str, Any]) -> None:
    keystore.clear()
    keystore.update(items)
    ordered = sorted(items.items(), key=lambda item: item[0].encode())
    assert alike(list(keystore.items()), ordered)
    assert alike([(key, keystore[key]) for key in keystore], ordered)
    assert alike([(key, keystore.entry(key).value) for key in keystore], ordered)
    assert alike(sorted(keystore.get_many(items).items(), key=lambda item: item[0].encode()), ordered)


@pytest.mark.parametrize("value", ["é" * 5_000_000, b"\0" * 10_000_000, [{"n": n} for n in range(50_000)]], ids=type)
def test_large_values_come_back(keystore: Keystore, value: Any) -> None:
    keystore["small"] = 1
    keystore["large"] = value
    assert keystore["large"] == value
    keystore["large"] = 0
    assert dict(keystore) == {"large": 0, "small": 1}


def test_the_limit_of_a_value_is_a_setting_of_the_store(store: Store) -> None:
    store.config["value_limit"] = "100"
    store["a"]["fits"] = "x" * 90
    for write in (store["a"].put, store["a"].add, store["a"].setdefault, lambda key, value: store["a"].update(k=value)):
        with pytest.raises(InvalidValueError, match="100"):
            write("large", "x" * 100)
    assert list(store["a"]) == ["fits"]


def test_the_limit_of_a_value_may_be_raised_beyond_the_default(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRONTO_VALUE_LIMIT", str(80 * 1024 * 1024))
    value = b"x" * (65 * 1024 * 1024)
    with pronto_lmdb.open(root, durability="off") as store:
        store["a"]["k"] = value
        assert len(store["a"]["k"]) == len(value)
        assert store["a"].replace("k", 1, expected=value) is True


# -- handles -------------------------------------------------------------------------------------------------------


def test_an_address_may_be_given_as_text_or_as_an_address(store: Store) -> None:
    store["alice"]["k"] = 1
    assert store[Address("alice")]["k"] == 1
    assert store.keystore("alice.default")["k"] == 1
    assert store.keystore(Address("alice", "default")).address == Address.parse("alice")


def test_two_handles_are_two_objects_on_one_address(store: Store) -> None:
    one, other = store["a"], store["a"]
    assert one != other
    assert len({one, other}) == 2
    one["k"] = 1
    assert other["k"] == 1


def test_two_stores_of_one_root_see_each_other(root: Path) -> None:
    with pronto_lmdb.open(root) as one, pronto_lmdb.open(root) as other:
        assert other["a"].get("k") is None
        one["a"]["k"] = 1
        assert other["a"]["k"] == 1
        other["a"].increment("k")
        assert one["a"]["k"] == 2


def test_closing_one_store_leaves_the_other_at_work(root: Path) -> None:
    with pronto_lmdb.open(root) as one:
        with pronto_lmdb.open(root) as other:
            other["a"]["k"] = 1
            assert one["a"]["k"] == 1
        assert one["a"]["k"] == 1
        one["a"]["k"] = 2
        assert one["a"]["k"] == 2


def test_a_keystore_keeps_its_store_open(root: Path) -> None:
    keystore = pronto_lmdb.open(root)["a"]
    keystore["k"] = 1
    assert keystore["k"] == 1
    pickle.loads(pickle.dumps(keystore))  # opens nothing before it is used
    keystore._store.close()


def test_another_process_sees_what_was_written_and_writes_itself(
    store: Store, in_another_process: Callable[..., Any]
) -> None:
    store["a"]["k"] = 1
    seen = in_another_process(
        """
        import json, sys, pronto_lmdb
        with pronto_lmdb.open(sys.argv[1]) as store:
            print(json.dumps([store["a"]["k"], store["a"].increment("k", 41)]))
        """,
        store.path,
    )
    assert seen == [1, 42]
    assert store["a"]["k"] == 42


def test_a_pickled_handle_works_in_another_process(store: Store, in_another_process: Callable[..., Any]) -> None:
    store["a"]["k"] = 1
    seen = in_another_process(
        """
        import json, pickle, sys
        store, keystore = pickle.loads(bytes.fromhex(sys.argv[1]))
        with store:
            keystore["k"] += 1
            print(json.dumps([str(keystore.address), store["a"]["k"]]))
        """,
        pickle.dumps((store, store["a"])).hex(),
    )
    assert seen == ["a.default", 2]
    assert store["a"]["k"] == 2


def test_a_pickled_store_opens_as_it_was_opened(root: Path) -> None:
    options: dict[str, Any] = {"create": False, "readonly": True, "durability": "off", "timeout": 3}
    with pronto_lmdb.open(root, **options) as store, pickle.loads(pickle.dumps(store)) as copy:
        assert copy is not store
        for name in ("path", "creates", "readonly", "durability", "timeout"):
            assert getattr(copy, name) == getattr(store, name)


def test_a_keystore_shows_what_it_is(store: Store) -> None:
    assert repr(store["alice.research"]) == f"<Keystore alice.research in {store.path}>"


# -- numbers -------------------------------------------------------------------------------------------------------


def test_stats_count_records_and_bytes(store: Store, clock: Clock) -> None:
    store.create("a", max_bytes=10_000_000, durability="off")
    keystore = filled(store["a"], clock)
    stats = keystore.stats()
    assert (stats.records, stats.expired, stats.revision) == (3, 1, keystore.revision)
    assert (stats.max_bytes, stats.durability) == (10_000_000, "off")
    keystore["large"] = "x" * 1_000_000
    assert keystore.stats().bytes_used >= stats.bytes_used + 1_000_000
    assert keystore.stats().bytes_on_disk >= 1_000_000


def test_stats_of_an_absent_address_are_zero(store: Store) -> None:
    stats = store["a"].stats()
    assert stats == (0, 0, 0, 0, 0, None, "full")


@pytest.mark.parametrize("durability", ["full", "off"])
def test_sync_may_be_called_at_any_time(store: Store, durability: str) -> None:
    store["absent"].sync()
    store.create("a", durability=durability)
    store["a"].sync()
    store["a"]["k"] = 1
    store["a"].sync()
    assert store["a"]["k"] == 1


# -- threads -------------------------------------------------------------------------------------------------------


def together(work: Callable[[int], Any]) -> list[Any]:
    """Run something in several threads that start at once; return the results."""
    start = Barrier(WORKERS)

    def run(number: int) -> Any:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(WORKERS) as threads:
        return list(threads.map(run, range(WORKERS)))


def test_no_increment_is_lost(keystore: Keystore) -> None:
    together(lambda _: [keystore.increment("hits") for _ in range(25)])
    assert keystore["hits"] == WORKERS * 25


def test_no_modification_is_lost(keystore: Keystore) -> None:
    together(lambda number: [keystore.modify("all", lambda seen: [*seen, number], default=[]) for _ in range(10)])
    assert sorted(keystore["all"]) == sorted(list(range(WORKERS)) * 10)


def test_one_of_many_adds_wins(keystore: Keystore) -> None:
    assert together(lambda number: keystore.add("lock", number)).count(True) == 1


def test_one_of_many_replacements_wins(keystore: Keystore) -> None:
    keystore["plan"] = "old"
    assert together(lambda number: keystore.replace("plan", number, expected="old")).count(True) == 1


def test_every_thread_gets_the_same_default(keystore: Keystore) -> None:
    assert set(together(lambda number: keystore.setdefault("first", number))) == {keystore["first"]}


def test_an_item_is_popped_once(keystore: Keystore) -> None:
    keystore.update({f"k{number:03}": number for number in range(WORKERS * 5)})
    popped = together(lambda _: [keystore.popitem() for _ in range(5)])
    assert sorted(item[1] for items in popped for item in items) == list(range(WORKERS * 5))
    with pytest.raises(KeyNotFoundError):
        keystore.popitem()


def test_an_update_is_seen_whole_or_not_at_all(keystore: Keystore) -> None:
    names = [f"k{number}" for number in range(50)]
    done = Event()

    def work(number: int) -> set[int]:
        if number:
            seen: set[int] = set()
            while not done.is_set():
                seen.add(len(set(keystore.get_many(names).values())))
            return seen
        for round_ in range(50):
            keystore.update(dict.fromkeys(names, round_))
        done.set()
        return set()

    assert set().union(*together(work)) <= {0, 1}


def test_an_address_created_by_many_threads_at_once_is_one(store: Store) -> None:
    together(lambda number: store["new"].put(str(number), number))
    assert dict(store["new"]) == {str(number): number for number in range(WORKERS)}
    assert store["new"].revision == WORKERS


def test_a_writer_in_the_way_is_waited_for_no_longer_than_the_timeout(root: Path) -> None:
    with pronto_lmdb.open(root, timeout=0.05) as store, ThreadPoolExecutor(1) as thread:
        store["a"]["k"] = 1
        with store["a"].transaction() as transaction:
            transaction["k"] = 2
            with pytest.raises(LockTimeoutError, match=r"a\.default"):
                thread.submit(store["a"].put, "k", 3).result()
            assert thread.submit(store["a"].get, "k").result() == 1
        assert thread.submit(store["a"].increment, "k").result() == 3


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_function_given_to_modify_cannot_write_to_its_own_keystore(
    keystore: Keystore, clock: Clock, write: Callable[[Any], object]
) -> None:
    filled(keystore, clock)
    with pytest.raises(ConflictError):
        keystore.modify("a", lambda value: write(keystore))
    assert dict(keystore) == KEPT


def test_a_function_given_to_modify_may_read_its_own_keystore(keystore: Keystore) -> None:
    keystore.update(KEPT)
    assert keystore.modify("a", lambda value: sum(keystore.values())) == 6
