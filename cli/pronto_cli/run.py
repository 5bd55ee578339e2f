"""One command line from its words to its exit code."""

from __future__ import annotations

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
    streams = streams or Streams.standard()
    json, verbose = glance(words)
    try:
        line = quick.scan(words)
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
        return report(error, streams, json=json, verbose=verbose)
    return code
