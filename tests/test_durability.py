"""What each level promises, when the disk is asked to keep it, and what happens when the disk refuses."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copytree, rmtree
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import lmdb
import pytest
from crash import killed_at

import pronto_lmdb
from pronto_lmdb import CorruptStoreError, InvalidValueError, KeyNotFoundError, LockTimeoutError, StoreFullError
from pronto_lmdb import checkpoint as checkpoint_module
from pronto_lmdb import flusher as flusher_module
from pronto_lmdb import journal as journal_module
from pronto_lmdb.files import flush_data
from pronto_lmdb.identity import State
from pronto_lmdb.journaled import JournaledEnvironment
from pronto_lmdb.pool import pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pronto_lmdb import Keystore, Store
    from pronto_lmdb.environment import Environment

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

LEVELS = ["full", "normal", "off"]
SOON = 0.02  # a flush interval
PATIENCE = 30  # for what must come at last
GARBAGE = b"\xa5" * 32768
MIB = 1024 * 1024


def home(root: Path, name: str = "a.default") -> Path:
    return root / "addresses" / name


def journals(root: Path) -> list[str]:
    return sorted(path.name for path in home(root).glob("journal-*"))


def lose_power(root: Path, name: str = "a.default") -> None:
    """Leave of an address only what a power loss leaves: base and journal."""
    (home(root, name) / "data.mdb").write_bytes(GARBAGE)
    (home(root, name) / "marker").unlink(missing_ok=True)


def opened(root: Path) -> Environment:
    """Return the environment of a.default, which is open."""
    (environment,) = (item for item in pool.environments() if item.path == str(home(root)))
    return environment


def stored_state(root: Path) -> State:
    """Return what the view of a.default says of itself."""
    return opened(root).describe()[1]


def put_often(keystore: Keystore, count: int) -> None:
    for number in range(count):
        keystore["key"] = number


def give_up(keystore: Keystore) -> None:
    """Begin a transaction that changes something, and abort it."""
    with suppress(ZeroDivisionError), keystore.transaction() as transaction:
        transaction["k7"] = 8
        raise ZeroDivisionError


class Disk:
    """Stands in for the flush of journals: it counts, and can be held up or fail."""

    def __init__(self) -> None:
        self.flushes = 0
        self.threads: list[int] = []
        self.flushed = threading.Event()
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.error: int | None = None

    def flush(self, descriptor: int) -> None:
        self.flushes += 1
        self.threads.append(threading.get_ident())
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        flush_data(descriptor)
        self.flushed.set()

    def hold(self) -> None:
        self.begun.clear()
        self.go_on.clear()

    def during(self, work: Callable[[], object]) -> int:
        """Return how many flushes something takes."""
        before = self.flushes
        work()
        return self.flushes - before


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(journal_module, "flush_data", disk.flush)
    return disk


class Elsewhere:
    """Another process with the address ``a`` open, in which statements are run; it prints what they print."""

    PROGRAM = """
        import os, sys, pronto_lmdb
        from pronto_lmdb import journal
        store = pronto_lmdb.open(sys.argv[1])
        keystore = store["a"]
        print("ready", flush=True)
        for line in sys.stdin:
            exec(line)
            print("done", flush=True)
        """

    def __init__(self, root: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", dedent(self.PROGRAM), root],
            env={**os.environ, "PYTHONPATH": str(Path(pronto_lmdb.__file__).parents[1])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Elsewhere:
        self.expect("ready")
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()

    def begin(self, statement: str) -> None:
        assert self.process.stdin is not None
        print(statement, file=self.process.stdin, flush=True)

    def run(self, statement: str) -> None:
        self.begin(statement)
        self.expect("done")

    def expect(self, text: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == text


# -- levels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_is_stored_with_the_address_and_the_same_for_every_process(
    root: Path, in_another_process: Callable[..., Any], level: str
) -> None:
    with pronto_lmdb.open(root) as store:
        assert store.create("a", durability=level).durability == level
        store["a"]["key"] = 1
    program = """
        import json, sys, pronto_lmdb
        with pronto_lmdb.open(sys.argv[1], durability=sys.argv[2]) as store:
            store["a"]["key"] = 2
            listed = [info.durability for info in store.addresses()]
            print(json.dumps([store.info("a").durability, store["a"].stats().durability, *listed]))
        """
    another = LEVELS[LEVELS.index(level) - 1]
    assert in_another_process(program, root, another) == [level] * 3


def test_a_level_comes_from_create_else_open_else_the_environment_else_the_setting_else_full(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def level_of(name: str, **arguments: Any) -> str:
        with pronto_lmdb.open(root, **arguments) as store:
            store[name]["key"] = 1
            return store.info(name).durability

    assert level_of("default") == "full"
    with pronto_lmdb.open(root) as store:
        store.config["durability"] = "off"
    assert level_of("setting") == "off"
    monkeypatch.setenv("PRONTO_DURABILITY", "normal")
    assert level_of("variable") == "normal"
    assert level_of("open", durability="full") == "full"
    with pronto_lmdb.open(root, durability="full") as store:
        assert store.create("create", durability="off").durability == "off"
        assert store.info("variable").durability == "normal"


@pytest.mark.parametrize("level", ["fast", "", "FULL", None, 1])
def test_a_level_that_does_not_exist_is_refused(store: Store, level: Any) -> None:
    store["a"]["key"] = 1
    with pytest.raises(InvalidValueError, match="durability"):
        store.set_durability("a", level)
    assert store.info("a").durability == "full"


TRANSITIONS = list(itertools.permutations(LEVELS, 2))


@pytest.mark.parametrize(("before", "after"), TRANSITIONS)
def test_a_level_can_be_changed_and_everything_stays(root: Path, before: str, after: str) -> None:
    with pronto_lmdb.open(root, durability=before) as store:
        store["a"].update({f"k{number}": number for number in range(100)})
        store["a"].put("lease", 1, ttl=3600)
        revision = store["a"].revision
        store.set_durability("a", after)
        assert store.info("a").durability == store["a"].stats().durability == after
        assert [info.durability for info in store.addresses()] == [after]
        assert len(store["a"]) == 101
        assert store["a"].revision > revision
        store["a"]["later"] = 1
    with pronto_lmdb.open(root) as store:
        assert store.info("a").durability == after
        assert (len(store["a"]), store["a"]["k99"], store["a"]["later"]) == (102, 99, 1)


@pytest.mark.parametrize(("before", "after"), TRANSITIONS)
def test_a_change_of_level_is_on_the_disk_when_it_returns_with_everything_before(
    root: Path, before: str, after: str
) -> None:
    with pronto_lmdb.open(root, durability=before) as store:
        store["a"].update({f"k{number}": number for number in range(100)})
        store.set_durability("a", after)
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert store.info("a").durability == after
        assert dict(store["a"]) == {f"k{number}": number for number in range(100)}


@pytest.mark.parametrize(("before", "after"), TRANSITIONS)
def test_a_change_of_level_holds_at_once_for_a_process_that_has_the_address_open(
    root: Path, disk: Disk, before: str, after: str
) -> None:
    with pronto_lmdb.open(root, durability=before) as store:
        store["a"]["key"] = 1
        with Elsewhere(root) as other:
            other.run("keystore.get('key')")
            other.run(f"store.set_durability('a', {after!r})")
        store["a"]["key"] = 2
        assert disk.during(lambda: store["a"].put("key", 3)) == (after == "full")
        assert store.info("a").durability == after


def test_setting_the_level_that_holds_changes_nothing_that_can_be_seen(store: Store) -> None:
    store["a"]["key"] = 1
    store.set_durability("a", "full")
    assert (store.info("a").durability, store["a"]["key"]) == ("full", 1)


def test_there_must_be_an_address_to_have_a_level(store: Store, root: Path) -> None:
    with pytest.raises(pronto_lmdb.AddressNotFoundError):
        store.set_durability("a", "off")
    assert not root.exists()
    store["b"]["key"] = 1
    with pytest.raises(pronto_lmdb.AddressNotFoundError):
        store.set_durability("a", "off")


def test_a_store_that_only_reads_cannot_change_a_level(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
    with pronto_lmdb.open(root, readonly=True) as store, pytest.raises(pronto_lmdb.ReadOnlyError):
        store.set_durability("a", "off")


@forks
@pytest.mark.parametrize("level", LEVELS)
def test_a_killed_process_loses_nothing_at_any_level(root: Path, level: str) -> None:
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        with pronto_lmdb.open(root, durability=level) as store:
            for number in range(20):
                store["a"][f"k{number}"] = number
                os.write(tell, b"x")
            with store["a"].transaction() as transaction:
                transaction["lost"] = 1
                os.kill(os.getpid(), 9)
    os.close(tell)
    assert os.waitpid(pid, 0)[1] == 9
    acknowledged = len(os.read(told, 100))
    os.close(told)
    assert acknowledged == 20
    with pronto_lmdb.open(root, timeout=1) as store:
        assert dict(store["a"]) == {f"k{number}": number for number in range(20)}
        store["a"]["more"] = 1


# -- full ----------------------------------------------------------------------------------------------------------


def test_a_lone_write_at_full_takes_one_flush(store: Store, disk: Disk) -> None:
    keystore = store["a"]
    keystore["key"] = 0
    assert disk.during(lambda: keystore.put("key", 1)) == 1
    assert disk.during(lambda: keystore.increment("key")) == 1
    assert disk.during(lambda: keystore.update({f"k{number}": number for number in range(1_000)})) == 1
    assert disk.during(lambda: keystore.delete_many(["k1", "k2"])) == 1
    with keystore.transaction() as transaction:
        transaction["one"] = 1
        transaction["two"] = 2
        before = disk.flushes
    assert disk.flushes - before == 1


def test_a_write_flushes_no_other_file(store: Store, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    keystore = store["a"]
    keystore["key"] = 0
    others: list[int] = []
    monkeypatch.setattr(os, "fsync", others.append)
    monkeypatch.setattr(checkpoint_module, "flush_data", others.append)
    assert disk.during(lambda: put_often(keystore, 10)) == 10
    assert others == []


@pytest.mark.parametrize("level", LEVELS)
def test_lmdb_itself_never_flushes_a_keystore(store: Store, root: Path, level: str) -> None:
    store.create("a", durability=level)
    store["a"]["key"] = 0
    environment = opened(root)
    flags = environment.handle.flags()
    assert (flags["sync"], flags["metasync"]) == (False, False)


def test_reading_flushes_nothing(store: Store, disk: Disk) -> None:
    keystore = store["a"]
    keystore["key"] = 0

    def read() -> None:
        keystore.get("key")
        list(keystore.scan())
        keystore.entry("key")
        with keystore.view() as view:
            view.get("key")

    assert disk.during(read) == 0


def refused_del(keystore: Keystore, key: str) -> None:
    with pytest.raises(KeyNotFoundError):
        del keystore[key]


NO_OPS: dict[str, Callable[[Any], object]] = {
    "add": lambda keystore: keystore.add("key", 2),
    "replace": lambda keystore: keystore.replace("key", 2, expected="another"),
    "replace by revision": lambda keystore: keystore.replace("key", 2, revision=0),
    "del": lambda keystore: refused_del(keystore, "absent"),
    "delete_many": lambda keystore: keystore.delete_many(["absent"]),
    "pop": lambda keystore: keystore.pop("absent", None),
    "setdefault": lambda keystore: keystore.setdefault("key", 2),
    "expire": lambda keystore: keystore.expire("absent", 1),
    "sync": lambda keystore: keystore.sync(),
}


@contextmanager
def thread_of(work: Callable[[], object]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize("no_op", NO_OPS.values(), ids=NO_OPS)
def test_what_finds_nothing_to_do_waits_for_the_flush_of_what_it_has_seen(
    store: Store, disk: Disk, monkeypatch: pytest.MonkeyPatch, no_op: Callable[[Keystore], object]
) -> None:
    # Otherwise a power loss could undo what it saw, and so what it answered.
    keystore = store["a"]
    keystore["other"] = 1
    waiting, answered = threading.Event(), []
    flush = journal_module.Journal.flush

    def noticed(journal: journal_module.Journal, end: int) -> None:
        if disk.begun.is_set():
            waiting.set()
        flush(journal, end)

    def ask() -> None:
        no_op(keystore)
        answered.append(disk.flushed.is_set())
        waiting.set()

    disk.hold()
    with thread_of(lambda: keystore.put("key", 1)):
        assert disk.begun.wait(PATIENCE)
        disk.flushed.clear()
        monkeypatch.setattr(journal_module.Journal, "flush", noticed)
        with thread_of(ask):
            waiting.wait(0.2)  # for the flush, unless it stands in the line behind who is flushing
            assert answered == []
            disk.go_on.set()
    assert answered == [True]


@pytest.mark.parametrize("no_op", NO_OPS.values(), ids=NO_OPS)
def test_what_finds_nothing_to_do_flushes_what_another_process_wrote(
    root: Path, disk: Disk, no_op: Callable[[Keystore], object]
) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["other"] = 1
        with Elsewhere(root) as other:
            other.run("real = journal.flush_data")
            other.run("journal.flush_data = lambda descriptor: (print('flushing', flush=True), sys.stdin.readline())")
            other.begin("keystore.put('key', 1)")
            other.expect("flushing")
            assert disk.during(lambda: no_op(store["a"])) == 1
            other.begin("go on")
            other.expect("done")


# -- normal --------------------------------------------------------------------------------------------------------


@pytest.fixture
def normal(root: Path) -> Iterator[Keystore]:
    """An address at the level normal that nobody flushes for a while."""
    with pronto_lmdb.open(root, durability="normal") as store:
        store.config["flush_interval"] = "3600"
        store["a"]["key"] = 0
        store["a"].sync()
        yield store["a"]


def test_a_write_at_normal_does_not_wait_for_the_disk(normal: Keystore, disk: Disk) -> None:
    assert disk.during(lambda: put_often(normal, 100)) == 0
    assert disk.during(lambda: normal.add("key", 1)) == 0


def test_a_write_at_normal_is_flushed_in_the_background_although_nothing_follows(root: Path, disk: Disk) -> None:
    with pronto_lmdb.open(root, durability="normal") as store:
        store.config["flush_interval"] = str(SOON)
        for number in range(3):
            disk.flushed.clear()
            store["a"]["key"] = number
            assert disk.flushed.wait(PATIENCE)
        assert threading.get_ident() not in disk.threads


def test_many_writes_at_normal_share_a_flush(root: Path, disk: Disk) -> None:
    with pronto_lmdb.open(root, durability="normal") as store:
        store.config["flush_interval"] = "0.5"
        for number in range(200):
            store["a"]["key"] = number
        assert disk.flushed.wait(PATIENCE)
    assert disk.flushes < 100


def test_each_address_is_flushed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: set[int] = set()
    everything = threading.Event()

    def flush(descriptor: int) -> None:
        flushed.add(os.fstat(descriptor).st_ino)
        if len(flushed) == 5:
            everything.set()

    monkeypatch.setattr(journal_module, "flush_data", flush)
    with pronto_lmdb.open(root, durability="normal") as store:
        store.config["flush_interval"] = str(SOON)
        for name in "abcde":
            store[name]["key"] = 1
        assert everything.wait(PATIENCE)


def test_a_long_interval_of_one_store_does_not_delay_another(
    root: Path, tmp_path: Path, normal: Keystore, disk: Disk
) -> None:
    normal["key"] = 1
    with pronto_lmdb.open(tmp_path / "other", durability="normal") as other:
        other.config["flush_interval"] = str(SOON)
        other["b"]["key"] = 1
        assert disk.flushed.wait(5)


def test_sync_at_normal_flushes_once(normal: Keystore, disk: Disk) -> None:
    normal.update({"one": 1})
    normal.update({"two": 2})
    assert disk.during(normal.sync) == 1
    assert disk.during(normal.sync) == 0


def test_sync_at_normal_flushes_what_another_process_wrote(root: Path, normal: Keystore, disk: Disk) -> None:
    with Elsewhere(root) as other:
        other.run("keystore.put('key', 1)")
        assert disk.during(normal.sync) == 1


def test_closing_the_store_flushes(root: Path, disk: Disk) -> None:
    with pronto_lmdb.open(root, durability="normal") as store:
        store.config["flush_interval"] = "3600"
        for name in "abc":
            store[name]["key"] = 1
        before = disk.flushes
    assert disk.flushes - before == 3


def test_closing_one_of_two_stores_flushes_what_it_wrote(root: Path, normal: Keystore, disk: Disk) -> None:
    with pronto_lmdb.open(root) as other:
        other["a"]["key"] = 1
        before = disk.flushes
    assert disk.flushes - before == 1
    assert normal["key"] == 1


def test_a_store_that_wrote_nothing_closes_without_a_flush(root: Path, disk: Disk) -> None:
    with pronto_lmdb.open(root, durability="normal") as store:
        store["a"]["key"] = 1
    with pronto_lmdb.open(root) as store:
        store["a"].get("key")
        before = disk.flushes
    assert disk.flushes == before


def test_an_address_that_makes_room_for_others_is_flushed_first(
    root: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pronto_lmdb.pool.capacity", lambda: 8)
    with pronto_lmdb.open(root, durability="normal") as store:
        store.config["flush_interval"] = "3600"
        for number in range(20):
            store[f"a{number}"]["key"] = 1
        assert disk.flushes >= 20 - 8


ENDS = {
    "the end of the program": "",
    "sys.exit": "sys.exit(0)",
    "an error": "raise SystemExit",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_process_that_ends_without_closing_flushes(
    root: Path, in_another_process: Callable[..., Any], tmp_path: Path, end: str
) -> None:
    program = f"""
        import sys, pronto_lmdb
        from pronto_lmdb import journal
        flush = journal.flush_data
        def noticed(descriptor):
            flush(descriptor)
            open(sys.argv[2], "a").write("flushed ")
        store = pronto_lmdb.open(sys.argv[1], durability="normal")
        store.config["flush_interval"] = "3600"
        store["a"]["key"] = 1
        journal.flush_data = noticed
        store["a"]["key"] = 2
        {end}
        """
    in_another_process(program, root, tmp_path / "told")
    assert (tmp_path / "told").read_text() == "flushed "


@forks
def test_a_fork_flushes_first_and_the_child_flushes_on_its_own(root: Path, normal: Keystore, disk: Disk) -> None:
    normal["key"] = 1
    before = disk.flushes
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            disk.flushed.clear()
            with pronto_lmdb.open(root) as store:
                store["a"]["key"] = 2
            code = 0 if disk.flushed.is_set() else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert disk.flushes - before == 1
    assert normal["key"] == 2


def test_a_write_at_normal_is_flushed_at_once_where_no_thread_can_be_started(
    root: Path, normal: Keystore, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    environment, flusher = opened(root), flusher_module.flusher
    assert isinstance(environment, JournaledEnvironment)
    assert environment.journal is not None
    flusher.forget(environment.journal)
    deadline = time.monotonic() + PATIENCE
    while flusher._alive:  # it has nothing to do, and ends
        assert time.monotonic() < deadline
        time.sleep(0.001)
    with monkeypatch.context() as patch:
        patch.setattr(flusher_module, "start_new_thread", refuse)
        assert disk.during(lambda: normal.put("key", 1)) == 1
        assert disk.during(lambda: normal.put("key", 2)) == 1
    assert disk.during(lambda: normal.put("key", 3)) == 0
    assert disk.during(normal.sync) == 1


@pytest.mark.parametrize("interval", ["0", "-1", "nan", "inf", "3601", "soon", "", 1])
def test_an_interval_that_cannot_be_is_refused(store: Store, interval: Any) -> None:
    with pytest.raises(InvalidValueError, match="flush_interval"):
        store.config["flush_interval"] = interval
    assert store.config.effective("flush_interval") == 1


def test_the_interval_comes_from_the_environment_else_the_setting(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.config["flush_interval"] = "2.5"
    assert store.config.effective("flush_interval") == 2.5
    monkeypatch.setenv("PRONTO_FLUSH_INTERVAL", "0.25")
    assert store.config.effective("flush_interval") == 0.25


def test_an_interval_that_cannot_be_read_refuses_a_write_before_it_happens(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pronto_lmdb.open(root, durability="normal") as store:
        store.create("a")
        monkeypatch.setenv("PRONTO_FLUSH_INTERVAL", "soon")
        with pytest.raises(InvalidValueError, match="flush_interval"):
            store["a"]["key"] = 1
        assert "key" not in store["a"]


# -- off -----------------------------------------------------------------------------------------------------------


def test_a_write_at_off_flushes_nothing_and_leaves_the_journal_alone(root: Path, disk: Disk) -> None:
    with pronto_lmdb.open(root, durability="off") as store:
        store.create("a")
        (journal,) = home(root).glob("journal-*")
        content = journal.read_bytes()
        store["a"].update({f"k{number}": number for number in range(100)})
        assert (disk.flushes, journal.read_bytes()) == (0, content)


def test_sync_at_off_makes_a_base_that_holds_everything(root: Path) -> None:
    with pronto_lmdb.open(root, durability="off") as store:
        keystore = store["a"]
        keystore.update({"one": 1, "two": 2})
        assert not (home(root) / "base").exists()
        keystore.sync()
        assert (home(root) / "base").exists()
        keystore["one"] = 3
        keystore.put("lease", 1, ttl=3600)
        revision = keystore.revision
        keystore.sync()
        keystore["lost"] = 1
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"one": 3, "two": 2, "lease": 1}
        assert store["a"].revision == revision
        assert store["a"].ttl("lease") is not None


def test_revisions_at_off_grow_with_every_commit_and_survive_reopening(root: Path) -> None:
    seen = []
    for _ in range(3):
        with pronto_lmdb.open(root, durability="off") as store:
            store["a"]["key"] = 1
            seen.append(store["a"].revision)
            store["a"].put("lease", 1, ttl=60)
            seen.append(store["a"].revision)
            store["a"].sync()
            store["a"].add("key", 1)
            give_up(store["a"])
            seen.append(store["a"].revision)
    assert seen == [1, 2, 2, 3, 4, 4, 5, 6, 6]


# -- sync ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_after_sync_nothing_is_lost_with_the_power(root: Path, level: str) -> None:
    with pronto_lmdb.open(root, durability=level) as store:
        store["a"].update({"one": 1, "two": 2})
        store["a"].sync()
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"one": 1, "two": 2}


def test_sync_of_an_absent_address_creates_nothing(store: Store, root: Path) -> None:
    store["a"].sync()
    assert not root.exists()
    store["b"]["key"] = 1
    store["a"].sync()
    assert not store.exists("a")


@pytest.mark.parametrize("level", LEVELS)
def test_sync_works_where_a_store_only_reads(root: Path, level: str) -> None:
    with pronto_lmdb.open(root, durability=level) as writer:
        writer.config["flush_interval"] = "3600"
        writer["a"]["key"] = 1
        with pronto_lmdb.open(root, readonly=True) as reader:
            assert reader["a"]["key"] == 1
            reader["a"].sync()
            reader["absent"].sync()
            saved = copytree(root, root.parent / "saved")
    lose_power(saved)
    with pronto_lmdb.open(saved) as store:
        assert store["a"]["key"] == 1


def test_sync_of_a_closed_store_is_refused(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        keystore = store["a"]
        keystore["key"] = 1
    with pytest.raises(pronto_lmdb.StoreClosedError):
        keystore.sync()


def test_sync_inside_a_transaction_of_the_same_thread_is_refused(store: Store) -> None:
    with store["a"].transaction() as transaction:
        transaction["key"] = 1
        with pytest.raises(pronto_lmdb.ConflictError):
            store["a"].sync()


# -- a disk that refuses -------------------------------------------------------------------------------------------


def failing(disk: Disk, keystore: Keystore, value: object = "unsafe") -> StoreFullError:
    """Let the flush of a write fail, and return what the writer is told."""
    disk.error = errno.EIO
    with pytest.raises(StoreFullError) as caught:
        keystore["key"] = value  # type: ignore[assignment]
    return caught.value


def test_a_failed_flush_tells_that_the_write_is_visible_and_not_safe(store: Store, disk: Disk) -> None:
    store["a"]["key"] = "safe"
    error = failing(disk, store["a"])
    assert "visible" in str(error)
    assert "a.default" in str(error)
    assert error.hint
    assert store["a"]["key"] == "unsafe"


def test_reading_goes_on_after_a_failed_flush(store: Store, disk: Disk) -> None:
    store["a"]["key"] = "safe"
    failing(disk, store["a"])
    with store["a"].view() as view:
        assert (view["key"], len(view), list(store["a"])) == ("unsafe", 1, ["key"])


def test_the_next_write_to_a_disk_that_is_well_again_saves_everything(root: Path, disk: Disk) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = "safe"
        failing(disk, store["a"])
        before = journals(root)
        disk.error = None
        store["a"]["later"] = 1
        assert len(journals(root)) == 1
        assert journals(root) != before
        assert (home(root) / "base").exists()
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"key": "unsafe", "later": 1}


@pytest.mark.parametrize("no_op", NO_OPS.values(), ids=NO_OPS)
def test_nothing_is_answered_through_a_journal_whose_flush_failed(
    root: Path, disk: Disk, no_op: Callable[[Keystore], object]
) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = "safe"
        failing(disk, store["a"])
        before = journals(root)
        disk.error = None
        no_op(store["a"])
        assert journals(root) != before
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert store["a"]["key"] == "unsafe"


def test_nobody_is_told_that_his_write_is_safe_while_the_flush_that_covers_it_fails(store: Store, disk: Disk) -> None:
    store["a"]["key"] = 0
    errors: list[StoreFullError] = []
    disk.hold()
    disk.error = errno.EIO

    def write(name: str) -> None:
        # In a transaction: whoever uses a verb would wait in the line until the first flush has failed.
        try:
            with store["a"].transaction() as transaction:
                transaction[name] = 1
        except StoreFullError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(f"k{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    assert disk.begun.wait(PATIENCE)
    while len(store["a"]) < 7:  # all of them wait for a flush
        threading.Event().wait(0.001)
    disk.go_on.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(errors) == 6


def test_another_process_does_not_go_on_behind_a_failed_flush(
    root: Path, disk: Disk, in_another_process: Callable[..., Any]
) -> None:
    program = """
        import json, sys, pronto_lmdb
        with pronto_lmdb.open(sys.argv[1]) as store:
            print(json.dumps([store["a"]["key"], store["a"].add("key", "mine")]))
        """
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = "safe"
        failing(disk, store["a"])
        before = journals(root)
        assert in_another_process(program, root) == ["unsafe", False]
        assert journals(root) != before
        disk.error = None
        store["a"]["later"] = 1
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"key": "unsafe", "later": 1}


def test_what_failed_to_be_flushed_counts_as_safe_once_somebody_saved_it(root: Path, disk: Disk) -> None:
    # The checkpoint of another process may end while a flush is on its way to fail.
    with pronto_lmdb.open(root) as store, Elsewhere(root) as other:
        store["a"]["key"] = 0
        other.run("keystore.put('key', 1)")
        told: list[BaseException] = []

        def write() -> None:
            try:
                store["a"]["key"] = 2
            except StoreFullError as error:
                told.append(error)

        disk.hold()
        disk.error = errno.EIO
        with thread_of(write):
            assert disk.begun.wait(PATIENCE)
            other.run(f"keystore.put('large', 'x' * {MIB + 1})")
            disk.go_on.set()
        assert told == []
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert store["a"]["key"] == 2


def test_what_two_checkpoints_have_saved_is_not_reported_as_refused(root: Path, disk: Disk) -> None:
    with pronto_lmdb.open(root, durability="normal") as store, Elsewhere(root) as other:
        store.config["flush_interval"] = "3600"
        store["a"]["mine"] = 1
        for size in (MIB, 4 * MIB):
            other.run(f"keystore.put('large', 'x' * {size + 1})")
        disk.error = errno.EIO
        store.close()
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert store["a"]["mine"] == 1


def test_a_refused_flush_is_reported_as_such_even_if_the_view_has_lost_pages(
    root: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> State:
        raise CorruptStoreError("A page is of the wrong type.", "Check the store.")

    with pronto_lmdb.open(root, durability="normal") as store:
        store["a"]["key"] = 1
        disk.error = errno.EIO
        with monkeypatch.context() as patches:
            patches.setattr(State, "read", unreadable)
            with pytest.raises(StoreFullError, match="refuses to keep it"):
                store["a"].sync()
        disk.error = None
        store["a"]["key"] = 2
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert store["a"]["key"] == 2


def test_heals_that_fail_again_and_again_let_the_journal_grow_no_further(root: Path, disk: Disk) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 0
        disk.error = errno.EIO
        for number in range(80):
            with pytest.raises(StoreFullError):
                store["a"]["key"] = number
        assert stored_state(root).limit <= 2 * MIB
        disk.error = None
        store["a"]["key"] = "well"
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert store["a"]["key"] == "well"


def test_who_opens_a_journal_waits_for_a_flush_no_longer_than_its_time_out(root: Path, disk: Disk) -> None:
    # Only then is it known whether that flush failed.
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 0
    with Elsewhere(root) as other:
        other.run("journal.flush_data = lambda descriptor: (print('flushing', flush=True), sys.stdin.readline())")
        other.begin("keystore.put('key', 1)")
        other.expect("flushing")
        with pronto_lmdb.open(root, timeout=0.05) as store:
            with pytest.raises(LockTimeoutError, match=r"a\.default"):
                store["a"]["key"] = 2
            assert store["a"]["key"] == 1
            other.begin("go on")
            other.expect("done")
            store["a"]["key"] = 2


def test_a_failed_flush_in_the_background_is_healed_by_the_next_write(root: Path, disk: Disk) -> None:
    with pronto_lmdb.open(root, durability="normal") as store:
        store.config["flush_interval"] = str(SOON)
        store["a"]["key"] = 0
        assert disk.flushed.wait(PATIENCE)
        before = journals(root)
        disk.begun.clear()
        disk.error = errno.EIO
        store["a"]["key"] = 1
        assert disk.begun.wait(PATIENCE)
        environment = opened(root)
        while not environment.journal.spoiled:  # type: ignore[attr-defined]
            threading.Event().wait(0.001)
        disk.error = None
        store["a"]["key"] = 2
        assert journals(root) != before
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert store["a"]["key"] == 2


def test_closing_tells_that_the_disk_refuses_what_was_acknowledged_before(root: Path, disk: Disk) -> None:
    store = pronto_lmdb.open(root, durability="normal")
    store.config["flush_interval"] = "3600"
    store["a"]["key"] = 1
    disk.error = errno.EIO
    with pytest.raises(StoreFullError, match=r"a\.default"):
        store.close()
    assert store.closed
    disk.error = None
    with pronto_lmdb.open(root) as again:
        assert again["a"]["key"] == 1
        again["a"]["key"] = 2


def test_a_heal_that_fails_refuses_writes_and_keeps_reading(root: Path, disk: Disk) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = "safe"
        failing(disk, store["a"])
        before = journals(root)
        for write in (lambda: store["a"].put("later", 1), lambda: store["a"].add("key", 1), store["a"].sync):
            with pytest.raises(StoreFullError, match=r"a\.default"):
                write()
            assert dict(store["a"]) == {"key": "unsafe"}
            assert journals(root) == before
        disk.error = None
        store["a"]["later"] = 1
        assert dict(store["a"]) == {"key": "unsafe", "later": 1}
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"key": "unsafe", "later": 1}


# -- a write that is refused ---------------------------------------------------------------------------------------


class Writes:
    """Stands in for the writes of a journal: the next one does part of its work, and then fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._write = os.pwrite
        self.error: BaseException | None = None
        self.part = 1.0
        monkeypatch.setattr(os, "pwrite", self)

    def __call__(self, descriptor: int, content: Any, place: int) -> int:
        if self.error is None:
            return self._write(descriptor, content, place)
        error, self.error = self.error, None
        self._write(descriptor, bytes(content)[: round(len(content) * self.part)], place)
        raise error


