"""Eight agents read the standard library of this interpreter and remember what they find, each in its own address.

Run it with ``make run``, or::

    python docs/examples/stdlib_fleet.py [--root DIRECTORY] [--limit FILES]

Every agent is a process. It parses its share of the source files, writes one record per function and class into
``agentN.stdlib``, reads everything back, and answers a question about it. The parent then proves that no address
holds a record of another agent. In the end it takes a snapshot of the fleet, spoils what one agent knows, brings it
back, and forks another agent's memory. The exit status is 0 if everything is as it was written and where it belongs.
"""
# ruff: noqa: T201 - a script that prints

from __future__ import annotations

import argparse
import ast
import os
import platform
import sys
import sysconfig
import tempfile
import warnings
from collections import Counter
from contextlib import nullcontext
from multiprocessing import get_context
from time import perf_counter

import pronto_lmdb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Share = dict[str, str]  # module name -> path of its source
    Record = dict[str, Any]

AGENTS = [f"agent{number}.stdlib" for number in range(1, 9)]
REPORTS = "fleet.reports"
FORK = "fork.stdlib"
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
BLOCK = (ast.stmt, ast.excepthandler, ast.match_case)


def find_sources(limit: int | None) -> Share:
    """Return the modules of the standard library and of its tests."""
    library = sysconfig.get_path("stdlib")
    sources = {}
    for directory, subdirectories, files in os.walk(library):
        subdirectories[:] = sorted(filter(str.isidentifier, subdirectories))  # "site-packages" is none
        package = directory[len(library) :].split(os.sep)[1:]
        for name, extension in map(os.path.splitext, sorted(files)):
            if extension == ".py" and name.isidentifier():
                module = ".".join(package if name == "__init__" else [*package, name])
                sources[module] = os.path.join(directory, name + extension)
    return dict(list(sources.items())[:limit])


def share_out(sources: Share) -> dict[str, Share]:
    """Deal the modules out to the agents, longest first, so that all have about the same to do."""
    longest_first = sorted(sources, key=lambda module: (-os.path.getsize(sources[module]), module))
    shares = {}
    for number, agent in enumerate(AGENTS):
        shares[agent] = {module: sources[module] for module in longest_first[number :: len(AGENTS)]}
    return shares


def key_prefix(module: str) -> str:
    """Return how the keys of a module begin: project ``stdlib``, and the module as the namespace."""
    return f"stdlib.{module.replace('.', '/')}."


def parse(agent: str, module: str, path: str) -> dict[str, Record]:
    """Return the records of one source file by key; a name that is defined again gets a number."""
    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(file.read(), path)
    records: dict[str, Record] = {}
    times: Counter[str] = Counter()
    for name, node in definitions(tree):
        times[name] += 1
        key = key_prefix(module) + (name if times[name] == 1 else f"{name}#{times[name]}")
        records[key] = {"agent": agent, "module": module, "name": name, **describe(node)}
    return records


def definitions(node: ast.AST, scope: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every function and class with its qualified name, as Python itself would call it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTION, ast.ClassDef)):
            yield scope + child.name, child
            inside = "." if isinstance(child, ast.ClassDef) else ".<locals>."
            yield from definitions(child, scope + child.name + inside)
        elif isinstance(child, BLOCK):
            yield from definitions(child, scope)


def describe(node: Any) -> Record:
    """Return what a record says about a definition."""
    docstring = ast.get_docstring(node) or ""
    return {
        "kind": "function" if isinstance(node, FUNCTION) else "class",
        "signature": ast.unparse(node.args) if isinstance(node, FUNCTION) else ", ".join(map(ast.unparse, node.bases)),
        # A literal such as "\ud800" is text that has no UTF-8, and therefore no value.
        "docstring": docstring.encode("utf-8", "backslashreplace").decode(),
        "line": node.lineno,
        "size": node.end_lineno - node.lineno + 1,
    }


def run_agent(root: str, agent: str, share: Share) -> None:
    """Do the work of one agent, in a process of its own, and leave a report for the parent."""
    with pronto_lmdb.open(root) as store:
        keystore = store[agent]
        keystore.clear()  # what an earlier run left under the same root
        written, report = write_share(keystore, share)
        report |= read_back(keystore, written)
        report |= {"answer": longest_definition(keystore, written), "bytes": keystore.stats().bytes_used}
        # One address that all agents write to: any number of processes may do that at once.
        store[REPORTS][agent] = report


def write_share(keystore: pronto_lmdb.Keystore, share: Share) -> tuple[dict[str, Record], Record]:
    """Write the records of all files: classes one by one, the functions of each file in one transaction."""
    written: dict[str, Record] = {}
    unparsed = []
    put_seconds = update_seconds = 0.0
    for module, path in share.items():
        try:
            records = parse(str(keystore.address), module, path)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
            unparsed.append(module)
            continue
        classes = {key: record for key, record in records.items() if record["kind"] == "class"}
        functions = {key: record for key, record in records.items() if record["kind"] == "function"}
        started = perf_counter()
        for key, record in classes.items():
            keystore[key] = record  # a commit each, durable when the statement ends
        between = perf_counter()
        keystore.update(functions)  # one commit: all of them, or none
        put_seconds += between - started
        update_seconds += perf_counter() - between
        written |= records
    kinds = Counter(record["kind"] for record in written.values())
    return written, {
        "unparsed": unparsed,
        "records": len(written),
        "puts_per_second": kinds["class"] / (put_seconds or 1),
        "updates_per_second": kinds["function"] / (update_seconds or 1),
    }


def read_back(keystore: pronto_lmdb.Keystore, written: dict[str, Record]) -> Record:
    """Get every record again and compare it with what was written."""
    started = perf_counter()
    misread = sum(keystore.get(key) != record for key, record in written.items())
    return {"misread": misread, "gets_per_second": len(written) / (perf_counter() - started)}


