"""Sources that cannot be taken over: a clear error for each, nothing half done, and the others are taken over."""

from __future__ import annotations

import gzip
import io
import os
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import gettempdir

import pytest
from children import as_nobody_special
from old_program import DESIGNS, LAYOUTS, OldDatabase, archive_of_database, main_file, named_file

import pronto_lmdb
from pronto_lmdb.files import try_lock
from pronto_lmdb.migration import SourceRefusedError, migrate


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "odx" / "prontodb"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A source that can be taken over."""
    with OldDatabase(tmp_path / "good.db") as old:
        old.set("k", "v")
    return tmp_path / "good.db"


def refusal(store: pronto_lmdb.Store, *sources: Path) -> str:
    """Migrate sources of which the first is refused, and return why."""
    with pytest.raises(SourceRefusedError) as refused:
        migrate(sources, store)
    (found,) = refused.value.report.plan.refused
    assert found["place"].startswith(str(sources[0]))
    assert refused.value.hint
    assert [str(info.address) for info in store.addresses()] == ["default.good"] * (len(sources) - 1)
    return found["problem"]


def test_a_source_that_is_not_there(tmp_path, good, store):
    assert "No such file" in refusal(store, tmp_path / "absent.db", good)


def test_an_empty_file(tmp_path, good, store):
    (tmp_path / "prontodb.sqlite3").touch()
    assert "is empty (0 bytes)" in refusal(store, tmp_path / "prontodb.sqlite3", good)


def test_a_file_that_is_no_database(tmp_path, good, store):
    (tmp_path / "notes.txt").write_text("SQLite format 2, perhaps")
    assert "is no SQLite database" in refusal(store, tmp_path / "notes.txt", good)


def test_a_database_without_tables(tmp_path, good, store):
    connection = sqlite3.connect(tmp_path / "bare.db")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    assert "without tables" in refusal(store, tmp_path / "bare.db", good)


@pytest.mark.parametrize("table", ["notes (a, b)", "kv (key TEXT, value TEXT)", "kv (project, namespace, key, value)"])
def test_a_database_of_another_program(table, tmp_path, good, store):
    connection = sqlite3.connect(tmp_path / "foreign.db")
    connection.execute(f"CREATE TABLE {table}")
    connection.close()
    assert "but not one of ProntoDB" in refusal(store, tmp_path / "foreign.db", good)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_design_that_never_shipped_is_recognised(design, tmp_path, good, store):
    connection = sqlite3.connect(tmp_path / "design.db")
    connection.executescript(DESIGNS[design])
    connection.close()
    problem = refusal(store, tmp_path / "design.db", good)
    assert "designed and never shipped" in problem
    assert design in problem


def test_damage_anywhere_is_found_before_anything_is_written(tmp_path, good, store):
    source = tmp_path / "damaged.db"
    with OldDatabase(source) as old:
        for number in range(200):
            old.set(f"app.config.key-{number}", "v" * 100)
    whole = source.read_bytes()
    for page in range(1, len(whole) // 4096):
        torn = bytearray(whole)
        torn[page * 4096 : page * 4096 + 512] = os.urandom(512)
        source.write_bytes(torn)
        assert "cannot be read" in refusal(store, source, good)


def test_a_file_that_was_cut_off(tmp_path, good, store):
    source = tmp_path / "short.db"
    with OldDatabase(source) as old:
        for number in range(200):
            old.set(f"k{number}", "v" * 100)
    source.write_bytes(source.read_bytes()[:9_000])
    assert "cannot be read" in refusal(store, source, good)


def test_half_a_write_ahead_log_gives_what_was_committed_before(data, store):
    old = OldDatabase(named_file(data, "main"))
    old.set("k", "v")
    old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    old.set("k2", "v")
    old.abandon()
    log = Path(f"{old.path}-wal")
    log.write_bytes(log.read_bytes()[:-100])
    migrate(data, store)
    assert dict(store["default"]) == {"k": "v"}


def test_a_file_that_may_not_be_read(tmp_path, good, store, root, monkeypatch):
    (tmp_path / "secret.db").write_bytes(good.read_bytes())
    (tmp_path / "secret.db").chmod(0)
    for directory in tmp_path.parents:
        if directory.is_relative_to(gettempdir()) and directory != Path(gettempdir()):
            directory.chmod(0o755)
    tmp_path.chmod(0o777)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def work() -> None:
        with pronto_lmdb.open(tmp_path / "theirs") as theirs:
            assert "Permission denied" in refusal(theirs, tmp_path / "secret.db", good)

    assert as_nobody_special(work) == 0


LOCKED = """
    import sqlite3, sys
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("PRAGMA journal_mode = " + sys.argv[2])
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO kv SELECT 'p', 'n', 'uncommitted', NULL, 'v', 0, 0, NULL")
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_database_to_which_another_program_is_writing(mode, tmp_path, good, root):
    source = tmp_path / "busy.db"
    with OldDatabase(source) as old:
        old.set("k", "v")
    program = "\n".join(line.strip() for line in LOCKED.splitlines())
    with subprocess.Popen(
        [sys.executable, "-c", program, source, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"locked\n"
        with pronto_lmdb.open(root, timeout=0.1) as store:
            assert "is locked" in refusal(store, source, good)
        writer.communicate()
    with pronto_lmdb.open(root) as store:
        migrate(source, store)
        assert dict(store["default.busy"]) == {"k": "v"}


def test_a_database_that_others_only_have_open_is_taken_over(tmp_path, in_another_process, root):
    with OldDatabase(tmp_path / "open.db") as old:
        old.set("k", "v")
        found = in_another_process(
            """
            import json, sys, pronto_lmdb
            with pronto_lmdb.open(sys.argv[2], timeout=0.1) as store:
                pronto_lmdb.migration.migrate(sys.argv[1], store)
                print(json.dumps(dict(store["default.open"])))
            """,
            tmp_path / "open.db",
            root,
        )
    assert found == {"k": "v"}


def test_an_interrupted_transaction_is_rolled_back_in_the_copy_alone(tmp_path, store):
    source = tmp_path / "crashed.db"
    with OldDatabase(source) as old:
        old.set("k", "v" * 5000)
        old.execute("PRAGMA journal_mode = DELETE")
    crash = """
        import os, sqlite3, sys
        connection = sqlite3.connect(sys.argv[1], isolation_level=None)
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        for number in range(100):
            connection.execute("INSERT INTO kv SELECT 'p', 'n', 'k' || ?, NULL, ?, 0, 0, NULL", (number, "x" * 5000))
        os._exit(0)
    """
    program = "\n".join(line.removeprefix("        ") for line in crash.splitlines())
    subprocess.run([sys.executable, "-c", program, source], check=True)
    journal = Path(f"{source}-journal")
    before = source.read_bytes(), journal.read_bytes()
    assert before[1]
    migrate(source, store)
    assert dict(store["default.crashed"]) == {"k": "v" * 5000}
    assert (source.read_bytes(), journal.read_bytes()) == before


def test_files_beside_the_data_that_are_none_of_it_are_skipped(data, store):
    with OldDatabase(named_file(data, "main")) as old:
        old.set("k", "v")
    (data / "empty.db").touch()
    (data / "other.sqlite").write_text("something else")
    report = migrate(data, store)
    assert report.ok
    assert [Path(item["place"]).name for item in report.plan.skipped] == ["empty.db", "other.sqlite"]


def test_a_directory_without_a_database(tmp_path, good, store):
    (tmp_path / "nothing").mkdir()
    assert "holds no database" in refusal(store, tmp_path / "nothing", good)


def test_a_damaged_database_in_a_directory_does_not_keep_the_others_from_being_taken_over(data, store):
    for layout in LAYOUTS[:1]:
        with OldDatabase(main_file(layout, data)) as old:
            old.set("k", "v")
    bad = named_file(data, "bad")
    bad.parent.mkdir()
    bad.write_bytes((data / "pronto.db").read_bytes()[:5000])
    with pytest.raises(SourceRefusedError, match="cannot be read"):
        migrate(data, store)
    assert dict(store["default"]) == {"k": "v"}


# -- archives ----------------------------------------------------------------------------------------------------------


def member(name: str, content: bytes = b"x", **attributes: object) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info, io.BytesIO(content)


HOSTILE = {
    "an absolute path": [member("/tmp/evil.db")],
    "a way up": [member("main/../../evil.db")],
    "a way up at the front": [member("../evil.db")],
    "a backslash": [member("..\\evil.db")],
    "a symbolic link": [member("main/pronto.main.prdb", type=tarfile.SYMTYPE, linkname="/etc/passwd", size=0)],
    "a hard link": [member("main/pronto.main.prdb", type=tarfile.LNKTYPE, linkname="/etc/passwd", size=0)],
    "a linked directory": [
        member("main", type=tarfile.SYMTYPE, linkname="/tmp", size=0), member("main/pronto.main.prdb"),
    ],
    "a device": [member("main/pronto.main.prdb", type=tarfile.CHRTYPE, size=0)],
    "a fifo": [member("main/pronto.main.prdb", type=tarfile.FIFOTYPE, size=0)],
    "a name twice": [member("main/pronto.main.prdb"), member("./main/pronto.main.prdb")],
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_archive_with_what_no_backup_has_is_refused_as_a_whole(kind, tmp_path, data, good, store):
    with OldDatabase(named_file(data, "main")) as old:
        old.set("k", "v")
    archive = tmp_path / "hostile.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(data / "main", "first")
        for info, content in HOSTILE[kind]:
            content.seek(0)
            tar.addfile(info, content if info.size else None)
    assert "is no backup of ProntoDB: its member" in refusal(store, archive, good)
    assert not (tmp_path / "evil.db").exists()
    assert not Path("/tmp/evil.db").exists()


def test_an_archive_that_claims_more_than_the_disk_holds(tmp_path, good, store):
    archive = tmp_path / "huge.tar.gz"
    info, _ = member("main/pronto.main.prdb")
    info.size = 2**60
    with gzip.open(archive, "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
    assert "more than" in refusal(store, archive, good)


def test_an_archive_that_was_cut_off_anywhere(tmp_path, data, good, store):
    with OldDatabase(named_file(data, "main")) as old:
        old.set("k", "v")
    whole = tmp_path / "whole.tar.gz"
    archive_of_database(whole, data, "main")
    content = whole.read_bytes()
    cut = tmp_path / "cut.tar.gz"
    for length in range(3, len(content) - 8, max(1, len(content) // 20)):
        cut.write_bytes(content[:length])
        refusal(store, cut, good)


def test_an_archive_without_a_database(tmp_path, good, store):
    archive = tmp_path / "other.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(*member("readme.txt"))
    assert "holds no database" in refusal(store, archive, good)


def test_copies_of_the_sources_are_gone_afterwards(tmp_path, monkeypatch, good, store):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    migrate(good, store)
    with pytest.raises(SourceRefusedError):
        migrate(tmp_path / "absent", store)
    assert list(scratch.iterdir()) == []


def test_copies_that_a_killed_migration_left_are_removed_by_the_next(tmp_path, monkeypatch, good, store):
    scratch = tmp_path / "scratch"
    for name in ("pronto-migrate-old", "pronto-migrate-new", "pronto-migrate-used", "something-else"):
        (scratch / name).mkdir(parents=True)
        (scratch / name / "lock").touch()
        if name != "pronto-migrate-new":
            os.utime(scratch / name, (0, 0))
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with open(scratch / "pronto-migrate-used" / "lock", "r+") as used:
        try_lock(used.fileno())
        migrate(good, store)
    names = {path.name for path in scratch.iterdir()}
    assert names == {"pronto-migrate-new", "pronto-migrate-used", "something-else"}
