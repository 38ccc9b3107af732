"""Do the accelerators of a machine hold their share of a model, and what would they change?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...catalogue.spec import RuntimeSpec
from ...core import units
from ...core.records import Record, remembered
from ...core.units import GIB, MIB, binary, binary_range
from ...core.workload import FLAGS
from ...machine.gpus import capability_by_name
from ...machine.record import Accelerator, Machine
from ...machine.virtual_gpus import virtual_gpu
from ...needs.records import GATHERED, SHARED_OUT, MemoryNeed, Needs, Term
from ..devices import (
    TIGHT,
    amd_gpus,
    computes_on_shared,
    emptied,
    free_bytes,
    is_built_for,
    reaches,
    room_of,
    runs_on,
    uses_gpus,
)
from ..shared_memory import can_be_raised, is_surely_lent, shared_limits
from .memory import desktop_bytes, host_high, what_is_smaller
from .record import Finding, Outcome, doubt_of
from .words import phrase

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import KernelRule
    from .accelerator import Program
    from .record import Words

# how a GPU is given by its full name
_GPU_NAMED = "`--set gpu=24GiB:NAME`"


class Training(Record):
    """What else is known of a training.

    `alone`: why it is not shared out over several accelerators, and what would be. `when_tight`:
    what to lower where it takes the most, if one that holds the likely need alone counts.
    `when_close`: what takes the least, if one that holds that counts as open. `gathered`: what each
    of several accelerators holds whole where the rest is shared out.
    """

    alone: tuple[str, str] | None = None
    when_tight: str | None = None
    when_close: str | None = None
    gathered: Term | None = None


_NO_TRAINING = Training()


def held_check(
    needs: Needs, machine: Machine, program: Program, training: Training | None, *, now_only: bool
) -> Finding:
    """What `accelerator_check` finds where there are accelerators, or one is needed. The arguments
    are its own.
    """
    training = training or _NO_TRAINING
    runtime = program.runtime
    rules = tuple(each for each in (program.rule, program.cache_rule) if each is not None)
    needing = runtime if program.needs_gpu else None
    if needs.placement == "host":
        if needing is None:
            return _in_ram(machine, runtime, needs, training)
        return _shared_and_needed(needs, machine, needing, rules) or _missing(
            needs, machine, needing, rules, has_other=program.has_other
        )
    held = _Held(needs, machine, program)
    return (
        _unread_held(held, machine)
        or without_kernels(runtime, rules, held.devices)
        or _tight(held, training.when_tight)
        or _close(held, training.when_close)
        or _lean(held, now_only=now_only)
        or _too_small(
            held,
            now_only=now_only,
            alone=training.alone if _has_others(held, machine) else None,
        )
        or _fits(held, needs, machine)
    )


# ------------------------------------------------------------------ judged in RAM


def _in_ram(
    machine: Machine,
    runtime: RuntimeSpec | None,
    needs: Needs,
    training: Training,
) -> Finding:
    """Of a runtime that works without one: what the accelerators there are would change."""
    devices = machine.accelerators or ()
    if (unread := _unread_memory(machine)) is not None:
        return unread
    sharing = [device for device in devices if device.unified]
    if not sharing and (left := _left_unused(runtime, machine)) is not None:
        return left
    if (unsuited := _for_none(runtime, sharing or devices)) is not None:
        return unsuited
    if sharing:
        return _shared(sharing, needs, machine, runtime)
    unused = _roomiest(devices)
    memory = needs.memory
    if training.alone is not None and memory is not None and len(devices) > 1:
        why, remedy = training.alone
        return _worded_when_read(
            Outcome.WARN,
            "accelerator-not-needed",
            lambda: f"It is judged in RAM: {unused.name} is too small for it, and {why}.",
            remedy,
        )
    if training.when_tight is not None and memory is not None and free_bytes(unused):
        return _worded_when_read(
            Outcome.WARN,
            "accelerator-not-needed",
            lambda: _too_small_to_train(memory, devices, training.gathered),
        )
    return _worded_when_read(
        Outcome.PASS,
        "accelerator-not-needed",
        lambda: f"It is judged in RAM: {unused.name} is too small for it, or not needed.",
    )


def _too_small_to_train(
    memory: MemoryNeed, devices: Sequence[Accelerator], gathered: Term | None
) -> str:
    """What a training likely takes of accelerators that do not hold it, and what these have: all of
    one maker's together where the program shares it out over them.
    """
    beside = [term for term in memory.terms if not term.is_program]
    sharing = _most_of_one_maker(devices)
    if gathered is not None and len(sharing) > 1:
        whole = sum(term.bytes for term in beside if term.name not in SHARED_OUT) + gathered.bytes
        shared_out = sum(term.bytes for term in beside if term.name in SHARED_OUT)
        names, needed_bytes = _names(sharing), shared_out + len(sharing) * whole
        room_bytes = sum(free_bytes(device) or 0 for device in sharing)
        room = f"together they have {binary(room_bytes)}"
    else:
        card = _roomiest(devices)
        names, needed_bytes = card.name, sum(term.bytes for term in beside)
        room = f"{binary(free_bytes(card) or 0)} are there"
    return (
        f"It is judged in RAM, by the CPU: on {names} it likely needs {binary(needed_bytes)}, and"
        f" {room}."
    )


def _most_of_one_maker(devices: Sequence[Accelerator]) -> list[Accelerator]:
    """The accelerators over which a training can be shared out: no parts of one, of the maker whose
    have most memory together.
    """
    by_maker: dict[str, list[Accelerator]] = {}
    for device in devices:
        if device.unified is False and not device.is_part:
            by_maker.setdefault(device.vendor, []).append(device)
    return max(
        by_maker.values(),
        key=lambda group: sum(free_bytes(device) or 0 for device in group),
        default=[],
    )


def _roomiest(devices: Sequence[Accelerator]) -> Accelerator:
    return max(devices, key=lambda device: free_bytes(device) or 0)


def _left_unused(runtime: RuntimeSpec | None, machine: Machine) -> Finding | None:
    """That the program's builds for this system compute on no GPU; None where they may."""
    if runtime is None or not machine.accelerators or uses_gpus(runtime, machine):
        return None
    name = machine.accelerators[0].name
    return _worded_when_read(
        Outcome.WARN,
        "accelerator-not-needed",
        lambda: (
            f"It is judged in RAM, on the processor: the builds of {runtime.name} for this system"
            f" and an {machine.architecture} processor leave {name} unused."
        ),
    )


