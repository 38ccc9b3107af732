"""What a runtime file states, in parts: one record for each reader.

A `RuntimeSpec` (`runtime.py`) holds one of each. `specs/README.md` says what each key means. All
values are of one file of `specs/runtimes/`, or of one table of `specs/common/programs.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..core.records import Stated, Values, read_by
from ..core.templates import fill
from ..core.workload import FINETUNE_METHODS
from .spec import Denoising

# what an option of a program may change: see `RuntimeOption`
CHANGED_BY_OPTIONS = (
    "projector", "micro_batch_tokens", "batch_tokens", "memory_share", "sequences_sampled",
    "gpu_layers", "cpu_expert_layers", "picture_tokens", "split_mode", "gpu_shares",
    "cache_streams",
)  # fmt: skip

# values of `split_mode`: whole layers over all accelerators, parts of each layer, or all on one; of
# `cache_streams`: one for all
SPLIT_BY_LAYER = "layer"
SPLIT_BY_TENSOR = "tensor"
ON_ONE_CARD = "none"
ONE_STREAM = "one"


# fields as a file states them: a count that may be missing, one that must be there, a share
_COUNT = read_by(minimum=1, default=None)
_REQUIRED_COUNT = read_by(minimum=1)
_COUNT_OR_ZERO = read_by(minimum=1, default=0)
_SIZES_BY_NAME = read_by(minimum=1, default={})
_SHARES_BY_NAME = read_by(minimum=0.01, maximum=1.0, default={})
# numbers of an option, as a person may type them
_WHOLE_NUMBER = r"[0-9]{1,9}"
_SHARE = r"[01](\.[0-9]{1,9})?"
_LISTED_NUMBER = r"[0-9]{1,9}(\.[0-9]{1,9})?"


class QuantizationRule(Stated):
    """How one program takes one quantization of safetensors or MLX files."""

    also: tuple[str, ...] = ()
    at_load: bool = False
    gpu_only: bool = False
    compute_capability: str | None = None
    vendors: tuple[str, ...] = ()
    vendors_untold: tuple[str, ...] = ()
    launched_percent: tuple[int, ...] = read_by(minimum=10, default=(100,) * 3)
    needs: str = ""
    command: str = ""
    offload_commands: Mapping[str, str] = {}
    source: str

    # what the rule is about, as sentences call it, and the field of a workload that asks for it
    subject = "that quantization"
    asked_by = "quantization"


class CacheRule(Stated):
    """GPUs on which one program keeps a KV cache in one type."""

    compute_capability: str | None = None
    by_heads_capability: str | None = None
    head_lengths: tuple[int, ...] = read_by(minimum=1, default=())
    not_by_heads: tuple[str, ...] = ()
    not_by_heads_seeing: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    vendors_untold: tuple[str, ...] = ()
    source: str

    subject = "such a KV cache"
    asked_by = "kv_cache_type"


# what says on which GPUs a program has kernels for something
KernelRule = QuantizationRule | CacheRule


class RuntimeOption(Stated):
    """An option of one program by which it takes another amount, as `--runtime-option` names it.

    Its value is `yes` where it is a switch, which sets what it changes `to` that; one of
    `choices`; else up to `most_numbers` numbers with commas between them. `uncounted`: choices
    under which the memory is not computed, each with the reason.
    """

    line: str
    changes: str = read_by(choices=CHANGED_BY_OPTIONS)
    to: str = ""
    choices: tuple[str, ...] = ()
    uncounted: Mapping[str, str] = {}
    most_numbers: int = read_by(minimum=1, default=1)
    least: float = 1.0
    most: float = 1.0
    source: str

    @property
    def is_number(self) -> bool:
        """Whether its value is one number."""
        return not (self.to or self.choices or self.is_list)

    @property
    def is_list(self) -> bool:
        """Whether it takes several numbers."""
        return self.most_numbers > 1

    def takes(self, text: str) -> bool:
        """Whether it can be set to that."""
        if self.to:
            return text == "yes"
        if self.choices:
            return text in self.choices
        if self.is_list:
            numbers = text.split(",")
            if len(numbers) > self.most_numbers:
                return False
            are_right = all(map(self._takes_number, numbers))
            # a list of zeros says nothing
            return are_right and any(map(float, numbers))
        return self._takes_number(text)

    def _takes_number(self, text: str) -> bool:
        """Whether that is a number from the least to the most, a whole one above 1."""
        form = _WHOLE_NUMBER if self.most > 1 else _SHARE
        if self.is_list:
            form = _LISTED_NUMBER
        if re.fullmatch(form, text) is None:
            return False
        return self.least <= float(text) <= self.most


class AutomaticBatch(Stated):
    """Tokens of a batch that one program takes by itself above a context of so many tokens, where
    what it takes the model for is at most `most_percent` of the free memory, and `more_bytes`
    beside it at most `together_percent`.
    """

    tokens: int = _REQUIRED_COUNT
    above_context_tokens: int = 0
    most_percent: int
    more_bytes: int = 0
    together_percent: int = 100


class Conversion(Stated):
    """How the published weights become a file that the program loads, line by line."""

    look_first: str
    format: str = "gguf"
    file: str = "{model}-{quantization}.gguf"
    tools: tuple[str, ...] = ()
    download: str = ""
    convert: str
    quantize: str = ""
    projector: str = ""
    through: str = ""
    types: Mapping[str, str] = {}
    quantizations: tuple[str, ...] = ()
    takes_quantized: bool = True
    source: str


class ComponentFile(Stated):
    """One file of a model that comes in several."""

    component: str
    option: str
    repository: str
    # with `{quantization}` where its name has that
    file: str
    type: str = ""
    bytes: Mapping[str, int] = _SIZES_BY_NAME


class ModelParts(Stated):
    """The files from which a program loads one model, and the buffers it reserves."""

    quantizations: tuple[str, ...]
    options: str = ""
    denoise_bytes: int
    decode_bytes: int
    buffers_like: str = ""
    denoising: Denoising | None = None
    files: tuple[ComponentFile, ...]

    def words(self, quantization: str) -> str:
        """The options of the command that take them."""
        options = [f"{file.option} models/{file.file}" for file in self.files]
        options.append(self.options)
        figures = {"quantization": quantization}
        return fill(" ".join(options), figures, keep_unknown=True)


class Service(Stated):
    """How a runtime serves from a container or a service."""

    image: str
    images: Mapping[str, str] = {}
    vendor: str = ""
    program: str
    listen: str = ""
    starts_nothing: bool = False
    fetch: str = ""
    port: int = _REQUIRED_COUNT
    port_setting: str = ""
    health: str
    store: str
    maps_files: bool = False
    mapped_program_bytes: int = 0
    prompt_cache_bytes: int = 0
    shared_memory_bytes: int = 0
    accelerator_host_bytes: int = 0
    host_limit_bytes: int = 0
    environment: Mapping[str, str] = {}
    environment_why: str = ""
    bounds: Mapping[str, str] = {}
    source: str


class Account(Stated):
    """The rule by which needs/python.py counts the memory of a Python program."""

    loads_as: str = read_by(choices=("stored", "config", "sixteen"), default="stored")
    windows: str = read_by(choices=("kept", "rotated", "paged"), default="paged")
    typed_states: bool = False
    narrow_states: tuple[str, ...] = ()
    prompt_tokens: int = 0
    width: float = 4.0
    inner: float = 3.0
    waiting_bytes: int = 0
    waits_by_layer: bool = False
    score_bytes: float = 0.0
    fused_heads: tuple[int, ...] = ()
    scan_bytes: Mapping[str, float] = {}
    mask_bytes: tuple[int, ...] = (0, 0, 0)
    mixture_bytes: tuple[int, ...] = (0, 0, 0)
    low_share: float = 0.0
    high_share: float = 2.0
    high_bytes: int = 0
    program_bytes: tuple[int, ...] = ()
    token_bytes: tuple[int, ...] = (0, 0, 0)
    maps_files: bool = False
    widened: tuple[str, ...] = ()
    widened_always: tuple[str, ...] = ()
    divides_layers: bool = False
    ignored_quantizers: tuple[str, ...] = ()
    speech_beams: int = 1
    source: str = ""


class BuildPlatforms(Stated):
    """Where a program's published builds run.

    `systems`: systems that have one, as `linux-x86_64`. `elsewhere`: how the program runs on
    systems that it is not judged on, as a clause. `from_source`: systems without a build, and
    `source_build` the page that says how to make one. `big_endian_systems`: their build loads
    big-endian GGUF files alone. Without `instruction_sets`, by architecture, the build crashes;
    without `recommended_instruction_sets` it is slow. The build may crash on a processor with one
    of `crashes_with_sets`; `crash_remedy` prevents that.
    """

    systems: tuple[str, ...]
    elsewhere: str | None = None
    from_source: tuple[str, ...] = ()
    source_build: str = ""
    big_endian_systems: tuple[str, ...] = ()
    instruction_sets: Mapping[str, tuple[str, ...]] = {}
    recommended_instruction_sets: Mapping[str, tuple[str, ...]] = {}
    crashes_with_sets: tuple[str, ...] = ()
    crash_remedy: str = ""


class Versions(Stated):
    """Which releases load a model, by row of `common/architectures.toml`.

    `minimum`: the first release that knows the row; `last`: the last that loads it; `builds`: a
    build of a packager that knew it. `minimum["commands"]` is the first release that takes the
    commands as they stand in the file.
    """

    minimum: Mapping[str, str] = {}
    last: Mapping[str, str] = {}
    builds: Mapping[str, str] = {}


class GpuSupport(Stated):
    """On which GPUs a program computes, and what that changes.

    `required`: the program needs a GPU, and `on_cpu` says how it runs without one all the same.
    `unused`: the program computes on the processor whatever the machine has; on
    `unused_systems` it does so too. `compute_capability`: the least of an NVIDIA GPU;
    `shared_compute_capability`: the least of one that shares the RAM, where that is more.
    `amd_gpus`: names that the builds are made for, as regular expressions of whole words (empty:
    not known). `amd_as`: by instruction set, other GPUs that run its kernels on Linux
    (HSA_OVERRIDE_GFX_VERSION). `sharing`: by maker, names of GPUs sharing the RAM that the builds
    are made for. `sharing_vendors`: makers of GPUs sharing the RAM that the builds compute on.
    `cuda_attention`: makers of GPUs on which ggml's CUDA code computes attention, and
    `paired_cache_build` the setting of a build that does so with keys and values of two types.
    `quantizations`: default quantizations where GPUs hold the whole model, best first, each with
    the largest share of their memory that it may take. `preferred_from`: number of GPUs from
    which the program is the default.
    """

    required: bool = False
    unused: bool = False
    on_cpu: str = ""
    unused_systems: tuple[str, ...] = ()
    compute_capability: str | None = None
    shared_compute_capability: str | None = None
    amd_gpus: tuple[str, ...] = ()
    amd_as: Mapping[str, tuple[str, ...]] = {}
    sharing: Mapping[str, tuple[str, ...]] = {}
    sharing_vendors: tuple[str, ...] = ()
    cuda_attention: tuple[str, ...] = ()
    paired_cache_build: str = ""
    quantizations: Mapping[str, float] = _SHARES_BY_NAME
    preferred_from: int = _COUNT_OR_ZERO

    @classmethod
    def _completed(cls, values: Values) -> Values:
        shared = values["shared_compute_capability"] or values["compute_capability"]
        return {**values, "shared_compute_capability": shared}


class Installation(Stated):
    """How a program is installed, and seen to be installed.

    `present` and `distributions`: commands and Python distributions that show that the program is
    there. `lines`: what to type, by system, SYSTEM-VENDOR, SYSTEM-accelerator or `any`; `needs`:
    what must be there first; `first`: the line before the others, by vendor of the accelerator or
    `below-7.5`. `packages`: what `lines` leave out, by family or by what a command says.
    `releases`: the page of its releases. `token_variable`: the environment variable that holds
    the token of a login.
    """

    present: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    lines: Mapping[str, tuple[str, ...]] = {}
    needs: str = ""
    first: Mapping[str, str] = {}
    packages: Mapping[str, str] = {}
    releases: str = ""
    token_variable: str = ""


class CommandLines(Stated):
    """What a person types to run a model; `core/templates.py` fills the lines.

    `default`, or `by_use` by family or main use; `offload` by the way in which parts of a model
    come to an accelerator in turn. `devices`, `inputs` and `blanks` fill the places of their
    names. `variants`: repositories that hold files of their own for a quantization;
    `guided_families`: models that leave out a second pass unless asked. `options`: what is added
    where the workload departs from the program's default, `settings` the same as `NAME=value` for
    `serve`, the command that starts its server. `serves_api`: the path of OpenAI's API where the
    command starts a server. `shown_with`: the runtime whose command stands beside this one's.
    """

    default: str = ""
    by_use: Mapping[str, str] = {}
    offload: Mapping[str, str] = {}
    devices: Mapping[str, str] = {}
    inputs: Mapping[str, str] = {}
    blanks: Mapping[str, str] = {}
    variants: Mapping[str, tuple[str, ...]] = {}
    guided_families: tuple[str, ...] = ()
    options: Mapping[str, str] = {}
    settings: Mapping[str, str] = {}
    serve: str = ""
    serves_api: str = ""
    shown_with: str = ""


class LibraryTags(Stated):
    """Names of a program's own library of models.

    `quantizations`: by tag, the type that it loads where that is not the usual one; `bytes` of the
    text model where the library made the file otherwise; `unpacked`: tags whose files are of
    before llama.cpp kept the latent alone. `shared_with`: runtimes for whose files some tags
    stand, which the program computes with their code.
    """

    quantizations: Mapping[str, str] = {}
    bytes: Mapping[str, int] = _SIZES_BY_NAME
    unpacked: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = ()


class MemoryRules(Stated):
    """What a program takes beside the weights, and how it lays out its KV cache.

    `overhead_…`: the program itself. `default_context_tokens`: the context that it takes unless
    told, and `longer_context_gpu_bytes` the memory of all GPUs from which that is longer.
    `cache_step_tokens`: tokens for which it makes room at a time. `maps_files`: processes share
    one copy of the weights. `keeps_read_text`: it keeps keys and values of a text that an encoder
    read. `reserves_by_device`: it leaves free of a GPU what follows from the size of that.
    Of llama.cpp's code: `flash_attention`: on unless told; `logits_rows`: logits are reserved for
    the last token of each sequence, or for a whole batch; `whole_windows`: layers with a window
    cache the whole context, and `window_shares`, by row, that share of it; `state_share`: states
    of recurrent layers get so many times as much as keys and values (0: what they need);
    `context_checkpoints`: copies of what a cache cannot be rolled back to, of one prompt;
    `kept_checkpoints`: those that one sequence keeps.
    """

    overhead_low_bytes: int = 0
    overhead_high_bytes: int = 0
    overhead_how: str = read_by(
        choices=("measured", "stated", "assumed"), default="assumed"
    )
    overhead_source: str = ""
    default_context_tokens: int | None = _COUNT
    longer_context_gpu_bytes: int | None = _COUNT
    cache_step_tokens: int = read_by(minimum=1, default=1)
    maps_files: bool = False
    keeps_read_text: bool = False
    flash_attention: bool = True
    logits_rows: str = read_by(choices=("sequence", "batch"), default="sequence")
    whole_windows: bool = False
    window_shares: Mapping[str, float] = _SHARES_BY_NAME
    state_share: float = read_by(minimum=0.0, maximum=10.0, default=0.0)
    context_checkpoints: int = _COUNT_OR_ZERO
    kept_checkpoints: int = _COUNT_OR_ZERO
    reserves_by_device: bool = False


class Batches(Stated):
    """How many sequences and tokens a program computes at once.

    `most_sequences`: None where there is no limit. `queues_requests`: users who find no room in
    memory wait. `automatic`: batches of a prompt that the program chooses by itself, and
    `automatic_since` which version. `embedding_tokens`: the batch of a model that embeds.
    `beside_ram`: sizes that its command is given where experts wait in RAM.
    """

    most_sequences: int | None = _COUNT
    queues_requests: bool = False
    automatic: tuple[AutomaticBatch, ...] = ()
    automatic_since: str = ""
    embedding_tokens: int | None = _COUNT
    beside_ram: tuple[int, ...] = read_by(minimum=1, default=())


class LayerPlacement(Stated):
    """How a program places the layers of a model.

    `split`: part of them can be in RAM. `spread`: several accelerators get whole layers of text
    each. `leaves_experts`: of a mixture the experts stay in RAM instead of whole layers.
    """

    split: bool = False
    spread: bool = False
    leaves_experts: bool = False


class PaceRules(Stated):
    """What decides how fast a program's code computes.

    `replays_graphs`: on a GPU a step is replayed as one graph, not llama.cpp's.
    `launches_layers`: Python launches each operation. `multiplies_rows`: built without
    llama.cpp's kernels that compute blocks of a product. `default_threads`: the most threads on a
    processor unless told, None for all cores.
    """

    replays_graphs: bool = False
    launches_layers: bool = False
    multiplies_rows: bool = False
    default_threads: int | None = _COUNT


class Finetuning(Stated):
    """How a program trains a model.

    `trainer`: what is typed; `trainer_layers`: the layers that it trains unless told, None for
    all. `commands` by method; `options` by device, or by what is left out; `elsewhere`, by
    modality: what trains models that these commands do not; `packages` by method or optimizer.
    """

    trainer: str = ""
    trainer_layers: int | None = _COUNT
    methods: tuple[str, ...] = read_by(choices=FINETUNE_METHODS, default=())
    contexts: tuple[int, ...] = ()
    commands: Mapping[str, str] = {}
    options: Mapping[str, str] = {}
    elsewhere: Mapping[str, str] = {}
    packages: Mapping[str, str] = {}
