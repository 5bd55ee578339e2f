"""File systems so small that they can be filled, and one whose disk refuses what it has accepted."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1024 * 1024


def _run(*words: object, accepted: tuple[int, ...] = (0,)) -> None:
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode not in accepted:
        raise OSError(f"{words[0]}: {done.stderr.strip()}")


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
    """Mount ext4 on a sparse file, whose blocks are taken from the file system below when they are written.

    It stops at the first error of its own: told to go on, it loses what it has reported as flushed.
    """
    try:
        with image.open("xb") as file:
            file.truncate(size)
        _run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,nodiscard", image)
        place.mkdir()
        _run("mount", "-o", "loop,errors=remount-ro", image, place)
    except OSError as error:
        pytest.skip(f"needs mkfs.ext4, a loop device and the capability CAP_SYS_ADMIN: {error}")
    try:
        yield place
    finally:
        _run("umount", place)


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
