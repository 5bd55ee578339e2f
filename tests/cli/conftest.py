"""The command, run inside this process with streams of memory, or as a program of its own."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import pronto_cli
import pronto_lmdb
from pronto_cli.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = [sys.executable, "-m", "pronto_cli"]
SCRIPT = shutil.which("pronto", path=str(Path(sys.executable).parent))


class Result(NamedTuple):
    """What a command line came to."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error object on stderr, which holds nothing else."""
        (line,) = self.err.splitlines()
        fields: dict[str, Any] = json.loads(line)["error"]
        return fields


class Untouchable(io.BytesIO):
    """A pipe that nobody may read."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("standard input was touched")


class Terminal(io.BytesIO):
    """A terminal, with what is typed on it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def pronto(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command line on the store of the test: words, and what is piped in or typed on a terminal."""
    monkeypatch.setenv("PRONTO_ROOT", str(root))

    def run(*words: object, stdin: bytes | str | None = None, typed: str | None = None) -> Result:
        if typed is not None:
            source: io.BytesIO = Terminal(typed.encode())
        elif stdin is None:
            source = Untouchable()
        else:
            source = io.BytesIO(stdin.encode() if isinstance(stdin, str) else stdin)
        out, err = io.BytesIO(), (io.BytesIO() if typed is None else Terminal())
        code = pronto_cli.main([str(word) for word in words], Streams(source, out, err))
        return Result(code, out.getvalue(), err.getvalue().decode())

    return run


@pytest.fixture
def ok(pronto: Callable[..., Result]) -> Callable[..., Result]:
    """Run a command line that must succeed and say nothing on stderr."""

    def run(*words: object, **streams: Any) -> Result:
        done = pronto(*words, **streams)
        assert (done.code, done.err) == (0, "")
        return done

    return run


@pytest.fixture
def environment(root: Path) -> dict[str, str]:
    """The environment of a program on the store of the test."""
    paths = (Path(pronto_lmdb.__file__).parents[1], Path(pronto_cli.__file__).parents[1])
    return {**os.environ, "PRONTO_ROOT": str(root), "PYTHONPATH": os.pathsep.join(map(str, paths))}


@pytest.fixture
def program(environment: dict[str, str]) -> Callable[..., Result]:
    """Run the command as a program of its own."""
    return _runner(PROGRAM, environment)


@pytest.fixture
def entry_point(environment: dict[str, str]) -> Callable[..., Result]:
    """Run the console script that the installation has made."""
    assert SCRIPT, "install the project first: `make test` does"
    return _runner([SCRIPT], environment)


def _runner(program: list[str], environment: dict[str, str]) -> Callable[..., Result]:
    def run(*words: str, stdin: bytes = b"", env: dict[str, str] | None = None, **options: Any) -> Result:
        done = subprocess.run(
            [*program, *words],
            input=stdin,
            env={**environment, **(env or {})},
            capture_output=True,
            timeout=60,
            check=False,
            **options,
        )
        return Result(done.returncode, done.stdout, done.stderr.decode())

    return run
