"""Does the host's share of the need fit in the RAM?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

from ...core.records import Unread
from ...core.units import GB, GIB, MIB, binary, binary_range, decimal
from ...core.workload import Workload
from ...machine.record import Machine
from ...needs.records import Needs
from .record import Finding, Outcome, profile_doubt

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
    sums = _Sums(needs, machine, workload, stored_bytes, held_bytes, surely)
    finding = (
        _need_not_known(sums, needs)
        or _too_small(sums)
        or _tight_now(sums)
        or _available_now(sums)
        or _unread(sums)
        or _too_close(sums)
        or _not_now(sums)
        or _tight(sums)
        or _fits(sums)
    )
    if machine.address_space_bytes is None and machine.private_memory_bytes is None:
        return finding
    return max(
        (finding, *_shell_limits(needs, machine, finding)), key=lambda finding: finding.severity
    )


class _Sums:
    """What it takes of the RAM (`low` to `high`), and what there is: `now`, and with other
    programs closed (`could`). None is not known.
    """

    def __init__(
        self,
        needs: Needs,
        machine: Machine,
        workload: Workload,
        stored_bytes: int,
        held_bytes: int,
        surely: bool,
    ) -> None:
        self.machine, self.are_files_sure = machine, surely
        self.workload = workload
        self.basis = _basis_of(machine, workload)
        self.low, self.high = host_low(needs), host_high(needs)
        self._memory = needs.memory
        # parts that come to an accelerator in turn all lie in RAM
        self._is_split = needs.placement == "split" and needs.offload is None
        held = held_bytes
        if held and self._counts_now((self.high or 0) + stored_bytes):
            held = 0
        self._held_now = held if surely else 0
        self.files, self.are_files_to_come = stored_bytes + held, stored_bytes > 0
        if self.high is not None:
            self.high += self.files
        if self.low is not None and needs.memory is not None and surely:
            # on a disk the originals of what a runtime copies may leave the page cache, in RAM
            # they stay
            self.low += min(self.files, needs.memory.evictable_bytes)

    def _counts_now(self, most: int) -> bool:
        """Whether so much is held against what is free now alone, which lacks the files that are
        held; the limits do not lack them.
        """
        if self.basis == "default":
            return self.now is not None and most <= self.now
        return self.basis == "available"

    # each is worked out where the answer rests on it

    @cached_property
    def now(self) -> int | None:
        """What is free now."""
        return _gives_now(self.machine, self.workload)

    @cached_property
    def could(self) -> int | None:
        """What the limit leaves after the reserve."""
        return _could_give(self.machine, self.workload)

    @cached_property
    def ceiling(self) -> int | None:
        """The most that it gives."""
        return _ceiling(self.machine, self.workload, self.basis, self._held_now)

    @cached_property
    def least(self) -> int | None:
        """The least of all ceilings that were read."""
        return _least_ceiling(self.machine, self.workload, self.basis, self._held_now)

    @property
    def total(self) -> int | None:
        """The machine's memory."""
        return self.machine.memory_total_bytes

    @property
    def limit(self) -> int | None:
        """What the limit leaves of it."""
        return self.machine.memory_limit_bytes

    @property
    def is_reserve_asked(self) -> bool:
        """Whether it was said how much is kept for the system."""
        return self.workload.reserve_bytes is not None

    @property
    def reserve(self) -> int:
        """What is kept for the system."""
        return reserve_of(self.machine, self.workload)[0]

    @property
    def capacities(self) -> list[int]:
        """What was read of the machine's memory and its limit."""
        return [size for size in (self.total, self.limit) if size is not None]

    @property
    def kept_back(self) -> str:
        reserve, source = reserve_of(self.machine, self.workload)
        return f"after a reserve of {binary(reserve)}, {source}"

    @property
    def aside(self) -> str:
        """The reserve, where it was asked for."""
        return f" {self.kept_back}" if self.is_reserve_asked and self.could is not None else ""

    @property
    def takes(self) -> str:
        """The need, as a sentence begins."""
        assert self.low is not None
        assert self.high is not None
        need = f"It needs {binary_range(self.low, self.high)} of memory"
        if not self.files:
            return need
        lie = "would lie" if self.are_files_to_come else "lie"
        if not self.are_files_sure:
            lie = "may lie"
        return f"{need} (including {decimal(self.files)} of files that {lie} in RAM)"

    @property
    def beside(self) -> str:
        """What accelerators hold of the model, where the RAM is to hold the rest; else empty."""
        if not self._is_split or self._memory is None:
            return ""
        accelerator_bytes = sum(
            term.high_bytes for term in self._memory.terms if term.where != "host"
        )
        return f" beside {binary(accelerator_bytes)} on the GPU"

    @property
    def giver(self) -> str:
        """The machine, with the limit that holds there."""
        name = self.machine.called
        if self.limit is not None and self.total is not None and self.limit < self.total:
            name += f" (limited to {binary(self.limit)} of {binary(self.total)})"
        return name

    @property
    def today(self) -> str:
        """That only what is free now counts; empty where it does not."""
        return " now" if self.basis == "available" else ""

    @property
    def smaller(self) -> str:
        """The remedy where it is too large."""
        # the terms of a ready question are made when they are asked for
        terms = self._memory.terms if self._memory is not None else ()
        smaller = what_is_smaller([term for term in terms if term.where == "host"], self.ceiling)
        return f"store the files on a disk, not in RAM; or {smaller}" if self.files else smaller

    def finding(
        self,
        outcome: Outcome,
        code: str,
        has: int | None,
        reason: Callable[[], str],
        remedy: str | Callable[[], str | None] | None = None,
    ) -> Finding:
        """A finding of the most that it takes against `has`; a remedy that takes long to word is
        a function.
        """
        return Finding.worded_when_read(
            {
                "check": "memory",
                "outcome": outcome,
                "code": code,
                "needs": self.high,
                "has": has,
                "short": None if has is None or self.high is None else max(0, self.high - has),
                "unit": "bytes",
            },
            lambda: (
                reason() + profile_doubt(self.machine),
                remedy() if callable(remedy) else remedy,
            ),
            reserve_bytes=lambda: self.reserve,
        )


