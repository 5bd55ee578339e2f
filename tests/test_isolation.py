"""Isolation: nothing of one address lies in the files of another, and what is not written to is not touched."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import lmdb
import pytest
from test_address import DISTINCT

import pronto_lmdb
from pronto_lmdb import Address, ProntoError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Clock

    from pronto_lmdb import Keystore, Store

# No text of one of them occurs in what another one writes.
OWNERS = ["alice.research", "bob.main", "carol.notes", "alice.other"]
MARKS = {owner: owner.replace(".", "-").upper() for owner in OWNERS}


def live_a_full_life(keystore: Keystore, mark: str, clock: Clock) -> None:
    """Leave traces of every kind: records, overwritten and deleted ones, expiries, defaults, dropped transactions."""
    keystore.update({f"{mark}.{number:03}": f"{mark} {number}" * 20 for number in range(300)})
    keystore[f"{mark}.large"] = mark * 20_000
    keystore[f"{mark}.large"] = {mark: [mark.encode()]}
    keystore.put(f"{mark}.short", mark, ttl=1)
    keystore.put(f"{mark}.long", mark, ttl=3600)
    keystore.namespace_ttl(f"{mark}.ns", 60)
    keystore.delete_many([f"{mark}.{number:03}" for number in range(0, 300, 2)])
    with suppress(ZeroDivisionError), keystore.transaction() as transaction:
        transaction[f"{mark}.dropped"] = f"{mark} dropped" * 1000
        raise ZeroDivisionError
    clock.advance(2)
    keystore.sweep()


@pytest.fixture
def lives(root: Path, clock: Clock) -> Path:
    """A closed store in which several addresses wrote side by side."""
    with pronto_lmdb.open(root) as store:
        for owner in OWNERS:
            store.create(owner, labels={"mark": MARKS[owner]})
        for _ in range(2):
            for owner in OWNERS:
                live_a_full_life(store[owner], MARKS[owner], clock)
    return root


def files_below(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize("owner", OWNERS)
def test_the_files_of_an_address_contain_nothing_of_another(lives: Path, owner: str) -> None:
    content = b"".join(path.read_bytes() for path in files_below(lives / "addresses" / owner))
    assert MARKS[owner].encode() in content
    assert owner.encode() in content
    for other in OWNERS:
        if other != owner:
            assert MARKS[other].encode() not in content
            assert other.encode() not in content


@pytest.mark.parametrize("owner", OWNERS)
def test_plain_lmdb_finds_only_entries_of_the_address(lives: Path, owner: str) -> None:
    with lmdb.open(str(lives / "addresses" / owner), readonly=True) as environment, environment.begin() as transaction:
        entries = list(transaction.cursor())
    assert len(entries) > 150
    for key, value in entries:
        if key not in (b"\0identity", b"\0state"):
            assert MARKS[owner].encode() in key
        assert not any(mark.encode() in key + value for other, mark in MARKS.items() if other != owner)


def test_an_address_has_a_directory_of_its_own_and_all_its_files_are_there(lives: Path) -> None:
    assert sorted(path.name for path in (lives / "addresses").iterdir()) == sorted(OWNERS)
    for owner in OWNERS:
        names = {path.name for path in files_below(lives / "addresses" / owner)}
        (journal,) = (name for name in names if name.startswith("journal-"))
        assert names == {"data.mdb", "lock.mdb", "lock", "marker", journal}


def test_keys_and_values_are_in_no_other_file_of_the_store(lives: Path) -> None:
    for path in files_below(lives):
        if "addresses" not in path.parts:
            content = path.read_bytes()
            for mark in MARKS.values():
                assert f"{mark}.".encode() not in content
                assert f"{mark} ".encode() not in content


def test_no_file_is_shared_between_addresses(lives: Path) -> None:
    files = [os.stat(path) for path in files_below(lives)]
    assert len({(file.st_dev, file.st_ino) for file in files}) == len(files)
    assert {file.st_nlink for file in files} == {1}


def test_odd_names_each_have_their_own_data_inside_the_store(root: Path) -> None:
    addresses = DISTINCT[::3]
    with pronto_lmdb.open(root, durability="off") as store:
        for number, address in enumerate(addresses):
            store[address]["k"] = number
        assert [store[address]["k"] for address in addresses] == list(range(len(addresses)))
        assert {info.address for info in store.addresses()} == set(addresses)
        homes = [info.path for info in store.addresses()]
    assert len({str(home).casefold() for home in homes}) == len(addresses)
    assert {home.resolve().parent for home in homes} == {root / "addresses"}
    assert sorted(path.name for path in root.iterdir()) == ["addresses", "meta", "trash"]


def test_one_address_does_not_block_another(store: Store) -> None:
    store["a"]["k"] = store["b"]["k"] = 1
    with store["a"].transaction() as transaction, store["a"].view(), ThreadPoolExecutor(1) as thread:
        transaction["k"] = 2
        assert thread.submit(store["b"].increment, "k").result(timeout=30) == 2
        assert thread.submit(store.create, "c").result(timeout=30).address == Address("c")
        thread.submit(store.delete, "b").result(timeout=30)
    assert store["a"]["k"] == 2


# -- what is not written to is not touched -------------------------------------------------------------------------


def tree(directory: Path) -> dict[str, object]:
    """Return everything below a directory: content of files, time of the last change of directories.

    The table of readers is left out: LMDB notes in it who is reading. So is the time of the marker: its seal is broken
    and put back by whoever makes sure that everything is on the disk.
    """
    found: dict[str, object] = {}
    for parent, _, files in os.walk(directory):
        found[parent] = os.stat(parent).st_mtime_ns
        for name in files:
            path = os.path.join(parent, name)
            if name != "lock.mdb":
                with open(path, "rb") as file:
                    changed = 0 if name == "marker" else os.stat(path).st_mtime_ns
                    found[path] = (changed, sha256(file.read()).digest())
    return found


def nothing(*arguments: Any) -> None:
    """A function for modify that must not be called in vain."""
    raise ZeroDivisionError


READING: dict[str, Callable[[Keystore], object]] = {
    "get": lambda keystore: keystore.get("k"),
    "[]": lambda keystore: keystore["k"],
    "in": lambda keystore: "k" in keystore,
    "len": len,
    "bool": bool,
    "iter": list,
    "reversed": lambda keystore: list(reversed(keystore)),
    "items": lambda keystore: list(keystore.items()),
    "values": lambda keystore: list(keystore.values()),
    "get_many": lambda keystore: keystore.get_many(["k", "l"]),
    "scan": lambda keystore: list(keystore.scan("k", reverse=True)),
    "scan_keys": lambda keystore: list(keystore.scan_keys(start="k")),
    "entry": lambda keystore: keystore.entry("k"),
    "ttl": lambda keystore: keystore.ttl("k"),
    "revision": lambda keystore: keystore.revision,
    "stats": lambda keystore: keystore.stats(),
    "namespace_ttls": lambda keystore: keystore.namespace_ttls(),
    "sync": lambda keystore: keystore.sync(),
    "view": lambda keystore: keystore.view().__enter__().__exit__(None, None, None),
    "transaction": lambda keystore: keystore.transaction().__enter__().__exit__(None, None, None),
}
REMOVING: dict[str, Callable[[Keystore], object]] = {
    "del": lambda keystore: keystore.__delitem__("k"),
    "delete_many": lambda keystore: keystore.delete_many(["k", "l"]),
    "pop": lambda keystore: keystore.pop("k"),
    "pop with default": lambda keystore: keystore.pop("k", None),
    "sweep": lambda keystore: keystore.sweep(),
    "expire": lambda keystore: keystore.expire("k", 5),
    "persist": lambda keystore: keystore.persist("k"),
    "replace": lambda keystore: keystore.replace("k", 1, expected=2),
    "replace revision": lambda keystore: keystore.replace("k", 1, revision=2),
    "namespace_ttl None": lambda keystore: keystore.namespace_ttl("p.n", None),
    "update with nothing": lambda keystore: keystore.update({}),
}
EMPTYING: dict[str, Callable[[Keystore], object]] = {
    "popitem": lambda keystore: keystore.popitem(),
    "clear": lambda keystore: keystore.clear(),
}
REFUSED: dict[str, Callable[[Keystore], object]] = {
    "a bad key": lambda keystore: keystore.put("", 1),
    "a bad value": lambda keystore: keystore.put("k", {1}),
    "a bad value among many": lambda keystore: keystore.update({"a": 1, "k": {1}}),
    "a bad key among many": lambda keystore: keystore.update({"a": 1, "": 1}),
    "a bad ttl": lambda keystore: keystore.put("k", 1, ttl=0),
    "a bad default": lambda keystore: keystore.namespace_ttl("p.n", -1),
    "a bad namespace": lambda keystore: keystore.namespace_ttl("n", 60),
    "no condition": lambda keystore: keystore.replace("k", 1),
    "an increment beyond 64 bits": lambda keystore: keystore.increment("k", 2**64),
    "an increment by text": lambda keystore: keystore.increment("k", "1"),  # type: ignore[arg-type]
    "a function that fails": lambda keystore: keystore.modify("k", nothing),
    "a function with a bad result": lambda keystore: keystore.modify("k", lambda _: {1}),
}
STORE_VERBS: dict[str, Callable[[Store], object]] = {
    "exists": lambda store: store.exists("absent"),
    "info": lambda store: store.info("absent"),
    "addresses": lambda store: list(store.addresses()),
    "trash": lambda store: store.trash(),
    "delete": lambda store: store.delete("absent"),
    "undelete": lambda store: store.undelete("absent"),
    "rename": lambda store: store.rename("absent", "other"),
    "purge": lambda store: store.purge(),
    "config": lambda store: dict(store.config),
    "config del": lambda store: store.config.pop("timeout", None),
    "config with a bad value": lambda store: store.config.__setitem__("timeout", "soon"),
    "create with a bad quota": lambda store: store.create("absent", max_bytes=1),
    "create with a bad level": lambda store: store.create("absent", durability="fast"),
    "create with a bad label": lambda store: store.create("absent", labels={"a": 1}),  # type: ignore[dict-item]
}
ON_ABSENT = {**READING, **REMOVING, **EMPTYING, **REFUSED}


@pytest.mark.parametrize("use", ON_ABSENT.values(), ids=ON_ABSENT)
def test_an_absent_store_stays_absent(store: Store, root: Path, use: Callable[[Keystore], object]) -> None:
    with suppress(ProntoError, ZeroDivisionError):
        use(store["absent"])
    assert not root.exists()


@pytest.mark.parametrize("use", STORE_VERBS.values(), ids=STORE_VERBS)
def test_an_absent_store_stays_absent_under_its_own_verbs(
    store: Store, root: Path, use: Callable[[Store], object]
) -> None:
    with suppress(ProntoError):
        use(store)
    assert not root.exists()


@pytest.fixture
def before(store: Store, root: Path) -> dict[str, object]:
    """The tree of a store with one address, which is open."""
    store["present"].update({"a": 1, "b": 2})
    return tree(root)


@pytest.mark.parametrize("use", ON_ABSENT.values(), ids=ON_ABSENT)
def test_an_absent_address_stays_absent(
    store: Store, root: Path, before: dict[str, object], use: Callable[[Keystore], object]
) -> None:
    with suppress(ProntoError, ZeroDivisionError):
        use(store["absent"])
    assert tree(root) == before


@pytest.mark.parametrize("use", STORE_VERBS.values(), ids=STORE_VERBS)
def test_a_store_is_left_as_it_is_by_verbs_that_find_nothing(
    store: Store, root: Path, before: dict[str, object], use: Callable[[Store], object]
) -> None:
    with suppress(ProntoError):
        use(store)
    assert tree(root) == before


WITHOUT_EFFECT = {**READING, **REMOVING, **REFUSED}


@pytest.mark.parametrize("use", WITHOUT_EFFECT.values(), ids=WITHOUT_EFFECT)
def test_an_absent_key_leaves_its_address_as_it_is(
    store: Store, root: Path, before: dict[str, object], use: Callable[[Keystore], object]
) -> None:
    with suppress(ProntoError, ZeroDivisionError):
        use(store["present"])
    assert tree(root) == before


@pytest.mark.parametrize("use", READING.values(), ids=READING)
def test_reading_a_closed_store_in_readonly_mode_leaves_it_as_it_is(
    root: Path, use: Callable[[Keystore], object]
) -> None:
    with pronto_lmdb.open(root) as store:
        store["present"].update({"a": 1, "b": 2})
    before = tree(root)
    with pronto_lmdb.open(root, readonly=True) as store, suppress(ProntoError):
        use(store["present"])
    assert tree(root) == before
