"""`stream`: tokens from standard input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pronto_cli.tokens import TokenError, tokens


def parsed(text):
    return [(token.prefix, token.name, token.value) for token in tokens(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (" ;; \n;", []),
        ("a=1", [(None, "a", "1")]),
        ("a=1;\n", [(None, "a", "1")]),
        (" a = 1 ; b=2 ", [(None, "a", "1"), (None, "b", "2")]),
        ("ns:a=1;p.n:b__ctx=2", [("ns", "a", "1"), ("p.n", "b__ctx", "2")]),
        ("a=x=y", [(None, "a", "x=y")]),
        ("a=", [(None, "a", "")]),
        ("a='';b=\"\"", [(None, "a", ""), (None, "b", "")]),
        ("a='x; y = \"z\"' ;b=1", [(None, "a", 'x; y = "z"'), (None, "b", "1")]),
        (r'a="x;\"\\ \n"', [(None, "a", 'x;"\\ \\n')]),
        ("a=' x ';b=it's", [(None, "a", " x "), (None, "b", "it's")]),
        ("a='line\none'", [(None, "a", "line\none")]),
        ("meta:sec:user=x", [("meta", "sec:user", "x")]),
    ],
)
def test_tokens(text, found):
    assert parsed(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=1; b; c=2", 'Token 2: There is no "="'),
        ("a=1;=2", 'Token 2: There is nothing before the "="'),
        ("a=1;b='2", "Token 2: A quote is not closed"),
        ('b="2\\"', "Token 1: A quote is not closed"),
        ("b='2' x;", "Token 1: Something stands behind"),
    ],
)
def test_a_bad_token_is_named_by_its_number(text, message):
    with pytest.raises(TokenError, match=message):
        parsed(text)


@given(st.text("ab=;:'\"\\ \n", max_size=20))
def test_any_text_is_read_or_refused(text):
    try:
        found = parsed(text)
    except TokenError:
        return
    assert all("=" not in name and ";" not in name for _, name, _ in found)


@given(st.lists(st.tuples(st.text("abc", min_size=1), st.text().filter(lambda text: "\\" not in text)), min_size=1))
def test_quoted_values_come_back(pairs):
    text = ";".join('{}="{}"'.format(key, value.replace('"', '\\"')) for key, value in pairs)
    assert [(name, value) for _, name, value in parsed(text)] == pairs


# -- the command -----------------------------------------------------------------------------------------------------


def stream(pronto, text, *words):
    done = pronto("stream", "-q", *words, stdin=text)
    assert (done.code, done.out, done.err) == (0, b"", "")


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("web.a=1; web.cache.b=2", {"web.a": "1", "web.cache.b": "2"}),
        ("ns=web; a=1; b.c=2", {"web.a": "1", "default.web.b.c": "2"}),
        ("ns=web.cache; a=1; ns=other; a=2", {"web.cache.a": "1", "other.a": "2"}),
        ("ns=web; x:a=1; p.n:a=2; a=3", {"x.a": "1", "p.n.a": "2", "web.a": "3"}),
        ("meta:ns=web; a=1; meta:path=web.cache; a=2", {"web.a": "1", "web.cache.a": "2"}),
        ("meta:delim=/; web/cache/a=1; ns=x/y; b=2; x/z:c=3", {"web.cache.a": "1", "x.y.b": "2", "x.z.c": "3"}),
        ("a__ctx=1", {"a__ctx": "1"}),
        ("ns=default.default; a=1; a=2", {"a": "2"}),
        ("ns=testproject; key1=value1; sec:auth=token123;", {"testproject.key1": "value1"}),
    ],
)
def test_what_is_stored(store, pronto, text, stored):
    stream(pronto, text)
    assert dict(store["default"].items()) == stored
    assert store["default"].revision == 1


def test_an_unknown_directive_is_passed_over_and_told(store, pronto):
    done = pronto("stream", stdin="ns=testproject; key1=value1; meta:context=production; sec:auth=token123;")
    assert (done.code, done.out) == (0, b"")
    told, note = done.err.splitlines()
    assert told == "Token 3: there is no directive meta:context; it is passed over."
    assert note == "1 of 4 tokens stored in default.default."
    assert dict(store["default"].items()) == {"testproject.key1": "value1"}


def test_a_ttl_holds_for_what_follows(clock, store, pronto):
    stream(pronto, "a=1; meta:ttl=60; b=2; meta:ttl=0.5; c=3; meta:ttl=none; d=4")
    assert [store["default"].ttl(key) for key in "abcd"] == [None, 60, 0.5, None]


def test_the_address_comes_from_the_line_or_from_the_stream(store, pronto):
    stream(pronto, "a=1", "-a", "alice.x")
    stream(pronto, "meta:address=bob.y; a=2", "-a", "alice.x")
    assert (store["alice.x"]["a"], store["bob.y"]["a"]) == ("1", "2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ok=1; broken", 'Token 2: There is no "="'),
        ("ok=1; a..b=1", "Token 2: The namespace of a key is empty"),
        ("ok=1; ns=; b=1", "Token 2: '' is no namespace"),
        ("ok=1; ns=a.b.c", "Token 2: 'a.b.c' is no namespace"),
        ("ok=1; a.b.c:d=1", "Token 2: 'a.b.c' is no namespace"),
        ("ok=1; :d=1", "Token 2: '' is no namespace"),
        ("ok=1; x:=1", "Token 2: The name of a key is empty"),
        ("ok=1; meta:ttl=soon", "Token 2: 'soon' is no number"),
        ("ok=1; meta:ttl=-1", "Token 2: -1.0 is no time to live"),
        ("ok=1; meta:ttl=nan", "Token 2: nan is no time to live"),
        ("ok=1; meta:delim=", "Token 2: The delimiter is empty"),
        ("ok=1; meta:address=alice", "Token 2: Something is to be stored elsewhere"),
        ("meta:address=a.b.c; ok=1", "Token 1: "),
        ("ok=1; " + "k" * 600 + "=1", "Token 2: "),
        ("", "There are no tokens"),
        (" ; \n", "There are no tokens"),
        (b"ok=\xff", "not UTF-8"),
    ],
)
def test_a_stream_with_an_error_stores_nothing(root, pronto, text, message):
    done = pronto("stream", stdin=text)
    assert (done.code, done.out) == (1, b"")
    assert message in done.err
    assert not root.exists()


@pytest.mark.parametrize(
    "text",
    [
        "sec:pass=hunter2; a=1",
        "sec:hunter2=x; a=1",
        "meta:sec:pass=hunter2; a=1",
        "a=1; sec:pass='hunter2",
        "a=1; sec:hunter2",
        "sec:pass=hunter2; a..b=1",
        "sec : hunter2 = hunter2; a=1",
    ],
)
@pytest.mark.parametrize("options", [[], ["--json"], ["-v"]])
def test_secrets_are_never_shown_nor_stored(store, pronto, text, options):
    done = pronto("stream", *options, stdin=text)
    assert b"hunter2" not in done.out
    assert "hunter2" not in done.err
    for info in store.addresses():
        assert "hunter2" not in str(dict(store[info.address].items()))


def test_only_secrets_store_nothing(root, pronto):
    assert pronto("stream", "-q", stdin="sec:a=b")[:2] == (0, b"")
    assert not root.exists()


def test_tokens_come_from_a_pipe(pronto):
    assert pronto("stream", typed="a=1").code == 64


@given(st.text("ab=;:.'\"\\ \0é/", max_size=25) | st.binary(max_size=25))
def test_any_stream(pronto, content):
    done = pronto("stream", stdin=content)
    assert done.code in (0, 1)
    assert done.out == b""
    assert "Unexpected" not in done.err


def test_real_pipes_and_exit_codes(program):
    assert program("stream", stdin=b"ns=web; a=1;\n") == (0, b"", "1 of 2 tokens stored in default.default.\n")
    assert program("get", "web.a").out == b"1\n"
    assert program("stream", stdin=b"a").code == 1
    assert program("stream", "x").code == 64
