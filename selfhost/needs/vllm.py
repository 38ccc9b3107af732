"""What vLLM holds on a device beside weights and cache, and how it divides a model.

It measures this when it starts, and takes it from the share of the device that it may use. That is
one pass over as many tokens and sequences as it works on at once, with sampling; the CUDA graphs
that it captures; and what no allocator of PyTorch counts. The first context of a process is outside
of that share (vllm/v1/worker/gpu_worker.py, init_snapshot). Read from vllm 0.33.0 and held against
logs of 0.19: `tests/truth/vllm.json`. Before 0.17 sampling took 39 bytes a logit.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from ..catalogue.quantization_names import scheme_of
from ..catalogue.spec import Architecture, RuntimeSpec
from ..core.units import GIB, MIB
from .kept import cached, overhead
from .loaded import stored_types, typed_tensors, width_of
from .parts import Asked, Subject, term, times
from .records import Device, How, Split, Term, share_of, summed
from .tensors import ArchitectureRow, checkpoint_tensors

_SOURCE = (
    "vllm 0.33.0, profile_run and _dummy_sampler_run; logs of vLLM 0.19, tests/truth/vllm.json"
)


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
# 3.1, six times; not of others, for whose pictures the largest may be many times as large. Of
# LLaVA, with pictures of 336 points, no more
_SEEING, _SEEING_LOGGED = (0, GIB // 4, 2 * GIB), (0, GIB // 5, GIB // 2)


def _one_pass(
    architecture: Architecture,
    row: ArchitectureRow,
    batch: tuple[int, int],
    width: int,
    *,
    encodes: bool,
    sees: bool,
) -> tuple[tuple[int, int, int], str]:
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
    seeing = (0, 0, 0)
    if sees:
        seeing = _SEEING_LOGGED if row.vllm_pictures_logged else _SEEING
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


def terms(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> list[Term]:
    """One pass over the longest prompt with its sampling, and the program."""
    encodes, device = subject.spec.modality == "embedding", workload.device
    pass_term = activations(
        architecture,
        row,
        workload.parallel,
        width_of(architecture, runtime, workload.quantization),
        # a text is read whole where each token sees all others (vllm/config/model.py,
        # is_chunked_prefill_supported)
        whole_tokens=workload.context_tokens if encodes and row.encoder else 0,
        encodes=encodes,
        sees=bool(subject.spec.parameters.encoders) and not subject.text_alone,
        is_large=device is not None and device.is_large,
    )
    return [pass_term, *on_devices(program(architecture, device, encodes=encodes), runtime, device)]


def on_devices(program: Term, runtime: RuntimeSpec, device: Device | None) -> list[Term]:
    """What a program takes of a device, and in RAM beside it."""
    if device is None:
        return [program]
    return [program.replace(split=Split.EACH), overhead(runtime).replace(split=Split.HOST)]


def activations(
    architecture: Architecture,
    row: ArchitectureRow,
    sequences: int,
    width: int,
    *,
    whole_tokens: int,
    encodes: bool,
    sees: bool,
    is_large: bool = False,
) -> Term:
    """One pass; `is_large`: on a device of 70 GiB or more. `whole_tokens`: of a text that cannot be
    read in pieces, else 0.
    """
    kinds = {"encodes": encodes, "sees": sees}
    tokens, number = _LARGE if is_large else _SMALL
    most_tokens, number = _LARGEST_TOKENS if is_large else tokens, max(number, sequences)
    batch, wider = (max(tokens, whole_tokens), number), (max(most_tokens, whole_tokens), number)
    (low, likely, high), line = _one_pass(architecture, row, batch, width, **kinds)
    high = max(high, _one_pass(architecture, row, wider, width, **kinds)[0][2])
    how = How.ASSUMED if sees or architecture.recurrent else How.COMPUTED
    return term("activations", likely, how, _SOURCE, line, low=low, high=high)


def _graph_sizes(architecture: Architecture, *, encodes: bool) -> tuple[int, int, int]:
    """MiB of graphs for each layer: least, likely and most."""
    if encodes:
        return _GRAPH_LAYER_POOLED
    mixture = any(group.experts for group in architecture.feed_forward)
    if mixture or any(group.kind == "latent" for group in architecture.attention):
        return _GRAPH_LAYER_MIXED
    return _GRAPH_LAYER_RECURRENT if architecture.recurrent else _GRAPH_LAYER


def program(architecture: Architecture, device: Device | None, *, encodes: bool) -> Term:
    """Graphs, and what is not PyTorch's, on a device."""
    device, layers = device or Device(), architecture.layers
    joining = _TOGETHER if device.devices > 1 else (0, 0, 0)
    least, beside, most = _BESIDE_TORCH
    rest = f"{beside:,} bytes beside PyTorch"
    if device.is_lean:
        line = f"{rest}; --enforce-eager makes no graphs"
        lean = term("runtime", beside, How.STATED, _SOURCE, line, low=least, high=most)
        return on_each(lean, device.devices, joining=joining)
    how = How.ASSUMED if encodes or architecture.recurrent else How.STATED
    by_layer = [MIB * size for size in _graph_sizes(architecture, encodes=encodes)]
    low, likely, high = (
        layers * size + beside for size, beside in zip(by_layer, _BESIDE_TORCH, strict=True)
    )
    line = f"{times(layers, 'layer')} × {by_layer[1]:,} bytes of CUDA graphs + {rest}"
    widest = max(
        (
            group.heads * (group.value_length or 0)
            for group in architecture.attention
            if group.kind != "latent"
        ),
        default=0,
    )
    parts = 0 if encodes else _SPLITS * _GRAPH_TOKENS * widest * 4
    if parts and device.is_large:
        likely += parts
        line += (
            f" + {_SPLITS} × {_GRAPH_TOKENS} tokens × {widest:,} × 4 bytes for parts of attention"
        )
    whole = term("runtime", likely, how, _SOURCE, line, low=low, high=high + parts)
    return on_each(whole, device.devices, joining=joining)


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


