"""Turns that several workloads take: random gets and puts, batches, scans. Each checks what it read or wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.measure import Timing, settle, timed, timed_bulk

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from bench.adapters import Contender
    from bench.stand import Stand

    Count = Callable[[Contender], int]


def gets(count: Count, stand: Stand, random: Random) -> Timing:
    """Read random records."""
    indexes = [random.randrange(len(stand.ledger)) for _ in range(count(stand.contender))]
    timing, results = timed([stand.get_call(index) for index in indexes])
    stand.check(indexes, results)
    return timing


def misses(count: Count, stand: Stand, random: Random) -> Timing:
    """Read keys that were never written."""
    records = len(stand.ledger)
    indexes = [records + random.randrange(records) for _ in range(count(stand.contender))]
    timing, results = timed([stand.get_call(index) for index in indexes])
    stand.check(indexes, results)
    return timing


def puts(count: Count, stand: Stand, random: Random) -> Timing:
    """Overwrite random records, one by one."""
    indexes = [random.randrange(len(stand.ledger)) for _ in range(count(stand.contender))]
    calls = [stand.put_call(index) for index in indexes]
    settle()
    timing, _ = timed(calls)
    stand.check_written(indexes)
    return timing


def update(items: int, stand: Stand, random: Random) -> Timing:
    """Overwrite many random records at once."""
    indexes = random.sample(range(len(stand.ledger)), items)
    pairs = [stand.pair(index) for index in indexes]
    settle()
    timing, _ = timed_bulk(lambda: stand.adapter.put_many(pairs), items)
    stand.check_written(indexes)
    return timing


def scan(stand: Stand, _: Random) -> Timing:
    """Read everything in order."""
    timing, pairs = timed_bulk(lambda: list(stand.adapter.scan()), len(stand.ledger))
    stand.check_pairs(sorted(stand.ledger), pairs)
    return timing


def scan_keys(stand: Stand, _: Random) -> Timing:
    """Read all keys in order."""
    timing, keys = timed_bulk(lambda: list(stand.adapter.scan_keys()), len(stand.ledger))
    stand.check_keys(keys)
    return timing
