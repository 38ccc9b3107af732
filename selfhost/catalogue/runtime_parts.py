"""The parts of a runtime file: one record for each part.

A `RuntimeSpec` (`runtime.py`) holds one record of each kind. `specs/runtimes.md` says what each key
means. All values come from one file of `specs/runtimes/`, or from one table of
`specs/common/programs.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from ..core.records import Stated, Values, read_by
from ..core.templates import fill
from ..core.workload import FINETUNE_METHODS
from .spec import Denoising
from .spec_values import PLAIN_DTYPES

# the settings that needs, placement or pace compute with, as an option's `changes` names them. A
# word that nothing reads would do nothing, so that any other word is told as a fault of the file.
COMPUTED_SETTINGS = (
    "projector",
    "micro_batch_tokens",
    "batch_tokens",
    "memory_share",
    "sequences_sampled",
    "gpu_layers",
    "experts_in_ram",
    "picture_tokens",
    "split_mode",
    "gpu_shares",
    "cache_streams",
    "parts_of_layers",
    "device",
    "lean",
    "picture_width",
    "picture_height",
    "clip_frames",
    "denoising_steps",
    "drafted_tokens",
    "flash_attention",
    "ngrams_in_ram",
)

# values of `split_mode`: whole layers over all accelerators, parts of each layer, or all on one; of
# `cache_streams`: one for all
SPLIT_BY_LAYER = "layer"
SPLIT_BY_TENSOR = "tensor"
ON_ONE_CARD = "none"
ONE_STREAM = "one"
# values of `flash_attention` that switch it off (common/arg.cpp of llama.cpp)
SWITCHED_OFF = ("off", "0")
# the value of `experts_in_ram` for the experts of every layer
ALL_LAYERS = "all"
# how a model is divided over several machines: whole layers on each, or a part of every layer
BY_LAYERS = "layers"
BY_TENSOR = "tensor"
CLUSTER_SPLITS = (BY_LAYERS, BY_TENSOR)


# kinds of fields in a file: an optional count, a required count, a share
_COUNT = read_by(minimum=1, default=None)
_REQUIRED_COUNT = read_by(minimum=1)
_COUNT_OR_ZERO = read_by(minimum=1, default=0)
_PERCENT = read_by(minimum=1, maximum=100, default=100)
_SIZES_BY_NAME = read_by(minimum=1, default={})
_SHARES_BY_NAME = read_by(minimum=0.01, maximum=1.0, default={})
# a number as typed in an option
_WHOLE_NUMBER = r"[0-9]{1,9}"
_SHARE = r"[01](\.[0-9]{1,9})?"
_LISTED_NUMBER = r"[0-9]{1,9}(\.[0-9]{1,9})?"
# a regular expression that is matched against names of tensors. A group is not repeated, and few
# parts repeat, so that no pattern takes long.
_PATTERN = r"(?!.*\)[*+])[\w.\\*+?|()\[\]^$-]{1,300}"
_MOST_REPEATS = 4
# a device: the backend and the number
_DEVICE = r"(?P<backend>[A-Za-z]+)(?P<number>0|[1-9][0-9]?)"


class QuantizationRule(Stated):
    """The rule for one quantization of safetensors or MLX files in one program.

    `instruction_sets`: by architecture of the processor, the sets without which the program's
    kernels for the quantization do not run. `made_from`: the types of published weights of which
    the program makes the quantization, each with what `command` calls it; where none is stated,
    every type of 16 or 32 bits. `is_stored`: `command` writes the made weights to the disk, beside
    the published ones.
    `unpacks_experts`: a step unpacks all experts of each layer to 16 bits, whichever are used.
    `mixtures_on_amd`: the AMD GPUs with kernels for mixtures of experts, as in `amd_gpus` of
    `GpuSupport` (empty: all).
    """

    also: tuple[str, ...] = ()
    at_load: bool = False
    made_from: Mapping[str, str] = {}
    is_stored: bool = False
    gpu_only: bool = False
    instruction_sets: Mapping[str, tuple[str, ...]] = {}
    compute_capability: str | None = None
    vendors: tuple[str, ...] = ()
    vendors_untold: tuple[str, ...] = ()
    mixtures_on_amd: tuple[str, ...] = ()
    launched_percent: tuple[int, ...] = read_by(minimum=10, default=(100,) * 3)
    unpacks_experts: bool = False
    needs: str = ""
    command: str = ""
    offload_commands: Mapping[str, str] = {}
    source: str

    # the noun for this rule in sentences, and the field of a workload that selects the rule
    subject = "that quantization"
    asked_by = "quantization"

    def is_made_from(self, published_type: str) -> bool:
        """Whether the program makes the quantization of weights published in that type."""
        return published_type in (self.made_from or PLAIN_DTYPES)


class CacheRule(Stated):
    """The GPUs on which a program keeps a KV cache in one type.

    `note`: what else the type needs, for the user. `cuda_note`: the same, on GPUs whose attention
    ggml's CUDA code computes. `written`: what the program calls the type.
    """

    note: str = ""
    written: str = ""
    cuda_note: str = ""
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


# rules that say on which GPUs a program has kernels
KernelRule = QuantizationRule | CacheRule


class NamedDevice(NamedTuple):
    """A device as a program numbers the devices of a backend: ROCm1 is the second of ROCm's."""

    backend: str
    number: int


