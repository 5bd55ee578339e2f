"""Cut the power of a store at any moment, and see whether it keeps its promises.

Real processes work on one store, die, and get errors of the disk (``powercut_observer`` records them). For many places
in that record a disk is drawn as the power cut may have left it (``powercut_examination``), opened as if after a
reboot, and compared with what the processes were told: every address is there under exactly one name, holds exactly the
state of one of its revisions, no older one than was promised, and nothing of a write that was refused. Some of these
disks live on, with a recovery that is killed as well, and are cut again.

``python tests/powercut.py --seed N`` runs one round and tells its story; ``--rules`` takes the rules of the protocol
away, one at a time, and counts the damage. Which process comes when is chance, so a seed names a kind of round, and
``--keep DIRECTORY`` keeps the disk of each violation, and the record of the life in which it was found.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress

from powercut_examination import Result, examine_at
from powercut_faults import Chances
from powercut_image import Disk, remove_tree, write_tree
from powercut_log import read_log
from powercut_rules import RULES
from powercut_story import Story
from powercut_work import Worker, instrument

import pronto_lmdb
from pronto_lmdb.marker import MARKER
from pronto_lmdb.pool import pool
from pronto_lmdb.record import EXPIRY, NAMESPACE_TTL, STATE

PATIENCE = 20.0
HANG = 60.0


def worker_process(world, seed, operations):
    """Be a worker; never returns."""
    status = 1
    try:
        with open(world.traces, "a") as traces:
            faulthandler.enable(traces)
            faulthandler.register(signal.SIGUSR1, traces)
            if world.rule is not None:
                RULES[world.rule]()
            witness = instrument(world, seed)
            try:
                store = pronto_lmdb.open(world.root, durability=world.durability, timeout=PATIENCE)
                Worker(world, witness, store, random.Random(seed + 1)).work(operations)
            except BaseException:
                witness.log.add("error", os.getpid(), witness.number, traceback.format_exc())
            witness.observer.whole.__enter__()  # a thread that still flushes has written down what it did
        status = 0
    finally:
        os._exit(status)


class World:
    """A store on a disk, the processes that work on it, and the record of what they did.

    Args:
        directory: for everything; the store lies in ``disk/root`` below it.
        rng: decides what kind of world it is.
        chances: what may go wrong.
        rule: name of the rule that is taken away, or ``None``.
        life: how many power cuts it has survived.

    """

    def __init__(self, directory, rng, chances, rule=None, life=0):
        self.directory = directory
        self.rng = rng
        self.chances = chances
        self.rule = rule
        self.life = life
        self.disk_path = os.path.join(directory, "disk")
        self.root = os.path.join(self.disk_path, "root")
        self.log, self.errors, self.traces = (os.path.join(directory, name) for name in ("log", "errors", "traces"))
        self.boot = f"boot-{life}"
        self.addresses = rng.choice((1, 1, 2))
        self.lives = rng.random() < 0.5
        self.durability = rng.choice(("full", "full", "full", "normal", "off"))
        self.problems = []

    def live(self, workers, lives, operations):
        """Let processes work, a few lives each, then once more after the view was lost in the same boot."""
        for path in (self.log, self.errors):
            with suppress(FileNotFoundError):
                os.unlink(path)
        self.disk = Disk(self.disk_path)
        for _ in range(1 if self.rng.random() < 0.4 else 2):
            self._round(workers, lives, operations)
            self.remove_markers()
        return read_log(self.log)

    def _round(self, workers, lives, operations):
        left = dict.fromkeys(range(workers), lives)
        running = {}
        deadline = time.monotonic() + HANG
        while running or left:
            for number in [number for number in left if number not in running.values()]:
                running[self._start(operations)] = number
                left[number] -= 1
                if not left[number]:
                    del left[number]
            if not self._reap(running):
                if time.monotonic() > deadline:
                    self._end_hung(running)
                    return
                time.sleep(0.001)

    def _start(self, operations):
        seed = self.rng.getrandbits(48)
        count = self.rng.randint(1, 2 * operations)
        pid = os.fork()
        if pid == 0:
            worker_process(self, seed, count)
        return pid

    def _reap(self, running):
        for pid in list(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del running[pid]
                if status and not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
                    self.problems.append(f"process {pid} ended with {status}: {self._traces()}")
                return True
        return False

    def _end_hung(self, running):
        for pid in running:
            os.kill(pid, signal.SIGUSR1)
        time.sleep(0.2)
        for pid in running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.problems.append(f"processes {list(running)} hang: {self._traces()}")

    def _traces(self):
        with open(self.traces) as file:
            return file.read()[-3000:]

    def look(self, story, place, tree):
        """Return what is wrong with an image, and what was found in it."""
        return _look(self, story, place, tree)

    def remove_markers(self):
        """Lose the views while the system stays up: base and journal are then what memory says, flushed or not."""
        for directory, _, names in os.walk(self.root):
            if MARKER in names:
                os.unlink(os.path.join(directory, MARKER))


def look_inside(root):
    """Open a store after a power cut; return (id, revision, content) of each keystore, first as found, then as mended.

    Raises:
        AssertionError: if an address is not under exactly the name it should have, or the catalog says otherwise.

    """
    # What was begun and not ended is finished by the opening of the store, not by that of a keystore.
    raw = [describe(path)[:3] for path in directories(root, "addresses") + directories(root, "trash")]
    with pronto_lmdb.open(root, timeout=PATIENCE) as store:
        listed = {str(info.address): info.id for info in store.addresses()}
        names, mended = {}, []
        for path in directories(root, "addresses"):
            *state, identity = describe(path)
            mended.append(tuple(state))
            names[identity.address] = identity.id
            info = store.info(identity.address)
            assert (info.id, str(info.path)) == (identity.id, path), f"{identity.address} is not found by its name"
        assert listed == names, f"the catalog says {listed}, the directories {names}"
        trashed = {str(item.path) for item in store.trash()}
        deleted = set(directories(root, "trash"))
        assert trashed == deleted, f"the catalog says {trashed} are deleted, the directories {deleted}"
        mended += [describe(path)[:3] for path in deleted]
        for address in listed:
            store[address].put("after", 1)
            assert store[address]["after"] == 1
    return raw, mended


def directories(root, place):
    """Return where keystores lie; a damaged registry that was set aside is none."""
    place = os.path.join(root, place)
    names = sorted(os.listdir(place)) if os.path.isdir(place) else []
    return [os.path.join(place, name) for name in names if not name.startswith("registry-")]


def describe(path):
    """Return id, revision, content and identity of the keystore in a directory."""
    opened = pool.peek(path, 0)
    assert opened is not None, f"{path} holds no keystore"
    stored = opened.read(lambda txn: dict(txn.cursor()))
    identity, state = opened.describe()
    del stored[STATE]
    counters = (state.expiring, state.namespaces)
    counted = (sum(key.startswith(EXPIRY) for key in stored), sum(key.startswith(NAMESPACE_TTL) for key in stored))
    assert counters == counted, f"{path} counts {counters} and holds {counted}"
    return identity.id, state.revision, stored, identity


# -- the images ------------------------------------------------------------------------------------------------------


def cuts(story, length, count, rng):
    """Choose where to cut, most often right after somebody got an answer; in order."""
    places = []
    for _ in range(count):
        mood = rng.random()
        if story.refusals and mood < 0.2:
            places.append(rng.choice(story.refusals))
        elif story.answers and mood < 0.7:
            places.append(rng.choice(story.answers))
        else:
            places.append(rng.randrange(length))
    return sorted(places)


def examine(world, records, known, count):
    """Draw images of a world, look inside each, and let some live on; return (Result, survivors)."""
    story = Story(known)
    for place, record in enumerate(records):
        story.follow(place, record)
    result = Result()
    result.counts = story.counts
    result.violations += [f"life {world.life}, live: {problem}" for problem in world.problems + story.problems]
    places = cuts(story, len(records), count, world.rng)
    survivors = examine_at(places, world, records, story, result)
    if result.violations:  # a later life begins a new log
        shutil.copyfile(world.log, f"{world.log}-of-life-{world.life}")
    return result, survivors


def _look(world, story, place, tree):
    remove_tree(world.disk_path)
    write_tree(tree, world.disk_path, world.boot)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        found = look_inside(world.root) if os.path.isdir(world.root) else ([], [])
    except BaseException:
        return traceback.format_exc(limit=-4), None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    raw, mended = found
    ids = [keystore for keystore, _, _ in mended]
    wrong = [f"{keystore} is there twice" for keystore, times in Counter(ids).items() if times > 1]
    wrong += [f"LOST: {keystore} is not there at all" for keystore in sorted(story.expected(place) - set(ids))]
    wrong += filter(None, (story.judge(place, *each) for each in raw))
    known = {each[0]: each for each in mended} | {each[0]: each for each in raw}
    return "; ".join(wrong), list(known.values())


def chances_of(seed, rng):
    """Return the faults of a round: a quarter of them meets no error of the disk, only dying processes."""
    kind = seed % 4
    return Chances(
        kill=rng.choice((0.0, 0.0005, 0.001, 0.004)),
        rare_factor=rng.choice((1, 6)),
        pause=rng.choice((0.0, 0.02, 0.1)),
        flush_error=rng.choice((0.01, 0.05)) if kind in (1, 3) else 0.0,
        disk_full=rng.choice((0.005, 0.03)) if kind in (2, 3) else 0.0,
    )


def run(seed, images, directory, rule=None, survival=0.15):
    """Let one world live, cut its power, look, let some of what is left live on, and look again.

    Args:
        seed: decides what kind of world it is.
        images: how many power cuts.
        directory: an empty one; on a file system in memory it is faster.
        rule: name of the rule of the protocol to take away.
        survival: the share of images that live on.

    """
    rng = random.Random(seed)
    world = World(directory, rng, chances_of(seed, rng), rule)
    world.survival = survival
    os.mkdir(world.disk_path)
    records = world.live(rng.randint(2, 4), rng.randint(1, 3), 25)
    each = max(1, images // 20)
    result, survivors = examine(world, records, [], max(1, images - int(images * survival) * each // 2))
    while survivors and result.images < images:
        tree, known = survivors.pop(rng.randrange(len(survivors)))
        more, later = _next_life(world, rng, tree, known, min(each, images - result.images))
        result.add(more)
        survivors += later
    return result


def _next_life(world, rng, tree, known, images):
    remove_tree(world.disk_path)
    write_tree(tree, world.disk_path, world.boot)
    chances = Chances(kill=rng.choice((0.005, 0.02)), rare_factor=3, pause=world.chances.pause)
    later = World(world.directory, rng, chances, world.rule, world.life + 1)
    later.survival = world.survival
    records = later.live(rng.randint(1, 2), 3, 6)
    return examine(later, records, known, images)


def rounds(seeds, images, rule=None, keep=None):
    """Run several rounds; return their Result and the seeds that found something."""
    total, found = Result(), []
    for seed in seeds:
        with tempfile.TemporaryDirectory(dir=scratch()) as directory:
            result = run(seed, images, directory, rule)
            if result.violations:
                found.append(seed)
                if keep is not None:
                    shutil.copytree(directory, os.path.join(keep, f"seed-{seed}"), dirs_exist_ok=True)
        total.add(result)
    return total, found


def answer(seeds, images, answers):
    """Run several rounds in a process of their own."""
    answers.put(rounds(seeds, images))


def scratch():
    """Return a directory in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def tell(seed, images, keep):
    """Run one round and print what happened in it."""
    began = time.monotonic()
    result, _ = rounds([seed], images, keep=keep)
    print(f"seed {seed}: {result.images} images, {len(result.violations)} violations, {time.monotonic() - began:.1f} s")
    print("  " + ", ".join(f"{number} x {what}" for what, number in result.counts.most_common()))
    for violation in result.violations:
        print(f"- {violation}")


