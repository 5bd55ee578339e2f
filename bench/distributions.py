"""Which record an operation picks: uniform, Zipfian and latest, as YCSB defines them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from random import Random

THETA = 0.99
_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_64_BITS = 0xFFFFFFFFFFFFFFFF


class Distribution(Protocol):
    """Picks indexes from 0 up to ``newest``, inclusive."""

    def pick(self, random: Random, newest: int) -> int:
        """Return an index."""
        ...


class Uniform:
    """Every record is as likely as any other."""

    def pick(self, random: Random, newest: int) -> int:
        """Return an index."""
        return random.randrange(newest + 1)


class Zipfian:
    """Rank r, counted from 0, is picked with a probability proportional to 1 / (r + 1)^0.99.

    The method is that of Gray et al., "Quickly generating billion-record synthetic databases": one random
    number for each pick, after one sum over all ranks.

    Args:
        items: how many ranks.

    """

    def __init__(self, items: int) -> None:
        self.items = items
        self._zeta = sum(1 / rank**THETA for rank in range(1, items + 1))
        self._second = 1 + 0.5**THETA
        self._alpha = 1 / (1 - THETA)
        self._eta = (1 - (2 / items) ** (1 - THETA)) / (1 - self._second / self._zeta)

    def rank(self, random: Random) -> int:
        """Return a rank; 0 is the most popular."""
        point = random.random()
        scaled = point * self._zeta
        if scaled < 1:
            return 0
        if scaled < self._second:
            return 1
        return min(self.items - 1, int(self.items * (self._eta * point - self._eta + 1) ** self._alpha))


class Scrambled:
    """Zipfian, the popular records scattered over the key space.

    Args:
        items: how many records there are at least.

    """

    def __init__(self, items: int) -> None:
        self._zipfian = Zipfian(items)

    def pick(self, random: Random, newest: int) -> int:
        """Return an index."""
        return fnv1a(self._zipfian.rank(random)) % (newest + 1)


class Latest:
    """Zipfian by age: the record written last is the most popular.

    Args:
        items: how many records there are at least.

    """

    def __init__(self, items: int) -> None:
        self._zipfian = Zipfian(items)

    def pick(self, random: Random, newest: int) -> int:
        """Return an index."""
        return max(0, newest - self._zipfian.rank(random))


def fnv1a(number: int) -> int:
    """Return the 64-bit FNV-1a hash of a number's eight bytes."""
    digest = _FNV_OFFSET
    for byte in number.to_bytes(8, "little"):
        digest = (digest ^ byte) * _FNV_PRIME & _64_BITS
    return digest
