"""What follows of the pace of one sequence: the time to the first token of an answer, the total of
several sequences that decode at once, and the pace with a draft. All are estimates.

A step of N sequences reads the weights once, computes N tokens, and reads the context of each.
Computing the tokens after the first takes as long as a prompt's, or a multiple of it, for the
programs compute a few tokens at once less well than hundreds. A draft is checked as so many
sequences are: some tokens are proposed one after the other, the model checks them all in one step,
and one more comes with those that it accepts (Leviathan et al. 2023, arXiv:2211.17192, section 3).
"""

from __future__ import annotations

from math import exp, hypot, log

from ...catalogue.layers import Attention
from ...catalogue.spec import Architecture
from ...core import units
from ...core.records import Record
from .engine import NOTHING, Range, Step, added, added_apart, constant, ends_of, scaled
from .speed import PaceRange, PromptCopies, SecondsRange, Speed


class Experts(Record):
    """Of a mixture, the share of a token's weights that are experts', or of its time that reading
    them takes (`experts_by_time`), 0 of a dense model; and how many of them a token chooses.
    """

    share: float = 0.0
    used: int = 1
    experts: int = 1

    def growth(self, sequences: int, preferred: float = 1.0) -> float:
        """How much more is read for so many tokens than for one: each chooses its own experts, as
        if by chance among the `preferred` share of them.
        """
        if not self.share:
            return 1.0
        chosen = min(1.0, self.used / (self.experts * preferred))
        distinct = (1 - (1 - chosen) ** sequences) / chosen
        return 1 + self.share * (distinct - 1)


DENSE = Experts()


class Answered(Record):
    """One sequence, from which what several take follows: its pace, the same with nothing in the
    context, that of reading a prompt, and the experts. `program`: a key of `token` in
    `specs/common/pace.toml`; `host`: what the program takes for each sequence.
    """

    single: PaceRange
    empty: PaceRange
    prompt: PaceRange
    program: str
    experts: Experts = DENSE
    host: Range = NOTHING


def host_seconds(step: Step) -> Range:
    """Of each sequence of a step that its program serves; nothing where it was not seen."""
    if step.replays:
        return ends_of("batch", "sequence_seconds")
    if step.foreign is not None or step.architecture is None:
        return NOTHING
    return scaled(ends_of("batch", "choice_seconds"), step.architecture.vocabulary or 0)


def experts_of(
    step: Step, active: int | None, empty: PaceRange, twice: PaceRange | None
) -> Experts:
    """By the parameters that a token meets, `active` in all, and by time: of a step with nothing in
    the context, whose pace is `empty`, what reading the weights takes, and not launching it or
    adding up what several GPUs have computed. Dense where that is not known. `twice`: the pace of a
    step that reads as much of the weights once more.
    """
    if step.architecture is None or not active or not step.has_experts:
        return DENSE
    from ..placement.experts import expert_parameters

    _, met, _ = expert_parameters(step.architecture, step.expert_matrices)
    largest = max(step.architecture.feed_forward, key=lambda group: group.experts or 0)
    share = min(1.0, met / active)
    if twice is not None:
        share *= min(1.0, empty.likely / twice.likely - 1)
    return Experts(share=share, used=largest.used or 1, experts=largest.experts or 1)


def kind_of_program(
    experts: Experts, *, on_processor: bool, replays: bool = False, shares_ram: bool = False
) -> str:
    """The row of `token` that tells what a token of a batch costs. On chips that share the RAM
    dense models were as slow as in llama.cpp, whatever the program.
    """
    if on_processor:
        return "processor"
    if experts.share:
        return "graph_experts" if replays else "gpu_experts"
    return "graph" if replays and not shares_ram else "gpu"


def _token_seconds(prompt: PaceRange, program: str, sequences: int) -> Range:
    """What one of so many tokens takes to compute: most, likely, least."""
    row = constant("token")[program]
    token = row["of_two"] * (sequences / 2) ** -row["falls"] / prompt.likely
    more = hypot(log(row["more"]), log(prompt.likely / prompt.low))
    less = hypot(log(row["less"]), log(prompt.high / prompt.likely))
    return token * exp(more), token, token * exp(-less)


