"""ModelSpec: the facts about one model's published weights, and RuntimeSpec: what one program does
with them.

The schema is documented key by key in `specs/README.md`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..core.records import Record, pattern
from ..core.tomlfile import Document, Table, kind_of, shortened
from ..core.units import parse_bytes
from ..core.workload import KV_CACHE_TYPES
from .fitting import MAX_EXPERTS, MAX_INPUTS, Misfit, undivided, unsized

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeVar

    _Part = TypeVar("_Part", bound="LayerPart")

SCHEMA = 1
# more than any published model has (126); bounds what a hostile file can ask for
MAX_LAYERS = 1000
MAX_BEAMS = 100
# the same for tensors; the richest architecture of llama.cpp has some 60 names
MAX_TENSOR_NAMES = 1000
# of a license expression, whose choices multiply: more ids, deeper parentheses or more letters than
# any model's license has
MAX_LICENSE_IDS = 20
MAX_LICENSE_LETTERS = 1000
MODALITIES = ("text", "vision", "speech", "embedding", "image")
ATTENTION_KINDS = ("full", "sliding", "latent", "cross", "compressed")
RECURRENT_KINDS = (
    "mamba",
    "mamba2",
    "delta",
    "kda",
    "lightning",
    "convolution",
    "rglru",
    "rwkv6",
    "rwkv7",
    "qrwkv6",
    "qrwkv7",
)
OPENNESS = ("published", "partial", "closed", "unknown")
ANSWERS = ("yes", "no", "conditional")
HOW = ("exact", "computed", "measured", "stated", "assumed")
FORMATS = ("gguf", "safetensors", "mlx", "ggml", "ctranslate2", "pickle")
DTYPES = (
    "bfloat16", "float16", "float32", "float8_e4m3", "float8_e4m3_128x128", "mxfp4", "nvfp4",
    "int8", "int4", "int4_32", "ternary",
)  # fmt: skip
# types that a checkpoint asks a cache to be kept in
CACHE_DTYPES = ("float8_e4m3",)
# whose files a program may not load, whatever types it loads
QUANTIZERS = ("modelopt",)
# types that a model runs in as they are
PLAIN_DTYPES = ("bfloat16", "float16", "float32")
# CTranslate2 computes in these, whatever type the file has, best quality first
CTRANSLATE2_TYPES = ("float32", "float16", "int8")
# quantized by others than the publisher, as needs/packed.py lays them out; 4 bits in groups of 128
# where the name does not say
PACKED = (
    "awq", "awq-64g", "awq-32g", "gptq", "gptq-64g", "gptq-32g", "gptq-channel", "gptq-8bit",
    "gptq-8bit-64g", "gptq-8bit-32g",
    "gptq-8bit-channel", "gptq-3bit", "gptq-3bit-64g", "gptq-3bit-32g", "gptq-3bit-channel",
    "gptq-2bit", "gptq-2bit-64g",
    "gptq-2bit-32g", "gptq-2bit-channel", "w4a16", "w4a16-64g", "w4a16-32g", "w4a16-channel",
    "w4a16-asym", "w4a16-64g-asym",
    "w4a16-32g-asym", "w4a16-channel-asym", "w8a16", "w8a16-64g", "w8a16-32g", "w8a16-channel",
    "w8a16-asym", "w8a16-64g-asym",
    "w8a16-32g-asym", "w8a16-channel-asym", "w8a8", "fp8", "nf4", "nf4-double",
)  # fmt: skip
# modes of mlx.core.quantize (MLX 0.32.4) that have a scale of 8 bits and no bias: bits of a weight,
# and weights of one scale
MLX_MODES = {"mxfp4": (4, 32), "mxfp8": (8, 32), "nvfp4": (4, 16)}
# types of single tensors in MLX's files; 16 bits where it left them
APART = (
    "bf16", *(f"{bits}bit{group}" for bits in (1, 2, 3, 4, 5, 6, 8) for group in ("", "-32g",
    "-128g")), *MLX_MODES,
)  # fmt: skip
QUERY_KEY_NORMS = ("head", "per_head", "full", "none")
# what a model may have beside its row, or lack of it: flags of `needs.tensors.ArchitectureRow`
ROW_FLAGS = (
    "attention_output_bias",
    "feed_forward_bias",
    "norm_bias",
    "norms_after",
    "output_bias",
    "output_norm",
    "embedding_norm",
    "token_types",
    "positions",
    "pooler",
)
ROPE_FACTORS = ("freqs", "long_short")
GATES = ("split", "fused", "none")
# gguf: what llama.cpp's llama-quantize lists, and the names its well-known publishers add; the
# others as publishers name them
_GGUF_QUANTIZATIONS = (
    "Q4_K_M", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_0", "Q5_1", "Q4_K_S", "Q4_0", "Q4_1",
    "Q3_K_L", "Q3_K_M", "Q3_K_S",
    "Q2_K", "Q2_K_S", "IQ4_XS", "IQ4_NL", "IQ3_M", "IQ3_S", "IQ3_XS", "IQ3_XXS", "IQ2_M", "IQ2_S",
    "IQ2_XS", "IQ2_XXS",
    "IQ1_M", "IQ1_S", "TQ1_0", "TQ2_0", "MXFP4", "MXFP4_MOE", "F16", "BF16", "F32",
    "Q2_K_L", "Q3_K_XL", "Q4_K_L", "Q5_K_L", "Q6_K_L",
    "UD-Q2_K_XL", "UD-Q3_K_XL", "UD-Q4_K_XL", "UD-Q5_K_XL", "UD-Q6_K_XL", "UD-Q8_K_XL", "UD-IQ1_S",
    "UD-IQ1_M", "UD-IQ2_XXS", "UD-IQ2_M",
)  # fmt: skip
QUANTIZATIONS: Mapping[str, tuple[str, ...]] = {
    "gguf": _GGUF_QUANTIZATIONS,
    "ggml": ("F16", "F32", "Q8_0", "Q5_0", "Q5_1", "Q4_0", "Q4_1"),
    "ctranslate2": CTRANSLATE2_TYPES,
    "safetensors": (*DTYPES, *PACKED),
    "pickle": DTYPES,
    "mlx": (*APART, "fp16", "4bit-mxfp4", "MXFP4-Q8"),
}
_ID_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")
_REPOSITORY_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
# what people type; a quote, $ or ` of an alias would reach the shell through its completion
_ALIAS = pattern(r"[\w.:/+ -]+")
_LICENSE_WORD = pattern(r"[()]|[^\s()]+")
_LICENSE_ID = pattern(r"[A-Za-z0-9][A-Za-z0-9.:+-]*")
# what a workload may ask of a runtime beyond its defaults
COMPANIONS = ("draft", "mtp", "adapter")
ASKED_OF_RUNTIME = (
    "context_tokens",
    "parallel",
    "kv_cache_type",
    "yarn",
    "embedding",
    "whole_batch",
    *COMPANIONS,
)
_INDEXER_KEYS = ("indexer_heads", "indexer_length")
_COMPRESSED_KEYS = ("compression", "indexer_rows", "output_groups", "output_latent_length")
_AUDIO_KEYS = (
    "layers",
    "heads",
    "embedding_length",
    "feed_forward_length",
    "positions",
    "mel_bins",
)
# what each kind must state; a kind's other keys are in `_recurrent`
_RECURRENT_KEYS: Mapping[str, tuple[str, ...]] = {
    "mamba": ("inner_length", "state_length", "time_step_rank", "convolution"),
    "mamba2": ("inner_length", "state_length", "heads", "groups", "convolution"),
    "delta": ("key_heads", "heads", "key_length", "value_length", "convolution"),
    "kda": ("heads", "key_length", "convolution"),
    "lightning": ("heads", "key_length"),
    "convolution": ("convolution",),
    "rglru": ("inner_length", "heads", "convolution"),
    "rwkv6": ("key_length", "ranks"),
    "rwkv7": ("key_length", "ranks"),
    "qrwkv6": ("key_heads", "key_length", "ranks"),
    "qrwkv7": ("key_length", "ranks"),
}
# what the ranks of RWKV are of
_RANKS: Mapping[str, tuple[str, ...]] = {
    "rwkv6": ("mixing", "decay"), "qrwkv6": ("mixing", "decay"),
    "rwkv7": ("decay", "rate", "first values", "gate"), "qrwkv7": ("decay", "rate", "first values",
    "gate"),
}  # fmt: skip
_RECURRENT_SIZES = (
    "inner_length", "state_length", "time_step_rank", "convolution", "heads", "key_heads",
    "key_length", "value_length", "groups",
)  # fmt: skip


class License(Record):
    """SPDX expression or `LicenseRef-…`, and what it allows: each `yes`, `no`, `conditional` or
    None where not known.
    """

    id: str | None = None
    url: str | None = None
    commercial_use: str | None = None
    modification: str | None = None
    redistribution: str | None = None
    conditions: tuple[str, ...] = ()
    duties: tuple[str, ...] = ()


class Openness(Record):
    """What was published, each one of OPENNESS."""

    weights: str = "unknown"
    inference_code: str = "unknown"
    training_code: str = "unknown"
    training_data: str = "unknown"
    paper: str = "unknown"


class Parameters(Record):
    """Counts in the published checkpoint: tied matrices once, without multi-token-prediction
    blocks. `active` is `total` less the experts that a token does not use.

    `projector_bytes`: the GGUF file of the encoders in F16; `encoder_type`: model_type and width of
    the first, as `[[encoder]]` of specs/common/architectures.toml has them.
    """

    total: int | None = None
    active: int | None = None
    encoders: int | None = None
    projector_bytes: int | None = None
    encoder_type: str | None = None
    mtp: int | None = None
    extra_in_files: int | None = None
    difference: str | None = None


class LayerPart(Record):
    """What layers have that are alike in it: attention, a recurrent state or a feed-forward."""

    def misfits(self, width: int | None) -> Iterator[Misfit]:
        """Every size that arithmetic cannot take or divide by, once the others are as they are.
        `width`: embedding_length, if known.
        """
        return unsized(self)


class Attention(LayerPart):
    """Layers that attend alike. `layers` are their 0-based numbers, already resolved from `at`.

    `latent_length` of a "full" layer: its keys and values come from one compressed row, and are
    cached unpacked; `key_length` is whole.
    """

    kind: str = "full"
    layers: tuple[int, ...]
    heads: int
    kv_heads: int
    key_length: int
    value_length: int
    window_tokens: int | None = None
    values_from_keys: bool = False
    latent_length: int | None = None
    query_latent_length: int | None = None
    rope_length: int | None = None
    indexer_heads: int | None = None
    indexer_length: int | None = None
    indexer_rows: int | None = None
    query_key_norm: str | None = None
    compression: int | None = None
    output_groups: int | None = None
    output_latent_length: int | None = None

    def misfits(self, width: int | None) -> Iterator[Misfit]:
        """Every head shares the keys and values of as many others, and of compressed attention
        a group of the output.
        """
        yield from super().misfits(width)
        heads = f"the {self.heads:,} heads"
        if self.kv_heads <= self.heads:
            yield from undivided("kv_heads", self.kv_heads, self.heads, heads)
        yield from undivided("output_groups", self.output_groups, self.heads, heads)


class Recurrent(LayerPart):
    """Layers that keep a state of fixed size instead of a cache, or beside it."""

    kind: str
    layers: tuple[int, ...]
    inner_length: int | None = None
    state_length: int | None = None
    time_step_rank: int | None = None
    convolution: int | None = None
    heads: int | None = None
    key_heads: int | None = None
    key_length: int | None = None
    value_length: int | None = None
    groups: int | None = None
    norm: bool | None = None
    ranks: tuple[int, ...] | None = None

    def misfits(self, width: int | None) -> Iterator[Misfit]:
        """Heads divide the inner width, and groups or heads of keys those heads; of RWKV the
        length of a head divides that of a layer.
        """
        yield from super().misfits(width)
        yield from undivided(
            "heads", self.heads, self.inner_length, f"inner_length, {self.inner_length or 0:,}"
        )
        heads, divides = (
            self.heads,
            {"mamba2": ("groups", self.groups), "delta": ("key_heads", self.key_heads)}.get(
                self.kind
            ),
        )
        if "rwkv" in self.kind and width is not None and self.key_length:
            yield from undivided(
                "key_length", self.key_length, width, f"embedding_length, {width:,}"
            )
            heads, divides = width // self.key_length, ("key_heads", self.key_heads)
        if divides is not None and heads:
            yield from undivided(*divides, heads, f"the {heads:,} heads")
        names = _RANKS.get(self.kind, ())
        # without a gate its rank is 0
        if names and (len(self.ranks or ()) != len(names) or not all((self.ranks or ())[:3])):
            last = "; without a gate the last is 0" if "gate" in names else ""
            yield (
                "ranks",
                f"is {list(self.ranks or ())}",
                f"write {len(names)} numbers, those of {', '.join(names)}, each at least 1{last}",
            )


class FeedForward(LayerPart):
    """Layers with the same feed-forward. With `experts`, `length` is that of one expert;
    `shared_length` the total of the shared ones.
    """

    layers: tuple[int, ...]
    length: int
    experts: int | None = None
    used: int | None = None
    shared_length: int | None = None
    latent_length: int | None = None
    router_bias: bool = False
    beside_dense: int | None = None
    groups: int | None = None
    groups_used: int | None = None

    def misfits(self, width: int | None) -> Iterator[Misfit]:
        """Groups share the experts out evenly, two or more in each, for a group is ranked by
        its two best; those used have enough.
        """
        yield from super().misfits(width)
        if not self.experts or not self.groups:
            return
        unshared = tuple(
            undivided("groups", self.groups, self.experts, f"the {self.experts:,} experts", least=2)
        )
        yield from unshared
        chosen, each = self.groups_used or 0, self.experts // self.groups
        if chosen > self.groups:
            yield (
                "groups_used",
                f"is {chosen:,}, more than the {self.groups:,} groups",
                f"write at most {self.groups:,}",
            )
        elif chosen and not unshared and (self.used or 0) > chosen * each:
            message = (
                f"is {chosen:,}: so many groups of {each:,} experts have less than the"
                f" {self.used or 0:,} that a token uses"
            )
            yield "groups_used", message, f"write at least {-(-(self.used or 0) // each):,}"


class Audio(Record):
    """The encoder of a speech model."""

    layers: int
    heads: int
    embedding_length: int
    feed_forward_length: int
    positions: int
    mel_bins: int


class TensorGroup(Record):
    """Tensors listed one by one: `layers` is empty for a tensor outside the blocks; `shape` has
    the row length first.
    """

    name: str
    layers: tuple[int, ...]
    shape: tuple[int, ...]


class Architecture(Record):
    """Sizes that differ between two models of one architecture; what all its models share is the
    row named by `row`.

    `row` is `general.architecture` of the GGUF file where one exists (`runs_in_gguf`), else the
    transformers model type. `scaled_context_tokens` is the longest context that the publisher
    documents by scaling positions, above `context_tokens`; `yarn_original_tokens` the context that
    YaRN stretches to it, None where it is scaled in another way; `rope_positions`: how many
    positions vLLM makes a table of sines and cosines for, where that is not `context_tokens`.
    `apart`: published tensors of another type than `matrix_dtype` and `expert_dtype`, under the
    names of GGUF files (`blk.*` for all blocks that have one). `cache_dtype` is what the checkpoint
    asks keys and values to be kept in, None where it asks for nothing: vLLM follows it.
    `quantizer`: what made the narrow types, where a program that loads the types does not load its
    files.
    """

    row: str
    runs_in_gguf: bool
    dtype: str | None = None
    matrix_dtype: str | None = None
    expert_dtype: str | None = None
    apart: tuple[tuple[str, str], ...] = ()
    cache_dtype: str | None = None
    quantizer: str | None = None
    layers: int
    encoder_layers: int | None = None
    embedding_length: int
    heads: int | None = None
    beams: int | None = None
    vocabulary: int | None = None
    vocabulary_gguf: int | None = None
    context_tokens: int | None = None
    scaled_context_tokens: int | None = None
    yarn_original_tokens: int | None = None
    rope_positions: int | None = None
    tied_embeddings: bool = False
    attention: tuple[Attention, ...] = ()
    recurrent: tuple[Recurrent, ...] = ()
    feed_forward: tuple[FeedForward, ...] = ()
    attention_bias: bool | None = None
    query_key_norm: str | None = None
    parallel_norms: int | None = None
    rope_factors: str | None = None
    gate: str | None = None
    table_length: int | None = None
    also: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    positions: int | None = None
    token_types: int | None = None
    output_matrix: bool = True
    cache_layers: int | None = None
    stored_layers: int | None = None
    per_layer_embedding_length: int | None = None
    altup_inputs: int | None = None
    deepstack_layers: int | None = None
    mtp_layers: int | None = None
    layer_pattern: str | None = None
    audio: Audio | None = None
    tensors: tuple[TensorGroup, ...] = ()

    def misfits(self) -> Iterator[Misfit]:
        """As those of a part of a layer; theirs are not among them."""
        yield from unsized(self)
        if self.altup_inputs is not None and not 2 <= self.altup_inputs <= MAX_INPUTS:
            yield (
                "altup_inputs",
                f"is {self.altup_inputs:,}, and versions beside each other are several",
                f"write 2 to {MAX_INPUTS}",
            )
        if self.mtp_layers and not self.tensors and not (self.attention and self.feed_forward):
            message = (
                f"is {self.mtp_layers:,}, and such a block is like a layer that attends and feeds"
                " forward, which the model has not"
            )
            yield (
                "mtp_layers",
                message,
                "write attention and feed_forward, or [architecture.tensors]",
            )


class StatedNeeds(Record):
    """What somebody states a model takes, where nothing can be computed. Memory is a range;
    equal ends where one figure was given.
    """

    low_bytes: int | None = None
    high_bytes: int | None = None
    disk_bytes: int | None = None
    instruction_sets: tuple[str, ...] = ()
    source: str | None = None


# what follows the name of an architecture in the table where a model's own file does not tell all
# its tensors
INCOMPLETE = " (incomplete)"
# what the source of a size begins with that was read off a file on this disk; its path follows
SIZE_OF = "size of "


class PublishedFiles(Record):
    """Sizes that one publisher states: `bytes` by quantization. `repository` is where they can be
    fetched from.

    `unsized`: quantizations that lie there and whose size nobody states to the byte; it is
    computed.
    """

    format: str
    source: str
    repository: str | None = None
    bytes: Mapping[str, int] = {}
    unsized: tuple[str, ...] = ()


class Quantized(Record):
    """How weights are stored that others quantized: `quantization` of `format`, None where what it
    is has no name here.

    They are judged as they are stored: a GGUF file is made of the weights that they were quantized
    from. `apart`: tensors of MLX's files in another type than that, under the names of GGUF files
    (`blk.*` for all blocks that have one).
    """

    format: str
    quantization: str | None = None
    apart: tuple[tuple[str, str], ...] = ()


class FileTensors(Record):
    """Tensors of one file that are alike, `count` of them, together `bytes`: a block's number in
    their name is `*`.

    `extra`: of blocks that predict more than one token.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    count: int
    bytes: int
    extra: bool = False


