"""Scans: exactly the live keys of a range, in byte order, whatever happens between two pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import bounds, keys

import pronto_lmdb
from pronto_lmdb import InvalidKeyError, StoreClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Clock

    from pronto_lmdb import Keystore, Store

LAST = "\U0010ffff"
ODD = ["\x01", " ", "\x7f", "\x80", "\xff", "\u07ff", "\u0800", "\ud7ff", "\uffff", "\U00010000", LAST]
BACKGROUND = sorted(
    [
        *(f"k{number:04}" for number in range(1200)),
        *(first + second for first in ODD for second in ["", *ODD, "a"]),
        *(letter * size for letter in "yz" for size in (1, 2, 499, 500)),
        "é" * 250,
        "y" * 499 + "!",
    ],
    key=str.encode,
)


def size_of(key: str) -> int:
    """Return how long the value of a key is: mostly short, some longer than many pages together."""
    return 90_000 if key.endswith("77") else len(key)


@pytest.fixture(scope="module")
def background(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a store with many keys; each test opens it anew, so that none leaves it open."""
    root = tmp_path_factory.mktemp("background")
    with pronto_lmdb.open(root) as store:
        store["a"].update({key: "x" * size_of(key) for key in BACKGROUND})
    return root


@pytest.fixture
def keystore(background: Path) -> Iterator[Keystore]:
    with pronto_lmdb.open(background, create=False) as store:
        yield store["a"]


def expected(prefix: str, start: str | None, stop: str | None, reverse: bool, limit: int | None) -> list[str]:
    """Return what a scan over the background must find, computed the plain way."""
    found = [
        key
        for key in BACKGROUND
        if key.startswith(prefix)
        and (start is None or key.encode() >= start.encode())
        and (stop is None or key.encode() < stop.encode())
    ]
    return (found[::-1] if reverse else found)[:limit]


near = st.one_of(st.sampled_from(BACKGROUND), st.sampled_from(BACKGROUND).map(lambda key: key + "a"), bounds, keys)


@given(
    prefix=st.one_of(st.just(""), st.sampled_from(["k", "k0", "k11", "y", *ODD]), bounds),
    start=st.none() | near,
    stop=st.none() | near,
    reverse=st.booleans(),
    limit=st.none() | st.integers(0, 700),
)
def test_any_range_gives_what_a_filter_gives(
    keystore: Keystore, prefix: str, start: str | None, stop: str | None, reverse: bool, limit: int | None
) -> None:
    wanted = expected(prefix, start, stop, reverse, limit)
    named: dict[str, Any] = {"start": start, "stop": stop, "reverse": reverse, "limit": limit}
    assert list(keystore.scan_keys(prefix, **named)) == wanted
    assert [(key, len(value)) for key, value in keystore.scan(prefix, **named)] == [
        (key, size_of(key)) for key in wanted
    ]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limit", [0, 1, 3, 4, 5, 511, 512, 513, 1024, 1500, 10_000])
def test_limits_around_the_sizes_of_pages(keystore: Keystore, limit: int, reverse: bool) -> None:
    wanted = expected("", None, None, reverse, limit)
    assert list(keystore.scan_keys(limit=limit, reverse=reverse)) == wanted
    assert [key for key, _ in keystore.scan(limit=limit, reverse=reverse)] == wanted


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("prefix", ODD, ids=ascii)
def test_a_prefix_may_end_in_any_character(keystore: Keystore, prefix: str, reverse: bool) -> None:
    wanted = expected(prefix, None, None, reverse, None)
    assert len(wanted) == len(ODD) + 2
    assert list(keystore.scan_keys(prefix, reverse=reverse)) == wanted


