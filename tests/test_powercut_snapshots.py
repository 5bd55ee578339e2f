"""No power cut spoils a snapshot, a restore, a copy, an export or a migration; and the simulator would notice."""

from __future__ import annotations

import os

import powercut_snapshots
import pytest
from powercut_acts import EMPTY, LOOSE, SCENES
from powercut_snapshot_rules import RULES, SCENE_OF
from powercut_snapshots import Script, differences

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the simulator knows Linux")

IMAGES_EACH = 32
SOAK = range(1000, 1010)
# Found so often that a few images tell.
COMMON = [
    "the data files of a snapshot are flushed",
    "the names in a snapshot are flushed before it gets its own",
    "the name of a snapshot is flushed",
    "what is built beside is flushed",
]


@pytest.mark.parametrize("scene", SCENES)
def test_what_was_told_is_there_and_what_was_not_is_whole_or_absent(scene):
    result = powercut_snapshots.rounds([scene], [0], IMAGES_EACH)

    assert result.violations == []
    assert result.images >= IMAGES_EACH * 0.8


@pytest.mark.parametrize("rule", COMMON)
def test_it_is_noticed_when_a_rule_is_taken_away(rule):
    assert powercut_snapshots.rounds([SCENE_OF[rule]], [0], 20, rule).violations != []


@pytest.mark.soak
@pytest.mark.parametrize("scene", SCENES)
def test_that_is_so_for_a_thousand_power_cuts_of_each_scene(scene):
    result = powercut_snapshots.rounds([scene], SOAK, 100)

    assert result.violations == [], "rerun: python tests/powercut_snapshots.py --scene, with this seed"


@pytest.mark.soak
@pytest.mark.parametrize("rule", RULES)
def test_each_rule_keeps_something_from_happening(rule):
    for seed in range(30):
        if powercut_snapshots.rounds([SCENE_OF[rule]], [seed], 100, rule).violations:
            return
    pytest.fail("3,000 power cuts spoiled nothing")


# -- the judgement ---------------------------------------------------------------------------------------------------


def model(**parts):
    return {**EMPTY, **parts}


def script(*models):
    """Return the script of a play that asked for one act after the other, at the places 10, 20, ..., told 5 later."""
    made = Script(models[0])
    for number, each in enumerate(models[1:], 1):
        made.follow(10 * number, ("asked", number - 1))
        made.follow(10 * number + 5, ("told", number - 1, each))
    return made


OLD, NEW = model(addresses={"a": {"k": 1}}), model(addresses={"a": {"k": 2}}, trash={"a": [{"k": 1}]})
HALF = model(addresses={"a": {"k": 2}})


@pytest.mark.parametrize(
    ("place", "found", "right"),
    [
        (9, OLD, True), (9, NEW, False), (10, OLD, True), (10, NEW, True), (14, NEW, True), (14, HALF, False),
        (14, EMPTY, False), (15, NEW, True), (15, OLD, False), (19, OLD, False), (20, OLD, True), (20, NEW, True),
        (25, NEW, False), (99, OLD, True),
    ],
)  # fmt: skip
def test_before_an_answer_both_states_are_right_and_behind_it_one(place, found, right):
    assert (list(script(OLD, NEW, OLD).judge(place, found)) == []) == right


def test_each_snapshot_is_judged_by_itself():
    before, after = model(snapshots={"1": {}, "2": {}, "3": {}}), model(snapshots={"3": {}})

    assert list(differences([before, after], model(snapshots={"2": {}, "3": {}}), "")) == []
    assert len(list(differences([before, after], model(snapshots={"1": {}, "2": {"a": {}}}), ""))) == 2


def test_what_is_not_flushed_may_be_anything_that_it_was():
    models = [model(addresses={LOOSE: {"z": number}}) for number in range(4)]
    judged = script(*models)

    for found, right in ((models[0], True), (models[2], True), (models[3], False)):
        assert (list(judged.judge(29, found)) == []) == right
    assert list(judged.judge(29, model(addresses={LOOSE: {"z": 9}})))


def test_the_act_that_was_asked_for_last_is_done_again():
    judged = script(OLD, NEW, OLD)

    assert [judged.step(place) for place in (0, 10, 19, 20, 99)] == [None, 0, 0, 1, 1]


def test_every_rule_has_a_scene():
    assert set(SCENE_OF.values()) <= set(SCENES)
    assert RULES.keys() == SCENE_OF.keys()
