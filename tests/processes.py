"""Work in spawned processes, which share nothing with the test but what is on the disk."""

from __future__ import annotations

from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from multiprocessing.context import SpawnProcess

    Work = Callable[..., object]

_spawn = get_context("spawn")


def started(work: Work, arguments: Iterable[tuple[object, ...]]) -> list[SpawnProcess]:
    """Start a process for each tuple of arguments."""
    processes = [_spawn.Process(target=work, args=each) for each in arguments]
    for process in processes:
        process.start()
    return processes


def finish(processes: list[SpawnProcess]) -> None:
    """Wait for processes, and fail unless each ended well."""
    for process in processes:
        process.join()
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.close()
    assert codes == [0] * len(processes)


def run_all(work: Work, arguments: Iterable[tuple[object, ...]]) -> None:
    """Run a function once with each tuple of arguments, in processes of their own at the same time."""
    finish(started(work, arguments))


def gathered(works: Iterable[tuple[Work, tuple[object, ...]]], timeout: float) -> list[Any]:
    """Run functions in processes of their own at the same time; return what each says, as it comes.

    Args:
        works: functions and their arguments; after these each gets a queue, in which it puts one answer.
        timeout: seconds to wait for an answer.

    """
    answers = _spawn.Queue()
    processes = [process for work, arguments in works for process in started(work, [(*arguments, answers)])]
    try:
        found = [answers.get(timeout=timeout) for _ in processes]
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finish(processes)
    answers.close()
    answers.join_thread()
    return found
