"""The checks whether the RAM holds the host's share of the need, and whether the disk holds the
missing files.

`available_ram` says how much of its RAM a machine gives under a workload. `memory_check` compares
the need with this amount, `disk_check` compares the download with the free space where the program
stores its models.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf

from ... import needs as need
from ...core.records import Record, Stated, Unread
from ...core.tables import shipped_rows
from ...core.units import GIB, MIB, words_of
from ...core.workload import Workload
from ...machine import cpus
from ...machine.record import FAT_FILE_BYTES, Disk, Machine
from ...needs.records import Needs, Size, Term
from ..devices import basis_on
from ..quality import quality_of
from ..record import Question
from . import (
    WORDS,
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

# memory kept for other processes inside a limit: the system's own memory lies outside
_CONTAINER_RESERVE_BYTES = 64 * MIB


class _SystemMemory(Stated):
    """A row of `[system]` in `specs/common/system_memory.toml`: the RAM that a system takes beside
    a model.

    - `reserve_bytes` are kept for the system itself. On a small machine they are at most the total
      divided by `reserve_divisor`; None sets no such bound.
    - `desktop_bytes`: the RAM of a desktop with its applications.
    """

    reserve_bytes: int
    reserve_divisor: int | None = None
    desktop_bytes: int

    def reserve_of(self, total_bytes: int | None) -> int:
        """The bytes kept for the system on a machine with `total_bytes` of RAM. A total of None is
        not known.
        """
        if total_bytes is None:
            return self.reserve_bytes
        if self.reserve_divisor is None:
            return self.reserve_bytes
        return min(self.reserve_bytes, total_bytes // self.reserve_divisor)


_SYSTEMS = shipped_rows(_SystemMemory, "system_memory", "system")
# the margin that stays free is at most this fraction of a small machine's memory: 1/16 (assumed)
_MARGIN_DIVISOR = 16
# the address space that glibc reserves for the stack of each thread: the usual soft limit of the
# stack (pthread_create(3)). Both memory limits count all of it: 14 more threads of llama-bench took
# 118 and 121 MiB more (llama.cpp 0c1e5709, measured by bisection).
_STACK_BYTES = 8 * MIB
# threads of a server beside two for each core (llama.cpp 0c1e5709: tools/server, n_threads_http):
# assumed
_OTHER_THREADS = 16
# terms that a shorter context makes smaller
_CONTEXT_TERMS = ("kv_cache", "compute", "activations")
# a completely full system disk breaks swap, logs and databases: 5 GiB or 1/20 of the volume,
# whichever is less, stays free (assumed)
_DISK_MARGIN_BYTES = 5 * GIB
_DISK_MARGIN_DIVISOR = 20


class AvailableRam(Record):
    """The RAM that a machine gives under a workload. None: not known.

    - `basis`: the memory that counts, as in `Workload.memory_basis`.
    - `reserve_bytes`: the bytes kept for the system. `reserve_source`: where that figure is from.
      `is_stated`: the user stated the reserve.
    - `margin_bytes`: the free bytes below which memory counts as tight.
    - `now_bytes`: the bytes that are free now.
    - `idle_bytes`: the limit without the reserve, which is free once other processes are closed.
    - `ceiling_bytes`: the most bytes that count, on which the answer rests.
    """

    basis: str
    reserve_bytes: int
    reserve_source: str
    is_stated: bool
    margin_bytes: int
    now_bytes: int | None
    idle_bytes: int | None
    ceiling_bytes: int | None

    @property
    def free_bytes(self) -> int | None:
        """The bytes that are free now; None where the total memory counts."""
        return None if self.basis == "total" else self.now_bytes


def available_ram(machine: Machine, workload: Workload) -> AvailableRam:
    """Return the RAM that the machine gives under the workload."""
    basis = basis_on(machine, workload)
    reserve_bytes, source = _reserve_of(machine, workload)
    idle = without(machine.memory_limit_bytes, reserve_bytes)
    now = machine.memory_available_bytes
    margin = reserve_bytes
    if machine.memory_total_bytes:
        margin = min(margin, machine.memory_total_bytes // _MARGIN_DIVISOR)
    is_stated = workload.reserve_bytes is not None
    if is_stated:
        # a stated reserve stays free of the memory that is free now, too
        margin = 0
        if now is not None:
            now = _least(now, idle)
    ceiling = _most(now, idle)
    if basis == "available":
        ceiling = now
    elif basis == "total":
        ceiling = idle
    return AvailableRam(
        basis=basis,
        reserve_bytes=reserve_bytes,
        reserve_source=source,
        is_stated=is_stated,
        margin_bytes=margin,
        now_bytes=now,
        idle_bytes=idle,
        ceiling_bytes=ceiling,
    )


def without(
    size: int | None,
    taken: int,
    least: int = 0,
) -> int | None:
    """Return `size` without `taken`, and at least `least`; None where the size is not known."""
    return None if size is None else max(least, size - taken)


def _lacking(need_bytes: int, has: int | None) -> int | None:
    """The missing bytes; None where the available bytes are not known."""
    return None if has is None else max(0, need_bytes - has)


def _least(*sizes: int | None) -> int | None:
    """The least of the known sizes; None where none is known."""
    known = [size for size in sizes if size is not None]
    return min(known, default=None)


def _most(*sizes: int | None) -> int | None:
    """The most of the known sizes; None where none is known."""
    known = [size for size in sizes if size is not None]
    return max(known, default=None)


# ------------------------------------------------------------------ the reserve


def _reserve_of(machine: Machine, workload: Workload) -> tuple[int, str]:
    """The bytes kept for the system, and the source of that figure."""
    if workload.reserve_bytes is not None:
        return workload.reserve_bytes, "set by --reserve"
    total = machine.memory_total_bytes
    amount = _system_of(machine).reserve_of(total)
    outside = _outside_limit(machine)
    if total is None and machine.memory_limit_bytes is not None:
        # a budget such as Dask's or Ray's was set after the system had its share
        amount = _CONTAINER_RESERVE_BYTES
    elif outside:
        # the memory outside the limit already serves the system
        amount = max(_CONTAINER_RESERVE_BYTES, amount - outside)
    else:
        return amount, "assumed for the system itself"
    return amount, "assumed for other processes inside the limit"


def _system_of(machine: Machine) -> _SystemMemory:
    return _SYSTEMS.get(str(machine.system), _SYSTEMS["other"])


def _outside_limit(machine: Machine) -> int:
    """The bytes of the RAM that a limit leaves to other processes; 0 without a limit, and where it
    is not known.
    """
    total = machine.memory_total_bytes
    limit = machine.memory_limit_bytes
    if total is None or limit is None:
        return 0
    return max(0, total - limit)


def reserve_beside(
    need_bytes: int,
    machine: Machine,
    workload: Workload,
) -> int:
    """The reserve on the smallest machine of that system that gives a model `need_bytes`."""
    reserve, _ = _reserve_of(machine, workload)
    divisor = _system_of(machine).reserve_divisor
    if workload.reserve_bytes is not None:
        return reserve
    if divisor is None:
        return reserve
    # the reserve is 1/`divisor` of the memory, rounded down; the rest holds the model
    return min(reserve, max(0, need_bytes - 1) // (divisor - 1))


def desktop_bytes(machine: Machine) -> int:
    """The least RAM that a desktop of the machine's system takes with its applications."""
    return _system_of(machine).desktop_bytes