class Upkeep(Record):
    """Whether the model is still the one to take."""

    superseded_by: str | None = None
    note: str | None = None


class Safety(Record):
    """Which file formats the weights come in (`safetensors`, `gguf`, `pickle`), and whether
    loading runs remote code.
    """

    formats: tuple[str, ...] = ()
    remote_code: bool | None = None


class Availability(Record):
    """A closed model: why there are no weights, who serves it, and what is nearest. `api` is
    false where no program can be served.
    """

    why: str
    provider: str
    retired: str | None = None
    successor: str | None = None
    free_tier: str | None = None
    api: bool = True
    open_alternatives: tuple[str, ...] = ()


class ModelSpec(Record):
    """One set of published weights (or one closed model), as its spec file states it. Dates are
    `YYYY-MM-DD`, possibly cut short.

    `origin` is the file it was read from; `overrides` the shipped file that it replaces, if any.
    `tensors` are those of the very GGUF file that it was read from, which no spec file lists, and
    `refused` is the sentence why no program loads that file. `tokenizer`: whether one comes with
    it, None where a config.json alone is known.
    """

    id: str
    name: str
    family: str | None = None
    developer: str | None = None
    released: str | None = None
    modality: str = "text"
    aliases: tuple[str, ...] = ()
    repository: str | None = None
    gated: bool | None = None
    license: License | None = None
    openness: Openness = Openness()
    parameters: Parameters = Parameters()
    architecture: Architecture | None = None
    components: Mapping[str, int] = {}
    components_dtype: str | None = None
    native_pixels: int | None = None
    embedding_length: int | None = None
    needs: StatedNeeds | None = None
    files: tuple[PublishedFiles, ...] = ()
    quantized: Quantized | None = None
    upkeep: Upkeep = Upkeep()
    safety: Safety = Safety()
    availability: Availability | None = None
    sources: Mapping[str, str] = {}
    unknown: Mapping[str, str] = {}
    tensors: tuple[FileTensors, ...] = ()
    tokenizer: bool | None = None
    refused: str | None = None
    origin: str = ""
    overrides: str | None = None

    @property
    def closed(self) -> bool:
        """True for a model whose weights were never published."""
        return self.openness.weights == "closed"

    def repository_of(self, format: str, quantization: str) -> str | None:
        """Where files of that quantization lie, by any case of its name; None where this
        catalogue knows of none.
        """
        wanted = quantization.lower()
        for files in self.files:
            if files.format == format and any(
                name.lower() == wanted for name in (*files.bytes, *files.unsized)
            ):
                return files.repository
        return None

    def published_bytes(self, format: str, quantization: str) -> tuple[int, PublishedFiles] | None:
        """The size a publisher states for one file set, and which publisher; the first one
        listed wins.
        """
        for files in self.files:
            if files.format == format and quantization in files.bytes:
                return files.bytes[quantization], files
        return None


