"""The journal: frames that say what a commit changed, chained so that nothing else passes for one; and its flush."""

from __future__ import annotations

import errno
import os
import threading
from struct import Struct
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pronto_lmdb
from pronto_lmdb import journal_format
from pronto_lmdb.directory import Directory
from pronto_lmdb.errors import CorruptStoreError, FormatVersionError
from pronto_lmdb.identity import State
from pronto_lmdb.journal import Journal, journal_name
from pronto_lmdb.journal_format import HEADER_SIZE, SPOILED_AT, Header, encode_frame, frames, head_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Change = tuple[bytes, bytes | None]
    Commit = tuple[State, list[Change]]

pytestmark = pytest.mark.disk

TIMEOUT = 10.0
PATIENCE = 30  # for what must come at last
SMALL, WIDE = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)

changes = st.lists(st.tuples(st.binary(max_size=60), st.none() | st.binary(max_size=60)), max_size=8)
states = st.builds(State, st.integers(0, 255), SMALL, WIDE, WIDE, SMALL)


def journal_of(header: Header, commits: list[Commit]) -> bytes:
    """Return a journal, and leave in each state where its frame ends."""
    content, checksum = header.encode(), header.checksum()
    for state, log in commits:
        frame, checksum = encode_frame(checksum, state, log)
        content += b"".join(frame)
        state.journal, state.end, state.checksum = header.journal, len(content), checksum
    return content


def read(content: bytes, header: Header) -> list[tuple[int, list[Change]]]:
    """Return revision and changes of every frame that can be read."""
    return [(frame.state.revision, list(frame.changes())) for frame in frames(memoryview(content), header)]


def fields(state: State) -> tuple[object, ...]:
    return (
        state.status, state.level, state.generation, state.revision, state.expiring, state.namespaces,
        state.journal, state.end, state.checksum,
    )  # fmt: skip


def some_header(revision: int = 1) -> Header:
    return Header(os.urandom(16), bytes(16), revision, genesis=True)


def some_commits(count: int = 3, first: int = 1) -> list[Commit]:
    return [(State(revision=first + number), [(b"key", b"%d" % number), (b"gone", None)]) for number in range(count)]


# -- frames --------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16), WIDE, st.booleans())
def test_a_header_comes_back_as_it_was_written(journal: bytes, keystore: bytes, revision: int, genesis: bool) -> None:
    stored = Header(journal, keystore, revision, genesis=genesis).encode()
    header = Header.decode(stored, "here")
    assert len(stored) == HEADER_SIZE
    assert (header.journal, header.keystore, header.revision, header.genesis) == (journal, keystore, revision, genesis)
    assert header.encode() == stored


@given(st.lists(st.tuples(states, st.integers(0, 255), changes), max_size=6, unique_by=lambda item: item[0].revision))
def test_frames_come_back_with_every_change_and_the_state_behind_it(
    written: list[tuple[State, int, list[Change]]],
) -> None:
    written.sort(key=lambda item: item[0].revision)
    for state, level, _ in written:
        state.level = level
    header = some_header(revision=written[0][0].revision if written else 0)
    content = journal_of(header, [(state, log) for state, _, log in written])
    found = list(frames(memoryview(content), header))
    assert [list(frame.changes()) for frame in found] == [log for _, _, log in written]
    assert [fields(frame.state) for frame in found] == [fields(state) for state, _, _ in written]


@pytest.mark.parametrize("count", [0, 1, 4095, 4096, 4097, 20_000])
def test_a_frame_holds_any_number_of_changes_in_their_order(count: int) -> None:
    log: list[Change] = [(b"%06d" % number, None if number % 3 else b"x" * (number % 7)) for number in range(count)]
    header = some_header()
    assert read(journal_of(header, [(State(revision=1), log)]), header) == [(1, log)]


