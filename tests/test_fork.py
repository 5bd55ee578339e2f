"""A fork at any moment harms nobody: the parent goes on, the child works or is told why not."""

import os
import pickle
import signal
import threading
import time
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver, get_context

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
            signal.alarm(60)  # who hangs is killed, and found out
            function()
            code = 0
        except pronto_lmdb.ProntoError:
            code = CLEAR_ERROR
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


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


# -- whatever is going on at that moment ---------------------------------------------------------------------------


class Bustle:
    """Threads that do all that an address can go through, until they are told to stop."""

    def __init__(self, store):
        self.store = store
        self.stop = threading.Event()
        self.failures = []
        self.rounds = {}
        works = [self.read, self.write, self.view, self.transact, self.iterate, self.compact, self.recover, self.move]
        self.threads = [threading.Thread(target=self.repeat, args=(work,)) for work in works]

    def __enter__(self):
        # The child may have to do without the registry, so it creates nothing.
        for name in ("idle", "read", "write", "view", "transact", "iterate", "compact", "recover", "move"):
            self.store[name].update({f"k{number}": number for number in range(50)})
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def repeat(self, work):
        name = work.__name__
        keystore = self.store[name]
        while not self.stop.is_set():
            try:
                work(keystore)
            except Exception as error:
                self.failures.append((name, error, traceback.format_exc()))
                return
            self.rounds[name] = self.rounds.get(name, 0) + 1

    def read(self, keystore):
        assert keystore["k1"] == 1

    def write(self, keystore):
        keystore.increment("count")

    def view(self, keystore):
        with keystore.view() as view:
            assert view["k1"] == 1
            time.sleep(0.001)
            assert len(list(view.scan_keys("k"))) == 50

    def transact(self, keystore):
        with keystore.transaction() as transaction:
            transaction["count"] = transaction.get("count", 0) + 1
            time.sleep(0.001)

    def iterate(self, keystore):
        assert len(list(keystore.scan("k"))) == 50

    def compact(self, keystore):
        keystore.increment("count")
        self.store.compact("compact")

    def recover(self, keystore):
        """Lose the view, and make it anew."""
        marker = os.path.join(self.store.info("recover").path, "marker")
        for environment in pool.environments():
            if environment.name == "recover.default":
                pool.discard(environment)
                os.unlink(marker)
        assert keystore["k1"] == 1

    def move(self, keystore):
        self.store.rename("move", "moved")
        self.store.rename("moved", "move")


def use(store):
    """Use, in a child, an address that is idle, and each that may not be."""
    store["idle"].increment("count")
    assert store["idle"]["count"] > 0
    refused = 0
    for name in ("read", "write", "view", "transact", "iterate", "compact", "recover"):
        try:
            assert store[name]["k1"] == 1
            store[name].increment("child")
        except pronto_lmdb.ConflictError:
            refused += 1  # it was in use at the fork
    assert refused < 7


@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
def test_a_fork_at_any_moment_harms_nobody(store, rounds):
    with Bustle(store) as bustle:
        outcomes = [in_child(lambda: use(store)) for _ in range(rounds)]
    assert bustle.failures == []
    assert set(outcomes) == {0}
    assert len(bustle.rounds) == 8
    assert store["idle"]["count"] == rounds
    assert store.check(deep=True).problems == []


@pytest.mark.parametrize("kind", ["journal", "lock"])
def test_a_fork_while_a_thread_closes_a_file_forgets_what_was_open_all_the_same(store, tmp_path, monkeypatch, kind):
    """The system has closed it, and the thread has not come back yet from there."""
    store["a"]["key"] = 1
    closing, forked = threading.Event(), threading.Event()

    def close(descriptor, original=os.close):
        original(descriptor)
        if threading.current_thread() is thread:
            closing.set()
            forked.wait(60)

    def work():
        if kind == "journal":
            journal.close()
        else:
            with pool.passing(tmp_path / "lock") as lock:
                lock.acquire(1)

    thread = threading.Thread(target=work)
    with store["a"].view() as view:
        (environment,) = [environment for environment in pool.environments() if environment.name == "a.default"]
        journal = environment.journal
        monkeypatch.setattr(os, "close", close)
        thread.start()
        closing.wait(60)
        assert in_child(lambda: _expect(environment.abandoned and not pool.environments())) == 0
        forked.set()
        thread.join()
        monkeypatch.undo()
        assert view["key"] == 1


def _expect(condition):
    assert condition


