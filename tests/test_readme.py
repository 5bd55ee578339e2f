"""The README does what it says: its Python and its shell sessions run, and its links lead somewhere."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
README = REPOSITORY / "README.md"
TEXT = README.read_text(encoding="utf-8")
SHELL = f'pronto() {{ "{sys.executable}" -m pronto_cli "$@"; }}\n'


def fenced(language: str) -> list[tuple[int, str]]:
    """Return the code blocks of a language, each with the number of the line before its first."""
    blocks = re.finditer(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return [(TEXT.count("\n", 0, block.start(1)), block[1]) for block in blocks]


def commands(session: str) -> list[tuple[str, str]]:
    """Return each command of a shell session with the output that is shown below it."""
    parts = re.split(r"^\$ (.*)\n", session, flags=re.MULTILINE)
    assert parts[0] == "", "a session begins with a command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


def test_the_python_session_runs_as_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
    for line, block in fenced("python"):
        test = doctest.DocTestParser().get_doctest(block, namespace, "README.md", str(README), line)
        assert test.examples, f"line {line}: a python block without >>> is not run"
        test.globs = namespace
        runner.run(test, out=report.append, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def test_the_shell_session_runs_as_shown(tmp_path):
    environment = {**os.environ, "PRONTO_ROOT": str(tmp_path / "store"), "NO_COLOR": "1"}
    shown, printed = [], []
    for line, session in fenced("console"):
        for command, output in commands(session):
            done = subprocess.run(
                ["sh", "-c", SHELL + command],
                cwd=tmp_path,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            shown.append((line, command, output))
            printed.append((line, command, done.stdout))
            assert "Traceback" not in done.stderr
    assert printed == shown
    assert shown, "there is no shell session"


def links(text: str) -> set[str]:
    return {target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not target.startswith("http")}


def heading_anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "document",
    sorted(
        path.relative_to(REPOSITORY).as_posix() for path in [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")]
    ),
)
def test_every_link_leads_to_a_file_or_a_heading(document):
    path = REPOSITORY / document
    for link in links(path.read_text(encoding="utf-8")):
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), f"{document} links to {link}"
        if anchor:
            assert anchor in heading_anchors(target.read_text(encoding="utf-8")), f"{document} links to {link}"