class QuantizationRule(Record):
    """How one program takes one quantization of safetensors or MLX files.

    `also`: what people type for it with this program (`4bit`); `at_load`: it downloads the 16-bit
    files and quantizes them itself; `gpu_only`: there is no CPU kernel; `compute_capability`: the
    least of an NVIDIA GPU; `vendors`: GPUs it has kernels for; `needs`: packages beside the
    program; `command` the line that loads it right, with the blanks of `RuntimeSpec.command`.
    """

    also: tuple[str, ...] = ()
    at_load: bool = False
    gpu_only: bool = False
    compute_capability: str | None = None
    vendors: tuple[str, ...] = ()
    needs: str = ""
    command: str = ""
    source: str


class RuntimeSpec(Record):
    """One program that loads models: `specs/runtimes/<id>.toml`.

    `formats` in order of preference; `systems` as `linux-x86_64`, `macos-aarch64`, …; `modalities`
    it can serve; `text_part`: by architecture row, or `*`, the families (all where none is named)
    of models that see, of which it runs the text alone; `instruction_sets` by architecture: the
    ones without which its shipped build crashes; `store` names the disk place (`Disk.purpose`) its
    downloads land in; `present` are command names or Python distributions that show it is
    installed; `install` is one line to get it; `command` the line that downloads and runs a model,
    with `{repository}`, `{quantization}`, `{context_tokens}` (per sequence),
    `{total_context_tokens}`, `{parallel}`, `{kv_cache_type}`, `{tag}`, `{draft}` (a repository,
    with `:{quantization}` for GGUF), `{adapter}` (a file) to fill in; `inputs` by modality what
    fills `{input}` of it; `repository_command` the same where no tag names the model; `gpu_only`
    where it cannot run on a CPU; `splits_layers` where part of the layers can be on an accelerator
    and the rest in RAM.

    Where the workload departs from the runtime's default, by ASKED_OF_RUNTIME: `options` are
    appended to the command (`whole_batch`: for an encoder, which reads a text in one batch,
    `{batch_tokens}` of them; `embedding`: for any model that embeds, where the runtime has to be
    told); `settings` are environment variables, `NAME=value` with a space between two, for `serve`,
    the command that starts the server. A key in neither is in `command`, or cannot be asked for.
    `default_context_tokens` is the context it takes unless told; None where the command says it, or
    the model's own is taken.

    `elsewhere` is the clause that tells how it runs on systems that it is not judged on, where it
    does. `builds_from_source`: systems without a published build on which its source is known to
    build; `source_build` is where that is described. `big_endian_systems`: those whose build loads
    big-endian GGUF files alone, while published ones are little-endian.

    `tags`: the quantization that the runtime's own name of a model loads, where it is not the one
    that selfhost takes by default.

    `companions` is what it can load beside a model, of COMPANIONS: a draft model, the model's own
    multi-token-prediction block, an adapter.

    `kv_cache_types` are those that it can be asked for beside the type it takes by itself, of
    workload.KV_CACHE_TYPES.

    `most_sequences` is how many it can serve at once; None where nothing bounds them but memory.
    `slots`: how many it makes room for unless its command says how many, all in one cache; 0 where
    it makes room for one.

    Of the programs that run llama.cpp's code: `flash_attention`, False where it is off unless asked
    for; `logits_rows`, for which tokens it reserves logits: the last of each "sequence", or of a
    whole "batch"; `whole_windows`, True where layers with a sliding window cache the whole context
    all the same; `context_checkpoints`, how often it copies what a cache cannot be rolled back to
    (states, sliding windows) while it reads one prompt, at most; `kept_checkpoints`, how many such
    copies a sequence keeps as more prompts follow.

    `minimum_versions` by architecture row: the first release that knows it, which not every model
    of it can do with; what is missing is not known. `minimum_builds`: a build that knew it, the
    first one or a later. `command_version` is the first release that takes the commands as they
    stand here, whatever the model.

    `overhead_low_bytes`/`overhead_high_bytes` is what the program itself takes, with `overhead_how`
    (exact, measured, stated, assumed) and `overhead_source`.

    `quantizations`: by name, those it takes beside a model's own stored type.
    """

    id: str
    name: str
    formats: tuple[str, ...]
    systems: tuple[str, ...]
    elsewhere: str | None = None
    builds_from_source: tuple[str, ...] = ()
    source_build: str = ""
    big_endian_systems: tuple[str, ...] = ()
    modalities: tuple[str, ...]
    text_part: Mapping[str, tuple[str, ...]] = {}
    instruction_sets: Mapping[str, tuple[str, ...]] = {}
    recommended_instruction_sets: Mapping[str, tuple[str, ...]] = {}
    store: str
    present: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    install: str = ""
    command: str = ""
    repository_command: str = ""
    inputs: Mapping[str, str] = {}
    options: Mapping[str, str] = {}
    settings: Mapping[str, str] = {}
    serve: str = ""
    default_context_tokens: int | None = None
    command_version: str | None = None
    tags: Mapping[str, str] = {}
    minimum_versions: Mapping[str, str] = {}
    minimum_builds: Mapping[str, str] = {}
    gpu_only: bool = False
    splits_layers: bool = False
    companions: tuple[str, ...] = ()
    kv_cache_types: tuple[str, ...] = ()
    most_sequences: int | None = None
    slots: int = 0
    flash_attention: bool = True
    logits_rows: str = "sequence"
    whole_windows: bool = False
    context_checkpoints: int = 0
    kept_checkpoints: int = 0
    quantizations: Mapping[str, QuantizationRule] = {}
    overhead_low_bytes: int = 0
    overhead_high_bytes: int = 0
    overhead_how: str = "assumed"
    overhead_source: str = ""
    sources: Mapping[str, str] = {}
    origin: str = ""

    def rule_of(self, quantization: str | None) -> QuantizationRule | None:
        """The rule for a quantization, whatever the size of its groups; None for a model's own
        stored type.
        """
        name = quantization or ""
        while name and name not in self.quantizations:
            shorter = re.sub(r"-(?:\d+g|channel|[23]bit)$", "", name) if "-" in name else name
            name = shorter if shorter != name else ""
        return self.quantizations.get(name)

    def wants_gpu(self, quantization: str | None) -> bool:
        """True where it has no CPU kernel, at all or for that quantization."""
        rule = self.rule_of(quantization)
        return self.gpu_only or (rule is not None and rule.gpu_only)

    def named(self, text: str) -> str | None:
        """The quantization that people call so with this program: `4bit` is nf4 with
        transformers, awq with vLLM.
        """
        typed = re.sub(r"[_\s]+", "-", text.strip().lower())
        return next(
            (
                name
                for name, rule in self.quantizations.items()
                if typed == name or typed in rule.also
            ),
            None,
        )


