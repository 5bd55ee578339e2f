"""`batch`: many command lines in one process."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import shutil

import pytest
from crash import killed_at
from hypothesis import given
from hypothesis import strategies as st

import pronto_cli
import pronto_lmdb
from pronto_cli.exits import UsageError
from pronto_cli.streams import Streams
from pronto_cli.words import split


def test_all_lines_make_one_transaction(store, ok):
    ok("batch", stdin="set a 1\nset --json b [1]\nincr hits 2\ndel a\nset web.cache.c 'two words' --ttl 60\n")
    assert dict(store["default"].items()) == {"b": [1], "hits": 2, "web.cache.c": "two words"}
    assert store["default"].revision == 1


def test_a_line_sees_what_those_before_it_did(store, ok):
    lines = ["set a 1", "get a", "incr n", "incr n -5", "exists a", "expire a 60", "persist a", "ttl a", "keys", "scan"]
    done = ok("batch", stdin="\n".join(lines))
    assert done.lines == ["1", "1", "-4", "none", "a", "n", "a=1", "n=-4"]


def test_empty_lines_and_comments_do_not_count_but_are_numbered(store, pronto):
    done = pronto("batch", stdin="\n  \n# set a 1\n   # no\nset b 2\nnope\n")
    assert (done.code, "Line 6: " in done.err) == (1, True)


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("nope", 1, "No such command"),
        ("set", 1, "Missing argument"),
        ("set k", 1, "There is no VALUE"),
        ("set k -", 1, "There is no VALUE"),
        ("set k v --nope", 1, "No such option"),
        ("set k v --ttl soon", 1, "--ttl takes a number"),
        ("set k v --ttl -1", 1, "time to live"),
        ("set k 'v", 1, "quote is not closed"),
        ("set k v\\", 1, "quote is not closed"),
        ("set a..b v", 1, "empty"),
        ("set --json k {", 1, "no JSON"),
        ("set k v --if-revision 7", 3, "is absent"),
        ("set first v --if-absent", 3, "exists already"),
        ("incr text", 1, "not an integer"),
        ("-a alice set k v", 1, "no transaction across addresses"),
        ("-u alice set k v", 1, "no transaction across addresses"),
        ("--root /tmp set k v", 1, "hold for all lines"),
        ("set k v --timeout 1", 1, "hold for all lines"),
        ("address create alice", 1, "cannot be part of a batch"),
        ("batch", 1, "cannot be part of a batch"),
        ("export", 1, "cannot be part of a batch"),
        ("help", 1, "cannot be part of a batch"),
        ("set --help", 1, "cannot be part of a batch"),
        ("--version", 1, "cannot be part of a batch"),
    ],
)
def test_a_line_that_fails_undoes_all_and_is_named(store, pronto, line, code, message):
    store["default"]["text"] = "t"
    done = pronto("batch", stdin=f"set first 1\nget first\n{line}\nset last 1\n")
    assert (done.code, done.out) == (code, b"")
    assert done.err.startswith("pronto: Line 3: ")
    assert message in done.err
    assert dict(store["default"].items()) == {"text": "t"}


def test_a_line_that_is_no_utf8_is_refused(store, pronto):
    done = pronto("batch", stdin=b"set a 1\nset b \xff\n")
    assert (done.code, "Line 2: The line is not UTF-8" in done.err, len(store["default"])) == (1, True, 0)


def test_with_json_the_error_is_one_object(pronto):
    error = pronto("batch", "--json", stdin="set first 1\nset k 1 --if-revision 7\n").error
    assert (error["code"], error["exit"], error["message"][:7]) == ("conflict", 3, "Line 2:")
    assert pronto("batch", "--json", stdin="nope\n").error["exit"] == 1


def test_a_miss_undoes_nothing_and_shows_in_the_exit_code(store, pronto):
    done = pronto("batch", stdin="set a 1\nget nothing\nget a\n")
    assert (done.code, done.text, done.err) == (2, "1\n", "")
    assert store["default"]["a"] == "1"
    assert pronto("batch", "--json", stdin="get nothing").error["exit"] == 2


def test_the_options_of_the_batch_hold_for_each_line(store, ok):
    lines = "set web/cache/a 1\nget web/cache/a\nget --raw b -n web\n"
    store["alice.x"]["web.b"] = "raw"
    done = ok("batch", "-a", "alice.x", "--ns-delim", "/", stdin=lines)
    assert done.lines == ["1", "raw"]
    assert store["alice.x"]["web.cache.a"] == "1"
    assert json.loads(ok("-a", "alice.x", "batch", "--json", stdin="scan web.cache").out) == {
        "key": "web.cache.a",
        "value": "1",
    }


def test_a_line_may_name_the_address_of_the_transaction(store, ok):
    ok("batch", "-a", "alice.x", stdin="-a alice.x set a 1\n-c x set b 2\n")
    assert len(store["alice.x"]) == 2


def test_a_batch_that_only_reads_creates_nothing(root, pronto):
    assert pronto("batch", stdin="get a\nscan\ndel a\n").code == 2
    assert not root.exists()


def test_no_lines_are_no_error(root, ok):
    ok("batch", stdin="")
    assert not root.exists()


def test_lines_come_from_a_pipe(root, pronto):
    assert pronto("batch", typed="set a 1\n").code == 64


# -- every line for itself -------------------------------------------------------------------------------------------


def test_each_line_is_a_commit_of_its_own_in_any_address(store, ok):
    done = ok("batch", "--each", "-a", "alice.x", stdin="set a 1\n-a bob set a 2\n-c y set a 3\nget a\n")
    assert done.text == "1\n"
    assert [str(info.address) for info in store.addresses()] == ["alice.x", "alice.y", "bob.default"]


def test_lines_behind_one_that_fails_are_run(store, pronto):
    done = pronto("batch", "--each", stdin="set a 1\nset b v --if-revision 7\nnope\nget a\nset c 3\n")
    assert (done.code, done.text) == (3, "1\n")
    assert [line.split(":")[1] for line in done.err.splitlines()] == [" Line 2", " Line 3"]
    assert sorted(store["default"]) == ["a", "c"]


def test_a_miss_is_told_by_the_exit_code_here_too(pronto):
    assert pronto("batch", "--each", stdin="get a\nset a 1\n")[:2] == (2, b"")


def test_behind_an_error_that_concerns_all_lines_nothing_is_run(store, pronto):
    store.create("default", max_bytes=1 << 16)
    done = pronto("batch", "--each", stdin=f"set a 1\nset b {'x' * 200_000}\nset c 1\n")
    assert (done.code, "Line 2" in done.err) == (1, True)
    assert list(store["default"]) == ["a"]


# -- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t ", []),
        ("a  b\tc\r\n", ["a", "b", "c"]),
        ("a 'b c' \"d e\"", ["a", "b c", "d e"]),
        ("a '' \"\"", ["a", "", ""]),
        ("x'y'\"z\"w", ["xyzw"]),
        (r"a\ b \'", ["a b", "'"]),
        (r"'a\b'", [r"a\b"]),
        (r'"a\"b\\c\d"', [r"a\"b\c\d".replace(r"\"", '"')]),
        ("a\u00a0b \u2003", ["a\u00a0b", "\u2003"]),
        ("a#b #c", ["a#b", "#c"]),
    ],
)
def test_a_line_has_the_words_that_a_shell_sees(text, words):
    assert split(text) == words


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8)))
def test_whatever_is_quoted_comes_back(words):
    assert split(shlex.join(words)) == words


@given(st.text("ab '\"\\\t", max_size=12))
def test_quotes_mean_what_they_mean_elsewhere(text):
    try:
        expected = shlex.split(text)
    except ValueError:
        with pytest.raises(UsageError):
            split(text)
    else:
        assert split(text) == expected


@given(st.binary(max_size=60), st.booleans())
def test_any_lines(pronto, content, each):
    done = pronto("batch", *(["--each"] if each else []), stdin=content)
    assert done.code in (0, 1, 2, 3)
    assert "Unexpected" not in done.err


# -- kill ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_batch_that_is_killed_has_happened_or_not(root):
    import io

    lines = b"".join(b"set k%d v\n" % number for number in range(20))
    seen = []
    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)

        def work():
            words = ["--root", str(root), "batch"]
            assert pronto_cli.main(words, Streams(io.BytesIO(lines), io.BytesIO(), None)) == 0

        died = killed_at(step, work)
        with pronto_lmdb.open(root) as store:
            seen.append(len(store["default"]))
        if not died:
            break
    assert set(seen) == {0, 20}
    assert seen[-1] == 20


def test_real_pipes_and_exit_codes(program):
    assert program("batch", stdin=b"set a 1\nget a\n") == (0, b"1\n", "")
    assert program("batch", stdin=b"get nothing\n") == (2, b"", "")
    assert program("batch", stdin=b"set a 2 --if-absent\n").code == 3
    assert program("batch", stdin=b"nope\n").code == 1
    assert program("batch", "nope").code == 64
