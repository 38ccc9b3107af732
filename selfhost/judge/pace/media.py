"""The pace of pictures, clips and speech, generated or recognized.

A picture or a clip takes its denoising steps and the decoder. Speech is timed by the layers of the
model, or by published paces of the model, or by its steps and operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import sqrt

from ...catalogue.architecture import Architecture, Audio
from ...catalogue.spec import Denoising, ModelSpec, Sound
from ...core import units
from ...core.records import Record, read_by
from ...needs.quantization import BASE_TYPES
from ...needs.records import Needs, likely_bytes
from . import AUDIO, IMAGE, VIDEO, Speed
from .decode_step import Step
from .figures import Figures
from .job import Job
from .processor import processor_of
from .ranges import NO_SECONDS, Amount, Range, Seconds, longest
from .tables import pace_tables
from .words import clip_words

# the seconds of audio that the encoder of a speech recognizer reads at once
_WINDOW_SECONDS = 30


# ------------------------------------------------------------------ pictures and clips


class PictureFigures(Figures):
    """The figures of pictures and clips.

    `moved_gb_seconds` are given by the way in which parts move to the GPU. `python_seconds` is the
    time of the text encoders and of Python's work once a picture.
    """

    block_seconds: Seconds
    fewest_blocks: int
    decoder: Range
    python_seconds: Seconds = read_by(name="beside")
    moved_gb_seconds: Mapping[str, Seconds] = read_by(name="moved_gb")


@cache
def picture_figures() -> PictureFigures:
    """The figures of pictures and clips. Raises `SpecError` where the file is missing or wrong."""
    return pace_tables().record("pictures", PictureFigures)


def pace_of_pictures(job: Job, unit: str) -> Speed:
    """Return the seconds of a picture or a clip of the size that the runtime makes, or of the
    model's own size.
    """
    denoising = _denoising_of(job)
    if denoising is None:
        return Speed(unit=unit, how="the arithmetic of one step is not known")
    if job.placed.offload == "partial" and job.runtime is not None:
        return Speed(unit=unit, how=job.runtime.pace.unknown_in_part)
    taken = seconds_of_picture(job, denoising)
    how = f"on {job.called}; {_what_is_made(job, denoising)}"
    if job.placed.offload is not None:
        taken += _moving_seconds(job.placed, denoising, job.placed.offload)
        how += "; its parts move to the GPU one after the other"
    clip = _clip_of(denoising)
    return Speed(
        work=taken.lowest_first(),
        unit=IMAGE if clip is None else VIDEO,
        how=how,
        clip=clip,
        frames_per_second=job.spec.frames_per_second,
    )


def _denoising_of(job: Job) -> Denoising | None:
    """The denoising steps that the runtime takes, else the model's own; None where they are not
    known.

    For a clip, the model's own steps count only where the printed command states the number of
    steps.
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


def _clip_of(denoising: Denoising) -> tuple[int, int, int] | None:
    """The frames, width and height of a clip; None for a picture."""
    if denoising.frames is None:
        return None
    width = denoising.width or 0
    height = denoising.height or 0
    return denoising.frames, width, height


def _what_is_made(job: Job, denoising: Denoising) -> str:
    """The clause with steps, size and operations, and with the basis of their rate."""
    size = ""
    clip = _clip_of(denoising)
    if clip is not None:
        size = f", {clip_words(*clip)}"
    elif denoising.width and denoising.height:
        size = f", {denoising.width} × {denoising.height} pixels"
    elif job.spec.native_pixels:
        size = f", {job.spec.native_pixels} × {job.spec.native_pixels} pixels"
    count = f"{denoising.operations / 1e12:,.0f} × 10^12 operations in all"
    basis = job.basis(_kind_of_picture(denoising, job.quantization))
    return f"{denoising.steps} steps{size}, {count}{basis}"


def _moving_seconds(
    placed: Needs,
    denoising: Denoising,
    offload: str,
) -> Seconds:
    """The seconds in which the parts move to the GPU: each part once, or layer by layer with every
    pass.
    """
    host_bytes = likely_bytes(placed.on_host.terms, "weights")
    times = 1
    if offload == "sequential":
        times = denoising.steps * denoising.passes
    seconds = picture_figures().moved_gb_seconds[offload]
    return seconds * (times * host_bytes / units.GB)


def _kind_of_picture(denoising: Denoising, quantization: str) -> str:
    """The kind of work by which the GPU's share of its peak is looked up: "picture_ggml", "picture"
    or "video".
    """
    if quantization in BASE_TYPES:
        return "picture_ggml"
    return "picture" if denoising.frames is None else "video"


