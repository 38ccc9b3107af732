"""`selfhost completion`: scripts for three shells, and the words they ask for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from .arguments import Parser, parse
from .output import write

TYPE_CHECKING = False

if TYPE_CHECKING:
    from argparse import Action, ArgumentParser

    from ..catalogue.index import Catalogue

_SCRIPTS = {
    # bash breaks words at `:` and `=`, so the line is taken as it was typed, and what readline
    # keeps is cut off again
    "bash": (
        """\
_selfhost() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$' \\t\\n'
    local -a typed
    read -ra typed <<< "$line"
    [[ "$line" == *[[:space:]] ]] && typed+=("")
    local word="${typed[${#typed[@]}-1]}" kept=""
    [[ "$word" == *[:=]* ]] && kept="${word%"${word##*[:=]}"}"
    IFS=$'\\n'
    local each
    local -a offered=($(selfhost _complete "${typed[@]:1}" 2>/dev/null))
    COMPREPLY=()
    for each in "${offered[@]}"; do
        [[ "$each" == "$word"* ]] && COMPREPLY+=("${each#"$kept"}")
    done
    [[ ${#COMPREPLY[@]} -eq 0 && -z "$kept" ]] && COMPREPLY=("${offered[@]}")
    [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *= ]] && compopt -o nospace
    [[ ${#COMPREPLY[@]} -eq 0 ]] && compopt -o default
}
complete -F _selfhost selfhost
"""
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
function _selfhost
    selfhost _complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null
end
complete -c selfhost -f -a '(_selfhost)'
complete -c selfhost -n '__fish_contains_opt machine machines specs output root record' -F
"""
    ),
}
# commands whose names are models
_OF_MODELS = ("check", "show", "compare", "plan", "size")


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
    where the shell's own names of files are the answer.

    Options and their choices are read off the command's own parser; what else an option takes is
    looked up in the catalogue and among the known machines.
    """
    typed = words[-1] if words else ""
    if len(words) < 2:
        return _beginning(typed, commands) or _models(typed)
    # a bare name of a model is a check
    command = words[0] if words[0] in commands else "check"
    actions = parser_of(command)._actions
    by_flag = {flag: action for action in actions for flag in action.option_strings}
    taking = {flag: action for flag, action in by_flag.items() if action.nargs != 0}
    flag, sign, value = typed.partition("=")
    if sign and flag in taking:
        return tuple(f"{flag}={each}" for each in _values(taking[flag], value, command))
    if words[-2] in taking:
        return _values(taking[words[-2]], typed, command)
    if typed.startswith("-"):
        return _beginning(typed, by_flag)
    return _without_option(actions, typed, command)


def _without_option(actions: Sequence[Action], typed: str, command: str) -> tuple[str, ...]:
    """What may stand where no option does."""
    positional = [action for action in actions if not action.option_strings]
    fixed = [str(choice) for action in positional for choice in action.choices or ()]
    if fixed:
        return _beginning(typed, fixed)
    if command == "audit":
        return _files(typed, ".toml")
    return _models(typed) if command in _OF_MODELS else ()


def _values(action: Action, typed: str, command: str) -> tuple[str, ...]:
    """What an option takes."""
    if action.choices is not None:
        return _beginning(typed, map(str, action.choices))
    if command == "audit" and action.dest == "format":
        from ..reports.audit_formats import FORMATS

        return _beginning(typed, tuple(FORMATS))
    if action.dest == "draft":
        return _models(typed)
    look_up = _LOOK_UPS.get(action.dest)
    return look_up(typed) if look_up is not None else ()


def _machines(typed: str) -> tuple[str, ...]:
    """Known machines, by their names with and without the first word, and records."""
    from ..machine.profiles import names

    whole = _beginning(typed, names())
    short = (name.partition("-")[2] for name in names())
    return (*(whole or _beginning(typed, short)), *_files(typed, ".json"))


def _gpus(typed: str) -> tuple[str, ...]:
    rows = _catalogue().common("gpus")["gpu"]
    return _beginning(
        typed.lower().replace(" ", "-"), (row["words"].replace(" ", "-") for row in rows)
    )


def _families(typed: str) -> tuple[str, ...]:
    families = {outline.family for outline in _catalogue().outlines() if outline.family is not None}
    return _beginning(typed, sorted(families))


def _settings(typed: str) -> tuple[str, ...]:
    """The keys of `--set`, and the values of those that take a word."""
    from ..machine import changes

    key, sign, value = typed.partition("=")
    if not sign:
        return _beginning(typed, (f"{name}=" for name in changes.SETTINGS))
    words = {"architecture": changes.ARCHITECTURES, "system": changes.SYSTEMS, "gpu": ("none",)}
    return tuple(f"{key}={word}" for word in _beginning(value, words.get(key, ())))


def _runtimes(typed: str) -> tuple[str, ...]:
    return _beginning(typed, _catalogue().runtime_ids())


def _quantizations(typed: str) -> tuple[str, ...]:
    """However the letters are typed: `q4` is Q4_K_M and the like."""
    names = _catalogue().common("quantizations")["quantization"]
    return tuple(name for name in names if name.lower().startswith(typed.lower()))


def _licenses(typed: str) -> tuple[str, ...]:
    """Of an expression the license that is being typed."""
    before, space, last = typed.rpartition(" ")
    return tuple(f"{before}{space}{name}" for name in _beginning(last, _catalogue().license_ids()))


def _engines(typed: str) -> tuple[str, ...]:
    return _beginning(typed, _catalogue().common("spread")["engine"])


_LOOK_UPS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "machine": _machines,
    "gpu": _gpus,
    "family": _families,
    "set": _settings,
    "runtime": _runtimes,
    "quant": _quantizations,
    "license": _licenses,
    "spread": _engines,
}


def _beginning(typed: str, candidates: Iterable[str]) -> tuple[str, ...]:
    return tuple(candidate for candidate in candidates if candidate.startswith(typed))


def _files(typed: str, suffix: str) -> tuple[str, ...]:
    """Files of that kind, and the folders in which there may be some."""
    folder, slash, start = typed.rpartition("/")
    try:
        with os.scandir(f"{folder}{slash}" or ".") as entries:
            names = [
                f"{folder}{slash}{entry.name}{'/' if entry.is_dir() else ''}"
                for entry in entries
                if entry.name.startswith(start)
                and not entry.name.startswith(".")
                and (entry.name.endswith(suffix) or (start and entry.is_dir()))
            ]
    except OSError:
        return ()
    return tuple(sorted(names))


def _models(typed: str) -> tuple[str, ...]:
    from ..catalogue.names import complete

    return complete(typed, _catalogue())


def _catalogue() -> Catalogue:
    from ..catalogue.opened import open_catalogue

    return open_catalogue()
