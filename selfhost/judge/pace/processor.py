"""The processor of a machine: its cores, the threads that a program starts, and how fast they read
the RAM while a model decodes.

`processor_of` tells the processor by its name, its instruction sets or its class. `bandwidth` is
measured or stated, else told by counted guests of clouds, by names, by the cards beside the
processor or by its class. The rates are peaks, times what runs on such processors were seen to
reach (`tables`).
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import NamedTuple

from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import Record
from ...core.units import words_of
from ...machine import cpus, gpus
from ...machine.cpus import chip_of
from ...machine.record import BRIEFLY, FILLED_ASSUMED, RATE_ASSUMED, Machine
from .ranges import Range, highest, lowest
from .tables import CoreRow, DecodingShares, decoding_shares, pace_tables

_GB = units.GB
ANY_APPLE = "an Apple chip"
# share of the read bandwidth that reaches the weights (54 runs of llama-bench here)
BANDWIDTH_SHARE = 0.86
# cores of a record that states a bandwidth and no cores (assumed)
_UNSTATED_CORES = 4.0


# ------------------------------------------------------------------ the processor


class Memory(Record):
    """What a chip, or a class of machines, reads of its memory: bytes per second."""

    low: int
    high: int
    called: str

    @classmethod
    def of_gb(cls, low: float, high: float, called: str) -> Memory:
        """That of a memory with so many GB/s."""
        return cls(low=int(low * _GB), high=int(high * _GB), called=called)


class Processor(Record):
    """The processor of a machine.

    `name`: as the system tells it, "" for none. `chip`: what it reads where its memory is soldered
    beside it; `series`: of others, None where no name tells it. `memory_share` and `core_share`:
    beside the processor measured on, by a row of `decode` in `specs/common/cpus.toml`. `is_server`:
    by a word of its name.

    A guest may have some threads of a processor that others share, unlike WSL or a container
    without a limit (`has_some_threads`). `is_mac`: the GPU of an Apple chip that programs use;
    nobody measured how its cores read prompts.
    """

    name: str
    is_guest: bool
    is_server: bool
    is_mac: bool
    has_some_threads: bool
    sockets: int
    chip: Memory | None
    series: cpus.Processor | None
    core: cpus.Core
    memory_share: Range
    core_share: Range


@lru_cache(maxsize=4096)
def processor_of(machine: Machine) -> Processor:
    """By its name, else by what its instruction sets tell."""
    name = machine.cpu_model or ""
    words = words_of(name)
    is_guest = machine.scope in ("vm", "container")
    is_mac = machine.system == "macos" and machine.architecture == "aarch64"
    chip = chip_of(words)
    memory: Memory | None = None
    series: cpus.Processor | None = None
    if chip is not None or is_mac or "apple" in words:
        memory = _chip_memory(machine, chip, is_guest=is_guest)
    else:
        series = gpus.series_in(machine)
    core = _core_of(machine, chip or series)
    has_some_threads = is_guest and not _has_all_threads(machine)
    shares = _decoding_shares(core.kind, series, has_some_threads=has_some_threads)
    return Processor(
        name=name,
        is_guest=is_guest,
        is_server=not words.isdisjoint(pace_tables().general.server_words),
        is_mac=is_mac,
        has_some_threads=has_some_threads,
        sockets=_sockets_of(machine, series),
        chip=memory,
        series=series,
        core=core.core,
        memory_share=shares.memory,
        core_share=shares.cores,
    )


def _has_all_threads(machine: Machine) -> bool:
    """Whether a guest has as many threads as the processor of that name."""
    cores = cpus.cores_of(machine.cpu_model or "")
    usable = machine.cpu_cores_usable
    if cores is None or usable is None:
        return False
    return cores.are_known and usable >= cores.usable


def _decoding_shares(
    kind: str, series: cpus.Processor | None, *, has_some_threads: bool
) -> DecodingShares:
    """Those of the first kind that has a row: of a guest, of a laptop, of such cores."""
    shares = decoding_shares()
    found = None
    if has_some_threads:
        found = shares.get(f"{kind}_shared")
    if found is None and series is not None and series.kind == "mobile":
        found = shares.get(f"{kind}_mobile")
    return found or shares[kind]


def _chip_memory(machine: Machine, chip: cpus.Chip | None, *, is_guest: bool) -> Memory:
    """Of a chip with its memory soldered beside it; None: one of Apple's."""
    figures = pace_tables().reading
    if chip is None:
        ends = _ChipEnds(figures.any_apple_low, figures.any_apple.high, ANY_APPLE)
    else:
        ends = _ends_of_chip(machine, chip, is_guest=is_guest)
    low = ends.low_gb_per_s
    if is_guest:
        low *= figures.guest_share
    called = ends.called
    if chip is not None and chip.mac is not None:
        called += ", by its cores or its GPU"
    return Memory.of_gb(low, ends.high_gb_per_s, called)


