"""The keys of a `config.json`: the names of each size, and the keys that no reader uses.

What goes in: the values of the file. What comes out: `Keys`, which finds a size under any of its
names. The tables of names are in `specs/common/model_types.toml` and `config_classes.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from .config_tables import (
    ConfigClass,
    ModelType,
    ModelTypesTable,
    config_class_of,
    model_type_of,
    model_type_tables,
)
from .sizes import Sizes, Unclear, unclear
from .source import JsonValues, clean, listed, refuse, short, table_of
from .tables import model_files

# the longest published config.json has 37 kB; tokenizer files given by mistake have megabytes
MAX_CONFIG_BYTES = 1 << 23
TABLES: ModelTypesTable = model_type_tables()
# values that say that the model lacks the part that a key describes
_NOTHING: Sequence[object] = (None, False, 0, "", -1, [])
# keys whose lists have one entry for each layer, for models that state no number of layers
_LISTS_OF_LAYERS = ("hybrid_override_pattern", "layers_block_type")
_TYPE_KEYS = ("torch_dtype", "dtype")


class PublishedType(NamedTuple):
    """The type of the weights before any quantization, and the value that the file states for it.
    `dtype` is None where the value is missing or not understood.
    """

    dtype: str | None
    stated: object


class Keys(Sizes):
    """The keys of a config.json, under the names of its configuration class.

    - `outer`: the whole file; `inner`: the part of its text model.
    - `values`: the keys of the text model with the defaults of its class.
    - `written`: the keys that the file states; `understood`: the keys that something reads.
    - `nested`: the top level has none of the text model's keys.
    - `type`: the row of the model type; `published`: the values that published models have.
    - `has_class`: the behaviour of the class is known; `matter`: the keys by which the class
      changes weights or cache.
    - `in_gguf`: llama.cpp's converter knows the model type.
    - `sees`: the model has an encoder of pictures.
    - `is_headless`: a published class without an output matrix.
    """

    def __init__(self, path: str, values: object) -> None:
        super().__init__(path, {})
        if not isinstance(values, dict):
            refuse(path, "no-config", what="it is not a JSON object")
        self.outer: JsonValues = values
        # the configuration of the text model inside that of the whole; empty: it stands at the top
        self.inner: JsonValues = {}
        for key in TABLES.keys.nests:
            self.inner = self.inner or table_of(values.get(key))
        if not _describes_a_model(values, self.inner):
            seen = listed(map(clean, values), 4)
            what = f"it has the keys {seen}" if seen else "it is empty"
            refuse(path, "no-config", what=what)
        # some files repeat the text model's keys at the top level, and nest only its name
        repeats_keys = _has_any(values, TABLES.sizes["layers"])
        self.nested = bool(self.inner) and not repeats_keys
        self._find_type()
        self._find_class()
        self.understood: set[str] = set()
        self.names_of(TABLES.keys.read)
        written = self._written_values()
        self.written = frozenset(written)
        self.values = self._with_defaults(written)
        self._read_class_name()

    def _find_type(self) -> None:
        """Set the rows of the model type, for the text model and for the whole model."""
        self.outer_kind = _kind_in(self.outer)
        self.kind = _kind_in(self.inner) or self.outer_kind
        self.outer_type = model_type_of(self.outer_kind)
        type = model_type_of(self.kind)
        self.type: ModelType = type
        # the values that a key has in all published models
        self.published = {**TABLES.published, **type.published}
        may_have_row = type.in_gguf and self.outer_type.in_gguf
        self.in_gguf = may_have_row and bool(type.row)

    def _find_class(self) -> None:
        """Set the row of the class, and the defaults and names that class and model type give."""
        known = config_class_of(self.kind)
        if self.type.own_code:
            # a file with its own code names classes that transformers does not know
            known = None
        self.has_class = known is not None
        row = known or ConfigClass()
        self._class = row
        self.defaults = {**row.defaults, **self.type.defaults}
        self.names = {**row.names, **self.type.names}
        self.matter = frozenset(row.matter)

    def _written_values(self) -> dict[str, object]:
        """The values of the text model that the file states."""
        values = dict(self.outer)
        if self.nested:
            for key in values.keys() - TABLES.keys.inherited:
                del values[key]
        values.update(self.inner)
        for key in TABLES.keys.parts:
            part = table_of(values.get(key))
            values = {**part, **values}
        return values

    def _with_defaults(self, written: JsonValues) -> dict[str, object]:
        """The stated values and the defaults of the class, each under both its names."""
        values = self._under_both_names(written)
        return self._under_both_names({**self.defaults, **values})

    def _under_both_names(self, stated: JsonValues) -> dict[str, object]:
        """The values under the file's names and under the names that the class has for them."""
        values = dict(stated)
        for name, other in self.names.items():
            if name in values:
                values.setdefault(other, values[name])
            if other in values:
                values.setdefault(name, values[other])
        return values

    def _read_class_name(self) -> None:
        """Set the facts that the name of the class tells."""
        self.class_name = ""
        named = self.outer.get("architectures")
        if isinstance(named, list) and named:
            self.class_name = clean(named[0])
        self.sees = self._has_encoder()
        self.is_headless = False
        if re.search(TABLES.classes.bare, self.class_name):
            # ChatGLM names its bare class, but generates with the class of auto_map
            mapped = table_of(self.outer.get("auto_map"))
            writes = self.nested or self.type.bare_class_writes
            has_head = writes or _has_any(mapped, TABLES.classes.writing)
            self.is_headless = not has_head

    def _has_encoder(self) -> bool:
        """Whether the model has an encoder of pictures."""
        if self.outer_type.sees:
            return True
        if self.nested and "ForConditional" in self.class_name:
            return True
        return any(map(self.outer.get, TABLES.encoders["seeing"]))

    def names_of(self, keys: Sequence[str]) -> list[str]:
        """All names of each key, from the table of sizes. All of these names count as
        understood.
        """
        names: list[str] = []
        for key in keys:
            names += TABLES.sizes.get(key, (key,))
        self.understood.update(names)
        return names

    def per_layer(self, *keys: str) -> Sequence[object] | None:
        """A list, or a text, with one entry per layer; None where the key is missing or empty.
        Raises `Unclear` where it is too short.
        """
        entries = self.get(*keys)
        if not entries:
            return None
        layers = self.layers
        if isinstance(entries, list | str) and len(entries) >= layers:
            return entries[:layers]
        raise unclear("entries", key=self.stated(*keys), layers=layers)

    def places(self, key: str) -> list[int] | None:
        """The numbers of the layers that a key names; None where the key is missing."""
        value = self.get(key)
        if value is None:
            return None
        numbers = []
        for number in value if isinstance(value, list) else [value]:
            if type(number) is not int or number < 0:
                raise Unclear(f"{key} is {short(value)}, not numbers of layers")
            numbers.append(number)
        return numbers

    def published_type(self) -> PublishedType:
        """The type of the weights as the file states it, for the text model or for the whole."""
        stated = self.get(*_TYPE_KEYS)
        for key in _TYPE_KEYS:
            stated = stated or self.outer.get(key)
        if not isinstance(stated, str):
            return PublishedType(None, stated)
        name = stated.removeprefix("torch.")
        dtype = model_files().torch_types.get(name)
        return PublishedType(dtype, stated)

    # keys that no reader uses

    # such keys are found by their names, by the class, or by a value that no published model has

    def not_understood_of_cache(self) -> list[str]:
        """The keys that nothing reads and that may change the KV cache or the states of the
        model.
        """
        odd = self._odd_by_name(TABLES.keys.cache)
        for key in self._odd_by_class():
            if key in self._class.cache:
                odd.add(key)
        odd -= self._all_understood()
        return sorted(map(clean, odd))

    def not_understood_of_weights(self) -> list[str]:
        """The keys that nothing reads and that may change the weights."""
        odd = self._odd_by_name(TABLES.keys.weights)
        small = _any_of(TABLES.keys.small)
        for key in self._odd_by_class():
            if key in self._class.cache or small.search(key):
                continue
            odd.add(key)
        odd -= self._all_understood()
        odd |= self._unusual()
        return sorted(map(clean, odd))

    def _all_understood(self) -> set[str]:
        """The keys that something reads, under both their names, and the keys with the value of
        published models.
        """
        usual = self.published.keys() - self._unusual()
        understood = self.understood | usual
        for pair in self.names.items():
            if not understood.isdisjoint(pair):
                understood.update(pair)
        return understood

    def _unusual(self) -> set[str]:
        """The keys whose value differs from the value of published models."""
        unusual = set()
        for key, published in self.published.items():
            value = self.values.get(key)
            usual = published if isinstance(published, list) else [published]
            if value is not None and value not in usual:
                unusual.add(key)
        return unusual

    def _odd_by_name(self, patterns: Iterable[str]) -> set[str]:
        """The keys whose names match the patterns of keys that may matter, and whose value is not
        empty.
        """
        may_matter = _any_of(patterns)
        harmless = _harmless()
        # `_odd_by_class` checks the keys that matter to the class
        judged = self.matter.union(self._class.idle)
        odd = set()
        for key, value in self.values.items():
            other_name = self.names.get(key)
            if key in judged or other_name in judged:
                continue
            if isinstance(value, dict) or value in _NOTHING:
                continue
            if harmless.search(key):
                continue
            if may_matter.search(key):
                odd.add(key)
        return odd

    def _odd_by_class(self) -> list[str]:
        """The keys that matter to the class and differ from its default."""
        defaults = self._class.defaults
        matter = self.matter.intersection(self.written)
        odd = []
        for key in sorted(matter.difference(*TABLES.sizes.values())):
            if self.values[key] != defaults.get(key):
                odd.append(key)
        return odd


