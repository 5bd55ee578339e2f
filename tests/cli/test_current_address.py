"""Which address a line is about."""

from __future__ import annotations

import pytest


@pytest.fixture
def settled(store, monkeypatch):
    """Say what the environment and the store settle, as `NAME=value` words."""

    def settle(*words):
        for word in words:
            name, _, value = word.partition("=")
            if name == "use":
                store.config["address"] = value
            else:
                monkeypatch.setenv(name, value)

    return settle


@pytest.mark.parametrize(
    ("settled_by", "options", "address"),
    [
        ([], [], "default.default"),
        (["use=used.here"], [], "used.here"),
        (["use=used.here", "PRONTO_USER=bob"], [], "bob.default"),
        (["use=used.here", "PRONTO_CURSOR=main"], [], "default.main"),
        (["use=used.here", "PRONTO_USER=bob", "PRONTO_CURSOR=main"], [], "bob.main"),
        (["use=used.here", "PRONTO_USER=bob", "PRONTO_ADDRESS=env.whole"], [], "env.whole"),
        (["PRONTO_ADDRESS=env"], [], "env.default"),
        (["use=used.here", "PRONTO_ADDRESS=", "PRONTO_USER="], [], "used.here"),
        (["use=used.here", "PRONTO_ADDRESS=env.whole"], ["-a", "flag.whole"], "flag.whole"),
        ([], ["--address=alice"], "alice.default"),
        (["use=used.here"], ["-u", "carol"], "carol.here"),
        (["use=used.here"], ["-c", "now"], "used.now"),
        (["PRONTO_ADDRESS=env.whole"], ["--user", "carol"], "carol.whole"),
        (["PRONTO_USER=bob"], ["--cursor", "now"], "bob.now"),
        (["use=used.here"], ["-u", "carol", "-c", "now"], "carol.now"),
        ([], ["-u", "bob@example.com"], "bob@example%2Ecom.default"),
    ],
)
@pytest.mark.parametrize("position", ["before", "after"])
def test_flag_before_environment_before_choice_before_default(
    store, settled, ok, settled_by, options, address, position
):
    settled(*settled_by)
    ok(*(*options, "set", "k", "v") if position == "before" else ("set", "k", "v", *options))
    assert [str(info.address) for info in store.addresses()] == [address]
    assert ok("use", *options).text == f"{address}\n"


@pytest.mark.parametrize("options", [["-a", "x.y", "-u", "z"], ["-a", "x.y", "-c", "z"]])
@pytest.mark.parametrize("command", [["get", "k"], ["set", "k"], ["use"], ["addresses"], ["stats"]])
def test_a_whole_address_and_a_part_of_one_are_wrong_usage(pronto, command, options):
    assert pronto(*options[:2], *command, *options[2:]).code == 64


def test_a_later_option_counts(store, ok):
    ok("-a", "first", "set", "k", "v", "-a", "last")
    assert store.exists("last")
    assert not store.exists("first")


def test_use_stores_the_address_for_later_lines(store, pronto, ok):
    assert pronto("use", "alice.research").out == b""
    ok("set", "k", "v")
    assert store["alice.research"]["k"] == "v"
    assert ok("use", "--json").json == "alice.research"


def test_use_does_not_create_the_address_and_says_so(store, pronto):
    assert "no alice.research yet" in pronto("use", "alice.research").err
    assert not store.exists("alice.research")
    store.create("alice.research")
    assert pronto("use", "alice.research").err == ""


def test_use_says_what_comes_before_it(monkeypatch, store, pronto):
    store.create("alice")
    monkeypatch.setenv("PRONTO_USER", "bob")
    assert "PRONTO_USER" in pronto("use", "alice").err


def test_using_an_address_changes_no_default(store, ok):
    ok("set", "k", "v", "-a", "alice.research")
    assert ok("use").text == "default.default\n"


def test_use_belongs_to_its_root(tmp_path, pronto, ok):
    pronto("use", "alice.research")
    assert ok("use", "--root", tmp_path / "other").text == "default.default\n"


@pytest.mark.parametrize(
    "options", [["-a", ""], ["-a", "a.b.c"], ["-u", ""], ["-c", " x"], ["-a", "x%2"], ["-u", "\u202e"]]
)
@pytest.mark.parametrize("command", [["get", "k"], ["set", "k", "1"], ["keys"], ["sweep"]])
def test_a_bad_address_is_refused(root, pronto, command, options):
    done = pronto(*command, *options, "--json")
    assert (done.code, done.out, done.error["code"]) == (1, b"", "invalid_address")
    assert not root.exists()


@pytest.mark.parametrize("variable", ["PRONTO_ADDRESS", "PRONTO_USER", "PRONTO_CURSOR"])
def test_a_bad_address_in_the_environment_is_refused(monkeypatch, pronto, variable):
    monkeypatch.setenv(variable, " ")
    assert pronto("get", "k", "--json").error["code"] == "invalid_address"


def test_root_is_an_option_of_every_line(tmp_path, ok):
    ok("--root", tmp_path / "a", "set", "k", "v")
    ok("set", "k", "w", "--root", tmp_path / "b")
    assert (ok("get", "k", "--root", tmp_path / "a").text, ok("--root", tmp_path / "b", "get", "k").text) == (
        "v\n",
        "w\n",
    )


@pytest.mark.parametrize("words", [["--root", ""], ["--ns-delim", ""]])
def test_an_empty_option_is_wrong_usage(pronto, words):
    assert pronto("get", "k", *words).code == 64


@pytest.mark.parametrize(
    "words",
    [
        ["get", "k"], ["del", "k"], ["exists", "k"], ["keys"], ["scan"], ["ttl", "k"], ["expire", "k", "5"],
        ["persist", "k"], ["sweep"], ["addresses"], ["address", "info"], ["address", "delete", "a"],
        ["address", "undelete", "a"], ["address", "rename", "a", "b"], ["address", "purge", "--yes"],
        ["address", "purge", "--dry-run"], ["use"], ["stats"], ["config", "list"], ["config", "get", "timeout"],
        ["version"], ["help"], ["set", "k", "v", "--if-revision", "1"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_where_there_is_no_store_looking_creates_nothing(root, pronto, words):
    pronto(*words)
    assert not root.exists()
