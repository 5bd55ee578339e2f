"""Addresses change their names under load, and no acknowledged write is lost, and nothing old is seen.

Threads of several processes write keys that nobody else writes, through handles that they have had all the time. One
process deletes, undeletes, renames, compacts and purges what they write to, and keeps a book: which keystore may have
had which name from when until when. In the end each key must lie in a keystore that had the name while the key was
written, and whoever read which keystore it was must have read one that had the name then.
"""

from __future__ import annotations

import random
import threading
import traceback
from collections import defaultdict
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from processes import gathered

import pronto_lmdb
from pronto_lmdb import AddressExistsError, AddressNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pronto_lmdb import Store

pytestmark = pytest.mark.disk

NAME = "moving"
THREADS = 3
WRITERS = 3
# What a keystore says of itself, so that a reader can tell which one it has met.
WHO = "who"
FOREVER = float("inf")


class Book:
    """Which keystore may have had which name, from when until when."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, str, float, float]] = []
        self._since: dict[str, float] = defaultdict(float)

    def bound(self, name: str, begin: float) -> None:
        """Note that an operation, begun at an instant, gave a name to something."""
        self._since[name] = begin

    def unbound(self, name: str, keystore: str, begin: float, end: float) -> None:
        """Note that an operation took a name away; from its beginning another keystore may have it."""
        self.spans.append((name, keystore, self._since[name], end))
        self._since[name] = begin

    def close(self, store: Store) -> None:
        """Note what has which name in the end."""
        for info in store.addresses():
            name = info.address.user
            self.spans.append((name, info.id[:8], self._since[name], FOREVER))


class Churner:
    """One process's operations on the names, and the book of them."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.book = Book()
        self.done: dict[str, int] = defaultdict(int)
        self.purged: dict[str, list[str]] = {}
        self.names = 0

    def step(self) -> None:
        work = self.random.choices(
            [self.compact, self.delete, self.undelete, self.rename, self.rename_back, self.level, self.purge],
            weights=[40, 15, 15, 10, 10, 5, 5],
        )[0]
        self.sign()
        try:
            work()
        except (AddressNotFoundError, AddressExistsError):
            return  # the writers were quicker, or slower
        self.done[work.__name__] += 1

    def sign(self) -> None:
        """Let the keystore say who it is. Nobody but this process takes the name from it."""
        if self.store.exists(NAME):
            self.store[NAME][WHO] = self.store.info(NAME).id[:8]

    def compact(self) -> None:
        self.store.compact(NAME)

    def level(self) -> None:
        self.store.set_durability(NAME, self.random.choice(["full", "normal", "off"]))

    def delete(self, name: str = NAME) -> None:
        begin = monotonic()
        trash_id = self.store.delete(name)
        self.book.unbound(name, trash_id.rpartition("-")[2], begin, monotonic())

    def undelete(self) -> None:
        begin = monotonic()
        try:
            self.store.undelete(NAME)
        except AddressExistsError:
            self.names += 1
            self.store.undelete(NAME, to=f"aside{self.names}")
            self.book.bound(f"aside{self.names}", begin)
        else:
            self.book.bound(NAME, begin)

    def rename(self) -> None:
        self.names += 1
        self._rename(NAME, f"aside{self.names}")

    def rename_back(self) -> None:
        aside = [info.address.user for info in self.store.addresses() if info.address.user.startswith("aside")]
        if aside:
            self.delete()
            self._rename(self.random.choice(aside), NAME)

    def _rename(self, old: str, new: str) -> None:
        begin = monotonic()
        self.store.rename(old, new)
        end = monotonic()
        self.book.unbound(old, self.store.info(new).id[:8], begin, end)
        self.book.bound(new, begin)

    def purge(self) -> None:
        """Remove what is in the trash for good, after a look at what that destroys."""
        for item in self.store.trash():
            self.store.undelete(item.address, to="grave")
            self.purged[self.store.info("grave").id[:8]] = list(self.store["grave"])
            self.store.delete("grave")
        self.store.purge()


def _churn(root: Path, seed: int, end: float, answers: Any) -> None:
    try:
        with pronto_lmdb.open(root, timeout=60) as store:
            churner = Churner(store, seed)
            while monotonic() < end:
                churner.step()
            answers.put(("churn", churner.book, dict(churner.done), churner.purged))
    except Exception:
        answers.put(("failure", traceback.format_exc()))


