"""What the command line says of itself: `specs/common/help.toml` as one record."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache

from ..core.records import Stated
from ..core.tables import unchecked_table

# a list of words by the word that is ours for them
Synonyms = Mapping[str, Sequence[str]]


class HelpTexts(Stated):
    """The texts of `--help`, and what to type instead of a wrong option or command."""

    schema: int
    # before and after the list of commands
    overview: str
    exit_codes: str
    # what `verify` reads
    runs: str
    # the following are by command; "overview" is that of `selfhost --help`
    examples: Mapping[str, str]
    # by exit code; "other" are those of every command without an entry
    exits: Mapping[str, Mapping[str, str]]
    # where the words of a command are missing
    missing: Mapping[str, str]
    # the command that judges machines, where this one does not
    judges_machines: Mapping[str, str]
    # message and remedy where `size` can write no block
    no_image: Mapping[str, str]
    no_command: Mapping[str, str]
    # remedies by unknown option; `stated` where the command has --set
    instead: Mapping[str, str]
    stated: Mapping[str, str]
    # by our name: what other programs call an option, a value or a command
    options: Synonyms
    values: Synonyms
    commands: Synonyms


@cache
def help_texts() -> HelpTexts:
    """The texts that come with the program."""
    return unchecked_table(HelpTexts, "help")


def meant(
    word: str,
    synonyms: Synonyms,
    known: Collection[str],
) -> str | None:
    """The known name that other programs call by this word; None where there is none."""
    for name, others in synonyms.items():
        if word in others and name in known:
            return name
    return None
