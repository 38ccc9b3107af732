"""What a GPU gives: the peak of its memory, by its driver, its name or its class, or of the RAM
that it shares, and what programs make of it (`decode` of `specs/common/pace.toml`).
"""

from __future__ import annotations

from functools import lru_cache

from ...core import units
from ...core.records import Record
from ...core.spelling import words_of
from ...machine import gpus
from ...machine.cpus import apple_chip_of
from ...machine.record import RATE_ASSUMED, Accelerator, Machine
from ..placement.devices import is_built_for, reaches
from .engine import Step, basis_of, constant, efficiency
from .processor import (
    ANY_APPLE,
    CLIENT_PEAKS,
    any_apple_peaks,
    bandwidth,
    chip_of,
    is_client_by_class,
    is_guest,
    named_processor,
    on_apple_gpu,
)
from .speed import NOTHING, SAME, Range, product, scaled

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec

# of a Mac of which no accelerator was read
_APPLE_GPU = Accelerator(vendor="apple", name="its GPU", unified=True)
# the makers of GPUs beside the RAM that builds of the program measured use
_SHARED_MAKERS = ("apple", "nvidia", "amd")


class Gpu(Record):
    """A GPU as far as decoding needs it: bytes per second of its memory, and where a guess of them
    is from, None where it is no guess. `host`: the architecture of the processor beside it.
    """

    device: Accelerator
    peak: Range
    guessed: str | None = None
    host: str | None = None

    def seconds(self, step: Step, share: float = 1.0) -> Range:
        """Of one step, or of a share of every layer: packed weights wait for memory or for being
        unpacked, the others and the context for memory; then what a layer takes to launch.
        """
        row = efficiency("decode", self.device, step.program, self.host)
        ends = row["slow"], 1.0, row["fast"]
        if step.architecture is None or (step.foreign and "program" not in row):
            slow, fast = constant("unseen")
            ends = min(ends[0], slow), 1.0, max(ends[2], fast)
        packed, rows = step.packed, constant("type")
        packed_bytes, unpacks = sum(packed.values()), None
        cycles = gpus.cycles_per_second(self.device.name)
        if (chip := apple_chip_of(words_of(self.device.name))) is not None:
            cycles = chip.gpu_cycles_per_second
        if not step.foreign and cycles is not None and "unpacked_per_cycle" in row:
            # where llama.cpp's kernels set a limit
            unpacks = row["unpacked_per_cycle"] * cycles
        unpacked_bytes = sum(
            size * rows.get(name, {}).get("unpack", 1.0) for name, size in packed.items()
        )
        read_bytes = step.weights_bytes - packed_bytes + step.context()[0]
        most = share * step.weights_bytes / (constant("most_of_peak") * self.peak[2])
        taken = []
        for end, peak, launched in zip(ends, self.peak, self._launched(step), strict=True):
            rate = peak * row["share"] * end
            unpacked = unpacked_bytes / (unpacks * end) if unpacks else 0.0
            computed = share * (max(packed_bytes / rate, unpacked) + read_bytes / rate)
            # Python launches while the GPU computes
            is_apart = not isinstance(row["layer_us"], list)
            computed = computed + launched / end if is_apart else max(computed, launched)
            taken.append(max(computed, most))
        return taken[0], taken[1], taken[2]

    def _launched(self, step: Step) -> Range:
        """Seconds that launching the layers takes, beside the ends of the row."""
        layer_us = efficiency("decode", self.device, step.program, self.host)["layer_us"]
        if isinstance(layer_us, list):
            layers = step.launched_layers or scaled(SAME, step.layers)
            return product(layers, layer_from_python(self.device)) if layers[1] else NOTHING
        hears = step.architecture is not None and step.architecture.audio is not None
        is_large = (hears or step.has_experts) and step.program != "graph"
        larger = constant("large_layer") if is_large else 1.0
        return scaled(SAME, step.layers * larger * layer_us * 1e-6)

    def how(self, step: Step) -> str:
        """What the pace on it rests on, as a clause."""
        row = efficiency("decode", self.device, step.program, self.host)
        rate = f"{units.decimal(int(self.peak[2]))}/s at most"
        if self.guessed is not None:
            ends = [f"{units.decimal(int(end))}/s" for end in (self.peak[0], self.peak[2])]
            rate = f"{' to '.join(ends)}, {self.guessed}"
        return (
            f"{self.device.name} ({rate}); weights are read at {units.percent(row['share'])} of"
            f" that ({basis_of(row)}: {row['called']})"
        )


def layer_from_python(device: Accelerator) -> Range:
    """Seconds that launching one layer from Python takes."""
    return scaled(efficiency("decode", device, "python")["layer_us"], 1e-6)


