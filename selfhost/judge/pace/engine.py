"""The sum that every pace is: bytes over the rate that they are read at, operations over the rate
that they are computed at, and a fixed time for each layer; and the table of efficiencies
(`specs/common/pace.toml`) that turns a device's peaks into those rates.

A range is the slow end, the likely figure and the fast end, of seconds as of rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import exp, inf, log, prod, sqrt

from ...catalogue.architecture import Architecture
from ...core.records import FrozenDict, Record
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

Range = tuple[float, float, float]
NOTHING: Range = (0.0, 0.0, 0.0)
SAME: Range = (1.0, 1.0, 1.0)
_UNBOUNDED: Range = (inf, inf, inf)


def product(*ranges: Range) -> Range:
    """Of factors that have nothing to do with each other: the ends are as far as the root of the
    sum of their squares, in logarithms.
    """
    likely = prod(each[1] for each in ranges)
    slow, fast = (sqrt(sum(log(each[end] / each[1]) ** 2 for each in ranges)) for end in (0, 2))
    rises = all(each[0] <= each[2] for each in ranges)
    return likely * exp(-slow if rises else slow), likely, likely * exp(fast if rises else -fast)


def scaled(each: Range, factor: float) -> Range:
    """The same as many times."""
    return each[0] * factor, each[1] * factor, each[2] * factor


def added(*ranges: Range) -> Range:
    """Of parts that come one after the other."""
    slow, likely, fast = map(sum, zip(*ranges, strict=True))
    return slow, likely, fast


def added_apart(*seconds: Range) -> Range:
    """Of parts that come one after the other and have nothing to do with each other: the ends are
    as far as the root of the sum of their squares.
    """
    likely = sum(each[1] for each in seconds)
    slow, fast = (sqrt(sum((each[end] - each[1]) ** 2 for each in seconds)) for end in (0, 2))
    return likely + slow, likely, likely - fast


def longer(*ranges: Range) -> Range:
    """Of parts that go on at the same time: the one that takes longest, end by end."""
    slow, likely, fast = map(max, zip(*ranges, strict=True))
    return slow, likely, fast


def inverse(each: Range) -> Range:
    """Seconds of a rate, and the other way round: a slow end stays the slow end."""
    return 1 / each[0], 1 / each[1], 1 / each[2]


def ordered(seconds: Range) -> Range:
    """Seconds of which no end is nearer than the likely figure."""
    slow, likely, fast = seconds
    return max(slow, likely), likely, min(likely, fast)


class Work(Record):
    """What one step of any work takes: bytes read of weights, of these the ones that are stored
    packed, as many bytes as unpacking them counts for, and bytes of the context; operations; layers
    that are launched one after the other.

    `core_seconds`: what getting through the weights takes of one core of the processor that was
    measured on, of that `waited_core_seconds` unpacking them while memory waits, and
    `attending_core_seconds` attending to the context.
    """

    weights_bytes: float = 0.0
    packed_bytes: float = 0.0
    unpacked_bytes: float = 0.0
    cache_bytes: float = 0.0
    core_seconds: float = 0.0
    waited_core_seconds: float = 0.0
    attending_core_seconds: float = 0.0
    operations: float = 0.0
    layers: Range = NOTHING


class Engine(Record):
    """What computes, by what it does in a second.

    `bandwidth`: bytes of weights and context; `unpacks`: of packed weights at most; `cores`: as
    many of the processor that was measured on; `throughput`: operations; `layer_seconds` pass
    beside that, or meanwhile where `overlaps`. `most_bandwidth`: no weights are read faster.
    """

    bandwidth: Range = _UNBOUNDED
    unpacks: Range = _UNBOUNDED
    cores: Range = _UNBOUNDED
    throughput: Range = _UNBOUNDED
    layer_seconds: Range = NOTHING
    most_bandwidth: float = inf
    overlaps: bool = False


def seconds(work: Work, engine: Engine, share: float = 1.0) -> Range:
    """What that engine takes for such a share of every layer of the work."""
    launched = NOTHING
    if work.layers[1] and engine.layer_seconds[1]:
        launched = product(work.layers, engine.layer_seconds)
    slow, likely, fast = (_seconds_at(end, work, engine, share, launched[end]) for end in range(3))
    return slow, likely, fast


def _seconds_at(end: int, work: Work, engine: Engine, share: float, launched: float) -> float:
    bandwidth, cores = engine.bandwidth[end], engine.cores[end]
    packed = max(work.packed_bytes / bandwidth, work.unpacked_bytes / engine.unpacks[end])
    read = (work.weights_bytes - work.packed_bytes) / bandwidth + packed
    read += work.waited_core_seconds / cores
    # each waits for the slower one: memory, or the cores that get through what it gives
    read = max(read, work.core_seconds / cores)
    attended = max(work.cache_bytes / bandwidth, work.attending_core_seconds / cores)
    computed = share * (read + attended + work.operations / engine.throughput[end])
    taken = max(computed, launched) if engine.overlaps else computed + launched
    return max(taken, share * work.weights_bytes / engine.most_bandwidth)


# ---------------------------------------------------------------- the table


def constant(name: str) -> Any:
    """A figure, or a table, of `specs/common/pace.toml`."""
    return shipped_table("pace")[name]


def ends_of(table: str, name: str) -> Range:
    """A range of `specs/common/pace.toml`."""
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
    name, capability = device.name, device.compute_capability
    capability = capability or gpus.capability_by_name(name)
    chip = apple_chip_of(words_of(name))
    peak, cycles = gpus.peak_flops(name, capability), gpus.cycles_per_second(name)
    flops_of_cycle = peak / cycles if peak is not None and cycles is not None else inf
    facts = (
        device.vendor.lower(),
        bool(device.unified),
        gpus.has_hbm(name),
        gpus.fact_of(name, "generation"),
        chip is not None and chip.neural,
        host,
        program,
        work,
    )
    for row in constant(table):
        fits = all(
            value == row[key] or (isinstance(row[key], list) and value in row[key])
            for key, value in zip(_FACTS, facts, strict=True)
            if key in row
        )
        is_recent = fits and gpus.reaches_capability(capability, row.get("least_capability"))
        if is_recent and flops_of_cycle <= 1.01 * row.get("most_flops", inf):
            fitting: Mapping[str, Any] = row
            return fitting
    raise LookupError(f"{table} has no row for all other GPUs")


def share_of_peak(
    work: str, device: Accelerator, program: str = "", *, has_experts: bool = False
) -> Range:
    """Of a GPU's peak of arithmetic, what work of that kind reaches."""
    row = efficiency("share", device, program, work=work)
    slow, likely, fast = row["share"]
    if not has_experts:
        return slow, likely, fast
    less_slow, less, less_fast = constant("experts_of_dense")
    slow, likely, fast = row.get("experts", (slow * less_slow, likely * less, fast * less_fast))
    return slow, likely, fast


