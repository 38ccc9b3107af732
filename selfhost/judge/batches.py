"""The batch in tokens with which a program reads prompts if the user states none.

Some programs choose the batch by the context. The compute buffer grows with the batch, so that
`with_automatic_batch` counts the needs again for the batch that the program chooses.
"""

from __future__ import annotations

from ..catalogue.runtime import RuntimeSpec
from ..machine.record import Machine
from ..needs import needs_in_batches
from ..needs.case import Case
from ..needs.records import Needs
from .checks.runtime import installed_on, is_older
from .devices import idle_bytes
from .record import Question

# the options that state a batch
_OPTIONS = {"micro_batch_tokens", "batch_tokens"}


def with_automatic_batch(question: Question, machine: Machine) -> Needs:
    """The needs, counted for the batch size that the runtime chooses by itself.

    The needs stay as they are where the runtime has no rule, where the user asked for a batch size,
    or where the installed version is older than the rule.
    """
    needs = question.needs
    runtime = question.program
    case = question.case
    assert needs is not None
    if case is None or not _has_rule(runtime, case):
        return needs
    present = installed_on(machine, runtime)
    version = None if present is None else present.version
    if is_older(version, runtime.batches.automatic_since):
        return needs
    tokens = _automatic_tokens(needs, case, machine)
    if tokens is None:
        return needs
    if tokens == case.setup.micro_batch_limit:
        return needs.replace(batch_tokens=tokens)
    return needs_in_batches(needs, case, tokens)


def _has_rule(runtime: RuntimeSpec, case: Case) -> bool:
    """Whether the program chooses the batch for that model."""
    if is_batch_asked(case):
        return False
    if case.format != "gguf":
        return False
    if not case.has_row:
        return False
    if case.row.encoder:
        # it takes each text whole
        return False
    batches = runtime.batches
    return bool(batches.automatic or batches.embedding_tokens)


def is_batch_asked(case: Case) -> bool:
    """Whether an option that was asked for says how many tokens a batch has."""
    return not _OPTIONS.isdisjoint(case.settings)


def _automatic_tokens(needs: Needs, case: Case, machine: Machine) -> int | None:
    """The number of tokens in a batch; None where the context is so short, or the GPUs so full,
    that no rule applies.
    """
    setup = case.setup
    batches = case.runtime.batches
    if case.embeds:
        most = batches.embedding_tokens or setup.micro_batch_limit
        return min(most, setup.tokens)
    free_bytes = _free_bytes(machine)
    expected_bytes = _expected_bytes(needs, case)
    for rule in batches.automatic:
        if setup.tokens <= rule.above_context_tokens:
            continue
        if not free_bytes:
            # without a GPU, or where its memory was not read, the context alone decides
            return rule.tokens
        with_more_bytes = expected_bytes + rule.more_bytes
        if 100 * expected_bytes > rule.most_percent * free_bytes:
            continue
        if 100 * with_more_bytes <= batches.most_percent * free_bytes:
            return rule.tokens
    return None


def _expected_bytes(needs: Needs, case: Case) -> int:
    """The bytes that Ollama expects of a model before it loads it: its file, and a cache of 16 bits
    in every layer (PredictServerVRAM).

    It counts the heads of the layer that has fewest. Its converters write 0 for a layer without a
    cache (convert_qwen3next.go), for which it counts 1.
    """
    shape = case.spec.architecture
    file_bytes = needs.largest_file_bytes
    if shape is None or file_bytes is None:
        return 0
    if not shape.most_heads:
        return file_bytes
    fewest = 1
    if not shape.recurrent:
        counts = [1 if part.is_latent else part.kv_heads for part in shape.attention]
        fewest = min(counts, default=1)
    length = shape.embedding_length // shape.most_heads
    in_cache = shape.layers * fewest * length
    return file_bytes + 2 * 2 * in_cache * case.setup.tokens


def _free_bytes(machine: Machine) -> int:
    """The free bytes of all accelerators together; 0 where the memory of one was not read."""
    total = 0
    for device in machine.accelerators or ():
        free_bytes = device.memory_free_bytes or idle_bytes(device)
        if free_bytes is None:
            return 0
        total += free_bytes
    return total
