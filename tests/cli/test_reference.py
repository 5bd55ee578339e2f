"""docs/cli.md says what the code does, and --json prints what docs/cli.md says."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from pathlib import Path

import pytest
from old_program import OldDatabase, named_file

import pronto_cli
import pronto_lmdb
from pronto_cli.app import application
from pronto_cli.documented import ERROR, LINES, NONE, SHAPES, VARIABLES
from pronto_cli.exits import MEANINGS
from pronto_cli.handlers import HANDLERS

from .shapes import matches

REPOSITORY = Path(pronto_lmdb.__file__).parents[1]


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("reference", REPOSITORY / "docs" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- the text --------------------------------------------------------------------------------------------------------


def test_the_reference_is_what_the_code_says(generator):
    assert generator.REFERENCE.read_text(encoding="utf-8") == generator.reference(), "run `make docs`"


def test_the_comparison_can_fail(generator, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(generator, "REFERENCE", tmp_path / "cli.md")
    assert generator.main(["--check"]) == 1
    assert generator.main([]) == generator.main(["--check"]) == 0
    (tmp_path / "cli.md").write_text("old")
    assert generator.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err


def test_every_command_option_exit_code_and_variable_is_there(generator):
    text = generator.reference()
    root = application()
    for name in HANDLERS:
        command = generator.found(root, name)
        if not command.hidden:
            assert f"\n### {name}\n" in text
            assert [param.name for param in command.params if f"`{generator.spelling(param)}`" not in text] == []
    assert [code for code in MEANINGS if f"\n| {code} |" not in text] == []
    assert [name for name in VARIABLES if f"\n| `{name}` |" not in text] == []


def test_every_variable_that_the_code_reads_is_documented():
    packages = [Path(pronto_lmdb.__file__).parent, Path(pronto_cli.__file__).parent]
    sources = [path.read_text(encoding="utf-8") for package in packages for path in package.rglob("*.py")]
    read = {name for source in sources for name in re.findall(r"environ(?:\.get\(|\[)\"(\w+)\"", source)}
    texts = {node.value for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    named = {text for text in texts if isinstance(text, str) and re.fullmatch(r"PRONTO_[A-Z_]+", text)}
    assert {"HOME", "NO_COLOR"} <= read
    assert "PRONTO_ROOT" in named
    assert (read | named) - set(VARIABLES) == set()


# -- JSON ------------------------------------------------------------------------------------------------------------

# A line for each shape, on the store below.
JSON_LINES = {
    "set": "set k 1",
    "get": "get plan",
    "get --with-revision": "get plan --with-revision",
    "del": "del plan",
    "exists": "exists plan",
    "keys": "keys",
    "scan": "scan",
    "incr": "incr hits",
    "copy": "copy plan other",
    "import": "import FILE",
    "export": "export",
    "batch": "batch < get plan",
    "stream": "stream < ns=web; a=1",
    "projects": "projects",
    "namespaces": "namespaces web",
    "nss": "nss",
    "ttl": "ttl lease",
    "expire": "expire plan 5",
    "persist": "persist lease",
    "create-cache": "create-cache web.cache timeout=60",
    "sweep": "sweep",
    "addresses": "addresses",
    "address create": "address create carol --label a=b --max-bytes 1000000",
    "address info": "address info bob.limited",
    "address delete": "address delete bob.limited",
    "address delete --dry-run": "address delete bob.limited --dry-run",
    "address undelete": "address undelete gone",
    "address rename": "address rename bob.limited bob.free",
    "address durability": "address durability bob.limited",
    "address quota": "address quota bob.limited",
    "address purge": "address purge --yes",
    "address purge --dry-run": "address purge --dry-run",
    "address copy": "address copy default bob.copy --prefix web.",
    "use": "use",
    "cursor set": "cursor set elsewhere PLACE",
    "cursor list": "cursor list",
    "cursor active": "cursor active",
    "cursor delete": "cursor delete limited -u bob",
    "cursor delete --dry-run": "cursor delete limited -u bob --dry-run",
    "cursor clear": "cursor clear",
    "backup create": "backup create --label nightly",
    "backup list": "backup list",
    "backup show": "backup show SNAPSHOT",
    "backup restore": "backup restore SNAPSHOT bob.limited --overwrite --yes",
    "backup prune": "backup prune --keep-last 1 --yes",
    "restore": "restore SNAPSHOT bob.limited --to bob.yesterday",
    "config get": "config get timeout",
    "config set": "config set timeout 3",
    "config list": "config list",
    "stats": "stats -a bob.limited",
    "stats --all": "stats --all",
    "compact": "compact",
    "migrate": "migrate OLD",
    "bench": "bench --seconds 0.1",
    "selftest": "selftest --seconds 0",
    "completion": "completion bash",
    "help": "help get",
    "version": "version",
}


@pytest.fixture
def furnished(root, tmp_path):
    """A store with something of everything; returns what the names in capitals stand for."""
    with pronto_lmdb.open(root) as store:
        keystore = store["default"]
        keystore["plan"] = {"step": 1, "raw": b"\0"}
        keystore["web.cache.page"] = "text"
        keystore.put("lease", "w7", ttl=3600)
        keystore.namespace_ttl("web.cache", 60)
        store.create("bob.limited", max_bytes=1 << 20, labels={"team": "search"})
        store.create("gone")
        store.delete("gone")
        snapshot = store.backup()
    (tmp_path / "lines").write_text('{"key": "imported", "value": [1]}\n')
    with OldDatabase(named_file(tmp_path / "old", "main")) as database:
        database.set("app.config.theme", "dark")
    return {
        "PLACE": tmp_path / "place",
        "FILE": tmp_path / "lines",
        "OLD": tmp_path / "old",
        "SNAPSHOT": snapshot.id,
    }


def parsed(label, names):
    """Return the words of a line, and what is piped to it."""
    line, _, piped = JSON_LINES[label].partition(" < ")
    return [str(names.get(word, word)) for word in line.split()], piped.encode()


def check_documents(label, out):
    many, shape = SHAPES[label]
    documents = [json.loads(line) for line in out.splitlines()]
    if many == NONE:
        assert documents == []
    else:
        assert documents
        assert many == LINES or len(documents) == 1
        assert [document for document in documents if not matches(shape, document)] == []


def test_every_command_has_a_documented_form_and_a_line_here():
    plain = {name for name in HANDLERS if name not in ("delete", "ls")}
    assert {label.partition(" --")[0] for label in SHAPES} == plain
    assert set(SHAPES) - set(JSON_LINES) == {"check", "check --repair", "backup verify"}  # of what is damaged: below


@pytest.mark.parametrize("label", sorted(JSON_LINES))
def test_json_has_the_documented_form(furnished, ok, label):
    words, piped = parsed(label, furnished)
    check_documents(label, ok(*words, "--json", **({"stdin": piped} if piped else {})).out)


@pytest.mark.parametrize("label", sorted(set(JSON_LINES) - {"selftest", "bench"}))
def test_every_command_works_through_the_installed_entry_point(furnished, entry_point, label):
    words, piped = parsed(label, furnished)
    done = entry_point(*words, "--json", stdin=piped)
    assert (done.code, done.err) == (0, "")
    check_documents(label, done.out)


def test_problems_have_the_documented_form(root, furnished, pronto):
    (root / "addresses" / "stranger").mkdir()
    check_documents("check", pronto("check", "--json").out)
    check_documents("check --repair", pronto("check", "--repair", "--json").out)


def test_problems_of_a_snapshot_have_the_documented_form(root, furnished, pronto):
    content = root / "snapshots" / furnished["SNAPSHOT"] / "default.default.journal"
    content.write_bytes(content.read_bytes()[:-1])
    check_documents("backup verify", pronto("backup", "verify", furnished["SNAPSHOT"], "--json").out)


@pytest.mark.parametrize(
    "words", [["get", "nothing"], ["get"], ["get", "a..b"], ["address", "create", "bob.limited"], ["address", "purge"]]
)
def test_errors_have_the_documented_form(furnished, pronto, words):
    done = pronto(*words, "--json")
    assert matches(ERROR, json.loads(done.err))
    assert done.error["exit"] == done.code != 0


def test_the_validator_refuses_what_is_not_so():
    assert matches({"a": "whole | null", "*b": "text"}, {"a": None, "*b": ""})
    for shape, document in [
        ("whole", True), ("whole", 1.0), ("text", None), ("time", "yesterday"), ("truth", 0), ({"a": "text"}, {}),
        ({"a": "text"}, {"a": "", "b": ""}), ({"a": "text"}, ["a"]), ({"*": "whole"}, {"a": "1"}),
        (({"a": "text"}, {"b": "text"}), {"c": ""}), (["text"], ["a", 1]), (["text"], "a"),
    ]:  # fmt: skip
        assert not matches(shape, document)


# -- exit codes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("get plan", 0), ("del nothing", 0), ("get a..b", 1), ("config get nothing", 1), ("get nothing", 2),
        ("exists nothing", 2), ("ttl nothing", 2), ("expire nothing 5", 2), ("persist nothing", 2),
        ("address info nobody", 2), ("address durability nobody", 2), ("address create bob.limited", 3),
        ("set plan x --if-absent", 3), ("set plan x --if-revision 99", 3), ("nothing", 64), ("get", 64),
        ("get plan --nothing", 64), ("address purge", 64),
    ],
)  # fmt: skip
def test_exit_codes_through_the_installed_entry_point(furnished, entry_point, line, code):
    done = entry_point(*line.split())
    assert done.code == code
    assert not code or done.out == b""
    assert (done.err == "") == (code in (0, 2))


def test_a_failed_check_through_the_installed_entry_point(root, furnished, entry_point):
    (root / "addresses" / "stranger").mkdir()
    assert entry_point("check").code == 4


def test_a_busy_address_through_the_installed_entry_point(furnished, store, entry_point):
    with store["default"].transaction() as txn:
        txn["other"] = 1
        assert entry_point("set", "plan", "x", "--timeout", "0").code == 5
