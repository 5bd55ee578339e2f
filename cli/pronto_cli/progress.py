"""How far a long command has come: a line on standard error that is written over and over, and is gone at the end.

It is shown only where standard error is a terminal, and notes are wanted.
"""

from __future__ import annotations

from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from pronto_cli.streams import Streams

_EVERY_SECONDS = 0.1
_WIDTH = 20


class Progress:
    """How much is done. Use it in a ``with`` block.

    Args:
        streams: where to show it.

    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._shown = False
        self._next = monotonic() + _EVERY_SECONDS  # what is done at once needs no bar

    def show(self, what: str, done: int = 0, total: int = 0) -> None:
        """Show what is being done and how much of it is, unless something was shown a moment ago.

        Args:
            what: in a few words.
            done: how much; of what does not matter.
            total: how much there is of it; 0 where nobody knows.

        """
        if monotonic() < self._next:
            return
        self._next = monotonic() + _EVERY_SECONDS
        self._draw(f"{_bar(done, total)} {min(1.0, done / total):4.0%}  {what}" if total else what)

    def clear(self) -> None:
        """Take the line away, so that something else can be printed."""
        if self._shown:
            self._streams.overwrite("")
            self._shown = False

    def _draw(self, text: str) -> None:
        if self._streams.shows_progress:
            self._streams.overwrite(text)
            self._shown = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


class Steps(Progress):
    """Which of several parts is being done. Call :meth:`step` before each, in a ``with`` block.

    Args:
        streams: where to show it.
        total: how many parts there are.

    """

    def __init__(self, streams: Streams, total: int) -> None:
        super().__init__(streams)
        self._total = total
        self._done = 0

    def step(self, what: str) -> None:
        """Show which part begins now, at once."""
        self._draw(f"{_bar(self._done, self._total)} {self._done}/{self._total} {what}")
        self._done += 1


def _bar(done: int, total: int) -> str:
    filled = _WIDTH * min(done, total) // max(total, 1)
    return f"[{'#' * filled}{'-' * (_WIDTH - filled)}]"
