"""The journal of a keystore: frames written at a given place, flushed once for all who wait.

The rules that hold here were found by simulated power cuts (docs/durability.md):

* A frame is written where the last commit ended, never simply at the end of the file: what lies behind it may be
  half a frame of a process that was killed, or room that was reserved.
* A flush covers what this process had committed when it began, not what the file held: that may include a frame that
  is about to be taken back.
* After a failed flush the system forgets what it could not write, and tells each descriptor once. So nothing is
  flushed again through this journal: it is *spoiled*, for every process, and a checkpoint takes its place.
"""

from __future__ import annotations

import os
from _thread import allocate_lock
from contextlib import suppress
from errno import EIO

from pronto_lmdb.errors import CorruptStoreError, LockTimeoutError
from pronto_lmdb.files import flush_data, try_lock, try_share, unlock, wait_for, write_all
from pronto_lmdb.journal_format import FRAME_OVERHEAD, HEADER_SIZE, SPOILED_AT, Header, head_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from pronto_lmdb.directory import Directory
    from pronto_lmdb.identity import State

PREFIX = "journal-"
NEW_JOURNAL = "journal.tmp"

_SOUND, _SPOILED = b"\0", b"\1"
# The whole head: a later frame that was half written over four bytes could make the rest valid again.
_NO_FRAME = bytes(FRAME_OVERHEAD)

# Room is filled with zeros ahead: a flush of a file that grows, or whose blocks were reserved and never written, has to
# wait for the file system's own journal too. Small journals reserve little: there may be a hundred thousand of them.
_BLOCK = 4096
_GREATEST_RESERVE = 256 * 1024


def journal_name(journal: bytes) -> str:
    """Return the file name of a journal."""
    return PREFIX + journal.hex()


