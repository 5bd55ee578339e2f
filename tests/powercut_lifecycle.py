"""Let every step of the life cycle of an address go wrong, one after the other, and cut the power behind it.

An operation is played once undisturbed, and lists the places it comes to; then it is played anew for each of them, and
dies there, or gets an error there. Others may come behind it, also when the view was lost.

``python tests/powercut_lifecycle.py [PLAY ...]`` explores these plays, or all, and prints what is wrong.
"""

from __future__ import annotations

import argparse
import marshal
import random
import tempfile
import time
from bisect import bisect
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple

import powercut
from powercut_examination import Result, examine_at
from powercut_image import Disk
from powercut_log import Log, read_log
from powercut_scenes import Scene, big, look, sync, x
from powercut_story import Story

from pronto_lmdb.identity import LEVELS, OFF

# What a log says of changes.
CHANGES = {"create", "mkdir", "link", "write", "size", "reserve", "content", "rename", "remove", "registry", "publish"}

# -- what goes wrong -------------------------------------------------------------------------------------------------


def _is_failpoint(place):
    return place.startswith(("before ", "after ", "in "))


def _takes_room(place):
    return not _is_failpoint(place) and place != "end of write" and not _is_flush(place)


def _is_flush(place):
    return place in ("flush", "flush of names", "flush of the view")


class Fault(NamedTuple):
    """What may go wrong at some places."""

    meets: object  # tells whether it can happen at a place
    answer: object  # of a script
    lasts: bool = False  # from there to the end of the operation


FAULTS = {
    "dies": Fault(_is_failpoint, "die"),
    "meets a full disk": Fault(_takes_room, 1),
    "meets a disk that stays full": Fault(_takes_room, 1, lasts=True),
    "writes only a part": Fault(lambda place: place == "end of write", 1),
    "meets a flush that fails": Fault(_is_flush, 1),
}


class Listing:
    """A script by which nothing happens: places are written down as the operation comes to them."""

    def __init__(self, log):
        self._log = log

    def get(self, place):
        self._log.add("faced", place)


class Nth:
    """A script by which a fault happens at the n-th place where it can, from 1."""

    def __init__(self, fault, number):
        self._fault = fault
        self._left = number

    def get(self, place):
        if not self._fault.meets(place):
            return None
        self._left -= 1
        return self._fault.answer if self._left == 0 or (self._left < 0 and self._fault.lasts) else None

    def __setitem__(self, place, left):
        """Forget that a call was counted: this one counts itself."""


# -- the plays -------------------------------------------------------------------------------------------------------


def again(keystore):
    keystore.put("x", 2)


def create(keystore):
    keystore._store.create(keystore.address)


def delete(keystore):
    keystore._store.delete(keystore.address)


def undelete(keystore):
    keystore._store.undelete(keystore.address)


def undelete_elsewhere(keystore):
    keystore._store.undelete(keystore.address, "carol.main")


def rename(keystore):
    keystore._store.rename(keystore.address, "bob.main")


def rename_back(keystore):
    keystore._store.rename("bob.main", keystore.address)


def to_full(keystore):
    keystore._store.set_durability(keystore.address, "full")


def to_normal(keystore):
    keystore._store.set_durability(keystore.address, "normal")


def to_off(keystore):
    keystore._store.set_durability(keystore.address, "off")


def quota(keystore):
    keystore._store.set_quota(keystore.address, 50_000_000)


def compact(keystore):
    keystore._store.compact(keystore.address)


def purge(keystore):
    keystore._store.purge()


# These last at every level once they are acknowledged.
LASTING = {create, delete, undelete, undelete_elsewhere, rename, rename_back, to_full, to_normal, to_off}
BEGUN = (x, sync, again)  # at the level "off" the last of them is nowhere but in the view
# At the level "off" what it deletes is then not saved.
FULL_DISK = (delete, {"rename to base": 1})

