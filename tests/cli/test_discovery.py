"""`projects`, `namespaces`, `nss`: which parts the keys of an address have."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def furnished(store):
    """Keys of all lengths, in three projects, and some that follow no convention."""
    keys = "plan config.host web.cache.a web.cache.b web.sessions.c__prod app.config.x.y .odd a..b"
    store["default"].update(dict.fromkeys(keys.split(), 1))


def test_projects_prints_one_a_line(furnished, ok):
    assert ok("projects").lines == ["app", "default", "web"]
    assert [json.loads(line) for line in ok("projects", "--json").lines] == ["app", "default", "web"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["-p", "web"], ["cache", "sessions"]),
        (["web"], ["cache", "sessions"]),
        ([], ["config", "default"]),
        (["default"], ["config", "default"]),
        (["nothing"], []),
    ],
)
def test_namespaces_prints_those_of_one_project(furnished, ok, words, found):
    assert ok("namespaces", *words).lines == found


def test_nss_prints_projects_with_namespaces(furnished, ok):
    every = ["app.config", "default.config", "default.default", "web.cache", "web.sessions"]
    assert ok("nss").lines == every
    assert ok("nss", "-p", "web").lines == every[3:]
    assert ok("--ns-delim", "/", "nss", "-p", "web").lines == ["web/cache", "web/sessions"]
    assert json.loads(ok("nss", "--json").lines[0]) == {"project": "app", "namespace": "config"}


def test_a_project_that_contains_the_delimiter_cannot_be_written_with_it(store, ok):
    store["default"].update({"a/b.cache.k": 1, "web.cache.k": 1})
    assert ok("nss", "--ns-delim", "/").lines == ["web/cache"]


def test_what_has_expired_is_nowhere(clock, store, ok):
    ok("set", "web.cache.k", "v", "--ttl", "5")
    ok("set", "web.cache.l", "v", "--ttl", "50")
    clock.advance(10)
    assert ok("nss").lines == ["web.cache"]
    clock.advance(100)
    assert ok("projects").out == ok("namespaces", "web").out == ok("nss").out == b""


def test_internal_entries_are_nowhere(store, ok):
    ok("create-cache", "web.cache", "60")
    ok("set", "lease", "w7", "--ttl", "60")
    assert ok("nss").lines == ["default.default"]


def test_each_address_has_its_own(furnished, ok):
    assert ok("projects", "-a", "alice").out == b""


@pytest.mark.parametrize("command", ["projects", "namespaces", "nss"])
def test_where_there_is_nothing_nothing_is_printed_or_made(root, ok, command):
    assert ok(command).out == b""
    assert not root.exists()


def test_a_project_named_twice_is_wrong_usage(pronto):
    assert pronto("namespaces", "web", "-p", "web").code == 64


@pytest.mark.parametrize("words", [["namespaces", "a.b"], ["namespaces", ""], ["nss", "-p", "a.b"], ["nss", "-p", ""]])
def test_what_can_be_no_project_is_refused(pronto, words):
    assert pronto("--json", *words).error["code"] == "invalid_key"


def test_what_is_found_can_be_listed(furnished, ok):
    listed = [
        key
        for project in ok("projects").lines
        for namespace in ok("namespaces", project).lines
        for key in ok("keys", "-p", project, "-n", namespace).lines
    ]
    assert sorted(listed) == sorted(set(ok("keys").lines) - {".odd", "a..b"})
