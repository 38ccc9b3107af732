"""The processor of a machine: its cores, the threads that a program starts, and how fast they read
the RAM while a model decodes.

`processor_of` identifies the processor by its name, its instruction sets or its class. `bandwidth`
is measured or stated, or else follows from cloud guests with about as many cores, from names, from
the cards beside the processor or from its class. The rates are peaks, multiplied by the shares that
measured runs on such processors reached (`tables`).
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from math import ceil

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
# the share of the read bandwidth with which weights are read (54 runs of llama-bench here)
BANDWIDTH_SHARE = 0.86
# the cores assumed for a record that states a bandwidth and no cores
_UNSTATED_CORES = 4.0
_THREADS_OF_CORE = 2


# ------------------------------------------------------------------ the processor


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


class _ChipEnds(Record):
    """The least and the most GB/s that a chip reads of its memory, and the chip's name."""

    low_gb_per_s: float
    high_gb_per_s: float
    called: str


class Processor(Record):
    """The processor of a machine, known by its name, else by its instruction sets."""

    machine: Machine

    # -------------------------------------------------------------- what it is

    @property
    def name(self) -> str:
        """The processor's name as the system tells it; "" for none."""
        return self.machine.cpu_model or ""

    @property
    def is_guest(self) -> bool:
        """Whether other guests may share the processor."""
        return self.machine.scope in ("vm", "container")

    @property
    def is_x86_vm(self) -> bool:
        """Whether the processor belongs to an x86-64 virtual machine."""
        return self.machine.scope == "vm" and self.machine.architecture == "x86_64"

    @property
    def may_have_threads_for_cores(self) -> bool:
        """Whether what it has as cores may be threads, two of a core, as clouds rent them."""
        if not self.is_x86_vm:
            return False
        cores = self.machine.cpu_cores_physical
        usable = self.machine.cpu_cores_usable
        if usable is None:
            return True
        return cores is not None and cores >= usable

    @cached_property
    def is_server(self) -> bool:
        """Whether a word of the processor's name marks a server."""
        server_words = pace_tables().general.server_words
        return not words_of(self.name).isdisjoint(server_words)

    @property
    def is_mac(self) -> bool:
        """Whether the processor is an Apple chip with a GPU that runtimes use. Nobody measured how
        the cores of these chips read prompts.
        """
        return self.machine.system == "macos" and self.machine.architecture == "aarch64"

    @cached_property
    def named_chip(self) -> cpus.Chip | None:
        """The chip of that name, with its memory soldered beside it; None for another processor."""
        return chip_of(words_of(self.name))

    @property
    def _is_chip(self) -> bool:
        """Whether the memory is soldered beside the processor."""
        if self.named_chip is not None or self.is_mac:
            return True
        return "apple" in words_of(self.name)

    @cached_property
    def series(self) -> cpus.ProcessorSeries | None:
        """The series of a processor without memory soldered beside it; None for a chip, and where
        no name tells the series.
        """
        return None if self._is_chip else gpus.series_in(self.machine)

    @property
    def cores(self) -> float | None:
        """The number of the processor's cores, else of the cores that the machine may use; None
        where neither is known.
        """
        return self.machine.cpu_cores_physical or self.machine.cpu_cores_usable

    @cached_property
    def has_some_threads(self) -> bool:
        """Whether a guest may have only some threads of a processor that others share. WSL and a
        container without a limit have all threads.
        """
        if not self.is_guest:
            return False
        cores = cpus.cores_of(self.name)
        usable = self.machine.cpu_cores_usable
        if cores is None or usable is None:
            return True
        if not cores.are_known:
            return True
        return usable < cores.usable

    @cached_property
    def sockets(self) -> int:
        """The number of sockets, from the listed cores of the processor's name, else of the largest
        processor of its series; 1 where the cores are not known.
        """
        physical = self.machine.cpu_cores_physical
        if self.series is None or not self.series.cores or physical is None:
            return 1
        cores = self.series.cores
        listed = cpus.cores_of(self.name)
        if listed is not None and listed.are_known:
            cores = listed.physical.usual // cpus.processors_named(self.name)
        return max(1, ceil(physical / cores))

    # -------------------------------------------------------------- the memory of a chip

    @cached_property
    def chip(self) -> ReadRates | None:
        """The bandwidth of the memory soldered beside a chip; None for another processor."""
        if not self._is_chip:
            return None
        chip = self.named_chip
        figures = pace_tables().reading
        if chip is None:
            ends = _ChipEnds(
                low_gb_per_s=figures.any_apple_low,
                high_gb_per_s=figures.any_apple.high,
                called=ANY_APPLE,
            )
        else:
            ends = self._ends_of_chip(chip)
            if chip.mac is not None:
                called = f"{ends.called}, by its cores or its GPU"
                ends = ends.replace(called=called)
        low = ends.low_gb_per_s
        if self.is_guest:
            low *= figures.guest_share
        return ReadRates.of_gb(low, ends.high_gb_per_s, ends.called)

    def _ends_of_chip(self, chip: cpus.Chip) -> _ChipEnds:
        """The bandwidth ends of the chip of that name with that number of cores, or of any chip of
        that name.
        """
        ends = _ChipEnds(
            low_gb_per_s=chip.least_gb_per_s,
            high_gb_per_s=chip.gb_per_s,
            called=chip.name,
        )
        smaller = chip.smaller
        if not smaller:
            return ends
        cores = self.cores
        # a guest's cores do not identify the chip; neither does a number below the smallest chip's
        if self.is_guest or cores is None or cores < smaller.cores:
            return ends.replace(low_gb_per_s=smaller.least_gb_per_s)
        if cores > smaller.cores:
            return ends
        called = f"{chip.name} with {smaller.cores} cores"
        return _ChipEnds(
            low_gb_per_s=smaller.least_gb_per_s,
            high_gb_per_s=smaller.gb_per_s,
            called=called,
        )

    # -------------------------------------------------------------- its cores

    @property
    def core(self) -> cpus.Core:
        """The compute rates of one core, at the clock that the processor's name tells."""
        return self._core_kind.core

    @property
    def has_dot_product_of_arm(self) -> bool:
        """Whether the cores are Arm cores of version 8.2 or later, or Apple cores."""
        if self.machine.architecture != "aarch64":
            return False
        return self.core.vectors != "neon"

    @cached_property
    def shares(self) -> DecodingShares:
        """The shares that the processor reaches in decoding, relative to the measured processor.

        The first kind counts that has a row of `decode` in `specs/common/cpus.toml`: of a guest, of
        a laptop, of such cores.
        """
        shares = decoding_shares()
        kind = self._core_kind.kind
        narrower = []
        if self.has_some_threads:
            if self.may_have_threads_for_cores:
                narrower.append(f"{kind}_shared")
            narrower.append(f"{kind}_guest")
        if self._is_mobile:
            narrower.append(f"{kind}_mobile")
        for name in narrower:
            if name in shares:
                return shares[name]
        return shares[kind]

    @property
    def _is_mobile(self) -> bool:
        """Whether the processor's series is made for laptops only."""
        if self.series is None:
            return False
        return self.series.kind == "mobile"

    @cached_property
    def _core_kind(self) -> _CoreKind:
        core = self._named_core
        kind: str | None = None
        if core is None:
            row = self._core_row()
            core = row.core
            kind = row.kind
        elif core == "avx" and self._vectors == "sse":
            kind = "sse"
        # the table lists the kind of most cores
        kind = kind or pace_tables().general.kinds[core]
        clock_ghz = None if self._named is None else self._named.ghz
        return _CoreKind(core=cpus.core_called(core, clock_ghz), kind=kind)

    @property
    def _vectors(self) -> str | None:
        """The widest vectors of the processor's series; None where no series is known."""
        return None if self.series is None else self.series.vectors

    @property
    def _named(self) -> cpus.Chip | cpus.ProcessorSeries | None:
        """The chip or the series that the processor's name tells."""
        return self.named_chip or self.series

    @property
    def _named_core(self) -> str | None:
        """The core of the named chip or series. A series without one has its newest core where the
        instruction sets were not read.
        """
        named = self._named
        if named is None:
            return None
        if named.core is not None or isinstance(named, cpus.Chip):
            return named.core
        if self.machine.instruction_sets is not None:
            return None
        return cpus.CORE_OF[named.vectors]

    def _core_row(self) -> CoreRow:
        """The first row of cores that fits what the machine tells of its processor."""
        machine = self.machine
        sets = machine.instruction_sets
        for row in pace_tables().cores:
            if row.fits(
                architecture=machine.architecture or "x86_64",
                system=machine.system,
                maker=cpus.maker_of(self.name),
                sets=sets or (),
                is_assumed=sets is None or "instruction_sets" in machine.assumed,
            ):
                return row
        raise LookupError("core has no row for all other processors")

    # -------------------------------------------------------------- its class

    @property
    def is_on_server(self) -> bool:
        """Whether a guest runs on a server, by the series of its processor or the processor's
        name.
        """
        if self.series is not None:
            return self.series.kind == "server"
        if self.is_server:
            return True
        if not self.is_x86_vm:
            return False
        # a name without a number comes from an emulator: `Intel Core Processor (Haswell)`
        return not any(map(str.isdecimal, self.name))

    @property
    def memory_class(self) -> str | None:
        """The name of the machine's class in `memory` of `specs/common/pace.toml`. Names without a
        row count as `other`.
        """
        if self.is_server:
            return "server"
        if self.is_guest:
            return self.machine.scope
        if self._lacks_avx2:
            return "old"
        return self.machine.architecture

    @property
    def _lacks_avx2(self) -> bool:
        """Whether the processor is an x86-64 processor that was seen to lack AVX2."""
        sets = self.machine.instruction_sets
        if self.machine.architecture != "x86_64" or sets is None:
            return False
        return "avx2" not in sets


