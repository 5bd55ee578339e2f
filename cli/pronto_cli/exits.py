"""How a command line can end: the exit codes, and the one place that chooses among them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_cli.streams import Streams


class Exit:
    """The exit codes. Programs treat one they do not know as a failure."""

    OK = 0
    ERROR = 1
    MISS = 2
    CONFLICT = 3
    CHECK_FAILED = 4
    BUSY = 5
    USAGE = 64
    INTERRUPTED = 130
    CLOSED_PIPE = 141


MEANINGS = {
    Exit.OK: "success; also `del` of a key that is absent",
    Exit.ERROR: "error, or something refused: a bad key, address, value or document",
    Exit.MISS: "absent or expired, without a message (with --json one error line)",
    Exit.CONFLICT: "conflict: the name is taken, or --if-absent or --if-revision does not hold",
    Exit.CHECK_FAILED: "a check or verification found problems",
    Exit.BUSY: "busy: a lock was not free in time; nothing was changed",
    Exit.USAGE: "the command line cannot be understood, or needs --yes; nothing was read or changed",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
    Exit.CLOSED_PIPE: "the reader of the output closed the pipe; without a message",
}


class CommandError(Exception):
    """An error of the command itself.

    Args:
        problem: what is wrong, one sentence.
        hint: what to do about it, one sentence.

    """

    exit = Exit.ERROR
    code = "error"

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem, hint)
        self.problem = problem
        self.hint = hint


class UsageError(CommandError):
    """The command line cannot be understood."""

    exit = Exit.USAGE
    code = "usage"


class AddressAbsentError(CommandError):
    """The address that was asked about does not exist."""

    exit = Exit.MISS
    code = "address_not_found"


class DeclinedError(CommandError):
    """The user answered a question with no."""

    code = "declined"


class Outcome:
    """How an error ends the process.

    Attributes:
        exit: the exit code.
        code: the kind of error, for programs.
        message: what is wrong.
        hint: what to do about it.

    """

    __slots__ = ("code", "exit", "hint", "message")

    def __init__(self, exit: int, code: str, message: str, hint: str = "") -> None:  # noqa: A002 - as in JSON
        self.exit = exit
        self.code = code
        self.message = message
        self.hint = hint


def outcome(error: BaseException) -> Outcome:
    """Return how an error ends the process."""
    found = _known(error)
    # What was done about the error on its way here, such as keeping piped content.
    found.hint = " ".join(filter(None, [found.hint, *getattr(error, "__notes__", ())]))
    return found


def _known(error: BaseException) -> Outcome:
    if isinstance(error, CommandError):
        return Outcome(error.exit, error.code, error.problem, error.hint)
    if isinstance(error, KeyboardInterrupt):
        return Outcome(Exit.INTERRUPTED, "interrupted", "Interrupted.")
    if isinstance(error, BrokenPipeError):
        return Outcome(Exit.CLOSED_PIPE, "closed_pipe", "The pipe was closed.")
    return _of_library(error) or _of_system(error)


def _of_library(error: BaseException) -> Outcome | None:
    from pronto_lmdb.errors import (
        AddressExistsError,
        ConflictError,
        KeyNotFoundError,
        LockTimeoutError,
        ProntoError,
    )

    if not isinstance(error, ProntoError):
        return None
    special = (
        (KeyNotFoundError, Exit.MISS),
        (AddressExistsError, Exit.CONFLICT),
        (ConflictError, Exit.CONFLICT),
        (LockTimeoutError, Exit.BUSY),
    )
    found = next((code for kind, code in special if isinstance(error, kind)), Exit.ERROR)
    return Outcome(found, _snake_case(type(error).__name__.removesuffix("Error")), error.problem, error.hint)


def _of_system(error: BaseException) -> Outcome:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return Outcome(Exit.ERROR, "system_error", f"{where}{error.strerror}.")
    return Outcome(
        Exit.ERROR,
        "internal_error",
        f"Unexpected {type(error).__name__}: {error}.",
        "--verbose shows where it happened: please report it.",
    )


def _snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _trace(error: BaseException) -> str:
    from traceback import format_exception

    return "".join(format_exception(error)).rstrip()


def report(error: BaseException, streams: Streams, *, json: bool, verbose: bool) -> int:
    """Tell the user how a command line failed, and return the exit code.

    Args:
        error: what ended it.
        streams: where to tell.
        json: as JSON, one line; then a miss is told too.
        verbose: with the traceback, in JSON as one of its fields.

    """
    streams.settle()
    found = outcome(error)
    if found.exit == Exit.CLOSED_PIPE:
        return found.exit
    trace = _trace(error) if verbose and found.exit not in (Exit.MISS, Exit.USAGE) else ""
    if trace and not json:
        streams.tell(trace)
    if json:
        from pronto_cli.jsonform import to_json

        fields = {"code": found.code, "message": found.message, "hint": found.hint, "exit": found.exit}
        if trace:
            fields["traceback"] = trace
        streams.tell(to_json({"error": fields}))
    elif found.exit != Exit.MISS:
        streams.tell(f"{streams.red('pronto:')} {found.message} {found.hint}".rstrip())
    return found.exit
