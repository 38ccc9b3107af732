"""Where a model's memory would lie: on accelerators, split with RAM, or in RAM alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ..core.records import Record, remembered
from ..core.units import GIB
from ..machine.gpus import (
    capability_by_name,
    metal_share,
    reaches_capability,
    virtual_gpu,
    works_on_few_tokens,
)
from ..machine.record import Accelerator, Machine, rising
from ..needs.records import (
    SHARED_OUT,
    How,
    MemoryNeed,
    Needs,
    Offload,
    Term,
    share_of,
    summed,
    taken_off,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..catalogue.runtime import RuntimeSpec

# llama.cpp's fitter leaves this much of each device free (common/common.h line 483, llama.cpp
# 0c1e5709)
DEVICE_MARGIN_BYTES = 1 * GIB
# vLLM takes this share of each device and fails where that is not enough (vllm 0.33.0,
# vllm/config/cache.py lines 215-223)
GPU_ONLY_SHARE = 0.92
# from here on, but for an A100 and a GB10, it works on four times as much at once
# (vllm/engine/arg_utils.py, get_batch_defaults)
LARGE_DEVICE_BYTES = 70 * GIB
# how far beyond an accelerator's room the most of training may lie where the likely need fits; of a
# wider range the likely figure says too little (assumed)
TIGHT = 1.25
# of the RAM, what the drivers of AMD's lend the GPU: half (Linux: drivers/gpu/drm/ttm/ttm_device.c
# and superm1/amd-debug-tools, docs/amd-ttm.md; Windows: shared GPU memory), up to all of it where
# ttm.pages_limit or the firmware gives more
_AMD_SHARE = (0.5, 1.0)
# grow with the number of layers, so a share of them can lie elsewhere; the repacked copy is a CPU's
# layout of the weights
_BY_LAYER = ("weights", "repacked_weights", "kv_cache", "recurrent_state", "adapter")
# of a layer, what is kept free on each of several accelerators that take whole ones: accelerate,
# get_balanced_memory, 1.25 times the largest or the mean
_ANOTHER_LAYER = 1.25
# loaded once, wherever the layers go: on the first device
_ONCE = ("projector", "draft_", "mtp_")
_SIZES = ("bytes", "low_bytes", "high_bytes")


class Place(Record):
    """One accelerator with memory of its own: its number in the machine's list and what it can
    give; None is unread.
    """

    index: int
    room_bytes: int | None

    @property
    def where(self) -> str:
        """The name of the place in a term."""
        return f"accelerator:{self.index}"


def index_of(where: str) -> int:
    """Of the name of a place in a term the number in the machine's list."""
    return int(where.partition(":")[2])


def places(machine: Machine) -> tuple[Place, ...]:
    """The accelerators that are no part of the RAM, in the machine's order.

    Where it was not read whether one shares the RAM, what it can give beside the RAM is unread too.
    """
    return _places_on(machine.accelerators or ())


def _places_on(accelerators: Sequence[Accelerator]) -> tuple[Place, ...]:
    return tuple(
        Place(index=index, room_bytes=free_bytes(device) if device.unified is False else None)
        for index, device in enumerate(accelerators)
        if device.unified is not True
    )


def free_bytes(device: Accelerator) -> int | None:
    """What a device could give now; all of it where only its total is known; None where neither
    was read.
    """
    size = (
        device.memory_free_bytes
        if device.memory_free_bytes is not None
        else device.memory_total_bytes
    )
    return None if size is None else max(0, size - DEVICE_MARGIN_BYTES)


def emptied(devices: Sequence[Accelerator]) -> tuple[Accelerator, ...]:
    """The same accelerators with nothing else running on them."""
    return tuple(
        device.replace(memory_free_bytes=None) if device.memory_total_bytes is not None else device
        for device in devices
    )


