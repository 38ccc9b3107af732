"""The terms of a need where accelerators hold them: all on one, whole layers on each, or parts of
it in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from ...core.records import Record
from ...machine.record import Machine
from ...needs.records import How, MemoryNeed, Needs, Offload, Term, share_of, summed, taken_off
from .devices import DEVICE_MARGIN_BYTES, Place, of_one_maker, places

# grow with the number of layers, so a share of them can lie elsewhere; the repacked copy is a CPU's
# layout of the weights
BY_LAYER = ("weights", "repacked_weights", "kv_cache", "recurrent_state", "adapter")

# of a layer, what is kept free on each of several accelerators that take whole ones: accelerate,
# get_balanced_memory, 1.25 times the largest or the mean
_ANOTHER_LAYER = 1.25

# loaded once, wherever the layers go: on the first device
_ONCE = ("projector", "draft_", "mtp_")

SIZES = ("bytes", "low_bytes", "high_bytes")


def in_turn(needs: Needs, place: Place, most_bytes: int | None = None) -> Iterator[Needs]:
    """Its parts in RAM and one of them at a time on that accelerator, the fastest way first; where
    `most_bytes` is given those that take no more there.
    """
    for way in needs.offloaded:
        if most_bytes is None or sum(term.high_bytes for term in way.device) <= most_bytes:
            there = [term.replace(where=place.where) for term in way.device]
            memory = MemoryNeed(terms=(*way.host, *there))
            yield needs.replace(placement="split", memory=memory, offload=way.way)


def offloaded(needs: Needs, candidates: Sequence[Place]) -> Iterator[Needs]:
    """Its parts in RAM and one of them at a time on the accelerator with most room, the fastest way
    first; nothing where that holds none.
    """
    sized = [place for place in candidates if place.room_bytes is not None]
    if not sized:
        return
    largest = max(sized, key=lambda place: place.room_bytes or 0)
    yield from in_turn(needs, largest, largest.room_bytes or 0)


def share_if_filled(placed: Needs, layers: int | None) -> float:
    """Of what a split leaves in RAM of the layers, the share that the accelerators would still
    take if somebody filled them to the last byte (`-ngl 99`) and each term were its least: the
    fast end of a pace.

    Layers are laid out by the most that they take, and a gigabyte stays free. What is free beside
    that is less than a layer, or one more would lie there; so the share is the same on machines
    that are laid out alike, whatever is free of each.
    """
    if placed.placement != "split" or placed.offload is not None or placed.memory is None:
        return 0.0
    terms, spare_bytes = placed.memory.terms, 0
    moving_bytes, layer_bytes = (
        sum(term.low_bytes for term in terms if term.name in BY_LAYER and is_there(term))
        for is_there in (lambda term: term.where == "host", lambda _term: True)
    )
    if not moving_bytes or not layers:
        return 0.0
    for where in {term.where for term in terms} - {"host"}:
        rounding = sum(term.high_bytes - term.low_bytes for term in terms if term.where == where)
        spare_bytes += DEVICE_MARGIN_BYTES + rounding + layer_bytes // layers
    return min(1.0, spare_bytes / moving_bytes)


def processes(term: Term, number: int) -> Term:
    """The program's own memory in RAM, once for each device."""
    if number == 1:
        return term
    together = {name: number * getattr(term, name) for name in SIZES}
    return term.replace(arithmetic=share_of(f"{number} processes", term.arithmetic), **together)


