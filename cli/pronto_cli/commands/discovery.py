"""`projects namespaces nss`: which parts the keys of an address have."""

from typing import Annotated

import typer

from pronto_cli.commands.words import OwnProjectOption
from pronto_cli.completion import complete_project
from pronto_cli.grammar import command


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    command(app, "projects", "pronto projects")(_projects)
    command(app, "namespaces", "pronto namespaces web", "pronto namespaces -p web --json")(_namespaces)
    command(app, "nss", "pronto nss", "pronto nss -p web --ns-delim /")(_nss)


def _projects() -> None:
    """Print the projects that have keys, one a line, in byte order.

    Keys that do not follow the convention belong to none, and neither do expired ones.
    """


def _namespaces(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="PROJECT", help="Which project; default: the project default.", autocompletion=complete_project
        ),
    ] = None,
    project: OwnProjectOption = None,
) -> None:
    """Print the namespaces of a project that have keys, one a line, in byte order."""


def _nss(project: OwnProjectOption = None) -> None:
    """Print all namespaces that have keys, one project.namespace a line; with -p those of one project.

    With --json one object a line.
    """
