"""The address: which texts are one, what they are called on disk, and what is said of the others."""

from __future__ import annotations

import pickle
import unicodedata

import pytest
from hypothesis import given
from strategies import address_parts

from pronto_lmdb import Address, InvalidAddressError

NFC, NFD = "caf\u00e9", "cafe\u0301"

# text -> (user, cursor, str, directory)
GOOD = {
    "alice": ("alice", "default", "alice.default", "alice.default"),
    "alice.research": ("alice", "research", "alice.research", "alice.research"),
    "a_b-c@d+e.0": ("a_b-c@d+e", "0", "a_b-c@d+e.0", "a_b-c@d+e.0"),
    "A.b": ("A", "b", "A.b", "=41.b"),
    "a.b": ("a", "b", "a.b", "a.b"),
    "bob@example%2Ecom.main": ("bob@example.com", "main", "bob@example%2Ecom.main", "bob@example=252=45com.main"),
    "bob@example%2ecom.main": ("bob@example.com", "main", "bob@example%2Ecom.main", "bob@example=252=45com.main"),
    "a%20b.c": ("a b", "c", "a%20b.c", "a=2520b.c"),
    "a b.c": ("a b", "c", "a%20b.c", "a=2520b.c"),
    "a/b": ("a/b", "default", "a%2Fb.default", "a=252=46b.default"),
    "a%2Fb": ("a/b", "default", "a%2Fb.default", "a=252=46b.default"),
    "a\\b": ("a\\b", "default", "a%5Cb.default", "a=255=43b.default"),
    "%2E%2E.x": ("..", "x", "%2E%2E.x", "=252=45=252=45.x"),
    "%2E": (".", "default", "%2E.default", "=252=45.default"),
    "100%25": ("100%", "default", "100%25.default", "100=2525.default"),
    "CON": ("CON", "default", "CON.default", "=43=4f=4e.default"),
    "con": ("con", "default", "con.default", "=63on.default"),
    "lpt1.x": ("lpt1", "x", "lpt1.x", "=6cpt1.x"),
    "~root": ("~root", "default", "~root.default", "=7eroot.default"),
    "a=b": ("a=b", "default", "a=b.default", "a=3db.default"),
    NFC: (NFC, "default", f"{NFC}.default", "caf=c3=a9.default"),
    NFD: (NFC, "default", f"{NFC}.default", "caf=c3=a9.default"),
    "日本.語": ("日本", "語", "日本.語", "=e6=97=a5=e6=9c=ac.=e8=aa=9e"),
    "-rf.--": ("-rf", "--", "-rf.--", "-rf.--"),
}

# (text, the part that is wrong, the reason)
BAD = [
    ("", "user", "empty"),
    (".", "user", "empty"),
    (".b", "user", "empty"),
    ("a.", "cursor", "empty"),
    ("..", "3 parts", ""),
    ("a.b.c", "3 parts", ""),
    ("../../etc", "5 parts", ""),
    ("x" * 65, "user", "65 characters"),
    ("a." + "x" * 65, "cursor", "65 characters"),
    ("a\0b", "user", "unprintable"),
    ("a.\0", "cursor", "unprintable"),
    ("a%00b", "user", "unprintable"),
    ("a\nb", "user", "unprintable"),
    ("a\u202eb", "user", "unprintable"),
    ("a.\u200f", "cursor", "unprintable"),
    ("\ufeffa", "user", "unprintable"),
    ("a\u00a0b", "user", "unprintable"),
    ("\ue000", "user", "unprintable"),
    ("\ud800", "user", "unprintable"),
    ("a%ff", "user", "UTF-8"),
    ("a.b%C3", "cursor", "UTF-8"),
    (" a", "user", "blank"),
    ("a%20", "user", "blank"),
    ("a. b", "cursor", "blank"),
    ("a%", "user", "escape"),
    ("a%2", "user", "escape"),
    ("a.%zz", "cursor", "escape"),
    ("a%+1", "user", "escape"),
    ("a%2\u0660", "user", "escape"),
]

# Every pair of these differs, some of them only by case, by compatibility form or by what a path would make of it.
USERS = ["a", "A", "\u00e1", "\u00c1", "\u00aa", "\uff41", "a.", "a/", "a\\", "a%", "a=", "a b", "..", "CON", "con"]
CURSORS = ["b", "B", "..", "b.c", "nul", "\u00df", "ss", "\u017fs", "\u0130", "i", "I", "\u0131"]
LONG = [f"{letter * 64}.{tail * 64}" for letter in "aA=\u00e9\u00c9\U0001f600" for tail in "bB=\u00e7\u00c7"]
DISTINCT = [Address(user, cursor) for user in USERS for cursor in CURSORS] + [Address.parse(text) for text in LONG]


@pytest.mark.parametrize("text", GOOD)
def test_a_good_text_is_read(text: str) -> None:
    address = Address.parse(text)
    assert (address.user, address.cursor, str(address), address.directory) == GOOD[text]


