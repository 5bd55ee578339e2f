"""Which snapshots to keep: a pure function of when they were made, of a policy, and of the time that it is.

The rules overlap: each says by itself what it keeps, and a snapshot goes only where none of them wants it. Hours, days,
weeks and months begin in UTC. A rule that finds fewer periods than it may keep keeps the oldest snapshot as well, so
that the history reaches back as far as it can from the beginning. The newest snapshot is always kept.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from pronto_lmdb.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

_MOST = 1_000_000
_LONGEST = 1e10


class Policy(NamedTuple):
    """What to keep: so many of the newest, one for each of so many hours, days, weeks and months, all of some seconds.

    A week begins on Monday. What is ``None`` keeps nothing.
    """

    last: int | None = None
    hourly: int | None = None
    daily: int | None = None
    weekly: int | None = None
    monthly: int | None = None
    within: float | None = None

    def checked(self) -> Policy:
        """Return it, if it can be meant.

        Raises:
            InvalidValueError: if it says nothing, or something that is no number of snapshots or seconds.

        """
        if all(value is None for value in self):
            raise InvalidValueError(
                "This policy keeps nothing.", "Give at least one of keep_last, keep_hourly, ..., keep_within."
            )
        for name, value in zip(self._fields[:-1], self[:-1], strict=True):
            if value is not None and (type(value) is not int or not 1 <= value <= _MOST):
                raise InvalidValueError(f"keep_{name}={value!r} is no number of snapshots.", "Give 1 or more.")
        within = self.within
        if within is not None and (type(within) not in (int, float) or not 0 < within <= _LONGEST):
            raise InvalidValueError(f"keep_within={within!r} is no age.", "Give seconds, more than 0.")
        return self


def kept(moments: Mapping[str, datetime], policy: Policy, now: datetime) -> dict[str, list[str]]:
    """Return the ids to keep, newest first, each with the reasons.

    Args:
        moments: of each snapshot its id and when it was made, in UTC.
        policy: what to keep.
        now: from when ``within`` counts back.

    """
    newest_first = sorted(moments, key=lambda name: (moments[name], name), reverse=True)
    reasons: dict[str, list[str]] = {name: [] for name in newest_first}
    if newest_first:
        reasons[newest_first[0]].append("newest")
    for name in newest_first[: policy.last or 0]:
        reasons[name].append("last")
    for rule, period in _PERIODS.items():
        for name in _one_each(newest_first, moments, period, getattr(policy, rule) or 0):
            reasons[name].append(rule)
    if policy.within is not None:
        since = now - timedelta(seconds=policy.within)
        for name in newest_first:
            if moments[name] >= since:
                reasons[name].append("within")
    return {name: found for name, found in reasons.items() if found}


def _one_each(
    newest_first: Sequence[str],
    moments: Mapping[str, datetime],
    period: Callable[[datetime], tuple[int, ...]],
    most: int,
) -> list[str]:
    """Return the newest of each of the newest periods, and the oldest of all where there are fewer periods."""
    if not most or not newest_first:
        return []
    periods = [period(moments[name]) for name in newest_first]
    last_of = [newest_first[0]]
    last_of += [name for name, (later, own) in zip(newest_first[1:], pairwise(periods), strict=True) if own != later]
    if len(last_of) < most and newest_first[-1] not in last_of:
        last_of.append(newest_first[-1])
    return last_of[:most]


_PERIODS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "hourly": lambda moment: (*moment.date().timetuple()[:3], moment.hour),
    "daily": lambda moment: moment.date().timetuple()[:3],
    "weekly": lambda moment: tuple(moment.isocalendar()[:2]),
    "monthly": lambda moment: (moment.year, moment.month),
}
