"""The address ``user.cursor``: who owns a keystore, and the name of its directory."""

from __future__ import annotations

from pronto_lmdb.errors import InvalidAddressError

MAX_PART = 64
DEFAULT_PART = "default"

# What would be read as structure, or as a path, stands percent-encoded in the text form.
_ESCAPED = {ord(character): f"%{ord(character):02X}" for character in ".%/\\ "}
_HEX = frozenset("0123456789abcdefABCDEF")

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-@+.")
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))]
)
# A part of these alone stands for itself, and there is nothing in it to be wrong.
_ORDINARY = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-@+")
_MAX_DIRECTORY = 100
_HASH_DIGITS = 32


class Address:
    r"""One agent, session or tenant: the boundary of isolation. Immutable, hashable, ordered by its text.

    Args:
        user: 1 to 64 printable Unicode characters (after NFC) without a blank at either end.
        cursor: the same; both default to ``"default"``.

    Raises:
        InvalidAddressError: saying which part is wrong and why.

    ``str(address)`` always has both parts, joined by a dot. In it ``.``, ``%``, ``/``, ``\`` and space inside
    a part are percent-encoded, so that ``Address.parse(str(address)) == address``:

    >>> str(Address("bob@example.com", "main"))
    'bob@example%2Ecom.main'

    """

    __slots__ = ("_text", "cursor", "user")

    user: str
    cursor: str
    _text: str

    def __init__(self, user: str = DEFAULT_PART, cursor: str = DEFAULT_PART) -> None:
        user, cursor = _part("user", user), _part("cursor", cursor)
        self._set(user, cursor, f"{user.translate(_ESCAPED)}.{cursor.translate(_ESCAPED)}")

    def _set(self, user: str, cursor: str, text: str) -> None:
        object.__setattr__(self, "user", user)
        object.__setattr__(self, "cursor", cursor)
        object.__setattr__(self, "_text", text)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read the text form; ``"alice"`` means ``alice.default``.

        Raises:
            InvalidAddressError: for anything but one or two valid parts with well-formed escapes.

        """
        if not isinstance(text, str):
            raise InvalidAddressError(
                f"An address is text such as 'alice.research', not {type(text).__name__}.",
                "Pass a str or an Address.",
            )
        user, _, cursor = text.partition(".")
        if _is_ordinary(user) and _is_ordinary(cursor):
            address = cls.__new__(cls)
            address._set(user, cursor, f"{user}.{cursor}")
            return address
        parts = text.split(".")
        if len(parts) > 2:
            raise InvalidAddressError(
                f"The address {text!r} has {len(parts)} parts.",
                "Write user.cursor; a dot inside a part is %2E.",
            )
        names = ("user", "cursor")
        return cls(*(_unescape(name, part) for name, part in zip(names, parts, strict=False)))

    @classmethod
    def of(cls, address: Address | str) -> Address:
        """Return an address as it is, and the text of one parsed."""
        return address if isinstance(address, Address) else cls.parse(address)

    @property
    def directory(self) -> str:
        """The name of this address's directory: ASCII, injective, safe where case or Unicode form is lost.

        The text itself, where that is short and plain; otherwise every other character as ``=`` and two hex
        digits per UTF-8 byte. A name beyond 100 characters ends in ``==`` and 32 hex digits of its SHA-256.
        """
        text = self._text
        if _PLAIN.issuperset(text) and text.split(".", 1)[0] not in _DEVICES:
            name = text
        else:
            plain = _PLAIN if text.split(".", 1)[0] not in _DEVICES else _PLAIN - {text[0]}
            name = "".join(
                character if character in plain else "".join(f"={byte:02x}" for byte in character.encode())
                for character in text
            )
        if len(name) <= _MAX_DIRECTORY:
            return name
        from hashlib import sha256  # only here: it costs a command 3 ms at start

        digest = sha256(text.encode()).hexdigest()[:_HASH_DIGITS]
        return f"{name[: _MAX_DIRECTORY - _HASH_DIGITS - 2]}=={digest}"

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Address({self.user!r}, {self.cursor!r})"

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Address) else NotImplemented

    def __lt__(self, other: Address) -> bool:
        return self._text < other._text if isinstance(other, Address) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an Address is immutable: cannot set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"an Address is immutable: cannot delete {name}")

    def __reduce__(self) -> tuple[type[Address], tuple[str, str]]:
        return type(self), (self.user, self.cursor)


def _is_ordinary(part: str) -> bool:
    return 0 < len(part) <= MAX_PART and _ORDINARY.issuperset(part)


def _part(name: str, text: str) -> str:
    """Return one part in NFC, or say what is wrong with it."""

    def refuse(why: str, hint: str) -> InvalidAddressError:
        return InvalidAddressError(f"The {name} part of an address {why}.", hint)

    if not isinstance(text, str):
        raise refuse(f"must be text, not {type(text).__name__}", "Pass a str.")
    if not text.isascii():
        from unicodedata import normalize

        text = normalize("NFC", text)
    if not text:
        raise refuse("is empty", f"Leave it out to mean {DEFAULT_PART!r}.")
    if len(text) > MAX_PART:
        raise refuse(f"has {len(text)} characters", f"Use at most {MAX_PART}.")
    if not text.isprintable():
        odd = next(character for character in text if not character.isprintable())
        raise refuse(f"contains the unprintable character {odd!a}", "Use printable characters only.")
    if text != text.strip():
        raise refuse("begins or ends with a blank", "Remove it.")
    return text


def _unescape(name: str, text: str) -> str:
    """Undo percent-encoding, strictly."""
    if "%" not in text:
        return text
    head, *tails = text.split("%")
    raw = [head.encode("utf-8", "surrogatepass")]
    for tail in tails:
        if len(tail) < 2 or not _HEX.issuperset(tail[:2]):
            raise InvalidAddressError(
                f"The {name} part of an address has the malformed escape {'%' + tail[:2]!r}.",
                "Write a percent sign as %25.",
            )
        raw.append(bytes.fromhex(tail[:2]) + tail[2:].encode("utf-8", "surrogatepass"))
    try:
        return b"".join(raw).decode()
    except UnicodeDecodeError:
        raise InvalidAddressError(
            f"The {name} part of an address has escapes that are not UTF-8: {text!r}.",
            "Write the characters themselves.",
        ) from None
