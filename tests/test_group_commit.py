"""Threads that write to one address at the same time share a commit and a flush, and nothing else."""

from __future__ import annotations

import errno
import gc
import itertools
import os
import random
import signal
import threading
from _thread import allocate_lock
from typing import TYPE_CHECKING, Any
from weakref import ref

import lmdb
import pytest
from children import in_children
from crowd import Crowd, gathered, line_of, together, wait_until

import pronto_lmdb
from pronto_lmdb import journal, operations
from pronto_lmdb.commit import Commit
from pronto_lmdb.group_commit import ALONE, GroupCommit
from pronto_lmdb.journal import Journal
from pronto_lmdb.line import Line, Turn
from pronto_lmdb.marker import MARKER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Clock

    from pronto_lmdb import Keystore, Store

pytestmark = pytest.mark.disk


@pytest.fixture
def keystore(store: Store) -> Keystore:
    keystore = store["a"]
    keystore["key"] = "text"
    return keystore


def counted(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[Any]:
    """Count the calls of a method."""
    calls: list[Any] = []

    original = getattr(owner, name)

    def count(*arguments: Any) -> Any:
        calls.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(owner, name, count)
    return calls


def puts(keystore: Keystore, count: int) -> list[Callable[[], None]]:
    return [lambda number=number: keystore.put(f"k{number}", number) for number in range(count)]  # type: ignore[misc]


# -- what is shared, and what is not ---------------------------------------------------------------------------------


def test_those_who_wait_are_written_with_one_commit_and_one_flush(
    keystore: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits, flushes = counted(monkeypatch, Commit, "_commit"), counted(monkeypatch, Journal, "_flush")
    with gathered(keystore, puts(keystore, 8)) as crowd:
        commits.clear()
        flushes.clear()
    assert crowd.join() == [None] * 8
    assert (len(commits), len(flushes)) == (1, 1)
    assert keystore.get_many([f"k{number}" for number in range(8)]) == {f"k{n}": n for n in range(8)}


def test_a_lone_writer_takes_the_path_without_a_group(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = counted(monkeypatch, GroupCommit, "attempt")
    for number in range(3):
        keystore["key"] = number
    assert groups == []
    together(keystore, puts(keystore, 2))
    assert len(groups) == 2


def test_nobody_waits_for_company_where_nobody_waits_for_the_disk(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = counted(monkeypatch, GroupCommit, "__init__")
    for level in ("normal", "off"):
        store.create(level, durability=level)
        assert _crowd(puts(store[level], 8)) == [None] * 8
    assert groups == []


def _crowd(works: list[Callable[[], Any]]) -> list[Any]:
    crowd = Crowd(works)
    crowd.start()
    return crowd.join()


def test_each_operation_of_a_group_has_a_revision_of_its_own(store: Store, keystore: Keystore) -> None:
    before = keystore.revision
    together(keystore, puts(keystore, 5))
    revisions = [keystore.entry(f"k{number}").revision for number in range(5)]
    assert revisions == list(range(before + 1, before + 6))
    assert keystore.revision == before + 5
    keystore["next"] = 1
    assert keystore.entry("next").revision == before + 6
    assert store.check(deep=True).ok


def test_an_operation_that_changes_nothing_uses_up_no_revision(keystore: Keystore) -> None:
    before = keystore.revision
    works = [
        lambda: keystore.add("key", 1),
        lambda: keystore.add("new", 1),
        lambda: keystore.add("new", 2),
        lambda: keystore.delete_many(["nothing"]),
        lambda: keystore.put("last", 1),
        lambda: keystore.add("last", 2),
    ]
    assert together(keystore, works) == [False, True, False, 0, None, False]
    assert keystore.revision == before + 2
    assert keystore["new"] == 1


def test_one_operation_sees_what_the_one_before_it_did(keystore: Keystore) -> None:
    keystore["n"] = 0
    revision = keystore.entry("n").revision
    works: list[Callable[[], Any]] = [lambda: keystore.increment("n")] * 5
    works.append(lambda: keystore.replace("n", 100, revision=revision))
    works.append(lambda: keystore.replace("n", 100, expected=5))
    works.append(lambda: keystore.pop("n"))
    works.append(lambda: keystore.pop("n", None))
    assert together(keystore, works) == [1, 2, 3, 4, 5, False, True, 100, None]


def test_of_two_that_compare_the_same_revision_one_wins(keystore: Keystore) -> None:
    revision = keystore.entry("key").revision
    works = [lambda name=name: keystore.replace("key", name, revision=revision) for name in "abc"]
    assert together(keystore, works) == [True, False, False]
    assert keystore["key"] == "a"


def test_counters_of_the_address_are_right_after_a_group(store: Store, keystore: Keystore, clock: Clock) -> None:
    keystore.put("old", 1, ttl=5)
    works = [
        lambda: keystore.put("x", 1, ttl=5),
        lambda: keystore.put("old", 2),
        lambda: keystore.namespace_ttl("default.cache", 60),
        lambda: keystore.increment("key"),  # fails
        lambda: keystore.put("cache.y", 1),
        lambda: keystore.delete_many(["x", "nothing"]),
    ]
    outcomes = together(keystore, works)
    assert isinstance(outcomes[3], pronto_lmdb.InvalidValueError)
    assert (keystore.ttl("cache.y"), keystore.ttl("old"), len(keystore)) == (60, None, 3)
    clock.advance(61)
    assert sorted(keystore) == ["key", "old"]
    assert keystore.sweep() == 1
    assert store.check(deep=True).ok


def test_after_a_power_cut_there_is_every_frame_of_a_group(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
        together(store["a"], puts(store["a"], 6))
        directory = store.info("a").path
        expected, revision = dict(store["a"]), store["a"].revision
    os.unlink(directory / MARKER)
    (directory / "data.mdb").write_bytes(b"\xff" * 65536)
    with pronto_lmdb.open(root) as store:
        assert (dict(store["a"]), store["a"].revision) == (expected, revision)


def test_another_process_goes_on_behind_a_group(keystore: Keystore, in_another_process: Any) -> None:
    before = keystore.revision
    together(keystore, puts(keystore, 6))
    program = """
        import sys, pronto_lmdb
        with pronto_lmdb.open(sys.argv[1]) as store:
            store["a"]["other"] = 1
            print(store["a"].entry("other").revision)
    """
    assert in_another_process(program, keystore._store.path) == before + 7
    keystore["again"] = 1
    assert keystore.entry("again").revision == before + 8
    assert keystore._store.check(deep=True).ok


# -- failures --------------------------------------------------------------------------------------------------------


def test_an_operation_that_fails_is_told_to_its_caller_only(keystore: Keystore) -> None:
    works: list[Callable[[], Any]] = [
        *puts(keystore, 3),
        lambda: keystore.increment("key"),
        lambda: keystore.put("z", 1),
    ]
    *fine, failed, last = together(keystore, works)
    assert fine == [None] * 3
    assert isinstance(failed, pronto_lmdb.InvalidValueError)
    assert "'key' is str" in str(failed)
    assert last is None
    assert keystore.get_many(["k0", "k1", "k2", "key", "z"]) == {"k0": 0, "k1": 1, "k2": 2, "key": "text", "z": 1}


def test_an_operation_that_fails_in_front_does_not_take_the_others_with_it(keystore: Keystore) -> None:
    failed, *fine = together(keystore, [lambda: keystore.increment("key"), *puts(keystore, 3)])
    assert isinstance(failed, pronto_lmdb.InvalidValueError)
    assert fine == [None] * 3


def test_an_operation_that_fails_half_way_leaves_nothing(store: Store) -> None:
    store.create("a", max_bytes=1024 * 1024)
    keystore = store["a"]
    keystore["key"] = 1
    large = {f"large{number}": "x" * 100_000 for number in range(20)}
    before = keystore.revision
    works = [*puts(keystore, 2), lambda: keystore.update(large), lambda: keystore.put("z", 1)]
    outcomes = together(keystore, works)
    assert isinstance(outcomes[2], pronto_lmdb.StoreFullError)
    assert outcomes[:2] + outcomes[3:] == [None] * 3
    assert sorted(keystore) == ["k0", "k1", "key", "z"]
    assert keystore.revision == before + 3
    assert store.check(deep=True).ok


def test_a_quota_that_a_neighbour_has_used_up_does_not_forbid_to_delete(store: Store) -> None:
    store.create("a", max_bytes=1024 * 1024)
    keystore = store["a"]

    def fill() -> None:
        for number in range(1000):
            keystore[f"fill{number}"] = "x" * 3000

    with pytest.raises(pronto_lmdb.StoreFullError):
        fill()
    outcomes = together(
        keystore,
        [
            lambda: keystore.put("more", "x" * 50_000),
            lambda: keystore.delete_many(["fill0"]),
            lambda: keystore.pop("fill1"),
        ],
    )
    assert isinstance(outcomes[0], pronto_lmdb.StoreFullError)
    assert outcomes[1:] == [1, "x" * 3000]


def test_where_a_whole_group_is_refused_each_is_done_alone(
    store: Store, keystore: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: Journal, frame: Any, position: int, end: int, original: Any = Journal.write) -> None:
        if end - position > 300:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(self, frame, position, end)

    monkeypatch.setattr(Journal, "write", write)
    works = [*puts(keystore, 4), lambda: keystore.put("large", "x" * 500)]
    *fine, refused = together(keystore, works)
    assert fine == [None] * 4
    assert isinstance(refused, pronto_lmdb.StoreFullError)
    assert sorted(keystore) == ["k0", "k1", "k2", "k3", "key"]
    monkeypatch.undo()
    assert store.check(deep=True).ok


def test_all_are_told_when_the_flush_of_their_group_fails(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    def flush_data(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    keystore["n"] = 0
    with gathered(keystore, [lambda: keystore.increment("n")] * 4) as crowd:
        monkeypatch.setattr("pronto_lmdb.journal.flush_data", flush_data)
    outcomes = crowd.join()
    monkeypatch.undo()
    assert [type(outcome) for outcome in outcomes] == [pronto_lmdb.StoreFullError] * 4
    assert all("visible" in str(outcome) for outcome in outcomes)
    assert len({id(outcome) for outcome in outcomes}) == 4
    # They were not done twice; and what comes next makes them durable.
    assert keystore.increment("n") == 5


def test_all_are_told_when_the_disk_does_not_forget_their_group(
    keystore: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were they only told that they could not be done again, they would not expect that a recovery finds them."""

    def write_all(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    keystore["n"] = 0
    with gathered(keystore, [lambda: keystore.increment("n")] * 4) as crowd:
        monkeypatch.setattr("pronto_lmdb.journal.write_all", write_all)
        monkeypatch.setattr(Commit, "_commit", _refuse)
        attempts = counted(monkeypatch, GroupCommit, "attempt")
    outcomes = crowd.join()
    monkeypatch.undo()
    assert [type(outcome) for outcome in outcomes] == [pronto_lmdb.StoreFullError] * 4
    assert all("refuses to forget" in str(outcome) for outcome in outcomes)
    assert len(attempts) == 4
    assert keystore["n"] == 0


def test_no_frame_of_a_refused_group_comes_back(root: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first frame is written again, to the same byte; the second must not continue it."""
    with pronto_lmdb.open(root) as store:
        keystore = store["a"]
        keystore["key"] = 1
        home = keystore._home
        assert home is not None
        group = GroupCommit(home.environment, home, 5, store.flush_interval)  # type: ignore[arg-type]
        first, second = (operations.put(1024, name, 1, None) for name in ("first", "second"))
        assert [group.attempt(first), group.attempt(second)] == [None, None]
        with monkeypatch.context() as patch:
            patch.setattr(Commit, "_commit", _refuse)
            with pytest.raises(pronto_lmdb.ProntoError):
                group.commit()
        assert not group.published
        keystore["first"] = 1
        directory = store.info("a").path
    os.unlink(directory / MARKER)
    with pronto_lmdb.open(root) as store:
        assert sorted(store["a"]) == ["first", "key"]


def _refuse(commit: Commit) -> None:
    raise lmdb.DiskError("No space left on device")


def test_what_an_operation_did_before_it_failed_is_undone(keystore: Keystore) -> None:
    home = keystore._home
    assert home is not None
    group = GroupCommit(home.environment, home, 5, keystore._store.flush_interval)  # type: ignore[arg-type]

    def fail(commit: Commit) -> None:
        commit.put(b"half", b"\x10" + b"\0" * 17)
        raise pronto_lmdb.InvalidValueError("no", "")

    assert group.attempt(operations.put(1024, "one", 1, None)) is None
    assert group.attempt(fail) is ALONE
    assert group.attempt(operations.put(1024, "two", 2, None)) is None
    group.commit()
    assert sorted(keystore) == ["key", "one", "two"]
    assert keystore.entry("two").revision == keystore.entry("one").revision + 1


# -- waiting ---------------------------------------------------------------------------------------------------------


def test_who_waits_too_long_is_told_and_nothing_is_written(root: Path) -> None:
    with pronto_lmdb.open(root, timeout=0.2) as store:
        keystore = store["a"]
        keystore["key"] = 1
        with keystore.transaction():
            outcomes = _crowd(puts(keystore, 4))
        assert [type(outcome) for outcome in outcomes] == [pronto_lmdb.LockTimeoutError] * 4
        assert not line_of(keystore)
        assert sorted(keystore) == ["key"]
        assert together(keystore, puts(keystore, 3)) == [None] * 3


def test_a_thread_in_its_own_transaction_is_refused_though_others_wait(keystore: Keystore) -> None:
    crowd = Crowd(puts(keystore, 2))
    with keystore.transaction() as transaction:
        crowd.start()
        wait_until(lambda: len(line_of(keystore)._waiting) == 1)
        with pytest.raises(pronto_lmdb.ConflictError, match="transaction open"):
            keystore["other"] = 1
        transaction["mine"] = 1
    assert crowd.join() == [None, None]
    assert sorted(keystore) == ["k0", "k1", "key", "mine"]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system cannot signal a thread")
def test_ctrl_c_while_waiting_ends_the_waiting_and_nobody_else_notices(keystore: Keystore) -> None:
    crowd, line = Crowd(puts(keystore, 2)), line_of(keystore)
    front = Turn(line, keystore._home, ())  # type: ignore[arg-type]
    assert line.enter(front.ticket)
    crowd.start()
    wait_until(lambda: len(line._waiting) == 2)

    def interrupt() -> None:
        wait_until(lambda: len(line._waiting) == 3)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        keystore["interrupted"] = 1
    interrupter.join()
    assert len(line._waiting) == 2
    line.leave(front.ticket)
    assert crowd.join() == [None] * 2
    assert sorted(keystore) == ["k0", "k1", "key"]


def test_the_main_thread_serves_nobody(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C may strike it anywhere: what it does then must be for itself only."""
    served: list[bool] = []

    def attempt(self: GroupCommit, operation: Any, original: Any = GroupCommit.attempt) -> Any:
        served.append(threading.current_thread() is threading.main_thread())
        return original(self, operation)

    monkeypatch.setattr(GroupCommit, "attempt", attempt)
    crowd, line = Crowd(puts(keystore, 3)), line_of(keystore)
    front = Turn(line, keystore._home, ())  # type: ignore[arg-type]
    assert line.enter(front.ticket)

    def gather() -> None:
        wait_until(lambda: len(line._waiting) == 1)
        crowd.start()
        wait_until(lambda: len(line._waiting) == 4)
        line.leave(front.ticket)

    gatherer = threading.Thread(target=gather)
    gatherer.start()
    keystore["main"] = 1
    gatherer.join()
    assert crowd.join() == [None] * 3
    assert served == [False] * 3


def test_who_is_in_front_and_is_lost_is_followed_by_the_next(keystore: Keystore) -> None:
    line = Line()
    front, behind = (Turn(line, keystore._home, ()) for _ in range(2))  # type: ignore[arg-type]
    assert line.enter(front.ticket)
    crowd = Crowd([lambda: behind.wait(30)])
    crowd.start()
    wait_until(lambda: line)
    del front
    gc.collect()
    assert crowd.join()[0] > 0
    assert not line.enter(Turn(line, keystore._home, ()).ticket)  # type: ignore[arg-type]
    line.leave(behind.ticket)
    assert not line._front


def test_a_front_that_ended_without_a_word_is_noticed(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pronto_lmdb.line._LONGEST_WAIT", 0.01)
    line = Line()
    front, behind = (Turn(line, keystore._home, ()) for _ in range(2))  # type: ignore[arg-type]
    line._front["front"] = ref(front)  # nobody is told when it ends
    crowd = Crowd([lambda: behind.wait(30)])
    crowd.start()
    wait_until(lambda: line)
    del front
    gc.collect()
    assert crowd.join()[0] > 0


def test_a_turn_that_is_called_while_it_gives_up_is_passed_on(keystore: Keystore) -> None:
    line = Line()
    front, gone, behind = (Turn(line, keystore._home, ()) for _ in range(3))  # type: ignore[arg-type]
    assert line.enter(front.ticket)
    gone._called = allocate_lock()
    gone._called.acquire()
    line.join(gone)
    crowd = Crowd([lambda: behind.wait(30)])
    crowd.start()
    wait_until(lambda: len(line._waiting) == 2)
    gone.gone = True
    line.leave(front.ticket)
    assert crowd.join()[0] > 0


# -- other processes, other names ------------------------------------------------------------------------------------


def test_a_group_that_waits_follows_the_address_to_its_successor(store: Store, keystore: Keystore) -> None:
    """Whoever waited while the address was deleted writes to the one that takes its name."""
    line = line_of(keystore)
    front = Turn(line, keystore._home, ())  # type: ignore[arg-type]
    assert line.enter(front.ticket)
    crowd = Crowd(puts(keystore, 4))
    crowd.start()
    wait_until(lambda: len(line._waiting) == 4)
    store.delete("a")
    line.leave(front.ticket)
    assert crowd.join() == [None] * 4
    assert sorted(keystore) == ["k0", "k1", "k2", "k3"]
    store.undelete("a", to="b")
    assert sorted(store["b"]) == ["key"]


def test_writers_go_on_while_their_address_is_renamed_all_the_time(store: Store) -> None:
    stop = threading.Event()
    written: list[list[str]] = [[] for _ in range(6)]

    def write(number: int) -> None:
        while not stop.is_set():
            key = f"w{number}.{len(written[number])}"
            store["a"][key] = 1
            written[number].append(key)

    crowd = Crowd([lambda number=number: write(number) for number in range(6)])  # type: ignore[misc]
    store["a"]["begin"] = 1
    crowd.start()
    for number in range(30):
        wait_until(lambda: store.exists("a"))
        store.rename("a", f"old{number}")
    stop.set()
    assert crowd.join() == [None] * 6
    found = {key for info in store.addresses() for key in store[info.address]}
    assert {key for keys in written for key in keys} <= found
    assert store.check(deep=True).ok


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_while_a_group_forms_harms_nobody(keystore: Keystore) -> None:
    statuses = []
    for number in range(20):
        with gathered(keystore, puts(keystore, 4)) as crowd:
            statuses.append(in_children([lambda: _use(keystore)])[0] >> 8)
        statuses.append(in_children([lambda: _use(keystore)])[0] >> 8)
        assert crowd.join() == [None] * 4
        keystore["round"] = number
    assert set(statuses) <= {0, 42}
    assert in_children([lambda: keystore.put("child", 1)]) == [0]
    assert keystore["child"] == 1


def _use(keystore: Keystore) -> None:
    try:
        keystore["key"] = "child"
    except pronto_lmdb.ProntoError:
        os._exit(42)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("seed", range(4))
def test_what_a_killed_group_has_acknowledged_is_there(root: Path, seed: int) -> None:
    chance, threads = random.Random(seed), 6
    with pronto_lmdb.open(root) as store:
        store["a"]["count"] = 0
    acknowledged = 0
    for _ in range(8):
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            _count_until_killed(root, threads, tell, chance.randrange(50))
        os.close(tell)
        with os.fdopen(told, "rb") as reader:
            acknowledged += len(reader.read())
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        with pronto_lmdb.open(root, timeout=10) as store:
            count = store["a"]["count"]
            assert acknowledged <= count <= acknowledged + threads
            acknowledged = count
            assert store["a"].revision == store["a"].entry("count").revision
            assert store.check(deep=True).ok


def _count_until_killed(root: Path, threads: int, tell: int, step: int) -> None:
    left = itertools.count(step, -1)

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if next(left) <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return call

    try:
        store = pronto_lmdb.open(root)

        def count() -> None:
            while True:
                store["a"].increment("count")
                os.write(tell, b".")

        crowd = Crowd([count] * threads)
        crowd.start()
        os.pwrite, os.fdatasync = dying(os.pwrite), dying(os.fdatasync)
        journal.flush_data = os.fdatasync  # type: ignore[attr-defined]
        Commit._commit = dying(Commit._commit)  # type: ignore[method-assign]
        crowd.join()
    finally:
        os._exit(1)
