"""`ttl expire persist sweep`."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("seconds", "printed"), [(60, "60"), (0.5, "0.5"), (1.23456, "1.235"), (100.0, "100"), (0.0001, "0")]
)
def test_ttl_prints_seconds_with_up_to_three_decimals(clock, store, ok, seconds, printed):
    store["default"].put("lease", 1, ttl=seconds)
    assert ok("ttl", "lease").text == f"{printed}\n"
    assert ok("ttl", "lease", "--json").json == float(printed)


def test_ttl_of_a_key_that_never_expires_is_none(store, ok):
    store["default"].put("lease", 1)
    assert ok("ttl", "lease").text == "none\n"
    assert ok("ttl", "lease", "--json").json is None


def test_expire_lets_a_key_expire(clock, store, ok, pronto):
    store["default"].put("lease", 1)
    assert ok("expire", "lease", "0.5").out == b""
    clock.advance(0.5)
    assert pronto("get", "lease").code == 2


def test_persist_lets_it_live(clock, store, ok):
    store["default"].put("lease", 1, ttl=5)
    assert ok("persist", "lease").out == b""
    assert ok("persist", "lease").out == b""
    assert store["default"].ttl("lease") is None


@pytest.mark.parametrize("seconds", ["0", "-1", "-0.5", "inf", "nan", "1e300"])
@pytest.mark.parametrize("words", [["expire", "lease"], ["set", "lease", "v", "--ttl"]])
def test_a_time_to_live_is_positive_and_finite(store, pronto, words, seconds):
    store["default"].put("lease", "old")
    assert pronto(*words, seconds).code == 1
    assert (store["default"]["lease"], store["default"].ttl("lease")) == ("old", None)


@pytest.mark.parametrize("words", [["expire", "lease", "soon"], ["set", "lease", "v", "--ttl", "soon"]])
def test_a_time_to_live_is_a_number(pronto, words):
    assert pronto(*words).code == 64


def test_sweep_prints_how_many_records_it_removed(clock, store, ok):
    for key in "abc":
        store["default"].put(key, 1, ttl=1)
    clock.advance(2)
    assert ok("sweep").text == "3\n"
    assert ok("sweep", "--json").json == 0


@pytest.mark.parametrize(
    "words",
    [["get", "k"], ["exists", "k"], ["ttl", "k"], ["expire", "k", "5"], ["persist", "k"], ["get", "k", "--raw"]],
)
@pytest.mark.parametrize("state", ["never written", "expired"])
def test_what_is_absent_or_expired_is_a_silent_miss(clock, store, pronto, words, state):
    if state == "expired":
        store["default"].put("k", 1, ttl=1)
        clock.advance(1)
    assert pronto(*words) == (2, b"", "")


@pytest.mark.parametrize("words", [["get", "k"], ["exists", "k"], ["ttl", "k"], ["expire", "k", "5"], ["persist", "k"]])
@pytest.mark.parametrize("position", ["before", "after"])
def test_with_json_a_miss_is_one_error_line(pronto, words, position):
    done = pronto("--json", *words) if position == "before" else pronto(*words, "--json")
    assert (done.code, done.out) == (2, b"")
    assert done.error.keys() == {"code", "message", "hint", "exit"}
    assert (done.error["code"], done.error["exit"]) == ("key_not_found", 2)


# -- create-cache ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", ["timeout=60", "60", "60.0"])
def test_create_cache_lets_the_keys_of_a_namespace_expire_by_default(clock, store, ok, timeout):
    ok("set", "web.cache.before", "v")
    assert ok("create-cache", "web.cache", timeout).out == b""
    ok("set", "web.cache.k", "v")
    ok("set", "web.cache.own", "v", "--ttl", "5")
    ok("set", "web.other.k", "v")
    keystore = store["default"]
    assert [keystore.ttl(f"web.{key}") for key in ("cache.k", "cache.own", "cache.before", "other.k")] == [
        60, 5, None, None,
    ]  # fmt: skip


def test_create_cache_again_replaces_and_none_takes_away(store, ok):
    ok("create-cache", "web.cache", "60")
    ok("create-cache", "web.cache", "timeout=5")
    assert store["default"].namespace_ttls() == {"web.cache": 5.0}
    ok("create-cache", "web.cache", "none")
    assert store["default"].namespace_ttls() == {}


def test_create_cache_of_the_default_namespace_holds_for_plain_names(clock, store, ok):
    ok("create-cache", "default.default", "60")
    ok("set", "plan", "v")
    assert store["default"].ttl("plan") == 60


def test_create_cache_takes_the_delimiter_of_the_line(store, ok):
    ok("create-cache", "web|cache", "60", "--ns-delim", "|")
    assert store["default"].namespace_ttls() == {"web.cache": 60.0}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["web", "60"], 1),
        (["web.cache.k", "60"], 1),
        (["web.", "60"], 1),
        (["web|ca.che", "60", "--ns-delim", "|"], 1),
        (["web.cache", "0"], 1),
        (["web.cache", "-5"], 1),
        (["web.cache", "timeout=0"], 1),
        (["web.cache", "timeout=soon"], 64),
        (["web.cache", "soon"], 64),
        (["web.cache"], 64),
        ([], 64),
    ],
)
def test_create_cache_refuses_what_cannot_be(root, pronto, words, code):
    done = pronto("create-cache", *words)
    assert (done.code, done.out) == (code, b"")
    assert not root.exists()