def _for_none(runtime: RuntimeSpec | None, devices: Sequence[Accelerator]) -> Finding | None:
    """That the program has no build for any of these; None where it may have one."""
    if runtime is None or any(runs_on(runtime, device) for device in devices):
        return None
    finding = _too_old(runtime, devices[0]) or _not_built_for(runtime, devices[0])
    if finding is None:
        return None
    return _worded_when_read(
        Outcome.WARN,
        "accelerator-not-needed",
        lambda: f"It is judged in RAM: {finding.reason}",
        lambda: finding.remedy,
    )


def _shared_and_needed(
    needs: Needs, machine: Machine, runtime: RuntimeSpec, rules: tuple[KernelRule, ...]
) -> Finding | None:
    """Of a runtime that works on accelerators alone, on one that shares the RAM; None where there
    is none that it is built for.
    """
    sharing = [
        device
        for device in machine.accelerators or ()
        if device.unified and (device.vendor != "amd" or is_built_for(device, runtime.amd_gpus))
    ]
    if not sharing:
        return None
    return without_kernels(runtime, rules, sharing[:1]) or _shared(sharing, needs, machine, runtime)


def _missing(
    needs: Needs,
    machine: Machine,
    runtime: RuntimeSpec,
    rules: tuple[KernelRule, ...],
    *,
    has_other: bool,
) -> Finding:
    """The runtime works on accelerators alone, and it is not known to have one."""
    largest = max(
        machine.accelerators or (), key=lambda device: free_bytes(device) or 0, default=None
    )
    if needs.memory is None and largest is not None and largest.unified is False:
        return without_kernels(runtime, rules, [largest]) or _uncounted(
            Outcome.UNKNOWN,
            "accelerator-unread",
            f"How much memory it needs on {largest.name} is not known.",
        )
    if rules and not runtime.gpu_only:
        return _uncounted(
            Outcome.FAIL,
            "accelerator-missing",
            f"{runtime.name} needs a GPU for {rules[0].subject}, and no GPU was detected.",
            "leave out --quant to use a quantization that runs on a CPU",
        )
    what = (
        "no GPU was detected"
        if largest is None
        else f"is not known to compute on {largest.name}, which shares the RAM"
    )
    return _uncounted(
        Outcome.FAIL,
        "accelerator-missing",
        f"{runtime.name} is judged on GPUs only, and {what}. {runtime.on_cpu}"
        if runtime.on_cpu
        else f"The program {runtime.name} needs a GPU, and {what}.",
        "leave out --runtime to use one that runs on a CPU"
        if has_other
        else "use a machine with a GPU",
    )


