"""`cursor ...`: the addresses of one user, by their second part."""

from typing import Annotated

import typer

from pronto_cli.commands.words import DryRunOption, UnneededYesOption
from pronto_cli.completion import complete_cursor
from pronto_cli.grammar import Group, command, epilog

_Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The second part of an address.", autocompletion=complete_cursor)
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(
        name="cursor", cls=Group, help="The addresses of one user, by their second part.",
        epilog=epilog("pronto cursor list -u alice"),
    )  # fmt: skip
    command(group, "set", "pronto cursor set scratch /mnt/fast/scratch -u alice")(_set)
    command(group, "list", "pronto cursor list -u alice")(_list)
    command(group, "active", "pronto cursor active")(_active)
    command(group, "delete", "pronto cursor delete scratch -u alice")(_delete)
    command(group, "clear", "pronto cursor clear")(_clear)
    app.add_typer(group)


def _set(
    name: _Name,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A directory, new or empty, such as on another disk.")],
) -> None:
    """Create the address of this user and cursor at a path. Exit code 3 if it exists elsewhere.

    The user is that of -u, else of the address that applies. Nothing is chosen: `pronto use` does that.
    """


def _list() -> None:
    """Print the cursors of the user who applies, one a line.

    With --json one object a line, with the place of each.
    """


def _active() -> None:
    """Print the cursor of the address that applies.

    `pronto use` prints the whole address.
    """


def _delete(name: _Name, dry_run: DryRunOption = False, yes: UnneededYesOption = False) -> None:
    """Move the address of this user and cursor to the trash, from where `address undelete` brings it back."""


def _clear() -> None:
    """Forget the address that `pronto use` has stored, so that default.default applies again.

    No data is touched.
    """
