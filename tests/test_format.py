"""The bytes on disk, held equal to docs/format.md: its hex examples are read out of the document."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

import lmdb
import msgpack
import pytest
from conftest import REPOSITORY

import pronto_lmdb
from pronto_lmdb import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Clock

    from pronto_lmdb import Store

DOCUMENT = (REPOSITORY / "docs" / "format.md").read_text(encoding="utf-8")
GOLDEN = REPOSITORY / "tests" / "golden"
# The example of the document was made at this instant, with these random numbers.
NOW = 1_750_000_000_000_000
ID = "000102030405060708090a0b0c0d0e0f"
NEXT_ID = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
REGISTRY = "meta/registry"


def blocks(language: str) -> dict[str, str]:
    """Return the code blocks of one language in the document, by name."""
    return dict(re.findall(rf"^```{language} (\S+)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL))


def read_hex(block: str) -> bytes:
    """Return the bytes of an example: two digits each, up to two blanks and a remark on every line."""
    return bytes.fromhex(" ".join(line.partition("  ")[0] for line in block.splitlines()))


EXAMPLES = {name: read_hex(block) for name, block in blocks("hex").items()}


def documented(*names: str) -> dict[bytes, bytes]:
    return {EXAMPLES[f"{name}.key"]: EXAMPLES[f"{name}.value"] for name in names}


def entries(path: Path) -> dict[bytes, bytes]:
    """Return the entries of a directory with a data file, or of a base."""
    beside = path.is_dir()
    environment = lmdb.open(str(path), subdir=beside, lock=beside, readonly=True)
    with environment, environment.begin() as transaction:
        return {bytes(key): bytes(value) for key, value in transaction.cursor()}


def last_transaction(directory: Path) -> int:
    with lmdb.open(str(directory), readonly=True) as environment:
        return int(environment.info()["last_txnid"])


class Frame(NamedTuple):
    """A frame of a journal, split and decoded by the words of the document."""

    stored: bytes
    revision: int
    state: tuple[int, ...]  # status, level, generation, expiring, namespaces
    changes: list[tuple[bytes, bytes | None]]


def journal_of(directory: Path) -> Path:
    (journal,) = directory.glob("journal-*")
    return journal


def frames(journal: Path) -> list[Frame]:
    """Return the frames of a journal in which every checksum is right, and nothing but zeros lies behind them."""
    content, found = journal.read_bytes(), []
    at, covered = 96, content[:80]
    assert content[80:84] == crc32(covered).to_bytes(4, "big")
    while content[at : at + 4] == b"PFM1":
        length, revision = struct.unpack_from(">QQ", content, at + 4)
        end = at + 24 + length
        covered += content[at : at + 20] + content[at + 24 : end]
        assert content[at + 20 : at + 24] == crc32(covered).to_bytes(4, "big")
        unpacker = msgpack.Unpacker(use_list=False)
        unpacker.feed(content[at + 42 : end])
        changes = [change for piece in unpacker for change in piece]
        found.append(Frame(content[at:end], revision, struct.unpack_from(">BBIQI", content, at + 24), changes))
        at = end
    assert not any(content[at:])
    return found


def documented_reader() -> Callable[[Path], tuple[dict[bytes, bytes], int]]:
    """Return the program in the document that reads base and journal."""
    names: dict[str, Any] = {}
    exec(blocks("python")["entries"], names)
    reader: Callable[[Path], tuple[dict[bytes, bytes], int]] = names["entries"]
    return reader


def stated_revision(directory: Path) -> int:
    """Return the revision of the last commit: the stored one, and what LMDB has counted since."""
    state = entries(directory)[b"\0state"]
    (revision,), (transaction,) = struct.unpack_from(">Q", state, 8), struct.unpack_from(">Q", state, 64)
    return int(revision + last_transaction(directory) - transaction)


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


@pytest.fixture
def carol(root: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the keystore in the document that has a base."""
    monkeypatch.setattr(os, "urandom", lambda size: bytes(range(size)))
    with pronto_lmdb.open(root) as store:
        store.create("carol", durability="off")
        for number in range(2):
            store["carol"]["n"] = number
        monkeypatch.setattr(os, "urandom", lambda size: bytes(range(0xF0, 0xF0 + size)))
        store["carol"].sync()
    return root / "addresses" / "carol.default"


# -- the examples --------------------------------------------------------------------------------------------------


def test_the_document_shows_every_byte_of_a_keystore(example: Path) -> None:
    stored = entries(example / "addresses" / "alice.research")
    assert stored == documented("identity", "state", "plan", "lease", "expiry", "default")


