"""Values: what comes back as it went in, and what is refused with the path to it."""

from __future__ import annotations

import decimal
import enum
import math
import uuid
from collections import OrderedDict, defaultdict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from types import MappingProxyType
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import FIRST_INTEGER, LAST_INTEGER, alike, values

from pronto_lmdb import CorruptStoreError, InvalidValueError
from pronto_lmdb.values import MAX_DEPTH, pack, pack_all, same, unpack

# -- what can be stored --------------------------------------------------------------------------------------------


def nested(depth: int, core: Any = None) -> Any:
    """Return a value of so many lists inside each other."""
    for _ in range(depth):
        core = [core]
    return core


STORABLE = {
    "nothing": None,
    "true": True,
    "false": False,
    "zero": 0,
    "smallest integer": FIRST_INTEGER,
    "2^63-1": 2**63 - 1,
    "2^63": 2**63,
    "2^64-1": LAST_INTEGER,
    "every size of integer": [sign * 2**bits for bits in range(63) for sign in (1, -1)],
    "NaN": math.nan,
    "infinities": [math.inf, -math.inf],
    "negative zero": -0.0,
    "smallest and greatest floats": [5e-324, 1.7976931348623157e308],
    "a whole float stays a float": 1.0,
    "empty text": "",
    "empty bytes": b"",
    "empty list": [],
    "empty dict": {},
    "empty ones inside": [[], {}, "", b"", [[]], {"": {}}],
    "NUL and controls": "\0\x01\x7f\u0085",
    "beyond the BMP": "😀\U0010ffff",
    "right to left": "\u202eabc\u200f",
    "both forms of one letter": ["caf\u00e9", "cafe\u0301"],
    "noncharacters": "\ufffe\uffff",
    "every byte": bytes(range(256)),
    "text like every msgpack mark": "".join(map(chr, range(0x80, 0x100))),
    "10 MB of text": "x" * 10_000_000,
    "10 MB of bytes": b"\xff" * 10_000_000,
    "long list": list(range(70_000)),
    "wide dict": {str(number): number for number in range(70_000)},
    "deep lists": nested(MAX_DEPTH),
    "deep lists around bytes": nested(MAX_DEPTH, b"core"),
    "keys of every kind": {"a": 1, 1: 2, 2.5: 3, None: 4, b"b": 5, datetime(2024, 1, 1, tzinfo=UTC): 6},
    "keys that are booleans": {True: "yes", False: "no"},
    "order of a dict": {"b": 1, "a": 2, "c": 3},
    "an instant": datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC),
    "an instant before 1970": datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    "the first and last instants": [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
}


@pytest.mark.parametrize("value", STORABLE.values(), ids=STORABLE)
def test_a_value_comes_back(value: Any) -> None:
    assert alike(unpack(pack(value)), value)


@given(values)
def test_any_value_comes_back(value: Any) -> None:
    assert alike(unpack(pack(value)), value)


@given(values)
def test_packing_is_deterministic(value: Any) -> None:
    assert pack(value) == pack(unpack(pack(value)))


@pytest.mark.parametrize("hours", [-12, -3.5, 0, 5.75, 14])
def test_an_instant_comes_back_in_utc(hours: float) -> None:
    local = datetime(2024, 7, 1, 8, 0, 0, 1, tzinfo=timezone(timedelta(hours=hours)))
    back = unpack(pack([local]))[0]
    assert back == local
    assert back.tzinfo == UTC


def test_the_second_of_two_equal_wall_clock_times_is_kept_apart() -> None:
    zoneinfo = pytest.importorskip("zoneinfo")
    try:
        berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    except zoneinfo.ZoneInfoNotFoundError:
        berlin = timezone(timedelta(hours=2))
    summer = datetime(2024, 10, 27, 2, 30, tzinfo=berlin)
    assert unpack(pack(summer)).timestamp() == summer.timestamp()
    assert unpack(pack(summer.replace(fold=1))).timestamp() == summer.replace(fold=1).timestamp()


class Colour(enum.StrEnum):
    RED = "red"


class Size(enum.IntEnum):
    SMALL = 1


Point = namedtuple("Point", "x y")


class Ratio(float):
    pass


class Blob(bytes):
    pass


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ((1, (2, "a")), [1, [2, "a"]]),
        ((), []),
        ({"a": (1,)}, {"a": [1]}),
        (Point(1, 2), [1, 2]),
        (OrderedDict(a=OrderedDict(b=1)), {"a": {"b": 1}}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (Colour.RED, "red"),
        ({Colour.RED: [Colour.RED]}, {"red": ["red"]}),
        (Ratio(0.5), 0.5),
        (Blob(b"x"), b"x"),
    ],
    ids=repr,
)
def test_a_tuple_becomes_a_list_and_a_subclass_its_base(given: Any, stored: Any) -> None:
    assert alike(unpack(pack(given)), stored)


