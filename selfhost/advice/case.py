"""A judged question whose lines are to be typed, and what fills the blanks of a runtime's lines."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.quantization_names import TRAINED_FOR
from ..catalogue.runtime import BLANKS, RuntimeSpec
from ..catalogue.spec import ModelSpec, StatedWay
from ..core.records import Record
from ..core.workload import Workload
from ..judge.pace.speed import uses_shared_gpu
from ..judge.placement.devices import computes_on_shared, runs_on
from ..judge.question import architectures
from ..judge.record import Judged, Question
from ..machine.chips import metal_share
from ..machine.record import Accelerator, Machine

Values = Mapping[str, "str | None"]
# the share of the need from which on a line bounds what a server comes to keep
WORTH_BOUNDING = 0.1
# formats that somebody else than the publisher of the weights makes
_CONVERTED = ("gguf", "ggml", "mlx", "ctranslate2")


class Case(Record):
    """A question as it was judged on a machine, and the runtime whose lines are typed.

    `tag` is what Ollama calls the model in the judged quantization, where that was typed.
    `is_second`: the line stands beside that of another runtime, which was judged.
    """

    question: Question
    judged: Judged
    catalogue: Catalogue
    machine: Machine
    runtime: RuntimeSpec
    tag: str | None = None
    is_second: bool = False

    @property
    def spec(self) -> ModelSpec:
        return self.question.spec

    @property
    def workload(self) -> Workload:
        return self.question.workload

    @property
    def quantization(self) -> str:
        return self.question.workload.quantization or ""

    @property
    def placement(self) -> str | None:
        """`host`, `accelerator` or `split`; None where no need is known."""
        return self.judged.needs.placement if self.judged.needs is not None else None

    @property
    def offload(self) -> str | None:
        """The way by which parts come to an accelerator in turn; None where they do not."""
        return self.judged.needs.offload if self.judged.needs is not None else None

    @property
    def cards(self) -> tuple[Accelerator, ...]:
        return tuple(self.machine.accelerators or ())

    @property
    def cards_used(self) -> list[int]:
        """The accelerators with memory of their own that hold a part of the model, by number."""
        memory = self.judged.needs.memory if self.judged.needs is not None else None
        places = {term.where for term in memory.terms} if memory is not None else set()
        return sorted(int(place.partition(":")[2]) for place in places - {"host"})

    @property
    def leaves_cards(self) -> bool:
        """Whether accelerators hold all of the model, and the machine has more of them."""
        return self.placement == "accelerator" and 0 < len(self.cards_used) < len(self.cards)

    @property
    def is_run(self) -> bool:
        return self.judged.fits and self.workload.task == "generate"

    @property
    def is_here(self) -> bool:
        """Whether all files of the model are on the machine."""
        return self.question.local_files or self.question.missing_bytes == 0

    @property
    def is_windows(self) -> bool:
        return self.machine.system == "windows"

    @property
    def may_crash(self) -> bool:
        """Whether the program may crash there: not where accelerators hold all of the model."""
        crashing = self.runtime.crashing_sets(self.machine.instruction_sets)
        return self.placement != "accelerator" and bool(crashing)

    def has_code(self, code: str) -> bool:
        return any(finding.code == code for finding in self.judged.findings)


def filled(template: str, values: Values) -> str:
    """The template with its blanks filled; "" where the value of one is not known."""
    line = template
    for key, value in values.items():
        blank = "{" + key + "}"
        if blank in line:
            if value is None:
                return ""
            line = line.replace(blank, value)
    return line


def values_of(case: Case) -> dict[str, str | None]:
    """What fills the blanks of a line: None where that is not known, and, for the words of
    `RuntimeSpec.blanks`, "" where the model does not want them.
    """
    spec, workload, runtime = case.spec, case.workload, case.runtime
    # a line of its own, or that of models whose first input is such a one, or of its modality
    inputs = (spec.id, f"{spec.inputs[0]}-to-{spec.modality}" if spec.inputs else "", spec.modality)
    by_blank: dict[str, object] = {
        **_file_values(case),
        **_media_values(case),
        **_yarn_values(spec),
        "input": next((runtime.inputs[key] for key in inputs if key in runtime.inputs), None),
        "tag": _tag(case),
        "context_tokens": workload.context_tokens,
        "total_context_tokens": (workload.context_tokens or 0) * workload.parallel,
        "parallel": workload.parallel,
        "batch_tokens": need.batch_tokens(spec, workload, architectures(case.catalogue)),
        "context_checkpoints": _checkpoints_kept(case),
        "device": device_word(case),
        "kv_cache_type": workload.kv_cache_type,
        "draft": _draft(case.question),
    }
    values = {key: str(value) if value else None for key, value in by_blank.items()}
    unwanted = _unwanted_words(case)
    words = {
        name: "" if name in unwanted else filled(runtime.blanks.get(name, ""), values)
        for name in BLANKS
    }
    return values | words


def _unwanted_words(case: Case) -> set[str]:
    """Words of `RuntimeSpec.blanks` that do not apply. The way of offloading is the one that the
    figures of the spec are of; elsewhere a result is decoded in tiles, as pipelines are counted.
    """
    spec, runtime, kind, way = case.spec, case.runtime, case.quantization, _stated_way(case)
    is_wanted = {
        "remote_code": spec.safety.remote_code,
        "cast": need.is_cast(spec, runtime, kind),
        "tiled": way is None or way.is_tiled,
        "chunked": way is not None and way.is_chunked,
        "variant": spec.repository in runtime.variants.get(kind, ()),
        "guidance": spec.family in runtime.guided_families,
    }
    return {name for name, wanted in is_wanted.items() if not wanted}


def _stated_way(case: Case) -> StatedWay | None:
    stated, wanted = case.spec.needs, (case.workload.quantization, case.offload)
    ways = stated.ways if stated is not None and case.offload is not None else ()
    return next((way for way in ways if (way.quantization, way.offload) == wanted), None)


def _media_values(case: Case) -> dict[str, object]:
    """Of models of images, clips and sound: None for any other."""
    spec, way, components = case.spec, _stated_way(case), None
    if spec.components:
        from ..needs.diffusers import quantized_components

        names = ", ".join(f"'{name}'" for name in quantized_components(spec.components))
        components = f"[{names}]" if names else None
    parts = need.parts_of(spec, case.runtime)
    if parts is not None:
        files = [f"{each.option} models/{each.named(case.quantization)}" for each in parts.files]
    return {
        "components": components,
        "parts": None if parts is None else " ".join((*files, parts.options)),
        "count": spec.denoising.steps if spec.denoising is not None else None,
        "frames_per_second": spec.frames_per_second,
        "height": getattr(way, "height", None),
        "width": getattr(way, "width", None),
        "frames": getattr(way, "frames", None),
    }


def _file_values(case: Case) -> dict[str, object]:
    """The blanks that tell which files are downloaded: where they lie, and their own names.
    `quantized` is the repository of a conversion that the runtime has a rule for.
    """
    spec, format, kind = case.spec, case.workload.format, case.quantization
    rule = case.runtime.rule_of(kind)
    quantized, named, file_name = _conversion(case, format or "", kind)
    is_converted = format in _CONVERTED or (rule is not None and not rule.at_load)
    stated_type = (spec.needs.dtype if spec.needs is not None else None) or ""
    return {
        "repository": quantized or (None if is_converted else spec.repository),
        "quantized": quantized if rule is not None else None,
        "quantization": (named or kind or stated_type).removeprefix(TRAINED_FOR),
        "file_name": file_name if quantized else None,
    }


def _conversion(
    case: Case, format: str, quantization: str
) -> tuple[str | None, str | None, str | None]:
    """Where the files lie that somebody quantized, here already or the best that is known; a
    publisher's own name of the quantization, which is the tag that downloads it; the file's name.
    """
    spec, here = case.spec, case.question.here
    repository = here.repository if here is not None and format == "gguf" else None
    published = need.published(spec, format, quantization)
    files = spec.files_of(format, quantization) or (published[1] if published else None)
    if files is None or repository not in (None, files.repository):
        return repository, None, None
    is_same = need.canonical_quantization
    named = next((name for name in files.quantizations if is_same(name) == quantization), None)
    return files.repository, named, files.names.get(named or quantization)


def _yarn_values(spec: ModelSpec) -> dict[str, object]:
    """What switches YaRN on; None where the publisher documents none: how to switch another scaling
    on differs from model to model.
    """
    architecture = spec.architecture
    original = architecture.yarn_original_tokens if architecture is not None else None
    scaled = architecture.scaled_context_tokens if architecture is not None else None
    factor = f"{scaled / original:g}" if original and scaled else None
    return {"yarn_factor": factor, "yarn_original_tokens": original if factor else None}


def _tag(case: Case) -> str | None:
    """What the runtime itself calls the model: the size in whisper.cpp's file names, or the tag of
    Ollama's that loads the judged quantization, for a bare one loads its own, whatever was asked.
    """
    spec, workload, here = case.spec, case.workload, case.question.here
    if workload.format == "ggml":
        size, type = spec.id.removeprefix("whisper-"), case.quantization
        return size if type == "F16" else f"{size}-{type.lower()}"
    if case.tag is not None:
        return case.tag
    tag = spec.library_tag
    default = need.default_format_and_quantization(spec, case.runtime)[1]
    if tag is not None and case.runtime.tags.get(tag, default) == workload.quantization:
        return tag
    return here.tag if here is not None and case.runtime.id == workload.runtime else None


def _draft(question: Question) -> str | None:
    """The repository that the draft is downloaded from, with the quantization where it is a
    GGUF one; None for a file.
    """
    companions = question.companions
    if companions is None or companions.draft is None or companions.draft_is_here:
        return None
    if question.workload.format != "gguf":
        return companions.draft.repository
    files = need.published(companions.draft, "gguf", companions.draft_quantization)
    repository = files[1].repository if files is not None else None
    return f"{repository}:{companions.draft_quantization}" if repository else None


def _checkpoints_kept(case: Case) -> int | None:
    """How many copies of a conversation the need counts, where the server keeps many more."""
    runtime, needs = case.question.runtime, case.judged.needs
    memory = needs.memory if needs is not None else None
    if runtime is None or memory is None or "checkpoints" not in runtime.options:
        return None
    rows = architectures(case.catalogue)
    more_bytes = need.more_in_conversation(case.spec, runtime, case.workload, rows)
    is_worth_it = more_bytes and more_bytes >= WORTH_BOUNDING * memory.high_bytes
    return runtime.context_checkpoints if is_worth_it else None


def device_word(case: Case) -> str | None:
    """The runtime's word for where the model is placed; None where it has none."""
    devices, cards = case.runtime.devices, case.cards
    if case.placement not in (None, "host"):
        vendors = {card.vendor for card in cards}
        if case.placement == "split" or len(case.cards_used) > 1 or len(vendors) != 1:
            return devices.get("several")
        return devices.get(vendors.pop())
    # a GPU that shares the RAM is used where the program can, whatever the placement is called
    keys = ["host"]
    for gpu in reversed(cards):
        computes = computes_on_shared if gpu.vendor == "amd" else runs_on
        if gpu.unified and computes(case.runtime, gpu):
            # PyTorch calls all of NVIDIA's alike, in a Jetson or a DGX Spark as on a card
            alike = ["nvidia"] if gpu.vendor == "nvidia" else []
            keys = [f"{gpu.vendor}-unified", *alike, *keys]
    return next((devices[key] for key in keys if key in devices), None)


