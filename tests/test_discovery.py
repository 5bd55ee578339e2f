"""`projects` and `namespaces`: which there are, by the convention, and without reading every key."""

from __future__ import annotations

import lmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pronto_lmdb import InvalidKeyError, Key, discovery
from pronto_lmdb.moment import Moment

# Few and similar, some empty, some around the dot in byte order: what a leap could go wrong with.
segments = st.sampled_from(["", "a", "b", "default", "a-", "a/", "a.", "é", "z\0"])
keys = st.lists(segments, min_size=1, max_size=4).map(".".join).filter(bool)


def place(text):
    try:
        key = Key.parse(text)
    except InvalidKeyError:
        return None
    return key.project, key.namespace


def sorted_by_bytes(places):
    return sorted(places, key=lambda place: [part.encode() for part in place])


@settings(max_examples=300)
@given(alive=st.sets(keys, max_size=12), gone=st.sets(keys, max_size=6))
def test_they_are_those_of_the_live_keys_that_follow_the_convention(store, clock, alive, gone):
    keystore = store["alice"]
    keystore.clear()
    for key in gone:
        keystore.put(key, 1, ttl=5)
    for key in alive:
        keystore.put(key, 1)
    clock.advance(10)
    expected = sorted_by_bytes({place(key) for key in alive} - {None})
    assert keystore.namespaces() == expected
    assert keystore.projects() == sorted({project for project, _ in expected}, key=str.encode)
    for project in ("a", "b", "default", "é", "", "a.b"):
        assert keystore.namespaces(project) == [found for found in expected if found[0] == project]


def test_an_absent_address_has_none_and_is_not_made(root, store):
    assert store["alice"].projects() == []
    assert store["alice"].namespaces() == []
    assert not root.exists()


def test_views_and_transactions_tell_what_they_see(store):
    keystore = store["alice"]
    keystore["web.cache.page"] = 1
    with keystore.view() as view:
        keystore["app.config.host"] = 1
        assert view.namespaces() == [("web", "cache")]
    with keystore.transaction() as txn:
        txn["one"] = 1
        assert txn.projects() == ["app", "default", "web"]


def test_a_project_is_text(store):
    with pytest.raises(InvalidKeyError):
        store["alice"].namespaces(5)


class CountingCursor:
    """A cursor that counts its moves."""

    def __init__(self, cursor):
        self._cursor = cursor
        self.moves = 0
        self.key, self.value = cursor.key, cursor.value

    def iternext(self, **options):
        for key in self._cursor.iternext(**options):
            self.moves += 1
            yield key

    def set_range(self, key):
        self.moves += 1
        return self._cursor.set_range(key)


class CountingTransaction:
    def __init__(self, txn):
        self.counter = CountingCursor(txn.cursor())

    def cursor(self):
        return self.counter


@pytest.mark.parametrize(
    ("look", "most"),
    [
        (discovery.projects, 2 * 5 + 20),
        (lambda moment: discovery.namespaces(moment, None), 2 * 5 * 10 + 10),
        (lambda moment: discovery.namespaces(moment, "p3"), 2 * 10 + 2),
    ],
    ids=["projects", "namespaces", "of one project"],
)
def test_one_move_for_a_namespace_not_for_a_key(tmp_path, look, most):
    """5 projects of 10 namespaces of 40 keys, and one key in the default project."""
    with lmdb.open(str(tmp_path)) as environment, environment.begin(write=True) as txn:
        record = bytes([0x10, *[0] * 16, 1])
        for project in range(5):
            for namespace in range(10):
                for name in range(40):
                    txn.put(f"p{project}.n{namespace}.k{name}".encode(), record)
        txn.put(b"alone", record)
        counting = CountingTransaction(txn)
        look(Moment(counting, 1))
        assert counting.counter.moves <= most
