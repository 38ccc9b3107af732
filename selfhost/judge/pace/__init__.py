"""What a pace is, as verdicts hold it; the arithmetic of ranges; the figures of
`specs/common/pace.toml`; and one step of decoding: what it reads and what it launches.

Every pace is the same sum: bytes over the rate that they are read at, operations over the rate that
they are computed at, and a fixed time for each layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from math import exp, log, sqrt
from typing import Any, NamedTuple

from ...catalogue.architecture import Architecture, Attention
from ...core import units
from ...core.records import Record
from ...core.tables import shipped_table
from ...core.templates import fill
from ...needs.quantization import BLOCKS

# types whose values are stored as they are computed with, or that GPUs convert in hardware
PLAIN_TYPES = frozenset((
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
# the words about a speed have steps of two to two and a half (2, 5 and 10 tokens/s): ends farther
# apart than this lie on both sides of more than one
_TELLING_RATIO = 3


class Range(NamedTuple):
    """A likely figure and its ends, in an answer the lowest first. Of the seconds that a pace is
    computed from the slow end stands first, which is their most.

    A sum is of parts that come one after the other, a product of independent factors, `1 / seconds`
    a rate.
    """

    low: float
    likely: float
    high: float

    def __add__(self, other: Iterable[float]) -> Range:  # type: ignore[override]
        return Range(*(own + more for own, more in zip(self, other, strict=True)))

    def __mul__(self, other: float | Iterable[float]) -> Range:  # type: ignore[override]
        if isinstance(other, int | float):
            return Range(*(end * other for end in self))
        # the ends add up as squares, in logarithms
        (slow, own, fast), (least, factor, most) = self, other
        low, high = (
            sqrt(log(end / own) ** 2 + log(end_of_factor / factor) ** 2)
            for end, end_of_factor in ((slow, least), (fast, most))
        )
        sign = 1 if slow <= fast and least <= most else -1
        likely = own * factor
        return Range(likely * exp(-sign * low), likely, likely * exp(sign * high))

    def __rtruediv__(self, number: float) -> Range:
        return Range(*(number / end for end in self))

    def ordered(self) -> Range:
        """Seconds of which no end is nearer than the likely figure."""
        slow, likely, fast = self
        return Range(max(slow, likely), likely, min(likely, fast))

    def about(self) -> tuple[str, str]:
        """The words before and behind the likely figure; behind is one where no single figure
        stands for the range.
        """
        return ("about", "") if self.high <= _TELLING_RATIO * self.low else ("perhaps", ", a guess")


NOTHING = Range(0.0, 0.0, 0.0)
SAME = Range(1.0, 1.0, 1.0)


def longest(*seconds: Range) -> Range:
    """Of parts that go on at the same time."""
    return Range(*map(max, zip(*seconds, strict=True)))


@cache
def constant(*keys: str) -> Any:
    """What stands there in `specs/common/pace.toml`: a figure, a table, or a range of three."""
    value: Any = shipped_table("pace")
    for key in keys:
        value = value[key]
    is_range = isinstance(value, list | tuple) and len(value) == 3
    return Range(*value) if is_range and isinstance(value[1], int | float) else value


def clip_words(frames: int, width: int, height: int) -> str:
    """`81 frames of 832 × 480 pixels`."""
    return f"{frames} frames of {width} × {height} pixels"


TRAINED = "trained_tokens_per_second"
# behind the pace of work that is no text
_WORK = {
    "seconds_per_image": " a picture",
    "seconds_per_video": " a clip",
    "seconds_per_music_minute": " for a minute of music",
    "seconds_per_audio_minute": " for {heard} of audio",
    "documents_per_second": " documents/s",
    "pictures_per_second": " pictures/s",
    TRAINED: " tokens/s",
}


class Speed(Record):
    """Expected pace; `how` says what it rests on, in a sentence a person understands.

    `decode` and `prompt` are of text, in tokens per second, `work` of other work in `unit`; None:
    not asked, or not known.

    - `first_token_seconds`: for the prompt that was asked about; `dataset_seconds`: to train on the
      tokens that were.
    - `parallel_total`: all sequences that are computed at once, together; `each_of`: the users who
      share it; `waiting`: how many of them wait for their turn, because memory holds no more; None
      for one alone.
    - `full_context_tokens_per_second`: once the context is full, where that is less than nine
      tenths of `decode`; `undrafted_tokens_per_second`: without the draft that `decode` counts.
    - `crossing_seconds`: of weights in RAM that cross to a GPU for each 512 tokens of a prompt.
    - `clip`: frames, width and height of a video that is made, played at `frames_per_second`.
    """

    decode: Range | None = None
    prompt: Range | None = None
    work: Range | None = None
    unit: str = "tokens_per_second"
    how: str
    crossing_seconds: float = 0.0
    first_token_seconds: Range | None = None
    dataset_seconds: Range | None = None
    parallel_total: Range | None = None
    each_of: int = 1
    waiting: int | None = None
    full_context_tokens_per_second: float | None = None
    undrafted_tokens_per_second: float | None = None
    audio_seconds: int | None = None
    clip: tuple[int, int, int] | None = None
    frames_per_second: int | None = None

    @property
    def judged(self) -> Range | None:
        """What the wanted pace is held against: what each user gets, those who wait for their turn
        counted; None where that is not known.
        """
        if self.each_of == 1:
            return self.decode
        if self.parallel_total is None:
            return None
        return self.parallel_total * (1 / self.each_of)

    def work_words(self) -> tuple[str, str]:
        """The likely pace of work that is no text, and its ends: `12 minutes for an hour of audio`,
        or for as much audio as is stated, `6 to 40 minutes`.
        """
        (low, likely, high), what = self.work or NOTHING, _WORK[self.unit]
        if self.unit == TRAINED:
            what += f" in training, {units.duration(1e6 / likely)} for a million"
        if not self.unit.startswith("seconds"):
            return f"{units.pace(likely)}{what}", units.pace(low, high)
        heard = units.duration(self.audio_seconds) if self.audio_seconds else "an hour"
        minutes = (self.audio_seconds or 3600) / 60 if "audio" in self.unit else 1
        ends = units.between(units.duration, low * minutes, high * minutes)
        return f"{units.duration(likely * minutes)}{fill(what, {'heard': heard})}", ends


class Step(Record):
    """One step of decoding: what it reads and how much it launches.

    `read_bytes`: the weights read, by stored type; `parameters` those that a token meets.
    `foreign`: the id of another program than those measured; `replays`: it replays a graph of its
    own kernels. `launched_layers`: where Python launches the operations, the layers of a dense
    model in 16 bits that take as long to launch. `depth_tokens` are in the context before it,
    `prompt_tokens` of them the prompt. `has_experts`: tokens choose among them. Without an
    `architecture` neither layers nor context count.
    """

    architecture: Architecture | None
    layers: int = 0
    has_experts: bool = False
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
    def program(self) -> str:
        """How its program launches it, as rows of `specs/common/pace.toml` have it."""
        if self.launched_layers is not None:
            return "python"
        return "graph" if self.replays and self.layers else self.foreign or ""

    def blocks_in_layers(self) -> float:
        """Its layers as a device launches them: one that only mixes tokens, or only has a
        feed-forward network, is half of one that does both (Nemotron-H, Mamba).
        """
        architecture = self.architecture
        if architecture is None or not self.layers:
            return self.layers
        groups = (*architecture.attention, *architecture.recurrent, *architecture.feed_forward)
        blocks = sum(len(group.layers) for group in groups)
        return min(self.layers, blocks / 2)

    def context(self) -> tuple[float, float]:
        """Bytes that the step reads of the context, and seconds of one core that attends to it."""
        row_seconds, number_seconds = constant("step", "attending_seconds")
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
        output = table if architecture.output_matrix else 0
        if met:
            # llama-quantize gives the output matrix one of these types, else the file's main one
            held = [name for name in ("Q6_K", "Q8_0") if met.get(name, 0) >= output]
            holder = held[0] if held else max(met, key=lambda name: met[name])
            met[holder] = max(0.0, met[holder] - output)
        return met

    def attended(self) -> float:
        """Operations of attention for a token of the prompt, half of which stands before it on
        average.
        """
        tokens, operations = self.prompt_tokens / 2, 0.0
        for group in self.architecture.attention if self.architecture is not None else ():
            window = None if group.compression else group.window_tokens
            limits = [limit for limit in (group.indexer_rows, window) if limit]
            reached = min([tokens / (group.compression or 1), *limits])
            operations += 2 * len(group.layers) * group.heads * width_of(group) * reached
        return operations


def width_of(group: Attention) -> float:
    """Numbers that a head multiplies with each token that it attends to, of keys and of values."""
    if group.kind == "latent" and group.latent_length:
        # llama.cpp attends to the compressed row itself
        return 2 * group.latent_length + (group.rope_length or 0)
    return group.key_length + group.value_length


def expert_parameters(architecture: Architecture | None, matrices: int) -> tuple[float, float, int]:
    """Parameters of all routed experts, of those that a token uses, and layers that have some."""
    experts = used = 0.0
    layers = 0
    for group in architecture.feed_forward if architecture is not None else ():
        if group.experts and architecture is not None:
            width = group.latent_length or architecture.embedding_length
            of_one = matrices * width * group.length * len(group.layers)
            chosen = group.used or 1
            experts += group.experts * of_one
            used += chosen * of_one
            layers += len(group.layers)
    return experts, used, layers
