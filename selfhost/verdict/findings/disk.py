"""Do the files that are missing fit where the runtime would store them?"""

from __future__ import annotations

from ...core.records import Unread
from ...core.units import GIB, decimal, decimal_range
from ...machine.record import Machine
from ...needs.records import Needs
from ..present import Here, unseen
from .record import Finding, Outcome, profile_doubt

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .record import Words

# a system disk filled to the last byte breaks swap, logs and databases: 5 GiB or one part in 20 of
# the volume, whichever is less (assumed)
DISK_MARGIN_BYTES = 5 * GIB
_DISK_MARGIN_PART = 20
# of which the share is more than that surely
_LARGE_DISK_BYTES = 21 * DISK_MARGIN_BYTES
# the variable that moves the folder in which a runtime stores models
_STORE_VARIABLES = {
    "huggingface": "HF_HOME",
    "llama.cpp": "LLAMA_CACHE",
    "ollama": "OLLAMA_MODELS (of the Ollama service)",
}
# the outcomes that free space decides
_OF_FREE_SPACE = (
    "disk-unread",
    "disk-too-small",
    "disk-too-small-to-make",
    "disk-tight",
    "disk-fits",
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
    storing = _Storing(needs, machine, purpose, missing_bytes, here)
    finding = (
        _nothing_missing(storing)
        or _not_writable(storing)
        or _file_too_large(storing)
        or _too_small(storing)
        or _unknown(storing, needs)
        or _slow_or_volatile(storing)
        or _quota_unread(storing)
        or _medium_unread(storing)
        or _no_room_to_make(storing, needs, missing_bytes)
        or _by_margin(storing)
    )
    facts = ("disks", f"disks.{purpose}", f"disks.{purpose}.free_bytes")
    if finding.code in _OF_FREE_SPACE and any(map(machine.assumes, facts)):
        return _on_assumed_space(storing, finding)
    return finding


class _Storing:
    """What is to be stored, and the place where it would lie."""

    def __init__(
        self, needs: Needs, machine: Machine, purpose: str, missing: int | None, here: Here | None
    ) -> None:
        self.machine, self.purpose, self.here = machine, purpose, here
        self.is_in_part_here = bool(missing)
        self.size = bytes_to_store(needs, missing)
        self.low, self.high = ends_to_store(needs, missing)
        self.largest_file = needs.largest_file_bytes
        if missing is not None and self.largest_file is not None:
            self.largest_file = min(self.largest_file, missing)
        self.place = machine.disk_for(purpose)
        self.free = self.place.free_bytes if self.place else None
        self.total = self.place.total_bytes if self.place else None
        if missing:
            self.what = "The missing part"
        elif self.size == needs.download_bytes:
            self.what = "The download"
        else:
            self.what = "Everything stored"

    @property
    def amount(self) -> str:
        """What it takes, in words: a range where the size is one."""
        return decimal_range(self.low or 0, self.high or 0)

    @property
    def where(self) -> str:
        """The place, as within a sentence."""
        return self.place.shown if self.place else "the download folder"

    @property
    def where_first(self) -> str:
        """The place, as at the start of a sentence."""
        return f"The {self.where[4:]}" if self.where.startswith("the ") else self.where

    @property
    def under_quota(self) -> str:
        """Whose free space it is, where that is not the volume's."""
        quota = self.place.quota if self.place else None
        return f" under the {quota}'s quota" if quota else ""

    @property
    def perhaps_here(self) -> str:
        """What follows a refusal where the model may lie there already."""
        if self.machine.models_present is None:
            return ""
        missed = unseen(self.machine, self.purpose)
        return f" It may be there already: {missed.reason}." if missed else ""

    def finding(
        self, outcome: Outcome, code: str, reason: str, remedy: str | None = None
    ) -> Finding:
        """A finding about storing that much there."""
        return self.worded_when_read(outcome, code, lambda: (reason, remedy))

    def worded_when_read(self, outcome: Outcome, code: str, words: Words) -> Finding:
        """As `finding`, for the outcomes that most models have."""
        size, least, free = self.size, self.low, self.free
        return Finding.worded_when_read(
            {
                "check": "disk",
                "outcome": outcome,
                "code": code,
                "needs": size,
                "has": free,
                "short": None if least is None or free is None else max(0, least - free),
                "unit": "bytes",
                "reserve_bytes": None,
            },
            words,
        )


def _nothing_missing(storing: _Storing) -> Finding | None:
    if storing.size != 0:
        return None
    reason = "Nothing to download."
    if storing.here:
        reason = f"Nothing to download: the files are at {storing.here.path}."
    return Finding(
        check="disk",
        outcome=Outcome.PASS,
        code="disk-nothing-missing",
        needs=0,
        short=0,
        unit="bytes",
        reason=reason,
    )


def _not_writable(storing: _Storing) -> Finding | None:
    place = storing.place
    if place is None:
        return None
    if place.writable is False:
        return storing.finding(
            Outcome.FAIL,
            "disk-not-writable",
            f"{storing.where_first} is not writable.{storing.perhaps_here}",
            _move_store(storing.purpose, "that you may write to"),
        )
    if place.free_files == 0:
        return storing.finding(
            Outcome.FAIL,
            "disk-not-writable",
            f"No file can be created in {storing.where}: its file system has no free inodes, even"
            f" if space is left.{storing.perhaps_here}",
            f"delete files there (`df -i` counts them), or {_move_store(storing.purpose)}",
        )
    return None


def _file_too_large(storing: _Storing) -> Finding | None:
    place, largest = storing.place, storing.largest_file
    if largest is None:
        return None
    if place and place.max_file_bytes and largest > place.max_file_bytes:
        return storing.finding(
            Outcome.FAIL,
            "disk-file-too-large",
            f"One file is {decimal(largest)}; {place.filesystem} on {storing.where} allows at most"
            f" {decimal(place.max_file_bytes)}.",
            _move_store(storing.purpose, "on another file system"),
        )
    # Ollama's server stores what it is asked for, under limits of its own
    shell_limit = storing.machine.file_size_limit_bytes if storing.purpose != "ollama" else None
    if shell_limit is not None and largest > shell_limit:
        return storing.finding(
            Outcome.FAIL,
            "disk-file-too-large",
            f"One file is {decimal(largest)}; `ulimit -f` lets this shell write at most"
            f" {decimal(shell_limit)}.",
            "run `ulimit -f unlimited`, or ask your administrator to raise the limit",
        )
    return None


def _too_small(storing: _Storing) -> Finding | None:
    low, free, total = storing.low, storing.free, storing.total
    if low is None:
        return None
    if free is not None and low > free:

        def words() -> tuple[str, str]:
            short = decimal(low - free)
            least = "" if low == storing.high else "at least "
            reason = (
                f"{storing.what} needs {storing.amount}; {storing.where} has {decimal(free)}"
                f" free{storing.under_quota}: {least}{short} short.{storing.perhaps_here}"
            )
            return reason, f"free {short}, or {_move_store(storing.purpose)}"

        return storing.worded_when_read(Outcome.FAIL, "disk-too-small", words)
    if free is None and total is not None and low > total:

        def words_of_total() -> tuple[str, str]:
            reason = (
                f"{storing.what} needs {storing.amount}; {storing.where} has only {decimal(total)}"
                f" in total{storing.under_quota}.{storing.perhaps_here}"
            )
            return reason, _move_store(storing.purpose)

        finding = storing.worded_when_read(Outcome.FAIL, "disk-too-small", words_of_total)
        return finding.replace(has=total, short=low - total)
    return None


def _unknown(storing: _Storing, needs: Needs) -> Finding | None:
    """The free space was not read, or the size is not known."""
    if storing.free is None:
        why = storing.machine.why_unread(_unread_fact(storing))
        reason = f"The free space could not be read: {why.reason}."
        return storing.finding(Outcome.UNKNOWN, "disk-unread", reason, why.remedy)
    if storing.size is None:
        unsized = next(
            (entry for entry in needs.unknown if entry.fact in ("download_bytes", "disk_bytes")),
            Unread(fact="download_bytes", reason="no source states it"),
        )
        reason = f"The size of the download is not known: {unsized.reason}."
        return storing.finding(Outcome.UNKNOWN, "disk-size-not-known", reason, unsized.remedy)
    return None


def _unread_fact(storing: _Storing) -> str:
    """The fact for want of which the free space is not known."""
    if storing.place is not None:
        return f"disks.{storing.purpose}.free_bytes"
    return "disks" if storing.machine.disks is None else f"disks.{storing.purpose}"


def _slow_or_volatile(storing: _Storing) -> Finding | None:
    place = storing.place
    if place is None:
        return None
    if place.in_memory:
        kind = f"{place.filesystem} over {place.backing}" if place.backing else place.filesystem
        return storing.finding(
            Outcome.WARN,
            "disk-slow-or-volatile",
            f"{storing.where_first} is {kind}: files there use RAM and are lost at a restart.",
            _move_store(storing.purpose, "on a disk"),
        )
    if place.on_network:
        return storing.finding(
            Outcome.WARN,
            "disk-slow-or-volatile",
            f"{storing.where_first} is on a network volume ({place.filesystem}): loading is slow,"
            " and a quota would not show.",
            _move_store(storing.purpose, "on a local disk"),
        )
    return None


def _quota_unread(storing: _Storing) -> Finding | None:
    free, prefix = storing.free, f"disks.{storing.purpose}.quota"
    assert free is not None
    quota = storing.machine.unread_about(prefix)
    if quota is None:
        return None

    def words() -> tuple[str, str | None]:
        reason = (
            f"{storing.what} needs {storing.amount}; {storing.where} has {decimal(free)}"
            f" free, but a quota may leave you less: {quota.reason}."
        )
        return reason, quota.remedy

    return storing.worded_when_read(Outcome.WARN, "disk-assumed", words)


def _medium_unread(storing: _Storing) -> Finding | None:
    why = _unread_medium(storing.machine, storing.purpose)
    if why is None:
        return None
    reason = f"Files in {storing.where} may use RAM and be lost at a restart: {why.reason}."
    return storing.finding(Outcome.WARN, "disk-slow-or-volatile", reason, why.remedy)


def _no_room_to_make(storing: _Storing, needs: Needs, missing: int | None) -> Finding | None:
    """The file that is run fits, but not what making it takes."""
    making, free = needs.making, storing.free
    if making is None or missing is not None or free is None or making.disk_ends[1] <= free:
        return None
    most = making.disk_ends[1]

    def words() -> tuple[str, str]:
        reason = (
            f"The file fits, but making it yourself takes {decimal_range(*making.disk_ends)}:"
            f" {storing.where} has {decimal(free)} free{storing.under_quota}."
        )
        return reason, f"take a published file, free {decimal(most - free)}, or use a larger disk"

    return storing.worded_when_read(Outcome.WARN, "disk-too-small-to-make", words)


def _by_margin(storing: _Storing) -> Finding:
    """Of a size that fits: whether enough stays free beside it, which decides nothing."""
    high, free = storing.high, storing.free
    assert high is not None
    assert free is not None
    if high > free:
        return storing.worded_when_read(
            Outcome.WARN,
            "disk-tight",
            lambda: (
                f"{storing.what} needs {storing.amount}, and may not fit: {storing.where} has"
                f" {decimal(free)} free{storing.under_quota}.",
                f"free {decimal(high - free)} more to be sure",
            ),
        )
    margin = disk_margin_bytes(storing.total)
    if high + margin > free:
        return storing.worded_when_read(
            Outcome.WARN,
            "disk-tight",
            lambda: (
                f"{storing.what} fits, but leaves only {decimal(free - high)} free in"
                f" {storing.where}.",
                f"free {decimal(high + margin - free)} more to keep a safety margin",
            ),
        )

    def words() -> tuple[str, None]:
        reason = (
            f"{storing.what} needs {storing.amount} of the {decimal(free)} free in"
            f" {storing.where}{storing.under_quota}."
        )
        if storing.is_in_part_here and storing.here:
            reason += f" {decimal(storing.here.size_bytes)} are there already."
        return reason + profile_doubt(storing.machine), None

    return storing.worded_when_read(Outcome.PASS, "disk-fits", words)


def _on_assumed_space(storing: _Storing, finding: Finding) -> Finding:
    """What was found with free space that is assumed: a `warn`, unless the whole disk is too
    small.
    """
    machine, place, total = storing.machine, storing.place, storing.total
    low, high = storing.low, storing.high
    if low is None or high is None or (total is not None and low > total):
        return finding

    def words() -> tuple[str, str]:
        reason = f"{storing.what} needs {storing.amount}; the free space is assumed"
        if place is not None and total is not None:
            reason += (
                f": {place.shown} has {decimal(total)} in total, and how much of it is free is not"
                " stated."
            )
        else:
            reason += f": {machine.why_unread(_unread_fact(storing)).reason}."
        margin = disk_margin_bytes(total)
        return (
            reason + profile_doubt(machine),
            f"check that {decimal(high + margin)} are free there",
        )

    return Finding.worded_when_read(
        {
            **{name: getattr(finding, name) for name in _FIGURES},
            "outcome": Outcome.WARN,
            "code": "disk-assumed",
        },
        words,
    )


# of a finding, all but its outcome and its words
_FIGURES = ("check", "needs", "has", "short", "unit", "reserve_bytes")


def disk_margin_bytes(total_bytes: int | None) -> int:
    """What should stay free of a volume of that size; None is not known."""
    if not total_bytes or total_bytes >= _LARGE_DISK_BYTES:
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


def _move_store(purpose: str, which: str = "on a larger disk") -> str:
    variable = _STORE_VARIABLES.get(purpose)
    return f"set {variable} to a folder {which}" if variable else f"download to a folder {which}"


def _unread_medium(machine: Machine, purpose: str) -> Unread | None:
    """Why it is not known whether files of that purpose would take RAM; None where it is."""
    return machine.unread_about(f"disks.{purpose}.backing")


def lies_in_memory(machine: Machine, purpose: str) -> bool | None:
    """Whether files of that purpose take RAM where they lie; None where that is not known."""
    place = machine.disk_for(purpose)
    if place is None:
        return False
    if place.in_memory:
        return True
    return None if _unread_medium(machine, purpose) is not None else False


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
