"""The table of README.md, generated from a result."""

from __future__ import annotations

from bench.report import figure, table
from bench.results import Result, Row, speed
from bench.targets import Point

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"

# What the table shows: the path and the row of Pronto; the others are found beside it.
PATHS: dict[str, Point] = {
    "get": Point("micro", "get", "pronto-full"),
    "durable put": Point("micro", "put, durable", "pronto-full"),
    "durable update of 10,000, each": Point("micro", "update of 10,000, durable", "pronto-full"),
    "put at `normal`": Point("micro", "put, not waiting for the disk", "pronto-normal"),
    "put at `off`": Point("micro", "put, not waiting for the disk", "pronto-off"),
    "scan with values, each": Point("micro", "scan with values", "pronto-full"),
    "16 processes, own addresses, durable": Point(
        "fleet", "own address each, durable", "pronto-full", {"processes": 16}
    ),
    "8 processes, one address, durable": Point("fleet", "one address, durable", "pronto-full", {"processes": 8}),
    "32 threads, one address, durable": Point("group commit", "threads, durable", "pronto-full", {"threads": 32}),
    "256 tasks, one address, durable": Point("group commit", "asyncio tasks, durable", "pronto-full", {"tasks": 256}),
    "append a message, durable": Point("conversation", "append a message, durable", "pronto-full"),
    "read the last 20 messages": Point("conversation", "read the last 20", "pronto-full"),
    "YCSB A, durable": Point("ycsb", "A, zipfian, durable", "pronto-full"),
    "YCSB B, durable": Point("ycsb", "B, zipfian, durable", "pronto-full"),
}
# Column by family of contenders; at which durability depends on the row.
COLUMNS = {
    "LMDB by hand": "raw",
    "SQLite": "sqlite",
    "old design": "legacy",
    "diskcache": "diskcache",
    "RocksDB": "rocksdict",
    "LevelDB": "plyvel",
    "Redis": "redis",
}
_LEVELS = {"full": ("full",), "normal": ("normal",), "off": ("off", "normal")}


def section(result: Result) -> str:
    """Return the text between the markers."""
    facts, machine = result.facts, result.facts["machine"]
    rows = []
    for path, point in PATHS.items():
        row = point.row(result)
        if row is not None:
            rows.append(
                (path, figure(row.figure, row.unit), *(_cell(result, point, row, each) for each in COLUMNS.values()))
            )
    return (
        "How many times as fast as each of the others Pronto is, in one run, at the same durability (beside `off`: "
        "the weakest that the other has). Below 1 Pronto is the slower one. Measured on "
        f"{machine['processor']}, {machine['cores']} cores, {facts['file_system']['type']}, {facts['kernel']}, "
        f"Python {facts['versions']['python']}; {facts['kind']} run of {facts['date']}, commit {facts['commit']}.\n\n"
        + table(("path", "Pronto", *COLUMNS), rows)
    )


def _cell(result: Result, point: Point, row: Row, family: str) -> str:
    level = point.contender.rpartition("-")[2]
    for name in _LEVELS[level]:
        other = point.by(f"{family}-{name}").row(result)
        if other is not None:
            ratio = speed(row, other)
            return "" if ratio is None else f"{ratio:.2f} x"
    return ""


def replaced(text: str, result: Result) -> str:
    """Return a README with the section brought up to date.

    Raises:
        ValueError: unless it has both markers, once and in order.

    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"The text needs one {BEGIN} and, behind it, one {END}.")
    return f"{before}{BEGIN}\n{section(result)}{END}{after}"
