"""The first journal of a keystore: everything that it begins with."""

from __future__ import annotations

import os
from contextlib import contextmanager

from pronto_lmdb.files import flush_data
from pronto_lmdb.identity import LEVELS
from pronto_lmdb.journal_format import HEADER_SIZE, Header, encode_frame
from pronto_lmdb.record import IDENTITY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pronto_lmdb.directory import Directory
    from pronto_lmdb.identity import Identity, State

    Entry = tuple[bytes, bytes]

# Entries of one frame, and of one transaction, and about how many bytes they have at most.
_BATCH = 10_000
_BATCH_BYTES = 16 * 1024 * 1024


def batches(identity: Identity, entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield the identity and further entries in pieces that fit into memory."""
    batch, size = [(IDENTITY, identity.encode())], 0
    for entry in entries:
        batch.append(entry)
        size += len(entry[1])
        if len(batch) > _BATCH or size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@contextmanager
def genesis(
    directory: Directory, name: str, identity: Identity, state: State, content: Iterable[list[Entry]]
) -> Iterator[None]:
    """Write the first journal; ``state`` then says where it ends. At the end of the block it is flushed.

    What the block makes beside it costs no flush of its own: a file system with a journal writes all new names at once.

    Args:
        directory: where.
        name: of the file.
        identity: of the keystore.
        state: what holds after the last frame, but for position and level, which are set.
        content: the entries, in pieces.

    """
    header = Header(state.journal, bytes.fromhex(identity.id), state.revision, genesis=True)
    state.level = LEVELS[identity.durability]
    state.end, state.checksum = HEADER_SIZE, header.checksum()
    descriptor = directory.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(header.encode())
            for number, entries in enumerate(content):
                state.revision += number > 0  # one for each frame
                frame, state.checksum = encode_frame(state.checksum, state, [*entries])
                file.writelines(frame)
                state.end += sum(map(len, frame))
        yield
        flush_data(descriptor)
    finally:
        os.close(descriptor)
