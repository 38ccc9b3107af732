"""The tensor table of a GGUF model beside the one that its architecture's row gives, and the
quantization that its types make together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from ..catalogue.architecture import MAX_TENSOR_NAMES, Architecture, TensorGroup
from ..catalogue.published import FileTensors
from ..catalogue.quantization_names import QUANTIZATIONS
from ..core.records import pattern
from ..needs.quantization import BASE_TYPES, BLOCKS
from ..needs.tensors import checkpoint_tensors, count, gguf_tensors, row_of
from .gguf_values import BLOCK, GgufModel, Refused, Unclear
from .source import clean, listed

# a thousand times what the largest model of 2026 has
_MAX_PARAMETERS = 10**16
# Tensors, without .weight, that some architecture in llama.cpp's src/models takes where they are
# there and else does without.
_OPTIONAL = pattern(
    r"\.(?:bias|scale|input_scale)\Z"
    r"|^(?:output\Z|output_norm_enc|cls|dense_|rope_|token_types|position_embd)"
    r"|\*\.(?:nextn|indexer|exp_probs_b|attn_[qk]_norm|attn_rot_embd|attn_norm_2|attn_sinks"
    r"|attn_gate|attn_sub_norm|ffn_sub_norm|ffn_latent|layer_|time_mix|ssm_)"
)
# One of these in a block stands for several others: merged while converting, or apart in files of
# before 2025.
_INSTEAD = ("attn_qkv", "attn_kv_b", "ffn_gate_up_exps")
# tensors that have another name in some architectures (Hy3), or models of one (Grok 1 and 2)
_TWO_NAMES: Mapping[str, str] = {
    "blk.*.exp_probs_b.bias": "blk.*.exp_probs_b",
    "blk.*.layer_output_norm": "blk.*.post_ffw_norm",
}
# a tensor's name with `*` for its layer, and that layer; -1 outside the blocks
_Place = tuple[str, int]
_Shapes = Mapping[_Place, tuple[int, ...]]

# ------------------------------------------------------------------ where it departs from its row


def departures(model: GgufModel, architecture: Architecture) -> dict[str, Any]:
    """Fields of the architecture in which the file's tensors differ from its row."""
    row, names = model.row, model.shapes.keys()
    norm = _query_key_norm(model, architecture)
    stored = {"gate": _gate(model), "attention_bias": row.attention_bias, "rope_factors": None}
    if architecture.attention:
        biases = ("attn_q.bias", "attn_qkv.bias")
        stored["attention_bias"] = any(name.endswith(biases) for name in names)
    if norm != (row.query_key_norm or "none"):
        stored["query_key_norm"] = norm
    if not architecture.recurrent and any(name.endswith("attn_norm_2.weight") for name in names):
        stored["parallel_norms"] = 2
    if "rope_freqs.weight" in names:
        stored["rope_factors"] = "freqs"
    elif "rope_factors_long.weight" in names:
        stored["rope_factors"] = "long_short"
    return {
        key: value
        for key, value in stored.items()
        if value is not None and value != getattr(row, key, None)
    }


def _gate(model: GgufModel) -> str:
    """How the feed-forward is gated: as the row says or, where that varies, as the first layer."""
    up, down = model.shape(0, "ffn_up.weight"), model.shape(0, "ffn_down.weight")
    if not model.row.gate_varies or up is None or down is None:
        return model.row.gate
    if model.has(0, "ffn_gate.weight"):
        return "split"
    return "fused" if up[-1] == 2 * down[0] else "none"


def _query_key_norm(model: GgufModel, architecture: Architecture) -> str | None:
    """What the norm of queries and keys is over; None where none is to be expected."""
    # latent attention has no such norm
    group = next((group for group in architecture.attention if group.kind != "latent"), None)
    if group is None:
        return None
    shape = model.shape(group.layers[0], "attn_q_norm.weight")
    if shape is None:
        return "none"
    if len(shape) > 1 and shape[1] > 1:
        return "per_head"
    return "head" if shape[0] == group.key_length else "full"


# ------------------------------------------------------------------ tensor by tensor


