"""The storage of the weights that a `config.json` describes, read from its key
`quantization_config`, or `quantization` of MLX.

What goes in: the `Keys` of the file. What comes out: `Stored`, the type of the weights in the words
of QUANTIZATIONS, or why it is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..catalogue.spec_values import PACKED, mlx_scheme, scheme_of
from ..core.records import Record
from .config_keys import Keys
from .source import JsonValues, reason, short, table_of
from .tables import QuantizationTable, model_files

_TABLE: QuantizationTable = model_files().quantization_config
_KEY = "quantization_config"
# the keys in which a file lists its output matrix where that is not quantized
_LIST_OUTPUT_MATRIX = ("ignore", "llm_int8_skip_modules")


class Stored(Record):
    """The quantization in which the weights are stored.

    - `name`: in the words of QUANTIZATIONS; None where it is not known.
    - `matrices`, `experts`: the types of these tensors alone.
    - `why`: why `matrices` is None in quantized weights: the quantization is not known, or it is
      MLX's own, and the original weights have another.
    - `quantized`: the weights are no longer in the type of training.
    - `quantizer`: set where not every runtime that loads the type loads this quantizer's files.
    - `note`: a sentence for the user about odd weights.
    """

    name: str | None = None
    quantized: bool = True
    format: str = "safetensors"
    matrices: str | None = None
    experts: str | None = None
    quantizer: str | None = None
    why: str | None = None
    note: str | None = None


def stored_of(keys: Keys) -> Stored:
    """The quantization of the weights that a config.json describes."""
    mlx = keys.outer.get("quantization")
    if mlx:
        return _stored_by_mlx(mlx)
    stated = keys.outer.get(_KEY) or keys.values.get(_KEY)
    if not stated:
        return Stored(name=keys.published_type, quantized=False)
    # a value that is not a table states an unknown method
    return _stored_by(table_of(stated), has_experts=bool(keys.get("experts")))


class _Layout(Record):
    """The layout of narrow weights: the key of the file that tells the layout, and the name of the
    quantization, None where the value of the key is not understood.
    """

    key: str
    name: str | None


def _stored_by(values: JsonValues, *, has_experts: bool) -> Stored:
    """The quantization of the weights by a `quantization_config`. `has_experts`: the model is a
    mixture of experts.
    """
    method = values.get("quant_method")
    if not method and values.get("quant_algo"):
        method = "modelopt"
    layout = _layout(values, str(method or ""))
    name = layout.name
    if name is None:
        return _not_understood(values, layout.key)
    quantizer = "modelopt" if method == "modelopt" else None
    # gpt-oss quantizes only the experts
    has_narrow_experts = method == "mxfp4"
    if has_experts and _quantizes_only_experts(values):
        has_narrow_experts = True
    if has_narrow_experts:
        return Stored(name=name, quantizer=quantizer, experts=name)
    unusual_key = _unusual_key(values)
    if unusual_key is not None:
        return _not_understood(values, unusual_key)
    return Stored(name=name, quantizer=quantizer, matrices=name)


def _not_understood(values: JsonValues, key: str) -> Stored:
    """A quantization that is not known because the value of a key is not understood."""
    return Stored(why=reason("quantization", key=key, value=short(values.get(key))))


# modules that were left in the type of training


def _left_out(values: JsonValues) -> Iterator[tuple[str, object]]:
    """Yield the lists of modules left in the type of training, each after its key."""
    for key in _TABLE.left_out:
        names = values.get(key)
        if names is not None:
            yield key, names


def _leaves_out_the_usual(key: str, names: object) -> bool:
    """Whether the modules that a key leaves out are the usual ones: they lie outside the blocks. An
    empty list is unusual where it quantizes the output matrix, too.
    """
    if not isinstance(names, list):
        # false, 0 and "" name no module
        return not names
    if not names:
        return key not in _LIST_OUTPUT_MATRIX
    outside_blocks = re.compile(_TABLE.outside_blocks)
    return all(map(outside_blocks.search, map(str, names)))


def _quantizes_only_experts(values: JsonValues) -> bool:
    """Whether everything except the experts was left in the type of training (Kimi K2.5)."""
    pattern = re.compile(_TABLE.experts_alone)
    for _, names in _left_out(values):
        texts = map(str, names if isinstance(names, list) else ())
        if any(map(pattern.search, texts)):
            return True
    return False


def _unusual_key(values: JsonValues) -> str | None:
    """The key by which the weights differ from the usual, where all matrices of the blocks are
    quantized, and nothing outside the blocks. None where no key does.
    """
    for key, names in _left_out(values):
        if not _leaves_out_the_usual(key, names):
            return key
    for key in _TABLE.own_types:
        if values.get(key):
            return key
    return None


# the layout of narrow weights


def _layout(values: JsonValues, method: str) -> _Layout:
    """The layout of the narrow weights, told by the quantization method and the keys that this
    method reads.
    """
    rule = _TABLE.layouts.get(method)
    if rule is not None:
        value = str(values.get(rule.key))
        return _Layout(key=rule.key, name=rule.names.get(value))
    if method in ("gptq", "awq"):
        bits = values.get("bits", 4)
        group = values.get("group_size", 128)
        name = _packed(f"{method}-{bits}bit", group)
        # in 4 bits only the group can be one that no program packs
        key = "group_size" if bits == 4 else "bits"
        return _Layout(key=key, name=name)
    if method == "auto-round":
        return _Layout(key="packing_format", name=_auto_round_name(values))
    if method == "compressed-tensors":
        return _Layout(key="config_groups", name=_compressed_name(values))
    if method == "bitsandbytes":
        return _Layout(key="load_in_4bit", name=_bitsandbytes_name(values))
    return _Layout(key="quant_method", name=None)


def _bitsandbytes_name(values: JsonValues) -> str | None:
    """The quantization of bitsandbytes; None where the file states neither 4 nor 8 bits."""
    if True in (values.get("load_in_4bit"), values.get("_load_in_4bit")):
        if values.get("bnb_4bit_use_double_quant") is True:
            return "nf4-double"
        return "nf4"
    if values.get("load_in_8bit") is True:
        return "int8"
    return None


def _auto_round_name(values: JsonValues) -> str | None:
    """The quantization of files by AutoRound, which packs integers as GPTQ or AWQ does; None for
    its other formats.
    """
    packing = str(values.get("packing_format"))
    method = _TABLE.auto_round_packing.get(packing)
    if method is None:
        return None
    bits = values.get("bits", 4)
    return _packed(f"{method}-{bits}bit", values.get("group_size", 128))


def _compressed_name(values: JsonValues) -> str | None:
    """The quantization of files by llm-compressor with one type for all linear layers
    (compressed-tensors 0.12); None for other files.
    """
    groups = table_of(values.get("config_groups"))
    if len(groups) != 1:
        return None
    (stated,) = groups.values()
    group = table_of(stated)
    if group.get("targets") != ["Linear"]:
        return None
    layout = str(group.get("format") or values.get("format"))
    name = _TABLE.of_linear.get(layout)
    return name or _linear_name(table_of(group.get("weights")))


def _packed(
    layout: str,
    group: object,
    zeros: str = "",
) -> str | None:
    """The name of the quantization with integers in that layout; None where no program packs them
    so.
    """
    size = f"{group}g"
    if group in (-1, None):
        size = "channel"
    scheme = scheme_of(f"{layout}-{size}{zeros}")
    if scheme is None or scheme.name not in PACKED:
        return None
    return scheme.name


def _linear_name(weights: JsonValues) -> str | None:
    """The name of the quantization of linear layers that llm-compressor describes; None where the
    description has no name. The table names them by type, bits and group, such as `float 8 block`.
    """
    type = weights.get("type")
    bits = weights.get("num_bits")
    group = weights.get("group_size")
    zeros = ""
    if weights.get("symmetric") is False:
        zeros = "-asym"
    unit = group
    if weights.get("strategy") == "block":
        unit = "block"
    name = _TABLE.of_linear.get(f"{type} {bits} {unit}{zeros}")
    if name is None and type == "int":
        return _packed(f"w{bits}a16", group, zeros)
    return name


# MLX


def _stored_by_mlx(stated: object) -> Stored:
    """The quantization that MLX's `quantization` states, with a note where layers differ. The table
    also has entries for single layers under their names.
    """
    values = table_of(stated)
    mode = values.get("mode", "affine")
    bits = values.get("bits")
    group = values.get("group_size")
    layout = str(mode)
    if mode == "affine":
        layout = f"{bits}bit-{group}g"
    scheme = mlx_scheme(layout)
    # the name of another mode implies its bits and its group
    if scheme is None or scheme.bits != bits or scheme.group != group:
        why = reason("mlx-quantization", value=short(stated))
        return Stored(format="mlx", why=why)
    # groups of 64 are the usual ones
    name = scheme.name.removesuffix("-64g")
    bits_of_layers = _bits_of_layers(values)
    note = None
    # gpt-oss: experts in the published type, all other weights in 8 bits
    if mode == "mxfp4" and bits_of_layers == {8}:
        name = "MXFP4-Q8"
    elif bits_of_layers - {bits}:
        note = reason("other-bits")
    why = reason("mlx-weights", name=name)
    return Stored(name=name, format="mlx", why=why, note=note)


def _bits_of_layers(values: JsonValues) -> set[int | None]:
    """The bits of the layers with an entry of their own. None stands for a layer that is not
    quantized, and for bits that are no number.
    """
    bits: set[int | None] = set()
    for key, part in values.items():
        # routers are small enough to ignore
        if key.endswith(("gate", "router")):
            continue
        if part is False:
            bits.add(None)
        if isinstance(part, dict):
            stated = part.get("bits")
            bits.add(stated if isinstance(stated, int) else None)
    return bits
