"""What vLLM and SGLang hold on a device beside weights and cache, and how they divide a model.

vLLM measures this when it starts, and takes it from the share of the device that it may use: one
pass over as many tokens and sequences as it works on at once, with sampling; the CUDA graphs that
it captures; and what no allocator of PyTorch counts. Read from vllm 0.33.0 and held against logs of
0.19: `tests/truth/vllm.json`.

SGLang measures nothing. What it leaves free follows from the size of the device, the tokens that it
reads at once and the sequences of its largest graph, unless --mem-fraction-static says otherwise.
Read from sglang 0.5.23, srt/arg_groups/memory_hook.py; logs: `tests/truth/sglang.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from ..catalogue.quantization_names import scheme_of
from ..catalogue.spec import Architecture, RuntimeSpec
from ..core.units import GIB, MIB
from .checkpoints import stored_types, typed_tensors, width_of
from .kept import cached, overhead
from .parts import Asked, Subject, term, times
from .records import Device, How, Split, Term, share_of, summed
from .tensors import ArchitectureRow

_Three = tuple[int, int, int]
"""Least, likely and most."""


def terms(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> list[Term]:
    """The work on a prompt, and the program on a device and in RAM beside it."""
    encodes, device = subject.spec.modality == "embedding", workload.device
    encoders = 0 if subject.text_alone else subject.spec.parameters.encoders or 0
    if runtime.reserves_by_device:
        work = _left_free(architecture, workload.parallel, encoders, device)
        program = _context(device)
    else:
        work = _profiled(architecture, row, runtime, workload, encodes=encodes, sees=bool(encoders))
        program = _graphs(architecture, device, encodes=encodes)
    if device is None:
        return [work, program]
    beside = overhead(runtime).replace(split=Split.HOST)
    return [work, program.replace(split=Split.EACH), beside]


# ------------------------------------------------------------------ vLLM

_VLLM = "vllm 0.33.0, profile_run and _dummy_sampler_run; logs of vLLM 0.19, tests/truth/vllm.json"
# tokens and sequences of one pass by default in a server, on a small device and on one of 70 GiB or
# more (vllm/engine/arg_utils.py, get_batch_defaults); of 160 GiB or more twice as many tokens
_SMALL, _LARGE, _LARGEST_TOKENS = (2048, 256), (8192, 1024), 16_384
# of a token's width, beside gate, up and their product: 4.2 and 4.3 were left over where sampling
# took less
_WIDTHS = 4
# bytes a logit: as computed, in float32, as probabilities and as noise; sampled in one kernel it is
# the first two
_LOGIT, _LOGIT_FUSED = 14, 6
# multiprocessors, each with a row of the vocabulary in float32
# (vllm/v1/sample/ops/topk_topp_triton.py): none with FlashInfer
_MULTIPROCESSORS = (0, 108, 170)
# inputs, tables and cuBLAS' workspace: about 50 MB were left over
_CONSTANT = 50_000_000
# MiB of graphs by layer, of up to 512 tokens in pieces and whole: 15 to 25 were logged with 0.19,
# 25 to 68 where experts or latent attention lie between, less what decoding accumulates in; 11 on
# an AMD card
_GRAPH_LAYER, _GRAPH_LAYER_MIXED = (11, 20, 25), (11, 26, 72)
# 18 and 21 were logged of Qwen3.5; 0.73 GiB in all were estimated of one (vLLM's pull request
# 39559): 18 to 31 by its number of layers
_GRAPH_LAYER_RECURRENT = (11, 20, 32)
# pooling models are captured in pieces alone, with half as many graphs, or not at all: 0.44 GiB
# were estimated of one (pull request 48214)
_GRAPH_LAYER_POOLED = (0, 10, 17)
# what FlashAttention 3 accumulates in on a large device, in float32 for every head, in so many
# parts of as many tokens as the largest graph: flash_attn_max_num_splits_for_cuda_graph of
# vllm/config/attention.py. It is what two and four devices had less of; on others and in other
# kernels it may be
_SPLITS, _GRAPH_TOKENS = 32, 512
# beside PyTorch, on one device: 0.24 to 0.46 GiB were logged with 0.19, 0.13 before it
_BESIDE_TORCH = (MIB * 130, MIB * 256, MIB * 480)
# what each of several devices has of it more, for NCCL and its buffers: 1.8 to 2 GiB were logged
# with 0.19, 0.4 before it; the least, where cards are not joined, is assumed
_TOGETHER = (MIB * 64, GIB, 2 * GIB)
# an encoder on its largest pictures: 0.1 to 0.26 GiB more were logged of Gemma 3 and Mistral Small
# 3.1; not of others, for whose pictures the largest may be many times as large
_SEEING = (0, GIB // 4, 2 * GIB)


def _one_pass(
    architecture: Architecture,
    row: ArchitectureRow,
    batch: tuple[int, int],
    width: int,
    *,
    encodes: bool,
    sees: bool,
) -> tuple[_Three, str]:
    """What a pass over so many tokens and sequences holds: least, likely and most bytes, and the
    line of the likely figure. `encodes`: no token is sampled.

    That is the widest layer without routed experts, or sampling; what each chosen expert reads,
    makes and gives stays from the first pass on (vllm/v1/worker/workspace.py).
    """
    (tokens, sequences), wide = batch, architecture.embedding_length
    words = 0 if encodes else architecture.vocabulary or 0
    states = max((group.inner_length or 0 for group in architecture.recurrent), default=0)
    kept = tokens * _kept_by_experts(architecture) * width
    inner = states
    for group in architecture.feed_forward:
        inner = max(inner, (group.shared_length or 0) if group.experts else group.length)
    layer = tokens * (3 * inner + _WIDTHS * wide) * width
    line = f"{tokens:,} tokens × (3 × {inner:,} + {_WIDTHS} × {wide:,}) × {width} bytes"
    none, some, many = (
        words * 4 * number + tokens * wide * width + _CONSTANT for number in _MULTIPROCESSORS
    )
    rows = sequences * words
    sampled = (rows * _LOGIT_FUSED + none, rows * _LOGIT + some, rows * _LOGIT + many)
    if not words:
        sampled = (0, 0, 0)
    if sampled[1] > layer:
        line = f"{sequences:,} sequences × {words:,} × {_LOGIT} bytes + {some:,} bytes beside them"
    if kept:
        line += f" + {kept:,} bytes of experts' inputs and outputs"
    seeing = _SEEING if sees else (0, 0, 0)
    if sees:
        line += f" + {seeing[1]:,} bytes of the encoder"
    # the scan of recurrent layers in float32; not logged alone
    most = max(layer, sampled[2]) * 11 // 10 + 32 * tokens * states + kept * 3 // 2
    least = max(layer * 8 // 10, sampled[0])
    likely = max(layer, sampled[1]) + kept
    return (least + seeing[0], likely + seeing[1], most + seeing[2]), line


def _kept_by_experts(architecture: Architecture) -> int:
    """Numbers of a token that each chosen expert reads, makes and gives."""
    sizes = (
        (group.used or 1) * (max(2 * group.length, architecture.embedding_length) + group.length)
        for group in architecture.feed_forward
        if group.experts
    )
    return max(sizes, default=0)


def _profiled(
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
    *,
    encodes: bool,
    sees: bool,
) -> Term:
    """One pass over the longest prompt with its sampling. A text is read whole where each token
    sees all others (vllm/config/model.py, is_chunked_prefill_supported).
    """
    kinds, device = {"encodes": encodes, "sees": sees}, workload.device
    width = width_of(architecture, runtime, workload.quantization)
    is_large = device is not None and device.is_large
    tokens, number = _LARGE if is_large else _SMALL
    most_tokens, number = _LARGEST_TOKENS if is_large else tokens, max(number, workload.parallel)
    whole = workload.context_tokens if encodes and row.encoder else 0
    batch, wider = (max(tokens, whole), number), (max(most_tokens, whole), number)
    (low, likely, high), line = _one_pass(architecture, row, batch, width, **kinds)
    high = max(high, _one_pass(architecture, row, wider, width, **kinds)[0][2])
    how = How.ASSUMED if sees or architecture.recurrent else How.COMPUTED
    return term("activations", likely, how, _VLLM, line, low=low, high=high)


def _graph_sizes(architecture: Architecture, *, encodes: bool) -> _Three:
    """MiB of graphs for each layer: least, likely and most."""
    if encodes:
        return _GRAPH_LAYER_POOLED
    mixture = any(group.experts for group in architecture.feed_forward)
    if mixture or any(group.kind == "latent" for group in architecture.attention):
        return _GRAPH_LAYER_MIXED
    return _GRAPH_LAYER_RECURRENT if architecture.recurrent else _GRAPH_LAYER


def _graphs(architecture: Architecture, device: Device | None, *, encodes: bool) -> Term:
    """Graphs, and what is not PyTorch's, on a device."""
    device, layers = device or Device(), architecture.layers
    joining = _TOGETHER if device.devices > 1 else (0, 0, 0)
    least, beside, most = _BESIDE_TORCH
    rest = f"{beside:,} bytes beside PyTorch"
    if device.is_lean:
        line = f"{rest}; --enforce-eager makes no graphs"
        lean = term("runtime", beside, How.STATED, _VLLM, line, low=least, high=most)
        return on_each(lean, device.devices, joining=joining)
    how = How.ASSUMED if encodes or architecture.recurrent else How.STATED
    by_layer = [MIB * size for size in _graph_sizes(architecture, encodes=encodes)]
    low, likely, high = (
        layers * size + beside for size, beside in zip(by_layer, _BESIDE_TORCH, strict=True)
    )
    line = f"{times(layers, 'layer')} × {by_layer[1]:,} bytes of CUDA graphs + {rest}"
    plain = (group for group in architecture.attention if group.kind != "latent")
    widest = max((group.heads * (group.value_length or 0) for group in plain), default=0)
    parts = 0 if encodes else _SPLITS * _GRAPH_TOKENS * widest * 4
    if parts and device.is_large:
        likely += parts
        line += (
            f" + {_SPLITS} × {_GRAPH_TOKENS} tokens × {widest:,} × 4 bytes for parts of attention"
        )
    whole = term("runtime", likely, how, _VLLM, line, low=low, high=high + parts)
    return on_each(whole, device.devices, joining=joining)


