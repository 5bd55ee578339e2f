"""Keys: what the library stores, and the convention ``project.namespace.name__context``."""

from __future__ import annotations

from pronto_lmdb.errors import InvalidKeyError

MAX_KEY_BYTES = 500
# Sorts before all keys and behind everything that cannot be one.
FIRST_KEY = b"\1"
DEFAULT_PROJECT = "default"
DEFAULT_NAMESPACE = "default"
CONTEXT_MARK = "__"


def encode_key(key: str) -> bytes:
    """Return the bytes under which LMDB holds a key: its UTF-8, exactly.

    Args:
        key: any non-empty text of at most 500 bytes of UTF-8 that does not begin with NUL.

    Raises:
        InvalidKeyError: for anything else. Nothing is trimmed, folded or normalised.

    """
    try:
        encoded = key.encode()
        if encoded >= FIRST_KEY and len(encoded) <= MAX_KEY_BYTES:
            return encoded
    except (AttributeError, TypeError, UnicodeEncodeError):
        encoded = b""
    raise _refusal(key, encoded)


def encode_keys(keys: list[str]) -> list[bytes]:
    """Return the bytes of many keys, in their order, in a tenth of the time that so many calls take.

    Raises:
        InvalidKeyError: as :func:`encode_key` does, for the first that cannot be a key.

    """
    try:
        encoded = list(map(str.encode, keys))
    except (TypeError, UnicodeEncodeError):
        encoded = []
    # What is empty or begins with NUL sorts before everything else.
    if encoded and min(encoded) >= FIRST_KEY and max(map(len, encoded)) <= MAX_KEY_BYTES:
        return encoded
    return [encode_key(key) for key in keys]


def encode_bound(text: str) -> bytes:
    """Return the bytes of a prefix, start or stop of a scan: any text, the empty one included.

    Raises:
        InvalidKeyError: for what is not text, or text with lone surrogates.

    """
    if not isinstance(text, str):
        raise InvalidKeyError(f"A bound of a scan is text, not {type(text).__name__}.", "Pass a str.")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise _refusal(text, b"") from None


def _refusal(key: object, encoded: bytes) -> InvalidKeyError:
    if not isinstance(key, str):
        return InvalidKeyError(f"A key is text, not {type(key).__name__}.", "Pass a str.")
    if not key:
        return InvalidKeyError("A key cannot be empty.", "Use at least one character.")
    if key[0] == "\0":
        return InvalidKeyError("A key cannot begin with NUL.", "Those names belong to the store itself.")
    if not encoded:
        return InvalidKeyError(
            f"The key {key!a} contains a lone surrogate.",
            "Decode the text properly before using it as a key.",
        )
    return InvalidKeyError(
        f"The key {key[:40]!r}... has {len(encoded)} bytes of UTF-8.",
        f"Use at most {MAX_KEY_BYTES}; a hash of a long name works well.",
    )


class Key:
    """A key by the convention of the command: ``project.namespace.name__context``. Immutable, hashable.

    Args:
        project: not empty, no dot.
        namespace: not empty, no dot.
        name: not empty; dots are allowed.
        context: follows the last ``__`` of the text; ``None`` for a plain name.

    Raises:
        InvalidKeyError: where a part is empty, or where no text could be parsed back to these parts.

    ``str(key)`` is the shortest text with the same parts, and the text that is stored:

    >>> str(Key.parse("default.default.status"))
    'status'

    """

    __slots__ = ("context", "name", "namespace", "project")

    project: str
    namespace: str
    name: str
    context: str | None

    def __init__(
        self,
        project: str = DEFAULT_PROJECT,
        namespace: str = DEFAULT_NAMESPACE,
        name: str = "",
        context: str | None = None,
    ) -> None:
        for part, text in (("project", project), ("namespace", namespace), ("name", name)):
            if not isinstance(text, str) or not text:
                raise InvalidKeyError(f"The {part} of a key is empty.", "Write project.namespace.name.")
        for part, text in (("project", project), ("namespace", namespace)):
            if "." in text:
                raise InvalidKeyError(f"The {part} {text!r} contains a dot.", "Only a name may contain dots.")
        whole = name if context is None else f"{name}{CONTEXT_MARK}{context}"
        if _split_context(whole) != (name, context):
            raise InvalidKeyError(
                f"No key has the name {name!r} with the context {context!r}.",
                f"The last {CONTEXT_MARK!r} with text on both sides begins the context.",
            )
        object.__setattr__(self, "project", project)
        object.__setattr__(self, "namespace", namespace)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "context", context)
        encode_key(str(self))

    @classmethod
    def parse(cls, text: str, delimiter: str = ".") -> Key:
        """Read a key: one part is a name, two are ``namespace.name``, of more the first two split.

        Args:
            text: the key as typed.
            delimiter: what stands between the parts; any text but an empty one.

        Raises:
            InvalidKeyError: for an empty part, or a dot inside project or namespace under another delimiter.

        """
        if not isinstance(text, str):
            raise InvalidKeyError(f"A key is text, not {type(text).__name__}.", "Pass a str.")
        if not delimiter:
            raise InvalidKeyError("The delimiter is empty.", "Use one character or more.")
        project, namespace = DEFAULT_PROJECT, DEFAULT_NAMESPACE
        parts = text.split(delimiter, 2)
        if len(parts) == 3:
            project = parts[0]
        if len(parts) > 1:
            namespace = parts[-2]
        return cls(project, namespace, *_split_context(parts[-1]))

    @classmethod
    def within(cls, project: str | None, namespace: str | None, name: str) -> Key:
        """Return the key called ``name`` in one namespace; what is ``None`` is the default, dots are the name's."""
        return cls(
            DEFAULT_PROJECT if project is None else project,
            DEFAULT_NAMESPACE if namespace is None else namespace,
            *_split_context(name),
        )

    def text(self, delimiter: str = ".") -> str:
        """Return the shortest text that :meth:`parse` reads back with this delimiter.

        Raises:
            InvalidKeyError: if there is none, because project or namespace contain it.

        """
        if delimiter in self.project or delimiter in self.namespace:
            raise InvalidKeyError(
                f"{self.project}.{self.namespace} cannot be written with the delimiter {delimiter!r}.",
                "Use another delimiter.",
            )
        name = self.name if self.context is None else f"{self.name}{CONTEXT_MARK}{self.context}"
        if self.project != DEFAULT_PROJECT or delimiter in name:
            return delimiter.join((self.project, self.namespace, name))
        if self.namespace != DEFAULT_NAMESPACE:
            return delimiter.join((self.namespace, name))
        return name

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"Key({self.project!r}, {self.namespace!r}, {self.name!r}, {self.context!r})"

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, Key) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Key is immutable: cannot set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Key is immutable: cannot delete {name}")

    def __reduce__(self) -> tuple[type[Key], tuple[str, str, str, str | None]]:
        return type(self), (self.project, self.namespace, self.name, self.context)


def _split_context(name: str) -> tuple[str, str | None]:
    at = name.rfind(CONTEXT_MARK, 1, len(name) - 1) if len(name) > 3 else -1
    return (name, None) if at < 0 else (name[:at], name[at + len(CONTEXT_MARK) :])
