"""The values that fill the blanks of a runtime's command, by the names of the blanks."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .. import needs as need
from ..catalogue.quantization_names import TRAINED_FOR
from ..catalogue.runtime import BLANKS
from ..catalogue.spec import ModelSpec, RuntimeSpec, StatedWay
from ..judge.question import architectures
from ..judge.record import Question
from .case import Case, checkpoints_kept, device_word, tag_of

Values = Mapping[str, str | None]
# formats that somebody else than the publisher of the weights makes
_CONVERTED = ("gguf", "ggml", "mlx", "ctranslate2")


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
    """What fills the blanks of a command: None where that is not known, "" where nothing does."""
    spec, workload, runtime = case.spec, case.workload, case.runtime
    by_blank = {
        **file_values(case.question, runtime),
        "input": _input(runtime, spec),
        "tag": tag_of(spec, workload),
        "context_tokens": workload.context_tokens,
        "total_context_tokens": (workload.context_tokens or 0) * workload.parallel,
        "parallel": workload.parallel,
        "batch_tokens": need.batch_tokens(spec, workload, architectures(case.catalogue)),
        "context_checkpoints": checkpoints_kept(case),
        "device": device_word(case),
        "components": _quantized_components(spec),
        "parts": _parts(case),
        "kv_cache_type": workload.kv_cache_type,
        "draft": _draft(case.question),
        **_adapter_values(case),
        **yarn_values(spec),
    }
    return {key: str(value) if value else None for key, value in by_blank.items()} | _options(case)


def _options(case: Case) -> dict[str, str | None]:
    """What stands in a command where the model wants it, by the names of `RuntimeSpec.blanks`; ""
    where it does not, or a value within is not known.
    """
    spec, runtime, kind, way = case.spec, case.runtime, case.quantization, _stated_way(case)
    by_blank = {
        "count": spec.denoising.steps if spec.denoising is not None else None,
        "frames_per_second": spec.frames_per_second,
        "quantization": kind if need.is_cast(spec, runtime, kind) else None,
        "height": getattr(way, "height", None),
        "width": getattr(way, "width", None),
        "frames": getattr(way, "frames", None),
    }
    values = {key: str(value) if value else None for key, value in by_blank.items()}
    is_wanted = {
        "remote_code": spec.safety.remote_code,
        "tiled": way is None or way.is_tiled,
        "chunked": way is not None and way.is_chunked,
        "variant": spec.repository in runtime.variants.get(kind, ()),
        "guidance": spec.family in runtime.guided_families,
    }
    return {
        name: filled(runtime.blanks.get(name, ""), values) if is_wanted.get(name, True) else ""
        for name in BLANKS
    }


def _stated_way(case: Case) -> StatedWay | None:
    """The way of offloading that the figures of the spec are of. Elsewhere a result is decoded in
    tiles, as the needs of a pipeline are counted.
    """
    stated, wanted = case.spec.needs, (case.workload.quantization, case.offload)
    ways = stated.ways if stated is not None and case.offload is not None else ()
    return next((way for way in ways if (way.quantization, way.offload) == wanted), None)


def _input(runtime: RuntimeSpec, spec: ModelSpec) -> str | None:
    """What the model is asked: a line of its own, or that of models whose first input is such a
    one, or of any of its modality.
    """
    first = f"{spec.inputs[0]}-to-{spec.modality}" if spec.inputs else ""
    keys = (spec.id, first, spec.modality)
    return next((runtime.inputs[key] for key in keys if key in runtime.inputs), None)


def file_values(question: Question, runtime: RuntimeSpec) -> Values:
    """The blanks that tell which files are downloaded: where they lie, and their own names.
    `quantized` is the repository of a conversion that the runtime has a rule for.
    """
    spec, workload, here = question.spec, question.workload, question.here
    format, quantization = workload.format or "", workload.quantization or ""
    quantized, named, file_name = _known_best(spec, format, quantization)
    if here is not None and here.repository not in (None, quantized) and format == "gguf":
        # another conversion than the one known best is here already
        quantized, named, file_name = here.repository, None, None
    rule = runtime.rule_of(quantization)
    published = None if _is_converted(runtime, format, quantization) else spec.repository
    stated_type = spec.needs.dtype if spec.needs is not None else None
    return {
        "repository": quantized or published,
        "quantized": quantized if rule is not None else None,
        "quantization": (named or quantization or stated_type or "").removeprefix(TRAINED_FOR),
        "file_name": file_name if quantized else None,
    }


def _is_converted(runtime: RuntimeSpec, format: str, quantization: str) -> bool:
    """Whether such files lie elsewhere than the published weights."""
    rule = runtime.rule_of(quantization)
    return format in _CONVERTED or (rule is not None and not rule.at_load)


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


def _adapter_values(case: Case) -> dict[str, str | int | None]:
    """The adapter's file and its folder as a shell takes them, and the rank to reserve room for;
    None where it is not here.
    """
    path, companions = case.workload.adapter, case.question.companions
    if path is None or companions is None or not companions.adapter_is_here:
        return {"adapter": None, "adapter_folder": None, "adapter_rank": None}
    from .shells import in_shell

    # peft writes a folder, of which the file may be named
    folder = os.path.dirname(path) or "." if path.endswith(".safetensors") else path
    return {
        "adapter": in_shell(path, is_windows=case.is_windows),
        "adapter_folder": in_shell(folder, is_windows=case.is_windows),
        "adapter_rank": need.reserved_rank(companions.adapter_rank),
    }


def _parts(case: Case) -> str | None:
    """The options that take each file of the model, where `downloads` puts it; None where no files
    of it are known.
    """
    parts = need.parts_of(case.spec, case.runtime)
    if parts is None:
        return None
    files = [f"{each.option} models/{each.named(case.quantization)}" for each in parts.files]
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


def yarn_values(spec: ModelSpec) -> dict[str, str | int | None]:
    """What switches YaRN on; None where the publisher documents none."""
    architecture = spec.architecture
    original = architecture.yarn_original_tokens if architecture is not None else None
    scaled = architecture.scaled_context_tokens if architecture is not None else None
    factor = f"{scaled / original:g}" if original and scaled else None
    return {"yarn_factor": factor, "yarn_original_tokens": original if factor else None}