def test_pieces_as_large_as_the_format_allows_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[Change] = [(b"%06d" % number, b"x") for number in range(10_000)]
    header = some_header()
    with monkeypatch.context() as patch:
        patch.setattr(journal_format, "_CHANGES_EACH", 4096)
        content = journal_of(header, [(State(revision=1), log), (State(revision=2), log[:4096])])
    assert read(content, header) == [(1, log), (2, log[:4096])]


def test_a_journal_torn_at_any_byte_still_gives_the_frames_before() -> None:
    header, commits = some_header(), some_commits()
    content = journal_of(header, commits)
    whole = read(content, header)
    for size in range(HEADER_SIZE, len(content) + 1):
        kept = [item for item, (state, _) in zip(whole, commits, strict=True) if state.end <= size]
        torn = content[:size]
        assert read(torn, header) == kept
        assert read(torn.ljust(len(content) + 4096, b"\0"), header) == kept


def test_a_changed_byte_anywhere_ends_the_journal_before_its_frame() -> None:
    header, commits = some_header(), some_commits()
    content = journal_of(header, commits)
    whole = read(content, header)
    for place in range(HEADER_SIZE, len(content)):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        kept = [item for item, (state, _) in zip(whole, commits, strict=True) if state.end <= place]
        assert read(bytes(changed), header) == kept


def test_a_length_that_cannot_be_is_a_torn_frame_and_no_allocation() -> None:
    header, commits = some_header(), some_commits(2)
    content = bytearray(journal_of(header, commits))
    start = commits[0][0].end
    content[start + 4 : start + 12] = b"\xff" * 8
    assert len(read(bytes(content), header)) == 1


def test_the_head_of_a_frame_with_a_length_that_cannot_be_is_none() -> None:
    content = journal_of(some_header(), some_commits(1))[HEADER_SIZE:]
    assert head_of(content) is not None
    for length in (2**48 + 1, 2**63 - 1, 2**64 - 1):
        assert head_of(content[:4] + length.to_bytes(8, "big") + content[12:]) is None


def test_frames_of_another_time_line_do_not_follow() -> None:
    # As after a power loss: the first journal went on, was cut back to its first frame, and went on otherwise.
    header = some_header()
    before = some_commits(4)
    old = journal_of(header, before)
    kept = before[0]
    again = (State(revision=2), [(b"key", b"!"), (b"gone", None)])
    new = journal_of(header, [kept, again])
    assert len(new) == before[1][0].end  # of equal length, so that the old third frame follows it byte by byte
    assert read(new + old[len(new) :], header) == [(1, kept[1]), (2, again[1])]


def test_frames_of_another_journal_do_not_follow() -> None:
    header, other = some_header(), some_header()
    stale = journal_of(other, some_commits())
    assert read(header.encode() + stale[HEADER_SIZE:], header) == []
    mine, commits = journal_of(header, some_commits(1)), some_commits(3)
    assert len(read(mine + journal_of(other, commits)[commits[0][0].end :], header)) == 1


def test_revisions_only_grow() -> None:
    header = some_header(revision=5)
    same: list[Commit] = [(State(revision=5), []), (State(revision=5), [])]
    assert [revision for revision, _ in read(journal_of(header, same), header)] == [5]
    assert read(journal_of(header, [(State(revision=4), [])]), header) == []


# -- the header ----------------------------------------------------------------------------------------------------


def test_damage_anywhere_in_the_header_is_refused() -> None:
    stored = some_header().encode()
    for place in range(SPOILED_AT):
        damaged = bytearray(stored)
        damaged[place] ^= 1
        with pytest.raises(CorruptStoreError, match="over there") as caught:
            Header.decode(bytes(damaged), "over there")
        assert caught.value.hint
    for size in range(HEADER_SIZE):
        with pytest.raises(CorruptStoreError):
            Header.decode(stored[:size], "over there")


