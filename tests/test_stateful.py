"""A keystore against a dict with a clock: any verbs in any order leave both with the same content."""

from __future__ import annotations

import shutil
import tempfile
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from conftest import Clock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from strategies import alike

import pronto_lmdb
from pronto_lmdb import AddressExistsError, AddressNotFoundError, InvalidValueError, Key, KeyNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESS = "alice.research"
SECOND = 1_000_000

KEYS = ["a", "b", "b\0", "cache.a", "cache.b__x", "p.n.a", "p.n.b.c", "é", "\uffff", "\U00010000", "p.n." + "k" * 496]
keys = st.sampled_from(range(len(KEYS))).map(lambda index: KEYS[index])  # their own repr would be too long
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.just(2**64 - 1),
    st.text("ab", max_size=2),
    st.integers(4_000, 5_000).map(lambda size: ["x" * size]),
)
ttls = st.one_of(st.none(), st.sampled_from([0.000001, 1, 1.5, 60]))
namespaces = st.sampled_from(["default.default", "default.cache", "p.n"])


class Model:
    """The same verbs as a keystore, over a dict of (value, end of life), in the plainest way there is."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.records: dict[str, tuple[Any, int | None]] = {}
        self.defaults: dict[str, int] = {}

    def live(self) -> dict[str, Any]:
        now = self.clock.now()
        found = {key: value for key, (value, end) in self.records.items() if end is None or end > now}
        return dict(sorted(found.items(), key=lambda item: item[0].encode()))

    def remaining(self, key: str) -> float | None:
        end = self.records[key][1]
        return None if end is None else (end - self.clock.now()) / SECOND

    def put(self, key: str, value: Any, *, ttl: float | None = None) -> None:
        lifetime = None if ttl is None else round(ttl * SECOND)
        if lifetime is None:
            parsed = Key.parse(key)
            lifetime = self.defaults.get(f"{parsed.project}.{parsed.namespace}")
        self.records[key] = (value, None if lifetime is None else self.clock.now() + lifetime)

    def add(self, key: str, value: Any, *, ttl: float | None = None) -> bool:
        if key in self.live():
            return False
        self.put(key, value, ttl=ttl)
        return True

    def _keeping_expiry(self, key: str, value: Any) -> None:
        if key in self.live():
            self.records[key] = (value, self.records[key][1])
        else:
            self.put(key, value)

    def replace(self, key: str, value: Any, *, expected: Any) -> bool:
        live = self.live()
        if key not in live or type(live[key]) is not type(expected) or live[key] != expected:
            return False
        self._keeping_expiry(key, value)
        return True

    def increment(self, key: str, by: int) -> int:
        value = self.live().get(key, 0)
        if type(value) is not int or value + by > 2**64 - 1:
            raise InvalidValueError("no integer, or too great")
        self._keeping_expiry(key, value + by)
        return value + by

    def modify(self, key: str, function: Callable[[Any], Any], default: Any) -> Any:
        value = function(self.live().get(key, default))
        self._keeping_expiry(key, value)
        return value

    def setdefault(self, key: str, value: Any) -> Any:
        self.add(key, value)
        return self.live()[key]

    def update(self, items: dict[str, Any]) -> None:
        for key, value in items.items():
            self.put(key, value)

    def delete_many(self, doomed: list[str]) -> int:
        live = self.live()
        for key in doomed:
            self.records.pop(key, None)
        return len(set(doomed) & live.keys())

    def pop(self, key: str, default: Any) -> Any:
        return self.records.pop(key)[0] if key in self.live() else default

    def popitem(self) -> tuple[str, Any]:
        for key, value in self.live().items():
            del self.records[key]
            return key, value
        raise KeyNotFoundError("empty")

    def clear(self) -> None:
        self.records.clear()

    def expire(self, key: str, ttl: float) -> bool:
        if key not in self.live():
            return False
        self.records[key] = (self.records[key][0], self.clock.now() + round(ttl * SECOND))
        return True

    def persist(self, key: str) -> bool:
        if key not in self.live():
            return False
        self.records[key] = (self.records[key][0], None)
        return True

    def namespace_ttl(self, namespace: str, ttl: float | None) -> None:
        if ttl is None:
            self.defaults.pop(namespace, None)
        else:
            self.defaults[namespace] = round(ttl * SECOND)

    def sweep(self) -> int:
        expired = self.records.keys() - self.live().keys()
        for key in expired:
            del self.records[key]
        return len(expired)


def doubled(value: Any) -> Any:
    return [value, value]


class Step:
    """One call of a verb, to be made on a keystore, a transaction or the model."""

    def __init__(self, verb: str, *arguments: Any, **named: Any) -> None:
        self.verb, self.arguments, self.named = verb, arguments, named

    def __repr__(self) -> str:
        return f"{self.verb}{self.arguments}{self.named or ''}"

    def outcome(self, target: Any) -> object:
        """Return what the call returns, or the type of what it raises."""
        try:
            return getattr(target, self.verb)(*self.arguments, **self.named)
        except (InvalidValueError, KeyNotFoundError) as error:
            return type(error)


steps = st.one_of(
    st.builds(Step, st.sampled_from(["put", "add"]), keys, values, ttl=ttls),
    st.builds(Step, st.just("replace"), keys, values, expected=values),
    st.builds(Step, st.just("increment"), keys, st.integers(-2, 2)),
    st.builds(Step, st.just("modify"), keys, st.just(doubled), values),
    st.builds(Step, st.sampled_from(["setdefault", "pop"]), keys, values),
    st.builds(Step, st.just("update"), st.dictionaries(keys, values, max_size=8)),
    st.builds(Step, st.just("delete_many"), st.lists(keys, max_size=4)),
    st.builds(Step, st.just("expire"), keys, ttls.filter(bool)),
    st.builds(Step, st.just("persist"), keys),
    st.builds(Step, st.just("namespace_ttl"), namespaces, ttls),
    st.builds(Step, st.sampled_from(["sweep", "popitem", "clear"])),
)


class AbortError(Exception):
    """Ends a transaction without its writes."""


class KeystoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("pronto_lmdb.clock.now", self.clock.now)
        self.root = tempfile.mkdtemp()
        self.model = Model(self.clock)
        self.trash: list[Model] = []
        self.last_deletion = 0
        self.revision = 0
        self.history: dict[tuple[str, int], Any] = {}
        self.open()

    def open(self) -> None:
        self.store = pronto_lmdb.open(self.root)
        self.keystore = self.store[ADDRESS]

    def teardown(self) -> None:
        self.store.close()
        self.patch.undo()
        shutil.rmtree(self.root)

    # -- verbs -----------------------------------------------------------------------------------------------------

    @rule(step=steps)
    def one_verb(self, step: Step) -> None:
        before, revision = deepcopy(self.model.__dict__), self.keystore.revision
        assert alike(step.outcome(self.keystore), step.outcome(self.model))
        if self.model.records != before["records"] or self.model.defaults != before["defaults"]:
            assert self.keystore.revision > revision

    @rule(steps=st.lists(steps, max_size=6), abort=st.booleans())
    def transaction(self, steps: list[Step], abort: bool) -> None:
        before = self.model.records.copy(), self.model.defaults.copy()
        try:
            with self.keystore.transaction() as transaction:
                for step in steps:
                    assert alike(step.outcome(transaction), step.outcome(self.model))
                assert list(transaction.items()) == list(self.model.live().items())
                assert len(transaction) == len(self.model.live())
                if abort:
                    raise AbortError
        except AbortError:
            self.model.records, self.model.defaults = before

    @rule(seconds=st.sampled_from([0.000001, 0.5, 1, 59, 3600, -0.5]))
    def clock_jumps(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.open()

    @rule(
        prefix=st.sampled_from(["", "b", "p.n.", "cache.", "\U00010000"]),
        start=st.none() | keys,
        stop=st.none() | keys,
        reverse=st.booleans(),
        limit=st.none() | st.integers(0, 4),
    )
    def scan(self, prefix: str, start: str | None, stop: str | None, reverse: bool, limit: int | None) -> None:
        low, high = (start or "").encode(), None if stop is None else stop.encode()
        wanted = [
            (key, value)
            for key, value in self.model.live().items()
            if key.startswith(prefix) and key.encode() >= low and (high is None or key.encode() < high)
        ]
        wanted = (wanted[::-1] if reverse else wanted)[:limit]
        bounds: Any = {"start": start, "stop": stop, "reverse": reverse, "limit": limit}
        assert list(self.keystore.scan(prefix, **bounds)) == wanted
        assert list(self.keystore.scan_keys(prefix, **bounds)) == [key for key, _ in wanted]

    # -- the address -----------------------------------------------------------------------------------------------

    @rule()
    def delete_the_address(self) -> None:
        # Which deletion is the newest depends on a clock that goes forward.
        self.last_deletion = self.clock.microseconds = max(self.clock.now(), self.last_deletion) + 1
        existed = self.store.exists(ADDRESS)
        try:
            self.store.delete(ADDRESS)
        except AddressNotFoundError:
            assert not existed
            return
        self.trash.append(self.model)
        self.model = Model(self.clock)

    @rule()
    def undelete_the_address(self) -> None:
        taken = self.store.exists(ADDRESS)
        try:
            self.store.undelete(ADDRESS)
        except AddressNotFoundError:
            assert not self.trash
        except AddressExistsError:
            assert taken
        else:
            assert not taken
            self.model = self.trash.pop()

    @rule()
    def purge(self) -> None:
        self.clock.microseconds = max(self.clock.now(), self.last_deletion)
        assert self.store.purge() == len(self.trash)
        self.trash.clear()

    # -- what always holds -----------------------------------------------------------------------------------------

    @invariant()
    def the_same_items_in_byte_order(self) -> None:
        live = self.model.live()
        assert alike(list(self.keystore.items()), list(live.items()))
        assert list(self.keystore) == list(live)
        assert list(reversed(self.keystore)) == list(live)[::-1]
        assert len(self.keystore) == len(live)
        with self.keystore.view() as view:
            assert dict(view) == live

    @invariant()
    def the_same_lives(self) -> None:
        assert {key: self.keystore.ttl(key) for key in self.keystore} == {
            key: self.model.remaining(key) for key in self.model.live()
        }
        assert self.keystore.namespace_ttls() == {name: ttl / SECOND for name, ttl in self.model.defaults.items()}
        stats = self.keystore.stats()
        assert (stats.records, stats.expired) == (
            len(self.model.live()),
            len(self.model.records) - len(self.model.live()),
        )

    @invariant()
    def what_is_absent_is_empty(self) -> None:
        if not self.store.exists(ADDRESS):
            assert not self.model.records
            assert not self.model.defaults

    @invariant()
    def revisions_never_run_backwards(self) -> None:
        if self.store.exists(ADDRESS):
            assert self.keystore.revision >= self.revision
            self.revision = self.keystore.revision

    @invariant()
    def a_revision_never_stands_for_two_contents(self) -> None:
        for key in self.keystore:
            entry = self.keystore.entry(key)
            assert entry.revision <= self.keystore.revision
            assert self.history.setdefault((key, entry.revision), entry.value) == entry.value


def test_a_keystore_behaves_like_a_dict_with_a_clock() -> None:
    run_state_machine_as_test(KeystoreMachine, settings=settings(max_examples=300, stateful_step_count=40))
