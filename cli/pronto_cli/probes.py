"""What a store asks of a machine and of a disk, tried out one by one.

A probe is a function that gets a :class:`Site`, returns what it has found in a few words, and raises
:class:`ProbeFailed` where a store could not be relied on, or :class:`ProbeWarning` where it only works less well.
:data:`PROBES` lists them in the order in which they run.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from mmap import mmap
from statistics import median
from time import perf_counter

import pronto_lmdb
from pronto_cli.duel import Duel
from pronto_lmdb.files import try_lock, unlock
from pronto_lmdb.marker import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MEBIBYTE = 1 << 20
_NEEDED_SPACE = 64 * _MEBIBYTE
_GOOD_SPACE = 1024 * _MEBIBYTE
_NEEDED_DESCRIPTORS = 64
_GOOD_DESCRIPTORS = 1024
# The address space that one keystore reserves, and some room beside it.
_RESERVED_SPACE = 17 << 30
_FLUSHES = 20
_SLOW_FLUSH = 0.05
_NEIGHBOURS = 4
_ACKNOWLEDGED = 50
_KEPT = 50
_PATIENCE = 60.0


class ProbeFailed(Exception):  # noqa: N818 - the outcome of a probe, told by :mod:`pronto_cli.handlers.selftest`
    """A store could not be relied on here; the text says why, and what to do."""


class ProbeWarning(Exception):  # noqa: N818 - the same
    """A store works here, but less well; the text says why."""


class Site:
    """Where probes take place.

    Args:
        root: the store in question, which need not exist.
        directory: an empty directory on its disk, which is removed afterwards.
        seconds: how long to measure.

    """

    def __init__(self, root: str, directory: str, seconds: float) -> None:
        self.root = root
        self.directory = directory
        self.seconds = seconds

    def path(self, name: str) -> str:
        """Return the path of something in the directory."""
        return os.path.join(self.directory, name)

    def file(self, name: str, content: bytes = b"") -> str:
        """Write a file in the directory and return its path."""
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content)
        return path


# -- the disk ------------------------------------------------------------------------------------------------------


def permissions(site: Site) -> str:
    """Look whether only the owner may enter a store."""
    if not os.path.isdir(site.root):
        return "there is no store yet"
    found = os.stat(site.root)
    if hasattr(os, "getuid") and found.st_uid != os.getuid():
        raise ProbeWarning(f"{site.root} belongs to another user: use an account of its own for a store.")
    if sys.platform != "win32" and found.st_mode & 0o077:
        raise ProbeWarning(f"others may look into {site.root}: chmod 700 keeps them out.")
    return "only the owner may enter"


def space(site: Site) -> str:
    """Look whether there is room for a checkpoint, which writes a copy of an address."""
    free = shutil.disk_usage(site.directory).free
    if free < _NEEDED_SPACE:
        raise ProbeFailed(f"only {_size(free)} are free: make room, or choose another --root.")
    if free < _GOOD_SPACE:
        raise ProbeWarning(f"only {_size(free)} are free: each checkpoint writes a copy of its address.")
    return f"{_size(free)} free"


def locking(site: Site) -> str:
    """Try whether a lock keeps another process out, and goes with the process that held it."""
    path = site.file("lock")
    with open(path, "r+b") as mine:
        try_lock(mine.fileno())
        if _in_another_process(_TAKE_LOCK, path) != "taken":
            raise ProbeFailed("two processes hold the same lock: this file system cannot hold a store.")
        unlock(mine.fileno())
        if _in_another_process(_TAKE_LOCK, path) != "free":
            raise ProbeFailed("a lock that was given back still holds: this file system cannot hold a store.")
        try_lock(mine.fileno())  # that process has ended without giving it back
    return "between processes"


def shared_memory(site: Site) -> str:
    """Try whether a process sees what another one writes into a mapped file."""
    path = site.file("map", bytes(4096))
    with open(path, "r+b") as file, mmap(file.fileno(), 4096) as memory:
        memory[:4] = b"here"
        if _in_another_process(_READ_MAP, path) != "here":
            raise ProbeFailed(
                "processes see different contents of one file: a network file system cannot hold a store."
            )
    return "mapped files are shared"


def renaming(site: Site) -> str:
    """Try whether a file replaces another, and a directory in use can be renamed."""
    new, old = site.file("new", b"new"), site.file("old", b"old")
    os.replace(new, old)
    with open(old, "rb") as file:
        if file.read() != b"new" or os.path.exists(new):
            raise ProbeFailed("a rename did not replace the file: this file system cannot hold a store.")
    os.mkdir(site.path("before"))
    with open(os.path.join(site.path("before"), "open"), "wb"):
        try:
            os.rename(site.path("before"), site.path("after"))
        except OSError as error:
            raise ProbeFailed(
                f"a directory in use cannot be renamed ({error.strerror}): addresses could not."
            ) from error
    return "files and directories"


def hard_links(site: Site) -> str:
    """Try whether a file can have two names, which copies use to share what has not changed."""
    try:
        os.link(site.file("one"), site.path("other"))
    except OSError as error:
        raise ProbeWarning(f"there are none ({error.strerror}): copies take more room.") from error
    return "a file can have two names"


def flushing(site: Site) -> str:
    """Flush a file and a directory, and see how long the disk takes."""
    taken = []
    with open(site.file("flushed"), "r+b") as file:
        for _ in range(_FLUSHES):
            os.pwrite(file.fileno(), bytes(4096), 0)
            started = perf_counter()
            os.fsync(file.fileno())
            taken.append(perf_counter() - started)
    _flush_directory(site.directory)
    typical = median(taken)
    if typical > _SLOW_FLUSH:
        raise ProbeWarning(f"a flush takes {typical * 1e3:.0f} ms: durable writes are slow on this disk.")
    return f"{typical * 1e6:,.0f} us for a page"


def _flush_directory(path: str) -> None:
    if sys.platform == "win32":  # has no such call, and needs none
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
        raise ProbeFailed("a directory cannot be flushed: a power cut could take new addresses.") from error
    finally:
        os.close(descriptor)


# -- the process and the system ------------------------------------------------------------------------------------


def limits(_site: Site) -> str:
    """Look how many files a process may open, and how much address space it may reserve."""
    try:
        import resource
    except ImportError:
        return "this system names none"
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    memory = resource.getrlimit(resource.RLIMIT_AS)[0]
    if memory not in (-1, resource.RLIM_INFINITY) and memory < _RESERVED_SPACE:
        raise ProbeFailed(f"the address space is limited to {_size(memory)} (ulimit -v): lift that limit.")
    if files in (-1, resource.RLIM_INFINITY):
        return "none"
    if files < _NEEDED_DESCRIPTORS:
        raise ProbeFailed(f"a process may open only {files} files (ulimit -n): allow {_GOOD_DESCRIPTORS} or more.")
    if files < _GOOD_DESCRIPTORS:
        raise ProbeWarning(f"a process may open only {files} files (ulimit -n): fewer addresses stay open at once.")
    return f"{files:,} files at once"


def boots(_site: Site) -> str:
    """Look whether the system names its boots, by which files that a power cut may have torn are known."""
    if not boot_id():
        raise ProbeWarning("this system does not name its boots: one process at a time can use an address.")
    return "the system names them"


# -- stores --------------------------------------------------------------------------------------------------------


def isolation(site: Site) -> str:
    """Let processes write to addresses of their own, kill one, and see whether the others notice."""
    root = site.path("isolation")
    workers = [_start(_WRITE_ON, root, f"agent.n{number}") for number in range(_NEIGHBOURS)]
    try:
        for worker in workers:
            if not worker.stdout or worker.stdout.readline() != "writing\n":
                raise ProbeFailed("a process could not write to an address of its own: this disk cannot hold a store.")
        victim, *others = workers
        victim.kill()
        for worker in others:
            if _answer(worker, "stop\n") != "unharmed":
                raise ProbeFailed("a process was disturbed by the end of another: this system cannot share a store.")
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    with pronto_lmdb.open(root) as store:
        found = {str(info.address): dict(store[info.address]) for info in store.addresses()}
    if any(set(content.values()) - {address} for address, content in found.items()) or len(found) != _NEIGHBOURS:
        raise ProbeFailed("an address holds what was written to another: this system cannot share a store.")
    return f"{_NEIGHBOURS} processes, one killed"


def durability(site: Site) -> str:
    """Kill a process that writes, and see whether what was acknowledged to it is there."""
    root = site.path("durability")
    with _start(_COUNT_UP, root) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(_ACKNOWLEDGED)]
        writer.kill()
        told += writer.stdout.readlines()
    acknowledged = max((int(line) for line in told if line.endswith("\n")), default=0)
    with pronto_lmdb.open(root) as store:
        kept = store["agent"].increment("count", 0)
        problems = store.check(deep=True).problems
    if kept < acknowledged or acknowledged < _ACKNOWLEDGED or problems:
        raise ProbeFailed(f"after a kill {kept} of {acknowledged} acknowledged writes are there, problems: {problems}")
    return f"{acknowledged} writes, none lost by a kill"


def backup(site: Site) -> str:
    """Take a snapshot, lose what it holds, bring it back, and compare."""
    expected = {f"key{number}": [number, "text", bytes(1000)] for number in range(_KEPT)}
    with pronto_lmdb.open(site.path("backup")) as store:
        store["agent"].update(expected)
        snapshot = store.backup()
        if problems := store.verify(snapshot, deep=True).problems:
            raise ProbeFailed(f"a snapshot is damaged as soon as it is taken: {problems[0]}")
        store["agent"].update(dict.fromkeys(expected))
        store.restore(snapshot, overwrite=True)
        if dict(store["agent"]) != expected:
            raise ProbeFailed("what was brought back from a snapshot is not what was in it.")
    return f"{_KEPT} records, brought back as they were"


def check(site: Site) -> str:
    """Check the store itself."""
    if not os.path.isdir(site.root):
        return "there is no store yet"
    with pronto_lmdb.open(site.root) as store:
        problems = store.check().problems
        count = sum(1 for _ in store.addresses())
    if problems:
        raise ProbeFailed(f"{len(problems)} problems, the first: {problems[0]}; `pronto check` lists all.")
    return f"addresses: {count}, problems: none"


def speed(site: Site) -> str:
    """Measure, beside SQLite."""
    if not site.seconds:
        return "not measured"
    os.mkdir(site.path("speed"))
    with Duel(site.path("speed"), site.seconds) as duel:
        figures = [f"{figure.name} {figure.pronto:,.0f}/s ({figure.ratio:.1f} x SQLite)" for figure in duel.figures()]
    return ", ".join(figures)


PROBES: tuple[tuple[str, Callable[[Site], str]], ...] = (
    ("permissions", permissions),
    ("free space", space),
    ("locking", locking),
    ("shared memory", shared_memory),
    ("rename", renaming),
    ("hard links", hard_links),
    ("flush", flushing),
    ("limits", limits),
    ("boots", boots),
    ("isolation", isolation),
    ("killed writer", durability),
    ("backup and restore", backup),
    ("check", check),
    ("speed", speed),
)


# -- other processes -----------------------------------------------------------------------------------------------

_TAKE_LOCK = """
from pronto_lmdb.files import try_lock
file = open(sys.argv[1], "r+b")
try:
    try_lock(file.fileno())
    print("free")
