"""What MLX holds beside weights and cache while mlx-lm reads a prompt, on a Mac's GPU.

MLX encodes ahead of the GPU, and the arrays of a command buffer live until it is done: at most ten
buffers wait (mlx/transforms.cpp, MAX_ACTIVE_TASKS), and each is closed once it has seen 50 MB
(mlx/backend/metal/device.cpp). Peaks that its authors and others printed on Macs agree:
`tests/truth/mlx.json`, `published` and, for smaller pieces of a prompt, `steps`. A CPU keeps less
and stores scores. Two peaks of a later main on an M1 and an M4 Pro do not go with this, and not by
scores (`unlike`). At its memory limit it waits for the GPU (mlx/transforms.cpp, get_memory_limit),
so that a model runs without the room for what waits.
"""

from __future__ import annotations

from ...catalogue.spec import Architecture
from ..parts import term, times
from ..records import How, Term
from ..tensors import ArchitectureRow
from ..tokenizers import by_mlx
from .cache import as_kept

PROMPT_STEP = 2048
"""Tokens of a prompt that are read at once: prefill_step_size of mlx_lm/generate.py 0.32.2."""

# arrays that wait in closed buffers; of a short prompt no more than 500, for a buffer is closed
# after 50 operations as well
_WAITING_BYTES, _WAITING_ARRAYS = 10 * 50_000_000, 10 * 50
# and of the widest array, the ones that went over those limits: 1.2 to 6.4 were seen, and 13 to 21
# where scores are stored between them
_OVER, _OVER_SCORES = (1, 4, 7), (10, 16, 23)
# of a prompt of 128 tokens 0.3 to 1.0 times what waits was seen, of 512 0.7 to 1.6 and not always
# the widest array: least and most, of at most so many tokens
_SHORT = ((256, 0.3, 1.25), (512, 0.5, 1.25), (PROMPT_STEP, 1.0, 1.0))
# lengths of heads, keys and values alike, for which Metal's attention keeps no scores
# (mlx/backend/metal/scaled_dot_product_attention.cpp, sdpa_full_supported_head_dim); of latent
# attention those of the rope part are its mask (pe_scores of mlx_lm/models/deepseek_v3.py)
_FUSED = (64, 80, 128)
# Mamba 2 is scanned 256 tokens at a time (mlx_lm/models/ssm.py, ssm_attn), in arrays of heads × 256
# × 256 in float32. What does not wait for the state is worked out for all steps of a piece before
# it: 6 to 7 a step were alive on a CPU, 15 in Granite 4.0 H Small, the only peak of a Mac that is
# known
_SCAN_STEP, _SCANNED = 256, (6, 12, 17)
# Mamba goes token by token (mlx_lm/models/mamba.py); what comes to the states is there for all
# tokens: 1.7 times that on a CPU with all else a token takes, and no peak of a Mac is known
_STATES = (1, 2, 4)
_SOURCE = "Metal peaks that others printed, tests/truth/mlx.json; mlx 0.29 to 0.32"


def activations(
    architecture: Architecture, row: ArchitectureRow, tokens: int, sequences: int, width: int
) -> Term:
    """The most that one piece of a prompt holds; `tokens` of one sequence, `width` the bytes of
    a number.
    """
    piece, wide = min(tokens, PROMPT_STEP) * sequences, architecture.embedding_length
    inner = _widest(architecture)
    array = piece * inner * width
    # a short prompt has no more than all arrays of all layers
    every = piece * architecture.layers * (6 * wide + 3 * inner) * width
    logits = 4 * (architecture.vocabulary or 0) * sequences
    stored, grown, mask = _scores(architecture, row, tokens, sequences, width)
    waiting = min(_WAITING_BYTES, _WAITING_ARRAYS * piece * wide * width)
    over = _OVER_SCORES if stored else _OVER
    fewest = 0 if tokens < PROMPT_STEP else over[0]
    held = [int(waiting * _shares(tokens)[0]) + fewest * array, waiting + over[1] * array]
    # a longer prompt never takes less
    held.append(
        max(
            _most_of_prompt(length, sequences, wide, inner, width, over[2])
            for length in _lengths(tokens, sequences * wide * width)
        )
    )
    least, likely, most = (min(every, size) + logits + stored for size in held)
    line = (
        f"{waiting:,} bytes that wait for the GPU + {over[1]} × {piece:,} tokens × {inner:,} ×"
        f" {width} bytes"
    )
    if every < waiting + over[1] * array:
        line = (
            f"{piece:,} tokens × {architecture.layers:,} layers × (6 × {wide:,} + 3 × {inner:,}) ×"
            f" {width} bytes"
        )
    line += f" + {logits:,} bytes of logits"
    if stored:
        likely, most = likely + grown, most + grown + mask
        line += (
            f" + {stored:,} bytes of scores, which heads of this length leave in memory + {grown:,}"
            " bytes of a layer's cache that grows"
        )
        line += (
            "; of scores a quarter with --prefill-step-size 512" if tokens >= PROMPT_STEP else ""
        )
    how, kinds = How.COMPUTED, {group.kind for group in architecture.recurrent}
    scanned, note = _scan(architecture, tokens, piece, width)
    least, likely, most = least + scanned[0], likely + scanned[1], most + scanned[2]
    line += note
    if kinds - {"delta"}:
        how = How.ASSUMED
    return term("activations", likely, how, _SOURCE, line, low=least, high=most)


