"""What MLX holds beside weights and cache while mlx-lm reads a prompt, on a Mac's GPU.

MLX encodes ahead of the GPU, and the arrays of a command buffer live until it is done. At most ten
buffers wait (mlx/transforms.cpp, MAX_ACTIVE_TASKS), and each is closed once it has seen 50 MB
(mlx/backend/metal/device.cpp). Peaks that its authors and others printed on Macs agree:
`tests/truth/mlx.json`, `published` and, for smaller pieces of a prompt, `steps`. A CPU keeps less
and stores scores. Two peaks of a later main on an M1 and an M4 Pro do not agree, and scores are not
the reason (`unlike`). At its memory limit MLX waits for the GPU (mlx/transforms.cpp,
get_memory_limit), so that a model runs without memory for what waits.
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
# how many of the widest arrays went over those limits: 1.2 to 6.4 were seen, and 13 to 21 where
# scores are stored between them
_OVER, _OVER_SCORES = (1, 4, 7), (10, 16, 23)
# the least and the most share of what may wait, for a prompt of at most so many tokens: with 128
# tokens 0.3 to 1.0 was seen, with 512 0.7 to 1.6, and not always the widest array
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
# Mamba goes token by token (mlx_lm/models/mamba.py), but what is added to the states is there for
# all tokens. A CPU held 1.7 times that, with all else a token takes; no peak of a Mac is known
_STATES = (1, 2, 4)
_SOURCE = "Metal peaks that others printed, tests/truth/mlx.json; mlx 0.29 to 0.32"


def activations(
    architecture: Architecture, row: ArchitectureRow, tokens: int, sequences: int, width: int
) -> Term:
    """The most that one piece of a prompt holds; `tokens` of one sequence, `width` the bytes of
    a number.
    """
    piece = min(tokens, PROMPT_STEP) * sequences
    logits = 4 * (architecture.vocabulary or 0) * sequences
    stored, grown, mask = _scores(architecture, row, tokens, sequences, width)
    over = _OVER_SCORES if stored else _OVER
    held, line = _waiting(architecture, tokens, sequences, width, over)
    least, likely, most = (size + logits + stored for size in held)
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
    scanned, note = _scan(architecture, tokens, piece, width)
    kinds = {group.kind for group in architecture.recurrent}
    return term(
        "activations",
        likely + scanned[1],
        How.ASSUMED if kinds - {"delta"} else How.COMPUTED,
        _SOURCE,
        line + note,
        low=least + scanned[0],
        high=most + scanned[2],
    )


def _waiting(
    architecture: Architecture,
    tokens: int,
    sequences: int,
    width: int,
    over: tuple[int, int, int],
) -> tuple[tuple[int, int, int], str]:
    """Least, likely and most bytes of arrays that wait for the GPU, and the line.

    `over`: how many of the widest arrays go over the limits.
    """
    piece, wide = min(tokens, PROMPT_STEP) * sequences, architecture.embedding_length
    inner = _widest(architecture)
    array = piece * inner * width
    # a short prompt has no more than all arrays of all layers
    every = piece * architecture.layers * (6 * wide + 3 * inner) * width
    waiting = min(_WAITING_BYTES, _WAITING_ARRAYS * piece * wide * width)
    fewest = 0 if tokens < PROMPT_STEP else over[0]
    least, likely = int(waiting * _shares(tokens)[0]) + fewest * array, waiting + over[1] * array
    # a longer prompt never takes less
    most = max(
        _most_of_prompt(length, sequences, wide, inner, width, over[2])
        for length in _lengths(tokens, sequences * wide * width)
    )
    line = (
        f"{waiting:,} bytes that wait for the GPU + {over[1]} × {piece:,} tokens × {inner:,} ×"
        f" {width} bytes"
    )
    if every < likely:
        line = (
            f"{piece:,} tokens × {architecture.layers:,} layers × (6 × {wide:,} + 3 × {inner:,}) ×"
            f" {width} bytes"
        )
    return (min(every, least), min(every, likely), min(every, most)), line


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
    """The lengths of a prompt of up to `tokens` at which most may wait: the end, where the share
    begins to fall, and where the limit of bytes is reached.
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
    """The most that waits of a prompt of `tokens`, with the arrays that go over the limits."""
    piece = tokens * sequences
    return (
        int(min(_WAITING_BYTES, _WAITING_ARRAYS * piece * wide * width) * _shares(tokens)[1])
        + over * piece * inner * width
    )


def _shares(tokens: int) -> tuple[float, float]:
    """The least and the most share of what may wait that a prompt of `tokens` has waiting. Between
    the lengths that were seen it follows straight lines.
    """
    before, least, most = _SHORT[0]
    for length, low, high in _SHORT:
        if tokens <= length:
            way = (tokens - before) / (length - before) if tokens > before else 0.0
            return least + way * (low - least), most + way * (high - most)
        before, least, most = length, low, high
    return least, most


def program(architecture: Architecture, row: ArchitectureRow, alone: Term) -> Term:
    """The program with the tokenizer; `alone` is the program without it."""
    words = by_mlx(architecture, row)
    line = (
        f"{alone.bytes:,} bytes + {words.arithmetic}; {alone.arithmetic}, and {words.low_bytes:,}"
        f" to {words.high_bytes:,}"
    )
    ends = {"low": alone.low_bytes + words.low_bytes, "high": alone.high_bytes + words.high_bytes}
    return term("runtime", alone.bytes + words.bytes, How.ASSUMED, alone.source, line, **ends)


def _scores(
    architecture: Architecture, row: ArchitectureRow, tokens: int, sequences: int, width: int
) -> tuple[int, int, int]:
    """Bytes of scores, of a growing cache and of the mask, in the layer whose attention takes most.

    The cache is there twice while it is copied to where there is room for one more piece
    (mlx_lm/models/cache.py, KVCache). The scores of two layers do not wait at once: each of their
    arrays is larger than a buffer may see.
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
    """Least, likely and most bytes that a scan keeps for all tokens of a piece, and its part of the
    line.
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
