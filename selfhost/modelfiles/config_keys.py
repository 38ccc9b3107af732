"""The keys of a `config.json`: under which names each size stands, which keys were read, and which
are not understood. The tables of names are in `specs/common/model_types.toml`.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping
from functools import lru_cache

from ..core.records import Record
from .naming import clean
from .source import read_json

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# the longest published config.json has 37 kB; tokenizer files that go by mistake for one have
# megabytes
MAX_CONFIG_BYTES = 1 << 23
# above any size in a config.json
MAX_NUMBER = 1 << 32
NESTS = ("text_config", "language_config", "llm_config", "text_model_config")
# what only some layers have, by the number of each (Gemma 4 of transformers 5.23), and its keys
_BY_LAYER = "per_layer_config"
_OF_ONE_LAYER = frozenset({"head_dim", "num_key_value_heads"})
_INHERITED = frozenset({"tie_word_embeddings", "torch_dtype", "dtype"})


class Unclear(Exception):
    """The model's cache or its weights do not follow from the file; the text says why."""


class UnclearWindow(Unclear):
    """The layers are as their shapes say, but not how many tokens each of them keeps."""


class ModelType(Record):
    """How a model type says in its own way what generic keys say: a row of
    `specs/common/model_types.toml`, whose header explains every key.
    """

    row: str = ""
    row_with_experts: str = ""
    row_without_states: str = ""
    row_of_ocr: str = ""
    in_gguf: bool = True
    classes: tuple[str, ...] = ()
    own_code: bool = False
    read_by_class: bool = False
    read_as: tuple[Mapping[str, Any], ...] = ()
    names: Mapping[str, str] = {}
    defaults: Mapping[str, Any] = {}
    layers: str = ""
    kinds: Mapping[str, str] = {}
    last_full: bool = False
    halves_window: bool = False
    slides: str = ""
    values_apart: bool = False
    window_kv_factor: int = 1
    dense_length: str = ""
    experts_if: str = ""
    one_expert_is_dense: bool = False
    dense_beside: str = ""
    dense_beside_if: str = ""
    feed_forward: str = ""
    router_bias: bool | None = None
    tied: bool | None = None
    tied_by_text_config: bool | None = None
    stacks: str = ""
    beams: bool = False
    sees: bool = False
    mtp_layers: int | None = None
    encoder: bool = False
    bare_class_writes: bool = False
    unused_positions: int = 0
    rows_in_gguf: tuple[int, ...] = ()
    switches: Mapping[str, Any] = {}
    other_than_row: Mapping[str, Any] = {}
    norm_switched: str = "head"
    long_rope: bool = False
    published: Mapping[str, Any] = {}
    shared_like_one: bool = False
    not_read: str = ""


@lru_cache(maxsize=1)
def tables() -> Mapping[str, Any]:
    """The shipped tables of model types and of keys."""
    from ..catalogue.index import Catalogue

    return Catalogue.open().common("model_types")


@lru_cache(maxsize=1)
def model_types() -> Mapping[str, ModelType]:
    """The shipped rows, by model type."""
    types = {}
    for name, row in tables()["model_type"].items():
        lists = {key: tuple(value) for key, value in row.items() if isinstance(value, list)}
        types[name] = ModelType().replace(**{**row, **lists})
    for row, names in tables()["plain"].items():
        types.update((name, ModelType(row=row)) for name in names)
    return types