def placements(
    needs: Needs,
    machine: Machine,
    layers: int | None,
    *,
    splits: bool,
    spreads: bool = False,
    gpu_only: bool = False,
    cpu_only: bool = False,
    suits: Callable[[Accelerator], bool] | None = None,
    gathered: Term | None = None,
    may_be_tight: bool = False,
    may_be_close: bool = False,
) -> Iterator[Needs]:
    """The same needs with their terms placed, in the order they are to be judged: accelerators,
    split, host, unread accelerator; last the largest accelerator where it must hold all and cannot.

    Before the unread come the accelerators once others have left them. `splits`: the runtime shares
    layers out, over several accelerators and with the RAM; `spreads`: over several accelerators
    that hold them all. `gpu_only`: it runs on accelerators
    alone, one or several alike, and where there are any on those that `suits` does not rule out;
    `cpu_only`: on none.
    `gathered`: what each of several accelerators holds whole where
    training shares the rest out. `may_be_tight`: an accelerator that holds the likely need counts,
    whatever the most is; `may_be_close`: one that holds the least does.
    """
    if needs.memory is None or cpu_only:
        yield needs
        return
    if gpu_only:
        yield from _gpu_only(needs, needs.memory, machine, suits)
        return
    now = places(machine)
    shared_out = layers if splits else None
    ways: list[Iterator[Needs]] = [
        _on_accelerators(needs, needs.memory, machine, now, shared_out),
        _sharded(needs, needs.memory, machine, gathered),
    ]
    if spreads and layers:
        ways.append(_spread(needs, needs.memory, machine, layers))
    if may_be_tight:
        ways.append(_on_likely(needs, needs.memory, now))
        ways.append(_sharded(needs, needs.memory, machine, gathered, "bytes"))
    if may_be_close:
        ways.append(_on_least(needs, needs.memory, now))
        ways.append(_sharded(needs, needs.memory, machine, gathered, "low_bytes"))
    at_once = next(filter(None, map(list, ways)), [])
    yield from at_once
    if not at_once:
        yield from _offloaded(needs, now)
    yield needs
    later = _places_on(emptied(machine.accelerators)) if machine.accelerators else now
    if now != later:
        for other in _on_accelerators(needs, needs.memory, machine, later, shared_out):
            # a few layers more are no other way to lay it out
            if other not in at_once and (other.placement == "accelerator" or not at_once):
                yield other
        if not at_once:
            yield from _offloaded(needs, later)
    yield from _on_unread(needs, machine, now)
    if not (at_once or shared_out):
        yield from _nearest(needs, later)


def _on_unread(needs: Needs, machine: Machine, candidates: Sequence[Place]) -> Iterator[Needs]:
    """All of it on an accelerator of which it was not read what it can give."""
    if machine.accelerators is None:
        yield on_one(needs, "accelerator:0")
    for place in candidates:
        if place.room_bytes is None:
            yield on_one(needs, place.where)


def _nearest(needs: Needs, candidates: Sequence[Place]) -> Iterator[Needs]:
    """All of it on the accelerator with most room, which lacks some, and its parts there in turn;
    nothing where none has any.
    """
    largest = max(candidates, key=lambda place: place.room_bytes or 0, default=None)
    if largest is not None and largest.room_bytes:
        yield from _in_turn(needs, largest)
        yield on_one(needs, largest.where)


def _in_turn(needs: Needs, place: Place, most_bytes: int | None = None) -> Iterator[Needs]:
    """Its parts in RAM and one of them at a time on that accelerator, the fastest way first; where
    `most_bytes` is given those that take no more there.
    """
    for way in needs.offloaded:
        if most_bytes is None or sum(term.high_bytes for term in way.device) <= most_bytes:
            there = [term.replace(where=place.where) for term in way.device]
            memory = MemoryNeed(terms=(*way.host, *there))
            yield needs.replace(placement="split", memory=memory, offload=way.way)


def _beside_each_other(sized: Sequence[Place], largest: Place, machine: Machine) -> list[Place]:
    """The accelerators among which a program shares layers out: it gets one instance of MIG, and no
    other beside it.
    """
    cards = machine.accelerators
    parts = [place for place in sized if cards and cards[place.index].is_part]
    return [largest] if largest in parts else [place for place in sized if place not in parts]


def _on_accelerators(
    needs: Needs,
    memory: MemoryNeed,
    machine: Machine,
    candidates: Sequence[Place],
    layers: int | None,
) -> Iterator[Needs]:
    """All of it on the one with most room, else its `layers` shared out; nothing where neither
    holds a layer.
    """
    sized = [place for place in candidates if place.room_bytes is not None]
    if not sized:
        return
    largest = max(sized, key=lambda place: place.room_bytes or 0)
    if _taken_by(memory).whole_bytes <= (largest.room_bytes or 0):
        yield on_one(needs, largest.where)
    elif layers:
        yield from _shared_out(needs, memory, _beside_each_other(sized, largest, machine), layers)


def _on_likely(needs: Needs, memory: MemoryNeed, candidates: Sequence[Place]) -> Iterator[Needs]:
    """All of it on the accelerator with most room, where that holds the likely need."""
    largest = max(candidates, key=lambda place: place.room_bytes or 0, default=None)
    if largest is None or not largest.room_bytes:
        return
    there = [term.on_device or term for term in memory.terms if not term.is_program]
    is_near = sum(term.high_bytes for term in there) <= TIGHT * largest.room_bytes
    if is_near and sum(term.bytes for term in there) <= largest.room_bytes:
        yield on_one(needs, largest.where)


