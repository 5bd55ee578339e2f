"""`bench`: how fast Pronto is on this disk, with SQLite and the disk itself beside it."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory

from pronto_cli.duel import Duel
from pronto_cli.exits import Exit, UsageError
from pronto_cli.line import number
from pronto_cli.place import existing_directory
from pronto_cli.printing import print_record
from pronto_cli.progress import Steps
from pronto_lmdb.config import default_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_cli.line import Line
    from pronto_cli.streams import Streams

DEFAULT_SECONDS = 50.0


def bench(line: Line, streams: Streams) -> int:
    """Measure, and print a table or JSON lines."""
    seconds = DEFAULT_SECONDS if line["seconds"] is None else number(line["seconds"], "--seconds")
    if not 0 < seconds <= 3600:
        raise UsageError("--seconds takes a number above 0, up to 3600.", "Leave it out for about a minute.")
    place = existing_directory(os.path.abspath(line.root or default_root()))
    streams.note(f"Measuring for about {seconds:g} s in {place}.")
    with (
        TemporaryDirectory(prefix=".pronto-bench-", dir=place) as directory,
        Duel(directory, seconds) as duel,
        Steps(streams, len(Duel.WORKLOADS) + 1) as progress,
    ):
        progress.step("the disk")
        flushes = duel.flushes()
        progress.clear()
        _print_flushes(line, streams, flushes)
        figures = duel.figures()
        for workload in Duel.WORKLOADS:
            progress.step(workload)
            figure = next(figures)
            progress.clear()
            if line.json:
                fields = {"workload": figure.name, "pronto": figure.pronto, "sqlite": figure.sqlite}
                print_record(line, streams, {**fields, "ratio": figure.ratio})
            else:
                streams.line(f"{figure.name:<22}{figure.pronto:>14,.0f}{figure.sqlite:>14,.0f}{figure.ratio:>8.2f}")
            streams.flush()
    return Exit.OK


def _print_flushes(line: Line, streams: Streams, flushes: float) -> None:
    if line.json:
        print_record(line, streams, {"workload": "flush of a page", "disk": flushes})
    else:
        streams.line(f"{'operations a second':<22}{'Pronto full':>14}{'SQLite FULL':>14}{'ratio':>8}")
        streams.line(f"{'flush of a page':<22}{flushes:>14,.0f}  (the disk: the bound for lone durable writes)")
    streams.flush()