def read_model_spec(document: Document, origin: str) -> ModelSpec | None:
    """The spec that `document` states; None if and only if `document.problems` says why not.

    Every fault of the file is noted in one go. `document` may hold a TOML file or values compiled
    from one (dates are then strings). What needs other files (unique names, SPDX ids) is
    `speccheck`'s.
    """
    if not document.ok:
        return None
    root = document.root
    if not _schema_is_read(root):
        return None
    spec_id = _identifier(root, "id")
    name = root.string("name", required=True)
    family = root.string("family")
    developer = root.string("developer")
    released = root.date("released", partial=True)
    modality = root.string("modality", choices=MODALITIES)
    aliases = _aliases(root)
    repository = _repository(root, "repository")
    gated = root.boolean("gated")
    tokenizer = root.boolean("tokenizer")
    terms = _license(root.table("license"))
    openness = _openness(root.table("openness"))
    parameters = _parameters(root.table("parameters"))
    untold = root.values.get("unknown")
    attention_untold = isinstance(untold, Mapping) and "architecture.attention" in untold
    architecture = _architecture(root.table("architecture"), attention_untold=attention_untold)
    components = _counts(root.table("components"))
    components_dtype = root.string("components_dtype", choices=PLAIN_DTYPES)
    native_pixels = root.integer("native_pixels", minimum=1)
    embedding_length = _embedding(root)
    files = tuple(filter(None, map(_published_files, root.tables("files"))))
    quantized = _quantized(root.table("quantized"))
    sources = _texts(root.table("sources"))
    unknown = _texts(root.table("unknown"))
    needs = _needs(
        root.table("needs"), disk_elsewhere="files" in root or "needs.disk_bytes" in unknown
    )
    upkeep = _upkeep(root.table("upkeep"))
    safety = _safety(root.table("safety"))
    availability = _availability(root.table("availability"))
    whole = root.close()
    _check_whole(
        root, closed=openness.weights == "closed", modality=modality, unknown=unknown, whole=whole
    )
    if not document.ok or spec_id is None or name is None:
        return None
    return ModelSpec(
        id=spec_id,
        name=name,
        family=family,
        developer=developer,
        released=released,
        modality=modality or "text",
        aliases=aliases,
        repository=repository,
        gated=gated,
        license=terms,
        openness=openness,
        parameters=parameters,
        architecture=architecture,
        components=components,
        components_dtype=components_dtype,
        native_pixels=native_pixels,
        embedding_length=embedding_length,
        needs=needs,
        files=files,
        quantized=quantized,
        upkeep=upkeep,
        safety=safety,
        availability=availability,
        sources=sources,
        unknown=unknown,
        # whoever publishes a model publishes that with it
        tokenizer=None if "tokenizer" in unknown else tokenizer is not False,
        origin=origin,
    )


def read_runtime_spec(document: Document, origin: str) -> RuntimeSpec | None:
    """The runtime that `document` states; None if and only if `document.problems` says why not.
    `origin` is the file.
    """
    if not document.ok:
        return None
    root = document.root
    if not _schema_is_read(root):
        return None
    spec_id = _identifier(root, "id")
    name = root.string("name", required=True)
    formats = root.strings("formats", required=True, choices=FORMATS)
    systems = root.strings("systems", required=True)
    elsewhere = root.text("elsewhere")
    builds_from_source = root.strings("builds_from_source")
    source_build = root.string("source_build")
    big_endian_systems = root.strings("big_endian_systems")
    modalities = root.strings("modalities", required=True, choices=MODALITIES)
    text_part = _string_lists(root.table("text_part"))
    instruction_sets = _string_lists(root.table("instruction_sets"))
    recommended = _string_lists(root.table("recommended_instruction_sets"))
    store = root.string("store", required=True)
    present = root.strings("present")
    distributions = root.strings("distributions")
    install = root.string("install", empty=True)
    command = root.string("command", empty=True)
    repository_command = root.string("repository_command")
    inputs = _texts(root.table("inputs"))
    options = _asked(root.table("options"))
    settings = _asked(root.table("settings"))
    serve = root.string("serve")
    default_context_tokens = root.integer("default_context_tokens", minimum=1)
    command_version = root.string("command_version")
    tags = _texts(root.table("tags"))
    minimum_versions = _texts(root.table("minimum_versions"))
    minimum_builds = _texts(root.table("minimum_builds"))
    gpu_only = root.boolean("gpu_only")
    splits_layers = root.boolean("splits_layers")
    companions = root.strings("companions", choices=COMPANIONS)
    kv_cache_types = root.strings("kv_cache_types", choices=KV_CACHE_TYPES)
    most_sequences = root.integer("most_sequences", minimum=1)
    slots = root.integer("slots", minimum=1)
    flash_attention = root.boolean("flash_attention")
    logits_rows = root.string("logits_rows", choices=("sequence", "batch"))
    whole_windows = root.boolean("whole_windows")
    context_checkpoints = root.integer("context_checkpoints", minimum=1)
    kept_checkpoints = root.integer("kept_checkpoints", minimum=1)
    quantizations = _quantization_rules(root.table("quantization"))
    low = root.integer("overhead_low_bytes")
    high = root.integer("overhead_high_bytes")
    how = root.string("overhead_how", choices=HOW)
    source = root.string("overhead_source", empty=True)
    sources = _texts(root.table("sources"))
    root.close()
    for key, entries in (
        ("systems", systems),
        ("builds_from_source", builds_from_source),
        ("big_endian_systems", big_endian_systems),
    ):
        for index, system in enumerate(entries):
            if system.count("-") != 1 or not all(
                part.replace("_", "").isalnum() for part in system.split("-")
            ):
                document.add(
                    (key, index),
                    f'"{system}" is not a system and an architecture',
                    'write for example "linux-x86_64"',
                )
    if builds_from_source and not source_build:
        root.problem(
            "source_build",
            "is missing, though there is builds_from_source",
            "write the address of the instructions",
        )
    if low is not None and high is not None and low > high:
        root.problem("overhead_low_bytes", f"is {low:,}, above overhead_high_bytes")
    if settings and "serve" not in root:
        root.problem(
            "serve",
            "is missing, though there are [settings]",
            "write the command that starts the server",
        )
    if (low or high) and how is None and "overhead_how" not in root:
        root.problem(
            "overhead_how", "is missing", "say how the overhead is known: " + ", ".join(HOW)
        )
    if not document.ok or spec_id is None or name is None or store is None:
        return None
    return RuntimeSpec(
        id=spec_id,
        name=name,
        formats=formats,
        systems=systems,
        elsewhere=elsewhere,
        builds_from_source=builds_from_source,
        source_build=source_build or "",
        big_endian_systems=big_endian_systems,
        modalities=modalities,
        text_part=text_part,
        instruction_sets=instruction_sets,
        recommended_instruction_sets=recommended,
        store=store,
        present=present,
        distributions=distributions,
        install=install or "",
        command=command or "",
        repository_command=repository_command or "",
        inputs=inputs,
        options=options,
        settings=settings,
        serve=serve or "",
        default_context_tokens=default_context_tokens,
        command_version=command_version,
        tags=tags,
        minimum_versions=minimum_versions,
        minimum_builds=minimum_builds,
        gpu_only=bool(gpu_only),
        splits_layers=bool(splits_layers),
        companions=companions,
        kv_cache_types=kv_cache_types,
        most_sequences=most_sequences,
        slots=slots or 0,
        flash_attention=flash_attention is not False,
        logits_rows=logits_rows or "sequence",
        whole_windows=bool(whole_windows),
        context_checkpoints=context_checkpoints or 0,
        kept_checkpoints=kept_checkpoints or context_checkpoints or 0,
        quantizations=quantizations,
        overhead_low_bytes=low or 0,
        overhead_high_bytes=high or low or 0,
        overhead_how=how or "assumed",
        overhead_source=source or "",
        sources=sources,
        origin=origin,
    )