def _shared(
    sharing: Sequence[Accelerator], needs: Needs, machine: Machine, runtime: RuntimeSpec | None
) -> Finding:
    limited = next((device for device in sharing if _is_limited(device, runtime)), None)
    beyond = None
    if limited is not None:
        has_cpu = runtime is None or (runtime.splits_layers and not runtime.gpu_only)
        beyond = _beyond_limit(limited, needs, machine, has_cpu=has_cpu)

    def suffices() -> str:
        limits = None if limited is None else shared_limits(limited, machine)
        if limited is None or limits is None:
            return f"{sharing[0].name} shares the RAM, so only the RAM has to suffice."
        return f"{limited.name} shares the RAM, and may use {binary(limits[0])} of it or more."

    return beyond or _worded_when_read(Outcome.PASS, "accelerator-fits", suffices)


def _is_limited(device: Accelerator, runtime: RuntimeSpec | None) -> bool:
    """Whether the system lets the GPU use a part of the RAM alone, and the program computes on it:
    on Apple's all do.
    """
    if device.vendor == "apple" or runtime is None:
        return device.vendor in ("apple", "amd")
    return device.vendor == "amd" and (runtime.gpu_only or computes_on_shared(runtime, device))


def _unread_memory(machine: Machine) -> Finding | None:
    """That of some accelerator with memory of its own it was not read how much; None where each
    says.
    """

    def unread(device: Accelerator, fact: str) -> Finding:
        return _worded_when_read(
            Outcome.WARN,
            "accelerator-unread",
            lambda: (
                f"It is judged in RAM: whether {device.name} would hold it could not be read"
                f" ({machine.why_unread(fact).reason})."
            ),
            lambda: machine.why_unread(fact).remedy,
        )

    for device in machine.accelerators or ():
        is_sized = device.memory_total_bytes is not None
        if device.unified is True or (device.unified is False and is_sized):
            continue
        fact = "unified" if is_sized else "memory_total_bytes"
        return unread(device, f"accelerators.{fact}")
    return None


def _beyond_limit(
    device: Accelerator, needs: Needs, machine: Machine, *, has_cpu: bool
) -> Finding | None:
    """Where the system may not let the GPU use as much of the RAM; None where it surely does, or
    nothing can be said. `has_cpu`: the program computes the rest on the CPU.
    """
    high = host_high(needs)
    if high is None or is_surely_lent(device, machine, high) is not False:
        return None
    is_metal = device.vendor == "apple"

    def limits() -> tuple[int, int]:
        lent = shared_limits(device, machine)
        assert lent is not None
        return lent

    def reason() -> str:
        least, most = limits()
        gives = _what_it_may_use(least, most, is_metal=is_metal)
        rest = f"The rest {'may run' if high <= most else 'runs'} on the CPU, more slowly."
        if not is_metal and not has_cpu:
            rest = "With less it does not start."
        elif can_be_raised(device, machine, high):
            rest += " That is the slow end of the pace; the likely one is with the limit raised."
        return f"It needs up to {binary(high)}; {gives}. {rest}"

    def remedy() -> str:
        setting = more_for_shared(needs, machine)
        if setting is not None:
            after = left_by_metal(needs, machine) if is_metal else ", then restart"
            return f"let the GPU use more: `{setting}`{after}"
        terms = needs.memory.terms if needs.memory is not None else ()
        return what_is_smaller(terms, limits()[0])

    return Finding.worded_when_read(
        {
            "check": "accelerator",
            "outcome": Outcome.WARN,
            "code": "accelerator-partly",
            "needs": high,
            "has": limits()[0],
            "short": max(0, high - limits()[0]),
            "unit": "bytes",
            "reserve_bytes": None,
        },
        lambda: (reason(), remedy()),
    )


def _what_it_may_use(least: int, most: int, *, is_metal: bool) -> str:
    """How much RAM, from `least` to `most` bytes, the system lets the GPU use."""
    gives = f"{'macOS' if is_metal else 'Linux'} lets the GPU use"
    if least == most:
        return f"{gives} {binary(least)} of the RAM"
    if is_metal:
        return f"{gives} about {binary_range(least, most)} of the RAM by default"
    return f"{gives} {binary(least)} of the RAM by default"


