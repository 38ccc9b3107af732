"""What vLLM and SGLang hold on a device beside weights and cache, and how they divide a model.

What goes in: a case, whose device is one of several alike. What comes out: the work on a prompt and
the program on each device, and what each device holds of the weights and caches. The constants are
`[vllm]` and `[sglang]` of specs/common/memory.toml; triples are least, likely, most.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..catalogue.architecture import Architecture
from ..catalogue.spec_values import scheme_of
from ..core.records import Record
from ..core.tables import TomlRow, shipped_table
from ..core.units import GIB, MIB, plural
from .cache import cache_sizes
from .case import Case, overhead
from .checkpoints import typed_tensors
from .records import (
    PROGRAMS,
    TENSOR_PARALLEL,
    Device,
    How,
    Split,
    Term,
    share_by_device,
    summed,
    term,
)

_VLLM = shipped_table("memory")["vllm"]
_SGLANG = shipped_table("memory")["sglang"]


class _Size(NamedTuple):
    """Bytes, at least, likely and at most."""

    least: int
    likely: int
    most: int


def _in_mib(table: TomlRow, key: str) -> _Size:
    """A size that the table states in MiB."""
    return _Size(*(size * MIB for size in table[key]))


# ------------------------------------------------------------------ beside weights and cache


def terms_of_server(case: Case) -> list[Term]:
    """The work on a prompt, and the program on a device and in RAM beside it."""
    device = case.device or Device()
    if case.runtime.memory.reserves_by_device:
        work, program = _left_free(case, device), _context()
        communication = _in_mib(_SGLANG, "communication")
    else:
        work, program = _longest_prompt(case, device), _graphs(case, device)
        communication = _in_mib(_VLLM, "communication")
    program = share_by_device(program, device.devices, communication=communication)
    if case.device is None:
        return [work, program]
    beside = overhead(case.runtime).replace(split=Split.HOST)
    return [work, program.replace(split=Split.EACH), beside]


def _context() -> Term:
    size = _in_mib(_SGLANG, "context")
    line = f"{size.likely:,} bytes of a CUDA context"
    source = _SGLANG["source"]
    ends = {"low": size.least, "high": size.most}
    return term("runtime", size.likely, How.STATED, source, line, **ends)


def _longest_prompt(case: Case, device: Device) -> Term:
    """One pass of vLLM over the longest prompt with its sampling.

    A text is read whole where each token sees all others (vllm/config/model.py,
    is_chunked_prefill_supported); of one that is embedded no token is sampled.
    """
    batch = _VLLM["large"] if device.is_large else _VLLM["small"]
    whole = case.context_tokens if case.embeds and case.row.encoder else 0
    # the option `lean` bounds the sequences, too
    usual = case.workload.parallel
    if not device.is_lean:
        usual = max(batch["sequences"], usual)
    sampled = 0
    if not case.embeds:
        sampled = int(case.settings.get("sequences_sampled") or usual)
    likely_pass = _one_pass(case, max(batch["tokens"], whole), sampled)
    largest_pass = _one_pass(case, max(batch["most_tokens"], whole), sampled)
    low, likely, high = (
        likely_pass.size.least,
        likely_pass.size.likely,
        largest_pass.size.most,
    )
    line = likely_pass.arithmetic
    sees = bool(case.encoders) and not case.text_alone
    if sees:
        seeing = _in_mib(_VLLM, "seeing")
        low += seeing.least
        likely += seeing.likely
        high += seeing.most
        line += f" + {seeing.likely:,} bytes of the encoder"
    how = How.ASSUMED if sees or case.model.recurrent else How.COMPUTED
    source = _VLLM["source"]
    return term("activations", likely, how, source, line, low=low, high=high)


class _Pass(Record):
    """What a pass over tokens holds, and the line of the likely figure."""

    size: _Size
    arithmetic: str


def _one_pass(case: Case, tokens: int, sampled: int) -> _Pass:
    """What a pass over so many tokens holds, of which `sampled` are sampled.

    The widest layer without routed experts, or sampling. What each chosen expert reads, makes and
    gives stays from the first pass on (vllm/v1/worker/workspace.py).
    """
    model, width, widths = case.model, case.width, _VLLM["widths"]
    wide, vocabulary = model.embedding_length, model.vocabulary or 0
    states = 0
    for recurrent in model.recurrent:
        states = max(states, recurrent.inner_length or 0)
    inner, kept = states, 0
    for feed in model.feed_forward:
        if not feed.experts:
            inner = max(inner, feed.length)
            continue
        inner = max(inner, feed.shared_length or 0)
        of_expert = max(2 * feed.length, wide) + feed.length
        chosen = feed.used or 1
        kept = max(kept, tokens * chosen * of_expert * width)
    layer = tokens * (3 * inner + widths * wide) * width
    line = f"{tokens:,} tokens × (3 × {inner:,} + {widths} × {wide:,}) × {width} bytes"
    sampling, logits = _Size(0, 0, 0), sampled * vocabulary
    if logits:
        beside = tokens * wide * width + _VLLM["constant_bytes"]
        scratch = _Size(
            *(vocabulary * 4 * n + beside for n in _VLLM["multiprocessors"])
        )
        logit_bytes = _VLLM["logit_bytes"]
        sampling = _Size(
            logits * _VLLM["fused_logit_bytes"] + scratch.least,
            logits * logit_bytes + scratch.likely,
            logits * logit_bytes + scratch.most,
        )
        if sampling.likely > layer:
            line = f"{logits:,} × {logit_bytes} bytes of logits"
            line += f" + {scratch.likely:,} bytes beside them"
    if kept:
        line += f" + {kept:,} bytes of experts' inputs and outputs"
    # the scan of recurrent layers in float32; not logged alone
    scan = 32 * tokens * states
    size = _Size(
        max(layer * 8 // 10, sampling.least),
        max(layer, sampling.likely) + kept,
        max(layer, sampling.most) * 11 // 10 + scan + kept * 3 // 2,
    )
    return _Pass(size=size, arithmetic=line)


def _graphs(case: Case, device: Device) -> Term:
    """Graphs, and what is not PyTorch's, on a device."""
    model, source = case.model, _VLLM["source"]
    low, likely, high = _in_mib(_VLLM, "beside_torch")
    line = f"{likely:,} bytes beside PyTorch"
    if device.is_lean:
        line += "; --enforce-eager makes no graphs"
        ends = {"low": low, "high": high}
        return term("runtime", likely, How.STATED, source, line, **ends)
    graph = _Size(*(size * MIB for size in _VLLM["graph_layer"][_kind_of_graph(case)]))
    how = How.ASSUMED if case.embeds or model.recurrent else How.STATED
    line = f"{plural(model.layers, 'layer')} × {graph.likely:,} bytes of CUDA graphs + {line}"
    parts = 0
    if not case.embeds:
        for group in model.attention:
            if group.kind != "latent":
                parts = max(parts, group.heads * group.value_length)
        parts *= _VLLM["split_tokens"] * 4
    low += model.layers * graph.least
    likely += model.layers * graph.likely
    high += model.layers * graph.most + parts
    if parts and device.is_large:
        likely += parts
        line += f" + {parts:,} bytes for parts of attention"
    return term("runtime", likely, how, source, line, low=low, high=high)


