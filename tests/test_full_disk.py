"""A full disk refuses what needs room, whole, and never reading, deleting, purging; with room everything goes on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from children import in_children
from small_disk import MIB, fill, mounted, remount

import pronto_lmdb
from pronto_lmdb import ProntoError, StoreFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pronto_lmdb import Keystore, Store

pytestmark = pytest.mark.disk

CONTENT = {f"key{number:03}": "v" * 100 for number in range(200)}
LEVELS = ("full", "normal", "off")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk with a store on it, which has an address for each level, one more, and one in the trash."""
    with mounted(tmp_path / "disk", 8 * MIB) as place:
        with pronto_lmdb.open(place / "store") as store:
            for level in LEVELS:
                store.create(level, durability=level)
            for name in (*LEVELS, "other", "gone"):
                store[name].update(CONTENT)
                store[name].put("lease", 1, ttl=1e6)
            store.delete("gone")
        yield place


def opened(disk: Path) -> Store:
    return pronto_lmdb.open(disk / "store", timeout=2)


def contents(store: Store) -> dict[str, dict[str, Any]]:
    return {str(info.address): dict(store[info.address].items()) for info in store.addresses()}


# -- the verbs of an address -----------------------------------------------------------------------------------------

READS: dict[str, Callable[[Keystore], object]] = {
    "get": lambda keystore: keystore["key007"],
    "get_many": lambda keystore: keystore.get_many(["key001", "none"]),
    "in": lambda keystore: "key001" in keystore,
    "len": len,
    "list": list,
    "scan": lambda keystore: list(keystore.scan("key00", reverse=True)),
    "scan_keys": lambda keystore: list(keystore.scan_keys(limit=3)),
    "entry": lambda keystore: keystore.entry("key001"),
    "ttl": lambda keystore: keystore.ttl("lease"),
    "revision": lambda keystore: keystore.revision,
    "stats": lambda keystore: keystore.stats(),
    "view": lambda keystore: [list(view.items()) for view in _entered(keystore)],
}
WRITES: dict[str, Callable[[Keystore], object]] = {
    "put": lambda keystore: keystore.put("new", "x" * 20_000),
    "put over": lambda keystore: keystore.put("key001", "x" * 20_000),
    "put with ttl": lambda keystore: keystore.put("new", 1, ttl=60),
    "add": lambda keystore: keystore.add("new", 1),
    "replace": lambda keystore: keystore.replace("key001", 2, expected="v" * 100),
    "increment": lambda keystore: keystore.increment("hits"),
    "modify": lambda keystore: keystore.modify("key001", lambda value: [value]),
    "update": lambda keystore: keystore.update({f"new{number}": "x" * 500 for number in range(50)}),
    "delete": lambda keystore: keystore.__delitem__("key001"),
    "delete_many": lambda keystore: keystore.delete_many(["key001", "key002"]),
    "pop": lambda keystore: keystore.pop("key001"),
    "popitem": lambda keystore: keystore.popitem(),
    "setdefault": lambda keystore: keystore.setdefault("new", 1),
    "clear": lambda keystore: keystore.clear(),
    "expire": lambda keystore: keystore.expire("key001", 60),
    "persist": lambda keystore: keystore.persist("lease"),
    "namespace_ttl": lambda keystore: keystore.namespace_ttl("a.b", 60),
    "transaction": lambda keystore: [transaction.put("new", 1) for transaction in _begun(keystore)],
    "sweep": lambda keystore: keystore.sweep(),
    "sync": lambda keystore: keystore.sync(),
}


def _entered(keystore: Keystore) -> Iterator[Any]:
    with keystore.view() as view:
        yield view


def _begun(keystore: Keystore) -> Iterator[Any]:
    with keystore.transaction() as transaction:
        yield transaction


