"""Whatever goes wrong at any step of the life cycle of an address, no power cut behind it breaks a promise."""

from __future__ import annotations

import os
from itertools import cycle

import pytest
from powercut_lifecycle import PLAYS, explore

from pronto_lmdb.identity import LEVELS

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the simulator knows Linux")


@pytest.fixture(autouse=True)
def nobody_flushes_on_time(monkeypatch):
    monkeypatch.setenv("PRONTO_FLUSH_INTERVAL", "3600")


# One level for each play; all of them together have every level with every kind of operation.
@pytest.mark.parametrize(("play", "level"), list(zip(PLAYS, cycle(("off", "full", "off", "normal")), strict=False)))
def test_what_goes_wrong_in_an_operation_breaks_no_promise(play, level):
    explored = explore(play, level, count=3, every=67)

    assert explored.wrong == []
    assert explored.images > 10


@pytest.mark.soak
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("play", PLAYS)
def test_nothing_that_goes_wrong_in_an_operation_breaks_a_promise(play, level):
    assert explore(play, level, every=3, pairs=30).wrong == []
