"""The fingerprint of a view: what is the same has the same one, and what may have changed is never taken for that."""

from __future__ import annotations

import os
import time

import pytest

import pronto_lmdb
from pronto_lmdb.fingerprint import fingerprint, is_same, is_untouched

pytestmark = pytest.mark.disk

NAME = "a.default"


@pytest.fixture
def later(monkeypatch):
    """Let it be some seconds later, so that what was written is at rest."""
    monkeypatch.setattr("pronto_lmdb.fingerprint.time_ns", lambda: time.time_ns() + 10_000_000_000)


@pytest.fixture
def homes(store, root):
    """The directory with the addresses, held open, and in it one with a record."""
    store["a"]["k"] = 1
    descriptor = os.open(root / "addresses", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_what_was_left_alone_is_untouched(store, root, homes, later):
    known = fingerprint(f"{root}/addresses/{NAME}")
    assert is_untouched(known, NAME, homes)
    assert dict(store["a"].items()) == {"k": 1}
    store.close()
    with pronto_lmdb.open(root) as again:
        assert again["a"]["k"] == 1
    assert is_untouched(known, NAME, homes)
    assert is_same(known, fingerprint(f"{root}/addresses/{NAME}"))


def test_what_was_written_to_a_moment_before_needs_a_look_inside(root, homes):
    """A second commit at the same tick of the clock would leave the same times."""
    path = f"{root}/addresses/{NAME}"
    known = fingerprint(path)
    assert not is_untouched(known, NAME, homes)
    assert is_same(known, fingerprint(path))


def test_times_that_are_ahead_of_the_clock_do_not_count(root, homes, monkeypatch):
    monkeypatch.setattr("pronto_lmdb.fingerprint.time_ns", lambda: time.time_ns() - 3_600_000_000_000)
    assert not is_untouched(fingerprint(f"{root}/addresses/{NAME}"), NAME, homes)


@pytest.mark.parametrize("change", ["put", "delete", "abandoned", "replace", "level", "compact"])
def test_each_commit_is_seen_in_both_halves(store, root, homes, later, change):
    path = f"{root}/addresses/{NAME}"
    known = fingerprint(path)
    time.sleep(0.02)  # longer than a tick of the clock: two commits at one are what the first half cannot tell
    if change == "put":
        store["a"]["k"] = 1
    elif change == "delete":
        del store["a"]["k"]
    elif change == "replace":
        store.delete("a")
        store["a"]["k"] = 1
    elif change == "level":
        store.set_durability("a", "normal")
    elif change == "compact":
        store.compact("a")
    else:
        with pytest.raises(ZeroDivisionError):
            store["a"].modify("k", lambda value: value / 0)
    assert is_untouched(known, NAME, homes) == is_same(known, fingerprint(path)) == (change == "abandoned")


def test_a_commit_that_leaves_size_and_time_is_seen_in_both_halves(store, root, homes, later):
    """Somebody sets back the time of the file: the system still has another one."""
    path = f"{root}/addresses/{NAME}"
    for number in range(8):  # from then on the pages of earlier commits are used again
        store["a"]["k"] = number
    known, before = fingerprint(path), os.stat(f"{path}/data.mdb")
    time.sleep(0.02)
    store["a"]["k"] = 2
    os.utime(f"{path}/data.mdb", ns=(before.st_atime_ns, before.st_mtime_ns))
    after = os.stat(f"{path}/data.mdb")
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert not is_untouched(known, NAME, homes)
    assert not is_same(known, fingerprint(path))


def test_where_there_is_no_view_there_is_no_fingerprint(root, homes, monkeypatch):
    known = fingerprint(f"{root}/addresses/{NAME}")
    assert fingerprint(f"{root}/addresses/b.default") == ""
    assert not is_untouched(known, "b.default", homes)
    assert not is_same("", "")
    assert not is_untouched("", NAME, homes)
    monkeypatch.setattr("pronto_lmdb.fingerprint.boot_id", lambda: None)
    assert fingerprint(f"{root}/addresses/{NAME}") == ""
    assert not is_untouched(known, NAME, homes)


def test_a_fingerprint_of_another_boot_is_another(root, homes, later, monkeypatch):
    path = f"{root}/addresses/{NAME}"
    known = fingerprint(path)
    monkeypatch.setattr("pronto_lmdb.fingerprint.boot_id", lambda: "another")
    assert not is_untouched(known, NAME, homes)
    assert not is_same(known, fingerprint(path))
