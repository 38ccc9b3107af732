"""In batches of how many tokens a program reads prompts where nobody states it.

Some programs choose by the free memory of the GPUs. The compute buffer grows with the batch, so
that `with_automatic_batch` counts the needs again for the batch that the program chooses.
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
    """The needs in the batches that the program chooses by itself.

    They stay as they are where the program has no rule, a batch was asked for, or the version that
    is installed is older than the rule.
    """
    runtime = question.runtime
    case = question.case
    needs = question.needs
    assert needs is not None
    if runtime is None or case is None or not _is_chosen(case, runtime, machine):
        return needs
    room = case.room
    if case.embeds:
        tokens = min(runtime.batches.embedding_tokens or room.batch, room.tokens)
    elif room.tokens <= _shortest_context(runtime):
        # so short a context leaves no choice
        return needs
    else:
        tokens = _chosen_tokens(needs, case, runtime, machine)
    if tokens == room.batch:
        return needs.replace(batch_tokens=tokens)
    return needs_in_batches(needs, case, tokens)


def _is_chosen(case: Case, runtime: RuntimeSpec, machine: Machine) -> bool:
    """Whether the program that is installed chooses the batch for that model."""
    if not runtime.batches.automatic and not runtime.batches.embedding_tokens:
        return False
    if case.format != "gguf" or not case.has_row or is_batch_asked(case):
        return False
    # an encoder takes each text whole
    return not case.row.encoder and not _is_before(runtime, machine)


def is_batch_asked(case: Case) -> bool:
    """Whether an option that was asked for says how many tokens a batch has."""
    return bool(case.settings.keys() & {"micro_batch_tokens", "batch_tokens"})


def _is_before(runtime: RuntimeSpec, machine: Machine) -> bool:
    """Whether the version that is installed is older than the rules."""
    for present in machine.runtimes or ():
        if present.id == runtime.id:
            return is_older(present.version, runtime.batches.automatic_since)
    return False


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
        if context_tokens <= rule.above_context_tokens:
            continue
        if _has_room(rule, predicted_bytes, free_bytes):
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
    model = case.model
    heads = max((group.heads for group in model.attention), default=1)
    head_length = model.embedding_length // heads
    block_numbers = 2 * _fewest_kv_heads(model) * head_length
    cache_bytes = 2 * model.layers * block_numbers * context_tokens
    return files_bytes - projector_bytes + cache_bytes


def _fewest_kv_heads(model: Architecture) -> int:
    """The fewest heads of keys and values of a layer: one where it has none, and of a latent."""
    attending = sum(len(group.layers) for group in model.attention)
    if attending < model.layers:
        return 1
    heads = list[int]()
    for group in model.attention:
        heads.append(1 if group.kind == "latent" else group.kv_heads)
    return min(heads, default=1)


def _free_bytes(machine: Machine, runtime: RuntimeSpec, predicted_bytes: int) -> int:
    """Free memory of the GPU that holds the model alone, else of all of one maker; 0 without."""
    sizes = list(_free_by_card(machine, runtime))
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
    if lent is None or lent.device is not card:
        return free
    return min(free, lent.least_bytes)
