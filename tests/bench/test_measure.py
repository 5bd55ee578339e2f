import gc
from array import array

import pytest

from bench.measure import Timing, percentile, percentiles, spread, timed, timed_bulk


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.501, 51), (0.99, 99), (0.999, 100), (1.0, 100)]
)
def test_percentile_is_the_smallest_sample_that_the_fraction_does_not_exceed(fraction, expected):
    assert percentile(range(1, 101), fraction) == expected


def test_percentile_of_one_sample_is_that_sample():
    assert [percentile([7], fraction) for fraction in (0.0, 0.5, 1.0)] == [7, 7, 7]


def test_percentiles_are_in_microseconds_whatever_the_order_of_the_samples():
    latencies = [microseconds * 1000 for microseconds in range(1000, 0, -1)]
    assert percentiles(latencies) == {"p50": 500, "p99": 990, "p99.9": 999, "max": 1000, "mean": 500.5}


def test_spread_is_the_interquartile_range_relative_to_the_median():
    assert spread([8, 9, 10, 11, 12]) == pytest.approx(0.2)


def test_spread_ignores_one_wild_round():
    assert spread([8, 9, 10, 11, 1000]) == spread([8, 9, 10, 11, 12])


def test_spread_of_one_round_is_zero():
    assert spread([5.0]) == 0.0


def test_timed_returns_every_result_in_order_and_one_latency_for_each():
    timing, results = timed([(pow, (2, exponent)) for exponent in range(5)])
    assert results == [1, 2, 4, 8, 16]
    assert (len(timing.latencies), timing.operations) == (5, 5)


def test_timed_adds_up_to_the_elapsed_time():
    timing, _ = timed([(sum, (range(1000),))] * 10)
    assert sum(timing.latencies) / 1e9 == pytest.approx(timing.elapsed)


def test_timed_lets_an_exception_out_and_the_collector_work_again():
    with pytest.raises(ZeroDivisionError):
        timed([(divmod, (1, 0))])
    assert gc.isenabled()


def test_the_collector_rests_while_operations_are_timed():
    assert timed([(gc.isenabled, ())])[1] == [False]


def test_a_bulk_call_counts_for_each_of_its_items():
    timing, result = timed_bulk(lambda: "done", 1000)
    assert (result, timing.operations, len(timing.latencies)) == ("done", 1000, 1)


def test_the_middle_of_a_turn_is_the_median_latency_of_one_item_in_microseconds():
    assert Timing(array("q", [1000, 2000, 9000]), 0.012, 3).middle == 2.0
    assert Timing(array("q", [10_000]), 0.01, 5).middle == 2.0


def test_the_rate_counts_items_over_the_whole_turn():
    assert Timing(array("q", [1000]), 0.5, 100).rate == 200
