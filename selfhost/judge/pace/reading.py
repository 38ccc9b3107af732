"""How fast a processor reads the RAM while a model decodes.

`bandwidth` is measured or stated, or else follows from cloud guests with about as many cores, from
names, from the cards beside the processor or from its class. The rates are peaks, multiplied by the
shares that measured runs on such processors reached (`tables`).
"""

from __future__ import annotations

from functools import lru_cache

from ...core import units
from ...core.records import Record
from ...machine import cpus, gpus
from ...machine.record import BRIEFLY, FILLED_ASSUMED, RATE_ASSUMED, Machine
from .processor import Processor, is_client_by_class, processor_of, threads_range
from .ranges import Range, highest
from .tables import pace_tables

_GB = units.GB
ANY_APPLE = "an Apple chip"
# the share of the read bandwidth with which weights are read (54 runs of llama-bench here)
BANDWIDTH_SHARE = 0.86


class Bandwidth(Record):
    """The bytes per second at which memory is read; `BANDWIDTH_SHARE` of them reaches the
    weights.
    """

    ends: Range
    how: str


@lru_cache(maxsize=4096)
def bandwidth(machine: Machine) -> Bandwidth | None:
    """The bandwidth that was measured or stated, else told by counted guests, names or the class;
    None where the number of cores is not known.
    """
    processor = processor_of(machine)
    rate = machine.memory_bandwidth_bytes_per_second
    if rate is None:
        return _bandwidth_without_rate(processor)
    if machine.memory_bandwidth_bound is not None:
        return _bandwidth_while_busy(processor, rate)
    if machine.is_bandwidth_measured:
        return _measured_bandwidth(processor, rate)
    named = _bandwidth_by_name(processor)
    if named is not None:
        return named
    how = f"{rate_words(rate)} (stated); processors reach a third of it to all of it"
    return Bandwidth(ends=pace_tables().reading.stated_share * rate, how=how)


def _bandwidth_without_rate(processor: Processor) -> Bandwidth | None:
    """The bandwidth by counted guests, by a name, else by the chip or the class; None where the
    number of cores is not known.
    """
    told = _bandwidth_of_guests(processor) or _bandwidth_by_name(processor)
    if told is not None:
        return told
    chip = chip_memory(processor)
    if chip is not None:
        is_named = chip.called != ANY_APPLE
        return _guessed_bandwidth(processor, chip, is_peak_known=is_named)
    cores = processor.machine.cpu_cores_usable
    if cores is None:
        return None
    memory = _class_memory(processor, cores)
    return _guessed_bandwidth(processor, memory, is_peak_known=False)


def rate_words(*bytes_per_second: float) -> str:
    """`10.0 GB/s to 40.0 GB/s of memory bandwidth`."""
    return f"{per_second(*bytes_per_second)} of memory bandwidth"


def per_second(*bytes_per_second: float) -> str:
    """`10.0 GB/s to 40.0 GB/s`."""
    rates = [f"{units.decimal(int(rate))}/s" for rate in bytes_per_second]
    return " to ".join(rates)


# ------------------------------------------------------------------ measured


def _bandwidth_while_busy(processor: Processor, rate: int) -> Bandwidth:
    """The bandwidth that was read while the machine was busy. The reading raises the bandwidth by
    name or class, and lowers nothing.
    """
    read = processor.shares.memory * rate
    how = (
        f"at least {rate_words(rate)}, read while the machine was busy; for a narrower range,"
        " use --measure when it is idle"
    )
    return Bandwidth(ends=highest(read, _unmeasured_ends(processor, read)), how=how)


def _measured_bandwidth(processor: Processor, rate: int) -> Bandwidth:
    """The bandwidth that was measured on the machine. The fast end is higher where only a moment
    was measured.
    """
    machine = processor.machine
    read = processor.shares.memory * rate
    high = read.high
    how = f"{rate_words(rate)}, measured"
    if machine.memory_bandwidth_how == BRIEFLY:
        how += " at present"
        # processes that ran during a brief measurement lower it: the fast end is not below the one
        # without a measurement
        high = max(high, _unmeasured_ends(processor, read).high)
    if processor.is_guest:
        how += "; its host may give it more or less at another time"
    chip = chip_memory(processor)
    if chip is not None and chip.high > high and _has_shared_gpu(processor):
        high = float(chip.high)
        how += f" on the CPU cores; its GPU may use up to {units.decimal(chip.high)}/s"
    return Bandwidth(ends=read._replace(high=high), how=how)


