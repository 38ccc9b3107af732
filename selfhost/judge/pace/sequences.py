"""The pace of several sequences at once, and of one for which a draft proposes tokens.

Both compute several tokens in a step. The weights are read once for all tokens, but in a
mixture-of-experts model each token chooses its own experts (`experts`).
"""

from __future__ import annotations

from functools import cached_property

from ...core import units
from ...core.records import Record
from ...core.workload import ANSWER_TOKENS
from ...needs.case import Companions
from . import Speed
from .decode_step import Step
from .decoding import likely_seconds, prompt_rate
from .experts import experts_of_several_texts
from .layout import LaidOut
from .ranges import NO_SECONDS, Amount, Range, Seconds, shortest
from .tables import pace_tables

# the tokens of a batch so long that the tiles of every expert are full
_LONG_BATCH_TOKENS = 1 << 20


class Draft(Record):
    """What proposes tokens. `step`: a step of another model; None for a block of the model."""

    companions: Companions
    step: Step | None


class Sequence(Record):
    """One sequence in the model's layout.

    - `alone`: its pace alone, without a draft. `rate`: the tokens per second of that pace, which
      are known.
    """

    step: Step
    layout: LaidOut
    alone: Speed
    rate: Range

    @cached_property
    def _empty(self) -> Step:
        """The step with nothing in the context."""
        return self.step.replace(prompt_tokens=0, depth_tokens=0)

    def _reading_seconds(self, layout: LaidOut) -> float:
        """The likely seconds in which a step reads its weights, and neither launches nor computes.

        The seconds are the difference to a step of a model with twice the weights, in the same
        shares of experts.
        """
        once = self._empty
        doubled_bytes = {}
        for name, size in once.read_bytes.items():
            doubled_bytes[name] = 2 * size
        parameters = once.parameters
        if parameters is not None:
            parameters *= 2
        twice = once.replace(
            read_bytes=doubled_bytes,
            parameters=parameters,
            expert_matrices=2 * once.expert_matrices,
        )
        longer = likely_seconds(twice, layout) - likely_seconds(once, layout)
        return max(0.0, longer)

    # -------------------------------------------------------------- with a draft

    def with_draft(self, draft: Draft, users: int) -> Speed:
        """The pace of each of `users` sequences, where a draft proposes tokens."""
        tokens = draft.companions.drafted_tokens
        times = self._gain_of_draft(draft)
        decode = self.rate * times
        how = (
            f"{self.alone.how}; with a draft of {units.tokens(tokens)} at a time {times.low:.2g} to"
            f" {times.high:.2g} times as fast, by how many of these the model accepts in published"
            " runs: more in code, fewer in free text"
        )
        total = None
        if users > 1:
            total = self._total_with_draft(decode, tokens, users)
            how += f"; the total of {users:,} sequences at once with a draft is "
            if total is None:
                how += "not known"
            else:
                how += "a guess: a step verifies the tokens proposed for each"
        full_context = self.alone.full_context_tokens_per_second
        if full_context is not None:
            full_context *= times.likely
        return self.alone.replace(
            decode=decode,
            how=how,
            full_context_tokens_per_second=full_context,
            undrafted_tokens_per_second=self.rate.likely,
            parallel_total=total,
        )

    def _total_with_draft(
        self, decode: Range, drafted_tokens: int, users: int
    ) -> Range | None:
        """The rate of `users` sequences together, of which one alone has the rate `decode` with a
        draft; None where the speed of reading prompts is not known.

        A step computes the proposed tokens of a sequence as one token of each of so many sequences,
        so the draft gains less, the more of them there are. In llama.cpp sequences disturbed each
        other's proposals until August 2026 (unslothai/unsloth#8172), and two to four of them were
        together as slow as one alone without a draft.
        """
        verified = drafted_tokens + 1
        of_one = self.total(verified)
        of_all = self.total(users * verified)
        if of_one is None or of_all is None:
            return None
        likely = decode.likely * of_all.likely / of_one.likely
        high = decode.high * of_all.high / of_one.high
        low = self.rate.low
        if self.step.other_program:
            low = max(decode.low, decode.low * of_all.low / of_one.low)
        return Range(min(likely, low), likely, max(likely, high))

    def _gain_of_draft(self, draft: Draft) -> Range:
        """The factor by which a draft speeds decoding up: the tokens that a step gives, over the
        time of the draft and of the step that verifies them, in steps without a draft.

        The model accepts a proposed token with the probability `a` where it accepted those before.
        So a step gives `1 + a + a² + … = (1 - a^(n + 1)) / (1 - a)` tokens, of which the first
        needs no draft.
        """
        figures = pace_tables().draft
        accepted = figures.own_block
        if draft.step is not None:
            accepted = figures.draft_model
        tokens = draft.companions.drafted_tokens
        given = []
        for probability in accepted:
            refused = 1 - probability
            given.append((1 - probability ** (tokens + 1)) / refused)
        drafting = figures.slower * (tokens * self._share_of_step(draft))
        return Range(*given) / (drafting + self._verifying(tokens + 1))

    def _share_of_step(self, draft: Draft) -> float:
        """The time in which a draft should propose one token, in steps without a draft: of another
        model as computed, of a block by its share of the parameters.
        """
        unknown_share = pace_tables().draft.unknown_share
        if draft.step is None:
            return draft.companions.block_share or unknown_share
        if not draft.step.weights_bytes:
            return unknown_share
        return likely_seconds(draft.step, self.layout) / self._alone_seconds

    def _verifying(self, tokens: int) -> Amount:
        """The time of a step that computes so many tokens of one text, in steps of one token."""
        of_experts = pace_tables().token.gpu_experts_of_draft
        another = self._token_seconds(self._prompt_rate, of_experts)
        taken = self._step_seconds(tokens, Seconds.of(self._alone_seconds), another)
        return Amount(*(taken / self._alone_seconds))

    # -------------------------------------------------------------- several at once

    def with_total(self, users: int) -> Speed:
        """The pace alone, with the rate of `users` sequences together."""
        total = self.total(users)
        how = f"{self.alone.how}; "
        if total is None:
            how += (
                f"the total of {users:,} sequences at once is not known, because its speed of"
                " reading prompts is not known"
            )
            return self.alone.replace(how=how)
        how += (
            f"of {users:,} sequences at once an estimate: the weights are read once, and each"
            " sequence is computed, reads its context and is served"
        )
        if self.step.prompt_tokens:
            how += "; the prompts of new requests are read between"
        if max(self._sampling_seconds()):
            how += "; its next token is chosen on the processor"
        return self.alone.replace(parallel_total=total, how=how)

    def total(self, users: int) -> Range | None:
        """The tokens per second of `users` sequences together; None where the speed of reading
        prompts is not known.

        A step takes the time of one sequence. Each further sequence adds its own computing, context
        and serving, and the experts that more tokens read. Where the length of the prompts is
        stated, steps read the prompts of new requests, too.
        """
        prompt = self._prompt_rate
        if prompt is None:
            return None
        empty_seconds = likely_seconds(self._empty, self._in_place)
        another = self._computing_seconds()
        another = another.plus_independent(self._serving_seconds())
        another += Seconds.of(max(0.0, self._alone_seconds - empty_seconds))
        alone = 1 / self.rate
        step = self._step_seconds(users, alone, another)
        # sequences can be decoded one after the other, too
        step = shortest(step.ordered(), alone * users)
        with_prompts = step.plus_independent(self._new_prompts(users, prompt.likely))
        # at the fast end no prompt is read
        return users / with_prompts._replace(fast=step.fast)

    @cached_property
    def _in_place(self) -> LaidOut:
        """The layout for a few tokens at once, which are no prompt: weights in RAM stay there and
        do not cross to the GPU.
        """
        return self.layout.replace(tokens_per_crossing=0)

    @property
    def _alone_seconds(self) -> float:
        """The likely seconds of a step of one token."""
        return 1 / self.rate.likely

    @cached_property
    def _prompt_rate(self) -> Range | None:
        """The rate at which a prompt is read; None where it is not known."""
        return prompt_rate(self._empty, self._in_place)

    def _computing_seconds(self) -> Seconds:
        """The seconds in which a step computes the token of a further text.

        The tiles of experts count as full: a step of few tokens reads its experts, which
        `_further_experts` counts, for longer than it computes tiles of few tokens.
        """
        of_experts = pace_tables().token.gpu_experts
        if not self.step.has_experts:
            return self._token_seconds(self._prompt_rate, of_experts)
        long_batches = self._in_place.replace(micro_batch=_LONG_BATCH_TOKENS)
        return self._token_seconds(prompt_rate(self._empty, long_batches), of_experts)

    def _token_seconds(self, rate: Range | None, of_experts: Amount) -> Seconds:
        """The seconds in which a step computes a further token, where prompts are read at `rate`;
        none where the rate is not known. `of_experts`: as `_batch_factor` has it.
        """
        if rate is None:
            return NO_SECONDS
        return 1 / rate * self._batch_factor(of_experts)

    def _step_seconds(
        self,
        tokens: int,
        alone: Seconds,
        another: Seconds,
    ) -> Seconds:
        """The seconds of a step of several tokens. A step of one takes `alone`; it reads the
        experts of all tokens. Each further token adds `another`, and the choice of the next token.
        The parts are known independently of each other.
        """
        step = alone * self._further_experts(tokens)
        step = step.plus_independent(another * (tokens - 1))
        return step.plus_independent(self._sampling_seconds() * (tokens - 1))

    def _new_prompts(self, users: int, prompt_rate: float) -> Seconds:
        """The seconds in which a step reads a part of the prompts of new requests, for each answer
        ends and another begins.

        At the slow end answers are as short as usual ones, likely they are at least as long as
        their prompt, and at the fast end no prompt is read.
        """
        of_short_answers = self.step.prompt_tokens / ANSWER_TOKENS
        per_token = Seconds(of_short_answers, min(1.0, of_short_answers), 0.0)
        return per_token * (users / prompt_rate)

    def _further_experts(self, users: int) -> Amount:
        """The factor by which a step takes longer where it reads the experts of all sequences."""
        experts = experts_of_several_texts(self.step, users)
        if not experts.share:
            return Amount.of(1)
        reading_seconds = self._reading_seconds(self._in_place)
        share = experts.share * reading_seconds / self._alone_seconds
        factors = []
        for growth, gathered in zip(
            experts.growth, self._gathered_factor(users), strict=True
        ):
            factors.append(1 + share * (growth - 1) * gathered)
        return Amount(*factors)

    def _serving_seconds(self) -> Seconds:
        """The seconds that a runtime takes for each sequence of a step beside the model; zero
        unless the runtime replays a graph.
        """
        if not self.step.replays:
            return NO_SECONDS
        figures = pace_tables().batch
        architecture = self.step.architecture
        if architecture is None:
            return figures.sequence_seconds
        return figures.sequence_seconds_by_architecture.get(
            architecture.row, figures.sequence_seconds
        )

    def _gathered_factor(self, users: int) -> Amount:
        """The factor by which llama.cpp takes longer to read an expert for a few tokens of several
        sequences than for one token, on GPUs whose memory is fast.
        """
        figures = pace_tables().batch
        gpus = self.layout.gpus
        if self.step.other_program or not gpus:
            return Amount.of(1)
        slowest = min(gpu.peak_bandwidth.likely for _, gpu in gpus)
        if slowest < figures.gathered_from_gb_per_s * units.GB:
            return Amount.of(1)
        # as more tokens share experts, more of them go through kernels for blocks of tokens
        reached = min(1.0, (users - 1) / (figures.gathered_tokens - 1))
        longer = []
        for factor in figures.gathered:
            longer.append(1 + (factor - 1) * reached)
        return Amount(*longer)

    def _sampling_seconds(self) -> Seconds:
        """The seconds in which llama.cpp's server chooses a sequence's next token on the processor,
        among all words of the model.
        """
        architecture = self.step.architecture
        if self.step.other_program or architecture is None:
            return NO_SECONDS
        words = architecture.vocabulary or 0
        return pace_tables().batch.word_seconds * words

    def _batch_factor(self, of_experts: Amount) -> Amount:
        """The factor by which a token takes longer than a token of a prompt, where several are
        computed at once. `of_experts`: that of a mixture on GPUs without a factor of their own.
        """
        factors = pace_tables().token
        if not self.layout.gpus:
            return factors.processor
        if self.alone.crossing_seconds:
            if self.step.has_experts:
                return factors.split_experts
            return factors.processor
        row = self.layout.gpus[0].gpu.row(self.step)
        if self.step.has_experts:
            return row.token_experts or of_experts
        return row.token or factors.gpu
