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
        state: of it, read with the identity.

    Attributes:
        generation: another one means a change of name or status.
        seen: the LMDB transaction id at which the home was last known to be the live home of its owner.

    """

    __slots__ = ("environment", "generation", "identity", "seen")

    def __init__(self, environment: Environment, identity: Identity, state: State) -> None:
        self.environment = environment
        self.identity = identity
        self.generation = state.generation
        # Without a journal a state does not say it.
        self.seen = state.transaction if state.journal else -1

    def holds(self, txn: lmdb.Transaction[bytes]) -> bool:
        """Tell whether a read transaction shows the live home of the owner, and remember it."""
        if txn.id() == self.seen:
            return True
        state = self._owned(txn)
        if state is None:
            return False
        if state.previous is not None:
            # A checkpoint is under way. If it is a compaction, this is the last that the old view says of it.
            return self.environment.is_in_place()
        self.seen = txn.id()
        return True

    def owns(self, txn: lmdb.Transaction[bytes]) -> bool:
        """Tell the same of a transaction that writes, whose id means nothing before it is committed."""
        return self._owned(txn) is not None

    def _owned(self, txn: lmdb.Transaction[bytes]) -> State | None:
        path = self.environment.path
        state = State.decode(txn.get(STATE), path)
        identity = Identity.decode(txn.get(IDENTITY), path)
        if state.status != LIVE or identity.address != self.identity.address:
            return None
        self.identity = identity
        self.generation = state.generation
        self.environment.limit_to(identity.max_bytes)
        return state

    def is_current(self) -> bool:
        """Tell whether this is, at this moment, the live home of the owner."""
        return self.environment.read(self.holds)
