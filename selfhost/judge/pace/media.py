"""How fast pictures, clips and speech are made or heard.

A picture or a clip takes its denoising steps and the decoder. Speech is timed by the layers of the
model, else by what others published of it, else by its steps and operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import sqrt
from typing import NamedTuple

from ...catalogue.architecture import Architecture
from ...catalogue.spec import Denoising, ModelSpec, Sound
from ...core import units
from ...core.records import FrozenDict, read_by
from ...needs.quantization import BASE_TYPES
from ...needs.records import Needs
from . import AUDIO, IMAGE, VIDEO, Speed, Step, clip_words
from .job import Job, step_seconds, token_seconds
from .processor import processor_of
from .ranges import NO_SECONDS, Amount, Range, Seconds, longest
from .rates import layer_from_python
from .tables import Figures, pace_tables

# seconds that a recognizer's encoder reads at once
_WINDOW_SECONDS = 30


# ------------------------------------------------------------------ pictures and clips


class PictureFigures(Figures):
    """Of pictures and clips; `moved_gb_seconds` by how parts move to the GPU."""

    block_seconds: Seconds
    fewest_blocks: int
    decoder: Range
    beside: Seconds
    moved_gb_seconds: Mapping[str, Seconds] = read_by(name="moved_gb")


@cache
def picture_figures() -> PictureFigures:
    """The figures of pictures and clips. Raises `SpecError` where the file is missing or wrong."""
    return pace_tables().record("pictures", PictureFigures)


def pace_of_pictures(job: Job, unit: str) -> Speed:
    """Seconds of a picture or a clip of the size that the program makes, or the model's own."""
    denoising = _denoising_of(job)
    if denoising is None:
        return Speed(unit=unit, how="the arithmetic of one step is not known")
    clip: tuple[int, int, int] | None = None
    what = ""
    if denoising.frames is not None:
        clip = denoising.frames, denoising.width or 0, denoising.height or 0
        what = f", {clip_words(*clip)}"
    elif job.spec.native_pixels:
        what = f", {job.spec.native_pixels} × {job.spec.native_pixels} pixels"
    count = f"{denoising.operations / 1e12:,.0f} × 10^12 operations in all"
    basis = job.basis(_kind_of_picture(denoising, job.quantization))
    how = f"on {job.called}; {denoising.steps} steps{what}, {count}{basis}"
    taken = seconds_of_picture(job, denoising)
    if job.placed.offload is not None:
        taken += _moving_seconds(job.placed, denoising, job.placed.offload)
        how += "; its parts move to the GPU one after the other"
    return Speed(
        work=taken.lowest_first(),
        unit=IMAGE if clip is None else VIDEO,
        how=how,
        clip=clip,
        frames_per_second=job.spec.frames_per_second,
    )


def _denoising_of(job: Job) -> Denoising | None:
    """The steps that the program takes, else the model's own; None where they are not known.

    Of a clip the model's own count where the printed command says how many steps to take.
    """
    runtime = job.runtime
    stated = job.spec.denoising
    takes_steps = False
    if runtime is not None:
        parts = runtime.parts.get(job.spec.id)
        if parts is not None and parts.denoising is not None:
            return parts.denoising
        takes_steps = "steps" in runtime.command_lines.blanks
    if stated is None or stated.frames is None or takes_steps:
        return stated
    return None


def _moving_seconds(placed: Needs, denoising: Denoising, offload: str) -> Seconds:
    """Of the parts that move to the GPU: each once, or layer by layer with every pass."""
    host_bytes = 0
    for term in placed.terms:
        if term.name == "weights" and term.where == "host":
            host_bytes += term.bytes
    times = 1
    if offload == "sequential":
        times = denoising.steps * denoising.passes
    seconds = picture_figures().moved_gb_seconds[offload]
    return seconds * (times * host_bytes / units.GB)


def _kind_of_picture(denoising: Denoising, quantization: str) -> str:
    """By which a GPU reaches a share of its peak."""
    if quantization in BASE_TYPES:
        return "picture_ggml"
    return "picture" if denoising.frames is None else "video"


def seconds_of_picture(job: Job, denoising: Denoising) -> Seconds:
    """Of the steps, the longest of computing, launching and reading, and of decoding."""
    share = job.share(_kind_of_picture(denoising, job.quantization))
    longer = job.longer_by_type(job.quantization)
    if job.device is None:
        # on a processor the type is in the share
        taken = job.seconds(denoising.operations, share) * longer
    else:
        taken = _picture_on_gpu(job, denoising, share, longer)
    if denoising.step_parameters is None:
        return taken
    reading = step_seconds(job.machine, job.device, denoising.step_parameters)
    return taken if reading is None else longest(taken, reading * denoising.steps)


