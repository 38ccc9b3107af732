"""How long a minute of sound takes: written down, spoken or composed.

An encoder reads half a minute at a time, bound by arithmetic; a decoder writes token by token,
bound by the memory and by launching operations, as text generation is. Of models whose layers no
rule describes, what others published stands, or steps and operations, or their kind.
"""

from __future__ import annotations

from math import sqrt

from ...catalogue.architecture import Architecture, Audio
from ...catalogue.media import Sound
from ...catalogue.spec import ModelSpec
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
    NOTHING_TELLS,
    Job,
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


def pace_of_sound(job: Job, audio_seconds: int | None = None) -> Speed:
    """Seconds for a minute of audio: the least, likely, the most. `audio_seconds`: the length of
    the recording that is asked about.
    """
    spec, power = job.spec, job.power
    unit = UNIT if spec.modality == "speech" else UNIT_OF_MUSIC
    work, kind = speech_work(spec, job.placed, job.quantization), kind_of_speech(spec)
    if work is None and spec.sound is None and kind is None:
        return unpaced("what it computes for a second of sound is not known", unit)
    if power is None:
        return unpaced(NOTHING_TELLS, unit)
    if work is not None:
        taken = _written(job, power, work, audio_seconds)
        why = "nothing tells how fast the memory is that it is read from"
    else:
        taken = _by_runs_or_steps(job.machine, power, spec.sound, kind)
        why = "no run of it was found on a machine like this"
    if taken is None:
        return unpaced(why, unit)
    ends, how = taken
    return Speed(work=time_range(ends), unit=unit, how=how, audio_seconds=audio_seconds)


# ---------------------------------------------------------------- a recognizer of known layers


class SpeechWork(Record):
    """What writing speech down takes, whatever computes it.

    `encoder_operations`: of half a minute. `parameter_bytes`: what one parameter takes while the
    program computes. `step`: one token of one text.
    """

    encoder_operations: float
    parameter_bytes: float
    step: Step


