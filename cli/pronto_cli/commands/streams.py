"""`import export batch stream copy`: many records at once, and single ones from here to there."""

from typing import Annotated

import typer

from pronto_cli.commands.words import LiteralOption, NamespaceOption, ProjectOption
from pronto_cli.completion import complete_address
from pronto_cli.grammar import command

_FileArgument = Annotated[
    str | None,
    typer.Argument(metavar="FILE", help="A file, compressed if its name ends with .gz; default: - (a pipe)."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    command(app, "copy", "pronto copy plan plan.old", "pronto copy alice.research:plan bob.research:plan")(_copy)
    command(app, "import", "pronto import records.jsonl.gz", "curl -s $URL | pronto import --on-conflict skip")(_import)
    command(app, "export", "pronto export records.jsonl.gz", "pronto export --prefix web. --json")(_export)
    command(app, "batch", "printf 'set a 1\\nincr hits\\n' | pronto batch")(_batch)
    command(app, "stream", "echo 'ns=web.sessions; user=alice; meta:ttl=60; token=\"a;b\"' | pronto stream")(_stream)


def _copy(
    source: Annotated[str, typer.Argument(metavar="SRC", help="A key, or ADDRESS:KEY; :KEY where it has a colon.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="A key, or ADDRESS:KEY.")],
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="ADDRESS", help="Where SRC, a key then, is.", autocompletion=complete_address),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="ADDRESS", help="Where DST, a key then, is.", autocompletion=complete_address),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    project: ProjectOption = None,
    namespace: NamespaceOption = None,
    literal: LiteralOption = False,
) -> None:
    """Copy a key, with its expiry. Exit code 3 if DST is there, 2 if SRC is not. -p and -n apply to both.

    From pipe.cache, where refused content is kept, the content moves: the copy does not expire, and once it is durable
    the original is removed.
    """


def _import(
    file: _FileArgument = None,
    on_conflict: Annotated[
        str | None,
        typer.Option(
            "--on-conflict", metavar="WHAT", help="With keys that are there: fail (default), skip, overwrite."
        ),
    ] = None,
    rejects: Annotated[
        str | None,
        typer.Option("--rejects", metavar="FILE", help="Write lines that cannot be imported to this new file."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first line that cannot be imported.")] = False,
) -> None:
    """Read JSON lines, as export writes them: {"key": ..., "value": ...} and what else is known.

    About a megabyte of lines makes one transaction. A line that cannot be imported is named and left out; the others
    are imported, and the exit code is 1. Compressed input is recognised. Exit code 3 if a key is there; what was
    imported before that transaction stays.
    """


def _export(
    file: _FileArgument = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", metavar="TEXT", help="Only keys that begin with this text.")
    ] = None,
) -> None:
    """Write the records of an address, as of one moment, one JSON object a line.

    Each has key, value, revision and expires_at. With --json key and value, as scan has them, and expires_at only
    where there is one. A file is there whole or not at all.
    """


def _batch(
    each: Annotated[
        bool, typer.Option("--each", help="Every line for itself, in any address; go on behind one that fails.")
    ] = False,
) -> None:
    """Run command lines from standard input in one process, as one transaction: all of them, or none.

    Lines are what follows `pronto`: set, get, del, exists, incr, keys, scan, ttl, expire, persist, sweep, with quotes
    as in a shell; empty lines and those that begin with # do not count. The options of batch hold for each line.
    Output comes once everything is committed. A line that fails is named, with its number, and nothing is changed; a
    miss is no failure, but the exit code is 2.
    """


def _stream() -> None:
    """Store the tokens of standard input as one transaction: key=value; ns:key=value; ...

    ns=NAMESPACE, or PROJECT.NAMESPACE, holds for the tokens behind it. A value may stand in quotes. Directives:
    meta:ns (or path), meta:ttl (seconds or none), meta:delim, and meta:address before anything is stored. Tokens of
    sec: are never stored nor shown.
    """
