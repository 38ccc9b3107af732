"""The keys of a `config.json`: under which names each size stands, which keys are not understood,
and how the weights are stored.

What goes in: the values of the file. What comes out: `Keys`, in which a size is asked for by any of
its names, and `Stored`, the type of the weights. The tables of names are in
`specs/common/model_types.toml` and `config_classes.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..catalogue.spec_values import PACKED, mlx_scheme, scheme_of
from ..core.records import Record
from ..core.tables import TomlRow, shipped_table
from .sizes import Sizes, Unclear
from .source import JsonValues, clean, listed, reason, refuse, short
from .tables import QuantizationTable, model_files

# the longest published config.json has 37 kB; tokenizer files that go by mistake for one have
# megabytes
MAX_CONFIG_BYTES = 1 << 23
TABLES: TomlRow = shipped_table("model_types")
CLASSES: TomlRow = TABLES["classes"]
_QUANTIZED: QuantizationTable = model_files().quantization_config
# values that say of a key that the model has nothing of the kind
_NOTHING: tuple[object, ...] = (None, False, 0, "", -1, [])


def _model_types() -> dict[str, TomlRow]:
    """The rows, whose keys the header of the file explains, by model type."""
    rows: dict[str, TomlRow] = dict(TABLES["model_type"])
    for row, names in TABLES["plain"].items():
        for name in names:
            rows[name] = {"row": row}
    for what, names in TABLES["not_read"].items():
        for name in names:
            rows[name] = {"not_read": what}
    return rows


MODEL_TYPES: Mapping[str, TomlRow] = _model_types()


class Keys(Sizes):
    """The keys of a config.json under the names of its class.

    `outer` is the whole file, `inner` the part of its text model, and `values` the keys of the text
    model with the defaults of its class; `written` are those that stand in the file, `understood`
    those that something reads. `nested`: the top has none of the text model's keys. `type` is the
    row of its model type, `class_row` what the class does; both are empty where unknown. `in_gguf`:
    the converter of llama.cpp knows the model type. `sees`: it has an encoder of pictures.
    `is_headless`: a published class without an output matrix.
    """

    def __init__(self, path: str, values: Any) -> None:
        super().__init__(path, {})
        if not isinstance(values, dict):
            what = "a list" if isinstance(values, list) else "a single value"
            refuse(path, "no-config", what=f"it is {what}, not an object")
        nest = _nest_of(values)
        self.outer: dict[str, Any] = values
        self.inner: dict[str, Any] = {} if nest is None else values[nest]
        if not _describes_a_model(values, nest, self.inner or values):
            seen = listed(map(clean, values), 4)
            what = f"it has the keys {seen}" if seen else "it is empty"
            refuse(path, "no-config", what=what)
        # some files repeat the text model's keys at the top, and nest no more than its name
        has_layers = not values.keys().isdisjoint(TABLES["sizes"]["layers"])
        self.nested = bool(self.inner) and not has_layers
        self._find_type()
        self.understood: set[str] = set()
        self.names_of(TABLES["keys"]["read"])
        self._read_values()
        self._read_class()

    def _find_type(self) -> None:
        """Set the rows of the model type and of its class, and the names that they give."""
        self.outer_kind = clean(self.outer.get("model_type")).lower()
        self.kind = clean(self.inner.get("model_type")).lower() or self.outer_kind
        self.outer_type = MODEL_TYPES.get(self.outer_kind, {})
        self.type = MODEL_TYPES.get(self.kind, {})
        self.class_row: TomlRow = {}
        if not self.type.get("own_code"):
            self.class_row = shipped_table("config_classes")["class"].get(self.kind, {})
        own_defaults = self.type.get("defaults", {})
        self.defaults = {**self.class_row.get("defaults", {}), **own_defaults}
        self.names = {**self.class_row.get("names", {}), **self.type.get("names", {})}
        self.matter = frozenset(self.class_row.get("matter", ()))
        inner_converts = self.type.get("in_gguf", True)
        outer_converts = self.outer_type.get("in_gguf", True)
        has_row = bool(self.type.get("row"))
        self.in_gguf = has_row and inner_converts and outer_converts

    def _read_values(self) -> None:
        """Set those of the text model: as written, then by its class, each under both its names."""
        outer = self.outer
        if self.nested:
            inherited = TABLES["keys"]["inherited"]
            outer = {key: outer[key] for key in inherited if key in outer}
        values = {**outer, **self.inner}
        for part in TABLES["keys"]["parts"]:
            if isinstance(values.get(part), dict):
                values = {**values[part], **values}
        self.written = frozenset(values)
        named = self.written.union(self.names.get(key, key) for key in values)
        for key, value in self.defaults.items():
            if key not in named and self.names.get(key, key) not in named:
                values[key] = value
        for name, other in self.names.items():
            if name in values:
                values.setdefault(other, values[name])
            if other in values:
                values.setdefault(name, values[other])
        self.values = values

    def _read_class(self) -> None:
        """Set what the name of the class tells."""
        named = self.outer.get("architectures")
        self.class_name = clean(named[0]) if isinstance(named, list) and named else ""
        is_composed = self.nested and "ForConditional" in self.class_name
        has_encoder = any(map(self.outer.get, TABLES["encoders"]["seeing"]))
        self.sees = is_composed or has_encoder or bool(self.outer_type.get("sees"))
        self.is_headless = False
        if re.search(CLASSES["bare"], self.class_name):
            self.is_headless = not self._has_head()

    def _has_head(self) -> bool:
        """Whether a model of a bare class generates all the same."""
        if self.nested or self.type.get("bare_class_writes"):
            return True
        # ChatGLM names its bare class, and generates with that of auto_map
        mapped = self.outer.get("auto_map")
        if not isinstance(mapped, dict):
            return False
        return not mapped.keys().isdisjoint(CLASSES["writing"])

    def names_of(self, keys: Sequence[str]) -> list[str]:
        """Every name of each key, by the table of sizes; all of them count as understood."""
        names: list[str] = []
        for key in keys:
            names += TABLES["sizes"].get(key, (key,))
        self.understood.update(names)
        return names

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
        if value is None:
            return None
        numbers = value if isinstance(value, list) else [value]
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise Unclear(f"{key} is {short(value)}, not numbers of layers")
        return numbers

    def published_type(self) -> tuple[str | None, Any]:
        """The type of the weights before anything was quantized, and what the file says of it."""
        stated = self.get("torch_dtype", "dtype")
        stated = stated or self.outer.get("torch_dtype") or self.outer.get("dtype")
        if not isinstance(stated, str):
            return None, stated
        return model_files().torch_types.get(stated.removeprefix("torch.")), stated

    def not_understood(self, *, cache: bool) -> list[str]:
        """The keys that nothing reads and that may change what the model keeps of its context
        (`cache`), or else its weights: by their names, by the class, or by a value that no
        published model has.
        """
        published = {**TABLES["published"], **self.type.get("published", {})}
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
        keys = TABLES["keys"]
        bearing = _any_of(keys["cache" if cache else "weights"])
        harmless = _harmless()
        idle = self.matter.union(self.class_row.get("idle", ()))
        odd = set()
        for key, value in self.values.items():
            if key in idle or self.names.get(key, key) in idle:
                continue
            if isinstance(value, dict) or value in _NOTHING:
                continue
            if bearing.search(key) and not harmless.search(key):
                odd.add(key)
        return odd

    def _odd_by_class(self, *, cache: bool) -> set[str]:
        """The keys that matter to the class, with another value than its default."""
        defaults = self.class_row.get("defaults", {})
        of_cache = self.class_row.get("cache", ())
        small = _any_of(TABLES["keys"]["small"])
        sizes = set().union(*TABLES["sizes"].values())
        odd = set()
        for key in (self.matter & self.written) - sizes:
            if (key in of_cache) is not cache or self.values[key] == defaults.get(key):
                continue
            if cache or not small.search(key):
                odd.add(key)
        return odd


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


def _harmless() -> re.Pattern[str]:
    """What matches the names of keys that change no bytes."""
    keys = TABLES["keys"]
    # a word is a whole one between underscores: conv_layer_ids is no token's id
    words = f"(?:^|_)(?:{'|'.join(keys['harmless_words'])})(?:_|$)"
    names = f"^(?:{'|'.join(keys['harmless'])})$"
    return _any_of((words, names, *keys["harmless_patterns"]))


def _nest_of(values: Mapping[str, Any]) -> str | None:
    """The key under which the configuration of the text model stands; None: at the top."""
    for key in TABLES["keys"]["nests"]:
        if isinstance(values.get(key), dict):
            return str(key)
    return None


def _describes_a_model(
    values: Mapping[str, Any], nest: str | None, text_model: Mapping[str, Any]
) -> bool:
    """Whether a file has two of the keys of its type, its nested configuration and its class, or
    those of its sizes.
    """
    signs = [values.get("model_type"), nest, values.get("architectures")]
    if sum(map(bool, signs)) >= 2:
        return True
    sizes = TABLES["sizes"]
    layers = (*sizes["layers"], "hybrid_override_pattern", "layers_block_type")
    has_layers = any(key in text_model for key in layers)
    has_width = any(key in text_model for key in sizes["width"])
    return has_layers and has_width


# how the weights are stored


class Stored(Record):
    """How the weights are stored: `name` in the words of QUANTIZATIONS, else `why` it is unknown.

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