def test_the_document_shows_every_byte_of_the_registry(example: Path) -> None:
    stored = entries(example / "meta" / "registry")
    state, identity = stored.pop(b"\0state"), stored.pop(b"\0identity")
    names = ("address", "other", "floor", "trash", "setting")
    assert stored == documented(*(f"registry.{name}" for name in names))
    assert state == EXAMPLES["registry.state.value"]
    assert msgpack.unpackb(identity) == {**msgpack.unpackb(EXAMPLES["identity.value"]), "address": ""}


def test_the_document_shows_the_journal_of_a_keystore(example: Path) -> None:
    journal = example / "addresses" / "alice.research" / f"journal-{ID}"
    assert journal.read_bytes()[:96] == EXAMPLES["journal.header"]
    written = frames(journal)
    assert written[2].stored == EXAMPLES["journal.lease"]
    assert [dict(frame.changes) for frame in written] == [
        documented("identity"), documented("plan"), documented("expiry", "lease"), documented("default")
    ]  # fmt: skip
    assert [frame.revision for frame in written] == [0, 1, 2, 3]
    assert [frame.state for frame in written] == [(1, 1, 1, *counters) for counters in ((0, 0), (0, 0), (1, 0), (1, 1))]
    assert 96 + sum(len(frame.stored) for frame in written) == 549


def test_the_document_shows_a_removed_entry(example: Path) -> None:
    with pronto_lmdb.open(example) as store:
        del store["alice.research"]["plan"]
    journal = journal_of(example / "addresses" / "alice.research")
    assert journal.read_bytes()[549:].rstrip(b"\0") == EXAMPLES["journal.delete"]
    assert frames(journal)[-1].changes == [(b"plan", None)]


def test_the_document_shows_a_checkpoint(carol: Path) -> None:
    assert entries(carol / "base")[b"\0state"] == EXAMPLES["checkpoint.state"]
    assert (carol / f"journal-{NEXT_ID}").read_bytes() == EXAMPLES["checkpoint.header"]


def test_the_document_shows_a_state_of_release_0_1() -> None:
    stored = entries(GOLDEN / "format-1" / "addresses" / "alice.research" / "data.mdb")
    assert stored[b"\0state"] == EXAMPLES["format1.state"]


def test_the_marker_names_the_boot_and_the_data_file(example: Path) -> None:
    directory = example / "addresses" / "alice.research"
    marker = (directory / "marker").read_text(encoding="ascii")
    pattern = blocks("regex")["marker"].removesuffix("\n")
    assert re.fullmatch(pattern, marker)
    file = (directory / "data.mdb").stat()
    assert marker.split()[1:3] == [str(file.st_dev), str(file.st_ino)]
    assert marker.split()[3:] == ["sealed", str(file.st_size), str(file.st_mtime_ns)]
    if os.path.exists("/proc/sys/kernel/random/boot_id"):
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot:
            assert marker.split()[0] == boot.read().strip()


def test_every_example_of_the_document_is_compared() -> None:
    pairs = {"identity", "state", "plan", "lease", "expiry", "default"}
    pairs |= {f"registry.{name}" for name in ("address", "other", "floor", "trash", "setting")}
    others = {"journal.header", "journal.lease", "journal.delete", "checkpoint.state", "checkpoint.header"}
    others |= {"registry.state.value", "format1.state"}
    assert EXAMPLES.keys() == others | {f"{name}.{part}" for name in pairs for part in ("key", "value")}
    assert blocks("regex").keys() == {"marker"}
    assert blocks("python").keys() == {"entries"}


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
    fields = struct.unpack(">BBBBIQQI16sQIQQ", EXAMPLES["state.value"])
    # version, status, level, name on the disk; generation, revision, expiring, defaults; then the journal
    assert fields[:4] == (2, 1, 1, 1)
    assert fields[4:8] == (1, 3, 1, 1)
    assert fields[8:] == (bytes.fromhex(ID), 549, 0xE349AA9B, 2**20, 5)


def test_the_state_of_a_checkpoint_decodes() -> None:
    fields = struct.unpack(">BBBBIQQI16sQIQQ16sQI", EXAMPLES["checkpoint.state"])
    journal, end, checksum = fields[8:11]
    assert fields[:8] == (2, 1, 3, 1, 1, 2, 0, 0)
    assert (journal.hex(), end, checksum) == (NEXT_ID, 96, crc32(EXAMPLES["checkpoint.header"][:80]))
    assert fields[13:15] == (bytes.fromhex(ID), 295)


