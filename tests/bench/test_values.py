import pytest
from msgpack import packb

from bench.values import Blobs, Records, Values


@pytest.mark.parametrize("size", [100, 250, 400, 1000])
def test_values_have_the_packed_size_asked_for(size):
    values = Values(7, size)
    assert {len(packb(values.value(index, version))) for index in (0, 99_999_999) for version in (0, 10**9)} == {size}


@pytest.mark.parametrize("size", [16, 64, 1024, 65_536])
def test_blobs_have_the_packed_size_asked_for_or_the_next_that_msgpack_can_make(size):
    assert size - 3 <= len(packb(Blobs(7, size).value(3, 2))) <= size


def test_a_record_has_ten_fields_of_a_hundred_characters():
    record = Records(7).value(123, 4)
    assert list(record) == [f"field{number}" for number in range(10)]
    assert {len(text) for text in record.values()} == {100}


@pytest.mark.parametrize("values", [Values(7, 100), Blobs(7, 16), Records(7)])
def test_every_index_and_every_version_has_a_value_of_its_own(values):
    made = [packb(values.value(index, version)) for index in range(50) for version in range(50)]
    assert len(set(made)) == len(made)


def test_values_depend_on_nothing_but_seed_index_and_version():
    assert Values(7, 100).value(5, 6) == Values(7, 100).value(5, 6)
    assert Values(7, 100).value(5, 6) != Values(8, 100).value(5, 6)


@pytest.mark.parametrize("values", [Values(7, 100), Records(7)])
def test_keys_sort_as_their_indexes_do(values):
    keys = [values.key(index) for index in (0, 9, 10, 99, 100, 12_345_678)]
    assert keys == sorted(keys)
