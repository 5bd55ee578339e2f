"""Any damage of any file: a typed error or what was written, never a crash of the interpreter, never a neighbour."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

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


@pytest.mark.timeout(1800)
def test_any_damage_of_any_file_is_survived(tmp_path: Path) -> None:
    played(tmp_path, 0, IN_THE_SUITE)


@pytest.mark.soak
def test_much_damage_is_survived(tmp_path: Path) -> None:
    played(tmp_path, 1_000_000, IN_A_SOAK)