def _need_not_known(sums: _Sums, needs: Needs) -> Finding | None:
    if sums.low is not None and sums.high is not None:
        return None
    why = next((entry for entry in needs.unknown if entry.fact.startswith("memory")), None)
    cards = sums.machine.accelerators
    is_host_alone = cards is not None and all(card.unified for card in cards)
    known_bytes = sum(term.low_bytes for term in needs.known_terms)
    most = min(sums.capacities, default=None)
    is_beyond = is_host_alone and most is not None and known_bytes > most
    if is_beyond and most is not None and why is not None and not _may_hold(sums, known_bytes):
        said = why.reason
        return sums.finding(
            Outcome.FAIL,
            "memory-too-small",
            most,
            lambda: (
                f"It needs more than the {binary(most)} that {sums.giver} has; how much more is"
                f" not known: {said}."
            ),
            lambda: "use a smaller quantization or a smaller model",
        )
    if why is None:
        why = Unread(
            fact="memory",
            reason="the spec does not state enough",
            remedy="state it under [needs] in a spec",
        )
    missing = why
    return sums.finding(
        Outcome.UNKNOWN,
        "memory-need-not-known",
        sums.ceiling,
        lambda: f"How much memory the model needs is not known: {missing.reason}.",
        lambda: missing.remedy,
    )


def _too_small(sums: _Sums) -> Finding | None:
    low, high, has = sums.low, sums.high, sums.least
    assert low is not None
    assert high is not None
    if has is None or low <= has:
        return None
    if _may_hold(sums, low):
        return _on_assumed_ram(sums, has)

    def reason() -> str:
        limit = sums.limit
        text = (
            f"{sums.takes}{sums.beside}; {sums.giver} can give at most"
            f" {binary(has)}{sums.today}{sums.aside}."
        )
        if not sums.aside and has == sums.could and limit is not None and low <= limit:
            # nothing but the reserve decides, and that is assumed
            would = "would" if high <= limit else "might"
            text += (
                f" It {would} fit without the reserve of {binary(sums.reserve)},"
                f" {reserve_of(sums.machine, sums.workload)[1]}:"
                f" `--reserve SIZE` changes it."
            )
        return text

    def remedy() -> str:
        if not sums.beside:
            return sums.smaller
        # what RAM lacks beside accelerators, these may give as well
        return f"{binary(high - has)} more of RAM or of GPU memory would do; or {sums.smaller}"

    return sums.finding(Outcome.FAIL, "memory-too-small", has, reason, remedy)


def _may_hold(sums: _Sums, need_bytes: int) -> bool:
    """Whether the RAM is assumed, and such a machine may have enough for that need."""
    if not sums.machine.assumes("memory_total_bytes"):
        return False
    most = sums.machine.memory_most_bytes
    return most is None or need_bytes <= most - sums.reserve


