"""The sizes that a GGUF header or a config.json states, and the layers that follow from them.

What goes in: the values of a file by their keys. What comes out: whole numbers, one for the model
or one for each layer, and groups of equal layers. A fact that the file does not determine raises
`Unclear` with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from ..catalogue.architecture import (
    MAX_LAYERS,
    Architecture,
    Attention,
    FeedForward,
    Recurrent,
)
from ..catalogue.spec_rules import misfits
from ..core.errors import MAX_PROBLEMS
from ..core.records import Values
from ..core.units import is_slip
from .source import JsonValues, clean, reason, short

_Value = TypeVar("_Value")
_LayerPart = TypeVar("_LayerPart", Attention, Recurrent, FeedForward)

# above every size of any model
MAX_NUMBER = 1 << 32


class Unclear(Exception):
    """The cache or the weights of a model are not known from its file; the text says why.
    `refused`: every llama.cpp that knows the architecture refuses the file.
    """

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


def unclear(fact: str, **values: object) -> Unclear:
    """The `Unclear` with the reason of that name in `[reasons]` of model_files.toml."""
    return Unclear(reason(fact, **values))


class Malformed(Unclear):
    """A value that its key cannot have."""


class Sizes:
    """The whole numbers that a file states, by their keys.

    `values` may also have keys that the file lacks; `written` are the keys that the file states.
    `unknown` has, by key of the spec, the reasons for missing facts. `faults` has the faults of
    single values, each with its kind: all values are read before a fault is raised.
    """

    def __init__(self, path: str, values: JsonValues) -> None:
        self.path = path
        self.written = frozenset(values)
        self.values = dict(values)
        # the limit, until the layers are counted
        self.layers = MAX_LAYERS
        self.unknown: dict[str, str] = {}
        self.faults: dict[str, type[Unclear]] = {}

    def fault(
        self,
        why: str,
        stand_in: _Value,
        kind: type[Unclear] = Unclear,
    ) -> _Value:
        """Note the fault of a value, and return `stand_in`, the value to read on with. Raises
        `Unclear` after too many faults.
        """
        if len(self.faults) == MAX_PROBLEMS:
            raise kind(why)
        self.faults.setdefault(why, kind)
        return stand_in

    def contradiction(self, why: str, stand_in: _Value) -> _Value:
        """Raise `Unclear` for values that contradict each other. After faults return `stand_in`
        instead, because another stand-in may have caused the contradiction.
        """
        if not self.faults:
            raise Unclear(why)
        return stand_in

    def all_faults(self, raised: Unclear) -> Unclear:
        """One error with all faults of single values, of the kind of the first fault. Without
        faults it is `raised`, which is not told beside faults: stand-ins may have caused it.
        """
        for kind in self.faults.values():
            return kind("; ".join(self.faults))
        return raised

    def names_of(self, keys: Sequence[str]) -> list[str]:
        """The names under which the file may state these keys."""
        raise NotImplementedError

    def get(self, *keys: str) -> object:
        """The value of the first of the keys that has a value; None where no key has a value."""
        for name in self.names_of(keys):
            value = self.values.get(name)
            if value is not None:
                return value
        return None

    def stated(self, *keys: str) -> str:
        """The first of these keys that has a value, as the file writes it."""
        names = self.names_of(keys)
        known = [name for name in names if self.values.get(name) is not None]
        written = [name for name in known if name in self.written]
        return [*written, *known, *names][0]

    def number(
        self,
        *keys: str,
        least: int = 0,
        layer: int | None = None,
    ) -> int | None:
        """A whole number of at least `least`; None where it is missing. From a list with one entry
        per layer, the entry of `layer`, or the number that all entries have. The fault of any other
        value is noted, and the least number above 0 stands in.
        """
        value = self.get(*keys)
        if isinstance(value, list) and len(value) >= self.layers:
            first = value[0]
            if layer is not None:
                value = value[layer]
            elif value.count(first) == len(value):
                value = first
            else:
                return self.fault(
                    f"{self.stated(*keys)} differs from layer to layer", max(least, 1)
                )
        if value is None:
            return None
        # classes of transformers accept only integers: its configurations are strict dataclasses
        if type(value) is int and least <= value < MAX_NUMBER:
            return value
        what = f"{self.stated(*keys)} is {short(value)}"
        why = f"{what}, neither one whole number nor one for each layer"
        return self.fault(why, max(least, 1), Malformed)

    def count(self, key: str, *, layer: int | None = None) -> int:
        """A whole number, 0 where it is missing."""
        return self.number(key, layer=layer) or 0

    def size(self, *keys: str) -> int | None:
        """The first of the numbers of these keys that is above 0; None without one."""
        for key in keys:
            number = self.number(key)
            if number:
                return number
        return None

    def needed(self, *keys: str, layer: int | None = None) -> int:
        """A number above 0. Where there is none, the fault is noted, and 1 stands in."""
        value = self.number(*keys, layer=layer)
        if value:
            return value
        why = self.missing(*keys) if value is None else f"{self.stated(*keys)} is 0"
        return self.fault(why, 1)

    def missing(self, *keys: str) -> str:
        """The clause that the first of the keys is missing, with a key of the file that may be a
        slip for one of them.
        """
        names = self.names_of(keys)
        why = f"{names[0]} is missing"
        for typed in sorted(self.written):
            for name in names:
                if is_slip(typed, name) and typed not in names:
                    return f"{why} ({clean(typed)}: did you mean {name}?)"
        return why

    def sizes(self, keys: Mapping[str, str]) -> Values:
        """The sizes of a layer by the names of fields of its record. `keys` has the key of each
        field. A missing size is noted as a fault.
        """
        sizes = {}
        for name, key in keys.items():
            sizes[name] = self.needed(key)
        return sizes


def grouped(
    sizes: Sizes,
    layers: Sequence[_LayerPart | None],
    width: int,
    names: Mapping[str, str] = {},
) -> tuple[_LayerPart, ...]:
    """The parts of layers, with equal parts in one group, in the order of their first layers. Entry
    i of `layers` is the part of layer i, which was read from the `sizes`.

    Raises `Unclear` for sizes that contradict each other, and returns () where faults of values may
    have caused that. `names` has the names of sizes for the message.
    """
    places: dict[_LayerPart, list[int]] = {}
    for number, layer in enumerate(layers):
        if layer is not None:
            places.setdefault(layer, []).append(number)
    groups = []
    contradictions = dict[str, None]()
    for layer, numbers in places.items():
        for misfit in misfits(layer, width):
            name = names.get(misfit.key, misfit.key)
            contradictions[f"{name} {misfit.fault}"] = None
        groups.append(layer.replace(layers=tuple(numbers)))
    if contradictions:
        return sizes.contradiction("; ".join(contradictions), ())
    return tuple(groups)


def refuse_faults(
    sizes: Sizes,
    architecture: Architecture,
    whose: str = "",
) -> None:
    """Raise `Unclear` where the `sizes` have faults, and for sizes that contradict each other.
    `whose` is put before the key in the message.
    """
    faults = list(sizes.faults)
    for misfit in misfits(architecture):
        faults.append(f"{misfit.key} {misfit.fault}")
    if faults:
        raise Unclear(whose + "; ".join(faults))