def as_stored(model: GgufModel, architecture: Architecture) -> Architecture:
    """The architecture with the file's own tensor table, unless the row already gives it. Raises
    `Refused` and `Unclear`.
    """
    groups = _groups(model, architecture)
    if model.known:
        row = row_of(architecture, model.architectures)
        if row is None:
            raise Unclear(f"its layers lack a part that every {model.name} model has")
        expected, actual = _by_place(gguf_tensors(architecture, row)), _by_place(groups)
        if expected == actual:
            return architecture
        _refuse_other_tensors(model, expected, actual)
        differing = {clean(_numbered(place)) for place, _ in expected.items() ^ actual.items()}
        model.notes.append(
            f"its tensors are not quite those of other {model.name} models"
            f" ({listed(sorted(differing), 3)}); counted as they stand in the file"
        )
    else:
        unknown = f"{model.name} is not an architecture that this selfhost knows"
        model.notes.append(f"{unknown}; its tensors are counted as they stand in the file")
        why = f"{unknown}, and perhaps none that llama.cpp loads"
        model.unknown["architecture.attention"] = why
        architecture = architecture.replace(attention=(), recurrent=())
    if len({group.name for group in groups}) > MAX_TENSOR_NAMES:
        raise Unclear(f"the tensors of {model.name} have more than {MAX_TENSOR_NAMES:,} names")
    return architecture.replace(tensors=groups)


def _refuse_other_tensors(model: GgufModel, expected: _Shapes, actual: _Shapes) -> None:
    """Raise `Refused` at a tensor that llama.cpp would not find or would find in another shape,
    `Unclear` at one that it would not look for.

    llama.cpp refuses all three (src/llama-model-loader.cpp: check_tensor_dims,
    done_getting_tensors), the last as long as no release learns of the tensor. Blocks that predict
    more tokens are left out.
    """
    new = actual.keys() - expected.keys()
    merged = {layer for name, layer in new if name.removeprefix("blk.*.") in _INSTEAD}
    for place in sorted(expected.keys() | actual.keys()):
        needed, stored = expected.get(place), actual.get(place)
        name, layer = place
        if needed == stored or layer >= model.layers or layer in merged or _OPTIONAL.search(name):
            continue
        tensor = clean(_numbered(place))
        if stored is None:
            raise Refused(f"it has no tensor {tensor}, which {model.name} models have")
        size = " × ".join(f"{size:,}" for size in stored) or "1"
        if needed is None:
            raise Unclear(
                f"the file has a tensor {tensor} ({size}), which no llama.cpp known here loads with"
                f" {model.name} models"
            )
        right = " × ".join(f"{size:,}" for size in needed) or "1"
        raise Refused(f"its tensor {tensor} is {size}, and the header makes it {right}")


def _groups(model: GgufModel, architecture: Architecture) -> tuple[TensorGroup, ...]:
    """The tensor table with alike tensors of several blocks together."""
    limit = architecture.layers + (architecture.mtp_layers or 0)
    layers_by_tensor: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for tensor in model.tensors:
        block = BLOCK.match(tensor.name)
        layer = -1 if block is None else int(block[2])
        # a number with a leading zero is none of llama.cpp's
        if block is None or layer >= limit or block[2] != str(layer) or "*" in tensor.name:
            name, layer = tensor.name.replace("*", "?"), -1
        else:
            name = f"{block[1]}*{block[3]}"
        layers_by_tensor.setdefault((clean(name), tensor.shape), []).append(layer)
    return tuple(
        TensorGroup(
            name=name, layers=() if numbers == [-1] else tuple(sorted(numbers)), shape=shape
        )
        for (name, shape), numbers in layers_by_tensor.items()
        if numbers == [-1] or -1 not in numbers
    )


def _by_place(groups: Iterable[TensorGroup]) -> _Shapes:
    """Shape by name and layer. Dimensions of 1 say nothing, and how a norm is folded changes no
    size.
    """
    shapes: dict[_Place, tuple[int, ...]] = {}
    for group in groups:
        name = group.name.removesuffix(".weight")
        name = _TWO_NAMES.get(name, name)
        shape = tuple(size for size in group.shape if size != 1)
        shape = (prod(group.shape),) if name.endswith("norm") else shape
        for layer in group.layers or (-1,):
            shapes[name, layer] = shape
    return shapes


