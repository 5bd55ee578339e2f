"""A check reports every damage and disagreement, raises none of it, changes nothing, and keeps nobody waiting."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any

import lmdb
import pytest
from crash import killed_at
from seals import reseal

import pronto_lmdb
from pronto_lmdb import Address, LockTimeoutError, Problem, Report, StoreClosedError, data_files
from pronto_lmdb import checking as checking_module
from pronto_lmdb import inspection as inspection_module
from pronto_lmdb.identity import Identity, State
from pronto_lmdb.journal_format import HEADER_SIZE, SPOILED_AT, Header
from pronto_lmdb.journaled import JournaledEnvironment
from pronto_lmdb.pool import pool
from pronto_lmdb.record import IDENTITY, STATE, encode_record, expiry_entry
from pronto_lmdb.registry import address_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pronto_lmdb import Keystore, Store

FINE = Report(ok=True, problems=[])
A = Address("a")
MIB = 1024 * 1024

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
both = pytest.mark.parametrize("deep", [False, True], ids=["shallow", "deep"])


def home(root: Path, name: str = "a.default") -> Path:
    return root / "addresses" / name


def journal(root: Path, name: str = "a.default") -> Path:
    (found,) = home(root, name).glob("journal-*")
    return found


def fill(keystore: Keystore) -> None:
    """Write something of every kind."""
    keystore.update({f"key{number}": {"number": number} for number in range(20)})
    keystore.put("lease", "w7", ttl=3600)
    keystore.put("expired", 1, ttl=1e-6)
    keystore.namespace_ttl("sessions.cache", 60)
    keystore["sessions.cache.one"] = 1
    del keystore["key7"]


def save(store: Store, address: str = "a") -> None:
    """Make a checkpoint: it comes with the end of the level ``off``."""
    store.set_durability(address, "off")
    store.set_durability(address, "full")


def checked(root: Path, *, deep: bool = False) -> list[Problem]:
    """Check a store that is not open anywhere."""
    with pronto_lmdb.open(root) as store:
        report = store.check(deep=deep)
    assert report.ok == (not report.problems)
    return report.problems


def state_of(root: Path) -> State:
    """Return the state of a.default, which is open here."""
    (environment,) = [found for found in pool.environments() if found.path == str(home(root))]
    assert isinstance(environment, JournaledEnvironment)
    assert environment.cached_state is not None
    return environment.cached_state


def tamper(
    root: Path,
    changes: dict[bytes, bytes | None],
    name: str = "a.default",
    change: Callable[[State], None] | None = None,
) -> None:
    """Change entries of a view that nobody has open, as if no commit had done so."""
    with lmdb.open(str(home(root, name))) as environment, environment.begin(write=True) as txn:
        state = State.read(txn, name, txn.id() - 1)
        state.transaction = txn.id()
        if change is not None:
            change(state)
        for key, value in {STATE: state.encode(), **changes}.items():
            if value is None:
                assert txn.delete(key)
            else:
                txn.put(key, value)
    reseal(home(root, name))


# -- what is fine ----------------------------------------------------------------------------------------------------


@both
def test_an_empty_root_is_fine_and_stays_empty(store: Store, root: Path, deep: bool) -> None:
    assert store.check(deep=deep) == FINE
    assert not root.exists()


@both
@pytest.mark.parametrize("based", [False, True], ids=["first journal", "base"])
@pytest.mark.parametrize("level", ["full", "normal", "off"])
def test_an_address_in_use_is_fine(store: Store, level: str, based: bool, deep: bool) -> None:
    store.create("a", durability=level)
    fill(store["a"])
    if based:
        save(store)
        store.set_durability("a", level)
        fill(store["a"])
    assert store.check(deep=deep) == FINE


@both
def test_everything_that_happens_to_addresses_is_fine(store: Store, tmp_path: Path, deep: bool) -> None:
    store.create("inside", path=tmp_path / "store" / "somewhere")
    store.create("outside", path=tmp_path / "outside", labels={"team": "search"}, max_bytes=MIB)
    for name in ("inside", "outside", "plain", "renamed", "gone", "again"):
        fill(store[name])
    store.rename("renamed", "new")
    store["renamed"]["k"] = 1
    for name in ("inside", "outside", "gone", "again"):
        store.delete(name)
    store.undelete("again")
    store.undelete("outside", to="other")
    store["gone"]["k"] = 1
    store.config["timeout"] = "3"
    assert store.check(deep=deep) == FINE
    store.purge()
    assert store.check(deep=deep) == FINE


@both
def test_more_addresses_than_may_be_open_are_fine(store: Store, monkeypatch: pytest.MonkeyPatch, deep: bool) -> None:
    monkeypatch.setattr("pronto_lmdb.pool.capacity", lambda: 4)
    for number in range(20):
        store[f"a{number}"]["k"] = number
    assert store.check(deep=deep) == FINE
    assert len(pool.environments()) <= 4


@both
def test_a_store_of_another_boot_is_recovered_as_by_any_use(root: Path, deep: bool) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store["a"])
    (home(root) / "data.mdb").write_bytes(b"torn by a power loss" * 1000)
    (home(root) / "marker").write_text("another boot\n")
    assert checked(root, deep=deep) == []


@both
def test_a_check_changes_nothing(root: Path, deep: bool) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store["a"])
        save(store)
        fill(store["b"])
        store.delete("b")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pronto_lmdb.open(root, readonly=True) as store:
        assert store.check(deep=deep) == FINE
    after = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert {path: content for path, content in after.items() if path.name != "lock.mdb"} == {
        path: content for path, content in before.items() if path.name != "lock.mdb"
    }


def test_a_closed_store_is_not_checked(store: Store) -> None:
    store.close()
    with pytest.raises(StoreClosedError):
        store.check()


def test_problems_read_well() -> None:
    assert str(Problem(A, "it is gone")) == "a.default: it is gone"
    assert str(Problem(None, "/data: it is gone")) == "/data: it is gone"


# -- entries and counters --------------------------------------------------------------------------------------------


def count_up(field: str) -> Callable[[State], None]:
    def change(state: State) -> None:
        setattr(state, field, getattr(state, field) + 1)

    return change


RECORD = encode_record(b"\x01", 1, 1, None)
LATER = 2**50

DAMAGED_ENTRIES: dict[str, tuple[dict[bytes, bytes | None], Callable[[State], None] | None, str]] = {
    "a record that expires and is not in the index": (
        {b"k": encode_record(b"\x01", 1, 1, LATER)}, None, "records that expire and are not in the index: 1, .* 'k'",
    ),
    "an index entry without a record": (
        {expiry_entry(LATER, b"k"): b""}, count_up("expiring"), "entries of the expiry index without their record: 1",
    ),
    "an index entry of another time": (
        {b"k": encode_record(b"\x01", 1, 1, LATER), expiry_entry(LATER, b"k"): b"", expiry_entry(LATER + 1, b"k"): b""},
        lambda state: setattr(state, "expiring", state.expiring + 2),
        "entries of the expiry index without their record: 1, the first for 'k'",
    ),
    "an index entry that names nothing": ({b"\0x": b""}, count_up("expiring"), "expiry index without their record"),
    "a wrong count of records that expire": (
        {}, count_up("expiring"), "counts 4 records that expire, but there are 3",
    ),
    "a wrong count of defaults": ({}, count_up("namespaces"), "counts 2 namespaces with a default, but there are 1"),
    "a default that is no duration": ({b"\0ttl:sessions.cache": b"60"}, None, "default TTLs that cannot be read"),
    "an entry of unknown kind": ({b"\0mine": b""}, None, r"entries of unknown kind: 1, .* '\\x00mine'"),
    "records without a header": ({b"k": b"", b"l": b"\xff"}, None, "records that cannot be read: 2, the first for 'k'"),
    "a key that is no text": ({b"\xff\xfe": RECORD}, None, "records that cannot be read: 1"),
    "a record of a later commit": ({b"k": encode_record(b"\x01", 10**6, 1, None)}, None, "newer than the last commit"),
    "another level than the identity says": ({}, count_up("level"), "identity says 'full', the state says level 2"),
}  # fmt: skip


@both
@pytest.mark.parametrize(("changes", "change", "expected"), DAMAGED_ENTRIES.values(), ids=DAMAGED_ENTRIES)
def test_entries_that_do_not_fit_together_are_reported(
    root: Path,
    changes: dict[bytes, bytes | None],
    change: Callable[[State], None] | None,
    expected: str,
    deep: bool,
) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store["a"])
        store["b"]["k"] = 1
    tamper(root, changes, change=change)
    problems = checked(root, deep=deep)
    assert {problem.address for problem in problems} == {A}
    assert any(re.search(expected, problem.text) for problem in problems), problems


def test_values_are_read_by_a_deep_check_only(root: Path) -> None:
    with pronto_lmdb.open(root, durability="off") as store:
        store["a"]["k"] = 1
    tamper(root, {b"k": encode_record(b"\xc1", 1, 1, None)})
    assert checked(root) == []
    assert checked(root, deep=True) == [Problem(A, "records that cannot be read: 1, the first for 'k'")]


# -- base and journal ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("based", [False, True], ids=["first journal", "base"])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {b"key1": encode_record(b"\x05", 1, 1, None)},
            "entries that differ in base and journal: 1, the first for 'key1'",
        ),
        ({b"new": RECORD}, "entries that base and journal do not have: 1, the first for 'new'"),
        ({b"key1": None, b"key2": None}, "entries that only base and journal have: 2, the first for 'key1'"),
    ],
    ids=["changed", "added", "removed"],
)
def test_a_view_that_is_not_what_base_and_journal_say_is_found_by_a_deep_check(
    root: Path, changes: dict[bytes, bytes | None], expected: str, based: bool
) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store["a"])
        if based:
            save(store)
            store["a"]["k"] = 1
    tamper(root, changes)
    assert checked(root) == []
    assert checked(root, deep=True) == [Problem(A, expected)]


def test_a_state_that_is_not_what_the_journal_says_is_found_by_a_deep_check(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
    tamper(root, {}, change=count_up("generation"))
    assert checked(root) == []
    assert checked(root, deep=True) == [Problem(A, "the generation in the state is 2, but 1 in base and journal")]


def remove(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    os.truncate(file, HEADER_SIZE + 1)


def empty(file: Path) -> None:
    os.truncate(file, 0)


def put_byte(at: int) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[at] ^= 0xFF
        file.write_bytes(content)

    return change


@both
@pytest.mark.parametrize("based", [False, True], ids=["first journal", "base"])
@pytest.mark.parametrize("harm", [remove, cut, empty, put_byte(0), put_byte(15), put_byte(40), put_byte(SPOILED_AT)])
def test_a_journal_that_is_not_what_it_should_be_is_reported(
    root: Path, harm: Callable[[Path], None], based: bool, deep: bool
) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store["a"])
        if based:
            save(store)
            fill(store["a"])
    harm(journal(root))
    (problem,) = checked(root, deep=deep)
    assert problem.address == A
    assert "journal" in problem.text


def test_a_damaged_frame_is_found_by_a_deep_check(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        save(store)
        ends = []
        for number in range(3):
            ends.append(state_of(root).end)
            store["a"]["k"] = number
        revision = store["a"].revision
    for number, end in enumerate(ends[::-1]):
        put_byte(end + 30)(journal(root))
        assert checked(root) == []
        (problem,) = checked(root, deep=True)
        assert problem.text == (
            f"{journal(root).name} is damaged at byte {end}: "
            f"a recovery would end with revision {revision - 1 - number}, not with {revision}"
        )


def test_a_first_frame_that_is_damaged_leaves_nothing(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store.create("a")
    put_byte(HEADER_SIZE + 30)(journal(root))
    (problem,) = checked(root, deep=True)
    assert problem.text.endswith(f"is damaged at byte {HEADER_SIZE}: a recovery would end with nothing, not with 0")


def test_a_view_that_goes_on_with_another_journal_is_reported(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
    foreign = bytes(16)
    tamper(root, {}, change=lambda state: setattr(state, "journal", foreign))
    (problem,) = checked(root)
    assert problem.text.startswith(f"a recovery would go on with {journal(root).name}, the view goes on with")


def test_a_journal_that_belongs_to_another_keystore_is_reported(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
    file, foreign = journal(root), b"\xff" * 16
    content = file.read_bytes()
    header = Header.decode(content, "the journal")
    header.keystore = foreign
    file.write_bytes(header.encode() + content[HEADER_SIZE:])
    (problem,) = checked(root)
    assert problem.text.startswith(f"{file.name} belongs to the keystore {foreign.hex()}, not to ")


@both
def test_a_base_of_another_time_is_reported(root: Path, deep: bool) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store["a"])
        save(store)
        shutil.copy(home(root) / "base", root / "older")
        save(store)
    shutil.move(root / "older", home(root) / "base")
    (problem,) = checked(root, deep=deep)
    assert problem.address == A
    assert problem.text.endswith("is missing.")


@both
@pytest.mark.parametrize("name", ["base", "data.mdb"])
def test_a_damaged_page_is_reported_and_never_given_to_lmdb(root: Path, name: str, deep: bool) -> None:
    with pronto_lmdb.open(root) as store:
        fill(store["a"])
        save(store)
        store["b"]["k"] = 1
    file = home(root) / name
    content = file.read_bytes()
    damaged = 0
    for page in range(len(content) // 4096):
        for changed in (
            content[: page * 4096] + b"\xa5" * 4096 + content[(page + 1) * 4096 :],
            content[: page * 4096],
        ):
            file.write_bytes(changed)
            reseal(home(root))
            for problem in checked(root, deep=deep):  # none where the page was not in use
                damaged += 1
                assert problem.address == A
                assert f"{name} is damaged" in problem.text
        file.write_bytes(content)
    assert damaged > 3


def test_a_damaged_page_is_found_beside_a_writer_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"].update({f"key{number:04}": "x" * 100 for number in range(500)})
    file = home(root) / "data.mdb"
    content = file.read_bytes()
    page = content.index(b"key0250") // 4096 * 4096
    file.write_bytes(content[:page] + b"\xa5" * 4096 + content[page + 4096 :])
    reseal(home(root))
    monkeypatch.setattr(inspection_module, "damage_at_rest", lambda file: None)  # as if it was written to
    (problem,) = checked(root)
    assert problem.address == A
    assert problem.text.startswith(f"{file} is damaged: main DB: page {page // 4096} ")


def test_what_seems_wrong_with_a_file_that_is_written_to_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data.mdb"
    file.write_bytes(bytes(8192))
    assert data_files.damage_at_rest(str(file)) is not None

    def damage(path: str) -> str:
        file.write_bytes(b"\1" * 8192)
        return "written meanwhile"

    monkeypatch.setattr(data_files, "damage", damage)
    assert data_files.damage_at_rest(str(file)) is None


def test_a_view_without_its_marker_is_reported_while_it_is_in_use(store: Store, root: Path) -> None:
    store["a"]["k"] = 1
    (home(root) / "marker").unlink()
    assert store.check() == Report(
        ok=False, problems=[Problem(A, "its marker does not vouch for the data file that is in use")]
    )


@both
def test_at_the_level_off_nothing_is_said_of_the_journal(root: Path, deep: bool) -> None:
    with pronto_lmdb.open(root, durability="off") as store:
        fill(store["a"])
    put_byte(HEADER_SIZE + 30)(journal(root))
    assert checked(root, deep=deep) == []


@both
def test_damage_of_one_address_does_not_hide_that_of_another(root: Path, deep: bool) -> None:
    with pronto_lmdb.open(root) as store:
        for name in "abc":
            store[name]["k"] = 1
    put_byte(0)(journal(root))
    (home(root, "b.default") / "data.mdb").write_bytes(b"\xa5" * 32768)
    reseal(home(root, "b.default"))
    tamper(root, {b"k": b""}, "c.default")
    assert {str(problem.address) for problem in checked(root, deep=deep)} == {"a.default", "b.default", "c.default"}


def test_a_view_with_a_damaged_identity_is_made_anew_before_it_is_looked_at(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        identity = Identity("a.default", id="no hex digits at all")
    tamper(root, {IDENTITY: identity.encode()})
    assert checked(root) == []


@both
def test_a_shorter_value_in_the_pages_of_a_longer_one_is_no_damage(root: Path, deep: bool) -> None:
    with pronto_lmdb.open(root) as store, store["a"].transaction() as transaction:
        for size in (9000, 3000, 4500):
            transaction.update({f"k{number}": b"x" * size for number in range(5)})
    with pronto_lmdb.open(root) as store:
        store.set_durability("a", "off")
        store.set_durability("a", "full")  # with a base
    assert checked(root, deep=deep) == []


# -- places ----------------------------------------------------------------------------------------------------------


@both
def test_a_directory_that_holds_no_keystore_is_reported(root: Path, deep: bool) -> None:
    with pronto_lmdb.open(root) as store:
        store.create("a")
    (root / "addresses" / "stranger").mkdir()
    assert checked(root, deep=deep) == [Problem(None, f"{root}/addresses/stranger holds no keystore")]


def test_a_directory_that_is_gone_is_reported(root: Path, tmp_path: Path) -> None:
    with pronto_lmdb.open(root) as store:
        for name in ("a", "b", "c"):
            store.create(name, path=tmp_path / "outside" if name == "b" else None)
        store.delete("c")
    (trashed,) = (root / "trash").iterdir()
    for path in (home(root), tmp_path / "outside", trashed):
        shutil.rmtree(path)
    assert checked(root) == [
        Problem(A, f"the registry places it in {home(root)}, which holds no keystore"),
        Problem(Address("b"), f"the registry places it in {tmp_path}/outside, which holds no keystore"),
        Problem(Address("c"), f"in the trash, {trashed} holds no keystore"),
    ]


def test_a_directory_copied_by_hand_is_reported(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
    shutil.copytree(home(root), home(root, "b.default"))
    path = home(root, "b.default")
    assert checked(root) == [Problem(None, f"{path} holds the keystore of 'a.default', which does not belong there")]


def test_a_directory_taken_out_of_the_trash_by_hand_is_reported(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        trash_id = store.delete("a")
    trashed = root / "trash" / trash_id
    shutil.move(trashed, home(root))
    assert checked(root) == [
        Problem(None, f"{home(root)} holds a deleted keystore of 'a.default', which does not belong there"),
        Problem(A, f"in the trash, {trashed} holds no keystore"),
    ]


def test_a_directory_put_into_the_trash_by_hand_is_reported(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
    shutil.copytree(home(root), root / "trash" / "mine")
    assert checked(root) == [
        Problem(None, f"{root}/trash/mine holds the keystore of 'a.default', which is not deleted")
    ]


@both
def test_damage_in_the_trash_is_reported(root: Path, deep: bool) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        trash_id = store.delete("a")
    (found,) = (root / "trash" / trash_id).glob("journal-*")
    put_byte(0)(found)
    (problem,) = checked(root, deep=deep)
    assert problem.address == A
    assert problem.text.startswith("in the trash, ")


# -- the catalog -----------------------------------------------------------------------------------------------------


def edit_registry(root: Path, changes: dict[bytes, bytes | None]) -> None:
    with lmdb.open(str(root / "meta" / "registry")) as environment, environment.begin(write=True) as txn:
        for key, value in changes.items():
            if value is None:
                assert txn.delete(key)
            else:
                txn.put(key, value)


def test_an_address_that_the_registry_does_not_know_is_reported(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        store.create("b")
        trash_id = store.delete("b")
    edit_registry(root, {address_key("a.default"): None, b"\0trash:" + trash_id.encode(): None})
    assert checked(root) == [
        Problem(A, f"the registry does not know {home(root)}"),
        Problem(Address("b"), f"in the trash, the registry does not know {root}/trash/{trash_id}"),
    ]


def test_what_the_registry_says_otherwise_is_reported(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store.create("a", labels={"team": "search"})
        store.create("b")
    with lmdb.open(str(root / "meta" / "registry")) as environment, environment.begin() as txn:
        stored = bytes(txn.get(address_key("a.default")) or b"")
    edit_registry(root, {address_key("a.default"): stored.replace(b"search", b"sports").replace(b"full", b"fool")})
    assert checked(root) == [Problem(A, "the registry has another durability, labels")]


def test_revisions_that_were_used_up_before_are_reported(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        store["b"]["k"] = 1
        store.delete("b")
    floors = {b"\0floor:a.default": (10).to_bytes(8, "big"), b"\0floor:b.default": bytes(8)}
    edit_registry(root, floors)
    assert checked(root) == [
        Problem(A, "its revision is 1, but those up to 10 were used up before"),
        Problem(Address("b"), "in the trash, its revision is 2, the registry knows of 0"),
    ]


def test_a_missing_registry_is_reported(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
    shutil.rmtree(root / "meta" / "registry")
    assert checked(root) == [Problem(None, f"the registry: {root}/meta/registry is missing")]
    with pronto_lmdb.open(root) as store:
        assert [str(info.address) for info in store.addresses()] == ["a.default"]
        assert store.check() == FINE


@pytest.mark.parametrize("harm", [put_byte(16), empty, lambda file: file.write_bytes(b"\xa5" * 32768)])
def test_a_damaged_registry_is_reported_with_the_damage_of_the_addresses(
    root: Path, harm: Callable[[Path], None]
) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
    harm(root / "meta" / "registry" / "data.mdb")
    put_byte(0)(journal(root))
    problems = checked(root)
    assert len(problems) == 2
    assert problems[1].text.startswith("the registry: ") or problems[0].text.startswith("the registry: ")


def test_a_damaged_entry_of_the_registry_is_reported(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
    edit_registry(root, {b"b.default": b"\xc1"})
    (problem,) = checked(root)
    assert problem == Problem(None, f"the registry: {root}/meta/registry holds a damaged entry.")


@pytest.mark.parametrize("name", [b"1\0x", b"../1", b"\xff"])
def test_a_deleted_address_whose_name_is_that_of_no_file_is_a_damaged_entry(root: Path, name: bytes) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        store.delete("a")
    with lmdb.open(str(root / "meta" / "registry"), readonly=True) as registry, registry.begin() as txn:
        cursor = txn.cursor()
        assert cursor.set_range(b"\0trash:")
        entry = bytes(cursor.value())
    edit_registry(root, {b"\0trash:" + name: entry})
    assert "holds a damaged entry" in str(checked(root))
    with pronto_lmdb.open(root) as store, pytest.raises(pronto_lmdb.CorruptStoreError):
        store.undelete("a")


def test_an_operation_that_cannot_be_finished_is_reported(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
    note = root / "meta" / "pending" / "0.json"
    note.write_text("{}")
    with pronto_lmdb.open(root, readonly=True) as store:
        assert store.check() == Report(ok=False, problems=[Problem(None, f"{note}: an operation was not finished")])


# -- while others are at work ----------------------------------------------------------------------------------------


@forks
@pytest.mark.parametrize(
    "work",
    [
        lambda store: store.create("new"),
        lambda store: store.delete("a"),
        lambda store: store.rename("a", "new"),
        lambda store: store.undelete("gone"),
        lambda store: store["a"].update({"large": "x" * (MIB + 1)}),
    ],
    ids=["create", "delete", "rename", "undelete", "checkpoint"],
)
def test_whatever_was_killed_is_finished_before(root: Path, work: Callable[[Store], object]) -> None:
    with pronto_lmdb.open(root) as store:
        store.create("off", durability="off")
        for name in ("a", "gone", "off"):
            fill(store[name])
        store.delete("gone")
    saved = root.parent / "saved"
    root.rename(saved)

    def run() -> None:
        with pronto_lmdb.open(root) as store:
            work(store)

    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(saved, root)
        with pronto_lmdb.open(root) as store:
            assert store.check() == FINE  # a copy is made anew first; that is not what is killed here
        died = killed_at(step, run)
        with pronto_lmdb.open(root) as store:
            assert store.check(deep=True) == FINE, step
            store["a"]["next"] = step
            assert store.check(deep=True) == FINE, step
        if not died:
            break
    assert step > 3


@both
def test_a_check_gives_way_to_a_writer_before_the_file_has_grown_much(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch, deep: bool
) -> None:
    monkeypatch.setattr(inspection_module, "_GROWTH", MIB // 4)
    monkeypatch.setattr(inspection_module, "_WATCH_EACH", 1)
    store.create("a", durability="normal")
    store["a"].update({f"key{number:04}": number for number in range(50)})
    look, busy = inspection_module._look_at_record, [True]

    def written_meanwhile(*arguments: Any, **options: Any) -> None:
        if busy[0]:
            store["a"].update({f"key{number:04}": "x" * 1000 for number in range(50)})
        look(*arguments, **options)

    monkeypatch.setattr(inspection_module, "_look_at_record", written_meanwhile)
    (problem,) = store.check(deep=deep).problems
    assert "less busy" in problem.text
    assert (home(root) / "data.mdb").stat().st_size < 8 * MIB
    busy[0] = False
    assert store.check(deep=deep) == FINE


def test_writers_go_on_during_a_deep_check_and_are_not_mistaken_for_damage(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store["a"])
    replay = inspection_module.replay

    def replay_slowly(*arguments: Any) -> Any:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(fill, store["a"]).result()
        return replay(*arguments)

    monkeypatch.setattr(inspection_module, "replay", replay_slowly)
    before = store["a"].revision
    assert store.check(deep=True) == FINE
    assert store["a"].revision > before


@pytest.mark.parametrize("moment", ["open_base", "header_behind", "content_of", "replay"])
@both
def test_a_checkpoint_in_between_is_not_mistaken_for_damage(
    store: Store, monkeypatch: pytest.MonkeyPatch, moment: str, deep: bool
) -> None:
    fill(store["a"])
    original = getattr(inspection_module, moment)
    checkpoints = []

    def interrupted(*arguments: Any) -> Any:
        if len(checkpoints) < 2:
            checkpoints.append(moment)
            with ThreadPoolExecutor(1) as thread:
                thread.submit(store["a"].update, {"large": "x" * (MIB * 2 * len(checkpoints))}).result()
        return original(*arguments)

    monkeypatch.setattr(inspection_module, moment, interrupted)
    assert store.check(deep=deep) == FINE
    assert checkpoints or not deep


def test_nothing_is_purged_while_a_check_opens_it(store: Store, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store["a"])
    store.delete("a")
    peek, refused = pool.peek, []

    def purge() -> None:
        with pronto_lmdb.open(root, timeout=0.01) as other, pytest.raises(LockTimeoutError) as caught:
            other.purge()
        refused.append(caught)

    def peek_slowly(path: str, owner: int) -> Any:
        if path.startswith(str(root / "trash")):
            with ThreadPoolExecutor(1) as thread:
                thread.submit(purge).result()
        return peek(path, owner)

    monkeypatch.setattr(pool, "peek", peek_slowly)
    assert store.check() == FINE
    assert refused


def test_what_is_purged_while_a_check_looks_at_it_is_not_mistaken_for_damage(
    store: Store, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store["a"])
    store.delete("a")
    (home,) = (root / "trash").iterdir()
    look, disturbed = checking_module.Checker._damage, []

    def look_while_it_is_purged(checker: Any, path: str, *guard: Any) -> list[str]:
        if path != str(home) or disturbed:
            return look(checker, path, *guard)
        for journal in home.glob("journal-*"):
            journal.unlink()
        disturbed.extend(look(checker, path, *guard))
        store.purge()
        return disturbed

    monkeypatch.setattr(checking_module.Checker, "_damage", look_while_it_is_purged)
    assert store.check(deep=True) == FINE
    assert disturbed


def write(store: Store, number: int) -> None:
    store["a"].put(f"k{number % 50}", "x" * (number % 997), ttl=1 if number % 7 == 0 else None)


def live_and_die(store: Store, number: int) -> None:
    store["b"]["k"] = number
    store.rename("b", "c")
    store.delete("c")
    if number % 3 == 0:
        store.undelete("c")
        store.delete("c")
    if number % 10 == 0:
        store.purge()


def test_checks_beside_writers_and_everything_that_happens_to_addresses(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pronto_lmdb.identity.SMALLEST_LIMIT", 16 * 1024)
    ended = Event()

    def repeat(work: Callable[[Store, int], object]) -> None:
        with pronto_lmdb.open(root, durability="normal") as store:
            for number in itertools.takewhile(lambda _: not ended.is_set(), itertools.count()):
                work(store, number)

    with pronto_lmdb.open(root, durability="normal") as store, ThreadPoolExecutor(2) as threads:
        store["a"]["k"] = 1
        works = [threads.submit(repeat, work) for work in (write, live_and_die)]
        try:
            reports = [store.check(deep=number % 2 == 0) for number in range(40)]
        finally:
            ended.set()
        for work in works:
            work.result()
        assert [report for report in reports if not report.ok] == []
        assert (home(root) / "base").exists()


def test_an_address_written_by_another_process_is_fine(
    store: Store, root: Path, in_another_process: Callable[..., Any]
) -> None:
    store["a"]["k"] = 1
    assert store.check(deep=True) == FINE
    program = f"""
        import sys
        sys.path[1:1] = {sys.path!r}
        import pronto_lmdb
        with pronto_lmdb.open(sys.argv[1]) as store:
            for number in range(20):
                store["a"][f"k{{number}}"] = number
            store.delete("a")
            store["a"]["k"] = 1
        """
    in_another_process(program, root)
    assert store.check(deep=True) == FINE


def test_a_store_that_cannot_be_looked_at_is_not_taken_for_none(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pronto_lmdb.open(file) as store:
        report = store.check()
    assert not report.ok
    assert "cannot be looked at" in str(report.problems[0])


def test_a_view_that_counts_fewer_commits_than_its_state_was_stored_after_is_made_anew(root: Path) -> None:
    """As when a file of LMDB is put in the place of another one; its revision would be below zero."""

    def ahead(state: State) -> None:
        state.transaction += 1_000

    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
    tamper(root, {}, change=ahead)
    with pronto_lmdb.open(root) as store:
        assert store["a"]["k"] == 1
        store["a"]["k"] = 2
        assert store["a"].entry("k").revision == 2
        assert store.check(deep=True).ok
