"""What the accelerators of a machine change where the model lies in RAM, or in RAM that they
share.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...catalogue.spec import RuntimeSpec
from ...core import units
from ...core.units import GIB, MIB
from ...machine.record import Accelerator, Machine
from ...needs.records import SHARED_OUT, Needs, Term
from ..placement.devices import computes_on_shared, free_bytes, is_built_for, runs_on, uses_gpus
from ..placement.on_devices import terms_of
from ..placement.shared_memory import can_be_raised, shared_limits
from .accelerator import Program, Training
from .accelerator_kernels import not_built_for, without_kernels
from .memory import desktop_bytes, host_high, what_is_smaller
from .record import Finding, Outcome, finding
from .words import phrase


def names(devices: Sequence[Accelerator]) -> str:
    """Equal ones counted."""
    return " and ".join(units.counted([device.name for device in devices])) or "the accelerator"


def roomiest(devices: Sequence[Accelerator]) -> Accelerator:
    return max(devices, key=lambda device: free_bytes(device) or 0)


def not_needed(
    needs: Needs, machine: Machine, runtime: RuntimeSpec | None, training: Training
) -> Finding:
    """Of a runtime that works without one: what the accelerators there are would change."""
    devices = machine.accelerators or ()
    sharing = [device for device in devices if device.unified]
    judged = _unread_memory(machine) or _left_unused(runtime, machine, sharing or devices)
    if judged is not None:
        return judged
    if sharing:
        return _shared(sharing, needs, machine, runtime)
    unused = roomiest(devices)
    if training.alone is not None and needs.memory is not None and len(devices) > 1:
        why, remedy = training.alone
        code, name = "accelerator-not-needed", unused.name
        return finding(Outcome.WARN, code, "alone", remedy=remedy, device=name, why=why)
    if training.when_tight is not None and needs.memory is not None and free_bytes(unused):
        return _too_small_to_train(needs, devices, training.gathered)
    return finding(Outcome.PASS, "accelerator-not-needed", "too-small", device=unused.name)


def _too_small_to_train(
    needs: Needs, devices: Sequence[Accelerator], gathered: Term | None
) -> Finding:
    """What a training likely takes of accelerators that do not hold it, and what these have: all of
    one maker's together where the program shares it out over them.
    """
    beside = [term for term in terms_of(needs) if not term.is_program]
    needed_bytes, sharing = sum(term.bytes for term in beside), _most_of_one_maker(devices)
    is_shared_out = gathered is not None and len(sharing) > 1
    if gathered is not None and is_shared_out:
        shared_out = sum(term.bytes for term in beside if term.name in SHARED_OUT)
        whole = needed_bytes - shared_out + gathered.bytes
        needed_bytes = shared_out + len(sharing) * whole
    else:
        sharing = [roomiest(devices)]
    return finding(
        Outcome.WARN,
        "accelerator-not-needed",
        "training",
        devices=names(sharing),
        likely=needed_bytes,
        together=is_shared_out,
        room=sum(free_bytes(device) or 0 for device in sharing),
    )


def _most_of_one_maker(devices: Sequence[Accelerator]) -> list[Accelerator]:
    """The accelerators over which a training can be shared out: no parts of one, of the maker whose
    have most memory together.
    """
    whole = [device for device in devices if device.unified is False and not device.is_part]
    makers = dict.fromkeys(device.vendor for device in whole)
    groups = [[device for device in whole if device.vendor == maker] for maker in makers]
    return max(
        groups, key=lambda group: sum(free_bytes(device) or 0 for device in group), default=[]
    )


def _left_unused(
    runtime: RuntimeSpec | None, machine: Machine, devices: Sequence[Accelerator]
) -> Finding | None:
    """That the program's builds for this system compute on no GPU, or on none of these; None where
    they may.
    """
    if runtime is None:
        return None
    if not uses_gpus(runtime, machine) and not any(device.unified for device in devices):
        return finding(
            Outcome.WARN,
            "accelerator-not-needed",
            "unused",
            program=runtime.name,
            device=devices[0].name,
            processor=machine.architecture,
        )
    if any(runs_on(runtime, device) for device in devices):
        return None
    unsuited = not_built_for(runtime, devices[0])
    if unsuited is None:
        return None
    why, remedy = unsuited.reason, unsuited.remedy
    return finding(Outcome.WARN, "accelerator-not-needed", "unsuited", remedy=remedy, why=why)


def _unread_memory(machine: Machine) -> Finding | None:
    """That of some accelerator with memory of its own it was not read how much; None where each
    says.
    """
    for device in machine.accelerators or ():
        is_sized = device.memory_total_bytes is not None
        if device.unified is True or (device.unified is False and is_sized):
            continue
        why = machine.why_unread(f"accelerators.{'unified' if is_sized else 'memory_total_bytes'}")
        return finding(
            Outcome.WARN,
            "accelerator-unread",
            "in-ram",
            remedy=why.remedy,
            device=device.name,
            why=why.reason,
        )
    return None


# ------------------------------------------------------------------ one is needed


def missing(needs: Needs, machine: Machine, program: Program) -> Finding:
    """The runtime works on accelerators alone: on one that shares the RAM, if it is built for that;
    else it is not known to have one.
    """
    runtime, rules = program.runtime, program.rules
    assert runtime is not None
    sharing = [
        device
        for device in machine.accelerators or ()
        if device.unified and (device.vendor != "amd" or is_built_for(device, runtime.amd_gpus))
    ]
    if sharing:
        judged = without_kernels(runtime, rules, sharing[:1])
        return judged or _shared(sharing, needs, machine, runtime)
    largest = roomiest(machine.accelerators) if machine.accelerators else None
    if needs.memory is None and largest is not None and largest.unified is False:
        return without_kernels(runtime, rules, [largest]) or finding(
            Outcome.UNKNOWN, "accelerator-unread", "need", device=largest.name
        )
    variant = "on-cpu" if runtime.on_cpu else ""
    return finding(
        Outcome.FAIL,
        "accelerator-missing",
        "rule" if rules and not runtime.gpu_only else variant,
        program=runtime.name,
        rule=rules[0].subject if rules else None,
        device=largest.name if largest else None,
        on_cpu=runtime.on_cpu,
        has_other=program.has_other,
    )


# ------------------------------------------------------------------ RAM that is shared


def _shared(
    sharing: Sequence[Accelerator], needs: Needs, machine: Machine, runtime: RuntimeSpec | None
) -> Finding:
    limited = next((device for device in sharing if _is_limited(device, runtime)), None)
    limits = None if limited is None else shared_limits(limited, machine)
    high = host_high(needs)
    if limited is None or limits is None:
        return finding(Outcome.PASS, "accelerator-fits", "shared", device=sharing[0].name)
    if high is None or high <= limits[0]:
        name, least = limited.name, limits[0]
        return finding(Outcome.PASS, "accelerator-fits", "shared", device=name, limit=least)
    has_cpu = runtime is None or (runtime.splits_layers and not runtime.gpu_only)
    return _beyond_limit(limited, limits, high, needs, machine, has_cpu=has_cpu)


def _is_limited(device: Accelerator, runtime: RuntimeSpec | None) -> bool:
    """Whether the system lets the GPU use a part of the RAM alone, and the program computes on it:
    on Apple's all do.
    """
    if device.vendor == "apple" or runtime is None:
        return device.vendor in ("apple", "amd")
    return device.vendor == "amd" and (runtime.gpu_only or computes_on_shared(runtime, device))


def _beyond_limit(
    device: Accelerator,
    limits: tuple[int, int],
    high: int,
    needs: Needs,
    machine: Machine,
    *,
    has_cpu: bool,
) -> Finding:
    """That the system may not let the GPU use as much of the RAM. `has_cpu`: the program computes
    the rest on the CPU.
    """
    (least, most), is_metal = limits, device.vendor == "apple"
    setting = more_for_shared(needs, machine)
    if setting is None:
        remedy = what_is_smaller(terms_of(needs), least)
    elif is_metal:
        remedy = phrase("lend/macos", line=setting) + left_by_metal(needs, machine)
    else:
        remedy = phrase("lend/linux", line=setting)
    no_cpu = not is_metal and not has_cpu
    return finding(
        Outcome.WARN,
        "accelerator-partly",
        "limited",
        needs=high,
        has=least,
        short=high - least,
        unit="bytes",
        remedy=remedy,
        system="macOS" if is_metal else "Linux",
        lent=limits if is_metal else least,
        about=is_metal and least != most,
        default=least != most,
        no_cpu=no_cpu,
        runs="may run" if high <= most else "runs",
        raisable=not no_cpu and can_be_raised(device, machine, high),
    )


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
