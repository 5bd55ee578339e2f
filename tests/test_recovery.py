"""After a power loss, a reboot or a copy a keystore is made anew from base and journal, and never from its view."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import lmdb
import pytest
from children import as_nobody_special, in_children
from crash import killed_at

import pronto_lmdb
from pronto_lmdb import CorruptStoreError, LockTimeoutError, ReadOnlyError, StoreFullError
from pronto_lmdb import recovery as recovery_module
from pronto_lmdb.directory import Directory
from pronto_lmdb.journal_format import HEADER_SIZE, Header
from pronto_lmdb.marker import doubt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pronto_lmdb import Keystore, Store

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

LEVELS = ["full", "normal", "off"]
USES: list[Callable[[Keystore], object]] = [
    lambda keystore: keystore.get("key"),
    lambda keystore: keystore.put("key", 2),
]
GARBAGE = b"\xa5" * 32768


def home(root: Path, name: str = "a.default") -> Path:
    return root / "addresses" / name


def keystores(root: Path) -> list[Path]:
    return [path for place in ("addresses", "trash") for path in (root / place).glob("*") if path.is_dir()]


def reboot(root: Path) -> None:
    """Make every view one of another boot, unharmed, as after a clean shutdown."""
    for path in keystores(root):
        file = (path / "data.mdb").stat()
        (path / "marker").write_text(f"another-boot {file.st_dev} {file.st_ino}\n")


def lose_power(root: Path) -> None:
    """Make every view one of another boot, and garbage: opening one of them would be seen."""
    for path in keystores(root):
        (path / "data.mdb").write_bytes(GARBAGE)
    reboot(root)


def save(keystore: Keystore) -> None:
    """Make a checkpoint: at the level ``off`` that is how ``sync`` keeps its promise."""
    keystore.sync()


def tree(path: Path) -> dict[str, bytes | None]:
    """Return everything in a directory but the locks, which carry no data."""
    return {
        str(found.relative_to(path)): found.read_bytes() if found.is_file() else None
        for found in path.rglob("*")
        if found.name not in ("lock", "lock.mdb")
    }


def described(keystore: Keystore) -> dict[str, object]:
    """Return all that a keystore says of its records."""
    entries = {key: keystore.entry(key) for key in keystore}
    return {**entries, "": keystore.revision}


def fill(store: Store, level: str = "full") -> None:
    """Make a.default with a base and a journal that has gone on from there."""
    store.create("a", durability="off")
    keystore = store["a"]
    keystore.update({f"base{number}": number for number in range(10)})
    keystore["changed"] = "in the base"
    keystore["removed"] = 1
    save(keystore)
    store.set_durability("a", level)
    keystore["changed"] = "behind the base"
    del keystore["removed"]
    keystore.put("lease", "w7", ttl=3600)
    keystore.namespace_ttl("sessions.cache", 60)
    keystore["sessions.cache.one"] = {"deep": [1, b"\0", None]}
    if level == "off":
        save(keystore)


# -- everything comes back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("lose", [reboot, lose_power])
def test_base_and_journal_give_every_record_back(root: Path, lose: Callable[[Path], None], level: str) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store, level)
        before = described(store["a"])
        assert (home(root) / "base").exists()
    lose(root)
    with pronto_lmdb.open(root) as store:
        assert described(store["a"]) == before


@pytest.mark.parametrize("level", ["full", "normal"])
def test_a_journal_without_a_base_gives_every_record_back(root: Path, level: str) -> None:
    with pronto_lmdb.open(root, durability=level) as store:
        store["a"].update({"one": 1, "two": 2})
        store["a"].put("lease", "w7", ttl=3600)
        del store["a"]["two"]
        before = described(store["a"])
    assert not (home(root) / "base").exists()
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert described(store["a"]) == before


def test_a_new_address_without_a_record_comes_back(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        created = store.create("a", labels={"team": "x"}, max_bytes=10_000_000)
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert store.info("a") == created
        assert len(store["a"]) == 0


@pytest.mark.parametrize("level", LEVELS)
def test_revisions_go_on_where_they_were(root: Path, level: str) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store, level)
        last = store["a"].revision
    for _ in range(3):
        lose_power(root)
        with pronto_lmdb.open(root) as store:
            assert store["a"].revision == last
            store["a"]["next"] = 1
            last += 1
            assert store["a"].entry("next").revision == store["a"].revision == last
            store["a"].sync()


def test_expiry_and_the_defaults_of_namespaces_come_back(root: Path, clock: Any) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"].namespace_ttl("sessions.cache", 60)
        store["a"].put("lease", 1, ttl=30)
        store["a"]["sessions.cache.one"] = 1
        store["a"]["kept"] = 1
        store["a"].put("persisted", 1, ttl=30)
        store["a"].persist("persisted")
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        keystore = store["a"]
        assert (keystore.ttl("lease"), keystore.ttl("sessions.cache.one"), keystore.ttl("kept")) == (30, 60, None)
        keystore["sessions.cache.two"] = 2
        clock.advance(30)
        assert list(keystore) == ["kept", "persisted", "sessions.cache.one", "sessions.cache.two"]
        assert (keystore.sweep(), len(keystore)) == (1, 4)
        clock.advance(30)
        assert (keystore.sweep(), list(keystore)) == (2, ["kept", "persisted"])


def test_a_large_keystore_comes_back(root: Path) -> None:
    keys = [f"k{number:05}" for number in range(25_000)]
    with pronto_lmdb.open(root) as store:
        store["a"].update(dict.fromkeys(keys, "x" * 100))
        assert (home(root) / "base").exists()  # the journal had outgrown its limit
        store["a"].update(dict.fromkeys(keys[:12_000], "y"))
        store["a"].delete_many(keys[:11_000])
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        expected = {**dict.fromkeys(keys[11_000:12_000], "y"), **dict.fromkeys(keys[12_000:], "x" * 100)}
        assert dict(store["a"]) == expected


def test_a_journal_of_many_commits_comes_back(root: Path) -> None:
    with pronto_lmdb.open(root, durability="normal") as store:
        for number in range(1_000):
            store["a"][f"k{number % 50}"] = number
        before = described(store["a"])
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert described(store["a"]) == before


def test_the_level_and_the_quota_come_back(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store.create("a", durability="normal", max_bytes=200_000)
        store["a"]["key"] = 1
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert (store.info("a").durability, store["a"].stats().durability) == ("normal", "normal")
        with pytest.raises(pronto_lmdb.StoreFullError, match="quota"):
            store["a"].update({f"k{number}": "x" * 1_000 for number in range(300)})
        assert dict(store["a"]) == {"key": 1}


def test_an_address_works_on_after_a_recovery_and_the_next(root: Path) -> None:
    expected = {}
    for number in range(4):
        with pronto_lmdb.open(root) as store:
            store["a"][f"k{number}"] = expected[f"k{number}"] = number
            assert dict(store["a"]) == expected
        lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == expected


def test_frames_that_a_recovery_dropped_never_come_back(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = "kept"
        store["a"]["key"] = "torn off"
        store["a"]["later"] = "torn off"
    (journal,) = home(root).glob("journal-*")
    content = journal.read_bytes()
    second = content.index(b"PFM1", content.index(b"kept"))
    journal.write_bytes(content[: second + 20] + bytes(8) + content[second + 28 :])
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"key": "kept"}
        store["a"]["key"] = "torn off"  # as long as what was there
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"key": "torn off"}


def test_only_the_rest_of_a_torn_journal_is_lost(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        for number in range(5):
            store["a"]["key"] = number
    (journal,) = home(root).glob("journal-*")
    whole = journal.read_bytes().rstrip(b"\0")
    seen = set()
    for size in range(len(whole) - 100, len(whole) + 1, 10):
        journal.write_bytes(whole[:size])
        lose_power(root)
        with pronto_lmdb.open(root) as store:
            seen.add(store["a"]["key"])
        (journal,) = home(root).glob("journal-*")
    assert seen >= {2, 3}
    assert seen <= {1, 2, 3, 4}


def test_recovery_is_logged(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"].update({"one": 1})
        store["a"].update({"two": 2})
    lose_power(root)
    with caplog.at_level(logging.INFO, logger="pronto_lmdb"), pronto_lmdb.open(root) as store:
        store["a"].get("one")
        store["a"].get("two")
        store["a"]["three"] = 3
    assert [(record.name, record.levelno) for record in caplog.records] == [("pronto_lmdb", logging.INFO)]
    assert str(home(root)) in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="pronto_lmdb"), pronto_lmdb.open(root) as store:
        store["a"].get("one")
    assert caplog.records == []


def test_nothing_of_a_recovery_is_left(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store)
        before = set(tree(home(root)))
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert len(store["a"]) == 13
        assert set(tree(home(root))) == before


# -- addresses of all kinds ----------------------------------------------------------------------------------------


def test_each_address_is_recovered_when_it_is_needed_and_not_before(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pronto_lmdb.open(root) as store:
        for name in "abc":
            store[name]["key"] = name
    lose_power(root)
    caplog.set_level(logging.INFO, logger="pronto_lmdb")
    with pronto_lmdb.open(root) as store:
        assert [str(info.address) for info in store.addresses()] == ["a.default", "b.default", "c.default"]
        assert caplog.records == []
        assert [store[name]["key"] for name in "abc"] == ["a", "b", "c"]
        assert len(caplog.records) == 3


def test_the_registry_has_no_part_in_it(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
        store.config["timeout"] = "7"
    registry = root / "meta" / "registry"
    before = tree(registry)
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert store["a"]["key"] == 1
        assert [str(info.address) for info in store.addresses()] == ["a.default"]
        assert store.config["timeout"] == "7"
    assert tree(registry) == before
    assert set(before) == {"data.mdb", "seal"}


def test_a_lost_registry_is_made_anew_from_addresses_that_must_be_recovered_too(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
        store["b"]["key"] = 2
        store.delete("b")
    lose_power(root)
    shutil.rmtree(root / "meta" / "registry")
    with pronto_lmdb.open(root) as store:
        assert [str(info.address) for info in store.addresses()] == ["a.default"]
        assert [str(item.address) for item in store.trash()] == ["b.default"]


@pytest.mark.parametrize("level", LEVELS)
def test_a_deleted_address_comes_back_from_the_trash(root: Path, level: str) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store, level)
        before = {key: store["a"][key] for key in store["a"]}
        revision = store["a"].revision
        store.delete("a")
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert not store.exists("a")
        store.undelete("a")
        assert dict(store["a"]) == before
        assert store["a"].revision > revision
        store["a"]["more"] = 1
        store["a"].sync()
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {**before, "more": 1}


def test_deleted_addresses_can_be_purged_without_being_recovered(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
        store.delete("a")
    lose_power(root)
    with caplog.at_level(logging.INFO, logger="pronto_lmdb"), pronto_lmdb.open(root) as store:
        assert store.purge() == 1
    assert caplog.records == []
    assert list((root / "trash").iterdir()) == []


def test_a_renamed_address_comes_back_under_its_new_name(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store)
        before = dict(store["a"])
        store.rename("a", "b")
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert not store.exists("a")
        assert dict(store["b"]) == before


def test_an_address_in_another_place_comes_back(root: Path, tmp_path: Path) -> None:
    place = tmp_path / "disk" / "a"
    with pronto_lmdb.open(root) as store:
        store.create("a", path=place)
        store["a"]["key"] = 1
    (place / "data.mdb").write_bytes(GARBAGE)
    (place / "marker").unlink()
    with pronto_lmdb.open(root) as store:
        assert store["a"].increment("key") == 2


# -- a view that is lost or damaged in the same boot ---------------------------------------------------------------


def remove(path: Path, *names: str) -> None:
    for name in names:
        (path / name).unlink()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "garbage": lambda path: (path / "data.mdb").write_bytes(GARBAGE),
    "empty": lambda path: (path / "data.mdb").write_bytes(b""),
    "no data file": lambda path: (path / "data.mdb").unlink(),
    "no marker": lambda path: (path / "marker").unlink(),
    "neither": lambda path: remove(path, "data.mdb", "marker"),
    "an empty marker": lambda path: (path / "marker").write_bytes(b""),
    "a marker that is garbage": lambda path: (path / "marker").write_bytes(GARBAGE),
    "no lock table": lambda path: (path / "lock.mdb").unlink(),
    "nothing but the truth": lambda path: remove(path, "data.mdb", "marker", "lock", "lock.mdb"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_view_is_made_anew(root: Path, damage: Callable[[Path], object]) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store)
        before = described(store["a"])
    damage(home(root))
    with pronto_lmdb.open(root) as store:
        assert described(store["a"]) == before
        store["a"]["more"] = 1
        assert len(store["a"]) == 14


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_write_makes_a_damaged_view_anew_as_well(root: Path, damage: Callable[[Path], object]) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store)
    damage(home(root))
    with pronto_lmdb.open(root) as store:
        assert store["a"].increment("base1") == 2
        assert len(store["a"]) == 13


# -- the level off -------------------------------------------------------------------------------------------------


def test_what_was_written_at_off_survives_a_clean_reboot(root: Path) -> None:
    with pronto_lmdb.open(root, durability="off") as store:
        store["a"].update({"one": 1, "two": 2})
        save(store["a"])
        store["a"]["three"] = 3
        store["a"].put("lease", 1, ttl=3600)
        before = described(store["a"])
    for _ in range(2):
        reboot(root)
        with pronto_lmdb.open(root) as store:
            assert described(store["a"]) == before
    with pronto_lmdb.open(root) as store:
        store["a"]["four"] = 4
        assert store["a"].revision == before[""] + 1  # type: ignore[operator]


def test_what_was_never_saved_at_off_survives_a_clean_reboot_too(root: Path) -> None:
    with pronto_lmdb.open(root, durability="off") as store:
        store["a"].update({"one": 1})
        before = described(store["a"])
    reboot(root)
    with pronto_lmdb.open(root) as store:
        assert described(store["a"]) == before


@pytest.mark.parametrize("damage", [*DAMAGE.values()][:3], ids=[*DAMAGE][:3])
def test_a_damaged_view_at_off_falls_back_to_what_was_saved(root: Path, damage: Callable[[Path], object]) -> None:
    with pronto_lmdb.open(root, durability="off") as store:
        store["a"].update({"one": 1})
        save(store["a"])
        store["a"]["two"] = 2
    reboot(root)
    damage(home(root))
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"one": 1}
        store["a"]["three"] = 3
        save(store["a"])
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"one": 1, "three": 3}


def test_an_older_view_of_another_level_is_not_taken_for_the_newest(root: Path) -> None:
    with pronto_lmdb.open(root, durability="off") as store:
        store["a"]["key"] = "old"
    old = (home(root) / "data.mdb").read_bytes()
    with pronto_lmdb.open(root) as store:
        store.set_durability("a", "full")
        store["a"]["key"] = "new"
        store.set_durability("a", "off")
    (home(root) / "data.mdb").write_bytes(old)
    reboot(root)
    with pronto_lmdb.open(root) as store:
        assert store["a"]["key"] == "new"


# -- what cannot be recovered --------------------------------------------------------------------------------------


def without_journal(root: Path) -> None:
    for journal in home(root).glob("journal-*"):
        journal.unlink()


def with_two_beginnings(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["b"]["key"] = 1
    (other,) = home(root, "b.default").glob("journal-*")
    shutil.copy(other, home(root))


def with_a_damaged_header(root: Path) -> None:
    (journal,) = home(root).glob("journal-*")
    journal.write_bytes(b"\xff" + journal.read_bytes()[1:])


def with_a_journal_that_begins_elsewhere(root: Path) -> None:
    (journal,) = home(root).glob("journal-*")
    content = journal.read_bytes()
    header = Header.decode(content, "")
    header.revision += 1
    journal.write_bytes(header.encode() + content[HEADER_SIZE:])


def with_the_journal_of_another(root: Path) -> None:
    (journal,) = home(root).glob("journal-*")
    with pronto_lmdb.open(root) as store:
        store["b"]["key"] = 1
    (other,) = home(root, "b.default").glob("journal-*")
    shutil.copy(other, journal)


HOPELESS = [without_journal, with_two_beginnings, with_a_damaged_header, with_the_journal_of_another]


def fill_without_base(store: Store) -> None:
    store["a"]["key"] = 1


@pytest.mark.parametrize(
    ("prepare", "harm"),
    [
        *[(fill, harm) for harm in HOPELESS if harm is not with_two_beginnings],
        (fill, with_a_journal_that_begins_elsewhere),
        *[(fill_without_base, harm) for harm in HOPELESS if harm is not without_journal],
    ],
)
def test_what_cannot_be_recovered_is_reported_and_left_as_it_is(
    root: Path, prepare: Callable[[Store], None], harm: Callable[[Path], None]
) -> None:
    with pronto_lmdb.open(root) as store:
        prepare(store)
    harm(root)
    lose_power(root)
    before = tree(home(root))
    with pronto_lmdb.open(root) as store:
        for use in USES:
            with pytest.raises(CorruptStoreError, match=r"a\.default") as caught:
                use(store["a"])
            assert caught.value.hint
        store["other"]["key"] = 1  # one address suffers, the others go on
    assert tree(home(root)) == before


def test_a_journal_of_a_newer_version_is_refused_and_left_as_it_is(root: Path) -> None:
    from zlib import crc32

    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
    (journal,) = home(root).glob("journal-*")
    content = bytearray(journal.read_bytes())
    content[8:10] = (2).to_bytes(2, "big")
    content[80:84] = crc32(content[:80]).to_bytes(4, "big")
    journal.write_bytes(content)
    lose_power(root)
    before = tree(home(root))
    with pronto_lmdb.open(root) as store, pytest.raises(pronto_lmdb.FormatVersionError):
        store["a"].get("key")
    assert tree(home(root)) == before


# -- a recovery that dies, and several at once ---------------------------------------------------------------------


def every_flush_is_a_step() -> None:
    """Let ``killed_at`` kill before the flush of a file as well; called in its child."""
    recovery_module.flush_data = lambda descriptor: os.fsync(descriptor)  # type: ignore[attr-defined]


@forks
@pytest.mark.parametrize("level", ["full", "off"])
def test_a_recovery_that_is_killed_anywhere_is_done_again(root: Path, level: str) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store, level)
        before = described(store["a"])
    lose_power(root)
    copy = root.parent / "copy"
    shutil.copytree(root, copy)

    def work() -> None:
        every_flush_is_a_step()
        with pronto_lmdb.open(root) as store:
            assert described(store["a"]) == before

    for step in itertools.count():
        shutil.rmtree(root)
        shutil.copytree(copy, root)
        died = killed_at(step, work)  # type: ignore[no-untyped-call]
        if step % 2:
            lose_power(root)
        with pronto_lmdb.open(root) as store:
            assert described(store["a"]) == before, step
            store["a"]["more"] = 1
        names = set(tree(home(root)))
        assert {name for name in names if not name.startswith("journal-")} == {"base", "data.mdb", "marker"}
        if not died:
            break
    assert step > 6, "nothing was killed"


@forks
def test_processes_that_recover_one_address_at_once_agree(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store)
        store["a"]["count"] = 0

    def work() -> None:
        with pronto_lmdb.open(root) as store:
            assert store["a"]["changed"] == "behind the base"
            store["a"].increment("count")

    for lost in range(1, 6):
        lose_power(root)
        assert in_children([work] * 4) == [0] * 4
        with pronto_lmdb.open(root) as store:
            assert store["a"]["count"] == 4 * lost


def test_threads_that_recover_one_address_at_once_agree(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store)
        store["a"]["count"] = 0
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        threads = [threading.Thread(target=store["a"].increment, args=("count",)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store["a"]["count"] == 6


def test_a_view_is_not_replaced_while_another_process_uses_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pronto_lmdb.pool._PATIENCE", 0.05)
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
    with Elsewhere(root) as other:
        (home(root) / "marker").unlink()
        with pronto_lmdb.open(root) as store:
            with pytest.raises(LockTimeoutError, match="recovered"):
                store["a"].get("key")
            assert other.tell("put key 2") == "None"
            other.tell("close")
            assert store["a"]["key"] == "2"


class Elsewhere:
    """Another process with a store open, which does what it is told."""

    PROGRAM = """
        import sys, pronto_lmdb
        store = pronto_lmdb.open(sys.argv[1], timeout=1)
        keystore = store["a"]
        keystore.get("key")
        print("ready", flush=True)
        for line in sys.stdin:
            verb, *arguments = line.split()
            if verb == "close":
                store.close()
                answer = None
            else:
                answer = getattr(keystore, verb)(*arguments)
            print(answer, flush=True)
        """

    def __init__(self, root: Path, prologue: str = "") -> None:
        repository = Path(pronto_lmdb.__file__).parents[1]
        self._process = subprocess.Popen(
            [sys.executable, "-c", prologue + dedent(self.PROGRAM), root],
            env={**os.environ, "PYTHONPATH": str(repository)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Elsewhere:
        self._process.__enter__()
        assert self._answer() == "ready"
        return self

    def __exit__(self, *error: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.__exit__(*error)

    def tell(self, line: str) -> str:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


# -- where not everything is allowed -------------------------------------------------------------------------------


def test_a_store_that_only_reads_recovers_too_where_it_may(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store)
        before = described(store["a"])
    lose_power(root)
    with pronto_lmdb.open(root, readonly=True) as store:
        assert described(store["a"]) == before
        with pytest.raises(ReadOnlyError):
            store["a"]["key"] = 1


@pytest.fixture
def public_root() -> Iterator[Path]:
    """A root in a directory that everybody may enter."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory) / "store"


