"""What vLLM and SGLang hold on a device beside weights and cache, and how they divide a model.

vLLM measures this when it starts, and takes it from the share of the device that it may use: one
pass over as many tokens and sequences as it works on at once, with sampling; the CUDA graphs that
it captures; and what no allocator of PyTorch counts. Read from vllm 0.33.0 and held against logs of
0.19: `tests/truth/vllm.json`.

SGLang measures nothing. What it leaves free follows from the size of the device, the tokens that it
reads at once and the sequences of its largest graph, unless --mem-fraction-static says otherwise.
Read from sglang 0.5.23, srt/arg_groups/memory_hook.py; logs: `tests/truth/sglang.json`.

Triples are least, likely and most.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from ..catalogue.architecture import Architecture
from ..catalogue.quantization_names import scheme_of
from ..core.units import GIB, MIB
from .cache import cache_sizes
from .case import Case, overhead
from .checkpoints import stored_types, typed_tensors
from .records import Device, How, Split, Term, share_of, summed, term, times

_Three = tuple[int, int, int]


def terms_of_server(case: Case) -> list[Term]:
    """The work on a prompt, and the program on a device and in RAM beside it."""
    device = case.device or Device()
    if case.runtime.reserves_by_device:
        work, (low, likely, high) = _left_free(case, device), _CONTEXT
        line = f"{likely:,} bytes of a CUDA context"
        context = term("runtime", likely, How.STATED, _SGLANG, line, low=low, high=high)
        program = on_each(context, device.devices, communication=_SGLANG_COMMUNICATION)
    else:
        work, program = _profiled(case, device), _graphs(case, device)
    if case.device is None:
        return [work, program]
    beside = overhead(case.runtime).replace(split=Split.HOST)
    return [work, program.replace(split=Split.EACH), beside]


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
# an AMD card; 18 to 31 of recurrent layers (vLLM's pull request 39559); pooling models are captured
# in pieces alone, with half as many graphs, or not at all (pull request 48214)
_GRAPH_LAYER, _GRAPH_LAYER_MIXED = (11, 20, 25), (11, 26, 72)
_GRAPH_LAYER_RECURRENT, _GRAPH_LAYER_POOLED = (11, 20, 32), (0, 10, 17)
# what FlashAttention 3 accumulates in on a large device, in float32 for every head, in so many
# parts of as many tokens as the largest graph: flash_attn_max_num_splits_for_cuda_graph of
# vllm/config/attention.py. It is what two and four devices had less of; on others and in other
# kernels it may be
_SPLITS, _GRAPH_TOKENS = 32, 512
# beside PyTorch, on one device: 0.24 to 0.46 GiB were logged with 0.19, 0.13 before it
_BESIDE_TORCH = (MIB * 130, MIB * 256, MIB * 480)
# what each of several devices has of it more, for NCCL and its buffers: 1.8 to 2 GiB were logged
# with 0.19, 0.4 before it; the least, where cards are not joined, is assumed
_COMMUNICATION = (MIB * 64, GIB, 2 * GIB)
# an encoder on its largest pictures: 0.1 to 0.26 GiB more were logged of Gemma 3 and Mistral Small
# 3.1; not of others, for whose pictures the largest may be many times as large
_SEEING = (0, GIB // 4, 2 * GIB)


def _profiled(case: Case, device: Device) -> Term:
    """One pass over the longest prompt with its sampling. A text is read whole where each token
    sees all others (vllm/config/model.py, is_chunked_prefill_supported); of one that is embedded no
    token is sampled.
    """
    sees = bool(case.encoders) and not case.text_alone
    (tokens, sequences), most = (_SMALL, _SMALL[0])
    if device.is_large:
        (tokens, sequences), most = _LARGE, _LARGEST_TOKENS
    whole = case.context_tokens if case.embeds and case.row.encoder else 0
    # `lean_option` bounds the sequences, too
    usual = max(0 if device.is_lean else sequences, case.parallel)
    sampled = 0 if case.embeds else int(case.setting("sequences_sampled") or usual)
    (low, likely, _), line = _one_pass(case, max(tokens, whole), sampled)
    (_, _, high), _ = _one_pass(case, max(most, whole), sampled)
    if sees:
        low, likely, high = low + _SEEING[0], likely + _SEEING[1], high + _SEEING[2]
        line += f" + {_SEEING[1]:,} bytes of the encoder"
    how = How.ASSUMED if sees or case.model.recurrent else How.COMPUTED
    return term("activations", likely, how, _VLLM, line, low=low, high=high)


def _one_pass(case: Case, tokens: int, sampled: int) -> tuple[_Three, str]:
    """What a pass over so many tokens holds, of which `sampled` are sampled, and the line of the
    likely figure: the widest layer without routed experts, or sampling. What each chosen expert
    reads, makes and gives stays from the first pass on (vllm/v1/worker/workspace.py).
    """
    architecture, width = case.model, case.width
    wide, vocabulary = architecture.embedding_length, architecture.vocabulary or 0
    states = max((group.inner_length or 0 for group in architecture.recurrent), default=0)
    inner, kept = states, 0
    for group in architecture.feed_forward:
        inner = max(inner, (group.shared_length or 0) if group.experts else group.length)
        if group.experts:
            each = max(2 * group.length, wide) + group.length
            kept = max(kept, tokens * (group.used or 1) * each * width)
    layer = tokens * (3 * inner + _WIDTHS * wide) * width
    line = f"{tokens:,} tokens × (3 × {inner:,} + {_WIDTHS} × {wide:,}) × {width} bytes"
    least, likely, most, words = 0, 0, 0, sampled * vocabulary
    if words:
        none, some, many = (
            vocabulary * 4 * number + tokens * wide * width + _CONSTANT
            for number in _MULTIPROCESSORS
        )
        least, likely, most = words * _LOGIT_FUSED + none, words * _LOGIT, words * _LOGIT + many
        if likely + some > layer:
            line = f"{words:,} × {_LOGIT} bytes of logits + {some:,} bytes beside them"
        likely += some
    if kept:
        line += f" + {kept:,} bytes of experts' inputs and outputs"
    # the scan of recurrent layers in float32; not logged alone
    most = max(layer, most) * 11 // 10 + 32 * tokens * states + kept * 3 // 2
    return (max(layer * 8 // 10, least), max(layer, likely) + kept, most), line


def _graphs(case: Case, device: Device) -> Term:
    """Graphs, and what is not PyTorch's, on a device."""
    architecture = case.model
    low, likely, high = _BESIDE_TORCH
    line, how, layers = f"{likely:,} bytes beside PyTorch", How.STATED, architecture.layers
    if device.is_lean:
        line += "; --enforce-eager makes no graphs"
    else:
        plain = [group for group in architecture.attention if group.kind != "latent"]
        sparse = any(group.experts for group in architecture.feed_forward)
        each = _GRAPH_LAYER_RECURRENT if architecture.recurrent else _GRAPH_LAYER
        if len(plain) < len(architecture.attention) or sparse:
            each = _GRAPH_LAYER_MIXED
        if case.embeds:
            each = _GRAPH_LAYER_POOLED
        how = How.ASSUMED if case.embeds or architecture.recurrent else how
        line = f"{times(layers, 'layer')} × {each[1] * MIB:,} bytes of CUDA graphs + {line}"
        widest = max((group.heads * group.value_length for group in plain), default=0)
        parts = 0 if case.embeds else _SPLITS * _GRAPH_TOKENS * widest * 4
        low, likely = low + layers * each[0] * MIB, likely + layers * each[1] * MIB
        high += layers * each[2] * MIB + parts
        if parts and device.is_large:
            likely += parts
            line += f" + {parts:,} bytes for parts of attention"
    whole = term("runtime", likely, how, _VLLM, line, low=low, high=high)
    return on_each(whole, device.devices, communication=_COMMUNICATION)