# ------------------------------------------------------------------ memory


def memory_check(
    needs: Needs,
    machine: Machine,
    workload: Workload,
    files_bytes: int = 0,
    question: Question | None = None,
) -> Finding:
    """Return the finding whether the RAM holds the host's share of the need.

    `files_bytes` are files that will be stored in RAM. They count in the most bytes, and in the
    least where the runtime copies them. `question` is None for several models side by side, of
    which no types are looked at.
    """
    available = available_ram(machine, workload)
    on_host = needs.on_host
    # the page cache may drop the original files once a runtime has copied them, but a disk in RAM
    # keeps them
    kept_bytes = min(files_bytes, needs.evictable_bytes)
    host_need = _HostNeed(
        needs=needs,
        low=on_host.low_bytes + kept_bytes,
        high=on_host.high_bytes + files_bytes,
        machine=machine,
        available=available,
    )
    ruling = host_need.ruling()
    on_gpu: int | None = None
    if needs.placement == "split" and needs.offload is None:
        # parts of the model that are moved to an accelerator in turn all lie in RAM
        on_gpu = needs.on_cards.high_bytes

    def smaller() -> str:
        """The phrase that names what takes less RAM, worked out where a sentence has it."""
        words = what_is_smaller(
            on_host.terms, available.ceiling_bytes, question, on_gpu or 0
        )
        if not files_bytes:
            return words
        return phrase("smaller/files", smaller=words)

    found = finding(
        ruling,
        needs=host_need.high,
        short=_lacking(host_need.high, ruling.figures["has"]),
        unit="bytes",
        reserve_bytes=available.reserve_bytes,
        need=(host_need.low, host_need.high),
        files=files_bytes,
        on_gpu=on_gpu,
        machine=machine.name,
        limit=machine.memory_limit_bytes if _outside_limit(machine) else None,
        total=machine.memory_total_bytes,
        now_only=available.basis == "available",
        asked=available.is_stated and available.idle_bytes is not None,
        reserve_source=available.reserve_source,
        confidence=machine.confidence,
        smaller=smaller,
    )
    in_shell = host_need.address_space_check()
    if in_shell is None or in_shell.severity <= found.severity:
        return found
    return in_shell.replace(reserve_bytes=available.reserve_bytes)


