"""What every mapping must do, whatever lies behind it.

Two classes of tests, to be inherited by a class in a test module: ``MappingReads`` by whatever can be read,
``MappingWrites`` by what can be written as well. That class has a fixture ``make``: a function that takes a dict
and returns what is under test, holding these items. ``dict`` itself passes both.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[[dict[str, Any]], Any]

FRUIT = {"apple": 1, "banana": None, "cherry": ["x", {"y": b"z"}], "date": ""}


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

    def test_keys_are_taken_as_they_are(self, make: Make) -> None:
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
        "update",
        [
            lambda mapping: mapping.update({"a": 2, "b": 3}),
            lambda mapping: mapping.update([("a", 2), ("b", 3)]),
            lambda mapping: mapping.update(iter([("a", 2), ("b", 3)])),
            lambda mapping: mapping.update(a=2, b=3),
            lambda mapping: mapping.update({"a": 2}, b=3),
            lambda mapping: mapping.update({"a": 9, "b": 3}, a=2),
            lambda mapping: mapping.update([("a", 9), ("a", 2), ("b", 3)]),
        ],
        ids=["mapping", "pairs", "iterator", "names", "both", "a name wins", "the last pair wins"],
    )
    def test_update_takes_what_dict_takes(self, make: Make, update: Callable[[Any], None]) -> None:
        mapping = make({"a": 1, "z": 0})
        update(mapping)
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
