"""RuntimeSpec: what one program that loads models takes, runs on and is started with, and its
reader.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ..core.records import Stated, pattern, read_by
from ..core.tomlfile import Document
from ..core.workload import FINETUNE_METHODS, KV_CACHE_TYPES
from .architecture import Architecture
from .quantization_names import FORMATS, PLAIN_DTYPES
from .spec import Denoising
from .spec_values import ID, MODALITIES, schema_is_read

HOW = ("exact", "computed", "measured", "stated", "assumed")
# what an option of a program may change: see `RuntimeOption`
CHANGED_BY_OPTIONS = (
    "projector", "micro_batch_tokens", "batch_tokens", "memory_share", "sequences_sampled",
    "gpu_layers", "cpu_expert_layers", "picture_tokens",
)  # fmt: skip
# what a workload may load beside a model
COMPANIONS = ("draft", "mtp", "adapter")
# what a command has where the model wants it
BLANKS = (
    "remote_code", "steps", "rate", "cast", "tiled", "chunked", "result", "variant", "guidance",
)  # fmt: skip
# what a name says of its groups, which no rule depends on
_GROUPS = pattern(r"-(?:\d+g|channel|[23]bit)$")
_WHOLE, _SHARE = pattern(r"[0-9]{1,9}"), pattern(r"[01](\.[0-9]{1,9})?")
# kinds of attention whose heads keep keys and values
_WITH_HEADS = ("full", "sliding")


class QuantizationRule(Stated):
    """How one program takes one quantization of safetensors or MLX files.

    `also`: what people type for it with this program (`4bit`); `at_load`: it downloads the 16-bit
    files and quantizes them itself; `gpu_only`: there is no CPU kernel; `compute_capability`: the
    least of an NVIDIA GPU; `vendors`: GPUs it has kernels for; `launched_percent`: of a
    program that launches layers from Python, what launching one takes beside one in 16 bits, least,
    likely, most; `needs`: packages beside the program; `command` and `offload_commands` the lines
    that load it right, as those of `RuntimeSpec`.
    """

    also: tuple[str, ...] = ()
    at_load: bool = False
    gpu_only: bool = False
    compute_capability: str | None = None
    vendors: tuple[str, ...] = ()
    launched_percent: tuple[int, ...] = read_by(minimum=10, default=(100,) * 3)
    needs: str = ""
    command: str = ""
    offload_commands: Mapping[str, str] = {}
    source: str

    # what it is a rule of, as sentences say; what asks for it, and whether nothing asked will do
    subject = "that quantization"
    asked_by = "quantization"
    has_plain_default = False


class CacheRule(Stated):
    """GPUs on which one program keeps a KV cache in one type.

    `compute_capability`: the least of an NVIDIA GPU; `by_heads_capability`: the same where heads
    are of one of `head_lengths`, and the model is none of the architecture rows `not_by_heads`, and
    sees no pictures with one of `not_by_heads_seeing`; `vendors`: GPUs it has kernels for. Latent
    attention has no heads of its own to go by. `refused`: architecture rows, with why.
    """

    compute_capability: str | None = None
    by_heads_capability: str | None = None
    head_lengths: tuple[int, ...] = read_by(minimum=1, default=())
    not_by_heads: tuple[str, ...] = ()
    not_by_heads_seeing: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    source: str

    # as of `QuantizationRule`; unasked, the cache is in the model's type, which every GPU of the
    # program takes
    subject = "such a KV cache"
    asked_by = "kv_cache_type"
    has_plain_default = True

    def for_model(self, architecture: Architecture | None, *, sees: bool) -> CacheRule:
        """The rule with the compute capability that holds for this model."""
        if architecture is None or self.by_heads_capability is None:
            return self
        row, groups = architecture.row, architecture.attention
        left_out = self.not_by_heads + (self.not_by_heads_seeing if sees else ())
        by_heads = row not in left_out and all(
            group.kind in _WITH_HEADS
            and group.key_length == group.value_length
            and group.key_length in self.head_lengths
            for group in groups
        )
        least = self.by_heads_capability if by_heads else self.compute_capability
        return self.replace(compute_capability=least, by_heads_capability=None)


# what says on which GPUs a program has kernels for something
KernelRule = QuantizationRule | CacheRule


class RuntimeOption(Stated):
    """An option of one program by which it takes another amount, as `--runtime-option` names it.

    `line`: as it is typed, with `{value}`. `changes`: what of the need; `to`: what that becomes by
    an option that takes no value, and that `yes` asks for; else a number from `least` to `most`, a
    whole one where that is above 1.
    """

    line: str
    changes: str = read_by(required=True, choices=CHANGED_BY_OPTIONS)
    to: str = ""
    least: float = 1.0
    most: float = 1.0
    source: str

    def takes(self, text: str) -> bool:
        """Whether it can be set to that."""
        if self.to:
            return text == "yes"
        is_number = (_WHOLE if self.most > 1 else _SHARE).fullmatch(text)
        return is_number is not None and self.least <= float(text) <= self.most


class Conversion(Stated):
    """How the published weights become a file that the program loads, line by line.

    `look_first`: where such files of a model `{name}` usually are, if anybody publishes them, which
    nothing has verified. `format`: of what is made, named `file` by `{model}` and `{quantization}`.
    `tools` gets the converter; `download` the `{repository}` into the folder `{model}`, "" where
    the converter does; `convert` writes `{file}` as `{type}`, with `{remote_code}` where the model
    brings its own; `types` are what it writes, by quantization; `quantize` makes `{file}` of
    `{source}` in any other `{quantization}`, which is first written in the quantization `through`;
    `projector` writes `{projector}`, the encoder of a model that sees. `takes_quantized` is False
    where published weights of fewer than 16 bits are not converted.
    """

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
    """One file of a model that comes in several: the component of the spec that it holds, the
    option of the command that takes it, and where it lies. `type` is how it is stored; empty for
    the quantization asked for, which `{quantization}` of `file` stands for. `bytes`: sizes that
    are listed somewhere, by type.
    """

    component: str
    option: str
    repository: str
    file: str
    type: str = ""
    bytes: Mapping[str, int] = read_by(minimum=1, default={})

    def file_in(self, quantization: str) -> str:
        """The file in its repository, in that quantization."""
        return self.file.replace("{quantization}", quantization)


class ModelParts(Stated):
    """The files from which a program loads one model, by its id: `quantizations` that they come in,
    best first; `options` of the command, beside those of the files. `denoise_bytes` and
    `decode_bytes` are the buffers that the program reserves for the size in `options`: for a pass
    of the denoiser, and for one tile of the decoder. They are never held at once. `buffers_like`:
    they were not measured, but follow from those of that model. `denoising`: of the clip that
    `options` make, where that is another than the one of the model's spec.
    """

    model: str = read_by(name="model", form=ID, required=True)
    quantizations: tuple[str, ...] = read_by(required=True)
    options: str = ""
    denoise_bytes: int = read_by(required=True)
    decode_bytes: int = read_by(required=True)
    buffers_like: str = ""
    denoising: Denoising | None = read_by(kind=Denoising, default=None)
    files: tuple[ComponentFile, ...] = read_by(kind=ComponentFile, required=True)

    def words(self, quantization: str) -> str:
        """The options of the command that take them."""
        named = (f"{each.option} models/{each.file_in(quantization)}" for each in self.files)
        return " ".join((*named, self.options))


class Service(Stated):
    """How a runtime serves from a container or a service: `[service]` of a file in
    `specs/runtimes/`.

    `image` is the one that the runtime's publisher offers, and `images` those by vendor of an
    accelerator; `vendor` is whose accelerators it takes where none is named, "" where it takes
    none unless told. `program` are the words of the runtime's command that the image starts by
    itself, and `listen` what makes it reachable. `starts_nothing`: the image starts no program by
    itself, so that its arguments begin with `program`. `fetch` is the line that downloads `{name}`
    once it runs, "" where the command does.

    `port` and `health`: where it answers 200 once the model can be asked; `port_setting` moves it
    to `{port}`, as an option or as `NAME=value` of the environment. `store`: the folder of its
    downloads. `maps_files`: it maps the weights of its files instead of reading them.
    `mapped_program_bytes`: how much of its overhead are mapped files of the program itself.
    `prompt_cache_bytes`: how much of earlier prompts it keeps in RAM unless told; 0 for none.
    `shared_memory_bytes`: what several accelerators take of `/dev/shm`. `accelerator_host_bytes`:
    what libraries of an accelerator take of the RAM, where the overhead has it not;
    `host_limit_bytes`: what the publisher's example for one accelerator limits the RAM to, where
    the overhead is assumed. `environment` is set always. `bounds`: what bounds each growth, by its
    name, with `{mib}`, `{parallel}` or `{context_checkpoints}` to fill in; `NAME=value` is an
    environment variable, all else an option.
    """

    image: str
    images: Mapping[str, str] = {}
    vendor: str = ""
    program: str
    listen: str = ""
    starts_nothing: bool = False
    fetch: str = ""
    port: int = read_by(minimum=1, required=True)
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
    bounds: Mapping[str, str] = {}
    source: str


class Account(Stated):
    """The rule that needs/python.py applies. Three numbers are the least, likely and most bytes.

    A prompt takes (`width` × the model's width + `inner` × the longest row inside a layer) numbers
    for each token of a piece of `prompt_tokens` (0: the whole prompt), and `waiting_bytes` beside
    them; `score_bytes` for each score where attention stores them, which with `fused_heads` is so
    for heads of any other length; for each number of a recurrent state and token the
    `scan_bytes` of its kind; `mixture_bytes` in a model of experts; `mask_bytes` for each pair of
    tokens of a prompt, where a layer has a window. The ends are `low_share` and
    `high_share` of the sum, and `high_bytes` more. The program takes `program_bytes` on a CPU
    (none: the overhead, which else is that of a GPU build), and `token_bytes` for each token of the
    vocabulary. Of `waiting_bytes` no more than a pass takes, or with `waits_by_layer` a pass of
    each layer.

    `loads_as`: "stored", "config" (the type of config.json), "sixteen" (that, but 16 bits for 32).
    `windows`: layers with a window keep all tokens ("kept"), the window ("rotated"), or pages of it
    ("paged"). `typed_states`: inputs of convolutions are in the type of the model;
    `narrow_states`: kinds of recurrent layers whose states are so, too. `maps_files`: a table of
    tokens is read by rows. `widened`: types without a kernel on a CPU, `widened_always` on a GPU
    either. `divides_layers`: a server of GPUs that divides layers over them, with the padding,
    tables and room for adapters of needs/servers.py; `ignored_quantizers`: whose weights it
    does not apply. `speech_beams`: of a search by default, for speech.
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
    ignored_quantizers: tuple[str, ...] = ()
    speech_beams: int = 1
    source: str = ""


class RuntimeSpec(Stated):
    """One program that loads models: the keys of `specs/runtimes/<id>.toml`.

    A text that is a line to type has places in braces, which `advice/commands.py` fills in:
    `{repository}`, `{quantization}`, `{file}` (on this machine), `{file_name}`, `{context_tokens}`
    (per sequence), `{total_context_tokens}`, `{parallel}`, `{kv_cache_type}`, `{tag}`, `{draft}` (a
    repository, with `:{quantization}` for GGUF), `{adapter}` (a file), `{adapter_folder}`,
    `{adapter_rank}` (the least that vLLM takes and that holds it), and those that a key below
    names. A key of systems takes `linux-x86_64`, `macos-aarch64` and so on; "by row" is by the row
    of specs/common/architectures.toml, "by family" by that of the model.
    """

    # ---- what it is

    id: str = read_by(form=ID, required=True)
    name: str
    # the runtime whose code it computes with, whose rules for memory and pace then hold
    library: str = ""
    account: Account = read_by(kind=Account, default=Account())
    # runtimes whose files some tags of its own hold, which it computes with their code
    tags_of: tuple[str, ...] = ()
    # it loads no models but those whose spec names it under `runtimes`
    named_alone: bool = False
    # in order of preference
    formats: tuple[str, ...] = read_by(required=True, choices=FORMATS)
    modalities: tuple[str, ...] = read_by(required=True, choices=MODALITIES)
    # by row, or `*`: the families (none: all) of models that see, of which it runs the text alone
    text_part: Mapping[str, tuple[str, ...]] = {}
    # models that it loads from several files, and then no others; they fill `{parts}`
    parts: tuple[ModelParts, ...] = read_by(kind=ModelParts, default=())
    # beside a model's own stored type, by name
    quantizations: Mapping[str, QuantizationRule] = read_by(
        name="quantization", kind=QuantizationRule, default={}
    )
    # types that it loads files in float32 in, if told by `{cast}` of `blanks`
    casts: tuple[str, ...] = read_by(choices=PLAIN_DTYPES, default=())
    # those that can be asked for, and which GPUs take them; one without a rule is taken by all
    kv_cache_types: tuple[str, ...] = read_by(choices=KV_CACHE_TYPES, default=())
    cache_rules: Mapping[str, CacheRule] = read_by(name="kv_cache", kind=CacheRule, default={})
    # options by which it takes another amount, beside those that a workload has fields for
    named_options: Mapping[str, RuntimeOption] = read_by(
        name="option", kind=RuntimeOption, default={}
    )
    # what it can load beside a model
    companions: tuple[str, ...] = read_by(choices=COMPANIONS, default=())
    # by row: the first release that knows it, the last that loads it, a build that knew it
    minimum_versions: Mapping[str, str] = {}
    last_versions: Mapping[str, str] = {}
    minimum_builds: Mapping[str, str] = {}
    # why it gives no answer with a model whose files it loads: by main use or row
    unserved: Mapping[str, str] = {}

    # ---- where it runs

    systems: tuple[str, ...] = read_by(required=True)
    # how it runs on systems that it is not judged on, as a clause
    elsewhere: str | None = None
    # systems without a published build, and where it is described how to build it
    builds_from_source: tuple[str, ...] = ()
    source_build: str = ""
    # those whose build loads big-endian GGUF files alone; published ones are little-endian
    big_endian_systems: tuple[str, ...] = ()
    # by architecture of the processor: without these its shipped build crashes, or is slow
    instruction_sets: Mapping[str, tuple[str, ...]] = {}
    recommended_instruction_sets: Mapping[str, tuple[str, ...]] = {}
    # as it is judged it runs on a GPU alone; how it runs on a CPU all the same, as a sentence
    gpu_only: bool = False
    on_cpu: str = ""
    # it computes on the processor, whatever the machine has; on these systems
    cpu_only: bool = False
    no_gpu_systems: tuple[str, ...] = ()
    # the least of an NVIDIA GPU, and of one that shares the RAM, as a Jetson's, where that is more
    compute_capability: str | None = None
    shared_compute_capability: str | None = None
    # the GPUs of AMD's that its builds are made for, and by maker those that share the RAM: regular
    # expressions of whole words of their names, in small letters; empty: not told
    amd_gpus: tuple[str, ...] = ()
    shared_gpus: Mapping[str, tuple[str, ...]] = {}
    # others, by the instruction set whose kernels they run on Linux (HSA_OVERRIDE_GFX_VERSION)
    amd_gpus_as: Mapping[str, tuple[str, ...]] = {}
    # makers of the GPUs sharing the RAM that its builds compute on; of others that is not known
    on_shared_gpu: tuple[str, ...] = ()

    # ---- how it is got, and seen to be there

    # the disk place (`Disk.purpose`) that its downloads land in
    store: str
    # command names, and Python distributions, that show it is installed
    present: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    # the lines that get it: by system, SYSTEM-VENDOR or SYSTEM-accelerator, or for `any`
    install: Mapping[str, tuple[str, ...]] = {}
    # what must be there first
    install_needs: str = ""
    # the line that comes first, by vendor of the accelerator, or by `below-7.5` or
    # `SYSTEM-below-7.5` for an NVIDIA GPU below that compute capability
    install_first: Mapping[str, str] = {}
    # packages of PyPI that `install` does not get: by family, or by what a line says
    packages: Mapping[str, str] = {}
    # where releases can be downloaded
    builds: str = ""
    # the first release that takes the commands as they stand here, whatever the model
    command_version: str | None = None
    # the environment variable from which it reads the token of a login
    token_variable: str = ""
    # how it runs in a container; None where its publisher offers no image
    service: Service | None = read_by(kind=Service, default=None)

    # ---- the lines to type

    # downloads and runs a model; by family or main use where that takes another line
    command: str = read_by(empty=True, default="")
    commands: Mapping[str, str] = {}
    # the same where no tag names the model, where `{file_name}` holds no tag, for one `{file}`
    # here, and of an embedder by its tag, whose texts are longer than a batch
    repository_command: str = ""
    named_command: str = ""
    file_command: str = ""
    embedding_command: str = ""
    # the same by the way of `needs.records.Offloaded` in which parts come to an accelerator in turn
    offload_commands: Mapping[str, str] = {}
    # how to make a file that nobody published
    conversion: Conversion | None = read_by(kind=Conversion, default=None)
    # by its own name of a model: the quantization that it loads, where selfhost takes another by
    # default, and bytes of the text model, where others make theirs otherwise
    tags: Mapping[str, str] = {}
    tag_bytes: Mapping[str, int] = read_by(minimum=1, default={})
    # its own names of models whose files are of before llama.cpp kept the latent alone
    unpacked_tags: tuple[str, ...] = ()
    # fills `{device}`: by vendor, `VENDOR-unified` for a GPU sharing the RAM, `host`, `several`
    devices: Mapping[str, str] = {}
    # fills `{input}`: by model, by first input and modality (`image-to-video`), or by modality
    inputs: Mapping[str, str] = {}
    # fills the blank of its name where that applies, "" elsewhere: `remote_code` is to be trusted,
    # `steps` (`{count}`) and `rate` (`{frames_per_second}`) are stated, `cast` is to another type,
    # results are `tiled` but in a stated way, feed-forwards `chunked`, a `result` has a size of its
    # own (`{height}`, …), `variant` and `guidance` as the next two keys say
    blanks: Mapping[str, str] = {}
    # by quantization: the repositories that hold files of their own for it
    variants: Mapping[str, tuple[str, ...]] = {}
    # the families that leave out a second pass unless asked for it
    guided_families: tuple[str, ...] = ()
    # where the workload departs from the program's default, by what it asks for: what is appended
    # to the command, and `NAME=value` for `serve`, the command that starts the server; a key in
    # neither is in `command`, or cannot be asked for
    options: Mapping[str, str] = {}
    settings: Mapping[str, str] = {}
    serve: str = ""
    # the variable that gives that server an address of its own, where one may run already
    server_address: str = ""
    # the path of OpenAI's API where the command starts a server, at the port of `service`
    serves_api: str = ""
    # the runtime whose command stands beside its own, where one line says it all
    shown_with: str = ""
    # instruction sets on which it may crash as it is installed, and what prevents that: in words,
    # and as the option that leaves weights as they lie in the file
    crashes_with_sets: tuple[str, ...] = ()
    crash_remedy: str = ""
    unpacked_option: str = ""

    # ---- accelerators

    # part of the layers can be in RAM; several accelerators get whole layers of text each; of a
    # mixture experts stay in RAM instead of whole layers
    splits_layers: bool = False
    spreads_layers: bool = False
    leaves_experts: bool = False
    # appended where several (`{devices}`) compute every layer together; "" where they take turns
    tensor_parallel_option: str = ""
    # keeps the model on the accelerator `{device}`, or on `{devices}`, of all that are there
    one_device_option: str = ""
    # has it take less memory of an accelerator than is counted, and compute slower; `{parallel}`
    lean_option: str = ""
    # it leaves free of a GPU what follows from the size of that, and fills the rest
    reserves_by_device: bool = False
    # on a GPU it replays a step as one graph, not llama.cpp's; Python launches each operation
    replays_graphs: bool = False
    launches_layers: bool = False

    # ---- memory and pace

    # what the program itself takes
    overhead_low_bytes: int = 0
    overhead_high_bytes: int = 0
    overhead_how: str = read_by(choices=HOW, default="assumed")
    overhead_source: str = read_by(empty=True, default="")
    # the context it takes unless told, and from what memory of all GPUs on a longer one
    default_context_tokens: int | None = read_by(minimum=1, default=None)
    longer_context_gpu_bytes: int | None = read_by(minimum=1, default=None)
    # tokens for which it makes room in the cache at a time
    cache_step_tokens: int = read_by(minimum=1, default=1)
    # it maps the files of weights, so that several processes share one copy
    maps_files: bool = False
    # how many it can serve at once; None where nothing bounds them but memory
    most_sequences: int | None = read_by(minimum=1, default=None)
    # the most threads on a processor unless its command says more; None: one on each core
    default_threads: int | None = read_by(minimum=1, default=None)
    # built without llama.cpp's kernels that compute blocks of a product: it multiplies row by row
    multiplies_rows: bool = False
    # it keeps keys and values of a text that an encoder read beside those of the answer
    keeps_read_text: bool = False

    # ---- programs that run llama.cpp's code

    # False where it is off unless asked for
    flash_attention: bool = True
    # for which tokens it reserves logits: the last of each sequence, or of a whole batch
    logits_rows: str = read_by(choices=("sequence", "batch"), default="sequence")
    # layers with a sliding window cache the whole context all the same; by row, that share of it
    whole_windows: bool = False
    window_shares: Mapping[str, float] = read_by(minimum=0.01, maximum=1.0, default={})
    # states of recurrent layers get so many times as much as keys and values; 0: what they need
    state_share: float = read_by(minimum=0.0, maximum=10.0, default=0.0)
    # how often it copies what a cache cannot be rolled back to (states, sliding windows) while it
    # reads one prompt, at most; and how many such copies a sequence keeps as more prompts follow
    context_checkpoints: int = read_by(minimum=1, default=0)
    kept_checkpoints: int = read_by(minimum=1, default=0)

    # ---- what a default may become on a machine (`judge/defaults.py`)

    # tried where accelerators hold all of a model, best first, each with the share it takes at most
    on_accelerators: Mapping[str, float] = read_by(minimum=0.01, maximum=1.0, default={})
    # from how many on it is taken before the usual one of the modality; 0: never
    preferred_from_accelerators: int = read_by(minimum=1, default=0)
    # what trains in it, where what that takes is not counted, and on how many of the last layers
    trainer: str = ""
    trainer_layers: int | None = read_by(minimum=1, default=None)
    # methods that are tried in turn (none: it does not train), and lengths in tokens with the last
    finetune_methods: tuple[str, ...] = read_by(choices=FINETUNE_METHODS, default=())
    finetune_contexts: tuple[int, ...] = ()

    # ---- the lines that train

    # by method, with `{lora_rank}`; DATASET is for the reader to fill in
    finetune_commands: Mapping[str, str] = {}
    # what an optimizer or a word of `devices` adds; `keeps_activations` switches checkpointing off;
    # `sharded` shares weights, gradients and optimizer out over `{devices}`, `sharded_METHOD` is
    # what a method wants beside it; `replicated` trains on `{devices}` that each hold all of it
    finetune_options: Mapping[str, str] = {}
    # by modality that the commands do not train: what to do instead, as a clause
    finetune_elsewhere: Mapping[str, str] = {}
    # by method or optimizer: what else it needs
    finetune_packages: Mapping[str, str] = {}

    # where all this is from
    sources: Mapping[str, str] = {}

    @property
    def computes_with(self) -> str:
        """The id of the runtime whose rules for memory and pace hold."""
        return self.library or self.id

    def setting(self, what: str, options: Mapping[str, str]) -> str | None:
        """What those of its options that are asked for make of that; None where none changes it."""
        for name, rule in self.named_options.items() if options else ():
            if name in options and rule.changes == what:
                return rule.to or options[name]
        return None

    def crashing_sets(self, instruction_sets: Collection[str] | None) -> tuple[str, ...]:
        """Those of a processor's instruction sets on which it may crash."""
        return tuple([name for name in self.crashes_with_sets if name in (instruction_sets or ())])

    def is_unpacked_on(self, instruction_sets: Collection[str] | None) -> bool:
        """Whether its command has `unpacked_option` there, which keeps it from a crash."""
        return bool(self.unpacked_option and self.crashing_sets(instruction_sets))

    def rule_of(self, quantization: str | None) -> QuantizationRule | None:
        """The rule for a quantization, whatever the size of its groups; None for a model's own
        stored type.
        """
        name = quantization or ""
        while name and name not in self.quantizations:
            shorter = _GROUPS.sub("", name) if "-" in name else name
            name = shorter if shorter != name else ""
        return self.quantizations.get(name)

    def capability_for(
        self, quantization: str | None, cache_rule: CacheRule | None = None
    ) -> str | None:
        """The least compute capability of an NVIDIA GPU on which it runs that quantization and
        keeps such a cache; None where none is needed.
        """
        needed = [
            kind.compute_capability
            for kind in (self, self.rule_of(quantization), cache_rule)
            if kind is not None and kind.compute_capability is not None
        ]
        return max(needed, key=lambda text: [int(part) for part in text.split(".")], default=None)

    def least_of(self, *, shares_ram: bool) -> str | None:
        """The least compute capability of an NVIDIA GPU that it computes on, of one that shares
        the RAM or not; None where none is needed.
        """
        return (shares_ram and self.shared_compute_capability) or self.compute_capability

    def command_of(self, family: str | None, uses: Sequence[str] | None) -> str:
        """The command for models of that family, or of that main use, or for any."""
        of_use = self.commands.get(uses[0]) if uses else None
        return self.commands.get(family or "") or of_use or self.command

    def quantization_called(self, text: str) -> str | None:
        """The quantization that people call so with this program: `4bit` is nf4 with
        transformers, awq with vLLM.
        """
        typed, rules = "-".join(text.lower().replace("_", " ").split()), self.quantizations.items()
        return next((name for name, rule in rules if typed == name or typed in rule.also), None)


def read_runtime_spec(document: Document) -> RuntimeSpec | None:
    """The runtime that `document` states; None if and only if `document.problems` says why not."""
    if not document.ok or not schema_is_read(root := document.root):
        return None
    values = root.fields(RuntimeSpec)
    root.close()
    return RuntimeSpec(**values) if document.ok else None
