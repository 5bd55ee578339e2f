"""Where the store is, and its settings: argument > environment variable > stored in the store > default."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from sys import platform

from pronto_lmdb.address import Address
from pronto_lmdb.errors import InvalidValueError
from pronto_lmdb.values import DEFAULT_VALUE_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

APPLICATION = "prontodb"
ROOT_VARIABLE = "PRONTO_ROOT"
DURABILITIES = ("full", "normal", "off")


def default_root() -> str:
    """Return where a user's store is if nothing else is said: ``PRONTO_ROOT``, else the user data directory."""
    root = os.environ.get(ROOT_VARIABLE)
    if root:
        return root
    if platform == "linux":
        # What platformdirs answers, without the 16 ms of importing it; a test holds the two equal.
        data = os.environ.get("XDG_DATA_HOME", "").strip()
        return os.path.join(data if os.path.isabs(data) else _home_directory(), APPLICATION)
    from platformdirs import user_data_dir

    return user_data_dir(APPLICATION, appauthor=False)


def _home_directory() -> str:
    if not os.environ.get("HOME"):
        import pwd

        return os.path.join(pwd.getpwuid(os.getuid()).pw_dir, ".local", "share")
    return os.path.expanduser("~/.local/share")


_LONGEST_INTERVAL = 3600


class Setting:
    """One setting: how its text is read, and what holds where nothing is set.

    Args:
        variable: the environment variable that overrides the stored value.
        read: turns text into a value, raising ValueError with a reason.
        default: used where neither is given.
        meaning: one line for people.

    """

    __slots__ = ("default", "meaning", "read", "variable")

    def __init__(self, variable: str, read: Callable[[str], object], default: str, meaning: str) -> None:
        self.variable = variable
        self.read = read
        self.default = default
        self.meaning = meaning


def _durability(text: str) -> str:
    if text not in DURABILITIES:
        raise ValueError(f"must be one of {', '.join(DURABILITIES)}")
    return text


def _address(text: str) -> str:
    return str(Address.parse(text))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("that is no number") from None


def _seconds(text: str) -> float:
    seconds = _number(text)
    if not 0 <= seconds < float("inf"):
        raise ValueError("must be a number of seconds, 0 or more")
    return seconds


def _interval(text: str) -> float:
    seconds = _number(text)
    if not 0 < seconds <= _LONGEST_INTERVAL:
        raise ValueError(f"must be a number of seconds above 0, at most {_LONGEST_INTERVAL}")
    return seconds


def _size(text: str) -> int:
    if not text.strip().isdecimal():
        raise ValueError("that is no whole number")
    size = int(text)
    if not 1 <= size < 2**32:
        raise ValueError("must be a number of bytes from 1 to 4294967295")
    return size


SETTINGS = {
    "address": Setting("PRONTO_ADDRESS", _address, "default.default", "address used by the command"),
    "durability": Setting("PRONTO_DURABILITY", _durability, "full", "level of new addresses: full, normal or off"),
    "flush_interval": Setting("PRONTO_FLUSH_INTERVAL", _interval, "1", "seconds in which `normal` is on the disk"),
    "timeout": Setting("PRONTO_TIMEOUT", _seconds, "10", "seconds to wait for a lock"),
    "value_limit": Setting("PRONTO_VALUE_LIMIT", _size, str(DEFAULT_VALUE_LIMIT), "bytes of a packed value"),
    "view_warning": Setting("PRONTO_VIEW_WARNING", _seconds, "60", "seconds after which an open view is reported"),
}


def checked(name: str, text: str) -> object:
    """Return the value of a setting's text.

    Raises:
        InvalidValueError: for an unknown setting or an unreadable value.

    """
    setting = SETTINGS.get(name)
    if setting is None:
        raise InvalidValueError(f"There is no setting {name!r}.", f"Settings: {', '.join(SETTINGS)}.")
    if not isinstance(text, str):
        raise InvalidValueError(f"The setting {name} is text, not {type(text).__name__}.", setting.meaning)
    try:
        return setting.read(text)
    except ValueError as error:
        raise InvalidValueError(f"The setting {name} cannot be {text!r}: {error}.", setting.meaning) from error


class Config(MutableMapping[str, str]):
    """The settings stored in a store: text by name. What is not set is absent; :meth:`effective` fills it in.

    Args:
        read: returns the stored text of a setting, or ``None``.
        write: stores the text of a setting; ``None`` removes it.

    """

    def __init__(self, read: Callable[[str], str | None], write: Callable[[str, str | None], None]) -> None:
        self._read = read
        self._write = write

    def effective(self, name: str) -> object:
        """Return the value that holds: environment variable, else stored, else default.

        Raises:
            InvalidValueError: for an unknown setting or an unreadable value.

        """
        checked_name = SETTINGS.get(name)
        if checked_name is None:
            return checked(name, "")
        text = os.environ.get(checked_name.variable) or self.get(name, checked_name.default)
        return checked(name, text)

    def __getitem__(self, name: str) -> str:
        stored = self._read(name)
        if stored is None:
            raise KeyError(name)
        return stored

    def __setitem__(self, name: str, text: str) -> None:
        checked(name, text)
        self._write(name, text)

    def __delitem__(self, name: str) -> None:
        if self._read(name) is None:
            raise KeyError(name)
        self._write(name, None)

    def __iter__(self) -> Iterator[str]:
        return (name for name in SETTINGS if self._read(name) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)
