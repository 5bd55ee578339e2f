"""Stand between a process and module ``os``, and write down what it does to a file system.

A process that calls :meth:`Observer.install` goes through the observer with every call of module ``os`` that changes
or flushes something. Each call becomes a record in the log (``powercut_log``), and may go wrong (``powercut_faults``).
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from functools import cache

import powercut_streams
from powercut_faults import Failpoints
from powercut_log import REAL, STEPS


class Observer(Failpoints):
    """Stands between one process and module ``os``.

    Args:
        log: where records go.
        device: of the file system that is watched; calls elsewhere pass unseen.
        errors: the failed flushes of all processes.
        random: decides what happens at failpoints.
        chances: how often.

    """

    def __init__(self, log, device, errors, random, chances):
        super().__init__(log, random, chances)
        self._device = device
        self._errors = errors
        self._flushes = 0
        self._seen_errors = {}  # descriptor -> count of failed flushes when it was opened or told
        self._unseen = set()  # inodes made here whose first bytes did not come through os.write

    def install(self):
        """Take the place of the functions, also where a module of the library has bound one by name."""
        for name in STEPS:
            replacement = getattr(self, f"_{name}")
            replace_everywhere(getattr(REAL, name), replacement)
            setattr(os, name, replacement)
        powercut_streams.install(self._device)

    def _step(self, place, call, record):
        self.failpoint(f"before {place}")
        with self.whole:
            result = call()
            self.log.add(*record)
        self.failpoint(f"after {place}")
        return result

    # -- what is what ------------------------------------------------------------------------------------------

    def _watched(self, descriptor):
        """Return the stat of an open file or directory if its file system is watched."""
        status = REAL.fstat(descriptor)
        return status if status.st_dev == self._device else None

    def _parent(self, path, dir_fd):
        """Return the inode of the directory that a path is in, or ``None`` if it is not watched, and the name."""
        directory, name = os.path.split(os.fspath(path))
        if dir_fd is None:
            status = REAL.stat(directory or ".")
        else:
            status = REAL.stat(directory, dir_fd=dir_fd) if directory else REAL.fstat(dir_fd)
        return (status.st_ino if status.st_dev == self._device else None), name

    def _is_there(self, path, dir_fd):
        try:
            REAL.stat(path, dir_fd=dir_fd, follow_symlinks=False)
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
            return self._opened(REAL.open(path, flags, mode, dir_fd=dir_fd))
        directory, name = self._parent(path, dir_fd)
        if directory is None or (self._is_there(path, dir_fd) and not flags & os.O_TRUNC):
            return self._opened(REAL.open(path, flags, mode, dir_fd=dir_fd))
        self._refuse_full(f"open {name}")
        self.failpoint(f"before open {name}")
        with self.whole:
            creates = not self._is_there(path, dir_fd)
            descriptor = self._opened(REAL.open(path, flags, mode, dir_fd=dir_fd))
            inode = REAL.fstat(descriptor).st_ino
            if creates:
                self.log.add("create", directory, name, inode)
            elif flags & os.O_TRUNC:
                self.log.add("size", inode, 0)
            self._unseen.add(inode)
        self.failpoint(f"after open {name}")
        return descriptor

    def _opened(self, descriptor):
        self._seen_errors[descriptor] = self._errors.count(REAL.fstat(descriptor).st_ino)
        return descriptor

    def _write(self, descriptor, data):
        status = self._watched(descriptor)
        if status is None or not stat.S_ISREG(status.st_mode):
            return REAL.write(descriptor, data)
        return self._write_at(descriptor, status.st_ino, data, REAL.lseek(descriptor, 0, os.SEEK_CUR), REAL.write)

    def _pwrite(self, descriptor, data, offset):
        status = self._watched(descriptor)
        if status is None:
            return REAL.pwrite(descriptor, data, offset)
        return self._write_at(
            descriptor, status.st_ino, data, offset, lambda target, part: REAL.pwrite(target, part, offset)
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

    def _ftruncate(self, descriptor, size):
        status = self._watched(descriptor)
        if status is None:
            return REAL.ftruncate(descriptor, size)
        return self._step("ftruncate", lambda: REAL.ftruncate(descriptor, size), ("size", status.st_ino, size))

    def _posix_fallocate(self, descriptor, offset, length):
        status = self._watched(descriptor)
        if status is None:
            return REAL.posix_fallocate(descriptor, offset, length)
        self._refuse_full("posix_fallocate")
        return self._step(
            "posix_fallocate",
            lambda: REAL.posix_fallocate(descriptor, offset, length),
            ("reserve", status.st_ino, offset + length),
        )

    # -- flushes -----------------------------------------------------------------------------------------------

    def _fsync(self, descriptor):
        return self._flush(descriptor, REAL.fsync)

    def _fdatasync(self, descriptor):
        return self._flush(descriptor, REAL.fdatasync)

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
            self._become_secretive()
        if not is_file:  # told to whoever asks, and tried again for whoever asks again
            raise OSError(errno.EIO, "Input/output error (injected)")

    # -- names -------------------------------------------------------------------------------------------------

    def _mkdir(self, path, mode=0o777, *, dir_fd=None):
        directory, name = self._parent(path, dir_fd)
        if directory is None:
            return REAL.mkdir(path, mode, dir_fd=dir_fd)
        self._refuse_full(f"mkdir {name}")
        self.failpoint(f"before mkdir {name}")
        with self.whole:
            REAL.mkdir(path, mode, dir_fd=dir_fd)
            self.log.add("mkdir", directory, name, REAL.stat(path, dir_fd=dir_fd).st_ino)
        self.failpoint(f"after mkdir {name}")
        return None

    def _rename(self, src, dst, *, src_dir_fd=None, dst_dir_fd=None):
        source, old = self._parent(src, src_dir_fd)
        target, new = self._parent(dst, dst_dir_fd)
        if source is None or target is None:
            return REAL.rename(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        inode = REAL.stat(src, dir_fd=src_dir_fd, follow_symlinks=False).st_ino
        if inode in self._unseen:
            descriptor = REAL.open(src, os.O_RDONLY, dir_fd=src_dir_fd)
            self.note_content(descriptor)
            os.close(descriptor)
        self._refuse_full(f"rename to {new}")
        return self._step(
            f"rename to {new}",
            lambda: REAL.rename(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd),
            ("rename", source, old, target, new, inode),
        )

    _replace = _rename

    def _link(self, src, dst, *, src_dir_fd=None, dst_dir_fd=None, follow_symlinks=True):
        options = {"src_dir_fd": src_dir_fd, "dst_dir_fd": dst_dir_fd, "follow_symlinks": follow_symlinks}
        directory, name = self._parent(dst, dst_dir_fd)
        if directory is None or self._is_there(dst, dst_dir_fd) or not self._is_there(src, src_dir_fd):
            return REAL.link(src, dst, **options)
        inode = REAL.stat(src, dir_fd=src_dir_fd, follow_symlinks=False).st_ino
        self._refuse_full(f"link {name}")
        return self._step(f"link {name}", lambda: REAL.link(src, dst, **options), ("link", directory, name, inode))

    def _unlink(self, path, *, dir_fd=None):
        return self._remove_name(path, dir_fd, REAL.unlink)

    _remove = _unlink

    def _rmdir(self, path, *, dir_fd=None):
        return self._remove_name(path, dir_fd, REAL.rmdir)

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
