"""The layers of a model shared out over accelerators and RAM, term by term.

`there` are the needs as `needs_on` counts them: the terms of the model wait for the accelerator
that holds them. Layers are shared out from the last to the first, since the output matrix goes with
the last one. What a place takes is computed with the range of each term.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

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
    placed = list[Term]()
    for term in there.terms:
        placed.append(term.replace(where=where) if term.where == ACCELERATOR else term)
    return with_terms(there, placed)


def parts_in_turn(
    needs: Needs, place: Place | None, *, bounded: bool = True
) -> Iterator[Needs]:
    """Parts in RAM and one at a time on that accelerator; `bounded`: those that have room there."""
    if place is None:
        return
    for way in needs.offloaded:
        most_bytes = sum(term.high_bytes for term in way.device)
        if bounded and most_bytes > (place.room_bytes or 0):
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
    shares = _filled(there, candidates, layers, copied_bytes=0)
    copied_bytes = sum(term.offload_bytes for term in there.terms)
    if not copied_bytes or _layers_of(shares) == layers:
        return shares
    return _filled(there, candidates, layers, copied_bytes=copied_bytes)


def _layers_of(shares: Sequence[Share]) -> int:
    return sum(share.layers for share in shares)


def _filled(
    there: Needs, candidates: Sequence[Place], layers: int, *, copied_bytes: int
) -> list[Share]:
    by_layer = [term for term in there.terms if term.split is Split.LAYERS]
    on_each_bytes = _high_bytes(there, Split.EACH)
    if len(candidates) > 1:
        on_each_bytes += sum(term.pipeline_bytes for term in there.terms)
    on_first_bytes = copied_bytes + _high_bytes(there, Split.FIRST)
    on_first_bytes += sum(term.output_bytes for term in by_layer)
    shares = list[Share]()
    left = layers
    for place in candidates:
        room_bytes = (place.room_bytes or 0) - on_each_bytes
        if not shares:
            room_bytes -= on_first_bytes
        count = _most_layers(by_layer, room_bytes, left, layers)
        if count > 0:
            shares.append(Share(place.where, count))
            left -= count
    return shares


def _high_bytes(there: Needs, split: Split) -> int:
    return sum(term.high_bytes for term in there.terms if term.split is split)


def _most_layers(
    by_layer: Sequence[Term], room_bytes: int, stop: int, layers: int
) -> int:
    """How many layers before `stop` have room there; -1 where not even none has."""

    def bytes_of(count: int) -> int:
        size = 0
        for term in by_layer:
            size += _bytes_of_layers(term, "high_bytes", count, stop, layers)
        return size

    return bisect_right(range(stop + 1), room_bytes, key=bytes_of) - 1


def _bytes_of_layers(term: Term, end: str, count: int, stop: int, layers: int) -> int:
    """Bytes of so many layers before `stop`, without the output matrix.

    The shares of all layers and the output matrix add up to the term.
    """
    size: int = max(0, getattr(term, end) - term.output_bytes)
    start = max(0, stop - count - term.first_layer)
    end_layer = max(0, stop - term.first_layer)
    holding = max(1, layers - term.first_layer)
    return size * end_layer // holding - size * start // holding


# ------------------------------------------------------------------ the terms of each place


def layers_shared_out(
    needs: Needs, there: Needs, shares: Sequence[Share], layers: int
) -> Needs:
    """The terms where those shares lie; the layers that are left over lie in RAM, as in `needs`."""
    left = layers - _layers_of(shares)
    if not left and not _keeps_weights_in_ram(there):
        return with_terms(there, _placed(there, _Division(shares, layers, 0, {})))
    in_ram = {term.name: term for term in needs.terms}
    division = _Division(shares, layers, left, in_ram)
    return with_terms(there, _placed(there, division), "split")


def _keeps_weights_in_ram(there: Needs) -> bool:
    """Whether weights, such as experts, stay in RAM wherever the layers lie."""
    weights = [term for term in there.terms if term.name == "weights"]
    return any(term.split is Split.HOST for term in weights)


class _Division(NamedTuple):
    """Shares of a model of so many layers; `left` of them are in RAM, with the terms `in_ram`.

    `in_ram` is empty where nothing of the model is in RAM.
    """

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


def _placed(there: Needs, division: _Division) -> list[Term]:
    # what a device computes with weights in RAM is not computed there, too
    counted = {term.name for term in there.terms if term.split is Split.HOST}
    terms = list[Term]()
    for term in there.terms:
        if term.split is Split.LAYERS:
            terms += _term_by_layers(term, division)
        elif term.split is Split.EACH:
            # a compute buffer is needed wherever layers run
            if term.name in division.in_ram and term.name not in counted:
                terms.append(division.in_ram[term.name])
            for share in division.shares:
                terms.append(_with_copies(term, share.where, division))
        elif term.split is Split.FIRST:
            terms.append(term.replace(where=division.first))
        else:
            terms.append(_with_copies(term, term.where, division))
    return terms


def _with_copies(term: Term, where: str, division: _Division) -> Term:
    """The term there, with what several devices, or layers in RAM, make it take more."""
    more_bytes = 0
    what = "of inputs, three copies more to compute at once"
    if division.in_ram and where == division.first:
        more_bytes = term.offload_bytes
        what = "for the experts of a layer while a prompt is read"
    elif not division.in_ram and len(division.shares) > 1:
        more_bytes = term.pipeline_bytes
    if more_bytes:
        line = summed(term.arithmetic, f"{more_bytes:,} bytes {what}")
        term = term.resized(term.bytes + more_bytes, line)
    return term.replace(where=where)


def _term_by_layers(term: Term, division: _Division) -> Iterator[Term]:
    """The part of the term in each place; the output matrix goes with the last layers."""
    output_bytes = term.output_bytes
    line = term.arithmetic
    if output_bytes:
        line = taken_off(line, output_bytes, "outside the layers")
    stop = division.layers
    for where, count in division.with_ram:
        if not count and not term.output_bytes:
            continue
        sizes: dict[str, int] = {}
        for end in SIZES:
            size = _bytes_of_layers(term, end, count, stop, division.layers)
            sizes[end] = output_bytes + size
        arithmetic = share_of(f"{count}/{division.layers} of the layers", line)
        if output_bytes:
            arithmetic = summed(f"{output_bytes:,} bytes of output matrix", arithmetic)
        how = term.how
        if how is How.EXACT and count < division.layers:
            # layers that differ are taken to lie evenly
            how = How.COMPUTED
        yield term.replace(
            where=where, how=how, arithmetic=arithmetic, output_bytes=0, **sizes
        )
        stop -= count
        output_bytes = 0