def open_to_all(root: Path) -> None:
    """Let everybody read a store, and nobody else write."""
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in root.rglob("lock.mdb"):
        path.chmod(0o666)  # who reads must be seen by those who write


def closed_again(root: Path) -> None:
    """Let the owner remove the store."""
    for path in [root, *root.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)


@forks
def test_who_may_not_write_is_told_that_a_recovery_is_needed(public_root: Path) -> None:
    with pronto_lmdb.open(public_root) as store:
        store["a"]["key"] = 1
    lose_power(public_root)
    open_to_all(public_root)
    before = tree(home(public_root))

    def look() -> None:
        with pronto_lmdb.open(public_root) as store:
            for use in USES:
                with pytest.raises(ReadOnlyError, match="recovered") as caught:
                    use(store["a"])
                assert "may write" in caught.value.hint

    assert as_nobody_special(look) == 0
    assert tree(home(public_root)) == before
    closed_again(public_root)


@forks
def test_who_may_not_write_reads_a_view_that_can_be_trusted(public_root: Path) -> None:
    with pronto_lmdb.open(public_root) as store:
        store["a"]["key"] = 1
    open_to_all(public_root)

    def look() -> None:
        with pronto_lmdb.open(public_root) as store:
            assert store["a"]["key"] == 1
            with pytest.raises(ReadOnlyError):
                store["a"]["key"] = 2

    assert as_nobody_special(look) == 0
    closed_again(public_root)