def seconds_of_picture(job: Job, denoising: Denoising) -> Seconds:
    """Return the seconds of a picture: the denoising steps and the decoder, or reading the weights
    in every step where that takes longer.
    """
    share = job.share(_kind_of_picture(denoising, job.quantization))
    if job.device is None:
        # on a processor the share depends on the type: only bfloat16 may take longer beside
        taken = job.seconds(denoising.operations, share)
        taken *= job.longer_by_type(job.quantization)
    else:
        taken = _picture_on_gpu(job, denoising, share)
    if denoising.step_parameters is None:
        return taken
    reading = job.seconds_to_read(denoising.step_parameters)
    if reading is None:
        return taken
    return longest(taken, reading * denoising.steps)


def _picture_on_gpu(
    job: Job,
    denoising: Denoising,
    share: Range,
) -> Seconds:
    """The seconds of the denoising steps, which Python launches block by block, and of the
    decoder.
    """
    figures = picture_figures()
    longer = job.longer_by_type(job.quantization)
    blocks = denoising.blocks or figures.fewest_blocks
    launching = figures.block_seconds * (denoising.steps * blocks)
    step_operations = denoising.operations - denoising.decode_operations
    computing = job.seconds(step_operations, share) * longer
    steps = longest(computing, launching)
    if denoising.frames is not None:
        # clips were timed as a whole, decoder included
        return steps + job.seconds(denoising.decode_operations, share) * longer
    decoder_share = figures.decoder * share.likely
    decoding = job.seconds(denoising.decode_operations, decoder_share) * longer
    return steps + decoding + figures.python_seconds


# ------------------------------------------------------------------ speech


class SharesByBits(Figures):
    """The shares of the processor's rate that an encoder reaches in 8 bits and in 32 bits."""

    bits_8: Range
    bits_32: Range


class SoundFigures(Figures):
    """The figures of speech and music.

    `program_seconds` is the time of the runtime's own work without a GPU, `program_seconds_on_gpu`
    with a GPU.
    """

    wide: SharesByBits = read_by()
    narrow: SharesByBits = read_by()
    tokens: Amount
    windows: Amount
    beams: Amount
    beams_on_cores: Amount
    beams_by_rows: Amount
    program_seconds: Seconds = read_by(name="beside")
    program_seconds_on_gpu: Seconds = read_by(name="beside_gpu")
    voice_layer: Seconds

    def seconds_of_program(self, job: Job) -> Seconds:
        """The seconds of the runtime's own work for a minute of sound: reading the audio, its
        spectrum, following the beams.
        """
        return (
            self.program_seconds if job.device is None else self.program_seconds_on_gpu
        )

    def beams_of(self, job: Job) -> Amount:
        """The factor by which a decoding step of several beams takes longer than a step of one."""
        if job.device is not None:
            return self.beams
        return self.beams_by_rows if job.multiplies_rows else self.beams_on_cores


@cache
def sound_figures() -> SoundFigures:
    """The figures of speech. Raises `SpecError` where the file is missing or wrong."""
    return pace_tables().record("sound", SoundFigures)


class _SoundSeconds(Record):
    """The seconds of a minute of sound, and the sentence that says what they rest on."""

    taken: Seconds
    how: str


def pace_of_sound(job: Job, audio_seconds: int | None) -> Speed:
    """Return the seconds of a minute of sound. `audio_seconds` is the length of a stated
    recording.
    """
    if job.placed.offload is not None:
        how = "no timed run with its parts on the GPU one after another was found"
        return Speed(unit=AUDIO, how=how)
    recognizer = recognizer_of(job.spec, job.placed)
    sound = job.spec.sound
    if recognizer is not None:
        found = _recognizer_seconds(job, recognizer, audio_seconds)
    elif sound is not None:
        found = _as_published(job, sound) or _voice_seconds(job, sound)
    else:
        how = "the number of operations for a second of sound is not known"
        return Speed(unit=AUDIO, how=how)
    if found is None:
        return Speed(unit=AUDIO, how="no run of it was found on a machine like this")
    return Speed(
        work=found.taken.lowest_first(),
        unit=AUDIO,
        how=found.how,
        audio_seconds=audio_seconds,
    )


