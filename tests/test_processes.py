"""Several real processes on one store."""

import os
import signal
import time

import pytest
from processes import finish, run_all, started

import pronto_lmdb

pytestmark = pytest.mark.disk


def _create_and_count(root, worker):
    with pronto_lmdb.open(root, timeout=60) as store:
        for number in range(5):
            store[f"shared{number}"].increment("count")
            store[f"own{worker}"][f"key{number}"] = worker


def test_processes_that_create_the_same_addresses_at_once_end_up_with_one_of_each(root):
    run_all(_create_and_count, [(root, worker) for worker in range(6)])
    with pronto_lmdb.open(root) as store:
        assert [store[f"shared{number}"]["count"] for number in range(5)] == [6] * 5
        expected = sorted([f"own{worker}.default" for worker in range(6)] + [f"shared{n}.default" for n in range(5)])
        assert [str(info.address) for info in store.addresses()] == expected


def _work(root, worker, rounds):
    with pronto_lmdb.open(root, timeout=60) as store:
        keystore = store["shared"]
        for number in range(rounds):
            keystore.increment("increment")
            keystore.modify("modify", lambda value: value + 1, default=0)
            with keystore.transaction() as transaction:
                transaction["transaction"] = transaction.get("transaction", 0) + 1
            while True:
                seen = keystore.get("replace", None)
                if seen is None:
                    keystore.add("replace", 0)
                elif keystore.replace("replace", seen + 1, expected=seen):
                    break
            assert keystore.add(f"claim{number}", worker) in (True, False)


def test_no_update_is_lost_whatever_the_verb(root):
    run_all(_work, [(root, worker, 40) for worker in range(4)])
    with pronto_lmdb.open(root) as store:
        keystore = store["shared"]
        counters = [keystore[name] for name in ("increment", "modify", "transaction", "replace")]
        assert counters == [160, 160, 160, 160]
        assert len(list(keystore.scan_keys("claim"))) == 40


def _write_pairs(root, worker, rounds):
    with pronto_lmdb.open(root, timeout=60, durability="off") as store:
        for number in range(rounds):
            store["shared"].update({"left": (worker, number), "right": (worker, number)})


def test_a_view_sees_whole_transactions_and_revisions_only_grow(root):
    with pronto_lmdb.open(root, durability="off") as store:
        keystore = store["shared"]
        keystore.update({"left": [0, 0], "right": [0, 0]})
        writers = started(_write_pairs, [(root, worker, 2_000) for worker in range(2)])
        last, looks = 0, 0
        while any(writer.is_alive() for writer in writers) or looks < 100:
            with keystore.view() as view:
                assert view["left"] == view["right"] == view["left"]
                assert view.entry("left").revision == view.revision
                assert view.revision >= last
                last = view.revision
            pair = keystore.get_many(["left", "right"])
            assert pair["left"] == pair["right"]
            looks += 1
        finish(writers)
        assert keystore.revision == 4_001


def _hold_transaction(root):
    with pronto_lmdb.open(root) as store, store["shared"].transaction() as transaction:
        transaction["held"] = 1
        store["signal"]["ready"] = 1
        time.sleep(60)


@pytest.fixture
def holder(root):
    """Another process that keeps a transaction open on ``shared``."""
    [process] = started(_hold_transaction, [(root,)])
    with pronto_lmdb.open(root) as store:
        while "ready" not in store["signal"]:
            time.sleep(0.01)
    yield process
    process.kill()
    process.join()
    process.close()


def test_waiting_for_another_process_ends_with_the_timeout(root, holder):
    with pronto_lmdb.open(root, timeout=0.2) as store:
        with pytest.raises(pronto_lmdb.LockTimeoutError, match=rf"shared\.default .* by process {holder.pid} \("):
            store["shared"]["key"] = 1
        assert list(store["shared"]) == []
        store["neighbour"]["key"] = 1


def test_a_killed_holder_blocks_nobody(root, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with pronto_lmdb.open(root) as store:
        store["shared"]["key"] = 1
        assert list(store["shared"]) == ["key"]


def test_ctrl_c_works_while_waiting_for_another_process(root, holder):
    with pronto_lmdb.open(root, timeout=30) as store:
        previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            with pytest.raises(KeyboardInterrupt):
                store["shared"]["key"] = 1
        finally:
            signal.signal(signal.SIGALRM, previous)
        holder.kill()
        holder.join()
        store["shared"]["key"] = 2
        assert store["shared"]["key"] == 2


def _churn_names(root, rounds):
    operations = [
        lambda store: store.delete("moving"),
        lambda store: store.undelete("moving"),
        lambda store: store.rename("moving", "aside"),
        lambda store: store.rename("aside", "moving"),
    ]
    with pronto_lmdb.open(root, timeout=60) as store:
        for number in range(rounds):
            try:
                operations[number % len(operations)](store)
            except (pronto_lmdb.AddressNotFoundError, pronto_lmdb.AddressExistsError):
                continue  # the writer was quicker: it has made the name again
            store["churn"].increment("done")


def test_every_acknowledged_write_is_found_after_deletes_and_renames_under_load(root):
    with pronto_lmdb.open(root, timeout=60) as store:
        keystore = store["moving"]
        keystore["key-1"] = -1
        [churn] = started(_churn_names, [(root, 200)])
        written = 0
        while churn.is_alive():
            keystore[f"key{written}"] = written
            assert keystore.get(f"key{written}") in (written, None)
            written += 1
        finish([churn])
        for number, item in enumerate(store.trash()):
            store.undelete(item.address, to=f"saved{number}")
        found = set().union(*(store[info.address] for info in store.addresses()))
        assert {f"key{number}" for number in range(written)} <= found
        assert store["churn"]["done"] > 20
        assert written > 50