def _quantization_rules(table: Table | None) -> Mapping[str, QuantizationRule]:
    found: dict[str, QuantizationRule] = {}
    for name in () if table is None else tuple(table.values):
        rule = table.table(name) if table is not None else None
        if rule is None:
            continue
        also = rule.strings("also")
        at_load, gpu_only = rule.boolean("at_load"), rule.boolean("gpu_only")
        capability, vendors = rule.string("compute_capability"), rule.strings("vendors")
        needs, command, source = (
            rule.string("needs"),
            rule.string("command"),
            rule.text("source", required=True),
        )
        rule.close()
        if capability is not None and not re.fullmatch(r"\d+\.\d", capability):
            rule.problem(
                "compute_capability",
                "must be a number as NVIDIA writes it",
                'write for example "8.0"',
            )
        if source is not None:
            found[name] = QuantizationRule(
                also=also,
                at_load=bool(at_load),
                gpu_only=bool(gpu_only),
                compute_capability=capability,
                vendors=vendors,
                needs=needs or "",
                command=command or "",
                source=source,
            )
    if table is not None:
        table.close()
    return found


def _schema_is_read(root: Table) -> bool:
    """False where the file is of another schema: its other keys then mean what this reader does
    not know.
    """
    if "schema" not in root:
        root.value("schema")
        root.problem("schema", "is missing", "write schema = 1 in the first line")
        return True
    number = root.integer("schema")
    if number is None or number == SCHEMA:
        return True
    root.problem(
        "schema",
        f"is {number:,}, and this selfhost reads schema {SCHEMA} only",
        "update selfhost, or write the file by schema 1",
    )
    return False


def is_id(text: str) -> bool:
    """True for what may be the id of a spec. ASCII only: str.islower() and isalnum() know other
    alphabets.
    """
    return (
        0 < len(text) <= 100
        and _ID_LETTERS.issuperset(text)
        and text[0].isalnum()
        and text[-1].isalnum()
    )


def _identifier(root: Table, key: str) -> str | None:
    value = root.string(key, required=True)
    if value is None or is_id(value):
        return value
    likely = "-".join(
        "".join(letter if letter in _ID_LETTERS else " " for letter in value.lower()).split()
    ).strip("-.")
    root.problem(
        key,
        "must be lower case letters, digits, . and -",
        f'write {key} = "{likely}"' if is_id(likely) else None,
    )
    return None


def _reference(table: Table, key: str) -> str | None:
    """The id of another spec; whether there is one is a matter of the catalogue."""
    value = table.string(key)
    if value is None or is_id(value):
        return value
    table.problem(key, "is no spec's id: lower case letters, digits, . and -")
    return None


def _references(table: Table, key: str) -> tuple[str, ...]:
    values = table.strings(key)
    for index, value in enumerate(values):
        if not is_id(value):
            table.document.add(
                (*table.path, key, index), "is no spec's id: lower case letters, digits, . and -"
            )
    return values


def _repository(table: Table, key: str) -> str | None:
    value = table.string(key)
    if value is None:
        return None
    parts = value.split("/")
    if not 1 <= len(parts) <= 2 or not all(
        part and all(letter in _REPOSITORY_LETTERS for letter in part) for part in parts
    ):
        tail = value.partition("huggingface.co/")[2].split("/")[:2]
        table.problem(
            key,
            "must be the repository's owner and name",
            f'write {key} = "{"/".join(tail) if len(tail) == 2 else "owner/name"}"',
        )
        return None
    return value


def _aliases(root: Table) -> tuple[str, ...]:
    aliases = root.strings("aliases")
    written = root.values.get("aliases")
    for index, alias in enumerate(written if isinstance(written, list) else ()):
        if alias in aliases and not _ALIAS.fullmatch(alias):
            root.document.add(
                ("aliases", index),
                f'"{shortened(alias)}" has a character that no name has',
                "write letters, digits, spaces and . : / + - _",
            )
    return aliases


def is_license_expression(text: str) -> bool:
    """True for ids joined by AND, OR and WITH in balanced parentheses. Whether SPDX has the ids
    is `speccheck`'s.
    """
    if len(text) > MAX_LICENSE_LETTERS:
        return False
    ids = depth = 0
    before = "AND"
    for word in _LICENSE_WORD.findall(text):
        operator = word.upper()
        after_operator = before in ("AND", "OR", "WITH", "(")
        if word == "(":
            depth += 1
            right = after_operator and before != "WITH"
        elif word == ")":
            depth -= 1
            right = not after_operator and depth >= 0
        elif operator in ("AND", "OR"):
            right = not after_operator
        elif operator == "WITH":
            right = before == "id"
        else:
            ids += 1
            right = after_operator and _LICENSE_ID.fullmatch(word) is not None
            # an exception takes no exception of its own
            operator = "exception" if before == "WITH" else "id"
        if not right or ids > MAX_LICENSE_IDS or depth > MAX_LICENSE_IDS:
            return False
        before = operator
    return ids > 0 and not depth and before in ("id", "exception", ")")


def _license(table: Table | None) -> License | None:
    if table is None:
        return None
    answers = [
        table.string(key, choices=ANSWERS)
        for key in ("commercial_use", "modification", "redistribution")
    ]
    found = License(
        id=table.string("id"),
        url=table.string("url"),
        commercial_use=answers[0],
        modification=answers[1],
        redistribution=answers[2],
        conditions=table.texts("conditions"),
        duties=table.texts("duties"),
    )
    table.close()
    if found.id is not None and not is_license_expression(found.id):
        remedy = (
            "the ids are at https://spdx.org/licenses; another license is LicenseRef-… with its url"
        )
        table.problem("id", f'"{shortened(found.id)}" is no SPDX license expression', remedy)
    if "conditional" in answers and "conditions" not in table:
        table.problem(
            "conditions",
            "is missing, though the license is conditional",
            'write conditions = ["one short line each"]',
        )
    return found


def _openness(table: Table | None) -> Openness:
    if table is None:
        return Openness()
    found = Openness(
        weights=table.string("weights", choices=OPENNESS) or "unknown",
        inference_code=table.string("inference_code", choices=OPENNESS) or "unknown",
        training_code=table.string("training_code", choices=OPENNESS) or "unknown",
        training_data=table.string("training_data", choices=OPENNESS) or "unknown",
        paper=table.string("paper", choices=OPENNESS) or "unknown",
    )
    table.close()
    return found


def _parameters(table: Table | None) -> Parameters:
    if table is None:
        return Parameters()
    found = Parameters(
        total=table.integer("total", minimum=1),
        active=table.integer("active", minimum=1),
        encoders=table.integer("encoders", minimum=1),
        projector_bytes=table.integer("projector_bytes", minimum=1),
        encoder_type=table.string("encoder_type"),
        mtp=table.integer("mtp", minimum=1),
        extra_in_files=table.integer("extra_in_files", minimum=1),
        difference=table.text("difference"),
    )
    table.close()
    for key, part in (("active", found.active), ("encoders", found.encoders)):
        if part is not None and found.total is not None and part > found.total:
            table.problem(key, f"is {part:,}, more than total, {found.total:,}")
    return found