def print_rules(images, names):
    """Take the rules away, one at a time, and print what came of it."""
    each = 50
    print("| rule taken away | violations / images | kinds |")
    print("|---|---|---|")
    for name in names or RULES:
        result, _ = rounds(range(max(1, images // each)), each, name)
        kinds = Counter(kind_of(violation) for violation in result.violations)
        listed = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
        print(f"| {name} | {len(result.violations)} / {result.images} | {listed} |", flush=True)


def kind_of(violation):
    """Return in a word or two what a violation is."""
    for kind in ("LOST", "MIXED", "CAME BACK", "DIED", "the catalog says", "is there twice", " hang", "live"):
        if kind in violation:
            return kind.strip()
    return "refuses to open"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="the first round")
    parser.add_argument("--rounds", type=int, default=1, help="how many rounds")
    parser.add_argument("--images", type=int, default=100, help="power cuts of each round, or of each rule")
    parser.add_argument("--keep", help="directory for what is left of the rounds that find something")
    parser.add_argument("--rules", nargs="*", metavar="RULE", help="take these rules away, or each")
    arguments = parser.parse_args()
    if arguments.rules is not None:
        print_rules(arguments.images, arguments.rules)
        return
    for seed in range(arguments.seed, arguments.seed + arguments.rounds):
        tell(seed, arguments.images, arguments.keep)


if __name__ == "__main__":
    main()
