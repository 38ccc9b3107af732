"""The rates that GPUs reach: the rows of the file that hold for a GPU, how it decodes (`Gpu`), and
the peak of its memory (`gpu_of`, `shared_gpu_of`).

A GPU reads weights and context at a share of the peak of its memory, and takes a fixed time to
launch each layer. What GPUs of its kind were seen to reach stands in the first row of
`specs/common/pace.toml` that fits. The peak is told by the GPU's driver, its name, its class or the
RAM that it shares. `prompts` has the pace of prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import inf, sqrt
from typing import TypeVar

from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import Record
from ...core.units import words_of
from ...machine import cpus, gpus
from ...machine.cpus import chip_of
from ...machine.record import RATE_ASSUMED, Accelerator, Machine
from ..devices import computes_on_shared, has_capability
from .decode_step import GRAPH, MEASURED_PROGRAM, PYTHON, Step
from .processor import is_client_by_class, processor_of
from .ranges import NO_SECONDS, Amount, Range, Seconds, highest, longest
from .reading import ANY_APPLE, bandwidth, chip_memory, per_second
from .tables import (
    FEW_BITS,
    FEWEST_DEVICES,
    UNTOLD_COMPUTER,
    DecodingRow,
    DeviceFacts,
    DeviceRow,
    HostComputer,
    ShareRow,
    SumRow,
    pace_tables,
)

FoundRow = TypeVar("FoundRow", bound=DeviceRow)

_GB = units.GB
# the words in the name of a card that makers give less power than others of its number
_LESS_POWER = frozenset(("laptop", "mobile", "q"))


# ------------------------------------------------------------------ the rows that fit it


def computer_around(machine: Machine) -> HostComputer:
    """The computer around the GPUs of a machine."""
    return HostComputer(
        system=machine.system,
        architecture=machine.architecture,
        is_vm=machine.scope == "vm",
    )


@lru_cache(maxsize=1024)
def _facts_of(device: Accelerator) -> DeviceFacts:
    """The facts that tell which rows hold for a GPU, from its driver and its name."""
    name = device.name
    words = words_of(name)
    capability = gpus.capability_of(device)
    chip = chip_of(words)
    facts = gpus.facts_of(name)
    flops_of_cycle = inf
    peak = gpus.peak_flops(name, capability)
    cycles = gpus.cycles_per_second(name)
    if peak is not None and cycles is not None:
        flops_of_cycle = peak / cycles
    is_unified = bool(device.unified)
    return DeviceFacts(
        vendor=device.vendor.lower(),
        generation=facts.generation,
        unified=is_unified,
        integrated=is_unified and facts.integrated is not None,
        less_power=not _LESS_POWER.isdisjoint(words),
        hbm=gpus.has_hbm(name),
        neural=chip is not None and chip.neural,
        flops_of_cycle=flops_of_cycle,
        capability=capability,
    )


def _first_that_fits(
    rows: Sequence[FoundRow],
    device: Accelerator,
    *,
    program: str = "",
    backend: str | None = None,
    computer: HostComputer = UNTOLD_COMPUTER,
    work: str = "",
) -> FoundRow | None:
    """The first row that holds for a GPU, a runtime, a computer and a kind of work; None where none
    does.
    """
    facts = _facts_of(device)
    for row in rows:
        if row.fits(
            facts,
            program=program,
            backend=backend,
            computer=computer,
            work=work,
        ):
            return row
    return None


@lru_cache(maxsize=4096)
def decoding_row(
    device: Accelerator,
    program: str = "",
    backend: str | None = None,
    computer: HostComputer = UNTOLD_COMPUTER,
) -> DecodingRow:
    """The row that tells how such GPUs decode with a runtime."""
    row = _first_that_fits(
        pace_tables().decoding,
        device,
        program=program,
        backend=backend,
        computer=computer,
    )
    assert row is not None, "the last row holds for all GPUs"
    return row


@lru_cache(maxsize=4096)
def _share_row(
    device: Accelerator,
    work: str,
    program: str,
    backend: str | None,
) -> ShareRow | None:
    return _first_that_fits(
        pace_tables().shares,
        device,
        program=program,
        backend=backend,
        work=work,
    )


def share_row(
    device: Accelerator,
    work: str,
    program: str = "",
    backend: str | None = None,
) -> ShareRow:
    """The row that tells the share of its peak of arithmetic which such a GPU reaches with a kind
    of work.

    All GPUs have a row for prompts and pictures. For other work, call `is_timed` first.
    """
    row = _share_row(device, work, program, backend)
    assert row is not None, "of such work the caller asks is_timed first"
    return row


def is_timed(device: Accelerator, work: str) -> bool:
    """Whether the table has a row for that kind of work on such GPUs, and not only a row for any
    work.
    """
    row = _share_row(device, work, program="", backend=None)
    return row is not None and row.work == work


@lru_cache(maxsize=1024)
def sum_row(
    device: Accelerator,
    program: str,
    parts: int,
) -> SumRow:
    """How long so many such GPUs take to add up the parts of a layer with a program."""
    rows = [row for row in pace_tables().together if row.least_parts <= parts]
    row = _first_that_fits(rows, device, program=program or MEASURED_PROGRAM)
    assert row is not None, "the last row holds for all GPUs"
    return row


def sums_are_measured(device: Accelerator, *, parts: int) -> bool:
    """Whether llama.cpp was measured where so many such GPUs have a part of every layer: on three
    kinds of them or more.
    """
    row = sum_row(device, MEASURED_PROGRAM, parts)
    return row.program == MEASURED_PROGRAM and row.devices >= FEWEST_DEVICES


@lru_cache(maxsize=1024)
def staged_per_second(device: Accelerator) -> Range:
    """The bytes a second at which weights in RAM cross to such a GPU, where it does not read them
    there.
    """
    row = _first_that_fits(pace_tables().staged, device)
    assert row is not None, "the last row holds for all GPUs"
    return row.per_second


def layer_from_python(device: Accelerator, computer: HostComputer) -> Seconds:
    """The seconds in which Python launches one layer on the device in that computer."""
    row = decoding_row(device, PYTHON, computer=computer)
    return Seconds(*row.layer_us) * 1e-6


# ------------------------------------------------------------------ a GPU that decodes


class Gpu(Record):
    """A GPU whose memory bandwidth is known.

    `peak_bandwidth` is in bytes per second. Where its ends differ it is a guess, and `guessed` says
    from what.
    """

    device: Accelerator
    peak_bandwidth: Range
    guessed: str | None = None
    computer: HostComputer = UNTOLD_COMPUTER

    def row(self, step: Step) -> DecodingRow:
        """The decoding row of such GPUs with the step's runtime."""
        backend = step.backend_on(self.device)
        return decoding_row(self.device, step.program_of_rows, backend, self.computer)

    def how(self, step: Step) -> str:
        """The clause that says what the pace on the GPU rests on."""
        peak = self.peak_bandwidth
        rate = f"{per_second(peak.high)} at most"
        if self.guessed is not None:
            rate = f"{per_second(peak.low, peak.high)}, {self.guessed}"
        row = self.row(step)
        share = units.percent(row.share_of_memory)
        how = (
            f"{self.device.name} ({rate}); weights are read at {share} of that"
            f" ({row.basis}: {row.called})"
        )
        if step.unpacks_experts and step.has_experts:
            how += "; each step unpacks all experts to 16 bits, a guess"
        if step.is_eager:
            how += (
                "; without CUDA graphs a step takes at least as long as Python launches"
            )
        return how

    def seconds(
        self,
        step: Step,
        part: float = 1.0,
        *,
        is_split: bool = False,
    ) -> Seconds:
        """The seconds of one step.

        `part`: of every layer, where several GPUs compute parts of it; each GPU launches every
        layer. `is_split`: a part lies in RAM. The ends of such a step include how launches differ
        by GPU, so that the row's own `large_layer` does not count.
        """
        row = self.row(step)
        ends = _ends_around(row, step)
        reading = self._reading(step, row) * part
        if step.launched_layers is None:
            launching = _launching(step, row, is_split=is_split)
            taken = _with_ends(reading + launching, ends)
        else:
            # Python launches kernels while the GPU computes
            launching = self.launching_from_python(step.launched_layers)
            taken = longest(_with_ends(reading, ends), launching)
        taken = longest(taken, self._least_seconds(step.weights_bytes * part))
        taken += self.unpacking_experts(step) * part
        if step.is_eager:
            taken = longest(taken, self.launching_from_python(step.layers))
        return taken

    # -------------------------------------------------------------- reading

    def seconds_to_read(self, size: float, step: Step) -> Seconds:
        """The seconds in which the GPU reads `size` bytes with the step's runtime."""
        return size / self._rate(self.row(step))

    def _rate(self, row: DecodingRow) -> Range:
        """The bytes per second that the GPU reads."""
        return self.peak_bandwidth * row.share_of_memory

    def _reading(self, step: Step, row: DecodingRow) -> Seconds:
        """The seconds in which a step reads weights and context. Packed weights take as long as
        unpacking them, and others as long as multiplying by them, where that is longer.
        """
        rate = self._rate(row)
        packed = NO_SECONDS
        plain = NO_SECONDS
        for name, size in step.read_bytes.items():
            reading = size / _rate_of_type(name, rate, row)
            if name in step.packed_bytes_by_type:
                packed += reading
            else:
                plain += reading
        packed = longest(packed, self._unpacking(step, row))
        plain = longest(plain, self._multiplying(step, row))
        return packed + plain + step.context.cached_bytes / rate

    def _unpacking(self, step: Step, row: DecodingRow) -> Seconds:
        """The seconds in which the kernels unpack the weights of a step; none where unpacking is no
        limit, and for a runtime that nobody measured.
        """
        packed_bytes = step.packed_bytes_by_type
        cycles = gpus.cycles_per_second(self.device.name)
        if not packed_bytes or cycles is None or not _is_runtime_measured(row, step):
            return NO_SECONDS
        tables = pace_tables()
        counted_bytes = 0.0
        for name, size in packed_bytes.items():
            if not self._is_multiplied(name, row):
                counted_bytes += size * tables.type_called(name).unpack
        return Seconds.of(counted_bytes / (row.unpacked_per_cycle * cycles))

    def _is_multiplied(self, type_name: str, row: DecodingRow) -> bool:
        """Whether the GPU's matrix units multiply weights of the type as they are."""
        least_capability = row.multiplied_from.get(type_name)
        if least_capability is None:
            return False
        return has_capability(self.device, least_capability) is True

    def _multiplying(self, step: Step, row: DecodingRow) -> Seconds:
        """The seconds in which matrix units multiply one token by weights that need no unpacking;
        none where that is no limit.

        The units compute a tile of tokens, whether it is full or not. A byte takes as long in FP8
        as in 16 bits, because it holds twice as many numbers, which are multiplied twice as fast.
        Experts are left out: they are multiplied in smaller tiles.
        """
        tile_tokens = row.tile_tokens
        if tile_tokens is None or not step.parameters:
            return NO_SECONDS
        peak = gpus.peak_flops(self.device.name, gpus.capability_of(self.device))
        if peak is None:
            return NO_SECONDS
        beside_experts = 1 - min(1.0, step.experts.used / step.parameters)
        plain_bytes = step.weights_bytes - step.packed_bytes
        return Seconds(*tile_tokens) * (plain_bytes * beside_experts / peak)

    def _least_seconds(self, size: float) -> Seconds:
        """The seconds in which `size` bytes are read at the largest share of the peak that was
        seen.
        """
        most = pace_tables().general.most_of_peak * self.peak_bandwidth.high
        return Seconds.of(size / most)

    def unpacking_experts(self, step: Step) -> Seconds:
        """The seconds in which a step, or a batch of a prompt, unpacks all experts to 16 bits; none
        where it does not.
        """
        unpacking_bytes = step.unpacking_bytes()
        if not unpacking_bytes:
            return NO_SECONDS
        times = pace_tables().step.unpacked_experts
        return self.seconds_to_read(unpacking_bytes, step) * times

    def launching_from_python(self, layers: Amount | float) -> Seconds:
        """The seconds in which Python launches so many layers."""
        return layer_from_python(self.device, self.computer) * layers


