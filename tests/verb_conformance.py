"""What every implementation of the verbs must do beyond a mapping, whatever lies behind them.

To be inherited, as :mod:`conformance` says: ``VerbReads`` by what stands for a keystore, a transaction or a view,
``VerbWrites`` by what stands for a keystore or a transaction. ``VerbWrites`` uses the fixture ``clock``.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from conformance import FRUIT

from pronto_lmdb import InvalidKeyError, InvalidValueError, KeyNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance import Make
    from conftest import Clock

BAD_KEYS = ["", "\0a", "k" * 501, "\ud800", None, 7, b"apple"]
BAD_TTLS = [0, -1, 0.0, -0.5, math.nan, math.inf, -math.inf, "5", True, 10**30, [1]]


class VerbReads:
    def test_keys_come_in_the_order_of_their_utf8_bytes(self, make: Make) -> None:
        keys = ["b", "B", "a", "a\0", "aa", "é", "z", "\U00010000", "\uffff", " ", "\x01", "ab" * 250]
        assert list(make(dict.fromkeys(keys))) == sorted(keys, key=str.encode)

    def test_a_missing_key_says_so(self, make: Make) -> None:
        reader = make(FRUIT)
        for read in (reader.__getitem__, reader.entry, reader.ttl):
            with pytest.raises(KeyNotFoundError, match="'fig'"):
                read("fig")

    @pytest.mark.parametrize("key", BAD_KEYS, ids=lambda key: repr(key)[:10])
    def test_a_key_that_cannot_exist_is_refused(self, make: Make, key: Any) -> None:
        reader = make(FRUIT)
        verbs = [reader.get, reader.__getitem__, reader.__contains__, reader.entry, reader.ttl]
        for read in [*verbs, lambda key: reader.get_many(["apple", key])]:
            with pytest.raises(InvalidKeyError):
                read(key)

    def test_get_many_returns_those_that_exist(self, make: Make) -> None:
        reader = make(FRUIT)
        assert reader.get_many(["date", "fig", "banana", "date"]) == {"date": "", "banana": None}
        assert reader.get_many(key for key in ("apple",)) == {"apple": 1}
        assert reader.get_many([]) == {}

    def test_scan_takes_a_range(self, make: Make) -> None:
        reader = make(FRUIT)
        assert list(reader.scan()) == list(FRUIT.items())
        assert list(reader.scan("b")) == [("banana", None)]
        assert list(reader.scan(start="banana", stop="date")) == [("banana", None), ("cherry", FRUIT["cherry"])]
        assert list(reader.scan(reverse=True, limit=2)) == [("date", ""), ("cherry", FRUIT["cherry"])]

    def test_scan_keys_takes_the_same_range(self, make: Make) -> None:
        reader = make(FRUIT)
        assert list(reader.scan_keys("c")) == ["cherry"]
        assert list(reader.scan_keys(start="b", stop="d", reverse=True)) == ["cherry", "banana"]
        assert list(reader.scan_keys(limit=1)) == ["apple"]

    def test_an_entry_tells_when_and_in_which_revision(self, make: Make) -> None:
        before = datetime.now(UTC) - timedelta(seconds=60)
        reader = make(FRUIT)
        entry = reader.entry("cherry")
        assert (entry.key, entry.value, entry.expires_at) == ("cherry", FRUIT["cherry"], None)
        assert entry.revision > 0
        assert entry.updated_at.utcoffset() == timedelta(0)
        assert before < entry.updated_at < datetime.now(UTC) + timedelta(seconds=60)

    def test_a_key_without_expiry_has_no_ttl(self, make: Make) -> None:
        assert make(FRUIT).ttl("apple") is None

    def test_equality_and_hash_are_by_identity(self, make: Make) -> None:
        reader = make({})
        assert reader == reader
        assert reader != {}
        assert {reader: 1}[reader] == 1


class VerbWrites:
    def test_put_writes(self, make: Make) -> None:
        writer = make({})
        writer.put("a", {"step": 1})
        assert writer["a"] == {"step": 1}
        assert writer.ttl("a") is None

    def test_add_writes_only_where_there_is_nothing(self, make: Make) -> None:
        writer = make({"a": None})
        assert writer.add("a", 1) is False
        assert writer.add("b", 1, ttl=5) is True
        assert dict(writer) == {"a": None, "b": 1}
        assert 0 < writer.ttl("b") <= 5

    def test_replace_compares_the_value(self, make: Make) -> None:
        writer = make({"a": {"x": 1, "y": [2]}})
        assert writer.replace("a", 5, expected={"x": 1}) is False
        assert writer.replace("a", 5, expected={"y": [2], "x": 1}) is True
        assert writer.replace("a", 6, expected=5.0) is False
        assert writer.replace("a", 6, expected=None) is False
        assert writer["a"] == 5

    def test_replace_compares_none_like_any_value(self, make: Make) -> None:
        writer = make({"a": None})
        assert writer.replace("a", 1, expected=None) is True
        assert writer.replace("fig", 1, expected=None) is False
        assert dict(writer) == {"a": 1}

    def test_replace_compares_the_revision(self, make: Make) -> None:
        writer = make({"a": 1})
        revision = writer.entry("a").revision
        assert writer.replace("a", 2, revision=revision + 1) is False
        assert writer.replace("a", 2, revision=revision) is True
        assert writer["a"] == 2

    @pytest.mark.parametrize("conditions", [{}, {"expected": 1, "revision": 1}, {"expected": None, "revision": 1}])
    def test_replace_takes_exactly_one_condition(self, make: Make, conditions: dict[str, Any]) -> None:
        with pytest.raises(InvalidValueError, match="exactly one"):
            make({"a": 1}).replace("a", 2, **conditions)

    def test_increment_starts_at_zero(self, make: Make) -> None:
        writer = make({"n": 40})
        assert writer.increment("n", 2) == 42
        assert writer.increment("n") == 43
        assert writer.increment("n", -50) == -7
        assert writer.increment("new", 5) == 5
        assert dict(writer) == {"n": -7, "new": 5}

    @pytest.mark.parametrize("value", ["1", 1.0, None, True, [1], b"1"], ids=repr)
    def test_increment_of_what_is_no_integer_is_refused(self, make: Make, value: Any) -> None:
        writer = make({"n": value})
        with pytest.raises(InvalidValueError, match="integer"):
            writer.increment("n")
        with pytest.raises(InvalidValueError, match="int"):
            writer.increment("fresh", value)
        assert dict(writer) == {"n": value}

    @pytest.mark.parametrize(("value", "by"), [(2**64 - 1, 1), (-(2**63), -1), (0, 2**64), (1, 2**70)])
    def test_increment_stays_within_64_bits(self, make: Make, value: int, by: int) -> None:
        writer = make({"n": value})
        with pytest.raises(InvalidValueError, match="64 bits"):
            writer.increment("n", by)
        assert writer["n"] == value
        assert writer.increment("n", 0) == value

    def test_modify_applies_a_function(self, make: Make) -> None:
        writer = make({"a": [1]})
        assert writer.modify("a", lambda value: [*value, 2]) == [1, 2]
        assert writer.modify("b", lambda value: [value], default=7) == [7]
        assert writer.modify("c", lambda value: [value]) == [None]
        assert dict(writer) == {"a": [1, 2], "b": [7], "c": [None]}

    def test_modify_changes_nothing_when_the_function_fails(self, make: Make) -> None:
        writer = make({"a": 1})
        with pytest.raises(ZeroDivisionError):
            writer.modify("a", lambda value: value // 0)
        with pytest.raises(InvalidValueError, match="set"):
            writer.modify("a", lambda value: {value})
        assert dict(writer) == {"a": 1}

    def test_update_is_all_or_nothing(self, make: Make) -> None:
        writer = make({"a": 1})
        with pytest.raises(InvalidValueError):
            writer.update({"a": 2, "b": {1, 2}})
        with pytest.raises(InvalidKeyError):
            writer.update([("a", 2), ("", 3)])
        assert dict(writer) == {"a": 1}

    def test_delete_many_counts_what_existed(self, make: Make) -> None:
        writer = make(FRUIT)
        assert writer.delete_many(["apple", "fig", "date", "apple"]) == 2
        assert writer.delete_many([]) == 0
        assert list(writer) == ["banana", "cherry"]

    def test_delete_many_does_not_take_one_text_for_many_keys(self, make: Make) -> None:
        writer = make({"a": 1, "b": 2})
        with pytest.raises(InvalidKeyError, match="list"):
            writer.delete_many("ab")
        assert len(writer) == 2

    def test_popitem_takes_the_first_in_order(self, make: Make) -> None:
        assert make(FRUIT).popitem() == ("apple", 1)

    @pytest.mark.parametrize("key", BAD_KEYS, ids=lambda key: repr(key)[:10])
    def test_no_verb_writes_under_a_bad_key(self, make: Make, key: Any) -> None:
        writer = make({"a": 1})
        for write in _writes(writer, key, 1) + _changes(writer, key):
            with pytest.raises(InvalidKeyError):
                write()
        assert dict(writer) == {"a": 1}

    @pytest.mark.parametrize("value", [{1}, object(), 2**64, "\ud800", {(1, 2): 3}, bytearray(b"x")], ids=repr)
    def test_no_verb_writes_a_bad_value(self, make: Make, value: Any) -> None:
        writer = make({"a": 1})
        for write in [*_writes(writer, "b", value), lambda: writer.replace("a", value, expected=1)]:
            with pytest.raises(InvalidValueError):
                write()
        assert dict(writer) == {"a": 1}

    @pytest.mark.parametrize("ttl", BAD_TTLS, ids=repr)
    def test_no_verb_takes_a_bad_ttl(self, make: Make, ttl: Any) -> None:
        writer = make({"a": 1})
        for write in (
            lambda: writer.put("b", 1, ttl=ttl),
            lambda: writer.add("b", 1, ttl=ttl),
            lambda: writer.expire("a", ttl),
            lambda: writer.namespace_ttl("p.n", ttl),
        ):
            with pytest.raises(InvalidValueError):
                write()
        assert dict(writer) == {"a": 1}
        assert writer.ttl("a") is None
        assert writer.namespace_ttls() == {}

    def test_what_has_expired_is_invisible_to_every_verb(self, make: Make, clock: Clock) -> None:
        writer = make({"b": 1})
        writer.put("a", 1, ttl=5)
        clock.advance(5)
        assert (list(writer), len(writer), dict(writer.items())) == (["b"], 1, {"b": 1})
        assert (writer.get("a"), "a" in writer, writer.get_many(["a"]), writer.delete_many(["a"])) == (
            None,
            False,
            {},
            0,
        )
        assert writer.add("a", 2) is True
        assert writer["a"] == 2

    def test_expire_and_persist_set_and_drop_the_expiry(self, make: Make, clock: Clock) -> None:
        writer = make({"a": 1})
        assert writer.expire("a", 5) is True
        assert writer.ttl("a") == 5
        assert writer.persist("a") is True
        assert writer.ttl("a") is None
        assert (writer.expire("fig", 5), writer.persist("fig")) == (False, False)

    def test_sweep_counts_what_it_removes(self, make: Make, clock: Clock) -> None:
        writer = make({"keep": 1})
        writer.put("a", 1, ttl=1)
        writer.put("b", 1, ttl=2)
        clock.advance(1)
        assert (writer.sweep(), writer.sweep()) == (1, 0)
        assert list(writer) == ["b", "keep"]

    def test_a_namespace_has_a_default_ttl(self, make: Make, clock: Clock) -> None:
        writer = make({})
        writer.namespace_ttl("default.cache", 60)
        writer.update({"cache.a": 1, "other.a": 1})
        assert (writer.ttl("cache.a"), writer.ttl("other.a")) == (60, None)
        assert writer.namespace_ttls() == {"default.cache": 60}


def _writes(writer: Any, key: Any, value: Any) -> list[Callable[[], object]]:
    """Return the verbs that write a value."""
    return [
        lambda: writer.put(key, value),
        lambda: writer.__setitem__(key, value),
        lambda: writer.add(key, value),
        lambda: writer.setdefault(key, value),
        lambda: writer.update({"z": 1, key: value}),
        lambda: writer.modify(key, lambda _: value),
    ]


def _changes(writer: Any, key: Any) -> list[Callable[[], object]]:
    """Return the verbs that change or remove what is there."""
    return [
        lambda: writer.replace(key, 1, expected=1),
        lambda: writer.increment(key),
        lambda: writer.pop(key, None),
        lambda: writer.__delitem__(key),
        lambda: writer.delete_many(["a", key]),
        lambda: writer.expire(key, 5),
        lambda: writer.persist(key),
    ]
