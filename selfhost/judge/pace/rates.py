"""What computes on a machine, and how fast.

- The processor, by its name, its instruction sets or its class, with the threads that a program
  starts.
- How fast the processor reads the memory while a model decodes: measured or stated, else told by
  counted guests of clouds, by names, by the cards beside it or by its class.
- Each GPU, by its driver, its name, its class or the RAM that it shares.

The rates are a device's peaks, times what runs on its kind were seen to reach (`tables`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import ceil, inf, sqrt
from typing import NamedTuple

from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import Record
from ...core.units import words_of
from ...machine import cpus, gpus
from ...machine.cpus import chip_of
from ...machine.record import (
    BRIEFLY,
    FILLED_ASSUMED,
    RATE_ASSUMED,
    Accelerator,
    Machine,
)
from ..devices import computes_on_shared, reaches
from . import Step
from .ranges import Range, Seconds, highest
from .tables import (
    CoreRow,
    DecodingRow,
    DecodingShares,
    DeviceFacts,
    ShareRow,
    SumRow,
    decoding_shares,
    pace_tables,
)

_GB = units.GB
ANY_APPLE = "an Apple chip"
# share of the read bandwidth that reaches the weights (54 runs of llama-bench here)
BANDWIDTH_SHARE = 0.86
_LESS_POWER = frozenset(("laptop", "mobile", "q"))
# cores of a record that states a bandwidth and no cores (assumed)
_UNSTATED_CORES = 4.0


class Memory(Record):
    """What a chip, or a class of machines, reads of its memory: bytes per second."""

    low: int
    high: int
    called: str


class Processor(Record):
    """The processor of a machine.

    `chip`: what it reads where its memory is soldered beside it; `series`: of others, None where no
    name tells it. `memory_share` and `core_share`: beside the processor measured on, by a row of
    `decode` in `specs/common/cpus.toml`. `is_server`: by a word of its name.

    A guest may have some threads of a processor that others share, unlike WSL or a container
    without a limit (`has_some_threads`). `is_mac`: the GPU of an Apple chip that programs use;
    nobody measured how its cores read prompts.
    """

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
    words = words_of(machine.cpu_model or "")
    is_guest = machine.scope in ("vm", "container")
    is_mac = machine.system == "macos" and machine.architecture == "aarch64"
    chip = chip_of(words)
    has_soldered_memory = chip is not None or is_mac or "apple" in words
    memory: Memory | None = None
    series: cpus.Processor | None = None
    if has_soldered_memory:
        memory = _chip_memory(machine, chip, is_guest=is_guest)
    else:
        series = gpus.series_in(machine)
    core = _core_of(machine, chip or series)
    has_some_threads = is_guest and not _has_all_threads(machine)
    shares = _decoding_shares(core.kind, series, has_some_threads=has_some_threads)
    return Processor(
        is_guest=is_guest,
        is_server=not words.isdisjoint(pace_tables().server_words),
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
    kinds = []
    if has_some_threads:
        kinds.append(f"{kind}_shared")
    if series is not None and series.kind == "mobile":
        kinds.append(f"{kind}_mobile")
    for special in kinds:
        if special in shares:
            return shares[special]
    return shares[kind]


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
    return Memory(low=int(low * _GB), high=int(ends.high_gb_per_s * _GB), called=called)


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
    # a guest's cores tell nothing of the chip's, nor do fewer than any such chip has
    cores = machine.cpu_cores_physical or machine.cpu_cores_usable
    if is_guest or cores is None or cores < smaller.cores:
        return ends._replace(low_gb_per_s=smaller.least_gb_per_s)
    if cores > smaller.cores:
        return ends
    called = f"{chip.name} with {smaller.cores} cores"
    return _ChipEnds(smaller.least_gb_per_s, smaller.gb_per_s, called)


class _CoreKind(NamedTuple):
    """What cores compute, and how they decode: a kind of `decode` in `specs/common/cpus.toml`."""

    core: cpus.Core
    kind: str


def _core_of(machine: Machine, named: cpus.Chip | cpus.Processor | None) -> _CoreKind:
    """What its cores compute, at the clock that the processor's name tells."""
    if named is None:
        row = _core_row(machine)
        return _core_kind(row.core, row.kind, clock_ghz=None)
    vectors = named.vectors if isinstance(named, cpus.Processor) else None
    core = named.core
    if core is None and vectors is not None and machine.instruction_sets is None:
        core = cpus.CORE_OF[vectors]
    if core is None:
        row = _core_row(machine)
        return _core_kind(row.core, row.kind, named.ghz)
    has_sse_alone = core == "avx" and vectors == "sse"
    return _core_kind(core, "sse" if has_sse_alone else None, named.ghz)