def _architecture(table: Table | None, *, attention_untold: bool) -> Architecture | None:
    if table is None:
        return None
    gguf = table.string("gguf")
    transformers = table.string("transformers")
    if "gguf" not in table and "transformers" not in table:
        table.problem(
            "gguf",
            "is missing",
            "write general.architecture of the GGUF file, or transformers = the model_type where no"
            " GGUF exists",
        )
    elif "gguf" in table and "transformers" in table:
        table.problem(
            "transformers",
            "stands beside gguf",
            "keep gguf; transformers is for models that no GGUF file exists of",
        )
    layers = table.integer("layers", required=True, minimum=1, maximum=MAX_LAYERS)
    embedding_length = table.integer("embedding_length", required=True, minimum=1)
    heads = table.integer("heads", minimum=1)
    pattern = _layer_pattern(table, layers)
    mtp_layers = table.integer("mtp_layers", minimum=1, maximum=MAX_LAYERS)
    attention_lines = table.tables("attention")
    recurrent_lines = table.tables("recurrent")
    feed_forward_lines = table.tables("feed_forward")
    places = _places((attention_lines, recurrent_lines), layers, pattern)
    attention = [
        _attention(line, at, heads, embedding_length)
        for line, at in zip(attention_lines, places[0], strict=True)
    ]
    recurrent = [
        _recurrent(line, at, embedding_length)
        for line, at in zip(recurrent_lines, places[1], strict=True)
    ]
    places = _places((feed_forward_lines,), layers, pattern)
    feed_forward = [
        _feed_forward(line, at) for line, at in zip(feed_forward_lines, places[0], strict=True)
    ]
    if not attention_untold and "attention" not in table and "recurrent" not in table:
        table.problem(
            "attention", "is missing", "write attention = [{ … }], recurrent = [{ … }] or both"
        )
    found = Architecture(
        row=gguf or transformers or "",
        runs_in_gguf=gguf is not None,
        dtype=table.string("dtype", choices=DTYPES),
        matrix_dtype=table.string("matrix_dtype", choices=(*DTYPES, *PACKED)),
        expert_dtype=table.string("expert_dtype", choices=(*DTYPES, *PACKED)),
        apart=_types_apart(table.table("apart"), (*DTYPES, *PACKED)),
        cache_dtype=table.string("cache_dtype", choices=CACHE_DTYPES),
        quantizer=table.string("quantizer", choices=QUANTIZERS),
        layers=layers or 0,
        encoder_layers=table.integer("encoder_layers", minimum=1, maximum=MAX_LAYERS),
        embedding_length=embedding_length or 0,
        heads=heads,
        beams=table.integer("beams", minimum=1, maximum=MAX_BEAMS),
        vocabulary=table.integer("vocabulary", minimum=1),
        vocabulary_gguf=table.integer("vocabulary_gguf", minimum=1),
        context_tokens=table.integer("context_tokens", minimum=1),
        scaled_context_tokens=table.integer("scaled_context_tokens", minimum=1),
        yarn_original_tokens=table.integer("yarn_original_tokens", minimum=1),
        rope_positions=table.integer("rope_positions", minimum=1),
        tied_embeddings=table.boolean("tied_embeddings") or False,
        attention=tuple(filter(None, attention)),
        recurrent=tuple(filter(None, recurrent)),
        feed_forward=tuple(filter(None, feed_forward)),
        attention_bias=table.boolean("attention_bias"),
        query_key_norm=table.string("query_key_norm", choices=QUERY_KEY_NORMS),
        parallel_norms=table.integer("parallel_norms", minimum=1, maximum=9),
        rope_factors=table.string("rope_factors", choices=ROPE_FACTORS),
        gate=table.string("gate", choices=GATES),
        table_length=table.integer("table_length", minimum=1),
        also=table.strings("also", choices=ROW_FLAGS),
        lacks=table.strings("lacks", choices=ROW_FLAGS),
        positions=table.integer("positions", minimum=1),
        token_types=table.integer("token_types", minimum=1),
        output_matrix=table.boolean("output_matrix") is not False,
        cache_layers=table.integer("cache_layers", minimum=1, maximum=layers or MAX_LAYERS),
        stored_layers=table.integer("stored_layers", minimum=1, maximum=layers or MAX_LAYERS),
        per_layer_embedding_length=table.integer("per_layer_embedding_length", minimum=1),
        altup_inputs=table.integer("altup_inputs", minimum=1),
        deepstack_layers=table.integer("deepstack_layers", minimum=1, maximum=layers or MAX_LAYERS),
        mtp_layers=mtp_layers,
        layer_pattern=pattern,
        audio=_audio(table.table("audio")),
        tensors=_tensors(table.table("tensors"), layers, mtp_layers or 0, pattern),
    )
    table.close()
    # a part that is wrong itself is left out, and not missed
    for key, message, remedy in found.misfits() if table.document.ok else ():
        table.problem(key, message, remedy)
    trained, scaled = found.context_tokens, found.scaled_context_tokens
    if trained is not None and scaled is not None and scaled <= trained:
        table.problem(
            "scaled_context_tokens",
            f"is {scaled:,}, not more than context_tokens, {trained:,}",
            "leave it out where the publisher documents no longer context",
        )
    return found


def _layer_pattern(table: Table, layers: int | None) -> str | None:
    pattern = table.string("layer_pattern")
    if pattern is None:
        return None
    if any(letter.isdecimal() or letter in ": " for letter in pattern):
        table.problem(
            "layer_pattern", "must have one letter for each layer, and no digit, colon or space"
        )
        return None
    if layers is not None and len(pattern) != layers:
        table.problem("layer_pattern", f"has {len(pattern):,} letters for {layers:,} layers")
        return None
    return pattern


def _places(
    lists: tuple[Sequence[Table], ...], layers: int | None, pattern: str | None, *, beyond: int = 0
) -> list[list[tuple[int, ...] | None]]:
    """The layer numbers of every line of `lists`, which share what is left over; None where a fault
    was noted.

    `beyond`: how many blocks after the last layer may be named too.
    """
    named: list[list[tuple[int, ...] | None]] = []
    taken: set[int] = set()
    sure = layers is not None
    for lines in lists:
        if layers is not None and len(lines) > layers + beyond:
            lines[-1].problem(
                None,
                f"is line {len(lines):,} of a list for {layers:,} layers",
                "write one line for each kind of layer",
            )
            layers, sure = None, False
        here: set[int] = set()
        found: list[tuple[int, ...] | None] = []
        for line in lines:
            at = _at(line, layers, pattern, beyond)
            if at is None and "at" in line:
                sure = False
            elif at is not None and not here.isdisjoint(at):
                twice = sorted(here.intersection(at))
                shown = ", ".join(map(str, twice[:5])) + (", …" if len(twice) > 5 else "")
                line.problem(
                    "at",
                    f"names layer{'s' if len(twice) > 1 else ''} {shown}, which an earlier line of"
                    " the list names",
                    "name each layer once",
                )
                sure = False
            here.update(at or ())
            found.append(at)
        without = [line for line in lines if "at" not in line]
        for line in without[1:]:
            line.problem(
                None,
                "has no `at`, and neither has an earlier line",
                "only one line of a list takes the layers that are left",
            )
            sure = False
        taken |= here
        named.append(found)
    rest = tuple(number for number in range(layers or 0) if number not in taken)
    for lines, found in zip(lists, named, strict=True):
        for index, line in enumerate(lines):
            if "at" in line:
                continue
            if sure and not rest:
                line.problem(
                    None,
                    "has no `at`, and no layer is left for it",
                    "remove the line, or name its layers with at = …",
                )
            found[index] = rest
    return named


def _at(
    line: Table, layers: int | None, pattern: str | None, beyond: int
) -> tuple[int, ...] | None:
    """`at` as layer numbers; None where it is missing or wrong."""
    at = line.value("at")
    if at is None or layers is None:
        return None
    limit = layers + beyond
    if isinstance(at, list):
        wrong = [
            number
            for number in at
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < limit
        ]
        if wrong or not at:
            line.problem(
                "at",
                f"must list layer numbers from 0 to {limit - 1}"
                + (f", not {kind_of(wrong[0])}" if wrong else ""),
            )
            return None
        if len(set(at)) < len(at):
            line.problem("at", "names a layer twice")
            return None
        return tuple(sorted(at))
    if not isinstance(at, str):
        remedy = (
            f"write at = [{at}]"
            if isinstance(at, int) and not isinstance(at, bool) and 0 <= at < limit
            else None
        )
        line.problem(
            "at",
            'must be a slice such as ":3" or "3::4", a list of numbers or a letter of'
            f" layer_pattern, not {kind_of(at)}",
            remedy,
        )
        return None
    parts = at.split(":")
    if 2 <= len(parts) <= 3 and all(
        not part or (part.isascii() and part.isdecimal() and len(part) <= 9) for part in parts
    ):
        start, stop, step = (
            int(parts[0] or 0),
            int(parts[1] or layers),
            int((parts[2:] or [""])[0] or 1),
        )
        if start >= limit or stop > limit:
            line.problem(
                "at",
                f'"{at}" goes beyond the last layer, {limit - 1}',
                "layers count from 0, and the stop is not part of the slice",
            )
        elif start >= stop or step < 1:
            line.problem(
                "at",
                f'"{at}" names no layer',
                "write start:stop:step; layers count from 0, and the stop is not part of the slice",
            )
        else:
            return tuple(range(start, stop, step))
        return None
    if pattern is not None and len(at) == 1 and at in pattern:
        return tuple(number for number, letter in enumerate(pattern) if letter == at)
    if len(at) == 1 and not at.isdecimal():
        if pattern is not None:
            line.problem("at", f"{kind_of(at)} is not a letter of layer_pattern")
        elif "layer_pattern" not in line.document.values["architecture"]:
            line.problem(
                "at",
                f"{kind_of(at)} is a letter, and there is no layer_pattern",
                "write layer_pattern, one letter for each layer",
            )
        # else the pattern itself is wrong, which is noted already
        return None
    remedy = (
        f"write at = [{at}]"
        if at.isascii() and at.isdecimal() and len(at) <= 9
        else 'write for example ":3", "3::4" or [3, 7]'
    )
    line.problem("at", f"{kind_of(at)} is no slice start:stop:step", remedy)
    return None


def _only_with(line: Table, keys: Sequence[str], allowed: bool, what: str) -> None:
    """Note the keys that say nothing without `what`."""
    if not allowed:
        for key in keys:
            if key in line:
                line.problem(key, f"means nothing without {what}")


