"""The parsed command line: what every way of reading one arrives at, and every handler starts from."""

from __future__ import annotations

from pronto_cli.exits import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pronto_cli.session import Session

# The options that are understood before and after any command.
GLOBALS = ("root", "address", "user", "cursor", "json", "quiet", "verbose", "timeout", "ns_delim")


class Line:
    """One command line.

    ``line["key"]`` is an argument or option of the command as it was typed, ``None`` where it is absent.

    Args:
        command: its name as typed, of a command in a group both names: ``"address create"``.
        arguments: arguments and options of the command, by name.
        root: directory of the store.
        address: text of the address.
        user: replaces one part of the address that would apply otherwise.
        cursor: the same.
        json: print JSON, for errors too.
        quiet: print no notes.
        verbose: show the traceback of an error.
        timeout: seconds to wait for a lock, as typed.
        ns_delim: stands between the parts of a key.

    Attributes:
        session: what it is part of, if it is one of several lines.

    Raises:
        UsageError: for options that exclude each other or are empty.

    """

    __slots__ = ("arguments", "command", "session", *GLOBALS)

    def __init__(
        self,
        command: str,
        arguments: dict[str, Any],
        *,
        root: str | None = None,
        address: str | None = None,
        user: str | None = None,
        cursor: str | None = None,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        timeout: str | None = None,
        ns_delim: str | None = None,
    ) -> None:
        self.command = command
        self.arguments = arguments
        self.root = root
        self.address = address
        self.user = user
        self.cursor = cursor
        self.json = json
        self.quiet = quiet
        self.verbose = verbose
        self.timeout = None if timeout is None else number(timeout, "--timeout")
        self.ns_delim = ns_delim or "."
        self.session: Session | None = None
        self._check(ns_delim)

    def __getitem__(self, name: str) -> Any:
        return self.arguments.get(name)

    def _check(self, ns_delim: str | None) -> None:
        if self.address is not None and (self.user is not None or self.cursor is not None):
            raise UsageError("--address names a whole address.", "Leave out --user and --cursor, or --address.")
        if self.root == "" or ns_delim == "":
            raise UsageError("--root and --ns-delim cannot be empty.", "Leave them out for the defaults.")
        if self["literal"] and (self["project"] is not None or self["namespace"] is not None):
            raise UsageError("--literal takes the key as it is.", "Leave out --project and --namespace.")


def glance(argv: Sequence[str]) -> tuple[bool, bool]:
    """Tell whether a command line that could not be read asks for JSON, and for details."""
    options = argv[: argv.index("--")] if "--" in argv else argv
    return "--json" in options, "--verbose" in options or "-v" in options


def number(text: str, name: str) -> float:
    """Return a number that was typed.

    Raises:
        UsageError: if it is none; ``name`` says of what.

    """
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{name} takes a number of seconds, not {text!r}.", "Write for instance 30 or 0.5.") from None


def whole(text: str, name: str) -> int:
    """Return a whole number that was typed.

    Raises:
        UsageError: if it is none; ``name`` says of what.

    """
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{name} takes a whole number, not {text!r}.", "Write for instance 1 or -5.") from None
