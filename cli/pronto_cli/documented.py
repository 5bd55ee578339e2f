"""What the reference says besides the help texts: environment variables, and what --json prints.

The shapes of JSON are written so: ``"text"``, ``"whole"``, ``"number"``, ``"truth"`` (true or false), ``"null"``,
``"time"`` (text as in RFC 3339, UTC) and ``"value"`` (whatever is stored) are kinds, ``"text | null"`` is either; an
object has exactly the names that are shown, one with ``"*"`` any names; a list of one shape is any number of it; a
tuple of shapes is one of them.
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
    "PRONTO_DB": "the main database of ProntoDB, where `migrate` looks for it; nothing else reads it",
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

_SNAPSHOT = {
    "id": "text",
    "created_at": "time",
    "label": "text | null",
    "addresses": ["text"],
    "records": "whole",
    "bytes": "whole",
    "path": "text",
    "tool": "text",
}
_CONTENT = {
    "address": "text",
    "id": "text",
    "revision": "whole",
    "records": "whole",
    "bytes": "whole",
    "checksum": "text",
    "durability": "text",
    "max_bytes": "whole | null",
    "labels": {"*": "text"},
}
_PROBLEM = {"address": "text | null", "problem": "text"}
_RESTORED = {"address": "text", "replaced": "truth"}
_MIGRATION = {
    "ok": "truth",
    "applied": "truth",
    "plan": {
        "sources": (["text"], "null"),
        "now": "whole",
        "options": {
            "choice": {"duplicates": "text", "include_expired": "truth", "split_meta": "truth"},
            "on_conflict": "text",
            "mapping": {"*": "text"},
        },
        "databases": [{"name": "text", "place": "text", "address": "text", "checksum": "text", "rows": "whole"}],
        "addresses": [
            {
                "address": "text",
                "state": "text",
                "places": ["text"],
                "meta": "text | null",
                "contexts": ["text"],
                "tally": {
                    **dict.fromkeys(("rows", "records", "superseded", "older_kept", "expired"), "whole"),
                    **dict.fromkeys(("with_context", "expiring", "encoded"), "whole"),
                    "encoded_keys": {"*": "text"},
                },
                "checksum": "text",
                "namespaces": {"*": "whole"},
                "conflicts": "whole",
                "conflicting_keys": ["text"],
                "dropped": ["text"],
            }
        ],
        "refused": [{"*": "text"}],
        "skipped": [{"*": "text"}],
        "cursors": [{"*": "value"}],
        "suggestions": ["text"],
    },
    "addresses": [
        {
            "address": "text",
            "state": "text",
            **dict.fromkeys(("written", "kept", "same", "verified", "missing"), "whole"),
            "missing_keys": ["text"],
            "checksum": "text",
        }
    ],
    "warnings": ["text"],
    "missing": "whole",
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
    "copy": (NONE, None),
    "import": (ONE, {"lines": "whole", "written": "whole", "skipped": "whole", "expired": "whole"}),
    "export": (LINES, ({"key": "text", "value": "value"}, {"key": "text", "value": "value", "expires_at": "time"})),
    "batch": (LINES, "value"),
    "stream": (NONE, None),
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
    "address quota": (ONE, "whole | null"),
    "address purge": (ONE, "whole"),
    "address purge --dry-run": (
        LINES,
        {"address": "text", "trash_id": "text", "path": "text", "deleted_at": "time"},
    ),
    "address copy": (ONE, _ADDRESS),
    "use": (ONE, "text"),
    "cursor set": (ONE, _ADDRESS),
    "cursor list": (LINES, {"cursor": "text", "address": "text", "path": "text", "active": "truth"}),
    "cursor active": (ONE, "text"),
    "cursor delete": (NONE, None),
    "cursor delete --dry-run": (ONE, "text"),
    "cursor clear": (NONE, None),
    "backup create": (ONE, _SNAPSHOT),
    "backup list": (LINES, _SNAPSHOT),
    "backup show": (ONE, {**_SNAPSHOT, "addresses": [_CONTENT]}),
    "backup verify": (LINES, _PROBLEM),
    "backup restore": (LINES, _RESTORED),
    "backup prune": (LINES, {"id": "text", "action": "text", "reasons": ["text"]}),
    "restore": (LINES, _RESTORED),
    "config get": (ONE, "text"),
    "config set": (NONE, None),
    "config list": (LINES, {"name": "text", "value": "text", "source": "text"}),
    "stats": (ONE, {**_STATS, "caches": {"*": "number"}}),
    "stats --all": (LINES, _STATS),
    "check": (LINES, _PROBLEM),
    "check --repair": (LINES, (_PROBLEM, {"address": "text | null", "repair": "text"})),
    "compact": (LINES, {"address": "text", "bytes_before": "whole", "bytes_after": "whole"}),
    "migrate": (ONE, _MIGRATION),
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
