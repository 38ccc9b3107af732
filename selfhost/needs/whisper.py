"""Whisper in ggml files, and whisper.cpp that loaded it."""

from __future__ import annotations

from math import prod

from ..catalogue.spec import Architecture, Audio, RuntimeSpec
from ..core.records import Unread
from ..core.saying import option
from .parts import Asked, Parts, Subject, published, stated_size, term, times
from .quantization import BLOCKS, canonical_gguf
from .records import How, SizedWeights, Term, middle_of
from .tensors import checkpoint_tensors

_SOURCE = (
    "whisper.cpp 1.8.5, whisper_init_state in src/whisper.cpp; equal to the buffers it prints,"
    " tests/truth/whisper.json"
)
# caches grow in steps of this many cells
_STEP = 256
# whisper-cli searches with 5 beams (beam_size of whisper_full_default_params), and caches then have
# room for two more (whisper_full_with_state)
_BEAMS = 5
# bytes of each beam for every word: a probability, its logarithm, a logit and a sorted pair
# (whisper_decoder)
_BEAM_BYTES = 28
# the text before is read again with each half minute, half of 448 tokens at most, and with it four
# that ask for the task; alone these are fewer than the beams (whisper_full_with_state). `_WRITTEN`:
# tokens that half a minute leaves, least, likely, most: of speech of 115 words a minute at 1.3
# tokens a word, of 150 words with time stamps, and as many as it may write
_TEXT_TOKENS, _TASK_TOKENS = 223, 4
_WRITTEN = (75, 105, 220)
_HALF_MINUTE = 30
# a last piece so short is read without the text before
_ALONE_SECONDS = 5
# each of the four graphs takes this for nodes and tensors without data (WHISPER_MAX_NODES)
_GRAPH_BYTES = 1_590_000
# what is left of runs of whisper-cli from tiny to medium: 18 to 22 MB on two threads, 24 to 25 on
# four, the default
_PROGRAM = (24_000_000, 18_000_000, 28_000_000)
# audio stays as it is read in 32 bits, with its spectrum
_SAMPLES_PER_SECOND, _FRAMES_PER_SECOND = 16_000, 100
# audio of unknown length, least, likely and most: some minutes, up to ten. The least is a sentence
# where that makes little difference, else what fills the text before
_SHORT_SECONDS, _AUDIO_SECONDS = 10, (100, 200, 600)
_LITTLE = 0.1
_TYPES = ("F32", "F16", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0")
# mel filters and the token table of 52 thousand entries
_HEADER_BYTES = 600_000


def size_of(subject: Subject, quantization: str) -> SizedWeights | Unread:
    """The ggml file: as published, else matrices in the requested type, vectors and positions in 32
    bits.
    """
    name = canonical_gguf(quantization) or quantization
    stated = published(subject.spec, "ggml", name)
    if stated is not None:
        return stated_size(stated)
    architecture, row = subject.architecture, subject.row
    if architecture is None or row is None or architecture.audio is None or name not in _TYPES:
        reason = (
            f"whisper.cpp has no {quantization} files"
            if architecture is not None
            else "the architecture is not known"
        )
        return Unread(
            fact="download_bytes",
            reason=reason,
            remedy=f"use {option('quantization')} F16, Q8_0 or Q5_0",
        )
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
        source=(
            "whisper.cpp models/convert-pt-to-ggml.py and examples/quantize: which tensors keep 32"
            " or 16 bits"
        ),
        arithmetic=(
            f"{matrices:,} × {block}/{elements} bytes of {name} + {halves:,} × 2 bytes +"
            f" {singles:,} × 4 bytes + {_HEADER_BYTES:,} bytes of header"
        ),
    )


