"""`del exists incr keys scan`, and which keys a line means."""

from __future__ import annotations

import json

import pytest

FLEET = ["a-b", "a.b", "cache.x", "default.cache.y.z", "p.n.one", "p.n.two.three", "p.n2.x", "p.nn.x", "status"]
ODD = ["", ".x", "a..b", "default.default.long.winded", "x."]


@pytest.fixture
def fleet(store):
    """Keys by the convention, and some that are not."""
    store["default"].update({key: key.upper() for key in [*FLEET, *ODD] if key})
    return store["default"]


# -- one key ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["del", "delete"])
def test_del_removes_a_key_silently(store, ok, name):
    store["default"].put("plan", 1)
    assert ok(name, "plan").out == b""
    assert "plan" not in store["default"]


@pytest.mark.parametrize("name", ["del", "delete"])
def test_del_of_an_absent_key_is_fine(ok, name):
    assert ok(name, "plan").out == b""


def test_exists_answers_by_exit_code(store, ok, pronto):
    store["default"].put("plan", None)
    assert ok("exists", "plan").out == b""
    assert ok("exists", "plan", "--json").json is True
    assert pronto("exists", "nope") == (2, b"", "")


@pytest.mark.parametrize(
    ("by", "total"),
    [([], "1"), (["5"], "5"), (["-5"], "-5"), (["--", "-5"], "-5"), (["-5", "-q"], "-5"), (["+5"], "5"), (["0"], "0")],
)
def test_incr_prints_the_new_value(ok, by, total):
    assert ok("incr", "hits", *by).text == f"{total}\n"


def test_incr_starts_at_what_is_there_and_keeps_the_expiry(clock, store, ok):
    store["default"].put("hits", 40, ttl=60)
    assert ok("incr", "hits", "2", "--json").json == 42
    assert store["default"].ttl("hits") == 60


@pytest.mark.parametrize(("value", "by"), [("text", "1"), (2**64 - 1, "1"), (-(2**63), "-1"), (1.5, "1"), (True, "1")])
def test_incr_refuses_what_is_no_integer_or_grows_beyond_64_bits(store, pronto, value, by):
    store["default"].put("hits", value)
    assert (pronto("incr", "hits", by).code, store["default"]["hits"]) == (1, value)


# -- what KEY means --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["status", "default.status", "default.default.status"])
def test_a_key_is_stored_under_its_shortest_text(store, ok, spelling):
    ok("set", spelling, "up")
    assert list(store["default"]) == ["status"]


@pytest.mark.parametrize(
    ("words", "stored"),
    [
        (["-p", "web", "-n", "cache", "page"], "web.cache.page"),
        (["--project", "web", "--namespace", "cache", "page__v2"], "web.cache.page__v2"),
        (["-p", "web", "page"], "web.default.page"),
        (["-n", "cache", "page"], "cache.page"),
        (["-n", "cache", "page.html"], "default.cache.page.html"),
        (["-p", "default", "a.b.c"], "default.default.a.b.c"),
        (["--ns-delim", "/", "web/cache/page"], "web.cache.page"),
        (["--ns-delim", "::", "web::cache::a::b"], "web.cache.a::b"),
        (["--ns-delim", "/", "page.html"], "default.default.page.html"),
        (["--ns-delim", "/", "-p", "web", "a/b"], "web.default.a/b"),
        (["--literal", "default.status"], "default.status"),
        (["--literal", "a..b"], "a..b"),
        (["--literal", "--", "-x"], "-x"),
    ],
)
@pytest.mark.parametrize("command", ["set", "incr"])
def test_the_options_say_which_key_is_stored(store, ok, command, words, stored):
    ok(command, *words, *(["1"] if "--" in words or command == "set" else []))
    assert list(store["default"]) == [stored]


@pytest.mark.parametrize("command", ["get", "exists", "ttl", "persist", "del"])
@pytest.mark.parametrize(
    "words", [["-p", "web", "-n", "cache", "page"], ["--literal", "web.cache.page"], ["--ns-delim=/", "web/cache/page"]]
)
def test_every_command_with_a_key_understands_the_options(store, ok, command, words):
    store["default"].put("web.cache.page", 1, ttl=60)
    ok(command, *words)


def test_expire_understands_the_options_too(clock, store, ok):
    store["default"].put("web.cache.page", 1)
    ok("expire", "-p", "web", "-n", "cache", "page", "60")
    assert store["default"].ttl("web.cache.page") == 60


@pytest.mark.parametrize(
    "words",
    [
        ["a..b"],
        [""],
        [".a"],
        ["a."],
        ["--ns-delim", "/", "a.b/c"],
        ["-p", "a.b", "k"],
        ["-p", "", "k"],
        ["-n", "", "k"],
        ["-p", "web", ""],
        ["--literal", ""],
        ["k" * 501],
    ],
)
@pytest.mark.parametrize("command", ["get", "set", "del", "exists", "ttl", "persist", "incr"])
def test_a_key_that_cannot_be_is_refused(root, pronto, command, words):
    done = pronto("--json", command, *words, *(["1"] if command == "set" else []))
    assert (done.code, done.out, done.error["code"]) == (1, b"", "invalid_key")
    assert not root.exists()


