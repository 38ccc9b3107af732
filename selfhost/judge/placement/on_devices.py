"""The terms of a need where accelerators hold them: all on one, whole layers on each, equal parts,
or a part of the model at a time.

`there` is the need as `needs_on` counts it: its terms wait for the accelerator that holds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...core.records import Record
from ...machine.record import Accelerator, Machine
from ...needs import needs_on
from ...needs.records import (
    ACCELERATOR,
    SHARED_OUT,
    How,
    MemoryNeed,
    Needs,
    Split,
    Term,
    share_of,
    summed,
    taken_off,
)
from .devices import (
    DEVICE_MARGIN_BYTES,
    TIGHT,
    Place,
    device_of,
    of_one_maker,
    places,
    whole_cards,
)

# of a layer, what is kept free on each of several accelerators that take whole ones: accelerate,
# get_balanced_memory, 1.25 times the largest or the mean
_ANOTHER_LAYER = 1.25

SIZES = ("bytes", "low_bytes", "high_bytes")


def terms_of(needs: Needs) -> tuple[Term, ...]:
    """The terms of its memory; () where that is not known."""
    return needs.memory.terms if needs.memory is not None else ()


def roomiest(candidates: Sequence[Place]) -> Place | None:
    """The accelerator with most room; None where none has any."""
    largest = max(candidates, key=lambda place: place.room_bytes or 0, default=None)
    return largest if largest is not None and largest.room_bytes else None


def with_terms(needs: Needs, terms: Sequence[Term], placement: str = "accelerator") -> Needs:
    """The need with these terms, some of them on accelerators."""
    return needs.replace(placement=placement, memory=MemoryNeed(terms=tuple(terms)))


# ------------------------------------------------------------------ all on one


def on_one(there: Needs, where: str) -> Needs:
    """All of it on that accelerator, but for the program and what llama.cpp keeps in RAM."""
    return with_terms(
        there,
        [
            each.replace(where=where) if each.where == ACCELERATOR else each
            for each in terms_of(there)
        ],
    )


def bytes_there(there: Needs, end: str = "high_bytes") -> int:
    """What one accelerator that holds all of it takes. `end`: of the range of each term."""
    return sum(getattr(each, end) for each in terms_of(there) if each.where == ACCELERATOR)


# ------------------------------------------------------------------ a part at a time


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


class _Taken(Record):
    """What accelerators hold of a need that is shared out by layer, the most it may be: every one
    `each_bytes`, the first `first_bytes` beside that, and `by_layer` with the layers.
    """

    each_bytes: int
    first_bytes: int
    by_layer: tuple[Term, ...]


def _taken(there: Needs) -> _Taken:
    terms = terms_of(there)
    by_layer = [each for each in terms if each.split is Split.LAYERS]
    first = sum(each.high_bytes for each in terms if each.split is Split.FIRST)
    return _Taken(
        each_bytes=sum(each.high_bytes for each in terms if each.split is Split.EACH),
        first_bytes=first + sum(each.output_bytes for each in by_layer),
        by_layer=tuple([_without_output(each) for each in by_layer]),
    )


def layers_shared_out(
    needs: Needs, there: Needs, candidates: Sequence[Place], layers: int
) -> Iterator[Needs]:
    """Whole layers on each accelerator, as many as fit what it can give, the first ones first; what
    is left stays in RAM.

    llama.cpp leaves the first layers to the RAM. Nothing where not one layer fits.
    """
    shares, left = _layers_by_place(_taken(there), candidates, layers)
    if shares:
        yield _in_layers(needs, there, shares, left, layers)


def spread(there: Needs, machine: Machine, layers: int) -> Iterator[Needs]:
    """Whole layers on each accelerator of one maker, as many on each, with room for another there.

    As accelerate's device_map "auto" does (its documentation, big model inference): the last takes
    what the others leave, and a layer that no accelerator holds would lie in RAM, from where it
    moves for each token. Nothing where that is so.
    """
    owned, taken = machine.accelerators or (), _taken(there)
    sized = [
        (place, place.room_bytes)
        for place in places(machine)
        if place.room_bytes is not None and not owned[place.index].is_part
    ]
    by_layer = sum(term.high_bytes for term in taken.by_layer)
    another = int(_ANOTHER_LAYER * by_layer // layers)
    for group in of_one_maker(sized, machine):
        most = taken.each_bytes + taken.first_bytes - (-by_layer // len(group)) + another
        rooms = [min(room - another, most) for _, room in group[:-1]]
        rooms += [room - another for _, room in group[-1:]]
        capped = [
            place.replace(room_bytes=max(0, room))
            for (place, _), room in zip(group, rooms, strict=True)
        ]
        shares, left = _layers_by_place(taken, capped, layers)
        if len(shares) > 1 and not left:
            yield _in_layers(there, there, shares, 0, layers)
            return


def _layers_by_place(
    taken: _Taken, candidates: Sequence[Place], layers: int
) -> tuple[list[tuple[str, int]], int]:
    """How many layers each place takes, without those that take none, and how many are left."""
    left = layers
    shares: list[tuple[str, int]] = []
    for place in candidates:
        room = (place.room_bytes or 0) - taken.each_bytes - (0 if shares else taken.first_bytes)
        count = _most_layers(taken.by_layer, left, layers, room)
        if count:
            shares.append((place.where, count))
            left -= count
    return shares, left


def _most_layers(by_layer: Sequence[Term], left: int, layers: int, room: int) -> int:
    """How many of the last of the `left` layers have room together."""
    low, high = 0, left
    while low < high:
        middle = (low + high + 1) // 2
        start = left - middle
        size = sum([_share(term, "high_bytes", start, left, layers) for term in by_layer])
        if size <= room:
            low = middle
        else:
            high = middle - 1
    return low


def _share(term: Term, end: str, start: int, stop: int, layers: int) -> int:
    """What some of the layers take of a term; those of all together are the term, whatever
    rounding does to each.
    """
    size: int = getattr(term, end)
    return size * stop // layers - size * start // layers


def _without_output(term: Term) -> Term:
    """What of a term is shared out by layer."""
    if not term.output_bytes:
        return term
    line = taken_off(term.arithmetic, term.output_bytes, "outside the layers")
    return term.resized(term.bytes - term.output_bytes, line)


def _in_layers(
    needs: Needs, there: Needs, shares: Sequence[tuple[str, int]], left: int, layers: int
) -> Needs:
    """So many layers in each place, and those that are left in RAM."""
    in_ram = {term.name: term for term in terms_of(needs)} if left else {}
    terms: list[Term] = []
    for term in terms_of(there):
        if term.split is Split.LAYERS:
            terms += _parts(term, (*shares, ("host", left)), layers)
        elif term.split is Split.EACH:
            # a compute buffer is needed wherever layers run
            terms += [in_ram[term.name]] if term.name in in_ram else []
            terms += [term.replace(where=where) for where, _ in shares]
        else:
            is_first = term.split is Split.FIRST
            terms.append(term.replace(where=shares[0][0]) if is_first else term)
    return with_terms(there, terms, "split" if left else "accelerator")


def _parts(term: Term, shares: Sequence[tuple[str, int]], layers: int) -> Iterator[Term]:
    """The layers of each place, the last ones first; the output goes with the last layer."""
    shared, stop = _without_output(term), layers
    for where, count in shares:
        if not count:
            continue
        sizes = {name: _share(shared, name, stop - count, stop, layers) for name in SIZES}
        # layers that differ are taken to lie evenly
        how = How.COMPUTED if shared.how is How.EXACT and count < layers else shared.how
        line = share_of(f"{count}/{layers} of the layers", shared.arithmetic)
        part = shared.replace(where=where, how=how, arithmetic=line, **sizes)
        if term.output_bytes and stop == layers:
            line = summed(f"{term.output_bytes:,} bytes of output matrix", part.arithmetic)
            part = part.resized(part.bytes + term.output_bytes, line)
        yield part
        stop -= count


def share_if_filled(placed: Needs, layers: int | None) -> float:
    """Of what a split leaves in RAM of the layers, the share that the accelerators would still
    take if somebody filled them to the last byte (`-ngl 99`) and each term were its least: the
    fast end of a pace.

    Layers are laid out by the most that they take, and a gigabyte stays free. What is free beside
    that is less than a layer, or one more would lie there; so the share is the same on machines
    that are laid out alike, whatever is free of each.
    """
    if placed.placement != "split" or placed.offload is not None:
        return 0.0
    terms, spare_bytes = terms_of(placed), 0
    by_layer = [term for term in terms if term.split is Split.LAYERS]
    layer_bytes = sum(term.low_bytes for term in by_layer)
    moving_bytes = sum(term.low_bytes for term in by_layer if term.where == "host")
    if not moving_bytes or not layers:
        return 0.0
    for where in {term.where for term in terms} - {"host"}:
        rounding = sum(term.high_bytes - term.low_bytes for term in terms if term.where == where)
        spare_bytes += DEVICE_MARGIN_BYTES + rounding + layer_bytes // layers
    return min(1.0, spare_bytes / moving_bytes)


# ------------------------------------------------------------------ in equal parts


def in_parts(
    needs: Needs, cards: Sequence[tuple[str, Accelerator | None]], *, is_lean: bool = False
) -> Needs:
    """Equal parts on accelerators, each given with its place, of a program that runs on these
    alone. A process takes memory on both sides: libraries in RAM, graphs and more on its device.
    `is_lean`: with the option by which the program takes less.
    """
    number = len(cards)
    devices = [device_of(card, number, is_lean=is_lean) for _, card in cards]
    there = {device: needs_on(needs, device) for device in dict.fromkeys(devices)}
    terms: list[Term] = []
    for alike in zip(*(terms_of(there[device]) for device in devices), strict=True):
        if alike[0].stays_in_ram:
            terms.append(processes(alike[0], number) if alike[0].is_program else alike[0])
        if alike[0].split is not Split.HOST:
            terms += [
                each.replace(where=where) for each, (where, _) in zip(alike, cards, strict=True)
            ]
    return with_terms(there[devices[0]], terms)


def processes(term: Term, number: int) -> Term:
    """The program's own memory in RAM, once for each device."""
    if number == 1:
        return term
    together = {name: number * getattr(term, name) for name in SIZES}
    return term.replace(arithmetic=share_of(f"{number} processes", term.arithmetic), **together)


