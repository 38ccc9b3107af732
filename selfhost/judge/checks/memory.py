"""Does the host's share of the need fit in the RAM?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...core.records import Record
from ...core.units import GB, GIB, MIB
from ...core.workload import Workload
from ...machine.record import Machine
from ...needs.records import Needs
from . import Finding, Outcome, doubt_of, finding, phrase

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
    judged = _need_not_known(ram) if needs.memory is None else _judged(ram)
    return max((judged, *_shell_limits(ram)), key=lambda finding: finding.severity)


class _Ram(Record):
    """What there is of RAM: `now`, with other programs closed (`could`), the most it gives
    (`ceiling`) and the least of all ceilings that were read (None: not known); and what the model
    takes of it, `low` to `high` with `files` in RAM, 0 where that is not known.
    """

    needs: Needs
    machine: Machine
    workload: Workload
    basis: str
    now: int | None
    could: int | None
    ceiling: int | None
    least: int | None
    low: int
    high: int
    files: int
    lie: str

    @property
    def reserve_bytes(self) -> int:
        """What is kept for the system."""
        return reserve_of(self.machine, self.workload)[0]

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
        limit, is_known = machine.memory_limit_bytes, self.needs.memory is not None
        is_limited = limit is not None and total is not None and limit < total
        reserve, source = reserve_of(machine, self.workload)
        return finding(
            outcome,
            code,
            variant,
            needs=self.high if is_known else None,
            has=has,
            short=max(0, self.high - has) if is_known and has is not None else None,
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
    basis, now, low, high = _basis(machine, workload), _free(machine, workload), 0, 0
    if needs.memory is not None:
        low, high = host_low(needs) or 0, host_high(needs) or 0
    # what is free now alone lacks the files that are held; the limits do not
    is_within_free = basis == "default" and now is not None and high + stored_bytes <= now
    if basis == "available" or is_within_free:
        held_bytes = 0
    files = stored_bytes + held_bytes
    if needs.memory is not None and surely:
        # on a disk the originals of what a runtime copies may leave the page cache, in RAM they
        # stay
        low += min(files, needs.memory.evictable_bytes)
    ceiling = _ceiling(machine, workload, held_bytes if surely else 0)
    lie = "would lie" if stored_bytes else "lie"
    return _Ram(
        needs=needs,
        machine=machine,
        workload=workload,
        basis=basis,
        now=now,
        could=_beyond_reserve(machine, workload),
        ceiling=ceiling,
        least=_least(machine, basis, ceiling),
        low=low,
        high=high + files,
        files=files,
        lie=lie if surely else "may lie",
    )


def _least(machine: Machine, basis: str, ceiling: int | None) -> int | None:
    """Any ceiling that was read is enough to say no, even where the binding one was not."""
    limit = machine.memory_limit_bytes
    binding = ceiling if basis != "default" or limit is not None else None
    sizes = (binding, machine.memory_total_bytes, limit)
    return min((size for size in sizes if size is not None), default=None)


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
    reason = "the spec does not state enough" if why is None else why.reason
    remedy = "state it under [needs] in a spec" if why is None else why.remedy
    return ram.finding(
        Outcome.UNKNOWN, "memory-need-not-known", ram.ceiling, remedy=remedy, why=reason
    )


def _judged(ram: _Ram) -> Finding:
    """Of a need that is known."""
    if ram.least is not None and ram.low > ram.least:
        return _too_small(ram, ram.least)
    within_free = _within_free(ram)
    if within_free is not None:
        return within_free
    is_now = ram.basis == "available"
    ceiling = ram.ceiling
    if ceiling is None or (ram.now if is_now else ram.could) is None:
        why = ram.machine.why_unread("memory_available_bytes" if is_now else "memory_limit_bytes")
        variant, remedy = "now" if is_now else "", why.remedy
        return ram.finding(
            Outcome.UNKNOWN, "memory-unread", ceiling, variant, remedy=remedy, why=why.reason
        )
    if ram.high > ceiling:
        if _may_hold(ram, ram.high):
            return _beyond_assumed(ram, ceiling)
        return ram.finding(Outcome.UNKNOWN, "memory-close", ceiling, smaller=_smaller(ram))
    return _not_now(ram) if ram.basis == "default" else _within_limit(ram)


def _within_free(ram: _Ram) -> Finding | None:
    """It fits what is free now: tight where that leaves less than the system itself needs, unless
    it was asked how much stays free.
    """
    now = ram.now
    if ram.basis == "total" or now is None or ram.high > now:
        return None
    left = now - ram.high
    if not ram.asked and not _leaves_margin(ram, left):
        smaller = _smaller(ram)
        return ram.finding(Outcome.PASS, "memory-tight", now, "now", left=left, smaller=smaller)
    if ram.basis != "default":
        return None
    return ram.finding(Outcome.PASS, "memory-fits", now, "now")


def _too_small(ram: _Ram, has: int) -> Finding:
    if _may_hold(ram, ram.low):
        return _beyond_assumed(ram, has)
    limit = ram.machine.memory_limit_bytes
    # nothing but the reserve decides, and that is assumed
    reserve_decides = not ram.asked and has == ram.could and limit is not None and ram.low <= limit
    return ram.finding(
        Outcome.FAIL,
        "memory-too-small",
        has,
        on_gpu=_on_gpu_bytes(ram.needs),
        reserve_decides=reserve_decides,
        would="would" if limit is not None and ram.high <= limit else "might",
        smaller=_smaller(ram),
    )


def _on_gpu_bytes(needs: Needs) -> int | None:
    """What accelerators hold of a model, where the RAM is to hold the rest."""
    # parts that come to an accelerator in turn all lie in RAM
    is_shared_out = needs.placement == "split" and needs.offload is None
    return on_cards(needs, likely=False) if is_shared_out else None


def _smaller(ram: _Ram) -> str:
    """What would take less RAM."""
    terms = ram.needs.memory.terms if ram.needs.memory is not None else ()
    smaller = what_is_smaller([term for term in terms if term.where == "host"], ram.ceiling)
    return phrase("smaller/files", smaller=smaller) if ram.files else smaller


def _may_hold(ram: _Ram, need_bytes: int) -> bool:
    """Whether the RAM is assumed, and such a machine may have enough for that need."""
    most = ram.machine.memory_most_bytes
    is_enough = most is None or need_bytes <= most - ram.reserve_bytes
    return ram.machine.assumes("memory_total_bytes") and is_enough


def _beyond_assumed(ram: _Ram, has: int) -> Finding:
    """It is beyond what is assumed, and within what such a machine may have."""
    most, wanted_gib = ram.machine.memory_most_bytes, -(-(ram.high + ram.reserve_bytes) // GIB)
    # an example: the next power of two
    enough_gib = 1 << max(0, wanted_gib - 1).bit_length()
    return ram.finding(
        Outcome.UNKNOWN,
        "memory-assumed",
        has,
        on_gpu=_on_gpu_bytes(ram.needs),
        enough_gib=enough_gib if most is None else min(enough_gib, most // GIB),
    )


def _leaves_margin(ram: _Ram, left_bytes: int) -> bool:
    """Whether as much is left as is to stay free beside a model: the reserve, of a small machine a
    whole part of its memory.
    """
    total = ram.machine.memory_total_bytes
    is_large_part = total is not None and _MARGIN_PART * (left_bytes + 1) > total
    return left_bytes >= ram.reserve_bytes or is_large_part


def _not_now(ram: _Ram) -> Finding:
    """It fits once other programs are closed; what fits now is settled before."""
    why = None if ram.now is not None else ram.machine.why_unread("memory_available_bytes")
    return ram.finding(
        Outcome.WARN,
        "memory-not-now",
        ram.ceiling,
        remedy=why.remedy if why is not None else None,
        now=ram.now,
        now_read=ram.now is not None,
    )


def _within_limit(ram: _Ram) -> Finding:
    """It fits. It is tight by a reserve that is assumed, where it leaves less than a desktop with
    its programs takes, or hardly more than that reserve.
    """
    machine = ram.machine
    limit, total = machine.memory_limit_bytes, machine.memory_total_bytes
    is_assumed = ram.basis == "total" and not ram.asked
    if not is_assumed or limit is None or total is None or limit < total:
        return ram.finding(Outcome.PASS, "memory-fits", ram.ceiling)
    # a guest serves no desktop
    by_desktop = desktop_bytes(machine) if machine.scope == "host" else 0
    left = limit - ram.high
    if left >= by_desktop and _leaves_margin(ram, left - ram.reserve_bytes):
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


def _basis(machine: Machine, workload: Workload) -> str:
    """What counts: of a simulated machine nothing is free now."""
    is_simulated = workload.memory_basis == "default" and machine.planning
    return "total" if is_simulated else workload.memory_basis


def given_bytes(machine: Machine, workload: Workload) -> int | None:
    """The most RAM that the machine gives a model, on which a verdict rests; None is not known."""
    return _ceiling(machine, workload, 0)


def _beyond_reserve(machine: Machine, workload: Workload) -> int | None:
    """What the limit leaves after the reserve; None where no limit was read."""
    limit = machine.memory_limit_bytes
    return None if limit is None else max(0, limit - reserve_of(machine, workload)[0])


def _free(machine: Machine, workload: Workload) -> int | None:
    """What is free now; what was asked to stay free does, also where the memory is free now."""
    now, could = machine.memory_available_bytes, _beyond_reserve(machine, workload)
    if workload.reserve_bytes is None or now is None or could is None:
        return now
    return min(now, could)


def _ceiling(machine: Machine, workload: Workload, held_bytes: int) -> int | None:
    """The most that the machine gives; `held_bytes`: of files that what is free now surely
    lacks.
    """
    now, could = _free(machine, workload), _beyond_reserve(machine, workload)
    basis = _basis(machine, workload)
    if basis != "default":
        return now if basis == "available" else could
    sizes = (None if now is None else now + held_bytes, could)
    return max((size for size in sizes if size is not None), default=None)


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


def _shell_limits(ram: _Ram) -> Iterator[Finding]:
    """Findings of `ulimit -v` and `ulimit -d` that are or may be too low: the first counts mapped
    files, the second none.

    As the second counts the kernel's own limit on promises, CommitLimit. All count the stacks of
    threads whole: one thread a core computes; a server has as many again and OTHER_THREADS. What
    glibc reserves for arenas does not count: where it gets none it shares one.
    """
    machine, memory = ram.machine, ram.needs.memory
    low, high = host_low(ram.needs), host_high(ram.needs)
    if low is None or high is None or memory is None:
        return
    cores = math.ceil(machine.cpu_cores_usable or 1)
    few, many = (cores - 1) * STACK_BYTES, (2 * cores + OTHER_THREADS) * STACK_BYTES
    host = [term for term in memory.terms if term.where == "host"]
    if machine.address_space_bytes is not None:
        mapped, copied = memory.evictable_bytes, sum(t.low_bytes for t in host if t.is_copy)
        most = high + mapped + many
        no_repack = bool(mapped and copied) and most - copied <= machine.address_space_bytes
        yield from _beyond(
            ram, "address_space_bytes", (low + mapped + few, most), mapped, no_repack=no_repack
        )
    if machine.private_memory_bytes is not None:
        # runtimes that map the weights need no private memory for them; which do is not known here
        unmapped = sum(term.low_bytes for term in host if not term.may_be_mapped)
        yield from _beyond(ram, "private_memory_bytes", (unmapped + few, high + many), 0)


def _beyond(
    ram: _Ram, fact: str, need: tuple[int, int], mapped: int, *, no_repack: bool = False
) -> Iterator[Finding]:
    """The finding of a limit that leaves less than the most it takes."""
    least, most = need
    left: int = getattr(ram.machine, fact)
    if most <= left:
        return
    is_too_little, counts_mapped = least > left, fact == "address_space_bytes"
    is_shells = "CommitLimit" not in ram.machine.sources.get(fact, "")
    option = "-v" if counts_mapped else "-d"
    yield finding(
        Outcome.FAIL if is_too_little else Outcome.UNKNOWN,
        "memory-too-small" if is_too_little else "memory-close",
        "shell",
        needs=most,
        has=left,
        short=most - left,
        unit="bytes",
        reserve_bytes=ram.reserve_bytes,
        need=need,
        mapped_counts=counts_mapped,
        option=option if is_shells else None,
        mapped=mapped,
        no_repack=no_repack,
    )
