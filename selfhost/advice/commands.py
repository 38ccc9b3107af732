"""The lines to type next. They are printed, never run, and carry what was judged: a line that
would run something else is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.spec import COMPANIONS, ModelSpec, RuntimeSpec
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.question import architectures
from ..verdict.record import Judged, Question

# from here on Ollama takes a longer context than 4,096 tokens by itself (ollama@fb307609,
# docs/context-length.mdx)
OLLAMA_LARGE_GPU_BYTES = 24 * 10**9


def commands(
    question: Question,
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
    *,
    tag: str | None = None,
) -> tuple[str, ...]:
    """Lines that download and run the model as it was judged; empty unless it would run here.

    `tag` is what Ollama calls the model, where that was typed.
    """
    runtime = question.runtime
    if not judged.fits or runtime is None or question.workload.task != "generate":
        return ()
    codes = {finding.code for finding in judged.findings}
    if "runtime-other-byte-order" in codes:
        # the published file would not load as it is
        return ()
    batch = need.batch_tokens(question.spec, question.workload, architectures(catalogue))
    if question.local_files:
        return _of_a_file(question, runtime, question.spec.origin, batch)
    scaled, here = "context-scaled" in codes, question.here
    if here is not None and here.by_path and here.missing_bytes == 0:
        return () if scaled else _of_a_file(question, runtime, here.path, batch)
    if scaled and not _yarn(question.spec):
        # how else to switch a scaling on differs from model to model: the publisher says it
        return ()
    large = any(
        (device.memory_total_bytes or 0) >= OLLAMA_LARGE_GPU_BYTES
        for device in machine.accelerators or ()
    )
    parallel = _tensor_parallel(judged) if runtime.id == "vllm" else ""
    lines = [line + parallel for line in _lines(runtime, question, large, tag, scaled, batch)]
    ollama = catalogue.runtime("ollama")
    if runtime.id == "llama.cpp" and question.missing_bytes != 0 and _has_build(ollama, machine):
        beside = _lines(ollama, question, large, tag, scaled, batch)
        # beside the runtime that was judged, only where one line says it all
        lines += beside if len(beside) == 1 else ()
    return tuple(lines)


def _tensor_parallel(judged: Judged) -> str:
    """vLLM's option for several accelerators; empty for one."""
    memory = judged.needs.memory if judged.needs else None
    places = {term.where for term in memory.terms if term.where != "host"} if memory else set()
    return f" --tensor-parallel-size {len(places)}" if len(places) > 1 else ""


def _has_build(runtime: RuntimeSpec, machine: Machine) -> bool:
    """Also where the machine's system or processor is not known."""
    unread = machine.system is None or machine.architecture is None
    return unread or f"{machine.system}-{machine.architecture}" in runtime.systems


def about_files(question: Question, *, fits: bool) -> tuple[str, ...]:
    """Sentences on the files: that they are quantized while loading, or that no publisher's of
    that quantization are known.
    """
    spec, workload, runtime = question.spec, question.workload, question.runtime
    format, quantization = workload.format or "", workload.quantization or ""
    if runtime is None or question.local_files or not quantization or workload.task != "generate":
        return ()
    rule, notes = runtime.rule_of(quantization), []
    if need.takes_text_alone(spec, runtime):
        notes.append(f"{runtime.name} runs the text part of {spec.name} alone: it takes no images.")
    if need.loads_sixteen_bits(spec, runtime, format, quantization):
        notes.append(
            f"{runtime.name} downloads the published 16-bit weights and makes {quantization} of"
            " them while loading."
        )
    elif (
        fits
        and (format in ("gguf", "mlx") or rule is not None)
        and not _known_files(spec, format, quantization)
    ):
        where = (
            f": https://huggingface.co/models?other=base_model:quantized:{spec.repository}"
            if spec.repository
            else ""
        )
        computed = (
            f"The size is computed: this catalogue knows of no {quantization} file of {spec.name}."
        )
        notes.append(f"{computed} Hugging Face lists the conversions{where}")
    if rule is not None and rule.needs:
        notes.append(f"{runtime.name} needs for it: pip install {rule.needs}.")
    return tuple(notes)


def _known_files(spec: ModelSpec, format: str, quantization: str) -> bool:
    return (
        need.published(spec, format, quantization) is not None
        or spec.repository_of(format, quantization) is not None
    )


