"""The rates that GPUs reach, as shares of their peaks: decoding, reading prompts, and adding up the
parts of several GPUs.

A GPU is identified by its driver, its name, its class or the RAM that it shares. The share of the
peak that measured runs reached on such GPUs stands in a row of `specs/common/pace.toml` (`tables`).
"""

from __future__ import annotations

from functools import lru_cache
from math import hypot, inf, sqrt
from typing import NamedTuple

from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import Record
from ...core.units import words_of
from ...machine import cpus, gpus
from ...machine.cpus import chip_of
from ...machine.record import RATE_ASSUMED, Accelerator, Machine
from ...needs.case import MICRO_BATCH_TOKENS
from ..devices import computes_on_shared, has_capability
from . import MEASURED_PROGRAM, Step
from .experts import experts_used
from .processor import (
    ANY_APPLE,
    bandwidth,
    is_client_by_class,
    per_second,
    processor_of,
)
from .ranges import NO_SECONDS, Amount, Range, Seconds, highest, longest
from .tables import (
    ANY_COMPUTER,
    DecodingRow,
    DeviceFacts,
    HostComputer,
    ShareRow,
    SumRow,
    pace_tables,
)

_GB = units.GB
# a row that rests on fewer is a guess
_FEWEST_DEVICES = 3
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
    less_power_words = _LESS_POWER & words
    is_unified = bool(device.unified)
    return DeviceFacts(
        vendor=device.vendor.lower(),
        generation=facts.generation,
        unified=is_unified,
        integrated=is_unified and facts.integrated is not None,
        less_power=bool(less_power_words),
        hbm=gpus.has_hbm(name),
        neural=chip is not None and chip.neural,
        flops_of_cycle=flops_of_cycle,
        capability=capability,
    )


@lru_cache(maxsize=4096)
def decoding_row(
    device: Accelerator,
    program: str = "",
    backend: str | None = None,
    computer: HostComputer = ANY_COMPUTER,
) -> DecodingRow:
    """The row that tells how such GPUs decode with a runtime."""
    facts = _facts_of(device)
    for row in pace_tables().decoding:
        if row.fits(
            facts,
            program=program,
            backend=backend,
            computer=computer,
        ):
            return row
    raise LookupError("decode has no row for all other GPUs")


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
    row = _first_share_row(device, work, program, backend)
    assert row is not None, "of such work the caller asks is_timed first"
    return row


@lru_cache(maxsize=4096)
def _first_share_row(
    device: Accelerator,
    work: str,
    program: str,
    backend: str | None = None,
) -> ShareRow | None:
    facts = _facts_of(device)
    for row in pace_tables().shares:
        if row.fits(facts, program=program, backend=backend, work=work):
            return row
    return None


def is_timed(device: Accelerator, work: str) -> bool:
    """Whether the table has a row for that kind of work on such GPUs, and not only a row for any
    work.
    """
    row = _first_share_row(device, work, "")
    return row is not None and row.work == work


@lru_cache(maxsize=1024)
def sum_row(
    device: Accelerator,
    program: str,
    parts: int,
) -> SumRow:
    """How long so many such GPUs take to add up the parts of a layer with a program."""
    facts = _facts_of(device)
    for row in pace_tables().together:
        fits = row.fits(facts, program=program or MEASURED_PROGRAM)
        if fits and row.least_parts <= parts:
            return row
    raise LookupError("together has no row for all other GPUs")


def sums_are_measured(device: Accelerator, *, parts: int) -> bool:
    """Whether llama.cpp was measured where so many such GPUs have a part of every layer: on three
    kinds of them or more.
    """
    row = sum_row(device, MEASURED_PROGRAM, parts)
    return row.program == MEASURED_PROGRAM and row.devices >= _FEWEST_DEVICES


@lru_cache(maxsize=1024)
def staged_per_second(device: Accelerator) -> Range:
    """The bytes a second at which weights in RAM cross to such a GPU, where it does not read them
    there.
    """
    facts = _facts_of(device)
    for row in pace_tables().staged:
        if row.fits(facts):
            return row.per_second
    raise LookupError("staged has no row for all other GPUs")


def layer_from_python(device: Accelerator, computer: HostComputer) -> Seconds:
    """The seconds in which Python launches one layer on the device in that computer."""
    row = decoding_row(device, "python", computer=computer)
    return Seconds(*row.layer_us) * 1e-6


# ------------------------------------------------------------------ a GPU


