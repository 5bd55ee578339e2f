"""How far long work has come: a bar on standard error, where that is a terminal."""

from __future__ import annotations

from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from pronto_cli.streams import Streams

_WIDTH = 30
_PAUSE = 0.1


class Progress:
    """A bar that goes away in the end. Use it in a ``with`` block.

    Args:
        streams: where to show it.
        title: what is being done.

    """

    def __init__(self, streams: Streams, title: str) -> None:
        self._streams = streams
        self._title = title
        self._next = monotonic() + _PAUSE  # what is done at once needs no bar
        self._drawn = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._streams.draw("\r" + " " * self._drawn + "\r")

    def show(self, done: int, total: int) -> None:
        """Show that so many of all are done."""
        if monotonic() < self._next:
            return
        self._next = monotonic() + _PAUSE
        full = _WIDTH * done // (total or 1)
        text = f"{self._title} [{'#' * full}{'.' * (_WIDTH - full)}] {done}/{total}"
        if self._streams.draw("\r" + text):
            self._drawn = len(text)
