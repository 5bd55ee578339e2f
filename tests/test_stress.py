"""Processes and threads at full speed on few handles, small maps and tiny TTLs: what each wrote, it reads."""

import random
import threading
import time
import traceback

import pytest
from processes import gathered

import pronto_lmdb
from pronto_lmdb import environment as environment_module
from pronto_lmdb import pool as pool_module

pytestmark = pytest.mark.disk

ADDRESSES = 12
THREADS = 4


class Agent:
    """Random work on keys of its own, in addresses that it shares; every answer is compared with a model."""

    def __init__(self, store, name):
        self.store = store
        self.name = name
        self.random = random.Random(name)
        self.written = {}

    def step(self):
        address = f"a{self.random.randrange(ADDRESSES)}"
        keystore, key = self.store[address], f"{self.name}-{self.random.randrange(50)}"
        work = self.random.choices(
            [self.write, self.remove, self.transact, self.view, self.expire, self.scan, self.read],
            weights=[35, 10, 5, 5, 7, 8, 30],
        )[0]
        work(address, keystore, key)

    def write(self, address, keystore, key):
        value = "x" * self.random.randrange(3_000)
        keystore[key] = value
        self.written[address, key] = value

    def remove(self, address, keystore, key):
        assert keystore.delete_many([key]) == ((address, key) in self.written)
        self.written.pop((address, key), None)

    def transact(self, address, keystore, key):
        with keystore.transaction() as transaction:
            for number in range(10):
                transaction[f"{self.name}-t{number}"] = number
                self.written[address, f"{self.name}-t{number}"] = number

    def view(self, address, keystore, key):
        with keystore.view() as view:
            assert len(view) == len(list(view.scan_keys())) == len(list(view.scan()))

    def expire(self, address, keystore, key):
        keystore.put(f"{self.name}-ttl", 1, ttl=0.001)
        keystore.sweep()
        assert keystore.stats().records >= 0

    def scan(self, address, keystore, key):
        rows = dict(keystore.scan(f"{self.name}-", reverse=self.random.random() < 0.5))
        rows.pop(f"{self.name}-ttl", None)
        assert rows == {name: value for (where, name), value in self.written.items() if where == address}

    def read(self, address, keystore, key):
        assert keystore.get(key) == self.written.get((address, key))
        assert (key in keystore) == ((address, key) in self.written)


def _run(root, process, seconds, reports):
    environment_module.INITIAL_MAP = 128 * 1024
    pool_module.capacity = lambda: ADDRESSES // 2
    failures = []

    def work(name):
        agent, end = Agent(store, name), time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                agent.step()
        except Exception:
            failures.append(traceback.format_exc())

    with pronto_lmdb.open(root, durability="off", timeout=60) as store:
        threads = [threading.Thread(target=work, args=(f"p{process}.{number}",)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    reports.put(failures)


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(300)])])
def test_every_agent_reads_what_it_wrote(root, seconds):
    reports = gathered([(_run, (root, number, seconds)) for number in range(3)], timeout=seconds + 120)
    assert [failure for failures in reports for failure in failures] == []
