"""Keystores of early builds, which had no journal, are read, given one, and lose nothing on the way."""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from threading import Thread
from typing import TYPE_CHECKING, Any

import lmdb
import pytest
from children import as_nobody_special, in_children
from crash import killed_at

import pronto_lmdb
from pronto_lmdb import CorruptStoreError, ReadOnlyError, StoreFullError
from pronto_lmdb import genesis as genesis_module
from pronto_lmdb import recovery as recovery_module
from pronto_lmdb.journal_format import Header

if TYPE_CHECKING:
    from collections.abc import Callable

    from pronto_lmdb import Keystore

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
pytestmark = pytest.mark.skipif(
    sys.byteorder != "little" or sys.maxsize < 2**32, reason="the data files are of a 64-bit little-endian machine"
)

# The data files of a store that such a build made, its clock standing still: 32 KiB each.
PLACES = ["addresses/full.main", "addresses/off.main", "meta/registry", "trash/1750000000000000-32bc1e98"]
SIZE = 32768
GOLDEN = (
    "c-rmV&ubKC9LMozHnY1CbSD0whzJJ7OQA8@-RzIhQ_m$w5n8abGtcV6CL1!N##`*6AO$JSsZd4ZV%3w_i>EdR?}Z+uEv59(QxOE|AJFV%p3Rdn"
    "8z(Yxjd{Ng`{UVXW}nP%4xf3x`-~9EaCrOI%8Q>2v60!m8R_;|e<j{06W!-FwD#}6FS^f0_xVk?2LJ#7003z)QqKSRg!zBC&vtn}5&!@I002^#"
    "(H@P8Y3p;lVE=3VYJFwhw=8?wnzlGb00000u=gAaZ*#(Hw`Zg`618SUu5$DCXI}{8MEHC}_|o^A?OA`!b=-?`%sCkKG*!>l`&*Y^m}1FzYKWES"
    ")nh^|s2AdUI3B%IOFF((yBpGWcXRplsm0|hmFOjVZC_z)xJ@+Ud{~GeXiaV0efNcDOC2GOMx&f-IkW1oGt`@0>-d43Gmb~cK=^?ZNW+La3Dw+-"
    ")yB8s!+k<DJvkdRgR9r?HQMttPGJ1tc;5W#5FRuxwOV5{PILC5J1<vv=bd+gU(_2u^khq}wXHn#F3mgjW@~jXo$f}<P4D;7QdN#mR7;LK(U6t8"
    "Q<1evS*STRuUahDOEr0~<<w=%zt#z)GjnI*!HlzTzJ4{3{>r`feDgwcc5(F(Zk_-6&I14d003UK=kve0+w#Au<^Ln%k^P(f$nHMtrhmTA00000"
    "fVXXz<o}`GMmv=M*G4$pTQ@KM`+4<T^)qAbsz4zdyYKcmDaN$<|1l~600000V9%od|26qvkL9~!{y(SXe|`R+`hNfb002OL)c@~v{#Wz*`a%Qx"
    "8><3@q;&%MzWJZ|e*gdg0NA^j{~z@HzsmLT93QXiPkNqUT{_qQ%WY`w-+y0hy!lPH2LJ#7003z)QqKSRg!zBC&vtn}5&!@I002^#(H@P8b5_It"
    "*#6J@)B47GY#p`FS?8$#2LJ#7fIW?00=(vz0D9rQaXoyv)h_|=w;PS^E(CaYb(?S<z)Gz+?l#<-SFXB6uT=Fa<F#tpse9Fe+o%;LqjdlmH(3C1"
    "=r#GDZ#n<~003YstOU3_^1rF&e|`PGZu;k23;+NC02rKIlK+Q#8>O26ldkKp`kArz_&R}EE&rbsRc-#iN(BG_0001h`u}ZR3E<tG|IcapU!VV{"
    "{vQAU0058#_5VAQ|C3(VFKL}XzHk0#{vQAU006-J|DfjoRj!Zc_;_7^((?rC-tP7P`kj|B`PTvf0000Wbw<kh-%ObQ)p?1bSpLuQkpKVy005A>"
    "jP~f5C?9CqpV&97@_~O2aBKho002OU@59@D;zD~?hE?0wRUP+(Ueh)fa_clMwOZjyZpA{~oshNa#AKybs(W6;b)89BZ#2p!r!X<;Y_XDCXU+*O"
    "{um8I`e%9r5#NQQ9Tuv@{Q965oePKhczvj97~*bpT)W33c3gW+Z**KsRXILUEjjK)LssfeMb;)|q2|=QYOz=^)nqi-Yn?zkGj|pe9Nyk|5?uu#"
    "^kwwd_5T&X?Kk@4T<O-O;}+a<X}sE~7v-c^ESKwU*{e7Ocf7jAC!q~6BaVyb`=5qq0G{u^VQ~fk0002M?)50V9Tg&&cl?V}6P3wv-A5{XZ$Hdy"
    "Z95R^e-6icrtf&yDz`_3Xtdhx`Kk5bza~%qA6Wi3-}U@&YWZJZ|Bv(!00000UCjTJ{|7VwpLAV+)z6Hz$JYtWYWe@@YU*FB|0n$e0002MZbbec"
    "SpLtXo&VFG|Icap|A=^E|7}09`Hukr0002&toJVe8#|T%)%^ZY>_kKS`hFu(zf5dEuU@ZjWBoq>0001B_hJ73{h9wyTGyZS{J^@md;P!R*f{dB"
    "b^rhX00594Bjx;`-)8=gZ<psI0RR9103dZ4?a`<>YkBsR{nGlwx?w%CKCsVPXDyBq00000>|KY#+nn&)?HTEfM6Fp>v2L6QpN|M%`hK%L>yNpP"
    "dr^)#2cw>*>bZJ<>+%azEE!J?u@b#{Oo#>bLVOR$qjzda$Cqk%L)z|cE}uTNxO}A&y=1TLD{Kw7iDsS;3lRjZsg1kuzVK|RqpIgkG1qct)n8|*"
    "H@VjF1371GS@)mQ;<fR0_;9Pb|G`}~VrWDDpSGs0XZ8*Ivi+g`sr}e~N&W`_0002;|0el=DZQktwWXVQ_u#pSOz&Jomwu^0!_@M>zWyKc{{R30"
    "008Fy2RHw(*7fW6`+4<T^^3R1*9pvO`TwLSYxV!-=nMegb^rhX03iR9|NG?s>`vwXw5uU<TK?Z`{-5tU00000puatz|IMAs|7u=eFEG&GQ2m}?"
    "^~=Wk<@-E;HUBgJ4*&oF0AT)qQ1kyu>-v+PC-@(l*-pm"
)
NOW = datetime(2025, 6, 15, 15, 6, 40, tzinfo=UTC)
PLAIN_STATE = 28
ADDRESSES = ["full.main", "off.main"]
CONTENT = {"lease": "w7", "plan": {"step": 1}, "sessions.cache.a": [1, b"\0", None]}
GARBAGE = b"\xa5" * SIZE


