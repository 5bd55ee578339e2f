"""How a command line ends: exit codes and error messages."""

from __future__ import annotations

import io
import json
import sys

import pytest

import pronto_cli
import pronto_lmdb
from pronto_cli.exits import MEANINGS, Exit
from pronto_cli.handlers import care
from pronto_cli.streams import Streams

SPECIAL = {
    "KeyNotFoundError": Exit.MISS,
    "AddressExistsError": Exit.CONFLICT,
    "ConflictError": Exit.CONFLICT,
    "LockTimeoutError": Exit.BUSY,
}
ERRORS = sorted(name for name in pronto_lmdb.errors.__all__ if name != "ProntoError")


@pytest.fixture
def failing(pronto, monkeypatch):
    """Run `pronto version` with an error in the middle of it."""

    def run(error, *words):
        def fail(line, streams):
            raise error

        monkeypatch.setattr(care, "version", fail)
        return pronto("version", *words)

    return run


def test_every_exit_code_has_a_meaning():
    assert sorted(MEANINGS) == sorted(value for name, value in vars(Exit).items() if name.isupper())


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_of_the_library_has_an_exit_code(failing, name):
    done = failing(getattr(pronto_lmdb, name)("It broke.", "Mend it."))
    code = SPECIAL.get(name, Exit.ERROR)
    assert (done.code, done.out) == (code, b"")
    assert done.err == ("" if code == Exit.MISS else "pronto: It broke. Mend it.\n")


@pytest.mark.parametrize("name", ERRORS)
def test_with_json_every_error_is_one_line(failing, name):
    done = failing(getattr(pronto_lmdb, name)("It broke.", "Mend it."), "--json")
    assert (done.error["message"], done.error["hint"], done.error["exit"]) == ("It broke.", "Mend it.", done.code)
    assert "".join(part.title() for part in done.error["code"].split("_")) + "Error" == name


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "pronto: Interrupted.\n"),
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
        (OSError(28, "No space left on device", "/x"), 1, "pronto: /x: No space left on device.\n"),
        (ZeroDivisionError("what"), 1, "pronto: Unexpected ZeroDivisionError: what. --verbose shows"),
        (MemoryError(), 1, "pronto: Unexpected MemoryError"),
        (RecursionError("deep"), 1, "pronto: Unexpected RecursionError"),
    ],
)
def test_other_errors_have_one_too(failing, error, code, message):
    done = failing(error)
    assert (done.code, done.out) == (code, b"")
    assert done.err.startswith(message)
    assert bool(done.err) == bool(message)


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), "interrupted"), (ZeroDivisionError(), "internal_error"), (OSError(1, "No"), "system_error")],
)
def test_other_errors_are_json_too(failing, error, code):
    assert failing(error, "--json").error["code"] == code


def test_no_traceback_is_shown_unless_asked_for(failing):
    assert "Traceback" not in failing(ZeroDivisionError()).err
    assert "Traceback" in failing(ZeroDivisionError(), "-v").err
    assert "Traceback" in failing(ZeroDivisionError(), "-qv").err


def test_with_json_the_traceback_is_part_of_the_error_object(failing):
    error = json.loads(failing(ZeroDivisionError(), "-v", "--json").err)["error"]
    assert error["code"] == "internal_error"
    assert "ZeroDivisionError" in error["traceback"]
    assert "traceback" not in json.loads(failing(ZeroDivisionError(), "--json").err)["error"]


@pytest.mark.parametrize(
    ("words", "code"), [(["--timeout", "-1"], 1), (["--timeout", "inf"], 1), (["--timeout", "x"], 64)]
)
def test_an_impossible_time_out_is_refused(pronto, words, code):
    assert pronto("get", "plan", *words).code == code


def test_an_impossible_setting_in_the_environment_is_refused(monkeypatch, pronto):
    monkeypatch.setenv("PRONTO_TIMEOUT", "soon")
    assert pronto("get", "plan", "--json").error["code"] == "invalid_value"


def test_standard_input_that_cannot_be_read_is_an_error(store, monkeypatch, root):
    class Broken(io.BytesIO):
        def read(self, size=-1, /):
            raise OSError(5, "Input/output error")

    monkeypatch.setenv("PRONTO_ROOT", str(root))
    err = io.BytesIO()
    assert pronto_cli.main(["set", "plan"], Streams(Broken(), io.BytesIO(), err)) == 1
    assert err.getvalue() == b"pronto: standard input: Input/output error.\n"


def test_messages_hold_no_byte_that_cannot_be_written(pronto):
    done = pronto("get", "\udcff")
    assert (done.code, done.err.isascii()) == (1, True)


@pytest.mark.parametrize(
    ("settings", "red"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)]
)
def test_errors_are_red_on_a_terminal_that_shows_colours(monkeypatch, pronto, settings, red):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[31m" in pronto("gte", typed="").err) == red


def test_what_was_printed_before_an_error_is_not_lost(pronto, monkeypatch):
    def fail(line, streams):
        streams.line("printed")
        raise ZeroDivisionError

    monkeypatch.setattr(care, "version", fail)
    assert pronto("version").text == "printed\n"


@pytest.mark.parametrize("words", [["get", "plan"], ["version"]])
def test_without_standard_output_printing_fails(store, monkeypatch, root, words):
    monkeypatch.setenv("PRONTO_ROOT", str(root))
    store["default"]["plan"] = 1
    err = io.BytesIO()
    assert pronto_cli.main(words, Streams(None, None, err)) == 1
    assert err.getvalue() == b"pronto: Standard output is closed.\n"


def test_without_standard_output_writing_works(store, monkeypatch, root):
    monkeypatch.setenv("PRONTO_ROOT", str(root))
    assert pronto_cli.main(["set", "plan", "draft"], Streams(None, None, None)) == 0
    assert store["default"]["plan"] == "draft"


@pytest.mark.parametrize(("words", "code"), [(["set", "plan"], 64), (["set", "plan", "-"], 1)])
def test_without_standard_input_there_is_no_value(root, monkeypatch, words, code):
    monkeypatch.setenv("PRONTO_ROOT", str(root))
    assert pronto_cli.main(words, Streams(None, io.BytesIO(), None)) == code
    assert not root.exists()


def test_ctrl_c_while_standard_input_is_read(root, monkeypatch):
    class Interrupted(io.BytesIO):
        def read(self, size=-1, /):
            raise KeyboardInterrupt

    monkeypatch.setenv("PRONTO_ROOT", str(root))
    assert pronto_cli.main(["set", "plan"], Streams(Interrupted(), io.BytesIO(), io.BytesIO())) == 130
    assert not root.exists()


@pytest.mark.parametrize(
    ("program", "name"), [("/usr/bin/prontodb", "prontodb"), ("pronto", "pronto"), ("x.py", "pronto")]
)
def test_help_calls_the_program_by_its_name(monkeypatch, ok, program, name):
    monkeypatch.setattr(sys, "argv", [program])
    assert ok("get", "--help").text.startswith(f"Usage: {name} get [OPTIONS] KEY\n")


def test_without_words_those_of_the_process_count(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pronto", "version"])
    out = io.BytesIO()
    assert pronto_cli.main(None, Streams(None, out, None)) == 0
    assert out.getvalue().startswith(b"pronto ")
