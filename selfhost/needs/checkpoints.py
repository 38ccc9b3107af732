"""How large the files of a checkpoint are (safetensors, pickle or MLX files), in which type their
weights are stored and loaded, and how many of their bytes one token reads.

Every size is one sum over the tensors, each in its type: that of the published files, or that which
a quantizer makes of linear layers, and MLX of tables too. What a layout keeps beside the bits of
its weights is in `[layouts]` of specs/common/quantizations.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import prod

from ..catalogue.architecture import Architecture, TensorGroup
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import PLAIN_DTYPES, mlx_scheme, scheme_of
from ..core.records import Record, Unread
from ..core.tables import shipped_table
from ..core.workload import Workload
from .case import (
    ENCODER_REMEDY,
    Case,
    is_cast,
    published_size,
    stored_type,
    unread_of,
    why_no_encoders,
)
from .records import How, Term, by_type, term, unread
from .tensors import checkpoint_tensors, row_of

# what QLoRA loads of each weight that it trains adapters beside (bitsandbytes, nf4)
_QLORA_BITS = 4
# bits per weight with the scales of the format: one float32 per 128 × 128 block, one byte per 32,
# one per 16, two bytes per 32
DTYPES = {
    "float32": 32.0, "bfloat16": 16.0, "float16": 16.0,
    "float8_e4m3_128x128": 8.0 + 32 / (128 * 128), "float8_e4m3": 8.0, "mxfp4": 4.25, "nvfp4": 4.5,
    "int8": 8.0, "int4_32": 4.5, "ternary": 2.0,
}  # fmt: skip
_LAYOUTS: Mapping[str, Mapping[str, float]] = shipped_table("quantizations")["layouts"]
_NVFP4: Mapping[str, str] = shipped_table("quantizations")["nvfp4"]

# matrices that are no linear layer of any class: convolutions, norms of each head, blocks of
# RG-LRU, tables and coefficients
_NOT_LINEAR = (
    "conv1", "conv2", "shortconv.conv.", "norm", "lru_input_gate", "lru_recurrent_gate",
    "attn_rel_b", "blk.*.altup", "cross_attn_gate", "attn_sinks", "res_score",
)  # fmt: skip
_PARTS = {
    "attn_v_b": "latent values", "_exps.": "expert", "_shexp.": "shared_expert",
    "ssm_": "recurrent", "shortconv": "recurrent", "attn_": "attention",
}  # fmt: skip
_ROUTER = "ffn_gate_inp"
_STATE_SIZE = "state the size under [[files]] of the spec"
_STATE_TYPE = "state `dtype` in [architecture] of the spec, or the size under [[files]]"
GIVE_FILES = (
    "give the folder with its safetensors files, or state the "
    "size under [[files]] of a spec"
)
# types that bitsandbytes makes
_BITSANDBYTES = frozenset({"nf4", "nf4-double", "int8"})


class Linear(Record):
    """Equal linear layers of a checkpoint, and the weights of all. `part`: expert, shared_expert,
    recurrent, attention, latent values or feed_forward.
    """

    inputs: int
    outputs: int
    number: int
    weights: int
    part: str


@lru_cache(maxsize=256)
def linear_layers(architecture: Architecture) -> tuple[Linear, ...]:
    """The checkpoint's linear layers, as its modules have them."""
    attending = {layer for part in architecture.attention for layer in part.layers}
    layers = []
    for group in checkpoint_tensors(architecture):
        if not _is_linear(group, architecture):
            continue
        inputs, outputs, more = _sides(group)
        part = next(
            (part for mark, part in _PARTS.items() if mark in group.name),
            "feed_forward",
        )
        is_outside = bool(group.layers) and not attending.intersection(group.layers)
        if part == "attention" and architecture.recurrent and is_outside:
            part = "recurrent"
        layers_of_group = len(group.layers) or 1
        number = more * layers_of_group
        sizes = {"inputs": inputs, "outputs": outputs, "number": number}
        layers.append(Linear(**sizes, weights=inputs * outputs * number, part=part))
    return tuple(layers)


