"""Keys and values of the workloads: functions of seed, index and version, so that any of them can be checked."""

from __future__ import annotations

from random import Random
from string import ascii_letters, digits
from typing import Any

from msgpack import packb

_ALPHABET = ascii_letters + digits + "    .,"
_POOL = 8192


class Values:
    """Notes of an agent: small dicts whose packed size is exact.

    Keys sort as their indexes do.

    Args:
        seed: of the text in the values.
        size: bytes of a packed value, at least 64.

    """

    def __init__(self, seed: int, size: int) -> None:
        self.size = size
        # S311: reproducible text, no secret.
        self._pool = "".join(Random(seed).choices(_ALPHABET, k=_POOL + size))
        self._length = size
        while (excess := len(packb(self.value(0, 0))) - size) > 0:
            self._length -= excess

    def key(self, index: int) -> str:
        """Return the key of an index below 10^8."""
        return f"memory.notes.item-{index:08d}"

    def value(self, index: int, version: int) -> Any:
        """Return the value that an index has in a version."""
        start = (index * 7919 + version * 104_729) % _POOL
        text = self._pool[start : start + self._length]
        # Both numbers pack to a fixed size, whatever the index and the version.
        return {"id": 1_000_000_000 + index, "at": float(version), "kind": "note", "done": False, "text": text}


class Blobs(Values):
    """Plain bytes of an exact packed size, for comparing value sizes down to 16 bytes."""

    def value(self, index: int, version: int) -> Any:
        """Return bytes that name their index and version."""
        start = (index * 7919 + version * 104_729) % _POOL
        head = index.to_bytes(4, "big") + version.to_bytes(4, "big")
        return (head + self._pool[start : start + self._length].encode())[: self._length]


class Records(Values):
    """YCSB records: ten fields, one kilobyte."""

    FIELDS = 10

    def key(self, index: int) -> str:
        """Return the key of an index, as YCSB writes it."""
        return f"user{index:08d}"

    def value(self, index: int, version: int) -> Any:
        """Return the ten fields of a record; the first names index and version."""
        width = max(1, self._length // self.FIELDS)
        start = (index * 7919 + version * 104_729) % _POOL
        fields = {
            f"field{number}": self._pool[(place := (start + number * width) % _POOL) : place + width]
            for number in range(self.FIELDS)
        }
        fields["field0"] = f"{index}.{version}.{fields['field0']}"[:width]
        return fields
