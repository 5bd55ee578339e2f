"""Moments that nobody plans for: the wrong thread, the wrong signal, somebody else in between."""

import json
import os
import random
import signal
import threading
import time
from contextlib import suppress

import pytest
from processes import run_all

import pronto_lmdb
from pronto_lmdb import pool as pool_module


def _apply(root, steps):
    with pronto_lmdb.open(root) as store:
        for verb, *arguments in steps:
            getattr(store, verb)(*arguments) if verb != "put" else store[arguments[0]].put(*arguments[1:])


def elsewhere(root, *steps):
    """Carry out steps in another process."""
    run_all(_apply, [(root, steps)])


# -- other processes -----------------------------------------------------------------------------------------------


def test_a_deletion_is_noticed_although_an_aborted_write_came_just_before(root):
    with pronto_lmdb.open(root) as store:
        keystore = store["a"]
        keystore["key"] = "old"
        elsewhere(root, ("delete", "a"), ("undelete", "a"))
        assert keystore.add("key", 1) is False
        elsewhere(root, ("delete", "a"))
        assert keystore.get("key") is None
        elsewhere(root, ("put", "a", "key", "new"))
        assert keystore.get("key") == "new"


def test_a_name_made_again_after_a_rename_elsewhere_does_not_block_the_renamed(root):
    with pronto_lmdb.open(root, timeout=1) as store:
        store["a"]["key"] = 1
        elsewhere(root, ("rename", "a", "b"), ("put", "a", "key", 2))
        with store["b"].transaction() as transaction:
            transaction["key"] = 3
            store["a"]["key"] = 4
        assert (store["a"]["key"], store["b"]["key"]) == (4, 3)


def test_a_damaged_address_is_reported_while_other_addresses_come_and_go(root):
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
        path = store.info("a").path
    for damaged in (path / "data.mdb", *path.glob("journal-*")):
        with damaged.open("r+b") as file:
            file.write(b"\xff" * 8192)
    note = root / "meta" / "pending" / "0.json"
    with pronto_lmdb.open(root) as store:
        note.write_text("{}")
        with pytest.raises(pronto_lmdb.CorruptStoreError):
            store["a"].get("key")


# -- places --------------------------------------------------------------------------------------------------------


def test_an_address_whose_disk_is_missing_is_an_error_and_never_shadowed(root, tmp_path):
    place = tmp_path / "disk" / "a"
    with pronto_lmdb.open(root) as store:
        store.create("a", path=place)
        store["a"]["key"] = 1
    place.rename(tmp_path / "away")
    with pronto_lmdb.open(root) as store:
        for use in (lambda: store["a"].get("key"), lambda: store["a"].put("key", 2), lambda: store.exists("a")):
            with pytest.raises(pronto_lmdb.CorruptStoreError, match="missing"):
                use()
    (tmp_path / "away").rename(place)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"key": 1}


def test_an_address_cannot_be_placed_inside_another(root, tmp_path):
    with pronto_lmdb.open(root) as store:
        store.create("a", path=tmp_path / "outer")
        with pytest.raises(pronto_lmdb.AddressExistsError):
            store.create("b", path=tmp_path / "outer" / "inner")


# -- leftovers -----------------------------------------------------------------------------------------------------


def test_a_half_made_address_without_identity_is_swept(root):
    import lmdb

    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
    lmdb.open(str(root / "meta" / "pending" / ("0" * 32)), map_size=1 << 20).close()
    with pronto_lmdb.open(root) as store:
        store["b"]["key"] = 2
        assert list((root / "meta" / "pending").iterdir()) == []


def test_a_deletion_that_never_began_does_not_happen_later(root):
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
        path = str(store.info("a").path)
        note = {"operation": "delete", "address": "a.default", "source": path, "target": str(root / "trash" / "1-x")}
        note |= {"trash_id": "1-x", "generation": 1}
        (root / "meta" / "pending" / "0.json").write_text(json.dumps(note))
        store["a"]["later"] = 2
    with pronto_lmdb.open(root) as store:
        store["b"]["key"] = 1
        assert dict(store["a"]) == {"key": 1, "later": 2}


# -- threads -------------------------------------------------------------------------------------------------------


def in_thread(function):
    """Run a function in another thread; return what it raised."""
    raised = []

    def run():
        try:
            function()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def test_a_transaction_cannot_be_ended_by_another_thread(store):
    keystore = store["a"]
    with keystore.transaction() as transaction:
        transaction["key"] = 1
        assert isinstance(in_thread(lambda: transaction.__exit__(None, None, None)), pronto_lmdb.ConflictError)
        transaction["key"] = 2
    assert keystore["key"] == 2


def test_threads_may_share_a_view_and_one_may_end_it(store):
    store["a"].update({f"key{number:04}": number for number in range(500)})
    stop, failures, current = threading.Event(), [], []

    def read():
        while not stop.is_set():
            try:
                assert len(list(current[0].scan())) == 500
            except pronto_lmdb.StoreClosedError:
                continue
            except Exception as error:
                failures.append(error)
                return

    current.append(store["a"].view())
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        with store["a"].view() as current[0]:
            time.sleep(0.0005)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_catalog_is_whole_while_environments_are_closed_to_make_room(store, monkeypatch):
    monkeypatch.setattr(pool_module, "capacity", lambda: 1)
    for number in range(20):
        store.create(f"a{number}")
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            store.exists(f"a{random.randrange(20)}")

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        assert len(list(store.addresses())) == 20
    stop.set()
    for thread in threads:
        thread.join()


# -- signals and forks ---------------------------------------------------------------------------------------------


def test_ctrl_c_at_any_moment_of_a_write_leaves_the_address_writable(root):
    with pronto_lmdb.open(root, durability="off", timeout=2) as store:
        keystore = store["a"]
        keystore["key"] = 0
        previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            for number in range(600):
                with suppress(KeyboardInterrupt):
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(20e-6, 400e-6))
                    while True:  # only Ctrl-C ends it
                        keystore["key"] = number
                keystore["key"] = number
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        assert keystore["key"] == 599
    elsewhere(root, ("put", "a", "key", "free"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_forked_during_a_creation_does_not_keep_the_lock(root):
    with pronto_lmdb.open(root, timeout=5) as store:
        stop = threading.Event()

        def create():
            number = 0
            while not stop.is_set():
                store.create(f"a{number}")
                number += 1

        thread = threading.Thread(target=create)
        thread.start()
        children = []
        for _ in range(20):
            time.sleep(0.003)
            pid = os.fork()
            if pid == 0:
                time.sleep(30)
                os._exit(0)
            children.append(pid)
        stop.set()
        thread.join()
        try:
            store.create("late")
            assert store.exists("late")
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
