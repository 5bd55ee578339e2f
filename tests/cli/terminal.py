"""A program on a pseudo-terminal, and what it shows there."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATIENCE = 60.0


class Terminal:
    """A program whose standard streams are a terminal.

    Args:
        command: the words of the program.
        environment: its variables.
        piped: standard output is a pipe instead.

    """

    def __init__(self, command: list[str], environment: dict[str, str], *, piped: bool = False) -> None:
        self._screen, side = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            command,
            env={**environment, "TERM": "xterm"},
            stdin=side,
            stdout=subprocess.PIPE if piped else side,
            stderr=side,
            start_new_session=True,
        )
        os.close(side)

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._screen, text.encode())

    def wait_for(self, met: str | Callable[[str], bool]) -> str:
        """Read until a text is shown, or a condition met; return all that was shown."""
        deadline = monotonic() + _PATIENCE
        while not (met in self.shown if isinstance(met, str) else met(self.shown)):
            assert monotonic() < deadline, f"waited in vain for {met!r}: {self.shown!r}"
            if not self._read(0.5) and self.process.poll() is not None:
                break
        return self.shown

    def end(self) -> tuple[int, str]:
        """Wait for the end of the program; return its exit code and all that was shown."""
        for _ in iter(lambda: self._read(0.2) or self.process.poll() is None, False):
            pass
        return self.process.wait(_PATIENCE), self.shown.replace("\r\n", "\n")

    def _read(self, seconds: float) -> bool:
        if not select.select([self._screen], [], [], seconds)[0]:
            return False
        try:
            found = os.read(self._screen, 65536)
        except OSError:  # the program has closed its side
            return False
        self.shown += found.decode(errors="replace")
        return bool(found)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(_PATIENCE)
        if self.process.stdout:
            self.process.stdout.close()
        os.close(self._screen)


def frames(shown: str) -> Iterator[str]:
    """Yield what a line that is drawn over and over has shown."""
    drawn = (frame.removeprefix("\x1b[K") for frame in shown.replace("\n", "\r").split("\r"))
    return (frame for frame in drawn if frame.startswith("["))
