"""Is an accelerator needed? Where one is, or is there: does the model fit it, and what would it
change?
"""

from __future__ import annotations

from collections.abc import Sequence

from ...core import units
from ...core.records import Record
from ...core.units import GIB, MIB
from ...machine.record import Accelerator, Machine
from ...needs.records import Needs, Term
from ..placement.devices import (
    computes_on_shared,
    emptied,
    free_bytes,
    index_of,
    is_built_for,
    room_of,
    runs_on,
    uses_gpus,
)
from ..placement.on_devices import terms_of
from ..placement.shared_memory import can_be_raised, is_metal, shared_limits
from . import Finding, Outcome, doubt_of, finding, phrase
from .kernels import not_built_for, without_kernels
from .memory import desktop_bytes, host_high, what_is_smaller

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ...catalogue.runtime import RuntimeSpec
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
    judged = _unread_memory(machine) or _left_unused(runtime, machine, sharing or devices)
    if judged is not None:
        return judged
    if sharing:
        return _shared(sharing, needs, machine, runtime)
    device = max(devices, key=lambda device: free_bytes(device) or 0)
    return finding(Outcome.PASS, "accelerator-not-needed", "too-small", device=device.name)


# ------------------------------------------------------------------ accelerators hold it, or a part


class _Held(Record):
    """What the accelerators in use are to hold: the `least`, `likely` and `most` bytes of each, the
    `rooms` that they can give, and those that they could once other programs use none of them.
    """

    question: Question
    terms: tuple[Term, ...]
    devices: tuple[Accelerator, ...]
    least: tuple[int, ...]
    likely: tuple[int, ...]
    most: tuple[int, ...]
    rooms: tuple[int, ...]
    idle_rooms: tuple[int, ...]

    def finding(self, outcome: Outcome, code: str, variant: str = "", **figures: Any) -> Finding:
        """A finding of their whole share, or of `numbers` of the devices."""
        numbers = figures.pop("numbers", range(len(self.devices)))
        runtime = self.question.runtime
        most, has = (sum(sizes[number] for number in numbers) for sizes in (self.most, self.rooms))
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
            need=(sum(self.least), most),
            likely=sum(self.likely),
            option=runtime.lean_option if runtime else "",
            smaller=what_is_smaller(self.terms, sum(self.rooms)),
            **figures,
        )


def _names(devices: Sequence[Accelerator]) -> str:
    """Equal ones counted."""
    return " and ".join(units.counted([device.name for device in devices])) or "the accelerator"


def _held_check(needs: Needs, machine: Machine, question: Question) -> Finding:
    cards = machine.accelerators or ()
    terms = tuple(term for term in terms_of(needs) if term.where != "host")
    places = dict.fromkeys(term.where for term in terms)
    devices = tuple(cards[index_of(place)] for place in places) if cards else ()
    rooms = _rooms(devices, question)
    if not rooms or None in rooms:
        return _unread(terms, devices, machine)
    refusal = without_kernels(question.runtime, question.kernel_rules, devices)
    if refusal is not None:
        return refusal
    held = _Held(
        question=question,
        terms=terms,
        devices=devices,
        least=_sums(terms, "low_bytes"),
        likely=_sums(terms, "bytes"),
        most=_sums(terms, "high_bytes"),
        rooms=tuple(room or 0 for room in rooms),
        idle_rooms=tuple(room or 0 for room in _rooms(emptied(devices), question)),
    )
    return _by_range(held, needs) or _too_small(held) or _fits(held, needs, machine)


def _sums(terms: Sequence[Term], end: str) -> tuple[int, ...]:
    """What each place holds of the terms, in the order in which they name places."""
    sums: dict[str, int] = {}
    for term in terms:
        sums[term.where] = sums.get(term.where, 0) + getattr(term, end)
    return tuple(sums.values())


def _rooms(devices: Sequence[Accelerator], question: Question) -> list[int | None]:
    """What each can give, None where that is not known."""
    return [
        room_of(device, gpu_only=question.wants_gpu) if device.unified is False else None
        for device in devices
    ]


def _within(sizes: Sequence[int], rooms: Sequence[int]) -> bool:
    return all(size <= room for size, room in zip(sizes, rooms, strict=True))


def _unread(terms: Sequence[Term], devices: Sequence[Accelerator], machine: Machine) -> Finding:
    fact = "accelerators"
    if machine.accelerators is not None:
        is_sized = any(device.memory_total_bytes is not None for device in devices)
        fact = "accelerators.unified" if is_sized else "accelerators.memory_total_bytes"
    why, most = machine.why_unread(fact), sum(term.high_bytes for term in terms)
    figures: dict[str, Any] = {
        "needs": most,
        "unit": "bytes",
        "remedy": why.remedy,
        "why": why.reason,
    }
    return finding(Outcome.UNKNOWN, "accelerator-unread", **figures)


def _by_range(held: _Held, needs: Needs) -> Finding | None:
    """Of a program that is started with the option by which it takes less, without which the most
    does not fit, and of a training, whose trainer decides what it takes; None where the most fits
    all the same, and where nothing does.
    """
    is_lean, workload = needs.is_lean, held.question.workload
    if not is_lean and workload.task != "finetune":
        return None
    # a training is placed by what is free now
    is_idle = is_lean and workload.memory_basis != "available"
    rooms = held.idle_rooms if is_idle else held.rooms
    variant = "lean" if is_lean else ""
    if _within(held.most, rooms):
        is_now = is_lean and _within(held.most, held.rooms)
        return held.finding(Outcome.WARN, "accelerator-lean") if is_now else None
    if _within(held.likely, rooms):
        return held.finding(Outcome.WARN, "accelerator-tight", variant)
    if _within(held.least, rooms):
        return held.finding(Outcome.UNKNOWN, "accelerator-close", variant)
    return None


