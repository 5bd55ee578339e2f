"""Records as JSON lines: what is written, what is read, and which lines are refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from pronto_lmdb import InvalidValueError, jsonlines
from pronto_lmdb.jsonlines import BLOCK_BYTES, blocks, decode, encode
from pronto_lmdb.record import encode_record
from pronto_lmdb.rows import AS_PUT, GREATEST_REVISION, NO_REVISION
from pronto_lmdb.values import DEFAULT_VALUE_LIMIT, MAX_DEPTH, pack, unpack

LIMIT = 1_000_000
INSTANT = 1_750_000_000_000_001
GOOD = b'{"key": "good", "value": 1}'


def read(*lines: bytes, limit: int = LIMIT):
    """Return the rows of lines as tuples, and the refused ones as (number, content, problem)."""
    rows, bad = decode(1, b"\n".join(lines), limit)
    pairs = zip(rows.numbers, rows.keys, rows.values, rows.revisions, rows.expiries, strict=True)
    return [(number, key.decode(), unpack(value), *rest) for number, key, value, *rest in pairs], [
        (line.number, line.content, line.error.problem) for line in bad
    ]


def refused(line: bytes, limit: int = LIMIT) -> str:
    """Return why a line is refused, between two that are taken."""
    rows, ((number, content, problem),) = read(GOOD, line, GOOD, limit=limit)
    assert [row[:3] for row in rows] == [(1, "good", 1), (3, "good", 1)]
    assert (number, content) == (2, line)
    return problem


# -- the form --------------------------------------------------------------------------------------------------------


def test_a_full_line_has_four_fields():
    record = encode_record(pack({"n": [1.5, "é\n"]}), 7, 0, None)
    assert encode([(b"k", record)], full=True).decode() == (
        '{"key": "k", "value": {"n": [1.5, "é\\n"]}, "revision": 7, "expires_at": null}\n'
    )


def test_an_expiry_is_a_time():
    record = encode_record(pack(1), 7, 0, INSTANT)
    (line,) = encode([(b"k", record)], full=True).splitlines()
    assert json.loads(line)["expires_at"] == "2025-06-15T15:06:40.000001Z"
    assert read(line)[0] == [(1, "k", 1, 7, INSTANT)]


def test_a_short_line_has_an_expiry_only_where_there_is_one():
    page = [(b"a", encode_record(pack(1), 7, 0, None)), (b"b", encode_record(pack(2), 7, 0, INSTANT))]
    first, second = encode(page, full=False).splitlines()
    assert json.loads(first) == {"key": "a", "value": 1}
    assert json.loads(second).keys() == {"key", "value", "expires_at"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\0\1", '{"$bytes": "AAE="}'),
        (datetime(2026, 1, 2, tzinfo=UTC), '{"$time": "2026-01-02T00:00:00Z"}'),
        ([float("nan")], '[{"$float": "nan"}]'),
        ({1: b""}, '{"$map": [[1, {"$bytes": ""}]]}'),
        ({b"k": 1}, '{"$map": [[{"$bytes": "aw=="}, 1]]}'),
        ({"$time": "$"}, '{"$map": [["$time", "$"]]}'),
    ],
)
def test_what_json_lacks_is_tagged(value, text):
    line = encode([(b"k", encode_record(pack(value), 1, 0, None))], full=False).decode()
    assert line == f'{{"key": "k", "value": {text}}}\n'


def test_one_value_that_is_not_simple_leaves_the_others_in_their_places():
    deep = [[]]
    for _ in range(200):
        deep = [deep]
    values = [1, {"$bytes": "x"}, "$map", {"n": 0x24242424}, [[]] * 200, deep, {"a": b"$time"}, "last"]
    for unusual in ([], [float("nan")], [{1: 2}]):
        page = [(b"k%d" % at, encode_record(pack(value), 1, 0, None)) for at, value in enumerate(values + unusual)]
        rows, bad = decode(1, encode(page, full=True), LIMIT)
        assert (rows.values, bad) == ([pack(value) for value in values + unusual], [])


@pytest.mark.parametrize("container", [lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: {1: inner}])
@pytest.mark.parametrize("depth", [140, 400, MAX_DEPTH - 1])
def test_a_value_of_any_depth_passes(container, depth):
    value = 1
    for _ in range(depth):
        value = container(value)
    line = encode([(b"k", encode_record(pack(value), 1, 0, None))], full=True)
    rows, bad = decode(1, line, LIMIT)
    assert (rows.values, bad) == ([pack(value)], [])


@given(st.lists(st.tuples(strategies.keys, strategies.values), min_size=1, max_size=6), st.booleans())
def test_every_key_and_value_comes_back(pairs, full):
    page = [(key.encode(), encode_record(pack(value), 9, 0, None)) for key, value in pairs]
    rows, bad = decode(1, encode(page, full=full), DEFAULT_VALUE_LIMIT)
    assert bad == []
    assert rows.keys == [key for key, _ in page]
    # In their written form values can be compared to the last bit, types and NaN as a key included.
    assert [repr(unpack(value)) for value in rows.values] == [repr(unpack(pack(value))) for _, value in pairs]


@given(strategies.values)
def test_a_value_grows_by_a_bounded_factor(value):
    packed = pack(value)
    line = encode([(b"k", encode_record(packed, 1, 0, None))], full=False)
    assert len(line) <= jsonlines._LONGEST * len(packed) + 100


# -- reading ---------------------------------------------------------------------------------------------------------


def test_fields_that_are_missing_mean_a_plain_put():
    assert read(GOOD) == ([(1, "good", 1, NO_REVISION, AS_PUT)], [])


def test_a_lifetime_counts_from_now(clock):
    assert read(b'{"key": "k", "value": 1, "ttl": 1.5}')[0] == [(1, "k", 1, NO_REVISION, clock.now() + 1_500_000)]


def test_the_entry_that_get_prints_can_be_read():
    line = b'{"key": "k", "value": 1, "revision": 2, "updated_at": "2026-01-02T00:00:00Z", "expires_at": null}'
    assert read(line)[0] == [(1, "k", 1, 2, None)]


@pytest.mark.parametrize(
    "line",
    [
        b' {"value": 1, "key": "k"} ', b'{"key": "k", "value": 1}\r', b'{"key": "\\u006b", "value": 1}',
        b'{"key": "k", "value": 0, "value": 1}', b'\t{"key": "k" , "value":1}',
    ],
)  # fmt: skip
def test_lines_as_other_programs_write_them(line):
    rows, bad = read(GOOD, line)
    assert (rows[1][:3], bad) == ((2, "k", 1), [])


def test_empty_lines_do_not_count_but_are_numbered():
    rows, bad = read(b"", GOOD, b"  ", b"\r", GOOD, b"")
    assert ([row[0] for row in rows], bad) == ([2, 5], [])


def test_separators_of_unicode_do_not_end_a_line():
    rows, bad = read('{"key": "a\u2028b\x85", "value": "\u2029\x1c"}'.encode().replace(b"\x1c", b"\\u001c"))
    assert (rows[0][1:3], bad) == (("a\u2028b\x85", "\u2029\x1c"), [])


def test_a_tag_that_hides_behind_an_escape_is_seen():
    rows, bad = read(b'{"key": "k", "value": {"\\u0024bytes": "AAE="}}')
    assert (rows[0][2], bad) == (b"\0\1", [])


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense", b"[]", b"1", b"null", b'"text"', b"{}", b'{"key": "k"}', b'{"value": 1}',
        b'{"key": "k", "value": 1', b'{"key": "k", "value": 1}}', b'{"key": "k", "value": 1},',
        b'{"key": "k", "value": 1} {"key": "j", "value": 1}', b'{"key": "k", "value": 1},{"key": "j", "value": 1}',
        b'{"key": "k", "value": NaN}', b'{"key": "k", "value": -Infinity}', b'{"key": "k", "value": 1e999}',
        b'{"key": "k", "value": [-1e999]}', b'{"key": "k", "value": 1' + b"0" * 400 + b".0}",
        b'{"key": "k", "value": 18446744073709551616}', b'{"key": "k", "value": -9223372036854775809}',
        b'{"key": "k", "value": ' + b"9" * 5000 + b"}", b'{"key": "k", "value": "\xff"}', b"\xff", b"\x00",
        b'{"key": "k", "value": "\\ud800"}', b'{"key": "k", "value": "tab\there"}',
        b'{"key": "k", "value": {"$bytes": 1}}', b'{"key": "k", "value": {"$time": "noon"}}',
        b'{"key": "", "value": 1}', b'{"key": "\\u0000k", "value": 1}', b'{"key": "\\ud800", "value": 1}',
        b'{"key": 1, "value": 1}', b'{"key": null, "value": 1}', b'{"key": ["k"], "value": 1}',
        b'{"key": "' + b"k" * 501 + b'", "value": 1}', b'{"key": "k", "value": 1, "expires": 1}', b'{"$bytes": ""}',
        b'{"key": "k", "value": ' + b"[" * 100_000 + b"}", b'{"key": "k", "value": ' + b"[" * 1100 + b"]" * 1100 + b"}",
        *(b'{"key": "k", "value": 1, "revision": %b}' % bad for bad in
          (b"-1", b"1.0", b"true", b"null", b'"1"', b"%d" % (GREATEST_REVISION + 1), b"18446744073709551615")),
        *(b'{"key": "k", "value": 1, "expires_at": %b}' % bad for bad in
          (b"0", b"1", b"true", b'""', b'"soon"', b'"2026-01-02"', b'"2026-01-02T03:04:05"', b"[]", b'{"$time": 1}')),
        *(b'{"key": "k", "value": 1, "ttl": %b}' % bad for bad in (b"0", b"-1", b"null", b'"60"', b"1e300", b"true")),
        b'{"key": "k", "value": 1, "ttl": 1, "expires_at": null}',
    ],
    ids=lambda line: line[:60].decode(errors="replace"),
)  # fmt: skip
def test_a_bad_line_is_refused_and_its_neighbours_are_not(line):
    assert refused(line)


def test_a_value_above_the_limit_is_refused():
    assert "2,003 bytes" in refused(b'{"key": "k", "value": "' + b"x" * 2000 + b'"}', limit=1000)


def test_lines_that_are_only_balanced_together_are_refused():
    first, second = b'{"key": "k", "value": [1', b"2]}"
    third = b'{"key": "k", "value": 1},1,{"key": "k", "value": 1}'
    rows, bad = read(first, second, third)
    assert (rows, [number for number, *_ in bad]) == ([], [1, 2, 3])


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=5))
def test_whatever_the_bytes_each_line_is_taken_or_refused(lines):
    rows, bad = decode(1, b"\n".join(lines), LIMIT)
    assert sorted([*rows.numbers, *(line.number for line in bad)]) == [
        number for number, line in enumerate(lines, 1) if line.strip()
    ]


# -- blocks ----------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200).map(lambda text: text.replace(b"\x01", b"\n")), st.lists(st.integers(1, 9)))
def test_however_the_text_is_cut_the_lines_are_the_same(text, cuts):
    chunks, at = [], 0
    for cut in cuts:
        chunks.append(text[at : at + cut])
        at += cut
    found = list(blocks([*chunks, text[at:]], LIMIT))
    assert b"".join(block for _, block in found) == text
    for number, block in found[:-1]:
        assert block.endswith(b"\n")
        assert number == 1


def test_blocks_are_numbered_by_their_first_lines():
    line = b"x" * 999 + b"\n"
    found = list(blocks([line * 1500] * 4, LIMIT))
    assert [number for number, _ in found] == [1, 1501, 3001, 4501]


def test_small_pieces_become_blocks_of_a_megabyte():
    line = b"x" * 99 + b"\n"
    sizes = [len(block) for _, block in blocks((line for _ in range(30_000)), LIMIT)]
    assert all(BLOCK_BYTES <= size < BLOCK_BYTES + 200 for size in sizes[:-1])
    assert sum(sizes) == 3_000_000


def test_an_endless_line_is_refused_before_it_fills_the_memory():
    taken = 0

    def endless():
        nonlocal taken
        yield GOOD + b"\n"
        while True:
            taken += 1
            yield b"x" * 10_000

    source = blocks(endless(), 1000)
    assert next(source) == (1, GOOD + b"\n")
    with pytest.raises(InvalidValueError, match="Line 2 is longer"):
        next(source)
    assert taken < 10
