"""`stream`: a token stream from standard input, stored as one transaction."""

from __future__ import annotations

from pronto_cli.exits import CommandError, Exit, UsageError
from pronto_cli.place import current_address, opened
from pronto_cli.tokens import Token, TokenError, tokens
from pronto_lmdb.address import Address
from pronto_lmdb.arguments import checked_ttl
from pronto_lmdb.errors import InvalidKeyError, ProntoError
from pronto_lmdb.key import DEFAULT_PROJECT, Key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_cli.line import Line
    from pronto_cli.streams import Streams

_META = "meta"
_SECRET = "sec"  # noqa: S105 - the prefix, not a secret
_NAMESPACE = ("ns", "path")
_NO_TTL = "none"


def stream(line: Line, streams: Streams) -> int:
    """Store the tokens of standard input."""
    if not streams.piped:
        raise UsageError("There are no tokens.", "Pipe them in.")
    try:
        text = streams.read().decode()
    except UnicodeDecodeError:
        raise CommandError("The stream is not UTF-8.", "Use import for values that are not text.") from None
    wishes = _Wishes(line.ns_delim, streams)
    count = 0
    for token in tokens(text):
        count += 1
        try:
            wishes.take(token)
        except ProntoError as error:
            raise TokenError(token.number, error.problem, error.hint) from error
    if not count:
        raise CommandError("There are no tokens.", "Write key=value; ...")
    with opened(line) as store:
        address = current_address(line, store) if wishes.address is None else wishes.address
        if wishes.puts:
            with store[address].transaction() as txn:
                for key, value, ttl in wishes.puts:
                    txn.put(key, value, ttl=ttl)
    streams.note(f"{len(wishes.puts)} of {count} tokens stored in {address}.")
    return Exit.OK


class _Wishes:
    """What the tokens so far come to.

    Attributes:
        address: where to store; ``None`` for the one of the line.
        puts: key, value and TTL of what to store, in order.

    """

    def __init__(self, delimiter: str, streams: Streams) -> None:
        self.address: Address | None = None
        self.puts: list[tuple[str, str, float | None]] = []
        self._delimiter = delimiter
        self._streams = streams
        self._namespace: tuple[str, str] | None = None
        self._ttl: float | None = None

    def take(self, token: Token) -> None:
        """Follow a directive, or add what is to be stored."""
        if token.prefix == _SECRET:
            return
        if token.prefix == _META:
            self._follow(token)
        elif token.prefix is None and token.name == _NAMESPACE[0]:
            self._namespace = self._parsed_namespace(token.value)
        else:
            self.puts.append((self._key(token), token.value, self._ttl))

    def _key(self, token: Token) -> str:
        namespace = self._namespace if token.prefix is None else self._parsed_namespace(token.prefix)
        if namespace is None:
            return str(Key.parse(token.name, self._delimiter))
        return str(Key.within(*namespace, token.name))

    def _parsed_namespace(self, text: str) -> tuple[str, str]:
        parts = text.split(self._delimiter)
        if len(parts) > 2 or not all(parts):
            raise InvalidKeyError(f"{text!r} is no namespace.", "Write namespace or project.namespace.")
        return (DEFAULT_PROJECT, parts[0]) if len(parts) == 1 else (parts[0], parts[1])

    def _follow(self, token: Token) -> None:
        if token.name in _NAMESPACE:
            self._namespace = self._parsed_namespace(token.value)
        elif token.name == "ttl":
            self._ttl = None if token.value == _NO_TTL else _seconds(token)
        elif token.name == "delim":
            if not token.value:
                raise TokenError(token.number, "The delimiter is empty.", "Use one character or more.")
            self._delimiter = token.value
        elif token.name == "address":
            if self.puts:
                raise TokenError(
                    token.number,
                    "Something is to be stored elsewhere already.",
                    "A stream is one transaction, in one address: begin with meta:address.",
                )
            self.address = Address.parse(token.value)
        elif not token.name.startswith(f"{_SECRET}:"):
            self._streams.tell(f"Token {token.number}: there is no directive meta:{token.name}; it is passed over.")


def _seconds(token: Token) -> float:
    try:
        seconds = float(token.value)
    except ValueError:
        raise TokenError(
            token.number, f"{token.value!r} is no number of seconds.", f"Write for instance 60, or {_NO_TTL}."
        ) from None
    checked_ttl(seconds)
    return seconds
