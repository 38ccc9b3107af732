"""Whisper in ggml files, and whisper.cpp that loaded it."""

from __future__ import annotations

from math import prod

from ..facts import Unread
from ..spec import Architecture, Audio, RuntimeSpec
from .parts import Asked, Parts, Subject, published, stated_size, term, times
from .quantization import BLOCKS, canonical_gguf
from .records import How, SizedWeights, Term
from .tensors import checkpoint_tensors

_SOURCE = "whisper.cpp 1.8.5, whisper_init_state in src/whisper.cpp; equal to the buffers it prints, tests/truth/whisper.json"
# caches grow in steps of so many cells
_STEP = 256
# whisper-cli and whisper-server search with 5 beams (beam_size of whisper_full_default_params), and caches then have room for two
# more (whisper_full_with_state)
_BEAMS = 5
# tokens read at once: half of 448 of the text before and three that ask for the task (whisper_full_with_state), as soon as the half
# minutes before have left so much; of a first half minute as many as there are beams
_PROMPT_TOKENS, _FIRST_TOKENS = 227, _BEAMS
# what every one of the four graphs takes by itself: nodes and tensors without data (WHISPER_MAX_NODES)
_GRAPH_BYTES = 1_590_000
# program, vocabulary and buffers outside ggml: 34 to 40 MB in runs of whisper-cli on two and four threads; at most with five minutes of
# audio, which stays as it is read in 32 bits, with its spectrum
_PROGRAM = (36_000_000, 30_000_000, 70_000_000)
_SAMPLES_PER_SECOND, _FRAMES_PER_SECOND = 16_000, 100
_TYPES = ("F32", "F16", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0")
# mel filters and the token table of 52 thousand entries
_HEADER_BYTES = 600_000


def size_of(subject: Subject, quantization: str) -> SizedWeights | Unread:
    """The ggml file: as published, else matrices in the type asked for, vectors and positions in 32 bits."""
    name = canonical_gguf(quantization) or quantization
    found = published(subject.spec, "ggml", name)
    if found is not None:
        return stated_size(found)
    architecture, row = subject.architecture, subject.row
    if architecture is None or row is None or architecture.audio is None or name not in _TYPES:
        reason = f"whisper.cpp has no {quantization} files" if architecture is not None else "the architecture is not known"
        return Unread(fact="download_bytes", reason=reason, remedy="take F16, Q8_0 or Q5_0")
    elements, block = BLOCKS[name]
    matrices = halves = singles = 0
    for group in checkpoint_tensors(architecture, row):
        number = prod(group.shape) * (len(group.layers) or 1)
        if (
            len(group.shape) == 2
            and group.name.endswith(".weight")
            and "position_embd" not in group.name
            and group.shape[0] % elements == 0
        ):
            matrices += number
        elif len(group.shape) == 3:
            halves += number
        else:
            singles += number
    size = matrices // elements * block + 2 * halves + 4 * singles + _HEADER_BYTES
    return SizedWeights(
        bytes=size,
        low_bytes=int(size * 0.99),
        high_bytes=int(size * 1.01),
        how=How.COMPUTED,
        source="whisper.cpp models/convert-pt-to-ggml.py and examples/quantize: which tensors keep 32 or 16 bits",
        arithmetic=(
            f"{matrices:,} × {block}/{elements} bytes of {name} + {halves:,} × 2 bytes + {singles:,} × 4 bytes"
            f" + {_HEADER_BYTES:,} bytes of header"
        ),
    )


def parts(subject: Subject, runtime: RuntimeSpec, asked: Asked) -> Parts:
    """Files and memory. `parallel` states work at once (--processors): each has caches and buffers of its own."""
    files = size_of(subject, asked.quantization)
    if isinstance(files, Unread):
        return Parts(files=files, unknown=(files, files.replace(fact="memory.weights")))
    weights = term("weights", files.bytes, files.how, files.source, files.arithmetic, low=files.low_bytes, high=files.high_bytes)
    made = subject.architecture
    if made is None or made.audio is None or made.vocabulary is None:
        low, high = runtime.overhead_low_bytes, runtime.overhead_high_bytes
        line = f"{low:,} to {high:,} bytes: the architecture is not known"
        rest = term("runtime", (low + high) // 2, How.ASSUMED, runtime.overhead_source, line, low=low, high=high)
        return Parts(files=files, terms=(weights, rest), largest_file_bytes=files.bytes)
    likely, low, high = _PROGRAM
    heard = 4 * 60 * (_SAMPLES_PER_SECOND + _FRAMES_PER_SECOND * made.audio.mel_bins)
    line = f"{likely:,} bytes; {low:,} to {high:,}, with some minutes of audio; each takes {heard:,} bytes"
    program = term("runtime", likely, How.MEASURED, _SOURCE, line, low=low, high=high)
    found = (weights, _cache(made, made.audio, asked.parallel), _compute(made, made.audio, made.vocabulary, asked.parallel), program)
    return Parts(files=files, terms=found, largest_file_bytes=files.bytes)


def _cells(tokens: int) -> int:
    return -(-tokens // _STEP) * _STEP


def _cache(made: Architecture, audio: Audio, states: int) -> Term:
    """Keys and values in 16 bits: of the text for every beam and two more, of the audio in every layer, and of one encoder layer."""
    wide, own, heard = made.embedding_length, _cells(made.context_tokens or 448), _cells(audio.positions)
    # cleared when they are made, so all of it is resident
    text = 2 * made.layers * wide * 2 * own
    sound = 2 * made.layers * wide * 2 * heard + 2 * audio.embedding_length * 2 * heard
    line = (
        f"2 × {times(made.layers, 'layer')} × {wide:,} × 2 bytes × ({_BEAMS + 2} × {own:,} + {heard:,} cells)"
        f" + 2 × {audio.embedding_length:,} × 2 bytes × {heard:,} cells"
    )
    if states > 1:
        line = f"({line}) × {states:,}"
    size = (text * (_BEAMS + 2) + sound) * states
    return term("kv_cache", size, How.COMPUTED, f"{_SOURCE}; {_BEAMS} beams, the default", line)


def _compute(made: Architecture, audio: Audio, vocabulary: int, states: int) -> Term:
    """The buffers of four graphs, which stay apart: convolutions, encoder with flash attention, cross attention, decoder.

    The first convolution holds its input, those numbers unfolded in 16 bits, and two results; the encoder's widest moment is
    a feed-forward of 4, its input, the normed input and the result before; the decoder's are logits of all tokens it may be given.
    """
    wide, heard, tokens = audio.embedding_length, audio.positions, made.context_tokens or 448
    frames = 2 * heard
    convolution = frames * (audio.mel_bins * (4 + 3 * 2) + 2 * wide * 4)
    row, logits = heard * wide * 4, tokens * vocabulary * 4
    size = convolution + 7 * row + row + logits + tokens * 2 * wide * 4 + 4 * _GRAPH_BYTES
    line = (
        f"{frames:,} frames × ({audio.mel_bins:,} × 10 + 2 × {wide:,} × 4 bytes) + 8 × {heard:,} × {wide:,} × 4 bytes"
        f" + {tokens:,} tokens × ({vocabulary:,} + 2 × {wide:,}) × 4 bytes + 4 × {_GRAPH_BYTES:,} bytes"
    )
    if states > 1:
        line = f"({line}) × {states:,}"
    # of its rows of logits a prompt touches half, and as many of their copy; a release of 2026 holds five rows more
    less = 2 * (_PROMPT_TOKENS - _FIRST_TOKENS) * vocabulary * 4
    line += f"; as much is touched by a prompt of {_PROMPT_TOKENS:,} tokens, {less * states:,} bytes less in the first half minute"
    low, high = size - less, size + 5 * row
    return term("compute", size * states, How.COMPUTED, _SOURCE, line, low=low * states, high=high * states)