class RuntimeOption(Stated):
    """An option of a program, as `--runtime-option` names it.

    `changes`: one of the `COMPUTED_SETTINGS`. An option that states none changes a setting of its
    own name, whose effect on the figures a row of `judge/settings.py` tells.

    The value is `yes` for a switch, which sets `changes` to the value of `to`; else one of
    `choices`; else, with `place`, patterns of the names of tensors, each with `=` and the place,
    with commas between them; else up to `most_numbers` numbers with commas between them. Without a
    `line` other lines of the command state the value: an option or a variable of `CommandLines`
    that has a place for the setting, or `variable`: a variable of the environment with its value.

    `uncounted`: choices under which the memory is not computed, each with the reason. `devices`: by
    the name of a backend, the makers whose GPUs it computes on; the value is one of `choices`, or
    devices of one backend with commas between them, such as ROCm0,ROCm1. `adds`: beside
    another option for the same setting, both count. `contradicts`: an option that says the
    opposite. `vendors`: the makers of the GPUs on which the program has the option (empty: all).
    """

    line: str = ""
    variable: str = ""
    changes: str = read_by(choices=COMPUTED_SETTINGS, default="")
    to: str = ""
    choices: tuple[str, ...] = ()
    place: str = ""
    uncounted: Mapping[str, str] = {}
    devices: Mapping[str, tuple[str, ...]] = {}
    most_numbers: int = read_by(minimum=1, default=1)
    least: float = 1.0
    most: float = 1.0
    adds: bool = False
    contradicts: str = ""
    vendors: tuple[str, ...] = ()
    source: str

    def is_for(self, gpu_maker: str) -> bool:
        """Whether the program has the option on GPUs of that maker; True for no known maker."""
        return not self.vendors or gpu_maker in ("", *self.vendors)

    @property
    def is_number(self) -> bool:
        """Whether the option's value is one number."""
        return not (self.to or self.listed or self.place or self.is_list)

    @property
    def is_list(self) -> bool:
        """Whether the option takes several numbers."""
        return self.most_numbers > 1

    def takes(self, text: str) -> bool:
        """Whether the option accepts that value."""
        if self.to:
            return text == "yes"
        if self.listed:
            return text in self.choices or bool(self.devices_named(text))
        if self.place:
            return all(map(self._takes_pattern, text.split(",")))
        if self.is_list:
            return self._takes_list(text.split(","))
        # a share of something is at most 1; any other number is whole
        form = _WHOLE_NUMBER if self.most > 1 else _SHARE
        return self._takes_number(text, form)

    @property
    def listed(self) -> tuple[str, ...]:
        """The values that the option takes, with the first device of each backend."""
        first = [f"{backend}0" for backend in self.devices]
        return (*first, *self.choices)

    def devices_named(self, text: str) -> tuple[NamedDevice, ...]:
        """The devices that a value names; () where the text is no list of devices of one backend,
        each named once.
        """
        devices = list[NamedDevice]()
        for name in text.split(","):
            match = re.fullmatch(_DEVICE, name)
            if match is None or match["backend"] not in self.devices:
                return ()
            device = NamedDevice(match["backend"], int(match["number"]))
            if device in devices:
                return ()
            devices.append(device)
            if device.backend != devices[0].backend:
                return ()
        return tuple(devices)

    def _takes_list(self, numbers: list[str]) -> bool:
        """Whether each of the texts is a number, and not all are 0: a list of zeros gives no GPU a
        share.
        """
        if len(numbers) > self.most_numbers:
            return False
        for number in numbers:
            if not self._takes_number(number, _LISTED_NUMBER):
                return False
        return any(map(float, numbers))

    def _takes_pattern(self, text: str) -> bool:
        """Whether the text is a pattern of the names of tensors, `=`, and the place."""
        pattern, _, place = text.rpartition("=")
        if place != self.place or re.fullmatch(_PATTERN, pattern) is None:
            return False
        if pattern.count("*") + pattern.count("+") > _MOST_REPEATS:
            return False
        try:
            re.compile(pattern, re.ASCII)
        except re.error:
            return False
        return True

    def _takes_number(self, text: str, form: str) -> bool:
        """Whether the text is a number of that form from the least to the most."""
        if re.fullmatch(form, text) is None:
            return False
        return self.least <= float(text) <= self.most


