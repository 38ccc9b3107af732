"""The texts of the command line: `specs/common/help.toml` as one record, and a text of `--help` in
the width of the terminal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from itertools import groupby

from ..core.records import Stated
from ..core.synonyms import Synonyms
from ..core.tables import program_record
from .output import terminal_size

# the two columns of a line, with at least two blanks between them: `  list    what runs here`
_TWO_COLUMNS = re.compile(r"( *\S.*?)( {2,})(\S.*)")
# the least width of a second column beside the first; a narrower one stands below the first
_LEAST_BESIDE = 24
_BELOW = " " * 6
# a text is never broken into shorter lines
_LEAST_WIDTH = 30


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


def fitted(text: str) -> str:
    """The text with no line wider than the terminal, but for an example without a remark: a command
    in two lines would be two commands.
    """
    width = max(terminal_size().columns, _LEAST_WIDTH)
    fitting: list[str] = []
    for is_prose, group in groupby(text.split("\n"), _is_prose):
        lines = list(group)
        if all(len(line) <= width for line in lines):
            fitting += lines
        elif is_prose:
            fitting += _broken(" ".join(lines), width)
        else:
            for line in lines:
                fitting += _columns_fitted(line, width)
    return "\n".join(fitting)


def _is_prose(line: str) -> bool:
    """Whether the line belongs to a paragraph: it stands at the margin and has one column."""
    return line[:1].strip() != "" and _TWO_COLUMNS.fullmatch(line) is None


def _columns_fitted(line: str, width: int) -> list[str]:
    """The lines of a line that is no prose. The second of its columns goes on under its start."""
    row = _TWO_COLUMNS.fullmatch(line)
    if row is None or len(line) <= width:
        return [line]
    first, gap, second = row.groups()
    start = len(first) + len(gap)
    if width - start < _LEAST_BESIDE:
        return [first, *_broken(second, width, _BELOW, _BELOW)]
    return _broken(second, width, first + gap, " " * start)


def _broken(
    text: str,
    width: int,
    indent: str = "",
    indent_further: str = "",
) -> list[str]:
    """The text in lines of at most that width, broken between words."""
    # imported only for a narrow terminal
    from textwrap import wrap

    return wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent_further,
        break_long_words=False,
        break_on_hyphens=False,
    )
