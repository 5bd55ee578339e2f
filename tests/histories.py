"""Histories: what threads of several processes did and saw, and what must hold of it.

Times are those of the system's monotonic clock, which all processes share. An operation takes effect at some moment
between its beginning and its end; one that ended before another began came before it.

* *Visibility.* Whoever reads a key after a write of it has ended sees that write or a later one, and nothing that was
  not yet written when the reading ended.
* *Revisions.* They order the contents of a key as time does, and never run backwards, for a key and for an address.
* *No lost update.* Each increment has an answer of its own, and the answers leave no gap. A value that was replaced by
  comparison was replaced once. What was popped was popped once.
* *Whole batches.* Who reads two keys that are always written together finds them equal.
* *Repeatable reads.* A view answers the same question twice in the same way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Event(NamedTuple):
    """One operation.

    ``write`` and ``read`` of a key have a content, unique for each write, and what is read has a revision; ``revision``
    is that of a whole address; ``increment``, ``replace`` and ``pop`` have an answer; ``pair`` and ``twice`` have two.
    """

    kind: str
    key: str
    begin: float
    end: float
    answer: object = None
    other: object = None


def violations(events: Iterable[Event]) -> list[str]:
    """Return what is wrong with a history."""
    by_kind: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_kind[event.kind].append(event)
    return [
        *_stale_or_early(by_kind["write"], by_kind["read"]),
        *_all_backwards(by_kind["revision"]),
        *_gaps(by_kind["increment"]),
        *_repeated(by_kind["replace"], "was replaced"),
        *_repeated(by_kind["pop"], "was popped"),
        *_unequal(by_kind["pair"], "a batch was seen in halves"),
        *_unequal(by_kind["twice"], "a view changed its answer"),
    ]


def _stale_or_early(writes: list[Event], reads: list[Event]) -> Iterator[str]:
    written = {event.answer: event for event in writes}
    revisions: dict[object, object] = {}
    seen: list[Event] = []
    for read in reads:
        write = written.get(read.answer)
        if write is None:
            yield f"{read.answer!r} was read, and nobody wrote it"
            continue
        if write.begin > read.end:
            yield f"{read.answer!r} was read before it was written"
        if revisions.setdefault(read.answer, read.other) != read.other:
            yield f"{read.answer!r} has two revisions"
        seen.append(read._replace(answer=read.other))
    # Of a write that nobody saw the place is not known.
    seen += [write._replace(answer=revisions[write.answer]) for write in writes if write.answer in revisions]
    yield from _all_backwards(seen)


def _all_backwards(events: list[Event]) -> Iterator[str]:
    by_key: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_key[event.key].append(event)
    for key, found in by_key.items():
        yield from _backwards(found, key)


def _backwards(events: list[Event], name: str) -> Iterator[str]:
    """Yield what is older than something that had ended before it began."""
    done = sorted(events, key=lambda event: event.end)
    ends = [event.end for event in done]
    newest = list(accumulate((int(str(event.answer)) for event in done), max))
    for event in events:
        before = bisect_left(ends, event.begin)
        if before and int(str(event.answer)) < newest[before - 1]:
            yield f"{name}: revision {event.answer} came after {newest[before - 1]}"


def _gaps(events: list[Event]) -> Iterator[str]:
    answers: dict[str, list[int]] = defaultdict(list)
    for event in events:
        answers[event.key].append(int(str(event.answer)))
    for key, found in answers.items():
        if sorted(found) != list(range(1, len(found) + 1)):
            yield f"{key}: {len(found)} increments, {len(set(found))} different answers up to {max(found)}"


def _repeated(events: list[Event], what: str) -> Iterator[str]:
    for (key, answer), count in Counter((event.key, event.answer) for event in events).items():
        if count > 1:
            yield f"{key}: {answer!r} {what} {count} times"


def _unequal(events: list[Event], what: str) -> Iterator[str]:
    for event in events:
        if event.answer != event.other:
            yield f"{event.key}: {what}: {event.answer!r}, {event.other!r}"