def _attention(
    line: Table, at: tuple[int, ...] | None, model_heads: int | None, width: int | None
) -> Attention | None:
    kind = line.string("kind", choices=ATTENTION_KINDS)
    if kind is None and "kind" not in line:
        kind = "full"
    heads = line.integer("heads", minimum=1) or model_heads
    # every head of latent attention has its own key once it is unpacked
    kv_heads = line.integer(
        "kv_heads", required=kind in ("full", "sliding", "cross", "compressed"), minimum=1
    )
    if kind == "latent" and kv_heads is None:
        kv_heads = heads
    key_length = line.integer("key_length", required=True, minimum=1)
    value_length = line.integer("value_length", minimum=1) or key_length
    window_tokens = line.integer(
        "window_tokens", required=kind in ("sliding", "compressed"), minimum=1
    )
    latent_length = line.integer("latent_length", required=kind == "latent", minimum=1)
    query_latent_length = line.integer(
        "query_latent_length", required=kind == "compressed", minimum=1
    )
    rope_length = line.integer(
        "rope_length", required=kind == "latent" or "latent_length" in line, minimum=1
    )
    indexer_heads = line.integer("indexer_heads", required="indexer_length" in line, minimum=1)
    indexer_length = line.integer("indexer_length", required="indexer_heads" in line, minimum=1)
    indexer_rows = line.integer(
        "indexer_rows", required=kind == "compressed" and "indexer_heads" in line, minimum=1
    )
    compression = line.integer("compression", minimum=1)
    output_groups = line.integer("output_groups", required=kind == "compressed", minimum=1)
    output_latent_length = line.integer(
        "output_latent_length", required=kind == "compressed", minimum=1
    )
    values_from_keys = line.boolean("values_from_keys")
    query_key_norm = line.string("query_key_norm", choices=QUERY_KEY_NORMS)
    line.close()
    if kind is not None:
        _only_with(
            line,
            ("window_tokens",),
            kind in ("sliding", "latent", "compressed"),
            'kind = "sliding", "latent" or "compressed"',
        )
        _only_with(
            line,
            ("latent_length", "rope_length"),
            kind in ("full", "latent"),
            'kind = "full" or "latent"',
        )
        others = kind in ("full", "latent", "compressed")
        _only_with(
            line,
            ("query_latent_length", *_INDEXER_KEYS),
            others,
            'kind = "full", "latent" or "compressed"',
        )
        _only_with(line, _COMPRESSED_KEYS, kind == "compressed", 'kind = "compressed"')
    if (
        heads is None
        and "heads" not in line
        and "heads" not in line.document.values["architecture"]
    ):
        line.problem("heads", "is missing, here and in [architecture]")
    if heads is not None and kv_heads is not None and kv_heads > heads:
        line.problem("kv_heads", f"is {kv_heads:,}, more than the {heads:,} heads")
    if (
        kind == "full"
        and rope_length is not None
        and key_length is not None
        and rope_length >= key_length
    ):
        line.problem("rope_length", f"is {rope_length:,}, and the whole key {key_length:,}")
    if (
        at is None
        or kind is None
        or heads is None
        or kv_heads is None
        or key_length is None
        or value_length is None
    ):
        return None
    part = Attention(
        kind=kind,
        layers=at,
        heads=heads,
        kv_heads=kv_heads,
        key_length=key_length,
        value_length=value_length,
        window_tokens=window_tokens,
        values_from_keys=bool(values_from_keys),
        latent_length=latent_length,
        query_latent_length=query_latent_length,
        rope_length=rope_length,
        indexer_heads=indexer_heads,
        indexer_length=indexer_length,
        indexer_rows=indexer_rows,
        query_key_norm=query_key_norm,
        compression=compression,
        output_groups=output_groups,
        output_latent_length=output_latent_length,
    )
    return _fitting(line, part, width)


def _recurrent(line: Table, at: tuple[int, ...] | None, width: int | None) -> Recurrent | None:
    kind = line.string("kind", required=True, choices=RECURRENT_KINDS)
    required = _RECURRENT_KEYS.get(kind or "", ())
    sizes = {
        key: line.integer(key, required=key in required, minimum=1) for key in _RECURRENT_SIZES
    }
    norm = line.boolean("norm")
    ranks = line.integers("ranks", required="ranks" in required) or None
    line.close()
    if kind is not None:
        optional = {"kda": ("value_length",), "mamba": ("heads",), "mamba2": ("norm",)}.get(
            kind, ()
        )
        for key in (*_RECURRENT_SIZES, "norm", "ranks"):
            if key in line and key not in required and key not in optional:
                line.problem(
                    key,
                    f'means nothing with kind = "{kind}"',
                    f"{kind} has {', '.join((*required, *optional))}",
                )
    if at is None or kind is None:
        return None
    part = Recurrent(
        kind=kind,
        layers=at,
        inner_length=sizes["inner_length"],
        state_length=sizes["state_length"],
        time_step_rank=sizes["time_step_rank"],
        convolution=sizes["convolution"],
        heads=sizes["heads"],
        key_heads=sizes["key_heads"],
        key_length=sizes["key_length"],
        value_length=sizes["value_length"],
        groups=sizes["groups"],
        norm=norm,
        ranks=ranks,
    )
    return _fitting(line, part, width)


def _feed_forward(line: Table, at: tuple[int, ...] | None) -> FeedForward | None:
    length = line.integer("length", required=True, minimum=1)
    experts = line.integer("experts", required="used" in line, minimum=1, maximum=MAX_EXPERTS)
    used = line.integer("used", required="experts" in line, minimum=1, maximum=MAX_EXPERTS)
    shared_length = line.integer("shared_length", minimum=1)
    latent_length = line.integer("latent_length", minimum=1)
    router_bias = line.boolean("router_bias")
    beside_dense = line.integer("beside_dense", minimum=1)
    groups = line.integer("groups", required="groups_used" in line, minimum=2, maximum=MAX_EXPERTS)
    groups_used = line.integer(
        "groups_used", required="groups" in line, minimum=1, maximum=MAX_EXPERTS
    )
    line.close()
    only = (
        "shared_length",
        "latent_length",
        "router_bias",
        "beside_dense",
        "groups",
        "groups_used",
    )
    _only_with(line, only, "experts" in line or "used" in line, "experts")
    if experts is not None and used is not None and used > experts:
        line.problem("used", f"is {used:,}, more than the {experts:,} experts")
    if at is None or length is None:
        return None
    part = FeedForward(
        layers=at,
        length=length,
        experts=experts,
        used=used,
        shared_length=shared_length,
        latent_length=latent_length,
        router_bias=bool(router_bias),
        beside_dense=beside_dense,
        groups=groups,
        groups_used=groups_used,
    )
    return _fitting(line, part, None)


def _fitting(line: Table, part: _Part, width: int | None) -> _Part:
    """The part of a layer, with a problem noted for each size that arithmetic cannot divide by."""
    for key, message, remedy in part.misfits(width):
        # what was taken from another key is told of that
        if key in line:
            line.problem(key, message, remedy)
    return part


def _audio(table: Table | None) -> Audio | None:
    if table is None:
        return None
    # a layer is a number in a list
    bounds = {"layers": MAX_LAYERS}
    sizes = [
        table.integer(key, required=True, minimum=1, maximum=bounds.get(key, 10**18)) or 0
        for key in _AUDIO_KEYS
    ]
    table.close()
    layers, heads, embedding_length, feed_forward_length, positions, mel_bins = sizes
    return Audio(
        layers=layers,
        heads=heads,
        embedding_length=embedding_length,
        feed_forward_length=feed_forward_length,
        positions=positions,
        mel_bins=mel_bins,
    )


def _tensors(
    table: Table | None, layers: int | None, mtp_layers: int, pattern: str | None
) -> tuple[TensorGroup, ...]:
    if table is None:
        return ()
    found: list[TensorGroup] = []
    if len(table.values) > MAX_TENSOR_NAMES:
        table.problem(
            None,
            f"has {len(table.values):,} names",
            f"at most {MAX_TENSOR_NAMES:,}: write * for the number of the block",
        )
        return ()
    for name in table.values:
        lines = table.tables(name)
        if name in table and isinstance(table.values[name], list) and not table.values[name]:
            table.problem(name, "is empty", "write [{ shape = [ … ] }]")
        if name.count("*") > 1:
            table.problem(name, "has more than one *", "the * stands for the number of the block")
            continue
        places: list[tuple[int, ...] | None]
        if "*" in name:
            places = _places((lines,), layers, pattern, beyond=mtp_layers)[0]
        else:
            places = [() for _ in lines]
            for line in lines:
                line.value("at")
                _only_with(line, ("at",), False, "a * in the tensor's name")
            if len(lines) > 1:
                lines[1].problem(
                    None, "is a second line of one tensor", "only a name with a * has several"
                )
        for line, at in zip(lines, places, strict=True):
            shape = line.integers("shape", required=True, minimum=1)
            if (
                "shape" in line
                and isinstance(line.values["shape"], list)
                and not 1 <= len(line.values["shape"]) <= 4
            ):
                line.problem(
                    "shape",
                    f"has {len(line.values['shape'])} dimensions",
                    "GGUF tensors have one to four",
                )
            line.close()
            if at is not None:
                found.append(TensorGroup(name=name, layers=at, shape=shape))
    return tuple(found)


