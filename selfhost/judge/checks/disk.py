"""Do the files that are missing fit where the runtime would store them?"""

from __future__ import annotations

import re

from ...core.records import Unread
from ...core.units import GIB
from ...machine.record import FAT_FILE_BYTES, Disk, Machine
from ...needs.records import Needs
from ..record import Question
from . import FAIL, PASS, UNKNOWN, WARN, Cell, Finding, finding

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


def disk_check(needs: Needs, machine: Machine, question: Question) -> Finding:
    """Do the files that are missing, and what the work itself writes, fit where they are stored?
    Only what was stated, such as the size of the disk, may rule the model out.
    """
    missing, purpose, here = question.missing_bytes, question.store, question.here
    size, low, high = bytes_to_store(needs, missing)
    if size == 0:
        path = here.path if here else None
        return finding(PASS, "disk-nothing-missing", needs=0, short=0, unit="bytes", path=path)
    place = machine.disk_for(purpose) or Disk(purpose=purpose, path="the download folder")
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
        place=place.shown,
        place_first=re.sub("^the ", "The ", place.shown),
        variable=_STORE_VARIABLES.get(purpose),
        confidence=machine.confidence,
        already=here.size_bytes if here and missing else None,
        making=question.making_bytes,
    )


def _refused_cell(needs: Needs, machine: Machine, place: Disk, missing: int | None) -> Cell | None:
    """What no free space mends, and what cannot be told for want of a size."""
    largest = needs.largest_file_bytes or 0
    largest = min(largest, missing or largest)
    if place.writable is False:
        return FAIL, "disk-not-writable", "", {}
    if place.kind == "fat" and largest > FAT_FILE_BYTES:
        figures = {"file": largest, "filesystem": place.filesystem, "most": FAT_FILE_BYTES}
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


def _free_space_cell(machine: Machine, place: Disk, low: int, high: int, making: int) -> Cell:
    """Whether a size of that range fits; what should stay free beside it decides nothing."""
    free, total = place.free_bytes, place.total_bytes
    has, margin = total if free is None else free, disk_margin_bytes(total)
    is_small = has is not None and low > has
    variant = {"memory": "ram", "network": "network"}.get(place.kind, "")
    if (is_small or free is None or not variant) and _is_assumed(machine, place, low):
        why = _why_unread(machine, place).reason if total is None else None
        return WARN, "disk-assumed", "", {"total": total, "why": why, "enough": high + margin}
    if is_small:
        return FAIL, "disk-too-small", "in-all" if free is None else "", {"has": has}
    if free is None:
        return UNKNOWN, "disk-unread", "", {"why": _why_unread(machine, place)}
    if variant:
        return WARN, "disk-slow-or-volatile", variant, {"filesystem": place.filesystem}
    left = free - high
    # of a range the most does not fit; what is made needs more for a while
    lacks = {"range": -left, "making": making and making - left, "": margin - left}
    tight = next((name for name, size in lacks.items() if size > 0), None)
    if tight is not None:
        return WARN, "disk-tight", tight, {"left": left, "more": lacks[tight]}
    return PASS, "disk-fits", "", {}


def _is_assumed(machine: Machine, place: Disk, low: int) -> bool:
    """Whether the free space is a guess, and the whole volume could hold it."""
    facts = ("disks", f"disks.{place.purpose}", f"disks.{place.purpose}.free_bytes")
    is_small = place.total_bytes is not None and low > place.total_bytes
    return not is_small and any(map(machine.assumes, facts))


def disk_margin_bytes(total_bytes: int | None) -> int:
    """What should stay free of a volume of that size; None is not known."""
    if not total_bytes:
        return DISK_MARGIN_BYTES
    return min(DISK_MARGIN_BYTES, total_bytes // _DISK_MARGIN_PART)


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