_SGLANG = (
    "sglang 0.5.23, handle_gpu_memory_settings: the default of --mem-fraction-static;"
    " logs, tests/truth/sglang.json"
)
# GiB of a device at least, and MiB that it leaves of it, likely and most (for latent attention):
# of the program, of the tokens of a prompt read at once, of graphs of prompts, and of the sequences
# of its largest graph, 2 MiB each
_KINDS = (
    (0, 4064, 5264), (20, 7280, 8416), (35, 7248, 8384), (60, 13_904, 14_976),
    (160, 26_832, 27_776),
)  # fmt: skip
# the kind of GPUs that share the RAM and have builds of it, as a GB10's; that of the smallest is
# what `lean_option` of specs/runtimes/sglang.toml asks for; on 60 GiB it leaves at least so much
_OF_SHARED, _LARGE_GIB, _LARGE_LEAST = 3, 60, 10 * 1024
# of a model that sees it leaves this share of the rest free, by the size of its encoder: least,
# likely and most
_KEPT_FOR_ENCODERS = (0.0, 0.06, 0.3)
# releases since 0.5.3 leave up to a sixth less (tests/truth/sglang.json): they count no graphs of
# prompts
_EARLIER = 5 / 6
# a context of CUDA with its libraries, and what a driver keeps of the size that it tells: 0.5 to
# 1.2 GiB were missing before weights were loaded, of cards of 16 to 80 GB
_CONTEXT = (MIB * 550, MIB * 900, MIB * 1150)
# what each of several devices has of it more: NCCL and its buffers, 1.8 to 2 GiB were logged of
# eight; with four or more the graphs are larger, too
_SGLANG_COMMUNICATION = (MIB * 192, MIB * 1280, MIB * 3072)


