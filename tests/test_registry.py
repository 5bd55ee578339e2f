"""The registry: a catalog that is made anew from the keystores whenever it is lost or damaged."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import lmdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pronto_lmdb
from pronto_lmdb import Address, FormatVersionError
from pronto_lmdb.registry import address_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pronto_lmdb import AddressInfo, DeletedAddress, Store


class Population:
    """A store with addresses of every kind, closed, and what was known about them."""

    def __init__(self, root: Path, elsewhere: Path) -> None:
        self.root = root
        with pronto_lmdb.open(root) as store:
            store.create("a", labels={"x": "y"}, max_bytes=1_000_000, durability="off")
            store["é.ü"]["k"] = 1
            store.create("out", path=elsewhere / "out")
            store["out"]["k"] = 2
            store["old"]["k"] = 3
            store.rename("old", "new")
            for name in ("gone", "gone", "a.twice"):
                store[name]["k"] = 4
                store.delete(name)
            store["a.twice"]["k"] = 5
            self.addresses: list[AddressInfo] = list(store.addresses())
            self.trash: list[DeletedAddress] = store.trash()

    def is_known_to(self, store: Store) -> bool:
        return list(store.addresses()) == self.addresses and store.trash() == self.trash


@pytest.fixture
def population(root: Path, tmp_path: Path) -> Population:
    return Population(root, tmp_path / "elsewhere")


def remove(registry: Path) -> None:
    shutil.rmtree(registry)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "removed": remove,
    "without its data": lambda registry: (registry / "data.mdb").unlink(),
    "an empty directory": lambda registry: (remove(registry), registry.mkdir()),
    "an empty file": lambda registry: (registry / "data.mdb").write_bytes(b""),
    "garbage": lambda registry: (registry / "data.mdb").write_bytes(b"garbage" * 1000),
    "zeros": lambda registry: (registry / "data.mdb").write_bytes(b"\0" * 32768),
    "half a page": lambda registry: os.truncate(registry / "data.mdb", 2000),
    "a keystore": lambda registry: shutil.copy(
        registry.parents[1] / "addresses" / "a.default" / "data.mdb", registry / "data.mdb"
    ),
    "a foreign environment": lambda registry: (remove(registry), lmdb.open(str(registry)).close()),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_lost_or_damaged_registry_is_made_anew(population: Population, damage: Callable[[Path], object]) -> None:
    damage(population.root / "meta" / "registry")
    with pronto_lmdb.open(population.root) as store:
        assert population.is_known_to(store)
        assert store["out"]["k"] == 2


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_an_operation_on_a_lost_or_damaged_registry_makes_it_anew_first(
    population: Population, damage: Callable[[Path], object]
) -> None:
    damage(population.root / "meta" / "registry")
    with pronto_lmdb.open(population.root) as store:
        store.delete("é.ü")
        store.undelete("gone")
        store.create("fresh")
        known = {str(info.address) for info in population.addresses}
        assert {str(info.address) for info in store.addresses()} == known - {"é.ü"} | {"gone.default", "fresh.default"}


@pytest.mark.parametrize("size", [8192, 12288])
def test_a_truncated_registry_is_made_anew(
    population: Population, size: int, in_another_process: Callable[..., object]
) -> None:
    os.truncate(population.root / "meta" / "registry" / "data.mdb", size)
    # In a process of its own, because what LMDB reads beyond the end of a file kills the reader.
    program = """
        import json, sys, pronto_lmdb
        with pronto_lmdb.open(sys.argv[1]) as store:
            print(json.dumps([str(info.address) for info in store.addresses()]))
        """
    assert in_another_process(program, population.root) == [str(info.address) for info in population.addresses]


def test_a_registry_lost_while_the_store_is_open_is_made_anew(population: Population) -> None:
    with pronto_lmdb.open(population.root) as store:
        assert population.is_known_to(store)
        remove(population.root / "meta" / "registry")
        assert population.is_known_to(store)
        store.create("fresh")
        assert store.exists("fresh")


def test_everything_in_meta_but_the_places_can_be_lost(population: Population) -> None:
    for name in ("registry", "pending"):
        remove(population.root / "meta" / name)
    (population.root / "meta" / "lifecycle.lock").unlink()
    with pronto_lmdb.open(population.root) as store:
        assert population.is_known_to(store)


def test_an_address_elsewhere_that_was_deleted_is_found_again(root: Path, tmp_path: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store.create("out", path=tmp_path / "out")
        store["out"]["k"] = 1
        store.delete("out")
    remove(root / "meta" / "registry")
    with pronto_lmdb.open(root) as store:
        store.undelete("out")
        assert store["out"]["k"] == 1


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_existing_addresses_are_read_and_written_whatever_became_of_the_registry(
    population: Population, damage: Callable[[Path], object]
) -> None:
    damage(population.root / "meta" / "registry")
    with pronto_lmdb.open(population.root) as store:
        assert (store["é.ü"]["k"], store["out"]["k"], store.info("a").labels) == (1, 2, {"x": "y"})
        assert (store["é.ü"].increment("k"), store["out"].increment("k")) == (2, 3)
        store["é.ü"].update({"k": 5, "l": 6})
        assert dict(store["é.ü"]) == {"k": 5, "l": 6}


def test_revisions_go_on_although_the_registry_was_lost(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        for number in range(5):
            store["a"]["k"] = number
        store.delete("a")
    remove(root / "meta" / "registry")
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 5
        assert store["a"].entry("k").revision > 5


def unreadable(root: Path) -> None:
    (root / "addresses" / "bad.default" / "data.mdb").write_bytes(b"garbage")


def newer(root: Path) -> None:
    set_entry(root / "addresses" / "bad.default", b"\0state", lambda stored: b"\x02" + stored[1:])


def set_entry(path: Path, key: bytes, change: Callable[[bytes], bytes]) -> None:
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        transaction.put(key, change(bytes(transaction.get(key, b""))))


@pytest.mark.parametrize("damage", [unreadable, newer])
def test_a_keystore_that_cannot_be_read_does_not_hide_the_others(root: Path, damage: Callable[[Path], None]) -> None:
    with pronto_lmdb.open(root) as store:
        for name in ("a", "bad", "c"):
            store[name]["k"] = 1
    damage(root)
    remove(root / "meta" / "registry")
    with pronto_lmdb.open(root) as store:
        assert {str(info.address) for info in store.addresses()} >= {"a.default", "c.default"}
    assert (root / "addresses" / "bad.default" / "data.mdb").exists()


def test_a_damaged_entry_does_not_hide_the_others(population: Population) -> None:
    set_entry(population.root / "meta" / "registry", b"a.default", lambda _: b"\xc1")
    with pronto_lmdb.open(population.root) as store:
        assert population.is_known_to(store)


def test_a_registry_of_a_newer_version_is_refused_and_left_alone(population: Population) -> None:
    registry = population.root / "meta" / "registry"
    set_entry(registry, b"\0identity", lambda stored: stored.replace(b"format\x01", b"format\x02"))
    content = (registry / "data.mdb").read_bytes()
    with pronto_lmdb.open(population.root) as store:
        for use in (store.addresses, lambda: store.create("fresh"), lambda: store.delete("a")):
            with pytest.raises(FormatVersionError):
                use()
        assert dict(store["é.ü"]) == {"k": 1}
    assert (registry / "data.mdb").read_bytes() == content


# -- on request ----------------------------------------------------------------------------------------------------


def test_rebuilding_counts_the_addresses_and_changes_nothing_that_is_true(population: Population) -> None:
    with pronto_lmdb.open(population.root) as store:
        store.config["timeout"] = "3"
        assert store.rebuild_registry() == len(population.addresses)
        assert population.is_known_to(store)
        assert dict(store.config) == {"timeout": "3"}


def test_rebuilding_finds_what_came_and_forgets_what_went(population: Population, tmp_path: Path) -> None:
    homes = population.root / "addresses"
    (homes / "a.default").rename(tmp_path / "a.default")
    with pronto_lmdb.open(population.root) as store:
        store.rebuild_registry()
        assert "a.default" not in {str(info.address) for info in store.addresses()}
        (tmp_path / "a.default").rename(homes / "a.default")
        store.rebuild_registry()
        assert population.is_known_to(store)


def test_a_copy_under_a_wrong_name_does_not_take_the_place_of_the_original(population: Population) -> None:
    homes = population.root / "addresses"
    for number in range(10):
        shutil.copytree(homes / "a.default", homes / f"{number}.default")
    with pronto_lmdb.open(population.root) as store:
        store.rebuild_registry()
        assert population.is_known_to(store)


def test_a_directory_of_the_trash_that_somebody_renamed_hinders_nobody(population: Population) -> None:
    (population.trash[0].path).rename(population.root / "trash" / "renamed")
    with pronto_lmdb.open(population.root) as store:
        store.rebuild_registry()
        store.delete("a")
        store.undelete("a")
        assert population.addresses == list(store.addresses())


# -- keys ----------------------------------------------------------------------------------------------------------

texts = st.one_of(st.text("aé\u0080\u07ff\u0800\uffff\U00010000\U0010ffff.~", max_size=4), st.text(max_size=30))


@given(texts, texts)
def test_keys_sort_like_utf8(one: str, other: str) -> None:
    assert (address_key(one) < address_key(other)) == (one.encode() < other.encode())
    assert (address_key(one) == address_key(other)) == (one == other)


def longest() -> Iterator[Address]:
    for character in ("\U0001f600", "é", "/", "a"):
        yield Address(character * 64, character * 64)


@pytest.mark.parametrize("address", list(longest()), ids=lambda address: address.user[0])
def test_the_longest_addresses_fit(store: Store, address: Address) -> None:
    assert len(b"\0floor:" + address_key(str(address))) <= 511
    store.create(address, durability="off")
    store.delete(address)
    store[address]["k"] = 1
    assert [info.address for info in store.addresses()] == [address]