def _rate_of_type(name: str, rate: Range, row: DecodingRow) -> Range:
    """The bytes per second at which weights of a stored type are read, where `rate` is that of all
    bytes.
    """
    share = row.types.get(name)
    # types of few bits take more work to unpack than others
    if share is None and pace_tables().type_called(name).unpack > 1:
        share = row.types.get(FEW_BITS)
    return rate if share is None else rate.end_by_end(share)


def _launching(step: Step, row: DecodingRow, *, is_split: bool) -> Seconds:
    """The seconds in which the program launches the layers of a step."""
    layers = step.layers_by_blocks() if row.half_layers else step.layers
    launching = Seconds(*row.layer_us) * (layers * 1e-6)
    if step.has_streams and row.program is None:
        launching *= pace_tables().general.streams_layer
    if not _has_large_layers(step):
        return launching
    if row.large_layer is not None and not is_split:
        return launching * row.large_layer
    if step.program_of_rows == GRAPH:
        return launching
    return launching * pace_tables().general.large_layer


def _has_large_layers(step: Step) -> bool:
    """Whether the step's layers have experts, or attend to sound too."""
    if step.has_experts:
        return True
    return step.architecture is not None and step.architecture.audio is not None


def _ends_around(row: DecodingRow, step: Step) -> Range:
    """The ends of a pace as shares of the likely pace. They are wider for runtimes and models that
    nobody measured.
    """
    low = row.slow
    high = row.fast
    if step.architecture is None or not _is_runtime_measured(row, step):
        unseen = pace_tables().general.unseen
        low = min(low, unseen.least)
        high = max(high, unseen.most)
    return Range(low, 1.0, high)


