"""`config`, `stats`, `check`, `compact`, `bench`, `selftest`, `completion`, `help`, `version`."""

from typing import Annotated

import typer

from pronto_cli.commands.words import OptionalAddressArgument
from pronto_cli.completion import complete_address, complete_setting, complete_shell
from pronto_cli.grammar import Group, HelpCommand, command, epilog

_Setting = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="address, durability, flush_interval, timeout, value_limit or view_warning.",
        autocompletion=complete_setting,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    command(app, "stats", "pronto stats -a alice.research --json", "pronto stats --all")(_stats)
    command(app, "check", "pronto check --deep --repair")(_check)
    command(app, "compact", "pronto compact", "pronto compact alice.research --json")(_compact)
    command(app, "bench", "pronto bench --seconds 20")(_bench)
    command(app, "selftest", "pronto selftest", "pronto selftest --root /srv/agents --json")(_selftest)
    group = typer.Typer(
        name="config", cls=Group, help="Show and change the settings kept in a store.",
        epilog=epilog("pronto config set timeout 30"),
    )  # fmt: skip
    command(group, "get", "pronto config get timeout")(_config_get)
    command(group, "set", "pronto config set timeout 30")(_config_set)
    command(group, "list", "pronto config list --json")(_config_list)
    app.add_typer(group)
    command(app, "completion", "pronto completion bash")(_completion)
    command(app, "version", "pronto version --json")(_version)
    command(app, "help", "pronto help address create", cls=HelpCommand)(_help)


def _stats(
    all: Annotated[  # noqa: A002 - the name of the option
        bool, typer.Option("--all", help="All addresses, or with -u those of a user.")
    ] = False,
) -> None:
    """Print how much an address holds and uses, and how much of its quota that is.

    With --all a table of all addresses, and their sum. With --json one object a line.
    """


def _check(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ADDRESS...", help="Look at these alone.", autocompletion=complete_address),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also read every value and what a power loss would leave.")
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what is found.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the data files anew, and repair what else is found.")
    ] = False,
) -> None:
    """Look for damage in all addresses and in the catalog, and repair it if asked. Exit code 4 if any is left.

    Prints a table of what was found: address, what, state (problem, lost, not repaired, repaired) and advice; nothing
    of what is fine. How many addresses were looked at is said on standard error. With --json one object a line. Nobody
    has to wait, except for an address that is being repaired. What a repair cannot keep goes to the trash with a note;
    what was lost is a problem, once.
    """


def _compact(name: OptionalAddressArgument = None) -> None:
    """Give back the room that deleted and replaced records took, in one address or in all.

    With -u: in all addresses of that user. Prints a line for each: the address, and the bytes that it took on the disk
    before and takes now; with --json an object. Others may go on reading and writing. Writers of the address wait
    meanwhile, some milliseconds for each MB.
    """


def _bench(
    seconds: Annotated[
        str | None, typer.Option("--seconds", metavar="SECONDS", help="About how long it may take; default: 50.")
    ] = None,
) -> None:
    """Measure Pronto against SQLite, on the disk where the store is.

    Both write the same bytes, flushed with every commit, in turns; figures are medians. The first line is what the
    disk itself can do. The store is not touched: everything happens in a temporary directory beside it. With --json
    one object a line.
    """


def _selftest(
    seconds: Annotated[
        str | None, typer.Option("--seconds", metavar="SECONDS", help="How long to measure speed; default: 5, 0: not.")
    ] = None,
) -> None:
    """Try whether this machine and this disk can do what a store needs. Exit code 4 if something fails.

    Looks at the file system where the store is, or will be, and at the limits of the process; lets processes work
    side by side, and kills one; checks the store; measures. Takes less than a minute, in a temporary directory beside
    the addresses, which are not touched. A warning fails nothing. With --json one object a line.
    """


def _completion(
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", autocompletion=complete_shell)],
) -> None:
    """Print a script that makes a shell offer commands, options, addresses and keys.

    Put `source <(pronto completion bash)` into ~/.bashrc, the same with zsh into ~/.zshrc, and
    `pronto completion fish | source` into ~/.config/fish/config.fish.
    """


def _config_get(name: _Setting) -> None:
    """Print the setting that holds: of the environment, else of the store, else the default."""


def _config_set(name: _Setting, value: Annotated[str, typer.Argument(metavar="VALUE", help="The new value.")]) -> None:
    """Store a setting; an environment variable comes before it."""


def _config_list() -> None:
    """Print all settings that hold, one name=value a line.

    With --json one object a line, which says where each comes from.
    """


def _version() -> None:
    """Print the version."""


def _help(
    words: Annotated[list[str] | None, typer.Argument(metavar="COMMAND...", help="A command; by default all.")] = None,
) -> None:
    """Print the help of a command, as --help does."""
