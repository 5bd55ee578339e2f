"""Many records from and to a shell: JSON lines in and out, against LMDB by hand, and command lines in a batch."""

from __future__ import annotations

import json
import os
import sys
from array import array
from random import Random
from typing import TYPE_CHECKING

from bench.harness import rotated
from bench.measure import Timing, settle
from bench.results import rate_row
from bench.stand import WrongAnswer
from bench.workloads.fleet import rounds
from bench.workloads.startup import Shell

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.harness import Run

NAME = "json lines"
IMPORT, EXPORT, BATCH = "import", "export", "batch"
ROWS = {"quick": 100_000, "complete": 200_000}

# What one would write by hand, with the same work done: every key and value checked, one flush for a megabyte.
_BY_HAND = """
import json, sys, lmdb, msgpack
environment = lmdb.open(sys.argv[2], map_size=1 << 32)
if sys.argv[1] == "import":
    with open(sys.argv[3], "rb") as file:
        while lines := file.readlines(1 << 20):
            with environment.begin(write=True) as txn:
                for line in lines:
                    row = json.loads(line)
                    if not txn.put(row["key"].encode(), msgpack.packb(row["value"]), overwrite=False):
                        sys.exit(f"{row['key']} is there")
else:
    with environment.begin() as txn, open(sys.argv[3], "w", encoding="utf-8") as file:
        for key, value in txn.cursor():
            row = {"key": key.decode(), "value": msgpack.unpackb(value)}
            file.write(json.dumps(row, ensure_ascii=False) + "\\n")
"""


def run(run: Run) -> None:
    """Let processes import and export the same rows in turns, with their start-up."""
    with run.scratch(NAME.replace(" ", "-")) as directory:
        shell = Shell(directory)
        if not shell.pronto:
            run.note(NAME, "the command `pronto` is not installed")
            return
        rows = ROWS.get(run.scale.name, 1_000)
        work = _Work(shell, directory, rows)
        work.write(Random(run.seed))
        timings: dict[tuple[str, str], list[Timing]] = {}
        for number in range(rounds(run)):
            for contender in rotated(["pronto-full", "raw-full"], number):
                for case, task in work.tasks(contender, number).items():
                    settle()
                    taken = task() / 1e9
                    timing = Timing(array("q", [round(taken * 1e9)]), taken, rows)
                    timings.setdefault((case, contender), []).append(timing)
    for (case, contender), found in timings.items():
        run.record(rate_row(NAME, case, contender, found, {"rows": rows}))


class _Work:
    """Files of rows and lines, and who reads them.

    Args:
        shell: where the processes run.
        directory: for the files.
        rows: how many.

    """

    def __init__(self, shell: Shell, directory: str, rows: int) -> None:
        self._shell = shell
        self._rows = rows
        self._source = os.path.join(directory, "source.jsonl")
        self._exported = os.path.join(directory, "exported.jsonl")
        self._lines = os.path.join(directory, "lines")
        self._directory = directory

    def write(self, chance: Random) -> None:
        """Write the files."""
        with open(self._source, "w", encoding="utf-8") as source, open(self._lines, "w", encoding="utf-8") as lines:
            for number in range(self._rows):
                key = f"web.sessions.k{number:07}"
                value = {"user": f"user {chance.randrange(1000)}", "hits": chance.randrange(100)}
                source.write(json.dumps({"key": key, "value": value}) + "\n")
                lines.write(f"set {key} value-{chance.randrange(1000)}\n")

    def tasks(self, contender: str, number: int) -> dict[str, Callable[[], int]]:
        """Return what a contender does in a round, each time in a place of its own; tasks return nanoseconds."""
        if contender == "raw-full":
            place = os.path.join(self._directory, f"raw-{number}")
            by_hand = [sys.executable, "-c", _BY_HAND]
            return {
                IMPORT: lambda: self._timed([*by_hand, "import", place, self._source]),
                EXPORT: lambda: self._checked([*by_hand, "export", place, self._exported]),
            }
        pronto = [*self._shell.pronto, "-q", "-a"]
        return {
            IMPORT: lambda: self._timed([*pronto, f"import.r{number}", "import", self._source]),
            EXPORT: lambda: self._checked([*pronto, f"import.r{number}", "export", self._exported]),
            BATCH: lambda: self._timed([*pronto, f"batch.r{number}", "batch"], self._lines),
        }

    def _timed(self, command: list[str], source: str = os.devnull) -> int:
        nanoseconds, done = self._shell.run(command, source)
        if done.returncode or done.stdout:
            raise WrongAnswer(f"{command}: exit {done.returncode}, printed {done.stdout!r:.100}\n{done.stderr}")
        return nanoseconds

    def _checked(self, command: list[str]) -> int:
        nanoseconds = self._timed(command)
        with open(self._source, encoding="utf-8") as source, open(self._exported, encoding="utf-8") as exported:
            for wanted, found in zip(source, exported, strict=True):
                row, expected = json.loads(found), json.loads(wanted)
                if (row["key"], row["value"]) != (expected["key"], expected["value"]):
                    raise WrongAnswer(f"{command}: exported {found!r} instead of {wanted!r}")
        return nanoseconds