@pytest.mark.parametrize("example", ["registry.state.value", "format1.state"])
def test_a_state_of_version_1_begins_like_one_of_version_2(example: str) -> None:
    version, status, level, anchored, generation, *_ = struct.unpack(">BBBBIQQI", EXAMPLES[example])
    assert (version, status, level, anchored, generation) == (1, 1, 0, 0, 1)


@pytest.mark.parametrize(("example", "flags", "revision"), [("journal", 1, 0), ("checkpoint", 0, 2)])
def test_the_header_of_a_journal_decodes(example: str, flags: int, revision: int) -> None:
    header = EXAMPLES[f"{example}.header"]
    journal = {"journal": ID, "checkpoint": NEXT_ID}[example]
    ids = bytes.fromhex(journal), bytes.fromhex(ID)
    assert struct.unpack(">8sHH16s16s28sQI", header[:84]) == (
        b"PrntJrnl", 1, flags, *ids, bytes(28), revision, crc32(header[:80])
    )  # fmt: skip
    assert header[84:] == bytes(12)


def test_a_frame_decodes() -> None:
    frame = EXAMPLES["journal.lease"]
    magic, length, revision, _ = struct.unpack_from(">4sQQI", frame)
    assert (magic, length, revision) == (b"PFM1", len(frame) - 24, 2)
    assert struct.unpack_from(">BBIQI", frame, 24) == (1, 1, 1, 1, 0)
    expiry, lease = msgpack.unpackb(frame[42:])
    assert expiry == [EXAMPLES["expiry.key"], b""]
    assert lease == [b"lease", EXAMPLES["lease.value"]]


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
    assert stored[b"\0state"][:8] == bytes([2, 2, 1, 0, 0, 0, 0, 2])
    assert msgpack.unpackb(stored[b"\0identity"])["deleted_at"] == NOW


def test_the_files_are_those_of_the_document(example: Path) -> None:
    keystores = ["addresses/alice.research", "addresses/zo=c3=ab.default", f"trash/{NOW}-{ID[:8]}"]
    lmdb_files = {f"{place}/{name}" for place in [*keystores, REGISTRY] for name in ("data.mdb", "lock.mdb", "lock")}
    journals = {f"{place}/{name}" for place in keystores for name in (f"journal-{ID}", "marker")}
    others = {
        f"{REGISTRY}/seal",
        "meta/reserve",
        "addresses",
        "trash",
        "meta",
        "meta/lifecycle.lock",
        "meta/pending",
        "meta/places",
    }
    found = {str(path.relative_to(example)) for path in example.rglob("*")}
    assert found == {*keystores, REGISTRY, *lmdb_files, *journals, *others}
    assert all(path.stat().st_size == 0 for path in example.rglob("lock"))


def test_a_checkpoint_leaves_a_base_and_one_journal(carol: Path) -> None:
    names = {path.name for path in carol.iterdir()}
    assert names == {"base", f"journal-{NEXT_ID}", "data.mdb", "lock.mdb", "lock", "marker"}
    state = entries(carol)[b"\0state"]
    assert state[:64] == EXAMPLES["checkpoint.state"][:64]
    assert len(state) == 72


@pytest.mark.parametrize("level", ["full", "normal", "off"])
def test_revision_and_position_follow_from_a_state_that_is_older(root: Path, level: str) -> None:
    with pronto_lmdb.open(root) as store:
        store.create("a", durability=level)
        for number in range(100):
            store["a"]["k"] = number
            with store["a"].transaction() as transaction:
                transaction["l"] = number
        assert store["a"].stats().revision == 200
    directory = root / "addresses" / "a.default"
    assert stated_revision(directory) == 200
    state, written = entries(directory)[b"\0state"], frames(journal_of(directory))
    (stored,), (position,) = struct.unpack_from(">Q", state, 8), struct.unpack_from(">Q", state, 44)
    known = [frame for frame in written if frame.revision <= stored]
    assert position == 96 + sum(len(frame.stored) for frame in known)
    assert len(written) - len(known) == (0 if level == "off" else 200 - stored)


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


