"""Whole addresses out and in as JSON lines, and single records from here to there."""

from __future__ import annotations

import itertools
import json
import os
import shutil

import pytest
import strategies
from crash import killed_at
from hypothesis import given, settings
from hypothesis import strategies as st

import pronto_lmdb
from pronto_lmdb import ConflictError, InvalidValueError, KeyNotFoundError, ReadOnlyError, jsonlines
from pronto_lmdb.exchange import copy_record, export_lines, import_lines
from pronto_lmdb.jsonlines import BLOCK_BYTES


def lines(*rows: tuple) -> list[bytes]:
    """Return JSON lines of (key, value) or (key, value, further fields)."""
    return [
        json.dumps({"key": key, "value": value, **(rest[0] if rest else {})}).encode() + b"\n"
        for key, value, *rest in rows
    ]


def exported(keystore) -> bytes:
    return b"".join(export_lines(keystore))


def entries(keystore):
    return {key: keystore.entry(key) for key in keystore}


# -- out and in ------------------------------------------------------------------------------------------------------


_numbers = itertools.count()


@settings(max_examples=40)
@given(
    batches=st.lists(
        st.dictionaries(strategies.keys, st.tuples(strategies.values, st.none() | st.floats(1e3, 1e9)), max_size=4),
        min_size=1,
        max_size=4,
    )
)
def test_an_export_and_an_import_make_an_identical_address(store, batches):
    number = next(_numbers)
    source, target = store[f"source.{number}"], store[f"target.{number}"]
    for batch in batches:
        with source.transaction() as txn:
            for key, (value, ttl) in batch.items():
                txn.put(key, value, ttl=ttl)
    done = import_lines(target, export_lines(source))
    assert (done.written, done.bad) == (len(source), 0)
    # In their written form values can be compared, types and NaN included; JSON knows one NaN.
    assert repr(list(target.items())) == repr(list(source.items()))
    assert exported(target) == exported(source)


def test_revisions_are_kept_by_an_address_that_never_gave_them_out(store):
    source, target = store["source"], store["target"]
    for number in range(5):
        source[f"k{number}"] = number
    source["k0"] = "again"
    import_lines(target, [exported(source)])
    assert {key: entry.revision for key, entry in entries(target).items()} == {
        key: entry.revision for key, entry in entries(source).items()
    }
    assert exported(target) == exported(source)
    assert target.revision == source.revision
    target["next"] = 1
    assert target.entry("next").revision == source.revision + 1
    assert store.check(deep=True).problems == []


def test_revisions_are_kept_over_several_transactions(store):
    source, target = store["source"], store["target"]
    for number in (3, 1, 2):
        source.update({f"{number}{key:05}": "x" * 100 for key in range(10_000)})
    text = exported(source)
    assert len(text) > 3 * BLOCK_BYTES
    import_lines(target, [text])
    assert exported(target) == text


def test_a_revision_that_was_given_out_is_not_used_again(store):
    source, target = store["source"], store["target"]
    for number in range(5):
        source[f"k{number}"] = number
    target["k0"] = "mine"
    import_lines(target, [exported(source)], on_conflict="overwrite")
    # The first was overwritten, and 1 had been given out: both are writes of today.
    assert [target.entry(f"k{number}").revision for number in range(5)] == [5, 2, 3, 4, 5]
    import_lines(target, [exported(source)], on_conflict="overwrite")
    assert {entry.revision for entry in entries(target).values()} == {6}


def test_a_revision_that_somebody_else_got_between_two_transactions_is_not_used(store):
    target = store["target"]

    def chunks():
        yield lines(("a", "x" * BLOCK_BYTES, {"revision": 10}))[0]
        yield b""
        target["other"] = 1  # gets revision 11
        yield from lines(("b", 1, {"revision": 11}), ("c", 1, {"revision": 20}))

    import_lines(target, chunks())
    assert target.entry("other").revision == 11
    assert target.entry("c").revision == 20
    assert target.entry("b").revision == 20


@pytest.mark.parametrize("level", ["full", "normal", "off"])
def test_other_processes_and_a_recovery_find_the_higher_revision(root, in_another_process, level):
    with pronto_lmdb.open(root, durability=level) as store:
        store["a"].update({"one": 1})
        store["a"]["two"] = 2  # from now on the state need not be stored
        import_lines(store["a"], lines(("k", 1, {"revision": 500})))
    for damaged in (False, level != "off"):
        if damaged:
            os.unlink(root / "addresses" / "a.default" / "data.mdb")
        found = in_another_process(
            """
            import json, sys, pronto_lmdb
            with pronto_lmdb.open(sys.argv[1]) as store:
                problems = store.check(deep=True).problems
                print(json.dumps([store["a"].revision, store["a"].entry("k").revision, problems]))
            """,
            root,
        )
        assert found == [500, 500, []]


def test_only_keys_with_a_prefix_are_exported(store):
    store["a"].update({"web.a": 1, "web.b": 2, "wec": 3})
    assert [json.loads(line)["key"] for line in b"".join(export_lines(store["a"], "web.")).splitlines()] == [
        "web.a",
        "web.b",
    ]


