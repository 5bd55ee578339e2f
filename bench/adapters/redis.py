"""Redis over loopback: a server of its own for each directory, started here, its log flushed always or every second."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import redis

from bench.adapters import Pair, Value, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_APPENDFSYNC = {"full": "always", "normal": "everysec"}
_PORT_FILE = "redis.port"
_PATIENCE = 10.0
_BATCH = 1000
# As many threads as any workload has, and some.
_CONNECTIONS = 2048


class RedisAdapter:
    """The keys of one address on the server of a directory; who opens a directory first starts and stops it."""

    def __init__(self, durability: str) -> None:
        self.durability = durability
        self._server: subprocess.Popen[bytes] | None = None

    def open(self, directory: str, address: str) -> None:
        os.makedirs(directory, exist_ok=True)
        self._port_file = os.path.join(directory, _PORT_FILE)
        if not os.path.exists(self._port_file):
            self._start(directory)
        with open(self._port_file, encoding="ascii") as file:
            # Answers are bytes here; the types of the package cannot say so.
            self._client: Any = redis.Redis(port=int(file.read()), max_connections=_CONNECTIONS)
        self._prefix = f"{address}/".encode()

    def _start(self, directory: str) -> None:
        deadline = monotonic() + _PATIENCE
        while monotonic() < deadline:
            port = _free_port()
            self._server = _launch(directory, port, _APPENDFSYNC[self.durability])
            if _answers(self._server, port, deadline):
                with open(self._port_file, "w", encoding="ascii") as file:
                    file.write(str(port))
                return
        raise TimeoutError(f"redis-server did not answer within {_PATIENCE:.0f} s.")

    def sibling(self) -> RedisAdapter:
        return self

    def put(self, key: str, value: Value) -> None:
        self._client.set(self._prefix + key.encode(), pack(value))

    def get(self, key: str) -> Value | None:
        packed = self._client.get(self._prefix + key.encode())
        return None if packed is None else unpack(packed)

    def put_many(self, pairs: Sequence[Pair]) -> None:
        self._client.mset({self._prefix + key.encode(): pack(value) for key, value in pairs})

    def get_many(self, keys: Sequence[str]) -> dict[str, Value]:
        found = self._client.mget([self._prefix + key.encode() for key in keys]) if keys else []
        return {key: unpack(packed) for key, packed in zip(keys, found, strict=True) if packed is not None}

    def delete(self, key: str) -> None:
        self._client.delete(self._prefix + key.encode())

    def scan(self, start: str = "", limit: int | None = None) -> Iterable[Pair]:
        keys = sorted({key for key in self.scan_keys() if key >= start})[:limit]
        for first in range(0, len(keys), _BATCH):
            yield from self.get_many(keys[first : first + _BATCH]).items()

    def scan_keys(self) -> Iterable[str]:
        skip = len(self._prefix)
        return (key[skip:].decode() for key in self._client.scan_iter(match=self._prefix + b"*", count=_BATCH))

    def last(self, count: int) -> Iterable[Pair]:
        keys = sorted(self.scan_keys(), reverse=True)[:count]
        return self.get_many(keys).items()

    def close(self) -> None:
        self._client.close()
        if self._server is not None:
            os.unlink(self._port_file)
            self._server.terminate()
            self._server.wait(_PATIENCE)


def missing_server() -> str:
    """Say that there is no server to start; empty if there is one."""
    return "" if shutil.which("redis-server") else "not installed"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _launch(directory: str, port: int, appendfsync: str) -> subprocess.Popen[bytes]:
    settings = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": directory,
        "save": "",
        "appendonly": "yes",
        "appendfsync": appendfsync,
    }
    options = [part for name, value in settings.items() for part in (f"--{name}", value)]
    return subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _answers(server: subprocess.Popen[bytes], port: int, deadline: float) -> bool:
    """Wait for a server; ``False`` if it ended, as it does when somebody else took the port meanwhile."""
    while server.poll() is None and monotonic() < deadline:
        try:
            with redis.Redis(port=port) as client:
                client.ping()
        except redis.ConnectionError:
            sleep(0.05)
        else:
            return True
    server.kill()
    server.wait()
    return False