def _unmeasured_ends(processor: Processor, read: Range) -> Range:
    """The bandwidth ends that are known without the measurement; where none are known, ends up to
    the best that was read.
    """
    unmeasured = processor.machine.replace(memory_bandwidth_bytes_per_second=None)
    other = bandwidth(unmeasured)
    if other is None:
        return Range(read.low, read.high, read.high)
    return other.ends


def _has_shared_gpu(processor: Processor) -> bool:
    """Whether the machine has a GPU that shares the RAM."""
    if processor.is_mac:
        return True
    return any(card.unified for card in processor.machine.cards)


# ------------------------------------------------------------------ told by counted guests


def _bandwidth_of_guests(processor: Processor) -> Bandwidth | None:
    """The bandwidth by counted virtual machines of clouds; None where the processor is none of the
    counted guests on servers.
    """
    machine = processor.machine
    if not processor.is_guest or not processor.is_on_server:
        return None
    if machine.cpu_cores_usable is None:
        return None
    maker = cpus.maker_of(processor.name)
    guests = cpus.guests_with(
        processor.core.name,
        is_amd=None if maker is None else maker == "AMD",
        cores=threads_range(machine).likely,
    )
    if guests is None:
        return None
    clouds = f"{guests.types} virtual machines of clouds with about as many such cores"
    rates = rate_words(guests.low, guests.high)
    how = f"{clouds} have {rates}; this one was not measured"
    ends = Range(guests.low, guests.likely, guests.high)
    return Bandwidth(ends=ends, how=how)


# ------------------------------------------------------------------ told by a name


class _NamedMemory(Record):
    """The memory that a name tells: its name, the share of it that cores read, and its bytes per
    second.

    `peaks` are those of each socket with all channels filled; `usual` among them is the likely one.
    """

    called: str
    share: cpus.MemoryShare
    peaks: cpus.Rates

    def read(self, cores: float | None) -> Range:
        """The bytes per second that `cores` cores of one socket read; None stands for enough cores.

        The slow end is the lower of two rates: slow processors of the kind with the slowest memory
        that they may well have, or usual processors with the slowest that they take. The fast end
        is the higher of two such rates, and never lets more reach the weights than the memory
        gives.
        """
        share = self.share
        rates = [share.read_bytes_per_second(peak, cores) for peak in self.peaks]
        read = cpus.Rates(*rates)
        by_slow_processors = share.low * read.slowest
        by_slow_memory = share.likely * read.least
        by_fast_processors = share.high * read.fastest
        by_fast_memory = share.likely * read.most
        most = self.peaks.most / BANDWIDTH_SHARE
        return Range(
            min(by_slow_processors, by_slow_memory),
            share.likely * read.usual,
            min(max(by_fast_processors, by_fast_memory), most),
        )


def _named_memory(processor: Processor) -> _NamedMemory | None:
    """The memory that the chip, the series or the computer around the machine's cards tells; None
    where none of them does.
    """
    series = processor.series
    machine = processor.machine
    if processor.is_guest:
        is_stated = machine.memory_bandwidth_bytes_per_second is not None
        if series is None or is_stated:
            return None
    chip = processor.named_chip
    if chip is not None:
        if chip.share is None:
            return None
        peaks = _same_peaks(chip.gb_per_s * _GB)
        return _NamedMemory(called=chip.name, share=chip.share, peaks=peaks)
    if series is not None:
        return _memory_of_series(series)
    if not is_client_by_class(machine):
        return None
    computer = gpus.computer_of(machine)
    if computer is None:
        return None
    # little is known of the computer and its memory may be slow: the usual peak is the fast end
    peaks = computer.bytes_per_second
    peaks = peaks._replace(slowest=peaks.least, fastest=peaks.usual)
    called = f"a guess: {computer.name} like this"
    return _NamedMemory(called=called, share=cpus.share_of(computer.kind), peaks=peaks)