def sharded(
    there: Needs, machine: Machine, gathered: Term, end: str = "high_bytes"
) -> Iterator[Needs]:
    """Training on the fewest accelerators that hold it, on the most where only the least need is
    sure to fit: weights, gradients and optimizer in equal parts (ZeRO, arXiv 1910.02054, section
    5), the rest whole on each, and a process in RAM for each. `gathered`: what each holds whole of
    those parts. `end`: of the range of what it needs; where they hold the likely need the most is
    near to it.
    """
    if end == "low_bytes":
        chosen = max(_holding(there, machine, gathered, end), key=len, default=[])
    else:
        chosen = next(_holding(there, machine, gathered, end), [])
    if chosen and end == "bytes":
        # those that hold the likely need may lack much of the most
        near = next(_holding(there, machine, gathered, "high_bytes", TIGHT), [])
        chosen = max(chosen, near, key=len) if near else []
    if not chosen:
        return
    terms: list[Term] = []
    for term in (*terms_of(there), gathered):
        if term.is_program:
            terms.append(processes(term, len(chosen)))
        elif term.name in SHARED_OUT:
            terms += [
                _equal_part(term, place, index, len(chosen)) for index, place in enumerate(chosen)
            ]
        else:
            terms += [term.replace(where=place.where) for place in chosen]
    yield with_terms(there, terms)


