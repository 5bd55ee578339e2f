"""`ttl`, `expire`, `persist`, `sweep`, `create-cache`: how long keys live."""

from __future__ import annotations

from pronto_cli.exits import Exit
from pronto_cli.line import number
from pronto_cli.names import stored_key
from pronto_cli.place import keystore, opened
from pronto_cli.printing import print_value
from pronto_lmdb.errors import InvalidKeyError
from pronto_lmdb.key import Key
from pronto_lmdb.reading import key_not_found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_cli.line import Line
    from pronto_cli.streams import Streams

NEVER = "none"


def ttl(line: Line, streams: Streams) -> int:
    """Print how many seconds a key has left."""
    with opened(line) as store:
        seconds = keystore(line, store).ttl(stored_key(line))
    if seconds is None:
        streams.line("null" if line.json else NEVER)
    else:
        streams.line(f"{seconds:.3f}".rstrip("0").rstrip("."))
    return Exit.OK


def expire(line: Line, _streams: Streams) -> int:
    """Let a key expire."""
    seconds = number(line["seconds"], "SECONDS")
    with opened(line) as store:
        key = stored_key(line)
        if not keystore(line, store).expire(key, seconds):
            raise key_not_found(key)
    return Exit.OK


def persist(line: Line, _streams: Streams) -> int:
    """Let a key never expire."""
    with opened(line) as store:
        key = stored_key(line)
        if not keystore(line, store).persist(key):
            raise key_not_found(key)
    return Exit.OK


def sweep(line: Line, streams: Streams) -> int:
    """Remove what has expired and print how many records."""
    with opened(line) as store:
        print_value(line, streams, keystore(line, store).sweep())
    return Exit.OK


def create_cache(line: Line, _streams: Streams) -> int:
    """Give a namespace a default lifetime, or take it away."""
    text = line["seconds"].removeprefix("timeout=")
    seconds = None if text == NEVER else number(text, "timeout")
    namespace = _namespace(line["namespace"], line.ns_delim)
    with opened(line) as store:
        keystore(line, store).namespace_ttl(namespace, seconds)
    return Exit.OK


def _namespace(text: str, delimiter: str) -> str:
    """Return a namespace as the library writes it."""
    parts = text.split(delimiter)
    if len(parts) != 2:
        raise InvalidKeyError(f"{text!r} is no namespace.", f"Write PROJECT{delimiter}NAMESPACE.")
    Key(parts[0], parts[1], "name")  # raises for parts that no key can have
    return ".".join(parts)
