"""Is an accelerator needed? Where one is, or is there: does the model fit it, and what would it
change?
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...catalogue.runtime import KernelRule, RuntimeSpec
from ...core import units
from ...core.records import Record
from ...core.units import GIB, MIB
from ...core.workload import FLAGS
from ...machine.gpus import capability_of
from ...machine.record import Accelerator, Machine
from ...needs.records import Needs, PlaceNeed
from ..placement.devices import (
    amd_gpus,
    can_be_raised,
    computes_on_shared,
    emptied,
    free_bytes,
    index_of,
    is_built_for,
    is_metal,
    reaches,
    room_of,
    runs_on,
    shared_limits,
    uses_gpus,
)
from . import Finding, Outcome, doubt_of, finding, phrase
from .memory import desktop_bytes, what_is_smaller

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..record import Question


def accelerator_check(needs: Needs, machine: Machine, question: Question) -> Finding:
    """Is an accelerator needed, and do those that `needs` names as places hold their share?"""
    runtime, devices = question.runtime, machine.accelerators or ()
    if needs.placement != "host":
        return _held_check(needs, machine, question)
    if runtime is not None and question.wants_gpu:
        return _missing(needs, machine, question, runtime)
    if not devices:
        return finding(Outcome.PASS, "accelerator-not-needed")
    # in RAM, accelerators that are not needed decide nothing
    sharing = [device for device in devices if device.unified]
    judged = _left_unused(runtime, machine, sharing or devices)
    if judged is not None:
        return judged
    if sharing:
        return _shared(sharing, needs, machine, runtime)
    device = max(devices, key=lambda device: free_bytes(device) or 0)
    return finding(Outcome.PASS, "accelerator-not-needed", "too-small", device=device.name)


# ------------------------------------------------------------------ accelerators hold it, or a part


class _Held(Record):
    """What the accelerators in use are to hold, with the `rooms` that they can give, and those that
    they could once other programs use none of them.
    """

    question: Question
    needs: Needs
    places: tuple[PlaceNeed, ...]
    devices: tuple[Accelerator, ...]
    rooms: tuple[int, ...]
    idle_rooms: tuple[int, ...]

    def finding(self, outcome: Outcome, code: str, variant: str = "", **figures: Any) -> Finding:
        """A finding of their whole share, or of `numbers` of the devices."""
        numbers = figures.pop("numbers", range(len(self.devices)))
        runtime, terms = self.question.runtime, self.needs.terms
        option = runtime.lean_option if runtime else ""
        option = option.replace("{parallel}", str(self.question.workload.parallel))
        most = sum(self.places[number].high_bytes for number in numbers)
        has = sum(self.rooms[number] for number in numbers)
        on_cards = [term for term in terms if term.where != "host"]
        return finding(
            outcome,
            code,
            variant,
            needs=most,
            has=has,
            short=max(0, most - has),
            unit="bytes",
            devices=_names([self.devices[number] for number in numbers]),
            program=runtime.name if runtime else "The runtime",
            need=(sum(place.low_bytes for place in self.places), most),
            likely=sum(place.total_bytes for place in self.places),
            option=option,
            smaller=what_is_smaller(on_cards, sum(self.rooms)),
            **figures,
        )

    def within(self, end: str, rooms: Sequence[int]) -> bool:
        """Whether each holds that end of its range."""
        pairs = zip(self.places, rooms, strict=True)
        return all(getattr(place, end) <= room for place, room in pairs)


def _names(devices: Sequence[Accelerator]) -> str:
    """Equal ones counted."""
    return " and ".join(units.counted([device.name for device in devices])) or "the accelerator"


def _held_check(needs: Needs, machine: Machine, question: Question) -> Finding:
    cards, every = machine.accelerators or (), needs.memory.places if needs.memory else ()
    places = tuple(place for place in every if place.where != "host")
    devices = tuple(cards[index_of(place.where)] for place in places) if cards else ()
    rooms = _rooms(devices, question)
    if not rooms or None in rooms:
        return _unread(places, devices, machine)
    refusal = without_kernels(question.runtime, question.kernel_rules, devices)
    if refusal is not None:
        return refusal
    held = _Held(
        question=question,
        needs=needs,
        places=places,
        devices=devices,
        rooms=tuple(room or 0 for room in rooms),
        idle_rooms=tuple(room or 0 for room in _rooms(emptied(devices), question)),
    )
    return _by_range(held) or _by_most(held, machine)


def _unread(
    places: Sequence[PlaceNeed], devices: Sequence[Accelerator], machine: Machine
) -> Finding:
    fact = "accelerators"
    if machine.accelerators is not None:
        is_sized = any(device.memory_total_bytes is not None for device in devices)
        fact = "accelerators.unified" if is_sized else "accelerators.memory_total_bytes"
    why, most = machine.why_unread(fact), sum(place.high_bytes for place in places)
    return finding(Outcome.UNKNOWN, "accelerator-unread", needs=most, unit="bytes", why=why)


def _rooms(devices: Sequence[Accelerator], question: Question) -> list[int | None]:
    """What each can give, None where that is not known."""
    return [
        room_of(device, gpu_only=question.wants_gpu) if device.unified is False else None
        for device in devices
    ]


def _by_range(held: _Held) -> Finding | None:
    """Of a program that is started with the option by which it takes less, without which the most
    does not fit, and of a training, whose trainer decides what it takes; None where the most fits
    all the same, and where nothing does.
    """
    is_lean, workload = held.needs.is_lean, held.question.workload
    if not is_lean and workload.task != "finetune":
        return None
    # a training is placed by what is free now
    is_idle = is_lean and workload.memory_basis != "available"
    rooms = held.idle_rooms if is_idle else held.rooms
    variant = "lean" if is_lean else ""
    if held.within("high_bytes", rooms):
        is_now = is_lean and held.within("high_bytes", held.rooms)
        return held.finding(Outcome.WARN, "accelerator-lean") if is_now else None
    if held.within("total_bytes", rooms):
        return held.finding(Outcome.WARN, "accelerator-tight", variant)
    if held.within("low_bytes", rooms):
        return held.finding(Outcome.UNKNOWN, "accelerator-close", variant)
    return None


def _by_most(held: _Held, machine: Machine) -> Finding:
    """Whether the most fits, now or once others have left; what another has left over is no room
    on one that has too little.
    """
    if held.within("high_bytes", held.rooms):
        if held.needs.placement == "split":
            variant = "" if held.needs.offload is None else "in-turn"
            return held.finding(Outcome.WARN, "accelerator-partly", variant)
        return held.finding(Outcome.PASS, "accelerator-fits", confidence=doubt_of(machine))
    numbers, most = range(len(held.devices)), [place.high_bytes for place in held.places]
    is_of_one = sum(most) <= sum(held.rooms)
    if is_of_one:
        # the sums say nothing: of the one that is to hold most beyond what it may
        worst = max(numbers, key=lambda number: most[number] - held.rooms[number])
        numbers = range(worst, worst + 1)
    is_now_only = held.question.workload.memory_basis == "available"
    if not is_now_only and held.within("high_bytes", held.idle_rooms):
        free = sum(held.devices[number].memory_free_bytes or 0 for number in numbers)
        return held.finding(Outcome.WARN, "accelerator-not-now", numbers=numbers, free=free)
    several = len(held.devices) if len(held.devices) != 1 else None
    figures: dict[str, Any] = {"numbers": numbers, "is_of_one": is_of_one, "several": several}
    return held.finding(Outcome.FAIL, "accelerator-too-small", **figures)


# ------------------------------------------------------------------ it lies in RAM


def _left_unused(
    runtime: RuntimeSpec | None, machine: Machine, devices: Sequence[Accelerator]
) -> Finding | None:
    """That of some accelerator with memory of its own it was not read how much, or that the
    program's builds for this system compute on none of these; None else.
    """
    for device in machine.accelerators or ():
        is_sized = device.memory_total_bytes is not None
        if device.unified is None or (device.unified is False and not is_sized):
            fact = "unified" if is_sized else "memory_total_bytes"
            why = machine.why_unread(f"accelerators.{fact}")
            return finding(
                Outcome.WARN, "accelerator-unread", "in-ram", device=device.name, why=why
            )
    if runtime is None:
        return None
    code, device = "accelerator-not-needed", devices[0]
    if not uses_gpus(runtime, machine) and not device.unified:
        return finding(
            Outcome.WARN,
            code,
            "unused",
            device=device.name,
            program=runtime.name,
            processor=machine.architecture,
        )
    is_used = any(runs_on(runtime, device) for device in devices)
    unsuited = None if is_used else not_built_for(runtime, device)
    if unsuited is None:
        return None
    return finding(Outcome.WARN, code, "unsuited", remedy=unsuited.remedy, why=unsuited.reason)


def _missing(needs: Needs, machine: Machine, question: Question, runtime: RuntimeSpec) -> Finding:
    """The runtime works on accelerators alone: on one that shares the RAM, if it is built for that,
    of which only AMD's are in question; else it is not known to have one.
    """
    rules, devices = question.kernel_rules, machine.accelerators or ()
    sharing = [
        card
        for card in devices
        if card.unified and (card.vendor != "amd" or is_built_for(card, runtime.amd_gpus))
    ]
    if sharing:
        refusal = without_kernels(runtime, rules, sharing[:1])
        return refusal or _shared(sharing, needs, machine, runtime)
    largest = max(devices, key=lambda device: free_bytes(device) or 0, default=None)
    if needs.memory is None and largest is not None:
        return without_kernels(runtime, rules, [largest]) or finding(
            Outcome.UNKNOWN, "accelerator-unread", "need", device=largest.name
        )
    variant = "on-cpu" * bool(runtime.on_cpu)
    return finding(
        Outcome.FAIL,
        "accelerator-missing",
        variant if runtime.gpu_only or not rules else "rule",
        program=runtime.name,
        rule=rules[0].subject if rules else None,
        device=largest.name if largest else None,
        on_cpu=runtime.on_cpu,
    )


# ------------------------------------------------------------------ RAM that is shared


def _shared(
    sharing: Sequence[Accelerator], needs: Needs, machine: Machine, runtime: RuntimeSpec | None
) -> Finding:
    """Whether the system lets the GPU use as much of the RAM as it takes. The program computes the
    rest on the CPU, where it has layers there.
    """
    device = next((device for device in sharing if _is_limited(device, runtime)), None)
    limits = None if device is None else shared_limits(device, machine)
    high = needs.ram_bytes()
    figures: dict[str, Any] = {}
    if device is None or limits is None:
        return finding(Outcome.PASS, "accelerator-fits", "shared", device=sharing[0].name)
    least = limits[0]
    if high is None or high <= least:
        if high is not None and is_metal(device):
            # of AMD's nobody knows what its owner let it use
            figures = {"needs": high, "has": least, "short": 0, "unit": "bytes"}
        figures.update(device=device.name, limit=least)
        return finding(Outcome.PASS, "accelerator-fits", "shared", **figures)
    return _limited(device, high, needs, machine, runtime)


def _limited(
    device: Accelerator, high: int, needs: Needs, machine: Machine, runtime: RuntimeSpec | None
) -> Finding:
    (least, most), on_mac = shared_limits(device, machine) or (0, 0), is_metal(device)
    has_cpu = runtime is None or on_mac or (runtime.splits_layers and not runtime.gpu_only)
    line = more_for_shared(needs, machine)
    remedy = what_is_smaller(needs.terms, least)
    if line is not None:
        remedy = phrase("lend/macos" if on_mac else "lend/linux", line=line)
        remedy += left_by_metal(needs, machine) if on_mac else ""
    return finding(
        Outcome.WARN,
        "accelerator-partly",
        "limited",
        needs=high,
        has=least,
        short=high - least,
        unit="bytes",
        remedy=remedy,
        system="macOS" if on_mac else "Linux",
        lent=(least, most) if on_mac else least,
        about=on_mac and least != most,
        default=least != most,
        no_cpu=not has_cpu,
        runs="may run" if high <= most else "runs",
        raisable=has_cpu and can_be_raised(device, machine, high),
    )


def _is_limited(device: Accelerator, runtime: RuntimeSpec | None) -> bool:
    """Whether the system lets the GPU use a part of the RAM alone, and the program computes on it:
    on Apple's all do.
    """
    if device.vendor == "apple" or runtime is None:
        return device.vendor in ("apple", "amd")
    return device.vendor == "amd" and (runtime.gpu_only or computes_on_shared(runtime, device))


def more_for_shared(needs: Needs, machine: Machine) -> str | None:
    """The line that lets a GPU of Apple's or AMD's use as much of the RAM as it takes; None where
    the system surely does, nothing can be said, or the machine has not as much.

    On Linux it holds from the next start on; whole GiB in pages of 4 KiB
    (superm1/amd-debug-tools, docs/amd-ttm.md).
    """
    cards = machine.accelerators or ()
    device = next((card for card in cards if card.unified and _is_limited(card, None)), None)
    limits = None if device is None else shared_limits(device, machine)
    high = needs.ram_bytes()
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
    high, total = needs.ram_bytes(), machine.memory_total_bytes
    if high is None or total is None or total - high >= desktop_bytes(machine):
        return ""
    return phrase("lend/left", left=total - high)


# ------------------------------------------------------------------ builds and kernels

# by whether it is known that the program does not run there
_REFUSALS = {
    True: (Outcome.FAIL, "accelerator-unsuitable"),
    False: (Outcome.UNKNOWN, "accelerator-unread"),
}


def without_kernels(
    runtime: RuntimeSpec | None, rules: Sequence[KernelRule], devices: Sequence[Accelerator]
) -> Finding | None:
    """That the runtime does not run on a device, or has no kernel for it by one of the rules, or
    that it cannot be told; None where each will do.
    """
    if runtime is None:
        return None
    for device in devices:
        refusal = not_built_for(runtime, device)
        for rule in rules:
            refusal = refusal or _without_kernel(runtime, rule, device)
        if refusal is not None:
            return refusal
    return None


def not_built_for(runtime: RuntimeSpec, device: Accelerator) -> Finding | None:
    """That its builds are not made for this GPU, or that it cannot be told; None where they are."""
    least = runtime.least_of(shares_ram=device.unified is True)
    # what can do without a GPU asks for so little that a name which nobody has listed has it
    if least is not None and (runtime.gpu_only or reaches(device, least) is not None):
        is_shared = least != runtime.compute_capability
        remedy = _other_gpu(runtime, f"{'shared_' if is_shared else ''}compute_capability")
        below = _below(runtime, device, least, remedy)
        if below is not None:
            return below
    patterns = amd_gpus(runtime)
    is_built = is_built_for(device, patterns)
    is_open = is_built is None and not runtime.gpu_only
    if device.vendor != "amd" or not patterns or is_built or is_open:
        return None
    is_known = is_built is False
    return finding(
        *_REFUSALS[is_known],
        "build" if is_known else "amd",
        remedy=_other_gpu(runtime, "amd_gpus") if is_known else None,
        program=runtime.name,
        device=device.name,
        source=runtime.sources.get("amd_gpus", ""),
    )


def _other_gpu(runtime: RuntimeSpec, fact: str) -> str:
    source = runtime.sources.get(fact, "")
    return phrase("other-gpu", other_runtime=runtime.gpu_only, source=source)


def _without_kernel(runtime: RuntimeSpec, rule: KernelRule, device: Accelerator) -> Finding | None:
    flag: dict[str, Any] = {
        "flag": FLAGS[rule.asked_by],
        "default": rule.has_plain_default,
        "source": rule.source,
    }
    if rule.vendors and device.vendor not in rule.vendors:
        return finding(
            *_REFUSALS[device.vendor != "unknown"],
            "maker",
            program=runtime.name,
            rule=rule.subject,
            makers=rule.vendors,
            device=device.name,
            **flag,
        )
    least = rule.compute_capability
    remedy = phrase("other-rule", **flag)
    return None if least is None else _below(runtime, device, least, remedy, rule.subject)


def _below(
    runtime: RuntimeSpec, device: Accelerator, least: str, remedy: str, rule: str | None = None
) -> Finding | None:
    """That the device lacks that compute capability, or that it cannot be told; None where it has
    it, or is not NVIDIA's. `rule`: what the capability is needed for.
    """
    is_reached = reaches(device, least)
    if is_reached:
        return None
    is_known = is_reached is not None
    return finding(
        *_REFUSALS[is_known],
        "capability",
        remedy=remedy if is_known else None,
        program=runtime.name,
        least=least,
        rule=rule,
        device=device.name,
        capability=capability_of(device),
    )
