import pytest

from bench.__main__ import main
from bench.readme import BEGIN, END, replaced, section
from bench.report import markdown
from bench.results import load
from bench.targets import TARGETS, Floor, Goal, Limit, MeanGoal, OwnSlowdown, Point, Slowdown, Target, verdict


@pytest.fixture
def small(result, row):
    """A result with one detailed case, one curve and a missing peer."""
    return result(
        row("pronto-full", [2.0, 2.0, 2.2], records=10),
        row("raw-full", [1.0, 1.0, 1.1], records=10),
        row("sqlite-full", [6.0, 6.0, 6.6], records=10),
        *(
            row(
                name,
                [float(rate * count)],
                case="own address each, durable",
                workload="fleet",
                unit="ops/s",
                processes=count,
            )
            for name, rate in (("pronto-full", 500), ("legacy-full", 90))
            for count in (1, 16)
        ),
    )


def test_the_report_names_the_machine_and_what_was_measured_on_it(small):
    text = markdown(small)
    for fact in ("Some CPU (x86_64), 2 cores", "ext4 (rw)", "0123456789ab", "python 3.11.7", "Linux 6"):
        assert fact in text


def test_a_peer_that_is_not_installed_is_listed_as_such(small):
    assert "| redis-full | full | not installed |  |" in markdown(small)


def test_a_case_is_a_table_by_speed_with_percentiles_ratios_and_noise(small):
    lines = [line for line in markdown(small).splitlines() if line.endswith("| 5% |")]
    assert lines == [
        "| raw-full | 1 us | 1 | 1 | 1 | 1 | 1 | 1,000,000 | 1.00 | 6.00 | 5% |",
        "| **pronto-full** | 2 us | 2 | 2 | 2 | 2 | 2 | 500,000 | 0.50 | 3.00 | 5% |",
        "| sqlite-full | 6 us | 6 | 6 | 6 | 6 | 6 | 166,667 | 0.17 | 1.00 | 5% |",
    ]


def test_a_case_with_several_points_is_one_table_over_them(small):
    text = markdown(small)
    assert "| ops/s; processes: | 1 | 16 |" in text
    assert "| **pronto-full** | 500 | 8,000 |" in text


def test_columns_that_nobody_fills_are_left_out(result, row):
    text = markdown(result(row("pronto-full", [3.0], unit="B", case="bytes written per put", workload="disk use")))
    assert "\n1 round\n" in text
    assert "| contender | figure | ops/s | noise |" in text


def test_where_the_slowest_matter_each_point_has_its_percentiles(result, row):
    case, sizes = "put while checkpoints happen", (1, 10)
    rows = [row("pronto-full", [float(size)], case=case, workload="checkpoints", megabytes=size) for size in sizes]
    text = markdown(result(*rows))
    for size in sizes:
        assert f"1 round; megabytes {size}\n\n| contender | figure | p50 us | mean us | p99 us |" in text


def test_targets_are_met_missed_or_not_measured(small):
    text = markdown(small)
    assert "| get | at least 0.8 x raw-full | 0.50 x | **missed** |" in text
    assert "| get | at least 2 x sqlite-full | 3.00 x | met |" in text
    assert "| 16 processes, own address each, durable | at least 5 x legacy-full | 5.56 x | met |" in text
    assert "| get | at least 4 x diskcache-full |  | not measured |" in text


def test_charts_are_linked(small):
    assert "![quick-charts/speed.svg](quick-charts/speed.svg)" in markdown(small, ["quick-charts/speed.svg"])


