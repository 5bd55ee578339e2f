"""`import` and `export`."""

from __future__ import annotations

import gzip
import io
import json
import os
import pty
import signal
import subprocess
from time import monotonic, sleep

import pytest

import pronto_cli
from pronto_cli import files
from pronto_cli.streams import Streams

from .conftest import PROGRAM

ROWS = '{"key": "a", "value": 1}\n{"key": "b", "value": {"$bytes": "AAE="}}\n'


# -- export ----------------------------------------------------------------------------------------------------------


def test_export_prints_whole_records(clock, store, ok):
    store["default"].put("a", [1, "é"])
    store["default"].put("b", b"\0", ttl=60)
    assert ok("export").text == (
        '{"key": "a", "value": [1, "é"], "revision": 1, "expires_at": null}\n'
        '{"key": "b", "value": {"$bytes": "AA=="}, "revision": 2, "expires_at": "2025-06-15T15:07:40Z"}\n'
    )


def test_with_json_export_prints_what_scan_prints(clock, store, ok):
    store["default"].update({"a": [1, "é"], "b": {"x": None}})
    assert ok("export", "--json").text == ok("scan", "--json").text
    store["default"].expire("b", 60)
    assert [json.loads(line).keys() for line in ok("export", "--json").lines] == [
        {"key", "value"},
        {"key", "value", "expires_at"},
    ]


def test_a_prefix_is_literal_text(store, ok):
    store["default"].update({"web.a": 1, "web_b": 2, "WEB.c": 3})
    assert [json.loads(line)["key"] for line in ok("export", "--prefix", "web.").lines] == ["web.a"]


def test_an_absent_address_exports_nothing(root, ok):
    assert ok("export", "-a", "nobody").out == b""
    assert not root.exists()


@pytest.mark.parametrize(("name", "opened"), [("out.jsonl", open), ("out.jsonl.gz", gzip.open)])
def test_a_file_gets_what_would_be_printed(store, pronto, ok, tmp_path, name, opened):
    store["default"].update({f"k{number}": "x" * 50 for number in range(3000)})
    done = pronto("export", tmp_path / name)
    assert (done.code, done.out, done.err) == (0, b"", f"3,000 records are in {tmp_path / name}.\n")
    with opened(tmp_path / name, "rb") as file:
        assert file.read() == ok("export").out
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]


def test_quiet_says_nothing_of_a_file(store, ok, tmp_path):
    assert ok("-q", "export", tmp_path / "out").out == b""


def test_an_export_that_fails_leaves_the_file_as_it_was(store, pronto, monkeypatch, tmp_path):
    store["default"].update({f"k{number}": "x" * 50 for number in range(3000)})
    (tmp_path / "out").write_text("before")

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fail)
    done = pronto("export", tmp_path / "out")
    assert (done.code, done.err) == (1, "pronto: No space left on device.\n")
    assert (tmp_path / "out").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out"]


@pytest.mark.parametrize("place", ["nowhere/out", "."])
def test_a_file_that_cannot_be_written_is_an_error(store, pronto, tmp_path, place):
    done = pronto("export", tmp_path / place)
    assert (done.code, done.out) == (1, b"")
    assert "directory" in done.err


def test_a_device_is_written_as_it_is(store, ok):
    store["default"]["a"] = 1
    ok("-q", "export", "/dev/null")
    assert not os.path.isfile("/dev/null")


# -- import ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["-"]])
def test_import_reads_standard_input(store, pronto, words):
    done = pronto("import", *words, stdin=ROWS)
    assert (done.code, done.out, done.err) == (0, b"", "2 imported, 0 skipped, 0 expired.\n")
    assert dict(store["default"].items()) == {"a": 1, "b": b"\0\1"}


def test_import_reads_a_file(store, ok, tmp_path):
    (tmp_path / "in").write_text(ROWS)
    ok("-q", "import", tmp_path / "in", "-a", "alice")
    assert store["alice"]["a"] == 1


@pytest.mark.parametrize(
    "compressed",
    [
        gzip.compress(ROWS.encode()),
        gzip.compress(ROWS[:30].encode()) + gzip.compress(ROWS[30:].encode()),
    ],
)
@pytest.mark.parametrize("piped", [True, False])
def test_compressed_input_is_recognised(store, ok, tmp_path, compressed, piped):
    (tmp_path / "named").write_bytes(compressed)
    if piped:
        ok("-q", "import", stdin=compressed)
    else:
        ok("-q", "import", tmp_path / "named")
    assert store["default"]["b"] == b"\0\1"