def _kind_of_graph(case: Case) -> str:
    """Which row of `graph_layer` has the graphs of one layer."""
    model = case.model
    if case.embeds:
        return "pooled"
    if model.has_experts or any(group.kind == "latent" for group in model.attention):
        return "mixed"
    return "recurrent" if model.recurrent else "plain"


class _Kind(NamedTuple):
    """Devices of so many GiB or more, and the MiB that SGLang leaves free there."""

    gib: int
    likely_mib: int
    most_mib: int


def _left_free(case: Case, device: Device) -> Term:
    """What SGLang leaves free for its work: more on a larger device."""
    total, room = device.total_bytes, device.room_bytes
    kinds = [_Kind(*kind) for kind in _SGLANG["kinds"]]
    kind = kinds[_SGLANG["shared"]]
    if total:
        kind = [kind for kind in kinds if kind.gib * GIB <= total][-1]
    large, least_mib = _SGLANG["large"]
    if kind.gib < large:
        least_mib = 0
    left = kinds[0] if device.is_lean else kind
    size = max(left.likely_mib, least_mib) * MIB
    most = max(left.most_mib, least_mib) * MIB
    earlier, source = _SGLANG["earlier"], _SGLANG["source"]
    if not total or room is None:
        low = int(kinds[0].likely_mib * MIB * earlier)
        line = f"{size:,} bytes; on a device of {kind.gib} GiB or more, by its size"
        ends = {"low": low, "high": most}
        return term("activations", size, How.ASSUMED, source, line, **ends)
    # what stays free of the room once weights and cache fill the rest
    free = total
    if device.free_bytes is not None:
        free = min(total, device.free_bytes)
    sees = case.encoders and not case.text_alone
    shares = _SGLANG["encoders"] if sees else (0.0, 0.0, 0.0)
    by_end = list[int]()
    for bytes_left, share in zip(
        (int(size * earlier), size, most), shares, strict=True
    ):
        held = free * (1 - bytes_left / total) * (1 - share)
        by_end.append(max(0, int(room - held)))
    low, likely, high = by_end
    line = "0 bytes"
    if likely:
        line = f"{room:,} bytes - {free:,} × (1 - {size:,} / {total:,})"
        line += f" × (1 - {shares[1]}); the rest of what it may take"
    ends = {"low": low, "high": high}
    return term("activations", likely, How.ASSUMED, source, line, **ends)


