"""A bar on standard error while something of several parts takes long; only on a terminal, and gone when it is done."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from pronto_cli.streams import Streams

_WIDTH = 20


class Steps:
    """Shows how many parts are done. Use it in a ``with`` block and call :meth:`step` before each part.

    Args:
        streams: where to show it, if there is a terminal and notes are wanted.
        total: how many parts there are.

    """

    def __init__(self, streams: Streams, total: int) -> None:
        self._streams = streams
        self._total = total
        self._done = 0
        self._shown = False

    def step(self, what: str) -> None:
        """Say which part begins now."""
        if self._streams.shows_progress:
            filled = _WIDTH * self._done // max(self._total, 1)
            bar = "#" * filled + "-" * (_WIDTH - filled)
            self._streams.overwrite(f"[{bar}] {self._done}/{self._total} {what}")
            self._shown = True
        self._done += 1

    def clear(self) -> None:
        """Take the bar away, so that something else can be printed."""
        if self._shown:
            self._streams.overwrite("")
            self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.clear()