def model_memory_check(needs: Needs, machine: Machine, question: Question) -> Finding:
    """Return the finding whether the RAM holds the host's share of a model's need, with the files
    that are stored in RAM.
    """
    stored_bytes = stored_in_memory(needs, machine, question)
    return memory_check(needs, machine, question.workload, stored_bytes, question)


def _has_only_ram(machine: Machine) -> bool:
    """Whether no accelerator has memory of its own."""
    if machine.accelerators is None:
        return False
    return all(card.unified for card in machine.accelerators)


class _HostNeed(Record):
    """The least and the most bytes that a model needs in RAM, and what the machine gives. `needs`
    are all needs of the model.
    """

    needs: Needs
    low: int
    high: int
    machine: Machine
    available: AvailableRam

    @property
    def read_bytes(self) -> int | None:
        """The lesser of the RAM and its limit as they were read; None where neither was read."""
        return _least(self.machine.memory_total_bytes, self.machine.memory_limit_bytes)

    def _ruling_of_known_part(self) -> Ruling:
        """The ruling on a need that is only partly known: whether the known part exceeds the
        machine's memory.
        """
        needs = self.needs
        whys = [entry for entry in needs.unknown if entry.fact.startswith("memory")]
        why = whys[0]
        figures: Figures = {"needs": None, "short": None}
        known_bytes = sum(term.low_bytes for term in needs.known_terms)
        if self._exceeds_ram(known_bytes):
            figures |= {"has": self.read_bytes, "why": why.reason}
            return failing("memory-too-small", "at-least", **figures)
        figures |= {"has": self.available.ceiling_bytes, "why": why}
        return undecided("memory-need-not-known", **figures)

    def _exceeds_ram(self, need_bytes: int) -> bool:
        """Whether the need exceeds the RAM or its limit, and no accelerator may hold it."""
        has = self.read_bytes
        if has is None or need_bytes <= has:
            return False
        if not _has_only_ram(self.machine):
            return False
        return not self.may_have_more(need_bytes)

    def ruling(self) -> Ruling:
        """The ruling whether the RAM holds the need: now, else once other processes are closed."""
        if self.needs.memory is None:
            return self._ruling_of_known_part()
        too_small = self._too_small()
        if too_small is not None:
            return too_small
        available = self.available
        now = available.now_bytes
        free = available.free_bytes
        if free is not None and self.high <= free:
            return self._fits_now(free)
        unread = self._unread()
        if unread is not None:
            return unread
        ceiling = available.ceiling_bytes
        assert ceiling is not None
        if self.high > ceiling:
            if self.may_have_more(self.high):
                return self._assumed_too_small(ceiling)
            return undecided("memory-close", has=ceiling, lift=self._lifting_line())
        if available.basis == "total":
            return self._fits_once_idle()
        remedy = None
        if now is None:
            remedy = self.machine.why_unread("memory_available_bytes").remedy
        return warning(
            "memory-not-now",
            has=ceiling,
            now=now,
            now_read=now is not None,
            remedy=remedy,
        )

    def _unread(self) -> Ruling | None:
        """The ruling that the memory that counts was not read; None where it was read."""
        available = self.available
        has = available.ceiling_bytes
        if available.basis == "available":
            if available.now_bytes is not None:
                return None
            why = self.machine.why_unread("memory_available_bytes")
            return undecided("memory-unread", "now", has=has, why=why)
        if available.idle_bytes is not None:
            return None
        why = self.machine.why_unread("memory_limit_bytes")
        return undecided("memory-unread", has=has, why=why)

    def _too_small(self) -> Ruling | None:
        """The ruling that the RAM, its limit or the part that counts is smaller than the least
        need; None where none is smaller.
        """
        available = self.available
        has = self.read_bytes
        # without a read limit, the memory that is free now is no bound by default
        if available.basis != "default" or available.idle_bytes is not None:
            has = _least(has, available.ceiling_bytes)
        if has is None or self.low <= has:
            return None
        if self.may_have_more(self.low):
            return self._assumed_too_small(has)
        return failing(
            "memory-too-small",
            has=has,
            reserve_decides=self._is_for_reserve(has),
            would="would" if self.high <= self._limit_bytes else "might",
            lift=self._lifting_line(),
        )

    @property
    def _limit_bytes(self) -> int:
        """The limit of the RAM; 0 where it was not read."""
        return self.machine.memory_limit_bytes or 0

    def _is_for_reserve(self, has: int) -> bool:
        """Whether only an assumed reserve makes `has` bytes too small."""
        if self.available.is_stated:
            return False
        return has == self.available.idle_bytes and self.low <= self._limit_bytes

    def may_have_more(self, need_bytes: int) -> bool:
        """Whether the RAM is only assumed, and machines with this processor are sold with
        enough.
        """
        if "memory_total_bytes" not in self.machine.assumed:
            return False
        most = _most_gib(self.machine) * GIB
        return need_bytes <= most - self.available.reserve_bytes

    def _assumed_too_small(self, has: int) -> Ruling:
        """The ruling that the assumed RAM is too small, with an amount that would be enough."""
        wanted_gib = ceil((self.high + self.available.reserve_bytes) / GIB)
        # an example of a sufficient size: the next power of two
        power_of_two = 1 << max(0, wanted_gib - 1).bit_length()
        enough_gib = int(min(power_of_two, _most_gib(self.machine)))
        return undecided("memory-assumed", has=has, enough_gib=enough_gib)

    def _lifting_line(self) -> str:
        """The command line that lifts the limit of the shell, which the source of the limit names,
        as in "ulimit -m; `ulimit -m unlimited`"; "" where there is none, and where the RAM without
        the limit would not hold the need.
        """
        total = self.machine.memory_total_bytes
        if total is None or self.high >= total:
            return ""
        source = self.machine.sources.get("memory_limit_bytes", "")
        _, _, command = source.partition("; `")
        return command.partition("`")[0]

    def _fits_now(self, now: int) -> Ruling:
        left = now - self.high
        if left < self.available.margin_bytes:
            return passing("memory-tight", "now", has=now, left=left)
        variant = "" if self.available.basis == "available" else "now"
        return passing("memory-fits", variant, has=now)

    def _fits_once_idle(self) -> Ruling:
        """The ruling on a need that fits once the machine is idle.

        Memory is tight where it leaves less than a desktop takes, or hardly more than the reserve.
        """
        available = self.available
        machine = self.machine
        fits = passing("memory-fits", has=available.ceiling_bytes)
        limit = self._limit_bytes
        if available.is_stated or limit != machine.memory_total_bytes:
            return fits
        left = limit - self.high
        # a guest has no desktop; on a small machine the desktop takes at most a quarter (assumed)
        usual = desktop_bytes(machine) if machine.scope == "host" else 0
        desktop = min(usual, limit // 4)
        if left >= max(desktop, available.reserve_bytes + available.margin_bytes):
            return fits
        # a small machine never has the usual amount left: no figure is named
        named = usual if desktop == usual else None
        return passing(
            "memory-tight", has=available.ceiling_bytes, left=left, desktop=named
        )

    def address_space_check(self) -> Finding | None:
        """The finding that the limit of `ulimit -v` is or may be too low; None where it is high
        enough, and where the need is not known.
        """
        left = self.machine.address_space_bytes
        # mapped files count in such a limit
        mapped_bytes = self.needs.evictable_bytes
        threads = 2 * ceil(self.machine.cpu_cores_usable or 1) + _OTHER_THREADS
        least = self.low + mapped_bytes
        most = self.high + mapped_bytes + threads * _STACK_BYTES
        if self.needs.memory is None or left is None or most <= left:
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
            mapped=mapped_bytes,
        )


