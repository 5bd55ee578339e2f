"""Snapshots: taken hot, verified, listed, restored, removed."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from datetime import UTC, datetime
from time import monotonic, sleep, time_ns

import pytest

import pronto_lmdb
from pronto_lmdb import (
    Address,
    AddressExistsError,
    AddressNotFoundError,
    InvalidValueError,
    LockTimeoutError,
    ReadOnlyError,
    SnapshotError,
    StoreClosedError,
    StoreFullError,
    fingerprint,
    steps,
    taking,
)
from pronto_lmdb.files import DirectoryLock
from pronto_lmdb.pool import pool
from pronto_lmdb.snapshots import read_manifest

CONTENT = {"plan": {"step": 1}, "notes": [1, 2, None, 1.5, b"\0\xff"], "at": datetime(2026, 1, 2, tzinfo=UTC)}


def contents(store):
    return {str(info.address): dict(store[info.address].items()) for info in store.addresses()}


@pytest.fixture
def filled(store):
    store["alice.research"].update(CONTENT)
    store["bob"]["k"] = "v"
    return store


# -- backup ----------------------------------------------------------------------------------------------------------


def test_a_snapshot_tells_what_it_holds(filled, root):
    snapshot = filled.backup(label="before")
    assert snapshot.label == "before"
    assert snapshot.addresses == (Address("alice", "research"), Address("bob"))
    assert (snapshot.records, snapshot.path) == (4, root / "snapshots" / snapshot.id)
    assert filled.snapshots() == [snapshot]
    assert filled.snapshot(snapshot.id) == snapshot
    alice, bob = filled.contents(snapshot.id)
    assert (alice.address, alice.revision, alice.records) == (Address("alice", "research"), 1, 3)
    assert bob.id == filled.info("bob").id


def test_a_snapshot_is_a_manifest_and_a_file_for_each_address(filled):
    names = os.listdir(filled.backup().path)
    assert sorted(names) == ["alice.research.journal", "bob.default.journal", "manifest.json"]


def test_an_address_that_would_be_called_like_the_manifest_has_a_file_of_its_own(store):
    store["manifest.json"]["k"] = 1
    snapshot = store.backup()
    assert store.verify(snapshot.id).ok
    store.restore(snapshot.id, to="other")
    assert store["other"]["k"] == 1


def test_a_long_address_fits(store):
    address = Address("ü" * 64, "x" * 64)
    store[address]["k"] = 1
    snapshot = store.backup()
    store.restore(snapshot.id, address, to="short")
    assert store["short"]["k"] == 1


def test_a_snapshot_of_some_addresses_holds_only_those(filled):
    assert filled.backup(["bob"]).addresses == (Address("bob"),)
    assert filled.backup("bob").addresses == (Address("bob"),)


def test_a_snapshot_of_an_absent_address_is_an_error_and_leaves_nothing(filled, root):
    with pytest.raises(AddressNotFoundError):
        filled.backup(["bob", "carol"])
    assert os.listdir(root / "snapshots") == []


def test_a_snapshot_of_nothing_is_an_error(store):
    with pytest.raises(SnapshotError):
        store.backup()
    with pytest.raises(SnapshotError):
        store.backup([])


def test_what_is_written_afterwards_is_not_in_it(filled):
    snapshot = filled.backup()
    filled["bob"]["k"] = "later"
    filled.restore(snapshot.id, "bob", to="old")
    assert filled["old"]["k"] == "v"


def test_ids_sort_by_time_even_if_the_clock_stands_still_or_goes_back(filled, clock):
    made = [filled.backup().id, filled.backup().id]
    clock.advance(-3600)
    made.append(filled.backup().id)
    assert made == sorted(made)
    assert len(set(made)) == 3
    assert [item.id for item in filled.snapshots()] == made


def test_an_unchanged_address_shares_its_file_with_the_snapshot_before(filled):
    first = filled.backup()
    filled["bob"]["k"] = 2
    second = filled.backup()
    files = [{name: os.stat(item.path / name).st_ino for name in os.listdir(item.path)} for item in (first, second)]
    same = {name for name in files[0] if files[0][name] == files[1][name]}
    assert same == {"alice.research.journal"}
    assert filled.verify(second.id, deep=True).ok


def test_an_unchanged_address_is_not_opened(filled, root):
    filled.backup()
    with pronto_lmdb.open(root) as other:
        filled.close()
        assert [item.path for item in pool.environments() if item.is_keystore] == []
        other.backup()
        assert [item.path for item in pool.environments() if item.is_keystore] == []


@pytest.fixture
def later(monkeypatch):
    """Let it be some seconds later, so that what was written is at rest."""
    monkeypatch.setattr("pronto_lmdb.fingerprint.time_ns", lambda: time_ns() + 10_000_000_000)


def test_an_address_at_rest_is_not_even_read(filled, later, monkeypatch):
    filled.backup()
    filled["bob"]["k"] = 2
    read = []
    real = fingerprint.fingerprint
    monkeypatch.setattr(
        "pronto_lmdb.taking.fingerprint", lambda path: read.append(os.path.basename(path)) or real(path)
    )
    assert filled.verify(filled.backup(), deep=True).ok
    assert set(read) == {"bob.default"}


def test_what_was_not_at_rest_is_looked_into_and_at_rest_the_next_time(filled, monkeypatch):
    first = filled.backup()
    monkeypatch.setattr("pronto_lmdb.fingerprint.time_ns", lambda: time_ns() + 10_000_000_000)
    second = filled.backup()
    third = filled.backup()
    views = [[entry.view for entry in read_manifest(str(item.path)).entries()] for item in (first, second, third)]
    assert all(view.startswith("0" * 16) for view in views[0])
    assert [view[16:] for view in views[0]] == [view[16:] for view in views[1]]
    assert views[1] == views[2]
    assert not any(view.startswith("0" * 16) for view in views[1])
    name = "bob.default.journal"
    assert len({os.stat(item.path / name).st_ino for item in (first, second, third)}) == 1
    assert filled.verify(third, deep=True).ok


@pytest.mark.parametrize("at_rest", [False, True])
@pytest.mark.parametrize("change", ["put", "delete", "rename", "replace", "level"])
def test_every_change_of_an_address_is_seen(filled, request, change, at_rest):
    if at_rest:
        request.getfixturevalue("later")
    filled.backup()
    sleep(0.02)  # longer than a tick of the clock
    before = filled.contents(filled.snapshots()[-1])[1]
    if change == "put":
        filled["bob"]["k"] = "v"
    elif change == "delete":
        del filled["bob"]["k"]
    elif change == "rename":
        filled.rename("bob", "bert")
    elif change == "replace":
        filled.delete("bob")
        filled["bob"]["k"] = "v"
    else:
        filled.set_durability("bob", "normal")
    after = filled.contents(filled.backup())[1]
    assert after != before
    assert filled.verify(filled.snapshots()[-1], deep=True).ok


def test_a_change_right_after_the_view_was_made_anew_is_seen(filled, root):
    """Its marker gone, a view is made anew: the old one says nothing any more about what there is."""
    filled.backup()
    filled.close()
    (root / "addresses" / "bob.default" / "marker").unlink()
    with pronto_lmdb.open(root) as store:
        again = store.backup()
        assert store.verify(again).ok
        store["bob"]["k"] = "new"
        last = store.backup()
        store.restore(last, "bob", to="copy")
        assert store["copy"]["k"] == "new"


def test_the_same_content_in_a_view_made_anew_costs_a_link(filled, root):
    first = filled.backup()
    filled.close()
    (root / "addresses" / "bob.default" / "marker").unlink()
    with pronto_lmdb.open(root) as store:
        second = store.backup()
    assert os.path.samefile(first.path / "bob.default.journal", second.path / "bob.default.journal")


def test_a_revision_that_was_used_before_a_power_cut_does_not_pass_for_what_it_was(store, root):
    store["bob"]["k"] = "saved"
    shutil.copytree(root / "addresses" / "bob.default", root.parent / "disk")
    store["bob"]["k"] = "visible, but not flushed"
    revision, _ = store["bob"].revision, store.backup()
    store.close()
    shutil.rmtree(root / "addresses" / "bob.default")
    shutil.move(root.parent / "disk", root / "addresses" / "bob.default")
    with pronto_lmdb.open(root) as store:
        store["bob"]["k"] = "new"
        assert store["bob"].revision == revision
        store.restore(store.backup(), "bob", to="copy")
        assert store["copy"]["k"] == "new"


def test_where_nothing_can_be_linked_it_is_copied(filled, monkeypatch):
    filled.backup()

    def refuse(*_, **__):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    second = filled.backup()
    assert filled.verify(second, deep=True).ok
    assert os.stat(second.path / "bob.default.journal").st_nlink == 1


@pytest.mark.parametrize("at_rest", [False, True])
def test_a_file_of_the_snapshot_before_that_was_cut_is_not_taken_over(filled, request, at_rest):
    if at_rest:
        request.getfixturevalue("later")
    first = filled.backup()
    os.truncate(first.path / "bob.default.journal", 100)
    second = filled.backup()
    assert not filled.verify(first).ok
    assert filled.verify(second, deep=True).ok


def test_a_damaged_snapshot_before_is_no_obstacle(filled):
    first = filled.backup()
    (first.path / "manifest.json").write_bytes(b"{}")
    assert filled.verify(filled.backup(), deep=True).ok


def test_files_are_shared_with_the_newest_snapshot_that_can_be_read(filled):
    first, second = filled.backup(), filled.backup()
    (second.path / "manifest.json").unlink()
    third = filled.backup()
    assert os.path.samefile(first.path / "bob.default.journal", third.path / "bob.default.journal")


def shared(one, other, name):
    return os.path.samefile(one.path / f"{name}.journal", other.path / f"{name}.journal")


@pytest.mark.parametrize("at_rest", [False, True])
def test_files_are_shared_with_the_newest_snapshot_that_holds_the_address(filled, request, at_rest):
    if at_rest:
        request.getfixturevalue("later")
    everything = filled.backup()
    filled["alice.research"]["more"] = 1
    some = filled.backup("alice.research")
    again = filled.backup("alice.research")
    last = filled.backup()
    assert shared(everything, last, "bob.default")
    assert shared(some, again, "alice.research")
    assert shared(some, last, "alice.research")
    assert not shared(everything, last, "alice.research")
    assert filled.verify(last, deep=True).ok


def test_one_address_shares_its_file_with_a_snapshot_of_many(store):
    for number in range(20):
        store[f"agent{number}"]["k"] = number
    everything = store.backup()
    assert shared(everything, store.backup("agent7"), "agent7.default")
    store["agent7"]["k"] = "new"
    assert not shared(everything, store.backup("agent7"), "agent7.default")


def test_a_file_that_a_snapshot_does_not_list_is_not_shared(store):
    for number in range(20):
        store[f"agent{number}"]["k"] = number
    everything = store.backup()
    some = store.backup([f"agent{number}" for number in range(20) if number != 7])
    stray = some.path / "agent7.default.journal"
    stray.write_bytes(bytes((everything.path / "agent7.default.journal").stat().st_size))
    last = store.backup("agent7")
    assert shared(everything, last, "agent7.default")
    assert store.verify(last, deep=True).ok


def test_how_many_snapshots_are_looked_through_is_limited(filled, monkeypatch):
    everything = filled.backup()
    filled.backup("alice.research")
    monkeypatch.setattr("pronto_lmdb.earlier._MOST", 1)
    last = filled.backup()
    assert not shared(everything, last, "bob.default")
    assert filled.verify(last, deep=True).ok


def test_ttls_and_the_ttls_of_namespaces_come_along(store, clock):
    store["a"].namespace_ttl("web.sessions", 60)
    store["a"].put("lease", 1, ttl=100)
    store["a"].put("gone", 1, ttl=1)
    clock.advance(2)
    snapshot = store.backup()
    store.restore(snapshot.id, to="b")
    assert store["b"].ttl("lease") == 98
    assert "gone" not in store["b"]
    store["b"]["web.sessions.one"] = 1
    assert store["b"].ttl("web.sessions.one") == 60
    clock.advance(1000)
    assert dict(store["b"].items()) == {}
    assert store["b"].sweep() == 3


@pytest.mark.parametrize("level", ["full", "normal", "off"])
def test_level_quota_and_labels_come_along(store, level):
    store.create("a", durability=level, max_bytes=1_000_000, labels={"team": "x"})
    store["a"]["k"] = 1
    store.restore(store.backup().id, to="b")
    info = store.info("b")
    assert (info.durability, info.max_bytes, info.labels) == (level, 1_000_000, {"team": "x"})
    assert info.origin["address"] == "a.default"
    assert store["b"]["k"] == 1
    assert store.check(deep=True).ok


def test_a_large_address_comes_along(store):
    content = {f"key{number:05}": {"text": "x" * 300, "number": number} for number in range(25_000)}
    store["a"].update(content)
    snapshot = store.backup()
    assert store.verify(snapshot, deep=True).ok
    store.restore(snapshot, to="b")
    assert dict(store["b"].items()) == content


def test_progress_is_told(filled, later, monkeypatch):
    told = []
    filled.backup(progress=lambda done, of: told.append((done, of)))
    assert told == [(2, 2)]
    filled.backup(progress=lambda done, of: told.append((done, of)))
    assert told == [(2, 2)] * 2
    monkeypatch.setattr("pronto_lmdb.taking._TOLD_EACH", 1)
    filled["bob"]["k"] = 2
    filled.backup(progress=lambda done, of: told.append((done, of)))
    assert told[2:] == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    "arguments", [{"label": 1}, {"label": "x" * 2000}, {"workers": 0}, {"dest": "a", "archive": "b"}]
)
def test_what_cannot_be_meant_is_refused(filled, arguments):
    with pytest.raises(InvalidValueError):
        filled.backup(**arguments)


def test_one_backup_waits_for_another(filled, root):
    (root / "snapshots").mkdir()
    lock = DirectoryLock(str(root / "snapshots"))
    lock.acquire(0)
    try:
        with pronto_lmdb.open(root, timeout=0.05) as other, pytest.raises(LockTimeoutError):
            other.backup()
    finally:
        lock.close()
    assert filled.backup().id


def test_backups_of_several_threads_come_one_after_the_other(filled):
    threads = [threading.Thread(target=filled.backup) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = filled.snapshots()
    assert len(found) == 4
    assert all(filled.verify(item).ok for item in found)


def test_leftovers_of_a_killed_backup_are_no_snapshots_and_go(filled, root):
    (root / "snapshots" / ".new-20260101-000000-000000-0000").mkdir(parents=True)
    assert filled.snapshots() == []
    filled.backup()
    assert len(os.listdir(root / "snapshots")) == 1


def test_readonly_takes_snapshots_elsewhere_only(filled, root, tmp_path):
    with pronto_lmdb.open(root, readonly=True) as reader:
        with pytest.raises(ReadOnlyError):
            reader.backup()
        snapshot = reader.backup(dest=tmp_path / "elsewhere")
        assert reader.verify(snapshot).ok


def test_after_the_end_nothing_goes(filled):
    filled.close()
    for verb in (filled.backup, filled.snapshots, lambda: filled.verify("x"), lambda: filled.restore("x")):
        with pytest.raises(StoreClosedError):
            verb()


# -- elsewhere -------------------------------------------------------------------------------------------------------


def test_a_snapshot_elsewhere_is_found_by_its_id_and_by_its_path(filled, tmp_path):
    snapshot = filled.backup(dest=tmp_path / "usb")
    assert snapshot.path == tmp_path / "usb" / snapshot.id
    assert filled.verify(snapshot.id).ok
    assert filled.verify(str(snapshot.path)).ok
    assert filled.verify(snapshot.path).ok
    assert filled.snapshots(tmp_path / "usb") == [snapshot]
    assert filled.snapshots() == []


def test_elsewhere_may_be_where_the_others_are(filled, root):
    first = filled.backup()
    second = filled.backup(dest=root / "snapshots")
    assert filled.snapshots() == [first, second]
    assert shared(first, second, "bob.default")
    assert sorted(os.listdir(root / "snapshots")) == [first.id, second.id]


def test_another_store_restores_it(filled, tmp_path):
    snapshot = filled.backup(dest=tmp_path / "usb")
    with pronto_lmdb.open(tmp_path / "other") as other:
        other.restore(snapshot.path)
        assert contents(other) == contents(filled)
        with pytest.raises(SnapshotError):
            other.restore(snapshot.id)


@pytest.mark.parametrize("place", ["dest", "archive"])
def test_as_many_threads_read_as_were_asked_for(filled, tmp_path, monkeypatch, place):
    executor, asked = taking.ThreadPoolExecutor, []
    monkeypatch.setattr(taking, "ThreadPoolExecutor", lambda count: asked.append(count) or executor(count))
    filled.backup(**{place: tmp_path / "away.tar.gz"}, workers=3)
    assert asked[0] == 3  # the others flush


def test_an_archive_carries_everything(filled, tmp_path):
    file = tmp_path / "carry" / "away.tar.gz"
    snapshot = filled.backup(archive=file)
    assert snapshot.path == file
    assert os.listdir(file.parent) == ["away.tar.gz"]
    with pronto_lmdb.open(tmp_path / "other") as other:
        assert other.verify(file, deep=True).ok
        assert [item.records for item in other.contents(file)] == [3, 1]
        other.restore(file, "bob")
        assert contents(other) == {"bob.default": {"k": "v"}}
        other.restore(str(file), overwrite=True)
        assert contents(other) == contents(filled)


def test_an_archive_for_which_there_is_no_room_leaves_the_one_that_was_there(filled, tmp_path, monkeypatch):
    file = tmp_path / "carry" / "away.tar.gz"
    filled.backup(archive=file)
    before = file.read_bytes()

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pronto_lmdb.archive._pack_file", refuse)
    with pytest.raises(StoreFullError):
        filled.backup(archive=file)
    assert os.listdir(file.parent) == ["away.tar.gz"]
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["nope", "20260101-000000-000000-0000", "../../etc", "/", "a\0b", "", "manifest.json"])
def test_an_unknown_or_hostile_id_is_an_error(filled, name):
    filled.backup()
    for verb in (filled.verify, filled.restore, filled.contents):
        with pytest.raises(SnapshotError):
            verb(name)


# -- restore ---------------------------------------------------------------------------------------------------------


def test_restore_brings_back_everything_and_moves_what_was_there_to_the_trash(filled):
    before = contents(filled)
    snapshot = filled.backup()
    filled["bob"]["k"] = "damaged"
    filled["alice.research"].clear()
    infos = filled.restore(snapshot.id, overwrite=True)
    assert [str(info.address) for info in infos] == ["alice.research", "bob.default"]
    assert contents(filled) == before
    assert len(filled.trash()) == 2
    filled.undelete("bob", to="bad")
    assert filled["bad"]["k"] == "damaged"
    assert filled.check(deep=True).ok


def test_restore_over_an_existing_address_changes_nothing_without_overwrite(filled):
    snapshot = filled.backup()
    filled.delete("alice.research")
    filled["bob"]["k"] = "new"
    with pytest.raises(AddressExistsError):
        filled.restore(snapshot.id)
    assert contents(filled) == {"bob.default": {"k": "new"}}


def test_restore_of_a_deleted_address_needs_no_overwrite(filled):
    snapshot = filled.backup()
    filled.delete("bob")
    filled.restore(snapshot.id, ["bob"])
    assert filled["bob"]["k"] == "v"


def test_restore_of_what_the_snapshot_does_not_hold_is_an_error(filled):
    snapshot = filled.backup(["bob"])
    with pytest.raises(AddressNotFoundError):
        filled.restore(snapshot.id, ["alice.research"])


def test_a_new_name_is_for_one_address(filled):
    snapshot = filled.backup()
    with pytest.raises(InvalidValueError):
        filled.restore(snapshot.id, to="new")
    assert "new" not in contents(filled)
    filled.restore(snapshot.id, ["bob"], to="new")
    assert filled["new"]["k"] == "v"


def test_revisions_go_on_above_everything_that_was_used(filled):
    snapshot = filled.backup()
    for number in range(10):
        filled["bob"]["k"] = number
    used = filled["bob"].revision
    filled.restore(snapshot.id, "bob", overwrite=True)
    assert filled["bob"].revision > used
    filled["bob"]["k"] = 1
    assert filled["bob"].entry("k").revision > used


def test_revisions_of_a_deleted_name_stay_used_up(filled):
    snapshot = filled.backup()
    for number in range(10):
        filled["bob"]["k"] = number
    used = filled["bob"].revision
    filled.delete("bob")
    filled.purge()
    filled.restore(snapshot.id, "bob")
    filled["bob"]["new"] = 1
    assert filled["bob"].entry("new").revision > used


def test_handles_of_another_process_see_what_was_restored(filled, root):
    snapshot = filled.backup()
    with pronto_lmdb.open(root) as other:
        keystore = other["bob"]
        keystore["k"] = "new"
        pid = os.fork()
        if pid == 0:
            with pronto_lmdb.open(root) as child:
                child.restore(snapshot.id, "bob", overwrite=True)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert keystore["k"] == "v"
        keystore["k"] = "again"
        assert filled["bob"]["k"] == "again"


def test_a_restore_waits_for_whoever_is_writing(filled, root, monkeypatch):
    monkeypatch.setattr(steps, "_PATIENCE", 0)
    snapshot = filled.backup()
    restore = threading.Thread(target=filled.restore, args=(snapshot, "bob"), kwargs={"overwrite": True})
    with filled["bob"].transaction() as txn:
        txn["k"] = "late"
        restore.start()
        end = monotonic() + 60
        while not list((root / "meta" / "pending").glob("*.json")) and monotonic() < end:
            sleep(0.001)
        assert restore.is_alive()
    restore.join()
    assert dict(filled["bob"]) == {"k": "v"}
    assert dict(filled[filled.undelete("bob", to="carol").address]) == {"k": "late"}


def test_an_address_on_another_path_stays_there(store, tmp_path):
    store.create("a", path=tmp_path / "disk" / "a")
    store["a"]["k"] = 1
    snapshot = store.backup()
    store["a"]["k"] = 2
    store.restore(snapshot.id, overwrite=True)
    assert store["a"]["k"] == 1
    assert store.info("a").path == tmp_path / "disk" / "a"
    assert len(list((tmp_path / "disk").iterdir())) == 2
    assert store.check(deep=True).ok


def test_a_dry_run_looks_at_everything_and_changes_nothing(filled, root):
    snapshot = filled.backup()
    filled["bob"]["k"] = "new"
    assert filled.restore(snapshot, dry_run=True, overwrite=True) == []
    assert filled["bob"]["k"] == "new"
    assert os.listdir(root / "meta" / "pending") == []
    with pytest.raises(AddressExistsError):
        filled.restore(snapshot, dry_run=True)


def test_restoring_one_address_opens_no_other(store, root):
    for number in range(50):
        store[f"agent{number}"]["k"] = number
    snapshot = store.backup()
    store.close()
    with pronto_lmdb.open(root) as again:
        again.restore(snapshot.id, "agent7", overwrite=True)
        opened = {os.path.basename(item.path) for item in pool.environments() if item.is_keystore}
    assert opened <= {"agent7.default"}


def test_a_stage_in_use_is_no_problem_for_check_and_is_not_swept(filled, root, monkeypatch):
    snapshot = filled.backup()
    from pronto_lmdb.installation import Installation

    seen = []

    def install(self, finished, *, overwrite):
        with pronto_lmdb.open(root) as other:
            other["new.comer"]["k"] = 1
            seen.append(other.check().problems)
        real(self, finished, overwrite=overwrite)

    real = Installation.install
    monkeypatch.setattr(Installation, "install", install)
    filled.restore(snapshot, "bob", overwrite=True)
    assert seen == [[]]
    assert filled["bob"]["k"] == "v"


# -- prune -----------------------------------------------------------------------------------------------------------


def test_prune_removes_what_no_rule_keeps_and_tells_why_the_rest_stays(filled, clock):
    made = []
    for _ in range(4):
        made.append(filled.backup())
        clock.advance(3600)
    pruning = filled.prune(keep_last=2, dry_run=True)
    assert filled.snapshots() == made
    assert pruning.removed == made[:2]
    assert pruning.kept == [(made[2], ["last"]), (made[3], ["newest", "last"])]
    assert filled.prune(keep_last=2) == pruning
    assert filled.snapshots() == made[2:]
    assert filled.verify(made[3], deep=True).ok


def test_prune_refuses_an_empty_policy(filled):
    filled.backup()
    with pytest.raises(InvalidValueError):
        filled.prune()
    assert len(filled.snapshots()) == 1


def test_prune_leaves_alone_what_it_does_not_know(filled, root):
    first = filled.backup()
    (first.path / "manifest.json").write_bytes(b"{}")
    (root / "snapshots" / "notes").mkdir()
    filled.backup()
    filled.prune(keep_last=1)
    assert len(os.listdir(root / "snapshots")) == 3


def test_what_cannot_be_read_is_no_snapshot_that_prune_counts(filled, root):
    """The newest that can be read is the newest, and so many are kept of those that can be read."""
    made = [filled.backup() for _ in range(4)]
    for broken in (made[1], made[3]):
        (broken.path / "manifest.json").write_bytes(b"{}")
    found = []
    pruning = filled.prune(keep_last=1, dry_run=True, unreadable=found.append)
    assert pruning == ([(made[2], ["newest", "last"])], [made[0]])
    assert [item.id for item in found] == [made[1].id, made[3].id]
    assert filled.prune(keep_last=1) == pruning
    assert sorted(os.listdir(root / "snapshots")) == [item.id for item in made[1:]]


def test_prune_elsewhere_forgets_what_it_removes(filled, root, tmp_path):
    first, second = filled.backup(dest=tmp_path / "usb"), filled.backup(dest=tmp_path / "usb")
    filled.prune(keep_last=1, dest=tmp_path / "usb")
    assert filled.snapshots(tmp_path / "usb") == [second]
    assert os.listdir(root / "snapshots") == [second.id]
    with pytest.raises(SnapshotError):
        filled.verify(first.id)


def test_prune_where_there_is_nothing_makes_nothing(store, root):
    assert store.prune(keep_last=1) == ([], [])
    assert not root.exists()


# -- copy ------------------------------------------------------------------------------------------------------------


def test_copy_makes_an_address_of_its_own(filled):
    filled.copy("alice.research", "alice.fork")
    assert dict(filled["alice.fork"].items()) == CONTENT
    filled["alice.fork"]["plan"] = 2
    assert filled["alice.research"]["plan"] == {"step": 1}
    assert filled.info("alice.fork").origin["copied_from"] == "alice.research"
    assert filled.check(deep=True).ok


def test_copy_keeps_ttls_and_the_ttls_of_namespaces(store, clock):
    store["a"].namespace_ttl("web.sessions", 60)
    store["a"].update({"web.sessions.one": 1, "web.pages.two": 2})
    store["a"].put("web.pages.three", 3, ttl=100)
    store.copy("a", "b", prefix="web.pages.")
    assert dict(store["b"].items()) == {"web.pages.two": 2, "web.pages.three": 3}
    assert store["b"].ttl("web.pages.three") == 100
    store["b"]["web.sessions.four"] = 4
    assert store["b"].ttl("web.sessions.four") == 60
    assert store.check(deep=True).ok
    clock.advance(200)
    assert store["b"].sweep() == 2


def test_copy_never_replaces_anything_without_overwrite(filled):
    with pytest.raises(AddressExistsError):
        filled.copy("alice.research", "bob")
    assert filled["bob"]["k"] == "v"
    used = filled["bob"].revision
    filled.copy("alice.research", "bob", overwrite=True)
    assert dict(filled["bob"].items()) == CONTENT
    assert filled["bob"].revision > used
    filled.undelete("bob", to="bob.old")
    assert filled["bob.old"]["k"] == "v"


def test_copy_of_an_absent_address_is_an_error_and_makes_nothing(store, root):
    with pytest.raises(AddressNotFoundError):
        store.copy("a", "b")
    assert not root.exists()
    store["a"]["k"] = 1
    with pytest.raises(AddressNotFoundError):
        store.copy("b", "c")


@pytest.mark.parametrize("overwrite", [False, True])
def test_copy_onto_itself_is_refused(filled, overwrite):
    with pytest.raises(AddressExistsError):
        filled.copy("bob", "bob", overwrite=overwrite)
    assert filled["bob"]["k"] == "v"
    assert filled.trash() == []