def _holding(
    needs: Needs, machine: Machine, gathered: Term | None, end: str, room_times: float = 1.0
) -> Iterator[list[Place]]:
    """Accelerators, largest first, that hold a training in parts: the fewest, then a group of each
    larger number. `gathered` None: what surely lies whole on each is not counted. `end`: of the
    range of the terms; `room_times`: of what each can give.
    """
    beside = [term for term in terms_of(needs) if not term.is_program]
    shared = sum(getattr(term, end) for term in beside if term.name in SHARED_OUT)
    whole_bytes = 0
    if gathered is not None:
        whole_bytes = sum(getattr(term, end) for term in (*beside, gathered)) - shared
    sized = whole_cards([(place, place.room_bytes) for place in places(machine)], machine)
    alike = of_one_maker(sized, machine)
    for number in range(2, len(sized) + 1):
        part_bytes = -(-shared // number) + whole_bytes
        for group in reversed(alike):
            if len(group) >= number and part_bytes <= room_times * group[number - 1][1]:
                yield [place for place, _ in group[:number]]
                break


def devices_for_parts(needs: Needs, machine: Machine) -> int:
    """The fewest accelerators that may hold weights, gradients and optimizer of a training in equal
    parts, whatever lies beside these; 0 where they surely do not.
    """
    return len(next(_holding(needs, machine, None, "low_bytes"), ()))


def _equal_part(term: Term, place: Place, index: int, number: int) -> Term:
    """What the device of that index holds of a term that `number` devices share."""
    part = {name: (getattr(term, name) + index) // number for name in SIZES}
    if term.name == "gradients":
        # what activations let go stays whole on each device, however few gradients it keeps
        part["low_bytes"] = max(0, part["bytes"] - (term.bytes - term.low_bytes))
    line = share_of(f"1/{number} of the devices", term.arithmetic)
    return term.replace(where=place.where, arithmetic=line, **part)