class _CoreKind(Record):
    """The compute rates of cores, and their kind in `decode` of `specs/common/cpus.toml`."""

    core: cpus.Core
    kind: str


@lru_cache(maxsize=4096)
def processor_of(machine: Machine) -> Processor:
    """Return the processor of a machine. Its facts are worked out once."""
    return Processor(machine=machine)


def is_client_by_class(machine: Machine) -> bool:
    """Whether the machine is a laptop or desktop with an x86-64 processor, as far as anything
    tells.
    """
    if machine.architecture not in (None, "x86_64"):
        return False
    processor = processor_of(machine)
    if processor.is_guest:
        return False
    return not processor.is_server


# ------------------------------------------------------------------ its threads


def threads_range(machine: Machine, runtime: RuntimeSpec | None = None) -> Range:
    """The number of cores that compute at once: one thread per physical core of the fastest kind,
    as in llama.cpp, and no more than the runtime takes by default.

    The number is a range where only the processor's name tells it.
    """
    counts = _cores_at_once(machine)
    if runtime is None or not runtime.pace.default_threads:
        return counts
    return lowest(counts, Range.of(runtime.pace.default_threads))


def _cores_at_once(machine: Machine) -> Range:
    """The number of cores of the fastest kind that the machine may use."""
    if machine.scope == "host" and "cpu_cores_usable" in machine.assumed:
        cores = gpus.cores_in(machine)
        if cores is not None:
            return Range(*map(float, cores.performance))
    fastest = machine.cpu_cores_performance or machine.cpu_cores_physical
    usable = machine.cpu_cores_usable
    if fastest is None and usable is not None and processor_of(machine).is_x86_vm:
        return _cores_of_threads(usable)
    known = [count for count in (usable, fastest) if count is not None]
    return Range.of(min(known, default=_UNSTATED_CORES))


