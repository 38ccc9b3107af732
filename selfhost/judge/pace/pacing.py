"""How fast a model goes where it is placed, the finding of that, and what to do about it; of text
also the time to the first token of an answer, the total of several sequences, and the pace with a
draft.

A step of N sequences reads the weights once, computes N tokens, and reads the context of each.
Computing the tokens after the first takes as long as a prompt's, or a multiple of it, for the
programs compute a few tokens at once less well than hundreds.
"""

from __future__ import annotations

from math import ceil, exp, hypot, log

from ...core import units
from ...machine.record import Machine
from ...needs.records import Needs
from ..checks import Finding
from ..checks.speed import speed_check, work_check
from ..record import Question
from .engine import uses_shared_gpu
from .speed import NOTHING, SAME, PaceRange, Range, Speed, constant, ends_of
from .text import LaidOut, expert_parameters, laid_out, predict


def pace_and_finding(
    question: Question, placed: Needs, machine: Machine
) -> tuple[Speed | None, Finding | None]:
    """How fast it would go, laid out like that, and the finding of it."""
    if question.read_bytes is not None:
        pace = pace_of_text(question, placed, machine)
        return pace, speed_check(question, placed, machine, pace)
    from .work import pace_of_work

    work = pace_of_work(question, placed, machine)
    return work, None if work is None else work_check(question, placed, machine, work)


def pace_of_text(question: Question, placed: Needs, machine: Machine) -> Speed:
    """With the time to the first token, the total of several sequences, the pace with a draft."""
    cards, workload, companions = machine.accelerators, question.workload, question.companions
    if placed.memory is None and (cards is None or any(card.unified is not True for card in cards)):
        # an accelerator with memory of its own may hold what does not say how much it takes
        return Speed(how="where it would run is not known, because its memory need is not")
    way = laid_out(question, placed, machine)
    pace = predict(machine, question.step, way)
    if pace.decode is None:
        return pace
    is_drafted = companions is not None and companions.drafted_tokens > 0
    if workload.prompt_tokens is not None:
        pace = _with_first_token(pace, pace.decode, workload.prompt_tokens, way.batch_tokens)
    if workload.parallel > 1 and is_drafted:
        how = f"; the total of {workload.parallel:,} sequences at once with a draft is not known"
        pace = pace.replace(how=pace.how + how)
    elif workload.parallel > 1:
        pace = _with_total(question, machine, way, pace)
    if is_drafted and companions is not None:
        pace = _with_draft(pace, is_own_block=companions.draft is None)
    return pace.replace(each_of=question.each_of)


def _with_first_token(pace: Speed, decode: PaceRange, tokens: int, batch: int) -> Speed:
    """A part of a batch crosses to a GPU as slowly as a whole one."""
    if pace.prompt is None:
        why = "; how fast it reads prompts is not known, so the first token is neither"
        return pace.replace(how=pace.how + why)
    read, batches = pace.prompt.seconds * tokens, tokens / batch
    rest = SAME * (pace.crossing_seconds * (ceil(batches) - batches))
    first = PaceRange.taking(read + rest + decode.seconds)
    how = f"; a prompt of {units.tokens(tokens)} and one step until the first token"
    return pace.replace(first_token_seconds=first, how=pace.how + how)


def _with_total(question: Question, machine: Machine, way: LaidOut, pace: Speed) -> Speed:
    number, step = question.workload.parallel, question.step
    what = f"; the total of {number:,} sequences at once"
    alone = step.replace(prompt_tokens=0, depth_tokens=0)
    twice = alone.replace(read_bytes={name: 2 * size for name, size in step.read_bytes.items()})
    # a few tokens at once are no prompt where weights lie in RAM: none cross for them
    in_place = way.replace(batch_tokens=0)
    empty, read_twice = predict(machine, alone, in_place), predict(machine, twice, in_place).decode
    prompt, is_shared = empty.prompt, uses_shared_gpu(machine, question.runtime)
    if prompt is None or empty.decode is None or read_twice is None or pace.decode is None:
        return pace.replace(how=f"{pace.how}{what} is not known: how fast it reads prompts is not")
    # dense models are as slow as in llama.cpp on chips that share the RAM, whatever the program
    program = "graph" if step.replays and (way.offloaded or step.has_experts) else "gpu"
    if pace.crossing_seconds or not (way.offloaded or is_shared):
        program = "processor"
    elif step.has_experts:
        program += "_experts"
    row = constant("token")[program]
    token = row["of_two"] / prompt.likely
    # what memory gives and what computing takes have nothing to do with each other
    more = hypot(log(row["more"]), log(prompt.likely / prompt.low))
    less = hypot(log(row["less"]), log(prompt.high / prompt.likely))
    single, usual = pace.decode.seconds, empty.decode.seconds[1]
    reading, context = max(0.0, read_twice.seconds[1] - usual), max(0.0, single[1] - usual)
    share, growths = _growths(question, number)
    # what the program takes for each beside the model
    served = ends_of("batch", "sequence_seconds") if step.replays else NOTHING
    ends = []
    for each, beside, growth in zip(
        (token * exp(more), token, token * exp(-less)), served, growths, strict=True
    ):
        # a sequence more never costs more than a step of its own: it can be decoded after others
        next_one = max(0.0, min(each + beside + context, single[1] - share * reading))
        grown = share * reading * (growth - 1)
        ends.append(number / (single[1] + (number - 1) * next_one + grown))
    slow, likely, fast = ends
    away = hypot(log(single[0] / single[1]), log(likely / min(slow, likely)))
    beyond = hypot(log(single[1] / single[2]), log(max(fast, likely) / likely))
    low = min(likely, max(1 / single[0], likely * exp(-away)))
    how = (
        f"{pace.how}; of {number:,} sequences at once an estimate: the weights are read once, and"
        " each sequence is computed, reads its context and is served"
    )
    total = PaceRange(low=low, likely=likely, high=likely * exp(beyond))
    return pace.replace(parallel_total=total, how=how)


def _growths(question: Question, number: int) -> tuple[float, Range]:
    """The share of what a token reads that is experts', and how many times as much so many tokens
    read: each chooses its own, as if by chance among those that texts prefer.
    """
    step, active = question.step, question.spec.parameters.active
    architecture = step.architecture
    if architecture is None or not active or not step.has_experts:
        return 0.0, SAME
    _, met, _ = expert_parameters(architecture, step.expert_matrices)
    largest = max(architecture.feed_forward, key=lambda group: group.experts or 0)
    used, experts = largest.used or 1, largest.experts or 1
    chosen = [min(1.0, used / (experts * each)) for each in ends_of("batch", "preferred")]
    slow, likely, fast = ((1 - (1 - each) ** number) / each for each in chosen)
    return min(1.0, met / active), Range(slow, likely, fast)


def _with_draft(alone: Speed, *, is_own_block: bool) -> Speed:
    """The pace of a model with tokens proposed for each step. A full context gains as much."""
    if alone.decode is None:
        return alone
    gain = ends_of("draft", "own_block" if is_own_block else "draft_model")
    full = alone.full_context_tokens_per_second
    source = "43 published runs on GPUs" if is_own_block else "a guess around published runs"
    return alone.replace(
        decode=PaceRange.of(alone.decode.ends * gain),
        how=(
            f"{alone.how}; with a draft {gain[0]:g} to {gain[2]:g} times as fast ({source}): code"
            " gains more, free text less"
        ),
        full_context_tokens_per_second=full and full * gain[1],
        undrafted_tokens_per_second=alone.decode.likely,
    )
