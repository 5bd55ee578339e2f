"""A fork at any moment harms nobody: the parent goes on, the child works or is told why not."""

import os
import pickle
import threading
import warnings
from multiprocessing import get_context

import pytest

import pronto_lmdb
from pronto_lmdb.pool import pool

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

CLEAR_ERROR = 42


def in_child(function):
    """Run a function in a forked child; return 0, 42 for an error of ours, or the signal or code it died of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what is tested here
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except pronto_lmdb.ProntoError:
            code = CLEAR_ERROR
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] >> 8


def test_a_child_reads_and_writes_what_the_parent_had_open(store):
    keystore = store["a"]
    keystore["key"] = "parent"

    def work():
        assert keystore["key"] == "parent"
        keystore["child"] = 1

    assert in_child(work) == 0
    assert keystore["child"] == 1
    keystore["key"] = "again"
    assert keystore["key"] == "again"


def test_a_view_open_at_the_fork_stays_protected_in_the_parent_and_is_refused_in_the_child(store):
    keystore = store["a"]
    keystore["key"] = "before"
    with keystore.view() as view:

        def use_view():
            with view:
                view["key"]

        assert in_child(lambda: view["key"]) == CLEAR_ERROR
        assert in_child(lambda: keystore["key"]) == CLEAR_ERROR
        assert in_child(lambda: view.__exit__(None, None, None)) == 0
        keystore["key"] = "after"
        assert pool.environments()[0].handle.info()["num_readers"] >= 1
        for number in range(200):
            keystore["filler"] = number
        assert view["key"] == "before"
    assert keystore["key"] == "after"


def test_a_transaction_open_at_the_fork_commits_in_the_parent_only(store):
    keystore = store["a"]
    keystore["key"] = 0
    with keystore.transaction() as transaction:
        transaction["key"] = 1
        assert in_child(lambda: transaction.__exit__(None, None, None)) == CLEAR_ERROR
        assert in_child(lambda: transaction.__exit__(ValueError, ValueError(), None)) == 0
    assert keystore["key"] == 1
    assert in_child(lambda: keystore.put("key", 2)) == 0
    assert keystore["key"] == 2


def test_forking_while_threads_read_write_and_view_hurts_nobody(store):
    for name in "abc":
        store[name]["key"] = 1
    stop, failures = threading.Event(), []

    def repeat(function):
        while not stop.is_set():
            try:
                function()
            except Exception as error:
                failures.append(error)
                return

    def look():
        with store["b"].view() as view:
            assert view["key"] == 1

    work = [lambda: store["a"].get("key"), look, lambda: store["c"].increment("count")]
    threads = [threading.Thread(target=repeat, args=(function,)) for function in work]
    for thread in threads:
        thread.start()
    outcomes = set()
    for number in range(100):
        outcomes.add(in_child(lambda number=number: store["d"].put(f"child{number}", number)))
        outcomes.add(in_child(lambda: store["c"].increment("count")))
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert outcomes <= {0, CLEAR_ERROR}
    assert len(store["d"]) == 100
    assert in_child(lambda: store["b"].put("key", 2)) == 0


def _increment(keystore):
    return keystore.increment("count")


def test_handles_travel_to_spawned_processes(store):
    keystore = store["a"]
    keystore["count"] = 0
    with get_context("spawn").Pool(2) as workers:
        results = workers.map(_increment, [keystore] * 6)
    assert sorted(results) == [1, 2, 3, 4, 5, 6]


def test_a_pickled_store_opens_the_same_root_with_the_same_rules(root):
    with (
        pronto_lmdb.open(root, create=False, timeout=3) as store,
        pickle.loads(pickle.dumps(store)) as copy,
    ):
        assert (copy.path, copy.creates, copy.timeout) == (store.path, False, 3)
