"""Of work that is no text the figures that its pace on a processor follows from, and that pace.

None of it takes less time where a figure is larger, among works that have the same figures.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..catalogue.media import Denoising, Sound
from ..core.records import FrozenDict
from ..machine.record import Machine
from ..needs.records import Needs
from .compute import Power
from .speed import Speed
from .step import Step

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..catalogue.runtime import RuntimeSpec
    from .record import Question

# of a step, all that its pace on a processor follows from
_OF_STEP = (
    "weights_bytes", "unpacking_core_seconds", "alone_core_seconds", "layers", "attention_flops",
    "is_vague", "choosing_seconds",
)  # fmt: skip
# with the least, the likely and the most operations
STEP_FIGURES = len(_OF_STEP) + 3
# of `speech.SpeechWork`, all that its pace follows from beside the step
_OF_SPEECH = ("encoder_operations", "decoder_parameters", "audio_operations", "parameter_bytes")
# of `Sound`, where no run on a processor was published and a step or the operations are known; else
# the least, likely and most seconds of a minute are the figures
_OF_SOUND = ("operations_per_second", "step_parameters", "step_layers", "tokens_per_second")


def figures_of_step(step: Step) -> tuple[float, ...]:
    """Those of a token of text."""
    return (*[getattr(step, name) for name in _OF_STEP], *step.operation_counts)


def step_of(figures: Sequence[float]) -> Step:
    """One that takes as much."""
    named = dict(zip(_OF_STEP, figures, strict=False))
    counts = tuple(figures[len(_OF_STEP) :])
    return Step.partly(
        {**named, "operation_counts": counts, "architecture": None, "read_bytes": FrozenDict()}
    )


def figures_of_work(question: Question, needs: Needs) -> tuple[float, ...]:
    """Of other work: the operations of a picture or a clip, or the parameters where the steps are
    not counted; of a document, of a picture that is
    turned into a vector, or the parameters where neither is known; of sound `_OF_SOUND` or what was
    published of it or its kind, of speech `_OF_SPEECH` and a step. All 0 where nothing is counted.
    """
    modality = question.spec.modality
    if modality in ("image", "video"):
        from .pictures import denoising_of, parameters_of_pictures, picture_operations

        denoising = denoising_of(question.spec, question.runtime)
        if denoising is not None:
            return picture_operations(denoising), 0
        return 0, parameters_of_pictures(question.spec) or 0
    if modality == "embedding":
        return _figures_of_documents(question)
    if modality in ("speech", "music"):
        return _figures_of_sound(question, needs)
    return (0,)


def _figures_of_documents(question: Question) -> tuple[float, ...]:
    from .documents import tokens_and_operations

    spec = question.spec
    architecture, parameters = spec.architecture, spec.parameters.active
    if architecture is not None and parameters is not None:
        return tokens_and_operations(architecture, parameters)[1], 0, 0
    if spec.picture_operations is not None:
        return 0, spec.picture_operations, 0
    return 0, 0, parameters or 0


def _figures_of_sound(question: Question, needs: Needs) -> tuple[float, ...]:
    from .speech import kind_of_speech, seconds_on_processors, speech_work

    spec = question.spec
    sound = spec.sound
    work = speech_work(spec, needs, question.workload.quantization or "")
    if work is not None:
        return (*[getattr(work, name) for name in _OF_SPEECH], *figures_of_step(work.step))
    published = seconds_on_processors(sound) if sound is not None else None
    if published is not None:
        return published
    if sound is not None and (sound.operations_per_second or sound.step_parameters):
        return tuple([getattr(sound, name) or 0 for name in _OF_SOUND])
    kind = kind_of_speech(spec)
    return (0,) if kind is None else kind.on_processor


def pace_of_figures(
    figures: Sequence[float],
    modality: str,
    machine: Machine,
    power: Power | None,
    runtime: RuntimeSpec | None,
    quantization: str,
) -> Speed:
    """The pace of work that is counted, on the cores of a machine, as `other_work` finds it."""
    if modality in ("image", "video"):
        from .pictures import pace_of_pictures

        operations, parameters = map(int, figures)
        denoising = Denoising(
            steps=1,
            passes=1,
            step_operations=operations,
            decode_operations=0,
            frames=1 if modality == "video" else None,
        )
        return pace_of_pictures(
            machine,
            power,
            denoising if operations else None,
            pixels=None,
            quantization=quantization,
            runtime=runtime,
            offload=None,
            parameters=parameters or None,
        )
    if modality == "embedding":
        return _pace_of_documents(figures, machine, power, runtime, quantization)
    return _pace_of_sound(figures, modality, machine, power, runtime, quantization)


def _pace_of_documents(
    figures: Sequence[float],
    machine: Machine,
    power: Power | None,
    runtime: RuntimeSpec | None,
    quantization: str,
) -> Speed:
    from .documents import UNIT, documents_a_second, pace_of_documents, shares_of_documents

    operations, of_picture, parameters = figures
    if power is not None and operations:
        shares = shares_of_documents(machine, power, runtime, quantization)
        return Speed(work=documents_a_second(power, operations, shares), unit=UNIT, how="")
    return pace_of_documents(
        machine,
        power,
        None,
        int(parameters),
        quantization=quantization,
        runtime=runtime,
        picture_operations=int(of_picture) or None,
    )


def _pace_of_sound(
    figures: Sequence[float],
    modality: str,
    machine: Machine,
    power: Power | None,
    runtime: RuntimeSpec | None,
    quantization: str,
) -> Speed:
    from .speech import UNIT, UNIT_OF_MUSIC, SpeechKind, SpeechWork, pace_of_sound, pace_of_speech

    if len(figures) > STEP_FIGURES:
        work = SpeechWork.partly(
            {
                **dict(zip(_OF_SPEECH, figures, strict=False)),
                "step": step_of(figures[len(_OF_SPEECH) :]),
            }
        )
        return pace_of_speech(machine, power, work, quantization=quantization, runtime=runtime)
    sound, kind = None, None
    if len(figures) == len(_OF_SOUND):
        named = {name: value or None for name, value in zip(_OF_SOUND, figures, strict=True)}
        sound = Sound.partly(named)
    else:
        low, likely, high = figures
        seconds = low, likely, high
        kind = SpeechKind(on_card=seconds, on_processor=seconds, words="")
    unit = UNIT if modality == "speech" else UNIT_OF_MUSIC
    return pace_of_sound(machine, power, sound, kind, unit=unit)
