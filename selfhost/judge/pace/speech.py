"""How long a minute of sound takes: written down, spoken or composed.

An encoder reads half a minute at a time, bound by arithmetic; a decoder writes token by token,
bound by the memory and by launching operations, as text generation is (`speed`). Of models whose
layers no rule describes, what others published stands, or steps and operations, or their kind.
"""

from __future__ import annotations

from math import sqrt

from ...catalogue.media import Sound
from ...catalogue.spec import Architecture, Audio, ModelSpec
from ...core import units
from ...core.records import FrozenDict, Record
from ...machine.gpus import basis_of_share, share_of
from ...machine.record import Machine
from ...needs.records import Needs
from ..ranges import Range, added, longer, product
from .compute import Power, in_pytorch, seconds_of_step, shares_on_cores, token_seconds, unpaced
from .graphics import pace_of_device
from .processor import core_of
from .speed import PaceRange, Speed
from .step import Step

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec

UNIT, UNIT_OF_MUSIC = "seconds_per_audio_minute", "seconds_per_music_minute"
# of the peak of a GPU, what voices and recognizers reach in PyTorch: a guess as wide as what
# Whisper's encoder reached in whisper.cpp without flash attention and with it, on all kinds of GPUs
GPU_SHARES = (0.08, 0.3, 0.6)
# of what a processor computes on prompts of text, what CTranslate2's encoder reaches, in 8 bits and
# in 32: on vectors of 512 bits, one core of Zen 4 (tests/truth/compute.json), 0.74 (tiny), 0.81
# (base) and 1.18 (small), 0.66 (base) and 0.75 (small); the ends are a guess a quarter beyond. On
# others faster-whisper small, five beams, 0.5 in 8 bits on a Ryzen 5 5600G (6.5 minutes of audio in
# 54 seconds, 4 threads, SYSTRAN/faster-whisper#1073), large-v3-turbo, one beam, 1.1 to 1.3 on a
# Ryzen 9 5950X (5 minutes in 55 to 62 seconds, 4 threads, #1167), and in 32 bits 0.14 on a
# Core i7-12700K (13 minutes in 157, 8 threads, its README)
_WIDE_SHARES = (0.55, 0.85, 1.5), (0.5, 0.7, 0.95)
_NARROW_SHARES = (0.3, 0.6, 1.3), (0.18, 0.3, 0.5)
# tokens written for a minute: of 115 words at 1.3 tokens a word, of 150 words with time stamps, of
# 200 words with time stamps at 1.5, as other languages than English take
_TOKENS = (150.0, 210.0, 340.0)
# seconds that the encoder reads at once; how many of these a minute of audio takes, for each begins
# where the last sentence ended
_WINDOW_SECONDS = 30
_WINDOWS = (2.0, 2.2, 2.6)
# several texts are followed at once, and chosen among: a step of five takes 1.2 to 1.6 times one of
# one on GPUs (whisper.cpp's bench, Bch5 beside Dec.), on cores up to five times. Whole programs
# take longer, for they choose on the processor or launch each operation by itself: 13 minutes of
# audio in 63 and 65 seconds with large-v2 on an RTX 3070 Ti (README of SYSTRAN/faster-whisper,
# whisper.cpp beside it), on a 2080 Ti in 52 with large-v3, 19 with turbo, 26 with distil-large-v3
# (#1030): 0.76 to 1.7 times the likely figure
_BEAMS = (1.5, 2.3, 2.8)
# of reading the weights and what is kept of the audio: CTranslate2 on one core of Zen 4 1.8 (base
# in 32 bits), 2.2 (small in 8) and 2.6 (tiny and base), five beams beside one 1.4 to 1.6
_BEAMS_ON_CORES = (1.4, 2.1, 3.3)
# how many, unless asked for others: whisper.cpp (examples/cli/cli.cpp) and faster-whisper
_BEAM_COUNT = 5
# of one core, attending to the audio for one token at a time, whose heads are read row by row:
# tiny steps of five tokens beside steps of one of base and small on a Granite Rapids, 1.5 with
# AVX-512 and 4.6 with AVX2 alone (ggml-org/whisper.cpp@233fe1fc, flash attention)
_LISTENING_FLOPS = (1.5e9, 2.6e9, 4.6e9)
# of a program that reads the audio, computes its spectrum and follows the beams beside it: a guess
_BESIDE = (0.05, 0.2, 1.0)
_BESIDE_A_GPU = (0.15, 0.5, 1.0)


