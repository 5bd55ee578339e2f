"""A token stream: text such as ``key=value; ns:key=value``.

Tokens are separated by semicolons; blanks around them, and around the first ``=`` of each, do not count. A value that
begins with a quote ends with the same quote, and semicolons inside belong to it. Inside double quotes a backslash
keeps a double quote or another backslash.
"""

from __future__ import annotations

import re

from pronto_cli.exits import CommandError
from pronto_cli.words import unescaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BLANKS = re.compile(r"[\s;]*")
_NAME = re.compile(r"[^=;]*")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"\s*', re.DOTALL)
_SINGLE = re.compile(r"'([^']*)'\s*")
_BARE = re.compile(r"[^;]*")


class TokenError(CommandError):
    """A token cannot be understood or stored. Its text is not shown: it may be a secret.

    Args:
        number: of the token, counted from 1.
        problem: what is wrong, a sentence.
        hint: what to do about it.

    """

    code = "bad_token"

    def __init__(self, number: int, problem: str, hint: str = "") -> None:
        super().__init__(f"Token {number}: {problem}", hint)


class Token:
    """One token.

    Attributes:
        number: counted from 1.
        prefix: what stands before the first colon of the name; ``None`` where there is no colon.
        name: the rest of the name.
        value: the text.

    """

    __slots__ = ("name", "number", "prefix", "value")

    def __init__(self, number: int, name: str, value: str) -> None:
        before, colon, behind = name.partition(":")
        self.number = number
        self.prefix = before.strip() if colon else None
        self.name = behind.strip() if colon else name
        self.value = value


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a stream.

    Raises:
        TokenError: for one that is no ``name=value``.

    """
    at, number = _end(_BLANKS, text, 0), 0
    while at < len(text):
        number += 1
        end = _end(_NAME, text, at)
        name = text[at:end].strip()
        if text[end : end + 1] != "=":
            raise TokenError(number, 'There is no "=".', "Write key=value; a value with a semicolon stands in quotes.")
        if not name:
            raise TokenError(number, 'There is nothing before the "=".', "Write key=value.")
        value, at = _value(number, text, end + 1)
        yield Token(number, name, value)
        at = _end(_BLANKS, text, at)


def _value(number: int, text: str, at: int) -> tuple[str, int]:
    while text[at : at + 1].isspace():
        at += 1
    quote = text[at : at + 1]
    if quote not in ('"', "'"):
        end = _end(_BARE, text, at)
        return text[at:end].strip(), end
    found = (_DOUBLE if quote == '"' else _SINGLE).match(text, at)
    if found is None:
        raise TokenError(number, "A quote is not closed.", f"End the value with {quote}.")
    if text[found.end() : found.end() + 1] not in ("", ";"):
        raise TokenError(number, "Something stands behind the closing quote.", "Put all of the value inside.")
    return (unescaped(found[1]) if quote == '"' else found[1]), found.end()


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    assert found is not None  # all of them match nothing, too
    return found.end()
