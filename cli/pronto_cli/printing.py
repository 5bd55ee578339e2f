"""The two forms of output: text for people and shells, JSON for programs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pronto_cli.line import Line
    from pronto_cli.streams import Streams
    from pronto_lmdb.values import Value


def one_line(text: str) -> str:
    """Return text that stays on its line, and in its column: names and paths may hold anything."""
    return " ".join(text.splitlines()).replace("\t", " ")


def print_value(line: Line, streams: Streams, value: Value) -> None:
    """Print a value: text as it is and anything else as JSON, or all of it as JSON."""
    if type(value) is int:  # the same either way, without the cost of importing JSON
        streams.line(str(value))
    elif type(value) is str and not line.json:
        streams.line(value)
    else:
        from pronto_cli.jsonform import to_json

        streams.line(to_json(value))


def print_record(line: Line, streams: Streams, record: dict[str, Any]) -> None:
    """Print named values: a ``name=value`` on each line, or one JSON object."""
    from pronto_cli.jsonform import to_json, to_text

    if line.json:
        streams.line(to_json(record))
    else:
        for name, value in record.items():
            streams.line(f"{name}={to_text(value)}")
