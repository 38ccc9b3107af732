"""The keys of a `config.json`: under which names each size stands, and which keys nothing reads.

What goes in: the values of the file. What comes out: `Keys`, in which a size is asked for by any of
its names. The tables of names are in `specs/common/model_types.toml` and `config_classes.toml`.
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
from .sizes import Sizes, Unclear
from .source import JsonValues, clean, listed, reason, refuse, short
from .tables import model_files

# the longest published config.json has 37 kB; tokenizer files that go by mistake for one have
# megabytes
MAX_CONFIG_BYTES = 1 << 23
TABLES: ModelTypesTable = model_type_tables()
# values that say of a key that the model has nothing of the kind
_NOTHING: tuple[object, ...] = (None, False, 0, "", -1, [])


class PublishedType(NamedTuple):
    """The type of the weights before anything was quantized, and what the file says of it. `dtype`
    is None where this is missing or not understood.
    """

    dtype: str | None
    stated: object


class Keys(Sizes):
    """The keys of a config.json under the names of its class.

    `outer` is the whole file, `inner` the part of its text model, and `values` the keys of the text
    model with the defaults of its class; `written` are those that stand in the file, `understood`
    those that something reads. `nested`: the top has none of the text model's keys. `type` is the
    row of its model type. `has_class`: it is known what its class does. `in_gguf`: the converter of
    llama.cpp knows the model type. `sees`: it has an encoder of pictures. `is_headless`: a
    published class without an output matrix.
    """

    def __init__(self, path: str, values: object) -> None:
        super().__init__(path, {})
        if not isinstance(values, dict):
            what = "a list" if isinstance(values, list) else "a single value"
            refuse(path, "no-config", what=f"it is {what}, not an object")
        text_model = _text_model_in(values)
        self.outer: JsonValues = values
        self.inner: JsonValues = text_model or {}
        if not _describes_a_model(values, text_model):
            seen = listed(map(clean, values), 4)
            what = f"it has the keys {seen}" if seen else "it is empty"
            refuse(path, "no-config", what=what)
        # some files repeat the text model's keys at the top, and nest no more than its name
        repeats_keys = _has_any(values, TABLES.sizes["layers"])
        self.nested = bool(self.inner) and not repeats_keys
        self._find_type()
        self.understood: set[str] = set()
        self.names_of(TABLES.keys.read)
        self._read_values()
        self._read_class_name()

    def _find_type(self) -> None:
        """Set the rows of the model type and of its class, and the names that they give."""
        self.outer_kind = _kind_in(self.outer)
        self.kind = _kind_in(self.inner) or self.outer_kind
        self.outer_type = model_type_of(self.outer_kind)
        self.type: ModelType = model_type_of(self.kind)
        known = config_class_of(self.kind)
        # a file with code of its own names other classes
        self.has_class = known is not None and not self.type.own_code
        self._class = ConfigClass()
        if known is not None and self.has_class:
            self._class = known
        self.defaults = {**self._class.defaults, **self.type.defaults}
        self.names = {**self._class.names, **self.type.names}
        self.matter = frozenset(self._class.matter)
        converts = self.type.in_gguf and self.outer_type.in_gguf
        self.in_gguf = converts and bool(self.type.row)

    def _read_values(self) -> None:
        """Set those of the text model: as written, then by its class, each under both its names."""
        values = self._written_values()
        self.written = frozenset(values)
        named = self.written.union(map(self._other_name, values))
        for key, default in self.defaults.items():
            if named.isdisjoint((key, self._other_name(key))):
                values[key] = default
        for name, other in self.names.items():
            if name in values:
                values.setdefault(other, values[name])
            if other in values:
                values.setdefault(name, values[other])
        self.values = values

    def _written_values(self) -> dict[str, object]:
        """The values of the text model as they stand in the file."""
        outer = dict(self.outer)
        if self.nested:
            inherited = TABLES.keys.inherited
            outer = {key: outer[key] for key in inherited if key in outer}
        values = {**outer, **self.inner}
        for key in TABLES.keys.parts:
            part = values.get(key)
            if isinstance(part, dict):
                values = {**part, **values}
        return values

    def _other_name(self, key: str) -> str:
        """What the class calls a key of the file; the key itself where that is its name."""
        return self.names.get(key, key)

    def _read_class_name(self) -> None:
        """Set what the name of the class tells."""
        self.class_name = ""
        named = self.outer.get("architectures")
        if isinstance(named, list) and named:
            self.class_name = clean(named[0])
        self.sees = self._has_encoder()
        is_bare = re.search(TABLES.classes.bare, self.class_name)
        self.is_headless = bool(is_bare) and not self._has_head()

    def _has_encoder(self) -> bool:
        """Whether the model has an encoder of pictures."""
        if self.outer_type.sees:
            return True
        if self.nested and "ForConditional" in self.class_name:
            return True
        return any(self.outer.get(key) for key in TABLES.encoders["seeing"])

    def _has_head(self) -> bool:
        """Whether a model of a bare class generates all the same."""
        if self.nested or self.type.bare_class_writes:
            return True
        # ChatGLM names its bare class, and generates with that of auto_map
        mapped = self.outer.get("auto_map")
        return isinstance(mapped, dict) and _has_any(mapped, TABLES.classes.writing)

    def names_of(self, keys: Sequence[str]) -> list[str]:
        """Every name of each key, by the table of sizes; all of them count as understood."""
        names: list[str] = []
        for key in keys:
            names += TABLES.sizes.get(key, (key,))
        self.understood.update(names)
        return names

    def per_layer(self, *keys: str) -> Sequence[object] | None:
        """A list, or a text, with one entry per layer; None where the key is missing or empty."""
        value = self.get(*keys)
        if not value:
            return None
        if isinstance(value, list | str) and len(value) >= self.layers:
            return value[: self.layers]
        raise Unclear(reason("entries", key=self.stated(*keys), layers=self.layers))

    def places(self, key: str) -> list[int] | None:
        """The numbers of the layers that a key names, None without it."""
        value = self.get(key)
        if value is None:
            return None
        numbers: list[int] = []
        for number in value if isinstance(value, list) else [value]:
            if type(number) is not int or number < 0:
                raise Unclear(f"{key} is {short(value)}, not numbers of layers")
            numbers.append(number)
        return numbers

    def published_type(self) -> PublishedType:
        """The type of the weights as the file states it, for the text model or for the whole."""
        stated = self.get("torch_dtype", "dtype")
        for key in ("torch_dtype", "dtype"):
            stated = stated or self.outer.get(key)
        dtype = None
        if isinstance(stated, str):
            name = stated.removeprefix("torch.")
            dtype = model_files().torch_types.get(name)
        return PublishedType(dtype, stated)

    # keys that nothing reads

    def not_understood(self, *, cache: bool) -> list[str]:
        """The keys that nothing reads and that may change what the model keeps of its context
        (`cache`), or else its weights: by their names, by the class, or by a value that no
        published model has.
        """
        published = {**TABLES.published, **self.type.published}
        unusual = {key for key in published if self._is_unusual(key, published[key])}
        understood = self.understood | (published.keys() - unusual)
        for pair in self.names.items():
            if not understood.isdisjoint(pair):
                understood.update(pair)
        odd = self._odd_by_name(cache=cache) | self._odd_by_class(cache=cache)
        odd -= understood
        names = sorted(map(clean, odd))
        if not cache:
            names += sorted(unusual - odd)
        return names

    def _is_unusual(self, key: str, published: object) -> bool:
        """Whether the file states another value than published models do."""
        value = self.values.get(key)
        usual = published if isinstance(published, list) else [published]
        return value is not None and value not in usual

    def _odd_by_name(self, *, cache: bool) -> set[str]:
        """The keys whose names say that they may matter, with a value that is something."""
        bearing = _any_of(TABLES.keys.cache if cache else TABLES.keys.weights)
        harmless = _harmless()
        # what the class reads counts by its own table
        idle = self.matter.union(self._class.idle)
        odd = set()
        for key, value in self.values.items():
            if key in idle or self._other_name(key) in idle:
                continue
            if isinstance(value, dict) or value in _NOTHING:
                continue
            if bearing.search(key) and not harmless.search(key):
                odd.add(key)
        return odd

    def _odd_by_class(self, *, cache: bool) -> set[str]:
        """The keys that matter to the class, with another value than its default."""
        defaults = self._class.defaults
        small = _any_of(TABLES.keys.small)
        sizes = set().union(*TABLES.sizes.values())
        odd = set()
        for key in (self.matter & self.written) - sizes:
            is_of_cache = key in self._class.cache
            if is_of_cache is not cache or self.values[key] == defaults.get(key):
                continue
            if cache or not small.search(key):
                odd.add(key)
        return odd


def _kind_in(values: JsonValues) -> str:
    """The model type that values state, in small letters."""
    return clean(values.get("model_type")).lower()


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


@cache
def _harmless() -> re.Pattern[str]:
    """What matches the names of keys that change no bytes."""
    keys = TABLES.keys
    # a word is a whole one between underscores: conv_layer_ids is no token's id
    words = f"(?:^|_)(?:{'|'.join(keys.harmless_words)})(?:_|$)"
    names = f"^(?:{'|'.join(keys.harmless)})$"
    return _any_of((words, names, *keys.harmless_patterns))


def _has_any(values: JsonValues, keys: Iterable[str]) -> bool:
    """Whether the values have one of these keys."""
    return not values.keys().isdisjoint(keys)


def _text_model_in(values: JsonValues) -> JsonValues | None:
    """The configuration of the text model inside that of the whole; None: it stands at the top."""
    for key in TABLES.keys.nests:
        nested = values.get(key)
        if isinstance(nested, dict):
            return nested
    return None


def _describes_a_model(values: JsonValues, text_model: JsonValues | None) -> bool:
    """Whether a file has two of the keys of its type, its nested configuration and its class, or
    those of its sizes.
    """
    is_nested = text_model is not None
    signs = (values.get("model_type"), is_nested, values.get("architectures"))
    if sum(map(bool, signs)) >= 2:
        return True
    keys = text_model or values
    layers = (*TABLES.sizes["layers"], "hybrid_override_pattern", "layers_block_type")
    return _has_any(keys, layers) and _has_any(keys, TABLES.sizes["width"])