def _is_runtime_measured(row: DecodingRow, step: Step) -> bool:
    """Whether somebody measured the step's runtime, or a program with the same code."""
    return not step.other_program or row.program is not None


def _with_ends(taken: Seconds, ends: Range) -> Seconds:
    """The seconds with ends that are shares of the likely pace: the slow end is that of the lowest
    pace.
    """
    return Seconds(
        slow=taken.slow / ends.low,
        likely=taken.likely / ends.likely,
        fast=taken.fast / ends.high,
    )


# ------------------------------------------------------------------ the peak of its memory


@lru_cache(maxsize=4096)
def gpu_of(device: Accelerator, computer: HostComputer = UNTOLD_COMPUTER) -> Gpu | None:
    """Return the GPU with its bandwidth: by its driver or name, else between the maker's cards with
    as much memory; None where neither tells.
    """
    rate = device_bandwidth(device)
    if rate is not None:
        return _gpu_of_rate(device, rate, computer)
    memory_bytes = device.memory_total_bytes
    if device.unified or not memory_bytes:
        return None
    ends = gpus.peaks_with_memory(device.vendor.lower(), int(memory_bytes))
    if ends is None:
        return None
    slow, fast = ends
    likely = sqrt(slow * fast)
    peak = Range(slow, likely, fast) * _GB
    makers = f"{device.vendor}'s"
    if device.vendor == gpus.UNKNOWN:
        makers = "all makers'"
    gib = _gib(memory_bytes)
    how = f"a guess by {makers} cards with {gib} GiB"
    return Gpu(device=device, peak_bandwidth=peak, guessed=how, computer=computer)