@pytest.mark.parametrize("size", [500, 501, 510, 511, 512, 513, 5_000])
@pytest.mark.parametrize("reverse", [False, True])
def test_bounds_may_be_longer_than_any_key(keystore: Keystore, size: int, reverse: bool) -> None:
    bound = "y" * size
    assert list(keystore.scan_keys(start=bound, stop="z", reverse=reverse)) == (["y" * 500] if size == 500 else [])
    below = expected("y", None, "y" * size, reverse, None)
    assert ("y" * 500 in below) == (size > 500)
    assert list(keystore.scan_keys("y", stop=bound, reverse=reverse)) == below
    assert list(keystore.scan_keys(bound, reverse=reverse)) == (["y" * 500] if size == 500 else [])


@pytest.mark.parametrize(
    ("prefix", "start", "stop"),
    [
        ("k", "k0005", "k0005"),
        ("k", "k0009", "k0005"),
        ("k", "l", None),
        ("k", None, "k"),
        ("k", None, ""),
        ("k", None, "a"),
        ("\0", None, None),
        ("", None, "\x01"),
        ("", LAST * 120, None),
        ("absent", None, None),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_an_empty_range_is_empty(
    keystore: Keystore, prefix: str, start: str | None, stop: str | None, reverse: bool
) -> None:
    assert list(keystore.scan(prefix, start=start, stop=stop, reverse=reverse)) == []
    assert list(keystore.scan_keys(prefix, start=start, stop=stop, reverse=reverse)) == []


def test_bounds_outside_the_prefix_do_not_widen_it(keystore: Keystore) -> None:
    inside = expected("k00", None, None, False, None)
    assert list(keystore.scan_keys("k00", start="a", stop="z")) == inside
    assert list(keystore.scan_keys("k00", start="", stop=LAST)) == inside


def test_start_is_inclusive_and_stop_exclusive(keystore: Keystore) -> None:
    assert list(keystore.scan_keys(start="k0005", stop="k0007")) == ["k0005", "k0006"]
    assert list(keystore.scan_keys(start="k0005", stop="k0007", reverse=True)) == ["k0006", "k0005"]


def test_limit_counts_after_reversing(keystore: Keystore) -> None:
    assert list(keystore.scan_keys("k", reverse=True, limit=2)) == ["k1199", "k1198"]


def test_a_prefix_is_literal_text(store: Store) -> None:
    keystore = store["a"]
    keystore.update(dict.fromkeys(["a*b", "a%b", "a.b", "ab", "A.b"]))
    assert list(keystore.scan_keys("a*")) == ["a*b"]
    assert list(keystore.scan_keys("a.")) == ["a.b"]


@pytest.mark.parametrize("named", [{"prefix": 1}, {"start": b"a"}, {"stop": 2.0}, {"prefix": "\ud800"}], ids=repr)
def test_a_bad_bound_is_refused_by_the_call_itself(store: Store, named: dict[str, Any]) -> None:
    with pytest.raises(InvalidKeyError):
        store["a"].scan(**named)
    with pytest.raises(InvalidKeyError):
        store["a"].scan_keys(**named)


# -- internal entries ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "named", [{}, {"prefix": "\0"}, {"start": "\0"}, {"start": "\0x"}, {"reverse": True}], ids=repr
)
def test_internal_entries_are_never_found(store: Store, named: dict[str, Any]) -> None:
    keystore = store["a"]
    keystore.namespace_ttl("p.n", 60)
    keystore.put("only", 1, ttl=60)
    wanted = [] if named.get("prefix") else ["only"]
    assert list(keystore.scan_keys(**named)) == wanted
    assert [key for key, _ in keystore.scan(**named)] == wanted


# -- what has expired ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "expires",
    [
        pytest.param(lambda number: number % 2, id="every other"),
        pytest.param(lambda number: 100 <= number < 1300, id="whole pages"),
        pytest.param(lambda number: number < 1300, id="all but the last"),
        pytest.param(lambda number: number > 3, id="all but the first"),
        pytest.param(lambda number: True, id="all"),
    ],
)
def test_expired_records_inside_pages_are_skipped_and_not_counted(
    store: Store, clock: Clock, expires: Callable[[int], bool], reverse: bool
) -> None:
    keystore = store["a"]
    with keystore.transaction() as transaction:
        for number in range(1400):
            transaction.put(f"k{number:04}", number, ttl=1 if expires(number) else None)
    clock.advance(1)
    live = [f"k{number:04}" for number in range(1400) if not expires(number)]
    wanted = live[::-1] if reverse else live
    assert list(keystore.scan_keys(reverse=reverse)) == wanted
    assert [key for key, _ in keystore.scan(reverse=reverse)] == wanted
    assert list(keystore.scan_keys(reverse=reverse, limit=5)) == wanted[:5]
    assert [key for key, _ in keystore.scan(reverse=reverse, limit=5)] == wanted[:5]


