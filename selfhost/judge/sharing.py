"""The division of a model's layers over accelerators and RAM, term by term.

`DivisibleModel` says how many layers have room in each place, and gives the terms of the model in
these places. Layers are assigned from the last to the first, since the output matrix goes with the
last layer. The memory in each place is computed with the range of each term.

`card_needs` are the needs as `counted_on_card` counts them: the terms of the model are not assigned
to an accelerator yet.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ..core.records import Record
from ..machine.record import Machine
from ..needs import Case, in_batches, needs_on
from ..needs.records import (
    ACCELERATOR,
    Device,
    How,
    Needs,
    Size,
    Split,
    Term,
    share_of,
    summed,
    taken_off,
)
from .devices import Place, gpu_maker, index_of

if TYPE_CHECKING:
    from .record import Question

# stated proportions are decimal numbers: this factor makes whole numbers of them
_PROPORTION_STEPS = 1_000_000


class LayerShare(Record):
    """A number of layers that lie in one place, `host` or `accelerator:N`."""

    where: str
    layers: int


def case_of(question: Question, needs: Needs) -> Case | None:
    """The case of the question, with the batch size for which the needs are counted."""
    if question.case is None:
        return None
    return in_batches(question.case, needs.batch_tokens)


def counted_on_card(
    question: Question,
    needs: Needs,
    machine: Machine,
    devices: int = 1,
    index: int = 0,
) -> Needs:
    """The needs counted for one of so many accelerators of the machine, before one is chosen:
    for that of number `index`, where their parts differ.
    """
    maker = gpu_maker(machine, question.runtime)
    device = Device(devices=devices, index=index, maker=maker)
    return needs_on(needs, case_of(question, needs), device)


def with_terms(
    needs: Needs,
    terms: Sequence[Term],
    placement: str = "accelerator",
) -> Needs:
    """The same needs with their terms placed."""
    return needs.replace(placement=placement, terms=tuple(terms), evictable_bytes=0)


def whole_on_one(card_needs: Needs, where: str) -> Needs:
    """The needs with all terms on one accelerator, except for the runtime itself and what llama.cpp
    keeps in RAM.
    """
    placed = [on_card(term, where) for term in card_needs.terms]
    return with_terms(card_needs, placed)


def on_card(term: Term, where: str) -> Term:
    """The term on that accelerator, if it lies on any; a term in RAM as it is."""
    if term.where != ACCELERATOR:
        return term
    return term.replace(where=where)


def parts_in_turn(
    needs: Needs,
    place: Place | None,
    *,
    must_fit: bool = True,
) -> Iterator[Needs]:
    """Yield the layouts of a model whose parts lie in RAM and move to the accelerator one at a
    time.

    With `must_fit`, only the layouts whose largest part has room on the accelerator.
    """
    if place is None:
        return
    for way in needs.offloaded:
        part_bytes = sum(term.high_bytes for term in way.device)
        if must_fit and part_bytes > place.known_bytes:
            continue
        on_device = [term.replace(where=place.where) for term in way.device]
        placed = with_terms(needs, (*way.host, *on_device), "split")
        yield placed.replace(offload=way.way)


class DivisibleModel(Record):
    """A model whose layers may lie in several places.

    `ram_needs` are the needs with all of the model in RAM, `card_needs` the needs on accelerators.
    """

    ram_needs: Needs
    card_needs: Needs
    layers: int

    def shares_with_room(self, candidates: Sequence[Place]) -> list[LayerShare]:
        """The number of layers that have room on each place, the last layers first.

        Where some layers stay in RAM, the first place keeps room for copies of their weights.
        """
        # what each place holds, whatever layers lie there; what the first holds beside that, with
        # the output matrix; and the copies of weights in RAM
        place_bytes = 0
        first_bytes = 0
        copied_bytes = 0
        for term in self.card_needs.terms:
            if term.split is Split.LAYERS:
                first_bytes += term.output_bytes
            elif term.split is Split.EACH:
                place_bytes += term.high_bytes
            elif term.split is Split.FIRST:
                first_bytes += term.high_bytes
            if len(candidates) > 1:
                place_bytes += term.pipeline_bytes
            copied_bytes += term.offload_bytes
        shares = self._filled(candidates, place_bytes, first_bytes)
        if not copied_bytes or layers_in(shares) == self.layers:
            return shares
        return self._filled(candidates, place_bytes, first_bytes + copied_bytes)

    def _filled(
        self,
        candidates: Sequence[Place],
        place_bytes: int,
        first_bytes: int,
    ) -> list[LayerShare]:
        """The number of layers that have room on each place, the last layers first, beside the
        bytes that are taken on each place and those on the first.
        """
        shares = list[LayerShare]()
        stop = self.layers
        for place in candidates:
            left_bytes = place.known_bytes - place_bytes
            if not shares:
                left_bytes -= first_bytes
            count = self._most_layers(left_bytes, stop)
            if count:
                shares.append(LayerShare(where=place.where, layers=count))
                stop -= count
        return shares

    def _most_layers(self, left_bytes: int, stop: int) -> int:
        """The number of layers directly before `stop` that have room in `left_bytes`."""
        if left_bytes < 0:
            return 0

        def bytes_of(count: int) -> int:
            layers = range(stop - count, stop)
            size = 0
            for term in self.card_needs.terms:
                if term.split is Split.LAYERS:
                    most_bytes = term.high_bytes
                    size += _bytes_of_layers(term, most_bytes, layers, self.layers)
            return size

        # 0 layers take no bytes, so that at least 0 layers have room
        return bisect_right(range(stop + 1), left_bytes, key=bytes_of) - 1

    def divided(self, shares: Sequence[LayerShare]) -> Needs:
        """The needs with each term placed by the shares; the layers that are left over lie in
        RAM.
        """
        division = _Division(model=self, shares=shares)
        placement = "split" if division.ram_terms else "accelerator"
        return with_terms(self.card_needs, division.terms(), placement)


def _bytes_of_layers(term: Term, size: int, layers: range, of_layers: int) -> int:
    """The part of a size of the term that falls on these layers of a model with `of_layers`,
    without the output matrix.
    """
    in_layers = max(0, size - term.output_bytes)
    first = term.first_layer
    end = of_layers if term.stop_layer is None else term.stop_layer
    number = max(1, end - first)
    layers_before_start = min(max(0, layers.start - first), number)
    layers_before_stop = min(max(0, layers.stop - first), number)
    before_start = in_layers * layers_before_start // number
    return in_layers * layers_before_stop // number - before_start


def part_of_layers(
    term: Term,
    layers: range,
    of_layers: int,
    output_bytes: int,
) -> Term:
    """The part of the term that falls on these layers of a model with `of_layers`, and
    `output_bytes` of the output matrix.
    """
    line = term.arithmetic
    if term.output_bytes:
        line = taken_off(line, term.output_bytes, "outside the layers")
    line = share_of(f"{len(layers)}/{of_layers} of the layers", line)
    if output_bytes:
        line = summed(f"{output_bytes:,} bytes of output matrix", line)
    how = term.how
    if how is How.EXACT and len(layers) < of_layers:
        # layers that differ in size are assumed to be spread evenly
        how = How.COMPUTED
    ends = []
    for size in term.size:
        in_layers = _bytes_of_layers(term, size, layers, of_layers)
        ends.append(output_bytes + in_layers)
    part = term.with_size(Size(*ends), line)
    return part.replace(how=how, output_bytes=0)


def layers_in(shares: Sequence[LayerShare]) -> int:
    """The number of layers in all shares."""
    return sum(share.layers for share in shares)


def layers_in_proportion(proportions: Sequence[int], layers: int) -> list[int]:
    """The number of layers for each of several places in the given proportions.

    A layer that two places would divide goes to the first of them.
    """
    total = sum(proportions)
    given = 0
    start = 0
    counts = []
    for proportion in proportions:
        given += proportion
        # rounded up
        stop = -(-layers * given // total)
        counts.append(stop - start)
        start = stop
    return counts


def stated_proportions(question: Question, number: int) -> list[int] | None:
    """The proportions in which an option gives layers to so many places, in the program's order; 0
    for a place without a stated number. None where no option states any for these places.
    """
    stated = question.settings.get("gpu_shares")
    if stated is None:
        return None
    proportions = [0] * number
    for index, share in enumerate(stated.split(",")[:number]):
        proportions[index] = round(float(share) * _PROPORTION_STEPS)
    if not any(proportions):
        return None
    return proportions


# ------------------------------------------------------------------ the terms of each place


class _Division(Record):
    """A division of a model into shares; the layers that are left over lie in RAM."""

    model: DivisibleModel
    shares: Sequence[LayerShare]

    @cached_property
    def layers_in_ram(self) -> int:
        """The number of layers that no share has."""
        return self.model.layers - layers_in(self.shares)

    @cached_property
    def ram_terms(self) -> Mapping[str, Term]:
        """The terms in RAM by name; empty where nothing of the model is in RAM."""
        # weights, such as experts, may stay in RAM wherever the layers lie
        if self.layers_in_ram or self._is_counted_in_ram("weights"):
            return {term.name: term for term in self.model.ram_needs.terms}
        return {}

    @cached_property
    def first_place(self) -> str:
        """The place with the lowest accelerator number."""
        return min((share.where for share in self.shares), key=index_of)

    def terms(self) -> list[Term]:
        """The terms of all places."""
        terms = list[Term]()
        for term in self.model.card_needs.terms:
            if term.split is Split.LAYERS:
                terms += self._by_layers(term)
            elif term.split is Split.EACH:
                terms += self._in_each(term)
            elif term.split is Split.FIRST:
                terms.append(term.replace(where=self.first_place))
            else:
                terms.append(self._with_copies(term, term.where))
        return terms

    def _in_each(self, term: Term) -> Iterator[Term]:
        """Yield the term once for each place where layers run, as for a compute buffer."""
        ram_term = self.ram_terms.get(term.name)
        if ram_term is not None and not self._is_counted_in_ram(term.name):
            yield ram_term
        for share in self.shares:
            yield self._with_copies(term, share.where)

    def _is_counted_in_ram(self, name: str) -> bool:
        """Whether the terms on accelerators have a part of that name in RAM already.

        An accelerator then computes with the weights that lie in RAM, so that the processor needs
        no buffer of its own.
        """
        terms = self.model.card_needs.terms
        return any(term.name == name and term.split is Split.HOST for term in terms)

    def _with_copies(self, term: Term, where: str) -> Term:
        """The term in the place `where`, enlarged by the copies that lie there.

        Where weights lie in RAM, the first accelerator holds copies of experts. Where several
        accelerators hold all layers, each holds copies of inputs.
        """
        placed = term.replace(where=where)
        more_bytes = 0
        what = ""
        if self.ram_terms:
            if where == self.first_place:
                more_bytes = term.offload_bytes
                what = "for the experts of a layer while a prompt is read"
        elif len(self.shares) > 1:
            more_bytes = term.pipeline_bytes
            what = "of inputs, three copies more to compute at once"
        if not more_bytes:
            return placed
        line = summed(term.arithmetic, f"{more_bytes:,} bytes {what}")
        return placed.resized(term.bytes + more_bytes, line)

    def _by_layers(self, term: Term) -> Iterator[Term]:
        """Yield the part of the term in each place; the output matrix goes with the last layers."""
        output_bytes = term.output_bytes
        of_layers = self.model.layers
        stop = of_layers
        # the RAM has the first layers; none where accelerators have all
        in_ram = LayerShare(where="host", layers=self.layers_in_ram)
        for share in [*self.shares, in_ram]:
            start = stop - share.layers
            if share.layers or output_bytes:
                layers = range(start, stop)
                part = part_of_layers(term, layers, of_layers, output_bytes)
                yield part.replace(where=share.where)
            stop = start
            output_bytes = 0
