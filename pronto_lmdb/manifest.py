"""The manifest of a snapshot: what it holds, as JSON text with a checksum of itself behind it.

Whoever reads one may have got it from anywhere. Nothing in it is a path, and nothing is believed before its checksum,
its form and the types of its fields have been looked at.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from hashlib import sha256
from operator import lt

from pronto_lmdb.address import Address
from pronto_lmdb.arguments import GREATEST_QUOTA, SMALLEST_QUOTA
from pronto_lmdb.config import DURABILITIES
from pronto_lmdb.errors import FormatVersionError, ProntoError, SnapshotError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

NAME = "manifest.json"
FORMAT = 1
# A million addresses take a third of it.
LARGEST = 2**30

_BEGIN = b'{"format": '
_LIST = b', "addresses": [\n'
_FIRST = b'{"address": "'
_COMMA = b","
_END = b"\n],\n"
_TAIL_BEGIN = b'"checksum": "'
_TAIL_END = b'"}\n'
_TAIL_SIZE = len(_TAIL_BEGIN) + 64 + len(_TAIL_END)
_HEX = frozenset("0123456789abcdef")
_MOST = 2**63
# A longer file name than this does not fit into an archive.
_LONGEST_NAME = 90
_SUFFIX = ".journal"
_HINT = "Use another snapshot."
_UNREADABLE = (ValueError, RecursionError)


class DamagedSnapshotError(SnapshotError):
    """There is a snapshot, and it is not as it was written."""


class Entry:
    """What a snapshot says of one address.

    Args:
        address: text of the address.
        id: of its keystore, 32 hex digits.
        revision: of the last commit that it holds.
        generation: of the keystore then.
        records: how many it holds, expired ones that were not swept included.
        bytes: size of the data file.
        checksum: SHA-256 of the data file, 64 hex digits.
        durability: the level of the keystore.
        max_bytes: its quota, or ``None``.
        labels: its labels, text by name.
        view: stands for the view that was read: while it is the same, so is the keystore. Empty where that is unknown.

    """

    __slots__ = (
        "address", "bytes", "checksum", "durability", "generation", "id", "labels", "max_bytes", "records", "revision",
        "view",
    )  # fmt: skip

    def __init__(
        self,
        address: str,
        id: str,  # noqa: A002 - as in AddressInfo
        revision: int,
        generation: int,
        records: int,
        bytes: int,  # noqa: A002 - as in the file
        checksum: str,
        durability: str,
        max_bytes: int | None,
        labels: dict[str, str],
        view: str,
    ) -> None:
        self.address = address
        self.id = id
        self.revision = revision
        self.generation = generation
        self.records = records
        self.bytes = bytes
        self.checksum = checksum
        self.durability = durability
        self.max_bytes = max_bytes
        self.labels = labels
        self.view = view

    @property
    def file(self) -> str:
        """The name of the data file; it follows from the address, so that no manifest can name another file."""
        return data_file(Address.parse(self.address))

    def encode(self) -> bytes:
        """Return the stored form, one line of JSON."""
        return json.dumps({name: getattr(self, name) for name in _FIELDS}, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, fields: Any, place: str) -> Entry:
        """Read the stored form; ``place`` is the file, for messages.

        Raises:
            SnapshotError: if anything is missing, superfluous, or of another kind.

        """
        if type(fields) is not dict or fields.keys() != _CHECKS.keys():
            raise SnapshotError(f"{place} describes an address in an unknown way.", _HINT)
        for name, is_valid in _CHECKS.items():
            if not is_valid(fields[name]):
                raise SnapshotError(f"{place} has a {name} that is none: {str(fields[name])!a:.80}.", _HINT)
        return cls(**fields)


def data_file(address: Address, directory: str = "") -> str:
    """Return the name of the file with the data of an address in a snapshot; ``directory`` is that of the address."""
    name = directory or address.directory
    if len(name) > _LONGEST_NAME:
        # No other name looks like this: each directory of an address has a dot.
        name = sha256(str(address).encode()).hexdigest()[:32]
    return name + _SUFFIX


class Manifest:
    """What a snapshot holds. Of a stored one, only those lines are read that somebody asks for.

    Args:
        id: of the snapshot.
        created_at: microseconds since 1970 UTC.
        label: what somebody called it, or ``None``.
        tool: what wrote it.
        lines: of each address the stored form, sorted by the bytes of its text; a comma may be behind it.
        fields: what the lines say, or ``None`` where they are still to be read.
        listed: all lines as they stand in the file, as a list of JSON.
        place: the file, for messages.

    """

    __slots__ = ("_fields", "_listed", "created_at", "id", "label", "lines", "place", "tool")

    def __init__(
        self,
        id: str,  # noqa: A002 - as in Snapshot
        created_at: int,
        label: str | None,
        tool: str,
        lines: Sequence[bytes],
        fields: Sequence[Any] | None,
        listed: bytes | memoryview = b"[]",
        place: str = NAME,
    ) -> None:
        self.id = id
        self.created_at = created_at
        self.label = label
        self.tool = tool
        self.lines = lines
        self.place = place
        self._fields = fields
        self._listed = listed

    def fields(self) -> Sequence[Any]:
        """Return what all lines say. Each has an address; nothing else was looked at.

        Raises:
            SnapshotError: if they do not list addresses in their order, each once.

        """
        if self._fields is None:
            try:
                # At once: one line after the other takes half as long again.
                found = json.loads(str(self._listed, "utf-8"))
                names = [fields["address"] for fields in found]
            except (*_UNREADABLE, TypeError, KeyError):
                raise self._disordered() from None
            if len(names) != len(self.lines) or {*map(type, names)} != {str} or not _ascending(names):
                raise self._disordered()
            self._fields = found
        return self._fields

    def names(self) -> list[str]:
        """Return the texts of all addresses.

        Raises:
            SnapshotError: as above.

        """
        return [fields["address"] for fields in self.fields()]

    def entries(self, names: Sequence[str] | None = None) -> list[Entry]:
        """Return what is said of some addresses, or all of them; those that it does not hold are left out.

        Raises:
            SnapshotError: if what is said of one of them cannot be, or they are not in their order.

        """
        if names is None:
            return [Entry.decode(fields, self.place) for fields in self.fields()]
        return [Entry.decode(known[1], self.place) for known in map(self.find, names) if known is not None]

    def find(self, name: str) -> tuple[bytes, Any] | None:
        """Return the line of one address and what it says; how many others there are hardly matters.

        Returns:
            ``None`` where it has none.

        Raises:
            SnapshotError: if what the line says is not about the address, or it is not in its place.

        """
        try:
            at = bisect_left(self.lines, name, key=_address)
            around = [_address(line) for line in self.lines[max(at - 1, 0) : at + 2]]
            if name not in around:
                return None
            line = self.lines[at]
            fields = json.loads(line.removesuffix(_COMMA).decode())
        except _UNREADABLE:
            raise self._disordered() from None
        if not _ascending(around) or type(fields) is not dict or fields.get("address") != name:
            raise self._disordered()
        return line, fields

    def _disordered(self) -> SnapshotError:
        return SnapshotError(f"{self.place} does not list addresses in their order, each once.", _HINT)

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        head = {"format": FORMAT, "id": self.id, "created_at": self.created_at, "label": self.label, "tool": self.tool}
        begin = json.dumps(head, ensure_ascii=False)[:-1].encode() + _LIST
        lines = [line.removesuffix(_COMMA) for line in self.lines]
        content = b"".join([begin, b",\n".join(lines), _END])
        return content + _tail(content)

    @classmethod
    def decode(cls, content: bytes, place: str) -> Manifest:
        """Read the bytes of the file; ``place`` is its path, for messages.

        What it says of each address is looked at when it is asked for.

        Raises:
            DamagedSnapshotError: if its checksum does not fit.
            FormatVersionError: if a newer release wrote it.
            SnapshotError: if it is no manifest.

        """
        begin, tail = memoryview(content)[:-_TAIL_SIZE], content[-_TAIL_SIZE:]
        whole = tail.startswith(_TAIL_BEGIN) and tail.endswith(_TAIL_END)
        if not whole and not content.startswith(_BEGIN):
            raise SnapshotError(f"{place} is no manifest.", _HINT)
        if tail != _tail(begin):
            raise DamagedSnapshotError(f"{place} is damaged: its checksum does not fit.", _HINT)
        try:
            fields = _head(content)
        except _UNREADABLE:
            raise SnapshotError(f"{place} is no manifest.", _HINT) from None
        return cls._checked(fields, content, place)

    @classmethod
    def _checked(cls, fields: Any, content: bytes, place: str) -> Manifest:
        if type(fields) is not dict or type(fields.get("format")) is not int:
            raise SnapshotError(f"{place} is no manifest.", _HINT)
        if fields["format"] != FORMAT:
            raise FormatVersionError(
                f"{place} has the format version {fields['format']}; this release reads version {FORMAT}.",
                "Use the release that wrote it, or a newer one.",
            )
        if fields.keys() != _HEAD.keys() or not all(is_valid(fields[name]) for name, is_valid in _HEAD.items()):
            raise SnapshotError(f"{place} is no manifest of a snapshot.", _HINT)
        if not content.endswith(_END, 0, -_TAIL_SIZE):
            raise SnapshotError(f"{place} does not have a line for each address.", _HINT)
        # The head is before the lines; behind them are the end of the list, the checksum, and nothing.
        lines = content.split(b"\n")[1:-3]
        listed = memoryview(content)[content.index(b"\n") - 1 : -_TAIL_SIZE - len(_COMMA) - 1]
        return cls(fields["id"], fields["created_at"], fields["label"], fields["tool"], lines, None, listed, place)


def _tail(content: bytes | memoryview) -> bytes:
    return _TAIL_BEGIN + sha256(content).hexdigest().encode() + _TAIL_END


def _head(content: bytes) -> Any:
    """Return what the first line says. That of a newer release may have another form: of that all is read."""
    try:
        return json.loads(content[: content.index(b"\n")].decode() + "]}")
    except ValueError:
        fields = json.loads(content.decode())
        if type(fields) is dict and fields.get("format") == FORMAT:
            raise
        return fields


def _address(line: bytes) -> str:
    """Return the text of the address that a line is about; the rest of it is not looked at.

    Raises:
        ValueError, RecursionError: if it says none.

    """
    if line.startswith(_FIRST):
        text = line[len(_FIRST) : line.find(b'"', len(_FIRST))]
        if b"\\" not in text:
            return text.decode()
    fields = json.loads(line.removesuffix(_COMMA).decode())
    name = fields.get("address") if type(fields) is dict else None
    if type(name) is not str:
        raise ValueError
    return name


def _ascending(names: Sequence[str]) -> bool:
    """Tell whether texts are sorted by the bytes of their UTF-8, which is the order of their characters; each once."""
    return all(map(lt, names, names[1:]))


# -- what a field may be ---------------------------------------------------------------------------------------------


def _is_address(value: Any) -> bool:
    try:
        return type(value) is str and str(Address.parse(value)) == value
    except ProntoError:
        return False


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST


def _is_hex(value: Any, digits: int) -> bool:
    return type(value) is str and len(value) == digits and _HEX.issuperset(value)


def _is_text(value: Any) -> bool:
    if type(value) is not str:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_labels(value: Any) -> bool:
    return type(value) is dict and all(map(_is_text, (*value, *value.values())))


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "address": _is_address,
    "id": lambda value: _is_hex(value, 32),
    "revision": _is_count,
    "generation": lambda value: _is_count(value) and value < 2**32,
    "records": _is_count,
    "bytes": _is_count,
    "checksum": lambda value: _is_hex(value, 64),
    "durability": lambda value: type(value) is str and value in DURABILITIES,
    "max_bytes": lambda value: value is None or (_is_count(value) and SMALLEST_QUOTA <= value <= GREATEST_QUOTA),
    "labels": _is_labels,
    "view": lambda value: value == "" or _is_hex(value, 32),
}
_FIELDS = tuple(_CHECKS)
_HEAD: dict[str, Callable[[Any], bool]] = {
    "format": _is_count,
    "id": _is_text,
    # Up to the last instant that a datetime can show.
    "created_at": lambda value: _is_count(value) and value < 253_402_300_800_000_000,
    "label": lambda value: value is None or _is_text(value),
    "tool": _is_text,
    # They follow, a line for each.
    "addresses": lambda value: value == [],
}
