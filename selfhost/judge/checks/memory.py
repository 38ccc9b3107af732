"""Does the host's share of the need fit in the RAM?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...core.records import Record, Unread
from ...core.units import GB, GIB, MIB
from ...core.workload import Workload
from ...machine.record import Machine
from ...needs.records import Needs
from .record import Finding, Outcome, doubt_of, finding
from .words import phrase

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ...needs.records import Term

# What the system needs for itself beside a model: assumed. Ubuntu Server 24.04 asks for 1 GB; an
# idle desktop of macOS or Windows takes about 3 GiB, below the 4 GB that Windows 11 asks for.
# Inside a limit only what that leaves out is kept for the system, and a little for the other
# processes in there.
CONTAINER_RESERVE_BYTES = 64 * MIB
SYSTEM_RESERVE_BYTES = {"linux": 1 * GIB, "macos": 3 * GIB, "windows": 3 * GIB}
# What serves without a desktop keeps of a small machine one part in so many at most: Debian 12's
# installation guide asks for 256 MB without a desktop, and boards and instances of 1 GiB run it.
_RESERVE_PART = {"linux": 4}
# What a desktop with its programs needs beside a model: Ubuntu Desktop 24.04 and Windows 11 ask for
# 4 GB of memory. A Mac of 64 GB takes 4 GB without a desktop (jundot/omlx#1533, where a runtime
# leaves it 8). A guest serves no desktop; of a small machine it is at most a quarter, assumed.
DESKTOP_BYTES = {"linux": 4 * GB, "macos": 8 * GB, "windows": 4 * GB}
# what of a small machine's memory is to stay free at most: one part in so many (assumed)
_MARGIN_PART = 16
# what glibc sets aside for the stack of each thread: the usual soft limit of the stack
# (pthread_create(3)). Both limits count all of it: 14 more threads of llama-bench took 118 and 121
# MiB more (llama.cpp 0c1e5709, measured by bisection).
STACK_BYTES = 8 * MIB
# threads beside those that compute: of a server one a core and some more (llama.cpp 0c1e5709:
# tools/server, n_threads_http): assumed
OTHER_THREADS = 16


def memory_check(
    needs: Needs,
    machine: Machine,
    workload: Workload,
    stored_bytes: int = 0,
    held_bytes: int = 0,
    *,
    surely: bool = True,
) -> Finding:
    """The host's share of the need against what this machine gives now, and what it could give if
    other programs closed.

    A limit of the shell counts otherwise than memory does, and holds beside it: the worse of the
    two is the finding. `stored_bytes` are files to come in RAM: they join the most that it may
    take, and the least where copies are made of them; else they are mapped, not held twice.
    `held_bytes` are files that lie in RAM already: what is free now lacks them, so they join only
    against the limits. Not `surely`: whether those files lie in RAM is not known, so they join the
    most alone.
    """
    ram = _ram(needs, machine, workload, stored_bytes, held_bytes, surely=surely)
    if ram.low is None or ram.high is None:
        judged = _need_not_known(ram)
    else:
        need = _Need(ram=ram, low=ram.low, high=ram.high)
        judged = (
            _too_small(need)
            or _within_free(need)
            or _unread(need)
            or _too_close(need)
            or _not_now(need)
            or _within_limit(need)
        )
    return max((judged, *_shell_limits(ram)), key=lambda finding: finding.severity)


class _Ram(Record):
    """What there is of RAM: `now`, with other programs closed (`could`), the most it gives
    (`ceiling`) and the least of all ceilings that were read; and what it takes, `low` to `high`
    with `files` in RAM. None is not known.
    """

    needs: Needs
    machine: Machine
    workload: Workload
    basis: str
    now: int | None
    could: int | None
    ceiling: int | None
    least: int | None
    low: int | None
    high: int | None
    files: int
    lie: str

    @property
    def asked(self) -> bool:
        """Whether it was said how much is kept for the system."""
        return self.workload.reserve_bytes is not None

    def finding(
        self,
        outcome: Outcome,
        code: str,
        has: int | None,
        variant: str = "",
        /,
        *,
        remedy: str | None = None,
        **figures: Any,
    ) -> Finding:
        """A finding of the most that it takes against `has`."""
        machine, total = self.machine, self.machine.memory_total_bytes
        limit = machine.memory_limit_bytes
        is_limited = limit is not None and total is not None and limit < total
        reserve, source = reserve_of(machine, self.workload)
        return finding(
            outcome,
            code,
            variant,
            needs=self.high,
            has=has,
            short=None if has is None or self.high is None else max(0, self.high - has),
            unit="bytes",
            reserve_bytes=reserve,
            remedy=remedy,
            need=(self.low, self.high),
            files=self.files,
            lie=self.lie,
            machine=machine.called,
            limit=limit if is_limited else None,
            total=total,
            now_only=self.basis == "available",
            asked=self.asked and self.could is not None,
            reserve=reserve,
            reserve_source=source,
            confidence=doubt_of(machine),
            **figures,
        )


def _ram(
    needs: Needs,
    machine: Machine,
    workload: Workload,
    stored_bytes: int,
    held_bytes: int,
    *,
    surely: bool,
) -> _Ram:
    basis = _basis_of(machine, workload)
    now, low, high = _gives_now(machine, workload), host_low(needs), host_high(needs)
    # what is free now alone lacks the files that are held; the limits do not
    if basis == "available" or (
        basis == "default" and now is not None and (high or 0) + stored_bytes <= now
    ):
        held_bytes = 0
    held_now, files = held_bytes if surely else 0, stored_bytes + held_bytes
    if low is not None and needs.memory is not None and surely:
        # on a disk the originals of what a runtime copies may leave the page cache, in RAM they
        # stay
        low += min(files, needs.memory.evictable_bytes)
    lie = "would lie" if stored_bytes else "lie"
    lie = lie if surely else "may lie"
    return _Ram(
        needs=needs,
        machine=machine,
        workload=workload,
        basis=basis,
        now=now,
        could=_could_give(machine, workload),
        ceiling=_ceiling(machine, workload, basis, held_now),
        least=_least_ceiling(machine, workload, basis, held_now),
        low=low,
        high=None if high is None else high + files,
        files=files,
        lie=lie,
    )


def _need_not_known(ram: _Ram) -> Finding:
    machine, needs = ram.machine, ram.needs
    why = next((entry for entry in needs.unknown if entry.fact.startswith("memory")), None)
    cards = machine.accelerators
    is_host_alone = cards is not None and all(card.unified for card in cards)
    known_bytes = sum(term.low_bytes for term in needs.known_terms)
    sizes = (machine.memory_total_bytes, machine.memory_limit_bytes)
    most = min((size for size in sizes if size is not None), default=None)
    is_beyond = is_host_alone and most is not None and known_bytes > most
    if is_beyond and why is not None and not _may_hold(ram, known_bytes):
        return ram.finding(Outcome.FAIL, "memory-too-small", most, "at-least", why=why.reason)
    if why is None:
        why = Unread(
            fact="memory",
            reason="the spec does not state enough",
            remedy="state it under [needs] in a spec",
        )
    return ram.finding(
        Outcome.UNKNOWN, "memory-need-not-known", ram.ceiling, remedy=why.remedy, why=why.reason
    )


class _Need(Record):
    """What is known to take from `low` to `high` bytes of the RAM."""

    ram: _Ram
    low: int
    high: int


def _too_small(need: _Need) -> Finding | None:
    ram, has = need.ram, need.ram.least
    if has is None or need.low <= has:
        return None
    if _may_hold(ram, need.low):
        return _on_assumed_ram(need, has)
    limit = ram.machine.memory_limit_bytes
    # nothing but the reserve decides, and that is assumed
    reserve_decides = not ram.asked and has == ram.could and limit is not None and need.low <= limit
    return ram.finding(
        Outcome.FAIL,
        "memory-too-small",
        has,
        on_gpu=_on_gpu_bytes(ram.needs),
        reserve_decides=reserve_decides,
        would="would" if limit is not None and need.high <= limit else "might",
        smaller=_smaller(ram),
    )


def _on_gpu_bytes(needs: Needs) -> int | None:
    """What accelerators hold of a model, where the RAM is to hold the rest."""
    # parts that come to an accelerator in turn all lie in RAM
    if needs.placement != "split" or needs.offload is not None:
        return None
    return on_cards(needs, likely=False)


def _smaller(ram: _Ram) -> str:
    """What would take less RAM."""
    terms = ram.needs.memory.terms if ram.needs.memory is not None else ()
    smaller = what_is_smaller([term for term in terms if term.where == "host"], ram.ceiling)
    return phrase("smaller/files", smaller=smaller) if ram.files else smaller


def _may_hold(ram: _Ram, need_bytes: int) -> bool:
    """Whether the RAM is assumed, and such a machine may have enough for that need."""
    if not ram.machine.assumes("memory_total_bytes"):
        return False
    most = ram.machine.memory_most_bytes
    return most is None or need_bytes <= most - reserve_of(ram.machine, ram.workload)[0]


def _on_assumed_ram(need: _Need, has: int) -> Finding:
    """It is beyond what is assumed, and within what such a machine may have."""
    ram, most = need.ram, need.ram.machine.memory_most_bytes
    reserve, _ = reserve_of(ram.machine, ram.workload)
    # an example: the next power of two
    enough_gib = 1
    while enough_gib * GIB < need.high + reserve:
        enough_gib *= 2
    if most is not None:
        enough_gib = min(enough_gib, most // GIB)
    return ram.finding(
        Outcome.UNKNOWN,
        "memory-assumed",
        has,
        on_gpu=_on_gpu_bytes(ram.needs),
        enough_gib=enough_gib,
    )


def _within_free(need: _Need) -> Finding | None:
    """It fits what is free now. It is tight where that leaves less than the system itself needs,
    unless it was asked how much stays free.
    """
    ram, now = need.ram, need.ram.now
    if ram.basis == "total" or now is None or need.high > now:
        return None
    left = now - need.high
    if not ram.asked and not _leaves_margin(ram, left):
        return ram.finding(
            Outcome.PASS, "memory-tight", now, "now", left=left, smaller=_smaller(ram)
        )
    if ram.basis != "default":
        return None
    return ram.finding(Outcome.PASS, "memory-fits", now, "now")


def _leaves_margin(ram: _Ram, left_bytes: int) -> bool:
    """Whether as much is left as is to stay free beside a model: the reserve, of a small machine a
    whole part of its memory.
    """
    total = ram.machine.memory_total_bytes
    if left_bytes >= reserve_of(ram.machine, ram.workload)[0]:
        return True
    return total is not None and _MARGIN_PART * (left_bytes + 1) > total


def _unread(need: _Need) -> Finding | None:
    ram = need.ram
    is_now = ram.basis == "available"
    if (ram.now if is_now else ram.could) is not None:
        return None
    why = ram.machine.why_unread("memory_available_bytes" if is_now else "memory_limit_bytes")
    return ram.finding(
        Outcome.UNKNOWN,
        "memory-unread",
        ram.ceiling,
        "now" if is_now else "",
        remedy=why.remedy,
        why=why.reason,
    )


def _too_close(need: _Need) -> Finding | None:
    ram, ceiling = need.ram, need.ram.ceiling
    assert ceiling is not None
    if need.high <= ceiling:
        return None
    if _may_hold(ram, need.high):
        return _on_assumed_ram(need, ceiling)
    return ram.finding(Outcome.UNKNOWN, "memory-close", ceiling, smaller=_smaller(ram))


def _not_now(need: _Need) -> Finding | None:
    """It fits once other programs are closed; what fits now is settled before."""
    ram = need.ram
    if ram.basis != "default":
        return None
    remedy = None
    if ram.now is None:
        remedy = ram.machine.why_unread("memory_available_bytes").remedy
    return ram.finding(
        Outcome.WARN,
        "memory-not-now",
        ram.ceiling,
        remedy=remedy,
        now=ram.now,
        now_read=ram.now is not None,
    )


def _within_limit(need: _Need) -> Finding:
    """It fits. It is tight by a reserve that is assumed, where it leaves less than a desktop with
    its programs takes, or hardly more than that reserve.
    """
    ram, machine = need.ram, need.ram.machine
    limit, total = machine.memory_limit_bytes, machine.memory_total_bytes
    is_assumed = ram.basis == "total" and not ram.asked
    if not is_assumed or limit is None or total is None or limit < total:
        return ram.finding(Outcome.PASS, "memory-fits", ram.ceiling)
    # a guest serves no desktop
    by_desktop = desktop_bytes(machine) if machine.scope == "host" else 0
    left = limit - need.high
    reserve, _ = reserve_of(machine, ram.workload)
    if left >= by_desktop and _leaves_margin(ram, left - reserve):
        return ram.finding(Outcome.PASS, "memory-fits", ram.ceiling)
    # of a small machine that much is never left
    desktop = DESKTOP_BYTES.get(machine.system or "", 4 * GB)
    return ram.finding(
        Outcome.PASS,
        "memory-tight",
        ram.ceiling,
        left=left,
        desktop=desktop if by_desktop == desktop else None,
        smaller=_smaller(ram),
    )


def _basis_of(machine: Machine, workload: Workload) -> str:
    """What counts: of a simulated machine nothing is free now."""
    if workload.memory_basis == "default" and machine.planning:
        return "total"
    return workload.memory_basis


def given_bytes(machine: Machine, workload: Workload) -> int | None:
    """The most RAM that the machine gives a model, on which a verdict rests; None is not known."""
    return _ceiling(machine, workload, _basis_of(machine, workload), 0)


def _could_give(machine: Machine, workload: Workload) -> int | None:
    """What the limit leaves after the reserve; None where no limit was read."""
    limit = machine.memory_limit_bytes
    return None if limit is None else max(0, limit - reserve_of(machine, workload)[0])


def _gives_now(machine: Machine, workload: Workload) -> int | None:
    """What is free now; what was asked to stay free does, also where the memory is free now."""
    now = machine.memory_available_bytes
    if workload.reserve_bytes is None or now is None:
        return now
    could = _could_give(machine, workload)
    return now if could is None else min(now, could)


def _ceiling(machine: Machine, workload: Workload, basis: str, held: int) -> int | None:
    """The most that the machine gives on that basis; `held`: bytes of files that what is free now
    surely lacks.
    """
    now, could = _gives_now(machine, workload), _could_give(machine, workload)
    if basis == "available":
        return now
    if basis == "total":
        return could
    sizes = (None if now is None else now + held, could)
    return max((size for size in sizes if size is not None), default=None)


def _least_ceiling(machine: Machine, workload: Workload, basis: str, held: int) -> int | None:
    """Any ceiling that was read is enough to say no, even where the binding one was not."""
    limit, total = machine.memory_limit_bytes, machine.memory_total_bytes
    ceilings = [size for size in (total, limit) if size is not None]
    ceiling = _ceiling(machine, workload, basis, held)
    if ceiling is not None and (basis != "default" or limit is not None):
        ceilings = [ceiling, *ceilings]
    return min(ceilings, default=None)


def desktop_bytes(machine: Machine) -> int:
    """What a desktop with its programs needs of that machine's RAM beside a model."""
    needed = DESKTOP_BYTES.get(machine.system or "", 4 * GB)
    total = machine.memory_total_bytes
    return needed if total is None else min(needed, total // 4)


def reserve_of(machine: Machine, workload: Workload) -> tuple[int, str]:
    """Bytes kept for the system itself, and where the figure comes from."""
    if workload.reserve_bytes is not None:
        return workload.reserve_bytes, "set by --reserve"
    total, limit = machine.memory_total_bytes, machine.memory_limit_bytes
    if total is None and limit is not None:
        # a budget such as Dask's and Ray's is what was left when the system had its share
        return CONTAINER_RESERVE_BYTES, "assumed for other processes inside the limit"
    amount = SYSTEM_RESERVE_BYTES.get(machine.system or "", GIB)
    part = _RESERVE_PART.get(machine.system or "")
    if part is not None and total is not None and total < part * amount:
        amount = total // part
    if total is not None and limit is not None and limit < total:
        # what lies outside the limit serves the system already
        return (
            max(CONTAINER_RESERVE_BYTES, amount - (total - limit)),
            "assumed for other processes inside the limit",
        )
    return amount, f"assumed for {machine.system or 'the system'} itself"


def reserve_beside(need_bytes: int, machine: Machine, workload: Workload) -> int:
    """What the smallest machine of that system keeps which gives a model so many bytes."""
    reserve, _ = reserve_of(machine, workload)
    part = _RESERVE_PART.get(machine.system or "")
    if workload.reserve_bytes is not None or part is None:
        return reserve
    # of a memory of which it is one part, rounded down, the others hold the model
    return min(reserve, max(0, need_bytes - 1) // (part - 1))


# terms that a shorter context makes smaller
_OF_CONTEXT = ("kv_cache", "compute", "activations")


def what_is_smaller(
    terms: Sequence[Term], has_bytes: int | None, smaller_caches: Mapping[str, float] | None = None
) -> str:
    """What would take less than these terms: a shorter context only where `has_bytes` holds what no
    context changes, and a cache of a smaller type where that alone does. `smaller_caches`: such
    types, the best first, with their share of the size.
    """
    if any(term.name == "gradients" for term in terms):
        # of the weights that are trained the method alone tells the type
        return phrase("smaller/training")
    caches = [term for term in terms if term.name == "kv_cache"]
    if not caches:
        return phrase("smaller/model")
    rest = sum(term.low_bytes for term in terms if term.name not in _OF_CONTEXT)
    kept = sum(term.bytes for term in caches)
    beside = sum(term.bytes for term in terms) - kept
    for type, share in (smaller_caches or {}).items():
        if has_bytes is not None and beside + share * kept <= has_bytes:
            return phrase("smaller/cache", cache=type)
    if has_bytes is None or rest <= has_bytes:
        return phrase("smaller/cache", cache=None)
    return phrase("smaller/without-context", rest=rest)


def host_low(needs: Needs) -> int | None:
    """Least memory of the terms that stay in RAM."""
    if needs.memory is None or needs.placement == "host":
        return None if needs.memory is None else needs.memory.low_bytes
    return sum(term.low_bytes for term in needs.memory.terms if term.where == "host")


def host_high(needs: Needs) -> int | None:
    """Most memory of the terms that stay in RAM."""
    if needs.memory is None or needs.placement == "host":
        return None if needs.memory is None else needs.memory.high_bytes
    return sum(term.high_bytes for term in needs.memory.terms if term.where == "host")


def on_cards(needs: Needs, *, likely: bool) -> int | None:
    """Memory of the terms that lie on accelerators, the most of it or what is likely."""
    if needs.memory is None:
        return None
    terms = [term for term in needs.memory.terms if term.where != "host"]
    return sum(term.bytes if likely else term.high_bytes for term in terms)


def _stacks(machine: Machine) -> tuple[int, int]:
    """Bytes of threads' stacks, low and high: one thread a core computes; a server has as many
    again and OTHER_THREADS.
    """
    cores = math.ceil(machine.cpu_cores_usable or 1)
    return (cores - 1) * STACK_BYTES, (2 * cores + OTHER_THREADS) * STACK_BYTES


def _shell_limits(ram: _Ram) -> Iterator[Finding]:
    """Findings of `ulimit -v` and `ulimit -d` that are or may be too low: the first counts mapped
    files, the second none.

    As the second counts the kernel's own limit on promises, CommitLimit. All count the stacks of
    threads whole. What glibc reserves for arenas does not count: where it gets none it shares one.
    """
    machine, memory = ram.machine, ram.needs.memory
    low, high = host_low(ram.needs), host_high(ram.needs)
    if low is None or high is None or memory is None:
        return
    few, many = _stacks(machine)
    mapped = memory.evictable_bytes
    host = [term for term in memory.terms if term.where == "host"]
    left = machine.address_space_bytes
    if left is not None:
        least, most = low + mapped + few, high + mapped + many
        copied = sum(term.low_bytes for term in host if term.is_copy)
        no_repack = bool(mapped and copied) and most - copied <= left
        yield from _beyond(
            ram, "address_space_bytes", (least, most), left, mapped=mapped, no_repack=no_repack
        )
    left = machine.private_memory_bytes
    if left is not None:
        # runtimes that map the weights need no private memory for them; which do is not known here
        unmapped = sum(term.low_bytes for term in host if not term.may_be_mapped)
        yield from _beyond(ram, "private_memory_bytes", (unmapped + few, high + many), left)


def _beyond(
    ram: _Ram, fact: str, need: tuple[int, int], left: int, **figures: Any
) -> Iterator[Finding]:
    """The finding of a limit that leaves less than the most it takes; nothing where it leaves
    enough.
    """
    least, most = need
    if most <= left:
        return
    is_too_little = least > left
    option = "-v" if fact == "address_space_bytes" else "-d"
    yield finding(
        Outcome.FAIL if is_too_little else Outcome.UNKNOWN,
        "memory-too-small" if is_too_little else "memory-close",
        "shell",
        needs=most,
        has=left,
        short=most - left,
        unit="bytes",
        reserve_bytes=reserve_of(ram.machine, ram.workload)[0],
        need=need,
        mapped_counts=fact == "address_space_bytes",
        option=None if "CommitLimit" in ram.machine.sources.get(fact, "") else option,
        **figures,
    )