def _on_least(needs: Needs, memory: MemoryNeed, candidates: Sequence[Place]) -> Iterator[Needs]:
    """All of it on the accelerator with most room, where that holds the least need."""
    largest = max(candidates, key=lambda place: place.room_bytes or 0, default=None)
    if largest is None or not largest.room_bytes:
        return
    there = [term.on_device or term for term in memory.terms if not term.is_program]
    if sum(term.low_bytes for term in there) <= largest.room_bytes:
        yield on_one(needs, largest.where)


def _offloaded(needs: Needs, candidates: Sequence[Place]) -> Iterator[Needs]:
    """Its parts in RAM and one of them at a time on the accelerator with most room, the fastest way
    first; nothing where that holds none.
    """
    sized = [place for place in candidates if place.room_bytes is not None]
    if not sized:
        return
    largest = max(sized, key=lambda place: place.room_bytes or 0)
    yield from _in_turn(needs, largest, largest.room_bytes or 0)


def shared_limits(device: Accelerator, machine: Machine) -> tuple[int, int] | None:
    """Bytes of the RAM that macOS (`gpus.metal_share`) or Linux's driver for AMD lets a GPU use
    that shares it, least and most; None where nothing tells. Equal where it was read or set.
    """
    if device.memory_total_bytes is not None:
        return device.memory_total_bytes, device.memory_total_bytes
    if device.vendor == "amd":
        total = machine.memory_total_bytes
        return None if machine.system != "linux" or total is None else _amd_limits(total)
    least, most = (
        machine.worked_out(("metal", end), partial(_metal_limit, end=end)) for end in (0, 1)
    )
    return None if least is None or most is None else (least, most)


def is_surely_lent(device: Accelerator, machine: Machine, size_bytes: int) -> bool | None:
    """Whether the system surely lets a GPU that shares the RAM use so much of it; None where
    nothing tells.
    """
    total = machine.memory_total_bytes
    if device.vendor == "amd" and device.memory_total_bytes is None:
        if machine.system != "linux" or total is None:
            return None
        # no quotient of the RAM, which would set machines of a kind apart
        return round(size_bytes / _AMD_SHARE[0]) <= total
    limits = shared_limits(device, machine)
    return None if limits is None else size_bytes <= limits[0]


def _metal_limit(machine: Machine, end: int) -> int | None:
    total = machine.memory_total_bytes if _metal(machine) is not None else None
    return None if total is None else _metal_limits(total)[end]


def _metal_limits(total_bytes: int) -> tuple[int, int]:
    """Of so much RAM, what macOS lets the GPU use, least and most."""
    least, most = metal_share(total_bytes)
    return int(total_bytes * least), int(total_bytes * most)


def _amd_limits(total_bytes: int) -> tuple[int, int]:
    """Of so much RAM, what the drivers of AMD's lend the GPU, least and most."""
    least, most = _AMD_SHARE
    return int(total_bytes * least), int(total_bytes * most)


def _metal(machine: Machine) -> Accelerator | None:
    """The GPU of a Mac, which shares the RAM."""
    return next(filter(is_metal, machine.accelerators or ()), None)


def _amd(machine: Machine) -> Accelerator | None:
    """A GPU by AMD that shares the RAM."""
    cards = machine.accelerators or ()
    return next((card for card in cards if card.unified and card.vendor == "amd"), None)


def is_metal(card: Accelerator) -> bool:
    """Whether it is the GPU of a Mac that shares the RAM."""
    return bool(card.unified) and card.vendor == "apple"


def share_on_shared(
    needs: Needs, machine: Machine, layers: int | None
) -> tuple[float, float, float]:
    """Of the layers, what a GPU that shares the RAM is let to hold: slow end, likely, fast end. 1
    wherever nothing limits it.

    The rest of a runtime that shares layers out is computed by the processor, as llama.cpp's fitter
    does; whole layers move.
    """
    shared = _metal(machine) or _amd(machine)
    if needs.memory is None or not layers or shared is None:
        return _ALL_THERE
    of_ram = machine.memory_total_bytes
    limit_bytes = shared.memory_total_bytes
    host = [term for term in needs.memory.terms if term.where == "host"]

    def within(limits: tuple[int, int]) -> tuple[float, float, float]:
        return _shares_within(host, layers, limits)

    # more of it never leaves room for fewer layers
    if limit_bytes is not None:
        return rising(lambda limit: within((limit, limit)), limit_bytes)
    limits_of = _metal_limits if is_metal(shared) else _amd_limits
    return _ALL_THERE if of_ram is None else rising(lambda ram: within(limits_of(ram)), of_ram)