def _most_gib(machine: Machine) -> float:
    """The most GiB of RAM that a machine with such a processor takes; infinite where not known."""
    name = machine.cpu_model or ""
    chip = cpus.chip_of(words_of(name))
    if chip is not None and chip.mac is not None:
        return float(max(chip.mac.gib))
    most_gib = cpus.class_of(name).most_gib
    return inf if most_gib is None else float(most_gib)


def bytes_without_context(terms: Sequence[Term]) -> int:
    """The least bytes of the terms that no context changes."""
    return sum(term.low_bytes for term in terms if term.part not in _CONTEXT_TERMS)


def has_type_within(
    question: Question,
    needed: int,
    usable: int,
) -> bool:
    """Whether the program has a smaller type worth having that takes at most `usable` bytes where
    the judged type takes `needed`; True where the size of the judged type is not known.
    """
    spec = question.spec
    format = question.workload.format or ""
    judged_type = question.workload.quantization or ""
    judged_files = need.weights_files(spec, format, judged_type)
    if question.runtime is None or not isinstance(judged_files, Term):
        return True
    order = need.quantizations_of(spec, question.runtime)
    if judged_type not in order:
        return True
    for name in reversed(order[order.index(judged_type) + 1 :]):
        if not quality_of(name, spec).worth_having:
            continue
        files = need.weights_files(spec, format, name)
        if isinstance(files, Term):
            # the smallest comes first: where it does not fit, no other does
            return files.bytes * needed <= usable * judged_files.bytes
    return False


