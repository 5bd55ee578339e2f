"""`copy`: a key from here to there."""

from __future__ import annotations

from pronto_cli.exits import Exit
from pronto_cli.names import KEPT, stored_name
from pronto_cli.place import current_address, opened
from pronto_lmdb.address import Address
from pronto_lmdb.errors import KeyNotFoundError
from pronto_lmdb.exchange import copy_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_cli.line import Line
    from pronto_cli.streams import Streams
    from pronto_lmdb.keystore import Keystore
    from pronto_lmdb.store import Store


def copy(line: Line, streams: Streams) -> int:
    """Copy a key; kept content moves."""
    with opened(line) as store:
        source, key = _place(line, store, line["source"], line["from_"])
        target, name = _place(line, store, line["target"], line["to"])
        kept = key.startswith(KEPT)
        revision = copy_record(source, key, target, name, overwrite=bool(line["overwrite"]), keep_expiry=not kept)
        if kept and (source.address, key) != (target.address, name):
            target.sync()  # whatever the level: only one of the two will be there
            _remove(source, key, revision)
            streams.note(f"{key} is {name} in {target.address} now.")
    return Exit.OK


def _place(line: Line, store: Store, text: str, address: str | None) -> tuple[Keystore, str]:
    """Return the keystore and the key that a word of the line means."""
    if address is None and not line["literal"] and ":" in text:
        before, _, text = text.partition(":")
        address = before or None
    where = current_address(line, store) if address is None else Address.parse(address)
    return store[where], text if text.startswith(KEPT) else stored_name(line, text)


def _remove(source: Keystore, key: str, revision: int) -> None:
    """Remove what was copied, unless it has changed since."""
    with source.transaction() as txn:
        try:
            unchanged = txn.entry(key).revision == revision
        except KeyNotFoundError:
            return
        if unchanged:
            del txn[key]