def _numbered(place: _Place) -> str:
    name, layer = place
    return name.replace("*", str(layer)) if layer >= 0 else name


# ------------------------------------------------------------------ what the tensors add up to


def loaded(model: GgufModel) -> tuple[FileTensors, ...]:
    """What llama.cpp loads, alike tensors together; empty where one has a type whose size is not
    known.
    """
    bytes_by_tensor: dict[tuple[str, tuple[int, ...], str, bool], list[int]] = {}
    for tensor in model.tensors:
        if tensor.bytes is None or tensor.type not in BLOCKS:
            return ()
        name, layer = tensor.name, model.layer_of(tensor)
        if layer >= 0:
            name = BLOCK.sub(r"\1*\3", name)
        key = clean(name), tensor.shape, tensor.type, layer >= model.layers
        bytes_by_tensor.setdefault(key, []).append(tensor.bytes)
    return tuple(
        FileTensors(
            name=name, shape=shape, type=type, count=len(sizes), bytes=sum(sizes), extra=extra
        )
        for (name, shape, type, extra), sizes in bytes_by_tensor.items()
    )


def parameters(
    model: GgufModel, architecture: Architecture | None
) -> tuple[int | None, int | None]:
    """Total and per token, without what only a GGUF file has; None where there is none."""
    try:
        used = model.number("expert_used_count")
    except Unclear:
        used = None
    total = idle = 0
    for tensor in model.tensors:
        is_of_rope = tensor.name.startswith(("rope_freqs.", "rope_factors_"))
        if is_of_rope or model.layer_of(tensor) >= model.layers:
            continue
        elements = prod(tensor.shape)
        total += elements
        if "exps." in tensor.name and len(tensor.shape) > 1 and used is not None:
            # experts that a token does not use
            experts = tensor.shape[-1]
            idle += elements // experts * max(0, experts - used)
    if architecture is not None and not architecture.tensors:
        row = row_of(architecture, model.architectures)
        if row is not None:
            total = count(checkpoint_tensors(architecture, row))
            idle = min(idle, total - 1)
    if total > _MAX_PARAMETERS:
        model.damaged(f"{total:.1e} parameters")
    return total or None, max(1, total - idle) if total else None


# ------------------------------------------------------------------ the quantization

# general.file_type -> name of the quantization (include/llama.h)
_FILE_TYPES: Mapping[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M",
    30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4",
    40: "Q1_0", 41: "Q2_0",
}  # fmt: skip
_BASES = {**BASE_TYPES, "MXFP4_MOE": "MXFP4"}
# a bit of general.file_type: the converter guessed it (LLAMA_FTYPE_GUESSED)
_GUESSED = 1024
# what llama-quantize writes instead of a type whose blocks of 256 do not divide the rows
_FALLBACKS: Mapping[str, str] = {
    "Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0",
    **dict.fromkeys(
        ("IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_S", "IQ1_M"), "IQ4_NL"
    ),
}  # fmt: skip


def quantization_of(model: GgufModel) -> str:
    """The quantization of a file. Tensors of a type that `general.file_type` does not allow
    outweigh it, which is noted.
    """
    elements: dict[str, int] = {}
    for tensor in model.tensors:
        if len(tensor.shape) > 1:
            elements[tensor.type] = elements.get(tensor.type, 0) + prod(tensor.shape)
    types = sorted(elements, key=lambda type: -elements[type]) or ["F32"]
    stated = model.values.get("general.file_type")
    name = _FILE_TYPES.get(stated & ~_GUESSED, "") if type(stated) is int else ""
    base = _BASES.get(name, name)
    if name and not {base, _FALLBACKS.get(base)}.isdisjoint(types):
        return name
    held = types[0]
    if held in ("Q3_K", "Q4_K", "Q5_K"):
        held += "_M" if sum(type.endswith("_K") for type in types) > 1 else "_S"
    elif held not in QUANTIZATIONS["gguf"]:
        held = next((name for name, type in _BASES.items() if type == held), held)
    if stated is not None:
        said = f"general.file_type is {name or repr(stated)[:40]}"
        model.notes.append(f"{said}, and its tensors are {listed(types, 3)}; taken for {held}")
    return held
