"""`backup ...`, `restore`, `address copy`."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import pytest

from pronto_lmdb.manifest import Manifest


@pytest.fixture
def filled(store):
    store["alice.research"].update({"plan": {"step": 1}, "hits": 3})
    store["bob"]["k"] = "v"
    return store


@pytest.fixture
def taken(filled, ok):
    """The id of a snapshot of everything."""
    (line,) = ok("backup", "-q").lines
    return line


def test_backup_prints_the_id(filled, pronto):
    done = pronto("backup", "--label", "nightly")
    (snapshot,) = filled.snapshots()
    assert (done.code, done.text) == (0, f"{snapshot.id}\n")
    assert snapshot.label == "nightly"
    assert done.err == f"2 addresses, 3 records, {snapshot.bytes} bytes.\n"


@pytest.mark.parametrize(
    "words", [["backup"], ["backup", "create"], ["--json", "backup"], ["backup", "--workers", "2"]]
)
def test_backup_alone_takes_a_snapshot(filled, pronto, words):
    assert pronto(*words).code == 0
    assert len(filled.snapshots()) == 1


@pytest.mark.parametrize(
    "words",
    [["bob"], ["create", "bob"], ["-a", "bob"], ["-u", "bob"], ["create", "-u", "bob", "-c", "default"]],
)
def test_backup_of_some_addresses(filled, ok, words):
    assert ok("backup", "--json", *words).json["addresses"] == ["bob.default"]


def test_backup_json_is_one_object(filled, ok):
    found = ok("backup", "--json", "--label", "x").json
    assert list(found) == ["id", "created_at", "label", "addresses", "records", "bytes", "path", "tool"]
    assert found["label"] == "x"


def test_backup_of_an_absent_address_fails(filled, pronto):
    assert pronto("backup", "carol").code == 1
    assert pronto("backup", "-u", "carol").code == 1
    assert filled.snapshots() == []


def test_backup_of_nothing_fails(root, pronto):
    assert pronto("backup").code == 1


@pytest.mark.parametrize(
    "words", [["--dest", "x", "--archive", "y"], ["bob", "-a", "bob"], ["--workers", "many"], ["--nothing"]]
)
def test_a_line_that_cannot_be_understood(filled, pronto, words):
    assert pronto("backup", *words).code == 64
    assert filled.snapshots() == []


def test_list_prints_a_snapshot_a_line(filled, ok, clock):
    first = ok("backup", "-q", "--label", "two\twords").text.strip()
    clock.advance(1)
    ok("backup", "bob", "-q")
    lines = [line.split("\t") for line in ok("backup", "list").lines]
    assert [len(line) for line in lines] == [6, 6]
    assert lines[0][0] == first
    assert lines[0][2:4] == ["2", "3"]
    assert lines[0][5] == "two words"
    found = [json.loads(line) for line in ok("backup", "list", "--json").lines]
    assert found[1]["addresses"] == ["bob.default"]


def test_list_and_prune_name_what_they_cannot_read(filled, taken, pronto, ok):
    other = ok("backup", "-q").text.strip()
    broken = filled.snapshot(taken).path
    (broken / "manifest.json").write_bytes(b"{}")
    for words in (["list", "--json"], ["prune", "--keep-last", "1", "--yes", "--json"], ["list", "-q", "--json"]):
        done = pronto("backup", *words)
        assert (done.code, done.json["id"]) == (0, other)
        assert done.err.startswith(f"pronto: {broken} is left out: ")
        assert len(done.err.splitlines()) == 1
    assert broken.exists()
    assert pronto("backup", "show", taken, "--json").error["code"] == "snapshot"


def test_list_names_archives_that_are_damaged_and_passes_over_those_of_others(filled, ok, pronto, tmp_path):
    (file,) = ok("backup", "--output", tmp_path / "out", "-q").lines
    content = (tmp_path / "out" / file).read_bytes()
    (tmp_path / "out" / "cut.tar.gz").write_bytes(content[:40])
    with tarfile.open(tmp_path / "out" / "others.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("main"))
    done = pronto("backup", "list", "--output", tmp_path / "out")
    assert (done.code, [line.split("\t")[0] for line in done.lines]) == (0, [file])
    assert done.err.startswith(f"pronto: {tmp_path / 'out' / 'cut.tar.gz'} is left out: ")
    assert len(done.err.splitlines()) == 1


def test_show_prints_an_address_a_line(taken, ok):
    lines = [line.split("\t") for line in ok("backup", "show", taken).lines]
    assert [line[:3] for line in lines] == [["alice.research", "1", "2"], ["bob.default", "1", "1"]]
    found = ok("backup", "show", taken, "--json").json
    assert found["addresses"][1]["address"] == "bob.default"
    assert len(found["addresses"][1]["checksum"]) == 64


def test_verify_of_what_is_whole(taken, pronto):
    assert pronto("backup", "verify", taken) == (0, b"", f"{taken} is whole.\n")
    assert pronto("backup", "verify", taken, "--deep", "--json") == (0, b"", "")


@pytest.mark.parametrize("name", ["bob.default.journal", "manifest.json"])
def test_verify_of_damage_exits_with_4(filled, taken, pronto, name):
    path = filled.snapshot(taken).path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = pronto("backup", "verify", taken)
    assert (done.code, len(done.lines)) == (4, 1)
    assert "damaged" in done.text
    assert "problem" in pronto("backup", "verify", taken, "--json").json
    before = dict(filled["bob"].items())
    refused = pronto("restore", taken, "bob", "--overwrite", "--yes")
    assert (refused.code, refused.out) == (1, b"")
    assert dict(filled["bob"].items()) == before


def test_an_unknown_snapshot_is_an_error(filled, pronto):
    for command in (["backup", "verify"], ["backup", "show"], ["restore"]):
        assert pronto(*command, "20260101-000000-000000-abcd").code == 1
    assert pronto("restore", "nope", "--json").error["code"] == "snapshot"


@pytest.mark.parametrize("command", [["restore"], ["backup", "restore"], ["backup", "--restore"]])
def test_restore_needs_overwrite_and_yes(filled, taken, pronto, command):
    filled["bob"]["k"] = "new"
    assert pronto(*command, taken).code == 3
    assert pronto(*command, taken, "--overwrite").code == 64
    assert filled["bob"]["k"] == "new"
    done = pronto(*command, taken, "--overwrite", "--yes")
    assert (done.code, done.lines) == (0, ["alice.research", "bob.default"])
    assert filled["bob"]["k"] == "v"


def test_restore_asks_on_a_terminal(filled, taken, pronto):
    filled["bob"]["k"] = "new"
    assert pronto("restore", taken, "bob", "--overwrite", typed="n\n").code == 1
    assert filled["bob"]["k"] == "new"
    assert pronto("restore", taken, "bob", "--overwrite", typed="y\n").code == 0
    assert filled["bob"]["k"] == "v"


def test_restore_under_another_name(filled, taken, ok):
    assert ok("restore", taken, "bob", "--to", "bob.old", "-q").lines == ["bob.old"]
    assert filled["bob.old"]["k"] == "v"


def test_restore_of_one_address_reads_the_manifest_once(filled, taken, ok, monkeypatch):
    read, real = [], Manifest.decode
    monkeypatch.setattr(Manifest, "decode", lambda content, place: read.append(place) or real(content, place))
    ok("restore", taken, "bob", "--to", "bob.old", "-q")
    assert len(read) == 1


def test_an_unknown_snapshot_is_told_of_before_anybody_is_asked(filled, pronto):
    done = pronto("restore", "20260101-000000-000000-abcd", "bob", "--overwrite", typed="y\n")
    assert done.code == 1
    assert "Replace" not in done.err


def test_restore_of_one_user(filled, taken, ok):
    filled.delete("alice.research")
    assert ok("restore", taken, "-u", "alice", "-q").lines == ["alice.research"]


def test_restore_dry_run_changes_nothing(filled, taken, ok, pronto):
    filled["bob"]["k"] = "new"
    lines = ok("restore", taken, "--dry-run", "--overwrite", "--json").lines
    assert json.loads(lines[1]) == {"address": "bob.default", "replaced": True}
    assert filled["bob"]["k"] == "new"
    assert pronto("restore", taken, "--dry-run").code == 3


def test_an_archive_goes_out_and_in(filled, ok, pronto, tmp_path):
    file = tmp_path / "fleet.tar.gz"
    assert ok("backup", "--archive", file, "-q").lines == [str(file)]
    assert ok("backup", "verify", file, "-q").out == b""
    filled.delete("bob")
    assert ok("restore", file, "bob", "-q").lines == ["bob.default"]
    assert filled["bob"]["k"] == "v"


def test_the_forms_of_the_old_program(filled, ok, tmp_path):
    (file,) = ok("backup", "--output", tmp_path / "out", "-q").lines
    assert file.startswith(str(tmp_path / "out" / "prontodb_"))
    (line,) = ok("backup", "--list", "--output", tmp_path / "out").lines
    assert line.split("\t")[0] == file
    assert ok("backup", "--list").out == b""
    filled.delete("alice.research")
    filled.delete("bob")
    assert ok("backup", "--restore", file, "-q").lines == ["alice.research", "bob.default"]
    assert filled["bob"]["k"] == "v"


@pytest.mark.parametrize(
    "name", ["main/pronto.main.prdb", "./database/pronto.db", "./backup-metadata.json", "main/cursors/a.cursor"]
)
def test_an_archive_of_the_old_program_is_refused_with_a_pointer(store, pronto, tmp_path, name):
    file = tmp_path / "prontodb_main_20250909.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("main"))
        head = tarfile.TarInfo(name)
        head.size = 5
        archive.addfile(head, io.BytesIO(b"bytes"))
    done = pronto("restore", file)
    assert done.code == 1
    assert f"pronto migrate {file}" in done.err


@pytest.mark.parametrize("packed", [False, True])
def test_a_database_of_the_old_program_is_refused_with_a_pointer(store, pronto, tmp_path, packed):
    file = tmp_path / "prontodb_main_20250909.db"
    content = b"SQLite format 3\0" + bytes(100)
    file.write_bytes(gzip.compress(content) if packed else content)
    done = pronto("restore", file)
    assert done.code == 1
    assert ("pronto migrate" in done.err) == (not packed)


def test_prune_prints_what_becomes_of_each(filled, ok, pronto, clock):
    ids = []
    for _ in range(3):
        ids += ok("backup", "-q").lines
        clock.advance(86400)
    assert pronto("backup", "prune").code == 64
    assert pronto("backup", "prune", "--keep-last", "1").code == 64
    expected = [f"remove\t{ids[0]}", f"remove\t{ids[1]}", f"keep\t{ids[2]}\tnewest, last"]
    assert ok("backup", "prune", "--keep-last", "1", "--dry-run").lines == expected
    assert len(filled.snapshots()) == 3
    assert pronto("backup", "prune", "--keep-last", "1", typed="n\n").code == 1
    assert len(filled.snapshots()) == 3
    assert ok("backup", "prune", "--keep-last", "1", "--yes").lines == expected
    assert [item.id for item in filled.snapshots()] == ids[2:]
    (line,) = ok("backup", "prune", "--keep-within", "1.5", "--yes", "--json").lines
    assert json.loads(line) == {"id": ids[2], "action": "keep", "reasons": ["newest"]}


def test_prune_of_nonsense_is_refused(filled, pronto):
    assert pronto("backup", "prune", "--keep-last", "0", "--yes").code == 1
    assert pronto("backup", "prune", "--keep-last", "x", "--yes").code == 64


def test_address_copy(filled, ok, pronto):
    ok("address", "copy", "alice.research", "alice.fork", "-q")
    assert dict(filled["alice.fork"].items()) == dict(filled["alice.research"].items())
    ok("address", "copy", "alice.research", "alice.part", "--prefix", "pl", "-q")
    assert list(filled["alice.part"]) == ["plan"]
    assert pronto("address", "copy", "alice.research", "bob").code == 3
    assert pronto("address", "copy", "alice.research", "bob", "--overwrite").code == 64
    assert filled["bob"]["k"] == "v"
    assert ok("address", "copy", "alice.research", "bob", "--overwrite", "--yes", "--json").json["address"] == (
        "bob.default"
    )
    assert list(filled["bob"]) == ["hits", "plan"]
    assert pronto("address", "copy", "nobody", "x").code == 1


def test_long_work_shows_a_bar_on_a_terminal_and_clears_it(filled, pronto, monkeypatch):
    monkeypatch.setattr("pronto_cli.progress._EVERY_SECONDS", 0)
    monkeypatch.setenv("TERM", "xterm")
    shown = pronto("backup", typed="").err
    assert f"[{'#' * 20}] 100%  taking a snapshot" in shown
    assert shown.partition("100%")[2].startswith("  taking a snapshot\r\x1b[K")
    assert "[#" not in pronto("backup").err
    assert "[#" not in pronto("backup", "-q", typed="").err


def test_both_spellings_of_help_mean_the_group(ok):
    assert ok("backup", "-h").text == ok("backup", "--help").text
    assert ok("backup", "create", "-h").text == ok("backup", "create", "--help").text
    assert ok("backup", "-h").text != ok("backup", "create", "-h").text