def _of_a_file(
    question: Question, runtime: RuntimeSpec, path: str, batch: int | None
) -> tuple[str, ...]:
    """llama.cpp on the very file that was judged; the other runtimes want code around it."""
    workload = question.workload
    projector = question.here.projector if question.here is not None else None
    if workload.runtime != "llama.cpp" or not path.lower().endswith(".gguf"):
        return ()
    if question.here is not None and _is_masked(f"{path}/{projector}"):
        return ()
    if "-of-" in path:
        from ..modelfiles.gguf import parts_of

        # llama.cpp finds the other parts of a split file from the first alone
        # (src/llama-model-loader.cpp)
        path = parts_of(path)[0]
    options = _options_of_a_file(question, runtime, batch)
    if options is None:
        return ()
    total = (workload.context_tokens or 0) * workload.parallel
    pictures = f" --mmproj {_in_shell(projector)}" if projector else ""
    return (
        f"llama-server -m {_in_shell(path)}{pictures} -c {total} -np {workload.parallel}{options}",
    )


def _is_masked(path: str) -> bool:
    """Whether a part of a record's path stands in for a person's or computer's name, so that it is
    no path.
    """
    return any(part in ("USER", "HOST", "ID") for part in path.replace("\\", "/").split("/"))


def _options_of_a_file(question: Question, runtime: RuntimeSpec, batch: int | None) -> str | None:
    """Options of llama-server beside context and sequences; None where one cannot be filled in."""
    workload, options = question.workload, ""
    if workload.kv_cache_type not in (None, "f16"):
        options = f" -ctk {workload.kv_cache_type} -ctv {workload.kv_cache_type}"
    departures = [
        *_embeds(runtime, question.spec),
        *(
            key
            for key in _departures(runtime, workload, False, batch)
            if key in (*COMPANIONS, "whole_batch")
        ),
    ]
    values = _values(question, batch) if departures else {}
    extra = [_filled(runtime.options.get(key, ""), values) for key in departures]
    return options + "".join(f" {text}" for text in extra) if all(extra) else None


def _in_shell(path: str) -> str:
    """A path as a shell takes it, the home folder's sign left open to it."""
    home = "~/" if path.startswith("~/") else ""
    return f"{home}'{path[len(home) :]}'" if " " in path else path


def _lines(
    runtime: RuntimeSpec,
    question: Question,
    large: bool,
    tag: str | None,
    scaled: bool,
    batch: int | None,
) -> tuple[str, ...]:
    """A server to start first, where the workload departs from its defaults, then the runtime's
    command.
    """
    spec, workload = question.spec, question.workload
    departs = [
        *_embeds(runtime, spec),
        *_departures(runtime, workload, large, batch),
        *(("yarn",) if scaled else ()),
    ]
    if any(
        key not in runtime.options and key not in runtime.settings and not _carried(runtime, key)
        for key in departs
    ):
        return ()
    values = _values(question, batch)
    line = _run_line(runtime, question, tag, values)
    if not line:
        return ()
    extra = [_filled(runtime.options[key], values) for key in departs if key in runtime.options]
    if not all(extra):
        return ()
    serve = [_filled(runtime.settings[key], values) for key in departs if key in runtime.settings]
    first = (" ".join((*serve, runtime.serve)),) if serve else ()
    return (*first, " ".join((line, *extra)))


def _run_line(
    runtime: RuntimeSpec, question: Question, tag: str | None, values: Mapping[str, str]
) -> str:
    """The runtime's command for that model, without options; empty where none is known."""
    workload = question.workload
    is_tagged = "{tag}" in runtime.command and workload.format == "gguf"
    if is_tagged and not _loaded_by_tag(question.spec, runtime, workload):
        # a bare tag loads its own quantization, whatever was asked
        if tag is None and question.here is not None and runtime.id == workload.runtime:
            tag = question.here.tag
        line = runtime.command.replace("{tag}", tag) if tag else ""
    else:
        rule = runtime.rule_of(workload.quantization)
        command = runtime.command
        if rule is not None and rule.command and not values.get("quantized"):
            command = rule.command
        line = _filled(command, values)
    return line or _filled(runtime.repository_command, values)


def _yarn(spec: ModelSpec) -> dict[str, str]:
    """What switches YaRN on; {} where the publisher documents none."""
    architecture = spec.architecture
    if (
        architecture is None
        or not architecture.yarn_original_tokens
        or not architecture.scaled_context_tokens
    ):
        return {}
    factor = f"{architecture.scaled_context_tokens / architecture.yarn_original_tokens:g}"
    return {"yarn_factor": factor, "yarn_original_tokens": str(architecture.yarn_original_tokens)}


def _embeds(runtime: RuntimeSpec, spec: ModelSpec) -> tuple[str, ...]:
    """A runtime that serves text unless told is told."""
    return ("embedding",) if spec.modality == "embedding" and "embedding" in runtime.options else ()


