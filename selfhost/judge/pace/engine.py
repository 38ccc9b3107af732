"""What one step of decoding reads and computes, how long a processor or a GPU takes for it, and
how the ranges of such figures combine.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import exp, inf, log, prod, sqrt

from ...catalogue.spec import Architecture
from ...core.records import Record
from ...core.spelling import words_of
from ...core.tables import shipped_table
from ...core.workload import NARROW_CACHE_TYPES
from ...machine import gpus
from ...machine.chips import apple_chip_of
from ...machine.record import Accelerator

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ...catalogue.runtime import RuntimeSpec


# the low end, the likely figure, the high end of a number
Range = tuple[float, float, float]


def product(*ranges: Range) -> Range:
    """Of factors that have nothing to do with each other: the ends are as far as the root of the
    sum of their squares, in logarithms. All of them begin with the low end, or all with the high.
    """
    likely = prod(each[1] for each in ranges)
    first = sqrt(sum(log(each[1] / each[0]) ** 2 for each in ranges))
    last = sqrt(sum(log(each[2] / each[1]) ** 2 for each in ranges))
    if any(each[0] > each[2] for each in ranges):
        first, last = -first, -last
    return likely * exp(-first), likely, likely * exp(last)


def scaled(each: Range, factor: float) -> Range:
    """The same as many times."""
    low, likely, high = each
    return low * factor, likely * factor, high * factor


def added(*ranges: Range) -> Range:
    """Of parts that come one after the other."""
    low, likely, high = (sum(each[end] for each in ranges) for end in range(3))
    return low, likely, high


def added_apart(*ranges: Range) -> Range:
    """Of parts that come one after the other and have nothing to do with each other: the ends are
    as far as the root of the sum of their squares. All of them begin with the low end, or all with
    the high.
    """
    likely = sum(each[1] for each in ranges)
    first = sqrt(sum((each[1] - each[0]) ** 2 for each in ranges))
    last = sqrt(sum((each[2] - each[1]) ** 2 for each in ranges))
    if any(each[0] > each[2] for each in ranges):
        first, last = -first, -last
    return likely - first, likely, likely + last


def longer(*ranges: Range) -> Range:
    """Of parts that go on at the same time: the one that takes longest, end by end."""
    low, likely, high = (max(each[end] for each in ranges) for end in range(3))
    return low, likely, high


def inverse(each: Range) -> Range:
    """Seconds of a rate, and the other way round, end by end: a slow end stays the slow end."""
    low, likely, high = each
    return 1 / low, 1 / likely, 1 / high


NOTHING: Range = (0.0, 0.0, 0.0)
SAME: Range = (1.0, 1.0, 1.0)
_WITHOUT_BOUND: Range = (inf, inf, inf)


class Work(Record):
    """What one step of any work takes: bytes read of weights that are stored as they are computed
    with, of those that are unpacked first, among them in one to three bits, of which the number of
    weights counts, and of the context; operations; layers that are launched one after the other
    (slow end, likely, fast end).

    `core_seconds`: what getting through the weights, unpacking them, and attending to the context
    take of one core of the processor that was measured on.
    """

    plain_bytes: float = 0.0
    packed_bytes: float = 0.0
    few_bytes: float = 0.0
    few_weights: float = 0.0
    cache_bytes: float = 0.0
    core_seconds: float = 0.0
    unpacking_core_seconds: float = 0.0
    attending_core_seconds: float = 0.0
    operations: float = 0.0
    layers: Range = NOTHING


class Engine(Record):
    """What computes, by what it does in a second, each slow end, likely, fast end.

    `bandwidth`: bytes of weights and context; `unpacks`: of packed weights at most, `few_unpacks`:
    weights of few bits; `cores`: as many of the processor that was measured on, which take
    `attending` times as long to attend; `throughput`: operations; `step_seconds` and
    `layer_seconds` pass beside that, or meanwhile where `overlaps`. `most_bandwidth`: no weights
    are read faster. `how` is a clause: what it is and what its figures rest on.
    """

    how: str
    bandwidth: Range = _WITHOUT_BOUND
    unpacks: Range = _WITHOUT_BOUND
    few_unpacks: Range = _WITHOUT_BOUND
    cores: Range = _WITHOUT_BOUND
    attending: Range = SAME
    throughput: Range = _WITHOUT_BOUND
    step_seconds: Range = NOTHING
    layer_seconds: Range = NOTHING
    most_bandwidth: float = inf
    overlaps: bool = False

    def widened(self, slow: float, fast: float) -> Engine:
        """The same with ends that are as many times as slow and as fast."""

        def rates(each: Range) -> Range:
            return each[0] * slow, each[1], each[2] * fast

        def times(each: Range) -> Range:
            return each[0] / slow, each[1], each[2] / fast

        return self.replace(
            bandwidth=rates(self.bandwidth),
            unpacks=rates(self.unpacks),
            few_unpacks=rates(self.few_unpacks),
            cores=rates(self.cores),
            throughput=rates(self.throughput),
            step_seconds=times(self.step_seconds),
            layer_seconds=times(self.layer_seconds),
        )


def seconds(work: Work, engine: Engine, share: float = 1.0) -> Range:
    """What that engine takes for such a share of every layer of the work: slow end, likely, fast
    end.
    """
    launched = engine.step_seconds
    if work.layers[1] and engine.layer_seconds[1]:
        launched = added(launched, product(work.layers, engine.layer_seconds))
    slow, likely, fast = (_seconds_at(end, work, engine, share, launched[end]) for end in range(3))
    return slow, likely, fast


def _seconds_at(end: int, work: Work, engine: Engine, share: float, launched: float) -> float:
    bandwidth, cores = engine.bandwidth[end], engine.cores[end]
    read = work.plain_bytes / bandwidth
    read += (work.packed_bytes - work.few_bytes) / min(bandwidth, engine.unpacks[end])
    read += max(work.few_bytes / bandwidth, work.few_weights / engine.few_unpacks[end])
    # memory waits for what the cores unpack
    read += work.unpacking_core_seconds / cores
    # each waits for the slower one: memory, or the cores that get through what it gives
    read = max(read, work.core_seconds / cores)
    by_cores = engine.attending[end] * work.attending_core_seconds / cores
    attended = max(work.cache_bytes / bandwidth, by_cores)
    computed = share * (read + attended + work.operations / engine.throughput[end])
    taken = max(computed, launched) if engine.overlaps else computed + launched
    weights = work.plain_bytes + work.packed_bytes
    return max(taken, share * weights / engine.most_bandwidth)


def constant(name: str) -> Any:
    """A figure, or a table, of `specs/common/pace.toml`."""
    return shipped_table("pace")[name]


def ends_of(table: str, name: str) -> Range:
    """Three figures of `specs/common/pace.toml`."""
    slow, likely, fast = constant(table)[name]
    return slow, likely, fast


# what a row may ask of a device beside its name and what it computes
_FACTS = ("vendor", "unified", "hbm", "generation", "neural", "host", "program", "work")


@lru_cache(maxsize=4096)
def efficiency(
    table: str, device: Accelerator, program: str = "", host: str | None = None, work: str = ""
) -> Mapping[str, Any]:
    """The first row of a table of `specs/common/pace.toml` that fits a device: what its kind was
    seen to reach. `LookupError` where the table has no row for all others.
    """
    capability = device.compute_capability or gpus.capability_by_name(device.name)
    chip = apple_chip_of(words_of(device.name))
    facts = (
        device.vendor.lower(),
        bool(device.unified),
        gpus.has_hbm(device.name),
        gpus.fact_of(device.name, "generation"),
        chip is not None and chip.neural,
        host,
        program,
        work,
    )
    for row in constant(table):
        is_of_kind = all(
            value == row[key] or (isinstance(row[key], list) and value in row[key])
            for key, value in zip(_FACTS, facts, strict=True)
            if key in row
        )
        least, most_flops = row.get("least_capability"), row.get("most_flops")
        if not is_of_kind or not gpus.reaches_capability(capability, least):
            continue
        if most_flops is None or _computes_at_most(device.name, capability, most_flops):
            fitting: Mapping[str, Any] = row
            return fitting
    raise LookupError(f"{table} has no row for all other GPUs")


def _computes_at_most(name: str, capability: str | None, flops: float) -> bool:
    """Whether one multiprocessor of NVIDIA's does so much in a cycle, or less."""
    peak, cycles = gpus.peak_flops(name, capability), gpus.cycles_per_second(name)
    return peak is not None and cycles is not None and peak <= 1.01 * flops * cycles


