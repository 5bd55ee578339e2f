"""Values as JSON, and back."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from pronto_cli.jsonform import to_text
from pronto_lmdb import InvalidValueError
from pronto_lmdb.jsonform import from_json, to_json
from pronto_lmdb.values import MAX_DEPTH, pack, same, unpack

documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner),
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, None, True, "é"]}, '{"a": [1, null, true, "é"]}'),
        (b"\x00\x01", '{"$bytes": "AAE="}'),
        (b"", '{"$bytes": ""}'),
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), '{"$time": "2026-01-02T03:04:05.000006Z"}'),
        (float("nan"), '{"$float": "nan"}'),
        (float("inf"), '{"$float": "inf"}'),
        (float("-inf"), '{"$float": "-inf"}'),
        ({1: "one"}, '{"$map": [[1, "one"]]}'),
        ({"a": 1, None: b"x"}, '{"$map": [["a", 1], [null, {"$bytes": "eA=="}]]}'),
        ({"$bytes": "no tag"}, '{"$map": [["$bytes", "no tag"]]}'),
        ({"$map": []}, '{"$map": [["$map", []]]}'),
        ({"$packed": "no tag"}, '{"$map": [["$packed", "no tag"]]}'),
        ({"$bytes": "x", "other": 1}, '{"$bytes": "x", "other": 1}'),
        ({"$ref": "#/x"}, '{"$ref": "#/x"}'),
        ({}, "{}"),
        (2**64 - 1, "18446744073709551615"),
    ],
)
def test_the_documented_form(value, text):
    assert to_json(value) == text
    assert same(unpack(pack(from_json(text))), unpack(pack(value)))


@given(strategies.values)
def test_every_value_comes_back(value):
    stored = unpack(pack(value))
    text = to_json(stored)
    assert "\n" not in text
    # In their written form values can be compared to the last bit, types and NaN as a key included.
    assert repr(unpack(pack(from_json(text)))) == repr(stored)


@given(strategies.values)
def test_it_is_json_for_everybody(value):
    def refuse(constant):
        raise AssertionError(constant)

    json.loads(to_json(unpack(pack(value))), parse_constant=refuse)


@given(documents)
def test_a_plain_document_stays_as_it_is(document):
    assert json.loads(to_json(from_json(json.dumps(document)))) == document


def test_a_packed_value_is_read():
    value = {"deep": [b"bytes", datetime(2026, 1, 2, tzinfo=UTC)]}
    assert from_json(f'{{"$packed": "{b64encode(pack(value)).decode()}"}}') == value


def test_a_time_keeps_its_instant_whatever_its_zone():
    moment = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=5)))
    assert from_json('{"$time": "2026-01-02T03:00:00+05:00"}') == moment


@pytest.mark.parametrize(
    "text",
    [
        '{"$bytes": 1}', '{"$bytes": "?"}', '{"$bytes": "é"}', '{"$bytes": {"$bytes": "YWE="}}', '{"$time": "noon"}',
        '{"$time": "2026-01-02T03:04:05"}', '{"$time": 5}', '{"$float": "1"}', '{"$float": 1}', '{"$float": []}',
        '{"$map": 1}', '{"$map": ["ab"]}', '{"$map": [[1]]}', '{"$map": [[1, 2, 3]]}', '{"$map": [[[], 1]]}',
        '{"$map": {"ab": 1}}', '{"$packed": 1}', '{"$packed": "?"}', '{"$packed": "wQ=="}', '{"$packed": ""}',
    ],
)  # fmt: skip
def test_a_misused_tag_is_refused_with_the_way_out(text):
    with pytest.raises(InvalidValueError, match=r"\$map"):
        from_json(text)


@pytest.mark.parametrize(
    "text", ["", "{", "nan", "NaN", "Infinity", "[-Infinity]", "1e999", "'a'", "[1,]", "1 2", "\ufeff1"]
)
def test_what_is_no_json_is_refused(text):
    with pytest.raises(InvalidValueError):
        from_json(text)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 10_000, '{"a":' * 100_000])
def test_what_would_exhaust_the_reader_is_refused(text):
    with pytest.raises(InvalidValueError):
        from_json(text)


def test_a_deeply_nested_value_has_a_form():
    value = None
    for _ in range(300):
        value = {"a": value}
    assert from_json(to_json(value)) == value


def test_what_json_cannot_nest_is_refused():
    value = None
    for _ in range(MAX_DEPTH):
        value = {1: value}
    with pytest.raises(InvalidValueError, match="nested"):
        to_json(value)


@pytest.mark.parametrize(
    ("value", "text"), [("as it is\n", "as it is\n"), (1, "1"), ([True], "[true]"), (b"", '{"$bytes": ""}')]
)
def test_text_is_itself_where_no_json_is_asked_for(value, text):
    assert to_text(value) == text
