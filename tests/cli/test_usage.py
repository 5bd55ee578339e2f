"""How lines are read: positions, wrong usage, help and version."""

from __future__ import annotations

import re

import pytest

from pronto_cli.exits import MEANINGS
from pronto_cli.handlers import HANDLERS
from pronto_cli.synonyms import NEEDLESS, OTHER_NAMES

LISTED = [name.split() for name in HANDLERS if name not in ("delete", "ls")]
GLOBALS = [
    "--root", "-a, --address", "-u, --user", "-c, --cursor", "--json", "-q, --quiet", "-v, --verbose", "--timeout",
    "--ns-delim", "--version", "-h, --help",
]  # fmt: skip


# -- positions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "option",
    [
        ["--root", "{root}"], ["--root={root}"], ["--address", "default"], ["-a", "default"], ["-adefault"],
        ["--user", "default"], ["-u", "default"], ["--cursor", "default"], ["-c", "default"], ["--json"], ["--quiet"],
        ["-q"], ["--verbose"], ["-v"], ["-qv"], ["--timeout", "5"], ["--ns-delim", "."],
    ],
    ids=" ".join,
)  # fmt: skip
def test_global_options_are_understood_everywhere(root, store, ok, option):
    store["default"].update({"plan": 1})
    option = [word.format(root=root) for word in option]
    assert (
        ok(*option, "get", "plan").text == ok("get", *option, "plan").text == ok("get", "plan", *option).text == "1\n"
    )


@pytest.mark.parametrize(
    "words", [["--json", "address", "info"], ["address", "--json", "info"], ["address", "info", "--json"]]
)
def test_global_options_are_understood_inside_a_group(store, ok, words):
    store.create("alice")
    assert ok(*words, "-a", "alice").json["address"] == "alice.default"


def test_behind_a_double_dash_nothing_is_an_option(store, ok):
    ok("set", "--", "--json", "--help")
    assert store["default"]["--json"] == "--help"


def test_options_may_stand_between_arguments(store, ok):
    ok("set", "-p", "web", "page", "--ttl", "60", "text", "-n", "cache")
    assert store["default"]["web.cache.page"] == "text"


# -- wrong usage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["gte"], [""], ["copy", "a"], ["batch", "x"], ["export", "a", "b"], ["stream", "x"],
        ["import", "a", "--on-conflict", "ask"], ["--nope"], ["get"], ["get", "a", "b"], ["get", "a", "--nope"],
        ["get", "a", "-x"], ["get", "a", "-a"], ["get", "a", "--json=1"], ["set"], ["set", "a", "b", "c"],
        ["set", "a", "-5"], ["incr", "a", "much"], ["incr", "a", "1.5"], ["incr", "a", "-1.5"], ["incr", "--typo"],
        ["incr", "a", "--typo"], ["expire", "a"], ["expire", "a", "soon"], ["keys", "a", "b"], ["address"],
        ["address", "nope"], ["address", "create"], ["address", "rename", "a"], ["address", "durability"],
        ["address", "durability", "a", "full", "b"], ["check", "--nope"], ["config"], ["config", "set", "a"],
        ["use", "a", "b"], ["version", "x"], ["help", "nope"], ["help", "address", "nope"],
        ["help", "--", "get", "k", "-a"],
        ["get", "a", "--timeout", "x"],
        ["get", "a", "--literal", "-p", "x"], ["keys", "--literal", "-n", "x"], ["get", "a", "--raw", "--json"],
        ["get", "a", "--raw", "--with-revision"], ["--json"], ["--root", "/x"], ["sweep", "now"], ["stats", "x"],
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("json", [False, True])
def test_a_line_that_cannot_be_understood(root, pronto, words, json):
    done = pronto(*(["--json"] if json else []), *words)
    assert (done.code, done.out) == (64, b"")
    assert not root.exists()
    if json:
        assert (done.error["code"], done.error["exit"]) == ("usage", 64)
    elif "--json" not in words:
        assert re.fullmatch(r"pronto: .*[.`?]\n", done.err)


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["gte", "k"], "'get'"),
        (["delet", "k"], "'delete'"),
        (["addres", "info"], "'address'"),
        (["address", "craete"], "'create'"),
        (["config", "lst"], "'list'"),
        (["get", "k", "--jsn"], "--json"),
        (["set", "k", "--if-abesnt"], "--if-absent"),
    ],
)
def test_what_is_nearly_right_gets_a_suggestion(pronto, words, suggestion):
    assert suggestion in pronto(*words).err