@pytest.mark.timeout(10)  # an integer of another class must not be looked for among 2^64 others
def test_a_member_of_an_integer_enumeration_becomes_its_number() -> None:
    assert alike(unpack(pack([Size.SMALL])), [1])


def test_packing_leaves_the_value_as_it_was() -> None:
    value = {"a": (1, 2), "b": OrderedDict(c=b"d")}
    pack(value)
    assert value == {"a": (1, 2), "b": OrderedDict(c=b"d")}
    assert type(value["a"]) is tuple


# -- what cannot ---------------------------------------------------------------------------------------------------


def cyclic_list() -> list[Any]:
    cycle: list[Any] = [1]
    cycle.append([cycle])
    return cycle


def cyclic_dict() -> dict[str, Any]:
    cycle: dict[str, Any] = {}
    cycle["a"] = {"b": cycle, "c": cycle}
    return cycle


# name -> (value, the path to what is wrong, the reason)
REFUSED = {
    "a set": ({1, 2}, "value:", "set"),
    "a frozenset": (frozenset(), "value:", "frozenset"),
    "an object": (object(), "value:", "object"),
    "a set inside": ({"a": [0, 1, 2, {3}]}, 'value["a"][3]:', "set"),
    "an object inside": ([{"x": {"y": (1, object())}}], 'value[0]["x"]["y"][1]:', "object"),
    "under a key that is no text": ({1: {None: set()}}, "value[1][None]:", "set"),
    "2^64": (2**64, "value:", "64 bits"),
    "2^64 inside": ([1, 2**64], "value[1]:", "64 bits"),
    "below the smallest integer": ({"n": FIRST_INTEGER - 1}, 'value["n"]:', "64 bits"),
    "a huge integer": (10**1000, "value:", "64 bits"),
    "a huge key": ({2**64: 1}, "a key of value:", "64 bits"),
    "a surrogate": ("\ud800", "value:", "surrogate"),
    "a surrogate inside": (["ok", "a\udfffb"], "value[1]:", "surrogate"),
    "a surrogate in a key": ({"a": {"\ud83d": 1}}, 'a key of value["a"]:', "surrogate"),
    "a tuple as a key": ({"a": {(1, 2): 3}}, 'a key of value["a"]:', "tuple"),
    "a frozenset as a key": ({frozenset([1]): 3}, "a key of value:", "frozenset"),
    "a bytearray": (bytearray(b"x"), "value:", "bytearray"),
    "a bytearray inside": ({"a": [bytearray()]}, 'value["a"][0]:', "bytearray"),
    "a memoryview": ([memoryview(b"x")], "value[0]:", "memoryview"),
    "an extension type": (msgpack.ExtType(42, b"payload"), "value:", "ExtType"),
    "an extension type inside": ({"a": [msgpack.ExtType(1, b"")]}, 'value["a"][0]:', "ExtType"),
    "a msgpack timestamp": ([msgpack.Timestamp(1, 2)], "value[0]:", "Timestamp"),
    "an extension type as a key": ({msgpack.ExtType(1, b"x"): 1}, "a key of value:", "ExtType"),
    "a complex number": (1j, "value:", "complex"),
    "a decimal": ([decimal.Decimal("1.5")], "value[0]:", "Decimal"),
    "a UUID": ({"id": uuid.UUID(int=1)}, 'value["id"]:', "UUID"),
    "a date": (date(2024, 1, 1), "value:", "date"),
    "a time": (time(12), "value:", "time"),
    "a duration": (timedelta(1), "value:", "timedelta"),
    "a datetime without zone": ({"at": datetime(2024, 1, 1)}, 'value["at"]:', "time zone"),
    "an instant before year 1": (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))), "value:", "years 1 to 9999"),
    "an instant after 9999": (
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-2))),
        "value:",
        "years 1 to 9999",
    ),
    "a generator": ([(n for n in range(3))], "value[0]:", "generator"),
    "a range": (range(3), "value:", "range"),
    "a view of a dict": ({"k": {}.keys()}, 'value["k"]:', "dict_keys"),
    "a mapping that is no dict": (MappingProxyType({}), "value:", "mappingproxy"),
    "a function": (len, "value:", "builtin"),
    "a class": ([dict], "value[0]:", "type"),
    "an enumeration member": (enum.Enum("Plain", "A").A, "value:", "Plain"),
    "NotImplemented": (NotImplemented, "value:", "NotImplemented"),
    "a cycle of lists": (cyclic_list(), "", "nested"),
    "a cycle of dicts": (cyclic_dict(), "", "nested"),
    "one level too deep": (nested(MAX_DEPTH + 1), "", "nested"),
    "one level too deep around bytes": (nested(MAX_DEPTH + 1, b""), "", "nested"),
    "a hundred thousand levels": (nested(100_000), "", "nested"),
}


