"""What the shell offers when a name is half typed."""

import typer


def complete_address(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the addresses of the store that begin with a text."""
    import pronto_lmdb

    root = ctx.params.get("root") or ctx.find_root().params.get("root")
    try:
        with pronto_lmdb.open(root, readonly=True) as store:
            names = [str(info.address) for info in store.addresses()]
    except (pronto_lmdb.ProntoError, OSError):
        return []  # a shell cannot show why
    return [name for name in names if name.startswith(incomplete)]