def _picture_on_gpu(
    job: Job, denoising: Denoising, share: Range, longer: Amount
) -> Seconds:
    """Of the steps, which Python launches block by block, and of the decoder."""
    figures = picture_figures()
    decoder_share = share
    beside = NO_SECONDS
    if denoising.frames is None:
        # clips were timed as a whole
        decoder_share = figures.decoder * share.likely
        beside = figures.beside
    blocks = denoising.blocks or figures.fewest_blocks
    launching = figures.block_seconds * (denoising.steps * blocks)
    step_operations = denoising.operations - denoising.decode_operations
    steps = job.seconds(step_operations, share) * longer
    decoding = job.seconds(denoising.decode_operations, decoder_share) * longer
    return longest(steps, launching) + decoding + beside


# ------------------------------------------------------------------ speech


class SharesByBits(Figures):
    """What an encoder reaches in 8 bits and in 32."""

    bits_8: Range
    bits_32: Range


class SoundFigures(Figures):
    """Of speech and music."""

    wide: SharesByBits = read_by(kind=SharesByBits)
    narrow: SharesByBits = read_by(kind=SharesByBits)
    tokens: Amount
    windows: Amount
    beams: Amount
    beams_on_cores: Amount
    beams_by_rows: Amount
    beside: Seconds
    beside_gpu: Seconds
    voice_layer: Seconds


@cache
def sound_figures() -> SoundFigures:
    """The figures of speech. Raises `SpecError` where the file is missing or wrong."""
    return pace_tables().record("sound", SoundFigures)


class _SoundSeconds(NamedTuple):
    """Seconds of a minute of sound, and what they rest on."""

    taken: Seconds
    how: str


def pace_of_sound(job: Job, audio_seconds: int | None) -> Speed:
    """Seconds of a minute of sound; `audio_seconds`: the length of a recording that was stated."""
    writing = writing_step(job.spec, job.placed, job.quantization)
    sound = job.spec.sound
    if job.placed.offload is not None:
        how = "no timed run with its parts on the GPU one after another was found"
        return Speed(unit=AUDIO, how=how)
    if writing is not None:
        found = _written(job, writing, audio_seconds)
    elif sound is not None:
        found = _as_published(job, sound) or _stepped(job, sound)
    else:
        how = "the number of operations for a second of sound is not known"
        return Speed(unit=AUDIO, how=how)
    if found is None:
        return Speed(unit=AUDIO, how="no run of it was found on a machine like this")
    pace = found.taken.lowest_first()
    return Speed(work=pace, unit=AUDIO, how=found.how, audio_seconds=audio_seconds)


class WritingStep(NamedTuple):
    """One token that is written down by a decoder, and the bytes of a parameter while the program
    computes.
    """

    step: Step
    decoder: Architecture
    parameter_bytes: float


def writing_step(
    spec: ModelSpec, needs: Needs, quantization: str
) -> WritingStep | None:
    """One token of a recognizer; None of other models, and where its layers are not known.

    Of each layer of the decoder a token reads four matrices of attention to the text, two to the
    audio, whose keys and values are computed once, and two of the feed-forward network; and what
    the layer keeps of the audio, keys and values of 16 bits.
    """
    decoder = spec.architecture
    total = spec.parameters.total
    if decoder is None or decoder.audio is None or not total:
        return None
    weights_bytes = 0
    for term in needs.terms:
        if term.name in ("weights", "embeddings"):
            weights_bytes += term.bytes
    if not weights_bytes:
        return None
    parameter_bytes = weights_bytes / total
    width = decoder.embedding_length
    lengths = [group.length or 0 for group in decoder.feed_forward]
    length = max(lengths, default=4 * width)
    layer = 6 * width * width + 2 * width * length
    vocabulary = decoder.vocabulary or 0
    parameters = decoder.layers * layer + width * vocabulary
    read = {quantization: int(parameters * parameter_bytes)}
    kept = decoder.layers * 2 * 2 * decoder.audio.positions * width
    read["F16"] = read.get("F16", 0) + kept
    step = Step(
        architecture=decoder, layers=decoder.layers, read_bytes=FrozenDict(read)
    )
    return WritingStep(step, decoder, parameter_bytes)