def _core_kind(core: str, kind: str | None, clock_ghz: float | None) -> _CoreKind:
    """Those cores; None: the kind that stands beside them in the table, the clock there."""
    return _CoreKind(
        cpus.core_called(core, clock_ghz), kind or pace_tables().kinds[core]
    )


def _core_row(machine: Machine) -> CoreRow:
    """The first row of cores that fits what the machine tells of its processor."""
    sets = machine.instruction_sets
    architecture = machine.architecture or "x86_64"
    maker = cpus.maker_of(machine.cpu_model or "")
    is_assumed = sets is None or "instruction_sets" in machine.assumed
    for row in pace_tables().cores:
        asked = (
            (row.architecture, architecture),
            (row.system, machine.system),
            (row.maker, maker),
            (row.assumed, is_assumed),
        )
        has_sets = set(row.sets) <= set(sets or ())
        if has_sets and all(wanted in (None, value) for wanted, value in asked):
            return row
    raise LookupError("core has no row for all other processors")


def threads_range(machine: Machine, runtime: RuntimeSpec | None = None) -> Range:
    """Cores that work at once: one thread per physical core of the fastest kind, as llama.cpp has
    it, no more than the program takes by default; a range where the name alone tells of how many.
    """
    counts = _cores_at_once(machine)
    if runtime is None or not runtime.pace.default_threads:
        return counts
    most = float(runtime.pace.default_threads)
    return Range(
        min(counts.low, most), min(counts.likely, most), min(counts.high, most)
    )


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
    cores = machine.cpu_cores_physical or machine.cpu_cores_usable or 1
    # each of many cores computes less than one of few
    least_of_core = figures.cores_fall.share(cores) / processor.sockets
    rate = Range(*core.prompt) * Range(*core.ghz) * 1e9
    rate *= Range(least_of_core, 1.0, 1.0)
    if machine.scope == "vm" and machine.architecture == "x86_64":
        # clouds rent threads, two of a core
        rate *= Range(figures.thread_of_core, 1.0, 1.0)
    threads = threads_range(machine, runtime)
    return rate * threads.likely * threads.around()


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
        how = f"{_rate(rate)} (stated); processors reach a third of it to all of it"
        return Bandwidth(ends=pace_tables().reading.stated_share * rate, how=how)
    chip = processor_of(machine).chip
    if chip is not None:
        return _guessed_bandwidth(machine, chip, is_peak_known=chip.called != ANY_APPLE)
    if machine.cpu_cores_usable is None:
        return None
    memory = _class_memory(machine, machine.cpu_cores_usable)
    return _guessed_bandwidth(machine, memory, is_peak_known=False)


def _is_read(machine: Machine) -> bool:
    """Whether its bandwidth was read on the machine itself, at rest or while it was busy."""
    return machine.is_bandwidth_measured or machine.memory_bandwidth_bound is not None


