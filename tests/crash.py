"""Kill a process at an exact step of what it does to the file system.

A *step* is a call that changes names or flushes, or a commit. ``killed_at(step, work)`` runs ``work`` in a forked
child and kills it with SIGKILL right before its step number ``step``; so ``for step in count()`` until
``killed_at`` returns False visits every place at which a process can die between two steps.
"""

import os
import signal
import sys
import traceback

import lmdb

from pronto_lmdb.commit import Commit

STEPS = ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync")


class _Countdown:
    def __init__(self, steps):
        self.left = steps

    def before(self, function):
        def step(*args, **kwargs):
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1
            return function(*args, **kwargs)

        return step


class _FlushedEnvironment:
    """An LMDB environment whose ``sync`` is a step."""

    def __init__(self, environment, countdown):
        self._environment = environment
        self.sync = countdown.before(environment.sync)

    def __getattr__(self, name):
        return getattr(self._environment, name)


def killed_at(step, work, *more):
    """Run ``work`` in a child that dies before its step number ``step``; tell whether it came to that.

    ``more`` names further functions of ``os`` whose calls are steps, too.
    """
    pid = os.fork()
    if pid == 0:
        try:
            countdown = _Countdown(step)
            for name in (*STEPS, *more):
                setattr(os, name, countdown.before(getattr(os, name)))
            Commit.commit = countdown.before(Commit.commit)
            opened = lmdb.open
            lmdb.open = lambda *args, **kwargs: _FlushedEnvironment(opened(*args, **kwargs), countdown)
            work()
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the child failed: see its traceback above"
    return False
