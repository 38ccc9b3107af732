"""Where a model's memory would lie: on accelerators, split with RAM, or in RAM alone.

`placements` lists the layouts of a question on a machine, in the order in which they are judged.
`sharing` shares layers out over places. `equal_parts` has the programs that run on accelerators
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ..catalogue.runtime_parts import ON_ONE_CARD, SPLIT_BY_LAYER, SPLIT_BY_TENSOR
from ..catalogue.spec_values import GENERATING
from ..core.records import Record
from ..machine.record import Accelerator, Machine
from ..needs import Case, in_batches, needs_in_batches, needs_on
from ..needs.records import ACCELERATOR, Device, Needs, Split, Term
from .batches import is_batch_asked
from .devices import (
    DEVICE_MARGIN_BYTES,
    Place,
    emptied,
    gpu_maker,
    group_by_maker,
    places,
    roomiest,
)
from .equal_parts import lacking_bytes, layouts_without_ram, unread_places
from .sharing import (
    DivisibleModel,
    LayerShare,
    layers_in,
    parts_in_turn,
    whole_on_one,
    with_terms,
)

if TYPE_CHECKING:
    from .record import Question

# of a layer, what is kept free on each of several accelerators that take whole ones: accelerate,
# get_balanced_memory, 1.25 times the largest or the mean
_ANOTHER_LAYER = 1.25
# how much more of the weights larger batches may leave to the RAM, an assumed figure: each token
# is slowed down as much
_MORE_IN_RAM = 1.1
# parts that are stated with decimals are counted in whole steps
_STEPS_OF_PART = 1_000_000
# the ends of a need that accelerators are held against, in turn: of training the likely and the
# least too, for trainers differ
_ENDS_BY_TASK = {
    "generate": ("high_bytes",),
    "finetune": ("high_bytes", "bytes", "low_bytes"),
}


def placements(
    needs: Needs,
    machine: Machine,
    question: Question,
    *,
    at_any_pace: bool = False,
) -> Iterator[Needs]:
    """The same needs with their terms placed, in the order they are to be judged.

    These are: accelerators, split, host, the same once others have left them, an unread
    accelerator; last the largest accelerator where it must hold all and cannot. A split with larger
    batches of a prompt goes before a split, unless `at_any_pace`.
    """
    if needs.memory is None:
        yield needs
        return
    if question.wants_gpu:
        yield from layouts_without_ram(needs, machine, question)
        return
    if not _may_use_cards(question, machine):
        yield needs
        return
    model = _OnRamAndCards(
        ram_needs=needs,
        card_needs=_counted_on_card(question, needs, machine),
        machine=machine,
        question=question,
    )
    yield from model.layouts(at_any_pace=at_any_pace)


def _may_use_cards(question: Question, machine: Machine) -> bool:
    """Whether the program uses accelerators, and the machine may have some with memory of their
    own.
    """
    if question.runtime is not None and question.runtime.gpus.unused:
        return False
    if machine.accelerators is None:
        return True
    return bool(places(machine.accelerators))


def _counted_on_card(
    question: Question,
    needs: Needs,
    machine: Machine,
) -> Needs:
    """The needs counted for an accelerator, before one is chosen."""
    maker = gpu_maker(machine, question.runtime)
    return needs_on(needs, _case_of(question, needs), Device(maker=maker))


def _case_of(question: Question, needs: Needs) -> Case | None:
    """The case of the question in the batches that these needs are counted for."""
    if question.case is None:
        return None
    return in_batches(question.case, needs.batch_tokens)


def _weights_in_ram(placed: Needs) -> int:
    """The bytes of the weights that lie in RAM."""
    size = 0
    for term in placed.terms:
        if term.name == "weights" and term.where == "host":
            size += term.bytes
    return size


class _OnRamAndCards(Record):
    """A model in a program that may use RAM and accelerators.

    - `ram_needs`: what it takes with all of it in RAM.
    - `card_needs`: what it takes on an accelerator, before one is chosen.
    """

    ram_needs: Needs
    card_needs: Needs
    machine: Machine
    question: Question

    @property
    def cards(self) -> Sequence[Accelerator]:
        return self.machine.cards

    def layouts(self, *, at_any_pace: bool) -> Iterator[Needs]:
        """The layouts in the order of `placements`."""
        now = self._allowed(places(self.cards))
        once_idle = self._allowed(places(emptied(self.cards)))
        if self._setting("split_mode") == SPLIT_BY_TENSOR and len(now) > 1:
            # llama.cpp moves nothing to another place (common/fit.cpp)
            yield self._in_parts_of_layers(now)
            return
        stated = self._as_stated(now)
        if stated is not None:
            yield stated
            return
        placed = self._on_cards_at_any_end(now) or self._balanced()
        if placed is None:
            yield from parts_in_turn(self.ram_needs, roomiest(now))
        else:
            if placed.placement == "split" and not at_any_pace:
                yield from self._in_larger_batches(now, placed)
            yield placed
        yield self.ram_needs
        if now != once_idle:
            yield from self._on_idle_cards(once_idle, placed)
        for place in unread_places(self.machine):
            yield whole_on_one(self.card_needs, place.where)
        if placed is None and self._divisible is None:
            yield from self._on_largest(once_idle)

    def _allowed(self, candidates: Sequence[Place]) -> Sequence[Place]:
        """The accelerators that the options which were asked for leave: one or all."""
        if self._setting("split_mode") != ON_ONE_CARD:
            return candidates
        one = self._fastest_that_holds(candidates) or roomiest(candidates)
        return candidates if one is None else [one]

    def _setting(self, changed: str) -> str | None:
        """What options that were asked for set that to; None where none does."""
        return self.question.settings.get(changed)

    def _on_idle_cards(
        self, once_idle: Sequence[Place], placed_now: Needs | None
    ) -> Iterator[Needs]:
        """On accelerators once other programs have left them.

        `placed_now`: the layout on them as they are now; None where they hold nothing.
        """
        layout = self._on_cards(once_idle)
        if placed_now is None:
            if layout is not None:
                yield layout
            yield from parts_in_turn(self.ram_needs, roomiest(once_idle))
        elif layout is not None and layout.placement == "accelerator":
            # a few layers more make no other layout
            yield layout

    def _on_largest(self, candidates: Sequence[Place]) -> Iterator[Needs]:
        """On the largest accelerator, though it does not hold all."""
        largest = roomiest(candidates)
        if largest is not None:
            yield from parts_in_turn(self.ram_needs, largest, bounded=False)
            yield whole_on_one(self.card_needs, largest.where)

    def _in_parts_of_layers(self, group: Sequence[Place]) -> Needs:
        """A part of each layer on each accelerator."""
        maker = gpu_maker(self.machine, self.question.runtime)
        case = _case_of(self.question, self.ram_needs)
        terms = list[Term]()
        for index, place in enumerate(group):
            device = Device(devices=len(group), index=index, maker=maker)
            for term in needs_on(self.ram_needs, case, device).terms:
                # what is there once is in RAM, or on the first
                is_there_once = term.where != ACCELERATOR or term.split is Split.FIRST
                if is_there_once and index > 0:
                    continue
                on_card = term.where == ACCELERATOR
                terms.append(term.replace(where=place.where) if on_card else term)
        return with_terms(self.card_needs, terms)

    # -------------------------------------------------------------- layers by free memory

    @cached_property
    def _divisible(self) -> DivisibleModel | None:
        """The model as the program shares its layers out between accelerators and RAM; None where
        it shares none out.
        """
        question = self.question
        if question.runtime is None or not question.runtime.layers.split:
            return None
        if question.workload.task != "generate":
            return None
        layers = _layers_of(question)
        if not layers:
            return None
        return DivisibleModel(
            ram_needs=self.ram_needs, card_needs=self.card_needs, layers=layers
        )

    def _as_stated(self, group: Sequence[Place]) -> Needs | None:
        """The layers that options state; None where no option states any. Where one does, llama.cpp
        shares out nothing by itself (common/fit.cpp).
        """
        number = self._setting("gpu_layers")
        if number is not None:
            return self._in_proportion(group, int(number))
        for changed in ("gpu_shares", "cpu_expert_layers"):
            if self._setting(changed) is not None:
                return self._in_proportion(group, None)
        return None

    def _in_proportion(
        self, group: Sequence[Place], number: int | None
    ) -> Needs | None:
        """The last so many layers, None: all, in the proportions of `_parts_of`.

        llama.cpp numbers the output matrix as one layer more, after the last
        (src/llama-model.cpp, load_tensors).
        """
        model = self._divisible
        if model is None or not group or self.question.case is None:
            return None
        numbered = model.layers + 1
        if number is not None:
            numbered = min(numbered, number)
        shares = _shares_in_proportion(group, self._parts_of(group), numbered)
        if not shares:
            return self.ram_needs
        # a division begins with the last layers; the output matrix is none of them
        shares.reverse()
        last = shares[0]
        shares[0] = LayerShare(last.where, last.layers - 1)
        return model.divided(shares)

    def _parts_of(self, group: Sequence[Place]) -> list[int]:
        """The part of the layers for each place: as an option states it, else all that is free."""
        stated = self._setting("gpu_shares")
        if stated is not None:
            # a device that is left out gets nothing
            parts = [0] * len(group)
            for index, part in enumerate(stated.split(",")[: len(group)]):
                parts[index] = round(float(part) * _STEPS_OF_PART)
            if any(parts):
                return parts
        return [_free_bytes(place) for place in group]

    def _on_cards_at_any_end(self, group: Sequence[Place]) -> Needs | None:
        """By the most that it may take; training by the likely or the least where that fits
        alone.
        """
        for end in _ENDS_BY_TASK[self.question.workload.task]:
            layout = self._on_cards(group, end)
            if layout is not None:
                return layout
        return None

    def _on_cards(
        self, candidates: Sequence[Place], end: str = "high_bytes"
    ) -> Needs | None:
        """On the one with the fastest memory that holds that `end`, else its layers shared out."""
        known = [place for place in candidates if place.room_bytes is not None]
        if self._setting("split_mode") != SPLIT_BY_LAYER or len(known) < 2:
            fastest = self._fastest_that_holds(known, end)
            if fastest is not None:
                return whole_on_one(self.card_needs, fastest.where)
        model = self._divisible
        if model is None:
            return None
        on_several = self._on_several(known, end)
        if on_several is not None:
            return on_several
        shares = model.shares_with_room(known)
        return model.divided(shares) if shares else None

    def _on_several(self, known: Sequence[Place], end: str) -> Needs | None:
        """On as few of several accelerators as hold that `end` in proportion; None: not even all.

        A program that has to be told to take one accelerator takes all.
        """
        by_room = sorted(
            known, key=lambda place: (-place.known_bytes, -self._rate(place))
        )
        fewest = 2
        runtime = self.question.runtime
        if runtime is not None and "one_device" in runtime.command_lines.options:
            fewest = len(by_room)
        for number in range(fewest, len(by_room) + 1):
            group = sorted(by_room[:number], key=lambda place: place.index)
            layout = self._in_proportion(group, None)
            if layout is not None and lacking_bytes(layout, group, end) <= 0:
                return layout
        return None

    def _fastest_that_holds(
        self, candidates: Sequence[Place], end: str = "high_bytes"
    ) -> Place | None:
        """The one with the fastest memory that holds that `end` of all; None where none does."""
        terms = [term for term in self.card_needs.terms if term.where == ACCELERATOR]
        size = sum(getattr(term, end) for term in terms)
        holding = []
        for place in candidates:
            if place.room_bytes is not None and size <= place.room_bytes:
                holding.append(place)
        return max(
            holding,
            key=lambda place: (self._rate(place), place.known_bytes),
            default=None,
        )

    def _rate(self, place: Place) -> float:
        """Bytes per second of its memory; 0 where that is not known."""
        # the rates are a large module, which a machine without accelerators does not need
        from .pace.rates import device_bandwidth

        return device_bandwidth(self.cards[place.index]) or 0

    # -------------------------------------------------------------- larger batches

    def _in_larger_batches(
        self, group: Sequence[Place], placed: Needs
    ) -> Iterator[Needs]:
        """The layout with the largest batches of a prompt that leave hardly more experts to the
        RAM: all experts that lie in RAM cross to the GPUs once for each batch.
        """
        question = self.question
        case = _case_of(question, self.ram_needs)
        if case is None or question.runtime is None:
            return
        if is_batch_asked(case):
            return
        if not any(term.offload_bytes for term in self.card_needs.terms):
            # no experts cross
            return
        most_bytes = _MORE_IN_RAM * _weights_in_ram(placed)
        for tokens in sorted(question.runtime.batches.beside_ram, reverse=True):
            if tokens > case.room.tokens:
                continue
            ram_needs = needs_in_batches(self.ram_needs, case, tokens)
            card_needs = _counted_on_card(question, ram_needs, self.machine)
            batched = self.replace(ram_needs=ram_needs, card_needs=card_needs)
            layout = batched._on_cards(group)
            if layout is not None and _weights_in_ram(layout) <= most_bytes:
                yield layout
                return

    # -------------------------------------------------------------- layers balanced

    def _balanced(self) -> Needs | None:
        """Over several accelerators of one maker, as accelerate's device_map "auto" does (its
        documentation, big model inference).

        None where a layer would lie in RAM, from where it moves for each token.
        """
        layers = self._layers_to_spread()
        if layers is None:
            return None
        model = DivisibleModel(
            ram_needs=self.card_needs, card_needs=self.card_needs, layers=layers
        )
        for group in group_by_maker(places(self.cards), self.machine):
            shares = model.shares_with_room(self._balanced_rooms(group, layers))
            if len(shares) > 1 and layers_in(shares) == layers:
                return model.divided(shares)
        return None

    def _layers_to_spread(self) -> int | None:
        """The layers that the program spreads over accelerators alone; None: it does not."""
        question = self.question
        if question.workload.task == "finetune":
            return None
        if question.spec.modality not in GENERATING:
            return None
        if question.runtime is None or not question.runtime.layers.spread:
            return None
        return _layers_of(question)

    def _balanced_rooms(self, group: Sequence[Place], layers: int) -> list[Place]:
        """The accelerators with the room that accelerate fills: as many layers on each, one more to
        spare. The last takes what the others leave.
        """
        layer_bytes = 0
        all_bytes = 0
        for term in self.card_needs.terms:
            if term.split is Split.LAYERS:
                layer_bytes += term.high_bytes - term.output_bytes
            if term.where == ACCELERATOR:
                all_bytes += term.high_bytes
        spare_bytes = int(_ANOTHER_LAYER * layer_bytes // layers)
        even_bytes = layer_bytes // len(group) + spare_bytes
        even_bytes += all_bytes - layer_bytes
        rooms = []
        for place in group:
            room_bytes = place.known_bytes - spare_bytes
            if place is not group[-1]:
                room_bytes = min(room_bytes, even_bytes)
            rooms.append(place.replace(room_bytes=max(0, room_bytes)))
        return rooms


def _layers_of(question: Question) -> int | None:
    """The layers of the model; None where they are not known."""
    architecture = question.spec.architecture
    return None if architecture is None else architecture.layers


def _free_bytes(place: Place) -> int:
    """All that is free, which llama.cpp divides layers by: what it leaves free counts, too.

    1 where nothing is known to be free, so that such places share alike.
    """
    return DEVICE_MARGIN_BYTES + place.room_bytes if place.room_bytes else 1


def _shares_in_proportion(
    group: Sequence[Place],
    parts: Sequence[int],
    layers: int,
) -> list[LayerShare]:
    """So many layers in those proportions, the first layers first.

    Each place ends with the layer in which its part ends.
    """
    total = sum(parts)
    given = 0
    start = 0
    shares = list[LayerShare]()
    for place, part in zip(group, parts, strict=True):
        given += part
        # rounded up
        stop = -(-layers * given // total)
        if stop > start:
            shares.append(LayerShare(place.where, stop - start))
        start = stop
    return shares