class AutomaticBatch(Stated):
    """A number of tokens of a batch that a program chooses by itself where the context has more
    than `above_context_tokens`, and GPUs have room.

    GPUs have room where what the program expects of the model is at most `most_percent` of their
    memory, and at most `Batches.most_percent` with `more_bytes`.
    """

    tokens: int = _REQUIRED_COUNT
    above_context_tokens: int = 0
    most_percent: int = _PERCENT
    more_bytes: int = 0


class Conversion(Stated):
    """The commands that turn published weights into a file that the program loads."""

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
    """The file of one component, for a model whose components are separate files."""

    component: str
    option: str
    repository: str
    # `{quantization}` stands for the quantization in the file's name
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
        """The options of the command that load these files."""
        options = [f"{file.option} models/{file.file}" for file in self.files]
        options.append(self.options)
        figures = {"quantization": quantization}
        return fill(" ".join(options), figures, keep_unknown=True)


class Service(Stated):
    """The way in which a runtime serves from a container or a service."""

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
    """The rule by which needs/python.py counts the memory of a Python program.

    `parts_in_ram`: the parts of the weights that stay in RAM beside a GPU.
    """

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
    parts_in_ram: tuple[str, ...] = read_by(choices=("table", "expert"), default=())
    ignored_quantizers: tuple[str, ...] = ()
    speech_beams: int = 1
    source: str = ""