# ------------------------------------------------------------------ SGLang

_SGLANG = (
    "sglang 0.5.23, handle_gpu_memory_settings: the default of --mem-fraction-static;"
    " logs, tests/truth/sglang.json"
)


# GiB of a device at least, and MiB that it leaves of it without its largest graph: of the program,
# of the tokens of a prompt read at once, and of graphs of prompts, fewer where attention is
# latent; and the sequences of that graph on fewer than four devices
_KINDS = (
    (0, 4048, 5248, 8),
    (20, 7184, 8320, 48),
    (35, 7184, 8320, 32),
    (60, 13_392, 14_464, 256),
    (160, 25_808, 26_752, 512),
)
# the kind of GPUs that share the RAM and have builds of it, as a GB10's; that of the smallest is
# what `lean_option` of specs/runtimes/sglang.toml asks for; on 60 GiB it leaves at least so much
_OF_SHARED, _LARGE_GIB, _LARGE_LEAST = 3, 60, 10 * 1024
# of a sequence of the largest graph
_SEQUENCE = 2
# of a model that sees it fills 0.95 of that: less a tenth of it for each time that its encoder's
# layers are as many and wide as those of CLIP's ViT-L/14 again, within these ends
_FILLED, _SEEING_STEP, _LEAST_FACTOR, _MOST_FACTOR = 0.95, 0.1, 0.8, 1.05
# parameters of such layers: 24, each of 12 x 1,024^2. Of a whole encoder, which may hold what joins
# it to the text and one for sounds, so much is in its layers
_VIT_PARAMETERS, _IN_LAYERS = 24 * 12 * 1024**2, (0.55, 0.9, 1.05)
# releases since 0.5.3 leave up to a sixth less (tests/truth/sglang.json): they count no graphs of
# prompts
_EARLIER = 5 / 6
# a context of CUDA with its libraries, and what a driver keeps of the size that it tells: 0.5 to
# 1.2 GiB were missing before weights were loaded, of cards of 16 to 80 GB
_CONTEXT = (MIB * 550, MIB * 900, MIB * 1150)
# what each of several devices has of it more: NCCL and its buffers, 1.8 to 2 GiB were logged of
# eight; with four or more the graphs are larger, too
_SGLANG_TOGETHER = (MIB * 192, MIB * 1280, MIB * 3072)


