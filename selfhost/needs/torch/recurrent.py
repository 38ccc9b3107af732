"""What layers with a state hold in PyTorch on a CPU: the states, and the scan over a prompt without
kernels of others.

Read in transformers 5.23.0 (`models/mamba`, `mamba2`, `falcon_h1`, `granitemoehybrid`, `jamba`,
`nemotron_h`, `lfm2`, `qwen3_next`, `qwen3_5`, `kimi_linear`, `olmo_hybrid`, `recurrent_gemma`,
`zamba`, `zamba2`: the functions that stand in where `kernels`, mamba-ssm and flash-linear-attention
are missing) and measured: `tests/truth/transformers.json`. Sizes are in bytes, `width` is the bytes
of one number in the type that the model runs in.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...catalogue.spec import Architecture, Recurrent
from ..cache import states
from ..parts import by_layers
from ..tensors import ArchitectureRow

Moment = tuple[int, str, int]
"""Bytes that are held at a moment, the line that makes them, and how many of them may leave holes in the heap."""  # noqa: E501

# tokens of a chunk of the delta rule, as its function has them
_DELTA_CHUNK = 64


def state_bytes(architecture: Architecture, sequences: int, width: int) -> tuple[int, str]:
    """Bytes of the states of all layers, and the line.

    LinearAttentionLayer of cache_utils.py keeps as many inputs of a convolution as that is wide, in
    the model's type. What the scan gives is in float32.
    """
    size, lines = 0, list[tuple[str, int, str]]()
    ending = f" × {sequences:,} sequences" if sequences > 1 else ""
    groups = [group for group in architecture.recurrent if group.layers]
    for group, state in zip(groups, states(architecture), strict=True):
        taps = group.convolution or 1
        # RecurrentGemma keeps its state itself, and of the convolution no more than it needs
        inputs = (
            state.convolution * taps // max(1, taps - 1)
            if group.kind != "rglru"
            else state.convolution
        )
        size += state.layers * (inputs * width + state.memory * 4) * sequences
        lines.append(
            (
                "",
                state.layers,
                f" × ({inputs:,} × {width} bytes + {state.memory:,} × 4 bytes){ending}",
            )
        )
    return size, " + ".join(by_layers(lines))


def scans(
    architecture: Architecture, row: ArchitectureRow, tokens: int, sequences: int, width: int
) -> Iterator[Moment]:
    """The moment in which each kind of layer holds most, the residual stream included."""
    for group in architecture.recurrent:
        match group.kind:
            case "mamba":
                yield _mamba(architecture, row, group, tokens * sequences, width)
            case "mamba2":
                yield _mamba2(architecture, row, group, tokens, sequences, width)
            case "delta":
                yield _delta(architecture, row, group, tokens, sequences, width)
            case "rglru":
                wide, inner, count = (
                    architecture.embedding_length,
                    group.inner_length or 0,
                    tokens * sequences,
                )
                # RecurrentGemmaRglru keeps every step to the scan's input until the scan ends
                size = (3 * wide + 12 * inner) * count * width
                yield (
                    size,
                    f"{count:,} tokens × (3 × {wide:,} + 12 × {inner:,}) × {width} bytes",
                    size,
                )
            case "kda":
                yield _kda(architecture, group, tokens, sequences, width)
            case _:
                wide = architecture.embedding_length
                size = 9 * wide * tokens * sequences * width
                yield size, f"{tokens * sequences:,} tokens × 9 × {wide:,} × {width} bytes", size


def _mamba(
    architecture: Architecture, row: ArchitectureRow, group: Recurrent, count: int, width: int
) -> Moment:
    """mamba_selective_scan: both discretized matrices and their product with the input, for
    every token and element of the state.
    """
    inner, size, wide = (
        group.inner_length or 0,
        group.state_length or 0,
        architecture.embedding_length,
    )
    around = 4 + 2 * width if row.torch_float_residual else 3 * width
    beside = inner * (3 * 4 + 7 * width) + wide * around
    scanned = inner // (group.heads or 1) if row.torch_by_head else inner
    # the products themselves are freed in order and leave no holes: 2 to 50 MiB over 200 and 600
    # tokens
    held, line = (
        count * (scanned * 3 * size * 4 + beside),
        (
            f"{count:,} tokens × ({scanned:,} × 3 × {size} × 4 + {inner:,} × {12 + 7 * width} +"
            f" {wide:,} × {around}) bytes"
        ),
    )
    return held, line, count * beside


def _mamba2(
    architecture: Architecture,
    row: ArchitectureRow,
    group: Recurrent,
    tokens: int,
    sequences: int,
    width: int,
) -> Moment:
    """mamba2_chunk_scan: per chunk and head a square of decays, of scores and of their product;
    then outputs of both parts.
    """
    inner, size, heads = group.inner_length or 0, group.state_length or 0, group.heads or 0
    chunk = row.torch_chunk
    chunks = -(-tokens // chunk)
    padded, mixed = chunks * chunk * sequences, (group.groups or 1) * size
    # while scores meet the inputs there are four squares, while both outputs are added three
    meeting = 4 * chunk * heads + 4 * inner + 2 * heads * size
    adding = 3 * chunk * heads + 7 * inner + 3 * heads * size
    floats = 4 * max(meeting, adding)
    projected = (
        (2 * inner + 2 * mixed + heads) + (inner + 2 * mixed) + 3 * architecture.embedding_length
    )
    kept = (chunks + 1) * inner * size * 4 * sequences
    line = (
        f"{padded:,} tokens in chunks × {floats:,} bytes + {tokens * sequences:,} tokens ×"
        f" {projected:,} × {width} bytes"
    )
    size = padded * floats + tokens * sequences * projected * width + kept
    return size, f"{line} + {kept:,} bytes of states of chunks", size


def _delta(
    architecture: Architecture,
    row: ArchitectureRow,
    group: Recurrent,
    tokens: int,
    sequences: int,
    width: int,
) -> Moment:
    """torch_chunk_gated_delta_rule: five arrays of keys and five of values for every value
    head, and three squares of a chunk.
    """
    heads, key, value = group.heads or 0, group.key_length or 0, group.value_length or 0
    padded = -(-tokens // _DELTA_CHUNK) * _DELTA_CHUNK * sequences
    floats = 4 * heads * (5 * key + 5 * value + 3 * _DELTA_CHUNK)
    keys, values = 2 * (group.key_heads or 0) * key, heads * value
    projected = keys + 2 * values + 3 * architecture.embedding_length
    if row.fused_alpha_beta:
        # one matrix makes all (Qwen3-Next), and its result stays
        projected += keys + values
    line = (
        f"{padded:,} tokens in chunks × {floats:,} bytes + {tokens * sequences:,} tokens ×"
        f" {projected:,} × {width} bytes"
    )
    size = padded * floats + tokens * sequences * projected * width
    return size, line, size


def _kda(
    architecture: Architecture, group: Recurrent, tokens: int, sequences: int, width: int
) -> Moment:
    """chunk_kimi_delta_attention: decays for every pair of tokens of a chunk and every channel,
    three arrays of them at once.
    """
    heads, key = group.heads or 0, group.key_length or 0
    padded = -(-tokens // _DELTA_CHUNK) * _DELTA_CHUNK * sequences
    floats = 4 * heads * key * (3 * _DELTA_CHUNK + 8)
    projected = 6 * heads * key + 3 * architecture.embedding_length
    line = (
        f"{padded:,} tokens in chunks × {floats:,} bytes + {tokens * sequences:,} tokens ×"
        f" {projected:,} × {width} bytes"
    )
    size = padded * floats + tokens * sequences * projected * width
    return size, line, size
