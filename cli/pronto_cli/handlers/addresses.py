"""`addresses`, `address ...`, `use`: which addresses there are, and which one applies."""

from __future__ import annotations

import os
from contextlib import contextmanager

from pronto_cli.exits import AddressAbsentError, DeclinedError, Exit, UsageError
from pronto_cli.line import number, whole
from pronto_cli.place import (
    ADDRESS_SETTING,
    ADDRESS_VARIABLE,
    CURSOR_VARIABLE,
    DEFAULT_ADDRESS,
    USER_VARIABLE,
    current_address,
    opened,
)
from pronto_cli.printing import print_record, print_value
from pronto_lmdb import clock
from pronto_lmdb.address import Address
from pronto_lmdb.errors import AddressExistsError, AddressNotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from pronto_cli.line import Line
    from pronto_cli.streams import Streams
    from pronto_lmdb.results import AddressInfo, DeletedAddress
    from pronto_lmdb.store import Store

# How many addresses are compared with a mistyped one.
_COMPARED = 10_000
_USUAL = f".{DEFAULT_ADDRESS.cursor}"


def addresses(line: Line, streams: Streams) -> int:
    """Print all addresses, or those of one user."""
    with opened(line) as store:
        for info in store.addresses(line.user):
            if line.json:
                print_record(line, streams, _facts(info))
            else:
                streams.line(str(info.address))
    return Exit.OK


def create(line: Line, streams: Streams) -> int:
    """Create an address."""
    max_bytes = None if line["max_bytes"] is None else whole(line["max_bytes"], "--max-bytes")
    labels = dict(_label(text) for text in line["label"] or ())
    address = Address.parse(line["name"])
    with opened(line) as store:
        existed = bool(line["exist_ok"]) and store.exists(address)
        try:
            info = store.create(
                address,
                path=line["path"],
                durability=line["durability"],
                max_bytes=max_bytes,
                labels=labels,
                exist_ok=bool(line["exist_ok"]),
            )
        except AddressExistsError as error:
            if store.exists(address):
                error.hint = "Add --exist-ok to accept it as it is."
            raise
    _announce(line, streams, info, f"{info.address} exists already." if existed else f"Created {info.address}.")
    return Exit.OK


def _label(text: str) -> tuple[str, str]:
    name, equals, label = text.partition("=")
    if not equals or not name:
        raise UsageError(f"{text!r} is no label.", "Write --label NAME=TEXT.")
    return name, label


def info(line: Line, streams: Streams) -> int:
    """Print what is known about an address."""
    with opened(line) as store:
        address = current_address(line, store) if line["name"] is None else Address.parse(line["name"])
        found = _existing(store, address)
    print_record(line, streams, _facts(found))
    return Exit.OK


def _existing(store: Store, address: Address) -> AddressInfo:
    """Return what is known about an address; that it does not exist is an answer, not an error."""
    try:
        return store.info(address)
    except AddressNotFoundError as error:
        raise AddressAbsentError(error.problem, _advice(address, _names(store.addresses()))) from error


def delete(line: Line, streams: Streams) -> int:
    """Move an address to the trash."""
    address = Address.parse(line["name"])
    with opened(line) as store, _advised(address, store.addresses):
        if line["dry_run"]:
            print_value(line, streams, str(store.info(address).address))
            return Exit.OK
        store.delete(address)
    streams.note(f"{address} is in the trash; `pronto address undelete {address}` brings it back.")
    return Exit.OK


def undelete(line: Line, streams: Streams) -> int:
    """Bring an address back from the trash."""
    address = Address.parse(line["name"])
    with opened(line) as store, _advised(address, store.trash):
        info = store.undelete(address, line["to"])
    _announce(line, streams, info, f"{info.address} is back.")
    return Exit.OK


def rename(line: Line, streams: Streams) -> int:
    """Give an address another name."""
    address, to = Address.parse(line["name"]), Address.parse(line["to"])
    with opened(line) as store:
        with _advised(address, store.addresses):
            store.rename(address, to)
        info = store.info(to)
    _announce(line, streams, info, f"{address} is {to} now.")
    return Exit.OK


def copy(line: Line, streams: Streams) -> int:
    """Copy an address."""
    address, to = Address.parse(line["name"]), Address.parse(line["to"])
    asks = line["overwrite"] and not line["yes"]
    if asks and not streams.interactive:
        raise UsageError("This may replace an address.", "Add --yes, or choose another name.")
    with opened(line) as store, _advised(address, store.addresses):
        if asks and store.exists(to) and not streams.confirm(f"Replace {to}?"):
            raise DeclinedError("Nothing was copied.")
        info = store.copy(address, to, overwrite=bool(line["overwrite"]), prefix=line["prefix"])
    _announce(line, streams, info, f"{to} is a copy of {address} now.")
    return Exit.OK


def durability(line: Line, streams: Streams) -> int:
    """Print the level of an address, or change it."""
    address = Address.parse(line["name"])
    with opened(line) as store:
        if line["level"] is None:
            print_value(line, streams, _existing(store, address).durability)
            return Exit.OK
        with _advised(address, store.addresses):
            store.set_durability(address, line["level"])
        info = store.info(address)
    _announce(line, streams, info, f"{address} has the level {info.durability} now.")
    return Exit.OK