def stored_of(keys: Keys) -> Stored:
    """How the weights that a config.json describes are stored."""
    mlx = keys.outer.get("quantization")
    if mlx:
        return _stored_by_mlx(mlx, keys)
    config = keys.outer.get("quantization_config")
    config = config or keys.values.get("quantization_config")
    if not config:
        return Stored(name=keys.published_type()[0], quantized=False)
    if not isinstance(config, Mapping):
        config = {"quantization_config": config}
    return _stored_by_config(config, has_experts=bool(keys.get("experts")))


def _stored_by_config(config: JsonValues, *, has_experts: bool) -> Stored:
    """How weights are stored by a `quantization_config`."""
    method = config.get("quant_method")
    if not method and config.get("quant_algo"):
        method = "modelopt"
    method = str(method or None)
    odd_key, name = _name_by(method, config)
    if name is None:
        return _not_understood(odd_key, config)
    # gpt-oss: the experts alone
    are_experts_alone = method == "mxfp4"
    if not are_experts_alone:
        are_experts_alone = has_experts and _leaves_experts_alone(config)
    if are_experts_alone:
        quantizer = "modelopt" if method == "modelopt" else None
        return Stored(name=name, quantizer=quantizer, experts=name)
    wide_key = _key_of_wide_matrices(config)
    if wide_key is not None:
        return _not_understood(wide_key, config)
    quantizer = "modelopt" if method == "modelopt" else None
    return Stored(name=name, quantizer=quantizer, matrices=name)