class _ChipEnds(NamedTuple):
    """What a chip reads of its memory, and its name."""

    low_gb_per_s: float
    high_gb_per_s: float
    called: str


def _ends_of_chip(machine: Machine, chip: cpus.Chip, *, is_guest: bool) -> _ChipEnds:
    """Those of the chip of that name that has so many cores, or of any of that name."""
    ends = _ChipEnds(chip.least_gb_per_s, chip.gb_per_s, chip.name)
    smaller = chip.smaller
    if not smaller:
        return ends
    cores = machine.cpu_cores_physical or machine.cpu_cores_usable
    # a guest's cores tell nothing of the chip's, nor do fewer than any such chip has
    if is_guest or cores is None or cores < smaller.cores:
        return ends._replace(low_gb_per_s=smaller.least_gb_per_s)
    if cores > smaller.cores:
        return ends
    called = f"{chip.name} with {smaller.cores} cores"
    return _ChipEnds(smaller.least_gb_per_s, smaller.gb_per_s, called)


def _sockets_of(machine: Machine, series: cpus.Processor | None) -> int:
    """By the cores that are listed of its name, else of the largest; 1 where they are not known."""
    physical = machine.cpu_cores_physical
    if series is None or not series.cores or physical is None:
        return 1
    cores = series.cores
    name = machine.cpu_model or ""
    listed = cpus.cores_of(name)
    if listed is not None and listed.are_known:
        cores = listed.physical[1] // cpus.count_of(name)
    return max(1, ceil(physical / cores))


def is_client_by_class(machine: Machine) -> bool:
    """A laptop or desktop with an x86-64 processor, as far as anything tells."""
    if machine.architecture not in (None, "x86_64"):
        return False
    processor = processor_of(machine)
    return not (processor.is_server or processor.is_guest)


def _is_on_server(machine: Machine) -> bool:
    """Whether a guest lies on a server, by the series of its processor or its name."""
    processor = processor_of(machine)
    if processor.series is not None:
        return processor.series.kind == "server"
    if processor.is_server:
        return True
    if machine.scope != "vm" or machine.architecture != "x86_64":
        return False
    # a name without a number is one that an emulator gives: `Intel Core Processor (Haswell)`
    return not any(map(str.isdecimal, processor.name))


def _class_of(machine: Machine) -> str | None:
    """Its class: a name in `memory` of `specs/common/pace.toml`; others count as `other`."""
    processor = processor_of(machine)
    if processor.is_server:
        return "server"
    if processor.is_guest:
        return machine.scope
    sets = machine.instruction_sets
    if machine.architecture == "x86_64" and sets is not None and "avx2" not in sets:
        return "old"
    return machine.architecture


# ------------------------------------------------------------------ its cores


class _CoreKind(NamedTuple):
    """What cores compute, and how they decode: a kind of `decode` in `specs/common/cpus.toml`."""

    core: cpus.Core
    kind: str


def _core_of(machine: Machine, named: cpus.Chip | cpus.Processor | None) -> _CoreKind:
    """What its cores compute, at the clock that the processor's name tells."""
    core: str | None = None
    kind: str | None = None
    clock_ghz: float | None = None
    if named is not None:
        core = named.core
        clock_ghz = named.ghz
    if isinstance(named, cpus.Processor):
        if core is None and machine.instruction_sets is None:
            core = cpus.CORE_OF[named.vectors]
        if core == "avx" and named.vectors == "sse":
            kind = "sse"
    if core is None:
        row = _core_row(machine)
        core = row.core
        kind = row.kind
    # the kind stands beside most cores in the table
    kind = kind or pace_tables().general.kinds[core]
    return _CoreKind(cpus.core_called(core, clock_ghz), kind)


def _core_row(machine: Machine) -> CoreRow:
    """The first row of cores that fits what the machine tells of its processor."""
    sets = machine.instruction_sets
    is_assumed = sets is None or "instruction_sets" in machine.assumed
    for row in pace_tables().cores:
        if row.fits(
            architecture=machine.architecture or "x86_64",
            system=machine.system,
            maker=cpus.maker_of(machine.cpu_model or ""),
            sets=sets or (),
            is_assumed=is_assumed,
        ):
            return row
    raise LookupError("core has no row for all other processors")


