"""Errors: one tree, each with a hint; and what LMDB's own mean."""

from __future__ import annotations

import builtins
import errno
import pickle
import re

import lmdb
import pytest

import pronto_lmdb
from pronto_lmdb import errors, translation

CONTRACT = {
    "InvalidAddressError": {"ValueError"},
    "InvalidKeyError": {"ValueError"},
    "InvalidValueError": {"TypeError", "ValueError"},
    "KeyNotFoundError": {"KeyError"},
    "AddressNotFoundError": {"LookupError"},
    "AddressExistsError": {"FileExistsError"},
    "ConflictError": set(),
    "LockTimeoutError": {"TimeoutError"},
    "StoreClosedError": set(),
    "ReadOnlyError": {"PermissionError"},
    "StoreFullError": {"OSError"},
    "CorruptStoreError": set(),
    "FormatVersionError": set(),
    "SnapshotError": set(),
    "MigrationError": set(),
}
LEAVES = [getattr(errors, name) for name in CONTRACT]
LMDB_ERRORS = [kind for kind in vars(lmdb).values() if isinstance(kind, type) and issubclass(kind, lmdb.Error)]


def test_the_tree_has_exactly_the_errors_of_the_contract() -> None:
    assert set(errors.__all__) == {"ProntoError", *CONTRACT}


@pytest.mark.parametrize("name", CONTRACT)
def test_an_error_is_caught_by_its_base_and_its_builtin(name: str) -> None:
    kind = getattr(pronto_lmdb, name)
    assert issubclass(kind, pronto_lmdb.ProntoError)
    assert all(issubclass(kind, getattr(builtins, builtin)) for builtin in CONTRACT[name])


def test_the_documented_tree_is_the_real_one() -> None:
    rows = re.findall(r"[├└]── (\w+) +(?:\(([\w, ]+)\))?", errors.__doc__ or "")
    assert {name: set(re.findall(r"\w+", builtin)) for name, builtin in rows} == CONTRACT


@pytest.mark.parametrize("kind", LEAVES)
def test_the_hint_ends_the_message(kind: type[errors.ProntoError]) -> None:
    error = kind("Something is wrong.", "Do this.")
    assert str(error) == "Something is wrong. Do this."
    assert (error.problem, error.hint) == ("Something is wrong.", "Do this.")


def test_without_a_hint_the_message_is_the_problem() -> None:
    assert str(errors.ConflictError("Something is wrong.")) == "Something is wrong."


@pytest.mark.parametrize("kind", LEAVES)
def test_an_error_survives_pickling(kind: type[errors.ProntoError]) -> None:
    error = kind("Something is wrong.", "Do this.")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (copy.problem, copy.hint, str(copy)) == (error.problem, error.hint, str(error))
    assert getattr(copy, "errno", None) == getattr(error, "errno", None)


@pytest.mark.parametrize("kind", [kind for kind in LEAVES if issubclass(kind, OSError)])
def test_a_system_error_has_number_and_text(kind: type[errors.ProntoError]) -> None:
    error = kind("Something is wrong.", "Do this.")
    assert isinstance(error, OSError)
    assert errno.errorcode[error.errno]
    assert error.strerror == "Something is wrong."


@pytest.mark.parametrize("kind", LMDB_ERRORS)
def test_every_error_of_lmdb_has_a_meaning(kind: type[lmdb.Error]) -> None:
    assert kind is lmdb.Error or kind.__name__ in translation._MEANINGS
    meant = translation.translated(kind("mdb_something"), "alice.default")
    assert type(meant) in LEAVES
    assert meant.problem.startswith("alice.default: ")
    assert meant.hint


def test_no_meaning_is_given_to_an_error_lmdb_does_not_have() -> None:
    assert set(translation._MEANINGS) <= {kind.__name__ for kind in LMDB_ERRORS}


@pytest.mark.parametrize(
    ("kind", "meaning"),
    [
        (lmdb.MapFullError, errors.StoreFullError),
        (lmdb.DiskError, errors.StoreFullError),
        (lmdb.ReadonlyError, errors.ReadOnlyError),
        (lmdb.InvalidError, errors.CorruptStoreError),
        (lmdb.CorruptedError, errors.CorruptStoreError),
        (lmdb.VersionMismatchError, errors.FormatVersionError),
        (lmdb.BadValsizeError, errors.InvalidKeyError),
        (lmdb.ReadersFullError, errors.LockTimeoutError),
    ],
)
def test_the_meaning_fits(kind: type[lmdb.Error], meaning: type[errors.ProntoError]) -> None:
    assert type(translation.translated(kind("x"), "p")) is meaning


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (errno.ENOSPC, errors.StoreFullError),
        (errno.EDQUOT, errors.StoreFullError),
        (errno.EIO, errors.StoreFullError),
        (errno.EMFILE, errors.StoreFullError),
        (errno.ENFILE, errors.StoreFullError),
        (errno.ENOMEM, errors.StoreFullError),
        (errno.EACCES, errors.ReadOnlyError),
        (errno.EPERM, errors.ReadOnlyError),
        (errno.EROFS, errors.ReadOnlyError),
        (errno.EAGAIN, errors.LockTimeoutError),
        (errno.ENOENT, errors.CorruptStoreError),
        (errno.ELOOP, errors.CorruptStoreError),
    ],
    ids=lambda item: errno.errorcode[item] if isinstance(item, int) else item.__name__,
)
def test_a_system_error_means_what_its_number_says(code: int, meaning: type[errors.ProntoError]) -> None:
    meant = translation.translated(OSError(code, "text of the system"), "/some/place")
    assert type(meant) is meaning
    assert "/some/place" in meant.problem
    assert "text of the system" in meant.problem
    assert meant.hint
