"""A snapshot as one file: a tar archive, compressed, the manifest first.

What is read may come from anywhere. No name in it becomes a path; a member must be a plain file that the manifest
knows, of the size that the manifest says, and nothing is read beyond that.
"""

from __future__ import annotations

import os
import tarfile
import zlib
from gzip import BadGzipFile, GzipFile

from pronto_lmdb.errors import SnapshotError
from pronto_lmdb.files import PRIVATE_FILE, durable_file
from pronto_lmdb.manifest import LARGEST, NAME, DamagedSnapshotError, Manifest
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedReader


# Fast: what is stored is small already, and a slow backup is not made.
_COMPRESSION = 1
_BLOCK = 512
_PIECE = 1024 * 1024
_SQLITE = b"SQLite format 3\0"
_OLD = (".prdb", "backup-metadata.json", ".cursor", "/pronto.db")
# How far to look for signs of the old program.
_OLD_MEMBERS = 64
_HINT = "`pronto backup --archive FILE` writes those that can be read."


def pack(place: str, manifest: Manifest, file: str) -> None:
    """Write a snapshot to an archive, which is there as a whole and on the disk, or not at all.

    Args:
        place: the directory of the snapshot.
        manifest: of the snapshot.
        file: the path; an archive that is there is replaced.

    Raises:
        StoreFullError, ReadOnlyError: where the system refuses.

    """
    seconds = manifest.created_at // 1_000_000
    with durable_file(file) as raw, GzipFile("", "wb", _COMPRESSION, raw, mtime=seconds) as packed:
        for name in (NAME, *(entry.file for entry in manifest.entries())):
            _pack_file(packed, os.path.join(place, name), f"{manifest.id}/{name}", seconds)
        packed.write(bytes(2 * _BLOCK))


def _pack_file(packed: GzipFile, path: str, name: str, seconds: int) -> None:
    with open(path, "rb") as source:
        head = tarfile.TarInfo(name)
        head.size, head.mode, head.mtime = os.fstat(source.fileno()).st_size, PRIVATE_FILE, seconds
        # The size of a very large file goes where USTAR has no room for it, as GNU's tar does it.
        packed.write(head.tobuf(tarfile.GNU_FORMAT if head.size >= 8**11 else tarfile.USTAR_FORMAT))
        left = head.size
        while left and (piece := source.read(min(left, _PIECE))):
            packed.write(piece)
            left -= len(piece)
        packed.write(bytes(-head.size % _BLOCK))


def unpack(file: str, place: str, wanted: Sequence[str] | None = None) -> None:
    """Write what an archive holds to a directory, as a snapshot.

    Args:
        file: the archive.
        place: an empty directory.
        wanted: texts of addresses; by default all. What the archive does not hold of them is somebody else's error.

    Raises:
        SnapshotError: if it is no archive of a snapshot, or is damaged.

    """
    refuse_old(file)
    try:
        with open(file, "rb") as raw, GzipFile(fileobj=raw) as packed:
            _unpack(packed, file, place, wanted)
    except (BadGzipFile, EOFError, zlib.error) as error:
        raise DamagedSnapshotError(f"{file} is damaged, or no archive: {error}.", _HINT) from error
    except OSError as error:
        raise translated(error, file) from error


def _unpack(packed: GzipFile, file: str, place: str, wanted: Sequence[str] | None) -> None:
    head = _next_head(packed, file)
    if head is None or head.name.rpartition("/")[2] != NAME or head.size > LARGEST:
        raise SnapshotError(f"{file} does not begin with a manifest.", _HINT)
    content = _read(packed, head.size, file)
    _skip(packed, -head.size % _BLOCK, file)
    manifest = _decoded(content, f"{file}: {head.name}")
    _write(os.path.join(place, NAME), iter([content]))
    for entry in manifest.entries():
        head = _next_head(packed, file)
        if head is None or head.name != f"{manifest.id}/{entry.file}" or head.size != entry.bytes:
            raise DamagedSnapshotError(f"{file} does not hold what its manifest says.", _HINT)
        if wanted is None or entry.address in wanted:
            _write(os.path.join(place, entry.file), _pieces(packed, head.size, file))
        else:
            _skip(packed, head.size, file)
        _skip(packed, -head.size % _BLOCK, file)
    if packed.read(2 * _BLOCK) != bytes(2 * _BLOCK) or packed.read(1):
        raise DamagedSnapshotError(f"{file} holds more than its manifest says.", _HINT)