@lru_cache(maxsize=1)
def classes() -> Mapping[str, Any]:
    """What the class of a model type in transformers does with its keys, by model type.

    `defaults`: the value of a key that a file leaves out, missing where it is derived from others;
    `matter`: the keys that change weights or cache; `cache`: those of them that change what is kept
    of a context; `idle`: keys that change neither, although their names elsewhere do; `names`:
    other names of keys. benchmarks/config_classes.py made the file: it built every class and
    changed one key at a time.
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


def _text_keys(
    values: Mapping[str, Any], inner: Mapping[str, Any], *, nested: bool
) -> dict[str, Any]:
    """The keys of the text model, with those of objects in it. `inner` is its part of the file,
    empty where there is none; `nested`: the top has none of its keys.
    """
    left_out = (*NESTS, "model_type")
    text = dict(values)
    if inner:
        text = {
            key: value
            for key, value in values.items()
            if (key in _INHERITED if nested else key not in left_out)
        }
        text |= {key: value for key, value in inner.items() if key not in left_out}
    other = text.get("attention_other_setting")
    if isinstance(other, dict) and other.get("attention_type") == "sliding_attention":
        text["swa_num_attention_heads"] = other.get("num_attention_heads")
        text["swa_head_dim"] = other.get("head_dim")
        text["swa_num_key_value_heads"] = other.get("num_attention_groups")
    for part in ("attn_config", "ffn_config", "sparse_attention_config"):
        if isinstance(text.get(part), dict):
            text = {**text[part], **text}
    linear = text.get("linear_attn_config")
    if isinstance(linear, dict):
        text.update({"linear_" + key: value for key, value in linear.items()})
    return text


class Keys:
    """The keys of a config.json under the names of its class: which are read, and which are not
    understood.

    `outer` is the whole file, `inner` the part of its text model, and `text` the keys of the text
    model with the defaults of its class. `unknown` and `notes` collect what the spec will say.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.outer = values
        nest = next((key for key in NESTS if isinstance(values.get(key), dict)), None)
        self.inner: Mapping[str, Any] = values[nest] if nest is not None else {}
        # some files repeat the text model's keys at the top, and nest no more than its name
        self.nested = bool(self.inner) and not any(
            key in values for key in tables()["sizes"]["layers"]
        )
        self.text = _text_keys(values, self.inner, nested=self.nested)
        self.outer_kind = clean(values.get("model_type")).lower()
        self.outer_type = model_types().get(self.outer_kind, ModelType())
        stated = clean(self.inner.get("model_type")).lower() if self.inner else self.outer_kind
        self.kind = self._read_as(stated or self._kind_of_class() or self.outer_kind)
        self.type = model_types().get(self.kind, ModelType())
        self.known: Mapping[str, Any] = {} if self.type.own_code else classes().get(self.kind, {})
        self.names = {**self.known.get("names", {}), **self.type.names}
        self.matter = frozenset(self.known.get("matter", ()))
        self.written = frozenset(self.text)
        self._add_names_and_defaults()
        # keys that something reads, or that are known to change nothing
        self.understood: set[str] = {_BY_LAYER} | {
            key for key, value in self.type.published.items() if self.is_published(key, value)
        }
        self.unknown: dict[str, str] = {}
        self.notes: list[str] = []
        self.layers = 0

    def _kind_of_class(self) -> str:
        name = class_of(self.inner) or class_of(self.outer)
        kinds = (kind for kind, each in model_types().items() if name and name in each.classes)
        return next(kinds, "")

    def _read_as(self, kind: str) -> str:
        """The model type whose keys and tensors these are: some models go by that of another."""
        if model_types().get(kind, ModelType()).read_by_class:
            return self._kind_of_class() or kind
        for rule in model_types().get(kind, ModelType()).read_as:
            value, key = rule.get("is", True), rule.get("if_key")
            stated = self.text.get(key) if key is not None else True
            is_met = stated == value if "is" in rule else bool(stated)
            if value == "stated":
                is_met = key in self.text
            if "if_class" in rule:
                is_met = class_of(self.outer) in rule["if_class"]
            if is_met:
                self.text |= {
                    name: self.text.get(old) for name, old in rule.get("keys", {}).items()
                }
                return str(rule["as"])
        return kind

    def _add_names_and_defaults(self) -> None:
        """Adds what the class takes for a key that the file leaves out, and each key's other
        name.
        """
        defaults = {**self.known.get("defaults", {}), **self.type.defaults}
        named = {*self.text, *(self.names.get(key, key) for key in self.text)}
        for key, value in defaults.items():
            if not {key, self.names.get(key, key)} & named:
                self.text[key] = value
        for key, generic in self.names.items():
            for name, other in ((key, generic), (generic, key)):
                if other in self.text:
                    self.text.setdefault(name, self.text[other])

    def is_published(self, key: str, value: Any) -> bool:
        """Whether a key is missing or has that value, or one of these."""
        allowed = value if isinstance(value, list) else [value]
        stated = self.text.get(key)
        return stated is None or any(stated is each or stated == each for each in allowed)

    def of_single_layer(self, number: int) -> Keys:
        """These keys with those that one layer has of its own."""
        stated = self.text.get(_BY_LAYER) or {}
        if not stated:
            return self
        by_number = {}
        if isinstance(stated, dict) and all(map(str.isdigit, stated)):
            by_number = {int(key): own for key, own in stated.items()}
        own = by_number.get(number, {})
        if len(by_number) != len(stated) or max(by_number) >= self.layers:
            raise Unclear(f"{_BY_LAYER} is {short(stated)}, not keys by layer")
        if not isinstance(own, dict) or not own.keys() <= _OF_ONE_LAYER:
            raise Unclear(f"{_BY_LAYER}: {short(own)} is not understood")
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

    def number(self, *keys: str) -> int | None:
        """A whole number of at least 0, None where it is missing."""
        value = self.get(*keys)
        if value is None:
            return None
        if isinstance(value, list) and len(value) >= self.layers > 0 and _are_equal(value):
            # one for each layer
            value = value[0]
        if type(value) is not int:
            # classes of transformers take nothing else: its configurations are strict dataclasses
            raise Unclear(f"{self.stated(*keys)} is {short(value)}, not one whole number")
        if not 0 <= value < MAX_NUMBER:
            raise Unclear(f"{self.stated(*keys)} is {short(value)}, which is no number of a model")
        return value

    def positive(self, *keys: str) -> int | None:
        """A whole number of at least 1, None where it is missing."""
        value = self.number(*keys)
        if value == 0:
            raise Unclear(f"{self.stated(*keys)} is 0")
        return value

    def needed(self, *keys: str) -> int:
        """A whole number of at least 1. Raises `Unclear` where it is missing."""
        value = self.positive(*keys)
        if value is None:
            raise Unclear(f"{self.stated(*keys)} is missing")
        return value

    def of_layer(self, layer: int, *keys: str) -> int | None:
        """The number of that layer where the file lists one for each, else that of all."""
        value = self.get(*keys)
        if not isinstance(value, list) or len(value) < self.layers:
            return self.positive(*keys)
        if type(value[layer]) is not int or not 0 <= value[layer] < MAX_NUMBER:
            raise Unclear(f"{self.stated(*keys)} is {short(value[layer])} for layer {layer}")
        return int(value[layer])

    def stated(self, *keys: str) -> str:
        """The first of these keys that has a value, under the name that it has in the file."""
        names = _names_of(keys)
        having = [key for key in names if self.text.get(key) is not None]
        return next((key for key in having if key in self.written), (having or names)[0])

    def per_layer(self, key: str) -> list[Any] | None:
        """A list with one entry per layer; None where the key is missing or empty."""
        value = self.get(key)
        if not value:
            return None
        if not isinstance(value, list) or len(value) < self.layers:
            raise Unclear(f"{key} does not list one entry for each of the {self.layers:,} layers")
        return value[: self.layers]

    def switches(self, key: str) -> list[bool] | None:
        """The same of a list of 0 and 1, false and true."""
        values = self.per_layer(key)
        for value in values or ():
            if not isinstance(value, int) or value not in (0, 1):
                raise Unclear(f"{key}: {short(value)} is not understood")
        return None if values is None else [bool(value) for value in values]

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
        (`cache`), or else its weights.
        """
        pairs = [pair for pair in self.names.items() if self.understood.intersection(pair)]
        understood = self.understood.union(*pairs)
        idle = self.matter.union(self.known.get("idle", ()))
        sizes = {name for keys in tables()["sizes"].values() for name in keys}
        bears = re.compile("|".join(tables()["keys"]["cache" if cache else "weights"]))
        harmless = _harmless()
        by_name = {
            key
            for key, value in self.text.items()
            if bears.search(key)
            and not harmless.search(key)
            and not {key, self.names.get(key, key)} & idle
            and not isinstance(value, dict)
            and value not in (None, False, 0, "", -1, [])
        }
        # keys of the class whose row was made for their defaults
        defaults = self.known.get("defaults", {})
        of_class = {
            key
            for key in self.matter & self.written - sizes
            if (key in self.known["cache"]) is cache and self.text[key] != defaults.get(key)
        }
        return sorted(clean(key) for key in (by_name | of_class) - understood)


def _names_of(keys: tuple[str, ...]) -> list[str]:
    sizes = tables()["sizes"]
    return [name for key in keys for name in sizes.get(key, (key,))]


def _are_equal(values: list[Any]) -> bool:
    return len(set(map(str, values))) == 1


def _harmless() -> re.Pattern[str]:
    # a word is a whole one between underscores: conv_layer_ids is no token's id
    keys = tables()["keys"]
    words, names = "|".join(keys["harmless_words"]), "|".join(keys["harmless"])
    return re.compile(
        "|".join([rf"(?:^|_)(?:{words})(?:_|$)", rf"^(?:{names})$", *keys["harmless_patterns"]])
    )