_ALL_THERE = 1.0, 1.0, 1.0


def _shares_within(
    host: Sequence[Term], layers: int, limits: tuple[int, int]
) -> tuple[float, float, float]:
    """As `share_on_shared`, with the least and the most that the GPU may use."""

    def share(end: str, limit: int, times: int = 1) -> float:
        over = times * sum([getattr(term, end) for term in host]) - limit
        if over <= 0:
            return 1.0
        moving = sum(getattr(term, end) for term in host if term.name in _BY_LAYER)
        if not moving:
            return 1.0
        return max(0, int(layers * (1 - over / (times * moving)))) / layers

    least, most = limits
    slow, likely, fast = (
        share("high_bytes", least),
        # against the middle of the two
        share("bytes", least + most, 2),
        share("low_bytes", most),
    )
    return min(slow, likely), likely, max(likely, fast)


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
        sum(term.low_bytes for term in terms if term.name in _BY_LAYER and is_there(term))
        for is_there in (lambda term: term.where == "host", lambda _term: True)
    )
    if not moving_bytes or not layers:
        return 0.0
    for where in {term.where for term in terms} - {"host"}:
        rounding = sum(term.high_bytes - term.low_bytes for term in terms if term.where == where)
        spare_bytes += DEVICE_MARGIN_BYTES + rounding + layer_bytes // layers
    return min(1.0, spare_bytes / moving_bytes)


def room_of(device: Accelerator, *, gpu_only: bool) -> int | None:
    """What a runtime may take of a device: llama.cpp leaves a gigabyte free, one that needs it
    all takes its share.
    """
    if not gpu_only:
        return free_bytes(device)
    total = device.memory_total_bytes
    if total is None:
        return None
    free = total if device.memory_free_bytes is None else device.memory_free_bytes
    return min(int(total * GPU_ONLY_SHARE), free)


def is_large(device: Accelerator) -> bool:
    """True where vLLM works on more at once: on a device of 70 GiB or more, but for those that the
    table of GPUs has as `small`, an A100 and a GB10.
    """
    if (device.memory_total_bytes or 0) < LARGE_DEVICE_BYTES:
        return False
    capability = device.compute_capability or capability_by_name(device.name)
    return not works_on_few_tokens(device.name, capability)


def _for(term: Term, device: Accelerator) -> Term:
    return term.on_large if term.on_large is not None and is_large(device) else term


def smallest_device_bytes(memory: MemoryNeed, number: int = 1) -> int:
    """The least memory of each of so many devices on which a runtime that needs it all surely finds
    room.
    """
    return _least_device(memory, number, "high_bytes")


def smallest_lean_device_bytes(memory: MemoryNeed, number: int = 1) -> int:
    """The least memory of each of so many devices that is judged to do: with the option by which
    the program takes less the likely need has room there.
    """
    terms = tuple(map(_lean_of, memory.terms))
    if not _takes_less(terms, memory):
        return smallest_device_bytes(memory, number)
    return _least_device(memory.replace(terms=terms), number, "bytes")


def _least_device(memory: MemoryNeed, number: int, end: str) -> int:
    """As `smallest_device_bytes`, of that end of each term's range."""
    there = [term.on_device or term for term in _of_devices(memory)]
    size = _with_share(sum(getattr(term.on_one_of(number), end) for term in there))
    if size >= LARGE_DEVICE_BYTES:
        large = [(term.on_large or term).on_one_of(number) for term in there]
        size = _with_share(sum(getattr(term, end) for term in large))
    return size


def _with_share(high_bytes: int) -> int:
    size = int(high_bytes / GPU_ONLY_SHARE)
    while int(size * GPU_ONLY_SHARE) < high_bytes:
        # beyond 53 bits a float takes no notice of 1
        size += max(1, size >> 52)
    return size


