"""What one step of decoding takes, whatever computes it: one token, one time through the model."""

from __future__ import annotations

from collections.abc import Mapping

from ...catalogue.spec import Architecture
from ...core.records import Record
from ...core.workload import NARROW_CACHE_TYPES
from .engine import Work, constant

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec
    from ..ranges import Range

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
    def is_vague(self) -> bool:
        """Its pace is known less well than that of the programs measured."""
        return self.architecture is None or self.foreign is not None

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
        from ...needs.packed import bits_in_mlx

        return bits_in_mlx(name)
    from ...needs.quantization import BLOCKS

    if name not in BLOCKS:
        return None
    values, size = BLOCKS[name]
    return 8 * size / values
