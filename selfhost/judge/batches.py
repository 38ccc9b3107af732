"""In batches of how many tokens a program reads prompts where nobody states it.

Some programs choose by the free memory of the GPUs. The compute buffer grows with the batch, so
that `with_automatic_batch` counts the needs again for the batch that the program chooses.
"""

from __future__ import annotations

from collections import Counter

from ..catalogue.architecture import Architecture
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import AutomaticBatch
from ..core.records import Record
from ..machine.record import Machine
from ..needs import needs_in_batches
from ..needs.case import Case
from ..needs.records import Needs
from .checks.runtime import installed_on, is_older
from .devices import free_for
from .record import Question

# of a device that one of the automatic batches fits on: what Ollama's scheduler takes alone, in
# bestSingleGPUFit of server/sched.go@fb307609
_ALONE_PERCENT = 80
# the options that state a batch
_OPTIONS = {"micro_batch_tokens", "batch_tokens"}


def with_automatic_batch(question: Question, machine: Machine) -> Needs:
    """The needs in the batches that the program chooses by itself.

    They stay as they are where the program has no rule, a batch was asked for, or the version that
    is installed is older than the rule.
    """
    needs = question.needs
    runtime = question.runtime
    case = question.case
    assert needs is not None
    if runtime is None or case is None or not _has_rule(runtime, case):
        return needs
    choice = _BatchChoice(needs=needs, case=case, runtime=runtime, machine=machine)
    if choice.is_too_old:
        return needs
    tokens = choice.tokens()
    if tokens is None:
        return needs
    if tokens == case.room.batch:
        return needs.replace(batch_tokens=tokens)
    return needs_in_batches(needs, case, tokens)


def _has_rule(runtime: RuntimeSpec, case: Case) -> bool:
    """Whether the program chooses the batch for that model."""
    batches = runtime.batches
    if not batches.automatic and not batches.embedding_tokens:
        return False
    if case.format != "gguf" or not case.has_row:
        return False
    # an encoder takes each text whole
    return not case.row.encoder and not is_batch_asked(case)


def is_batch_asked(case: Case) -> bool:
    """Whether an option that was asked for says how many tokens a batch has."""
    return not _OPTIONS.isdisjoint(case.settings)


class _BatchChoice(Record):
    """How a program chooses the batch for a model on a machine; `needs` are those in RAM."""

    needs: Needs
    case: Case
    runtime: RuntimeSpec
    machine: Machine

    @property
    def is_too_old(self) -> bool:
        """Whether the version that is installed is older than the rules."""
        present = installed_on(self.machine, self.runtime)
        if present is None:
            return False
        return is_older(present.version, self.runtime.batches.automatic_since)

    def tokens(self) -> int | None:
        """The tokens of a batch; None where so short a context leaves no choice."""
        room = self.case.room
        batches = self.runtime.batches
        if self.case.embeds:
            most = batches.embedding_tokens or room.batch
            return min(most, room.tokens)
        rules = [
            rule
            for rule in batches.automatic
            if room.tokens > rule.above_context_tokens
        ]
        if not rules:
            return None
        predicted_bytes = self.predicted_bytes()
        free_bytes = self._free_bytes(predicted_bytes)
        for rule in rules:
            if _has_room(rule, predicted_bytes, free_bytes):
                return rule.tokens
        # what any program takes
        return room.batch

    def predicted_bytes(self) -> int:
        """What Ollama takes a model for before it loads it (llm/llama_server.go@fb307609,
        PredictServerVRAM): the file of the model, and keys and values of every block in 16 bits, of
        as many heads as the block with the fewest has, one at least, each of the width over all
        heads.
        """
        model = self.case.model
        files_bytes = 0 if self.needs.files is None else self.needs.files.bytes
        for term in self.needs.terms:
            if term.name == "projector":
                files_bytes -= term.bytes
        heads = max((group.heads for group in model.attention), default=1)
        head_length = model.embedding_length // heads
        block_numbers = 2 * _fewest_kv_heads(model) * head_length
        return files_bytes + 2 * model.layers * block_numbers * self.case.room.tokens

    def _free_bytes(self, predicted_bytes: int) -> int:
        """Free memory of the GPU that holds the model alone, else of all of one maker; 0 without
        GPUs.
        """
        most = 0
        by_maker = Counter[str]()
        for card in self.machine.cards:
            size = free_for(self.runtime, card, self.machine)
            most = max(most, size)
            by_maker[card.vendor] += size
        if predicted_bytes <= most * _ALONE_PERCENT // 100:
            return most
        return max(by_maker.values(), default=0)


def _has_room(
    rule: AutomaticBatch,
    predicted_bytes: int,
    free_bytes: int,
) -> bool:
    if not free_bytes:
        # without a GPU the program counts nothing
        return True
    if predicted_bytes > free_bytes * rule.most_percent // 100:
        return False
    together_bytes = predicted_bytes + rule.more_bytes
    return together_bytes <= free_bytes * rule.together_percent // 100


def _fewest_kv_heads(model: Architecture) -> int:
    """The fewest heads of keys and values of a layer: one where it has none, and of a latent."""
    attending = sum(len(group.layers) for group in model.attention)
    if attending < model.layers:
        return 1
    heads = [
        1 if group.kind == "latent" else group.kv_heads for group in model.attention
    ]
    return min(heads, default=1)
