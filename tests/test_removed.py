"""What somebody removes by hand while it is open is noticed by the next write, and nothing else is harmed."""

from __future__ import annotations

import shutil
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest

import pronto_lmdb
from pronto_lmdb import StoreFullError
from pronto_lmdb.directory import Directory

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from pronto_lmdb import Keystore


def home(root: Path) -> Path:
    return root / "addresses" / "a.default"


def test_a_removed_directory_is_noticed_by_the_next_write_which_begins_anew(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        keystore, neighbour = store["a"], store["b"]
        keystore.update({"key": 1, "old": 1})
        neighbour["key"] = 1
        shutil.rmtree(home(root))
        keystore["key"] = 2
        assert dict(keystore.items()) == {"key": 2}
        assert neighbour.increment("key") == 2
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"].items()) == {"key": 2}
        assert store.check(repair=True).ok


def test_a_removed_directory_is_noticed_behind_an_open_view(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        keystore = store["a"]
        keystore["key"] = 1
        with keystore.view() as view:
            shutil.rmtree(home(root))
            keystore["key"] = 2
            assert (view["key"], keystore["key"]) == (1, 2)


def test_at_the_level_normal_a_removed_directory_is_noticed_within_the_interval(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRONTO_FLUSH_INTERVAL", "0.01")
    store = pronto_lmdb.open(root, durability="normal")
    keystore = store["a"]
    keystore["key"] = 1
    shutil.rmtree(home(root))
    noticed(keystore, root)
    with pytest.raises(StoreFullError, match="refuses to keep"):  # what was written into the removed files
        store.close()
    with pronto_lmdb.open(root) as store:
        assert store["a"]["key"] >= 1


def noticed(keystore: Keystore, root: Path) -> None:
    """Write until the address is there again."""
    deadline = monotonic() + 20
    while not home(root).exists():
        assert monotonic() < deadline
        keystore.increment("key")
        sleep(0.01)


def test_at_the_level_off_sync_notices_a_removed_directory(root: Path) -> None:
    with pronto_lmdb.open(root, durability="off") as store:
        keystore = store["a"]
        keystore["key"] = 1
        shutil.rmtree(home(root))
        keystore.sync()
        keystore["key"] = 2
        assert dict(keystore.items()) == {"key": 2}
        assert home(root).exists()


def test_a_removed_journal_is_made_anew(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        keystore = store["a"]
        keystore["old"] = 1
        (journal,) = home(root).glob("journal-*")
        journal.unlink()
        keystore["new"] = 2
    (home(root) / "marker").unlink()
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"].items()) == {"old": 1, "new": 2}


def test_a_marker_that_goes_between_two_looks_at_it_keeps_nobody_from_writing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = "old"
    marker = home(root) / "marker"
    with pronto_lmdb.open(root) as store:
        assert store["a"]["key"] == "old"

        def read(directory: Directory, name: str, original: Any = Directory.read) -> bytes | None:
            found: bytes | None = original(directory, name)
            if name == "marker":
                marker.unlink(missing_ok=True)
            return found

        monkeypatch.setattr(Directory, "read", read)
        store["a"]["key"] = "new"
        monkeypatch.undo()
    with pronto_lmdb.open(root) as store:
        assert store["a"]["key"] == "new"
