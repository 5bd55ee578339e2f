"""The harness lies beside the product, not in it: it is imported from the repository."""

import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec

import pytest

# Behind everything else, so that an installed product is the one under test.
sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from bench.adapters import CONTENDERS, Contender
from bench.adapters.memory import MemoryAdapter
from bench.harness import Run, Scale
from bench.results import Result, Row
from bench.stand import Stand
from bench.values import Values

TINY = Scale("tiny", 2, 200, 20, 3, 5, 0.05, complete=False)


@dataclass(frozen=True)
class GivenContender(Contender):
    """A contender whose adapter class is given instead of looked up."""

    adapter: type = MemoryAdapter

    def make(self):
        return self.adapter(self.durability)


@pytest.fixture(scope="session", autouse=True)
def lasting_background(tmp_path_factory):
    """Let peers and matplotlib start what lasts as long as the process, before a test counts threads and files."""
    directory = tmp_path_factory.mktemp("background")
    for each in CONTENDERS.values():
        if each.package and not each.obstacle():
            with Stand(each, str(directory / each.name), Values(7, 100)) as stand:
                stand.adapter.put("a", 1)
    if find_spec("matplotlib"):
        from matplotlib import pyplot

        pyplot.figure().suptitle("text")
        pyplot.savefig(directory / "picture.svg")
        pyplot.close()


@pytest.fixture
def contender():
    """Make a contender of an adapter class."""

    def make(adapter=MemoryAdapter, name="pronto-full", **traits):
        return GivenContender(name, "", "full", adapter=adapter, **traits)

    return make


@pytest.fixture
def stand(contender, tmp_path):
    """Open a stand of an adapter class, loaded with 60 records."""
    opened = []

    def make(adapter=MemoryAdapter, records=60, **traits):
        made = Stand(contender(adapter, **traits), str(tmp_path / f"stand{len(opened)}"), Values(7, 100))
        opened.append(made.__enter__())
        made.load(range(records))
        return made

    yield make
    for each in opened:
        each.__exit__()


@pytest.fixture
def tiny_run(tmp_path):
    """Make a run of next to no length for some contenders."""
    runs = []

    def make(*names):
        runs.append(Run(TINY, str(tmp_path), 7, frozenset(names)))
        return runs[-1]

    yield make
    for run in runs:
        run.close()


@pytest.fixture
def row():
    """Make a row whose figure is the middle one of its rounds."""

    def make(contender, rounds, *, case="get", unit="us", workload="micro", **parameters):
        figure = sorted(rounds)[len(rounds) // 2]
        marks = dict.fromkeys(("p50", "mean", "p99", "p99.9", "max"), figure) if unit == "us" else {}
        return Row(
            workload,
            case,
            contender,
            unit,
            figure,
            list(rounds),
            1000,
            parameters,
            marks,
            1e6 / figure if figure else None,
        )

    return make


@pytest.fixture
def result():
    """Make a result of rows."""

    def make(*rows):
        facts = {
            "kind": "tiny",
            "date": "2026-01-02",
            "seed": 7,
            "seconds": 3,
            "timer_ns": 100.0,
            "notes": [],
            "commit": "0123456789ab",
            "kernel": "Linux 6",
            "file_system": {"type": "ext4", "options": "rw"},
            "machine": {"architecture": "x86_64", "processor": "Some CPU", "cores": 2, "memory_gb": 8.0},
            "versions": {"python": "3.11.7"},
        }
        names = dict.fromkeys(each.contender for each in rows)
        contenders = {
            name: {"durability": name.rpartition("-")[2], "status": "measured", "version": "1.0"}
            for name in names
            if "-" in name
        }
        contenders["redis-full"] = {"durability": "full", "status": "not installed", "version": ""}
        return Result(facts, contenders, list(rows))

    return make
