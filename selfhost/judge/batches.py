"""The batch in tokens with which a program reads prompts if the user states none.

Some programs choose the batch by the free memory of the GPUs. The compute buffer grows with the
batch, so that `with_automatic_batch` counts the needs again for the batch that the program chooses.
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
from ..needs.records import Needs, likely_bytes
from .checks.runtime import installed_on, is_older
from .devices import free_for
from .record import Question

# the part of one GPU's free memory, in hundredths, that a model may fill to be placed on that GPU
# alone: Ollama's scheduler, bestSingleGPUFit of server/sched.go@fb307609
_ONE_GPU_PERCENT = 80
# the options that state a batch
_OPTIONS = {"micro_batch_tokens", "batch_tokens"}


def with_automatic_batch(question: Question, machine: Machine) -> Needs:
    """The needs, counted for the batch size that the runtime chooses by itself.

    The needs stay as they are where the runtime has no rule, where the user asked for a batch size,
    or where the installed version is older than the rule.
    """
    needs = question.needs
    runtime = question.runtime
    case = question.case
    assert needs is not None
    if runtime is None or case is None or not _has_rule(runtime, case):
        return needs
    present = installed_on(machine, runtime)
    version = None if present is None else present.version
    if is_older(version, runtime.batches.automatic_since):
        return needs
    choice = _BatchChoice(needs=needs, case=case, runtime=runtime, machine=machine)
    tokens = choice.tokens()
    if tokens is None:
        return needs
    if tokens == case.setup.batch:
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
    """A choice of the batch size for a model on a machine. `needs` are the model's needs in RAM."""

    needs: Needs
    case: Case
    runtime: RuntimeSpec
    machine: Machine

    def tokens(self) -> int | None:
        """The number of tokens in a batch; None where the context is so short that no rule
        applies.
        """
        setup = self.case.setup
        batches = self.runtime.batches
        if self.case.embeds:
            most = batches.embedding_tokens or setup.batch
            return min(most, setup.tokens)
        rules = [
            rule
            for rule in batches.automatic
            if setup.tokens > rule.above_context_tokens
        ]
        if not rules:
            return None
        predicted_bytes = self._predicted_bytes()
        free_bytes = self._free_bytes(predicted_bytes)
        for rule in rules:
            if _allows(rule, predicted_bytes, free_bytes):
                return rule.tokens
        # no rule fits: the default batch of every llama.cpp program
        return setup.batch

    def _predicted_bytes(self) -> int:
        """The bytes of memory that Ollama predicts for the model before loading
        (llm/llama_server.go@fb307609, PredictServerVRAM).

        The prediction is the model's file without the projector, plus a KV cache in 16 bits for
        every block. The cache counts the KV heads of the block with the fewest, at least one, each
        head as wide as the embedding length divided by the number of heads.
        """
        model = self.case.model
        files_bytes = 0 if self.needs.files is None else self.needs.files.bytes
        files_bytes -= likely_bytes(self.needs.terms, "projector")
        heads = max((group.heads for group in model.attention), default=1)
        head_length = model.embedding_length // heads
        block_numbers = 2 * _fewest_kv_heads(model) * head_length
        return files_bytes + 2 * model.layers * block_numbers * self.case.setup.tokens

    def _free_bytes(self, predicted_bytes: int) -> int:
        """The free bytes of the GPU that holds the model alone, else of all GPUs of one maker; 0
        without GPUs.
        """
        most = 0
        by_maker = Counter[str]()
        for card in self.machine.cards:
            size = free_for(self.runtime, card, self.machine)
            most = max(most, size)
            by_maker[card.vendor] += size
        if predicted_bytes <= most * _ONE_GPU_PERCENT // 100:
            return most
        return max(by_maker.values(), default=0)


def _allows(
    rule: AutomaticBatch,
    predicted_bytes: int,
    free_bytes: int,
) -> bool:
    """Whether the free bytes hold the predicted bytes within the bounds of the rule."""
    if not free_bytes:
        # without a GPU the program chooses no batch by memory
        return True
    if predicted_bytes > free_bytes * rule.most_percent // 100:
        return False
    together_bytes = predicted_bytes + rule.more_bytes
    return together_bytes <= free_bytes * rule.together_percent // 100


def _fewest_kv_heads(model: Architecture) -> int:
    """The fewest KV heads of a layer. A layer without attention counts as one head, and so does
    latent attention.
    """
    attending = sum(len(group.layers) for group in model.attention)
    if attending < model.layers:
        return 1
    heads = [
        1 if group.kind == "latent" else group.kv_heads for group in model.attention
    ]
    return min(heads, default=1)
