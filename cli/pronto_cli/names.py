"""Which keys a line means: the convention, its exceptions, and selections of many keys."""

from __future__ import annotations

from pronto_lmdb.errors import InvalidKeyError
from pronto_lmdb.key import CONTEXT_MARK, DEFAULT_NAMESPACE, DEFAULT_PROJECT, Key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from pronto_cli.line import Line

    Payload = TypeVar("Payload")

# How the keys begin under which content is kept that `set` could not store; a copy from there takes it out.
KEPT = "pipe.cache."


# -- one key -------------------------------------------------------------------------------------------------------


def stored_key(line: Line) -> str:
    """Return the text under which the KEY of a line is stored.

    Raises:
        InvalidKeyError: if it does not follow the convention; with ``--literal`` the library judges it.

    """
    return stored_name(line, line["key"])


def stored_name(line: Line, text: str) -> str:
    """Return the text under which a key that stands on a line is stored; raises as above."""
    if line["literal"]:
        return text
    if _names_namespace(line):
        return str(Key.within(*_namespace(line), text))
    return str(Key.parse(text, line.ns_delim))


def shown_key(line: Line, stored: str) -> str:
    """Return a stored key as a line wants to see it: with its delimiter, unless no such key can be written so."""
    return stored if line["literal"] else _with_delimiter(stored, line.ns_delim) or stored


def _names_namespace(line: Line) -> bool:
    return line["project"] is not None or line["namespace"] is not None


def _namespace(line: Line) -> tuple[str, str]:
    """Return the project and the namespace that the options name."""
    parts = []
    for option, default in (("project", DEFAULT_PROJECT), ("namespace", DEFAULT_NAMESPACE)):
        part = default if line[option] is None else line[option]
        if not part:
            raise InvalidKeyError(f"The {option} is empty.", f"Leave it out to mean {default!r}.")
        parts.append(part)
    return parts[0], parts[1]


# -- many keys -----------------------------------------------------------------------------------------------------


def selected(line: Line, read: Callable[[str], Iterator[tuple[str, Payload]]]) -> Iterator[tuple[str, Payload]]:
    """Yield (key as shown, what belongs to it) for the keys that a line selects, in byte order.

    Args:
        line: its PREFIX, ``--project`` and ``--namespace``, ``--literal`` and ``--ns-delim``.
        read: returns the pairs whose stored keys begin with a text, in byte order.

    """
    prefix = line["prefix"] or ""
    if _names_namespace(line):
        project, namespace = _namespace(line)
        Key.within(project, namespace, "name")  # raises for a part that no key can have
        rows = (
            row
            for start in _stored_prefixes(project, namespace, prefix)
            for row in read(start)
            if _belongs(row[0], project, namespace, prefix)
        )
        return rows if line.ns_delim == "." else _translated(rows, line.ns_delim, "")
    if line["literal"] or line.ns_delim == ".":
        return read(prefix)
    return _translated(read(""), line.ns_delim, prefix)


def _stored_prefixes(project: str, namespace: str, prefix: str) -> list[str]:
    """Return disjoint texts, in order, with one of which every stored key of a namespace begins."""
    if project != DEFAULT_PROJECT:
        return [f"{project}.{namespace}.{prefix}"]
    if namespace != DEFAULT_NAMESPACE:
        return sorted([f"{namespace}.{prefix}", f"{project}.{namespace}.{prefix}"])
    return [""]


def _belongs(stored: str, project: str, namespace: str, prefix: str) -> bool:
    try:
        key = Key.parse(stored)
    except InvalidKeyError:
        return False
    name = key.name if key.context is None else f"{key.name}{CONTEXT_MARK}{key.context}"
    return (key.project, key.namespace) == (project, namespace) and name.startswith(prefix)


def _translated(rows: Iterator[tuple[str, Payload]], delimiter: str, prefix: str) -> Iterator[tuple[str, Payload]]:
    """Yield rows under keys with another delimiter, sorted anew; what has no such key is left out."""
    shown = ((_with_delimiter(stored, delimiter), payload) for stored, payload in rows)
    found = [(key, payload) for key, payload in shown if key is not None and key.startswith(prefix)]
    found.sort(key=lambda row: row[0].encode())
    return iter(found)


def _with_delimiter(stored: str, delimiter: str) -> str | None:
    try:
        key = Key.parse(stored)
        text = key.text(delimiter)
        return text if Key.parse(text, delimiter) == key else None
    except InvalidKeyError:
        return None
