"""`batch`: command lines from standard input, in one process."""

from __future__ import annotations

from io import BytesIO

from pronto_cli import quick
from pronto_cli.exits import CommandError, Exit, UsageError, outcome, report
from pronto_cli.handlers import handler
from pronto_cli.line import glance
from pronto_cli.place import current_address, opened
from pronto_cli.session import Session
from pronto_cli.words import split
from pronto_lmdb.errors import (
    AddressExistsError,
    ConflictError,
    InvalidAddressError,
    InvalidKeyError,
    InvalidValueError,
    KeyNotFoundError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pronto_cli.line import Line
    from pronto_cli.streams import Streams

# What makes sense inside a transaction.
COMMANDS = frozenset(
    ["set", "get", "del", "delete", "exists", "incr", "keys", "scan", "ls", "ttl", "expire", "persist", "sweep"]
)
# What one line can be wrong about; behind anything else, such as a full disk, the next line would fail as well.
_OF_ONE_LINE = (
    CommandError,
    AddressExistsError,
    ConflictError,
    InvalidAddressError,
    InvalidKeyError,
    InvalidValueError,
    KeyNotFoundError,
)


class LineError(CommandError):
    """A line of a batch has failed.

    Args:
        number: of the line, counted from 1.
        error: what was wrong.

    """

    def __init__(self, number: int, error: Exception) -> None:
        found = outcome(error)
        super().__init__(f"Line {number}: {found.message}", found.hint)
        # The command line of the batch itself was understood.
        self.exit = Exit.ERROR if found.exit == Exit.USAGE else found.exit
        self.code = found.code


class MissedError(CommandError):
    """A line of a batch has asked for a key that is absent."""

    exit = Exit.MISS
    code = "key_not_found"


def batch(line: Line, streams: Streams) -> int:
    """Run the lines of standard input."""
    if not streams.piped:
        raise UsageError("There are no lines.", "Pipe them in.")
    return _run_each(line, streams) if line["each"] else _run_together(line, streams)


def _run_together(line: Line, streams: Streams) -> int:
    """Run all lines in one transaction; what they print is held back until it is committed."""
    printed = BytesIO()
    missed = False
    with opened(line) as store:
        address = current_address(line, store)
        with store[address].transaction() as transaction:
            run = _Runner(line, Session(store, address, transaction), streams.printing_to(printed))
            for number, text in _lines(streams):
                try:
                    run(text)
                except KeyNotFoundError:
                    missed = True
                except Exception as error:
                    raise LineError(number, error) from error
    streams.write(printed.getvalue())
    return _ended(missed=missed)


def _run_each(line: Line, streams: Streams) -> int:
    """Run every line for itself, and go on behind one that fails."""
    failed, missed = Exit.OK, False
    with opened(line) as store:
        run = _Runner(line, Session(store, current_address(line, store), None), streams.printing_to(None))
        for number, text in _lines(streams):
            try:
                run(text)
            except KeyNotFoundError:
                missed = True
            except _OF_ONE_LINE as error:
                code = report(LineError(number, error), streams, json=line.json, verbose=line.verbose)
                failed = failed or code
            except Exception as error:
                raise LineError(number, error) from error
    return failed or _ended(missed=missed)


def _ended(*, missed: bool) -> int:
    if missed:
        raise MissedError("Everything was done, but a line asked for something that is absent.")
    return Exit.OK


def _lines(streams: Streams) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that count, each with its number."""
    for number, text in enumerate(streams.source(), 1):
        if text.strip() and not text.lstrip().startswith(b"#"):
            yield number, text


class _Runner:
    """Runs one line after the other.

    Args:
        line: of the batch; its options hold for every line.
        session: where lines take effect.
        streams: where they print; there is nothing for them to read.

    """

    def __init__(self, line: Line, session: Session, streams: Streams) -> None:
        self._line = line
        self._session = session
        self._streams = streams
        self._handlers = {command: handler(command) for command in COMMANDS}

    def __call__(self, text: bytes) -> None:
        """Run a line; raises what is wrong with it."""
        line = self._parsed(text)
        self._handlers[line.command](line, self._streams)

    def _parsed(self, text: bytes) -> Line:
        try:
            words = split(text.decode().rstrip("\r\n"))
        except UnicodeDecodeError:
            raise UsageError("The line is not UTF-8.", "Use import for values that are not text.") from None
        line = quick.scan(words) or _read_with_typer(words)
        outer = self._line
        if line.command not in COMMANDS:
            raise UsageError(f"{line.command} cannot be part of a batch.", "`pronto help batch` lists what can.")
        if line.root is not None or line.timeout is not None:
            raise UsageError("--root and --timeout hold for all lines.", "Give them to batch itself.")
        if line.command == "set" and line["value"] in (None, "-"):
            raise UsageError("There is no VALUE.", "In a batch it stands on the line.")
        line.session = self._session
        line.json = line.json or outer.json
        if line.ns_delim == ".":
            line.ns_delim = outer.ns_delim
        return line


def _read_with_typer(words: list[str]) -> Line:
    from pronto_cli.app import parse

    line = parse(words)
    if isinstance(line, int):
        raise UsageError("The line cannot be understood.", f"Compare it with `pronto {words[0]} --help`.")
    line.json = line.json or glance(words)[0]
    return line
