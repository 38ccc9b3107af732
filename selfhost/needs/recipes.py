"""What publishers of quantized checkpoints leave wider than the quantization says.

What goes in: a case in a packed or MLX quantization. What comes out: the recipe that its files
likely follow, and those that they may follow. A publisher's own rows in specs/common/recipes.toml
count before the rows that hold for anybody.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cache

from ..catalogue.spec import PublishedFiles
from ..core.records import Record, Stated
from ..core.tables import shipped_rows
from .case import Case


class CheckpointRecipe(Stated):
    """A row of `[[recipe]]` in specs/common/recipes.toml, which explains each key."""

    methods: frozenset[str]
    quantizations: frozenset[str] = frozenset()
    publishers: frozenset[str] = frozenset()
    word: str = ""
    parts: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    experts_in: str = ""
    since: str = ""
    until: str = "9999"
    type: str = ""
    wide: frozenset[str] = frozenset()
    wide_as_published: bool = False
    eight: frozenset[str] = frozenset()
    packed: frozenset[str] = frozenset()
    last_in_eight: int = 0
    layers_in_16: int = 0
    head: str = ""
    twice: bool = False
    mtp: bool = False
    encoders: bool = True
    mean_bits: tuple[float, ...] = ()
    source: str

    @property
    def is_for_all(self) -> bool:
        """Whether files may follow the recipe whoever publishes them, in any name."""
        return not self.publishers and not self.word

    @property
    def ends(self) -> tuple[CheckpointRecipe, ...]:
        """The recipe with each mean of bits that its files may have; itself where it tells none."""
        if not self.mean_bits:
            return (self,)
        return tuple(self.replace(mean_bits=(bits,)) for bits in self.mean_bits)

    def may_be_of(self, case: Case, method: str, parts: Collection[str]) -> bool:
        """Whether somebody may follow the recipe for a case's model, which has these parts. A model
        without a date is older than any `since`.
        """
        if method not in self.methods:
            return False
        if self.quantizations and case.quantization not in self.quantizations:
            return False
        if self.experts_in and case.model.expert_dtype != self.experts_in:
            return False
        if not self.since <= (case.spec.released or "") < self.until:
            return False
        return self.parts.issubset(parts) and self.lacks.isdisjoint(parts)

    def is_of(self, files: PublishedFiles) -> bool:
        """Whether the files are of one of the recipe's publishers, if it has any, and named as its
        files are.
        """
        if self.is_for_all:
            return False
        if self.publishers and files.owner not in self.publishers:
            return False
        return re.search(self.word, (files.repository or "").lower()) is not None


class Recipes(Record):
    """The recipes that files may follow, the likely one first."""

    possible: tuple[CheckpointRecipe, ...]

    @property
    def likely(self) -> CheckpointRecipe:
        """The recipe that the files likely follow."""
        return self.possible[0]

    @property
    def are_of_publisher(self) -> bool:
        """Whether they are of one publisher or name, and none that anybody may follow."""
        return not any(recipe.is_for_all for recipe in self.possible)


@cache
def _rows() -> Sequence[CheckpointRecipe]:
    return tuple(shipped_rows(CheckpointRecipe, "recipes", "recipe").values())


def recipes_of(case: Case, method: str, parts: Collection[str]) -> Recipes | None:
    """The recipes of files of a case, whose model has these parts of linear layers: the first of
    the publisher's own, then those that hold for anybody. None where no row tells of the method.
    """
    rows = [row for row in _rows() if row.may_be_of(case, method, parts)]
    of_publisher = []
    files = case.spec.files_of(case.format, case.quantization)
    if files is not None:
        own = [row for row in rows if row.is_of(files)]
        of_publisher = own[:1]
        if of_publisher and files.typed:
            # the user named the repository, so nobody else made the files
            return Recipes(possible=tuple(of_publisher))
    of_anybody = [row for row in rows if row.is_for_all]
    possible = of_publisher + of_anybody
    if not possible:
        return None
    return Recipes(possible=tuple(possible))
