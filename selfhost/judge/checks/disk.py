"""Do the files that are missing fit where the runtime would store them?"""

from __future__ import annotations

from typing import Any

from ...core.records import Record, Unread
from ...core.units import GIB
from ...machine.record import Disk, Machine
from ...needs.records import Needs
from ..files import why_unseen
from . import Cell, Finding, Outcome, doubt_of, finding

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..record import Question

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
    """What is to be stored, from `low` to `high` bytes, and the place where."""

    needs: Needs
    machine: Machine
    question: Question
    place: Disk | None
    low: int | None
    high: int | None

    @property
    def free(self) -> int | None:
        """Bytes that are free in the place."""
        return self.place.free_bytes if self.place else None

    @property
    def total(self) -> int | None:
        """Bytes of the place in all."""
        return self.place.total_bytes if self.place else None

    @property
    def why_unread(self) -> Unread:
        """Why the free space is not known."""
        fact = f"disks.{self.question.store}.free_bytes"
        if self.place is None:
            fact = "disks" if self.machine.disks is None else f"disks.{self.question.store}"
        return self.machine.why_unread(fact)


def disk_check(needs: Needs, machine: Machine, question: Question) -> Finding:
    """Do the files that are missing, and what the work itself writes, fit where that runtime would
    store them?

    Free space that is assumed gives a `warn`; only what was stated, such as the size of
    the disk, may rule the model out. What it takes to make a file that no repository is known to
    have gives a `warn`, too: somebody may publish it.
    """
    missing, purpose = question.missing_bytes, question.store
    size, (low, high) = bytes_to_store(needs, missing), ends_to_store(needs, missing)
    if size == 0:
        path = question.here.path if question.here else None
        code = "disk-nothing-missing"
        return finding(Outcome.PASS, code, needs=0, short=0, unit="bytes", path=path)
    storing = _Storing(
        needs=needs,
        machine=machine,
        question=question,
        place=machine.disk_for(purpose),
        low=low,
        high=high,
    )
    cell = _refused(storing) or _doubtful(storing) or _by_margin(storing)
    facts = ("disks", f"disks.{purpose}", f"disks.{purpose}.free_bytes")
    if cell[1] in _DECIDED_BY_FREE_SPACE and any(map(machine.assumes, facts)):
        cell = _on_assumed_space(storing) or cell
    outcome, code, variant, figures = cell
    has = figures.pop("has", storing.free)
    return finding(
        outcome,
        code,
        variant,
        needs=size,
        has=has,
        short=None if low is None or has is None else max(0, low - has),
        unit="bytes",
        **_common_figures(storing, size),
        **figures,
    )


def _common_figures(storing: _Storing, size: int | None) -> dict[str, Any]:
    """What is stored and where, as sentences say."""
    machine, purpose = storing.machine, storing.question.store
    place = storing.place.shown if storing.place else "the download folder"
    what = "The download" if size == storing.needs.download_bytes else "Everything stored"
    missed = why_unseen(machine, purpose) if machine.models_present is not None else None
    return {
        "what": "The missing part" if storing.question.missing_bytes else what,
        "size": (storing.low or 0, storing.high or 0),
        "is_range": storing.low != storing.high,
        "place": place,
        "place_first": place[:1].upper() + place[1:] if place.startswith("the ") else place,
        "unseen": missed.reason if missed else None,
        "variable": _STORE_VARIABLES.get(purpose),
        "confidence": doubt_of(machine),
    }


def _refused(storing: _Storing) -> Cell | None:
    """Nothing can be stored in the place, or not so much."""
    place, low, free, total = storing.place, storing.low, storing.free, storing.total
    if place is not None and place.writable is False:
        return Outcome.FAIL, "disk-not-writable", "", {}
    too_large = _file_too_large(storing)
    if too_large is not None or low is None:
        return too_large
    if free is not None and low > free:
        return Outcome.FAIL, "disk-too-small", "", {}
    if free is None and total is not None and low > total:
        return Outcome.FAIL, "disk-too-small", "in-all", {"has": total}
    return None


def _file_too_large(storing: _Storing) -> Cell | None:
    largest, place = storing.needs.largest_file_bytes, storing.place
    missing = storing.question.missing_bytes
    if largest is None or place is None:
        return None
    largest = largest if missing is None else min(largest, missing)
    most = place.max_file_bytes
    if most is None or largest <= most:
        return None
    figures = {"file": largest, "filesystem": place.filesystem, "most": most}
    return Outcome.FAIL, "disk-file-too-large", "", figures


def _doubtful(storing: _Storing) -> Cell | None:
    """The free space was not read, or the size is not known; it fits, on a slow or volatile
    volume.
    """
    place, free, needs = storing.place, storing.free, storing.needs
    if free is None:
        return Outcome.UNKNOWN, "disk-unread", "", {"why": storing.why_unread}
    if storing.low is None:
        unsized = (each for each in needs.unknown if each.fact in ("download_bytes", "disk_bytes"))
        why = next(unsized, Unread(fact="download_bytes", reason="no source states it"))
        return Outcome.UNKNOWN, "disk-size-not-known", "", {"why": why}
    if place is not None and (place.in_memory or place.on_network):
        variant = "ram" if place.in_memory else "network"
        return Outcome.WARN, "disk-slow-or-volatile", variant, {"filesystem": place.filesystem}
    return None


def _by_margin(storing: _Storing) -> Cell:
    """Of a size that fits: whether enough stays free beside it, which decides nothing."""
    left, margin = (storing.free or 0) - (storing.high or 0), disk_margin_bytes(storing.total)
    if left < margin:
        # of a range that reaches beyond what is free the rest is enough
        variant, more = ("range", -left) if left < 0 else ("", margin - left)
        return Outcome.WARN, "disk-tight", variant, {"left": left, "more": more}
    here = storing.question.here
    already = here.size_bytes if here and storing.question.missing_bytes else None
    return Outcome.PASS, "disk-fits", "", {"already": already}


def _on_assumed_space(storing: _Storing) -> Cell | None:
    """With free space that is assumed it is a `warn`, unless the whole disk is too small."""
    low, high, total = storing.low, storing.high, storing.total
    if low is None or high is None or (total is not None and low > total):
        return None
    why = storing.why_unread.reason if total is None else None
    enough = high + disk_margin_bytes(total)
    return Outcome.WARN, "disk-assumed", "", {"total": total, "why": why, "enough": enough}


def disk_margin_bytes(total_bytes: int | None) -> int:
    """What should stay free of a volume of that size; None is not known."""
    if not total_bytes:
        return DISK_MARGIN_BYTES
    return min(DISK_MARGIN_BYTES, total_bytes // _DISK_MARGIN_PART)


def bytes_to_store(needs: Needs, missing: int | None) -> int | None:
    """Bytes to be written, where `missing` of the files are to come (None: all); fine-tuning
    writes more than it downloads.
    """
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
