"""What fills the blanks of a runtime's command, which options a question needs, and how the shells
of the systems take paths, environment variables and programs in turn.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from .. import needs as need
from ..catalogue.quantization_names import TRAINED_FOR
from ..catalogue.runtime import BLANKS
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core.records import pattern
from ..judge.pace.speed import uses_shared_gpu
from ..judge.record import Question
from .case import WORTH_BOUNDING, Case, device_word, may_crash, must_state_context, tag_of

_PLAIN_ON_WINDOWS = pattern(r"[\w:./\\+=~-]+")
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
    # a line of its own, or that of models whose first input is such a one, or of its modality
    inputs = (spec.id, f"{spec.inputs[0]}-to-{spec.modality}" if spec.inputs else "", spec.modality)
    by_blank = {
        **file_values(case.question, runtime),
        "input": next((runtime.inputs[key] for key in inputs if key in runtime.inputs), None),
        "tag": tag_of(spec, workload),
        "context_tokens": workload.context_tokens,
        "total_context_tokens": (workload.context_tokens or 0) * workload.parallel,
        "parallel": workload.parallel,
        "batch_tokens": need.batch_tokens(spec, workload, case.rows),
        "context_checkpoints": _checkpoints_kept(case),
        "device": device_word(case),
        "components": _quantized_components(spec),
        "parts": _parts(case),
        "kv_cache_type": workload.kv_cache_type,
        "draft": _draft(case.question),
        **_adapter_values(case),
        **yarn_values(spec),
    }
    return _as_texts(by_blank) | _optional_words(case)


def _as_texts(values: Mapping[str, object]) -> dict[str, str | None]:
    return {key: str(value) if value else None for key, value in values.items()}


def _optional_words(case: Case) -> dict[str, str | None]:
    """What stands in a command where the model wants it, by the names of `RuntimeSpec.blanks`; ""
    where it does not, or a value within is not known. The way of offloading is the one that the
    figures of the spec are of; elsewhere a result is decoded in tiles, as pipelines are counted.
    """
    spec, runtime, kind, stated = case.spec, case.runtime, case.quantization, case.spec.needs
    wanted = case.workload.quantization, case.offload
    ways = stated.ways if stated is not None and case.offload is not None else ()
    way = next((way for way in ways if (way.quantization, way.offload) == wanted), None)
    values = _as_texts(
        {
            "count": spec.denoising.steps if spec.denoising is not None else None,
            "frames_per_second": spec.frames_per_second,
            "quantization": kind if need.is_cast(spec, runtime, kind) else None,
            "height": getattr(way, "height", None),
            "width": getattr(way, "width", None),
            "frames": getattr(way, "frames", None),
        }
    )
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
    stated_type = (spec.needs.dtype if spec.needs is not None else None) or ""
    published = None if _is_converted(runtime, format, quantization) else spec.repository
    return {
        "repository": quantized or published,
        "quantized": quantized if rule is not None else None,
        "quantization": (named or quantization or stated_type).removeprefix(TRAINED_FOR),
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
    alike = (
        name for name in files.quantizations if need.canonical_quantization(name) == quantization
    )
    named = next(alike, None)
    return files.repository, named, files.names.get(named or quantization)


def _adapter_values(case: Case) -> dict[str, str | int | None]:
    """The adapter's file and its folder as a shell takes them, and the rank to reserve room for;
    None where it is not here.
    """
    path, companions = case.workload.adapter, case.question.companions
    if path is None or companions is None or not companions.adapter_is_here:
        return {"adapter": None, "adapter_folder": None, "adapter_rank": None}
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
    """The list of components that a program is told to quantize, in Python; None for none."""
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


# ------------------------------------------------------------------ options


def options_needed(case: Case, values: Values) -> list[str]:
    """The keys of the runtime's options that are needed because the workload differs from what the
    program does by itself; `values` are those of the blanks.
    """
    workload, runtime = case.workload, case.runtime
    drafts_itself = workload.draft is not None and workload.draft == need.OWN_BLOCK
    use = _use_option(case)
    needed = {
        use: bool(use),
        "kv_cache_type": workload.kv_cache_type not in (None, "f16"),
        "parallel": workload.parallel > 1,
        "whole_batch": values["batch_tokens"],
        "mtp": drafts_itself,
        "draft": workload.draft is not None and not drafts_itself,
        "adapter": workload.adapter,
        "context_tokens": must_state_context(case),
        "checkpoints": values["context_checkpoints"] and "checkpoints" in runtime.options,
        "yarn": case.is_scaled,
        "shared_gpu": "shared_gpu" in runtime.settings and _leaves_shared_gpu(case),
    }
    return [key for key, is_needed in needed.items() if is_needed]


def _use_option(case: Case) -> str:
    """The key that has a server of text embed or rank, where it has to be told; else ""."""
    uses = case.spec.uses
    key = "reranking" if uses and uses[0] == "reranking" else "embedding"
    is_stated = case.spec.modality == "embedding" and key in case.runtime.options
    return key if is_stated else ""


def _leaves_shared_gpu(case: Case) -> bool:
    """Whether a GPU that shares the RAM computes in the judged program and not in this one."""
    judged_with, machine = case.question.runtime, case.machine
    if judged_with is None or judged_with.id == case.runtime.id:
        return False
    return uses_shared_gpu(machine, judged_with) and not uses_shared_gpu(machine, case.runtime)


def _checkpoints_kept(case: Case) -> int | None:
    """How many copies of a conversation the need counts, where the server keeps many more."""
    runtime, memory = case.question.runtime, case.memory
    if runtime is None or memory is None or "checkpoints" not in runtime.options:
        return None
    more_bytes = need.more_in_conversation(case.spec, runtime, case.workload, case.rows)
    is_worth_it = more_bytes and more_bytes >= WORTH_BOUNDING * memory.high_bytes
    return runtime.context_checkpoints if is_worth_it else None


def bounds(case: Case) -> Iterator[str]:
    """Options that hold a program to what is counted, or keep it running."""
    runtime = case.runtime
    if runtime.lean_option and case.judged.needs is not None and case.judged.needs.is_lean:
        yield runtime.lean_option
    if runtime.unpacked_option and may_crash(case):
        yield runtime.unpacked_option


# ------------------------------------------------------------------ shells


def in_shell(path: str, *, is_windows: bool) -> str:
    """A path as the system's shell takes it, the home folder's sign left open to it."""
    home = "~/" if path.startswith("~/") else ""
    rest = path[len(home) :]
    if not is_windows:
        from shlex import quote

        return home + quote(rest)
    # PowerShell: between single quotes nothing counts but a doubled one
    return path if _PLAIN_ON_WINDOWS.fullmatch(rest) else home + "'" + rest.replace("'", "''") + "'"


def with_variables(settings: Sequence[str], command: str, *, is_windows: bool) -> str:
    """The command with environment variables, as the system's shell takes them."""
    if not is_windows:
        return " ".join((*settings, command))
    pairs = [setting.partition("=") for text in settings for setting in text.split()]
    return " ".join((*(f"$env:{name}='{value}';" for name, _, value in pairs), command))


def in_powershell(line: str) -> str:
    """The line as the PowerShell that Windows comes with takes it, 5.1: `&&` is of 7 and newer
    (about_Pipeline_Chain_Operators), and `curl` stands for Invoke-WebRequest (about_Aliases);
    Windows has curl.exe since version 1803. `$?` tells in both whether the program before it
    ended well (about_Automatic_Variables).
    """
    if line.startswith("#"):
        return line
    # a comment would take the brackets behind it
    code, mark, comment = line.partition("  # ")
    programs = [
        f"curl.exe {program[5:]}" if program.startswith("curl ") else program
        for program in code.split(" && ")
    ]
    chained = "; if ($?) { ".join(programs) + " }" * (len(programs) - 1)
    return f"{chained}{mark}{comment}"
