"""Do the files that are missing fit where the runtime would store them?"""

from __future__ import annotations

from ...core.records import Record, Unread
from ...core.units import GIB
from ...machine.record import Disk, Machine
from ...needs.records import Needs
from ..files import Here, unseen
from . import Finding, Outcome, doubt_of, finding

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

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
# what free space decides
_OF_FREE_SPACE = (
    "disk-unread",
    "disk-too-small",
    "disk-too-small-to-make",
    "disk-tight",
    "disk-fits",
)


class _Storing(Record):
    """What is to be stored, `size` bytes or from `low` to `high`, and where."""

    needs: Needs
    machine: Machine
    purpose: str
    missing_bytes: int | None
    here: Here | None
    place: Disk | None
    size: int | None
    low: int | None
    high: int | None

    @property
    def free(self) -> int | None:
        """What is free in the place."""
        return self.place.free_bytes if self.place else None

    @property
    def total(self) -> int | None:
        """How large the place is."""
        return self.place.total_bytes if self.place else None

    @property
    def why_unread(self) -> Unread:
        """Why the free space is not known."""
        fact = f"disks.{self.purpose}.free_bytes"
        if self.place is None:
            fact = "disks" if self.machine.disks is None else f"disks.{self.purpose}"
        return self.machine.why_unread(fact)

    def finding(
        self,
        outcome: Outcome,
        code: str,
        variant: str = "",
        *,
        has: int | None = None,
        remedy: str | None = None,
        **figures: Any,
    ) -> Finding:
        """A finding about storing that much in the place; `has`: what it has, else what is free."""
        has = self.free if has is None else has
        place = self.place.shown if self.place else "the download folder"
        what = "The download" if self.size == self.needs.download_bytes else "Everything stored"
        missed = None
        if self.machine.models_present is not None:
            missed = unseen(self.machine, self.purpose)
        return finding(
            outcome,
            code,
            variant,
            needs=self.size,
            has=has,
            short=None if self.low is None or has is None else max(0, self.low - has),
            unit="bytes",
            remedy=remedy,
            what="The missing part" if self.missing_bytes else what,
            size=(self.low or 0, self.high or 0),
            is_range=self.low != self.high,
            place=place,
            place_first=place[:1].upper() + place[1:] if place.startswith("the ") else place,
            unseen=missed.reason if missed else None,
            variable=_STORE_VARIABLES.get(self.purpose),
            confidence=doubt_of(self.machine),
            **figures,
        )


def disk_check(
    needs: Needs,
    machine: Machine,
    purpose: str,
    *,
    missing_bytes: int | None = None,
    here: Here | None = None,
) -> Finding:
    """Do the files that are missing, and what the work itself writes, fit where that runtime would
    store them?

    `missing_bytes` are those still to be downloaded where some of the files are `here`; None: all
    of them. Free space that is assumed gives a `warn`; only what was stated, such as the size of
    the disk, may rule the model out. What it takes to make a file that no repository is known to
    have gives a `warn`, too: somebody may publish it.
    """
    low, high = ends_to_store(needs, missing_bytes)
    storing = _Storing(
        needs=needs,
        machine=machine,
        purpose=purpose,
        missing_bytes=missing_bytes,
        here=here,
        place=machine.disk_for(purpose),
        size=bytes_to_store(needs, missing_bytes),
        low=low,
        high=high,
    )
    if storing.size == 0:
        path = here.path if here else None
        return finding(
            Outcome.PASS, "disk-nothing-missing", needs=0, short=0, unit="bytes", path=path
        )
    judged = _refused(storing) or _unknown(storing) or _doubtful(storing) or _by_margin(storing)
    facts = ("disks", f"disks.{purpose}", f"disks.{purpose}.free_bytes")
    if judged.code in _OF_FREE_SPACE and any(map(machine.assumes, facts)):
        return _on_assumed_space(storing, judged)
    return judged


def _refused(storing: _Storing) -> Finding | None:
    """Nothing can be stored in the place, or not so much."""
    place, low, free, total = storing.place, storing.low, storing.free, storing.total
    if place is not None and place.writable is False:
        return storing.finding(Outcome.FAIL, "disk-not-writable")
    if place is not None and place.free_files == 0:
        return storing.finding(Outcome.FAIL, "disk-not-writable", "inodes")
    too_large = _file_too_large(storing)
    if too_large is not None or low is None:
        return too_large
    if free is not None and low > free:
        return storing.finding(Outcome.FAIL, "disk-too-small")
    if free is None and total is not None and low > total:
        return storing.finding(Outcome.FAIL, "disk-too-small", "in-all", has=total)
    return None


