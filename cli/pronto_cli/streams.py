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

RED, GREEN, YELLOW = 31, 32, 33


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

    def printing_to(self, stdout: BinaryIO | None) -> Streams:
        """Return streams that print elsewhere, ``None`` for where these do, and have nothing to read."""
        streams = Streams(None, stdout or self._stdout, self._stderr)
        streams.notes = self.notes
        return streams

    # -- reading -----------------------------------------------------------------------------------------------

    @property
    def piped(self) -> bool:
        """Whether there is a standard input that is no terminal."""
        return self._stdin is not None and not self._stdin.isatty()

    @property
    def interactive(self) -> bool:
        """Whether somebody is there to be asked."""
        return _is_terminal(self._stdin) and _is_terminal(self._stderr)

    def source(self) -> BinaryIO:
        """Return standard input, to be read in pieces."""
        if self._stdin is None:
            raise OSError(errno.EBADF, "Standard input is closed")
        return self._stdin

    def read(self) -> bytes:
        """Return standard input to its end, verbatim."""
        source = self.source()
        with _named("standard input"):
            return source.read()

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

    @property
    def shows_progress(self) -> bool:
        """Whether somebody watches who wants to know how far a long command has come."""
        return self.notes and _is_terminal(self._stderr) and os.environ.get("TERM") != "dumb"

    def overwrite(self, text: str) -> None:
        """Write a text over the line of a terminal on which the cursor stands."""
        self._write_error(f"\r\x1b[K{text}")

    def red(self, text: str) -> str:
        """Return text in red where standard error shows colours and nobody minds."""
        return _coloured(text, RED, self._stderr)

    def tinted(self, text: str, colour: int) -> str:
        """Return text for standard output in a colour, where that shows colours and nobody minds."""
        return _coloured(text, colour, self._stdout)

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


def _coloured(text: str, colour: int, stream: BinaryIO | None) -> str:
    shown = _is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{colour}m{text}\x1b[0m" if shown else text
