"""One store, held open for many lines, and where each of them takes effect."""

from __future__ import annotations

from pronto_cli.exits import UsageError
from pronto_cli.place import named_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_cli.line import Line
    from pronto_lmdb.address import Address
    from pronto_lmdb.keystore import Keystore
    from pronto_lmdb.store import Store
    from pronto_lmdb.transaction import Transaction


class Session:
    """The store of several lines; it takes the place of the store that a single line opens.

    Args:
        store: open as long as the session.
        address: where lines take effect that name no other.
        transaction: the one that all lines belong to; ``None`` if each is for itself.

    """

    def __init__(self, store: Store, address: Address, transaction: Transaction | None) -> None:
        self._store = store
        self._address = address
        self._transaction = transaction
        self._keystores: dict[Address, Keystore] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: the next line needs the store."""

    def target(self, line: Line) -> Keystore | Transaction:
        """Return where a line takes effect.

        Raises:
            UsageError: if that is another address than the one of the transaction.

        """
        address = named_address(line, lambda: self._address)
        if self._transaction is not None:
            if address != self._address:
                raise UsageError(
                    f"The line is about {address}, the transaction about {self._address}.",
                    "There is no transaction across addresses: use --each, or a batch for each address.",
                )
            return self._transaction
        if address not in self._keystores:
            self._keystores[address] = self._store[address]
        return self._keystores[address]
