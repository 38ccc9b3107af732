"""In batches of how many tokens a program reads prompts where nobody tells it: by itself, or as the
printed command tells it. Its compute buffer grows with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import inf

from ..catalogue.architecture import Architecture
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import AutomaticBatch
from ..machine.record import Accelerator, Machine
from ..needs import needs_in_batches
from ..needs.case import Case
from ..needs.records import Needs
from .checks.runtime import is_older
from .devices import computes_on_shared, lent_to_gpu, runs_on
from .record import Question

# of a device that one of the automatic batches fits on: what Ollama's scheduler takes alone, in
# bestSingleGPUFit of server/sched.go@fb307609
_ALONE_PERCENT = 80


def with_automatic_batch(question: Question, machine: Machine) -> Needs:
    """The needs in the batches that the program chooses by itself; as they are where it has no
    rule, a batch was asked for, or the version that is installed is older than the rule.
    """
    runtime, case, needs = question.runtime, question.case, question.needs
    assert needs is not None
    if runtime is None or case is None or is_batch_asked(case) or not case.has_row:
        return needs
    if (
        not (runtime.batches.automatic or runtime.batches.embedding_tokens)
        or case.format != "gguf"
    ):
        return needs
    # an encoder takes each text whole
    if _is_before(runtime, machine) or case.row.encoder:
        return needs
    if case.embeds:
        tokens = min(
            runtime.batches.embedding_tokens or case.room.batch, case.room.tokens
        )
    elif case.room.tokens <= _shortest_context(runtime):
        # so short a context leaves no choice
        return needs
    else:
        tokens = _chosen_tokens(needs, case, runtime, machine)
    if tokens == case.room.batch:
        return needs.replace(batch_tokens=tokens)
    return needs_in_batches(needs, case, tokens)


def is_batch_asked(case: Case) -> bool:
    """Whether an option that was asked for says how many tokens a batch has."""
    return bool(case.settings.keys() & {"micro_batch_tokens", "batch_tokens"})


def _is_before(runtime: RuntimeSpec, machine: Machine) -> bool:
    present = next(
        (each for each in machine.runtimes or () if each.id == runtime.id), None
    )
    return present is not None and is_older(
        present.version, runtime.batches.automatic_since
    )


def _shortest_context(runtime: RuntimeSpec) -> float:
    """Tokens of context above which the program chooses at all."""
    bounds = (rule.above_context_tokens for rule in runtime.batches.automatic)
    return min(bounds, default=inf)


def _chosen_tokens(
    needs: Needs, case: Case, runtime: RuntimeSpec, machine: Machine
) -> int:
    """The largest batch for that context which leaves room, else what any program takes."""
    context_tokens = case.room.tokens
    predicted_bytes = _predicted_bytes(needs, case, context_tokens)
    free_bytes = _free_bytes(machine, runtime, predicted_bytes)
    for rule in runtime.batches.automatic:
        if context_tokens > rule.above_context_tokens and _has_room(
            rule, predicted_bytes, free_bytes
        ):
            return rule.tokens
    return case.room.batch


def _has_room(rule: AutomaticBatch, predicted_bytes: int, free_bytes: int) -> bool:
    if not free_bytes:
        # without a GPU the program counts nothing
        return True
    is_small = predicted_bytes <= free_bytes * rule.most_percent // 100
    together_bytes = predicted_bytes + rule.more_bytes
    return is_small and together_bytes <= free_bytes * rule.together_percent // 100


def _predicted_bytes(needs: Needs, case: Case, context_tokens: int) -> int:
    """What Ollama takes a model for before it loads it (llm/llama_server.go@fb307609,
    PredictServerVRAM): the file of the model, and keys and values of every block in 16 bits, of as
    many heads as the block with the fewest has, one at least, each of the width over all heads.
    """
    files_bytes = needs.files.bytes if needs.files is not None else 0
    projector_bytes = sum(
        term.bytes for term in needs.terms if term.name == "projector"
    )
    heads, fewest = _heads(case.model)
    head_length = case.model.embedding_length // heads
    cache_bytes = 2 * case.model.layers * fewest * head_length * context_tokens * 2
    return files_bytes - projector_bytes + cache_bytes


def _heads(model: Architecture) -> tuple[int, int]:
    """The most heads of a layer, and the fewest heads of keys and values; one where a layer has
    none, and of a latent.
    """
    most = max((group.heads for group in model.attention), default=1)
    attending = sum(len(group.layers) for group in model.attention)
    fewest = min(
        (1 if group.kind == "latent" else group.kv_heads for group in model.attention),
        default=1,
    )
    return most, fewest if attending >= model.layers else 1


def _free_bytes(machine: Machine, runtime: RuntimeSpec, predicted_bytes: int) -> int:
    """Free memory of the GPU that holds the model alone, else of all of one maker; 0 without."""
    sizes = [*_free_by_card(machine, runtime)]
    most = max((size for _, size in sizes), default=0)
    if predicted_bytes <= most * _ALONE_PERCENT // 100:
        return most
    by_maker = Counter[str]()
    for vendor, size in sizes:
        by_maker[vendor] += size
    return max(by_maker.values(), default=0)


def _free_by_card(machine: Machine, runtime: RuntimeSpec) -> Iterator[tuple[str, int]]:
    for card in machine.accelerators or ():
        if card.unified:
            if computes_on_shared(runtime, card):
                yield card.vendor, _free_of_shared(card, machine)
        elif runs_on(runtime, card):
            yield card.vendor, card.memory_free_bytes or card.memory_total_bytes or 0


def _free_of_shared(card: Accelerator, machine: Machine) -> int:
    """What is free of the RAM, as far as the system lends it to the GPU."""
    lent = lent_to_gpu(machine)
    free = machine.memory_available_bytes or machine.memory_total_bytes or 0
    return (
        free if lent is None or lent.device is not card else min(free, lent.least_bytes)
    )
