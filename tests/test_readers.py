"""Who reads and goes away without a word leaves no growing file behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import warnings
from contextlib import ExitStack
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from conftest import REPOSITORY

import pronto_lmdb
from pronto_lmdb.pool import pool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pronto_lmdb import Keystore, Store

KEYS = 300
COMMITS = 1_500


def fill(keystore: Keystore) -> None:
    keystore.update({f"key{number}": "x" * 500 for number in range(KEYS)})


def churn(keystore: Keystore) -> None:
    for number in range(COMMITS):
        keystore[f"key{number * 7 % KEYS}"] = f"{number}" * 100


def used(store: Store, name: str) -> int:
    return (store.info(name).path / "data.mdb").stat().st_size


@pytest.fixture
def undisturbed(tmp_path: Path) -> int:
    """The size of the file after the same churn with nobody reading."""
    with pronto_lmdb.open(tmp_path / "undisturbed", durability="off") as store:
        fill(store["a"])
        churn(store["a"])
        return used(store, "a")


@pytest.fixture
def filled(root: Path) -> Iterator[Store]:
    with pronto_lmdb.open(root, durability="off") as store:
        fill(store["a"])
        yield store


def test_abandoned_iterators_pin_nothing(filled: Store, undisturbed: int) -> None:
    abandoned = [filled["a"].scan() for _ in range(100)]
    for rows in abandoned:
        next(rows)
    churn(filled["a"])
    assert used(filled, "a") <= 2 * undisturbed
    assert len(abandoned) == 100


def forget_views(keystore: Keystore) -> None:
    """Open views that nobody ends, and that nobody knows any more."""
    for _ in range(10):
        keystore.view().__enter__()
    gc.collect()


def test_views_that_nobody_ended_end_when_nobody_knows_them(filled: Store, undisturbed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        forget_views(filled["a"])
    churn(filled["a"])
    assert used(filled, "a") <= 2 * undisturbed
    filled.close()
    assert pool.environments() == []


def test_a_view_that_nobody_ended_warns(filled: Store) -> None:
    with pytest.warns(ResourceWarning, match=r"a view of a\.default was never ended"):
        forget_views(filled["a"])


def test_a_view_that_was_open_for_too_long_is_reported_once(filled: Store, caplog: pytest.LogCaptureFixture) -> None:
    filled.config["view_warning"] = "0"
    with filled["a"].view():
        churn(filled["a"])
        filled["a"].sync()  # at this level a checkpoint
        (record,) = caplog.records
        assert "view of a.default has been open for too long" in record.getMessage()
    assert len(caplog.records) == 1


def test_a_view_that_was_open_for_too_long_is_reported_when_it_ends(
    filled: Store, caplog: pytest.LogCaptureFixture
) -> None:
    filled.config["view_warning"] = "0"
    with filled["a"].view() as view:
        assert len(view) == KEYS
    assert len(caplog.records) == 1


def test_a_short_view_is_reported_to_nobody(filled: Store, caplog: pytest.LogCaptureFixture) -> None:
    with filled["a"].view() as view:
        assert len(view) == KEYS
    filled.compact("a")
    assert caplog.records == []


def test_after_a_view_that_was_open_all_the_time_the_file_grows_no_more(filled: Store) -> None:
    with filled["a"].view():
        churn(filled["a"])
    grown = used(filled, "a")
    churn(filled["a"])
    churn(filled["a"])
    assert used(filled, "a") <= grown


_READER = """
import sys, time, pronto_lmdb
with pronto_lmdb.open(sys.argv[1]) as store, store["a"].view() as view:
    print(len(view), flush=True)
    time.sleep(600)
"""


@pytest.fixture
def reader(filled: Store, root: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has a view open."""
    process = subprocess.Popen(
        [sys.executable, "-c", _READER, str(root)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f"{KEYS}\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("writer", ["one that goes on", "one that comes"])
def test_a_killed_reader_pins_nothing(
    filled: Store, root: Path, undisturbed: int, reader: subprocess.Popen[str], writer: str
) -> None:
    os.kill(reader.pid, signal.SIGKILL)
    reader.wait()
    if writer == "one that comes":
        filled.close()
    with pronto_lmdb.open(root) as store:
        churn(store["a"])
        assert used(store, "a") <= 2 * undisturbed


def test_what_a_long_view_has_cost_is_given_back_by_a_compaction(
    filled: Store, undisturbed: int, reader: subprocess.Popen[str]
) -> None:
    churn(filled["a"])
    assert used(filled, "a") > 2 * undisturbed
    filled.compact("a")
    assert used(filled, "a") <= undisturbed


def test_many_views_of_one_process_are_safe_from_writers_of_another(filled: Store, root: Path) -> None:
    """Their table has to grow, and whoever lets it grow must not lose the locks that tell others who is alive."""
    with ExitStack() as stack:
        views = [stack.enter_context(filled["a"].view()) for _ in range(130)]
        program = f"""
            import pronto_lmdb
            with pronto_lmdb.open({str(root)!r}) as store:
                for number in range(20):
                    store["a"].update({{f"key{{each}}": f"{{number:02}}" * 250 for each in range({KEYS})}})
        """
        subprocess.run(
            [sys.executable, "-c", dedent(program)], env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=True
        )
        assert {view[f"key{number}"] for view in views for number in range(0, KEYS, 10)} == {"x" * 500}
