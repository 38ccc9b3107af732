"""Whether the RAM holds the host's share of the need, and the disk the files that are missing.

`given_by` says what a machine gives of its RAM under a workload. `memory_check` compares the need
with that, `disk_check` the download with the free space where the program stores its models.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf

from ...core.records import Record, Unread
from ...core.units import GB, GIB, MIB, words_of
from ...core.workload import Workload
from ...machine import cpus
from ...machine.record import FAT_FILE_BYTES, Disk, Machine
from ...needs.records import Needs, Term
from ..record import Question
from . import (
    Figures,
    Finding,
    Ruling,
    failing,
    finding,
    passing,
    phrase,
    undecided,
    warning,
)

# What the system needs for itself beside a model: assumed. Ubuntu Server 24.04 asks for 1 GB; an
# idle desktop of macOS or Windows takes about 3 GiB, below the 4 GB that Windows 11 asks for.
# Inside a limit only what that leaves out is kept for the system, and a little for the other
# processes in there.
_CONTAINER_RESERVE_BYTES = 64 * MIB
_SYSTEM_RESERVE_BYTES = {"linux": 1 * GIB, "macos": 3 * GIB, "windows": 3 * GIB}
# A system without a desktop keeps at most one part in so many of a small machine: Debian 12's
# installation guide asks for 256 MB without a desktop, and boards and instances of 1 GiB run it.
_RESERVE_PART = {"linux": 4}
# What a desktop with its programs needs beside a model: Ubuntu Desktop 24.04 and Windows 11 ask for
# 4 GB of memory. A Mac of 64 GB takes 4 GB without a desktop (jundot/omlx#1533, where a runtime
# leaves it 8). A guest serves no desktop; of a small machine it is at most a quarter, assumed.
_DESKTOP_BYTES = {"linux": 4 * GB, "macos": 8 * GB, "windows": 4 * GB}
# what of a small machine's memory is to stay free at most: one part in so many (assumed)
_MARGIN_PART = 16
# what glibc sets aside for the stack of each thread: the usual soft limit of the stack
# (pthread_create(3)). Both limits count all of it: 14 more threads of llama-bench took 118 and 121
# MiB more (llama.cpp 0c1e5709, measured by bisection).
_STACK_BYTES = 8 * MIB
# threads of a server beside two a core (llama.cpp 0c1e5709: tools/server, n_threads_http): assumed
_OTHER_THREADS = 16
# terms that a shorter context makes smaller
_CONTEXT_TERMS = ("kv_cache", "compute", "activations")
# a system disk filled to the last byte breaks swap, logs and databases: 5 GiB or one part in 20 of
# the volume, whichever is less (assumed)
_DISK_MARGIN_BYTES = 5 * GIB
_DISK_MARGIN_PART = 20
# the variable that moves the folder in which a runtime stores models
_STORE_VARIABLES = {
    "huggingface": "HF_HOME",
    "llama.cpp": "LLAMA_CACHE",
    "ollama": "OLLAMA_MODELS (of the Ollama service)",
}


class Given(Record):
    """What a machine gives of its RAM under a workload. None: not known.

    - `basis`: the memory that counts, as in `Workload.memory_basis`.
    - `reserve_bytes` are kept for the system, and `reserve_source` says where the figure is from.
      `is_stated`: the reserve was asked for.
    - `margin_bytes`: memory that leaves less than this free is tight.
    - `now_bytes` is free now.
    - `idle_bytes` is the limit without the reserve: what is free once other programs are closed.
    - `ceiling_bytes`: the most that counts, on which the answer rests.
    - `lift`: the line that lifts the limit where the shell sets it, "" for none.
    """

    basis: str
    reserve_bytes: int
    reserve_source: str
    is_stated: bool
    margin_bytes: int
    now_bytes: int | None
    idle_bytes: int | None
    ceiling_bytes: int | None
    lift: str


def given_by(machine: Machine, workload: Workload) -> Given:
    """What the machine gives of its RAM under that workload."""
    basis = workload.memory_basis
    if basis == "default" and machine.planning:
        # of a simulated machine nothing is free now
        basis = "total"
    reserve = _reserve_of(machine, workload)
    idle = _less(machine.memory_limit_bytes, reserve.size_bytes)
    now = machine.memory_available_bytes
    total = machine.memory_total_bytes or _MARGIN_PART * reserve.size_bytes
    margin = min(reserve.size_bytes, total // _MARGIN_PART)
    is_stated = workload.reserve_bytes is not None
    if is_stated:
        # a stated reserve stays free, also of what is free now
        margin = 0
        if now is not None:
            now = _least(now, idle)
    if basis == "available":
        ceiling = now
    elif basis == "total":
        ceiling = idle
    else:
        ceiling = _most(now, idle)
    return Given(
        basis=basis,
        reserve_bytes=reserve.size_bytes,
        reserve_source=reserve.source,
        is_stated=is_stated,
        margin_bytes=margin,
        now_bytes=now,
        idle_bytes=idle,
        ceiling_bytes=ceiling,
        lift=_lifting_line(machine),
    )


def _less(size: int | None, taken: int) -> int | None:
    return None if size is None else max(0, size - taken)


def _least(*sizes: int | None) -> int | None:
    """The least of the sizes that are known; None where none is."""
    known = [size for size in sizes if size is not None]
    return min(known, default=None)


def _most(*sizes: int | None) -> int | None:
    """The most of the sizes that are known; None where none is."""
    known = [size for size in sizes if size is not None]
    return max(known, default=None)


def _lifting_line(machine: Machine) -> str:
    """The command that the source of the limit names, as in "ulimit -m; `ulimit -m unlimited`"."""
    source = machine.sources.get("memory_limit_bytes", "")
    _, _, command = source.partition("; `")
    return command.partition("`")[0]


# ------------------------------------------------------------------ the reserve


class Reserve(Record):
    """Memory kept for the system, and where the figure comes from."""

    size_bytes: int
    source: str


def _reserve_of(machine: Machine, workload: Workload) -> Reserve:
    if workload.reserve_bytes is not None:
        return Reserve(size_bytes=workload.reserve_bytes, source="set by --reserve")
    total = machine.memory_total_bytes
    limit = machine.memory_limit_bytes
    inside = "assumed for other processes inside the limit"
    if total is None and limit is not None:
        # a budget such as Dask's and Ray's is what was left when the system had its share
        return Reserve(size_bytes=_CONTAINER_RESERVE_BYTES, source=inside)
    amount = _SYSTEM_RESERVE_BYTES.get(machine.system or "", GIB)
    part = _RESERVE_PART.get(machine.system or "")
    if part is not None and total is not None:
        amount = min(amount, total // part)
    if total is not None and limit is not None and limit < total:
        # what lies outside the limit serves the system already
        amount -= total - limit
        return Reserve(size_bytes=max(_CONTAINER_RESERVE_BYTES, amount), source=inside)
    return Reserve(size_bytes=amount, source="assumed for the system itself")


def reserve_beside(need_bytes: int, machine: Machine, workload: Workload) -> int:
    """The reserve of the smallest machine of that system that gives a model so many bytes."""
    reserve = _reserve_of(machine, workload).size_bytes
    part = _RESERVE_PART.get(machine.system or "")
    if workload.reserve_bytes is not None or part is None:
        return reserve
    # the reserve is one part of the memory, rounded down; the others hold the model
    return min(reserve, max(0, need_bytes - 1) // (part - 1))


def desktop_bytes(machine: Machine) -> int:
    """What a desktop of the machine's system takes with its programs, at least."""
    return _DESKTOP_BYTES.get(machine.system or "", 4 * GB)