def more_for_shared(needs: Needs, machine: Machine) -> str | None:
    """The line that lets a GPU of Apple's or AMD's use as much of the RAM as it takes; None where
    the system surely does, nothing can be said, or the machine has not as much.

    On Linux it holds from the next start on; whole GiB in pages of 4 KiB
    (superm1/amd-debug-tools, docs/amd-ttm.md).
    """
    cards = machine.accelerators or ()
    device = next((card for card in cards if card.unified and _is_limited(card, None)), None)
    limits = None if device is None else shared_limits(device, machine)
    high = host_high(needs)
    if device is None or high is None or limits is None or high <= limits[0]:
        return None
    if not can_be_raised(device, machine, high):
        return None
    if device.vendor == "apple":
        return f"sudo sysctl iogpu.wired_limit_mb={-(-high // MIB)}"
    pages = -(-high // GIB) * (GIB // 4096)
    return f"echo options ttm pages_limit={pages} | sudo tee /etc/modprobe.d/ttm.conf"


def left_by_metal(needs: Needs, machine: Machine) -> str:
    """What `more_for_shared` leaves to macOS, where that is little, as a sentence goes on."""
    high, total = host_high(needs), machine.memory_total_bytes
    if high is None or total is None or total - high >= desktop_bytes(machine):
        return ""
    return (
        f"; the {binary(total - high)} left are enough for macOS alone: close all other programs"
        " first"
    )


# ------------------------------------------------------------------ judged on accelerators


class _Share(Record):
    """What one accelerator is to hold. `device` is None for one that is assumed to be there;
    `room_bytes` is what it can give, None where that is not known, or not its own to give.
    """

    device: Accelerator | None
    low_bytes: int
    likely_bytes: int
    high_bytes: int
    room_bytes: int | None


def _shares(needs: Needs, machine: Machine, *, gpu_only: bool) -> list[_Share]:
    """What each accelerator is to hold."""
    if needs.memory is None:
        return []
    accelerators = enumerate(machine.accelerators or ())
    devices = {f"accelerator:{index}": device for index, device in accelerators}
    shares = []
    for where, (low_bytes, likely_bytes, high_bytes) in _sums_there(needs.memory).items():
        device, room_bytes = devices.get(where), None
        if device is not None and device.unified is False:
            room_bytes = room_of(device, gpu_only=gpu_only)
        shares.append(
            _Share(
                device=device,
                low_bytes=low_bytes,
                likely_bytes=likely_bytes,
                high_bytes=high_bytes,
                room_bytes=room_bytes,
            )
        )
    return shares


# of one model that many machines hold alike it is the same
@remembered(128)
def _sums_there(memory: MemoryNeed) -> Mapping[str, tuple[int, int, int]]:
    """What each accelerator takes of the need, the least, the likely and the most bytes."""
    sums: dict[str, tuple[int, int, int]] = {}
    for term in memory.terms:
        if term.where != "host":
            low, likely, high = sums.get(term.where, (0, 0, 0))
            sums[term.where] = (
                low + term.low_bytes, likely + term.bytes, high + term.high_bytes
            )  # fmt: skip
    return sums


def _left_out(needs: Needs, machine: Machine, runtime: RuntimeSpec | None) -> str:
    """That the program cannot divide the model over all accelerators that are there, as a sentence
    of its own behind a space, with the option that may; "" where it can.
    """
    terms = needs.memory.terms if needs.memory is not None else ()
    used = len({term.where for term in terms} - {"host"})
    cards = sum(not (card.unified or card.is_part) for card in machine.accelerators or ())
    if runtime is None or not used < cards or cards in needs.tensor_parallel:
        return ""
    if not runtime.tensor_parallel_option:
        return ""
    parts = " or ".join(map(str, needs.tensor_parallel))
    text = f" {runtime.name} is judged on {used} of the {cards} GPUs"
    text += f", as it divides this model into {parts or 'no'} equal parts"
    if not runtime.pipeline_parallel_option:
        return f"{text}."
    option = runtime.pipeline_parallel_option.replace("{devices}", str(cards))
    return f"{text}; `{option}`, which gives whole layers to each, is not judged."


class _Held:
    """What the accelerators in use are to hold, and what they can give."""

    def __init__(
        self,
        needs: Needs,
        machine: Machine,
        program: Program,
    ) -> None:
        runtime = program.runtime
        self.smaller_caches = program.smaller_caches
        self.program = runtime.name if runtime else "The runtime"
        self.lean_option = runtime.lean_option if runtime and needs.is_lean else ""
        self.share_option = runtime.share_option if runtime else ""
        self.left_out = _left_out(needs, machine, runtime)
        self.gpu_only = program.needs_gpu
        terms = needs.memory.terms if needs.memory else ()
        self.terms = [term for term in terms if term.where != "host"]
        self.shares = _shares(needs, machine, gpu_only=self.gpu_only)
        self.devices = [share.device for share in self.shares if share.device is not None]
        self.share = sum(share.high_bytes for share in self.shares)
        rooms = [share.room_bytes for share in self.shares]
        self.has = None if None in rooms else sum(room or 0 for room in rooms)

    @property
    def low(self) -> int:
        """The least that they are to hold."""
        return sum(share.low_bytes for share in self.shares)

    @property
    def likely(self) -> int:
        """What they are likely to hold."""
        return sum(share.likely_bytes for share in self.shares)

    @property
    def rooms(self) -> list[int]:
        """What each can give; 0 where that is not known."""
        return [share.room_bytes or 0 for share in self.shares]

    def idle_rooms(self) -> list[int]:
        """What each can give once other programs use none of them."""
        return [room_of(device, gpu_only=self.gpu_only) or 0 for device in emptied(self.devices)]

    def fit_when_idle(self) -> bool:
        """Whether each can hold its share once other programs use none of them."""
        return _within([share.high_bytes for share in self.shares], self.idle_rooms())

    @property
    def name(self) -> str:
        """The accelerators in use, equal ones counted."""
        return _names(self.devices)

    def finding(
        self,
        outcome: Outcome,
        code: str,
        reason: Callable[[], str],
        remedy: Callable[[], str | None] = lambda: None,
    ) -> Finding:
        """A finding of their whole share."""
        return _counted(self.share, self.has, outcome, code, reason, remedy)


def _names(devices: Sequence[Accelerator]) -> str:
    """Equal ones counted."""
    return " and ".join(units.counted([device.name for device in devices])) or "the accelerator"


def _unread_held(held: _Held, machine: Machine) -> Finding | None:
    if held.has is not None:
        return None
    fact = "accelerators"
    if machine.accelerators is not None:
        is_sized = any(device.memory_total_bytes is not None for device in held.devices)
        fact = "accelerators.unified" if is_sized else "accelerators.memory_total_bytes"
    return held.finding(
        Outcome.UNKNOWN,
        "accelerator-unread",
        lambda: (
            "Only an accelerator could hold it or make it fast enough, and the accelerator could"
            f" not be read: {machine.why_unread(fact).reason}."
        ),
        lambda: machine.why_unread(fact).remedy,
    )


def _tight(held: _Held, when_tight: str | None) -> Finding | None:
    """Each accelerator holds the likely need, and not each the most."""
    has = held.has
    if when_tight is None or has is None:
        return None
    most, rooms = [share.high_bytes for share in held.shares], held.rooms
    likely = [share.likely_bytes for share in held.shares]
    is_near = _within(most, [int(TIGHT * room) for room in rooms])
    if not (_within(likely, rooms) and is_near) or _within(most, rooms):
        return None
    return held.finding(
        Outcome.WARN,
        "accelerator-tight",
        lambda: (
            f"It likely fits on {held.name}, but it is tight: it needs"
            f" {binary_range(held.low, held.share)}, likely {binary(held.likely)}, and"
            f" {binary(has)} are there."
        ),
        lambda: when_tight,
    )


def _close(held: _Held, when_close: str | None) -> Finding | None:
    """Which trainer it is decides whether the accelerators hold it."""
    has = held.has
    if when_close is None or has is None:
        return None
    least = [share.low_bytes for share in held.shares]
    most = [share.high_bytes for share in held.shares]
    if not _within(least, held.rooms) or _within(most, held.rooms):
        return None
    return held.finding(
        Outcome.UNKNOWN,
        "accelerator-close",
        lambda: (
            f"Whether it fits on {held.name} depends on the trainer: it needs"
            f" {binary_range(held.low, held.share)}, and {binary(has)} are there."
        ),
        lambda: when_close,
    )


def _lean(held: _Held, *, now_only: bool) -> Finding | None:
    """It is judged with the option by which the program takes less: without it the most does not
    fit. None where that option is not given, or other programs hold too much of it.
    """
    has = held.has
    if not held.lean_option or has is None:
        return None
    rooms_now = held.rooms
    rooms = rooms_now if now_only else held.idle_rooms()
    most = [share.high_bytes for share in held.shares]
    likely = [share.likely_bytes for share in held.shares]
    without = "without the option it may not fit"
    smaller = what_is_smaller(held.terms, has, held.smaller_caches)
    if _within(most, rooms):
        if not _within(most, rooms_now):
            return None
        return held.finding(
            Outcome.WARN,
            "accelerator-lean",
            lambda: f"{_with_option(held, has)}, and {without}.{held.left_out}",
            lambda: f"to run it without the option, faster, {smaller}",
        )
    if _within(likely, rooms):
        return held.finding(
            Outcome.WARN,
            "accelerator-tight",
            lambda: (
                f"{_with_option(held, has)}: it likely fits, but it is tight, and {without}."
                f"{held.left_out}"
            ),
            lambda: ", or ".join(
                filter(None, (_in_code("add {}", _more_share(held, most)), smaller))
            ),
        )
    return held.finding(
        Outcome.UNKNOWN,
        "accelerator-close",
        lambda: f"{_with_option(held, has)}: too close to call.{held.left_out}",
        lambda: (
            f"try `{held.lean_option}`{_in_code(' and {}', _more_share(held, likely))};"
            f" to be safe, {smaller}"
        ),
    )


def _with_option(held: _Held, has: int) -> str:
    """What it needs with the option, and what is there, as a sentence begins."""
    return (
        f"With `{held.lean_option}`, which is slower, {held.program} needs"
        f" {binary_range(held.low, held.share)}, likely {binary(held.likely)};"
        f" {held.name} has {binary(has)} for it"
    )


# of a GPU that nothing else uses; what a process takes before its share is counted lies outside of
# it: 0.3 to 0.5 GiB (assumed)
_MOST_SHARE = 95


def _more_share(held: _Held, sizes: Sequence[int]) -> str:
    """The option that lets the program take more of each device, where that may hold so much; "" in
    other cases.
    """
    totals = [device.memory_total_bytes or 0 for device in held.devices]
    if not held.share_option or 0 in totals or len(totals) != len(sizes):
        return ""
    percent = max(-(-100 * size // total) for size, total in zip(sizes, totals, strict=True))
    return f"{held.share_option} {percent / 100:g}" if percent <= _MOST_SHARE else ""


def _in_code(words: str, option: str) -> str:
    """The words with the option in them; "" where there is none."""
    return words.format(f"`{option}`") if option else ""


def _within(sizes: Sequence[int], rooms: Sequence[int]) -> bool:
    return all(size <= room for size, room in zip(sizes, rooms, strict=True))


def _has_others(held: _Held, machine: Machine) -> bool:
    """One accelerator is in use, and there are more."""
    return len(held.shares) == 1 and len(machine.accelerators or ()) > 1


def _too_small(held: _Held, *, now_only: bool, alone: tuple[str, str] | None) -> Finding | None:
    """Some accelerator has too little, now or ever; what another has left over is no room on it.
    `alone`: why the others do not take a part, and what would let them.
    """
    has = held.has
    worst = max(held.shares, key=_lacking_bytes, default=None)
    if has is None or worst is None or _lacking_bytes(worst) <= 0:
        return None
    share, devices = held.share, held.devices
    on = "a GPU" if len(held.devices) == 1 else f"{len(held.devices)} GPUs"
    if share <= has:
        # the sums say nothing: of the one that is to hold most beyond what it may
        assert worst.device is not None
        share, has, devices = worst.high_bytes, worst.room_bytes or 0, [worst.device]
        on = f"one of {on}"
    if not now_only and held.fit_when_idle():

        def busy() -> str:
            free = sum(device.memory_free_bytes or 0 for device in devices)
            return (
                f"{_names(devices)} has room for the {binary(share)} it needs there, but only"
                f" {binary(free)} are free now."
            )

        return _counted(
            share,
            has,
            Outcome.WARN,
            "accelerator-not-now",
            busy,
            lambda: "close the other programs that use the GPU",
        )

    def small() -> str:
        why = f", and {alone[0]}" if alone is not None else ""
        return (
            f"{held.program} needs {binary(share)} on {on}; {_names(devices)} has {binary(has)}"
            f" for it{why}.{held.left_out}"
        )

    return _counted(
        share,
        has,
        Outcome.FAIL,
        "accelerator-too-small",
        small,
        lambda: (
            alone[1]
            if alone is not None
            else what_is_smaller(held.terms, held.has, held.smaller_caches)
        ),
    )


def _lacking_bytes(share: _Share) -> int:
    return share.high_bytes - (share.room_bytes or 0)


def _fits(held: _Held, needs: Needs, machine: Machine) -> Finding:
    assert held.has is not None
    if any(term.name == GATHERED for term in held.terms):
        return held.finding(
            Outcome.WARN,
            "accelerator-shared-out",
            lambda: (
                f"No single accelerator holds it. Split across {len(held.shares)} with FSDP or"
                f" ZeRO-3, it needs up to"
                f" {binary(max(share.high_bytes for share in held.shares))} on each."
            ),
            lambda: "train with FSDP: https://huggingface.co/docs/transformers/fsdp",
        )
    if needs.offload is not None:
        return held.finding(
            Outcome.WARN,
            "accelerator-partly",
            lambda: (
                f"{held.name} holds one part at a time, up to {binary(held.share)}; the others wait"
                " in RAM."
            ),
        )
    if needs.placement == "split":
        return held.finding(
            Outcome.WARN,
            "accelerator-partly",
            lambda: f"{binary(held.share)} of it fits on {held.name}; the rest stays in RAM.",
            lambda: _what_fits_whole(needs, held.has or 0, held.smaller_caches),
        )
    has = held.has

    def words() -> str:
        reason = f"It fits completely on {held.name}: {binary(held.share)} of {binary(has)}."
        return reason + phrase("doubt", confidence=doubt_of(machine))

    return held.finding(Outcome.PASS, "accelerator-fits", words)


_WEIGHTS = ("weights", "repacked_weights")


def _what_fits_whole(needs: Needs, room_bytes: int, smaller_caches: Mapping[str, float]) -> str:
    """What would leave no layer in RAM of a model of which accelerators hold a part."""
    assert needs.memory is not None
    terms = needs.memory.terms
    weights = sum(term.low_bytes for term in terms if term.name in _WEIGHTS)
    cache = sum(term.low_bytes for term in terms if term.name == "kv_cache")
    beside = sum(
        term.low_bytes
        for term in terms
        if term.where != "host" and term.name not in (*_WEIGHTS, "kv_cache")
    )
    if weights + beside <= room_bytes:
        left_bytes = room_bytes - weights - beside
        held = [name for name, share in smaller_caches.items() if share * cache <= left_bytes]
        smaller = f"`--kv-cache {held[0]}`, " if held else ""
        return f"{smaller}a shorter --context or a smaller --quant may fit completely"
    most = room_bytes - beside - cache
    if most <= 0:
        return "only a smaller model fits completely"
    return f"weights of up to {binary(most)} fit completely; these are {binary(weights)}"


def or_in_ram(close: Finding, pace: str) -> Finding:
    """The finding of accelerators that may hold a training, with its pace in RAM."""
    beside = f"The RAM holds it: the CPU would train at {pace}" if pace else "The RAM holds it"
    return _reworded(close, lambda: (f"{close.reason} {beside}.", close.remedy))


def with_remedy(finding: Finding, remedy: str) -> Finding:
    """The finding with that remedy."""
    return _reworded(finding, lambda: (finding.reason, remedy))


def once_idle(chosen: Finding, held: Finding, pace: tuple[float, float] | None) -> Finding:
    """The accelerator's finding of what is judged, with that of the same accelerator once
    others have left it, and its pace there.
    """

    def there() -> str:
        return held.reason + (f" Once idle, it would reach {units.speed(*pace)}." if pace else "")

    if chosen.outcome is Outcome.PASS:
        return _reworded(held, lambda: (f"{there()} Until then it runs in RAM.", held.remedy))
    return _reworded(chosen, lambda: (f"{chosen.reason} {there()}", held.remedy))


def _reworded(finding: Finding, words: Words) -> Finding:
    """The finding with another reason and remedy."""
    fields = [name for name in Finding._fields if name not in ("reason", "remedy")]
    return Finding.worded_when_read({name: getattr(finding, name) for name in fields}, words)


# ------------------------------------------------------------------ what the runtime runs on


def without_kernels(
    runtime: RuntimeSpec | None, rules: tuple[KernelRule, ...], devices: Sequence[Accelerator]
) -> Finding | None:
    """That the runtime does not run on a device, or has no kernel for it by one of the rules, or
    that it cannot be told; None where each will do.
    """
    if runtime is None:
        return None
    findings = (_without_kernels(runtime, rules, device) for device in devices)
    return next((finding for finding in findings if finding is not None), None)


def _without_kernels(
    runtime: RuntimeSpec, rules: tuple[KernelRule, ...], device: Accelerator
) -> Finding | None:
    finding = _too_old(runtime, device) or _not_built_for(runtime, device)
    for rule in rules:
        finding = (
            finding
            or _without_vendor(runtime, rule, device)
            or _below_capability(runtime, rule, device)
        )
    return finding


def _without_vendor(runtime: RuntimeSpec, rule: KernelRule, device: Accelerator) -> Finding | None:
    if not rule.vendors or device.vendor in rule.vendors:
        return None
    if device.vendor == "unknown":
        return _worded_when_read(
            Outcome.UNKNOWN,
            "accelerator-unread",
            lambda: (
                f"{runtime.name} runs {rule.subject} only on GPUs by"
                f" {' and '.join(rule.vendors)}, and the maker of {device.name} is not known."
            ),
            f"give the GPU's full name ({_GPU_NAMED}), or choose another {FLAGS[rule.asked_by]}",
        )
    return _worded_when_read(
        Outcome.FAIL,
        "accelerator-unsuitable",
        lambda: f"{runtime.name} does not run {rule.subject} on {device.name}.",
        _choose_another(rule),
    )


def _too_old(runtime: RuntimeSpec, device: Accelerator) -> Finding | None:
    least = runtime.least_of(shares_ram=device.unified is True)
    # what can do without a GPU asks for so little that a name which nobody has listed has it
    if least is None or (reaches(device, least) is None and not runtime.gpu_only):
        return None
    is_of_shared = least != runtime.compute_capability
    source = runtime.sources.get(
        "shared_compute_capability" if is_of_shared else "compute_capability", ""
    )
    return _against_least(
        device,
        least,
        f"{runtime.name} needs compute capability {least};",
        _other_gpu(runtime, source),
    )


def _other_gpu(runtime: RuntimeSpec, source: str) -> str:
    other = "leave out --runtime to use one that runs on it, or " if runtime.gpu_only else ""
    return f"{other}choose another GPU ({source})"


def _not_built_for(runtime: RuntimeSpec, device: Accelerator) -> Finding | None:
    """That its builds are not made for this GPU of AMD's; None for others, and where they are."""
    patterns = amd_gpus(runtime)
    if device.vendor != "amd" or not patterns:
        return None
    is_built = is_built_for(device, patterns)
    if is_built or (is_built is None and not runtime.gpu_only):
        return None
    source = runtime.sources.get("amd_gpus", "")
    if is_built is None:
        return _worded_when_read(
            Outcome.UNKNOWN,
            "accelerator-unread",
            lambda: f"{runtime.name} is built for some GPUs of AMD's; which this is, is not known.",
            f"give the GPU's full name ({_GPU_NAMED}) ({source})",
        )
    return _worded_when_read(
        Outcome.FAIL,
        "accelerator-unsuitable",
        lambda: f"{runtime.name} is not built for {device.name}.",
        _other_gpu(runtime, source),
    )


def _below_capability(
    runtime: RuntimeSpec, rule: KernelRule, device: Accelerator
) -> Finding | None:
    least = rule.compute_capability
    if least is None:
        return None
    needs = f"{runtime.name} needs compute capability {least} for {rule.subject};"
    return _against_least(device, least, needs, _choose_another(rule))


def _against_least(device: Accelerator, least: str, needs: str, remedy: str) -> Finding | None:
    """That the device lacks that compute capability, or that it cannot be told; None where it has
    it, or is not NVIDIA's.
    """
    if (is_reached := reaches(device, least)) is None:
        return _worded_when_read(
            Outcome.UNKNOWN,
            "accelerator-unread",
            lambda: f"{needs} that of {device.name} is not known.",
            "look it up at https://developer.nvidia.com/cuda-gpus",
        )
    if is_reached:
        return None

    virtual = virtual_gpu(device.name)
    if virtual is not None and virtual.draws_only:
        return _worded_when_read(
            Outcome.FAIL,
            "accelerator-unsuitable",
            lambda: f"{device.name} is a vGPU for drawing: its profile runs no CUDA.",
            "have the virtual machine given a profile that ends in Q or C",
        )

    def reason() -> str:
        has = device.compute_capability or capability_by_name(device.name)
        return f"{needs} {device.name} has {has}."

    return _worded_when_read(Outcome.FAIL, "accelerator-unsuitable", reason, remedy)


def _choose_another(rule: KernelRule) -> str:
    other = "leave out" if rule.has_plain_default else "choose another"
    return f"{other} {FLAGS[rule.asked_by]}, or choose another GPU ({rule.source})"


def _counted(
    share: int,
    has: int | None,
    outcome: Outcome,
    code: str,
    reason: Callable[[], str],
    remedy: Callable[[], str | None],
) -> Finding:
    """A finding of so many bytes that accelerators hold, against what they have."""
    return Finding.worded_when_read(
        {
            "check": "accelerator",
            "outcome": outcome,
            "code": code,
            "needs": share,
            "has": has,
            "short": None if has is None else max(0, share - has),
            "unit": "bytes",
            "reserve_bytes": None,
        },
        lambda: (reason(), remedy()),
    )


def _worded_when_read(
    outcome: Outcome,
    code: str,
    reason: Callable[[], str],
    remedy: Callable[[], str | None] | str | None = None,
) -> Finding:
    return Finding.worded_when_read(
        {**_NO_FIGURES, "outcome": outcome, "code": code},
        lambda: (reason(), remedy() if callable(remedy) else remedy),
    )


_NO_FIGURES = {
    "check": "accelerator",
    "needs": None,
    "has": None,
    "short": None,
    "unit": None,
    "reserve_bytes": None,
}


def _uncounted(outcome: Outcome, code: str, reason: str, remedy: str | None = None) -> Finding:
    return Finding(check="accelerator", outcome=outcome, code=code, reason=reason, remedy=remedy)
