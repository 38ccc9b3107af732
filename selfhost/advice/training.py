"""What to type to train a model further, as it was judged."""

from __future__ import annotations

from collections.abc import Iterator

from ..catalogue.index import Catalogue
from ..core.errors import WorkloadError
from ..core.workload import DEFAULT_LORA_RANK, FLAGS, Workload
from ..judge.defaults import suited_by_list
from ..judge.placement.devices import free_bytes, lies_beside_cards
from ..judge.question import ask
from ..judge.record import Judged, Question
from ..machine.record import Accelerator, Machine
from ..needs.records import GATHERED
from ..needs.training import LOGIT_LOW_BYTES
from .case import Case, device_word
from .template_values import filled

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# unslothai/unsloth, README.md: less memory than trl with FlashAttention 2; not measured here
_TRAINER_OF_LESS = "train with Unsloth, which takes less than is counted here"
_WITHOUT_LOGITS = "train with `--use_liger_kernel` of trl, which keeps no logits"
# examples of fewer tokens are not proposed (assumed)
_SHORTEST_EXAMPLE_TOKENS = 256


def training_lines(case: Case) -> tuple[tuple[str, ...], str]:
    """Lines that install the trainer and say what more GPUs gain, and the line that trains; () and
    "" where it would not run here, or where no command is known for the method. Where no command
    trains such models, the first is a comment that says what does.
    """
    runtime, workload, spec = case.runtime, case.workload, case.spec
    command = runtime.finetune_commands.get(_method(workload), "")
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
    names = packages.get(workload.optimizer or "") or packages.get(_method(workload))
    install = (f"pip install {names}",) if names else ()
    line = " ".join((filled(command, values), *_options(case)))
    return (*install, *_on_all_cards(case)), line


def _method(workload: Workload) -> str:
    return workload.finetune_method or "lora"


def _is_sharded(case: Case) -> bool:
    """Whether accelerators share weights, gradients and optimizer out; else each holds all."""
    return case.memory is not None and any(term.name == GATHERED for term in case.memory.terms)


def _options(case: Case) -> list[str]:
    """What the trainer would not do by itself."""
    workload, texts, number = case.workload, case.runtime.finetune_options, 1
    keys = [device_word(case) or "", workload.optimizer or ""]
    if not workload.checkpointing:
        keys.append("keeps_activations")
    if _is_sharded(case):
        number = len(case.cards_used) or 1
        keys += ["sharded", f"sharded_{_method(workload)}"]
    elif case.leaves_cards and len(case.cards_used) == 1:
        # it would start a process on each of several accelerators
        keys.append("replicated")
    return [texts[key].replace("{devices}", str(number)) for key in keys if key in texts]


def _on_all_cards(case: Case) -> tuple[str, ...]:
    """A comment on what more processes gain where the machine has more accelerators like those that
    hold the training, each with room for as much: what it is judged on are the fewest.
    """
    cards, used = case.cards, case.cards_used
    number = _alike_with_room(case)
    # copies of all gradients lie beside each model that is trained whole, which are not counted
    is_shared_out = _is_sharded(case) or _method(case.workload) == "full"
    options = case.runtime.finetune_options.get("sharded" if is_shared_out else "replicated")
    if options is None or number <= len(used):
        return ()
    times = f"{number / len(used):.1f}".removesuffix(".0")
    all_of_them = "both" if number == 2 else f"all {number}"
    which = "GPUs" if number == len(cards) else cards[used[0]].name
    what = f"{times} times as fast on {all_of_them} {which} instead of {len(used)}"
    return (f"# up to {what}: {options.replace('{devices}', str(number))}",)


def _alike_with_room(case: Case) -> int:
    """How many accelerators are like those used, which are all of one kind, and have room for what
    each of these likely takes; 0 where they differ.
    """
    cards, used = case.cards, case.cards_used
    kinds = {_kind(cards[index]) for index in used}
    if case.memory is None or len(kinds) != 1 or any(cards[index].is_part for index in used):
        return 0
    places = (place.total_bytes for place in case.memory.places if place.where != "host")
    needed_bytes = max(places)
    alike = (card for card in cards if _kind(card) in kinds and not card.is_part)
    return sum((free_bytes(card) or 0) >= needed_bytes for card in alike)


def _kind(card: Accelerator) -> tuple[str, int | None]:
    return card.name, card.memory_total_bytes


# ------------------------------------------------------------------ what makes accelerators hold it


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
    if _fits_without_logits(question, judged, machine):
        ways.append(_WITHOUT_LOGITS)
    if _method(question.workload) != "full":
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
    methods, method = runtime.finetune_methods if runtime is not None else (), _method(workload)
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
    changed = suited_by_list(changed_question, workload, catalogue, machine).judged
    needs = changed.needs
    return changed.fits and needs is not None and needs.placement == "accelerator"


def _fits_without_logits(question: Question, judged: Judged, machine: Machine) -> bool:
    """Whether one accelerator likely holds the training of adapters without its logits: at least
    `LOGIT_LOW_BYTES` each, of which a layer that is computed again takes less.
    """
    workload, architecture = question.workload, question.spec.architecture
    memory = judged.needs.memory if judged.needs is not None else None
    if architecture is None or memory is None or _method(workload) == "full":
        return False
    tokens = (workload.context_tokens or 0) * workload.parallel
    logits_bytes = LOGIT_LOW_BYTES * (architecture.vocabulary or 0) * tokens
    needed_bytes = sum(term.bytes for term in memory.terms if not term.is_program) - logits_bytes
    return any(
        card.unified is False and needed_bytes <= (free_bytes(card) or 0)
        for card in machine.accelerators or ()
    )
