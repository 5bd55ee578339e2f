"""The old program, as far as its files go: its statements, its layouts, and what its users meant.

:class:`OldDatabase` writes a database as the program did, with the defect that its key had: a column that may be
NULL, so that overwriting adds a row. :func:`meant` is what the user of a database expects to find.
"""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

NOW = 1_757_500_000
"""An instant in the days of the old program."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS kv (
    project TEXT NOT NULL,
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    context TEXT,
    value TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (project, namespace, key, context)
);
CREATE TABLE IF NOT EXISTS sys_namespaces (
    project TEXT NOT NULL,
    namespace TEXT NOT NULL,
    is_ttl BOOLEAN NOT NULL DEFAULT 0,
    default_ttl INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (project, namespace)
);
CREATE INDEX IF NOT EXISTS idx_kv_expiry ON kv(expires_at) WHERE expires_at IS NOT NULL;
"""

# Designs that no released program had.
DESIGNS = {
    "hierarchical names": """
        CREATE TABLE sys_namespaces(ns TEXT PRIMARY KEY, kind TEXT NOT NULL, table_name TEXT NOT NULL, delim TEXT);
        CREATE TABLE sys_caches(ns TEXT PRIMARY KEY, timeout_sec INTEGER NOT NULL);
        CREATE TABLE sec_users(user TEXT PRIMARY KEY, pass_hash TEXT NOT NULL);
        CREATE TABLE ns_a__b(k TEXT PRIMARY KEY, v BLOB NOT NULL);
    """,
    "a table for each namespace": """
        CREATE TABLE sys_namespaces(project TEXT, namespace TEXT, kind TEXT NOT NULL, table_name TEXT NOT NULL,
            delim TEXT, PRIMARY KEY(project, namespace));
        CREATE TABLE sec_users(user TEXT PRIMARY KEY, pass TEXT NOT NULL);
        CREATE TABLE ns_a_b(k TEXT PRIMARY KEY, v BLOB NOT NULL);
    """,
    "routed meta contexts": SCHEMA.split("CREATE TABLE IF NOT EXISTS sys_namespaces")[0]
    + """
        CREATE TABLE meta_mappings (meta TEXT NOT NULL, mapped_project TEXT NOT NULL, PRIMARY KEY (meta));
        CREATE TABLE meta_routes (meta TEXT NOT NULL, virtual_project TEXT NOT NULL, actual_project TEXT NOT NULL);
    """,
    "a hierarchy of registries": """
        CREATE TABLE meta_registry (meta_name TEXT PRIMARY KEY, description TEXT, created_at INTEGER NOT NULL);
        CREATE TABLE namespace_registry (meta_name TEXT, project_name TEXT, namespace_name TEXT, table_hash TEXT);
        CREATE TABLE keys_00ff (key_name TEXT PRIMARY KEY, context TEXT, value TEXT NOT NULL);
    """,
    "one store for each user": "CREATE TABLE kvstore (id INTEGER, namespace_key TEXT, ttl_expires_at INTEGER)",
    "one store for each namespace": "CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT, ttl_expires_at INTEGER)",
}

_SET = """
    INSERT OR REPLACE INTO kv (project, namespace, key, context, value, created_at, updated_at, expires_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_CREATE_CACHE = """
    INSERT OR REPLACE INTO sys_namespaces (project, namespace, is_ttl, default_ttl, created_at) VALUES (?, ?, 1, ?, ?)
