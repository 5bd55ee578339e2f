"""Which projects and namespaces there are: one walk over the keys that leaps over whatever can tell nothing new.

Keys sort by their text, so all of ``project.namespace.`` lie together: when one live key of a namespace is found, one
seek skips the rest. Keys of one part, and those of two (``namespace.name``, of the default project), lie between the
others and are stepped over one by one. Values are not looked at, and headers only where a key would be the first of its
kind.
"""

from __future__ import annotations

from pronto_lmdb.key import DEFAULT_NAMESPACE, DEFAULT_PROJECT
from pronto_lmdb.record import FIRST_USER_KEY, is_live

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    import lmdb

    from pronto_lmdb.moment import Moment

    Place = tuple[bytes, bytes]
    Visit = Callable[[list[bytes], lmdb.Cursor[bytes]], bytes | None]

_PROJECT = DEFAULT_PROJECT.encode()
_NAMESPACE = DEFAULT_NAMESPACE.encode()
_DOT = b"."
# The first text behind all that begin with a dot.
_BEHIND_DOT = b"/"


def projects(moment: Moment) -> list[str]:
    """Return the projects that have live keys, in byte order. Keys that do not follow the convention count for none."""
    found: set[bytes] = set()

    def visit(parts: list[bytes], cursor: lmdb.Cursor[bytes]) -> bytes | None:
        project = _place(parts)[0]
        if project not in found:
            if not is_live(cursor.value(), moment.now):
                return None
            found.add(project)
        if len(parts) == 1:
            return None
        if parts[0] in found and _PROJECT in found:
            return parts[0] + _BEHIND_DOT
        return _behind_namespace(parts)

    # Behind keys of two parts there may be a leap, if their first part is a project that was found.
    _walk(moment, b"", visit, lambda head: _PROJECT in found and (head == _NAMESPACE or head not in found))
    return [project.decode() for project in sorted(found)]


def namespaces(moment: Moment, project: str | None) -> list[tuple[str, str]]:
    """Return the (project, namespace) pairs that have live keys, of one project or of all, in byte order."""
    wanted = None if project is None else project.encode()
    found: set[Place] = set()

    def visit(parts: list[bytes], cursor: lmdb.Cursor[bytes]) -> bytes | None:
        place = _place(parts)
        if wanted is not None and place[0] != wanted:
            done = len(parts) == 3 and (_PROJECT, parts[0]) in found
            return parts[0] + _BEHIND_DOT if done else _behind_namespace(parts)
        if place not in found:
            if not is_live(cursor.value(), moment.now):
                return None
            found.add(place)
        return _behind_namespace(parts)

    prefix = b"" if wanted is None or wanted == _PROJECT else wanted + _DOT
    _walk(moment, prefix, visit, lambda head: (_PROJECT, head) in found)
    return [(project.decode(), namespace.decode()) for project, namespace in sorted(found)]


def _walk(moment: Moment, prefix: bytes, visit: Visit, is_known: Callable[[bytes], bool]) -> None:
    """Show the keys with a prefix that follow the convention, in order.

    Args:
        moment: where to look.
        prefix: what they begin with.
        visit: takes the parts of a key and the cursor that stands on it; returns where to go on, ``None`` for the next.
        is_known: tells whether another key of this namespace of the default project tells nothing new.

    """
    cursor = moment.txn.cursor()
    target: bytes | None = prefix or FIRST_USER_KEY
    while target is not None and cursor.set_range(target):
        target = None
        for key in cursor.iternext(keys=True, values=False):
            if not key.startswith(prefix):
                return
            parts = key.split(_DOT, 2)
            # Most keys that cannot be leapt over end here, so this is all that they cost.
            if len(parts) < 3 and is_known(parts[0] if len(parts) == 2 else _NAMESPACE):
                continue
            target = visit(parts, cursor) if all(parts) else None
            if target is not None:
                break


def _place(parts: list[bytes]) -> Place:
    """Return project and namespace of a key."""
    if len(parts) == 3:
        return parts[0], parts[1]
    return _PROJECT, parts[0] if len(parts) == 2 else _NAMESPACE


def _behind_namespace(parts: list[bytes]) -> bytes | None:
    """Return where the keys of a namespace end, if they lie together."""
    return parts[0] + _DOT + parts[1] + _BEHIND_DOT if len(parts) == 3 else None
