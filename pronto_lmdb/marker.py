"""The marker: proof that the view of a keystore belongs to this boot of the system, and to this place on this disk.

A view is never flushed, so after a power loss it may be torn, and a torn view aborts the process that opens it. The
marker is written last when a view is made, and names what no copy and no reboot keeps: the boot, the device and the
inode of the data file.
"""

from __future__ import annotations

import sys

from pronto_lmdb.data_files import DATA_FILE

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
        with open(BOOT_ID_FILE, encoding="ascii") as file:
            return file.read().strip() or None
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
    boot, file = boot_id(), directory.stat(DATA_FILE)
    if boot is None or file is None:
        return LOST
    expected, found = marker_content(boot, file), directory.read(MARKER)
    if found == expected:
        return TRUSTED
    return DOUBTFUL if found == expected + _DOUBT else LOST


def doubt(directory: Directory) -> None:
    """Note that the system could not write all of a view to the disk: it is good only as long as it is in memory.

    Whoever has it open goes on, others may join them, and whoever comes when nobody is inside makes it anew.
    """
    content = directory.read(MARKER)
    if content is not None and not content.endswith(_DOUBT):
        directory.write(MARKER, content + _DOUBT)


def mark(directory: Directory, inside: str = "") -> None:
    """Vouch for a view, which is whole now.

    Args:
        directory: where it is.
        inside: where it is below that, with a slash at the end.

    """
    boot, file = boot_id(), directory.stat(inside + DATA_FILE)
    if boot is not None and file is not None:
        directory.write(inside + MARKER, marker_content(boot, file))


def fits(directory: Directory, marker: str) -> bool:
    """Tell whether a marker, wherever it lies, vouches for the view that a directory has now."""
    boot, file, content = boot_id(), directory.stat(DATA_FILE), directory.read(marker)
    return boot is not None and file is not None and content == marker_content(boot, file)


def marker_content(boot: str, file: object) -> bytes:
    """Return what the marker says that vouches for a data file, given what the system knows about it."""
    return f"{boot} {file.st_dev} {file.st_ino}\n".encode()  # type: ignore[attr-defined]