# ------------------------------------------------------------------ a model divided


def devices_of(architecture: Architecture, quantization: str) -> tuple[int, ...]:
    """Over how many devices vLLM can divide the model, beside one.

    The number divides the heads; it divides the KV heads or they divide it; lengths of the
    feed-forward come in whole blocks or groups (vllm/model_executor/layers/quantization: fp8.py,
    awq.py, gptq.py).
    """
    step = 1
    scheme = scheme_of(quantization)
    if scheme is not None:
        architecture = architecture.packed_with(scheme.method)
        if scheme.method in ("awq", "gptq", "w4a16"):
            step = scheme.group or 1
    if "float8_e4m3_128x128" in (architecture.matrix_dtype, architecture.expert_dtype):
        step = 128
    whole: list[float] = [group.heads for group in architecture.attention]
    for feed in architecture.feed_forward:
        whole += [feed.length / step, (feed.shared_length or 0) / step]
    shared = list[int]()
    for group in architecture.attention:
        shared.append(1 if group.kind == "latent" else group.kv_heads)
    numbers = list[int]()
    for number in TENSOR_PARALLEL:
        if any(size % number for size in whole):
            continue
        if not any(heads % number and number % heads for heads in shared):
            numbers.append(number)
    return tuple(numbers)


def terms_by_device(case: Case, weights: Term, beside: list[Term]) -> tuple[Term, ...]:
    """What each of the devices holds: activations, the program and a latent cache whole.

    Encoders are divided where they can be (tests/truth/vllm.json: Gemma 3, Mistral Small 3.1).
    """
    devices = 1 if case.device is None else case.device.devices
    weights = _with_additions(case, weights)
    if devices == 1:
        return weights, *beside
    part = _share_of_weights(case, devices) if case.whole else 1 / devices
    more = (0, 0, 2 * case.encoders)
    held = [share_by_device(weights, devices, part, communication=more)]
    for item in beside:
        if item.name == "kv_cache":
            caches = cache_sizes(case)
            share = _held_share(((each.heads, each.bytes) for each in caches), devices)
            # the most is where layers with a window keep as many tokens as the others
            larger = ((each.heads, each.high_bytes) for each in caches)
            most = _held_share(larger, devices)
            held.append(share_by_device(item, devices, share, most))
        elif item.name in PROGRAMS:
            held.append(item)
        else:
            share = 1 / devices if item.name == "recurrent_state" else 1.0
            held.append(share_by_device(item, devices, share))
    return tuple(held)


