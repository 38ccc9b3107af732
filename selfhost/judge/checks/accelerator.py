"""Is an accelerator needed? Where one is, or is there: does the model fit it, and what would it
change?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...catalogue.runtime import KernelRule, RuntimeSpec
from ...core import units
from ...core.records import Record, Unread
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
    percent_of,
    reaches,
    room_of,
    runs_on,
    shared_limits,
    uses_gpus,
)
from ..record import Question
from . import Finding, Outcome, doubt_of, finding, phrase
from .memory import what_is_smaller


def accelerator_check(needs: Needs, machine: Machine, question: Question) -> Finding:
    """Is an accelerator needed, and do those that `needs` names as places hold their share?"""
    runtime, devices = question.runtime, machine.accelerators or ()
    if needs.placement != "host":
        return _held_check(needs, machine, question)
    if runtime is not None and question.wants_gpu:
        return _missing(needs, machine, question, runtime)
    # in RAM, accelerators that are not needed decide nothing
    code = "accelerator-not-needed"
    if not devices:
        return finding(Outcome.PASS, code)
    sharing = [device for device in devices if device.unified]
    unread = next((device for device in devices if not _is_sized(device)), None)
    if unread is not None:
        why = _why_unread(machine, is_sized=unread.memory_total_bytes is not None)
        return finding(Outcome.WARN, "accelerator-unread", "in-ram", device=unread.name, why=why)
    unused = _left_unused(runtime, machine, sharing or devices)
    if unused is not None:
        return unused
    if sharing:
        return _shared(sharing, needs, machine, runtime)
    device = max(devices, key=lambda device: free_bytes(device) or 0)
    return finding(Outcome.PASS, code, "too-small", device=device.name)


def _is_sized(device: Accelerator) -> bool:
    is_unread = device.unified is False and device.memory_total_bytes is None
    return device.unified is not None and not is_unread


def _why_unread(machine: Machine, *, is_sized: bool) -> Unread:
    fact = "unified" if is_sized else "memory_total_bytes"
    return machine.why_unread(f"accelerators.{fact}")


class _Held(Record):
    """What the accelerators in use are to hold, and their rooms, now and once they are idle."""

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
    return " and ".join(units.counted([device.name for device in devices])) or "the accelerator"


def _held_check(needs: Needs, machine: Machine, question: Question) -> Finding:
    cards, every = machine.accelerators or (), needs.memory.places if needs.memory else ()
    places = tuple(place for place in every if place.where != "host")
    devices = tuple(cards[index_of(place.where)] for place in places) if cards else ()
    percent = percent_of(needs) if question.wants_gpu else None
    rooms = _rooms(devices, percent)
    if not rooms or None in rooms:
        return _unread(places, devices, machine)
    refusal = _refusal(question.runtime, question.kernel_rules, devices)
    if refusal is not None:
        return refusal
    held = _Held(
        question=question,
        needs=needs,
        places=places,
        devices=devices,
        rooms=tuple(room or 0 for room in rooms),
        idle_rooms=tuple(room or 0 for room in _rooms(emptied(devices), percent)),
    )
    return _by_range(held) or _by_most(held, machine)


def _unread(
    places: Sequence[PlaceNeed], devices: Sequence[Accelerator], machine: Machine
) -> Finding:
    is_sized = any(device.memory_total_bytes is not None for device in devices)
    why, most = _why_unread(machine, is_sized=is_sized), sum(place.high_bytes for place in places)
    if machine.accelerators is None:
        why = machine.why_unread("accelerators")
    return finding(Outcome.UNKNOWN, "accelerator-unread", needs=most, unit="bytes", why=why)


def _rooms(devices: Sequence[Accelerator], percent: float | None) -> list[int | None]:
    return [room_of(each, percent) if each.unified is False else None for each in devices]


def _by_range(held: _Held) -> Finding | None:
    """With a program's option by which it takes less, or in training; None where neither tells."""
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
    if held.within("high_bytes", held.rooms):
        if held.needs.placement == "split":
            runtime, options = held.question.runtime, held.question.workload.runtime_options
            laid_out = ("gpu_layers", "cpu_expert_layers")
            is_stated = runtime and any(runtime.setting(what, options) for what in laid_out)
            variant = "in-turn" if held.needs.offload else "stated" * bool(is_stated)
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


def _left_unused(
    runtime: RuntimeSpec | None, machine: Machine, devices: Sequence[Accelerator]
) -> Finding | None:
    if runtime is None:
        return None
    code, device = "accelerator-not-needed", devices[0]
    if not uses_gpus(runtime, machine) and not device.unified:
        figures = {"device": device.name, "program": runtime.name}
        return finding(Outcome.WARN, code, "unused", processor=machine.architecture, **figures)
    is_used = any(runs_on(runtime, device) for device in devices)
    unsuited = None if is_used else _refusal(runtime, (), [device])
    if unsuited is None:
        return None
    return finding(Outcome.WARN, code, "unsuited", remedy=unsuited.remedy, why=unsuited.reason)


