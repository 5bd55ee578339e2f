"""Record what processes do to a file system, in one order, and let them fail or die at any step of it.

A process that calls :meth:`Observer.install` goes through the observer with every call of module ``os`` that changes
or flushes something. Each call becomes a record in one log that all processes append to, so the log says in which
order everything happened, and what a power cut at any place in it may have left (``powercut_image``). Files and
directories are known by their inodes: names change while they are open.

Each such call is also a *failpoint*: with the chances in :class:`Chances` the process kills itself before it, after
it or, in a write, in the middle of it; waits a moment, so that others come in between; or gets an error.
"""

from __future__ import annotations

import errno
import marshal
import mmap
import os
import shutil  # noqa: F401 - chooses at import which functions of os it uses; they must be the real ones then
import signal
import stat
import struct
import sys
import time
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_UN, flock
from functools import cache
from threading import RLock, get_ident
from types import SimpleNamespace

import powercut_streams

_LENGTH = struct.Struct("<I")
_COUNTERS = 4096
_COUNTER = struct.Struct("<I")
_STEPS = (
    "open", "write", "pwrite", "ftruncate", "posix_fallocate", "fsync", "fdatasync",
    "mkdir", "rmdir", "rename", "replace", "unlink", "remove", "link",
)  # fmt: skip
_REAL = SimpleNamespace(**{name: getattr(os, name) for name in (*_STEPS, "fstat", "stat", "lseek", "pread")})


class Log:
    """An append-only file of records, which any number of processes write to."""

    def __init__(self, path):
        self.path = path
        self._descriptor = _REAL.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def add(self, *record):
        """Append a record; its place is the moment at which it happened."""
        body = marshal.dumps(record)
        _REAL.write(self._descriptor, _LENGTH.pack(len(body)) + body)

    def close(self):
        os.close(self._descriptor)


def read_log(path):
    """Return all records of a log."""
    with open(path, "rb") as file:
        content = file.read()
    records, at = [], 0
    while at < len(content):
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size
        records.append(marshal.loads(content[at : at + length]))
        at += length
    return records


class _Whole:
    """Makes a call and its record one: nobody else's call comes between them, and no other thread ends the process."""

    def __init__(self, path):
        self._threads = RLock()
        self._depth = 0
        self._holder = None  # the thread that is inside
        self._descriptor = _REAL.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self):
        self._threads.acquire()
        if not self._depth:
            flock(self._descriptor, LOCK_EX)
            self._holder = get_ident()
        self._depth += 1

    def __exit__(self, *_):
        self._depth -= 1
        if not self._depth:
            self._holder = None
            flock(self._descriptor, LOCK_UN)
        self._threads.release()

    @contextmanager
    def set_aside(self):
        """Let everybody go on for as long as the caller waits for them, in the middle of a step."""
        held = self._depth if self._holder == get_ident() else 0
        for _ in range(held):
            self.__exit__()
        try:
            yield
        finally:
            for _ in range(held):
                self.__enter__()


class Chances:
    """How likely it is, at each failpoint, that something goes wrong.

    Args:
        kill: the process dies; times ``rare_factor`` at steps that only checkpoints, recovery and the life cycle take.
        pause: it waits up to two milliseconds.
        flush_error: a flush of a file fails with EIO.
        disk_full: a write is cut short or refused with ENOSPC.

    """

    def __init__(self, *, kill=0.0, rare_factor=6.0, pause=0.0, flush_error=0.0, disk_full=0.0):
        self.kill = kill
        self.rare_factor = rare_factor
        self.pause = pause
        self.flush_error = flush_error
        self.disk_full = disk_full

    def any_errors(self):
        return self.flush_error > 0 or self.disk_full > 0


class FlushErrors:
    """How often a flush of each inode has failed, shared by all processes.

    Linux reports a failed flush once through every descriptor that was open at that time, and never to one that is
    opened later. Who compares the counter now with the counter at the opening knows what Linux would say.
    """

    def __init__(self, path):
        descriptor = _REAL.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _REAL.ftruncate(descriptor, _COUNTERS * _COUNTER.size)
            self._counters = mmap.mmap(descriptor, _COUNTERS * _COUNTER.size)
        finally:
            os.close(descriptor)

    def count(self, inode):
        return _COUNTER.unpack_from(self._counters, inode % _COUNTERS * _COUNTER.size)[0]

    def raise_for(self, inode):
        _COUNTER.pack_into(self._counters, inode % _COUNTERS * _COUNTER.size, self.count(inode) + 1)


