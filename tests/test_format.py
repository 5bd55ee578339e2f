"""The bytes on disk, held equal to docs/format.md: its hex examples are read out of the document."""

from __future__ import annotations

import json
import os
import re
import struct
from typing import TYPE_CHECKING, Any

import lmdb
import msgpack
import pytest
from conftest import REPOSITORY

import pronto_lmdb
from pronto_lmdb import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Clock

    from pronto_lmdb import Store

DOCUMENT = (REPOSITORY / "docs" / "format.md").read_text(encoding="utf-8")
# The example of the document was made at this instant, with these random numbers.
NOW = 1_750_000_000_000_000
ID = "000102030405060708090a0b0c0d0e0f"


def blocks(language: str) -> dict[str, str]:
    """Return the code blocks of one language in the document, by name."""
    return dict(re.findall(rf"^```{language} (\S+)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL))


def read_hex(block: str) -> bytes:
    """Return the bytes of an example: two digits each, up to two blanks and a remark on every line."""
    return bytes.fromhex(" ".join(line.partition("  ")[0] for line in block.splitlines()))


EXAMPLES = {name: read_hex(block) for name, block in blocks("hex").items()}


def documented(*names: str) -> dict[bytes, bytes]:
    return {EXAMPLES[f"{name}.key"]: EXAMPLES[f"{name}.value"] for name in names}


def entries(directory: Path) -> dict[bytes, bytes]:
    with lmdb.open(str(directory), readonly=True) as environment, environment.begin() as transaction:
        return {bytes(key): bytes(value) for key, value in transaction.cursor()}


@pytest.fixture
def example(root: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of the store that the document shows."""
    assert clock.now() == NOW
    monkeypatch.setattr(os, "urandom", lambda size: bytes(range(size)))
    with pronto_lmdb.open(root) as store:
        keystore = store["alice.research"]
        keystore["plan"] = {"step": 1}
        keystore.put("lease", "w7", ttl=30)
        keystore.namespace_ttl("sessions.cache", 3600)
        store.create("zoë", labels={"team": "x"}, max_bytes=1_000_000)
        store.config["timeout"] = "3"
        store["bob"]["k"] = 1
        store.delete("bob")
    return root


# -- the examples --------------------------------------------------------------------------------------------------


def test_the_document_shows_every_byte_of_a_keystore(example: Path) -> None:
    stored = entries(example / "addresses" / "alice.research")
    assert stored == documented("identity", "state", "plan", "lease", "expiry", "default")


def test_the_document_shows_every_byte_of_the_registry(example: Path) -> None:
    stored = entries(example / "meta" / "registry")
    state, identity = stored.pop(b"\0state"), stored.pop(b"\0identity")
    names = ("address", "other", "floor", "trash", "setting")
    assert stored == documented(*(f"registry.{name}" for name in names))
    assert (len(state), state[:8], state[16:]) == (28, EXAMPLES["state.value"][:8], bytes(12))
    assert msgpack.unpackb(identity) == {**msgpack.unpackb(EXAMPLES["identity.value"]), "address": ""}


def test_every_example_of_the_document_is_compared() -> None:
    names = {name.rpartition(".")[0] for name in EXAMPLES}
    keystore = {"identity", "state", "plan", "lease", "expiry", "default"}
    assert names == keystore | {f"registry.{name}" for name in ("address", "other", "floor", "trash", "setting")}


# -- decoded by the words of the document, without the library -----------------------------------------------------


def test_a_record_without_expiry_decodes() -> None:
    kind, revision, updated_at = struct.unpack_from(">BQQ", EXAMPLES["plan.value"])
    assert (kind >> 4, kind & 0b1111, revision, updated_at) == (1, 0, 1, NOW)
    assert msgpack.unpackb(EXAMPLES["plan.value"][17:]) == {"step": 1}


def test_a_record_with_expiry_decodes() -> None:
    kind, revision, updated_at, expires_at = struct.unpack_from(">BQQQ", EXAMPLES["lease.value"])
    assert (kind >> 4, kind & 0b1111, revision, updated_at, expires_at) == (1, 1, 2, NOW, NOW + 30_000_000)
    assert msgpack.unpackb(EXAMPLES["lease.value"][25:]) == "w7"


def test_the_expiry_index_decodes() -> None:
    name = EXAMPLES["expiry.key"]
    assert (name[:2], struct.unpack(">Q", name[2:10])[0], name[10:]) == (b"\0x", NOW + 30_000_000, b"lease")
    assert EXAMPLES["expiry.value"] == b""


def test_the_default_of_a_namespace_decodes() -> None:
    assert EXAMPLES["default.key"] == b"\0ttl:sessions.cache"
    assert struct.unpack(">Q", EXAMPLES["default.value"]) == (3_600_000_000,)


def test_the_state_decodes() -> None:
    fields = struct.unpack(">BBHIQQI", EXAMPLES["state.value"])
    assert fields == (1, 1, 0, 1, 3, 1, 1)  # version, status, reserved, generation, revision, expiring, defaults


def test_the_identity_decodes() -> None:
    assert msgpack.unpackb(EXAMPLES["identity.value"]) == {
        "format": 1,
        "address": "alice.research",
        "created_at": NOW,
        "deleted_at": None,
        "durability": "full",
        "id": ID,
        "labels": {},
        "max_bytes": None,
        "origin": {},
    }


def test_the_registry_decodes() -> None:
    other = msgpack.unpackb(EXAMPLES["registry.other.value"])
    assert (other["path"], other["labels"]) == ("addresses/zo=c3=ab.default", {"team": "x"})
    assert EXAMPLES["registry.other.key"] == b"zo" + (0x800000 | ord("ë")).to_bytes(3, "big") + b".default"
    trash = msgpack.unpackb(EXAMPLES["registry.trash.value"])
    assert (trash["path"], trash["deleted_at"]) == (f"trash/{NOW:016d}-{ID[:8]}", NOW)
    assert EXAMPLES["registry.trash.key"] == f"\0trash:{NOW:016d}-{ID[:8]}".encode()
    assert int.from_bytes(EXAMPLES["registry.floor.value"], "big") == 2


# -- the rest of the document --------------------------------------------------------------------------------------


def test_a_deleted_environment_says_so_itself(example: Path) -> None:
    stored = entries(example / "trash" / f"{NOW:016d}-{ID[:8]}")
    assert stored[b"\0state"][:8] == bytes([1, 2, 0, 0, 0, 0, 0, 2])
    assert msgpack.unpackb(stored[b"\0identity"])["deleted_at"] == NOW


def test_the_files_are_those_of_the_document(example: Path) -> None:
    environments = ["addresses/alice.research", "addresses/zo=c3=ab.default", "meta/registry", f"trash/{NOW}-{ID[:8]}"]
    files = {f"{place}/{name}" for place in environments for name in ("data.mdb", "lock.mdb", "lock")}
    others = {"addresses", "trash", "meta", "meta/lifecycle.lock", "meta/pending", "meta/places"}
    assert {str(path.relative_to(example)) for path in example.rglob("*")} == {*environments, *files, *others}
    assert all(path.stat().st_size == 0 for path in example.rglob("lock"))


def test_places_are_noted_as_in_the_document(root: Path, tmp_path: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store.create("inside", path=root / "own" / "disk")
        store.create("outside", path=tmp_path / "disk")
        store.create("gone", path=tmp_path / "gone")
        trash_id = store.delete("gone")
    notes = {path.name: path.read_text() for path in (root / "meta" / "places").iterdir()}
    assert notes == {"inside.default": "own/disk", "outside.default": str(tmp_path / "disk")}
    assert (root / "trash" / trash_id).read_text() == str(tmp_path / f"gone.trash-{trash_id}")
    assert (tmp_path / f"gone.trash-{trash_id}" / "data.mdb").is_file()


def test_the_store_opens_without_its_lock_files(example: Path) -> None:
    for name in ("lock", "lock.mdb", "lifecycle.lock"):
        for path in example.rglob(name):
            path.unlink()
    with pronto_lmdb.open(example) as store:
        assert store["alice.research"]["plan"] == {"step": 1}
        store["alice.research"]["plan"] = 2
        store.create("fresh")


@pytest.mark.parametrize(
    ("text", "directory"), re.findall(r"^\| `(\S+?\.\S+?)` \| `(\S+?)` \|$", DOCUMENT, re.MULTILINE)
)
def test_a_directory_is_named_as_in_the_document(text: str, directory: str) -> None:
    assert str(Address.parse(text)) == text
    assert Address.parse(text).directory == directory


def test_an_environment_is_one_plain_database_of_lmdb_0_9(example: Path) -> None:
    with lmdb.open(str(example / "addresses" / "alice.research"), readonly=True, max_dbs=1) as environment:
        assert environment.lib_version()[:2] == (0, 9)
        with environment.begin() as transaction:
            flags = environment.open_db(None, txn=transaction, create=False).flags(transaction)
            assert not any(flags.values())


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every note that is put into meta/pending."""
    taken: list[dict[str, Any]] = []
    replace = os.replace

    def look(source: str, target: str) -> None:
        if os.path.basename(os.path.dirname(target)) == "pending":
            assert source == f"{target}.tmp"
            with open(source, encoding="utf-8") as file:
                taken.append(json.load(file))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    return taken


def steps(store: Store, disk: Path) -> Iterator[str]:
    """Yield the kinds of notes, each right after the operation that leaves one."""
    store.create("carol", path=disk / "carol")
    yield "create"
    store["bob"]["k"] = 1
    store.delete("bob")
    yield "delete"
    store.undelete("bob", to="dave")
    yield "undelete"
    store.rename("dave", "erin")
    yield "rename"


def test_notes_have_the_fields_of_the_document(
    root: Path, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, notes: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(os, "urandom", lambda size: bytes(range(size)))
    shown = {name.partition(".")[2]: json.loads(block) for name, block in blocks("json").items()}
    with pronto_lmdb.open(root) as store:
        for number, kind in enumerate(steps(store, tmp_path / "disk")):
            note = notes[number]
            assert note["operation"] == kind == shown[kind]["operation"]
            assert note.keys() == shown[kind].keys()
            for field, value in note.items():
                assert shape(value, root, tmp_path) == shape(shown[kind][field], root, tmp_path)
    assert sorted(shown) == ["create", "delete", "rename", "undelete"]


def shape(text: object, root: Path, tmp_path: Path) -> str:
    """Replace what may differ between the document and a test: the root, the disk, and the names of addresses."""
    if isinstance(text, int):
        return "a number"
    text = str(text).replace(str(root), "/data").replace(str(tmp_path), "")
    return re.sub(r"\b(alice|bob|carol|dave|erin)\b", "name", text)
