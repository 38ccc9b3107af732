"""How fast work goes that is not counted in generated tokens: which rule each kind has."""

from __future__ import annotations

from ...core.units import TRAINED
from ...machine.record import Machine
from ...needs.records import Needs
from .compute import devices_of, power_of, unpaced
from .speed import Speed

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.spec import ModelSpec
    from ..record import Question
    from .compute import Power


# a sequence that is trained on, where no length was resolved: that of trl (1,024)
_LEAST_TOKENS = 1024


def pace_of_work(question: Question, placed: Needs, machine: Machine) -> Speed | None:
    """The pace, laid out like that; None where nobody counts such work. Where nothing tells it,
    `work` is None and `how` says why.
    """
    spec, workload, runtime = question.spec, question.workload, question.runtime
    quantization = workload.quantization or ""
    power = power_of(machine, placed, runtime, workload.quantization)
    if workload.task == "finetune":
        return _pace_of_training(question, placed, machine, power)
    if spec.modality in ("image", "video"):
        from .pictures import denoising_of, pace_of_pictures, parameters_of_pictures

        return pace_of_pictures(
            machine,
            power,
            denoising_of(spec, runtime),
            pixels=spec.native_pixels,
            quantization=quantization,
            runtime=runtime,
            offload=placed.offload,
            moved_bytes=_moved_bytes(spec, placed),
            frames_per_second=spec.frames_per_second,
            parameters=parameters_of_pictures(spec),
        )
    if spec.modality == "embedding":
        from .documents import pace_of_documents

        return pace_of_documents(machine, power, spec, quantization=quantization, runtime=runtime)
    if spec.modality in ("speech", "music"):
        from .speech import pace_of_sound

        return pace_of_sound(
            machine,
            power,
            spec,
            placed,
            quantization=quantization,
            runtime=runtime,
            audio_seconds=workload.audio_seconds,
        )
    return None


def _pace_of_training(
    question: Question, placed: Needs, machine: Machine, power: Power | None
) -> Speed:
    from .training import TrainingWork, pace_of_training

    spec, workload, runtime = question.spec, question.workload, question.runtime
    trained_layers = runtime.trainer_layers if runtime is not None else None
    if placed.memory is None and trained_layers is None:
        why = "where it would be trained is not known, because its memory need is not"
        return unpaced(why, TRAINED)
    work = None
    if spec.parameters.active is not None:
        work = TrainingWork(
            method=workload.finetune_method or "lora",
            parameters=spec.parameters.active,
            all_parameters=spec.parameters.total or spec.parameters.active,
            layers=spec.architecture.layers if spec.architecture is not None else 0,
            step_tokens=(workload.context_tokens or _LEAST_TOKENS) * workload.parallel,
            checkpointing=bool(workload.checkpointing),
            trained_layers=trained_layers,
        )
    return pace_of_training(
        machine,
        power,
        work,
        devices=max(1, len(devices_of(machine, placed, runtime, workload.quantization))),
        dataset_tokens=workload.dataset_tokens,
    )


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
