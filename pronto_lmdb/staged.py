"""Directories in which keystores are built that will take a place later; each is locked by whoever builds there."""

from __future__ import annotations

import json
import os

from pronto_lmdb.files import DirectoryLock, read_text, remove_tree, try_lock, write_durably

_PREFIX = "staged-"
_ELSEWHERE = "elsewhere.json"


def new_staged(pending: str) -> str:
    """Return the path of a new one among what is pending."""
    return os.path.join(pending, _PREFIX + os.urandom(8).hex())


def is_staged(path: str) -> bool:
    """Tell whether this is one."""
    return os.path.basename(path).startswith(_PREFIX)


def is_in_use(path: str) -> bool:
    """Tell whether somebody who is alive builds there."""
    lock = DirectoryLock(path)
    lock.open()
    try:
        try_lock(lock.descriptor)  # nobody asks who it is, as a refusal of the lock would: that takes milliseconds
    except (BlockingIOError, PermissionError):
        return True
    finally:
        lock.release()
        lock.close()
    return False


def note_elsewhere(staged: str, paths: list[str]) -> None:
    """Note durably what is going to be built elsewhere on its behalf, on another file system."""
    write_durably(os.path.join(staged, _ELSEWHERE), json.dumps(paths))


def sweep_staged(path: str) -> None:
    """Remove one whose process was killed; one that is in use stays."""
    if not is_in_use(path):
        remove_staged(path)


def remove_staged(path: str) -> None:
    """Remove one, with what was built elsewhere."""
    for built in json.loads(read_text(os.path.join(path, _ELSEWHERE)) or "[]"):
        remove_tree(built)
    remove_tree(path)
