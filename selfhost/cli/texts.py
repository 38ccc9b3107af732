"""The texts of the command line: `specs/common/help.toml` as one record."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ..core.records import Stated
from ..core.synonyms import Synonyms
from ..core.tables import program_record


class HelpTexts(Stated):
    """The texts of `--help`, and what to type instead of a wrong option or command."""

    schema: int
    # the texts before and after the list of commands
    overview: str
    exit_codes: str
    # the runs that `verify` reads
    runs: str
    # the following are by command; "overview" stands for `selfhost --help`
    examples: Mapping[str, str]
    # by exit code; "other" stands for every command without an entry
    exits: Mapping[str, Mapping[str, str]]
    # the message where a command lacks its words
    missing: Mapping[str, str]
    # the command that judges machines, for commands that do not
    judges_machines: Mapping[str, str]
    # message and remedy where `size` can write no block
    no_image: Mapping[str, str]
    no_command: Mapping[str, str]
    # remedies by unknown option; `stated` is for commands with --set
    instead: Mapping[str, str]
    stated: Mapping[str, str]
    # other programs' names of a value or a command, by selfhost's name
    values: Synonyms
    commands: Synonyms


@cache
def help_texts() -> HelpTexts:
    """The texts that come with the program."""
    return program_record(HelpTexts, "help")