def _left_free(case: Case, device: Device) -> Term:
    """What it leaves free for its work of what it may take of that device: more on a larger one,
    and of one that others hold a part of the same share of what is free.
    """
    total, room = device.total_bytes, device.room_bytes
    kind = [each for each in _KINDS if each[0] * GIB <= (total or 0)][-1]
    kind = kind if total else _KINDS[_OF_SHARED]
    least = _LARGE_LEAST if kind[0] >= _LARGE_GIB else 0
    size, most = (max(mib, least) * MIB for mib in (_KINDS[0] if device.is_lean else kind)[1:])
    line = f"{size:,} bytes"
    if not total or room is None:
        low = int(_KINDS[0][1] * MIB * _EARLIER)
        line += f"; on a device of {kind[0]} GiB or more, by its size"
        return term("activations", size, How.ASSUMED, _SGLANG, line, low=low, high=most)
    # what stays free of the room once weights and cache fill the rest
    free = min(total, total if device.free_bytes is None else device.free_bytes)
    sees = bool(case.encoders) and not case.text_alone
    shares = _KEPT_FOR_ENCODERS if sees else (0.0, 0.0, 0.0)
    low, likely, high = (
        max(0, int(room - free * (1 - left / total) * (1 - kept)))
        for left, kept in zip((int(size * _EARLIER), size, most), shares, strict=True)
    )
    line = f"{room:,} bytes - {free:,} × (1 - {size:,} / {total:,})"
    line += f" × (1 - {shares[1]}); the rest of what it may take"
    line = line if likely else "0 bytes"
    return term("activations", likely, How.ASSUMED, _SGLANG, line, low=low, high=high)


# sizes of tensor parallelism that machines have; vllm 0.33.0, vllm/config/model.py: they must
# divide the attention heads
TENSOR_PARALLEL = (2, 4, 8)
# every device holds these whole: ReplicatedLinear of vllm/model_executor/models/deepseek_v2.py,
# routers, tables of positions
_REPLICATED = (
    "attn_q_a.", "attn_kv_a_mqa.", "indexer.", "ffn_gate_inp.", "position_embd.", "norm.",
)  # fmt: skip


def devices_of(architecture: Architecture, quantization: str) -> tuple[int, ...]:
    """Over how many devices vLLM can divide the model, beside one.

    The number divides the attention heads; it divides the KV heads, or they divide it and are held
    more than once (asserted in its models); lengths of the feed-forward come in whole blocks or
    groups of a quantization (vllm/model_executor/layers/quantization: fp8.py, awq.py, gptq.py).
    """
    scheme, step = scheme_of(quantization), 1
    if scheme is not None:
        architecture = architecture.packed_with(scheme.method)
        if scheme.method in ("awq", "gptq", "w4a16"):
            step = scheme.group or 1
    if "float8_e4m3_128x128" in (architecture.matrix_dtype, architecture.expert_dtype):
        step = 128
    return tuple(number for number in TENSOR_PARALLEL if _divides(number, architecture, step))


def _divides(number: int, architecture: Architecture, step: int) -> bool:
    for attention in architecture.attention:
        kv_heads = 1 if attention.kind == "latent" else attention.kv_heads
        if attention.heads % number or (kv_heads % number and number % kv_heads):
            return False
    return not any(
        length % (number * step)
        for group in architecture.feed_forward
        for length in (group.length, group.shared_length or 0)
    )


def on_each_device(case: Case, weights: Term, beside: list[Term]) -> tuple[Term, ...]:
    """What each of the devices holds under tensor parallelism: activations, the program and a
    latent cache whole.

    Encoders are divided by default, where they can be: tests/truth/vllm.json, Gemma 3 on four
    devices, Mistral Small 3.1 on two.
    """
    if case.whole:
        weights = _with_additions(case, weights)
    devices = case.device.devices if case.device is not None else 1
    if devices == 1:
        return weights, *beside
    more = (0, 0, 2 * case.encoders)
    held = [on_each(weights, devices, _share_of_weights(case, devices), communication=more)]
    for item in beside:
        if item.name == "kv_cache":
            caches = cache_sizes(case)
            # the most is where layers with a window keep as many tokens as the others
            share = _held_share(((each.heads, each.bytes) for each in caches), devices)
            most = _held_share(((each.heads, each.high_bytes) for each in caches), devices)
            item = on_each(item, devices, share, most)
        elif not item.is_program:
            item = on_each(item, devices, 1 / devices if item.name == "recurrent_state" else 1.0)
        held.append(item)
    return tuple(held)


