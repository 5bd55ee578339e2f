"""What the shell offers when a name is half typed."""

from collections.abc import Iterable
from typing import Any

import typer

# More than that nobody reads.
_OFFERED = 200


def complete_address(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the addresses of the store that begin with a text."""
    found = _asked(ctx, lambda _, store: [str(info.address) for info in store.addresses()])
    return _beginning_with(incomplete, found)


def complete_cursor(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the cursors of the user who applies that begin with a text."""
    from pronto_cli.place import current_address

    def cursors(line: Any, store: Any) -> list[str]:
        return [info.address.cursor for info in store.addresses(current_address(line, store).user)]

    return _beginning_with(incomplete, _asked(ctx, cursors))


def complete_key(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the keys, of the address that applies, that begin with a text."""
    from itertools import islice

    from pronto_cli.names import selected
    from pronto_cli.place import keystore

    def keys(line: Any, store: Any) -> list[str]:
        target = keystore(line, store)
        rows = selected(line, lambda prefix: ((key, None) for key in target.scan_keys(prefix)))
        return [_name(key, line) for key, _ in islice(rows, _OFFERED) if key.isprintable()]

    return _asked(ctx, keys, prefix=incomplete)


def _name(key: str, line: Any) -> str:
    """Return what is to be typed for a key: with -p or -n the name alone."""
    if line["project"] is None and line["namespace"] is None:
        return key
    from pronto_lmdb.key import CONTEXT_MARK, Key

    found = Key.parse(key, line.ns_delim)
    return found.name if found.context is None else f"{found.name}{CONTEXT_MARK}{found.context}"


def complete_project(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the projects of the address that applies that begin with a text."""
    from pronto_cli.place import keystore

    return _beginning_with(incomplete, _asked(ctx, lambda line, store: keystore(line, store).projects()))


def complete_namespace(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the namespaces, of the project that was named before, that begin with a text."""
    from pronto_cli.place import keystore
    from pronto_lmdb.key import DEFAULT_PROJECT

    def namespaces(line: Any, store: Any) -> list[str]:
        found = keystore(line, store).namespaces(line["project"] or DEFAULT_PROJECT)
        return [namespace for _, namespace in found]

    return _beginning_with(incomplete, _asked(ctx, namespaces))


def complete_setting(incomplete: str) -> list[str]:
    """Return the names of settings that begin with a text."""
    from pronto_lmdb.config import SETTINGS

    return _beginning_with(incomplete, SETTINGS)


def complete_shell(incomplete: str) -> list[str]:
    """Return the shells for which there is a script."""
    from pronto_cli.handlers.completion import SCRIPTS

    return _beginning_with(incomplete, SCRIPTS)


def _beginning_with(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)][:_OFFERED]


def _asked(ctx: typer.Context, question: Any, **arguments: Any) -> list[str]:
    """Return the answer of the store that a half-typed line is about; nothing where there is none."""
    import pronto_lmdb
    from pronto_cli.exits import CommandError
    from pronto_cli.grammar import global_options
    from pronto_cli.line import Line

    own = {name: ctx.params.get(name) for name in ("project", "namespace", "literal")}
    try:
        line = Line(ctx.info_name or "", {**own, **arguments}, **global_options(ctx))
        with pronto_lmdb.open(line.root, readonly=True) as store:
            answer: list[str] = question(line, store)
            return answer
    except (pronto_lmdb.ProntoError, CommandError, OSError):
        return []  # a shell cannot show why
