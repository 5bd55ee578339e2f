"""Every workload runs, in a length at which its figures mean nothing, and leaves the rows that others look for."""

import pytest

from bench.adapters import CONTENDERS
from bench.agents import AgentError, Agents
from bench.harness import rotated
from bench.machine import facts
from bench.targets import TARGETS, Limit
from bench.workloads import WORKLOADS, addresses, fleet, group_commit, neighbour, sizes

ENGINES = ("pronto-full", "pronto-off", "raw-full", "raw-off", "sqlite-full", "legacy-full", "memory-none")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Shorten what the scale of a run does not."""
    monkeypatch.setattr("bench.workloads.micro.BATCH", 50)
    monkeypatch.setattr(sizes, "STORE_SIZES", (10, 20))
    monkeypatch.setattr(addresses, "SIZES", (20,))


@pytest.mark.parametrize("name", ["disk", "micro", "conversation", "db_bench", "ycsb", "sizes", "addresses"])
def test_a_workload_measures_and_leaves_nothing_behind(tiny_run, tmp_path, name):
    run = tiny_run(*ENGINES)
    WORKLOADS[name](run)
    assert run.rows
    assert {(row.workload, len(row.rounds) > 0, row.figure >= 0) for row in run.rows} == {(name, True, True)}
    assert {row.contender for row in run.rows} <= {*ENGINES, "disk"}
    assert name == "disk" or {"pronto-full", "legacy-full"} <= {row.contender for row in run.rows}
    assert list(tmp_path.iterdir()) == []


def test_agents_of_a_fleet_work_in_processes_of_their_own(tiny_run, tmp_path):
    run = tiny_run(*ENGINES)
    contenders = run.contenders(["pronto-off", "legacy-full"])
    fleet._measure(run, "own address each, durable", contenders, 2, fleet.own_addresses, fleet.HOST)
    fleet._measure(run, "one address, durable", contenders, 2, fleet.one_address, fleet.SHARED_ADDRESS)
    assert [(row.contender, row.parameters["processes"]) for row in run.rows] == [
        ("pronto-off", 2), ("legacy-full", 2), ("pronto-off", 2), ("legacy-full", 2),
    ]  # fmt: skip
    assert all(row.figure > 0 and row.percentiles for row in run.rows)


def test_a_neighbour_is_measured_alone_and_beside_the_others(tiny_run, monkeypatch):
    monkeypatch.setattr(neighbour, "NEIGHBOURS", 1)
    run = tiny_run("pronto-off", "memory-none")
    neighbour._measure(run, "get", neighbour.Reader, {"pronto-off": "pronto-off"})
    assert [(row.case, row.parameters["neighbours"]) for row in run.rows] == [("get, p99", 0), ("get, p99", 1)]


@pytest.mark.parametrize("crowd", [group_commit._threads, group_commit._tasks])
def test_a_crowd_writes_to_one_address(tiny_run, crowd):
    run = tiny_run("raw-off", "sqlite-full")
    group_commit._measure(run, "threads", run.contenders(["raw-off", "sqlite-full"]), 3, crowd)
    assert [row.contender for row in run.rows] == ["raw-off", "sqlite-full"]
    assert all(row.operations >= 3 for row in run.rows)


def test_an_agent_that_fails_ends_the_run_with_its_traceback(tmp_path):
    with Agents() as agents, pytest.raises(AgentError, match=r"agent000001.main holds None instead of its own record"):
        agents.run([addresses.Visitor("pronto-full", str(tmp_path), [addresses.address(1)])], 0)


def test_who_begins_changes_from_round_to_round():
    assert [rotated("abc", number)[0] for number in range(4)] == ["a", "b", "c", "a"]
    assert sorted(rotated("abc", 2)) == ["a", "b", "c"]


def test_a_contender_that_was_not_chosen_takes_no_part(tiny_run):
    run = tiny_run("raw-full")
    assert [contender.name for contender in run.contenders(["pronto-full", "raw-full"])] == ["raw-full"]
    assert run.statuses["pronto-full"] == "not chosen"


def test_every_target_names_contenders_that_exist():
    points = [target.ours for target in TARGETS] + [
        target.theirs for target in TARGETS if not isinstance(target, Limit)
    ]
    assert {point.contender for point in points} <= {*CONTENDERS, "pronto", "python"}
    assert {point.workload for point in points} <= set(WORKLOADS)


def test_the_facts_of_a_machine_hold_no_path(tmp_path):
    known = facts(str(tmp_path))
    assert known["file_system"]["type"] != "unknown"
    assert str(tmp_path) not in str(known)
