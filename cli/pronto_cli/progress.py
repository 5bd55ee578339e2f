"""How far a long command has come, told on a terminal."""

from __future__ import annotations

from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pronto_cli.streams import Streams

_EVERY_SECONDS = 0.1
_WIDTH = 30


class Progress:
    """A line on the terminal that is written over and over, and is gone at the end.

    Args:
        streams: where to tell.
        total: bytes to pass; 0 where nobody knows.

    """

    def __init__(self, streams: Streams, total: int = 0) -> None:
        self._streams = streams
        self._shown = streams.shows_progress
        self._total = total
        self._passed = 0
        self._next = monotonic() + _EVERY_SECONDS

    def counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Pass pieces on and count their bytes."""
        for piece in pieces:
            self._passed += len(piece)
            yield piece

    def show(self, done: str) -> None:
        """Tell what is done, unless that was told a moment ago."""
        if not self._shown or monotonic() < self._next:
            return
        self._next = monotonic() + _EVERY_SECONDS
        part = min(1.0, self._passed / self._total) if self._total else 0.0
        bar = f"[{'#' * round(part * _WIDTH):<{_WIDTH}}] {part:4.0%}  " if self._total else ""
        self._streams.overwrite(f"{bar}{done}")

    def end(self) -> None:
        """Remove the line."""
        if self._shown:
            self._streams.overwrite("")
