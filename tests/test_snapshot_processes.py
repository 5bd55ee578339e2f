"""Eight processes write while snapshots are taken: each of them is a prefix of each history."""

from __future__ import annotations

import os
import time
from functools import partial
from itertools import count

import pytest
from children import in_children

import pronto_lmdb
from pronto_lmdb.lookup import Lookup

pytestmark = [
    pytest.mark.disk,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]

WRITERS = 8
SNAPSHOTS = 6


def write(root, name, stop):
    """Write numbers from 1 on, a commit each: two keys of it always agree, and a third is there now and then."""
    with pronto_lmdb.open(root) as store:
        keystore, number = store[name], 0
        while not os.path.exists(stop):
            number += 1
            with keystore.transaction() as txn:
                txn["last"] = number
                txn[f"number{number % 50:02}"] = number
                if number % 7 == 0:
                    txn.pop(f"number{(number + 1) % 50:02}", None)
        keystore["end"] = number


def expected(number):
    """Return what an address holds after so many commits."""
    content = {}
    for each in range(1, number + 1):
        content["last"] = each
        content[f"number{each % 50:02}"] = each
        if each % 7 == 0:
            content.pop(f"number{(each + 1) % 50:02}", None)
    return content


def test_each_snapshot_is_a_prefix_of_each_history(root):
    stop = root.parent / "stop"
    names = [f"agent{number}.main" for number in range(WRITERS)]
    with pronto_lmdb.open(root) as store:
        for name in names:
            store.create(name)

    def take():
        try:
            with pronto_lmdb.open(root) as store:
                for number in range(SNAPSHOTS):
                    seen = store["agent0.main"].get("last", 0)
                    store.backup(workers=1 + number % 3)
                    while store["agent0.main"].get("last", 0) == seen:
                        time.sleep(0.001)
        finally:
            stop.touch()

    writers = [partial(write, root, name, stop) for name in names]
    assert in_children([*writers, take]) == [0] * (WRITERS + 1)
    with pronto_lmdb.open(root) as store:
        made = store.snapshots()
        assert len(made) == SNAPSHOTS
        reached = dict.fromkeys(names, -1)
        for snapshot in made:
            assert store.verify(snapshot, deep=True).ok
            for item in store.contents(snapshot):
                name = str(item.address)
                store.restore(snapshot, name, to="past", overwrite=True)
                found = dict(store["past"].items())
                number = found.get("last", 0)
                # A commit is a revision: what was restored is exactly the history up to there.
                assert number == item.revision
                assert found == expected(number)
                assert number >= reached[name]
                reached[name] = number
        assert max(reached.values()) > 0
        assert store.check().ok


def count_up(root, number, stop):
    """Write numbers to an address until told to stop, and leave the last one."""
    with pronto_lmdb.open(root) as store:
        for at in count():
            store["a"][f"w{number}-{at:06}"] = at
            if stop.exists():
                store["log"][f"w{number}"] = at
                return


def restore_often(root, snapshot, stop):
    """Restore an address again and again while it is written to."""
    try:
        with pronto_lmdb.open(root) as store:
            for _ in range(4):
                revision = store["a"].revision
                store.restore(snapshot, "a", overwrite=True)
                assert store["a"].revision > revision
                while store["a"].revision < revision + 20:
                    time.sleep(0.001)
    finally:
        stop.touch()


def all_contents(store):
    """Return what the address holds, and what each of its predecessors in the trash does."""
    found = [dict(store["a"].items())]
    while store.trash():
        store.undelete("a", to=f"old.n{len(found)}")
        found.append(dict(store[f"old.n{len(found)}"].items()))
    return found


def test_a_restore_beside_writers_loses_nothing(root):
    """What was acknowledged before a restore is in the trash, what came after it is in its successor."""
    stop = root.parent / "stop"
    with pronto_lmdb.open(root) as store:
        store["a"]["base"] = "snapshot"
        snapshot = store.backup()
    works = [partial(count_up, root, number, stop) for number in range(3)]
    assert in_children([*works, partial(restore_often, root, snapshot, stop)]) == [0] * 4
    with pronto_lmdb.open(root) as store:
        found = all_contents(store)
        assert len(found) == 5
        assert [content.pop("base") for content in found] == ["snapshot"] * 5
        held = {(key, value) for content in found for key, value in content.items()}
        for name, last in store["log"].items():
            assert {(f"{name}-{at:06}", at) for at in range(last + 1)} <= held
        assert store.check(deep=True).ok


