"""RuntimeSpec: one program that loads models; `specs/README.md` says what each key means."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from ..core.records import Stated, read_by
from ..core.templates import fill
from ..core.workload import FINETUNE_METHODS, KV_CACHE_TYPES
from .spec import Denoising
from .spec_values import FORMATS, ID, MODALITIES, PLAIN_DTYPES

# what an option of a program may change: see `RuntimeOption`
CHANGED_BY_OPTIONS = (
    "projector", "micro_batch_tokens", "batch_tokens", "memory_share", "sequences_sampled",
    "gpu_layers", "cpu_expert_layers", "picture_tokens",
)  # fmt: skip
# the program in whose library models go by tags
LIBRARY_RUNTIME = "ollama"
# what a workload may load beside a model
COMPANIONS = ("draft", "mtp", "adapter")
# what a command has where the model wants it
BLANKS = (
    "remote_code", "steps", "rate", "cast", "tiled", "chunked", "result", "variant", "guidance",
)  # fmt: skip


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
    """An option of one program by which it takes another amount, as `--runtime-option` names it."""

    line: str
    changes: str = read_by(choices=CHANGED_BY_OPTIONS)
    to: str = ""
    least: float = 1.0
    most: float = 1.0
    source: str

    def takes(self, text: str) -> bool:
        """Whether it can be set to that."""
        if self.to:
            return text == "yes"
        form = r"[0-9]{1,9}" if self.most > 1 else r"[01](\.[0-9]{1,9})?"
        return bool(re.fullmatch(form, text)) and self.least <= float(text) <= self.most


class AutomaticBatch(Stated):
    """Tokens of a batch that one program takes by itself above a context of so many tokens, where
    what it takes the model for is at most `most_percent` of the free memory, and `more_bytes`
    beside it at most `together_percent`.
    """

    tokens: int = read_by(minimum=1)
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
    bytes: Mapping[str, int] = read_by(minimum=1, default={})


class ModelParts(Stated):
    """The files from which a program loads one model, and the buffers it reserves."""

    quantizations: tuple[str, ...]
    options: str = ""
    denoise_bytes: int
    decode_bytes: int
    buffers_like: str = ""
    denoising: Denoising | None = read_by(kind=Denoising, default=None)
    files: tuple[ComponentFile, ...] = read_by(kind=ComponentFile)

    def words(self, quantization: str) -> str:
        """The options of the command that take them."""
        named = (f"{each.option} models/{each.file}" for each in self.files)
        line = " ".join((*named, self.options))
        return fill(line, {"quantization": quantization}, keep_unknown=True)


class Service(Stated):
    """How a runtime serves from a container or a service."""

    image: str
    images: Mapping[str, str] = {}
    vendor: str = ""
    program: str
    listen: str = ""
    starts_nothing: bool = False
    fetch: str = ""
    port: int = read_by(minimum=1)
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


class RuntimeSpec(Stated):
    """One program that loads models: a file of `specs/runtimes/`."""

    id: str = read_by(form=ID)
    name: str
    library: str = ""
    account: Account = read_by(kind=Account, default=Account())
    tags_of: tuple[str, ...] = ()
    named_alone: bool = False
    formats: tuple[str, ...] = read_by(choices=FORMATS)
    modalities: tuple[str, ...] = read_by(choices=MODALITIES)
    text_part: Mapping[str, tuple[str, ...]] = {}
    # by the id of the model
    parts: Mapping[str, ModelParts] = read_by(kind=ModelParts, default={})
    quantizations: Mapping[str, QuantizationRule] = read_by(
        name="quantization", kind=QuantizationRule, default={}
    )
    casts: tuple[str, ...] = read_by(choices=PLAIN_DTYPES, default=())
    kv_cache_types: tuple[str, ...] = read_by(choices=KV_CACHE_TYPES, default=())
    cache_rules: Mapping[str, CacheRule] = read_by(
        name="kv_cache", kind=CacheRule, default={}
    )
    named_options: Mapping[str, RuntimeOption] = read_by(
        name="option", kind=RuntimeOption, default={}
    )
    companions: tuple[str, ...] = read_by(choices=COMPANIONS, default=())
    minimum_versions: Mapping[str, str] = {}
    last_versions: Mapping[str, str] = {}
    minimum_builds: Mapping[str, str] = {}
    unserved: Mapping[str, str] = {}
    systems: tuple[str, ...]
    elsewhere: str | None = None
    builds_from_source: tuple[str, ...] = ()
    source_build: str = ""
    big_endian_systems: tuple[str, ...] = ()
    instruction_sets: Mapping[str, tuple[str, ...]] = {}
    recommended_instruction_sets: Mapping[str, tuple[str, ...]] = {}
    gpu_only: bool = False
    on_cpu: str = ""
    cpu_only: bool = False
    no_gpu_systems: tuple[str, ...] = ()
    compute_capability: str | None = None
    shared_compute_capability: str | None = None
    amd_gpus: tuple[str, ...] = ()
    shared_gpus: Mapping[str, tuple[str, ...]] = {}
    amd_gpus_as: Mapping[str, tuple[str, ...]] = {}
    on_shared_gpu: tuple[str, ...] = ()
    store: str
    present: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    install: Mapping[str, tuple[str, ...]] = {}
    install_needs: str = ""
    install_first: Mapping[str, str] = {}
    packages: Mapping[str, str] = {}
    builds: str = ""
    token_variable: str = ""
    service: Service | None = read_by(kind=Service, default=None)
    command: str = ""
    commands: Mapping[str, str] = {}
    offload_commands: Mapping[str, str] = {}
    conversion: Conversion | None = read_by(kind=Conversion, default=None)
    tags: Mapping[str, str] = {}
    tag_bytes: Mapping[str, int] = read_by(minimum=1, default={})
    unpacked_tags: tuple[str, ...] = ()
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
    crashes_with_sets: tuple[str, ...] = ()
    crash_remedy: str = ""
    splits_layers: bool = False
    spreads_layers: bool = False
    leaves_experts: bool = False
    reserves_by_device: bool = False
    replays_graphs: bool = False
    launches_layers: bool = False
    queues_requests: bool = False
    overhead_low_bytes: int = 0
    overhead_high_bytes: int = 0
    overhead_how: str = read_by(
        choices=("measured", "stated", "assumed"), default="assumed"
    )
    overhead_source: str = ""
    default_context_tokens: int | None = read_by(minimum=1, default=None)
    longer_context_gpu_bytes: int | None = read_by(minimum=1, default=None)
    cache_step_tokens: int = read_by(minimum=1, default=1)
    maps_files: bool = False
    most_sequences: int | None = read_by(minimum=1, default=None)
    default_threads: int | None = read_by(minimum=1, default=None)
    multiplies_rows: bool = False
    keeps_read_text: bool = False
    flash_attention: bool = True
    cuda_attention: tuple[str, ...] = ()
    logits_rows: str = read_by(choices=("sequence", "batch"), default="sequence")
    automatic_batches: tuple[AutomaticBatch, ...] = read_by(
        name="automatic_batch", kind=AutomaticBatch, default=()
    )
    automatic_batches_since: str = ""
    embedding_batch_tokens: int | None = read_by(minimum=1, default=None)
    batches_beside_ram: tuple[int, ...] = read_by(minimum=1, default=())
    whole_windows: bool = False
    window_shares: Mapping[str, float] = read_by(minimum=0.01, maximum=1.0, default={})
    state_share: float = read_by(minimum=0.0, maximum=10.0, default=0.0)
    context_checkpoints: int = read_by(minimum=1, default=0)
    kept_checkpoints: int = read_by(minimum=1, default=0)
    on_accelerators: Mapping[str, float] = read_by(
        minimum=0.01, maximum=1.0, default={}
    )
    preferred_from_accelerators: int = read_by(minimum=1, default=0)
    trainer: str = ""
    trainer_layers: int | None = read_by(minimum=1, default=None)
    finetune_methods: tuple[str, ...] = read_by(choices=FINETUNE_METHODS, default=())
    finetune_contexts: tuple[int, ...] = ()
    finetune_commands: Mapping[str, str] = {}
    finetune_options: Mapping[str, str] = {}
    finetune_elsewhere: Mapping[str, str] = {}
    finetune_packages: Mapping[str, str] = {}
    sources: Mapping[str, str] = {}

    def settings_of(self, options: Mapping[str, str]) -> dict[str, str]:
        """What those of its options that are asked for make of what they change."""
        rules = [
            (key, rule) for key, rule in self.named_options.items() if key in options
        ]
        return {rule.changes: rule.to or options[key] for key, rule in reversed(rules)}

    def crashing_sets(
        self, instruction_sets: Collection[str] | None
    ) -> tuple[str, ...]:
        """Those of a processor's instruction sets on which it may crash."""
        return tuple(
            [
                name
                for name in self.crashes_with_sets
                if name in (instruction_sets or ())
            ]
        )

    def rule_of(self, quantization: str | None) -> QuantizationRule | None:
        """The rule for a quantization, whatever the size of its groups; None for a stored type."""
        name = quantization or ""
        while name and name not in self.quantizations:
            shorter = (
                re.sub(r"-(?:\d+g|channel|[23]bit)$", "", name) if "-" in name else name
            )
            name = shorter if shorter != name else ""
        return self.quantizations.get(name)

    def capability_under(self, rules: Sequence[KernelRule]) -> str | None:
        """The least compute capability of an NVIDIA GPU that runs it under these rules, too."""
        needed = [rule.compute_capability for rule in (self, *rules)]
        return max(
            filter(None, needed),
            key=lambda text: [*map(int, text.split("."))],
            default=None,
        )

    def command_of(self, family: str | None, uses: Sequence[str] | None) -> str:
        """The command for models of that family, or of that main use, or for any."""
        by_use = self.commands.get(uses[0]) if uses else None
        return self.commands.get(family or "") or by_use or self.command

    def quantization_called(self, text: str) -> str | None:
        """The quantization that people call so with this program: `4bit` is nf4 or awq."""
        typed, rules = (
            "-".join(text.lower().replace("_", " ").split()),
            self.quantizations.items(),
        )
        return next(
            (name for name, rule in rules if typed == name or typed in rule.also), None
        )