def parts(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Parts:
    """Files and memory. `parallel` states work at once (--processors): each has caches and
    buffers of its own.
    """
    files = size_of(subject, workload.quantization)
    if isinstance(files, Unread):
        return Parts(files=files, unknown=(files, files.replace(fact="memory.weights")))
    weights = term(
        "weights",
        files.bytes,
        files.how,
        files.source,
        files.arithmetic,
        low=files.low_bytes,
        high=files.high_bytes,
    )
    architecture = subject.architecture
    if architecture is None or architecture.audio is None or architecture.vocabulary is None:
        low, high = runtime.overhead_low_bytes, runtime.overhead_high_bytes
        line = f"{middle_of(low, high)}; the architecture is not known"
        rest = term(
            "runtime",
            (low + high) // 2,
            How.ASSUMED,
            runtime.overhead_source,
            line,
            low=low,
            high=high,
        )
        return Parts(files=files, terms=(weights, rest), largest_file_bytes=files.bytes)
    terms = _terms_of(weights, architecture, architecture.audio, architecture.vocabulary, workload)
    return Parts(files=files, terms=terms, largest_file_bytes=files.bytes)


def _terms_of(
    weights: Term, architecture: Architecture, audio: Audio, vocabulary: int, workload: Asked
) -> tuple[Term, ...]:
    """All terms, for the stated seconds of audio or for the usual ones."""

    def lasting(seconds: tuple[int, int, int]) -> tuple[Term, ...]:
        return _terms(weights, architecture, audio, vocabulary, seconds, workload.parallel)

    if workload.audio_seconds is not None:
        return lasting((workload.audio_seconds,) * 3)
    terms = lasting((_SHORT_SECONDS, *_AUDIO_SECONDS[1:]))
    low, high = sum(term.low_bytes for term in terms), sum(term.high_bytes for term in terms)
    return lasting(_AUDIO_SECONDS) if high - low > _LITTLE * (high + low) else terms


def _terms(
    weights: Term,
    architecture: Architecture,
    audio: Audio,
    vocabulary: int,
    seconds: tuple[int, int, int],
    states: int,
) -> tuple[Term, ...]:
    """All terms, for `seconds` of audio: least, likely and most."""
    return (
        weights,
        _cache(architecture, audio, states),
        _compute(audio, vocabulary, seconds, states),
        _program(audio, seconds),
    )


def _program(audio: Audio, seconds: tuple[int, int, int]) -> Term:
    """The program itself and what it keeps of the audio."""
    each = 4 * (_SAMPLES_PER_SECOND + _FRAMES_PER_SECOND * audio.mel_bins)
    least, likely, most = seconds
    line = f"{_PROGRAM[0]:,} bytes + {likely:,} seconds of audio × 4 bytes"
    line += f" × ({_SAMPLES_PER_SECOND:,} samples + {_FRAMES_PER_SECOND} × {audio.mel_bins} bins)"
    if least < most:
        line += (
            f"; of unknown length, {least:,} to {most:,} seconds: a minute takes {60 * each:,}"
            " bytes"
        )
    low, high = _PROGRAM[1] + least * each, _PROGRAM[2] + most * each
    return term(
        "runtime", _PROGRAM[0] + likely * each, How.MEASURED, _SOURCE, line, low=low, high=high
    )


def _cells(tokens: int) -> int:
    return -(-tokens // _STEP) * _STEP


def _cache(architecture: Architecture, audio: Audio, states: int) -> Term:
    """Keys and values in 16 bits: of the text for every beam and two more, of the audio in
    every layer, and of one encoder layer.
    """
    wide, own, heard = (
        architecture.embedding_length,
        _cells(architecture.context_tokens or 448),
        _cells(audio.positions),
    )
    # cleared when they are made, so all of it is resident
    text = 2 * architecture.layers * wide * 2 * own
    sound = 2 * architecture.layers * wide * 2 * heard + 2 * audio.embedding_length * 2 * heard
    line = (
        f"2 × {times(architecture.layers, 'layer')} × {wide:,} × 2 bytes × ({_BEAMS + 2} × {own:,}"
        f" + {heard:,} cells) + 2 × {audio.embedding_length:,} × 2 bytes × {heard:,} cells"
    )
    if states > 1:
        line = f"({line}) × {states:,}"
    size = (text * (_BEAMS + 2) + sound) * states
    return term("kv_cache", size, How.COMPUTED, f"{_SOURCE}; {_BEAMS} beams, the default", line)


def _read_tokens(seconds: tuple[int, int, int]) -> tuple[int, ...]:
    """Least, likely and most tokens that the decoder reads at once, of audio of that length."""
    least, likely, most = (
        max(0, (duration - _ALONE_SECONDS - 1) // _HALF_MINUTE) for duration in seconds
    )
    # half minutes may end early, so that one more begins
    pieces = (least, likely, most + (seconds[2] > _HALF_MINUTE))
    texts = (
        min(_TEXT_TOKENS, number * written)
        for number, written in zip(pieces, _WRITTEN, strict=True)
    )
    return tuple(text + _TASK_TOKENS if text else _BEAMS for text in texts)


def _compute(audio: Audio, vocabulary: int, seconds: tuple[int, int, int], states: int) -> Term:
    """The buffers of four graphs, which stay apart: convolutions, encoder with flash attention,
    cross attention, decoder.

    The first convolution holds its input, those numbers unfolded in 16 bits, and two results; the
    encoder's widest moment is a feed-forward of 4, its input, the normed input and the result
    before. The decoder has room for logits of 448 tokens and for a copy of them; of both are
    resident those of the tokens it reads at once. Beside the graphs lie the feed-forward's input in
    16 bits (ggml_graph_plan) and what each beam keeps of every word.
    """
    wide, heard = audio.embedding_length, audio.positions
    frames = 2 * heard
    convolution = frames * (audio.mel_bins * (4 + 3 * 2) + 2 * wide * 4)
    row, of_a_token = heard * wide * 4, 2 * (wide + vocabulary) * 4
    graphs = convolution + 8 * row + 4 * _GRAPH_BYTES
    beside = 2 * row + _BEAMS * vocabulary * _BEAM_BYTES
    tokens_read = _read_tokens(seconds)
    least, likely, most = (states * (graphs + beside + read * of_a_token) for read in tokens_read)
    read = tokens_read[1]
    line = (
        f"{frames:,} frames × ({audio.mel_bins:,} × 10 + 2 × {wide:,} × 4 bytes) + 8 × {heard:,} ×"
        f" {wide:,} × 4 bytes + 4 × {_GRAPH_BYTES:,} bytes + {heard:,} × 4 × {wide:,} × 2 bytes +"
        f" {_BEAMS} beams × {vocabulary:,} × {_BEAM_BYTES} bytes + {times(read, 'token')} × 2 ×"
        f" ({wide:,} + {vocabulary:,}) × 4 bytes"
    )
    if states > 1:
        line = f"({line}) × {states:,}"
    less = (read - _BEAMS) * of_a_token * states
    if less:
        line += (
            f"; with the text before, without which audio of {_HALF_MINUTE} seconds takes {less:,}"
            " bytes less"
        )
    made_of = term("compute", likely, How.COMPUTED, _SOURCE, line, low=least, high=most)
    # beside a GPU inputs are there twice: five rows more were printed with Vulkan
    return made_of.replace(on_device=made_of.replace(high_bytes=most + 5 * row * states))
