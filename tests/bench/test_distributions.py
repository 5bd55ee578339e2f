from collections import Counter
from random import Random

import pytest

from bench.distributions import Latest, Scrambled, Uniform, Zipfian, fnv1a

PICKS = 20_000


def picks(distribution, newest):
    random = Random(42)
    return [distribution.pick(random, newest) for _ in range(PICKS)]


def ranks(items):
    zipfian, random = Zipfian(items), Random(42)
    return [zipfian.rank(random) for _ in range(PICKS)]


@pytest.mark.parametrize("distribution", [Scrambled(1000), Latest(1000), Uniform()])
def test_the_same_seed_gives_the_same_picks(distribution):
    assert picks(distribution, 999) == picks(distribution, 999)


@pytest.mark.parametrize("distribution", [Scrambled(1000), Latest(1000), Uniform()])
def test_picks_stay_within_the_records(distribution):
    assert {0 <= pick <= 999 for pick in picks(distribution, 999)} == {True}


def test_zipfian_picks_of_a_fixed_seed_are_known():
    assert ranks(1000)[:10] == [64, 0, 3, 2, 136, 86, 444, 0, 12, 0]


def test_zipfian_ranks_are_as_frequent_as_their_definition_says():
    zeta = sum(1 / rank**0.99 for rank in range(1, 1001))
    counted = Counter(ranks(1000))
    for rank in (0, 1):
        assert counted[rank] / PICKS == pytest.approx(1 / (rank + 1) ** 0.99 / zeta, rel=0.1)


def test_zipfian_ranks_grow_rarer():
    counted = Counter(ranks(1000))
    decades = [sum(counted[rank] for rank in range(first, first * 10)) / (first * 9) for first in (1, 10, 100)]
    assert decades == sorted(decades, reverse=True)


def test_a_fifth_of_the_ranks_gets_most_of_the_picks():
    assert sum(rank < 200 for rank in ranks(1000)) / PICKS > 0.7


def test_zipfian_reaches_the_rare_ranks():
    assert max(ranks(1000)) > 950


def test_scrambled_keeps_the_shape_and_scatters_the_popular_records():
    popular = [index for index, _ in Counter(picks(Scrambled(1000), 999)).most_common(10)]
    assert popular[0] == fnv1a(0) % 1000
    assert max(popular) - min(popular) > 500


def test_latest_prefers_the_record_written_last():
    counted = Counter(picks(Latest(1000), 5000))
    assert counted.most_common(1)[0][0] == 5000
    assert min(counted) > 4000


def test_uniform_picks_every_record_about_equally():
    counted = Counter(picks(Uniform(), 9))
    assert set(counted) == set(range(10))
    assert max(counted.values()) / min(counted.values()) < 1.2


def test_fnv1a_is_the_published_function():
    assert fnv1a(0) == 0xA8C7F832281A39C5