@pytest.fixture
def old(root: Path, clock: Any) -> Path:
    """A store of such a build, at the instant when it was closed."""
    unpack(root)
    return root


def unpack(root: Path) -> None:
    content = zlib.decompress(base64.b85decode(GOLDEN))
    for number, place in enumerate(PLACES):
        (root / place).mkdir(parents=True, mode=0o700)
        (root / place / "data.mdb").write_bytes(content[number * SIZE : (number + 1) * SIZE])
        (root / place / "lock").touch()
    for name in ("pending", "places"):
        (root / "meta" / name).mkdir()


def home(root: Path, name: str) -> Path:
    return root / "addresses" / name


def journals(root: Path, name: str) -> list[str]:
    return sorted(path.name for path in home(root, name).glob("journal-*"))


def raw_state(root: Path, name: str) -> bytes:
    """Return the state in a data file that is not open."""
    path = str(home(root, name))
    with lmdb.open(path, readonly=True, create=False, lock=False) as environment, environment.begin() as transaction:
        return bytes(transaction.get(b"\0state") or b"")


def lose_power(root: Path, name: str) -> None:
    """Leave of an upgraded address only what a power loss leaves."""
    (home(root, name) / "data.mdb").write_bytes(GARBAGE)
    (home(root, name) / "marker").unlink(missing_ok=True)


