"""What is different on a terminal, and only there: colours, progress, questions."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

import pronto_lmdb

from .conftest import PROGRAM
from .terminal import Terminal, frames

RED, GREEN = "\x1b[31m", "\x1b[32m"


@pytest.fixture
def on_terminal(environment):
    """Start a command on a terminal of its own."""
    opened = []

    def start(*words, env=None, **options):
        kept = {name: value for name, value in environment.items() if name != "NO_COLOR"}
        terminal = Terminal([*PROGRAM, *words], {**kept, **(env or {})}, **options)
        opened.append(terminal)
        return terminal

    yield start
    for terminal in opened:
        terminal.__exit__()


@pytest.fixture
def trash(root):
    with pronto_lmdb.open(root) as store:
        store.create("alice")
        store.delete("alice")


def trashed(root):
    with pronto_lmdb.open(root) as store:
        return len(store.trash())


# -- colours ---------------------------------------------------------------------------------------------------------


def test_errors_are_red_and_states_are_coloured(on_terminal):
    assert f"{RED}pronto:\x1b[0m" in on_terminal("gte").end()[1]
    code, shown = on_terminal("selftest", "--seconds", "0", "-q").end()
    assert (code, shown.count(f"{GREEN}ok")) == (0, 13 + 1)


def test_the_states_of_a_check_are_coloured_and_the_columns_stay_in_line(root, store, on_terminal, program):
    store["alice"]["plan"] = 1
    (root / "addresses" / "stranger").mkdir()
    code, shown = on_terminal("check", "-q").end()
    assert (code, f"  {RED}problem\x1b[0m  pronto check" in shown) == (4, True)
    assert shown.replace(RED, "").replace("\x1b[0m", "") == program("check", "-q").text
    code, shown = on_terminal("check", "--repair", "-q").end()
    assert (code, f"  {GREEN}repaired\x1b[0m" in shown) == (0, True)


@pytest.mark.parametrize("settings", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_nothing_is_coloured_where_that_is_not_wanted(on_terminal, environment, settings):
    command = ["env", *(f"{name}={value}" for name, value in settings.items()), *PROGRAM]
    with Terminal([*command, "gte"], environment) as terminal:
        assert "\x1b" not in terminal.end()[1]
    with Terminal([*command, "selftest", "--seconds", "0", "-q"], environment) as terminal:
        assert "\x1b[3" not in terminal.end()[1]


@pytest.mark.parametrize(
    "words",
    [
        ["gte"],
        ["selftest", "--seconds", "0"],
        ["stats", "--all"],
        ["bench", "--seconds", "0.1"],
        ["check", "--rebuild", "--timeout", "0.1"],  # which it will not do while the address is in use
    ],
)
def test_in_pipes_there_are_neither_colours_nor_progress(store, program, words):
    store["alice"]["plan"] = 1
    done = program(*words)
    assert b"\x1b" not in done.out + done.err.encode()
    assert b"\r" not in done.out + done.err.encode()


def test_what_is_printed_is_the_same_but_for_colours(store, program, on_terminal):
    store["alice"]["plan"] = {"a": 1}
    for words in (["scan", "-a", "alice"], ["stats", "-a", "alice"], ["addresses"], ["help", "set"], ["nss", "--json"]):
        assert on_terminal(*words).end() == (0, program(*words).text)


# -- progress --------------------------------------------------------------------------------------------------------


def test_long_work_shows_how_far_it_is_and_leaves_no_trace(store, on_terminal):
    for name in ("alice", "bob", "carol"):
        store.create(name)
    code, shown = on_terminal("stats", "--all").end()
    assert (code, list(frames(shown))) == (
        0,
        [
            "[--------------------] 0/3 alice.default",
            "[######--------------] 1/3 bob.default",
            "[#############-------] 2/3 carol.default",
        ],
    )
    assert "\r\x1b[K" + "address " in shown


@pytest.mark.parametrize("words", [["selftest", "--seconds", "0"], ["bench", "--seconds", "0.1"]])
def test_each_long_command_shows_progress(on_terminal, words):
    code, shown = on_terminal(*words).end()
    assert (code, len(list(frames(shown))) > 4) == (0, True)


@pytest.mark.parametrize("option", ["-q", "--json"])
def test_no_progress_where_it_is_not_wanted(store, on_terminal, option):
    store.create("alice")
    assert list(frames(on_terminal("stats", "--all", option).end()[1])) == []


def test_progress_does_not_touch_standard_output(store, on_terminal):
    store.create("alice")
    terminal = on_terminal("stats", "--all", piped=True)
    code, shown = terminal.end()
    out = terminal.process.stdout.read().decode()
    assert (code, "0/1 alice.default" in shown) == (0, True)
    assert out.startswith("address ")
    assert "\x1b" not in out


# -- questions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 1), ("\n", 1, 1), ("\x04", 1, 1)])
def test_a_question_is_asked_and_the_answer_counts(root, trash, on_terminal, answer, code, left):
    terminal = on_terminal("address", "purge")
    terminal.wait_for("for good? [y/N] ")
    terminal.type(answer)
    assert terminal.end()[0] == code
    assert trashed(root) == left


def test_yes_asks_nothing(root, trash, on_terminal):
    assert on_terminal("address", "purge", "--yes").end() == (0, "1\n")
    assert trashed(root) == 0


def test_where_only_the_input_is_a_terminal_nobody_can_be_asked(root, trash, on_terminal, environment):
    reader, writer = os.openpty()
    done = subprocess.run(
        [*PROGRAM, "address", "purge"], stdin=writer, capture_output=True, env=environment, timeout=60, check=False
    )
    os.close(reader)
    os.close(writer)
    assert (done.returncode, trashed(root)) == (64, 1)


def test_ctrl_c_at_a_question_changes_nothing(root, trash, on_terminal):
    terminal = on_terminal("address", "purge")
    terminal.wait_for("for good? [y/N] ")
    terminal.process.send_signal(signal.SIGINT)
    code, shown = terminal.end()
    assert (code, "Interrupted." in shown, "Traceback" in shown) == (130, True, False)
    assert trashed(root) == 1


def test_a_value_can_be_typed(store, on_terminal):
    terminal = on_terminal("set", "plan", "-")
    terminal.type("typed\n\x04")
    assert terminal.end()[0] == 0
    assert store["default"]["plan"] == "typed\n"