except (BlockingIOError, PermissionError):
    print("taken")
"""

_READ_MAP = """
from mmap import mmap
with open(sys.argv[1], "r+b") as file, mmap(file.fileno(), 4096) as memory:
    print(memory[:4].decode())
"""

_WRITE_ON = """
import pronto_lmdb, threading
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
with pronto_lmdb.open(sys.argv[1]) as store:
    mine, number = store[sys.argv[2]], 0
    while not stop.is_set():
        mine[f"key{number % 50}"] = sys.argv[2]
        number += 1
        if number == 1:
            print("writing", flush=True)
    print("unharmed" if set(mine.values()) == {sys.argv[2]} else "disturbed", flush=True)
"""

_COUNT_UP = """
import pronto_lmdb
with pronto_lmdb.open(sys.argv[1]) as store:
    while True:
        print(store["agent"].increment("count", 1), flush=True)
"""


def _start(program: str, *arguments: str) -> subprocess.Popen[str]:
    # The paths of this process, so that the same release is found however it was installed.
    paths = "import sys; sys.path[:] = sys.argv.pop().split(chr(10))\n"
    return subprocess.Popen(  # noqa: S603 - these programs, and no others
        [sys.executable, "-c", paths + program, *arguments, "\n".join(sys.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def _in_another_process(program: str, *arguments: str) -> str:
    with _start(program, *arguments) as process:
        return _answer(process, "")


def _answer(process: subprocess.Popen[str], question: str) -> str:
    """Return what a process prints to its end."""
    try:
        return process.communicate(question, timeout=_PATIENCE)[0].strip()
    except subprocess.TimeoutExpired:
        process.kill()
        raise ProbeFailed(f"a process has hung for {_PATIENCE:g} s.") from None


def _size(count: int) -> str:
    return f"{count / (1 << 30):,.1f} GiB" if count >= 1 << 30 else f"{count / _MEBIBYTE:,.0f} MiB"
