"""What goes wrong, at any step of a process to the disk: it dies, waits, or gets an error.

Each call that is observed (``powercut_observer``) is a *failpoint*: with the chances in :class:`Chances` the process
kills itself before it, after it or, in a write, in the middle of it; waits a moment, so that others come in between;
or gets an error.
"""

from __future__ import annotations

import errno
import mmap
import os
import signal
import struct
import time
from contextlib import contextmanager
from threading import get_ident

from powercut_log import REAL, Whole

_COUNTERS = 4096
_COUNTER = struct.Struct("<I")


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
        descriptor = REAL.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            REAL.ftruncate(descriptor, _COUNTERS * _COUNTER.size)
            self._counters = mmap.mmap(descriptor, _COUNTERS * _COUNTER.size)
        finally:
            os.close(descriptor)

    def count(self, inode):
        return _COUNTER.unpack_from(self._counters, inode % _COUNTERS * _COUNTER.size)[0]

    def raise_for(self, inode):
        _COUNTER.pack_into(self._counters, inode % _COUNTERS * _COUNTER.size, self.count(inode) + 1)


class Failpoints:
    """What may happen to one process at each of its steps.

    Args:
        log: where it is written down.
        random: decides what happens.
        chances: how often.

    """

    def __init__(self, log, random, chances):
        self.log = log
        self.random = random
        self.chances = chances
        self.whole = Whole(log.path)
        self.script = {}  # place -> "die", or the number of the call that fails there, whatever the chances
        self._full = 0  # calls that are still refused because the disk is full
        self._telling = set()  # threads that will mark a flush which fails
        self._secretive = None  # the one of them whose flush has failed

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

    def _is_cut_short(self, data):
        """Tell, by chance, that only a part of something finds room; what follows may then be refused, too."""
        if self._full or len(data) < 2:
            return False
        if self.random.random() < self.chances.disk_full:
            self._full = self.random.randint(0, 3)
            return True
        return self._is_told_to_fail("end of write")

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

    def _become_secretive(self):
        """Have this thread keep that its flush has failed, if it is going to tell."""
        if get_ident() in self._telling and not self._keeps_secret():
            self.whole.__enter__()
            self._secretive = get_ident()
