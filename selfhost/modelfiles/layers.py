"""What a config.json and a GGUF header have in common: whole numbers under keys, one for the model
or one for each layer, and layers of which some are alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from ..catalogue.architecture import MAX_LAYERS, Architecture, Attention, FeedForward, Recurrent
from .source import clean

_Part = TypeVar("_Part", Attention, Recurrent, FeedForward)

# above any size of a model
MAX_NUMBER = 1 << 32


class Unclear(Exception):
    """A model's cache or its weights do not follow from its file; the text says why."""


def short(value: Any) -> str:
    """A value of a file, short and safe to print."""
    return f'"{clean(value)}"' if isinstance(value, str) else clean(repr(value)[:60])


class Sizes:
    """The whole numbers of a file by their keys."""

    def __init__(self) -> None:
        # as many until they are counted
        self.layers = MAX_LAYERS
        # for the spec: what it cannot say, by its key, and sentences for the user
        self.unknown: dict[str, str] = {}
        self.notes: list[str] = []

    def get(self, *keys: str) -> Any:
        """The value of the first of these keys that has one."""
        raise NotImplementedError

    def stated(self, *keys: str) -> str:
        """The first of these keys that has a value, as the file writes it."""
        raise NotImplementedError

    def refuse(self, what: str) -> NoReturn:
        """Raise for a value that no program takes."""
        raise Unclear(what)

    def number(self, *keys: str, least: int = 0, layer: int | None = None) -> int | None:
        """A whole number of at least `least`, None where it is missing. Where the file lists one
        for each layer: that of `layer`, or the one that all of them are.
        """
        value = self.get(*keys)
        if isinstance(value, list) and len(value) >= self.layers:
            if layer is None and value.count(value[0]) != len(value):
                raise Unclear(f"{self.stated(*keys)} is another number in each layer")
            value = value[layer or 0]
        # classes of transformers take nothing else: its configurations are strict dataclasses
        if value is not None and (type(value) is not int or not least <= value < MAX_NUMBER):
            what = f"{self.stated(*keys)} is {short(value)}"
            self.refuse(f"{what}, neither a whole number of a model nor one for each layer")
        return value

    def size(self, *keys: str) -> int | None:
        """The first of these numbers that is above 0; None without one."""
        return next(filter(None, map(self.number, keys)), None)

    def needed(self, *keys: str, layer: int | None = None) -> int:
        """A number above 0. Raises `Unclear` where there is none."""
        value = self.number(*keys, layer=layer)
        if not value:
            what = "missing" if value is None else "0"
            raise Unclear(f"{self.stated(*keys)} is {what}")
        return value

    def sizes(self, keys: Mapping[str, str]) -> dict[str, Any]:
        """Those of a layer, by the keys of a table."""
        return {name: self.needed(key) for name, key in keys.items()}

    def groups(self, key: str, used_key: str) -> dict[str, Any]:
        """How many groups of experts a token chooses from, and how many of them it uses; nothing
        where all are of one.
        """
        groups = self.number(key) or 0
        return {"groups": groups, "groups_used": self.needed(used_key)} if groups > 1 else {}


def grouped(
    layers: Sequence[_Part | None], width: int, names: Mapping[str, str] | None = None
) -> tuple[_Part, ...]:
    """Equal layers as one group, in the order of their first. Entry i is the part of layer i, None
    where it has none. Raises `Unclear` for a size that does not divide its whole, by what `names`
    calls it.
    """
    places: dict[_Part, list[int]] = {}
    for number, layer in enumerate(layers):
        if layer is not None:
            places.setdefault(layer, []).append(number)
    for layer in places:
        for key, message, _ in layer.misfits(width):
            raise Unclear(f"{(names or {}).get(key, key)} {message}")
    return tuple(layer.replace(layers=tuple(numbers)) for layer, numbers in places.items())


def architecture_of(whose: str = "", **fields: Any) -> Architecture:
    """That of these fields, whose heads are the most of a layer. Raises `Unclear` for sizes that
    contradict each other.
    """
    heads = max((part.heads for part in fields["attention"]), default=None)
    architecture = Architecture(heads=heads, **fields)
    for key, message, _ in architecture.misfits():
        raise Unclear(f"{whose}{key} {message}")
    return architecture