def what_is_smaller(
    terms: Sequence[Term],
    room_bytes: int | None,
    question: Question | None = None,
    bytes_elsewhere: int = 0,
) -> str:
    """The phrase that names what takes less memory.

    The phrase names a shorter context only where `room_bytes` holds the terms that no context
    changes. It names a smaller quantization unless a `question` is given that has none of which
    these terms, with the rest of the model in `bytes_elsewhere`, would fit.
    """
    rest = bytes_without_context(terms)
    has_type = True
    if question is not None and room_bytes is not None:
        has_type = has_type_within(
            question, rest + bytes_elsewhere, room_bytes + bytes_elsewhere
        )
    names = {term.name for term in terms}
    if "gradients" in names:
        # in training, the method alone decides the type of the weights
        return phrase("smaller/training")
    if "kv_cache" not in names:
        return phrase("smaller/model", type=has_type)
    if room_bytes is None or rest <= room_bytes:
        has_draft = any(term.is_of_draft for term in terms)
        return phrase("smaller/cache", type=has_type, draft=has_draft)
    return phrase("smaller/without-context", rest=rest, type=has_type)


# ------------------------------------------------------------------ the disk


def bytes_to_store(needs: Needs, missing_bytes: int | None) -> Size | None:
    """The bytes that are written for the missing files, and by the work itself; None where they are
    not known.

    `missing_bytes` is None where all files are still to be downloaded.
    """
    written = needs.written_bytes or 0
    if missing_bytes is not None:
        likely = missing_bytes + written
        return Size(likely, likely, likely)
    stored = needs.disk_bytes
    if stored is None:
        return None
    if needs.download_range is None:
        return Size(stored, stored, stored)
    low, high = needs.download_range
    return Size(low + written, stored, high + written)