def _not_understood(key: str, config: JsonValues) -> Stored:
    return Stored(why=reason("quantization", key=key, value=short(config.get(key))))


def _left_out(config: JsonValues) -> dict[str, Any]:
    """The lists of what was left in the type of training, by their keys."""
    lists = {}
    for key in _QUANTIZED.left_out:
        if config.get(key) is not None:
            lists[key] = config[key]
    return lists


def _leaves_experts_alone(config: JsonValues) -> bool:
    """Whether all but the experts was left in the type of training (Kimi K2.5)."""
    pattern = re.compile(_QUANTIZED.experts_alone)
    for names in _left_out(config).values():
        if isinstance(names, list) and any(pattern.search(str(name)) for name in names):
            return True
    return False


def _key_of_wide_matrices(config: JsonValues) -> str | None:
    """The key that leaves matrices of the blocks in the type of training; None for none."""
    outside_blocks = re.compile(_QUANTIZED.outside_blocks)
    for key, names in _left_out(config).items():
        if names == [] and key in ("ignore", "llm_int8_skip_modules"):
            # an empty list of these makes the head narrow, too
            return str(key)
        if names and not isinstance(names, list):
            return str(key)
        if not all(outside_blocks.search(str(name)) for name in names or ()):
            return str(key)
    for key in _QUANTIZED.own_types:
        if config.get(key):
            return str(key)
    return None


