"""`selfhost completion`: scripts for three shells, and the words they ask for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from . import COMMANDS
from .declared import SHELLS, TAKEN, arguments
from .output import write

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..catalogue.index import Catalogue

_SCRIPTS = {
    # bash breaks words at `:` and `=`, so the line is taken as it was typed, and what readline
    # keeps is cut off again
    "bash": """\
_selfhost() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$' \\t\\n' typed kept="" each
    read -ra typed <<< "$line"
    [[ "$line" == *[[:space:]] ]] && typed+=("")
    local word="${typed[${#typed[@]}-1]}"
    [[ "$word" == *[:=]* ]] && kept="${word%"${word##*[:=]}"}"
    IFS=$'\\n'
    COMPREPLY=()
    for each in $(selfhost _complete "${typed[@]:1}" 2>/dev/null); do
        [[ -z "$kept" || "$each" == "$word"* ]] && COMPREPLY+=("${each#"$kept"}")
    done
    [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *= ]] && compopt -o nospace
}
complete -o default -F _selfhost selfhost
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
complete -c selfhost -a '(_selfhost)'
""",
}
assert tuple(_SCRIPTS) == SHELLS


def run(words: list[str]) -> int:
    """Print the script."""
    from .parser import parse

    write(_SCRIPTS[parse("completion", words).shell])
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """Return what may stand in the place of the last of `words` (typed after `selfhost`); nothing
    where the shell's own names of files are the answer.
    """
    from ..catalogue.index import open_catalogue
    from ..catalogue.names import complete

    typed, catalogue = words[-1] if words else "", open_catalogue()
    if len(words) < 2:
        return _beginning(typed, COMMANDS) or list(complete(typed, catalogue))
    # a bare name of a model is a check
    command = words[0] if words[0] in COMMANDS else "check"
    values = _values(command, words[-2], typed, catalogue)
    if values is not None:
        return values
    if typed.startswith("-"):
        return _beginning(typed, " ".join(TAKEN[command]).split())
    words_taken = {name: each for name, each in arguments(command).items() if name[0] != "-"}
    if words_taken.keys() & {"model", "models"}:
        return list(complete(typed, catalogue))
    choices = [word for each in words_taken.values() for word in each.get("choices", ())]
    return _beginning(typed, choices)


def _values(command: str, before: str, typed: str, catalogue: Catalogue) -> list[str] | None:
    """Return the values of an option, of `--option VALUE` or `--option=VALUE`; None where no value
    of one stands there.
    """
    options = {
        flag: settings for names, settings in arguments(command).items() for flag in names.split()
    }
    flag, sign, value = typed.partition("=")
    if not sign or flag not in options:
        flag, sign, value = before, "", typed
    settings = options.get(flag, {"nargs": 0})
    if settings.get("action", "append") != "append" or settings.get("nargs") == 0:
        return None
    choices: Any = settings.get("choices") or _listed(flag, catalogue)
    prefix = f"{flag}=" if sign else ""
    return [prefix + word for word in _beginning(value, map(str, choices))]


def _listed(flag: str, catalogue: Catalogue) -> Iterable[str]:
    """Return the values that an option takes, where they can be listed."""
    from ..machine.changes import SETTINGS
    from ..machine.profiles import names
    from ..reports.audit_formats import FORMATS

    listed: dict[str, Callable[[], Iterable[str]]] = {
        "--machine": names,
        "--set": lambda: [f"{key}=" for key in SETTINGS],
        "--format": lambda: FORMATS,
        "--gpu": lambda: [row["words"] for row in catalogue.common("gpus")["gpu"]],
        "--runtime": catalogue.runtime_ids,
        "--quant": lambda: catalogue.common("quantizations")["quantization"],
        "--license": catalogue.license_ids,
        "--draft": catalogue.ids,
        "--family": lambda: sorted({row.family for row in catalogue.outlines() if row.family}),
    }
    return listed[flag]() if flag in listed else ()


def _beginning(typed: str, names: Iterable[str]) -> list[str]:
    """Return the names that begin so; in any case, and with `-` for a blank."""
    start = typed.lower().replace(" ", "-")
    return [name for name in names if name.lower().replace(" ", "-").startswith(start)]
