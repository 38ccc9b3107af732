"""One step of decoding, whatever computes it, and the table of efficiencies that turns a device's
peaks into rates (`specs/common/pace.toml`).

Every pace is the same sum: bytes over the rate that they are read at, operations over the rate that
they are computed at, and a fixed time for each layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import inf

from ...catalogue.architecture import Architecture, Attention
from ...core.records import FrozenDict, Record
from ...core.spelling import words_of
from ...core.tables import shipped_table
from ...core.workload import NARROW_CACHE_TYPES
from ...machine import gpus
from ...machine.cpus import apple_chip_of
from ...machine.record import Accelerator
from .speed import Range

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ...catalogue.runtime import RuntimeSpec

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
# what a row may ask of a device beside its name and what it computes
_FACTS = (
    "vendor", "unified", "integrated", "less_power", "hbm", "generation", "neural", "host",
    "program", "work",
)  # fmt: skip
_LESS_POWER = frozenset(("laptop", "mobile", "q"))


def constant(name: str) -> Any:
    """A figure, or a table, of `specs/common/pace.toml`."""
    return shipped_table("pace")[name]


def ends_of(table: str, name: str) -> Range:
    """A range of `specs/common/pace.toml`."""
    slow, likely, fast = constant(table)[name]
    return slow, likely, fast


@lru_cache(maxsize=4096)
def efficiency(
    table: str, device: Accelerator, program: str = "", host: str | None = None, work: str = ""
) -> Mapping[str, Any]:
    """The first row of a table of `specs/common/pace.toml` that fits a device: what its kind was
    seen to reach. `LookupError` where the table has no row for all others.
    """
    name, words = device.name, words_of(device.name)
    capability = gpus.capability_of(device)
    chip = apple_chip_of(words)
    peak, cycles = gpus.peak_flops(name, capability), gpus.cycles_per_second(name)
    flops_of_cycle = peak / cycles if peak is not None and cycles is not None else inf
    facts = (
        device.vendor.lower(),
        bool(device.unified),
        bool(device.unified) and gpus.fact_of(name, "integrated") is not None,
        not _LESS_POWER.isdisjoint(words),
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


def basis_of(row: Mapping[str, Any]) -> str:
    """What a row rests on, as a clause."""
    devices = row["devices"]
    if not devices:
        return "a guess: no published run on such GPUs was fitted"
    return f"fitted on published runs of {'one GPU' if devices == 1 else f'{devices} GPUs'}"


class Step(Record):
    """One step of decoding: what it reads and how much it launches.

    `read_bytes`: the weights read, by stored type. `expert_matrices`: those of an expert, as its
    architecture has them (`ArchitectureRow.expert_matrices`). `foreign`: the id of another program
    than those that were measured; `replays`: it replays a graph of its own kernels.
    `launched_layers`: where Python launches the operations, layer by layer, the layers of a dense
    model in 16 bits that take as long to launch. `depth_tokens` are in the context before it, each
    number of their keys and values in `cached_number_bytes`; `prompt_tokens` of them are the prompt
    that was asked about. Without an `architecture` neither layers nor context count.
    """

    architecture: Architecture | None
    read_bytes: Mapping[str, int]
    expert_matrices: int = WITH_A_GATE
    replays: bool = False
    launched_layers: Range | None = None
    depth_tokens: float = 0
    prompt_tokens: int = 0
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
            prompt_tokens=prompt_tokens or 0,
            # a cache in blocks counts as one of 16 bits: to unpack it takes time too
            cached_number_bytes=1 if cache_type in NARROW_CACHE_TYPES else 2,
            foreign=None if is_measured or runtime is None else runtime.id,
        )

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

    def at(self, depth_tokens: float) -> Step:
        """The same step with another number of tokens in the context."""
        return self.replace(depth_tokens=depth_tokens)

    def context(self) -> tuple[float, float]:
        """Bytes that the step reads of the context, and what attending to it takes of one core of
        the processor measured on; windows end what a layer sees.
        """
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
                attended += rows * group.heads * (row_seconds + _width(group) * number_seconds)
        return cached, attended

    def parameters_met(self) -> dict[str, float]:
        """Parameters that each token of a prompt meets, by stored type; {} where they cannot be
        told. The output matrix is not among them: only the last token needs it.
        """
        architecture = self.architecture
        if architecture is None or architecture.vocabulary is None:
            return {}
        left: dict[str, float] = {}
        for name, size in self.read_bytes.items():
            bits = bits_of_weight(name, of_mlx=self.foreign is not None)
            if bits is None:
                return {}
            if name != "F32":
                left[name] = 8 * size / bits
        rows = architecture.vocabulary * architecture.output_matrix
        output = rows * architecture.embedding_length
        if left:
            # llama-quantize gives the output matrix one of these types, else the file's main one
            held = [name for name in ("Q6_K", "Q8_0") if left.get(name, 0) >= output]
            holder = held[0] if held else max(left, key=lambda name: left[name])
            left[holder] = max(0.0, left[holder] - output)
        return left

    def attended_operations(self) -> float:
        """Multiplications and additions of attention, of one token of the prompt: on average half
        of it stands before a token.
        """
        tokens, operations = self.prompt_tokens / 2, 0.0
        for group in self.architecture.attention if self.architecture is not None else ():
            reached = tokens / (group.compression or 1)
            window = None if group.compression else group.window_tokens
            limits = [limit for limit in (group.indexer_rows, window) if limit]
            heads = len(group.layers) * group.heads
            operations += 2 * heads * _width(group) * min([reached, *limits])
        return operations


def _width(group: Attention) -> float:
    """Numbers that a head multiplies with each token that it attends to, of keys and of values."""
    if group.kind == "latent" and group.latent_length:
        # llama.cpp attends to the compressed row itself
        return 2 * group.latent_length + (group.rope_length or 0)
    return group.key_length + group.value_length


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
        slow, likely, fast = figures["layers_ends"]
        return (usual * slow, usual * likely, usual * fast) if parameters else None
    # each expert is called in turn at the slow end
    experts = sum(len(group.layers) * (group.experts or 0) for group in architecture.feed_forward)
    layers, rule = float(architecture.layers), runtime.rule_of(quantization)
    fewest, usual, most = (100, 100, 100) if rule is None else rule.launched_percent
    slow = (layers + figures["expert"] * experts) * most / 100
    return slow, layers * usual / 100, layers * fewest / 100


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
