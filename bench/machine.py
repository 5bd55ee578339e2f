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


def written_bytes() -> int | None:
    """Return how many bytes of files this process has made the system write to a disk; ``None`` where nobody counts.

    The system counts a page when it becomes dirty, and takes it back when the file goes before it was written. Where
    pages were written together, it may keep them together and count all of them when one of them changes again; so this
    is an upper bound. What the file system writes for itself is not in it.
    """
    counters = dict(line.split(": ") for line in _text("/proc/self/io").splitlines())
    if "write_bytes" not in counters:
        return None
    return int(counters["write_bytes"]) - int(counters.get("cancelled_write_bytes", 0))


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
