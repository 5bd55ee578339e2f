"""The bytes of a journal: a header, then frames, each of which says exactly what one commit changed.

The checksum of a frame begins with that of the frame before it, the first one with that of the header, which holds a
random id. So a frame can follow only the one that it was written behind: what an earlier time line left on the disk
never chains. See docs/format.md for an example, byte by byte.
"""

from __future__ import annotations

from struct import Struct
from zlib import crc32

from msgpack import Packer, Unpacker, packb

from pronto_lmdb.errors import CorruptStoreError, FormatVersionError
from pronto_lmdb.identity import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Change = tuple[bytes, bytes | None]

MAGIC = b"PrntJrnl"
VERSION = 1
GENESIS = 1

# magic, version, flags, id, keystore, previous id, its end, its checksum (links to a previous journal: not used yet,
# always zero), revision at the start; then the checksum of all that.
_HEADER = Struct(">8sHH16s16s16sQIQ")
_CHECKSUM = Struct(">I")
# Behind the checksum: not zero once a flush has failed. Of interest only to the processes of the same boot.
SPOILED_AT = _HEADER.size + _CHECKSUM.size
HEADER_SIZE = 96

FRAME_MAGIC = 0x50464D31
# magic, bytes of the payload, revision; then the checksum of that and of the payload.
_FRAME = Struct(">IQQ")
FRAME_OVERHEAD = _FRAME.size + _CHECKSUM.size
# No payload is longer: a damaged length would lead to positions that no file has.
_LONGEST = 2**48
# What the payload begins with: status, level, generation, records that expire, namespaces with a default.
_STATE = Struct(">BBIQI")
_NO_LINK = bytes(16)

# Changes are packed in pieces of so many: memory of that size is at hand, and nothing is copied to make one of all.
_CHANGES_EACH = 256
# The largest piece that the format allows, and that early builds wrote.
_MOST_CHANGES = 4096
# A commit of more than this many bytes is packed change by change: no piece is larger than the largest value.
_LARGE = 64 * 1024 * 1024
# One packer for all small commits: making one costs as much as packing one. No thread comes in between, because nothing
# in a change runs code when it is packed. It would keep the memory of a large one.
_SMALL = 64 * 1024
_pack = Packer().pack
# What a reader takes at once, and what it must be able to hold: more than the largest value there can be.
_FED_EACH = 16 * 1024 * 1024
_LARGEST_PIECE = 2**33


class Header:
    """What the header of a journal says.

    Args:
        journal: its id, 16 random bytes.
        keystore: id of the keystore that it belongs to, 16 bytes.
        revision: of the state in which it begins; of its first frame, if it is the first journal.
        genesis: whether it begins with an empty keystore, so that no base comes before it.

    """

    __slots__ = ("genesis", "journal", "keystore", "revision")

    def __init__(self, journal: bytes, keystore: bytes, revision: int, *, genesis: bool) -> None:
        self.journal = journal
        self.keystore = keystore
        self.revision = revision
        self.genesis = genesis

    def encode(self) -> bytes:
        """Return the stored form; it follows from the fields alone."""
        flags = GENESIS if self.genesis else 0
        fields = _HEADER.pack(MAGIC, VERSION, flags, self.journal, self.keystore, _NO_LINK, 0, 0, self.revision)
        return (fields + _CHECKSUM.pack(crc32(fields))).ljust(HEADER_SIZE, b"\0")

    def checksum(self) -> int:
        """Return what the checksum of the first frame begins with."""
        return crc32(self.encode()[: _HEADER.size])

    @classmethod
    def decode(cls, stored: bytes, place: str) -> Header:
        """Read the stored form; ``place`` is the file, for messages.

        Raises:
            FormatVersionError: if a newer release wrote it.
            CorruptStoreError: if it is incomplete or damaged.

        """
        if len(stored) >= HEADER_SIZE:
            fields = stored[: _HEADER.size]
            magic, version, flags, journal, keystore, _, _, _, revision = _HEADER.unpack(fields)
            if magic == MAGIC and stored[_HEADER.size : SPOILED_AT] == _CHECKSUM.pack(crc32(fields)):
                if version != VERSION:
                    raise FormatVersionError(
                        f"{place} has the format version {version}; this release reads version {VERSION}.",
                        "Use the release that wrote it, or a newer one.",
                    )
                return cls(journal, keystore, revision, genesis=bool(flags & GENESIS))
        raise CorruptStoreError(f"{place} has no valid header.", "Restore the address from a snapshot.")


