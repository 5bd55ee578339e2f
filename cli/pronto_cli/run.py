"""One command line from its words to its exit code."""

from __future__ import annotations

import atexit
import os
import sys

from pronto_cli import quick
from pronto_cli.exits import report
from pronto_cli.handlers import handler
from pronto_cli.line import glance
from pronto_cli.streams import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def program_name() -> str:
    """Return the name by which the command was called."""
    return "prontodb" if os.path.basename(sys.argv[0]).startswith("prontodb") else "pronto"


def run(argv: Sequence[str] | None, streams: Streams | None) -> int:
    """Read a command line, carry it out, and turn whatever goes wrong into a message and an exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    own_process = argv is None and streams is None
    streams = streams or Streams.standard()
    json, verbose = glance(words)
    is_quick = False
    try:
        line = quick.scan(words)
        is_quick = line is not None
        if line is None:
            from pronto_cli.app import parse

            parsed = parse(words)
            if isinstance(parsed, int):
                return parsed
            line = parsed
        json, verbose = line.json, line.verbose
        streams.notes = not (line.quiet or line.json)

        code = handler(line.command)(line, streams)
        streams.flush()
    except BaseException as error:  # noqa: BLE001 - the boundary behind which there is only the shell
        code = report(error, streams, json=json, verbose=verbose)
    if own_process and is_quick:
        _leave(code)
    return code


def _leave(code: int) -> None:
    """End the process at once, unless something is left to write.

    A quick command has closed its store and has no threads. To take the interpreter apart would cost it an eighth of
    its time, and free nothing that the system does not.
    """
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return  # the interpreter says so, in its way
    os._exit(code)