"""


class OldKey(NamedTuple):
    """The four columns of a key."""

    project: str
    namespace: str
    key: str
    context: str | None = None


class OldDatabase:
    """One database file, written as the old program wrote it. Use it in a ``with`` block.

    Args:
        path: of the file; its directory is made.
        now: seconds since 1970, for everything that is written; tests move it on.

    """

    def __init__(self, path: Path, now: int = NOW) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.now = now
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.executescript(SCHEMA)

    def __enter__(self) -> OldDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def set(self, key: OldKey | str, value: str, *, ttl: int | None = None, meta: str | None = None) -> None:
        """Write a value: a key as typed, or its columns."""
        project, namespace, name, context = typed(key) if isinstance(key, str) else key
        if meta is not None:
            project = f"{meta}.{project}"
        default = self._connection.execute(
            "SELECT default_ttl FROM sys_namespaces WHERE project = ? AND namespace = ? AND is_ttl = 1",
            (project, namespace),
        ).fetchone()
        lifetime = ttl if ttl is not None else default[0] if default else None
        expires_at = None if lifetime is None else self.now + lifetime
        row = (project, namespace, name, context, value, self.now, self.now, expires_at)
        self._connection.execute(_SET, row)

    def set_many(self, rows: Any) -> None:
        """Write many values in one transaction: columns of keys, and values."""
        self._connection.execute("BEGIN")
        self._connection.executemany(_SET, ((*key, value, self.now, self.now, None) for key, value in rows))
        self._connection.execute("COMMIT")

    def delete(self, key: OldKey | str) -> None:
        """Remove all rows of a key."""
        columns = typed(key) if isinstance(key, str) else key
        self._connection.execute(
            "DELETE FROM kv WHERE project = ? AND namespace = ? AND key = ? AND context IS ?", tuple(columns)
        )

    def get(self, key: OldKey | str) -> str | None:
        """Return what the old program showed: of several rows the oldest."""
        columns = typed(key) if isinstance(key, str) else key
        row = self._connection.execute(
            "SELECT value, expires_at FROM kv WHERE project = ? AND namespace = ? AND key = ? AND context IS ?"
            " ORDER BY rowid LIMIT 1",
            tuple(columns),
        ).fetchone()
        return None if row is None or (row[1] is not None and row[1] <= self.now) else row[0]

    def create_cache(self, project: str, namespace: str, seconds: int) -> None:
        """Give a namespace a default TTL."""
        self._connection.execute(_CREATE_CACHE, (project, namespace, seconds, self.now))

    def execute(self, statement: str, *values: object) -> None:
        """Do what the old program did not do."""
        self._connection.execute(statement, values)

    def close(self) -> None:
        """Close the file, and with it bring its log into it."""
        self._connection.close()

    def abandon(self) -> None:
        """Leave the file as a killed process does: what was written is in the log alone."""
        files = [self.path, Path(f"{self.path}-wal"), Path(f"{self.path}-shm")]
        contents = [file.read_bytes() for file in files]
        self.close()
        for file, content in zip(files, contents, strict=True):
            file.write_bytes(content)


def typed(address: str) -> OldKey:
    """Read a key as the old program did: the last mark begins the context, up to three parts before it."""
    base, mark, context = address.rpartition("__")
    if not mark:
        base = address
    parts = base.split(".")
    assert len(parts) <= 3, "too many parts in path"
    project, namespace, key = ["default"] * (3 - len(parts)) + parts
    if len(parts) == 1 and not context:
        return OldKey(project, namespace, key)
    return OldKey(project, namespace, key, context if mark else None)


def cursor_file(path: Path, database_path: str, user: str = "default", meta: str | None = None) -> None:
    """Write a cursor file as `cursor set` did."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {
        "database_path": database_path, "default_project": None, "default_namespace": None, "meta_context": meta,
        "created_at": "2025-09-10T20:30:15Z", "user": user,
    }  # fmt: skip
    path.write_text(json.dumps(fields, indent=2))


# -- layouts ---------------------------------------------------------------------------------------------------------


def main_file(layout: str, data: Path) -> Path:
    """Return where the main database of a layout lies below the data directory."""
    return (
        data
        / {
            "one file": "pronto.db",
            "directories, early": "pronto/pronto.db",
            "directories": "main/pronto.main.prdb",
            "flat": "pronto.main.prdb",
        }[layout]
    )


LAYOUTS = ("one file", "directories, early", "directories", "flat")


def named_file(data: Path, name: str) -> Path:
    """Return where a named database lies."""
    return Path(f"{data}/{name}/pronto.{name}.prdb")


def archive_of_database(path: Path, data: Path, name: str) -> None:
    """Pack the directory of one database, as `backup` did last."""
    with tarfile.open(path, "w:gz") as archive:
        archive.add(data / name, name)


def first_archive(path: Path, database: Path, cursors: list[Path]) -> None:
    """Pack the main database and the cursors, as `backup` did at first."""
    with tarfile.open(path, "w:gz") as archive:
        archive.add(database, f"./database/{database.name}")
        for cursor in cursors:
            archive.add(cursor, f"./cursors/{cursor.name}")
        about = json.dumps({"version": "1.0", "contents": ["database"], "paths": {"db_path": str(database)}}).encode()
        member = tarfile.TarInfo("./backup-metadata.json")
        member.size = len(about)
        archive.addfile(member, io.BytesIO(about))


# -- what users meant ------------------------------------------------------------------------------------------------


class Written(NamedTuple):
    """A row of the table."""

    key: OldKey
    value: str
    updated_at: int
    expires_at: int | None


def rows_of(path: Path) -> list[Written]:
    """Return the rows of a database in the order in which they were written."""
    connection = sqlite3.connect(path)
    try:
        found = connection.execute(
            "SELECT project, namespace, key, context, value, updated_at, expires_at FROM kv ORDER BY rowid"
        ).fetchall()
    finally:
        connection.close()
    return [Written(OldKey(*row[:4]), *row[4:]) for row in found]


def meant(rows: list[Written], now: int) -> dict[OldKey, Written]:
    """Return what users expect under each key: what was written last, unless its time is over."""
    last = {row.key: row for row in rows}
    return {key: row for key, row in last.items() if row.expires_at is None or row.expires_at > now}