# What was done before, the operation that is disturbed, and what comes next.
PLAYS = {
    "create": ((), create, x),
    "first write": ((), x, delete),
    "write behind a delete": ((*BEGUN, delete), x, undelete_elsewhere),
    "delete": (BEGUN, delete, undelete),
    "delete what was never saved": ((x,), delete, undelete_elsewhere),
    "delete, then write": (BEGUN, delete, x),
    "delete again": ((*BEGUN, delete, x), delete, undelete),
    "undelete": ((*BEGUN, delete), undelete, delete),
    "undelete elsewhere": ((*BEGUN, delete), undelete_elsewhere, x),
    "undelete what was deleted on a full disk": ((*BEGUN, FULL_DISK), undelete_elsewhere, delete),
    "undelete one of two": ((*BEGUN, delete, x), undelete_elsewhere, delete),
    "rename": (BEGUN, rename, rename_back),
    "rename what was never saved": ((x,), rename, x),
    "rename, then write": (BEGUN, rename, x),
    "rename back": ((*BEGUN, rename), rename_back, rename),
    "rename beside a deleted one": ((*BEGUN, delete, x), rename, undelete),
    "to full": (BEGUN, to_full, delete),
    "to normal": (BEGUN, to_normal, rename),
    "to off": (BEGUN, to_off, delete),
    "to off, then back": (BEGUN, to_off, to_full),
    "quota": (BEGUN, quota, rename),
    "compact": ((*BEGUN, big), compact, rename),
    "purge": ((*BEGUN, delete), purge, x),
    "purge beside a live one": ((*BEGUN, delete, x), purge, delete),
}