@lru_cache(maxsize=4096)
def gpu_of(device: Accelerator, host: str | None = None) -> Gpu | None:
    """What is known of an accelerator's pace: by its name, else from the least to the most of its
    maker's cards with as much memory; None where neither tells how fast it reads.
    """
    rate = device_bandwidth(device)
    if rate is None:
        if device.unified or not device.memory_total_bytes:
            return None
        ends = gpus.peaks_with_memory(device.vendor.lower(), int(device.memory_total_bytes))
        if ends is None:
            return None
        makers = "all makers'" if device.vendor == gpus.UNKNOWN else f"{device.vendor}'s"
        how = f"a guess by {makers} cards with {round(device.memory_total_bytes / units.GIB)} GiB"
        peak = _between(ends[0] * units.GB, ends[1] * units.GB)
        return Gpu(device=device, peak=peak, guessed=how, host=host)
    return Gpu(device=device, peak=scaled(SAME, rate), host=host)


def _between(slow: float, fast: float) -> Range:
    """A rate of which only the ends are known."""
    return slow, (slow * fast) ** 0.5, fast


def device_bandwidth(device: Accelerator) -> float | None:
    """Peak bytes per second of an accelerator's memory: as its driver tells, else by its name;
    None where neither does.
    """
    if device.memory_bandwidth_bytes_per_second:
        return device.memory_bandwidth_bytes_per_second
    total = device.memory_total_bytes
    peak = gpus.peak_gb_per_s(device.name, None if total is None else int(total))
    return None if peak is None else peak * units.GB


# ---------------------------------------------------------------- the GPU that shares the RAM


def shared_gpu_of(machine: Machine, runtime: RuntimeSpec | None = None) -> Gpu | None:
    """The GPU that shares the RAM, as far as decoding needs it; None where there is none that the
    program's builds know (None: those of the one that was measured), or nothing tells how fast the
    memory is.
    """
    device = next((each for each in machine.accelerators or () if each.unified), None)
    if device is None:
        is_mac = machine.accelerators is None and on_apple_gpu(machine)
        return _with_shared_memory(machine, _APPLE_GPU) if is_mac else None
    least = None if runtime is None else runtime.least_of(shares_ram=True)
    if least is not None and reaches(device, least) is False:
        return None
    return _with_shared_memory(machine, device)


def _with_shared_memory(machine: Machine, device: Accelerator) -> Gpu | None:
    """With what it may read of the RAM: as its driver, its processor's series or somebody says."""
    own, chip = device_bandwidth(device), chip_of(machine)
    rate, series = machine.memory_bandwidth_bytes_per_second, named_processor(machine)
    is_open = own is None and (rate is None or machine.memory_bandwidth_how == RATE_ASSUMED)
    if is_open and series is not None:
        # with the memory of the processor around it, all channels filled or as `rate` says
        filled = 1.0 if rate is None else rate / series.usual
        channels = "every channel" if filled == 1 else f"{units.percent(filled)} of its channels"
        most = max((series.usual * series.most) ** 0.5, series.fastest)
        guessed = f"the memory of {series.name} with {channels} filled"
        peak = scaled((series.slowest, series.usual, most), filled)
        return Gpu(device=device, peak=peak, guessed=guessed)
    exact = own or (None if machine.is_bandwidth_measured else rate)
    if exact is None and chip is not None and chip[2] != ANY_APPLE:
        exact = chip[1]
    if exact is not None:
        return Gpu(device=device, peak=scaled(SAME, exact))
    guess = _guessed_peak(machine)
    return guess and Gpu(device=device, peak=guess, guessed="a guess: not measured")


def _guessed_peak(machine: Machine) -> Range | None:
    """Of memory that no name tells: the class of the machine, or what its cores read, which is no
    more than the GPU can read.
    """
    memory, rate = bandwidth(machine), machine.memory_bandwidth_bytes_per_second
    if chip_of(machine) is not None:
        ends = any_apple_peaks(machine)
    elif rate is None and is_client_by_class(machine):
        ends = _between(*CLIENT_PEAKS)
    elif memory is not None:
        ends = memory.ends
    else:
        return None
    return max(rate or 0, ends[0]), max(rate or 0, ends[1]), max(rate or 0, ends[2])


def uses_shared_gpu(machine: Machine, runtime: RuntimeSpec | None) -> bool:
    """Whether a model in RAM is surely computed by a GPU that shares it, without being told to."""
    gpu = shared_gpu_of(machine, runtime)
    if gpu is None or gpu.device is _APPLE_GPU or is_guest(machine):
        return False
    makers = _SHARED_MAKERS if runtime is None else runtime.on_shared_gpu
    amd = () if runtime is None else runtime.amd_shared_gpus
    return gpu.device.vendor.lower() in makers and is_built_for(gpu.device, amd) is not False


def instruction_sets_for_layout(machine: Machine) -> tuple[str, ...] | None:
    """Those by which llama.cpp lays the weights out anew for the processor; none where a GPU
    that shares the RAM reads them as they are.
    """
    return () if uses_shared_gpu(machine, None) else machine.instruction_sets
