"""Damage as a defect of the library would do it: from inside, so that no seal tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pronto_lmdb.directory import Directory
from pronto_lmdb.marker import mark

if TYPE_CHECKING:
    from pathlib import Path


def reseal(path: Path) -> None:
    """Vouch for the data file of an address that nobody has open, whatever was done to it."""
    with Directory(str(path)) as directory:
        mark(directory)
