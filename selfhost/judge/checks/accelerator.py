"""Is an accelerator needed? Where one is, or is there: does the model fit it, and what would it
change?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...catalogue.runtime import KernelRule, RuntimeSpec
from ...core import units
from ...core.records import Unread
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
from . import FAIL, PASS, UNKNOWN, WARN, Cell, Finding, doubt_of, finding, phrase
from .memory import what_is_smaller


def accelerator_check(needs: Needs, machine: Machine, question: Question) -> Finding:
    """Is an accelerator needed, and do those that `needs` names as places hold their share?"""
    runtime, devices = question.runtime, machine.accelerators or ()
    if needs.placement != "host":
        return _on_devices(needs, machine, question)
    if runtime is not None and question.wants_gpu:
        return _missing(needs, machine, question, runtime)
    # in RAM, accelerators that are not needed decide nothing
    if not devices:
        return finding(PASS, "accelerator-not-needed")
    sharing = [device for device in devices if device.unified]
    for device in devices:
        is_sized = device.memory_total_bytes is not None
        if device.unified is None or not (device.unified or is_sized):
            why = _why_unread(machine, is_sized=is_sized)
            return finding(WARN, "accelerator-unread", "in-ram", device=device.name, why=why)
    unused = None if runtime is None else _left_unused(runtime, machine, sharing or devices)
    if unused is not None:
        return unused
    if sharing:
        return _shared(sharing, needs, machine, runtime)
    device = max(devices, key=lambda device: free_bytes(device) or 0)
    return finding(PASS, "accelerator-not-needed", "too-small", device=device.name)


def _why_unread(machine: Machine, *, is_sized: bool) -> Unread:
    fact = "unified" if is_sized else "memory_total_bytes"
    return machine.why_unread(f"accelerators.{fact}")


def _left_unused(
    runtime: RuntimeSpec, machine: Machine, devices: Sequence[Accelerator]
) -> Finding | None:
    """That none of the builds computes on these, though the model runs beside them."""
    code, device, program = "accelerator-not-needed", devices[0], runtime.name
    if not uses_gpus(runtime, machine) and not device.unified:
        figures = {"device": device.name, "program": program, "processor": machine.architecture}
        return finding(WARN, code, "unused", figures)
    is_used = any(runs_on(runtime, device) for device in devices)
    unsuited = None if is_used else _refusal(runtime, (), [device])
    if unsuited is None:
        return None
    return finding(WARN, code, "unsuited", remedy=unsuited.remedy, why=unsuited.reason)


def _on_devices(needs: Needs, machine: Machine, question: Question) -> Finding:
    """Do the accelerators in use hold their shares, now or once they are idle?"""
    cards, runtime, workload = machine.accelerators or (), question.runtime, question.workload
    every = needs.memory.places if needs.memory else ()
    places = [place for place in every if place.where != "host"]
    devices = [cards[index_of(place.where)] for place in places] if cards else []
    most, percent = sum(place.high_bytes for place in places), None
    if question.wants_gpu:
        percent = percent_of(needs)
    rooms = [room_of(each, percent) for each in devices if each.unified is False]
    now = [room for room in rooms if room is not None]
    if not now or len(now) < len(devices):
        is_sized = any(device.memory_total_bytes is not None for device in devices)
        why = _why_unread(machine, is_sized=is_sized)
        why = why if machine.accelerators is not None else machine.why_unread("accelerators")
        return finding(UNKNOWN, "accelerator-unread", needs=most, unit="bytes", why=why)
    refusal = runtime and _refusal(runtime, question.kernel_rules, devices)
    if refusal:
        return refusal
    idle = [room_of(each, percent) or 0 for each in emptied(devices)]
    cell = _by_range(needs, question, places, now, idle)
    has, option = sum(now), runtime.lean_option if runtime else ""
    on_cards = [term for term in needs.terms if term.where != "host"]
    return finding(
        *(cell or _by_most(needs, question, devices, places, now, idle)),
        needs=most,
        has=has,
        short=max(0, most - has),
        unit="bytes",
        devices=_names(devices),
        program=runtime.name if runtime else "The runtime",
        need=(sum(place.low_bytes for place in places), most),
        likely=sum(place.total_bytes for place in places),
        option=option.replace("{parallel}", str(workload.parallel)),
        smaller=what_is_smaller(on_cards, has),
        confidence=doubt_of(machine),
    )


def _names(devices: Sequence[Accelerator]) -> str:
    return " and ".join(units.counted([device.name for device in devices])) or "the accelerator"


def _holds(rooms: Sequence[int], places: Sequence[PlaceNeed], end: str = "high_bytes") -> bool:
    """Whether each holds that end of its range."""
    return all(getattr(place, end) <= room for place, room in zip(places, rooms, strict=True))


def _by_range(
    needs: Needs,
    question: Question,
    places: Sequence[PlaceNeed],
    now: Sequence[int],
    idle: Sequence[int],
) -> Cell | None:
    """With a program's option by which it takes less, or in training; None where neither tells."""
    is_lean, workload = needs.is_lean, question.workload
    if not is_lean and workload.task != "finetune":
        return None
    # a training is placed by what is free now
    rooms = idle if is_lean and workload.memory_basis != "available" else now
    variant = "lean" if is_lean else ""
    if _holds(rooms, places):
        is_now = is_lean and _holds(now, places)
        return (WARN, "accelerator-lean", "", {}) if is_now else None
    if _holds(rooms, places, "total_bytes"):
        return WARN, "accelerator-tight", variant, {}
    if _holds(rooms, places, "low_bytes"):
        return UNKNOWN, "accelerator-close", variant, {}
    return None


