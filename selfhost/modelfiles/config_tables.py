"""`model_types.toml` and `config_classes.toml` of specs/common as typed records: the meaning of the
keys of a config.json, by model type. The comments of the files explain their keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ..core.records import Stated, read_by
from ..core.tables import shipped_record


class ModelType(Stated):
    """The special facts about the configuration of one model type.

    `row` is its row of architectures.toml; "" for none. `not_read` names a feature of its layers
    that is not read.
    """

    row: str = ""
    row_of_class: Mapping[str, str] = {}
    row_with_experts: str = ""
    row_without_states: str = ""
    not_read: str = ""
    in_gguf: bool = True
    own_code: bool = False
    defaults: Mapping[str, Any] = {}
    names: Mapping[str, str] = {}
    published: Mapping[str, Any] = {}
    # the kind of all layers; "" where layers differ or the file states the kinds
    layers: str = ""
    kinds: Mapping[str, str] = {}
    places: Mapping[str, tuple[str, ...]] = {}
    first_layer: int = 0
    last_full: bool = False
    all_slide: bool = False
    feed_forward: str = ""
    length_of_both: bool = False
    dense_beside: bool = False
    lone_expert: bool = False
    experts_if: str = ""
    router_bias: bool = False
    lacks: tuple[str, ...] = ()
    # None: not known
    tied: bool | None = None
    tied_by_text_config: bool | None = None
    unused_positions: int = 0
    # the most blocks of multi-token prediction in published models; None: no published model has
    # any
    mtp_layers: int | None = None
    sees: bool = False
    bare_class_writes: bool = False


class ConfigClass(Stated):
    """A configuration class of transformers.

    - `defaults`: the default values of its keys.
    - `names`: other names of its keys.
    - `matter`: the keys that change weights or cache.
    - `cache`: of these, the keys that change the cache.
    - `idle`: keys that change nothing.
    """

    defaults: Any = {}
    names: Mapping[str, str] = {}
    matter: tuple[str, ...] = ()
    cache: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()


class KeyTable(Stated):
    """The keys of a config.json, and parts of their names, grouped by their role."""

    cache: tuple[str, ...]
    weights: tuple[str, ...]
    harmless_words: tuple[str, ...]
    harmless_patterns: tuple[str, ...]
    harmless: tuple[str, ...]
    read: tuple[str, ...]
    small: tuple[str, ...]
    always_stated: tuple[str, ...]
    nests: tuple[str, ...]
    parts: Mapping[str, Mapping[str, str]]
    kinds: tuple[str, ...]
    tying: tuple[str, ...]


class ClassNames(Stated):
    """Expressions for the names of bare classes (`bare`) and of classes that only read (`reading`),
    and the keys of `auto_map` that stand for writing (`writing`).
    """

    bare: str
    reading: str
    writing: tuple[str, ...]


class ModelTypesTable(Stated):
    """The whole of model_types.toml."""

    schema: int
    as_of: str
    sizes: Mapping[str, tuple[str, ...]]
    called: Mapping[str, str]
    encoders: Mapping[str, tuple[str, ...]]
    keys: KeyTable
    classes: ClassNames
    kinds: Mapping[str, str]
    kind_has: Mapping[str, Mapping[str, Any]]
    latent: Mapping[str, str]
    states: Mapping[str, Mapping[str, str]]
    published: Mapping[str, Any]
    plain: Mapping[str, tuple[str, ...]]
    not_read: Mapping[str, tuple[str, ...]]
    model_type: Mapping[str, ModelType]


class ConfigClassesTable(Stated):
    """The whole of config_classes.toml."""

    schema: int
    as_of: str
    source: str
    classes: Mapping[str, ConfigClass] = read_by(name="class")


@cache
def model_type_tables() -> ModelTypesTable:
    """The table of model types, read once."""
    return shipped_record(ModelTypesTable, "model_types")


@cache
def _config_classes() -> Mapping[str, ConfigClass]:
    return shipped_record(ConfigClassesTable, "config_classes").classes


def model_type_of(name: str) -> ModelType:
    """The model type with that name; one without anything special where the name is not known."""
    table = model_type_tables()
    if name in table.model_type:
        return table.model_type[name]
    for row, names in table.plain.items():
        if name in names:
            return ModelType(row=row)
    for what, names in table.not_read.items():
        if name in names:
            return ModelType(not_read=what)
    return ModelType()


def config_class_of(name: str) -> ConfigClass | None:
    """The configuration class for the model type with that name; None where none is known."""
    return _config_classes().get(name)