def _counts(table: Table | None) -> dict[str, int]:
    found = (
        {} if table is None else {key: table.integer(key, minimum=1) or 0 for key in table.values}
    )
    if table is not None and not found:
        table.problem(None, "is empty", "write one count per part, for example unet = 859_520_964")
    return found


def _embedding(root: Table) -> int | None:
    table = root.table("embedding")
    if table is None:
        return None
    length = table.integer("length", required=True, minimum=1)
    table.close()
    return length


def _size(table: Table, key: str) -> int | None:
    """Whole bytes above zero; a size written as text gets its number shown."""
    value = table.values.get(key)
    if isinstance(value, str):
        try:
            remedy = f"write {key} = {parse_bytes(value):_}"
        except ValueError:
            remedy = f"write {key} = 6_000_000_000, in bytes"
        table.value(key)
        table.problem(key, f"must be a whole number of bytes, not {kind_of(value)}", remedy)
        return None
    return table.integer(key, minimum=1)


def _needs(table: Table | None, *, disk_elsewhere: bool) -> StatedNeeds | None:
    if table is None:
        return None
    memory = _size(table, "memory_bytes")
    low = _size(table, "low_bytes")
    high = _size(table, "high_bytes")
    disk = _size(table, "disk_bytes")
    instruction_sets = table.strings("instruction_sets")
    source = table.text("source")
    table.close()
    if "memory_bytes" in table:
        for key in ("low_bytes", "high_bytes"):
            if key in table:
                table.problem(
                    key,
                    "stands beside memory_bytes",
                    "keep memory_bytes, or low_bytes and high_bytes",
                )
    elif "low_bytes" not in table and "high_bytes" not in table:
        table.problem(
            "memory_bytes",
            "is missing",
            "write memory_bytes = 6_000_000_000, or low_bytes and high_bytes",
        )
    else:
        for key in ("low_bytes", "high_bytes"):
            if key not in table:
                table.problem(
                    key,
                    "is missing",
                    "a range has both ends; write memory_bytes where there is one figure",
                )
    if low is not None and high is not None and low > high:
        table.problem("low_bytes", f"is {low:,}, more than high_bytes, {high:,}")
    if "disk_bytes" not in table and not disk_elsewhere:
        table.problem(
            "disk_bytes",
            "is missing",
            'write it, or why it is not known: [unknown] "needs.disk_bytes" = "…"',
        )
    return StatedNeeds(
        low_bytes=memory if low is None else low,
        high_bytes=memory if high is None else high,
        disk_bytes=disk,
        instruction_sets=instruction_sets,
        source=source,
    )


def _published_files(table: Table) -> PublishedFiles | None:
    stored_as = table.string("format", required=True, choices=FORMATS)
    source = table.text("source", required=True)
    repository = _repository(table, "repository")
    sizes: dict[str, int] = {}
    unsized = table.strings("unsized")
    if "bytes" not in table and not unsized:
        table.problem("bytes", "is missing", "write for example bytes.Q4_K_M = 4_372_812_000")
    for index, name in enumerate(unsized):
        if name not in QUANTIZATIONS.get(stored_as or "", (name,)):
            table.document.add(
                (*table.path, "unsized", index), f'"{name}" is not a quantization of {stored_as}'
            )
    if unsized and repository is None and "repository" not in table:
        table.problem(
            "unsized",
            "names files that lie in no repository",
            "write repository, or bytes with their sizes",
        )
    sizes_table = table.table("bytes")
    if sizes_table is not None:
        if not sizes_table.values:
            table.problem("bytes", "is empty", "write for example bytes.Q4_K_M = 4_372_812_000")
        for name in sizes_table.values:
            sizes[name] = _size(sizes_table, name) or 0
            known = QUANTIZATIONS.get(stored_as or "", (name,))
            if name not in known:
                guess = table.document.guess(name, known)
                plain = ", ".join(
                    each for each in known if "-" not in each
                )  # without the groups and bits, which are variants
                sizes_table.problem(
                    name,
                    f"is not a quantization of {stored_as}",
                    f"did you mean {guess}?" if guess else f"known: {plain}",
                )
    table.close()
    if stored_as is None or source is None:
        return None
    return PublishedFiles(
        format=stored_as, source=source, repository=repository, bytes=sizes, unsized=unsized
    )


def _quantized(table: Table | None) -> Quantized | None:
    if table is None:
        return None
    format = table.string("format", required=True, choices=("safetensors", "mlx"))
    name = table.string("quantization")
    known = QUANTIZATIONS.get(format or "", ())
    if name is not None and known and name not in known:
        guess = table.document.guess(name, known)
        remedy = f"did you mean {guess}?" if guess else f"known: {', '.join(known)}"
        table.problem("quantization", f'"{name}" is not a quantization of {format}', remedy)
    if format == "safetensors" and "apart" in table:
        table.problem("apart", "is of MLX's files alone", "write it under [architecture.apart]")
    apart = _types_apart(table.table("apart"), APART)
    table.close()
    if format is None:
        return None
    return Quantized(format=format, quantization=name, apart=apart)


def _types_apart(table: Table | None, types: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Tensors of another type than the rest."""
    if table is None:
        return ()
    each = [(tensor, table.string(tensor, required=True, choices=types)) for tensor in table.values]
    table.close()
    return tuple((tensor, type) for tensor, type in each if type is not None)


def _upkeep(table: Table | None) -> Upkeep:
    if table is None:
        return Upkeep()
    found = Upkeep(superseded_by=_reference(table, "superseded_by"), note=table.text("note"))
    table.close()
    return found


def _safety(table: Table | None) -> Safety:
    if table is None:
        return Safety()
    found = Safety(
        formats=table.strings("formats", choices=FORMATS), remote_code=table.boolean("remote_code")
    )
    table.close()
    return found


def _availability(table: Table | None) -> Availability | None:
    if table is None:
        return None
    why = table.text("why", required=True)
    provider = table.string("provider", required=True)
    found = Availability(
        why=why or "",
        provider=provider or "",
        retired=table.date("retired", partial=True),
        successor=_reference(table, "successor"),
        free_tier=table.text("free_tier"),
        api=table.boolean("api") is not False,
        open_alternatives=_references(table, "open_alternatives"),
    )
    table.close()
    return found


def _texts(table: Table | None) -> dict[str, str]:
    """A table with free keys: sources and reasons."""
    return {} if table is None else {key: table.text(key) or "" for key in table.values}


def _asked(table: Table | None) -> dict[str, str]:
    """What to write for each of ASKED_OF_RUNTIME that the table has."""
    if table is None:
        return {}
    found = {key: text for key in ASKED_OF_RUNTIME if (text := table.string(key)) is not None}
    table.close()
    return found


def _string_lists(table: Table | None) -> dict[str, tuple[str, ...]]:
    return {} if table is None else {key: table.strings(key) for key in table.values}


def _check_whole(
    root: Table, *, closed: bool, modality: str | None, unknown: Mapping[str, str], whole: bool
) -> None:
    """What no table can tell alone. `whole`: every key is known, so none that is missing was
    merely misspelt.
    """
    if closed:
        for key in (
            "parameters",
            "architecture",
            "components",
            "embedding",
            "needs",
            "files",
            "quantized",
        ):
            if key in root:
                root.problem(
                    key,
                    'makes no sense for a closed model (openness.weights = "closed")',
                    "remove it: without weights it cannot be known",
                )
        if "availability" not in root:
            root.problem(
                "availability",
                "is missing: a closed model says why, and who serves it",
                "write [availability] with why and provider",
            )
    else:
        if "availability" in root:
            root.problem(
                "availability",
                "is for closed models only",
                'remove it, or write weights = "closed" in [openness]',
            )
        if whole and not any(
            key in root or key in unknown for key in ("architecture", "components", "needs")
        ):
            root.problem(
                None,
                "states nothing to judge: no [architecture], [components] or [needs]",
                '[unknown] architecture = "…" says why',
            )
    if "components" in root and "architecture" in root:
        root.problem(
            "components",
            "stands beside [architecture]",
            "keep one: components are for image models",
        )
    for key, what in (("components_dtype", "type"), ("native_pixels", "side of images")):
        if key in root and "components" not in root:
            root.problem(
                key,
                f"is the {what} of [components], which are missing",
                "write [components], or remove it",
            )
    if "embedding" in root and modality not in ("embedding", None):
        root.problem(
            "embedding", "is for embedding models", 'write modality = "embedding", or remove it'
        )
    terms = root.values.get("license")
    if (
        isinstance(terms, dict)
        and str(terms.get("id")).startswith("LicenseRef-")
        and "url" not in terms
        and "license.url" not in unknown
    ):
        root.document.add(
            ("license", "url"),
            "is missing: the id says only that it is no SPDX license",
            'write url = "https://…"',
            absent=True,
        )
    if (
        whole
        and not closed
        and modality is None
        and "modality" not in root
        and ("architecture" in root or "components" in root)
    ):
        root.problem("modality", "is missing", f"one of {', '.join(MODALITIES)}")
    for key in unknown:
        value: Any = root.values
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            root.document.add(
                ("unknown", key),
                "is stated in this file all the same",
                "remove the one that is wrong",
            )