class Journal:
    """The journal that a keystore writes to now, as this process sees it; threads share it.

    Args:
        journal: its id.
        descriptor: open for reading and writing; closed with this object.
        reserved: the size of the file.

    Attributes:
        committed: where the last frame ends that this process has committed; the writer lock is held to set it.
        owed: where the last frame ends that was acknowledged before it was flushed, as the level ``normal`` does.
        flushed: up to where the frames are known to be on the disk.
        spoiled: whether a flush of it failed, here or in another process.
        closed: whether nothing is left to flush, because a checkpoint made everything durable in another way, or
            because everything was flushed.

    """

    __slots__ = (
        "_descriptor",
        "_flushing",
        "_reserved",
        "closed",
        "committed",
        "flushed",
        "id",
        "name",
        "owed",
        "spoiled",
    )

    def __init__(self, journal: bytes, descriptor: int, reserved: int) -> None:
        self.id = journal
        self.name = journal_name(journal)
        self.committed = 0
        self.owed = 0
        self.flushed = 0
        self.spoiled = False
        self.closed = False
        self._descriptor = descriptor
        self._reserved = reserved
        self._flushing = allocate_lock()

    # -- opening and closing -----------------------------------------------------------------------------------

    @classmethod
    def create(cls, directory: Directory, header: Header) -> Self:
        """Make a new journal, its header flushed; its name is not."""
        descriptor = directory.open(journal_name(header.journal), os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            write_all(descriptor, header.encode(), 0)
            flush_data(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(header.journal, descriptor, HEADER_SIZE)

    @classmethod
    def open(cls, directory: Directory, journal: bytes, end: int, timeout: float) -> Self | None:
        """Open the journal that the last commit names; the writer lock is held.

        Args:
            directory: where it lies.
            journal: its id.
            end: where its last frame ends.
            timeout: seconds to wait for flushes of other processes.

        Returns:
            ``None`` if it cannot be continued: spoiled, missing, or not what it should be.

        Raises:
            LockTimeoutError: if other processes are flushing it all the time.

        """
        try:
            descriptor = directory.open(journal_name(journal), os.O_RDWR)
        except FileNotFoundError:
            return None
        opened = cls(journal, descriptor, os.lseek(descriptor, 0, os.SEEK_END))
        try:
            usable = opened._is_usable(directory, end, timeout)
        except BaseException:
            opened.close()
            raise
        if not usable:
            opened.close()
            return None
        return opened

    def _is_usable(self, directory: Directory, end: int, timeout: float) -> bool:
        # A flush that failed before this file was opened is not reported to it. Whoever flushes shares this lock until
        # the failure is marked, so once it was held alone the mark can be trusted.
        if not wait_for(try_lock, self._descriptor, timeout):
            raise LockTimeoutError(f"{directory.path} is being flushed by other processes.", "Try again.")
        unlock(self._descriptor)
        stored = os.pread(self._descriptor, HEADER_SIZE, 0)
        try:
            header = Header.decode(stored, directory.path)
        except CorruptStoreError:
            return False
        return header.journal == self.id and self._reserved >= end and stored[SPOILED_AT] == 0

    def close(self) -> None:
        """Close the file, once nobody is flushing it: nobody needs it any more. Idempotent."""
        self.closed = True
        with self._flushing:
            self.abandon()

    def __del__(self) -> None:
        # Ctrl-C may come before anybody else knows it.
        self.abandon()

    def abandon(self) -> None:
        """Close a fork's copy; a flush in the parent may hold the lock of this object."""
        # Given up first: other threads go on while it is being closed, and one of them may fork.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def reaches(self, end: int) -> bool:
        """Tell whether the file is as long as it must be for a frame that ends there.

        Asked by a seek: since Linux 6.13 a ``stat`` makes the next write change the times of the file exactly, and the
        flush behind that takes 1.7 times as long (measured: 180 us against 105 us).
        """
        return os.lseek(self._descriptor, 0, os.SEEK_END) >= end

    def is_spoiled(self) -> bool:
        """Tell whether a flush of it failed: here, or in another process, which has marked the header."""
        if not self.spoiled:
            self.spoiled = os.pread(self._descriptor, 1, SPOILED_AT) != _SOUND
        return self.spoiled

    def locate(self, state: State) -> None:
        """Find where the last commit ends, behind the position of an earlier one; the writer lock is held.

        The frames in between are those of committed transactions, so only their heads are read. If one is missing,
        the journal is spoiled: the view still has everything.
        """
        revision, end, checksum = state.recorded, state.end, state.checksum
        while revision < state.revision:
            head = head_of(os.pread(self._descriptor, FRAME_OVERHEAD, end))
            if head is None or head[1] != revision + 1:
                self._spoil()
                break
            end, revision, checksum = end + head[0], head[1], head[2]
        state.end, state.checksum, state.located = end, checksum, True

    # -- writing, with the writer lock held --------------------------------------------------------------------

    def write(self, frame: list[bytes], position: int, end: int) -> None:
        """Write a frame, given in pieces, where the last commit ended.

        Raises:
            OSError: if the disk refuses; the caller takes back what may have been written.

        """
        descriptor = self._descriptor
        for piece in frame:
            written = os.pwrite(descriptor, piece, position)
            if written < len(piece):
                write_all(descriptor, piece[written:], position + written)
            position += len(piece)
        if end > self._reserved:
            self._reserve(end)

    def _reserve(self, end: int) -> None:
        """Fill room behind a frame that has just been written."""
        # Others may have written, and filled, behind what this process knew.
        self._reserved = os.lseek(self._descriptor, 0, os.SEEK_END)
        if end < self._reserved:
            return
        size = end + min(end, _GREATEST_RESERVE)
        size += -size % _BLOCK
        # Where it is refused, the frame itself has fitted.
        with suppress(OSError):
            write_all(self._descriptor, bytes(size - end), end)
            self._reserved = size

    def take_back(self, position: int, *behind: int) -> None:
        """Make sure that the frame written at a position never comes back, nor those written behind it.

        Without the first one the others are not read. But if just this one were written again, to the same byte, they
        would continue it.

        Raises:
            OSError: if the disk refuses; the journal is spoiled then.

        """
        # Like any other flush: its failure may be that of another one, which would not be told of it any more.
        with self._flushing:
            try:
                write_all(self._descriptor, _NO_FRAME, position)
                for other in behind:
                    if self.reaches(other + 1):  # on a full disk it may not have come so far
                        write_all(self._descriptor, _NO_FRAME, other)
            except OSError:
                self._spoil()
                raise
            self._flush_shared()

    # -- flushing ----------------------------------------------------------------------------------------------

    def flush(self, end: int) -> None:
        """Return when the frames up to ``end`` are on the disk; one thread flushes for all that wait.

        Raises:
            OSError: if the disk refuses, now or before.

        """
        while self.flushed < end and not self.closed:
            with self._flushing:
                if self.flushed < end and not self.closed:
                    self._flush()

    def flush_later(self) -> None:
        """Flush what was committed some time ago, unless the file is gone.

        Raises:
            OSError: if the disk refuses, now or before, or nothing would ever find the file.

        """
        with self._flushing:
            if not self.closed and self.is_removed():
                self._spoil()
        self.flush(self.committed)

    def _flush(self) -> None:
        if self.spoiled:
            raise OSError(EIO, "a flush failed before")
        target = self.committed
        if not self.reaches(target):
            self._spoil()
            raise OSError(EIO, "the journal was cut")
        self._flush_shared()
        self.flushed = target

    def _flush_shared(self) -> None:
        """Flush the file; whoever opens it waits until a failure is marked."""
        while not wait_for(try_share, self._descriptor, 1.0):
            continue  # held alone only for an instant, by a process that opens the journal
        try:
            flush_data(self._descriptor)
        except OSError:
            self._spoil()
            raise
        finally:
            unlock(self._descriptor)

    def is_removed(self) -> bool:
        """Tell whether somebody has removed the file by hand; not asked on the way of a commit, see :meth:`reaches`."""
        return self._descriptor >= 0 and os.fstat(self._descriptor).st_nlink == 0

    def _spoil(self) -> None:
        self.spoiled = True
        with suppress(OSError):  # then this process at least knows
            os.pwrite(self._descriptor, _SPOILED, SPOILED_AT)
