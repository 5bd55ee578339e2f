"""From the rows of the old program to keys: the text that was typed there, or a reversible encoding of it.

The old program kept project, namespace, key and context in four columns and checked none of them. Where the four make
a key by the convention of :class:`Key`, that is the key; where a meta context stood in front of the project, it is
``CONTEXT.PROJECT.NAMESPACE.KEY``. What does not fit gets a form that no other row gets:

``prontodb.encoded.PROJECT.NAMESPACE.KEY[.CONTEXT]``
    with ``%``, ``.``, ``_`` and control characters in the parts as ``%`` and two hex digits for each byte.
``prontodb.hashed.DIGEST``
    where that would be too long; ``prontodb.names.DIGEST`` holds the encoded form.

An older value of a key, where those are kept, has the context ``older-N``: ``older-1`` is the first one written.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple

from pronto_lmdb.errors import InvalidKeyError
from pronto_lmdb.key import CONTEXT_MARK, MAX_KEY_BYTES, Key

PROJECT = "prontodb"
ENCODED, HASHED, NAMES = "encoded", "hashed", "names"
OLDER = "older-"

_UNSAFE = re.compile(r"[%._\x00-\x1f\x7f\udc80-\udcff]")
_ESCAPE = re.compile(rb"%([0-9A-F]{2})")


class Parts(NamedTuple):
    """What the old program stored of a key."""

    project: str
    namespace: str
    key: str
    context: str | None
    """``None`` for none; empty where the address ended with the mark."""


class Named(NamedTuple):
    """The key of a row."""

    key: str
    spelled_out: str | None
    """Its encoded form, for a key that does not fit; ``None`` for one that does."""

    @property
    def is_hashed(self) -> bool:
        """Whether the encoded form needs an entry of its own."""
        return self.spelled_out is not None and self.spelled_out != self.key


class SimpleKeys:
    """The keys of rows without a context and without anything in their names that means something.

    Most rows are such, and rows come sorted, so one look at project and namespace serves many.

    Args:
        contexts: as for :func:`named`.

    """

    __slots__ = ("_contexts", "_namespace", "_prefix", "_project")

    def __init__(self, contexts: frozenset[str]) -> None:
        self._contexts = contexts
        self._project = self._namespace = ""
        self._prefix: bytes | None = None

    def encoded(self, project: object, namespace: object, key: object) -> bytes | None:
        """Return the key of a row as it is stored, or ``None`` if the row is none of these."""
        if not (type(project) is type(namespace) is type(key) is str):
            return None
        if project != self._project or namespace != self._namespace:
            self._project, self._namespace = project, namespace
            sample = _plain(Parts(project, namespace, "k", None), self._contexts)
            self._prefix = None if sample is None else sample[:-1].encode()
        if self._prefix is None or not key.isprintable() or "." in key or CONTEXT_MARK in key or not key:
            return None
        encoded = self._prefix + key.encode()
        return encoded if len(encoded) <= MAX_KEY_BYTES else None


def meta_context(project: str) -> str | None:
    """Return the meta context in a stored project, which is ``context.project`` then."""
    context, dot, rest = project.partition(".")
    return context if dot and context and rest else None


def named(parts: Parts, contexts: frozenset[str], *, older: int = 0, keeps_older: bool = False) -> Named:
    """Return the key of a row, different from those of all other rows in the same address.

    Args:
        parts: of the row.
        contexts: the meta contexts that stand in front of projects in this address.
        older: for an older value, its number; 0 for the one that counts.
        keeps_older: whether older values are kept: then no other row may have their contexts.

    """
    found = _plain(parts, contexts)
    if older and found is not None:
        found = _plain(_as_older(parts, older), contexts)
    reserved = keeps_older and not older and (parts.context or "").startswith(OLDER)
    if found is not None and not reserved:
        return Named(found, None)
    kind = f"{OLDER}{older}" if older else ENCODED
    spelled = ".".join((PROJECT, kind, *(_quoted(part) for part in parts if part is not None)))
    if len(spelled.encode()) <= MAX_KEY_BYTES:
        return Named(spelled, spelled)
    return Named(f"{PROJECT}.{HASHED}.{sha256(spelled.encode()).hexdigest()}", spelled)


def names_key(hashed: str) -> str:
    """Return the key of the entry that spells a hashed key out."""
    return hashed.replace(f".{HASHED}.", f".{NAMES}.", 1)


def decode_key(spelled: str) -> Parts:
    """Return what an encoded key stands for.

    Raises:
        InvalidKeyError: if it is no encoded key.

    """
    program, _, rest = spelled.partition(".")
    kind, _, rest = rest.partition(".")
    texts = rest.split(".")
    if program != PROJECT or not (kind == ENCODED or kind.startswith(OLDER)) or len(texts) not in (3, 4):
        raise InvalidKeyError(f"{spelled!r} is no encoded key.", f"Those begin with {PROJECT}.{ENCODED}.")
    project, namespace, key, *context = map(_unquoted, texts)
    return Parts(project, namespace, key, context[0] if context else None)


def _plain(parts: Parts, contexts: frozenset[str]) -> str | None:
    """Return the key that a row has by the convention, or ``None``."""
    project, namespace, _, _ = parts
    name = _name(parts)
    if not name or not namespace or "." in namespace:
        return None
    context = meta_context(project)
    first = context if context in contexts else project
    if first == PROJECT or not first:
        return None
    if context in contexts:
        if project.count(".") > 1:
            return None
    # A project that is called like a context may not have dots in its names: they would look like the other kind.
    elif "." in project or (project in contexts and "." in name):
        return None
    try:
        return str(Key.parse(f"{project}.{namespace}.{name}"))
    except InvalidKeyError:
        return None


def _name(parts: Parts) -> str | None:
    """Return key and context as they were typed together, if they could be: the last mark begins the context."""
    if parts.context is None:
        return None if CONTEXT_MARK in parts.key else parts.key
    name = f"{parts.key}{CONTEXT_MARK}{parts.context}"
    return name if name.rfind(CONTEXT_MARK) == len(parts.key) else None


def _as_older(parts: Parts, number: int) -> Parts:
    key = parts.key if parts.context is None else f"{parts.key}{CONTEXT_MARK}{parts.context}"
    return parts._replace(key=key, context=f"{OLDER}{number}")


def _quoted(part: str) -> str:
    return _UNSAFE.sub(lambda match: f"%{match[0].encode('utf-8', 'surrogateescape').hex().upper()}", part)


def _unquoted(text: str) -> str:
    raw = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode())
    return raw.decode("utf-8", "surrogateescape")
