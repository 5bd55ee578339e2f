"""No power cut breaks a promise; and the simulator that says so would notice if one did."""

from __future__ import annotations

import os

import powercut
import pytest
from powercut_examination import Result
from powercut_rules import RULES
from powercut_scenes import (
    Scene,
    add_k,
    big,
    delete,
    delete_and_die,
    full,
    group,
    k,
    look,
    one,
    padding,
    rename,
    rename_and_die,
    rename_for_ever,
    sync,
    undelete,
    x,
)
from processes import gathered

from pronto_lmdb.identity import State
from pronto_lmdb.journal_format import HEADER_SIZE, Header, encode_frame, frames

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the simulator knows Linux")

IMAGES_EACH = 60
SUITE = range(36)
SOAK = range(1000, 1000 + 50_000 // 100)
PATIENCE = 20.0  # seconds for a round
PROCESSES = 2  # that play rounds at the same time: half of a round is waiting


def played(seeds, images):
    """Play rounds; fail if a promise was broken, and return how many images there were."""
    works = [(powercut.answer, (seeds[number::PROCESSES], images)) for number in range(PROCESSES)]
    total = Result()
    found = []
    for result, some in gathered(works, PATIENCE * len(seeds)):
        total.add(result)
        found += some
    assert total.violations == [], f"rerun: python tests/powercut.py --images {images} --seed, one of {sorted(found)}"
    return total.images


@pytest.mark.timeout(900)
def test_what_was_promised_survives_a_power_cut():
    assert played(SUITE, IMAGES_EACH) > 2_000


@pytest.mark.soak
def test_what_was_promised_survives_fifty_thousand_power_cuts():
    assert played(SOAK, 100) > 40_000


# -- scenes: what chance finds too rarely ----------------------------------------------------------------------------


FIRST = [(x, {})]
DIES_IN_FLUSH = [(k, {"in flush": "die"})]
DIES_UNTOLD = [(k, {"flush": 1, "after failed flush": "die"})]
DIES_IN_CHECKPOINT = [(big, {"after rename to base": "die"})]
REFUSED = [(x, {}), (k, {"commit": 1})]
LOST_VIEW = "the view is lost"

# What each rule keeps from happening: what one process after the other does, and which accident happens to it.
SCENES = {
    "an answer without a change is flushed too": [FIRST, DIES_IN_FLUSH, [(add_k, {})]],
    "a refused write is taken back": [REFUSED],
    "every frame of a refused group is taken back": [[(x, {}), (group, {"commit": 1}), (one, {})]],
    "it is taken back durably": [REFUSED],
    "a flush covers what was committed, not the size of the file": [
        FIRST,
        [(big, {"after write": "die"})],
        [(x, {}), (x, {})],
    ],
    "after a failed flush a checkpoint comes first": [[(x, {}), (k, {"flush": 1}), (x, {})]],
    "a process that comes later learns of a failed flush": [FIRST, [(k, {"flush": 1})], [(x, {})]],
    "who ends the checkpoint of another flushes the name of the base": [FIRST, DIES_IN_CHECKPOINT, [(x, {})]],
    "a checkpoint that came to its end is not undone": [FIRST, DIES_IN_CHECKPOINT, [(sync, {})]],
    "recovery writes the journal anew": [FIRST, DIES_UNTOLD, LOST_VIEW, [(x, {})]],
    "recovery flushes the name of the journal": [FIRST, DIES_IN_FLUSH, LOST_VIEW, [(add_k, {})]],
    "a note is left before a life-cycle operation": [[(x, {}), (rename, {"before rename to bob.main": "die"})]],
}

# What no rule covers, and was wrong once.
ACCIDENTS = {
    "the header of a journal is written in two pieces": ("off", [(x, {}), (sync, {"end of write": 1})]),
    "a checkpoint fails when the base gets its name": ("full", [(x, {}), (big, {"rename to base": 1})]),
    "a checkpoint fails when that name is flushed": ("full", [(x, {}), (big, {"flush of names": 2})]),
    "a checkpoint fails at its end, and the next one too": (
        "full",
        [(x, {}), (big, {"flush of names": 2}), (big, {"flush of names": 1}), (x, {})],
    ),
    "leaving off fails": ("off", [(x, {}), (full, {"rename to base": 1}), (full, {})]),
    "sync() fails": ("off", [(x, {}), (sync, {"rename to base": 1}), (sync, {})]),
    "a refused write is half overwritten by a shorter one": ("normal", [(padding, {}), (k, {"commit": 1}), (x, {})]),
    "who renames an address dies when it has its name": (
        "full",
        [(x, {}), (rename, {"after rename to bob.main": "die"})],
        [(sync, {})],
    ),
    "who makes the root dies": ("full", [(x, {"after mkdir root": "die"})], FIRST),
    "who makes the trash dies": ("full", [(x, {"after mkdir trash": "die"})], [(x, {}), (delete, {})]),
    "who makes an address dies before it has its name": ("full", [(x, {"before rename to alice.main": "die"})]),
    "who recovers an address dies when its view may be trusted": (
        "full",
        FIRST,
        [(k, {"after write": "die"})],
        LOST_VIEW,
        [(x, {"after rename to marker": "die"})],
        [(x, {})],
    ),
    "what was deleted on a full disk is not brought back": (
        "off",
        [(x, {}), (delete, {"rename to base": 1}), (undelete, {"commit": 1})],
    ),
    "what was deleted on a full disk is brought back by one who dies": (
        "off",
        [(x, {}), (delete, {"rename to base": 1}), (undelete, {"before rename to carol.main": "die"})],
    ),
    "who deletes on a full disk dies when it lies in the trash": (
        "off",
        [(x, {}), (delete_and_die, {"rename to base": 1})],
    ),
    "who renames an address dies when only the journal says so, and another one comes": (
        "full",
        [(x, {}), (rename_and_die, {})],
        [(look, {})],
    ),
    "a rename is refused, and the disk refuses to forget it": (
        "full",
        [(x, {}), (rename_for_ever, {"commit": 1})],
        [(look, {})],
    ),
    "who makes an address dies when it has its name": ("off", [(x, {"after rename to alice.main": "die"})], FIRST),
}


def play(scene, acts):
    for act in acts:
        scene.lose_view() if act is LOST_VIEW else scene.play(*act)
    return scene


@pytest.mark.parametrize("accident", ACCIDENTS)
def test_an_accident_breaks_no_promise(accident, tmp_path):
    durability, *acts = ACCIDENTS[accident]

    assert play(Scene(tmp_path, durability=durability), acts).violations() == []


@pytest.mark.parametrize("rule", SCENES)
def test_a_rule_prevents_what_happens_without_it(rule, tmp_path):
    for name in ("with", "without"):
        (tmp_path / name).mkdir()

    assert play(Scene(tmp_path / "with"), SCENES[rule]).violations() == []
    assert play(Scene(tmp_path / "without", rule), SCENES[rule]).violations() != []


FAILED_FLUSHES = {"full": [(one, {"flush": 1})], "normal": [(one, {}), (sync, {"flush": 1})]}


@pytest.mark.parametrize("durability", FAILED_FLUSHES)
def test_a_failed_checkpoint_of_one_who_found_the_journal_spoiled_misleads_nobody(durability, tmp_path, monkeypatch):
    monkeypatch.setenv("PRONTO_FLUSH_INTERVAL", "3600")
    scene = Scene(tmp_path, durability=durability)

    with scene.beside((x, {}), (x, {})):
        # The position is stored with the first of these, and behind the last it would have to be looked for.
        scene.play((x, {}), (k, {}), *FAILED_FLUSHES[durability])
        scene.play((x, {"rename to base": 1}))

    assert scene.violations() == []


CHECKSUM = "the checksum of a frame continues that of the frame before"  # nothing else leaves old frames to be found


def test_a_frame_follows_only_the_one_it_was_written_behind():
    header = Header(b"j" * 16, b"k" * 16, 0, genesis=True)
    state, checksum, old, new = State(), header.checksum(), [], []
    for written, value in ((old, b"1"), (new, b"2")):
        last = checksum
        for state.revision in (1, 2, 3):
            frame, last = encode_frame(last, state, [(b"key", value)])
            written.append(b"".join(frame))

    def replayed(*parts):
        content = header.encode() + b"".join(parts)
        assert len(header.encode()) == HEADER_SIZE
        return [dict(frame.changes())[b"key"] for frame in frames(memoryview(content), header)]

    assert replayed(*new) == [b"2"] * 3
    assert replayed(new[0], *old[1:]) == [b"2"]


@pytest.mark.soak
@pytest.mark.parametrize("rule", sorted(RULES.keys() - SCENES.keys() - {CHECKSUM}))
def test_chance_finds_what_happens_without_a_rule(rule):
    for seed in range(200):
        if powercut.rounds([seed], 60, rule)[0].violations:
            return
    pytest.fail("12,000 power cuts broke nothing")