def _gpu_of_rate(device: Accelerator, rate: float, computer: HostComputer) -> Gpu:
    """The GPU of that bandwidth, as its likely one where its name may mean other forms."""
    others = device.bandwidths_of_other_forms
    if not others:
        return Gpu(device=device, peak_bandwidth=Range.of(rate), computer=computer)
    peak = Range(min(rate, *others), rate, max(rate, *others))
    how = "by the forms that its name can mean"
    return Gpu(device=device, peak_bandwidth=peak, guessed=how, computer=computer)


def _gib(memory_bytes: int) -> int:
    return round(memory_bytes / units.GIB)


def device_bandwidth(device: Accelerator) -> float | None:
    """The peak bytes per second of the device's memory, as its driver or else its name tells; None
    where neither does.
    """
    if device.memory_bandwidth_bytes_per_second:
        return device.memory_bandwidth_bytes_per_second
    memory_bytes = device.memory_total_bytes
    total_gib = _gib(memory_bytes) if memory_bytes else None
    gb_per_s = gpus.gb_per_s_of(device.name, total_gib)
    return None if gb_per_s is None else gb_per_s * _GB


def shared_gpu_of(
    machine: Machine,
    runtime: RuntimeSpec | None = None,
    *,
    is_used: bool = False,
) -> Gpu | None:
    """Return the GPU that shares the RAM; None without such a GPU that the runtime's builds know,
    of known bandwidth. A runtime of None stands for the one that was measured.

    With `is_used`, the GPU must surely compute a model in RAM without being told to.
    """
    device = _shared_device(machine)
    if device is None:
        return None
    if runtime is not None:
        least_capability = runtime.gpus.shared_compute_capability
        if has_capability(device, least_capability) is False:
            return None
    if is_used and not _is_surely_used(machine, device, runtime):
        return None
    rate = device_bandwidth(device)
    peak: _RamPeak | None
    if rate is None:
        peak = _peak_of_ram(machine)
    else:
        peak = _RamPeak(bytes_per_second=Range.of(rate))
    if peak is None:
        return None
    return Gpu(
        device=device,
        peak_bandwidth=peak.bytes_per_second,
        guessed=peak.source,
        computer=computer_around(machine),
    )


