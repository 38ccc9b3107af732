"""RuntimeSpec: what one program that loads models takes, runs on and is started with, and its
reader.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..core.records import Record, read_by
from ..core.tomlfile import Document, Table
from ..core.workload import FINETUNE_METHODS, KV_CACHE_TYPES
from .quantization_names import FORMATS, PLAIN_DTYPES
from .service import Service
from .spec_values import (
    MODALITIES,
    identifier,
    schema_is_read,
    size_in_bytes,
    string_lists,
    texts,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

HOW = ("exact", "computed", "measured", "stated", "assumed")
# what a workload may ask of a runtime beyond its defaults
COMPANIONS = ("draft", "mtp", "adapter")
ASKED_OF_RUNTIME = (
    "context_tokens",
    "parallel",
    "kv_cache_type",
    "yarn",
    "embedding",
    "whole_batch",
    "checkpoints",
    *COMPANIONS,
)


class QuantizationRule(Record):
    """How one program takes one quantization of safetensors or MLX files.

    `also`: what people type for it with this program (`4bit`); `at_load`: it downloads the 16-bit
    files and quantizes them itself; `gpu_only`: there is no CPU kernel; `compute_capability`: the
    least of an NVIDIA GPU; `vendors`: GPUs it has kernels for; `needs`: packages beside the
    program; `command` and `offload_commands` the lines that load it right, as those of
    `RuntimeSpec`.
    """

    also: tuple[str, ...] = read_by(Table.strings, default=())
    at_load: bool = read_by(Table.boolean, default=False)
    gpu_only: bool = read_by(Table.boolean, default=False)
    compute_capability: str | None = read_by(Table.string, default=None)
    vendors: tuple[str, ...] = read_by(Table.strings, default=())
    needs: str = read_by(Table.string, default="")
    command: str = read_by(Table.string, default="")
    offload_commands: Mapping[str, str] = read_by(texts, default={})
    source: str = read_by(Table.text, required=True)


def _quantization_rules(root: Table, key: str) -> dict[str, QuantizationRule]:
    """A table of rules by the name of the quantization."""
    table = root.table(key)
    if table is None:
        return {}
    rules: dict[str, QuantizationRule] = {}
    for name in table.values:
        line = table.table(name)
        if line is None:
            continue
        values = line.fields(QuantizationRule)
        line.close()
        _check_capability(line, values)
        rules[name] = QuantizationRule(**values)
    table.close()
    return rules


def _check_capability(table: Table, values: Mapping[str, Any]) -> None:
    major, _, minor = (values["compute_capability"] or "1.0").partition(".")
    if not (major.isdecimal() and minor.isdecimal() and len(minor) == 1):
        table.problem(
            "compute_capability",
            "must be a number as NVIDIA writes it",
            'write for example "8.0"',
        )


class Conversion(Record):
    """How the published weights become a file that the program loads, line by line.

    `tools` gets the converter; `download` the `{repository}` into the folder `{model}`; `convert`
    writes `{file}` from that folder as `{type}`; `types` are what it writes, by quantization;
    `quantize` makes `{file}` of `{source}` in any other `{quantization}`, which is first written in
    the quantization `through`; `projector` writes `{projector}`, the encoder of a model that sees.
    """

    tools: tuple[str, ...] = read_by(Table.strings, required=True)
    download: str = read_by(Table.string, required=True)
    convert: str = read_by(Table.string, required=True)
    quantize: str = read_by(Table.string, required=True)
    projector: str = read_by(Table.string, required=True)
    through: str = read_by(Table.string, required=True)
    types: Mapping[str, str] = read_by(texts, default={})
    quantizations: tuple[str, ...] = read_by(Table.strings, required=True)
    source: str = read_by(Table.text, required=True)


def _conversion(root: Table, key: str) -> Conversion | None:
    """The table of that name; None where there is none."""
    table = root.table(key)
    if table is None:
        return None
    values = table.fields(Conversion)
    table.close()
    return Conversion(**values)


def _workload_texts(root: Table, key: str) -> dict[str, str]:
    """What to write for each of ASKED_OF_RUNTIME that the table has."""
    table = root.table(key)
    if table is None:
        return {}
    texts_by_key = {
        word: text for word in ASKED_OF_RUNTIME if (text := table.string(word)) is not None
    }
    table.close()
    return texts_by_key


def _shares(root: Table, key: str) -> dict[str, float]:
    """A share, above 0 and at most 1, by the name of a quantization, in the order of the file."""
    table = root.table(key)
    if table is None:
        return {}
    shares = {
        name: share
        for name in table.values
        if (share := table.number(name, minimum=0.01, maximum=1.0)) is not None
    }
    table.close()
    return shares


def _listed_sizes(root: Table, key: str) -> dict[str, int]:
    """A table of bytes by type."""
    sizes_table = root.table(key)
    if sizes_table is None:
        return {}
    sizes = {name: size_in_bytes(sizes_table, name) or 0 for name in sizes_table.values}
    sizes_table.close()
    return sizes


class ComponentFile(Record):
    """One file of a model that comes in several: the component of the spec that it holds, the
    option of the command that takes it, and where it lies. `type` is how it is stored; empty for
    the quantization asked for, which `{quantization}` of `file` stands for. `bytes`: sizes that
    are listed somewhere, by type.
    """

    component: str = read_by(Table.string, required=True)
    option: str = read_by(Table.string, required=True)
    repository: str = read_by(Table.string, required=True)
    file: str = read_by(Table.string, required=True)
    type: str = read_by(Table.string, default="")
    bytes: Mapping[str, int] = read_by(_listed_sizes, default={})

    def named(self, quantization: str) -> str:
        """The file in its repository, in that quantization."""
        return self.file.replace("{quantization}", quantization)


class ModelParts(Record):
    """The files from which a program loads one model, by its id: `quantizations` that they come in,
    best first; `options` of the command, beside those of the files. `denoise_bytes` and
    `decode_bytes` are the buffers that the program reserves for the size in `options`: for a pass
    of the denoiser, and for one tile of the decoder. They are never held at once. `buffers_like`:
    they were not measured, but follow from those of that model.
    """

    model: str = read_by(identifier, name="model")
    quantizations: tuple[str, ...] = read_by(Table.strings, required=True)
    options: str = read_by(Table.string, default="")
    denoise_bytes: int = read_by(Table.integer, required=True)
    decode_bytes: int = read_by(Table.integer, required=True)
    buffers_like: str = read_by(Table.string, default="")
    files: tuple[ComponentFile, ...] = ()


def _model_parts(root: Table, key: str) -> tuple[ModelParts, ...]:
    """The tables of that name, one a model."""
    kept = []
    for table in root.tables(key):
        files = []
        for line in table.tables("files", required=True):
            file_values = line.fields(ComponentFile)
            line.close()
            files.append(ComponentFile(**file_values))
        values = table.fields(ModelParts)
        table.close()
        kept.append(ModelParts(**{**values, "files": tuple(files)}))
    return tuple(kept)


class RuntimeSpec(Record):
    """One program that loads models: `specs/runtimes/<id>.toml`.

    `library`: the runtime whose code it computes with, so that the rules of that one for memory
    and pace hold; empty where it is the program itself. `beside_library_bytes` is what importing
    it takes beside that library. `named_alone`: it loads no models but those whose spec names it
    under `runtimes`.

    `formats` in order of preference; `systems` as `linux-x86_64`, `macos-aarch64`, …; `modalities`
    it can serve; `text_part`: by architecture row, or `*`, the families (all where none is named)
    of models that see, of which it runs the text alone; `instruction_sets` by architecture: the
    ones without which its shipped build crashes; `store` names the disk place (`Disk.purpose`) its
    downloads land in; `present` are command names or Python distributions that show it is
    installed; `install` is the line that gets it by system, or for `any`; `install_needs` what must
    be there first; `install_otherwise` how else it is had, by system, or `SYSTEM-VENDOR` or
    `SYSTEM-accelerator` where the model is on one; `install_not_for` names those of them for which
    the line gets a build that is slower there, so that `install_otherwise` stands in its place;
    `install_with` by the same what the line wants that not everyone has, so that
    `install_otherwise` is named before it; `install_first` by vendor what comes before;
    `split_mixture` who places the experts that an accelerator does not hold;
    `other_programs` by architecture row what its users run instead;
    `builds` where releases can be downloaded; `command` the line that
    downloads and runs a model, with `{repository}`, `{quantization}`, `{context_tokens}` (per
    sequence), `{total_context_tokens}`, `{parallel}`, `{kv_cache_type}`, `{tag}`, `{draft}` (a
    repository, with `:{quantization}` for GGUF), `{adapter}` (a file) to fill in; `commands` by
    family, or by main use, the same where another line is needed; `inputs` by model, by first
    input and modality (`image-to-video`) or by modality what fills `{input}` of it;
    `steps_option` what fills `{steps}` where a spec states its steps (`{count}`), which a program
    does not take by itself; `guidance_options` by family what fills `{guidance}` of models whose
    second pass is left out unless asked for; `tiled_option` fills `{tiled}`, but not where a spec
    states a way that is taken without, and `result_option` `{result}` of one (`{height}`, …);
    `casts` are types that it loads float32 files in if told, by `cast_option`, which fills
    `{cast}`; `remote_code_option` what fills `{remote_code}` where the repository's own code has to
    be trusted (else it is empty); `variants` by quantization the repositories that hold files of
    their own for it, which `variant_options` fills `{variant}` with (else it is empty);
    `devices` what fills `{device}`, by vendor of the accelerator, for `host` and for `several`, and
    `VENDOR-unified` for a GPU that shares the RAM; `repository_command` the same where no tag names
    the model; `named_command` the same where the `{file_name}` holds no tag; `file_command` the
    same for one `{file}` on this machine; `offload_commands` the same where the parts lie in RAM
    and come to an accelerator in turn, by way of `needs.records.Offloaded`; `conversion` is how to
    make a file that nobody published; `token_variable` the environment variable from which it reads
    the token of a login; `gpu_only` where it cannot run on a CPU; `compute_capability` the least of
    an NVIDIA GPU that it runs on, whatever the quantization; `leaves_experts` where of a mixture
    that accelerators do not hold it leaves experts in RAM instead of whole layers;
    `splits_layers` where part of the layers can be on an accelerator and the rest in RAM;
    `tensor_parallel_option` what is appended to the command where several accelerators compute
    every layer together, with `{devices}`, empty where they take turns; `one_device_option` what
    keeps the model on the accelerator `{device}` alone where it would be spread over several that
    are there, `some_devices_option` on the `{devices}` named, `device_names` how its build for
    `SYSTEM-ARCHITECTURE-VENDOR` names the one of that `{number}` among its vendor's, and
    `devices_listed` the command that lists them; `lean_option` has it take less memory of an
    accelerator than is counted, and compute slower; `serves_api` the path of OpenAI's
    API where the command starts a server, at the port of `service`. `operations_share`: of the
    operations in llama.cpp's graph of a step, those that it launches on a GPU; it fuses the rest.

    Where the workload departs from the runtime's default, by ASKED_OF_RUNTIME: `options` are
    appended to the command (`whole_batch`: for an encoder, which reads a text in one batch,
    `{batch_tokens}` of them; `embedding`: for any model that embeds, where the runtime has to be
    told); `settings` are environment variables, `NAME=value` with a space between two, for `serve`,
    the command that starts the server. A key in neither is in `command`, or cannot be asked for.
    `server_address` is the variable that gives that server an address of its own, where one may run
    already; it stands on both lines. `default_context_tokens` is the context it takes unless told;
    None where the command says it, or the model's own is taken.

    `elsewhere` is the clause that tells how it runs on systems that it is not judged on, where it
    does. `builds_from_source`: systems without a published build on which its source is known to
    build; `source_build` is where that is described. `big_endian_systems`: those whose build loads
    big-endian GGUF files alone, while published ones are little-endian.

    `parts`: the models that it loads from several files, each with what it is in; where there are
    any, it loads no others. They fill `{parts}` of a command. `parts_elsewhere` is how other
    programs use the same files.

    `tags`: the quantization that the runtime's own name of a model loads, where it is not the one
    that selfhost takes by default.

    `companions` is what it can load beside a model, of COMPANIONS: a draft model, the model's own
    multi-token-prediction block, an adapter.

    `kv_cache_types` are those that it can be asked for beside the type it takes by itself, of
    workload.KV_CACHE_TYPES.

    `maps_files`: it maps the files of weights unless told otherwise, so that several processes
    share one copy in the page cache. `share_option` sets what share of an accelerator it takes at
    its start, whatever the model needs; empty where it takes what it needs.

    `most_sequences` is how many it can serve at once; None where nothing bounds them but memory.
    `slots`: how many it makes room for unless its command says how many, all in one cache; 0 where
    it makes room for one.

    `on_shared_gpu`: makers of the GPUs sharing the RAM that its builds compute on; of other makers
    that is not known. `unpacked_option` has it read the weights as they lie in
    the file, where it would lay them out anew for the processor.

    On a processor: `default_threads`, how many it computes with at most unless its command says
    more; None for one on each core. `multiplies_rows`: it is built without the kernels that compute
    blocks of a product, as llama.cpp has them, and multiplies row by row.

    `shown_with`: the runtime whose command stands beside its own, where one line says it all.
    `keeps_read_text`: it is known to keep keys and values of a text that an encoder read beside
    those of the answer; of a program without it that is not known.
    `fast_prompts`: a sentence on why its own log may tell a prompt faster than it was read.
    `projector_apart`: the image encoder of a model that sees is a file of its own beside the text.

    Of the programs that run llama.cpp's code: `flash_attention`, False where it is off unless asked
    for; `logits_rows`, for which tokens it reserves logits: the last of each "sequence", or of a
    whole "batch"; `whole_windows`, True where layers with a sliding window cache the whole context
    all the same; `context_checkpoints`, how often it copies what a cache cannot be rolled back to
    (states, sliding windows) while it reads one prompt, at most; `kept_checkpoints`, how many such
    copies a sequence keeps as more prompts follow.

    `last_versions` by architecture row: the last release that loads it, where it loads it no more;
    `minimum_versions` by architecture row: the first release that knows it, which not every model
    of it can do with; what is missing is not known. `minimum_builds`: a build that knew it, the
    first one or a later. `command_version` is the first release that takes the commands as they
    stand here, whatever the model.

    `overhead_low_bytes`/`overhead_high_bytes` is what the program itself takes, with `overhead_how`
    (exact, measured, stated, assumed) and `overhead_source`.

    `service` is how it runs in a container; None where its publisher offers no image.

    `quantizations`: by name, those it takes beside a model's own stored type.

    What a default may become on a machine (`verdict/defaults.py`): `on_accelerators`, by name and
    best first, the quantizations that are tried where accelerators hold all of a model, each with
    the share of their memory that it takes at most; `preferred_from_accelerators`, from how many
    accelerators on the program is taken before the usual one of the modality, 0 for never;
    `finetune_methods`, the methods that are tried in turn where none is asked for;
    `finetune_contexts`, the lengths in tokens that are tried with the last of them, longest first.

    `finetune_commands` by method: the line that trains, with `{repository}`, `{lora_rank}`,
    `{context_tokens}` and `{parallel}` to fill in; DATASET is for the reader to fill in.
    `finetune_options` is what an optimizer or a word of `devices` adds to it, and
    `keeps_activations` what switches gradient checkpointing off. `finetune_packages` by method or
    optimizer: what else it needs.
    """

    id: str = read_by(identifier)
    name: str = read_by(Table.string, required=True)
    library: str = read_by(Table.string, default="")
    beside_library_bytes: int = read_by(Table.integer, minimum=1, default=0)
    named_alone: bool = read_by(Table.boolean, default=False)
    formats: tuple[str, ...] = read_by(Table.strings, required=True, choices=FORMATS)
    systems: tuple[str, ...] = read_by(Table.strings, required=True)
    elsewhere: str | None = read_by(Table.text, default=None)
    builds_from_source: tuple[str, ...] = read_by(Table.strings, default=())
    source_build: str = read_by(Table.string, default="")
    big_endian_systems: tuple[str, ...] = read_by(Table.strings, default=())
    modalities: tuple[str, ...] = read_by(Table.strings, required=True, choices=MODALITIES)
    text_part: Mapping[str, tuple[str, ...]] = read_by(string_lists, default={})
    instruction_sets: Mapping[str, tuple[str, ...]] = read_by(string_lists, default={})
    recommended_instruction_sets: Mapping[str, tuple[str, ...]] = read_by(string_lists, default={})
    store: str = read_by(Table.string, required=True)
    present: tuple[str, ...] = read_by(Table.strings, default=())
    distributions: tuple[str, ...] = read_by(Table.strings, default=())
    install: Mapping[str, str] = read_by(texts, default={})
    install_first: Mapping[str, str] = read_by(texts, default={})
    install_otherwise: Mapping[str, tuple[str, ...]] = read_by(string_lists, default={})
    install_not_for: tuple[str, ...] = read_by(Table.strings, default=())
    install_with: Mapping[str, str] = read_by(texts, default={})
    split_mixture: str = read_by(Table.string, default="")
    other_programs: Mapping[str, str] = read_by(texts, default={})
    install_needs: str = read_by(Table.string, default="")
    builds: str = read_by(Table.string, default="")
    command: str = read_by(Table.string, empty=True, default="")
    commands: Mapping[str, str] = read_by(texts, default={})
    repository_command: str = read_by(Table.string, default="")
    named_command: str = read_by(Table.string, default="")
    file_command: str = read_by(Table.string, default="")
    offload_commands: Mapping[str, str] = read_by(texts, default={})
    conversion: Conversion | None = read_by(_conversion, default=None)
    token_variable: str = read_by(Table.string, default="")
    devices: Mapping[str, str] = read_by(texts, default={})
    inputs: Mapping[str, str] = read_by(texts, default={})
    remote_code_option: str = read_by(Table.string, default="")
    casts: tuple[str, ...] = read_by(Table.strings, choices=PLAIN_DTYPES, default=())
    cast_option: str = read_by(Table.string, default="")
    steps_option: str = read_by(Table.string, default="")
    tiled_option: str = read_by(Table.string, default="")
    result_option: str = read_by(Table.string, default="")
    variants: Mapping[str, tuple[str, ...]] = read_by(string_lists, default={})
    variant_options: Mapping[str, str] = read_by(texts, default={})
    guidance_options: Mapping[str, str] = read_by(texts, default={})
    options: Mapping[str, str] = read_by(_workload_texts, default={})
    settings: Mapping[str, str] = read_by(_workload_texts, default={})
    serve: str = read_by(Table.string, default="")
    server_address: str = read_by(Table.string, default="")
    default_context_tokens: int | None = read_by(Table.integer, minimum=1, default=None)
    command_version: str | None = read_by(Table.string, default=None)
    tags: Mapping[str, str] = read_by(texts, default={})
    parts_elsewhere: str = read_by(Table.string, default="")
    parts: tuple[ModelParts, ...] = read_by(_model_parts, default=())
    minimum_versions: Mapping[str, str] = read_by(texts, default={})
    last_versions: Mapping[str, str] = read_by(texts, default={})
    minimum_builds: Mapping[str, str] = read_by(texts, default={})
    gpu_only: bool = read_by(Table.boolean, default=False)
    compute_capability: str | None = read_by(Table.string, default=None)
    splits_layers: bool = read_by(Table.boolean, default=False)
    leaves_experts: bool = read_by(Table.boolean, default=False)
    tensor_parallel_option: str = read_by(Table.string, default="")
    one_device_option: str = read_by(Table.string, default="")
    lean_option: str = read_by(Table.string, default="")
    some_devices_option: str = read_by(Table.string, default="")
    device_names: Mapping[str, str] = read_by(texts, default={})
    devices_listed: str = read_by(Table.string, default="")
    serves_api: str = read_by(Table.string, default="")
    operations_share: float = read_by(Table.number, minimum=0.05, maximum=1, default=1.0)
    companions: tuple[str, ...] = read_by(Table.strings, choices=COMPANIONS, default=())
    kv_cache_types: tuple[str, ...] = read_by(Table.strings, choices=KV_CACHE_TYPES, default=())
    share_option: str = read_by(Table.string, default="")
    maps_files: bool = read_by(Table.boolean, default=False)
    on_shared_gpu: tuple[str, ...] = read_by(Table.strings, default=())
    unpacked_option: str = read_by(Table.string, default="")
    shown_with: str = read_by(Table.string, default="")
    projector_apart: bool = read_by(Table.boolean, default=False)
    fast_prompts: str = read_by(Table.string, default="")
    keeps_read_text: bool = read_by(Table.boolean, default=False)
    most_sequences: int | None = read_by(Table.integer, minimum=1, default=None)
    slots: int = read_by(Table.integer, minimum=1, default=0)
    default_threads: int | None = read_by(Table.integer, minimum=1, default=None)
    multiplies_rows: bool = read_by(Table.boolean, default=False)
    flash_attention: bool = read_by(Table.boolean, default=True)
    logits_rows: str = read_by(Table.string, choices=("sequence", "batch"), default="sequence")
    whole_windows: bool = read_by(Table.boolean, default=False)
    context_checkpoints: int = read_by(Table.integer, minimum=1, default=0)
    kept_checkpoints: int = read_by(Table.integer, minimum=1, default=0)
    quantizations: Mapping[str, QuantizationRule] = read_by(
        _quantization_rules, name="quantization", default={}
    )
    on_accelerators: Mapping[str, float] = read_by(_shares, default={})
    preferred_from_accelerators: int = read_by(Table.integer, minimum=1, default=0)
    finetune_methods: tuple[str, ...] = read_by(Table.strings, choices=FINETUNE_METHODS, default=())
    finetune_contexts: tuple[int, ...] = read_by(Table.integers, default=())
    finetune_commands: Mapping[str, str] = read_by(texts, default={})
    finetune_options: Mapping[str, str] = read_by(texts, default={})
    finetune_packages: Mapping[str, str] = read_by(texts, default={})
    overhead_low_bytes: int = read_by(Table.integer, default=0)
    overhead_high_bytes: int = read_by(Table.integer, default=0)
    overhead_how: str = read_by(Table.string, choices=HOW, default="assumed")
    overhead_source: str = read_by(Table.string, empty=True, default="")
    service: Service | None = read_by(Table.record, kind=Service, default=None)
    sources: Mapping[str, str] = read_by(texts, default={})
    origin: str = ""

    @property
    def computes_with(self) -> str:
        """The id of the runtime whose rules for memory and pace hold."""
        return self.library or self.id

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

    def capability_for(self, quantization: str | None) -> str | None:
        """The least compute capability of an NVIDIA GPU on which it runs that quantization; None
        where none is needed.
        """
        needed = [
            kind.compute_capability
            for kind in (self, self.rule_of(quantization))
            if kind is not None and kind.compute_capability is not None
        ]
        return max(needed, key=lambda text: [int(part) for part in text.split(".")], default=None)

    def command_of(self, family: str | None, uses: Sequence[str] | None) -> str:
        """The command for models of that family, or of that main use, or for any."""
        of_use = self.commands.get(uses[0]) if uses else None
        return self.commands.get(family or "") or of_use or self.command

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


def read_runtime_spec(document: Document, origin: str) -> RuntimeSpec | None:
    """The runtime that `document` states; None if and only if `document.problems` says why not.
    `origin` is the file.
    """
    if not document.ok:
        return None
    root = document.root
    if not schema_is_read(root):
        return None
    values = root.fields(RuntimeSpec)
    root.close()
    _check_systems(document, values)
    _check_whole(root, values)
    if not root.document.ok:
        return None
    values["kept_checkpoints"] = values["kept_checkpoints"] or values["context_checkpoints"]
    values["overhead_high_bytes"] = values["overhead_high_bytes"] or values["overhead_low_bytes"]
    return RuntimeSpec(**values, origin=origin)


def _check_systems(document: Document, values: Mapping[str, Any]) -> None:
    for key in ("systems", "builds_from_source", "big_endian_systems"):
        for index, system in enumerate(values[key]):
            if system.count("-") != 1 or not all(
                part.replace("_", "").isalnum() for part in system.split("-")
            ):
                document.add(
                    (key, index),
                    f'"{system}" is not a system and an architecture',
                    'write for example "linux-x86_64"',
                )


def _check_whole(root: Table, values: Mapping[str, Any]) -> None:
    """What no key can tell alone."""
    _check_capability(root, values)
    if values["builds_from_source"] and not values["source_build"]:
        root.problem(
            "source_build",
            "is missing, though there is builds_from_source",
            "write the address of the instructions",
        )
    low, high = values["overhead_low_bytes"], values["overhead_high_bytes"]
    stated = root.values.get("overhead_high_bytes")
    if low > high and type(stated) is int and stated == high:
        root.problem("overhead_low_bytes", f"is {low:,}, above overhead_high_bytes")
    if values["settings"] and "serve" not in root:
        root.problem(
            "serve",
            "is missing, though there are [settings]",
            "write the command that starts the server",
        )
    if (low or high) and "overhead_how" not in root:
        root.problem(
            "overhead_how", "is missing", "say how the overhead is known: " + ", ".join(HOW)
        )
