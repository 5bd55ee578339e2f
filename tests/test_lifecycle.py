"""Delete, undelete, rename, purge; and handles, which are bound to names, whoever moved what lay behind them."""

from __future__ import annotations

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import pronto_lmdb
from pronto_lmdb import AddressExistsError, AddressNotFoundError, InvalidValueError, LockTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Clock

    from pronto_lmdb import Store

    Act = Callable[..., None]


def listed(store: Store) -> list[str]:
    return [str(info.address) for info in store.addresses()]


@pytest.fixture(params=["same store", "another store", "another process"])
def act(
    request: pytest.FixtureRequest, root: Path, store: Store, in_another_process: Callable[..., Any]
) -> Iterator[Act]:
    """A function that calls a verb of the store: here, through a second store, or in another process."""
    if request.param == "another process":
        program = """
            import sys, pronto_lmdb
            with pronto_lmdb.open(sys.argv[1]) as store:
                getattr(store, sys.argv[2])(*sys.argv[3:])
            """
        yield lambda verb, *arguments: in_another_process(program, root, verb, *arguments)
    elif request.param == "another store":
        with pronto_lmdb.open(root) as other:
            yield lambda verb, *arguments: getattr(other, verb)(*arguments)
    else:
        yield lambda verb, *arguments: getattr(store, verb)(*arguments)


# -- handles are bound to names ------------------------------------------------------------------------------------


def test_after_a_deletion_a_handle_reads_as_empty(store: Store, act: Act) -> None:
    keystore = store["a"]
    keystore.update({"k": 1, "l": 2})
    assert keystore["k"] == 1
    act("delete", "a")
    assert (keystore.get("k"), "k" in keystore, len(keystore), dict(keystore)) == (None, False, 0, {})
    assert (keystore.delete_many(["k"]), keystore.sweep(), keystore.expire("k", 5)) == (0, 0, False)
    assert not store.exists("a")


def test_after_a_deletion_the_next_write_creates_the_address_anew(store: Store, act: Act) -> None:
    keystore = store["a"]
    keystore.update({"k": 1, "l": 2})
    keystore.namespace_ttl("p.n", 60)
    before = store.info("a")
    act("delete", "a")
    keystore["new"] = 3
    assert (dict(keystore), keystore.namespace_ttls()) == ({"new": 3}, {})
    assert store.info("a").id != before.id
    assert store.info("a").path == before.path


def test_after_a_renaming_the_old_handle_is_empty_and_the_new_name_has_the_data(store: Store, act: Act) -> None:
    old, new = store["a"], store["b"]
    old["k"] = 1
    assert new.get("k") is None
    act("rename", "a", "b")
    assert (dict(old), dict(new), listed(store)) == ({}, {"k": 1}, ["b.default"])


def test_after_a_renaming_the_two_names_are_independent(store: Store, act: Act) -> None:
    old, new = store["a"], store["b"]
    old["k"] = 1
    act("rename", "a", "b")
    old["mine"] = 2
    new["k"] += 10
    assert (dict(old), dict(new), listed(store)) == ({"mine": 2}, {"k": 11}, ["a.default", "b.default"])


def test_an_undelete_brings_the_data_back_to_the_handle(store: Store, act: Act) -> None:
    keystore = store["a"]
    keystore["k"] = 1
    act("delete", "a")
    assert dict(keystore) == {}
    act("undelete", "a")
    assert keystore.increment("k") == 2
    assert listed(store) == ["a.default"]


def test_a_handle_follows_its_name_to_another_keystore(store: Store, act: Act) -> None:
    keystore = store["a"]
    keystore["k"] = "first"
    store["b"]["k"] = "second"
    act("delete", "a")
    act("rename", "b", "a")
    assert dict(keystore) == {"k": "second"}
    keystore["l"] = 1
    assert dict(store["b"]) == {}


def test_names_may_be_exchanged(store: Store, act: Act) -> None:
    one, other = store["a"], store["b"]
    one["k"], other["k"] = "one", "other"
    for old, new in (("a", "c"), ("b", "a"), ("c", "b")):
        act("rename", old, new)
    assert (one["k"], other["k"]) == ("other", "one")
    one["l"] = 1
    assert (dict(one), dict(other)) == ({"k": "other", "l": 1}, {"k": "one"})


