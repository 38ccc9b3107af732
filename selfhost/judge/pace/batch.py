"""What follows of the pace of one sequence: the time to the first token of an answer, the total of
several sequences that decode at once, and the pace with a draft. All are estimates.

A step of N sequences reads the weights once, computes N tokens, and reads the context of each.
Computing the tokens after the first takes as long as a prompt's, or a multiple of it, for the
programs compute a few tokens at once less well than hundreds.
"""

from __future__ import annotations

from math import exp, hypot, log

from ...catalogue.layers import Attention
from ...core.records import Record
from .engine import (
    NOTHING,
    Range,
    Step,
    added,
    added_apart,
    constant,
    ends_of,
    product,
    scaled,
)
from .speed import PaceRange, SecondsRange, Speed


class Sequence(Record):
    """One sequence, from which what several take follows: seconds of a token, of one with nothing
    in the context, and of one that reads the weights once more; the pace of reading a prompt.
    `program`: a key of `token` in `specs/common/pace.toml`.
    """

    step: Step
    single: Range
    empty: Range
    twice: Range
    prompt: PaceRange
    program: str
    active_parameters: int | None = None


def kind_of_program(step: Step, *, on_processor: bool, shares_ram: bool) -> str:
    """The row of `token` that tells what a token of a batch costs. On chips that share the RAM
    dense models were as slow as in llama.cpp, whatever the program.
    """
    if on_processor:
        return "processor"
    if step.has_experts:
        return "graph_experts" if step.replays else "gpu_experts"
    return "graph" if step.replays and not shares_ram else "gpu"


def parallel_total(of: Sequence, number: int) -> PaceRange:
    """Tokens per second of so many that decode at once, all together. What memory gives and what
    computing takes have nothing to do with each other, so that the squares of their doubts add up.
    """
    row, served = constant("token")[of.program], _served_seconds(of.step)
    token = row["of_two"] * (number / 2) ** -row["falls"] / of.prompt.likely
    more = hypot(log(row["more"]), log(of.prompt.likely / of.prompt.low))
    less = hypot(log(row["less"]), log(of.prompt.high / of.prompt.likely))
    share, growths = _growths(of, number)
    slow, likely, fast = (
        _total(of, number, each + beside, share, growth)
        for each, beside, growth in zip(
            (token * exp(more), token, token * exp(-less)), served, growths, strict=True
        )
    )
    single = of.single
    away = hypot(log(single[0] / single[1]), log(likely / min(slow, likely)))
    beyond = hypot(log(single[1] / single[2]), log(max(fast, likely) / likely))
    return PaceRange(
        # they can be decoded one after the other
        low=min(likely, max(1 / single[0], likely * exp(-away))),
        likely=likely,
        high=likely * exp(beyond),
    )


def _total(of: Sequence, number: int, token: float, share: float, growth: float) -> float:
    """`token`: seconds of computing and serving one more; `share` of the weights are experts', of
    which so many times as much is read as for one. A sequence more never costs more than a step of
    its own: it can be decoded after the others.
    """
    step, reading = of.single[1], max(0.0, of.twice[1] - of.empty[1])
    context = max(0.0, step - of.empty[1])
    more = max(0.0, min(token + context, step - share * reading))
    return number / (step + (number - 1) * more + share * reading * (growth - 1))


def _growths(of: Sequence, number: int) -> tuple[float, Range]:
    """Of the weights that a token reads the share that are experts', and how many times as much of
    these is read for so many tokens: each chooses its own, as if by chance among those that texts
    prefer.
    """
    from ..placement.experts import expert_parameters

    architecture = of.step.architecture
    if architecture is None or not of.active_parameters or not of.step.has_experts:
        return 0.0, (1.0, 1.0, 1.0)
    _, met, _ = expert_parameters(architecture, of.step.expert_matrices)
    largest = max(architecture.feed_forward, key=lambda group: group.experts or 0)
    used, experts = largest.used or 1, largest.experts or 1
    growths = []
    for preferred in ends_of("batch", "preferred"):
        chosen = min(1.0, used / (experts * preferred))
        growths.append((1 - (1 - chosen) ** number) / chosen)
    return min(1.0, met / of.active_parameters), (growths[0], growths[1], growths[2])