# ------------------------------------------------------------------ memory


class _Span(Record):
    """The least and the most bytes of a need."""

    low: int
    high: int


def memory_check(
    needs: Needs, machine: Machine, workload: Workload, files_bytes: int = 0
) -> Finding:
    """Does the RAM hold the host's share of the need?

    `files_bytes` are files that will be stored in RAM. They count in the most, and in the least
    where the program copies them.
    """
    given = given_by(machine, workload)
    host = [term for term in needs.terms if term.where == "host"]
    low = sum(term.low_bytes for term in host)
    high = sum(term.high_bytes for term in host) + files_bytes
    if needs.memory is not None:
        # originals of what a runtime copies may leave the page cache, but not a disk in RAM
        low += min(files_bytes, needs.memory.evictable_bytes)
        ruling = _memory_ruling(_Span(low=low, high=high), machine, given)
    else:
        ruling = _need_unknown(needs, machine, given)
    has = ruling.figures["has"]
    total = machine.memory_total_bytes
    limit = machine.memory_limit_bytes
    if total is None or limit is None or limit >= total:
        # no limit of its own
        limit = None
    on_gpu: int | None = None
    if needs.placement == "split" and needs.offload is None:
        # parts that come to an accelerator in turn all lie in RAM
        on_gpu = needs.ram_bytes(on_cards=True)
    smaller = what_is_smaller(host, given.ceiling_bytes)
    if files_bytes:
        smaller = phrase("smaller/files", smaller=smaller)
    found = finding(
        ruling,
        needs=high,
        short=None if has is None else max(0, high - has),
        unit="bytes",
        reserve_bytes=given.reserve_bytes,
        need=(low, high),
        files=files_bytes,
        on_gpu=on_gpu,
        machine=machine.name,
        limit=limit,
        total=total,
        now_only=given.basis == "available",
        asked=given.is_stated and given.idle_bytes is not None,
        reserve=given.reserve_bytes,
        reserve_source=given.reserve_source,
        confidence=machine.confidence,
        smaller=smaller,
    )
    if machine.address_space_bytes is None or needs.memory is None:
        return found
    span = _Span(low=low, high=high)
    shell = _shell_check(span, needs, machine, machine.address_space_bytes)
    if shell is None or shell.severity <= found.severity:
        return found
    return shell.replace(reserve_bytes=given.reserve_bytes)