@pytest.mark.parametrize("level", LEVELS)
def test_every_reading_verb_works_on_a_full_disk(disk: Path, level: str) -> None:
    with opened(disk) as store:
        expected = {name: read(store[level]) for name, read in READS.items() if name not in ("ttl", "stats")}
    fill(disk)
    with opened(disk) as store:
        assert {name: read(store[level]) for name, read in READS.items() if name in expected} == expected
        assert store[level].ttl("lease")
        assert store[level].stats().records == 201


@pytest.mark.parametrize("level", LEVELS)
def test_every_writing_verb_happens_or_is_refused_whole_and_works_again_with_room(disk: Path, level: str) -> None:
    filler = fill(disk)
    with opened(disk) as store:
        refused = 0
        for name, write in WRITES.items():
            before = dict(store[level].items())
            try:
                write(store[level])
            except StoreFullError as error:
                refused += 1
                assert error.hint, name  # noqa: PT017 - it need not be raised
                assert dict(store[level].items()) == before, name
            fill(disk)
        assert refused > 3
        filler.unlink()
        for name, write in WRITES.items():
            if name not in ("delete", "pop", "popitem", "delete_many", "replace", "modify"):  # what may be gone by now
                write(store[level])
        store[level]["again"] = 1
        assert store.check(deep=True).problems == []


def test_what_was_refused_on_a_full_disk_does_not_come_back_after_a_power_loss(disk: Path) -> None:
    filler = fill(disk)
    with opened(disk) as store:
        before = dict(store["full"].items())
        for number in range(5):
            with pytest.raises(StoreFullError):
                store["full"].update({f"new{number}.{other}": "x" * 1000 for other in range(100)})
    filler.unlink()
    (disk / "store" / "addresses" / "full.default" / "marker").unlink()
    with opened(disk) as store:
        assert dict(store["full"].items()) == before


@pytest.mark.parametrize("leave", [0, 4096, 16384, 65536, 262144])
def test_a_disk_that_fills_in_the_middle_of_anything_loses_nothing(disk: Path, leave: int) -> None:
    filler = fill(disk, leave=leave)
    acknowledged = dict(CONTENT)
    with opened(disk) as store, pytest.raises(StoreFullError):  # noqa: PT012 - which write it is depends on the room
        for number in range(10_000):
            store["full"][f"new{number}"] = "x" * 700
            acknowledged[f"new{number}"] = "x" * 700
    filler.unlink()
    (disk / "store" / "addresses" / "full.default" / "marker").unlink()
    with opened(disk) as store:
        found = dict(store["full"].items())
        assert {key: found.get(key) for key in acknowledged} == acknowledged
        assert store.check(deep=True).problems == []


# -- the operations of a store ---------------------------------------------------------------------------------------

