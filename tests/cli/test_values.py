"""`set` and `get`: what goes in and what comes out."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest


@pytest.mark.parametrize("value", ["draft", "", " blanks ", "two\nlines", "日本 😀", '{"x": 1}', "-", "--json", "1"])
def test_text_comes_back_as_it_went_in_with_a_newline(store, ok, value):
    store["default"].put("plan", value)
    assert ok("get", "plan").out == value.encode() + b"\n"


@pytest.mark.parametrize("value", ["draft", "", "two\nlines", "日本 😀", '{"x": 1}', "--json", "-5"])
def test_set_stores_the_argument_as_text(store, ok, value):
    assert ok("set", "plan", "--", value).out == b""
    assert store["default"]["plan"] == value


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (None, "null"),
        (True, "true"),
        (-3, "-3"),
        (2**64 - 1, "18446744073709551615"),
        (2.5, "2.5"),
        ([1, "a"], '[1, "a"]'),
        ({"step": 1}, '{"step": 1}'),
        (b"\x00\xff", '{"$bytes": "AP8="}'),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), '{"$time": "2026-01-02T03:04:05Z"}'),
        (float("nan"), '{"$float": "nan"}'),
    ],
)
def test_anything_but_text_is_printed_as_json(store, ok, value, printed):
    store["default"].put("plan", value)
    assert ok("get", "plan").text == f"{printed}\n"
    assert ok("get", "plan", "--json").text == f"{printed}\n"


def test_json_puts_text_into_quotes_and_keeps_its_characters(store, ok):
    store["default"].put("plan", 'é"\n')
    assert ok("get", "plan", "--json").text == '"é\\"\\n"\n'


@pytest.mark.parametrize(
    ("value", "raw"),
    [("no newline", b"no newline"), (b"\x00\xff\n", b"\x00\xff\n"), ([1], b"[1]"), (7, b"7"), ("", b"")],
)
def test_raw_prints_the_value_and_nothing_else(store, ok, value, raw):
    store["default"].put("plan", value)
    assert ok("get", "plan", "--raw").out == raw


def test_with_revision_puts_the_revision_and_a_tab_before_the_value(store, ok):
    store["default"].update({"other": 1})
    store["default"].put("plan", {"a": 1})
    assert ok("get", "plan", "--with-revision").text == '2\t{"a": 1}\n'


def test_with_revision_and_json_prints_all_that_is_known(clock, store, ok):
    store["default"].put("plan", "draft", ttl=60)
    assert ok("get", "plan", "--with-revision", "--json").json == {
        "key": "plan",
        "value": "draft",
        "revision": 1,
        "updated_at": "2025-06-15T15:06:40Z",
        "expires_at": "2025-06-15T15:07:40Z",
    }


def test_with_revision_and_json_says_null_where_nothing_expires(store, ok):
    store["default"].put("plan", "draft")
    assert ok("get", "plan", "--with-revision", "--json").json["expires_at"] is None


@pytest.mark.parametrize("document", ['{"a": [1, null, "x"]}', '"text"', "12", "null", "[]", '{"$ref": "#/x"}'])
@pytest.mark.parametrize("position", ["before", "after"])
def test_set_with_json_in_either_position_stores_the_document(store, ok, document, position):
    words = ["--json", "set", "plan", document] if position == "before" else ["set", "plan", document, "--json"]
    ok(*words)
    assert store["default"]["plan"] == json.loads(document)


@pytest.mark.parametrize("document", ["{", "", "NaN", "1e999", "'x'", "[" * 5000, '{"$bytes": 1}', "9" * 5000])
def test_set_refuses_what_is_no_json_document(store, pronto, document):
    done = pronto("set", "plan", document, "--json")
    assert (done.code, done.out, done.error["code"]) == (1, b"", "invalid_value")
    assert "plan" not in store["default"]


def test_set_refuses_an_integer_beyond_64_bits(pronto):
    assert pronto("set", "plan", str(2**64), "--json").error["code"] == "invalid_value"


@pytest.mark.parametrize("words", [["set", "plan", "-"], ["set", "plan"]])
@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"draft\n", "draft\n"),
        (b"", ""),
        ("日本".encode(), "日本"),
        (b"\xff\x00", b"\xff\x00"),
        (b"a" * 200_000, "a" * 200_000),
    ],
    ids=["text", "empty", "unicode", "no UTF-8", "large"],
)
def test_standard_input_is_stored_verbatim(store, ok, words, content, value):
    ok(*words, stdin=content)
    assert store["default"]["plan"] == value


def test_a_document_may_be_piped_in(store, ok):
    ok("set", "plan", "--json", stdin='{"a": 1}\n')
    assert store["default"]["plan"] == {"a": 1}


def test_what_is_printed_as_json_can_be_set_again(store, ok):
    value = {"raw": b"\x00", "at": datetime(2026, 1, 1, tzinfo=UTC), "$map": [{1: float("inf")}], "n": [None, 1.5]}
    store["default"].put("plan", value)
    ok("set", "copy", "--json", stdin=ok("get", "plan", "--json").out)
    assert store["default"]["copy"] == value


@pytest.mark.parametrize(
    "words",
    [["set", "k", "v"], ["get", "k"], ["del", "k"], ["exists", "k"], ["keys"], ["scan"], ["incr", "n"], ["ttl", "k"]],
)
def test_standard_input_is_not_touched_where_it_is_not_the_value(pronto, words):
    assert pronto(*words).code in (0, 2)


def test_set_on_a_terminal_without_a_value_is_wrong_usage(store, pronto):
    done = pronto("set", "plan", typed="not read")
    assert (done.code, done.out) == (64, b"")
    assert "plan" not in store["default"]


def test_a_dash_reads_a_terminal_to_its_end(store, pronto):
    assert pronto("set", "plan", "-", typed="typed\n").code == 0
    assert store["default"]["plan"] == "typed\n"


def test_set_drops_an_earlier_expiry_unless_told_otherwise(clock, store, ok):
    ok("set", "plan", "a", "--ttl", "60")
    assert store["default"].ttl("plan") == 60
    ok("set", "plan", "b")
    assert store["default"].ttl("plan") is None


def test_if_absent_writes_only_once(store, ok, pronto):
    ok("set", "lock", "w1", "--if-absent", "--ttl", "60")
    done = pronto("set", "lock", "w2", "--if-absent")
    assert (done.code, done.out) == (3, b"")
    assert "lock" in done.err
    assert store["default"]["lock"] == "w1"


def test_if_revision_writes_only_over_that_revision(store, ok, pronto):
    ok("set", "plan", "a")
    ok("set", "plan", "b", "--if-revision", "1")
    assert pronto("set", "plan", "c", "--if-revision", "1").code == 3
    assert store["default"]["plan"] == "b"


def test_if_revision_of_an_absent_key_is_a_conflict_and_creates_nothing(root, pronto):
    assert pronto("set", "plan", "a", "--if-revision", "1").code == 3
    assert not root.exists()


def test_if_revision_takes_a_new_expiry(clock, store, ok):
    ok("set", "lease", "w7", "--ttl", "5")
    ok("set", "lease", "w7", "--if-revision", "1", "--ttl", "30")
    assert store["default"].ttl("lease") == 30
