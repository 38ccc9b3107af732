"""The uses of a model, and the words for them in a search (specs/common/uses.toml)."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.records import Stated
from ..core.tables import shipped_record
from .spec_values import MODALITIES, USES


class Use(Stated):
    """A use of models. `label` and `sentence` are for people; programs branch on the other fields.

    - `answers`: a model with the use answers a question in words.
    - `general`: the use is for any subject.
    - `makes`: the output, such as text or speech.
    - `purpose`: the word for the use where it narrows a model down to one kind of work.
    - `special_first`: in a list for this use, a model made for it comes before general ones.
    - `also`: a use that shows of a general model that it does this work, too.
    """

    label: str
    sentence: str
    answers: bool
    general: bool
    makes: str
    purpose: str | None = None
    special_first: bool = True
    also: str | None = None


class UsesTable(Stated):
    """The whole file: each use by its name, and by another word for a use or modality its name."""

    schema: int
    use: Mapping[str, Use]
    kinds: Mapping[str, str]


def uses_table() -> UsesTable:
    return shipped_record(UsesTable, "uses")


def kind_meant(word: str) -> str:
    """The use or modality that a word means, in the singular or the plural; else the word."""
    word = word.lower()
    synonyms = uses_table().kinds
    for reading in (word, word.removesuffix("s")):
        kind = synonyms.get(reading, reading)
        if kind in (*USES, *MODALITIES):
            return kind
    return word