def test_a_newer_version_is_refused_and_never_guessed() -> None:
    newer = bytearray(some_header().encode())
    newer[8:10] = (2).to_bytes(2, "big")
    newer[SPOILED_AT - 4 : SPOILED_AT] = Struct(">I").pack(crc32(newer[: SPOILED_AT - 4]))
    with pytest.raises(FormatVersionError, match="version 2"):
        Header.decode(bytes(newer), "here")


# -- one file ------------------------------------------------------------------------------------------------------


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    with Directory(str(tmp_path)) as directory:
        yield directory


class Written:
    """A journal that is being written to, as a process that commits does it."""

    def __init__(self, directory: Directory) -> None:
        self.header = some_header()
        self.journal = Journal.create(directory, self.header)
        self.path = os.path.join(directory.path, journal_name(self.header.journal))
        self.end, self.checksum = HEADER_SIZE, self.header.checksum()
        self.revision = 0

    def frame(self, size: int = 10) -> bytes:
        self.revision += 1
        frame, self.checksum = encode_frame(self.checksum, State(revision=self.revision), [(b"key", b"x" * size)])
        return b"".join(frame)

    def write(self, frame: bytes, position: int) -> None:
        self.journal.write([frame], position, position + len(frame))

    def commit(self, size: int = 10) -> int:
        """Write a frame, commit it, and return where it ends."""
        frame = self.frame(size)
        self.write(frame, self.end)
        self.end += len(frame)
        self.journal.committed = self.end
        return self.end

    def revisions(self) -> list[int]:
        """Return what a recovery would find now."""
        with open(self.path, "rb") as file:
            content = file.read()
        return [revision for revision, _ in read(content, Header.decode(content, self.path))]


@pytest.fixture
def written(directory: Directory) -> Iterator[Written]:
    written = Written(directory)
    yield written
    written.journal.close()


class Disk:
    """What stands in for the flush of a journal: it counts, and can be held up or fail."""

    def __init__(self) -> None:
        self.flushes = 0
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.error: int | None = None

    def hold(self) -> None:
        self.begun.clear()
        self.go_on.clear()

    def flush(self, descriptor: int) -> None:
        os.fstat(descriptor)  # it must be open
        self.flushes += 1
        self.begun.set()
        error = self.error
        assert self.go_on.wait(PATIENCE)
        if error is not None:
            raise OSError(error, os.strerror(error))