def spread(needs: Needs, memory: MemoryNeed, machine: Machine, layers: int) -> Iterator[Needs]:
    """Whole layers on each accelerator of one maker, as many on each, with room for another there.

    As accelerate's device_map "auto" does (its documentation, big model inference): the last takes
    what the others leave, and a layer that no accelerator holds would lie in RAM, from where it
    moves for each token. Nothing where that is so.
    """
    owned = machine.accelerators or ()
    sized = [
        (place, place.room_bytes)
        for place in places(machine)
        if place.room_bytes is not None and not owned[place.index].is_part
    ]
    taken = taken_by(memory)
    by_layer = sum(term.high_bytes for term in taken.by_layer)
    another = int(_ANOTHER_LAYER * by_layer // layers)
    for group in of_one_maker(sized, machine):
        if len(group) == 1:
            continue
        most = taken.each_bytes + taken.first_bytes - (-by_layer // len(group)) + another
        rooms = [min(room - another, most) for _, room in group[:-1]]
        rooms += [room - another for _, room in group[-1:]]
        capped = [
            place.replace(room_bytes=max(0, room))
            for (place, _), room in zip(group, rooms, strict=True)
        ]
        shares, left = _layers_by_place(memory, capped, layers)
        if len(shares) > 1 and not left:
            there = _on_devices(memory)
            yield _with_shares(needs, there, tuple(shares), 0, layers)
            return


def _on_devices(memory: MemoryNeed) -> MemoryNeed:
    """The terms as they are where the model lies on accelerators."""
    terms = [
        term if term.is_program or term.on_device is None else term.on_device
        for term in memory.terms
    ]
    return memory.replace(terms=tuple(terms))


# machines of one fleet have their accelerators in the same places
@lru_cache(32)
def on_one(needs: Needs, where: str) -> Needs:
    """All of it on one accelerator, but for the program and what llama.cpp keeps in RAM."""
    terms = [_in_file(term) for term in needs.memory.terms] if needs.memory else []
    stored = _as_stored(
        [term.beside or term if term.is_program else term.replace(where=where) for term in terms]
    )
    return placed_as(needs, "accelerator", [part for term in stored for part in _whole(term)])


def _moving_bytes(term: Term) -> int:
    """The most that a device holds of a term that is given to it whole."""
    parts = term.offload
    return (
        term.high_bytes
        if parts is None
        else term.high_bytes - term.bytes + parts.layer_bytes + parts.output_bytes
    )


def _whole(term: Term) -> Iterator[Term]:
    """A term that a device holds, and what of it stays in RAM."""
    parts = term.offload
    if parts is None or not parts.table_bytes:
        yield term.replace(offload=None)
        return
    moved, line = parts.layer_bytes + parts.output_bytes, term.arithmetic
    again = moved + parts.table_bytes - term.bytes
    if again != parts.table_bytes:
        line = taken_off(line, parts.table_bytes, "of embeddings")
        line = summed(line, f"{again:,} of them as the output matrix") if again else line
    yield _resized(term, moved, line)
    yield _embeddings(term, parts.table_bytes)


def _resized(term: Term, size: int, line: str) -> Term:
    """The term with another size; its range is as wide as before."""
    change = size - term.bytes
    return term.replace(
        bytes=size,
        low_bytes=max(0, term.low_bytes + change),
        high_bytes=term.high_bytes + change,
        arithmetic=line,
        offload=None,
    )


def _embeddings(term: Term, size: int) -> Term:
    """Tables that are mapped from the file: a token reads one row of each, and the system may
    drop the others.
    """
    return term.replace(
        name=term.name.replace("weights", "embeddings"),
        bytes=size,
        low_bytes=0,
        high_bytes=size,
        where="host",
        source=(
            f"{term.source}; llama.cpp keeps the input layer in RAM (src/llama-model.cpp,"
            " load_tensors)"
        ),
        arithmetic=(
            f"{size:,} bytes of tables, mapped; a token reads a row of each, the rest may be"
            " dropped"
        ),
        offload=None,
    )


def layers_shared_out(
    needs: Needs, memory: MemoryNeed, places: Sequence[Place], layers: int
) -> Iterator[Needs]:
    """Whole layers on each accelerator, as many as fit what it can give, the first ones first; what
    is left stays in RAM.

    llama.cpp leaves the first layers to the RAM. Nothing where not one layer fits.
    """
    shares, left = _layers_by_place(memory, places, layers)
    if shares:
        yield _with_shares(needs, memory, tuple(shares), left, layers)


@lru_cache(128)
def _with_shares(
    needs: Needs, memory: MemoryNeed, shares: tuple[tuple[str, int], ...], left: int, layers: int
) -> Needs:
    """So many layers in each place, and those that are left in RAM."""
    terms: list[Term] = []
    for term in memory.terms:
        terms.extend(_parts(_in_file(term), shares, left, layers))
    return placed_as(needs, "split" if left else "accelerator", terms)


class _Taken(Record):
    """What accelerators hold of a need, the most it may be: `whole_bytes` the one that holds all of
    it; where layers are shared out `each_bytes` every one, `first_bytes` the first beside that, and
    `by_layer` with the layers.
    """

    whole_bytes: int
    each_bytes: int
    first_bytes: int
    by_layer: tuple[Term, ...]


# of one model on many machines it is the same
@lru_cache(32)
def taken_by(memory: MemoryNeed) -> _Taken:
    there = [term.on_device or term for term in memory.terms if not term.is_program]
    by_layer = [term for term in there if term.name in BY_LAYER]
    once = [term for term in there if term.name.startswith(_ONCE)]
    return _Taken(
        whole_bytes=sum(_moving_bytes(term) for term in there),
        each_bytes=sum(
            term.high_bytes
            for term in there
            if term.name not in BY_LAYER and not term.name.startswith(_ONCE)
        ),
        first_bytes=sum(_moving_bytes(term) for term in once)
        + sum(term.offload.output_bytes for term in by_layer if term.offload is not None),
        by_layer=tuple([_of_layers(term) for term in by_layer]),
    )


def _layers_by_place(
    memory: MemoryNeed, places: Sequence[Place], layers: int
) -> tuple[list[tuple[str, int]], int]:
    """How many layers each place takes, without those that take none, and how many are left."""
    taken = taken_by(memory)
    left = layers
    shares: list[tuple[str, int]] = []
    for place in places:
        room = (place.room_bytes or 0) - taken.each_bytes - (0 if shares else taken.first_bytes)
        count = _most_layers(taken, left, layers, room)
        if count:
            shares.append((place.where, count))
            left -= count
    return shares, left


def _most_layers(taken: _Taken, left: int, layers: int, room: int) -> int:
    """How many of the last of the `left` layers have room together."""
    sizes = _sizes_of_last(taken, left, layers)
    low, high = 0, left
    while low < high:
        middle = (low + high + 1) // 2
        size = sizes.get(middle)
        if size is None:
            start = left - middle
            size = sizes[middle] = sum(
                [_share(term, "high_bytes", start, left, layers) for term in taken.by_layer]
            )
        if size <= room:
            low = middle
        else:
            high = middle - 1
    return low


# of one model on many machines they are the same
@lru_cache(128)
def _sizes_of_last(taken: _Taken, left: int, layers: int) -> dict[int, int]:
    """What so many of the last of the `left` layers take, filled in as it is asked for."""
    return {}


def _share(term: Term, end: str, start: int, stop: int, layers: int) -> int:
    """What some of the layers take of a term; those of all together are the term, whatever
    rounding does to each.
    """
    size: int = getattr(term, end)
    return size * stop // layers - size * start // layers


def _of_layers(term: Term) -> Term:
    """What of a term is shared out by layer."""
    if term.offload is None or term.offload.layer_bytes == term.bytes:
        return term
    apart = term.bytes - term.offload.layer_bytes
    return _resized(
        term, term.offload.layer_bytes, taken_off(term.arithmetic, apart, "outside the layers")
    )


def _parts(term: Term, shares: Sequence[tuple[str, int]], left: int, layers: int) -> Iterator[Term]:
    if term.is_program:
        yield term
        return
    if term.name.startswith(_ONCE):
        yield from _whole(term.replace(where=shares[0][0]))
        return
    if term.name not in BY_LAYER:
        # a compute buffer is needed wherever layers run
        if left:
            yield term
        for where, _ in shares:
            yield term.replace(where=where)
        return
    shared = _of_layers(term)
    # it goes with the last layer: the first device has that
    output = term.offload.output_bytes if term.offload is not None else 0
    stop = layers
    for where, count in (*shares, ("host", left)):
        if not count:
            continue
        part = _some_layers(shared, where, count, stop, layers)
        if output and stop == layers:
            line = summed(f"{output:,} bytes of output matrix", part.arithmetic)
            part = _resized(part, part.bytes + output, line)
        yield part
        stop -= count
    if term.offload is not None and term.offload.table_bytes:
        yield _embeddings(term, term.offload.table_bytes)


def _some_layers(shared: Term, where: str, count: int, stop: int, layers: int) -> Term:
    """Of a term that is shared out by layer, the `count` layers before `stop`."""
    sizes = {name: _share(shared, name, stop - count, stop, layers) for name in SIZES}
    # layers that differ are taken to lie evenly
    how = How.COMPUTED if shared.how is How.EXACT and count < layers else shared.how
    line = share_of(f"{count}/{layers} of the layers", shared.arithmetic)
    return shared.replace(where=where, how=how, arithmetic=line, offload=None, **sizes)


def placed_as(needs: Needs, placement: str, terms: list[Term]) -> Needs:
    """The need with these terms, some of them on accelerators."""
    there = [part for term in terms for part in _of_a_device(term, placement == "accelerator")]
    return needs.replace(
        placement=placement,
        memory=MemoryNeed(terms=tuple(_as_stored(there))),
    )


def _of_a_device(term: Term, away: bool) -> Iterator[Term]:
    """A term as it is where the model lies on an accelerator; the program stays in RAM, and is
    another build then.
    """
    there = term.on_device
    if there is None or (term.where == "host" and not (away and term.is_program)):
        yield term
        return
    yield there.replace(where=term.where, beside=None)
    if there.beside is not None:
        yield there.beside


def _in_file(term: Term) -> Term:
    """Of a second layout what its originals take."""
    return term.on_device if term.is_copy and term.on_device is not None else term


def _as_stored(terms: Sequence[Term]) -> Iterator[Term]:
    """Beside a device weights lie as they are stored, in RAM too: what a processor alone has in a
    second layout is part of them. llama.cpp prefers the device's kind of RAM to that layout, and
    the mapped file to both (llama.cpp 0c1e570: make_cpu_buft_list in src/llama-model.cpp,
    select_weight_buft in src/llama-model-loader.cpp).
    """
    copies = {
        (term.name.replace("repacked_", ""), term.where): term for term in terms if term.is_copy
    }
    for term in terms:
        copy = copies.get((term.name, term.where))
        if copy is not None:
            sizes = {name: getattr(term, name) + getattr(copy, name) for name in SIZES}
            line = summed(term.arithmetic, copy.arithmetic)
            yield term.replace(
                arithmetic=line, offload=_together(term.offload, copy.offload), **sizes
            )
        elif not term.is_copy:
            yield term


def _together(own: Offload | None, copied: Offload | None) -> Offload | None:
    if own is None or copied is None:
        return own
    return Offload(**{name: getattr(own, name) + getattr(copied, name) for name in Offload._fields})
