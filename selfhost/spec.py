"""ModelSpec: the facts about one model's published weights, and RuntimeSpec: what one program does with them.

The schema is documented key by key in `specs/README.md`.
"""

from __future__ import annotations

from collections.abc import Mapping

from .facts import Record

MODALITIES = ("text", "vision", "speech", "embedding", "image")
ATTENTION_KINDS = ("full", "sliding", "latent", "cross")
RECURRENT_KINDS = ("mamba", "mamba2", "delta", "kda", "convolution")
OPENNESS = ("published", "partial", "closed", "unknown")
ANSWERS = ("yes", "no", "conditional")


class License(Record):
    """SPDX expression or `LicenseRef-…`, and what it allows: each `yes`, `no`, `conditional` or None where not known."""

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
    """Counts in the published checkpoint: tied matrices once, without multi-token-prediction blocks."""

    total: int | None = None
    active: int | None = None
    encoders: int | None = None
    mtp: int | None = None
    extra_in_files: int | None = None
    difference: str | None = None


class Attention(Record):
    """Layers that attend alike. `layers` are their 0-based numbers, already resolved from `at`."""

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
    query_key_norm: str | None = None


class Recurrent(Record):
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


class FeedForward(Record):
    """Layers with the same feed-forward. With `experts`, `length` is that of one expert; `shared_length` the total of the shared ones."""

    layers: tuple[int, ...]
    length: int
    experts: int | None = None
    used: int | None = None
    shared_length: int | None = None
    latent_length: int | None = None
    router_bias: bool = False
    beside_dense: int | None = None


class Audio(Record):
    """The encoder of a speech model."""

    layers: int
    heads: int
    embedding_length: int
    feed_forward_length: int
    positions: int
    mel_bins: int


class TensorGroup(Record):
    """Tensors listed one by one: `layers` is empty for a tensor outside the blocks; `shape` has the row length first."""

    name: str
    layers: tuple[int, ...]
    shape: tuple[int, ...]


class Architecture(Record):
    """Sizes that differ between two models of one architecture; what all its models share is the row named by `row`.

    `row` is `general.architecture` of the GGUF file where one exists (`runs_in_gguf`), else the transformers model type.
    """

    row: str
    runs_in_gguf: bool
    dtype: str | None = None
    matrix_dtype: str | None = None
    expert_dtype: str | None = None
    layers: int
    embedding_length: int
    heads: int | None = None
    vocabulary: int | None = None
    vocabulary_gguf: int | None = None
    context_tokens: int | None = None
    tied_embeddings: bool = False
    attention: tuple[Attention, ...] = ()
    recurrent: tuple[Recurrent, ...] = ()
    feed_forward: tuple[FeedForward, ...] = ()
    attention_bias: bool | None = None
    query_key_norm: str | None = None
    parallel_norms: int | None = None
    rope_factors: str | None = None
    positions: int | None = None
    token_types: int | None = None
    output_matrix: bool = True
    cache_layers: int | None = None
    per_layer_embedding_length: int | None = None
    altup_inputs: int | None = None
    deepstack_layers: int | None = None
    mtp_layers: int | None = None
    layer_pattern: str | None = None
    audio: Audio | None = None
    tensors: tuple[TensorGroup, ...] = ()


class StatedNeeds(Record):
    """What somebody states a model takes, where nothing can be computed. Memory is a range; equal ends where one figure was given."""

    low_bytes: int | None = None
    high_bytes: int | None = None
    disk_bytes: int | None = None
    instruction_sets: tuple[str, ...] = ()
    source: str | None = None


class PublishedFiles(Record):
    """Sizes that one publisher states: `bytes` by quantization. `repository` is where they can be fetched from."""

    format: str
    source: str
    repository: str | None = None
    bytes: Mapping[str, int]


class Upkeep(Record):
    """Whether the model is still the one to take."""

    superseded_by: str | None = None
    note: str | None = None


class Safety(Record):
    """Which file formats the weights come in (`safetensors`, `gguf`, `pickle`), and whether loading runs remote code."""

    formats: tuple[str, ...] = ()
    remote_code: bool | None = None


class Availability(Record):
    """A closed model: why there are no weights, who serves it, and what is nearest."""

    why: str
    provider: str
    retired: str | None = None
    successor: str | None = None
    free_tier: str | None = None
    open_alternatives: tuple[str, ...] = ()


class ModelSpec(Record):
    """One set of published weights (or one closed model), as its spec file states it. Dates are `YYYY-MM-DD`, possibly cut short.

    `origin` is the file it was read from; `overrides` the shipped file that it replaces, if any.
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
    embedding_length: int | None = None
    needs: StatedNeeds | None = None
    files: tuple[PublishedFiles, ...] = ()
    upkeep: Upkeep = Upkeep()
    safety: Safety = Safety()
    availability: Availability | None = None
    sources: Mapping[str, str] = {}
    unknown: Mapping[str, str] = {}
    origin: str = ""
    overrides: str | None = None

    @property
    def closed(self) -> bool:
        """True for a model whose weights were never published."""
        return self.openness.weights == "closed"

    def published_bytes(self, format: str, quantization: str) -> tuple[int, PublishedFiles] | None:
        """The size a publisher states for one file set, and which publisher; the first one listed wins."""
        for files in self.files:
            if files.format == format and quantization in files.bytes:
                return files.bytes[quantization], files
        return None


class RuntimeSpec(Record):
    """One program that loads models: `specs/runtimes/<id>.toml`.

    `formats` in order of preference; `systems` as `linux-x86_64`, `macos-aarch64`, …; `modalities` it can serve;
    `instruction_sets` by architecture: the ones without which its shipped build crashes; `store` names the disk place
    (`Disk.purpose`) its downloads land in; `present` are command names or Python distributions that show it is installed;
    `install` is one line to get it; `command` the line that downloads and runs a model, with `{repository}`, `{quantization}`,
    `{context_tokens}`, `{tag}` to fill in; `gpu_only` where it cannot run on a CPU. `overhead_low_bytes`/`overhead_high_bytes`
    is what the program itself takes, with `overhead_how` (exact, measured, stated, assumed) and `overhead_source`.
    """

    id: str
    name: str
    formats: tuple[str, ...]
    systems: tuple[str, ...]
    modalities: tuple[str, ...]
    instruction_sets: Mapping[str, tuple[str, ...]] = {}
    recommended_instruction_sets: Mapping[str, tuple[str, ...]] = {}
    store: str
    present: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    install: str = ""
    command: str = ""
    gpu_only: bool = False
    overhead_low_bytes: int = 0
    overhead_high_bytes: int = 0
    overhead_how: str = "assumed"
    overhead_source: str = ""
    sources: Mapping[str, str] = {}
