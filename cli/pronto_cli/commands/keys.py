"""`set get del exists keys scan incr`: keys and values."""

from typing import Annotated

import typer

from pronto_cli.commands.words import KeyArgument, LiteralOption, NamespaceOption, PrefixArgument, ProjectOption
from pronto_cli.grammar import NumberCommand, command


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    command(app, "set", 'pronto set plan "draft two"', "jq .plan all.json | pronto set plan --json")(_set)
    command(app, "get", "pronto get plan")(_get)
    command(app, "del", "pronto del plan", alias="delete")(_del)
    command(app, "exists", "pronto exists plan && echo there")(_exists)
    command(app, "keys", "pronto keys -p web -n sessions")(_keys)
    command(app, "scan", "pronto scan web.sessions. --json", alias="ls")(_scan)
    command(app, "incr", "pronto incr hits", "pronto incr hits -5", cls=NumberCommand)(_incr)


def _set(
    key: KeyArgument,
    value: Annotated[
        str | None,
        typer.Argument(metavar="VALUE", help="Text, or with --json a JSON document; - or none: standard input."),
    ] = None,
    ttl: Annotated[str | None, typer.Option("--ttl", metavar="SECONDS", help="Let the key expire.")] = None,
    if_absent: Annotated[bool, typer.Option("--if-absent", help="Only where there is no such key yet.")] = False,
    if_revision: Annotated[
        str | None, typer.Option("--if-revision", metavar="N", help="Only over this revision of the key.")
    ] = None,
    project: ProjectOption = None,
    namespace: NamespaceOption = None,
    literal: LiteralOption = False,
) -> None:
    """Write a value.

    A value that begins with a dash goes behind --. Standard input is read to its end, verbatim, and only where
    VALUE is - or missing; what is not UTF-8 is stored as bytes. Without --ttl an earlier expiry is dropped. Piped
    content that is refused is kept for 15 minutes under a key that the message names.
    """


def _get(
    key: KeyArgument,
    raw: Annotated[bool, typer.Option("--raw", help="The bytes of the value and nothing else.")] = False,
    with_revision: Annotated[
        bool, typer.Option("--with-revision", help="The revision and a tab before the value; with --json an object.")
    ] = False,
    project: ProjectOption = None,
    namespace: NamespaceOption = None,
    literal: LiteralOption = False,
) -> None:
    """Print the value of a key.

    Text is printed as it is, with a newline; anything else as JSON. Exit code 2 if there is no such key.
    """


def _del(
    key: KeyArgument,
    project: ProjectOption = None,
    namespace: NamespaceOption = None,
    literal: LiteralOption = False,
) -> None:
    """Remove a key; one that is absent is fine.

    `pronto delete` is the same.
    """


def _exists(
    key: KeyArgument,
    project: ProjectOption = None,
    namespace: NamespaceOption = None,
    literal: LiteralOption = False,
) -> None:
    """Answer whether a key exists, by exit code 0 or 2."""


def _keys(
    prefix: PrefixArgument = None,
    project: ProjectOption = None,
    namespace: NamespaceOption = None,
    literal: LiteralOption = False,
) -> None:
    """Print keys, one a line, in byte order.

    With -p or -n exactly the keys of that namespace.
    """


def _scan(
    prefix: PrefixArgument = None,
    project: ProjectOption = None,
    namespace: NamespaceOption = None,
    literal: LiteralOption = False,
) -> None:
    """Print keys with their values, one key=value a line, in byte order.

    `pronto ls` is the same. With --json one object a line, which is safe for values of several lines.
    """


def _incr(
    key: KeyArgument,
    by: Annotated[str | None, typer.Argument(metavar="BY", help="What to add; default: 1.")] = None,
    project: ProjectOption = None,
    namespace: NamespaceOption = None,
    literal: LiteralOption = False,
) -> None:
    """Add to a whole number, starting at 0, and print the result."""