class BuildPlatforms(Stated):
    """The platforms on which a program's published builds run.

    - `systems`: the systems with a build, such as `linux-x86_64`.
    - `elsewhere`: how the program runs on systems that it is not judged on, as a clause.
    - `from_source`: systems without a build; `source_build` is the page on how to make one.
    - `big_endian_systems`: systems whose build loads only big-endian GGUF files.
    - `instruction_sets`: by architecture, the sets without which the build crashes.
    - `recommended_instruction_sets`: by architecture, the sets without which the build is slow.
    - `crashes_with_sets`: the build may crash on a processor with one of these sets;
      `crash_remedy` prevents the crash.
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
    """The releases of a program that load a model, by row of `common/architectures.toml`.

    - `minimum`: the first release that knows the row. `minimum["commands"]` is the first
      release that accepts the commands as the file states them.
    - `last`: the last release that loads the row.
    - `builds`: a packager's build that knew the row.
    """

    minimum: Mapping[str, str] = {}
    last: Mapping[str, str] = {}
    builds: Mapping[str, str] = {}


class GpuSupport(Stated):
    """The GPUs on which a program computes, and what depends on them.

    - `required`: the program needs a GPU; `on_cpu` says how it still runs without one.
    - `unused`: the program computes on the processor on every machine; on `unused_systems` it
      does so too.
    - `compute_capability`: the least for an NVIDIA GPU; `shared_compute_capability`: the least
      for an NVIDIA GPU that shares the RAM, where that is more.
    - `amd_gpus`: names that the builds are made for, as regular expressions of whole words
      (empty: not known).
    - `amd_as`: by instruction set, other GPUs that run its kernels on Linux
      (HSA_OVERRIDE_GFX_VERSION).
    - `sharing`: by maker, names of GPUs sharing the RAM that the builds are made for.
    - `sharing_vendors`: makers of GPUs sharing the RAM that the builds compute on.
    - `cuda_attention`: makers of GPUs on which ggml's CUDA code computes attention;
      `paired_cache_build`: the build setting with which that code takes keys and values of two
      types.
    - `quantizations`: default quantizations where GPUs hold the whole model, the best first,
      each with the largest share of the GPUs' memory that it may take.
    - `preferred_from`: the number of GPUs from which the program is the default.
    - `most`: the most GPUs with memory of their own that the program computes on (0: any number);
      `hidden_by`: by maker, the variable that names the GPUs which the program sees, where it
      aborts if it sees more.
    - `numbered_by`: by maker, the setting of a variable with which the program numbers unlike GPUs
      in the order of the driver.
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
    most: int = _COUNT_OR_ZERO
    hidden_by: Mapping[str, str] = {}
    numbered_by: Mapping[str, str] = {}

    @classmethod
    def _completed(cls, values: Values) -> Values:
        """A GPU that shares the RAM needs what every GPU needs, where nothing else is stated."""
        if values["shared_compute_capability"] is not None:
            return values
        usual = values["compute_capability"]
        return {**values, "shared_compute_capability": usual}


