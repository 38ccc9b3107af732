"""Does the host's share of the need fit in the RAM, and do the files that are missing fit where the
runtime would store them?
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
from . import FAIL, PASS, UNKNOWN, WARN, Cell, Figures, Finding, finding, phrase

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
    """What a machine gives of its RAM on that `basis`; None: not known. `now_bytes`: what is free;
    `idle_bytes`: the limit without the reserve, as with other programs closed; `ceiling_bytes`: the
    most of these, on which a verdict rests; `is_stated`: the reserve was asked for; `margin_bytes`:
    what leaves less is tight; `lift`: the line that lifts the limit where the shell sets it.
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
    # of a simulated machine nothing is free now
    is_simulated = workload.memory_basis == "default" and machine.planning
    basis = "total" if is_simulated else workload.memory_basis
    reserve, source = _reserve_of(machine, workload)
    now, limit = machine.memory_available_bytes, machine.memory_limit_bytes
    idle, is_stated = None if limit is None else max(0, limit - reserve), False
    if workload.reserve_bytes is not None:
        # a stated reserve stays free, also of what is free now
        now, is_stated = (
            None if now is None else min(now, now if idle is None else idle),
            True,
        )
    total = machine.memory_total_bytes or _MARGIN_PART * reserve
    ceilings = {"available": (now,), "total": (idle,), "default": (now, idle)}
    return Given(
        basis=basis,
        reserve_bytes=reserve,
        reserve_source=source,
        is_stated=is_stated,
        margin_bytes=0 if is_stated else min(reserve, total // _MARGIN_PART),
        now_bytes=now,
        idle_bytes=idle,
        ceiling_bytes=max(
            (size for size in ceilings[basis] if size is not None), default=None
        ),
        lift=machine.sources.get("memory_limit_bytes", "")
        .partition("; `")[2]
        .partition("`")[0],
    )


def memory_check(
    needs: Needs, machine: Machine, workload: Workload, files_bytes: int = 0
) -> Finding:
    """The host's share of the need against what this machine gives and could give. `files_bytes`
    are files to come in RAM: they join the most, and the least where copies are made of them.
    """
    given, memory = given_by(machine, workload), needs.memory
    host = [term for term in needs.terms if term.where == "host"]
    low = sum(term.low_bytes for term in host)
    high = sum(term.high_bytes for term in host) + files_bytes
    if memory is None:
        cell = _unknown_need_cell(needs, machine, given)
    else:
        # originals of what a runtime copies may leave the page cache, but not a disk in RAM
        low += min(files_bytes, memory.evictable_bytes)
        cell = _too_small_cell(low, high, machine, given) or _held_cell(
            high, machine, given
        )
    # parts that come to an accelerator in turn all lie in RAM
    is_shared_out = needs.placement == "split" and needs.offload is None
    has, smaller = cell[3]["has"], what_is_smaller(host, given.ceiling_bytes)
    total, limit = machine.memory_total_bytes, machine.memory_limit_bytes
    held = finding(
        *cell,
        needs=high,
        short=None if has is None else max(0, high - has),
        unit="bytes",
        reserve_bytes=given.reserve_bytes,
        need=(low, high),
        files=files_bytes,
        on_gpu=needs.ram_bytes(on_cards=True) if is_shared_out else None,
        machine=machine.name,
        limit=limit if total is not None and (limit or total) < total else None,
        total=total,
        now_only=given.basis == "available",
        asked=given.is_stated and given.idle_bytes is not None,
        reserve=given.reserve_bytes,
        reserve_source=given.reserve_source,
        confidence=machine.confidence,
        smaller=phrase("smaller/files", smaller=smaller) if files_bytes else smaller,
    )
    if machine.address_space_bytes is None:
        return held
    return _within_shell(held, (low, high - files_bytes), needs, machine)


def _assumed_cell(
    least: int, high: int, has: int, machine: Machine, given: Given
) -> Cell | None:
    """Where the memory is assumed, and the processor may have enough for the least."""
    if "memory_total_bytes" not in machine.assumed:
        return None
    name = machine.cpu_model or ""
    chip = cpus.chip_of(words_of(name))
    # the most RAM that a machine with such a processor takes
    most = (
        max(chip.mac["gib"])
        if chip and chip.mac
        else cpus.class_of(name).get("most_gib")
    )
    most_gib = most or inf
    if least > most_gib * GIB - given.reserve_bytes:
        return None
    wanted_gib = -(-(high + given.reserve_bytes) // GIB)
    # the next power of two, as an example
    enough_gib = min(1 << max(0, wanted_gib - 1).bit_length(), most_gib)
    return UNKNOWN, "memory-assumed", "", {"has": has, "enough_gib": enough_gib}


def _unknown_need_cell(needs: Needs, machine: Machine, given: Given) -> Cell:
    why = next(entry for entry in needs.unknown if entry.fact.startswith("memory"))
    known_bytes = sum(term.low_bytes for term in needs.known_terms)
    sizes = machine.memory_total_bytes, machine.memory_limit_bytes
    most = min((size for size in sizes if size is not None), default=None)
    cards = machine.accelerators
    is_host_alone = cards is not None and all(card.unified for card in cards)
    figures = {"needs": None, "short": None}
    if (
        (is_host_alone and most is not None and known_bytes > most)
        and not _assumed_cell(known_bytes, known_bytes, most, machine, given)
    ):  # fmt: skip
        return (
            FAIL,
            "memory-too-small",
            "at-least",
            {**figures, "has": most, "why": why.reason},
        )
    return (
        UNKNOWN,
        "memory-need-not-known",
        "",
        {**figures, "has": given.ceiling_bytes, "why": why},
    )


def _too_small_cell(low: int, high: int, machine: Machine, given: Given) -> Cell | None:
    """Whether even the least is too much for the least that was read, binding or not."""
    idle, limit = given.idle_bytes, machine.memory_limit_bytes or 0
    binding = None if given.basis == "default" and idle is None else given.ceiling_bytes
    sizes = machine.memory_total_bytes, machine.memory_limit_bytes, binding
    least = min((size for size in sizes if size is not None), default=None)
    if least is None or low <= least:
        return None
    if assumed := _assumed_cell(low, high, least, machine, given):
        return assumed
    # nothing but the reserve decides, and that is assumed
    decides = not given.is_stated and least == idle and low <= limit
    would = "would" if high <= limit else "might"
    figures = {"has": least, "reserve_decides": decides, "would": would}
    figures["lift"] = _lift_for(high, machine, given)
    return FAIL, "memory-too-small", "", figures


def _lift_for(high: int, machine: Machine, given: Given) -> str:
    """The line that lifts the limit, where the RAM without it would hold so much; else ""."""
    total = machine.memory_total_bytes
    return given.lift if total is not None and high < total else ""


def _held_cell(high: int, machine: Machine, given: Given) -> Cell:
    now, ceiling = given.now_bytes, given.ceiling_bytes
    if given.basis != "total" and now is not None and high <= now:
        if now - high < given.margin_bytes:
            return PASS, "memory-tight", "now", {"has": now, "left": now - high}
        return (
            PASS,
            "memory-fits",
            "" if given.basis == "available" else "now",
            {"has": now},
        )
    bound, variant, fact = given.idle_bytes, "", "limit"
    if given.basis == "available":
        bound, variant, fact = now, "now", "available"
    if ceiling is None or bound is None:
        why = machine.why_unread(f"memory_{fact}_bytes")
        return UNKNOWN, "memory-unread", variant, {"has": ceiling, "why": why}
    if high > ceiling:
        assumed = _assumed_cell(high, high, ceiling, machine, given)
        lift = _lift_for(high, machine, given)
        return assumed or (UNKNOWN, "memory-close", "", {"has": ceiling, "lift": lift})
    if given.basis == "total":
        return _limit_cell(high, machine, given)
    remedy = (
        machine.why_unread("memory_available_bytes").remedy if now is None else None
    )
    figures = {
        "has": ceiling,
        "now": now,
        "now_read": now is not None,
        "remedy": remedy,
    }
    return WARN, "memory-not-now", "", figures


def desktop_bytes(machine: Machine) -> int:
    """What a desktop of the machine's system takes with its programs, at least."""
    return _DESKTOP_BYTES.get(machine.system or "", 4 * GB)


def _limit_cell(high: int, machine: Machine, given: Given) -> Cell:
    """Tight where it leaves less than a desktop takes, or hardly more than the reserve."""
    limit = machine.memory_limit_bytes
    if (
        limit is not None
        and limit == machine.memory_total_bytes
        and not given.is_stated
    ):
        # a guest serves no desktop
        usual = desktop_bytes(machine) if machine.scope == "host" else 0
        left, desktop = limit - high, min(usual, limit // 4)
        if left < desktop or left - given.reserve_bytes < given.margin_bytes:
            # a small machine never has as much left, so that is no figure to name
            named = usual if desktop == usual else None
            figures = {"has": given.ceiling_bytes, "left": left, "desktop": named}
            return PASS, "memory-tight", "", figures
    return PASS, "memory-fits", "", {"has": given.ceiling_bytes}


def _within_shell(
    held: Finding, need: tuple[int, int], needs: Needs, machine: Machine
) -> Finding:
    """The finding, or the worse one that a `ulimit -v` is or may be too low: mapped files count."""
    left, mapped = machine.address_space_bytes or 0, needs.evictable_bytes
    threads = 2 * ceil(machine.cpu_cores_usable or 1) + _OTHER_THREADS
    least, most = need[0] + mapped, need[1] + mapped + threads * _STACK_BYTES
    if needs.memory is None or most <= left:
        return held
    outcome, code = (
        (UNKNOWN, "memory-close") if least <= left else (FAIL, "memory-too-small")
    )
    figures: Figures = {
        "needs": most,
        "has": left,
        "short": most - left,
        "unit": "bytes",
    }
    figures |= {
        "reserve_bytes": held.reserve_bytes,
        "need": (least, most),
        "mapped": mapped,
    }
    shell = finding(outcome, code, "shell", figures)
    return max(held, shell, key=lambda each: each.severity)


def _reserve_of(machine: Machine, workload: Workload) -> tuple[int, str]:
    """Bytes kept for the system itself, and where the figure comes from."""
    if workload.reserve_bytes is not None:
        return workload.reserve_bytes, "set by --reserve"
    total, limit = machine.memory_total_bytes, machine.memory_limit_bytes
    inside = "assumed for other processes inside the limit"
    if total is None and limit is not None:
        # a budget such as Dask's and Ray's is what was left when the system had its share
        return _CONTAINER_RESERVE_BYTES, inside
    amount = _SYSTEM_RESERVE_BYTES.get(machine.system or "", GIB)
    part = _RESERVE_PART.get(machine.system or "")
    if part is not None and total is not None:
        amount = min(amount, total // part)
    if total is not None and limit is not None and limit < total:
        # what lies outside the limit serves the system already
        return max(_CONTAINER_RESERVE_BYTES, amount - (total - limit)), inside
    return amount, "assumed for the system itself"


def reserve_beside(need_bytes: int, machine: Machine, workload: Workload) -> int:
    """What the smallest machine of that system keeps which gives a model so many bytes."""
    reserve, _ = _reserve_of(machine, workload)
    part = _RESERVE_PART.get(machine.system or "")
    if workload.reserve_bytes is not None or part is None:
        return reserve
    # the reserve is one part of the memory, rounded down; the others hold the model
    return min(reserve, max(0, need_bytes - 1) // (part - 1))


def what_is_smaller(terms: Sequence[Term], has_bytes: int | None) -> str:
    """What takes less: a shorter context only where `has_bytes` holds what no context changes."""
    if any(term.name == "gradients" for term in terms):
        # in training the method alone tells the type of the weights
        return phrase("smaller/training")
    if all(term.name != "kv_cache" for term in terms):
        return phrase("smaller/model")
    rest = sum(term.low_bytes for term in terms if term.name not in _CONTEXT_TERMS)
    if has_bytes is None or rest <= has_bytes:
        return phrase("smaller/cache")
    return phrase("smaller/without-context", rest=rest)


def disk_check(needs: Needs, machine: Machine, question: Question) -> Finding:
    """Do the files that are missing, and what the work itself writes, fit where they are stored?
    Only what was stated, such as the size of the disk, may rule the model out.
    """
    missing, purpose, here = question.missing_bytes, question.store, question.here
    size, low, high = bytes_to_store(needs, missing)
    if size == 0:
        path = here.path if here else None
        return finding(
            PASS, "disk-nothing-missing", needs=0, short=0, unit="bytes", path=path
        )
    place = machine.disk_for(purpose) or Disk(
        purpose=purpose, path="the download folder"
    )
    shown = {".": "the current folder"}.get(place.path, place.path)
    cell, ends = _refused_cell(needs, machine, place, missing), (low or 0, high or 0)
    cell = cell or _free_space_cell(machine, place, *ends, question.making_bytes)
    has, what = cell[3].get("has", place.free_bytes), "Everything stored"
    if missing or size == needs.download_bytes:
        what = "The missing part" if missing else "The download"
    return finding(
        *cell,
        needs=size,
        has=has,
        short=None if size is None or has is None else max(0, ends[1] - has),
        unit="bytes",
        what=what,
        size=ends,
        is_range=low != high,
        place=shown,
        place_first=f"T{shown[1:]}" if shown.startswith("the ") else shown,
        variable=_STORE_VARIABLES.get(purpose),
        confidence=machine.confidence,
        already=here.size_bytes if here and missing else None,
        making=question.making_bytes,
    )


def _refused_cell(
    needs: Needs, machine: Machine, place: Disk, missing: int | None
) -> Cell | None:
    """What no free space mends, and what cannot be told for want of a size."""
    largest = needs.largest_file_bytes or 0
    largest = min(largest, missing or largest)
    if place.writable is False:
        return FAIL, "disk-not-writable", "", {}
    if place.kind == "fat" and largest > FAT_FILE_BYTES:
        figures = {
            "file": largest,
            "filesystem": place.filesystem,
            "most": FAT_FILE_BYTES,
        }
        return FAIL, "disk-file-too-large", "", figures
    if needs.disk_bytes is not None or missing is not None:
        return None
    if place.free_bytes is None:
        return UNKNOWN, "disk-unread", "", {"why": _why_unread(machine, place)}
    facts = {each.fact: each for each in needs.unknown}
    unstated = Unread(fact="download_bytes", reason="no source states it")
    why = facts.get("download_bytes") or facts.get("disk_bytes") or unstated
    return UNKNOWN, "disk-size-not-known", "", {"why": why}


def _why_unread(machine: Machine, place: Disk) -> Unread:
    fact = f"disks.{place.purpose}.free_bytes"
    if machine.disk_for(place.purpose) is None:
        fact = "disks" if machine.disks is None else f"disks.{place.purpose}"
    return machine.why_unread(fact)


def _free_space_cell(
    machine: Machine, place: Disk, low: int, high: int, making_bytes: int
) -> Cell:
    """Whether a size of that range fits; what should stay free beside it decides nothing."""
    free, total, margin = (
        place.free_bytes,
        place.total_bytes,
        disk_margin_bytes(place.total_bytes),
    )
    whole = total or inf
    is_small = low > (whole if free is None else free)
    variant = {"memory": "ram", "network": "network"}.get(place.kind, "")
    facts = {"disks", f"disks.{place.purpose}", f"disks.{place.purpose}.free_bytes"}
    # a guess, where the whole volume could hold it
    is_guess = low <= whole and bool(facts & {*machine.assumed})
    if is_guess and (is_small or free is None or not variant):
        why = _why_unread(machine, place).reason if total is None else None
        return (
            WARN,
            "disk-assumed",
            "",
            {"total": total, "why": why, "enough": high + margin},
        )
    if is_small:
        if free is None:
            return FAIL, "disk-too-small", "in-all", {"has": total}
        return FAIL, "disk-too-small", "", {"has": free}
    if free is None:
        return UNKNOWN, "disk-unread", "", {"why": _why_unread(machine, place)}
    if variant:
        return WARN, "disk-slow-or-volatile", variant, {"filesystem": place.filesystem}
    left = free - high
    # of a range the most does not fit; what is made needs more for a while
    lacks = {"range": -left, "making": making_bytes - left, "": margin - left}
    tight = next((name for name, size in lacks.items() if size > 0), None)
    if tight is not None:
        return WARN, "disk-tight", tight, {"left": left, "more": lacks[tight]}
    return PASS, "disk-fits", "", {}


def disk_margin_bytes(total_bytes: int | None) -> int:
    """What should stay free of a volume of that size; None is not known."""
    if not total_bytes:
        return _DISK_MARGIN_BYTES
    return min(_DISK_MARGIN_BYTES, total_bytes // _DISK_MARGIN_PART)


def bytes_to_store(
    needs: Needs, missing: int | None
) -> tuple[int, int, int] | tuple[None, None, None]:
    """What is written for the files that are `missing` (None: all): likely, least, most."""
    size, likely = needs.disk_bytes, needs.download_bytes
    if missing is not None:
        size = missing + max(0, (size or 0) - (likely or 0))
    elif size is not None and likely is not None and needs.download_range is not None:
        low, high = needs.download_range
        return size, size - likely + low, size - likely + high
    return (None, None, None) if size is None else (size, size, size)


def stored_in_memory(needs: Needs, machine: Machine, question: Question) -> int:
    """Bytes of files to be stored where they take RAM; 0 on a disk."""
    place = machine.disk_for(question.store)
    if place is None or place.kind != "memory":
        return 0
    return bytes_to_store(needs, question.missing_bytes)[0] or 0
