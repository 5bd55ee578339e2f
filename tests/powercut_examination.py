"""Draw the images of a disk after power cuts, and have each looked into in a process that a torn file may kill."""

from __future__ import annotations

import marshal
import os
import random
import signal
import sys
import traceback
from collections import Counter

from powercut_rules import RULES
from powercut_work import shrink


class Result:
    """What came of a number of images."""

    def __init__(self):
        self.images = 0
        self.violations = []
        self.counts = Counter()

    def add(self, other):
        self.images += other.images
        self.violations += other.violations
        self.counts += other.counts


def examine_at(places, world, records, story, result):
    """Draw an image at each of some places, which are in order, and look inside; return the survivors."""
    seed = world.rng.getrandbits(48)
    survivors, first = [], 0
    while first < len(places):
        first = _examine_in_child(world, records, story, places, first, seed, result, survivors)
    result.images += len(places)
    return survivors


def _examine_in_child(world, records, story, places, first, seed, result, survivors):
    """Examine images in a process of its own, which a torn file may kill; return the number of the next image."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _examiner(world, records, story, places, first, seed, writing)
    os.close(writing)
    done = first
    with open(reading, "rb") as answers:
        while True:
            try:
                wrong, survivor = marshal.load(answers)
            except (EOFError, ValueError):
                break
            if wrong:
                result.violations.append(f"life {world.life}, image {done} at {places[done]}: {wrong}")
            if survivor:
                survivors.append(survivor)
            done += 1
    status = os.waitpid(pid, 0)[1]
    if done < len(places):
        end = "hang" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM else f"DIED with {status}"
        result.violations.append(f"life {world.life}, image {done} at {places[done]}: {end}")
        done += 1
    return done


def _examiner(world, records, story, places, first, seed, writing):
    """Answer for each image with what is wrong with it; never returns."""
    try:
        if world.rule is not None:
            RULES[world.rule]()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # LMDB and the allocator complain at length about torn files
        shrink(2048, f"boot-{world.life + 1}")
        answers = os.fdopen(writing, "wb")
        at = 0
        for number, place in enumerate(places):
            while at <= place:
                world.disk.follow(at, records[at])
                at += 1
            rng = random.Random(f"{seed} {number}")
            if number >= first:
                tree = world.disk.image(rng)
                wrong, found = world.look(story, place, tree)
                lives_on = found is not None and world.life < 3 and rng.random() < world.survival
                answers.write(marshal.dumps((wrong, (tree, found) if lives_on and not wrong else None)))
                answers.flush()
    except BaseException:
        traceback.print_exc(file=sys.__stdout__)
    finally:
        os._exit(0)
