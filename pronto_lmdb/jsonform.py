"""Values as JSON, and back: nothing is lost.

JSON has no bytes, times, NaN or keys that are not text. Each is written as an object with one key, a tag:

====================================  =============================================
``{"$bytes": "AAE="}``                bytes, in base64
``{"$time": "2026-01-02T03:04:05Z"}``  an instant, as in RFC 3339
``{"$float": "nan"}``                 ``nan``, ``inf`` or ``-inf``
``{"$map": [[1, "one"]]}``            an object as pairs, where a key is not text
``{"$packed": "kQE="}``                a value in msgpack, in base64, which may be nested more deeply than JSON
====================================  =============================================

An object that itself has one of these tags as its only key is written as a ``$map``, so it is not mistaken.
"""

from __future__ import annotations

from pronto_lmdb.errors import CorruptStoreError, InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Any, NoReturn

    from pronto_lmdb.values import Value

_BYTES = "$bytes"
_TIME = "$time"
_FLOAT = "$float"
_MAP = "$map"
PACKED = "$packed"
TAGS = frozenset([_BYTES, _TIME, _FLOAT, _MAP, PACKED])
_SPECIAL_FLOATS = frozenset(["nan", "inf", "-inf"])


def to_json(value: Value) -> str:
    """Return a value as one line of JSON.

    Raises:
        InvalidValueError: if it is nested too deeply for JSON.

    """
    from json import dumps

    try:
        return dumps(tagged(value), ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise InvalidValueError("The value is nested too deeply for JSON.", "Read it with the library.") from None


def from_json(text: str) -> Value:
    """Return the value of a JSON document.

    Raises:
        InvalidValueError: if it is none, or misuses a tag.

    """
    from json import JSONDecodeError, loads

    try:
        value: Value = loads(text, object_hook=_untagged, parse_float=_finite, parse_constant=_refuse_constant)
    except InvalidValueError:
        raise
    except JSONDecodeError as error:
        raise InvalidValueError(f"This is no JSON document: {error}.", "Text in JSON has double quotes.") from None
    except RecursionError:
        raise InvalidValueError("The document is nested too deeply.", "Flatten it.") from None
    except ValueError as error:  # an integer of thousands of digits
        raise InvalidValueError(f"The document cannot be read: {error}.", "Write long numbers as text.") from None
    return value


def time_text(moment: datetime) -> str:
    """Return an aware UTC time as in RFC 3339."""
    return moment.isoformat().replace("+00:00", "Z")


def tagged(value: Any) -> Any:
    """Return a value with everything that JSON lacks as a tagged object; one stack frame for each level."""
    kind = type(value)
    if kind is dict:
        items = zip(value, map(tagged, value.values()), strict=True)
        return dict(items) if _is_plain(value) else {_MAP: [[tagged(key), item] for key, item in items]}
    if kind is list:
        return list(map(tagged, value))
    if kind is bytes:
        from base64 import b64encode

        return {_BYTES: b64encode(value).decode()}
    if kind is float:
        return value if value - value == 0 else {_FLOAT: str(value)}
    if value is None or kind in (str, int, bool):
        return value
    return {_TIME: time_text(value)}


def _is_plain(value: dict[Any, Any]) -> bool:
    return all(type(key) is str for key in value) and not (len(value) == 1 and TAGS.issuperset(value))


def _untagged(value: dict[str, Any]) -> Any:
    if len(value) != 1:
        return value
    ((tag, content),) = value.items()
    if tag not in TAGS:
        return value
    try:
        return _UNTAG[tag](content)
    except (ValueError, TypeError):
        raise InvalidValueError(
            f"{tag} cannot hold {str(content)[:40]!r}.",
            f'To store an object with the key {tag}, write {{"{_MAP}": [["{tag}", ...]]}}.',
        ) from None


def _read_bytes(content: str) -> bytes:
    from base64 import b64decode

    if type(content) is not str:
        raise TypeError
    return b64decode(content, validate=True)


def _read_packed(content: str) -> Value:
    from pronto_lmdb.values import unpack

    try:
        return unpack(_read_bytes(content))
    except CorruptStoreError:
        raise ValueError from None


def _read_time(content: str) -> datetime:
    from datetime import datetime

    moment = datetime.fromisoformat(content)
    if moment.tzinfo is None:
        raise ValueError
    return moment


def _read_float(content: str) -> float:
    if content not in _SPECIAL_FLOATS:
        raise ValueError
    return float(content)


def _read_map(content: list[list[Any]]) -> dict[Any, Any]:
    if type(content) is not list or any(type(pair) is not list for pair in content):
        raise TypeError
    return dict(content)


_UNTAG: dict[str, Callable[[Any], Any]] = {
    _BYTES: _read_bytes,
    _TIME: _read_time,
    _FLOAT: _read_float,
    _MAP: _read_map,
    PACKED: _read_packed,
}


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise InvalidValueError(f"{text} is too large for a number.", "Write it as text.")
    return number


def _refuse_constant(text: str) -> NoReturn:
    raise InvalidValueError(f"{text} is not JSON.", f'Write for instance {{"{_FLOAT}": "nan"}}.')
