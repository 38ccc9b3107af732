"""What vLLM adds to loaded weights, and how tensor parallelism divides a model over devices."""

from __future__ import annotations

from ..catalogue.quantization_names import scheme_of
from ..catalogue.spec import Architecture, RuntimeSpec
from .checkpoint_cache import cached
from .loaded import stored_types, typed_tensors
from .parts import Asked, Subject, term
from .records import How, Term, summed
from .tensors import ArchitectureRow, checkpoint_tensors

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
    """The term with what tensor parallelism divides of it: activations, the program and a latent
    cache are whole on every device.

    Encoders are divided by default, where they can be: tests/truth/vllm.json, Gemma 3 on four
    devices, Mistral Small 3.1 on two.
    """
    shares: dict[int, float] = {}
    if item.name == "kv_cache":
        most: dict[int, float] = {}
        for each in cached(architecture, row, runtime, workload):
            heads = 1 if each.group.latent else each.group.kv_heads
            shares[heads] = shares.get(heads, 0.0) + each.bytes
            most[heads] = most.get(heads, 0.0) + each.high_bytes
        # the most is where layers with a window keep as many tokens as the others
        return item.replace(
            cut=_shares(shares, sum(shares.values())), high_cut=_shares(most, sum(most.values()))
        )
    if item.name == "weights":
        shares = _shared_weights(architecture, row) if subject.whole else {}
        shares = shares or {0: 1.0}
        beside = (
            table_bytes(architecture, row) / item.bytes if subject.whole and item.bytes else 0.0
        )
        cut = _shares(shares, sum(shares.values()) / (1 - beside))
        return item.replace(joined=(0, 0, 2 * (subject.spec.parameters.encoders or 0)), cut=cut)
    return item.replace(cut=((1.0, 0),)) if item.name == "recurrent_state" else item


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


def _shares(sizes: dict[int, float], whole: float) -> tuple[tuple[float, int], ...]:
    return tuple((size / whole, most) for most, size in sorted(sizes.items()) if most != 1)


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
