"""Whatever the line: a documented exit code, data or nothing on stdout, and never a traceback."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pronto_cli.exits import MEANINGS
from pronto_cli.handlers import HANDLERS

# What no line may print, for nothing in it is data.
PROSE = ("Usage", "Error", "pronto", "Traceback", "usage")
SILENT = ("set", "del", "delete", "expire", "persist", "config set")

# These take their time; they have tests of their own.
BRISK = sorted(set(HANDLERS) - {"bench", "selftest"})

commands = st.sampled_from([*BRISK, "address", "config", "copy", "gte", "", "--"]).map(str.split)
# What a process can be given: any bytes but a zero; those that are no UTF-8 arrive as lone surrogates.
texts = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8),
    st.binary(max_size=8).map(lambda found: os.fsdecode(found.replace(b"\0", b""))),
)
odd = st.sampled_from(
    ["k", "a.b", "a.b.c", "a..b", "-", "--", "-5", "5", "0", "nan", "1e400", "9" * 30, "x" * 600, "alice.research",
     "a.b.c.d", "%", "%zz", "\udcff", "é", "\u202e", " ", "", "{}", '{"$bytes": 1}', "[", "null", "timeout", "address",
     "PRONTO", "full", "../..", "/etc", "con", "a=b"],
)  # fmt: skip
options = st.sampled_from(
    ["--json", "-q", "--quiet", "-a", "--address", "-u", "-c", "--timeout", "--ns-delim", "--ns-delim=/", "-p", "-n",
     "--project=p", "--literal", "--ttl", "--if-absent", "--if-revision", "--raw", "--with-revision", "--yes",
     "--dry-run", "--older-than", "--label", "--max-bytes", "--durability", "--exist-ok", "--to", "--deep", "--help",
     "--overwrite", "--each", "--strict", "--on-conflict", "--prefix", "--from", "--version", "-h", "--nope",
     "-x", "-qq", "--json=1"],
)  # fmt: skip
word = st.one_of(odd, options, texts)


@st.composite
def lines(draw):
    """A line that is likely to be nearly right."""
    before = draw(st.lists(options, max_size=1))
    after = draw(st.lists(word, max_size=5))
    return [*before, *draw(commands), *after]


@pytest.fixture(autouse=True)
def _scratch(tmp_path, monkeypatch):
    """Let files that a line names be written where they do no harm."""
    monkeypatch.chdir(tmp_path)


def leaves_the_scratch(words):
    """Tell whether a line may write somewhere else."""
    return not {"export", "backup"}.isdisjoint(words) and any("/" in word for word in words)


def is_prose(words):
    return not words or not {"help", "--help", "-h", "version", "--version"}.isdisjoint(words)


@settings(max_examples=600)
@given(words=lines(), piped=st.sampled_from([b"", b"text", b"\xff", b'{"a": 1}']))
@example(words=["--json", "help"], piped=b"")
@example(words=["help", "--", "set", "k", "-a"], piped=b"")
@example(words=["--json", "migrate", "k"], piped=b"")
def test_any_line(pronto, words, piped):
    check_line(pronto, words, piped)


@settings(max_examples=20)
@given(words=lines(), piped=st.sampled_from([b"", b"text", b"\xff"]))
def test_any_line_through_the_installed_entry_point(entry_point, words, piped):
    check_line(entry_point, words, piped)


def check_line(run, words, piped):
    assume(not leaves_the_scratch(words))
    done = run(*words, stdin=piped)
    assert done.code in MEANINGS
    assert "Traceback" not in done.err
    assert "Unexpected" not in done.err
    assert "internal_error" not in done.err
    if done.code and "migrate" in words:
        check_data(words, done)  # with --json the report names what was refused
    elif done.code:
        assert done.out == b""
    elif not is_prose(words):
        check_data(words, done)
    if done.code and words[:1] == ["--json"]:
        assert done.error["exit"] == done.code
    elif done.code == 2 and "--json" not in words:
        assert done.err == ""


def check_data(words, done):
    if words[:1] == ["--json"]:
        for line in done.out.splitlines():
            json.loads(line)
    if " ".join(words).startswith(SILENT):
        assert done.out == b""
    assert not done.text.startswith(PROSE)


@pytest.mark.parametrize("command", BRISK)
@given(arguments=st.lists(texts.filter(lambda text: not text.startswith("-")), max_size=3))
@settings(max_examples=15)
def test_any_arguments(pronto, command, arguments):
    assume(not leaves_the_scratch([command, *arguments]))
    done = pronto(*command.split(), *arguments, stdin=b"piped")
    assert done.code in MEANINGS
    assert "Unexpected" not in done.err
    assert not done.code or done.out == b""
