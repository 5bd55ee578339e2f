"""An engine that loses a write, returns something stale or breaks the order must not get away with it."""

from functools import partial
from random import Random
from time import monotonic

import pytest

from bench.__main__ import main
from bench.adapters import CONTENDERS, at
from bench.adapters.memory import MemoryAdapter
from bench.distributions import Scrambled
from bench.measure import timed
from bench.stand import WrongAnswer
from bench.workloads import checkpoints, db_bench, disk_use, fleet, group_commit, json_lines, startup, turns, ycsb


def twenty(_contender):
    return 20


def repeatedly(*functions):
    """Call functions again and again: a fault that comes now and then must come to light."""
    for _ in range(50):
        for function in functions:
            function()


class LosesEveryTenthWrite(MemoryAdapter):
    """Acknowledges every write, and forgets some."""

    writes = 0

    def put(self, key, value):
        self.writes += 1
        if self.writes % 10:
            super().put(key, value)


class LosesTheEndOfABatch(MemoryAdapter):
    def put_many(self, pairs):
        super().put_many(pairs[:-1])


class ReadsStale(MemoryAdapter):
    """Goes on returning the first value it ever read for a key."""

    def open(self, directory, address):
        super().open(directory, address)
        self.cache = {}

    def get(self, key):
        return self.cache.setdefault(key, super().get(key))


class NeverReplaces(MemoryAdapter):
    """Keeps the first value of a key."""

    def put(self, key, value):
        if self.get(key) is None:
            super().put(key, value)


class ScansInWrongOrder(MemoryAdapter):
    def scan(self, start="", limit=None):
        pairs = list(super().scan(start, limit))
        pairs[3], pairs[4] = pairs[4], pairs[3]
        return pairs

    def scan_keys(self):
        return reversed(super().scan_keys())


class ScanSkipsOne(MemoryAdapter):
    def scan(self, start="", limit=None):
        return list(super().scan(start, limit))[:-1]


class ScanShowsForeign(MemoryAdapter):
    def scan(self, start="", limit=None):
        return [*super().scan(start, limit), ("zzz", {"id": 0})]


class ForgetsOnClose(MemoryAdapter):
    def close(self):
        self._shelf.clear()


class DeletesNothing(MemoryAdapter):
    def delete(self, key):
        pass


def test_a_correct_adapter_passes_every_check(stand):
    good = stand()
    for turn in (partial(turns.gets, twenty), partial(turns.puts, twenty), partial(turns.misses, twenty)):
        assert turn(good, Random(1)).operations == 20
    assert turns.update(30, good, Random(1)).operations == 30
    assert turns.scan(good, Random(1)).operations == turns.scan_keys(good, Random(1)).operations == 60
    good.check_all()


def test_a_lost_write_is_found_when_it_is_read_back(stand):
    with pytest.raises(WrongAnswer, match=r"pronto-full (lost a write|returned stale version .)"):
        turns.puts(twenty, stand(LosesEveryTenthWrite), Random(1))


def test_a_write_lost_from_a_batch_is_found_at_once(stand):
    broken = stand(records=0, adapter=LosesTheEndOfABatch)
    broken.load(range(5))
    with pytest.raises(WrongAnswer, match=r"lost a write: memory.notes.item-00000004 is absent, version 1"):
        turns.gets(twenty, broken, Random(1))


def test_a_stale_read_is_found(stand):
    broken = stand(ReadsStale)
    turns.gets(twenty, broken, Random(1))
    broken.load(range(60))
    with pytest.raises(WrongAnswer, match=r"returned stale version 1 of memory.notes.item-"):
        turns.gets(twenty, broken, Random(1))


def test_an_overwrite_that_does_not_replace_is_found(stand):
    with pytest.raises(WrongAnswer, match="returned stale version 1"):
        turns.puts(twenty, stand(NeverReplaces), Random(1))


def test_a_scan_in_the_wrong_order_is_found(stand):
    with pytest.raises(WrongAnswer, match=r"shows memory.notes.item-00000004 where memory.notes.item-00000003 belongs"):
        turns.scan(stand(ScansInWrongOrder), Random(1))


def test_keys_in_the_wrong_order_are_found(stand):
    with pytest.raises(WrongAnswer, match="in a wrong order"):
        turns.scan_keys(stand(ScansInWrongOrder), Random(1))


def test_order_does_not_matter_where_an_engine_declares_none(stand):
    assert turns.scan(stand(ScansInWrongOrder, ordered=False), Random(1)).operations == 60


@pytest.mark.parametrize("ordered", [True, False])
def test_a_scan_that_leaves_out_a_record_is_found(stand, ordered):
    with pytest.raises(WrongAnswer, match=r"a scan ends where memory.notes.item-00000059 belongs"):
        turns.scan(stand(ScanSkipsOne, ordered=ordered), Random(1))


def test_a_scan_that_shows_a_foreign_record_is_found(stand):
    with pytest.raises(WrongAnswer, match="a scan shows zzz, which it must not show"):
        turns.scan(stand(ScanShowsForeign), Random(1))


def test_what_is_gone_after_reopening_is_found(stand):
    with pytest.raises(WrongAnswer, match=r"a scan ends where memory.notes.item-00000000 belongs"):
        stand(ForgetsOnClose).check_all()


