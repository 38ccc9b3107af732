"""How fast work goes that is not counted in generated tokens: which rule each kind has."""

from __future__ import annotations

from ..machine.record import Machine
from ..needs.records import Needs
from .compute import devices_of, power_of
from .speed import Speed

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..catalogue.spec import ModelSpec
    from .compute import Power
    from .record import Question


# a sequence that is trained on, where no length was resolved: that of trl (1,024)
_LEAST_TOKENS = 1024


def pace_of_work(question: Question, placed: Needs, machine: Machine) -> Speed | None:
    """The pace, laid out like that; None where nobody counts such work. Where nothing tells it,
    `work` is None and `how` says why.
    """
    modality, workload = question.spec.modality, question.workload
    of_kind = _of_training if workload.task == "finetune" else _BY_MODALITY.get(modality)
    if of_kind is None:
        return None
    power = power_of(machine, placed, question.runtime, workload.quantization)
    return of_kind(question, placed, machine, power)


def _of_training(question: Question, placed: Needs, machine: Machine, power: Power | None) -> Speed:
    from .training import pace_of_training, training_work, unpaced

    spec, workload, runtime = question.spec, question.workload, question.runtime
    trained_layers = runtime.trainer_layers if runtime is not None else None
    if placed.memory is None and trained_layers is None:
        return unpaced("where it would be trained is not known, because its memory need is not")
    work = None
    if spec.parameters.active is not None:
        work = training_work(
            spec.architecture,
            active=spec.parameters.active,
            total=spec.parameters.total,
            method=workload.finetune_method or "lora",
            checkpointing=bool(workload.checkpointing),
            step_tokens=(workload.context_tokens or _LEAST_TOKENS) * workload.parallel,
            trained_layers=trained_layers,
        )
    return pace_of_training(
        machine,
        power,
        work,
        devices=max(1, len(devices_of(machine, placed, runtime, workload.quantization))),
        dataset_tokens=workload.dataset_tokens,
    )


def _of_pictures(question: Question, placed: Needs, machine: Machine, power: Power | None) -> Speed:
    from .pictures import denoising_of, pace_of_pictures, parameters_of_pictures

    spec = question.spec
    return pace_of_pictures(
        machine,
        power,
        denoising_of(spec, question.runtime),
        pixels=spec.native_pixels,
        quantization=question.workload.quantization or "",
        runtime=question.runtime,
        offload=placed.offload,
        moved_bytes=_moved_bytes(spec, placed),
        frames_per_second=spec.frames_per_second,
        parameters=parameters_of_pictures(spec),
    )


def _of_documents(question: Question, _: Needs, machine: Machine, power: Power | None) -> Speed:
    from .documents import pace_of_documents

    spec = question.spec
    return pace_of_documents(
        machine,
        power,
        spec.architecture,
        spec.parameters.active,
        quantization=question.workload.quantization or "",
        runtime=question.runtime,
        picture_operations=spec.picture_operations,
    )


def _of_sound(question: Question, placed: Needs, machine: Machine, power: Power | None) -> Speed:
    from .speech import (
        UNIT,
        UNIT_OF_MUSIC,
        kind_of_speech,
        pace_of_sound,
        pace_of_speech,
        speech_work,
    )

    spec, workload = question.spec, question.workload
    quantization = workload.quantization or ""
    work, kind = speech_work(spec, placed, quantization), kind_of_speech(spec)
    if work is None and (spec.sound is not None or kind is not None):
        return pace_of_sound(
            machine,
            power,
            spec.sound,
            kind,
            unit=UNIT if spec.modality == "speech" else UNIT_OF_MUSIC,
            audio_seconds=workload.audio_seconds,
        )
    return pace_of_speech(
        machine,
        power,
        work,
        quantization=quantization,
        runtime=question.runtime,
        audio_seconds=workload.audio_seconds,
    )


_BY_MODALITY: Mapping[str, Callable[[Question, Needs, Machine, Power | None], Speed]] = {
    "image": _of_pictures,
    "video": _of_pictures,
    "embedding": _of_documents,
    "speech": _of_sound,
    "music": _of_sound,
}


def _moved_bytes(spec: ModelSpec, placed: Needs) -> float:
    """Weights that move to the GPU for one picture: each component once, or the denoiser, which is
    the largest, with every pass.
    """
    terms = placed.memory.terms if placed.memory else ()
    held = sum(term.bytes for term in terms if term.name == "weights" and term.where == "host")
    if placed.offload != "sequential" or spec.denoising is None or not spec.components:
        return held
    denoiser = held * max(spec.components.values()) / sum(spec.components.values())
    return held + denoiser * (spec.denoising.steps * spec.denoising.passes - 1)
