"""What the commands do: one table, whoever read the line. Nothing here knows how lines are read."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pronto_cli.line import Line
    from pronto_cli.streams import Streams

# Module and function of each command: a command imports only what it needs.
HANDLERS = {
    "set": ("putting", "set_"),
    "get": ("keys", "get"),
    "del": ("keys", "delete"),
    "delete": ("keys", "delete"),
    "exists": ("keys", "exists"),
    "incr": ("keys", "increment"),
    "keys": ("listing", "keys"),
    "scan": ("listing", "scan"),
    "ls": ("listing", "scan"),
    "ttl": ("expiry", "ttl"),
    "expire": ("expiry", "expire"),
    "persist": ("expiry", "persist"),
    "sweep": ("expiry", "sweep"),
    "addresses": ("addresses", "addresses"),
    "address create": ("addresses", "create"),
    "address info": ("addresses", "info"),
    "address delete": ("addresses", "delete"),
    "address undelete": ("addresses", "undelete"),
    "address rename": ("addresses", "rename"),
    "address durability": ("addresses", "durability"),
    "address purge": ("addresses", "purge"),
    "address copy": ("addresses", "copy"),
    "use": ("addresses", "use"),
    "backup create": ("backups", "create"),
    "backup list": ("backups", "list_"),
    "backup show": ("backups", "show"),
    "backup verify": ("backups", "verify"),
    "backup restore": ("backups", "restore"),
    "backup prune": ("backups", "prune"),
    "restore": ("backups", "restore"),
    "config get": ("care", "config_get"),
    "config set": ("care", "config_set"),
    "config list": ("care", "config_list"),
    "stats": ("care", "stats"),
    "check": ("care", "check"),
    "bench": ("bench", "bench"),
    "help": ("care", "help_"),
    "version": ("care", "version"),
}


def handler(command: str) -> Callable[[Line, Streams], int]:
    """Return the function that carries out the lines of a command."""
    module, function = HANDLERS[command]
    found: Callable[[Line, Streams], int] = getattr(import_module(f"pronto_cli.handlers.{module}"), function)
    return found
