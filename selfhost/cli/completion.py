"""`selfhost completion`: scripts for three shells, and the words they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .arguments import Parser, parse
from .output import write

TYPE_CHECKING = False

if TYPE_CHECKING:
    from argparse import ArgumentParser

_SCRIPTS = {
    "bash": (
        """\
_selfhost() {
    local IFS=$'\\n'
    COMPREPLY=($(compgen -W "$(selfhost _complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
    [ ${#COMPREPLY[@]} -eq 0 ] && compopt -o default
}
complete -F _selfhost selfhost
"""  # noqa: E501
    ),
    "zsh": (
        """\
#compdef selfhost
_selfhost() {
    local -a words_found
    words_found=("${(@f)$(selfhost _complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${words_found[1]}" ]]; then compadd -Q -- "${words_found[@]}"; else _files; fi
}
if [[ "${funcstack[1]}" = _selfhost ]]; then _selfhost "$@"; else compdef _selfhost selfhost; fi
"""
    ),
    "fish": (
        """\
complete -c selfhost -f -a '(selfhost _complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
complete -c selfhost -n '__fish_contains_opt machine machines specs output' -F
"""  # noqa: E501
    ),
}


def parser() -> Parser:
    """The shell, and nothing else."""
    parser = Parser("completion")
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
    return parser


def run(words: list[str]) -> int:
    """Print the script."""
    options = parse(parser(), words)
    write(script(options.shell))
    return 0


def script(shell: str) -> str:
    """The completion script of `bash`, `zsh` or `fish`."""
    return _SCRIPTS[shell]


def candidates(
    words: Sequence[str], commands: Sequence[str], parser_of: Callable[[str], ArgumentParser]
) -> tuple[str, ...]:
    """What may stand in the place of the last of `words` (what was typed after `selfhost`); nothing
    for a file's name.

    Options are read off the command's own parser. Names with a colon are left out: bash splits
    words there.
    """
    typed = words[-1] if words else ""
    if len(words) < 2:
        return _beginning(typed, commands)
    command = words[0]
    if command not in commands:
        return ()
    actions = parser_of(command)._actions
    for action in actions:
        if words[-2] in action.option_strings and action.nargs != 0:
            return _beginning(typed, map(str, action.choices or ()))
    if typed.startswith("-"):
        return _beginning(typed, (flag for action in actions for flag in action.option_strings))
    positional = (action for action in actions if not action.option_strings)
    fixed = [str(choice) for action in positional for choice in action.choices or ()]
    if fixed:
        return _beginning(typed, fixed)
    return _models(typed) if command in ("check", "show", "compare", "plan") else ()


def _beginning(typed: str, candidates: Iterable[str]) -> tuple[str, ...]:
    return tuple(candidate for candidate in candidates if candidate.startswith(typed))


def _models(typed: str) -> tuple[str, ...]:
    from ..api import open_catalogue
    from ..catalogue.names import complete

    return tuple(name for name in complete(typed, open_catalogue()) if ":" not in name)