@pytest.mark.parametrize(("text", "part", "reason"), BAD)
def test_a_bad_text_is_refused_naming_the_part(text: str, part: str, reason: str) -> None:
    with pytest.raises(InvalidAddressError) as caught:
        Address.parse(text)
    assert part in caught.value.problem
    assert reason in caught.value.problem
    assert caught.value.hint


@pytest.mark.parametrize("thing", [None, 7, b"alice", ["alice"], ("a", "b")])
def test_what_is_not_text_is_no_address(thing: object) -> None:
    with pytest.raises(InvalidAddressError, match=type(thing).__name__):
        Address.of(thing)  # type: ignore[arg-type]


@pytest.mark.parametrize("part", ["user", "cursor"])
def test_a_part_that_is_not_text_is_named(part: str) -> None:
    with pytest.raises(InvalidAddressError, match=f"The {part} part .* int"):
        Address(**{part: 7})  # type: ignore[arg-type]


def test_omitted_parts_are_default() -> None:
    assert str(Address()) == "default.default"
    assert str(Address("alice")) == "alice.default"
    assert str(Address(cursor="notes")) == "default.notes"


def test_a_part_may_have_64_characters_in_nfc() -> None:
    assert Address("x" * 64, "e\u0301" * 64).cursor == "é" * 64


def test_composed_and_decomposed_text_is_one_address() -> None:
    assert Address(NFC) == Address(NFD)
    assert hash(Address(NFC)) == hash(Address(NFD))


@given(address_parts, address_parts)
def test_text_form_reads_back(user: str, cursor: str) -> None:
    address = Address(user, cursor)
    assert Address.parse(str(address)) == address
    assert (address.user, address.cursor) == tuple(unicodedata.normalize("NFC", part) for part in (user, cursor))


@given(address_parts, address_parts)
def test_a_directory_is_one_harmless_name(user: str, cursor: str) -> None:
    name = Address(user, cursor).directory
    assert name.isascii()
    assert name.isprintable()
    assert 0 < len(name) <= 100
    assert not set(name) & set('/\\:*?"<>| ')
    assert not name.startswith(".")
    assert not name.endswith(".")
    assert name == name.lower()
    assert name.split(".")[0] not in {"con", "prn", "aux", "nul", "com1", "lpt1"}


@given(address_parts, address_parts, address_parts, address_parts)
def test_two_addresses_never_share_a_directory(user: str, cursor: str, other_user: str, other_cursor: str) -> None:
    one, other = Address(user, cursor), Address(other_user, other_cursor)
    assert (one == other) == (one.directory.casefold() == other.directory.casefold())


def test_names_that_differ_by_case_or_form_have_directories_of_their_own() -> None:
    names = {unicodedata.normalize("NFD", address.directory.casefold()) for address in DISTINCT}
    assert len(names) == len(set(DISTINCT)) == len(DISTINCT)


def test_a_long_directory_is_shortened_with_a_hash() -> None:
    name = Address("é" * 64, "x").directory
    assert len(name) == 100
    assert name[66:68] == "=="
    assert set(name[68:]) <= set("0123456789abcdef")


def test_an_address_is_a_value() -> None:
    address = Address("alice", "research")
    assert address == Address.parse("alice.research") != Address("alice")
    assert address != "alice.research"
    assert {address: 1}[Address.parse("alice.research")] == 1
    assert sorted([Address("b"), Address("a", "z"), Address("a", "b")]) == [
        Address("a", "b"),
        Address("a", "z"),
        Address("b"),
    ]
    assert repr(address) == "Address('alice', 'research')"


def test_an_address_cannot_be_changed() -> None:
    address = Address("alice")
    with pytest.raises(AttributeError, match="immutable"):
        address.user = "bob"
    with pytest.raises(AttributeError, match="immutable"):
        del address.user


def test_an_address_survives_pickling() -> None:
    address = Address("bob@example.com", "日 本")
    assert pickle.loads(pickle.dumps(address)) == address


def test_an_address_passes_through_unchanged() -> None:
    address = Address("alice")
    assert Address.of(address) is address
    assert Address.of("alice") == address


class Text(str):
    """A text of a kind of its own."""

    __slots__ = ()


@pytest.mark.parametrize("text", ["a.b", "Alice-1.main_2", "u@x+y.default", f"{'a' * 64}.{'b' * 64}", Text("a.b")])
def test_an_ordinary_text_is_parsed_to_what_its_parts_make(text: str) -> None:
    parsed, made = Address.parse(text), Address(*text.split("."))
    assert (parsed.user, parsed.cursor, str(parsed), parsed.directory) == (
        made.user, made.cursor, str(made), made.directory,
    )  # fmt: skip
    assert {type(parsed.user), type(parsed.cursor), type(str(parsed))} == {str}


@pytest.mark.parametrize("text", [f"{'a' * 65}.b", f"a.{'b' * 65}", ".b", "a.", ".", "a.b.c", "a. b"])
def test_a_text_that_is_nearly_ordinary_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddressError):
        Address.parse(text)
