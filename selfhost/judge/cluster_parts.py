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
from ..needs.records import PROGRAMS, Needs, Split, Term
from ..needs.servers import in_equal_parts
from .checks.space import available_ram
from .devices import Place, lent_to_gpu, places, usable_cards
from .equal_parts import in_most_parts
from .record import Question
from .sharing import (
    counted_on_card,
    layers_in_proportion,
    part_of_layers,
    stated_proportions,
    whole_on_one,
)


class Holder(Record):
    """A place that may hold layers: a device, or a machine whose devices divide each layer.

    - `machine`: the number of its machine. `whole`: the needs, if it held all layers.
    - `room_bytes`: the free bytes, by which layers are divided where the program does so.
    - `is_ram`: it is the RAM of the main machine, whose processor computes the layers that an
      option leaves to it.
    """

    machine: int
    whole: Needs
    room_bytes: int = 0
    is_ram: bool = False


class LayerPlace(Record):
    """The layers of one holder: `layers` of them, the last before `stop`."""

    holder: Holder
    layers: int
    stop: int


class DividedModel(Record):
    """A model in a way to divide it over the machines of a cluster.

    `split` is a key of the program's `[clusters.split]`; "" where the program divides no model. All
    but the number of machines is asked only of a way that the program has, and of known needs.
    """

    question: Question
    cluster: Cluster
    split: str

    @property
    def program(self) -> RuntimeSpec:
        """The program that divides the model."""
        program = self.question.runtime
        assert program is not None, "a way has a program"
        return program

    @property
    def rules(self) -> ClusterSplit:
        """The rules by which the program divides the model."""
        return self.program.clusters.splits[self.split]

    @property
    def is_by_tensor(self) -> bool:
        """Whether each machine has a part of every layer."""
        return self.split == BY_TENSOR

    @property
    def needs(self) -> Needs:
        """The needs of the model on one machine, all in RAM."""
        needs = self.question.needs
        assert needs is not None, "the needs are counted"
        return needs

    @property
    def layers(self) -> int:
        """The number of the model's layers; 1 where it is not known."""
        return self.question.layers or 1

    @property
    def number(self) -> int:
        """The number of machines."""
        return len(self.cluster.machines)

    @cached_property
    def needs_by_machine(self) -> Sequence[Needs]:
        """The needs of each machine."""
        if self.needs.memory is None:
            return [self.needs] * self.number
        if self.is_by_tensor:
            return [self._part_of_tensors()] * self.number
        return [self._part_of_layers(number) for number in range(self.number)]

    def layers_on(self, number: int) -> int | None:
        """The number of layers on a machine; None where it has a part of each, and where the needs
        are not known.
        """
        if self.needs.memory is None or self.is_by_tensor:
            return None
        return sum(place.layers for place in self._places_on(number))

    # -------------------------------------------------------------- one machine

    def cards_of(self, machine: Machine) -> list[Place]:
        """The accelerators with memory of their own on which the program computes."""
        cards = usable_cards(self.question, machine)
        return [place for place in places(cards) if place.known_bytes]

    def whole_on(self, machine: Machine) -> Needs:
        """The needs if the machine held all of the model, on the devices that the program takes."""
        cards = self.cards_of(machine)
        if not cards:
            return self.needs
        if self.program.account.divides_layers:
            return in_most_parts(self.needs, machine, self.question) or self.needs
        on_card = counted_on_card(self.question, self.needs, machine)
        return whole_on_one(on_card, cards[0].where)

    # -------------------------------------------------------------- by tensor

    def _part_of_tensors(self) -> Needs:
        """The part of every layer that each of the equal machines holds."""
        machine = self.cluster.main
        if not self.program.account.divides_layers:
            model = self.question.spec.architecture
            terms = in_equal_parts(self.needs.terms, model, self.number)
            return self.needs.replace(terms=terms)
        counted = counted_on_card(self.question, self.needs, machine, self.number)
        cards = self.cards_of(machine)
        if cards:
            return whole_on_one(counted, cards[0].where)
        in_ram = []
        for term in counted.terms:
            is_program = term.name in PROGRAMS
            if is_program and term.split is Split.HOST:
                # in a RAM that a GPU shares, the process of the GPU is the only one
                continue
            in_ram.append(term.replace(where="host"))
        return counted.replace(placement="host", terms=tuple(in_ram))

    # -------------------------------------------------------------- by layers

    @cached_property
    def layer_places(self) -> Sequence[LayerPlace]:
        """The layers of each holder, the last layers first, unlike `_layers_by_holder`."""
        places = []
        stop = self.layers
        for holder, count in reversed(self._layers_by_holder()):
            layers = min(count, stop)
            places.append(LayerPlace(holder=holder, layers=layers, stop=stop))
            stop -= layers
        return places

    def _layers_by_holder(self) -> list[tuple[Holder, int]]:
        """Each holder with its number of layers, the holder of the first layers first."""
        holders = list(self._holders())
        if self.rules.by_room:
            return self._in_proportion(holders)
        counts = layers_in_proportion([1] * len(holders), self.layers)
        if not self.rules.main_first:
            holders.reverse()
            counts.reverse()
        return list(zip(holders, counts, strict=True))

    def _in_proportion(self, holders: list[Holder]) -> list[tuple[Holder, int]]:
        """The holders in the order of llama.cpp, those of the main machine last, with layers in the
        stated proportions, else by room. What an option leaves off all devices lies in RAM.
        """
        holders.sort(key=lambda holder: holder.machine == 0)
        rooms = stated_proportions(self.question, len(holders))
        if rooms is None:
            rooms = [holder.room_bytes for holder in holders]
        # the output matrix, which the main machine has, counts as a layer
        numbered = self.layers + 1
        stated = self.question.settings.get("gpu_layers")
        if stated is not None:
            numbered = min(numbered, int(stated))
        counts = layers_in_proportion(rooms, numbered)
        counts[-1] = max(0, counts[-1] - 1)
        divided = list(zip(holders, counts, strict=True))
        in_ram = self.layers - sum(counts)
        if in_ram > 0:
            ram = Holder(machine=0, whole=self.needs, is_ram=True)
            divided.insert(0, (ram, in_ram))
        return divided

    def _holders(self) -> Iterator[Holder]:
        """Yield the places that may hold layers, those of the main machine first."""
        for number, machine in enumerate(self.cluster.machines):
            cards = self.cards_of(machine)
            if cards and not self.program.account.divides_layers:
                on_card = counted_on_card(self.question, self.needs, machine)
                for place in cards:
                    yield Holder(
                        machine=number,
                        whole=whole_on_one(on_card, place.where),
                        room_bytes=place.known_bytes,
                    )
                continue
            card_bytes = sum(place.known_bytes for place in cards)
            yield Holder(
                machine=number,
                whole=self.whole_on(machine),
                room_bytes=card_bytes or self._ram_bytes(machine),
            )

    def _ram_bytes(self, machine: Machine) -> int:
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
        placement = on_machine[0].holder.whole.placement
        if on_machine[-1].holder.is_ram and self.cards_of(self.cluster.main):
            # the RAM has the first layers, and a GPU the last
            placement = "split"
        terms: list[Term] = []
        for place in on_machine:
            terms += self._terms_at(place, is_first=place is on_machine[0])
        return self.needs.replace(
            placement=placement,
            terms=tuple(terms),
            evictable_bytes=0,
        )

    def _terms_at(self, place: LayerPlace, *, is_first: bool) -> Iterator[Term]:
        """Yield the terms of one place. `is_first`: no other place of its machine comes before."""
        for term in place.holder.whole.terms:
            if term.split is Split.LAYERS:
                yield from self._part_of_term(term, place)
            elif _is_held(term, place, is_first=is_first):
                yield term

    def _part_of_term(self, term: Term, place: LayerPlace) -> Iterator[Term]:
        """Yield the place's part of a term that is divided by layers, where it has any. The output
        matrix goes with the last layers.
        """
        output_bytes = 0
        if place is self.layer_places[0]:
            output_bytes = term.output_bytes
        if place.layers or output_bytes:
            layers = range(place.stop - place.layers, place.stop)
            yield part_of_layers(term, layers, self.layers, output_bytes)


def _is_held(term: Term, place: LayerPlace, *, is_first: bool) -> bool:
    """Whether the place holds a term that is not divided by layers. A term that a machine has once
    lies on the machine's first place: the program on every machine, other terms on the main one.
    """
    if term.split is Split.EACH:
        return True
    if not is_first:
        return False
    return place.holder.machine == 0 or term.name in PROGRAMS
