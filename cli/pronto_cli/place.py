"""Where a line takes effect: its store and its address."""

from __future__ import annotations

import os
from contextlib import contextmanager

from pronto_lmdb.address import Address
from pronto_lmdb.errors import CorruptStoreError
from pronto_lmdb.store import open as open_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pronto_cli.line import Line
    from pronto_lmdb.keystore import Keystore
    from pronto_lmdb.store import Store
    from pronto_lmdb.transaction import Transaction

ADDRESS_VARIABLE = "PRONTO_ADDRESS"
USER_VARIABLE = "PRONTO_USER"
CURSOR_VARIABLE = "PRONTO_CURSOR"
ADDRESS_SETTING = "address"
DEFAULT_ADDRESS = Address()


@contextmanager
def opened(line: Line) -> Iterator[Store]:
    """Open the store of a line, with the time-out of the option, the environment or the store, in this order.

    One of several lines gets the session instead, which stays open; :func:`keystore` understands both.
    """
    if line.session is not None:
        # No handler of such a line asks the store for more than keystore() does.
        yield line.session  # type: ignore[misc]
    elif line.timeout is not None:
        with open_store(line.root, timeout=line.timeout) as store:
            yield store
    else:
        # What is wrong is left for the command to see. Kept open: the command needs the registry, too.
        with open_store(line.root, readonly=True) as settings:
            try:
                timeout = float(str(settings.config.effective("timeout")))
            except CorruptStoreError:
                timeout = settings.timeout  # a damaged registry must not keep away the commands that make it anew
            with open_store(line.root, timeout=timeout) as store:
                yield store


def current_address(line: Line, store: Store) -> Address:
    """Return the address that a line is about.

    Raises:
        InvalidAddressError: if what names it cannot be understood.

    """
    return named_address(line, lambda: _standing_address(store))


def named_address(line: Line, standing: Callable[[], Address]) -> Address:
    """Return the address that the options of a line make of the one that applies without them.

    Args:
        line: the command line.
        standing: returns that address; not called where the options leave nothing of it.

    Raises:
        InvalidAddressError: if what an option names cannot be understood.

    """
    if line.address is not None:
        return Address.parse(line.address)
    if line.user is not None and line.cursor is not None:
        return Address(line.user, line.cursor)
    address = standing()
    if line.user is not None:
        return Address(line.user, address.cursor)
    return address if line.cursor is None else Address(address.user, line.cursor)


def _standing_address(store: Store) -> Address:
    """Return the address of a line that does not name one."""
    text = os.environ.get(ADDRESS_VARIABLE)
    if text:
        return Address.parse(text)
    user, cursor = os.environ.get(USER_VARIABLE), os.environ.get(CURSOR_VARIABLE)
    if user or cursor:
        return Address(user or DEFAULT_ADDRESS.user, cursor or DEFAULT_ADDRESS.cursor)
    return Address.parse(store.config.get(ADDRESS_SETTING, str(DEFAULT_ADDRESS)))


def keystore(line: Line, store: Store) -> Keystore | Transaction:
    """Return the keystore of the address that a line is about, or the transaction that it is part of."""
    if line.session is not None:
        return line.session.target(line)
    return store[current_address(line, store)]


def existing_directory(path: str) -> str:
    """Return the nearest directory that exists: where the store is, or will be."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path