def _write(root: Path, number: int, end: float, sabotage: Callable[[], None] | None, answers: Any) -> None:
    if sabotage is not None:
        sabotage()
    written: list[tuple[str, float, float]] = []
    met: list[tuple[str, float, float]] = []
    failures: list[str] = []

    def work(thread: int) -> None:
        count = 0
        try:
            while monotonic() < end:
                key = f"p{number}.t{thread}.{count}"
                begin = monotonic()
                keystore.put(key, count)
                written.append((key, begin, monotonic()))
                begin = monotonic()
                who = keystore.get(WHO)
                if who is not None:
                    met.append((str(who), begin, monotonic()))
                count += 1
        except Exception:
            failures.append(traceback.format_exc())

    with pronto_lmdb.open(root, timeout=60) as store:
        keystore = store[NAME]
        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    answers.put(("failure", failures[0]) if failures else ("written", written, met))


def run(root: Path, seconds: float, seed: int, sabotage: Callable[[], None] | None = None) -> list[tuple[Any, ...]]:
    """Let the processes work, and return what they say."""
    end = monotonic() + seconds + 1.5  # they take a while to begin
    writers = [(_write, (root, number, end, sabotage)) for number in range(WRITERS)]
    return gathered([(_churn, (root, seed, end)), *writers], timeout=seconds + 120)


def where(store: Store) -> dict[str, set[str]]:
    """Return for each key the keystores that hold it, live or deleted."""
    for number, item in enumerate(store.trash()):
        store.undelete(item.address, to=f"saved{number}")
    found = defaultdict(set)
    for info in store.addresses():
        for key in store[info.address]:
            found[key].add(info.id[:8])
    return found


class Judge:
    """What must hold of keys and readings, by the book of a run."""

    def __init__(self, book: Book, holders: dict[str, set[str]]) -> None:
        self.holders = holders
        self.spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for name, keystore, since, until in book.spans:
            if name == NAME:
                self.spans[keystore].append((since, until))

    def named(self, keystore: str, begin: float, end: float) -> bool:
        """Tell whether a keystore may have had the name at any moment between two instants."""
        return any(since <= end and begin <= until for since, until in self.spans[keystore])

    def key_violations(self, written: list[tuple[str, float, float]]) -> Iterator[str]:
        for key, begin, end in written:
            if len(self.holders[key]) != 1:
                yield f"{key} is in {len(self.holders[key])} keystores"
            elif not self.named(min(self.holders[key]), begin, end):
                yield f"{key} is in {self.holders[key]}, which did not have the name"

    def reading_violations(self, met: list[tuple[str, float, float]]) -> Iterator[str]:
        for keystore, begin, end in met:
            if not self.named(keystore, begin, end):
                yield f"read {keystore}, which did not have the name"


def violations(root: Path, answers: list[tuple[Any, ...]]) -> tuple[list[str], dict[str, int]]:
    """Return what is wrong with a run, and what was done in it."""
    ((_, book, done, purged),) = [answer for answer in answers if answer[0] == "churn"]
    with pronto_lmdb.open(root, timeout=60) as store:
        book.close(store)
        holders = where(store)
        wrong = [f"check: {problem}" for problem in store.check(deep=True).problems]
    for keystore, keys in purged.items():
        for key in keys:
            holders[key].add(keystore)
    judge = Judge(book, holders)
    for written, met in [answer[1:] for answer in answers if answer[0] == "written"]:
        wrong += [*judge.key_violations(written), *judge.reading_violations(met)]
        done["written"] = done.get("written", 0) + len(written)
    return wrong, done


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(400)])])
def test_every_acknowledged_key_is_where_the_rules_say(root: Path, seconds: int) -> None:
    answers = run(root, seconds, seed=seconds)
    failures = [answer[1] for answer in answers if answer[0] == "failure"]
    assert failures == []
    wrong, done = violations(root, answers)
    assert wrong == []
    assert {"compact", "delete", "written"} <= done.keys()


def _without_the_look() -> None:
    """Take away the look whether the data file is still the one in the directory."""
    from pronto_lmdb.journaled import JournaledEnvironment

    JournaledEnvironment.is_in_place = lambda _: True  # type: ignore[method-assign]


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_without_its_protection_keys_are_lost(root: Path) -> None:
    answers = run(root, 10, seed=1, sabotage=_without_the_look)
    wrong, _ = violations(root, answers)
    assert [text for text in wrong if "is in 0 keystores" in text]
