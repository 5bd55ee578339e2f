"""What the commands do: one table, whoever read the line. Nothing here knows how lines are read."""

from __future__ import annotations

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
    "create-cache": ("expiry", "create_cache"),
    "sweep": ("expiry", "sweep"),
    "copy": ("copying", "copy"),
    "import": ("exchange", "import_"),
    "export": ("exchange", "export"),
    "batch": ("batch", "batch"),
    "stream": ("stream", "stream"),
    "projects": ("discovery", "projects"),
    "namespaces": ("discovery", "namespaces"),
    "nss": ("discovery", "nss"),
    "addresses": ("addresses", "addresses"),
    "address create": ("addresses", "create"),
    "address info": ("addresses", "info"),
    "address delete": ("addresses", "delete"),
    "address undelete": ("addresses", "undelete"),
    "address rename": ("addresses", "rename"),
    "address durability": ("addresses", "durability"),
    "address quota": ("addresses", "quota"),
    "address purge": ("addresses", "purge"),
    "address copy": ("addresses", "copy"),
    "use": ("addresses", "use"),
    "cursor set": ("cursors", "set_"),
    "cursor list": ("cursors", "list_"),
    "cursor active": ("cursors", "active"),
    "cursor delete": ("cursors", "delete"),
    "cursor clear": ("cursors", "clear"),
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
    "stats": ("statistics", "stats"),
    "check": ("care", "check"),
    "compact": ("addresses", "compact"),
    "migrate": ("migrate", "migrate"),
    "bench": ("bench", "bench"),
    "selftest": ("selftest", "selftest"),
    "completion": ("completion", "completion"),
    "help": ("care", "help_"),
    "version": ("care", "version"),
}


def handler(command: str) -> Callable[[Line, Streams], int]:
    """Return the function that carries out the lines of a command."""
    module, function = HANDLERS[command]
    # Not by importlib, which takes longer to import than what is imported here.
    found: Callable[[Line, Streams], int] = getattr(__import__(f"{__name__}.{module}", fromlist=[function]), function)
    return found
