"""Where a command reads and writes: data to stdout, everything else to stderr, both as bytes."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO


class Streams:
    """The three streams of a process, or of a test. Text is written as UTF-8, whatever the locale.

    Args:
        stdin: what is piped in; ``None`` where it is closed.
        stdout: for data; ``None`` where it is closed.
        stderr: for errors, notes and questions; ``None`` where it is closed.

    Attributes:
        notes: whether to tell what went well.

    """

    __slots__ = ("_stderr", "_stdin", "_stdout", "notes")

    def __init__(self, stdin: BinaryIO | None, stdout: BinaryIO | None, stderr: BinaryIO | None) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._stderr = stderr
        self.notes = True

    @classmethod
    def standard(cls) -> Streams:
        """Return the streams of the process."""
        found: list[Any] = []
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            if stream is None:
                # Taken, so that no data file is opened under the number that others take for a standard stream.
                os.open(os.devnull, os.O_RDWR)
            found.append(None if stream is None else stream.buffer)
        stdin, stdout, stderr = found
        if isinstance(stdout, io.RawIOBase):  # PYTHONUNBUFFERED: every line would be written on its own
            stdout = io.BufferedWriter(io.FileIO(stdout.fileno(), "wb", closefd=False))
        return cls(stdin, stdout, stderr)

    # -- reading -----------------------------------------------------------------------------------------------

    @property
    def piped(self) -> bool:
        """Whether there is a standard input that is no terminal."""
        return self._stdin is not None and not self._stdin.isatty()

    @property
    def interactive(self) -> bool:
        """Whether somebody is there to be asked."""
        return _is_terminal(self._stdin) and _is_terminal(self._stderr)

    def read(self) -> bytes:
        """Return standard input to its end, verbatim."""
        if self._stdin is None:
            raise OSError(errno.EBADF, "Standard input is closed")
        with _named("standard input"):
            return self._stdin.read()

    def confirm(self, question: str) -> bool:
        """Ask a question on the terminal; anything but yes is no."""
        assert self._stdin is not None
        self._write_error(f"{question} [y/N] ")
        return self._stdin.readline().strip().lower() in (b"y", b"yes")

    # -- writing -----------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Write data to standard output."""
        if self._stdout is None:
            raise OSError(errno.EBADF, "Standard output is closed")
        with _named("standard output"):
            self._stdout.write(data)

    def line(self, text: str) -> None:
        """Write one line of text to standard output."""
        # Names of files may hold bytes that are not UTF-8: they go out as they came in.
        self.write(text.encode("utf-8", "surrogateescape") + b"\n")

    def flush(self) -> None:
        """Write out what is still in a buffer.

        Raises:
            OSError: if that is not possible, such as BrokenPipeError.

        """
        if self._stdout is not None:
            with _named("standard output"):
                self._stdout.flush()

    def settle(self) -> None:
        """Flush, and if that fails give up standard output: the interpreter would try again and complain."""
        try:
            self.flush()
        except OSError:
            with suppress(OSError), open(os.devnull, "wb") as nowhere:  # a stream of a test has no descriptor
                assert self._stdout is not None
                os.dup2(nowhere.fileno(), self._stdout.fileno())

    def note(self, text: str) -> None:
        """Tell what was done, unless that is not wanted."""
        if self.notes:
            self.tell(text)

    def tell(self, text: str) -> None:
        """Write a line to standard error."""
        self._write_error(f"{text}\n")

    def draw(self, text: str) -> bool:
        """Write to standard error as it is, if that is a terminal and notes are wanted; tell whether it was."""
        shown = self.notes and _is_terminal(self._stderr)
        if shown:
            self._write_error(text)
        return shown

    def red(self, text: str) -> str:
        """Return text in red where standard error shows colours and nobody minds."""
        shown = _is_terminal(self._stderr) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return f"\x1b[31m{text}\x1b[0m" if shown else text

    def _write_error(self, text: str) -> None:
        if self._stderr is not None:
            with suppress(OSError):  # there is nowhere left to say so
                self._stderr.write(text.encode("utf-8", "backslashreplace"))
                self._stderr.flush()


@contextmanager
def _named(stream: str) -> Iterator[None]:
    """Say in an error which stream it is about."""
    try:
        yield
    except OSError as error:
        error.filename = stream
        raise


def _is_terminal(stream: BinaryIO | None) -> bool:
    return stream is not None and stream.isatty()