def read_packed_manifest(file: str) -> Manifest:
    """Return the manifest of an archive.

    Raises:
        SnapshotError: if it is no archive of a snapshot, or is damaged.

    """
    refuse_old(file)
    try:
        with open(file, "rb") as raw, GzipFile(fileobj=raw) as packed:
            head = _next_head(packed, file)
            if head is None or head.name.rpartition("/")[2] != NAME or head.size > LARGEST:
                raise SnapshotError(f"{file} does not begin with a manifest.", _HINT)
            return _decoded(_read(packed, head.size, file), f"{file}: {head.name}")
    except (BadGzipFile, EOFError, zlib.error) as error:
        raise DamagedSnapshotError(f"{file} is damaged, or no archive: {error}.", _HINT) from error
    except OSError as error:
        raise translated(error, file) from error


def _decoded(content: bytes, place: str) -> Manifest:
    try:
        return Manifest.decode(content, place)
    except SnapshotError as error:  # it has the name of one: what was packed is not what comes out
        raise DamagedSnapshotError(error.problem, error.hint) from error


def _next_head(packed: GzipFile, file: str) -> tarfile.TarInfo | None:
    """Return the head of the next member, which is a plain file; ``None`` at the end."""
    block = _read(packed, _BLOCK, file)
    if not block.strip(b"\0"):
        return None
    try:
        head = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, ValueError) as error:
        raise DamagedSnapshotError(f"{file} is no archive: {error}.", _HINT) from error
    if head.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or head.size < 0:
        raise DamagedSnapshotError(f"{file} holds {head.name!a:.80}, which is no plain file.", _HINT)
    return head


def _read(packed: GzipFile, size: int, file: str) -> bytes:
    return b"".join(_pieces(packed, size, file))


def _skip(packed: GzipFile, size: int, file: str) -> None:
    for _ in _pieces(packed, size, file):
        continue


def _pieces(packed: GzipFile, size: int, file: str) -> Iterator[bytes]:
    while size:
        piece = packed.read(min(size, _PIECE))
        if not piece:
            raise DamagedSnapshotError(f"{file} ends too early.", _HINT)
        size -= len(piece)
        yield piece


def _write(path: str, pieces: Iterator[bytes]) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE), "wb") as target:
        for piece in pieces:
            target.write(piece)


# -- the old program -------------------------------------------------------------------------------------------------


def refuse_old(file: str) -> None:
    """Refuse what the old program wrote, with a word on who can read it.

    Raises:
        SnapshotError: if it is that.

    """
    try:
        with open(file, "rb") as raw:
            if raw.read(len(_SQLITE)) == _SQLITE or _is_old_archive(raw):
                raise SnapshotError(
                    f"{file} is a backup of the old program.", f"Take it over with `pronto migrate {file}`."
                )
    except OSError as error:
        raise translated(error, file) from error


def _is_old_archive(raw: BufferedReader) -> bool:
    """Tell whether the first members of an archive have names that only the old program gave."""
    raw.seek(0)
    try:
        with GzipFile(fileobj=raw) as packed:
            for _ in range(_OLD_MEMBERS):
                head = tarfile.TarInfo.frombuf(packed.read(_BLOCK), "utf-8", "surrogateescape")
                if head.name.endswith(_OLD):
                    return True
                if head.name.endswith(NAME):
                    return False
                packed.seek(packed.tell() + head.size + -head.size % _BLOCK)
    except (OSError, EOFError, ValueError, zlib.error, tarfile.HeaderError):
        return False
    return False