def test_a_handle_sees_what_was_deleted_and_written_anew_elsewhere(root: Path, store: Store) -> None:
    keystore = store["a"]
    keystore["k"] = 1
    with pronto_lmdb.open(root) as other:
        other.delete("a")
        other["a"]["k"] = 2
        assert keystore["k"] == 2
        keystore["k"] = 3
        assert other["a"]["k"] == 3


def test_a_purge_does_not_disturb_a_handle(store: Store, act: Act) -> None:
    keystore = store["a"]
    keystore["k"] = 1
    act("delete", "a")
    keystore["k"] = 2
    act("purge")
    assert dict(keystore) == {"k": 2}


def test_revisions_of_a_name_go_on_after_a_deletion(store: Store, act: Act) -> None:
    keystore = store["a"]
    for number in range(5):
        keystore["k"] = number
    act("delete", "a")
    keystore["k"] = 5
    assert keystore.entry("k").revision > 5


def test_revisions_of_a_name_go_on_after_a_renaming(store: Store, act: Act) -> None:
    for number in range(5):
        store["a"]["k"] = number
    store["b"]["k"] = 0
    act("delete", "b")
    act("rename", "a", "b")
    store["a"]["k"] = 5
    store["b"]["k"] = 5
    assert store["a"].entry("k").revision > 5
    assert store["b"].entry("k").revision > 5


@pytest.mark.parametrize("way", ["rename", "undelete"])
def test_an_address_that_takes_over_a_name_takes_over_its_revisions(store: Store, act: Act, way: str) -> None:
    for number in range(5):
        store["b"]["k"] = number
    act("delete", "b")
    store["a"]["k"] = 5
    if way == "undelete":
        act("delete", "a")
    act(way, "a", "b")
    store["b"]["k"] = 6
    assert store["b"].entry("k").revision > 5


# -- delete and undelete -------------------------------------------------------------------------------------------


def test_a_deletion_moves_everything_to_the_trash(store: Store, root: Path, clock: Clock) -> None:
    store.create("a", labels={"x": "y"})
    store["a"]["k"] = 1
    trash_id = store.delete("a")
    assert not (root / "addresses" / "a.default").exists()
    (item,) = store.trash()
    assert (item.trash_id, str(item.address)) == (trash_id, "a.default")
    assert item.deleted_at.timestamp() == pytest.approx(clock.now() / 1_000_000)
    assert item.path == root / "trash" / trash_id
    assert (item.path / "data.mdb").is_file()


def test_an_undelete_restores_everything(store: Store, clock: Clock) -> None:
    before = store.create("a", labels={"x": "y"}, max_bytes=1_000_000, durability="off")
    store["a"].update({"k": 1, "l": [2]})
    store["a"].put("lease", 1, ttl=60)
    store["a"].namespace_ttl("p.n", 30)
    store.delete("a")
    assert store.undelete("a") == store.info("a") == before
    assert dict(store["a"]) == {"k": 1, "l": [2], "lease": 1}
    assert (store["a"].ttl("lease"), store["a"].namespace_ttls()) == (60, {"p.n": 30})
    assert store.trash() == []


def test_an_undelete_may_take_another_name(store: Store) -> None:
    store["a"]["k"] = 1
    store.delete("a")
    store["a"]["k"] = 2
    info = store.undelete("a", to="b.x")
    assert (str(info.address), dict(store["b.x"]), dict(store["a"])) == ("b.x", {"k": 1}, {"k": 2})


def test_an_undelete_brings_back_the_newest(store: Store, clock: Clock) -> None:
    for number in range(3):
        store["a"]["k"] = number
        store.delete("a")
        clock.advance(1)
    assert [store.undelete("a", to=f"b{number}") and store[f"b{number}"]["k"] for number in range(3)] == [2, 1, 0]


