"""A line of text as the words of a command line, with the quotes of a shell."""

from __future__ import annotations

import re

from pronto_cli.exits import UsageError

_BLANK = " \t\r\n"
_WORD = re.compile(r"""(?:[^ \t\r\n'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+""", re.DOTALL)
_QUOTED = re.compile(r"""\\(.)|'([^']*)'|"((?:[^"\\]|\\.)*)\"""", re.DOTALL)
_ESCAPED = re.compile(r"""\\(["\\])""")


def split(text: str) -> list[str]:
    """Return the words of a line.

    Blanks stand between words. Single quotes keep everything; double quotes keep everything but a backslash before
    a double quote or a backslash; elsewhere a backslash keeps the character behind it.

    Raises:
        UsageError: if a quote is not closed, or the line ends with a backslash.

    """
    if "'" not in text and '"' not in text and "\\" not in text:
        return [word for word in text.replace("\t", " ").rstrip(_BLANK).split(" ") if word]
    words: list[str] = []
    at, end = 0, len(text)
    while True:
        while at < end and text[at] in _BLANK:
            at += 1
        if at == end:
            return words
        found = _WORD.match(text, at)
        if found is None or (found.end() < end and text[found.end()] not in _BLANK):
            raise UsageError("A quote is not closed, or a backslash is the last character.", "Close it.")
        words.append(_QUOTED.sub(_unquoted, found[0]))
        at = found.end()


def _unquoted(quoted: re.Match[str]) -> str:
    bare, single, double = quoted.groups()
    if double is not None:
        return unescaped(double)
    return str(bare or single or "")


def unescaped(text: str) -> str:
    """Return what a text between double quotes means: a backslash keeps one of them, or another backslash."""
    return _ESCAPED.sub(r"\1", text)
