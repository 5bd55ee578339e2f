"""A note that says too little, or what no operation would say, keeps nobody from anything and is put aside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import pronto_lmdb
from pronto_lmdb import CorruptStoreError
from pronto_lmdb.notes import read_note

if TYPE_CHECKING:
    from pathlib import Path

PLACED = {"address": "a.main", "source": "/one", "target": "/two", "generation": 3}
NOTES: dict[str, dict[str, Any]] = {
    "create": {"address": "a.main", "built": "/disk/a.new-n"},
    "delete": {**PLACED, "trash_id": "7-x"},
    "undelete": {**PLACED, "trash_id": "7-x"},
    "rename": {**PLACED, "old": "b.main"},
    "level": PLACED,
    "quota": PLACED,
    "replace": {
        "address": "a.main",
        "home": "/home",
        "built": "/built",
        "id": "i",
        "replaced": "r",
        "trash": "/trash",
        "trash_id": "7-x",
        "generation": 3,
    },
}
WHOLE = [(operation, {"operation": operation, **fields}) for operation, fields in NOTES.items()]
WRONG = {
    "nothing": {},
    "a number": 7,
    "an unknown operation": {"operation": "explode", **PLACED},
    "an operation that is a list": {"operation": [], **PLACED},
    "no address": {"operation": "level", **PLACED, "address": ".."},
    "a path that is none": {"operation": "level", **PLACED, "source": "/o\0ne"},
    "a generation in text": {"operation": "level", **PLACED, "generation": "3"},
    "a directory to remove that is another's": {"operation": "create", "address": "a.main", "built": "/disk/a"},
}


def written(path: Path, content: object) -> str:
    path.write_text(json.dumps(content))
    return str(path)


@pytest.mark.parametrize("note", [note for _, note in WHOLE], ids=[operation for operation, _ in WHOLE])
def test_a_whole_note_says_what_was_written(tmp_path: Path, note: dict[str, Any]) -> None:
    assert read_note(written(tmp_path / "n.json", note)) == note


@pytest.mark.parametrize("note", [note for _, note in WHOLE], ids=[operation for operation, _ in WHOLE])
def test_each_field_is_needed_and_has_its_type(tmp_path: Path, note: dict[str, Any]) -> None:
    optional = {"address"} if note["operation"] == "create" else set()
    for field in note:
        without = {name: value for name, value in note.items() if name != field}
        for wrong in [{**note, field: None}, *([] if field in optional else [without])]:
            with pytest.raises(CorruptStoreError):
                read_note(written(tmp_path / "n.json", wrong))


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_note_is_damage_that_stops_nobody_and_a_repair_puts_aside(root: Path, wrong: object) -> None:
    with pronto_lmdb.open(root) as store:
        store["a.main"]["key"] = 1
    written(root / "meta" / "pending" / "n.json", wrong)
    with pronto_lmdb.open(root) as store:
        store["b.main"]["key"] = 2
        store.rename("b.main", "c.main")
        assert not store.check().ok
        assert store.check(repair=True).ok
        assert store.check().ok
        assert [str(info.address) for info in store.addresses()] == ["a.main", "c.main"]
    assert list((root / "trash").glob("aside-*/n.json"))


STALE = {
    "rename": {"old": "a.main", "address": "b.main", "target": "addresses/b.main"},
    "delete": {
        "address": "a.main",
        "target": "trash/1-0",
        "trash_id": "1-0",
    },
    "undelete": {"address": "b.main", "target": "addresses/b.main", "trash_id": "1-0"},
}


@pytest.mark.parametrize("operation", STALE)
def test_a_note_that_stayed_behind_is_not_carried_out_when_others_have_come_since(root: Path, operation: str) -> None:
    with pronto_lmdb.open(root) as store:
        store["a.main"]["key"] = 1
        for level in ("normal", "full", "normal"):
            store.set_durability("a.main", level)  # each is a commit of the life cycle
    note = {"operation": operation, "source": str(root / "addresses" / "a.main"), "generation": 1, **STALE[operation]}
    note["target"] = str(root / note["target"])
    written(root / "meta" / "pending" / "n.json", note)
    with pronto_lmdb.open(root) as store:
        assert store["a.main"]["key"] == 1
        assert [str(info.address) for info in store.addresses()] == ["a.main"]
        assert store.trash() == []
        assert store.check().ok
    assert list((root / "meta" / "pending").iterdir()) == []