@pytest.mark.parametrize("part", [0, 0.5, 1])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()], ids=["a full disk", "Ctrl-C"])
def test_a_write_that_was_refused_is_not_visible_and_never_appears(
    root: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, part: float
) -> None:
    writes = Writes(monkeypatch)
    with pronto_lmdb.open(root) as store:
        store["a"]["one"] = 1
        store["a"]["two"] = 2
        writes.error, writes.part = error, part
        with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else StoreFullError):
            store["a"]["refused"] = 3
        assert dict(store["a"]) == {"one": 1, "two": 2}
        saved = copytree(root, root.parent / "saved")
        store["a"]["four"] = 4
        assert store["a"].revision == 3
    for path, last in ((saved, {}), (root, {"four": 4})):
        lose_power(path)
        with pronto_lmdb.open(path) as store:
            assert dict(store["a"]) == {"one": 1, "two": 2, **last}


def test_the_disk_is_asked_to_forget_a_refused_write_before_the_writer_is_told(
    store: Store, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    store["a"]["one"] = 1
    Writes(monkeypatch).error = OSError(errno.ENOSPC, "full")
    before = disk.flushes
    with pytest.raises(StoreFullError):
        store["a"]["refused"] = 1
    assert disk.flushes - before == 1


def test_a_write_that_can_neither_be_kept_nor_forgotten_is_told_so_and_the_next_one_heals(
    root: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["one"] = 1
        before = journals(root)
        Writes(monkeypatch).error = OSError(errno.EIO, "broken")
        disk.error = errno.EIO
        with pytest.raises(StoreFullError, match="may appear"):
            store["a"]["refused"] = 1
        assert dict(store["a"]) == {"one": 1}
        disk.error = None
        store["a"]["two"] = 2
        assert journals(root) != before
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"one": 1, "two": 2}


# -- several processes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["full", "normal"])
def test_processes_that_take_turns_leave_one_journal_with_everything(root: Path, level: str) -> None:
    expected = {}
    with pronto_lmdb.open(root, durability=level) as store:
        store["a"]["k"] = 0
        with Elsewhere(root) as other:
            for turn, count in enumerate([1, 3, 100, 2, 70, 1]):
                for number in range(count):
                    store["a"][f"here{turn}.{number}"] = expected[f"here{turn}.{number}"] = number
                other.run(f"for number in range({count}): keystore[f'there{turn}.{{number}}'] = number")
                expected |= {f"there{turn}.{number}": number for number in range(count)}
            assert store["a"].revision == len(expected) + 1
            other.run("keystore.sync()")
        assert len(journals(root)) == 1
        assert not (home(root) / "base").exists()
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"k": 0, **expected}
        assert store["a"].revision == len(expected) + 1


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_a_process_goes_on_where_a_killed_one_ended(root: Path, count: int) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 0
        with Elsewhere(root) as other:
            other.run(f"for number in range({count}): keystore[f'k{{number}}'] = number")
            other.begin("os.kill(os.getpid(), 9)")
        store["a"]["later"] = 1
        assert store["a"].entry("later").revision == count + 2
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert len(store["a"]) == count + 2
        assert store["a"].revision == count + 2


