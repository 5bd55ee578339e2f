"""How Typer's commands become lines: global options anywhere, help and version as lines of their own."""

from collections.abc import Callable, Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from pronto_cli.line import GLOBALS, Line
from pronto_cli.synonyms import advice

# Understood after a command, too, without being part of a line.
_EAGER = ("help", "version")


class Shortcut(Exception):  # noqa: N818 - no error: an option that makes another line of this one
    """`--help` or `--version` was met: this command is carried out instead."""

    def __init__(self, command: str, **arguments: Any) -> None:
        super().__init__(command)
        self.command = command
        self.arguments = arguments


class _Anywhere:
    """What commands and groups have in common: the options of the root, and a help text of fixed width."""

    params: list[Any]

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.add_help_option = False  # the root's --help is understood everywhere

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters of the command, and the options of the root that it has not got itself."""
        return [*self.params, *self._global_params(ctx)]

    def _global_params(self, ctx: Any) -> list[Any]:
        root = ctx.find_root().command
        return [] if root is self else [param for param in root.params if param.name in (*GLOBALS, *_EAGER)]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002 - what Typer calls
        """Return the words of the usage line."""
        arguments = [param for param in self.params if param.param_type_name == "argument"]
        pieces = [param.metavar if param.required else f"[{param.metavar}]" for param in arguments]
        return ["[OPTIONS]", *pieces, *([self.subcommand_metavar] if isinstance(self, TyperGroup) else [])]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the options, and the commands of a group."""
        kinds = {"argument": "Arguments", "option": "Options"}
        for kind, title in kinds.items():
            _write_section(formatter, title, [param for param in self.params if param.param_type_name == kind])
        _write_section(formatter, "Global options", self._global_params(ctx))
        if isinstance(self, TyperGroup):
            self.format_commands(ctx, formatter)


def _write_section(formatter: Any, title: str, params: list[Any]) -> None:
    rows = [(spelling(param), param.help or "") for param in params]
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows)


def spelling(param: Any) -> str:
    """Return an argument or option as help texts write it."""
    if param.param_type_name == "argument":
        return str(param.metavar)
    names = ", ".join(sorted(param.opts, key=len))
    return f"{names} {param.metavar}" if param.metavar else names


class Command(_Anywhere, TyperCommand):
    """A command: invoked, it returns its line."""

    def invoke(self, ctx: Any) -> Line:
        """Return the line; what is given later on it counts."""
        arguments = {param.name: ctx.params[param.name] for param in self.params}
        return Line(" ".join(part.command.name for part in _chain(ctx)[1:]), arguments, **global_options(ctx))


def _chain(ctx: Any) -> list[Any]:
    """Return the contexts from the root's to that of a command."""
    chain = [ctx]
    while chain[0].parent is not None:
        chain.insert(0, chain[0].parent)
    return chain


def global_options(ctx: Any) -> dict[str, Any]:
    """Return the global options that were given, before or after the command; the later ones count."""
    options: dict[str, Any] = {}
    for part in _chain(ctx):
        given = {name: part.params.get(name) for name in GLOBALS}
        options |= {name: value for name, value in given.items() if value is not None and value is not False}
    return options


class NumberCommand(Command):
    """A command with an argument that may be a negative number."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words, negative numbers moved behind `--`, where they are no options."""
        takes_value = taking_values(self.get_params(ctx))
        end = args.index("--") if "--" in args else len(args)
        words: list[str] = []
        numbers: list[str] = []
        for index, word in enumerate(args[:end]):
            is_value = index > 0 and args[index - 1] in takes_value
            (numbers if _is_negative(word) and not is_value else words).append(word)
        return super().parse_args(ctx, [*words, "--", *numbers, *args[end + 1 :]])


def _is_negative(word: str) -> bool:
    try:
        return word.startswith("-") and float(word) <= 0
    except ValueError:
        return False


def taking_values(params: Iterable[Any]) -> set[str]:
    """Return the spellings of those parameters that are options with a value."""
    options = (param for param in params if param.param_type_name == "option" and not param.is_flag)
    return {name for param in options for name in param.opts}


class HelpCommand(Command):
    """`pronto help a b` is `pronto a b --help`."""

    def invoke(self, ctx: Any) -> Line:
        """Parse the rewritten line."""
        root, words = ctx.find_root(), list(ctx.params["words"] or ())
        root.command.main([*words, "--help"], prog_name=root.info_name, standalone_mode=False)
        # Still here: an option behind `--` took the --help for its value.
        return ctx.fail(f"{words[-1]!r} is no command.")  # type: ignore[no-any-return]


class Group(_Anywhere, TyperGroup):
    """The root, or a command that has commands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first word names; where there is none, say what does the same here."""
        known = None if args[0] in self.commands else advice(args[0], "" if ctx.parent is None else str(self.name))
        if known:
            ctx.fail(f"No such command {args[0]!r}. {known}")
        return super().resolve_command(ctx, args)


def command(
    group: typer.Typer, name: str, *examples: str, alias: str | None = None, cls: type[Command] = Command
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a command by a function whose signature says what it takes and whose docstring is its help.

    Args:
        group: where.
        name: how it is called.
        examples: the lines with which its help ends.
        alias: another name, not listed.
        cls: how it is parsed.

    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        group.command(name, cls=cls, epilog=epilog(*examples))(function)
        if alias:
            group.command(alias, cls=cls, epilog=epilog(*examples), hidden=True)(function)
        return function

    return register


def epilog(*examples: str) -> str:
    """Return the end of a help text."""
    return "\n".join(["\b", "Example:" if len(examples) == 1 else "Examples:", *(f"  {line}" for line in examples)])


def keep_as_typed(command: Any) -> Any:
    """Spare a command and those inside it the conversion of parameters, and return it.

    All are text or flags, and Typer's converter takes 150 ms to import.
    """
    for param in command.params:
        param.process_value = _lazily(param)
    for inner in getattr(command, "commands", {}).values():
        keep_as_typed(inner)
    return command


def _lazily(param: Any) -> Callable[[Any, Any], Any]:
    convert = param.process_value

    def process(ctx: Any, value: Any) -> Any:
        needed = param.required if value is None else getattr(param, "is_flag", False) or param.callback
        return convert(ctx, value) if needed else value

    return process