def _shared_device(machine: Machine) -> Accelerator | None:
    """The first GPU that shares the RAM; None without one. Every Mac with an Apple chip has such a
    GPU.
    """
    if machine.accelerators is None and processor_of(machine).is_mac:
        return Accelerator(vendor="apple", name="its GPU", unified=True)
    for device in machine.cards:
        if device.unified:
            return device
    return None


def _is_surely_used(
    machine: Machine,
    device: Accelerator,
    runtime: RuntimeSpec | None,
) -> bool:
    """Whether the runtime computes on a GPU that shares the RAM without being told to."""
    # a GPU that was not read, or the GPU of a guest, may be out of the program's reach
    if machine.accelerators is None or processor_of(machine).is_guest:
        return False
    if runtime is not None:
        return computes_on_shared(runtime, device)
    return device.vendor.lower() in pace_tables().shared_gpu.measured_program


class _RamPeak(Record):
    """The peak bytes per second of the RAM, and the source where the peak is a guess."""

    bytes_per_second: Range
    source: str | None = None


def _peak_of_ram(machine: Machine) -> _RamPeak | None:
    """The peak of the RAM as stated, or told by the processor or chip; else a guess by class or
    cores. None where nothing tells it.
    """
    rate = machine.memory_bandwidth_bytes_per_second
    processor = processor_of(machine)
    is_assumed = rate is None or machine.memory_bandwidth_how == RATE_ASSUMED
    if processor.series is not None and is_assumed:
        return _peak_of_series(processor.series, rate)
    if rate is not None and not machine.is_bandwidth_measured:
        return _RamPeak(bytes_per_second=Range.of(rate))
    chip = chip_memory(processor)
    if chip is not None and chip.called != ANY_APPLE:
        return _RamPeak(bytes_per_second=Range.of(chip.high))
    ends = _guessed_peak_of_ram(machine)
    if ends is None:
        return None
    if rate is not None:
        ends = highest(ends, Range.of(rate))
    return _RamPeak(bytes_per_second=ends, source="a guess: not measured")


def _guessed_peak_of_ram(machine: Machine) -> Range | None:
    """The guessed bytes per second of a machine whose names do not tell them; None where the number
    of cores is not known either.
    """
    figures = pace_tables().reading
    if processor_of(machine).is_chip:
        return figures.any_apple * _GB
    is_rate_unknown = machine.memory_bandwidth_bytes_per_second is None
    if is_rate_unknown and is_client_by_class(machine):
        return figures.client_peaks * _GB
    memory = bandwidth(machine)
    return None if memory is None else memory.ends


def _peak_of_series(series: cpus.ProcessorSeries, rate: int | None) -> _RamPeak:
    """The peak of a series' memory with every channel filled, or with as many channels as an
    assumed rate says.

    The modules may be of the fastest kind, or faster than usual ones of their kind: the fast end is
    at least halfway, in logarithms, to the fastest modules that the series takes.
    """
    peaks = series.bytes_per_second
    filled = 1.0 if rate is None else rate / peaks.usual
    channels = "every channel"
    if filled != 1:
        channels = f"{units.percent(filled)} of its channels"
    source = f"the memory of {series.name} with {channels} filled"
    halfway = sqrt(peaks.usual * peaks.most)
    ends = Range(
        low=peaks.slowest,
        likely=peaks.usual,
        high=max(halfway, peaks.fastest),
    )
    return _RamPeak(bytes_per_second=ends * filled, source=source)
