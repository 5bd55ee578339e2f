"""`copy`: a key from here to there."""

from __future__ import annotations

import itertools
import os
import shutil

import pytest
from crash import killed_at

import pronto_cli
import pronto_lmdb
from pronto_cli.streams import Streams


@pytest.mark.parametrize(
    ("words", "address", "key"),
    [
        (["plan", "other"], "default", "other"),
        (["plan", "bob.x:plan"], "bob.x", "plan"),
        (["plan", "bob:web.plan"], "bob", "web.plan"),
        (["default.default:plan", ":other"], "default", "other"),
        (["plan", "other", "--to", "bob.x"], "bob.x", "other"),
        (["plan", "a:b", "--to", "bob.x"], "bob.x", "a:b"),
        (["plan", ":a:b"], "default", "a:b"),
        (["plan", "bob.x:other", "--from", "default"], "bob.x", "other"),
        (["plan", "bob:x", "--literal"], "default", "bob:x"),
        (["default.default.plan", "default.web.x"], "default", "web.x"),
    ],
)
def test_from_key_to_key(store, ok, words, address, key):
    store["default"]["plan"] = {"n": 1}
    ok("copy", *words)
    assert store[address][key] == {"n": 1}
    assert store["default"]["plan"] == {"n": 1}


def test_the_address_of_the_line_is_that_of_plain_keys(store, ok):
    store["alice"]["plan"] = 1
    ok("copy", "plan", "bob:plan", "-a", "alice")
    ok("copy", "plan", "copy", "-a", "alice")
    assert (store["bob"]["plan"], store["alice"]["copy"]) == (1, 1)


def test_the_expiry_is_copied_too(clock, store, ok):
    store["default"].put("plan", 1, ttl=60)
    ok("copy", "plan", "bob:plan")
    assert store["bob"].ttl("plan") == 60


@pytest.mark.parametrize("target", ["other", "bob:other", "plan"])
def test_what_is_there_is_not_replaced_unless_asked_for(store, pronto, ok, target):
    store["default"].update({"plan": 1, "other": 2})
    store["bob"]["other"] = 2
    done = pronto("copy", "plan", target)
    assert (done.code, done.out) == (3, b"")
    assert "is there already" in done.err
    assert (store["default"]["other"], store["bob"]["other"]) == (2, 2)
    ok("copy", "plan", target, "--overwrite")
    assert 1 in (store["default"]["other"], store["bob"]["other"], store["default"]["plan"])


def test_what_is_absent_is_a_miss(root, pronto):
    assert pronto("copy", "nothing", "bob:x") == (2, b"", "")
    assert pronto("copy", "nobody:x", "y", "--json").error["code"] == "key_not_found"
    assert not root.exists()


@pytest.mark.parametrize(
    "words", [["a.b.c:k", "x"], ["k", "x", "--to", ""], ["bob:", "x"], ["a..b", "x"], ["%:k", "x"]]
)
def test_what_cannot_be_understood_is_refused(root, pronto, words):
    done = pronto("copy", *words)
    assert (done.code, done.out) == (1, b"")
    assert not root.exists()


# -- from the pipe cache -----------------------------------------------------------------------------------------------


def kept(pronto, store, *words, content="a day's work\n"):
    assert pronto("set", "a..b", *words, stdin=content).code == 1
    (key,) = store["default"].scan_keys("pipe.cache.")
    return key


@pytest.mark.parametrize("target", ["plan", "bob:plan"])
@pytest.mark.parametrize("level", ["full", "normal", "off"])
def test_kept_content_moves_and_does_not_expire(store, pronto, target, level):
    store.create("default", durability=level)
    store.create("bob", durability=level)
    key = kept(pronto, store)
    done = pronto("copy", key, target)
    assert (done.code, done.out) == (0, b"")
    where = "bob" if ":" in target else "default"
    assert (store[where]["plan"], store[where].ttl("plan")) == ("a day's work\n", None)
    assert key not in store["default"]


@pytest.mark.parametrize(("target", "code"), [("taken", 3), ("a..b", 1), ("a.b.c:k", 1)])
def test_kept_content_stays_where_the_copy_is_refused(store, pronto, target, code):
    key = kept(pronto, store)
    store["default"]["taken"] = 1
    assert pronto("copy", key, target).code == code
    assert store["default"][key] == "a day's work\n"


def test_kept_content_stays_where_there_is_no_room_for_the_copy(store, pronto):
    key = kept(pronto, store, content="x" * 100_000)
    store.create("bob", max_bytes=1 << 16)
    assert pronto("copy", key, "bob:plan").code == 1
    assert store["default"][key] == "x" * 100_000


def test_kept_content_copied_onto_itself_stays(store, ok, pronto):
    key = kept(pronto, store)
    ok("copy", key, key, "--overwrite")
    assert store["default"][key] == "a day's work\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("target", ["plan", "bob:plan"])
def test_kept_content_survives_a_kill_at_every_step(root, target):
    key = "pipe.cache.1_00000000"
    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)
        with pronto_lmdb.open(root) as store:
            store["default"].put(key, "content", ttl=900)

        def work():
            assert pronto_cli.main(["--root", str(root), "copy", key, target], Streams(None, None, None)) == 0

        died = killed_at(step, work)
        with pronto_lmdb.open(root) as store:
            found = [store["default"].get(key), store["default"].get("plan"), store["bob"].get("plan")]
            assert "content" in found, step
        if not died:
            assert found[0] is None
            return


def test_real_exit_codes(program):
    assert program("set", "a", "1").code == 0
    assert program("copy", "a", "bob:b") == (0, b"", "")
    assert program("copy", "a", "bob:b").code == 3
    assert program("copy", "nothing", "b").code == 2
    assert program("copy", "a..b", "b").code == 1
    assert program("copy", "a").code == 64


def test_project_and_namespace_hold_for_both_keys(store, ok):
    store["default"]["kb.recipes.bad.key"] = 1
    ok("copy", "bad.key", "good", "-p", "kb", "-n", "recipes")
    assert store["default"]["kb.recipes.good"] == 1


def test_kept_content_finds_its_place_by_project_and_namespace(store, ok):
    store["default"]["pipe.cache.1_x"] = "text"
    ok("-q", "copy", "pipe.cache.1_x", "soup", "-p", "kb", "-n", "recipes")
    assert list(store["default"].items()) == [("kb.recipes.soup", "text")]