def share_of_peak(
    work: str, device: Accelerator, program: str = "", *, has_experts: bool = False
) -> Range:
    """Of a GPU's peak of arithmetic, what work of that kind reaches: slow end, likely, fast end."""
    row = efficiency("share", device, program, work=work)
    low, likely, high = row["share"]
    if not has_experts:
        return low, likely, high
    stated = row.get("experts")
    if stated is None:
        stated = [a * b for a, b in zip(row["share"], constant("experts_of_dense"), strict=True)]
    low, likely, high = stated
    return low, likely, high


def basis_of(row: Mapping[str, Any]) -> str:
    """What a row rests on, as a clause."""
    devices = row["devices"]
    if not devices:
        return "a guess: no published run on such GPUs was fitted"
    return f"fitted on published runs of {'one GPU' if devices == 1 else f'{devices} GPUs'}"


def basis_of_share(work: str, device: Accelerator) -> str:
    """What the share of a GPU's peak rests on, as a clause."""
    row = efficiency("share", device, work=work)
    low, _, high = row["share"]
    return f"such work is counted at {100 * low:g} to {100 * high:g} % of its peak, {basis_of(row)}"


# types whose values are stored as they are computed with, or that GPUs convert in hardware
_PLAIN = frozenset((
    "F32", "F16", "BF16", "float32", "float16", "bfloat16", "fp8", "float8_e4m3",
    "float8_e4m3_128x128", "int8", "w8a8",
))  # fmt: skip
# matrices of an expert in most architectures: gate, up and down
WITH_A_GATE = 3


