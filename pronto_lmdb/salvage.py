"""What can still be read of a damaged file of LMDB 0.9, page by page and without LMDB, which would not survive it."""

from __future__ import annotations

import mmap
import os
import sys
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Entry = tuple[bytes, bytes]

_MAGIC = (0xBEEFC0DE).to_bytes(4, sys.byteorder)
_PAGE_SIZES = [1 << power for power in range(9, 16)]
_DEPTH = 32

# Native byte order, as LMDB writes it.
_PAGE = Struct("=QHHHH")
_NODE = Struct("=HHHH")
# Behind the header of a meta page: 24 bytes, what it says of the free pages (48) and of the entries (48).
_MAIN_ROOT_AT = 16 + 24 + 48 + 40
_TXN_AT = _MAIN_ROOT_AT + 16
_POINTER = Struct("=H")
_NUMBER = Struct("=Q")

_BRANCH = 0x01
_LEAF = 0x02
_BIG = 0x01
_KINDS = 0xFFFF & ~0x10


class DamagedFile:
    """The pages of a file that may hold anything. Entries come with nothing that vouches for them.

    Args:
        path: the file.

    """

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            # Read, not mapped: a file that is cut meanwhile would end the process.
            self._content = b"" if size == 0 else _read(descriptor, size)
        finally:
            os.close(descriptor)
        self._page_size = self._found_page_size()

    def _found_page_size(self) -> int:
        for size in (mmap.PAGESIZE, *_PAGE_SIZES):
            if self._is_meta(size):
                return size
        return mmap.PAGESIZE

    def _is_meta(self, at: int) -> bool:
        return self._content[at + 16 : at + 20] == _MAGIC

    # -- entries -----------------------------------------------------------------------------------------------

    def reachable(self) -> Iterator[Entry]:
        """Yield the entries of the last commit that can be reached from its root."""
        roots = []
        for at in (0, self._page_size):
            if self._is_meta(at) and len(self._content) >= at + _TXN_AT + 8:
                transaction = _NUMBER.unpack_from(self._content, at + _TXN_AT)[0]
                roots.append((transaction, _NUMBER.unpack_from(self._content, at + _MAIN_ROOT_AT)[0]))
        for _, root in sorted(roots, reverse=True)[:1]:
            yield from self._below(root, set(), _DEPTH)

    def all_pages(self) -> Iterator[Entry]:
        """Yield the entries of all pages, whether anything leads to them or not: right where no page is free."""
        for number in range(2, len(self._content) // self._page_size):
            if self._kind(number) == _LEAF:
                yield from self._entries(number)

    def _below(self, number: int, seen: set[int], depth: int) -> Iterator[Entry]:
        if number in seen or depth == 0:
            return
        seen.add(number)
        kind = self._kind(number)
        if kind == _LEAF:
            yield from self._entries(number)
        elif kind == _BRANCH:
            for low, high, flags, _, _ in self._nodes(number):
                yield from self._below(low | high << 16 | flags << 32, seen, depth - 1)

    def _kind(self, number: int) -> int:
        """Return what a page is; 0 if it is not there, or another one lies in its place."""
        at = number * self._page_size
        if at + self._page_size > len(self._content):
            return 0
        own_number, _, flags, _, _ = _PAGE.unpack_from(self._content, at)
        return int(flags & _KINDS) if own_number == number else 0

    def _nodes(self, number: int) -> Iterator[tuple[int, int, int, int, int]]:
        """Yield the fields of each node of a page, and where its key begins; those that stick out are left out."""
        at = number * self._page_size
        end = at + self._page_size
        lower = _PAGE.unpack_from(self._content, at)[3]
        for pointer in range(at + _PAGE.size, min(at + lower, end) - 1, 2):
            node = at + _POINTER.unpack_from(self._content, pointer)[0]
            if at + _PAGE.size < node <= end - _NODE.size:
                low, high, flags, key_size = _NODE.unpack_from(self._content, node)
                if node + _NODE.size + key_size <= end:
                    yield low, high, flags, key_size, node + _NODE.size

    def _entries(self, number: int) -> Iterator[Entry]:
        end = (number + 1) * self._page_size
        for low, high, flags, key_size, begin in self._nodes(number):
            size, value = low | high << 16, begin + key_size
            key = self._content[begin:value]
            if flags == 0 and value + size <= end:
                yield key, self._content[value : value + size]
            elif flags == _BIG and value + 8 <= end:
                at = _NUMBER.unpack_from(self._content, value)[0] * self._page_size + _PAGE.size
                if at + size <= len(self._content):
                    yield key, self._content[at : at + size]


def _read(descriptor: int, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        chunk = os.pread(descriptor, min(size - len(content), 1 << 26), len(content))
        if not chunk:
            break
        content += chunk
    return bytes(content)
