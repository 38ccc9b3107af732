"""How people type the names of GPUs and processors: `specs/common/typed_words.toml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache

from ..core.records import Record
from ..core.tables import shipped_table


class TypedWords(Record):
    """How typed names differ from those of drivers; the header of the table explains each."""

    left_out: frozenset[str]
    forms: frozenset[str]
    idle: frozenset[str]
    unsaid: frozenset[str]
    same: Mapping[str, str]
    former: Mapping[str, Sequence[str]]
    counts: Mapping[str, int]

    @cached_property
    def of_former_lines(self) -> frozenset[str]:
        """Words that makers no longer call their cards by, and that people still type: `quadro`."""
        return frozenset(word for words in self.former.values() for word in words)


@lru_cache(1)
def typed_words() -> TypedWords:
    """The words that a typed name may lack, or has instead of others. Raises `SpecError` where the
    installation lacks the table.
    """
    table = shipped_table("typed_words")
    return TypedWords(
        left_out=frozenset(table["left_out"]),
        forms=frozenset(table["forms"]),
        idle=frozenset(table["idle"]),
        unsaid=frozenset(table["unsaid"]),
        same=table["same"],
        former=table["former"],
        counts=table["counts"],
    )
