"""What a model may be for, and what people call that in a search (specs/common/uses.toml)."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.records import Stated
from ..core.tables import shipped_record


class Use(Stated):
    """One use. `label` and `sentence` are for people; programs branch on the rest.

    `answers`: a model with the use answers a question in words. `general`: the use is for any
    subject. `makes` is what comes out, such as text or speech. `purpose` is the word for the use
    where it narrows a model down to one kind of work. `special_first`: in a list of this use a
    model that was made for it comes before general ones.
    """

    label: str
    sentence: str
    answers: bool
    general: bool
    makes: str
    purpose: str | None = None
    special_first: bool = True


class UsesTable(Stated):
    """The whole file: each use by its name, and by another word for a use or modality its name."""

    schema: int
    use: Mapping[str, Use]
    kinds: Mapping[str, str]


def uses_table() -> UsesTable:
    return shipped_record(UsesTable, "uses")
