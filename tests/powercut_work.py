"""What the processes do whose power is cut (``powercut``), and how it is written down.

Each operation is recorded when it begins and when it has been answered, each commit when it is tried and when it has
become visible, so that the whole history of every keystore is known, and what was promised when.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import random
import traceback

import lmdb
from crowd import Crowd, wait_until
from msgpack import Unpacker
from powercut_faults import FlushErrors
from powercut_log import Log
from powercut_observer import Observer, bindings, replace_everywhere

import pronto_lmdb
from pronto_lmdb import checkpoint, creation, environment, identity, marker, recovery
from pronto_lmdb.commit import Commit
from pronto_lmdb.environment import Environment
from pronto_lmdb.group_commit import GroupCommit
from pronto_lmdb.identity import LEVELS, OFF, State
from pronto_lmdb.journal import Journal
from pronto_lmdb.journal_format import _STATE, FRAME_OVERHEAD, head_of
from pronto_lmdb.journaled import JournaledEnvironment
from pronto_lmdb.journaled_commit import JournaledCommit
from pronto_lmdb.line import Turn
from pronto_lmdb.marker import boot_id
from pronto_lmdb.record import IDENTITY, STATE

for _module in pkgutil.iter_modules(pronto_lmdb.__path__):  # so that what is replaced is replaced everywhere
    importlib.import_module(f"pronto_lmdb.{_module.name}")
bindings()

ADDRESSES = ("alice.main", "bob.main", "carol.main")
KEYS = [f"{space}.k{number}" for space in ("a", "b") for number in range(6)]
# What these levels promise holds only from the next sync() on.
WEAK = {LEVELS["normal"], OFF}


class Witness:
    """Writes down what one process asks for, what it is told, and what its commits change.

    Args:
        observer: of the process; its log is written to.

    """

    def __init__(self, observer):
        self.observer = observer
        self.log = observer.log
        self.number = 0
        self.seen = {}  # keystore -> (revision, level) of the last commit of this operation
        self.base = {}
        self.owed = {}  # keystore -> last revision that this process wrote into a journal
        self.published = None
        self.level = None  # which the last commit found

    def install(self):
        """Take the place of the commit path's own steps."""
        witness = self

        def begin(commit, original=JournaledCommit._begin):
            original(commit)
            keystore = commit._environment.keystore_id.hex()
            witness.base[keystore] = commit.state.revision
            witness.seen[keystore] = (commit.state.revision, commit.state.level)
            witness.level = commit.state.level

        def attempt(commit, original=JournaledCommit._publish):
            witness.attempt(commit)
            original(commit)

        def publish(commit, *arguments, original=Commit._commit):
            if witness.observer.fails("commit"):
                raise lmdb.DiskError("No space left on device (injected)")
            with witness.observer.whole:
                original(commit, *arguments)
                witness.publish(commit)
            witness.observer.failpoint("after commit", rare=False)

        def resize(opened, *arguments, original=Environment._resize):
            with witness.observer.whole.set_aside():  # it waits for threads that are inside, and may be flushing
                original(opened, *arguments)

        def flush_view(opened, original=JournaledEnvironment.flush_view):
            if witness.observer.fails("flush of the view"):
                marker.doubt(opened.directory)
                raise lmdb.DiskError("Input/output error (injected)")
            original(opened)

        def flush_shared(journal, original=Journal._flush_shared):
            with witness.observer.telling():
                original(journal)

        def forget_refused(commit, original=JournaledCommit.forget_refused):
            witness.seen.pop(commit._environment.keystore_id.hex(), None)  # who only looks promises nothing
            original(commit)

        JournaledCommit.forget_refused = forget_refused
        Journal._flush_shared, Environment._resize = flush_shared, resize
        JournaledCommit._begin, JournaledCommit._publish, Commit._commit = begin, attempt, publish
        JournaledEnvironment.flush_view = flush_view
        replace_everywhere(creation.build, self._wrapped_build(creation.build))
        replace_everywhere(creation.build_registry, self._wrapped_registry(creation.build_registry))
        replace_everywhere(checkpoint.copy_compact, self._wrapped_copy(checkpoint.copy_compact))
        self._watch_recovery()

    def attempt(self, commit):
        keystore = commit._environment.keystore_id.hex()
        frames, since = [], 0
        if isinstance(commit, GroupCommit):
            frames, since = [_changes_in(b"".join(frame)) for frame in commit._frames], commit._since
        frames.append((commit.state.revision, commit._log[since:]))
        frames = [(number, [change for change in changes if change[0] != STATE]) for number, changes in frames]
        self.log.add("attempt", os.getpid(), self.number, keystore, self.base[keystore], frames)

    def publish(self, commit):
        if not isinstance(commit, JournaledCommit):
            self._log_registry(commit._environment.path)
            return
        keystore, state = commit._environment.keystore_id.hex(), commit.state
        self.log.add("publish", os.getpid(), self.number, keystore, state.revision, state.level)
        self.seen[keystore] = (state.revision, state.level)
        self.published = keystore
        if state.level != OFF:
            self.owed[keystore] = state.revision

    def _log_registry(self, path):
        with open(os.path.join(path, "data.mdb"), "rb") as file:
            self.log.add("registry", os.stat(path).st_ino, file.read())

    def _wrapped_build(self, build):
        def wrapped(path, identity, state, entries=()):
            entries = list(entries)
            build(path, identity, state, entries)
            born = [(IDENTITY, identity.encode()), *entries]
            self.log.add("born", identity.id, state.revision, born)
            self.seen[identity.id] = (state.revision, state.level)

        return wrapped

    def _wrapped_registry(self, build_registry):
        def wrapped(path, *arguments):
            build_registry(path, *arguments)
            self._log_registry(path)

        return wrapped

    def _wrapped_copy(self, copy_compact):
        def wrapped(handle, descriptor):
            copy_compact(handle, descriptor)
            self.observer.note_content(descriptor)
            self.observer.failpoint("after copy")

        return wrapped

    def _watch_recovery(self):
        """Write down what a recovery has come to, before anybody trusts the view.

        The marker ends it, and whoever dies right behind that tells nothing any more. Who dies before it is followed by
        a recovery that comes to the same.
        """
        found = {}

        def rebuild(directory, original=recovery._rebuild):
            header, state, *rest = original(directory)
            found["revision"] = (header.keystore.hex(), state.revision)
            return header, state, *rest

        def is_view_usable(directory, state, original=recovery._is_view_usable):
            usable = original(directory, state)
            if usable:
                found.clear()  # what was committed last, as before
            return usable

        def mark(directory, original=recovery.mark):
            if found:
                with (
                    lmdb.open(directory.place("."), readonly=True, lock=False, create=False) as view,
                    view.begin() as txn,
                ):
                    content = [entry for entry in txn.cursor() if entry[0] != STATE]
                self.log.add("recovered", *found.pop("revision"), content)
            original(directory)

        recovery._rebuild, recovery._is_view_usable, recovery.mark = rebuild, is_view_usable, mark