# seconds of each layer that Python launches for a step of a voice, on any card of NVIDIA's: what
# runs beside it sets them, which no source names; elsewhere at least so long. Of 15 models 0.32 ms
# (ChatTTS on an RTX 4090) to 2.5 (CosyVoice 2 on an RTX 3060, Fish Speech uncompiled on an
# RTX 4090), median 0.96; 22 runs (tests/truth/speed_sound.json). Text in Transformers: 0.3 to 2
_VOICE_LAYER = (0.3e-3, 0.95e-3, 2.6e-3)
# seconds of a minute of sound, of a model of which no run on a machine like this was found and no
# step is known: least, likely, most of what was published of others of its kind
# (tests/truth/speed_sound.json), on graphics cards and on processors. A guess. Voices up to that
# many parameters, which make a sentence at once: Kokoro, Supertonic, Kitten, MeloTTS, Piper, Pocket
# TTS. Larger ones, mostly token by token: CosyVoice, Spark-TTS, Dia, CSM, Bark, Qwen3-TTS, Parler,
# VoxCPM, IndexTTS. Recognizers up to so many: Parakeet, Whisper. Larger ones, of which a language
# model writes the text: Voxtral Realtime in another program, Qwen's by their steps
_SMALL_VOICE_PARAMETERS = 150_000_000
_SMALL_VOICES = (0.4, 2.5, 15.0), (1.0, 12.0, 80.0)
_LARGE_VOICES = (4.0, 35.0, 220.0), (40.0, 300.0, 2000.0)
_SMALL_RECOGNIZER_PARAMETERS = 1_600_000_000
_SMALL_RECOGNIZERS = (0.08, 1.0, 10.0), (0.8, 8.0, 120.0)
_LARGE_RECOGNIZERS = (0.6, 5.0, 40.0), (10.0, 200.0, 3000.0)


class SpeechKind(Record):
    """What models of one kind took for a minute of sound, as others published it: on graphics cards
    and on processors. `words` names the kind. `speaks`: it makes the sound.
    """

    on_card: Range
    on_processor: Range
    words: str
    speaks: bool


def kind_of_speech(spec: ModelSpec) -> SpeechKind | None:
    """That of a model which speaks or listens; None where it states neither, or no size."""
    uses = spec.uses or ()
    speaks = "speech-recognition" not in uses
    if speaks and "speech-synthesis" not in uses:
        return None
    name, limit = ("voices", _SMALL_VOICE_PARAMETERS)
    small, large = _SMALL_VOICES, _LARGE_VOICES
    if not speaks:
        name, limit = "recognizers", _SMALL_RECOGNIZER_PARAMETERS
        small, large = _SMALL_RECOGNIZERS, _LARGE_RECOGNIZERS
    # where no count is stated, of two bytes each
    disk_bytes = (spec.needs.disk_bytes or 0) if spec.needs is not None else 0
    parameters = spec.parameters.total or disk_bytes // 2
    if not parameters:
        return None
    is_small = parameters <= limit
    card, processor = small if is_small else large
    words = f"{name} of {'up to' if is_small else 'more than'} {units.count(limit)} parameters"
    return SpeechKind(on_card=card, on_processor=processor, words=words, speaks=speaks)


def pace_of_sound(
    machine: Machine,
    power: Power | None,
    spec: ModelSpec,
    placed: Needs,
    *,
    quantization: str,
    runtime: RuntimeSpec | None,
    audio_seconds: int | None = None,
) -> Speed:
    """Seconds for a minute of audio: the least, likely, the most. `audio_seconds`: the length of
    the recording that is asked about.
    """
    unit = UNIT if spec.modality == "speech" else UNIT_OF_MUSIC
    work, kind = speech_work(spec, placed, quantization), kind_of_speech(spec)
    if work is None and spec.sound is None and kind is None:
        return unpaced("what it computes for a second of sound is not known", unit)
    if power is None:
        return unpaced("nothing tells how fast what it runs on computes", unit)
    if work is not None:
        taken = _of_work(machine, power, work, runtime, quantization, audio_seconds)
        why = "nothing tells how fast the memory is that it is read from"
    else:
        taken = _of_others(machine, power, spec.sound, kind)
        why = "no run of it was found on a machine like this"
    if taken is None:
        return unpaced(why, unit)
    (low, likely, high), how = taken
    pace = PaceRange(low=low, likely=likely, high=high)
    return Speed(work=pace, unit=unit, how=how, audio_seconds=audio_seconds)


class SpeechWork(Record):
    """What writing speech down takes, whatever computes it.

    `encoder_operations`: of half a minute. `parameter_bytes`: what one parameter takes while the
    program computes. `step`: one token of one text; it reads `decoder_parameters`, and attends to
    the audio in `audio_operations`.
    """

    encoder_operations: float
    decoder_parameters: int
    audio_operations: int
    parameter_bytes: float
    step: Step