def _gpu_only(
    needs: Needs,
    memory: MemoryNeed,
    machine: Machine,
    suits: Callable[[Accelerator], bool] | None,
) -> Iterator[Needs]:
    """All of it on one accelerator, else on as many as it can be divided over by tensor
    parallelism, then where nothing was read; the RAM last.

    Where it surely fits on none, on the number of them that lack least: more context never looks as
    if it took less. There the program is started with the option that makes it take less, where
    that may fit.
    """
    owned = machine.accelerators or ()
    nearest: list[Place] = []
    least: int | None = None
    for cards in (owned, emptied(owned)):
        most: list[Place] = []
        for chosen, lacking in _groups(needs, memory, machine, cards, suits):
            if lacking <= 0:
                most = chosen
            elif least is None or lacking < least:
                nearest, least = chosen, lacking
            if len(most) == 1:
                break
        if most:
            # more of them are faster, and leave more of each for requests (vLLM documentation,
            # parallelism and scaling: as many as the machine has)
            yield _tensor_parallel(needs, memory, _devices_of(most, machine))
            return
    lean = _lean(needs, memory, machine, nearest)
    if lean is not None:
        yield lean
    yield from _offloaded_gpu_only(needs, machine)
    if machine.accelerators is None:
        yield _tensor_parallel(needs, memory, [("accelerator:0", None)])
    for place in places(machine):
        device = owned[place.index]
        if device.unified is None or device.memory_total_bytes is None:
            yield _tensor_parallel(needs, memory, [(place.where, device)])
    if nearest:
        yield from _in_turn(needs, nearest[0])
        yield _tensor_parallel(needs, memory, _devices_of(nearest, machine))
    else:
        yield needs


def _offloaded_gpu_only(needs: Needs, machine: Machine) -> Iterator[Needs]:
    """As `_offloaded`, now and once others have left the accelerators."""
    owned = machine.accelerators or ()
    for cards in (owned, emptied(owned)):
        rooms = [
            Place(index=place.index, room_bytes=room_of(cards[place.index], gpu_only=True))
            for place in places(machine)
            if owned[place.index].unified is False
        ]
        yield from _offloaded(needs, rooms)


def _groups(
    needs: Needs,
    memory: MemoryNeed,
    machine: Machine,
    cards: Sequence[Accelerator],
    suits: Callable[[Accelerator], bool] | None,
) -> Iterator[tuple[list[Place], int]]:
    """The largest accelerators in each number that may share the model in equal parts, and the
    bytes that the tightest of them lacks, 0 or less where it fits. `cards` says what each can give.
    Those that do not suit are left out where others do.
    """
    owned = machine.accelerators or ()
    candidates = places(machine)
    suited = [place for place in candidates if suits is None or suits(owned[place.index])]
    rooms = [
        (place, room_of(cards[place.index], gpu_only=True))
        for place in suited or candidates
        if owned[place.index].unified is False
    ]
    largest_first = sorted(
        [(place, room) for place, room in rooms if room is not None], key=lambda item: -item[1]
    )
    # a program gets one instance of MIG, and no other accelerator beside it
    whole_cards = [item for item in largest_first if not owned[item[0].index].is_part]
    alike = _of_one_maker(whole_cards, machine)
    for number in (1, *needs.tensor_parallel):
        for cards_of_group in [largest_first] if number == 1 else alike:
            chosen = cards_of_group[:number]
            if len(chosen) < number:
                continue
            yield (
                [place for place, _ in chosen],
                max(_held(memory, owned[place.index], number) - room for place, room in chosen),
            )


def _of_one_maker(
    rooms: Sequence[tuple[Place, int]], machine: Machine
) -> list[list[tuple[Place, int]]]:
    """The accelerators of each maker, the one with the largest last: a build of PyTorch computes on
    those of one.
    """
    owned = machine.accelerators or ()
    makers = dict.fromkeys(owned[place.index].vendor for place, _ in rooms)
    groups = [[item for item in rooms if owned[item[0].index].vendor == maker] for maker in makers]
    return groups[::-1]


def _lean(
    needs: Needs, memory: MemoryNeed, machine: Machine, chosen: Sequence[Place]
) -> Needs | None:
    """On those devices with the option by which the program takes less; None where there is none,
    or the least would not fit either.
    """
    terms = tuple(map(_lean_of, memory.terms))
    if not chosen or not _takes_less(terms, memory):
        return None
    owned = machine.accelerators or ()
    less = memory.replace(terms=terms)
    placed = _tensor_parallel(needs, less, _devices_of(chosen, machine)).replace(is_lean=True)
    assert placed.memory is not None
    for place in chosen:
        least = sum(term.low_bytes for term in placed.memory.terms if term.where == place.where)
        (idle,) = emptied([owned[place.index]])
        if least > (room_of(idle, gpu_only=True) or 0):
            return None
    return placed


def _lean_of(term: Term) -> Term:
    return term.lean or term


def _takes_less(terms: Sequence[Term], memory: MemoryNeed) -> bool:
    """Whether the program has an option that makes some term smaller."""
    return any(term is not each for term, each in zip(terms, memory.terms, strict=True))