def parallel_total(answering: Answered, sequences: int) -> PaceRange:
    """Tokens per second of `sequences` that decode at once, all together. What memory gives and
    what computing takes have nothing to do with each other, so that the squares of their doubts add
    up.
    """
    single = answering.single
    slow, likely, fast = (
        _total(answering, sequences, token, program, preferred, share_read)
        for token, program, preferred, share_read in zip(
            _token_seconds(answering.prompt, answering.program, sequences),
            answering.host,
            ends_of("batch", "preferred"),
            ends_of("batch", "share_read"),
            strict=True,
        )
    )
    away = hypot(log(single.likely / single.low), log(likely / min(slow, likely)))
    beyond = hypot(log(single.high / single.likely), log(max(fast, likely) / likely))
    return PaceRange(
        # they can be decoded one after the other
        low=min(likely, max(single.low, likely * exp(-away))),
        likely=likely,
        high=likely * exp(beyond),
    )


def _total(
    answering: Answered,
    sequences: int,
    token: float,
    program: float,
    preferred: float,
    share_read: float,
) -> float:
    """`token`: seconds of computing one more; `program`: of serving it. A sequence more never costs
    more than a step of its own, beside serving it: it can be decoded after the others.
    """
    step = 1 / answering.single.likely
    weights = min(step, 1 / answering.empty.likely)
    experts = answering.experts.replace(share=answering.experts.share * share_read)
    more = min(token + step - weights, step - experts.share * weights)
    grown = experts.growth(sequences, preferred) - 1
    taken = step + (sequences - 1) * (max(0.0, more) + program) + weights * grown
    return sequences / taken


# ---------------------------------------------------------------- the first token


def attended_share(
    architecture: Architecture | None, active_parameters: int | None, tokens: int, experts: Experts
) -> float:
    """Operations of attending to a prompt of so many tokens, as a share of those of its weights; of
    a mixture by the time that these take; 0.0 where the layers are not known.
    """
    if architecture is None or not active_parameters:
        return 0.0
    table = (architecture.vocabulary or 0) * architecture.embedding_length
    # a prompt looks rows up in the table of words, and only its last token meets the output matrix
    met = max(active_parameters - table * (1 + architecture.output_matrix), active_parameters / 4)
    # on average half of the prompt stands before a token
    attended = sum(
        2 * len(group.layers) * group.heads * _width(group) * _reached(group, tokens / 2)
        for group in architecture.attention
    )
    return attended / (2 * met) * (constant("batch")["experts_rate"] if experts.share else 1.0)


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


def first_token(
    answering: Answered, tokens: int, *, attended: float = 0.0, copies: PromptCopies | None = None
) -> SecondsRange:
    """Seconds until the first token of the answer to a prompt of so many tokens: reading it, and
    one step, of which `one.single` is the pace behind it. `attended` (`attended_share`): of what
    the weights take, at the rate of dense matrices, what attending to it does. `copies`: what of
    `prompt` a part of a batch takes as well as a whole one.
    """
    prompt = answering.prompt if copies is None else copies.computed
    where = "processor" if answering.program == "processor" else "gpu"
    rates = ends_of("batch", f"attended_on_{where}")
    slow, likely, fast = (
        tokens * (1 + attended / rate) * read
        for read, rate in zip(prompt.seconds, rates, strict=True)
    )
    reads: Range = (slow, likely, fast)
    if copies is not None:
        reads = added_apart(reads, copies.seconds_for(tokens))
    slow, likely, fast = added(reads, answering.single.seconds)
    return SecondsRange(low=min(fast, likely), likely=likely, high=max(slow, likely))


# ---------------------------------------------------------------- both, of a pace


