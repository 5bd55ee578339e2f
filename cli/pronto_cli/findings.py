"""What a check has found, as a table for people: whose it is, what it is, how things stand, and what to do."""

from __future__ import annotations

import os

from pronto_cli.printing import one_line
from pronto_cli.streams import GREEN, RED, YELLOW
from pronto_cli.table import aligned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pronto_cli.streams import Streams
    from pronto_lmdb.results import Problem, Report

_HEADINGS = ("address", "what", "state", "advice")
_STATE = 2
_COLOURS = {"problem": RED, "lost": RED, "not repaired": YELLOW, "repaired": GREEN}
_NOBODYS = "-"
_NOT_REPAIRED = "not repaired: "
_LEFT_BY_A_REPAIR = (
    ("lost: ", "lost", "compare with a snapshot"),
    (_NOT_REPAIRED, "not repaired", "do that, then pronto check --repair"),
)


def print_findings(streams: Streams, root: str, report: Report, *, repaired: bool) -> None:
    """Print a line for each finding of a check, below headings; nothing where there is none.

    Args:
        streams: where to print it.
        root: of the store, which is left out of the paths.
        report: of the check.
        repaired: whether a repair was made.

    """
    findings = list(_rows(report, os.path.join(root, ""), repaired=repaired))
    if not findings:
        return

    def dressed(column: int, cell: str) -> str:
        colour = _COLOURS.get(cell.rstrip()) if column == _STATE else None
        return cell if colour is None else streams.tinted(cell, colour)

    for text in aligned([_HEADINGS, *findings], dressed=dressed):
        streams.line(text)


def summary(report: Report, looked_at: int) -> str:
    """Return one sentence about a whole check.

    Args:
        report: of the check.
        looked_at: how many addresses it looked at.

    """
    found = _counted(len(report.problems), "problem") if report.problems else "no problems"
    done = f", {_counted(len(report.repairs), 'repair')}" if report.repairs else ""
    return f"{_counted(looked_at, 'address')} checked, {found}{done}."


def _counted(number: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def _rows(report: Report, root: str, *, repaired: bool) -> Iterator[tuple[str, str, str, str]]:
    put_off = {problem.address for problem in report.problems if problem.text.startswith(_NOT_REPAIRED)}
    for problem in report.problems:
        again = not repaired or problem.address in put_off
        yield (_whose(problem), *_explained(one_line(problem.text.replace(root, "")), again=again))
    for repair in report.repairs:
        yield _whose(repair), one_line(repair.text.replace(root, "")), "repaired", ""


def _explained(text: str, *, again: bool) -> tuple[str, str, str]:
    """Return what a problem is, how things stand, and what to do.

    Args:
        text: of the problem.
        again: whether a repair may still help.

    """
    for begin, state, advice in _LEFT_BY_A_REPAIR:
        if text.startswith(begin):
            return text.removeprefix(begin), state, advice
    if text.endswith("less busy"):
        return text, "problem", "pronto check, later"
    return text, "problem", "pronto check --repair" if again else "bring back a snapshot"


def _whose(found: Problem) -> str:
    return _NOBODYS if found.address is None else str(found.address)
