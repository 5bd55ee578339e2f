"""What else changes files: file objects of the language, links, copies inside the kernel; and what nobody has taught.

``powercut_observer`` sees the calls of module ``os``. A file object writes past them, and so do ``shutil`` and the
kernel where they copy. Here each of these becomes calls that are seen; what cannot become one is refused, so that
nobody takes for tested what was not looked at.
"""

from __future__ import annotations

import builtins
import io
import os
from types import SimpleNamespace

REFUSED = ("symlink", "truncate", "writev", "pwritev", "mkfifo", "mknod", "splice")
_REAL = SimpleNamespace(open=builtins.open, **{name: getattr(os, name) for name in (*REFUSED, "pread", "stat")})
_MODE = 0o666


class SeenFile(io.FileIO):
    """A file whose writes go through module ``os``, and so past whoever stands in front of it."""

    def write(self, data):
        if "a" in self.mode:
            self.seek(0, os.SEEK_END)
        return os.write(self.fileno(), data)

    def truncate(self, size=None):
        size = self.tell() if size is None else size
        os.ftruncate(self.fileno(), size)
        return size


def _opener(path, flags):
    return os.open(path, flags, _MODE)


def seen_open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    """Open a file as ``open`` does, but such that its writes are seen."""
    if not set(mode) & set("wax+"):
        return _REAL.open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    raw = SeenFile(file, mode.replace("b", "").replace("t", ""), closefd, opener or _opener)
    if buffering == 0:
        return raw
    buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
    return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)


def sendfile(out_fd, in_fd, offset, count):
    """Copy as the call of the kernel does, by a write that is seen."""
    return os.write(out_fd, _REAL.pread(in_fd, count, offset))


def copy_file_range(src, dst, count, offset_src=None, offset_dst=None):
    """Copy as the call of the kernel does, by reads and writes that are seen."""
    data = os.read(src, count) if offset_src is None else _REAL.pread(src, count, offset_src)
    return os.write(dst, data) if offset_dst is None else os.pwrite(dst, data, offset_dst)


def install(device):
    """Take the place of all of these in this process.

    Args:
        device: the file system that is watched; what is refused is refused there only.

    """
    builtins.open = io.open = seen_open
    os.sendfile, os.copy_file_range = sendfile, copy_file_range
    for name in REFUSED:
        setattr(os, name, _refusal(name, device))


def _refusal(name, device):
    real = getattr(_REAL, name)

    def refuse(*arguments, **options):
        places = [_device_of(place) for place in arguments[:2]]
        assert device not in places, f"the simulator of power cuts does not know os.{name}: teach it"
        return real(*arguments, **options)

    return refuse


def _device_of(place):
    """Return the file system that a path or a descriptor is on, or would be; ``None`` for what is neither."""
    try:
        return _REAL.stat(place).st_dev
    except FileNotFoundError:
        return _REAL.stat(os.path.dirname(place) or ".").st_dev
    except (TypeError, OSError):
        return None
