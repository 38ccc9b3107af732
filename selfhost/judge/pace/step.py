"""What one step of decoding takes, whatever computes it: one token, one time through the model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from ...catalogue.spec import Architecture
from ...core.records import Record
from ...core.workload import NARROW_CACHE_TYPES

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec
    from ..ranges import Range

# types whose values are stored as they are computed with, or that GPUs convert in hardware
_PLAIN = frozenset((
    "F32", "F16", "BF16", "float32", "float16", "bfloat16", "fp8", "float8_e4m3",
    "float8_e4m3_128x128", "int8", "w8a8",
))  # fmt: skip


# types of one to three bits, which GPUs may unpack slower than their memory gives them: those with
# their bits in planes, and those that look their values up in a table
_IN_PLANES = ("Q2_K", "Q3_K")
_LOOKED_UP = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S")


# bytes per second that one core unpacks, by type; for the others no limit was seen
UNPACKED_PER_SECOND: Mapping[str, float] = {
    "Q5_K": 99e9, "Q3_K": 41e9, "Q2_K": 41e9, "IQ4_XS": 41e9, "IQ4_NL": 41e9, "Q5_0": 41e9,
    "Q5_1": 41e9,
    # not measured: they look their values up in tables as IQ4_XS does
    "IQ3_S": 41e9, "IQ3_XXS": 41e9, "IQ2_S": 41e9, "IQ2_XS": 41e9, "IQ2_XXS": 41e9, "IQ1_M": 41e9,
    "IQ1_S": 41e9,
}  # fmt: skip
# bytes per second that one core gets through when it works alone and memory has more to give:
# llama-bench on one thread, 33 runs of 13 files on two hosts (Zen 5), which lie up to 10 % to
# either side. Two threads at 80 GB/s of memory got twice this and no more
ALONE_PER_SECOND: Mapping[str, float] = {
    "F16": 34.5e9, "Q8_0": 29.7e9, "Q6_K": 31.5e9, "Q5_K": 23.5e9, "Q5_0": 24e9, "Q4_K": 25e9,
    "Q4_0": 26.4e9, "Q3_K": 17e9, "Q2_K": 18e9,
    "IQ4_XS": 19e9, "MXFP4": 8.4e9,
    # not measured: as the type that is stored most like it
    "Q5_1": 24e9, "Q4_1": 26.4e9, "IQ4_NL": 19e9,
    # looked up: a Ryzen 9 7950X with 2 and 4 threads (9 runs of tests/truth/speed_types.json, which
    # reach 0.75 to 0.99 of this; Q2_K to Q6_K there 0.79 to 0.88 of theirs)
    "IQ3_S": 6.4e9, "IQ3_XXS": 6.4e9, "IQ2_S": 6.4e9, "IQ2_XS": 6.4e9, "IQ2_XXS": 6.4e9,
    # by one kernel on Zen 4 (ggml-org/llama.cpp#12216), as many weights as of IQ2
    "IQ1_M": 4.7e9, "IQ1_S": 4.7e9,
    # any other type: as F16, the fastest that was measured
}  # fmt: skip


# of one core, of each head with a row of the context, and more of each number of its key and value:
# llama.cpp, flash attention, keys and values in 16 bits. A row of 64 takes 21 ns, one of 128 35
# (a Zen 5 at two threads: the rows of tests/truth/speed.json with tokens in the context)
_ATTENDING_SECONDS = (7e-9, 0.11e-9)
# launched from Python, what an expert takes of a dense layer: 0.07 to 0.11 where all are called in
# turn (Qwen1.5-MoE of 60, Qwen2-57B of 64, Qwen3-30B of 128: tests/truth/speed_transformers.json)
_EXPERT = 0.11
# and a layer whose experts are computed together, as transformers does since 5.0 (its
# documentation, Experts backends): a guess
_GROUPED_EXPERTS = 2.0


# layers of a dense model of 7 x 10^9 parameters, the power of them with which they grow, and from
# the fewest to the most beside that: 574 of the catalogue, of which nine in ten lie within
_LAYERS_OF_7B, _LAYERS_GROW, _LAYERS_ENDS = 36.0, 0.265, (1.5, 1.0, 0.7)


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
    if architecture is None:
        usual = _LAYERS_OF_7B * ((parameters or 0) / 7e9) ** _LAYERS_GROW
        most, likely, fewest = (usual * each for each in _LAYERS_ENDS)
        return (most, likely, fewest) if parameters else None
    mixed = [group for group in architecture.feed_forward if group.experts]
    grouped = (_GROUPED_EXPERTS - 1) * sum(len(group.layers) for group in mixed)
    in_turn = _EXPERT * sum(len(group.layers) * (group.experts or 0) for group in mixed)
    layers = architecture.layers
    rule = runtime.rule_of(quantization)
    percent = (100, 100, 100) if rule is None else rule.launched_percent
    counts = (layers + max(grouped, in_turn), layers + grouped, float(layers))
    most, likely, fewest = (
        count * each / 100 for count, each in zip(counts, reversed(percent), strict=True)
    )
    return most, likely, fewest


def read_of_cache(type: str | None) -> int:
    """Bytes that reading one number of a KV cache of that type takes. One in blocks counts as one
    of 16 bits: to unpack it takes time that was not measured.
    """
    return 1 if type in NARROW_CACHE_TYPES else 2


# matrices of an expert in most architectures: gate, up and down
WITH_A_GATE = 3


class Step(Record):
    """One step: what it reads and how much it launches.

    `read_bytes`: the weights read, by stored type. `expert_matrices`: those of an expert, as its
    architecture has them (`ArchitectureRow.expert_matrices`). `replays`:
    the program replays a graph of its own kernels instead.
    `launched_layers`: where Python launches the operations, layer by layer, the layers of a dense
    model in 16 bits that take as long to launch: slow end, likely, fast end.
    `depth_tokens` are in the context before it, each number of their keys and values in
    `cached_number_bytes`. Without an `architecture`
    neither layers nor context count. `foreign`: another program than those that were measured.
    """

    architecture: Architecture | None
    read_bytes: Mapping[str, int]
    expert_matrices: int = WITH_A_GATE
    replays: bool = False
    launched_layers: Range | None = None
    depth_tokens: float = 0
    cached_number_bytes: int = 2
    foreign: str | None = None

    @cached_property
    def weights_bytes(self) -> int:
        """All that is read of the weights."""
        return sum(self.read_bytes.values())

    @cached_property
    def layers(self) -> int:
        """0 where they are not known."""
        return 0 if self.architecture is None else self.architecture.layers

    @cached_property
    def unpacking_core_seconds(self) -> float:
        """What one core takes to unpack what is read, of the types that a limit was seen for."""
        return sum(
            size / UNPACKED_PER_SECOND[name]
            for name, size in self.read_bytes.items()
            if name in UNPACKED_PER_SECOND
        )

    @cached_property
    def alone_core_seconds(self) -> float:
        """What one core takes to get through what is read where memory has more to give."""
        usual = ALONE_PER_SECOND["F16"]
        return sum(
            size / ALONE_PER_SECOND.get(name, usual) for name, size in self.read_bytes.items()
        )

    @cached_property
    def packed_bytes(self) -> int:
        """Those of weights in few bits, which are unpacked before they are computed with."""
        return sum(size for name, size in self.read_bytes.items() if name not in _PLAIN)

    @cached_property
    def few_bits(self) -> tuple[int, float, float]:
        """Of `packed_bytes` those in one to three bits, and how many weights have them in planes,
        and are looked up.
        """
        from ...needs.quantization import BLOCKS

        size, weights = 0, []
        for types in (_IN_PLANES, _LOOKED_UP):
            read = {name: self.read_bytes[name] for name in types if name in self.read_bytes}
            size += sum(read.values())
            counts = (count / BLOCKS[name][1] * BLOCKS[name][0] for name, count in read.items())
            weights.append(sum(counts))
        return size, weights[0], weights[1]

    @cached_property
    def has_large_layers(self) -> bool:
        """Whether its layers have experts, or attend to sound beside the text."""
        hears = self.architecture is not None and self.architecture.audio is not None
        return hears or self.has_experts

    @cached_property
    def is_vague(self) -> bool:
        """Its pace is known less well than that of the programs measured."""
        return self.lacks_layers or self.foreign is not None

    @cached_property
    def lacks_layers(self) -> bool:
        """Its layers are not known, so that neither they nor the context count."""
        return self.architecture is None

    @cached_property
    def has_experts(self) -> bool:
        """Whether tokens choose among experts."""
        return self.architecture is not None and any(
            group.experts for group in self.architecture.feed_forward
        )

    @cached_property
    def cache_bytes(self) -> float:
        """What the step reads of the context."""
        total = 0.0
        for group in self.architecture.attention if self.architecture is not None else ():
            seen = min(self.depth_tokens, group.window_tokens or self.depth_tokens)
            width = group.kv_heads * (group.key_length + group.value_length)
            if group.kind == "latent":
                width = (group.latent_length or 0) + (group.rope_length or 0)
            total += self.cached_number_bytes * seen * width * len(group.layers)
        return total

    @cached_property
    def attending_core_seconds(self) -> float:
        """What attending to the context takes of one core of the processor measured on; windows end
        what a layer sees.
        """
        row_seconds, number_seconds = _ATTENDING_SECONDS
        total = 0.0
        for group in self.architecture.attention if self.architecture is not None else ():
            if group.kind == "cross":
                continue
            seen = min(self.depth_tokens, group.window_tokens or self.depth_tokens)
            width = float(group.key_length + group.value_length)
            if group.kind == "latent":
                width = 2.0 * (group.latent_length or 0) + 2 * (group.rope_length or 0)
            of_a_head = seen * (row_seconds + width * number_seconds)
            total += of_a_head * group.heads * len(group.layers)
        return total

    def at(self, depth_tokens: float) -> Step:
        """The same step with another number of tokens in the context."""
        return self.replace(depth_tokens=depth_tokens)