def _on_assumed_ram(sums: _Sums, has: int) -> Finding:
    """It is beyond what is assumed, and within what such a machine may have."""
    total, high = sums.total, sums.high
    most = sums.machine.memory_most_bytes
    assert total is not None
    assert high is not None
    # an example: the next power of two
    enough_gib = 1
    while enough_gib * GIB < high + sums.reserve:
        enough_gib *= 2
    if most is not None:
        enough_gib = min(enough_gib, most // GIB)
    return sums.finding(
        Outcome.UNKNOWN,
        "memory-assumed",
        has,
        lambda: (
            f"{sums.takes}{sums.beside}; {sums.giver} can give {binary(has)}, but its RAM is"
            f" assumed: {binary(total)}, and it may have more."
        ),
        lambda: f"state the RAM that it has, such as `--set memory={enough_gib}GiB`",
    )


def _tight_now(sums: _Sums) -> Finding | None:
    """It fits what is free now, and leaves less of it than the system itself needs; None where it
    was asked how much stays free.
    """
    now, high = sums.now, sums.high
    assert high is not None
    if sums.basis == "total" or sums.is_reserve_asked or now is None or high > now:
        return None
    if _leaves_margin(sums, now - high):
        return None
    return sums.finding(
        Outcome.PASS,
        "memory-tight",
        now,
        lambda: (
            f"{sums.takes}; {binary(now)} are available now. It is tight: {binary(now - high)} stay"
            " free for anything else."
        ),
        lambda: f"close other programs, or {sums.smaller}",
    )


def _leaves_margin(sums: _Sums, left_bytes: int) -> bool:
    """Whether as much is left as is to stay free beside a model: the reserve, of a small machine a
    whole part of its memory.
    """
    if left_bytes >= sums.reserve:
        return True
    return sums.total is not None and _MARGIN_PART * (left_bytes + 1) > sums.total


def _available_now(sums: _Sums) -> Finding | None:
    now, high = sums.now, sums.high
    assert high is not None
    if sums.basis != "default" or now is None or high > now:
        return None
    return sums.finding(
        Outcome.PASS,
        "memory-fits",
        now,
        lambda: f"{sums.takes}; {binary(now)} are available now{sums.aside}.",
    )


def _unread(sums: _Sums) -> Finding | None:
    size, fact, what = sums.could, "memory_limit_bytes", "The memory limit"
    if sums.basis == "available":
        size, fact, what = sums.now, "memory_available_bytes", "The available memory"
    if size is not None:
        return None
    return sums.finding(
        Outcome.UNKNOWN,
        "memory-unread",
        sums.ceiling,
        lambda: f"{what} could not be read: {sums.machine.why_unread(fact).reason}.",
        lambda: sums.machine.why_unread(fact).remedy,
    )


def _too_close(sums: _Sums) -> Finding | None:
    ceiling, high = sums.ceiling, sums.high
    assert ceiling is not None
    assert high is not None
    if high <= ceiling:
        return None
    if _may_hold(sums, high):
        return _on_assumed_ram(sums, ceiling)
    return sums.finding(
        Outcome.UNKNOWN,
        "memory-close",
        ceiling,
        lambda: (
            f"{sums.takes}; {sums.giver} can give {binary(ceiling)}{sums.today}{sums.aside}: too"
            " close to call."
        ),
        lambda: f"to be safe, {sums.smaller}",
    )


def _not_now(sums: _Sums) -> Finding | None:
    """It fits once other programs are closed; what fits now is settled before."""
    ceiling = sums.ceiling
    assert ceiling is not None
    if sums.basis != "default":
        return None
    now = sums.now

    def remedy() -> str | None:
        if now is None:
            return sums.machine.why_unread("memory_available_bytes").remedy
        return "close other programs first"

    def reason() -> str:
        free = "how much is free now could not be read"
        if now is not None:
            free = f"only {binary(now)} are free now"
        return (
            f"{sums.takes}; {sums.giver} can give {binary(ceiling)} ({sums.kept_back}), but {free}."
        )

    return sums.finding(Outcome.WARN, "memory-not-now", ceiling, reason, remedy)


def _tight(sums: _Sums) -> Finding | None:
    """It fits by a reserve that is assumed, and leaves less than a desktop with its programs takes,
    or hardly more than that reserve.
    """
    ceiling, high, limit = sums.ceiling, sums.high, sums.limit
    assert ceiling is not None
    assert high is not None
    is_assumed = sums.basis == "total" and not sums.is_reserve_asked
    if not is_assumed or limit is None:
        return None
    total = sums.total
    if total is None or limit < total:
        return None
    # a guest serves no desktop
    by_desktop = desktop_bytes(sums.machine) if sums.machine.scope == "host" else 0
    left_bytes = limit - high
    if left_bytes >= by_desktop and _leaves_margin(sums, left_bytes - sums.reserve):
        return None
    desktop = DESKTOP_BYTES.get(sums.machine.system or "", 4 * GB)
    # of a small machine that much is never left
    takes = f" (a desktop with its programs takes {binary(desktop)} or more)"
    takes = takes if by_desktop == desktop else ""
    return sums.finding(
        Outcome.PASS,
        "memory-tight",
        ceiling,
        lambda: (
            f"{sums.takes}; {sums.giver} can give {binary(ceiling)} ({sums.kept_back}). It is"
            f" tight: {binary(limit - high)} are left to the system and all other programs."
        ),
        lambda: f"close other programs{takes}, or {sums.smaller}",
    )


def _fits(sums: _Sums) -> Finding:
    ceiling = sums.ceiling
    assert ceiling is not None
    return sums.finding(
        Outcome.PASS,
        "memory-fits",
        ceiling,
        lambda: f"{sums.takes}; {sums.giver} can give {binary(ceiling)}{sums.today}{sums.aside}.",
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
        return "use a shorter --context, or train a smaller model"
    caches = [term for term in terms if term.name == "kv_cache"]
    if not caches:
        return "use a smaller quantization or a smaller model"
    rest = sum(term.low_bytes for term in terms if term.name not in _OF_CONTEXT)
    kept = sum(term.bytes for term in caches)
    beside = sum(term.bytes for term in terms) - kept
    for type, share in (smaller_caches or {}).items():
        if has_bytes is not None and beside + share * kept <= has_bytes:
            smaller = f"--kv-cache {type}"
            return f"use {smaller}, a smaller quantization, a shorter context or a smaller model"
    if has_bytes is None or rest <= has_bytes:
        return "use a smaller quantization, a shorter context or a smaller model"
    return f"use a smaller quantization or model: without any context this one needs {binary(rest)}"


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


def _shell_limits(needs: Needs, machine: Machine, finding: Finding) -> Iterator[Finding]:
    """Findings of `ulimit -v` and `ulimit -d` that are or may be too low: the first counts mapped
    files, the second none. `finding` is that of the memory itself.

    As the second counts the kernel's own limit on promises, CommitLimit. All count the stacks of
    threads whole. What glibc reserves for arenas does not count: where it gets none it shares one.
    """
    low, high, memory = host_low(needs), host_high(needs), needs.memory
    if low is None or high is None or memory is None:
        return
    few, many = _stacks(machine)
    mapped = memory.evictable_bytes
    host = [term for term in memory.terms if term.where == "host"]
    left = machine.address_space_bytes
    if left is not None:
        least, most = low + mapped + few, high + mapped + many
        what = " of address space"
        if mapped:
            what += f" (including {binary(mapped)} of mapped files)"
        copied = sum(term.low_bytes for term in host if term.is_copy)
        without = ""
        if mapped and copied and most - copied <= left:
            without = "; or run it with --no-repack, which makes no second copy of the weights"
        limit, remedy = _limit(machine, "address_space_bytes", "-v")
        yield from _beyond(finding, least, most, left, what, limit, remedy + without)
    left = machine.private_memory_bytes
    if left is not None:
        # runtimes that map the weights need no private memory for them; which do is not known here
        unmapped = sum(term.low_bytes for term in host if not term.may_be_mapped)
        limit, remedy = _limit(machine, "private_memory_bytes", "-d")
        yield from _beyond(
            finding, unmapped + few, high + many, left, " of private memory", limit, remedy
        )


def _limit(machine: Machine, fact: str, option: str) -> tuple[str, str]:
    """The name of the limit that fact is of, and how to raise it."""
    if "CommitLimit" in machine.sources.get(fact, ""):
        return (
            "the kernel's CommitLimit",
            "run `sudo sysctl vm.overcommit_ratio=100` (or vm.overcommit_memory=0)",
        )
    return f"`ulimit {option}`", (
        f"run `ulimit {option} unlimited`, or ask your administrator to raise the limit"
    )


def _beyond(
    finding: Finding, least: int, most: int, left: int, what: str, limit: str, remedy: str
) -> Iterator[Finding]:
    """The finding of a limit that leaves less than the most it takes; nothing where it leaves
    enough.
    """
    if most <= left:
        return
    is_too_little = least > left

    def words() -> tuple[str, str]:
        takes = f"It needs {binary_range(least, most)}{what}; {limit} leaves {binary(left)}"
        return f"{takes}{'.' if is_too_little else ': too close to call.'}", remedy

    yield Finding.worded_when_read(
        {
            "check": finding.check,
            "outcome": Outcome.FAIL if is_too_little else Outcome.UNKNOWN,
            "code": "memory-too-small" if is_too_little else "memory-close",
            "needs": most,
            "has": left,
            "short": most - left,
            "unit": finding.unit,
        },
        words,
        reserve_bytes=lambda: finding.reserve_bytes,
    )