def test_input_that_grows_when_it_is_decompressed_is_read_in_pieces(store, ok):
    rows = b"".join(b'{"key": "k%06d", "value": "%s"}\n' % (number, b"x" * 1000) for number in range(5000))
    compressed = gzip.compress(rows)
    pieces = list(files.inflated(files.pieces_of(io.BytesIO(compressed), "input"), "input"))
    assert b"".join(pieces) == rows
    assert len(compressed) < 200_000 < files.CHUNK_BYTES == max(map(len, pieces))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda whole: whole[:-1], "ends in the middle"),
        (lambda whole: whole[:20], "ends in the middle"),
        (lambda whole: whole[:30] + bytes([whole[30] ^ 1]) + whole[31:], "damaged"),
        (lambda whole: whole[:-5] + b"\0" + whole[-4:], "damaged"),
        (lambda whole: whole + b"more", "damaged"),
    ],
)
def test_damaged_compressed_input_is_an_error(pronto, damage, message):
    rows = "".join(f'{{"key": "k{number}", "value": {number * 7919}}}\n' for number in range(1000))
    done = pronto("import", stdin=damage(gzip.compress(rows.encode())))
    assert (done.code, done.out) == (1, b"")
    assert message in done.err


def test_export_and_import_make_an_identical_address(store, ok):
    store["a"].update({"t": "text", "b": b"\xff", "n": None, "f": 1.5, "i": 2**64 - 1, "l": [{"$bytes": 1}, {1: 2}]})
    store["a"].put("expires", 1, ttl=5000)
    text = ok("export", "-a", "a").out
    ok("-q", "import", "-a", "b", stdin=text)
    assert ok("export", "-a", "b").out == text


@pytest.mark.parametrize(
    ("words", "code", "value"),
    [([], 3, "mine"), (["fail"], 3, "mine"), (["skip"], 0, "mine"), (["overwrite"], 0, 1)],
)
def test_what_becomes_of_a_key_that_is_there(store, pronto, words, code, value):
    store["default"]["a"] = "mine"
    done = pronto("import", *(["--on-conflict", *words] if words else []), stdin=ROWS)
    assert (done.code, done.out) == (code, b"")
    assert store["default"]["a"] == value
    assert ("b" in store["default"]) == (code == 0)
    if code:
        assert "Line 1: the key 'a' is there already" in done.err


def test_bad_lines_are_named_and_the_others_imported(store, pronto, tmp_path):
    text = b'nonsense\n{"key": "a", "value": 1}\n\xff\n{"key": "b"}\n'
    done = pronto("import", "--rejects", tmp_path / "out", stdin=text)
    assert (done.code, done.out) == (1, b"")
    first, second, third, last = done.err.splitlines()
    assert first.startswith("Line 1: This is no JSON document")
    assert second == "Line 3: The line is not UTF-8."
    assert third == "Line 4: The line is no object with a key and a value."
    assert last.startswith("pronto: 3 of 4 lines were refused (1 imported, 0 skipped, 0 expired). They are in")
    assert (tmp_path / "out").read_bytes() == b'nonsense\n\xff\n{"key": "b"}\n'
    assert dict(store["default"].items()) == {"a": 1}


def test_without_bad_lines_there_is_no_file_of_them(store, ok, tmp_path):
    ok("-q", "import", "--rejects", tmp_path / "out", stdin=ROWS)
    assert not (tmp_path / "out").exists()


def test_rejects_never_replace_a_file(root, pronto, tmp_path):
    (tmp_path / "in").write_text(ROWS)
    done = pronto("import", tmp_path / "in", "--rejects", tmp_path / "in")
    assert (done.code, "File exists" in done.err) == (1, True)
    assert (tmp_path / "in").read_text() == ROWS
    assert not root.exists()


def test_only_so_many_bad_lines_are_named(pronto):
    done = pronto("import", stdin="x\n" * 1000)
    assert done.err.count("Line ") == 20
    assert "1,000 of 1,000 lines" in done.err


def test_strict_stops_at_the_first_bad_line(root, pronto):
    done = pronto("import", "--strict", stdin=ROWS + "nonsense\n")
    assert (done.code, done.out) == (1, b"")
    assert "Line 3: This is no JSON document" in done.err
    assert not root.exists()