def _cores_of_threads(threads: float) -> Range:
    """The cores of a guest of which only its processors are told: half as many, for clouds rent
    threads. Of 2,878 types on x86-64 2,337 have two of a core (`guests` in
    `specs/common/cpus.toml`).
    """
    cores = max(1.0, threads / _THREADS_OF_CORE)
    return Range(cores, cores, threads)


def cores_rate(machine: Machine, runtime: RuntimeSpec | None = None) -> Range:
    """The operations per second of all cores that the runtime uses, on a prompt with weights of
    Q4_K.
    """
    figures = pace_tables().prompt
    processor = processor_of(machine)
    core = processor.core
    rate = Range(*core.prompt) * Range(*core.ghz) * 1e9
    threads = threads_range(machine, runtime)
    # a core of a processor with many cores computes less than a core of one with few
    rate *= figures.cores_fall.share(threads.likely)
    rate *= Range(1 / processor.sockets, 1.0, 1.0)
    if processor.may_have_threads_for_cores:
        rate *= Range(figures.thread_of_core, 1.0, 1.0)
    return rate * threads.likely * threads.around()


def prompt_rate(machine: Machine) -> Range:
    """The operations per second, as in `cores_rate`, of all cores that read a prompt of text.

    llama.cpp starts a thread for each core. It leaves small cores out on macOS and, because they
    "harm lockstep threading", on Linux on x86-64; elsewhere it counts them (common/common.cpp).
    """
    rate = cores_rate(machine)
    large = machine.cpu_cores_performance
    every = machine.cpu_cores_physical
    if not large or every is None or every <= large or _leaves_out_small_cores(machine):
        return rate
    added = pace_tables().prompt.small_core * ((every - large) / large)
    return rate * Range(1 + added.low, 1 + added.likely, 1 + added.high)


def _leaves_out_small_cores(machine: Machine) -> bool:
    """Whether llama.cpp counts only the cores of the fastest kind."""
    if machine.system == "linux":
        return machine.architecture in (None, "x86_64")
    return machine.system == "macos"


# ------------------------------------------------------------------ how fast it reads the RAM


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
    chip = processor.chip
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
    chip = processor.chip
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

        The slow end is the lower of two rates: slow processors of the kind with usual memory, or
        usual processors with the slowest memory. The fast end is the higher of two such rates, and
        never lets more reach the weights than the memory gives.
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


def _class_memory(processor: Processor, cores: float) -> ReadRates:
    """The memory that a machine of the processor's class with `cores` cores may have."""
    tables = pace_tables()
    machine = processor.machine
    kind = processor.memory_class or "other"
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
