"""Do the files that are missing fit where the runtime would store them?"""

from __future__ import annotations

from ...core.records import Record, Unread
from ...core.units import GIB
from ...machine.record import Disk, Machine
from ...needs.records import Needs
from ..record import Question
from . import Cell, Finding, Outcome, doubt_of, finding

# a system disk filled to the last byte breaks swap, logs and databases: 5 GiB or one part in 20 of
# the volume, whichever is less (assumed)
DISK_MARGIN_BYTES = 5 * GIB
_DISK_MARGIN_PART = 20
# the variable that moves the folder in which a runtime stores models
_STORE_VARIABLES = {
    "huggingface": "HF_HOME",
    "llama.cpp": "LLAMA_CACHE",
    "ollama": "OLLAMA_MODELS (of the Ollama service)",
}
_DECIDED_BY_FREE_SPACE = ("disk-unread", "disk-too-small", "disk-tight", "disk-fits")


class _Storing(Record):
    needs: Needs
    machine: Machine
    question: Question
    place: Disk
    low: int | None
    high: int | None


def disk_check(needs: Needs, machine: Machine, question: Question) -> Finding:
    """Do the files that are missing, and what the work itself writes, fit where they are stored?

    Free space that is assumed gives a `warn`; only what was stated, such as the size of the disk,
    may rule the model out.
    """
    missing, purpose = question.missing_bytes, question.store
    size, (low, high) = bytes_to_store(needs, missing), ends_to_store(needs, missing)
    if size == 0:
        path = question.here.path if question.here else None
        code = "disk-nothing-missing"
        return finding(Outcome.PASS, code, needs=0, short=0, unit="bytes", path=path)
    place = machine.disk_for(purpose) or Disk(purpose=purpose, path="the download folder")
    storing = _Storing(
        needs=needs, machine=machine, question=question, place=place, low=low, high=high
    )
    cell = _refused(storing) or _doubtful(storing) or _by_margin(storing)
    if cell[1] in _DECIDED_BY_FREE_SPACE:
        cell = _on_assumed_space(storing) or cell
    outcome, code, variant, figures = cell
    has = figures.pop("has", place.free_bytes)
    shown = place.shown
    what = "The download" if size == needs.download_bytes else "Everything stored"
    return finding(
        outcome,
        code,
        variant,
        needs=size,
        has=has,
        short=None if low is None or has is None else max(0, low - has),
        unit="bytes",
        what="The missing part" if missing else what,
        size=(low or 0, high or 0),
        is_range=low != high,
        place=shown,
        place_first=f"The {shown[4:]}" if shown.startswith("the ") else shown,
        variable=_STORE_VARIABLES.get(purpose),
        confidence=doubt_of(machine),
        **figures,
    )


def _refused(storing: _Storing) -> Cell | None:
    place, low, most = storing.place, storing.low, storing.place.max_file_bytes
    if place.writable is False:
        return Outcome.FAIL, "disk-not-writable", "", {}
    largest = storing.needs.largest_file_bytes or 0
    largest = min(largest, storing.question.missing_bytes or largest)
    if most is not None and largest > most:
        figures = {"file": largest, "filesystem": place.filesystem, "most": most}
        return Outcome.FAIL, "disk-file-too-large", "", figures
    has = place.total_bytes if place.free_bytes is None else place.free_bytes
    if low is None or has is None or low <= has:
        return None
    variant = "in-all" if place.free_bytes is None else ""
    return Outcome.FAIL, "disk-too-small", variant, {"has": has}


def _why_unread(storing: _Storing) -> Unread:
    machine, purpose = storing.machine, storing.question.store
    fact = f"disks.{purpose}.free_bytes"
    if machine.disk_for(purpose) is None:
        fact = "disks" if machine.disks is None else f"disks.{purpose}"
    return machine.why_unread(fact)


def _doubtful(storing: _Storing) -> Cell | None:
    place, needs = storing.place, storing.needs
    if place.free_bytes is None:
        return Outcome.UNKNOWN, "disk-unread", "", {"why": _why_unread(storing)}
    if storing.low is None:
        unsized = (each for each in needs.unknown if each.fact in ("download_bytes", "disk_bytes"))
        why = next(unsized, Unread(fact="download_bytes", reason="no source states it"))
        return Outcome.UNKNOWN, "disk-size-not-known", "", {"why": why}
    if place.in_memory or place.on_network:
        variant = "ram" if place.in_memory else "network"
        return Outcome.WARN, "disk-slow-or-volatile", variant, {"filesystem": place.filesystem}
    return None


def _by_margin(storing: _Storing) -> Cell:
    """Of a size that fits: whether enough stays free beside it, which decides nothing."""
    place, here = storing.place, storing.question.here
    left = (place.free_bytes or 0) - (storing.high or 0)
    margin = disk_margin_bytes(place.total_bytes)
    if left < margin:
        # of a range that reaches beyond what is free the rest is enough
        variant, more = ("range", -left) if left < 0 else ("", margin - left)
        return Outcome.WARN, "disk-tight", variant, {"left": left, "more": more}
    already = here.size_bytes if here and storing.question.missing_bytes else None
    return Outcome.PASS, "disk-fits", "", {"already": already}


def _on_assumed_space(storing: _Storing) -> Cell | None:
    low, high, total = storing.low, storing.high, storing.place.total_bytes
    facts = ("disks", *(f"disks.{storing.place.purpose}{part}" for part in ("", ".free_bytes")))
    if not any(map(storing.machine.assumes, facts)):
        return None
    if low is None or high is None or (total is not None and low > total):
        return None
    why = _why_unread(storing).reason if total is None else None
    enough = high + disk_margin_bytes(total)
    return Outcome.WARN, "disk-assumed", "", {"total": total, "why": why, "enough": enough}


def disk_margin_bytes(total_bytes: int | None) -> int:
    """What should stay free of a volume of that size; None is not known."""
    if not total_bytes:
        return DISK_MARGIN_BYTES
    return min(DISK_MARGIN_BYTES, total_bytes // _DISK_MARGIN_PART)


def bytes_to_store(needs: Needs, missing: int | None) -> int | None:
    """What is written, where `missing` of the files are to come (None: all)."""
    if missing is None:
        return needs.disk_bytes
    return missing + max(0, (needs.disk_bytes or 0) - (needs.download_bytes or 0))


def ends_to_store(needs: Needs, missing: int | None) -> tuple[int | None, int | None]:
    """The least and the most of `bytes_to_store`; the same twice where the size is no range."""
    size, likely = bytes_to_store(needs, missing), needs.download_bytes
    ends = needs.download_range if missing is None else None
    if size is None or ends is None or likely is None:
        return size, size
    return size - likely + ends[0], size - likely + ends[1]


def stored_in_memory(needs: Needs, machine: Machine, question: Question) -> int:
    """Bytes of files to be stored where they take RAM; 0 on a disk."""
    place = machine.disk_for(question.store)
    is_in_memory = place is not None and place.in_memory
    return (bytes_to_store(needs, question.missing_bytes) or 0) if is_in_memory else 0
