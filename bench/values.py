"""Keys and values of the workloads: functions of seed, index and version, so that any of them can be checked."""

from __future__ import annotations

from random import Random
from string import ascii_letters, digits
from typing import Any

from msgpack import packb

_ALPHABET = ascii_letters + digits + "    .,"
_POOL = 8192


class Values:
    """Notes of an agent: small dicts. Keys sort as their indexes do.

    Args:
        seed: of the text in the values.
        size: bytes of a packed value, at least 64; a value has up to three less where msgpack skips a size.

    """

    def __init__(self, seed: int, size: int) -> None:
        # Reproducible text, no secret.
        self._pool = "".join(Random(seed).choices(_ALPHABET, k=_POOL + size))
        self._length = size
        while (excess := len(packb(self.value(0, 0))) - size) > 0:
            self._length -= excess

    def key(self, index: int) -> str:
        """Return the key of an index below 10^8."""
        return f"memory.notes.item-{index:08d}"

    def value(self, index: int, version: int) -> Any:
        """Return the value that an index has in a version."""
        # Both numbers pack to a fixed size, whatever the index and the version.
        return {
            "id": 1_000_000_000 + index,
            "at": float(version),
            "kind": "note",
            "done": False,
            "text": self._text(index, version),
        }

    def _text(self, index: int, version: int) -> str:
        start = (index * 7919 + version * 104_729) % _POOL
        return self._pool[start : start + self._length]


class Blobs(Values):
    """Plain bytes, for comparing sizes down to 16 bytes."""

    def value(self, index: int, version: int) -> Any:
        """Return bytes that name their index and version."""
        head = index.to_bytes(4, "big") + version.to_bytes(4, "big")
        return (head + self._text(index, version).encode())[: self._length]


class Records(Values):
    """YCSB records: ten fields of 100 characters.

    Args:
        seed: of the text in the fields.

    """

    FIELDS = 10
    FIELD_LENGTH = 100

    def __init__(self, seed: int) -> None:
        self._length = self.FIELDS * self.FIELD_LENGTH
        self._pool = "".join(Random(seed).choices(_ALPHABET, k=_POOL + self._length))

    def key(self, index: int) -> str:
        """Return the key of an index, as YCSB writes it."""
        return f"user{index:08d}"

    def value(self, index: int, version: int) -> Any:
        """Return the fields of a record; the first names index and version."""
        text, width = self._text(index, version), self.FIELD_LENGTH
        fields = {f"field{place // width}": text[place : place + width] for place in range(0, len(text), width)}
        fields["field0"] = f"{index}.{version}.{text}"[:width]
        return fields