def _file_too_large(storing: _Storing) -> Finding | None:
    largest, place, missing = storing.needs.largest_file_bytes, storing.place, storing.missing_bytes
    if largest is None:
        return None
    if missing is not None:
        largest = min(largest, missing)
    # Ollama's server stores what it is asked for, under limits of its own
    shell_limit = storing.machine.file_size_limit_bytes if storing.purpose != "ollama" else None
    own_limit = (place.max_file_bytes or None) if place is not None else None
    for most, variant in ((own_limit, ""), (shell_limit, "shell")):
        if most is not None and largest > most:
            return storing.finding(
                Outcome.FAIL,
                "disk-file-too-large",
                variant,
                file=largest,
                filesystem=place.filesystem if place is not None else None,
                most=most,
            )
    return None


def _unknown(storing: _Storing) -> Finding | None:
    """The free space was not read, or the size is not known."""
    if storing.free is None:
        why, code = storing.why_unread, "disk-unread"
    elif storing.size is None:
        facts, code = ("download_bytes", "disk_bytes"), "disk-size-not-known"
        unsized = (entry for entry in storing.needs.unknown if entry.fact in facts)
        why = next(unsized, Unread(fact="download_bytes", reason="no source states it"))
    else:
        return None
    return storing.finding(Outcome.UNKNOWN, code, remedy=why.remedy, why=why.reason)


def _doubtful(storing: _Storing) -> Finding | None:
    """It fits, on a slow or volatile volume; a quota may leave less, or the files take RAM, which
    could not be read; or there is no room to make the file.
    """
    place, machine, purpose = storing.place, storing.machine, storing.purpose
    slow = "disk-slow-or-volatile"
    if place is not None and (place.in_memory or place.on_network):
        variant = "ram" if place.in_memory else "network"
        filesystem, backing = place.filesystem, place.backing
        return storing.finding(Outcome.WARN, slow, variant, filesystem=filesystem, backing=backing)
    for fact, code, variant in (
        ("quota", "disk-assumed", "quota"),
        ("backing", slow, "unread"),
    ):
        why = machine.unread_about(f"disks.{purpose}.{fact}")
        if why is not None:
            return storing.finding(Outcome.WARN, code, variant, remedy=why.remedy, why=why.reason)
    making, free = storing.needs.making, storing.free
    if making is None or storing.missing_bytes is not None or free is None:
        return None
    least, most = making.disk_ends
    if most <= free:
        return None
    return storing.finding(
        Outcome.WARN, "disk-too-small-to-make", making=(least, most), more=most - free
    )


def _by_margin(storing: _Storing) -> Finding:
    """Of a size that fits: whether enough stays free beside it, which decides nothing."""
    high, free = storing.high, storing.free
    assert high is not None
    assert free is not None
    margin = disk_margin_bytes(storing.total)
    if high > free:
        return storing.finding(Outcome.WARN, "disk-tight", "range", more=high - free)
    if high + margin > free:
        more = high + margin - free
        return storing.finding(Outcome.WARN, "disk-tight", left=free - high, more=more)
    is_in_part_here = storing.missing_bytes and storing.here
    already = storing.here.size_bytes if is_in_part_here and storing.here else None
    return storing.finding(Outcome.PASS, "disk-fits", already=already)


def _on_assumed_space(storing: _Storing, judged: Finding) -> Finding:
    """The finding with free space that is assumed: a `warn`, unless the whole disk is too small."""
    low, high, total = storing.low, storing.high, storing.total
    if low is None or high is None or (total is not None and low > total):
        return judged
    return storing.finding(
        Outcome.WARN,
        "disk-assumed",
        total=total,
        why=storing.why_unread.reason if total is None else None,
        enough=high + disk_margin_bytes(total),
    )


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


def lies_in_memory(machine: Machine, purpose: str) -> bool | None:
    """Whether files of that purpose take RAM where they lie; None where that is not known."""
    place = machine.disk_for(purpose)
    if place is None:
        return False
    if place.in_memory:
        return True
    return None if machine.unread_about(f"disks.{purpose}.backing") is not None else False


def stored_in_memory(
    needs: Needs, machine: Machine, purpose: str, *, missing_bytes: int | None = None
) -> int:
    """Bytes of files to be stored where they take RAM, or may do so, of which `missing_bytes`
    are to come (None: all); 0 on a disk.
    """
    if lies_in_memory(machine, purpose) is False:
        return 0
    return bytes_to_store(needs, missing_bytes) or 0


def held_in_memory(here: Here | None, machine: Machine, purpose: str) -> int:
    """Bytes of files that lie on a volume that is or may be RAM already; 0 on a disk."""
    if here is None:
        return 0
    place = machine.disk_for(here.store or purpose)
    if place is None or lies_in_memory(machine, place.purpose) is False:
        return 0
    # whisper.cpp's place is the current folder, whose files are named without it
    return here.size_bytes if place.path == "." or here.path.startswith(place.path) else 0
