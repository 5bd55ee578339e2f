"""Keys: what the library stores as it is, and the convention ``project.namespace.name__context``."""

from __future__ import annotations

import pickle
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import keys

from pronto_lmdb import InvalidKeyError, Key
from pronto_lmdb.key import encode_bound, encode_key, encode_keys

# -- any text ------------------------------------------------------------------------------------------------------

STORABLE = {
    "one character": "k",
    "a blank": " ",
    "blanks around": "  k\t",
    "upper case": "Status.ÄÖ",
    "a NUL inside": "a\0b",
    "control characters": "\x01\x7f\n",
    "composed": "caf\u00e9",
    "decomposed": "cafe\u0301",
    "the last character": "\U0010ffff",
    "a right-to-left mark": "\u202ea",
    "a path": "../../etc/passwd",
    "dots only": "...",
    "500 bytes of ASCII": "k" * 500,
    "500 bytes of UTF-8": "é" * 250,
    "500 bytes of four-byte characters": "😀" * 125,
}

REFUSED = {
    "empty": ("", "empty"),
    "NUL in front": ("\0identity", "NUL"),
    "only NUL": ("\0", "NUL"),
    "501 bytes": ("k" * 501, "501 bytes"),
    "251 two-byte characters": ("é" * 251, "502 bytes"),
    "a lone surrogate": ("a\ud800", "surrogate"),
    "a lone surrogate in front": ("\udfff", "surrogate"),
    "None": (None, "NoneType"),
    "bytes": (b"key", "bytes"),
    "an integer": (7, "int"),
    "a tuple": (("a", "b"), "tuple"),
}


@pytest.mark.parametrize("key", STORABLE.values(), ids=STORABLE)
def test_a_key_is_stored_as_given(key: str) -> None:
    assert encode_key(key) == key.encode()