def encode_frame(checksum: int, state: State, changes: Sequence[Change]) -> tuple[list[bytes], int]:
    """Return the frame of one commit, in pieces, and its checksum.

    Args:
        checksum: of the frame before it.
        state: as it is after the commit.
        changes: keys and their new entries in order; ``None`` removes one.

    """
    fixed = _STATE.pack(state.status, state.level, state.generation, state.expiring, state.namespaces)
    size = len(changes[0][1] or b"") if len(changes) == 1 else sum([len(value) for _, value in changes if value])
    if len(changes) <= _CHANGES_EACH and size <= _LARGE:
        payload = fixed + (_pack(changes) if size <= _SMALL else packb(changes))
        head = _FRAME.pack(FRAME_MAGIC, len(payload), state.revision)
        checksum = crc32(payload, crc32(head, checksum))
        return [head + _CHECKSUM.pack(checksum) + payload], checksum
    pieces = [fixed]
    each = _CHANGES_EACH if size <= _LARGE else 1
    pieces += [packb(changes[at : at + each]) for at in range(0, len(changes), each)]
    head = _FRAME.pack(FRAME_MAGIC, sum(map(len, pieces)), state.revision)
    checksum = crc32(head, checksum)
    for piece in pieces:
        checksum = crc32(piece, checksum)
    return [head, _CHECKSUM.pack(checksum), *pieces], checksum


def head_of(stored: bytes) -> tuple[int, int, int] | None:
    """Return the length, the revision and the checksum of a frame from its first bytes; ``None`` if it is none."""
    if len(stored) < FRAME_OVERHEAD:
        return None
    magic, length, revision = _FRAME.unpack_from(stored)
    if magic != FRAME_MAGIC or length > _LONGEST:
        return None
    return FRAME_OVERHEAD + length, revision, _CHECKSUM.unpack_from(stored, _FRAME.size)[0]


class Frame:
    """One commit, as read from a journal.

    Attributes:
        end: where it ends in the file.
        checksum: what the next one continues.
        state: as it is after the commit; where it lies in the journal is set too.

    """

    __slots__ = ("_changes", "checksum", "end", "state")

    def __init__(self, end: int, checksum: int, state: State, changes: memoryview) -> None:
        self.end = end
        self.checksum = checksum
        self.state = state
        self._changes = changes

    def changes(self) -> Iterator[Change]:
        """Yield keys and their new entries in order; ``None`` removes one."""
        unpacker = Unpacker(
            max_buffer_size=_LARGEST_PIECE,
            use_list=False,
            # What nobody wrote is refused before room is made for it.
            max_array_len=_MOST_CHANGES,
            max_map_len=0,
            max_ext_len=0,
        )
        for at in range(0, len(self._changes), _FED_EACH):
            unpacker.feed(self._changes[at : at + _FED_EACH])
            for piece in unpacker:
                yield from piece


def frames(content: memoryview, header: Header) -> Iterator[Frame]:
    """Yield the frames of a journal, up to the first that is torn, stale or absent.

    Args:
        content: the whole file.
        header: its header.

    """
    end, checksum, least = HEADER_SIZE, header.checksum(), header.revision
    while end + FRAME_OVERHEAD + _STATE.size <= len(content):
        head = content[end : end + _FRAME.size]
        magic, length, number = _FRAME.unpack(head)
        begin = end + FRAME_OVERHEAD
        if magic != FRAME_MAGIC or not _STATE.size <= length <= len(content) - begin or number < least:
            return
        payload = content[begin : begin + length]
        checksum = crc32(payload, crc32(head, checksum))
        if content[end + _FRAME.size : begin] != _CHECKSUM.pack(checksum):
            return
        end, least = begin + length, number + 1
        status, level, generation, expiring, namespaces = _STATE.unpack(payload[: _STATE.size])
        state = State(status, generation, number, expiring, namespaces)
        state.level, state.journal, state.end, state.checksum = level, header.journal, end, checksum
        yield Frame(end, checksum, state, payload[_STATE.size :])
