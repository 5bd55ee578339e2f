import pytest

from bench.__main__ import main
from bench.compare import IMPROVEMENT, LEAST_NOISE, REGRESSION, STEADY, compare, verdicts

STEADY_ROUNDS = [1.00, 1.01, 0.99, 1.00, 1.01]
NOISY_ROUNDS = [0.6, 1.4, 1.0, 0.7, 1.3]


def times(rounds, factor):
    return [each * factor for each in rounds]


@pytest.fixture
def kinds(result, row):
    """Say how a row of Pronto changed between two runs, both beside a steady raw LMDB."""

    def compared(before, after, **options):
        old, new = (
            result(row("pronto-full", each, **options), row("raw-full", STEADY_ROUNDS, **options))
            for each in (before, after)
        )
        return [verdict.kind for verdict in verdicts(old, new)]

    return compared


def test_twice_the_time_is_a_regression(kinds):
    assert kinds(STEADY_ROUNDS, times(STEADY_ROUNDS, 2)) == [REGRESSION]


def test_half_the_time_is_an_improvement(kinds):
    assert kinds(STEADY_ROUNDS, times(STEADY_ROUNDS, 0.5)) == [IMPROVEMENT]


def test_half_the_rate_is_a_regression_and_twice_the_rate_is_none(kinds):
    assert kinds(STEADY_ROUNDS, times(STEADY_ROUNDS, 0.5), unit="ops/s") == [REGRESSION]
    assert kinds(STEADY_ROUNDS, times(STEADY_ROUNDS, 2), unit="ops/s") == [IMPROVEMENT]


@pytest.mark.parametrize("factor", [1.0, 1 + LEAST_NOISE / 2, 1 / (1 + LEAST_NOISE / 2)])
def test_a_change_within_the_least_noise_is_none(kinds, factor):
    assert kinds(STEADY_ROUNDS, times(STEADY_ROUNDS, factor)) == [STEADY]


def test_the_noise_measured_in_the_rounds_widens_what_passes(kinds):
    assert kinds(NOISY_ROUNDS, times(NOISY_ROUNDS, 1.5)) == [STEADY]
    assert kinds(STEADY_ROUNDS, times(STEADY_ROUNDS, 1.5)) == [REGRESSION]


def test_a_regression_beyond_the_measured_noise_is_found_in_noisy_rounds_too(kinds):
    assert kinds(NOISY_ROUNDS, times(NOISY_ROUNDS, 10)) == [REGRESSION]


def test_a_slower_machine_is_no_regression(result, row):
    old = result(row("pronto-full", [1.0] * 5), row("raw-full", [0.5] * 5))
    new = result(row("pronto-full", [3.0] * 5), row("raw-full", [1.5] * 5))
    assert [verdict.kind for verdict in verdicts(old, new)] == [STEADY]


def test_a_faster_machine_does_not_hide_a_regression(result, row):
    old = result(row("pronto-full", [1.0] * 5), row("raw-full", [0.5] * 5))
    new = result(row("pronto-full", [1.0] * 5), row("raw-full", [0.25] * 5))
    assert [verdict.kind for verdict in verdicts(old, new)] == [REGRESSION]


def test_a_case_without_the_ceiling_is_compared_with_itself(result, row):
    old, new = result(row("pronto-full", [1.0] * 5)), result(row("pronto-full", [2.0] * 5))
    assert [(verdict.kind, verdict.basis) for verdict in verdicts(old, new)] == [(REGRESSION, "")]


def test_start_up_is_compared_with_the_bare_interpreter(result, row):
    old = result(row("pronto", [30.0] * 5), row("python", [10.0] * 5))
    new = result(row("pronto", [60.0] * 5), row("python", [20.0] * 5))
    assert [(verdict.kind, verdict.basis) for verdict in verdicts(old, new)] == [(STEADY, "python")]


def test_what_became_of_the_others_is_not_judged(result, row):
    assert list(verdicts(result(row("sqlite-full", [1.0])), result(row("sqlite-full", [9.0])))) == []


def test_points_of_one_case_are_not_mixed_up(result, row):
    old = result(row("pronto-full", [1.0], processes=1), row("pronto-full", [9.0], processes=16))
    new = result(row("pronto-full", [9.0], processes=16), row("pronto-full", [1.0], processes=1))
    assert {verdict.kind for verdict in verdicts(old, new)} == {STEADY}


def test_a_case_measured_in_one_run_only_is_counted_and_does_not_fail(result, row):
    text, regressions = compare(result(row("pronto-full", [1.0]), row("pronto-full", [1.0], case="put")), result())
    assert regressions == 0
    assert "0 cases, 0 regressions, 2 not measured any more" in text


@pytest.mark.parametrize(("factor", "code"), [(0.2, 0), (1.0, 0), (5.0, 1)])
def test_the_command_fails_on_a_regression_only(result, row, tmp_path, capsys, factor, code):
    old, new = str(tmp_path / "old.json"), str(tmp_path / "new.json")
    result(row("pronto-full", STEADY_ROUNDS), row("raw-full", STEADY_ROUNDS)).save(old)
    result(row("pronto-full", times(STEADY_ROUNDS, factor)), row("raw-full", STEADY_ROUNDS)).save(new)
    assert main(["compare", old, new]) == code
    assert "micro: get, pronto-full" in capsys.readouterr().out
