"""``python -m bench``: run, report, compare, readme, list."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.util import find_spec
from tempfile import mkdtemp
from time import monotonic
from typing import TYPE_CHECKING

from bench.adapters import CONTENDERS
from bench.agents import AgentError
from bench.compare import compare
from bench.harness import COMPLETE, QUICK, Run
from bench.machine import MEMORY_FILE_SYSTEMS, REPOSITORY, facts
from bench.measure import timer_cost
from bench.readme import replaced
from bench.report import markdown, table
from bench.results import Result, load
from bench.stand import WrongAnswer
from bench.targets import MISSED, TARGETS, verdict
from bench.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

RESULTS = os.path.join(REPOSITORY, "bench", "results")
README = os.path.join(REPOSITORY, "README.md")


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
    except (OSError, ValueError, WrongAnswer, AgentError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(required=True)

    measuring = commands.add_parser("run", help="measure, and write a result")
    measuring.add_argument("--quick", action="store_true", help="fewer rounds, fewer points, under two minutes")
    measuring.add_argument("--dir", help="measure on this directory's file system (default: a temporary directory)")
    measuring.add_argument("--out", help="the result (default: bench/results/quick.json or complete.json)")
    measuring.add_argument("--seed", type=int, default=20_260_101, help="of every random choice")
    measuring.add_argument("--only", type=_names(WORKLOADS), default=[*WORKLOADS], help="workloads, by commas")
    measuring.add_argument("--contenders", type=_names(CONTENDERS), default=[], help="contenders, by commas")
    measuring.set_defaults(command=_run)

    reporting = commands.add_parser("report", help="write tables and charts beside a result")
    reporting.add_argument("result")
    reporting.set_defaults(command=_report)

    comparing = commands.add_parser("compare", help="fail on a regression of Pronto beyond the measured noise")
    comparing.add_argument("old")
    comparing.add_argument("new")
    comparing.set_defaults(command=_compare)

    describing = commands.add_parser("readme", help="bring the table in README.md up to date")
    describing.add_argument("result")
    describing.add_argument("--readme", default=README)
    describing.add_argument("--check", action="store_true", help="change nothing; fail if it is not current")
    describing.set_defaults(command=_readme)

    listing = commands.add_parser("list", help="show workloads and contenders")
    listing.set_defaults(command=_list)
    return parser


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
        return chosen

    return names


def _run(options: argparse.Namespace) -> int:
    scale = QUICK if options.quick else COMPLETE
    path = options.out or os.path.join(RESULTS, f"{scale.name}.json")
    directory = mkdtemp(prefix="pronto-bench-", dir=options.dir)
    known = facts(directory)
    if known["file_system"]["type"] in MEMORY_FILE_SYSTEMS:
        print("bench: this file system is memory: durable figures mean nothing. Use --dir.", file=sys.stderr)
    started, run = monotonic(), Run(scale, directory, options.seed, frozenset(options.contenders))
    try:
        for name in options.only:
            WORKLOADS[name](run)
    finally:
        run.close()
        shutil.rmtree(directory)
    known |= {
        "kind": scale.name,
        "date": datetime.now(UTC).date().isoformat(),
        "seed": options.seed,
        "scale": asdict(scale),
        "seconds": round(monotonic() - started),
        "timer_ns": timer_cost(),
        "notes": run.notes,
    }
    result = Result(known, _statuses(run), run.rows)
    result.save(path)
    _print_targets(result)
    print(f"Written to {path}", file=sys.stderr)
    return 0


def _statuses(run: Run) -> dict[str, dict[str, str]]:
    return {
        name: {
            "durability": CONTENDERS[name].durability,
            "status": status,
            "version": CONTENDERS[name].version if status == "measured" else "",
        }
        for name, status in run.statuses.items()
    }


def _print_targets(result: Result) -> None:
    for target in TARGETS:
        measured = target.measured(result)
        if measured is not None:
            found = verdict(target, measured)
            shown = found.upper() if found == MISSED else found
            print(f"{target.path:42} {target.demand:39} {target.shown(measured):>12}  {shown}")


def _report(options: argparse.Namespace) -> int:
    result = load(options.result)
    base = os.path.splitext(options.result)[0]
    charts: list[str] = []
    if find_spec("matplotlib"):
        from bench.charts import draw

        folder = f"{base}-charts"
        charts = [f"{os.path.basename(folder)}/{name}" for name in draw(result, folder)]
    else:
        print("bench: matplotlib is not installed: no charts.", file=sys.stderr)
    with open(f"{base}.md", "w", encoding="utf-8") as file:
        file.write(markdown(result, charts))
    print(f"Written to {base}.md", file=sys.stderr)
    return 0


def _compare(options: argparse.Namespace) -> int:
    text, regressions = compare(load(options.old), load(options.new))
    print(text, end="")
    return 1 if regressions else 0


def _readme(options: argparse.Namespace) -> int:
    with open(options.readme, encoding="utf-8") as file:
        text = file.read()
    current = replaced(text, load(options.result))
    if options.check:
        if text != current:
            print(f"bench: {options.readme} is not current; run `python -m bench readme`.", file=sys.stderr)
        return int(text != current)
    with open(options.readme, "w", encoding="utf-8") as file:
        file.write(current)
    return 0


def _list(_: argparse.Namespace) -> int:
    print(f"workloads: {', '.join(WORKLOADS)}\n")
    rows = [(name, each.durability, each.obstacle() or "ready") for name, each in CONTENDERS.items()]
    print(table(("contender", "durability", "status"), rows), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
