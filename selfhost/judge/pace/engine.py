"""One step of decoding, and what a GPU makes of it: the peak of its memory, by its driver, its name
or its class, or of the RAM that it shares, and what programs reach of that.

Every pace is the same sum: bytes over the rate that they are read at, operations over the rate that
they are computed at, and a fixed time for each layer. The rates are a device's peaks, times what
runs on its kind were seen to reach (`specs/common/pace.toml`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import inf
from typing import Any

from ...catalogue.architecture import Architecture, Attention
from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import Record
from ...core.spelling import words_of
from ...machine import gpus
from ...machine.cpus import chip_of
from ...machine.record import RATE_ASSUMED, Accelerator, Machine
from ...needs.quantization import BLOCKS
from ..placement.devices import computes_on_shared, reaches
from .processor import (
    ANY_APPLE,
    bandwidth,
    chip_memory,
    is_client_by_class,
    is_guest,
    is_on_apple_gpu,
    named_processor,
)
from .speed import SAME, Range, constant, longest

# types whose values are stored as they are computed with, or that GPUs convert in hardware
_PLAIN = frozenset((
    "F32", "F16", "BF16", "float32", "float16", "bfloat16", "fp8", "float8_e4m3",
    "float8_e4m3_128x128", "int8", "w8a8",
))  # fmt: skip
# types of safetensors files by their names in GGUF
_IN_GGUF = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
# matrices of an expert in most architectures: gate, up and down
GATED_MATRICES = 3
# the program whose runs were measured: its rules hold for those that compute with its code
MEASURED_PROGRAM = "llama.cpp"
# what people compare with: a question and the answer to it
SHORT_CHAT_TOKENS = 256
_LESS_POWER = frozenset(("laptop", "mobile", "q"))
# stands for the GPU of a Mac whose accelerators were not read
_APPLE_GPU = Accelerator(vendor="apple", name="its GPU", unified=True)


class Step(Record):
    """One step of decoding: what it reads and how much it launches.

    `read_bytes`: the weights read, by stored type; `parameters` those that a token meets.
    `foreign`: the id of another program than those measured; `replays`: it replays a graph of its
    own kernels. `launched_layers`: where Python launches the operations, the layers of a dense
    model in 16 bits that take as long to launch. `depth_tokens` are in the context before it,
    `prompt_tokens` of them the prompt. Without an `architecture` neither layers nor context count.
    """

    architecture: Architecture | None
    read_bytes: Mapping[str, int]
    parameters: int | None = None
    expert_matrices: int = GATED_MATRICES
    replays: bool = False
    launched_layers: Range | None = None
    depth_tokens: float = 0
    prompt_tokens: int = 0
    cached_number_bytes: int = 2
    foreign: str | None = None

    @property
    def weights_bytes(self) -> int:
        """All that is read of the weights."""
        return sum(self.read_bytes.values())

    @property
    def packed(self) -> dict[str, int]:
        """Of these the types that are unpacked before they are multiplied."""
        return {name: size for name, size in self.read_bytes.items() if name not in _PLAIN}

    @property
    def layers(self) -> int:
        """0 where they are not known."""
        return 0 if self.architecture is None else self.architecture.layers

    @property
    def has_experts(self) -> bool:
        """Whether tokens choose among experts."""
        groups = self.architecture.feed_forward if self.architecture is not None else ()
        return any(group.experts for group in groups)

    @property
    def program(self) -> str:
        """How its program launches it, as rows of `specs/common/pace.toml` have it."""
        if self.launched_layers is not None:
            return "python"
        return "graph" if self.replays and self.layers else self.foreign or ""

    def context(self) -> tuple[float, float]:
        """Bytes that the step reads of the context, and seconds of one core that attends to it."""
        row_seconds, number_seconds = constant("step")["attending_seconds"]
        cached = attended = 0.0
        for group in self.architecture.attention if self.architecture is not None else ():
            rows = min(self.depth_tokens, group.window_tokens or self.depth_tokens)
            rows *= len(group.layers)
            kept = group.kv_heads * (group.key_length + group.value_length)
            if group.kind == "latent":
                kept = (group.latent_length or 0) + (group.rope_length or 0)
            cached += self.cached_number_bytes * rows * kept
            if group.kind != "cross":
                attended += rows * group.heads * (row_seconds + width_of(group) * number_seconds)
        return cached, attended

    def parameters_met(self) -> dict[str, float]:
        """What a token of a prompt meets, by the type that it is multiplied in, without the output
        matrix; {} where that cannot be told.
        """
        from ...needs.checkpoints import bits_in_mlx

        architecture, met = self.architecture, dict[str, float]()
        if architecture is None or architecture.vocabulary is None:
            return {}
        table = architecture.vocabulary * architecture.embedding_length
        read = {_IN_GGUF.get(name, name): size for name, size in self.read_bytes.items()}
        if self.replays and self.parameters is not None and not read.keys() <= BLOCKS.keys():
            # such programs unpack to 16 bits before they multiply (Marlin's kernels of vLLM); of a
            # table of words that is no output matrix one row is looked up
            looked_up = 0 if architecture.tied_embeddings else table
            read = {"BF16": 2 * (self.parameters - looked_up)}
        for name, size in read.items():
            # eight numbers of so many bits take as many bytes
            values, block_bytes = BLOCKS.get(name) or (8, bits_in_mlx(name))
            if not block_bytes:
                return {}
            if name != "F32":
                met[name] = values * size / block_bytes
        output = table * architecture.output_matrix
        if met:
            # llama-quantize gives the output matrix one of these types, else the file's main one
            held = [name for name in ("Q6_K", "Q8_0") if met.get(name, 0) >= output]
            holder = held[0] if held else max(met, key=lambda name: met[name])
            met[holder] = max(0.0, met[holder] - output)
        return met


def width_of(group: Attention) -> float:
    """Numbers that a head multiplies with each token that it attends to, of keys and of values."""
    if group.kind == "latent" and group.latent_length:
        # llama.cpp attends to the compressed row itself
        return 2 * group.latent_length + (group.rope_length or 0)
    return group.key_length + group.value_length


def launched_layers(
    architecture: Architecture | None, percent: tuple[int, ...], parameters: int | None
) -> Range | None:
    """`Step.launched_layers`, by the parameters where the layers are not known."""
    figures = constant("step")
    if architecture is None:
        usual = figures["layers_of_7b"] * ((parameters or 0) / 7e9) ** figures["layers_grow"]
        ends: Range = figures["layers_ends"]
        return ends * usual if parameters else None
    # each expert is called in turn at the slow end
    experts = sum(len(group.layers) * (group.experts or 0) for group in architecture.feed_forward)
    layers, (fewest, usual, most) = architecture.layers, percent
    slow = (layers + figures["expert"] * experts) * most / 100
    return Range(slow, layers * usual / 100, layers * fewest / 100)


@lru_cache(maxsize=4096)
def efficiency(
    table: str, device: Accelerator, program: str = "", host: str | None = None, work: str = ""
) -> Mapping[str, Any]:
    """The first row of a table of `specs/common/pace.toml` that fits a device."""
    name, words = device.name, words_of(device.name)
    capability, chip = gpus.capability_of(device), chip_of(words)
    peak, cycles = gpus.peak_flops(name, capability), gpus.cycles_per_second(name)
    flops_of_cycle = peak / cycles if peak is not None and cycles is not None else inf
    facts = {
        "vendor": device.vendor.lower(),
        "unified": bool(device.unified),
        "integrated": bool(device.unified) and gpus.fact_of(name, "integrated") is not None,
        "less_power": not _LESS_POWER.isdisjoint(words),
        "hbm": gpus.has_hbm(name),
        "generation": gpus.fact_of(name, "generation"),
        "neural": chip is not None and chip.neural,
        "host": host,
        "program": program,
        "work": work,
    }
    for row in constant(table):
        fits = all(
            facts[key] == row[key] or (isinstance(row[key], list) and facts[key] in row[key])
            for key in facts.keys() & row.keys()
        )
        is_recent = fits and gpus.reaches_capability(capability, row.get("least_capability"))
        if is_recent and flops_of_cycle <= 1.01 * row.get("most_flops", inf):
            fitting: Mapping[str, Any] = row
            return fitting
    raise LookupError(f"{table} has no row for all other GPUs")


def basis_of(row: Mapping[str, Any]) -> str:
    """What a row rests on, as a clause."""
    devices = row["devices"]
    if devices < 3:
        return "a guess: published runs of fewer than three such GPUs were found"
    return f"fitted on published runs of {devices} GPUs"


def layer_from_python(device: Accelerator) -> Range:
    """Seconds that launching one layer from Python takes."""
    microseconds: Range = efficiency("decode", device, "python")["layer_us"]
    return microseconds * 1e-6


class Gpu(Record):
    """Bytes per second of its memory, and where a guess is from; `host`: the processor's kind."""

    device: Accelerator
    peak_bandwidth: Range
    guessed: str | None = None
    host: str | None = None

    def row(self, step: Step) -> Mapping[str, Any]:
        """What such GPUs reach with the step's program."""
        return efficiency("decode", self.device, step.program, self.host)

    def seconds(self, step: Step, share: float = 1.0) -> Range:
        """Of one step, or of a share of every layer: reading or unpacking, and launching."""
        row, packed, rows = self.row(step), step.packed, constant("type")
        ends = row["slow"], 1.0, row["fast"]
        if step.architecture is None or (step.foreign and "program" not in row):
            slow, fast = constant("unseen")
            ends = min(ends[0], slow), 1.0, max(ends[2], fast)
        # where llama.cpp's kernels set a limit
        chip, name = chip_of(words_of(self.device.name)), self.device.name
        cycles = chip.gpu_cycles_per_second if chip else gpus.cycles_per_second(name)
        per_cycle = inf if step.foreign else row.get("unpacked_per_cycle", inf)
        counted = [size * rows.get(type, {}).get("unpack", 1) for type, size in packed.items()]
        unpacking = sum(counted) / (per_cycle * (cycles or inf))
        packed_bytes = sum(packed.values())
        read_bytes = step.weights_bytes - packed_bytes + step.context()[0]
        least = share * step.weights_bytes / (constant("most_of_peak") * self.peak_bandwidth[2])
        launching = step.launched_layers and step.launched_layers * layer_from_python(self.device)
        if launching is None:
            hears = getattr(step.architecture, "audio", None) is not None
            is_large = (hears or step.has_experts) and step.program != "graph"
            layers = step.layers * (constant("large_layer") if is_large else 1)
            launching = SAME * (layers * row["layer_us"] * 1e-6)
        taken = []
        for end, peak, launched in zip(ends, self.peak_bandwidth, launching, strict=True):
            rate = peak * row["share"]
            computed = share * (max(packed_bytes / rate, unpacking) + read_bytes / rate) / end
            # Python launches while the GPU computes
            is_beside = step.launched_layers is not None
            computed = max(computed, launched) if is_beside else computed + launched / end
            taken.append(max(computed, least))
        return Range(*taken)

    def how(self, step: Step) -> str:
        """What the pace on it rests on, as a clause."""
        row = self.row(step)
        rate = f"{units.decimal(int(self.peak_bandwidth[2]))}/s at most"
        if self.guessed is not None:
            ends = [
                f"{units.decimal(int(end))}/s"
                for end in (self.peak_bandwidth[0], self.peak_bandwidth[2])
            ]
            rate = f"{' to '.join(ends)}, {self.guessed}"
        return (
            f"{self.device.name} ({rate}); weights are read at {units.percent(row['share'])} of"
            f" that ({basis_of(row)}: {row['called']})"
        )


