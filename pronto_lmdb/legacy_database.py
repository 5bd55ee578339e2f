"""Reading a private copy of a database of the old program, row by row, in constant memory."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from functools import partial
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from msgpack import packb

from pronto_lmdb.errors import MigrationError
from pronto_lmdb.legacy_keys import Parts
from pronto_lmdb.legacy_schema import check_schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pronto_lmdb.values import Value

# Text that is not UTF-8, which only other programs can have stored, keeps its bytes as surrogates.
_TEXT = partial(str, encoding="utf-8", errors="surrogateescape")

_COLUMNS = "project, namespace, key, context, value, updated_at, expires_at"
# Rows of one key come together, in the order in which they were written: nothing but that tells overwritten ones apart.
_ROWS = f"SELECT {_COLUMNS} FROM kv {{}} ORDER BY project, namespace, key, context, rowid"  # noqa: S608
_NAMESPACES = "SELECT project, namespace, is_ttl, default_ttl FROM sys_namespaces ORDER BY project, namespace"

_STAGE = """
    CREATE TABLE all_rows (project, namespace, key, context, value, updated_at, expires_at, source, number);
    CREATE TABLE kv (project, namespace, key, context, value, updated_at, expires_at);
    CREATE TABLE sys_namespaces (project, namespace, is_ttl, default_ttl, PRIMARY KEY (project, namespace));
"""
_ROWS_AS_WRITTEN = f"SELECT {_COLUMNS} FROM kv ORDER BY rowid"  # noqa: S608
_INTO_STAGE = "INSERT INTO all_rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_STAGED = f"INSERT INTO kv SELECT {_COLUMNS} FROM all_rows ORDER BY updated_at, source, number"  # noqa: S608


class Row(NamedTuple):
    """One row of the old program's table."""

    value: Value
    updated_at: int
    """Microseconds since 1970 UTC."""
    expires_at: int | None
    """The same; ``None`` for never."""


class Namespace(NamedTuple):
    """A namespace that had a default TTL, or was meant to have one."""

    project: str
    namespace: str
    ttl: int | None
    """Seconds; ``None`` where what is stored is no TTL."""


class Database:
    """A copy that may be read. Use it in a ``with`` block.

    Args:
        path: the copy.
        place: the original, for messages.

    Raises:
        MigrationError: if it is damaged, or not of the kind that the old program wrote.

    """

    def __init__(self, path: str, place: str) -> None:
        self.path = path
        self.place = place
        with self._reading() as connection:
            check_schema(_tables(connection), place)
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise _damaged(place, found)

    def grouped(self, where: str = "", values: tuple[str, ...] = ()) -> Iterator[tuple[Parts, list[Row]]]:
        """Yield each key with its rows, oldest first; sorted.

        Args:
            where: a condition in SQL.
            values: what stands for the question marks in it.

        """
        with self._reading() as connection:
            cursor = connection.execute(_ROWS.format(where and f"WHERE {where}"), values)
            for parts, rows in groupby(cursor, itemgetter(0, 1, 2, 3)):
                yield Parts._make(map(_as_text, parts)), [_row(row) for row in rows]

    def namespaces(self) -> list[Namespace]:
        """Return the namespaces that were given a default TTL."""
        with self._reading() as connection:
            if "sys_namespaces" not in _tables(connection):
                return []
            rows = connection.execute(_NAMESPACES).fetchall()
        return [
            Namespace(str(_as_text(project)), str(_as_text(namespace)), _ttl(is_ttl, ttl))
            for project, namespace, is_ttl, ttl in rows
        ]

    def projects(self) -> list[str]:
        """Return the projects of all rows, meta contexts included."""
        with self._reading() as connection:
            rows = connection.execute("SELECT DISTINCT project FROM kv ORDER BY project").fetchall()
        return [str(_as_text(project)) for (project,) in rows]

    def digest(self) -> tuple[str, int]:
        """Return a checksum of the content, whatever file it is in, and the number of rows."""
        summed, count = sha256(), 0
        with self._reading() as connection:
            for row in connection.execute(_ROWS.format("")):
                summed.update(packb(row, unicode_errors="surrogateescape"))
                count += 1
            if "sys_namespaces" in _tables(connection):
                for row in connection.execute(_NAMESPACES):
                    summed.update(packb(row, unicode_errors="surrogateescape"))
        return summed.hexdigest(), count

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(_connected(self.path)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise _damaged(self.place, str(error)) from error


def staged(databases: Iterable[Database], path: str) -> Database:
    """Make one database of several, with the rows of all of them in the order in which they were written.

    Args:
        databases: those that become one address; where times are equal, the later one counts.
        path: of the new file.

    """
    with closing(_connected(path)) as stage:
        stage.executescript(_STAGE)
        for number, database in enumerate(databases):
            with database._reading() as connection:
                rows = enumerate(connection.execute(_ROWS_AS_WRITTEN))
                stage.executemany(_INTO_STAGE, ((*map(_storable, row), number, order) for order, row in rows))
            stage.executemany(
                "INSERT OR REPLACE INTO sys_namespaces VALUES (?, ?, ?, ?)",
                [
                    (_storable(row.project), _storable(row.namespace), row.ttl is not None, row.ttl)
                    for row in database.namespaces()
                ],
            )
        stage.execute(_STAGED)
        stage.execute("CREATE INDEX by_key ON kv (project, namespace, key, context)")
        stage.commit()
    merged = Database.__new__(Database)
    merged.path, merged.place = path, path
    return merged


def _connected(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.text_factory = _TEXT
    return connection


def _tables(connection: sqlite3.Connection) -> dict[str, frozenset[str]]:
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
    ).fetchall()
    columns = "SELECT name FROM pragma_table_info(?)"
    return {name: frozenset(column for (column,) in connection.execute(columns, (name,))) for (name,) in names}


def _row(row: tuple[object, ...]) -> Row:
    *_, value, updated_at, expires_at = row
    return Row(_as_value(value), _instant(updated_at) or 0, _instant(expires_at))


def _as_value(value: object) -> Value:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogateescape")
    return value  # type: ignore[return-value]


def _storable(value: object) -> object:
    """Return what SQLite takes: text that is not UTF-8 only as bytes."""
    return _as_value(value) if isinstance(value, str) else value


def _as_text(part: object) -> str | None:
    if isinstance(part, bytes):
        return part.decode("utf-8", "surrogateescape")
    return part if part is None or isinstance(part, str) else str(part)


def _instant(seconds: object) -> int | None:
    """Return an instant in microseconds; what is no number says nothing."""
    if isinstance(seconds, int | float) and seconds == seconds:
        return round(min(max(seconds, 0), _LAST_SECOND) * 1_000_000)
    return None


# The end of the year 9999, the last instant that a record can have.
_LAST_SECOND = 253_402_300_799


def _ttl(is_ttl: object, seconds: object) -> int | None:
    return seconds if is_ttl and isinstance(seconds, int) and 0 < seconds < _LAST_SECOND else None


def _damaged(place: str, reason: str) -> MigrationError:
    return MigrationError(
        f"{place} cannot be read: {' '.join(reason.split())}.",
        "Take it from a backup, or repair it with sqlite3's .recover.",
    )
