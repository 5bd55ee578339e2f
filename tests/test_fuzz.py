"""Any damage of any file: a typed error or what was written, never a crash of the interpreter, never a neighbour."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(__file__).with_name("damage_fuzz.py")
PROCESSES = 2
IN_THE_SUITE = 5_000
IN_A_SOAK = 100_000


def played(scratch: Path, first: int, cases: int) -> None:
    """Play cases in child processes; whatever ends one of them early fails, and says with which case."""
    each = cases // PROCESSES
    children = []
    for number in range(PROCESSES):
        place = scratch / str(number)
        place.mkdir()
        children.append(
            subprocess.Popen(
                [sys.executable, "-X", "faulthandler", PROGRAM, place, str(first + number * each), str(each)],
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    told = [child.communicate()[1] for child in children]
    for number, child in enumerate(children):
        case = (scratch / str(number) / "case").read_text().strip()
        assert child.returncode == 0, f"exit {child.returncode} in case {case}: {told[number][-3000:]}"
        assert int(case) == first + number * each + each - 1


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory in memory, where there is one: nothing here is about the disk, and each case flushes many times."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(prefix="pronto-fuzz-", dir=memory if os.access(memory, os.W_OK) else None) as place:
        yield Path(place)


@pytest.mark.timeout(1800)
def test_any_damage_of_any_file_is_survived(scratch: Path) -> None:
    played(scratch, 0, IN_THE_SUITE)


@pytest.mark.soak
def test_much_damage_is_survived(scratch: Path) -> None:
    played(scratch, 1_000_000, IN_A_SOAK)
