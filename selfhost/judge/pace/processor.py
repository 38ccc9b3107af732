"""The processor of a machine: what it is, the threads that a program starts on its cores, and the
operations that these compute.

`processor_of` identifies the processor by its name, its instruction sets or its class. `reading`
has how fast it reads the RAM, `cores` the time of a token.
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
from ...machine.record import Machine
from .ranges import Range, lowest
from .tables import CoreRow, DecodingShares, decoding_shares, pace_tables

_GB = units.GB
# the cores assumed for a record that states a bandwidth and no cores
_UNSTATED_CORES = 4.0
_THREADS_OF_CORE = 2


# ------------------------------------------------------------------ the processor


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
    def is_chip(self) -> bool:
        """Whether the memory is soldered beside the processor."""
        if self.named_chip is not None or self.is_mac:
            return True
        return "apple" in words_of(self.name)

    @cached_property
    def series(self) -> cpus.ProcessorSeries | None:
        """The series of a processor without memory soldered beside it; None for a chip, and where
        no name tells the series.
        """
        return None if self.is_chip else gpus.series_in(self.machine)

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


def cores_rate_with_small(machine: Machine) -> Range:
    """The operations per second, as in `cores_rate`, of all cores that read a prompt of text: with
    the small cores where llama.cpp counts them.

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
