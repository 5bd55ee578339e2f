"""`migrate`: the data of the old program."""

from __future__ import annotations

from pronto_cli.exits import CommandError, DeclinedError, Exit, UsageError
from pronto_cli.place import opened
from pronto_cli.printing import print_record
from pronto_cli.progress import Progress
from pronto_lmdb import migration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pronto_cli.line import Line
    from pronto_cli.streams import Streams
    from pronto_lmdb.migration import MigrationReport
    from pronto_lmdb.migration_plan import AddressPlan, Plan

_STATES = {
    "new": "will be made",
    "merged": "exists and will be added to",
    "done": "has all of this already",
    "nothing": "nothing to store",
    "refused": "refused",
}


class _IncompleteError(CommandError):
    """Not everything is there now."""


def migrate(line: Line, streams: Streams) -> int:
    """Take over old data, or print what that would do."""
    mapping = dict(_mapped(text) for text in line["mapping"] or ())
    choices = {name: line[name] for name in ("duplicates", "on_conflict") if line[name] is not None}
    asks = streams.interactive and not line["yes"] and not line["dry_run"]
    bar = Progress(streams)

    def approve(plan: Plan) -> bool:
        bar.clear()
        if not asks or not any(address.state in ("new", "merged") for address in plan.addresses):
            return True
        _tell(streams, _plan_lines(plan))
        return streams.confirm("Do this?")

    with opened(line) as store, bar:
        try:
            report = migration.migrate(
                line["sources"] or None,
                store,
                mapping=mapping,
                split_meta=bool(line["split_meta"]),
                include_expired=bool(line["include_expired"]),
                dry_run=bool(line["dry_run"]),
                approve=approve,
                progress=bar.show,
                **choices,
            )
        except migration.SourceRefusedError as error:
            report = error.report
    if not report.applied and not line["dry_run"]:
        raise DeclinedError("Nothing was taken over.")
    _print(line, streams, report)
    return _ended(report)


def _mapped(text: str) -> tuple[str, str]:
    name, equals, address = text.rpartition("=")
    if not equals or not name:
        raise UsageError(f"{text!r} maps nothing.", "Write --map DATABASE=USER.CURSOR.")
    return name, address


def _ended(report: MigrationReport) -> int:
    """Return the exit code, or raise the error that says what is not there."""
    refused = report.plan.refused
    if report.missing:
        error = _IncompleteError(
            f"{report.missing} records are not as they should be.", "The report names them; the sources are untouched."
        )
        error.exit, error.code = Exit.CHECK_FAILED, "incomplete"
        raise error
    if refused:
        others = f" {len(refused) - 1} more were refused." if len(refused) > 1 else ""
        error = _IncompleteError(f"{refused[0]['problem']}{others}", refused[0]["hint"])
        only_conflicts = all(item["kind"] == "conflict" for item in refused)
        error.exit, error.code = (Exit.CONFLICT, "conflict") if only_conflicts else (Exit.ERROR, "migration")
        raise error
    return Exit.OK


# -- what is printed -------------------------------------------------------------------------------------------------


def _print(line: Line, streams: Streams, report: MigrationReport) -> None:
    if line.json:
        print_record(line, streams, report.as_dict())
    elif line["dry_run"]:
        for text in _plan_lines(report.plan):
            streams.line(text)
    else:
        _tell(streams, _report_lines(report))


def _tell(streams: Streams, lines: Iterator[str]) -> None:
    for text in lines:
        streams.note(text)


def _plan_lines(plan: Plan) -> Iterator[str]:
    if not plan.databases and not plan.refused:
        yield "No data of ProntoDB was found."
    for database in plan.databases:
        yield f"{database.place}: database {database.name}, {database.rows:,} rows, becomes {database.address}"
    for address in plan.addresses:
        yield f"{address.address}: {_STATES[address.state]}{_counts(address)}"
        yield from _details(address)
    yield from _ends(plan)


def _report_lines(report: MigrationReport) -> Iterator[str]:
    planned = {address.address: address for address in report.plan.addresses}
    if not report.plan.databases and not report.plan.refused:
        yield "No data of ProntoDB was found."
    for address in report.addresses:
        plan = planned[address.address]
        if address.state in ("new", "merged"):
            kept = f", {address.kept:,} kept as they were" if address.kept else ""
            same = f", {address.same:,} were there" if address.same else ""
            lost = f", {address.missing:,} NOT FOUND" if address.missing else ""
            counts = f"{address.written:,} records written{same}{kept}, {address.verified:,} looked up{lost}"
            yield f"{address.address}: {counts}"
            yield from _details(plan)
        else:
            yield f"{address.address}: {_STATES[address.state]}"
        for key in address.missing_keys:
            yield f"  not found: {key}"
    yield from report.warnings
    yield from _ends(report.plan)


def _counts(address: AddressPlan) -> str:
    if address.state in ("done", "nothing"):
        return ""
    tally = address.tally
    counts = [
        (tally.records, "records"),
        (tally.expiring, "that expire"),
        (tally.with_context, "with a context"),
        (address.conflicts, "in conflict with the address"),
    ]
    return ": " + ", ".join(f"{count:,} {what}" for count, what in counts if count)


def _details(address: AddressPlan) -> Iterator[str]:
    tally = address.tally
    if tally.superseded:
        kept = f", {tally.older_kept:,} of them kept as older-N" if tally.older_kept else ""
        yield f"  {tally.superseded:,} overwritten rows that the old program never removed{kept}"
    if address.meta is not None:
        yield f"  what was stored under the meta context {address.meta}"
    if address.contexts:
        yield f"  meta contexts in front of the keys: {', '.join(address.contexts)}"
    for namespace, seconds in address.namespaces.items():
        yield f"  {namespace}: default TTL of {seconds} s"
    if tally.encoded:
        yield f"  {tally.encoded:,} keys do not fit and are encoded (prontodb.encoded.PROJECT.NAMESPACE.KEY), such as"
        yield from (f"    {key}" for key in [*tally.encoded_keys][:3])
    for text in address.dropped:
        yield f"  left out: {text}"


def _ends(plan: Plan) -> Iterator[str]:
    for item in plan.skipped:
        yield f"Skipped: {item['problem']}"
    for item in plan.refused if len(plan.refused) > 1 else ():  # a single one is the error of the command
        yield f"Refused: {item['problem']} {item['hint']}"
    for text in plan.suggestions:
        yield f"Next: {text}"
