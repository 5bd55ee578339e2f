"""Whatever goes wrong at any step of the life cycle of an address, no power cut behind it breaks a promise."""

from __future__ import annotations

import os
from itertools import cycle

import pytest
from powercut_image import Change, File
from powercut_lifecycle import ALL, FAULTS, NOTHING, PLAYS, Extreme, Nth, explore, places_of

from pronto_lmdb.identity import LEVELS

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the simulator knows Linux")

# One level for each play here; every third case of each level, and pairs of faults, in the long form.
LEVELS_IN_TURN = list(zip(PLAYS, cycle(("off", "full", "off", "normal")), strict=False))


@pytest.fixture
def _nobody_flushes_on_time(monkeypatch):
    monkeypatch.setenv("PRONTO_FLUSH_INTERVAL", "3600")


@pytest.mark.parametrize(("play", "level"), LEVELS_IN_TURN)
@pytest.mark.usefixtures("_nobody_flushes_on_time")
def test_what_goes_wrong_in_an_operation_breaks_no_promise(play, level):
    explored = explore(play, level, count=3, every=83)

    assert explored.wrong == []
    assert explored.images > 10


@pytest.mark.soak
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("play", PLAYS)
@pytest.mark.usefixtures("_nobody_flushes_on_time")
def test_nothing_that_goes_wrong_in_an_operation_breaks_a_promise(play, level):
    assert explore(play, level, every=5, pairs=20).wrong == []


# -- the exploration itself ------------------------------------------------------------------------------------------


def test_one_place_stands_for_those_between_which_nothing_happens():
    records = [
        ("faced", "before mkdir root"), ("faced", "before open note"), ("create", 1, "note", 2),
        ("faced", "after open note"), ("faced", "before write"), ("faced", "write"), ("write", 2, 0, b"text"),
        ("faced", "after write"), ("faced", "write"),
    ]  # fmt: skip

    found = places_of(records)

    assert found["dies"] == [(2, "before open note"), (4, "before write"), (5, "after write")]
    assert found["meets a full disk"] == [(1, "write"), (2, "write")]


@pytest.mark.parametrize(
    ("fault", "answers"), [("meets a full disk", [None, 1, None]), ("meets a disk that stays full", [None, 1, 1])]
)
def test_a_script_counts_the_places_that_a_fault_can_meet(fault, answers):
    script = Nth(FAULTS[fault], 2)
    assert script.get("before write") is None

    assert [script.get("write") for _ in answers] == answers


def test_the_plain_images_are_all_and_nothing():
    file = File(b"old")
    file.pending = [Change(1, "write", 0, b"new"), Change(2, "write", 3, b"er")]

    assert file.image(Extreme(ALL)) == b"newer"
    assert file.image(Extreme(NOTHING)) == b"old"
