"""Taking over the data of the old program: what users meant is what the new store returns."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from old_program import (
    LAYOUTS,
    NOW,
    OldDatabase,
    OldKey,
    archive_of_database,
    cursor_file,
    first_archive,
    main_file,
    meant,
    named_file,
    rows_of,
)

import pronto_lmdb
from pronto_lmdb import Key, MigrationError
from pronto_lmdb.legacy_keys import decode_key, names_key
from pronto_lmdb.migration import SourceRefusedError, apply, migrate, plan


@pytest.fixture(autouse=True)
def _days_of_the_old_program(clock):
    clock.microseconds = NOW * 1_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data directory of the old program."""
    return tmp_path / "odx" / "prontodb"


def main_database(data: Path) -> OldDatabase:
    return OldDatabase(named_file(data, "main"))


def tree(directory: Path) -> dict[str, str]:
    """Return the checksum of every file below a directory."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.rglob("*") if path.is_file()}


def content(store: pronto_lmdb.Store) -> dict[str, dict]:
    return {str(info.address): dict(store[info.address].items()) for info in store.addresses()}


# -- layouts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_main_database_of_every_layout_becomes_the_default_address(layout, data, store):
    with OldDatabase(main_file(layout, data)) as old:
        old.set("app.config.theme", "dark")
    migrate(data, store)
    assert content(store) == {"default.default": {"app.config.theme": "dark"}}


def test_a_named_database_becomes_an_address_of_the_default_user(data, store):
    for name in ("staging", "with.dots", "MixedCase", "a b", "team/one"):
        with OldDatabase(named_file(data, name)) as old:
            old.set("name", name)
    migrate(data, store)
    addresses = {pronto_lmdb.Address("default", name) for name in ("staging", "with.dots", "MixedCase", "a b")}
    addresses.add(pronto_lmdb.Address("default", "team/one"))
    assert {info.address for info in store.addresses()} == addresses
    assert all(store[address]["name"] == address.cursor for address in addresses)


def test_a_database_with_a_name_that_no_address_can_have_gets_a_shortened_one(data, store):
    with OldDatabase(named_file(data, "n" * 100)) as old:
        old.set("k", "v")
    migrate(data, store)
    (address,) = content(store)
    assert address.startswith("default." + "n" * 48 + "-")


def test_a_single_file_is_named_after_itself(tmp_path, store):
    with OldDatabase(tmp_path / "alice-dev.db") as old:
        old.set("app.config.key", "myvalue")
    migrate(tmp_path / "alice-dev.db", store)
    assert content(store) == {"default.alice-dev": {"app.config.key": "myvalue"}}


def test_the_developers_files_of_old_are_taken_over(tmp_path, store):
    # Two databases of this shape were published: one row each, without a context, beside an empty table of namespaces.
    for name, key, value in (("alice-dev", "app.config.key", "myvalue"), ("alice_dev", "app.version", "1.2.3")):
        with OldDatabase(tmp_path / f"{name}.db") as old:
            old.set(key, value)
    migrate([tmp_path / "alice-dev.db", tmp_path / "alice_dev.db"], store)
    assert content(store) == {
        "default.alice-dev": {"app.config.key": "myvalue"},
        "default.alice_dev": {"app.version": "1.2.3"},
    }


def test_what_is_only_in_the_write_ahead_log_is_taken_over(data, store):
    old = main_database(data)
    old.set("before", "1")
    old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    old.set("after", "2")
    old.abandon()
    assert Path(f"{old.path}-wal").stat().st_size > 0
    migrate(data, store)
    assert content(store) == {"default.default": {"before": "1", "after": "2"}}


def test_sources_and_what_lies_beside_them_never_change(data, store):
    old = main_database(data)
    old.set("k", "v")
    old.abandon()
    cursor_file(data / "main" / "cursors" / "work.cursor", str(old.path))
    before = tree(data.parent)
    report = migrate(data, store)
    assert tree(data.parent) == before
    assert report.warnings == []


def test_the_last_backups_are_taken_over_with_their_log(tmp_path, data, store):
    old = OldDatabase(named_file(data, "staging"))
    old.set("k", "v")
    old.abandon()
    archive_of_database(tmp_path / "prontodb_staging_20250911.tar.gz", data, "staging")
    migrate(tmp_path / "prontodb_staging_20250911.tar.gz", store)
    assert content(store) == {"default.staging": {"k": "v"}}


def test_the_first_backups_are_taken_over_with_their_cursors(tmp_path, store):
    with OldDatabase(tmp_path / "pronto.db") as old:
        old.set("myapp.cache.user__prod", "v")
    cursor_file(tmp_path / "dev.alice.cursor", "/somewhere/dev.db", "alice")
    archive = tmp_path / "prontodb-backup-20250909-031408.tar.gz"
    first_archive(archive, tmp_path / "pronto.db", [tmp_path / "dev.alice.cursor"])
    report = migrate(archive, store)
    assert content(store) == {"default.default": {"myapp.cache.user__prod": "v"}}
    assert [(cursor["name"], cursor["user"]) for cursor in report.plan.cursors] == [("dev", "alice")]


def test_a_plain_copy_that_was_a_backup_is_named_after_its_database(tmp_path, store):
    with OldDatabase(tmp_path / "prontodb_staging_20250909_n01.db") as old:
        old.set("k", "v")
    migrate(tmp_path / "prontodb_staging_20250909_n01.db", store)
    assert list(content(store)) == ["default.staging"]


def test_two_generations_of_one_database_become_one_address_and_the_later_write_counts(data, store):
    with OldDatabase(main_file("one file", data)) as first:
        first.set("only.in.first", "1")
        first.set("both", "old")
        first.set("ctx__a", "newer")
        first.now += 100
        first.set("ctx__a", "newest")
    with OldDatabase(main_file("directories", data), NOW + 50) as second:
        second.set("both", "new")
        second.set("ctx__a", "older")
        second.set("only.in.second", "2")
    report = migrate(data, store)
    assert content(store) == {
        "default.default": {"only.in.first": "1", "only.in.second": "2", "both": "new", "ctx__a": "newest"}
    }
    assert len(report.plan.databases) == 2


def test_without_sources_all_places_of_the_old_program_are_searched(tmp_path, monkeypatch, store):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("PRONTO_DB", str(tmp_path / "elsewhere.sqlite"))
    places = {
        "data": named_file(tmp_path / "home/.local/data/odx/prontodb", "a"),
        "share": named_file(tmp_path / "home/.local/share/odx/prontodb", "b"),
        "cursor": tmp_path / "project" / "c.db",
        "PRONTO_DB": tmp_path / "elsewhere.sqlite",
    }
    for name, path in places.items():
        with OldDatabase(path) as old:
            old.set("found", name)
    cursor_file(tmp_path / "home/.local/share/odx/prontodb/c/cursors/work.cursor", str(places["cursor"]))
    selection = tmp_path / "home/.local/etc/prontodb/cursor"
    selection.parent.mkdir(parents=True)
    selection.write_text("b\n")
    report = migrate(None, store)
    assert {address: values["found"] for address, values in content(store).items()} == {
        "default.a": "data",
        "default.b": "share",
        "default.c": "cursor",
        "default.default": "PRONTO_DB",
    }
    assert any("`pronto use default.b`" in text for text in report.plan.suggestions)
    assert "address" not in store.config


def test_without_sources_and_without_data_nothing_happens(tmp_path, monkeypatch, store, root):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    report = migrate(None, store)
    assert (report.ok, report.addresses) == (True, [])
    assert not root.exists()


# -- values ------------------------------------------------------------------------------------------------------------


def test_the_value_written_last_counts_not_the_one_that_the_old_program_showed(data, store):
    with main_database(data) as old:
        for value in ("v0", "v1", "v2"):
            old.set("k", value)
        assert old.get("k") == "v0"
    report = migrate(data, store)
    assert store["default"]["k"] == "v2"
    assert report.plan.addresses[0].tally.superseded == 2


def test_the_value_that_the_old_program_showed_counts_where_that_is_wanted(data, store):
    with main_database(data) as old:
        for value in ("v0", "v1", "v2"):
            old.set("k", value)
    migrate(data, store, duplicates="first")
    assert dict(store["default"]) == {"k": "v0"}


def test_older_values_are_kept_under_contexts_where_that_is_wanted(data, store):
    with main_database(data) as old:
        for value in ("v0", "v1", "v2"):
            old.set("k", value)
        old.set("k__dev", "d")
        old.set("k__older-1", "a context that somebody had")
    migrate(data, store, duplicates="both")
    assert dict(store["default"]) == {
        "k": "v2",
        "k__older-1": "v0",
        "k__older-2": "v1",
        "k__dev": "d",
        "prontodb.encoded.default.default.k.older-1": "a context that somebody had",
    }


def test_a_key_whose_last_value_has_expired_is_gone_and_no_older_value_comes_back(data, store):
    with main_database(data) as old:
        old.set("default.cache.k", "for ever")
        old.set("default.cache.k", "for a second", ttl=1)
        old.set("other", "v")
    with pronto_lmdb.open(store.path) as later:
        pronto_lmdb.clock.now.__self__.advance(2)
        report = migrate(data, later)
        assert dict(later["default"]) == {"other": "v"}
    assert report.plan.addresses[0].tally.expired == 1


def test_what_has_expired_is_kept_without_an_expiry_where_that_is_wanted(data, store):
    with main_database(data) as old:
        old.set("cache.k", "v", ttl=-5)
    migrate(data, store, include_expired=True)
    assert store["default"]["cache.k"] == "v"
    assert store["default"].ttl("cache.k") is None


def test_the_remaining_time_of_a_value_is_kept(data, store, clock):
    with main_database(data) as old:
        old.create_cache("sessions", "cache", 3600)
        old.set("sessions.cache.token", "t")
    clock.advance(600)
    migrate(data, store)
    assert store["default"].ttl("sessions.cache.token") == 3000
    clock.advance(3001)
    assert "sessions.cache.token" not in store["default"]
    assert store["default"].sweep() == 1


def test_the_default_ttl_of_a_namespace_is_kept(data, store):
    with main_database(data) as old:
        old.create_cache("sessions", "cache", 60)
        old.create_cache("default", "default", 90)
    migrate(data, store)
    keystore = store["default"]
    keystore["sessions.cache.new"] = 1
    keystore["plain"] = 1
    assert (keystore.ttl("sessions.cache.new"), keystore.ttl("plain")) == (60, 90)


def test_the_time_of_the_last_write_is_kept(data, store):
    with main_database(data) as old:
        old.now -= 86_400
        old.set("k", "v")
    migrate(data, store)
    assert store["default"].entry("k").updated_at == datetime.fromtimestamp(NOW - 86_400, UTC)


def test_text_is_kept_to_the_letter(data, store):
    values = ["", "\n", "ü\0x", "line\r\nline\n", "{}", "1", "\U0001f600" * 1000, "x" * 3_000_000]
    with main_database(data) as old:
        for number, value in enumerate(values):
            old.set(f"k{number}", value)
    migrate(data, store)
    assert [store["default"][f"k{number}"] for number in range(len(values))] == values


def test_values_that_other_programs_stored_are_kept_as_what_they_are(data, store):
    with main_database(data) as old:
        statement = "INSERT INTO kv VALUES ('p', 'n', ?, NULL, {}, 'never', 1.5, 'soon')"
        old.execute(statement.format("x'00ff'"), "blob")
        old.execute(statement.format("CAST(x'80616263' AS TEXT)"), "no utf-8")
        old.execute(statement.format("12"), "number")
    migrate(data, store)
    assert dict(store["default"]) == {"p.n.blob": b"\0\xff", "p.n.no utf-8": b"\x80abc", "p.n.number": "12"}


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("status", "status"),
        ("app.status", "app.status"),
        ("p.n.status", "p.n.status"),
        ("default.default.status", "status"),
        ("p.n.k__ctx", "p.n.k__ctx"),
        ("p.n.k__", "p.n.k__"),
        ("p.n.k__x__y", "p.n.k__x__y"),
        (OldKey("my__project", "n", "k"), "my__project.n.k"),
        (OldKey("p", "n", "a.b.c"), "p.n.a.b.c"),
        (OldKey("pipe", "cache", "1757500000_0a1b2c3d"), "pipe.cache.1757500000_0a1b2c3d"),
    ],
)
def test_a_key_is_found_under_what_was_typed(old, new, data, store):
    with main_database(data) as database:
        database.set(old, "v")
    migrate(data, store)
    assert store["default"][str(Key.parse(new))] == "v"


@pytest.mark.parametrize(
    "parts",
    [
        OldKey("p", "n", ""),
        OldKey("p", "", "k"),
        OldKey("", "n", "k", ""),
        OldKey("p", "a.b", "k", "c"),
        OldKey("p", "n", "k" * 600),
        OldKey("p", "n", "\u00e9" * 300, "c" * 100),
        OldKey("p", "n", "a__b"),
        OldKey("prontodb", "encoded", "p.n.k"),
        OldKey("\0p", "n", "k"),
    ],
)
def test_a_key_that_does_not_fit_is_kept_under_a_reversible_encoding_that_the_report_names(parts, data, store):
    with main_database(data) as old:
        old.set(parts, "v")
    report = migrate(data, store)
    ((key, spelled_out),) = report.plan.addresses[0].tally.encoded_keys.items()
    assert store["default"][key] == "v"
    assert tuple(decode_key(spelled_out)) == tuple(parts)
    if key.startswith("prontodb.hashed."):
        assert store["default"][names_key(key)] == spelled_out
    else:
        assert key == spelled_out


texts = st.one_of(
    st.text("ab._%", max_size=6), st.text(max_size=4), st.sampled_from(["", "default", "prontodb", "org"])
)
old_keys = st.builds(
    OldKey,
    st.one_of(texts, st.builds("{}.{}".format, st.sampled_from(["org", "default", "a"]), texts)),
    texts,
    st.one_of(texts, st.sampled_from(["k" * 600, "k" * 601])),
    st.one_of(st.none(), texts, st.sampled_from(["older-1", "older-2"])),
)
keys_of_sqlite = old_keys.filter(lambda key: all("\0" not in (part or "") for part in key))


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[OldKey, str, int | None]]:
    """Writes to a few keys, so that they are overwritten again and again."""
    plain = keys_of_sqlite.map(lambda key: key._replace(context=None))
    keys = draw(st.lists(st.one_of(plain, keys_of_sqlite), min_size=1, max_size=5, unique=True))
    ttls = st.one_of(st.none(), st.integers(-20, 20))
    return draw(st.lists(st.tuples(st.sampled_from(keys), st.text(max_size=5), ttls), min_size=6, max_size=25))


@settings(max_examples=40)
@given(writes=histories(), split_meta=st.booleans(), duplicates=st.sampled_from(["last", "both"]))
def test_what_users_meant_is_what_the_new_store_returns(writes, split_meta, duplicates, tmp_path_factory):
    directory = tmp_path_factory.mktemp("property")
    with OldDatabase(directory / "pronto.db", NOW - 10) as old:
        for number, (key, text, ttl) in enumerate(writes):
            old.set(key, f"{text}{number}", ttl=ttl)
    rows = rows_of(directory / "pronto.db")
    wanted = meant(rows, NOW)
    live = [row for row in rows if row.expires_at is None or row.expires_at > NOW]
    with pronto_lmdb.open(directory / "store") as store:
        report = migrate(directory / "pronto.db", store, split_meta=split_meta, duplicates=duplicates)
        entries = [store[info.address].entry(key) for info in store.addresses() for key in store[info.address]]
        found = {
            entry.value: entry.expires_at and entry.expires_at.timestamp()
            for entry in entries
            if not entry.key.startswith("prontodb.names.")
        }
        # Values tell the rows apart: none is lost, none comes back, none is written over by another.
        assert found == {row.value: row.expires_at for row in (live if duplicates == "both" else wanted.values())}
        assert report.ok
        assert store.check(deep=True).ok
        for key, row in wanted.items():
            if is_plain(key):
                assert store["default"][str(Key(*key))] == row.value


def is_plain(key: OldKey) -> bool:
    words = all(part.isalpha() for part in key[:3]) and len(key.key) < 9
    return words and key.context is None and key.project != "prontodb"


# -- meta contexts -----------------------------------------------------------------------------------------------------


def test_a_meta_context_stands_in_front_of_its_keys(data, store):
    with main_database(data) as old:
        old.set("myapp.config.theme", "dark", meta="org")
        old.set("myapp.config.theme", "light")
    report = migrate(data, store)
    assert dict(store["default"]) == {"org.myapp.config.theme": "dark", "myapp.config.theme": "light"}
    assert report.plan.addresses[0].contexts == ["org"]


def test_each_meta_context_becomes_an_address_of_its_own_where_that_is_wanted(data, store):
    for name in ("main", "staging"):
        with OldDatabase(named_file(data, name)) as old:
            old.create_cache("org.sessions", "cache", 60)
            old.create_cache("sessions", "cache", 90)
            old.set("myapp.config.theme", f"{name} of org", meta="org")
            old.set("myapp.config.theme", f"{name} of team_1", meta="team_1")
            old.set("myapp.config.theme", name)
    migrate(data, store, split_meta=True)
    assert content(store) == {
        "default.default": {"myapp.config.theme": "main"},
        "default.staging": {"myapp.config.theme": "staging"},
        "org.default": {"myapp.config.theme": "main of org"},
        "org.staging": {"myapp.config.theme": "staging of org"},
        "team_1.default": {"myapp.config.theme": "main of team_1"},
        "team_1.staging": {"myapp.config.theme": "staging of team_1"},
    }
    store["org"]["sessions.cache.k"] = store["default"]["sessions.cache.k"] = 1
    assert (store["org"].ttl("sessions.cache.k"), store["default"].ttl("sessions.cache.k")) == (60, 90)


def test_a_key_with_dots_is_not_mistaken_for_one_under_a_meta_context(data, store):
    with main_database(data) as old:
        old.set(OldKey("org.a", "n", "k"), "under org")
        old.set(OldKey("org", "a", "n.k"), "with a dot")
    migrate(data, store)
    assert sorted(store["default"].values()) == ["under org", "with a dot"]


# -- plan, conflicts, repetition ---------------------------------------------------------------------------------------


def test_a_plan_changes_nothing_and_says_what_would_happen(data, store, root):
    with main_database(data) as old:
        old.create_cache("sessions", "cache", 60)
        old.create_cache("", "x", 60)
        old.set("k", "v0")
        old.set("k", "v1")
        old.set("gone", "v", ttl=-1)
        old.set("k", "v", meta="org")
    made = plan(data, store)
    assert not root.exists()
    (database,), (address,) = made.databases, made.addresses
    assert (database.name, database.rows, database.address) == ("main", 4, "default.default")
    assert (address.state, address.tally.records, address.tally.superseded, address.tally.expired) == ("new", 2, 1, 1)
    assert address.namespaces == {"sessions.cache": 60}
    assert address.contexts == ["org"]
    assert any("1 rows whose time was over" in text for text in address.dropped)
    assert any(text.startswith(".x: ") for text in address.dropped)
    assert json.loads(json.dumps(made.as_dict()))["addresses"][0]["tally"]["rows"] == 4


def test_a_plan_is_applied_as_it_is(data, store):
    with main_database(data) as old:
        old.set("k", "v")
    made = plan(data, store)
    assert apply(made, store).ok
    assert store["default"]["k"] == "v"


def test_a_plan_takes_the_options_of_a_migration_and_both_tell_how_far_they_are(data, store):
    with main_database(data) as old:
        for value in ("first", "last"):
            old.set("k", value)
        old.set("gone", "v", ttl=-1)
        old.set("k", "v", meta="org")
    options = {
        "mapping": {"main": "alice.work"}, "split_meta": True, "duplicates": "both", "include_expired": True,
        "on_conflict": "keep",
    }  # fmt: skip
    told = []
    made = plan(data, store, **options, progress=lambda *step: told.append(step))
    assert told
    assert made.as_dict() == migrate(data, store, **options, dry_run=True).plan.as_dict()
    told.clear()
    assert apply(made, store, progress=lambda *step: told.append(step)).ok
    assert told
    assert content(store) == {
        "alice.work": {"k": "last", "k__older-1": "first", "gone": "v"},
        "org.work": {"k": "v"},
    }


def test_a_plan_is_not_applied_to_sources_that_have_changed(data, store):
    with main_database(data) as old:
        old.set("k", "v")
    made = plan(data, store)
    with main_database(data) as old:
        old.set("k", "later")
    with pytest.raises(MigrationError, match="changed since the plan"):
        apply(made, store)
    assert content(store) == {}


def test_a_database_goes_to_the_address_that_was_asked_for(data, store):
    with main_database(data) as old:
        old.set("k", "v")
    migrate(data, store, mapping={"main": "alice.work"})
    assert list(content(store)) == ["alice.work"]


def test_a_mapping_of_a_database_that_is_not_there_is_refused(data, store):
    with main_database(data) as old:
        old.set("k", "v")
    with pytest.raises(MigrationError, match="no database 'mian'"):
        migrate(data, store, mapping={"mian": "alice.work"})
    assert content(store) == {}


def test_a_second_run_recognises_what_was_taken_over_and_leaves_later_changes_alone(data, store):
    with main_database(data) as old:
        old.set("k", "v")
        old.set("gone", "v")
    migrate(data, store)
    store["default"]["k"] = "changed since"
    del store["default"]["gone"]
    revision = store["default"].revision
    report = migrate(data, store)
    assert [address.state for address in report.addresses] == ["done"]
    assert dict(store["default"]) == {"k": "changed since"}
    assert store["default"].revision == revision


def test_content_is_recognised_in_another_file(tmp_path, data, store):
    old = main_database(data)
    old.set("k", "v")
    old.abandon()
    migrate(data, store)
    archive_of_database(tmp_path / "prontodb_main_20250911.tar.gz", data, "main")
    report = migrate(tmp_path / "prontodb_main_20250911.tar.gz", store)
    assert [address.state for address in report.addresses] == ["done"]


def test_the_origin_stays_with_the_address_through_a_rebuilt_registry(data, store):
    with main_database(data) as old:
        old.set("k", "v")
    report = migrate(data, store)
    store.rebuild_registry()
    (note,) = store.info("default").origin["prontodb"]
    assert (note["database"], note["rows"], note["records"]) == ("main", 1, 1)
    assert note["checksum"] == report.plan.databases[0].checksum


def test_what_was_added_to_the_old_database_since_is_added_to_the_address(data, store):
    with main_database(data) as old:
        old.set("k", "v")
    migrate(data, store)
    with main_database(data) as old:
        old.set("more.cache.x", "w", ttl=60)
    report = migrate(data, store)
    (address,) = report.addresses
    assert (address.state, address.written, address.same, address.verified) == ("merged", 1, 1, 2)
    assert dict(store["default"]) == {"k": "v", "more.cache.x": "w"}
    assert store["default"].ttl("more.cache.x") == 60
    assert len(store.info("default").origin["prontodb"]) == 2
    assert store.check(deep=True).ok


def conflicting(data, store, clock):
    """Two keys with other values in the store: one written before the old program did, one after."""
    clock.advance(-1_000)
    store["default"].update({"older": "mine", "newer": "mine", "same": "v"})
    clock.advance(2_000)
    store["default"]["newer"] = "mine"
    with main_database(data) as old:
        for key, value in (("older", "theirs"), ("newer", "theirs"), ("same", "v"), ("other", "v")):
            old.set(key, value)


def test_other_values_in_the_address_are_a_conflict_that_changes_nothing(data, store, clock):
    conflicting(data, store, clock)
    before = content(store)
    with pytest.raises(SourceRefusedError, match="2 of the keys") as refused:
        migrate(data, store)
    assert content(store) == before
    assert sorted(refused.value.report.plan.addresses[0].conflicting_keys) == ["newer", "older"]


@pytest.mark.parametrize(
    ("choice", "older", "newer"),
    [("keep", "mine", "mine"), ("overwrite", "theirs", "theirs"), ("newest", "theirs", "mine")],
)
def test_a_conflict_is_resolved_as_was_asked(choice, older, newer, data, store, clock):
    conflicting(data, store, clock)
    report = migrate(data, store, on_conflict=choice)
    assert dict(store["default"]) == {"older": older, "newer": newer, "same": "v", "other": "v"}
    assert report.ok
    assert report.addresses[0].same == 1
    assert store.check(deep=True).ok


def test_a_conflict_does_not_keep_other_databases_from_being_taken_over(data, store, clock):
    conflicting(data, store, clock)
    with OldDatabase(named_file(data, "staging")) as old:
        old.set("k", "v")
    with pytest.raises(SourceRefusedError):
        migrate(data, store)
    assert dict(store["default.staging"]) == {"k": "v"}


def test_two_databases_that_would_become_one_address_by_chance_are_not_mixed(data, store):
    for name in ("main", "default"):
        with OldDatabase(named_file(data, name)) as old:
            old.set("k", name)
    with pytest.raises(SourceRefusedError, match=r"would become default\.default"):
        migrate(data, store)
    migrate(data, store, mapping={"default": "default.other"})
    assert content(store) == {"default.default": {"k": "main"}, "default.other": {"k": "default"}}


def test_revisions_of_a_name_go_on_after_a_migration(data, store):
    store["default"]["k"] = 1
    store["default"]["k"] = 2
    last = store["default"].revision
    store.delete("default")
    with main_database(data) as old:
        old.set("k", "v")
    migrate(data, store)
    assert store["default"].entry("k").revision > last


def test_a_store_that_may_not_create_addresses_takes_in_only_what_exists(data, root):
    with main_database(data) as old:
        old.set("k", "v")
    with pronto_lmdb.open(root, create=False) as store:
        with pytest.raises(SourceRefusedError, match="create=False"):
            migrate(data, store)
        store.create("default")
        migrate(data, store)
        assert dict(store["default"]) == {"k": "v"}


def test_a_readonly_store_can_be_planned_for_and_takes_in_nothing(data, root):
    with main_database(data) as old:
        old.set("k", "v")
    with pronto_lmdb.open(root, readonly=True) as store:
        assert plan(data, store).addresses[0].state == "new"
        with pytest.raises(pronto_lmdb.ReadOnlyError):
            migrate(data, store)


def test_a_full_address_is_refused_and_keeps_what_it_has(data, store):
    with main_database(data) as old:
        for number in range(200):
            old.set(f"k{number}", "v" * 1000)
    store.create("default", max_bytes=100_000)
    store["default"]["mine"] = 1
    with pytest.raises(SourceRefusedError) as refused:
        migrate(data, store)
    assert refused.value.report.plan.refused[0]["kind"] == "store"
    assert dict(store["default"]) == {"mine": 1}
    assert store.info("default").origin == {}


def test_a_source_that_is_written_to_meanwhile_is_told_of(data, store):
    with main_database(data) as old:
        old.set("k", "v")

        def write_on(phase, _done, _total):
            if phase == "writing":
                old.set("later", "v")

        report = migrate(data, store, progress=write_on)
    assert ["has changed since it was read" in text for text in report.warnings] == [True]
    assert dict(store["default"]) == {"k": "v"}


def test_nothing_is_imported_for_it_before_it_is_needed(in_another_process):
    found = in_another_process("""
        import json, sys
        import pronto_lmdb
        before = "sqlite3" in sys.modules, "pronto_lmdb.migration" in sys.modules
        print(json.dumps([*before, callable(pronto_lmdb.migration.migrate)]))
    """)
    assert found == [False, False, True]


def test_impossible_options_are_refused_before_anything_is_read(store):
    for options in ({"duplicates": "all"}, {"on_conflict": "ask"}, {"mapping": {"main": "a.b.c"}}):
        with pytest.raises(ValueError, match=r"all|ask|a\.b\.c"):
            migrate("/nowhere", store, **options)


def test_a_record_that_is_not_there_afterwards_is_found_out(data, store, monkeypatch):
    with main_database(data) as old:
        for number in range(10):
            old.set(f"k{number}", "v")
    looked_up = pronto_lmdb.migration.stored
    monkeypatch.setattr("pronto_lmdb.migration.stored", lambda *arguments: [None, *looked_up(*arguments)[1:]])
    report = migrate(data, store)
    assert (report.ok, report.missing, report.addresses[0].missing_keys) == (False, 1, ["k0"])
    assert report.addresses[0].checksum != report.plan.addresses[0].checksum


def test_a_large_database_is_taken_over_with_progress(data, store):
    with main_database(data) as old:
        old.set_many((OldKey("p", f"n{number % 7}", f"k{number}"), "v" * 100) for number in range(25_000))
    told = []
    report = migrate(data, store, progress=lambda *progress: told.append(progress))
    assert (report.ok, len(store["default"])) == (True, 25_000)
    assert {phase for phase, _, _ in told} == {"reading", "planning", "writing", "checking"}
    assert all(0 <= done <= total for _, done, total in told)
    assert report.addresses[0].checksum == report.plan.addresses[0].checksum