def everything(keystore: Keystore) -> dict[str, tuple[object, int, datetime]]:
    entries = [keystore.entry(key) for key in keystore]
    return {entry.key: (entry.value, entry.revision, entry.updated_at) for entry in entries}


EVERYTHING = {
    "lease": (CONTENT["lease"], 3, NOW),
    "plan": (CONTENT["plan"], 1, NOW),
    "sessions.cache.a": (CONTENT["sessions.cache.a"], 4, NOW),
}


# -- what stays ----------------------------------------------------------------------------------------------------


def test_the_golden_store_is_one_without_journals(old: Path) -> None:
    for name in ADDRESSES:
        assert raw_state(old, name)[:2] == b"\1\1"
        assert len(raw_state(old, name)) == PLAIN_STATE
        assert sorted(path.name for path in home(old, name).iterdir()) == ["data.mdb", "lock"]


@pytest.mark.parametrize("name", ADDRESSES)
def test_values_and_revisions_stay(old: Path, name: str) -> None:
    with pronto_lmdb.open(old) as store:
        assert everything(store[name]) == EVERYTHING
        assert store[name].revision == 6
        store[name]["new"] = 1
        assert store[name].entry("new").revision == store[name].revision == 7
        assert len(store[name]) == 4


@pytest.mark.parametrize("name", ADDRESSES)
def test_expiry_and_the_defaults_of_namespaces_stay(old: Path, name: str, clock: Any) -> None:
    with pronto_lmdb.open(old) as store:
        keystore = store[name]
        assert (keystore.ttl("lease"), keystore.ttl("plan"), keystore.ttl("sessions.cache.a")) == (30, None, 3600)
        keystore["sessions.cache.b"] = 1
        assert keystore.ttl("sessions.cache.b") == 3600
        clock.advance(30)
        assert list(keystore) == ["plan", "sessions.cache.a", "sessions.cache.b"]
        assert keystore.sweep() == 1
        clock.advance(3600)
        assert (keystore.sweep(), list(keystore)) == (2, ["plan"])


def test_what_is_known_about_an_address_stays(old: Path) -> None:
    with pronto_lmdb.open(old) as store:
        full, off = store.info("full.main"), store.info("off.main")
        assert (full.durability, dict(full.labels), full.created_at) == ("full", {"team": "x"}, NOW)
        assert (off.durability, dict(off.labels), off.created_at) == ("off", {}, NOW)
        assert list(store.addresses()) == [full, off]


def test_a_deleted_address_comes_back_from_the_trash(old: Path) -> None:
    with pronto_lmdb.open(old) as store:
        assert [str(item.address) for item in store.trash()] == ["gone.main"]
        store.undelete("gone.main")
        assert everything(store["gone.main"]) == EVERYTHING
    lose_power(old, "gone.main")
    with pronto_lmdb.open(old) as store:
        assert everything(store["gone.main"]) == EVERYTHING


def test_a_deleted_address_can_be_purged(old: Path) -> None:
    with pronto_lmdb.open(old) as store:
        assert store.purge() == 1
        assert store.trash() == []
    assert list((old / "trash").iterdir()) == []


def test_a_lost_registry_is_made_anew_from_old_addresses(old: Path) -> None:
    shutil.rmtree(old / "meta" / "registry")
    with pronto_lmdb.open(old) as store:
        assert [str(info.address) for info in store.addresses()] == ADDRESSES
        assert [str(item.address) for item in store.trash()] == ["gone.main"]


