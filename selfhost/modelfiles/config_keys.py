"""The keys of a `config.json`: under which names each size stands, which keys were read, which are
not understood, what other JSON goes by mistake for one, and in which type the weights are stored.
The tables of names are in `specs/common/model_types.toml`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ..catalogue.quantization_names import MLX_MODES, PACKED, QUANTIZATIONS
from ..catalogue.spec import Quantized
from ..core.records import Record
from ..core.tables import shipped_table
from .source import Unclear, clean, file_table, listed, read_json, reason, refuse

# the longest published config.json has 37 kB; tokenizer files that go by mistake for one have
# megabytes
MAX_CONFIG_BYTES = 1 << 23
# above any size in a config.json
MAX_NUMBER = 1 << 32
_NESTS = ("text_config", "language_config", "llm_config", "text_model_config")
# objects whose keys are those of the text model, too
_PARTS = ("attn_config", "ffn_config", "sparse_attention_config", "linear_attn_config")
_INHERITED = ("tie_word_embeddings", "torch_dtype", "dtype")


def tables() -> Mapping[str, Any]:
    """The shipped tables of model types and of keys."""
    return shipped_table("model_types")


@lru_cache(maxsize=1)
def model_types() -> Mapping[str, Mapping[str, Any]]:
    """The shipped rows, whose keys the header of the file explains, by model type."""
    return {
        **tables()["model_type"],
        **{name: {"row": row} for row, names in tables()["plain"].items() for name in names},
        **{
            name: {"not_read": what}
            for what, names in tables()["not_read"].items()
            for name in names
        },
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


def short(value: Any) -> str:
    """A value of a file, short and safe to print."""
    return f'"{clean(value)}"' if isinstance(value, str) else clean(repr(value)[:60])


def refuse_what_is_no_config(path: str, values: Any) -> None:
    """Raise `SpecError` for JSON that is something else, and name some of its keys."""
    if not isinstance(values, dict):
        what = "a list" if isinstance(values, list) else "a single value"
        refuse(path, "no-config", what=f"it is {what}, not an object")
    nested = next((values[nest] for nest in _NESTS if isinstance(values.get(nest), dict)), None)
    # two of the keys of its layers, its type or nested configuration, and its class
    sizes, keys = tables()["sizes"], (values if nested is None else nested).keys()
    layers = (*sizes["layers"], "hybrid_override_pattern", "layers_block_type")
    is_shaped = not keys.isdisjoint(layers) and not keys.isdisjoint(sizes["width"])
    signs = [values.get("model_type"), nested is not None, values.get("architectures")]
    if sum(map(bool, signs)) < 2 and not is_shaped:
        seen = listed(map(clean, values), 4)
        refuse(path, "no-config", what=f"it has the keys {seen}" if seen else "it is empty")


class Keys:
    """The keys of a config.json under the names of its class: which are read, and which are not
    understood.

    `outer` is the whole file, `inner` the part of its text model, and `text` the keys of the text
    model with the defaults of its class; `written` are those that stand in the file. `nested`: the
    top has none of the text model's keys. `type` is the row of its model type, `class_row` what
    the class does; both are empty where unknown. `unknown` and `notes` are for the spec.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.outer = values
        nest = next((key for key in _NESTS if isinstance(values.get(key), dict)), None)
        self.inner: Mapping[str, Any] = values[nest] if nest is not None else {}
        # some files repeat the text model's keys at the top, and nest no more than its name
        self.nested = bool(self.inner) and values.keys().isdisjoint(tables()["sizes"]["layers"])
        self.outer_kind = clean(values.get("model_type")).lower()
        self.outer_type = model_types().get(self.outer_kind, {})
        self.kind = clean(self.inner.get("model_type")).lower() or self.outer_kind
        self.type = model_types().get(self.kind, {})
        is_own = self.type.get("own_code")
        self.class_row: Mapping[str, Any] = {} if is_own else classes().get(self.kind, {})
        self.names = {**self.class_row.get("names", {}), **self.type.get("names", {})}
        self.matter = frozenset(self.class_row.get("matter", ()))
        self.unknown: dict[str, str] = {}
        self.notes: list[str] = []
        self.layers = 0
        self.text = self._keys_of_text()
        self.written = frozenset(self.text)
        defaults = {**self.class_row.get("defaults", {}), **self.type.get("defaults", {})}
        named = {*self.text, *(self.names.get(key, key) for key in self.text)}
        for key, value in defaults.items():
            if not {key, self.names.get(key, key)} & named:
                self.text[key] = value
        for key, generic in self.names.items():
            for name, other in ((key, generic), (generic, key)):
                if other in self.text:
                    self.text.setdefault(name, self.text[other])
        published = {**tables()["published"], **self.type.get("published", {})}
        # those with another value than every published model has
        self.unpublished = [
            key
            for key, value in published.items()
            if self.text.get(key) not in (None, *(value if isinstance(value, list) else [value]))
        ]
        # keys that something reads, or that are known to change nothing
        self.understood = {*(published.keys() - {*self.unpublished})}
        self.get(*tables()["keys"]["read"])

    def _keys_of_text(self) -> dict[str, Any]:
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
            raise Unclear(reason("entries", key=self.stated(*keys), layers=self.layers))
        return value[: self.layers]

    def places(self, key: str) -> list[int] | None:
        """The numbers of the layers that a key names, None without it."""
        value = self.get(key)
        numbers = value if isinstance(value, list) else [value]
        if value is None or all(type(layer) is int and layer >= 0 for layer in numbers):
            return None if value is None else numbers
        raise Unclear(f"{key} is {short(value)}, not numbers of layers")

    def published_type(self) -> tuple[str | None, Any]:
        """The type of the weights before anything was quantized, None where it is not known, and
        what the file says of it.
        """
        stated = self.get("torch_dtype", "dtype")
        stated = stated or self.outer.get("torch_dtype") or self.outer.get("dtype")
        name = stated.removeprefix("torch.") if isinstance(stated, str) else ""
        return file_table("torch_types").get(name), stated

    def reads(self, key: str) -> bool:
        """False where the class of this model type is known and leaves the key alone."""
        return not self.class_row or key in self.matter

    def not_understood(self, *, cache: bool) -> list[str]:
        """The keys that nothing reads and that may change what the model keeps of its context
        (`cache`), or else its weights: by their names, or by the class, whose defaults its row was
        made for.
        """
        keys, sizes = tables()["keys"], tables()["sizes"].values()
        bears = re.compile("|".join(keys["cache" if cache else "weights"]))
        # a word is a whole one between underscores: conv_layer_ids is no token's id
        words, names = "|".join(keys["harmless_words"]), "|".join(keys["harmless"])
        patterns = f"(?:^|_)(?:{words})(?:_|$)", f"^(?:{names})$", *keys["harmless_patterns"]
        harmless, small = re.compile("|".join(patterns)), re.compile("|".join(keys["small"]))
        idle = self.matter.union(self.class_row.get("idle", ()))
        odd = {
            key
            for key, value in self.text.items()
            if bears.search(key)
            and not harmless.search(key)
            and not {key, self.names.get(key, key)} & idle
            and not isinstance(value, dict)
            and value not in (None, False, 0, "", -1, [])
        }
        defaults = self.class_row.get("defaults", {})
        odd |= {
            key
            for key in (self.matter & self.written).difference(*sizes)
            if (key in self.class_row["cache"]) is cache
            and self.text[key] != defaults.get(key)
            and (cache or not small.search(key))
        }
        pairs = [pair for pair in self.names.items() if self.understood.intersection(pair)]
        return sorted(clean(key) for key in odd - self.understood.union(*pairs))


