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
from math import log2

from ..core.records import Record
from ..core.units import plural
from ..machine.record import Machine
from .cluster_parts import DividedModel, LayerPlace
from .pace import Range, Speed
from .pace.ranges import NO_SECONDS, Amount, Seconds
from .pace.text import pace_of_text, with_first_token
from .record import Question

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

# a rate of one machine; None where the rate is not known
_RateOf = Callable[[Speed], Range | None]


def pace_on_machines(model: DividedModel) -> Speed:
    """The pace of text on all machines of the cluster together; unknown where that of one is."""
    alone = {}
    for machine in model.cluster.kinds:
        speed = _pace_alone(model, machine)
        if speed.decode is None:
            return Speed(how=speed.how)
        alone[machine] = speed
    if model.is_by_tensor:
        return _PaceByTensor(model=model, alone=alone).speed()
    in_ram = None
    # the RAM has the first layers, which come last
    if model.layer_places[-1].holder.is_ram:
        in_ram = _pace_in_ram(model)
        if in_ram.decode is None:
            return Speed(how=in_ram.how)
    return _PaceByLayers(model=model, alone=alone, in_ram=in_ram).speed()


def _pace_alone(model: DividedModel, machine: Machine) -> Speed:
    """The pace of the devices of one machine, as if they had memory enough for all of the model."""
    if not model.cards_of(machine):
        machine = _roomy(machine)
    question = _with_gpu_layers(model.question, None)
    return pace_of_text(question, model.whole_on(machine), machine)


def _pace_in_ram(model: DividedModel) -> Speed:
    """The pace of the main machine's processor, as if its RAM had room for all of the model."""
    question = _with_gpu_layers(model.question, "0")
    return pace_of_text(question, model.needs, _roomy(model.cluster.main))


def _with_gpu_layers(question: Question, stated: str | None) -> Question:
    """The question with so many layers on GPUs; None for as many as there are. Each machine is
    asked about one place alone, so that what an option says of all places must not count.
    """
    case = question.case
    if case is None or "gpu_layers" not in case.settings:
        return question
    settings = dict(case.settings)
    del settings["gpu_layers"]
    if stated is not None:
        settings["gpu_layers"] = stated
    return question.replace(case=case.replace(settings=settings))


def _roomy(machine: Machine) -> Machine:
    """The machine with memory for any model."""
    cards = []
    for card in machine.cards:
        cards.append(card.replace(memory_total_bytes=None, memory_free_bytes=None))
    return machine.replace(
        memory_total_bytes=_ROOMY_BYTES,
        memory_limit_bytes=_ROOMY_BYTES,
        memory_available_bytes=None,
        accelerators=None if machine.accelerators is None else tuple(cards),
    )


def _decode(speed: Speed) -> Range | None:
    return speed.decode


def _undrafted(speed: Speed) -> Range | None:
    """The rate of one user without the draft; None where there is none."""
    rate = speed.undrafted_tokens_per_second
    return None if rate is None else Range.of(rate)


class _PaceOfSplit(Record):
    """The pace of a model in one way to divide it, from that of each machine alone."""

    model: DividedModel
    alone: Mapping[Machine, Speed]

    # -------------------------------------------------------------- what each way says

    def computing(self, rate_of: _RateOf) -> Seconds | None:
        """The seconds in which the machines compute a token; None where the rate of one is not
        known.
        """
        raise NotImplementedError

    def between(self) -> Seconds:
        """The time that the link takes for one step."""
        raise NotImplementedError

    def total(self) -> Range | None:
        """The tokens per second of several users together; None for one user, and where nothing
        tells.
        """
        raise NotImplementedError

    def prompt(self) -> Range | None:
        """The tokens per second at which the machines together read a prompt, if they lose nothing;
        None where that of a machine is not known.
        """
        raise NotImplementedError

    def words(self) -> str:
        """The clause on what the machines take together."""
        raise NotImplementedError

    # -------------------------------------------------------------- the pace

    @property
    def main(self) -> Speed:
        return self.alone[self.model.cluster.main]

    @property
    def is_slower_than_measured(self) -> bool:
        """Whether the link is slower than any cable of a published run."""
        rate = self.model.cluster.link.gigabits_per_second
        return rate < _SLOWEST_MEASURED_GIGABITS

    @property
    def is_untold(self) -> bool:
        """Whether no published run is like this: of more machines, of unlike ones, or by radio."""
        model = self.model
        if model.number > _MEASURED_MACHINES or not model.cluster.are_equal:
            return True
        return self.is_slower_than_measured

    def widened(self, seconds: Seconds) -> Seconds:
        """The seconds, in a wider range where no published run is like this."""
        return seconds * _UNTOLD if self.is_untold else seconds

    def speed(self) -> Speed:
        """The pace of all together."""
        main = self.main
        undrafted = self._seconds(_undrafted)
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
        how = f"{main.how}; {self.words()}"
        if self.is_untold:
            how += "; a guess, because no run of such machines is known"
        prompt = self.prompt()
        speed = main.replace(
            decode=decode,
            prompt=None if prompt is None else prompt * _PROMPT,
            how=how,
            first_token_seconds=None,
            full_context_tokens_per_second=full,
            undrafted_tokens_per_second=undrafted and 1 / undrafted.likely,
            parallel_total=self.total(),
        )
        prompt_tokens = self.model.question.workload.prompt_tokens
        return with_first_token(speed, prompt_tokens) if prompt_tokens else speed

    def _seconds(
        self, rate_of: _RateOf, tokens_of_a_step: float = 1.0
    ) -> Seconds | None:
        """The seconds of a token of one user, of so many in each step; None where the rate of a
        machine is not known.
        """
        seconds = self.computing(rate_of)
        if seconds is None:
            return None
        return self.widened(seconds + self.between() / tokens_of_a_step)


