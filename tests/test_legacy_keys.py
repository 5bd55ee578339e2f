"""The keys that rows of the old program get: different rows, different keys, and every encoding can be undone."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pronto_lmdb import InvalidKeyError, Key
from pronto_lmdb.key import MAX_KEY_BYTES
from pronto_lmdb.legacy_keys import Parts, SimpleKeys, decode_key, meta_context, named

texts = st.one_of(
    st.text("ab._%", max_size=5),
    st.sampled_from(
        ["", "default", "prontodb", "encoded", "org", "org.a", "older-1", "\0", "\udc80", "k" * 500, "\u00e9"]
    ),
)
parts = st.builds(Parts, texts, texts, texts, st.one_of(st.none(), texts))
# Joined, almost all of these look like another one.
ALIKE = [
    Parts(*columns)
    for columns in itertools.product(
        ["a", "a.b", "a.b.c", "b", "default", "default.a", "prontodb"],
        ["a", "b", "b.c", "default", "a__b", "encoded"],
        ["a", "b", "b.a", "a.b.a", "a__b", "a__", "b.c__older-1"],
        [None, "", "b", "older-1", "_b"],
    )
]
contexts = st.frozensets(st.sampled_from(["org", "a", "default", "prontodb"]))


@pytest.mark.parametrize("keeps_older", [False, True])
@pytest.mark.parametrize("split", [frozenset(), frozenset("a"), frozenset(["a", "default"])])
def test_rows_that_look_alike_get_different_keys(split, keeps_older):
    rows = [row for row in ALIKE if meta_context(row.project) not in split]
    contexts = frozenset(filter(None, (meta_context(row.project) for row in rows)))
    names = [named(row, contexts, keeps_older=keeps_older) for row in rows]
    if keeps_older:
        names += [named(row, contexts, older=number) for row in rows for number in (1, 2)]
    assert len({name.key for name in names}) == len(names)
    assert sum(name.spelled_out is None for name in names) > len(names) / 10


@given(st.lists(parts, unique=True, min_size=2, max_size=12), contexts, st.booleans())
def test_no_two_rows_get_one_key(rows, contexts, keeps_older):
    contexts |= {context for row in rows if (context := meta_context(row.project))}
    keys = [named(row, contexts, keeps_older=keeps_older).key for row in rows]
    if keeps_older:
        keys += [named(row, contexts, older=number).key for row in rows for number in (1, 2)]
    assert len(set(keys)) == len(keys)


@given(st.one_of(st.sampled_from(ALIKE), parts), contexts)
def test_what_is_encoded_can_be_decoded(row, contexts):
    name = named(row, contexts)
    assert 0 < len(name.key.encode()) <= MAX_KEY_BYTES
    assert name.key[0] != "\0"
    if name.spelled_out is not None:
        assert decode_key(name.spelled_out) == row
        assert name.is_hashed == (name.key != name.spelled_out)


@given(st.one_of(st.sampled_from(ALIKE), parts), contexts)
def test_a_simple_key_is_the_key_that_the_row_has(row, contexts):
    simple = SimpleKeys(contexts).encoded(*row[:3])
    if simple is not None:
        assert simple.decode() == named(row._replace(context=None), contexts).key


@given(st.lists(st.one_of(st.sampled_from(ALIKE), parts), max_size=20), contexts)
def test_simple_keys_do_not_depend_on_the_rows_before(rows, contexts):
    keys = SimpleKeys(contexts)
    assert [keys.encoded(*row[:3]) for row in rows] == [SimpleKeys(contexts).encoded(*row[:3]) for row in rows]


def test_ordinary_keys_are_simple():
    keys = SimpleKeys(frozenset(["org"]))
    assert keys.encoded("default", "default", "k") == b"k"
    assert keys.encoded("default", "n", "a key") == b"n.a key"
    assert keys.encoded("p", "n", "k") == b"p.n.k"
    assert keys.encoded("org.p", "n", "k") == b"org.p.n.k"
    assert keys.encoded("p", "n", "k.k") is None
    assert keys.encoded("p", "n", b"k") is None


@pytest.mark.parametrize(
    "text", ["k", "prontodb", "prontodb.encoded.a.b", "prontodb.encoded.a.b.c.d.e", "other.encoded.a.b.c"]
)
def test_what_is_no_encoded_key_cannot_be_decoded(text):
    with pytest.raises(InvalidKeyError):
        decode_key(text)


@given(st.one_of(st.sampled_from(ALIKE), parts))
def test_a_key_that_fits_is_found_by_project_namespace_and_name(row):
    name = named(row, frozenset())
    if name.spelled_out is None:
        typed = row.key if row.context is None else f"{row.key}__{row.context}"
        assert name.key == str(Key.within(row.project, row.namespace, typed))
