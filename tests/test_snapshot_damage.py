"""One damaged byte anywhere in a snapshot is found; hostile manifests, data files and archives are refused."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
import zlib
from hashlib import sha256
from time import time_ns

import pytest
from msgpack import packb

import pronto_lmdb
from pronto_lmdb import Address, AddressNotFoundError, FormatVersionError, SnapshotError
from pronto_lmdb.content import write_content
from pronto_lmdb.identity import Identity, State
from pronto_lmdb.journal_format import HEADER_SIZE, Header, encode_frame
from pronto_lmdb.record import IDENTITY, STATE, encode_record, expiry_entry
from pronto_lmdb.snapshots import read_manifest


def contents(store):
    return {str(info.address): dict(store[info.address].items()) for info in store.addresses()}


@pytest.fixture
def taken(store):
    """A store with a small snapshot, and something else in it since."""
    store["a"]["k"] = "old"
    snapshot = store.backup()
    store["a"]["k"] = "new"
    return snapshot


def refused(store, snapshot, addresses=None):
    """Tell whether a restore is refused, and leaves everything as it was."""
    before = contents(store)
    try:
        store.restore(snapshot, addresses, overwrite=True)
    except (SnapshotError, AddressNotFoundError):
        assert contents(store) == before
        assert store.trash() == []
        assert os.listdir(os.path.join(store.path, "meta", "pending")) == []
        return True
    return False


@pytest.mark.parametrize("name", ["a.default.journal", "manifest.json"])
def test_one_damaged_byte_anywhere_is_found_and_refused(store, taken, name):
    path = taken.path / name
    whole = path.read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        report = store.verify(taken)
        assert not report.ok, at
        assert report.problems, at
        assert refused(store, taken), at
    path.write_bytes(whole)
    assert store.verify(taken).ok


@pytest.mark.parametrize("name", ["a.default.journal", "manifest.json"])
def test_a_file_that_is_cut_anywhere_is_found_and_refused(store, taken, name):
    path = taken.path / name
    whole = path.read_bytes()
    for size in [*range(0, len(whole), 7), len(whole) + 1]:
        path.write_bytes((whole + b"\0")[:size])
        try:
            assert not store.verify(taken).ok, size
        except SnapshotError:
            assert name == "manifest.json"
        assert refused(store, taken), size


@pytest.mark.parametrize("kind", ["missing", "link", "directory", "pipe"])
@pytest.mark.parametrize("name", ["a.default.journal", "manifest.json"])
def test_what_is_no_plain_file_is_refused(store, taken, tmp_path, name, kind):
    path = taken.path / name
    moved = tmp_path / "moved"
    path.rename(moved)
    if kind == "link":
        path.symlink_to(moved)
    elif kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    if name == "manifest.json":
        with pytest.raises(SnapshotError):
            store.verify(taken.id)
    else:
        assert not store.verify(taken.id).ok
    assert refused(store, taken.id)


def test_a_link_in_the_place_of_a_snapshot_is_none(store, taken, tmp_path):
    moved = tmp_path / "moved"
    taken.path.rename(moved)
    taken.path.symlink_to(moved)
    assert store.snapshots() == []
    with pytest.raises(SnapshotError):
        store.restore(taken.id, overwrite=True)


def newer(path):
    """Let a manifest be of a form that this release does not know."""
    begin, _, _ = path.read_bytes().replace(b'{"format": 1,', b'{"format": 2,').rpartition(b'"checksum"')
    path.write_bytes(begin + b'"checksum": "%b"}\n' % sha256(begin).hexdigest().encode())


@pytest.mark.parametrize(
    ("spoil", "kind", "problem", "hint"),
    [
        (lambda path: path.unlink(), SnapshotError, "has no manifest", "delete the directory"),
        (lambda path: path.write_bytes(b""), SnapshotError, "is no manifest", "delete the directory"),
        (lambda path: os.truncate(path, 200), SnapshotError, "is damaged", "delete the directory"),
        (newer, FormatVersionError, "format version 2", "newer"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_told_of_and_hides_no_other(store, taken, spoil, kind, problem, hint):
    last = store.backup()
    spoil(taken.path / "manifest.json")
    found = []
    assert store.snapshots(unreadable=found.append) == store.snapshots() == [last]
    (told,) = found
    assert (told.id, told.path) == (taken.id, taken.path)
    assert problem in told.problem
    assert hint in told.hint
    for verb in (store.snapshot, store.contents, store.restore):
        with pytest.raises(kind):
            verb(taken.id)


def test_a_snapshot_that_somebody_removes_meanwhile_is_not_told_of(store, taken, monkeypatch):
    def removed(path):
        shutil.rmtree(path)
        return read_manifest(path)

    monkeypatch.setattr("pronto_lmdb.snapshots.read_manifest", removed)
    found = []
    assert store.snapshots(unreadable=found.append) == found == []


def test_the_manifest_of_another_snapshot_is_none_of_this_one(store, taken):
    other = store.backup()
    (taken.path / "manifest.json").write_bytes((other.path / "manifest.json").read_bytes())
    assert store.snapshots() == [other]
    assert not store.verify(taken.id).ok
    assert refused(store, taken.id)
    assert store.prune(keep_last=1).removed == []


def test_a_snapshot_whose_directory_has_another_name_is_one(store, taken, tmp_path):
    store.restore(taken.path.rename(tmp_path / "nightly"), overwrite=True)
    assert store["a"]["k"] == "old"


@pytest.mark.parametrize("content", [b"\xec\xff", b"\0", b"", b"x" * 9000])
def test_a_note_of_a_snapshot_elsewhere_that_is_damaged_names_none(store, tmp_path, content):
    store["a"]["k"] = 1
    snapshot = store.backup(dest=tmp_path / "elsewhere")
    note = os.path.join(store.path, "snapshots", snapshot.id)
    with open(note, "wb") as file:
        file.write(content)
    for verb in (store.snapshot, store.verify, store.restore):
        with pytest.raises(SnapshotError):
            verb(snapshot.id)


def test_a_new_snapshot_shares_nothing_with_a_link(store, taken, tmp_path):
    store.restore(taken, overwrite=True)
    before = store.backup()
    path = before.path / "a.default.journal"
    moved = path.rename(tmp_path / "moved")
    # A path as long as the file: the size of a link is that of its path.
    os.symlink("/" * (moved.stat().st_size - len(str(moved))) + str(moved), path)
    assert path.lstat().st_size == moved.stat().st_size
    after = store.backup()
    assert not (after.path / "a.default.journal").is_symlink()
    assert store.verify(after).ok


def test_damage_of_one_address_does_not_hide_the_others(store):
    for name in "abc":
        store[name]["k"] = 1
    snapshot = store.backup()
    (snapshot.path / "b.default.journal").write_bytes(b"")
    assert [str(problem.address) for problem in store.verify(snapshot).problems] == ["b.default"]
    assert refused(store, snapshot)
    store.restore(snapshot, ["a", "c"], overwrite=True)


# -- manifests with a checksum that fits -------------------------------------------------------------------------------


def sealed(text):
    content = text.encode("utf-8", "surrogatepass")
    return content + b'"checksum": "' + sha256(content).hexdigest().encode() + b'"}\n'


def rewrite(snapshot, head=None, entry=None, entries=None):
    """Write the manifest of a snapshot anew, with some fields changed and a checksum that fits."""
    path = snapshot.path / "manifest.json"
    fields = json.loads(path.read_bytes())
    addresses = fields.pop("addresses")
    del fields["checksum"]
    fields.update(head or {})
    addresses[0].update(entry or {})
    if entries is not None:
        addresses = entries(addresses)
    lines = ",\n".join(map(json.dumps, addresses))
    path.write_bytes(sealed(json.dumps(fields)[:-1] + ', "addresses": [\n' + lines + "\n],\n"))


def test_a_manifest_written_anew_is_read(store, taken):
    rewrite(taken)
    assert store.verify(taken, deep=True).ok
    store.restore(taken, overwrite=True)
    assert store["a"]["k"] == "old"


@pytest.mark.parametrize(
    "entry",
    [
        {"address": "../../etc.passwd"},
        {"address": "a"},
        {"address": "b.default"},
        {"address": 7},
        {"address": None},
        {"id": "xyz"},
        {"id": ["a"]},
        {"revision": -1},
        {"revision": 2**64},
        {"revision": 1.0},
        {"revision": True},
        {"generation": 2**32},
        {"records": 2},
        {"bytes": 2**62},
        {"bytes": -1},
        {"bytes": 0},
        {"bytes": HEADER_SIZE},
        {"checksum": "0" * 64},
        {"checksum": None},
        {"durability": "never"},
        {"durability": ["full"]},
        {"max_bytes": 1},
        {"max_bytes": 2**62},
        {"labels": []},
        {"labels": {"a": 1}},
        {"view": "x"},
        {"file": "/etc/passwd"},
    ],
)
def test_a_hostile_entry_is_refused(store, taken, entry):
    rewrite(taken, entry=entry)
    try:
        assert not store.verify(taken).ok
    except SnapshotError:
        assert "address" in entry
    assert refused(store, taken)
    assert refused(store, taken, "a")


@pytest.mark.parametrize(
    ("seconds", "entry"),
    [
        *(
            (0, entry)
            for entry in ({"view": None}, {"view": 7}, {"bytes": "x"}, {"labels": 7}, {"records": -1}, {"file": 1})
        ),
        # What was left alone for long keeps its line as it is: this has to be known to be that.
        *((10, entry) for entry in ({"view": None}, {"view": 7}, {"bytes": "x"}, {"bytes": None})),
    ],
)
def test_a_hostile_entry_of_the_snapshot_before_is_not_taken_over(store, entry, seconds, monkeypatch):
    monkeypatch.setattr("pronto_lmdb.fingerprint.time_ns", lambda: time_ns() + seconds * 1_000_000_000)
    store["a"]["k"] = 1
    rewrite(store.backup(), entry=entry)
    assert store.verify(store.backup(), deep=True).ok


@pytest.mark.parametrize(
    "head",
    [
        {"id": 7},
        {"created_at": "now"},
        {"created_at": 10**30},
        {"label": []},
        {"tool": None},
        {"more": 1},
        {"format": 0},
        {"format": "1"},
        {"format": None},
    ],
)
def test_a_hostile_head_is_refused(store, taken, head):
    rewrite(taken, head=head)
    with pytest.raises((SnapshotError, FormatVersionError)):
        store.verify(taken)
    with pytest.raises((SnapshotError, FormatVersionError)):
        store.restore(taken, overwrite=True)
    assert store["a"]["k"] == "new"


def test_a_manifest_of_a_newer_release_is_refused(store, taken):
    rewrite(taken, head={"format": 2})
    with pytest.raises(FormatVersionError):
        store.restore(taken, overwrite=True)


def test_an_address_that_is_listed_twice_is_refused(store, taken):
    rewrite(taken, entries=lambda entries: entries * 2)
    with pytest.raises(SnapshotError):
        store.restore(taken, overwrite=True)


# -- one line of many --------------------------------------------------------------------------------------------------


@pytest.fixture
def many(store):
    """A snapshot of a store with some addresses, of which each holds its name."""
    for name in "abcde":
        store[name]["k"] = name
    return store.backup()


def test_only_the_line_of_what_is_restored_must_be_right(store, many):
    rewrite(many, entry={"id": "xyz"})
    assert refused(store, many)
    assert refused(store, many, ["a"])
    assert refused(store, many, ["a", "c"])
    assert not refused(store, many, ["b", "e"])
    assert [str(problem.address) for problem in store.verify(many).problems] == ["a.default"]
    with pytest.raises(SnapshotError):
        store.contents(many)


@pytest.mark.parametrize(
    ("entries", "wrong"),
    [
        (lambda a, b, c, d, e: [a, b, c, c, d, e], "c"),
        (lambda a, b, c, d, e: [a, c, b, d, e], "bc"),
        (lambda a, b, c, d, e: [e, d, c, b, a], "abcde"),
        (lambda a, b, c, d, e: [a, b, {**a, "x": c}, d, e], "c"),
        (lambda a, b, c, d, e: [a, b, "c.default", d, e], "c"),
        (lambda a, b, c, d, e: [a, b, {**c, "address": ["c.default"]}, d, e], "c"),
        (lambda a, b, c, d, e: [a, b, {**c, "address": "\udc80"}, d, e], "c"),
    ],
)
def test_what_is_not_in_its_place_is_not_restored(store, many, entries, wrong):
    rewrite(many, entries=lambda given: entries(*given))
    for name in wrong:
        assert refused(store, many, name), name
    assert refused(store, many)
    with pytest.raises(SnapshotError):
        store.contents(many)


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        (b'{"address": "c.default", ', b'{"address": "c.default", "address": "b.default", '),
        (b'{"address": "c.default", ', b'{"address": "c.default",\n'),
        (b'{"address": "c.default", ', b'{"address": "c.default'),
        (b'{"address": "c.default", ', b'{"address": "c.default", \xff'),
        (b'{"address": "c.default", ', b'{"address": "c.default"}, {'),
        (b',\n{"address": "c.default", ', b' {"address": "c.default", '),
        (b'{"address": "c.default", ', b"[" * 100_000),
    ],
)
def test_a_line_that_is_none_is_refused(store, many, given, instead):
    path = many.path / "manifest.json"
    begin, _, _ = path.read_bytes().replace(given, instead).rpartition(b'"checksum"')
    path.write_bytes(begin + b'"checksum": "%b"}\n' % sha256(begin).hexdigest().encode())
    assert refused(store, many, "c")
    assert refused(store, many)
    with pytest.raises(SnapshotError):
        store.contents(many)
    assert store.verify(store.backup(), deep=True).ok


def test_an_address_is_found_however_its_line_is_written(store):
    names = ["a", 'a"b', "é", "日本", "😀", "z"]
    for name in names:
        store[Address(name)]["k"] = name
    snapshot = store.backup()
    store.restore(snapshot, [Address(name) for name in names], overwrite=True)
    # With escapes for everything but ASCII, and another field first.
    rewrite(snapshot, entries=lambda entries: [dict(reversed(entry.items())) for entry in entries])
    for name in names:
        store.restore(snapshot, Address(name), to="copy", overwrite=True)
        assert store["copy"]["k"] == name
    assert store.verify(snapshot, deep=True).ok


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\0" * 1000,
        sealed("[" * 100_000),
        sealed('{"format": 1, "addresses": [\n]],\n'),
        sealed('{"format": ' + "9" * 10_000 + ', "addresses": [\n\n],\n'),
        sealed('{"format": 1, "addresses": [\n"a"\n],\n'),
        sealed('{"format": 1, "addresses": {},\n'),
        sealed('{"format": 1, "id": "\udc80", "addresses": [\n\n],\n'),
        sealed("[1, 2,\n"),
    ],
)
def test_what_is_no_manifest_is_refused(store, taken, content):
    (taken.path / "manifest.json").write_bytes(content)
    with pytest.raises(SnapshotError):
        store.verify(taken)
    assert refused(store, taken)
    assert store.snapshots() == []


# -- data files with a checksum that fits ------------------------------------------------------------------------------


def replace_data(snapshot, content):
    (snapshot.path / "a.default.journal").write_bytes(content)
    rewrite(snapshot, entry={"bytes": len(content), "checksum": sha256(content).hexdigest()})


def data_of(tmp_path, entries, expiring=0):
    state = State(revision=1, expiring=expiring)
    path = tmp_path / "data"
    with path.open("wb") as file:
        write_content(file.fileno(), bytes(16), state, entries)
    return path.read_bytes()


RECORD = encode_record(packb(1), 1, 1, None)


@pytest.mark.parametrize(
    ("entries", "expiring"),
    [
        ([(b"k" * 600, RECORD)], 0),
        ([(b"", RECORD)], 0),
        ([(STATE, b"state")], 0),
        ([(b"\0unknown", b"")], 0),
        ([(b"k", b"")], 0),
        ([(b"k", b"\x10")], 0),
        ([(b"k", b"\x99" * 20)], 0),
        ([(b"k", RECORD + b"\xc1")], 0),
        ([(b"k", RECORD[:17] + b"\xdd\xff\xff\xff\xff")], 0),
        ([(b"\xff", RECORD)], 0),
        ([(b"k", encode_record(packb(1), 2**60, 1, None))], 0),
        ([(b"k", RECORD)], 5),
        ([(expiry_entry(5, b"k"), b""), (b"k", RECORD)], 1),
        ([(b"k", encode_record(packb(1), 1, 1, 10**15))], 0),
    ],
)
def test_hostile_entries_are_refused(store, taken, tmp_path, entries, expiring):
    replace_data(taken, data_of(tmp_path, entries, expiring))
    assert not store.verify(taken, deep=True).ok
    assert refused(store, taken)


def test_entries_that_are_as_they_should_be_are_taken(store, taken, tmp_path):
    identity = (IDENTITY, Identity("somebody.else").encode())
    replace_data(taken, data_of(tmp_path, [identity, (b"k", RECORD)]))
    assert store.verify(taken, deep=True).ok
    store.restore(taken, overwrite=True)
    assert dict(store["a"].items()) == {"k": 1}
    assert store.check(deep=True).ok


@pytest.mark.parametrize(
    "changes",
    [
        packb([(b"k", None)]),
        packb([("k", "v")]),
        packb([(b"k",)]),
        packb([b"kv"]),
        packb([1]),
        packb({b"k": RECORD}),
        packb(5),
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc1",
        b"\x92" * 2000,
    ],
)
def test_hostile_frames_are_refused(store, taken, changes):
    header = Header(bytes(16), bytes(16), 1, genesis=True)
    state = State(revision=1)
    (frame,), _ = encode_frame(header.checksum(), state, [])
    empty = packb([])
    head, fixed = frame[: -len(empty)], frame[24 : -len(empty)]
    from struct import pack
    from zlib import crc32

    payload = fixed + changes
    begin = pack(">IQQ", int.from_bytes(head[:4], "big"), len(payload), 1)
    checksum = crc32(payload, crc32(begin, header.checksum()))
    replace_data(taken, header.encode() + begin + checksum.to_bytes(4, "big") + payload)
    assert not store.verify(taken).ok
    assert refused(store, taken)


# -- archives ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def members(store, taken, tmp_path):
    """What an archive of the snapshot holds, as (head, content)."""
    file = tmp_path / "good.tar.gz"
    store.backup(archive=file)
    with tarfile.open(file) as archive:
        return [(head, archive.extractfile(head).read()) for head in archive]


def packed(members, path):
    with tarfile.open(path, "w:gz", format=tarfile.USTAR_FORMAT) as archive:
        for head, content in members:
            archive.addfile(head, io.BytesIO(content))
    # The trailer without the padding of records.
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).rstrip(b"\0").ljust(1, b"\0")))
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw + bytes(-len(raw) % 512) + bytes(1024)))
    return path


def test_an_archive_packed_anew_is_read(store, members, tmp_path):
    file = packed(members, tmp_path / "again.tar.gz")
    assert store.verify(file, deep=True).ok


def renamed(name):
    def change(members):
        members[1][0].name = name
        return members

    return change


def typed(kind):
    def change(members):
        members[1][0].type = kind
        members[1][0].linkname = "/etc/passwd"
        members[1][0].size = 0
        return [members[0], (members[1][0], b"")]

    return change


def sized(size):
    def change(members):
        members[1][0].size = size
        return members

    return change


HOSTILE = {
    "traversal": renamed("../../../../tmp/evil"),
    "absolute": renamed("/tmp/evil"),
    "another name": renamed("x/a.default.journal"),
    "symlink": typed(tarfile.SYMTYPE),
    "hard link": typed(tarfile.LNKTYPE),
    "device": typed(tarfile.CHRTYPE),
    "pipe": typed(tarfile.FIFOTYPE),
    "directory": typed(tarfile.DIRTYPE),
    "too small": sized(0),
    "twice": lambda members: [*members, members[1]],
    "manifest only": lambda members: members[:1],
    "no manifest": lambda members: members[1:],
    "manifest last": lambda members: members[::-1],
    "nothing": lambda members: [],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_refused(store, members, tmp_path, kind):
    file = packed(HOSTILE[kind](members), tmp_path / "hostile.tar.gz")
    try:
        assert not store.verify(file).ok
    except SnapshotError:
        assert kind in ("no manifest", "manifest last", "nothing")
    assert refused(store, file)
    assert not os.path.exists("/tmp/evil")


def test_a_member_that_claims_to_be_huge_is_refused(store, members, tmp_path):
    raw = b"".join(head.tobuf() + content.ljust(-len(content) % 512 + len(content), b"\0") for head, content in members)
    huge = tarfile.TarInfo(members[0][0].name)
    huge.size = 2**40
    file = tmp_path / "huge.tar.gz"
    file.write_bytes(gzip.compress(huge.tobuf(tarfile.GNU_FORMAT) + raw))
    assert refused(store, file)


@pytest.mark.parametrize("content", [b"", b"text", b"\x1f\x8b", gzip.compress(b"text" * 500)])
def test_what_is_no_archive_is_refused(store, taken, tmp_path, content):
    file = tmp_path / "none.tar.gz"
    file.write_bytes(content)
    assert refused(store, file)


def is_found(store, file):
    """Tell whether a look finds damage, or no archive of a snapshot at all."""
    try:
        return not store.verify(file).ok
    except SnapshotError:
        return True


def test_one_damaged_byte_of_an_archive_is_found(store, taken, tmp_path):
    file = tmp_path / "a.tar.gz"
    store.backup(archive=file)
    whole = file.read_bytes()
    # The head of gzip holds flags and times that mean nothing for the content.
    hits = 0
    for at in range(10, len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        file.write_bytes(damaged)
        try:
            unharmed = gzip.decompress(damaged) == gzip.decompress(whole)
        except (OSError, EOFError, ValueError, zlib.error):
            unharmed = False
        # Behind the last bit of the content some may be left in its byte.
        assert unharmed or is_found(store, file), at
        assert unharmed or refused(store, file), at
        hits += not unharmed
    assert hits > len(whole) - 16


def test_an_archive_that_is_cut_is_refused(store, taken, tmp_path):
    file = tmp_path / "a.tar.gz"
    store.backup(archive=file)
    whole = file.read_bytes()
    for size in range(0, len(whole), 13):
        file.write_bytes(whole[:size])
        assert refused(store, file), size


def test_a_store_is_no_snapshot(store, taken, tmp_path):
    with pytest.raises(SnapshotError):
        store.restore(store.path)
    with pronto_lmdb.open(tmp_path / "empty") as other, pytest.raises(SnapshotError):
        other.restore(tmp_path)