# -- the checkpoint ------------------------------------------------------------------------------------------------


def test_a_journal_that_outgrows_its_limit_is_replaced_by_a_base(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["small"] = 1
        before = journals(root)
        store["a"]["large"] = "x" * (MIB + 1)
        assert (home(root) / "base").exists()
        assert len(journals(root)) == 1
        assert journals(root) != before
        store["a"]["later"] = 1
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert {**store["a"], "large": ""} == {"small": 1, "large": "", "later": 1}


@pytest.mark.parametrize("level", ["full", "normal"])
def test_a_write_that_ends_in_a_checkpoint_survives_a_power_loss_at_once(root: Path, level: str) -> None:
    with pronto_lmdb.open(root, durability=level) as store:
        store.config["flush_interval"] = "3600"
        store["a"]["large"] = "x" * (MIB + 1)
        saved = copytree(root, root.parent / "saved")
    lose_power(saved)
    with pronto_lmdb.open(saved) as store:
        assert store["a"]["large"] == "x" * (MIB + 1)


def test_a_large_store_is_copied_only_when_three_times_as_much_was_written_again(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"].update({f"k{number}": "x" * 1_000 for number in range(4_000)})
        before = journals(root)
        for number in range(3):
            store["a"].update({f"k{number}": "y" * 1_000 for number in range(number * 700, number * 700 + 700)})
        assert journals(root) == before
        for _ in range(8):
            store["a"].update({f"k{number}": "z" * 1_000 for number in range(4_000)})
        assert journals(root) != before


FAILURES = ["copy_compact", "flush_data"]


@pytest.mark.parametrize("step", FAILURES)
def test_a_checkpoint_that_fails_fails_no_write_and_the_journal_goes_on(
    root: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pronto_lmdb.open(root) as store:
        store["a"]["small"] = 1
        before, limit = journals(root), stored_state(root).limit
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint_module, step, refuse)
            store["a"]["large"] = "x" * (MIB + 1)
        assert sorted(path.name for path in home(root).iterdir()) == ["data.mdb", *before, "lock", "lock.mdb", "marker"]
        assert 1.9 * limit < stored_state(root).limit < 2.1 * limit
        assert stored_state(root).previous is None
        store["a"]["later"] = 1
        saved = copytree(root, root.parent / "saved")
        store["a"]["larger"] = "x" * (2 * MIB)
        assert (home(root) / "base").exists()
        assert stored_state(root).limit < 12 * MIB
    for path, keys in ((saved, ["large", "later", "small"]), (root, ["large", "larger", "later", "small"])):
        lose_power(path)
        with pronto_lmdb.open(path) as store:
            assert list(store["a"]) == keys


def test_a_sync_at_off_that_fails_says_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pronto_lmdb.open(root, durability="off") as store:
        store["a"]["key"] = 1
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint_module, "copy_compact", refuse)
            with pytest.raises(StoreFullError, match=r"a\.default") as caught:
                store["a"].sync()
            store["a"]["key"] = 2  # the writer lock is free, although somebody still has the error
            assert caught.value.hint
        store["a"].sync()
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert store["a"]["key"] == 2


def test_leaving_off_fails_where_not_everything_can_be_made_durable(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pronto_lmdb.open(root, durability="off") as store:
        store["a"]["key"] = 1
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint_module, "copy_compact", refuse)
            with pytest.raises(StoreFullError, match=r"a\.default") as caught:
                store.set_durability("a", "full")
            assert store.info("a").durability == "off"
            store["a"]["key"] = 2
            assert caught.value.hint
        store.set_durability("a", "full")
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert (store.info("a").durability, store["a"]["key"]) == ("full", 2)


def test_a_view_that_cannot_be_flushed_is_never_made_a_base(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The system may have dropped pages of it, and says so once.
    def refuse(*_: object) -> None:
        raise lmdb.DiskError("mdb_env_sync: Input/output error")

    with pronto_lmdb.open(root) as store:
        store["a"]["small"] = 1
        environment = opened(root)

        class Refusing:
            sync = refuse

            def __getattr__(self, name: str) -> Any:
                return getattr(handle, name)

        handle = environment.handle
        environment.handle = Refusing()  # type: ignore[assignment]
        store["a"]["large"] = "x" * (MIB + 1)
        store["a"]["later"] = 1
        assert not (home(root) / "base").exists()
        assert dict(store["a"])["small"] == 1
        environment.handle = handle
    (home(root) / "data.mdb").write_bytes(GARBAGE)
    with pronto_lmdb.open(root) as store:
        assert list(store["a"]) == ["large", "later", "small"]


def every_flush_is_a_step() -> None:
    """Let ``killed_at`` kill before the flush of a file as well; called in its child."""
    for module in (checkpoint_module, journal_module):
        module.flush_data = lambda descriptor: os.fsync(descriptor)  # type: ignore[attr-defined]


def outgrow(store: Store) -> None:
    store["a"]["large"] = "x" * (5 * MIB)


def save(store: Store) -> None:
    store["a"].sync()


def leave_off(store: Store) -> None:
    store.set_durability("a", "full")


def killed_at_each_step(root: Path, work: Callable[[Store], None]) -> Iterator[int]:
    """Yield with the store as it is when its user was killed before the first step of its work, the second, ..."""
    saved = root.parent / "saved"
    root.rename(saved)

    def run() -> None:
        every_flush_is_a_step()
        with pronto_lmdb.open(root) as store:
            work(store)

    for step in itertools.count():
        rmtree(root, ignore_errors=True)
        copytree(saved, root)
        with pronto_lmdb.open(root) as store:  # a copy is made anew first; that is not what is killed here
            store["a"].get("one")
        died = killed_at(step, run)  # type: ignore[no-untyped-call]
        yield step
        if not died:
            break
    assert step > 5, "nothing was killed"


@forks
@pytest.mark.parametrize("again", [False, True], ids=["the first", "a later one"])
@pytest.mark.parametrize(("level", "work"), [("full", outgrow), ("off", save), ("off", leave_off)])
def test_a_checkpoint_that_was_killed_anywhere_is_ended_by_the_next_writer(
    root: Path, level: str, work: Callable[[Store], None], again: bool
) -> None:
    with pronto_lmdb.open(root, durability=level) as store:
        store["a"].update({"one": 1, "two": 2})
        if again:
            store["a"]["before"] = "x" * (MIB + 1)
            store["a"].sync()
            store["a"]["two"] = 3
        expected = dict(store["a"])
    for step in killed_at_each_step(root, work):
        with pronto_lmdb.open(root, timeout=1) as store:
            found = dict(store["a"])
            found.pop("large", None)
            assert found == expected, step
            store["a"]["next"] = step
            store["a"].sync()
            assert not (home(root) / "base.tmp").exists()
            assert stored_state(root).previous is None
            found = dict(store["a"])
        lose_power(root)
        with pronto_lmdb.open(root) as store:
            assert dict(store["a"]) == found, step
            assert len(journals(root)) == 1


@forks
@pytest.mark.parametrize("ended", [False, True], ids=["at once", "after the next writer"])
@pytest.mark.parametrize(("level", "work"), [("full", outgrow), ("off", save)])
def test_a_power_loss_right_behind_a_killed_checkpoint_loses_nothing_that_was_safe(
    root: Path, level: str, work: Callable[[Store], None], ended: bool
) -> None:
    with pronto_lmdb.open(root, durability=level) as store:
        store["a"].update({"one": 1, "two": 2})
        store["a"].sync()
        expected = dict(store["a"])
    for step in killed_at_each_step(root, work):
        if ended:
            with pronto_lmdb.open(root, timeout=1) as store:
                assert store["a"].add("one", 0) is False  # enough to look after what the killed one left
        lose_power(root)
        with pronto_lmdb.open(root) as store:
            found = dict(store["a"])
            found.pop("large", None)
            assert found == expected, step
            store["a"]["next"] = step
            assert len(journals(root)) == 1


# -- a journal that somebody else harms ----------------------------------------------------------------------------


def replace_file(path: Path) -> None:
    path.unlink()
    path.write_bytes(GARBAGE)


HARM: dict[str, Callable[[Path], object]] = {
    "removed": lambda journal: journal.unlink(),
    "emptied": lambda journal: os.truncate(journal, 0),
    "truncated": lambda journal: os.truncate(journal, 150),
    "replaced": replace_file,
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_a_journal_harmed_by_hand_is_replaced_by_the_next_writer(root: Path, harm: Callable[[Path], object]) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"].update({"one": 1})
        store["a"].update({"two": 2})
    (journal,) = home(root).glob("journal-*")
    harm(journal)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"one": 1, "two": 2}
        store["a"]["three"] = 3
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"one": 1, "two": 2, "three": 3}


@pytest.mark.parametrize("harm", ["removed", "emptied", "truncated"])
def test_a_journal_harmed_by_hand_under_an_open_store_is_replaced_by_the_next_write(root: Path, harm: str) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"].update({"one": 1})
        store["a"].update({"two": 2})
        (journal,) = home(root).glob("journal-*")
        HARM[harm](journal)
        store["a"]["three"] = 3
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"one": 1, "two": 2, "three": 3}