def test_the_newest_deletion_is_the_last_one_even_when_the_clock_was_set_back(store: Store, clock: Clock) -> None:
    for number in range(3):
        store["a"]["k"] = number
        store.delete("a")
        clock.advance(-60)
    store.undelete("a")
    assert store["a"]["k"] == 2


def test_an_undelete_over_a_taken_name_changes_nothing(store: Store) -> None:
    store["a"]["k"] = 1
    store.delete("a")
    store["a"]["k"] = 2
    store["b"]["k"] = 3
    for arguments in (("a",), ("a", "b"), ("a", "a")):
        with pytest.raises(AddressExistsError):
            store.undelete(*arguments)
    assert (dict(store["a"]), dict(store["b"]), len(store.trash())) == ({"k": 2}, {"k": 3}, 1)


@pytest.mark.parametrize("verb", ["delete", "undelete", "info"])
def test_an_absent_address_is_not_found(store: Store, verb: str) -> None:
    store["other"]["k"] = 1
    with pytest.raises(AddressNotFoundError, match=r"a\.default"):
        getattr(store, verb)("a")
    assert (listed(store), store.trash()) == (["other.default"], [])


def test_a_purged_address_is_gone(store: Store) -> None:
    store["a"]["k"] = 1
    store.delete("a")
    assert store.purge() == 1
    with pytest.raises(AddressNotFoundError):
        store.undelete("a")


# -- rename --------------------------------------------------------------------------------------------------------


def test_a_renaming_keeps_everything_but_the_name(store: Store, root: Path) -> None:
    before = store.create("a", labels={"x": "y"}, max_bytes=1_000_000)
    store["a"].update({"k": 1, "l": 2})
    revision = store["a"].entry("k").revision
    store.rename("a", "b.Ü")
    after = store.info("b.Ü")
    assert after == before._replace(address=after.address, path=after.path)
    assert after.path == root / "addresses" / after.address.directory
    assert (dict(store["b.Ü"]), store["b.Ü"].entry("k").revision) == ({"k": 1, "l": 2}, revision)


def test_a_renaming_to_a_taken_name_changes_nothing(store: Store) -> None:
    store["a"]["k"], store["b"]["k"] = 1, 2
    with pytest.raises(AddressExistsError, match=r"b\.default"):
        store.rename("a", "b")
    assert (dict(store["a"]), dict(store["b"])) == ({"k": 1}, {"k": 2})


def test_a_renaming_to_its_own_name_changes_nothing(store: Store) -> None:
    store["a"]["k"] = 1
    revision = store["a"].revision
    store.rename("a", "a.default")
    assert (dict(store["a"]), store["a"].revision) == ({"k": 1}, revision)


def test_a_renaming_of_what_is_absent_is_not_found(store: Store) -> None:
    store["b"]["k"] = 1
    with pytest.raises(AddressNotFoundError, match=r"a\.default"):
        store.rename("a", "c")
    assert listed(store) == ["b.default"]


# -- purge ---------------------------------------------------------------------------------------------------------


def test_a_purge_may_spare_what_was_deleted_lately(store: Store, clock: Clock) -> None:
    for name in ("a", "b", "c"):
        store.create(name)
        store.delete(name)
        clock.advance(100)
    assert store.purge(older_than=1000) == 0
    assert store.purge(older_than=150) == 2
    assert [str(item.address) for item in store.trash()] == ["c.default"]
    assert store.purge(older_than=0) == 1


def test_a_purge_leaves_no_files(store: Store, root: Path) -> None:
    store["a"]["k"] = 1
    store.delete("a")
    store["b"]["k"] = 1
    assert (store.purge(), os.listdir(root / "trash"), listed(store)) == (1, [], ["b.default"])


def test_a_purge_removes_all_even_when_the_clock_was_set_back(store: Store, clock: Clock) -> None:
    store.create("a")
    store.delete("a")
    clock.advance(-60)
    assert store.purge() == 1


@pytest.mark.parametrize("age", [-1, float("nan"), "1", True], ids=repr)
def test_an_impossible_age_is_refused(store: Store, age: Any) -> None:
    store.create("a")
    store.delete("a")
    with pytest.raises(InvalidValueError):
        store.purge(older_than=age)
    assert len(store.trash()) == 1


