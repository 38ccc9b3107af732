"""How the weights that a `config.json` describes are stored: the quantization that it names.

Single modules that it leaves in 16 bits are counted in the narrow type where they are small, and
make the size unknown where they are not; a file of weights beside it has the exact size.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..catalogue.quantization_names import PACKED, QUANTIZATIONS, mlx_scheme, scheme_of
from ..catalogue.spec import Quantized
from ..core.records import Record
from .config_keys import Keys
from .layers import short
from .source import file_table, reason


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
    if mlx := keys.outer.get("quantization"):
        return _stored_by_mlx(mlx, keys)
    config = keys.outer.get("quantization_config") or keys.text.get("quantization_config")
    if not config:
        return Stored(name=keys.published_type()[0], quantized=False)
    values = config if isinstance(config, Mapping) else {"quantization_config": config}
    method = str(values.get("quant_method") or ("modelopt" if values.get("quant_algo") else None))
    quantizer = "modelopt" if method == "modelopt" else None
    odd, name = _name_by(method, values)
    if name is not None:
        # gpt-oss, Kimi K2.5: the experts alone are narrow
        if method == "mxfp4" or (keys.get("experts") and _leaves_attention(values)):
            return Stored(name=name, experts=name, quantizer=quantizer)
        exception = _rule_of_modules(values)
        if exception is None:
            return Stored(name=name, matrices=name, quantizer=quantizer)
        odd = exception
    return Stored(why=reason("quantization", key=odd, value=short(values.get(odd))))


def _leaves_attention(config: Mapping[str, Any]) -> bool:
    lists = map(config.get, file_table("quantization_config")["left_out"])
    names = [str(name) for names in lists if isinstance(names, list) for name in names]
    return any("self_attn" in name and (name[:3] == "re:" or name[-1:] == "*") for name in names)


def _rule_of_modules(config: Mapping[str, Any]) -> str | None:
    """The key that leaves matrices of the blocks in another type than the rest; None where none
    does. A size that leaves out such rules would be too small by up to a half.
    """
    table = file_table("quantization_config")
    for key in table["left_out"]:
        names = config.get(key) or ()
        # an empty list of these makes the head narrow, too
        if config.get(key) == [] and key in ("ignore", "llm_int8_skip_modules"):
            return str(key)
        is_list = not names or isinstance(names, list)
        if not is_list or not all(re.search(table["outside_blocks"], str(name)) for name in names):
            return str(key)
    return next((key for key in table["own_types"] if config.get(key)), None)


def _name_by(method: str, config: Mapping[str, Any]) -> tuple[str, str | None]:
    """The key that tells the layout, and the layout, None where it is not understood."""
    layout = file_table("quantization_config")["layouts"].get(method)
    if layout is not None:
        return layout["key"], layout["names"].get(str(config.get(layout["key"])))
    if method in ("gptq", "awq"):
        bits, group = config.get("bits", 4), config.get("group_size", 128)
        return "bits" if bits != 4 else "group_size", _packed(f"{method}-{bits}bit", group)
    if method == "compressed-tensors":
        return "config_groups", _compressed_name(config)
    if method != "bitsandbytes":
        return "quant_method", None
    is_double = config.get("bnb_4bit_use_double_quant") is True
    kinds = {
        "nf4-double" if is_double else "nf4": ("load_in_4bit", "_load_in_4bit"),
        "int8": ("load_in_8bit",),
    }
    held = (name for name, keys in kinds.items() if any(config.get(key) is True for key in keys))
    return "load_in_4bit", next(held, None)


def _packed(layout: str, group: object, zeros: str = "") -> str | None:
    """A layout's name with groups of that many weights; -1 is a whole channel."""
    size = "channel" if group in (-1, None) else f"{group}g"
    scheme = scheme_of(f"{layout}-{size}{zeros}")
    return scheme.name if scheme is not None and scheme.name in PACKED else None


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
    own: Mapping[str, str] = file_table("quantization_config")["of_linear"]
    packed = _packed(f"w{bits}a16", group, zeros) if type == "int" else None
    return own.get(f"{type} {bits} {whole}{zeros}") or packed


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
    scheme = mlx_scheme(f"{bits}bit-{group}g" if mode == "affine" else str(mode))
    if scheme is None or (scheme.bits, scheme.group) != (bits, group):
        return Stored(format="mlx", why=reason("mlx-quantization", value=short(mlx)))
    # gpt-oss: experts as published, all else in 8 bits
    is_mixed = mode == "mxfp4" and apart == {8}
    if apart - {bits} and not is_mixed:
        keys.notes.append(reason("other-bits"))
    name = "MXFP4-Q8" if is_mixed else scheme.name.removesuffix("-64g")
    return Stored(name=name, format="mlx", why=reason("mlx-weights", name=name))