def speech_work(spec: ModelSpec, needs: Needs, quantization: str) -> SpeechWork | None:
    """That of a model; None where its layers or what they take is not known."""
    decoder, total = spec.architecture, spec.parameters.total
    terms = needs.memory.terms if needs.memory else ()
    weights = sum(term.bytes for term in terms if term.name in ("weights", "embeddings"))
    if decoder is None or decoder.audio is None or not total or not weights:
        return None
    audio, parameter_bytes = decoder.audio, weights / total
    width = decoder.embedding_length
    length = max((group.length or 0 for group in decoder.feed_forward), default=4 * width)
    # four matrices for the text, two for the audio, whose keys and values are computed once
    layer = 6 * width * width + 2 * width * length
    parameters = decoder.layers * layer + width * (decoder.vocabulary or 0)
    read = {quantization: int(parameters * parameter_bytes)}
    # of each layer what it keeps of the audio, keys and values of 16 bits
    kept = decoder.layers * 2 * 2 * audio.positions * width
    read["F16"] = read.get("F16", 0) + kept
    return SpeechWork(
        encoder_operations=encoder_operations(audio, decoder),
        decoder_parameters=parameters,
        # of each value kept, which takes two bytes, a multiplication and an addition
        audio_operations=kept,
        parameter_bytes=parameter_bytes,
        step=Step(architecture=decoder, read_bytes=FrozenDict(read)),
    )


def encoder_operations(audio: Audio, decoder: Architecture) -> float:
    """Of half a minute: the convolutions, the layers, and the keys and values of the decoder."""
    width, positions = audio.embedding_length, audio.positions
    layer = 4 * width * width + 2 * width * audio.feed_forward_length
    layers = audio.layers * (2 * positions * layer + 4 * positions * positions * width)
    convolutions = 2 * 3 * (2 * positions * audio.mel_bins * width + positions * width * width)
    crossed = decoder.layers * 2 * 2 * positions * width * decoder.embedding_length
    return float(layers + convolutions + crossed)