@lru_cache(maxsize=4096)
def gpu_of(device: Accelerator, host: str | None = None) -> Gpu | None:
    """By its name, else between its maker's cards with as much memory; None where neither tells."""
    rate = device_bandwidth(device)
    if rate is not None:
        return Gpu(device=device, peak_bandwidth=SAME * rate, host=host)
    if device.unified or not device.memory_total_bytes:
        return None
    ends = gpus.peaks_with_memory(device.vendor.lower(), int(device.memory_total_bytes))
    if ends is None:
        return None
    makers = "all makers'" if device.vendor == gpus.UNKNOWN else f"{device.vendor}'s"
    how = f"a guess by {makers} cards with {round(device.memory_total_bytes / units.GIB)} GiB"
    slow, fast = ends
    peak = Range(slow, (slow * fast) ** 0.5, fast) * units.GB
    return Gpu(device=device, peak_bandwidth=peak, guessed=how, host=host)


def device_bandwidth(device: Accelerator) -> float | None:
    """Peak bytes per second: as its driver tells, else by its name; None where neither does."""
    if device.memory_bandwidth_bytes_per_second:
        return device.memory_bandwidth_bytes_per_second
    total = device.memory_total_bytes
    peak = gpus.peak_gb_per_s(device.name, None if total is None else int(total))
    return None if peak is None else peak * units.GB