OPERATIONS: dict[str, Callable[[Store], object]] = {
    "create": lambda store: store.create("new"),
    "create by writing": lambda store: store["new"].put("key", 1),
    "rename": lambda store: store.rename("other", "renamed"),
    "undelete": lambda store: store.undelete("gone"),
    "set_durability": lambda store: store.set_durability("other", "normal"),
    "leave off": lambda store: store.set_durability("off", "full"),
    "set_quota": lambda store: store.set_quota("other", MIB),
    "config": lambda store: store.config.__setitem__("timeout", "9"),
    "rebuild_registry": lambda store: store.rebuild_registry(),
    "check": lambda store: store.check(),
    "deep check": lambda store: store.check(deep=True),
    "repair": lambda store: store.check(repair=True),
    "rebuild": lambda store: store.check(rebuild=True),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_happens_or_is_refused_whole_and_works_again_with_room(
    disk: Path, operation: Callable[[Store], object]
) -> None:
    with opened(disk) as store:
        before = contents(store)
    filler = fill(disk)
    with opened(disk) as store:
        try:
            operation(store)
        except ProntoError as error:
            assert isinstance(error, StoreFullError)  # noqa: PT017 - it need not be raised
            assert error.hint  # noqa: PT017 - it need not be raised
        after = contents(store)
        assert set(map(len, after.values())) <= {201, 0, 1}
        assert {name: after[name] for name in after if name in before} == {
            name: before[name] for name in before if name in after
        }
    filler.unlink()
    with opened(disk) as store:
        store["other.one"]["key"] = 1  # whatever was left undone is finished or undone first
        assert store.check(deep=True).problems == []


def test_looking_and_listing_work_on_a_full_disk(disk: Path) -> None:
    fill(disk)
    with opened(disk) as store:
        assert len(list(store.addresses())) == 4
        assert store.info("full").durability == "full"
        assert store.exists("full")
        assert len(store.trash()) == 1
        assert store.config.get("timeout") is None
        assert store.check().problems == []


@pytest.mark.parametrize("name", [*LEVELS, "other"])
def test_a_full_disk_never_prevents_deleting_and_purging_an_address(disk: Path, name: str) -> None:
    fill(disk)
    with opened(disk) as store:
        store.delete(name)
        assert not store.exists(name)
        fill(disk)
        assert store.purge() == 2
        assert store.trash() == []
        # There is room now, and it is kept for the next time.
        fill(disk)
        store.delete("other" if name != "other" else "full")
        assert store.purge() == 1
        assert len(list(store.addresses())) == 2
    with opened(disk) as store:
        assert store.check(deep=True).problems == []


def test_an_open_store_can_be_emptied_when_its_disk_is_full(disk: Path) -> None:
    with opened(disk) as store:
        for name in LEVELS:
            store[name]["open"] = 1
        fill(disk)
        for name in LEVELS:
            store.delete(name)
            assert store.purge() >= 1
            fill(disk)
        assert [str(info.address) for info in store.addresses()] == ["other.default"]


@pytest.mark.parametrize("name", ["full", "normal"])
def test_an_address_is_recovered_on_a_full_disk(disk: Path, name: str) -> None:
    fill(disk)
    marker = disk / "store" / "addresses" / f"{name}.default" / "marker"
    os.truncate(marker, 0)  # as after a reboot
    with opened(disk) as store:
        assert len(store[name]) == 201
        assert store[name]["key007"] == "v" * 100


def test_more_readers_than_the_table_has_room_for_do_not_kill_the_process(disk: Path) -> None:
    fill(disk)

    def look() -> None:
        with opened(disk) as store:
            views = []
            try:
                for _ in range(400):
                    views.append(store["full"].view().__enter__())
                    assert views[-1]["key007"] == "v" * 100
            except StoreFullError:
                pass
            assert len(views) >= 100
            for view in views:
                view.__exit__(None, None, None)

    assert in_children([look]) == [0]


# -- no room for anything else ----------------------------------------------------------------------------------------


def test_too_few_descriptors_are_an_error_and_nothing_is_lost(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        for number in range(30):
            store[f"a{number}"]["key"] = number

    def starve() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        held = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
        with pronto_lmdb.open(root) as store:
            for number in range(30):
                try:
                    store[f"a{number}"]["key"] = number + 100
                except StoreFullError as error:
                    assert "files open" in str(error)  # noqa: PT017 - it need not be raised
        for descriptor in held:
            os.close(descriptor)
        with pronto_lmdb.open(root) as store:
            for number in range(30):
                assert store[f"a{number}"]["key"] in (number, number + 100)

    assert in_children([starve]) == [0]
    with pronto_lmdb.open(root) as store:
        assert store.check(deep=True).problems == []


def test_a_disk_that_is_mounted_read_only_is_read(disk: Path) -> None:
    os.sync()
    remount(disk, "ro")
    with opened(disk) as store:
        assert store["full"]["key007"] == "v" * 100
        assert len(list(store.addresses())) == 4
        for write in (lambda: store["full"].put("key", 1), lambda: store.delete("full"), lambda: store.create("new")):
            with pytest.raises(pronto_lmdb.ReadOnlyError):
                write()
    remount(disk, "rw")
    with opened(disk) as store:
        store["full"]["key"] = 1