def _need_unknown(needs: Needs, machine: Machine, given: Given) -> Ruling:
    """Of a need that is known in part: whether that part is more than the machine has."""
    why = next(entry for entry in needs.unknown if entry.fact.startswith("memory"))
    nothing = {"needs": None, "short": None}
    known = sum(term.low_bytes for term in needs.known_terms)
    has = _least(machine.memory_total_bytes, machine.memory_limit_bytes)
    is_too_much = has is not None and known > has and _has_only_ram(machine)
    if is_too_much and not _may_have_more(known, machine, given):
        return failing(
            "memory-too-small", "at-least", has=has, why=why.reason, **nothing
        )
    has = given.ceiling_bytes
    return undecided("memory-need-not-known", has=has, why=why, **nothing)


def _has_only_ram(machine: Machine) -> bool:
    """Whether no accelerator has memory of its own."""
    cards = machine.accelerators
    return cards is not None and all(card.unified for card in cards)


def _memory_ruling(need: _Span, machine: Machine, given: Given) -> Ruling:
    """Whether the RAM holds the need: now, else once other programs are closed."""
    too_small = _too_small(need, machine, given)
    if too_small is not None:
        return too_small
    now = given.now_bytes
    if given.basis != "total" and now is not None and need.high <= now:
        return _fits_now(need.high, now, given)
    ceiling = given.ceiling_bytes
    if given.basis == "available" and now is None:
        why = machine.why_unread("memory_available_bytes")
        return undecided("memory-unread", "now", has=ceiling, why=why)
    if given.basis != "available" and given.idle_bytes is None:
        why = machine.why_unread("memory_limit_bytes")
        return undecided("memory-unread", has=ceiling, why=why)
    assert ceiling is not None
    if need.high > ceiling:
        if _may_have_more(need.high, machine, given):
            return _assumed(need.high, ceiling, machine, given)
        lift = _lift_for(need.high, machine, given)
        return undecided("memory-close", has=ceiling, lift=lift)
    if given.basis == "total":
        return _fits_once_idle(need.high, machine, given)
    remedy = None
    if now is None:
        remedy = machine.why_unread("memory_available_bytes").remedy
    return warning(
        "memory-not-now", has=ceiling, now=now, now_read=now is not None, remedy=remedy
    )


