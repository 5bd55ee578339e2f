import json
from array import array

import pytest

from bench.measure import Timing
from bench.results import latency_row, load, rate_row, speed, speeds


def test_a_result_comes_back_from_its_file_as_it_was(result, row, tmp_path):
    path = str(tmp_path / "results" / "result.json")
    written = result(row("pronto-full", [2.0, 4.0, 5.0], records=10), row("raw-full", [1.0], unit="ops/s"))
    written.save(path)
    assert load(path) == written


def test_figures_are_kept_to_four_digits(result, row, tmp_path):
    path = tmp_path / "result.json"
    result(row("pronto-full", [1.23456789])).save(str(path))
    assert json.loads(path.read_text())["rows"][0]["figure"] == 1.235


@pytest.mark.parametrize("text", ['{"format": 999, "rows": []}', "[]", "{"])
def test_what_is_no_result_is_refused(tmp_path, text):
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(ValueError):
        load(str(path))


def test_find_tells_parameters_apart(result, row):
    found = result(*(row("raw-full", [float(count)], processes=count) for count in (1, 16)))
    assert found.find("micro", "get", "raw-full", processes=16).figure == 16
    assert found.find("micro", "get", "raw-full", processes=4) is None
    assert found.find("micro", "get", "sqlite-full") is None


def test_the_figure_of_a_latency_row_is_the_median_of_the_medians():
    turns = [Timing(array("q", [1000, middle, 900_000]), 0.003, 3) for middle in (3000, 2000, 4000)]
    made = latency_row("micro", "get", "raw-full", turns, {})
    assert (made.figure, made.unit, made.rounds, made.operations) == (3.0, "us", [3.0, 2.0, 4.0], 9)
    assert made.percentiles == pytest.approx({"p50": 3.0, "p99": 900, "p99.9": 900, "max": 900, "mean": 2712 / 9})


def test_the_figure_of_a_rate_row_counts_the_slow_operations_too():
    turns = [Timing(array("q", [1000, 1000, 998_000]), 0.001, 3)]
    assert rate_row("ycsb", "A", "raw-full", turns, {}).figure == 3000


def test_a_batch_has_no_percentiles_of_single_operations():
    turns = [Timing(array("q", [10_000_000]), 0.01, 1000)]
    made = latency_row("micro", "update", "raw-full", turns, {})
    assert (made.figure, made.rate, made.percentiles) == (10.0, 100_000, {})


def test_speed_is_the_ratio_of_times_the_wrong_way_round(row):
    assert speed(row("pronto-full", [2.0]), row("raw-full", [1.0])) == 0.5


def test_speed_of_rates_is_their_ratio(row):
    assert speed(row("pronto-full", [300.0], unit="ops/s"), row("raw-full", [100.0], unit="ops/s")) == 3


def test_rounds_are_compared_pair_by_pair(row):
    slow_machine_in_the_second_round = row("pronto-full", [1.0, 10.0, 1.0])
    assert speeds(slow_machine_in_the_second_round, row("raw-full", [0.5, 5.0, 0.5])) == [0.5, 0.5, 0.5]


def test_rows_with_different_numbers_of_rounds_are_compared_by_their_figures(row):
    assert speeds(row("pronto-full", [1.0, 2.0, 9.0]), row("raw-full", [1.0])) == [0.5]


def test_a_figure_of_zero_has_no_ratio(row):
    assert speed(row("pronto-full", [1.0], unit="MB"), row("raw-full", [0.0], case="get", unit="MB")) in (None, 0.0)
