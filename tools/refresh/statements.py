"""What a file states of a model, under the keys of spec files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from selfhost.catalogue.architecture import Architecture, Attention, FeedForward, Recurrent
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.records import Record
from selfhost.modelfiles import spec_text

from .ollama import Tag

_Layers = TypeVar("_Layers", Attention, Recurrent, FeedForward)

LIBRARY = "list of Ollama's library"
# lists of layers, whose lines mean the same in any order
LAYERS = ("attention", "recurrent", "feed_forward")


class Statement(Record):
    """One file's word on one model.

    `kind` is what the file is, `name` what it calls the model, `repository` the published one on
    Hugging Face where that is known. `origin` says where the copy was kept, None where nobody noted
    it. `keys` are those of `spec` that it states; `weight_bytes` is the size of all tensors by the
    index of a safetensors checkpoint; `tag` is an entry of Ollama's library.
    """

    file: str
    kind: str
    name: str
    spec: ModelSpec
    keys: tuple[str, ...]
    repository: str | None = None
    origin: str | None = None
    weight_bytes: int | None = None
    tag: Tag | None = None

    @property
    def label(self) -> str:
        """The source as a spec names it."""
        if self.origin is not None:
            return f"{self.kind} as kept in {self.origin}"
        return f"{self.kind} of the repository" if self.repository else f"{self.kind} {self.file}"


class Refused(Record):
    """A file that states nothing here. `faulty`: it is damaged; else it is of another kind."""

    file: str
    why: str
    faulty: bool


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Values of tables inside tables, by keys joined with a dot."""
    pairs: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            pairs |= flat(value, f"{before}{key}.")
        else:
            pairs[before + key] = value
    return pairs


def facts_of(spec: ModelSpec) -> dict[str, Any]:
    """Every value of a spec by its key, lists of layers in one order."""
    architecture = spec.architecture
    if architecture is not None:
        spec = spec.replace(architecture=in_order(architecture))
    return flat(tomllib.loads(spec_text(spec)))


def in_order(architecture: Architecture) -> Architecture:
    """The same with equal groups of each list as one, by their first layer."""
    return architecture.replace(**{name: _merged(getattr(architecture, name)) for name in LAYERS})


def _merged(groups: Sequence[_Layers]) -> tuple[_Layers, ...]:
    layers: dict[_Layers, set[int]] = {}
    for group in groups:
        layers.setdefault(group.replace(layers=()), set()).update(group.layers)
    merged = [group.replace(layers=tuple(sorted(own))) for group, own in layers.items()]
    return tuple(sorted(merged, key=lambda group: group.layers))


def value_at(spec: ModelSpec, key: str) -> Any:
    """The field of a spec that a key of its file states."""
    value: Any = spec
    for part in key.split("."):
        value = getattr(value, part, None)
    return value


def with_value(spec: ModelSpec, key: str, value: Any) -> ModelSpec:
    """The spec with another value of that field."""
    first, _, rest = key.partition(".")
    if not rest:
        return spec.replace(**{first: value})
    return spec.replace(**{first: getattr(spec, first).replace(**{rest: value})})
