"""What to type to train a model further, as it was judged."""

from __future__ import annotations

from collections.abc import Iterator

from ..catalogue.index import Catalogue
from ..core.errors import WorkloadError
from ..core.workload import DEFAULT_LORA_RANK, FLAGS, Workload
from ..judge.defaults import suited_by_list
from ..judge.placement.devices import lies_beside_cards
from ..judge.question import ask
from ..judge.record import Judged, Question
from ..machine.record import Machine
from ..needs.records import GATHERED
from .blanks import filled
from .case import Case, device_word

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# unslothai/unsloth, README.md: less memory than trl with FlashAttention 2; not measured here
_TRAINER_OF_LESS = "train with Unsloth, which takes less than is counted here"
# examples of fewer tokens are not proposed (assumed)
_SHORTEST_EXAMPLE_TOKENS = 256


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


def with_ways_to_cards(
    question: Question, asked: Workload, judged: Judged, catalogue: Catalogue, machine: Machine
) -> Judged:
    """A training that is judged in RAM because accelerators do not hold it, with what makes these
    hold it for a remedy: only ways that were judged. `asked` is the workload before defaults.
    """
    finding = next((each for each in judged.findings if each.check == "accelerator"), None)
    if finding is None or finding.remedy is not None:
        return judged
    if not lies_beside_cards(judged.needs, machine):
        return judged
    ways = []
    for changes in _changes(question):
        # the first of a kind with which accelerators hold the training
        for name, value in changes:
            workload = asked.replace(**{name: value})
            if _lies_on_cards(question, workload, catalogue, machine):
                ways.append(f"use {FLAGS[name]} {value}")
                break
    if question.workload.finetune_method != "full":
        ways.append(_TRAINER_OF_LESS)
    if not ways:
        return judged
    helped = finding.replace(remedy=", or ".join(ways))
    findings = tuple(helped if each is finding else each for each in judged.findings)
    return judged.replace(findings=findings)


def _changes(question: Question) -> Iterator[list[tuple[str, Any]]]:
    """Changes of one option each, by kind, the best of a kind first."""
    workload, runtime = question.workload, question.runtime
    if workload.checkpointing is False:
        yield [("checkpointing", True)]
    methods = runtime.finetune_methods if runtime is not None else ()
    method = workload.finetune_method or "lora"
    first = methods.index(method) + 1 if method in methods else 0
    yield [("finetune_method", other) for other in methods[first:]]
    if workload.parallel > 1:
        yield [("parallel", 1)]
    tokens, lengths = workload.context_tokens or 0, []
    while (tokens := tokens // 2) >= _SHORTEST_EXAMPLE_TOKENS:
        lengths.append(("context_tokens", tokens))
    yield lengths


def _lies_on_cards(
    question: Question, workload: Workload, catalogue: Catalogue, machine: Machine
) -> bool:
    try:
        changed_question = ask(question.spec, workload, catalogue, machine)
    except WorkloadError:
        return False
    changed = suited_by_list(changed_question, workload, catalogue, machine)
    needs = changed.needs
    return changed.fits and needs is not None and needs.placement == "accelerator"
