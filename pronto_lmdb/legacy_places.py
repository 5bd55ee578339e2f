"""Where the old program kept its databases, its cursors, and which database it used by default.

Several layouts are out there: one file `pronto.db`, a directory for each database with a file named after it, and
files anywhere that a cursor or `PRONTO_DB` pointed to. Nothing is opened here but cursor files, which are small texts.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MAIN = "main"

_SUFFIXES = (".prdb", ".db", ".sqlite", ".sqlite3")
_PLAIN_BACKUP = re.compile(r"prontodb_(?P<name>.+)_\d{8}(_n\d\d)?\.db")
_OWN_FILE = re.compile(r"pronto\.(?P<name>.+)\.prdb")
_MAIN_FILES = ("pronto.db", "prontodb.sqlite", "prontodb.sqlite3")
_CURSOR_SUFFIX = ".cursor"
_LARGEST_TEXT = 64 * 1024
_SELECTION = "cursor"


@dataclass(frozen=True)
class Found:
    """A file that is a database, or should be one.

    Attributes:
        name: of the database, as the old program called it.
        path: of the file.
        place: what people know it by: the path, or the archive and the path inside.
        named: whether somebody named it, and did not only name the directory where it lies.

    """

    name: str
    path: str
    place: str
    named: bool


@dataclass(frozen=True)
class Cursor:
    """A cursor of the old program: a name for a database, perhaps with a meta context."""

    name: str
    user: str
    database_path: str
    meta_context: str | None
    place: str


@dataclass(frozen=True)
class Selection:
    """The database that the old program used where none was named."""

    user: str
    database: str
    place: str


@dataclass
class Findings:
    """What was found in one place or in several."""

    databases: list[Found] = field(default_factory=list)
    cursors: list[Cursor] = field(default_factory=list)
    selections: list[Selection] = field(default_factory=list)
    backups: list[str] = field(default_factory=list)
    """Archives and copies beside the data: older than it, so not taken."""

    def add(self, other: Findings) -> None:
        """Take in what was found elsewhere, once."""
        known = {os.path.realpath(found.path) for found in self.databases}
        self.databases += [found for found in other.databases if os.path.realpath(found.path) not in known]
        self.cursors += [cursor for cursor in other.cursors if cursor not in self.cursors]
        self.selections += [item for item in other.selections if item not in self.selections]
        self.backups += [path for path in other.backups if path not in self.backups]


def database_name(path: str, base: str = "") -> str:
    """Return what the old program called the database in a file.

    Args:
        path: of the file.
        base: the data directory, where it is known: names may contain slashes.

    """
    for text in (path, os.path.relpath(path, base) if base else path):
        at = text.find("/pronto.")
        while at > 0:
            if text == f"{text[:at]}/pronto.{text[:at]}.prdb":
                return text[:at]
            at = text.find("/pronto.", at + 1)
    file = os.path.basename(path)
    match = _OWN_FILE.fullmatch(file) or _PLAIN_BACKUP.fullmatch(file)
    if match:
        return match["name"]
    return MAIN if file in _MAIN_FILES else os.path.splitext(file)[0]


def in_directory(base: str, label: str | None = None) -> Findings:
    """Return what lies in a directory and below.

    Args:
        base: the directory.
        label: what people know it by, if that is not its path.

    """
    found = Findings()
    for directory, folders, files in os.walk(base):
        folders.sort()
        for file in sorted(files):
            path = os.path.join(directory, file)
            place = path if label is None else f"{label}:{os.path.relpath(path, base)}"
            if file.endswith(_CURSOR_SUFFIX):
                cursor = _cursor(path, place)
                found.cursors += [cursor] if cursor else []
            elif label is None and (file.endswith(".tar.gz") or _PLAIN_BACKUP.fullmatch(file)):
                found.backups.append(path)
            elif file.endswith(_SUFFIXES) and os.path.isfile(path):
                found.databases.append(Found(database_name(path, base), path, place, named=False))
    return found


def in_usual_places(environment: Mapping[str, str]) -> Findings:
    """Return what lies where the old program kept it by itself, and what its cursors point to."""
    found = Findings()
    for directory in _data_directories(environment):
        found.add(in_directory(directory))
    found.selections = selections(environment)
    outside = [environment.get("PRONTO_DB", ""), *_configured("prontodb.conf"), *_work_file(".prontodb")]
    for path in (*outside, *(cursor.database_path for cursor in found.cursors)):
        if path and os.path.isfile(path):
            name = MAIN if path == outside[0] else database_name(path)
            found.add(Findings([Found(name, path, path, named=False)]))
    for directory in (os.path.join(_home(environment), "repos", "zindex", "cache", "backup"),):
        found.backups += in_directory(directory).backups
    return found


def selections(environment: Mapping[str, str]) -> list[Selection]:
    """Return the databases that were chosen as the default, for each user."""
    directory = os.path.join(_home(environment), ".local", "etc", "prontodb")
    found = []
    for file in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
        path = os.path.join(directory, file)
        if file == _SELECTION or file.startswith(f"{_SELECTION}_"):
            name = (_small_text(path) or "").strip()
            if name:
                found.append(Selection(file[len(_SELECTION) + 1 :] or "default", name, path))
    return found


def _data_directories(environment: Mapping[str, str]) -> list[str]:
    home = _home(environment)
    bases = [
        environment.get("XDG_DATA_HOME", ""),
        os.path.join(home, ".local", "data"),
        os.path.join(home, ".local", "share"),
        "/tmp/.local/data",  # noqa: S108 - where the old program went without a home
    ]
    found = [os.path.join(base, "odx", "prontodb") for base in bases if os.path.isabs(base)]
    return [path for path in dict.fromkeys(map(os.path.realpath, found)) if os.path.isdir(path)]


def _home(environment: Mapping[str, str]) -> str:
    return environment.get("HOME") or environment.get("USERPROFILE") or "/tmp"  # noqa: S108 - as above


def _configured(path: str) -> list[str]:
    lines = (_small_text(path) or "").splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line)
    return [settings["PRONTO_DB"].strip().strip("\"'")] if "PRONTO_DB" in settings else []


def _work_file(path: str) -> list[str]:
    """Return the databases that a file of the working directory names: one path, or JSON with several."""
    text = (_small_text(path) or "").strip()
    if not text.startswith("{"):
        return [text] if text and "\n" not in text else []
    try:
        fields = json.loads(text)
    except ValueError:
        return []
    named = [fields.get("path"), *_texts(fields.get("cursors"))]
    for cursors in (fields.get("users") or {}).values() if isinstance(fields.get("users"), dict) else ():
        named += _texts(cursors)
    return [path for path in named if isinstance(path, str)]


def _texts(mapping: object) -> list[object]:
    return list(mapping.values()) if isinstance(mapping, dict) else []


def _cursor(path: str, place: str) -> Cursor | None:
    """Read a cursor file; one that cannot be understood names nothing."""
    text = _small_text(path)
    try:
        fields = json.loads(text or "")
        user, target, context = (
            str(fields.get("user") or "default"),
            fields["database_path"],
            fields.get("meta_context"),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    name = os.path.basename(path).removesuffix(_CURSOR_SUFFIX)
    if user != "default":
        name = name.removesuffix(f".{user}")
    if not isinstance(target, str) or not (context is None or isinstance(context, str)):
        return None
    return Cursor(name, user, target, context or None, place)


def _small_text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(_LARGEST_TEXT)
    except (OSError, UnicodeDecodeError):
        return None
