"""The division of a model over several machines: what lies on each.

What goes in: a question, asked for the main machine, a `Cluster`, and the way to divide the model
(`[clusters]` of the program's file in `specs/runtimes/`). What comes out: the needs of each machine
by itself. Memory of several machines is never added up.

By `layers`, each machine has whole layers, their cache, and a compute buffer of its own. By
`tensor`, each machine has a part of every layer; what a program keeps whole on each GPU of one
machine is whole on each machine too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import BY_TENSOR, ClusterSplit
from ..core.records import Record
from ..machine.clusters import Cluster
from ..machine.record import Machine
from ..needs import needs_on
from ..needs.records import PROGRAMS, Device, Needs, Split, Term
from ..needs.servers import in_equal_parts
from .checks.space import available_ram
from .devices import Place, gpu_maker, lent_to_gpu, places, usable_cards
from .equal_parts import in_most_parts
from .record import Question
from .sharing import DivisibleModel, LayerShare, layers_in_proportion, whole_on_one


class _Holder(Record):
    """A place that may hold layers: a device, or a machine whose devices divide each layer.

    - `machine`: the number of its machine. `whole`: the needs, if it held all layers.
    - `room_bytes`: the free bytes, by which layers are divided where the program does so.
    """

    machine: int
    whole: Needs
    room_bytes: int


class LayerPlace(Record):
    """The layers of one holder: `layers` of them, the last before `stop`."""

    holder: _Holder
    layers: int
    stop: int


class DividedModel(Record):
    """A model with known needs, in one way to divide it over the machines of a cluster."""

    question: Question
    cluster: Cluster
    split: str
    rules: ClusterSplit

    @property
    def program(self) -> RuntimeSpec:
        """The program that divides the model."""
        assert self.question.runtime is not None, "a way has a program"
        return self.question.runtime

    @property
    def number(self) -> int:
        """The number of machines."""
        return len(self.cluster.machines)

    @property
    def needs(self) -> Needs:
        """The needs of the model on one machine, all in RAM."""
        assert self.question.needs is not None, "the needs are counted"
        return self.question.needs

    @cached_property
    def parts(self) -> Sequence[Needs]:
        """The needs of each machine."""
        if self.needs.memory is None:
            return [self.needs] * self.number
        if self.split == BY_TENSOR:
            return [self._part_of_tensors()] * self.number
        return [self._part_of_layers(number) for number in range(self.number)]

    def layers_on(self, number: int) -> int | None:
        """The number of layers on a machine; None where it has a part of each, and where the needs
        are not known.
        """
        if self.needs.memory is None or self.split == BY_TENSOR:
            return None
        return sum(place.layers for place in self._places_on(number))

    def cards_of(self, machine: Machine) -> list[Place]:
        """The accelerators with memory of their own on which the program computes."""
        question = self.question
        cards = usable_cards(
            machine, question.runtime, question.workload, question.most_cards
        )
        return [place for place in places(cards) if place.known_bytes]

    def whole_on(self, machine: Machine) -> Needs:
        """The needs if the machine held all of the model, on the devices that the program takes."""
        cards = self.cards_of(machine)
        if not cards:
            return in_ram(self.needs)
        if self.program.account.divides_layers:
            return in_most_parts(self.needs, machine, self.question) or self.needs
        return whole_on_one(self._counted_on_card(machine), cards[0].where)

    def _counted_on_card(self, machine: Machine, devices: int = 1) -> Needs:
        device = Device(devices=devices, maker=gpu_maker(machine, self.program))
        return needs_on(self.needs, self.question.case, device)

    # -------------------------------------------------------------- by tensor

    def _part_of_tensors(self) -> Needs:
        """The part of every layer that each of the equal machines holds."""
        machine = self.cluster.main
        if self.program.account.divides_layers:
            counted = self._counted_on_card(machine, self.number)
        else:
            model = self.question.spec.architecture
            terms = in_equal_parts(self.needs.terms, model, self.number)
            counted = self.needs.replace(terms=terms)
        cards = self.cards_of(machine)
        return whole_on_one(counted, cards[0].where) if cards else in_ram(counted)

    # -------------------------------------------------------------- by layers

    @property
    def _layers(self) -> int:
        """The number of the model's layers."""
        model = self.question.spec.architecture
        return 1 if model is None else model.layers

    @cached_property
    def layer_places(self) -> Sequence[LayerPlace]:
        """The layers of each holder, the last layers first."""
        places = []
        stop = self._layers
        for holder, count in self._last_layers_first():
            layers = min(count, stop)
            places.append(LayerPlace(holder=holder, layers=layers, stop=stop))
            stop -= layers
        return places

    def _last_layers_first(self) -> Iterator[tuple[_Holder, int]]:
        """Yield the holders, those of the last layers first, each with its number of layers."""
        holders = self._holders()
        if not self.rules.by_room:
            counts = layers_in_proportion([1] * len(holders), self._layers)
            in_order = list(zip(holders, counts, strict=True))
            yield from reversed(in_order) if self.rules.main_first else in_order
            return
        first_layers_first = holders[::-1]
        rooms = [holder.room_bytes for holder in first_layers_first]
        # llama.cpp counts the output matrix, which the main machine has, as a layer
        counts = layers_in_proportion(rooms, self._layers + 1)
        counts[-1] = max(0, counts[-1] - 1)
        yield from reversed(list(zip(first_layers_first, counts, strict=True)))

    def _holders(self) -> list[_Holder]:
        """The places that may hold layers, those of the main machine first."""
        holders = []
        for number, machine in enumerate(self.cluster.machines):
            for whole, room_bytes in self._rooms_of(machine):
                holder = _Holder(machine=number, whole=whole, room_bytes=room_bytes)
                holders.append(holder)
        return holders

    def _rooms_of(self, machine: Machine) -> Iterator[tuple[Needs, int]]:
        """Yield the needs of all layers in each place of a machine, and the free bytes there."""
        cards = self.cards_of(machine)
        if cards and not self.program.account.divides_layers:
            on_card = self._counted_on_card(machine)
            for place in cards:
                yield whole_on_one(on_card, place.where), place.known_bytes
            return
        room_bytes = sum(place.known_bytes for place in cards)
        yield self.whole_on(machine), room_bytes or self._shared_room_bytes(machine)

    def _shared_room_bytes(self, machine: Machine) -> int:
        """The bytes that a machine without cards of its own gives a model."""
        lent = lent_to_gpu(machine)
        if lent is not None:
            return lent.least_bytes
        return available_ram(machine, self.question.workload).ceiling_bytes or 1

    def _places_on(self, number: int) -> list[LayerPlace]:
        return [place for place in self.layer_places if place.holder.machine == number]

    def _part_of_layers(self, number: int) -> Needs:
        """The needs of a machine that has whole layers."""
        on_machine = self._places_on(number)
        terms: list[Term] = []
        for place in on_machine:
            terms += self._terms_of(place, is_first=place is on_machine[0])
        return self.needs.replace(
            placement=on_machine[-1].holder.whole.placement,
            terms=tuple(terms),
            evictable_bytes=0,
        )

    def _terms_of(self, place: LayerPlace, *, is_first: bool) -> Iterator[Term]:
        """Yield the terms of one place: its share of what is divided by layers, and what each place
        holds, the first place of each machine (the program itself), or the first of the main
        machine alone. The output matrix goes with the last layers.
        """
        whole = place.holder.whole
        model = DivisibleModel(
            ram_needs=whole, card_needs=whole, layers=max(1, self._layers)
        )
        has_output = place is self.layer_places[0]
        for term in whole.terms:
            if term.split is Split.LAYERS:
                output_bytes = term.output_bytes if has_output else 0
                if place.layers or output_bytes:
                    share = LayerShare(where=term.where, layers=place.layers)
                    yield model.part_of(term, share, place.stop, output_bytes)
                continue
            is_held = term.split is Split.EACH
            if is_first:
                is_held |= term.name in PROGRAMS or place.holder.machine == 0
            if is_held:
                yield term


def in_ram(needs: Needs) -> Needs:
    """The needs with all terms in RAM. The process that a program has beside its devices is left
    out, as it is where one such machine is judged.
    """
    programs = [term.split for term in needs.terms if term.name in PROGRAMS]
    has_device = any(split is not Split.HOST for split in programs)
    terms = []
    for term in needs.terms:
        is_beside = term.name in PROGRAMS and term.split is Split.HOST
        if not (has_device and is_beside):
            terms.append(term.replace(where="host"))
    return needs.replace(placement="host", terms=tuple(terms))