def threads_range(machine: Machine, runtime: RuntimeSpec | None = None) -> Range:
    """Cores that work at once: one thread per physical core of the fastest kind, as llama.cpp has
    it, no more than the program takes by default; a range where the name alone tells of how many.
    """
    counts = _cores_at_once(machine)
    if runtime is None or not runtime.pace.default_threads:
        return counts
    return lowest(counts, Range.of(runtime.pace.default_threads))


def _cores_at_once(machine: Machine) -> Range:
    """The cores of the fastest kind that the machine may use."""
    if machine.scope == "host" and "cpu_cores_usable" in machine.assumed:
        cores = gpus.cores_in(machine)
        if cores is not None:
            return Range(*map(float, cores.performance))
    fastest = machine.cpu_cores_performance or machine.cpu_cores_physical
    counts = [machine.cpu_cores_usable, fastest]
    known = [count for count in counts if count is not None]
    return Range.of(min(known, default=_UNSTATED_CORES))


def cores_rate(machine: Machine, runtime: RuntimeSpec | None = None) -> Range:
    """Operations a second on a prompt, weights of Q4_K, of all cores that the program uses."""
    figures = pace_tables().prompt
    processor = processor_of(machine)
    core = processor.core
    rate = Range(*core.prompt) * Range(*core.ghz) * 1e9
    # each of many cores computes less than one of few
    cores = machine.cpu_cores_physical or machine.cpu_cores_usable or 1
    least_of_core = figures.cores_fall.share(cores) / processor.sockets
    rate *= Range(least_of_core, 1.0, 1.0)
    if machine.scope == "vm" and machine.architecture == "x86_64":
        # clouds rent threads, two of a core
        rate *= Range(figures.thread_of_core, 1.0, 1.0)
    threads = threads_range(machine, runtime)
    return rate * threads.likely * threads.around()


# ------------------------------------------------------------------ how fast it reads the RAM


class Bandwidth(Record):
    """Bytes per second that memory is read at, of which `BANDWIDTH_SHARE` reaches the weights."""

    ends: Range
    measured: bool = False
    how: str


@lru_cache(maxsize=4096)
def bandwidth(machine: Machine) -> Bandwidth | None:
    """Measured or stated, else told by counted guests, names or the class; None: no cores."""
    rate = machine.memory_bandwidth_bytes_per_second
    if rate is not None and _is_read(machine):
        return _measured_bandwidth(machine, rate)
    told = _bandwidth_of_guests(machine) or _bandwidth_by_name(machine, rate)
    if told is not None:
        return told
    if rate is not None:
        how = (
            f"{rate_words(rate)} (stated); processors reach a third of it to all of it"
        )
        return Bandwidth(ends=pace_tables().reading.stated_share * rate, how=how)
    chip = processor_of(machine).chip
    if chip is not None:
        return _guessed_bandwidth(machine, chip, is_peak_known=chip.called != ANY_APPLE)
    if machine.cpu_cores_usable is None:
        return None
    memory = _class_memory(machine, machine.cpu_cores_usable)
    return _guessed_bandwidth(machine, memory, is_peak_known=False)


def rate_words(*bytes_per_second: float) -> str:
    """`10.0 GB/s to 40.0 GB/s of memory bandwidth`."""
    return f"{per_second(*bytes_per_second)} of memory bandwidth"


def per_second(*bytes_per_second: float) -> str:
    """`10.0 GB/s to 40.0 GB/s`."""
    return " to ".join(f"{units.decimal(int(rate))}/s" for rate in bytes_per_second)


# ------------------------------------------------------------------ measured


def _is_read(machine: Machine) -> bool:
    """Whether its bandwidth was read on the machine itself, at rest or while it was busy."""
    return machine.is_bandwidth_measured or machine.memory_bandwidth_bound is not None


def _measured_bandwidth(machine: Machine, rate: int) -> Bandwidth:
    """By what was read here; the ends are wider where something ran beside the measurement."""
    processor = processor_of(machine)
    is_brief = machine.memory_bandwidth_how == BRIEFLY
    read = processor.memory_share * rate
    how = f"{rate_words(rate)}, measured"
    if machine.memory_bandwidth_bound is not None:
        # read while busy: it raises what name or class tell, and lowers nothing
        how = (
            f"at least {rate_words(rate)}, read while the machine was busy; for a narrower range,"
            " use --measure when it is idle"
        )
        return Bandwidth(ends=highest(read, _unmeasured_ends(machine, read)), how=how)
    high = read.high
    if is_brief:
        how += " at present"
        # what ran beside it for a moment lowers it: the fast end is no lower than without
        high = max(high, _unmeasured_ends(machine, read).high)
    if processor.is_guest:
        how += "; its host may give it more or less at another time"
    chip = processor.chip
    if chip is not None and chip.high > high and _has_shared_gpu(machine):
        high = float(chip.high)
        how += f" on the CPU cores; its GPU may use up to {units.decimal(chip.high)}/s"
    ends = read._replace(high=high)
    return Bandwidth(ends=ends, how=how, measured=True)