class Gpu(Record):
    """A GPU whose memory bandwidth is known.

    `peak_bandwidth` is in bytes per second. Where its ends differ it is a guess, and `guessed` says
    from what.
    """

    device: Accelerator
    peak_bandwidth: Range
    guessed: str | None = None
    computer: HostComputer = ANY_COMPUTER

    def row(self, step: Step) -> DecodingRow:
        """The decoding row of such GPUs with the step's runtime."""
        return decoding_row(self.device, step.program, step.backend, self.computer)

    def how(self, step: Step) -> str:
        """The clause that says what the pace on the GPU rests on."""
        peak = self.peak_bandwidth
        rate = f"{per_second(peak.high)} at most"
        if self.guessed is not None:
            rate = f"{per_second(peak.low, peak.high)}, {self.guessed}"
        row = self.row(step)
        share = units.percent(row.share)
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

    # -------------------------------------------------------------- a token

    def seconds(
        self,
        step: Step,
        share: float = 1.0,
        *,
        is_split: bool = False,
    ) -> Seconds:
        """The seconds of one step: the bytes over the rate at which they are read, or the time to
        unpack them where that is longer, plus launching. Python launches while the GPU computes, so
        only the longer time counts there, and in a step without graphs.

        `share` is the share of every layer, where several GPUs compute parts of it; each GPU
        launches every layer. `is_split`: a part lies in RAM, and the ends of such a step include
        how launches differ.
        """
        row = self.row(step)
        token = self._token(step, row)
        most_per_second = pace_tables().general.most_of_peak * self.peak_bandwidth.high
        least = share * step.weights_bytes / most_per_second
        ends = []
        for pace, peak, launching in zip(
            _ends_of_pace(row, step),
            self.peak_bandwidth,
            self._launching(step, row, is_split=is_split),
            strict=True,
        ):
            taken = share * token.seconds(peak * row.share) / pace
            if step.launched_layers is None:
                taken += launching / pace
            else:
                # Python launches kernels while the GPU computes
                taken = max(taken, launching)
            ends.append(max(taken, least))
        seconds = Seconds(*ends) + self._unpacking_experts(step) * share
        if step.is_eager:
            return longest(seconds, self._launching_from_python(step.layers))
        return seconds

    def _launching_from_python(self, layers: Amount | float) -> Seconds:
        """The seconds in which Python launches so many layers."""
        return layer_from_python(self.device, self.computer) * layers

    def _unpacking_experts(self, step: Step) -> Seconds:
        """The seconds in which a step, or a batch of a prompt, unpacks all experts to 16 bits."""
        unpacking_bytes = step.unpacking_bytes()
        if not unpacking_bytes:
            return NO_SECONDS
        rate = self.peak_bandwidth * self.row(step).share
        times = pace_tables().step.unpacked_experts
        return unpacking_bytes / rate * times

    def _token(self, step: Step, row: DecodingRow) -> _TokenOnGpu:
        """The work of the step for one token.

        The context counts as bytes of weights that take as long to read.
        """
        context_bytes = step.context().cached_bytes
        return _TokenOnGpu(
            packed_bytes=step.packed_bytes,
            plain_bytes=step.weights_bytes - step.packed_bytes,
            context_bytes=context_bytes,
            unpacking_seconds=self._unpacking_seconds(step, row),
        )

    def _unpacking_seconds(self, step: Step, row: DecodingRow) -> float:
        """The seconds in which the kernels unpack the weights of a step; 0 where unpacking is no
        limit, and for a runtime that nobody measured.
        """
        cycles = gpus.cycles_per_second(self.device.name)
        if cycles is None or (step.other_program and row.program is None):
            return 0.0
        tables = pace_tables()
        counted = 0.0
        for name, size in step.packed_bytes_by_type.items():
            counted += size * tables.type_called(name).unpack
        return counted / (row.unpacked_per_cycle * cycles)

    def _launching(
        self,
        step: Step,
        row: DecodingRow,
        *,
        is_split: bool,
    ) -> Seconds:
        """The seconds in which the layers of a step are launched."""
        if step.launched_layers is not None:
            return self._launching_from_python(step.launched_layers)
        layers = step.blocks_in_layers() if row.half_layers else step.layers
        launching = Seconds(*row.layer_us) * (layers * 1e-6)
        if not _has_large_layers(step):
            return launching
        if row.large_layer is not None and not is_split:
            return launching * row.large_layer
        if step.program == "graph":
            return launching
        return launching * pace_tables().general.large_layer

    # -------------------------------------------------------------- a prompt

    def prompt_seconds(
        self, step: Step, batch_tokens: int = MICRO_BATCH_TOKENS
    ) -> Seconds | None:
        """The seconds of one token of a prompt that is read in batches of `batch_tokens`; None
        where nothing tells how fast the GPU computes.

        A batch takes the longer of computing its matrices and of reading all weights, then
        attention, and a fixed time for each layer. Launched from Python, a batch takes at least the
        time to launch its operations. A mixture takes its operations at the rate `of_experts`,
        where that rate was measured, and attention.
        """
        rates = _prompt_rates(self.device, step)
        met = step.parameters_met()
        active = sum(met.values())
        if rates is None or active <= 0:
            return None
        attending = step.attended() / rates.attention
        if rates.of_experts is not None and step.has_experts:
            computing = 2 * active / rates.of_experts
            return computing + attending
        batch = step.batch_tokens(rates.batch_tokens or batch_tokens)
        operations = _operations_of_batch(step, active, batch, rates)
        computing = 1 / rates.matrices * operations
        reading = self._seconds_to_read_all(step)
        of_token = (longest(computing, reading) + self._unpacking_experts(step)) / batch
        taken = of_token.plus_independent(attending)
        if step.launched_layers is not None:
            launching = self._launching_from_python(step.launched_layers)
            return longest(taken, launching / batch)
        launching = rates.launched_seconds * (step.layers / batch)
        return taken.plus_independent(launching)

    def _seconds_to_read_all(self, step: Step) -> Seconds:
        """The seconds in which a batch of a prompt reads all weights."""
        row = self.row(step)
        rate = self.peak_bandwidth * row.share
        return step.all_weights_bytes() / rate


