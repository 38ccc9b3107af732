"""`quantization_config` of a `config.json`: in which type the published weights are stored.

Single modules that it leaves in 16 bits are counted in the narrow type where they are small, and
make the size unknown where they are not; a file of weights beside it has the exact size.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..catalogue.quantization_names import MLX_MODES, PACKED, QUANTIZATIONS
from ..catalogue.spec import Quantized
from ..core.records import Record
from ..core.tables import shipped_table
from .config_keys import Keys, short
from .source import TABLE

# torch's names of types -> those of a spec
DTYPES: Mapping[str, str] = {
    **{name: name for name in ("bfloat16", "float16", "float32")},
    "half": "float16",
    "float": "float32",
}
_FP8_BLOCKS = {"None": "float8_e4m3", "[128, 128]": "float8_e4m3_128x128"}
# llm-compressor's integers by bits, group and zero points that have a name of their own
_OWN_NAMES: Mapping[tuple[Any, Any, str], str] = {
    (8, None, ""): "w8a8",
    (8, None, "-asym"): "w8a8",
    (4, 32, ""): "int4_32",
}


def _names() -> Mapping[str, Any]:
    names: Mapping[str, Any] = shipped_table(TABLE)["quantization_config"]
    return names


class Stored(Record):
    """How the published weights are stored. `name` is in the words of QUANTIZATIONS, None where it
    is not understood; `why` says what is not.

    `matrices` and `experts` are the types of those alone. `quantized`: the weights are no longer in
    the type of training.
    """

    name: str | None = None
    quantized: bool = True
    format: str = "safetensors"
    matrices: str | None = None
    experts: str | None = None
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
        stated = keys.get("torch_dtype", "dtype") or keys.outer.get("torch_dtype")
        dtype = stated.removeprefix("torch.") if isinstance(stated, str) else ""
        return Stored(name=DTYPES.get(dtype), quantized=False)
    values = config if isinstance(config, Mapping) else {"quantization_config": config}
    method = str(values.get("quant_method") or ("modelopt" if is_of_modelopt(values) else None))
    key, name = _name_by(method, values)
    if name is None:
        return _unclear(values, key)
    # gpt-oss, Kimi K2.5: the experts alone are narrow
    if method == "mxfp4" or (keys.get("experts") and _leaves_attention(values)):
        return Stored(name=name, experts=name)
    odd = _rule_of_modules(values)
    return Stored(name=name, matrices=name) if odd is None else _unclear(values, odd)


def _unclear(config: Mapping[str, Any], key: str) -> Stored:
    return Stored(
        why=f"quantization_config: {key} = {short(config.get(key))} is not understood, so the size"
        " of the weights is not known"
    )


def _leaves_attention(config: Mapping[str, Any]) -> bool:
    """Whether patterns leave all attention as it was."""
    names = [str(name) for key in _names()["left_out"] for name in _listed(config.get(key)) or ()]
    return any("self_attn" in name and (name[:3] == "re:" or name[-1:] == "*") for name in names)


def _name_by(method: str, config: Mapping[str, Any]) -> tuple[str, str | None]:
    """The key that tells the layout of a method's weights, and the layout in the words of
    QUANTIZATIONS, None where it is not understood.
    """
    layout = _names()["layouts"].get(method)
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
    layout = str(parts[0].get("format") or config.get("format"))
    if layout in ("nvfp4-pack-quantized", "mxfp4-pack-quantized"):
        return layout[:5]
    weights = parts[0].get("weights")
    weights = weights if isinstance(weights, dict) else {}
    type, bits, group = (weights.get(key) for key in ("type", "num_bits", "group_size"))
    if (type, bits) == ("float", 8):
        return _FP8_BLOCKS["[128, 128]" if weights.get("strategy") == "block" else "None"]
    zeros = "-asym" if weights.get("symmetric", True) is False else ""
    name = _OWN_NAMES.get((bits, group, zeros), f"w{bits}a16{_group_ending(group)}{zeros}")
    return name if type == "int" and (name in PACKED or name in _OWN_NAMES.values()) else None


def _listed(value: object) -> list[Any] | None:
    """A list of names of modules, empty for none; None for what is no list."""
    if value and not isinstance(value, list | tuple):
        return None
    return list(value) if isinstance(value, list | tuple) else []


def _rule_of_modules(config: Mapping[str, Any]) -> Any:
    """The key that leaves matrices of the blocks in another type than the rest; None where none
    does. A size that leaves out such rules would be too small by up to a half.
    """
    for key in _names()["left_out"]:
        names = _listed(config.get(key))
        # an empty list of these makes the head narrow, too
        is_all = config.get(key) == [] and key in ("ignore", "llm_int8_skip_modules")
        if names is None or is_all:
            return key
        if not all(re.search(_names()["outside_blocks"], str(name)) for name in names):
            return key
    return next((key for key in _names()["own_types"] if config.get(key)), None)


# ---------------------------------------------------------------------------- the cache, MLX


def cache_type(quantization: object, *, latent: bool) -> str | None:
    """The type in which a checkpoint wants keys and values kept; None where it states none, or one
    that vLLM passes over.

    vllm 0.33.0: kv_cache_scheme of compressed-tensors (layers/attention/attention.py), which rows
    of latent attention ignore (mla_attention.py); both keys of NVIDIA's exporter
    (utils/torch_utils.py, get_kv_cache_quant_algo_string), where a dynamic scheme is none.
    """
    if not isinstance(quantization, Mapping):
        return None
    scheme = quantization.get("kv_cache_scheme") or quantization.get("kv_cache_quant_algo")
    if is_of_modelopt(quantization):
        is_taken = not isinstance(scheme, Mapping) or scheme.get("dynamic") is False
    else:
        is_taken = quantization.get("quant_method") == "compressed-tensors" and not latent
    is_eight = str(scheme).lower() == "fp8"
    if isinstance(scheme, Mapping):
        is_eight = (scheme.get("num_bits"), scheme.get("type")) == (8, "float")
    return "float8_e4m3" if is_eight and is_taken else None


def is_of_modelopt(quantization: object) -> bool:
    """Whether NVIDIA's exporter made the weights narrow: not every runtime that loads their type
    loads its files.
    """
    if not isinstance(quantization, Mapping):
        return False
    stated = quantization.get("quant_method")
    return stated == "modelopt" or (not stated and bool(quantization.get("quant_algo")))


def _stored_by_mlx(mlx: object, keys: Keys) -> Stored:
    """MLX's `quantization`, with what it says of single layers under their names."""
    config = mlx if isinstance(mlx, dict) else {}
    mode, bits, group = config.get("mode", "affine"), config.get("bits"), config.get("group_size")
    apart = {
        key: part.get("bits") if isinstance(part, dict) else None
        for key, part in config.items()
        if part is False or isinstance(part, dict)
    }
    name = str(mode)
    if mode == "affine":
        name = f"{bits}bit" + ("" if group == 64 else f"-{group}g")
    elif mode == "mxfp4" and set(apart.values()) == {8}:
        # gpt-oss: experts as published, all else in 8 bits
        name = "MXFP4-Q8"
    elif MLX_MODES.get(name) != (bits, group):
        name = ""
    if name not in QUANTIZATIONS["mlx"]:
        why = f"quantization {short(mlx)} of config.json is not understood"
        return Stored(format="mlx", why=why)
    # a router is small
    large = [key for key in apart if not key.endswith(("gate", "router"))]
    if any(apart[key] != bits for key in large):
        keys.notes.append(
            "quantization of config.json gives some layers other bits, which are not counted: the"
            " files may be larger than stated"
        )
    why = f"config.json describes MLX's {name} weights, and not those before them"
    return Stored(name=name, format="mlx", why=why)
