"""The rules of the commit path, each with a way to take it away: so that the simulator is seen to miss it.

Each function changes the library inside the process that calls it, which is a worker or one that recovers.
"""

from __future__ import annotations

import os
import zlib
from contextlib import contextmanager

from powercut_observer import replace_everywhere

from pronto_lmdb import checkpoint, compaction, files, genesis, journal, journal_format, marker, recovery, steps
from pronto_lmdb.commit import Commit
from pronto_lmdb.directory import Directory
from pronto_lmdb.group_commit import GroupCommit
from pronto_lmdb.journal import Journal
from pronto_lmdb.journaled import JournaledEnvironment
from pronto_lmdb.journaled_commit import JournaledCommit

RULES = {}


def _rule(name):
    def note(take_away):
        RULES[name] = take_away
        return take_away

    return note


def _nothing(*_, **__):
    """Stand in for a step that is left out."""


def _replace(place, **steps):
    """Put other steps in the place of those of a class or module; each must be there, or the rule means nothing."""
    for name, step in steps.items():
        assert name in vars(place), f"{place.__name__} has no {name}: follow the library"
        setattr(place, name, step)


@contextmanager
def _without(place, name):
    """Leave a step out for a while."""
    kept = vars(place)[name]
    setattr(place, name, _nothing)
    try:
        yield
    finally:
        setattr(place, name, kept)


def _leave_out_inside(function, place, name):
    """Replace a function by one during which a step is left out."""

    def changed(*arguments):
        with _without(place, name):
            return function(*arguments)

    replace_everywhere(function, changed)
    return changed


# -- the commit ------------------------------------------------------------------------------------------------------


@_rule("a commit is flushed before it is acknowledged")
def _unflushed():
    _replace(JournaledEnvironment, flush=_nothing)


@_rule("an answer without a change is flushed too")
def _unflushed_answer():
    def commit(self, original=JournaledCommit.commit):
        (original if self._log else Commit.commit)(self)

    _replace(JournaledCommit, commit=commit)


@_rule("a frame is written at the position, not at the end of the file")
def _append():
    def write(self, frame, position, end, original=Journal.write):
        size = os.fstat(self._descriptor).st_size
        original(self, frame, size, size + end - position)

    _replace(Journal, write=write, _reserve=_nothing)


@_rule("a flush covers what was committed, not the size of the file")
def _flush_by_size():
    def flush(self, original=Journal._flush):
        size = os.fstat(self._descriptor).st_size
        original(self)
        self.flushed = size

    _replace(Journal, _flush=flush, _reserve=_nothing)


@_rule("a refused write is taken back")
def _kept():
    _replace(JournaledCommit, _take_back=_nothing)


@_rule("every frame of a refused group is taken back")
def _first_taken_back():
    _replace(GroupCommit, _take_back=JournaledCommit._take_back)


@_rule("it is taken back durably")
def _taken_back_in_memory():
    _replace(Journal, take_back=_leave_out_inside(Journal.take_back, journal, "flush_data"))


@_rule("the checksum of a frame continues that of the frame before")
def _unchained():
    head = journal_format._FRAME.size

    def checksum(data, seed=0):
        return zlib.crc32(data, 0 if len(data) == head else seed)

    _replace(journal_format, crc32=checksum)


@_rule("after a failed flush a checkpoint comes first")
def _unhealed():
    _replace(Journal, _spoil=_nothing)


@_rule("a process that comes later learns of a failed flush")
def _untold():
    def spoil(self):
        self.spoiled = True

    _replace(Journal, _spoil=spoil)


# -- the checkpoint --------------------------------------------------------------------------------------------------


@_rule("the header of the new journal is flushed")
def _unflushed_header():
    create = Journal.create.__func__

    def changed(cls, *arguments):
        with _without(journal, "flush_data"):
            return create(cls, *arguments)

    _replace(Journal, create=classmethod(changed))


@_rule("the new base is flushed")
def _unflushed_base():
    _replace(checkpoint, flush_data=_nothing)


@_rule("the names are flushed before the base gets its own")
def _unflushed_names():
    class Unsynced:
        def __init__(self, directory):
            self._directory = directory

        def __getattr__(self, name):
            return _nothing if name == "sync" else getattr(self._directory, name)

    _around_write_base(after=lambda environment, _: setattr(environment, "directory", Unsynced(environment.directory)))

    def finish(environment, *arguments, original=checkpoint.finish_checkpoint):
        environment.directory = environment.directory._directory
        original(environment, *arguments)

    _replace(checkpoint, finish_checkpoint=finish)


