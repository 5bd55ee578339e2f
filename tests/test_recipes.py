"""Each recipe of docs/recovery.md does what it says, after the accident that it is for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from conftest import REPOSITORY
from test_readme import SHELL, commands

import pronto_lmdb
from pronto_lmdb import StoreFullError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXT = (REPOSITORY / "docs" / "recovery.md").read_text(encoding="utf-8")


def recipes() -> dict[str, str]:
    """Return the shell session of each recipe."""
    return {heading: session for heading, text in sections(TEXT) for session in sessions(text)}


def sections(text: str) -> list[tuple[str, str]]:
    """Return each section of a document, by its heading of the second level."""
    parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def sessions(text: str) -> list[str]:
    return re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def home(root: Path) -> Path:
    return root / "addresses" / "alice.research"


def overwrite(root: Path, *names: str) -> None:
    for name in names:
        for file in home(root).glob(f"{name}*"):
            file.write_bytes(b"\xa5" * 20_000)


def remove_behind_a_backup(root: Path) -> None:
    shutil.copytree(home(root), root.parent / "backup" / "alice.research")
    with pronto_lmdb.open(root) as store:
        store.delete("alice.research")
        store.purge()


def fill_quota(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store.set_quota("alice.research", 65536)
        with pytest.raises(StoreFullError):  # noqa: PT012 - which write it is depends on LMDB
            for number in range(1000):
                store["alice.research"][f"key{number}"] = "x" * 500


def spoil(root: Path) -> None:
    """Leave a journal as a flush leaves it that has failed."""
    from pronto_lmdb.journal_format import SPOILED_AT

    (journal,) = home(root).glob("journal-*")
    with journal.open("r+b") as file:
        file.seek(SPOILED_AT)
        file.write(b"\1")


def leave_note(root: Path) -> None:
    (root / "meta" / "pending" / "0.json").write_text('{"operation": "delete"')


def open_to_others(root: Path) -> None:
    root.chmod(0o777)
    home(root).chmod(0o755)


def lose_registry(root: Path) -> None:
    (root / "meta" / "registry" / "data.mdb").write_bytes(b"\xa5" * 9000)


def litter(root: Path) -> None:
    (root / "addresses" / "stranger").mkdir()
    (root / "addresses" / "l.ink").symlink_to(home(root))
    shutil.copytree(home(root), root / "addresses" / "c.opy")


def delete(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store.delete("alice.research")


ACCIDENTS: dict[str, Callable[[Path], object]] = {
    "Something seems wrong": lambda root: None,
    "A check reports problems": lambda root: overwrite(root, "base", "journal-"),
    "A data file is damaged, cut or missing": lambda root: overwrite(root, "data.mdb"),
    "A data file looks right and is suspected all the same": lambda root: None,
    "Base or journal are damaged": lambda root: overwrite(root, "base"),
    "Everything of an address is damaged": lambda root: overwrite(root, "base", "journal-", "data.mdb"),
    "The registry is damaged or lost": lose_registry,
    "An address was deleted by mistake": delete,
    "The directory of an address was removed or moved by hand": remove_behind_a_backup,
    "The power has failed, or the machine was restarted": lambda root: os.truncate(home(root) / "marker", 0),
    "The store was moved or copied to another disk or machine": lambda root: None,
    "The disk is full": lambda root: None,
    "One address has used up its quota": fill_quota,
    "A write says that the disk refuses to keep it": spoil,
    "An operation on an address was killed": leave_note,
    "Others can read or write the store": open_to_others,
    "Strange files or links lie among the addresses": litter,
}


@pytest.mark.parametrize("heading", recipes())
def test_a_recipe_helps(tmp_path: Path, heading: str) -> None:
    accident = ACCIDENTS[heading]
    if heading == "The disk is full":
        from small_disk import MIB, fill, mounted

        with mounted(tmp_path / "disk", 4 * MIB) as disk:
            prepare(disk / "store")
            fill(disk)
            follow(heading, tmp_path, disk / "store")
        return
    prepare(tmp_path / "store")
    accident(tmp_path / "store")
    follow(heading, tmp_path, tmp_path / "store")


def prepare(root: Path) -> None:
    with pronto_lmdb.open(root) as store:
        store["alice.research"]["plan"] = "read the paper"
        store["bob.research"]["plan"] = "write the paper"
        for level in ("off", "full"):  # leaves a base
            store.set_durability("alice.research", level)
        store["alice.research"]["hits"] = 1


def follow(heading: str, place: Path, root: Path) -> None:
    """Run the session of a recipe and compare what it prints."""
    printed, shown = [], []
    for command, output in commands(recipes()[heading]):
        done = subprocess.run(
            ["sh", "-c", SHELL + command],
            cwd=place,
            env={**os.environ, "PRONTO_ROOT": str(root), "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        printed.append((command, done.stdout))
        shown.append((command, output))
        assert "Traceback" not in done.stderr
    assert printed == shown


def incomplete(text: str) -> list[str]:
    """Return what keeps a document from being run as a whole."""
    found = sections(text)
    headings = [heading for heading, _ in found]
    bare = [heading for heading, part in found if len(sessions(part)) != 1 or not commands(sessions(part)[0])]
    lone = [heading for heading in headings if heading not in ACCIDENTS]
    left = [heading for heading in ACCIDENTS if heading not in headings]
    twice = [heading for heading in set(headings) if headings.count(heading) > 1]
    hidden = re.findall(r"^ *(?:```(?!console$|$).*|~~~.*|#{3,} .*)$", text, re.MULTILINE)
    return [*bare, *lone, *left, *twice, *hidden]


def test_every_recipe_has_its_accident_and_one_session_that_is_run() -> None:
    assert incomplete(TEXT) == []
    assert len(recipes()) == len(ACCIDENTS) == TEXT.count("\n## ") == TEXT.count("\n```console\n")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("## Something new\n\n```console\n$ pronto check\n```\n", "Something new"),
        ("## The disk is full\n\nNothing.\n", "The disk is full"),
        ("## The disk is full\n\n```console\n$ pronto check\n```\n", "The disk is full"),
        ("### A smaller one\n", "### A smaller one"),
        ("```sh\npronto check\n```\n", "```sh"),
        ("```console\n$ pronto check\n```\n", "Strange files or links lie among the addresses"),
    ],
)
def test_a_recipe_that_is_not_run_is_noticed(more: str, told: str) -> None:
    assert told in incomplete(f"{TEXT}\n{more}")
    assert incomplete(TEXT.replace("## The disk is full\n", "## The disc is full\n")) == [
        "The disc is full",
        "The disk is full",
    ]