def _too_small(need: _Span, machine: Machine, given: Given) -> Ruling | None:
    """That even the least is more than the least of what was read; None where it is not."""
    idle = given.idle_bytes
    limit = machine.memory_limit_bytes
    has = _least(machine.memory_total_bytes, limit)
    if given.basis != "default" or idle is not None:
        has = _least(has, given.ceiling_bytes)
    if has is None or need.low <= has:
        return None
    if _may_have_more(need.low, machine, given):
        return _assumed(need.high, has, machine, given)
    # where nothing but an assumed reserve makes it too small, the reason says so
    is_by_reserve = not given.is_stated and has == idle and need.low <= (limit or 0)
    return failing(
        "memory-too-small",
        has=has,
        reserve_decides=is_by_reserve,
        would="would" if need.high <= (limit or 0) else "might",
        lift=_lift_for(need.high, machine, given),
    )


def _may_have_more(need_bytes: int, machine: Machine, given: Given) -> bool:
    """Whether the RAM is assumed, and machines with this processor are sold with enough."""
    if "memory_total_bytes" not in machine.assumed:
        return False
    return need_bytes <= _most_gib(machine) * GIB - given.reserve_bytes


def _most_gib(machine: Machine) -> float:
    """The most RAM that a machine with such a processor takes; infinite where not known."""
    name = machine.cpu_model or ""
    chip = cpus.chip_of(words_of(name))
    if chip is not None and chip.mac is not None:
        return float(max(chip.mac.gib))
    return float(cpus.class_of(name).get("most_gib", inf))


def _assumed(high: int, has: int, machine: Machine, given: Given) -> Ruling:
    """That the RAM is assumed and too small, with an amount that would be enough."""
    wanted_gib = ceil((high + given.reserve_bytes) / GIB)
    # the next power of two, as an example
    power_of_two = 1 << max(0, wanted_gib - 1).bit_length()
    enough_gib = int(min(power_of_two, _most_gib(machine)))
    return undecided("memory-assumed", has=has, enough_gib=enough_gib)


def _lift_for(high: int, machine: Machine, given: Given) -> str:
    """The line that lifts the limit, where the RAM without it would hold so much; else ""."""
    total = machine.memory_total_bytes
    return given.lift if total is not None and high < total else ""


def _fits_now(high: int, now: int, given: Given) -> Ruling:
    left = now - high
    if left < given.margin_bytes:
        return passing("memory-tight", "now", has=now, left=left)
    variant = "" if given.basis == "available" else "now"
    return passing("memory-fits", variant, has=now)