# ------------------------------------------------------------------ options


def options_needed(case: Case, values: Values) -> list[str]:
    """The keys of the runtime's options that are needed because the workload differs from what the
    program does by itself; `values` are those of the blanks.
    """
    spec, workload, runtime = case.spec, case.workload, case.runtime
    drafts_itself = workload.draft is not None and workload.draft == need.OWN_BLOCK
    # a server of text has to be told that it embeds or ranks
    use = "reranking" if spec.uses and spec.uses[0] == "reranking" else "embedding"
    needed = {
        use: spec.modality == "embedding" and use in runtime.options,
        "kv_cache_type": workload.kv_cache_type not in (None, "f16"),
        "parallel": workload.parallel > 1,
        "whole_batch": values["batch_tokens"],
        "mtp": drafts_itself,
        "draft": workload.draft is not None and not drafts_itself,
        "context_tokens": _must_state_context(case),
        "checkpoints": values["context_checkpoints"] and "checkpoints" in runtime.options,
        "yarn": case.has_code("context-scaled"),
        "shared_gpu": "shared_gpu" in runtime.settings and _leaves_shared_gpu(case),
    }
    return [key for key, is_needed in needed.items() if is_needed]


def _leaves_shared_gpu(case: Case) -> bool:
    """Whether a GPU that shares the RAM computes in the judged program and not in this one."""
    judged_with, machine = case.question.runtime, case.machine
    if judged_with is None or judged_with.id == case.runtime.id:
        return False
    return uses_shared_gpu(machine, judged_with) and not uses_shared_gpu(machine, case.runtime)


