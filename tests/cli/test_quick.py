"""The quick way to read a command line and Typer's never differ."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pronto_cli import quick
from pronto_cli.app import parse
from pronto_cli.exits import UsageError
from pronto_cli.line import GLOBALS, Line

WORDS = st.sampled_from(
    [
        *quick.SHAPES, "address", "nonsense", "key", "a.b.c", "k__x", "value", "-", "--", "-5", "5", "", "é", "--json",
        "--quiet", "-q", "--verbose", "-v", "--root", "--root=r", "r", "--address", "-a", "u.c", "--user", "-u", "-ux",
        "--cursor", "-c", "--timeout", "3", "soon", "--ns-delim", "|", "--project", "-p", "--namespace", "-n",
        "--literal", "--ttl", "--if-absent", "--if-revision", "--raw", "--with-revision", "--help", "--version",
        "--liter",
    ]
)  # fmt: skip


def outcome(read, words):
    """Return what a reader makes of words: the line's content, or the refusal of the line itself."""
    try:
        line = read(words)
    except UsageError as error:
        return str(error)
    if not isinstance(line, Line):
        return None
    return line.command, line.arguments, {name: getattr(line, name) for name in GLOBALS}


@settings(max_examples=3_000)
@given(st.lists(WORDS, max_size=7))
@example(["get", "key"])
@example(["--json", "set", "key", "value", "--ttl", "3", "-a", "u.c"])
@example(["set", "key", "--", "-5"])
@example(["incr", "key", "5"])
@example(["keys", "-p", "key", "-n", "value", "--literal"])
def test_what_the_quick_way_accepts_typer_reads_the_same(words):
    quickly = outcome(quick.scan, words)
    if quickly is not None:
        assert quickly == outcome(parse, words)


@pytest.mark.parametrize("command", quick.SHAPES)
def test_every_plain_line_of_a_hot_command_goes_the_quick_way(command):
    shape = quick.SHAPES[command]
    words = [command, *(["key"] * shape.required)]
    options = [word for option in [*shape.options, "--root", "-a"] for word in (option, "5")]
    for line in (words, [*words, *options], ["--json", *words], [*words, "--json"], ["-a", "u.c", *words]):
        assert quick.scan(line) is not None
    assert quick.scan([*words, *shape.flags]) is not None


LEFT = [
    [],
    ["--help"],
    ["get"],
    ["get", "a", "b"],
    ["get", "--help"],
    ["set", "k", "-5"],
    ["get", "k", "--unknown"],
    ["addresses"],
]


@pytest.mark.parametrize("words", LEFT, ids=" ".join)
def test_everything_else_is_left_to_typer(words):
    assert quick.scan(words) is None
