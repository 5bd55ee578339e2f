"""A repair makes whole what it can, says what it could not, and throws nothing away."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import struct
from typing import TYPE_CHECKING, Any

import lmdb
import pytest
from children import in_children
from crash import killed_at
from seals import reseal

import pronto_lmdb
from pronto_lmdb import AddressNotFoundError, ProntoError, ReadOnlyError
from pronto_lmdb.data_files import write_seal
from pronto_lmdb.directory import Directory
from pronto_lmdb.identity import State
from pronto_lmdb.marker import BOOT_ID_FILE
from pronto_lmdb.record import STATE, encode_record, expiry_entry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pronto_lmdb import Report

BASED = {f"key{number:03}": {"number": number, "text": "x" * 60} for number in range(100)}
PAGE = 4096
LEAF = 2  # the flag of LMDB's pages that hold entries
LATER = {f"late{number:02}": number for number in range(20)}


def home(root: Path, name: str = "a.default") -> Path:
    return root / "addresses" / name


def made(root: Path, level: str = "full") -> dict[str, Any]:
    """Make two addresses with a base and a journal of several commits; return what each holds."""
    with pronto_lmdb.open(root) as store:
        for name in ("a", "neighbour"):
            store[name].update(BASED)
            store[name].put("lease", "w7", ttl=1e6)
            store[name].namespace_ttl("sessions.cache", 1e6)
            store.set_durability(name, "off")
            store.set_durability(name, level)
            for key, value in LATER.items():
                store[name][key] = value
        return dict(store["a"].items())


def file(root: Path, name: str) -> Path:
    (found,) = home(root).glob(f"{name}*")
    return found


def scribble(path: Path, at: int, content: bytes = b"\xff" * 16) -> None:
    with path.open("r+b") as opened:
        opened.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
        opened.write(content)


def repaired(root: Path, **arguments: Any) -> tuple[Report, dict[str, Any]]:
    """Repair a store, see that nothing is left to repair and nobody else was harmed; return what the address holds."""
    with pronto_lmdb.open(root) as store:
        report = store.check(repair=True, deep=True, **arguments)
        assert store.check(deep=True).problems == []
        assert dict(store["neighbour"].items()).keys() == {*BASED, *LATER, "lease"}
        content = dict(store["a"].items())
        store["a"]["again"] = 1
    return report, content


def texts(report: Report) -> str:
    return "\n".join(map(str, [*report.problems, *report.repairs]))


def aside(root: Path) -> list[dict[str, Any]]:
    """Return the notes of what was put aside."""
    return [json.loads(note.read_text()) for note in sorted((root / "trash").glob("aside-*/note.json"))]


# -- one source is whole -----------------------------------------------------------------------------------------------


def no_truth(root: Path) -> None:
    file(root, "base").unlink()
    file(root, "journal-").unlink()


ONE_SIDE: dict[str, Callable[[Path], None]] = {
    "a page of the data file": lambda root: scribble(file(root, "data.mdb"), 3 * 4096, b"\xa5" * 4096),
    "no data file": lambda root: file(root, "data.mdb").unlink(),
    "an empty data file": lambda root: os.truncate(file(root, "data.mdb"), 0),
    "no marker": lambda root: file(root, "marker").unlink(),
    "a value in the base": lambda root: scribble(file(root, "base"), 5 * 4096 + 2000),
    "no base": lambda root: file(root, "base").unlink(),
    "half a base": lambda root: os.truncate(file(root, "base"), 9000),
    "the header of the journal": lambda root: scribble(file(root, "journal-"), 20),
    "a frame of the journal": lambda root: scribble(file(root, "journal-"), 300),
    "half a journal": lambda root: os.truncate(file(root, "journal-"), 500),
    "no journal": lambda root: file(root, "journal-").unlink(),
    "no base and no journal": no_truth,
}


@pytest.mark.parametrize("hurt", ONE_SIDE.values(), ids=ONE_SIDE)
@pytest.mark.parametrize("level", ["full", "normal"])
def test_everything_is_saved_while_one_of_the_two_is_whole(
    root: Path, hurt: Callable[[Path], None], level: str
) -> None:
    expected = made(root, level)
    hurt(root)
    report, content = repaired(root)
    assert report.ok, texts(report)
    assert content == expected
    with pronto_lmdb.open(root) as store:
        assert store["a"].ttl("lease")
        assert store.info("a").durability == level


def test_what_is_replaced_lies_in_the_trash_with_a_note(root: Path) -> None:
    made(root)
    base = file(root, "base")
    scribble(base, 5 * 4096 + 2000)
    damaged = base.read_bytes()
    report, _ = repaired(root)
    (note,) = aside(root)
    assert note["from"] == str(home(root))
    assert "damaged" in note["why"]
    (kept,) = (root / "trash").glob("aside-*/base")
    assert kept.read_bytes() == damaged
    assert str(kept.parent) in texts(report)


def test_a_repair_survives_a_power_loss(root: Path) -> None:
    expected = made(root)
    scribble(file(root, "base"), 5 * 4096 + 2000)
    repaired(root)
    file(root, "marker").unlink()
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"].items()) == {**expected, "again": 1}


# -- neither is --------------------------------------------------------------------------------------------------------


def test_what_base_and_journal_still_hold_is_saved_and_the_rest_is_named(root: Path) -> None:
    made(root)
    scribble(file(root, "data.mdb"), 2 * 4096, b"\xa5" * 5 * 4096)
    scribble(file(root, "journal-"), -3000, b"\xa5" * 16)
    report, content = repaired(root)
    assert not report.ok
    assert "lost" in texts(report)
    assert BASED.items() <= content.items()
    assert content.items() <= {**BASED, **LATER, "lease": "w7"}.items()
    assert aside(root)


def test_a_damaged_base_without_a_data_file_is_read_page_by_page(root: Path) -> None:
    expected = made(root)
    file(root, "data.mdb").unlink()
    scribble(file(root, "base"), 3 * 4096, b"\xa5" * 4096)
    report, content = repaired(root)
    assert not report.ok
    assert "records were read from what is left" in texts(report)
    assert LATER.items() <= content.items()
    assert len(content) > len(LATER) + 20
    assert all(expected[key] == value for key, value in content.items())


def test_a_default_whose_name_is_damaged_is_not_saved(root: Path) -> None:
    expected = made(root)
    file(root, "data.mdb").unlink()
    base = file(root, "base")
    scribble(base, base.read_bytes().index(b"\0ttl:sessions") + len(b"\0ttl:"), b"\xff")
    report, content = repaired(root)
    assert "records were read from what is left" in texts(report)
    assert content == expected
    with pronto_lmdb.open(root) as store:
        assert store["a"].namespace_ttls() == {}


def test_an_address_of_which_nothing_is_left_is_there_and_empty_and_its_files_are_kept(root: Path) -> None:
    made(root)
    for path in home(root).iterdir():
        if path.name.startswith(("base", "journal", "data")):
            path.write_bytes(b"\xa5" * 20_000)
    report, content = repaired(root)
    assert (report.ok, content) == (False, {})
    (kept,) = (root / "trash").glob("aside-*/a.default")
    assert (kept / "base").read_bytes() == b"\xa5" * 20_000


def test_revisions_go_on_behind_those_that_were_saved(root: Path) -> None:
    made(root)
    with pronto_lmdb.open(root) as store:
        revision = store["a"].revision
    file(root, "data.mdb").unlink()
    scribble(file(root, "base"), 3 * 4096, b"\xa5" * 4096)
    repaired(root)
    with pronto_lmdb.open(root) as store:
        assert store["a"].revision > revision


def test_at_the_level_off_the_data_file_is_the_truth(root: Path) -> None:
    expected = made(root, "off")
    scribble(file(root, "base"), 5 * 4096 + 2000)
    report, content = repaired(root)
    assert report.ok
    assert content == expected


def test_a_data_file_that_nothing_vouches_for_is_used_where_nothing_else_is_left_and_it_is_said(root: Path) -> None:
    expected = made(root, "full")
    no_truth(root)
    os.utime(file(root, "data.mdb"))
    report, content = repaired(root)
    assert content == expected
    assert not report.ok
    assert "nothing vouches for the data file" in texts(report)


def test_what_off_had_not_saved_is_named_as_lost(root: Path) -> None:
    made(root, "off")
    scribble(file(root, "data.mdb"), 2 * 4096, b"\xa5" * 5 * 4096)
    report, content = repaired(root)
    assert (report.ok, "lost" in texts(report)) == (False, True)
    assert list((root / "trash").glob("aside-*/torn-data.mdb"))
    assert content.keys() == {*BASED, "lease"}


def test_commits_behind_a_damaged_frame_are_never_dropped_unsaid(root: Path) -> None:
    made(root)
    scribble(file(root, "journal-"), 300)
    scribble(file(root, "data.mdb"), 2 * 4096, b"\xa5" * 4096)
    with pronto_lmdb.open(root) as store:
        assert len(store["a"]) < len(BASED) + len(LATER)  # it opens with what comes before the damage
        (problem,) = store.check().problems
    assert "commits behind the damage are lost" in problem.text
    report, _ = repaired(root)
    assert "lost" in texts(report)
    assert list((root / "trash").glob("aside-*/torn-*"))


# -- entries -----------------------------------------------------------------------------------------------------------


def tamper(root: Path, changes: dict[bytes, bytes | None], change: Callable[[State], None] | None = None) -> None:
    """Change entries from inside, journal included: nothing else knows better then."""
    path = home(root)
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as txn:
        state = State.read(txn, "a", txn.id() - 1)
        state.transaction = txn.id()
        if change is not None:
            change(state)
        for key, value in {STATE: state.encode(), **changes}.items():
            if value is None:
                txn.delete(key)
            else:
                txn.put(key, value)
    reseal(path)


def no_index(root: Path) -> None:
    def count(state: State) -> None:
        state.expiring -= 1

    with lmdb.open(str(home(root))) as environment, environment.begin() as txn:
        (entry,) = [key for key, _ in txn.cursor() if key.startswith(b"\0x")]
    tamper(root, {entry: None}, count)


WRONG_ENTRIES: dict[str, Callable[[Path], None]] = {
    "an index entry is missing": no_index,
    "an index entry without a record": lambda root: tamper(root, {expiry_entry(2**50, b"nobody"): b""}),
    "a wrong counter": lambda root: tamper(root, {}, lambda state: setattr(state, "expiring", 9)),
    "a wrong count of namespaces": lambda root: tamper(root, {}, lambda state: setattr(state, "namespaces", 9)),
    "a record of a later commit": lambda root: tamper(root, {b"key001": encode_record(b"\x01", 2**40, 1, None)}),
    "an entry of unknown kind": lambda root: tamper(root, {b"\0odd": b"odd"}),
    "a record that cannot be read": lambda root: tamper(root, {b"key001": b"\x00"}),
    "a default that cannot be read": lambda root: tamper(root, {b"\0ttl:x": b"1"}),
}


@pytest.mark.parametrize("hurt", WRONG_ENTRIES.values(), ids=WRONG_ENTRIES)
@pytest.mark.parametrize("level", ["full", "off"])
def test_entries_and_counters_are_made_to_fit(root: Path, hurt: Callable[[Path], None], level: str) -> None:
    expected = made(root, level)
    hurt(root)
    report, content = repaired(root)
    assert report.repairs
    assert content.keys() >= expected.keys() - {"key001"}
    if level == "full":
        assert report.ok
        assert content == expected


def test_records_that_cannot_be_read_are_kept_in_the_trash(root: Path) -> None:
    made(root, "off")
    tamper(root, {b"key001": b"\x00broken"})
    report, content = repaired(root)
    assert "key001" not in content
    assert "lost: 1 entries that cannot be read" in texts(report)
    (kept,) = (root / "trash").glob("aside-*/records.jsonl")
    assert json.loads(kept.read_text()) == {"key": b"key001".hex(), "record": b"\x00broken".hex()}


def test_a_record_of_a_newer_release_is_left_alone(root: Path) -> None:
    made(root, "off")
    tamper(root, {b"key001": b"\x20" + bytes(20)})
    with pronto_lmdb.open(root) as store:
        report = store.check(repair=True)
        assert not report.ok
        assert "not repaired" in texts(report)
        assert len(store["a"]) == len(BASED) + len(LATER) + 1


# -- the store ---------------------------------------------------------------------------------------------------------


def test_the_registry_is_made_anew_with_its_settings(root: Path) -> None:
    made(root)
    with pronto_lmdb.open(root) as store:
        store.config["timeout"] = "7"
        store.create("limited", max_bytes=100_000, labels={"team": "x"})
    registry = root / "meta" / "registry" / "data.mdb"
    content = registry.read_bytes()
    registry.write_bytes(content[:-4096] + b"\xa5" * 4096)
    with pronto_lmdb.open(root) as store:
        store.check(repair=True)
        assert store.check(deep=True).problems == []
        assert {str(info.address): info.max_bytes for info in store.addresses()} == {
            "a.default": None, "limited.default": 100_000, "neighbour.default": None,
        }  # fmt: skip


def test_a_link_to_itself_in_the_place_of_the_registry_is_found_and_repaired(root: Path) -> None:
    made(root)
    data = root / "meta" / "registry" / "data.mdb"
    data.unlink()
    data.symlink_to(data)
    with pronto_lmdb.open(root) as store:
        assert "symbolic link" in texts(store.check())
        assert store.check(repair=True).ok
        assert store.check(deep=True).ok


@pytest.mark.parametrize("content", [b"\xec\xff", b"\0", b"", b"x" * 9000])
def test_a_note_of_a_place_that_is_damaged_is_an_error_and_does_not_hide_the_others(
    root: Path, tmp_path: Path, content: bytes
) -> None:
    expected = made(root)
    with pronto_lmdb.open(root) as store:
        store.create("elsewhere", path=tmp_path / "elsewhere")
    (note,) = (root / "meta" / "places").iterdir()
    note.write_bytes(content)
    with pronto_lmdb.open(root) as store:
        with pytest.raises(ProntoError) as caught:
            store["elsewhere"]["key"]
        assert caught.value.hint
        assert dict(store["a"].items()) == expected
        assert not store.check().ok


def test_settings_that_can_be_read_survive_a_damaged_registry(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
        store.config["timeout"] = "7"
    data = root / "meta" / "registry" / "data.mdb"
    content = data.read_bytes()
    leaf = content.rindex(b"config:timeout") // 4096 * 4096
    scribble(data, leaf + 10, b"\x12\x00")  # one flag too many: enough to distrust all of it
    with pronto_lmdb.open(root) as store:
        assert "the registry" in str(store.check().problems[0])
        store.check(repair=True)
        assert store.config["timeout"] == "7"
    assert list((root / "trash").glob("registry-*"))


def test_strangers_links_and_copies_are_moved_to_the_trash(root: Path, tmp_path: Path) -> None:
    made(root)
    addresses = root / "addresses"
    (addresses / "stranger").mkdir()
    (addresses / "stranger" / "mine").write_text("mine")
    (addresses / "l.ink").symlink_to(tmp_path)
    shutil.copytree(home(root), addresses / "c.opy")
    (root / "meta" / "pending" / "0.json").write_text("{}")
    report, _ = repaired(root)
    assert report.ok
    assert sorted(path.name for path in addresses.iterdir()) == ["a.default", "neighbour.default"]
    kept = {path.name for path in (root / "trash").glob("aside-*/*")} - {"note.json"}
    assert kept == {"stranger", "l.ink", "c.opy", "0.json"}
    assert [path.read_text() for path in (root / "trash").glob("aside-*/stranger/mine")] == ["mine"]
    assert len(aside(root)) == 4


def test_a_link_in_the_place_of_an_address_is_an_error_and_leads_nowhere(root: Path) -> None:
    made(root)
    home(root).rename(root / "elsewhere")
    home(root).symlink_to(root / "elsewhere")
    with pronto_lmdb.open(root) as store, pytest.raises(pronto_lmdb.CorruptStoreError, match="Not a directory"):
        store["a"].get("key001")


def test_directories_moved_by_hand_are_settled(root: Path) -> None:
    expected = made(root)
    with pronto_lmdb.open(root) as store:
        store["gone"]["key"] = 1
        trash_id = store.delete("gone")
    shutil.move(root / "trash" / trash_id, home(root, "gone.default"))
    shutil.move(home(root), root / "trash" / "by-hand")
    with pronto_lmdb.open(root) as store:
        assert store.check(repair=True).ok
        assert store.check(deep=True).ok
        assert not store.exists("a")
        store.undelete("a")
        store.undelete("gone")
        assert dict(store["a"].items()) == expected
        assert store["gone"]["key"] == 1


@pytest.mark.skipif(os.name != "posix", reason="this system has no permissions of this kind")
def test_what_others_may_read_or_write_is_closed_to_them(root: Path) -> None:
    made(root)
    root.chmod(0o777)
    home(root).chmod(0o755)
    file(root, "journal-").chmod(0o644)
    with pronto_lmdb.open(root) as store:
        assert len(store.check().problems) == 3
        report = store.check(repair=True)
        assert (report.ok, len(report.repairs)) == (True, 3)
    assert [path.stat().st_mode & 0o777 for path in (root, home(root), file(root, "journal-"))] == [0o775, 0o700, 0o600]


def test_an_address_on_a_disk_that_is_missing_is_not_forgotten(root: Path, tmp_path: Path) -> None:
    made(root)
    with pronto_lmdb.open(root) as store:
        store.create("far", path=tmp_path / "disk" / "far")
        store["far"]["key"] = 1
    (tmp_path / "disk").rename(tmp_path / "away")
    with pronto_lmdb.open(root) as store:
        assert not store.check(repair=True).ok
    (tmp_path / "away").rename(tmp_path / "disk")
    with pronto_lmdb.open(root) as store:
        assert store.check(repair=True).ok
        assert store["far"]["key"] == 1


# -- what is asked for -------------------------------------------------------------------------------------------------


def test_a_repair_of_what_is_whole_changes_nothing(root: Path) -> None:
    made(root)
    before = contents(root)
    with pronto_lmdb.open(root) as store:
        report = store.check(repair=True, deep=True)
        assert (report.ok, report.problems, report.repairs) == (True, [], ())
    assert contents(root) == before


def contents(root: Path) -> dict[Path, bytes]:
    """Return what all files hold, but for LMDB's tables of readers."""
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != "lock.mdb"}