def basis_of(row: Mapping[str, Any]) -> str:
    """What a row rests on, as a clause."""
    devices = row["devices"]
    if not devices:
        return "a guess: no published run on such GPUs was fitted"
    return f"fitted on published runs of {'one GPU' if devices == 1 else f'{devices} GPUs'}"


def basis_of_share(work: str, device: Accelerator) -> str:
    """What the share of a GPU's peak rests on, as a clause."""
    row = efficiency("share", device, work=work)
    slow, _, fast = row["share"]
    ends = f"{100 * slow:g} to {100 * fast:g} %"
    return f"such work is counted at {ends} of its peak, {basis_of(row)}"


# ---------------------------------------------------------------- a step of decoding

# types whose values are stored as they are computed with, or that GPUs convert in hardware
_PLAIN = frozenset((
    "F32", "F16", "BF16", "float32", "float16", "bfloat16", "fp8", "float8_e4m3",
    "float8_e4m3_128x128", "int8", "w8a8",
))  # fmt: skip
# matrices of an expert in most architectures: gate, up and down
WITH_A_GATE = 3
# the program whose runs were measured: its rules hold for those that compute with its code
MEASURED = "llama.cpp"
# what people compare with: a question and the answer to it
SHORT_CHAT_TOKENS = 256


class Step(Record):
    """One step of decoding: what it reads and how much it launches.

    `read_bytes`: the weights read, by stored type. `expert_matrices`: those of an expert, as its
    architecture has them (`ArchitectureRow.expert_matrices`). `foreign`: the id of another program
    than those that were measured; `replays`: it replays a graph of its own kernels.
    `launched_layers`: where Python launches the operations, layer by layer, the layers of a dense
    model in 16 bits that take as long to launch. `depth_tokens` are in the context before it, each
    number of their keys and values in `cached_number_bytes`. Without an `architecture` neither
    layers nor context count.
    """

    architecture: Architecture | None
    read_bytes: Mapping[str, int]
    expert_matrices: int = WITH_A_GATE
    replays: bool = False
    launched_layers: Range | None = None
    depth_tokens: float = 0
    cached_number_bytes: int = 2
    foreign: str | None = None

    @classmethod
    def of_program(
        cls,
        runtime: RuntimeSpec | None,
        architecture: Architecture | None,
        read_bytes: Mapping[str, int],
        *,
        context_tokens: int | None = None,
        prompt_tokens: int | None = None,
        cache_type: str | None = None,
        expert_matrices: int = WITH_A_GATE,
        launched_layers: Range | None = None,
    ) -> Step:
        """One that a program computes (None: the one that was measured), behind the prompt that is
        stated, or in the short chat that people compare with where that is longer.
        """
        chat_tokens = min(SHORT_CHAT_TOKENS, (context_tokens or 0) / 2)
        is_measured = runtime is None or runtime.computes_with == MEASURED
        return cls(
            architecture=architecture,
            read_bytes=FrozenDict(read_bytes),
            expert_matrices=expert_matrices,
            replays=runtime is not None and runtime.replays_graphs,
            launched_layers=launched_layers,
            depth_tokens=max(chat_tokens, prompt_tokens or 0),
            # a cache in blocks counts as one of 16 bits: to unpack it takes time too
            cached_number_bytes=1 if cache_type in NARROW_CACHE_TYPES else 2,
            foreign=None if is_measured or runtime is None else runtime.id,
        )

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

    def at(self, depth_tokens: float) -> Step:
        """The same step with another number of tokens in the context."""
        return self.replace(depth_tokens=depth_tokens)

    def work(self, *, on_gpu: bool) -> Work:
        """What it takes there. On a GPU layers take as long as operations are launched."""
        rows, layers = constant("type"), float(self.layers)
        packed = {name: size for name, size in self.read_bytes.items() if name not in _PLAIN}
        if on_gpu:
            hears = self.architecture is not None and self.architecture.audio is not None
            is_large = (hears or self.has_experts) and self.program != "graph"
            layers *= constant("large_layer") if is_large else 1.0
        cached, attended = self._context()
        return Work(
            weights_bytes=self.weights_bytes,
            packed_bytes=sum(packed.values()),
            unpacked_bytes=sum(
                size * (rows.get(name, {}).get("unpack", 1.0) if on_gpu else 1.0)
                for name, size in packed.items()
            ),
            cache_bytes=cached,
            core_seconds=sum(
                size / (rows.get(name, rows["F16"])["gb_s"] * 1e9)
                for name, size in self.read_bytes.items()
            ),
            waited_core_seconds=sum(
                size / (rows[name]["unpack_gb_s"] * 1e9)
                for name, size in packed.items()
                if "unpack_gb_s" in rows.get(name, {})
            ),
            attending_core_seconds=attended,
            layers=self.launched_layers if on_gpu and self.launched_layers else (layers,) * 3,
        )

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
        usual = figures["layers_of_7b"] * ((parameters or 0) / 7e9) ** figures["layers_grow"]
        return scaled(ends_of("step", "layers_ends"), usual) if parameters else None
    # each expert is called in turn at the slow end
    experts = sum(len(group.layers) * (group.experts or 0) for group in architecture.feed_forward)
    layers, rule = float(architecture.layers), runtime.rule_of(quantization)
    fewest, likely, most = (100, 100, 100) if rule is None else rule.launched_percent
    slow = (layers + figures["expert"] * experts) * most / 100
    return slow, layers * likely / 100, layers * fewest / 100


def parameters_met(step: Step) -> dict[str, float]:
    """Parameters that each token of a prompt meets, by stored type; {} where they cannot be told.
    The output matrix is not among them: only the last token needs it.
    """
    architecture = step.architecture
    if architecture is None or architecture.vocabulary is None:
        return {}
    left: dict[str, float] = {}
    for name, size in step.read_bytes.items():
        bits = bits_of_weight(name, of_mlx=step.foreign is not None)
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


def bits_of_weight(name: str, *, of_mlx: bool) -> float | None:
    """Of a stored type of GGUF, else of MLX, with its scales; None of one that is neither."""
    if of_mlx:
        from ...needs.checkpoints import bits_in_mlx

        return bits_in_mlx(name)
    from ...needs.quantization import BLOCKS

    if name not in BLOCKS:
        return None
    values, size = BLOCKS[name]
    return 8 * size / values