def test_an_export_shows_one_moment(store):
    keystore = store["a"]
    keystore.update({f"k{number:04}": 0 for number in range(2000)})
    pieces = export_lines(keystore)
    first = next(pieces)
    keystore.update({f"k{number:04}": 1 for number in range(2000)})
    rows = [json.loads(line) for line in (first + b"".join(pieces)).splitlines()]
    assert {row["value"] for row in rows} == {0}
    assert len(rows) == 2000


def test_an_absent_address_exports_nothing_and_is_not_created(store):
    assert exported(store["nobody"]) == b""
    assert not store.exists("nobody")


def test_what_has_expired_is_neither_exported_nor_imported(clock, store):
    store["a"].put("gone", 1, ttl=5)
    store["a"].put("there", 1, ttl=50)
    text = exported(store["a"])
    clock.advance(5)
    assert exported(store["a"]).count(b"\n") == 1
    done = import_lines(store["b"], [text])
    assert (done.written, done.expired, list(store["b"])) == (1, 1, ["there"])
    assert store["b"].ttl("there") == 45


def test_an_empty_import_writes_nothing(store):
    assert import_lines(store["a"], [b"\n", b"", b"  \n"]) == (2, 0, 0, 0, 0)
    assert not store.exists("a")


def test_an_export_holds_a_bounded_number_of_records(store, monkeypatch):
    keystore = store["a"]
    keystore.update({f"k{number:06}": number for number in range(5000)})
    sizes = [piece.count(b"\n") for piece in export_lines(keystore)]
    assert sum(sizes) == 5000
    assert max(sizes) <= 512


def test_an_import_holds_a_bounded_number_of_lines(store):
    keystore, line = store["a"], b'{"key": "k%07d", "value": 1}\n'
    taken, most = 0, 0

    def source():
        nonlocal taken
        for number in range(200_000):
            taken += 1
            yield line % number

    def progress(done):
        nonlocal most
        most = max(most, taken - done)
        assert len(keystore) == done

    assert import_lines(keystore, source(), progress=progress).written == 200_000
    assert most <= 1
    assert taken == 200_000


def test_a_huge_value_passes(store):
    store["a"]["huge"] = {"text": "\x01" * 3_000_000, "bytes": bytes(3_000_000)}
    store["a"]["later"] = 1
    import_lines(store["b"], export_lines(store["a"]))
    assert store["b"]["huge"] == store["a"]["huge"]
    assert store["b"]["later"] == 1


# -- keys that are there ---------------------------------------------------------------------------------------------


def test_by_default_a_key_that_is_there_ends_the_import(store):
    store["a"]["b"] = "mine"
    with pytest.raises(ConflictError, match="Line 2: the key 'b'"):
        import_lines(store["a"], lines(("a", 1), ("b", 2), ("c", 3)))
    assert dict(store["a"].items()) == {"b": "mine"}


def test_what_earlier_transactions_wrote_stays(store):
    store["a"]["z"] = "mine"
    text = [b'{"key": "k%06d", "value": "%s"}\n' % (number, b"x" * 100) for number in range(20_000)]
    reached = []
    with pytest.raises(ConflictError):
        import_lines(store["a"], [b"".join(text), *lines(("z", 1))], progress=reached.append)
    assert reached == [20_000]
    assert len(store["a"]) == 20_001


@pytest.mark.parametrize(("way", "found", "counts"), [("skip", "mine", (2, 1)), ("overwrite", 2, (3, 0))])
def test_a_key_that_is_there_is_skipped_or_overwritten(store, way, found, counts):
    store["a"].put("b", "mine", ttl=50)
    done = import_lines(store["a"], lines(("a", 1), ("b", 2), ("c", 3)), on_conflict=way)
    assert (done.written, done.skipped) == counts
    assert (store["a"]["a"], store["a"]["b"], store["a"]["c"]) == (1, found, 3)
    assert (store["a"].ttl("b") is None) == (way == "overwrite")
    assert store.check(deep=True).problems == []


@pytest.mark.parametrize("way", ["skip", "overwrite", "fail"])
def test_an_expired_key_is_not_there(clock, store, way):
    store["a"].put("b", "old", ttl=5)
    clock.advance(6)
    assert import_lines(store["a"], lines(("b", 2)), on_conflict=way).written == 1
    assert (store["a"]["b"], store["a"].ttl("b")) == (2, None)
    assert store.check(deep=True).problems == []


@pytest.mark.parametrize(("way", "found", "counts"), [("skip", 1, (1, 1)), ("overwrite", 2, (2, 0))])
@pytest.mark.parametrize("fields", [{}, {"expires_at": "2999-01-01T00:00:00Z"}])
def test_of_two_lines_with_one_key_the_first_or_the_last_remains(store, way, found, counts, fields):
    done = import_lines(store["a"], lines(("a", 1, fields), ("a", 2, fields)), on_conflict=way)
    assert (done.written, done.skipped, store["a"]["a"]) == (*counts, found)
    assert store.check(deep=True).problems == []


