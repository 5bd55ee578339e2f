"""`addresses`, `address ...`, `use`: which addresses there are, and which one applies."""

from typing import Annotated

import typer

from pronto_cli.commands.words import (
    AddressArgument,
    DryRunOption,
    OptionalAddressArgument,
    UnneededYesOption,
    YesOption,
)
from pronto_cli.grammar import Group, command, epilog


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    command(app, "addresses", "pronto addresses -u alice --json")(_addresses)
    group = typer.Typer(
        name="address", cls=Group, help="Create, show, change and delete addresses.",
        epilog=epilog("pronto address create alice.research"),
    )  # fmt: skip
    command(group, "create", "pronto address create alice.research --label team=search")(_create)
    command(group, "info", "pronto address info alice.research --json")(_info)
    command(group, "delete", "pronto address delete alice.research")(_delete)
    command(group, "undelete", "pronto address undelete alice.research --to alice.again")(_undelete)
    command(group, "rename", "pronto address rename alice.research alice.archive")(_rename)
    command(group, "copy", "pronto address copy alice.research alice.fork")(_copy)
    command(group, "durability", "pronto address durability alice.research normal")(_durability)
    command(group, "quota", "pronto address quota alice.research 50000000")(_quota)
    command(group, "purge", "pronto address purge --older-than 86400 --yes")(_purge)
    app.add_typer(group)
    command(app, "use", "pronto use alice.research")(_use)


def _addresses() -> None:
    """Print all addresses, one a line; with -u those of one user."""


def _create(
    name: AddressArgument,
    path: Annotated[
        str | None, typer.Option("--path", metavar="PATH", help="A directory elsewhere, new or empty.")
    ] = None,
    durability: Annotated[
        str | None,
        typer.Option("--durability", metavar="LEVEL", help="full, normal or off; see `address durability`."),
    ] = None,
    max_bytes: Annotated[
        str | None, typer.Option("--max-bytes", metavar="N", help="Quota of the data file: at least 65536.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=TEXT", help="Text by name; may be repeated.")
    ] = None,
    exist_ok: Annotated[bool, typer.Option("--exist-ok", help="Accept an address that exists, as it is.")] = False,
) -> None:
    """Create an address. Exit code 3 if it exists.

    Writing to an address creates it, too: this is for choosing where and how.
    """


def _info(name: OptionalAddressArgument = None) -> None:
    """Print what is known about an address, by default the one that applies.

    Exit code 2 if it does not exist.
    """


def _delete(name: AddressArgument, dry_run: DryRunOption = False, yes: UnneededYesOption = False) -> None:
    """Move an address to the trash, from where undelete brings it back."""


def _undelete(
    name: AddressArgument,
    to: Annotated[str | None, typer.Option("--to", metavar="ADDRESS", help="Under another name.")] = None,
) -> None:
    """Bring back the newest deletion of an address. Exit code 3 if the name is taken."""


def _rename(
    name: AddressArgument,
    to: Annotated[str, typer.Argument(metavar="NEW", help="The new name, user.cursor.")],
) -> None:
    """Give an address another name. Exit code 3 if that is taken."""


def _copy(
    name: AddressArgument,
    to: Annotated[str, typer.Argument(metavar="NEW", help="The name of the copy, user.cursor.")],
    prefix: Annotated[
        str | None, typer.Option("--prefix", metavar="PREFIX", help="Only keys that begin with this text.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an address of that name; it goes to the trash.")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Copy an address as of one moment, while both are in use. Exit code 3 if the name is taken, without --overwrite.

    TTLs and the TTLs of namespaces are kept.
    """


def _durability(
    name: AddressArgument,
    level: Annotated[str | None, typer.Argument(metavar="LEVEL", help="full, normal or off.")] = None,
) -> None:
    """Print the level of durability of an address, or change it. Exit code 2 if there is no such address to print.

    A write that has succeeded survives the crash of any process. At the level full it survives a power loss, too. At
    normal a power loss may take the writes of the last second (the setting flush_interval). At off it may take
    everything: for scratch data.
    """


def _quota(
    name: AddressArgument,
    limit: Annotated[str | None, typer.Argument(metavar="BYTES", help="A number of bytes, or none.")] = None,
) -> None:
    """Print how many bytes the data file of an address may take, or change it. No output means no limit.

    An address at its quota takes deletions only; its neighbours notice nothing. `stats` shows what is used. Exit code 2
    if there is no such address to print.
    """


def _purge(
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="SECONDS", help="Only what was deleted longer ago.")
    ] = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Remove deleted addresses for good, and print how many."""


def _use(name: OptionalAddressArgument = None) -> None:
    """Choose the address for lines that name none, or print the one that applies.

    The choice is kept in the store. -a, PRONTO_ADDRESS, PRONTO_USER and PRONTO_CURSOR come before it.
    """
