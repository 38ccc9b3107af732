"""Suggestions of what to type instead: the errors for unknown commands, options, values and words,
each with the most likely meaning. Each suggestion imports what it alone needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from ..core.errors import UnknownModelError, UsageError
from ..core.records import listed_choices
from ..core.synonyms import meant, options_elsewhere
from ..core.units import canonical, nearest
from ..core.workload import FLAGS, field_meant
from . import COMMANDS
from .options import CHOICES, options_of, positionals_of, see_help
from .texts import help_texts

if TYPE_CHECKING:
    from .parser import Options

# options whose values are kinds of models and are easily confused
_KINDS = ("--modality", "--use", "--openness")
# options, without dashes, that name a machine to judge
_OF_MACHINES = ("machine", "gpu", "set")


def unknown_command(word: str, rest: Sequence[str]) -> UsageError:
    """Return the error for a word that is neither a command nor a model. `rest` are the words
    behind it.
    """
    from ..core.quoting import shell_line

    if word.startswith("-"):
        example = "selfhost check mistral-7b --context 8k"
        remedy = f"put an option after its command, as in `{example}`"
        return UsageError(f"unknown command {word!r}", remedy=remedy)
    known = ("--version", *COMMANDS)
    guess = meant(word.lower(), help_texts().commands, known)
    if guess is None:
        guess = _command_near(word, rest)
    if guess is None:
        line = shell_line(["check", *_model_meant([word, *rest])])
        remedy = f"to judge a model: selfhost {line}"
    else:
        line = shell_line([guess, *rest])
        remedy = f"did you mean `selfhost {line}`?"
    return UsageError(f"unknown command {word!r}", remedy=remedy)


def _command_near(word: str, rest: Sequence[str]) -> str | None:
    """The command that a typing slip most likely meant. None where no command is near, and where a
    family of models is nearer, as `mistral` is to `mistrl`, unless the words behind name a model.
    """
    command = nearest(word, list(COMMANDS))
    if command is None:
        return None
    from ..catalogue.index import open_catalogue
    from ..catalogue.names import id_of

    catalogue = open_catalogue()
    typed = takewhile(lambda behind: not behind.startswith("-"), rest)
    if id_of(" ".join(typed), catalogue) is not None:
        return command
    outlines = catalogue.outlines.values()
    families = {outline.family for outline in outlines if outline.family}
    if nearest(word, [*COMMANDS, *sorted(families)]) == command:
        return command
    return None


def _model_meant(words: Sequence[str]) -> list[str]:
    """The words with the name of a model in place of those before the first option, where a known
    one is near.
    """
    from ..catalogue.index import open_catalogue
    from ..catalogue.searching import resolve

    typed = list(takewhile(lambda word: not word.startswith("-"), words))
    options = words[len(typed) :]
    try:
        resolve(" ".join(typed), open_catalogue())
    except UnknownModelError as error:
        if error.nearest:
            return [error.nearest[0], *options]
    return list(words)


def unknown_options(command: str, words: Sequence[str]) -> UsageError:
    """The error for options that the command does not have."""
    typed = [word.partition("=")[0] for word in words]
    listed = " ".join(typed)
    kind = "unknown option" if len(typed) == 1 else "unknown options"
    # without the dashes, which all options share: with them, unlike words would look alike
    names = [word.lstrip("-") for word in typed]
    remedy = _instead_of_options(command, names) or see_help(command)
    return UsageError(f"{kind} {listed}", remedy=remedy)


def _instead_of_options(command: str, names: Sequence[str]) -> str | None:
    """The remedy for unknown options: what to type instead. None where no option is near.

    `names` have no dashes. Where help.toml or a program tells what to type for the first, this is
    told alone; else the nearest option for each.
    """
    flags = ["json", "help"]
    for option in options_of(command):
        flags += [name.removeprefix("--") for name in option.long_names]
    first = names[0]
    texts = help_texts()
    if first in texts.instead:
        return texts.instead[first]
    if first in texts.stated and "set" in flags:
        return texts.stated[first]
    if first in texts.stated or first in _OF_MACHINES:
        # the command judges no machine
        return texts.judges_machines.get(command)
    if "runtime-option" in flags:
        of_program = _option_of_program(first)
        if of_program is not None:
            return of_program
    guesses: list[str] = []
    for name in names:
        flag = _flag_meant(name, flags)
        if flag is not None and f"--{flag}" not in guesses:
            guesses.append(f"--{flag}")
    if not guesses:
        return None
    listed = " ".join(guesses)
    return f"did you mean {listed}?"


def _flag_meant(name: str, flags: Sequence[str]) -> str | None:
    """The flag of a command, without its dashes, that an unknown option most likely means; None
    where none is near. `flags` are those that the command has.

    The option may have the word of Python and of agents for a field, another program's word, or a
    slip; or it is an option of a program, for which selfhost has one of its own.
    """
    field = field_meant(name)
    if field is not None:
        flag = FLAGS[field].removeprefix("--")
        if flag in flags:
            return flag
    guess = meant(name, options_elsewhere(), flags)
    if guess is None:
        guess = nearest(name, flags)
    if guess is not None:
        return guess
    from ..judge.table import USUAL

    flag = USUAL.stated_by.get(name, "").removeprefix("--")
    return flag if flag in flags else None


def _option_of_program(name: str) -> str | None:
    """The remedy for an option of a program such as llama.cpp that `--runtime-option` takes; None
    for other words.
    """
    from ..catalogue.index import open_catalogue
    from ..judge.table import USUAL

    own_name = USUAL.long_names.get(name, name)
    catalogue = open_catalogue()
    programs = []
    # programs that share an option take the same kind of value
    for id in catalogue.runtime_ids():
        runtime = catalogue.runtime(id)
        option = runtime.named_options.get(own_name)
        if option is not None:
            value = "yes" if option.to else "VALUE"
            programs.append(runtime.name)
    if not programs:
        return None
    return f"for {listed_choices(programs)}: --runtime-option {own_name}={value}"


def unknown_choice(
    flag: str,
    typed: str,
    choices: Sequence[str],
) -> UsageError:
    """Return the error for a value that is none of the choices. `flag` is empty for a word without
    an option.
    """
    guess = _likely_choice(flag, typed.strip().lower(), choices)
    message = f"{typed!r} is not one of {listed_choices(choices)}"
    if flag:
        message = f"{flag}: {message}"
    remedy = f"did you mean {guess}?" if guess else None
    return UsageError(message, remedy=remedy)


def _likely_choice(
    flag: str,
    word: str,
    choices: Sequence[str],
) -> str | None:
    """The likely choice with its option, or another option that has the word among its choices;
    None where nothing is near.
    """
    if not word:
        return None
    from ..catalogue.uses import kind_meant

    kind = kind_meant(word)
    guesses = [
        meant(word, help_texts().values, choices),
        kind,
    ]
    for choice in choices:
        # `image` is the beginning of image-generation, and `generation` a part of it
        if f"-{word}" in f"-{canonical(choice)}":
            guesses.append(choice)
    guesses.append(nearest(word, choices))
    for guess in guesses:
        if guess in choices:
            return f"{flag} {guess}".strip()
    if flag in _KINDS:
        # `--use image` means a modality
        for other in _KINDS:
            if kind in CHOICES[other]:
                return f"{other} {kind}"
    return None


def missing_words(command: str, options: Options) -> UsageError:
    """The error for a command without the words that it needs, with an example; where a model is
    missing and a machine is named, also with the line that lists what runs there.
    """
    texts = help_texts()
    first_line = texts.examples[command].split("\n")[0].strip()
    # two spaces separate an example from its remark
    example = first_line.partition("  ")[0]
    from ..core.quoting import shell_line

    remedy = f"for example `{example}`"
    needs_model = positionals_of(command)[0].name in ("model", "models")
    if needs_model and options.machine is not None:
        line = shell_line(["list", "--machine", options.machine])
        remedy += f"\nwhat runs on that machine: `selfhost {line}`"
    return UsageError(texts.missing[command], remedy=remedy)
