"""The case: one model in one program under one workload, in the terms of this package; and
questions about a model's files that several modules share.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property, lru_cache

from ..catalogue.architecture import Architecture
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import (
    ONE_STREAM,
    SWITCHED_OFF,
    Account,
    BuildPlatforms,
    QuantizationRule,
)
from ..catalogue.spec import FileTensors, ModelSpec, PublishedFiles
from ..catalogue.spec_values import MLX_MODES, PLAIN_DTYPES
from ..core.records import Record, Stated, Unread
from ..core.tables import shipped_rows
from ..core.workload import DEFAULT_CONTEXT_TOKENS, CacheTypes, Workload
from .quantization import CACHE_BLOCKS, bytes_of, canonical_gguf
from .records import (
    Device,
    How,
    Needs,
    Size,
    Term,
    assumed_term,
    middle_of,
    rounded_up,
    stated_term,
    term,
    unread,
)
from .tensors import UNKNOWN_ROW, ArchitectureRow, trained_tokens

# `n_ubatch` and `n_batch`, the defaults of every llama.cpp program (common/common.h)
MICRO_BATCH_TOKENS = 512
BATCH_TOKENS = 2048
# the batch from which on weights in RAM are copied to a GPU; a smaller batch computes them in RAM
# (GGML_OP_OFFLOAD_MIN_BATCH, ggml@d99724f2: ggml-cuda.cu, ggml-vulkan.cpp, ggml-sycl.cpp,
# ggml-metal-device.m)
COPIED_FROM_TOKENS = 32
# the number of cells is rounded up to a multiple of this (GGML_PAD in src/llama-context.cpp and
# src/llama-kv-cache-iswa.cpp)
_CELL_STEP = 256
# the side in pixels of a picture of a megapixel: 1,280 tokens of 28 × 28, the most that
# Qwen2.5-VL's model card calls balanced
MEGAPIXEL_SIDE = 1008
# the remedy for a model whose encoder has no known size
ENCODER_REMEDY = (
    "give the folder with its safetensors files, or state parameters.total and parameters.encoders"
    " in a spec of it"
)


class Encoder(Stated):
    """An encoder of images or sound in llama.cpp, with measured memory: an `[[encoder]]` of
    specs/common/architectures.toml.

    - `reserved_bytes`: the buffer reserved at load.
    - `largest_bytes`: the buffer for the largest picture that the encoder does not shrink.
    - `largest_side`: the side of that picture in pixels; `largest_seconds` for sound instead.
    - `megapixel_bytes`: the buffer for a picture of 1,008 × 1,008, where the buffer does not
      grow in proportion to the pixels.
    - `token_side`: the side in pixels of the square that one token shows, for encoders that
      take pictures as they come.

    The models with this encoder have one of its `types`, or else one of its `families` or `rows`
    with a number of parameters from `least_parameters` to `most_parameters`.
    """

    what: str
    types: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    least_parameters: int = 0
    most_parameters: int | None = None
    reserved_bytes: int
    largest_bytes: int
    largest_side: int | None = None
    largest_seconds: int | None = None
    megapixel_bytes: int | None = None
    token_side: int | None = None

    def picture_bytes(self, pixels: int) -> int:
        """The buffer in bytes for a picture of `pixels` pixels: in proportion to the largest
        picture, or on the line through the largest and a megapixel, where the encoder has both
        figures.
        """
        largest = (self.largest_side or 1) ** 2
        if self.megapixel_bytes is None:
            return self.largest_bytes * pixels // largest
        megapixel = MEGAPIXEL_SIDE**2
        of_pixel = self.megapixel_bytes / megapixel
        growth = (self.largest_bytes / largest - of_pixel) / (largest - megapixel)
        return round(pixels * (of_pixel + growth * (pixels - megapixel)))


def encoder_of(spec: ModelSpec) -> Encoder | None:
    """The measured encoder of a model; None where the model has no encoder, or none that was
    measured.
    """
    if not spec.parameters.encoders:
        return None
    for encoder in _encoders():
        if _has_encoder(spec, encoder):
            return encoder
    return None


@cache
def _encoders() -> tuple[Encoder, ...]:
    """The encoders of architectures.toml, read once."""
    return tuple(shipped_rows(Encoder, "architectures", "encoder").values())


def _has_encoder(spec: ModelSpec, encoder: Encoder) -> bool:
    """Whether the model has that encoder: told by the encoder's type, else by the model's family or
    row and the number of parameters.
    """
    if spec.parameters.encoder_type in encoder.types:
        return True
    parameters = spec.parameters.in_encoders
    most = encoder.most_parameters or parameters
    if not encoder.least_parameters <= parameters <= most:
        return False
    if spec.family in encoder.families:
        return True
    if spec.architecture is None:
        return False
    return spec.architecture.row in encoder.rows


class Companions(Record):
    """The draft model for speculative decoding that is loaded beside the main model.

    `own_block`: the main model drafts with its own block. Otherwise `draft` is the draft model,
    stored in the quantization `draft_quantization`. `drafted_tokens` are proposed at once.
    `block_share`: the parameters that an own block reads for one of them, as a share of those that
    the model reads; None where that is not known.
    """

    draft: ModelSpec | None = None
    draft_quantization: str = ""
    draft_is_here: bool = False
    own_block: bool = False
    drafted_tokens: int = 0
    block_share: float | None = None


class ContextSetup(Record):
    """The values with which llama.cpp sets up its context: the cells of the cache, and the batches
    in which they are filled (`llama_context_params` in include/llama.h).

    - `tokens`: the context of all sequences together (`n_ctx`).
    - `sequences`: the most sequences at once (`n_seq_max`).
    - `streams`: one for each sequence; one in all for a unified cache (`n_stream`).
    - `states`: the recurrent states kept of each sequence (1 + `n_rs_seq`).
    - `micro_batch_limit`: the micro-batch, the tokens computed at once, as set (`n_ubatch`).
    - `whole_windows`: layers with a window keep the whole context (`swa_full`: the library's
      default, not its programs').
    - `flash`: attention without stored scores.
    - `key_type`, `value_type`: the types in which the cache stores keys and values.
    """

    tokens: int
    sequences: int = 1
    streams: int = 1
    states: int = 1
    micro_batch_limit: int = MICRO_BATCH_TOKENS
    whole_windows: bool = False
    flash: bool = True
    key_type: str = "f16"
    value_type: str = "f16"

    @cached_property
    def cells_per_stream(self) -> int:
        """The number of cells of a stream that has one for every token of its context
        (`n_ctx_seq` in src/llama-context.cpp).

        - all cells = tokens, rounded up to a step of 256
        - a stream = all cells / streams, rounded up to a step
        """
        of_stream = rounded_up(self.tokens, _CELL_STEP) // self.streams
        return rounded_up(of_stream, _CELL_STEP)

    @property
    def micro_batch(self) -> int:
        """The number of tokens computed at once, bounded by the context."""
        return min(self.micro_batch_limit, self.tokens)

    @property
    def mask_bytes(self) -> int:
        """Bytes of a mask for one token and cell: flash attention reads 16 bits."""
        return 2 if self.flash else 4

    @property
    def copies_weights(self) -> bool:
        """Whether a GPU computes a prompt with weights that lie in RAM."""
        return self.micro_batch >= COPIED_FROM_TOKENS

    @property
    def encoder_tokens(self) -> int:
        """The number of tokens that an encoder reads at once, bounded by the padded context."""
        return min(self.micro_batch_limit, self.cells_per_stream * self.streams)

    def row_bytes(self, key_elements: int, value_elements: int) -> int:
        """Bytes of one cell in one layer, of a row of keys and a row of values."""
        of_keys = bytes_of(self.key_type, key_elements)
        return of_keys + bytes_of(self.value_type, value_elements)

    def cells_of_layer(self, window_tokens: int | None, tokens_per_row: int = 1) -> int:
        """The number of cells of a layer in one stream, rounded up to a step of 256 (`size_swa` in
        src/llama-kv-cache-iswa.cpp).

        - without a window: the cells of the stream / tokens that share one row
        - with a window: at most window × sequences of the stream + micro-batch

        `window_tokens`: None for a layer without a window. `tokens_per_row`: the number of tokens
        that share one row.
        """
        cells = -(-self.cells_per_stream // tokens_per_row)
        if tokens_per_row == 1 and window_tokens is not None and not self.whole_windows:
            most = window_tokens * (self.sequences // self.streams) + self.micro_batch
            cells = min(cells, most)
        return rounded_up(cells, _CELL_STEP)


class Batch(Record):
    """A batch of tokens, for which llama.cpp builds a graph.

    - `row`: the row of the model's architecture.
    - `logits_rows`: the rows of logits that the caller needs.
    - `on_device`: a GPU has all layers, to which looked-up rows are copied.
    """

    model: Architecture
    row: ArchitectureRow
    setup: ContextSetup
    logits_rows: int
    on_device: bool = False

    @property
    def tokens(self) -> int:
        """The tokens computed at once; an encoder reads each text whole."""
        if self.row.encoder:
            return self.setup.encoder_tokens
        return self.setup.micro_batch


# stand-ins for a model without a described architecture and for no chosen program
NO_MODEL = Architecture(row="", runs_in_gguf=False, layers=0, embedding_length=0)
NO_PROGRAM = RuntimeSpec(
    id="",
    name="this program",
    store="",
    formats=(),
    modalities=(),
    platforms=BuildPlatforms(systems=()),
)


class Case(Record):
    """The facts from which needs are counted: a model in a program under a workload.

    - `model`, `row`: the model's architecture and its row; known where `has_row` is true.
    - `encoders`: the number of parameters of all encoders.
    - `settings`: the values that the requested program options set, by the setting that they
      change.
    - `text_alone`: the encoders of images are not loaded.
    - `size_times`: how many times as many pixels options ask for as the model's own size has.
    - `draft`: the case of the draft model.
    - `instruction_sets`: of the machine's CPU; None where not known.
    - `users`: those that were asked for, of whom fewer may be served at once.
    - `device`: the accelerators that hold the model; None where the RAM holds the model.
    - `gpu_maker`: the maker of the GPUs that compute the model; "" where no GPU computes it.
    """

    spec: ModelSpec
    model: Architecture = NO_MODEL
    row: ArchitectureRow = UNKNOWN_ROW
    has_row: bool = False
    encoders: int = 0
    embeds: bool = False
    format: str = "gguf"
    quantization: str = ""
    runtime: RuntimeSpec = NO_PROGRAM
    workload: Workload = Workload()
    settings: Mapping[str, str] = {}
    cache_types: CacheTypes = CacheTypes(keys="f16", values="f16")
    text_alone: bool = False
    size_times: float = 1.0
    companions: Companions = Companions()
    draft: Case | None = None
    instruction_sets: tuple[str, ...] | None = None
    users: int = 1
    device: Device | None = None
    gpu_maker: str = ""

    @property
    def has_all_tensors(self) -> bool:
        """Whether all tensors of the model follow from its spec, so that their bytes are summed."""
        model = self.model
        if not self.has_row:
            return False
        if model.tensors:
            return True
        if model.vocabulary is None:
            return False
        return bool(model.recurrent or (model.attention and model.feed_forward))

    @property
    def has_layers(self) -> bool:
        """Whether the layers that attend or recur are known."""
        return bool(self.model.attention or self.model.recurrent)

    @property
    def tensors_in_header(self) -> tuple[FileTensors, ...]:
        """The tensors of the file in the case's quantization, from the header that was read; ()
        where none was.
        """
        spec = self.spec
        if any(self.quantization in files.bytes for files in spec.files):
            return spec.tensors
        return ()

    @property
    def context_tokens(self) -> int:
        """The context length of one sequence: as requested, else the default, or the model's
        longest context if that is less.
        """
        longest = trained_tokens(self.model) or DEFAULT_CONTEXT_TOKENS
        return self.workload.context_tokens or min(DEFAULT_CONTEXT_TOKENS, longest)

    @cached_property
    def heads_without_flash(self) -> str | None:
        """The heads, as a clause, for which the GPUs store attention scores; None where they store
        none.
        """
        if self.gpu_maker not in self.runtime.gpus.cuda_attention:
            return None
        # imported here: a machine without GPUs of these makers does not need the module
        from .flash_attention import heads_without_flash

        return heads_without_flash(self.model)

    @property
    def switches_flash_off(self) -> bool:
        """Whether an option of the program switches flash attention off."""
        return self.settings.get("flash_attention") in SWITCHED_OFF

    @property
    def why_flash_is_off(self) -> str | None:
        """Why the program computes no flash attention, as a clause behind "flash attention, which";
        None where it asks each device. It then stores the scores of all layers, as for heads of
        which a device has no kernel.
        """
        if self.switches_flash_off:
            return "is switched off"
        if not self.runtime.memory.flash_attention:
            return f"{self.runtime.name} leaves off by default"
        return None

    def with_draft_alike(self, **changes: object) -> Case:
        """The case with these changes, which its draft model gets too."""
        draft = self.draft
        if draft is not None:
            draft = draft.replace(**changes)
        return self.replace(draft=draft, **changes)

    def number_set(self, changes: str) -> int:
        """The number that the requested options give to the setting `changes`; 0 where no option
        sets it.
        """
        return int(self.settings.get(changes) or 0)

    @property
    def is_lean(self) -> bool:
        """Whether a runtime option makes the program take less memory, and makes it slower."""
        return "lean" in self.settings

    @property
    def parallel(self) -> int:
        """The number of users served at once, or of sequences trained at once."""
        return self.workload.parallel

    @property
    def stated_sequences(self) -> int | None:
        """The most sequences at once that the printed command states: those of an option, those of
        several users, or those that stand beside an option to take less memory. None where the
        program takes its default.
        """
        asked = self.number_set("sequences_sampled")
        if asked:
            return asked
        if self.parallel > 1 or self.users > 1 or self.is_lean:
            return self.parallel
        return None

    @property
    def keeps_block_of_each_sequence(self) -> bool:
        """Whether the program starts only with a block of its cache for each sequence that it
        serves at once, for the graphs of recurrent layers.
        """
        if not self.runtime.memory.blocks_for_graphs or not self.model.recurrent:
            return False
        return not self.is_lean and self.workload.draft is None

    @property
    def account(self) -> Account:
        """The figures by which the program's memory is counted."""
        return self.runtime.account

    @property
    def is_on_device(self) -> bool:
        """Whether an accelerator holds the model."""
        return self.device is not None

    @property
    def devices(self) -> int:
        """The number of equal devices that divide the model; 1 in RAM."""
        return 1 if self.device is None else self.device.devices

    @property
    def program(self) -> Term:
        """The term of the program itself in RAM, without the model."""
        return overhead(self.runtime, on_gpu=self.is_on_device)

    @property
    def is_as_published(self) -> bool:
        """Whether the files are in the type that the model is published in."""
        return self.quantization == stored_type(self.model)

    @property
    def batch_tokens(self) -> int:
        """The most tokens that llama.cpp is given at once, as set (`n_batch`)."""
        return self.number_set("batch_tokens") or BATCH_TOKENS

    @cached_property
    def setup(self) -> ContextSetup:
        """The values with which llama.cpp sets up its context. A micro-batch is never larger than
        its batch; an encoder's holds a whole text.
        """
        micro_batch = self.number_set("micro_batch_tokens") or MICRO_BATCH_TOKENS
        tokens = min(micro_batch, self.batch_tokens)
        if self.row.encoder:
            # an encoder reads each text whole (src/llama-context.cpp: n_ubatch >= n_tokens)
            tokens = max(tokens, self.context_tokens)
        streams = self.parallel
        if self.settings.get("cache_streams") == ONE_STREAM:
            streams = 1
        states = 1
        if self.companions.own_block and self.row.rolls_back:
            # a model that drafts with its own block keeps one state for each token that it may roll
            # back
            states += self.companions.drafted_tokens
        return ContextSetup(
            tokens=self.context_tokens * streams,
            sequences=self.parallel,
            streams=streams,
            states=states,
            micro_batch_limit=tokens,
            whole_windows=self.runtime.memory.whole_windows,
            flash=self._has_flash_attention(),
            key_type=self.cache_types.keys,
            value_type=self.cache_types.values,
        )

    def _has_flash_attention(self) -> bool:
        """Whether attention stores no scores."""
        if self.why_flash_is_off is not None:
            return False
        return self.heads_without_flash is None

    @property
    def setup_of_first_batch(self) -> ContextSetup:
        """The setup of a context that ends with the first batch of each sequence; for an encoder,
        with that of one sequence.
        """
        number = 1 if self.row.encoder else self.setup.sequences
        tokens = min(self.context_tokens, self.setup.micro_batch_limit) * number
        streams = min(number, self.setup.streams)
        return self.setup.replace(tokens=tokens, sequences=number, streams=streams)

    @property
    def logits_rows(self) -> int:
        """The number of logits rows that the caller needs of a batch (`n_outputs_max`): one for
        each sequence and drafted token. A decoder that embeds or writes by diffusion needs one for
        each token.
        """
        if self.embeds or self.row.diffusion:
            return self.setup.micro_batch
        return self.parallel * (1 + self.companions.drafted_tokens)

    @property
    def batch(self) -> Batch:
        """The batch that fills the context."""
        return Batch(
            model=self.model,
            row=self.row,
            setup=self.setup,
            logits_rows=self.logits_rows,
            on_device=self.is_on_device,
        )

    @property
    def sequences(self) -> int:
        """The number of texts with keys and values of their own: one for each beam of a search."""
        beams = self.model.beams or 1
        if self.model.audio is not None:
            beams = self.account.speech_beams
        return self.parallel * beams

    @property
    def width(self) -> int:
        """Bytes of a number in the type that the runtime computes in. MLX computes in the type of
        the weights, or of their scales.
        """
        dtype = self.model.dtype
        if self.quantization in ("bf16", "fp16"):
            return 2
        is_in_mlx = "mlx" in self.runtime.formats
        if is_in_mlx and dtype == "float16" and self.quantization in MLX_MODES:
            # tables with 8-bit scales give bfloat16, and norms in float16 turn that into float32
            # (mlx 0.32.4)
            return 4
        if dtype == "float32" and self.account.loads_as != "sixteen":
            return 4
        return 2

    @property
    def cache_width(self) -> float:
        """Bytes of a number in the KV cache: those of its type, else the same as `width`."""
        block = CACHE_BLOCKS.get(self.cache_types.keys.upper())
        if block is None or self.cache_types.keys == "f16":
            return self.width
        return block.bytes_of_number


def without_files(why: Unread, memory: str = "memory.weights") -> Needs:
    """The needs of a model whose files are unknown, and with them the weights, or all of the
    memory, as `memory` says.
    """
    return Needs(unknown=(why, why.replace(fact=memory)))


def components_type(spec: ModelSpec) -> str:
    """The type of a model's components as published; else bfloat16 where the spec states needs, and
    float32 where it does not.
    """
    if spec.components_dtype:
        return spec.components_dtype
    return "float32" if spec.needs is None else "bfloat16"


def published(
    spec: ModelSpec,
    format: str | None,
    quantization: str | None,
) -> tuple[int, PublishedFiles] | None:
    """The size that somebody states for the files of a quantization, with the record that states
    it. Another case or alias of the quantization's name counts too, another publisher's file does
    not where the user typed a repository. None where nobody states a size.
    """
    # CTranslate2 files are published in float16 and loaded as any of its types
    quantization = "float16" if format == "ctranslate2" else quantization
    if format is None or quantization is None:
        return None
    wanted = _spelled_alike(quantization)
    listing = spec.files_of(format, quantization)
    is_typed = listing is not None and listing.typed
    for files in spec.files:
        if files.format != format or (is_typed and not files.typed):
            continue
        for name, size in files.bytes.items():
            if _spelled_alike(name) == wanted:
                return size, files
    return None


@lru_cache(maxsize=1024)
def _spelled_alike(quantization: str) -> str:
    """The name that all spellings of a quantization have in common."""
    return canonical_gguf(quantization) or quantization.lower()


def published_size(case: Case, quantization: str | None = None) -> Term | None:
    """The size of a case's files as a publisher or a listing states it; None where nobody does."""
    size_and_files = published(
        case.spec, case.format, quantization or case.quantization
    )
    if size_and_files is None:
        return None
    size, files = size_and_files
    return stated_term("files", size, files.source, f"{size:,} bytes as listed")


def is_in_plain_type(architecture: Architecture | None) -> bool:
    """Whether the published weights are in 16 or 32 bits, so that a runtime can quantize them while
    it loads them. False without an architecture.
    """
    if architecture is None:
        return False
    return stored_type(architecture) in PLAIN_DTYPES


def is_made_of(architecture: Architecture | None, rule: QuantizationRule) -> bool:
    """Whether a runtime makes the rule's quantization of the model's published weights. False
    without an architecture.
    """
    if architecture is None:
        return False
    return rule.is_made_from(stored_type(architecture))


def stored_type(architecture: Architecture | None) -> str:
    """The stored type by which people name the weights; bfloat16 where the spec does not say."""
    if architecture is None:
        return "bfloat16"
    narrow = architecture.expert_dtype or architecture.matrix_dtype
    return narrow or architecture.dtype or "bfloat16"


def is_cast(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    quantization: str | None,
) -> bool:
    """Whether the program downloads float32 files and is told to load them as that type."""
    if runtime is None or quantization not in runtime.casts:
        return False
    if spec.architecture is None or quantization == "float32":
        return False
    if stored_type(spec.architecture) != "float32":
        return False
    return all(quantization not in files.bytes for files in spec.files)


def loads_published(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    format: str | None,
    quantization: str | None,
) -> bool:
    """Whether the published weights are downloaded, and the runtime makes them smaller: it
    quantizes them, or it loads 32 bits as 16.
    """
    if is_cast(spec, runtime, quantization):
        return True
    rule = runtime.rule_of(quantization)
    if rule is None or not rule.at_load:
        return False
    if not spec.components and not is_made_of(spec.architecture, rule):
        return False
    if spec.repository_of(format, quantization) is not None:
        return False
    return published(spec, format, quantization) is None


def overhead(runtime: RuntimeSpec, *, on_gpu: bool = False) -> Term:
    """The term of the program itself in RAM. `on_gpu`: a GPU holds the model; a measured size then
    has a wider range, because the libraries of CUDA were not measured.
    """
    low = runtime.memory.overhead_low_bytes
    high = runtime.memory.overhead_high_bytes
    how = How(runtime.memory.overhead_how)
    source = runtime.memory.overhead_source or runtime.name
    if not on_gpu or how is not How.MEASURED:
        line = f"({low:,} + {high:,}) / 2 bytes"
        return term("runtime", middle_of(low, high), source, line, how)
    # the overhead was measured with a build for CPUs; how much the CUDA libraries add was not
    # measured
    source = f"assumed for a CUDA build, at most twice what a CPU's takes; {source}"
    line = f"{high:,} bytes; {low:,} to {2 * high:,}"
    return assumed_term("runtime", Size(low, high, 2 * high), source, line)


def why_no_encoders(spec: ModelSpec) -> str | None:
    """The reason why the size of an encoder is not known; None where it is known, or the model has
    no encoder.
    """
    if spec.parameters.encoders or spec.architecture is None:
        return None
    usual = None
    if spec.modality == "vision":
        usual = "the spec does not state the size of its vision encoder"
    return spec.unknown.get("parameters.encoders", usual)


class UsualReason(Record):
    """The reason why a size is not known: the spec's reason for one of these facts, else the usual
    reason.
    """

    facts: tuple[str, ...]
    usual: str
    remedy: str


_UNREAD = {
    "memory.kv_cache": UsualReason(
        facts=("architecture.attention", "architecture"),
        usual="the spec has no architecture, so the size of its cache is not known",
        remedy="state [architecture] or [needs] in a spec of the model",
    ),
    "download_bytes": UsualReason(
        facts=("architecture", "parameters.total"),
        usual="neither the architecture nor the number of parameters is known",
        remedy="state the size under [[files]] or [needs] in a spec of the model",
    ),
}


def unread_of(spec: ModelSpec, fact: str) -> Unread:
    """The reason why the size of the cache or of the weights is not known, taken from the spec
    where it states one.
    """
    unknown = _UNREAD[fact]
    reason = unknown.usual
    for name in unknown.facts:
        if spec.unknown.get(name):
            reason = spec.unknown[name]
            break
    return unread(reason, unknown.remedy, fact)
