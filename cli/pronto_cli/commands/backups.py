"""`backup ...`, `restore`: snapshots of addresses."""

from typing import Annotated, Any

import typer

from pronto_cli.commands.words import YesOption
from pronto_cli.completion import complete_address
from pronto_cli.grammar import Group, command, epilog, taking_values

_Addresses = Annotated[
    list[str] | None,
    typer.Argument(metavar="ADDRESS...", help="Only these addresses.", autocompletion=complete_address),
]
_Snapshot = Annotated[str, typer.Argument(metavar="SNAPSHOT", help="An id, the path of a snapshot, or an archive.")]
_DestOption = Annotated[
    str | None, typer.Option("--dest", metavar="DIR", help="Snapshots in another directory; default: the store's own.")
]
_ToOption = Annotated[
    str | None, typer.Option("--to", metavar="ADDRESS", help="Under another name; for exactly one address.")
]
_OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace addresses that exist; they go to the trash.")
]
_DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")]


class BackupGroup(Group):
    """`backup` alone takes a snapshot, and the options of the old program stand for commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in the command that is meant where none is named."""
        return super().parse_args(ctx, self._named(ctx, args))

    def _named(self, ctx: Any, args: list[str]) -> list[str]:
        if not {"--help", "-h"}.isdisjoint(args) and not any(word in self.commands for word in args):
            return args
        if self._first_word(ctx, args) in self.commands:
            return args
        for options, name in ((("--list", "-l"), "list"), (("--restore", "-r"), "restore")):
            for option in options:
                if option in args:
                    at = args.index(option)
                    return [name, *args[:at], *args[at + 1 :]]
        return ["create", *args]

    def _first_word(self, ctx: Any, args: list[str]) -> str | None:
        """Return the first word that is neither an option nor the value of one."""
        inner = (param for command in self.commands.values() for param in command.params)
        takes_value = taking_values([*self.get_params(ctx), *inner])
        before = ""
        for word in args:
            if not word.startswith("-") and before not in takes_value:
                return word
            before = word
        return None


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(
        name="backup", cls=BackupGroup, help="Take, look at, restore and remove snapshots; alone: take one.",
        epilog=epilog("pronto backup", "pronto backup list", "pronto backup prune --keep-daily 7 --yes"),
    )  # fmt: skip
    command(
        group, "create", "pronto backup create --label nightly", "pronto backup create alice.research --dest /mnt/disk"
    )(_create)
    command(group, "list", "pronto backup list --json")(_list)
    command(group, "show", "pronto backup show 20260131-060000-000000-1a2b")(_show)
    command(group, "verify", "pronto backup verify 20260131-060000-000000-1a2b --deep")(_verify)
    restoring = (
        "20260131-060000-000000-1a2b alice.research --to alice.yesterday",
        "fleet.tar.gz --overwrite --yes",
    )
    command(group, "restore", *(f"pronto backup restore {words}" for words in restoring))(_restore)
    command(group, "prune", "pronto backup prune --keep-last 3 --keep-daily 7 --dry-run")(_prune)
    app.add_typer(group)
    command(app, "restore", *(f"pronto restore {words}" for words in restoring))(_restore)


def _create(
    addresses: _Addresses = None,
    label: Annotated[str | None, typer.Option("--label", metavar="TEXT", help="A text to know it by.")] = None,
    dest: Annotated[
        str | None, typer.Option("--dest", metavar="DIR", help="Another directory for it, such as on another disk.")
    ] = None,
    archive: Annotated[
        str | None, typer.Option("--archive", metavar="FILE.tar.gz", help="Write one file to carry away instead.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="DIR", help="Write an archive into this directory.")
    ] = None,
    workers: Annotated[str | None, typer.Option("--workers", metavar="N", help="How many threads read.")] = None,
) -> None:
    """Take a snapshot of all addresses, or some, and print its id; with --archive or --output the path of the file.

    `pronto backup` alone does the same. Everybody may go on reading and writing meanwhile. Each address is in it as of
    one moment. What has not changed since the snapshot before takes no room.
    """


def _list(
    dest: _DestOption = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="DIR", help="The archives in this directory.")
    ] = None,
) -> None:
    """Print the snapshots, oldest first: id, time, addresses, records, bytes and label, with tabs between.

    One that cannot be read is left out, and named on standard error.
    """


def _show(snapshot: _Snapshot) -> None:
    """Print what a snapshot holds: address, revision, records and bytes a line, with tabs between.

    With --json one object, with everything that its manifest says.
    """


def _verify(
    snapshot: _Snapshot,
    deep: Annotated[bool, typer.Option("--deep", help="Read every value as well.")] = False,
) -> None:
    """Compare a snapshot with its checksums, and read it from end to end. Exit code 4 if it is damaged.

    Prints one problem a line, with --json one object a line.
    """


def _restore(
    snapshot: _Snapshot,
    addresses: _Addresses = None,
    to: _ToOption = None,
    overwrite: _OverwriteOption = False,
    dry_run: _DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Bring back all addresses of a snapshot, or some, and print them. Exit code 3 if one exists, without --overwrite.

    The snapshot is verified before anything is touched. What is replaced goes to the trash.
    """


def _prune(
    keep_last: Annotated[str | None, typer.Option("--keep-last", metavar="N", help="Keep the N newest.")] = None,
    keep_hourly: Annotated[
        str | None, typer.Option("--keep-hourly", metavar="N", help="Keep the newest of each of N hours, in UTC.")
    ] = None,
    keep_daily: Annotated[
        str | None, typer.Option("--keep-daily", metavar="N", help="Keep the newest of each of N days.")
    ] = None,
    keep_weekly: Annotated[
        str | None, typer.Option("--keep-weekly", metavar="N", help="Keep the newest of each of N weeks.")
    ] = None,
    keep_monthly: Annotated[
        str | None, typer.Option("--keep-monthly", metavar="N", help="Keep the newest of each of N months.")
    ] = None,
    keep_within: Annotated[
        str | None, typer.Option("--keep-within", metavar="SECONDS", help="Keep all that are younger.")
    ] = None,
    dest: _DestOption = None,
    dry_run: _DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Remove the snapshots that no rule keeps, and print for each what becomes of it: keep with the rules, or remove.

    A snapshot goes only where no rule wants it. The newest always stays. A rule that has fewer than N keeps the oldest
    as well. What cannot be read stays, counts for no rule, and is named on standard error.
    """