def test_a_child_of_a_killed_process_keeps_nobody_waiting(root, tmp_path, monkeypatch):
    """A process is killed while it makes a view anew; a child that it had forked meanwhile lives on."""
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
    os.unlink(os.path.join(root, "addresses", "a.default", "marker"))
    ready, tell = os.pipe()
    parent = os.fork()
    if parent == 0:
        _die_in_a_recovery_beside_a_child(root, tell)
    os.close(tell)
    assert os.waitstatus_to_exitcode(os.waitpid(parent, 0)[1]) == -signal.SIGKILL
    child = int(os.read(ready, 20))
    os.close(ready)
    try:
        monkeypatch.setattr("pronto_lmdb.pool._PATIENCE", 2.0)
        with pronto_lmdb.open(root) as store:
            assert store["a"]["key"] == 1
    finally:
        os.kill(child, signal.SIGKILL)


def _die_in_a_recovery_beside_a_child(root, tell):
    from pronto_lmdb import recovery

    inside = threading.Event()

    def stuck(_):
        inside.set()
        time.sleep(60)

    recovery.recover = stuck
    threading.Thread(target=lambda: pronto_lmdb.open(root)["a"].get("key"), daemon=True).start()
    inside.wait()
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    os.write(tell, str(child).encode())
    os.kill(os.getpid(), signal.SIGKILL)


# -- pools and servers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_of_processes_shares_a_keystore(store, method):
    keystore = store["a"]
    keystore["count"] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with ProcessPoolExecutor(2, mp_context=get_context(method)) as workers:
            results = list(workers.map(_increment, [keystore] * 8))
    forkserver._forkserver._stop()
    assert sorted(results) == list(range(1, 9))
    assert keystore["count"] == 8


def _serve(store, requests, answers):
    while os.read(requests, 1):
        os.write(answers, bytes([store["served"].increment("count")]))


def test_a_server_that_opens_first_and_forks_later(store):
    """Workers share the pipe of requests; one is killed and replaced, and no request is counted twice or not at all."""
    store["served"]["count"] = 0
    requests, ask = os.pipe()
    answers, answer = os.pipe()

    def worker():
        pid = os.fork()
        if pid == 0:
            os.close(ask)
            _serve(store, requests, answer)
            os._exit(0)
        return pid

    workers = [worker() for _ in range(3)]
    got = []
    for number in range(30):
        if number == 10:
            os.kill(workers[0], signal.SIGKILL)  # it waits for a request, as all do between two of them
            os.waitpid(workers[0], 0)
            workers[0] = worker()
        os.write(ask, b"?")
        got.append(os.read(answers, 1)[0])
    os.close(ask)
    os.close(requests)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers] == [0, 0, 0]
    os.close(answers)
    os.close(answer)
    assert got == list(range(1, 31))
    assert store["served"]["count"] == 30


def test_a_fork_waits_for_what_only_one_thread_knows(store, monkeypatch):
    """A child that inherited it could never open what becomes of it."""
    from pronto_lmdb import recovery

    store["a"]["key"] = 1
    directory = store.info("a").path
    for environment in pool.environments():
        pool.discard(environment)
    os.unlink(directory / "marker")
    inside = threading.Event()

    def replay(*arguments, original=recovery.replay):
        inside.set()
        time.sleep(0.2)
        return original(*arguments)

    monkeypatch.setattr(recovery, "replay", replay)
    thread = threading.Thread(target=lambda: store["a"].get("key"))
    thread.start()
    inside.wait()
    assert in_child(lambda: store["a"].put("child", 1)) == 0
    thread.join()
    assert dict(store["a"]) == {"key": 1, "child": 1}


def test_where_a_fork_waited_in_vain_the_child_is_told(store, monkeypatch):
    from pronto_lmdb import forks, recovery

    monkeypatch.setattr(forks, "_PATIENCE", 0.01)
    store["a"]["key"] = 1
    directory = store.info("a").path
    for environment in pool.environments():
        pool.discard(environment)
    os.unlink(directory / "marker")
    inside, forked = threading.Event(), threading.Event()

    def replay(*arguments, original=recovery.replay):
        inside.set()
        forked.wait()
        return original(*arguments)

    def use_when_it_is_there():
        os.read(told, 1)
        store["a"].put("child", 1)

    told, tell = os.pipe()
    monkeypatch.setattr(recovery, "replay", replay)
    thread = threading.Thread(target=lambda: store["a"].get("key"))
    thread.start()
    inside.wait()
    outcome = []
    fork = threading.Thread(target=lambda: outcome.append(in_child(use_when_it_is_there)))
    fork.start()
    time.sleep(0.3)  # the fork happens without us: only then may the recovery go on
    forked.set()
    thread.join()
    os.write(tell, b".")
    fork.join()
    os.close(told)
    os.close(tell)
    assert outcome == [CLEAR_ERROR]
    store["a"]["key"] = 2
    assert dict(store["a"]) == {"key": 2}
