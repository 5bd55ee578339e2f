"""`pronto bench`: a short run of the real thing."""

import json


def test_it_prints_a_table_and_leaves_nothing_behind(pronto, root):
    root.mkdir()
    done = pronto("bench", "--seconds", "0.1", "--root", str(root))
    assert done.code == 0
    assert [line[:22].strip() for line in done.lines] == [
        "operations a second", "flush of a page", "durable put", "put of 1,000 at once", "get", "scan",
    ]  # fmt: skip
    assert list(root.iterdir()) == []


def test_with_json_it_prints_an_object_a_line(pronto, root):
    done = pronto("bench", "--seconds", "0.1", "--json", "--root", str(root))
    disk, *figures = (json.loads(line) for line in done.lines)
    assert disk["disk"] > 0
    for figure in figures:
        assert figure["ratio"] == figure["pronto"] / figure["sqlite"] > 0
    assert not root.exists()


def test_it_takes_a_sensible_time_only(pronto):
    for seconds in ("0", "-1", "nan", "soon"):
        assert pronto("bench", "--seconds", seconds).code == 64