def reaches(device: Accelerator, least_capability: str) -> bool | None:
    """Whether it has that compute capability and runs CUDA, or is not NVIDIA's; None where that
    is not known.
    """

    def of(card: Accelerator) -> bool | None:
        if card.vendor != "nvidia":
            return True
        virtual = virtual_gpu(card.name)
        if virtual is not None and virtual.draws_only:
            return False
        return reaches_capability(
            card.compute_capability or capability_by_name(card.name), least_capability
        )

    return device.told(("reaches", least_capability), of)


def is_built_for(device: Accelerator, amd_gpus: Sequence[str]) -> bool | None:
    """Whether a GPU of AMD's is among those that a program is built for, patterns of names and of
    instruction sets; None of another maker's, without a list, and where neither is known of it.
    """
    import re

    if device.vendor != "amd" or not amd_gpus:
        return None
    name = f"{device.name} {device.compute_capability or ''}".lower()
    if re.search(rf"\b(?:{'|'.join(amd_gpus)})\b", name):
        return True
    is_named = any(map(str.isdecimal, device.name)) and "0x" not in device.name
    return False if device.compute_capability or is_named else None


def runs_on(runtime: RuntimeSpec, device: Accelerator) -> bool:
    """Whether the program is not known to have no build that computes on such a GPU, whatever the
    quantization.
    """
    least = runtime.least_of(shares_ram=device.unified is True)
    if least is not None and reaches(device, least) is False:
        return False
    patterns = amd_gpus(runtime)
    return not patterns or is_built_for(device, patterns) is not False


def amd_gpus(runtime: RuntimeSpec) -> tuple[str, ...]:
    """Patterns of the GPUs of AMD's that its builds compute on, some of them if told to."""
    told_to = (pattern for patterns in runtime.amd_gpus_as.values() for pattern in patterns)
    return (*runtime.amd_gpus, *told_to)


def computes_on_shared(runtime: RuntimeSpec, device: Accelerator) -> bool:
    """Whether the program's builds compute on that GPU, which shares the RAM."""
    is_built = is_built_for(device, runtime.amd_shared_gpus) is not False
    is_named = device.vendor.lower() in runtime.on_shared_gpu
    return is_named and is_built and runs_on(runtime, device)


def _devices_of(chosen: Sequence[Place], machine: Machine) -> list[tuple[str, Accelerator | None]]:
    owned = machine.accelerators or ()
    return [(place.where, owned[place.index]) for place in chosen]


def _held(memory: MemoryNeed, device: Accelerator, number: int) -> int:
    """The most that this one of so many devices holds."""
    return sum(
        _for(term.on_device or term, device).on_one_of(number).high_bytes
        for term in _of_devices(memory)
    )


def _tensor_parallel(
    needs: Needs, memory: MemoryNeed, devices: Sequence[tuple[str, Accelerator | None]]
) -> Needs:
    """Each device's part of every term. A process takes memory on both sides: libraries in RAM,
    graphs and more on its device.
    """
    number = len(devices)
    terms: list[Term] = []
    for term in memory.terms:
        if term.is_program:
            terms.append(_processes(term.beside or term, number))
        if term in _of_devices(memory):
            for where, device in devices:
                there = term if device is None else _for(term, device)
                each = there.on_one_of(number)
                terms.append(each.replace(where=where, beside=None, lean=None))
    return _placed(needs, "accelerator", terms, 0)


def _of_devices(memory: MemoryNeed) -> list[Term]:
    """What devices hold under a program that needs them: its context and graphs too, but where
    that is in another term's figure.
    """
    states_process = any(
        term.on_device is not None and term.on_device.beside is not None for term in memory.terms
    )
    return [
        term
        for term in memory.terms
        if term.name != "tokenizer" and not (states_process and term.is_program)
    ]


def _processes(term: Term, number: int) -> Term:
    """The program's own memory in RAM, once for each device."""
    if number == 1:
        return term
    together = {name: number * getattr(term, name) for name in _SIZES}
    return term.replace(arithmetic=share_of(f"{number} processes", term.arithmetic), **together)


