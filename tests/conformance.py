"""What every implementation of the verbs must do, whatever lies behind them.

Four classes of tests, to be inherited by a class in a test module. That class has a fixture ``make``: a function
that takes a dict and returns what is under test, holding these items.

======================== ===========================================================================
``MappingReads``         the reading half of a mapping; ``dict`` passes it
``MappingWrites``        the writing half of a mapping; ``dict`` passes it
``VerbReads``            what a keystore, a transaction and a view can do beyond that
``VerbWrites``           what a keystore and a transaction can do beyond that; needs the fixture ``clock``
======================== ===========================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pronto_lmdb import InvalidKeyError, InvalidValueError, KeyNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Clock

    Make = Callable[[dict[str, Any]], Any]

FRUIT = {"apple": 1, "banana": None, "cherry": ["x", {"y": b"z"}], "date": ""}
BAD_KEYS = ["", "\0a", "k" * 501, "\ud800", None, 7, b"apple"]
BAD_TTLS = [0, -1, 0.0, -0.5, math.nan, math.inf, -math.inf, "5", True, 10**30, [1]]


class MappingReads:
    def test_it_is_a_mapping(self, make: Make) -> None:
        assert isinstance(make({}), Mapping)

    def test_an_empty_one_has_nothing(self, make: Make) -> None:
        mapping = make({})
        assert not mapping
        assert len(mapping) == 0
        assert (list(mapping), list(mapping.values()), list(mapping.items())) == ([], [], [])
        assert "apple" not in mapping

    def test_a_key_gives_its_value(self, make: Make) -> None:
        mapping = make(FRUIT)
        assert {key: mapping[key] for key in FRUIT} == FRUIT

    def test_a_missing_key_is_a_key_error(self, make: Make) -> None:
        with pytest.raises(KeyError, match="fig"):
            make(FRUIT)["fig"]

    def test_get_gives_the_value_or_the_default(self, make: Make) -> None:
        mapping = make(FRUIT)
        assert mapping.get("cherry") == FRUIT["cherry"]
        assert mapping.get("fig") is None
        assert mapping.get("fig", 7) == 7

    def test_a_stored_none_is_not_a_missing_key(self, make: Make) -> None:
        mapping = make(FRUIT)
        assert mapping.get("banana", 7) is None
        assert mapping["banana"] is None
        assert "banana" in mapping

    def test_contains_knows_exactly_the_keys(self, make: Make) -> None:
        mapping = make(FRUIT)
        assert all(key in mapping for key in FRUIT)
        assert not any(key in mapping for key in ("app", "apples", "Apple", "apple ", "fig"))

    def test_length_counts_the_keys(self, make: Make) -> None:
        assert len(make(FRUIT)) == 4

    def test_a_filled_one_is_true(self, make: Make) -> None:
        assert make(FRUIT)

    def test_iteration_gives_each_key_once_in_order(self, make: Make) -> None:
        assert list(make(FRUIT)) == ["apple", "banana", "cherry", "date"]

    def test_reversed_gives_the_keys_backwards(self, make: Make) -> None:
        assert list(reversed(make(FRUIT))) == ["date", "cherry", "banana", "apple"]

    def test_two_iterations_do_not_disturb_each_other(self, make: Make) -> None:
        mapping = make(FRUIT)
        assert [(one, other) for one in mapping for other in mapping] == [(a, b) for a in FRUIT for b in FRUIT]

    def test_keys_values_and_items_agree(self, make: Make) -> None:
        mapping = make(FRUIT)
        assert list(mapping.keys()) == list(FRUIT)
        assert list(mapping.values()) == list(FRUIT.values())
        assert list(mapping.items()) == list(FRUIT.items())
        assert len(mapping.keys()) == len(mapping.values()) == len(mapping.items()) == 4

    def test_the_three_views_know_what_is_in_them(self, make: Make) -> None:
        mapping = make(FRUIT)
        assert "date" in mapping.keys()  # noqa: SIM118 - the view is what is tested
        assert "" in mapping.values()
        assert 3 not in mapping.values()
        assert ("apple", 1) in mapping.items()
        assert ("apple", 2) not in mapping.items()
        assert ("fig", None) not in mapping.items()

    def test_keys_work_like_a_set(self, make: Make) -> None:
        keys = make(FRUIT).keys()
        assert keys & {"apple", "fig"} == {"apple"}
        assert keys | {"fig"} == {*FRUIT, "fig"}
        assert keys - {"apple", "date"} == {"banana", "cherry"}
        assert keys == set(FRUIT)
        assert keys.isdisjoint({"fig"})

    def test_it_can_be_copied_into_a_dict(self, make: Make) -> None:
        mapping = make(FRUIT)
        assert dict(mapping) == {**mapping} == FRUIT


class MappingWrites:
    def test_it_is_a_mutable_mapping(self, make: Make) -> None:
        assert isinstance(make({}), MutableMapping)

    def test_assignment_adds_and_replaces(self, make: Make) -> None:
        mapping = make({"a": 1})
        mapping["b"] = 2
        mapping["a"] = [3]
        assert dict(mapping) == {"a": [3], "b": 2}
        assert len(mapping) == 2

    def test_what_was_written_does_not_follow_later_changes_of_the_key_text(self, make: Make) -> None:
        mapping = make({})
        mapping["K"] = 1
        mapping["k"] = 2
        mapping[" k"] = 3
        assert dict(mapping) == {"K": 1, "k": 2, " k": 3}

    def test_del_removes_exactly_one_key(self, make: Make) -> None:
        mapping = make({"a": 1, "b": 2})
        del mapping["a"]
        assert dict(mapping) == {"b": 2}
        assert "a" not in mapping

    def test_del_of_a_missing_key_is_a_key_error(self, make: Make) -> None:
        mapping = make({"a": 1})
        with pytest.raises(KeyError, match="fig"):
            del mapping["fig"]
        assert dict(mapping) == {"a": 1}

    def test_pop_removes_and_returns(self, make: Make) -> None:
        mapping = make({"a": 1, "b": None})
        assert mapping.pop("a") == 1
        assert mapping.pop("b", 7) is None
        assert len(mapping) == 0

    def test_pop_of_a_missing_key_gives_the_default(self, make: Make) -> None:
        mapping = make({"a": 1})
        assert mapping.pop("fig", 7) == 7
        assert mapping.pop("fig", None) is None
        assert dict(mapping) == {"a": 1}

    def test_pop_of_a_missing_key_without_default_is_a_key_error(self, make: Make) -> None:
        with pytest.raises(KeyError, match="fig"):
            make({"a": 1}).pop("fig")

    def test_popitem_empties_it_pair_by_pair(self, make: Make) -> None:
        mapping = make(FRUIT)
        popped = dict(mapping.popitem() for _ in range(4))
        assert popped == FRUIT
        assert len(mapping) == 0

    def test_popitem_of_an_empty_one_is_a_key_error(self, make: Make) -> None:
        with pytest.raises(KeyError):
            make({}).popitem()

    def test_clear_removes_everything(self, make: Make) -> None:
        mapping = make(FRUIT)
        mapping.clear()
        assert list(mapping) == []
        mapping.clear()
        mapping["a"] = 1
        assert dict(mapping) == {"a": 1}

    @pytest.mark.parametrize(
        ("positional", "named"),
        [
            (({"a": 2, "b": 3},), {}),
            (([("a", 2), ("b", 3)],), {}),
            ((iter([("a", 2), ("b", 3)]),), {}),
            ((), {"a": 2, "b": 3}),
            (({"a": 2},), {"b": 3}),
            (({"a": 9, "b": 3},), {"a": 2}),
            (([("a", 9), ("a", 2), ("b", 3)],), {}),
        ],
        ids=["mapping", "pairs", "iterator", "names", "both", "a name wins", "the last pair wins"],
    )
    def test_update_takes_what_dict_takes(self, make: Make, positional: Any, named: dict[str, Any]) -> None:
        mapping = make({"a": 1, "z": 0})
        mapping.update(*[list(item) if hasattr(item, "__next__") else item for item in positional], **named)
        assert dict(mapping) == {"a": 2, "b": 3, "z": 0}

    def test_update_with_nothing_changes_nothing(self, make: Make) -> None:
        mapping = make({"a": 1})
        mapping.update()
        mapping.update({})
        mapping.update([])
        assert dict(mapping) == {"a": 1}

    def test_setdefault_writes_only_where_there_is_nothing(self, make: Make) -> None:
        mapping = make({"a": None})
        assert mapping.setdefault("a", 7) is None
        assert mapping.setdefault("b", 7) == 7
        assert mapping.setdefault("c") is None
        assert dict(mapping) == {"a": None, "b": 7, "c": None}

    def test_views_follow_later_writes(self, make: Make) -> None:
        mapping = make({"a": 1})
        keys, values, items = mapping.keys(), mapping.values(), mapping.items()
        mapping["b"] = 2
        assert (list(keys), list(values), list(items)) == (["a", "b"], [1, 2], [("a", 1), ("b", 2)])


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
        assert 0 < entry.revision
        assert entry.updated_at.utcoffset() == timedelta(0)
        assert before < entry.updated_at < datetime.now(UTC) + timedelta(seconds=60)

    def test_a_key_without_expiry_has_no_ttl(self, make: Make) -> None:
        assert make(FRUIT).ttl("apple") is None

    def test_equality_and_hash_are_by_identity(self, make: Make) -> None:
        reader = make({})
        assert reader == reader  # noqa: PLR0124 - identity is what is tested
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

    def test_revision_of_a_record_is_that_of_its_last_write(self, make: Make) -> None:
        writer = make({"a": 1, "b": 1})
        before = writer.entry("a").revision
        writer["b"] = 2
        assert writer.entry("a").revision == before
        assert writer.entry("b").revision > before

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