class Observer:
    """Stands between one process and module ``os``.

    Args:
        log: where records go.
        device: of the file system that is watched; calls elsewhere pass unseen.
        errors: the failed flushes of all processes.
        random: decides what happens at failpoints.
        chances: how often.

    """

    def __init__(self, log, device, errors, random, chances):
        self.log = log
        self.random = random
        self.chances = chances
        self._device = device
        self._errors = errors
        self._flushes = 0
        self._full = 0  # calls that are still refused because the disk is full
        self._seen_errors = {}  # descriptor -> count of failed flushes when it was opened or told
        self._unseen = set()  # inodes made here whose first bytes did not come through os.write
        self.whole = _Whole(log.path)
        self._telling = set()  # threads that will mark a flush which fails
        self._secretive = None  # the one of them whose flush has failed
        self.script = {}  # place -> "die", or the number of the call that fails there, whatever the chances

    def install(self):
        """Take the place of the functions, also where a module of the library has bound one by name."""
        for name in _STEPS:
            replacement = getattr(self, f"_{name}")
            replace_everywhere(getattr(_REAL, name), replacement)
            setattr(os, name, replacement)
        powercut_streams.install(self._device)

    # -- failpoints --------------------------------------------------------------------------------------------

    def die(self, place):
        """End the process as kill -9 would."""
        with self.whole:
            self.log.add("killed", os.getpid(), place)
            os.kill(os.getpid(), signal.SIGKILL)

    def failpoint(self, place, *, rare=True, slow=1):
        """Die here or wait here, by chance; a slow step is waited for so many times as often."""
        if self._keeps_secret():
            return
        chances = self.chances
        self._obey(place)
        if self.random.random() < chances.kill * (chances.rare_factor if rare else 1.0):
            self.die(place)
        if self.random.random() < chances.pause * slow:
            time.sleep(self.random.random() * 0.002)

    def _obey(self, place):
        if self.script.get(place) == "die":
            self.die(place)

    def fails(self, place):
        """Tell, by chance, that the disk refuses something that does not go through module ``os``."""
        failing = self._is_told_to_fail(place) or self.random.random() < self.chances.disk_full
        if failing:
            self.log.add("injected", os.getpid(), f"error at {place}")
        return failing

    def _is_told_to_fail(self, place):
        left = self.script.get(place)
        if not isinstance(left, int):
            return False
        self.script[place] = left - 1
        return left == 1

    def _step(self, place, call, record):
        self.failpoint(f"before {place}")
        with self.whole:
            result = call()
            self.log.add(*record)
        self.failpoint(f"after {place}")
        return result

    def _refuse_full(self, place):
        """Raise ENOSPC by chance, and for a few calls more once it began."""
        if self._keeps_secret():
            return
        if not self._full and self.random.random() < self.chances.disk_full:
            self._full = self.random.randint(1, 3)
        if self._is_told_to_fail(place):
            self._full = 1
        if self._full:
            self._full -= 1
            self.log.add("injected", os.getpid(), f"ENOSPC at {place}")
            raise OSError(errno.ENOSPC, "No space left on device (injected)")

    # -- what is what ------------------------------------------------------------------------------------------

    def _watched(self, descriptor):
        """Return the stat of an open file or directory if its file system is watched."""
        status = _REAL.fstat(descriptor)
        return status if status.st_dev == self._device else None

    def _parent(self, path, dir_fd):
        """Return the inode of the directory that a path is in, or ``None`` if it is not watched, and the name."""
        directory, name = os.path.split(os.fspath(path))
        if dir_fd is None:
            status = _REAL.stat(directory or ".")
        else:
            status = _REAL.stat(directory, dir_fd=dir_fd) if directory else _REAL.fstat(dir_fd)
        return (status.st_ino if status.st_dev == self._device else None), name

    def _is_there(self, path, dir_fd):
        try:
            _REAL.stat(path, dir_fd=dir_fd, follow_symlinks=False)
        except OSError:
            return False
        return True

    def note_content(self, descriptor):
        """Record the content of a file that was written in a way that cannot be seen, as written now."""
        status = self._watched(descriptor)
        if status is not None and stat.S_ISREG(status.st_mode):
            with self.whole:
                self._unseen.discard(status.st_ino)
                with open(f"/proc/self/fd/{descriptor}", "rb") as file:
                    self.log.add("content", status.st_ino, file.read())

    # -- files -------------------------------------------------------------------------------------------------

    def _open(self, path, flags, mode=0o777, *, dir_fd=None):
        assert flags & os.O_TMPFILE != os.O_TMPFILE, "the simulator of power cuts does not know O_TMPFILE: teach it"
        if not flags & (os.O_CREAT | os.O_TRUNC):
            return self._opened(_REAL.open(path, flags, mode, dir_fd=dir_fd))
        directory, name = self._parent(path, dir_fd)
        if directory is None or (self._is_there(path, dir_fd) and not flags & os.O_TRUNC):
            return self._opened(_REAL.open(path, flags, mode, dir_fd=dir_fd))
        self._refuse_full(f"open {name}")
        self.failpoint(f"before open {name}")
        with self.whole:
            creates = not self._is_there(path, dir_fd)
            descriptor = self._opened(_REAL.open(path, flags, mode, dir_fd=dir_fd))
            inode = _REAL.fstat(descriptor).st_ino
            if creates:
                self.log.add("create", directory, name, inode)
            elif flags & os.O_TRUNC:
                self.log.add("size", inode, 0)
            self._unseen.add(inode)
        self.failpoint(f"after open {name}")
        return descriptor

    def _opened(self, descriptor):
        self._seen_errors[descriptor] = self._errors.count(_REAL.fstat(descriptor).st_ino)
        return descriptor

    def _write(self, descriptor, data):
        status = self._watched(descriptor)
        if status is None or not stat.S_ISREG(status.st_mode):
            return _REAL.write(descriptor, data)
        return self._write_at(descriptor, status.st_ino, data, _REAL.lseek(descriptor, 0, os.SEEK_CUR), _REAL.write)

    def _pwrite(self, descriptor, data, offset):
        status = self._watched(descriptor)
        if status is None:
            return _REAL.pwrite(descriptor, data, offset)
        return self._write_at(
            descriptor, status.st_ino, data, offset, lambda target, part: _REAL.pwrite(target, part, offset)
        )

    def _write_at(self, descriptor, inode, data, offset, call):
        self.failpoint("before write", rare=False)
        data = bytes(data)
        part = data
        dies = len(data) > 1 and self.random.random() < self.chances.kill
        if dies or self._is_cut_short(data):
            part = data[: self.random.randrange(1, len(data))]
        else:
            self._refuse_full("write")
        with self.whole:
            written = call(descriptor, part)
            self._unseen.discard(inode)
            self.log.add("write", inode, offset, part[:written])
            if dies:
                self.die("in the middle of a write")
        self.failpoint("after write", rare=False)
        return written

    def _is_cut_short(self, data):
        """Tell, by chance, that only a part of something finds room; what follows may then be refused, too."""
        if self._full or len(data) < 2:
            return False
        if self.random.random() < self.chances.disk_full:
            self._full = self.random.randint(0, 3)
            return True
        return self._is_told_to_fail("end of write")

    def _ftruncate(self, descriptor, size):
        status = self._watched(descriptor)
        if status is None:
            return _REAL.ftruncate(descriptor, size)
        return self._step("ftruncate", lambda: _REAL.ftruncate(descriptor, size), ("size", status.st_ino, size))

    def _posix_fallocate(self, descriptor, offset, length):
        status = self._watched(descriptor)
        if status is None:
            return _REAL.posix_fallocate(descriptor, offset, length)
        self._refuse_full("posix_fallocate")
        return self._step(
            "posix_fallocate",
            lambda: _REAL.posix_fallocate(descriptor, offset, length),
            ("reserve", status.st_ino, offset + length),
        )

    # -- flushes -----------------------------------------------------------------------------------------------

    def _fsync(self, descriptor):
        return self._flush(descriptor, _REAL.fsync)

    def _fdatasync(self, descriptor):
        return self._flush(descriptor, _REAL.fdatasync)

    def _flush(self, descriptor, call):
        status = self._watched(descriptor)
        if status is None:
            return call(descriptor)
        inode, is_file = status.st_ino, stat.S_ISREG(status.st_mode)
        if inode in self._unseen:
            self.note_content(descriptor)
        self.failpoint("before flush", rare=not is_file)
        with self.whole:
            self._flushes += 1
            token = f"{os.getpid()}.{self._flushes}"
            self.log.add("flush", token, inode)
        told = self._is_told_to_fail("flush" if is_file else "flush of names")
        if told or self.random.random() < self.chances.flush_error:
            self._fail_flush(token, inode, is_file)
        else:  # who dies in a flush that fails takes the secret along, as below
            self.failpoint("in flush", rare=False, slow=5)
        call(descriptor)
        # One step with the record: whom nobody has told of a failure so far was not met by it.
        with self.whole:
            count = self._errors.count(inode)
            failed = is_file and self._seen_errors.get(descriptor, count) != count
            self._seen_errors[descriptor] = count
            if not failed:
                self.log.add("flushed", token)
        if failed:
            # Not by chance: who dies here takes the secret along, and nobody else can know (docs/durability.md).
            self._obey("after failed flush")
            raise OSError(errno.EIO, "Input/output error (injected)")
        self.failpoint("after flush", rare=not is_file)
        return None

    def _fail_flush(self, token, inode, is_file):
        with self.whole:
            self.log.add("flush failed", token)
            self.log.add("injected", os.getpid(), f"EIO at flush of a {'file' if is_file else 'directory'}")
            if is_file:
                self._errors.raise_for(inode)
            if get_ident() in self._telling and not self._keeps_secret():
                self.whole.__enter__()
                self._secretive = get_ident()
        if not is_file:  # told to whoever asks, and tried again for whoever asks again
            raise OSError(errno.EIO, "Input/output error (injected)")

    @contextmanager
    def telling(self):
        """Let nobody end this process from a flush that fails in here to the end of the block, by which it is marked.

        Nobody else does anything meanwhile, and no more goes wrong: who takes the secret along, or cannot tell it,
        loses what others are told is safe, and nothing can be done about that (docs/durability.md).
        """
        self._telling.add(get_ident())
        try:
            yield
        finally:
            self._telling.discard(get_ident())
            if self._keeps_secret():
                self._secretive = None
                self.whole.__exit__()

    def _keeps_secret(self):
        return self._secretive == get_ident()

    # -- names -------------------------------------------------------------------------------------------------

    def _mkdir(self, path, mode=0o777, *, dir_fd=None):
        directory, name = self._parent(path, dir_fd)
        if directory is None:
            return _REAL.mkdir(path, mode, dir_fd=dir_fd)
        self._refuse_full(f"mkdir {name}")
        self.failpoint(f"before mkdir {name}")
        with self.whole:
            _REAL.mkdir(path, mode, dir_fd=dir_fd)
            self.log.add("mkdir", directory, name, _REAL.stat(path, dir_fd=dir_fd).st_ino)
        self.failpoint(f"after mkdir {name}")
        return None

    def _rename(self, src, dst, *, src_dir_fd=None, dst_dir_fd=None):
        source, old = self._parent(src, src_dir_fd)
        target, new = self._parent(dst, dst_dir_fd)
        if source is None or target is None:
            return _REAL.rename(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        inode = _REAL.stat(src, dir_fd=src_dir_fd, follow_symlinks=False).st_ino
        if inode in self._unseen:
            descriptor = _REAL.open(src, os.O_RDONLY, dir_fd=src_dir_fd)
            self.note_content(descriptor)
            os.close(descriptor)
        self._refuse_full(f"rename to {new}")
        return self._step(
            f"rename to {new}",
            lambda: _REAL.rename(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd),
            ("rename", source, old, target, new, inode),
        )

    _replace = _rename

    def _link(self, src, dst, *, src_dir_fd=None, dst_dir_fd=None, follow_symlinks=True):
        options = {"src_dir_fd": src_dir_fd, "dst_dir_fd": dst_dir_fd, "follow_symlinks": follow_symlinks}
        directory, name = self._parent(dst, dst_dir_fd)
        if directory is None or self._is_there(dst, dst_dir_fd) or not self._is_there(src, src_dir_fd):
            return _REAL.link(src, dst, **options)
        inode = _REAL.stat(src, dir_fd=src_dir_fd, follow_symlinks=False).st_ino
        self._refuse_full(f"link {name}")
        return self._step(f"link {name}", lambda: _REAL.link(src, dst, **options), ("link", directory, name, inode))

    def _unlink(self, path, *, dir_fd=None):
        return self._remove_name(path, dir_fd, _REAL.unlink)

    _remove = _unlink

    def _rmdir(self, path, *, dir_fd=None):
        return self._remove_name(path, dir_fd, _REAL.rmdir)

    def _remove_name(self, path, dir_fd, call):
        directory, name = self._parent(path, dir_fd)
        if directory is None or not self._is_there(path, dir_fd):
            return call(path, dir_fd=dir_fd)
        return self._step(f"remove {name}", lambda: call(path, dir_fd=dir_fd), ("remove", directory, name))


@cache
def bindings():
    """Return each object that a module of the library has bound by name, by its id, and where that is.

    All processes of the simulator begin as copies of one: what that one has looked up, none of them looks up again.
    """
    found = {}
    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] == "pronto_lmdb":
            for name, value in vars(module).items():
                found.setdefault(id(value), (value, []))[1].append((module, name))
    return found


def replace_everywhere(original, replacement):
    """Put a replacement in the place of an object in every module of the library that has bound it by name."""
    known = bindings()
    _, places = known.pop(id(original), (original, []))
    for module, name in places:
        if vars(module)[name] is original:
            setattr(module, name, replacement)
    known.setdefault(id(replacement), (replacement, []))[1].extend(places)
