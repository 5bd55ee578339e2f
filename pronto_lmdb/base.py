"""The base: a compact copy of the view in one file, and a checksum behind it, because LMDB's pages have none."""

from __future__ import annotations

import os
from struct import Struct
from zlib import crc32

from pronto_lmdb.data_files import damage
from pronto_lmdb.files import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = "base"
NEW_BASE = "base.tmp"

_MAGIC = b"PrntBase"
# magic, bytes of LMDB's pages before it, their checksum
_TRAILER = Struct(">8sQI")
# Pages of LMDB have this size at least, so a file of another length ends with something else.
_SMALLEST_PAGE = 256
_CHUNK = 1024 * 1024


def sign(descriptor: int) -> None:
    """Append the checksum to a base that was just written; it is not flushed."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    write_all(descriptor, _TRAILER.pack(_MAGIC, size, _checksum(descriptor, size)), size)


def damage_of_base(file: str) -> str | None:
    """Return what is wrong with a base, ``None`` if nothing is; LMDB is not asked.

    One without a checksum, as the first builds of 0.1 wrote them, is judged by its structure.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = content_size(descriptor)
        if size is not None:
            trailer = os.pread(descriptor, _TRAILER.size, size)
            whole = trailer == _TRAILER.pack(_MAGIC, size, _checksum(descriptor, size))
            return None if whole else "its checksum does not match"
        if os.fstat(descriptor).st_size % _SMALLEST_PAGE:
            return "its end is missing"
    finally:
        os.close(descriptor)
    return damage(file)


def content_size(descriptor: int) -> int | None:
    """Return how many bytes LMDB's pages take in a base; ``None`` if it has no checksum."""
    size = os.lseek(descriptor, 0, os.SEEK_END) - _TRAILER.size
    trailer = os.pread(descriptor, _TRAILER.size, max(size, 0))
    return size if size >= 0 and trailer.startswith(_MAGIC) else None


def cut_checksum(copy: str) -> None:
    """Take the checksum off a copy of a base, so that it is a data file of LMDB."""
    with open(copy, "r+b") as file:
        size = content_size(file.fileno())
        if size is not None:
            file.truncate(size)


def _checksum(descriptor: int, size: int) -> int:
    checksum = 0
    for chunk in _chunks(descriptor, size):
        checksum = crc32(chunk, checksum)
    return checksum


def _chunks(descriptor: int, size: int) -> Iterator[bytes]:
    position = 0
    while position < size:
        chunk = os.pread(descriptor, min(_CHUNK, size - position), position)
        if not chunk:
            return  # it was cut meanwhile
        yield chunk
        position += len(chunk)
