"""What every test gets: a root, an open store, a clock that can jump, and a look at what it left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from textwrap import dedent
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import hypothesis
import lmdb
import pytest

import pronto_lmdb
from pronto_lmdb.pool import pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(pronto_lmdb.__file__).parents[1]
_GRACE = 2.0
_DISK = tempfile.gettempdir()
_MEMORY = "/dev/shm"
_ROOM = 2 << 30

pytest.register_assert_rewrite("conformance", "verb_conformance")

# The suite says the same of the same tree whenever it is asked; `make explore` looks for what nobody has seen yet.
# How long an example takes says nothing on a busy machine, and what a fixture makes is only read from, or made anew.
_UNHEALTHY = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture]
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=_UNHEALTHY)
hypothesis.settings.register_profile("explore", deadline=None, print_blob=True, suppress_health_check=_UNHEALTHY)
hypothesis.settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    """Have the tests write to memory, where there is room for it, unless a place was given with ``--basetemp``.

    Most of them are about what is written and not about the disk, and wait for it most of the time. Those whose subject
    it is are marked ``disk``.
    """
    roomy = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM
    if roomy and config.option.basetemp is None:
        os.environ["TMPDIR"] = tempfile.tempdir = _MEMORY


class Clock:
    """A wall clock in microseconds that stands still until it is told to move."""

    def __init__(self) -> None:
        self.microseconds = 1_750_000_000_000_000

    def now(self) -> int:
        return self.microseconds

    def advance(self, seconds: float) -> None:
        """Move by so many seconds; a negative number sets the clock back."""
        self.microseconds += round(seconds * 1_000_000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("pronto_lmdb.clock.now", clock.now)
    return clock


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The directory of a test: on the disk if the test is marked so."""
    if request.node.get_closest_marker("disk") is None:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="pronto-", dir=_DISK) as directory:
        yield Path(directory)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The directory of a store that does not exist yet."""
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> Iterator[pronto_lmdb.Store]:
    with pronto_lmdb.open(root) as store:
        yield store


@pytest.fixture
def in_another_process() -> Callable[..., Any]:
    """Run a program in a fresh interpreter; what it prints as JSON is the result, ``None`` for nothing."""

    def run(program: str, *arguments: object) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", dedent(program), *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


@pytest.fixture(autouse=True, scope="session")
def _neutral_surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the settings and the store of whoever runs the tests out of them."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in [name for name in os.environ if name.startswith("PRONTO_")]:
            patch.delenv(variable)
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "data-home"))
        yield


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a descriptor, a thread, an environment or a reader slot behind."""
    # Asked for here, before anything else, so that it is still there when everything else has been torn down.
    scratch = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    descriptors, threads = _descriptors(), _threads()
    yield
    environments = _close_environments()
    left = {
        "environments": environments,
        "threads": _lasting_threads(threads),
        "descriptors": sorted(_descriptors() - descriptors),
        "reader slots": [] if scratch is None else list(_reader_slots(scratch)),
    }
    assert not any(left.values()), f"left behind: {left}"


def _descriptors() -> set[tuple[str, str]]:
    """Return (number, target) of every open descriptor, but for the pipe multiprocessing keeps for good."""
    tracker = sys.modules.get("multiprocessing.resource_tracker")
    ignored = str(tracker._resource_tracker._fd) if tracker else ""
    found = set()
    for number in _names("/proc/self/fd"):
        try:
            found.add((number, os.readlink(f"/proc/self/fd/{number}")))
        except FileNotFoundError:
            continue  # the one that listed the directory
    return {item for item in found if item[0] != ignored}


def _threads() -> set[str]:
    return set(_names("/proc/self/task"))


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:  # a system without /proc
        return []


def _lasting_threads(before: set[str]) -> list[str]:
    """Return the threads that do not end; a joined one may need a moment to leave the system."""
    deadline = monotonic() + _GRACE
    while (extra := _threads() - before) and monotonic() < deadline:
        sleep(0.001)
    return sorted(extra)


def _close_environments() -> list[str]:
    """Close what is open in the pool, so that one careless test does not fail the rest; return the paths."""
    environments = pool.environments()
    for environment in environments:
        environment.owners.clear()
        pool.discard(environment)
    return [environment.path for environment in environments]


def _reader_slots(scratch: Path) -> Iterator[str]:
    """Yield every reader slot that is held by a living process in an environment below a directory."""
    for directory, _, files in os.walk(scratch):
        if "data.mdb" not in files:
            continue
        try:
            environment = lmdb.open(directory, readonly=True, create=False)
        except lmdb.Error:
            continue  # damaged on purpose: nobody can have it open
        with environment:
            environment.reader_check()
            if "pid" in environment.readers():
                yield f"{directory}: {environment.readers()}"