class Installation(Stated):
    """The way to install a program, and to see whether it is installed.

    - `present`, `distributions`: commands and Python distributions that show that the program
      is installed.
    - `lines`: the commands to type, by system, SYSTEM-VENDOR, SYSTEM-accelerator or `any`.
    - `needs`: what must be installed before.
    - `first`: the line before the others, by vendor of the accelerator or `below-7.5`.
    - `packages`: packages that `lines` leave out, by family or by the text of a command.
    - `releases`: the page of the program's releases.
    - `token_variable`: the environment variable that holds the token of a login.
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
    """The commands that a person types to run a model. `core/templates.py` fills the lines.

    - `default`: the usual command; `by_use`: others, by row, family or main use. Those for several
      users are `users`, `users_file`, and `users_` with the row.
    - `offload`: commands by the way of offloading, in which parts of a model come to an
      accelerator in turn.
    - `devices`, `inputs`, `blanks`: texts for the places of their names in the commands.
    - `variants`: repositories that hold separate files for a quantization.
    - `processor_types`: by a stored type, the type to compute in where the processor does.
    - `guided_families`: models that leave out a second pass unless asked.
    - `options`: options to add where the workload departs from the program's default.
    - `variables`: the same options as environment variables, `NAME=value`, for `serve`.
    - `serve`: the command that starts the program's server.
    - `serves_api`: the path of OpenAI's API where the command starts a server.
    - `shown_with`: the runtime whose command stands beside this one's.
    """

    default: str = ""
    by_use: Mapping[str, str] = {}
    offload: Mapping[str, str] = {}
    devices: Mapping[str, str] = {}
    inputs: Mapping[str, str] = {}
    blanks: Mapping[str, str] = {}
    variants: Mapping[str, tuple[str, ...]] = {}
    processor_types: Mapping[str, str] = {}
    guided_families: tuple[str, ...] = ()
    options: Mapping[str, str] = {}
    variables: Mapping[str, str] = {}
    serve: str = ""
    serves_api: str = ""
    shown_with: str = ""

    @property
    def spreads_unless_told(self) -> bool:
        """Whether the program computes on all GPUs unless a command names one."""
        return "one_device" in self.options or "one_of_several" in self.devices


class LibraryTags(Stated):
    """The tags in a program's own library of models.

    - `quantizations`: by tag, the type that it loads where that is not the usual one.
    - `bytes`: by tag, the size of the text model where the library made the file differently.
    - `unpacked`: tags whose files date from before llama.cpp kept the latent alone.
    - `shared_with`: runtimes whose files some tags stand for; the program computes these with
      the runtimes' code. `shared_bytes`: by such a tag, the size of all its files as listed.
    """

    quantizations: Mapping[str, str] = {}
    bytes: Mapping[str, int] = _SIZES_BY_NAME
    unpacked: tuple[str, ...] = ()
    shared_with: tuple[str, ...] = ()
    shared_bytes: Mapping[str, int] = _SIZES_BY_NAME


class MemoryRules(Stated):
    """The memory that a program takes beside the weights, and the layout of its KV cache.

    - `overhead_…`: the program itself.
    - `default_context_tokens`: the context length by default; `longer_context_gpu_bytes`: the
      memory of all GPUs from which that default is longer.
    - `cache_step_tokens`: the number of tokens by which the cache grows.
    - `maps_files`: processes share one copy of the weights.
    - `compressed_most`: rows of compressed attention take at most so many times as much as their
      numbers; 0: what they take is not known.
    - `keeps_read_text`: the program keeps keys and values of a text that an encoder read.
    - `reserves_by_device`: the memory left free on a GPU follows from the size of the GPU.
    - `blocks_for_graphs`: the program starts only where each sequence that it serves at once has a
      block of the cache, for its CUDA graphs of models with recurrent layers.
    - `component_files`: a model of components is loaded from a file for each of them, in the type
      that was asked for.

    From llama.cpp's code:

    - `flash_attention`: on by default.
    - `logits_rows`: logits are reserved for the last token of each sequence, or for a whole
      batch.
    - `whole_windows`: layers with a window cache the whole context; `window_shares`: by row,
      the share of the context that they cache instead.
    - `state_share`: the states of recurrent layers get this multiple of the bytes of keys and
      values (0: the bytes that they need).
    - `context_checkpoints`: copies, for one prompt, of the parts of a cache that cannot be
      rolled back; `kept_context_checkpoints`: the copies that one sequence keeps.
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
    compressed_most: float = read_by(minimum=0.0, maximum=20.0, default=0.0)
    keeps_read_text: bool = False
    flash_attention: bool = True
    logits_rows: str = read_by(choices=("sequence", "batch"), default="sequence")
    whole_windows: bool = False
    window_shares: Mapping[str, float] = _SHARES_BY_NAME
    state_share: float = read_by(minimum=0.0, maximum=10.0, default=0.0)
    context_checkpoints: int = _COUNT_OR_ZERO
    kept_context_checkpoints: int = _COUNT_OR_ZERO
    reserves_by_device: bool = False
    blocks_for_graphs: bool = False
    component_files: bool = False


class Batches(Stated):
    """The number of sequences and tokens that a program computes at once.

    - `most_sequences`: the limit; None where there is none.
    - `queues_requests`: users who find no room in memory wait.
    - `automatic`: the batches for prompts that the program chooses by itself;
      `automatic_since`: the first version that does; `most_percent`: of the GPUs' memory.
    - `embedding_tokens`: the batch size of a model that embeds.
    - `beside_ram`: the batch sizes that the command states where experts wait in RAM.
    """

    most_sequences: int | None = _COUNT
    queues_requests: bool = False
    automatic: tuple[AutomaticBatch, ...] = ()
    automatic_since: str = ""
    most_percent: int = _PERCENT
    embedding_tokens: int | None = _COUNT
    beside_ram: tuple[int, ...] = read_by(minimum=1, default=())


class LayerPlacement(Stated):
    """The way in which a program places the layers of a model.

    - `split`: part of the layers can be in RAM.
    - `spread`: several accelerators get whole layers each, in text models.
    - `leaves_experts`: in a mixture of experts, the experts stay in RAM instead of whole
      layers.
    - `left_empty_mib`: what the program leaves empty on a card, beside the memory that is counted,
      where part of the model lies in RAM: the most, the likely and the least.
    """

    split: bool = False
    spread: bool = False
    leaves_experts: bool = False
    left_empty_mib: tuple[int, ...] = read_by(minimum=0, default=(0, 0, 0))