class _TokenOnGpu(NamedTuple):
    """The work of one token on a GPU.

    - `packed_bytes`: as many bytes of weights as take as long to read as those that are unpacked.
    - `plain_bytes`: as many bytes of weights as take as long to read as the other weights.
    - `context_bytes`: as many bytes of weights as take as long to read as the context.
    - `unpacking_seconds`: the time in which the kernels unpack; 0 where unpacking is no limit.
    """

    packed_bytes: float
    plain_bytes: float
    context_bytes: float
    unpacking_seconds: float

    def seconds(self, rate: float) -> float:
        """The seconds of one token at `rate` bytes a second."""
        taken = max(self.packed_bytes / rate, self.unpacking_seconds)
        return taken + (self.plain_bytes + self.context_bytes) / rate


def _has_large_layers(step: Step) -> bool:
    """Whether the step's layers have experts, or attend to sound too."""
    if step.has_experts:
        return True
    return step.architecture is not None and step.architecture.audio is not None


def _ends_of_pace(row: DecodingRow, step: Step) -> Range:
    """The ends of a pace as shares of the pace. The ends are wider for runtimes and models that
    nobody measured.
    """
    low = row.slow
    high = row.fast
    if not _is_measured(row, step):
        unseen = pace_tables().general.unseen
        low = min(low, unseen.least)
        high = max(high, unseen.most)
    return Range(low, 1.0, high)


def _is_measured(row: DecodingRow, step: Step) -> bool:
    """Whether somebody measured the step's runtime, with models whose layers are known."""
    if step.architecture is None:
        return False
    if not step.other_program:
        return True
    return row.program is not None


class _PromptRates(Record):
    """The operations per second that a GPU computes of a prompt, for matrices and for attention.

    `of_experts`: the rate for a whole mixture, where a runtime was measured so. None: the tokens of
    each expert are counted, at the share `expert_matrices` of the rate of matrices.
    """

    matrices: Range
    attention: Range
    expert_matrices: Range
    expert_tile_tokens: Amount
    batch_tokens: int | None = None
    of_experts: Range | None = None
    launched_seconds: Seconds = NO_SECONDS


def _prompt_rates(device: Accelerator, step: Step) -> _PromptRates | None:
    """The rates at which the step's runtime computes a prompt on the device; None where nothing
    tells them.
    """
    row = share_row(device, "prompt", step.program, step.backend)
    peak = gpus.peak_flops(device.name, gpus.capability_of(device))
    packed = _rate_of_packed(device, row, peak)
    if packed is None:
        return None
    attended = row.attended
    if attended is None:
        attended = pace_tables().batch.attended_on_gpu
    expert_tile_tokens = row.expert_tile_tokens
    if expert_tile_tokens is None:
        expert_tile_tokens = pace_tables().prompt.expert_tile_tokens
    matrices = packed
    if step.is_in_fp8:
        matrices *= row.in_fp8
    of_experts: Range | None = None
    if peak is not None:
        if row.plain is not None and not step.packed_bytes:
            matrices = row.plain * peak
        if row.experts is not None:
            of_experts = row.experts * peak
    return _PromptRates(
        matrices=matrices,
        attention=packed * attended,
        expert_matrices=row.expert_matrices,
        expert_tile_tokens=expert_tile_tokens,
        batch_tokens=row.batch_tokens,
        of_experts=of_experts,
        launched_seconds=_launched_seconds(row),
    )