def _of_work(
    machine: Machine,
    power: Power,
    work: SpeechWork,
    runtime: RuntimeSpec | None,
    quantization: str,
    audio_seconds: int | None,
) -> tuple[Range, str] | None:
    """Seconds of a minute that is written down, and what they rest on."""
    encoded = encode_seconds(machine, power, work, runtime=runtime, quantization=quantization)
    token = token_seconds(machine, power, work.step)
    if token is None:
        return None
    shares = _encoder_shares(machine, power, work, runtime, quantization)
    step = _step_of_beams(power, work, runtime, shares, token)
    windows = _WINDOWS
    if audio_seconds:
        # the encoder reads half a minute whatever is left of it
        read_seconds = -(-audio_seconds // _WINDOW_SECONDS) * _WINDOW_SECONDS
        windows = product(_WINDOWS, (read_seconds / audio_seconds,) * 3)
    beside = _BESIDE if power.device is None else _BESIDE_A_GPU
    how = (
        f"on {power.how}; the encoder reads half a minute at a time"
        f" ({work.encoder_operations / 1e12:.2g} × 10^12 operations), and"
        f" {_TOKENS[0]:g} to {_TOKENS[2]:g} tokens of text are written for a minute of speech"
    )
    if power.device is not None:
        how += f"; {basis_of_share('encoder', power.device.name)}"
    return added(product(windows, encoded), product(_TOKENS, step), beside), how


def encode_seconds(
    machine: Machine,
    power: Power,
    work: SpeechWork,
    *,
    runtime: RuntimeSpec | None,
    quantization: str,
) -> Range:
    """What half a minute takes to be read: least, likely, most."""
    shares = _encoder_shares(machine, power, work, runtime, quantization)
    return power.seconds(work.encoder_operations, shares)


def _encoder_shares(
    machine: Machine,
    power: Power,
    work: SpeechWork,
    runtime: RuntimeSpec | None,
    quantization: str,
) -> Range:
    """Of what computes it, what the encoder reaches."""
    if power.device is not None:
        return share_of("encoder", power.device.name)
    if runtime is not None and runtime.multiplies_rows:
        return shares_on_cores(machine, runtime, quantization)
    return encoder_shares(machine, work.parameter_bytes)


def encoder_shares(machine: Machine, parameter_bytes: float) -> Range:
    """Of what a processor computes on prompts, what CTranslate2's encoder reaches."""
    in_8_bits, in_32 = _WIDE_SHARES if core_of(machine).wide else _NARROW_SHARES
    return in_8_bits if parameter_bytes < 1.5 else in_32


def _step_of_beams(
    power: Power, work: SpeechWork, runtime: RuntimeSpec | None, shares: Range, token: Range
) -> Range:
    """Seconds of a step that follows all beams, where one of them takes `token`.

    A program that multiplies row by row computes each beam for itself, and attends to the audio
    far below the pace of its products.
    """
    if power.device is not None:
        return product(_BEAMS, token)
    if runtime is None or not runtime.multiplies_rows:
        return product(_BEAMS_ON_CORES, token)
    products = power.seconds(2.0 * _BEAM_COUNT * work.decoder_parameters, shares)
    attended = float(_BEAM_COUNT * work.audio_operations)
    low, likely, high = (attended / (rate * power.threads) for rate in reversed(_LISTENING_FLOPS))
    return added(token, products, (low, likely, high))


def _of_others(
    machine: Machine, power: Power, sound: Sound | None, kind: SpeechKind | None
) -> tuple[Range, str] | None:
    """Seconds of a minute by what others published of it on such hardware, else by its steps and
    operations, else by what they published of its kind; and what they rest on.
    """
    shares_ram = power.device is not None and power.device.unified
    places = _places(power)
    if sound is not None:
        published = _published(power, sound)
        if published is not None and not shares_ram:
            return published, f"as published runs took on {places}"
        stepped = _of_steps(machine, power, sound)
        # a voice makes a sentence in one pass on a GPU, which takes as long as launching that does,
        # whatever its operations: Coqui's VITS 9 seconds a minute on an RTX 3090
        # (coqui-ai/TTS#2863), of which 0.1 are operations
        is_launched = power.device is not None and sound.step_parameters is None
        if kind is not None and kind.speaks and is_launched:
            launched = published or kind.on_card
            stepped = added(launched, stepped) if shares_ram and stepped is not None else None
        if stepped is not None:
            return stepped, _how_stepped(power, sound)
    if kind is None:
        return None
    seconds = _seconds_of_class(power, kind)
    return seconds, f"a guess by class: as {kind.words} took on {places}, as published"


def _places(power: Power) -> str:
    if power.device is None:
        return "processors"
    return "graphics cards and processors" if power.device.unified else "graphics cards"


def _seconds_of_class(power: Power, kind: SpeechKind) -> Range:
    if power.device is None:
        return kind.on_processor
    if not power.device.unified:
        return kind.on_card
    # between a card and a processor: no more is known
    likely = sqrt(kind.on_card[1] * kind.on_processor[1])
    return kind.on_card[0], likely, kind.on_processor[2]


def _published(power: Power, sound: Sound) -> Range | None:
    """The ends of the runs on that kind of hardware and their middle; None without runs."""
    low, high = sound.card_seconds_low, sound.card_seconds_high
    if power.device is None:
        low, high = sound.processor_seconds_low, sound.processor_seconds_high
    return (low, sqrt(low * high), high) if low and high else None


def _of_steps(machine: Machine, power: Power, sound: Sound) -> Range | None:
    """Seconds of a minute, by what its steps read and launch, and what is computed beside them."""
    parts = []
    if sound.operations_per_second:
        shares = GPU_SHARES if power.device is not None else in_pytorch(machine)
        parts.append(power.seconds(60 * sound.operations_per_second, shares))
        parts.append(_BESIDE if power.device is None else _BESIDE_A_GPU)
    if sound.step_parameters:
        step = seconds_of_step(machine, power, sound.step_parameters)
        if step is None:
            return None
        if power.device is not None:
            # text, as Transformers writes it, in 16 bits
            slow, usual, fast = pace_of_device(power.device).python_layer_seconds
            layer = fast, usual, slow
            if sound.tokens_per_second is not None:
                least, voice, most = _VOICE_LAYER
                layer = min(least, fast), max(voice, usual), max(most, slow)
            step = longer(step, product((float(sound.step_layers or 0) or 1e-9,) * 3, layer))
        steps = 60 * (sound.tokens_per_second or 0)
        parts.append(product(step, (steps,) * 3 if steps else _TOKENS))
    return added(*parts) if parts else None


def _how_stepped(power: Power, sound: Sound) -> str:
    """What a pace by steps rests on."""
    how = f"on {power.how}"
    if sound.operations_per_second:
        how += f"; {sound.operations_per_second / 1e9:,.3g} × 10^9 operations a second of sound"
    if not sound.step_parameters:
        return how
    of_step = f"{units.count(sound.step_parameters)} parameters"
    if sound.step_layers and power.device is not None:
        of_step += f", {sound.step_layers} layers launched one by one"
    if sound.tokens_per_second:
        return f"{how}; a second is {sound.tokens_per_second:g} steps of {of_step}"
    return f"{how}; {_TOKENS[0]:g} to {_TOKENS[2]:g} tokens a minute, each of {of_step}"
