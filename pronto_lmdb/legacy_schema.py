"""Which databases the old program wrote, told by the names of their tables and columns.

One schema shipped in a working program, and nothing in the file says which it is. Those that were only designed are
known too, so that their files get a sentence of their own.
"""

from __future__ import annotations

from pronto_lmdb.errors import MigrationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

RECORDS = frozenset(
    ["project", "namespace", "key", "context", "value", "created_at", "updated_at", "expires_at"]
)  # fmt: skip
NAMESPACES = frozenset(["project", "namespace", "is_ttl", "default_ttl", "created_at"])

# Tables, some of their columns, and what the design that has them was.
_DESIGNS: tuple[tuple[dict[str, set[str]], str], ...] = (
    ({"sys_namespaces": {"ns", "kind", "table_name"}}, "a table for each namespace, hierarchical names"),
    ({"sys_namespaces": {"kind", "table_name"}}, "a table for each namespace"),
    ({"meta_mappings": set(), "meta_routes": set()}, "routed meta contexts"),
    ({"meta_registry": set(), "namespace_registry": set()}, "a hierarchy of registries"),
    ({"kvstore": {"namespace_key", "ttl_expires_at"}}, "one store for each user"),
    ({"kv": {"ttl_expires_at"}}, "one store for each namespace"),
)


class NothingThereError(MigrationError):
    """A file holds no data of the old program, and was perhaps never meant to."""


def check_schema(tables: Mapping[str, frozenset[str]], place: str) -> None:
    """Return if a database has the schema that shipped.

    Args:
        tables: the columns of each of its tables.
        place: the file, for messages.

    Raises:
        MigrationError: otherwise, saying what it is instead.

    """
    for marks, design in _DESIGNS:
        if all(name in tables and columns <= tables[name] for name, columns in marks.items()):
            raise MigrationError(
                f"{place} has a layout of ProntoDB that was designed and never shipped ({design}).",
                "No released program wrote it; copy its rows by hand, with `pronto import`.",
            )
    if tables.get("kv") == RECORDS and tables.get("sys_namespaces", NAMESPACES) == NAMESPACES:
        return
    if not tables:
        raise NothingThereError(f"{place} is an SQLite database without tables.", "There is nothing to take over.")
    raise NothingThereError(
        f"{place} is an SQLite database, but not one of ProntoDB: its tables are {_listed(tables)}.",
        "Name the file that the old program used.",
    )


def _listed(tables: Mapping[str, frozenset[str]]) -> str:
    names = sorted(tables)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
