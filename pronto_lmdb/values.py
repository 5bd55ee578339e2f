"""Values: what can be stored, and its msgpack form."""

from __future__ import annotations

from datetime import UTC, datetime

from msgpack import Packer, Timestamp, unpackb

from pronto_lmdb.errors import CorruptStoreError, InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, TypeAlias

    # Containers of Any: an invariant recursive alias would refuse a variable of type dict[str, int].
    Value: TypeAlias = bool | int | float | str | bytes | datetime | list[Any] | tuple[Any, ...] | dict[Any, Any] | None
else:
    Value = object

DEFAULT_VALUE_LIMIT = 64 * 1024 * 1024
# What msgpack packs and unpacks without recursion limits of its own getting in the way.
MAX_DEPTH = 1024

_SCALARS = (str, int, float, bytes, type(None), datetime)
_SMALLEST_INTEGER, _GREATEST_INTEGER = -(2**63), 2**64 - 1
# First bytes of msgpack's binary and extension types, none of which occurs in ASCII text.
_MARKS = bytes([*range(0xC4, 0xCA), *range(0xD4, 0xD9)])
_EMPTY_BINARY, _EMPTY_EXTENSION = b"\xc4\0", b"\xc7\0"
_KEPT_BUFFER = 1024 * 1024

# How subclasses, and tuples, become what msgpack knows.
_PLAIN: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (tuple, list),
    (list, list),
    (dict, dict),
    (str, str.__str__),
    (int, int),
    (float, float),
    (bytes, bytes),
)


class _ValuePacker:
    """A msgpack packer that notes whether it met anything beyond exact JSON types."""

    __slots__ = ("pack", "unusual")

    def __init__(self) -> None:
        self.unusual = False
        self.pack = Packer(default=self._convert, strict_types=True).pack

    def _convert(self, value: object) -> object:
        self.unusual = True
        if isinstance(value, datetime) and value.tzinfo is not None:
            return Timestamp.from_datetime(value.astimezone(UTC))
        for base, plain in _PLAIN:
            if isinstance(value, base):
                return plain(value)
        raise TypeError


# Idle packers: making one costs half of packing a small value. list.pop and list.append are atomic.
_idle: list[_ValuePacker] = []


def pack(value: Value, limit: int = DEFAULT_VALUE_LIMIT) -> bytes:
    """Return the msgpack bytes of a value.

    Args:
        value: ``None``, ``bool``, ``int`` (-2^63 to 2^64-1), ``float``, ``str``, ``bytes``, an aware
            ``datetime``, and lists, tuples and dicts of them (keys: the scalars), at most 1,024 levels deep.
            A tuple is stored as a list, a subclass as its base.
        limit: the greatest size, in packed bytes.

    Raises:
        InvalidValueError: naming the path inside the value, as in ``value["a"][3]``.

    """
    packer = _idle.pop() if _idle else _ValuePacker()
    try:
        packed: bytes = packer.pack(value)
    except (TypeError, ValueError, OverflowError) as error:
        _refuse(value, str(error))
    # msgpack also takes bytearrays, its own extension types and tuples as keys, which would not come back as
    # they went in. Only values that show a trace of binary data or of a conversion need the slow inspection.
    size = len(packed)
    if packer.unusual or (len(packed.translate(None, _MARKS)) != size and _holds_binary(packed)):
        packer.unusual = False
        fault = _fault(value)
        if fault:
            raise fault
    if size <= _KEPT_BUFFER:
        _idle.append(packer)
    if size > limit:
        raise InvalidValueError(
            f"The value has {size:,} bytes packed; at most {limit:,} are allowed.",
            "Split it over several keys, or raise the setting value_limit.",
        )
    return packed


def pack_all(values: list[Value], limit: int = DEFAULT_VALUE_LIMIT) -> list[bytes]:
    """Return the msgpack bytes of many values, in their order, in less time than so many calls of :func:`pack` take.

    Raises:
        InvalidValueError: as :func:`pack` does, for the first that cannot be stored.

    """
    packer = _idle.pop() if _idle else _ValuePacker()
    try:
        packed = list(map(packer.pack, values))
    except (TypeError, ValueError, OverflowError):
        return [pack(value, limit) for value in values]  # this says which, and why
    greatest = max(map(len, packed), default=0)
    if packer.unusual or greatest > limit:
        return [pack(value, limit) for value in values]
    for value, each in zip(values, packed, strict=True):
        if len(each.translate(None, _MARKS)) != len(each) and _holds_binary(each) and (fault := _fault(value)):
            raise fault
    if greatest <= _KEPT_BUFFER:
        _idle.append(packer)
    return packed


