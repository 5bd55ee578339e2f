"""Threads that write to one address at the same time, as one group where a test wants that."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from pronto_lmdb.line import Turn
from pronto_lmdb.pool import pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pronto_lmdb import Keystore
    from pronto_lmdb.line import Line

PATIENCE = 30.0


def line_of(keystore: Keystore) -> Line:
    """The line of those who want to write to an open address."""
    for environment in pool.environments():
        if environment.home is not None and environment.home.identity.address == str(keystore.address):
            return environment.line  # type: ignore[attr-defined, no-any-return]
    raise AssertionError(f"{keystore.address} is not open")


def wait_until(condition: Callable[[], object]) -> None:
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, "what was waited for did not come about"
        sleep(0.001)


class Crowd:
    """One thread for each work, and what came of it.

    Attributes:
        outcomes: what each work returned or raised, by its number.

    """

    def __init__(self, works: Sequence[Callable[[], object]]) -> None:
        self.outcomes: dict[int, Any] = {}
        self._threads = [threading.Thread(target=self._do, args=item) for item in enumerate(works)]

    def _do(self, number: int, work: Callable[[], object]) -> None:
        try:
            self.outcomes[number] = work()
        except BaseException as error:
            self.outcomes[number] = error

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> list[Any]:
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in self._threads), "somebody still waits"
        return [self.outcomes[number] for number in range(len(self._threads))]


@contextmanager
def gathered(keystore: Keystore, works: Sequence[Callable[[], object]]) -> Iterator[Crowd]:
    """Let works come together behind a transaction, which ends with the block: one is in front, the others wait."""
    crowd = Crowd(works)
    with keystore.transaction():
        line = line_of(keystore)
        for number, thread in enumerate(crowd._threads):
            thread.start()
            # One after the other, so that they stand in the order of the works.
            wait_until(lambda number=number: line._front and len(line._waiting) == number)
        yield crowd


def together(keystore: Keystore, works: Sequence[Callable[[], object]]) -> list[Any]:
    """Run works as one group, in their order; return what each returned or raised."""
    home = keystore._opened()
    assert home is not None
    crowd, line = Crowd(works), line_of(keystore)
    front = Turn(line, home, ())
    assert line.enter(front.ticket)
    for number, thread in enumerate(crowd._threads):
        thread.start()
        wait_until(lambda number=number: len(line._waiting) == number + 1)
    line.leave(front.ticket)
    return crowd.join()