def speech_work(spec: ModelSpec, needs: Needs, quantization: str) -> SpeechWork | None:
    """That of a model; None where its layers or what they take is not known."""
    decoder, total = spec.architecture, spec.parameters.total
    terms = needs.memory.terms if needs.memory else ()
    weights = sum(term.bytes for term in terms if term.name in ("weights", "embeddings"))
    if decoder is None or decoder.audio is None or not total or not weights:
        return None
    audio, parameter_bytes, width = decoder.audio, weights / total, decoder.embedding_length
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
    job: Job, power: Power, work: SpeechWork, audio_seconds: int | None
) -> tuple[Range, str] | None:
    """Seconds of a minute that is written down, and what they rest on."""
    machine, runtime, on_card = job.machine, job.runtime, power.device is not None
    share = encoder_share(machine, power, work.parameter_bytes, runtime, job.quantization)
    token = token_seconds(machine, power, work.step)
    if token is None:
        return None
    windows, tokens = ends_of("sound", "windows"), ends_of("sound", "tokens")
    if audio_seconds:
        # the encoder reads half a minute whatever is left of it
        read_seconds = -(-audio_seconds // _WINDOW_SECONDS) * _WINDOW_SECONDS
        windows = scaled(windows, read_seconds / audio_seconds)
    encoded = product(windows, power.seconds(work.encoder_operations, share))
    by_rows = runtime is not None and runtime.multiplies_rows
    on_cores = "beams_by_rows" if by_rows else "beams_on_cores"
    step = product(ends_of("sound", "beams" if on_card else on_cores), token)
    beside = ends_of("sound", "beside_gpu" if on_card else "beside")
    how = (
        f"on {power.how}; the encoder reads half a minute at a time"
        f" ({work.encoder_operations / 1e12:.2g} × 10^12 operations), and"
        f" {tokens[2]:g} to {tokens[0]:g} tokens of text are written for a minute of speech"
    )
    if power.device is not None:
        how += f"; {basis_of_share('encoder', power.device)}"
    return added(encoded, product(tokens, step), beside), how


# ---------------------------------------------------------------- voices and other recognizers


class SpeechKind(Record):
    """What models of one kind took for a minute of sound, as others published it: seconds `on_card`
    and `on_processor`. `words` names the kind. `speaks`: it makes the sound.
    """

    on_card: Range
    on_processor: Range
    words: str
    speaks: bool

    def guess(self, power: Power) -> tuple[Range, str]:
        """Seconds on that kind of hardware, and what they rest on; between a card and a processor
        where the GPU shares the RAM, of which no more is known.
        """
        taken, places = self.on_processor, "processors"
        if power.device is not None:
            taken, places = self.on_card, "graphics cards"
            if power.device.unified:
                likely = sqrt(self.on_card[1] * self.on_processor[1])
                taken = self.on_processor[0], likely, self.on_card[2]
                places = "graphics cards and processors"
        return taken, f"a guess by class: as {self.words} took on {places}, as published"


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
    size, words = "small", f"up to {units.count(limit)} parameters"
    if parameters > limit:
        size, words = "large", f"more than {units.count(limit)} parameters"
    return SpeechKind(
        on_card=tuple(row[size]["card"]),
        on_processor=tuple(row[size]["processor"]),
        words=f"{name} of {words}",
        speaks=speaks,
    )


def _by_runs_or_steps(
    machine: Machine, power: Power, sound: Sound | None, kind: SpeechKind | None
) -> tuple[Range, str] | None:
    """Seconds of a minute by what others published of it on such hardware, else by its steps and
    operations, else by what they published of its kind; and what they rest on.
    """
    device = power.device
    shares_ram = device is not None and device.unified
    if sound is not None:
        published = None if shares_ram else _published(power, sound)
        if published is not None:
            places = "processors" if device is None else "graphics cards"
            return published, f"as published runs took on {places}"
        # a voice that makes a sentence in one pass on a GPU takes as long as launching that does
        speaks = device is not None and kind is not None and kind.speaks
        is_one_pass = speaks and sound.step_parameters is None
        stepped = None if is_one_pass else _by_steps(machine, power, sound)
        if stepped is not None:
            return stepped, f"on {power.how}; by its operations and steps for a second of sound"
    return None if kind is None else kind.guess(power)


def _published(power: Power, sound: Sound) -> Range | None:
    """The ends of the runs on that kind of hardware and their middle; None without runs."""
    low, high = sound.card_seconds_low, sound.card_seconds_high
    if power.device is None:
        low, high = sound.processor_seconds_low, sound.processor_seconds_high
    return (high, sqrt(low * high), low) if low and high else None


def _by_steps(machine: Machine, power: Power, sound: Sound) -> Range | None:
    """Seconds of a minute, by what its steps read and launch, and what is computed beside them."""
    parts, device = [], power.device
    if sound.operations_per_second:
        share = in_pytorch(machine) if device is None else share_of_peak("voice", device)
        parts.append(power.seconds(60 * sound.operations_per_second, share))
        parts.append(ends_of("sound", "beside" if device is None else "beside_gpu"))
    if sound.step_parameters:
        step = seconds_of_step(machine, power, sound.step_parameters)
        if step is None:
            return None
        if device is not None:
            # text, as Transformers writes it, in 16 bits
            layer, voice = layer_from_python(device), ends_of("sound", "voice_layer")
            if sound.tokens_per_second is not None:
                layer = max(voice[0], layer[0]), max(voice[1], layer[1]), min(voice[2], layer[2])
            step = longer(step, scaled(layer, sound.step_layers or 0))
        steps = 60 * (sound.tokens_per_second or 0)
        parts.append(scaled(step, steps) if steps else product(ends_of("sound", "tokens"), step))
    return added(*parts) if parts else None