def _widest(architecture: Architecture) -> int:
    """Numbers of one token in the widest array of a feed-forward or a recurrent layer."""
    wide = architecture.embedding_length
    inner = max(
        (
            max(group.length, wide if group.experts else 0) * (group.used or 1)
            for group in architecture.feed_forward
        ),
        default=wide,
    )
    return max([inner, *(group.inner_length or 0 for group in architecture.recurrent)])


def _lengths(tokens: int, row_bytes: int) -> tuple[int, ...]:
    """Where most may wait of a prompt of up to so many tokens, for the share falls at the end:
    there, where it begins to fall, and where the limit of bytes is reached.
    """
    full = _WAITING_BYTES // (_WAITING_ARRAYS * row_bytes)
    return (
        min(tokens, PROMPT_STEP),
        *(
            length
            for length in (_SHORT[1][0], full, full + 1)
            if _SHORT[1][0] <= length < min(tokens, PROMPT_STEP)
        ),
    )


def _most_of_prompt(
    tokens: int, sequences: int, wide: int, inner: int, width: int, over: int
) -> int:
    """The most that waits of a prompt of so many tokens, with the widest arrays that go over
    the limits.
    """
    piece = tokens * sequences
    return (
        int(min(_WAITING_BYTES, _WAITING_ARRAYS * piece * wide * width) * _shares(tokens)[1])
        + over * piece * inner * width
    )


def _shares(tokens: int) -> tuple[float, float]:
    """Least and most of what waits, of a prompt of so many tokens; between the lengths that
    were seen by straight lines.
    """
    before, least, most = _SHORT[0]
    for length, low, high in _SHORT:
        if tokens <= length:
            way = (tokens - before) / (length - before) if tokens > before else 0.0
            return least + way * (low - least), most + way * (high - most)
        before, least, most = length, low, high
    return least, most


def program(architecture: Architecture, alone: Term) -> Term:
    """The program with the tokenizer; `alone` without."""
    words = by_mlx(architecture)
    line = (
        f"{alone.bytes:,} bytes + {words.arithmetic}; {alone.arithmetic}, and {words.low_bytes:,}"
        f" to {words.high_bytes:,}"
    )
    ends = {"low": alone.low_bytes + words.low_bytes, "high": alone.high_bytes + words.high_bytes}
    return term("runtime", alone.bytes + words.bytes, How.ASSUMED, alone.source, line, **ends)


def _scores(
    architecture: Architecture, row: ArchitectureRow, tokens: int, sequences: int, width: int
) -> tuple[int, int, int]:
    """Of the widest attention of one layer its scores, its keys and values once more while they are
    copied to where there is room for a piece more (mlx_lm/models/cache.py, KVCache), and its mask.
    Those of two layers do not wait at once: each of their arrays is more than a buffer may see.
    """
    piece, widest = min(tokens, PROMPT_STEP) * sequences, (0, 0, 0)
    for group in as_kept(architecture, row).attention:
        latent = group.kind == "latent"
        fused = group.key_length in _FUSED and group.key_length == group.value_length and not latent
        if not fused and group.kind != "cross":
            reach = (
                min(tokens, (group.window_tokens or tokens) + PROMPT_STEP)
                if group.kind in ("sliding", "latent")
                else tokens
            )
            stored = group.heads * piece * reach * width
            kept = group.kv_heads * (group.key_length + group.value_length)
            if latent:
                kept = (group.latent_length or 0) + (group.rope_length or 0)
            grown = kept * reach * sequences * width if reach > PROMPT_STEP else 0
            widest = max(widest, (stored, grown, piece * reach))
    return widest


def _scan(
    architecture: Architecture, tokens: int, piece: int, width: int
) -> tuple[tuple[int, int, int], str]:
    """Least, likely and most of what a scan keeps for all tokens of a piece, with what to say
    of it.
    """
    for group in architecture.recurrent:
        if group.kind == "mamba2":
            # the last step is as long as the others, or shorter
            array = (group.heads or 0) * min(tokens, _SCAN_STEP) ** 2 * 4
            steps = -(-piece // min(tokens, _SCAN_STEP))
            least, likely, most = (number * steps * array for number in _SCANNED)
            return (
                least,
                likely,
                most,
            ), f" + {_SCANNED[1]} × {times(steps, 'step')} × {array:,} bytes of the scan"
        if group.kind == "mamba":
            array = piece * (group.inner_length or 0) * (group.state_length or 0) * width
            least, likely, most = (number * array for number in _STATES)
            return (least, likely, most), f" + {_STATES[1]} × {array:,} bytes of states"
    return (0, 0, 0), ""
