"""Compaction: room is given back while others have the address open, and whoever is killed hinders nobody."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from conftest import REPOSITORY
from crash import killed_at

import pronto_lmdb
from pronto_lmdb import compaction
from pronto_lmdb.pool import pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pronto_lmdb import Store

LEVELS = ("full", "normal", "off")

_NEIGHBOUR = """
import json, sys, pronto_lmdb
with pronto_lmdb.open(sys.argv[1], timeout=10) as store:
    keystore = store["a"]
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        if verb == "view":
            view = keystore.view().__enter__()
            answer = len(view)
        elif verb == "end":
            view.__exit__(None, None, None)
            answer = None
        else:
            answer = getattr(keystore, verb)(*arguments)
        print(json.dumps(answer), flush=True)
"""


class Neighbour:
    """Another process that has the address open all the time, and does what it is told."""

    def __init__(self, root: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _NEIGHBOUR, str(root)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, verb: str, *arguments: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([verb, *arguments]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture
def neighbour(root: Path) -> Iterator[Neighbour]:
    neighbour = Neighbour(root)
    yield neighbour
    neighbour.close()


@pytest.fixture(params=LEVELS)
def churned(request: pytest.FixtureRequest, root: Path) -> Iterator[Store]:
    """A store with an address, at each level, most of whose file is free."""
    with pronto_lmdb.open(root, durability=request.param) as store:
        churn(store)
        yield store


def churn(store: Store) -> None:
    keystore = store["a"]
    keystore.update({f"key{number}": "x" * 1_000 for number in range(2_000)})
    keystore.delete_many([f"key{number}" for number in range(10, 2_000)])


def size(root: Path) -> int:
    return (root / "addresses" / "a.default" / "data.mdb").stat().st_size


# -- what it does ----------------------------------------------------------------------------------------------------


def test_room_is_given_back_and_the_content_is_the_same(churned: Store, root: Path) -> None:
    keystore = churned["a"]
    keystore.put("lease", 1, ttl=1_000)
    keystore.namespace_ttl("p.n", 60)
    before, content, info = size(root), dict(keystore), churned.info("a")
    (done,) = churned.compact("a")
    assert size(root) < before / 10
    assert (str(done.address), done.bytes_after) == ("a.default", keystore.stats().bytes_on_disk)
    assert done.bytes_before > done.bytes_after
    assert (dict(keystore), keystore.namespace_ttls(), churned.info("a")) == (content, {"p.n": 60}, info)
    assert keystore.ttl("lease") is not None
    assert churned.check(deep=True).problems == []


def test_revisions_go_on(churned: Store) -> None:
    keystore = churned["a"]
    before = keystore.revision
    for _ in range(3):
        churned.compact("a")
    assert keystore.revision == before
    keystore["new"] = 1
    assert keystore.entry("new").revision == before + 1


def test_without_a_name_all_addresses_are_compacted(store: Store) -> None:
    for name in "cab":
        store[name]["key"] = name
    assert [str(done.address) for done in store.compact()] == ["a.default", "b.default", "c.default"]
    assert [store[name]["key"] for name in "abc"] == ["a", "b", "c"]


def test_what_is_absent_is_not_found(root: Path, store: Store) -> None:
    with pytest.raises(pronto_lmdb.AddressNotFoundError):
        store.compact("a")
    assert not root.exists()
    store["b"]["key"] = 1
    with pytest.raises(pronto_lmdb.AddressNotFoundError):
        store.compact("a")


def test_a_store_that_only_reads_compacts_nothing(churned: Store, root: Path) -> None:
    before = size(root)
    with pronto_lmdb.open(root, readonly=True) as reader, pytest.raises(pronto_lmdb.ReadOnlyError):
        reader.compact("a")
    assert size(root) == before


def test_a_quota_still_holds(store: Store) -> None:
    store.create("a", max_bytes=1_000_000)
    store["a"]["key"] = "x" * 100_000
    store.compact("a")
    with pytest.raises(pronto_lmdb.StoreFullError, match="quota"):
        store["a"]["much"] = "x" * 2_000_000
    assert len(store["a"]) == 1


def test_it_survives_a_power_cut(churned: Store, root: Path, in_another_process: Callable[..., Any]) -> None:
    churned.compact("a")
    churned["a"]["new"] = 1
    churned["a"].sync()
    churned.close()
    home = root / "addresses" / "a.default"
    (home / "marker").write_text("another boot")
    (home / "data.mdb").write_bytes(b"torn")
    program = """
        import json, sys, pronto_lmdb
        with pronto_lmdb.open(sys.argv[1]) as store:
            print(json.dumps(sorted(store["a"])))
        """
    assert in_another_process(program, root) == sorted([*(f"key{number}" for number in range(10)), "new"])


# -- beside others ---------------------------------------------------------------------------------------------------


def test_handles_of_another_process_go_on_with_the_new_file(churned: Store, root: Path, neighbour: Neighbour) -> None:
    assert neighbour("get", "key1") == "x" * 1_000
    churned.compact("a")
    churned["a"]["mine"] = 1
    assert neighbour("get", "mine") == 1
    neighbour("put", "theirs", 2)
    assert churned["a"]["theirs"] == 2
    churned.compact("a")
    neighbour("put", "theirs", 3)
    assert (churned["a"]["theirs"], neighbour("get", "mine")) == (3, 1)


def test_a_view_keeps_its_moment_and_the_rest_goes_on(churned: Store, neighbour: Neighbour) -> None:
    keystore = churned["a"]
    assert neighbour("view") == 10
    with keystore.view() as view:
        churned.compact("a")
        keystore["new"] = 1
        assert (len(view), len(keystore), neighbour("__len__")) == (10, 11, 11)
        churned.compact("a")
        assert (len(view), view["key1"]) == (10, "x" * 1_000)
    neighbour("end")
    neighbour("put", "another", 1)
    assert len(keystore) == 12


def test_the_old_file_is_closed_when_its_last_view_ends(churned: Store) -> None:
    with churned["a"].view():
        churned.compact("a")
        assert len(churned["a"]) == 10
        assert len([opened for opened in pool.environments() if opened.is_keystore]) == 2
    (opened,) = [opened for opened in pool.environments() if opened.is_keystore]
    assert opened.is_in_place()


def test_a_compaction_waits_for_a_transaction_no_longer_than_the_timeout(
    root: Path, in_another_process: Callable[..., Any]
) -> None:
    program = """
        import sys, pronto_lmdb
        with pronto_lmdb.open(sys.argv[1], timeout=0.05) as store:
            try:
                store.compact("a")
            except pronto_lmdb.LockTimeoutError:
                print("true")
        """
    with pronto_lmdb.open(root) as store:
        with store["a"].transaction() as transaction:
            transaction["key"] = 1
            assert in_another_process(program, root) is True
        assert dict(store["a"]) == {"key": 1}


def test_an_address_that_was_renamed_meanwhile_is_compacted_under_its_name_only(store: Store) -> None:
    store["a"]["key"] = 1
    store.rename("a", "b")
    with pytest.raises(pronto_lmdb.AddressNotFoundError):
        store.compact("a")
    store.compact("b")
    assert dict(store["b"]) == {"key": 1}


def test_the_life_cycle_goes_on_with_handles_from_before(churned: Store, neighbour: Neighbour) -> None:
    assert neighbour("__len__") == 10
    churned.compact("a")
    churned.delete("a")
    assert neighbour("__len__") == 0
    churned.undelete("a")
    assert neighbour("__len__") == 10
    churned.compact("a")
    churned.rename("a", "b")
    neighbour("put", "mine", 1)
    assert (len(churned["b"]), dict(churned["a"])) == (10, {"mine": 1})


# -- accidents -------------------------------------------------------------------------------------------------------


def test_whoever_is_killed_on_the_way_hinders_nobody(churned: Store, root: Path, neighbour: Neighbour) -> None:
    written = 10

    def work() -> None:
        with pronto_lmdb.open(root, timeout=10) as store:
            store.compact("a")

    for step in itertools.count():
        neighbour("put", f"step{step}", step)
        written += 1
        died = killed_at(step, work, "open", "pwrite", "close")
        # Who had it open before, who comes anew, and the one after the other.
        first, second = (neighbour, churned) if step % 2 else (churned, neighbour)
        for reader in (first, second):
            assert (len(reader["a"]) if isinstance(reader, pronto_lmdb.Store) else reader("__len__")) == written, step
        churned["a"][f"after{step}"] = step
        written += 1
        assert neighbour("get", f"after{step}") == step
        assert churned.check(deep=True).problems == [], step
        if not died:
            break
    assert step > 20
    assert sorted(os.listdir(root / "addresses" / "a.default")) == sorted(
        ["base", "data.mdb", "lock", "lock.mdb", "marker", *(path.name for path in root.glob("addresses/*/journal-*"))]
    )


@pytest.mark.parametrize("level", LEVELS)
def test_the_first_step_of_the_next_process_is_enough_for_one_that_reads(root: Path, level: str) -> None:
    """Nobody has the address open, and the one who comes only reads."""

    def work() -> None:
        with pronto_lmdb.open(root) as store:
            store.compact("a")

    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)
        with pronto_lmdb.open(root, durability=level) as store:
            store["a"]["key"] = step
        died = killed_at(step, work, "open", "pwrite", "close")
        with pronto_lmdb.open(root, readonly=True) as store:
            assert dict(store["a"]) == {"key": step}
        if not died:
            break


@pytest.mark.parametrize("step", ["_make_next", "_hold_alone"])
def test_where_the_disk_refuses_the_old_file_goes_on(
    churned: Store, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert neighbour("__len__") == 10
    monkeypatch.setattr(compaction, step, refuse)
    with pytest.raises(pronto_lmdb.StoreFullError):
        churned.compact("a")
    monkeypatch.undo()
    churned["a"]["new"] = 1
    assert neighbour("__len__") == 11
    assert churned.check(deep=True).problems == []
    churned.compact("a")
    assert neighbour("__len__") == 11


def test_ctrl_c_in_the_middle_of_the_swap_leaves_it_to_the_next_one(
    churned: Store, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    assert neighbour("__len__") == 10
    monkeypatch.setattr(compaction, "_finish_swap", interrupted)
    with pytest.raises(KeyboardInterrupt):
        churned.compact("a")
    monkeypatch.undo()
    neighbour("put", "new", 1)
    assert len(churned["a"]) == 11
    assert churned.check(deep=True).problems == []


def test_without_the_mark_an_old_handle_would_write_where_nobody_reads(
    churned: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the look at the data file protects from."""
    keystore = churned["a"]
    with keystore.view():  # which keeps the old file open
        monkeypatch.setattr("pronto_lmdb.journaled.JournaledEnvironment.is_in_place", lambda _: True)
        churned.compact("a")
        keystore["lost"] = 1
        monkeypatch.undo()
    churned.close()
    with pronto_lmdb.open(churned.path) as store:
        assert "lost" not in store["a"]
