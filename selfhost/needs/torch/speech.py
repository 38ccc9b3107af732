"""What Whisper holds in transformers on a CPU while it writes down half a minute of speech.

Read in transformers 5.23.0 (`models/whisper`, `pipelines/automatic_speech_recognition.py`) and
measured: `tests/truth/transformers.json`. Sizes are in bytes, `width` is the bytes of one number in
the type that the model runs in.
"""

from __future__ import annotations

from ...catalogue.spec import Architecture, Audio
from ..parts import times
from ..records import Span
from .memory import ENCODER_HOLES_HIGH, MAPPED_BLOCK_BYTES

BEAMS = 5
"""The pipeline searches with as many where a model's generation_config does not say (_default_generation_config); generate() with one."""  # noqa: E501
ANSWER_TOKENS = 256
"""Answered at most, by the same default."""
# tokens that start an answer
_PROMPT_TOKENS = 4
# what the heap keeps of the caches of beams, as a share of those of the audio: least, likely, most;
# 0.7 to 0.9 after a first answer, 0.8 to 1.0 after a second, over runs of tiny, base and small
_LEFT_BY_CACHES = (0.6, 0.9, 1.0)


def cache_bytes(
    architecture: Architecture,
    audio: Audio,
    sequences: int,
    width: int,
    *,
    beams: int,
    answered: bool = True,
) -> tuple[int, str]:
    """Bytes of keys and values of the audio and, once `answered`, of the longest answer, with the
    line. Every beam has its own of both.
    """
    tokens = (
        min(ANSWER_TOKENS + _PROMPT_TOKENS, architecture.context_tokens or ANSWER_TOKENS)
        if answered
        else 0
    )
    each = 2 * architecture.layers * architecture.embedding_length * width * beams * sequences
    line = (
        f"2 × {times(architecture.layers, 'layer')} × {architecture.embedding_length:,} × {width}"
        f" bytes × ({audio.positions:,} positions + {tokens:,} tokens) × {beams} beams"
    )
    return each * (audio.positions + tokens), line + (
        f" × {sequences:,} sequences" if sequences > 1 else ""
    )


def beside_caches(
    architecture: Architecture, audio: Audio, sequences: int, width: int, *, beams: int
) -> tuple[int, str]:
    """Bytes of the features and of the larger of two, with the line: what the encoder holds while
    it runs, or what it gave while keys and values of a layer are made.

    The caches come after the encoder and take the place of what it held.
    """
    wide, positions = audio.embedding_length, audio.positions
    heard = positions * wide * width * sequences
    encoding = (4 * wide + 2 * audio.feed_forward_length) * positions * width * sequences
    kept, _ = cache_bytes(architecture, audio, sequences, width, beams=beams, answered=False)
    # what the encoder gave, keys and values, each for every beam
    most = max(encoding - kept, 3 * heard * beams)
    line = (
        f"{2 * positions * sequences:,} × {audio.mel_bins} features × {width} bytes + {most:,}"
        " bytes of one layer"
    )
    return 2 * positions * audio.mel_bins * width * sequences + most, line


def activations(architecture: Architecture, audio: Audio, sequences: int, width: int) -> Span:
    """What lies beside the caches with the pipeline's beams, and what the heap keeps of caches from
    one half minute of speech to the next.

    Blocks of the encoder leave holes, as in other encoders.
    """
    size, line = beside_caches(architecture, audio, sequences, width, beams=BEAMS)
    kept, _ = cache_bytes(architecture, audio, sequences, width, beams=BEAMS, answered=False)
    # no block above the threshold stays, so more sequences leave no more than one block for keys
    # and one for values of every layer
    kept = min(kept, 2 * architecture.layers * MAPPED_BLOCK_BYTES)
    low, likely, high = (int(share * kept) for share in _LEFT_BY_CACHES)
    line += f" + {likely:,} bytes that earlier caches left in the heap"
    high += ENCODER_HOLES_HIGH * min(
        MAPPED_BLOCK_BYTES, audio.feed_forward_length * audio.positions * width * sequences
    )
    return Span(
        bytes=size + likely,
        low_bytes=size + low,
        high_bytes=size + high,
        arithmetic=f"{line}; {size + low:,} to {size + high:,} with what the heap keeps",
    )
