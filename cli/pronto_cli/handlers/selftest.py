"""`selftest`: whether a store can be relied on here; the probes are in :mod:`pronto_cli.probes`."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory
from time import perf_counter

from pronto_cli.exits import Exit, UsageError
from pronto_cli.line import number
from pronto_cli.place import existing_directory
from pronto_cli.printing import one_line, print_record
from pronto_cli.probes import PROBES, ProbeFailed, ProbeWarning, Site
from pronto_cli.progress import Steps
from pronto_cli.streams import GREEN, RED, YELLOW
from pronto_lmdb.config import default_root
from pronto_lmdb.errors import ProntoError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pronto_cli.line import Line
    from pronto_cli.streams import Streams

DEFAULT_SECONDS = 5.0
_LONGEST = 40.0
_COLOURS = {"ok": GREEN, "warning": YELLOW, "failed": RED}
_STATUS_WIDTH = max(map(len, _COLOURS))
_NAME_WIDTH = max(len(name) for name, _ in PROBES)


def selftest(line: Line, streams: Streams) -> int:
    """Run every probe, and print what each has found."""
    seconds = DEFAULT_SECONDS if line["seconds"] is None else number(line["seconds"], "--seconds")
    if not 0 <= seconds <= _LONGEST:
        raise UsageError(f"--seconds takes a number from 0 to {_LONGEST:g}.", "Leave it out for five.")
    root = os.path.realpath(line.root or default_root())
    try:
        scratch = TemporaryDirectory(prefix=".pronto-selftest-", dir=existing_directory(root))
    except OSError as error:
        _print(line, streams, "directory", "failed", f"{root} cannot be written: {error.strerror}", 0)
        return Exit.CHECK_FAILED
    with scratch as directory:
        failed = "failed" in _run(line, streams, Site(root, directory, seconds))
    if failed:
        return Exit.CHECK_FAILED
    streams.note(f"{root} can be relied on.")
    return Exit.OK


def _run(line: Line, streams: Streams, site: Site) -> set[str]:
    """Run and print all probes; return the outcomes that there were."""
    found = set()
    with Steps(streams, len(PROBES)) as progress:
        for name, probe in PROBES:
            progress.step(name)
            started = perf_counter()
            status, detail = _outcome(probe, site)
            progress.clear()
            _print(line, streams, name, status, detail, perf_counter() - started)
            found.add(status)
    return found


def _outcome(probe: Callable[[Site], str], site: Site) -> tuple[str, str]:
    try:
        return "ok", probe(site)
    except ProbeWarning as warning:
        return "warning", str(warning)
    except (ProbeFailed, ProntoError) as error:
        return "failed", str(error)
    except OSError as error:
        return "failed", f"{error.filename or 'the system'}: {error.strerror}"


def _print(line: Line, streams: Streams, name: str, status: str, detail: str, seconds: float) -> None:
    if line.json:
        fields = {"probe": name, "status": status, "detail": detail, "seconds": round(seconds, 3)}
        print_record(line, streams, fields)
    else:
        shown = streams.tinted(status.ljust(_STATUS_WIDTH), _COLOURS[status])
        streams.line(f"{shown}  {name.ljust(_NAME_WIDTH)}  {one_line(detail)}")
    streams.flush()
