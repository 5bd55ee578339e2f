"""Group commit: many threads, or many asyncio tasks, of one process write durably to one address."""

from __future__ import annotations

import asyncio
import os
from array import array
from contextlib import AsyncExitStack
from threading import Barrier, Thread
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, Any

from bench.harness import Run, rotated
from bench.measure import percentiles, settle
from bench.results import figure_row
from bench.stand import Stand
from bench.values import Values
from bench.workloads.fleet import rounds
from pronto_lmdb import aio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bench.adapters import Contender

    Crowd = Callable[[Stand, int, float], list[array[int]]]

NAME = "group commit"
VALUE_BYTES = 250
RECORDS_EACH = 50
THREADS = (1, 32, 128)
TASKS = (1, 256, 1_024)
CONTENDERS = ("pronto-full", "raw-full", "sqlite-full", "rocksdict-full", "plyvel-full", "redis-full")


def run(run: Run) -> None:
    """Measure throughput over the number of threads, and of tasks."""
    contenders = run.contenders(run.few(CONTENDERS))
    for count in THREADS if run.scale.complete else (1, 32):
        _measure(run, "threads", contenders, count, _threads)
    for count in TASKS if run.scale.complete else (256,):
        _measure(run, "asyncio tasks", contenders, count, _tasks)


def _measure(run: Run, case: str, contenders: Sequence[Contender], count: int, crowd: Crowd) -> None:
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    latencies: dict[str, list[int]] = {contender.name: [] for contender in contenders}
    with run.scratch("group-commit") as directory:
        for number in range(rounds(run)):
            for contender in rotated(contenders, number):
                values, home = Values(run.seed, VALUE_BYTES), os.path.join(directory, f"{contender.name}-{number}")
                with Stand(contender, home, values) as stand:
                    settle()
                    start = monotonic()
                    found = crowd(stand, count, run.scale.seconds)
                    elapsed = monotonic() - start
                    stand.check_all()
                rates[contender.name].append(sum(map(len, found)) / elapsed)
                latencies[contender.name].extend(latency for each in found for latency in each)
    for name, figures in rates.items():
        parameters = {case.split()[-1]: count, "value_bytes": VALUE_BYTES}
        extra: dict[str, Any] = {"operations": len(latencies[name]), "percentiles": percentiles(latencies[name])}
        run.record(figure_row(NAME, f"{case}, durable", name, "ops/s", figures, parameters, **extra))


def _own(member: int, turn: int) -> int:
    """Return which record a member of the crowd writes in its turn: its own, so that the last one stays."""
    return member * RECORDS_EACH + turn % RECORDS_EACH


def _threads(stand: Stand, count: int, seconds: float) -> list[array[int]]:
    barrier = Barrier(count)
    found = [array("q") for _ in range(count)]
    failures: list[Exception] = []

    def write(member: int) -> None:
        adapter, turn = stand.adapter.sibling(), 0
        try:
            barrier.wait()
            until = monotonic() + seconds
            while monotonic() < until:
                pair = stand.pair(_own(member, turn))
                before = perf_counter_ns()
                adapter.put(*pair)
                found[member].append(perf_counter_ns() - before)
                turn += 1
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
            failures.append(error)
        finally:
            if adapter is not stand.adapter:
                adapter.close()

    threads = [Thread(target=write, args=(member,)) for member in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return found


def _tasks(stand: Stand, count: int, seconds: float) -> list[array[int]]:
    return asyncio.run(_gather(stand, count, seconds))


async def _gather(stand: Stand, count: int, seconds: float) -> list[array[int]]:
    async with AsyncExitStack() as stack:
        put = await _coroutine(stand, stack)
        until = monotonic() + seconds
        return await asyncio.gather(*(_write(stand, put, member, until) for member in range(count)))


async def _coroutine(stand: Stand, stack: AsyncExitStack) -> Callable[[str, Any], Awaitable[object]]:
    """Return the contender's put as a coroutine; where it has none, one that asks a thread of the event loop."""
    if stand.contender.name == "pronto-full":
        store = await stack.enter_async_context(aio.open(stand.directory, durability="full"))
        put: Callable[[str, Any], Awaitable[object]] = store[stand.address].put
        return put
    return lambda key, value: asyncio.to_thread(stand.adapter.put, key, value)


async def _write(stand: Stand, put: Callable[[str, Any], Awaitable[object]], member: int, until: float) -> array[int]:
    latencies, turn = array("q"), 0
    while monotonic() < until:
        pair = stand.pair(_own(member, turn))
        before = perf_counter_ns()
        await put(*pair)
        latencies.append(perf_counter_ns() - before)
        turn += 1
    return latencies
