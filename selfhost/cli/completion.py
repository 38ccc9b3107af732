"""`selfhost completion`: scripts for three shells, and the words they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from . import COMMANDS
from .declared import WORDS
from .output import write

TYPE_CHECKING = False

if TYPE_CHECKING:
    from argparse import Action

    from ..catalogue.index import Catalogue

_SCRIPTS = {
    # bash breaks words at `:` and `=`, so the line is taken as it was typed, and what readline
    # keeps is cut off again
    "bash": """\
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
        [[ -z "$kept" || "$each" == "$word"* ]] && COMPREPLY+=("${each#"$kept"}")
    done
    [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *= ]] && compopt -o nospace
    [[ ${#COMPREPLY[@]} -eq 0 ]] && compopt -o default
}
complete -F _selfhost selfhost
""",
    "zsh": """\
#compdef selfhost
_selfhost() {
    local -a offered
    offered=("${(@f)$(selfhost _complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${offered[1]}" ]]; then compadd -Q -- "${offered[@]}"; else _files; fi
}
if [[ "${funcstack[1]}" = _selfhost ]]; then _selfhost "$@"; else compdef _selfhost selfhost; fi
""",
    "fish": """\
function _selfhost
    selfhost _complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null
end
complete -c selfhost -f -a '(_selfhost)'
complete -c selfhost -n '__fish_contains_opt machine machines specs output root' -F
""",
}
# commands whose names are models
_OF_MODELS = ("check", "show", "compare", "plan", "size")


def run(words: list[str]) -> int:
    """Print the script."""
    from .parser import parse

    write(_SCRIPTS[parse("completion", words).shell])
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """Return what may stand in the place of the last of `words` (typed after `selfhost`); nothing
    where the shell's own names of files are the answer.
    """
    from ..catalogue.names import complete
    from ..catalogue.opened import open_catalogue
    from .parser import CommandParser

    typed, catalogue = words[-1] if words else "", open_catalogue()
    if len(words) < 2:
        return _beginning(typed, COMMANDS) or list(complete(typed, catalogue))
    # a bare name of a model is a check
    command = words[0] if words[0] in COMMANDS else "check"
    flags = CommandParser(command)._option_string_actions
    flag, sign, value = typed.partition("=")
    if sign and flag in flags:
        return [f"{flag}={word}" for word in _values(flags[flag], value, catalogue)]
    before = flags.get(words[-2])
    if before is not None and before.nargs != 0:
        return _values(before, typed, catalogue)
    if typed.startswith("-"):
        return _beginning(typed, flags)
    if command in _OF_MODELS:
        return list(complete(typed, catalogue))
    choices = (settings.get("choices", ()) for settings in WORDS[command].values())
    return _beginning(typed, chain.from_iterable(choices))


def _values(action: Action, typed: str, catalogue: Catalogue) -> list[str]:
    """Return the values of an option that begin with what was typed."""
    if action.choices is not None:
        return _beginning(typed, map(str, action.choices))
    if action.dest == "draft":
        from ..catalogue.names import complete

        return list(complete(typed, catalogue))
    if action.dest not in _NAMES:
        return []
    names = _NAMES[action.dest](catalogue)
    if action.dest == "license":
        # of an expression the license that is being typed
        before, space, last = typed.rpartition(" ")
        return [f"{before}{space}{name}" for name in _beginning(last, names)]
    return _beginning(typed, names)


def _settings(_: Catalogue) -> Iterable[str]:
    from ..machine import changes

    yield from (f"{key}=" for key in changes.SETTINGS)
    yield from (f"architecture={word}" for word in changes.ARCHITECTURES)
    yield from (f"system={word}" for word in changes.SYSTEMS)


def _machines(_: Catalogue) -> Iterable[str]:
    from ..machine.profiles import names

    return names()


def _formats(_: Catalogue) -> Iterable[str]:
    from ..reports.audit_formats import FORMATS

    return FORMATS


# by the name of what an option sets, the names that it takes
_NAMES: dict[str, Callable[[Catalogue], Iterable[str]]] = {
    "machine": _machines,
    "set": _settings,
    "format": _formats,
    "gpu": lambda catalogue: (row["words"] for row in catalogue.common("gpus")["gpu"]),
    "runtime": lambda catalogue: catalogue.runtime_ids(),
    "quantization": lambda catalogue: catalogue.common("quantizations")["quantization"],
    "license": lambda catalogue: catalogue.license_ids(),
    "spread": lambda catalogue: catalogue.common("spread")["engine"],
    "family": lambda catalogue: sorted(
        {model.family for model in catalogue.outlines() if model.family}
    ),
}


def _beginning(typed: str, names: Iterable[str]) -> list[str]:
    """Return the names that begin so; in any case, and with `-` for a blank."""
    start = typed.lower().replace(" ", "-")
    return [name for name in names if name.lower().replace(" ", "-").startswith(start)]