class PaceRules(Stated):
    """The properties of a program's code that decide how fast it computes.

    - `replays_graphs`: on a GPU a step is replayed as one graph, not llama.cpp's.
    - `lean_is_eager`: with its option `lean` there are no graphs, and Python launches each
      operation.
    - `launches_layers`: Python launches each operation.
    - `multiplies_rows`: built without llama.cpp's kernels that compute blocks of a product.
    - `default_threads`: the most threads on a processor by default; None for all cores.
    - `unknown`: why no pace of the program is told, as a clause; empty where one is.
      `unknown_in_part`: the same where only a part of a component has room on the GPU.
    - `backend_on_intel`: the backend of all its builds for Intel's GPUs; None where builds differ.
    """

    replays_graphs: bool = False
    lean_is_eager: bool = False
    launches_layers: bool = False
    multiplies_rows: bool = False
    unknown: str = ""
    unknown_in_part: str = ""
    backend_on_intel: str | None = None
    default_threads: int | None = _COUNT


class Finetuning(Stated):
    """The way in which a program trains a model.

    - `trainer`: the command to type.
    - `trainer_layers`: the layers that it trains by default; None for all.
    - `commands`: by method; `options`: by device, or by the part left out.
    - `elsewhere`: by modality, the tool that trains models which these commands do not.
    - `packages`: by method or optimizer.
    - `wide_copy`: what to do where the published weights are in a type that is not quantized again.
    """

    trainer: str = ""
    trainer_layers: int | None = _COUNT
    methods: tuple[str, ...] = read_by(choices=FINETUNE_METHODS, default=())
    contexts: tuple[int, ...] = ()
    commands: Mapping[str, str] = {}
    options: Mapping[str, str] = {}
    elsewhere: Mapping[str, str] = {}
    packages: Mapping[str, str] = {}
    wide_copy: str = ""


class ClusterSplit(Stated):
    """A way in which a program divides a model over several machines.

    Triples are the most, the likely and the least.

    - `hop_seconds`: of layers: the time from one machine to the next, for each token.
    - `undivided`, `undivided_dense`: of tensors: the share of a token's time that does not shrink,
      for a mixture of experts and for a dense model.
    - `exchange_grows`: an exchange takes longer with each further machine; else all are joined to
      all.
    - `users_gain`: how many times the tokens of one machine two of them give many users, and each
      further doubling again; empty where that is not known.
    - `divides`: what of the model each machine gets an equal part of, so that their number divides
      it.
    - `unlike`: the machines may differ. `by_room`: each gets layers in proportion to its free
      memory, else all get as many.
    - `main_first`: the main machine has the first layers, else the last ones.
    - `before`: lines to type first; `others`: the line on each other machine; `main`: the line on
      the main one. {command} is the program's usual line for one machine.
    """

    hop_seconds: tuple[float, ...] = ()
    undivided: tuple[float, ...] = ()
    undivided_dense: tuple[float, ...] = ()
    exchange_grows: bool = False
    users_gain: tuple[float, ...] = ()
    divides: tuple[str, ...] = read_by(
        choices=("heads", "kv_heads", "width"), default=()
    )
    unlike: bool = False
    by_room: bool = False
    main_first: bool = False
    before: tuple[str, ...] = ()
    others: str = ""
    main: str = ""
    source: str


class Clustering(Stated):
    """How a program runs one model on several machines.

    - `splits`: the ways to divide it, by `layers` or `tensor`, the preferred first.
    - `most`: the most machines.
    - `whole_files`: each machine downloads all files.
    - `alike`: what must be the same on all machines, as a clause.
    - `installation`: the lines that install it there, where the usual build has not what joins
      machines.
    - `port`: the port on which machines meet, {port} in lines; 0 where no line names it.
    - `most_share`: the most that it takes of the RAM of a machine whose GPU shares it.
    """

    splits: Mapping[str, ClusterSplit] = read_by(name="split", default={})
    most: int = _COUNT_OR_ZERO
    whole_files: bool = False
    alike: str = ""
    installation: tuple[str, ...] = ()
    port: int = _COUNT_OR_ZERO
    most_share: float = read_by(minimum=0.01, maximum=1.0, default=1.0)
