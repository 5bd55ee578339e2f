"""A quick way to read the command lines that agents write thousands of times.

Typer alone takes several times as long to import as such a command takes to run. This scanner either reads a line
exactly as the Typer application would, or declines; it never reports anything. Whatever is unusual is declined.
"""

from __future__ import annotations

from pronto_cli.line import Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

_GLOBAL_FLAGS = {"--json": "json", "--quiet": "quiet", "-q": "quiet", "--verbose": "verbose", "-v": "verbose"}
_GLOBAL_OPTIONS = {
    "--root": "root",
    "--address": "address",
    "-a": "address",
    "--user": "user",
    "-u": "user",
    "--cursor": "cursor",
    "-c": "cursor",
    "--timeout": "timeout",
    "--ns-delim": "ns_delim",
}
_KEY_OPTIONS = {"--project": "project", "-p": "project", "--namespace": "namespace", "-n": "namespace"}


class _Shape:
    """What one command takes.

    Args:
        required: names of the arguments that must be there.
        optional: names of those that may follow.
        flags: its own options without a value, by spelling.
        options: its own options with a value, by spelling.

    """

    __slots__ = ("flags", "options", "positions", "required")

    def __init__(
        self,
        required: tuple[str, ...],
        optional: tuple[str, ...] = (),
        flags: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        self.required = len(required)
        self.positions = required + optional
        self.flags = {"--literal": "literal", **(flags or {})}
        self.options = {**_KEY_OPTIONS, **(options or {})}

    def nothing_given(self) -> dict[str, Any]:
        """Return the arguments of a line that leaves all of them out."""
        nothing: dict[str, Any] = dict.fromkeys(self.positions)
        nothing.update(dict.fromkeys(self.options.values()))
        nothing.update(dict.fromkeys(self.flags.values(), False))
        return nothing


_ONE_KEY = _Shape(("key",))
_MANY_KEYS = _Shape((), ("prefix",))

SHAPES = {
    "set": _Shape(("key",), ("value",), {"--if-absent": "if_absent"}, {"--ttl": "ttl", "--if-revision": "if_revision"}),
    "get": _Shape(("key",), (), {"--raw": "raw", "--with-revision": "with_revision"}),
    "del": _ONE_KEY,
    "delete": _ONE_KEY,
    "exists": _ONE_KEY,
    "ttl": _ONE_KEY,
    "incr": _Shape(("key",), ("by",)),
    "expire": _Shape(("key", "seconds")),
    "persist": _ONE_KEY,
    "keys": _MANY_KEYS,
    "scan": _MANY_KEYS,
    "ls": _MANY_KEYS,
}

_NO_COMMAND = _Shape(())
# Stands for a word that only Typer can judge; no option of that name exists.
_DECLINED = "-?"


def scan(words: Sequence[str]) -> Line | None:
    """Return the line that the words make, or ``None`` to leave them to Typer.

    Raises:
        UsageError: what :class:`Line` refuses, which it refuses whoever reads it.

    """
    rest = iter(words)
    globals_: dict[str, Any] = {}
    command = _take_options(rest, _NO_COMMAND, globals_, {})
    shape = SHAPES.get(command or "")
    if command is None or shape is None:
        return None
    arguments = shape.nothing_given()
    positions: list[str] = []
    word = _take_options(rest, shape, globals_, arguments)
    while word is not None:
        if word == "--":
            positions.extend(rest)
            break
        if word.startswith("-") and word != "-":
            return None
        positions.append(word)
        word = _take_options(rest, shape, globals_, arguments)
    if not shape.required <= len(positions) <= len(shape.positions):
        return None
    arguments.update(zip(shape.positions, positions, strict=False))
    return Line(command, arguments, **globals_)


def _take_options(
    rest: Iterator[str], shape: _Shape, globals_: dict[str, Any], arguments: dict[str, Any]
) -> str | None:
    """Consume known options; return the first word that is none, or ``None`` at the end."""
    own = shape is not _NO_COMMAND
    for word in rest:
        if word in _GLOBAL_FLAGS:
            globals_[_GLOBAL_FLAGS[word]] = True
        elif own and word in shape.flags:
            arguments[shape.flags[word]] = True
        elif word in _GLOBAL_OPTIONS or (own and word in shape.options):
            value = next(rest, "-")
            if value.startswith("-"):
                return _DECLINED
            if word in _GLOBAL_OPTIONS:
                globals_[_GLOBAL_OPTIONS[word]] = value
            else:
                arguments[shape.options[word]] = value
        else:
            return word
    return None
