"""What was typed becomes a question: a name, a path or a spec, and what the name itself says."""

from __future__ import annotations

import os
from functools import partial

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.names import Resolution, bare_name, is_path, read, typed_library_tag
from ..catalogue.runtime import LIBRARY_RUNTIME
from ..catalogue.spec import ModelSpec, PublishedFiles
from ..core.errors import WorkloadError
from ..core.records import Record
from ..core.tables import sentences
from ..core.units import canonical
from ..core.workload import Workload
from ..judge.defaults import suited
from ..judge.judging import judge
from ..judge.question import ask
from ..judge.record import NO_FILES, Here, Judged, NamedFiles
from ..machine.record import Machine

# the sentences of `common/remarks.toml` that hold, filled with the figures
remarks = partial(sentences, "remarks", "remark")
# files that no program loads on the machine
_NOT_LOADED_HERE = (
    "runtime-cannot-load",
    "accelerator-missing",
    "accelerator-unsuitable",
)


class Understood(Record):
    """What the caller named: the spec, how it was written, the workload with what the name
    itself says, sentences about it, its files. `otherwise`: the same without the program and the
    quantization that the name implies; None where it implies neither.
    """

    spec: ModelSpec
    asked: str
    workload: Workload
    notes: tuple[str, ...] = ()
    files: NamedFiles = NO_FILES
    tag: str | None = None
    otherwise: Understood | None = None


def understand(
    catalogue: Catalogue,
    model: str | os.PathLike[str] | ModelSpec | Understood,
    workload: Workload,
    machine: Machine | None = None,
) -> Understood:
    """What a spec, a path or a name means. Raises `UnknownModelError`, or `SpecError` of a file."""
    if isinstance(model, ModelSpec):
        return Understood(spec=model, asked=model.id, workload=workload)
    if isinstance(model, Understood):
        understood = model
    else:
        typed = os.fspath(model)
        if not isinstance(model, str) or is_path(typed):
            return _understand_file(typed, workload)
        understood = understand_name(catalogue, typed, workload)
    otherwise = understood.otherwise
    if machine is None or otherwise is None:
        return understood
    # where no program loads those files on the machine, why it is judged in others
    question, program = understood.workload, None
    try:
        judged = judge(
            ask(understood.spec, question, catalogue, machine, understood.files),
            machine,
        )
    except WorkloadError as error:
        why = ""
        if all(problem.key == "quantization" for problem in error.problems):
            why = f"{error.problems[0].message}."
    else:
        why = next(
            (each.reason for each in judged.findings if each.code in _NOT_LOADED_HERE),
            "",
        )
        if question.runtime is not None and judged.has("runtime-no-build"):
            program, why = catalogue.runtime(question.runtime), ""
    holds = {"no-program": program, "other-files": why}
    figures = {
        "asked": understood.asked,
        "why": why,
        "program": getattr(program, "name", None),
    }
    system = machine.system or "this system"
    notes = remarks(holds, id=question.runtime, system=system, **figures)
    return otherwise.replace(notes=(*otherwise.notes, *notes)) if notes else understood


def _understand_file(typed: str, workload: Workload) -> Understood:
    from ..modelfiles import read_local, stored_notes
    from ..modelfiles.specfiles import checked_spec

    if typed.lower().endswith(".toml") and not os.path.isdir(typed):
        spec = checked_spec(typed)
        return Understood(
            spec=spec, asked=typed, workload=workload, notes=stored_notes(spec)
        )
    local = read_local(typed)
    if local.quantization and local.files_here and workload.quantization is None:
        workload = workload.replace(quantization=local.quantization)
    notes = local.notes
    asked_in = need.canonical_quantization(workload.quantization or "")
    if (
        local.format == "gguf"
        and local.quantization
        and asked_in not in (None, local.quantization)
    ):
        # a GGUF file holds one quantization, so another is not here
        local = local.replace(files_here=False)
        notes += remarks({"other-type": True}, held=local.quantization, asked=asked_in)
    part: Here | None = None
    if local.missing:
        rest = (
            local.total_bytes - local.size_bytes if local.total_bytes is not None else 0
        )
        part = Here(
            path=typed,
            size_bytes=local.size_bytes,
            missing_bytes=rest if rest > 0 else None,
            missing_files=local.missing,
        )
    files = NamedFiles(
        are_here=local.files_here,
        formats=(local.format,) if local.files_here or local.missing else (),
        part=part,
    )
    return Understood(
        spec=local.spec, asked=typed, workload=workload, notes=notes, files=files
    )


