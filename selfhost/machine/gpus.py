"""What the name of a GPU, or of a chip with its memory beside it, tells: `specs/common/gpus.toml`.

The file is read when a GPU is looked up, once. A machine without one does not pay for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache

from ..core import units
from ..core.errors import SpecError
from ..core.records import Record
from ..core.shipped import shipped_folder
from ..core.tomlfile import Document

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# Every row of `chip` has one of these words. A name without them is not looked up, and the file is
# not read for it
_CHIP_HINTS = frozenset(("max", "x925", "raspberry"))


class Chip(Record):
    """A chip whose memory is soldered beside it: GB/s at most, and the least that decoding has been
    seen to use of it.
    """

    name: str
    gb_per_s: float
    least_gb_per_s: float


class AppleChip(Record):
    """GB/s of its memory, and the share of it that decoding has been seen to use at least.

    `smaller` is the same chip with narrower memory: its cores and its GB/s; None where there is
    only one width.
    """

    gb_per_s: float
    least_share: float
    smaller: tuple[int, float] | None


def words_of(name: str) -> frozenset[str]:
    """The words of a name in lower case, without what stands between them."""
    return frozenset(
        "".join(letter if letter.isalnum() else " " for letter in name.lower()).split()
    )


def peak_gb_per_s(name: str, memory_bytes: int | None = None) -> float | None:
    """Peak of a GPU's memory, by the name its driver gives; None for one without a row.

    With `memory_bytes` a card that is sold with two memories has the peak of its own.
    """
    memory_gib = round((memory_bytes or 0) / units.GIB)
    others = tuple(
        (words, other["gb_per_s"])
        for words, other in _rows("other")
        if other["memory_gib"] == memory_gib
    )
    own: float | None = _of_row(name, others)
    peak: float | None = _of_row(name, _rows("gb_per_s")) if own is None else own
    return peak


def prompt_tflops(name: str) -> float | None:
    """What a GPU did on prompts, in 10^12 operations a second; None where no run was found."""
    rate: float | None = _of_row(name, _rows("prompt_tflops"))
    return rate


def board_watts(name: str) -> tuple[float, float] | None:
    """Rated power of a GPU's board, at least and at most; None where it is not known."""
    watts = _of_row(name, _rows("watts"))
    return None if watts is None else (watts[0], watts[1])


def source_of(fact: str) -> str:
    """Where the figures of a key of the rows are from: `watts`, `driver`, `runs`."""
    source: str = _table()["sources"][fact]
    return source


def driver_memory_mib(name: str, sold_gb: float) -> int | None:
    """What the driver reports of a card's memory, by its whole name and what it is sold with."""
    return _driver_memory().get((name, sold_gb))


def capability_by_name(name: str) -> str | None:
    """The compute capability of an NVIDIA GPU by the name it reports; None for a name that is
    not known.
    """
    import re

    plain = name.lower().replace("-", " ")
    for row in _table()["generation"]:
        if re.search(rf"\b(?:{'|'.join(row['names'])})\b", plain):
            capability: str = row["capability"]
            return capability
    return None


def has_hbm(name: str) -> bool:
    """Whether an NVIDIA GPU of that name has HBM."""
    return not _hbm_words().isdisjoint(words_of(name))


def maker_of(words: frozenset[str]) -> str | None:
    """nvidia, amd or intel by the words of a GPU's name; None where they do not say."""
    for row in _table()["maker"]:
        if not words.isdisjoint(row["words"]):
            maker: str = row["id"]
            return maker
    return None


def soldered_chip(words: frozenset[str]) -> Chip | None:
    """The chip that the words of a processor's name mean; None for others and for Apple's."""
    if _CHIP_HINTS.isdisjoint(words):
        return None
    for row in _table()["chip"]:
        if words.issuperset(row["words"].split()):
            return Chip(
                name=row["name"], gb_per_s=row["gb_per_s"], least_gb_per_s=row["least_gb_per_s"]
            )
    return None


def apple_chip(chip: str, variant: str) -> AppleChip | None:
    """`("m1", "max")`; the variant is empty for the plain chip. None for one without a row."""
    for row in _table()["apple"]:
        if (row["chip"], row["variant"]) == (chip, variant):
            smaller = row.get("smaller")
            return AppleChip(
                gb_per_s=row["gb_per_s"],
                least_share=row["least_share"],
                smaller=(smaller["cores"], smaller["gb_per_s"]) if smaller else None,
            )
    return None


def _of_row(name: str, rows: tuple[tuple[frozenset[str], Any], ...]) -> Any:
    """The value of the row with the most words of `name`; None where none has the same variant."""
    words, variants = words_of(name), _variants()
    matching = [row for row in rows if row[0] <= words and row[0] & variants == words & variants]
    return max(matching, key=lambda row: len(row[0]))[1] if matching else None


@lru_cache(maxsize=8)
def _rows(key: str) -> tuple[tuple[frozenset[str], Any], ...]:
    """Of the GPUs that have this key, the words and its value."""
    return tuple(
        (frozenset(row["words"].split()), row[key]) for row in _table()["gpu"] if key in row
    )


@lru_cache(1)
def _variants() -> frozenset[str]:
    return frozenset(_table()["variants"])


@lru_cache(1)
def _hbm_words() -> frozenset[str]:
    return frozenset(word for row in _table()["generation"] for word in row.get("hbm", ()))


@lru_cache(1)
def _driver_memory() -> Mapping[tuple[str, float], int]:
    drivers = [driver for _, driver in _rows("driver")]
    return {(driver["name"], driver["sold_gb"]): driver["mib"] for driver in drivers}


@lru_cache(1)
def _table() -> Mapping[str, Any]:
    """The whole file. Raises `SpecError` where the installation lacks it."""
    document = Document.read(os.path.join(shipped_folder(), "common", "gpus.toml"))
    if document.problems:
        raise SpecError(document.problems)
    return document.values
