"""`selftest`: what works is said to work, and what does not fails."""

from __future__ import annotations

import errno
import json
import os
from collections import namedtuple

import pytest

import pronto_lmdb
from pronto_cli import probes
from pronto_cli.handlers import selftest

NAMES = [name for name, _ in probes.PROBES]


def outcomes(done):
    return {row["probe"]: row["status"] for row in map(json.loads, done.lines)}


def test_every_probe_succeeds_here_and_nothing_is_left_behind(root, store, pronto):
    store["alice"]["plan"] = 1
    before = sorted(path.name for path in root.iterdir())
    done = pronto("selftest", "--seconds", "0")
    assert done.code == 0
    assert [line.split("  ")[0].strip() for line in done.lines] == ["ok"] * len(NAMES)
    assert done.err == f"{root} can be relied on.\n"
    assert sorted(path.name for path in root.iterdir()) == before


def test_where_there_is_no_store_it_makes_none(root, pronto):
    assert pronto("selftest", "--seconds", "0").code == 0
    assert not root.exists()


def test_as_json_each_probe_is_an_object(ok):
    done = ok("selftest", "--seconds", "0", "--json")
    assert outcomes(done) == dict.fromkeys(NAMES, "ok")


def test_it_measures_for_as_long_as_told(pronto):
    (speed,) = [line for line in pronto("selftest", "--seconds", "0.1").lines if " speed " in line]
    assert "x SQLite" in speed


@pytest.mark.parametrize("seconds", ["-1", "nan", "soon", "100"])
def test_it_takes_a_sensible_time_only(pronto, seconds):
    assert pronto("selftest", "--seconds", seconds).code == 64


def test_a_damaged_store_fails(root, store, pronto):
    store["alice"]["plan"] = 1
    (root / "addresses" / "stranger").mkdir()
    done = pronto("selftest", "--seconds", "0", "--json")
    assert done.code == 4
    assert {name for name, status in outcomes(done).items() if status != "ok"} == {"check"}


def test_a_directory_that_cannot_be_written_fails(tmp_path, monkeypatch, pronto):
    def refuse(**_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(selftest, "TemporaryDirectory", refuse)
    done = pronto("selftest", "--json")
    assert (done.code, outcomes(done)) == (4, {"directory": "failed"})


def no_lock(_):
    return None


def refused(*_, **__):
    raise OSError(errno.EPERM, "Operation not permitted")


Usage = namedtuple("Usage", "total used free")

# What is broken, and which probe must say so, how.
BROKEN = {
    "a full disk": (probes.shutil, "disk_usage", lambda _: Usage(1, 1, 1000), "free space", "failed"),
    "a small disk": (probes.shutil, "disk_usage", lambda _: Usage(1, 1, 500 << 20), "free space", "warning"),
    "locks that hold nobody off": (probes, "try_lock", no_lock, "locking", "failed"),
    "locks that are never given back": (probes, "unlock", no_lock, "locking", "failed"),
    "no hard links": (os, "link", refused, "hard links", "warning"),
    "no renaming of directories": (os, "rename", refused, "rename", "failed"),
    "flushes that fail": (os, "fsync", refused, "flush", "failed"),
    "slow flushes": (probes, "_SLOW_FLUSH", 0, "flush", "warning"),
    "memory that is not shared": (probes, "_READ_MAP", "print('other')", "shared memory", "failed"),
    "few files": (probes, "_NEEDED_DESCRIPTORS", 1 << 40, "limits", "failed"),
    "some files": (probes, "_GOOD_DESCRIPTORS", 1 << 40, "limits", "warning"),
    "no names of boots": (probes, "boot_id", lambda: "", "boots", "warning"),
    "a process that cannot write": (probes, "_WRITE_ON", "print('no')", "isolation", "failed"),
    "writes that are lost": (
        probes,
        "_COUNT_UP",
        "[print(n, flush=True) for n in range(99)]",
        "killed writer",
        "failed",
    ),
    "snapshots that are damaged": (
        pronto_lmdb.Store,
        "verify",
        lambda *_, **__: pronto_lmdb.Report(ok=False, problems=[pronto_lmdb.Problem(None, "damaged")]),
        "backup and restore",
        "failed",
    ),
    "a restore that brings nothing back": (
        pronto_lmdb.Store,
        "restore",
        lambda *_, **__: [],
        "backup and restore",
        "failed",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_broken_is_found(root, tmp_path, monkeypatch, broken):
    module, name, replacement, probe, status = BROKEN[broken]
    monkeypatch.setattr(module, name, replacement)
    found, detail = selftest._outcome(dict(probes.PROBES)[probe], probes.Site(str(root), str(tmp_path), 0))
    assert (found, bool(detail)) == (status, True)


def test_a_process_that_hangs_is_not_waited_for_for_ever(root, tmp_path, monkeypatch):
    monkeypatch.setattr(probes, "_READ_MAP", "import time; time.sleep(1000)")
    monkeypatch.setattr(probes, "_PATIENCE", 0.2)
    site = probes.Site(str(root), str(tmp_path), 0)
    assert selftest._outcome(probes.shared_memory, site) == ("failed", "a process has hung for 0.2 s.")


def test_a_store_that_others_may_enter_is_worth_a_warning(root, tmp_path):
    root.mkdir(mode=0o755)
    root.chmod(0o755)
    site = probes.Site(str(root), str(tmp_path), 0)
    assert selftest._outcome(probes.permissions, site)[0] == "warning"
    root.chmod(0o700)
    assert selftest._outcome(probes.permissions, site)[0] == "ok"


def test_a_warning_fails_nothing(monkeypatch, pronto):
    monkeypatch.setattr(probes, "boot_id", lambda: "")
    done = pronto("selftest", "--seconds", "0", "--json")
    assert (done.code, outcomes(done)["boots"]) == (0, "warning")