def _fits_once_idle(high: int, machine: Machine, given: Given) -> Ruling:
    """Tight where it leaves less than a desktop takes, or hardly more than the reserve."""
    fits = passing("memory-fits", has=given.ceiling_bytes)
    limit = machine.memory_limit_bytes
    if given.is_stated or limit is None or limit != machine.memory_total_bytes:
        return fits
    left = limit - high
    # a guest serves no desktop
    usual = desktop_bytes(machine) if machine.scope == "host" else 0
    desktop = min(usual, limit // 4)
    if left >= desktop and left - given.reserve_bytes >= given.margin_bytes:
        return fits
    # a small machine never has as much left, so that is no figure to name
    named = usual if desktop == usual else None
    return passing("memory-tight", has=given.ceiling_bytes, left=left, desktop=named)


def _shell_check(
    need: _Span, needs: Needs, machine: Machine, left: int
) -> Finding | None:
    """That a `ulimit -v` is or may be too low; None where it is not. Mapped files count in it."""
    mapped = needs.evictable_bytes
    threads = 2 * ceil(machine.cpu_cores_usable or 1) + _OTHER_THREADS
    least = need.low + mapped
    most = need.high + mapped + threads * _STACK_BYTES
    if most <= left:
        return None
    ruling = failing("memory-too-small", "shell")
    if least <= left:
        ruling = undecided("memory-close", "shell")
    return finding(
        ruling,
        needs=most,
        has=left,
        short=most - left,
        unit="bytes",
        need=(least, most),
        mapped=mapped,
    )


def what_is_smaller(terms: Sequence[Term], has_bytes: int | None) -> str:
    """What takes less: a shorter context only where `has_bytes` holds what no context changes."""
    names = {term.name for term in terms}
    if "gradients" in names:
        # in training the method alone tells the type of the weights
        return phrase("smaller/training")
    if "kv_cache" not in names:
        return phrase("smaller/model")
    rest = sum(term.low_bytes for term in terms if term.name not in _CONTEXT_TERMS)
    if has_bytes is None or rest <= has_bytes:
        return phrase("smaller/cache")
    return phrase("smaller/without-context", rest=rest)


# ------------------------------------------------------------------ the disk


class StoredSize(Record):
    """Bytes that are written to a disk: the likely size, the least and the most."""

    likely: int
    low: int
    high: int


def bytes_to_store(needs: Needs, missing_bytes: int | None) -> StoredSize | None:
    """What is written for the files that are missing; None where not known.

    `missing_bytes` is None where all of the files are to be downloaded.
    """
    size = needs.disk_bytes
    download = needs.download_bytes
    if missing_bytes is not None:
        beside = max(0, (size or 0) - (download or 0))
        size = missing_bytes + beside
    if size is None:
        return None
    if missing_bytes is not None or download is None or needs.download_range is None:
        return StoredSize(likely=size, low=size, high=size)
    low, high = needs.download_range
    beside = size - download
    return StoredSize(likely=size, low=beside + low, high=beside + high)


def disk_margin_bytes(total_bytes: int | None) -> int:
    """What should stay free of a volume of that size; None is not known."""
    if not total_bytes:
        return _DISK_MARGIN_BYTES
    return min(_DISK_MARGIN_BYTES, total_bytes // _DISK_MARGIN_PART)


def stored_in_memory(needs: Needs, machine: Machine, question: Question) -> int:
    """Bytes of files to be stored where they take RAM; 0 on a disk."""
    place = machine.disk_for(question.store)
    if place is None or place.kind != "memory":
        return 0
    size = bytes_to_store(needs, question.missing_bytes)
    return size.likely if size is not None else 0


def disk_check(needs: Needs, machine: Machine, question: Question) -> Finding:
    """Do the files that are missing, and what the work itself writes, fit where they are stored?

    Only what was stated, such as the size of the disk, may rule the model out.
    """
    missing = question.missing_bytes
    here = question.here
    size = bytes_to_store(needs, missing)
    if size is not None and size.likely == 0:
        path = here.path if here else None
        nothing = passing("disk-nothing-missing", path=path)
        return finding(nothing, needs=0, short=0, unit="bytes")
    purpose = question.store
    place = machine.disk_for(purpose)
    if place is None:
        place = Disk(purpose=purpose, path="the download folder")
    ruling = _refused(needs, place, missing)
    if ruling is None and size is None:
        ruling = _size_unknown(needs, machine, place)
    if ruling is None:
        assert size is not None
        ruling = _space_ruling(machine, place, size, question.making_bytes)
    has = ruling.figures.get("has", place.free_bytes)
    figures: Figures = {"size": (0, 0)}
    if size is not None:
        figures = {
            "needs": size.likely,
            "short": None if has is None else max(0, size.high - has),
            "size": (size.low, size.high),
            "is_range": size.low != size.high,
        }
    name = "the current folder" if place.path == "." else place.path
    return finding(
        ruling,
        has=has,
        unit="bytes",
        what=_stored_words(needs, size, missing),
        place=name,
        place_first=f"T{name[1:]}" if name.startswith("the ") else name,
        variable=_STORE_VARIABLES.get(purpose),
        confidence=machine.confidence,
        already=here.size_bytes if here and missing else None,
        making=question.making_bytes,
        **figures,
    )


def _stored_words(needs: Needs, size: StoredSize | None, missing: int | None) -> str:
    if missing:
        return "The missing part"
    likely = size.likely if size is not None else None
    return "The download" if likely == needs.download_bytes else "Everything stored"


def _refused(needs: Needs, place: Disk, missing: int | None) -> Ruling | None:
    """What no free space mends."""
    if place.writable is False:
        return failing("disk-not-writable")
    largest = needs.largest_file_bytes or 0
    if missing:
        largest = min(largest, missing)
    if place.kind == "fat" and largest > FAT_FILE_BYTES:
        return failing(
            "disk-file-too-large",
            file=largest,
            filesystem=place.filesystem,
            most=FAT_FILE_BYTES,
        )
    return None


def _size_unknown(needs: Needs, machine: Machine, place: Disk) -> Ruling:
    if place.free_bytes is None:
        return undecided("disk-unread", why=_why_unread(machine, place))
    reasons = {entry.fact: entry for entry in needs.unknown}
    unstated = Unread(fact="download_bytes", reason="no source states it")
    why = reasons.get("download_bytes") or reasons.get("disk_bytes") or unstated
    return undecided("disk-size-not-known", why=why)


def _why_unread(machine: Machine, place: Disk) -> Unread:
    if machine.disks is None:
        return machine.why_unread("disks")
    if machine.disk_for(place.purpose) is None:
        return machine.why_unread(f"disks.{place.purpose}")
    return machine.why_unread(f"disks.{place.purpose}.free_bytes")


def _space_ruling(
    machine: Machine, place: Disk, size: StoredSize, making_bytes: int
) -> Ruling:
    """Whether the files fit. The space that should stay free beside them decides nothing."""
    free = place.free_bytes
    total = place.total_bytes or inf
    margin = disk_margin_bytes(place.total_bytes)
    is_small = size.low > (total if free is None else free)
    # files take RAM there, or travel over a network
    variant = {"memory": "ram", "network": "network"}.get(place.kind, "")
    # in RAM or over a network the space decides only where it is short
    rests_on_space = is_small or free is None or not variant
    is_assumed = size.low <= total and _is_assumed(machine, place)
    if rests_on_space and is_assumed:
        return _space_assumed(machine, place, size.high + margin)
    if is_small and free is None:
        return failing("disk-too-small", "in-all", has=place.total_bytes)
    if is_small:
        return failing("disk-too-small", has=free)
    if free is None:
        return undecided("disk-unread", why=_why_unread(machine, place))
    if variant:
        return warning("disk-slow-or-volatile", variant, filesystem=place.filesystem)
    left = free - size.high
    if left < 0:
        return warning("disk-tight", "range", left=left, more=-left)
    if left < making_bytes:
        # what is made needs more for a while
        return warning("disk-tight", "making", left=left, more=making_bytes - left)
    if left < margin:
        return warning("disk-tight", left=left, more=margin - left)
    return passing("disk-fits")


def _is_assumed(machine: Machine, place: Disk) -> bool:
    """Whether the free space there is assumed."""
    fact = f"disks.{place.purpose}"
    return not {"disks", fact, f"{fact}.free_bytes"}.isdisjoint(machine.assumed)


def _space_assumed(machine: Machine, place: Disk, enough: int) -> Ruling:
    why = None
    if place.total_bytes is None:
        why = _why_unread(machine, place).reason
    return warning("disk-assumed", total=place.total_bytes, why=why, enough=enough)
