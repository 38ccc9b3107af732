"""Do the accelerators of a machine hold their share of a model, and what would they change?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from ...catalogue.spec import RuntimeSpec
from ...core import units
from ...core.records import Record
from ...core.units import GIB, MIB
from ...core.workload import FLAGS
from ...machine.gpus import capability_by_name
from ...machine.record import Accelerator, Machine
from ...machine.virtual_gpus import virtual_gpu
from ...needs.records import GATHERED, SHARED_OUT, MemoryNeed, Needs, Term
from ..placement.devices import (
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
from ..placement.shared_memory import can_be_raised, is_surely_lent, shared_limits
from .memory import desktop_bytes, host_high, what_is_smaller
from .record import Finding, Outcome, doubt_of, finding
from .words import phrase

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ...catalogue.runtime import KernelRule
    from .accelerator import Program


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


def held_check(
    needs: Needs, machine: Machine, program: Program, training: Training | None, *, now_only: bool
) -> Finding:
    """What `accelerator_check` finds where there are accelerators, or one is needed. The arguments
    are its own.
    """
    training, runtime = training or Training(), program.runtime
    rules = tuple(rule for rule in (program.rule, program.cache_rule) if rule is not None)
    if needs.placement != "host":
        return _on_devices(needs, machine, program, rules, training, now_only=now_only)
    if runtime is None or not program.needs_gpu:
        return _in_ram(machine, runtime, needs, training)
    return _shared_and_needed(needs, machine, runtime, rules) or _missing(
        needs, machine, runtime, rules, has_other=program.has_other
    )


def _on_devices(
    needs: Needs,
    machine: Machine,
    program: Program,
    rules: tuple[KernelRule, ...],
    training: Training,
    *,
    now_only: bool,
) -> Finding:
    held = _held(needs, machine, program)
    is_one_of_several = len(held.shares) == 1 and len(machine.accelerators or ()) > 1
    return (
        _unread_held(held, machine)
        or without_kernels(program.runtime, rules, held.devices)
        or _tight(held, training.when_tight)
        or _close(held, training.when_close)
        or _lean(held, now_only=now_only)
        or _too_small(held, now_only=now_only, alone=training.alone if is_one_of_several else None)
        or _fits(held, needs, machine)
    )


def _finding(
    outcome: Outcome,
    code: str,
    variant: str = "",
    share: int | None = None,
    has: int | None = None,
    *,
    remedy: str | None = None,
    **figures: Any,
) -> Finding:
    """A finding, with the bytes that accelerators are to hold against what they have."""
    return finding(
        outcome,
        code,
        variant,
        needs=share,
        has=has,
        short=None if share is None or has is None else max(0, share - has),
        unit=None if share is None else "bytes",
        remedy=remedy,
        **figures,
    )


# ------------------------------------------------------------------ judged in RAM


def _in_ram(
    machine: Machine, runtime: RuntimeSpec | None, needs: Needs, training: Training
) -> Finding:
    """Of a runtime that works without one: what the accelerators there are would change."""
    devices = machine.accelerators or ()
    sharing = [device for device in devices if device.unified]
    judged = (
        _unread_memory(machine)
        or (None if sharing else _left_unused(runtime, machine))
        or _for_none(runtime, sharing or devices)
    )
    if judged is not None:
        return judged
    if sharing:
        return _shared(sharing, needs, machine, runtime)
    unused, memory = _roomiest(devices), needs.memory
    if training.alone is not None and memory is not None and len(devices) > 1:
        why, remedy = training.alone
        return _finding(
            Outcome.WARN,
            "accelerator-not-needed",
            "alone",
            remedy=remedy,
            device=unused.name,
            why=why,
        )
    if training.when_tight is not None and memory is not None and free_bytes(unused):
        return _too_small_to_train(memory, devices, training.gathered)
    return _finding(Outcome.PASS, "accelerator-not-needed", "too-small", device=unused.name)


def _too_small_to_train(
    memory: MemoryNeed, devices: Sequence[Accelerator], gathered: Term | None
) -> Finding:
    """What a training likely takes of accelerators that do not hold it, and what these have: all of
    one maker's together where the program shares it out over them.
    """
    beside = [term for term in memory.terms if not term.is_program]
    needed_bytes, sharing = sum(term.bytes for term in beside), _most_of_one_maker(devices)
    is_shared_out = gathered is not None and len(sharing) > 1
    if gathered is not None and is_shared_out:
        shared_out = sum(term.bytes for term in beside if term.name in SHARED_OUT)
        whole = needed_bytes - shared_out + gathered.bytes
        needed_bytes = shared_out + len(sharing) * whole
    else:
        sharing = [_roomiest(devices)]
    return _finding(
        Outcome.WARN,
        "accelerator-not-needed",
        "training",
        devices=_names(sharing),
        likely=needed_bytes,
        together=is_shared_out,
        room=sum(free_bytes(device) or 0 for device in sharing),
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
    return _finding(
        Outcome.WARN,
        "accelerator-not-needed",
        "unused",
        device=machine.accelerators[0].name,
        program=runtime.name,
        processor=machine.architecture,
    )


def _for_none(runtime: RuntimeSpec | None, devices: Sequence[Accelerator]) -> Finding | None:
    """That the program has no build for any of these; None where it may have one."""
    if runtime is None or any(runs_on(runtime, device) for device in devices):
        return None
    unsuited = _too_old(runtime, devices[0]) or _not_built_for(runtime, devices[0])
    if unsuited is None:
        return None
    return _finding(
        Outcome.WARN,
        "accelerator-not-needed",
        "unsuited",
        remedy=unsuited.remedy,
        why=unsuited.reason,
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
    largest = _roomiest(machine.accelerators) if machine.accelerators else None
    if needs.memory is None and largest is not None and largest.unified is False:
        return without_kernels(runtime, rules, [largest]) or _finding(
            Outcome.UNKNOWN, "accelerator-unread", "need", device=largest.name
        )
    is_by_rule = bool(rules) and not runtime.gpu_only
    variant = "on-cpu" if runtime.on_cpu else ""
    variant = "rule" if is_by_rule else variant
    return _finding(
        Outcome.FAIL,
        "accelerator-missing",
        variant,
        program=runtime.name,
        rule=rules[0].subject if rules else None,
        device=largest.name if largest else None,
        on_cpu=runtime.on_cpu,
        has_other=has_other,
    )


def _shared(
    sharing: Sequence[Accelerator], needs: Needs, machine: Machine, runtime: RuntimeSpec | None
) -> Finding:
    limited = next((device for device in sharing if _is_limited(device, runtime)), None)
    limits = None if limited is None else shared_limits(limited, machine)
    if limited is not None:
        has_cpu = runtime is None or (runtime.splits_layers and not runtime.gpu_only)
        beyond = _beyond_limit(limited, needs, machine, has_cpu=has_cpu)
        if beyond is not None:
            return beyond
    return _finding(
        Outcome.PASS,
        "accelerator-fits",
        "shared",
        device=limited.name if limited is not None and limits else sharing[0].name,
        limit=limits[0] if limits else None,
    )


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
    for device in machine.accelerators or ():
        is_sized = device.memory_total_bytes is not None
        if device.unified is True or (device.unified is False and is_sized):
            continue
        fact = "unified" if is_sized else "memory_total_bytes"
        why = machine.why_unread(f"accelerators.{fact}")
        return _finding(
            Outcome.WARN,
            "accelerator-unread",
            "in-ram",
            remedy=why.remedy,
            device=device.name,
            why=why.reason,
        )
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
    limits = shared_limits(device, machine)
    assert limits is not None
    least, most = limits
    is_metal = device.vendor == "apple"
    setting = more_for_shared(needs, machine)
    if setting is None:
        remedy = what_is_smaller(needs.memory.terms if needs.memory is not None else (), least)
    elif is_metal:
        remedy = phrase("lend/macos", line=setting) + left_by_metal(needs, machine)
    else:
        remedy = phrase("lend/linux", line=setting)
    no_cpu = not is_metal and not has_cpu
    return _finding(
        Outcome.WARN,
        "accelerator-partly",
        "limited",
        high,
        least,
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
@lru_cache(128)
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
    option = runtime.pipeline_parallel_option
    return phrase(
        "left-out",
        program=runtime.name,
        used=used,
        cards=cards,
        parts=" or ".join(map(str, needs.tensor_parallel)) or "no",
        option=option.replace("{devices}", str(cards)) if option else None,
    )


class _Held(Record):
    """What the accelerators in use are to hold, and what they can give.

    `left_out`: a sentence on accelerators that are not in use; "" for none.
    """

    program: str
    lean_option: str
    share_option: str
    left_out: str
    gpu_only: bool
    smaller_caches: Mapping[str, float]
    terms: tuple[Term, ...]
    shares: tuple[_Share, ...]

    @property
    def devices(self) -> list[Accelerator]:
        """The accelerators in use that are there."""
        return [share.device for share in self.shares if share.device is not None]

    @property
    def need(self) -> tuple[int, int]:
        """The least and the most that they are to hold."""
        low = sum(share.low_bytes for share in self.shares)
        return low, sum(share.high_bytes for share in self.shares)

    @property
    def least(self) -> list[int]:
        """The least that each is to hold."""
        return [share.low_bytes for share in self.shares]

    @property
    def likely(self) -> list[int]:
        """What each is likely to hold."""
        return [share.likely_bytes for share in self.shares]

    @property
    def most(self) -> list[int]:
        """The most that each is to hold."""
        return [share.high_bytes for share in self.shares]

    @property
    def rooms(self) -> list[int]:
        """What each can give; 0 where that is not known."""
        return [share.room_bytes or 0 for share in self.shares]

    @property
    def has(self) -> int | None:
        """What all can give; None where that is not known of one."""
        return None if any(share.room_bytes is None for share in self.shares) else sum(self.rooms)

    def idle_rooms(self) -> list[int]:
        """What each can give once other programs use none of them."""
        return [room_of(device, gpu_only=self.gpu_only) or 0 for device in emptied(self.devices)]

    def finding(
        self,
        outcome: Outcome,
        code: str,
        variant: str = "",
        *,
        remedy: str | None = None,
        **figures: Any,
    ) -> Finding:
        """A finding of their whole share."""
        return _finding(
            outcome,
            code,
            variant,
            self.need[1],
            self.has,
            remedy=remedy,
            devices=_names(self.devices),
            program=self.program,
            need=self.need,
            likely=sum(self.likely),
            left_out=self.left_out,
            option=self.lean_option,
            **figures,
        )


def _held(needs: Needs, machine: Machine, program: Program) -> _Held:
    runtime, memory = program.runtime, needs.memory
    devices = {
        f"accelerator:{index}": device for index, device in enumerate(machine.accelerators or ())
    }
    shares = []
    for where, (low, likely, high) in (_sums_there(memory) if memory is not None else {}).items():
        device, room_bytes = devices.get(where), None
        if device is not None and device.unified is False:
            room_bytes = room_of(device, gpu_only=program.needs_gpu)
        shares.append(
            _Share(
                device=device,
                low_bytes=low,
                likely_bytes=likely,
                high_bytes=high,
                room_bytes=room_bytes,
            )
        )
    terms = memory.terms if memory is not None else ()
    return _Held(
        program=runtime.name if runtime else "The runtime",
        lean_option=runtime.lean_option if runtime and needs.is_lean else "",
        share_option=runtime.share_option if runtime else "",
        left_out=_left_out(needs, machine, runtime),
        gpu_only=program.needs_gpu,
        smaller_caches=program.smaller_caches,
        terms=tuple(term for term in terms if term.where != "host"),
        shares=tuple(shares),
    )


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
    why = machine.why_unread(fact)
    return held.finding(Outcome.UNKNOWN, "accelerator-unread", remedy=why.remedy, why=why.reason)


def _tight(held: _Held, when_tight: str | None) -> Finding | None:
    """Each accelerator holds the likely need, and not each the most."""
    if when_tight is None:
        return None
    is_near = _within(held.most, [int(TIGHT * room) for room in held.rooms])
    if not (_within(held.likely, held.rooms) and is_near) or _within(held.most, held.rooms):
        return None
    return held.finding(Outcome.WARN, "accelerator-tight", remedy=when_tight)


def _close(held: _Held, when_close: str | None) -> Finding | None:
    """Which trainer it is decides whether the accelerators hold it."""
    if when_close is None:
        return None
    if not _within(held.least, held.rooms) or _within(held.most, held.rooms):
        return None
    return held.finding(Outcome.UNKNOWN, "accelerator-close", remedy=when_close)


def _lean(held: _Held, *, now_only: bool) -> Finding | None:
    """It is judged with the option by which the program takes less: without it the most does not
    fit. None where that option is not given, or other programs hold too much of it.
    """
    if not held.lean_option:
        return None
    rooms = held.rooms if now_only else held.idle_rooms()
    smaller = what_is_smaller(held.terms, held.has, held.smaller_caches)
    if _within(held.most, rooms):
        if not _within(held.most, held.rooms):
            return None
        return held.finding(Outcome.WARN, "accelerator-lean", smaller=smaller)
    if _within(held.likely, rooms):
        add = _more_share(held, held.most)
        return held.finding(Outcome.WARN, "accelerator-tight", "lean", smaller=smaller, add=add)
    add = _more_share(held, held.likely)
    return held.finding(Outcome.UNKNOWN, "accelerator-close", "lean", smaller=smaller, add=add)


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


def _within(sizes: Sequence[int], rooms: Sequence[int]) -> bool:
    return all(size <= room for size, room in zip(sizes, rooms, strict=True))


def _too_small(held: _Held, *, now_only: bool, alone: tuple[str, str] | None) -> Finding | None:
    """Some accelerator has too little, now or ever; what another has left over is no room on it.
    `alone`: why the others do not take a part, and what would let them.
    """
    worst = max(held.shares, key=_lacking_bytes, default=None)
    if held.has is None or worst is None or _lacking_bytes(worst) <= 0:
        return None
    share, has, devices = held.need[1], held.has, held.devices
    is_of_one = share <= has
    if is_of_one:
        # the sums say nothing: of the one that is to hold most beyond what it may
        assert worst.device is not None
        share, has, devices = worst.high_bytes, worst.room_bytes or 0, [worst.device]
    if not now_only and _within(held.most, held.idle_rooms()):
        return _finding(
            Outcome.WARN,
            "accelerator-not-now",
            "",
            share,
            has,
            devices=_names(devices),
            free=sum(device.memory_free_bytes or 0 for device in devices),
        )
    why, remedy = alone or (None, what_is_smaller(held.terms, held.has, held.smaller_caches))
    return _finding(
        Outcome.FAIL,
        "accelerator-too-small",
        "",
        share,
        has,
        remedy=remedy,
        program=held.program,
        is_of_one=is_of_one,
        several=len(held.devices) if len(held.devices) != 1 else None,
        devices=_names(devices),
        why=why,
        left_out=held.left_out,
    )


def _lacking_bytes(share: _Share) -> int:
    return share.high_bytes - (share.room_bytes or 0)


def _fits(held: _Held, needs: Needs, machine: Machine) -> Finding:
    assert held.has is not None
    if any(term.name == GATHERED for term in held.terms):
        return held.finding(
            Outcome.WARN, "accelerator-shared-out", cards=len(held.shares), each=max(held.most)
        )
    if needs.offload is not None:
        return held.finding(Outcome.WARN, "accelerator-partly", "in-turn")
    if needs.placement == "split":
        remedy = _what_fits_whole(needs, held.has, held.smaller_caches)
        return held.finding(Outcome.WARN, "accelerator-partly", remedy=remedy)
    return held.finding(Outcome.PASS, "accelerator-fits", confidence=doubt_of(machine))


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
        types = [name for name, share in smaller_caches.items() if share * cache <= left_bytes]
        return phrase("whole/shorter", cache=types[0] if types else None)
    most = room_bytes - beside - cache
    if most <= 0:
        return phrase("whole/model")
    return phrase("whole/weights", most=most, weights=weights)


def or_in_ram(close: Finding, pace: str) -> Finding:
    """The finding of accelerators that may hold a training, with its pace in RAM."""
    return close.replace(reason=f"{close.reason} {phrase('in-ram', pace=pace)}")


def with_remedy(finding: Finding, remedy: str) -> Finding:
    """The finding with that remedy."""
    return finding.replace(remedy=remedy)


def once_idle(chosen: Finding, held: Finding, pace: tuple[float, float] | None) -> Finding:
    """The accelerator's finding of what is judged, with that of the same accelerator once
    others have left it, and its pace there.
    """
    runs_in_ram = chosen.outcome is Outcome.PASS
    there = held.reason + phrase("once-idle", pace=pace, in_ram=runs_in_ram)
    if runs_in_ram:
        return held.replace(reason=there)
    return chosen.replace(reason=f"{chosen.reason} {there}", remedy=held.remedy)


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
    judged = _too_old(runtime, device) or _not_built_for(runtime, device)
    for rule in rules:
        judged = (
            judged
            or _without_vendor(runtime, rule, device)
            or _below_capability(runtime, rule, device)
        )
    return judged


def _without_vendor(runtime: RuntimeSpec, rule: KernelRule, device: Accelerator) -> Finding | None:
    if not rule.vendors or device.vendor in rule.vendors:
        return None
    is_known = device.vendor != "unknown"
    return _finding(
        Outcome.FAIL if is_known else Outcome.UNKNOWN,
        "accelerator-unsuitable" if is_known else "accelerator-unread",
        "maker",
        program=runtime.name,
        rule=rule.subject,
        makers=rule.vendors,
        device=device.name,
        flag=FLAGS[rule.asked_by],
        default=rule.has_plain_default,
        source=rule.source,
    )


def _too_old(runtime: RuntimeSpec, device: Accelerator) -> Finding | None:
    least = runtime.least_of(shares_ram=device.unified is True)
    # what can do without a GPU asks for so little that a name which nobody has listed has it
    if least is None or (reaches(device, least) is None and not runtime.gpu_only):
        return None
    is_of_shared = least != runtime.compute_capability
    source = "shared_compute_capability" if is_of_shared else "compute_capability"
    remedy = _other_gpu(runtime, source)
    return _against_least(device, least, remedy, program=runtime.name, rule=None)


def _other_gpu(runtime: RuntimeSpec, fact: str) -> str:
    source = runtime.sources.get(fact, "")
    return phrase("other-gpu", other_runtime=runtime.gpu_only, source=source)


def _not_built_for(runtime: RuntimeSpec, device: Accelerator) -> Finding | None:
    """That its builds are not made for this GPU of AMD's; None for others, and where they are."""
    patterns = amd_gpus(runtime)
    if device.vendor != "amd" or not patterns:
        return None
    is_built = is_built_for(device, patterns)
    if is_built or (is_built is None and not runtime.gpu_only):
        return None
    if is_built is None:
        source = runtime.sources.get("amd_gpus", "")
        return _finding(
            Outcome.UNKNOWN, "accelerator-unread", "amd", program=runtime.name, source=source
        )
    return _finding(
        Outcome.FAIL,
        "accelerator-unsuitable",
        "build",
        remedy=_other_gpu(runtime, "amd_gpus"),
        program=runtime.name,
        device=device.name,
    )


