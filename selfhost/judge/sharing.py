"""The layers of a model shared out over accelerators and RAM, term by term.

`there` are the needs as `needs_on` counts them: the terms of the model wait for the accelerator
that holds them. Layers are shared out from the last to the first, since the output matrix goes with
the last one. What a place takes is computed with the range of each term.
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


class Share(NamedTuple):
    """So many layers in one place, `host` or `accelerator:N`."""

    where: str
    layers: int


def with_terms(
    needs: Needs, terms: Sequence[Term], placement: str = "accelerator"
) -> Needs:
    """The same needs with their terms placed."""
    return needs.replace(placement=placement, terms=tuple(terms), evictable_bytes=0)


def whole_on_one(there: Needs, where: str) -> Needs:
    """All of it on that accelerator, but for the program and what llama.cpp keeps in RAM."""
    placed = []
    for term in there.terms:
        placed.append(term.replace(where=where) if term.where == ACCELERATOR else term)
    return with_terms(there, placed)


def parts_in_turn(
    needs: Needs, place: Place | None, *, bounded: bool = True
) -> Iterator[Needs]:
    """Parts in RAM and one at a time on that accelerator; `bounded`: those that have room there."""
    if place is None:
        return
    room_bytes = place.known_bytes
    for way in needs.offloaded:
        taken_bytes = sum(term.high_bytes for term in way.device)
        if bounded and taken_bytes > room_bytes:
            continue
        on_device = [term.replace(where=place.where) for term in way.device]
        placed = with_terms(needs, (*way.host, *on_device), "split")
        yield placed.replace(offload=way.way)


# ------------------------------------------------------------------ how many layers have room


def layers_by_place(
    there: Needs, candidates: Sequence[Place], layers: int
) -> list[Share]:
    """As many layers on each place as have room there, the last layers first.

    Where some stay in RAM, the first place keeps room for the copies of those.
    """
    filling = _Filling.of(there, layers, is_alone=len(candidates) == 1)
    shares = filling.shares(candidates)
    copied_bytes = sum(term.offload_bytes for term in there.terms)
    if not copied_bytes or _layers_of(shares) == layers:
        return shares
    first_bytes = filling.first_bytes + copied_bytes
    return filling.replace(first_bytes=first_bytes).shares(candidates)


def _layers_of(shares: Sequence[Share]) -> int:
    return sum(share.layers for share in shares)


class _Filling(Record):
    """What places take that are filled with layers: the terms `by_layer`, and bytes beside them on
    each place and on the first.
    """

    layers: int
    by_layer: Sequence[Term]
    each_bytes: int
    first_bytes: int

    @classmethod
    def of(cls, there: Needs, layers: int, *, is_alone: bool) -> _Filling:
        """That of a model; `is_alone`: there is one place."""
        by_layer = []
        each_bytes = 0
        first_bytes = 0
        for term in there.terms:
            if term.split is Split.LAYERS:
                by_layer.append(term)
                first_bytes += term.output_bytes
            elif term.split is Split.EACH:
                each_bytes += term.high_bytes
            elif term.split is Split.FIRST:
                first_bytes += term.high_bytes
            if not is_alone:
                each_bytes += term.pipeline_bytes
        return cls(
            layers=layers,
            by_layer=by_layer,
            each_bytes=each_bytes,
            first_bytes=first_bytes,
        )

    def shares(self, candidates: Sequence[Place]) -> list[Share]:
        """As many layers on each place as have room there, the last layers first."""
        shares = list[Share]()
        left = self.layers
        for place in candidates:
            room_bytes = place.known_bytes - self.each_bytes
            if not shares:
                room_bytes -= self.first_bytes
            count = self._most_layers(room_bytes, left)
            if count > 0:
                shares.append(Share(place.where, count))
                left -= count
        return shares

    def _most_layers(self, room_bytes: int, stop: int) -> int:
        """How many layers before `stop` have room there; -1 where not even none has."""

        def bytes_of(count: int) -> int:
            part = _Layers(start=stop - count, stop=stop, of=self.layers)
            return sum(part.bytes_of(term, "high_bytes") for term in self.by_layer)

        return bisect_right(range(stop + 1), room_bytes, key=bytes_of) - 1


class _Layers(Record):
    """The layers from `start` on, before `stop`, of so many that a model has."""

    start: int
    stop: int
    of: int

    def bytes_of(self, term: Term, end: str) -> int:
        """What these layers take of a term, at one of its `SIZES`, without the output matrix.

        The shares of all layers and the output matrix add up to the term.
        """
        size: int = max(0, getattr(term, end) - term.output_bytes)
        first = term.first_layer
        holding = max(1, self.of - first)
        before_stop = size * max(0, self.stop - first) // holding
        return before_stop - size * max(0, self.start - first) // holding


# ------------------------------------------------------------------ the terms of each place


def layers_shared_out(
    needs: Needs, there: Needs, shares: Sequence[Share], layers: int
) -> Needs:
    """The terms where those shares lie; the layers that are left over lie in RAM, as in `needs`."""
    left = layers - _layers_of(shares)
    weights = [term for term in there.terms if term.name == "weights"]
    in_ram = {}
    placement = "accelerator"
    # weights, such as experts, may stay in RAM wherever the layers lie
    if left or any(term.split is Split.HOST for term in weights):
        in_ram = {term.name: term for term in needs.terms}
        placement = "split"
    division = _Division(
        there=there, shares=shares, layers=layers, left=left, in_ram=in_ram
    )
    return with_terms(there, division.terms(), placement)


class _Division(Record):
    """Shares of a model of so many layers; `left` of them are in RAM, with the terms `in_ram`.

    `there` are the needs on accelerators. `in_ram` is empty where nothing of the model is in RAM.
    """

    there: Needs
    shares: Sequence[Share]
    layers: int
    left: int
    in_ram: dict[str, Term]

    @property
    def first(self) -> str:
        """The place with the lowest number."""
        return min((share.where for share in self.shares), key=index_of)

    @property
    def with_ram(self) -> Sequence[Share]:
        """The shares, with that of the RAM last."""
        if not self.left:
            return self.shares
        return [*self.shares, Share("host", self.left)]

    def terms(self) -> list[Term]:
        """The terms of all places."""
        terms = list[Term]()
        for term in self.there.terms:
            if term.split is Split.LAYERS:
                terms += self._by_layers(term)
            elif term.split is Split.EACH:
                terms += self._in_each(term)
            elif term.split is Split.FIRST:
                terms.append(term.replace(where=self.first))
            else:
                terms.append(self._with_copies(term, term.where))
        return terms

    def _in_each(self, term: Term) -> Iterator[Term]:
        """What is needed wherever layers run, as a compute buffer."""
        in_ram = self.in_ram.get(term.name)
        if in_ram is not None and not self._stays_in_ram(term.name):
            yield in_ram
        for share in self.shares:
            yield self._with_copies(term, share.where)

    def _stays_in_ram(self, name: str) -> bool:
        """Whether a term of that name stays in RAM: what a device computes with weights that lie
        there is not computed in RAM, too.
        """
        terms = self.there.terms
        return any(term.split is Split.HOST and term.name == name for term in terms)

    def _with_copies(self, term: Term, where: str) -> Term:
        """The term there, with what several devices, or layers in RAM, make it take more."""
        more_bytes = 0
        what = "of inputs, three copies more to compute at once"
        if self.in_ram:
            if where == self.first:
                more_bytes = term.offload_bytes
                what = "for the experts of a layer while a prompt is read"
        elif len(self.shares) > 1:
            more_bytes = term.pipeline_bytes
        if not more_bytes:
            return term.replace(where=where)
        line = summed(term.arithmetic, f"{more_bytes:,} bytes {what}")
        return term.resized(term.bytes + more_bytes, line).replace(where=where)

    def _by_layers(self, term: Term) -> Iterator[Term]:
        """The part of the term in each place; the output matrix goes with the last layers."""
        output_bytes = term.output_bytes
        line = term.arithmetic
        if output_bytes:
            line = taken_off(line, output_bytes, "outside the layers")
        stop = self.layers
        for where, count in self.with_ram:
            if not count and not term.output_bytes:
                continue
            part = _Layers(start=stop - count, stop=stop, of=self.layers)
            sizes = {end: output_bytes + part.bytes_of(term, end) for end in SIZES}
            arithmetic = share_of(f"{count}/{self.layers} of the layers", line)
            if output_bytes:
                output = f"{output_bytes:,} bytes of output matrix"
                arithmetic = summed(output, arithmetic)
            yield term.replace(
                where=where,
                how=self._how_known(term, count),
                arithmetic=arithmetic,
                output_bytes=0,
                **sizes,
            )
            stop -= count
            output_bytes = 0

    def _how_known(self, term: Term, count: int) -> How:
        """How the size of so many layers is known: those that differ are taken to lie evenly."""
        if term.how is How.EXACT and count < self.layers:
            return How.COMPUTED
        return term.how