def _sides(group: TensorGroup) -> tuple[int, int, int]:
    """Inputs and outputs of the matrices of one layer, and how many there are."""
    inputs, outputs, *axes = (*group.shape, 1)[: max(2, len(group.shape))]
    more = prod(axes)
    if "attn_k_b" in group.name:
        # kv_b_proj of the checkpoint: from the latent to keys and values of every head
        return outputs, inputs * more, 1
    return (
        (inputs, outputs * more, 1)
        if "attn_v_b" in group.name
        else (inputs, outputs, more)
    )


def _is_linear(group: TensorGroup, architecture: Architecture) -> bool:
    """Whether quantizers take it: no router, nor what the class keeps wide."""
    # blocks that layers share are listed one by one
    is_inside = bool(group.layers) or group.name.startswith("shared.")
    row = row_of(architecture)
    wide = _ROUTER, *_NOT_LINEAR, *filter(None, (row.torch_wide_matrix,))
    is_matrix = len(group.shape) > 1 and group.name.endswith(".weight")
    return is_inside and is_matrix and not any(part in group.name for part in wide)


@lru_cache(maxsize=512)
def typed_tensors(
    architecture: Architecture,
    mlx: str | None = None,
    in_8_bits: tuple[str, ...] = (),
) -> tuple[tuple[TensorGroup, str, float], ...]:
    """Each group of tensors with its stored type and bytes. `mlx`: as mlx_lm.convert makes it of
    that type, with what it keeps in 8 bits.
    """
    plain, typed = architecture.dtype or "bfloat16", []
    matrix_type = architecture.matrix_dtype or plain
    expert_type = architecture.expert_dtype or matrix_type
    is_made = matrix_type in _BITSANDBYTES or scheme_of(matrix_type) is not None
    for group in checkpoint_tensors(architecture):
        name, type = group.name, plain
        is_block = (
            bool(group.layers) and len(group.shape) > 1 and name.endswith(".weight")
        )
        own = "8bit" if name in in_8_bits else mlx
        if own:
            type = _type_in_mlx(group, architecture, own)
        elif (
            _is_linear(group, architecture)
            if is_made
            else is_block and _ROUTER not in name
        ):
            type = expert_type if "_exps." in name else matrix_type
        if type in PLAIN_DTYPES:
            size = prod(group.shape) * DTYPES[type] / 8
        else:
            inputs, outputs, more = _sides(group)
            size = linear_bytes(type, inputs, outputs, wide=plain == "float32") * more
        typed.append((group, type, size * max(1, len(group.layers))))
    return tuple(typed)


def _type_in_mlx(group: TensorGroup, architecture: Architecture, name: str) -> str:
    """What does not divide into groups keeps 16 bits, or torch_dtype (mlx_lm.convert)."""
    scheme, is_wide = mlx_scheme(name), architecture.dtype == "float32"
    plain = "float32" if is_wide and scheme is not None else "bfloat16"
    is_matrix = len(group.shape) > 1 and group.name.endswith(".weight")
    if not is_matrix or any(part in group.name for part in _NOT_LINEAR):
        return plain
    if scheme is not None and group.shape[0] % (scheme.group or 1):
        return plain
    if architecture.matrix_dtype == "ternary" and _is_linear(group, architecture):
        return "ternary"
    return plain if scheme is None else name


def _sum_of(tensors: tuple[tuple[TensorGroup, str, float], ...]) -> tuple[int, str]:
    named = (
        (type if type in DTYPES else "packed weights", size)
        for _, type, size in tensors
    )
    return int(sum(size for _, _, size in tensors)), by_type(named)