def encoder_seconds(job: Job, decoder: Architecture, parameter_bytes: float) -> Seconds:
    """Of the encoder, for half a minute: its convolutions, its layers, and the keys and values of
    the decoder. Two operations a parameter and position, and attention of all positions to all.
    """
    audio = decoder.audio
    assert audio is not None, "it hears, as `writing_step` found"
    width = audio.embedding_length
    positions = audio.positions
    layer = 4 * width * width + 2 * width * audio.feed_forward_length
    layers = audio.layers * (2 * positions * layer + 4 * positions * positions * width)
    # kernels of three frames, the first convolution at twice as many positions
    heard = 2 * positions * audio.mel_bins * width
    convolutions = 2 * 3 * (heard + positions * width * width)
    crossed = decoder.layers * 2 * 2 * positions * width * decoder.embedding_length
    operations = float(layers + convolutions + crossed)
    return job.seconds(operations, _share_of_encoder(job, parameter_bytes))


def _share_of_encoder(job: Job, parameter_bytes: float) -> Range:
    """On a processor CTranslate2's, unless the program multiplies row by row."""
    if job.device is not None or job.multiplies_rows:
        return job.share("encoder")
    figures = sound_figures()
    shares = figures.wide if processor_of(job.machine).core.wide else figures.narrow
    return shares.bits_8 if parameter_bytes < 1.5 else shares.bits_32


def _written(
    job: Job, writing: WritingStep, audio_seconds: int | None
) -> _SoundSeconds | None:
    """Of a recognizer: the encoder, the tokens that are written, and what the program does."""
    token = token_seconds(job.machine, job.device, writing.step)
    if token is None:
        return None
    figures = sound_figures()
    windows = figures.windows
    if audio_seconds:
        # the encoder reads half a minute whatever is left of it
        count = -(-audio_seconds // _WINDOW_SECONDS)
        windows *= count * _WINDOW_SECONDS / audio_seconds
    encoding = encoder_seconds(job, writing.decoder, writing.parameter_bytes) * windows
    beams = figures.beams
    beside = figures.beside_gpu
    if job.device is None:
        beams = figures.beams_by_rows if job.multiplies_rows else figures.beams_on_cores
        beside = figures.beside
    tokens = figures.tokens
    how = (
        f"on {job.called}; the encoder reads half a minute at a time, and {tokens.fast:g} to"
        f" {tokens.slow:g} tokens of text are written for a minute of speech{job.basis('encoder')}"
    )
    return _SoundSeconds(encoding + token * (tokens * beams) + beside, how)


def _as_published(job: Job, sound: Sound) -> _SoundSeconds | None:
    """By the ends of the runs that others published on such hardware and their middle."""
    if job.device is None:
        low = sound.processor_seconds_low
        high = sound.processor_seconds_high
        places = "processors"
    elif job.device.unified:
        return None
    else:
        low = sound.card_seconds_low
        high = sound.card_seconds_high
        places = "graphics cards"
    if not low or not high:
        return None
    taken = Seconds(high, sqrt(low * high), low)
    return _SoundSeconds(taken, f"as published runs took on {places}")


def _stepped(job: Job, sound: Sound) -> _SoundSeconds | None:
    """Seconds of a minute by what its steps read and launch, and what is computed beside them."""
    figures = sound_figures()
    taken = NO_SECONDS
    if sound.operations_per_second:
        in_pytorch = job.replace(runtime=None, quantization="float32")
        operations = 60 * sound.operations_per_second
        taken += job.seconds(operations, in_pytorch.share("voice"))
        taken += figures.beside if job.device is None else figures.beside_gpu
    if sound.step_parameters:
        step = _step_of_voice(job, sound, sound.step_parameters)
        if step is None:
            return None
        steps = figures.tokens
        if sound.tokens_per_second is not None:
            steps = Amount.of(60 * sound.tokens_per_second)
        taken += step * steps
    if taken == NO_SECONDS:
        return None
    how = f"on {job.called}; by its operations and steps for a second of sound"
    return _SoundSeconds(taken, how)


def _step_of_voice(job: Job, sound: Sound, parameters: int) -> Seconds | None:
    """Of a step of a voice, the longer of reading its parameters and launching its layers."""
    reading = step_seconds(job.machine, job.device, parameters)
    if reading is None or job.device is None or sound.step_layers is None:
        return reading
    layer = layer_from_python(job.device)
    if sound.tokens_per_second is not None:
        voice_layer = sound_figures().voice_layer
        fast = min(voice_layer.fast, layer.fast)
        layer = longest(voice_layer, layer)._replace(fast=fast)
    return longest(reading, layer * sound.step_layers)
