"""RuntimeSpec: one program that loads models; `specs/runtimes.md` says what each key means."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from ..core.records import FrozenDict, Stated, Values, read_by
from ..core.workload import KV_CACHE_TYPES, CacheTypes, Workload
from .runtime_parts import (
    ONE_STREAM,
    Account,
    Batches,
    BuildPlatforms,
    CacheRule,
    Clustering,
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
    NamedDevice,
    PaceRules,
    QuantizationRule,
    RuntimeOption,
    Service,
    Versions,
)
from .spec_values import FORMATS, ID, MODALITIES, PLAIN_DTYPES

# values of `--runtime-option` by the name of the option
_Options = Mapping[str, str]

# a suffix of a quantization: the weights that share a scale, or the bits of a weight
_VARIANT = r"\d+g|channel|[23]bit|[\d.]+bpw"


class RuntimeSpec(Stated):
    """A program that loads models: a file of `specs/runtimes/`, or a table of
    `specs/common/programs.toml`.
    """

    id: str = read_by(form=ID)
    name: str
    library: str = ""
    account: Account = Account()
    named_alone: bool = False
    formats: tuple[str, ...] = read_by(choices=FORMATS)
    modalities: tuple[str, ...] = read_by(choices=MODALITIES)
    text_part: Mapping[str, tuple[str, ...]] = {}
    # keys: ids of models
    parts: Mapping[str, ModelParts] = {}
    quantizations: Mapping[str, QuantizationRule] = read_by(
        name="quantization", default={}
    )
    # the type that its users load, where that is another than the published one
    usual_quantization: str = ""
    casts: tuple[str, ...] = read_by(choices=PLAIN_DTYPES, default=())
    kv_cache_types: tuple[str, ...] = read_by(choices=KV_CACHE_TYPES, default=())
    # whether keys and values may have different types
    kv_cache_pairs: bool = False
    cache_rules: Mapping[str, CacheRule] = read_by(name="kv_cache", default={})
    named_options: Mapping[str, RuntimeOption] = read_by(name="option", default={})
    # tokens that a draft proposes at once unless told, by its kind: `draft` for another model,
    # `mtp` for the block of the model itself
    companions: Mapping[str, int] = read_by(minimum=1, default={})
    unserved: Mapping[str, str] = {}
    store: str
    service: Service | None = None
    conversion: Conversion | None = None
    sources: Mapping[str, str] = {}
    platforms: BuildPlatforms
    versions: Versions = Versions()
    gpus: GpuSupport = GpuSupport()
    installation: Installation = Installation()
    command_lines: CommandLines = CommandLines()
    library_tags: LibraryTags = LibraryTags()
    memory: MemoryRules = MemoryRules()
    batches: Batches = Batches()
    layers: LayerPlacement = LayerPlacement()
    pace: PaceRules = PaceRules()
    finetuning: Finetuning = Finetuning()
    clusters: Clustering = Clustering()

    @classmethod
    def _completed(cls, values: Values) -> Values:
        named = {}
        for name, option in values["named_options"].items():
            named[name] = option.replace(changes=option.changes or name)
        return {**values, "named_options": FrozenDict(named)}

    def settings_of(self, options: _Options) -> dict[str, str]:
        """The values that the requested options set, by the setting that they change. Of two
        options for one setting the first counts, or both with a comma between them where the second
        adds to the first.
        """
        settings: dict[str, str] = {}
        for name, option in self.named_options.items():
            if name not in options:
                continue
            value = option.to or options[name]
            before = settings.get(option.changes)
            if before is None:
                settings[option.changes] = value
            elif option.adds:
                settings[option.changes] = f"{before},{value}"
        return settings

    def contradiction_in(self, options: _Options) -> tuple[str, str] | None:
        """The names of two requested options that contradict each other; None for no such two."""
        for name, option in self.named_options.items():
            other = option.contradicts
            if name in options and other in options:
                return other, name
        return None

    def contexts_of(self, workload: Workload) -> int:
        """The number of contexts of the stated length: one for each sequence, or one that all of
        them share.
        """
        settings = self.settings_of(workload.runtime_options)
        if settings.get("cache_streams") == ONE_STREAM:
            return 1
        return workload.parallel

    def options_for(self, *settings: str) -> list[str]:
        """The names of the options that change one of these settings."""
        names = []
        for name, option in self.named_options.items():
            if option.changes in settings:
                names.append(name)
        return names

    def options_to(self, setting: str, value: str) -> list[str]:
        """The names of the options that may change the setting to that value."""
        names = []
        for name in self.options_for(setting):
            option = self.named_options[name]
            if value in (option.to, *option.choices):
                names.append(name)
        return names

    def uncounted_under(self, options: _Options) -> dict[str, str]:
        """The reasons why memory is not computed under requested options, by `NAME=VALUE` of the
        option.
        """
        reasons = {}
        for name, value in options.items():
            option = self.named_options.get(name)
            if option is None:
                continue
            if value in option.uncounted:
                reasons[f"{name}={value}"] = option.uncounted[value]
        return reasons

    def devices_under(self, options: _Options) -> tuple[NamedDevice, ...] | None:
        """The devices that the requested options name, () for the CPU alone; None where they name
        no device.
        """
        for name in self.options_for("device"):
            if name in options:
                return self.named_options[name].devices_named(options[name])
        return None

    def makers_under(self, options: _Options) -> tuple[str, ...] | None:
        """The makers whose GPUs the devices may be that the requested options name; None where they
        name no device.
        """
        devices = self.devices_under(options)
        if devices is None:
            return None
        if not devices:
            return ()
        for name in self.options_for("device"):
            makers = self.named_options[name].devices.get(devices[0].backend)
            if makers is not None:
                return makers
        return None

    def keeps_cache_in(self, kv_cache_type: str) -> bool:
        """Whether the program keeps a KV cache in that type, or in that pair of types for keys and
        values.
        """
        types = CacheTypes.of(kv_cache_type)
        if types.differ and not self.kv_cache_pairs:
            return False
        kept = {"f16", *self.kv_cache_types}
        return kept.issuperset((types.keys, types.values))

    def cache_type_called(self, kv_cache_type: str | None) -> str | None:
        """What the program calls a type of the KV cache."""
        rule = self.cache_rules.get(kv_cache_type or "")
        if rule is None or not rule.written:
            return kv_cache_type
        return rule.written

    def serves(self, users: int) -> bool:
        """Whether the program serves that many sequences at once, or lets requests wait."""
        most = self.batches.most_sequences
        return most is None or users <= most

    def takes(self, workload: Workload) -> bool:
        """Whether the program has the KV cache type, options and sequences of a workload."""
        if not self.serves(workload.parallel):
            return False
        if not self.keeps_cache_in(workload.kv_cache_type or "f16"):
            return False
        asked = set(workload.runtime_options)
        return asked.issubset(self.named_options)

    def loads_one_of(self, formats: Collection[str]) -> bool:
        """Whether the program loads files in one of the formats, or no formats are named."""
        if not formats:
            return True
        return not set(formats).isdisjoint(self.formats)

    def crashing_sets(
        self, instruction_sets: Collection[str] | None
    ) -> tuple[str, ...]:
        """The instruction sets of a processor that may crash the program. `instruction_sets`: None
        where they are not known.
        """
        if instruction_sets is None:
            return ()
        crashing = self.platforms.crashes_with_sets
        return tuple(name for name in crashing if name in instruction_sets)

    def rule_of(self, quantization: str | None) -> QuantizationRule | None:
        """The rule for a quantization; without a rule of its own, that of the quantization without
        its suffixes for bits and group. None where no rule is stated, as for a stored type.
        """
        name = quantization or ""
        while name not in self.quantizations:
            name, _, suffix = name.rpartition("-")
            if not name or not re.fullmatch(_VARIANT, suffix):
                return None
        return self.quantizations[name]

    def capability_under(self, rules: Sequence[KernelRule]) -> str | None:
        """The least compute capability of an NVIDIA GPU for the program and these rules together;
        None where none is needed.
        """
        needed = []
        for rule in (self.gpus, *rules):
            if rule.compute_capability is not None:
                needed.append(rule.compute_capability)
        return max(needed, key=_capability_number, default=None)

    def command_of(
        self,
        family: str | None,
        main_use: str,
        row: str | None = None,
    ) -> str:
        """The command for models of that row, else of that family, else of that main use, else the
        default.
        """
        commands = self.command_lines
        for name in (row, family, main_use):
            if name is not None and name in commands.by_use:
                return commands.by_use[name]
        return commands.default

    def quantization_called(self, text: str) -> str | None:
        """The quantization that users of this program call by that text, as `4bit` is nf4 for one
        program and awq for another. None where there is none.
        """
        spaced = text.lower().replace("_", " ")
        typed = "-".join(spaced.split())
        for name, rule in self.quantizations.items():
            if typed == name or typed in rule.also:
                return name
        return None


def _capability_number(capability: str) -> list[int]:
    """A compute capability such as `12.0` as numbers to compare: 12.0 is above 8.9."""
    parts = capability.split(".")
    return list(map(int, parts))
