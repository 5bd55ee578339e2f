"""Files that a command reads and writes in pieces, compressed or not."""

from __future__ import annotations

import errno
import os
import zlib
from contextlib import contextmanager, suppress
from itertools import chain

from pronto_cli.exits import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from pronto_cli.streams import Streams

# How much is read at a time.
CHUNK_BYTES = 1024 * 1024
# As the name of a file: standard input, or output.
STANDARD = "-"
_GZIP_NAME = ".gz"
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_FORMAT = 16 + zlib.MAX_WBITS


def inflated(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield what pieces hold, decompressed if it is compressed; ``name`` of the stream is for messages."""
    first = next(pieces, b"")
    everything = chain([first], pieces)
    yield from _inflated(everything, name) if first.startswith(_GZIP_MAGIC) else everything


def pieces_of(source: BinaryIO, name: str) -> Iterator[bytes]:
    """Yield what a stream holds."""
    while True:
        try:
            piece = source.read(CHUNK_BYTES)
        except OSError as error:
            error.filename = name
            raise
        if not piece:
            return
        yield piece


def _inflated(pieces: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Yield decompressed pieces of bounded size, of one compressed stream behind another."""
    inflater = zlib.decompressobj(_GZIP_FORMAT)
    for piece in pieces:
        left = piece
        while left:
            if inflater.eof:
                inflater = zlib.decompressobj(_GZIP_FORMAT)
            try:
                plain = inflater.decompress(left, CHUNK_BYTES)
            except zlib.error:
                raise CommandError(f"{name} is damaged: it cannot be decompressed.", "Export it again.") from None
            if plain:
                yield plain
            left = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    if not inflater.eof:
        raise CommandError(f"{name} ends in the middle: it was cut off.", "Export it again.")


@contextmanager
def opened_source(name: str | None, streams: Streams) -> Iterator[tuple[BinaryIO, str]]:
    """Open a file to read from, or standard input, and say what it is called."""
    if name is None or name == STANDARD:
        yield streams.source(), "Standard input"
        return
    with open(name, "rb") as file:
        yield file, name


@contextmanager
def opened_sink(name: str | None, streams: Streams) -> Iterator[Callable[[bytes], object]]:
    """Open a file to write to, compressed if it is called so, or standard output, and return how to write.

    A regular file gets its name when all of it is on the disk. If that fails, whatever had the name keeps it.
    """
    if name is None or name == STANDARD:
        yield streams.write
    elif os.path.exists(name) and not os.path.isfile(name):
        with open(name, "wb") as file:  # a device, or a pipe with a name
            yield file.write
    else:
        with _whole(name) as file:
            if not name.endswith(_GZIP_NAME):
                yield file.write
                return
            from gzip import GzipFile

            with GzipFile("", "wb", 6, file, 0) as compressed:  # neither name nor time inside
                yield compressed.write


@contextmanager
def _whole(name: str) -> Iterator[BinaryIO]:
    """Write beside a file, and put it in its place at the end."""
    target = os.path.realpath(name)
    if not os.path.isdir(os.path.dirname(target)):
        raise FileNotFoundError(errno.ENOENT, "No such directory", os.path.dirname(target))
    unfinished = f"{target}.{os.getpid()}.tmp"
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)
        raise
    directory = os.open(os.path.dirname(target), os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