def _by_most(
    needs: Needs,
    question: Question,
    devices: Sequence[Accelerator],
    places: Sequence[PlaceNeed],
    now: Sequence[int],
    idle: Sequence[int],
) -> Cell:
    runtime, workload = question.runtime, question.workload
    if _holds(now, places):
        if needs.placement != "split":
            return PASS, "accelerator-fits", "", {}
        stated = runtime and any(
            runtime.setting(what, workload.runtime_options)
            for what in ("gpu_layers", "cpu_expert_layers")
        )
        return (
            WARN,
            "accelerator-partly",
            "in-turn" if needs.offload else "stated" * bool(stated),
            {},
        )
    figures: dict[str, Any] = {}
    is_of_one = sum(place.high_bytes for place in places) <= sum(now)
    if is_of_one:
        # the sums say nothing: of the one that is to hold most beyond what it may
        triples = zip(places, now, devices, strict=True)
        place, room, device = max(triples, key=lambda each: each[0].high_bytes - each[1])
        most, devices = place.high_bytes, [device]
        figures = {"needs": most, "has": room, "short": most - room, "devices": device.name}
    if workload.memory_basis != "available" and _holds(idle, places):
        free = sum(device.memory_free_bytes or 0 for device in devices)
        return WARN, "accelerator-not-now", "", {**figures, "free": free}
    several = len(places) if len(places) != 1 else None
    figures |= {"is_of_one": is_of_one, "several": several}
    return FAIL, "accelerator-too-small", "", figures


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
        unread = finding(UNKNOWN, "accelerator-unread", "need", device=largest.name)
        return _refusal(runtime, rules, [largest]) or unread
    return finding(
        FAIL,
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
        return finding(PASS, "accelerator-fits", "shared", device=sharing[0].name)
    least, high, on_mac = limits[0], needs.ram_bytes(), is_metal(device)
    figures: dict[str, Any] = {"device": device.name, "limit": least}
    # of AMD's nobody knows what its owner let it use
    if high is not None and (on_mac or high > least):
        short = max(0, high - least)
        figures.update({"needs": high, "has": least, "short": short, "unit": "bytes"})
    if high is None or high <= least:
        return finding(PASS, "accelerator-fits", "shared", figures)
    line, remedy = more_for_shared(needs, machine), what_is_smaller(needs.terms, least)
    figures["remedy"] = remedy if line is None else phrase("lend", line=line, restart=not on_mac)
    is_raisable, lent = can_be_raised(device, machine, high), limits if on_mac else least
    figures.update({"lent": lent, "raisable": is_raisable})
    return finding(WARN, "accelerator-partly", "limited", figures)


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


def _refusal(
    runtime: RuntimeSpec, rules: Sequence[KernelRule], devices: Sequence[Accelerator]
) -> Finding | None:
    """That the runtime does not run on one of the devices, or that it cannot be told; else None."""
    for device in devices:
        for is_so, variant, figures in _asked(runtime, rules, device):
            if is_so:
                continue
            outcome, code = FAIL, "accelerator-unsuitable"
            if is_so is None:
                outcome, code = UNKNOWN, "accelerator-unread"
            figures |= {"program": runtime.name, "device": device.name}
            return finding(outcome, code, variant, figures, capability=capability_of(device))
    return None


def _asked(
    runtime: RuntimeSpec, rules: Sequence[KernelRule], device: Accelerator
) -> Iterator[tuple[bool | None, str, dict[str, Any]]]:
    """What a program's builds and its rules ask of a GPU: whether that is known to be so, how it is
    called, and its figures.
    """
    # what can do without a GPU asks for so little that one with an unlisted name has it
    gpu_only, sources = runtime.gpu_only, runtime.sources
    least, patterns = runtime.least_of(shares_ram=device.unified is True), amd_gpus(runtime)
    is_so = None if least is None else reaches(device, least)
    figures: dict[str, Any] = {"rule": None, "other_runtime": gpu_only}
    if least is not None and (gpu_only or is_so is not None):
        shared = "shared_" if least != runtime.compute_capability else ""
        source = sources.get(f"{shared}compute_capability", "")
        yield is_so, "capability", {**figures, "least": least, "source": source}
    is_so = is_built_for(device, patterns)
    if device.vendor == "amd" and patterns and (gpu_only or is_so is not None):
        yield is_so, "build", {**figures, "source": sources.get("amd_gpus", "")}
    for rule in rules:
        usual, flag = rule.has_plain_default, FLAGS[rule.asked_by]
        figures = {"rule": rule.subject, "flag": flag, "default": usual, "other": not usual}
        figures |= {"source": rule.source, "other_runtime": False}
        if rule.vendors:
            is_made_for = device.vendor in rule.vendors
            is_so = None if device.vendor == "unknown" and not is_made_for else is_made_for
            yield is_so, "maker", {**figures, "makers": rule.vendors}
        if rule.compute_capability is not None:
            least = rule.compute_capability
            yield reaches(device, least), "capability", {**figures, "least": least}
