"""Is an accelerator needed? Where one is, or is there: does the model fit it, and what would it
change?
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ...catalogue.runtime import RuntimeSpec
from ...catalogue.runtime_parts import KernelRule
from ...core import units
from ...core.records import Record
from ...core.templates import fill
from ...core.units import GIB, MIB
from ...core.workload import FLAGS
from ...machine.gpus import capability_of
from ...machine.record import Accelerator, Machine
from ...needs.records import Needs, PlaceNeed
from ..devices import (
    LEFT_PERCENT,
    amd_gpus,
    computes_on_shared,
    emptied,
    index_of,
    is_built_for,
    least_capability,
    lent_to_gpu,
    percent_of,
    reaches,
    room_of,
    runs_on,
)
from ..record import Question
from . import FAIL, PASS, UNKNOWN, WARN, Cell, Figures, Finding, finding, phrase
from .space import what_is_smaller


def accelerator_check(needs: Needs, machine: Machine, question: Question) -> Finding:
    """Is an accelerator needed, and do those that `needs` names as places hold their share?"""
    runtime, devices = question.runtime, machine.accelerators or ()
    if needs.placement != "host":
        return _devices_finding(needs, machine, question)
    if runtime is not None and question.wants_gpu:
        return _missing(needs, machine, question, runtime)
    if devices:
        return _unneeded(needs, machine, devices, runtime)
    names = _placing_options(question) if question.workload.runtime_options else []
    if names:
        return finding(WARN, "accelerator-not-needed", "ignored", names=names)
    return finding(PASS, "accelerator-not-needed")


def _placing_options(question: Question) -> list[str]:
    """The options that were asked for and say where layers lie."""
    rules = question.runtime.named_options if question.runtime else {}
    placing = {name for name, rule in rules.items() if rule.changes.endswith("_layers")}
    return [name for name in question.workload.runtime_options if name in placing]


def _unneeded(
    needs: Needs,
    machine: Machine,
    devices: Sequence[Accelerator],
    runtime: RuntimeSpec | None,
) -> Finding:
    """Accelerators that are not needed decide nothing; none of the builds may compute on them."""
    sharing = [device for device in devices if device.unified]
    for device in devices:
        is_sized = bool(device.unified) or device.memory_total_bytes is not None
        if device.unified is None or not is_sized:
            why = machine.why_unread(_deciding_fact(is_sized=is_sized))
            return finding(
                WARN, "accelerator-unread", "in-ram", device=device.name, why=why
            )
    code, shown = "accelerator-not-needed", sharing or devices
    if runtime is not None:
        if machine.platform in runtime.gpus.unused_systems and not shown[0].unified:
            figures = {"device": shown[0].name, "processor": machine.architecture}
            return finding(WARN, code, "unused", figures, program=runtime.name)
        is_used = any(runs_on(runtime, device) for device in shown)
        unsuited = None if is_used else _refusal(runtime, (), shown[:1])
        if unsuited is not None:
            return finding(
                WARN, code, "unsuited", remedy=unsuited.remedy, why=unsuited.reason
            )
    if sharing:
        return _shared_ram(sharing, needs, machine, runtime)
    roomiest = max(devices, key=lambda device: room_of(device) or 0)
    return finding(PASS, code, "too-small", device=roomiest.name)


class _Share(Record):
    """What lies on one accelerator, of which a program takes so many hundredths."""

    place: PlaceNeed
    device: Accelerator
    percent: float | None

    def room(self, *, is_idle: bool = False) -> int | None:
        """What it may take now, or once nothing else runs there; None: not read."""
        if self.device.unified is not False:
            return None
        return room_of(
            emptied([self.device])[0] if is_idle else self.device, self.percent
        )


def _fit(
    shares: Sequence[_Share], end: str = "high_bytes", *, is_idle: bool = False
) -> bool:
    """Whether there is room for that end of the range of each."""
    return all(
        getattr(each.place, end) <= (each.room(is_idle=is_idle) or 0) for each in shares
    )


def _deciding_fact(*, is_sized: bool) -> str:
    """The fact of an accelerator that was not read: its size, else whether it shares the RAM."""
    return "accelerators.unified" if is_sized else "accelerators.memory_total_bytes"


def _devices_finding(needs: Needs, machine: Machine, question: Question) -> Finding:
    """Do the accelerators in use hold their shares, now or once they are idle?"""
    cards, places = machine.accelerators, needs.memory.places if needs.memory else ()
    held = [place for place in places if place.where != "host"]
    percent = percent_of(question.case) if question.wants_gpu else None
    shares = [
        _Share(place=each, device=cards[index_of(each.where)], percent=percent)
        for each in held
        if cards
    ]
    if not shares or any(share.room() is None for share in shares):
        fact = "accelerators"
        if cards is not None:
            is_sized = any(
                share.device.memory_total_bytes is not None for share in shares
            )
            fact = _deciding_fact(is_sized=is_sized)
        most = sum(place.high_bytes for place in held)
        why = machine.why_unread(fact)
        return finding(UNKNOWN, "accelerator-unread", needs=most, unit="bytes", why=why)
    devices = [share.device for share in shares]
    refusal = question.runtime and _refusal(
        question.runtime, question.kernel_rules, devices
    )
    return refusal or _shares_check(shares, needs, machine, question)


def _shares_check(
    shares: Sequence[_Share], needs: Needs, machine: Machine, question: Question
) -> Finding:
    runtime, has = question.runtime, sum(share.room() or 0 for share in shares)
    most = sum(share.place.high_bytes for share in shares)
    lean = (
        [runtime.command_lines.options.get(key, "") for key in ("lean", "sampled")]
        if runtime
        else []
    )
    if question.case is not None and "sequences_sampled" in question.case.settings:
        lean = lean[:1]
    option = fill(
        " ".join(filter(None, lean)),
        {"parallel": question.workload.parallel},
        keep_unknown=True,
    )
    on_cards = [term for term in needs.terms if term.where != "host"]
    return finding(
        *_shares_cell(shares, needs, question),
        needs=most,
        has=has,
        short=max(0, most - has),
        unit="bytes",
        devices=" and ".join(units.counted([share.device.name for share in shares])),
        program=runtime.name if runtime else "The runtime",
        need=(sum(share.place.low_bytes for share in shares), most),
        likely=sum(share.place.total_bytes for share in shares),
        option=option,
        smaller=what_is_smaller(on_cards, has),
        confidence=machine.confidence,
    )


def _shares_cell(shares: Sequence[_Share], needs: Needs, question: Question) -> Cell:
    """By the range with a program's option by which it takes less, and in training; else the most
    that it may take, now or once the accelerators are idle.
    """
    is_lean = needs.is_lean
    is_now = question.workload.memory_basis == "available"
    # a training is placed by what is free now
    is_idle = is_lean and not is_now
    is_ranged = is_lean or question.workload.task == "finetune"
    if is_ranged and not _fit(shares, is_idle=is_idle):
        variant = "lean" if is_lean else ""
        if _fit(shares, "total_bytes", is_idle=is_idle):
            return WARN, "accelerator-tight", variant, {}
        if _fit(shares, "low_bytes", is_idle=is_idle):
            return UNKNOWN, "accelerator-close", variant, {}
    if not _fit(shares):
        return _lacking_cell(shares, is_now=is_now)
    if is_lean:
        return WARN, "accelerator-lean", "", {}
    if needs.placement != "split":
        return PASS, "accelerator-fits", "", {}
    if needs.offload:
        return WARN, "accelerator-partly", "in-turn", {}
    return (
        WARN,
        "accelerator-partly",
        "stated" if _placing_options(question) else "",
        {},
    )


def _lacking_cell(shares: Sequence[_Share], *, is_now: bool) -> Cell:
    """Of accelerators that do not hold their shares: whether they would once they are idle, which
    does not count where what is free now was asked for.
    """
    figures: Figures = {"several": len(shares) if len(shares) > 1 else 0}
    lacking = [share.place.high_bytes - (share.room() or 0) for share in shares]
    named = shares
    is_of_one = sum(lacking) <= 0
    if is_of_one:
        # together they have enough: name the one that lacks most
        worst = shares[lacking.index(max(lacking))]
        figures["needs"] = worst.place.high_bytes
        figures["has"] = worst.room()
        figures["short"] = max(lacking)
        figures["devices"] = worst.device.name
        named = [worst]
    if not is_now and _fit(shares, is_idle=True):
        figures["free"] = sum(share.device.memory_free_bytes or 0 for share in named)
        return WARN, "accelerator-not-now", "", figures
    figures["is_of_one"] = is_of_one
    return FAIL, "accelerator-too-small", "", figures


def _missing(
    needs: Needs, machine: Machine, question: Question, runtime: RuntimeSpec
) -> Finding:
    """The runtime works on accelerators alone, and none has memory of its own for it."""
    rules, devices = question.kernel_rules, machine.accelerators or ()
    sharing = [
        card
        for card in devices
        if card.unified
        and (card.vendor != "amd" or is_built_for(card, runtime.gpus.amd_gpus))
    ]
    if sharing:
        refusal = _refusal(runtime, rules, sharing[:1])
        return refusal or _stated_share(sharing, needs, machine, question)
    largest = max(devices, key=lambda device: room_of(device) or 0, default=None)
    if needs.memory is None and largest is not None:
        unread = finding(UNKNOWN, "accelerator-unread", "need", device=largest.name)
        return _refusal(runtime, rules, [largest]) or unread
    return finding(
        FAIL,
        "accelerator-missing",
        program=runtime.name,
        rule=rules[0].subject if rules and not runtime.gpus.required else None,
        device=largest.name if largest else None,
        on_cpu=runtime.gpus.on_cpu,
    )


def _stated_share(
    sharing: Sequence[Accelerator], needs: Needs, machine: Machine, question: Question
) -> Finding:
    """As `_shared_ram`; of a stated share whether it holds the model, and the system leaves it."""
    case, total, free = (
        question.case,
        machine.memory_total_bytes,
        machine.memory_available_bytes,
    )
    if (
        case is None
        or not case.settings.get("memory_share")
        or not total
        or needs.memory is None
    ):
        return _shared_ram(sharing, needs, machine, question.runtime)
    card = sharing[0].replace(
        unified=False, memory_total_bytes=total, memory_free_bytes=None
    )
    share = _Share(place=needs.memory.places[0], device=card, percent=percent_of(case))
    left = LEFT_PERCENT if free is None else free * 100 // total
    if percent_of(case) <= left:
        return _shares_check([share], needs, machine, question)
    figures = {"taken": share.room(), "left": total * left // 100, "share": left / 100}
    return finding(UNKNOWN, "accelerator-close", "share", figures)


def _shared_ram(
    sharing: Sequence[Accelerator],
    needs: Needs,
    machine: Machine,
    runtime: RuntimeSpec | None,
) -> Finding:
    lent = lent_to_gpu(machine)
    if lent is not None and runtime is not None and lent.device.vendor == "amd":
        is_used = runtime.gpus.required or computes_on_shared(runtime, lent.device)
        lent = lent if is_used and lent.device in sharing else None
    if lent is None:
        return finding(PASS, "accelerator-fits", "shared", device=sharing[0].name)
    least, high, on_mac = (
        lent.least_bytes,
        needs.ram_bytes(),
        lent.device.vendor == "apple",
    )
    figures: Figures = {"device": lent.device.name, "limit": least}
    # nobody knows what the owner of one of AMD's lets it use
    if high is not None and (on_mac or high > least):
        short = max(0, high - least)
        figures.update({"needs": high, "has": least, "short": short, "unit": "bytes"})
    if high is None or high <= least:
        return finding(PASS, "accelerator-fits", "shared", figures)
    line, remedy = more_for_shared(needs, machine), what_is_smaller(needs.terms, least)
    figures["remedy"] = (
        remedy if line is None else phrase("lend", line=line, restart=not on_mac)
    )
    figures["lent"] = (least, lent.most_bytes) if on_mac else least
    figures["raisable"] = high <= lent.raised_bytes
    return finding(WARN, "accelerator-partly", "limited", figures)


def more_for_shared(needs: Needs, machine: Machine) -> str | None:
    """The line that lets a GPU use as much of the RAM as it takes, if any does."""
    lent, high = lent_to_gpu(machine), needs.ram_bytes()
    if lent is None or high is None or not lent.least_bytes < high <= lent.raised_bytes:
        return None
    figures = {"mib": -(-high // MIB), "pages": -(-high // GIB) * (GIB // 4096)}
    return fill(lent.line, figures)


def _refusal(
    runtime: RuntimeSpec, rules: Sequence[KernelRule], devices: Sequence[Accelerator]
) -> Finding | None:
    """That the runtime does not run on one of the devices, or that it cannot be told; else None."""
    for device in devices:
        for demand in (
            *_demands_of_builds(runtime, device),
            *_demands_of_rules(rules, device),
        ):
            if demand.is_met:
                continue
            outcome, code = FAIL, "accelerator-unsuitable"
            if demand.is_met is None:
                outcome, code = UNKNOWN, "accelerator-unread"
            return finding(
                outcome,
                code,
                demand.variant,
                {**demand.figures, "program": runtime.name, "device": device.name},
                capability=capability_of(device),
            )
    return None


class _Demand(NamedTuple):
    """What a program asks of an accelerator, and whether it is met; None: not known."""

    is_met: bool | None
    variant: str
    figures: Mapping[str, object]


def _demands_of_builds(runtime: RuntimeSpec, device: Accelerator) -> list[_Demand]:
    """The least compute capability of a build, and the AMD GPUs that it was made for."""
    least = least_capability(runtime, device)
    key = "gpus.shared_compute_capability"
    if least == runtime.gpus.compute_capability:
        key = "gpus.compute_capability"
    figures: Figures = {"rule": None, "other_runtime": runtime.gpus.required}
    of_capability = {**figures, "least": least, "source": runtime.sources.get(key, "")}
    demands = [_Demand(reaches(device, least), "capability", of_capability)]
    patterns = amd_gpus(runtime)
    if device.vendor == "amd" and patterns:
        of_maker = {**figures, "source": runtime.sources.get("gpus.amd_gpus", "")}
        demands.append(_Demand(is_built_for(device, patterns), "build", of_maker))
    if runtime.gpus.required:
        return demands
    # a program that runs without a GPU asks for little: one with an unlisted name has it
    return [demand for demand in demands if demand.is_met is not None]


def _demands_of_rules(
    rules: Sequence[KernelRule], device: Accelerator
) -> Iterator[_Demand]:
    """The makers and the compute capability that kernels of the program ask for."""
    for rule in rules:
        # unasked, a cache is in the model's type, which every GPU of the program takes
        has_default = rule.asked_by == "kv_cache_type"
        figures = {
            "rule": rule.subject,
            "flag": FLAGS[rule.asked_by],
            "default": has_default,
            "other": not has_default,
            "source": rule.source,
            "other_runtime": False,
            "makers": rule.vendors,
        }
        if device.vendor in rule.vendors_untold:
            yield _Demand(is_met=None, variant="untold", figures=figures)
        elif not rule.vendors or device.vendor in rule.vendors:
            yield _Demand(is_met=True, variant="maker", figures=figures)
        elif device.vendor == "unknown":
            yield _Demand(is_met=None, variant="maker", figures=figures)
        else:
            yield _Demand(is_met=False, variant="maker", figures=figures)
        least = rule.compute_capability
        yield _Demand(reaches(device, least), "capability", {**figures, "least": least})