@pytest.mark.parametrize(("value", "path", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_value_that_cannot_be_stored_is_refused_with_its_path(value: Any, path: str, reason: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        pack(value)
    assert caught.value.problem.startswith(path)
    assert reason in caught.value.problem
    assert caught.value.hint


@pytest.mark.parametrize(("value", "path", "reason"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("others", [[], [{3}]], ids=["alone", "before another"])
def test_among_many_values_the_first_that_cannot_be_stored_is_refused(
    value: Any, path: str, reason: str, others: list[Any]
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        pack_all([1, {"a": b"2"}, value, *others])
    assert caught.value.problem.startswith(path)
    assert reason in caught.value.problem


@given(st.lists(values))
def test_many_values_are_packed_as_one_by_one(many: list[Any]) -> None:
    assert pack_all(many) == [pack(value) for value in many]


def test_the_limit_holds_for_each_of_many_values() -> None:
    packed = pack("x" * 100)
    assert pack_all(["x" * 100] * 3, limit=len(packed)) == [packed] * 3
    with pytest.raises(InvalidValueError, match="at most 100"):
        pack_all(["x", "x" * 100], limit=100)


@pytest.mark.parametrize("value", [{1}, 2**64, "\ud800", b"x" * 100])
def test_a_refusal_does_not_disturb_the_next_value(value: Any) -> None:
    with pytest.raises(InvalidValueError):
        pack(value, limit=50)
    assert unpack(pack({"a": [1, b"2"]})) == {"a": [1, b"2"]}


def test_the_limit_counts_packed_bytes() -> None:
    packed = pack("x" * 100)
    assert pack("x" * 100, limit=len(packed)) == packed
    with pytest.raises(InvalidValueError, match=rf"{len(packed)} bytes .* {len(packed) - 1}"):
        pack("x" * 100, limit=len(packed) - 1)


def test_the_default_limit_is_64_mib() -> None:
    with pytest.raises(InvalidValueError, match="67,108,864"):
        pack(b"x" * 64 * 1024 * 1024)


# -- what is read back ---------------------------------------------------------------------------------------------

DAMAGED = {
    "nothing": b"",
    "a reserved byte": b"\xc1",
    "a cut list": b"\x92\x01",
    "a cut text": b"\xa5abc",
    "bytes behind the value": pack(1) + b"\0",
    "text that is not UTF-8": b"\xa1\xff",
    "an unknown extension": msgpack.packb(msgpack.ExtType(42, b"cos\nsystem")),
    "a timestamp of the wrong size": b"\xd5\xff\0\0",
    "an instant beyond year 9999": msgpack.packb(msgpack.Timestamp(2**40)),
    "a list as a key": b"\x81\x90\x01",
}


@pytest.mark.parametrize("packed", DAMAGED.values(), ids=DAMAGED)
def test_damaged_bytes_are_reported_as_damage(packed: bytes) -> None:
    with pytest.raises(CorruptStoreError) as caught:
        unpack(packed)
    assert caught.value.hint


# -- comparison ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 1),
        (math.nan, math.nan),
        ([1, [2, {"a": None}]], [1, [2, {"a": None}]]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (nested(MAX_DEPTH), nested(MAX_DEPTH)),
    ],
)
def test_equal_values_are_the_same(left: Any, right: Any) -> None:
    assert same(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, True),
        (0, False),
        (1, 1.0),
        ("a", b"a"),
        (None, False),
        ([], {}),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({1: "a"}, {True: "a"}),
        ({1: "a"}, {1.0: "a"}),
    ],
)
def test_values_of_other_type_or_content_are_not_the_same(left: Any, right: Any) -> None:
    assert not same(left, right)


@given(values, values)
def test_alike_values_are_the_same(left: Any, right: Any) -> None:
    one, other = unpack(pack(left)), unpack(pack(right))
    assert same(one, one)
    assert same(one, other) == same(other, one)
    assert same(one, other) or not alike(one, other)