def shared_gpu_of(machine: Machine, runtime: RuntimeSpec | None = None) -> Gpu | None:
    """The GPU that shares the RAM; None without one that the builds know, of a known bandwidth."""
    device = next((each for each in machine.accelerators or () if each.unified), None)
    if device is None and machine.accelerators is None and is_on_apple_gpu(machine):
        device = _APPLE_GPU
    least = None if runtime is None else runtime.shared_compute_capability
    if device is None or (least is not None and reaches(device, least) is False):
        return None
    own = device_bandwidth(device)
    peak, guessed = (SAME * own, None) if own is not None else _peak_of_ram(machine)
    return peak and Gpu(device=device, peak_bandwidth=peak, guessed=guessed)


def _peak_of_ram(machine: Machine) -> tuple[Range | None, str | None]:
    """As stated or told by processor or chip, else a guess by class or cores, and its source."""
    rate = machine.memory_bandwidth_bytes_per_second
    series, chip = named_processor(machine), chip_memory(machine)
    if series is not None and (rate is None or machine.memory_bandwidth_how == RATE_ASSUMED):
        # all channels filled, or as its assumed rate says
        filled = 1.0 if rate is None else rate / series.usual
        channels = "every channel" if filled == 1 else f"{units.percent(filled)} of its channels"
        most = max((series.usual * series.most) ** 0.5, series.fastest)
        guessed = f"the memory of {series.name} with {channels} filled"
        return Range(series.slowest, series.usual, most) * filled, guessed
    if rate is not None and not machine.is_bandwidth_measured:
        return SAME * rate, None
    if chip is not None and chip.called != ANY_APPLE:
        return SAME * chip.high, None
    memory = bandwidth(machine)
    if chip is not None:
        ends = constant("reading")["any_apple"] * units.GB
    elif rate is None and is_client_by_class(machine):
        ends = constant("reading")["client_peaks"] * units.GB
    elif memory is not None:
        ends = memory.ends
    else:
        return None, None
    return longest(ends, SAME * (rate or 0)), "a guess: not measured"


def uses_shared_gpu(machine: Machine, runtime: RuntimeSpec | None) -> bool:
    """Whether a model in RAM is surely computed by a GPU that shares it, without being told to."""
    gpu = shared_gpu_of(machine, runtime)
    if gpu is None or gpu.device is _APPLE_GPU or is_guest(machine):
        return False
    if runtime is None:
        return gpu.device.vendor.lower() in constant("shared_gpu")["measured_program"]
    return computes_on_shared(runtime, gpu.device)


def instruction_sets_for_layout(machine: Machine) -> tuple[str, ...] | None:
    """Those by which llama.cpp lays weights out anew; none where a shared GPU reads them."""
    return () if uses_shared_gpu(machine, None) else machine.instruction_sets
