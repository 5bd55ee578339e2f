"""What every adapter must do; the peers take part where their packages are installed."""

import sqlite3

import lmdb
import old_program
import pytest

from bench.adapters import CONTENDERS, Contender, at, pack, unpack
from bench.adapters.legacy import FILE, SCHEMA
from bench.stand import Stand
from bench.values import Values

HERE = [name for name, contender in CONTENDERS.items() if not contender.obstacle()]


@pytest.fixture(params=HERE)
def opened(request, tmp_path):
    with Stand(CONTENDERS[request.param], str(tmp_path), Values(7, 250), "user.cursor") as stand:
        yield stand


def test_a_value_comes_back_as_it_was(opened):
    opened.adapter.put("a", {"b": [1, 2.5, None, "text"]})
    assert opened.adapter.get("a") == {"b": [1, 2.5, None, "text"]}


def test_an_absent_key_is_none(opened):
    opened.load(range(3))
    assert opened.adapter.get("absent") is None


def test_a_put_replaces(opened):
    for number in range(3):
        opened.adapter.put("a", number)
    assert opened.adapter.get("a") == 2
    assert list(opened.adapter.scan_keys()) == ["a"]


def test_many_are_written_and_read_at_once(opened):
    opened.adapter.put_many([("a", 1), ("b", 2)])
    assert opened.adapter.get_many(["b", "absent", "a"]) == {"a": 1, "b": 2}


def test_a_deleted_key_is_gone_and_deleting_it_again_does_nothing(opened):
    opened.adapter.put("a", 1)
    for _ in range(2):
        opened.adapter.delete("a")
        assert opened.adapter.get("a") is None


def test_everything_is_there_after_reopening(opened):
    opened.load(range(300))
    opened.check_all()
    opened.check_keys(opened.adapter.scan_keys())


def test_a_scan_begins_anywhere_and_ends_at_its_limit(opened):
    opened.load(range(50))
    pairs = sorted(opened.adapter.scan(opened.values.key(20)))
    opened.check_pairs(range(20, 50), pairs)
    assert len(list(opened.adapter.scan(opened.values.key(20), 7))) == 7


def test_a_limited_scan_shows_the_first_keys_where_scans_are_ordered(opened):
    opened.load(range(50))
    if opened.contender.ordered:
        opened.check_pairs(range(20, 27), opened.adapter.scan(opened.values.key(20), 7))


def test_the_last_records_come_from_the_end(opened):
    opened.load(range(50))
    assert [key for key, _ in opened.adapter.last(3)] == [opened.values.key(index) for index in (49, 48, 47)]


def test_a_sibling_sees_and_writes_the_same_address(opened):
    opened.adapter.put("a", 1)
    sibling = opened.adapter.sibling()
    sibling.put("b", 2)
    assert (sibling.get("a"), opened.adapter.get("b")) == (1, 2)
    if sibling is not opened.adapter:
        sibling.close()


def test_addresses_are_apart(opened):
    opened.adapter.put("a", 1)
    with Stand(opened.contender, opened.directory, opened.values, "user.other") as other:
        assert other.adapter.get("a") is None
        assert list(other.adapter.scan()) == []


def test_a_contender_is_named_for_the_durability_it_declares():
    assert {name.rpartition("-")[2] for name in at("full")} == {"full"}
    assert all(contender.make().durability == contender.durability for contender in map(CONTENDERS.get, HERE))


def test_a_missing_package_is_an_obstacle_and_no_error():
    assert Contender("peer-full", "bench.adapters.peer:Peer", "full", "surely_absent").obstacle() == "not installed"


def test_lmdb_and_sqlite_hold_the_same_bytes(tmp_path):
    value = Values(7, 250).value(1, 1)
    for name in ("raw-full", "sqlite-full", "legacy-full"):
        with Stand(CONTENDERS[name], str(tmp_path), Values(7, 250), "user.cursor") as stand:
            stand.adapter.put("a", value)
    with lmdb.open(str(tmp_path / "user.cursor")) as environment, environment.begin() as txn:
        assert txn.get(b"a") == pack(value)
    for path in (tmp_path / "user.cursor.sqlite3", tmp_path / FILE):
        connection = sqlite3.connect(path)
        assert connection.execute("SELECT value FROM kv").fetchone()[0] == pack(value)
        connection.close()
    assert unpack(pack(value)) == value


def test_the_old_design_keeps_all_addresses_in_one_file(tmp_path):
    for address in ("alice.main", "bob.main"):
        with Stand(CONTENDERS["legacy-full"], str(tmp_path), Values(7, 250), address) as stand:
            stand.adapter.put("a", address)
    connection = sqlite3.connect(tmp_path / FILE)
    rows = connection.execute("SELECT project, namespace, key, context FROM kv ORDER BY 1").fetchall()
    connection.close()
    assert rows == [("alice", "main", "a", ""), ("bob", "main", "a", "")]


def test_the_old_design_finds_a_key_through_its_index(tmp_path):
    with Stand(CONTENDERS["legacy-full"], str(tmp_path), Values(7, 250), "alice.main") as stand:
        stand.adapter.put("a", 1)
    connection = sqlite3.connect(tmp_path / FILE)
    query = "SELECT value FROM kv WHERE project = ? AND namespace = ? AND key = ? AND context IS ?"
    plan = connection.execute(f"EXPLAIN QUERY PLAN {query}", ("alice", "main", "a", "")).fetchone()[3]
    connection.close()
    assert "USING INDEX sqlite_autoindex_kv_1 (project=? AND namespace=? AND key=? AND context=?)" in plan


def test_the_old_design_has_the_schema_of_the_old_program():
    assert SCHEMA == old_program.SCHEMA
