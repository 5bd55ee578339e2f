"""The command `pronto`: a shell's view of :mod:`pronto_lmdb`.

A command line becomes a :class:`~pronto_cli.line.Line`; a function of the table :mod:`pronto_cli.handlers`
carries it out; :mod:`pronto_cli.exits` decides how it ends. Only the modules that read command lines know Typer.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pronto_cli.streams import Streams


def main(argv: Sequence[str] | None = None, streams: Streams | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        argv: the words after the program's name; those of the process by default.
        streams: where to read and write; the standard streams by default.

    """
    try:
        from pronto_cli.run import run

        return run(argv, streams)
    except KeyboardInterrupt:  # while the first modules were being imported
        return 130
