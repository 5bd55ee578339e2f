"""`stats`: how much one address holds and uses, or all of them."""

from __future__ import annotations

from pronto_cli.exits import Exit, UsageError
from pronto_cli.place import current_address, opened
from pronto_cli.printing import print_record
from pronto_cli.progress import Steps
from pronto_cli.table import aligned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pronto_cli.line import Line
    from pronto_cli.streams import Streams
    from pronto_lmdb.address import Address
    from pronto_lmdb.store import Store

_SUMMED = ("records", "expired", "bytes_used", "bytes_on_disk")
_HEADINGS = ("address", *_SUMMED, "quota", "durability")
_NUMBERS = frozenset(range(1, 6))


def stats(line: Line, streams: Streams) -> int:
    """Print the figures of the address that applies, or a table of all."""
    with opened(line) as store:
        if line["all"]:
            return _all(line, streams, store)
        address = current_address(line, store)
        facts = {**_facts(store, address), "caches": store[address].namespace_ttls()}
    if line.json:
        print_record(line, streams, facts)
        return Exit.OK
    caches = facts.pop("caches")
    rows = [(name, _shown(name, value)) for name, value in facts.items()]
    rows += [(f"cache {namespace}", f"{ttl:g} s") for namespace, ttl in caches.items()]
    for text in aligned(rows):
        streams.line(text)
    return Exit.OK


def _all(line: Line, streams: Streams, store: Store) -> int:
    """Print a line for each address, and a sum for people."""
    if line.address is not None or line.cursor is not None:
        raise UsageError("--all is about all addresses.", "Leave out --address and --cursor, or --all.")
    listed = [info.address for info in store.addresses(line.user)]
    rows: list[tuple[str, ...]] = [_HEADINGS]
    sums = dict.fromkeys(_SUMMED, 0)
    with Steps(streams, len(listed)) as progress:
        for address in listed:
            progress.step(str(address))
            facts = _facts(store, address)
            if line.json:
                print_record(line, streams, facts)
                continue
            for name in _SUMMED:
                sums[name] += facts[name]
            quota = _percent(facts["quota_used"])
            rows.append((str(address), *(f"{facts[name]:,}" for name in _SUMMED), quota, facts["durability"]))
    if not line.json:
        rows.append((f"{len(listed):,} in all", *(f"{sums[name]:,}" for name in _SUMMED), "", ""))
        for text in aligned(rows, right=_NUMBERS):
            streams.line(text)
    return Exit.OK


def _facts(store: Store, address: Address) -> dict[str, Any]:
    found = store[address].stats()
    used = None if found.max_bytes is None else round(found.bytes_used / found.max_bytes, 4)
    return {"address": str(address), **found._asdict(), "quota_used": used}


def _shown(name: str, value: object) -> str:
    if name == "quota_used":
        return _percent(value)
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _percent(share: object) -> str:
    return f"{share:.1%}" if isinstance(share, float) else "none"