@pytest.fixture
def disk(written: Written, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr("pronto_lmdb.journal.flush_data", disk.flush)
    return disk


class Waiters:
    """Threads that want frames flushed."""

    def __init__(self, journal: Journal, ends: list[int]) -> None:
        self.errors: list[OSError] = []
        self._journal = journal
        self._threads = [threading.Thread(target=self._wait, args=(end,)) for end in ends]
        for thread in self._threads:
            thread.start()

    def _wait(self, end: int) -> None:
        try:
            self._journal.flush(end)
        except OSError as error:
            self.errors.append(error)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_one_flush_serves_all_that_was_committed_before_it(written: Written, disk: Disk) -> None:
    ends = [written.commit() for _ in range(8)]
    disk.hold()
    waiters = Waiters(written.journal, ends)
    assert disk.begun.wait(PATIENCE)
    disk.go_on.set()
    waiters.join()
    assert (disk.flushes, written.journal.flushed, waiters.errors) == (1, ends[-1], [])


def test_what_is_committed_during_a_flush_waits_for_one_more_and_only_one(written: Written, disk: Disk) -> None:
    first = written.commit()
    disk.hold()
    leader = Waiters(written.journal, [first])
    assert disk.begun.wait(PATIENCE)
    followers = Waiters(written.journal, [written.commit() for _ in range(8)])
    disk.go_on.set()
    leader.join()
    followers.join()
    assert disk.flushes == 2


def test_a_flush_covers_only_what_was_committed_when_it_began(written: Written, disk: Disk) -> None:
    first = written.commit()
    disk.hold()
    leader = Waiters(written.journal, [first])
    assert disk.begun.wait(PATIENCE)
    second = written.commit()
    disk.go_on.set()
    leader.join()
    assert written.journal.flushed == first
    written.journal.flush(second)
    assert (disk.flushes, written.journal.flushed) == (2, second)


def test_a_frame_that_was_written_and_not_committed_does_not_count_as_flushed(written: Written, disk: Disk) -> None:
    first = written.commit()
    frame = written.frame()
    written.write(frame, written.end)
    written.journal.flush(first)
    assert written.journal.flushed == first


def test_what_is_flushed_already_costs_nothing(written: Written, disk: Disk) -> None:
    end = written.commit()
    for _ in range(3):
        written.journal.flush(end)
    written.journal.flush(HEADER_SIZE)
    assert disk.flushes == 1


def test_a_failed_flush_fails_all_who_wait_and_is_not_tried_again(written: Written, disk: Disk) -> None:
    ends = [written.commit() for _ in range(8)]
    disk.error = errno.EIO
    disk.hold()
    waiters = Waiters(written.journal, ends)
    assert disk.begun.wait(PATIENCE)
    disk.go_on.set()
    waiters.join()
    assert [error.errno for error in waiters.errors] == [errno.EIO] * 8
    disk.error = None  # the system reports a failure once, and then forgets what it could not write
    with pytest.raises(OSError, match="failed"):
        written.journal.flush(ends[0])
    assert (disk.flushes, written.journal.flushed, written.journal.spoiled) == (1, 0, True)


def test_what_was_flushed_before_a_failure_stays_flushed(written: Written, disk: Disk) -> None:
    first = written.commit()
    written.journal.flush(first)
    disk.error = errno.EIO
    with pytest.raises(OSError):
        written.journal.flush(written.commit())
    written.journal.flush(first)


def test_nobody_who_opens_a_journal_after_a_failed_flush_continues_it(
    directory: Directory, written: Written, disk: Disk
) -> None:
    end = written.commit()
    disk.error = errno.ENOSPC
    with pytest.raises(OSError):
        written.journal.flush(end)
    disk.error = None
    assert Journal.open(directory, written.header.journal, end, TIMEOUT) is None
    assert written.revisions() == [1]  # a recovery still reads what came through


def test_a_journal_is_continued_only_if_it_is_what_the_last_commit_names(
    directory: Directory, written: Written
) -> None:
    end = written.commit()
    opened = Journal.open(directory, written.header.journal, end, TIMEOUT)
    assert opened is not None
    opened.close()
    os.truncate(written.path, end)
    assert Journal.open(directory, written.header.journal, end + 1, TIMEOUT) is None
    assert Journal.open(directory, bytes(16), end, TIMEOUT) is None
    os.rename(written.path, os.path.join(directory.path, journal_name(bytes(16))))
    assert Journal.open(directory, bytes(16), end, TIMEOUT) is None
    with open(os.path.join(directory.path, journal_name(bytes(16))), "r+b") as file:
        file.write(b"\xff" * HEADER_SIZE)
    assert Journal.open(directory, bytes(16), end, TIMEOUT) is None


def test_a_frame_that_is_taken_back_is_never_read_again(written: Written) -> None:
    written.commit()
    start, frame = written.end, written.frame(5_000)
    written.write(frame, start)
    assert written.revisions() == [1, 2]
    written.journal.take_back(start)
    assert written.revisions() == [1]


def test_taking_back_is_flushed_before_it_is_reported(written: Written, disk: Disk) -> None:
    written.write(written.frame(), written.end)
    written.journal.take_back(written.end)
    assert disk.flushes == 1


def test_a_frame_that_cannot_be_taken_back_spoils_the_journal(
    directory: Directory, written: Written, disk: Disk
) -> None:
    end = written.commit()
    written.write(written.frame(), end)
    disk.error = errno.EIO
    with pytest.raises(OSError):
        written.journal.take_back(end)
    disk.error = None
    assert written.journal.spoiled
    assert Journal.open(directory, written.header.journal, end, TIMEOUT) is None


def test_taking_back_waits_for_a_flush_that_may_fail(directory: Directory, written: Written, disk: Disk) -> None:
    # The disk tells of a failure once: a flush beside it could be told that all is well.
    end = written.commit()
    disk.hold()
    disk.error = errno.EIO
    leader = Waiters(written.journal, [end])
    assert disk.begun.wait(PATIENCE)
    written.write(written.frame(), end)
    taker = threading.Thread(target=written.journal.take_back, args=(end,))
    taker.start()
    taker.join(0.1)
    assert (taker.is_alive(), disk.flushes) == (True, 1)
    disk.error = None
    disk.go_on.set()
    leader.join()
    taker.join(PATIENCE)
    assert (disk.flushes, len(leader.errors)) == (2, 1)
    assert Journal.open(directory, written.header.journal, end, TIMEOUT) is None


def test_a_frame_replaces_the_half_of_one_that_a_killed_process_left(written: Written) -> None:
    written.commit()
    checksum = written.checksum
    half = written.frame(3_000)
    written.write(half[: len(half) // 2], written.end)
    written.checksum, written.revision = checksum, 1
    written.commit()
    written.commit()
    assert written.revisions() == [1, 2, 3]


@pytest.mark.parametrize("refusal", [errno.ENOSPC, errno.EOPNOTSUPP, errno.EINVAL], ids=errno.errorcode.get)
def test_a_frame_is_written_where_room_cannot_be_reserved(
    written: Written, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    for _ in range(3):
        written.journal.flush(written.commit(10_000))
    assert written.revisions() == [1, 2, 3]


def test_a_frame_is_written_where_room_cannot_even_be_asked_for(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    written.journal.flush(written.commit())
    assert written.revisions() == [1]


def test_a_write_that_the_system_cuts_short_is_continued(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite

    def write_little(descriptor: int, content: Any, place: int) -> int:
        return pwrite(descriptor, bytes(content)[:1000], place)

    monkeypatch.setattr(os, "pwrite", write_little)
    written.commit(10_000)
    assert written.revisions() == [1]


def test_a_closed_journal_owes_nothing(written: Written, disk: Disk) -> None:
    end = written.commit()
    written.journal.close()
    written.journal.close()
    written.journal.flush(end)
    assert disk.flushes == 0


# -- its size ------------------------------------------------------------------------------------------------------


def test_a_large_frame_is_written_once_and_room_only_behind_it(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite, places = os.pwrite, []

    def noticed(descriptor: int, content: bytes, position: int) -> int:
        places.append((position, position + len(content)))
        return pwrite(descriptor, content, position)

    monkeypatch.setattr(os, "pwrite", noticed)
    start, end = written.end, written.commit(1_000_000)
    assert places[0] == (start, end)
    assert [begin for begin, _ in places[1:]] == [end]
    assert os.path.getsize(written.path) > end
    assert written.revisions() == [1]


def test_room_that_another_process_has_filled_is_not_filled_again(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(written.path, "r+b") as other:
        other.truncate(100_000)
    monkeypatch.setattr("pronto_lmdb.journal.write_all", lambda *_: pytest.fail("room was filled"))
    written.commit(50_000)
    assert os.path.getsize(written.path) == 100_000


def allocated(path: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in path.rglob("*") if file.is_file())


@pytest.mark.skipif(not hasattr(os.stat_result, "st_blocks"), reason="this system does not tell what a file takes")
def test_an_address_with_one_small_record_takes_little_room(root: Path, in_another_process: Callable[..., Any]) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = "value"
        assert allocated(root / "addresses" / "a.default") <= 64 * 1024
        assert store["a"].stats().bytes_on_disk <= 64 * 1024
    program = """
        import sys, pronto_lmdb
        with pronto_lmdb.open(sys.argv[1]) as store:
            store["a"]["other"] = "value"
        """
    in_another_process(program, root)
    assert allocated(root / "addresses" / "a.default") <= 64 * 1024
