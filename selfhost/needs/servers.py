"""What vLLM and SGLang hold on a device beside weights and cache, and how they divide a model. The
constants are `[vllm]` and `[sglang]` of specs/common/memory.toml; triples are least, likely, most.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..catalogue.architecture import Architecture
from ..catalogue.spec_values import scheme_of
from ..core.tables import shipped_table
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

_STATED_IN_MIB = ("context", "communication", "seeing", "beside_torch")
_VLLM, _SGLANG = (shipped_table("memory")[name] for name in ("vllm", "sglang"))
# those that are stated in MiB
_VLLM_BYTES, _SGLANG_BYTES = (
    {key: [size * MIB for size in table.get(key, ())] for key in _STATED_IN_MIB}
    for table in (_VLLM, _SGLANG)
)


def terms_of_server(case: Case) -> list[Term]:
    """The work on a prompt, and the program on a device and in RAM beside it. The work of vLLM is
    one pass over the longest prompt with its sampling.
    """
    device, rule, sizes = case.device or Device(), _VLLM, _VLLM_BYTES
    if case.runtime.memory.reserves_by_device:
        work, rule, sizes = _left_free(case, device), _SGLANG, _SGLANG_BYTES
        low, likely, high = sizes["context"]
        line = f"{likely:,} bytes of a CUDA context"
        program = term(
            "runtime", likely, How.STATED, rule["source"], line, low=low, high=high
        )
    else:
        # a text is read whole where each token sees all others (vllm/config/model.py,
        # is_chunked_prefill_supported); of one that is embedded no token is sampled
        sees = bool(case.encoders) and not case.text_alone
        batch = _VLLM["large" if device.is_large else "small"]
        whole = case.context_tokens if case.embeds and case.row.encoder else 0
        # the option `lean` bounds the sequences, too
        usual = max(0 if device.is_lean else batch["sequences"], case.workload.parallel)
        sampled = (
            0 if case.embeds else int(case.settings.get("sequences_sampled") or usual)
        )
        low, likely, _, line = _one_pass(case, max(batch["tokens"], whole), sampled)
        high = _one_pass(case, max(batch["most_tokens"], whole), sampled)[2]
        if sees:
            least, some, most = sizes["seeing"]
            low, likely, high = low + least, likely + some, high + most
            line += f" + {some:,} bytes of the encoder"
        how = How.ASSUMED if sees or case.model.recurrent else How.COMPUTED
        work = term(
            "activations", likely, how, rule["source"], line, low=low, high=high
        )
        program = _graphs(case, device)
    program = share_by_device(
        program, device.devices, communication=sizes["communication"]
    )
    if case.device is None:
        return [work, program]
    beside = overhead(case.runtime).replace(split=Split.HOST)
    return [work, program.replace(split=Split.EACH), beside]


def _one_pass(case: Case, tokens: int, sampled: int) -> tuple[int, int, int, str]:
    """What a pass over so many tokens holds, of which `sampled` are sampled, and the line of the
    likely figure: the widest layer without routed experts, or sampling. What each chosen expert
    reads, makes and gives stays from the first pass on (vllm/v1/worker/workspace.py).
    """
    architecture, width, widths = case.model, case.width, _VLLM["widths"]
    wide, vocabulary = architecture.embedding_length, architecture.vocabulary or 0
    states = max(
        (group.inner_length or 0 for group in architecture.recurrent), default=0
    )
    inner, kept = states, 0
    for group in architecture.feed_forward:
        inner = max(
            inner, (group.shared_length or 0) if group.experts else group.length
        )
        if group.experts:
            chosen = group.used or 1
            of_expert = max(2 * group.length, wide) + group.length
            kept = max(kept, tokens * chosen * of_expert * width)
    layer = tokens * (3 * inner + widths * wide) * width
    line = f"{tokens:,} tokens × (3 × {inner:,} + {widths} × {wide:,}) × {width} bytes"
    least, likely, most, words = 0, 0, 0, sampled * vocabulary
    if words:
        beside = tokens * wide * width + _VLLM["constant_bytes"]
        none, some, many = (
            vocabulary * 4 * n + beside for n in _VLLM["multiprocessors"]
        )
        least, each = words * _VLLM["fused_logit_bytes"] + none, _VLLM["logit_bytes"]
        likely, most = words * each + some, words * each + many
        if likely > layer:
            line = f"{words:,} × {each} bytes of logits + {some:,} bytes beside them"
    if kept:
        line += f" + {kept:,} bytes of experts' inputs and outputs"
    # the scan of recurrent layers in float32; not logged alone
    most = max(layer, most) * 11 // 10 + 32 * tokens * states + kept * 3 // 2
    return max(layer * 8 // 10, least), max(layer, likely) + kept, most, line


def _graphs(case: Case, device: Device) -> Term:
    """Graphs, and what is not PyTorch's, on a device."""
    architecture, layers = case.model, case.model.layers
    low, likely, high = _VLLM_BYTES["beside_torch"]
    line, how = f"{likely:,} bytes beside PyTorch", How.STATED
    if device.is_lean:
        line += "; --enforce-eager makes no graphs"
        return term("runtime", likely, how, _VLLM["source"], line, low=low, high=high)
    plain = [group for group in architecture.attention if group.kind != "latent"]
    is_mixed = len(plain) < len(architecture.attention) or architecture.has_experts
    kinds = {
        "pooled": case.embeds,
        "mixed": is_mixed,
        "recurrent": architecture.recurrent,
    }
    kind = next((kind for kind, is_so in kinds.items() if is_so), "plain")
    each = [size * MIB for size in _VLLM["graph_layer"][kind]]
    how = (
        How.ASSUMED
        if kind in ("pooled", "recurrent") or architecture.recurrent
        else how
    )
    line = f"{plural(layers, 'layer')} × {each[1]:,} bytes of CUDA graphs + {line}"
    widest = max((group.heads * group.value_length for group in plain), default=0)
    parts = 0 if case.embeds else _VLLM["split_tokens"] * widest * 4
    low, likely = low + layers * each[0], likely + layers * each[1]
    high += layers * each[2] + parts
    if parts and device.is_large:
        likely += parts
        line += f" + {parts:,} bytes for parts of attention"
    return term("runtime", likely, how, _VLLM["source"], line, low=low, high=high)