def longest_definition(keystore: pronto_lmdb.Keystore, written: dict[str, Record]) -> str:
    """Ask about the module with the most definitions: prefix queries, all on one consistent moment."""
    if not written:
        return "nothing was found"
    [(module, count)] = Counter(record["module"] for record in written.values()).most_common(1)
    prefix = key_prefix(module)
    with keystore.view() as view:
        found: dict[str, Any] = dict(view.scan(prefix))
        [last] = view.scan_keys(prefix, reverse=True, limit=1)
    if len(found) != count:
        raise RuntimeError(f"{prefix} has {len(found)} records, {count} were written")
    longest = max(found.values(), key=lambda record: record["size"])
    return f"{count:,} keys from {prefix} to {last}; {longest['name']} is the longest ({longest['size']} lines)"


def run_fleet(root: str, shares: dict[str, Share]) -> list[str]:
    """Run all agents at once; return what went wrong."""
    context = get_context("spawn")
    agents = [context.Process(target=run_agent, args=(root, *work), name=work[0]) for work in shares.items()]
    for agent in agents:
        agent.start()
    for agent in agents:
        agent.join()
    return [f"{agent.name} ended with exit status {agent.exitcode}" for agent in agents if agent.exitcode]


def foreign_records(store: pronto_lmdb.Store, shares: dict[str, Share]) -> list[str]:
    """Return every record that lies in another address than that of its agent, or belongs to no module of its share."""
    return [
        f"{agent} holds the foreign record {key}"
        for agent, share in shares.items()
        for key, record in store[agent].scan()
        if not (
            isinstance(record, dict)
            and record.get("agent") == agent
            and str(record.get("module")) in share
            and key.startswith(key_prefix(record["module"]))
        )
    ]


def miscounts(store: pronto_lmdb.Store, shares: dict[str, Share]) -> list[str]:
    """Return where an agent's report and its keystore do not agree."""
    problems = []
    for agent in shares:
        report: Any = store[REPORTS].get(agent, {"records": None, "misread": None})
        if report["records"] != len(store[agent]) or report["misread"]:
            problems.append(f"{agent} holds {len(store[agent])} records, but reports {report}")
    return problems


def table(store: pronto_lmdb.Store, shares: dict[str, Share]) -> Iterator[str]:
    """Yield the lines of the result."""
    reports: dict[str, Any] = store[REPORTS].get_many(shares)
    yield "address         records       bytes  writes/s  batched writes/s     reads/s"
    columns = ("records", "bytes", "puts_per_second", "updates_per_second", "gets_per_second")
    for agent, report in reports.items():
        yield f"{agent:<14}" + "{:>9,}{:>12,}{:>10,.0f}{:>18,.0f}{:>12,.0f}".format(*map(report.get, columns))
    yield ""
    yield from (f"{agent}: {report['answer']}" for agent, report in reports.items())
    unparsed = sorted(module for report in reports.values() for module in report["unparsed"])
    yield f"{len(unparsed)} files do not parse: {', '.join(unparsed)}" if unparsed else "All files parse"


def rewind(store: pronto_lmdb.Store, spoilt: str) -> tuple[str, list[str]]:
    """Take a snapshot, spoil the data of one agent, bring it back; return what was done and what went wrong."""
    snapshot = store.backup(label="the fleet has finished")
    before = dict(store[spoilt].items())
    store[spoilt].update(dict.fromkeys(list(before)[::2], "spoilt"))
    store[spoilt].delete_many(list(before)[::3])
    store.restore(snapshot.id, spoilt, overwrite=True)  # what is replaced goes to the trash
    problems = [str(problem) for problem in store.verify(snapshot.id).problems]
    if dict(store[spoilt].items()) != before:
        problems.append(f"{spoilt} is not what it was when the snapshot was taken")
    done = f"Snapshot {snapshot.id}: {snapshot.records:,} records; {spoilt} was spoilt and is restored"
    return done, problems


def fork(store: pronto_lmdb.Store, agent: str) -> tuple[str, list[str]]:
    """Give a copy of an agent's memory to another one; return what was done and what went wrong."""
    before = dict(store[agent].items())
    store.copy(agent, FORK, overwrite=True)
    same = dict(store[FORK].items()) == before
    store[FORK].clear()  # the experiment of the fork is its own affair
    apart = dict(store[agent].items()) == before
    store.delete(FORK)
    problems = [] if same and apart else [f"the fork of {agent} is not like it, or not apart from it"]
    return f"Memory of {agent} forked", problems


def main() -> int:
    """Run the fleet, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(description="Eight agents, eight addresses, one standard library.")
    parser.add_argument("--root", help="where to keep the store; without it, a temporary directory")
    parser.add_argument("--limit", type=int, metavar="FILES", help="read only so many source files")
    options = parser.parse_args()
    sources = find_sources(options.limit)
    if not sources:
        parser.error("there are no source files of the standard library to read")
    shares = share_out(sources)
    print(f"Python {platform.python_version()}: {len(sources):,} source files for {len(shares)} agents\n")
    with nullcontext(options.root) if options.root else tempfile.TemporaryDirectory() as root:
        problems = run_fleet(root, shares)
        with pronto_lmdb.open(root) as store:
            print(*table(store, shares), sep="\n")
            problems += foreign_records(store, shares) + miscounts(store, shares)
            for done, found in (rewind(store, AGENTS[0]), fork(store, AGENTS[1])):
                print(done)
                problems += found
            held = sum(len(store[agent]) for agent in shares)
    print(*problems, sep="\n", file=sys.stderr, end="\n" if problems else "")
    print(f"{held:,} records in {len(shares)} addresses, {len(problems)} foreign, lost or misread")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
