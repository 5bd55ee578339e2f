"""Which snapshots a policy keeps: a table of cases, and what holds for all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pronto_lmdb import InvalidValueError
from pronto_lmdb.retention import Policy, kept

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


def at(*texts):
    return {text: datetime.fromisoformat(text).replace(tzinfo=UTC) for text in texts}


DAILY = at(*(f"2026-03-{day:02}T06:00" for day in range(1, 32)))


@pytest.mark.parametrize(
    ("moments", "policy", "expected"),
    [
        ({}, Policy(last=3), []),
        (DAILY, Policy(last=1), ["2026-03-31T06:00"]),
        (DAILY, Policy(last=3), ["2026-03-31T06:00", "2026-03-30T06:00", "2026-03-29T06:00"]),
        (DAILY, Policy(last=100), sorted(DAILY, reverse=True)),
        (DAILY, Policy(daily=2), ["2026-03-31T06:00", "2026-03-30T06:00"]),
        # Weeks begin on Monday: the 30th, the 23rd and the 16th were Mondays.
        (DAILY, Policy(weekly=3), ["2026-03-31T06:00", "2026-03-29T06:00", "2026-03-22T06:00"]),
        (DAILY, Policy(monthly=1), ["2026-03-31T06:00"]),
        # One month only, where six may be kept: the oldest stays as well.
        (DAILY, Policy(monthly=6), ["2026-03-31T06:00", "2026-03-01T06:00"]),
        (DAILY, Policy(within=86400), ["2026-03-31T06:00"]),
        (DAILY, Policy(within=2 * 86400), ["2026-03-31T06:00", "2026-03-30T06:00"]),
        # Nothing is young enough, and the newest is kept all the same.
        (DAILY, Policy(within=60), ["2026-03-31T06:00"]),
        # The rules overlap: none counts what another one keeps.
        (DAILY, Policy(last=2, daily=2), ["2026-03-31T06:00", "2026-03-30T06:00"]),
        (DAILY, Policy(last=1, weekly=2), ["2026-03-31T06:00", "2026-03-29T06:00"]),
        (
            at("2026-03-31T10:59", "2026-03-31T10:00", "2026-03-31T09:30", "2026-03-31T09:00"),
            Policy(hourly=2),
            ["2026-03-31T10:59", "2026-03-31T09:30"],
        ),
        # The same hour of two days, the same day of two months, the same month of two years.
        (at("2026-03-31T10:00", "2026-03-30T10:00"), Policy(hourly=2), ["2026-03-31T10:00", "2026-03-30T10:00"]),
        (at("2026-03-15T10:00", "2026-02-15T10:00"), Policy(daily=2), ["2026-03-15T10:00", "2026-02-15T10:00"]),
        (at("2026-03-15T10:00", "2025-03-15T10:00"), Policy(monthly=2), ["2026-03-15T10:00", "2025-03-15T10:00"]),
        # One week, across the end of a year.
        (at("2026-01-01T10:00", "2025-12-30T10:00"), Policy(weekly=1), ["2026-01-01T10:00"]),
    ],
)
def test_a_policy_keeps_exactly(moments, policy, expected):
    assert list(kept(moments, policy, NOW)) == expected


def test_each_kept_snapshot_has_its_reasons():
    found = kept(DAILY, Policy(last=1, daily=2, weekly=2, within=3600 * 31), NOW)
    assert found == {
        "2026-03-31T06:00": ["newest", "last", "daily", "weekly", "within"],
        "2026-03-30T06:00": ["daily", "within"],
        "2026-03-29T06:00": ["weekly"],
    }


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(last=0),
        Policy(daily=-1),
        Policy(weekly=True),
        Policy(monthly=1.0),
        Policy(last="3"),
        Policy(within=0),
        Policy(within=float("nan")),
        Policy(within=float("inf")),
    ],
)
def test_a_policy_that_says_nothing_or_nonsense_is_refused(policy):
    with pytest.raises(InvalidValueError):
        policy.checked()


MOMENTS = st.dictionaries(
    st.text("abcdef0123456789", min_size=4, max_size=8),
    st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes)),
    max_size=40,
)
COUNTS = st.none() | st.integers(1, 12)
POLICIES = st.builds(Policy, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.none() | st.integers(1, 10**8))


@given(MOMENTS, POLICIES)
def test_the_newest_is_always_kept(moments, policy):
    if moments:
        newest = max(moments, key=lambda name: (moments[name], name))
        assert kept(moments, policy, NOW)[newest][0] == "newest"


@given(MOMENTS, POLICIES)
def test_a_second_pruning_removes_nothing(moments, policy):
    once = kept(moments, policy, NOW)
    assert kept({name: moments[name] for name in once}, policy, NOW).keys() == once.keys()


@given(MOMENTS, POLICIES, st.sampled_from(Policy._fields))
def test_who_keeps_more_loses_none(moments, policy, rule):
    value = getattr(policy, rule)
    longer = policy._replace(**{rule: 1 if value is None else value + 1})
    if rule != "within" and value is not None and value < 3:
        longer = policy._replace(**{rule: value * 3})
    before, after = kept(moments, policy, NOW).keys(), kept(moments, longer, NOW).keys()
    # The oldest is kept for want of others only.
    oldest = min(moments, key=lambda name: (moments[name], name), default=None)
    assert before - after <= {oldest}


@given(MOMENTS, POLICIES, st.permutations(range(40)))
def test_the_order_of_the_snapshots_does_not_matter(moments, policy, order):
    names = sorted(moments)
    shuffled = {names[at]: moments[names[at]] for at in order if at < len(names)}
    assert kept(shuffled, policy, NOW) == kept(moments, policy, NOW)
