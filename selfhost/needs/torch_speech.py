"""What Whisper holds in transformers on a CPU while it writes down half a minute of speech.

Read in transformers 5.23.0 (`models/whisper`, `pipelines/automatic_speech_recognition.py`) and measured:
`tests/truth/transformers.json`. Sizes are in bytes, `width` is the bytes of one number in the type that the model runs in.
"""

from __future__ import annotations

from ..spec import Architecture, Audio
from .parts import times
from .torch_memory import HOLES, HOLES_HIGH, MAPPED_BLOCK_BYTES, Span

BEAMS = 5
"""The pipeline searches with as many where a model's generation_config does not say (_default_generation_config); generate() with one."""
ANSWER_TOKENS = 256
"""Answered at most, by the same default."""
# tokens that start an answer
_PROMPT_TOKENS = 4


def cache_bytes(
    architecture: Architecture, audio: Audio, sequences: int, width: int, *, beams: int, answered: bool = True
) -> tuple[int, str]:
    """Keys and values of the audio and, once it was `answered`, of the longest answer: every beam has its own of both."""
    tokens = min(ANSWER_TOKENS + _PROMPT_TOKENS, architecture.context_tokens or ANSWER_TOKENS) if answered else 0
    each = 2 * architecture.layers * architecture.embedding_length * width * beams * sequences
    line = (
        f"2 × {times(architecture.layers, 'layer')} × {architecture.embedding_length:,} × {width} bytes"
        f" × ({audio.positions:,} positions + {tokens:,} tokens) × {beams} beams"
    )
    return each * (audio.positions + tokens), line + (f" × {sequences:,} sequences" if sequences > 1 else "")


def activations(architecture: Architecture, audio: Audio, sequences: int, width: int, *, beams: int) -> Span:
    """The features, and what the encoder holds, or what it gave while keys and values of a layer are made, whichever is more.

    The encoder's is in place of the caches, which come after it: `low_bytes` is without the holes that blocks below 32 MiB leave.
    """
    wide, positions = audio.embedding_length, audio.positions
    heard = positions * wide * width * sequences
    encoding = (4 * wide + 2 * audio.feed_forward_length) * positions * width * sequences
    kept, _ = cache_bytes(architecture, audio, sequences, width, beams=beams, answered=False)
    # what the encoder gave, keys and values, each for every beam
    crossing = 3 * heard * beams
    most = max(encoding - kept, crossing)
    size = 2 * positions * audio.mel_bins * width * sequences + most
    block = min(MAPPED_BLOCK_BYTES, max(audio.feed_forward_length * positions * width * sequences, heard * beams))
    line = f"{2 * positions * sequences:,} × {audio.mel_bins} features × {width} bytes + {most:,} bytes of one layer"
    return Span(
        bytes=size + HOLES * block,
        low_bytes=size,
        high_bytes=size + HOLES_HIGH * block,
        arithmetic=f"{line} + {HOLES * block:,} bytes of holes in the heap; up to {HOLES_HIGH * block:,}",
    )