@pytest.mark.parametrize("name", ["noop", "admin", "install", "uninstall", "nuclear-clean", "serve", "put"])
def test_a_command_that_there_is_not_is_unknown(pronto, name):
    assert pronto(name).code == 64


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_the_name_that_another_program_uses_leads_to_a_command(pronto, name):
    assert f"Did you mean `pronto {OTHER_NAMES[name]}`?" in pronto(name, "some", "words").err
    assert OTHER_NAMES[name].split()[0] in {word for command in HANDLERS for word in command.split()[:1]}


@pytest.mark.parametrize("name", NEEDLESS)
def test_what_is_not_needed_is_said_to_be_so(pronto, name):
    done = pronto(name)
    assert done.code == 64
    assert NEEDLESS[name] in done.err


# -- help and version ------------------------------------------------------------------------------------------------


def test_no_words_at_all_print_the_general_help(ok):
    assert ok().out == ok("--help").out == ok("help").out


@pytest.mark.parametrize("command", [*LISTED, ["address"], ["config"], ["cursor"]], ids=" ".join)
def test_help_command_and_command_help_agree_and_end_with_an_example(ok, command):
    text = ok(*command, "--help").text
    assert ok("help", *command).text == text
    assert re.search(r"\n  Examples?:\n(    .*pronto .*\n)+\Z", text)


@pytest.mark.parametrize("command", [*LISTED, []], ids=" ".join)
def test_help_lists_every_global_option(ok, command):
    text = ok(*command, "--help").text
    assert [option for option in GLOBALS if f"\n  {option} " not in text] == []


def test_general_help_lists_the_commands_and_the_exit_codes(ok):
    text = ok("--help").text
    assert [command[0] for command in LISTED if f"\n  {command[0]} " not in text] == []
    assert [code for code in MEANINGS if not re.search(rf"\n    {code} +\w", text)] == []


@pytest.mark.parametrize(
    "words", [["get", "--help"], ["--help", "get"], ["get", "a", "b", "--help"], ["set", "--help", "-"]]
)
def test_help_comes_before_what_is_missing_or_too_much(ok, words):
    assert ok(*words).text.startswith("Usage: pronto")


def test_help_does_not_depend_on_the_terminal(monkeypatch, ok):
    wide = ok("set", "--help").out
    monkeypatch.setenv("COLUMNS", "40")
    assert ok("set", "--help").out == wide


def test_help_as_json_is_one_document(ok):
    assert ok("get", "--help", "--json").json == {"help": ok("get", "--help").text.removesuffix("\n")}
    assert ok("--json", "help", "get").json == ok("get", "--help", "--json").json


@pytest.mark.parametrize(
    "words", [["version"], ["--version"], ["get", "--version"], ["address", "create", "--version"]]
)
def test_version(ok, words):
    from pronto_lmdb import __version__

    assert ok(*words).text == f"pronto {__version__}\n"
    assert ok(*words, "--json").json == {"version": __version__}


# -- the examples of the help texts ----------------------------------------------------------------------------------


def examples(text):
    return re.findall(r"^    (?:.*\| )?pronto (.+?)(?: && .*)?$", text, re.MULTILINE)


@pytest.mark.parametrize("command", LISTED, ids=" ".join)
def test_the_examples_are_understood(store, pronto, ok, command, tmp_path, monkeypatch):
    import shlex

    monkeypatch.chdir(tmp_path)  # some write files
    # What is measured is not looked at.
    monkeypatch.setattr("pronto_cli.handlers.selftest.DEFAULT_SECONDS", 0)

    lines = examples(ok(*command, "--help").text)
    assert lines
    for line in lines:
        line = re.sub(r"--seconds \d+", "--seconds 0.1", line)
        assert pronto(*shlex.split(line), stdin="{}").code != 64, line
