"""`completion`: what makes a shell offer commands, addresses and keys."""

from __future__ import annotations

from pronto_cli.exits import Exit, UsageError
from pronto_cli.printing import print_record
from pronto_cli.run import program_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pronto_cli.line import Line
    from pronto_cli.streams import Streams

# Each asks the program itself: a variable says so, and others hold the line as far as it is typed.
_BASH = r"""_NAME_completion() {
    local word
    COMPREPLY=()
    while IFS= read -r word; do
        [[ -n $word ]] && COMPREPLY+=("$(printf '%q' "$word")")
    done < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _VARIABLE=complete_bash "$1" 2>/dev/null)
}
complete -o default -F _NAME_completion NAME"""

_ZSH = r"""#compdef NAME
_NAME_completion() {
    eval "$(_TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _VARIABLE=complete_zsh NAME 2>/dev/null)"
}
compdef _NAME_completion NAME"""

_FISH = r"""function _NAME_completion
    set -lx _VARIABLE complete_fish
    set -lx _TYPER_COMPLETE_FISH_ACTION $argv[1]
    set -lx _TYPER_COMPLETE_ARGS (commandline -cp)
    NAME 2>/dev/null
end
complete --command NAME --condition "_NAME_completion is-args" --arguments "(_NAME_completion get-args)" --no-files"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def completion(line: Line, streams: Streams) -> int:
    """Print the script for a shell."""
    shell = line["shell"]
    if shell not in SCRIPTS:
        raise UsageError(f"There is no completion for {shell!r}.", f"Shells: {', '.join(SCRIPTS)}.")
    name = program_name()
    script = SCRIPTS[shell].replace("_VARIABLE", f"_{name.upper()}_COMPLETE").replace("NAME", name)
    if line.json:
        print_record(line, streams, {"shell": shell, "script": script})
    else:
        streams.line(script)
    return Exit.OK
