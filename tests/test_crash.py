"""A process may die between any two steps: the next one finds the operation done or not begun, and goes on."""

import itertools
import os
import shutil

import pytest
from crash import killed_at

import pronto_lmdb

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

BYSTANDER = {"kept": [1, 2, 3]}


def contents(store):
    return {str(info.address): dict(store[info.address].items()) for info in store.addresses()}


def pending(root):
    directory = root / "meta" / "pending"
    return list(directory.iterdir()) if directory.exists() else []


def crash_everywhere(root, prepare, work, before, after):
    """Kill ``work`` at each of its steps; each time the store then shows ``before`` or ``after``, and works."""
    seen = []
    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(root.parent / "elsewhere", ignore_errors=True)
        with pronto_lmdb.open(root) as store:
            store["by.stander"].update(BYSTANDER)
            prepare(store)

        def run():
            with pronto_lmdb.open(root) as store:
                work(store)

        died = killed_at(step, run)
        with pronto_lmdb.open(root) as store:
            found = contents(store)
            assert found.pop("by.stander") == BYSTANDER
            assert found in (before, after), step
            seen.append(found == after)
            for address in found:
                assert store.info(address).path.is_dir()
            store["new.comer"]["key"] = step
            assert store["new.comer"]["key"] == step
            assert pending(root) == []
            assert contents(store).keys() == found.keys() | {"by.stander", "new.comer"}
        if not died:
            assert found == after
            assert len(seen) > 2, "nothing was killed"
            return


def test_creation_by_the_first_write(root):
    def work(store):
        store["a"]["key"] = 1

    with_key, empty = {"a.default": {"key": 1}}, {"a.default": {}}
    seen = []
    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)
        died = killed_at(step, lambda: work_in(root, work))
        with pronto_lmdb.open(root) as store:
            found = contents(store)
            assert found in ({}, empty, with_key), step
            store["a"]["later"] = 2
            assert store["a"]["later"] == 2
            assert pending(root) == []
        seen.append(found)
        if not died:
            break
    assert seen[0] == {}
    assert seen[-1] == with_key


def work_in(root, work):
    with pronto_lmdb.open(root) as store:
        work(store)


def test_create(root):
    crash_everywhere(
        root,
        prepare=lambda store: None,
        work=lambda store: store.create("a", labels={"team": "x"}),
        before={},
        after={"a.default": {}},
    )


def test_create_at_another_place(root):
    place = root.parent / "elsewhere" / "deep" / "a"
    crash_everywhere(
        root,
        prepare=lambda store: None,
        work=lambda store: store.create("a", path=place),
        before={},
        after={"a.default": {}},
    )


def test_what_is_left_of_a_killed_create_is_in_nobodys_way(root):
    place = root.parent / "elsewhere" / "a"
    for step in itertools.count():
        for path in (root, place.parent):
            shutil.rmtree(path, ignore_errors=True)
        died = killed_at(step, lambda: work_in(root, lambda store: store.create("a", path=place)))
        with pronto_lmdb.open(root) as store:
            if not store.exists("a"):
                assert died
                store.create("a", path=place)
            assert store.info("a").path == place
        if not died:
            return


def fill(store):
    store["a"].update({"one": 1, "two": 2})


def fill_elsewhere(store):
    store.create("a", path=os.path.join(os.path.dirname(store.path), "elsewhere", "a"))
    fill(store)


FILLED = {"one": 1, "two": 2}


@pytest.mark.parametrize("prepare", [fill, fill_elsewhere])
def test_delete(root, prepare):
    crash_everywhere(
        root,
        prepare=prepare,
        work=lambda store: store.delete("a"),
        before={"a.default": FILLED},
        after={},
    )


@pytest.mark.parametrize("prepare", [fill, fill_elsewhere])
def test_a_killed_delete_loses_nothing(root, prepare):
    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(root.parent / "elsewhere", ignore_errors=True)
        with pronto_lmdb.open(root) as store:
            prepare(store)
        died = killed_at(step, lambda: work_in(root, lambda store: store.delete("a")))
        with pronto_lmdb.open(root) as store:
            if not store.exists("a"):
                store.undelete("a")
            assert dict(store["a"].items()) == FILLED
            store["a"]["three"] = 3
            assert len(store["a"]) == 3
        if not died:
            return


@pytest.mark.parametrize("prepare", [fill, fill_elsewhere])
def test_undelete_under_another_name(root, prepare):
    def deleted(store):
        prepare(store)
        store.delete("a")

    crash_everywhere(
        root,
        prepare=deleted,
        work=lambda store: store.undelete("a", to="b"),
        before={},
        after={"b.default": FILLED},
    )


@pytest.mark.parametrize("prepare", [fill, fill_elsewhere])
def test_rename(root, prepare):
    crash_everywhere(
        root,
        prepare=prepare,
        work=lambda store: store.rename("a", "b"),
        before={"a.default": FILLED},
        after={"b.default": FILLED},
    )


def test_purge(root):
    def deleted(store):
        fill(store)
        store.delete("a")
        fill(store)
        store.delete("a")

    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)
        with pronto_lmdb.open(root) as store:
            deleted(store)
        died = killed_at(step, lambda: work_in(root, lambda store: store.purge()))
        with pronto_lmdb.open(root) as store:
            store.purge()
            assert store.trash() == []
            assert list((root / "trash").iterdir()) == []
            assert list(store.addresses()) == []
        if not died:
            return


def test_rebuilding_a_lost_registry(root):
    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)
        with pronto_lmdb.open(root) as store:
            fill(store)
            store["b"]["key"] = 1
            store.delete("b")
        shutil.rmtree(root / "meta" / "registry")
        died = killed_at(step, lambda: work_in(root, lambda store: list(store.addresses())))
        with pronto_lmdb.open(root) as store:
            assert contents(store) == {"a.default": FILLED}
            assert [str(item.address) for item in store.trash()] == ["b.default"]
            assert pending(root) == []
        if not died:
            return


def test_a_store_works_at_once_after_a_writer_was_killed_inside_its_transaction(root):
    with pronto_lmdb.open(root) as store:
        fill(store)

    def work():
        with pronto_lmdb.open(root) as store, store["a"].transaction() as transaction:
            transaction["three"] = 3
            os.kill(os.getpid(), 9)

    pid = os.fork()
    if pid == 0:
        work()
    assert os.waitpid(pid, 0)[1] == 9
    with pronto_lmdb.open(root, timeout=1) as store:
        assert dict(store["a"].items()) == FILLED
        store["a"]["four"] = 4
        assert len(store["a"]) == 3


def test_the_reader_slot_of_a_killed_process_is_cleared_by_the_next_open(root):
    with pronto_lmdb.open(root) as store:
        fill(store)
    pid = os.fork()
    if pid == 0:
        with pronto_lmdb.open(root) as store, store["a"].view() as view:
            assert view["one"] == 1
            os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    with pronto_lmdb.open(root) as store:
        assert store["a"]["one"] == 1
        for _ in range(100):
            store["a"]["filler"] = "x" * 3_000
        assert store["a"].stats().bytes_used < 200_000
