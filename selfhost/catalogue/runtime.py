"""RuntimeSpec: one program that loads models; `specs/README.md` says what each key means."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from ..core.records import Stated, read_by, stated_part
from ..core.workload import KV_CACHE_TYPES, CacheTypes
from .runtime_parts import (
    Account,
    Batches,
    BuildPlatforms,
    CacheRule,
    CommandLines,
    Conversion,
    Finetuning,
    GpuSupport,
    Installation,
    KernelRule,
    LayerPlacement,
    LibraryTags,
    MemoryRules,
    ModelParts,
    PaceRules,
    QuantizationRule,
    RuntimeOption,
    Service,
    Versions,
)
from .spec_values import FORMATS, ID, MODALITIES, PLAIN_DTYPES

# the program in whose library models go by tags
LIBRARY_RUNTIME = "ollama"
# what a workload may load beside a model
COMPANIONS = ("draft", "mtp", "adapter")
# what a command has where the model wants it
BLANKS = (
    "remote_code", "steps", "rate", "cast", "tiled", "chunked", "result", "variant", "guidance",
)  # fmt: skip

# what `--runtime-option` asks for, by the names of the options
_Options = Mapping[str, str]

# behind the name of a quantization: weights of one scale, or bits of one
_VARIANT = r"\d+g|channel|[23]bit"


class RuntimeSpec(Stated):
    """One program that loads models: a file of `specs/runtimes/`."""

    id: str = read_by(form=ID)
    name: str
    library: str = ""
    account: Account = stated_part(Account)
    named_alone: bool = False
    formats: tuple[str, ...] = read_by(choices=FORMATS)
    modalities: tuple[str, ...] = read_by(choices=MODALITIES)
    text_part: Mapping[str, tuple[str, ...]] = {}
    # by the id of the model
    parts: Mapping[str, ModelParts] = {}
    quantizations: Mapping[str, QuantizationRule] = read_by(
        name="quantization", default={}
    )
    casts: tuple[str, ...] = read_by(choices=PLAIN_DTYPES, default=())
    kv_cache_types: tuple[str, ...] = read_by(choices=KV_CACHE_TYPES, default=())
    # keys and values may have a type each
    kv_cache_pairs: bool = False
    cache_rules: Mapping[str, CacheRule] = read_by(name="kv_cache", default={})
    named_options: Mapping[str, RuntimeOption] = read_by(name="option", default={})
    companions: tuple[str, ...] = read_by(choices=COMPANIONS, default=())
    unserved: Mapping[str, str] = {}
    store: str
    service: Service | None = None
    conversion: Conversion | None = None
    sources: Mapping[str, str] = {}
    platforms: BuildPlatforms
    versions: Versions = stated_part(Versions)
    gpus: GpuSupport = stated_part(GpuSupport)
    installation: Installation = stated_part(Installation)
    command_lines: CommandLines = stated_part(CommandLines)
    library_tags: LibraryTags = stated_part(LibraryTags)
    memory: MemoryRules = stated_part(MemoryRules)
    batches: Batches = stated_part(Batches)
    layers: LayerPlacement = stated_part(LayerPlacement)
    pace: PaceRules = stated_part(PaceRules)
    finetuning: Finetuning = stated_part(Finetuning)

    def settings_of(self, options: _Options) -> dict[str, str]:
        """What the options that are asked for set, by what they change."""
        settings = {}
        for name, option in self.named_options.items():
            # of two that change the same the first counts
            if name in options and option.changes not in settings:
                settings[option.changes] = option.to or options[name]
        return settings

    def uncounted_under(self, options: _Options) -> dict[str, str]:
        """Why memory is not computed under options that are asked for, by their `NAME=VALUE`."""
        reasons = {}
        for name, value in options.items():
            option = self.named_options.get(name)
            if option is not None and value in option.uncounted:
                reasons[f"{name}={value}"] = option.uncounted[value]
        return reasons

    def keeps_cache_in(self, kv_cache_type: str) -> bool:
        """Whether the program keeps a cache of that type, or of those types of keys and values."""
        types = CacheTypes.of(kv_cache_type)
        if types.differ and not self.kv_cache_pairs:
            return False
        kept = ("f16", *self.kv_cache_types)
        return types.keys in kept and types.values in kept

    def crashing_sets(
        self, instruction_sets: Collection[str] | None
    ) -> tuple[str, ...]:
        """The instruction sets of a processor on which the program may crash; None: its sets are
        not known.
        """
        known = instruction_sets or ()
        crashing = self.platforms.crashes_with_sets
        return tuple(name for name in crashing if name in known)

    def rule_of(self, quantization: str | None) -> QuantizationRule | None:
        """The rule for a quantization, whatever the size of its groups; None for a stored type."""
        name = quantization or ""
        while name not in self.quantizations:
            name, _, variant = name.rpartition("-")
            is_variant = re.fullmatch(_VARIANT, variant)
            if not name or not is_variant:
                return None
        return self.quantizations[name]

    def capability_under(self, rules: Sequence[KernelRule]) -> str | None:
        """The least compute capability of an NVIDIA GPU that runs it under these rules, too."""
        needed = []
        for rule in (self.gpus, *rules):
            if rule.compute_capability is not None:
                needed.append(rule.compute_capability)
        return max(needed, key=_capability_number, default=None)

    def command_of(self, family: str | None, main_use: str) -> str:
        """The command for models of that family, or of that main use, or for any."""
        commands = self.command_lines
        for name in (family or "", main_use):
            if name in commands.by_use:
                return commands.by_use[name]
        return commands.default

    def quantization_called(self, text: str) -> str | None:
        """The quantization that people call so with this program: `4bit` is nf4 or awq."""
        spaced = text.lower().replace("_", " ")
        typed = "-".join(spaced.split())
        for name, rule in self.quantizations.items():
            if typed == name or typed in rule.also:
                return name
        return None


def _capability_number(capability: str) -> list[int]:
    """`12.0` as numbers that compare: 12.0 is above 8.9."""
    parts = capability.split(".")
    return list(map(int, parts))
