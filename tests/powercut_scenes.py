"""Scenes: plays of processes whose every step is written down, and what happens to them, until the power is cut."""

from __future__ import annotations

import errno
import os
import random
import signal
import traceback
from contextlib import contextmanager

import powercut
from powercut_examination import Result, examine_at
from powercut_faults import Chances
from powercut_image import Disk
from powercut_log import read_log
from powercut_rules import RULES
from powercut_story import Story
from powercut_work import Worker, instrument

import pronto_lmdb
from pronto_lmdb import clock, operations, places
from pronto_lmdb.group_commit import GroupCommit
from pronto_lmdb.journal import Journal
from pronto_lmdb.journaled_commit import JournaledCommit


class Scene:
    """A play in which every step is written down: processes one after the other, with accidents at given places."""

    world_of = powercut.World

    def __init__(self, directory, rule=None, durability=None):
        self.world = self.world_of(str(directory), random.Random(1), Chances(), rule)
        self.world.durability = durability
        self.world.survival = 0
        os.mkdir(self.world.disk_path)
        self.world.disk = Disk(self.world.disk_path)

    def play(self, *steps):
        """Run one process: each step is a verb and the accidents that happen during it."""
        pid = os.fork()
        if pid == 0:
            try:
                self._act(steps)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        return self

    def _act(self, steps):
        if self.world.rule is not None:
            RULES[self.world.rule]()
        witness = instrument(self.world, 1)
        store = pronto_lmdb.open(self.world.root, durability=self.world.durability)
        worker = Worker(self.world, witness, store, random.Random(1))
        worker.disk_fails = True
        try:
            for verb, accidents in steps:
                self._do(worker, verb, accidents)
        except Exception:
            witness.log.add("error", os.getpid(), witness.number, traceback.format_exc())

    def _do(self, worker, verb, accidents):
        worker.witness.observer.script = dict(accidents)
        worker.operate(verb, "alice.main")

    @contextmanager
    def beside(self, *steps):
        """Run a process that has done all steps but the last before the block, and does the last behind it."""
        (told, ready), (proceeding, proceed) = os.pipe(), os.pipe()

        def wait(_):
            os.close(ready)
            os.read(proceeding, 1)

        pid = os.fork()
        if pid == 0:
            try:
                os.close(proceed)
                self._act([*steps[:-1], (wait, {}), steps[-1]])
            finally:
                os._exit(0)
        os.close(ready)
        os.read(told, 1)  # there is nothing to read: it returns when the other end is closed
        yield
        os.close(proceed)
        os.waitpid(pid, 0)
        os.close(told)
        os.close(proceeding)

    def lose_view(self):
        """Lose the view while the system stays up."""
        self.world.remove_markers()
        return self

    def violations(self, count=60):
        """Cut the power after the last step, so many times; return what is wrong then."""
        records = read_log(self.world.log)
        story = Story([])
        for place, record in enumerate(records):
            story.follow(place, record)
        result = Result()
        examine_at([len(records) - 1] * count, self.world, records, story, result)
        return story.problems + result.violations


def x(keystore):
    keystore.put("x", 1)


def padding(keystore):
    keystore.put("x", "v" * 11)  # a frame behind this one begins in the middle of a block


def k(keystore):
    keystore.put("k", "v" * 60)


def big(keystore):
    keystore.put("big", "v" * 3000)  # more than a journal may hold: a checkpoint follows


def add_k(keystore):
    keystore.add("k", 1)


def sync(keystore):
    keystore.sync()


def full(keystore):
    keystore._store.set_durability(keystore.address, "full")


def rename(keystore):
    keystore._store.rename(keystore.address, "bob.main")


def delete(keystore):
    keystore._store.delete(keystore.address)


def delete_and_die(keystore):
    """Delete an address, and die when it lies in the trash and the catalog does not know it."""
    places.Places.remember_deleted = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    delete(keystore)


def rename_and_die(keystore):
    """Rename an address, and die when the journal says so and the view does not."""
    JournaledCommit._publish_view = lambda _: os.kill(os.getpid(), signal.SIGKILL)
    rename(keystore)


def rename_for_ever(keystore):
    """Rename an address on a disk that refuses to forget what it has refused."""

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device (injected)")

    Journal.take_back = refuse
    rename(keystore)


def look(keystore):
    keystore.get("x", None)


def undelete(keystore):
    keystore._store.undelete(keystore.address, "carol.main")


def group(keystore):
    """Write two keys as a group, at a moment that does not pass, so that the first can be written again to the byte."""
    clock.now = lambda: 1_750_000_000_000_000
    commit = GroupCommit(keystore._opened().environment, keystore._opened(), 5, lambda: 1)
    for key in ("one", "two"):
        commit.attempt(operations.put(100, key, 1, None))
    commit.commit()


def one(keystore):
    keystore.put("one", 1)
