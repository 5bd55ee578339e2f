"""`backup ...`, `restore`: snapshots of addresses."""

from __future__ import annotations

import os
from functools import cache, partial

from pronto_cli.exits import CommandError, DeclinedError, Exit, UsageError
from pronto_cli.jsonform import time_text, to_json
from pronto_cli.line import number, whole
from pronto_cli.place import current_address, opened
from pronto_cli.printing import one_line
from pronto_cli.progress import Progress
from pronto_lmdb.address import Address
from pronto_lmdb.errors import AddressExistsError, FormatVersionError, SnapshotError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pronto_cli.line import Line
    from pronto_cli.streams import Streams
    from pronto_lmdb.results import Pruning, Snapshot, UnreadableSnapshot
    from pronto_lmdb.store import Store

_RULES = ("keep_last", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly")
_ARCHIVE = "prontodb_{}.tar.gz"


def create(line: Line, streams: Streams) -> int:
    """Take a snapshot."""
    if sum(line[name] is not None for name in ("dest", "archive", "output")) > 1:
        raise UsageError("A snapshot goes to one place.", "Give one of --dest, --archive and --output.")
    workers = None if line["workers"] is None else whole(line["workers"], "--workers")
    archive = line["archive"]
    if line["output"] is not None:
        archive = os.path.join(line["output"], _ARCHIVE.format(_stamp()))
    with opened(line) as store, Progress(streams) as progress:
        addresses = _chosen(line, store, lambda: [info.address for info in store.addresses(line.user)])
        snapshot = store.backup(
            addresses,
            line["label"],
            line["dest"],
            archive=archive,
            workers=workers,
            progress=partial(progress.show, "taking a snapshot"),
        )
    if line.json:
        streams.line(to_json(_facts(snapshot)))
    else:
        streams.line(snapshot.id if archive is None else str(snapshot.path))
        streams.note(f"{len(snapshot.addresses)} addresses, {snapshot.records} records, {snapshot.bytes} bytes.")
    return Exit.OK


def _chosen(line: Line, store: Store, held: Callable[[], Sequence[Address]]) -> list[Address] | None:
    """Return the addresses that a line names: as arguments, by -a, or by -u all of one user; ``None`` for all.

    Args:
        line: the command line.
        store: where they are.
        held: returns those that there are; not called where each is named.

    """
    named = [Address.parse(text) for text in line["addresses"] or ()]
    if named and not (line.address is None and line.user is None and line.cursor is None):
        raise UsageError("The addresses are named twice.", "Leave out -a, -u and -c, or the arguments.")
    if line.address is not None or line.cursor is not None:
        return [current_address(line, store)]
    if line.user is None:
        return named or None
    chosen = [address for address in held() if address.user == line.user]
    if not chosen:
        raise CommandError(f"There is no address of {line.user}.", "`pronto addresses` lists those that exist.")
    return chosen


def _stamp() -> str:
    from pronto_lmdb import clock
    from pronto_lmdb.snapshots import make_id

    return make_id(clock.now())


def list_(line: Line, streams: Streams) -> int:
    """Print the snapshots of a store, or of a directory."""
    if line["dest"] is not None and line["output"] is not None:
        raise UsageError("--dest has snapshots, --output archives.", "Give one of them.")
    with opened(line) as store:
        if line["output"] is None:
            found = store.snapshots(line["dest"], unreadable=partial(_warn, streams))
        else:
            found = _archives(store, line["output"], streams)
    for snapshot in found:
        facts = _facts(snapshot)
        if line.json:
            streams.line(to_json(facts))
        else:
            first = snapshot.id if line["output"] is None else str(snapshot.path)
            counts = map(str, (len(snapshot.addresses), snapshot.records, snapshot.bytes))
            streams.line("\t".join([first, facts["created_at"], *counts, one_line(snapshot.label or "")]))
    return Exit.OK


def _warn(streams: Streams, left_out: UnreadableSnapshot) -> None:
    """Say that a snapshot is passed over, and why."""
    text = f"{left_out.path} is left out: {left_out.problem} {left_out.hint}"
    streams.tell(f"{streams.red('pronto:')} {one_line(text)}")


def _archives(store: Store, directory: str, streams: Streams) -> list[Snapshot]:
    from pathlib import Path

    from pronto_lmdb.manifest import DamagedSnapshotError
    from pronto_lmdb.results import UnreadableSnapshot

    found = []
    for name in sorted(os.listdir(directory)):
        if name.endswith(".tar.gz"):
            path = os.path.join(directory, name)
            try:
                found.append(store.snapshot(path))
            except (DamagedSnapshotError, FormatVersionError) as error:
                _warn(streams, UnreadableSnapshot(name, Path(path), error.problem, error.hint))
            except SnapshotError:
                continue  # somebody else's
    return found


def show(line: Line, streams: Streams) -> int:
    """Print what a snapshot holds."""
    with opened(line) as store:
        snapshot, contents = store.snapshot(line["snapshot"]), store.contents(line["snapshot"])
    if line.json:
        listed = [{**item._asdict(), "address": str(item.address)} for item in contents]
        streams.line(to_json({**_facts(snapshot), "addresses": listed}))
    else:
        for item in contents:
            streams.line("\t".join(map(str, (item.address, item.revision, item.records, item.bytes))))
    return Exit.OK


def verify(line: Line, streams: Streams) -> int:
    """Print what is wrong with a snapshot."""
    with opened(line) as store, Progress(streams) as progress:
        report = store.verify(line["snapshot"], deep=bool(line["deep"]), progress=partial(progress.show, "verifying"))
    for problem in report.problems:
        if line.json:
            address = None if problem.address is None else str(problem.address)
            streams.line(to_json({"address": address, "problem": problem.text}))
        else:
            streams.line(one_line(str(problem)))
    if report.ok:
        streams.note(f"{line['snapshot']} is whole.")
    return Exit.OK if report.ok else Exit.CHECK_FAILED


def restore(line: Line, streams: Streams) -> int:
    """Bring back what a snapshot holds."""
    overwrite, dry_run = bool(line["overwrite"]), bool(line["dry_run"])
    asks = overwrite and not line["yes"] and not dry_run
    if asks and not streams.interactive:
        raise UsageError("This may replace addresses.", "Add --yes, or look first with --dry-run.")
    with opened(line) as store:
        # Read here only where somebody is asked, or not each address is named: to restore it is to read it again.
        held = cache(lambda: store.snapshot(line["snapshot"]).addresses)
        if asks:
            held()
        addresses = _chosen(line, store, held)
        concerned = list(held()) if addresses is None else addresses
        if line["to"] is not None:
            concerned = [Address.parse(line["to"])]
        replaced = [address for address in concerned if store.exists(address)]
        if asks and replaced and not streams.confirm(f"Replace {len(replaced)} addresses?"):
            raise DeclinedError("Nothing was restored.")
        with Progress(streams) as progress:
            try:
                store.restore(
                    line["snapshot"],
                    addresses,
                    line["to"],
                    overwrite,
                    dry_run=dry_run,
                    progress=partial(progress.show, "restoring"),
                )
            except AddressExistsError as error:
                error.hint = "Add --overwrite to replace it: it goes to the trash. Or --to gives another name."
                raise
    for address in concerned:
        text = str(address)
        streams.line(to_json({"address": text, "replaced": address in replaced}) if line.json else text)
    done = "would be restored" if dry_run else "restored"
    streams.note(f"{len(concerned)} addresses {done}; {len(replaced)} of them replaced.")
    return Exit.OK


def prune(line: Line, streams: Streams) -> int:
    """Remove the snapshots that no rule keeps."""
    rules: dict[str, Any] = {
        name: whole(line[name], f"--{name.replace('_', '-')}") for name in _RULES if line[name] is not None
    }
    if line["keep_within"] is not None:
        rules["keep_within"] = number(line["keep_within"], "--keep-within")
    if not rules:
        raise UsageError("This policy keeps nothing.", "Give at least one of --keep-last, --keep-daily, ...")
    asks = not line["yes"] and not line["dry_run"]
    if asks and not streams.interactive:
        raise UsageError("This removes snapshots for good.", "Add --yes, or look first with --dry-run.")
    with opened(line) as store:
        looks_only = asks or bool(line["dry_run"])
        pruning = store.prune(**rules, dest=line["dest"], dry_run=looks_only, unreadable=partial(_warn, streams))
        if asks and pruning.removed:
            if not streams.confirm(f"Remove {len(pruning.removed)} snapshots for good?"):
                raise DeclinedError("Nothing was removed.")
            pruning = store.prune(**rules, dest=line["dest"])
    _print_pruning(line, streams, pruning)
    return Exit.OK


def _print_pruning(line: Line, streams: Streams, pruning: Pruning) -> None:
    rows = [(snapshot, "keep", reasons) for snapshot, reasons in pruning.kept]
    rows += [(snapshot, "remove", []) for snapshot in pruning.removed]
    for snapshot, action, reasons in sorted(rows, key=lambda row: row[0].id):
        if line.json:
            streams.line(to_json({"id": snapshot.id, "action": action, "reasons": reasons}))
        else:
            streams.line("\t".join([action, snapshot.id, *([", ".join(reasons)] if reasons else [])]))


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "id": snapshot.id,
        "created_at": time_text(snapshot.created_at),
        "label": snapshot.label,
        "addresses": [str(address) for address in snapshot.addresses],
        "records": snapshot.records,
        "bytes": snapshot.bytes,
        "path": str(snapshot.path),
        "tool": snapshot.tool,
    }
