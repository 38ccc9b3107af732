"""What memory bandwidth virtual machines of clouds have, by what their cores are and how many they
have: `specs/common/guests.toml`.

The few cores of a guest read less than the socket gives: each keeps so many reads in flight and no
more, and those that share a link of the processor share what that carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import exp, log

from ..core import units
from ..core.records import Record
from ..core.tables import shipped_table
from .ranges import Range


class Guests(Record):
    """Bytes per second that weights are read at, slow end, likely, fast end; of so many instance
    `types` with about as many cores.
    """

    low: float
    likely: float
    high: float
    types: int


@lru_cache(maxsize=256)
def guests_with(core: str, *, is_amd: bool, cores: float) -> Guests | None:
    """Guests with so many cores of that kind (a row of `core` in specs/common/cpus.toml); None
    where none were counted.
    """
    table = shipped_table("guests")
    counts = table["cores"]
    if cores > counts[-1] * 2**0.5:
        return None
    for row in table["guest"]:
        if core in row["core"] and row.get("amd", is_amd) == is_amd:
            ends = tuple(zip(row["low"], row["likely"], row["high"], strict=True))
            low, likely, high = (units.GB * each for each in between(counts, ends, cores))
            nearest = min(range(len(counts)), key=lambda number: abs(log(counts[number] / cores)))
            return Guests(low=low, likely=likely, high=high, types=row["types"][nearest])
    return None


def between(counts: Sequence[float], ends: Sequence[Range], count: float) -> Range:
    """The ends at `count` of a table that has them at `counts`: straight in logarithms between two;
    below the first in proportion, beyond the last the same.
    """
    if count <= counts[0]:
        share = count / counts[0]
        low, likely, high = ends[0]
        return low * share, likely * share, high * share
    for (first, first_ends), (last, last_ends) in pairwise(zip(counts, ends, strict=True)):
        if count <= last:
            part = log(count / first) / log(last / first)
            low, likely, high = (
                exp(log(one_end) * (1 - part) + log(other) * part)
                for one_end, other in zip(first_ends, last_ends, strict=True)
            )
            return low, likely, high
    return ends[-1]
