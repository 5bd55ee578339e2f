"""The simulator of power cuts sees every change of a file, and draws every state that a disk may be left in."""

from __future__ import annotations

import gzip
import os
import random
import shutil
from contextlib import suppress
from threading import Thread

import pytest
from powercut_faults import Chances, FlushErrors
from powercut_image import Disk
from powercut_log import Log, read_log
from powercut_observer import Observer

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the simulator knows Linux")


@pytest.fixture
def observed(tmp_path):
    """Run a function in a process that is observed, in a directory; return the records and the disk at their end."""

    def run(work, script=None):
        place = tmp_path / "disk"
        place.mkdir(exist_ok=True)
        disk = Disk(place)
        pid = os.fork()
        if pid == 0:
            try:
                log = Log(tmp_path / "log")
                errors = FlushErrors(tmp_path / "errors")
                observer = Observer(log, os.stat(place).st_dev, errors, random.Random(1), Chances())
                observer.script = dict(script or {})
                observer.install()
                os.chdir(place)
                work()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        records = read_log(tmp_path / "log")
        for number, record in enumerate(records):
            disk.follow(number, record)
        return records, disk

    return run


def images(disk, count=200):
    """Return the different trees that a disk may hold."""
    drawn = []
    for number in range(count):
        tree = disk.image(random.Random(number))
        if tree not in drawn:
            drawn.append(tree)
    return drawn


def write(name, *parts, flush=True):
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT)
    for offset, data in parts:
        os.pwrite(descriptor, data, offset)
    if flush:
        os.fdatasync(descriptor)
    return descriptor


def sync_names(path="."):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def test_what_was_flushed_is_there_and_what_was_not_may_be(observed):
    def work():
        descriptor = write("a", (0, b"one"))
        sync_names()
        os.pwrite(descriptor, b"two", 3)

    _, disk = observed(work)

    contents = {tree["a"] for tree in images(disk)}
    assert {b"one", b"onetwo"} <= contents
    assert contents <= {b"one", b"onetwo", b"one\0\0\0"}


def test_blocks_come_to_the_disk_in_any_order_and_version(observed):
    def work():
        descriptor = write("a", (0, b"-" * 64))
        sync_names()
        os.pwrite(descriptor, b"1" * 64, 0)
        os.pwrite(descriptor, b"2" * 64, 0)

    _, disk = observed(work)

    contents = {tree["a"] for tree in images(disk)}
    assert any(len(set(content)) == 3 for content in contents)
    assert b"-" * 64 in contents
    assert b"2" * 64 in contents


def test_what_a_failed_flush_lost_is_not_saved_by_the_next_one(observed):
    def work():
        descriptor = write("a", (0, b"1" * 16))
        sync_names()
        os.pwrite(descriptor, b"2" * 16, 0)
        os.fdatasync.__self__.script["flush"] = 1
        with pytest.raises(OSError, match="injected"):
            os.fdatasync(descriptor)
        os.pwrite(descriptor, b"3" * 16, 16)
        os.fdatasync(descriptor)

    records, disk = observed(work)

    assert any(record[0] == "flush failed" for record in records)
    contents = {tree["a"] for tree in images(disk)}
    assert {content[:16] for content in contents} >= {b"1" * 16, b"2" * 16}
    assert {content[16:] for content in contents} == {b"3" * 16}


def test_a_flush_covers_only_what_was_written_before_it_began(tmp_path):
    (tmp_path / "a").write_bytes(b"--")
    disk, inode = Disk(tmp_path), (tmp_path / "a").stat().st_ino
    story = [("write", inode, 0, b"A"), ("flush", "f", inode), ("write", inode, 1, b"B"), ("flushed", "f")]
    for number, record in enumerate(story):
        disk.follow(number, record)

    assert {tree["a"] for tree in images(disk)} == {b"A-", b"AB"}


def test_a_rename_shows_the_old_or_the_new_and_never_nothing(observed):
    def work():
        write("a", (0, b"old"))
        sync_names()
        write("b", (0, b"new"))
        os.replace("b", "a")

    _, disk = observed(work)

    assert {tree.get("a") for tree in images(disk)} == {b"old", b"new"}