def test_an_old_address_can_be_renamed_and_deleted(old: Path) -> None:
    with pronto_lmdb.open(old) as store:
        store.rename("full.main", "other.main")
        assert everything(store["other.main"]) == EVERYTHING
        store.delete("off.main")
        store.undelete("off.main")
        assert everything(store["off.main"]) == EVERYTHING


def test_a_quota_stays(old: Path) -> None:
    path = str(home(old, "full.main"))
    with lmdb.open(path) as environment, environment.begin(write=True) as transaction:
        identity = bytes(transaction.get(b"\0identity") or b"")
        changed = identity.replace(b"\xa9max_bytes\xc0", b"\xa9max_bytes\xce\x00\x03\x00\x00")
        assert changed != identity
        transaction.put(b"\0identity", changed)
    with pronto_lmdb.open(old) as store:
        assert store.info("full.main").max_bytes == 3 * 65536
        with pytest.raises(StoreFullError, match="quota"):
            store["full.main"].update({f"k{number}": "x" * 1_000 for number in range(300)})
        assert everything(store["full.main"]) == EVERYTHING


# -- the journal that it gets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_old_address_gets_a_journal_that_holds_everything(old: Path, name: str) -> None:
    with pronto_lmdb.open(old) as store:
        assert store[name]["plan"] == {"step": 1}
    (journal,) = home(old, name).glob("journal-*")
    assert Header.decode(journal.read_bytes(), "").genesis
    lose_power(old, name)
    with pronto_lmdb.open(old) as store:
        assert everything(store[name]) == EVERYTHING
        assert store[name].revision == 6
        assert store[name].ttl("lease") == 30
        store[name]["sessions.cache.b"] = 1
        assert store[name].ttl("sessions.cache.b") == 3600


def test_what_is_written_afterwards_survives_a_power_loss(old: Path) -> None:
    with pronto_lmdb.open(old) as store:
        store["full.main"]["new"] = 1
        del store["full.main"]["plan"]
    lose_power(old, "full.main")
    with pronto_lmdb.open(old) as store:
        assert list(store["full.main"]) == ["lease", "new", "sessions.cache.a"]


def test_the_first_use_may_be_a_write(old: Path) -> None:
    with pronto_lmdb.open(old) as store:
        assert store["off.main"].add("plan", 1) is False
        assert store["full.main"].increment("hits") == 1


def test_an_address_is_upgraded_when_it_is_used_and_not_before(old: Path) -> None:
    with pronto_lmdb.open(old) as store:
        assert len(list(store.addresses())) == 2
        store["new.comer"]["key"] = 1
        assert journals(old, "full.main") == []
        store["full.main"].get("plan")
        assert len(journals(old, "full.main")) == 1
        assert journals(old, "off.main") == []


def test_an_upgrade_happens_once(old: Path) -> None:
    with pronto_lmdb.open(old) as store:
        store["full.main"].get("plan")
    before = journals(old, "full.main")
    with pronto_lmdb.open(old) as store:
        store["full.main"].get("plan")
    assert journals(old, "full.main") == before


def test_the_registry_stays_what_it_was(old: Path) -> None:
    with pronto_lmdb.open(old) as store:
        store["full.main"].get("plan")
        store.config["timeout"] = "7"
    assert not [path.name for path in (old / "meta" / "registry").iterdir() if path.name.startswith(("j", "b", "m"))]


def test_the_level_of_an_old_address_can_be_changed(old: Path) -> None:
    with pronto_lmdb.open(old) as store:
        store.set_durability("off.main", "full")
        store.set_durability("full.main", "normal")
    for name, level in (("off.main", "full"), ("full.main", "normal")):
        lose_power(old, name)
        with pronto_lmdb.open(old) as store:
            assert (store.info(name).durability, everything(store[name])) == (level, EVERYTHING)