def _memory_of_series(series: cpus.ProcessorSeries) -> _NamedMemory:
    peaks = series.bytes_per_second
    if series.share.takes_either:
        # usual peak: the geometric mean of both kinds of memory that the series takes, which are
        # equally common
        peaks = peaks._replace(usual=(peaks.slowest * peaks.usual) ** 0.5)
    called = f"a processor of the series {series.name}"
    return _NamedMemory(called=called, share=series.share, peaks=peaks)


def _same_peaks(bytes_per_second: float) -> cpus.Rates:
    return cpus.Rates(*[bytes_per_second] * 5)


def _bandwidth_by_name(processor: Processor) -> Bandwidth | None:
    """The bandwidth from the stated peak, else from the usual peak of the named memory; None where
    no name tells the memory.
    """
    memory = _named_memory(processor)
    if memory is None:
        return None
    how = f"{memory.called} reads up to {rate_words(memory.peaks.usual)}"
    rate = processor.machine.memory_bandwidth_bytes_per_second
    if rate is not None:
        memory = memory.replace(peaks=_stated_peaks(processor, memory.peaks, rate))
        how = f"{rate_words(rate)} (stated)"
    sockets = 1 if processor.has_some_threads else processor.sockets
    ends = _read_by_sockets(processor, memory, sockets)
    share = BANDWIDTH_SHARE * ends.likely / (memory.peaks.usual * sockets)
    how += (
        f", of which decoding gets about {units.percent(share)}, {memory.share.source}"
    )
    figures = pace_tables().reading
    if processor.has_some_threads:
        # the guests beside this one use the rest of the host's bandwidth
        ends = ends._replace(low=ends.low * figures.guest_share)
    elif _modules_are_unknown(processor):
        ends = ends.end_by_end(figures.unknown_modules)
    return Bandwidth(ends=ends, how=how)


def _stated_peaks(
    processor: Processor,
    peaks: cpus.Rates,
    rate: int,
) -> cpus.Rates:
    """The stated rate as peaks. Where that rate was assumed of a series or a computer, the peaks
    keep the proportions of the memory kinds there.
    """
    if processor.machine.memory_bandwidth_how != RATE_ASSUMED:
        return _same_peaks(rate)
    series = processor.series
    usual = peaks.usual
    if series is not None:
        usual = series.bytes_per_second.usual
    scale = rate / usual
    return cpus.Rates(*[scale * peak for peak in peaks])


def _read_by_sockets(
    processor: Processor,
    memory: _NamedMemory,
    sockets: int,
) -> Range:
    """The bytes per second that `sockets` sockets read, each of its own memory."""
    cores: float | None = None
    if processor.cores is not None:
        cores = threads_range(processor.machine).likely / sockets
    read = memory.read(cores)
    if sockets == 1:
        return read
    across = pace_tables().reading.across_sockets
    fast = read.high * sockets * across.fast_of_each
    return Range(read.low * across.slow, read.likely * across.likely, fast)


def _modules_are_unknown(processor: Processor) -> bool:
    """Whether a laptop with slots may have one module for its two channels, or slow modules."""
    machine = processor.machine
    if processor.is_guest:
        return False
    is_stated = machine.memory_bandwidth_bytes_per_second is not None
    if is_stated and machine.memory_bandwidth_how != FILLED_ASSUMED:
        return False
    total_bytes = machine.memory_total_bytes
    most_of_one_bytes = pace_tables().reading.most_of_one_module_gib * units.GIB
    if total_bytes is not None and total_bytes > most_of_one_bytes:
        return False
    series = processor.series
    if series is None:
        # a machine without any fact about its processor may be a laptop
        return "cpu_model" in machine.assumed
    if series.memory == "soldered" or "mobile" not in series.kind.split("|"):
        return False
    return series.channels == 2 and series.bits == 64