def understand_name(catalogue: Catalogue, typed: str, workload: Workload) -> Understood:
    """What a name means. Raises `UnknownModelError`, which says why and what is near."""
    resolved, name, stated = read(typed, catalogue), bare_name(typed), workload
    if resolved is None:
        from ..catalogue.searching import resolve

        resolved = resolve(typed, catalogue)
    plain = catalogue.spec(resolved.spec_id)
    if not catalogue.is_shipped(plain.id):
        from ..modelfiles.specfiles import checked_spec

        checked_spec(plain.origin)
    # of several tags the first is told: the one that was typed
    if typed_tag := typed_library_tag(typed, plain, catalogue):
        plain = plain.replace(aliases=tuple(dict.fromkeys((typed_tag, *plain.aliases))))
        resolved = _read_by_ollama(resolved, typed_tag, stated, catalogue)
    quantization, notes = resolved.quantization, resolved.notes
    if quantization is None and ":" in typed:
        quantization = _type_of_tag(name, stated, catalogue)
        notes += remarks({"tag": quantization}, tag=typed, type=quantization)
    if stated.quantization is None:
        runtime = stated.runtime or resolved.runtime
        workload = stated.replace(quantization=quantization, runtime=runtime)
    # a tag of Ollama's loads one file whatever the machine; but not to train it
    is_tag = ":" in name and "/" not in name
    files = NamedFiles(is_tag=is_tag and stated.task == "generate")
    # whether the name says its program or its type, and no option does
    said, options = (
        (resolved.runtime, resolved.quantization),
        (stated.runtime, stated.quantization),
    )
    is_implied = any(said) and not any(options)
    otherwise = Understood(
        spec=plain, asked=typed, workload=stated, notes=resolved.notes, files=files
    )
    # what Ollama itself calls it, quantization and all, is the line to type
    is_typed = is_tag and quantization == workload.quantization
    return Understood(
        spec=_with_typed_files(plain, name, resolved, stated, catalogue),
        asked=typed,
        workload=workload,
        notes=notes,
        files=files,
        tag=name if is_typed and quantization else None,
        otherwise=otherwise if is_implied else None,
    )


def _read_by_ollama(
    resolved: Resolution, tag: str, stated: Workload, catalogue: Catalogue
) -> Resolution:
    """In Ollama where its tag loads another file than other programs, and nothing else is asked."""
    ollama = catalogue.runtime(LIBRARY_RUNTIME)
    is_other = tag in ollama.library_tags.bytes or tag in ollama.library_tags.unpacked
    if (
        not is_other
        or stated.task != "generate"
        or stated.runtime
        or stated.quantization
    ):
        return resolved
    note = remarks({"own-file": True}, tag=tag)
    return resolved.replace(runtime=ollama.id, notes=(*resolved.notes, *note))


def _type_of_tag(name: str, stated: Workload, catalogue: Catalogue) -> str | None:
    """The unusual type that Ollama's tag loads; None where a type or other files are stated."""
    ollama = catalogue.runtime(LIBRARY_RUNTIME)
    program = catalogue.runtime((stated.runtime or ollama.id).strip().lower())
    is_free = stated.quantization is None and stated.task == "generate"
    if not is_free or program.formats != ollama.formats:
        return None
    return ollama.library_tags.quantizations.get(name.lower().removesuffix(":latest"))


# GGUF types that most who convert models publish
_USUAL_GGUF = ("Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")


def _with_typed_files(
    spec: ModelSpec,
    name: str,
    resolved: Resolution,
    stated: Workload,
    catalogue: Catalogue,
) -> ModelSpec:
    """With the typed repository in front, or the file of the typed name or tag of Ollama behind."""
    repository, type_name = resolved.repository, resolved.quantization
    if resolved.names_file:
        return _with_named_file(
            spec, name, type_name or stated.quantization or "", catalogue
        )
    format, runtime = "gguf", resolved.runtime and catalogue.runtime(resolved.runtime)
    if runtime:
        # what another program loads has a type
        format = runtime.formats[0]
        repository = repository if runtime.rule_of(type_name) is not None else None
    held_in = (each.repository for each in spec.files if each.format == format)
    is_known = canonical(repository or "") in {
        canonical(each) for each in held_in if each
    }
    if repository is None or (is_known and (runtime or not type_name)):
        return spec
    files = PublishedFiles(
        format=format,
        repository=repository,
        source=f"the name of {repository}",
        unsized=(type_name,) if type_name else _USUAL_GGUF,
        listed=type_name is not None,
    )
    return spec.replace(files=(files, *spec.files))


def _with_named_file(
    spec: ModelSpec, name: str, type_name: str, catalogue: Catalogue
) -> ModelSpec:
    if need.why_not_loaded(spec, catalogue.runtime("llama.cpp")) is not None:
        return spec
    kind = need.canonical_quantization(type_name) or ""
    whole = name if name.lower().endswith(".gguf") else f"{name}.gguf"
    file = PublishedFiles(
        format="gguf",
        source=f"the name {name}",
        unsized=(kind,),
        names={} if ":" in name else {kind: whole},
        listed=False,
        named=True,
    )
    return spec.replace(files=(*spec.files, file))


def judged_for(
    catalogue: Catalogue,
    understood: Understood,
    machine: Machine,
    *,
    follows_machine: bool = True,
) -> Judged:
    """The question judged, with the defaults that suit the machine or the model's own."""
    own = judge(
        ask(understood.spec, understood.workload, catalogue, machine, understood.files),
        machine,
    )
    is_fixed = understood.files.is_tag or not follows_machine
    return own if is_fixed else suited(own, catalogue, machine)