def test_the_store_opens_without_what_carries_no_data(example: Path) -> None:
    for name in ("lock", "lock.mdb", "lifecycle.lock", "marker", "data.mdb"):
        for path in example.rglob(name):
            if name != "data.mdb" or path.parent.name != "registry":
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
            flags = environment.open_db(None, txn=transaction, create=False).flags()
            assert not any(flags.values())


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every note that is put into meta/pending."""
    taken: list[dict[str, Any]] = []
    replace = os.replace

    def look(source: str, target: str, **inside: int) -> None:
        if os.path.basename(os.path.dirname(target)) == "pending":
            assert source == f"{target}.tmp"
            with open(source, encoding="utf-8") as file:
                taken.append(json.load(file))
        replace(source, target, **inside)

    monkeypatch.setattr(os, "replace", look)
    return taken


def steps(store: Store, disk: Path) -> Iterator[str]:
    """Yield the kinds of notes, each right after the operation that leaves one."""
    store.create("carol", path=disk / "carol")
    yield "create"
    store["bob"]["k"] = 1
    store.set_durability("bob", "normal")
    yield "level"
    store.set_quota("bob", 10**6)
    yield "quota"
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
    assert sorted(shown) == ["create", "delete", "level", "quota", "rename", "replace", "undelete"]


def test_the_note_of_a_replacement_has_the_fields_of_the_document(store: Store, notes: list[dict[str, Any]]) -> None:
    shown = json.loads(blocks("json")["note.replace"])
    store["alice"]["k"] = 1
    store["bob"]["k"] = 2
    replaced = store.info("bob").id
    store.copy("alice", "bob", overwrite=True)
    (note,) = notes
    assert note.keys() == shown.keys()
    assert (note["operation"], note["address"], note["replaced"]) == ("replace", "bob.default", replaced)
    assert note["id"] == store.info("bob").id == os.path.basename(note["built"])
    assert note["home"] == str(store.info("bob").path)
    assert [note["trash"]] == [str(item.path) for item in store.trash()]
    assert {name: type(value) for name, value in note.items()} == {name: type(value) for name, value in shown.items()}


def shape(text: object, root: Path, tmp_path: Path) -> str:
    """Replace what may differ between the document and a test: the root, the disk, and the names of addresses."""
    if isinstance(text, int):
        return "a number"
    text = str(text).replace(str(root), "/data").replace(str(tmp_path), "")
    return re.sub(r"\b(alice|bob|carol|dave|erin)\b", "name", text)


# -- what a recovery reads -----------------------------------------------------------------------------------------


@pytest.fixture
def written(root: Path, clock: Clock) -> Path:
    """The directory of a closed keystore with a base and a journal of its own: a = 1 in the one, b = 2 in the other."""
    with pronto_lmdb.open(root) as store:
        store.create("a", durability="off")
        store["a"]["a"] = 1
        store.set_durability("a", "full")  # makes a checkpoint
        store["a"]["b"] = 2
        store["a"]["c"] = 3
        store["a"]["a"] = 4
    return root / "addresses" / "a.default"


def test_what_was_not_finished_is_removed(root: Path, written: Path) -> None:
    before = {path.name for path in written.iterdir()}
    unfinished = ["base.tmp", "journal.tmp", "marker.tmp", f"journal-{ID}"]
    for directory in ("rebuild", "next"):
        (written / directory).mkdir()
        unfinished += [f"{directory}/data.mdb", f"{directory}/lock.mdb", f"{directory}/marker"]
    for name in unfinished:
        (written / name).write_bytes(b"torn")
    (written / "marker").unlink()
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"a": 4, "b": 2, "c": 3}
    assert {path.name for path in written.iterdir()} == before


def test_a_damaged_frame_ends_the_journal(root: Path, written: Path) -> None:
    journal = journal_of(written)
    changed = frames(journal)
    assert [list(dict(frame.changes)) for frame in changed[1:]] == [[b"b"], [b"c"], [b"a"]]
    whole = changed[0].stored + changed[1].stored
    content = bytearray(journal.read_bytes())
    content[96 + len(whole) + 50] ^= 1
    journal.write_bytes(content)
    assert documented_reader()(written)[1] == changed[1].revision
    (written / "marker").unlink()
    with pronto_lmdb.open(root) as store:
        assert dict(store["a"]) == {"a": 1, "b": 2}
    assert journal.read_bytes() == bytes(content[: 96 + len(whole)])


def test_a_spoiled_journal_is_replaced_by_the_next_writer(root: Path, written: Path) -> None:
    journal, base = journal_of(written), (written / "base").read_bytes()
    content = bytearray(journal.read_bytes())
    content[84] = 1
    journal.write_bytes(content)
    with pronto_lmdb.open(root) as store:
        assert store["a"]["c"] == 3
        assert (written / "base").read_bytes() == base
        store["a"]["c"] = 5
    assert journal_of(written) != journal
    assert documented_reader()(written)[0][b"c"][17:] == b"\5"


# -- read by another program ---------------------------------------------------------------------------------------


def without_state(stored: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {name: value for name, value in stored.items() if name != b"\0state"}


@pytest.mark.parametrize("place", ["addresses/alice.research", "addresses/zo=c3=ab.default", f"trash/{NOW}-{ID[:8]}"])
def test_the_program_of_the_document_reads_a_keystore(example: Path, place: str) -> None:
    assert documented_reader()(example / place) == (
        without_state(entries(example / place)),
        stated_revision(example / place),
    )


def test_the_program_of_the_document_reads_base_and_journal(written: Path) -> None:
    assert (written / "base").exists()
    assert documented_reader()(written) == (without_state(entries(written)), stated_revision(written))


def test_the_program_of_the_document_reads_beside_a_writer(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        for number in range(10):
            store["a"].update({f"k{index}": number for index in range(5000)})
            found, revision = documented_reader()(root / "addresses" / "a.default")
            assert (len(found), revision) == (5001, number + 1)
            assert found[b"k17"][17:] == bytes([number])


# -- what released versions wrote ----------------------------------------------------------------------------------


@pytest.fixture(params=["format-1", "format-2"])
def golden(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Path:
    """A copy of a store as it was written in one format; tests/golden/README.md says what is in it."""
    clock.advance(1)
    return shutil.copytree(GOLDEN / str(request.param), tmp_path / "golden")


def test_a_golden_store_is_what_it_was(golden: Path) -> None:
    with pronto_lmdb.open(golden) as store:
        assert [str(info.address) for info in store.addresses()] == ["alice.research"]
        info, keystore = store.info("alice.research"), store["alice.research"]
        assert (info.created_at, info.labels) == (datetime(2025, 6, 15, 15, 6, 40, tzinfo=UTC), {"team": "x"})
        assert keystore.stats()[:3] == (6, 0, 6)  # records, expired, revision
        assert dict(keystore.items()) == {
            "facts.bytes": b"\0\xff",
            "facts.numbers": [0, -1, 2**63, 1.5],
            "facts.text": "zoë",
            "facts.when": datetime(2025, 6, 15, tzinfo=UTC),
            "lease": "w7",
            "plan": {"step": 2},
        }
        assert [keystore.entry(key).revision for key in ("lease", "facts.text", "plan")] == [2, 4, 5]
        assert (keystore.ttl("lease"), keystore.namespace_ttls()) == (29.0, {"sessions.cache": 3600.0})
        assert dict(store.config) == {"timeout": "3"}


def test_a_golden_store_goes_on(golden: Path) -> None:
    with pronto_lmdb.open(golden) as store:
        store["alice.research"]["plan"] = 3
        store.undelete("bob")
        assert store["bob"].increment("k") == 2
        assert (store["alice.research"].revision, store["bob"].entry("k").revision) == (7, 4)
    for name in ("alice.research", "bob.default"):
        directory = golden / "addresses" / name
        stored = entries(directory)
        assert (stored[b"\0state"][0], len(stored[b"\0state"])) == (2, 72)
        assert documented_reader()(directory) == (without_state(stored), stated_revision(directory))
        (directory / "data.mdb").unlink()
    with pronto_lmdb.open(golden) as store:
        assert (store["alice.research"]["plan"], store["bob"]["k"]) == (3, 2)


def test_the_golden_stores_have_the_files_of_their_formats() -> None:
    files = {path.relative_to(GOLDEN).parts for path in GOLDEN.rglob("*") if path.is_file()}
    kinds = {(parts[0], parts[1], parts[-1].partition("-")[0]) for parts in files if len(parts) > 1}
    assert kinds == {
        *(("format-1", place, "data.mdb") for place in ("addresses", "meta", "trash")),
        *(("format-2", place, name) for place, name in [("addresses", "base"), ("addresses", "journal")]),
        *(("format-2", place, name) for place, name in [("meta", "data.mdb"), ("trash", "journal")]),
    }
    found, revision = documented_reader()(GOLDEN / "format-2" / "addresses" / "alice.research")
    assert (msgpack.unpackb(found[b"\0identity"])["durability"], revision) == ("normal", 6)
    base = entries(GOLDEN / "format-2" / "addresses" / "alice.research" / "base")
    assert (base[b"\0state"][0], base[b"\0state"][2], len(base[b"\0state"])) == (2, 2, 100)
    assert found != without_state(base)
