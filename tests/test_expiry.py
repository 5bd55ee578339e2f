"""Expiry: a record is gone from the microsecond it expires, swept or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import pronto_lmdb
from pronto_lmdb import InvalidKeyError, InvalidValueError, KeyNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Clock

    from pronto_lmdb import Keystore, Store

MICROSECOND = 0.000001


@pytest.fixture
def keystore(store: Store, clock: Clock) -> Keystore:
    return store["alice.research"]


# -- the moment ----------------------------------------------------------------------------------------------------


def test_a_record_lives_until_just_before_its_ttl_is_over(keystore: Keystore, clock: Clock) -> None:
    keystore.put("lease", "w7", ttl=30)
    clock.advance(30 - MICROSECOND)
    assert keystore["lease"] == "w7"
    assert keystore.ttl("lease") == pytest.approx(MICROSECOND)
    clock.advance(MICROSECOND)
    assert "lease" not in keystore


def test_expired_records_are_invisible_to_every_read(keystore: Keystore, clock: Clock) -> None:
    keystore.update({"a": 1, "c": 3})
    keystore.put("b", 2, ttl=5)
    clock.advance(5)
    assert (keystore.get("b"), keystore.get("b", 7), "b" in keystore) == (None, 7, False)
    assert (len(keystore), list(keystore), list(reversed(keystore))) == (2, ["a", "c"], ["c", "a"])
    assert (dict(keystore), list(keystore.values())) == ({"a": 1, "c": 3}, [1, 3])
    assert keystore.get_many(["a", "b", "c"]) == {"a": 1, "c": 3}
    assert (list(keystore.scan("b")), list(keystore.scan_keys("b"))) == ([], [])
    for read in (keystore.__getitem__, keystore.ttl, keystore.entry):
        with pytest.raises(KeyNotFoundError):
            read("b")


def test_expired_records_are_invisible_to_transactions_and_views(keystore: Keystore, clock: Clock) -> None:
    keystore.put("b", 2, ttl=5)
    clock.advance(5)
    with keystore.transaction() as transaction:
        assert (list(transaction), len(transaction), transaction.get("b")) == ([], 0, None)
    with keystore.view() as view:
        assert (list(view), len(view), view.get("b")) == ([], 0, None)


def test_expired_records_are_invisible_to_every_change(keystore: Keystore, clock: Clock) -> None:
    keystore.put("b", 5, ttl=5)
    clock.advance(5)
    assert keystore.replace("b", 6, expected=5) is False
    assert keystore.expire("b", 60) is False
    assert keystore.persist("b") is False
    assert keystore.pop("b", None) is None
    assert keystore.delete_many(["b"]) == 0
    with pytest.raises(KeyNotFoundError):
        del keystore["b"]
    with pytest.raises(KeyNotFoundError):
        keystore.popitem()


@pytest.mark.parametrize(
    ("write", "value"),
    [
        (lambda keystore: keystore.add("b", 1), 1),
        (lambda keystore: keystore.setdefault("b", 1), 1),
        (lambda keystore: keystore.increment("b", 3), 3),
        (lambda keystore: keystore.modify("b", lambda old: [old], default="none"), ["none"]),
        (lambda keystore: keystore.put("b", 1), 1),
    ],
    ids=["add", "setdefault", "increment", "modify", "put"],
)
def test_writing_over_an_expired_record_begins_anew(
    keystore: Keystore, clock: Clock, write: Callable[[Keystore], object], value: Any
) -> None:
    keystore.put("b", 5, ttl=5)
    clock.advance(5)
    write(keystore)
    assert keystore["b"] == value
    assert keystore.ttl("b") is None
    assert keystore.sweep() == 0


def test_an_entry_tells_when_it_expires(keystore: Keystore, clock: Clock) -> None:
    keystore.put("lease", 1, ttl=1.5)
    entry = keystore.entry("lease")
    assert entry.expires_at is not None
    assert (entry.expires_at - entry.updated_at).total_seconds() == 1.5
    assert entry.updated_at.timestamp() == pytest.approx(clock.now() / 1_000_000)


# -- setting and keeping -------------------------------------------------------------------------------------------


def test_put_without_ttl_drops_an_earlier_expiry(keystore: Keystore, clock: Clock) -> None:
    for write in (lambda: keystore.put("a", 2), lambda: keystore.update(a=2), lambda: keystore.__setitem__("a", 2)):
        keystore.put("a", 1, ttl=5)
        write()
        assert keystore.ttl("a") is None
    clock.advance(5)
    assert keystore["a"] == 2


@pytest.mark.parametrize(
    "write",
    [
        lambda keystore: keystore.replace("a", 2, expected=1),
        lambda keystore: keystore.replace("a", 2, revision=keystore.entry("a").revision),
        lambda keystore: keystore.increment("a"),
        lambda keystore: keystore.modify("a", lambda value: value + 1),
        lambda keystore: keystore.setdefault("a", 2),
        lambda keystore: keystore.add("a", 2),
    ],
    ids=["replace value", "replace revision", "increment", "modify", "setdefault", "add"],
)
def test_changing_a_value_keeps_the_expiry(
    keystore: Keystore, clock: Clock, write: Callable[[Keystore], object]
) -> None:
    keystore.put("a", 1, ttl=5)
    clock.advance(2)
    write(keystore)
    assert keystore.ttl("a") == 3
    clock.advance(3)
    assert "a" not in keystore
    assert keystore.sweep() == 1


def test_a_new_ttl_takes_the_place_of_the_old_one(keystore: Keystore, clock: Clock) -> None:
    keystore.put("a", 1, ttl=5)
    keystore.put("a", 2, ttl=60)
    clock.advance(5)
    assert (keystore["a"], keystore.sweep()) == (2, 0)
    keystore.expire("a", 1)
    clock.advance(1)
    assert ("a" in keystore, keystore.sweep(), keystore.sweep()) == (False, 1, 0)


def test_expire_and_persist_keep_the_value(keystore: Keystore, clock: Clock) -> None:
    keystore["a"] = {"x": 1}
    assert keystore.expire("a", 5) is True
    assert (keystore["a"], keystore.ttl("a")) == ({"x": 1}, 5)
    assert keystore.persist("a") is True
    assert keystore.persist("a") is True
    clock.advance(3600)
    assert (keystore["a"], keystore.ttl("a")) == ({"x": 1}, None)


def test_expire_takes_a_number_of_seconds_only(keystore: Keystore) -> None:
    keystore.put("a", 1, ttl=5)
    with pytest.raises(InvalidValueError):
        keystore.expire("a", None)  # type: ignore[arg-type]
    assert keystore.ttl("a") == 5


@pytest.mark.parametrize("ttl", [1, 0.5, 1e-9, 5e-324, MICROSECOND, 10**9, 200_000_000_000])
def test_any_positive_ttl_before_the_year_10000_is_taken(keystore: Keystore, ttl: float) -> None:
    keystore.put("a", 1, ttl=ttl)
    assert keystore["a"] == 1
    assert keystore.ttl("a") == pytest.approx(max(ttl, MICROSECOND))
    assert keystore.entry("a").expires_at is not None


@pytest.mark.parametrize("ttl", [260_000_000_000, 10**18, 1e300, 10**400])
def test_a_ttl_that_ends_after_the_year_9999_is_refused(keystore: Keystore, ttl: float) -> None:
    with pytest.raises(InvalidValueError, match="9999"):
        keystore.put("a", 1, ttl=ttl)
    assert len(keystore) == 0


def test_an_expiry_survives_reopening(root: Path, clock: Clock) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"].put("k", 1, ttl=5)
        store["a"].namespace_ttl("p.n", 60)
    clock.advance(2)
    with pronto_lmdb.open(root) as store:
        assert store["a"].ttl("k") == 3
        assert store["a"].namespace_ttls() == {"p.n": 60}
        clock.advance(3)
        assert (len(store["a"]), store["a"].sweep()) == (0, 1)


def test_the_longest_keys_can_expire(keystore: Keystore, clock: Clock) -> None:
    longest = ["k" * 500, "n" * 498 + ".x", "é" * 250]
    for key in longest:
        keystore.put(key, 1, ttl=1)
    clock.advance(1)
    assert (len(keystore), keystore.sweep()) == (0, 3)


def test_a_clock_set_back_gives_no_contradiction(keystore: Keystore, clock: Clock) -> None:
    keystore.put("a", 1, ttl=5)
    clock.advance(-10)
    assert (list(keystore), len(keystore), keystore.ttl("a"), keystore.sweep()) == (["a"], 1, 15, 0)
    clock.advance(15)
    assert (list(keystore), len(keystore), keystore.sweep()) == ([], 0, 1)


# -- sweeping ------------------------------------------------------------------------------------------------------


def test_sweep_removes_what_has_expired_and_nothing_else(keystore: Keystore, clock: Clock) -> None:
    keystore["stays"] = 1
    keystore.put("later", 1, ttl=10)
    for number in range(5):
        keystore.put(f"soon{number}", 1, ttl=1 + number)
    clock.advance(3)
    assert keystore.stats()[:2] == (4, 3)
    assert keystore.sweep() == 3
    assert keystore.stats()[:2] == (4, 0)
    assert list(keystore) == ["later", "soon3", "soon4", "stays"]


def test_a_sweep_without_work_writes_nothing(keystore: Keystore, clock: Clock) -> None:
    keystore.put("a", 1, ttl=5)
    revision = keystore.revision
    assert keystore.sweep() == 0
    assert keystore.revision == revision


def test_a_sweep_takes_more_than_one_batch(keystore: Keystore, clock: Clock) -> None:
    keystore.namespace_ttl("default.default", 1)
    keystore.update({f"k{number}": 0 for number in range(20_001)})
    clock.advance(1)
    assert keystore.sweep() == 20_001
    assert keystore.stats()[:2] == (0, 0)


def test_what_was_deleted_or_replaced_is_not_swept_again(keystore: Keystore, clock: Clock) -> None:
    for key in ("deleted", "popped", "replaced", "persisted", "dropped"):
        keystore.put(key, 1, ttl=1)
    del keystore["deleted"]
    keystore.pop("popped")
    keystore["replaced"] = 2
    keystore.persist("persisted")
    keystore.delete_many(["dropped"])
    clock.advance(1)
    assert keystore.sweep() == 0
    assert dict(keystore) == {"persisted": 1, "replaced": 2}


def test_clear_removes_expired_records_too(keystore: Keystore, clock: Clock) -> None:
    keystore.put("a", 1, ttl=1)
    keystore.put("b", 1, ttl=60)
    clock.advance(1)
    keystore.clear()
    assert keystore.stats()[:2] == (0, 0)
    assert keystore.sweep() == 0


# -- default of a namespace ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        lambda keystore, key: keystore.put(key, 1),
        lambda keystore, key: keystore.__setitem__(key, 1),
        lambda keystore, key: keystore.update({key: 1}),
        lambda keystore, key: keystore.add(key, 1),
        lambda keystore, key: keystore.setdefault(key, 1),
        lambda keystore, key: keystore.increment(key),
        lambda keystore, key: keystore.modify(key, lambda old: 1),
    ],
    ids=["put", "assignment", "update", "add", "setdefault", "increment", "modify"],
)
def test_every_verb_that_writes_a_new_record_applies_the_default(
    keystore: Keystore, write: Callable[[Keystore, str], object]
) -> None:
    keystore.namespace_ttl("sessions.cache", 3600)
    write(keystore, "sessions.cache.a")
    assert keystore.ttl("sessions.cache.a") == 3600


def test_an_own_ttl_wins_over_the_default(keystore: Keystore) -> None:
    keystore.namespace_ttl("sessions.cache", 3600)
    keystore.put("sessions.cache.a", 1, ttl=5)
    keystore.add("sessions.cache.b", 1, ttl=7200)
    assert (keystore.ttl("sessions.cache.a"), keystore.ttl("sessions.cache.b")) == (5, 7200)


def test_put_over_an_own_ttl_goes_back_to_the_default(keystore: Keystore) -> None:
    keystore.namespace_ttl("sessions.cache", 3600)
    keystore.put("sessions.cache.a", 1, ttl=5)
    keystore.put("sessions.cache.a", 2)
    assert keystore.ttl("sessions.cache.a") == 3600


@pytest.mark.parametrize(
    ("namespace", "inside", "outside"),
    [
        ("p.n", ["p.n.a", "p.n.a.b", "p.n.a__c"], ["p.n", "p.nn.a", "pp.n.a", "n.a", "a", "P.n.a"]),
        ("default.n", ["n.a", "default.n.a", "n.a__b"], ["n", "p.n.a", "n.x.a"]),
        ("default.default", ["a", "default.a", "default.default.a.b", "__init__"], ["n.a", "p.default.a"]),
    ],
)
def test_the_default_holds_for_exactly_its_namespace(
    keystore: Keystore, namespace: str, inside: list[str], outside: list[str]
) -> None:
    keystore.namespace_ttl(namespace, 60)
    keystore.update(dict.fromkeys([*inside, *outside], 1))
    assert {key: keystore.ttl(key) for key in inside} == dict.fromkeys(inside, 60)
    assert {key: keystore.ttl(key) for key in outside} == dict.fromkeys(outside)


@pytest.mark.parametrize("key", [".a", "a.", "..", "p..a", ".n.a", "default..", "x" * 500, "n" * 498 + ".x"])
def test_any_key_can_be_written_where_a_default_exists(keystore: Keystore, key: str) -> None:
    keystore.namespace_ttl("p.n", 60)
    keystore[key] = 1
    assert (keystore[key], keystore.ttl(key)) == (1, None)


def test_a_default_holds_for_what_is_written_from_now_on(keystore: Keystore) -> None:
    keystore["p.n.before"] = 1
    keystore.namespace_ttl("p.n", 60)
    keystore["p.n.after"] = 1
    assert (keystore.ttl("p.n.before"), keystore.ttl("p.n.after")) == (None, 60)
    keystore.namespace_ttl("p.n", 120)
    assert keystore.ttl("p.n.after") == 60


def test_none_removes_the_default(keystore: Keystore) -> None:
    keystore.namespace_ttl("p.n", 60)
    keystore.namespace_ttl("q.n", 30)
    keystore.namespace_ttl("p.n", None)
    keystore.namespace_ttl("p.n", None)
    keystore["p.n.a"] = 1
    assert keystore.ttl("p.n.a") is None
    assert keystore.namespace_ttls() == {"q.n": 30}


def test_defaults_are_no_records(keystore: Keystore) -> None:
    keystore.namespace_ttl("p.n", 60)
    assert (len(keystore), list(keystore), list(keystore.items())) == (0, [], [])
    keystore.clear()
    assert keystore.namespace_ttls() == {"p.n": 60}


@pytest.mark.parametrize("namespace", ["", "p", ".", "p.", ".n", "p.n.a", "p.n.", "\0.n", "x" * 500 + ".n", None, 7])
def test_what_is_no_namespace_is_refused(keystore: Keystore, namespace: Any) -> None:
    for ttl in (60, None):
        with pytest.raises(InvalidKeyError):
            keystore.namespace_ttl(namespace, ttl)
    assert keystore.namespace_ttls() == {}


def test_each_address_has_its_own_defaults(store: Store) -> None:
    store["a"].namespace_ttl("p.n", 60)
    store["b"]["p.n.x"] = 1
    assert store["b"].ttl("p.n.x") is None
    assert store["b"].namespace_ttls() == {}
