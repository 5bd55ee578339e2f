import json

import pytest

from bench.results import load, speed, speeds


def test_a_result_comes_back_from_its_file_as_it_was(result, row, tmp_path):
    path = str(tmp_path / "result.json")
    written = result(row("pronto-full", [2.0, 3.0, 4.0], records=10), row("raw-full", [1.0], unit="ops/s"))
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