def _guessed_bandwidth(
    machine: Machine, memory: Memory, *, is_peak_known: bool
) -> Bandwidth:
    """Between the least and the most that such a memory gives, and a little beyond."""
    figures = pace_tables().reading
    # no run reads more than a memory gives whose peak is known
    beyond_most = 1 if is_peak_known else figures.class_ends.most
    low = memory.low * figures.class_ends.least
    likely = (memory.low * memory.high) ** 0.5
    count = cpus.count_of(machine.cpu_model or "")
    if count > 1 and not processor_of(machine).is_guest:
        low *= figures.across_sockets.slow
        likely *= figures.across_sockets.likely
    how = f"a guess: {_rate(memory.low, memory.high)} ({memory.called}), not measured"
    return Bandwidth(ends=Range(low, likely, float(memory.high * beyond_most)), how=how)


def _measured_bandwidth(machine: Machine, rate: int) -> Bandwidth:
    """By what was read here; the ends are wider where something ran beside the measurement."""
    processor = processor_of(machine)
    is_bound = machine.memory_bandwidth_bound is not None
    is_brief = machine.memory_bandwidth_how == BRIEFLY
    read = processor.memory_share * rate
    # what is known without that
    unmeasured = Range(read.low, read.high, read.high)
    if is_bound or is_brief:
        other = bandwidth(machine.replace(memory_bandwidth_bytes_per_second=None))
        if other is not None:
            unmeasured = other.ends
    if is_bound:
        # read while busy: it raises what name or class tell, and lowers nothing
        how = "read while the machine was busy; for a narrower range, use --measure when it is idle"
        return Bandwidth(
            ends=highest(read, unmeasured), how=f"at least {_rate(rate)}, {how}"
        )
    how = f"{_rate(rate)}, measured"
    if is_brief:
        how += " at present"
    if processor.is_guest:
        how += "; its host may give it more or less at another time"
    # what ran beside it for a moment lowers it: the fast end is no lower than without
    high = max(read.high, unmeasured.high)
    chip = processor.chip
    if chip is not None and chip.high > high and _has_shared_gpu(machine):
        high = float(chip.high)
        how += f" on the CPU cores; its GPU may use up to {units.decimal(chip.high)}/s"
    return Bandwidth(ends=Range(read.low, read.likely, high), how=how, measured=True)


def _has_shared_gpu(machine: Machine) -> bool:
    if processor_of(machine).is_mac:
        return True
    return _shared_device(machine.accelerators or ()) is not None


def _rate(*bytes_per_second: float) -> str:
    """`10.0 GB/s to 40.0 GB/s of memory bandwidth`."""
    return f"{_per_second(*bytes_per_second)} of memory bandwidth"


def _per_second(*bytes_per_second: float) -> str:
    """`10.0 GB/s to 40.0 GB/s`."""
    return " to ".join(f"{units.decimal(int(rate))}/s" for rate in bytes_per_second)


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
    chip = chip_of(words_of(machine.cpu_model or ""))
    if chip is not None:
        if not chip.kind:
            return None
        peaks = _same_peaks(chip.gb_per_s * _GB)
        return _NamedMemory(chip.name, cpus.share_of(chip.kind), peaks)
    if series is not None:
        peaks = series.bytes_per_second
        if series.share.takes_either:
            # between the kinds of memory that it takes, where as many have one as the other
            peaks = peaks._replace(usual=(peaks.slowest * peaks.usual) ** 0.5)
        return _NamedMemory(
            f"a processor of the series {series.name}", series.share, peaks
        )
    computer = gpus.computer_of(machine) if is_client_by_class(machine) else None
    if computer is None:
        return None
    # it may be slow in both: little is known of it
    peaks = computer.bytes_per_second
    peaks = peaks._replace(slowest=peaks.least, fastest=peaks.usual)
    called = f"a guess: {computer.name} like this"
    return _NamedMemory(called, cpus.share_of(computer.kind), peaks)


def _same_peaks(bytes_per_second: float) -> cpus.Rates:
    return cpus.Rates(*[bytes_per_second] * 5)


def is_client_by_class(machine: Machine) -> bool:
    """A laptop or desktop with an x86-64 processor, as far as anything tells."""
    if machine.architecture not in (None, "x86_64"):
        return False
    processor = processor_of(machine)
    return not (processor.is_server or processor.is_guest)