def _sharded(
    needs: Needs,
    memory: MemoryNeed,
    machine: Machine,
    gathered: Term | None,
    end: str = "high_bytes",
) -> Iterator[Needs]:
    """Training on the fewest accelerators that hold it: weights, gradients and optimizer in equal
    parts (ZeRO, arXiv 1910.02054, section 5), the rest whole on each, and a process in RAM for
    each. Nothing where `gathered` is None. `end`: of the range of what it needs; where they hold
    the likely need the most is near to it.
    """
    if gathered is None:
        return
    beside = [term for term in memory.terms if term.name not in SHARED_OUT and not term.is_program]

    def holders(end: str, room_times: float = 1.0) -> list[Place]:
        whole_bytes = sum(getattr(term, end) for term in (*beside, gathered))
        return _fewest_that_hold(memory, machine, whole_bytes, end, room_times)

    chosen = holders(end)
    if chosen and end == "bytes":
        # those that hold the likely need may lack much of the most
        near = holders("high_bytes", TIGHT)
        chosen = max(chosen, near, key=len) if near else []
    if not chosen:
        return
    terms: list[Term] = []
    for term in (*memory.terms, gathered):
        if term.is_program:
            terms.append(_processes(term, len(chosen)))
        elif term.name in SHARED_OUT:
            terms += [
                _equal_part(term, place, index, len(chosen)) for index, place in enumerate(chosen)
            ]
        else:
            terms += [term.replace(where=place.where) for place in chosen]
    yield _placed(needs, "accelerator", terms, 0)


