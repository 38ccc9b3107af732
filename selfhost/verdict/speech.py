"""How fast speech is written down: seconds for a minute of audio.

An encoder reads half a minute at a time, bound by arithmetic; a decoder writes token by token,
bound by the memory and by launching operations, as text generation is (`speed`).
"""

from __future__ import annotations

from ..catalogue.spec import Architecture, Audio
from ..core.records import FrozenDict, Record
from ..machine.record import Machine
from .compute import Power, Range, added, product
from .graphics import gpu_of
from .speed import PaceRange, Speed, seconds_on_processor, shared_gpu_of
from .step import Step

UNIT = "seconds_per_audio_minute"
# of the peak of a GPU, what the encoder reached with whisper.cpp (scripts/bench-all-gg.txt of
# ggml-org/whisper.cpp, flash attention, 16 bits, each GPU left out in turn): of models from small
# to large 0.15 to 0.24 on a V100, 0.18 to 0.20 on a GB10, 0.33 to 0.50 on an RTX 5090, 0.42 to 0.56
# on Apple's (M1 Pro, M2 Ultra, M4 Max), 0.27 to 0.36 on an M5 Max; without flash attention half of
# it, and of tiny and base from 0.07 on
GPU_SHARES = (0.08, 0.3, 0.6)
# of what a processor computed on prompts of text. whisper.cpp's AVX2 cores reached 14 to 25 GFLOPS
# each on 4 threads (Core i7-8700, 8750H, 11850H, 2022), 0.24 to 0.43 of the likely figure, a
# Raspberry Pi 4 1.0
PROCESSOR_SHARES = (0.8, 0.4, 0.7)
# of that, what a program that computes in 8 bits gains: faster-whisper small on a Core i7-12700K,
# 13 minutes of audio in 157 seconds with float32 and 102 with int8 (its README)
_IN_8_BITS = 1.5
# tokens written for a minute: of 115 words at 1.3 tokens a word, of 150 words with time stamps, and
# as many as may be (`needs.whisper`)
_TOKENS = (150.0, 210.0, 440.0)
# half minutes that a minute of audio takes, for each begins where the last sentence ended
_WINDOWS = (2.0, 2.2, 2.6)
# several texts are followed at once (5 beams): a step of five took 1.2 to 1.6 times one of one
# (whisper.cpp's bench, Bch5 beside Dec.), on cores up to five times
_BEAMS = (1.2, 1.5, 2.2)
_BEAMS_ON_CORES = (1.3, 2.0, 5.0)
# operations of a layer of the decoder, that attends to text and to audio: whisper.cpp's graph
_OPERATIONS = 35
# of a program that reads the audio, computes its spectrum and follows the beams beside it: a guess
_BESIDE = (0.05, 0.2, 1.0)


class Decoder(Record):
    """What a step of the decoder reads: parameters, and bytes of what it keeps of the audio."""

    parameters: int
    audio_bytes: int


def encoder_operations(audio: Audio, decoder: Architecture) -> float:
    """Of half a minute: the convolutions, the layers, and the keys and values of the decoder."""
    width, positions = audio.embedding_length, audio.positions
    layer = 4 * width * width + 2 * width * audio.feed_forward_length
    layers = audio.layers * (2 * positions * layer + 4 * positions * positions * width)
    convolutions = 2 * 3 * (2 * positions * audio.mel_bins * width + positions * width * width)
    crossed = decoder.layers * 2 * 2 * positions * width * decoder.embedding_length
    return float(layers + convolutions + crossed)


def decoder_of(audio: Audio, decoder: Architecture) -> Decoder:
    """The part of the model that is read for each token."""
    width = decoder.embedding_length
    length = max((group.length or 0 for group in decoder.feed_forward), default=4 * width)
    # four matrices for the text, two for the audio, whose keys and values are computed once
    layer = 6 * width * width + 2 * width * length
    return Decoder(
        parameters=decoder.layers * layer + width * (decoder.vocabulary or 0),
        audio_bytes=decoder.layers * 2 * 2 * audio.positions * width,
    )


def pace_of_speech(
    machine: Machine,
    power: Power | None,
    architecture: Architecture | None,
    *,
    parameter_bytes: float | None,
    quantization: str,
) -> Speed:
    """Seconds for a minute of audio: the least, likely, the most.

    `parameter_bytes`: what one parameter takes while the program computes, None where that is not
    known.
    """
    if architecture is None or architecture.audio is None or parameter_bytes is None:
        return _unpaced("what it computes for a second of sound is not known")
    if power is None:
        return _unpaced("nothing tells how fast what it runs on computes")
    audio = architecture.audio
    shares = PROCESSOR_SHARES if power.device is None else GPU_SHARES
    if power.device is None and parameter_bytes < 1.5:
        shares = (shares[0], shares[1] * _IN_8_BITS, shares[2] * _IN_8_BITS)
    encoded = power.seconds(encoder_operations(audio, architecture), shares)
    token = _token_seconds(machine, power, architecture, parameter_bytes, quantization)
    if token is None:
        return _unpaced("nothing tells how fast the memory is that it is read from")
    beams = _BEAMS_ON_CORES if power.device is None else _BEAMS
    low, likely, high = added(product(_WINDOWS, encoded), product(_TOKENS, beams, token), _BESIDE)
    how = (
        f"on {power.how}; the encoder reads half a minute at a time"
        f" ({encoder_operations(audio, architecture) / 1e12:.2g} × 10^12 operations), and"
        f" {_TOKENS[0]:g} to {_TOKENS[2]:g} tokens of text are written for a minute of speech"
    )
    return Speed(
        work=PaceRange(low=low, likely=likely, high=high),
        unit=UNIT,
        how=how,
    )


def _token_seconds(
    machine: Machine,
    power: Power,
    architecture: Architecture,
    parameter_bytes: float,
    quantization: str,
) -> Range | None:
    """Of one token; None where no bandwidth is known."""
    if architecture.audio is None:
        return None
    decoder = decoder_of(architecture.audio, architecture)
    weights = int(decoder.parameters * parameter_bytes)
    read = {quantization: weights}
    read["F16"] = read.get("F16", 0) + decoder.audio_bytes
    step = Step(
        architecture=architecture,
        read_bytes=FrozenDict(read),
        operations=_OPERATIONS * architecture.layers,
    )
    if power.device is None:
        taken = seconds_on_processor(machine, step)
    else:
        gpu = shared_gpu_of(machine) if power.device.unified else gpu_of(power.device)
        taken = None if gpu is None else gpu.seconds(step)
    return None if taken is None else (min(taken[1:]), taken[1], max(taken[:2]))


def _unpaced(why: str) -> Speed:
    return Speed(unit=UNIT, how=why)
