"""Chips that have their memory soldered beside them, Apple's among them: what the words of a name
tell of one. Rows of `specs/common/gpus.toml`, which is read when a name may be one.
"""

from __future__ import annotations

from ..core import units
from ..core.records import Record
from ..core.tables import shipped_table

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# Every row of `chip` has one of these words. A name without them is not looked up, and the file is
# not read for it
_CHIP_HINTS = frozenset(("max", "x925", "raspberry", "jetson", "bc"))
_APPLE_VARIANTS = frozenset(("pro", "max", "ultra"))


class Chip(Record):
    """A chip whose memory is soldered beside it: GB/s at most, and the least that decoding has been
    seen to use of it.

    `kind` is how its cores read it, a row of `share` in cpus.toml; None where that is not known.
    `core` and `ghz` as of `cpus.Processor`. `gpu` is the whole
    name of its GPU and `memory_gib` what most machines with it have; None where not stated.
    """

    name: str
    gb_per_s: float
    least_gb_per_s: float
    gpu: str | None = None
    memory_gib: int | None = None
    kind: str | None = None
    core: str | None = None
    ghz: float | None = None


class AppleChip(Record):
    """GB/s of its memory, and the share of it that decoding has been seen to use at least.

    `smaller` is the same chip with narrower memory: its cores and its GB/s; None where there is
    only one width. `tflops` is the peak of its largest GPU, None where that is not known; `neural`:
    its cores have matrix units.
    """

    gb_per_s: float
    least_share: float
    smaller: tuple[int, float] | None
    tflops: float | None = None
    neural: bool = False

    @property
    def gpu_cycles_per_second(self) -> float | None:
        """Cycles that all cores of its largest GPU have in a second, by its peak."""
        if self.tflops is None:
            return None
        return self.tflops * 1e12 / (_FLOPS_OF_MATRIX_CORE if self.neural else _FLOPS_OF_CORE)


class AppleVariant(Record):
    """Apple's chips of one variant in all generations: GB/s of the slowest memory among them, of
    the newest chip's and of the fastest that one not in the table may have, and the least share
    that decoding has been seen to use.
    """

    slowest_gb_per_s: float
    newest_gb_per_s: float
    fastest_gb_per_s: float
    least_share: float


_MOST_DIGITS = 2
# the fastest memory of a variant to the fastest of all before it, at most: 1,228 GB/s to 819 (M5
# Ultra); 400 to 400 at least
_NEXT_GENERATION = 1.5
# operations in 16 bits of one core of Apple's GPUs in a cycle, as `apple_tflops` of the table has
# them, without matrix units and with
_FLOPS_OF_CORE, _FLOPS_OF_MATRIX_CORE = 256, 1024


def record_of(kind: type[Any], row: Mapping[str, Any], /, **values: Any) -> Any:
    """A record of the keys of a row that are its fields, and of `values`."""
    own = {key: row[key] for key in kind._fields if key in row}
    lists = {key: tuple(value) for key, value in own.items() if isinstance(value, list)}
    return kind(**own | lists | values)


def soldered_chip(words: frozenset[str]) -> Chip | None:
    """The chip that the words of a processor's name mean; None for others and for Apple's."""
    if _CHIP_HINTS.isdisjoint(words):
        return None
    for row in _table()["chip"]:
        if words.issuperset(row["words"].split()):
            chip: Chip = record_of(Chip, row)
            return chip
    return None


def apple_chips() -> tuple[tuple[str, str], ...]:
    """Apple's chips by generation and variant: `("m1", "max")`, `("m1", "")`."""
    return tuple((row["chip"], row["variant"]) for row in _table()["apple"])


def apple_chip(chip: str, variant: str) -> AppleChip | None:
    """`("m1", "max")`; the variant is empty for the plain chip. None for one without a row."""
    for row in _table()["apple"]:
        if (row["chip"], row["variant"]) == (chip, variant):
            smaller = row.get("smaller")
            narrow = (smaller["cores"], smaller["gb_per_s"]) if smaller else None
            known: AppleChip = record_of(AppleChip, row, smaller=narrow)
            return known
    return None


def apple_variant(words: frozenset[str]) -> AppleVariant | None:
    """What is told of a chip by its letter and its variant alone: `apple m9 max`, `apple a19 pro`.
    None where the words name no generation, known or not, or no variant of Apple's.
    """
    letters = {word[0] for word in words if _number_in(word)}
    variant = "".join(words & _APPLE_VARIANTS)
    rows = [
        row for row in _table()["apple"] if row["variant"] == variant and row["chip"][0] in letters
    ]
    if not rows:
        return None
    newest = max(rows, key=lambda row: _number_in(row["chip"]))
    return AppleVariant(
        slowest_gb_per_s=min(row.get("smaller", row)["gb_per_s"] for row in rows),
        newest_gb_per_s=newest["gb_per_s"],
        fastest_gb_per_s=_NEXT_GENERATION * max(row["gb_per_s"] for row in rows),
        least_share=min(row["least_share"] for row in rows),
    )


def most_gb_per_s_of_apple() -> float:
    """GB/s of the fastest memory of any of Apple's chips."""
    return float(max(row["gb_per_s"] for row in _table()["apple"]))


def _number_in(word: str) -> int:
    """The generation of a chip, `m9`, `a19`; 0 for any other word."""
    number = word[1:]
    is_chip = word[:1] in ("a", "m") and number.isdecimal() and len(number) <= _MOST_DIGITS
    return int(number) if is_chip else 0


def apple_chip_of(words: frozenset[str]) -> AppleChip | None:
    """The Apple chip that the words of a name mean; None where they do not say."""
    named = [
        row
        for row in apple_chips()
        if row[0] in words and ({row[1]} if row[1] else set()) == words & _APPLE_VARIANTS
    ]
    return apple_chip(*named[0]) if named else None


def metal_share(ram_bytes: int) -> tuple[float, float]:
    """Of a Mac's RAM, what macOS lets the GPU use unless somebody set it, least and most."""
    row = next(
        each
        for each in _table()["metal"]
        if ram_bytes <= each.get("up_to_gib", ram_bytes) * units.GIB
    )
    least, most = row["share"]
    return least, most


def _table() -> Mapping[str, Any]:
    """The whole file. Raises `SpecError` where the installation lacks it."""
    return shipped_table("gpus")
