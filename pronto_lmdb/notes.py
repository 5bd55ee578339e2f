"""The notes that operations on addresses leave in ``meta/pending``: what one of them must say to be finished."""

from __future__ import annotations

import json
import os

from pronto_lmdb.address import Address
from pronto_lmdb.errors import CorruptStoreError
from pronto_lmdb.files import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CREATE, REPLACE = "create", "replace"
# Between the path of an address outside the root and its id, until it is made.
UNMADE_MARK = ".new-"

_ADDRESS = frozenset(["address"])
_PLACED = _ADDRESS | {"source", "target"}
# What each of them says in text, beside what it is; a creation may leave its address out, as it did once.
_TEXTS = {
    CREATE: frozenset(["built"]),
    "delete": _PLACED | {"trash_id"},
    "undelete": _PLACED | {"trash_id"},
    "rename": _PLACED | {"old"},
    "level": _PLACED,
    "quota": _PLACED,
    REPLACE: _ADDRESS | {"home", "built", "id", "replaced", "trash", "trash_id"},
}


def read_note(path: str) -> dict[str, Any]:
    """Return what a note says.

    Raises:
        CorruptStoreError: if it cannot be read, or says too little to be finished.

    """
    try:
        note: dict[str, Any] = json.loads(read_text(path) or "")
        if not _is_whole(note, os.path.basename(path).removesuffix(".json")):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CorruptStoreError(f"{path} is no note of an operation.", "Run `pronto check --repair`.") from None
    return note


def _is_whole(note: dict[str, Any], name: str) -> bool:
    texts = [note[field] for field in _TEXTS[note["operation"]] | (_ADDRESS & note.keys())]
    if not all(type(text) is str and "\0" not in text for text in texts):
        return False
    if "address" in note:
        Address.parse(note["address"])
    if note["operation"] == CREATE:  # what it names may be removed, so it must be what its name says
        return note["built"].endswith(UNMADE_MARK + name)  # type: ignore[no-any-return]
    return type(note["generation"]) is int