def _unmeasured_ends(machine: Machine, read: Range) -> Range:
    """What is known without the measurement, else what was read at best."""
    other = bandwidth(machine.replace(memory_bandwidth_bytes_per_second=None))
    if other is None:
        return Range(read.low, read.high, read.high)
    return other.ends


def _has_shared_gpu(machine: Machine) -> bool:
    """Whether the machine has a GPU that shares the RAM."""
    if processor_of(machine).is_mac:
        return True
    return any(card.unified for card in machine.cards)


# ------------------------------------------------------------------ told by counted guests


def _bandwidth_of_guests(machine: Machine) -> Bandwidth | None:
    """None where a rate is known, or it is none of the guests that were counted, on servers."""
    processor = processor_of(machine)
    if machine.memory_bandwidth_bytes_per_second is not None or not processor.is_guest:
        return None
    if machine.cpu_cores_usable is None or not _is_on_server(machine):
        return None
    maker = cpus.maker_of(processor.name)
    guests = cpus.guests_with(
        processor.core.name,
        is_amd=None if maker is None else maker == "AMD",
        cores=threads_range(machine).likely,
    )
    if guests is None:
        return None
    ends, types = guests
    clouds = f"{types} virtual machines of clouds with about as many such cores"
    rates = rate_words(ends[0], ends[2])
    how = f"{clouds} have {rates}; this one was not measured"
    return Bandwidth(ends=Range(*ends), how=how)


# ------------------------------------------------------------------ told by a name


class _NamedMemory(NamedTuple):
    """What a name tells of a memory: how it is called, how cores read it, and bytes per second of
    each socket with all channels filled (`usual`: the likely ones).
    """

    called: str
    share: cpus.Share
    peaks: cpus.Rates


def _named_memory(machine: Machine, rate: int | None) -> _NamedMemory | None:
    """What chip, series or the computer around its cards tell."""
    processor = processor_of(machine)
    series = processor.series
    if processor.is_guest and (series is None or rate is not None):
        return None
    chip = chip_of(words_of(processor.name))
    if chip is not None:
        if not chip.kind:
            return None
        peaks = _same_peaks(chip.gb_per_s * _GB)
        return _NamedMemory(chip.name, cpus.share_of(chip.kind), peaks)
    if series is not None:
        return _memory_of_series(series)
    if not is_client_by_class(machine):
        return None
    computer = gpus.computer_of(machine)
    if computer is None:
        return None
    # it may be slow in both: little is known of it
    peaks = computer.bytes_per_second
    peaks = peaks._replace(slowest=peaks.least, fastest=peaks.usual)
    called = f"a guess: {computer.name} like this"
    return _NamedMemory(called, cpus.share_of(computer.kind), peaks)


def _memory_of_series(series: cpus.Processor) -> _NamedMemory:
    peaks = series.bytes_per_second
    if series.share.takes_either:
        # between the kinds of memory that it takes, where as many have one as the other
        peaks = peaks._replace(usual=(peaks.slowest * peaks.usual) ** 0.5)
    called = f"a processor of the series {series.name}"
    return _NamedMemory(called, series.share, peaks)


def _same_peaks(bytes_per_second: float) -> cpus.Rates:
    return cpus.Rates(*[bytes_per_second] * 5)


def _bandwidth_by_name(machine: Machine, rate: int | None) -> Bandwidth | None:
    """Of the peak that somebody states, else of the usual one; None where no name tells it."""
    memory = _named_memory(machine, rate)
    if memory is None:
        return None
    peaks = memory.peaks
    how = f"{memory.called} reads up to {rate_words(peaks.usual)}"
    if rate is not None:
        peaks = _stated_peaks(machine, peaks, rate)
        how = f"{rate_words(rate)} (stated)"
    processor = processor_of(machine)
    sockets = 1 if processor.has_some_threads else processor.sockets
    ends = _read_of_peaks(machine, memory.share, peaks, sockets)
    share = units.percent(BANDWIDTH_SHARE * ends.likely / (peaks.usual * sockets))
    how += f", of which decoding gets about {share}, {memory.share.source}"
    figures = pace_tables().reading
    if processor.has_some_threads:
        # its neighbours have the rest
        ends = ends._replace(low=ends.low * figures.guest_share)
    elif _modules_are_unknown(machine):
        unknown = figures.unknown_modules
        ends = ends._replace(
            low=ends.low * unknown.low, likely=ends.likely * unknown.likely
        )
    return Bandwidth(ends=ends, how=how)


