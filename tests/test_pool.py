"""The process's open environments: shared, bounded, closed when nobody needs them."""

import os
import resource
import subprocess
import sys
import textwrap
import threading

import pronto_lmdb
from pronto_lmdb import pool as pool_module
from pronto_lmdb.pool import pool


def open_paths():
    return {environment.path for environment in pool.environments()}


def test_two_stores_on_one_root_share_the_environment_until_both_are_closed(root):
    first, second = pronto_lmdb.open(root), pronto_lmdb.open(root)
    first["a"]["key"] = 1
    assert second["a"]["key"] == 1
    assert sum(path.endswith("a.default") for path in open_paths()) == 1
    first.close()
    assert second["a"]["key"] == 1
    second.close()
    assert open_paths() == set()


def test_one_root_under_two_paths_is_one_store(tmp_path, root):
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
        link = tmp_path / "link"
        link.symlink_to(root)
        with pronto_lmdb.open(link) as other:
            other["a"]["key"] = 2
        assert store["a"]["key"] == 2


def test_no_more_environments_are_open_than_the_bound_allows(store, monkeypatch):
    monkeypatch.setattr(pool_module, "capacity", lambda: 8)
    for number in range(40):
        store[f"a{number}"]["key"] = number
        assert len(pool.environments()) <= 8
    assert [store[f"a{number}"]["key"] for number in range(40)] == list(range(40))


def test_an_environment_with_an_open_view_is_not_closed(store, monkeypatch):
    monkeypatch.setattr(pool_module, "capacity", lambda: 8)
    store["watched"]["key"] = "old"
    with store["watched"].view() as view:
        store["watched"]["key"] = "new"
        for number in range(30):
            store[f"a{number}"]["key"] = number
        assert view["key"] == "old"


def test_what_is_used_again_and_again_stays_open(store, monkeypatch):
    store["hot"]["key"] = 1
    hot = store["hot"]
    monkeypatch.setattr(pool_module, "capacity", lambda: 8)
    for number in range(20):
        assert hot["key"] == 1
        store[f"a{number}"]["key"] = number
        assert hot["key"] == 1
        assert any(path.endswith("hot.default") for path in open_paths())


def test_threads_on_more_addresses_than_the_bound_never_fail_or_mix_values(store, monkeypatch):
    monkeypatch.setattr(pool_module, "capacity", lambda: 8)
    for number in range(24):
        store[f"a{number}"]["key"] = number
    failures = []

    def work(seed):
        try:
            keystores = [store[f"a{number}"] for number in range(24)]
            for step in range(400):
                number = (seed * 7 + step * 5) % 24
                if step % 9 == 0:
                    keystores[number].put(f"t{seed}", step)
                elif step % 31 == 0:
                    with keystores[number].view() as view:
                        assert view["key"] == number
                else:
                    assert keystores[number]["key"] == number
                    assert next(keystores[number].scan("key")) == ("key", number)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_environment_never_says_of_itself_what_was_so_when_it_was_opened(root, in_another_process):
    with pronto_lmdb.open(root) as store:
        store["a"]["key"] = 1
        path = str(store.info("a").path)
    environment = pool.peek(path, -1)
    before = environment.describe()[1].revision
    pool.release(-1)
    environment = pool.peek(path, -1)
    program = """
        import sys, pronto_lmdb
        with pronto_lmdb.open(sys.argv[1]) as store:
            store["a"]["key"] = 2
        """
    in_another_process(program, root)
    assert environment.describe()[1].revision == before + 1
    pool.release(-1)


def test_capacity_respects_the_limit_on_open_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        assert pool_module.capacity() * pool_module.DESCRIPTORS_EACH <= 128
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_addresses_under_256_descriptors_in_bounded_memory(root):
    program = textwrap.dedent(
        """
        import os, resource, sys
        import pronto_lmdb

        def resident():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        count, files = 10_000, 0
        with pronto_lmdb.open(sys.argv[1], durability="off") as store:
            for number in range(count):
                store[f"agent{number}"]["number"] = number
                if number == 500:
                    early = resident()
            late = resident()
            for number in range(count):
                assert store[f"agent{number}"]["number"] == number
                if number % 100 == 0:
                    files = max(files, len(os.listdir("/proc/self/fd")))
            assert sum(1 for _ in store.addresses()) == count
        assert files < 256, files
        assert resident() - early < 32 * 2**20, (early, late, resident())
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", program, str(root)], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
