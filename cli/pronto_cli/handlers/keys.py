"""`get`, `del`, `exists`, `incr`: the verbs on one key."""

from __future__ import annotations

from pronto_cli.exits import Exit, UsageError
from pronto_cli.line import whole
from pronto_cli.names import shown_key, stored_key
from pronto_cli.place import keystore, opened
from pronto_cli.printing import print_value
from pronto_lmdb.reading import key_not_found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_cli.line import Line
    from pronto_cli.streams import Streams
    from pronto_lmdb.values import Value


def get(line: Line, streams: Streams) -> int:
    """Print the value of a key."""
    if line["raw"] and (line.json or line["with_revision"]):
        raise UsageError("--raw prints nothing but the value.", "Leave out --json and --with-revision, or --raw.")
    if line["with_revision"]:
        return _get_entry(line, streams)
    with opened(line) as store:
        value = keystore(line, store)[stored_key(line)]
    if line["raw"]:
        streams.write(_raw(value))
    else:
        print_value(line, streams, value)
    return Exit.OK


def _get_entry(line: Line, streams: Streams) -> int:
    from pronto_cli.jsonform import time_text, to_json, to_text

    with opened(line) as store:
        entry = keystore(line, store).entry(stored_key(line))
    if line.json:
        record = {
            "key": shown_key(line, entry.key),
            "value": entry.value,
            "revision": entry.revision,
            "updated_at": time_text(entry.updated_at),
            "expires_at": None if entry.expires_at is None else time_text(entry.expires_at),
        }
        streams.line(to_json(record))
    else:
        streams.line(f"{entry.revision}\t{to_text(entry.value)}")
    return Exit.OK


def _raw(value: Value) -> bytes:
    if isinstance(value, bytes):
        return value
    from pronto_cli.jsonform import to_text

    return to_text(value).encode()


def delete(line: Line, _streams: Streams) -> int:
    """Remove a key; one that is absent is fine."""
    with opened(line) as store:
        keystore(line, store).delete_many([stored_key(line)])
    return Exit.OK


def exists(line: Line, streams: Streams) -> int:
    """Answer by exit code whether a key exists."""
    with opened(line) as store:
        key = stored_key(line)
        if key not in keystore(line, store):
            raise key_not_found(key)
    if line.json:
        streams.line("true")
    return Exit.OK


def increment(line: Line, streams: Streams) -> int:
    """Add to a whole number and print the result."""
    by = 1 if line["by"] is None else whole(line["by"], "BY")
    with opened(line) as store:
        print_value(line, streams, keystore(line, store).increment(stored_key(line), by))
    return Exit.OK
