"""The division of a model's layers over accelerators and RAM, term by term.

`DivisibleModel` says how many layers have room in each place, and gives the terms of the model in
these places. Layers are assigned from the last to the first, since the output matrix goes with the
last layer. The memory in each place is computed with the range of each term.

`card_needs` are the needs as `needs_on` counts them: the terms of the model are not assigned to an
accelerator yet.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..core.records import Record
from ..needs.records import (
    ACCELERATOR,
    How,
    Needs,
    Split,
    Term,
    share_of,
    summed,
    taken_off,
)
from .devices import Place, index_of

# the ends of a term and its likely size
SIZES = ("bytes", "low_bytes", "high_bytes")


class LayerShare(NamedTuple):
    """A number of layers that lie in one place, `host` or `accelerator:N`."""

    where: str
    layers: int


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
    placed = []
    for term in card_needs.terms:
        placed.append(term.replace(where=where) if term.where == ACCELERATOR else term)
    return with_terms(card_needs, placed)


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
        filling = _Filling.of(self, is_alone=len(candidates) == 1)
        shares = filling.shares(candidates)
        copied_bytes = sum(term.offload_bytes for term in self.card_needs.terms)
        if not copied_bytes or layers_in(shares) == self.layers:
            return shares
        first_bytes = filling.first_bytes + copied_bytes
        return filling.replace(first_bytes=first_bytes).shares(candidates)

    def divided(self, shares: Sequence[LayerShare]) -> Needs:
        """The needs with each term placed by the shares; the layers that are left over lie in
        RAM.
        """
        layers_in_ram = self.layers - layers_in(shares)
        terms = self.card_needs.terms
        ram_terms = {}
        placement = "accelerator"
        # weights, such as experts, may stay in RAM wherever the layers lie
        weights = [term for term in terms if term.name == "weights"]
        if layers_in_ram or any(term.split is Split.HOST for term in weights):
            ram_terms = {term.name: term for term in self.ram_needs.terms}
            placement = "split"
        division = _Division(
            card_terms=terms,
            ram_terms=ram_terms,
            shares=shares,
            layers=self.layers,
            layers_in_ram=layers_in_ram,
        )
        return with_terms(self.card_needs, division.terms(), placement)


def layers_in(shares: Sequence[LayerShare]) -> int:
    """The number of layers in all shares."""
    return sum(share.layers for share in shares)


# ------------------------------------------------------------------ how many layers have room


class _Filling(Record):
    """The memory that places need while they are filled with layers.

    - `layer_terms` are divided by layer.
    - `place_bytes` are taken on each place, whatever layers lie there.
    - `first_bytes` are taken on the first place only, with the output matrix.
    """

    layers: int
    layer_terms: Sequence[Term]
    place_bytes: int
    first_bytes: int

    @classmethod
    def of(cls, model: DivisibleModel, *, is_alone: bool) -> _Filling:
        """Return the filling of a model. `is_alone` tells whether there is only one place."""
        layer_terms = []
        place_bytes = 0
        first_bytes = 0
        for term in model.card_needs.terms:
            if term.split is Split.LAYERS:
                layer_terms.append(term)
                first_bytes += term.output_bytes
            elif term.split is Split.EACH:
                place_bytes += term.high_bytes
            elif term.split is Split.FIRST:
                first_bytes += term.high_bytes
            if not is_alone:
                place_bytes += term.pipeline_bytes
        return cls(
            layers=model.layers,
            layer_terms=layer_terms,
            place_bytes=place_bytes,
            first_bytes=first_bytes,
        )

    def shares(self, candidates: Sequence[Place]) -> list[LayerShare]:
        """The number of layers that have room on each place, the last layers first."""
        shares = list[LayerShare]()
        left = self.layers
        for place in candidates:
            left_bytes = place.known_bytes - self.place_bytes
            if not shares:
                left_bytes -= self.first_bytes
            count = self._most_layers(left_bytes, left)
            if count:
                shares.append(LayerShare(place.where, count))
                left -= count
        return shares

    def _most_layers(self, left_bytes: int, stop: int) -> int:
        """The number of layers directly before `stop` that have room in `left_bytes`."""
        if left_bytes < 0:
            return 0

        def bytes_of(count: int) -> int:
            size = 0
            for term in self.layer_terms:
                size += _bytes_before(stop, term, "high_bytes", self.layers)
                size -= _bytes_before(stop - count, term, "high_bytes", self.layers)
            return size

        # 0 layers take no bytes, so that at least 0 layers have room
        return bisect_right(range(stop + 1), left_bytes, key=bytes_of) - 1


def _bytes_before(
    layer: int,
    term: Term,
    end: str,
    layers: int,
) -> int:
    """The bytes of a term, at one of its `SIZES`, that fall on the layers before `layer` of a model
    with `layers` layers, without the output matrix, which with all layers adds up to the term.
    """
    size: int = max(0, getattr(term, end) - term.output_bytes)
    first = term.first_layer
    return size * max(0, layer - first) // max(1, layers - first)


# ------------------------------------------------------------------ the terms of each place


class _Division(Record):
    """A division of a model into shares, with `layers_in_ram` of its `layers` in RAM.

    `card_terms` are the terms on accelerators. `ram_terms` are the terms in RAM by name; empty
    where nothing of the model is in RAM.
    """

    card_terms: Sequence[Term]
    ram_terms: dict[str, Term]
    shares: Sequence[LayerShare]
    layers: int
    layers_in_ram: int

    @property
    def first_place(self) -> str:
        """The place with the lowest accelerator number."""
        return min((share.where for share in self.shares), key=index_of)

    def terms(self) -> list[Term]:
        """The terms of all places."""
        terms = list[Term]()
        for term in self.card_terms:
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
        in_ram = [term for term in self.card_terms if term.split is Split.HOST]
        return any(term.name == name for term in in_ram)

    def _with_copies(self, term: Term, where: str) -> Term:
        """The term in the place `where`, enlarged by the copies that lie there.

        Where weights lie in RAM, the first accelerator holds copies of experts. Where several
        accelerators hold all layers, each holds copies of inputs.
        """
        placed = term.replace(where=where)
        if self.ram_terms:
            if where != self.first_place:
                return placed
            what = "for the experts of a layer while a prompt is read"
            return _enlarged(placed, term.offload_bytes, what)
        if len(self.shares) == 1:
            return placed
        what = "of inputs, three copies more to compute at once"
        return _enlarged(placed, term.pipeline_bytes, what)

    def _by_layers(self, term: Term) -> Iterator[Term]:
        """Yield the part of the term in each place; the output matrix goes with the last layers."""
        output_bytes = term.output_bytes
        stop = self.layers
        # the RAM has the first layers; none where accelerators have all
        for share in [*self.shares, LayerShare("host", self.layers_in_ram)]:
            if share.layers or output_bytes:
                yield self._part_of(term, share, stop, output_bytes)
            stop -= share.layers
            output_bytes = 0

    def _part_of(
        self,
        term: Term,
        share: LayerShare,
        stop: int,
        output_bytes: int,
    ) -> Term:
        """The part of the term that falls on a share: its layers, the last before `stop`, and
        `output_bytes` of the output matrix.
        """
        line = term.arithmetic
        if term.output_bytes:
            line = taken_off(line, term.output_bytes, "outside the layers")
        line = share_of(f"{share.layers}/{self.layers} of the layers", line)
        if output_bytes:
            line = summed(f"{output_bytes:,} bytes of output matrix", line)
        how = term.how
        if how is How.EXACT and share.layers < self.layers:
            # layers that differ in size are assumed to be spread evenly
            how = How.COMPUTED
        sizes = {}
        for end in SIZES:
            before = _bytes_before(stop - share.layers, term, end, self.layers)
            of_part = _bytes_before(stop, term, end, self.layers) - before
            sizes[end] = output_bytes + of_part
        return term.replace(
            where=share.where, how=how, arithmetic=line, output_bytes=0, **sizes
        )


def _enlarged(
    term: Term,
    more_bytes: int,
    what: str,
) -> Term:
    """The term with `more_bytes` added."""
    if not more_bytes:
        return term
    line = summed(term.arithmetic, f"{more_bytes:,} bytes {what}")
    return term.resized(term.bytes + more_bytes, line)