def test_what_expires_between_two_pages_is_not_returned(store: Store, clock: Clock) -> None:
    keystore = store["a"]
    with keystore.transaction() as transaction:
        for number in range(2000):
            transaction.put(f"k{number:04}", number, ttl=60)
    scan = keystore.scan_keys()
    first = next(scan)
    clock.advance(60)
    assert first == "k0000"
    assert len(list(scan)) < 1999


# -- writing meanwhile ---------------------------------------------------------------------------------------------


def numbered(store: Store, count: int = 2000) -> Keystore:
    store["a"].update({f"k{number:04}": number for number in range(count)})
    return store["a"]


def test_one_may_write_while_scanning(store: Store) -> None:
    keystore = numbered(store)
    for key, number in keystore.scan():
        keystore[key] = -number
    assert list(keystore.values()) == [-number for number in range(2000)]


def test_one_may_delete_while_scanning(store: Store) -> None:
    keystore = numbered(store)
    seen = [key for key in keystore if keystore.pop(key) is not None]
    assert len(seen) == 2000
    assert len(keystore) == 0


@pytest.mark.parametrize("reverse", [False, True])
def test_no_key_comes_twice_and_none_that_stays_is_missed(store: Store, reverse: bool) -> None:
    keystore = numbered(store)
    seen = []
    for key in keystore.scan_keys(reverse=reverse):
        seen.append(key)
        keystore[f"{key}+"] = 0
    stayed = [key for key in seen if not key.endswith("+")]
    assert len(stayed) == 2000
    assert seen == sorted(set(seen), reverse=reverse)


def test_a_scan_ends_when_the_address_is_deleted(store: Store) -> None:
    scan = numbered(store).scan()
    next(scan)
    store.delete("a")
    assert len(list(scan)) < 1999


def test_a_scan_goes_on_in_the_successor_of_a_deleted_address(store: Store) -> None:
    keystore = numbered(store)
    scan = keystore.scan_keys()
    next(scan)
    store.delete("a")
    keystore["z"] = 1
    assert list(scan)[-1] == "z"


def test_an_abandoned_scan_pins_nothing(store: Store, in_another_process: Callable[..., Any]) -> None:
    keystore = numbered(store)
    scan = keystore.scan()
    next(scan)
    path = store.info("a").path
    assert active_readers(in_another_process, path) == 0
    with keystore.view() as view:
        next(view.scan())
        assert active_readers(in_another_process, path) == 1


def active_readers(in_another_process: Callable[..., Any], path: Path) -> int:
    """Return how many transactions are being read from in an environment."""
    rows = in_another_process(
        """
        import json, lmdb, sys
        with lmdb.open(sys.argv[1], readonly=True) as environment:
            print(json.dumps(environment.readers().split("\\n")[1:]))
        """,
        path,
    )
    return sum(row.split()[-1].isdigit() for row in rows if row.strip())


def test_a_scan_ends_with_its_store(store: Store) -> None:
    scan = numbered(store).scan()
    next(scan)
    store.close()
    with pytest.raises(StoreClosedError):
        list(scan)
