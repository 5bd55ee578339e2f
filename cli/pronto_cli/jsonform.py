"""Values as the command prints them: the JSON of the library, or text as it is."""

from __future__ import annotations

from pronto_lmdb.jsonform import from_json, time_text, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_lmdb.values import Value

__all__ = ["from_json", "time_text", "to_json", "to_text"]


def to_text(value: Value) -> str:
    """Return text as it is, and anything else as JSON."""
    return value if isinstance(value, str) else to_json(value)
