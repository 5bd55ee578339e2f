"""Names under which other programs, and the old one, offer what a command does here."""

OTHER_NAMES = {
    "put": "set KEY VALUE",
    "write": "set KEY VALUE",
    "store": "set KEY VALUE",
    "read": "get KEY",
    "cat": "get KEY",
    "fetch": "get KEY",
    "rm": "del KEY",
    "remove": "del KEY",
    "unset": "del KEY",
    "has": "exists KEY",
    "list": "keys",
    "list-keys": "keys",
    "dump": "scan --json",
    "scan-pairs": "scan",
    "find": "scan PREFIX",
    "search": "scan PREFIX",
    "increment": "incr KEY",
    "decr": "incr KEY -1",
    "users": "addresses",
    "agents": "addresses",
    "create": "address create ADDRESS",
    "rename": "address rename ADDRESS NEW",
    "info": "address info",
    "size": "stats",
    "status": "stats",
    "select": "use ADDRESS",
    "switch": "use ADDRESS",
    "noop": "use ADDRESS",
    "fsck": "check",
    "verify": "check",
    "doctor": "selftest",
    "vacuum": "compact",
    "snapshot": "backup",
    "snapshots": "backup list",
    "clone": "address copy ADDRESS NEW",
    "load": "import FILE",
    "benchmark": "bench",
    "admin": "create-cache PROJECT.NAMESPACE SECONDS",
    "drop": "address delete ADDRESS",
    "flush": "address delete ADDRESS",
    "nuclear-clean": "address delete ADDRESS",
}
# What no command does, and why none is needed.
NEEDLESS = {
    "init": "The first write makes the store.",
    "serve": "There is no server: every command works on the files itself.",
    "start": "There is no server: every command works on the files itself.",
    "stop": "There is no server: every command works on the files itself.",
    "login": "There are no accounts: who may read the files may read the data.",
    "install": "It is installed: `pip` does that.",
    "uninstall": "`pip uninstall pronto-lmdb` does that; the data stays where `pronto address info` says.",
}
# The same inside groups, by group.
INSIDE = {
    "cursor": {
        "use": "use USER.CURSOR",
        "select": "use USER.CURSOR",
        "reset": "cursor clear",
        "create": "cursor set NAME PATH",
        "remove": "cursor delete NAME",
        "show": "cursor active",
    },
    "address": {
        "list": "addresses",
        "show": "address info ADDRESS",
        "remove": "address delete ADDRESS",
        "restore": "address undelete ADDRESS",
        "clone": "address copy ADDRESS NEW",
        "move": "address rename ADDRESS NEW",
        "use": "use ADDRESS",
    },
    "config": {"show": "config list"},
}


def advice(name: str, group: str) -> str | None:
    """Return what to use instead of a command that there is not, or ``None`` where nobody knows.

    Args:
        name: what was typed.
        group: the group in which it was looked for; empty for the root.

    """
    names = INSIDE.get(group, {}) if group else OTHER_NAMES
    if name in names:
        return f"Did you mean `pronto {names[name]}`?"
    return None if group else NEEDLESS.get(name)
