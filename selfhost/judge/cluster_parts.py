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


class Holder(Record):
    """A place that may hold layers: a device, or a machine whose devices divide each layer.

    - `machine`: the number of its machine. `whole`: the needs, if it held all layers.
    - `room_bytes`: the free bytes, by which layers are divided where the program does so.
    """

    machine: int
    whole: Needs
    room_bytes: int


class LayerPlace(Record):
    """The layers of one holder: `layers` of them, the last before `stop`."""

    holder: Holder
    layers: int
    stop: int


class DividedModel(Record):
    """A model with known needs, in one way to divide it over the machines of a cluster.

    - `needs`: those of the model on one machine, all in RAM. `layers`: the number of its layers.
    - `program`: the program that divides the model, by its `rules` for the `split`.
    """

    question: Question
    cluster: Cluster
    split: str
    program: RuntimeSpec
    rules: ClusterSplit
    needs: Needs
    layers: int

    @classmethod
    def of(cls, question: Question, cluster: Cluster, split: str) -> DividedModel:
        """The model of the question, in a way that its program has."""
        program = question.runtime
        architecture = question.spec.architecture
        assert program is not None, "a way has a program"
        assert question.needs is not None, "the needs are counted"
        return cls(
            question=question,
            cluster=cluster,
            split=split,
            program=program,
            rules=program.clusters.splits[split],
            needs=question.needs,
            layers=1 if architecture is None else architecture.layers,
        )

    @property
    def number(self) -> int:
        """The number of machines."""
        return len(self.cluster.machines)

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
        workload = self.question.workload
        cards = usable_cards(machine, self.program, workload, self.question.most_cards)
        return [place for place in places(cards) if place.known_bytes]

    def whole_on(self, machine: Machine) -> Needs:
        """The needs if the machine held all of the model, on the devices that the program takes."""
        cards = self.cards_of(machine)
        if not cards:
            return self.needs
        if self.program.account.divides_layers:
            return in_most_parts(self.needs, machine, self.question) or self.needs
        return whole_on_one(self._counted_on_card(machine), cards[0].where)

    def _counted_on_card(self, machine: Machine, devices: int = 1) -> Needs:
        """The needs on one of so many cards of the machine, before one is chosen."""
        device = Device(devices=devices, maker=gpu_maker(machine, self.program))
        return needs_on(self.needs, self.question.case, device)

    # -------------------------------------------------------------- by tensor

    def _part_of_tensors(self) -> Needs:
        """The part of every layer that each of the equal machines holds."""
        machine = self.cluster.main
        if not self.program.account.divides_layers:
            model = self.question.spec.architecture
            terms = in_equal_parts(self.needs.terms, model, self.number)
            return self.needs.replace(terms=terms)
        counted = self._counted_on_card(machine, self.number)
        cards = self.cards_of(machine)
        if cards:
            return whole_on_one(counted, cards[0].where)
        in_ram = []
        for term in counted.terms:
            # in a RAM that a GPU shares, the process of the GPU is the only one
            if term.name not in PROGRAMS or term.split is not Split.HOST:
                in_ram.append(term.replace(where="host"))
        return counted.replace(placement="host", terms=tuple(in_ram))

    # -------------------------------------------------------------- by layers

    @cached_property
    def layer_places(self) -> Sequence[LayerPlace]:
        """The layers of each holder, the last layers first."""
        places = []
        stop = self.layers
        for holder, count in reversed(self._first_layers_first()):
            layers = min(count, stop)
            places.append(LayerPlace(holder=holder, layers=layers, stop=stop))
            stop -= layers
        return places

    def _first_layers_first(self) -> list[tuple[Holder, int]]:
        """The holders, those of the first layers first, each with its number of layers."""
        holders = list(self._holders())
        if self.rules.by_room:
            # the output matrix, which the main machine has, counts as a layer (llama.cpp)
            holders.reverse()
            rooms = [holder.room_bytes for holder in holders]
            counts = layers_in_proportion(rooms, self.layers + 1)
            counts[-1] = max(0, counts[-1] - 1)
            return list(zip(holders, counts, strict=True))
        counts = layers_in_proportion([1] * len(holders), self.layers)
        in_order = list(zip(holders, counts, strict=True))
        return in_order if self.rules.main_first else in_order[::-1]

    def _holders(self) -> Iterator[Holder]:
        """Yield the places that may hold layers, those of the main machine first."""
        for number, machine in enumerate(self.cluster.machines):
            cards = self.cards_of(machine)
            room_bytes = sum(place.known_bytes for place in cards)
            if not cards or self.program.account.divides_layers:
                yield Holder(
                    machine=number,
                    whole=self.whole_on(machine),
                    room_bytes=room_bytes or self._shared_room_bytes(machine),
                )
                continue
            on_card = self._counted_on_card(machine)
            for place in cards:
                yield Holder(
                    machine=number,
                    whole=whole_on_one(on_card, place.where),
                    room_bytes=place.known_bytes,
                )

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
        model = DivisibleModel(ram_needs=whole, card_needs=whole, layers=self.layers)
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
