"""`set`: write a value, from the line or from standard input; piped content that is refused is kept."""

from __future__ import annotations

from contextlib import nullcontext

from pronto_cli.exits import Exit, UsageError
from pronto_cli.line import number, whole
from pronto_cli.names import KEPT, stored_key
from pronto_cli.place import DEFAULT_ADDRESS, current_address, keystore, opened
from pronto_lmdb import clock
from pronto_lmdb.address import Address
from pronto_lmdb.errors import ConflictError, InvalidValueError, KeyNotFoundError, ProntoError
from pronto_lmdb.store import open as open_store
from pronto_lmdb.transaction import Transaction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_cli.line import Line
    from pronto_cli.streams import Streams
    from pronto_lmdb.keystore import Keystore
    from pronto_lmdb.store import Store
    from pronto_lmdb.values import Value

KEPT_SECONDS = 15 * 60
# The line has waited already: an address that is still busy after this is passed over.
_SHELTER_SECONDS = 1.0
# Its cursor in default: where content is kept while that address is busy as well.
_LAST_RESORT = "pipe-cache"
# It was read already, so the limit of a value may not lose it.
_MOST_KEPT = 2**32 - 1


class _Wish:
    """What a `set` asks for, understood before anything is read."""

    __slots__ = ("if_absent", "revision", "ttl")

    def __init__(self, line: Line) -> None:
        self.ttl = None if line["ttl"] is None else number(line["ttl"], "--ttl")
        self.revision = None if line["if_revision"] is None else whole(line["if_revision"], "--if-revision")
        self.if_absent: bool = bool(line["if_absent"])
        if self.if_absent and self.revision is not None:
            raise UsageError("--if-absent and --if-revision exclude each other.", "Leave one of them out.")


def set_(line: Line, streams: Streams) -> int:
    """Write a value."""
    wish = _Wish(line)
    typed: str | None = line["value"]
    if typed is not None and typed != "-":
        with opened(line) as store:
            _put(line, store, _document(typed) if line.json else typed, wish)
        return Exit.OK
    if typed is None and not streams.piped:
        raise UsageError("There is no VALUE.", "Give one, or pipe it in.")
    content = streams.read()
    try:
        with opened(line) as store:
            _put(line, store, _piped_value(content, line), wish)
    except Exception as error:
        error.add_note(_keep(content, line))
        raise
    return Exit.OK


# -- the value -----------------------------------------------------------------------------------------------------


def _piped_value(content: bytes, line: Line) -> Value:
    value = _text_or_bytes(content)
    return _document(value) if line.json else value


def _text_or_bytes(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _document(text: str | bytes) -> Value:
    from pronto_cli.jsonform import from_json

    if isinstance(text, bytes):
        raise InvalidValueError("The document is not UTF-8.", "JSON is UTF-8 text.")
    return from_json(text)


# -- writing -------------------------------------------------------------------------------------------------------


def _put(line: Line, store: Store, value: Value, wish: _Wish) -> None:
    target, key = keystore(line, store), stored_key(line)
    if wish.if_absent:
        if not target.add(key, value, ttl=wish.ttl):
            raise ConflictError(f"The key {key!r} exists already.", "Leave out --if-absent to replace it.")
    elif wish.revision is not None:
        _put_over(target, key, value, wish)
    else:
        target.put(key, value, ttl=wish.ttl)


def _put_over(target: Keystore | Transaction, key: str, value: Value, wish: _Wish) -> None:
    with nullcontext(target) if isinstance(target, Transaction) else target.transaction() as txn:
        try:
            revision = txn.entry(key).revision
        except KeyNotFoundError:
            revision = None
        if revision != wish.revision:
            found = "is absent" if revision is None else f"has revision {revision}"
            raise ConflictError(
                f"The key {key!r} {found}, not revision {wish.revision}.", "Read it again with --with-revision."
            )
        txn.put(key, value, ttl=wish.ttl)


# -- what was piped in is never lost -------------------------------------------------------------------------------


def _keep(content: bytes, line: Line) -> str:
    """Keep refused content for a while, and say where."""
    from hashlib import md5

    digest = md5(content, usedforsecurity=False).hexdigest()[:8]
    key = f"{KEPT}{clock.now() // 1_000_000}_{digest}"
    with open_store(line.root, timeout=_SHELTER_SECONDS) as store:
        store.value_limit = _MOST_KEPT
        for address in _shelters(line, store):
            try:
                store[address].put(key, _text_or_bytes(content), ttl=KEPT_SECONDS)
            except (ProntoError, OSError):
                continue
            return f"The content is kept for {KEPT_SECONDS // 60} minutes under {key} in {address}."
    return "The content could not be kept."


def _shelters(line: Line, store: Store) -> list[Address]:
    """Return where to try, in order: the same address, unless it was the one refused, the default, a last resort."""
    places = [DEFAULT_ADDRESS, Address(DEFAULT_ADDRESS.user, _LAST_RESORT)]
    try:
        return list(dict.fromkeys([current_address(line, store), *places]))
    except ProntoError:
        return places