def _bandwidth_by_name(machine: Machine, rate: int | None) -> Bandwidth | None:
    """Of the peak that somebody states, else of the usual one; None where no name tells it."""
    memory = _named_memory(machine, rate)
    if memory is None:
        return None
    peaks = memory.peaks
    how = f"{memory.called} reads up to {_rate(peaks.usual)}"
    if rate is not None:
        peaks = _stated_peaks(machine, peaks, rate)
        how = f"{_rate(rate)} (stated)"
    processor = processor_of(machine)
    sockets = 1 if processor.has_some_threads else processor.sockets
    ends = _read_of_peaks(machine, memory.share, peaks, sockets)
    share = BANDWIDTH_SHARE * ends.likely / (peaks.usual * sockets)
    figures = pace_tables().reading
    if processor.has_some_threads:
        # its neighbours have the rest
        ends = ends._replace(low=ends.low * figures.guest_share)
    elif _modules_are_unknown(machine):
        unknown = figures.unknown_modules
        ends = Range(ends.low * unknown.low, ends.likely * unknown.likely, ends.high)
    how += (
        f", of which decoding gets about {units.percent(share)}, {memory.share.source}"
    )
    return Bandwidth(ends=ends, how=how)


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
    read = cpus.Rates(*[share.read_bytes_per_second(peak, cores) for peak in peaks])
    low = min(share.low * read.slowest, share.likely * read.least)
    high = max(share.high * read.fastest, share.likely * read.most)
    high = min(high, peaks.most / BANDWIDTH_SHARE) * sockets
    ends = Range(low, share.likely * read.usual, high)
    if sockets == 1:
        return ends
    across = pace_tables().reading.across_sockets
    return Range(
        ends.low * across.slow,
        ends.likely * across.likely,
        ends.high * across.fast_of_each,
    )


def _stated_peaks(machine: Machine, peaks: cpus.Rates, rate: int) -> cpus.Rates:
    """The stated rate; where it was assumed of a series, each kind of memory in its proportion."""
    series = processor_of(machine).series
    if series is None or machine.memory_bandwidth_how != RATE_ASSUMED:
        return _same_peaks(rate)
    scale = rate / series.bytes_per_second.usual
    return cpus.Rates(*[scale * peak for peak in peaks])


def _bandwidth_of_guests(machine: Machine) -> Bandwidth | None:
    """None where a rate is known, or it is none of the guests that were counted, on servers."""
    processor = processor_of(machine)
    if machine.memory_bandwidth_bytes_per_second is not None or not processor.is_guest:
        return None
    if machine.cpu_cores_usable is None or not _is_on_server(machine):
        return None
    maker = cpus.maker_of(machine.cpu_model or "")
    guests = cpus.guests_with(
        processor.core.name,
        is_amd=None if maker is None else maker == "AMD",
        cores=threads_range(machine).likely,
    )
    if guests is None:
        return None
    ends, types = guests
    clouds = f"{types} virtual machines of clouds with about as many such cores"
    how = f"{clouds} have {_rate(ends[0], ends[2])}; this one was not measured"
    return Bandwidth(ends=Range(*ends), how=how)


def _is_on_server(machine: Machine) -> bool:
    """Whether a guest lies on a server, by the series of its processor or its name."""
    processor = processor_of(machine)
    if processor.series is not None:
        return processor.series.kind == "server"
    if processor.is_server:
        return True
    # a name without a number is one that an emulator gives: `Intel Core Processor (Haswell)`
    has_number = any(map(str.isdecimal, machine.cpu_model or ""))
    return machine.scope == "vm" and machine.architecture == "x86_64" and not has_number