def _served_seconds(step: Step) -> Range:
    """What the program takes for each sequence beside the model; nothing where it was not seen."""
    if step.replays:
        return ends_of("batch", "sequence_seconds")
    if step.foreign is not None or step.architecture is None:
        return NOTHING
    return scaled(ends_of("batch", "choice_seconds"), step.architecture.vocabulary or 0)


# ---------------------------------------------------------------- the first token


def first_token(of: Sequence, tokens: int, pace: Speed) -> SecondsRange:
    """Seconds until the first token of the answer to a prompt of so many: reading it, and one step
    behind it. Of what `pace.prompt` is made of, a part of a batch crosses to a GPU as slowly as a
    whole one.
    """
    copies = pace.prompt_copies
    prompt = of.prompt if copies is None else copies.computed
    where, attended = "processor" if of.program == "processor" else "gpu", _attended(of, tokens)
    rates = ends_of("batch", f"attended_on_{where}")
    slow, likely, fast = (
        tokens * (1 + attended / rate) * read
        for read, rate in zip(prompt.seconds, rates, strict=True)
    )
    crossing = NOTHING if copies is None else copies.seconds_for(tokens)
    return SecondsRange.of(added(added_apart((slow, likely, fast), crossing), of.single))


def _attended(of: Sequence, tokens: int) -> float:
    """Operations of attending to a prompt of so many tokens, as a share of those of its weights; of
    a mixture by the time that these take; 0.0 where the layers are not known.
    """
    architecture, active = of.step.architecture, of.active_parameters
    if architecture is None or not active:
        return 0.0
    table = (architecture.vocabulary or 0) * architecture.embedding_length
    # a prompt looks rows up in the table of words, and only its last token meets the output matrix
    met = max(active - table * (1 + architecture.output_matrix), active / 4)
    # on average half of the prompt stands before a token
    attended = sum(
        2 * len(group.layers) * group.heads * _width(group) * _reached(group, tokens / 2)
        for group in architecture.attention
    )
    experts_rate = constant("batch")["experts_rate"] if of.step.has_experts else 1.0
    return float(attended / (2 * met) * experts_rate)


def _width(group: Attention) -> int:
    """Numbers that a head multiplies with each token that it attends to, of keys and of values."""
    if group.kind == "latent" and group.latent_length:
        # llama.cpp attends to the compressed row itself
        return 2 * group.latent_length + (group.rope_length or 0)
    return group.key_length + group.value_length


def _reached(group: Attention, tokens: float) -> float:
    """How many of so many tokens a token of these layers attends to."""
    if group.compression:
        tokens /= group.compression
    limits = (group.indexer_rows, None if group.compression else group.window_tokens)
    return min([tokens, *(limit for limit in limits if limit)])


# ---------------------------------------------------------------- a draft


def with_draft(alone: Speed, *, is_own_block: bool) -> Speed:
    """The pace of a model with tokens proposed for each step; `alone` without them. A full context
    gains as much.
    """
    if alone.decode is None:
        return alone
    gain = ends_of("draft", "own_block" if is_own_block else "draft_model")
    full = alone.full_context_tokens_per_second
    source = "43 published runs on GPUs" if is_own_block else "a guess around published runs"
    return alone.replace(
        decode=PaceRange.of(product(alone.decode.ends, gain)),
        how=(
            f"{alone.how}; with a draft {gain[0]:g} to {gain[2]:g} times as fast ({source}): code"
            " gains more, free text less"
        ),
        full_context_tokens_per_second=full and full * gain[1],
        undrafted_tokens_per_second=alone.decode.likely,
    )