def divided(
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
    joining: tuple[int, int, int] = (0, 0, 0),
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


def with_additions(
    weights: Term,
    architecture: Architecture,
    row: ArchitectureRow,
    *,
    own: bool,
    unneeded_bytes: int,
) -> Term:
    """The weights with what vLLM keeps beside them. `own`: they are in the type that the model is
    published in. `unneeded_bytes` of the files are not loaded.
    """
    how, line = weights.how, weights.arithmetic
    size, high = weights.bytes, weights.high_bytes
    if own and architecture.dtype is None:
        how, high = How.COMPUTED, int(size * 1.01)
        line += "; 16 bits a number whatever the files hold (--dtype auto)"
    if architecture.tied_embeddings:
        high -= unneeded_bytes
    table = table_bytes(architecture, row)
    if table:
        size, high = size + table, high + table
        line = summed(line, f"{table:,} bytes of a table of positions")
    likely, most = _padding(architecture, row, 128), _padding(architecture, row, 256)
    if most:
        size, high = size + likely, high + most
        line = summed(
            line,
            f"{likely:,} bytes of padded experts; as the Marlin kernels want them, others none,"
            f" or {most:,} bytes",
        )
    return term("weights", size, how, weights.source, line, low=weights.low_bytes, high=high)


def table_bytes(architecture: Architecture, row: ArchitectureRow) -> int:
    """Bytes of sines and cosines that vLLM keeps for every position, in 16 bits and whole on every
    device.

    Layers that turn alike share one table (get_rope of
    vllm/model_executor/layers/rotary_embedding). The table has a row for each position that
    config.json states, trained for or not. Logs of Gemma 3, whose linear scaling makes the table
    eight times as long, agree.
    """
    positions = architecture.rope_positions or architecture.context_tokens
    if not positions or not row.rope:
        return 0
    if any(
        tensor.name.startswith("position_embd") for tensor in checkpoint_tensors(architecture, row)
    ):
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