def unpack(packed: bytes) -> Value:
    """Return the value of msgpack bytes written by :func:`pack`.

    Raises:
        CorruptStoreError: if they are not whole, or hold what this library never writes.

    """
    try:
        return unpackb(packed, timestamp=3, strict_map_key=False, ext_hook=_refuse_extension)  # type: ignore[no-any-return]
    except (ValueError, TypeError, OverflowError) as error:
        raise CorruptStoreError(
            f"A stored value cannot be decoded: {error}.", "Check the store; restore the key from a snapshot."
        ) from error


def same(left: Value, right: Value) -> bool:
    """Tell whether two unpacked values are equal: the order in a dict does not count, types do (1 is not True)."""
    pending = [(left, right)]
    while pending:
        one, other = pending.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, dict) and isinstance(other, dict):
            if {(type(key), key) for key in one} != {(type(key), key) for key in other}:
                return False
            pending.extend((item, other[key]) for key, item in one.items())
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            pending.extend(zip(one, other, strict=True))
        elif one != other and not (one != one and other != other):
            return False
    return True


def _holds_binary(packed: bytes) -> bool:
    """Tell whether there is binary data or an extension in packed bytes: numbers and texts have the marks by chance."""
    if _EMPTY_BINARY in packed or _EMPTY_EXTENSION in packed:
        return True
    try:
        unpackb(packed, max_bin_len=0, max_ext_len=0, strict_map_key=False)
    except (ValueError, TypeError):
        return True
    return False


def _refuse_extension(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"unknown extension type {code} with {len(data)} bytes")


def _refuse(value: Value, reason: str) -> NoReturn:
    raise _fault(value) or InvalidValueError(
        f"The value cannot be packed: {reason}.",
        "Use None, bool, int, float, str, bytes, datetime, list and dict.",
    )


def _fault(value: object) -> InvalidValueError | None:
    """Find what cannot be stored in a value, without recursion: the value may be deeper than the stack."""
    pending: list[tuple[object, str, int]] = [(value, "value", 0)]
    while pending:
        item, path, depth = pending.pop()
        if isinstance(item, dict):
            for key in item:
                if isinstance(key, dict | list | tuple):
                    return _fault_at(f"a key of {path}", key)
                pending.append((key, f"a key of {path}", depth))
            pending.extend((member, f"{path}[{_shown(key)}]", depth + 1) for key, member in item.items())
        elif isinstance(item, list | tuple) and not isinstance(item, Timestamp):
            if type(item).__module__.startswith("msgpack"):
                return _fault_at(path, item)
            pending.extend((member, f"{path}[{index}]", depth + 1) for index, member in enumerate(item))
        else:
            fault = _scalar_fault(item, path)
            if fault:
                return fault
        if depth > MAX_DEPTH:
            return InvalidValueError(
                f"The value is nested more than {MAX_DEPTH} levels deep.",
                "Flatten it, or break the cycle in it.",
            )
    return None


def _scalar_fault(item: object, path: str) -> InvalidValueError | None:
    if not isinstance(item, _SCALARS):
        return _fault_at(path, item)
    if isinstance(item, int) and not _SMALLEST_INTEGER <= item <= _GREATEST_INTEGER:
        return InvalidValueError(f"{path}: an integer beyond 64 bits.", "Store it as text.")
    if isinstance(item, str) and not is_encodable(item):
        return InvalidValueError(f"{path}: text with a lone surrogate.", "Decode it properly, or store bytes.")
    if isinstance(item, datetime):
        if item.tzinfo is None:
            return InvalidValueError(f"{path}: a datetime without a time zone.", "Add one, such as datetime.UTC.")
        try:
            item.astimezone(UTC)
        except OverflowError:
            return InvalidValueError(f"{path}: a datetime outside the years 1 to 9999 in UTC.", "Store it as text.")
    return None


def _fault_at(path: str, item: object) -> InvalidValueError:
    return InvalidValueError(
        f"{path}: object of type {type(item).__name__} cannot be stored.",
        "Use None, bool, int, float, str, bytes, datetime, list and dict.",
    )


def _shown(key: object) -> str:
    return f'"{key}"' if isinstance(key, str) else repr(key)


def is_encodable(text: str) -> bool:
    """Tell whether a text is free of lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