def launched_layers(
    architecture: Architecture | None,
    runtime: RuntimeSpec | None,
    quantization: str | None,
    parameters: int | None = None,
) -> Range | None:
    """`Step.launched_layers` of a program, by its parameters where its layers are not known; None
    where it launches no layer by itself.
    """
    if runtime is None or not runtime.launches_layers:
        return None
    figures = constant("step")
    if architecture is None:
        grown = ((parameters or 0) / 7e9) ** figures["layers_grow"]
        usual = figures["layers_of_7b"] * grown
        most, likely, fewest = (usual * each for each in figures["layers_ends"])
        return (most, likely, fewest) if parameters else None
    mixed = [group for group in architecture.feed_forward if group.experts]
    grouped = (figures["grouped_experts"] - 1) * sum(len(group.layers) for group in mixed)
    experts = sum(len(group.layers) * (group.experts or 0) for group in mixed)
    each_called = figures["expert"] * experts
    layers = architecture.layers
    rule = runtime.rule_of(quantization)
    percent = (100, 100, 100) if rule is None else rule.launched_percent
    counts = (layers + max(grouped, each_called), layers + grouped, float(layers))
    most, likely, fewest = (
        count * each / 100 for count, each in zip(counts, reversed(percent), strict=True)
    )
    return most, likely, fewest


def read_of_cache(type: str | None) -> int:
    """Bytes that reading one number of a KV cache of that type takes. One in blocks counts as one
    of 16 bits: to unpack it takes time that was not measured.
    """
    return 1 if type in NARROW_CACHE_TYPES else 2