def _modules_are_unknown(machine: Machine) -> bool:
    """Whether a laptop with slots may have one module for its two channels, or slow ones."""
    processor = processor_of(machine)
    series = processor.series
    if processor.is_guest:
        return False
    is_stated = machine.memory_bandwidth_bytes_per_second is not None
    if is_stated and machine.memory_bandwidth_how != FILLED_ASSUMED:
        return False
    if series is None:
        # a machine whose processor nothing tells may be a laptop
        return "cpu_model" in machine.assumed
    if series.channels != 2 or series.bits != 64 or series.memory == "soldered":
        return False
    return "mobile" in series.kind.split("|")


def _class_memory(machine: Machine, cores: float) -> Memory:
    """What a machine of its class with so many cores may have."""
    tables = pace_tables()
    kind = _class_of(machine)
    row = tables.memory.get(kind or "other", tables.memory["other"])
    least = row.gb_per_s.least
    most = row.gb_per_s.most
    if kind == "x86_64":
        if machine.instruction_sets is None:
            least = tables.memory["old"].gb_per_s.least
        if machine.cpu_model:
            most = tables.reading.client_peaks.high
    of_core = row.gb_per_s_of_core
    low = min(of_core.least * cores, least)
    high = min(of_core.most * cores, most)
    called = f"{units.cores(cores)} of {row.called}"
    series = cpus.class_of(machine.cpu_model or "")
    slowest = series.least_gb_per_s or series.most_gb_per_s
    if slowest:
        low = min(low, slowest)
    if series.most_gb_per_s is not None:
        high = min(high, series.most_gb_per_s)
        called += ", of a series that is no longer made"
    return Memory(low=int(low * _GB), high=int(high * _GB), called=called)


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


@lru_cache(maxsize=1024)
def _facts_of(device: Accelerator) -> DeviceFacts:
    """What tells which rows hold for a GPU: its driver, and its name."""
    name = device.name
    words = words_of(name)
    capability = gpus.capability_of(device)
    chip = chip_of(words)
    flops_of_cycle = inf
    peak = gpus.peak_flops(name, capability)
    cycles = gpus.cycles_per_second(name)
    if peak is not None and cycles is not None:
        flops_of_cycle = peak / cycles
    return DeviceFacts(
        vendor=device.vendor.lower(),
        generation=gpus.facts_of(name).generation,
        unified=bool(device.unified),
        integrated=bool(device.unified) and gpus.facts_of(name).integrated is not None,
        less_power=not _LESS_POWER.isdisjoint(words),
        hbm=gpus.has_hbm(name),
        neural=chip is not None and chip.neural,
        flops_of_cycle=flops_of_cycle,
        capability=capability,
    )


@lru_cache(maxsize=4096)
def decoding_row(
    device: Accelerator, program: str = "", host: str | None = None
) -> DecodingRow:
    """How such GPUs decode with a program, beside a processor of the architecture `host`."""
    facts = _facts_of(device)
    for row in pace_tables().decoding:
        if row.fits(facts, program=program, host=host):
            return row
    raise LookupError("decode has no row for all other GPUs")


@lru_cache(maxsize=4096)
def share_row(device: Accelerator, work: str, program: str = "") -> ShareRow:
    """What such GPUs reach of their peak of arithmetic with that kind of work.

    All GPUs have a row for prompts and pictures; for other work ask `is_timed` first.
    """
    facts = _facts_of(device)
    for row in pace_tables().shares:
        if row.fits(facts, program=program, work=work):
            return row
    raise LookupError(f"share has no row for {work} on all other GPUs")


class PromptRates(Record):
    """Operations a second that a GPU computes of a prompt: of matrices, and of attention.

    `of_experts`: of a mixture, where a program was seen to compute it as a whole at another rate;
    None: the tokens of each expert are counted. `holds_launching`: the rates hold what launching
    the layers takes.
    """

    matrices: Range
    attention: Range
    of_experts: Range | None = None
    holds_launching: bool = False


