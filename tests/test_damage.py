"""What should not be there: strangers in the way, foreign and damaged files. One address suffers, the others go on."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import lmdb
import pytest
from seals import reseal

import pronto_lmdb
from pronto_lmdb import AddressExistsError, CorruptStoreError, FormatVersionError, ProntoError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pronto_lmdb import Keystore, Store


def listed(store: Store) -> list[str]:
    return [str(info.address) for info in store.addresses()]


# -- files and directories -----------------------------------------------------------------------------------------


def test_something_in_the_way_of_one_address_does_not_hinder_the_others(store: Store, root: Path) -> None:
    store.create("before")
    (root / "addresses" / "a.default").mkdir()
    (root / "addresses" / "a.default" / "mine").write_text("mine")
    with pytest.raises(AddressExistsError, match=r"a\.default"):
        store["a"]["k"] = 1
    store["after"]["k"] = 1
    assert listed(store) == ["after.default", "before.default"]
    assert (root / "addresses" / "a.default" / "mine").read_text() == "mine"


def test_a_directory_copied_by_hand_is_recognised(store: Store, root: Path) -> None:
    store["a"]["k"] = 1
    shutil.copytree(root / "addresses" / "a.default", root / "addresses" / "b.default")
    with pytest.raises(CorruptStoreError, match=r"belongs to a\.default, not to b\.default"):
        store["b"].get("k")
    assert store["a"].increment("k") == 2


@pytest.mark.parametrize("content", [b"garbage", b"\0" * 8192, b"\xa5" * 32768], ids=len)
def test_a_damaged_data_file_is_made_anew_from_the_journal(root: Path, content: bytes) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"]["k"] = 1
        store["b"]["k"] = 1
    (root / "addresses" / "a.default" / "data.mdb").write_bytes(content)
    with pronto_lmdb.open(root) as store:
        assert [store[name].increment("k") for name in "ab"] == [2, 2]


def test_a_foreign_lmdb_file_is_not_taken_for_a_keystore(store: Store, root: Path) -> None:
    store.create("other")
    with lmdb.open(str(root / "addresses" / "a.default")) as foreign, foreign.begin(write=True) as transaction:
        transaction.put(b"theirs", b"1")
    with pytest.raises(CorruptStoreError):
        store["a"].get("theirs")
    with pytest.raises(CorruptStoreError):
        store["a"]["k"] = 1
    assert listed(store) == ["other.default"]


def test_a_root_that_is_a_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pronto_lmdb.open(tmp_path / "file") as store:
        assert (store.exists("a"), store["a"].get("k"), listed(store)) == (False, None, [])
        with pytest.raises(ProntoError):
            store["a"]["k"] = 1
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("size", [0, 1, 4096, 8192, 20_000])
def test_a_truncated_data_file_is_made_anew_from_the_journal(
    root: Path, size: int, in_another_process: Callable[..., Any]
) -> None:
    with pronto_lmdb.open(root) as store:
        store["a"].update({f"k{number:05}": "x" * 300 for number in range(1000)})
        store["b"]["k"] = 1
    os.truncate(root / "addresses" / "a.default" / "data.mdb", size)
    # In a process of its own, because what LMDB reads beyond the end of a file would kill the reader.
    program = """
        import json, sys, pronto_lmdb
        with pronto_lmdb.open(sys.argv[1]) as store:
            store["a"]["k"] = 2
            print(json.dumps([store["a"]["k00900"], len(store["a"]), store["b"].increment("k")]))
        """
    assert in_another_process(program, root) == ["x" * 300, 1001, 2]


# -- entries -------------------------------------------------------------------------------------------------------

NOW = (1_750_000_000_000_000).to_bytes(8, "big")
HEADER = b"\x10" + (1).to_bytes(8, "big") + NOW
EXPIRING = b"\x11" + HEADER[1:] + b"\x7f" + b"\xff" * 7

DAMAGED_RECORDS = {
    "empty": b"",
    "no known kind": b"\x00" + HEADER[1:] + b"\x01",
    "an unknown flag": b"\x12" + HEADER[1:] + b"\x01",
    "a cut header": HEADER[:9],
    "no value": HEADER,
    "a cut expiring header": EXPIRING[:20],
    "no value behind an expiry": EXPIRING,
    "a value that ends early": HEADER + b"\xa5ab",
    "bytes behind the value": HEADER + b"\x01\x02",
    "a value of unknown type": HEADER + b"\xc1",
    "an extension": HEADER + b"\xd4\x2a\x00",
}
READS: dict[str, Callable[[Any], object]] = {
    "get": lambda reader: reader.get("k"),
    "[]": lambda reader: reader["k"],
    "get_many": lambda reader: reader.get_many(["k"]),
    "entry": lambda reader: reader.entry("k"),
    "scan": lambda reader: list(reader.scan()),
    "values": lambda reader: list(reader.values()),
    "pop": lambda reader: reader.pop("k"),
    "increment": lambda reader: reader.increment("k"),
}


def overwrite(root: Path, entries: dict[bytes, bytes]) -> None:
    """Write raw entries into the environment of a.default, which is not open."""
    with lmdb.open(str(root / "addresses" / "a.default")) as environment, environment.begin(write=True) as transaction:
        for key, value in entries.items():
            transaction.put(key, value)
    reseal(root / "addresses" / "a.default")


def raw(root: Path, key: bytes) -> bytes:
    with lmdb.open(str(root / "addresses" / "a.default")) as environment, environment.begin() as transaction:
        stored = transaction.get(key)
    assert stored is not None
    return bytes(stored)


@pytest.fixture
def damaged(root: Path) -> Callable[[dict[bytes, bytes]], None]:
    """Make a.default with two records, and then overwrite raw entries of it."""

    def damage(entries: dict[bytes, bytes]) -> None:
        with pronto_lmdb.open(root) as store:
            store["a"].update({"k": 1, "other": 2})
        overwrite(root, entries)

    return damage


def refused(root: Path, use: Callable[[Keystore], object], kind: type[ProntoError]) -> None:
    with pronto_lmdb.open(root) as store, pytest.raises(kind) as caught:
        use(store["a"])
    assert caught.value.hint


@pytest.mark.parametrize("use", READS.values(), ids=READS)
@pytest.mark.parametrize("record", DAMAGED_RECORDS.values(), ids=DAMAGED_RECORDS)
def test_a_damaged_record_is_reported(
    root: Path, damaged: Callable[..., None], record: bytes, use: Callable[[Any], object]
) -> None:
    damaged({b"k": record})
    refused(root, use, CorruptStoreError)


@pytest.mark.parametrize("use", READS.values(), ids=READS)
@pytest.mark.parametrize("kind", [0x20, 0x21, 0xF0])
def test_a_record_of_a_newer_version_is_refused_and_never_guessed(
    root: Path, damaged: Callable[..., None], kind: int, use: Callable[[Any], object]
) -> None:
    # What follows would make sense as a record of today, with and without an expiry.
    damaged({b"k": bytes([kind]) + HEADER[1:] + b"\xc4\x08" + b"\x7f" * 6 + b"\xcc\x05"})
    refused(root, use, FormatVersionError)


def test_a_damaged_record_does_not_hinder_the_other_keys(root: Path, damaged: Callable[..., None]) -> None:
    damaged({b"k": b""})
    with pronto_lmdb.open(root) as store:
        assert (store["a"]["other"], list(store["a"]), len(store["a"])) == (2, ["k", "other"], 2)
        store["a"]["k"] = 5
        assert dict(store["a"]) == {"k": 5, "other": 2}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (b"\0state", lambda stored: stored[:-1]),
        (b"\0state", lambda stored: stored + b"\0"),
        (b"\0state", lambda stored: b""),
        (b"\0identity", lambda stored: stored[:-1]),
        (b"\0identity", lambda stored: b""),
        (b"\0identity", lambda stored: b"\x80"),
        (b"\0identity", lambda stored: b"\x01"),
        (b"\0identity", lambda stored: b"\x81\xa6format\x01"),
    ],
)
def test_a_view_that_does_not_know_itself_is_made_anew_from_the_journal(
    root: Path, damaged: Callable[..., None], name: bytes, change: Callable[[bytes], bytes]
) -> None:
    damaged({})
    changed = change(raw(root, name))
    assert changed != raw(root, name)
    overwrite(root, {name: changed})
    with pronto_lmdb.open(root) as store:
        assert store["a"].increment("k") == 2


@pytest.mark.parametrize(
    ("name", "change", "kind"),
    [
        (b"\0state", lambda stored: b"\x03" + stored[1:], FormatVersionError),
        (b"\0identity", lambda stored: stored.replace(b"format\x01", b"format\x02"), FormatVersionError),
        (b"\0identity", lambda stored: stored.replace(b"a.default", b"b.default"), CorruptStoreError),
    ],
)
def test_what_an_environment_says_of_itself_is_checked(
    root: Path,
    damaged: Callable[..., None],
    name: bytes,
    change: Callable[[bytes], bytes],
    kind: type[ProntoError],
) -> None:
    damaged({})
    overwrite(root, {name: change(raw(root, name))})
    refused(root, lambda keystore: keystore.get("k"), kind)
    refused(root, lambda keystore: keystore.put("k", 2), kind)
    assert raw(root, b"k")[17:] == b"\x01"  # the value written at first
