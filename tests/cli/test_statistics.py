"""`stats`: how much one address holds and uses, or all of them."""

from __future__ import annotations

import json

import pytest


def table(lines):
    """Return the cells of aligned lines."""
    return [line.split() for line in lines]


def test_it_prints_aligned_names_and_figures(store, ok):
    store["alice"].update({"a": 1, "b": 2})
    lines = ok("stats", "-a", "alice").lines
    assert ["records", "2"] in table(lines)
    assert ["quota_used", "none"] in table(lines)
    assert len({len(line) - len(line.split(None, 1)[1]) for line in lines}) == 1


def test_as_json_it_is_one_object(store, ok):
    store["alice"].update({"a": 1, "b": 2})
    facts = ok("stats", "-a", "alice", "--json").json
    assert (facts["address"], facts["records"], facts["revision"]) == ("alice.default", 2, 1)


def test_it_shows_how_much_of_the_quota_is_used(store, ok):
    store.create("alice", max_bytes=1 << 20)
    store["alice"]["a"] = "x" * 100_000
    facts = ok("stats", "-a", "alice", "--json").json
    assert facts["quota_used"] == round(facts["bytes_used"] / (1 << 20), 4) > 0.1
    assert ["quota_used", f"{facts['quota_used']:.1%}"] in table(ok("stats", "-a", "alice").lines)


def test_it_lists_the_default_lifetimes(store, ok):
    store["default"].namespace_ttl("web.cache", 90)
    assert ["cache", "web.cache", "90", "s"] in table(ok("stats").lines)
    assert ok("stats", "--json").json["caches"] == {"web.cache": 90.0}


def test_all_is_a_table_with_a_sum(store, ok):
    store["alice"].update({"a": 1, "b": 2})
    store.create("bob.main", max_bytes=1 << 20, durability="off")
    lines = ok("stats", "--all").lines
    rows = table(lines)
    assert rows[0] == ["address", "records", "expired", "bytes_used", "bytes_on_disk", "quota", "durability"]
    assert [row[:2] for row in rows[1:]] == [["alice.default", "2"], ["bob.main", "0"], ["2", "in"]]
    assert rows[2][-1] == "off"
    assert rows[3][2:4] == ["all", "2"]
    assert len({line.index(row[1]) + len(row[1]) for line, row in zip(lines[:3], rows[:3], strict=True)}) == 1


def test_all_as_json_is_an_object_a_line(store, ok):
    store["alice"]["a"] = 1
    store["bob"]["a"] = 1
    rows = [json.loads(line) for line in ok("stats", "--all", "--json").lines]
    assert [(row["address"], row["records"]) for row in rows] == [("alice.default", 1), ("bob.default", 1)]


def test_all_of_one_user(store, ok):
    store.create("alice")
    store.create("bob")
    assert [row[0] for row in table(ok("stats", "--all", "-u", "bob").lines)] == ["address", "bob.default", "1"]


def test_of_an_absent_address_it_is_zero_and_makes_nothing(root, ok):
    assert ok("stats", "--json").json["records"] == 0
    assert ok("stats", "--all", "--json").out == b""
    assert not root.exists()


@pytest.mark.parametrize("words", [["-a", "alice"], ["-c", "main"]])
def test_all_and_one_exclude_each_other(pronto, words):
    assert pronto("stats", "--all", *words).code == 64
