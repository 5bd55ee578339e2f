"""The facts without which a figure means nothing: machine, kernel, file system, versions, commit."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import subprocess
from importlib import metadata
from typing import Any

import lmdb

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Where a flush is no flush: figures of durable writes mean nothing there.
MEMORY_FILE_SYSTEMS = frozenset(["tmpfs", "ramfs", "devtmpfs"])
_PACKAGES = (
    "lmdb", "msgpack", "typer", "diskcache", "sqlitedict", "rocksdict", "plyvel", "redis", "matplotlib",
)  # fmt: skip
# Of the counters that Linux keeps for each disk (Documentation/block/stat.rst).
_WRITTEN_SECTORS = 6
_SECTOR = 512


def facts(directory: str) -> dict[str, Any]:
    """Return what is known about this machine and about the file system of a directory; no names, no paths."""
    kind, options = file_system(directory)
    return {
        "machine": {
            "architecture": platform.machine(),
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "memory_gb": _memory_gb(),
        },
        "kernel": f"{platform.system()} {platform.release()}",
        "file_system": {"type": kind, "options": options},
        "versions": versions(),
        "commit": commit(),
    }


def file_system(directory: str) -> tuple[str, str]:
    """Return the type and the mount options of the file system that holds a directory."""
    path = os.path.realpath(directory)
    best = ("", "unknown", "")
    for line in _text("/proc/mounts").splitlines():
        _, point, kind, options = line.split(" ")[:4]
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, kind, options)
    return best[1], best[2]


def versions() -> dict[str, str]:
    """Return the versions of everything that was, or could have been, measured."""
    found = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    found["lmdb engine"] = ".".join(map(str, lmdb.version()))
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    server = shutil.which("redis-server")
    found["redis-server"] = _server_version(server) if server else "not installed"
    return found


def commit() -> str:
    """Return the commit of the repository, with ``+`` where files differ from it; empty outside of one."""
    head = _output(["git", "-C", REPOSITORY, "rev-parse", "--short=12", "HEAD"])
    changed = _output(["git", "-C", REPOSITORY, "status", "--porcelain", "--", "pronto_lmdb", "cli", "bench"])
    return f"{head}+" if head and changed else head


def memory_mb() -> float:
    """Return the resident memory of this process in megabytes."""
    for line in _text("/proc/self/status").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def written_bytes(path: str) -> int | None:
    """Return how many bytes the disk below a directory was given to write so far; ``None`` where nobody counts.

    By whomever, so it is a figure for an otherwise idle machine. What the file system writes for itself is in it. A
    process's own counter would not do: it counts all pages that were written together when one of them changes again.
    """
    device = os.stat(path).st_dev
    counters = _text(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").split()
    return int(counters[_WRITTEN_SECTORS]) * _SECTOR if counters else None


def _server_version(server: str) -> str:
    found = re.search(r"v=(\S+)", _output([server, "--version"]))
    return found[1] if found else "unknown"


def _processor() -> str:
    for line in _text("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _memory_gb() -> float:
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return round(int(line.split()[1]) / 1024**2, 1)
    return 0.0


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
