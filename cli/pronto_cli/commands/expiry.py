"""`ttl expire persist create-cache sweep`: how long keys live."""

from typing import Annotated

import typer

from pronto_cli.commands.words import KeyArgument, LiteralOption, NamespaceOption, ProjectOption
from pronto_cli.grammar import NumberCommand, command


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    command(app, "ttl", "pronto ttl lease")(_ttl)
    command(app, "expire", "pronto expire lease 30", cls=NumberCommand)(_expire)
    command(app, "persist", "pronto persist lease")(_persist)
    command(
        app, "create-cache", "pronto create-cache web.sessions timeout=3600", "pronto create-cache web.sessions 60",
        cls=NumberCommand,
    )(_create_cache)  # fmt: skip
    command(app, "sweep", "pronto sweep -a alice.research")(_sweep)


def _ttl(
    key: KeyArgument,
    project: ProjectOption = None,
    namespace: NamespaceOption = None,
    literal: LiteralOption = False,
) -> None:
    """Print the seconds until a key expires, or none if it never does.

    With --json a number or null.
    """


def _expire(
    key: KeyArgument,
    seconds: Annotated[str, typer.Argument(metavar="SECONDS", help="From now on; fractions are fine.")],
    project: ProjectOption = None,
    namespace: NamespaceOption = None,
    literal: LiteralOption = False,
) -> None:
    """Let a key expire."""


def _persist(
    key: KeyArgument,
    project: ProjectOption = None,
    namespace: NamespaceOption = None,
    literal: LiteralOption = False,
) -> None:
    """Let a key never expire."""


def _create_cache(
    namespace: Annotated[str, typer.Argument(metavar="PROJECT.NAMESPACE", help="A namespace of keys.")],
    seconds: Annotated[
        str, typer.Argument(metavar="timeout=SECONDS", help="Or the seconds alone; none: keys live for ever again.")
    ],
) -> None:
    """Let the keys of a namespace expire by default.

    This holds for keys written from now on without --ttl. `pronto stats` lists what was set.
    """


def _sweep() -> None:
    """Remove what has expired from the disk, and print how many records.

    Expired records are invisible anyway; a sweep gives their space back.
    """