def test_a_directory_whose_name_is_lost_takes_its_content_with_it(observed):
    def work():
        os.mkdir("d")
        write("d/a", (0, b"x"))
        sync_names("d")

    _, disk = observed(work)

    assert {"d" in tree for tree in images(disk)} == {True, False}
    assert all(tree["d"] == {"a": b"x"} for tree in images(disk) if "d" in tree)


def test_a_directory_that_moves_is_in_one_place(observed):
    def work():
        for name in ("from", "to", "from/d"):
            os.mkdir(name)
        for name in ("from", "to", "."):
            sync_names(name)
        os.rename("from/d", "to/d")
        os.rename("to/d", "to/e")

    _, disk = observed(work)

    assert all(len({**tree["from"], **tree["to"]}) == 1 for tree in images(disk))
    assert {next(iter({**tree["from"], **tree["to"]})) for tree in images(disk)} == {"d", "e"}


def test_a_process_dies_where_it_is_told_to(observed):
    records, _ = observed(lambda: (write("a", (0, b"x")), write("b")), script={"before open b": "die"})

    assert [record[0] for record in records] == ["create", "write", "flush", "flushed", "killed"]


class Interrupted:
    """What makes a step and its record one, with somebody else's step before one of the next of these."""

    def __init__(self, whole, number, step):
        self._whole = whole
        self._left = number
        self._step = step

    def __enter__(self):
        self._left -= 1
        if not self._left:
            self._step()
        self._whole.__enter__()

    def __exit__(self, *error):
        self._whole.__exit__(*error)


def test_nobody_is_told_that_a_flush_is_done_behind_one_that_failed(observed):
    def work():
        descriptor = write("a", (0, b"x"))
        observer, inode = os.fdatasync.__self__, os.fstat(descriptor).st_ino
        other = Observer(observer.log, observer._device, observer._errors, random.Random(1), Chances())

        def fail():
            other.log.add("flush", "other", inode)
            other._fail_flush("other", inode, is_file=True)

        observer.whole = Interrupted(observer.whole, 2, fail)  # when all but the record of the flush is done
        with suppress(OSError):
            os.fdatasync(descriptor)

    records, _ = observed(work)

    kinds = [record[0] for record in records]
    assert "flush failed" in kinds
    assert "flushed" not in kinds[kinds.index("flush failed") :]


def test_who_learns_of_a_failed_flush_lives_to_tell(observed):
    def work():
        descriptor = write("a", (0, b"x"))
        observer = os.fdatasync.__self__
        observer.script["flush"] = 1
        with observer.telling():
            with suppress(OSError):
                os.fdatasync(descriptor)
            observer.chances = Chances(kill=1.0, disk_full=1.0)
            os.pwrite(descriptor, b"!", 0)
        os.pwrite(descriptor, b"?", 0)

    records, _ = observed(work)

    kinds = [record[0] for record in records]
    assert kinds[kinds.index("flush failed") :] == ["flush failed", "injected", "write", "killed"]


def test_who_waits_for_other_threads_in_the_middle_of_a_step_lets_them_go_on(observed):
    def work():
        whole = os.fdatasync.__self__.whole
        with whole, whole:
            other = Thread(target=write, args=["a"], daemon=True)
            with whole.set_aside():
                other.start()
                other.join(30)
            write("b")

    records, _ = observed(work)

    assert [record[2] for record in records if record[0] == "create"] == ["a", "b"]


# -- file objects, links and copies ----------------------------------------------------------------------------------


def test_what_a_file_object_wrote_is_seen_when_it_comes_to_the_file(observed):
    def work():
        sync_names()
        with open("a", "wb", buffering=0) as file:
            file.write(b"one")
            file.write(b"two")
        sync_names()

    records, disk = observed(work)

    assert [record[3] for record in records if record[0] == "write"] == [b"one", b"two"]
    assert {tree["a"] for tree in images(disk)} >= {b"", b"one", b"onetwo"}