def disk_margin_bytes(total_bytes: int | None) -> int:
    """The bytes that should stay free on a volume of `total_bytes`. A total of None is not
    known.
    """
    if not total_bytes:
        return _DISK_MARGIN_BYTES
    return min(_DISK_MARGIN_BYTES, total_bytes // _DISK_MARGIN_DIVISOR)


def stored_in_memory(
    needs: Needs,
    machine: Machine,
    question: Question,
) -> int:
    """The bytes of the files that will be stored in RAM; 0 where they are stored on a disk."""
    disk = machine.disk_for(question.store)
    if disk is None or disk.kind != "memory":
        return 0
    size = bytes_to_store(needs, question.missing_bytes)
    return 0 if size is None else size.likely


def disk_check(
    needs: Needs,
    machine: Machine,
    question: Question,
) -> Finding:
    """Return the finding whether the missing files, and the files that the work writes, fit where
    they are stored.

    Only a stated fact, such as the size of the disk, may rule the model out.
    """
    here = question.here
    path: str | None = None
    already_bytes: int | None = None
    if here is not None:
        path = here.path
        if question.missing_bytes:
            already_bytes = here.size_bytes
    size = bytes_to_store(needs, question.missing_bytes)
    if size is not None and size.likely == 0:
        nothing = passing("disk-nothing-missing", path=path)
        return finding(nothing, needs=0, short=0, unit="bytes")
    store = _Store(needs=needs, machine=machine, question=question)
    ruling = store.ruling(size)
    disk = store.disk
    has = ruling.figures.get("has", disk.free_bytes)
    figures: Figures = {"size": (0, 0)}
    if size is not None:
        figures = {
            "needs": size.likely,
            "short": _lacking(size.most, has),
            "size": (size.least, size.most),
            "is_range": size.least != size.most,
        }
    name = "the current folder" if disk.path == "." else disk.path
    return finding(
        ruling,
        has=has,
        unit="bytes",
        what=store.words_for(size),
        place=name,
        variable=WORDS.store_variables.get(disk.purpose),
        confidence=machine.confidence,
        already=already_bytes,
        making=question.making_bytes,
        **figures,
    )


class _Store(Record):
    """The disk on which a runtime stores its models, and the files to be stored there.

    `needs` are the needs of the `question` on the `machine`.
    """

    needs: Needs
    machine: Machine
    question: Question

    @property
    def disk(self) -> Disk:
        """The disk; a disk without figures where none was read."""
        purpose = self.question.store
        disk = self.machine.disk_for(purpose)
        return disk or Disk(purpose=purpose, path="the download folder")

    def words_for(self, size: Size | None) -> str:
        """The words for the stored size: the download, its missing part, or everything stored."""
        if self.question.missing_bytes:
            return "The missing part"
        likely = None if size is None else size.likely
        if likely == self.needs.download_bytes:
            return "The download"
        return "Everything stored"

    def ruling(self, size: Size | None) -> Ruling:
        """The ruling whether files of the given size fit. Faults that no free space mends come
        first.
        """
        disk = self.disk
        if disk.writable is False:
            return failing("disk-not-writable")
        largest = self._largest_file_bytes()
        if disk.kind == "fat" and largest > FAT_FILE_BYTES:
            return failing(
                "disk-file-too-large",
                file=largest,
                filesystem=disk.filesystem,
                most=FAT_FILE_BYTES,
            )
        if size is None:
            return self._size_unknown()
        return self._space_ruling(disk, size)

    def _largest_file_bytes(self) -> int:
        """The bytes of the largest file that is still to be stored."""
        largest = self.needs.largest_file_bytes or 0
        missing = self.question.missing_bytes
        return min(largest, missing) if missing else largest

    def _size_unknown(self) -> Ruling:
        """The ruling where the size of the files is not known. An assumed disk is large enough for
        files of any known size, so only the size is lacking.
        """
        if self.disk.free_bytes is None and not self._is_assumed():
            return undecided("disk-unread", why=self._why_unread())
        for fact in ("download_bytes", "disk_bytes"):
            for entry in self.needs.unknown:
                if entry.fact == fact:
                    return undecided("disk-size-not-known", why=entry)
        unstated = Unread(fact="download_bytes", reason="no source states it")
        return undecided("disk-size-not-known", why=unstated)

    def _why_unread(self) -> Unread:
        fact = f"disks.{self.question.store}"
        if self.machine.disks is None:
            fact = "disks"
        elif self.machine.disk_for(self.question.store) is not None:
            fact += ".free_bytes"
        return self.machine.why_unread(fact)

    def _space_ruling(self, disk: Disk, size: Size) -> Ruling:
        """The ruling whether the files fit. The space that should stay free beside the files
        decides nothing.
        """
        free = disk.free_bytes
        total = disk.total_bytes or inf
        may_fit = free is not None and size.least <= free
        # files on a disk in RAM take memory, files on a network drive are read over the network
        variant = {"memory": "ram", "network": "network"}.get(disk.kind, "")
        if variant and may_fit:
            return warning("disk-slow-or-volatile", variant, filesystem=disk.filesystem)
        if size.least <= total and self._is_assumed():
            stated = disk.total_bytes
            return warning(
                "disk-assumed",
                total=stated,
                why=self._why_unread().reason if stated is None else None,
                enough=size.most + disk_margin_bytes(stated),
            )
        if free is None:
            if size.least > total:
                return failing("disk-too-small", "in-all", has=disk.total_bytes)
            return undecided("disk-unread", why=self._why_unread())
        if not may_fit:
            return failing("disk-too-small", has=free)
        return self._ruling_of_left(free - size.most)

    def _ruling_of_left(self, left: int) -> Ruling:
        """The ruling by `left`, the bytes that stay free beside the most bytes of the files;
        below 0 where the most bytes do not fit.
        """
        making_bytes = self.question.making_bytes
        margin = disk_margin_bytes(self.disk.total_bytes)
        if left < 0:
            return warning("disk-tight", "range", left=left, more=-left)
        if left < making_bytes:
            # the files take more space while they are made
            return warning("disk-tight", "making", left=left, more=making_bytes - left)
        if left < margin:
            return warning("disk-tight", left=left, more=margin - left)
        return passing("disk-fits")

    def _is_assumed(self) -> bool:
        """Whether the free space of the disk is only assumed."""
        fact = f"disks.{self.question.store}"
        facts = {"disks", fact, f"{fact}.free_bytes"}
        return not facts.isdisjoint(self.machine.assumed)