class _PaceByLayers(_PaceOfSplit):
    """Machines that compute one after the other, each the layers that it has.

    `in_ram`: the pace of the main machine's processor; None where it computes no layers.
    """

    in_ram: Speed | None

    def computing(self, rate_of: _RateOf) -> Seconds | None:
        places = self.model.layer_places
        layers = max(1, sum(place.layers for place in places))
        seconds = NO_SECONDS
        for place in places:
            rate = rate_of(self._alone_at(place))
            if rate is None:
                return None
            seconds += 1 / rate * (place.layers / layers)
        return seconds

    def _alone_at(self, place: LayerPlace) -> Speed:
        """The pace of the place, if it had all layers."""
        if self.in_ram is not None and place.holder.is_ram:
            return self.in_ram
        machine = self.model.cluster.machines[place.holder.machine]
        return self.alone[machine]

    def between(self) -> Seconds:
        hop = Seconds(*self.model.rules.hop_seconds)
        if self.is_slower_than_measured:
            # hops were measured over cables, whose latency they have
            hop += Seconds(*self.model.cluster.link.exchange_seconds)
        return hop * (self.model.number - 1)

    def total(self) -> Range | None:
        # a step of all users passes the machines as a token of one does
        each = self.computing(lambda speed: speed.parallel_total)
        if each is None:
            return None
        users = self.main.each_of
        return users / self.widened(self.between() + each * users)

    def prompt(self) -> Range | None:
        seconds = self.computing(lambda speed: speed.prompt)
        return None if seconds is None else 1 / seconds

    def words(self) -> str:
        milliseconds = 1000 * self.between().likely
        return (
            f"over {plural(self.model.number, 'machine')} with layers one after the other,"
            f" and {milliseconds:.2g} ms a step from one to the next"
        )


class _PaceByTensor(_PaceOfSplit):
    """Equal machines that compute a part of every layer each."""

    def computing(self, rate_of: _RateOf) -> Seconds | None:
        rate = rate_of(self.main)
        if rate is None:
            return None
        step = self.model.question.step
        undivided = self.model.rules.undivided_dense
        if step is not None and step.has_experts:
            undivided = self.model.rules.undivided
        shares = [share + (1 - share) / self.model.number for share in undivided]
        return 1 / rate * Amount(*shares)

    def between(self) -> Seconds:
        step = self.model.question.step
        layers = 0 if step is None else step.layers
        exchange = Seconds(*self.model.cluster.link.exchange_seconds)
        if self.model.rules.exchange_grows:
            exchange *= self.model.number - 1
        return exchange * (_EXCHANGES * layers)

    def total(self) -> Range | None:
        total = self.main.parallel_total
        gain = self.model.rules.users_gain
        if total is None or not gain:
            return None
        # the gain was measured on two machines: that each doubling gives as much again is a guess
        doublings = log2(self.model.number)
        least, likely, most = gain
        return total * Range(least**doublings, likely**doublings, most**doublings)

    def prompt(self) -> Range | None:
        return self.main.prompt

    def words(self) -> str:
        link = self.model.cluster.link
        milliseconds = 1000 * self.between().likely
        return (
            f"over {plural(self.model.number, 'machine')} with a part of every layer each,"
            f" and {milliseconds:.2g} ms a step for exchanges over"
            f" {link.title} ({link.transport.upper()})"
        )
