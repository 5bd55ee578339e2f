"""Eight processes with four threads each work on two addresses; what they saw fits one order of events."""

from __future__ import annotations

import random
import threading
import traceback
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from histories import Event, violations
from processes import gathered

import pronto_lmdb

if TYPE_CHECKING:
    from pathlib import Path

    from pronto_lmdb import Keystore

pytestmark = pytest.mark.disk

PROCESSES = 8
THREADS = 4
KEYS = [f"k{number}" for number in range(5)]
ADDRESSES = ("full", "normal")


class Agent:
    """A thread's work, and what it did and saw."""

    def __init__(self, keystores: list[Keystore], name: str) -> None:
        self.keystores = keystores
        self.name = name
        self.random = random.Random(name)
        self.events: list[Event] = []
        self.count = 0

    def step(self) -> None:
        keystore = self.random.choice(self.keystores)
        key = self.random.choice(KEYS)
        work = self.random.choices(
            [
                self.write,
                self.read,
                self.increment,
                self.replace,
                self.batch,
                self.pair,
                self.view,
                self.queue,
                self.ask,
            ],
            weights=[15, 25, 12, 12, 10, 10, 8, 6, 4],
        )[0]
        self.count += 1
        work(keystore, f"{keystore.address}:{key}", key)

    def note(self, kind: str, key: str, begin: float, answer: object = None, other: object = None) -> None:
        self.events.append(Event(kind, key, begin, monotonic(), answer, other))

    def write(self, keystore: Keystore, name: str, key: str) -> None:
        value, begin = f"{self.name}.{self.count}", monotonic()
        if self.count % 2:
            keystore[key] = value
        else:
            with keystore.transaction() as transaction:
                transaction[key] = value
        self.note("write", name, begin, value)

    def read(self, keystore: Keystore, name: str, key: str) -> None:
        begin = monotonic()
        try:
            entry = keystore.entry(key)
        except pronto_lmdb.KeyNotFoundError:
            return  # nobody has written it yet
        self.note("read", name, begin, entry.value, entry.revision)

    def ask(self, keystore: Keystore, name: str, key: str) -> None:
        begin = monotonic()
        self.note("revision", str(keystore.address), begin, keystore.revision)

    def increment(self, keystore: Keystore, name: str, key: str) -> None:
        verbs = [
            lambda: keystore.increment("count"),
            lambda: keystore.modify("count", lambda value: value + 1, default=0),
            lambda: self.counted(keystore),
        ]
        begin = monotonic()
        answer = self.random.choice(verbs)()
        self.note("increment", str(keystore.address), begin, answer)

    def counted(self, keystore: Keystore) -> int:
        with keystore.transaction() as transaction:
            count = int(str(transaction.get("count", 0))) + 1
            transaction["count"] = count
        return count

    def replace(self, keystore: Keystore, name: str, key: str) -> None:
        """Replace a value that is never the same twice, by comparison."""
        keystore.add("swap", "first")
        begin = monotonic()
        entry = keystore.entry("swap")
        value = f"{self.name}.{self.count}"
        by_value: dict[str, Any] = {"expected": entry.value}
        by_revision: dict[str, Any] = {"revision": entry.revision}
        if keystore.replace("swap", value, **(by_value if self.count % 2 else by_revision)):
            self.note("replace", str(keystore.address), begin, entry.value)

    def batch(self, keystore: Keystore, name: str, key: str) -> None:
        value = f"{self.name}.{self.count}"
        keystore.update({"left": value, "middle": self.count, "right": value})

    def pair(self, keystore: Keystore, name: str, key: str) -> None:
        begin = monotonic()
        found = keystore.get_many(["left", "right"])
        self.note("pair", str(keystore.address), begin, found.get("left"), found.get("right"))

    def view(self, keystore: Keystore, name: str, key: str) -> None:
        begin = monotonic()
        with keystore.view() as view:
            first = (view.revision, view.get(key), view.get("left"), len(view))
            self.note("pair", str(keystore.address), begin, view.get("left"), view.get("right"))
            keystore.increment("aside")
            self.note("revision", str(keystore.address), begin, view.revision)
            again = (view.revision, view.get(key), view.get("left"), len(list(view)))
        self.note("twice", str(keystore.address), begin, first, again)

    def queue(self, keystore: Keystore, name: str, key: str) -> None:
        keystore.add(f"queue.{self.name}.{self.count}", self.name)
        for waiting in keystore.scan_keys("queue.", limit=3):
            begin = monotonic()
            if keystore.pop(waiting, None) is not None:
                self.note("pop", str(keystore.address), begin, waiting)
                return