# -- many keys -------------------------------------------------------------------------------------------------------


def test_keys_prints_whole_keys_in_byte_order(fleet, ok):
    assert ok("keys").lines == sorted([*FLEET, *ODD[1:]], key=str.encode)


@pytest.mark.parametrize("prefix", ["p.", "p.n", "a", "", "zzz", "default."])
def test_keys_takes_a_literal_prefix(fleet, ok, prefix):
    assert ok("keys", prefix).lines == [key for key in fleet if key.startswith(prefix)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["-p", "p", "-n", "n"], ["p.n.one", "p.n.two.three"]),
        (["-p", "p", "-n", "n", "t"], ["p.n.two.three"]),
        (["-n", "cache"], ["cache.x", "default.cache.y.z"]),
        (["-p", "default", "-n", "cache", "y."], ["default.cache.y.z"]),
        (["-p", "default"], ["a-b", "default.default.long.winded", "status"]),
        (["-n", "default", "s"], ["status"]),
        (["-p", "p"], []),
        (["-p", "nobody"], []),
    ],
)
@pytest.mark.parametrize("command", ["keys", "scan", "ls"])
def test_project_and_namespace_select_exactly_that_namespace(fleet, ok, command, words, found):
    lines = ok(command, *words).lines
    assert lines == (found if command == "keys" else [f"{key}={key.upper()}" for key in found])


def test_contexts_are_part_of_the_name_that_a_prefix_looks_at(store, ok):
    store["default"].update({"p.n.page__v1": 1, "p.n.page__v2": 2, "p.n.page": 3})
    assert ok("keys", "-p", "p", "-n", "n", "page__").lines == ["p.n.page__v1", "p.n.page__v2"]


@pytest.mark.parametrize("words", [["-p", "a.b"], ["-n", "a.b"], ["-p", ""], ["-n", ""]])
@pytest.mark.parametrize("command", ["keys", "scan"])
def test_a_namespace_that_cannot_be_is_refused(store, pronto, command, words):
    assert pronto(command, *words).code == 1


def test_another_delimiter_shows_and_sorts_keys_anew(store, ok):
    store["default"].update({"a.b": 1, "a-b": 2, "p.n.x.y": 3, "v1.0.html": 4, "bad..key": 5, "s/t.n.x": 6})
    assert ok("keys", "--ns-delim", "/").lines == ["a-b", "a/b", "p/n/x.y", "v1/0/html"]
    assert ok("keys", "--ns-delim", "/", "a/").lines == ["a/b"]
    assert ok("scan", "--ns-delim", "/", "-p", "p", "-n", "n").lines == ["p/n/x.y=3"]


def test_what_another_delimiter_shows_finds_the_key_again(fleet, ok):
    shown = ok("keys", "--ns-delim", ":").lines
    assert [ok("get", "--ns-delim", ":", key).text for key in shown] == [
        line.partition("=")[2] + "\n" for line in ok("scan", "--ns-delim", ":").lines
    ]


def test_literal_shows_keys_as_they_are_stored(fleet, ok):
    assert ok("keys", "--literal", "--ns-delim", "/").lines == list(fleet)


def test_keys_as_json_are_strings(store, ok):
    store["default"].update({"a\nb": 1, "é": 2})
    assert [json.loads(line) for line in ok("keys", "--json").lines] == ["a\nb", "é"]


@pytest.mark.parametrize("command", ["scan", "ls"])
def test_scan_prints_text_as_it_is_and_the_rest_as_json(store, ok, command):
    store["default"].update({"a": "text", "b": {"x": [1]}, "c": None, "d": b"\xff"})
    assert ok(command).lines == ["a=text", 'b={"x": [1]}', "c=null", 'd={"$bytes": "/w=="}']


def test_scan_as_json_prints_an_object_a_line(store, ok):
    store["default"].update({"a": "two\nlines", "b": 1})
    assert [json.loads(line) for line in ok("scan", "--json").lines] == [
        {"key": "a", "value": "two\nlines"},
        {"key": "b", "value": 1},
    ]


def test_keys_and_scan_leave_out_what_has_expired(clock, store, ok):
    store["default"].put("a", 1, ttl=1)
    store["default"].put("b", 2)
    clock.advance(1)
    assert ok("keys").lines == ["b"]
    assert ok("scan").lines == ["b=2"]


@pytest.mark.parametrize("command", ["keys", "scan"])
def test_nothing_selected_prints_nothing(ok, command):
    assert ok(command, "-p", "nobody").out == b""


def test_a_delimiter_of_ones_own_stands_in_the_entry_too(store, ok):
    store["default"]["p.n.k"] = 1
    words = ("get", "--with-revision", "--json")
    assert ok(*words, "--ns-delim", "|", "p|n|k").json["key"] == "p|n|k"
    assert ok(*words, "--ns-delim", "|", "--literal", "p.n.k").json["key"] == "p.n.k"