def _too_small(held: _Held) -> Finding | None:
    """Some accelerator has too little, now or ever; what another has left over is no room on it."""
    if _within(held.most, held.rooms):
        return None
    numbers, is_of_one = range(len(held.devices)), sum(held.most) <= sum(held.rooms)
    if is_of_one:
        # the sums say nothing: of the one that is to hold most beyond what it may
        worst = max(numbers, key=lambda number: held.most[number] - held.rooms[number])
        numbers = range(worst, worst + 1)
    is_now_only = held.question.workload.memory_basis == "available"
    if not is_now_only and _within(held.most, held.idle_rooms):
        free = sum(held.devices[number].memory_free_bytes or 0 for number in numbers)
        return held.finding(Outcome.WARN, "accelerator-not-now", numbers=numbers, free=free)
    return held.finding(
        Outcome.FAIL,
        "accelerator-too-small",
        numbers=numbers,
        is_of_one=is_of_one,
        several=len(held.devices) if len(held.devices) != 1 else None,
    )


def _fits(held: _Held, needs: Needs, machine: Machine) -> Finding:
    if needs.placement == "split":
        variant = "" if needs.offload is None else "in-turn"
        return held.finding(Outcome.WARN, "accelerator-partly", variant)
    return held.finding(Outcome.PASS, "accelerator-fits", confidence=doubt_of(machine))


# ------------------------------------------------------------------ it lies in RAM


def _left_unused(
    runtime: RuntimeSpec | None, machine: Machine, devices: Sequence[Accelerator]
) -> Finding | None:
    """That the program's builds for this system compute on no GPU, or on none of these; None where
    they may.
    """
    if runtime is None:
        return None
    code, device = "accelerator-not-needed", devices[0]
    if not uses_gpus(runtime, machine) and not device.unified:
        figures: dict[str, Any] = {"program": runtime.name, "processor": machine.architecture}
        return finding(Outcome.WARN, code, "unused", device=device.name, **figures)
    if any(runs_on(runtime, device) for device in devices):
        return None
    unsuited = not_built_for(runtime, device)
    if unsuited is None:
        return None
    return finding(Outcome.WARN, code, "unsuited", remedy=unsuited.remedy, why=unsuited.reason)


def _unread_memory(machine: Machine) -> Finding | None:
    """That of some accelerator with memory of its own it was not read how much; None where each
    says.
    """
    for device in machine.accelerators or ():
        is_sized = device.memory_total_bytes is not None
        if device.unified is True or (device.unified is False and is_sized):
            continue
        why = machine.why_unread(f"accelerators.{'unified' if is_sized else 'memory_total_bytes'}")
        figures: dict[str, Any] = {"remedy": why.remedy, "device": device.name, "why": why.reason}
        return finding(Outcome.WARN, "accelerator-unread", "in-ram", **figures)
    return None


def _missing(needs: Needs, machine: Machine, question: Question, runtime: RuntimeSpec) -> Finding:
    """The runtime works on accelerators alone: on one that shares the RAM, if it is built for that;
    else it is not known to have one.
    """
    rules, devices = question.kernel_rules, machine.accelerators or ()
    sharing = [device for device in devices if device.unified and _is_built(runtime, device)]
    if sharing:
        refusal = without_kernels(runtime, rules, sharing[:1])
        return refusal or _shared(sharing, needs, machine, runtime)
    largest = max(devices, key=lambda device: free_bytes(device) or 0, default=None)
    if needs.memory is None and largest is not None:
        return without_kernels(runtime, rules, [largest]) or finding(
            Outcome.UNKNOWN, "accelerator-unread", "need", device=largest.name
        )
    variant = "on-cpu" if runtime.on_cpu else ""
    return finding(
        Outcome.FAIL,
        "accelerator-missing",
        variant if runtime.gpu_only or not rules else "rule",
        program=runtime.name,
        rule=rules[0].subject if rules else None,
        device=largest.name if largest else None,
        on_cpu=runtime.on_cpu,
    )


def _is_built(runtime: RuntimeSpec, device: Accelerator) -> bool:
    """Whether its builds are known to compute on that GPU; only of AMD's that is in question."""
    return device.vendor != "amd" or bool(is_built_for(device, runtime.amd_gpus))


# ------------------------------------------------------------------ RAM that is shared


def _shared(
    sharing: Sequence[Accelerator], needs: Needs, machine: Machine, runtime: RuntimeSpec | None
) -> Finding:
    """Whether the system lets the GPU use as much of the RAM as it takes. The program computes the
    rest on the CPU, where it has layers there.
    """
    device = next((device for device in sharing if _is_limited(device, runtime)), None)
    limits = None if device is None else shared_limits(device, machine)
    high = host_high(needs)
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
    return _limited(device, needs, machine, runtime, limits)


def _limited(
    device: Accelerator,
    needs: Needs,
    machine: Machine,
    runtime: RuntimeSpec | None,
    limits: tuple[int, int],
) -> Finding:
    (least, most), high, on_mac = limits, host_high(needs) or 0, is_metal(device)
    has_cpu = runtime is None or on_mac or (runtime.splits_layers and not runtime.gpu_only)
    line = more_for_shared(needs, machine)
    remedy = what_is_smaller(terms_of(needs), least)
    if line is not None and on_mac:
        remedy = phrase("lend/macos", line=line) + left_by_metal(needs, machine)
    elif line is not None:
        remedy = phrase("lend/linux", line=line)
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
        lent=limits if on_mac else least,
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
    return phrase("lend/left", left=total - high)
