"""One environment looked at from all sides: its pages, its entries and counters, its base and its journal.

Writers go on meanwhile. What is read of the view belongs to one transaction, and the pages that it sees cannot be used
again: the file grows with every write. So a look that lasts too long gives way, and is made once more. Base and journal
are files beside it, which a checkpoint replaces, so what seems wrong with them is believed only if no checkpoint came
in between.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory

from pronto_lmdb import clock
from pronto_lmdb.base import BASE, damage_of_base
from pronto_lmdb.checkpoint import holds_truth
from pronto_lmdb.data_files import DATA_FILE, damage, damage_at_rest
from pronto_lmdb.directory import Directory
from pronto_lmdb.environment import StaleEnvironment
from pronto_lmdb.errors import CorruptStoreError, FormatVersionError
from pronto_lmdb.identity import LEVELS, OFF, Identity, State
from pronto_lmdb.journal import journal_name
from pronto_lmdb.journal_format import HEADER_SIZE, SPOILED_AT
from pronto_lmdb.journaled import JournaledEnvironment
from pronto_lmdb.marker import LOST, boot_id, trust
from pronto_lmdb.moment import Moment
from pronto_lmdb.record import (
    EXPIRY,
    FIRST_USER_KEY,
    IDENTITY,
    NAMESPACE_TTL,
    STATE,
    expired_key,
    expiry_entry,
    expiry_of,
    is_readable_default,
    readable_header,
)
from pronto_lmdb.recovery import TORN, content_of, header_behind, open_base, replay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import lmdb

    from pronto_lmdb.environment import Environment

_ATTEMPTS = 20
# How much a file may grow, in bytes, while it is being looked at, or a quarter; how often that is asked, and tried.
_GROWTH = 64 * 1024 * 1024
_LOOKS = 3
_WATCH_EACH = 1024
# What state and journal both say, besides the revision at which they are compared.
_SHARED = ("status", "level", "generation", "expiring", "namespaces")


class _Tally:
    """Counts what is wrong with entries, and remembers the first of each kind: there may be a million."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[int, bytes]] = {}

    def add(self, kind: str, key: bytes) -> None:
        """Count an entry."""
        count, first = self._kinds.get(kind, (0, key))
        self._kinds[kind] = count + 1, first

    def problems(self) -> Iterator[str]:
        """Yield a line for each kind."""
        for kind, (count, first) in self._kinds.items():
            yield f"{kind}: {count}, the first for {first.decode(errors='backslashreplace')!r}"


# -- before anything is opened ---------------------------------------------------------------------------------------


def damaged_files(path: str) -> list[str]:
    """Return what is wrong with the files in a directory that LMDB would be given: it does not survive all damage.

    A view that is not trusted is left out. Nobody opens it, and no damage of it means anything.
    """
    with Directory(path) as directory:
        found = {}
        if directory.stat(BASE) is not None:
            found[BASE] = damage_of_base(directory.place(BASE))
        if directory.stat(DATA_FILE) is not None and (trust(directory) != LOST or not holds_truth(directory.names())):
            found[DATA_FILE] = damage_at_rest(directory.place(DATA_FILE))
    return [f"{os.path.join(path, name)} is damaged: {problem}" for name, problem in found.items() if problem]


def torn_files(path: str) -> list[str]:
    """Return what a recovery had to leave behind in a directory, and did not throw away."""
    with Directory(path) as directory:
        torn = sorted(name for name in directory.names() if name.startswith(TORN))
    return [f"{os.path.join(path, name)} was damaged, and commits behind the damage are lost" for name in torn]


# -- an open environment ---------------------------------------------------------------------------------------------


def inspect(environment: Environment, *, deep: bool) -> list[str]:
    """Return what is wrong with an environment, as it is now.

    Args:
        environment: of a keystore, or the registry.
        deep: read every value of a keystore, and compare it with what base and journal would restore.

    Raises:
        StaleEnvironment: if it is closed or replaced meanwhile.
        ProntoError: if it cannot be read.

    """
    found: list[str] = []
    given_up = 0
    for _ in range(_ATTEMPTS):
        try:
            state, found = environment.read(lambda txn: _inspected(environment, txn, deep=deep))
        except GaveWayError:
            found = [f"{environment.path} grows too fast to be looked at: check it again when it is less busy"]
            given_up += 1
            if given_up == _LOOKS:
                break
            continue
        if not found:
            break
        if not environment.is_in_place():
            raise StaleEnvironment
        if _place(environment.describe()[1]) == _place(state):
            break
    return found


