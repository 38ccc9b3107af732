"""The places of a model's memory: on accelerators, split with RAM, or in RAM alone.

`placements` lists the layouts of a question on a machine, in the order in which they are judged.
`sharing` divides layers over several places. `equal_parts` has the layouts of programs that run
only on accelerators.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ..catalogue.runtime_parts import ON_ONE_CARD, SPLIT_BY_LAYER
from ..core.records import Record
from ..machine.record import Machine
from ..needs import needs_in_batches
from ..needs.records import ACCELERATOR, Needs, Split, likely_bytes
from .batches import is_batch_asked
from .checks import Outcome
from .checks.space import model_memory_check
from .devices import (
    DEVICE_MARGIN_BYTES,
    End,
    Place,
    emptied,
    group_by_maker,
    index_of,
    largest_place,
    named_cards,
    places,
)
from .equal_parts import lacking_bytes, layouts_of_gpu_programs, unread_places
from .pace.rates import device_bandwidth
from .sharing import (
    DivisibleModel,
    LayerShare,
    case_of,
    counted_on_card,
    layers_in,
    layers_in_proportion,
    on_card,
    parts_in_turn,
    stated_proportions,
    whole_on_one,
    with_terms,
)

if TYPE_CHECKING:
    from .record import Question

# where several accelerators take whole layers, each keeps this many layers free: accelerate,
# get_balanced_memory, 1.25 times the largest layer or the mean
_LAYER_MARGIN = 1.25
# the factor by which larger batches may increase the weights in RAM (assumed), unless the answer
# begins too late otherwise: each token slows down by the same factor
_MORE_IN_RAM = 1.1
# the ends of a need that are compared with the accelerators, in turn: for training also the likely
# and the least, since trainers differ
_ENDS_BY_TASK = {
    "generate": (End.MOST,),
    "finetune": (End.MOST, End.LIKELY, End.LEAST),
}


def placements(
    needs: Needs,
    machine: Machine,
    question: Question,
    *,
    at_any_pace: bool = False,
) -> Iterator[Needs]:
    """Yield the needs with their terms placed, in the order in which layouts are judged.

    `_OnRamAndCards.layouts` has the order for programs that may use RAM, and `equal_parts` that for
    programs on accelerators alone. `at_any_pace` leaves out layouts that only read prompts faster
    than another.
    """
    if needs.memory is None:
        yield needs
        return
    if question.wants_gpu:
        yield from layouts_of_gpu_programs(needs, machine, question)
        return
    if not _may_use_cards(question, machine):
        yield needs
        return
    model = _OnRamAndCards(
        ram_needs=needs,
        card_needs=counted_on_card(question, needs, machine),
        machine=machine,
        question=question,
        at_any_pace=at_any_pace,
    )
    yield from model.layouts()


def _may_use_cards(question: Question, machine: Machine) -> bool:
    """Whether the runtime uses accelerators, and the machine may have some with memory of their
    own.
    """
    if question.program.gpus.unused:
        return False
    if machine.accelerators is None:
        return True
    return bool(places(machine.accelerators))


def _numbered(candidates: Sequence[Place], numbers: Sequence[int]) -> Sequence[Place]:
    """The accelerators of these numbers, in that order."""
    numbered = []
    for number in numbers:
        for place in candidates:
            if index_of(place.where) == number:
                numbered.append(place)
    return numbered


def _weights_in_ram(placed: Needs) -> int:
    """The bytes of the weights that lie in RAM."""
    return likely_bytes(placed.on_host.terms, "weights")


class _OnRamAndCards(Record):
    """A model in a runtime that may use RAM and accelerators.

    - `ram_needs`: the needs with all of the model in RAM.
    - `card_needs`: the needs on an accelerator, before one is chosen.
    - `at_any_pace`: no layout is listed that only reads prompts faster than another.
    """

    ram_needs: Needs
    card_needs: Needs
    machine: Machine
    question: Question
    at_any_pace: bool

    def layouts(self) -> Iterator[Needs]:
        """Yield the layout that options state, else each layout, in the order in which layouts are
        judged.
        """
        stated = self._stated_layout()
        if stated is not None:
            yield stated
            return
        now = self._on_cards_at_any_end(self.now) or self._spread_evenly()
        if now is None:
            yield from parts_in_turn(self.ram_needs, largest_place(self.now))
        else:
            yield from self._with_larger_batches(now)
        yield self.ram_needs
        idle = self._on_cards_once_idle()
        if idle is not None and (now is None or idle.placement == "accelerator"):
            # a few layers more on the accelerators than now are not listed again
            yield idle
        for place in unread_places(self.machine):
            yield whole_on_one(self.card_needs, place.where)
        if now is None and self._divisible is None:
            yield from self._on_the_largest_card()

    # -------------------------------------------------------------- now, and once idle

    @cached_property
    def now(self) -> Sequence[Place]:
        """The accelerators that the user's options allow, as they are now."""
        return self._allowed(places(self.machine.cards))

    @cached_property
    def once_idle(self) -> Sequence[Place]:
        """The same accelerators as if other processes had left them."""
        return self._allowed(places(emptied(self.machine.cards)))

    def _on_cards_once_idle(self) -> Needs | None:
        """The layout on the accelerators once other processes have left them; None where nothing
        fits, and where there are no such processes.
        """
        if self.now == self.once_idle:
            return None
        return self._on_cards(self.once_idle)

    def _on_the_largest_card(self) -> Iterator[Needs]:
        """Yield the layouts on the largest accelerator, though it does not hold all of the
        model.
        """
        largest = largest_place(self.once_idle)
        if largest is not None:
            yield from parts_in_turn(self.ram_needs, largest, must_fit=False)
            yield whole_on_one(self.card_needs, largest.where)

    # -------------------------------------------------------------- what options state

    def _stated_layout(self) -> Needs | None:
        """The layout that options state, by parts of each layer or by layers; None where no option
        states any.

        llama.cpp moves nothing to another place by itself where options state the places
        (common/fit.cpp).
        """
        if self.question.splits_tensors and self.now:
            # a place without memory is one that the program does not use
            used = [place for place in self.now if place.usable_bytes != 0]
            return self._with_split_layers(used)
        number = self._setting("gpu_layers")
        if number is not None:
            return self._in_proportion(self.now, int(number))
        for name in ("gpu_shares", "experts_in_ram"):
            if self._setting(name) is not None:
                return self._in_proportion(self.now, None)
        return None

    def _allowed(self, candidates: Sequence[Place]) -> Sequence[Place]:
        """The accelerators that the user's options allow: one, those that are named, or all."""
        is_one = self._setting("split_mode") == ON_ONE_CARD
        numbers = named_cards(self.question, self.machine)
        if numbers is not None:
            candidates = _numbered(candidates, numbers)
            is_one = is_one or self.question.names_one_device
        if not is_one:
            return candidates
        one = self._fastest_that_holds(candidates) or largest_place(candidates)
        return candidates if one is None else [one]

    def _setting(self, name: str) -> str | None:
        """The value that the user's options give to a setting; None where no option sets it."""
        return self.question.settings.get(name)

    def _with_split_layers(self, group: Sequence[Place]) -> Needs:
        """The layout with a part of each layer on each accelerator."""
        terms = []
        for index, place in enumerate(group):
            part = counted_on_card(
                self.question, self.ram_needs, self.machine, len(group), index
            )
            for term in part.terms:
                is_in_ram = term.where != ACCELERATOR
                if index > 0 and (is_in_ram or term.split is Split.FIRST):
                    # counted once
                    continue
                terms.append(on_card(term, place.where))
        return with_terms(self.card_needs, terms)

    # -------------------------------------------------------------- layers by free memory

    @cached_property
    def _divisible(self) -> DivisibleModel | None:
        """The model, if the runtime divides its layers between accelerators and RAM; None where the
        runtime divides no layers.
        """
        question = self.question
        if not question.program.layers.split:
            return None
        if question.workload.task != "generate":
            return None
        if not question.layers:
            return None
        return DivisibleModel(
            ram_needs=self.ram_needs,
            card_needs=self.card_needs,
            layers=question.layers,
        )

    def _in_proportion(
        self, group: Sequence[Place], number: int | None
    ) -> Needs | None:
        """The layout of the last `number` layers on the group, divided in the group's
        `_proportions`. A number of None stands for all layers.

        None where the runtime divides no layers, and for an empty group.

        llama.cpp numbers the output matrix as one layer more, after the last (src/llama-model.cpp,
        load_tensors).
        """
        model = self._divisible
        if model is None or not group or self.question.case is None:
            return None
        numbered = model.layers + 1
        if number is not None:
            numbered = min(numbered, number)
        counts = layers_in_proportion(self._proportions(group), numbered)
        shares = []
        for place, count in zip(group, counts, strict=True):
            if count:
                shares.append(LayerShare(where=place.where, layers=count))
        if not shares:
            return self.ram_needs
        # a division begins with the last layers; the output matrix is not counted as a layer
        shares.reverse()
        last = shares[0]
        shares[0] = LayerShare(where=last.where, layers=last.layers - 1)
        return model.divided(shares)

    def _proportions(self, group: Sequence[Place]) -> list[int]:
        """The proportions in which the places get layers: those that an option states, else the
        free bytes of each place.
        """
        stated = stated_proportions(self.question, len(group))
        return stated or [_free_bytes(place) for place in group]

    def _on_cards_at_any_end(self, group: Sequence[Place]) -> Needs | None:
        """The layout on the accelerators by the most bytes that the model may take; None where
        nothing fits.

        Training is placed by the likely or the least bytes where only these fit.
        """
        for end in _ENDS_BY_TASK[self.question.workload.task]:
            layout = self._on_cards(group, end)
            if layout is not None:
                return layout
        return None

    def _on_cards(
        self, candidates: Sequence[Place], end: End = End.MOST
    ) -> Needs | None:
        """The layout on the accelerator with the fastest memory that holds that end of the need,
        else with the layers divided; None where nothing fits.
        """
        known = [place for place in candidates if place.usable_bytes is not None]
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
        shares = model.shares_with_room(self._in_order_of_filling(known))
        return model.divided(shares) if shares else None

    def _in_order_of_filling(self, known: Sequence[Place]) -> Sequence[Place]:
        """The accelerators in the order in which the runtime fills them with layers, where it
        divides these by itself.

        llama.cpp fills layers without experts from its last device to its first (common/fit.cpp,
        08033df0), and the first is the fastest of NVIDIA's.
        """
        program = self.question.program
        model = self.question.spec.architecture
        if model is None or model.has_experts:
            return known
        if not program.layers.leaves_experts:
            # the code that leaves experts in RAM is that which fills the devices
            return known
        makers = {place.maker for place in known}
        if not makers <= program.gpus.numbered_by.keys():
            return known
        return sorted(known, key=self._rate)

    def _on_several(self, known: Sequence[Place], end: End) -> Needs | None:
        """The layout on the fewest accelerators that hold that end of the need in proportion; None
        where even all of them do not.

        A runtime that has to be told to take one accelerator takes all.
        """
        by_size = sorted(
            known, key=lambda place: (-place.known_bytes, -self._rate(place))
        )
        fewest = 2
        if self.question.program.command_lines.spreads_unless_told:
            fewest = len(by_size)
        for number in range(fewest, len(by_size) + 1):
            group = sorted(by_size[:number], key=lambda place: place.index)
            layout = self._in_proportion(group, None)
            if layout is not None and lacking_bytes(layout, group, end) <= 0:
                return layout
        return None

    def _fastest_that_holds(
        self, candidates: Sequence[Place], end: End = End.MOST
    ) -> Place | None:
        """The accelerator with the fastest memory that holds that end of the whole model;
        None where no accelerator does.
        """
        size = 0
        for term in self.card_needs.terms:
            if term.where == ACCELERATOR:
                size += term.size[end]
        holding = []
        for place in candidates:
            if place.usable_bytes is not None and size <= place.usable_bytes:
                holding.append(place)
        return max(
            holding,
            key=lambda place: (self._rate(place), place.known_bytes),
            default=None,
        )

    def _rate(self, place: Place) -> float:
        """The bytes per second of the accelerator's memory; 0 where they are not known."""
        return device_bandwidth(self.machine.cards[place.index]) or 0

    # -------------------------------------------------------------- larger batches

    def _with_larger_batches(self, layout: Needs) -> Iterator[Needs]:
        """Yield the layout, and around it the layouts with larger prompt batches where a part lies
        in RAM and these make the memory no less sure.

        A layout with larger batches comes first where its tokens come about as fast. The first word
        may come in time in one with many more weights in RAM.
        """
        batches: Sequence[Needs] = ()
        if layout.placement == "split" and not self.at_any_pace:
            batches = list(self._in_larger_batches(layout))
        most_bytes = _MORE_IN_RAM * _weights_in_ram(layout)
        for batched in batches:
            if _weights_in_ram(batched) <= most_bytes:
                yield batched
        yield layout
        for batched in batches:
            if _weights_in_ram(batched) > most_bytes:
                yield batched

    def _in_larger_batches(self, layout: Needs) -> Iterator[Needs]:
        """Yield the layouts with larger prompt batches, the largest batches first.

        All experts in RAM are copied to the GPUs once for each batch.
        """
        question = self.question
        case = case_of(question, self.ram_needs)
        if case is None or is_batch_asked(case):
            return
        if not any(term.offload_bytes for term in self.card_needs.terms):
            # without experts in RAM no weights cross to the GPU
            return
        for tokens in sorted(question.program.batches.beside_ram, reverse=True):
            if tokens > case.setup.tokens:
                continue
            ram_needs = needs_in_batches(self.ram_needs, case, tokens)
            card_needs = counted_on_card(question, ram_needs, self.machine)
            batched = self.replace(ram_needs=ram_needs, card_needs=card_needs)
            in_batches = batched._on_cards(self.now)
            if in_batches is not None and self._is_as_sure(in_batches, layout):
                yield in_batches

    def _is_as_sure(self, batched: Needs, layout: Needs) -> bool:
        """Whether the RAM for a layout in larger batches is known to be enough or too little, or
        that of the layout in usual batches is not known either.
        """
        return not self._is_unsure(batched) or self._is_unsure(layout)

    def _is_unsure(self, layout: Needs) -> bool:
        """Whether it is not known if the RAM holds the layout's part."""
        found = model_memory_check(layout, self.machine, self.question)
        return found.outcome is Outcome.UNKNOWN

    # -------------------------------------------------------------- layers spread evenly

    def _spread_evenly(self) -> Needs | None:
        """The layout over several accelerators of one maker, as accelerate's device_map "auto"
        divides the layers (its documentation, big model inference).

        None where a layer would lie in RAM, from where it is copied for each token.
        """
        layers = self.question.layers
        if not layers or not self._spreads_layers:
            return None
        # no layer lies in RAM, so both needs are those on a card
        model = DivisibleModel(
            ram_needs=self.card_needs, card_needs=self.card_needs, layers=layers
        )
        for group in group_by_maker(places(self.machine.cards)):
            shares = model.shares_with_room(self._limited_to_even_shares(group, layers))
            if len(shares) > 1 and layers_in(shares) == layers:
                return model.divided(shares)
        return None

    @property
    def _spreads_layers(self) -> bool:
        """Whether the runtime spreads the layers of the model over accelerators alone."""
        question = self.question
        if question.workload.task == "finetune":
            return False
        return question.spec.writes_text and question.program.layers.spread

    def _limited_to_even_shares(
        self, group: Sequence[Place], layers: int
    ) -> list[Place]:
        """The accelerators, each with only the bytes that accelerate fills: an even share of the
        layers, and one layer to spare. The last accelerator takes the rest.
        """
        layer_bytes = 0
        all_bytes = 0
        for term in self.card_needs.terms:
            if term.split is Split.LAYERS:
                layer_bytes += term.high_bytes - term.output_bytes
            if term.where == ACCELERATOR:
                all_bytes += term.high_bytes
        spare_bytes = int(_LAYER_MARGIN * layer_bytes // layers)
        even_bytes = layer_bytes // len(group) + spare_bytes
        even_bytes += all_bytes - layer_bytes
        limited = []
        for place in group:
            filled_bytes = place.known_bytes - spare_bytes
            if place is not group[-1]:
                filled_bytes = min(filled_bytes, even_bytes)
            limited.append(place.replace(usable_bytes=max(0, filled_bytes)))
        return limited


def _free_bytes(place: Place) -> int:
    """The free bytes of a place by which llama.cpp divides layers, including the margin that it
    leaves free.

    1 where nothing is known to be free, so that such places get equal parts.
    """
    if not place.usable_bytes:
        return 1
    return DEVICE_MARGIN_BYTES + place.usable_bytes