def test_two_lines_with_one_key_are_a_conflict(store):
    with pytest.raises(ConflictError, match="Line 3: the key 'a'"):
        import_lines(store["a"], lines(("a", 1), ("b", 1), ("a", 2)))
    assert not dict(store["a"].items())


def test_another_way_to_meet_a_conflict_is_refused(store):
    with pytest.raises(InvalidValueError, match="ask"):
        import_lines(store["a"], [], on_conflict="ask")


# -- expiry ----------------------------------------------------------------------------------------------------------


def test_a_line_that_says_nothing_of_its_expiry_is_like_a_put(clock, store):
    store["a"].namespace_ttl("web.cache", 60)
    import_lines(
        store["a"],
        lines(
            ("web.cache.a", 1),
            ("web.cache.b", 1, {"expires_at": None}),
            ("web.cache.c", 1, {"ttl": 5}),
            ("plain", 1),
        ),
    )
    assert [store["a"].ttl(key) for key in ("web.cache.a", "web.cache.b", "web.cache.c", "plain")] == [
        60,
        None,
        5,
        None,
    ]
    assert store.check(deep=True).problems == []


# -- what is refused -------------------------------------------------------------------------------------------------


def test_bad_lines_are_left_out_and_handed_over(store):
    bad = []
    text = [*lines(("a", 1)), b"nonsense\n", *lines(("b", 2)), b'{"key": ""}']
    done = import_lines(store["a"], text, refuse=bad.append)
    assert done == (4, 2, 0, 0, 2)
    assert [(line.number, line.content) for line in bad] == [(2, b"nonsense"), (4, b'{"key": ""}')]
    assert dict(store["a"].items()) == {"a": 1, "b": 2}


def test_who_is_handed_a_bad_line_may_end_the_import(store):
    def refuse(line):
        raise line.error

    with pytest.raises(InvalidValueError):
        import_lines(store["a"], [*lines(("a", 1)), b"nonsense\n"], refuse=refuse)
    assert not store.exists("a")


def test_a_store_that_is_only_read_takes_nothing(root, store):
    store["a"]["k"] = 1
    with pronto_lmdb.open(root, readonly=True) as other:
        assert exported(other["a"])
        with pytest.raises(ReadOnlyError):
            import_lines(other["a"], lines(("b", 1)))


def test_a_quota_ends_an_import_with_whole_transactions(store):
    store.create("a", max_bytes=1 << 20)
    text = [b"".join(lines(*((f"k{block}.{number:05}", "x" * 100) for number in range(8000)))) for block in range(4)]
    with pytest.raises(pronto_lmdb.StoreFullError):
        import_lines(store["a"], text)
    assert len(store["a"]) % 8000 == 0
    assert store.check(deep=True).problems == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_an_import_that_is_killed_leaves_whole_transactions_and_can_be_repeated(root, monkeypatch):
    monkeypatch.setattr(jsonlines, "BLOCK_BYTES", 1)
    text = [b"".join(lines(*((f"k{block}.{number}", 1) for number in range(10)))) for block in range(3)]
    seen = set()
    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)

        def work():
            with pronto_lmdb.open(root) as store:
                import_lines(store["a"], text)

        died = killed_at(step, work)
        with pronto_lmdb.open(root) as store:
            seen.add(len(store["a"]))
            import_lines(store["a"], text, on_conflict="skip")
            assert len(store["a"]) == 30, step
            assert store.check(deep=True).problems == []
        if not died:
            break
    assert seen == {0, 10, 20, 30}


# -- single records --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["a", "b"])
def test_a_record_is_copied_with_its_expiry(clock, store, where):
    store["a"].put("k", {"n": b"x"}, ttl=60)
    clock.advance(10)
    copy_record(store["a"], "k", store[where], "copy")
    assert (store[where]["copy"], store[where].ttl("copy")) == ({"n": b"x"}, 50)
    assert store["a"].ttl("k") == 50
    assert store.check(deep=True).problems == []


def test_a_record_that_never_expires_stays_so(store):
    store["b"].namespace_ttl("web.cache", 60)
    store["a"]["k"] = 1
    copy_record(store["a"], "k", store["b"], "web.cache.k")
    assert store["b"].ttl("web.cache.k") is None


def test_a_copy_may_leave_the_expiry_behind(store):
    store["a"].put("k", 1, ttl=60)
    copy_record(store["a"], "k", store["b"], "k", keep_expiry=False)
    assert store["b"].ttl("k") is None


def test_a_record_that_is_there_is_not_replaced_unless_asked_for(store):
    store["a"]["k"] = "new"
    store["b"].put("k", "old", ttl=60)
    with pytest.raises(ConflictError):
        copy_record(store["a"], "k", store["b"], "k")
    assert store["b"]["k"] == "old"
    copy_record(store["a"], "k", store["b"], "k", overwrite=True)
    assert (store["b"]["k"], store["b"].ttl("k")) == ("new", None)
    assert store.check(deep=True).problems == []


def test_what_is_absent_cannot_be_copied_and_creates_nothing(store):
    with pytest.raises(KeyNotFoundError):
        copy_record(store["a"], "k", store["b"], "k")
    assert list(store.addresses()) == []
