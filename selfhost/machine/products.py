"""Computers that are sold as one thing: handhelds, boards, mini PCs, Intel Macs.

What goes in: the words of a description. What comes out: the product of specs/common/products.toml
whose name they hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ..core.records import Record, Stated
from ..core.tables import TomlRow, shipped_record
from .cpus import Chip, SoldMac, record_of
from .words import bad_name, vocabulary

# words that may stand between those of a name
_BETWEEN = frozenset(("pro", "mini", ""))


class _ProductTable(Stated):
    """`specs/common/products.toml`, whose header explains each key."""

    schema: int
    # each is read as a `Product` where it is the one that was meant
    product: tuple[Any, ...]
    sources: Mapping[str, str]


class Product(Record):
    """A row of `product`, or a Mac with one of Apple's chips.

    The first of `gib` is the usual size of the RAM. `processor` is None of a product that is sold
    with several, `cores` what its system counts, `shared` the GPU in its processor, `gpu` its card
    as it is typed, `line` what people leave unsaid before the number of its GPU, `gb_per_s` the
    peak of its memory. `guest`: it is a virtual machine or a container.
    """

    title: str
    gib: tuple[float, ...]
    source: str
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

    @property
    def source_text(self) -> str:
        """Where its figures are from."""
        return _table().sources[self.source]


class FoundProduct(Record):
    """A product, and the places of the words that name it."""

    product: Product
    places: frozenset[int]


class _ProductName(Record):
    """What a row is found by. `also` are words that say nothing beside it."""

    words: Sequence[str]
    also: frozenset[str]
    has_year: bool
    row: TomlRow


def _table() -> _ProductTable:
    return shipped_record(_ProductTable, "products")


@cache
def _names() -> Sequence[_ProductName]:
    names: list[_ProductName] = []
    for row in _table().product:
        words = row["words"].split()
        also = frozenset(row.get("also", "").split())
        has_year = any(re.fullmatch(r"20\d\d", word) for word in words)
        names.append(_ProductName(words=words, also=also, has_year=has_year, row=row))
    return names


def find_product(words: Sequence[str], text: str) -> FoundProduct | None:
    """The product whose name holds the most words, `9` also as `gen 9`.

    They stand in that order with nothing but fillers between them, or in any order where one of
    them is a year. Raises `UnknownMachineError` where the name can be several products.
    """
    texts = [word.replace("gen", "") for word in words]
    found = [name for name in _names() if _is_named(name, texts)]
    if not found:
        return None
    name = max(found, key=lambda name: len(name.words))
    if "refused" in name.row:
        raise bad_name(name.row["refused"], text)
    own = name.also.union(name.words)
    places = frozenset(place for place, word in enumerate(texts) if word in own)
    return FoundProduct(product=record_of(Product, name.row), places=places)


def _is_named(name: _ProductName, texts: Sequence[str]) -> bool:
    if not all(word in texts for word in name.words):
        return False
    if name.has_year:
        return True
    between = name.also | _BETWEEN | vocabulary().idle
    plain = [word for word in texts if word in name.words or word not in between]
    return f" {' '.join(name.words)} " in f" {' '.join(plain)} "


def mac_with(chip: Chip, mac: SoldMac, ram_gib: float | None) -> Product:
    """The Mac with one of Apple's chips and that RAM (None: that of the cheapest). Raises
    `UnknownMachineError` for a size that it is not sold with.
    """
    gib = ram_gib or mac.gib[0]
    if gib not in mac.gib:
        sizes = ", ".join(f"{size} GB" for size in mac.gib)
        raise bad_name("mac_size", chip.name, gib=f"{gib:g}", sizes=sizes)
    cores = mac.cores
    gb_per_s = chip.gb_per_s
    if gib in mac.smaller_gib:
        cores = mac.smaller_cores
        if chip.smaller is not None:
            gb_per_s = chip.smaller.gb_per_s
    return Product(
        title=f"a Mac with {chip.name}",
        gib=mac.gib,
        source="macs",
        processor=chip.name,
        cores=cores,
        shared=f"{chip.name} GPU",
        gb_per_s=gb_per_s,
        system="macos",
        architecture="aarch64",
    )
