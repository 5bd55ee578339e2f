"""Whole addresses as JSON lines, out and in, and single records from one address to another."""

from __future__ import annotations

from pronto_lmdb import changes, jsonlines
from pronto_lmdb.errors import ConflictError
from pronto_lmdb.key import encode_bound, encode_key
from pronto_lmdb.loading import FAIL, Loader
from pronto_lmdb.moment import Range
from pronto_lmdb.reading import key_not_found, live_page
from pronto_lmdb.record import header_of, packed_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from pronto_lmdb.commit import Commit
    from pronto_lmdb.jsonlines import BadLine
    from pronto_lmdb.keystore import Keystore
    from pronto_lmdb.results import Imported
    from pronto_lmdb.rows import Rows


def export_lines(keystore: Keystore, prefix: str = "", *, full: bool = True) -> Generator[bytes, None, None]:
    """Yield the records of an address, as they were at one moment, as JSON lines, many in each piece.

    While the lines are taken, the address is read like a :class:`View`: every write makes its file larger.

    Args:
        keystore: of the address.
        prefix: literal text that every key begins with.
        full: with every field; otherwise key and value, and ``expires_at`` only where there is one.

    """
    keys = Range(encode_bound(prefix), None, None, reverse=False)
    with keystore.view() as view:
        while not keys.done:
            page = view._read(lambda moment: live_page(keys, moment, float("inf")), None)
            if page is None:
                return
            yield jsonlines.encode(page, full=full)


def import_lines(
    keystore: Keystore,
    chunks: Iterable[bytes],
    *,
    on_conflict: str = FAIL,
    refuse: Callable[[BadLine], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Imported:
    """Write JSON lines into an address: about a megabyte of them in each transaction.

    Args:
        keystore: of the address, which is created if need be.
        chunks: pieces of the text, cut anywhere.
        on_conflict: what becomes of a line whose key is there: ``skip`` it, ``overwrite`` what is there, or ``fail``.
        refuse: called with each line that cannot be taken over, in order; if it raises, the import ends before the
            transaction with that line. By default such lines are only counted.
        progress: called with the number of lines that are done, after each transaction.

    Raises:
        ConflictError: for the first key that is there, where that is to ``fail``. What earlier transactions have
            written stays.
        InvalidValueError: for an endless line, or an unknown ``on_conflict``.

    """
    from pronto_lmdb.results import Imported

    loader = Loader(on_conflict)
    bad, lines = 0, 0
    for number, block in jsonlines.blocks(chunks, keystore._value_limit):
        rows, refused = jsonlines.decode(number, block, keystore._value_limit)
        for line in refused:
            bad += 1
            if refuse:
                refuse(line)
        if rows.keys:
            keystore._write(_loading(loader, rows))
        lines = number + block.count(b"\n") - block.endswith(b"\n")
        if progress:
            progress(lines)
    return Imported(lines, loader.written, loader.skipped, loader.expired, bad)


def _loading(loader: Loader, rows: Rows) -> Callable[[Commit], None]:
    return lambda commit: loader.load(commit, rows)


def copy_record(
    source: Keystore, key: str, target: Keystore, name: str, *, overwrite: bool = False, keep_expiry: bool = True
) -> int:
    """Copy a record, in one address or to another, and return the revision of what was copied.

    Args:
        source: the keystore that has it.
        key: its key there.
        target: the keystore that gets it; it may be the same.
        name: its key there.
        overwrite: whether a record that is there already is replaced.
        keep_expiry: whether it expires when the original does; otherwise as after a put that names no TTL.

    Raises:
        KeyNotFoundError: if there is no such key.
        ConflictError: if the target has the key, and is not to be overwritten.

    """
    encoded, wanted = encode_key(key), encode_key(name)
    record = source._read(lambda moment: moment.record(encoded), None)
    if record is None:
        raise key_not_found(key)
    packed, (revision, _, expires_at) = packed_value(record), header_of(record)

    def copy(commit: Commit) -> None:
        if not overwrite and changes.live_record(commit, wanted) is not None:
            raise ConflictError(f"The key {name!r} is there already.", "Choose another key, or overwrite it.")
        if keep_expiry:
            changes.store(commit, wanted, packed, expires_at, commit.get(wanted))
        else:
            changes.put(commit, wanted, packed, None)

    target._write(copy)
    return revision
