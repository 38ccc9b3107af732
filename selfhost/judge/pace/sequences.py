"""The pace of several sequences at once, and of one for which a draft proposes tokens.

Both compute several tokens in a step. The weights are read once for all tokens, but in a
mixture-of-experts model each token chooses its own experts (`experts`).
"""

from __future__ import annotations

from functools import cached_property

from ...core import units
from ...core.records import Record
from ...needs.case import DRAFTED_TOKENS, Companions
from . import Speed, Step
from .decoding import likely_seconds, prompt_rate
from .experts import read_experts
from .layout import LaidOut
from .ranges import NO_SECONDS, Amount, Range, Seconds
from .tables import pace_tables


class _Gain(Record):
    """The factor by which a draft speeds decoding up, and the source of that factor."""

    times: Range
    source: str


class Sequence(Record):
    """One sequence in the model's layout. `single` is the sequence's tokens per second alone,
    without a draft.
    """

    step: Step
    layout: LaidOut
    single: Range

    @cached_property
    def _empty(self) -> Step:
        """The step with nothing in the context."""
        return self.step.replace(prompt_tokens=0, depth_tokens=0)

    def _reading_seconds(self, layout: LaidOut) -> float:
        """The seconds of a step in which it reads its weights, and neither launches nor computes.

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

    def with_draft(
        self,
        pace: Speed,
        companions: Companions,
        users: int,
    ) -> Speed:
        """The pace where a draft proposes tokens."""
        gain = self._gain_of_draft(companions)
        times = gain.times
        decode = self.single * times
        how = (
            f"{pace.how}; with a draft {times.low:.2g} to {times.high:.2g} times as fast"
            f" ({gain.source}): code gains more, free text less"
        )
        total = None
        if users > 1:
            total = self._drafted_total(pace, decode, users)
            how += f"; the total of {users:,} sequences at once with a draft is "
            if total is None:
                how += "not known"
            else:
                how += "a guess: a step verifies the tokens proposed for each"
        full_context = pace.full_context_tokens_per_second
        if full_context is not None:
            full_context *= times.likely
        return pace.replace(
            decode=decode,
            how=how,
            full_context_tokens_per_second=full_context,
            undrafted_tokens_per_second=self.single.likely,
            parallel_total=total,
        )

    def _drafted_total(self, pace: Speed, decode: Range, users: int) -> Range | None:
        """The rate of `users` sequences together, of which one has the pace `decode` with a draft;
        None where the speed of reading prompts is not known.

        A step computes the proposed tokens of a sequence as one token of each of so many sequences,
        so the draft gains less, the more of them there are. In llama.cpp sequences disturbed each
        other's proposals until August 2026 (unslothai/unsloth#8172), and two to four of them were
        together as slow as one alone without a draft.
        """
        verified = DRAFTED_TOKENS + 1
        one = self.with_total(pace, verified).parallel_total
        all_of_them = self.with_total(pace, users * verified).parallel_total
        if one is None or all_of_them is None:
            return None
        ends = zip(decode, one, all_of_them, strict=True)
        rates = [rate * several / alone for rate, alone, several in ends]
        likely = rates[1]
        low = max(decode.low, rates[0]) if self.step.other_program else self.single.low
        low = min(likely, low)
        return Range(low, likely, max(likely, rates[2]))

    def _gain_of_draft(self, companions: Companions) -> _Gain:
        """The gain of a draft: of the model's own prediction block, or of another model, that
        proposes tokens.
        """
        figures = pace_tables().draft
        gain = _Gain(times=figures.draft_model, source="a guess around published runs")
        if companions.draft is None:
            gain = _Gain(times=figures.own_block, source="43 published runs on GPUs")
        if not self.step.has_experts:
            return gain
        times = gain.times / self._verifying()
        source = f"{gain.source}, less the experts that each proposed token reads"
        return _Gain(times=times, source=source)

    def _verifying(self) -> Amount:
        """The factor by which a step that verifies all proposed tokens and one more takes longer
        than one token of a mixture.

        Each of these tokens chooses its own experts, whose weights are read too.
        """
        experts = read_experts(self.step, DRAFTED_TOKENS + 1)
        taken = 1 / self.single
        reading = self._reading_seconds(self.layout) / taken.likely
        share = experts.share * min(1.0, reading)
        longer = []
        for growth in experts.growth:
            further = share * (growth - 1)
            longer.append(1 + further)
        return Amount(*longer)

    # -------------------------------------------------------------- several at once

    def with_total(self, pace: Speed, users: int) -> Speed:
        """The pace, with the rate of `users` sequences together.

        A step takes the time of one sequence. Each further sequence adds its own computing, context
        and serving, and the experts that more tokens read.
        """
        # a few tokens at once are no prompt: weights in RAM stay there and do not cross to the GPU
        in_place = self.layout.replace(tokens_per_crossing=0)
        prompt = prompt_rate(self._empty, in_place)
        if prompt is None:
            how = (
                f"{pace.how}; the total of {users:,} sequences at once is not known, because its"
                " speed of reading prompts is not known"
            )
            return pace.replace(how=how)
        computing = 1 / prompt * self._batch_factor(pace)
        single = 1 / self.single
        context_seconds = single.likely - likely_seconds(self._empty, in_place)
        next_one = (
            computing + self._serving_seconds() + Seconds.of(max(0.0, context_seconds))
        )
        experts = read_experts(self.step, users)
        reading_experts = 0.0
        if experts.share:
            reading_experts = experts.share * self._reading_seconds(in_place)
        gathered = self._gathered_factor(users)
        sampled = self._sampling_seconds()
        # a further sequence costs at most a step of its own, since sequences can be decoded one
        # after the other
        most_of_next = single.likely - reading_experts
        rates = []
        ends = zip(next_one, experts.growth, gathered, sampled, strict=True)
        for next_seconds, growth, longer, sampling in ends:
            another = max(0.0, min(next_seconds, most_of_next))
            taken = single.likely + (users - 1) * another
            taken += reading_experts * (growth - 1) * longer
            taken = min(taken, users * single.likely)
            taken += (users - 1) * sampling
            rates.append(users / taken)
        how = (
            f"{pace.how}; of {users:,} sequences at once an estimate: the weights are read once,"
            " and each sequence is computed, reads its context and is served"
        )
        if max(sampled):
            how += "; its next token is chosen on the processor"
        total = _with_ends_of_one(Range(*rates), self.single)
        return pace.replace(parallel_total=total, how=how)

    def _serving_seconds(self) -> Seconds:
        """The seconds that a runtime takes for each sequence of a step beside the model; zero
        unless the runtime replays a graph.
        """
        if self.step.replays:
            return pace_tables().batch.sequence_seconds
        return NO_SECONDS

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

    def _batch_factor(self, pace: Speed) -> Amount:
        """The factor by which a token takes longer than a token of a prompt, where several are
        computed at once.
        """
        factors = pace_tables().token
        step = self.step
        if pace.crossing_seconds or not self.layout.uses_gpu:
            return factors.processor
        if step.has_experts:
            return factors.graph_experts if step.replays else factors.gpu_experts
        # dense models are as slow as in llama.cpp on chips that share the RAM, in every program
        if step.replays and self.layout.offloaded:
            return factors.graph
        return factors.gpu


def _with_ends_of_one(rates: Range, single: Range) -> Range:
    """The total of the sequences, with ends as far apart as those of the rates and those of one
    sequence together. No total is below the pace of one sequence.
    """
    likely = rates.likely
    total = Range(min(rates.low, likely), likely, max(rates.high, likely))
    ends = total * single.around()
    low = max(single.low, ends.low)
    return Range(min(likely, low), likely, ends.high)
