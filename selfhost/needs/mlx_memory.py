"""What MLX holds beside weights and cache while mlx-lm reads a prompt, on a Mac's GPU.

MLX encodes ahead of the GPU, and the arrays of a command buffer live until it is done: at most ten buffers wait
(mlx/transforms.cpp, MAX_ACTIVE_TASKS), and each is closed once it has seen 50 MB (mlx/backend/metal/device.cpp). Peaks that its
authors and others printed on Macs agree: `tests/truth/mlx.json`, `published`. A CPU keeps less and stores scores.
"""

from __future__ import annotations

from ..spec import Architecture
from .parts import term
from .records import How, Term

PROMPT_STEP = 2048
"""Tokens of a prompt that are read at once: prefill_step_size of mlx_lm/generate.py 0.32.2."""

# arrays that wait in closed buffers
_WAITING_BYTES = 10 * 50_000_000
# and of the widest array, the ones that went over those limits: 1 to 6 were seen, twelve where experts are sorted
_OVER = (0, 4, 9)
# heads for which Metal's attention keeps no scores (mlx/backend/metal/scaled_dot_product_attention.cpp)
_FUSED = (64, 80, 128)
# arrays of scores alive at once: one for Gemma 4; 3 to 19 where recurrent layers lie between
_SCORES, _SCORES_RECURRENT = 1, 19
# numbers a token and unit of width that Mamba's scan takes at most: by the peak of Granite 4.0 H Small
_SCANNED = 300
_SOURCE = "Metal peaks that others printed, tests/truth/mlx.json; mlx 0.29 to 0.32"


def activations(architecture: Architecture, tokens: int, sequences: int, width: int) -> Term:
    """The most that one piece of a prompt holds; `tokens` of one sequence, `width` the bytes of a number."""
    piece, wide = min(tokens, PROMPT_STEP) * sequences, architecture.embedding_length
    inner = max((max(group.length, wide if group.experts else 0) * (group.used or 1) for group in architecture.feed_forward), default=wide)
    array = piece * inner * width
    # a short prompt has no more than all arrays of all layers
    every = piece * architecture.layers * (6 * wide + 3 * inner) * width
    logits = 4 * (architecture.vocabulary or 0) * sequences
    stored = 0
    for group in architecture.attention:
        if group.key_length not in _FUSED and group.kind != "cross":
            reach = min(tokens, (group.window_tokens or tokens) + PROMPT_STEP) if group.kind == "sliding" else tokens
            stored = max(stored, group.heads * piece * reach * width)
    least, likely, most = (min(every, _WAITING_BYTES + number * array) + logits for number in _OVER)
    line = f"{_WAITING_BYTES:,} bytes that wait for the GPU + {_OVER[1]} × {piece:,} tokens × {inner:,} × {width} bytes"
    if every < _WAITING_BYTES + _OVER[1] * array:
        line = f"{piece:,} tokens × {architecture.layers:,} layers × (6 × {wide:,} + 3 × {inner:,}) × {width} bytes"
    line += f" + {logits:,} bytes of logits"
    how = How.COMPUTED
    if stored:
        likely, most = likely + stored, most + stored * _SCORES
        line += f" + {stored:,} bytes of scores, which heads of this length leave in memory on a Mac older than M5"
    if architecture.recurrent:
        scanned = _SCANNED * piece * wide * width if any(group.kind.startswith("mamba") for group in architecture.recurrent) else 0
        how, most = How.ASSUMED, most + stored * (_SCORES_RECURRENT - _SCORES) + scanned
        line += "; recurrent layers were seen to take far more"
    return term("activations", likely, how, _SOURCE, line, low=least, high=most)
