"""What shells offer: through bash itself, and through the protocol of each."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from pronto_cli.handlers.completion import SCRIPTS

from .conftest import SCRIPT
from .terminal import Terminal


@pytest.fixture
def furnished(store):
    store.create("alice.research")
    store.create("bob.main")
    store["default"].update(dict.fromkeys(["plan", "planet", "web.cache.page", "web.cache.post__prod", "odd one"], 1))
    store["alice.research"]["secret"] = 1


@pytest.fixture
def offered(program):
    """What the program answers to a shell, by the protocol of each."""

    def ask(line, shell="bash"):
        words = line.split(" ")
        variables = {
            "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
            "zsh": {"_TYPER_COMPLETE_ARGS": line},
            "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        }
        done = program(env={"_PRONTO_COMPLETE": f"complete_{shell}", **variables[shell]})
        assert (done.code, done.err) == (0, "")
        return done.text

    return ask


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("pronto pers", ["persist"]),
        ("pronto address un", ["undelete"]),
        ("pronto set --if", ["--if-absent", "--if-revision"]),
        ("pronto get k -a ali", ["alice.research"]),
        ("pronto address info bo", ["bob.main"]),
        ("pronto -u bob cursor delete m", ["main"]),
        ("pronto get pla", ["plan", "planet"]),
        ("pronto del web.cache.", ["web.cache.page", "web.cache.post__prod"]),
        ("pronto keys web", ["web.cache.page", "web.cache.post__prod"]),
        ("pronto get -p web -n cache p", ["page", "post__prod"]),
        ("pronto --ns-delim / get web/cache/pa", ["web/cache/page"]),
        ("pronto -a alice.research get s", ["secret"]),
        ("pronto get s -a alice.research", ["alice.research"]),
        ("pronto get -p w", ["web"]),
        ("pronto get -p web -n c", ["cache"]),
        ("pronto namespaces w", ["web"]),
        ("pronto config get ti", ["timeout"]),
        ("pronto completion z", ["zsh"]),
        ("pronto get nothing", []),
        ("pronto -a a..b get p", []),
        ("pronto -a x -u y get p", []),
        ("pronto --root /nowhere/at/all get p", []),
    ],
)
def test_what_is_offered(furnished, offered, line, answer):
    assert offered(line).splitlines() == (answer or [""])


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_shell_is_offered_the_same(furnished, offered, shell):
    for line, answer in (
        ("pronto get plane", "planet"),
        ("pronto pers", "persist"),
        ("pronto use al", "alice.research"),
    ):
        assert answer in offered(line, shell)


def test_half_a_line_makes_no_store(root, offered):
    assert offered("pronto get p") == "\n"
    assert not root.exists()


def test_many_keys_are_cut_short(store, offered):
    store["default"].update({f"key{number:04}": 1 for number in range(1_000)})
    assert len(offered("pronto get key").split()) == 200


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_names_the_program_and_its_variable(ok, shell):
    text = ok("completion", shell).text
    assert "_PRONTO_COMPLETE" in text
    assert f"complete_{shell}" in text
    assert "NAME" not in text


def test_a_shell_that_is_not_known_is_wrong_usage(pronto):
    done = pronto("completion", "csh")
    assert (done.code, "bash, zsh, fish" in done.err) == (64, True)


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_shell_itself_understands_its_script(ok, tmp_path, shell):
    """For the shells that are installed here; the protocol of the others is tested above."""
    script = tmp_path / "script"
    script.write_bytes(ok("completion", shell).out)
    program = shutil.which(shell)
    done = subprocess.run([program, "-n", script], capture_output=True, check=False) if program else None
    assert done is None or (done.returncode, done.stderr) == (0, b"")


def bash(environment, script):
    path = f"{Path(SCRIPT).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", f"source <(pronto completion bash)\n{script}"],
        env={**environment, "PATH": path}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.splitlines()


def complete(*words):
    return (
        f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; "
        """_pronto_completion pronto; printf '%s\\n' "${COMPREPLY[@]}" """
    )


def test_bash_is_offered_commands_addresses_and_keys(furnished, environment):
    assert bash(environment, complete("pronto", "exi")) == ["exists"]
    assert bash(environment, complete("pronto", "get", "k", "-a", "ali")) == ["alice.research"]
    assert bash(environment, complete("pronto", "get", "plan")) == ["plan", "planet"]
    assert bash(environment, complete("pronto", "get", "odd")) == [r"odd\ one"]
    assert bash(environment, complete("pronto", "get", "nothing") + "; echo ${#COMPREPLY[@]}") == ["", "0"]


def test_a_key_is_completed_while_it_is_typed(furnished, store, environment):
    store["default"]["unmistakable"] = "found"
    variables = {**environment, "PATH": f"{Path(SCRIPT).parent}:{environment['PATH']}", "PS1": "READY "}
    with Terminal(["bash", "--norc", "--noprofile", "-i"], variables) as terminal:
        terminal.type("source <(pronto completion bash); echo sour''ced\n")
        terminal.wait_for("sourced")
        terminal.type("pronto get unm\t")
        terminal.wait_for("get unmistakable")
        terminal.type("\n")
        terminal.wait_for("found")
        terminal.type("exit\n")
        assert terminal.end()[0] == 0