def _left_free(case: Case, device: Device) -> Term:
    """What SGLang leaves free for its work: more on a larger device."""
    total, room, kinds = device.total_bytes, device.room_bytes, _SGLANG["kinds"]
    kind = [each for each in kinds if each[0] * GIB <= (total or 0)][-1]
    kind = kind if total else kinds[_SGLANG["shared"]]
    large, least = _SGLANG["large"]
    least = least if kind[0] >= large else 0
    size, most = (
        max(mib, least) * MIB for mib in (kinds[0] if device.is_lean else kind)[1:]
    )
    line, source = f"{size:,} bytes", _SGLANG["source"]
    if not total or room is None:
        low = int(kinds[0][1] * MIB * _SGLANG["earlier"])
        line += f"; on a device of {kind[0]} GiB or more, by its size"
        return term("activations", size, How.ASSUMED, source, line, low=low, high=most)
    # what stays free of the room once weights and cache fill the rest
    free = min(total, total if device.free_bytes is None else device.free_bytes)
    sees = case.encoders and not case.text_alone
    shares = _SGLANG["encoders"] if sees else (0.0, 0.0, 0.0)
    sizes = zip((int(size * _SGLANG["earlier"]), size, most), shares, strict=True)
    held = (free * (1 - left / total) * (1 - kept) for left, kept in sizes)
    low, likely, high = (max(0, int(room - each)) for each in held)
    line = f"{room:,} bytes - {free:,} × (1 - {size:,} / {total:,})"
    line += f" × (1 - {shares[1]}); the rest of what it may take"
    line = line if likely else "0 bytes"
    return term("activations", likely, How.ASSUMED, source, line, low=low, high=high)