# ------------------------------------------------------------------ told by a chip or a class


class ReadRates(Record):
    """The memory bandwidth of a chip, or of a class of machines, in bytes per second.

    `called` is the name of the chip or class.
    """

    low: int
    high: int
    called: str

    @classmethod
    def of_gb(
        cls,
        low: float,
        high: float,
        called: str,
    ) -> ReadRates:
        """Return the bandwidth record of a memory that reads `low` to `high` GB/s."""
        return cls(low=int(low * _GB), high=int(high * _GB), called=called)


def chip_memory(processor: Processor) -> ReadRates | None:
    """The bandwidth of the memory soldered beside a chip; None for another processor."""
    if not processor.is_chip:
        return None
    figures = pace_tables().reading
    chip = processor.named_chip
    if chip is None:
        rates = ReadRates.of_gb(
            figures.any_apple_low, figures.any_apple.high, ANY_APPLE
        )
    else:
        rates = _rates_of_chip(processor, chip)
    if processor.is_guest:
        rates = rates.replace(low=int(rates.low * figures.guest_share))
    return rates


def _rates_of_chip(processor: Processor, chip: cpus.Chip) -> ReadRates:
    """The bandwidth of the chip of that name with the processor's number of cores, or of any chip
    of that name.
    """
    how = "" if chip.mac is None else ", by its cores or its GPU"
    called = f"{chip.name}{how}"
    smaller = chip.smaller
    if not smaller:
        return ReadRates.of_gb(chip.least_gb_per_s, chip.gb_per_s, called)
    cores = processor.cores
    # a guest's cores do not identify the chip; neither does a number below the smallest chip's
    if processor.is_guest or cores is None or cores < smaller.cores:
        return ReadRates.of_gb(smaller.least_gb_per_s, chip.gb_per_s, called)
    if cores > smaller.cores:
        return ReadRates.of_gb(chip.least_gb_per_s, chip.gb_per_s, called)
    called = f"{chip.name} with {smaller.cores} cores{how}"
    return ReadRates.of_gb(smaller.least_gb_per_s, smaller.gb_per_s, called)


def _guessed_bandwidth(
    processor: Processor,
    memory: ReadRates,
    *,
    is_peak_known: bool,
) -> Bandwidth:
    """The bandwidth between the least and the most that such a memory gives, and a little
    beyond.
    """
    figures = pace_tables().reading
    low = memory.low * figures.class_ends.least
    likely = (memory.low * memory.high) ** 0.5
    high = float(memory.high)
    if not is_peak_known:
        # a known peak of the memory is an upper bound of every run
        high *= figures.class_ends.most
    if cpus.processors_named(processor.name) > 1 and not processor.is_guest:
        low *= figures.across_sockets.slow
        likely *= figures.across_sockets.likely
    rates = rate_words(memory.low, memory.high)
    how = f"a guess: {rates} ({memory.called}), not measured"
    return Bandwidth(ends=Range(low, likely, high), how=how)


def _memory_class(processor: Processor) -> str | None:
    """The name of the machine's class in `memory` of `specs/common/pace.toml`. Names without a row
    count as `other`.
    """
    machine = processor.machine
    if processor.is_server:
        return "server"
    if processor.is_guest:
        return machine.scope
    sets = machine.instruction_sets
    if machine.architecture == "x86_64" and sets is not None and "avx2" not in sets:
        return "old"
    return machine.architecture


def _class_memory(processor: Processor, cores: float) -> ReadRates:
    """The memory that a machine of the processor's class with `cores` cores may have."""
    tables = pace_tables()
    machine = processor.machine
    kind = _memory_class(processor) or "other"
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
    series = cpus.class_of(processor.name)
    slowest = series.least_gb_per_s or series.most_gb_per_s
    if slowest:
        low = min(low, slowest)
    if series.most_gb_per_s is not None:
        high = min(high, series.most_gb_per_s)
        called += ", of a series that is no longer made"
    return ReadRates.of_gb(low, high, called)
