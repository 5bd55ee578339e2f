"""Settings: argument > environment > stored in the store > default. And where the store is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import platformdirs
import pytest

import pronto_lmdb
from pronto_lmdb import InvalidValueError, ReadOnlyError, StoreClosedError
from pronto_lmdb.config import SETTINGS, default_root

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pronto_lmdb import Store

BAD_SETTINGS = [
    ("durability", "fast"),
    ("durability", "FULL"),
    ("durability", ""),
    ("durability", 1),
    ("timeout", "-1"),
    ("timeout", "soon"),
    ("timeout", "nan"),
    ("timeout", "inf"),
    ("timeout", ""),
    ("timeout", 5),
    ("timeout", None),
    ("value_limit", "0"),
    ("value_limit", "-1"),
    ("value_limit", "1.5"),
    ("value_limit", "4294967296"),
    ("value_limit", 5),
    ("value_limit", None),
    ("view_warning", "-1"),
    ("address", "a.b.c"),
    ("address", ""),
    ("address", b"a.b"),
    ("colour", "red"),
    ("", "x"),
]


# -- the root ------------------------------------------------------------------------------------------------------


def test_the_root_is_the_argument_before_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRONTO_ROOT", str(tmp_path / "from-environment"))
    with pronto_lmdb.open(tmp_path / "given") as store:
        assert store.path == str(tmp_path / "given")


def test_without_an_argument_the_environment_names_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRONTO_ROOT", str(tmp_path / "from-environment"))
    with pronto_lmdb.open() as store:
        assert store.path == str(tmp_path / "from-environment")


def test_without_both_the_root_is_in_the_users_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRONTO_ROOT", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with pronto_lmdb.open() as store:
        assert store.path == str(tmp_path / "data" / "prontodb")


@pytest.mark.parametrize("home", ["/home/somebody", ""])
@pytest.mark.parametrize("data", [None, "", "  ", "/data", "relative", "~/data"])
def test_the_default_root_is_what_platformdirs_says(
    monkeypatch: pytest.MonkeyPatch, data: str | None, home: str
) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    if data is not None:
        monkeypatch.setenv("XDG_DATA_HOME", data)
    monkeypatch.setenv("HOME", home)
    assert default_root() == platformdirs.user_data_dir("prontodb", appauthor=False)


@pytest.mark.parametrize("kind", [str, os.fspath, os.fsencode, lambda path: path])
def test_a_root_may_be_given_in_any_form_of_a_path(root: Path, kind: Callable[[Path], Any]) -> None:
    with pronto_lmdb.open(kind(root)) as store:
        store["a"]["k"] = 1
    assert (root / "addresses" / "a.default" / "data.mdb").exists()


def test_a_relative_root_stays_where_it_was_when_the_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pronto_lmdb.open("here") as store:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        store["a"]["k"] = 1
        assert store.path == str(tmp_path / "here")
    assert (tmp_path / "here").is_dir()


# -- which value holds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "environment", "stored", "holds"),
    [
        (None, None, None, "full"),
        (None, None, "off", "off"),
        (None, "off", None, "off"),
        (None, "full", "off", "full"),
        (None, "", "off", "off"),
        ("off", None, None, "off"),
        ("full", "off", "off", "full"),
        ("off", "full", "full", "off"),
    ],
)
def test_the_level_of_a_new_address(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    argument: str | None,
    environment: str | None,
    stored: str | None,
    holds: str,
) -> None:
    with pronto_lmdb.open(root) as store:
        if stored is not None:
            store.config["durability"] = stored
    if environment is not None:
        monkeypatch.setenv("PRONTO_DURABILITY", environment)
    with pronto_lmdb.open(root, durability=argument) as store:
        assert store.durability == holds
        assert store.create("created").durability == holds
        store["written"]["k"] = 1
        assert store.info("written").durability == holds


def test_a_level_given_to_create_wins_over_all_others(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRONTO_DURABILITY", "full")
    with pronto_lmdb.open(root, durability="full") as store:
        assert store.create("a", durability="off").durability == "off"


def test_an_existing_address_keeps_its_level(root: Path) -> None:
    with pronto_lmdb.open(root, durability="off") as store:
        store["a"]["k"] = 1
    with pronto_lmdb.open(root, durability="full") as store:
        store["a"]["k"] = 2
        assert store.create("a", durability="full", exist_ok=True).durability == "off"
        assert store["a"].stats().durability == "off"


@pytest.mark.parametrize(
    ("environment", "stored", "holds"),
    [(None, None, 67_108_864), (None, "1000", 1000), ("2000", None, 2000), ("2000", "1000", 2000)],
)
def test_the_limit_of_a_value(
    store: Store, monkeypatch: pytest.MonkeyPatch, environment: str | None, stored: str | None, holds: int
) -> None:
    if stored is not None:
        store.config["value_limit"] = stored
    if environment is not None:
        monkeypatch.setenv("PRONTO_VALUE_LIMIT", environment)
    assert store.value_limit == store.config.effective("value_limit") == holds


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_has_a_default_a_variable_and_a_meaning(store: Store, name: str) -> None:
    setting = SETTINGS[name]
    assert store.config.effective(name) == setting.read(setting.default)
    assert setting.variable == f"PRONTO_{name.upper()}"
    assert setting.meaning


@pytest.mark.parametrize(("name", "text"), [("durability", "fast"), ("timeout", "-1"), ("value_limit", "many")])
def test_a_bad_variable_is_named(store: Store, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(f"PRONTO_{name.upper()}", text)
    with pytest.raises(InvalidValueError, match=f"{name} .*{text}"):
        store.config.effective(name)


@pytest.mark.parametrize("level", ["fast", "", "FULL", 1])
def test_an_unknown_level_is_refused(root: Path, store: Store, level: Any) -> None:
    with pytest.raises(InvalidValueError, match="durability"):
        pronto_lmdb.open(root, durability=level)
    with pytest.raises(InvalidValueError, match="durability"):
        store.create("a", durability=level)
    assert not root.exists()


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), "soon", None])
def test_an_impossible_timeout_is_refused(root: Path, timeout: Any) -> None:
    with pytest.raises(InvalidValueError, match="timeout"):
        pronto_lmdb.open(root, timeout=timeout)


@pytest.mark.parametrize("timeout", [0, 0.001, 10, 86_400, 1e12])
def test_any_finite_timeout_is_taken(root: Path, timeout: float) -> None:
    with pronto_lmdb.open(root, timeout=timeout) as store:
        store["a"]["k"] = 1
        assert store["a"].increment("k") == 2


# -- what is stored ------------------------------------------------------------------------------------------------


def test_stored_settings_are_a_mapping_of_text(store: Store) -> None:
    config = store.config
    assert (dict(config), len(config), "timeout" in config, config.get("timeout")) == ({}, 0, False, None)
    config["timeout"] = "3"
    config.update(durability="off", value_limit="1000")
    assert dict(config) == {"durability": "off", "timeout": "3", "value_limit": "1000"}
    assert (config.pop("timeout"), config.setdefault("durability", "full")) == ("3", "off")
    del config["durability"]
    assert (dict(config), config.effective("durability")) == ({"value_limit": "1000"}, "full")
    with pytest.raises(KeyError):
        config["durability"]
    with pytest.raises(KeyError):
        del config["durability"]


def test_settings_are_shared_by_everybody_on_the_root(root: Path, store: Store) -> None:
    store.config["timeout"] = "3"
    with pronto_lmdb.open(root) as other:
        assert other.config["timeout"] == "3"
        other.config["timeout"] = "4"
    assert store.config["timeout"] == "4"


@pytest.mark.parametrize(("name", "text"), BAD_SETTINGS)
def test_a_bad_setting_is_not_stored(root: Path, store: Store, name: str, text: Any) -> None:
    with pytest.raises(InvalidValueError):
        store.config[name] = text
    assert not root.exists()


def test_settings_are_no_addresses(store: Store) -> None:
    store.config["timeout"] = "3"
    store["a"]["k"] = 1
    assert [str(info.address) for info in store.addresses()] == ["a.default"]


def test_reading_settings_creates_nothing(root: Path, store: Store) -> None:
    assert dict(store.config) == {}
    with pytest.raises(KeyError):
        del store.config["timeout"]
    assert not root.exists()


def test_settings_of_a_readonly_store_can_only_be_read(root: Path, store: Store) -> None:
    store.config["timeout"] = "3"
    with pronto_lmdb.open(root, readonly=True) as reader:
        assert dict(reader.config) == {"timeout": "3"}
        with pytest.raises(ReadOnlyError):
            reader.config["timeout"] = "4"
        with pytest.raises(ReadOnlyError):
            del reader.config["timeout"]
    assert store.config["timeout"] == "3"


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.config["timeout"],
        lambda store: dict(store.config),
        lambda store: store.config.effective("timeout"),
        lambda store: store.config.update(timeout="4"),
        lambda store: store.durability,
    ],
)
def test_settings_of_a_closed_store_are_out_of_reach(store: Store, use: Callable[[Store], object]) -> None:
    store.config["timeout"] = "3"
    store.close()
    with pytest.raises(StoreClosedError):
        use(store)
