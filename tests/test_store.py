"""The store: creating, finding, placing and listing addresses; opening and closing."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import pronto_lmdb
from pronto_lmdb import (
    Address,
    AddressExistsError,
    AddressNotFoundError,
    InvalidAddressError,
    InvalidValueError,
    ProntoError,
    ReadOnlyError,
    StoreClosedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Clock

    from pronto_lmdb import Store

MIB = 1024 * 1024


def listed(store: Store, user: str | None = None) -> list[str]:
    return [str(info.address) for info in store.addresses(user)]


# -- create, exists, info ------------------------------------------------------------------------------------------


def test_nothing_is_created_before_the_first_write(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        assert store["a"].get("k") is None
        assert not root.exists()
        store["a"]["k"] = 1
        assert (root / "addresses" / "a.default" / "data.mdb").is_file()


def test_a_created_address_exists_and_is_empty(store: Store) -> None:
    store.create("alice.research")
    assert store.exists("alice.research")
    assert (len(store["alice.research"]), store["alice.research"].revision) == (0, 0)


def test_info_tells_what_was_asked_for(store: Store, root: Path, clock: Clock) -> None:
    created = store.create("alice.research", durability="off", max_bytes=MIB, labels={"team": "x", "né": ""})
    info = store.info("alice.research")
    assert info == created
    assert info.address == Address("alice", "research")
    assert info.path == root / "addresses" / "alice.research"
    assert info.created_at == datetime.fromtimestamp(clock.now() / 1_000_000, UTC)
    assert (info.durability, info.max_bytes, info.labels, info.origin) == ("off", MIB, {"team": "x", "né": ""}, {})
    assert len(info.id) == 32
    assert set(info.id) <= set("0123456789abcdef")


def test_a_written_address_has_the_defaults(store: Store) -> None:
    store["a"]["k"] = 1
    info = store.info("a")
    assert (info.durability, info.max_bytes, info.labels, info.origin) == ("full", None, {}, {})


def test_no_two_addresses_have_one_id(store: Store) -> None:
    first = store.create("a").id
    store.delete("a")
    assert len({first, store.create("a").id, store.create("b").id}) == 3


def test_an_absent_address_is_absent(store: Store) -> None:
    store["a"]["k"] = 1
    assert not store.exists("b")
    with pytest.raises(AddressNotFoundError, match=r"b\.default"):
        store.info("b")


def test_creating_twice_is_an_error(store: Store) -> None:
    store.create("a", labels={"first": "yes"})
    store["a"]["k"] = 1
    with pytest.raises(AddressExistsError, match=r"a\.default"):
        store.create("a")
    assert (store.info("a").labels, dict(store["a"])) == ({"first": "yes"}, {"k": 1})


def test_an_existing_address_is_accepted_as_it_is(store: Store) -> None:
    first = store.create("a", labels={"first": "yes"})
    assert store.create("a", labels={"second": "yes"}, max_bytes=MIB, exist_ok=True) == first
    assert store.info("a") == first


def test_one_of_many_threads_creates(store: Store) -> None:
    def create(_: int) -> bool:
        with suppress(AddressExistsError):
            store.create("a")
            return True
        return False

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(create, range(8))).count(True) == 1


@pytest.mark.parametrize("address", ["", "a.b.c", "a.", "../../etc", "a\0", None, 7, b"a", ("a", "b")], ids=repr)
def test_a_bad_address_is_refused_by_every_verb_and_creates_nothing(store: Store, root: Path, address: Any) -> None:
    for verb in (store.keystore, store.__getitem__, store.create, store.exists, store.info, store.delete):
        with pytest.raises(InvalidAddressError):
            verb(address)
    for pair in ((address, "b"), ("b", address)):
        with pytest.raises((InvalidAddressError, AddressNotFoundError)):
            store.rename(*pair)
    with pytest.raises(InvalidAddressError):
        store.undelete(address)
    assert not root.exists()


@pytest.mark.parametrize("quota", [0, -1, 1, 65_535, 1.5, "1000000", True, float("inf")], ids=repr)
def test_an_impossible_quota_is_refused(store: Store, root: Path, quota: Any) -> None:
    with pytest.raises(InvalidValueError, match="quota"):
        store.create("a", max_bytes=quota)
    assert not root.exists()


@pytest.mark.parametrize("labels", [{"a": 1}, {1: "a"}, {"a": None}, {b"a": "b"}, {"a": "\ud800"}], ids=repr)
def test_labels_are_text(store: Store, root: Path, labels: Any) -> None:
    with pytest.raises(InvalidValueError):
        store.create("a", labels=labels)
    assert not root.exists()


def test_labels_are_copied(store: Store) -> None:
    labels = {"a": "1"}
    info = store.create("a", labels=labels)
    labels["b"] = "2"
    info.labels["c"] = "3"
    assert store.info("a").labels == {"a": "1"}


# -- listing -------------------------------------------------------------------------------------------------------


def test_addresses_are_sorted_by_the_bytes_of_their_text(store: Store) -> None:
    texts = ["b", "B", "a.z", "a.b", "a", "a%2Eb", "aa", "é", "z", "\U0001f600", "\uffee.x", "ab.\u0101", "a-b", "~"]
    for text in texts:
        store.create(text, durability="off")
    wanted = sorted((str(Address.parse(text)) for text in texts), key=str.encode)
    assert listed(store) == wanted


def test_addresses_of_a_user_are_exactly_those(store: Store) -> None:
    for text in ("a", "a.b", "a.é", "aa.b", "a%2Eb.c", "A.b", "b.a", "default", "é.x"):
        store.create(text, durability="off")
    assert listed(store, "a") == ["a.b", "a.default", "a.é"]
    assert listed(store, "a.b") == ["a%2Eb.c"]
    assert listed(store, "default") == ["default.default"]
    assert listed(store, "e\u0301") == ["é.x"]
    assert listed(store, "nobody") == []
    with pytest.raises(InvalidAddressError):
        listed(store, "")


def test_listing_goes_on_over_many_pages(store: Store) -> None:
    texts = [f"user{number:04}.x" for number in range(600)]
    for text in texts:
        store.create(text, durability="off")
    assert listed(store) == texts


def test_a_listing_agrees_with_info(store: Store) -> None:
    store.create("a", labels={"x": "y"}, max_bytes=MIB)
    store["b"]["k"] = 1
    assert list(store.addresses()) == [store.info("a"), store.info("b")]


def test_addresses_may_come_and_go_during_a_listing(store: Store) -> None:
    for number in range(20):
        store.create(f"a{number:02}", durability="off")
    seen = []
    for info in store.addresses():
        seen.append(str(info.address))
        store.delete(info.address)
    assert seen == sorted(set(seen))
    assert listed(store) == sorted({f"a{number:02}.default" for number in range(20)} - set(seen))


def test_a_store_contains_the_addresses_that_exist(store: Store) -> None:
    store["alice.research"].put("k", 1)
    store.create("bob")
    assert list(store) == [Address("alice", "research"), Address("bob")]
    assert "alice.research" in store
    assert Address("bob") in store
    assert [name for name in ("alice", "carol", "a.b.c", "", 1, None) if name in store] == []


def test_an_absent_store_has_no_addresses(store: Store, root: Path) -> None:
    assert (listed(store), store.trash(), store.purge()) == ([], [], 0)
    assert not root.exists()


# -- another place -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["disk", "disk/deep/down", "with space/ü"])
def test_an_address_may_lie_elsewhere(
    store: Store, tmp_path: Path, place: str, in_another_process: Callable[..., Any]
) -> None:
    info = store.create("a", path=tmp_path / place)
    store["a"]["k"] = 1
    assert info.path == store.info("a").path == tmp_path / place
    assert (tmp_path / place / "data.mdb").is_file()
    assert listed(store) == ["a.default"]
    program = """
        import json, sys, pronto_lmdb
        with pronto_lmdb.open(sys.argv[1]) as store:
            print(json.dumps([store["a"]["k"], str(store.info("a").path)]))
        """
    assert in_another_process(program, store.path) == [1, str(tmp_path / place)]


def test_an_empty_directory_may_be_given(store: Store, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    store.create("a", path=str(tmp_path / "disk"))
    store["a"]["k"] = 1
    assert (tmp_path / "disk" / "data.mdb").is_file()


@pytest.mark.parametrize("taken", ["file", "full", "address", "link"])
def test_a_taken_place_is_refused_and_left_alone(store: Store, tmp_path: Path, taken: str) -> None:
    store.create("other", path=tmp_path / "address")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "full")
    with pytest.raises(AddressExistsError):
        store.create("a", path=tmp_path / taken)
    assert not store.exists("a")
    assert listed(store) == ["other.default"]
    assert (tmp_path / "full" / "mine").read_text() == (tmp_path / "file").read_text() == "mine"
    store.create("a")


def test_an_address_cannot_take_the_place_of_another(store: Store, root: Path) -> None:
    with suppress(ProntoError):
        store.create("a", path=root / "addresses" / "b.default")
    store["b"]["k"] = 1
    assert dict(store["b"]) == {"k": 1}


def test_a_place_that_is_no_text_hinders_nobody(store: Store, tmp_path: Path) -> None:
    with suppress(ProntoError):
        store.create("a", path=os.fsencode(tmp_path) + b"/\xff")
    store.create("b")
    assert "b.default" in listed(store)


def test_the_store_may_be_moved_as_a_whole(root: Path, tmp_path: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        store["gone"]["k"] = 2
        store.delete("gone")
        store.create("out", path=tmp_path / "out")
    root.rename(tmp_path / "moved")
    with pronto_lmdb.open(tmp_path / "moved") as store:
        assert {str(info.address): info.path for info in store.addresses()} == {
            "a.default": tmp_path / "moved" / "addresses" / "a.default",
            "out.default": tmp_path / "out",
        }
        assert store["a"]["k"] == 1
        store.undelete("gone")
        assert store["gone"]["k"] == 2


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_everything_below_the_root_is_private(root: Path, tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with pronto_lmdb.open(root) as store:
            store["a"]["k"] = 1
            store.create("b", path=root / "elsewhere" / "b")
            store.create("c", path=tmp_path / "outside")
            store.config["timeout"] = "3"
            store.delete("a")
    finally:
        os.umask(before)
    for top in (root, tmp_path / "outside"):
        for directory, _, files in os.walk(top):
            assert os.stat(directory).st_mode & 0o777 == 0o700, directory
            assert {oct(os.stat(os.path.join(directory, name)).st_mode & 0o777) for name in files} <= {"0o600"}


# -- opening and closing -------------------------------------------------------------------------------------------


def test_without_create_only_existing_addresses_are_written(root: Path) -> None:
    with pronto_lmdb.open(root, create=False) as store:
        with pytest.raises(AddressNotFoundError):
            store["a"]["k"] = 1
        assert not root.exists()
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
    with pronto_lmdb.open(root, create=False) as store:
        assert store["a"].increment("k") == 2
        with pytest.raises(AddressNotFoundError), store["b"].transaction() as transaction:
            transaction["k"] = 1
        assert listed(store) == ["a.default"]


VERBS: dict[str, Callable[[Store], object]] = {
    "create": lambda store: store.create("new"),
    "delete": lambda store: store.delete("a"),
    "undelete": lambda store: store.undelete("gone"),
    "rename": lambda store: store.rename("a", "b"),
    "purge": lambda store: store.purge(),
    "rebuild_registry": lambda store: store.rebuild_registry(),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_a_readonly_store_refuses_every_verb_that_changes_it(root: Path, verb: Callable[[Store], object]) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        store.create("gone")
        store.delete("gone")
    with pronto_lmdb.open(root, readonly=True) as store:
        with pytest.raises(ReadOnlyError):
            verb(store)
        assert (listed(store), store["a"]["k"], len(store.trash())) == (["a.default"], 1, 1)


@pytest.mark.parametrize(
    "verb",
    [
        *VERBS.values(),
        lambda store: store["a"],
        lambda store: store.keystore("a"),
        lambda store: store.exists("a"),
        lambda store: store.info("a"),
        lambda store: list(store.addresses()),
        lambda store: store.trash(),
        lambda store: store.__enter__(),
    ],
)
def test_a_closed_store_refuses_every_verb(store: Store, verb: Callable[[Store], object]) -> None:
    store["a"]["k"] = 1
    store.close()
    store.close()
    with pytest.raises(StoreClosedError):
        verb(store)


def test_a_listing_ends_with_its_store(store: Store) -> None:
    for name in "abc":
        store.create(name)
    started, fresh = store.addresses(), store.addresses()
    next(started)
    store.close()
    for listing in (started, fresh):
        with pytest.raises(StoreClosedError):
            list(listing)


def test_a_store_shows_where_it_is_and_whether_it_is_closed(store: Store) -> None:
    assert repr(store) == f"<Store {store.path}>"
    store.close()
    assert repr(store) == f"<Store {store.path} (closed)>"