def _share_of_weights(case: Case, devices: int) -> float:
    """What each device holds of the weights: some tensors whole, keys and values by their heads."""
    kv_heads = dict[int, int]()
    for group in case.model.attention:
        kv_heads.update(dict.fromkeys(group.layers, group.kv_heads))
    sizes: list[tuple[int, float]] = [(1, _table_bytes(case))]
    for tensor, _, tensor_bytes in typed_tensors(case.model):
        most_devices = 0
        if any(name in f"{tensor.name}." for name in _VLLM["replicated"]):
            most_devices = 1
        elif tensor.layers and tensor.name.endswith(("attn_k.weight", "attn_v.weight")):
            most_devices = kv_heads.get(tensor.layers[0], 0)
        sizes.append((most_devices, tensor_bytes))
    return _held_share(sizes, devices)


def _held_share(sizes: Iterable[tuple[int, float]], devices: int) -> float:
    """What each of so many devices holds of bytes that at most some number share (0: any)."""
    total = held = 0.0
    for most, size in sizes:
        total += size
        held += size if most == 1 else size / (min(devices, most) if most else devices)
    return held / total


def _with_additions(case: Case, weights: Term) -> Term:
    """The weights with what vLLM keeps beside them: a table of positions, and padded experts."""
    if not case.whole:
        # which layers it has is not known
        return weights
    if case.model.dtype is None:
        # 16 bits a number whatever the files hold (--dtype auto)
        weights = weights.replace(high_bytes=int(weights.bytes * 1.01))
    line, table = weights.arithmetic, _table_bytes(case)
    if table:
        line = summed(line, f"{table:,} bytes of a table of positions")
    likely, most = _padding_bytes(case, 128), _padding_bytes(case, 256)
    if most:
        note = f"{likely:,} bytes of padded experts; as the Marlin kernels want them"
        line = summed(line, f"{note}, others none, or {most:,} bytes")
    return weights.replace(
        bytes=weights.bytes + table + likely,
        high_bytes=weights.high_bytes + table + most,
        arithmetic=line,
    )


def _padding_bytes(case: Case, step: int) -> int:
    """What experts in MXFP4 grow by where their length is a multiple of `step`.

    Its kernels give them a width in multiples of 256, and a length of 128 or 256
    (layers/quantization/mxfp4.py; its logs of both gpt-oss models).
    """
    model = case.model
    if not (model.expert_dtype or "").startswith("mxfp4"):
        return 0
    experts = 0.0
    for _, type, size in typed_tensors(model):
        if type == model.expert_dtype:
            experts += size
    length = max(feed.length for feed in model.feed_forward if feed.experts)
    wide = model.embedding_length
    padded = -(-wide // 256) * 256 * -(-length // step) * step
    return int(experts * (padded / wide / length - 1))


def _table_bytes(case: Case) -> int:
    """Bytes of sines and cosines that vLLM keeps whole on every device, in 16 bits.

    A row for each position that config.json states, as long as what rotates of a head (get_rope).
    """
    model, row = case.model, case.row
    positions = model.rope_positions or model.context_tokens
    if not positions or not row.rope or row.positions:
        return 0
    turned = 0
    for group in model.attention:
        if group.kind == "cross":
            continue
        part = int(group.key_length * row.rope_share)
        if group.kind == "latent":
            part = group.rope_length or 0
        turned = max(turned, part)
    return 2 * positions * row.rope_rows * turned
