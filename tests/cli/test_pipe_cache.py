"""Piped content is never lost: a refused `set` keeps it for 15 minutes and names the key."""

from __future__ import annotations

import fcntl
from hashlib import md5

import pytest

CONTENT = "a day's work\n"


def kept_key(content: bytes) -> str:
    return f"pipe.cache.1750000000_{md5(content).hexdigest()[:8]}"


KEY = kept_key(CONTENT.encode())


@pytest.mark.parametrize(
    "words",
    [["a..b"], [""], ["k" * 501, "-"], ["-p", "a.b", "k"], ["k", "--json"], ["k", "--ttl", "-1"], ["k", "--ttl=inf"]],
)
def test_what_is_refused_is_kept_in_the_same_address(clock, store, pronto, words):
    done = pronto("set", *words, "-a", "alice.research", stdin=CONTENT)
    assert (done.code, done.out) == (1, b"")
    assert f"under {KEY} in alice.research" in done.err
    assert store["alice.research"][KEY] == CONTENT
    assert store["alice.research"].ttl(KEY) == 15 * 60


@pytest.mark.parametrize("options", [["-a", "a.b.c"], ["-u", ""], ["-c", " x"]])
def test_where_the_address_was_refused_it_is_kept_in_the_default_one(clock, store, pronto, options):
    done = pronto("set", "plan", *options, stdin=CONTENT)
    assert done.code == 1
    assert f"under {KEY} in default.default" in done.err
    assert store["default.default"][KEY] == CONTENT


def test_where_the_address_is_full_it_is_kept_in_the_default_one(clock, store, pronto):
    content = "x" * 100_000
    store.create("alice.research", max_bytes=1 << 16)
    done = pronto("set", "plan", "-a", "alice.research", stdin=content)
    assert (done.code, "in default.default" in done.err) == (1, True)
    assert store["default.default"][kept_key(content.encode())] == content


def test_bytes_are_kept_as_bytes(clock, store, pronto):
    pronto("set", "a..b", stdin=b"\xff\x00")
    assert store["default"][kept_key(b"\xff\x00")] == b"\xff\x00"


def test_the_kept_key_is_an_ordinary_one(clock, pronto, ok):
    pronto("set", "a..b", stdin=CONTENT)
    assert ok("keys", "-p", "pipe", "-n", "cache").lines == [KEY]
    assert ok("get", KEY, "--raw").text == CONTENT


def test_with_json_the_hint_names_the_key(clock, pronto):
    error = pronto("set", "plan", "--json", stdin="{").error
    assert kept_key(b"{") in error["hint"]


def test_quiet_does_not_hide_where_it_is_kept(clock, pronto):
    assert KEY in pronto("-q", "set", "a..b", stdin=CONTENT).err


@pytest.mark.parametrize("options", [["--if-absent"], ["--if-revision", "7"]])
def test_a_conflict_keeps_it_too(clock, store, pronto, options):
    store["default"].put("plan", "old")
    done = pronto("set", "plan", *options, stdin=CONTENT)
    assert (done.code, KEY in done.err) == (3, True)
    assert (store["default"]["plan"], store["default"][KEY]) == ("old", CONTENT)


def test_where_nothing_can_be_written_the_message_says_so(tmp_path, pronto):
    (tmp_path / "file").write_text("")
    done = pronto("set", "plan", "--root", tmp_path / "file", stdin=CONTENT)
    assert (done.code, done.out) == (1, b"")
    assert "could not be kept" in done.err


def test_a_value_on_the_line_is_not_kept(clock, store, pronto):
    assert pronto("set", "a..b", "typed").code == 1
    assert list(store.addresses()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["set"],
        ["set", "k", "--nope"],
        ["set", "k", "--ttl", "soon"],
        ["set", "k", "--if-revision", "new"],
        ["set", "k", "--if-absent", "--if-revision", "1"],
        ["set", "k", "-a", "x.y", "-u", "z"],
        ["set", "k", "--literal", "-p", "x"],
        ["set", "k", "--timeout", "soon"],
        ["set", "k", "-", "extra"],
        ["sett", "k"],
    ],
)
def test_a_line_that_cannot_be_understood_reads_nothing(root, pronto, words):
    done = pronto(*words)
    assert (done.code, done.out) == (64, b"")
    assert not root.exists()


def test_what_is_too_large_for_a_value_is_kept(clock, store, pronto, ok):
    ok("config", "set", "value_limit", "1000")
    done = pronto("set", "plan", stdin="x" * 2000)
    assert done.code == 1
    assert store["default"][kept_key(b"x" * 2000)] == "x" * 2000


def test_where_the_default_address_is_busy_another_one_keeps_it(clock, store, pronto):
    store["default"].put("k", 1)
    with open(store.info("default").path / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = pronto("set", "plan", "--timeout", "0.01", stdin=CONTENT)
    assert (done.code, f"under {KEY} in default.pipe-cache" in done.err) == (5, True)
    assert store["default.pipe-cache"][KEY] == CONTENT
