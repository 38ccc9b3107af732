"""`selfhost completion`: scripts for three shells, and the words that the scripts ask for.

A script calls `selfhost _complete WORD…` with the words typed so far, the last of them unfinished,
and offers what is printed. Nothing is printed where the shell should offer files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..core.records import Stated
from ..core.tables import program_record, row_names
from . import COMMANDS
from .options import Option, options_of, positionals_of
from .output import write
from .parser import Options

if TYPE_CHECKING:
    from ..catalogue.index import Catalogue


class _Scripts(Stated):
    """`specs/common/completion.toml`: the script of each shell."""

    bash: str
    zsh: str
    fish: str

    def of(self, shell: str) -> str:
        """The script of the shell of that name."""
        return {"bash": self.bash, "zsh": self.zsh, "fish": self.fish}[shell]


class CompletionOptions(Options):
    """The word of `completion`: bash, zsh or fish."""

    shell: str


def run(words: list[str]) -> int:
    """Print the script of a shell."""
    options = CompletionOptions.read("completion", words)
    write(program_record(_Scripts, "completion").of(options.shell))
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """Return the completions of the last of the words behind `selfhost`."""
    from ..catalogue.index import open_catalogue
    from ..catalogue.names import complete

    catalogue = open_catalogue()
    typed = words[-1] if words else ""
    if len(words) < 2:
        return _beginning_with(typed, COMMANDS) or list(complete(typed, catalogue))
    # a model's name without a command means `check`
    command = words[0] if words[0] in COMMANDS else "check"
    *_, before, typed = words
    found = _of_options(command, before, typed, catalogue)
    if found is not None:
        return found
    choices: list[str] = []
    for positional in positionals_of(command):
        if positional.metavar == "MODEL":
            return list(complete(typed, catalogue))
        choices += positional.choices
    return _beginning_with(typed, choices)


def _of_options(
    command: str,
    before: str,
    typed: str,
    catalogue: Catalogue,
) -> list[str] | None:
    """The completions of an option or of its value; None for a word that is neither. `before` is
    the word before the typed one.
    """
    options = {}
    for option in options_of(command):
        options.update(dict.fromkeys(option.names, option))
    flag, equals, value = typed.partition("=")
    if equals and flag in options:
        values = _values(options[flag], value, catalogue)
        return [f"{flag}={word}" for word in values]
    if before in options and options[before].metavar is not None:
        return _values(options[before], typed, catalogue)
    if typed.startswith("-"):
        return _beginning_with(typed, options)
    return None


def _values(
    option: Option,
    typed: str,
    catalogue: Catalogue,
) -> list[str]:
    """The values of an option that begin with the typed text. A switch has none."""
    if option.metavar is None:
        return []
    values = option.choices or _known_values(option.flag, catalogue)
    return _beginning_with(typed, values)


def _known_values(flag: str, catalogue: Catalogue) -> Iterable[str]:
    """The values that the catalogue or another module lists for an option; none for other options.

    Each value is one word of a shell: a script offers it unquoted.
    """
    match flag:
        case "--family":
            outlines = catalogue.outlines.values()
            return sorted({row.family for row in outlines if row.family})
        case "--set":
            from ..machine.changes import SETTINGS

            return [f"{key}=" for key in SETTINGS]
        case "--format":
            from ..reports.audit_formats import FORMATS

            return FORMATS
        case "--gpu":
            from ..machine.gpus import every_card

            return [card.words.replace(" ", "-") for card in every_card()]
        case "--machine":
            from ..machine.profiles import names

            return names()
        case "--runtime":
            return catalogue.runtime_ids()
        case "--quant":
            return row_names("quantizations", "quantization")
        case "--license":
            return [name for name in row_names("licenses") if " " not in name]
        case "--draft":
            return catalogue.ids()
    return ()


def _beginning_with(typed: str, names: Iterable[str]) -> list[str]:
    """The names that begin with the typed text, in any case and with a dash for a space."""
    start = _with_dashes(typed)
    return [name for name in names if _with_dashes(name).startswith(start)]


def _with_dashes(name: str) -> str:
    return name.lower().replace(" ", "-")
