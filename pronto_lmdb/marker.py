"""The marker: proof that the view of a keystore belongs to this boot of the system, and to this place on this disk.

A view is never flushed, so after a power loss it may be torn, and a torn view aborts the process that opens it. The
marker is written last when a view is made, and names what no copy and no reboot keeps: the boot, the device and the
inode of the data file.

While nobody uses it the marker is *sealed*, too: it says when the file was changed last. Whoever writes breaks the seal
first, and whoever is the last to leave seals it anew. So a file that anybody else has touched meanwhile is noticed
without a look at its pages, and LMDB never gets it.
"""

from __future__ import annotations

import os
import sys

from pronto_lmdb.data_files import DATA_FILE, seal_of
from pronto_lmdb.files import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.directory import Directory

MARKER = "marker"
BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id"

_DOUBT = b"doubtful\n"

_known_boot: list[str | None] = []


def boot_id() -> str | None:
    """Return what names this boot of the system, the same for all processes; ``None`` where nothing does."""
    if not _known_boot:
        _known_boot.append(_read_boot_id())
    return _known_boot[0]


def _read_boot_id() -> str | None:
    if sys.platform == "darwin":
        from subprocess import run

        return run(["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True).stdout.strip()
    try:
        with open(BOOT_ID_FILE, "rb") as file:  # as bytes: a text file would import a codec
            return file.read().decode("ascii").strip() or None
    except OSError:
        return None


# How far a view can be trusted: not at all, only beside others who use it, or fully.
LOST = 0
DOUBTFUL = 1
TRUSTED = 2


def trust(directory: Directory) -> int:
    """Tell whether the view in a directory was made in this boot, here, and whether all of it could be written since.

    Returns:
        LOST, DOUBTFUL or TRUSTED.

    """
    # In this order: who writes breaks the seal first, so a file that has changed means that the seal is broken by now.
    boot, file = boot_id(), directory.stat(DATA_FILE)
    if boot is None or file is None:
        return LOST
    expected, found = marker_content(boot, file), directory.read(MARKER)
    if found is None or not found.startswith(expected):
        return LOST
    rest = found[len(expected) :]
    if not rest or rest == seal_of(file):
        return TRUSTED
    return DOUBTFUL if rest == _DOUBT else LOST


def is_of_this_boot(directory: Directory) -> bool:
    """Tell whether the view was made in this boot, here; it may have been touched since."""
    boot, file, found = boot_id(), directory.stat(DATA_FILE), directory.read(MARKER)
    if boot is None or found is None:
        return False
    return found.startswith(f"{boot} ".encode() if file is None else marker_content(boot, file))


def condemn(directory: Directory) -> None:
    """Say that a view must not be used any more; nobody is inside."""
    content = directory.read(MARKER)
    if content is not None:
        directory.write(MARKER, content + b"lost\n")


def doubt(directory: Directory) -> None:
    """Note that the system could not write all of a view to the disk: it is good only as long as it is in memory.

    Whoever has it open goes on, others may join them, and whoever comes when nobody is inside makes it anew.
    """
    content = directory.read(MARKER)
    if content is not None and not content.endswith(_DOUBT):
        directory.write(MARKER, content + _DOUBT)


def mark(directory: Directory) -> None:
    """Vouch for the view in a directory, which is whole now; nobody else is inside."""
    boot, file = boot_id(), directory.stat(DATA_FILE)
    if boot is not None and file is not None:
        directory.write(MARKER, marker_content(boot, file) + seal_of(file))


def mark_next(directory: Directory, inside: str) -> None:
    """Vouch for a view that is whole now and will take the place of the one that others use.

    Args:
        directory: whose.
        inside: where the next view is below that, with a slash at the end.

    """
    boot, file = boot_id(), directory.stat(inside + DATA_FILE)
    if boot is not None and file is not None:
        directory.write(inside + MARKER, marker_content(boot, file))


def fits(directory: Directory, marker: str) -> bool:
    """Tell whether a marker, wherever it lies, vouches for the view that a directory has now."""
    boot, file, content = boot_id(), directory.stat(DATA_FILE), directory.read(marker)
    return boot is not None and file is not None and content == marker_content(boot, file)


def unseal(directory: Directory) -> None:
    """Say, before anything is written to a view, that it may change from here on. That needs no room on the disk."""
    boot, file = boot_id(), directory.stat(DATA_FILE)
    if boot is None or file is None:
        return
    content = marker_content(boot, file)
    found = directory.read(MARKER)
    if found is not None and found == content + seal_of(file):
        try:
            descriptor = directory.open(MARKER, os.O_WRONLY)
        except FileNotFoundError:  # removed by hand just now: then nothing vouches for the view any more
            return
        try:
            os.ftruncate(descriptor, len(content))
        finally:
            os.close(descriptor)


def seal(directory: Directory) -> None:
    """Say that nobody changes the view of a directory any more; nobody is inside, and all that is said of it holds."""
    boot, file = boot_id(), directory.stat(DATA_FILE)
    if boot is None or file is None or directory.read(MARKER) != marker_content(boot, file):
        return
    descriptor = directory.open(MARKER, os.O_WRONLY)
    try:
        write_all(descriptor, seal_of(file), len(marker_content(boot, file)))
    finally:
        os.close(descriptor)


def marker_content(boot: str, file: os.stat_result) -> bytes:
    """Return how a marker begins that vouches for a data file, given what the system knows about it."""
    return f"{boot} {file.st_dev} {file.st_ino}\n".encode()
