"""How fast a model decodes with a draft: some tokens are proposed one after the other, the model
checks them all in one step, and one more comes with those that it accepts.

Leviathan et al. 2023, arXiv:2211.17192, section 3.
"""

from __future__ import annotations

from .batch import ON_GPU, ON_PROCESSOR, Experts, parallel_total
from .speed import PaceRange, Speed

# of a proposed token, the chance that the model accepts it if it accepted those before: slow end,
# likely, fast end, a guess around published runs. Of tokens drafted 38 to 71 % were accepted
# (Qwen3.6 27B with its own block, 4 at once: llama.cpp#27173), which is 0.6 to 0.85 of each, and
# 36 % of 8 at once (70B by 7B: llama.cpp#2926), which is 0.7; Leviathan et al. have 0.5 to 0.9,
# from general knowledge
_ACCEPTED = (0.4, 0.65, 0.9)
# what a model's own block takes for a token, as a share of a step: one layer of 30 to 60 and the
# output matrix. A guess
_OWN_BLOCK = (0.15, 0.06, 0.02)
# the steps that checking takes where nothing tells how fast prompts are read: at most one a token,
# at least one; the likely figure is a guess
_CHECKED = (float("inf"), 1.5, 1.0)
_ENDS = ("low", "likely", "high")


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
) -> Speed:
    """The pace of a model with `drafted` tokens proposed for each step.

    `alone` is its own, `empty` the same with nothing in the context, `draft` the pace of the model
    that proposes; None where the model's own block does.
    """
    decode, prompt = alone.decode, alone.prompt
    if decode is None:
        return alone
    steps = [1 / getattr(decode, end) for end in _ENDS]
    checks = [min(drafted + 1, most) * step for most, step in zip(_CHECKED, steps, strict=True)]
    if prompt is not None and empty is not None:
        slower = ON_PROCESSOR if on_processor else ON_GPU
        together = parallel_total(
            decode, empty, prompt, drafted + 1, slower=slower, experts=experts
        )
        checks = [(drafted + 1) / getattr(together, end) for end in _ENDS]
    proposals = [share * step for share, step in zip(_OWN_BLOCK, steps, strict=True)]
    if draft is not None:
        proposals = [1 / getattr(draft, end) for end in _ENDS]
    low, likely, high = (
        tokens_of_step(drafted, accepted) / (check + drafted * proposal)
        for accepted, check, proposal in zip(_ACCEPTED, checks, proposals, strict=True)
    )
    how = (
        f"{alone.how}; with {drafted} tokens drafted at once, of which the model accepts"
        f" {_ACCEPTED[0]:.0%} to {_ACCEPTED[2]:.0%} (a guess around published runs): code more,"
        " free text less"
    )
    return alone.replace(
        decode=PaceRange(low=min(low, likely), likely=likely, high=max(likely, high)), how=how
    )
