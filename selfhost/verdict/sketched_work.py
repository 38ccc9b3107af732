"""Of the work of a model the figures that its pace on a processor follows from, and that pace.

The first of the figures tells their kind. No work takes less time where another figure of the same
kind is larger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..catalogue.media import Denoising, Sound
from ..core.records import FrozenDict, Record
from ..machine.record import Machine
from ..needs.records import Needs
from .compute import Power
from .speed import Speed
from .step import Step

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..catalogue.runtime import RuntimeSpec
    from .record import Question

# The kinds of figures. Nothing is counted; a step of text: `_OF_STEP` and the least, the likely and
# the most operations; a picture or a clip: its operations, else the parameters, and the parameters
# that its steps read; documents: the operations of one, of a picture that is turned into a vector,
# else the parameters; speech: `_OF_SPEECH` and the figures of a step; sound: `_OF_SOUND`;
# published: the least, the likely and the most seconds of a minute.
UNCOUNTED, TEXT, PICTURES, DOCUMENTS, SPEECH, SOUND, PUBLISHED = range(7)
# of a step, all that its pace on a processor follows from
_OF_STEP = (
    "weights_bytes", "unpacking_core_seconds", "alone_core_seconds", "packed_bytes", "layers",
    "attending_core_seconds", "attending_to_small_heads_core_seconds", "is_vague",
    "choosing_seconds",
)  # fmt: skip
# of `speech.SpeechWork`, all that its pace follows from beside the step
_OF_SPEECH = ("encoder_operations", "decoder_parameters", "audio_operations", "parameter_bytes")
# of `Sound`, where no run on a processor was published and a step or the operations are known
_OF_SOUND = ("operations_per_second", "step_parameters", "step_layers", "tokens_per_second")


def figures_of_step(step: Step) -> tuple[float, ...]:
    """Those of a token of text."""
    return TEXT, *_figures_in_step(step)


def _figures_in_step(step: Step) -> tuple[float, ...]:
    """Those of a step without their kind."""
    return (*[getattr(step, name) for name in _OF_STEP], *step.operation_counts)


def step_of(figures: Sequence[float]) -> Step:
    """A step that takes as much as one of these `figures_of_step`."""
    return _step_with(figures[1:])


def _step_with(figures: Sequence[float]) -> Step:
    """A step of these figures without their kind."""
    named = dict(zip(_OF_STEP, figures, strict=False))
    counts = tuple(figures[len(_OF_STEP) :])
    return Step.partly(
        {**named, "operation_counts": counts, "architecture": None, "read_bytes": FrozenDict()}
    )


def figures_of_work(question: Question, needs: Needs) -> tuple[float, ...]:
    """Those of work that is no text."""
    kind, *figures = _figures_of_work(question, needs)
    return (kind, *figures) if any(figures) else (UNCOUNTED,)


def _figures_of_work(question: Question, needs: Needs) -> tuple[float, ...]:
    modality = question.spec.modality
    if modality in ("image", "video"):
        from .pictures import denoising_of, parameters_of_pictures, picture_operations

        denoising = denoising_of(question.spec, question.runtime)
        if denoising is not None:
            read = denoising.steps * (denoising.step_parameters or 0)
            return PICTURES, picture_operations(denoising), 0, read
        return PICTURES, 0, parameters_of_pictures(question.spec) or 0, 0
    if modality == "embedding":
        return _figures_of_documents(question)
    if modality in ("speech", "music"):
        return _figures_of_sound(question, needs)
    return (UNCOUNTED,)


def _figures_of_documents(question: Question) -> tuple[float, ...]:
    from .documents import tokens_and_operations

    spec = question.spec
    architecture, parameters = spec.architecture, spec.parameters.active
    if architecture is not None and parameters is not None:
        return DOCUMENTS, tokens_and_operations(architecture, parameters)[1], 0, 0
    if spec.picture_operations is not None:
        return DOCUMENTS, 0, spec.picture_operations, 0
    return DOCUMENTS, 0, 0, parameters or 0


def _figures_of_sound(question: Question, needs: Needs) -> tuple[float, ...]:
    from .speech import kind_of_speech, seconds_on_processors, speech_work

    spec = question.spec
    sound = spec.sound
    work = speech_work(spec, needs, question.workload.quantization or "")
    if work is not None:
        of_speech = [getattr(work, name) for name in _OF_SPEECH]
        return SPEECH, *of_speech, *_figures_in_step(work.step)
    published = seconds_on_processors(sound) if sound is not None else None
    if published is not None:
        return PUBLISHED, *published
    if sound is not None and (sound.operations_per_second or sound.step_parameters):
        return SOUND, *[getattr(sound, name) or 0 for name in _OF_SOUND]
    kind = kind_of_speech(spec)
    return (UNCOUNTED,) if kind is None else (PUBLISHED, *kind.on_processor)


class OnCores(Record):
    """What work that is no text is done with on a processor: the cores of a machine and what they
    compute, None where that is not known; the program, and in which type it takes the weights.
    """

    modality: str
    machine: Machine
    power: Power | None
    runtime: RuntimeSpec | None
    quantization: str


def pace_of_figures(figures: Sequence[float], cores: OnCores) -> Speed:
    """The pace of work of which `figures_of_work` counted something, on the cores of a machine, as
    `other_work` finds it.
    """
    kind, *counted = figures
    return _PACES[int(kind)](counted, cores)


def _pace_of_pictures(figures: Sequence[float], cores: OnCores) -> Speed:
    from .pictures import pace_of_pictures

    operations, parameters, read = map(int, figures)
    denoising = Denoising(
        steps=1,
        passes=1,
        step_operations=operations,
        decode_operations=0,
        step_parameters=read or None,
        frames=1 if cores.modality == "video" else None,
    )
    return pace_of_pictures(
        cores.machine,
        cores.power,
        denoising if operations else None,
        pixels=None,
        quantization=cores.quantization,
        runtime=cores.runtime,
        offload=None,
        parameters=parameters or None,
    )


def _pace_of_documents(figures: Sequence[float], cores: OnCores) -> Speed:
    from .documents import UNIT, documents_a_second, pace_of_documents, shares_of_documents

    operations, of_picture, parameters = figures
    power, runtime, quantization = cores.power, cores.runtime, cores.quantization
    if power is not None and operations:
        shares = shares_of_documents(cores.machine, power, runtime, quantization)
        return Speed(work=documents_a_second(power, operations, shares), unit=UNIT, how="")
    return pace_of_documents(
        cores.machine,
        power,
        None,
        int(parameters),
        quantization=quantization,
        runtime=runtime,
        picture_operations=int(of_picture) or None,
    )


def _pace_of_speech(figures: Sequence[float], cores: OnCores) -> Speed:
    from .speech import SpeechWork, pace_of_speech

    of_speech, of_step = figures[: len(_OF_SPEECH)], figures[len(_OF_SPEECH) :]
    named = dict(zip(_OF_SPEECH, of_speech, strict=True))
    work = SpeechWork.partly({**named, "step": _step_with(of_step)})
    return pace_of_speech(
        cores.machine,
        cores.power,
        work,
        quantization=cores.quantization,
        runtime=cores.runtime,
    )


def _pace_of_sound(figures: Sequence[float], cores: OnCores) -> Speed:
    from .speech import pace_of_sound

    named = {name: value or None for name, value in zip(_OF_SOUND, figures, strict=True)}
    sound, unit = Sound.partly(named), _unit_of_sound(cores.modality)
    return pace_of_sound(cores.machine, cores.power, sound, None, unit=unit)


def _pace_as_published(figures: Sequence[float], cores: OnCores) -> Speed:
    from .speech import SpeechKind, pace_of_sound

    low, likely, high = figures
    seconds = low, likely, high
    kind = SpeechKind(on_card=seconds, on_processor=seconds, words="", speaks=False)
    unit = _unit_of_sound(cores.modality)
    return pace_of_sound(cores.machine, cores.power, None, kind, unit=unit)


def _unit_of_sound(modality: str) -> str:
    from .speech import UNIT, UNIT_OF_MUSIC

    return UNIT if modality == "speech" else UNIT_OF_MUSIC


_PACES: Mapping[int, Callable[[Sequence[float], OnCores], Speed]] = {
    PICTURES: _pace_of_pictures,
    DOCUMENTS: _pace_of_documents,
    SPEECH: _pace_of_speech,
    SOUND: _pace_of_sound,
    PUBLISHED: _pace_as_published,
}
