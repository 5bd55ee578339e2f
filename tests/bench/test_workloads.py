"""Every workload runs, in a length at which its figures mean nothing, and leaves the rows that others look for."""

import os
from array import array
from random import Random

import pytest

from bench.adapters import CONTENDERS
from bench.agents import AgentError, Agents
from bench.harness import rotated
from bench.machine import facts, written_bytes
from bench.measure import Timing
from bench.report import TAILS
from bench.targets import TARGETS, Limit
from bench.workloads import (
    WORKLOADS,
    addresses,
    backup,
    checkpoints,
    disk_use,
    fleet,
    group_commit,
    migration,
    neighbour,
    sizes,
)

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


def test_lines_go_in_and_out_through_processes(tiny_run, tmp_path):
    run = tiny_run()
    WORKLOADS["json lines"](run)
    assert {(row.case, row.contender) for row in run.rows} == {
        ("import", "pronto-full"), ("export", "pronto-full"), ("batch", "pronto-full"),
        ("import", "raw-full"), ("export", "raw-full"),
    }  # fmt: skip
    assert all(row.figure > 0 and row.parameters == {"rows": 1000} for row in run.rows)
    assert list(tmp_path.iterdir()) == []


def test_a_migration_is_measured_against_reading_its_source(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(migration, "QUICK_ROWS", 200)
    run = tiny_run("pronto-full")
    migration.run(run)
    assert [(row.contender, row.parameters["rows"]) for row in run.rows] == [("sqlite", 200), ("pronto", 200)]
    assert all(row.figure > 0 for row in run.rows)
    assert list(tmp_path.iterdir()) == []


# -- checkpoints -------------------------------------------------------------------------------------------------------


def test_puts_go_on_until_checkpoints_have_happened(tiny_run, monkeypatch):
    monkeypatch.setattr(checkpoints, "_LONGEST", 10_000)
    run = tiny_run("pronto-full", "raw-full", "sqlite-full")
    checkpoints._measure(run, checkpoints.CASE, ["pronto-full", "sqlite-full"], checkpoints.Size(1, 64_000))
    assert [row.contender for row in run.rows] == ["pronto-full", "sqlite-full"]
    assert [row.note for row in run.rows][1] == "120 puts"
    # Each of the three turns writes 2.5 MB.
    assert int(run.rows[0].note.removeprefix("120 puts, ").removesuffix(" checkpoints")) >= 3
    assert all(row.percentiles["max"] >= row.figure * 1000 > 0 for row in run.rows)


def test_every_case_with_checkpoints_runs(tiny_run, monkeypatch):
    size = checkpoints.Size(1, 64_000)
    monkeypatch.setattr(checkpoints, "CASES", {case: (names, [size]) for case, (names, _) in checkpoints.CASES.items()})
    run = tiny_run()
    checkpoints.run(run)
    assert {row.case for row in run.rows} == TAILS
    assert len(run.rows) == 6


def test_a_turn_ends_early_where_puts_take_long(stand):
    writer = checkpoints.Writer(stand(records=0), checkpoints.Size(1, 1_000))
    writer.turn(Random(1), 1e-9)
    assert writer.timings[0].operations < writer.size.puts


def test_the_figure_is_the_longest_stall_of_a_turn(stand, tiny_run):
    writer, run = checkpoints.Writer(stand(records=0), checkpoints.Size(1, 100_000)), tiny_run()
    for longest in (3_000_000, 9_000_000, 1_000_000):
        writer.timings.append(Timing(array("q", [1000, longest, 1000]), 0.01, 3))
    checkpoints._record(run, checkpoints.CASE, writer)
    assert (run.rows[0].figure, run.rows[0].unit, run.rows[0].percentiles["max"]) == (3.0, "ms", 9000.0)


def test_the_store_of_a_size_holds_that_many_bytes_and_is_written_several_times():
    for _, measured in checkpoints.CASES.values():
        for size in measured:
            assert size.records * size.value_bytes == size.megabytes * 10**6
            assert size.puts > 2 * size.records


# -- disk use ----------------------------------------------------------------------------------------------------------


@pytest.mark.disk
def test_writing_and_holding_are_measured_in_bytes(tiny_run, monkeypatch, tmp_path):
    monkeypatch.setattr(disk_use, "RECORDS", 300)
    run = tiny_run()
    disk_use.run(run)
    contenders = {row.case: set() for row in run.rows}
    for row in run.rows:
        contenders[row.case].add(row.contender)
    space = "space per record", "space of an address with one record"
    assert contenders == {
        "bytes written per put": set(disk_use.WRITING),
        **{f"{case}{state}": set(disk_use.HOLDING) for case in space for state in ("", ", closed")},
    }
    assert {row.unit for row in run.rows} == {"B"}
    assert all(row.figure > 250 for row in run.rows if row.case in space)
    assert list(tmp_path.iterdir()) == []


def test_where_nobody_counts_written_bytes_the_run_says_so(tiny_run, monkeypatch):
    monkeypatch.setattr("bench.machine._text", lambda path: "")
    run = tiny_run("redis-full")
    disk_use.run(run)
    assert (run.rows, len(run.notes)) == ([], 1)


def test_written_bytes_are_the_sectors_that_the_disk_has_written(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.machine._text", lambda path: "1 2 3 4 5 6 16 8 9 10 11\n")
    assert written_bytes(str(tmp_path)) == 8192


def test_the_room_of_an_address_is_what_the_disk_gives_it(tmp_path):
    home = tmp_path / "addresses" / "a.main"
    home.mkdir(parents=True)
    (home / f"journal-{'0f' * 16}").write_bytes(bytes(10_000))
    (home / "data.mdb").touch()
    os.truncate(home / "data.mdb", 10**9)
    (tmp_path / "a.main.sqlite3-wal").write_bytes(bytes(20_000))
    (tmp_path / "other.main").write_bytes(bytes(30_000))
    os.sync()
    found = disk_use.room(str(tmp_path), "a.main")
    assert set(found) == {"directory", "journal", "data.mdb", "sqlite3-wal"}
    assert 10_000 <= found["journal"] < 20_000 <= found["sqlite3-wal"] < 30_000
    assert found["data.mdb"] < 10**6


# -- the run -----------------------------------------------------------------------------------------------------------


def test_a_backup_is_measured_against_a_copy_and_beside_writers(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(backup, "WRITERS", 2)
    monkeypatch.setattr(backup, "ROUNDS", 1)
    run = tiny_run("pronto-full")
    WORKLOADS["backup"](run)
    assert [(row.case, row.contender) for row in run.rows] == [
        ("first backup", "pronto-full"),
        ("cp and sync of the snapshot", "disk"),
        ("cp and sync of the addresses", "disk"),
        ("second backup, 1 % changed", "pronto-full"),
        ("restore of one address", "pronto-full"),
        ("restore of one address, alone in its snapshot", "pronto-full"),
        ("put of 8 writers, p99", "pronto-full"),
        ("put of 8 writers, p99", "pronto-full"),
    ]
    assert all(row.figure > 0 for row in run.rows)
    assert list(tmp_path.iterdir()) == []


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
    assert {point.contender for point in points} <= {*CONTENDERS, "disk", "pronto", "python"}
    assert {point.workload for point in points} <= set(WORKLOADS)


def test_the_facts_of_a_machine_hold_no_path(tmp_path):
    known = facts(str(tmp_path))
    assert known["file_system"]["type"] != "unknown"
    assert str(tmp_path) not in str(known)