class Step(Record):
    """One step: what it reads and how much it launches.

    `read_bytes`: the weights read, by stored type. `expert_matrices`: those of an expert, as its
    architecture has them (`ArchitectureRow.expert_matrices`). `foreign`: the id of another program
    than those that were measured; `replays`: it replays a graph of its own kernels.
    `launched_layers`: where Python launches the operations, layer by layer, the layers of a dense
    model in 16 bits that take as long to launch: slow end, likely, fast end. `depth_tokens` are in
    the context before it, each number of their keys and values in `cached_number_bytes`. Without an
    `architecture` neither layers nor context count.
    """

    architecture: Architecture | None
    read_bytes: Mapping[str, int]
    expert_matrices: int = WITH_A_GATE
    replays: bool = False
    launched_layers: Range | None = None
    depth_tokens: float = 0
    cached_number_bytes: int = 2
    foreign: str | None = None

    @property
    def weights_bytes(self) -> int:
        """All that is read of the weights."""
        return sum(self.read_bytes.values())

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

    @property
    def work(self) -> Work:
        """On a processor, whose layers are alike."""
        packed = sum(size for name, size in self.read_bytes.items() if name not in _PLAIN)
        rates, layers = constant("type"), float(self.layers)
        few_bytes, few_weights = self._few_bits()
        through = (
            size / (rates.get(name, rates["F16"])["gb_s"] * 1e9)
            for name, size in self.read_bytes.items()
        )
        unpacking = (
            size / (rates[name]["unpack_gb_s"] * 1e9)
            for name, size in self.read_bytes.items()
            if "unpack_gb_s" in rates.get(name, {})
        )
        cached, attended = self._context()
        return Work(
            plain_bytes=self.weights_bytes - packed,
            packed_bytes=packed,
            few_bytes=few_bytes,
            few_weights=few_weights,
            cache_bytes=cached,
            core_seconds=sum(through),
            unpacking_core_seconds=sum(unpacking),
            attending_core_seconds=attended,
            layers=(layers, layers, layers),
        )

    @property
    def gpu_work(self) -> Work:
        """On a GPU, where layers take as long as operations are launched."""
        if self.launched_layers is not None:
            return self.work.replace(layers=self.launched_layers)
        hears = self.architecture is not None and self.architecture.audio is not None
        is_large = (hears or self.has_experts) and self.program != "graph"
        layers = self.layers * (constant("large_layer") if is_large else 1.0)
        return self.work.replace(layers=(layers, layers, layers))

    def _few_bits(self) -> tuple[int, float]:
        """Bytes of weights in one to three bits, and how many of these weights count."""
        from ...needs.quantization import BLOCKS

        size, weights = 0, 0.0
        for name, read in self.read_bytes.items():
            counts = constant("type").get(name, {}).get("few")
            if counts:
                values, block_bytes = BLOCKS[name]
                size += read
                weights += counts * read / block_bytes * values
        return size, weights

    def _context(self) -> tuple[float, float]:
        """Bytes that the step reads of the context, and what attending to it takes of one core of
        the processor measured on; windows end what a layer sees.
        """
        row_seconds, number_seconds = constant("step")["attending_seconds"]
        cached = attended = 0.0
        for group in self.architecture.attention if self.architecture is not None else ():
            rows = min(self.depth_tokens, group.window_tokens or self.depth_tokens)
            rows *= len(group.layers)
            width = group.key_length + group.value_length
            kept, met = group.kv_heads * width, float(width)
            if group.kind == "latent":
                kept = (group.latent_length or 0) + (group.rope_length or 0)
                met = 2.0 * kept
            cached += self.cached_number_bytes * rows * kept
            if group.kind != "cross":
                attended += rows * group.heads * (row_seconds + met * number_seconds)
        return cached, attended

    def at(self, depth_tokens: float) -> Step:
        """The same step with another number of tokens in the context."""
        return self.replace(depth_tokens=depth_tokens)


def parameters_met(step: Step) -> dict[str, float]:
    """Parameters that each token of a prompt meets, by stored type; {} where they cannot be told.
    The output matrix is not among them: only the last token needs it.
    """
    architecture = step.architecture
    if architecture is None or architecture.vocabulary is None:
        return {}
    left: dict[str, float] = {}
    for name, size in step.read_bytes.items():
        bits = _bits_of_weight(name, of_mlx=step.foreign is not None)
        if bits is None:
            return {}
        if name != "F32":
            left[name] = 8 * size / bits
    output = architecture.vocabulary * architecture.embedding_length * architecture.output_matrix
    if left:
        # llama-quantize gives the output matrix one of these types, else the file's main one
        held = [name for name in ("Q6_K", "Q8_0") if left.get(name, 0) >= output]
        holder = held[0] if held else max(left, key=lambda name: left[name])
        left[holder] = max(0.0, left[holder] - output)
    return left


def _bits_of_weight(name: str, *, of_mlx: bool) -> float | None:
    """Of a stored type of GGUF, else of MLX, with its scales; None of one that is neither."""
    if of_mlx:
        from ...needs.checkpoints import bits_in_mlx

        return bits_in_mlx(name)
    from ...needs.quantization import BLOCKS

    if name not in BLOCKS:
        return None
    values, size = BLOCKS[name]
    return 8 * size / values