def _below_capability(
    runtime: RuntimeSpec, rule: KernelRule, device: Accelerator
) -> Finding | None:
    least = rule.compute_capability
    if least is None:
        return None
    remedy = phrase(
        "other-rule", flag=FLAGS[rule.asked_by], default=rule.has_plain_default, source=rule.source
    )
    return _against_least(device, least, remedy, program=runtime.name, rule=rule.subject)


def _against_least(
    device: Accelerator, least: str, remedy: str, *, program: str, rule: str | None
) -> Finding | None:
    """That the device lacks that compute capability, or that it cannot be told; None where it has
    it, or is not NVIDIA's. `rule`: what the capability is needed for.
    """
    is_reached = reaches(device, least)
    if is_reached:
        return None
    figures: dict[str, Any] = {
        "program": program,
        "least": least,
        "rule": rule,
        "device": device.name,
    }
    if is_reached is None:
        return _finding(Outcome.UNKNOWN, "accelerator-unread", "capability", **figures)
    virtual = virtual_gpu(device.name)
    if virtual is not None and virtual.draws_only:
        return _finding(Outcome.FAIL, "accelerator-unsuitable", "drawing", device=device.name)
    return _finding(
        Outcome.FAIL,
        "accelerator-unsuitable",
        "capability",
        remedy=remedy,
        capability=device.compute_capability or capability_by_name(device.name),
        **figures,
    )