def _stated_peaks(machine: Machine, peaks: cpus.Rates, rate: int) -> cpus.Rates:
    """The stated rate; where it was assumed of a series, each kind of memory in its proportion."""
    series = processor_of(machine).series
    if series is None or machine.memory_bandwidth_how != RATE_ASSUMED:
        return _same_peaks(rate)
    scale = rate / series.bytes_per_second.usual
    return cpus.Rates(*[scale * peak for peak in peaks])


def _read_of_peaks(
    machine: Machine, share: cpus.Share, peaks: cpus.Rates, sockets: int
) -> Range:
    """What so many sockets read of memory with such peaks.

    The slow end is that of slow processors of the kind with usual memory, or of usual ones with the
    slowest memory; the fast end likewise, and no more reaches the weights than the memory gives.
    """
    cores: float | None = None
    if machine.cpu_cores_usable is not None or machine.cpu_cores_physical is not None:
        cores = threads_range(machine).likely / sockets
    rates = [share.read_bytes_per_second(peak, cores) for peak in peaks]
    read = cpus.Rates(*rates)
    low = min(share.low * read.slowest, share.likely * read.least)
    high = max(share.high * read.fastest, share.likely * read.most)
    high = min(high, peaks.most / BANDWIDTH_SHARE) * sockets
    likely = share.likely * read.usual
    if sockets == 1:
        return Range(low, likely, high)
    across = pace_tables().reading.across_sockets
    return Range(low * across.slow, likely * across.likely, high * across.fast_of_each)


def _modules_are_unknown(machine: Machine) -> bool:
    """Whether a laptop with slots may have one module for its two channels, or slow ones."""
    processor = processor_of(machine)
    if processor.is_guest:
        return False
    is_stated = machine.memory_bandwidth_bytes_per_second is not None
    if is_stated and machine.memory_bandwidth_how != FILLED_ASSUMED:
        return False
    series = processor.series
    if series is None:
        # a machine whose processor nothing tells may be a laptop
        return "cpu_model" in machine.assumed
    if series.channels != 2 or series.bits != 64 or series.memory == "soldered":
        return False
    return "mobile" in series.kind.split("|")


# ------------------------------------------------------------------ told by a chip or a class


def _guessed_bandwidth(
    machine: Machine, memory: Memory, *, is_peak_known: bool
) -> Bandwidth:
    """Between the least and the most that such a memory gives, and a little beyond."""
    figures = pace_tables().reading
    low = memory.low * figures.class_ends.least
    likely = (memory.low * memory.high) ** 0.5
    high = float(memory.high)
    if not is_peak_known:
        # no run reads more than a memory gives whose peak is known
        high *= figures.class_ends.most
    processor = processor_of(machine)
    if cpus.count_of(processor.name) > 1 and not processor.is_guest:
        low *= figures.across_sockets.slow
        likely *= figures.across_sockets.likely
    rates = rate_words(memory.low, memory.high)
    how = f"a guess: {rates} ({memory.called}), not measured"
    return Bandwidth(ends=Range(low, likely, high), how=how)


def _class_memory(machine: Machine, cores: float) -> Memory:
    """What a machine of its class with so many cores may have."""
    tables = pace_tables()
    kind = _class_of(machine) or "other"
    row = tables.memory.get(kind, tables.memory["other"])
    least = row.gb_per_s.least
    most = row.gb_per_s.most
    if kind == "x86_64":
        if machine.instruction_sets is None:
            least = tables.memory["old"].gb_per_s.least
        if machine.cpu_model:
            most = tables.reading.client_peaks.high
    low = min(row.gb_per_s_of_core.least * cores, least)
    high = min(row.gb_per_s_of_core.most * cores, most)
    called = f"{units.cores(cores)} of {row.called}"
    series = cpus.class_of(processor_of(machine).name)
    slowest = series.least_gb_per_s or series.most_gb_per_s
    if slowest:
        low = min(low, slowest)
    if series.most_gb_per_s is not None:
        high = min(high, series.most_gb_per_s)
        called += ", of a series that is no longer made"
    return Memory.of_gb(low, high, called)
