"""An asynchronous keystore, transaction or view as an ordinary mapping, so that one suite can be pointed at all."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Iterator

_ITERATORS = ("scan", "scan_keys")


async def collect(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


class Blocking(MutableMapping[str, Any]):
    """Runs each verb to its end in an event loop.

    Args:
        inner: whose verbs are coroutines.
        loop: where they run.

    """

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._loop = loop

    def __getattr__(self, name: str) -> Callable[..., Any]:
        verb = getattr(self._inner, name)

        def run(*arguments: Any, **named: Any) -> Any:
            result = verb(*arguments, **named)
            if name in _ITERATORS:
                return iter(self._loop.run_until_complete(collect(result)))
            return self._loop.run_until_complete(result)

        return run

    def __getitem__(self, key: str) -> Any:
        return self.__getattr__("__getitem__")(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self.put(key, value)

    def __delitem__(self, key: str) -> None:
        self.delete(key)

    def __contains__(self, key: object) -> bool:
        return bool(self.contains(key))

    def __len__(self) -> int:
        return int(self.count())

    def __iter__(self) -> Iterator[str]:
        return iter(self.scan_keys())

    def __reversed__(self) -> Iterator[str]:
        return iter(self.scan_keys(reverse=True))

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def _forwarded(name: str) -> Callable[..., Any]:
    def verb(self: Blocking, *arguments: Any, **named: Any) -> Any:
        return self.__getattr__(name)(*arguments, **named)

    return verb


# What MutableMapping would make up from other methods.
for _name in ("get", "pop", "popitem", "clear", "update", "setdefault"):
    setattr(Blocking, _name, _forwarded(_name))
