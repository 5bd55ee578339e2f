"""Start-up: a command of `pronto` from a shell against the bare interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from array import array
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter_ns
from typing import TYPE_CHECKING

from bench.machine import REPOSITORY
from bench.measure import Timing
from bench.results import latency_row
from bench.stand import WrongAnswer

if TYPE_CHECKING:
    from bench.harness import Run

NAME = "start-up"
# The command lines, what each prints, and its exit code; in this order they also prepare each other.
COMMANDS: dict[str, tuple[tuple[str, ...], str, int]] = {
    "set": (("set", "notes.plan.step", "one"), "", 0),
    "get": (("get", "notes.plan.step"), "one\n", 0),
    "get of something absent": (("get", "notes.plan.nothing"), "", 2),
    "exists": (("exists", "notes.plan.step"), "", 0),
    "incr": (("incr", "notes.plan.count", "0"), "0\n", 0),
    "ttl": (("ttl", "notes.plan.step"), "", 0),
    "keys": (("keys", "notes.plan.s"), "notes.plan.step\n", 0),
    "scan": (("scan", "notes.plan.s"), "notes.plan.step=one\n", 0),
    "del": (("del", "notes.plan.other"), "", 0),
    "addresses": (("addresses",), "default.default\n", 0),
    "stats": (("stats",), "", 0),
    "projects": (("projects",), "notes\n", 0),
    "namespaces": (("namespaces", "notes"), "plan\n", 0),
    "nss": (("nss",), "notes.plan\n", 0),
    "create-cache": (("create-cache", "other.cache", "60"), "", 0),
    "expire": (("expire", "notes.plan.count", "3600"), "", 0),
    "persist": (("persist", "notes.plan.count"), "", 0),
    "sweep": (("sweep",), "0\n", 0),
    "use": (("use",), "default.default\n", 0),
    "cursor list": (("cursor", "list"), "default\n", 0),
    "address info": (("address", "info"), "", 0),
    "config list": (("config", "list"), "", 0),
    "check": (("check", "--quiet"), "", 0),
    "completion": (("completion", "bash"), "", 0),
    "version": (("version",), "", 0),
    "help": (("help", "set"), "", 0),
}
# Whose start counts: agents call them thousands of times.
_HOT = frozenset(["set", "get", "get of something absent", "exists", "incr", "ttl", "keys", "scan", "del"])
# Their output is more than a line that never changes.
_UNCHECKED = frozenset(["ttl", "stats", "address info", "config list", "completion", "version", "help"])


def run(run: Run) -> None:
    """Run every command and the interpreter in turns, on the default root."""
    with run.scratch(NAME) as directory:
        shell = Shell(directory)
        if not shell.pronto:
            run.note(NAME, "the command `pronto` is not installed")
            return
        for name, (arguments, _, _) in COMMANDS.items():
            shell.check(name, shell.run([*shell.pronto, *arguments])[1])
        timings: dict[str, array[int]] = {name: array("q") for name in ("bare interpreter", *COMMANDS)}
        for number in range(run.scale.rounds * 2):
            timings["bare interpreter"].append(shell.run([sys.executable, "-c", "pass"])[0])
            for name, (arguments, _, _) in COMMANDS.items():
                if number % 4 and name not in _HOT:
                    continue  # their targets are far away
                nanoseconds, done = shell.run([*shell.pronto, *arguments])
                shell.check(name, done)
                timings[name].append(nanoseconds)
    for name, taken in timings.items():
        contender = "python" if name == "bare interpreter" else "pronto"
        turns = [Timing(array("q", [each]), each / 1e9, 1) for each in taken]
        run.record(latency_row(NAME, name, contender, turns, {}))


@dataclass
class Shell:
    """An environment in which nothing of the user's can be touched.

    Args:
        directory: for its home and its default root.

    """

    directory: str

    @cached_property
    def pronto(self) -> list[str]:
        """The command: the console script of this interpreter, else the package in the repository, else nothing."""
        script = shutil.which("pronto", path=os.path.dirname(sys.executable))
        for command in ([script] if script else [], [sys.executable, "-m", "pronto_cli"]):
            if command and self.run([*command, "--version"])[1].returncode == 0:
                return command
        return []

    @cached_property
    def _variables(self) -> dict[str, str]:
        # An installed command is compiled once, so here too its byte code must be kept.
        foreign = ("PRONTO_", "XDG_", "PYTHONDONTWRITEBYTECODE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        paths = [REPOSITORY, os.path.join(REPOSITORY, "cli"), kept.get("PYTHONPATH", "")]
        return {
            **kept,
            "HOME": self.directory,
            "XDG_DATA_HOME": os.path.join(self.directory, "data"),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }

    def run(self, command: list[str], source: str = os.devnull) -> tuple[int, subprocess.CompletedProcess[str]]:
        """Run a command on what is in a file; return the nanoseconds it took and what came of it."""
        with open(source, "rb") as stdin:
            before = perf_counter_ns()
            done = subprocess.run(
                command, env=self._variables, cwd=self.directory, stdin=stdin, capture_output=True, text=True
            )
            return perf_counter_ns() - before, done

    def check(self, name: str, done: subprocess.CompletedProcess[str]) -> None:
        """Compare what a command did with what it must do."""
        _, output, code = COMMANDS[name]
        wrong_output = name not in _UNCHECKED and done.stdout != output
        if wrong_output or done.returncode != code:
            raise WrongAnswer(
                f"pronto {name}: exit {done.returncode} instead of {code}, printed {done.stdout!r:.100}\n{done.stderr}"
            )
