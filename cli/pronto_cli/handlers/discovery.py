"""`projects`, `namespaces`, `nss`: which parts the keys of an address have."""

from __future__ import annotations

from pronto_cli.exits import Exit, UsageError
from pronto_cli.place import keystore, opened
from pronto_cli.printing import print_value
from pronto_lmdb.key import DEFAULT_PROJECT, Key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_cli.line import Line
    from pronto_cli.streams import Streams


def projects(line: Line, streams: Streams) -> int:
    """Print the projects that have keys."""
    with opened(line) as store:
        for project in keystore(line, store).projects():
            print_value(line, streams, project)
    return Exit.OK


def namespaces(line: Line, streams: Streams) -> int:
    """Print the namespaces of one project that have keys."""
    if line["name"] is not None and line["project"] is not None:
        raise UsageError("The project is named twice.", "Leave out PROJECT or -p.")
    project = line["name"] if line["project"] is None else line["project"]
    for _, namespace in _found(line, DEFAULT_PROJECT if project is None else project):
        print_value(line, streams, namespace)
    return Exit.OK


def nss(line: Line, streams: Streams) -> int:
    """Print projects with their namespaces."""
    from pronto_cli.jsonform import to_json

    delimiter = line.ns_delim
    for project, namespace in _found(line, line["project"]):
        if line.json:
            streams.line(to_json({"project": project, "namespace": namespace}))
        elif delimiter == "." or delimiter not in project + namespace:  # no key of others can be written with it
            streams.line(f"{project}{delimiter}{namespace}")
    return Exit.OK


def _found(line: Line, project: str | None) -> list[tuple[str, str]]:
    if project is not None:
        Key.within(project, None, "name")  # raises for a project that no key can have
    with opened(line) as store:
        return keystore(line, store).namespaces(project)
