"""The pace of a model on several machines.

What goes in: a `DividedModel`, and the pace of one machine as if it had memory enough (t1). What
comes out: the `Speed` of all machines together.

- By `layers` a token passes the machines in turn: the sum of each one's share of t1, and a hop
  from each machine to the next.
- By `tensor`: t1 × (s + (1 - s) / n), where s does not shrink, and twice in each layer an exchange
  over the link.

The hops and s stand in the program's file in `specs/runtimes/`, the exchanges in
`specs/common/links.toml`; docs/clusters.md says how well they fit published runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..catalogue.runtime_parts import BY_TENSOR
from ..core.records import Record
from ..core.units import plural
from ..machine.record import Machine
from .cluster_parts import DividedModel
from .pace import Range, Speed
from .pace.ranges import NO_SECONDS, Amount, Seconds
from .pace.text import pace_of_text, with_first_token

# tensors are exchanged twice in each layer, after attention and after the feed-forward (vLLM,
# vllm/model_executor/models: an all-reduce follows each row-parallel product)
_EXCHANGES = 2
# the most machines of which published runs tell both paces
_MEASURED_MACHINES = 4
# and the slowest link: Ethernet of 1 Gb/s
_SLOWEST_MEASURED_GIGABITS = 0.9
# how much slower or faster what no run tells may be (a guess)
_UNTOLD = Amount(1.6, 1.0, 1 / 1.6)
# how fast several machines read a prompt, of one machine's pace: 0.26 to 1.09 times in eight
# published pairs, most near 1
_PROMPT = Range(0.3, 0.9, 1.1)
# enough memory for any model
_ROOMY_BYTES = 2**45


def pace_on_machines(model: DividedModel) -> Speed:
    """The pace of text on all machines of the cluster together; unknown where that of one is."""
    alone = {}
    for machine in model.cluster.kinds:
        speed = _pace_alone(model, machine)
        if speed.decode is None:
            return Speed(how=speed.how)
        alone[machine] = speed
    return _Together(model=model, alone=alone).speed()


def _pace_alone(model: DividedModel, machine: Machine) -> Speed:
    """The pace of one machine, as if it had memory enough for all of the model."""
    if not model.cards_of(machine):
        machine = _roomy(machine)
    return pace_of_text(model.question, model.whole_on(machine), machine)


def _roomy(machine: Machine) -> Machine:
    """The machine with memory for any model."""
    cards = []
    for card in machine.cards:
        cards.append(card.replace(memory_total_bytes=None, memory_free_bytes=None))
    accelerators = None if machine.accelerators is None else tuple(cards)
    return machine.replace(
        memory_total_bytes=_ROOMY_BYTES,
        memory_limit_bytes=_ROOMY_BYTES,
        memory_available_bytes=None,
        accelerators=accelerators,
    )


# what of a pace is looked at: a rate of one machine, or None where the rate is not known
_RateOf = Callable[[Speed], Range | None]


def _decode(speed: Speed) -> Range | None:
    return speed.decode


def _undrafted(speed: Speed) -> Range | None:
    """The rate of one user without the draft; None where there is none."""
    rate = speed.undrafted_tokens_per_second
    return None if rate is None else Range.of(rate)


class _Together(Record):
    """The machines of a cluster, each with its pace alone."""

    model: DividedModel
    alone: Mapping[Machine, Speed]

    @property
    def _main(self) -> Speed:
        return self.alone[self.model.cluster.main]

    @property
    def _is_untold(self) -> bool:
        """Whether no published run is like this: of more machines, of unlike ones, or by radio."""
        model = self.model
        if model.number > _MEASURED_MACHINES or not model.cluster.are_equal:
            return True
        return self._is_slower_than_measured

    @property
    def _is_slower_than_measured(self) -> bool:
        """Whether the link is slower than any cable of a published run."""
        rate = self.model.cluster.link.gigabits_per_second
        return rate < _SLOWEST_MEASURED_GIGABITS

    def speed(self) -> Speed:
        """The pace of all together."""
        main = self._main
        undrafted = self._seconds(_undrafted, 1.0)
        tokens_of_a_step = 1.0
        if main.decode and main.undrafted_tokens_per_second:
            # a draft proposes several tokens, for which the machines exchange once
            gain = main.decode.likely / main.undrafted_tokens_per_second
            tokens_of_a_step = max(1.0, gain)
        seconds = self._seconds(_decode, tokens_of_a_step)
        assert seconds is not None, "the pace is known"
        decode = 1 / seconds
        full = main.full_context_tokens_per_second
        if full is not None and main.decode is not None:
            full *= decode.likely / main.decode.likely
        speed = main.replace(
            decode=decode,
            prompt=self._prompt(),
            how=f"{main.how}; {self._words()}",
            first_token_seconds=None,
            full_context_tokens_per_second=full,
            undrafted_tokens_per_second=undrafted and 1 / undrafted.likely,
            parallel_total=self._total(),
        )
        prompt_tokens = self.model.question.workload.prompt_tokens
        return with_first_token(speed, prompt_tokens) if prompt_tokens else speed

    def _seconds(self, rate_of: _RateOf, tokens_of_a_step: float) -> Seconds | None:
        """The seconds of a token of one user, of so many in each step; None where the rate of a
        machine is not known.
        """
        if self.model.split == BY_TENSOR:
            seconds = self._divided(rate_of)
            between = self._exchanges
        else:
            seconds = self._in_turn(rate_of)
            between = self._hops
        if seconds is None:
            return None
        seconds += between / tokens_of_a_step
        return seconds * _UNTOLD if self._is_untold else seconds

    # -------------------------------------------------------------- by layers

    def _in_turn(self, rate_of: _RateOf) -> Seconds | None:
        """The seconds of the machines one after the other, each by the share of the layers there;
        None where a rate is not known.
        """
        places = self.model.layer_places
        layers = max(1, sum(place.layers for place in places))
        seconds = NO_SECONDS
        for place in places:
            machine = self.model.cluster.machines[place.holder.machine]
            rate = rate_of(self.alone[machine])
            if rate is None:
                return None
            seconds += 1 / rate * (place.layers / layers)
        return seconds

    @property
    def _hops(self) -> Seconds:
        """The time between the machines for one step."""
        hop = Seconds(*self.model.rules.hop_seconds)
        if self._is_slower_than_measured:
            # hops were measured over cables, whose latency they have
            hop += Seconds(*self.model.cluster.link.exchange_seconds)
        return hop * (self.model.number - 1)

    # -------------------------------------------------------------- by tensor

    def _divided(self, rate_of: _RateOf) -> Seconds | None:
        """One machine's seconds, of which the machines divide a part; None where its rate is not
        known.
        """
        rate = rate_of(self._main)
        if rate is None:
            return None
        step = self.model.question.step
        undivided = self.model.rules.undivided_dense
        if step is not None and step.has_experts:
            undivided = self.model.rules.undivided
        shares = []
        for share in undivided:
            shares.append(share + (1 - share) / self.model.number)
        return 1 / rate * Amount(*shares)

    @property
    def _exchanges(self) -> Seconds:
        """The time in which the machines exchange tensors for one step."""
        step = self.model.question.step
        layers = 0 if step is None else step.layers
        exchange = Seconds(*self.model.cluster.link.exchange_seconds)
        if self.model.rules.exchange_grows:
            exchange *= self.model.number - 1
        return exchange * (_EXCHANGES * layers)

    # -------------------------------------------------------------- users and prompts

    def _total(self) -> Range | None:
        """The tokens per second of several users together; None for one user, and where nothing
        tells: of tensors over more than two machines.
        """
        total = self._main.parallel_total
        if self.model.split == BY_TENSOR:
            gain = self.model.rules.users_gain
            if total is None or not gain or self.model.number > 2:
                return None
            least, likely, most = gain
            return total * Range(least, likely, most)
        # a step of all users passes the machines as a token of one does
        users = self._main.each_of
        each = self._in_turn(lambda speed: speed.parallel_total)
        if each is None:
            return None
        step = self._hops + each * users
        if self._is_untold:
            step *= _UNTOLD
        return users / step

    def _prompt(self) -> Range | None:
        """The tokens per second at which a prompt is read; None where that of a machine is not
        known.
        """
        if self.model.split == BY_TENSOR:
            return None if self._main.prompt is None else self._main.prompt * _PROMPT
        seconds = self._in_turn(lambda speed: speed.prompt)
        return None if seconds is None else 1 / seconds * _PROMPT

    def _words(self) -> str:
        """The clause on what the machines take together."""
        number = plural(self.model.number, "machine")
        link = self.model.cluster.link
        if self.model.split == BY_TENSOR:
            words = (
                f"over {number} with a part of every layer each, and"
                f" {1000 * self._exchanges.likely:.2g} ms a step for exchanges over"
                f" {link.title} ({link.transport.upper()})"
            )
        else:
            words = (
                f"over {number} with layers one after the other, and"
                f" {1000 * self._hops.likely:.2g} ms a step from one to the next"
            )
        if self._is_untold:
            words += "; a guess, because no run of such machines is known"
        return words
