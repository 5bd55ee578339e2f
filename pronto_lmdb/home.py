"""An environment as the home of one address, for as long as it is that."""

from __future__ import annotations

from pronto_lmdb.identity import LIVE, Identity, State
from pronto_lmdb.record import IDENTITY, STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import lmdb

    from pronto_lmdb.environment import Environment


class Home:
    """What a keystore holds on to: an open environment, and how to notice that it is not its own any more.

    A home never changes its owner. When the environment is renamed, or comes back from the trash under another
    name, it becomes another home; whoever holds the old one notices before the next read or write, because each of
    these changes is a commit.

    Args:
        environment: the open environment.
        identity: the owner, as read from it.
        generation: of the state read from it; another one means a change of name or status.

    Attributes:
        seen: the LMDB transaction id at which the home was last known to be the live home of its owner.

    """

    __slots__ = ("environment", "generation", "identity", "seen")

    def __init__(self, environment: Environment, identity: Identity, generation: int) -> None:
        self.environment = environment
        self.identity = identity
        self.generation = generation
        self.seen = -1

    def holds(self, txn: lmdb.Transaction[bytes]) -> bool:
        """Tell whether a read transaction shows the live home of the owner, and remember it."""
        if txn.id() == self.seen:
            return True
        mine = self.owns(txn)
        if mine:
            self.seen = txn.id()
        return mine

    def owns(self, txn: lmdb.Transaction[bytes]) -> bool:
        """Tell the same of any transaction. The id of one that writes means nothing before it is committed."""
        path = self.environment.path
        state = State.decode(txn.get(STATE), path)
        identity = Identity.decode(txn.get(IDENTITY), path)
        if state.status != LIVE or identity.address != self.identity.address:
            return False
        self.identity = identity
        self.generation = state.generation
        self.environment.limit_to(identity.max_bytes)
        return True

    def is_current(self) -> bool:
        """Tell whether this is, at this moment, the live home of the owner."""
        return self.environment.read(self.holds)
