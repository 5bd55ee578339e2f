"""`import` and `export`: records as JSON lines."""

from __future__ import annotations

import os
from contextlib import closing

from pronto_cli.exits import CommandError, Exit, UsageError
from pronto_cli.files import STANDARD, inflated, opened_sink, opened_source, pieces_of
from pronto_cli.place import current_address, opened
from pronto_cli.printing import print_record
from pronto_cli.progress import Progress
from pronto_lmdb.exchange import export_lines, import_lines
from pronto_lmdb.loading import CONFLICTS, FAIL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from pronto_cli.line import Line
    from pronto_cli.streams import Streams
    from pronto_lmdb.jsonlines import BadLine
    from pronto_lmdb.results import Imported

# More bad lines than this are only counted.
_NAMED = 20


def export(line: Line, streams: Streams) -> int:
    """Write the records of an address."""
    records = 0
    with Progress(streams) as progress, opened(line) as store, opened_sink(line["file"], streams) as write:
        target = store[current_address(line, store)]
        with closing(export_lines(target, line["prefix"] or "", full=not line.json)) as pieces:
            for piece in pieces:
                write(piece)
                records += piece.count(b"\n")
                progress.show(f"{records:,} records")
    if line["file"] not in (None, STANDARD):
        streams.note(f"{records:,} records are in {line['file']}.")
    return Exit.OK


def import_(line: Line, streams: Streams) -> int:
    """Read JSON lines into an address."""
    on_conflict = line["on_conflict"] or FAIL
    if on_conflict not in CONFLICTS:
        raise UsageError(f"--on-conflict takes skip, overwrite or fail, not {on_conflict!r}.", "Choose one of them.")
    if line["file"] is None and not streams.piped:
        raise UsageError("There is no FILE.", "Give one, or pipe it in.")
    with opened(line) as store, opened_source(line["file"], streams) as (source, name):
        target = store[current_address(line, store)]
        with _Rejects(line, streams) as rejects, Progress(streams) as bar:
            progress = _Course(bar, _size(source))
            try:
                pieces = inflated(progress.counted(pieces_of(source, name)), name)
                done = import_lines(
                    target, pieces, on_conflict=on_conflict, refuse=rejects.take, progress=progress.reach
                )
            except BaseException as error:
                if progress.lines:
                    error.add_note(f"What stands up to line {progress.lines} was imported before.")
                raise
    return _summary(line, streams, done, rejects)


def _size(source: BinaryIO) -> int:
    """Return the size of a file; 0 for a pipe."""
    try:
        return os.fstat(source.fileno()).st_size
    except OSError:
        return 0


class _Course:
    """How far an import has come.

    Args:
        bar: where it is shown.
        size: bytes to read; 0 where nobody knows.

    """

    def __init__(self, bar: Progress, size: int) -> None:
        self.lines = 0
        self._bar = bar
        self._size = size
        self._read = 0

    def counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Pass pieces on and count their bytes."""
        for piece in pieces:
            self._read += len(piece)
            yield piece

    def reach(self, lines: int) -> None:
        """Note that all lines up to this one are done."""
        self.lines = lines
        self._bar.show(f"{lines:,} lines", self._read, self._size)


class _Rejects:
    """What becomes of lines that cannot be imported: they are named, and written to a file that was asked for."""

    def __init__(self, line: Line, streams: Streams) -> None:
        self._line = line
        self._streams = streams
        self._file: BinaryIO | None = None
        self._count = 0
        self.first = ""

    def __enter__(self) -> _Rejects:
        if self._line["rejects"] is not None:
            self._file = open(self._line["rejects"], "xb")  # never over a file, least of all over what is imported
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            unused = self._file.tell() == 0
            self._file.close()
            if unused:
                os.unlink(self._line["rejects"])

    def take(self, bad: BadLine) -> None:
        """Deal with one line."""
        if self._file is not None:
            self._file.write(bad.content + b"\n")
            self._file.flush()  # before what stands behind it is imported
        text = f"Line {bad.number}: {bad.error.problem}"
        if self._line["strict"]:
            raise CommandError(text, bad.error.hint) from bad.error
        self._count += 1
        self.first = self.first or text
        if not self._line.json and self._count <= _NAMED:
            self._streams.tell(text)


def _summary(line: Line, streams: Streams, done: Imported, rejects: _Rejects) -> int:
    counts = f"{done.written:,} imported, {done.skipped:,} skipped, {done.expired:,} expired"
    if done.bad:
        first = f" {rejects.first}" if line.json else ""  # otherwise it was told already
        raise CommandError(
            f"{done.bad:,} of {done.lines:,} lines were refused ({counts}).{first}",
            "--rejects FILE keeps them." if line["rejects"] is None else f"They are in {line['rejects']}.",
        )
    if line.json:
        print_record(line, streams, {name: count for name, count in done._asdict().items() if name != "bad"})
    else:
        streams.note(f"{counts}.")
    return Exit.OK