def _reserve(kind: tuple[int, int, int, int], latent: bool, sequences: int, least_gib: int) -> int:
    """MiB that it leaves of one device. `latent`: attention is so."""
    _, plain, of_latent, in_graph = kind
    number = min(sequences, in_graph) if sequences > 1 else in_graph
    size = (of_latent if latent else plain) + number * _SEQUENCE
    return max(size, _LARGE_LEAST) if least_gib >= _LARGE_GIB else size


def _left_free(
    architecture: Architecture, sequences: int, encoder_parameters: int, device: Device | None
) -> Term:
    """What it leaves free for its work of what it may take of that device: more on a larger one,
    less where fewer `sequences` than its largest graph holds are asked for
    (--max-running-requests), and of one that others hold a part of the same share of what is free.
    `encoder_parameters`: of what a model sees and hears with, for which a share of the rest stays
    free, too.
    """
    latent = any(group.kind == "latent" for group in architecture.attention)
    total = device.total_bytes if device is not None else None
    kind = _KINDS[_OF_SHARED]
    if total:
        kind = [each for each in _KINDS if each[0] * GIB <= total][-1]
    if device is not None and device.is_lean:
        mib = _reserve(_KINDS[0], latent, 1, kind[0])
    else:
        mib = _reserve(kind, latent, sequences, kind[0])
    size, line = mib * MIB, f"{mib:,} × {MIB:,} bytes"
    shares = [0.0, 0.0, 0.0]
    if encoder_parameters:
        for end, part in enumerate(_IN_LAYERS):
            factor = 1 - _SEEING_STEP * (part * encoder_parameters / _VIT_PARAMETERS - 1)
            shares[end] = 1 - _FILLED * max(_LEAST_FACTOR, min(_MOST_FACTOR, factor))
    how = How.ASSUMED if any(shares) else How.COMPUTED
    sizes = (int(size * _EARLIER), size, size)
    if device is not None and total and device.room_bytes is not None:
        sizes, line = _share_left(device, total, sizes, shares)
    else:
        least = _reserve(_KINDS[0], latent, sequences, 0) * MIB
        sizes = int(least * _EARLIER), size, size
        line += f"; on a device of {kind[0]} GiB or more, by its size"
    low, likely, high = sizes
    return term("activations", likely, how, _SGLANG, line, low=low, high=high)


