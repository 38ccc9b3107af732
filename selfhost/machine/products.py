"""Computers that are sold as one product: handhelds, boards, mini PCs, Intel Macs.

What goes in: the words of a description. What comes out: the product of specs/common/products.toml
whose name the words contain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache, cached_property

from ..core.records import Stated
from ..core.tables import shipped_record
from .phrases import Phrase
from .words import vocabulary

# words that may stand between the words of a name; "" is left of `gen`
_BETWEEN = frozenset(("pro", "mini", ""))


class Product(Stated):
    """A row of `product`, or a Mac with an Apple chip.

    - The first of `gib` is the usual size of the RAM.
    - `processor` is None where the product is sold with several.
    - `cores` is the number of cores that the product's system counts.
    - `shared` is the GPU in the processor, and `gpu` the card, as it is typed.
    - `line` has the words that people leave unsaid before the number of the GPU.
    - `gb_per_s` is the peak bandwidth of the memory.
    - `guest`: the product is a virtual machine or a container.
    """

    title: str
    gib: tuple[float, ...]
    source: str
    words: str = ""
    also: str = ""
    processor: str | None = None
    cores: int | None = None
    physical: int | None = None
    shared: str | None = None
    gb_per_s: float | None = None
    gpu: str | None = None
    system: str | None = None
    architecture: str | None = None
    line: str = ""
    guest: bool = False

    @cached_property
    def name(self) -> list[str]:
        """The words of the product's name."""
        return self.words.split()

    def is_named_in(self, texts: Sequence[str]) -> bool:
        """Whether the words of a description hold the words of the product's name: in their order,
        with only fillers between them, or in any order if one of them is a year.
        """
        name = self.name
        if not set(name).issubset(texts):
            return False
        for word in name:
            if re.fullmatch(r"20\d\d", word):
                return True
        fillers = _BETWEEN.union(self.also.split(), vocabulary().idle)
        told = [word for word in texts if word in name or word not in fillers]
        return f" {' '.join(name)} " in f" {' '.join(told)} "

    @property
    def source_text(self) -> str:
        """The source of the product's figures, as a text."""
        return _table().sources[self.source]


class _ProductTable(Stated):
    """`specs/common/products.toml`, whose header explains each key."""

    schema: int
    refused: Mapping[str, str]
    product: tuple[Product, ...]
    sources: Mapping[str, str]


@cache
def _table() -> _ProductTable:
    return shipped_record(_ProductTable, "products")


def find_product(phrase: Phrase) -> Product | None:
    """Claim the words of the product that a description names; of several the product with the
    longest name.

    Raises `UnknownMachineError` for a name that several products share.
    """
    texts = _without_gen(phrase.words)
    found = None
    for product in _table().product:
        if not product.is_named_in(texts):
            continue
        if found is None or len(product.name) > len(found.name):
            found = product
    if found is None or len(found.name) == 1:
        for name, code in _table().refused.items():
            if set(name.split()).issubset(texts):
                raise phrase.error(code)
    if found is None:
        return None
    named = found.name + found.also.split()
    phrase.claim(*[at for at, word in enumerate(texts) if word in named])
    return found


def _without_gen(words: Sequence[str]) -> list[str]:
    """The words, with `9` for `gen9` and for `gen 9`."""
    return [word.replace("gen", "") for word in words]