def _names_of(keys: tuple[str, ...]) -> list[str]:
    sizes = tables()["sizes"]
    return [name for key in keys for name in sizes.get(key, (key,))]


# Single modules that it leaves in 16 bits are counted in the narrow type where they are small, and
# make the size unknown where they are not; a file of weights beside it has the exact size.


class Stored(Record):
    """How the published weights are stored. `name` is in the words of QUANTIZATIONS, None where it
    is not understood; `why` says what is not.

    `matrices` and `experts` are the types of those alone. `quantized`: the weights are no longer in
    the type of training. `quantizer`: not every runtime that loads the type loads its files.
    """

    name: str | None = None
    quantized: bool = True
    format: str = "safetensors"
    matrices: str | None = None
    experts: str | None = None
    quantizer: str | None = None
    why: str | None = None

    @property
    def requantized(self) -> Quantized | None:
        """What a spec says of weights that somebody else than the publisher quantized; None for
        those in 16 bits or more, and for the narrow types that models are published in and that
        converters read.
        """
        published = ("float8", "mxfp4", "ternary")
        is_published = self.format != "mlx" and (self.name or "").startswith(published)
        if not self.quantized or is_published:
            return None
        name = self.name if self.name in QUANTIZATIONS[self.format] else None
        return Quantized(format=self.format, quantization=name)


def stored_of(keys: Keys) -> Stored:
    """How the weights that a config.json describes are stored."""
    mlx = keys.outer.get("quantization")
    if mlx:
        return _stored_by_mlx(mlx, keys)
    config = keys.outer.get("quantization_config") or keys.text.get("quantization_config")
    if not config:
        return Stored(name=keys.published_type()[0], quantized=False)
    values = config if isinstance(config, Mapping) else {"quantization_config": config}
    method = str(values.get("quant_method") or ("modelopt" if values.get("quant_algo") else None))
    quantizer = "modelopt" if method == "modelopt" else None
    odd, name = _name_by(method, values)
    lists = {key: values.get(key) for key in file_table("quantization_config")["left_out"]}
    if name is not None:
        # gpt-oss, Kimi K2.5: the experts alone are narrow
        if method == "mxfp4" or (keys.get("experts") and _leaves_attention(lists)):
            return Stored(name=name, experts=name, quantizer=quantizer)
        rule = _rule_of_modules(values, lists)
        if rule is None:
            return Stored(name=name, matrices=name, quantizer=quantizer)
        odd = rule
    return Stored(why=reason("quantization", key=odd, value=short(values.get(odd))))


