"""Who holds a lock: asked only when somebody has waited for it in vain, so that taking it costs nothing."""

from __future__ import annotations

import os

LOCKS = "/proc/locks"


def holders(descriptor: int) -> list[int]:
    """Return the numbers of the processes that hold an open file locked, as far as the system tells.

    It does not tell in a container whose processes have other numbers than those of the one who holds the lock.
    """
    stat = os.fstat(descriptor)
    file = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"
    try:
        with open(LOCKS, encoding="ascii") as locks:
            rows = [line.split() for line in locks]
    except OSError:  # another system
        return []
    # Number, kind, "ADVISORY", READ or WRITE, process, file, from, to; who only waits has an arrow before the kind.
    found = {int(row[4]) for row in rows if len(row) == 8 and row[1] == "FLOCK" and row[5] == file}
    return sorted(pid for pid in found if pid > 0)


def named(descriptor: int) -> str:
    """Return who holds an open file locked, in words for people."""
    found = holders(descriptor)
    if not found:
        return "another process"
    if len(found) > 1:
        return f"the processes {', '.join(map(str, found))}"
    pid = found[0]
    return f"another handle of this process ({pid})" if pid == os.getpid() else f"process {pid}{_program(pid)}"


def _program(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return f" ({file.read().strip()})"
    except OSError:
        return ""


def thread_name(thread: int) -> str:
    """Return the name of a thread of this process in words, if anybody gave it one."""
    import sys

    threading = sys.modules.get("threading")
    found = None if threading is None else threading._active.get(thread)
    return "another thread" if found is None else f"the thread {found.name!r}"