def prompt_rates(device: Accelerator, step: Step) -> PromptRates | None:
    """How fast the step's program computes a prompt there; None where nothing tells it."""
    row = share_row(device, "prompt", step.program)
    peak = gpus.peak_flops(device.name, gpus.capability_of(device))
    packed = _rate_of_packed(device, row, peak)
    if packed is None:
        return None
    attended = row.attended or pace_tables().batch.attended_on_gpu
    matrices = packed
    of_experts: Range | None = None
    if peak is not None:
        if row.plain is not None and not step.packed_bytes:
            matrices = row.plain * peak
        if row.experts is not None:
            of_experts = row.experts * peak
    return PromptRates(
        matrices=matrices,
        attention=packed * attended,
        of_experts=of_experts,
        holds_launching=row.program is not None,
    )


def _rate_of_packed(
    device: Accelerator, row: ShareRow, peak: float | None
) -> Range | None:
    """Operations a second on packed weights: by the cycles of its multiprocessors, else as prompts
    were measured on such GPUs in llama.cpp, else by its peak.
    """
    cycles = gpus.cycles_per_second(device.name)
    if row.per_cycle is not None and cycles is not None:
        return row.per_cycle * cycles
    measured_tflops = gpus.facts_of(device.name).prompt_tflops
    if measured_tflops is not None and row.program is None:
        return pace_tables().measured_prompt * (measured_tflops * 1e12)
    return None if peak is None else row.share * peak


def is_timed(device: Accelerator, work: str) -> bool:
    """Whether the table has a row for that kind of work, and not only for any, on such GPUs."""
    facts = _facts_of(device)
    for row in pace_tables().shares:
        if row.fits(facts, work=work):
            return row.work == work
    return False


@lru_cache(maxsize=1024)
def sum_row(device: Accelerator) -> SumRow:
    """How long several such GPUs take to add up the parts of a layer."""
    facts = _facts_of(device)
    return next(row for row in pace_tables().together if row.fits(facts))


def layer_from_python(device: Accelerator) -> Seconds:
    """Seconds that launching one layer from Python takes."""
    slow, likely, fast = decoding_row(device, "python").layer_us
    return Seconds(slow * 1e-6, likely * 1e-6, fast * 1e-6)


class Gpu(Record):
    """Bytes per second of its memory, and where a guess is from; `host`: the processor's kind."""

    device: Accelerator
    peak_bandwidth: Range
    guessed: str | None = None
    host: str | None = None

    def row(self, step: Step) -> DecodingRow:
        """What such GPUs reach with the step's program."""
        return decoding_row(self.device, step.program, self.host)

    def seconds(
        self, step: Step, share: float = 1.0, *, is_whole: bool = True
    ) -> Seconds:
        """Of one step, or of a share of every layer: bytes over the rate that they are read at, or
        the time to unpack them where that is longer, and launching.

        Not `is_whole`: a part lies in RAM, and the ends of that step hold how launches differ.
        """
        row = self.row(step)
        weights_bytes = sum(step.read_bytes.values())
        packed_bytes = sum(step.packed_bytes.values())
        few_bits_bytes = 0 if step.foreign else _bytes_in_few_bits(step)
        # as many bytes of weights as take as long as the context
        context_bytes = step.context().cached_bytes * row.context_times
        plain_bytes = weights_bytes - packed_bytes + context_bytes
        unpacking = self._unpacking_seconds(step, row)
        most_per_second = pace_tables().most_of_peak * self.peak_bandwidth.high
        least = share * weights_bytes / most_per_second
        taken = list[float]()
        for end, peak, launched, few_bits in zip(
            _ends_of(row, step),
            self.peak_bandwidth,
            self._launching(step, row, is_whole=is_whole),
            row.few_bits,
            strict=True,
        ):
            rate = peak * row.share
            reading = (packed_bytes - few_bits_bytes) / rate
            reading += few_bits_bytes / (few_bits * rate)
            on_gpu = max(reading, unpacking) + plain_bytes / rate
            computed = share * on_gpu / end
            if step.launched_layers is None:
                computed += launched / end
            else:
                # Python launches while the GPU computes
                computed = max(computed, launched)
            taken.append(max(computed, least))
        return Seconds(*taken)

    def _unpacking_seconds(self, step: Step, row: DecodingRow) -> float:
        """How long llama.cpp's kernels unpack the weights of a step; 0 where that is no limit."""
        cycles = gpus.cycles_per_second(self.device.name)
        if cycles is None or step.foreign:
            return 0.0
        tables = pace_tables()
        counted = 0.0
        for name, size in step.packed_bytes.items():
            counted += size * tables.type_called(name).unpack
        return counted / (row.unpacked_per_cycle * cycles)

    def _launching(self, step: Step, row: DecodingRow, *, is_whole: bool) -> Seconds:
        """How long launching the layers of a step takes."""
        if step.launched_layers is not None:
            return layer_from_python(self.device) * step.launched_layers
        layers = step.blocks_in_layers() if row.half_layers else step.layers
        launching = Seconds.of(layers * row.layer_us.likely * 1e-6)
        if step.program == "graph" or not _has_large_layers(step):
            return launching
        if row.large_layer is not None and is_whole:
            return launching * row.large_layer
        return launching * pace_tables().large_layer

    def how(self, step: Step) -> str:
        """What the pace on it rests on, as a clause."""
        row = self.row(step)
        rate = f"{_per_second(self.peak_bandwidth.high)} at most"
        if self.guessed is not None:
            ends = _per_second(self.peak_bandwidth.low, self.peak_bandwidth.high)
            rate = f"{ends}, {self.guessed}"
        return (
            f"{self.device.name} ({rate}); weights are read at {units.percent(row.share)} of"
            f" that ({row.basis}: {row.called})"
        )


