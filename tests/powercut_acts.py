"""What a process does with snapshots, copies and old databases, whose power is cut (``powercut_snapshots``).

Each act does something to a store, and the same to a model of it in plain dicts. So the model says at any time what
was promised, and after a power cut what may be there. An act can be done again on whatever a power cut left.
"""

from __future__ import annotations

import copy
import gzip
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

from old_program import OldDatabase
from powercut import describe

from pronto_cli.files import opened_sink
from pronto_cli.streams import Streams
from pronto_lmdb.archive import unpack
from pronto_lmdb.content import DataFile
from pronto_lmdb.errors import SnapshotError
from pronto_lmdb.exchange import export_lines
from pronto_lmdb.migration import migrate
from pronto_lmdb.record import FIRST_USER_KEY, packed_value
from pronto_lmdb.snapshots import read_manifest
from pronto_lmdb.values import unpack as unpacked

# LOOSE is kept at normal, IDLE at off; BUSY is written to beside the acts; APART lies outside the root, and OLD comes
# from the old program.
ALICE, BOB, LOOSE, IDLE, BUSY, APART, FORK, OLD = (
    f"{user}.main" for user in ("alice", "bob", "loose", "idle", "busy", "apart", "fork", "old")
)
NAMES = (ALICE, BOB, LOOSE, IDLE, BUSY, APART, FORK, OLD)
WEAK = {LOOSE, IDLE}  # what was written to these need not survive
ARCHIVE, LINES, PACKED_LINES = "a.tar.gz", "a.jsonl", "a.jsonl.gz"
EMPTY = {"addresses": {}, "trash": {}, "snapshots": {}, "elsewhere": {}, "known": {}, "files": {}}


class Places:
    """Where everything of one play lies.

    Args:
        directory: of the play; ``disk`` below it is the disk whose power is cut.

    """

    def __init__(self, directory):
        self.disk = os.path.join(directory, "disk")
        self.root = os.path.join(self.disk, "root")
        self.elsewhere = os.path.join(self.disk, "elsewhere")
        self.apart = os.path.join(self.disk, "apart", "place")
        self.old = [os.path.join(directory, "old", str(number), "pronto.main.prdb") for number in (1, 2)]

    def file(self, name):
        return os.path.join(self.disk, name)


class Actor:
    """Does what the acts say, to a store and to the model.

    Args:
        places: where everything lies.
        store: what is acted on.
        model: what it holds, as far as it was promised.
        say: called with what happens in the middle of an act.

    """

    def __init__(self, places, store, model, say=lambda *_: None):
        self.places = places
        self.say = say
        self.store = store
        self.model = copy.deepcopy(model)
        self.addresses = self.model["addresses"]

    def replace(self, name, content):
        """Note that an address holds something else; what was there goes to the trash."""
        if name in self.addresses:
            self.model["trash"].setdefault(name, []).append(self.addresses[name])
        self.addresses[name] = dict(content)

    def oldest(self, name):
        """Return the oldest snapshot that holds an address, and what it holds."""
        snapshots = self.model["snapshots"]
        chosen = min(number for number, content in snapshots.items() if name in content)
        return chosen, snapshots[chosen]


def put(name, key, value):
    """Return the act of writing a record."""

    def put(actor):
        actor.store[name].put(key, value)
        actor.addresses.setdefault(name, {})[key] = value

    return put


def create(name, **options):
    """Return the act of creating an address, unless it is there."""

    def create(actor):
        if name not in actor.addresses:
            actor.store.create(name, **options)
            actor.addresses[name] = {}

    return create


def create_apart(actor):
    create(APART, path=actor.places.apart)(actor)


def delete(name):
    """Return the act of deleting an address, if it is there."""

    def delete(actor):
        if name in actor.addresses:
            actor.store.delete(name)
            actor.model["trash"].setdefault(name, []).append(actor.addresses.pop(name))
        assert not actor.store.exists(name)

    return delete


def take(actor):
    made = actor.store.backup()
    actor.model["snapshots"][made.id] = copy.deepcopy(actor.addresses)


def take_beside_a_writer(actor):
    """Take a snapshot while a thread counts; it holds both of its numbers as of one moment."""
    last = actor.addresses.get(BUSY, {}).get("n", 0) + 1
    keystore, ended = actor.store[BUSY], Event()

    def write(number):
        keystore.update({"n": number, "again": number})
        actor.say("wrote", number)
        return number

    def count():
        number = last
        while not ended.is_set():
            number = write(number + 1)
        return number

    write(last)
    with ThreadPoolExecutor(1) as others:
        counting = others.submit(count)
        try:
            made = actor.store.backup()
        finally:
            ended.set()
        held = held_by(str(made.path))[BUSY]
        assert last <= held["n"] == held["again"] <= counting.result()
    actor.model["snapshots"][made.id] = {**copy.deepcopy(actor.addresses), BUSY: held}
    actor.addresses.setdefault(BUSY, {}).update({"n": counting.result(), "again": counting.result()})


def take_elsewhere(actor):
    made = actor.store.backup(dest=actor.places.elsewhere)
    actor.model["elsewhere"][made.id] = copy.deepcopy(actor.addresses)
    actor.model["known"][made.id] = True


def take_archive(actor):
    actor.store.backup(archive=actor.places.file(ARCHIVE))
    actor.model["files"][ARCHIVE] = copy.deepcopy(actor.addresses)


def export(name):
    """Return the act of writing an address to a file, as the command does."""

    def export(actor):
        with opened_sink(actor.places.file(name), Streams(None, None, None)) as write:
            for piece in export_lines(actor.store[ALICE]):
                write(piece)
        actor.model["files"][name] = dict(actor.addresses[ALICE])

    return export


