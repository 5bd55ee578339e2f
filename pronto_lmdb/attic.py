"""The attic: what a repair could not keep lies in the trash, each thing in a directory with a note."""

from __future__ import annotations

import errno
import json
import os
import shutil

from pronto_lmdb import clock
from pronto_lmdb.files import make_directory, sync_directory, write_durably
from pronto_lmdb.survey import ASIDE
from pronto_lmdb.translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.directory import Directory
    from pronto_lmdb.layout import Layout

NOTE = "note.json"


class Attic:
    """Takes what a repair puts aside. Nothing that comes here is lost before somebody purges the trash.

    Args:
        layout: where things are in the store.

    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def take(self, path: str, why: str) -> str:
        """Move a file or a directory here, whatever it is; return where it lies now."""
        place = self._place_for(path, why)
        target = os.path.join(place, os.path.basename(path))
        try:
            os.rename(path, target)
            sync_directory(place)
            sync_directory(os.path.dirname(path))
        except OSError as error:
            raise translated(error, path) from error
        return target

    def keep_copies(self, directory: Directory, names: list[str], why: str) -> str:
        """Keep files of a directory as they are now, because they are going to be replaced; return where."""
        place = self._place_for(directory.path, why)
        try:
            for name in names:
                _copy(directory.place(name), os.path.join(place, name))
            sync_directory(place)
        except OSError as error:
            raise translated(error, directory.path) from error
        return place

    def keep_text(self, source: str, text: str, why: str) -> str:
        """Write down what has no file of its own; return the file."""
        place = self._place_for(source, why)
        file = os.path.join(place, "records.jsonl")
        write_durably(file, text)
        return file

    def _place_for(self, path: str, why: str) -> str:
        name = f"{ASIDE}{clock.now():016d}-{os.urandom(4).hex()}"
        # A rename cannot cross file systems.
        inside = self._layout.is_inside(path)
        place = os.path.join(self._layout.trash, name) if inside else f"{path}.{name}"
        make_directory(place)
        note = {"from": path, "why": why, "at": clock.now()}
        write_durably(os.path.join(place, NOTE), json.dumps(note, indent=1))
        return place


def _copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        shutil.copyfile(source, target)
