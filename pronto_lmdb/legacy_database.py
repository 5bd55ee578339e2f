"""Reading a private copy of a database of the old program, row by row, in constant memory."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from msgpack import packb

from pronto_lmdb.errors import MigrationError
from pronto_lmdb.legacy_keys import Parts
from pronto_lmdb.legacy_schema import check_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pronto_lmdb.values import Value

# Text that is not UTF-8, which only other programs can have stored, keeps its bytes as surrogates.
_TEXT = partial(str, encoding="utf-8", errors="surrogateescape")

_COLUMNS = "project, namespace, key, context, value, updated_at, expires_at"
# Rows of one key come together, in the order in which they were written: nothing but that tells overwritten ones apart.
_IN_ORDER = "ORDER BY kv.project, kv.namespace, kv.key, kv.context, kv.rowid"
_ROWS = f"SELECT {_COLUMNS} FROM kv {_IN_ORDER}"  # noqa: S608
_ROWS_OF_CONTEXT = f"SELECT {_COLUMNS} FROM kv WHERE project > ? AND project < ? {_IN_ORDER}".replace(  # noqa: S608
    "project,", "substr(project, ?),", 1
)
_NAMESPACES = "SELECT project, namespace, is_ttl, default_ttl FROM sys_namespaces ORDER BY project, namespace"

_STAGE = """
    CREATE TABLE all_rows (project, namespace, key, context, value, updated_at, expires_at, source, number);
    CREATE TABLE kv (project, namespace, key, context, value, updated_at, expires_at);
    CREATE TABLE sys_namespaces (project, namespace, is_ttl, default_ttl, PRIMARY KEY (project, namespace));
"""
_ROWS_AS_WRITTEN = f"SELECT {_COLUMNS} FROM kv ORDER BY rowid"  # noqa: S608
_INTO_STAGE = "INSERT INTO all_rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_STAGED = f"INSERT INTO kv SELECT {_COLUMNS} FROM all_rows ORDER BY updated_at, source, number"  # noqa: S608


_BATCH = 1_000
# Rows come in the order of their keys, which is not that in which they lie in the file.
_CACHE = "PRAGMA cache_size = -65536"  # KiB
# Project, namespace, key, context, value, updated_at, expires_at.
RawRow = tuple[Any, Any, Any, Any, Any, Any, Any]


class Row(NamedTuple):
    """What one row says about its key."""

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
        self._text: Callable[[bytes], str] = str
        with self._reading() as connection:
            check_schema(_tables(connection), place)
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise _damaged(place, found)

    @property
    def is_utf8(self) -> bool:
        """Whether all text is UTF-8, as the old program wrote it; known once :meth:`digest` has read all of it."""
        return self._text is str

    def groups(self, meta: str | None = None) -> Iterator[list[RawRow]]:
        """Yield the rows of each key, oldest first, exactly as they are stored; keys are sorted.

        Args:
            meta: only what was stored under this meta context, which is left out of the projects then.

        """
        statement = _ROWS if meta is None else _ROWS_OF_CONTEXT
        values = () if meta is None else (len(meta) + 2, f"{meta}.", f"{meta}/")  # the slash follows the dot
        with self._reading() as connection:
            group: list[RawRow] = []
            last = None
            for row in connection.execute(statement, values):
                key = row[:4]
                if key == last:
                    group.append(row)
                    continue
                if group:
                    yield group
                group, last = [row], key
            if group:
                yield group

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
        try:
            return self._digest()
        except UnicodeError:
            self._text = _TEXT
            return self._digest()

    def _digest(self) -> tuple[str, int]:
        summed, count = sha256(), 0
        with self._reading() as connection:
            cursor = connection.execute(_ROWS_AS_WRITTEN)
            while rows := cursor.fetchmany(_BATCH):
                summed.update(packb(rows, unicode_errors="surrogateescape"))
                count += len(rows)
            if "sys_namespaces" in _tables(connection):
                namespaces = connection.execute(_NAMESPACES).fetchall()
                summed.update(packb(namespaces, unicode_errors="surrogateescape"))
        return summed.hexdigest(), count

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path)) as connection:
                connection.text_factory = self._text
                connection.execute(_CACHE)
                connection.execute("PRAGMA trusted_schema = OFF")  # whoever made the file may have had ideas
                yield connection
        except sqlite3.Error as error:
            if "decode to UTF-8" in str(error):
                raise UnicodeError(str(error)) from error
            raise _damaged(self.place, str(error)) from error


def staged(databases: Iterable[Database], path: str) -> Database:
    """Make one database of several, with the rows of all of them in the order in which they were written.

    Args:
        databases: those that become one address; where times are equal, the later one counts.
        path: of the new file.

    """
    with closing(sqlite3.connect(path)) as stage:
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
    merged.path = merged.place = path
    merged._text = str
    return merged


def _tables(connection: sqlite3.Connection) -> dict[str, frozenset[str]]:
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
    ).fetchall()
    columns = "SELECT name FROM pragma_table_info(?)"
    return {name: frozenset(column for (column,) in connection.execute(columns, (name,))) for (name,) in names}


def understood(row: RawRow) -> tuple[Parts, Row]:
    """Return what a row says, whatever kinds of values other programs have put into it."""
    *parts, value, updated_at, expires_at = row
    project, namespace, key, context = map(_as_text, parts)
    told = Row(_as_value(value), _instant(updated_at) or 0, _instant(expires_at))
    return Parts(project or "", namespace or "", key or "", context), told


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
        return round(min(max(seconds, 0), LAST_SECOND) * 1_000_000)
    return None


# The end of the year 9999, the last instant that a record can have.
LAST_SECOND = 253_402_300_799


def _ttl(is_ttl: object, seconds: object) -> int | None:
    return seconds if is_ttl and isinstance(seconds, int) and 0 < seconds < LAST_SECOND else None


def _damaged(place: str, reason: str) -> MigrationError:
    return MigrationError(
        f"{place} cannot be read: {' '.join(reason.split())}.",
        "Take it from a backup, or repair it with sqlite3's .recover.",
    )
