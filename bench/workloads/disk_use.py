"""What a contender costs the disk: bytes written for each put, and the room that records and addresses take."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import ExitStack
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from bench.harness import Run, rotated
from bench.machine import written_bytes
from bench.measure import settle
from bench.results import figure_row
from bench.stand import Stand
from bench.values import Values
from bench.workloads.fleet import rounds

if TYPE_CHECKING:
    from bench.adapters import Contender

NAME = "disk use"
VALUE_BYTES = 250
# Those that promise what a level of ours does.
WRITING = (
    "pronto-full",
    "pronto-normal",
    "pronto-off",
    "raw-full",
    "raw-off",
    "sqlite-full",
    "sqlite-normal",
)
HOLDING = ("pronto-full", "pronto-normal", "pronto-off", "raw-full", "sqlite-full")
RECORDS = 10_000
_SMALL = 64
_COMMIT = 100
_BLOCK = 512
_ID = re.compile(r"-[0-9a-f]{32}$")


def run(run: Run) -> None:
    """Measure both."""
    with run.scratch("disk-use") as directory:
        counted = written_bytes(directory) is not None
    if counted:
        _writing(run)
    else:
        run.note(NAME, "this system does not count the bytes that its disk writes")
    for contender in run.contenders(HOLDING):
        _holding(run, contender, "space per record", RECORDS, VALUE_BYTES)
        _holding(run, contender, "space of an address with one record", 1, _SMALL)


# -- writing -----------------------------------------------------------------------------------------------------------


def _writing(run: Run) -> None:
    # In a complete run each turn brings a checkpoint, whose copy is about as large as the journal before it.
    records, puts = 15 * run.scale.durable_writes, 20 * run.scale.durable_writes
    with run.stands(WRITING, Values(run.seed, VALUE_BYTES), records) as stands:
        found: dict[str, list[float]] = {stand.name: [] for stand in stands}
        for number in range(rounds(run) if run.scale.complete else 1):
            for stand in rotated(stands, number):
                found[stand.name].append(_written(stand, Random(f"{run.seed}/{number}"), puts) / puts)
    parameters = {"records": records, "value_bytes": VALUE_BYTES, "puts": puts}
    for name, each in found.items():
        run.record(figure_row(NAME, "bytes written per put", name, "B", each, parameters))


def _written(stand: Stand, random: Random, puts: int) -> int:
    """Overwrite random records; return how many bytes that made the disk write."""
    indexes = [random.randrange(len(stand.ledger)) for _ in range(puts)]
    calls = [stand.put_call(index) for index in indexes]
    settle()
    before = written_bytes(os.path.dirname(stand.directory)) or 0
    for put, arguments in calls:
        put(*arguments)
    settle()
    written = (written_bytes(os.path.dirname(stand.directory)) or 0) - before
    stand.check_written(indexes)
    return written


# -- holding -----------------------------------------------------------------------------------------------------------


def _holding(run: Run, contender: Contender, case: str, records: int, value_bytes: int) -> None:
    """Write records in random order, in commits of a hundred; see what they take while the address is open, and after.

    An open one may have room in reserve, and what it will fold together when it is closed.
    """
    parameters = {"records": records, "value_bytes": value_bytes}
    order = Random(run.seed).sample(range(records), records)
    with run.scratch("disk-use") as directory, ExitStack() as stack:
        stand = stack.enter_context(Stand(contender, directory, Values(run.seed, value_bytes)))
        for first in range(0, records, _COMMIT):
            stand.adapter.put_many([stand.pair(index) for index in order[first : first + _COMMIT]])
        record = partial(_record, run, contender.name, stand.address, directory, parameters)
        record(case)
        stand.check_all()
        stack.close()
        record(f"{case}, closed")


def _record(run: Run, contender: str, address: str, directory: str, parameters: dict[str, int], case: str) -> None:
    settle()
    found, records = room(directory, address), parameters["records"]
    note = ", ".join(f"{kind} {taken / records:,.0f}" for kind, taken in found.most_common() if taken >= records)
    figure = sum(found.values()) / records
    run.record(figure_row(NAME, case, contender, "B", [figure], parameters, note=note))


def room(directory: str, address: str) -> Counter[str]:
    """Return the bytes that the files and directories of an address have on the disk, by what they are."""
    found: Counter[str] = Counter()
    for path, folders, files in os.walk(directory):
        for name in (*folders, *files):
            if name.startswith(address):
                _add(found, os.path.join(path, name), name.removeprefix(address).lstrip(".") or "directory")
    return found


def _add(found: Counter[str], path: str, kind: str) -> None:
    found[kind] += os.lstat(path).st_blocks * _BLOCK
    if os.path.isdir(path):
        for entry in os.scandir(path):
            _add(found, entry.path, _ID.sub("", entry.name))