def test_many_records_get_into_the_journal(old: Path) -> None:
    path = str(home(old, "full.main"))
    with lmdb.open(path) as environment, environment.begin(write=True) as transaction:
        record = bytes(transaction.get(b"plan") or b"")
        for number in range(25_000):
            transaction.put(b"k%05d" % number, record)
    with pronto_lmdb.open(old) as store:
        assert len(store["full.main"]) == 25_003
        revision = store["full.main"].revision
        assert revision >= 6
    lose_power(old, "full.main")
    with pronto_lmdb.open(old) as store:
        assert len(store["full.main"]) == 25_003
        assert store["full.main"]["k24999"] == {"step": 1}
        assert store["full.main"].revision == revision


def test_where_nothing_names_the_boot_an_old_address_is_upgraded_too(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pronto_lmdb.marker._known_boot", [None])
    for _ in range(2):
        with pronto_lmdb.open(old) as store:
            assert everything(store["full.main"]) == EVERYTHING


# -- the old release -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ADDRESSES)
def test_processes_of_the_old_release_are_kept_out_from_then_on(old: Path, name: str) -> None:
    # They refuse every state that does not begin with version 1, before each write and at each opening.
    with pronto_lmdb.open(old) as store:
        store[name].get("plan")
    assert raw_state(old, name)[0] != 1
    assert len(raw_state(old, name)) != PLAIN_STATE


def test_an_upgrade_waits_for_a_writer_of_the_old_release(old: Path) -> None:
    program = """
        import fcntl, sys, lmdb
        lock = open(sys.argv[1] + "/lock", "r+")
        fcntl.flock(lock, fcntl.LOCK_EX)
        with lmdb.open(sys.argv[1], map_size=1 << 30) as environment:
            print("locked", flush=True)
            sys.stdin.readline()
            with environment.begin(write=True) as transaction:
                record = bytes(transaction.get(b"plan"))
                transaction.put(b"late", record)
        """
    writer = subprocess.Popen(
        [sys.executable, "-c", dedent(program), home(old, "full.main")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    found: list[object] = []
    with writer, pronto_lmdb.open(old) as store:
        assert writer.stdout.readline() == "locked\n"
        thread = Thread(target=lambda: found.append(store["full.main"].get("late")))
        thread.start()
        writer.stdin.write("go on\n")
        writer.stdin.flush()
        thread.join(30)
    assert found == [{"step": 1}]
    lose_power(old, "full.main")
    with pronto_lmdb.open(old) as store:
        assert store["full.main"]["late"] == {"step": 1}


# -- an upgrade that dies ------------------------------------------------------------------------------------------


def every_flush_and_commit_is_a_step() -> None:
    """Let ``killed_at`` kill before each flush of a file and each commit as well; called in its child."""

    def stepping(function: Callable[..., None]) -> Callable[..., None]:
        def step(handle: lmdb.Environment, *arguments: object) -> None:
            handle.sync()
            function(handle, *arguments)

        return step

    for name in ("store", "store_state"):
        setattr(recovery_module, name, stepping(getattr(recovery_module, name)))
    for module in (genesis_module, recovery_module):
        module.flush_data = lambda descriptor: os.fsync(descriptor)  # type: ignore[attr-defined]


@forks
@pytest.mark.parametrize("lost", [False, True], ids=["", "and the power fails"])
@pytest.mark.parametrize("name", ADDRESSES)
def test_an_upgrade_that_was_killed_anywhere_is_done_by_the_next(root: Path, clock: Any, name: str, lost: bool) -> None:
    def work() -> None:
        every_flush_and_commit_is_a_step()
        with pronto_lmdb.open(root) as store:
            assert store[name]["plan"] == {"step": 1}

    for step in itertools.count():
        shutil.rmtree(root, ignore_errors=True)
        unpack(root)
        died = killed_at(step, work)  # type: ignore[no-untyped-call]
        if journals(root, name):
            # Whoever may still write as the old release did must have been stopped before.
            assert raw_state(root, name)[0] != 1
            if lost:
                lose_power(root, name)
        with pronto_lmdb.open(root) as store:
            assert everything(store[name]) == EVERYTHING, step
            assert store[name].revision == 6
            store[name]["new"] = step
            store[name].sync()
        assert len(journals(root, name)) == 1
        assert {path.name for path in home(root, name).iterdir()} <= {
            "base", "data.mdb", "lock", "lock.mdb", "marker", *journals(root, name)
        }, step  # fmt: skip
        lose_power(root, name)
        with pronto_lmdb.open(root) as store:
            assert everything(store[name]).items() > EVERYTHING.items()
            assert store[name]["new"] == step
        if not died:
            break
    assert step > 5, "nothing was killed"


@forks
def test_processes_that_upgrade_one_address_at_once_agree(old: Path) -> None:

    def work() -> None:
        with pronto_lmdb.open(old) as store:
            assert everything(store["full.main"]).items() >= EVERYTHING.items()
            store["full.main"].increment("count")

    assert in_children([work] * 4) == [0] * 4
    with pronto_lmdb.open(old) as store:
        assert store["full.main"]["count"] == 4
        assert len(journals(old, "full.main")) == 1


# -- what cannot be upgraded ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [GARBAGE, GARBAGE[:5000]], ids=["garbage", "short"])
@pytest.mark.parametrize("name", ADDRESSES)
def test_a_damaged_old_address_is_reported_and_left_as_it_is(old: Path, name: str, content: bytes) -> None:
    (home(old, name) / "data.mdb").write_bytes(content)
    with pronto_lmdb.open(old) as store:
        with pytest.raises(CorruptStoreError) as caught:
            store[name].get("plan")
        assert caught.value.hint
        (other,) = {*ADDRESSES} - {name}
        assert everything(store[other]) == EVERYTHING
    assert (home(old, name) / "data.mdb").read_bytes() == content
    assert journals(old, name) == []


def test_an_empty_data_file_is_no_old_address(old: Path) -> None:
    (home(old, "full.main") / "data.mdb").write_bytes(b"")
    with pronto_lmdb.open(old) as store, pytest.raises(CorruptStoreError):
        store["full.main"].get("plan")
    assert journals(old, "full.main") == []


def test_an_upgraded_address_that_has_lost_its_journal_and_its_marker_is_not_upgraded_again(old: Path) -> None:
    with pronto_lmdb.open(old) as store:
        store["full.main"]["new"] = 1
    for path in home(old, "full.main").glob("journal-*"):
        path.unlink()
    (home(old, "full.main") / "marker").unlink()
    with pronto_lmdb.open(old) as store, pytest.raises(CorruptStoreError, match="journal"):
        store["full.main"].get("plan")
    assert journals(old, "full.main") == []


# -- reading only --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_store_that_only_reads_shows_old_addresses(old: Path, name: str) -> None:
    with pronto_lmdb.open(old, readonly=True) as store:
        assert everything(store[name]) == EVERYTHING
        with pytest.raises(ReadOnlyError):
            store[name]["new"] = 1
        assert len(store[name]) == 3


@forks
def test_who_may_not_write_reads_old_addresses_as_they_are(clock: Any) -> None:
    def look() -> None:
        with pronto_lmdb.open(root) as store:
            for name in ADDRESSES:
                assert everything(store[name]) == EVERYTHING
                with pytest.raises(ReadOnlyError):
                    store[name]["new"] = 1

    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        root = Path(directory) / "store"
        unpack(root)
        for name in ADDRESSES:
            (home(root, name) / "lock.mdb").touch()
        for path in [root, *root.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        for path in root.rglob("lock.mdb"):
            path.chmod(0o666)
        assert as_nobody_special(look) == 0
        assert list(root.rglob("journal-*")) == []
        for path in [root, *root.rglob("*")]:
            path.chmod(0o700)