def devices_of(architecture: Architecture, quantization: str) -> tuple[int, ...]:
    """Over how many devices vLLM can divide the model, beside one: the number divides the heads; it
    divides the KV heads or they divide it; lengths of the feed-forward come in whole blocks or
    groups (vllm/model_executor/layers/quantization: fp8.py, awq.py, gptq.py).
    """
    scheme, step = scheme_of(quantization), 1
    if scheme is not None:
        architecture = architecture.packed_with(scheme.method)
        if scheme.method in ("awq", "gptq", "w4a16"):
            step = scheme.group or 1
    if "float8_e4m3_128x128" in (architecture.matrix_dtype, architecture.expert_dtype):
        step = 128
    whole: list[float] = [attention.heads for attention in architecture.attention]
    for group in architecture.feed_forward:
        whole += [group.length / step, (group.shared_length or 0) / step]
    shared = [
        1 if each.kind == "latent" else each.kv_heads for each in architecture.attention
    ]
    divide = (n for n in TENSOR_PARALLEL if not any(size % n for size in whole))
    return tuple(
        n for n in divide if not any(heads % n and n % heads for heads in shared)
    )


def terms_by_device(case: Case, weights: Term, beside: list[Term]) -> tuple[Term, ...]:
    """What each of the devices holds: activations, the program and a latent cache whole. Encoders
    are divided where they can be (tests/truth/vllm.json: Gemma 3, Mistral Small 3.1).
    """
    devices = getattr(case.device, "devices", 1)
    weights = _with_additions(case, weights)
    if devices == 1:
        return weights, *beside
    kv_heads, part = dict[int, int](), 1 / devices
    for group in case.model.attention:
        kv_heads.update(dict.fromkeys(group.layers, group.kv_heads))
    if case.whole:
        shares: list[tuple[int, float]] = [(1, _table_bytes(case))]
        for tensor, _, tensor_bytes in typed_tensors(case.model):
            most_devices = 0
            if any(each in f"{tensor.name}." for each in _VLLM["replicated"]):
                most_devices = 1
            elif (
                tensor.name.endswith(("attn_k.weight", "attn_v.weight"))
                and tensor.layers
            ):
                most_devices = kv_heads.get(tensor.layers[0], 0)
            shares.append((most_devices, tensor_bytes))
        part = _held_share(shares, devices)
    more = (0, 0, 2 * case.encoders)
    held = [share_by_device(weights, devices, part, communication=more)]
    for item in beside:
        if item.name == "kv_cache":
            caches = cache_sizes(case)
            # the most is where layers with a window keep as many tokens as the others
            share = _held_share(((each.heads, each.bytes) for each in caches), devices)
            most = _held_share(
                ((each.heads, each.high_bytes) for each in caches), devices
            )
            held.append(share_by_device(item, devices, share, most))
        elif item.name in PROGRAMS:
            held.append(item)
        else:
            share = 1 / devices if item.name == "recurrent_state" else 1.0
            held.append(share_by_device(item, devices, share))
    return tuple(held)


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
        tensors = typed_tensors(architecture)
        experts = sum(
            size for _, type, size in tensors if type == architecture.expert_dtype
        )
        wide = architecture.embedding_length
        length = max(
            group.length for group in architecture.feed_forward if group.experts
        )
        likely, most = (
            int(
                experts
                * (
                    -(-wide // 256) * 256 * -(-length // step) * step / wide / length
                    - 1
                )
            )
            for step in (128, 256)
        )
    if most:
        note = f"{likely:,} bytes of padded experts; as the Marlin kernels want them"
        line = summed(line, f"{note}, others none, or {most:,} bytes")
    size, most = weights.bytes + table + likely, weights.high_bytes + table + most
    return weights.replace(bytes=size, high_bytes=most, arithmetic=line)


def _table_bytes(case: Case) -> int:
    """Bytes of sines and cosines that vLLM keeps whole on every device, in 16 bits: a row for each
    position that config.json states, as long as what rotates of a head (get_rope).
    """
    architecture, row = case.model, case.row
    positions = architecture.rope_positions or architecture.context_tokens
    if not positions or not row.rope or row.positions:
        return 0
    turned = 0
    for group in architecture.attention:
        if group.kind == "cross":
            continue
        part = int(group.key_length * row.rope_share)
        if group.kind == "latent":
            part = group.rope_length or 0
        turned = max(turned, part)
    return 2 * positions * row.rope_rows * turned