def test_the_command_writes_the_report_beside_the_result(small, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.__main__.find_spec", lambda name: None)
    saved = str(tmp_path / "some.json")
    small.save(saved)
    assert main(["report", saved]) == 0
    assert (tmp_path / "some.md").read_text() == markdown(load(saved))


def test_every_chart_with_figures_is_drawn(small, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: charts are not drawn")
    from bench.charts import draw

    drawn = draw(small, str(tmp_path))
    assert drawn == ["speed.svg", "latency.svg", "fleet.svg"]
    assert all((tmp_path / name).read_text().lstrip().startswith("<?xml") for name in drawn)


# -- targets -----------------------------------------------------------------------------------------------------------


def test_a_target_holds_as_exactly_as_it_is_shown(result, row):
    target = Target("get", Point("micro", "get", "pronto-full"), Point("micro", "get", "raw-full"), 0.8)
    for time, met in ((1.25, True), (1.255, True), (1.27, False)):
        measured = target.measured(result(row("pronto-full", [time]), row("raw-full", [1.0])))
        assert target.met(measured) is met


def test_a_slowdown_counts_the_other_way(result, row):
    alone, beside = (Point("micro", "get", "pronto-full", {"neighbours": count}) for count in (0, 8))
    target = Slowdown("get", beside, alone, 1.5)
    for time, met in ((1.0, True), (1.5, True), (1.6, False)):
        rows = row("pronto-full", [1.0], neighbours=0), row("pronto-full", [time], neighbours=8)
        assert target.met(target.measured(result(*rows))) is met


def test_the_share_of_the_scheduler_is_taken_out_of_a_slowdown(result, row):
    beside, alone = (Point("micro", "get", "pronto-full", {"neighbours": count}) for count in (8, 0))
    target = OwnSlowdown("get", beside, alone, 1.5, "memory-none")
    rows = [
        row(name, [time], neighbours=count)
        for name, times in {"pronto-full": (2.0, 30.0), "memory-none": (1.0, 10.0)}.items()
        for count, time in zip((0, 8), times, strict=True)
    ]
    assert target.measured(result(*rows)) == 1.5
    assert target.measured(result(*rows[:2])) is None


def test_a_goal_is_reached_or_not_and_never_missed(result, row):
    ours, theirs = Point("micro", "get", "pronto-full"), Point("micro", "get", "raw-full")
    target, goal = Target("get", ours, theirs, 0.5), Goal("get", ours, theirs, 0.5)
    for time, promised, wished in ((2.0, "met", "met"), (2.1, "missed", "not reached")):
        measured = goal.measured(result(row("pronto-full", [time]), row("raw-full", [1.0])))
        assert (verdict(target, measured), verdict(goal, measured)) == (promised, wished)


def test_a_goal_for_the_mean_counts_the_slow_operations(result, row):
    ours, theirs = row("pronto-full", [2.0]), row("raw-full", [1.0])
    theirs.percentiles["mean"] = 6.0
    goal = MeanGoal("get", Point("micro", "get", "pronto-full"), Point("micro", "get", "raw-full"), 1.5)
    assert goal.demand == "goal: 1.5 x raw-full, by the mean"
    assert goal.measured(result(ours, theirs)) == 3.0
    del theirs.percentiles["mean"]
    assert goal.measured(result(ours, theirs)) is goal.measured(result(theirs)) is None


def test_a_limit_is_the_most_that_is_allowed(result, row):
    limit = Limit("list", Point("micro", "list", "pronto-full"), 1, "s")
    for seconds, met in ((0.5, True), (1.0, True), (1.1, False)):
        measured = limit.measured(result(row("pronto-full", [seconds], case="list", unit="s")))
        assert limit.met(measured) is met


def test_a_floor_is_the_least_that_is_allowed(result, row):
    floor = Floor("import", Point("json lines", "import", "pronto-full"), 1000, "rows/s")
    for rate, met in ((999, False), (1000, True), (1001, True)):
        rows = row("pronto-full", [rate], workload="json lines", case="import", unit="ops/s")
        assert floor.met(floor.measured(result(rows))) is met
    assert (floor.demand, floor.shown(1000)) == ("at least 1,000 rows/s", "1,000 rows/s")


def test_what_was_not_measured_is_neither_met_nor_missed(result):
    assert {target.measured(result()) for target in TARGETS} == {None}


# -- README ------------------------------------------------------------------------------------------------------------


def test_the_section_shows_how_many_times_as_fast_pronto_is(small):
    lines = section(small).splitlines()
    assert lines[2].startswith("| path | Pronto | LMDB by hand | SQLite | old design |")
    assert "| get | 2 us | 0.50 x | 3.00 x |  |  |  |  |  |" in lines
    assert "| 16 processes, own addresses, durable | 8,000 ops/s |  |  | 5.56 x |  |  |  |  |" in lines


def test_only_the_text_between_the_markers_is_replaced(small):
    text = replaced(f"before\n{BEGIN}\nold\n{END}\nafter\n", small)
    assert text == f"before\n{BEGIN}\n{section(small)}{END}\nafter\n"
    assert replaced(text, small) == text


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"])
def test_a_readme_without_one_pair_of_markers_is_refused(small, text):
    with pytest.raises(ValueError, match="needs one"):
        replaced(text, small)


def test_check_fails_until_the_readme_is_current_and_changes_nothing(small, tmp_path, capsys):
    saved, readme = str(tmp_path / "some.json"), tmp_path / "README.md"
    small.save(saved)
    readme.write_text(f"{BEGIN}\nold\n{END}\n")
    assert main(["readme", saved, "--readme", str(readme), "--check"]) == 1
    assert readme.read_text() == f"{BEGIN}\nold\n{END}\n"
    assert main(["readme", saved, "--readme", str(readme)]) == 0
    assert main(["readme", saved, "--readme", str(readme), "--check"]) == 0
