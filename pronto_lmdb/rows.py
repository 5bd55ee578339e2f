"""Records on their way into a keystore: columns of packed rows, because many come at once."""

from __future__ import annotations

# What a row says of its expiry instead of an instant: that of its namespace, if there is one, as for a plain put.
AS_PUT = 0
# The revision of a row that does not bring one along.
NO_REVISION = 0
# Every program can hold a number up to here, and no address ever gets there by counting.
GREATEST_REVISION = 2**53


class Rows:
    """Rows to be written together. All columns have the same length.

    Args:
        keys: encoded.
        values: packed.
        revisions: those under which they were written elsewhere, or NO_REVISION.
        expiries: instants in microseconds, ``None`` for never, or AS_PUT.
        numbers: where each comes from, for messages: the number of its line.

    """

    __slots__ = ("expiries", "keys", "numbers", "revisions", "values")

    def __init__(
        self,
        keys: list[bytes],
        values: list[bytes],
        revisions: list[int],
        expiries: list[int | None],
        numbers: list[int],
    ) -> None:
        self.keys = keys
        self.values = values
        self.revisions = revisions
        self.expiries = expiries
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.keys)

    def chosen(self, places: list[int]) -> Rows:
        """Return some of the rows."""
        columns = (self.keys, self.values, self.revisions, self.expiries, self.numbers)
        return Rows(*([column[place] for place in places] for column in columns))  # type: ignore[arg-type]
