"""What the reference says besides the help texts: environment variables, and what --json prints.

The shapes of JSON are written so: ``"text"``, ``"whole"``, ``"number"``, ``"truth"`` (true or false), ``"null"``,
``"time"`` (text as in RFC 3339, UTC) and ``"value"`` (whatever is stored) are kinds, ``"text | null"`` is either; an
object has exactly the names that are shown, one with ``"*"`` any names; a tuple of shapes is one of them.
"""

from __future__ import annotations

from pronto_cli.place import ADDRESS_VARIABLE, CURSOR_VARIABLE, USER_VARIABLE
from pronto_lmdb.config import ROOT_VARIABLE, SETTINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VARIABLES = {
    ROOT_VARIABLE: "directory of the store; `--root` comes before it",
    ADDRESS_VARIABLE: "the address that applies; `-a` comes before it",
    USER_VARIABLE: "its user, where PRONTO_ADDRESS is not set; `-u` comes before it",
    CURSOR_VARIABLE: "its cursor, where PRONTO_ADDRESS is not set; `-c` comes before it",
    **{setting.variable: setting.meaning for name, setting in SETTINGS.items() if name != "address"},
    "XDG_DATA_HOME": "where the store is by default: in its directory `prontodb`; else in `~/.local/share`",
    "HOME": "the home directory",
    "NO_COLOR": "if it is not empty: no colours",
    "TERM": "if it is `dumb`: neither colours nor progress",
}

# How many documents a command prints with --json.
NONE, ONE, LINES = "nothing", "one document", "a document a line"

_ADDRESS = {
    "address": "text",
    "id": "text",
    "path": "text",
    "created_at": "time",
    "durability": "text",
    "max_bytes": "whole | null",
    "labels": {"*": "text"},
    "origin": {"*": "value"},
}
_STATS = {
    "address": "text",
    "records": "whole",
    "expired": "whole",
    "revision": "whole",
    "bytes_used": "whole",
    "bytes_on_disk": "whole",
    "max_bytes": "whole | null",
    "durability": "text",
    "quota_used": "number | null",
}

ERROR: Any = {"error": {"code": "text", "message": "text", "hint": "text", "exit": "whole"}}

# By command, and option where that changes it.
SHAPES: dict[str, tuple[str, Any]] = {
    "set": (NONE, None),
    "get": (ONE, "value"),
    "get --with-revision": (
        ONE,
        {"key": "text", "value": "value", "revision": "whole", "updated_at": "time", "expires_at": "time | null"},
    ),
    "del": (NONE, None),
    "exists": (ONE, "truth"),
    "keys": (LINES, "text"),
    "scan": (LINES, {"key": "text", "value": "value"}),
    "incr": (ONE, "whole"),
    "projects": (LINES, "text"),
    "namespaces": (LINES, "text"),
    "nss": (LINES, {"project": "text", "namespace": "text"}),
    "ttl": (ONE, "number | null"),
    "expire": (NONE, None),
    "persist": (NONE, None),
    "create-cache": (NONE, None),
    "sweep": (ONE, "whole"),
    "addresses": (LINES, _ADDRESS),
    "address create": (ONE, _ADDRESS),
    "address info": (ONE, _ADDRESS),
    "address delete": (NONE, None),
    "address delete --dry-run": (ONE, "text"),
    "address undelete": (ONE, _ADDRESS),
    "address rename": (ONE, _ADDRESS),
    "address durability": (ONE, "text"),
    "address purge": (ONE, "whole"),
    "address purge --dry-run": (
        LINES,
        {"address": "text", "trash_id": "text", "path": "text", "deleted_at": "time"},
    ),
    "use": (ONE, "text"),
    "cursor set": (ONE, _ADDRESS),
    "cursor list": (LINES, {"cursor": "text", "address": "text", "path": "text", "active": "truth"}),
    "cursor active": (ONE, "text"),
    "cursor delete": (NONE, None),
    "cursor delete --dry-run": (ONE, "text"),
    "cursor clear": (NONE, None),
    "config get": (ONE, "text"),
    "config set": (NONE, None),
    "config list": (LINES, {"name": "text", "value": "text", "source": "text"}),
    "stats": (ONE, {**_STATS, "caches": {"*": "number"}}),
    "stats --all": (LINES, _STATS),
    "check": (LINES, {"address": "text | null", "problem": "text"}),
    "bench": (
        LINES,
        (
            {"workload": "text", "disk": "number"},
            {"workload": "text", "pronto": "number", "sqlite": "number", "ratio": "number"},
        ),
    ),
    "selftest": (LINES, {"probe": "text", "status": "text", "detail": "text", "seconds": "number"}),
    "completion": (ONE, {"shell": "text", "script": "text"}),
    "help": (ONE, {"help": "text"}),
    "version": (ONE, {"version": "text"}),
}