def test_every_kind_of_file_object_is_seen(observed):
    def work():
        with open("text", "w", encoding="utf-8") as file:
            file.write("é\n")
        with open(os.open("given", os.O_WRONLY | os.O_CREAT), "wb") as file:
            file.write(b"12345")
            file.truncate(3)
        with open("given", "ab") as file:
            file.write(b"!")
        with open("given", "r+b") as file:
            file.seek(1)
            file.write(b"-")
        with open("packed", "xb") as raw, gzip.GzipFile("", "wb", 1, raw, 0) as file:
            file.write(b"content")
        shutil.copyfile("text", "copy")
        for name in ("text", "given", "packed", "copy"):
            with open(name, "rb") as file:
                os.fsync(file.fileno())
        sync_names()

    records, disk = observed(work)

    assert "content" not in [record[0] for record in records]
    (tree,) = images(disk)
    assert tree["text"] == tree["copy"] == "é\n".encode()
    assert tree["given"] == b"1-3!"
    assert gzip.decompress(tree["packed"]) == b"content"


def test_copies_inside_the_kernel_are_seen(observed):
    def work():
        source = write("a", (0, b"abcdef"))
        for name, copy in (("b", os.copy_file_range), ("c", lambda *given: os.sendfile(given[1], given[0], 0, 6))):
            os.lseek(source, 0, os.SEEK_SET)
            target = write(name, flush=False)
            copy(source, target, 6)
            os.fsync(target)
        sync_names()

    _, disk = observed(work)

    assert images(disk) == [dict.fromkeys("abc", b"abcdef")]


def test_a_link_is_there_or_not_whatever_becomes_of_the_other_name(observed):
    def work():
        os.mkdir("d")
        sync_names()
        write("a", (0, b"x"))
        os.link("a", "d/b")

    _, disk = observed(work)

    found = [("a" in tree, "b" in tree["d"]) for tree in images(disk)]
    assert set(found) == {(False, False), (False, True), (True, False), (True, True)}


def test_a_flush_of_one_directory_saves_the_link_in_it_and_not_the_name_elsewhere(observed):
    def work():
        os.mkdir("d")
        sync_names()
        write("a", (0, b"x"))
        os.link("a", "d/b")
        os.rename("d/b", "d/c")
        sync_names("d")

    _, disk = observed(work)

    assert {"a" in tree for tree in images(disk)} == {False, True}
    assert all(tree["d"] == {"c": b"x"} for tree in images(disk))


def test_all_names_of_a_file_show_the_same_content(observed):
    def work():
        write("a", (0, b"-" * 64))
        os.link("a", "b")
        sync_names()
        descriptor = write("b", (0, b"1" * 64), flush=False)
        os.pwrite(descriptor, b"2" * 64, 0)

    _, disk = observed(work)

    assert len(images(disk)) > 3
    assert all(tree["a"] == tree["b"] for tree in images(disk))


def test_a_file_with_two_names_lives_until_both_are_gone(observed):
    def work():
        write("a", (0, b"x"))
        os.link("a", "b")
        sync_names()
        os.unlink("a")
        sync_names()

    _, disk = observed(work)

    assert images(disk) == [{"b": b"x"}]


def test_a_link_that_cannot_be_made_is_not_recorded(observed):
    def work():
        write("a")
        write("b")
        for source, target in (("a", "b"), ("nothing", "c")):
            with suppress(OSError):
                os.link(source, target)

    records, _ = observed(work)

    assert "link" not in [record[0] for record in records]


UNKNOWN = {
    "symlink": lambda: os.symlink("a", "b"),
    "truncate": lambda: os.truncate("a", 0),
    "writev": lambda: os.writev(os.open("a", os.O_WRONLY), [b"1"]),
    "a file without a name": lambda: os.open(".", os.O_TMPFILE | os.O_RDWR),
}


@pytest.mark.parametrize("call", UNKNOWN)
def test_what_the_simulator_does_not_know_is_refused(observed, call):
    def work():
        write("a", (0, b"x"))
        with pytest.raises(AssertionError, match="teach it"):
            UNKNOWN[call]()
        write("refused")

    records, _ = observed(work)

    assert [record[2] for record in records if record[0] == "create"] == ["a", "refused"]


def test_the_number_of_a_file_that_is_gone_may_be_that_of_one_elsewhere(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    disk, inode = Disk(tmp_path), (tmp_path / "a").stat().st_ino
    for number, record in enumerate([("create", 1, "elsewhere", inode), ("write", inode, 0, b"?")]):
        disk.follow(number, record)

    assert images(disk) == [{"a": b"x"}]
