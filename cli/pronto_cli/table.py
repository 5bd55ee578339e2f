"""Tables for people: columns under each other, numbers to the right, the same on a terminal and in a file."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def _plain(_column: int, cell: str) -> str:
    return cell


def aligned(
    rows: Sequence[Sequence[str]],
    *,
    right: frozenset[int] = frozenset(),
    dressed: Callable[[int, str], str] = _plain,
) -> Iterator[str]:
    """Yield a line for each row.

    Args:
        rows: cells; every row has the same number of them.
        right: the numbers of the columns that are aligned to the right.
        dressed: what is printed for a cell of a column, which is as wide as its column by then; such as in colour.

    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            dressed(number, cell.rjust(width) if number in right else cell.ljust(width))
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
