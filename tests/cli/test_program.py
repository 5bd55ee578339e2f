"""The command as a program of its own: what only a real process can show."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from time import monotonic, sleep

import pytest

import pronto_lmdb

from .conftest import PROGRAM


def test_values_travel_through_real_pipes(program):
    content = b"\xff\x00 bytes\n"
    assert program("set", "raw", stdin=content) == (0, b"", "")
    assert program("get", "raw", "--raw") == (0, content, "")
    assert program("get", "raw").out == b'{"$bytes": "/wAgYnl0ZXMK"}\n'


@pytest.mark.parametrize("settings", [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "ascii"}])
def test_text_is_utf8_whatever_the_locale(store, program, settings):
    store["default"]["größe"] = "日本"
    assert program("scan", env=settings) == (0, "größe=日本\n".encode(), "")


def test_an_argument_that_is_no_utf8_is_refused(program):
    done = program("set", "key", os.fsdecode(b"\xff"))
    assert (done.code, done.out) == (1, b"")
    assert "Traceback" not in done.err


@pytest.mark.parametrize(("verb", "begin"), [("scan", b"key0="), ("export", b'{"key": "key0"')])
def test_a_closed_pipe_ends_the_output_silently(store, environment, verb, begin):
    store["default"].update({f"key{i}": "x" * 100 for i in range(20_000)})
    done = subprocess.Popen([*PROGRAM, verb], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.stdout.readline().startswith(begin)
    done.stdout.close()
    assert (done.wait(60), done.stderr.read()) == (141, b"")
    done.stderr.close()


@pytest.mark.parametrize("words", [["get", "plan"], ["--help"], ["keys", "--json"]])
def test_a_pipe_that_was_closed_before_counts_too(store, environment, words):
    store["default"]["plan"] = "draft"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*PROGRAM, *words], env=environment, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("redirection", "words", "code", "message"),
    [
        (">/dev/full", ["get", "plan"], 1, b"pronto: standard output: No space left on device.\n"),
        (">&-", ["get", "plan"], 1, b"pronto: Standard output is closed.\n"),
        (">&-", ["set", "plan", "new"], 0, b""),
        ("<&-", ["set", "plan"], 64, b"pronto: There is no VALUE. Give one, or pipe it in.\n"),
        ("<&- >&-", ["del", "plan"], 0, b""),
    ],
)
def test_streams_that_cannot_be_used(store, environment, redirection, words, code, message):
    store["default"]["plan"] = "draft"
    script = f'exec "$@" {redirection}'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *PROGRAM, *words], env=environment, stderr=subprocess.PIPE, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (code, message)


def test_closed_streams_never_become_data_files(store, environment):
    """A file that gets descriptor 2 would have every later message written into it."""
    store["default"]["plan"] = "draft"
    script = 'exec "$@" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", script, "sh", *PROGRAM, "get", "plan"], env=environment, timeout=60, check=False)
    assert done.returncode == 1
    assert store["default"]["plan"] == "draft"


@pytest.mark.parametrize("setting", ["option", "environment", "store"])
def test_a_lock_that_is_not_free_in_time(store, program, setting):
    store["default"]["plan"] = "draft"
    words, settings = ["set", "plan", "new"], {}
    if setting == "option":
        words += ["--timeout", "0"]
    elif setting == "environment":
        settings["PRONTO_TIMEOUT"] = "0"
    else:
        store.config["timeout"] = "0"
    with store["default"].transaction() as txn:
        txn["other"] = 1
        done = program(*words, env=settings)
    assert (done.code, done.out) == (5, b"")
    assert "for 0 s" in done.err
    assert store["default"]["plan"] == "draft"


def test_piped_content_finds_a_place_where_the_address_is_busy(store, program):
    store["alice"]["plan"] = "draft"
    with store["alice"].transaction() as txn:
        txn["other"] = 1
        done = program("set", "plan", "-a", "alice", "--timeout", "0", stdin=b"a day's work")
    assert (done.code, "in default.default" in done.err) == (5, True)
    (kept,) = store["default"].items()
    assert (kept[0].startswith("pipe.cache."), kept[1]) == (True, "a day's work")


def test_a_damaged_registry_hides_no_address_that_is_named(root, program):
    with pronto_lmdb.open(root) as store:
        store["alice"]["plan"] = "draft"
    (root / "meta" / "registry" / "data.mdb").write_bytes(b"garbage")
    assert program("get", "plan", "-a", "alice") == (0, b"draft\n", "")
    assert program("get", "plan").code == 2
    assert program("addresses") == (0, b"alice.default\n", "")


def test_ctrl_c_ends_the_wait_for_a_lock(store, environment):
    store["default"]["plan"] = "draft"
    with store["default"].transaction() as txn:
        txn["other"] = 1
        words = ["set", "plan", "new", "--timeout", "60"]
        waiting = subprocess.Popen([*PROGRAM, *words], env=environment, stderr=subprocess.PIPE)
        _until_open(waiting.pid, str(store.info("default").path / "lock"))
        waiting.send_signal(signal.SIGINT)
        assert (waiting.wait(30), waiting.stderr.read()) == (130, b"pronto: Interrupted.\n")
    waiting.stderr.close()
    assert store["default"]["plan"] == "draft"


def _until_open(pid: int, path: str) -> None:
    """Wait until a process has a file open."""
    directory, deadline = f"/proc/{pid}/fd", monotonic() + 30
    while path not in {_target(f"{directory}/{number}") for number in os.listdir(directory)}:
        assert monotonic() < deadline
        sleep(0.005)


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ""


HEAVY = ["typer", "rich", "click", "dataclasses", "typing", "pathlib", "re", "json", "enum", "inspect", "platformdirs"]


@pytest.mark.parametrize(
    ("words", "code"), [(["get", "plan"], 0), (["get", "nothing"], 2), (["set", "plan", "new"], 0)]
)
def test_a_quick_command_does_what_was_left_for_the_end_of_the_process(store, environment, words, code):
    store["default"]["plan"] = "draft"
    script = "import atexit, sys; atexit.register(print, 'the end'); from pronto_cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", script, *words], env=environment, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1:], done.stderr) == (code, [b"the end"], b"")


def test_a_quick_command_opens_each_environment_once(store, ok, monkeypatch):
    store["default"]["plan"] = "draft"
    store.config["value_limit"] = "1000"
    store.close()
    opened = []
    monkeypatch.setattr("pronto_lmdb.environment.note_opening", lambda: opened.append(1))
    ok("set", "plan", "new")
    assert len(opened) == 2  # the registry and the address


def test_the_handlers_import_nothing_heavy(environment):
    """Beyond what the library itself needs: a quick way of reading lines will share them."""
    program = """
        import sys
        import pronto_lmdb
        before = set(sys.modules)
        import pronto_cli.handlers, pronto_cli.line, pronto_cli.streams, pronto_cli.exits, pronto_cli.run
        print(*sorted(set(sys.modules) - before))
    """
    assert not set(HEAVY) & set(_imported(program, environment))


def test_reading_a_line_needs_no_rich_and_no_converter(environment):
    program = """
        import sys, pronto_cli
        assert pronto_cli.main(["set", "plan", "draft", "--ttl", "60", "-p", "web"]) == 0
        assert pronto_cli.main(["address", "create", "alice", "--label", "a=b", "-q"]) == 0
        assert pronto_cli.main(["incr", "hits", "-5", "--timeout", "1"]) == 0
        assert pronto_cli.main(["gte"]) == 64
        print()
        print(*sys.modules)
    """
    assert not {"rich", "pydantic", "platformdirs"} & set(_imported(program, environment))


def _imported(program: str, environment: dict[str, str]) -> list[str]:
    from textwrap import dedent

    done = subprocess.run(
        [sys.executable, "-c", dedent(program)], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines()[-1].split()


def test_the_shell_is_offered_commands_and_addresses(store, program):
    store.create("alice.research")
    store.create("bob.main")

    def offered(line: str) -> list[str]:
        words = {"_PRONTO_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        done = program(env=words)
        assert (done.code, done.err) == (0, "")
        return done.text.split()

    assert offered("pronto pers") == ["persist"]
    assert offered("pronto get k -a ali") == ["alice.research"]
    assert offered("pronto address info bo") == ["bob.main"]
    assert offered("pronto set --if") == ["--if-absent", "--if-revision"]
    assert offered(f"pronto --root {store.path}x get k -a ali") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_can_be_shown(program, shell):
    done = program("--show-completion", shell, env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert (done.code, done.err) == (0, "")
    assert "_PRONTO_COMPLETE" in done.text