# -- progress ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_writers_that_change_nothing_get_through_while_others_read_all_the_time(store: Store, level: str) -> None:
    store.create("a", durability=level)
    keystore = store["a"]
    keystore.update({f"k{number}": number for number in range(100)})
    stop = threading.Event()
    wrong: list[object] = []

    def spin() -> None:
        while not stop.is_set():
            if keystore.get("k7") != 7:
                wrong.append(keystore.get("k7"))

    def write() -> None:
        for _ in range(5):
            if keystore.delete_many(["absent"]) != 0 or keystore.add("k7", 1):
                wrong.append("a change")
            give_up(keystore)

    readers = [threading.Thread(target=spin, daemon=True) for _ in range(4)]
    writers = [threading.Thread(target=write, daemon=True) for _ in range(2)]
    for thread in readers + writers:
        thread.start()
    try:
        for thread in writers:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in writers)
    finally:
        stop.set()
        for thread in readers:
            thread.join(PATIENCE)
    assert wrong == []


# -- closing beside a writer ---------------------------------------------------------------------------------------


def test_what_is_written_while_an_address_is_closed_to_make_room_is_flushed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    try_close, flush = JournaledEnvironment.try_close, journal_module.flush_data

    def write_and_close(environment: JournaledEnvironment) -> bool:
        monkeypatch.setattr(JournaledEnvironment, "try_close", try_close)
        keystore.put("late", 1)
        flushed.clear()
        return try_close(environment)

    def flush_and_tell(descriptor: int) -> None:
        flush(descriptor)
        flushed.append(descriptor)

    with pronto_lmdb.open(root, durability="normal") as store:
        store.config["flush_interval"] = "3600"
        keystore = store["a"]
        keystore["early"] = 1
        keystore.sync()
        monkeypatch.setattr(journal_module, "flush_data", flush_and_tell)
        monkeypatch.setattr(JournaledEnvironment, "try_close", write_and_close)
        (environment,) = (opened for opened in pool.environments() if opened.is_keystore)
        pool.discard(environment)
        assert environment.closed
        assert flushed
        assert dict(keystore) == {"early": 1, "late": 1}
