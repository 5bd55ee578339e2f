"""Records as JSON lines, and back: one object a line, so that files of any size pass through in pieces.

=================  ===================================================================================================
``"key"``          text
``"value"``        any value, in the form of :mod:`pronto_lmdb.jsonform`
``"revision"``     a whole number up to 2^53; without it, that of the commit that writes the line
``"expires_at"``   a time as in RFC 3339, or null for never; without it, as for a put that names no TTL
``"ttl"``          read, never written: seconds from now on, instead of ``"expires_at"``
``"updated_at"``   read and passed over, never written
=================  ===================================================================================================

Whole blocks of lines are read at once. Only where that fails, each line is looked at on its own.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from json import JSONDecodeError, JSONEncoder, loads
from os import urandom

from msgpack import Packer, unpackb

from pronto_lmdb import clock
from pronto_lmdb.arguments import checked_ttl
from pronto_lmdb.errors import InvalidValueError, ProntoError
from pronto_lmdb.jsonform import PACKED, TAGS, from_json, tagged, time_text, to_json
from pronto_lmdb.key import MAX_KEY_BYTES, encode_key
from pronto_lmdb.record import header_of, packed_value
from pronto_lmdb.rows import AS_PUT, GREATEST_REVISION, NO_REVISION, Rows
from pronto_lmdb.values import pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, NoReturn

    Record = tuple[bytes, bytes]

# How much text is read, decoded and written at a time.
BLOCK_BYTES = 1024 * 1024
# No value becomes longer than this when it is written as JSON: what is longer cannot be one.
_LONGEST = 12
_ROOM_FOR_FIELDS = 64 * 1024

# What a packed value holds in which an object is a tag, or looks like one.
_TAGS = tuple(tag.encode() for tag in TAGS)
_NOTHING = b"\xc0"
# A value with more levels is exported packed: a level can become three of JSON, and not all readers go far.
_DEEPEST = 150

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIELDS = frozenset(["key", "value", "revision", "expires_at"])
_ALL_FIELDS = _FIELDS | {"ttl", "updated_at"}
# What msgpack makes of the floats that JSON has no names for, but may hide in digits: 1e999.
_INFINITIES = (b"\xcb\x7f\xf0\0\0\0\0\0\0", b"\xcb\xff\xf0\0\0\0\0\0\0")


class BadLine:
    """A line that cannot be taken over.

    Args:
        number: counted from 1.
        content: the line, without its end.
        error: what is wrong with it.

    """

    __slots__ = ("content", "error", "number")

    def __init__(self, number: int, content: bytes, error: ProntoError) -> None:
        self.number = number
        self.content = content
        self.error = error


# -- out -----------------------------------------------------------------------------------------------------------

_encode = JSONEncoder(ensure_ascii=False, allow_nan=False, default=tagged).encode


def encode(page: Iterable[Record], *, full: bool) -> bytes:
    """Return the lines of records.

    Args:
        page: keys and records.
        full: with every field; otherwise key and value, and ``expires_at`` only where there is one.

    """
    page = list(page)
    packed = [packed_value(record) for _, record in page]
    lines = []
    for (key, record), value in zip(page, _values(packed), strict=True):
        revision, _, expires_at = header_of(record)
        line = f'{{"key": {_encode(key.decode())}, "value": {value}'
        if full:
            line += f', "revision": {revision}'
        if expires_at is not None:
            line += f', "expires_at": "{time_text(_EPOCH + expires_at * _MICROSECOND)}"'
        elif full:
            line += ', "expires_at": null'
        lines.append(line + "}\n")
    return "".join(lines).encode()


def _values(packed: list[bytes]) -> list[str]:
    """Return packed values as JSON, all that are simple at once, which is a third of the work for each."""
    doubtful = [place for place, each in enumerate(packed) if b"$" in each and any(tag in each for tag in _TAGS)]
    simple = packed.copy()
    for place in doubtful:  # an object in it may look like a tag
        simple[place] = _NOTHING
    # Between two values stands a number that nobody can know.
    mark = _mark()
    elements: list[Any] = [mark] * (2 * len(packed) + 1)
    try:
        elements[1::2] = [unpackb(each, timestamp=3, strict_map_key=True) for each in simple]
        texts = [text[2:-2] for text in _encode(elements).split(f"{mark}")[1:-1]]
    except (ValueError, TypeError, RecursionError):  # NaN, keys that are not text, or what unpack() will name
        return list(map(_value, packed))
    doubtful += [place for place, text in enumerate(texts) if text.count("[") + text.count("{") > _DEEPEST]
    for place in doubtful:
        texts[place] = _value(packed[place])
    return texts


def _mark() -> int:
    return int.from_bytes(urandom(7), "big") | 1 << 56


def _value(packed: bytes) -> str:
    """Return a packed value as JSON; one that is nested too deeply for readers of JSON stays packed."""
    value = unpack(packed)
    if _is_deep(value):
        return f'{{"{PACKED}": "{b64encode(packed).decode()}"}}'
    return to_json(value)


def _is_deep(value: object) -> bool:
    """Tell whether a value has more levels than readers of JSON can be expected to follow."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for item in level
            if isinstance(item, list | dict)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


# -- in: from bytes to blocks of whole lines ------------------------------------------------------------------------


