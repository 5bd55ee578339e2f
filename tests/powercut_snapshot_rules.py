"""The rules by which snapshots, restores, copies, exports and migrations last, each with a way to take it away."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager

from powercut_observer import replace_everywhere
from powercut_rules import RULES as COMMIT_RULES
from powercut_rules import _leave_out_inside, _nothing, _replace, _without

import pronto_cli.files
from pronto_lmdb import adoption, archive, creation, files, installation, lifecycle, places, snapshots, taking
from pronto_lmdb.directory import Directory
from pronto_lmdb.identity import LIVE, State
from pronto_lmdb.manifest import NAME
from pronto_lmdb.pool import pool
from pronto_lmdb.snapshots import Snapshots
from pronto_lmdb.taking import Taker

RULES = {}
# In which scene each of them matters.
SCENE_OF = {}


def _rule(name, scene):
    def note(take_away):
        RULES[name] = take_away
        SCENE_OF[name] = scene
        return take_away

    return note


class _WithoutFlush:
    """Module ``os`` for one module of the library, without flushes of files or of directories."""

    def __init__(self, skipped):
        self._skipped = skipped

    def __getattr__(self, name):
        return getattr(os, name)

    def fsync(self, descriptor):
        if not self._skipped(os.fstat(descriptor).st_mode):
            os.fsync(descriptor)


def _with_os(module):
    """Return what makes a durable file, with another module ``os`` for as long as it is made."""

    @contextmanager
    def durable_file(path, original=files.durable_file):
        files.os = module
        try:
            with original(path) as file:
                yield file
        finally:
            files.os = os

    return durable_file


def _write_in_memory(path, text):
    """Write a small file as a whole, but not to the disk."""
    with open(f"{path}.tmp", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.tmp", path)


def _make_in_memory(path):
    os.makedirs(path, 0o700, exist_ok=True)


# -- snapshots -------------------------------------------------------------------------------------------------------


@_rule("the data files of a snapshot are flushed", "backup")
def _unflushed_data():
    _skip_flush(lambda path: not path.endswith(NAME))


@_rule("the manifest is flushed", "backup")
def _unflushed_manifest():
    _skip_flush(lambda path: path.endswith(NAME))


def _skip_flush(skipped):
    def flush(paths, original=taking._flush):
        original([path for path in paths if not skipped(path)])

    _replace(taking, _flush=flush)


@_rule("the names in a snapshot are flushed before it gets its own", "backup")
def _unflushed_names():
    _replace(taking, sync_directory=_nothing)


@_rule("a snapshot gets its name when all of it is on the disk", "backup")
def _early_name():
    """Give it its name first, and flush everything under that."""

    def finish(self, manifest, original=Taker.finish):
        with _without(taking, "_flush"), _without(taking, "sync_directory"):
            original(self, manifest)

    def publish(self, built, name, original=Snapshots.publish):
        path = original(self, built, name)
        taking._flush([os.path.join(path, entry) for entry in os.listdir(path)])
        files.sync_directory(path)
        return path

    _replace(Taker, finish=finish)
    _replace(Snapshots, publish=publish)


@_rule("the name of a snapshot is flushed", "backup")
def _unflushed_name():
    _replace(Snapshots, publish=_leave_out_inside(Snapshots.publish, snapshots, "sync_directory"))


@_rule("the directory of the snapshots is flushed", "backup")
def _unflushed_place():
    _replace(snapshots, make_directory=_make_in_memory)


@_rule("a file is shared where its bytes are the same, not its revision", "backup")
def _shared_by_revision():
    def settled(self, address, found, mark, original=Taker._settled):
        known = self._earlier.known.get(str(address))
        said = (found.identity.id, found.state.revision, found.state.generation)
        if known is not None and said == tuple(known[1][name] for name in ("id", "revision", "generation")):
            line = self._linked(address, mark)
            if line is not None:
                return line
        return original(self, address, found, mark)

    _replace(Taker, _settled=settled)


@_rule("a snapshot loses its name before its files go", "backup")
def _removed_in_place():
    _replace(Snapshots, remove=lambda self, name: files.remove_tree(self.path(name)))


@_rule("that it lost its name is flushed before its files go", "backup")
def _unflushed_removal():
    _replace(Snapshots, remove=_leave_out_inside(Snapshots.remove, snapshots, "sync_directory"))


@_rule("what a killed backup or pruning left is swept", "backup")
def _unswept():
    @contextmanager
    def locked(self):
        files.make_directory(self.place)
        with pool.passing(self.place, files.DirectoryLock) as lock:
            lock.acquire(self._timeout)
            yield

    _replace(Snapshots, locked=locked)


@_rule("where a snapshot lies that was taken elsewhere is flushed", "elsewhere")
def _unflushed_elsewhere():
    _replace(snapshots, write_durably=_write_in_memory)


# -- files to carry away ---------------------------------------------------------------------------------------------


@_rule("an archive is flushed before it gets its name", "elsewhere")
def _unflushed_archive():
    _replace(archive, durable_file=_with_os(_WithoutFlush(stat.S_ISREG)))


@_rule("the name of an archive is flushed", "elsewhere")
def _unflushed_archive_name():
    _replace(archive, durable_file=_with_os(_WithoutFlush(stat.S_ISDIR)))


@_rule("an export is flushed before it gets its name", "elsewhere")
def _unflushed_export():
    _replace(pronto_cli.files, os=_WithoutFlush(stat.S_ISREG))


@_rule("the name of an export is flushed", "elsewhere")
def _unflushed_export_name():
    _replace(pronto_cli.files, os=_WithoutFlush(stat.S_ISDIR))


# -- restore and copy ------------------------------------------------------------------------------------------------


for _name, _known in {
    "what is built beside is flushed": "a new keystore is flushed",
    "a moved directory is flushed": "a moved directory is flushed",
    "a keystore says where it belongs before it is moved": "a keystore says where it belongs before it is moved",
    "a note is left before something is put where nothing is": "a note is left before a life-cycle operation",
}.items():
    _rule(_name, "restore")(COMMIT_RULES[_known])


@_rule("the names in what is built are flushed", "restore")
def _unflushed_names_inside():
    replace_everywhere(creation.build, _leave_out_inside(creation.build, Directory, "sync"))


@_rule("the directory that something is built in is flushed", "restore")
def _unflushed_stage():
    _replace(installation, sync_directory=_nothing)


@_rule("a note is left before what is there is replaced", "restore")
def _unnoted():
    def leave_none(path, _):
        open(path, "x").close()

    _replace(installation, write_durably=leave_none)


@_rule("the note of a replacement is flushed", "restore")
def _unflushed_note():
    _replace(installation, write_durably=_write_in_memory)


@_rule("the note of any other installation is flushed", "restore")
def _unflushed_installation():
    _replace(lifecycle, write_durably=_write_in_memory)


@_rule("what waits for its place is not alive", "restore")
def _alive_too_early():
    class Alive(State):
        def __init__(self, _, *counters):
            super().__init__(LIVE, *counters)

    _replace(installation, State=Alive)


@_rule("what is replaced is marked before it is moved", "restore")
def _moved_unmarked():
    def finish(self, note):
        os.rename(note["home"], note["trash"])
        os.rename(note["built"], note["home"])
        return original(self, note)

    original = installation.Installation.finish_replacing
    _replace(lifecycle.Lifecycle, finish_replacing=finish)


@_rule("where an address lies outside the root is forgotten durably", "outside the root")
def _forgotten_in_memory():
    _replace(places, sync_directory=_nothing)


@_rule("where an address would have been made is forgotten", "outside the root")
def _unforgotten():
    _replace(places.Places, forget_unmade=_nothing)


# -- migration -------------------------------------------------------------------------------------------------------


@_rule("what a migration has built is moved durably", "migration")
def _unflushed_adoption():
    def move(source, target):
        with _without(files, "sync_directory"):
            files.move(source, target)

    _replace(adoption, move=move)
