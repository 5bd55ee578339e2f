"""The data file of a snapshot: everything that one address held at one moment, in the form of a first journal.

That form is smaller than a file of LMDB, the same on every machine, and read by code that nothing in a file can lead
astray, wherever the file comes from.
"""

from __future__ import annotations

import os
import stat
from hashlib import blake2b, sha256
from mmap import ACCESS_READ, mmap

from pronto_lmdb.errors import CorruptStoreError, SnapshotError
from pronto_lmdb.files import write_all
from pronto_lmdb.journal_format import HEADER_SIZE, Header, encode_frame, frames
from pronto_lmdb.record import FIRST_USER_KEY, IDENTITY, STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    from pronto_lmdb.identity import State
    from pronto_lmdb.manifest import Entry

    Item = tuple[bytes, bytes]

# Of one frame, so that none needs much memory.
_MOST_ENTRIES = 10_000
_MOST_BYTES = 8 * 1024 * 1024
_READ_EACH = 1024 * 1024
# How to open what may be anything: no link is followed, and nobody waits for the writer of a pipe.
UNTRUSTED = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def write_content(descriptor: int, keystore: bytes, state: State, entries: Iterable[Item]) -> tuple[int, str]:
    """Write the data file of an address; it is not flushed.

    Args:
        descriptor: of an empty file.
        keystore: id of the keystore, 16 bytes.
        state: at that moment; its revision moves on, one for each frame behind the first.
        entries: everything but the state.

    Returns:
        The size of the file and its SHA-256.

    """
    # The id of the journal follows from what it holds, so that the same content becomes the same bytes.
    named = blake2b(keystore + state.revision.to_bytes(8, "big"), digest_size=16).digest()
    header = Header(named, keystore, state.revision, genesis=True)
    digest, size, checksum = sha256(), 0, header.checksum()
    pieces = [header.encode()]
    for number, batch in enumerate(_batches(entries)):
        state.revision += number > 0
        frame, checksum = encode_frame(checksum, state, batch)
        for piece in [*pieces, *frame]:
            write_all(descriptor, piece, size)
            digest.update(piece)
            size += len(piece)
        pieces = []
    return size, digest.hexdigest()


def _batches(entries: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield the entries in pieces, at least one."""
    batch: list[Item] = []
    room = _MOST_BYTES
    for entry in entries:
        if len(batch) >= _MOST_ENTRIES or room < 0:
            yield batch
            batch, room = [], _MOST_BYTES
        batch.append(entry)
        room -= len(entry[1])
    yield batch


class DataFile:
    """A data file that is looked at before anything in it is believed. Use it in a ``with`` block.

    Args:
        place: the directory of the snapshot.
        entry: what the manifest says of the address.

    Raises:
        SnapshotError: if it is missing, no plain file, or of another size.

    """

    def __init__(self, place: str, entry: Entry) -> None:
        self.path = os.path.join(place, entry.file)
        self._entry = entry
        try:
            self._descriptor = os.open(self.path, UNTRUSTED)
        except OSError as error:
            raise SnapshotError(f"{self.path} cannot be read: {error.strerror}.", _HINT) from error
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size != entry.bytes:
            self.close()
            what = f"has {found.st_size} bytes, not {entry.bytes}" if stat.S_ISREG(found.st_mode) else "is no file"
            raise SnapshotError(f"{self.path} {what}.", _HINT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def check(self) -> None:
        """Read all of it, and compare.

        Raises:
            SnapshotError: if it is not as it was written.

        """
        digest, position = sha256(), 0
        try:
            while piece := os.pread(self._descriptor, _READ_EACH, position):
                digest.update(piece)
                position += len(piece)
        except OSError as error:
            raise SnapshotError(f"{self.path} cannot be read: {error.strerror}.", _HINT) from error
        if digest.hexdigest() != self._entry.checksum:
            raise SnapshotError(f"{self.path} is damaged: its checksum does not fit.", _HINT)

    def state(self) -> State:
        """Return the counters of the address at that moment.

        Raises:
            SnapshotError: if the file does not begin as it should.

        """
        with self._content() as content:
            for frame in frames(content, self._header(content)):
                frame.state.revision = self._entry.revision
                return frame.state
        raise self._malformed()

    def entries(self) -> Iterator[Item]:
        """Yield everything that the address held, but for its identity and its state.

        Raises:
            SnapshotError: if anything in the file is not what belongs there.

        """
        end, records = HEADER_SIZE, 0
        with self._content() as content:
            for frame in frames(content, self._header(content)):
                end = frame.end
                try:
                    for key, value in frame.changes():
                        if type(key) is not bytes or type(value) is not bytes or key == STATE:
                            raise self._malformed()
                        records += key >= FIRST_USER_KEY
                        if key != IDENTITY:
                            yield key, value
                except (ValueError, TypeError):
                    raise self._malformed() from None
            if end != len(content) or records != self._entry.records:
                raise self._malformed()

    def _content(self) -> memoryview:
        if self._entry.bytes <= HEADER_SIZE:
            raise self._malformed()
        return memoryview(mmap(self._descriptor, self._entry.bytes, access=ACCESS_READ))

    def _header(self, content: memoryview) -> Header:
        try:
            return Header.decode(bytes(content[:HEADER_SIZE]), self.path)
        except CorruptStoreError:
            raise self._malformed() from None

    def _malformed(self) -> SnapshotError:
        return SnapshotError(f"{self.path} does not hold what a snapshot holds.", _HINT)


_HINT = "Use another snapshot."
