"""`migrate`."""

from typing import Annotated

import typer

from pronto_cli.grammar import command


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    command(
        app,
        "migrate",
        "pronto migrate --dry-run",
        "pronto migrate ~/.local/share/odx/prontodb --map staging=alice.staging",
        "pronto migrate prontodb_main_20250911.tar.gz --json",
    )(_migrate)


def _migrate(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...", help="A database, a data directory or a backup; default: all that is found."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, and change nothing.")] = False,
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="DATABASE=ADDRESS", help="Another address for a database; may be repeated."),
    ] = None,
    split_meta: Annotated[
        bool, typer.Option("--split-meta", help="Each meta context becomes an address of its own, CONTEXT.default.")
    ] = False,
    duplicates: Annotated[
        str | None,
        typer.Option(
            "--duplicates",
            metavar="WHICH",
            help="Of several values of a key: last (default), first, or both, the older ones as KEY__older-N.",
        ),
    ] = None,
    include_expired: Annotated[
        bool, typer.Option("--include-expired", help="Keep what has expired, without an expiry.")
    ] = False,
    on_conflict: Annotated[
        str | None,
        typer.Option(
            "--on-conflict",
            metavar="HOW",
            help="Where the address holds another value: fail (default), keep, overwrite or newest.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; without a terminal nobody is asked.")] = False,
) -> None:
    """Take over the data of ProntoDB, the program that kept everything in SQLite files.

    The database main becomes default.default, the database NAME becomes default.NAME. Sources are never changed.
    Every row is looked up afterwards: exit code 4 if one is missing. A source that was taken over before is recognised.
    What is refused does not keep the rest from being taken over: exit code 1, or 3 where the store holds other values.
    The report goes to standard error, with --json as one object to standard output; so does a plan.
    """
