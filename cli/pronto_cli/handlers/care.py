"""`config`, `check`, `help`, `version`: looking after a store, and finding one's way."""

from __future__ import annotations

import os

from pronto_cli.exits import Exit
from pronto_cli.findings import print_findings, summary
from pronto_cli.place import opened
from pronto_cli.printing import print_record, print_value
from pronto_cli.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_cli.line import Line
    from pronto_cli.streams import Streams
    from pronto_lmdb.store import Store


def config_get(line: Line, streams: Streams) -> int:
    """Print the setting that holds."""
    with opened(line) as store:
        print_value(line, streams, _setting(store, line["name"]))
    return Exit.OK


def config_set(line: Line, _streams: Streams) -> int:
    """Store a setting."""
    with opened(line) as store:
        store.config[line["name"]] = line["value"]
    return Exit.OK


def config_list(line: Line, streams: Streams) -> int:
    """Print all settings that hold."""
    from pronto_lmdb.config import SETTINGS

    with opened(line) as store:
        for name in SETTINGS:
            value = _setting(store, name)
            if line.json:
                print_record(line, streams, {"name": name, "value": value, "source": _source(store, name)})
            else:
                streams.line(f"{name}={value}")
    return Exit.OK


def _setting(store: Store, name: str) -> str:
    value = store.config.effective(name)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _source(store: Store, name: str) -> str:
    from pronto_lmdb.config import SETTINGS

    if os.environ.get(SETTINGS[name].variable):
        return "environment"
    return "store" if name in store.config else "default"


def check(line: Line, streams: Streams) -> int:
    """Print what is wrong in a store, and what was repaired."""
    looked_at = 0
    with opened(line) as store:
        with Progress(streams) as shown:

            def follow(done: int, total: int) -> None:
                nonlocal looked_at
                looked_at = total
                shown.show(f"{done}/{total} addresses", done, total)

            report = store.check(
                bool(line["repair"]),
                bool(line["deep"]),
                addresses=line["names"] or None,
                rebuild=bool(line["rebuild"]),
                progress=follow,
            )
        if line.json:
            for kind, found in (("problem", report.problems), ("repair", report.repairs)):
                for item in found:
                    address = None if item.address is None else str(item.address)
                    print_record(line, streams, {"address": address, kind: item.text})
        else:
            print_findings(streams, store.path, report, repaired=bool(line["repair"] or line["rebuild"]))
        streams.note(f"{store.path}: {summary(report, looked_at)}")
    return Exit.OK if report.ok else Exit.CHECK_FAILED


def help_(line: Line, streams: Streams) -> int:
    """Print a help text."""
    if line.json:
        print_record(line, streams, {"help": line["text"]})
    else:
        streams.line(line["text"])
    return Exit.OK


def version(line: Line, streams: Streams) -> int:
    """Print the version."""
    from pronto_lmdb import __version__

    if line.json:
        print_record(line, streams, {"version": __version__})
    else:
        streams.line(f"pronto {__version__}")
    return Exit.OK