def _share_left(
    device: Device, total: int, sizes: _Three, shares: list[float]
) -> tuple[_Three, str]:
    """What stays free of the room on a device of `total` bytes once weights and cache fill the
    rest, least, likely and most, and the line of the likely figure.
    """
    room = device.room_bytes or 0
    free = total if device.free_bytes is None else min(total, device.free_bytes)
    low, likely, high = (
        max(0, int(room - free * (1 - size / total) * (1 - share)))
        for size, share in zip(sizes, shares, strict=True)
    )
    line = f"{room:,} bytes - {free:,} × (1 - {sizes[1]:,} / {total:,})"
    if shares[1]:
        line += f" × (1 - {shares[1]})"
    line = f"{line}; the rest of what it may take" if likely else "0 bytes"
    return (low, likely, high), line


def _context(device: Device | None) -> Term:
    """A context of CUDA on a device."""
    low, likely, high = _CONTEXT
    line = f"{likely:,} bytes of a CUDA context"
    context = term("runtime", likely, How.STATED, _SGLANG, line, low=low, high=high)
    return on_each(context, device.devices if device is not None else 1, joining=_SGLANG_TOGETHER)


# ------------------------------------------------------------------ weights and their division

# sizes of tensor parallelism that machines have; vllm 0.33.0, vllm/config/model.py: they must
# divide the attention heads
_TENSOR_PARALLEL = (2, 4, 8)
# every device holds these whole: ReplicatedLinear of vllm/model_executor/models/deepseek_v2.py,
# routers, tables of positions
_REPLICATED = (
    "attn_q_a.",
    "attn_kv_a_mqa.",
    "indexer.",
    "ffn_gate_inp.",
    "position_embd.",
    "norm.",
)


def devices_of(architecture: Architecture, quantization: str) -> tuple[int, ...]:
    """Over how many devices vLLM can divide the model, beside one."""
    scheme = scheme_of(quantization)
    packed = architecture if scheme is None else architecture.packed_with(scheme.method)
    return tuple(number for number in _TENSOR_PARALLEL if _divides(number, packed, quantization))