class Judged(powercut.World):
    """A world that looks once at images that are the same to the byte."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._seen = {}

    def look(self, story, place, tree):
        known = (marshal.dumps(tree), bisect(story.answers, place))
        if known not in self._seen:
            self._seen[known] = super().look(story, place, tree)
        return self._seen[known]


class Play(Scene):
    """A scene whose operations say what lasts. Nothing may fail but where a fault was planned."""

    world_of = Judged

    def __init__(self, directory, level):
        super().__init__(directory, durability=level)
        self.world.disk = PlainDisk(self.world.disk_path)

    def _do(self, worker, verb, accidents):
        def promised(keystore):
            if verb is purge:
                for path in powercut.directories(worker.world.root, "trash"):
                    worker.log.add("doomed", powercut.describe(path)[0])
            verb(keystore)
            # On a full disk it is deleted all the same; at this level a power cut may undo that (docs/durability.md).
            if verb in LASTING and not (verb is delete and worker.disk_fails and worker.witness.level == OFF):
                worker.strong_floors()

        promised.__name__ = verb.__name__
        worker.witness.observer.script = accidents
        worker.disk_fails = accidents != {}
        worker.operate(promised, "alice.main")

    @contextmanager
    def listing(self):
        log = Log(self.world.log)
        yield Listing(log)
        log.close()

    def ends(self):
        """Return how many records there are by now."""
        return len(read_log(self.world.log))

    def judged(self, places, count):
        """Cut the power at some places, so many times at each; return how often that was and what is wrong."""
        records = read_log(self.world.log)
        story = Story([])
        for place, record in enumerate(records):
            story.follow(place, record)
        result = Result()
        examine_at([place for place in places for _ in range(count)], self.world, records, story, result)
        return result.images, story.problems + result.violations


class Extreme(random.Random):
    """Chance that always draws the same: all that is not on the disk for sure has come to it, or nothing has."""

    def __init__(self, drawn):
        super().__init__(0)
        self._drawn = drawn

    def random(self):
        return self._drawn

    def choice(self, options):
        return options[0]

    def randint(self, _, last):
        return last


ALL, NOTHING = 0.1, 0.25


class PlainDisk(Disk):
    """A disk of which the first images at a place are the plain ones: with all that came later, and with nothing."""

    def follow(self, place, record):
        self._drawn = [ALL, NOTHING]
        super().follow(place, record)

    def image(self, random):
        return super().image(Extreme(self._drawn.pop(0)) if self._drawn else random)


# -- exploring -------------------------------------------------------------------------------------------------------


class Explored:
    """What came of a play."""

    def __init__(self):
        self.cases = 0
        self.images = 0
        self.wrong = []

    def take(self, case, judged):
        images, wrong = judged
        self.cases += 1
        self.images += images
        self.wrong += [f"{case}: {each}" for each in wrong]


def places_of(records):
    """Return for each fault the places at which it can happen in an operation that was listed: (number, name).

    One place is enough of all those before the first change, and one to die at of those between which nothing happens.
    """
    met, found = dict.fromkeys(FAULTS, 0), {name: {} for name in FAULTS}
    begun, events = False, 0
    for kind, *details in records:
        if kind != "faced":
            begun |= kind in CHANGES
            events += 1
            continue
        for name, fault in FAULTS.items():
            if fault.meets(details[0]):
                met[name] += 1
                moment = events if name == "dies" else met[name]
                found[name][moment if begun else 0] = (met[name], details[0])
    return {name: list(places.values()) for name, places in found.items()}


SEQUELS = ("looked at", "view lost", "goes on", "another")


class Case:
    """One play, and what goes wrong in it.

    Args:
        play: one of ``PLAYS``.
        level: of the address when it is made.

    """

    def __init__(self, play, level):
        self.name = f"{play} at {level}"
        self.level = level
        self._before, self._operation, self._after = PLAYS[play]

    def listed(self, scene):
        """Play undisturbed; return the places of the disturbed operation and of the next, and the record of both."""
        scene.play(*self._begin())
        ends = [scene.ends()]
        for verb in (self._operation, self._after):
            with scene.listing() as script:
                scene.play((verb, script))
            ends.append(scene.ends())
        records = read_log(scene.world.log)
        first, second = (places_of(records[begin:end]) for begin, end in pairwise(ends))
        return first, second, range(ends[0], ends[-1])

    def played(self, scene, script, sequel, second=None):
        """Play with one fault, and what comes behind it, maybe with another; return where to cut the power."""
        disturbed = [*self._begin(), (self._operation, script)]
        after = (self._after, second or {})
        scene.play(*disturbed, *([after] if sequel == "goes on" else []))
        cuts = [scene.ends() - 1]
        if sequel == "view lost":
            scene.lose_view()
        if sequel == "another" or (second and sequel != "goes on"):
            scene.play(after)
            cuts.append(scene.ends() - 1)
        if sequel != "another" or second:
            scene.play((look, {}))
            cuts.append(scene.ends() - 1)
        return cuts

    def _begin(self):
        return [step if isinstance(step, tuple) else (step, {}) for step in self._before]


@contextmanager
def staged(level):
    with tempfile.TemporaryDirectory(dir=powercut.scratch()) as directory:
        yield Play(directory, level)


def explore(play, level, count=6, every=1, pairs=0):
    """Play with each fault at each step, or at each so-manieth, and with some pairs of faults.

    Args:
        play: one of ``PLAYS``.
        level: of the address when it is made.
        count: power cuts at each place behind a fault.
        every: 1 for all.
        pairs: how many cases in which the next operation is disturbed as well.

    """
    explored, case, rng = Explored(), Case(play, level), random.Random(f"{play} {level}")
    with staged(level) as scene:
        first, second, moments = case.listed(scene)
        explored.take(case.name, scene.judged(moments[:: max(1, every // 8)], 2))
    faults, more = (
        [(fault, *place) for fault, places in found.items() for place in places] for found in (first, second)
    )
    cases = [
        (fault, sequel, None) for fault in faults for sequel in SEQUELS if (fault[0], sequel) != ("dies", "goes on")
    ]
    cases = cases[::every]
    if faults and more:
        cases += [(rng.choice(faults), rng.choice(SEQUELS), rng.choice(more)) for _ in range(pairs)]
    for (fault, number, place), sequel, then in cases:
        name = f"{case.name}, {fault}, {number} ({place}), {sequel}"
        script, next_script = Nth(FAULTS[fault], number), None
        if then is not None:
            next_script = Nth(FAULTS[then[0]], then[1])
            name += f", then {then[0]}, {then[1]} ({then[2]})"
        with staged(level) as scene:
            explored.take(name, scene.judged(case.played(scene, script, sequel, next_script), count))
    return explored


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("plays", nargs="*", metavar="PLAY", help=f"of {', '.join(PLAYS)}")
    parser.add_argument("--level", nargs="*", default=list(LEVELS), help="levels")
    parser.add_argument("--every", type=int, default=1, help="take one of so many cases")
    parser.add_argument("--pairs", type=int, default=0, help="so many cases of two faults for each play")
    arguments = parser.parse_args()
    for play in arguments.plays or PLAYS:
        for level in arguments.level:
            began = time.monotonic()
            explored = explore(play, level, every=arguments.every, pairs=arguments.pairs)
            took = time.monotonic() - began
            print(f"{play} at {level}: {explored.cases} cases, {explored.images} images, {took:.1f} s", flush=True)
            for wrong in explored.wrong:
                print(f"- {wrong}", flush=True)


if __name__ == "__main__":
    main()
