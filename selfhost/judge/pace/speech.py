"""How long a minute of sound takes: written down, spoken or composed.

An encoder reads half a minute at a time, bound by arithmetic; a decoder writes token by token,
bound by the memory and by launching operations, as text generation is. Of models whose layers no
rule describes, what others published stands, or steps and operations, or their kind.
"""

from __future__ import annotations

from math import sqrt

from ...catalogue.media import Sound
from ...catalogue.spec import Architecture, Audio, ModelSpec
from ...core import units
from ...core.records import FrozenDict, Record
from ...machine.record import Machine
from ...needs.records import Needs
from .engine import (
    Range,
    Step,
    added,
    basis_of_share,
    constant,
    ends_of,
    longer,
    product,
    scaled,
    share_of_peak,
)
from .graphics import layer_from_python
from .processor import core_of
from .speed import Speed
from .work import (
    Power,
    in_pytorch,
    seconds_of_step,
    shares_on_cores,
    time_range,
    token_seconds,
    unpaced,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec

UNIT, UNIT_OF_MUSIC = "seconds_per_audio_minute", "seconds_per_music_minute"
# seconds that the encoder reads at once
_WINDOW_SECONDS = 30
# how many beams, unless asked for others: whisper.cpp (examples/cli/cli.cpp) and faster-whisper
_BEAM_COUNT = 5


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
        taken = _written(machine, power, work, runtime, quantization, audio_seconds)
        why = "nothing tells how fast the memory is that it is read from"
    else:
        taken = _by_runs_or_steps(machine, power, spec.sound, kind)
        why = "no run of it was found on a machine like this"
    if taken is None:
        return unpaced(why, unit)
    ends, how = taken
    return Speed(work=time_range(ends), unit=unit, how=how, audio_seconds=audio_seconds)


# ---------------------------------------------------------------- a recognizer of known layers


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


def encoder_share(
    machine: Machine,
    power: Power,
    parameter_bytes: float,
    runtime: RuntimeSpec | None,
    quantization: str,
) -> Range:
    """Of what computes it, what the encoder reaches."""
    if power.device is not None:
        return share_of_peak("encoder", power.device)
    if runtime is not None and runtime.multiplies_rows:
        return shares_on_cores(machine, runtime, quantization)
    row = constant("sound")["wide" if core_of(machine).wide else "narrow"]
    low, likely, high = row["bits_8" if parameter_bytes < 1.5 else "bits_32"]
    return low, likely, high


def _written(
    machine: Machine,
    power: Power,
    work: SpeechWork,
    runtime: RuntimeSpec | None,
    quantization: str,
    audio_seconds: int | None,
) -> tuple[Range, str] | None:
    """Seconds of a minute that is written down, and what they rest on."""
    share = encoder_share(machine, power, work.parameter_bytes, runtime, quantization)
    token = token_seconds(machine, power, work.step)
    if token is None:
        return None
    windows, tokens = ends_of("sound", "windows"), ends_of("sound", "tokens")
    if audio_seconds:
        # the encoder reads half a minute whatever is left of it
        read_seconds = -(-audio_seconds // _WINDOW_SECONDS) * _WINDOW_SECONDS
        windows = scaled(windows, read_seconds / audio_seconds)
    encoded = product(windows, power.seconds(work.encoder_operations, share))
    step = _step_of_beams(power, work, runtime, share, token)
    beside = ends_of("sound", "beside" if power.device is None else "beside_gpu")
    how = (
        f"on {power.how}; the encoder reads half a minute at a time"
        f" ({work.encoder_operations / 1e12:.2g} × 10^12 operations), and"
        f" {tokens[2]:g} to {tokens[0]:g} tokens of text are written for a minute of speech"
    )
    if power.device is not None:
        how += f"; {basis_of_share('encoder', power.device)}"
    return added(encoded, product(tokens, step), beside), how


def _step_of_beams(
    power: Power, work: SpeechWork, runtime: RuntimeSpec | None, share: Range, token: Range
) -> Range:
    """Seconds of a step that follows all beams, where one of them takes `token`. A program that
    multiplies row by row computes each beam for itself, and attends to the audio far below the pace
    of its products.
    """
    if power.device is not None:
        return product(ends_of("sound", "beams"), token)
    if runtime is None or not runtime.multiplies_rows:
        return product(ends_of("sound", "beams_on_cores"), token)
    products = power.seconds(2.0 * _BEAM_COUNT * work.decoder_parameters, share)
    attended = _BEAM_COUNT * work.audio_operations / power.threads
    slow, likely, fast = ends_of("sound", "listening")
    return added(token, products, (attended / slow, attended / likely, attended / fast))


# ---------------------------------------------------------------- voices and other recognizers


def kind_of_speech(spec: ModelSpec) -> SpeechKind | None:
    """That of a model which speaks or listens; None where it states neither, or no size."""
    uses = spec.uses or ()
    speaks = "speech-recognition" not in uses
    if speaks and "speech-synthesis" not in uses:
        return None
    name = "voices" if speaks else "recognizers"
    row = constant("sound")[name]
    # where no count is stated, of two bytes each
    disk_bytes = (spec.needs.disk_bytes or 0) if spec.needs is not None else 0
    parameters, limit = spec.parameters.total or disk_bytes // 2, row["parameters"]
    if not parameters:
        return None
    size = "small" if parameters <= limit else "large"
    limit_words = f"{'up to' if size == 'small' else 'more than'} {units.count(limit)} parameters"
    return SpeechKind(
        on_card=tuple(row[size]["card"]),
        on_processor=tuple(row[size]["processor"]),
        words=f"{name} of {limit_words}",
        speaks=speaks,
    )


class SpeechKind(Record):
    """What models of one kind took for a minute of sound, as others published it: seconds `on_card`
    and `on_processor`, slow end first. `words` names the kind. `speaks`: it makes the sound.
    """

    on_card: Range
    on_processor: Range
    words: str
    speaks: bool

    def seconds(self, power: Power) -> Range:
        """On that kind of hardware; between a card and a processor where the GPU shares the RAM, of
        which no more is known.
        """
        if power.device is None:
            return self.on_processor
        if not power.device.unified:
            return self.on_card
        likely = sqrt(self.on_card[1] * self.on_processor[1])
        return self.on_processor[0], likely, self.on_card[2]


def _by_runs_or_steps(
    machine: Machine, power: Power, sound: Sound | None, kind: SpeechKind | None
) -> tuple[Range, str] | None:
    """Seconds of a minute by what others published of it on such hardware, else by its steps and
    operations, else by what they published of its kind; and what they rest on.
    """
    shares_ram = power.device is not None and power.device.unified
    places = "processors" if power.device is None else "graphics cards"
    if sound is not None:
        published = _published(power, sound)
        if published is not None and not shares_ram:
            return published, f"as published runs took on {places}"
        stepped = _by_steps(machine, power, sound)
        if _is_one_pass(power, sound, kind):
            assert kind is not None
            launched = published or kind.on_card
            stepped = added(launched, stepped) if shares_ram and stepped is not None else None
        if stepped is not None:
            return stepped, f"on {power.how}; by its operations and steps for a second of sound"
    if kind is None:
        return None
    places = "graphics cards and processors" if shares_ram else places
    how = f"a guess by class: as {kind.words} took on {places}, as published"
    return kind.seconds(power), how


def _is_one_pass(power: Power, sound: Sound, kind: SpeechKind | None) -> bool:
    """A voice that makes a sentence in one pass on a GPU takes as long as launching that does,
    whatever its operations: Coqui's VITS 9 seconds a minute on an RTX 3090 (coqui-ai/TTS#2863), of
    which 0.1 are operations.
    """
    speaks = kind is not None and kind.speaks
    return speaks and power.device is not None and sound.step_parameters is None


def _published(power: Power, sound: Sound) -> Range | None:
    """The ends of the runs on that kind of hardware and their middle; None without runs."""
    low, high = sound.card_seconds_low, sound.card_seconds_high
    if power.device is None:
        low, high = sound.processor_seconds_low, sound.processor_seconds_high
    return (high, sqrt(low * high), low) if low and high else None


def _by_steps(machine: Machine, power: Power, sound: Sound) -> Range | None:
    """Seconds of a minute, by what its steps read and launch, and what is computed beside them."""
    parts = []
    if sound.operations_per_second:
        share = in_pytorch(machine)
        if power.device is not None:
            share = share_of_peak("voice", power.device)
        parts.append(power.seconds(60 * sound.operations_per_second, share))
        parts.append(ends_of("sound", "beside" if power.device is None else "beside_gpu"))
    if sound.step_parameters:
        step = seconds_of_step(machine, power, sound.step_parameters)
        if step is None:
            return None
        if power.device is not None:
            # text, as Transformers writes it, in 16 bits
            layer, voice = layer_from_python(power.device), ends_of("sound", "voice_layer")
            if sound.tokens_per_second is not None:
                layer = max(voice[0], layer[0]), max(voice[1], layer[1]), min(voice[2], layer[2])
            step = longer(step, scaled(layer, sound.step_layers or 0))
        steps = 60 * (sound.tokens_per_second or 0)
        parts.append(scaled(step, steps) if steps else product(ends_of("sound", "tokens"), step))
    return added(*parts) if parts else None