def _name_by(method: str, config: JsonValues) -> tuple[str, str | None]:
    """The key that tells the layout, and the layout, None where it is not understood."""
    layout = _QUANTIZED.layouts.get(method)
    if layout is not None:
        return layout.key, layout.names.get(str(config.get(layout.key)))
    if method in ("gptq", "awq"):
        bits = config.get("bits", 4)
        name = _packed(f"{method}-{bits}bit", config.get("group_size", 128))
        return "group_size" if bits == 4 else "bits", name
    if method == "compressed-tensors":
        return "config_groups", _compressed_name(config)
    if method == "bitsandbytes":
        return "load_in_4bit", _bitsandbytes_name(config)
    return "quant_method", None


def _bitsandbytes_name(config: JsonValues) -> str | None:
    if config.get("load_in_4bit") is True or config.get("_load_in_4bit") is True:
        is_double = config.get("bnb_4bit_use_double_quant") is True
        return "nf4-double" if is_double else "nf4"
    if config.get("load_in_8bit") is True:
        return "int8"
    return None


def _packed(layout: str, group: object, zeros: str = "") -> str | None:
    """The name of integers packed by that layout; None where no program packs them so."""
    # -1 is a whole channel
    size = "channel" if group in (-1, None) else f"{group}g"
    scheme = scheme_of(f"{layout}-{size}{zeros}")
    if scheme is None or scheme.name not in PACKED:
        return None
    return scheme.name


def _compressed_name(config: JsonValues) -> str | None:
    """llm-compressor with one type for all linear layers (compressed-tensors 0.12)."""
    groups = config.get("config_groups")
    parts = list(groups.values()) if isinstance(groups, Mapping) else []
    if len(parts) != 1 or not isinstance(parts[0], dict):
        return None
    part = parts[0]
    if part.get("targets") != ["Linear"]:
        return None
    layout = str(part.get("format") or config.get("format"))
    if layout in ("nvfp4-pack-quantized", "mxfp4-pack-quantized"):
        return layout.partition("-")[0]
    weights = part.get("weights")
    if not isinstance(weights, dict):
        weights = {}
    type = weights.get("type")
    bits = weights.get("num_bits")
    group = weights.get("group_size")
    zeros = "-asym" if weights.get("symmetric", True) is False else ""
    unit = "block" if weights.get("strategy") == "block" else group
    names: Mapping[str, str] = _QUANTIZED.of_linear
    name = names.get(f"{type} {bits} {unit}{zeros}")
    if name is None and type == "int":
        name = _packed(f"w{bits}a16", group, zeros)
    return name


def _stored_by_mlx(mlx: object, keys: Keys) -> Stored:
    """MLX's `quantization`, with what it says of single layers under their names."""
    config: JsonValues = mlx if isinstance(mlx, dict) else {}
    mode = config.get("mode", "affine")
    bits = config.get("bits")
    group = config.get("group_size")
    scheme = mlx_scheme(f"{bits}bit-{group}g" if mode == "affine" else str(mode))
    if scheme is None or (scheme.bits, scheme.group) != (bits, group):
        return Stored(format="mlx", why=reason("mlx-quantization", value=short(mlx)))
    bits_of_layers = _bits_of_layers(config)
    # gpt-oss: experts as published, all else in 8 bits
    if mode == "mxfp4" and bits_of_layers == {8}:
        name = "MXFP4-Q8"
    else:
        name = scheme.name.removesuffix("-64g")
        if bits_of_layers - {bits}:
            keys.notes.append(reason("other-bits"))
    return Stored(name=name, format="mlx", why=reason("mlx-weights", name=name))


def _bits_of_layers(config: JsonValues) -> set[int | None]:
    """The bits of layers that are named by themselves; None for one that is not quantized."""
    bits: set[int | None] = set()
    for key, part in config.items():
        # a router is small
        if key.endswith(("gate", "router")):
            continue
        if part is False:
            bits.add(None)
        elif isinstance(part, dict):
            bits.add(part.get("bits"))
    return bits
