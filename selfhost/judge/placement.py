"""Where a model's memory would lie: on accelerators, split with RAM, or in RAM alone.

`there` is the need as `needs_on` counts it: its terms wait for the accelerator that holds them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from ..catalogue.spec_values import GENERATING
from ..core.records import Record
from ..core.units import GIB
from ..machine.record import Accelerator, Machine
from ..needs import Case, in_batches, needs_in_batches, needs_on
from ..needs.records import (
    ACCELERATOR,
    PROGRAMS,
    Device,
    How,
    Needs,
    Split,
    Term,
    share_of,
    summed,
    taken_off,
)
from .batches import is_batch_asked
from .devices import (
    DEVICE_MARGIN_BYTES,
    LARGE_DEVICE_BYTES,
    Place,
    device_of,
    emptied,
    gpu_maker,
    group_by_maker,
    index_of,
    percent_of,
    places,
    reaches,
    room_of,
    roomiest,
    runs_on,
)

if TYPE_CHECKING:
    from .record import Question

# sizes of devices from which on a program takes more or less of them are multiples of it
_STEP_BYTES = 5 * GIB
# of a layer, what is kept free on each of several accelerators that take whole ones: accelerate,
# get_balanced_memory, 1.25 times the largest or the mean
_ANOTHER_LAYER = 1.25
# how much more of the weights larger batches may leave to the RAM, an assumed figure: each token
# is slowed down as much
_MORE_IN_RAM = 1.1
_WEIGHTS_IN_RAM = ("weights", "host")
# more than any accelerator gives
_UNBOUNDED_BYTES = 1 << 60
# what of a need counts: of training the likely or the least too, for trainers differ
_ENDS_BY_TASK = {"generate": ("high_bytes",), "finetune": ("high_bytes", "bytes", "low_bytes")}
_SIZES = ("bytes", "low_bytes", "high_bytes")


class _BesideRam(Record):
    """A model in a program that runs in RAM, too, with which it shares out so many `layers`."""

    needs: Needs
    there: Needs
    machine: Machine
    question: Question
    layers: int | None


def placements(
    needs: Needs, machine: Machine, question: Question, *, at_any_pace: bool = False
) -> Iterator[Needs]:
    """The same needs with their terms placed, in the order they are to be judged: accelerators,
    split, host, the same once others have left them, unread accelerator; last the largest
    accelerator where it must hold all and cannot. Split in larger batches of a prompt goes before,
    unless `at_any_pace`.
    """
    runtime, architecture, layers = question.runtime, question.spec.architecture, None
    has_none = machine.accelerators is not None and not places(machine.accelerators)
    if question.wants_gpu and needs.memory is not None:
        yield from _layouts_without_ram(needs, machine, question)
        return
    if needs.memory is None or has_none or (runtime is not None and runtime.cpu_only):
        yield needs
        return
    if runtime and architecture and runtime.splits_layers and question.workload.task == "generate":
        layers = architecture.layers
    case = in_batches_of(question, needs)
    there = needs_on(needs, case, Device(maker=gpu_maker(machine, runtime)))
    model = _BesideRam(needs=needs, there=there, machine=machine, question=question, layers=layers)
    yield from _layouts_with_ram(model, at_any_pace=at_any_pace)


def in_batches_of(question: Question, needs: Needs) -> Case | None:
    """The case of the question in the batches that these needs are counted for."""
    if question.case is None:
        return None
    return in_batches(question.case, needs.batch_tokens)


def _with_terms(needs: Needs, terms: Sequence[Term], placement: str = "accelerator") -> Needs:
    return needs.replace(placement=placement, terms=tuple(terms), evictable_bytes=0)


def whole_on_one(there: Needs, where: str) -> Needs:
    """All of it on that accelerator, but for the program and what llama.cpp keeps in RAM."""
    placed = [
        term.replace(where=where) if term.where == ACCELERATOR else term for term in there.terms
    ]
    return _with_terms(there, placed)


def _parts_in_turn(needs: Needs, place: Place | None, *, bounded: bool = True) -> Iterator[Needs]:
    """Parts in RAM and one at a time on that accelerator; `bounded`: those that have room there."""
    for way in needs.offloaded if place is not None else ():
        size = sum(term.high_bytes for term in way.device)
        if place is not None and (not bounded or size <= (place.room_bytes or 0)):
            terms = (*way.host, *(term.replace(where=place.where) for term in way.device))
            yield _with_terms(needs, terms, "split").replace(offload=way.way)


def _layouts_with_ram(model: _BesideRam, *, at_any_pace: bool) -> Iterator[Needs]:
    needs, there, cards = model.needs, model.there, model.machine.accelerators
    now, later = places(cards), places(emptied(cards or ()))
    stated = _shared_by_room(model, now, only_stated=True)
    if stated is not None:
        yield stated
        return
    ends = _ENDS_BY_TASK[model.question.workload.task]
    ways = (_layout_on_cards(model, now, end) for end in ends)
    placed = next(filter(None, ways), None) or _balanced(model)
    if placed is not None and placed.placement == "split" and not at_any_pace:
        yield from _in_larger_batches(model, now, placed)
    yield from [placed] if placed is not None else _parts_in_turn(needs, roomiest(now))
    yield needs
    if now != later:
        other = _layout_on_cards(model, later)
        # a few layers more make no other layout
        if other is not None and (placed is None or other.placement == "accelerator"):
            yield other
        yield from _parts_in_turn(needs, roomiest(later)) if placed is None else ()
    for place in _unread(model.machine):
        yield whole_on_one(there, place.where)
    largest = roomiest(later)
    if largest is not None and placed is None and not model.layers:
        yield from _parts_in_turn(needs, largest, bounded=False)
        yield whole_on_one(there, largest.where)


def _in_larger_batches(model: _BesideRam, group: Sequence[Place], placed: Needs) -> Iterator[Needs]:
    """The layout with the largest batches of a prompt that leave hardly more experts to the RAM:
    all of those that wait there cross to the GPUs once for each batch.
    """
    case, runtime = in_batches_of(model.question, model.needs), model.question.runtime
    copies_experts = any(term.offload_bytes for term in model.there.terms)
    if case is None or runtime is None or not copies_experts or is_batch_asked(case):
        return
    most_bytes = _MORE_IN_RAM * _weights_in_ram(placed)
    for tokens in sorted(runtime.batches_beside_ram, reverse=True):
        if tokens > case.room.tokens:
            continue
        needs = needs_in_batches(model.needs, case, tokens)
        maker = gpu_maker(model.machine, runtime)
        there = needs_on(needs, in_batches(case, tokens), Device(maker=maker))
        layout = _layout_on_cards(model.replace(needs=needs, there=there), group)
        if layout is not None and _weights_in_ram(layout) <= most_bytes:
            yield layout
            return


def _weights_in_ram(placed: Needs) -> int:
    return sum(term.bytes for term in placed.terms if (term.name, term.where) == _WEIGHTS_IN_RAM)


def _shared_by_room(
    model: _BesideRam, group: Sequence[Place], *, only_stated: bool = False
) -> Needs | None:
    """All layers, or what options state: in proportion to all that is free, with the output matrix
    as the last (src/llama-model.cpp, load_tensors). `only_stated`: None where no option states any.
    """
    case, layers = model.question.case, model.layers
    if case is None or not group or not layers:
        return None
    number = case.settings.get("gpu_layers")
    if only_stated and number is None and case.settings.get("cpu_expert_layers") is None:
        return None
    counted = layers + 1 if number is None else min(layers + 1, int(number))
    rooms = [DEVICE_MARGIN_BYTES + each.room_bytes if each.room_bytes else 1 for each in group]
    ends = [-(-counted * free // sum(rooms)) for free in accumulate(rooms)]
    counts = zip(group, pairwise([0, *ends]), strict=True)
    shares = [(place.where, stop - start) for place, (start, stop) in counts if stop > start]
    if not shares:
        return model.needs
    (where, count), *others = shares[::-1]
    return _layers_shared_out(model.needs, model.there, [(where, count - 1), *others], layers)


def _layout_on_cards(
    model: _BesideRam, candidates: Sequence[Place], end: str = "high_bytes"
) -> Needs | None:
    """On the one with the fastest memory that holds that `end`, else its layers shared out."""
    from .pace.rates import device_bandwidth

    there, layers, cards = model.there, model.layers, model.machine.accelerators or ()
    sized = {each: each.room_bytes for each in candidates if each.room_bytes is not None}
    rates = {place: device_bandwidth(cards[place.index]) or 0 for place in sized}
    size = sum(getattr(each, end) for each in there.terms if each.where == ACCELERATOR)
    holding = [place for place in sized if size <= sized[place]]
    if holding:
        return whole_on_one(there, max(holding, key=lambda each: (rates[each], sized[each])).where)
    if not layers:
        return None
    by_room = sorted(sized, key=lambda place: (-sized[place], -rates[place]))
    # a program that has to be told to take one takes all, others as few as hold it
    takes_all = model.question.runtime and "one_device" in model.question.runtime.options
    for number in range(len(sized) if takes_all else 2, len(sized) + 1):
        group = sorted(by_room[:number], key=lambda place: place.index)
        even = _shared_by_room(model, group)
        if even is not None and _lacking(even, group, end) <= 0:
            return even
    shares = _layers_by_place(there, [*sized], layers)
    return _layers_shared_out(model.needs, there, shares, layers) if shares else None


def _balanced(model: _BesideRam) -> Needs | None:
    """As accelerate's device_map "auto" does (its documentation, big model inference): as many
    layers on each accelerator of one maker, the last takes what the others leave. None where a
    layer would lie in RAM, from where it moves for each token.
    """
    spec, there, runtime = model.question.spec, model.there, model.question.runtime
    is_text = spec.modality in GENERATING and model.question.workload.task != "finetune"
    if runtime is None or not runtime.spreads_layers or spec.architecture is None or not is_text:
        return None
    layers = spec.architecture.layers
    shared = [term for term in there.terms if term.split is Split.LAYERS]
    by_layer = sum(term.high_bytes - term.output_bytes for term in shared)
    on_gpu = sum(term.high_bytes for term in there.terms if term.where == ACCELERATOR)
    another = int(_ANOTHER_LAYER * by_layer // layers)
    for group in group_by_maker(places(model.machine.accelerators), model.machine):
        even = on_gpu - by_layer + by_layer // len(group) + another
        bounds = [*[even] * (len(group) - 1), _UNBOUNDED_BYTES]
        capped = [
            place.replace(room_bytes=max(0, min((place.room_bytes or 0) - another, bound)))
            for place, bound in zip(group, bounds, strict=True)
        ]
        shares = _layers_by_place(there, capped, layers)
        if len(shares) > 1 and sum(count for _, count in shares) == layers:
            return _layers_shared_out(there, there, shares, layers)
    return None


def _layers_by_place(
    there: Needs, candidates: Sequence[Place], layers: int, copied_bytes: int = 0
) -> list[tuple[str, int]]:
    """The last layers first. `copied_bytes`: what the first copies of those that stay in RAM."""
    most = dict.fromkeys(Split, 0)
    by_layer = [term for term in there.terms if term.split is Split.LAYERS]
    most[Split.FIRST] = copied_bytes + sum(term.output_bytes for term in by_layer)
    for term in there.terms:
        most[term.split] += term.high_bytes
    left, shares = layers, list[tuple[str, int]]()

    def taken(count: int) -> int:
        return sum(_share(term, "high_bytes", count, left, layers) for term in by_layer)

    if len(candidates) > 1:
        most[Split.EACH] += sum(term.pipeline_bytes for term in there.terms)
    for place in candidates:
        room = (place.room_bytes or 0) - most[Split.EACH] - (0 if shares else most[Split.FIRST])
        count = bisect_right(range(left + 1), room, key=taken) - 1
        if count > 0:
            shares.append((place.where, count))
            left -= count
    if left and not copied_bytes and (copies := sum(term.offload_bytes for term in there.terms)):
        return _layers_by_place(there, candidates, layers, copies)
    return shares


def _share(term: Term, end: str, count: int, stop: int, layers: int) -> int:
    """Bytes of so many layers before `stop`: the shares of all of them and the output matrix add up
    to the term.
    """
    size: int = max(0, getattr(term, end) - term.output_bytes)
    first, last = (max(0, layer - term.first_layer) for layer in (stop - count, stop))
    holding = max(1, layers - term.first_layer)
    return size * last // holding - size * first // holding


def _layers_shared_out(
    needs: Needs, there: Needs, shares: Sequence[tuple[str, int]], layers: int
) -> Needs:
    left = layers - sum(count for _, count in shares)
    # experts alone may be there
    has_weights = left or any(t.name == "weights" and t.split is Split.HOST for t in there.terms)
    in_ram = {term.name: term for term in needs.terms} if has_weights else {}
    # what a device computes with weights in RAM is not computed there, too
    counted = {term.name for term in there.terms if term.split is Split.HOST}
    terms: list[Term] = []
    for term in there.terms:
        if term.split is Split.LAYERS:
            terms += _term_by_layers(term, [*shares, ("host", left)] if left else shares, layers)
        elif term.split is Split.EACH:
            # a compute buffer is needed wherever layers run
            terms += [in_ram[term.name]] if term.name in in_ram.keys() - counted else []
            for where, _ in shares:
                terms.append(_with_copies(term, where, shares, is_split=bool(in_ram)))
        elif term.split is Split.FIRST:
            terms.append(term.replace(where=min(dict(shares), key=index_of)))
        else:
            terms.append(_with_copies(term, term.where, shares, is_split=bool(in_ram)))
    return _with_terms(there, terms, "split" if in_ram else "accelerator")


def _with_copies(
    term: Term, where: str, shares: Sequence[tuple[str, int]], *, is_split: bool
) -> Term:
    """The term on that accelerator, with what the program keeps there to compute several parts at
    once, or where `is_split`, to compute experts of the RAM.
    """
    more, what = 0, ""
    if len(shares) > 1 and not is_split:
        more, what = term.pipeline_bytes, "of inputs, three copies more to compute at once"
    elif is_split and where == min(dict(shares), key=index_of):
        more, what = term.offload_bytes, "for the experts of a layer while a prompt is read"
    if more:
        line = summed(term.arithmetic, f"{more:,} bytes {what}")
        term = term.resized(term.bytes + more, line)
    return term.replace(where=where)


def _term_by_layers(term: Term, shares: Sequence[tuple[str, int]], layers: int) -> Iterator[Term]:
    stop, line, output_bytes = layers, term.arithmetic, term.output_bytes
    if output_bytes:
        line = taken_off(line, output_bytes, "outside the layers")
    for where, count in (share for share in shares if term.output_bytes or share[1]):
        sizes = {name: output_bytes + _share(term, name, count, stop, layers) for name in _SIZES}
        # layers that differ are taken to lie evenly
        how = How.COMPUTED if term.how is How.EXACT and count < layers else term.how
        own = share_of(f"{count}/{layers} of the layers", line)
        if output_bytes:
            own = summed(f"{output_bytes:,} bytes of output matrix", own)
        yield term.replace(where=where, how=how, arithmetic=own, output_bytes=0, **sizes)
        stop, output_bytes = stop - count, 0


def _layouts_without_ram(needs: Needs, machine: Machine, question: Question) -> Iterator[Needs]:
    """On one accelerator, then on as many as tensor parallelism divides it over; as they are now,
    else once others have left them. Then in turn, then where nothing was read; the RAM last. Where
    it surely fits on none, on the number that lack least, with an option that makes it take less.
    """
    owned, tried = machine.accelerators or (), list[tuple[int, list[Place]]]()
    states = dict.fromkeys((owned, emptied(owned)))
    for cards in states:
        groups = [
            (_lacking(_equal_parts(needs, group, cards, question), group), group)
            for group in _groups(needs, machine, cards, question)
        ]
        holding = [group for lacking, group in groups if lacking <= 0]
        # one alone, or the most: more of them are faster, and leave more of each for requests
        # (vLLM documentation, parallelism and scaling: as many as the machine has)
        for group in (each for each in holding if len(each) == 1 or each is holding[-1]):
            yield _equal_parts(needs, group, owned, question)
        if holding:
            return
        tried += groups
    nearest = min(tried, key=lambda item: item[0], default=(0, []))[1]
    if nearest:
        plain = needs_on(needs, question.case, Device(devices=len(nearest)))
        less = needs_on(needs, question.case, Device(devices=len(nearest), is_lean=True))
        lean = _equal_parts(needs, nearest, owned, question, is_lean=True)
        if less.terms != plain.terms and _lacking(lean, nearest, "low_bytes") <= 0:
            yield lean
    for cards in states:
        yield from _parts_in_turn(needs, roomiest(_rooms(machine, cards, question)))
    for place in _unread(machine):
        yield _equal_parts(needs, [place], owned, question)
    if not nearest:
        yield needs
        return
    yield from _parts_in_turn(needs, nearest[0], bounded=False)
    yield _equal_parts(needs, nearest, owned, question)


def _unread(machine: Machine) -> Iterator[Place]:
    owned = machine.accelerators
    if owned is None:
        yield Place(index=0)
    for place in places(owned):
        device = (owned or ())[place.index]
        if device.unified is None or device.memory_total_bytes is None:
            yield place


def _rooms(machine: Machine, cards: Sequence[Accelerator], question: Question) -> list[Place]:
    """Those with memory of their own, with what a program that takes its share may have of it."""
    return [
        place.replace(room_bytes=room_of(cards[place.index], percent_of(question.case)))
        for place in places(machine.accelerators)
        if cards[place.index].unified is False
    ]


def _groups(
    needs: Needs, machine: Machine, cards: Sequence[Accelerator], question: Question
) -> Iterator[list[Place]]:
    """The largest accelerators in each number that may share the model in equal parts, of those
    that suit where some do. `cards` says what each can give.
    """
    rooms, runtime = _rooms(machine, cards, question), question.runtime
    suited = rooms
    if runtime is not None:
        least = runtime.capability_under(question.kernel_rules)
        suited = [
            place
            for place in rooms
            if reaches(cards[place.index], least) is not False
            and runs_on(runtime, cards[place.index])
        ]
    sized = [place for place in suited or rooms if place.room_bytes is not None]
    sized.sort(key=lambda place: -(place.room_bytes or 0))
    if sized:
        yield sized[:1]
    for number in needs.tensor_parallel:
        for group in group_by_maker(sized, machine):
            if len(group) >= number:
                yield group[:number]


def _lacking(placed: Needs, group: Sequence[Place], end: str = "high_bytes") -> int:
    """The bytes that the tightest of the accelerators lacks; 0 or less where it fits."""
    lacking: list[int] = []
    for place in group:
        held = (getattr(term, end) for term in placed.terms if term.where == place.where)
        lacking.append(sum(held) - (place.room_bytes or 0))
    return max(lacking)


def smallest_device_bytes(needs: Needs, case: Case | None) -> int:
    """The least memory of a device on which such a runtime surely finds room."""
    size = 0
    while True:
        room = int(size * percent_of(case) // 100)
        device = Device(is_large=size >= LARGE_DEVICE_BYTES, total_bytes=size, room_bytes=room)
        terms = needs_on(needs, case, device).terms
        lacking = sum(each.high_bytes for each in terms if each.split is not Split.HOST) - room
        if lacking <= 0:
            return size
        # what is lacking grows no faster than the device does, so no step is too long
        size = min(size + lacking, size // _STEP_BYTES * _STEP_BYTES + _STEP_BYTES)


def _equal_parts(
    needs: Needs,
    group: Sequence[Place],
    cards: Sequence[Accelerator],
    question: Question,
    *,
    is_lean: bool = False,
) -> Needs:
    """Equal parts on each of a group; each process takes memory in RAM, too."""
    number, percent = len(group), percent_of(question.case)
    devices = [
        device_of(cards[place.index] if cards else None, number, percent, is_lean=is_lean)
        for place in group
    ]
    there = {device: needs_on(needs, question.case, device) for device in dict.fromkeys(devices)}
    terms: list[Term] = []
    for alike in zip(*(there[device].terms for device in devices), strict=True):
        in_ram = alike[0]
        if in_ram.name in PROGRAMS and number > 1:
            # once for each device
            together = {name: number * getattr(in_ram, name) for name in _SIZES}
            line = share_of(f"{number} processes", in_ram.arithmetic)
            in_ram = in_ram.replace(arithmetic=line, **together)
        if in_ram.stays_in_ram:
            terms.append(in_ram)
        if alike[0].split is not Split.HOST:
            terms += [
                each.replace(where=place.where) for each, place in zip(alike, group, strict=True)
            ]
    return _with_terms(there[devices[0]], terms)
