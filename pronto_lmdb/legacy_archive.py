"""Backups of the old program: archives of all generations, which are unpacked as if somebody hostile had made them."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zlib

from pronto_lmdb.errors import MigrationError

MAGIC = b"\x1f\x8b"

_WANTED = (".prdb", ".db", ".sqlite", ".sqlite3", ".cursor")
_BESIDE = ("-wal", "-journal")
_MOST_MEMBERS = 100_000
_CHUNK = 1024 * 1024


def is_archive(path: str) -> bool:
    """Tell whether a file is compressed as the old program's backups are.

    Raises:
        OSError: if it cannot be read.

    """
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def unpack_archive(path: str, target: str) -> None:
    """Unpack the databases and cursors of an archive into an empty directory.

    Raises:
        MigrationError: if it is damaged, too large for the disk, or has members that no backup has: then nothing of it
            is to be trusted.

    """
    try:
        with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            seen: set[str] = set()
            room = shutil.disk_usage(target).free
            for member in archive:
                name = _checked_name(path, member, seen)
                if member.isreg() and _is_wanted(name):
                    room -= member.size
                    if room < 0:
                        raise MigrationError(
                            f"{path} holds more than {target} has room for.",
                            "Set TMPDIR to a directory with more room.",
                        )
                    _write(archive, member, os.path.join(target, name))
            while stream.read(_CHUNK):  # to the end, where the checksum is
                pass
    except (tarfile.TarError, EOFError, zlib.error, UnicodeError) as error:
        raise MigrationError(f"{path} is no whole archive: {error}.", "Use another backup.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise MigrationError(f"{path} cannot be unpacked: {reason}.", "Use another backup.") from error


def _checked_name(path: str, member: tarfile.TarInfo, seen: set[str]) -> str:
    """Return the name of a member, relative and without detours."""
    name = os.path.normpath(member.name)
    strange = (
        (os.path.isabs(member.name) or ".." in member.name.split("/") or "\\" in member.name, "leads out of it"),
        (not (member.isreg() or member.isdir()) or member.issparse(), "is no plain file"),
        (name in seen and not member.isdir(), "is there twice"),
        (len(seen) >= _MOST_MEMBERS, "is one too many"),
    )
    for wrong, reason in strange:
        if wrong:
            raise MigrationError(
                f"{path} is no backup of ProntoDB: its member {member.name!a} {reason}.",
                "Nothing of it was used. Take another backup.",
            )
    seen.add(name)
    return name


def _is_wanted(name: str) -> bool:
    for ending in _BESIDE:
        name = name.removesuffix(ending)
    return name.endswith(_WANTED)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: str) -> None:
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    content = archive.extractfile(member)
    assert content is not None
    with content, open(target, "xb") as file:
        shutil.copyfileobj(content, file, _CHUNK)
