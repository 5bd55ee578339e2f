"""`keys` and `scan`: many keys in byte order."""

from __future__ import annotations

from pronto_cli.exits import Exit
from pronto_cli.names import selected
from pronto_cli.place import keystore, opened
from pronto_cli.printing import print_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pronto_cli.line import Line
    from pronto_cli.streams import Streams


def keys(line: Line, streams: Streams) -> int:
    """Print the keys that a line selects."""
    with opened(line) as store:
        target = keystore(line, store)

        def read(prefix: str) -> Iterator[tuple[str, None]]:
            return ((key, None) for key in target.scan_keys(prefix))

        for key, _ in selected(line, read):
            print_value(line, streams, key)
    return Exit.OK


def scan(line: Line, streams: Streams) -> int:
    """Print the keys that a line selects, with their values."""
    from pronto_cli.jsonform import to_json, to_text

    with opened(line) as store:
        for key, value in selected(line, keystore(line, store).scan):
            streams.line(to_json({"key": key, "value": value}) if line.json else f"{key}={to_text(value)}")
    return Exit.OK
