"""What becomes of snapshots whose files are damaged: found, refused, or what was saved; and nothing else is touched."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pronto_lmdb import FormatVersionError, ProntoError, SnapshotError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from pronto_lmdb import Snapshot, Store
    from pronto_lmdb.results import SnapshotContent

Contents = dict[str, dict[str, Any]]

MANIFEST = "manifest.json"
# What has this name is no snapshot, whatever it is.
STRANGER = "20260101-000000-000000-abcd"


class Failure(AssertionError):  # noqa: N818 - as pytest calls it
    """A case came out as it must not."""


class Saved(NamedTuple):
    """A snapshot as it was taken."""

    taken: Snapshot
    listed: list[SnapshotContent]
    files: dict[str, bytes]
    """By name, the manifest included."""
    contents: Contents
    """What a restore must bring back, by address."""


def saved(store: Store, *addresses: str, label: str) -> Saved:
    """Take a snapshot, and remember all that it must show."""
    taken = store.backup(addresses, label)
    files = {path.name: path.read_bytes() for path in taken.path.iterdir()}
    contents = {address: dict(store[address].items()) for address in addresses}
    return Saved(taken, store.contents(taken), files, contents)


def judge(store: Store, snapshots: list[Saved], chance: random.Random) -> None:
    """Look at every snapshot and try to restore it.

    Args:
        store: that they belong to, itself unharmed.
        snapshots: as they were taken.
        chance: decides which way they are looked at.

    Raises:
        Failure: if one is not what it must be.

    """
    damaged = [_damaged_files(snapshot) for snapshot in snapshots]
    _list(store, snapshots, damaged)
    for snapshot, files in zip(snapshots, damaged, strict=True):
        _look(store, snapshot, files)
        _verify(store, snapshot, files, deep=chance.random() < 0.3)
    _look_at_strangers(store)
    if chance.random() < 0.2:
        _take_another(store, snapshots[-1], damaged[-1])
    # Last, because it changes the store where it succeeds.
    for number in chance.sample(range(len(snapshots)), len(snapshots)):
        _restore(store, snapshots[number], damaged[number], chance)


def _damaged_files(snapshot: Saved) -> set[str]:
    """Return the names of the files that are not as they were written."""
    path = snapshot.taken.path
    return {name for name, content in snapshot.files.items() if not _holds(path / name, content)}


def _holds(path: Path, content: bytes) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode) and path.read_bytes() == content
    except OSError:
        return False


def _answer(question: Callable[[], Any]) -> Any:
    """Return an answer, or the error with which it is refused."""
    try:
        return question()
    except (SnapshotError, FormatVersionError) as error:
        if not error.hint:
            raise Failure(f"no hint: {error!r}") from error
        return error


def _list(store: Store, snapshots: list[Saved], damaged: list[set[str]]) -> None:
    listed = store.snapshots()
    expected = [item.taken for item, files in zip(snapshots, damaged, strict=True) if MANIFEST not in files]
    if listed != expected:
        raise Failure(f"listed {listed}, and not {expected}")


def _look(store: Store, snapshot: Saved, damaged: set[str]) -> None:
    for shown, expected in (
        (_answer(lambda: store.snapshot(snapshot.taken.id)), snapshot.taken),
        (_answer(lambda: store.contents(snapshot.taken.id)), snapshot.listed),
    ):
        if not (isinstance(shown, ProntoError) if MANIFEST in damaged else shown == expected):
            raise Failure(f"damaged {damaged}: {shown!r}")


def _look_at_strangers(store: Store) -> None:
    for question in (lambda: store.snapshot(STRANGER), lambda: store.verify(STRANGER), lambda: store.restore(STRANGER)):
        if not isinstance(_answer(question), ProntoError):
            raise Failure("a stranger is taken for a snapshot")


def _take_another(store: Store, last: Saved, damaged: set[str]) -> None:
    """Take one more snapshot, which shares with the last what has not changed and looks whole from outside."""
    taken = _answer(lambda: store.backup(last.contents))
    if isinstance(taken, ProntoError):
        raise Failure(f"no snapshot can be taken: {taken!r}")
    blamed = {_data_file(str(problem.address)) for problem in store.verify(taken).problems}
    if not blamed <= damaged or not all(stat.S_ISREG(path.lstat().st_mode) for path in taken.path.iterdir()):
        raise Failure(f"a new snapshot has damaged files: {blamed}")


def _verify(store: Store, snapshot: Saved, damaged: set[str], *, deep: bool) -> None:
    report = _answer(lambda: store.verify(snapshot.taken.id, deep=deep))
    if isinstance(report, ProntoError):
        if MANIFEST not in damaged:
            raise Failure(f"cannot be verified: {report!r}")
        return
    if report.ok != (not damaged) or report.ok != (not report.problems):
        raise Failure(f"damaged {damaged}, but verify says {report}")
    if MANIFEST not in damaged:
        blamed = {str(problem.address) for problem in report.problems}
        harmed = {address for address in snapshot.contents if _data_file(address) in damaged}
        if blamed != harmed:
            raise Failure(f"verify blames {blamed}, and not {harmed}")


def _restore(store: Store, snapshot: Saved, damaged: set[str], chance: random.Random) -> None:
    names = chance.sample(sorted(snapshot.contents), chance.randint(1, len(snapshot.contents)))
    before = _everything(store)
    to = "r.estored" if len(names) == 1 and chance.random() < 0.5 else None
    done = _answer(lambda: store.restore(snapshot.taken.id, names, to, overwrite=True))
    harmed = damaged & {MANIFEST, *map(_data_file, names)}
    if isinstance(done, ProntoError) != bool(harmed):
        raise Failure(f"damaged {damaged}, restored {names}: {done!r}")
    after = _everything(store)
    if harmed:
        if after != before:
            raise Failure(f"a refused restore has changed the store: {before} became {after}")
        return
    targets = {to or name: snapshot.contents[name] for name in names}
    if after[0] != before[0] | targets:
        raise Failure(f"restored {names} from {snapshot.taken.label}: {after[0]}")


def _everything(store: Store) -> tuple[Contents, list[str], list[str]]:
    """Return what all addresses hold, and what lies where a refused restore might leave something."""
    contents = {str(info.address): dict(store[info.address].items()) for info in store.addresses()}
    places = ("addresses", "trash", "meta", "meta/pending", "meta/adoption")
    names = [f"{place}/{path.name}" for place in places for path in Path(store.path, place).glob("*")]
    return contents, sorted(names), sorted(item.trash_id for item in store.trash())


def _data_file(address: str) -> str:
    return f"{address}.journal"