@_rule("the name of the base is flushed before the old journal goes")
def _unflushed_base_name():
    _replace(checkpoint, finish_checkpoint=_leave_out_inside(checkpoint.finish_checkpoint, Directory, "sync"))


@_rule("a compaction flushes the name of the base before the old journal goes")
def _unflushed_base_name_in_compaction():
    _replace(compaction, _replace_view=_leave_out_inside(compaction._replace_view, Directory, "sync"))


@_rule("the old journal goes after the base has its name")
def _early_unlink():
    def after(environment, state):
        checkpoint.remove_other_journals(environment.directory, state.journal)

    _around_write_base(after=after)


@_rule("a checkpoint under way is marked")
def _unmarked():
    def commit_state(self, state, timeout, original=JournaledEnvironment.commit_state):
        previous, state.previous = state.previous, None
        original(self, state, timeout)
        state.previous = previous

    _replace(JournaledEnvironment, commit_state=commit_state)


@_rule("the mark stays until the base has its name")
def _mark_cleared_early():
    def before(environment, state):
        previous, state.previous = state.previous, None
        environment.commit_state(state, 1.0)
        state.previous = previous

    _around_write_base(before=before)


@_rule("the next writer heeds the mark")
def _mark_ignored():
    def resolve(environment, state, timeout):
        state.previous = None

    replace_everywhere(checkpoint.resolve, resolve)


@_rule("a checkpoint that came to its end is not undone")
def _always_undo():
    def resolve(environment, state, timeout):
        checkpoint._undo(environment, state, timeout, longer=False)

    replace_everywhere(checkpoint.resolve, resolve)


@_rule("a checkpoint that did not come to its end is undone")
def _always_finish():
    def resolve(environment, state, timeout):
        checkpoint.finish_checkpoint(environment, state, 0, timeout)

    replace_everywhere(checkpoint.resolve, resolve)


@_rule("who ends the checkpoint of another flushes the name of the base")
def _resolve_in_memory():
    _leave_out_inside(checkpoint.resolve, Directory, "sync")


def _around_write_base(before=_nothing, after=_nothing):
    """Do something before or after the base is written; it gets the environment and the state of the checkpoint."""
    under_way = []

    def noting(environment, state, timeout, original=checkpoint.checkpoint):
        under_way[:] = [state]
        return original(environment, state, timeout)

    def write_base(environment, directory, original=checkpoint._write_base):
        before(environment, under_way[0])
        size = original(environment, directory)
        after(environment, under_way[0])
        return size

    replace_everywhere(checkpoint.checkpoint, noting)
    _replace(checkpoint, _write_base=write_base)


# -- recovery --------------------------------------------------------------------------------------------------------


@_rule("the view of another boot is not opened")
def _trusting():
    replace_everywhere(marker.trust, lambda _: marker.TRUSTED)


@_rule("recovery writes the journal anew")
def _same_inode():
    _replace(recovery, _settle_journal=_nothing)


@_rule("recovery flushes the journal")
def _unflushed_recovery():
    _replace(recovery, flush_data=_nothing)


@_rule("recovery flushes the name of the journal")
def _unflushed_recovered_name():
    _replace(recovery, _settle_journal=_leave_out_inside(recovery._settle_journal, Directory, "sync"))


# -- levels and the life cycle ---------------------------------------------------------------------------------------


@_rule("leaving `off`, and sync() there, is a checkpoint")
def _no_checkpoint_when_leaving_off():
    _replace(JournaledCommit, checkpoint=_nothing)


@_rule("a new keystore is flushed")
def _unflushed_genesis():
    _replace(genesis, flush_data=_nothing)


@_rule("a keystore says where it belongs before it is moved")
def _moved_unflushed():
    _replace(JournaledCommit, sync=JournaledCommit.abort)


@_rule("a moved directory is flushed")
def _unflushed_move():
    replace_everywhere(files.move, _leave_out_inside(files.move, files, "sync_directory"))


@_rule("a note is left before a life-cycle operation")
def _unnoted():
    @contextmanager
    def noted(self, **note):
        yield note | {"generation": self._generation(note)}

    _replace(steps.Steps, _noted=noted)