def test_with_json_there_is_one_object(store, pronto, ok):
    assert ok("import", "--json", stdin=ROWS).json == {"lines": 2, "written": 2, "skipped": 0, "expired": 0}
    error = pronto("import", "--json", stdin="nonsense\nmore\n").error
    assert (error["exit"], "2 of 2 lines" in error["message"], "Line 1:" in error["message"]) == (1, True, True)
    assert pronto("import", "--json", stdin=ROWS).error["code"] == "conflict"


def test_what_was_imported_before_an_error_is_told(store, pronto):
    store["default"]["z"] = 1
    rows = "".join(f'{{"key": "k{number:06}", "value": "{"x" * 100}"}}\n' for number in range(20_000))
    done = pronto("import", stdin=rows + '{"key": "z", "value": 2}\n')
    assert done.code == 3
    told = int(done.err.split("up to line ")[1].split()[0])
    assert len(store["default"]) == told + 1 > 1


def test_import_needs_a_file_or_a_pipe(root, pronto):
    done = pronto("import", typed="")
    assert (done.code, "There is no FILE" in done.err) == (64, True)
    assert not root.exists()


@pytest.mark.parametrize("place", ["nowhere", "."])
def test_a_file_that_cannot_be_read_is_an_error(root, pronto, tmp_path, place):
    done = pronto("import", tmp_path / place)
    assert (done.code, done.out) == (1, b"")
    assert "directory" in done.err


def test_a_terminal_shows_how_far_it_has_come(store, root, monkeypatch, tmp_path):
    rows = "".join(f'{{"key": "k{number:06}", "value": "{"x" * 100}"}}\n' for number in range(30_000))
    (tmp_path / "in").write_text(rows)
    monkeypatch.setenv("PRONTO_ROOT", str(root))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("pronto_cli.progress._EVERY_SECONDS", 0)

    class Terminal(io.BytesIO):
        def isatty(self):
            return True

    for words in (["import", str(tmp_path / "in")], ["export", str(tmp_path / "out")]):
        err = Terminal()
        assert pronto_cli.main(words, Streams(None, io.BytesIO(), err)) == 0
        steps = err.getvalue().decode().split("\r\x1b[K")
        assert len(steps) > 2
        assert steps[-1].startswith("30,000 ")  # the note, where the bar was
    assert "[" in steps[1] or "records" in steps[1]


# -- as programs -----------------------------------------------------------------------------------------------------


def test_ctrl_c_ends_an_import_between_two_transactions(store, environment, program):
    done = subprocess.Popen([*PROGRAM, "import"], env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    rows = [b'{"key": "k%06d", "value": "%s"}\n' % (number, b"x" * 100) for number in range(40_000)]
    done.stdin.write(b"".join(rows))
    done.stdin.flush()
    end = monotonic() + 60
    while not len(store["default"]) and monotonic() < end:
        sleep(0.01)
    done.send_signal(signal.SIGINT)
    assert done.wait(60) == 130
    assert b"Interrupted." in done.stderr.read()
    count = len(store["default"])
    assert list(store["default"]) == [f"k{number:06}" for number in range(count)]
    assert 0 < count < 40_000
    assert program("import", "-q", "--on-conflict", "skip", stdin=b"".join(rows)).code == 0
    assert len(store["default"]) == 40_000
    done.stdin.close()
    done.stderr.close()


def test_real_pipes_and_exit_codes(program, tmp_path):
    rows = b'{"key": "a", "value": "\xc3\xa9"}\n'
    assert program("import", "-q", stdin=rows) == (0, b"", "")
    assert program("import", stdin=rows).code == 3
    assert program("import", "--on-conflict", "overwrite", stdin=b"\xff\n").code == 1
    assert program("import", "--on-conflict", "ask", stdin=rows).code == 64
    exported = program("export")
    assert (exported.code, exported.err) == (0, "")
    assert json.loads(exported.out)["value"] == "é"
    assert program("export", str(tmp_path)).code == 1


def test_a_progress_bar_needs_a_terminal_on_stderr_only(store, environment):
    store["default"].update({f"key{i}": "x" * 100 for i in range(20_000)})
    controller, terminal = pty.openpty()
    done = subprocess.run(
        [*PROGRAM, "export"], env={**environment, "TERM": "xterm"}, stdout=subprocess.PIPE, stderr=terminal, check=False
    )
    os.close(terminal)
    os.close(controller)
    assert done.returncode == 0
    assert done.stdout.count(b"\n") == 20_000
    assert b"\x1b" not in done.stdout