@pytest.mark.parametrize(("key", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_key_that_cannot_be_stored_is_refused(key: str, reason: str) -> None:
    with pytest.raises(InvalidKeyError, match=reason) as caught:
        encode_key(key)
    assert caught.value.hint


@pytest.mark.parametrize(("key", "reason"), REFUSED.values(), ids=REFUSED)
def test_among_many_keys_the_first_that_cannot_be_stored_is_refused(key: str, reason: str) -> None:
    with pytest.raises(InvalidKeyError, match=reason):
        encode_keys(["a", "\x01", key, "", "b"])


@given(st.lists(keys))
def test_many_keys_are_encoded_as_one_by_one(many: list[str]) -> None:
    assert encode_keys(many) == [encode_key(key) for key in many]


def test_a_long_key_is_not_repeated_in_full() -> None:
    with pytest.raises(InvalidKeyError) as caught:
        encode_key("k" * 1_000_000)
    assert len(str(caught.value)) < 300


@given(keys)
def test_every_key_survives_its_encoding(key: str) -> None:
    assert encode_key(key).decode() == key


@pytest.mark.parametrize("bound", ["", "\0", "x" * 100_000])
def test_a_bound_of_a_scan_may_be_what_no_key_is(bound: str) -> None:
    assert encode_bound(bound) == bound.encode()


@pytest.mark.parametrize("bound", [None, b"a", 1, "\ud800"])
def test_a_bound_that_is_no_text_is_refused(bound: str) -> None:
    with pytest.raises(InvalidKeyError):
        encode_bound(bound)


# -- the convention ------------------------------------------------------------------------------------------------

# text -> (project, namespace, name, context, shortest text)
PARSED = {
    "status": ("default", "default", "status", None, "status"),
    "default.status": ("default", "default", "status", None, "status"),
    "default.default.status": ("default", "default", "status", None, "status"),
    "cache.page": ("default", "cache", "page", None, "cache.page"),
    "default.cache.page": ("default", "cache", "page", None, "cache.page"),
    "web.cache.page": ("web", "cache", "page", None, "web.cache.page"),
    "web.default.page": ("web", "default", "page", None, "web.default.page"),
    "web.cache.a.b.c": ("web", "cache", "a.b.c", None, "web.cache.a.b.c"),
    "default.default.a.b": ("default", "default", "a.b", None, "default.default.a.b"),
    "default.cache.a.b": ("default", "cache", "a.b", None, "default.cache.a.b"),
    "page__en": ("default", "default", "page", "en", "page__en"),
    "a__b__c": ("default", "default", "a__b", "c", "a__b__c"),
    "web.cache.page.x__en.gb": ("web", "cache", "page.x", "en.gb", "web.cache.page.x__en.gb"),
    "__init__": ("default", "default", "__init__", None, "__init__"),
    "a__": ("default", "default", "a__", None, "a__"),
    "__a": ("default", "default", "__a", None, "__a"),
    "__": ("default", "default", "__", None, "__"),
    "___": ("default", "default", "___", None, "___"),
    "a___b": ("default", "default", "a_", "b", "a___b"),
    "a__b__": ("default", "default", "a", "b__", "a__b__"),
    "a_b": ("default", "default", "a_b", None, "a_b"),
    "p__q.n__m.k": ("p__q", "n__m", "k", None, "p__q.n__m.k"),
    "Ä b.ç d.é f": ("Ä b", "ç d", "é f", None, "Ä b.ç d.é f"),
    "web.cache..": ("web", "cache", ".", None, "web.cache.."),
}

UNCONVENTIONAL = {
    "": "name",
    ".": "namespace",
    ".a": "namespace",
    "a.": "name",
    "..a": "project",
    "a..b": "namespace",
    "a.b.": "name",
    ".a.b": "project",
}

parts = st.text("ab_é", min_size=1, max_size=5)
names = st.text("ab_.é/", min_size=1, max_size=8)


@pytest.mark.parametrize("text", PARSED)
def test_a_text_is_split_by_the_convention(text: str) -> None:
    key = Key.parse(text)
    assert (key.project, key.namespace, key.name, key.context, str(key)) == PARSED[text]


@pytest.mark.parametrize("text", UNCONVENTIONAL)
def test_an_empty_part_is_named(text: str) -> None:
    with pytest.raises(InvalidKeyError, match=f"The {UNCONVENTIONAL[text]} of a key is empty"):
        Key.parse(text)


@given(st.text("ab_.é", min_size=1, max_size=12))
def test_the_shortest_text_with_the_same_parts_is_written(text: str) -> None:
    try:
        key = Key.parse(text)
    except InvalidKeyError:
        assume(False)
    name = key.name if key.context is None else f"{key.name}__{key.context}"
    candidates = (name, f"{key.namespace}.{name}", f"{key.project}.{key.namespace}.{name}")
    readable = [candidate for candidate in candidates if parsed_parts(candidate) == parsed_parts(text)]
    assert str(key) == readable[0]


def parsed_parts(text: str) -> tuple[str | None, ...] | None:
    try:
        key = Key.parse(text)
    except InvalidKeyError:
        return None
    return key.project, key.namespace, key.name, key.context


@given(parts, parts, names)
def test_parts_read_back_from_their_text(project: str, namespace: str, name: str) -> None:
    key = Key.within(project, namespace, name)
    assert Key.parse(str(key)) == key
    assert (key.project, key.namespace) == (project, namespace)


@given(parts, parts, names, st.sampled_from("/:"))
def test_parts_read_back_under_another_delimiter(project: str, namespace: str, name: str, delimiter: str) -> None:
    key = Key.within(project, namespace, name)
    assert Key.parse(key.text(delimiter), delimiter) == key


@pytest.mark.parametrize(
    ("text", "stored"),
    [("a", "a"), ("n/a", "n.a"), ("p/n/a", "p.n.a"), ("p/n/a/b", "p.n.a/b"), ("x.y", "default.default.x.y")],
)
def test_another_delimiter_replaces_the_dot(text: str, stored: str) -> None:
    assert str(Key.parse(text, "/")) == stored


@pytest.mark.parametrize(("text", "part"), [("a.b/c", "namespace"), ("a.b/c/d", "project"), ("a/b.c/d", "namespace")])
def test_a_dot_in_project_or_namespace_is_refused_under_another_delimiter(text: str, part: str) -> None:
    with pytest.raises(InvalidKeyError, match=f"The {part} .* dot"):
        Key.parse(text, "/")


def test_an_empty_delimiter_is_refused() -> None:
    with pytest.raises(InvalidKeyError, match="delimiter"):
        Key.parse("a.b", "")


@pytest.mark.parametrize(("project", "namespace"), list(product([None, "p"], [None, "n"])))
def test_within_a_namespace_the_whole_text_is_the_name(project: str | None, namespace: str | None) -> None:
    key = Key.within(project, namespace, "a.b__c")
    assert (key.project, key.namespace) == (project or "default", namespace or "default")
    assert (key.name, key.context) == ("a.b", "c")


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": ""},
        {"project": "", "name": "a"},
        {"namespace": "", "name": "a"},
        {"project": "a.b", "name": "c"},
        {"namespace": "a.b", "name": "c"},
        {"name": "a__b"},
        {"name": "a", "context": ""},
        {"name": "a", "context": "b__c"},
        {"name": 7},
        {"name": "k" * 501},
        {"project": "\0", "name": "a"},
        {"name": "\ud800"},
    ],
    ids=repr,
)
def test_parts_that_no_text_has_are_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(InvalidKeyError):
        Key(**arguments)


def test_a_key_that_is_not_text_is_refused() -> None:
    with pytest.raises(InvalidKeyError, match="int"):
        Key.parse(7)  # type: ignore[arg-type]


def test_spellings_of_one_key_are_equal() -> None:
    one, other = Key.parse("status"), Key.parse("default.default.status")
    assert one == other
    assert hash(one) == hash(other)
    assert one != Key.parse("status__now")
    assert one != "status"


def test_a_key_cannot_be_changed() -> None:
    key = Key.parse("a.b")
    with pytest.raises(AttributeError, match="immutable"):
        key.name = "c"
    with pytest.raises(AttributeError, match="immutable"):
        del key.name


def test_a_key_survives_pickling() -> None:
    key = Key.parse("p.n.a.b__c")
    assert pickle.loads(pickle.dumps(key)) == key
    assert repr(key) == "Key('p', 'n', 'a.b', 'c')"
