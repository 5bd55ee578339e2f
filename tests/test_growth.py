"""Nobody picks a map size: files grow under one writer, under several processes, inside transactions."""

import pytest
from processes import run_all

import pronto_lmdb
from pronto_lmdb import environment as environment_module

SMALL = 256 * 1024


@pytest.fixture(autouse=True)
def small_maps(monkeypatch):
    """Begin with maps that are soon full, so that growth happens all the time."""
    monkeypatch.setattr(environment_module, "INITIAL_MAP", SMALL)


def test_single_writes_grow_the_file(store):
    for number in range(300):
        store["a"][f"key{number:04}"] = "x" * 10_000
    assert len(store["a"]) == 300
    assert store["a"]["key0299"] == "x" * 10_000


def test_one_batch_may_exceed_the_map_many_times(store):
    rows = {f"key{number:05}": "x" * 1_000 for number in range(8_000)}
    store["a"].update(rows)
    assert dict(store["a"].items()) == rows


def test_a_transaction_survives_growth_in_its_middle(store):
    keystore = store["a"]
    keystore.update({"gone": 1, "kept": 2})
    with keystore.transaction() as transaction:
        del transaction["gone"]
        for number in range(200):
            transaction.put(f"key{number:04}", "x" * 10_000, ttl=1_000)
            assert transaction[f"key{number:04}"] == "x" * 10_000
        assert "gone" not in transaction
    assert len(keystore) == 201
    assert keystore.sweep() == 0
    assert keystore.entry("key0000").revision == keystore.entry("key0199").revision == keystore.revision


def test_an_aborted_transaction_that_grew_leaves_nothing(store):
    keystore = store["a"]
    keystore["kept"] = 1

    def grow_and_fail():
        with keystore.transaction() as transaction:
            for number in range(200):
                transaction[f"key{number:04}"] = "x" * 10_000
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        grow_and_fail()
    assert list(keystore) == ["kept"]


def test_growth_is_refused_while_this_thread_has_a_view_open_and_nothing_is_lost(store):
    keystore = store["a"]
    keystore["kept"] = 1
    with keystore.view() as view:
        with pytest.raises(pronto_lmdb.ConflictError):
            keystore["big"] = "x" * (2 * SMALL)
        assert view["kept"] == 1
        keystore["small"] = 2
    keystore["big"] = "x" * (2 * SMALL)
    assert sorted(keystore) == ["big", "kept", "small"]


def _fill(path, worker, rows):
    environment_module.INITIAL_MAP = SMALL
    with pronto_lmdb.open(path, durability="off") as store:
        keystore = store["shared"]
        for number in range(rows):
            keystore[f"w{worker}-{number:05}"] = "x" * 900
            if number % 50 == 0:
                assert keystore[f"w{worker}-{number:05}"] == "x" * 900


def test_several_processes_grow_one_file_without_loss(root):
    run_all(_fill, [(root, worker, 1_500) for worker in range(4)])
    with pronto_lmdb.open(root) as store:
        assert list(store["shared"]) == sorted(
            f"w{worker}-{number:05}" for worker in range(4) for number in range(1_500)
        )


def test_a_reader_follows_a_file_that_another_process_let_grow(root):
    with pronto_lmdb.open(root) as store:
        store["shared"]["first"] = 1
        run_all(_fill, [(root, 0, 1_500)])
        assert len(store["shared"]) == 1_501
        store["shared"]["last"] = 2
        assert store["shared"]["last"] == 2
