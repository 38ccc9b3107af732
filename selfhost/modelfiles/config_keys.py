"""The keys of a `config.json`: the names of each size, and the keys that no reader uses.

What goes in: the values of the file. What comes out: `Keys`, which finds a size under any of its
names. The tables of names are in `specs/common/model_types.toml` and `config_classes.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache, cached_property

from ..core.files import as_list
from ..core.units import listed
from .config_tables import (
    ConfigClass,
    ModelType,
    ModelTypesTable,
    config_class_of,
    model_type_of,
    model_type_tables,
)
from .sizes import Sizes
from .source import JsonValues, clean, reason, refuse, short, table_of
from .tables import model_files

# the longest published config.json has 37 kB; tokenizer files given by mistake have megabytes
MAX_CONFIG_BYTES = 1 << 23
TABLES: ModelTypesTable = model_type_tables()
# values that say that the model lacks the part that a key describes
_NOTHING: Sequence[object] = (None, False, 0, "", -1, [])
# keys whose lists have one entry for each layer, for models that state no number of layers
_LISTS_OF_LAYERS = ("hybrid_override_pattern", "layers_block_type")
_TYPE_KEYS = ("torch_dtype", "dtype")


class Keys(Sizes):
    """The keys of a config.json, under the names of its configuration class.

    - `outer`: the whole file; `inner`: the configuration of the text model inside it, empty where
      the text model's keys stand at the top level.
    - `nested`: the top level has none of the text model's keys.
    - `outer_kind`, `kind`: the model type of the whole model and of the text model, empty where
      none is stated; `outer_type` and `type` are their rows.
    - `published`: the values that a key has in all published models of the type.
    - `known_class`: the configuration class that reads the file; None where its behaviour is not
      known. `defaults` has the values of keys that the file leaves out, `class_names` the name that
      the class has for a key, by the key's other name, and `matter` the keys by which the class
      changes weights or cache.
    - `values`: the keys of the text model with the defaults of its class.
    - `written`: the keys that the file states; `understood`: the keys that something reads.
    """

    def __init__(self, path: str, values: object) -> None:
        super().__init__(path, {})
        if not isinstance(values, dict):
            refuse(path, "no-config", what="it is not a JSON object")
        self.outer: JsonValues = values
        self.inner = _text_model_in(values)
        if not _describes_a_model(values, self.inner):
            seen = listed(map(clean, values), 4)
            what = f"it has the keys {seen}" if seen else "it is empty"
            refuse(path, "no-config", what=what)
        # some files repeat the text model's keys at the top level, and nest only its name
        repeats_keys = _has_any(values, TABLES.sizes["layers"])
        self.nested = bool(self.inner) and not repeats_keys
        self.outer_kind = _kind_in(values)
        self.kind = _kind_in(self.inner) or self.outer_kind
        self.outer_type: ModelType = model_type_of(self.outer_kind)
        self.type: ModelType = model_type_of(self.kind)
        self.published: JsonValues = {**TABLES.published, **self.type.published}
        self.known_class: ConfigClass | None = None
        # a file with its own code names classes that transformers does not know
        if not self.type.own_code:
            self.known_class = config_class_of(self.kind)
        self._class = self.known_class or ConfigClass()
        self.defaults: JsonValues = {**self._class.defaults, **self.type.defaults}
        self.class_names = {**self._class.names, **self.type.names}
        self.matter = frozenset(self._class.matter)
        # a reader adds the names that it asks for (`names_of`)
        self.understood = set(_all_names(TABLES.keys.read))
        written = self._written_values()
        self.written = frozenset(written)
        stated = self._under_both_names(written)
        self.values = self._under_both_names({**self.defaults, **stated})

    @property
    def in_gguf(self) -> bool:
        """Whether llama.cpp's converter knows the model type."""
        return all((self.type.row, self.type.in_gguf, self.outer_type.in_gguf))

    # the keys under their names

    def _written_values(self) -> dict[str, object]:
        """The values of the text model that the file states."""
        values = dict(self.outer)
        values.update(self.inner)
        for key, names in TABLES.keys.parts.items():
            part = table_of(values.get(key))
            for name, value in part.items():
                values.setdefault(names.get(name, name), value)
        return values

    def _under_both_names(self, stated: JsonValues) -> dict[str, object]:
        """The values under the file's names and under the names that the class has for them."""
        values = dict(stated)
        for name, other in self.class_names.items():
            if name in values:
                values.setdefault(other, values[name])
            if other in values:
                values.setdefault(name, values[other])
        return values

    # the model class, which the file names

    @cached_property
    def class_name(self) -> str:
        """The name of the first class in `architectures`; empty where there is none."""
        named = self.outer.get("architectures")
        if isinstance(named, list) and named:
            return clean(named[0])
        return ""

    @cached_property
    def is_headless(self) -> bool:
        """Whether the class is a published one without an output matrix."""
        if not re.search(TABLES.classes.bare, self.class_name):
            return False
        if self.nested or self.type.bare_class_writes:
            return False
        # ChatGLM names its bare class, but generates with the class of auto_map
        mapped = table_of(self.outer.get("auto_map"))
        return not _has_any(mapped, TABLES.classes.writing)

    @cached_property
    def sees(self) -> bool:
        """Whether the model has an encoder of pictures."""
        if self.outer_type.sees:
            return True
        if self.nested and "ForConditional" in self.class_name:
            return True
        return any(map(self.outer.get, TABLES.encoders["seeing"]))

    def names_of(self, keys: Sequence[str]) -> list[str]:
        """All names of each key, which count as understood from then on: whoever asks for the names
        reads the key.
        """
        names = _all_names(keys)
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
        why = reason("entries", key=self.stated(*keys), layers=layers)
        return self.fault(why, None)

    def places(self, key: str) -> list[int] | None:
        """The numbers of the layers that a key names, counted from 0; None where the key is
        missing.
        """
        value = self.get(key)
        if value is None:
            return None
        first = self.type.first_layer
        numbers = []
        for number in as_list(value):
            if type(number) is not int or number < first:
                return self.fault(
                    f"{key} is {short(value)}, not numbers of layers", None
                )
            numbers.append(number - first)
        return numbers

    @property
    def stated_type(self) -> object:
        """The type of the weights as the file states it, for the text model or for the whole."""
        stated = self.get(*_TYPE_KEYS)
        for key in _TYPE_KEYS:
            stated = stated or self.outer.get(key)
        return stated

    @property
    def published_type(self) -> str | None:
        """The type of the weights before any quantization; None where it is missing or not
        understood.
        """
        name = str(self.stated_type).removeprefix("torch.")
        return model_files().torch_types.get(name)

    # keys that no reader uses: found by their names, by the class, or by a value that no published
    # model has

    def not_understood_of_cache(self) -> list[str]:
        """The keys that nothing reads and that may change the KV cache or the states of the
        model.
        """
        odd = self._odd_by_name(TABLES.keys.cache)
        odd |= self._odd_by_class().intersection(self._class.cache)
        odd -= self._all_understood()
        return sorted(map(clean, odd))

    def not_understood_of_weights(self) -> list[str]:
        """The keys that nothing reads and that may change the weights."""
        odd = self._odd_by_name(TABLES.keys.weights)
        small = _any_of(TABLES.keys.small)
        for key in self._odd_by_class().difference(self._class.cache):
            if not small.search(key):
                odd.add(key)
        odd -= self._all_understood()
        odd |= self._unusual()
        return sorted(map(clean, odd))

    def _all_understood(self) -> set[str]:
        """The keys that something reads, under both their names, and the keys with the value of
        published models, which change nothing.
        """
        with_usual_value = self.published.keys() - self._unusual()
        understood = self.understood | with_usual_value
        for pair in self.class_names.items():
            if not understood.isdisjoint(pair):
                understood.update(pair)
        return understood

    def _unusual(self) -> set[str]:
        """The keys whose value differs from the value of published models."""
        unusual = set()
        for key, published in self.published.items():
            value = self.values.get(key)
            if value is not None and value not in as_list(published):
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
            other_name = self.class_names.get(key)
            if key in judged or other_name in judged:
                continue
            if isinstance(value, dict) or value in _NOTHING:
                continue
            if harmless.search(key):
                continue
            if may_matter.search(key):
                odd.add(key)
        return odd

    def _odd_by_class(self) -> set[str]:
        """The keys that matter to the class and differ from its default."""
        defaults = self._class.defaults
        matter = self.matter.intersection(self.written)
        odd = set()
        for key in matter.difference(*TABLES.sizes.values()):
            if self.values[key] != defaults.get(key):
                odd.add(key)
        return odd


def _text_model_in(values: JsonValues) -> JsonValues:
    """The configuration of the text model inside that of the whole model; empty where there is
    none.
    """
    for key in TABLES.keys.nests:
        inner = table_of(values.get(key))
        if inner:
            return inner
    return {}


def _kind_in(values: JsonValues) -> str:
    """The model type that the values state, in lower case."""
    return clean(values.get("model_type")).lower()


def _all_names(keys: Iterable[str]) -> list[str]:
    """All names of each key in published files, from the table of sizes."""
    names: list[str] = []
    for key in keys:
        names += TABLES.sizes.get(key, (key,))
    return names


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