def with_first_token(
    pace: Speed, answering: Answered, step: Step, active: int | None, tokens: int
) -> Speed:
    """The pace with the time to the first token behind a prompt of so many; `one` as of
    `first_token`.
    """
    attended = attended_share(step.architecture, active, tokens, answering.experts)
    first = first_token(answering, tokens, attended=attended, copies=pace.prompt_copies)
    how = f"{pace.how}; a prompt of {units.tokens(tokens)} and one step until the first token"
    return pace.replace(first_token_seconds=first, how=how)


def with_total(pace: Speed, answering: Answered, sequences: int) -> Speed:
    """The pace with the total of several sequences; `how` says what it rests on, or why there is
    none.
    """
    what, kind, copies = f"{sequences:,} sequences at once", "an estimate", pace.prompt_copies
    if copies is not None:
        if copies.in_place is None:
            why = f"the total of {what} is not known, because part of the weights lies in RAM"
            return pace.replace(how=f"{pace.how}; {why}")
        answering, kind = answering.replace(prompt=copies.in_place, program="processor"), "a guess"
    how = (
        f"{pace.how}; of {what} {kind}: the weights are read once, and each sequence is computed,"
        " reads its context and is served"
    )
    return pace.replace(parallel_total=parallel_total(answering, sequences), how=how)


# ---------------------------------------------------------------- a draft


def tokens_of_step(drafted: int, accepted: float) -> float:
    """Tokens that a step gives on average, each of `drafted` accepted with that chance."""
    return sum(accepted**count for count in range(drafted + 1))


def with_draft(
    alone: Speed,
    answering: Answered | None,
    drafted: int,
    draft: PaceRange | None,
    *,
    more_token: float = 0.0,
) -> Speed:
    """The pace of a model with `drafted` tokens proposed for each step; `alone` without them.

    `one`: from which checking several tokens follows, None where nothing tells that; `draft` the
    pace of the model that proposes, None where the model's own block does. `more_token`: of a step,
    what each token more of it takes at least. A full context gains as much.
    """
    decode = alone.decode
    if decode is None:
        return alone
    figures, steps = constant("draft"), decode.seconds
    if answering is not None:
        checks = list(scaled(parallel_total(answering, drafted + 1).seconds, drafted + 1))
    else:
        checks = [
            min(drafted + 1, most) * step
            for most, step in zip(figures["checked"], steps, strict=True)
        ]
    checks = [
        max(check, step * (1 + drafted * more_token))
        for check, step in zip(checks, steps, strict=True)
    ]
    if draft is None:
        accepted = figures["own_accepted"]
        checked = checks[1] / steps[1] + drafted * figures["own_block"]
        share = f"{units.percent(accepted)}, as in 43 published runs on GPUs"
        pace = _times(decode, tokens_of_step(drafted, accepted) / checked, figures["own_gain"])
    else:
        chances = ends_of("draft", "accepted")
        low, likely, high = (
            tokens_of_step(drafted, chance) / (check + drafted * proposal)
            for chance, check, proposal in zip(chances, checks, draft.seconds, strict=True)
        )
        share = f"{units.percent_range(chances[0], chances[2])} (a guess around published runs)"
        pace = PaceRange(low=min(low, likely), likely=likely, high=max(likely, high))
    full = alone.full_context_tokens_per_second
    return alone.replace(
        decode=pace,
        how=(
            f"{alone.how}; with {drafted} tokens drafted at once, of which the model accepts"
            f" {share}: code more, free text less"
        ),
        full_context_tokens_per_second=full and full * pace.likely / decode.likely,
        undrafted_tokens_per_second=decode.likely,
    )


def _times(decode: PaceRange, gain: float, ends: tuple[float, float]) -> PaceRange:
    """The pace with a gain of such ends of its own. What a GPU reaches and what a text lets it
    accept have nothing to do with each other, so that the squares of the two doubts add up.
    """
    least, most = map(log, ends)
    likely = decode.likely * gain
    return PaceRange(
        low=likely * exp(-hypot(log(decode.likely / decode.low), least)),
        likely=likely,
        high=likely * exp(hypot(log(decode.high / decode.likely), most)),
    )
