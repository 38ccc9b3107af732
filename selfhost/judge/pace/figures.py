"""The kinds of numbers that stand in `specs/common/pace.toml`, and their reading from the file.

A figure is one number or a row of numbers, such as a likely value with its two ends. The class of a
table names the kind of each figure:

    class SplitFigures(Figures):
        crossing_seconds: Seconds       # crossing_seconds = [0.0006, 0.0002, 0.0001]
        slower: float                   # slower = 1.4

Three numbers in a row are a `Range` (the lowest first), or `Seconds` or an `Amount` (the slow end
first), depending on the quantity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import get_args

from ...core.records import Record, Stated
from ...core.tables import TomlTable
from .ranges import Amount, Range, Seconds

# ------------------------------------------------------------------ kinds of rows


class Bounds(Record):
    """The least and the most of a figure."""

    least: float
    most: float


class CoreScaling(Record):
    """The loss of each core where many cores compute.

    Beyond `cores` cores, each core reaches the share `(cores / number of cores) ** power`.
    """

    cores: float
    most: float
    likely: float
    least: float

    def share(self, cores: float) -> Range:
        """The share that each of `cores` cores computes, relative to one of few cores."""
        of_one = min(1.0, self.cores / cores)
        return Range(of_one**self.most, of_one**self.likely, of_one**self.least)


class ByVectors(Record):
    """A figure for cores with vectors of 512 bits (`wide`), and for cores with narrower vectors
    (`narrow`).
    """

    wide: float
    narrow: float

    def on(self, *, is_wide: bool) -> float:
        """The figure for cores with vectors of 512 bits, or for other cores."""
        return self.wide if is_wide else self.narrow


class Attending(Record):
    """The seconds in which one core attends: for each head with a row of the context, and for each
    number of that row.
    """

    row_seconds: float
    number_seconds: float


class SocketShares(Record):
    """The rate at which several sockets read, relative to one socket.

    `slow` and `likely` are shares of the rate of one socket. `fast_of_each` is the share that each
    socket reaches at the fast end.
    """

    slow: float
    likely: float
    fast_of_each: float


_Row = (
    Range
    | Seconds
    | Amount
    | Bounds
    | CoreScaling
    | ByVectors
    | Attending
    | SocketShares
)
_KINDS: Mapping[str, type[_Row]] = {kind.__name__: kind for kind in get_args(_Row)}


# ------------------------------------------------------------------ tables with such rows


class Figures(Stated):
    """A table of the file. A field of one of the kinds above is read from an array of numbers, and
    a mapping of such a kind from a table of arrays.
    """

    def __init_subclass__(cls) -> None:
        for field, key in cls._keys.items():
            if key.read is None:
                key.read = _reader_of(cls._annotations[field])


def _reader_of(annotation: str) -> Callable[..., object] | None:
    """The function that reads a field of that annotation; None for a field of no kind above."""
    kind = _KINDS.get(annotation.removesuffix(" | None"))
    if kind is not None:
        return partial(_read_row, kind)
    name = annotation.removeprefix("Mapping[str, ").removesuffix("]")
    kind = _KINDS.get(name)
    if kind is not None:
        return partial(_read_rows_by_name, kind)
    return None


def _read_row(
    kind: type[_Row],
    table: TomlTable,
    key: str,
    *,
    required: bool = False,
) -> _Row | None:
    """The row of that key; None where the table has none."""
    value: object = table.get(key, "Any", required=required)
    if value is None:
        return None
    return _row_of(kind, table, key, value)


def _read_rows_by_name(
    kind: type[_Row],
    table: TomlTable,
    key: str,
    *,
    required: bool = False,
) -> Mapping[str, _Row | None]:
    """The rows of the table of that key, by their names."""
    values: Mapping[str, object] = table.get(
        key, "Mapping[str, Any]", required=required
    )
    rows = {}
    for name, value in values.items():
        rows[name] = _row_of(kind, table, key, value)
    return rows


def _row_of(
    kind: type[_Row],
    table: TomlTable,
    key: str,
    value: object,
) -> _Row | None:
    """The array as a row of that kind; None, with a problem of the table, where the array does not
    fit. One number stands for every number of a row.
    """
    names = kind._fields
    row = value if isinstance(value, list) else [value] * len(names)
    numbers = [float(number) for number in row if isinstance(number, int | float)]
    if len(numbers) != len(row) or len(row) != len(names):
        table.problem(key, f"must be an array of {len(names)} numbers")
        return None
    by_name = dict(zip(names, numbers, strict=True))
    return kind(**by_name)
