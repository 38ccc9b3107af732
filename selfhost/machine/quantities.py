"""The sizes and the counts of a description, by one grammar: `2x`, `16gbram`, `2x16gb`, `8cores`.

What goes in: a word, as `words.tokens` spells it. What comes out: its `Quantity`, or None for any
other word.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..core.records import Record

_GIB_OF = {"gb": 1, "tb": 1024}
# the unit of a count
_TIMES = "x"
_MEASURE = re.compile(
    r"(?:(?P<modules>\d{1,2})x(?=\d+gb$))?(?P<number>\d+(?:\.\d+)?)"
    r"(?P<unit>[gt]b|cores|threads|vcpus|cpus|mts|gbps|channels|sticks|gen)"
    r"(?P<of>(?<=b)(?:ram|vram|disk))?",
    re.ASCII,
)
_COUNT = re.compile(r"(?P<before>\d+(?:\.\d+)?)x|x(?P<behind>\d+(?:\.\d+)?)", re.ASCII)
# a board takes no hundred cards, and three digits are a number in a name: `x570`
_MOST_DIGITS = 2


class Quantity(Record):
    """A number and its unit.

    - `unit`: `gb` and `tb` of a size, `x` of a count; else `cores`, `mts` and the like.
    - `of`: the memory that a size is called, `ram`, `vram` or `disk`; empty where no word calls it.
    - `modules`: how many modules of RAM have that size each; None where none are counted.
    """

    number: float
    unit: str
    of: str = ""
    modules: int | None = None

    @property
    def is_size(self) -> bool:
        """Whether this is a size of one memory: `16gb`, `8gbvram`."""
        return self.unit in _GIB_OF and self.modules is None

    @property
    def is_count(self) -> bool:
        """Whether this is a count of things, `2x`."""
        return self.unit == _TIMES

    @property
    def gib(self) -> float:
        """The GiB of a size, or of all modules together. Raises `KeyError` for another unit."""
        one_gib = self.number * _GIB_OF[self.unit]
        if self.modules is None:
            return one_gib
        return one_gib * self.modules


@lru_cache(maxsize=1024)
def quantity_in(word: str) -> Quantity | None:
    """Return the quantity that a word states: 16 GB of RAM for `16gbram`."""
    measure = _MEASURE.fullmatch(word)
    if measure is not None:
        modules = measure["modules"]
        return Quantity(
            number=float(measure["number"]),
            unit=measure["unit"],
            of="ram" if modules else measure["of"] or "",
            modules=int(modules) if modules else None,
        )
    count = _COUNT.fullmatch(word)
    if count is None:
        return None
    return Quantity(number=float(count["before"] or count["behind"]), unit=_TIMES)


def is_size(word: str) -> bool:
    """Whether a word is a size of one memory: `16gb`, `8gbvram`."""
    quantity = quantity_in(word)
    return quantity is not None and quantity.is_size


def count_in(word: str) -> int | None:
    """Return the number in `2x` or `x2`; None for any other word, and for a number that counts no
    parts of a computer, as in `x570`.
    """
    quantity = quantity_in(word)
    if quantity is None or not quantity.is_count:
        return None
    if len(word) > 1 + _MOST_DIGITS or not quantity.number.is_integer():
        return None
    return int(quantity.number)
