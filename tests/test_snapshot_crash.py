"""A process may die at any step of a backup, restore, copy or pruning: nothing half is seen, all can be repeated."""

from __future__ import annotations

import itertools
import os
import shutil

import pytest
from crash import killed_at

import pronto_lmdb

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

BYSTANDER = {"kept": [1, 2, 3]}
OLD, NEW = {"k": "old", "gone": 1}, {"k": "new", "more": 2}


def contents(store):
    return {str(info.address): dict(store[info.address].items()) for info in store.addresses()}


def works(store):
    """Show that a store goes on as if nothing had been."""
    store["new.comer"]["key"] = 1
    assert store["new.comer"]["key"] == 1
    assert os.listdir(os.path.join(store.path, "meta", "pending")) == []
    report = store.check()
    assert report.ok, report.problems


def each_step(root, prepare, work):
    """Kill some work at each of its steps, on a store prepared anew; yield whether it died, and the store after it."""
    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(root.parent / "elsewhere", ignore_errors=True)
        with pronto_lmdb.open(root) as store:
            store["by.stander"].update(BYSTANDER)
            prepared = prepare(store)

        def run(prepared=prepared):
            with pronto_lmdb.open(root) as store:
                work(store, prepared)

        died = killed_at(step, run)
        with pronto_lmdb.open(root) as store:
            yield died, store, prepared
            assert dict(store["by.stander"].items()) == BYSTANDER
            works(store)
        if not died:
            assert step > 5, "nothing was killed"
            return


def fill(store):
    store["a"].update(OLD)
    first = store.backup()
    store["a"].update(NEW)
    del store["a"]["gone"]
    return first


def fill_elsewhere(store):
    store.create("a", path=os.path.join(os.path.dirname(store.path), "elsewhere", "a"))
    return fill(store)


def test_backup(root):
    def whole(store):
        return [item.id for item in store.snapshots() if store.verify(item, deep=True).ok]

    for died, store, first in each_step(root, fill, lambda store, _: store.backup()):
        found = [item.id for item in store.snapshots()]
        assert whole(store) == found
        assert found[0] == first.id
        assert died or len(found) == 2
        again = store.backup()
        assert whole(store) == [*found, again.id]
        assert len(os.listdir(os.path.join(store.path, "snapshots"))) == len(found) + 1


def test_archive(root, tmp_path):
    file = tmp_path / "a.tar.gz"
    for died, store, _ in each_step(root, fill, lambda store, _: store.backup(archive=file)):
        if file.exists():
            assert store.verify(file, deep=True).ok
        else:
            assert died
        store.backup(archive=file)
        assert store.verify(file, deep=True).ok
        file.unlink()


@pytest.mark.parametrize("prepare", [fill, fill_elsewhere])
def test_restore_over_an_address(root, prepare):
    seen = []
    for died, store, first in each_step(root, prepare, lambda store, first: store.restore(first, "a", overwrite=True)):
        found = contents(store)["a.default"]
        assert found in (OLD, NEW)
        seen.append(found == OLD)
        assert died or found == OLD
        assert [item for item in store.trash() if item.address.user == "a"] == store.trash()
        assert len(store.trash()) == (found == OLD)
        used = store["a"].revision
        store.restore(first, "a", overwrite=True)
        assert contents(store)["a.default"] == OLD
        assert store["a"].revision > used
        store.undelete("a", to="before")
        assert contents(store)["before.default"] == found
    assert set(seen) == {False, True}


def test_restore_of_a_deleted_address(root):
    def prepare(store):
        first = fill(store)
        store.delete("a")
        return first

    for died, store, first in each_step(root, prepare, lambda store, first: store.restore(first, "a")):
        found = contents(store).get("a.default")
        assert found in (None, OLD)
        assert died or found == OLD
        if found is None:
            store.restore(first, "a")
        assert contents(store)["a.default"] == OLD


def test_restore_of_several(root):
    def prepare(store):
        store["b"]["k"] = "old"
        first = fill(store)
        store["b"]["k"] = "new"
        return first

    for died, store, first in each_step(root, prepare, lambda store, first: store.restore(first, overwrite=True)):
        found = contents(store)
        assert found["a.default"] in (OLD, NEW)
        assert found["b.default"]["k"] in ("old", "new")
        assert died or (found["a.default"], found["b.default"]) == (OLD, {"k": "old"})
        store.restore(first, overwrite=True)
        assert contents(store)["b.default"] == {"k": "old"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_copy(root, overwrite):
    def prepare(store):
        store["a"].update(OLD)
        if overwrite:
            store["b"]["mine"] = 1

    before = {"mine": 1} if overwrite else None
    for died, store, _ in each_step(root, prepare, lambda store, _: store.copy("a", "b", overwrite=overwrite)):
        found = contents(store).get("b.default")
        assert found in (before, OLD)
        assert died or found == OLD
        store.copy("a", "b", overwrite=True)
        assert contents(store)["b.default"] == OLD
        assert contents(store)["a.default"] == OLD


def test_prune(root):
    def prepare(store):
        return [fill(store).id, store.backup().id, store.backup("a").id]

    for died, store, made in each_step(root, prepare, lambda store, _: store.prune(keep_last=1)):
        found = [item.id for item in store.snapshots()]
        assert found == [name for name in made if name in found]
        assert made[-1] in found
        assert died or found == made[-1:]
        assert all(store.verify(name, deep=True).ok for name in found)
        store.prune(keep_last=1)
        assert os.listdir(os.path.join(store.path, "snapshots")) == made[-1:]
