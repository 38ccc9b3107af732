"""What to type to train a model further, as it was judged."""

from __future__ import annotations

from ..core.workload import DEFAULT_LORA_RANK
from ..needs.records import GATHERED
from .blanks import filled
from .case import Case, device_word


def training_lines(case: Case) -> tuple[tuple[str, ...], str]:
    """The line that installs the trainer, and the line that trains; () and "" where it would not
    run here, or where no command is known for the method. Where no command trains such models, the
    first is a comment that says what does.
    """
    runtime, workload, spec = case.runtime, case.workload, case.spec
    method = workload.finetune_method or "lora"
    command = runtime.finetune_commands.get(method, "")
    if not command or not case.judged.fits or spec.repository is None:
        return (), ""
    elsewhere = runtime.finetune_elsewhere.get(spec.modality)
    if elsewhere is not None:
        return (f"# {elsewhere}",), ""
    values = {
        "repository": spec.repository,
        "lora_rank": str(workload.lora_rank or DEFAULT_LORA_RANK),
        "context_tokens": str(workload.context_tokens),
        "parallel": str(workload.parallel),
    }
    packages = runtime.finetune_packages
    names = packages.get(workload.optimizer or "") or packages.get(method)
    install = (f"pip install {names}",) if names else ()
    return install, " ".join((filled(command, values), *_options(case, method)))


def _options(case: Case, method: str) -> list[str]:
    """What the trainer would not do by itself."""
    workload, texts, number = case.workload, case.runtime.finetune_options, 1
    keys = [device_word(case) or "", workload.optimizer or ""]
    if not workload.checkpointing:
        keys.append("keeps_activations")
    if case.memory is not None and any(term.name == GATHERED for term in case.memory.terms):
        # accelerators share weights, gradients and optimizer out
        number = len(case.cards_used) or 1
        keys += ["sharded", f"sharded_{method}"]
    elif case.leaves_cards and len(case.cards_used) == 1:
        # it would start a process on each of several accelerators
        keys.append("replicated")
    return [texts[key].replace("{devices}", str(number)) for key in keys if key in texts]