def _divides(number: int, architecture: Architecture, quantization: str) -> bool:
    """True where vLLM can divide the model over `number` devices.

    The number divides the attention heads; it divides the KV heads, or they divide it and are held
    more than once (asserted in its models); lengths of the feed-forward come in whole blocks or
    groups of a quantization (vllm/model_executor/layers/quantization: fp8.py, awq.py, gptq.py).
    """
    step = _smallest_piece(architecture, quantization)
    for group in architecture.attention:
        kv_heads = 1 if group.kind == "latent" else group.kv_heads
        if group.heads % number or (kv_heads % number and number % kv_heads):
            return False
    return not any(
        length % (number * step)
        for group in architecture.feed_forward
        for length in (group.length, group.shared_length or 0)
    )


def _smallest_piece(architecture: Architecture, quantization: str) -> int:
    """The length in which a feed-forward comes: a block or group of its quantization."""
    types = (architecture.matrix_dtype, architecture.expert_dtype)
    if any((type or "").endswith("128x128") for type in types):
        return 128
    scheme = scheme_of(quantization)
    if scheme is not None and scheme.method in ("awq", "gptq", "w4a16"):
        return scheme.group or 1
    return 1


def on_each_device(
    terms: tuple[Term, ...],
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> tuple[Term, ...]:
    """What each of the devices holds of the terms, of which the first are the weights."""
    weights, *beside = terms
    if subject.row is not None and subject.whole:
        weights = _with_additions(weights, architecture, row)
    held = (
        _divided(each, subject, architecture, row, runtime, workload) for each in (weights, *beside)
    )
    return tuple(held)


def _divided(
    item: Term,
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> Term:
    """What each of the devices holds of a term under tensor parallelism: activations, the program
    and a latent cache whole.

    Encoders are divided by default, where they can be: tests/truth/vllm.json, Gemma 3 on four
    devices, Mistral Small 3.1 on two.
    """
    devices = workload.device.devices if workload.device is not None else 1
    shares: dict[int, float] = {}
    if item.is_program or devices == 1:
        return item
    if item.name == "kv_cache":
        most: dict[int, float] = {}
        for each in cached(architecture, row, runtime, workload):
            heads = 1 if each.group.latent else each.group.kv_heads
            shares[heads] = shares.get(heads, 0.0) + each.bytes
            most[heads] = most.get(heads, 0.0) + each.high_bytes
        # the most is where layers with a window keep as many tokens as the others
        share, most_share = held_share(shares, devices), held_share(most, devices)
        return on_each(item, devices, share, most_share)
    if item.name == "weights":
        more = 2 * (subject.spec.parameters.encoders or 0)
        share = share_of_weights(subject, architecture, row, item.bytes, devices)
        return on_each(item, devices, share, joining=(0, 0, more))
    return on_each(item, devices, 1 / devices if item.name == "recurrent_state" else 1.0)


def on_each(
    whole: Term,
    devices: int,
    share: float = 1.0,
    most_share: float | None = None,
    joining: _Three = (0, 0, 0),
) -> Term:
    """What each of several devices holds: a share of it, `most_share` of its high end, and the
    least, likely and most bytes that each takes more for there being others.
    """
    if devices == 1:
        return whole
    line = whole.arithmetic if share == 1 else share_of(f"{share:.12g}", whole.arithmetic)
    least, likely, most = joining
    if likely:
        line = summed(line, f"{likely:,} bytes to talk to the others")
    return whole.replace(
        bytes=likely + _whole_bytes(whole.bytes * share),
        low_bytes=least + _whole_bytes(whole.low_bytes * share),
        high_bytes=most
        + _whole_bytes(whole.high_bytes * (share if most_share is None else most_share)),
        arithmetic=f"{line}; on each of {devices} devices",
    )


def _whole_bytes(size: float) -> int:
    """Rounded up; an error of a thousandth of a byte, as of floats, adds none."""
    return ceil(round(size, 3))


def held_share(sizes: Mapping[int, float], devices: int, whole: float | None = None) -> float:
    """Of bytes by the most devices that share them out, what each of so many holds: 1 where each
    holds them whole, 0 where any number shares them. `whole`: all of it, where more lies beside.
    """
    whole = whole or sum(sizes.values())
    cut = sum(
        size - size / (min(devices, most) if most else devices)
        for most, size in sorted(sizes.items())
        if most != 1
    )
    return 1.0 - cut / whole


def share_of_weights(
    subject: Subject, architecture: Architecture, row: ArchitectureRow, size: int, devices: int
) -> float:
    """Of so many bytes of weights, what each of the devices holds."""
    shares = _shared_weights(architecture, row) if subject.whole else {}
    shares = shares or {0: 1.0}
    beside = table_bytes(architecture, row) / size if subject.whole and size else 0.0
    return held_share(shares, devices, sum(shares.values()) / (1 - beside))


def _shared_weights(architecture: Architecture, row: ArchitectureRow) -> dict[int, float]:
    """Bytes of weights by the most devices that share them out: 1 where each device holds them
    whole, 0 where any number of devices shares them.
    """
    kv_heads = {layer: group.kv_heads for group in architecture.attention for layer in group.layers}
    sizes: dict[int, float] = {}
    for tensor, _, size in typed_tensors(architecture, row):
        most = 0
        if any(part in f"{tensor.name}." for part in _REPLICATED):
            most = 1
        elif tensor.name.endswith(("attn_k.weight", "attn_v.weight")):
            most = kv_heads.get(tensor.layers[0], 0) if tensor.layers else 0
        sizes[most] = sizes.get(most, 0.0) + size
    return sizes


def _with_additions(weights: Term, architecture: Architecture, row: ArchitectureRow) -> Term:
    """The weights with what vLLM keeps beside them."""
    likely, most = _padding(architecture, row, 128), _padding(architecture, row, 256)
    table, line = table_bytes(architecture, row), weights.arithmetic
    if architecture.dtype is None:
        # 16 bits a number whatever the files hold (--dtype auto)
        weights = weights.replace(high_bytes=int(weights.bytes * 1.01))
    if table:
        line = summed(line, f"{table:,} bytes of a table of positions")
    if most:
        note = f"{likely:,} bytes of padded experts; as the Marlin kernels want them"
        line = summed(line, f"{note}, others none, or {most:,} bytes")
    return weights.replace(
        bytes=weights.bytes + table + likely,
        high_bytes=weights.high_bytes + table + most,
        arithmetic=line,
    )


def table_bytes(architecture: Architecture, row: ArchitectureRow) -> int:
    """Bytes of sines and cosines that vLLM keeps for every position, in 16 bits and whole on every
    device: a row for each position that config.json states, trained for or not. Layers that turn
    alike share one table (get_rope of vllm/model_executor/layers/rotary_embedding).
    """
    positions = architecture.rope_positions or architecture.context_tokens
    if not positions or not row.rope or row.positions:
        return 0
    near = _turned_length(architecture, row, windowed=True)
    far = _turned_length(architecture, row, windowed=False)
    if row.window_rope and near and far:
        # scaling is for the others
        return 2 * (positions * far + (architecture.context_tokens or positions) * near)
    return 2 * positions * row.rope_rows * max(near, far)


def _turned_length(architecture: Architecture, row: ArchitectureRow, *, windowed: bool) -> int:
    """How many numbers of a head rotate with its position, in layers with a window or in the
    others; 0 where there are none.
    """
    lengths = [
        (group.rope_length or 0)
        if group.kind == "latent"
        else int(group.key_length * row.rope_share)
        for group in architecture.attention
        if group.kind != "cross" and (group.window_tokens is not None) == windowed
    ]
    return max(lengths, default=0)


def _padding(architecture: Architecture, row: ArchitectureRow, step: int) -> int:
    """Bytes that vLLM's kernels for MXFP4 add: experts get a width in multiples of 256, and a
    length in multiples of `step`, which depends on the kernel.

    vllm/model_executor/layers/quantization/mxfp4.py; its logs of both gpt-oss models say so too
    (tests/truth/vllm.json).
    """
    length = max((group.length for group in architecture.feed_forward if group.experts), default=0)
    if not length or not (architecture.expert_dtype or "").startswith("mxfp4"):
        return 0
    wide = architecture.embedding_length
    padded = (-(-wide // 256) * 256) * (-(-length // step) * step)
    return int(
        stored_types(architecture, row).get(architecture.expert_dtype or "", 0.0)
        * (padded / (wide * length) - 1)
    )