class Recognizer(Record):
    """A model that writes down speech: an encoder that reads half a minute of audio, and a decoder
    that writes tokens.

    `parameter_bytes`: the bytes of one parameter while the runtime computes.
    """

    decoder: Architecture
    audio: Audio
    parameter_bytes: float

    def token(self, quantization: str) -> Step:
        """The decoding step of one token.

        In each layer a token reads four matrices of attention to the text, two of attention to the
        audio, and two of the feed-forward network. The keys and values of the audio are computed
        once; the token reads them from each layer, in 16 bits.
        """
        decoder = self.decoder
        width = decoder.embedding_length
        lengths = [group.length or 0 for group in decoder.feed_forward]
        length = max(lengths, default=4 * width)
        layer = 6 * width * width + 2 * width * length
        vocabulary = decoder.vocabulary or 0
        parameters = decoder.layers * layer + width * vocabulary
        read = {quantization: int(parameters * self.parameter_bytes)}
        kept_bytes = decoder.layers * 2 * 2 * self.audio.positions * width
        read["F16"] = read.get("F16", 0) + kept_bytes
        return Step(architecture=decoder, read_bytes=read)

    def encoder_operations(self) -> float:
        """The operations of the encoder for half a minute: the convolutions, the layers, and the
        keys and values of the decoder.

        Two operations count for each parameter and position, and attention of all positions to all.
        """
        audio = self.audio
        width = audio.embedding_length
        positions = audio.positions
        layer = 4 * width * width + 2 * width * audio.feed_forward_length
        attention = 4 * positions * positions * width
        layers = audio.layers * (2 * positions * layer + attention)
        # the first convolutions: kernels of three frames, the first of them at twice as many
        # positions
        heard = 2 * positions * audio.mel_bins * width
        convolutions = 2 * 3 * (heard + positions * width * width)
        crossed = 2 * 2 * positions * width * self.decoder.embedding_length
        return float(layers + convolutions + self.decoder.layers * crossed)

    def encoder_seconds(self, job: Job) -> Seconds:
        """The seconds of the encoder for half a minute of audio."""
        return job.seconds(self.encoder_operations(), self._share_of_encoder(job))

    def _share_of_encoder(self, job: Job) -> Range:
        """The share of the peak that the encoder reaches. On a processor the share is that of
        CTranslate2, unless the runtime multiplies row by row.
        """
        if job.device is not None or job.multiplies_rows:
            return job.share("encoder")
        figures = sound_figures()
        is_wide = processor_of(job.machine).core.wide
        shares = figures.wide if is_wide else figures.narrow
        return shares.bits_8 if self.parameter_bytes < 1.5 else shares.bits_32


def recognizer_of(spec: ModelSpec, needs: Needs) -> Recognizer | None:
    """Return the recognizer that a model is; None for other models, and where the model's layers
    are not known.
    """
    decoder = spec.architecture
    total = spec.parameters.total
    if decoder is None or decoder.audio is None or not total:
        return None
    weights_bytes = likely_bytes(needs.terms, "weights", "embeddings")
    if not weights_bytes:
        return None
    return Recognizer(
        decoder=decoder, audio=decoder.audio, parameter_bytes=weights_bytes / total
    )


def _recognizer_seconds(
    job: Job,
    recognizer: Recognizer,
    audio_seconds: int | None,
) -> _SoundSeconds | None:
    """The seconds of a minute of sound in a recognizer: the encoder, the written tokens, and the
    runtime's own work; None where no bandwidth is known.
    """
    token = job.seconds_of_step(recognizer.token(job.quantization))
    if token is None:
        return None
    figures = sound_figures()
    windows = figures.windows
    if audio_seconds:
        # the encoder always reads whole windows of half a minute
        count = -(-audio_seconds // _WINDOW_SECONDS)
        windows *= count * _WINDOW_SECONDS / audio_seconds
    taken = recognizer.encoder_seconds(job) * windows
    tokens = figures.tokens
    taken += token * (tokens * figures.beams_of(job))
    taken += figures.seconds_of_program(job)
    how = (
        f"on {job.called}; the encoder reads half a minute at a time, and {tokens.fast:g} to"
        f" {tokens.slow:g} tokens of text are written for a minute of speech{job.basis('encoder')}"
    )
    return _SoundSeconds(taken=taken, how=how)


def _as_published(job: Job, sound: Sound) -> _SoundSeconds | None:
    """The seconds of a minute of sound from published runs on such hardware: the ends of these
    runs, and the middle of the ends; None without such runs.
    """
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
    return _SoundSeconds(taken=taken, how=f"as published runs took on {places}")


def _voice_seconds(job: Job, sound: Sound) -> _SoundSeconds | None:
    """The seconds of a minute of sound, from the bytes that its steps read, the layers that they
    launch, and the operations that the runtime computes; None where they are not known.
    """
    figures = sound_figures()
    taken = NO_SECONDS
    if sound.operations_per_second:
        in_pytorch = job.replace(runtime=None, quantization="float32")
        operations = 60 * sound.operations_per_second
        taken += job.seconds(operations, in_pytorch.share("voice"))
        taken += figures.seconds_of_program(job)
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
    return _SoundSeconds(taken=taken, how=how)


def _step_of_voice(
    job: Job,
    sound: Sound,
    parameters: int,
) -> Seconds | None:
    """The seconds of a voice's step: the longer of reading its parameters and launching its
    layers.
    """
    reading = job.seconds_to_read(parameters)
    if reading is None or job.device is None or sound.step_layers is None:
        return reading
    layer = job.launched_layer
    if sound.tokens_per_second is not None:
        voice_layer = sound_figures().voice_layer
        fast = min(voice_layer.fast, layer.fast)
        layer = longest(voice_layer, layer)._replace(fast=fast)
    return longest(reading, layer * sound.step_layers)