# -- where boots cannot be told apart ------------------------------------------------------------------------------

NO_BOOT_ID = "import pronto_lmdb.marker; pronto_lmdb.marker._known_boot[:] = [None]\n"


@pytest.fixture
def no_boot_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pronto_lmdb.marker._known_boot", [None])


@pytest.mark.parametrize("level", LEVELS)
def test_an_address_works_where_nothing_names_the_boot(root: Path, no_boot_id: None, level: str) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store, level)
        before = described(store["a"])
    with pronto_lmdb.open(root) as store:
        assert described(store["a"]) == before
        store["a"]["more"] = 1
        assert store.exists("a")
        assert list(store.addresses())
    with pronto_lmdb.open(root) as store:
        assert store["a"]["more"] == 1


def test_where_nothing_names_the_boot_no_closed_view_is_trusted(root: Path, no_boot_id: None) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store)
        before = described(store["a"])
    (home(root) / "data.mdb").write_bytes(GARBAGE)
    with pronto_lmdb.open(root) as store:
        assert described(store["a"]) == before


def test_a_view_of_a_named_boot_is_not_trusted_where_nothing_names_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store)
        before = described(store["a"])
    (home(root) / "data.mdb").write_bytes(GARBAGE)
    monkeypatch.setattr("pronto_lmdb.marker._known_boot", [None])
    with pronto_lmdb.open(root) as store:
        assert described(store["a"]) == before


