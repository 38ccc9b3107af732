"""The words of other programs for what selfhost has, and the word that each of them means.

`specs/common/synonyms.toml` has those for options. The command line, Python, policies and tools for
agents look there, so that a word gets the same hint in each.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache

from .records import Stated
from .tables import program_record

# lists of other programs' words, by selfhost's own word
Synonyms = Mapping[str, Sequence[str]]


class _SynonymTable(Stated):
    """The whole file: `options` by their names without dashes."""

    schema: int
    options: Synonyms


@cache
def options_elsewhere() -> Synonyms:
    """Other programs' names of each option."""
    return program_record(_SynonymTable, "synonyms").options


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