# -- addresses in another place ------------------------------------------------------------------------------------


def test_an_address_elsewhere_is_deleted_where_it_is(store: Store, tmp_path: Path, act: Act) -> None:
    store.create("a", path=tmp_path / "disk" / "a")
    store["a"]["k"] = 1
    act("delete", "a")
    assert (dict(store["a"]), listed(store)) == ({}, [])
    (item,) = store.trash()
    assert item.path.parent == tmp_path / "disk"
    assert os.listdir(tmp_path / "disk") == [item.path.name]


def test_an_address_elsewhere_comes_back_there(store: Store, tmp_path: Path, act: Act) -> None:
    store.create("a", path=tmp_path / "disk" / "a")
    store["a"]["k"] = 1
    act("delete", "a")
    act("undelete", "a")
    assert (store.info("a").path, dict(store["a"])) == (tmp_path / "disk" / "a", {"k": 1})


def test_an_address_elsewhere_keeps_its_place_under_a_new_name(store: Store, tmp_path: Path, act: Act) -> None:
    store.create("a", path=tmp_path / "disk" / "a")
    store["a"]["k"] = 1
    act("rename", "a", "b")
    assert (store.info("b").path, dict(store["b"]), dict(store["a"])) == (tmp_path / "disk" / "a", {"k": 1}, {})
    store["a"]["k"] = 2
    assert store.info("a").path != store.info("b").path


def test_an_address_elsewhere_is_purged(store: Store, tmp_path: Path, act: Act) -> None:
    store.create("a", path=tmp_path / "disk" / "a")
    act("delete", "a")
    act("purge")
    assert os.listdir(tmp_path / "disk") == []


def test_a_name_deleted_elsewhere_is_created_at_home(store: Store, root: Path, tmp_path: Path) -> None:
    store.create("a", path=tmp_path / "disk" / "a")
    store.delete("a")
    store["a"]["k"] = 1
    assert store.info("a").path == root / "addresses" / "a.default"


def test_an_undelete_into_a_taken_place_changes_nothing_and_hinders_nobody(store: Store, tmp_path: Path) -> None:
    store.create("a", path=tmp_path / "disk")
    store["a"]["k"] = 1
    store.delete("a")
    store.create("b", path=tmp_path / "disk")
    with pytest.raises(AddressExistsError):
        store.undelete("a")
    store["c"]["k"] = 1
    assert listed(store) == ["b.default", "c.default"]
    store.delete("b")
    store.undelete("a")
    assert dict(store["a"]) == {"k": 1}


# -- somebody in the way -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["delete", "rename"])
def test_a_busy_address_is_left_as_it_is(root: Path, verb: str, in_another_process: Callable[..., Any]) -> None:
    program = """
        import sys, pronto_lmdb
        with pronto_lmdb.open(sys.argv[1], timeout=0.05) as store:
            try:
                getattr(store, sys.argv[2])(*sys.argv[3:])
            except pronto_lmdb.LockTimeoutError:
                print("true")
        """
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        with store["a"].transaction() as transaction:
            transaction["l"] = 2
            assert in_another_process(program, root, verb, *["a", "b"][: 1 + (verb == "rename")]) is True
        assert dict(store["a"]) == {"k": 1, "l": 2}
        store.create("c")  # a later operation does not catch up on the one that gave up
        assert (dict(store["a"]), listed(store)) == ({"k": 1, "l": 2}, ["a.default", "c.default"])


def test_an_operation_waits_for_another_no_longer_than_the_timeout(root: Path) -> None:
    with pronto_lmdb.open(root, timeout=0.05) as store, ThreadPoolExecutor(1) as thread:
        store["a"]["k"] = 1
        with (root / "meta" / "lifecycle.lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for operation in (lambda: store.create("b"), lambda: store["b"].put("k", 1), lambda: store.delete("a")):
                with pytest.raises(LockTimeoutError):
                    thread.submit(operation).result()
            assert store["a"].increment("k") == 2
        assert listed(store) == ["a.default"]
