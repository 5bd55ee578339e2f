"""The library is layered: every module imports only from what comes before it, and little at all at import."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pronto_lmdb

PACKAGE = Path(pronto_lmdb.__file__).parent

# Every module stands in the order in which a reader can understand them, and imports only from those before it.
LAYERS = {
    "pure values": [
        "errors", "clock", "address", "key", "values", "config", "record", "identity", "results", "layout",
        "arguments", "journal_format", "jsonform", "rows", "jsonlines", "version",
    ],
    "environment": [
        "allocator", "translation", "holders", "forks", "files", "data_files", "salvage", "directory", "marker",
        "writer_lock", "growth", "environment",
    ],
    "journal": [
        "journal", "genesis", "creation", "base", "checkpoint", "compaction", "recovery", "flusher", "line",
        "journaled",
    ],
    "open environments": ["home", "pool", "lookup"],
    "commit path": ["commit", "journaled_commit", "group_commit", "combining"],
    "keystore": [
        "moment", "discovery", "reading", "changes", "operations", "loading", "writing", "view", "transaction",
        "keystore", "exchange",
    ],
    "store": [
        "registry", "survey", "places", "reserve", "notes", "staged", "purging", "steps", "lifecycle", "adoption",
        "inspection", "checking", "attic", "reindex", "mending", "repairing", "installation", "copying",
    ],
    "snapshots": [
        "fingerprint", "glimpse", "manifest", "retention", "content", "snapshots", "earlier", "taking", "restoring",
        "archive",
    ],
    "verbs": ["address_verbs", "snapshot_verbs", "store"],
    "migration": [
        "legacy_keys", "legacy_schema", "legacy_copy", "legacy_archive", "legacy_places", "legacy_database",
        "migration_rows", "migration_plan", "migration_sources", "migration_survey", "migration",
    ],
    "asyncio": ["workers", "async_verbs", "aio"],
    "public names": ["__init__"],
}  # fmt: skip
ORDER = [module for modules in LAYERS.values() for module in modules]

# What only the command needs, and what would make each start of it slower; see CONTRIBUTING.md.
UNWANTED = {"typer", "click", "rich", "pydantic", "platformdirs", "typing", "dataclasses", "pathlib", "re"}


def imported_modules(source: str) -> set[str]:
    """Return the modules of the package that a source imports when it runs, inside functions too.

    What stands under ``if TYPE_CHECKING`` is for type checkers only and may point anywhere.
    """
    found = set()
    pending: list[ast.AST] = [ast.parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "pronto_lmdb":
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pronto_lmdb."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("pronto_lmdb."))
        pending.extend(ast.iter_child_nodes(node))
    return found


def test_every_module_has_its_place():
    assert sorted(ORDER) == sorted(path.stem for path in PACKAGE.glob("*.py"))


@pytest.mark.parametrize("module", ORDER)
def test_a_module_imports_only_what_comes_before_it(module):
    imported = imported_modules((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    assert imported <= set(ORDER[: ORDER.index(module)])


@pytest.mark.parametrize(
    ("source", "imported"),
    [
        ("from pronto_lmdb.store import Store", {"store"}),
        ("from pronto_lmdb import clock, results", {"clock", "results"}),
        ("import pronto_lmdb.pool", {"pool"}),
        ("def late():\n    from pronto_lmdb.store import Store", {"store"}),
        ("if TYPE_CHECKING:\n    from pronto_lmdb.store import Store\nelse:\n    import pronto_lmdb.key", {"key"}),
        ("import lmdb\nfrom os import path", set()),
    ],
)
def test_the_reader_of_imports_misses_none(source, imported):
    assert imported_modules(source) == imported


def test_importing_the_library_imports_nothing_heavy(in_another_process):
    imported = in_another_process("""
        import sys
        before = set(sys.modules)
        import pronto_lmdb
        imported = set(sys.modules) - before
        import json
        print(json.dumps(list(imported)))
    """)
    assert "pronto_lmdb" in imported
    assert UNWANTED & set(imported) == set()
