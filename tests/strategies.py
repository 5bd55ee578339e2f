"""Hypothesis strategies for what a store takes, and the comparison of what it gives back."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from pronto_lmdb.address import MAX_PART
from pronto_lmdb.errors import InvalidAddressError
from pronto_lmdb.key import MAX_KEY_BYTES

FIRST_INTEGER, LAST_INTEGER = -(2**63), 2**64 - 1


def _is_part(text: str) -> bool:
    from pronto_lmdb import Address

    try:
        Address(text)
    except InvalidAddressError:
        return False
    return True


# Letters that fold, compose, escape or mean something to a file system come up far more often than by chance.
_TRICKY = "aAeEiIkKsSzZ.%/\\ =_-@+:*?~0129\u0301\u0307\u00df\u017f\u0130\u0131\u212a\u00e9\u65e5\U0001f600"

address_parts = st.one_of(
    st.text(_TRICKY, min_size=1, max_size=MAX_PART),
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=MAX_PART),
    st.sampled_from(["con", "CON", "nul", "com1", "lpt9", "aux", "prn", "..", ".", "~", "default"]),
).filter(_is_part)


def _stretched(text: str, size: int) -> str:
    return (text * size).encode()[:size].decode(errors="ignore")


# Few distinct ones, so that they meet; any at all; and the longest.
keys = st.one_of(
    st.text("ab._\u0080\U0010ffff", min_size=1, max_size=8),
    st.text(min_size=1, max_size=40),
    st.builds(_stretched, st.text("xé日😀", min_size=1, max_size=3), st.integers(MAX_KEY_BYTES - 4, MAX_KEY_BYTES)),
).filter(lambda key: key[0] != "\0" and len(key.encode()) <= MAX_KEY_BYTES)

bounds = st.one_of(
    st.text("ab._\0\u0080\U0010ffff", max_size=6),
    st.text(max_size=20),
    st.builds(_stretched, st.text("xé日😀", min_size=1, max_size=3), st.integers(500, 600)),
)

zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
datetimes = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.one_of(st.just(UTC), zones))

hashable_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(FIRST_INTEGER, LAST_INTEGER),
    st.floats(),
    st.text(max_size=40),
    st.binary(max_size=40),
    datetimes,
)
values: st.SearchStrategy[Any] = st.recursive(
    hashable_values,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.text(max_size=10), inner, max_size=5),
        st.dictionaries(hashable_values.filter(lambda key: key == key), inner, max_size=3),  # NaN finds no key again
    ),
    max_leaves=20,
)


def alike(left: object, right: object) -> bool:
    """Tell whether two values are the same to the last bit: types count, NaN is itself, 0.0 is not -0.0.

    Two datetimes are the same when they are one instant, both with a time zone.
    """
    pending = [(left, right)]
    while pending:  # no recursion: values may be deeper than the stack
        one, other = pending.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, dict) and isinstance(other, dict):
            pending.append((list(one.items()), list(other.items())))
        elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
            if len(one) != len(other):
                return False
            pending.extend(zip(one, other, strict=True))
        elif isinstance(one, float) and isinstance(other, float):
            if struct.pack(">d", one) != struct.pack(">d", other):
                return False
        elif one != other:
            return False
    return True
