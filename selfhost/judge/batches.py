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
from .record import Question

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
    tokens = _automatic_tokens(runtime, case)
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


def _automatic_tokens(runtime: RuntimeSpec, case: Case) -> int | None:
    """The number of tokens in a batch; None where the context is so short that no rule applies.

    Ollama takes a smaller batch where the model nearly fills its GPUs. That is not followed: the
    need is a little too high there.
    """
    setup = case.setup
    batches = runtime.batches
    if case.embeds:
        most = batches.embedding_tokens or setup.batch
        return min(most, setup.tokens)
    for rule in batches.automatic:
        if setup.tokens > rule.above_context_tokens:
            return rule.tokens
    return None
