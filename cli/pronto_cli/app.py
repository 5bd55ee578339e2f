"""The Typer application: every command line that there is."""

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import typer
from typer.main import get_command

from pronto_cli.commands import addresses, backups, care, cursors, discovery, expiry, keys, migration, streams
from pronto_cli.completion import complete_address
from pronto_cli.exits import MEANINGS, UsageError
from pronto_cli.grammar import Group, Shortcut, epilog, keep_as_typed
from pronto_cli.line import Line, glance
from pronto_cli.run import program_name

# The base of what Typer raises for a line it cannot read; it has no public name of its own.
_ParseError: Any = typer.BadParameter.__base__

# Help does not depend on the terminal.
_WIDTH = 100

_HELP = """An embedded key-value store: every address, user.cursor, is a keystore of its own.

The address is that of -a, else PRONTO_ADDRESS, else PRONTO_USER and PRONTO_CURSOR, else the one that `pronto use`
stored, else default.default. Options may stand before and after the command.

\b
Exit codes:
""" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items())


def parse(words: Sequence[str]) -> Line | int:
    """Return the line that the words of a command line make.

    Returns:
        An exit code instead where nothing is left to do, such as after a request of shell completion.

    Raises:
        UsageError: if it cannot be understood.

    """
    name = program_name()
    try:
        line: Line | int = application().main(list(words) or ["--help"], prog_name=name, standalone_mode=False)
    except Shortcut as shortcut:
        return Line(shortcut.command, shortcut.arguments, json=glance(words)[0])
    except _ParseError as error:
        path = error.ctx.command_path if error.ctx else name
        problem = error.format_message().rstrip(".")
        hint = f"{_remedy(problem)}See `{path} --help`."
        raise UsageError(problem if problem.endswith("?") else f"{problem}.", hint) from error
    except SystemExit as end:  # how Typer ends a completion
        return int(end.code or 0)
    return line


def _remedy(problem: str) -> str:
    """Return what helps where Typer only says what is wrong."""
    if "unexpected extra argument" in problem:
        return "Text with blanks needs quotes. "
    if problem.startswith("No such option") and "ossible option" not in problem:
        return "What begins with a dash and is no option goes behind `--`. "
    return ""


@cache
def application() -> Any:
    """Return the root command, made when it is first needed."""
    app = typer.Typer(cls=Group, rich_markup_mode=None, context_settings={"terminal_width": _WIDTH})
    examples = epilog('pronto set plan "draft two"', "pronto get plan", "pronto help set")
    app.callback(cls=Group, help=_HELP, epilog=examples)(_root)
    for group in (keys, discovery, expiry, streams, addresses, cursors, backups, migration, care):
        group.register(app)
    return keep_as_typed(get_command(app))


def _show_help(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        raise Shortcut("help", text=ctx.get_help())


def _show_version(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        raise Shortcut("version")


def _root(
    root: Annotated[
        str | None,
        typer.Option("--root", metavar="PATH", help="Directory of the store; default: PRONTO_ROOT, else in the home."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option("--address", "-a", metavar="USER.CURSOR", help="The address.", autocompletion=complete_address),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", "-u", metavar="USER", help="Replaces the user of the address.")
    ] = None,
    cursor: Annotated[
        str | None, typer.Option("--cursor", "-c", metavar="CURSOR", help="Replaces the cursor of the address.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON: output, errors, and the VALUE of set.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no notes, only errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the traceback of an error.")] = False,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="SECONDS", help="How long to wait for a lock; default: 10.")
    ] = None,
    ns_delim: Annotated[
        str | None, typer.Option("--ns-delim", metavar="TEXT", help="Stands for the dot in keys, in and out.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
    help: Annotated[  # noqa: A002 - the name of the option
        bool, typer.Option("--help", "-h", is_eager=True, callback=_show_help, help="Print this help.")
    ] = False,
) -> None:
    """Take the options that every command understands."""
