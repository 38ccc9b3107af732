"""How fast a model decodes with a draft: some tokens are proposed one after the other, the model
checks them all in one step, and one more comes with those that it accepts.

Leviathan et al. 2023, arXiv:2211.17192, section 3.
"""

from __future__ import annotations

from math import exp, hypot, log

from ...core import units
from .batch import Experts, parallel_total, token_cost
from .speed import PaceRange, Speed

# of a token that another model proposes, the chance that the model accepts it if it accepted those
# before: slow end, likely, fast end, a guess around published runs. 36 % of 8 at once (70B by 7B:
# llama.cpp#2926) is 0.7; Leviathan et al. have 0.5 to 0.9, from general knowledge
_ACCEPTED = (0.4, 0.65, 0.9)
# and of one that the model's own block proposes: of two at once 56 to 82 % were accepted, of four
# 55 to 66 %, which is 0.6 to 0.87 of each (16 of the runs below)
_OWN_ACCEPTED = 0.78
# the gain beside what that gives, slow end and fast end: 40 runs on 12 GPUs with CUDA, ROCm and
# Vulkan, each beside the same without a draft, 1 to 6 tokens at once
# (tests/truth/speed_drafts.json), lay from 0.72 to 1.18; with Metal, whose steps of a few tokens
# take `more_token` of a step for each, 0.95 to 1.12. Free text is at the slow end, code at the fast
_OWN_GAIN = (0.7, 1.2)
# what a model's own block takes for a token, as a share of a step: one layer of 30 to 60 and the
# output matrix. A guess
_OWN_BLOCK = 0.06
# the steps that checking takes beside reading more experts, where nothing tells how fast prompts
# are read: at most one a token, at least one; likely by those of the runs below whose files are a
# publisher's mix
_CHECKED = (float("inf"), 1.2, 1.0)
_LIKELY = 1


def tokens_of_step(drafted: int, accepted: float) -> float:
    """Tokens that a step gives on average, each of `drafted` accepted with that chance."""
    return sum(accepted**count for count in range(drafted + 1))


def with_draft(
    alone: Speed,
    empty: PaceRange | None,
    drafted: int,
    draft: PaceRange | None,
    *,
    on_processor: bool,
    experts: Experts,
    more_token: float = 0.0,
) -> Speed:
    """The pace of a model with `drafted` tokens proposed for each step.

    `alone` is its own, `empty` the same with nothing in the context, `draft` the pace of the model
    that proposes; None where the model's own block does. `more_token`: of a step, what each token
    more of it takes at least. A full context gains as much.
    """
    decode, prompt = alone.decode, alone.prompt
    if decode is None:
        return alone
    steps = decode.seconds
    grown = experts.growth(drafted + 1) - 1
    checks = [
        min(drafted + 1, most + grown) * step for most, step in zip(_CHECKED, steps, strict=True)
    ]
    # a few tokens at once are no prompt where weights lie in RAM: none cross for them
    if prompt is not None and empty is not None and alone.prompt_copies is None:
        cost = token_cost(experts, on_processor=on_processor)
        together = parallel_total(decode, empty, prompt, drafted + 1, cost=cost, experts=experts)
        checks = [(drafted + 1) * each for each in together.seconds]
    checks = [
        max(check, step * (1 + drafted * more_token))
        for check, step in zip(checks, steps, strict=True)
    ]
    if draft is None:
        gain = tokens_of_step(drafted, _OWN_ACCEPTED) / (
            checks[_LIKELY] / steps[_LIKELY] + drafted * _OWN_BLOCK
        )
        share = f"{units.percent(_OWN_ACCEPTED)}, as in 43 published runs on GPUs"
        pace = _times(decode, gain)
    else:
        low, likely, high = (
            tokens_of_step(drafted, accepted) / (check + drafted * proposal)
            for accepted, check, proposal in zip(_ACCEPTED, checks, draft.seconds, strict=True)
        )
        share = f"{units.percent_range(_ACCEPTED[0], _ACCEPTED[2])} (a guess around published runs)"
        pace = PaceRange(low=min(low, likely), likely=likely, high=max(likely, high))
    full = alone.full_context_tokens_per_second
    if full is not None:
        full *= pace.likely / decode.likely
    how = (
        f"{alone.how}; with {drafted} tokens drafted at once, of which the model accepts {share}:"
        " code more, free text less"
    )
    return alone.replace(
        decode=pace,
        how=how,
        full_context_tokens_per_second=full,
        undrafted_tokens_per_second=decode.likely,
    )


def _times(decode: PaceRange, gain: float) -> PaceRange:
    """The pace with a gain of its own doubt. What a GPU reaches and what a text lets it accept have
    nothing to do with each other, so that the squares of the two doubts add up.
    """
    least, most = map(log, _OWN_GAIN)
    likely = decode.likely * gain
    return PaceRange(
        low=likely * exp(-hypot(log(decode.likely / decode.low), least)),
        likely=likely,
        high=likely * exp(hypot(log(decode.high / decode.likely), most)),
    )
