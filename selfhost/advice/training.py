"""What to type to train a model further, as it was judged."""

from __future__ import annotations

from ..catalogue.spec import RuntimeSpec
from ..core.workload import DEFAULT_LORA_RANK, Workload
from ..machine.record import Machine
from ..needs.records import GATHERED
from ..verdict.record import Judged, Question
from .commands import device_of, devices_used


def training_lines(
    question: Question, judged: Judged, machine: Machine
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Lines that install the trainer, and the line that trains; both () where it would not run
    here, or where no command is known for the method. Where no command trains such models, the
    first is a comment that says what does.
    """
    runtime, workload, repository = question.runtime, question.workload, question.spec.repository
    command = "" if runtime is None else runtime.finetune_commands.get(_method(workload), "")
    if runtime is None or not command or not judged.fits or repository is None:
        return (), ()
    elsewhere = runtime.finetune_elsewhere.get(question.spec.modality)
    if elsewhere is not None:
        return (f"# {elsewhere}",), ()
    values = {
        "repository": repository,
        "lora_rank": workload.lora_rank or DEFAULT_LORA_RANK,
        "context_tokens": workload.context_tokens,
        "parallel": workload.parallel,
    }
    for key, value in values.items():
        command = command.replace("{" + key + "}", str(value))
    options = _options(runtime, workload, device_of(runtime, judged, machine), _shards(judged))
    return _install(runtime, workload), (" ".join((command, *options)),)


def _method(workload: Workload) -> str:
    return workload.finetune_method or "lora"


def _shards(judged: Judged) -> int:
    """Over how many accelerators weights, gradients and optimizer are shared out; 0: each holds all
    of them.
    """
    memory = judged.needs.memory if judged.needs is not None else None
    is_sharded = memory is not None and any(term.name == GATHERED for term in memory.terms)
    return len(devices_used(judged)) if is_sharded else 0


def _options(
    runtime: RuntimeSpec, workload: Workload, device: str | None, shards: int
) -> list[str]:
    """What the trainer would not do by itself."""
    departures = [device or "", workload.optimizer or ""]
    if not workload.checkpointing:
        departures.append("keeps_activations")
    if shards:
        departures += ["sharded", f"sharded_{_method(workload)}"]
    texts = runtime.finetune_options
    return [texts[key].replace("{devices}", str(shards)) for key in departures if key in texts]


def _install(runtime: RuntimeSpec, workload: Workload) -> tuple[str, ...]:
    packages = runtime.finetune_packages
    names = packages.get(workload.optimizer or "") or packages.get(_method(workload))
    return (f"pip install {names}",) if names else ()