def _kind_in(values: JsonValues) -> str:
    """The model type that the values state, in lower case."""
    return clean(values.get("model_type")).lower()


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """The expression that matches where one of these does."""
    return re.compile("|".join(patterns))


@cache
def _harmless() -> re.Pattern[str]:
    """The expression that matches the names of keys which change no bytes."""
    keys = TABLES.keys
    # a word counts only between underscores: conv_layer_ids is not the id of a token
    words = f"(?:^|_)(?:{'|'.join(keys.harmless_words)})(?:_|$)"
    names = f"^(?:{'|'.join(keys.harmless)})$"
    return _any_of((words, names, *keys.harmless_patterns))


def _has_any(values: JsonValues, keys: Iterable[str]) -> bool:
    """Whether the values have one of these keys."""
    return not values.keys().isdisjoint(keys)


def _describes_a_model(values: JsonValues, text_model: JsonValues) -> bool:
    """Whether a file describes a model: it has two of model type, class and nested configuration,
    or it states the width and the number of layers.
    """
    signs = (values.get("model_type"), values.get("architectures"), text_model)
    if sum(map(bool, signs)) >= 2:
        return True
    sizes = text_model or values
    if not _has_any(sizes, TABLES.sizes["width"]):
        return False
    return _has_any(sizes, (*TABLES.sizes["layers"], *_LISTS_OF_LAYERS))