def _work(root: Path, process: int, seconds: float, answers: Any) -> None:
    events: list[Event] = []
    failures: list[str] = []

    def run(agent: Agent) -> None:
        end = monotonic() + seconds
        try:
            while monotonic() < end:
                agent.step()
        except Exception:
            failures.append(traceback.format_exc())
        events.extend(agent.events)

    with pronto_lmdb.open(root, timeout=60) as store:
        keystores = [store[name] for name in ADDRESSES]
        agents = [Agent(keystores, f"p{process}t{number}") for number in range(THREADS)]
        threads = [threading.Thread(target=run, args=(agent,)) for agent in agents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    answers.put((failures, events))


def run(root: Path, seconds: float) -> list[Event]:
    """Let the processes work; return what they did and saw, and what was left in the end."""
    with pronto_lmdb.open(root) as store:
        for level in ADDRESSES:
            store.create(level, durability=level)
    found = gathered([(_work, (root, number, seconds)) for number in range(PROCESSES)], timeout=seconds + 240)
    assert [failure for failures, _ in found for failure in failures] == []
    return [event for _, events in found for event in events]


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
def test_what_processes_did_and_saw_fits_one_order(root: Path, seconds: int) -> None:
    events = run(root, seconds)
    assert violations(events) == []
    assert {event.kind for event in events} == {
        "write",
        "read",
        "revision",
        "increment",
        "replace",
        "pop",
        "pair",
        "twice",
    }
    with pronto_lmdb.open(root) as store:
        for name in ADDRESSES:
            keystore = store[name]
            increments = [event for event in events if (event.kind, event.key) == ("increment", f"{name}.default")]
            assert keystore["count"] == len(increments)
            assert keystore.revision >= max(
                int(str(event.answer)) for event in events if (event.kind, event.key) == ("revision", f"{name}.default")
            )
        assert store.check(deep=True).problems == []


# -- the validator itself --------------------------------------------------------------------------------------------

FINE = [
    Event("write", "k", 0, 1, "x"),
    Event("write", "k", 2, 3, "y"),
    Event("read", "k", 1.5, 1.8, "x", 1),
    Event("read", "k", 2.5, 2.6, "x", 1),
    Event("read", "k", 2.5, 2.6, "y", 2),
    Event("read", "k", 4, 5, "y", 2),
    Event("increment", "c", 0, 1, 1),
    Event("increment", "c", 0, 1, 2),
    Event("revision", "a", 0, 1, 7),
    Event("revision", "a", 2, 3, 7),
    Event("replace", "a", 0, 1, "p"),
    Event("pop", "a", 0, 1, "p"),
    Event("pair", "a", 0, 1, "q", "q"),
    Event("twice", "a", 0, 1, (1, 2), (1, 2)),
]


def test_a_history_that_is_fine_is_found_fine() -> None:
    assert violations(FINE) == []


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Event("read", "k", 4, 5, "x", 1), "revision 1 came after 2"),
        (Event("read", "k", 1.2, 1.3, "y", 2), "before it was written"),
        (Event("read", "k", 4, 5, "z", 3), "nobody wrote it"),
        (Event("read", "k", 4, 5, "y", 3), "two revisions"),
        (Event("revision", "a", 4, 5, 6), "revision 6 came after 7"),
        (Event("increment", "c", 4, 5, 2), "3 increments, 2 different answers"),
        (Event("increment", "c", 4, 5, 4), "3 increments, 3 different answers up to 4"),
        (Event("replace", "a", 4, 5, "p"), "was replaced 2 times"),
        (Event("pop", "a", 4, 5, "p"), "was popped 2 times"),
        (Event("pair", "a", 4, 5, "q", "r"), "in halves"),
        (Event("twice", "a", 4, 5, (1, 2), (1, 3)), "changed its answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_kind_of_violation_is_found(event: Event, said: str) -> None:
    assert [text for text in violations([*FINE, event]) if said in text]
