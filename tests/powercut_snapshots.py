"""Cut the power while a store takes snapshots, restores, copies, prunes, exports, or takes over an old database.

One process does one act after the other (``powercut_acts``) on a disk that is watched (``powercut_observer``). The
power is cut at any recorded place, with any part of what was not flushed (``powercut_examination``), and the store is
opened as after a reboot. What was told as done must be there completely; what was not told is there completely or not
at all, address by address and snapshot by snapshot. Then the act is done again, on whatever was left, and must succeed.
Some disks live on: the act is watched while it is done again, and the power is cut once more.

``python tests/powercut_snapshots.py`` plays all scenes once; ``--rules`` takes the rules away, one at a time, and
counts the damage.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress

import powercut
from powercut_acts import BEGIN, BUSY, EMPTY, NAMES, SCENES, WEAK, Actor, Places, found_in, make_old_databases, take
from powercut_examination import Result, examine_at
from powercut_faults import Chances
from powercut_image import Disk, remove_tree, write_tree
from powercut_log import read_log
from powercut_snapshot_rules import RULES, SCENE_OF
from powercut_work import instrument

import pronto_lmdb
from pronto_lmdb.snapshots import is_id

PATIENCE = 20.0
IMAGES = 100
# What changes names or makes something durable; far fewer than the writes.
STEPS = {"mkdir", "rename", "link", "remove", "registry", "flushed"}


class Play(powercut.World):
    """A scene, played once and written down.

    Args:
        directory: for everything.
        acts: what is done, one after the other.
        rng: decides where the power is cut.
        rule: name of the rule that is taken away, or ``None``.
        life: how many power cuts the disk has survived.
        model: what is on the disk at the beginning.

    """

    def __init__(self, directory, acts, rng, rule=None, life=0, model=EMPTY):
        super().__init__(directory, rng, Chances(), life=life)
        self.acts = acts
        self.places = Places(directory)
        self.model = model
        self.survival = 0.0
        self.take_away = None if rule is None else RULES[rule]

    def record(self):
        """Let a process play the scene; return the records."""
        for path in (self.log, self.errors):
            with suppress(FileNotFoundError):
                os.unlink(path)
        self.disk = Disk(self.disk_path)
        pid = os.fork()
        if pid == 0:
            try:
                self._act()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        return read_log(self.log)

    def _act(self):
        self.prepare()
        witness = instrument(self, 1)
        log = witness.log
        try:
            store = pronto_lmdb.open(self.root, timeout=PATIENCE)
            actor = Actor(self.places, store, self.model, log.add)
            for number, act in enumerate(self.acts):
                log.add("asked", number)
                act(actor)
                log.add("told", number, actor.model)
        except BaseException:
            log.add("error", os.getpid(), 0, traceback.format_exc())

    def prepare(self):
        """Make this process one of the play: without a rule, if one is taken away, and slow to flush by itself."""
        os.environ["PRONTO_FLUSH_INTERVAL"] = "3600"
        tempfile.tempdir = self.directory  # not on the disk whose power is cut
        if self.take_away is not None:
            self.take_away()
            self.take_away = None

    # -- the judgement ---------------------------------------------------------------------------------------------

    def look(self, script, place, tree):
        """Return what is wrong with an image, and what was found in it."""
        remove_tree(self.disk_path)
        write_tree(tree, self.disk_path, self.boot)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        try:
            self.prepare()
            return self._judge(script, place)
        except BaseException:
            return traceback.format_exc(limit=-4), None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _judge(self, script, place):
        with pronto_lmdb.open(self.root, timeout=PATIENCE) as store:
            found = found_in(self.places, store)
            wrong = list(script.judge(place, found))
            wrong += [f"EXISTS: {name}" for name in NAMES if store.exists(name) != (name in found["addresses"])]
            if not wrong:
                step = script.step(place)
                wrong = self._go_on(store, found, [self.acts[step]] if step is not None else [])
                found["step"] = step
        return "; ".join(wrong), found

    def _go_on(self, store, found, acts):
        """Write to each address, do again what was cut, look at everything, and bring back what a snapshot holds."""
        actor = Actor(self.places, store, found)
        for name in list(actor.addresses):
            store[name].put("after", 1)
            actor.addresses[name]["after"] = 1
        for act in (*acts, *([take] if actor.addresses else ())):
            act(actor)
        wrong = list(differences([actor.model], found_in(self.places, store), "AGAIN"))
        for snapshot in store.snapshots():
            wrong += [f"DAMAGED: {problem.problem}" for problem in store.verify(snapshot, deep=True).problems]
        for number, name in enumerate(store.snapshots()[-1].addresses if actor.addresses else ()):
            store.restore(store.snapshots()[-1], name, to=f"back.n{number}")
            if dict(store[f"back.n{number}"].items()) != actor.addresses[str(name)]:
                wrong.append(f"WRONG: {name} is not restored to what it was")
        wrong += [f"CHECK: {problem}" for problem in store.check(deep=True).problems]
        return wrong + self._leftovers()

    def _leftovers(self):
        """Return what nobody has cleared away, though all has been done again.

        In nobody's way are a note of where a snapshot lies elsewhere that did not get its name, and what a migration
        was building: that goes with the next one that has something to do.
        """
        pending = os.path.join(self.root, "meta", "pending")
        left = [f"LEFT: pending {name}" for name in (os.listdir(pending) if os.path.isdir(pending) else ())]
        place = os.path.join(self.root, "snapshots")
        left += [
            f"LEFT: {name}"
            for name in (os.listdir(place) if os.path.isdir(place) else ())
            if not is_id(name.removesuffix(".tmp"))
        ]
        return left


class Script:
    """What was asked and told in a play, and so what may be there after a power cut.

    Args:
        model: what was there at the beginning.

    """

    def __init__(self, model):
        self.asked = []
        self.told = []
        self.wrote = []
        self.models = [model]
        self.problems = []

    def follow(self, place, record):
        if record[0] == "asked":
            self.asked.append(place)
        elif record[0] == "told":
            self.told.append(place)
            self.models.append(record[2])
        elif record[0] == "wrote":
            self.wrote.append((place, record[1]))
        elif record[0] == "error":
            self.problems.append(record[3])

    def step(self, place):
        """Return the number of the act that was asked for last."""
        return max((number for number, asked in enumerate(self.asked) if asked <= place), default=None)

    def judge(self, place, found):
        """Yield what is wrong with what was found after a power cut at a place."""
        done = sum(told <= place for told in self.told)
        possible = self.models[done : done + 2]
        if len(self.asked) == done or self.asked[done] > place:
            possible = possible[:1]
        if len(possible) > 1:
            possible = [self._counted(place, found, model, done) for model in possible]
        return differences(possible, found, "", loose=self.models[: done + len(possible)])

    def _counted(self, place, found, model, act):
        """Return a model in which the address that a thread writes to during an act is as it may be found."""
        counts = [(at, number) for at, number in self.wrote if self.asked[act] <= at]
        if act < len(self.told) and not any(at <= self.told[act] for at, _ in counts):
            return model
        before = self.models[act]["addresses"].get(BUSY, {}).get("n", 0)
        last = max([before, *(number for at, number in counts if at <= place)])
        counted = found["addresses"].get(BUSY, {})
        if counted.get("n") != counted.get("again") or counted.get("n") not in (last, last + 1):
            return model
        return {**model, "addresses": {**model["addresses"], BUSY: counted}}


def differences(possible, found, where, loose=None):
    """Yield each part of what was found that none of the possible models has.

    Args:
        possible: the models.
        found: what there is.
        where: begins each text.
        loose: all models so far: any of them may be true of the address that is not flushed at once.

    """
    for part, name in sorted({(kind, name) for model in (*possible, found) for kind in model for name in model[kind]}):
        if part == "trash" and loose is not None and name in WEAK:
            continue
        models = loose if loose is not None and part == "addresses" and name in WEAK else possible
        # An address and what it replaces change together.
        parts = ("addresses", "trash") if part == "addresses" and models is possible else (part,)
        states = [[model[each].get(name) for each in parts] for model in models]
        state = [found[each].get(name) for each in parts]
        if state not in states:
            kind = "LOST" if state[0] is None else "WRONG"
            yield f"{where}{kind}: {part} {name} is {_short(state)}, not {' or '.join(map(_short, states))}"


def _short(state):
    text = repr(state)
    return text if len(text) < 300 else f"{text[:300]}..."


# -- plays -----------------------------------------------------------------------------------------------------------


def cuts(script, records, count, rng, first):
    """Choose where to cut, in order: at the steps of an act, anywhere in it, or right behind it.

    Args:
        script: of the play.
        records: of the play.
        count: how many times.
        rng: decides.
        first: the number of the first act that matters.

    """
    places = []
    for _ in range(count):
        number = rng.randrange(first, len(script.asked))
        end = script.told[number] if number < len(script.told) else len(records) - 1
        within = range(script.asked[number], end + 1)
        steps = [place for place in within if records[place][0] in STEPS] or [end]
        mood = rng.random()
        places.append(end if mood < 0.15 else rng.choice(steps) if mood < 0.6 else rng.choice(within))
    return sorted(places)


def examine(play, count, first):
    """Play a scene and cut its power so many times; return (Result, survivors)."""
    records = play.record()
    script = Script(play.model)
    for place, record in enumerate(records):
        script.follow(place, record)
    result = Result()
    result.violations += [f"life {play.life}, live: {problem}" for problem in script.problems]
    if not script.asked:
        return result, []
    places = cuts(script, records, count, play.rng, min(first, len(script.asked) - 1))
    return result, examine_at(places, play, records, script, result)


def run(scene, seed, images, directory, rule=None, survival=0.1):
    """Play a scene, cut its power, look, let some of what is left live on, and look again; return the Result."""
    rng = random.Random(f"{scene} {seed}")
    play = Play(directory, SCENES[scene], rng, rule)
    os.mkdir(play.disk_path)
    make_old_databases(play.places)
    play.survival = survival
    later = int(images * survival)
    result, survivors = examine(play, images - later, len(BEGIN))
    rng.shuffle(survivors)
    for tree, found in survivors[: max(1, later // 5)] if later else ():
        remove_tree(play.disk_path)
        write_tree(tree, play.disk_path, play.boot)
        step = found.pop("step")
        acts = [act for act in (SCENES[scene][step], take) if found["addresses"] or act is not take]
        again = Play(directory, acts, rng, rule, 1, found)
        result.add(examine(again, 5, 0)[0])
    return result


def rounds(scenes, seeds, images, rule=None, keep=None):
    """Play some scenes several times; return the Result."""
    total = Result()
    for scene in scenes:
        for seed in seeds:
            with tempfile.TemporaryDirectory(dir=powercut.scratch()) as directory:
                result = run(scene, seed, images, directory, rule)
                result.violations = [f"{scene}, seed {seed}: {violation}" for violation in result.violations]
                if result.violations and keep is not None:
                    shutil.copytree(directory, os.path.join(keep, f"{scene}-{seed}"), dirs_exist_ok=True)
            total.add(result)
    return total


def print_rules(images, names):
    """Take the rules away, one at a time, each in the scene where it matters, and print what came of it."""
    print("| rule taken away | scene | violations / images | kinds |")
    print("|---|---|---|---|")
    for name in names or RULES:
        result = rounds([SCENE_OF[name]], range(max(1, images // IMAGES)), min(images, IMAGES), name)
        kinds = Counter(kind_of(violation) for violation in result.violations)
        listed = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
        print(f"| {name} | {SCENE_OF[name]} | {len(result.violations)} / {result.images} | {listed} |", flush=True)


def kind_of(violation):
    """Return in a word or two what a violation is."""
    for kind in ("live", "DIED", " hang", "AGAIN", "LOST", "WRONG", "DAMAGED", "CHECK", "LEFT", "EXISTS"):
        if kind in violation:
            return kind.strip()
    return "refuses"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scene", action="append", choices=SCENES, help="play only this one")
    parser.add_argument("--seed", type=int, default=0, help="the first round")
    parser.add_argument("--rounds", type=int, default=1, help="how many rounds")
    parser.add_argument("--images", type=int, default=IMAGES, help="power cuts of each play, or of each rule")
    parser.add_argument("--keep", help="directory for what is left of the plays that find something")
    parser.add_argument("--rules", nargs="*", metavar="RULE", help="take these rules away, or each")
    arguments = parser.parse_args()
    if arguments.rules is not None:
        print_rules(arguments.images, arguments.rules)
        return
    began = time.process_time(), time.monotonic()
    seeds = range(arguments.seed, arguments.seed + arguments.rounds)
    result = rounds(arguments.scene or SCENES, seeds, arguments.images, keep=arguments.keep)
    took = f"{time.monotonic() - began[1]:.1f} s"
    print(f"{result.images} images, {len(result.violations)} violations, {took}")
    for violation in result.violations:
        print(f"- {violation}")
    sys.exit(bool(result.violations))


if __name__ == "__main__":
    main()