def _launched_seconds(row: ShareRow) -> Seconds:
    """The seconds to launch each layer of a prompt batch, where the row's `share` does not include
    them.
    """
    if row.launched_seconds is not None:
        return row.launched_seconds
    if row.program is not None:
        return NO_SECONDS
    return pace_tables().prompt.launched_seconds


def _rate_of_packed(
    device: Accelerator,
    row: ShareRow,
    peak: float | None,
) -> Range | None:
    """The operations per second on packed weights.

    The rate follows from the cycles of the GPU's multiprocessors, else from prompts measured on
    such GPUs in llama.cpp, else from the GPU's peak. None where nothing tells it.
    """
    cycles = gpus.cycles_per_second(device.name)
    if row.per_cycle is not None and cycles is not None:
        return row.per_cycle * cycles
    measured_tflops = gpus.facts_of(device.name).prompt_tflops
    if measured_tflops is not None and row.program is None:
        measured = measured_tflops * 1e12
        return pace_tables().general.measured_prompt * measured
    if peak is None:
        return None
    return row.share * peak


def _operations_of_batch(
    step: Step,
    active: float,
    batch: int,
    rates: _PromptRates,
) -> Amount:
    """The matrix operations of a batch, in which a token meets `active` parameters.

    The matrices of an expert are computed in tiles: few tokens take as long as a whole tile. They
    reach the share `expert_matrices` of the rate of other matrices. Experts that no token of the
    batch uses take no time.
    """
    if not step.has_experts:
        return Amount.of(2 * active * batch)
    experts = step.experts
    others = max(0.0, active - experts.used) * batch
    # were all experts used, each had so many tokens
    tokens_of_expert = batch * experts.chosen_share
    operations = []
    for used, tile_tokens, share_of_rate in zip(
        _share_of_experts_used(step, batch),
        rates.expert_tile_tokens,
        rates.expert_matrices,
        strict=True,
    ):
        tokens = hypot(tokens_of_expert / used, tile_tokens)
        of_experts = used * experts.all * tokens / share_of_rate
        operations.append(2 * (others + of_experts))
    return Amount(*operations)


def _share_of_experts_used(step: Step, batch: int) -> Amount:
    """The share of the experts that a batch of a prompt uses: all, unless models of the
    architecture were seen to leave some out.
    """
    architecture = step.architecture
    if architecture is None:
        return Amount.of(1)
    evenness = pace_tables().batch.uneven.get(architecture.row)
    if evenness is None:
        return Amount.of(1)
    return experts_used(step, batch, evenness)


# ------------------------------------------------------------------ the peak of its memory


@lru_cache(maxsize=4096)
def gpu_of(device: Accelerator, computer: HostComputer = ANY_COMPUTER) -> Gpu | None:
    """Return the GPU with its bandwidth: by its driver or name, else between the maker's cards with
    as much memory; None where neither tells.
    """
    rate = device_bandwidth(device)
    if rate is not None:
        return Gpu(device=device, peak_bandwidth=Range.of(rate), computer=computer)
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
    of known bandwidth.

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
    peak = _peak_of_ram(machine) if rate is None else _RamPeak(Range.of(rate))
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


class _RamPeak(NamedTuple):
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
    """The guessed bytes per second of a machine whose names do not tell them; None where the number
    of cores is not known either.
    """
    figures = pace_tables().reading
    if processor_of(machine).chip is not None:
        return figures.any_apple * _GB
    is_rate_unknown = machine.memory_bandwidth_bytes_per_second is None
    if is_rate_unknown and is_client_by_class(machine):
        return figures.client_peaks * _GB
    memory = bandwidth(machine)
    return None if memory is None else memory.ends


def _peak_of_series(series: cpus.ProcessorSeries, rate: int | None) -> _RamPeak:
    """The peak of a series' memory with every channel filled, or with as many channels as an
    assumed rate says.
    """
    peaks = series.bytes_per_second
    filled = 1.0 if rate is None else rate / peaks.usual
    channels = "every channel"
    if filled != 1:
        channels = f"{units.percent(filled)} of its channels"
    source = f"the memory of {series.name} with {channels} filled"
    most = max((peaks.usual * peaks.most) ** 0.5, peaks.fastest)
    ends = Range(peaks.slowest, peaks.usual, most)
    return _RamPeak(ends * filled, source)