def blocks(chunks: Iterable[bytes], value_limit: int) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole lines, each with the number of its first line.

    Args:
        chunks: pieces of the text, cut anywhere.
        value_limit: the greatest size of a packed value.

    Raises:
        InvalidValueError: for a line that is too long to hold a value of that size.

    """
    longest = _LONGEST * value_limit + _ROOM_FOR_FIELDS
    number, size, held = 1, 0, 0
    whole: list[bytes] = []
    rest: list[bytes] = []
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            whole += [*rest, chunk[:end]]
            size += held + end
            rest, held = [], 0
        rest.append(chunk[end:])
        held += len(chunk) - end
        if size >= BLOCK_BYTES or (whole and held > longest):
            block = b"".join(whole)
            yield number, block
            number += block.count(b"\n")
            whole, size = [], 0
        if held > longest:
            raise InvalidValueError(f"Line {number} is longer than {longest:,} bytes.", "Is this a file of JSON lines?")
    block = b"".join(whole + rest)
    if block:
        yield number, block


# -- in: from a block to rows ---------------------------------------------------------------------------------------


def decode(number: int, block: bytes, value_limit: int) -> tuple[Rows, list[BadLine]]:
    """Return the rows in a block of lines, and the lines that hold none; empty lines do not count.

    Args:
        number: of the first line.
        block: whole lines.
        value_limit: the greatest size of a packed value.

    """
    lines = block.removesuffix(b"\n").split(b"\n")
    try:
        return _decode_together(number, lines, value_limit), []
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError):
        return _decode_each(number, lines, value_limit)


def _decode_together(number: int, lines: list[bytes], value_limit: int) -> Rows:
    """Return the rows of lines that are all well-formed; raise whatever comes where one is not."""
    # Between two lines stands a number that nobody can know. Where all of these are seen again between two
    # elements of the array, each line is one element: none can have been two, nor half of one.
    mark = _mark()
    text = f",{mark},".encode().join(lines).decode()
    tags = '"$' in text or "\\u0024" in text
    elements: Any = from_json(f"[{text}]") if tags else loads(f"[{text}]", parse_constant=_refuse_constant)
    objects = elements[::2]
    if elements[1::2].count(mark) != len(lines) - 1 or len(objects) != len(lines):
        raise ValueError("an unbalanced line")
    fields = set().union(*objects)
    if not fields <= _FIELDS:
        raise ValueError("unusual fields")
    keys = [row["key"].encode() for row in objects]
    if min(keys) < b"\1" or max(map(len, keys)) > MAX_KEY_BYTES:
        raise ValueError("an impossible key")
    if tags:
        values = [pack(row["value"], value_limit) for row in objects]
    else:
        values = _packed([row["value"] for row in objects], value_limit)
    revisions, expiries = [NO_REVISION] * len(keys), [AS_PUT] * len(keys)
    if "revision" in fields:
        revisions = [_revision(row) for row in objects]
    if "expires_at" in fields:
        expiries = [_expiry(row) for row in objects]  # type: ignore[misc]
    return Rows(keys, values, revisions, expiries, list(range(number, number + len(keys))))  # type: ignore[arg-type]


def _packed(values: list[Any], value_limit: int) -> list[bytes]:
    pack_one = Packer(strict_types=True).pack
    packed = [pack_one(value) for value in values]
    if max(map(len, packed)) > value_limit:
        raise ValueError("too large")
    together = b"".join(packed)
    if any(infinity in together for infinity in _INFINITIES):
        raise ValueError("a number that is too large")
    return packed


def _decode_each(number: int, lines: list[bytes], value_limit: int) -> tuple[Rows, list[BadLine]]:
    rows, bad = Rows([], [], [], [], []), []
    for at, line in enumerate(lines, number):
        if not line.strip():
            continue
        try:
            key, value, revision, expires_at = _decode_line(line, value_limit)
        except ProntoError as error:
            bad.append(BadLine(at, line, error))
            continue
        rows.keys.append(key)
        rows.values.append(value)
        rows.revisions.append(revision)
        rows.expiries.append(expires_at)
        rows.numbers.append(at)
    return rows, bad


def _decode_line(line: bytes, value_limit: int) -> tuple[bytes, bytes, int, int | None]:
    try:
        row: Any = from_json(line.decode())
    except UnicodeDecodeError:
        raise InvalidValueError("The line is not UTF-8.", "JSON is UTF-8 text.") from None
    if type(row) is not dict or "key" not in row or "value" not in row:
        raise InvalidValueError("The line is no object with a key and a value.", 'Write {"key": ..., "value": ...}.')
    unknown = sorted(str(name) for name in row.keys() - _ALL_FIELDS)
    if unknown:
        raise InvalidValueError(f"The field {unknown[0]!r} is unknown.", f"Use {', '.join(sorted(_ALL_FIELDS))}.")
    key = encode_key(row["key"])
    value = pack(row["value"], value_limit)
    if "ttl" in row:
        return key, value, _revision(row), _lifetime_end(row)
    return key, value, _revision(row), _expiry(row)


def _revision(row: dict[str, Any]) -> int:
    revision = row.get("revision", NO_REVISION)
    if type(revision) is not int or not 0 <= revision <= GREATEST_REVISION:
        raise InvalidValueError(f"{revision!r:.40} is no revision.", "It is a whole number up to 2^53, or left out.")
    return revision


def _expiry(row: dict[str, Any]) -> int | None:
    if "expires_at" not in row:
        return AS_PUT
    text = row["expires_at"]
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return max(1, (moment - _EPOCH) // _MICROSECOND)
    except (TypeError, ValueError, OverflowError):
        raise InvalidValueError(
            f"{text!r:.60} is no time to expire at.", "Write for instance 2026-01-02T03:04:05Z, or null for never."
        ) from None


def _lifetime_end(row: dict[str, Any]) -> int:
    if "expires_at" in row:
        raise InvalidValueError("The line has both ttl and expires_at.", "Leave one of them out.")
    return clock.now() + checked_ttl(row["ttl"])


def _refuse_constant(text: str) -> NoReturn:
    raise JSONDecodeError("no JSON", text, 0)