def _has_large_layers(step: Step) -> bool:
    """Whether its layers have experts, or attend to sound too."""
    if step.has_experts:
        return True
    return step.architecture is not None and step.architecture.audio is not None


def _ends_of(row: DecodingRow, step: Step) -> Range:
    """The ends of a pace as shares of it, wider for programs and models that nobody measured."""
    ends = Range(row.slow, 1.0, row.fast)
    is_measured = not step.foreign or row.program is not None
    if is_measured and step.architecture is not None:
        return ends
    unseen = pace_tables().unseen
    return Range(min(ends.low, unseen.least), 1.0, max(ends.high, unseen.most))


def _bytes_in_few_bits(step: Step) -> int:
    """Weights in types of one to three bits, which kernels unpack with more work a byte."""
    tables = pace_tables()
    types = step.read_bytes
    few_bits = [name for name in types if tables.type_called(name).unpack > 1]
    return sum(types[name] for name in few_bits)


@lru_cache(maxsize=4096)
def gpu_of(device: Accelerator, host: str | None = None) -> Gpu | None:
    """By its name, else between its maker's cards with as much memory; None where neither tells."""
    rate = device_bandwidth(device)
    if rate is not None:
        return Gpu(device=device, peak_bandwidth=Range.of(rate), host=host)
    memory_bytes = device.memory_total_bytes
    if device.unified or not memory_bytes:
        return None
    ends = gpus.peaks_with_memory(device.vendor.lower(), int(memory_bytes))
    if ends is None:
        return None
    slow, fast = ends
    peak = Range(slow, sqrt(slow * fast), fast) * _GB
    makers = "all makers'" if device.vendor == gpus.UNKNOWN else f"{device.vendor}'s"
    memory_gib = round(memory_bytes / units.GIB)
    how = f"a guess by {makers} cards with {memory_gib} GiB"
    return Gpu(device=device, peak_bandwidth=peak, guessed=how, host=host)


def device_bandwidth(device: Accelerator) -> float | None:
    """Peak bytes per second: as its driver tells, else by its name; None where neither does."""
    if device.memory_bandwidth_bytes_per_second:
        return device.memory_bandwidth_bytes_per_second
    total_gib = None
    if device.memory_total_bytes:
        total_gib = round(device.memory_total_bytes / units.GIB)
    gb_per_s = gpus.gb_per_s_of(device.name, total_gib)
    return None if gb_per_s is None else gb_per_s * _GB