def quota(line: Line, streams: Streams) -> int:
    """Print the quota of an address, or change it."""
    address = Address.parse(line["name"])
    with opened(line) as store:
        if line["limit"] is None:
            limit = _existing(store, address).max_bytes
            if limit is not None or line.json:
                print_value(line, streams, limit)
            return Exit.OK
        with _advised(address, store.addresses):
            store.set_quota(address, None if line["limit"] == "none" else whole(line["limit"], "BYTES"))
        info = store.info(address)
    told = "no quota" if info.max_bytes is None else f"a quota of {info.max_bytes:,} bytes"
    _announce(line, streams, info, f"{address} has {told} now.")
    return Exit.OK


def purge(line: Line, streams: Streams) -> int:
    """Remove deleted addresses for good, and print how many."""
    age = None if line["older_than"] is None else number(line["older_than"], "--older-than")
    asks = not line["yes"] and not line["dry_run"]
    if asks and not streams.interactive:
        raise UsageError("This removes data for good.", "Add --yes, or look first with --dry-run.")
    with opened(line) as store:
        if line["dry_run"]:
            for item in _doomed(store, age):
                print_record(line, streams, _trash_facts(item)) if line.json else streams.line(str(item.address))
            return Exit.OK
        if asks and not streams.confirm(f"Remove {len(_doomed(store, age))} deleted addresses for good?"):
            raise DeclinedError("Nothing was removed.")
        print_value(line, streams, store.purge(age))
    return Exit.OK


def compact(line: Line, streams: Streams) -> int:
    """Give back room, and print for each address what it took before and what it takes now."""
    with opened(line) as store:
        for address in _chosen(line, store):
            with _advised(address, store.addresses):
                (done,) = store.compact(address)
            if line.json:
                print_record(line, streams, {**done._asdict(), "address": str(address)})
            else:
                streams.line(f"{address} {done.bytes_before} {done.bytes_after}")
    return Exit.OK


def _chosen(line: Line, store: Store) -> Iterable[Address]:
    """Return the address that a line names, or else all, or all of one user."""
    if line["name"] is not None:
        return [Address.parse(line["name"])]
    if line.address is not None or line.cursor is not None:
        return [current_address(line, store)]
    return (info.address for info in store.addresses(line.user))


def use(line: Line, streams: Streams) -> int:
    """Store the address that applies where none is named, or print the one that applies."""
    with opened(line) as store:
        if line["name"] is None:
            print_value(line, streams, str(current_address(line, store)))
            return Exit.OK
        address = Address.parse(line["name"])
        store.config[ADDRESS_SETTING] = str(address)
        if not store.exists(address):
            streams.note(f"There is no {address} yet: the first write makes it.")
    for variable in (ADDRESS_VARIABLE, USER_VARIABLE, CURSOR_VARIABLE):
        if os.environ.get(variable):
            streams.note(f"{variable} is set and comes before it.")
    return Exit.OK


# -- what is printed -----------------------------------------------------------------------------------------------


def _announce(line: Line, streams: Streams, info: AddressInfo, note: str) -> None:
    if line.json:
        print_record(line, streams, _facts(info))
    else:
        streams.note(note)


def _facts(info: AddressInfo) -> dict[str, Any]:
    from pronto_cli.jsonform import time_text

    return {
        "address": str(info.address),
        "id": info.id,
        "path": str(info.path),
        "created_at": time_text(info.created_at),
        "durability": info.durability,
        "max_bytes": info.max_bytes,
        "labels": info.labels,
        "origin": info.origin,
    }


def _trash_facts(item: DeletedAddress) -> dict[str, Any]:
    from pronto_cli.jsonform import time_text

    return {
        "address": str(item.address),
        "trash_id": item.trash_id,
        "path": str(item.path),
        "deleted_at": time_text(item.deleted_at),
    }


def _doomed(store: Store, age: float | None) -> list[DeletedAddress]:
    """Return what a purge would remove now."""
    if age is None:
        return store.trash()
    return [item for item in store.trash() if clock.now() / 1_000_000 - item.deleted_at.timestamp() > age]


@contextmanager
def _advised(address: Address, known: Callable[[], Iterable[AddressInfo | DeletedAddress]]) -> Iterator[None]:
    """Let the error that an address does not exist suggest others, of those that are known."""
    try:
        yield
    except AddressNotFoundError as error:
        error.hint = _advice(address, _names(known()))
        raise


def _names(items: Iterable[AddressInfo | DeletedAddress]) -> list[str]:
    from itertools import islice

    return [str(item.address) for item in islice(items, _COMPARED)]


def _advice(address: Address, names: list[str]) -> str:
    """Return a hint for an address that does not exist."""
    from difflib import get_close_matches

    # The usual cursor would make all addresses that have it look alike.
    short = {name.removesuffix(_USUAL): name for name in names}
    close = [short[match] for match in get_close_matches(str(address).removesuffix(_USUAL), short)]
    return f"Did you mean {' or '.join(close)}?" if close else "`pronto addresses` lists those that exist."