def read_on(root, stop, ready):
    """Read an address that is always there, whatever is done to it."""
    with pronto_lmdb.open(root) as store:
        for number in count():
            assert store["a"].get("k") in ("old", "new")
            with pronto_lmdb.open(root, readonly=True) as other:
                assert other["a"]["k"] in ("old", "new")
            if number == 1:
                ready.touch()
            if stop.exists():
                return


def test_readers_see_what_was_or_what_is_restored_and_never_nothing(root):
    stop, ready = root.parent / "stop", root.parent / "ready"
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = "old"
        snapshot = store.backup()

    def restore():
        try:
            with pronto_lmdb.open(root) as store:
                while not ready.exists():
                    time.sleep(0.001)
                for _ in range(15):
                    store["a"]["k"] = "new"
                    store.restore(snapshot, "a", overwrite=True)
                    assert store["a"]["k"] == "old"
        finally:
            stop.touch()

    assert in_children([partial(read_on, root, stop, ready), restore]) == [0, 0]


# -- the order of flushes and names ------------------------------------------------------------------------------------

# The view is never flushed, nor what is only locked; nor does it say anything after a power loss.
UNFLUSHED = {"data.mdb", "lock.mdb", "lock", "marker"}


class Recorder:
    """Notes what is flushed, and what has not been when it gets its name."""

    def __init__(self, patch):
        self.flushed, self.unnamed, self.early, self.renames = set(), {}, [], 0
        time.sleep(0.02)  # longer than the grain of file times
        self._began = time.time_ns()
        time.sleep(0.02)
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, self._flushing(getattr(os, name)))
        patch.setattr("pronto_lmdb.genesis.flush_data", os.fdatasync)
        for name in ("rename", "replace"):
            patch.setattr(os, name, self._renaming(getattr(os, name)))

    def _flushing(self, flush):
        def flushing(descriptor):
            flush(descriptor)
            self.flushed.add(self._identity(descriptor))
            self.unnamed.pop(self._identity(descriptor), None)

        return flushing

    def _renaming(self, rename):
        def renaming(source, target, **where):
            # What goes to the trash, or away, was there before.
            if not where and "/trash/" not in target and ".gone-" not in target:
                self.renames += 1
                self.early += [path for path in self._parts(source) if not self._is_flushed(path)]
            rename(source, target, **where)
            if not where:
                parent = os.path.dirname(target)
                self.unnamed[self._identity(parent)] = parent

        return renaming

    def _parts(self, path):
        yield path
        if os.path.isdir(path):
            yield from (os.path.join(path, name) for name in os.listdir(path) if name not in UNFLUSHED)

    def _is_flushed(self, path):
        """Tell whether a file was flushed, or is older than the work."""
        return self._identity(path) in self.flushed or os.stat(path).st_mtime_ns < self._began

    @staticmethod
    def _identity(path):
        found = os.stat(path)
        return found.st_dev, found.st_ino


@pytest.mark.parametrize("verb", ["backup", "restore", "copy", "prune", "archive"])
def test_nothing_has_its_name_before_it_is_on_the_disk(store, tmp_path, verb):
    store["a"]["k"] = 1
    first = store.backup()
    store["a"]["k"] = 2
    store.backup()
    work = {
        "backup": store.backup,
        "restore": lambda: store.restore(first, overwrite=True),
        "copy": lambda: store.copy("a", "b"),
        "prune": lambda: store.prune(keep_last=1),
        "archive": lambda: store.backup(archive=tmp_path / "a.tar.gz"),
    }[verb]
    store["a"]["k"] = 3
    with pytest.MonkeyPatch.context() as patch:
        recorder = Recorder(patch)
        work()
    assert recorder.early == []
    assert recorder.renames > 0 or verb == "prune"
    assert [path for path in recorder.unnamed.values() if os.path.exists(path)] == []


def test_an_address_that_is_replaced_again_and_again_is_looked_for_until_it_is_there(root, monkeypatch):
    """Each look falls into the gap of another replacement, and between them nobody replaces anything."""
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        gaps = iter([None, None])
        monkeypatch.setattr(Lookup, "_found", lambda *found, original=Lookup._found: next(gaps, original(*found)))
        assert store["a"]["k"] == 1