def _changes_in(frame):
    """Return the revision of a frame and what it changes."""
    unpacker = Unpacker(use_list=False)
    unpacker.feed(frame[FRAME_OVERHEAD + _STATE.size :])
    return head_of(frame)[1], [change for piece in unpacker for change in piece]


class Worker:
    """One process at work until it dies or has done its operations."""

    def __init__(self, world, witness, store, rng):
        self.world = world
        self.witness = witness
        self.log = witness.log
        self.store = store
        self.rng = rng
        self.disk_fails = world.chances.any_errors()
        self.me = f"own.w{os.getpid()}"
        self.verbs = (
            [self.put] * 10 + [self.delete] * 3 + [self.add] * 3 + [self.update] * 2 + [self.transaction] * 3
            + [self.crowd] * 4 + [self.put_ttl, self.namespace, self.large] + [self.sync] * 2 + [self.own] * 3
            + ([self.lifecycle, self.level, self.compact] if world.lives else [self.level, self.compact])
        )  # fmt: skip

    def work(self, operations):
        for _ in range(operations):
            self.operate(self.rng.choice(self.verbs))
        if self.rng.random() < 0.5:
            self.operate(self.close)

    def operate(self, verb, address=None):
        """Run one operation, on any address if none is given, and write down what came of it."""
        witness, pid = self.witness, os.getpid()
        witness.number += 1
        witness.seen.clear()
        witness.published = None
        keystore = self.store[address or self.rng.choice(ADDRESSES[: self.world.addresses])]
        self.log.add("begin", pid, witness.number, f"{verb.__name__} {keystore.address}")
        try:
            promised = verb(keystore)
        except pronto_lmdb.ProntoError as error:
            refusals = (pronto_lmdb.AddressNotFoundError, pronto_lmdb.AddressExistsError)
            expected = (
                isinstance(error, refusals)
                or "Somebody else created" in str(error)
                or (self.disk_fails and not isinstance(error, pronto_lmdb.LockTimeoutError))
            )
            kind = "unknown" if "refuses to forget" in str(error) else "refused"
            self.log.add(kind, pid, witness.number, f"{type(error).__name__}: {error}")
            if not expected:
                self.log.add("error", pid, witness.number, traceback.format_exc())
        else:
            self.log.add("ack", pid, witness.number, self.floors(), promised if isinstance(promised, str) else "")

    def floors(self):
        return {keystore: revision for keystore, (revision, level) in self.witness.seen.items() if level not in WEAK}

    def strong_floors(self):
        """Promise what was done even where the level of the address is weak."""
        self.witness.seen = {
            keystore: (revision, LEVELS["full"]) for keystore, (revision, _) in self.witness.seen.items()
        }

    def value(self):
        return self.rng.choice((self.rng.randrange(1000), "v" * self.rng.randrange(60), [1, 2, self.rng.random()]))

    def put(self, keystore):
        keystore.put(self.rng.choice(KEYS), self.value())

    def large(self, keystore):
        keystore.put(self.rng.choice(KEYS[:2]), "L" * self.rng.randrange(6000))

    def crowd(self, keystore):
        """Let threads write at the same time; acknowledged if all of them are."""
        works = []
        for _ in range(self.rng.randint(2, 6)):
            key, value = self.rng.choice(KEYS), self.value()
            works.append(
                self.rng.choice(
                    (
                        lambda key=key, value=value: keystore.put(key, value),
                        lambda key=key, value=value: keystore.put(key, value, ttl=1000),
                        lambda key=key, value=value: keystore.add(key, value),
                        lambda key=key: keystore.pop(key, None),
                        lambda: keystore.increment("count"),
                    )
                )
            )
        crowd = Crowd(works)
        home = keystore._opened()
        if home is None:
            crowd.start()
        else:
            # One who does nothing is in front until the others stand behind: so they are a group.
            line = home.environment.line
            front = Turn(line, home, ())
            line.enter(front.ticket)
            crowd.start()
            wait_until(lambda: len(line._waiting) + len(crowd.outcomes) == len(works))
            line.leave(front.ticket)
        errors = [outcome for outcome in crowd.join() if isinstance(outcome, BaseException)]
        if errors:
            raise max(errors, key=lambda error: "refuses to forget" in str(error))

    def put_ttl(self, keystore):
        keystore.put(self.rng.choice(KEYS), self.value(), ttl=1000)

    def delete(self, keystore):
        keystore.pop(self.rng.choice(KEYS), None)

    def add(self, keystore):
        keystore.add(self.rng.choice(KEYS), self.value())

    def update(self, keystore):
        keystore.update({key: self.value() for key in self.rng.sample(KEYS, 3)})

    def transaction(self, keystore):
        with keystore.transaction() as txn:
            for key in self.rng.sample(KEYS, 4):
                if self.rng.random() < 0.3:
                    txn.pop(key, None)
                else:
                    txn[key] = self.value()

    def namespace(self, keystore):
        keystore.namespace_ttl("default.a", self.rng.choice((None, 500, 5000)))

    def own(self, keystore):
        """Write what nobody else writes, and read it back where the name has not passed to another keystore."""
        value = [os.getpid(), self.witness.number]
        keystore.put(self.me, value)
        before = self.keystore_id(keystore)
        found = keystore.get(self.me)
        if before == self.witness.published == self.keystore_id(keystore) and found != value:
            self.log.add("error", os.getpid(), self.witness.number, f"wrote {value} and read {found}")

    def sync(self, keystore):
        """Return the id of the keystore that was made durable, if it is sure which one it was."""
        before = self.keystore_id(keystore)
        keystore.sync()
        self.witness.seen.clear()
        return before if before == self.keystore_id(keystore) else ""

    def keystore_id(self, keystore):
        try:
            return self.store.info(keystore.address).id
        except pronto_lmdb.AddressNotFoundError:
            return ""

    def level(self, keystore):
        level = self.rng.choice(("full", "full", "normal", "off"))
        self.store.set_durability(keystore.address, level)
        if self.witness.level != LEVELS[level]:
            self.strong_floors()

    def compact(self, keystore):
        self.store.compact(keystore.address)

    def lifecycle(self, keystore):
        kind = self.rng.choice(("rename", "delete", "undelete", "create"))
        other = self.rng.choice(ADDRESSES)
        if kind == "rename":
            self.store.rename(keystore.address, other)
        elif kind == "delete":
            self.store.delete(keystore.address)
            if self.disk_fails and self.witness.level == OFF:
                return  # on a full disk it is deleted all the same; at this level a power cut may undo what it says
        elif kind == "undelete":
            self.store.undelete(keystore.address, other)
        else:
            self.store.create(other, durability=self.rng.choice(("full", "normal", "off")))
        self.strong_floors()

    def close(self, _):
        """End; what is owed at the level ``normal`` is on the disk then, unless the disk refuses."""
        self.store.close()
        if not self.disk_fails:
            self.witness.seen = {keystore: (revision, 0) for keystore, revision in self.witness.owed.items()}


def instrument(world, seed):
    """Make this process one that is observed; return its witness."""
    rng = random.Random(seed)
    observer = Observer(Log(world.log), os.stat(world.directory).st_dev, FlushErrors(world.errors), rng, world.chances)
    shrink(rng.choice((1, 2, 5)) * 1024, world.boot)
    witness = Witness(observer)
    witness.install()
    observer.install()
    return witness


def shrink(limit, boot):
    """Make everything small, so that it happens often, and give the system a boot of its own."""

    def decode(cls, stored, place, original=State.decode.__func__):
        state = original(cls, stored, place)
        state.limit = min(state.limit, limit)
        return state

    def finish(opened, state, size, timeout, original=checkpoint.finish_checkpoint):
        original(opened, state, 0, timeout)

    State.decode, checkpoint.finish_checkpoint = classmethod(decode), finish
    for module in (identity, checkpoint, recovery):
        module.SMALLEST_LIMIT = limit
    environment.INITIAL_MAP = 64 * 1024
    replace_everywhere(boot_id, lambda: boot)
