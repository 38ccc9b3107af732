"""What to type to train a model further, as it was judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..catalogue.index import Catalogue
from ..catalogue.spec import RuntimeSpec
from ..core.errors import WorkloadError
from ..core.workload import DEFAULT_LORA_RANK, FLAGS, Workload
from ..machine.record import Accelerator, Machine
from ..needs.records import GATHERED
from ..needs.training import LOGIT_LOW_BYTES
from ..verdict.defaults import suited_by_list
from ..verdict.devices import free_bytes, lies_beside_cards
from ..verdict.findings.accelerator_share import with_remedy
from ..verdict.question import ask
from ..verdict.record import Judged, Question
from .device_options import device_of, devices_used, is_one_of_several

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any


def training_lines(
    question: Question, judged: Judged, machine: Machine
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Lines that install the trainer and say what more GPUs gain, and the line that trains; both ()
    where it would not run here, or where no command is known for the method. Where no command
    trains such models, the first is a comment that says what does.
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
    alone = is_one_of_several(judged, machine)
    device = device_of(runtime, judged, machine)
    options = _options(runtime, workload, device, _shards(judged), alone=alone)
    before = (*_install(runtime, workload), *_on_all_cards(runtime, workload, judged, machine))
    return before, (" ".join((command, *options)),)


def _on_all_cards(
    runtime: RuntimeSpec, workload: Workload, judged: Judged, machine: Machine
) -> tuple[str, ...]:
    """A comment on what more processes gain where the machine has more accelerators like those that
    hold the training, each with room for as much: what it is judged on are the fewest.
    """
    cards, used = machine.accelerators or (), devices_used(judged)
    number = _alike_with_room(judged, cards, used)
    # copies of all gradients lie beside each model that is trained whole, which are not counted
    is_shared_out = _shards(judged) > 0 or _method(workload) == "full"
    options = runtime.finetune_options.get("sharded" if is_shared_out else "replicated")
    if options is None or number <= len(used):
        return ()
    times = f"{number / len(used):.1f}".removesuffix(".0")
    all_of_them = "both" if number == 2 else f"all {number}"
    which = "GPUs" if number == len(cards) else cards[used[0]].name
    what = f"{times} times as fast on {all_of_them} {which} instead of {len(used)}"
    return (f"# up to {what}: {options.replace('{devices}', str(number))}",)


def _alike_with_room(judged: Judged, cards: Sequence[Accelerator], used: Sequence[int]) -> int:
    """How many accelerators are like those used, which are all of one kind, and have room for what
    each of these likely takes; 0 where they differ.
    """
    memory = judged.needs.memory if judged.needs is not None else None
    kinds = {_kind(cards[index]) for index in used}
    if memory is None or len(kinds) != 1 or any(cards[index].is_part for index in used):
        return 0
    needed_bytes = max(place.total_bytes for place in memory.places if place.where != "host")
    alike = (card for card in cards if _kind(card) in kinds and not card.is_part)
    return sum((free_bytes(card) or 0) >= needed_bytes for card in alike)


def _kind(card: Accelerator) -> tuple[str, int | None]:
    return card.name, card.memory_total_bytes


# unslothai/unsloth, README.md: less memory than trl with FlashAttention 2; not measured here
_TRAINER_OF_LESS = "train with Unsloth, which takes less than is counted here"
# examples of fewer tokens are not proposed (assumed)
_SHORTEST_EXAMPLE_TOKENS = 256


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
    options = (_first_on_cards(question, asked, way, catalogue, machine) for way in _ways(question))
    ways = [f"use {words}" for words in options if words]
    remedy = ", or ".join((*ways, *_trainers_of_less(question, judged, machine)))
    if not remedy:
        return judged
    helped = with_remedy(finding, remedy)
    findings = tuple(helped if each is finding else each for each in judged.findings)
    return judged.replace(findings=findings)


def _trainers_of_less(question: Question, judged: Judged, machine: Machine) -> Iterator[str]:
    """What trains the same in less memory."""
    if _fits_without_logits(question, judged, machine):
        yield "train with `--use_liger_kernel` of trl, which keeps no logits"
    if _method(question.workload) != "full":
        yield _TRAINER_OF_LESS


def _ways(question: Question) -> Iterator[tuple[dict[str, Any], ...]]:
    """Changes of one thing each, the best of a kind first."""
    workload, runtime = question.workload, question.runtime
    if workload.checkpointing is False:
        yield ({"checkpointing": True},)
    methods = runtime.finetune_methods if runtime is not None else ()
    own = methods.index(_method(workload)) + 1 if _method(workload) in methods else 0
    yield tuple({"finetune_method": method} for method in methods[own:])
    if workload.parallel > 1:
        yield ({"parallel": 1},)
    tokens, lengths = workload.context_tokens or 0, []
    while (tokens := tokens // 2) >= _SHORTEST_EXAMPLE_TOKENS:
        lengths.append({"context_tokens": tokens})
    yield tuple(lengths)


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


def _first_on_cards(
    question: Question,
    asked: Workload,
    changes: Sequence[Mapping[str, Any]],
    catalogue: Catalogue,
    machine: Machine,
) -> str:
    """The option of the first change with which accelerators hold the training; "" where none
    does.
    """
    for change in changes:
        try:
            workload = asked.replace(**change)
            question_changed = ask(question.spec, workload, catalogue, machine)
        except WorkloadError:
            continue
        changed = suited_by_list(question_changed, workload, catalogue, machine).judged
        if changed.fits and changed.needs is not None and changed.needs.placement == "accelerator":
            ((name, value),) = change.items()
            return f"{FLAGS[name]} {value}"
    return ""


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
    runtime: RuntimeSpec, workload: Workload, device: str | None, shards: int, *, alone: bool
) -> list[str]:
    """What the trainer would not do by itself. `alone`: it is judged on one of several
    accelerators, and would start a process on each.
    """
    departures = [device or "", workload.optimizer or ""]
    if not workload.checkpointing:
        departures.append("keeps_activations")
    if shards:
        departures += ["sharded", f"sharded_{_method(workload)}"]
    elif alone:
        departures.append("replicated")
    texts = runtime.finetune_options
    return [texts[key].replace("{devices}", str(shards or 1)) for key in departures if key in texts]


def _install(runtime: RuntimeSpec, workload: Workload) -> tuple[str, ...]:
    packages = runtime.finetune_packages
    names = packages.get(workload.optimizer or "") or packages.get(_method(workload))
    return (f"pip install {names}",) if names else ()
