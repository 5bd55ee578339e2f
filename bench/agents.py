"""Processes that play agents: started once, they take tasks, begin them at the same moment and report back."""

from __future__ import annotations

import multiprocessing
import traceback
from array import array
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

PATIENCE = 300.0
# Enough for every agent to be awake and waiting when the common start comes.
_LEAD = 0.05
_READY, _DONE, _FAILED = "ready", "done", "failed"


@dataclass
class Outcome:
    """What one agent did between the common start and the end.

    Attributes:
        latencies: nanoseconds of each operation.
        elapsed: seconds from the start to its last operation.
        refused: how often the engine told it to try again.
        figures: whatever else the task measured.

    """

    latencies: array[int] = field(default_factory=lambda: array("q"))
    elapsed: float = 0.0
    refused: int = 0
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Operations per second."""
        return len(self.latencies) / self.elapsed


class Task(Protocol):
    """Work for one agent; it travels to its process by pickling."""

    def prepare(self) -> None:
        """Open what is needed, before the common start."""
        ...

    def run(self, until: float) -> Outcome:
        """Work until a moment of :func:`time.monotonic`."""
        ...

    def finish(self) -> None:
        """Check what was written, and close."""
        ...


class AgentError(Exception):
    """An agent failed; its traceback is the message."""


class Agents:
    """A pool of processes, which grows to the number of tasks that run together; close it, or use it in ``with``."""

    def __init__(self) -> None:
        # A forked child would inherit open environments, which no engine here allows.
        self._context = multiprocessing.get_context("spawn")
        self._agents: list[tuple[BaseProcess, Connection]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, tasks: Sequence[Task], seconds: float) -> list[Outcome]:
        """Run tasks side by side for some seconds; return their outcomes in order.

        Raises:
            AgentError: if one of them fails; the others are ended.

        """
        self._grow(len(tasks))
        connections = [connection for _, connection in self._agents[: len(tasks)]]
        for connection, task in zip(connections, tasks, strict=True):
            connection.send(task)
        for connection in connections:
            self._receive(connection)
        start = monotonic() + _LEAD
        for connection in connections:
            connection.send((start, start + seconds))
        return [self._receive(connection) for connection in connections]

    def _grow(self, size: int) -> None:
        while len(self._agents) < size:
            ours, theirs = self._context.Pipe()
            process = self._context.Process(target=serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._agents.append((process, ours))

    def _receive(self, connection: Connection) -> Any:
        try:
            kind, content = connection.recv() if connection.poll(PATIENCE) else (_FAILED, "An agent did not answer.")
        except EOFError:
            kind, content = _FAILED, "An agent's process ended."
        if kind == _FAILED:
            self._end()
            raise AgentError(content)
        return content

    def close(self) -> None:
        """End the processes."""
        for _, connection in self._agents:
            connection.send(None)
        for process, connection in self._agents:
            process.join(PATIENCE)
            connection.close()
        self._agents = []

    def _end(self) -> None:
        for process, connection in self._agents:
            process.kill()
            process.join()
            connection.close()
        self._agents = []


def serve(connection: Connection) -> None:
    """Do tasks until ``None`` comes: the life of an agent's process."""
    while True:
        task: Task | None = connection.recv()
        if task is None:
            return
        try:
            task.prepare()
            connection.send((_READY, None))
            start, until = connection.recv()
            sleep(max(0.0, start - monotonic()))
            outcome = task.run(until)
            task.finish()
        except Exception:  # noqa: BLE001 - whatever it is, the run must learn of it
            connection.send((_FAILED, traceback.format_exc()))
        else:
            connection.send((_DONE, outcome))