def _leaves_attention(lists: Mapping[str, Any]) -> bool:
    names = [str(name) for names in lists.values() if isinstance(names, list) for name in names]
    return any("self_attn" in name and (name[:3] == "re:" or name[-1:] == "*") for name in names)


def _rule_of_modules(config: Mapping[str, Any], lists: Mapping[str, Any]) -> str | None:
    """The key that leaves matrices of the blocks in another type than the rest; None where none
    does. A size that leaves out such rules would be too small by up to a half.
    """
    table = file_table("quantization_config")
    for key, names in lists.items():
        # an empty list of these makes the head narrow, too
        if names == [] and key in ("ignore", "llm_int8_skip_modules"):
            return key
        is_list = not names or isinstance(names, list)
        outside = table["outside_blocks"]
        if not is_list or not all(re.search(outside, str(name)) for name in names or ()):
            return key
    return next((key for key in table["own_types"] if config.get(key)), None)


def _name_by(method: str, config: Mapping[str, Any]) -> tuple[str, str | None]:
    """The key that tells the layout, and the layout, None where it is not understood."""
    layout = file_table("quantization_config")["layouts"].get(method)
    if layout is not None:
        return layout["key"], layout["names"].get(str(config.get(layout["key"])))
    if method in ("gptq", "awq"):
        bits = config.get("bits", 4)
        name = f"{method}{'' if bits == 4 else f'-{bits}bit'}"
        name += _group_ending(config.get("group_size", 128))
        return "bits" if bits != 4 else "group_size", name if name in PACKED else None
    if method == "compressed-tensors":
        return "config_groups", _compressed_name(config)
    if method != "bitsandbytes":
        return "quant_method", None
    if config.get("load_in_4bit") is True or config.get("_load_in_4bit") is True:
        is_double = config.get("bnb_4bit_use_double_quant") is True
        return "load_in_4bit", "nf4-double" if is_double else "nf4"
    return "load_in_4bit", "int8" if config.get("load_in_8bit") is True else None


def _group_ending(group: object) -> str:
    """How a layout's name ends for a group of that many weights; -1 is a whole channel."""
    return {"128": "", "-1": "-channel", "None": "-channel"}.get(str(group), f"-{group}g")


def _compressed_name(config: Mapping[str, Any]) -> str | None:
    """llm-compressor with one type for all linear layers (compressed-tensors 0.12, quant_args.py
    and config/format.py).
    """
    groups = config.get("config_groups")
    parts = list(groups.values()) if isinstance(groups, Mapping) else []
    if len(parts) != 1 or not isinstance(parts[0], dict) or parts[0].get("targets") != ["Linear"]:
        return None
    layout, weights = str(parts[0].get("format") or config.get("format")), parts[0].get("weights")
    if layout in ("nvfp4-pack-quantized", "mxfp4-pack-quantized"):
        return layout[:5]
    weights = weights if isinstance(weights, dict) else {}
    type, bits, group = (weights.get(key) for key in ("type", "num_bits", "group_size"))
    zeros = "-asym" if weights.get("symmetric", True) is False else ""
    whole = "block" if weights.get("strategy") == "block" else group
    own = file_table("quantization_config")["of_linear"].get(f"{type} {bits} {whole}{zeros}")
    name = own or f"w{bits}a16{_group_ending(group)}{zeros}"
    return name if own or (type == "int" and name in PACKED) else None


def _stored_by_mlx(mlx: object, keys: Keys) -> Stored:
    """MLX's `quantization`, with what it says of single layers under their names."""
    config = mlx if isinstance(mlx, dict) else {}
    mode, bits, group = config.get("mode", "affine"), config.get("bits"), config.get("group_size")
    # a router is small
    apart = {
        part.get("bits") if isinstance(part, dict) else None
        for key, part in config.items()
        if (part is False or isinstance(part, dict)) and not key.endswith(("gate", "router"))
    }
    name = f"{bits}bit" + ("" if group == 64 else f"-{group}g") if mode == "affine" else str(mode)
    is_known = mode == "affine" or MLX_MODES.get(name) == (bits, group)
    if mode == "mxfp4" and apart == {8}:
        # gpt-oss: experts as published, all else in 8 bits
        name = "MXFP4-Q8"
    elif apart - {bits}:
        keys.notes.append(reason("other-bits"))
    if not is_known or name not in QUANTIZATIONS["mlx"]:
        return Stored(format="mlx", why=reason("mlx-quantization", value=short(mlx)))
    return Stored(name=name, format="mlx", why=reason("mlx-weights", name=name))