@pytest.mark.parametrize("level", ["full", "normal", "off"])
def test_a_rebuild_makes_whole_data_files_anew(root: Path, level: str) -> None:
    expected = made(root, level)
    inode = file(root, "data.mdb").stat().st_ino
    report, content = repaired(root, rebuild=True, addresses=["a"])
    assert report.ok
    assert content == expected
    assert "made anew" in texts(report)
    if level != "off":
        assert file(root, "data.mdb").stat().st_ino != inode


def test_chosen_addresses_alone_are_looked_at_and_repaired(root: Path) -> None:
    made(root)
    with pronto_lmdb.open(root) as store:
        store["c"]["key"] = 1
    for name in ("a.default", "c.default"):
        (damaged,) = home(root, name).glob("journal-*")
        scribble(damaged, 20)
    with pronto_lmdb.open(root) as store:
        assert {str(problem.address) for problem in store.check(addresses=["a"]).problems} == {"a.default"}
        assert store.check(repair=True, addresses=["a"]).ok
        assert {str(problem.address) for problem in store.check().problems} == {"c.default"}
        with pytest.raises(AddressNotFoundError):
            store.check(addresses=["nobody"])


def test_progress_is_told_from_nothing_to_all(root: Path) -> None:
    made(root)
    told: list[tuple[int, int]] = []
    with pronto_lmdb.open(root) as store:
        store.check(progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_a_store_that_is_read_only_is_not_repaired(root: Path) -> None:
    made(root)
    with pronto_lmdb.open(root, readonly=True) as store, pytest.raises(ReadOnlyError):
        store.check(repair=True)


def test_what_another_process_has_open_is_not_repaired_and_it_says_so(root: Path) -> None:
    expected = made(root)
    ready, go = os.pipe()
    held, done = os.pipe()

    def hold() -> None:
        with pronto_lmdb.open(root) as store, store["a"].view() as view:
            os.write(done, b"1")
            os.read(ready, 1)
            assert len(view) == len(expected)

    def repair() -> None:
        os.read(held, 1)
        scribble(file(root, "base"), 5 * 4096 + 2000)
        with pronto_lmdb.open(root, timeout=0.1) as store:
            report = store.check(repair=True)
            assert not report.ok
            assert "in use" in texts(report)
            assert len(store["a"]) == len(expected)
        os.write(go, b"1")

    try:
        assert in_children([hold, repair]) == [0, 0]
    finally:
        for descriptor in (ready, go, held, done):
            os.close(descriptor)
    report, content = repaired(root)
    assert report.ok
    assert content == expected


# -- killed ------------------------------------------------------------------------------------------------------------


def scribble_both(root: Path) -> None:
    for name in ("base", "data.mdb"):
        scribble(file(root, name), 3 * 4096, b"\xa5" * 4096)


KILLED: dict[str, Callable[[Path], None]] = {
    "base": lambda root: scribble(file(root, "base"), 5 * 4096 + 2000),
    "data file": lambda root: scribble(file(root, "data.mdb"), 3 * 4096, b"\xa5" * 4096),
    "both": scribble_both,
}  # fmt: skip


@pytest.mark.parametrize("hurt", KILLED.values(), ids=KILLED)
def test_a_repair_that_is_killed_anywhere_is_done_by_the_next(
    root: Path, hurt: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(root.parent))  # who is killed leaves scratch files
    expected = made(root)
    pristine = root.with_name("pristine")
    shutil.copytree(root, pristine)
    for step in itertools.count():
        shutil.rmtree(root)
        shutil.copytree(pristine, root)
        for name in ("a.default", "neighbour.default"):
            reseal(home(root, name))
        hurt(root)

        def repair() -> None:
            with pronto_lmdb.open(root) as store:
                store.check(repair=True, deep=True)

        died = killed_at(step, repair)
        with pronto_lmdb.open(root) as store:
            store.check(repair=True, deep=True)
            assert store.check(deep=True).problems == [], step
            content = dict(store["a"].items())
            assert LATER.items() <= content.items(), step
            assert all(expected[key] == value for key, value in content.items())
        if not died:
            break
    assert step > 3


# -- the registry ------------------------------------------------------------------------------------------------------


def damage_registry(root: Path, hurt: Callable[[bytearray], None]) -> None:
    """Change the leaf pages of the registry's file behind the back of its seal."""
    path = root / "meta" / "registry"
    content = bytearray((path / "data.mdb").read_bytes())
    for begin in range(2 * PAGE, len(content), PAGE):
        page = content[begin : begin + PAGE]
        if struct.unpack_from("<H", page, 10)[0] == LEAF:
            hurt(page)
            content[begin : begin + PAGE] = page
    (path / "data.mdb").write_bytes(content)
    write_seal(str(path))


def overrun(page: bytearray) -> None:
    struct.pack_into("<H", page, 16, PAGE - 2)  # where the first node begins


def overlap(page: bytearray) -> None:
    (upper,) = struct.unpack_from("<H", page, 14)  # where the free room ends: what is added there lies on a node
    struct.pack_into("<H", page, 14, upper + 200)


@pytest.mark.parametrize("hurt", [overrun, overlap])
def test_a_registry_that_was_damaged_unnoticed_is_set_aside_and_made_anew(
    root: Path, hurt: Callable[[bytearray], None]
) -> None:
    names = [f"agent{number}.main" for number in range(6)]
    with pronto_lmdb.open(root) as store:
        for name in names:
            store[name]["key"] = name
    damage_registry(root, hurt)
    with pronto_lmdb.open(root) as store:
        report = store.check(repair=True, rebuild=True)
        assert report.ok, report.problems
        assert store.check(deep=True).ok
        assert [str(info.address) for info in store.addresses()] == names
        assert [store[name]["key"] for name in names] == names
    assert list((root / "trash").glob("registry-*"))


# -- the seal ----------------------------------------------------------------------------------------------------------

boots = pytest.mark.skipif(not os.path.exists(BOOT_ID_FILE), reason="this system does not name its boots")


@boots
def test_a_data_file_that_somebody_has_touched_is_made_anew_before_it_is_opened(root: Path) -> None:
    expected = made(root)
    data = file(root, "data.mdb")
    inode = data.stat().st_ino
    scribble(data, data.read_bytes().index(b"key050"), b"KEY050")
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"].items()) == expected
    assert file(root, "data.mdb").stat().st_ino != inode


@boots
def test_a_data_file_is_kept_after_writes_and_reads_and_kills(root: Path) -> None:
    made(root)
    inode = file(root, "data.mdb").stat().st_ino
    for _ in range(3):
        with pronto_lmdb.open(root) as store:
            store["a"].increment("hits")

    def killed() -> None:
        store = pronto_lmdb.open(root)
        store["a"].increment("hits")
        os._exit(0)

    assert in_children([killed]) == [0]
    with pronto_lmdb.open(root) as store:
        assert store["a"].increment("hits") == 5
    assert file(root, "data.mdb").stat().st_ino == inode


@boots
def test_the_seal_is_broken_before_anything_is_written_and_put_there_by_the_last(root: Path) -> None:
    made(root)

    def sealed() -> bool:
        with Directory(str(home(root))) as directory:
            return b"sealed" in (directory.read("marker") or b"")

    assert sealed()
    with pronto_lmdb.open(root) as store:
        store["a"].get("key001")
        assert sealed()
        store["a"]["key"] = 1
        assert not sealed()
    assert sealed()
