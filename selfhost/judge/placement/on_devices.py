"""The terms of a need where accelerators hold them: all on one, whole layers on each, equal parts,
or a part of the model at a time.

`there` is the need as `needs_on` counts it: its terms wait for the accelerator that holds them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from ...machine.record import Accelerator, Machine
from ...needs import needs_on
from ...needs.records import (
    ACCELERATOR,
    How,
    MemoryNeed,
    Needs,
    Split,
    Term,
    share_of,
    summed,
    taken_off,
)
from .devices import Place, by_maker, device_of, places, roomiest

# of a layer, what is kept free on each of several accelerators that take whole ones: accelerate,
# get_balanced_memory, 1.25 times the largest or the mean
_ANOTHER_LAYER = 1.25
# more than any accelerator gives
_UNBOUNDED_BYTES = 1 << 60

SIZES = ("bytes", "low_bytes", "high_bytes")


def terms_of(needs: Needs) -> tuple[Term, ...]:
    """The terms of its memory; () where that is not known."""
    return needs.memory.terms if needs.memory is not None else ()


def with_terms(needs: Needs, terms: Sequence[Term], placement: str = "accelerator") -> Needs:
    """The need with these terms, some of them on accelerators."""
    return needs.replace(placement=placement, memory=MemoryNeed(terms=tuple(terms)))


def on_one(there: Needs, where: str) -> Needs:
    """All of it on that accelerator, but for the program and what llama.cpp keeps in RAM."""
    placed = [
        term.replace(where=where) if term.where == ACCELERATOR else term for term in terms_of(there)
    ]
    return with_terms(there, placed)


def bytes_there(there: Needs, end: str = "high_bytes") -> int:
    """What one accelerator that holds all of it takes. `end`: of the range of each term."""
    return sum(getattr(each, end) for each in terms_of(there) if each.where == ACCELERATOR)


def in_turn(needs: Needs, place: Place, most_bytes: int | None = None) -> Iterator[Needs]:
    """Its parts in RAM and one of them at a time on that accelerator, the fastest way first; where
    `most_bytes` is given those that take no more there.
    """
    for way in needs.offloaded:
        if most_bytes is None or sum(term.high_bytes for term in way.device) <= most_bytes:
            terms = (*way.host, *(term.replace(where=place.where) for term in way.device))
            yield with_terms(needs, terms, "split").replace(offload=way.way)


def offloaded(needs: Needs, candidates: Sequence[Place]) -> Iterator[Needs]:
    """As `in_turn`, on the accelerator with most room, where that holds a part."""
    largest = roomiest(candidates)
    if largest is not None:
        yield from in_turn(needs, largest, largest.room_bytes)


# ------------------------------------------------------------------ by layers


def layers_shared_out(
    needs: Needs, there: Needs, candidates: Sequence[Place], layers: int
) -> Iterator[Needs]:
    """Whole layers on each accelerator, as many as fit what it can give, the first ones first; what
    is left stays in RAM.

    llama.cpp leaves the first layers to the RAM. Nothing where not one layer fits.
    """
    shares = _layers_by_place(there, candidates, layers)
    copied = sum(term.offload_bytes for term in terms_of(there))
    if copied and sum(count for _, count in shares) < layers:
        first, *others = candidates
        smaller = first.replace(room_bytes=max(0, (first.room_bytes or 0) - copied))
        shares = _layers_by_place(there, [smaller, *others], layers)
    if shares:
        yield _in_layers(needs, there, shares, layers)


def spread(there: Needs, machine: Machine, layers: int) -> Iterator[Needs]:
    """Whole layers on each accelerator of one maker, as many on each, with room for another there.

    As accelerate's device_map "auto" does (its documentation, big model inference): the last takes
    what the others leave, and a layer that no accelerator holds would lie in RAM, from where it
    moves for each token. Nothing where that is so.
    """
    shared = [term for term in terms_of(there) if term.split is Split.LAYERS]
    by_layer = sum(term.high_bytes - term.output_bytes for term in shared)
    another = int(_ANOTHER_LAYER * by_layer // layers)
    for group in by_maker(places(machine.accelerators), machine):
        even = bytes_there(there) - by_layer + by_layer // len(group) + another
        bounds = [*[even] * (len(group) - 1), _UNBOUNDED_BYTES]
        capped = [
            place.replace(room_bytes=max(0, min((place.room_bytes or 0) - another, bound)))
            for place, bound in zip(group, bounds, strict=True)
        ]
        shares = _layers_by_place(there, capped, layers)
        if len(shares) > 1 and sum(count for _, count in shares) == layers:
            yield _in_layers(there, there, shares, layers)
            return


def _layers_by_place(
    there: Needs, candidates: Sequence[Place], layers: int
) -> list[tuple[str, int]]:
    """How many layers each place takes, without those that take none: the last layers first."""
    most = dict.fromkeys(Split, 0)
    for term in terms_of(there):
        most[term.split] += term.high_bytes
    by_layer = [term for term in terms_of(there) if term.split is Split.LAYERS]
    left, shares = layers, list[tuple[str, int]]()

    def taken(count: int) -> int:
        return sum(_share(term, "high_bytes", left - count, left, layers) for term in by_layer)

    several = len(candidates) > 1
    copied = sum(term.pipeline_bytes for term in terms_of(there)) if several else 0
    for place in candidates:
        room = (place.room_bytes or 0) - most[Split.EACH] - copied
        room -= 0 if shares else most[Split.FIRST]
        count = bisect_right(range(left + 1), room, key=taken) - 1
        if count > 0:
            shares.append((place.where, count))
            left -= count
    return shares


def _share(term: Term, end: str, start: int, stop: int, layers: int) -> int:
    """What some of the layers take of a term, the output with the last one; those of all together
    are the term, whatever rounding does to each.
    """
    size: int = max(0, getattr(term, end) - term.output_bytes)
    output_bytes = term.output_bytes if start < stop == layers else 0
    return size * stop // layers - size * start // layers + output_bytes


def _in_layers(needs: Needs, there: Needs, shares: Sequence[tuple[str, int]], layers: int) -> Needs:
    """So many layers in each place, and those that are left in RAM."""
    left = layers - sum(count for _, count in shares)
    in_ram = {term.name: term for term in terms_of(needs)} if left else {}
    terms: list[Term] = []
    for term in terms_of(there):
        if term.split is Split.LAYERS:
            terms += _parts(term, [*shares, ("host", left)] if left else shares, layers)
        elif term.split is Split.EACH:
            # a compute buffer is needed wherever layers run
            terms += [in_ram[term.name]] if term.name in in_ram else []
            terms += [_with_copies(term, where, shares, left) for where, _ in shares]
        else:
            is_first = term.split is Split.FIRST
            terms.append(term.replace(where=shares[0][0]) if is_first else term)
    return with_terms(there, terms, "split" if left else "accelerator")


def _with_copies(term: Term, where: str, shares: Sequence[tuple[str, int]], left: int) -> Term:
    """What each place needs whole: with copies of inputs where several hold all layers, and with
    copies of the experts of a layer on the first where some stay in RAM.
    """
    several, offloads = len(shares) > 1 and not left, left and where == shares[0][0]
    if several and term.pipeline_bytes:
        more, what = term.pipeline_bytes, "of inputs, three copies more to compute at once"
    elif offloads and term.offload_bytes:
        more, what = term.offload_bytes, "for the experts of a layer while a prompt is read"
    else:
        return term.replace(where=where)
    line = summed(term.arithmetic, f"{more:,} bytes {what}")
    return term.resized(term.bytes + more, line).replace(where=where)


def _parts(term: Term, shares: Sequence[tuple[str, int]], layers: int) -> Iterator[Term]:
    """The layers of each place, the last ones first."""
    stop, line = layers, term.arithmetic
    if term.output_bytes:
        line = taken_off(line, term.output_bytes, "outside the layers")
    for where, count in shares:
        sizes = {name: _share(term, name, stop - count, stop, layers) for name in SIZES}
        # layers that differ are taken to lie evenly
        how = How.COMPUTED if term.how is How.EXACT and count < layers else term.how
        own = share_of(f"{count}/{layers} of the layers", line)
        if term.output_bytes and stop == layers:
            own = summed(f"{term.output_bytes:,} bytes of output matrix", own)
        yield term.replace(where=where, how=how, arithmetic=own, output_bytes=0, **sizes)
        stop -= count


# ------------------------------------------------------------------ in equal parts


def in_parts(
    needs: Needs, group: Sequence[Place], cards: Sequence[Accelerator], *, is_lean: bool = False
) -> Needs:
    """Equal parts on each of a group of accelerators of a program that runs on these alone; `cards`
    are those of the machine, () where they were not read. A process takes memory on both sides:
    libraries in RAM, graphs and more on its device. `is_lean`: with the option by which the program
    takes less.
    """
    number = len(group)
    devices = [
        device_of(cards[place.index] if cards else None, number, is_lean=is_lean) for place in group
    ]
    there = {device: needs_on(needs, device) for device in dict.fromkeys(devices)}
    terms: list[Term] = []
    for alike in zip(*(terms_of(there[device]) for device in devices), strict=True):
        if alike[0].stays_in_ram:
            terms.append(_processes(alike[0], number) if alike[0].is_program else alike[0])
        if alike[0].split is not Split.HOST:
            terms += [
                each.replace(where=place.where) for each, place in zip(alike, group, strict=True)
            ]
    return with_terms(there[devices[0]], terms)


def _processes(term: Term, number: int) -> Term:
    """The program's own memory in RAM, once for each device."""
    if number == 1:
        return term
    together = {name: number * getattr(term, name) for name in SIZES}
    return term.replace(arithmetic=share_of(f"{number} processes", term.arithmetic), **together)