def shared_gpu_of(
    machine: Machine, runtime: RuntimeSpec | None = None, *, is_used: bool = False
) -> Gpu | None:
    """The GPU that shares the RAM; None without one that the builds know, of a known bandwidth, or
    `is_used`: that surely computes a model in RAM without being told to.
    """
    device = _shared_device(machine.accelerators or ())
    if machine.accelerators is None and processor_of(machine).is_mac:
        device = Accelerator(vendor="apple", name="its GPU", unified=True)
    if device is None:
        return None
    if runtime is not None:
        least_capability = runtime.gpus.shared_compute_capability
        if reaches(device, least_capability) is False:
            return None
    if is_used and not _is_surely_used(machine, device, runtime):
        return None
    rate = device_bandwidth(device)
    if rate is not None:
        return Gpu(device=device, peak_bandwidth=Range.of(rate))
    peak = _peak_of_ram(machine)
    if peak is None:
        return None
    return Gpu(device=device, peak_bandwidth=peak.bytes_per_second, guessed=peak.source)


def _shared_device(devices: Iterable[Accelerator]) -> Accelerator | None:
    for device in devices:
        if device.unified:
            return device
    return None


def _is_surely_used(
    machine: Machine, device: Accelerator, runtime: RuntimeSpec | None
) -> bool:
    """Whether a program computes on a GPU that shares the RAM without being told to."""
    # one that was not read, or that of a guest, may lie out of the program's reach
    if machine.accelerators is None or processor_of(machine).is_guest:
        return False
    if runtime is None:
        return device.vendor.lower() in pace_tables().shared_gpu.measured_program
    return computes_on_shared(runtime, device)


class _RamPeak(NamedTuple):
    """What the RAM gives at most: bytes per second, and where a guess is from."""

    bytes_per_second: Range
    source: str | None = None


def _peak_of_ram(machine: Machine) -> _RamPeak | None:
    """As stated or told by processor or chip, else a guess by class or cores."""
    rate = machine.memory_bandwidth_bytes_per_second
    processor = processor_of(machine)
    series = processor.series
    is_assumed = rate is None or machine.memory_bandwidth_how == RATE_ASSUMED
    if series is not None and is_assumed:
        return _peak_of_series(series, rate)
    if rate is not None and not machine.is_bandwidth_measured:
        return _RamPeak(Range.of(rate))
    chip = processor.chip
    if chip is not None and chip.called != ANY_APPLE:
        return _RamPeak(Range.of(chip.high))
    ends = _guessed_peak_of_ram(machine)
    if ends is None:
        return None
    if rate is not None:
        ends = highest(ends, Range.of(rate))
    return _RamPeak(ends, "a guess: not measured")


def _guessed_peak_of_ram(machine: Machine) -> Range | None:
    """Bytes per second of a machine whose names do not tell it; None without a known core."""
    figures = pace_tables().reading
    if processor_of(machine).chip is not None:
        return figures.any_apple * _GB
    is_rate_unknown = machine.memory_bandwidth_bytes_per_second is None
    if is_rate_unknown and is_client_by_class(machine):
        return figures.client_peaks * _GB
    memory = bandwidth(machine)
    return None if memory is None else memory.ends


def _peak_of_series(series: cpus.Processor, rate: int | None) -> _RamPeak:
    """With every channel filled, or as many as an assumed rate says."""
    peaks = series.bytes_per_second
    filled = 1.0 if rate is None else rate / peaks.usual
    channels = "every channel"
    if filled != 1:
        channels = f"{units.percent(filled)} of its channels"
    most = max((peaks.usual * peaks.most) ** 0.5, peaks.fastest)
    source = f"the memory of {series.name} with {channels} filled"
    return _RamPeak(Range(peaks.slowest, peaks.usual, most) * filled, source)