def test_a_delete_that_did_nothing_is_found(stand):
    broken = stand(DeletesNothing)
    timed([broken.delete_call(5)])
    with pytest.raises(WrongAnswer, match="item-00000005, which was deleted or never written"):
        broken.check_written([5])


@pytest.mark.parametrize("adapter", [ReadsStale, NeverReplaces])
def test_a_stale_read_is_found_while_others_write(stand, adapter):
    broken = stand(adapter, records=3)
    turns.gets(twenty, broken, Random(1))
    with pytest.raises(WrongAnswer):
        repeatedly(lambda: db_bench._read_while_writing(lambda _: 200, broken, Random(2)))


def test_reading_while_writing_accepts_every_version_acknowledged_meanwhile(stand):
    assert db_bench._read_while_writing(lambda _: 500, stand(records=3), Random(1)).operations == 500


@pytest.mark.parametrize("adapter", [LosesEveryTenthWrite, ReadsStale, NeverReplaces])
def test_ycsb_finds_what_is_stale_or_lost(stand, tiny_run, adapter):
    broken, random = stand(adapter), Random(1)
    with pytest.raises(WrongAnswer):
        repeatedly(lambda: ycsb._turn(tiny_run(), ycsb.MIXES["A"][0], Scrambled(60), broken, random))


def test_ycsb_finds_a_scan_in_the_wrong_order(stand, tiny_run):
    plan = ycsb._Plan(stand(ScansInWrongOrder), Scrambled(60), Random(3))
    plan.add("scan")
    with pytest.raises(WrongAnswer):
        plan.check(timed(plan.calls)[1])


@pytest.mark.parametrize("workload", ycsb.MIXES)
def test_ycsb_accepts_a_correct_adapter(stand, tiny_run, workload):
    mix, _ = ycsb.MIXES[workload]
    for seed in range(5):
        assert ycsb._turn(tiny_run(), mix, Scrambled(60), stand(), Random(seed)).operations


@pytest.mark.parametrize("adapter", [LosesEveryTenthWrite, NeverReplaces, ForgetsOnClose])
def test_an_agent_of_a_fleet_finds_what_it_lost(contender, monkeypatch, tmp_path, adapter):
    monkeypatch.setitem(CONTENDERS, "pronto-full", contender(adapter))
    monkeypatch.setattr(fleet, "RECORDS", 3)
    writer = fleet.Writer("pronto-full", str(tmp_path), "agent1.main", 7)
    writer.prepare()
    with pytest.raises(WrongAnswer):
        repeatedly(lambda: writer.run(monotonic() + 0.001), writer._stand.check_all)


def test_a_crowd_of_threads_finds_what_it_lost(stand):
    broken = stand(LosesEveryTenthWrite, records=group_commit.RECORDS_EACH * 2)
    with pytest.raises(WrongAnswer):
        repeatedly(lambda: group_commit._threads(broken, 2, 0.001), broken.check_all)


@pytest.mark.parametrize("adapter", [LosesEveryTenthWrite, NeverReplaces])
def test_a_write_lost_while_checkpoints_happen_is_found(stand, adapter):
    writer = checkpoints.Writer(stand(adapter, records=0), checkpoints.Size(1, 50_000))
    with pytest.raises(WrongAnswer):
        repeatedly(lambda: writer.turn(Random(1), 60))


@pytest.mark.parametrize("adapter", [LosesEveryTenthWrite, NeverReplaces])
def test_a_write_lost_while_bytes_are_counted_is_found(stand, adapter):
    with pytest.raises(WrongAnswer):
        disk_use._written(stand(adapter), Random(1), 60)


def test_a_command_that_prints_something_else_is_found(tmp_path):
    shell = startup.Shell(str(tmp_path))
    _, done = shell.run(["printf", "two\\n"])
    with pytest.raises(WrongAnswer, match="pronto get: exit 0 instead of 0, printed 'two"):
        shell.check("get", done)


def test_a_command_that_exits_otherwise_is_found(tmp_path):
    shell = startup.Shell(str(tmp_path))
    with pytest.raises(WrongAnswer, match="pronto exists: exit 1 instead of 0"):
        shell.check("exists", shell.run(["false"])[1])


def test_an_export_that_lacks_something_is_found(tmp_path):
    work = json_lines._Work(startup.Shell(str(tmp_path)), str(tmp_path), 10)
    work.write(Random(1))
    source, exported = tmp_path / "source.jsonl", tmp_path / "exported.jsonl"
    exported.write_text(source.read_text().replace('"hits"', '"hit"', 1))
    with pytest.raises(WrongAnswer, match="hit"):
        work._checked(["true"])
    with pytest.raises(WrongAnswer, match="exit 1"):
        work._checked(["false"])
    exported.write_text(source.read_text())
    work._checked(["true"])


def test_a_wrong_answer_ends_the_run_with_an_error_and_without_a_result(
    contender, tiny_run, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr("bench.__main__.QUICK", tiny_run().scale)
    for name in at("full"):
        monkeypatch.setitem(CONTENDERS, name, contender(LosesEveryTenthWrite, name=name))
    out = tmp_path / "result.json"
    arguments = ["run", "--quick", "--only", "db_bench", "--contenders", "pronto-full"]
    assert main([*arguments, "--dir", str(tmp_path), "--out", str(out)]) == 1
    assert "bench: pronto-full" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
