"""The division of a model over several machines: what lies on each.

What goes in: a question, asked for the main machine, a `Cluster`, and the way to divide the model
(`[clusters]` of the program's file in `specs/runtimes/`). What comes out: the needs of each machine
by itself. Memory of several machines is never added up.

By `layers`, each machine has whole layers, their cache, and a compute buffer of its own. By
`tensor`, each machine has a part of every layer; what a program keeps whole on each GPU of one
machine is whole on each machine too.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import BY_TENSOR, ClusterSplit
from ..core.records import Record
from ..machine.clusters import Cluster
from ..machine.record import Machine
from ..needs import needs_on
from ..needs.records import PROGRAMS, Device, Needs, Split, Term, share_by_device
from .checks.space import available_ram
from .devices import Place, gpu_maker, lent_to_gpu, places, usable_cards
from .equal_parts import in_most_parts
from .record import Question
from .sharing import DivisibleModel, LayerShare, shares_in_proportion, whole_on_one


class PartNeeds(NamedTuple):
    """The needs of one machine, and the number of its layers; None where it has a part of each."""

    needs: Needs
    layers: int | None


class LayerPlace(NamedTuple):
    """A place that holds layers: a device, or a machine whose devices divide each layer.

    - `machine`: the number of its machine. `whole`: the needs, if it held all layers.
    - `room_bytes`: the free bytes, by which layers are divided where the program does so.
    - `share`: its layers, and `stop`, the layer behind the last of them.
    """

    machine: int
    whole: Needs
    room_bytes: int
    share: LayerShare = LayerShare(where="", layers=0)
    stop: int = 0


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

    def parts(self) -> list[PartNeeds]:
        """The needs of each machine."""
        if self.needs.memory is None:
            return [PartNeeds(self.needs, None)] * self.number
        if self.split == BY_TENSOR:
            return [PartNeeds(self._part_of_tensors(), None)] * self.number
        return list(self._parts_of_layers())

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

    def _counted_on_card(self, machine: Machine) -> Needs:
        device = Device(maker=gpu_maker(machine, self.program))
        return needs_on(self.needs, self.question.case, device)

    # -------------------------------------------------------------- by tensor

    def _part_of_tensors(self) -> Needs:
        """The part of every layer that each of the equal machines holds."""
        machine = self.cluster.main
        if self.program.account.divides_layers:
            maker = gpu_maker(machine, self.program)
            device = Device(devices=self.number, maker=maker)
            counted = needs_on(self.needs, self.question.case, device)
        else:
            counted = self.needs.replace(terms=tuple(self._equal_terms()))
        cards = self.cards_of(machine)
        return whole_on_one(counted, cards[0].where) if cards else in_ram(counted)

    def _equal_terms(self) -> Iterator[Term]:
        """Yield the terms on each machine where the program has no account of its own: weights,
        states and cache in equal parts, all else whole. A latent cache is whole, too.
        """
        model = self.question.spec.architecture
        is_latent = False
        if model is not None:
            is_latent = any(group.kind == "latent" for group in model.attention)
        for term in self.needs.terms:
            share = 1.0
            is_whole = term.name == "kv_cache" and is_latent
            if term.split is Split.LAYERS and not is_whole:
                share = 1 / self.number
            yield share_by_device(term, self.number, share)

    # -------------------------------------------------------------- by layers

    @property
    def _layers(self) -> int:
        """The number of the model's layers."""
        model = self.question.spec.architecture
        return 1 if model is None else model.layers

    @cached_property
    def slots(self) -> list[LayerPlace]:
        """The places of layers, each with its share. The main machine's come first, and hold the
        last layers: other machines stand before its own devices in llama.cpp's list (src/llama.cpp:
        RPC servers first).
        """
        slots = self._empty_slots()
        proportions = [1] * len(slots)
        if self.rules.by_room:
            proportions = [slot.room_bytes for slot in slots]
        first_layers_first = [Place(index=index) for index in range(len(slots))]
        first_layers_first.reverse()
        proportions.reverse()
        counted = self._layers
        if self.rules.by_room:
            # llama.cpp counts the output matrix, which the main machine has, as a layer
            counted += 1
        shares = shares_in_proportion(first_layers_first, proportions, counted)
        layers_at = {share.where: share.layers for share in shares}
        filled = []
        stop = self._layers
        for index, slot in enumerate(slots):
            # the place of a slot is told by its number
            where = Place(index=index).where
            layers = layers_at.get(where, 0)
            if index == 0 and self.rules.by_room:
                layers = max(0, layers - 1)
            layers = min(layers, stop)
            share = LayerShare(where=where, layers=layers)
            filled.append(slot._replace(share=share, stop=stop))
            stop -= layers
        return filled

    def _empty_slots(self) -> list[LayerPlace]:
        """The places of layers without their shares."""
        slots = []
        for number, machine in enumerate(self.cluster.machines):
            cards = self.cards_of(machine)
            if not cards or self.program.account.divides_layers:
                room = sum(place.known_bytes for place in cards)
                room = room or self._shared_room_bytes(machine)
                slots.append(LayerPlace(number, self.whole_on(machine), room))
                continue
            on_card = self._counted_on_card(machine)
            for place in cards:
                whole = whole_on_one(on_card, place.where)
                slots.append(LayerPlace(number, whole, place.known_bytes))
        return slots

    def _shared_room_bytes(self, machine: Machine) -> int:
        """The bytes that a machine without cards of its own gives a model."""
        lent = lent_to_gpu(machine)
        if lent is not None:
            return lent.least_bytes
        return available_ram(machine, self.question.workload).ceiling_bytes or 1

    def _parts_of_layers(self) -> Iterator[PartNeeds]:
        """Yield the needs of each machine."""
        for number in range(self.number):
            terms: list[Term] = []
            layers = 0
            placement = "host"
            slots = [slot for slot in self.slots if slot.machine == number]
            for slot in slots:
                terms += self._terms_of(
                    slot,
                    is_main=slot is self.slots[0],
                    is_first=slot is slots[0],
                )
                layers += slot.share.layers
                placement = slot.whole.placement
            needs = self.needs.replace(
                placement=placement, terms=tuple(terms), evictable_bytes=0
            )
            yield PartNeeds(needs, layers)

    def _terms_of(
        self,
        slot: LayerPlace,
        *,
        is_main: bool,
        is_first: bool,
    ) -> Iterator[Term]:
        """Yield the terms of one place: its share of what is divided by layers, and what each place
        holds, the first place of each machine (the program itself), or the main place alone.
        """
        whole = slot.whole
        model = DivisibleModel(
            ram_needs=whole, card_needs=whole, layers=max(1, self._layers)
        )
        for term in whole.terms:
            is_held = is_main or term.split is Split.EACH
            if term.name in PROGRAMS:
                is_held = is_held or is_first
            if term.split is Split.LAYERS:
                output_bytes = term.output_bytes if is_main else 0
                if slot.share.layers or output_bytes:
                    part = model.part_of(term, slot.share, slot.stop, output_bytes)
                    yield part.replace(where=term.where)
            elif is_held:
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
