"""The keys of a `config.json`: under which names each size stands, which keys are not understood,
and how the weights are stored. The tables of names are in `specs/common/model_types.toml`
and `config_classes.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..catalogue.spec_values import PACKED, mlx_scheme, scheme_of
from ..core.records import Record
from ..core.tables import TomlRow, shipped_table
from .source import (
    TEXTS,
    JsonValues,
    Sizes,
    Unclear,
    clean,
    listed,
    reason,
    refuse,
    short,
)

# the longest published config.json has 37 kB; tokenizer files that go by mistake for one have
# megabytes
MAX_CONFIG_BYTES = 1 << 23
TABLES: TomlRow = shipped_table("model_types")
# the rows, whose keys the header of the file explains, by model type
MODEL_TYPES: Mapping[str, TomlRow] = {
    **TABLES["model_type"],
    **{name: {"row": row} for row, names in TABLES["plain"].items() for name in names},
    **{
        name: {"not_read": what}
        for what, names in TABLES["not_read"].items()
        for name in names
    },
}
CLASSES: TomlRow = TABLES["classes"]


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
        nest = next(
            (
                key
                for key in TABLES["keys"]["nests"]
                if isinstance(values.get(key), dict)
            ),
            None,
        )
        self.outer, self.inner = values, values[nest] if nest is not None else {}
        # two of the keys of its type, its nested configuration and its class, or of its sizes
        written, sizes = (self.inner or values).keys(), TABLES["sizes"]
        signs = [values.get("model_type"), nest, values.get("architectures")]
        layers = (*sizes["layers"], "hybrid_override_pattern", "layers_block_type")
        is_shaped = not written.isdisjoint(layers) and not written.isdisjoint(
            sizes["width"]
        )
        if sum(map(bool, signs)) < 2 and not is_shaped:
            seen = listed(map(clean, values), 4)
            what = f"it has the keys {seen}" if seen else "it is empty"
            refuse(path, "no-config", what=what)
        # some files repeat the text model's keys at the top, and nest no more than its name
        self.nested = bool(self.inner) and values.keys().isdisjoint(sizes["layers"])
        self.outer_kind = clean(values.get("model_type")).lower()
        self.kind = clean(self.inner.get("model_type")).lower() or self.outer_kind
        self.outer_type = MODEL_TYPES.get(self.outer_kind, {})
        self.type = MODEL_TYPES.get(self.kind, {})
        is_own, classes = (
            self.type.get("own_code"),
            shipped_table("config_classes")["class"],
        )
        self.class_row: TomlRow = {} if is_own else classes.get(self.kind, {})
        self.defaults = {
            **self.class_row.get("defaults", {}),
            **self.type.get("defaults", {}),
        }
        self.names = {**self.class_row.get("names", {}), **self.type.get("names", {})}
        self.matter = frozenset(self.class_row.get("matter", ()))
        is_converted = all(
            each.get("in_gguf", True) for each in (self.type, self.outer_type)
        )
        self.in_gguf = bool(self.type.get("row")) and is_converted
        self.understood: set[str] = set()
        self.names_of(TABLES["keys"]["read"])
        self._read_values()
        self._read_class()

    def _read_values(self) -> None:
        """Set those of the text model: as written, then by its class, each under both its names."""
        outer = self.outer
        if self.nested:
            outer = {
                key: outer[key] for key in TABLES["keys"]["inherited"] if key in outer
            }
        values = {**outer, **self.inner}
        for part in TABLES["keys"]["parts"]:
            if isinstance(values.get(part), dict):
                values = {**values[part], **values}
        self.written = frozenset(values)
        named = self.written.union(self.names.get(key, key) for key in values)
        for key, value in self.defaults.items():
            if named.isdisjoint((key, self.names.get(key, key))):
                values[key] = value
        for pair in self.names.items():
            for name, other in (pair, pair[::-1]):
                if other in values:
                    values.setdefault(name, values[other])
        self.values = values

    def _read_class(self) -> None:
        named, mapped = self.outer.get("architectures"), self.outer.get("auto_map")
        self.class_name = clean(named[0]) if isinstance(named, list) and named else ""
        composed = self.nested and "ForConditional" in self.class_name
        says_so = composed or self.outer_type.get("sees")
        self.sees = bool(
            says_so or any(map(self.outer.get, TABLES["encoders"]["seeing"]))
        )
        # ChatGLM names its bare class, and generates with that of auto_map
        is_mapped = isinstance(mapped, dict) and not mapped.keys().isdisjoint(
            CLASSES["writing"]
        )
        has_head = self.nested or is_mapped or self.type.get("bare_class_writes")
        self.is_headless = not has_head and bool(
            re.search(CLASSES["bare"], self.class_name)
        )

    def names_of(self, keys: Sequence[str]) -> list[str]:
        """Every name of each key, by the table of sizes; all of them count as understood."""
        names = [name for key in keys for name in TABLES["sizes"].get(key, (key,))]
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
        numbers = value if isinstance(value, list) else [value]
        if value is None or all(type(layer) is int and layer >= 0 for layer in numbers):
            return None if value is None else numbers
        raise Unclear(f"{key} is {short(value)}, not numbers of layers")

    def published_type(self) -> tuple[str | None, Any]:
        """The type of the weights before anything was quantized, and what the file says of it."""
        stated = self.get("torch_dtype", "dtype")
        stated = stated or self.outer.get("torch_dtype") or self.outer.get("dtype")
        name = stated.removeprefix("torch.") if isinstance(stated, str) else ""
        return TEXTS["torch_types"].get(name), stated

    def not_understood(self, *, cache: bool) -> list[str]:
        """The keys that nothing reads and that may change what the model keeps of its context
        (`cache`), or else its weights: by their names, by the class, or by a value that no
        published model has.
        """
        keys, sizes = TABLES["keys"], TABLES["sizes"].values()
        bears = re.compile("|".join(keys["cache" if cache else "weights"]))
        # a word is a whole one between underscores: conv_layer_ids is no token's id
        words, names = "|".join(keys["harmless_words"]), "|".join(keys["harmless"])
        patterns = (
            f"(?:^|_)(?:{words})(?:_|$)",
            f"^(?:{names})$",
            *keys["harmless_patterns"],
        )
        harmless, small = (
            re.compile("|".join(patterns)),
            re.compile("|".join(keys["small"])),
        )
        idle = self.matter.union(self.class_row.get("idle", ()))
        odd = {
            key
            for key, value in self.values.items()
            if bears.search(key)
            and not harmless.search(key)
            and idle.isdisjoint((key, self.names.get(key, key)))
            and not isinstance(value, dict)
            and value not in (None, False, 0, "", -1, [])
        }
        defaults = self.class_row.get("defaults", {})
        odd |= {
            key
            for key in (self.matter & self.written).difference(*sizes)
            if (key in self.class_row.get("cache", ())) is cache
            and self.values[key] != defaults.get(key)
            and (cache or not small.search(key))
        }
        published = {**TABLES["published"], **self.type.get("published", {})}
        unusual = {
            key
            for key, value in published.items()
            if self.values.get(key)
            not in (None, *(value if isinstance(value, list) else [value]))
        }
        understood = self.understood | (published.keys() - unusual)
        understood.update(
            *(pair for pair in self.names.items() if understood.intersection(pair))
        )
        odd -= understood
        return sorted(map(clean, odd)) + ([] if cache else sorted(unusual - odd))


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
    if mlx := keys.outer.get("quantization"):
        return _stored_by_mlx(mlx, keys)
    config = keys.outer.get("quantization_config") or keys.values.get(
        "quantization_config"
    )
    if not config:
        return Stored(name=keys.published_type()[0], quantized=False)
    values = config if isinstance(config, Mapping) else {"quantization_config": config}
    method = str(
        values.get("quant_method") or ("modelopt" if values.get("quant_algo") else None)
    )
    odd, name = _name_by(method, values)
    if name is not None:
        has_experts = keys.get("experts")
        # gpt-oss
        is_of_experts, odd = (
            (True, "") if method == "mxfp4" else _exception(values, has_experts)
        )
        if not odd:
            quantizer = "modelopt" if method == "modelopt" else None
            matrices, experts = (None, name) if is_of_experts else (name, None)
            return Stored(
                name=name, quantizer=quantizer, matrices=matrices, experts=experts
            )
    return Stored(why=reason("quantization", key=odd, value=short(values.get(odd))))


def _exception(config: JsonValues, has_experts: object) -> tuple[bool, str]:
    """Whether the experts alone are narrow (Kimi K2.5); else the key that leaves other matrices."""
    table = TEXTS["quantization_config"]
    lists = {
        key: config[key] for key in table["left_out"] if config.get(key) is not None
    }
    names = [
        str(name) for each in lists.values() if isinstance(each, list) for name in each
    ]
    if has_experts and any(map(re.compile(table["experts_alone"]).search, names)):
        return True, ""
    for key, each in lists.items():
        # an empty list of these makes the head narrow, too
        is_whole = each == [] and key in ("ignore", "llm_int8_skip_modules")
        small, own = re.compile(table["outside_blocks"]), each or []
        if (
            is_whole
            or not isinstance(own, list)
            or not all(map(small.search, map(str, own)))
        ):
            return False, str(key)
    return False, next((key for key in table["own_types"] if config.get(key)), "")


def _name_by(method: str, config: JsonValues) -> tuple[str, str | None]:
    """The key that tells the layout, and the layout, None where it is not understood."""
    layout = TEXTS["quantization_config"]["layouts"].get(method)
    if layout is not None:
        return layout["key"], layout["names"].get(str(config.get(layout["key"])))
    if method in ("gptq", "awq"):
        bits, group = config.get("bits", 4), config.get("group_size", 128)
        return "bits" if bits != 4 else "group_size", _packed(
            f"{method}-{bits}bit", group
        )
    if method == "compressed-tensors":
        return "config_groups", _compressed_name(config)
    if method != "bitsandbytes":
        return "quant_method", None
    is_double = config.get("bnb_4bit_use_double_quant") is True
    four = "nf4-double" if is_double else "nf4"
    kinds = {"load_in_4bit": four, "_load_in_4bit": four, "load_in_8bit": "int8"}
    names = (name for key, name in kinds.items() if config.get(key) is True)
    return "load_in_4bit", next(names, None)


def _packed(layout: str, group: object, zeros: str = "") -> str | None:
    # -1 is a whole channel
    size = "channel" if group in (-1, None) else f"{group}g"
    scheme = scheme_of(f"{layout}-{size}{zeros}")
    return scheme.name if scheme is not None and scheme.name in PACKED else None


def _compressed_name(config: JsonValues) -> str | None:
    """llm-compressor with one type for all linear layers (compressed-tensors 0.12)."""
    groups = config.get("config_groups")
    parts = list(groups.values()) if isinstance(groups, Mapping) else []
    if (
        len(parts) != 1
        or not isinstance(parts[0], dict)
        or parts[0].get("targets") != ["Linear"]
    ):
        return None
    layout, weights = (
        str(parts[0].get("format") or config.get("format")),
        parts[0].get("weights"),
    )
    if layout in ("nvfp4-pack-quantized", "mxfp4-pack-quantized"):
        return layout[:5]
    weights = weights if isinstance(weights, dict) else {}
    type, bits, group = (weights.get(key) for key in ("type", "num_bits", "group_size"))
    zeros = "-asym" if weights.get("symmetric", True) is False else ""
    whole = "block" if weights.get("strategy") == "block" else group
    own: Mapping[str, str] = TEXTS["quantization_config"]["of_linear"]
    packed = _packed(f"w{bits}a16", group, zeros) if type == "int" else None
    return own.get(f"{type} {bits} {whole}{zeros}") or packed


def _stored_by_mlx(mlx: object, keys: Keys) -> Stored:
    """MLX's `quantization`, with what it says of single layers under their names."""
    config = mlx if isinstance(mlx, dict) else {}
    mode, bits, group = (
        config.get("mode", "affine"),
        config.get("bits"),
        config.get("group_size"),
    )
    scheme = mlx_scheme(f"{bits}bit-{group}g" if mode == "affine" else str(mode))
    if scheme is None or (scheme.bits, scheme.group) != (bits, group):
        return Stored(format="mlx", why=reason("mlx-quantization", value=short(mlx)))
    # a router is small
    apart = {
        part.get("bits") if isinstance(part, dict) else None
        for key, part in config.items()
        if (part is False or isinstance(part, dict))
        and not key.endswith(("gate", "router"))
    }
    # gpt-oss: experts as published, all else in 8 bits
    is_mixed = mode == "mxfp4" and apart == {8}
    if apart - {bits} and not is_mixed:
        keys.notes.append(reason("other-bits"))
    name = "MXFP4-Q8" if is_mixed else scheme.name.removesuffix("-64g")
    return Stored(name=name, format="mlx", why=reason("mlx-weights", name=name))
