"""The keys of a `config.json`: under which names each size stands, which keys were read, which are
not understood, and what other JSON goes by mistake for one. The tables of names are in
`specs/common/model_types.toml`.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from .source import clean, fail, listed, read_json

# the longest published config.json has 37 kB; tokenizer files that go by mistake for one have
# megabytes
MAX_CONFIG_BYTES = 1 << 23
# above any size in a config.json
MAX_NUMBER = 1 << 32
_NESTS = ("text_config", "language_config", "llm_config", "text_model_config")
# objects whose keys are those of the text model, too
_PARTS = ("attn_config", "ffn_config", "sparse_attention_config", "linear_attn_config")
_INHERITED = ("tie_word_embeddings", "torch_dtype", "dtype")
# what only some layers have, by the number of each, and its keys
_BY_LAYER = "per_layer_config"
_OF_ONE_LAYER = frozenset({"head_dim", "num_key_value_heads"})
# a row of `[model_type]`, whose keys the header of the file explains
ModelType = Mapping[str, Any]

_REMEDY = "give the model's config.json, its folder, or its GGUF file"
_IMAGE_ENCODERS = ("siglip", "clip", "dinov2", "vit")


class Unclear(Exception):
    """The model's cache or its weights do not follow from the file; the text says why."""


@lru_cache(maxsize=1)
def tables() -> Mapping[str, Any]:
    """The shipped tables of model types and of keys."""
    from ..catalogue.index import Catalogue

    return Catalogue.open().common("model_types")


@lru_cache(maxsize=1)
def model_types() -> Mapping[str, ModelType]:
    """The shipped rows, by model type."""
    plain = tables()["plain"].items()
    return {
        **tables()["model_type"],
        **{name: {"row": row} for row, names in plain for name in names},
    }


@lru_cache(maxsize=1)
def classes() -> Mapping[str, Any]:
    """What the class of a model type in transformers does with its keys, by model type.

    `defaults`: the value of a key that a file leaves out, missing where it is derived from others;
    `matter`: the keys that change weights or cache; `cache`: those of them that change what is kept
    of a context; `idle`: keys that change neither, although their names elsewhere do; `names`:
    other names of keys. Every class was built, and one key changed at a time.
    """
    file = os.path.join(os.path.dirname(__file__), "classes.json")
    by_type: Mapping[str, Any] = read_json(file, MAX_CONFIG_BYTES, what="classes.json")["classes"]
    return by_type


def class_of(values: Mapping[str, Any]) -> str:
    """The name of the class that a file states; empty without one."""
    names = values.get("architectures")
    return names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""


def short(value: Any) -> str:
    """A value of a file, short and safe to print."""
    return f'"{clean(value)}"' if isinstance(value, str) else clean(repr(value)[:60])


def refuse_what_is_no_config(path: str, values: Any) -> None:
    """Raise `SpecError` for JSON that is something else, and name some of its keys."""
    if not isinstance(values, dict):
        what = "a list" if isinstance(values, list) else "a single value"
        fail(path, f"is not a model's config.json: it is {what}, not an object", _REMEDY)
    schema, kind = clean(values.get("schema")), clean(values.get("model_type"))
    if schema.startswith("selfhost."):
        fail(path, f"is a file of selfhost ({schema}), not a model", _REMEDY)
    nested = next((values[nest] for nest in _NESTS if isinstance(values.get(nest), dict)), None)
    is_encoder = kind in _IMAGE_ENCODERS or kind.endswith(("vision_model", "_vision"))
    if nested is None and is_encoder:
        fail(path, f"describes an image encoder ({kind}), no language model", _REMEDY)
    # two of the keys of its layers, its type or nested configuration, and its class
    sizes, keys = tables()["sizes"], (values if nested is None else nested).keys()
    layers = (*sizes["layers"], "hybrid_override_pattern", "layers_block_type")
    is_shaped = not keys.isdisjoint(layers) and not keys.isdisjoint(sizes["width"])
    signs = bool(kind) + (is_shaped or nested is not None) + bool(values.get("architectures"))
    if signs < 2 and not is_shaped:
        seen = listed((clean(key) for key in values), 4)
        what = f"it has the keys {seen}" if seen else "it is empty"
        fail(path, f"is not a model's config.json: {what}", _REMEDY)


