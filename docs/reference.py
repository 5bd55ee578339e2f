"""Write docs/cli.md, the reference of the command, from the code: `make docs`. With --check only compare."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pronto_cli.app import application
from pronto_cli.documented import ERROR, SHAPES, VARIABLES
from pronto_cli.exits import MEANINGS
from pronto_cli.grammar import spelling
from pronto_cli.handlers import HANDLERS
from pronto_lmdb.config import SETTINGS
from pronto_lmdb.jsonform import __doc__ as tagged_forms

REFERENCE = Path(__file__).with_name("cli.md")

HEAD = """\
# The command `pronto`

This file is made from the code by `make docs`; edit the help texts instead. `pronto help COMMAND` prints the same.

`pronto [GLOBAL OPTIONS] COMMAND ...`. Data goes to standard output, everything else to standard error. `prontodb` is
the same program under its old name.
"""


def reference() -> str:
    """Return the whole text."""
    root = application()
    parts = [HEAD, "## Global options\n\nThey are understood before and after every command.\n", options(root.params)]
    parts += ["## Exit codes\n", table(("code", "meaning"), [(str(code), text) for code, text in MEANINGS.items()])]
    parts += [
        "## Environment variables\n",
        table(("variable", "meaning"), [(f"`{n}`", m) for n, m in VARIABLES.items()]),
    ]
    parts += ["## Settings\n", SETTINGS_HEAD, settings(), "## JSON\n", json_section(), "## Commands\n"]
    parts += [section(root, name) for name in HANDLERS if not found(root, name).hidden]
    return "\n".join(parts).rstrip() + "\n"


JSON_HEAD = """\
With `--json` everything on standard output is JSON in UTF-8, and an error is one line on standard error:

```text
ERROR
```

Forms are written so: `text`, `whole` (number), `number`, `truth`, `null` and `time` (text as in RFC 3339, UTC) are
kinds, `value` is whatever is stored, `a | b` is either, `*` stands for any name, and `[a]` for any number of `a`.
"""

SETTINGS_HEAD = """\
`pronto config set NAME VALUE` keeps a setting in the store. Its environment variable comes before that.
"""


def settings() -> str:
    """Return the table of settings."""
    rows = [(f"`{name}`", f"`{one.variable}`", f"`{one.default}`", one.meaning) for name, one in SETTINGS.items()]
    return table(("setting", "variable", "default", "meaning"), rows)


def json_section() -> str:
    """Return what holds for all JSON."""
    forms = (tagged_forms or "").split("\n", 2)[2].replace("``", "`")
    lines = [line.strip() for line in forms.splitlines()]
    rulers = [number for number, line in enumerate(lines) if line.startswith("====")]
    start, last = rulers[0], rulers[-1]
    rows = [split_form(line) for line in lines[start + 1 : last]]
    parts = [JSON_HEAD.replace("ERROR", json.dumps(ERROR)), " ".join(filter(None, lines[:start])) + "\n"]
    return "\n".join([*parts, table(("JSON", "stands for"), rows), " ".join(filter(None, lines[last + 1 :])) + "\n"])


def split_form(line: str) -> tuple[str, str]:
    """Return the two columns of a row."""
    form, _, meaning = line.rpartition("  ")
    return form.strip(), meaning.strip()


def section(root: Any, name: str) -> str:
    """Return the section of one command."""
    command = found(root, name)
    words = command.collect_usage_pieces(None)
    usage = " ".join(["pronto", name, *(word for word in words if word != "[OPTIONS]" or own_options(command))])
    lines = [f"### {name}\n", f"```text\n{usage}\n```\n", f"{command.help.strip()}\n"]
    if command.params:
        lines.append(options(command.params))
    lines += [shape_text(label, *shape) for label, shape in SHAPES.items() if is_about(label, name)]
    lines.append("```sh\n" + "\n".join(examples(command)) + "\n```\n")
    return "\n".join(lines)


def found(root: Any, name: str) -> Any:
    """Return the command of a name such as `address create`."""
    command = root
    for word in name.split():
        command = command.commands[word]
    return command


def own_options(command: Any) -> list[Any]:
    """Return the options of a command, without the global ones."""
    return [param for param in command.params if param.param_type_name == "option"]


def is_about(label: str, name: str) -> bool:
    """Tell whether a shape is that of a command, perhaps with an option."""
    return label == name or label.startswith(f"{name} --")


def shape_text(label: str, many: str, shape: Any) -> str:
    """Return the paragraph about one shape."""
    option = label.partition(" --")[2]
    with_options = "`--json`" + (f" and `--{option}`" if option else "")
    if shape is None:
        return f"With {with_options} it prints {many}.\n"
    forms = shape if isinstance(shape, tuple) else (shape,)
    return f"With {with_options} it prints {many}:\n\n```text\n" + "\n".join(map(json.dumps, forms)) + "\n```\n"


def options(params: list[Any]) -> str:
    """Return the table of arguments and options."""
    shown = [param for param in params if not param.name.endswith("_completion")]
    return table(("", "meaning"), [(f"`{spelling(param)}`", param.help or "") for param in shown])


def examples(command: Any) -> list[str]:
    """Return the examples with which a help text ends."""
    return [line.strip() for line in command.epilog.splitlines()[2:]]


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def main(words: list[str]) -> int:
    """Write the reference, or tell whether it is as it should be."""
    text = reference()
    if "--check" not in words:
        REFERENCE.write_text(text, encoding="utf-8")
        return 0
    if REFERENCE.exists() and REFERENCE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{REFERENCE} is not what the code says: run `make docs`.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