def _must_state_context(case: Case) -> bool:
    """Whether the program would take another context than was judged, with other needs. It cuts its
    own to what the model was trained for ("requested context size too large for model",
    llm/server.go of Ollama; published logs show num_ctx=49152 cut to n_ctx_train=40960).
    """
    usual, tokens = case.runtime.default_context_tokens, case.workload.context_tokens
    architecture = case.spec.architecture
    if usual is None or tokens is None:
        return False
    if tokens > usual or case.is_second or architecture is None:
        is_cut = False
    else:
        is_cut = tokens == need.trained_tokens(architecture, case.question.rewriting)
    return not is_cut and (tokens != usual or _takes_more_context(case.runtime, case.machine))


def _takes_more_context(runtime: RuntimeSpec, machine: Machine) -> bool:
    """Whether the program makes room for more than its usual context by itself on that machine;
    also where the memory of a GPU is not known.
    """
    least, gpu_bytes = runtime.longer_context_gpu_bytes, 0.0
    for card in machine.accelerators or ():
        size, ram_bytes = card.memory_total_bytes, machine.memory_total_bytes
        if size is None and card.unified and ram_bytes is not None:
            size = int(ram_bytes * (metal_share(ram_bytes)[1] if card.vendor == "apple" else 1))
        gpu_bytes += inf if size is None else size
    return least is not None and gpu_bytes >= least