class GaveWayError(Exception):
    """A look at an environment made its file grow too much, and was given up."""


def _watched(environment: Environment, entries: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield entries as long as their transaction does not make the file grow beyond bounds."""
    size = environment.size()
    most = size + max(size // 4, _GROWTH)
    for number, entry in enumerate(entries):
        if number % _WATCH_EACH == 0 and environment.size() > most:
            raise GaveWayError
        yield entry


def _place(state: State) -> tuple[object, ...]:
    """Return what another checkpoint would change."""
    return state.journal, state.previous


def _inspected(environment: Environment, txn: lmdb.Transaction[bytes], *, deep: bool) -> tuple[State, list[str]]:
    state = Moment(txn, clock.now()).state
    identity = Identity.decode(txn.get(IDENTITY), environment.path)
    problem = _structural_problem(environment)
    if problem is not None:
        return state, [problem]
    if not identity.address:
        return state, []  # the entries of the registry are another matter
    found = list(_entry_problems(txn, state, deep=deep, entries=_watched(environment, iter(txn.cursor()))))
    if isinstance(environment, JournaledEnvironment):
        found += _agreement_problems(environment, identity, state)
        if state.level != OFF:  # where nothing is promised of the journal
            found += _journal_problems(environment, txn, state, deep=deep)
    return state, found


def _structural_problem(environment: Environment) -> str | None:
    place = environment.directory.place(".") if isinstance(environment, JournaledEnvironment) else environment.path
    file = os.path.join(place, DATA_FILE)
    # Once more, if something is wrong: a meta page may have been read while it was written.
    problem = damage(file) and damage(file)
    return None if problem is None else f"{environment.path}/{DATA_FILE} is damaged: {problem}"


# -- entries and counters --------------------------------------------------------------------------------------------


def deep_problems(txn: lmdb.Transaction[bytes], path: str) -> list[str]:
    """Return what is wrong with the entries of a keystore that nobody writes to meanwhile, every value included.

    Args:
        txn: of its view.
        path: of the keystore, for messages.

    Raises:
        FormatVersionError, CorruptStoreError: if its state cannot be read.

    """
    return list(_entry_problems(txn, State.read(txn, path, txn.id()), deep=True, entries=txn.cursor()))


def _entry_problems(
    txn: lmdb.Transaction[bytes], state: State, *, deep: bool, entries: Iterable[tuple[bytes, bytes]]
) -> Iterator[str]:
    """Yield what is wrong with the entries of a view, and with what the state counts of them.

    Args:
        txn: of the view.
        state: that it shows.
        deep: read every value, too.
        entries: all that the transaction shows.

    """
    tally = _Tally()
    expiring = namespaces = records = 0
    for key, stored in entries:
        if key >= FIRST_USER_KEY:
            records += 1
            _look_at_record(tally, txn, state, key, stored, deep=deep)
        elif key.startswith(EXPIRY):
            expiring += 1
            _look_at_index(tally, txn, key)
        elif key.startswith(NAMESPACE_TTL):
            namespaces += 1
            if not is_readable_default(key, stored):
                tally.add("default TTLs that cannot be read", key.removeprefix(NAMESPACE_TTL))
        elif key not in (IDENTITY, STATE):
            tally.add("entries of unknown kind", key)
    yield from tally.problems()
    counted = {
        "records that expire": (state.expiring, expiring),
        "namespaces with a default": (state.namespaces, namespaces),
    }
    for what, (said, there) in counted.items():
        if said != there:
            yield f"the state counts {said} {what}, but there are {there}"
    said = txn.stat()["entries"] - state.internal_entries
    if said != records:
        yield f"{said} records are counted, but there are {records}"


def _look_at_record(
    tally: _Tally, txn: lmdb.Transaction[bytes], state: State, key: bytes, record: bytes, *, deep: bool
) -> None:
    try:
        header = readable_header(key, record, deep=deep)
    except FormatVersionError:
        header = None
    if header is None:
        tally.add("records that cannot be read", key)
        return
    revision, _, expires_at = header
    if revision > state.revision:
        tally.add("records that are newer than the last commit", key)
    if expires_at is not None and txn.get(expiry_entry(expires_at, key)) is None:
        tally.add("records that expire and are not in the index", key)


def _look_at_index(tally: _Tally, txn: lmdb.Transaction[bytes], entry: bytes) -> None:
    key = expired_key(entry)
    record = txn.get(key) if key else None
    expires_at = None
    with suppress(CorruptStoreError, FormatVersionError):  # counted where the record is looked at
        expires_at = None if record is None else expiry_of(record)
    if expires_at is None or expiry_entry(expires_at, key) != entry:
        tally.add("entries of the expiry index without their record", key)


# -- base and journal ------------------------------------------------------------------------------------------------


def _agreement_problems(environment: JournaledEnvironment, identity: Identity, state: State) -> Iterator[str]:
    if LEVELS.get(identity.durability) != state.level:
        yield f"the identity says {identity.durability!r}, the state says level {state.level}"
    if boot_id() is not None and trust(environment.directory) == LOST:
        yield "its marker does not vouch for the data file that is in use"


def _journal_problems(
    environment: JournaledEnvironment, txn: lmdb.Transaction[bytes], state: State, *, deep: bool
) -> list[str]:
    directory = environment.directory
    try:
        if not deep and directory.stat(BASE) is None:
            return list(_header_problems(environment, None, state))
        with _copied_base(directory) as (handle, base):
            found = list(_header_problems(environment, base, state))
            if deep and not found:
                found += _replayed_problems(environment, handle, base, txn, state)
            return found
    except (CorruptStoreError, FormatVersionError) as error:
        return [error.problem]
    except FileNotFoundError as error:  # a checkpoint came in between
        return [f"{error.filename} is missing"]


@contextmanager
def _copied_base(directory: Directory) -> Iterator[tuple[lmdb.Environment, State | None]]:
    """Open a copy of the base, because LMDB must not open one file twice in a process; empty where there is none."""
    with TemporaryDirectory(prefix="pronto-check-") as scratch:
        handle, base = open_base(directory, os.path.join(scratch, "copy"))
        try:
            yield handle, base
        finally:
            handle.close()


def _header_problems(environment: JournaledEnvironment, base: State | None, state: State) -> Iterator[str]:
    """Yield what the journal that continues the base does not agree on with the state."""
    header = header_behind(environment.directory, base)
    positions = {state.journal: state.end}
    if state.previous is not None:  # a checkpoint is under way, or its process was killed
        positions[state.previous[0]] = state.previous[1]
    name = journal_name(header.journal)
    if header.journal not in positions:
        yield f"a recovery would go on with {name}, the view goes on with {journal_name(state.journal)}"
        return
    if header.keystore != environment.keystore_id:
        yield f"{name} belongs to the keystore {header.keystore.hex()}, not to {environment.keystore_id.hex()}"
    content = content_of(environment.directory, name)
    if len(content) < positions[header.journal]:
        yield f"{name} has {len(content)} bytes, and should have {positions[header.journal]}"
    if content[SPOILED_AT]:
        yield f"a flush of {name} failed: the next write makes everything durable anew"


def _replayed_problems(
    environment: JournaledEnvironment,
    handle: lmdb.Environment,
    base: State | None,
    txn: lmdb.Transaction[bytes],
    state: State,
) -> Iterator[str]:
    """Yield how the view differs from what a recovery would make, both at the revision of the view.

    Args:
        environment: the keystore.
        handle: the copy of the base, in which the journal is replayed.
        base: the state in it.
        txn: of the view.
        state: of the view.

    """
    directory = environment.directory
    header = header_behind(directory, base)
    name = journal_name(header.journal)
    last, _ = replay(handle, content_of(directory, name), header, state.revision)
    truth = last or base
    if truth is None or truth.revision != state.revision:
        reached = "nothing" if truth is None else f"revision {truth.revision}"
        end = HEADER_SIZE if last is None else last.end
        yield f"{name} is damaged at byte {end}: a recovery would end with {reached}, not with {state.revision}"
        return
    for field in _SHARED:
        said, there = getattr(state, field), getattr(truth, field)
        if said != there:
            yield f"the {field} in the state is {said}, but {there} in base and journal"
    with handle.begin() as restored:
        yield from _differences(_watched(environment, iter(txn.cursor())), txn, restored)


def _differences(
    entries: Iterator[tuple[bytes, bytes]], view: lmdb.Transaction[bytes], restored: lmdb.Transaction[bytes]
) -> Iterator[str]:
    tally = _Tally()
    for key, stored in entries:
        kept = restored.get(key)
        if key == STATE or kept == stored:
            continue
        kind = (
            "entries that base and journal do not have" if kept is None else "entries that differ in base and journal"
        )
        tally.add(kind, key)
    for key in restored.cursor().iternext(keys=True, values=False):
        if view.get(key) is None:
            tally.add("entries that only base and journal have", key)
    yield from tally.problems()