def test_where_nothing_names_the_boot_one_process_at_a_time_uses_an_address(root: Path, no_boot_id: None) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
    with Elsewhere(root, NO_BOOT_ID) as other, pronto_lmdb.open(root) as store:
        with pytest.raises(LockTimeoutError, match=r"a\.default") as caught:
            store["a"].get("key")
        assert caught.value.hint
        assert other.tell("get key") == "1"
        other.tell("close")
        assert store["a"]["key"] == 1


def test_other_addresses_are_free_meanwhile(root: Path, no_boot_id: None) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
    with Elsewhere(root, NO_BOOT_ID), pronto_lmdb.open(root) as store:
        store["b"]["key"] = 2
        assert store["b"]["key"] == 2


# -- copies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_a_copy_of_a_closed_store_holds_everything(root: Path, tmp_path: Path, level: str) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store, level)
        store["a"]["more"] = 1
        before = described(store["a"])
        store.delete(store.create("b").address)
    shutil.copytree(root, tmp_path / "copy")
    with pronto_lmdb.open(tmp_path / "copy") as copy:
        assert described(copy["a"]) == before
        copy["a"]["only"] = "in the copy"
        assert str(copy.info("a").path).startswith(str(tmp_path / "copy"))
    with pronto_lmdb.open(root) as store:
        assert described(store["a"]) == before