def prune(actor):
    actor.store.prune(keep_last=1)
    _keep_newest(actor.model["snapshots"])


def prune_elsewhere(actor):
    actor.store.prune(keep_last=1, dest=actor.places.elsewhere)
    _keep_newest(actor.model["elsewhere"])
    actor.model["known"] = {name: True for name in actor.model["elsewhere"] if name in actor.model["known"]}


def _keep_newest(snapshots):
    for name in sorted(snapshots)[:-1]:
        del snapshots[name]


def restore(name, to=None):
    """Return the act of bringing back an address from the oldest snapshot that holds it."""

    def restore(actor):
        chosen, content = actor.oldest(name)
        target = to or name
        actor.store.restore(chosen, name, to=to, overwrite=target in actor.addresses)
        actor.replace(target, content[name])

    return restore


def restore_all(actor):
    chosen, content = actor.oldest(ALICE)
    actor.store.restore(chosen, overwrite=True)
    for name in content:
        actor.replace(name, content[name])


def duplicate(source, target):
    """Return the act of copying an address."""

    def duplicate(actor):
        actor.store.copy(source, target, overwrite=target in actor.addresses)
        actor.replace(target, actor.addresses[source])

    return duplicate


def take_over(number):
    """Return the act of taking over one of the old databases, into a new address or one that is there."""

    def take_over(actor):
        report = migrate(actor.places.old[number], actor.store, mapping={"main": OLD}, on_conflict="newest")
        assert report.ok
        actor.addresses.setdefault(OLD, {}).update(_meant(number))

    return take_over


def _meant(number):
    return {f"p.n.k{place}": f"old {number}.{place}" for place in range(20 * number, 20 * number + 30)}


def make_old_databases(places):
    """Write the databases that :func:`take_over` takes; the second overwrites some keys of the first."""
    for number, path in enumerate(places.old):
        with OldDatabase(Path(path), now=1_757_500_000 + number) as database:
            for key, value in _meant(number).items():
                database.set(key, value)


BEGIN = [
    put(ALICE, "x", 1), put(ALICE, "large", "v" * 1500), put(BOB, "y", [1, 2]),
    create(LOOSE, durability="normal"), put(LOOSE, "z", 0),
]  # fmt: skip
# What each play consists of.
SCENES = {
    "backup": [
        *BEGIN, take, put(ALICE, "x", 2), put(LOOSE, "z", 1), take, put(LOOSE, "z", 2), take, put(BOB, "y", "new"),
        take, prune, put(ALICE, "x", 3),
    ],
    "beside a writer": [
        *BEGIN, create(BUSY), take_beside_a_writer, put(ALICE, "x", 2), take_beside_a_writer, restore(BUSY),
    ],
    "elsewhere": [
        *BEGIN, take_elsewhere, put(ALICE, "x", 2), take_elsewhere, prune_elsewhere, take_archive, put(ALICE, "x", 3),
        take_archive, export(LINES), export(PACKED_LINES), put(ALICE, "x", 4), export(LINES),
    ],
    "restore": [
        *BEGIN, create(IDLE, durability="off"), put(IDLE, "w", 0), take, put(ALICE, "x", 2), put(BOB, "y", "new"),
        restore(ALICE), put(ALICE, "x", 3), restore(ALICE, FORK), restore_all, put(ALICE, "x", 4), delete(BOB),
        restore(BOB), put(BOB, "y", "newer"),
    ],
    "outside the root": [
        *BEGIN, create_apart, put(APART, "x", 1), take, put(APART, "x", 2), restore(APART), put(APART, "x", 3),
        duplicate(ALICE, APART), put(APART, "x", 4), delete(APART), put(ALICE, "x", 5), create_apart,
        put(APART, "x", 6),
    ],
    "copy": [
        *BEGIN, duplicate(ALICE, FORK), put(FORK, "x", 2), put(ALICE, "x", 3), duplicate(ALICE, BOB),
        duplicate(LOOSE, FORK), put(BOB, "x", 4),
    ],
    "migration": [*BEGIN, take_over(0), put(OLD, "x", 1), take, take_over(1), put(OLD, "x", 2)],
}  # fmt: skip


# -- what there is ---------------------------------------------------------------------------------------------------


def found_in(places, store):
    """Return what a store and the files beside it hold, in the form of the model; damage is an error."""
    trash = {}
    for item in store.trash():
        trash.setdefault(str(item.address), []).append(_content(describe(str(item.path))[2]))
    elsewhere = {item.id: held_by(str(item.path)) for item in store.snapshots(places.elsewhere)}
    return {
        "addresses": {str(info.address): dict(store[info.address].items()) for info in store.addresses()},
        "trash": trash,
        "snapshots": {item.id: held_by(str(item.path)) for item in store.snapshots()},
        "elsewhere": elsewhere,
        "known": {name: True for name in elsewhere if _is_known(store, name)},
        "files": {name: READERS[name](path) for name in READERS if os.path.exists(path := places.file(name))},
    }


def _is_known(store, name):
    try:
        return store.snapshot(name).id == name
    except SnapshotError:
        return False


def held_by(place):
    """Return what a snapshot holds, each data file compared with its checksum."""
    found = {}
    for entry in read_manifest(place).entries():
        with DataFile(place, entry) as file:
            file.check()
            found[entry.address] = _content(dict(file.entries()))
    return found


def _content(stored):
    return {key.decode(): unpacked(packed_value(record)) for key, record in stored.items() if key >= FIRST_USER_KEY}


def _packed(path):
    with TemporaryDirectory() as place:
        unpack(path, place)
        return held_by(place)


def _lines(path):
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as file:
        return {line["key"]: line["value"] for line in map(json.loads, file)}


READERS = {ARCHIVE: _packed, LINES: _lines, PACKED_LINES: _lines}