def _departures(
    runtime: RuntimeSpec, workload: Workload, large: bool, batch: int | None
) -> list[str]:
    """What the workload asks that the runtime would not do by itself."""
    departures = []
    if workload.kv_cache_type not in (None, "f16"):
        departures.append("kv_cache_type")
    if workload.parallel > 1:
        departures.append("parallel")
    if batch:
        departures.append("whole_batch")
    if workload.draft:
        departures.append("mtp" if workload.draft == need.OWN_BLOCK else "draft")
    if workload.adapter:
        departures.append("adapter")
    usual = runtime.default_context_tokens
    if (
        workload.context_tokens is not None
        and usual is not None
        and (large or workload.context_tokens > usual)
    ):
        departures.append("context_tokens")
    return departures


def _carried(runtime: RuntimeSpec, key: str) -> bool:
    """The runtime's command says it anyway."""
    return "{" + key + "}" in runtime.command or (
        key == "context_tokens" and "{total_context_tokens}" in runtime.command
    )


def _loaded_by_tag(spec: ModelSpec, runtime: RuntimeSpec, workload: Workload) -> bool:
    default = need.default_format_and_quantization(spec, runtime)[1]
    return workload.quantization == runtime.tags.get(_tag(spec, workload) or "", default)


def _values(question: Question, batch: int | None) -> Mapping[str, str]:
    spec, workload = question.spec, question.workload
    published = need.published(spec, workload.format or "", workload.quantization or "")
    # a publisher's own name of the quantization is the tag that downloads it
    names = published[1].bytes if published else ()
    named = next(
        (name for name in names if need.canonical_quantization(name) == workload.quantization), None
    )
    rule = question.runtime.rule_of(workload.quantization) if question.runtime else None
    # files that somebody quantized lie elsewhere than the published ones
    quantized = spec.repository_of(workload.format or "", workload.quantization or "") or (
        published[1].repository if published else None
    )
    elsewhere = workload.format in ("gguf", "ggml", "mlx", "ctranslate2") or (
        rule is not None and not rule.at_load
    )
    if (
        question.here is not None
        and question.here.repository not in (None, quantized)
        and workload.format == "gguf"
    ):
        # another conversion than the one known best is here already
        quantized, named = question.here.repository, None
    values = {
        "input": question.runtime.inputs.get(spec.modality) if question.runtime else None,
        "repository": quantized or (None if elsewhere else spec.repository),
        "quantized": quantized if rule is not None else None,
        "tag": _tag(spec, workload),
        "quantization": named or workload.quantization,
        "context_tokens": workload.context_tokens,
        "total_context_tokens": (workload.context_tokens or 0) * workload.parallel,
        "parallel": workload.parallel,
        "batch_tokens": batch,
        "kv_cache_type": workload.kv_cache_type,
        "draft": _draft(question),
        "adapter": (
            workload.adapter
            if question.companions is not None and question.companions.adapter_is_here
            else None
        ),
    }
    return {key: str(value) for key, value in values.items() if value} | _yarn(spec)


def _draft(question: Question) -> str | None:
    """The repository that the draft is downloaded from, with the quantization where it is a
    GGUF one; None for a file.
    """
    companions = question.companions
    if companions is None or companions.draft is None or companions.draft_is_here:
        return None
    if question.workload.format != "gguf":
        return companions.draft.repository
    published_files = need.published(companions.draft, "gguf", companions.draft_quantization)
    return (
        f"{published_files[1].repository}:{companions.draft_quantization}"
        if published_files is not None and published_files[1].repository
        else None
    )


def _filled(template: str, values: Mapping[str, str]) -> str:
    """The template with its blanks filled; empty where one is not known."""
    line = template
    for key, value in values.items():
        line = line.replace("{" + key + "}", value)
    blanks = (
        "input",
        "repository",
        "tag",
        "quantization",
        "context_tokens",
        "total_context_tokens",
        "parallel",
        "batch_tokens",
        "kv_cache_type",
        "draft",
        "adapter",
    )
    return "" if any("{" + key + "}" in line for key in blanks) else line


def _tag(spec: ModelSpec, workload: Workload) -> str | None:
    """What the runtime itself calls the model: Ollama's tag, or the size in whisper.cpp's file
    names.
    """
    if workload.format == "ggml":
        size = spec.id.removeprefix("whisper-")
        return (
            size
            if workload.quantization == "F16"
            else f"{size}-{(workload.quantization or '').lower()}"
        )
    return next((alias for alias in spec.aliases if ":" in alias), None)