def test_a_store_that_was_moved_as_a_whole_needs_no_recovery(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store)
        before = described(store["a"])
    root.rename(tmp_path / "moved")
    caplog.set_level(logging.INFO, logger="pronto_lmdb")
    with pronto_lmdb.open(tmp_path / "moved") as store:
        assert described(store["a"]) == before
    assert caplog.records == []


def test_a_copy_of_an_open_store_shows_a_state_that_existed(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pronto_lmdb.identity.SMALLEST_LIMIT", 2**30)  # a checkpoint would remove what is being copied
    caplog.set_level(logging.INFO, logger="pronto_lmdb")
    with pronto_lmdb.open(root, durability="normal") as store:
        keystore = store["a"]
        keystore.update({"left": 0, "right": 0})
        stop = threading.Event()

        def write() -> None:
            for number in itertools.count(1):
                if stop.is_set():
                    return
                keystore.update(left=number, right=number, filler="x" * (number % 1_000))

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for number in range(8):
                shutil.copytree(home(root), home(tmp_path / f"copy{number}"))
        finally:
            stop.set()
            thread.join()
        last = keystore["left"]
    assert isinstance(last, int)
    for number in range(8):
        with pronto_lmdb.open(tmp_path / f"copy{number}") as copy:
            left, right = copy["a"]["left"], copy["a"]["right"]
            assert isinstance(left, int)
            assert left == right
            assert left <= last
            copy["a"]["more"] = 1
    assert len(caplog.records) == 8


# -- an unusual end ------------------------------------------------------------------------------------------------


@forks
def test_a_killed_process_loses_nothing_even_if_the_power_fails_then(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store)

    def work() -> None:
        store = pronto_lmdb.open(root)
        store["a"]["acknowledged"] = 1
        with store["a"].transaction() as transaction:
            transaction["lost"] = 1
            os.kill(os.getpid(), 9)

    assert in_children([work]) == [9]
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        assert (store["a"]["acknowledged"], store["a"].get("lost")) == (1, None)


def test_recovery_waits_for_whoever_uses_the_view_no_longer_than_it_must(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
    with ExitStack() as stack:
        other = stack.enter_context(Elsewhere(root))
        (home(root) / "marker").unlink()
        found: list[Any] = []

        def look() -> None:
            with pronto_lmdb.open(root) as store:
                found.append(store["a"].get("key"))

        thread = threading.Thread(target=look)
        thread.start()
        other.tell("close")
        thread.join(30)
        assert found == [1]


def test_a_recovered_view_is_one_that_every_lmdb_tool_reads(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store)
    lose_power(root)
    with pronto_lmdb.open(root) as store:
        entries = len(store["a"])
    with lmdb.open(str(home(root)), readonly=True, create=False) as environment, environment.begin() as transaction:
        names = [bytes(key) for key, _ in transaction.cursor()]
    assert sum(not name.startswith(b"\0") for name in names) == entries


@forks
def test_a_child_forked_while_an_address_is_made_anew_keeps_nobody_out(
    root: Path, monkeypatch: pytest.MonkeyPatch, in_another_process: Callable[..., Any]
) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store)
    reboot(root)
    settle, inside, go_on = recovery_module._settle_journal, threading.Event(), threading.Event()

    def settle_slowly(*arguments: Any) -> Any:
        inside.set()
        assert go_on.wait(30)
        return settle(*arguments)

    monkeypatch.setattr(recovery_module, "_settle_journal", settle_slowly)
    ended, end = os.pipe()
    with pronto_lmdb.open(root) as store, ThreadPoolExecutor(1) as thread:
        found = thread.submit(store["a"].get, "changed")
        assert inside.wait(30)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking beside a thread is what is tested here
            child = os.fork()
        if child == 0:
            os.close(end)
            os.read(ended, 1)  # lives on, and never looks at the address
            os._exit(0)
        go_on.set()
        assert found.result() is not None
    program = """
        import sys
        import pronto_lmdb
        with pronto_lmdb.open(sys.argv[1], timeout=5) as store:
            store["a"]["k"] = 1
            print(len(store["a"]))
        """
    try:
        assert in_another_process(program, root) > 1
        reboot(root)
        assert in_another_process(program, root) > 1
    finally:
        os.close(ended)
        os.close(end)
        os.waitpid(child, 0)


def test_a_full_disk_during_the_recovery_of_a_doubtful_view_is_told_as_such(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Directory) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
        path = str(store.info("a").path)
    with Directory(path) as directory:
        doubt(directory)
    with pronto_lmdb.open(root) as store:
        with monkeypatch.context() as patch:
            patch.setattr(recovery_module, "recover", refuse)
            with pytest.raises(StoreFullError, match="No space"):
                store["a"].get("key")
        assert store["a"]["key"] == 1