def _missing(needs: Needs, machine: Machine, question: Question, runtime: RuntimeSpec) -> Finding:
    """The runtime works on accelerators alone, and none has memory of its own for it."""
    rules, devices = question.kernel_rules, machine.accelerators or ()
    sharing = [
        card
        for card in devices
        if card.unified and (card.vendor != "amd" or is_built_for(card, runtime.amd_gpus))
    ]
    if sharing:
        refusal = _refusal(runtime, rules, sharing[:1])
        return refusal or _shared(sharing, needs, machine, runtime)
    largest = max(devices, key=lambda device: free_bytes(device) or 0, default=None)
    if needs.memory is None and largest is not None:
        return _refusal(runtime, rules, [largest]) or finding(
            Outcome.UNKNOWN, "accelerator-unread", "need", device=largest.name
        )
    return finding(
        Outcome.FAIL,
        "accelerator-missing",
        program=runtime.name,
        rule=rules[0].subject if rules and not runtime.gpu_only else None,
        device=largest.name if largest else None,
        on_cpu=runtime.on_cpu,
    )


def _shared(
    sharing: Sequence[Accelerator], needs: Needs, machine: Machine, runtime: RuntimeSpec | None
) -> Finding:
    """Whether the system lets the GPU use as much of the RAM as it takes."""
    device = next((device for device in sharing if _is_limited(device, runtime)), None)
    limits = None if device is None else shared_limits(device, machine)
    if device is None or limits is None:
        return finding(Outcome.PASS, "accelerator-fits", "shared", device=sharing[0].name)
    least, high, on_mac = limits[0], needs.ram_bytes(), is_metal(device)
    figures: dict[str, Any] = {"device": device.name, "limit": least}
    # of AMD's nobody knows what its owner let it use
    if high is not None and (on_mac or high > least):
        short = max(0, high - least)
        figures.update({"needs": high, "has": least, "short": short, "unit": "bytes"})
    if high is None or high <= least:
        return finding(Outcome.PASS, "accelerator-fits", "shared", **figures)
    line, remedy = more_for_shared(needs, machine), what_is_smaller(needs.terms, least)
    if line is not None:
        remedy = phrase("lend", line=line, restart=not on_mac)
    return finding(
        Outcome.WARN,
        "accelerator-partly",
        "limited",
        remedy=remedy,
        lent=limits if on_mac else least,
        raisable=can_be_raised(device, machine, high),
        **figures,
    )


def _is_limited(device: Accelerator, runtime: RuntimeSpec | None) -> bool:
    """Whether the GPU may use a part of the RAM alone, and the program computes on it."""
    if device.vendor == "apple" or runtime is None:
        return device.vendor in ("apple", "amd")
    return device.vendor == "amd" and (runtime.gpu_only or computes_on_shared(runtime, device))


def more_for_shared(needs: Needs, machine: Machine) -> str | None:
    """The line that lets a GPU of Apple's or AMD's use as much of the RAM as it takes, if any does.

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


# what a program asks of a GPU: whether that is known to be so, how it is called, and its figures
_Wanted = tuple[bool | None, str, dict[str, Any]]


def _refusal(
    runtime: RuntimeSpec | None, rules: Sequence[KernelRule], devices: Sequence[Accelerator]
) -> Finding | None:
    """That the runtime does not run on one of the devices, or that it cannot be told; else None."""
    if runtime is None:
        return None
    for device in devices:
        wanted = [*_asked_by_builds(runtime, device)]
        for rule in rules:
            wanted += _asked_by_rule(rule, device)
        for is_so, variant, figures in wanted:
            if is_so:
                continue
            is_known = is_so is False
            names = {"program": runtime.name, "device": device.name}
            return finding(
                Outcome.FAIL if is_known else Outcome.UNKNOWN,
                "accelerator-unsuitable" if is_known else "accelerator-unread",
                variant,
                capability=capability_of(device),
                **names,
                **figures,
            )
    return None


def _asked_by_builds(runtime: RuntimeSpec, device: Accelerator) -> Iterator[_Wanted]:
    """What can do without a GPU asks for so little that one with an unlisted name has it."""
    least = runtime.least_of(shares_ram=device.unified is True)
    is_reached = None if least is None else reaches(device, least)
    figures = {"rule": None, "other_runtime": runtime.gpu_only}
    if least is not None and (runtime.gpu_only or is_reached is not None):
        shared = "shared_" if least != runtime.compute_capability else ""
        source = runtime.sources.get(f"{shared}compute_capability", "")
        yield is_reached, "capability", {**figures, "least": least, "source": source}
    patterns = amd_gpus(runtime)
    is_built = is_built_for(device, patterns)
    if device.vendor == "amd" and patterns and (runtime.gpu_only or is_built is not None):
        yield is_built, "build", {**figures, "source": runtime.sources.get("amd_gpus", "")}


def _asked_by_rule(rule: KernelRule, device: Accelerator) -> Iterator[_Wanted]:
    flag, least = FLAGS[rule.asked_by], rule.compute_capability
    is_usual = rule.has_plain_default
    figures = {"rule": rule.subject, "flag": flag, "default": is_usual, "other": not is_usual}
    figures.update({"source": rule.source, "other_runtime": False})
    if rule.vendors:
        is_made_for = device.vendor in rule.vendors
        is_so = None if device.vendor == "unknown" and not is_made_for else is_made_for
        yield is_so, "maker", {**figures, "makers": rule.vendors}
    if least is not None:
        yield reaches(device, least), "capability", {**figures, "least": least}
