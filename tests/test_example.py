"""The example in docs/examples runs, prints its table, and notices what does not belong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pronto_lmdb

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
AGENTS = [f"agent{number}.stdlib" for number in range(1, 9)]


@pytest.fixture
def fleet(monkeypatch):
    """The example as a module, importable in the processes that it starts as well."""
    monkeypatch.syspath_prepend(EXAMPLES)
    import stdlib_fleet

    return stdlib_fleet


@pytest.fixture
def run_main(fleet, monkeypatch, capsys, root):
    """Run the example on the first files of the library; return its exit status, output and complaints."""

    def run(after_the_agents=lambda store: None):
        run_agents = fleet.run_fleet

        def run_fleet(where, shares):
            problems = run_agents(where, shares)
            with pronto_lmdb.open(where) as store:
                after_the_agents(store)
            return problems

        monkeypatch.setattr(fleet, "run_fleet", run_fleet)
        monkeypatch.setattr(sys, "argv", ["stdlib_fleet.py", "--root", str(root), "--limit", "24"])
        status = fleet.main()
        return status, *capsys.readouterr()

    return run


def test_the_script_prints_a_row_for_each_address_and_succeeds():
    done = subprocess.run(
        [sys.executable, EXAMPLES / "stdlib_fleet.py", "--limit", "24"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("agent") and ":" not in line]
    assert [row[0] for row in rows] == AGENTS
    assert all(int(column.replace(",", "")) > 0 for row in rows for column in row[1:3])
    total = sum(int(row[1].replace(",", "")) for row in rows)
    assert done.stdout.endswith(f"\n{total:,} records in 8 addresses, 0 foreign, lost or misread\n")


def test_what_the_agents_wrote_stays_in_a_root_that_is_given(run_main, root):
    assert run_main()[0] == 0
    with pronto_lmdb.open(root, readonly=True) as store:
        addresses = [str(info.address) for info in store.addresses()]
        records = [record for agent in AGENTS for record in store[agent].values()]
    assert addresses == [*AGENTS, "fleet.reports"]
    assert {record["agent"] for record in records} == set(AGENTS)


def test_a_second_run_under_the_same_root_begins_anew(run_main):
    first, second = run_main()[1].splitlines()[-1], run_main()[1].splitlines()[-1]
    assert first == second


def test_a_record_of_another_agent_fails_the_run(run_main):
    def plant(store):
        key, record = next(store["agent2.stdlib"].scan())
        store["agent1.stdlib"][key] = record
        store["agent2.stdlib"].delete_many([key])

    status, _, complaints = run_main(plant)
    assert status == 1
    assert "agent1.stdlib holds the foreign record stdlib." in complaints


def test_a_lost_record_fails_the_run(run_main):
    status, _, complaints = run_main(lambda store: store["agent3.stdlib"].popitem())
    assert status == 1
    assert complaints.startswith("agent3.stdlib holds ")


def test_an_agent_that_fails_fails_the_run(run_main, root):
    with pronto_lmdb.open(root) as store:
        store.create("agent4.stdlib", max_bytes=65_536)
    status, _, complaints = run_main()
    assert status == 1
    assert "agent4.stdlib ended with exit status 1" in complaints


@pytest.mark.parametrize(
    "record",
    [
        {"agent": "agent2.stdlib", "module": "ast"},
        {"agent": "agent1.stdlib", "module": "os"},
        {"agent": "agent1.stdlib", "module": ["ast"]},
        {"agent": "agent1.stdlib"},
        "a text",
    ],
    ids=["another agent", "another share", "no module", "nothing", "no record"],
)
def test_a_record_is_foreign_unless_agent_and_module_are_right(fleet, store, record):
    shares = {"agent1.stdlib": {"ast": "ast.py"}}
    store["agent1.stdlib"]["stdlib.ast.parse"] = {"agent": "agent1.stdlib", "module": "ast"}
    assert fleet.foreign_records(store, shares) == []
    store["agent1.stdlib"]["stdlib.ast.walk"] = record
    assert fleet.foreign_records(store, shares) == ["agent1.stdlib holds the foreign record stdlib.ast.walk"]


def test_a_record_is_foreign_under_the_key_of_another_module(fleet, store):
    shares = {"agent1.stdlib": {"ast": "ast.py", "os": "os.py"}}
    store["agent1.stdlib"]["stdlib.os.parse"] = {"agent": "agent1.stdlib", "module": "ast"}
    assert fleet.foreign_records(store, shares) == ["agent1.stdlib holds the foreign record stdlib.os.parse"]


def test_files_that_do_not_parse_are_reported_and_not_fatal(fleet, store, tmp_path):
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("class A:\n    def b(self): pass\n")
    bad.write_text("def (")
    _, report = fleet.write_share(store["agent1.stdlib"], {"good": str(good), "bad": str(bad), "gone": "/nowhere"})
    assert report["unparsed"] == ["bad", "gone"]
    assert list(store["agent1.stdlib"]) == ["stdlib.good.A", "stdlib.good.A.b"]


def test_a_spoilt_agent_is_brought_back_and_another_is_forked(fleet, store):
    store["agent1.stdlib"].update({str(number): number for number in range(20)})
    before = dict(store["agent1.stdlib"].items())
    done, problems = fleet.rewind(store, "agent1.stdlib")
    assert problems == []
    assert done.endswith("20 records; agent1.stdlib was spoilt and is restored")
    assert dict(store["agent1.stdlib"].items()) == before
    assert fleet.fork(store, "agent1.stdlib") == ("Memory of agent1.stdlib forked", [])
    assert not store.exists(fleet.FORK)


def test_a_restore_that_brings_back_something_else_fails_the_run(fleet, store, monkeypatch):
    store["agent1.stdlib"].update({str(number): number for number in range(20)})
    monkeypatch.setattr(type(store), "restore", lambda *_, **__: [])
    assert fleet.rewind(store, "agent1.stdlib")[1] == ["agent1.stdlib is not what it was when the snapshot was taken"]


def test_a_name_that_is_defined_twice_gives_two_records(fleet, tmp_path):
    source = tmp_path / "twice.py"
    source.write_text("def f(a, *, b=1):\n    'One.'\n    def g(): pass\ndef f(): pass\n")
    records = fleet.parse("agent1.stdlib", "pkg.twice", str(source))
    assert list(records) == ["stdlib.pkg/twice.f", "stdlib.pkg/twice.f.<locals>.g", "stdlib.pkg/twice.f#2"]
    assert records["stdlib.pkg/twice.f"] == {
        "agent": "agent1.stdlib",
        "module": "pkg.twice",
        "name": "f",
        "kind": "function",
        "signature": "a, *, b=1",
        "docstring": "One.",
        "line": 1,
        "size": 3,
    }
