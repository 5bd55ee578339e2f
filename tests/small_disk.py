"""File systems so small that they can be filled, and one whose disk refuses what it has accepted."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024
_PAGE = 4096


def _run(*words: object, accepted: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode not in accepted:
        raise OSError(f"{words[0]}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def mounted(place: Path, size: int) -> Iterator[Path]:
    """Mount a file system of some bytes in memory; a test that needs it is skipped where that is not allowed."""
    place.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", place)
    except OSError as error:
        pytest.skip(f"needs the capability CAP_SYS_ADMIN, to mount a small file system: {error}")
    try:
        yield place
    finally:
        _run("umount", place)


@contextmanager
def remounted(place: Path, image: Path) -> Iterator[Path]:
    """Mount an image that was mounted before."""
    place.mkdir()
    _run("e2fsck", "-p", image, accepted=(0, 1))
    _run("mount", "-o", "loop", image, place)
    try:
        yield place
    finally:
        _run("umount", place)


@contextmanager
def looped(place: Path, image: Path, size: int) -> Iterator[Path]:
    """Mount ext4 on a sparse file, whose blocks are taken from the file system below when files get them.

    What ext4 keeps for itself has its blocks from the beginning: it is the content of files that the disk refuses.
    """
    try:
        with image.open("xb") as file:
            file.truncate(size)
        _run("mkfs.ext4", "-q", "-m", "0", "-b", _PAGE, "-E", "lazy_itable_init=0,nodiscard", image)
        _take_room(image)
        place.mkdir()
        _run("mount", "-o", "loop,errors=remount-ro", image, place)
    except OSError as error:
        pytest.skip(f"needs mkfs.ext4, a loop device and the capability CAP_SYS_ADMIN: {error}")
    try:
        with _single_pages(image):
            yield place
    finally:
        _run("umount", place)


def _take_room(image: Path) -> None:
    """Take the blocks of an image that are in use from the file system below."""
    described = _run("dumpe2fs", image)
    listed = " ".join(re.findall(r"^  Free blocks: (.*)$", described, re.MULTILINE))
    free = [(int(first), int(last)) for first, last in re.findall(r"(\d+)-(\d+)", listed)]
    assert free, "dumpe2fs says nothing of free blocks"
    with image.open("r+b") as file:
        begin = 0
        for first, last in free:
            if first > begin:
                os.posix_fallocate(file.fileno(), begin * _PAGE, (first - begin) * _PAGE)
            begin = last + 1


@contextmanager
def _single_pages(image: Path) -> Iterator[None]:
    """Have a loop device pass on single pages, so that it loses nothing that it reports as written.

    Of several pages it reports all as written, even where the file system below had no room for the last ones; see
    docs/durability.md.
    """
    (name,) = re.findall(r"^/dev/(loop\d+):", _run("losetup", "--associated", image), re.MULTILINE)
    limit = Path(f"/sys/block/{name}/queue/max_sectors_kb")
    before = limit.read_text()
    try:
        limit.write_text(str(_PAGE // 1024))
    except OSError as error:
        pytest.skip(f"needs to set the limits of a loop device: {error}")
    try:
        yield
    finally:
        limit.write_text(before)  # the device keeps it for whoever gets it next


def remount(place: Path, mode: str) -> None:
    """Mount a file system anew, ``ro`` or ``rw``."""
    _run("mount", "-o", f"remount,{mode}", place)


def fill(place: Path, *, leave: int = 0) -> Path:
    """Fill a file system, but for some bytes; return the file that does it."""
    filler = place / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (MIB, 65536, 4096, 512, 1):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    continue
        file.truncate(max(0, file.seek(0, os.SEEK_END) - leave))
    return filler
