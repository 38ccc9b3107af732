"""The values that fill the blanks of a runtime's command, by the names of the blanks."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .. import needs as need
from ..catalogue.quantization_names import TRAINED_FOR
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..verdict.record import Question
from .circumstances import Circumstances, tag_of


def values_of(
    question: Question, runtime: RuntimeSpec, circumstances: Circumstances
) -> Mapping[str, str]:
    """What fills the blanks of a command, by their names; one that is not known is left out."""
    spec, workload = question.spec, question.workload
    values = {
        **file_values(question, runtime),
        "input": _input(runtime, spec),
        "tag": tag_of(spec, workload),
        "context_tokens": workload.context_tokens,
        "total_context_tokens": (workload.context_tokens or 0) * workload.parallel,
        "parallel": workload.parallel,
        "batch_tokens": circumstances.batch_tokens,
        "context_checkpoints": circumstances.checkpoints,
        "device": circumstances.device,
        "components": _quantized_components(spec),
        "parts": _parts(question, runtime),
        "kv_cache_type": workload.kv_cache_type,
        "draft": _draft(question),
        **_adapter_values(question, circumstances),
    }
    filled = {key: str(value) for key, value in values.items() if value}
    return (
        filled
        | yarn_values(spec)
        | {
            "variant": _variant(runtime, spec, workload.quantization or ""),
            "steps": _steps(runtime, spec),
            "guidance": runtime.guidance_options.get(spec.family or "", ""),
            "cast": _cast(question, runtime),
            "rate": _rate(runtime, spec),
            **_as_stated(question, runtime, circumstances),
            "remote_code": runtime.remote_code_option if spec.safety.remote_code else "",
        }
    )


def filled(template: str, values: Mapping[str, str]) -> str:
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
        "context_checkpoints",
        "device",
        "file_name",
        "parts",
        "draft",
        "adapter",
        "adapter_folder",
        "adapter_rank",
    )
    return "" if any("{" + key + "}" in line for key in blanks) else line


def _input(runtime: RuntimeSpec, spec: ModelSpec) -> str | None:
    """What the model is asked: a line of its own, or that of models whose first input is such a
    one, or of any of its modality.
    """
    first = f"{spec.inputs[0]}-to-{spec.modality}" if spec.inputs else ""
    keys = (spec.id, first, spec.modality)
    return next((runtime.inputs[key] for key in keys if key in runtime.inputs), None)


def file_values(question: Question, runtime: RuntimeSpec) -> Mapping[str, str | None]:
    """The blanks that tell which files are downloaded: where they lie, and their own names."""
    spec, workload = question.spec, question.workload
    format, quantization = workload.format or "", workload.quantization or ""
    quantized, named, file_name = _known_best(spec, format, quantization)
    here = question.here
    if here is not None and here.repository not in (None, quantized) and format == "gguf":
        # another conversion than the one known best is here already
        quantized, named, file_name = here.repository, None, None
    rule = runtime.rule_of(quantization)
    elsewhere = format in ("gguf", "ggml", "mlx", "ctranslate2") or (
        rule is not None and not rule.at_load
    )
    return {
        "repository": quantized or (None if elsewhere else spec.repository),
        "quantized": quantized if rule is not None else None,
        "quantization": (named or workload.quantization or _stated_type(spec) or "").removeprefix(
            TRAINED_FOR
        ),
        "file_name": file_name if quantized else None,
    }


def _known_best(
    spec: ModelSpec, format: str, quantization: str
) -> tuple[str | None, str | None, str | None]:
    """Where the files that somebody quantized lie, elsewhere than the published ones; a publisher's
    own name of the quantization, which is the tag that downloads it; and the file's name.
    """
    published = need.published(spec, format, quantization)
    files = spec.files_of(format, quantization) or (published[1] if published else None)
    if files is None:
        return None, None, None
    named = next(
        (name for name in files.quantizations if need.canonical_quantization(name) == quantization),
        None,
    )
    return files.repository, named, files.names.get(named or quantization)


def _stated_type(spec: ModelSpec) -> str | None:
    """The type that stated needs are of; None where they name none."""
    return spec.needs.dtype if spec.needs is not None else None


def _adapter_values(question: Question, circumstances: Circumstances) -> dict[str, str | None]:
    """The adapter's file and its folder as a shell takes them, and the rank to reserve room for;
    nothing where it is not here.
    """
    path, companions = question.workload.adapter, question.companions
    if path is None or companions is None or not companions.adapter_is_here:
        return {}
    from .shells import in_shell

    is_windows = circumstances.is_windows
    # peft writes a folder, of which the file may be named
    folder = os.path.dirname(path) or "." if path.endswith(".safetensors") else path
    rank = need.reserved_rank(companions.adapter_rank)
    return {
        "adapter": in_shell(path, is_windows=is_windows),
        "adapter_folder": in_shell(folder, is_windows=is_windows),
        "adapter_rank": str(rank) if rank is not None else None,
    }


def _as_stated(
    question: Question, runtime: RuntimeSpec, circumstances: Circumstances
) -> dict[str, str]:
    """What makes the result that the figures of an offloaded way are of. Elsewhere a result is
    decoded in tiles, as the needs of a pipeline are counted.
    """
    stated, kind = question.spec.needs, question.workload.quantization
    ways = stated.ways if stated is not None and circumstances.offload is not None else ()
    way = next(
        (
            each
            for each in ways
            if (each.quantization, each.offload) == (kind, circumstances.offload)
        ),
        None,
    )
    if way is None:
        return {"tiled": runtime.tiled_option, "chunked": "", "result": ""}
    result_options = runtime.result_option if way.frames and way.height and way.width else ""
    for name in ("height", "width", "frames"):
        result_options = result_options.replace("{" + name + "}", str(getattr(way, name)))
    return {
        "tiled": runtime.tiled_option if way.is_tiled else "",
        "chunked": runtime.chunked_option if way.is_chunked else "",
        "result": result_options,
    }


def _rate(runtime: RuntimeSpec, spec: ModelSpec) -> str:
    """The pictures a second of a clip; empty where the spec states none."""
    rate = spec.frames_per_second
    return runtime.rate_option.replace("{frames}", str(rate)) if rate is not None else ""


def _cast(question: Question, runtime: RuntimeSpec) -> str:
    """What makes the program load the files in another type than they are in; empty elsewhere."""
    kind = question.workload.quantization or ""
    if not need.is_cast(question.spec, runtime, kind):
        return ""
    return runtime.cast_option.replace("{quantization}", kind)


def _steps(runtime: RuntimeSpec, spec: ModelSpec) -> str:
    """The steps that the time of a picture stands for; empty where the spec states none."""
    if spec.denoising is None:
        return ""
    return runtime.steps_option.replace("{count}", str(spec.denoising.steps))


def _parts(question: Question, runtime: RuntimeSpec) -> str | None:
    """The options that take each file of the model, where `downloads` put it; None where no files
    of it are known.
    """
    parts = need.parts_of(question.spec, runtime)
    if parts is None:
        return None
    kind = question.workload.quantization or ""
    files = [f"{each.option} models/{each.named(kind)}" for each in parts.files]
    return " ".join((*files, parts.options))


def _quantized_components(spec: ModelSpec) -> str | None:
    """The list of components that a program is told to quantize, in Python; None where it quantizes
    none.
    """
    if not spec.components:
        return None
    from ..needs.diffusers import quantized_components

    names = ", ".join(f"'{name}'" for name in quantized_components(spec.components))
    return f"[{names}]" if names else None


def _variant(runtime: RuntimeSpec, spec: ModelSpec, quantization: str) -> str:
    """What makes the runtime fetch the files of that quantization; empty where the repository has
    none of their own, or they are what it fetches anyway.
    """
    has_variant = spec.repository in runtime.variants.get(quantization, ())
    return runtime.variant_options.get(quantization, "") if has_variant else ""


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


def yarn_values(spec: ModelSpec) -> dict[str, str]:
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