class Keys:
    """The keys of a config.json under the names of its class: which are read, and which are not
    understood.

    `outer` is the whole file, `inner` the part of its text model, and `text` the keys of the text
    model with the defaults of its class; `written` are those that stand in the file. `nested`: the
    top has none of the text model's keys. `unknown` and `notes` collect what the spec will say.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.outer = values
        nest = next((key for key in _NESTS if isinstance(values.get(key), dict)), None)
        self.inner: Mapping[str, Any] = values[nest] if nest is not None else {}
        # some files repeat the text model's keys at the top, and nest no more than its name
        self.nested = bool(self.inner) and not any(
            key in values for key in tables()["sizes"]["layers"]
        )
        self.outer_kind = clean(values.get("model_type")).lower()
        self.outer_type: ModelType = model_types().get(self.outer_kind, {})
        stated = clean(self.inner.get("model_type")).lower() if self.inner else self.outer_kind
        self.kind = stated or self._kind_of_class() or self.outer_kind
        self.type: ModelType = model_types().get(self.kind, {})
        is_own = self.type.get("own_code")
        self.known: Mapping[str, Any] = {} if is_own else classes().get(self.kind, {})
        self.names = {**self.known.get("names", {}), **self.type.get("names", {})}
        self.matter = frozenset(self.known.get("matter", ()))
        self.text = self._keys_of_text()
        self.written = frozenset(self.text)
        self._add_names_and_defaults()
        # keys that something reads, or that are known to change nothing
        self.understood: set[str] = {_BY_LAYER, *self.published_keys(as_published=True)}
        self.unknown: dict[str, str] = {}
        self.notes: list[str] = []
        self.layers = 0

    def _kind_of_class(self) -> str:
        name = class_of(self.inner) or class_of(self.outer)
        kinds = (kind for kind, row in model_types().items() if name in row.get("classes", ()))
        return next(kinds, "")

    def _keys_of_text(self) -> dict[str, Any]:
        """The keys of the text model, with those of objects in it."""
        text = dict(self.outer)
        if self.inner:
            own = {*_NESTS, "model_type"}
            shared = _INHERITED if self.nested else self.outer.keys() - own
            text = {key: value for key, value in self.outer.items() if key in shared}
            text |= {key: value for key, value in self.inner.items() if key not in own}
        for part in _PARTS:
            if isinstance(text.get(part), dict):
                text = {**text[part], **text}
        return text

    def _add_names_and_defaults(self) -> None:
        """Adds what the class takes for a key that the file leaves out, and each key's other
        name.
        """
        defaults = {**self.known.get("defaults", {}), **self.type.get("defaults", {})}
        named = {*self.text, *(self.names.get(key, key) for key in self.text)}
        for key, value in defaults.items():
            if not {key, self.names.get(key, key)} & named:
                self.text[key] = value
        for key, generic in self.names.items():
            for name, other in ((key, generic), (generic, key)):
                if other in self.text:
                    self.text.setdefault(name, self.text[other])

    def published_keys(self, *, as_published: bool) -> list[str]:
        """The keys of `published` that have the value of every published model, or those that have
        another.
        """
        keys = []
        for key, value in {**tables()["published"], **self.type.get("published", {})}.items():
            stated = self.text.get(key)
            allowed = value if isinstance(value, list) else [value]
            if (stated is None or any(stated == each for each in allowed)) is as_published:
                keys.append(key)
        return keys

    def of_single_layer(self, number: int) -> Keys:
        """These keys with those that one layer has of its own (Gemma 4 of transformers 5.23)."""
        by_layer = self.text.get(_BY_LAYER) or {}
        own = by_layer.get(str(number), {}) if isinstance(by_layer, dict) else None
        if not isinstance(own, dict) or not own.keys() <= _OF_ONE_LAYER:
            raise Unclear(f"{_BY_LAYER} is {short(by_layer)}, not understood")
        keys = copy.copy(self)
        keys.text = {**self.text, **own}
        return keys

    def get(self, *keys: str) -> Any:
        """The value of the first of these keys, or sizes of the table, that has one; all of them
        count as understood.
        """
        names = _names_of(keys)
        self.understood.update(names)
        return next((self.text[key] for key in names if self.text.get(key) is not None), None)

    def number(self, *keys: str, least: int = 0, layer: int | None = None) -> int | None:
        """A whole number of at least `least`, None where it is missing. Where the file lists one
        for each layer: that of `layer`, or the one that all of them are.
        """
        value = self.get(*keys)
        if value is None:
            return None
        if isinstance(value, list) and len(value) >= self.layers > 0:
            is_one = layer is not None or value.count(value[0]) == len(value)
            value = value[layer or 0] if is_one else value
        if type(value) is not int:
            # classes of transformers take nothing else: its configurations are strict dataclasses
            raise Unclear(f"{self.stated(*keys)} is {short(value)}, not one whole number")
        if not least <= value < MAX_NUMBER:
            raise Unclear(f"{self.stated(*keys)} is {short(value)}, which is no number of a model")
        return value

    def needed(self, *keys: str) -> int:
        """A whole number of at least 1. Raises `Unclear` where it is missing."""
        value = self.number(*keys, least=1)
        if value is None:
            raise Unclear(f"{self.stated(*keys)} is missing")
        return value

    def stated(self, *keys: str) -> str:
        """The first of these keys that has a value, under the name that it has in the file."""
        names = _names_of(keys)
        having = [key for key in names if self.text.get(key) is not None]
        return next((key for key in having if key in self.written), (having or names)[0])

    def per_layer(self, *keys: str) -> Any:
        """A list, or a text, with one entry per layer; None where the key is missing or empty."""
        value = self.get(*keys)
        if not value:
            return None
        if not isinstance(value, (list, str)) or len(value) < self.layers:
            raise Unclear(
                f"{self.stated(*keys)} does not list one entry for each of the {self.layers:,}"
                " layers"
            )
        return value[: self.layers]

    def places(self, *keys: str) -> list[int] | None:
        """The numbers of the layers that the first of these keys names, None without one."""
        value = self.get(*keys)
        if value is not None and not (
            isinstance(value, list) and all(type(layer) is int and layer >= 0 for layer in value)
        ):
            raise Unclear(f"{self.stated(*keys)} is {short(value)}, not numbers of layers")
        return value

    def reads(self, key: str) -> bool:
        """False where the class of this model type is known and leaves the key alone."""
        return not self.known or key in self.matter

    def not_understood(self, *, cache: bool) -> list[str]:
        """The keys that nothing reads and that may change what the model keeps of its context
        (`cache`), or else its weights: by their names, or by the class, whose defaults its row was
        made for.
        """
        keys, sizes = tables()["keys"], tables()["sizes"].values()
        idle = self.matter.union(self.known.get("idle", ()))
        bears = re.compile("|".join(keys["cache" if cache else "weights"]))
        # a word is a whole one between underscores: conv_layer_ids is no token's id
        words, names = "|".join(keys["harmless_words"]), "|".join(keys["harmless"])
        harmless = re.compile(
            "|".join([f"(?:^|_)(?:{words})(?:_|$)", f"^(?:{names})$", *keys["harmless_patterns"]])
        )
        by_name = {
            key
            for key, value in self.text.items()
            if bears.search(key)
            and not harmless.search(key)
            and not {key, self.names.get(key, key)} & idle
            and not isinstance(value, dict)
            and value not in (None, False, 0, "", -1, [])
        }
        defaults, small = self.known.get("defaults", {}), re.compile("|".join(keys["small"]))
        of_class = {
            key
            for key in (self.matter & self.written).difference(*sizes)
            if (key in self.known["cache"]) is cache
            and self.text[key] != defaults.get(key)
            and (cache or not small.search(key))
        }
        pairs = [pair for pair in self.names.items() if self.understood.intersection(pair)]
        understood = self.understood.union(*pairs)
        return sorted(clean(key) for key in (by_name | of_class) - understood)


def _names_of(keys: tuple[str, ...]) -> list[str]:
    sizes = tables()["sizes"]
    return [name for key in keys for name in sizes.get(key, (key,))]
