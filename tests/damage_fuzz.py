"""Damage any file of a store in any way, then use it: a typed error or what was written, and never a crash.

``python tests/damage_fuzz.py DIRECTORY FIRST COUNT`` plays so many cases in one process, each from a seed of its own; a
case that fails ends it with a message, and one that crashes the interpreter with whatever signal that is. The file
``DIRECTORY/case`` names the case that is being played.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lmdb
from snapshot_fuzz import STRANGER, Failure, judge, saved

import pronto_lmdb
from pronto_lmdb import ProntoError
from pronto_lmdb.directory import Directory
from pronto_lmdb.marker import mark
from pronto_lmdb.pool import pool

if TYPE_CHECKING:
    from collections.abc import Callable

VICTIM, NEIGHBOUR, DELETED = "a.victim", "b.neighbour", "c.deleted"
# What each key ever held, newest last.
History = dict[str, list[Any]]


# -- the store that is damaged -----------------------------------------------------------------------------------------


def written(store: pronto_lmdb.Store, address: str) -> History:
    """Fill an address in several commits, with a checkpoint in between; return what each key held."""
    history: History = {}

    def update(values: dict[str, Any]) -> None:
        store[address].update(values)
        for key, value in values.items():
            history.setdefault(key, []).append(value)

    update({f"key{number:02}": {"number": number, "text": "x" * 40} for number in range(40)})
    update({"large": "y" * 9000, "counter": 1})
    store[address].put("lease", "w7", ttl=1e6)
    history["lease"] = ["w7"]
    store[address].namespace_ttl("sessions.cache", 1e6)
    del store[address]["key07"]
    store.set_durability(address, "off")
    store.set_durability(address, "full")
    for number in range(6):
        update({f"key{number:02}": number, "counter": number + 2})
    return history


class Stage:
    """A store that is put back into its first state before each case, in the same files.

    Args:
        directory: an empty one.

    Attributes:
        targets: the files of the victim, of the deleted address, and of the store itself.
        saved: the files of the snapshots.

    """

    def __init__(self, directory: Path) -> None:
        self.root = directory / "store"
        with pronto_lmdb.open(self.root) as store:
            self.histories = {name: written(store, name) for name in (VICTIM, NEIGHBOUR, DELETED)}
            self.snapshots = [saved(store, VICTIM, NEIGHBOUR, DELETED, label="older")]
            store[VICTIM].put("lease", "w7", ttl=1e6)  # the rest is shared with the snapshot before
            self.snapshots.append(saved(store, VICTIM, NEIGHBOUR, label="newer"))
            store.config["timeout"] = "7"
            store.delete(DELETED)
            self.expected = {name: dict(store[name].items()) for name in (VICTIM, NEIGHBOUR)}
        self._files = {path: path.read_bytes() for path in self.root.rglob("*") if path.is_file()}
        self.saved = sorted(path for path in self._files if self.root / "snapshots" in path.parents)
        others = self._files.keys() - {*self.saved}
        self.targets = sorted(path for path in others if NEIGHBOUR not in path.parts)
        self._keystores = [path.parent for path in self._files if path.name == "marker"]
        self._links = {path: path.stat().st_ino for path in self._files if path.stat().st_nlink > 1}
        self._directories = {path for path in self.root.rglob("*") if path.is_dir()}
        self._known: dict[Path, tuple[int, ...]] = {}

    def reset(self) -> None:
        for path in sorted(self.root.rglob("*"), reverse=True):
            if path not in self._files and path not in self._directories:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for directory in sorted(self._directories):
            directory.mkdir(exist_ok=True)
        for path, content in self._files.items():
            if self._known.get(path) != _stamp(path):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                path.unlink(missing_ok=True)  # what was linked elsewhere stays as it is
                path.write_bytes(content)
                path.chmod(0o600)
        self._link()
        for directory in self._keystores:
            with Directory(str(directory)) as held:
                mark(held)
        registry = self.root / "meta" / "registry"
        file = (registry / "data.mdb").stat()
        (registry / "seal").write_text(f"sealed {file.st_size} {file.st_mtime_ns}\n")
        self._known = {path: _stamp(path) for path in self._files}

    def _link(self) -> None:
        """Make snapshots share again what they shared."""
        for path, number in self._links.items():
            first = next(other for other, same in self._links.items() if same == number)
            if path != first and not path.samefile(first):
                path.unlink()
                path.hardlink_to(first)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode


# -- damage ------------------------------------------------------------------------------------------------------------


def _somewhere(chance: random.Random, content: bytearray) -> slice:
    size = chance.choice([1, 2, 8, 64, 512, 4096])
    at = chance.randrange(len(content)) if content else 0
    return slice(at, min(at + size, len(content)))


def flip(chance: random.Random, content: bytearray) -> None:
    for _ in range(chance.randint(1, 3) if content else 0):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def blank(chance: random.Random, content: bytearray) -> None:
    part = _somewhere(chance, content)
    content[part] = chance.choice([b"\0", b"\xff", b"\xa5"]) * (part.stop - part.start)


def scribble(chance: random.Random, content: bytearray) -> None:
    part = _somewhere(chance, content)
    content[part] = chance.randbytes(part.stop - part.start)


def repeat(chance: random.Random, content: bytearray) -> None:
    source, target = _somewhere(chance, content), _somewhere(chance, content)
    size = min(source.stop - source.start, target.stop - target.start)
    content[target.start : target.start + size] = content[source.start : source.start + size]


def swap_pages(chance: random.Random, content: bytearray) -> None:
    pages = len(content) // 4096
    if pages > 1:
        one, other = (slice(page * 4096, page * 4096 + 4096) for page in chance.sample(range(pages), 2))
        content[one], content[other] = content[other], content[one]


def cut(chance: random.Random, content: bytearray) -> None:
    del content[chance.choice([0, 1, 100, 4096, chance.randint(0, len(content))]) :]


def extend(chance: random.Random, content: bytearray) -> None:
    content += chance.randbytes(chance.choice([1, 100, 4096, 100_000]))


def replace(chance: random.Random, content: bytearray) -> None:
    content[:] = chance.choice([b"", b"\0" * 8192, b"foreign\n", chance.randbytes(chance.randint(1, 20_000))])


CHANGES: list[Callable[[random.Random, bytearray], None]] = [
    flip, flip, flip, blank, blank, scribble, repeat, swap_pages, cut, extend, replace,
]  # fmt: skip


def damage(chance: random.Random, targets: list[Path], target: Path) -> str:
    kind = chance.randrange(20)
    if kind == 0:
        target.unlink()
        return "removed"
    if kind == 1:
        other = chance.choice(targets)
        target.write_bytes(other.read_bytes() if other.is_file() else b"")
        return f"replaced by {other.name}"
    if kind == 2:
        target.unlink()
        target.mkdir()
        return "replaced by a directory"
    if kind == 3:
        target.unlink()
        with lmdb.open(str(target), subdir=False, lock=False) as foreign, foreign.begin(write=True) as transaction:
            transaction.put(b"theirs", b"1")
        return "replaced by a foreign file of LMDB"
    content = bytearray(target.read_bytes())
    change = chance.choice(CHANGES)
    change(chance, content)
    target.write_bytes(content)
    return change.__name__


def damage_saved(chance: random.Random, targets: list[Path], target: Path) -> str:
    """Damage a file of a snapshot: as any other, or by a link in its place, to its content or to that of another."""
    if chance.random() > 0.07:
        return damage(chance, targets, target)
    other = chance.choice([target.rename(f"{target}.moved"), *targets])
    target.symlink_to(other)
    return f"replaced by a link to {other.name}"


def unsettle(chance: random.Random, stage: Stage) -> str:
    """Do what is no damage of one file."""
    meta, home = stage.root / "meta", stage.root / "addresses" / VICTIM
    kind = chance.randrange(5)
    if kind == 0:
        (meta / "pending" / "0123456789abcdef.json").write_bytes(chance.randbytes(chance.randint(0, 50)))
    elif kind == 1:
        (stage.root / "addresses" / "s.tranger").mkdir()
    elif kind == 2:
        (stage.root / "addresses" / "l.ink").symlink_to(home)
    elif kind == 3:
        shutil.copytree(home, stage.root / "addresses" / "c.opy")
    else:
        shutil.rmtree(meta / "registry")
    return f"unsettled {kind}"


def unsettle_saved(chance: random.Random, stage: Stage) -> str:
    """Put something beside snapshots, or into them, that does not belong there."""
    place = stage.root / "snapshots"
    inside = place / stage.snapshots[0].taken.id
    kind = chance.randrange(6)
    if kind == 0:
        (place / STRANGER).mkdir()
    elif kind == 1:
        (place / STRANGER).write_bytes(chance.randbytes(chance.randint(0, 50)))
    elif kind == 2:
        (place / STRANGER).symlink_to(inside)
    elif kind == 3:
        (inside / "stray").write_bytes(chance.randbytes(50))
    elif kind == 4:
        (inside / "z.stray.journal").symlink_to("/dev/zero")
    else:
        (inside / "subdirectory").mkdir()
    return f"unsettled {kind}"


# -- cases -------------------------------------------------------------------------------------------------------------


def play(stage: Stage, seed: int) -> None:
    """Play one case: in three of ten, snapshots are damaged, otherwise the rest of the store.

    Raises:
        Failure: with all that is needed to understand it.

    """
    chance = random.Random(seed)
    stage.reset()
    of_snapshots = chance.random() < 0.3
    targets = stage.saved if of_snapshots else stage.targets
    harm, muddle = (damage_saved, unsettle_saved) if of_snapshots else (damage, unsettle)
    several = chance.random() < 0.25
    done = []
    for _ in range(chance.randint(2, 3) if several else 1):
        target = chance.choice(targets)
        if chance.random() < 0.05 and not any(what.startswith("unsettled") for what in done):  # once: names are fixed
            done.append(muddle(chance, stage))
        elif target.is_file():
            done.append(f"{target.relative_to(stage.root)} {harm(chance, targets, target)}")
    try:
        if of_snapshots:
            with pronto_lmdb.open(stage.root, timeout=1) as store:
                judge(store, stage.snapshots, chance)
        else:
            _use(stage, chance, several)
    except Exception as error:
        raise Failure(f"case {seed}: {done}: {type(error).__name__}: {error}") from error
    finally:
        for environment in pool.environments():
            environment.owners.clear()
            pool.discard(environment)


def _use(stage: Stage, chance: random.Random, several: bool) -> None:
    if chance.random() < 0.75:
        with pronto_lmdb.open(stage.root, timeout=1) as store:
            _read_and_write(stage, store, several)
            if chance.random() < 0.3:
                _attempt(store.check)
    if chance.random() < 0.35:
        _repair(stage, chance, several)
    with pronto_lmdb.open(stage.root, timeout=1) as store:
        _compare_neighbour(stage, store, several)


def _read_and_write(stage: Stage, store: pronto_lmdb.Store, several: bool) -> None:
    for look in (lambda: dict(store[VICTIM].items()), lambda: len(store[VICTIM]), lambda: store[VICTIM].get("counter")):
        try:
            found = look()
        except ProntoError as error:
            if not error.hint:
                raise Failure(f"no hint: {error!r}") from error
            continue
        if isinstance(found, dict):
            _compare(stage, found, several)
    for change in (
        lambda: store[VICTIM].put("counter", 7),
        lambda: store[VICTIM].sync(),
        lambda: list(store.addresses()),
        lambda: store.config.get("timeout"),
        lambda: store.undelete(DELETED, to="u.ndeleted") and store.delete("u.ndeleted"),
    ):
        _attempt(change)
    _compare_neighbour(stage, store, several)


def _attempt(change: Callable[[], object]) -> None:
    try:
        change()
    except ProntoError as error:
        if not error.hint:
            raise Failure(f"no hint: {error!r}") from error


def _repair(stage: Stage, chance: random.Random, several: bool) -> None:
    with pronto_lmdb.open(stage.root, timeout=1) as store:
        before = store.check()
        report = store.check(repair=True, deep=True, rebuild=chance.random() < 0.1)
        found = dict(store[VICTIM].items())
        if report.ok or not several:  # otherwise it says that what was saved may be wrong
            _compare(stage, found, several)
        if report.ok and before.ok and len(found) < len(stage.expected[VICTIM]):
            raise Failure(f"nothing is said of {len(stage.expected[VICTIM]) - len(found)} lost records")
        again = store.check(deep=True)
        if not again.ok:
            raise Failure(f"left after the repair {[*map(str, report.problems)]}: {[*map(str, again.problems)]}")
        store[VICTIM]["counter"] = 7
        _compare_neighbour(stage, store, False)


def _compare(stage: Stage, found: dict[str, Any], several: bool) -> None:
    if not several and found != stage.expected[VICTIM]:
        differing = {key for key in found if found[key] != stage.expected[VICTIM].get(key)}
        raise Failure(f"wrong: {sorted(differing)}, {len(found)} records for {len(stage.expected[VICTIM])}")
    for key, value in found.items():
        if value not in [*stage.histories[VICTIM].get(key, []), 7]:
            raise Failure(f"{key!r} never held {value!r:.80}")


def _compare_neighbour(stage: Stage, store: pronto_lmdb.Store, several: bool) -> None:
    if dict(store[NEIGHBOUR].items()) != stage.expected[NEIGHBOUR]:
        raise Failure("the neighbour was harmed")
    if several:  # both the catalog and the lock without which it cannot be made anew may be gone
        _attempt(lambda: store[NEIGHBOUR].put("lease", "w7", ttl=1e6))
    else:
        store[NEIGHBOUR].put("lease", "w7", ttl=1e6)


def main(directory: str, first: str, count: str) -> None:
    place = Path(directory)
    stage = Stage(place)
    current = os.open(place / "case", os.O_WRONLY | os.O_CREAT)
    for seed in range(int(first), int(first) + int(count)):
        os.pwrite(current, f"{seed:12}".encode(), 0)
        play(stage, seed)


if __name__ == "__main__":
    main(*sys.argv[1:])