def linear_bytes(type: str, inputs: int, outputs: int, *, wide: bool = False) -> float:
    """Bytes of a linear layer without its bias. `wide`: MLX made it of weights in 32 bits."""
    weights, groups = inputs * outputs, outputs
    if type == "float8_e4m3_128x128":
        return weights + 4 * -(-inputs // 128) * -(-outputs // 128)
    scheme = None if type in DTYPES else scheme_of(type) or mlx_scheme(type)
    layout = _LAYOUTS.get(type if scheme is None else scheme.method, {})
    if scheme is None:
        bits = DTYPES.get(type, 16.0)
    else:
        bits, groups = scheme.bits, outputs * -(-inputs // (scheme.group or inputs))
    zeros = (
        bits / 8 if layout.get("zeros") or (scheme is not None and scheme.zeros) else 0
    )
    scale = layout.get("group", 0) * (2 if wide and layout.get("follows") else 1)
    beside = outputs * layout.get("output", 0) + inputs * layout.get("input", 0)
    return (
        weights * bits / 8 + groups * (scale + zeros) + beside + layout.get("layer", 0)
    )


def bits_in_mlx(name: str) -> float | None:
    """Of a weight in MLX's files of that type, scales included; None of other types."""
    # of files of several types that of most weights
    name = {"MXFP4-Q8": "mxfp4", "4bit-mxfp4": "mxfp4"}.get(name, name)
    return (
        _bits(name)
        if mlx_scheme(name) is not None or name in ("bf16", "fp16")
        else None
    )


def _bits(type: str | None) -> float:
    """Bits per weight of a stored type, scales included; 16 where none is stated."""
    type = type or "bfloat16"
    return (
        DTYPES[type] if type in DTYPES else linear_bytes(type, 4096, 4096) * 8 / 4096**2
    )


def size_of(case: Case) -> Term | Unread:
    """The files: as published, else every tensor in its stored type."""
    spec, is_mlx = case.spec, case.format == "mlx"
    stated = published_size(case)
    if stated is None and case.format == "safetensors" and case.is_own:
        stated = published_size(case, "native")
    # without its tensors a model is sized by its total, which has the encoders in it; files for MLX
    # keep them in 16 bits
    no_encoders = why_no_encoders(spec) if case.whole or is_mlx else None
    if stated is not None or no_encoders is not None:
        return stated or unread(no_encoders or "", ENCODER_REMEDY)
    if is_mlx:
        return _mlx_size(case)
    is_packed = case.quantization == "int8" or scheme_of(case.quantization) is not None
    if is_packed and not case.is_own:
        return _packed_size(case)
    return _as_published(case)


def _as_published(case: Case) -> Term | Unread:
    """In the stored type: by its tensors, else by the number of parameters."""
    own, name, spec = stored_type(case.model), case.quantization, case.spec
    untyped, total = (
        spec.unknown.get("architecture.matrix_dtype"),
        spec.parameters.total,
    )
    architecture = spec.architecture
    if untyped is not None and case.is_own:
        return unread(untyped, GIVE_FILES)
    if not case.is_own and (architecture is not None or name not in DTYPES):
        why = f"no source states the size of the {case.format} files in {name}"
        return unread(why, f"use --quant {own}, as published")
    if own == "int4":
        return unread("how many bits a weight takes in int4 is not stated", _STATE_SIZE)
    if case.whole:
        return _by_tensors(case)
    if total is None:
        return unread_of(spec, "download_bytes")
    if architecture is None and "architecture" in spec.unknown:
        # models of this kind are published in 4 bits a weight as often as in 16
        return unread(
            "the spec does not state the type that the weights are stored in",
            _STATE_TYPE,
        )
    if architecture is None or architecture.dtype is None:
        source = (
            "the stored type is not stated: 4 to 32 bits per parameter, most often 16"
        )
        line, low = (
            f"{total:,} parameters × 16 bits / 8",
            int(total * DTYPES["mxfp4"] / 8),
        )
        return term(
            "files", total * 2, How.ASSUMED, source, line, low=low, high=total * 4
        )
    bits, plain = _bits(own), _bits(architecture.dtype)
    size, how, source = (
        int(total * bits / 8),
        How.COMPUTED,
        "parameters in the published type",
    )
    high = int(size * 1.05)
    if own != architecture.dtype:
        how, high = How.ASSUMED, int(total * max(bits, plain) / 8)
        source = (
            f"parameters in {own}; how many are in {architecture.dtype} is not known"
        )
    line = f"{total:,} parameters × {bits:g} bits / 8"
    return term("files", size, how, source, line, high=high)


def cast_to(case: Case) -> Case:
    """As if published in that type; no listed size is of that."""
    narrow = case.model.replace(dtype=case.quantization)
    spec = case.spec.replace(architecture=narrow, files=())
    return case.replace(spec=spec, model=narrow)


def _by_tensors(case: Case) -> Term:
    """What is loaded, and beside it blocks that predict more tokens and a tied matrix twice."""
    model, parameters = case.model, case.spec.parameters
    loaded, block, predicting = _tensor_bytes(case), 0, parameters.mtp or 0
    if case.spec.quantized is None:
        block = int(predicting * _bits(model.matrix_dtype or model.dtype) / 8)
    extra = 0
    is_mixed = bool(model.matrix_dtype or model.expert_dtype)
    if not is_mixed and parameters.extra_in_files is not None:
        extra = int(parameters.extra_in_files * _bits(model.dtype) / 8)
    beside, kept = block + extra, max(0, 2 * predicting - block)
    line = f" + {beside:,} bytes of other blocks in the files" if beside else ""
    return loaded.replace(
        bytes=loaded.bytes + beside,
        low_bytes=loaded.low_bytes + extra * 199 // 200,
        high_bytes=loaded.high_bytes + beside * 101 // 100 + kept,
        arithmetic=loaded.arithmetic + line,
    )


def _tensor_bytes(case: Case) -> Term:
    """What is loaded: every tensor in its stored type, with encoders."""
    architecture, encoders = case.model, case.encoders
    size, line = _sum_of(typed_tensors(architecture))
    encoder_bytes = int(encoders * _bits(architecture.dtype) / 8)
    size += encoder_bytes
    line += f" + {encoder_bytes:,} bytes of encoders" if encoders else ""
    source, how, high = (
        "parameters of the architecture in their stored types",
        How.COMPUTED,
        1.01,
    )
    if architecture.dtype is None:
        source += "; the type is not stated: 16 to 32 bits"
        how, high = How.ASSUMED, 2.01
    # bitsandbytes takes the linear layers of encoders too, unless a list names them
    saved = 1.5 * encoders if architecture.matrix_dtype in _BITSANDBYTES else 0
    ends = {"low": int(size * 0.995 - saved), "high": int(size * high)}
    return term("files", size, how, source, line, **ends)


def _packed_size(case: Case) -> Term | Unread:
    """Every linear layer of the blocks in a quantization that others made, nothing else. Some hold
    a tied table twice, or blocks that predict more tokens in 16 bits. Some recipes leave recurrent
    layers and shared experts in 16 bits, in a mixture and in NVFP4 attention, too: the most has
    these. What NVFP4 files likely have of it says `_kept_by_nvfp4`; of AWQ those of a model with
    recurrent layers have a part.
    """
    name, scheme = case.quantization, scheme_of(case.quantization)
    if not case.whole:
        why = "which layers it has is not known"
        return unread(
            f"no source states the size of the files in {name}, and {why}", _STATE_SIZE
        )
    method, step = getattr(scheme, "method", name), getattr(scheme, "group", None) or 1
    model = case.model.packed_with(method)
    model = model.replace(matrix_dtype=name, expert_dtype=None, dtype="bfloat16")
    layers = linear_layers(model)
    odd = [each.inputs for each in layers if each.inputs % step or each.outputs % 8]
    if method == "awq" and odd:
        why = f"{odd[0]:,} inputs do not divide into groups of {step}"
        return unread(
            f"AutoAWQ cannot pack it: {why}", f"use --quant gptq, or {_STATE_SIZE}"
        )
    case = case.replace(spec=case.spec.replace(architecture=model), model=model)
    files, left = _tensor_bytes(case), {"recurrent", "shared_expert"}
    kinds = {each.part for each in layers}
    if method == "nvfp4" or "expert" in kinds:
        left |= {"attention", "latent values"}
    more, kept, line = more_in_16_bits(case, left), 0, files.arithmetic
    if method == "nvfp4":
        kept = _kept_by_nvfp4(case, kinds, more)
    elif method in ("awq", "w4a16") and "recurrent" in kinds:
        # of Qwen3.6 27B QuantTrio's AWQ has 22 GB and cyankiwi's 20, with every layer packed 18.6
        kept = more // 4
    if kept:
        line += f" + {kept:,} bytes for layers left wide"
    table = 0
    if model.tied_embeddings and model.vocabulary is not None:
        table = model.vocabulary * model.embedding_length
    twice = 2 * (table + (case.spec.parameters.mtp or 0))
    source, how = (
        f"layout of {method}: linear layers of the blocks; all else in 16 bits",
        files.how,
    )
    if more:
        how, source = (
            How.ASSUMED,
            f"{source}; recipes differ in what they leave in 16 bits",
        )
    ends = {"low": files.low_bytes, "high": int(files.bytes * 1.005) + twice + more}
    return term("files", files.bytes + kept, how, source, line, **ends)


def _kept_by_nvfp4(case: Case, kinds: set[str], more: int) -> int:
    """By how many bytes NVFP4 files likely are larger than with every linear layer in 4 bits.

    NVIDIA, who publishes most of them, leaves attention in 16 bits in models with latent attention
    and in those that came out since the date in `quantizations.toml`; its files of earlier ones
    have every linear layer in 4 bits. Files of models with recurrent layers and of other mixtures
    hold 0.14 to 0.98 of what they may have `more` (tests/judge/test_public_reports.py): a third.
    """
    is_recent = (case.spec.released or "") >= _NVFP4["attention_wide_since"]
    if "recurrent" not in kinds and (is_recent or "latent values" in kinds):
        return more_in_16_bits(case, {"attention", "latent values"})
    return more // 3 if kinds & {"recurrent", "expert"} else 0


def more_in_16_bits(case: Case, parts: set[str]) -> int:
    """By how many bytes these linear layers are larger in 16 bits than in its quantization."""
    left = [each for each in linear_layers(case.model) if each.part in parts]
    packed = (
        linear_bytes(case.quantization, each.inputs, each.outputs) * each.number
        for each in left
    )
    return int(sum(2 * each.weights for each in left) - sum(packed))


def _mlx_size(case: Case) -> Term | Unread:
    """Files that mlx_lm.convert makes. The ends: made with --dtype float16, by mlx-lm of September
    2026 or later, which keeps projections in 8 bits, or of the text alone.
    """
    name, own, encoders = case.quantization, case.spec.quantized, 2 * case.encoders
    scheme, weights = (
        mlx_scheme(name),
        (case.spec.parameters.total or 0) - case.encoders,
    )
    if scheme is None and name not in ("bf16", "fp16"):
        return unread(
            f"no source states the size in {name}", "use --quant 4bit or --quant 8bit"
        )
    if own is not None and (own.format, own.quantization) == ("mlx", None):
        otherwise = (
            "its weights are stored in a quantization that selfhost does not know"
        )
        why = case.spec.unknown.get("architecture.matrix_dtype", otherwise)
        return unread(why, "name the folder with its files, or the original model")
    if case.whole:
        model, row = case.model, case.row
        size, line = _sum_of(typed_tensors(model, name))
        low = high = size
        if scheme is not None and own is None:
            narrow = (
                model.replace(dtype="bfloat16") if model.dtype == "float32" else model
            )
            eight = row.mlx_in_8_bits if scheme.bits < 8 else ()
            low, _ = _sum_of(typed_tensors(narrow, name))
            high, _ = _sum_of(typed_tensors(model, name, eight))
    elif weights > 0:
        bits = _bits(name)
        low = high = size = int(weights * bits / 8)
        line = f"{weights:,} weights × {bits:g} bits / 8"
    else:
        return unread(
            "the number of parameters is not known", "state the size under [[files]]"
        )
    source = "mlx.core.quantize and mlx_lm.convert: a scale and bias per group (in some a scale of"
    source += " 8 bits); routers may keep more"
    line += f" + {encoders:,} bytes of encoders" if encoders else ""
    ends = {"low": int(low * 0.995), "high": int((high + encoders) * 1.01)}
    return term("files", size + encoders, How.COMPUTED, source, line, **ends)


def loaded_of(case: Case, files: Term) -> Term:
    """Without blocks that predict more tokens, and a tied matrix once; MLX has neither."""
    spec, parameters = case.spec, case.spec.parameters
    if spec.architecture is None or case.format == "mlx" or not case.is_own:
        return files
    has_extra = files.how is not How.STATED and bool(parameters.extra_in_files)
    if not (has_extra or parameters.mtp) or spec.quantized is not None:
        return files
    if case.whole:
        return _tensor_bytes(case)
    predicting = parameters.mtp or 0
    block = int(predicting * _bits(case.model.dtype) / 8)
    return files.replace(bytes=files.bytes - block, low_bytes=files.low_bytes - block)


def loaded_type(runtime: RuntimeSpec | None, spec: ModelSpec, quantization: str) -> str:
    """By default plain weights are loaded as what config.json says (dtype "auto" of transformers
    5), of which vLLM makes 32 bits 16.
    """
    stated = spec.architecture.dtype if spec.architecture is not None else None
    is_plain = quantization in PLAIN_DTYPES and stated in PLAIN_DTYPES
    if runtime is None or not is_plain or is_cast(spec, runtime, quantization):
        return quantization
    if runtime.account.loads_as == "sixteen" and stated == "float32":
        return "bfloat16"
    return (
        quantization
        if stated is None or runtime.account.loads_as == "stored"
        else stated
    )


def loaded_bits(
    runtime: RuntimeSpec | None, spec: ModelSpec, workload: Workload
) -> int | None:
    """Bits of a plain weight as it is loaded by default; None where they are those of the files."""
    quantization = workload.quantization
    if workload.finetune_method == "qlora":
        return _QLORA_BITS
    if quantization is None or workload.task != "generate" or workload.format == "gguf":
        return None
    loaded = loaded_type(runtime, spec, quantization)
    is_same = loaded == quantization or DTYPES[loaded] == DTYPES[quantization]
    return None if is_same else int(DTYPES[loaded])


def active_parameters(case: Case) -> int:
    """Parameters that one token reads, each as often as it reads it."""
    parameters, architecture = case.spec.parameters, case.spec.architecture
    active = (parameters.active or parameters.total or 0) - case.encoders
    if architecture is None:
        return active
    vocabulary = architecture.vocabulary or 0
    table = vocabulary * architecture.embedding_length
    if not architecture.tied_embeddings and architecture.output_matrix:
        active -= table
    if architecture.per_layer_embedding_length:
        # Gemma 3n and 4: of a second table, too, one row is read
        rows = case.row.per_layer_vocabulary or architecture.vocabulary or 0
        active -= architecture.per_layer_embedding_length * architecture.layers * rows
    if architecture.stored_layers:
        # layers that run through the weights of earlier ones read them once more
        again = architecture.layers - architecture.stored_layers
        active += max(0, active - table) * again // architecture.stored_layers
    return active