def _spread(needs: Needs, memory: MemoryNeed, machine: Machine, layers: int) -> Iterator[Needs]:
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
    taken = _taken_by(memory)
    by_layer = sum(term.high_bytes for term in taken.by_layer)
    another = _ANOTHER_LAYER * by_layer // layers
    for group in _of_one_maker(sized, machine):
        most = taken.each_bytes + taken.first_bytes - (-by_layer // len(group)) + another
        rooms = [min(room - another, most) for _, room in group[:-1]]
        rooms += [room - another for _, room in group[-1:]]
        capped = [
            place.replace(room_bytes=int(max(0, room)))
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


def _fewest_that_hold(
    memory: MemoryNeed, machine: Machine, whole_bytes: int, end: str, room_times: float = 1.0
) -> list[Place]:
    """The fewest accelerators, largest first, that hold training in parts, with so many bytes on
    each beside its part; [] where all together do not. `end`: of the range of what is shared out;
    `room_times`: of what each can give.
    """
    owned = machine.accelerators or ()
    sized = [
        (place, place.room_bytes)
        for place in places(machine)
        if place.room_bytes is not None and not owned[place.index].is_part
    ]
    sized.sort(key=lambda item: -item[1])
    alike = _of_one_maker(sized, machine)
    shared = sum(getattr(term, end) for term in memory.terms if term.name in SHARED_OUT)
    for number in range(2, len(sized) + 1):
        for group in reversed(alike):
            if len(group) < number:
                continue
            if -(-shared // number) + whole_bytes <= room_times * group[number - 1][1]:
                return [place for place, _ in group[:number]]
    return []


def devices_for_parts(needs: Needs, machine: Machine) -> int:
    """The fewest accelerators that may hold weights, gradients and optimizer of a training in equal
    parts, whatever lies beside these; 0 where they surely do not.
    """
    if needs.memory is None:
        return 0
    return len(_fewest_that_hold(needs.memory, machine, 0, "low_bytes"))


def _equal_part(term: Term, place: Place, index: int, number: int) -> Term:
    """What the device of that index holds of a term that `number` devices share."""
    part = {name: (getattr(term, name) + index) // number for name in _SIZES}
    if term.name == "gradients":
        # what activations let go stays whole on each device, however few gradients it keeps
        part["low_bytes"] = max(0, part["bytes"] - (term.bytes - term.low_bytes))
    line = share_of(f"1/{number} of the devices", term.arithmetic)
    return term.replace(where=place.where, arithmetic=line, **part)


# machines of one fleet have their accelerators in the same places
@remembered(32)
def on_one(needs: Needs, where: str) -> Needs:
    """All of it on one accelerator, but for the program and what llama.cpp keeps in RAM."""
    terms = needs.memory.terms if needs.memory else ()
    stored = _as_stored(
        [term.beside or term if term.is_program else term.replace(where=where) for term in terms]
    )
    # the originals of repacked weights are a matter of the page cache: none lie there once the
    # weights are on the device
    return _placed(needs, "accelerator", [part for term in stored for part in _whole(term)], 0)


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


def _shared_out(
    needs: Needs, memory: MemoryNeed, places: Sequence[Place], layers: int
) -> Iterator[Needs]:
    """Whole layers on each accelerator, as many as fit what it can give, the first ones first; what
    is left stays in RAM.

    llama.cpp leaves the first layers to the RAM. Nothing where not one layer fits.
    """
    shares, left = _layers_by_place(memory, places, layers)
    if shares:
        yield _with_shares(needs, memory, tuple(shares), left, layers)


@remembered(128)
def _with_shares(
    needs: Needs, memory: MemoryNeed, shares: tuple[tuple[str, int], ...], left: int, layers: int
) -> Needs:
    """So many layers in each place, and those that are left in RAM."""
    terms: list[Term] = []
    for term in memory.terms:
        terms.extend(_parts(term, shares, left, layers))
    evictable = sum(term.bytes for term in terms if term.is_copy and term.where == "host")
    return _placed(needs, "split" if left else "accelerator", terms, evictable)


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
@remembered(32)
def _taken_by(memory: MemoryNeed) -> _Taken:
    there = [term.on_device or term for term in memory.terms if not term.is_program]
    by_layer = [term for term in there if term.name in _BY_LAYER]
    once = [term for term in there if term.name.startswith(_ONCE)]
    return _Taken(
        whole_bytes=sum(_moving_bytes(term) for term in there),
        each_bytes=sum(
            term.high_bytes
            for term in there
            if term.name not in _BY_LAYER and not term.name.startswith(_ONCE)
        ),
        first_bytes=sum(_moving_bytes(term) for term in once)
        + sum(term.offload.output_bytes for term in by_layer if term.offload is not None),
        by_layer=tuple([_of_layers(term) for term in by_layer]),
    )


def free_limits(needs: Needs, layers: int | None) -> tuple[int, int] | None:
    """Of one accelerator with memory of its own, under a runtime that shares layers out: from how
    many free bytes on it takes a layer, and from how many on it takes them all. None where nothing
    is shared out, or both are the same.
    """
    if needs.memory is None or not layers:
        return None
    taken = _taken_by(needs.memory)
    first = taken.each_bytes + taken.first_bytes
    first += sum(_share(term, "high_bytes", layers - 1, layers, layers) for term in taken.by_layer)
    limits = first + DEVICE_MARGIN_BYTES, taken.whole_bytes + DEVICE_MARGIN_BYTES
    return limits if limits[0] < limits[1] else None


def _layers_by_place(
    memory: MemoryNeed, places: Sequence[Place], layers: int
) -> tuple[list[tuple[str, int]], int]:
    """How many layers each place takes, without those that take none, and how many are left."""
    taken = _taken_by(memory)
    left = layers
    shares: list[tuple[str, int]] = []
    for place in places:
        room = (place.room_bytes or 0) - taken.each_bytes - (0 if shares else taken.first_bytes)
        count = _most_layers(taken.by_layer, left, layers, room)
        if count:
            shares.append((place.where, count))
            left -= count
    return shares, left


def _most_layers(terms: Sequence[Term], left: int, layers: int, room: int) -> int:
    """How many of the last of the `left` layers have room together."""
    low, high = 0, left
    while low < high:
        middle = (low + high + 1) // 2
        if sum(_share(term, "high_bytes", left - middle, left, layers) for term in terms) <= room:
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
    if term.name not in _BY_LAYER:
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
    sizes = {name: _share(shared, name, stop - count, stop, layers) for name in _SIZES}
    # layers that differ are taken to lie evenly
    how = How.COMPUTED if shared.how is How.EXACT and count < layers else shared.how
    line = share_of(f"{count}/{layers} of the layers", shared.arithmetic)
    return shared.replace(where=where, how=how, arithmetic=line, offload=None, **sizes)


def _placed(needs: Needs, placement: str, terms: list[Term], evictable_bytes: int) -> Needs:
    there = [part for term in terms for part in _of_a_device(term, placement == "accelerator")]
    return needs.replace(
        placement=placement,
        memory=MemoryNeed(terms=tuple(_as_stored(there)), evictable_bytes=evictable_bytes),
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


def _as_stored(terms: Sequence[Term]) -> Iterator[Term]:
    """On a device weights lie as they are stored: what only a CPU has in a second layout is
    part of them.
    """
    copies = {
        (term.name.replace("repacked_", ""), term.where): term
        for term in terms
        if term.is_copy and term.where != "host"
    }
    for term in terms:
        copy = copies.get((term.name, term.where))
        if copy is not None:
            sizes = {name: getattr(term, name) + getattr(copy, name) for name in _SIZES}
            line = summed(term.arithmetic, copy.arithmetic)
            yield term.replace(
                arithmetic=line, offload=_together(term.offload, copy.offload), **sizes
            )
        elif not term.is_copy or term.where == "host":
            yield term


def _together(own: Offload | None, copied: Offload | None) -> Offload | None:
    if own is None or copied is None:
        return own
    return Offload(**{name: getattr(own, name) + getattr(copied, name) for name in Offload._fields})
