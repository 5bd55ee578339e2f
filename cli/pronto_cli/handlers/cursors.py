"""`cursor ...`: the addresses of one user, by their second part."""

from __future__ import annotations

import os

from pronto_cli.exits import Exit
from pronto_cli.handlers import addresses
from pronto_cli.line import Line
from pronto_cli.place import ADDRESS_SETTING, current_address, opened
from pronto_cli.printing import print_record, print_value
from pronto_lmdb.address import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pronto_cli.streams import Streams


def set_(line: Line, streams: Streams) -> int:
    """Place an address of the user at a path; one that lies there already is fine."""
    with opened(line) as store:
        address = _own(line, current_address(line, store))
        if store.exists(address) and str(store.info(address).path) == os.path.realpath(line["path"]):
            return Exit.OK
    return addresses.create(_as_address(line, address, path=line["path"]), streams)


def list_(line: Line, streams: Streams) -> int:
    """Print the cursors of the user."""
    with opened(line) as store:
        current = current_address(line, store)
        for info in store.addresses(current.user):
            if line.json:
                record = {"cursor": info.address.cursor, "address": str(info.address), "path": str(info.path)}
                print_record(line, streams, {**record, "active": info.address == current})
            else:
                streams.line(info.address.cursor)
    return Exit.OK


def active(line: Line, streams: Streams) -> int:
    """Print the cursor of the address that applies."""
    with opened(line) as store:
        print_value(line, streams, current_address(line, store).cursor)
    return Exit.OK


def delete(line: Line, streams: Streams) -> int:
    """Move an address of the user to the trash."""
    with opened(line) as store:
        address = _own(line, current_address(line, store))
    return addresses.delete(_as_address(line, address, dry_run=line["dry_run"]), streams)


def clear(line: Line, _streams: Streams) -> int:
    """Forget which address was chosen."""
    with opened(line) as store:
        if ADDRESS_SETTING in store.config:
            del store.config[ADDRESS_SETTING]
    return Exit.OK


def _own(line: Line, current: Address) -> Address:
    """Return the address that a cursor's name means: one of the user who applies."""
    return Address(current.user, line["name"])


def _as_address(line: Line, address: Address, **arguments: Any) -> Line:
    """Return the line of the `address` command that does the same."""
    options = {name: getattr(line, name) for name in ("root", "json", "quiet", "verbose")}
    timeout = None if line.timeout is None else str(line.timeout)
    return Line("address", {"name": str(address), **arguments}, timeout=timeout, **options)
