"""One log of everything that processes do to a file system, in the order in which it happened.

All processes append to it. So it says in which order everything happened, and what a power cut at any place in it may
have left (``powercut_image``). Files and directories are known by their inodes: names change while they are open.
"""

from __future__ import annotations

import marshal
import os
import shutil  # noqa: F401 - chooses at import which functions of os it uses; they must be the real ones then
import struct
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_UN, flock
from threading import RLock, get_ident
from types import SimpleNamespace

_LENGTH = struct.Struct("<I")
STEPS = (
    "open", "write", "pwrite", "ftruncate", "posix_fallocate", "fsync", "fdatasync",
    "mkdir", "rmdir", "rename", "replace", "unlink", "remove", "link",
)  # fmt: skip
# The functions of module os, whatever takes their place.
REAL = SimpleNamespace(**{name: getattr(os, name) for name in (*STEPS, "fstat", "stat", "lseek", "pread")})


class Log:
    """An append-only file of records, which any number of processes write to."""

    def __init__(self, path):
        self.path = path
        self._descriptor = REAL.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def add(self, *record):
        """Append a record; its place is the moment at which it happened."""
        body = marshal.dumps(record)
        REAL.write(self._descriptor, _LENGTH.pack(len(body)) + body)

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


class Whole:
    """Makes a call and its record one: nobody else's call comes between them, and no other thread ends the process."""

    def __init__(self, path):
        self._threads = RLock()
        self._depth = 0
        self._holder = None  # the thread that is inside
        self._descriptor = REAL.open(path, os.O_RDONLY | os.O_CLOEXEC)

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