def on_each(
    whole: Term,
    devices: int,
    share: float = 1.0,
    most_share: float | None = None,
    communication: _Three = (0, 0, 0),
) -> Term:
    """What each of several devices holds: a share of it, `most_share` of its high end, and the
    least, likely and most bytes that each takes more for there being others.
    """
    if devices == 1:
        return whole
    line = whole.arithmetic if share == 1 else share_of(f"{share:.12g}", whole.arithmetic)
    if communication[1]:
        line = summed(line, f"{communication[1]:,} bytes to talk to the others")
    most = share if most_share is None else most_share
    sizes = (whole.low_bytes, share), (whole.bytes, share), (whole.high_bytes, most)
    # rounded up; an error of a thousandth of a byte, as of floats, adds none
    low, likely, high = (
        more + ceil(round(size * part, 3))
        for more, (size, part) in zip(communication, sizes, strict=True)
    )
    line = f"{line}; on each of {devices} devices"
    return whole.replace(bytes=likely, low_bytes=low, high_bytes=high, arithmetic=line)


def _held_share(sizes: Iterable[tuple[int, float]], devices: int) -> float:
    """Of bytes by the most devices that share them out, what each of so many holds: 1 where each
    holds them whole, 0 where any number shares them.
    """
    total = held = 0.0
    for most, size in sizes:
        total += size
        held += size if most == 1 else size / (min(devices, most) if most else devices)
    return held / total


def _share_of_weights(case: Case, devices: int) -> float:
    """What each of the devices holds of the weights."""
    if not case.whole:
        return 1 / devices
    kv_heads = {layer: part.kv_heads for part in case.model.attention for layer in part.layers}
    shares: list[tuple[int, float]] = [(1, _table_bytes(case))]
    for tensor, _, tensor_bytes in typed_tensors(case.model, case.row):
        most = 0
        if any(part in f"{tensor.name}." for part in _REPLICATED):
            most = 1
        elif tensor.name.endswith(("attn_k.weight", "attn_v.weight")) and tensor.layers:
            most = kv_heads.get(tensor.layers[0], 0)
        shares.append((most, tensor_bytes))
    return _held_share(shares, devices)


def _with_additions(case: Case, weights: Term) -> Term:
    """The weights with what vLLM keeps beside them: a table of positions, and padded experts."""
    architecture, line = case.model, weights.arithmetic
    table, likely, most = _table_bytes(case), 0, 0
    if architecture.dtype is None:
        # 16 bits a number whatever the files hold (--dtype auto)
        weights = weights.replace(high_bytes=int(weights.bytes * 1.01))
    if table:
        line = summed(line, f"{table:,} bytes of a table of positions")
    if (architecture.expert_dtype or "").startswith("mxfp4"):
        # its kernels give them a width in multiples of 256, and a length of 128 or 256
        # (layers/quantization/mxfp4.py; its logs of both gpt-oss models)
        experts = stored_types(architecture, case.row).get(architecture.expert_dtype or "", 0.0)
        wide = architecture.embedding_length
        length = max(group.length for group in architecture.feed_forward if group.experts)
        likely, most = (
            int(experts * (-(-wide // 256) * 256 * -(-length // step) * step / wide / length - 1))
            for step in (128, 256)
        )
    if most:
        note = f"{likely:,} bytes of padded experts; as the Marlin kernels want them"
        line = summed(line, f"{note}, others none, or {most:,} bytes")
    return weights.replace(
        bytes=weights.bytes + table + likely,
        high_bytes=weights.high_bytes + table + most,
        arithmetic=line,
    )


def _table_bytes(case: Case) -> int:
    """Bytes of sines and cosines that vLLM keeps for every position, in 16 bits and whole on every
    device: a row for each position that config.json states, trained for or not, as long as what
    rotates of a head (get_rope of vllm/model_executor/layers/rotary_embedding).
    """
    architecture, row = case.model, case.row
    positions = architecture.rope_positions or architecture.context_tokens
    if not positions or not row.rope or row.positions:
        return 0
    turned = [
        (group.rope_length or 0)
        if group.kind == "latent"
        else int(group.key_length * row.rope_share)
        for group in architecture.attention
        if group.kind != "cross"
    ]
    return 2 * positions * row.rope_rows * max(turned, default=0)
