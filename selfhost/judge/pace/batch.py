"""What follows of the pace of one sequence: the time to the first token of an answer, and the total
of several sequences that decode at once. Both are estimates.

A step of N sequences reads the weights once, computes N tokens, and reads the context of each.
Computing the tokens after the first takes as long as a prompt's, or a multiple of it, for the
programs compute a few tokens at once less well than hundreds.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, hypot, log

from ...catalogue.layers import Attention
from ...catalogue.spec import Architecture
from ...core import units
from ...core.records import Record
from ...core.workload import Workload
from ..ranges import Range, added_apart
from .speed import PaceRange, PromptCopies, SecondsRange, Speed
from .step import Step

# of the experts as many as if so large a share of them were chosen from by chance, for texts prefer
# some: slow end, likely, fast end. And what reading them takes, as a share of what they are of the
# weights by the time that all take; the fast end is a guess. gpt-oss 20B and 120B, Qwen3 Coder 30B
# and GLM 4.7 Flash with 2 to 32 sequences on an M2 Ultra and a GB10
# (tests/truth/speed_batches.json)
_PREFERRED, _OF_READING = (1.0, 0.5, 0.3), (1.0, 1.0, 0.65)


# the rate of attending to a prompt on a processor, as a share of that of its dense matrices: slow
# end, likely, fast end. llama.cpp 0c1e570 on an Intel Emerald Rapids with AVX-512, one and two
# threads, prompts of 256 and 1,024 or 2,048 tokens: EXAONE 4.0 1.2B 0.36 and 0.55, OLMo 2 1B and
# Qwen3 VL 2B 0.32 to 0.39, with heads of 64 and 128 (tests/truth/speed.json). SmolLM2 135M on
# another such processor attended as slowly as decoding does, some 0.06; the fast end is a guess
_ATTENDED_ON_PROCESSOR = (0.06, 0.4, 0.8)
# the rate of attending to a prompt on a GPU, as a share of that of its dense matrices: slow end,
# likely, fast end. By the fall of published prompts with the tokens before them, over the
# operations of the layers that attend: gpt-oss 120B on a Radeon 8060S 0.24 (998 to 507 tokens/s at
# 16,384: lhl/strix-halo-testing#33), Qwen3.8 27B on an RTX 3090 0.42 (993 to 540 of prompts of
# 8,024 and 128,026: noonghunna/club-3090#1111), Llama 3 8B on an RX 9060 XT 0.46 (2,020 to 783 at
# 32,768: ggml-org/llama.cpp#28102), TinyLlama on an M1 Ultra 0.55 (5,588 to 4,382 of 512 and
# 4,096: geerlingguy/ai-benchmarks#48), Gemma 2B in 16 bits on an RTX 3090 1.2
# (ggml-org/llama.cpp#11583, #6646)
_ATTENDED_ON_GPU = (0.2, 0.45, 1.2)
# the rate of experts on long prompts, as a share of that of dense matrices
_OF_EXPERTS = 0.45


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

    def chosen_by(self, tokens: int) -> float:
        """Which share of all experts so many tokens choose, as if by chance; 1 of a dense model."""
        return 1 - (1 - self.used / self.experts) ** tokens


class TokenCost(Record):
    """How many times as long a token of a batch takes to compute as one of a prompt: `of_two`
    where there are two, falling with the power `falls` of their number, for kernels compute so
    many at once whether they are there or not. `doubt`: how many times more and less it may be.
    """

    of_two: float
    falls: float = 0.0
    doubt: tuple[float, float]

    def of(self, sequences: int) -> float:
        """Of so many tokens."""
        return float(self.of_two * (sequences / 2) ** -self.falls)


# from runs published in llama.cpp. Processor: Mistral 7B Q4_0 on 16 vCPUs of a c5.4xlarge,
# llama-batched-bench, 2 to 4 sequences (issue 3478): 0.9 to 1.1. GPU: fitted on 7B and 8B in 2 to
# 16 bits on an RTX 3090, 1B and 8B on an RTX 4090, 4B and 7B on an M2 Ultra, 2 to 32 at once
# (tests/truth/speed_batches.json); before 2024 Metal took up to 18 times as long (3545), which is
# left out. Prompts of a mixture are read with all of its experts, so that little is left beside
# them
ON_PROCESSOR = TokenCost(of_two=1.1, doubt=(1.45, 1.4))
ON_GPU = TokenCost(of_two=4.0, falls=0.45, doubt=(5.0, 2.0))
EXPERTS_ON_GPU = TokenCost(of_two=1.5, doubt=(2.2, 2.2))
# of programs that replay a step's graph, over the same prompt of llama.cpp: dense models of 0.5B to
# 70B in 4, 8 and 16 bits and mixtures, with 2 to 256 at once in vLLM and SGLang; of dense ones on
# cards alone, for on chips that share the RAM they were as slow as llama.cpp
# (tests/truth/speed_parallel.json)
REPLAYED = TokenCost(of_two=0.6, doubt=(3.0, 2.0))
EXPERTS_REPLAYED = TokenCost(of_two=2.5, doubt=(2.2, 2.2))
# What the program takes for each sequence of a step, beside the model: slow end, likely, fast end.
# Programs that replay a step's graph choose the next token on the GPU, and schedule and send it in
# Python: vLLM with 64 to 200 at once took 56 to 88 us a token more than the model, in medians by
# type, from 0.5B to 70B. llama-server chooses on one core, for each token of the vocabulary: beside
# llama-batched-bench, which chooses none, 0.40 and 0.46 ms of 152,000 (128 and 32 at once, an
# i9-10900F), which is 2.6 and 3.0 ns of each; by what is told of the model 0.1 to 1.6 ms there and
# on an i5-9600K, and 2.2 of 248,000 on a Xeon E5-1650 v3, 0.8 to 10 ns, and 8 ms on an i5-2500K, 50
# (tests/truth/speed_parallel.json). Of 30 runs of dense models on seven computers the likely figure
# is 63 % off, with 3 ns 87. That a faster core takes a fifth of it is a guess
_SEQUENCE_SECONDS = (100e-6, 70e-6, 20e-6)
_CHOICE_SECONDS = (20e-9, 5e-9, 1e-9)


def host_seconds(step: Step) -> Range:
    """Of each sequence of a step that its program serves; nothing where it was not seen."""
    if step.replays:
        return _SEQUENCE_SECONDS
    if step.foreign is not None or step.architecture is None:
        return _NOTHING
    slow, likely, fast = _CHOICE_SECONDS
    words = step.architecture.vocabulary or 0
    return slow * words, likely * words, fast * words


DENSE = Experts()
_NOTHING = (0.0, 0.0, 0.0)


def experts_of(step: Step, active: int | None) -> Experts:
    """By the parameters that a token meets, `active` in all; dense where that is not known."""
    if step.architecture is None or not active or not step.has_experts:
        return DENSE
    from ..placement.experts import expert_parameters

    _, met, _ = expert_parameters(step)
    largest = max(step.architecture.feed_forward, key=lambda group: group.experts or 0)
    return Experts(
        share=min(1.0, met / active), used=largest.used or 1, experts=largest.experts or 1
    )


def experts_by_time(
    step: Step, active: int | None, empty: PaceRange, at: Callable[..., Speed]
) -> Experts:
    """As `experts_of`, by time: of a step with nothing in the context, whose pace is `empty`, what
    reading the weights takes, and not launching it or adding up what several GPUs have computed.
    `at` as of `with_whole_answer`.
    """
    experts = experts_of(step, active)
    twice = at(0, reads_twice=True).decode if experts.share else None
    if twice is None:
        return experts
    return experts.replace(share=experts.share * min(1.0, empty.likely / twice.likely - 1))


def token_cost(
    experts: Experts, *, on_processor: bool, replays: bool = False, shares_ram: bool = False
) -> TokenCost:
    """That of a token of a batch, of a mixture or a dense model; `replays`: in a program that
    replays a step's graph; `shares_ram`: on a GPU that shares the RAM.
    """
    if on_processor:
        return ON_PROCESSOR
    if experts.share:
        return EXPERTS_REPLAYED if replays else EXPERTS_ON_GPU
    return REPLAYED if replays and not shares_ram else ON_GPU


def parallel_total(
    single: PaceRange,
    empty: PaceRange,
    prompt: PaceRange,
    sequences: int,
    *,
    cost: TokenCost,
    experts: Experts = DENSE,
    host: Range = _NOTHING,
) -> PaceRange:
    """Tokens per second of `sequences` that decode at once, all together.

    `single` is the pace of one with its context, `empty` the same with nothing in it, `prompt` that
    of reading, `host` what the program takes for each sequence. What memory gives and what
    computing takes have nothing to do with each other, so that the squares of their doubts add up.
    """
    tokens = _token_seconds(prompt, cost, sequences)
    slow, likely, fast = (
        _total(
            1 / single.likely,
            1 / empty.likely,
            each,
            sequences,
            experts.replace(share=experts.share * of_reading),
            preferred,
            program,
        )
        for each, preferred, of_reading, program in zip(
            tokens, _PREFERRED, _OF_READING, host, strict=True
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


def _token_seconds(prompt: PaceRange, cost: TokenCost, sequences: int) -> Range:
    """What one of so many tokens takes to compute: most, likely, least."""
    token = cost.of(sequences) / prompt.likely
    more, less = cost.doubt
    return (
        token * exp(hypot(log(more), log(prompt.likely / prompt.low))),
        token,
        token * exp(-hypot(log(less), log(prompt.high / prompt.likely))),
    )


def total_beside_ram(
    single: PaceRange,
    empty: PaceRange,
    copies: PromptCopies,
    sequences: int,
    experts: Experts,
    host: Range = _NOTHING,
) -> PaceRange | None:
    """As `parallel_total`, where part of the weights lies in RAM: a few tokens at once are computed
    where they lie, from `copies.least_tokens` on what lies there crosses to the GPU for each step.
    None where nothing tells how fast the processor computes.
    """
    if copies.experts_share is not None:
        experts = experts.replace(share=copies.experts_share)
    if sequences < copies.least_tokens:
        if copies.in_place is None:
            return None
        return parallel_total(
            single, empty, copies.in_place, sequences, cost=ON_PROCESSOR, experts=experts, host=host
        )
    cost = token_cost(experts, on_processor=False)
    context = max(0.0, 1 / single.likely - 1 / empty.likely)
    most, usual, least = (
        sequences * (each + context + program)
        for each, program in zip(
            _token_seconds(copies.computed, cost, sequences), host, strict=True
        )
    )
    # of experts those alone that a token chose (ggml/src/ggml-backend.cpp, as `prompt_copies`)
    crossing = [each * experts.chosen_by(sequences) for each in copies.seconds]
    slow, likely, fast = added_apart((most, usual, least), (crossing[0], crossing[1], crossing[2]))
    return PaceRange(low=sequences / slow, likely=sequences / likely, high=sequences / fast)


def _total(
    step: float,
    bare: float,
    token: float,
    sequences: int,
    experts: Experts,
    preferred: float,
    program: float,
) -> float:
    """`step` and `bare`: seconds of one sequence with its context and without; `token`: of
    computing one more; `program`: of serving it.

    A sequence more never costs more than a step of its own, beside serving it: it can be decoded
    after the others.
    """
    weights = min(step, bare)
    context = step - weights
    more = min(token + context, step - experts.share * weights)
    grown = experts.growth(sequences, preferred) - 1
    taken = step + (sequences - 1) * (max(0.0, more) + program) + weights * grown
    return sequences / taken


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
    return attended / (2 * met) * (_OF_EXPERTS if experts.share else 1.0)


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
    tokens: int,
    prompt: PaceRange,
    after: PaceRange,
    *,
    attended: float = 0.0,
    on_processor: bool = False,
    copies: PromptCopies | None = None,
    empty: PaceRange | None = None,
    experts: Experts = DENSE,
) -> SecondsRange:
    """Seconds until the first token of the answer to a prompt of so many tokens: reading it, and
    one step.

    `after`: the pace of decoding behind it. `attended` (`attended_share`): of what the weights
    take, at the rate of dense matrices, what attending to it does. `copies`: what of `prompt` a
    part of a batch takes as well as a whole one; of too few tokens for it each costs what one of
    several sequences of a model with these `experts` does, whose pace with nothing in the context
    is `empty`.
    """
    in_place = 0
    if copies is not None:
        prompt, in_place = copies.computed, copies.tokens_in_place(tokens)
        tokens -= in_place
    rates = _ATTENDED_ON_PROCESSOR if on_processor else _ATTENDED_ON_GPU
    reads = [
        tokens * (1 + attended / rate) * read
        for read, rate in zip(prompt.seconds, rates, strict=True)
    ]
    few = after
    if copies is not None:
        slow, likely, fast = reads
        reads = list(added_apart((slow, likely, fast), copies.seconds_for(tokens)))
        if copies.in_place is not None and in_place > 1:
            few = parallel_total(
                after,
                empty or after,
                copies.in_place,
                in_place,
                cost=ON_PROCESSOR,
                experts=experts,
            )
    slow, likely, fast = (
        read + in_place * token + step
        for read, token, step in zip(reads, few.seconds, after.seconds, strict=True)
    )
    return SecondsRange(low=min(fast, likely), likely=likely, high=max(slow, likely))


def with_whole_answer(
    pace: Speed,
    workload: Workload,
    at: Callable[..., Speed],
    *,
    on_processor: bool,
    shares_ram: bool,
    step: Step,
    active_parameters: int | None,
) -> Speed:
    """The pace with what the workload asks beyond it: the time to the first token for a prompt, and
    the total of several sequences; `how` says what they rest on, or why there is none.

    `at` gives the pace with so many tokens in the context; with `as_measured` by the rules of the
    program whose prompts were measured, which stand for others; with `reads_twice` of a step that
    reads as much of the weights once more.
    """
    prompt, copies = pace.prompt, pace.prompt_copies
    if prompt is None and pace.decode is not None:
        as_measured = at(None, as_measured=True)
        # what another program does with weights in RAM was not seen
        prompt = None if as_measured.prompt_copies is not None else as_measured.prompt
    empty = at(0).decode
    if pace.decode is None or empty is None:
        return pace
    if prompt is None:
        why = "; how fast it reads prompts is not known, so neither are the first token and a total"
        return pace.replace(how=pace.how + why)
    experts = experts_by_time(step, active_parameters, empty, at)
    seconds: SecondsRange | None = None
    total: PaceRange | None = None
    how = pace.how
    wanted = workload.prompt_tokens
    if wanted is not None:
        after = at(wanted).decode
        if after is not None:
            seconds = first_token(
                wanted,
                prompt,
                after,
                attended=attended_share(step.architecture, active_parameters, wanted, experts),
                on_processor=on_processor,
                copies=copies,
                empty=empty,
                experts=experts,
            )
            how += f"; a prompt of {units.tokens(wanted)} and one step until the first token"
    if workload.parallel > 1 and copies is not None:
        total = total_beside_ram(
            pace.decode, empty, copies, workload.parallel, experts, host_seconds(step)
        )
        how += _how_beside_ram(workload.parallel, copies, total)
    elif workload.parallel > 1:
        total = parallel_total(
            pace.decode,
            empty,
            prompt,
            workload.parallel,
            cost=token_cost(
                experts,
                on_processor=on_processor,
                replays=step.replays,
                shares_ram=shares_ram,
            ),
            experts=experts,
            host=host_seconds(step),
        )
        how += (
            f"; of {workload.parallel:,} sequences at once an estimate: the weights are read once,"
            " and each sequence is computed, reads its own context and is served"
        )
    return pace.replace(how=how, first_token_seconds=seconds, parallel_total=total)


def _how_beside_ram(sequences: int, copies: PromptCopies, total: PaceRange | None) -> str:
    """What the total of several sequences rests on, as a clause, or why there is none."""
    if total is None:
        return (
            f"; the total of {sequences:,} sequences at once is not known, because part of the"
            " weights lies in RAM"
        )
    where = "computed where the weights lie, those in RAM by the processor"
    if sequences >= copies.least_tokens:
        where = "computed on the GPU, to which what lies in RAM crosses for each step"
    return f"; of {sequences:,} sequences at once a guess, of which no run was seen: {where}"
